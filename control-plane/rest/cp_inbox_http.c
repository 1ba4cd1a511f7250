/*
 * GET /v1/inbox: what waits for the caller to decide, oldest first, with how
 * many of each kind there are.
 *
 * A view, never a copy: what is gone, or was decided meanwhile, is not there.
 * A new kind of decision is a row of the table.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "auth/cp_auth.h"
#include "http/cp_query.h"
#include "rest/cp_list.h"


#define CP_INBOX_ARGS  8
/* What no kind in the view may use has to have a type all the same. */
#define CP_INBOX_USED  "CAST($1 AS BIGINT) > 0 AND CAST($2 AS TEXT) <> '-'"

/* $1: now, $2: the caller, who does not decide what he asked for. */
typedef struct {
    const cp_resource_t  *res;
    const char           *permission;  /* to decide                         */
    const char           *tenant;      /* column: whose decision it is      */
    const char           *consumer;    /* column: who asks; NULL: nobody    */
    const char           *plan;        /* column or NULL                    */
    const char           *since;       /* column                            */
    const char           *waits;
    const char           *events[3];
} cp_inbox_kind_t;

#define CP_INBOX_ITEM(res)                                                    \
    { res, "tool:write", "tenant", NULL, NULL, "updated_at",                  \
      "state = 'quarantined'", { "approve", "disable", NULL } }


static const cp_inbox_kind_t  cp_inbox_kinds[] = {
    { &cp_res_subscription, "subscription:approve", "target_tenant", "tenant",
      "plan", "created_at",
      "state = 'pending' AND (expires_at IS NULL OR expires_at > $1)"
      " AND tenant NOT IN (SELECT id FROM tenants WHERE state = 'archived')"
      " AND (api IS NULL OR api NOT IN (SELECT id FROM apis"
      " WHERE state = 'retired'))", { "approve", "reject", NULL } },
    { &cp_res_promotion, "promotion:approve", "tenant", NULL, NULL,
      "created_at", "state = 'pending' AND COALESCE(requester, '') <> $2",
      { "approve", "reject", NULL } },
    { &cp_res_approval, "approval:write", "tenant", "consumer", NULL,
      "created_at", "state = 'pending' AND expires_at > $1",
      { "approve", "deny", NULL } },
    CP_INBOX_ITEM(&cp_res_tool),
    CP_INBOX_ITEM(&cp_res_prompt),
    CP_INBOX_ITEM(&cp_res_resource),
    CP_INBOX_ITEM(&cp_res_template)
};

#define CP_INBOX_KINDS  (sizeof(cp_inbox_kinds) / sizeof(cp_inbox_kinds[0]))

typedef struct {
    cp_req_t    *r;
    cp_tx_t     *tx;
    const char  *kind;             /* NULL: all                             */
    const char  *tenant;           /* ids; NULL: any                        */
    const char  *consumer;
    const char  *plan;
    const char  *api;
    const char  *view;
    cp_val_t     args[CP_INBOX_ARGS];
    unsigned     n;
} cp_inbox_t;


static cp_rc_t cp_inbox_get(cp_req_t *r);
static cp_rc_t cp_inbox_filters(cp_inbox_t *b);
static void cp_inbox_view(cp_inbox_t *b);
static cp_rc_t cp_inbox_page(cp_inbox_t *b, int64_t limit, const char *key,
    cp_json_t *page);
static cp_rc_t cp_inbox_item(cp_inbox_t *b, cp_names_t *names,
    const cp_val_t *row, cp_json_t *items);
static cp_rc_t cp_inbox_counts(cp_inbox_t *b, cp_json_t *page);


const cp_route_t  cp_inbox_routes[] = {
    { "GET", "/v1/inbox", CP_AUTH_ADMIN, "self:read", cp_inbox_get, NULL,
      "What waits for the caller to decide, oldest first",
      "kind tenant consumer api plan limit cursor" },
    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};


static cp_rc_t
cp_inbox_get(cp_req_t *r)
{
    cp_rc_t      rc;
    int64_t      limit;
    cp_json_t   *page;
    cp_inbox_t   b;
    const char  *key;

    memset(&b, 0, sizeof(b));
    b.r = r;

    rc = cp_list_range(r, &limit, &key);
    if (rc != CP_OK) {
        return rc;
    }

    if (cp_tx_open(r->op.app->db, false, &b.tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_inbox_filters(&b);

    if (rc == CP_OK) {
        cp_inbox_view(&b);
        page = cp_json_object(r->op.arena);
        rc = cp_inbox_page(&b, limit, key, page);
    }

    if (rc == CP_OK) {
        rc = cp_inbox_counts(&b, page);
    }

    cp_tx_rollback(b.tx);

    return rc == CP_OK ? cp_req_answer(r, 200, page) : rc;
}


static cp_rc_t
cp_inbox_find(cp_inbox_t *b, const char *name, const cp_resource_t *res,
    const char *parent, const char **id)
{
    cp_rc_t      rc;
    const char  *value;

    value = cp_req_query(b->r, name);

    if (value == NULL) {
        return CP_OK;
    }

    rc = cp_ref_find(b->tx, b->r->op.arena, res, parent, value, id,
                     &b->r->op.err);

    /* which tenants there are is not told: nobody has asked for anything */

    if (rc == CP_OK && *id == NULL && parent == NULL) {
        *id = "-";
    }

    return rc == CP_OK && *id == NULL
           ? cp_err_set(&b->r->op.err, "not_found", "there is no %s"
                        " \"%.128s\"", res->kind, value)
           : rc;
}


/* Names are those of the tenant that decides. */
static cp_rc_t
cp_inbox_filters(cp_inbox_t *b)
{
    size_t       i;
    cp_rc_t      rc;
    const char  *name;

    b->kind = cp_req_query(b->r, "kind");

    for (i = 0; b->kind && i < CP_INBOX_KINDS; i++) {
        if (strcmp(cp_inbox_kinds[i].res->kind, b->kind) == 0) {
            break;
        }
    }

    if (i == CP_INBOX_KINDS) {
        return cp_query_fault(b->r, "kind", "is none of what is decided");
    }

    name = cp_req_query(b->r, "tenant");
    rc = name ? cp_ref_tenant(&b->r->op, b->tx, name, "self:read",
                              &b->tenant)
              : CP_OK;

    if (rc == CP_OK && b->tenant == NULL
        && (cp_req_query(b->r, "api") || cp_req_query(b->r, "plan")))
    {
        return cp_query_fault(b->r, "tenant", "is needed with an api or a"
                              " plan");
    }

    if (rc == CP_OK) {
        rc = cp_inbox_find(b, "api", &cp_res_api, b->tenant, &b->api);
    }

    if (rc == CP_OK) {
        rc = cp_inbox_find(b, "plan", &cp_res_plan, b->tenant, &b->plan);
    }

    return rc == CP_OK
           ? cp_inbox_find(b, "consumer", &cp_res_tenant, NULL, &b->consumer)
           : rc;
}


/* AND column = id; a kind without the column has none of it, and says of which
 * type the value is all the same. */
static const char *
cp_inbox_and(cp_inbox_t *b, const char *where, const char *column,
    const char *id, unsigned *place)
{
    if (id == NULL) {
        return where;
    }

    if (*place == 0) {
        b->args[b->n++] = cp_text(id);
        *place = b->n;
    }

    return column
           ? cp_arena_printf(b->r->op.arena, "%s AND %s = $%u", where, column,
                             *place)
           : cp_arena_printf(b->r->op.arena, "%s AND CAST($%u AS TEXT)"
                             " IS NULL", where, *place);
}


static void
cp_inbox_view(cp_inbox_t *b)
{
    size_t                  i;
    unsigned                place[4] = { 0, 0, 0, 0 };
    const char             *where;
    cp_arena_t             *a = b->r->op.arena;
    const cp_actor_t       *actor = &b->r->op.actor;
    const cp_inbox_kind_t  *k;

    b->args[b->n++] = cp_int(cp_time_ms());
    b->args[b->n++] = cp_text(cp_auth_self(actor));
    b->view = NULL;

    for (i = 0; i < CP_INBOX_KINDS; i++) {
        k = &cp_inbox_kinds[i];

        if (b->kind && strcmp(b->kind, k->res->kind) != 0) {
            continue;
        }

        where = cp_arena_printf(a, "%s AND (%s) AND %s NOT IN (SELECT id FROM"
                                " tenants WHERE state = 'archived')",
                                k->waits, cp_auth_where(&b->r->op, k->tenant,
                                                        k->permission),
                                k->tenant);
        where = cp_inbox_and(b, where, k->tenant, b->tenant, &place[0]);
        where = cp_inbox_and(b, where, k->consumer, b->consumer, &place[1]);
        where = cp_inbox_and(b, where, k->plan, b->plan, &place[2]);
        where = cp_inbox_and(b, where, "api", b->api, &place[3]);

        b->view = cp_arena_printf(a, "%s%sSELECT %d AS kind, id, %s AS"
                                  " since, %s AS tenant FROM %s WHERE %s",
                                  b->view ? b->view : "",
                                  b->view ? " UNION ALL " : "", (int) i,
                                  k->since, k->tenant, k->res->table, where);
    }
}


/* The cursor is since:id of the last item. */
static cp_rc_t
cp_inbox_page(cp_inbox_t *b, int64_t limit, const char *key, cp_json_t *page)
{
    char        *end;
    cp_rc_t      rc;
    int64_t      i, since;
    cp_val_t     args[CP_INBOX_ARGS + 2];
    cp_rows_t    rows;
    cp_json_t   *items;
    cp_names_t   names;
    cp_arena_t  *a = b->r->op.arena;

    since = key[0] ? strtoll(key, &end, 10) : -1;

    if (key[0] && *end != ':') {
        return cp_err_set(&b->r->op.err, "bad_request",
                          "the cursor is not one of ours");
    }

    memcpy(args, b->args, sizeof(b->args));
    args[b->n] = cp_int(since);
    args[b->n + 1] = cp_text(key[0] ? end + 1 : "");

    rc = cp_tx_query(b->tx, a, cp_arena_printf(a, "SELECT kind, id, since,"
                     " tenant FROM (%s) v WHERE " CP_INBOX_USED
                     " AND (since > $%u OR (since = $%u AND id > $%u))"
                     " ORDER BY since, id LIMIT %" PRId64, b->view, b->n + 1,
                     b->n + 1, b->n + 2, limit + 1), args, b->n + 2, &rows,
                     &b->r->op.err);

    if (rc != CP_OK) {
        return rc;
    }

    items = cp_json_array(a);
    cp_names_init(&names, b->tx, a, &b->r->op.err);

    for (i = 0; rc == CP_OK && i < rows.rows && i < limit; i++) {
        rc = cp_inbox_item(b, &names, cp_cell(&rows, i, 0), items);
    }

    cp_json_set(a, page, "items", items);

    if (rows.rows > limit) {
        cp_json_put(a, page, "next",
                    cp_list_cursor(a, cp_arena_printf(a, "%" PRId64 ":%s",
                                       cp_cell(&rows, limit - 1, 2)->i,
                                       cp_cell(&rows, limit - 1, 1)->p)));
    }

    return rc;
}


/* With the resource as its own list shows it, and where its events are. */
static cp_rc_t
cp_inbox_item(cp_inbox_t *b, cp_names_t *names, const cp_val_t *row,
    cp_json_t *items)
{
    size_t                  i;
    cp_rc_t                 rc;
    cp_json_t              *item, *rows, *obj, *events;
    cp_arena_t             *a = b->r->op.arena;
    const char             *tenant, *api;
    cp_row_query_t          q = { "\"id\" = $1", NULL, 1, false };
    const cp_inbox_kind_t  *k;

    k = &cp_inbox_kinds[row[0].i];

    rc = cp_row_select(b->tx, a, k->res, &q, cp_args(row[1]), &rows,
                       &b->r->op.err);

    if (rc == CP_OK && rows->first) {
        rc = cp_row_show(names, k->res, rows->first, &obj);
    }

    if (rc == CP_OK) {
        rc = cp_names_get(names, &cp_res_tenant, row[3].p, &tenant);
    }

    if (rc != CP_OK || rows->first == NULL) {
        return rc;
    }

    tenant = tenant ? tenant : row[3].p;
    api = strcmp(k->res->parent, "api") == 0
          ? cp_arena_printf(a, "/apis/%s", cp_json_str(rows->first, "api"))
          : "";

    item = cp_json_object(a);
    cp_json_put(a, item, "kind", k->res->kind);
    cp_json_put(a, item, "id", row[1].p);
    cp_json_put(a, item, "tenant", tenant);
    cp_json_put(a, item, "since", cp_time_format(a, row[2].i));

    events = cp_json_array(a);

    for (i = 0; k->events[i]; i++) {
        cp_json_push(events, cp_json_string(a, k->events[i]));
    }

    cp_json_set(a, item, "events", events);
    cp_json_put(a, item, "path",
                cp_arena_printf(a, "/v1/tenants/%s%s/%s/%s", tenant, api,
                                k->res->plural, row[1].p));
    cp_json_set(a, item, "resource", obj);
    cp_json_push(items, item);

    return CP_OK;
}


static cp_rc_t
cp_inbox_counts(cp_inbox_t *b, cp_json_t *page)
{
    cp_rc_t      rc;
    int64_t      total;
    unsigned     i;
    cp_rows_t    rows;
    cp_json_t   *counts;
    cp_arena_t  *a = b->r->op.arena;

    rc = cp_tx_query(b->tx, a, cp_arena_printf(a, "SELECT kind, COUNT(*)"
                     " FROM (%s) v WHERE " CP_INBOX_USED
                     " GROUP BY kind", b->view), b->args, b->n, &rows,
                     &b->r->op.err);

    if (rc != CP_OK) {
        return rc;
    }

    counts = cp_json_object(a);

    for (i = 0, total = 0; i < rows.rows; i++) {
        total += cp_cell(&rows, i, 1)->i;
        cp_json_put_int(a, counts,
                        cp_inbox_kinds[cp_cell(&rows, i, 0)->i].res->kind,
                        cp_cell(&rows, i, 1)->i);
    }

    cp_json_put_int(a, page, "total", total);
    cp_json_set(a, page, "counts", counts);

    return CP_OK;
}
