/*
 * What a consumer needs beside the resources: the plans of publishers whose
 * apis it sees, what another plan would change, and moving a subscription to
 * another of its applications.
 */

#include <inttypes.h>
#include <string.h>

#include "auth/cp_auth.h"
#include "feed/cp_quota.h"
#include "kinds/cp_hold.h"
#include "kinds/cp_kind.h"
#include "kinds/cp_notice.h"
#include "resource/cp_told.h"
#include "rest/cp_list.h"


#define CP_OFFER_APIS_MAX  100


static cp_rc_t cp_offers_get(cp_req_t *r);
static cp_rc_t cp_offers_select(cp_req_t *r, cp_tx_t *tx, const char *tenant,
    const char *key, int64_t limit, cp_json_t *page);
static cp_rc_t cp_offers_apis(cp_req_t *r, cp_tx_t *tx, const char *tenant,
    const char *publisher, cp_json_t *item);
static cp_rc_t cp_preview_post(cp_req_t *r);
static cp_rc_t cp_preview_write(cp_req_t *r, cp_tx_t *tx,
    const cp_place_t *p);
static void cp_preview_changes(cp_arena_t *a, cp_json_t *out);
static cp_rc_t cp_preview_used(cp_req_t *r, cp_tx_t *tx, const char *id,
    const char *plan, cp_json_t *out);
static cp_rc_t cp_transfer_post(cp_req_t *r);
static cp_rc_t cp_transfer_write(cp_req_t *r, cp_tx_t *tx,
    const cp_place_t *p);
static cp_rc_t cp_transfer_check(cp_req_t *r, cp_tx_t *tx,
    const cp_json_t *row, const char *to, bool *again);
static cp_rc_t cp_transfer_tell(cp_req_t *r, const cp_write_t *w,
    const cp_json_t *before, const cp_json_t *after);


const cp_route_t  cp_offers_routes[] = {
    { "GET", "/v1/tenants/{tenant}/offers", CP_AUTH_ADMIN, "plan:read",
      cp_offers_get, NULL,
      "Plans of other tenants whose apis this one sees",
      "publisher limit cursor" },
    { "POST", "/v1/tenants/{tenant}/subscriptions/{subscription}/plan-preview",
      CP_AUTH_ADMIN, "subscription:write", cp_preview_post,
      &cp_res_subscription, "What another plan would change", "wait" },
    { "POST", "/v1/tenants/{tenant}/subscriptions/{subscription}/transfer",
      CP_AUTH_ADMIN, "subscription:write", cp_transfer_post,
      &cp_res_subscription,
      "Move a subscription to another application of the tenant", "wait" },
    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};

static const cp_field_t  preview_fields[] = {
    F("plan", CP_F_NAME, RQ, 0, 0, NULL, "of the same publisher"),
    F_END
};

static const cp_field_t  transfer_fields[] = {
    F("application", CP_F_NAME, RQ, 0, 0, NULL, "of the same tenant"),
    F_END
};

/* What of a plan a consumer is told. */
static const char *const  cp_offer_members[] = {
    "title", "rate", "per_ms", "burst", "quota_day", "quota_month",
    "concurrency", "limit_by", "approval", "auto_roles", NULL
};

/* Those of it that limit. */
static const char *const  cp_offer_limits[] = {
    "rate", "per_ms", "burst", "quota_day", "quota_month", "concurrency",
    "limit_by", NULL
};

/* An api that the tenant of $1 may subscribe to. */
#define CP_OFFER_SEEN                                                         \
    "a.state IN ('published', 'deprecated') AND (a.audience = 'public'"       \
    " OR (a.audience = 'partner' AND a.partners LIKE '%\"' || $1 || '\"%'))"


static cp_rc_t
cp_offers_get(cp_req_t *r)
{
    cp_rc_t      rc;
    int64_t      limit;
    cp_tx_t     *tx;
    cp_json_t   *page;
    const char  *key, *tenant;

    rc = cp_list_range(r, &limit, &key);
    if (rc != CP_OK) {
        return rc;
    }

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    page = cp_json_object(r->op.arena);
    rc = cp_ref_tenant(&r->op, tx, r->param[0], "plan:read", &tenant);

    if (rc == CP_OK) {
        rc = cp_offers_select(r, tx, tenant, key, limit, page);
    }

    cp_tx_rollback(tx);

    return rc == CP_OK ? cp_req_answer(r, 200, page) : rc;
}


static cp_rc_t
cp_offers_select(cp_req_t *r, cp_tx_t *tx, const char *tenant,
    const char *key, int64_t limit, cp_json_t *page)
{
    cp_rc_t      rc;
    int64_t      n;
    unsigned     i;
    cp_json_t   *rows, *row, *items, *item, *obj;
    cp_names_t   names;
    cp_arena_t  *a = r->op.arena;
    const char  *publisher, *last;

    cp_row_query_t  q = { "\"state\" = 'active' AND \"tenant\" <> $1"
                          " AND \"id\" > $2 AND \"tenant\" IN (SELECT t.id"
                          " FROM tenants t WHERE t.state = 'active'"
                          " AND ($3 = '' OR t.name = $3) AND EXISTS"
                          " (SELECT 1 FROM apis a WHERE a.tenant = t.id AND "
                          CP_OFFER_SEEN "))", "\"id\"", limit + 1, false };

    publisher = cp_req_query(r, "publisher");

    rc = cp_row_select(tx, a, &cp_res_plan, &q,
                       cp_args(cp_text(tenant), cp_text(key),
                               cp_text(publisher ? publisher : "")),
                       &rows, &r->op.err);
    if (rc != CP_OK) {
        return rc;
    }

    cp_names_init(&names, tx, a, &r->op.err);
    items = cp_json_array(a);
    last = NULL;

    for (row = rows->first, n = 0; row && n < limit; row = row->next, n++) {
        rc = cp_row_show(&names, &cp_res_plan, row, &obj);

        item = cp_json_object(a);
        cp_json_put(a, item, "publisher", cp_json_str(obj, "tenant"));
        cp_json_put(a, item, "plan", cp_json_str(obj, "name"));

        for (i = 0; rc == CP_OK && cp_offer_members[i]; i++) {
            if (cp_json_get(obj, cp_offer_members[i])) {
                cp_json_set(a, item, cp_offer_members[i],
                            cp_json_copy(a, cp_json_get(obj,
                                                cp_offer_members[i])));
            }
        }

        if (rc == CP_OK) {
            rc = cp_offers_apis(r, tx, tenant, cp_json_str(row, "tenant"),
                                item);
        }

        if (rc != CP_OK) {
            return rc;
        }

        last = cp_json_str(row, "id");
        cp_json_push(items, item);
    }

    cp_json_set(a, page, "items", items);

    if (row) {
        cp_json_put(a, page, "next", cp_list_cursor(a, last));
    }

    return CP_OK;
}


/* What the plan can be subscribed to with. */
static cp_rc_t
cp_offers_apis(cp_req_t *r, cp_tx_t *tx, const char *tenant,
    const char *publisher, cp_json_t *item)
{
    cp_rc_t      rc;
    unsigned     i;
    cp_rows_t    rows;
    cp_json_t   *apis;
    cp_arena_t  *a = r->op.arena;

    rc = cp_tx_query(tx, a, "SELECT a.name FROM apis a WHERE a.tenant = $2"
                     " AND " CP_OFFER_SEEN " ORDER BY a.name LIMIT $3",
                     cp_args(cp_text(tenant), cp_text(publisher),
                             cp_int(CP_OFFER_APIS_MAX)), &rows, &r->op.err);

    apis = cp_json_array(a);

    for (i = 0; rc == CP_OK && i < rows.rows; i++) {
        cp_json_push(apis, cp_json_string(a, cp_cell(&rows, i, 0)->p));
    }

    cp_json_set(a, item, "apis", apis);

    return rc;
}


/* ---- another plan ------------------------------------------------------- */

static cp_rc_t
cp_preview_post(cp_req_t *r)
{
    cp_place_t  p = { .res = r->route->data };

    return cp_rest_write(r, &p, cp_preview_write);
}


static cp_rc_t
cp_sub_load(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p, cp_json_t **row)
{
    cp_rc_t  rc;

    rc = cp_row_load(tx, r->op.arena, p->res, p->id, row, &r->op.err);

    return rc == CP_OK && (*row == NULL
                           || !cp_entry_visible(&r->op.actor, p->res, *row))
           ? cp_err_set(&r->op.err, "not_found", "there is no such %s",
                        p->res->kind)
           : rc;
}


/* The limits of a plan, by its id. */
static cp_rc_t
cp_preview_plan(cp_req_t *r, cp_tx_t *tx, const char *id, cp_json_t *out,
    const char *member)
{
    cp_rc_t      rc;
    unsigned     i;
    cp_json_t   *row, *plan;
    cp_arena_t  *a = r->op.arena;

    rc = cp_row_load(tx, a, &cp_res_plan, id, &row, &r->op.err);

    if (rc != CP_OK || row == NULL) {
        return rc;
    }

    plan = cp_json_object(a);
    cp_json_put(a, plan, "name", cp_json_str(row, "name"));

    for (i = 0; cp_offer_limits[i]; i++) {
        cp_json_set(a, plan, cp_offer_limits[i],
                    cp_json_copy(a, cp_json_get(row, cp_offer_limits[i])));
    }

    cp_json_set(a, out, member, plan);

    return CP_OK;
}


/* The change is made and taken back: what it would be told it is told here. */
static cp_rc_t
cp_preview_write(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p)
{
    cp_rc_t      rc;
    cp_err_t     err = r->op.err;
    cp_json_t   *in, *row, *out;
    cp_entry_t   e;
    cp_arena_t  *a = r->op.arena;
    cp_write_t   w = cp_write_of(&r->op, tx, p->res);

    const cp_validate_t  v = { a, &r->op.err, -1, false };

    rc = cp_req_json(r, &in);

    if (rc == CP_OK) {
        rc = cp_validate(&v, preview_fields, in, NULL, &in);
    }

    if (rc == CP_OK) {
        rc = cp_sub_load(r, tx, p, &row);
    }

    out = cp_json_object(a);

    if (rc == CP_OK) {
        rc = cp_preview_plan(r, tx, cp_json_str(row, "plan"), out, "from");
    }

    if (rc == CP_OK) {
        rc = cp_preview_used(r, tx, p->id, cp_json_str(row, "plan"), out);
    }

    if (rc != CP_OK) {
        return rc;
    }

    w.id = p->id;
    w.in = in;
    w.patch = true;
    rc = cp_entry_update(&w, &e);
    cp_rest_undo(r);

    cp_json_put_bool(a, out, "possible", rc == CP_OK);

    if (rc == CP_DECLINED) {
        cp_json_put(a, out, "detail", r->op.err.n
                    ? r->op.err.faults[0].message : r->op.err.detail);
        r->op.err = err;
        return cp_req_answer(r, 200, out);
    }

    if (rc == CP_OK) {
        rc = cp_preview_plan(r, tx, cp_json_str(e.row, "plan"), out, "to");
    }

    if (rc == CP_OK) {
        rc = cp_preview_used(r, tx, p->id, cp_json_str(e.row, "plan"), out);
    }

    if (rc != CP_OK) {
        return rc;
    }

    cp_preview_changes(a, out);

    return cp_req_answer(r, 200, out);
}


static void
cp_preview_changes(cp_arena_t *a, cp_json_t *out)
{
    unsigned     i;
    cp_json_t   *changes, *one, *from, *to;
    const char  *m;

    changes = cp_json_object(a);

    for (i = 0; (m = cp_offer_limits[i]) != NULL; i++) {
        from = cp_json_get(cp_json_get(out, "from"), m);
        to = cp_json_get(cp_json_get(out, "to"), m);

        if (!cp_json_equal(from, to)) {
            one = cp_json_object(a);
            cp_json_set(a, one, "before", cp_json_copy(a, from));
            cp_json_set(a, one, "after", cp_json_copy(a, to));
            cp_json_set(a, changes, m, one);
        }
    }

    cp_json_set(a, out, "changes", changes);
}


/* What counts against the quotas already, in the windows of a plan. */
static cp_rc_t
cp_preview_used(cp_req_t *r, cp_tx_t *tx, const char *id, const char *plan,
    cp_json_t *out)
{
    cp_rc_t              rc;
    cp_rows_t            rows;
    cp_json_t           *used;
    cp_arena_t          *a = r->op.arena;
    cp_quota_windows_t   w;

    rc = cp_tx_query(tx, a, "SELECT COALESCE(time_zone, '') FROM plans"
                     " WHERE id = $1", cp_args(cp_text(plan)), &rows,
                     &r->op.err);
    if (rc != CP_OK) {
        return rc;
    }

    cp_quota_began(a, rows.rows ? cp_cell(&rows, 0, 0)->p : NULL,
                   cp_time_ms(), &w);

    rc = cp_tx_query(tx, a, "SELECT CAST(COALESCE(SUM(d), 0) AS BIGINT),"
                     " CAST(COALESCE(SUM(m), 0) AS BIGINT) FROM ("
                     CP_QUOTA_CALLS("u.subscription", "",
                                    "u.subscription = $5 AND u.tenant ="
                                    " (SELECT target_tenant FROM"
                                    " subscriptions WHERE id = $5)") ") c",
                     cp_args(cp_quota_args(&w), cp_text(id)), &rows,
                     &r->op.err);

    if (rc == CP_OK) {
        used = cp_json_object(a);
        cp_json_put_int(a, used, "day", cp_cell(&rows, 0, 0)->i);
        cp_json_put_int(a, used, "month", cp_cell(&rows, 0, 1)->i);
        cp_json_set(a, out, "used", used);
    }

    return rc;
}


/* ---- another application ------------------------------------------------ */

static cp_rc_t
cp_transfer_post(cp_req_t *r)
{
    cp_place_t  p = { .res = r->route->data };

    return cp_rest_write(r, &p, cp_transfer_write);
}


static cp_rc_t
cp_transfer_write(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p)
{
    bool         again, changed;
    cp_rc_t      rc;
    cp_json_t   *in, *row, *after;
    cp_arena_t  *a = r->op.arena;
    cp_write_t   w = cp_write_of(&r->op, tx, p->res);
    const char  *to, *target;

    const cp_validate_t  v = { a, &r->op.err, -1, false };

    again = false;
    rc = cp_req_json(r, &in);

    if (rc == CP_OK) {
        rc = cp_validate(&v, transfer_fields, in, NULL, &in);
    }

    if (rc == CP_OK) {
        rc = cp_sub_load(r, tx, p, &row);
    }

    if (rc == CP_OK) {
        rc = cp_auth_may(&r->op, "subscription:write",
                         cp_json_str(row, "tenant"));
    }

    if (rc == CP_OK) {
        rc = cp_ref_find(tx, a, &cp_res_application,
                         cp_json_str(row, "tenant"),
                         cp_json_str(in, "application"), &to, &r->op.err);
    }

    if (rc == CP_OK) {
        rc = to == NULL
             ? cp_err_field(&r->op.err, -1, 0, "application",
                            "there is no such application")
             : cp_transfer_check(r, tx, row, to, &again);
    }

    if (rc != CP_OK) {
        return rc;
    }

    target = cp_subscription_to(row);
    after = cp_json_copy(a, row);
    cp_json_put(a, after, "application", to);

    if (again) {
        cp_json_put(a, after, "state", "pending");
    }

    rc = cp_row_update(tx, a, p->res, row, after, &changed, &r->op.err);

    if (rc == CP_OK) {
        rc = cp_sub_pair(tx, a, cp_json_str(row, "application"), target,
                         &r->op.err);
    }

    if (rc == CP_OK) {
        rc = cp_sub_pair(tx, a, to, target, &r->op.err);
    }

    w.id = p->id;

    return rc == CP_OK ? cp_transfer_tell(r, &w, row, after) : rc;
}


/*
 * The publisher's decisions are about the application: one that he has limited
 * does not pass its subscription on, and where he approves, he is asked again.
 */
static cp_rc_t
cp_transfer_check(cp_req_t *r, cp_tx_t *tx, const cp_json_t *row,
    const char *to, bool *again)
{
    bool         publisher;
    cp_rc_t      rc;
    cp_rows_t    rows;
    const char  *state;

    state = cp_json_str(row, "state");
    publisher = cp_hold_is_publisher(&r->op, row);

    if (strcmp(state, "pending") != 0 && strcmp(state, "active") != 0
        && strcmp(state, "suspended") != 0)
    {
        return cp_err_set(&r->op.err, "conflict", "it is %s", state);
    }

    rc = cp_tx_query(tx, r->op.arena, "SELECT (SELECT COUNT(*)"
                     " FROM subscriptions WHERE application = $2"
                     " AND COALESCE(api, server) = $3"
                     " AND state IN ('pending', 'active', 'suspended')),"
                     " (SELECT COUNT(*) FROM subscription_holds"
                     " WHERE application IN ($1, $2) AND target = $3),"
                     " (SELECT COUNT(*) FROM plans WHERE id = $4"
                     " AND approval = 'manual')",
                     cp_args(cp_text(cp_json_str(row, "application")),
                             cp_text(to), cp_text(cp_subscription_to(row)),
                             cp_text(cp_json_str(row, "plan"))), &rows,
                     &r->op.err);

    if (rc != CP_OK) {
        return rc;
    }

    if (cp_cell(&rows, 0, 0)->i) {
        return cp_err_set(&r->op.err, "already_exists", "the application has"
                          " a subscription to it");
    }

    if (cp_cell(&rows, 0, 1)->i && !publisher) {
        return cp_err_set(&r->op.err, "conflict", "its publisher has limited"
                          " it: he moves it");
    }

    *again = cp_cell(&rows, 0, 2)->i && !publisher
             && strcmp(state, "active") == 0;

    return CP_OK;
}


static cp_rc_t
cp_transfer_tell(cp_req_t *r, const cp_write_t *w, const cp_json_t *before,
    const cp_json_t *after)
{
    cp_rc_t            rc;
    cp_json_t         *old, *obj;
    cp_names_t         names;
    cp_arena_t        *a = r->op.arena;
    cp_notice_t        n = { .kind = CP_NOTICE_MOVED, .about = "subscription",
                             .id = w->id };
    cp_audit_event_t   e = { .action = "transfer", .kind = w->res->kind,
                             .id = w->id };

    cp_names_init(&names, w->tx, a, &r->op.err);
    rc = cp_row_show(&names, w->res, before, &old);

    if (rc == CP_OK) {
        rc = cp_row_show(&names, w->res, after, &obj);
    }

    if (rc == CP_OK) {
        e.tenant = cp_json_str(after, "tenant");
        e.name = cp_told_name(a, w->res, obj);
        e.diff = cp_change_diff(a, w->res, old, obj);
        rc = cp_told_append(w, &e, after);
    }

    if (rc == CP_OK && strcmp(cp_json_str(after, "tenant"),
                              cp_json_str(after, "target_tenant")) != 0)
    {
        n.tenant = cp_json_str(after, "target_tenant");
        n.text = cp_arena_printf(a, "The subscription of %s/%s is that of %s"
                                 " now; it is %s.", cp_json_str(obj, "tenant"),
                                 cp_json_str(old, "application"),
                                 cp_json_str(obj, "application"),
                                 cp_json_str(obj, "state"));
        rc = cp_notice_add(&r->op, w->tx, &n);
    }

    if (rc != CP_OK) {
        return rc;
    }

    cp_req_set_header(r, "ETag", cp_etag(a, after));

    return cp_req_answer(r, 200, obj);
}
