/*
 * GET /v1/tenants/{tenant}/effective-policies: what applies to a call, and
 * where it comes from.  The same gathering that feed bodies are made of.
 */

#include <string.h>

#include "auth/cp_auth.h"
#include "feed/cp_feed.h"
#include "kinds/cp_policy.h"
#include "rest/cp_list.h"


/* An MCP call's api is found when its endpoint has admitted the call, and its
 * caller is known. */
#define CP_ORDER_FOUND  (STOA_ORDER_TRANSFORM + 1)


static const unsigned  cp_effective_orders[] = {
    STOA_ORDER_ADMIT, STOA_ORDER_AUTHN, STOA_ORDER_ACCESS, CP_ORDER_FOUND,
    STOA_ORDER_SENT, STOA_ORDER_LATE, STOA_ORDER_LIMIT, STOA_ORDER_AUTHZ,
    STOA_ORDER_TRANSFORM
};


static cp_rc_t cp_effective_place(cp_req_t *r, cp_tx_t *tx,
    cp_place_of_t *at);
static cp_rc_t cp_effective_find(cp_req_t *r, cp_tx_t *tx,
    const cp_resource_t *res, const char *parent, const char **id);
static cp_rc_t cp_effective_plan(cp_req_t *r, cp_tx_t *tx,
    cp_place_of_t *at);
static cp_rc_t cp_effective_tried(cp_req_t *r, cp_tx_t *tx,
    const cp_place_t *p);
static cp_rc_t cp_effective_change(cp_req_t *r, cp_tx_t *tx,
    const cp_place_t *p);
static void cp_effective_compare(cp_arena_t *a, const cp_json_t *before,
    const cp_json_t *after, const char *action, cp_json_t *changes);
static const cp_json_t *cp_effective_match(const cp_json_t *items,
    const cp_json_t *item);
static cp_rc_t cp_effective_items(cp_req_t *r, cp_tx_t *tx,
    const cp_place_of_t *at, cp_json_t **items);
static unsigned cp_effective_when(const cp_place_of_t *at,
    const stoa_policy_type_t *type, const cp_policy_use_t *u);
static cp_rc_t cp_effective_types(cp_req_t *r, cp_tx_t *tx,
    const cp_place_of_t *at, const cp_policy_use_t *uses, unsigned n,
    unsigned order, cp_json_t *items);
static cp_rc_t cp_effective_item(cp_req_t *r, cp_names_t *names,
    const cp_policy_use_t *u, cp_json_t **item);
static cp_rc_t cp_effective_type(cp_req_t *r, cp_tx_t *tx,
    const cp_place_of_t *at, const stoa_policy_type_t *type,
    const cp_policy_use_t *u, cp_json_t *items);
static cp_rc_t cp_effective_counted(cp_req_t *r, cp_tx_t *tx,
    const stoa_policy_type_t *type, cp_json_t *item);
static cp_json_t *cp_effective_own(cp_arena_t *a,
    const stoa_policy_type_t *type, const cp_json_t *row);


cp_rc_t
cp_effective_route(cp_req_t *r)
{
    cp_rc_t         rc;
    cp_tx_t        *tx;
    cp_json_t      *answer, *items;
    cp_place_of_t   at;

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_effective_place(r, tx, &at);

    if (rc == CP_OK) {
        rc = cp_effective_items(r, tx, &at, &items);
    }

    cp_tx_rollback(tx);

    if (rc != CP_OK) {
        return rc;
    }

    answer = cp_json_object(r->op.arena);
    cp_json_set(r->op.arena, answer, "items", items);

    return cp_req_answer(r, 200, answer);
}


static cp_rc_t
cp_effective_place(cp_req_t *r, cp_tx_t *tx, cp_place_of_t *at)
{
    cp_rc_t     rc;
    unsigned    i;
    cp_json_t  *api;
    const struct {
        const cp_resource_t  *res;
        const char          **id;
    } places[] = {
        { &cp_res_gateway_group, &at->group },
        { &cp_res_server, &at->server },
        { &cp_res_api, &at->api },
        { &cp_res_plan, &at->plan },
        { &cp_res_application, &at->application }
    };

    memset(at, 0, sizeof(*at));
    at->above = true;

    rc = cp_ref_tenant(&r->op, tx, r->param[0], r->route->permission,
                       &at->tenant);

    for (i = 0; rc == CP_OK && i < sizeof(places) / sizeof(places[0]); i++) {
        rc = cp_effective_find(r, tx, places[i].res, at->tenant,
                               places[i].id);
    }

    at->tool = cp_req_query(r, "tool");

    if (rc == CP_OK && at->api == NULL
        && (at->tool || cp_req_query(r, "operation")))
    {
        return cp_err_field(&r->op.err, -1, 0, "api", "is required with an "
                            "operation or a tool");
    }

    if (rc == CP_OK && at->api) {
        rc = cp_effective_find(r, tx, &cp_res_operation, at->api,
                               &at->operation);
    }

    if (rc == CP_OK && at->api) {
        rc = cp_row_load(tx, r->op.arena, &cp_res_api, at->api, &api,
                         &r->op.err);
        at->mcp = rc == CP_OK && api
                  && strcmp(cp_json_str(api, "kind"), "mcp") == 0;
    }

    return rc == CP_OK && at->application && at->plan == NULL
           ? cp_effective_plan(r, tx, at) : rc;
}


/* A caller's plan is that of its subscription. */
static cp_rc_t
cp_effective_plan(cp_req_t *r, cp_tx_t *tx, cp_place_of_t *at)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, r->op.arena, "SELECT plan FROM subscriptions"
                     " WHERE application = $1 AND state = 'active'"
                     " AND (api = $2 OR server = $3)",
                     cp_args(cp_text(at->application),
                             cp_text(at->api ? at->api : ""),
                             cp_text(at->server ? at->server : "")),
                     &rows, &r->op.err);

    if (rc == CP_OK && rows.rows) {
        at->plan = cp_cell(&rows, 0, 0)->p;
    }

    return rc;
}


static cp_rc_t
cp_effective_find(cp_req_t *r, cp_tx_t *tx, const cp_resource_t *res,
    const char *parent, const char **id)
{
    cp_rc_t      rc;
    const char  *name;

    name = cp_req_query(r, res->kind);

    if (name == NULL) {
        return CP_OK;
    }

    rc = cp_ref_find(tx, r->op.arena, res, res->parent ? parent : NULL, name,
                     id, &r->op.err);

    return rc == CP_OK && *id == NULL
           ? cp_err_set(&r->op.err, "not_found", "there is no %s \"%.128s\"",
                        res->kind, name)
           : rc;
}


static cp_rc_t
cp_effective_items(cp_req_t *r, cp_tx_t *tx, const cp_place_of_t *at,
    cp_json_t **items)
{
    cp_rc_t           rc;
    unsigned          i, k, n, order;
    cp_json_t        *item;
    cp_names_t        names;
    cp_policy_use_t  *uses;

    rc = cp_policy_uses(tx, r->op.arena, at, &uses, &n, &r->op.err);
    if (rc != CP_OK) {
        return rc;
    }

    cp_names_init(&names, tx, r->op.arena, &r->op.err);
    *items = cp_json_array(r->op.arena);

    for (k = 0; k < sizeof(cp_effective_orders) / sizeof(unsigned); k++) {
        order = cp_effective_orders[k];

        /* what is attached there waits for what this finds out */

        if (order == STOA_ORDER_AUTHN || order == STOA_ORDER_ACCESS) {
            rc = cp_effective_types(r, tx, at, uses, n, order, *items);
        }

        for (i = 0; rc == CP_OK && i < n; i++) {
            if (cp_effective_when(at, uses[i].type, &uses[i]) != order) {
                continue;
            }

            rc = cp_effective_item(r, &names, &uses[i], &item);

            if (rc == CP_OK) {
                cp_json_push(*items, item);
                rc = cp_effective_counted(r, tx, uses[i].type, item);
            }
        }

        if (rc == CP_OK && order != STOA_ORDER_AUTHN
            && order != STOA_ORDER_ACCESS)
        {
            rc = cp_effective_types(r, tx, at, uses, n, order, *items);
        }

        if (rc != CP_OK) {
            return rc;
        }
    }

    return CP_OK;
}


/* u: one that is attached; NULL: what is asked for by itself. */
static unsigned
cp_effective_when(const cp_place_of_t *at, const stoa_policy_type_t *type,
    const cp_policy_use_t *u)
{
    bool  of_api;

    of_api = u ? u->scope == STOA_SCOPE_API
             : type->own == STOA_REC_API
               && !(type->flags & STOA_POLICY_DEFAULT);

    return type->order == STOA_ORDER_ADMIT && of_api && at->mcp
           ? CP_ORDER_FOUND
           : u ? (unsigned) stoa_policy_when(type, u->scope) : type->order;
}


static cp_rc_t
cp_effective_types(cp_req_t *r, cp_tx_t *tx, const cp_place_of_t *at,
    const cp_policy_use_t *uses, unsigned n, unsigned order,
    cp_json_t *items)
{
    size_t                     k;
    cp_rc_t                    rc;
    unsigned                   i;
    const stoa_policy_type_t  *type;

    rc = CP_OK;

    for (k = 0; rc == CP_OK && (type = stoa_policy_at(k)) != NULL; k++) {
        for (i = 0; i < n && uses[i].type != type; i++) { /* void */ }

        if (cp_effective_when(at, type, NULL) == order) {
            rc = cp_effective_type(r, tx, at, type, i < n ? &uses[i] : NULL,
                                   items);
        }
    }

    return rc;
}


/* What is in force without being attached: by itself, or by what fields of the
 * api and the plan ask for.  u: one that is attached. */
static cp_rc_t
cp_effective_type(cp_req_t *r, cp_tx_t *tx, const cp_place_of_t *at,
    const stoa_policy_type_t *type, const cp_policy_use_t *u,
    cp_json_t *items)
{
    cp_rc_t      rc;
    cp_json_t   *row, *config, *item;
    cp_arena_t  *a;
    const char  *source, *id, *state;

    a = r->op.arena;
    source = "default";
    state = "enabled";
    config = cp_json_object(a);

    if (type->flags & STOA_POLICY_DEFAULT) {
        if (u) {
            return CP_OK;
        }

    } else {
        source = type->own == STOA_REC_PLAN ? "plan" : "api";
        id = type->own == STOA_REC_PLAN ? at->plan : at->api;

        if (type->own == 0 || id == NULL) {
            return CP_OK;
        }

        rc = cp_row_load(tx, a, type->own == STOA_REC_PLAN ? &cp_res_plan
                                                           : &cp_res_api,
                         id, &row, &r->op.err);
        if (rc != CP_OK) {
            return rc;
        }

        config = row ? cp_effective_own(a, type, row) : NULL;
        if (config == NULL) {
            return CP_OK;
        }

        if (u && (type->flags & STOA_POLICY_STATE)) {
            state = cp_json_str(u->row, "state");
        }
    }

    item = cp_json_object(a);
    cp_json_put(a, item, "type", type->name);
    cp_json_put(a, item, "source", source);
    cp_json_put(a, item, "state", state);
    cp_json_put_bool(a, item, "in_force", strcmp(state, "disabled") != 0);
    cp_json_set(a, item, "config", config);
    cp_json_push(items, item);

    return cp_effective_counted(r, tx, type, item);
}


/* What is counted: for each gateway, or for all of them? */
static cp_rc_t
cp_effective_counted(cp_req_t *r, cp_tx_t *tx, const stoa_policy_type_t *type,
    cp_json_t *item)
{
    cp_rc_t      rc;
    const char  *how, *window;

    window = cp_json_str(cp_json_get(item, "config"), "algorithm");

    if (strcmp(type->name, "rate") == 0 || strcmp(type->name, "quota") == 0
        || (strcmp(type->name, "llm-tokens") == 0
            && cp_json_num(cp_json_get(item, "config"), "tokens", 0) > 0)
        || (strcmp(type->name, "rate-limit") == 0
            && (window == NULL || strcmp(window, "window") != 0)))
    {
        rc = cp_gateway_limits(tx, r->op.arena, &how, &r->op.err);

        if (rc != CP_OK) {
            return rc;
        }

    } else if (strcmp(type->name, "concurrency") == 0
               || strcmp(type->name, "rate-limit") == 0)
    {
        how = "per node";

    } else {
        return CP_OK;
    }

    cp_json_put(r->op.arena, item, "counted", how);

    return CP_OK;
}


/* NULL: none of the fields that count has a value. */
static cp_json_t *
cp_effective_own(cp_arena_t *a, const stoa_policy_type_t *type,
    const cp_json_t *row)
{
    bool              asks;
    size_t            i;
    cp_json_t        *config;
    const char       *name;
    const cp_json_t  *val;

    asks = false;
    config = cp_json_object(a);

    for (i = 0; type->fields[i]; i++) {
        val = cp_json_get(row, type->fields[i]);

        if (val == NULL) {
            continue;
        }

        asks |= i < type->asks
                && (val->i || val->n
                    || (val->type == CP_JSON_STRING
                        && strcmp(val->s, "none") != 0));

        name = i < type->config->nfields ? type->config->fields[i].name.data
                                         : type->fields[i];
        cp_json_set(a, config, name, cp_json_copy(a, val));
    }

    return asks ? config : NULL;
}


static cp_rc_t
cp_effective_item(cp_req_t *r, cp_names_t *names, const cp_policy_use_t *u,
    cp_json_t **item)
{
    cp_rc_t               rc;
    cp_json_t            *obj, *list, *m;
    cp_arena_t           *a;
    const char           *id;
    const cp_resource_t  *res;

    a = r->op.arena;
    res = u->global ? &cp_res_global_policy : &cp_res_policy;

    rc = cp_row_show(names, res, u->row, &obj);
    if (rc != CP_OK) {
        return rc;
    }

    /* the item of the shown list: with names */

    list = cp_json_get(u->row, "attach");
    m = cp_json_get(obj, "attach");
    m = m ? m->first : NULL;

    for (list = list->first; m && list != u->item; list = list->next) {
        m = m->next;
    }

    id = cp_json_str(obj, "name");
    *item = cp_json_object(a);
    cp_json_put(a, *item, "type", u->type->name);
    cp_json_put(a, *item, "source", res->kind);
    cp_json_put(a, *item, "policy", id);
    cp_json_put(a, *item, "scope", stoa_scope_name(u->scope));
    cp_json_set(a, *item, "attached", cp_json_copy(a, m));
    cp_json_put(a, *item, "state", cp_json_str(u->row, "state"));
    cp_json_put_bool(a, *item, "in_force", u->in_force);

    /* a tenant's people are told what there is, not how the platform has it */

    if (u->scope != STOA_SCOPE_GROUP || cp_auth_sees(&r->op.actor, "")) {
        cp_json_set(a, *item, "config",
                    cp_json_copy(a, cp_json_get(u->row, "config")));
    }

    return CP_OK;
}


/* POST: a policy as it would be, as a patch by its name, or "remove". */
cp_rc_t
cp_effective_try(cp_req_t *r)
{
    cp_place_t  p = { .res = &cp_res_policy };

    return cp_rest_write(r, &p, cp_effective_tried);
}


static cp_rc_t
cp_effective_tried(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p)
{
    cp_rc_t         rc;
    cp_json_t      *out, *before, *after, *changes;
    cp_arena_t     *a = r->op.arena;
    cp_place_of_t   at;

    rc = cp_effective_place(r, tx, &at);

    if (rc == CP_OK) {
        rc = cp_effective_items(r, tx, &at, &before);
    }

    if (rc == CP_OK) {
        rc = cp_effective_change(r, tx, p);
    }

    if (rc == CP_OK) {
        rc = cp_effective_items(r, tx, &at, &after);
    }

    if (rc != CP_OK) {
        return rc;
    }

    cp_rest_undo(r);

    changes = cp_json_array(a);
    cp_effective_compare(a, before, after, "removed", changes);
    cp_effective_compare(a, after, before, "added", changes);

    out = cp_json_object(a);
    cp_json_set(a, out, "before", before);
    cp_json_set(a, out, "after", after);
    cp_json_set(a, out, "changes", changes);

    return cp_req_answer(r, 200, out);
}


/* By the engine itself, so that what it would refuse is refused here. */
static cp_rc_t
cp_effective_change(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p)
{
    cp_rc_t      rc;
    cp_json_t   *in, *remove;
    cp_entry_t   e;
    const char  *name;
    cp_write_t   w = cp_write_of(&r->op, tx, p->res);

    rc = cp_req_json(r, &in);
    if (rc != CP_OK) {
        return rc;
    }

    name = cp_json_str(in, "name");

    if (name == NULL) {
        return cp_err_field(&r->op.err, -1, in->line, "name", "is required");
    }

    rc = cp_ref_find(tx, r->op.arena, p->res, p->parent, name, &w.id,
                     &r->op.err);
    if (rc != CP_OK) {
        return rc;
    }

    remove = cp_json_get(in, "remove");

    if (remove) {
        return remove->type != CP_JSON_BOOL || remove->i == 0
               ? cp_err_field(&r->op.err, -1, remove->line, "remove",
                              "must be true, or left out")
               : w.id == NULL
               ? cp_err_set(&r->op.err, "not_found", "there is no policy"
                            " \"%.128s\"", name)
               : cp_entry_delete(&w);
    }

    w.in = in;
    w.patch = w.id != NULL;

    if (w.id) {
        return cp_entry_update(&w, &e);
    }

    w.id = p->parent;

    return cp_entry_create(&w, &e);
}


/* What of `one` the other has not, or as something else, which is told once:
 * for what was. */
static void
cp_effective_compare(cp_arena_t *a, const cp_json_t *one,
    const cp_json_t *other, const char *action, cp_json_t *changes)
{
    cp_json_t        *change;
    const cp_json_t  *item, *same;

    for (item = one->first; item; item = item->next) {
        same = cp_effective_match(other, item);

        if (same && (cp_json_equal(item, same) || *action == 'a')) {
            continue;
        }

        change = cp_json_object(a);
        cp_json_put(a, change, "action", same ? "changed" : action);
        cp_json_put(a, change, "type", cp_json_str(item, "type"));

        if (same) {
            cp_json_set(a, change, "before", cp_json_copy(a, item));
            cp_json_set(a, change, "after", cp_json_copy(a, same));

        } else {
            cp_json_set(a, change, *action == 'a' ? "after" : "before",
                        cp_json_copy(a, item));
        }

        cp_json_push(changes, change);
    }
}


/* The same policy at the same place. */
static const cp_json_t *
cp_effective_match(const cp_json_t *items, const cp_json_t *item)
{
    unsigned                  i;
    const cp_json_t          *it, *x, *y;
    static const char *const  names[] = { "type", "source", "policy", "scope",
                                          "attached", NULL };

    for (it = items->first; it; it = it->next) {
        for (i = 0; names[i]; i++) {
            x = cp_json_get(it, names[i]);
            y = cp_json_get(item, names[i]);

            if ((x == NULL) != (y == NULL) || (x && !cp_json_equal(x, y))) {
                break;
            }
        }

        if (names[i] == NULL) {
            return it;
        }
    }

    return NULL;
}
