/*
 * What gateways get, but for apis and tools: exactly the bodies of
 * ARCHITECTURE.md section 4.  What is not served has no body: a tombstone.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "feed/cp_feed.h"
#include "kinds/cp_feed_bodies.h"
#include "kinds/cp_hold.h"


typedef struct {
    const char  *name;             /* exposed                                */
    const char  *tool;
    const char  *api;
} cp_bound_t;


static cp_rc_t cp_feed_simple(cp_tx_t *tx, cp_arena_t *a,
    const cp_resource_t *res, const cp_body_t *members, const char *prefix,
    const char *hidden, const char *id, cp_err_t *err);
static cp_rc_t cp_server_bound(cp_tx_t *tx, cp_arena_t *a,
    const cp_json_t *server, cp_bound_t **bound, unsigned *n, cp_err_t *err);
static cp_rc_t cp_sub_pair(cp_tx_t *tx, cp_arena_t *a,
    const char *application, const char *target, cp_err_t *err);
static cp_rc_t cp_sub_tools(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *sub,
    cp_json_t **out, cp_err_t *err);
static cp_rc_t cp_sub_bound(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *sub,
    cp_bound_t **bound, unsigned *n, cp_err_t *err);
static int cp_bound_cmp(const void *one, const void *two);
static int cp_id_cmp(const void *one, const void *two);
static cp_rc_t cp_follow_subs(cp_op_t *op, cp_tx_t *tx, const char *column,
    const char *id);


static const cp_body_t  cp_tenant_body[] = {
    { "id", "id", ABSENT_NONE },
    { "name", "name", ABSENT_NONE },
    { "state", "state", ABSENT_NONE },
    { NULL, NULL, 0 }
};

static const cp_body_t  cp_application_body[] = {
    { "id", "id", ABSENT_NONE },
    { "tenant", "tenant", ABSENT_NONE },
    { "name", "name", ABSENT_NONE },
    { "state", "state", ABSENT_NONE },
    { NULL, NULL, 0 }
};

static const cp_body_t  cp_credential_body[] = {
    { "id", "id", ABSENT_NONE },
    { "tenant", "tenant", ABSENT_NONE },
    { "application", "application", ABSENT_NONE },
    { "digest", "key_digest", ABSENT_NONE },
    { "alg", "key_alg", ABSENT_NONE },
    { "state", "state", ABSENT_NONE },
    { "expires_ms", "expires_at", 0 },
    { NULL, NULL, 0 }
};

static const cp_body_t  cp_plan_body[] = {
    { "id", "id", ABSENT_NONE },
    { "tenant", "tenant", ABSENT_NONE },
    { "name", "name", ABSENT_NONE },
    { "state", "state", ABSENT_NONE },
    { "rate", "rate", 0 },
    { "per_ms", "per_ms", 1000 },
    { "burst", "burst", 0 },
    { "quota_day", "quota_day", 0 },
    { "quota_month", "quota_month", 0 },
    { "concurrency", "concurrency", 0 },
    { "limit_by", "limit_by", ABSENT_NONE },
    { NULL, NULL, 0 }
};

static const cp_body_t  cp_subscription_body[] = {
    { "id", "id", ABSENT_NONE },
    { "tenant", "tenant", ABSENT_NONE },
    { "application", "application", ABSENT_NONE },
    { "plan", "plan", ABSENT_NONE },
    { "state", "state", ABSENT_NONE },
    { "expires_ms", "expires_at", 0 },
    { NULL, NULL, 0 }
};

static const cp_body_t  cp_server_body[] = {
    { "id", "id", ABSENT_NONE },
    { "tenant", "tenant", ABSENT_NONE },
    { "name", "name", ABSENT_NONE },
    { "title", "title", ABSENT_NONE },
    { "instructions", "instructions", ABSENT_NONE },
    { "state", "state", ABSENT_NONE },
    { "prefix", "prefix", ABSENT_NONE },
    { NULL, NULL, 0 }
};


cp_json_t *
cp_body_make(cp_arena_t *a, const cp_body_t *members, const cp_json_t *row)
{
    cp_json_t        *body, *val;
    const cp_body_t  *m;

    body = cp_json_object(a);

    for (m = members; m->member; m++) {
        val = cp_json_copy(a, cp_json_get(row, m->column));

        if (val == NULL && m->absent != ABSENT_NONE) {
            val = cp_json_int(a, m->absent);
        }

        if (val) {
            cp_json_set(a, body, m->member, val);
        }
    }

    return body;
}


cp_rc_t
cp_body_put(cp_tx_t *tx, cp_arena_t *a, const char *kind, const char *key,
    const cp_json_t *body, const char *groups, cp_err_t *err)
{
    char  *text;

    text = body ? cp_json_text(a, body, NULL) : NULL;

    if (key == NULL || (body && text == NULL)) {
        return cp_err_set(err, "internal", "no memory");
    }

    return cp_feed_put(tx, a, key, kind, text, groups, err);
}


cp_rc_t
cp_row_light(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const char *id, cp_json_t **row, cp_err_t *err)
{
    cp_rc_t         rc;
    cp_json_t      *rows;
    cp_row_query_t  q = { "\"id\" = $1", NULL, 0, false };

    rc = cp_row_select(tx, a, res, &q, cp_args(cp_text(id)), &rows, err);
    *row = rc == CP_OK ? rows->first : NULL;

    return rc;
}


/* hidden: the state that is not served; NULL: all are. */
static cp_rc_t
cp_feed_simple(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const cp_body_t *members, const char *prefix, const char *hidden,
    const char *id, cp_err_t *err)
{
    cp_rc_t     rc;
    cp_json_t  *row;

    rc = cp_row_light(tx, a, res, id, &row, err);
    if (rc != CP_OK) {
        return rc;
    }

    if (row && hidden && strcmp(cp_json_str(row, "state"), hidden) == 0) {
        row = NULL;
    }

    return cp_body_put(tx, a, res->kind,
                       cp_arena_printf(a, "%s:%s", prefix, id),
                       row ? cp_body_make(a, members, row) : NULL, NULL, err);
}


cp_rc_t
cp_feed_tenant(cp_tx_t *tx, cp_arena_t *a, const char *id, cp_err_t *err)
{
    return cp_feed_simple(tx, a, &cp_res_tenant, cp_tenant_body, "tenant",
                          NULL, id, err);
}


cp_rc_t
cp_feed_application(cp_tx_t *tx, cp_arena_t *a, const char *id, cp_err_t *err)
{
    return cp_feed_simple(tx, a, &cp_res_application, cp_application_body,
                          "app", NULL, id, err);
}


cp_rc_t
cp_feed_credential(cp_tx_t *tx, cp_arena_t *a, const char *id, cp_err_t *err)
{
    return cp_feed_simple(tx, a, &cp_res_credential, cp_credential_body,
                          "cred", NULL, id, err);
}


cp_rc_t
cp_feed_plan(cp_tx_t *tx, cp_arena_t *a, const char *id, cp_err_t *err)
{
    return cp_feed_simple(tx, a, &cp_res_plan, cp_plan_body, "plan",
                          "archived", id, err);
}


cp_rc_t
cp_feed_server(cp_tx_t *tx, cp_arena_t *a, const char *id, cp_err_t *err)
{
    cp_rc_t      rc;
    unsigned     i, n;
    cp_json_t   *server, *body, *tools, *item;
    cp_bound_t  *bound;
    cp_names_t   names;
    const char  *name;

    rc = cp_row_light(tx, a, &cp_res_server, id, &server, err);
    if (rc != CP_OK) {
        return rc;
    }

    if (server == NULL
        || strcmp(cp_json_str(server, "state"), "published") != 0)
    {
        return cp_body_put(tx, a, "server",
                           cp_arena_printf(a, "server:%s", id), NULL, NULL,
                           err);
    }

    cp_names_init(&names, tx, a, err);

    rc = cp_names_get(&names, &cp_res_tenant, cp_json_str(server, "tenant"),
                      &name);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_server_bound(tx, a, server, &bound, &n, err);
    if (rc != CP_OK) {
        return rc;
    }

    body = cp_body_make(a, cp_server_body, server);
    tools = cp_json_array(a);

    for (i = 0; i < n; i++) {
        item = cp_json_object(a);
        cp_json_set(a, item, "name", cp_json_string(a, bound[i].name));
        cp_json_set(a, item, "tool", cp_json_string(a, bound[i].tool));
        cp_json_set(a, item, "api", cp_json_string(a, bound[i].api));
        cp_json_push(tools, item);
    }

    cp_json_set(a, body, "tenant_name", cp_json_string(a, name));
    cp_json_set(a, body, "tools", tools);

    return cp_body_put(tx, a, "server", cp_arena_printf(a, "server:%s", id),
                       body, NULL, err);
}


/*
 * The tools that a server names and that exist, sorted by the exposed name.
 */
static cp_rc_t
cp_server_bound(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *server,
    cp_bound_t **bound, unsigned *n, cp_err_t *err)
{
    cp_rc_t      rc;
    cp_json_t   *list, *m;
    cp_rows_t    rows;
    cp_names_t   names;

    list = cp_json_get(server, "tools");
    *n = 0;
    *bound = cp_arena_alloc(a, (list ? list->n + 1 : 1) * sizeof(cp_bound_t));

    if (*bound == NULL) {
        return cp_err_set(err, "internal", "no memory");
    }

    cp_names_init(&names, tx, a, err);

    for (m = list ? list->first : NULL; m; m = m->next) {
        rc = cp_tx_query(tx, a, "SELECT id FROM tools WHERE api = $1"
                         " AND name = $2",
                         cp_args(cp_text(cp_json_str(m, "api")),
                                 cp_text(cp_json_str(m, "tool"))),
                         &rows, err);
        if (rc != CP_OK) {
            return rc;
        }

        if (rows.rows == 0) {
            continue;
        }

        rc = cp_server_tool_name(&names, server, m, &(*bound)[*n].name);
        if (rc != CP_OK) {
            return rc;
        }

        (*bound)[*n].tool = cp_cell(&rows, 0, 0)->p;
        (*bound)[*n].api = cp_json_str(m, "api");
        (*n)++;
    }

    qsort(*bound, *n, sizeof(cp_bound_t), cp_bound_cmp);

    return CP_OK;
}


static int
cp_bound_cmp(const void *one, const void *two)
{
    const cp_bound_t  *a = one, *b = two;

    return strcmp(a->name, b->name);
}


cp_rc_t
cp_feed_subscription(cp_tx_t *tx, cp_arena_t *a, const char *id,
    cp_err_t *err)
{
    cp_rc_t     rc;
    cp_json_t  *sub;

    rc = cp_row_light(tx, a, &cp_res_subscription, id, &sub, err);
    if (rc != CP_OK || sub == NULL) {
        return rc;
    }

    return cp_sub_pair(tx, a, cp_json_str(sub, "application"),
                       cp_subscription_to(sub), err);
}


cp_rc_t
cp_subscription_gone(const cp_write_t *w, const cp_json_t *before)
{
    cp_rc_t  rc;

    rc = cp_hold_gone(w, before);

    return rc != CP_OK ? rc
           : cp_sub_pair(w->tx, w->op->arena,
                         cp_json_str(before, "application"),
                         cp_subscription_to(before), &w->op->err);
}


/*
 * A record per application and target, whatever number of ended subscriptions
 * there is: the one that counts, else the youngest, so that a refusal can say
 * why.
 */
static cp_rc_t
cp_sub_pair(cp_tx_t *tx, cp_arena_t *a, const char *application,
    const char *target, cp_err_t *err)
{
    cp_rc_t         rc;
    cp_json_t      *rows, *sub, *body, *tools;
    const char     *key;
    cp_row_query_t  q = { "\"application\" = $1"
                          " AND COALESCE(\"api\", \"server\") = $2"
                          " AND \"state\" <> 'rejected'",
                          "CASE WHEN \"state\" IN ('pending', 'active',"
                          " 'suspended') THEN 0 ELSE 1 END,"
                          " \"created_at\" DESC, \"id\" DESC", 1, false };

    rc = cp_row_select(tx, a, &cp_res_subscription, &q,
                       cp_args(cp_text(application), cp_text(target)), &rows,
                       err);
    if (rc != CP_OK) {
        return rc;
    }

    key = cp_arena_printf(a, "sub:%s:%s", application, target);
    sub = rows->first;

    if (sub == NULL) {
        return cp_body_put(tx, a, "subscription", key, NULL, NULL, err);
    }

    body = cp_body_make(a, cp_subscription_body, sub);
    cp_json_set(a, body, "target", cp_json_string(a, target));
    cp_json_set(a, body, "target_kind",
                cp_json_string(a, cp_json_get(sub, "api") ? "api"
                                                          : "server"));

    if (cp_json_get(sub, "tools")) {
        rc = cp_sub_tools(tx, a, sub, &tools, err);
        if (rc != CP_OK) {
            return rc;
        }

        cp_json_set(a, body, "tools", tools);
    }

    return cp_body_put(tx, a, "subscription", key, body, NULL, err);
}


/* Names as the target shows them to the ids of tools; what is not there now
 * gives no access. */
static cp_rc_t
cp_sub_tools(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *sub,
    cp_json_t **out, cp_err_t *err)
{
    cp_rc_t       rc;
    unsigned      i, n, k;
    cp_json_t    *m;
    cp_bound_t   *bound, key, *found;
    const char  **ids;

    rc = cp_sub_bound(tx, a, sub, &bound, &n, err);
    if (rc != CP_OK) {
        return rc;
    }

    m = cp_json_get(sub, "tools");
    ids = cp_arena_alloc(a, (m->n + 1) * sizeof(char *));
    *out = cp_json_array(a);

    if (ids == NULL || *out == NULL) {
        return cp_err_set(err, "internal", "no memory");
    }

    for (m = m->first, k = 0; m; m = m->next) {
        key.name = m->s;
        found = bsearch(&key, bound, n, sizeof(cp_bound_t), cp_bound_cmp);

        if (found) {
            ids[k++] = found->tool;
        }
    }

    qsort(ids, k, sizeof(char *), cp_id_cmp);

    for (i = 0; i < k; i++) {
        if (i == 0 || strcmp(ids[i], ids[i - 1]) != 0) {
            cp_json_push(*out, cp_json_string(a, ids[i]));
        }
    }

    return CP_OK;
}


/* The tools of a subscription's target, sorted by the names it shows. */
static cp_rc_t
cp_sub_bound(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *sub,
    cp_bound_t **bound, unsigned *n, cp_err_t *err)
{
    cp_rc_t     rc;
    unsigned    i;
    cp_rows_t   rows;
    cp_json_t  *server;

    if (cp_json_get(sub, "server")) {
        rc = cp_row_light(tx, a, &cp_res_server, cp_json_str(sub, "server"),
                          &server, err);

        return rc == CP_OK ? cp_server_bound(tx, a, server, bound, n, err)
                           : rc;
    }

    rc = cp_tx_query(tx, a, "SELECT name, id FROM tools WHERE api = $1",
                     cp_args(cp_text(cp_json_str(sub, "api"))), &rows, err);
    if (rc != CP_OK) {
        return rc;
    }

    *n = rows.rows;
    *bound = cp_arena_alloc(a, (*n + 1) * sizeof(cp_bound_t));

    if (*bound == NULL) {
        return cp_err_set(err, "internal", "no memory");
    }

    for (i = 0; i < *n; i++) {
        (*bound)[i].name = cp_cell(&rows, i, 0)->p;
        (*bound)[i].tool = cp_cell(&rows, i, 1)->p;
    }

    qsort(*bound, *n, sizeof(cp_bound_t), cp_bound_cmp);

    return CP_OK;
}


static int
cp_id_cmp(const void *one, const void *two)
{
    return strcmp(*(const char *const *) one, *(const char *const *) two);
}


cp_rc_t
cp_follow_operation(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row)
{
    return cp_resource_touch(op, tx, &cp_res_api, cp_json_str(row, "api"));
}


/* Servers and subscriptions that name the tool: it may have come or gone. */
cp_rc_t
cp_follow_tool(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row)
{
    cp_rc_t      rc;
    unsigned     i;
    cp_rows_t    rows;
    const char  *api;

    api = cp_json_str(row, "api");

    rc = cp_tx_query(tx, op->arena, "SELECT id FROM servers WHERE tenant = $1"
                     " AND tools LIKE $2 AND tools LIKE $3",
                     cp_args(cp_text(cp_json_str(row, "tenant")),
                             cp_text(cp_arena_printf(op->arena, "%%\"%s\"%%",
                                                     api)),
                             cp_text(cp_arena_printf(op->arena, "%%\"%s\"%%",
                                             cp_json_str(row, "name")))),
                     &rows, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    for (i = 0; i < rows.rows; i++) {
        rc = cp_resource_touch(op, tx, &cp_res_server,
                               cp_cell(&rows, i, 0)->p);
        if (rc == CP_OK) {
            rc = cp_follow_subs(op, tx, "server", cp_cell(&rows, i, 0)->p);
        }

        if (rc != CP_OK) {
            return rc;
        }
    }

    return cp_follow_subs(op, tx, "api", api);
}


cp_rc_t
cp_follow_server(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row)
{
    return cp_follow_subs(op, tx, "server", cp_json_str(row, "id"));
}


static cp_rc_t
cp_follow_subs(cp_op_t *op, cp_tx_t *tx, const char *column, const char *id)
{
    cp_rc_t    rc;
    unsigned   i;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, op->arena,
                     cp_arena_printf(op->arena, "SELECT id FROM subscriptions"
                                     " WHERE \"%s\" = $1"
                                     " AND tools IS NOT NULL", column),
                     cp_args(cp_text(id)), &rows, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    for (i = 0; i < rows.rows; i++) {
        rc = cp_resource_touch(op, tx, &cp_res_subscription,
                               cp_cell(&rows, i, 0)->p);
        if (rc != CP_OK) {
            return rc;
        }
    }

    return CP_OK;
}
