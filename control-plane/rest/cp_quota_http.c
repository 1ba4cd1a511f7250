/*
 * What is left of quotas, for both sides of a subscription.
 */

#include <string.h>

#include "auth/cp_auth.h"
#include "feed/cp_quota.h"
#include "rest/cp_list.h"


static cp_rc_t cp_quota_of_application(cp_req_t *r);
static cp_rc_t cp_quota_of_subscription(cp_req_t *r);


const cp_route_t  cp_quota_routes[] = {
    { "GET", "/v1/tenants/{tenant}/applications/{application}/quota",
      CP_AUTH_ADMIN, "usage:read", cp_quota_of_application, NULL,
      "What is left of the quotas of an application's subscriptions", NULL },
    { "GET", "/v1/tenants/{tenant}/subscriptions/{subscription}/quota",
      CP_AUTH_ADMIN, "usage:read", cp_quota_of_subscription, NULL,
      "What is left of a subscription's quotas", NULL },
    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};

/* What of a subscription says which it is. */
static const char *const  cp_quota_members[] = {
    "application", "target_tenant", "api", "server", "plan", "state", NULL
};


/* Keys are their consumer's. */
static cp_rc_t
cp_quota_item(cp_names_t *names, cp_arena_t *a, const cp_json_t *row,
    const cp_json_t *quotas, const char *tenant, cp_json_t **item)
{
    cp_rc_t           rc;
    unsigned          i;
    cp_json_t        *shown, *m;
    const cp_json_t  *quota;

    *item = cp_json_object(a);
    rc = cp_row_show(names, &cp_res_subscription, row, &shown);

    if (rc != CP_OK) {
        return rc;
    }

    cp_json_put(a, *item, "subscription", cp_json_str(row, "id"));

    for (i = 0; cp_quota_members[i]; i++) {
        m = cp_json_get(shown, cp_quota_members[i]);

        if (m && m->type == CP_JSON_STRING) {
            cp_json_put(a, *item, cp_quota_members[i], m->s);
        }
    }

    quota = cp_json_get(quotas, cp_json_str(row, "id"));

    for (m = quota ? quota->first : NULL; m; m = m->next) {
        if (strcmp(m->key, "credentials") != 0
            || strcmp(cp_json_str(row, "tenant"), tenant) == 0)
        {
            cp_json_set(a, *item, m->key, cp_json_copy(a, m));
        }
    }

    return CP_OK;
}


static cp_rc_t
cp_quota_place(cp_req_t *r, cp_tx_t *tx, cp_place_t *p)
{
    cp_rc_t  rc;

    rc = cp_rest_place(r, tx, p);

    return rc == CP_OK && p->id == NULL
           ? cp_err_set(&r->op.err, "not_found", "there is no such %s",
                        p->res->kind)
           : rc;
}


static cp_rc_t
cp_quota_items(cp_req_t *r, cp_tx_t *tx, const char *application,
    const char *tenant, cp_json_t *items)
{
    cp_rc_t      rc;
    cp_json_t   *quotas, *rows, *row, *item;
    cp_names_t   names;
    cp_arena_t  *a = r->op.arena;

    const cp_row_query_t  q = { "\"application\" = $1 AND \"state\" IN"
        " ('pending', 'active', 'suspended')", "\"id\"", CP_QUOTA_ROWS_MAX,
        false };

    rc = cp_quota_read(tx, a, application, &quotas, &r->op.err);

    if (rc == CP_OK) {
        rc = cp_row_select(tx, a, &cp_res_subscription, &q,
                           cp_args(cp_text(application)), &rows, &r->op.err);
    }

    cp_names_init(&names, tx, a, &r->op.err);

    for (row = rc == CP_OK ? rows->first : NULL; rc == CP_OK && row;
         row = row->next)
    {
        rc = cp_quota_item(&names, a, row, quotas, tenant, &item);
        cp_json_push(items, item);
    }

    return rc;
}


static cp_rc_t
cp_quota_of_application(cp_req_t *r)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_json_t   *out, *items;
    cp_place_t   p = { .res = &cp_res_application };

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    items = cp_json_array(r->op.arena);
    rc = cp_quota_place(r, tx, &p);

    if (rc == CP_OK) {
        rc = cp_quota_items(r, tx, p.id, p.tenant, items);
    }

    cp_tx_rollback(tx);

    if (rc != CP_OK) {
        return rc;
    }

    out = cp_json_object(r->op.arena);
    cp_json_set(r->op.arena, out, "items", items);

    return cp_req_answer(r, 200, out);
}


static cp_rc_t
cp_quota_of_subscription(cp_req_t *r)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_json_t   *row, *quotas, *out;
    cp_names_t   names;
    cp_arena_t  *a = r->op.arena;
    cp_place_t   p = { .res = &cp_res_subscription };

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_quota_place(r, tx, &p);

    if (rc == CP_OK) {
        rc = cp_row_load(tx, a, p.res, p.id, &row, &r->op.err);
    }

    if (rc == CP_OK && row == NULL) {
        rc = cp_err_set(&r->op.err, "not_found", "there is no such %s",
                        p.res->kind);
    }

    if (rc == CP_OK) {
        rc = cp_quota_read(tx, a, cp_json_str(row, "application"), &quotas,
                           &r->op.err);
    }

    if (rc == CP_OK) {
        cp_names_init(&names, tx, a, &r->op.err);
        rc = cp_quota_item(&names, a, row, quotas, p.tenant, &out);
    }

    cp_tx_rollback(tx);

    return rc == CP_OK ? cp_req_answer(r, 200, out) : rc;
}
