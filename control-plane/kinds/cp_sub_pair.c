/*
 * What gateways get of subscriptions: a record per application and target.
 */

#include <stdlib.h>
#include <string.h>

#include "kinds/cp_kind.h"


static cp_rc_t cp_sub_tools(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *sub,
    cp_json_t **out, cp_err_t *err);
static cp_rc_t cp_sub_bound(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *sub,
    cp_bound_t **bound, unsigned *n, cp_err_t *err);
static int cp_id_cmp(const void *one, const void *two);


static const cp_body_t  cp_subscription_body[] = {
    BODY_ROWS(STOA_SUBSCRIPTION_FIELDS, "") { NULL }
};


const char *
cp_subscription_to(const cp_json_t *sub)
{
    const char  *id;

    id = cp_json_str(sub, "api");

    return id ? id : cp_json_str(sub, "server");
}


/*
 * A record per application and target, whatever number of ended subscriptions
 * there is: the one that counts, else the youngest, so that a refusal can say
 * why.
 */
cp_rc_t
cp_sub_pair(cp_tx_t *tx, cp_arena_t *a, const char *application,
    const char *target, cp_err_t *err)
{
    cp_rc_t         rc;
    cp_json_t      *rows, *sub, *body, *tools;
    cp_feed_row_t   row = { .kind = "subscription" };
    cp_row_query_t  q = { "\"application\" = $1"
                          " AND COALESCE(\"api\", \"server\") = $2"
                          " AND \"state\" <> 'rejected'",
                          "CASE WHEN \"state\" IN ('pending', 'active',"
                          " 'suspended') THEN 0 ELSE 1 END,"
                          " \"created_at\" DESC, \"id\" DESC", 1, false };

    rc = cp_row_select(tx, a, cp_resource_find("subscription"), &q,
                       cp_args(cp_text(application), cp_text(target)), &rows,
                       err);
    if (rc != CP_OK) {
        return rc;
    }

    row.key = cp_arena_printf(a, "sub:%s:%s", application, target);
    sub = rows->first;


    rc = cp_body_make(tx, a, cp_subscription_body, sub, &body, err);
    if (rc != CP_OK) {
        return rc;
    }

    if (body == NULL) {
        return cp_body_put(tx, a, row, NULL, err);
    }

    cp_json_put(a, body, "target", target);
    cp_json_put(a, body, "target_kind",
                cp_json_get(sub, "api") ? "api" : "server");

    if (cp_json_get(sub, "tools")) {
        rc = cp_sub_tools(tx, a, sub, &tools, err);
        if (rc != CP_OK) {
            return rc;
        }

        cp_json_set(a, body, "tools", tools);
    }

    return cp_body_put(tx, a, row, body, err);
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
