/*
 * Promotions: an api, as it is now at one gateway group, becomes that at
 * another one, where it is an api of its own.  Who asked does not approve.
 */

#include <string.h>

#include "auth/cp_auth.h"
#include "kinds/cp_kind.h"
#include "kinds/cp_promote.h"


#define CP_PROMOTIONS_PENDING  100     /* of a tenant                        */
#define CP_PROMOTIONS_KEPT     1000


static cp_rc_t cp_promotion_check(const cp_write_t *w,
    const cp_json_t *before, cp_json_t *after);
static cp_rc_t cp_promotion_room(const cp_write_t *w, const char *tenant,
    const char *target);
static cp_rc_t cp_promotion_there(const cp_write_t *w, const char *id,
    const char *group);
static cp_rc_t cp_promotion_event(const cp_write_t *w, const char *event,
    const cp_json_t *args, const cp_json_t *before, cp_json_t *after);
static cp_rc_t cp_promotion_approve(const cp_write_t *w,
    const cp_json_t *before, cp_json_t *after);
static cp_rc_t cp_promotion_make(const cp_write_t *w, const cp_json_t *p,
    const char **id);
static cp_rc_t cp_promotion_rollback(const cp_write_t *w,
    const cp_json_t *before);


static const cp_field_t  promotion_fields[] = {
    BASE_ID, BASE_STATE, BASE_TENANT,
    F_REF("api", RQ|IM|FI, "api", NULL, "what is promoted"),
    F_REF("to", RQ|IM|FI, "gateway_group", NULL, "gateways that get it"),
    F("target", CP_F_NAME, IM|FI, 0, 0, NULL,
      "the api there, made if it is not yet; default: the api's name, - and "
      "the group's"),
    F("instead", CP_F_JSON, IM, 0, 16384, NULL,
      "members of an api that is made there: upstream, host, base_path"),
    F("reason", CP_F_STRING, IM, 0, 500, NULL, "why"),
    F("requested_by", CP_F_STRING, RO, 0, 128, NULL, "who asked"),
    F("requester", CP_F_STRING, RO|SC, 0, 32, NULL, "the same, by its id"),
    F("decided_by", CP_F_STRING, RO, 0, 128, NULL, "who said so"),
    F("decided_at", CP_F_TIME, RO, 0, 0, NULL, "when"),
    F("decision", CP_F_STRING, RO, 0, 500, NULL, "why"),
    F("diff", CP_F_JSON, RO|WH, 0, 0, NULL,
      "what it changes at the target: members, operations, document"),
    F("snapshot", CP_F_JSON, RO|WH, 0, 0, NULL,
      "the api as it was when it was asked for, which is what is promoted"),
    F("before", CP_F_JSON, RO|WH, 0, 0, NULL,
      "what the target was; rollback puts it back"),
    BASE_TIMES,
    F_END
};

static const cp_field_t  promotion_args[] = {
    F("reason", CP_F_STRING, 0, 0, 500, NULL, "why"), F_END
};

static const cp_transition_t  promotion_transitions[] = {
    { "approve", { "pending" }, "applied", "promotion:approve",
      promotion_args },
    { "reject", { "pending" }, "rejected", "promotion:approve",
      promotion_args },
    { "withdraw", { "pending" }, "withdrawn", "promotion:write",
      promotion_args },
    { "rollback", { "applied" }, "rolled_back", "promotion:approve",
      promotion_args },
    T_END
};

const cp_resource_t  cp_res_promotion = {
    .kind = "promotion", .plural = "promotions", .table = "promotions",
    .parent = "tenant", .by_id = true, .called = "api to target",
    .fields = promotion_fields, .transitions = promotion_transitions,
    .initial = "pending", .check = cp_promotion_check,
    .event = cp_promotion_event
};


/* What an api that is made may have of its own. */
static const char *const  cp_promotion_instead[] = { "upstream", "host",
    "base_path", NULL };


/* The name of the row whose id it is. */
static cp_rc_t
cp_promotion_name(const cp_write_t *w, const cp_resource_t *res,
    const char *id, const char **name)
{
    cp_rc_t     rc;
    cp_names_t  names;

    cp_names_init(&names, w->tx, w->op->arena, &w->op->err);
    rc = cp_names_get(&names, res, id, name);
    *name = *name ? *name : "";

    return rc;
}


static cp_rc_t
cp_promotion_own(const cp_write_t *w, const cp_json_t *row)
{
    unsigned          i;
    const cp_json_t  *m;

    m = cp_json_get(row, "instead");

    for (m = m ? m->first : NULL; m; m = m->next) {
        for (i = 0; cp_promotion_instead[i]
             && (m->key == NULL
                 || strcmp(cp_promotion_instead[i], m->key) != 0); i++)
        {
            /* void */
        }

        if (cp_promotion_instead[i] == NULL) {
            return cp_fault_at(w->op, row, "instead",
                               "may have upstream, host and base_path");
        }
    }

    return CP_OK;
}


static cp_rc_t
cp_promotion_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after)
{
    cp_rc_t           rc;
    cp_json_t        *from, *was, *diff;
    cp_arena_t       *a = w->op->arena;
    const char       *tenant, *api, *group, *target, *name, *id;

    if (before) {
        return CP_OK;
    }

    tenant = cp_json_str(after, "tenant");
    api = cp_json_str(after, "api");
    target = cp_json_str(after, "target");
    rc = cp_promotion_name(w, &cp_res_gateway_group, cp_json_str(after, "to"),
                           &group);

    if (rc == CP_OK) {
        rc = cp_promotion_name(w, &cp_res_api, api, &name);
    }

    if (rc == CP_OK && target == NULL) {
        target = cp_arena_printf(a, "%s-%s", name, group);
        cp_json_put(a, after, "target", target);
    }

    if (rc == CP_OK && strlen(target) > STOA_NAME_MAX) {
        rc = cp_fault_at(w->op, after, "target", "is needed: the names are"
                         " too long together");
    }

    if (rc == CP_OK) {
        rc = cp_promotion_own(w, after);
    }

    if (rc == CP_OK) {
        rc = cp_promotion_room(w, tenant, target);
    }

    if (rc == CP_OK) {
        rc = cp_promote_find(w->op, w->tx, tenant, target, &id);
    }

    if (rc == CP_OK && id && strcmp(id, api) == 0) {
        rc = cp_fault_at(w->op, after, "target", "is the api itself");
    }

    if (rc == CP_OK && id) {
        rc = cp_promotion_there(w, id, cp_json_str(after, "to"));
    }

    if (rc == CP_OK) {
        rc = cp_promote_state(w->op, w->tx, api, &from);
    }

    if (rc == CP_OK) {
        rc = cp_promote_state(w->op, w->tx, id, &was);
    }

    if (rc != CP_OK) {
        return rc;
    }

    diff = cp_promote_diff(a, was, from);

    if (id && diff->n == 0) {
        return cp_err_set(&w->op->err, "conflict", "\"%s\" is what \"%s\""
                          " is already", target, name);
    }

    cp_json_set(a, after, "diff", diff);
    cp_json_set(a, after, "snapshot", from);
    cp_json_set(a, after, "before", was);
    cp_json_put(a, after, "requested_by", w->op->actor.name);
    cp_json_put(a, after, "requester", cp_auth_self(&w->op->actor));

    return CP_OK;
}


/* One at a time for a target; what is over goes in the end. */
static cp_rc_t
cp_promotion_room(const cp_write_t *w, const char *tenant, const char *target)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(w->tx, w->op->arena, "SELECT COUNT(*), SUM(CASE WHEN"
                     " target = $2 THEN 1 ELSE 0 END) FROM promotions"
                     " WHERE tenant = $1 AND state = 'pending'",
                     cp_args(cp_text(tenant), cp_text(target)), &rows,
                     &w->op->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (cp_cell(&rows, 0, 1)->i) {
        return cp_err_set(&w->op->err, "conflict", "another promotion to"
                          " \"%s\" waits", target);
    }

    if (cp_cell(&rows, 0, 0)->i >= CP_PROMOTIONS_PENDING) {
        return cp_err_set(&w->op->err, "conflict", "%d promotions wait",
                          CP_PROMOTIONS_PENDING);
    }

    return cp_tx_query(w->tx, w->op->arena, "DELETE FROM promotions"
                       " WHERE tenant = $1 AND state <> 'pending' AND id <"
                       " (SELECT id FROM promotions WHERE tenant = $1"
                       " ORDER BY id DESC LIMIT 1 OFFSET $2)",
                       cp_args(cp_text(tenant), cp_int(CP_PROMOTIONS_KEPT)),
                       NULL, &w->op->err);
}


/* A target is at gateways of the group and at no others. */
static cp_rc_t
cp_promotion_there(const cp_write_t *w, const char *id, const char *group)
{
    cp_rc_t     rc;
    cp_rows_t   rows;
    const char  *only;

    rc = cp_tx_query(w->tx, w->op->arena, "SELECT name, gateway_groups"
                     " FROM apis WHERE id = $1", cp_args(cp_text(id)), &rows,
                     &w->op->err);
    if (rc != CP_OK) {
        return rc;
    }

    only = cp_cell(&rows, 0, 1)->p;

    return only && strcmp(only, cp_arena_printf(w->op->arena, "[\"%s\"]",
                                                group)) == 0
           ? CP_OK
           : cp_err_set(&w->op->err, "conflict", "\"%s\" is not an api of"
                        " that group alone", cp_cell(&rows, 0, 0)->p);
}


static cp_rc_t
cp_promotion_event(const cp_write_t *w, const char *event,
    const cp_json_t *args, const cp_json_t *before, cp_json_t *after)
{
    cp_rc_t      rc;
    cp_arena_t  *a = w->op->arena;

    rc = strcmp(event, "approve") == 0
         ? cp_promotion_approve(w, before, after)
         : strcmp(event, "rollback") == 0 ? cp_promotion_rollback(w, before)
         : CP_OK;

    cp_json_put(a, after, "decided_by", w->op->actor.name);
    cp_json_put_int(a, after, "decided_at", cp_time_ms());

    if (cp_json_str(args, "reason")) {
        cp_json_put(a, after, "decision", cp_json_str(args, "reason"));
    }

    return rc;
}


/* Four eyes; and what was looked at is what is promoted, onto what was looked
 * at. */
static cp_rc_t
cp_promotion_approve(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after)
{
    cp_rc_t      rc;
    cp_json_t   *now;
    const char  *id, *requester;

    requester = cp_json_str(before, "requester");

    if (requester && strcmp(requester, cp_auth_self(&w->op->actor)) == 0) {
        return cp_err_set(&w->op->err, "forbidden",
                          "who asked for it does not approve it");
    }

    rc = cp_promote_find(w->op, w->tx, cp_json_str(before, "tenant"),
                         cp_json_str(before, "target"), &id);

    if (rc == CP_OK) {
        rc = cp_promote_state(w->op, w->tx, id, &now);
    }

    if (rc == CP_OK && !cp_json_equal(now, cp_json_get(before, "before"))) {
        rc = cp_err_set(&w->op->err, "conflict", "\"%s\" was changed since;"
                        " ask again", cp_json_str(before, "target"));
    }

    if (rc == CP_OK && id == NULL) {
        rc = cp_promotion_make(w, before, &id);
    }

    if (rc == CP_OK) {
        rc = cp_promote_put(w->op, w->tx, id,
                            cp_json_get(before, "snapshot"),
                            cp_json_str(before, "api"));
    }

    if (rc == CP_OK) {
        rc = cp_promote_state(w->op, w->tx, id, &now);
    }

    if (rc == CP_OK) {
        cp_json_set(w->op->arena, after, "before",
                    cp_json_copy(w->op->arena,
                                 cp_json_get(before, "before")));
        cp_json_put_int(w->op->arena, cp_json_get(after, "before"),
                        "left_at", cp_json_num(now, "ver", 0));
        cp_json_put_int(w->op->arena, cp_json_get(after, "before"),
                        "left_document", cp_json_num(now, "document", 0));
    }

    return rc;
}


/* A target that is not there: with the source's upstream, unless another one
 * is said, and in the state of the source. */
static cp_rc_t
cp_promotion_make(const cp_write_t *w, const cp_json_t *p, const char **id)
{
    cp_rc_t           rc;
    cp_entry_t        e;
    cp_json_t        *in, *source, *list;
    cp_write_t        make = cp_write_of(w->op, w->tx, &cp_res_api);
    cp_arena_t       *a = w->op->arena;
    unsigned          i;
    const char       *s;
    const cp_json_t  *m;

    rc = cp_resource_get(w->tx, a, &cp_res_api, cp_json_str(p, "tenant"),
                         cp_json_str(p, "api"), &source, &w->op->err);
    if (rc != CP_OK) {
        return rc;
    }

    in = cp_json_copy(a, cp_json_get(cp_json_get(p, "snapshot"), "api"));

    for (i = 0; cp_promotion_instead[i]; i++) {
        s = cp_promotion_instead[i];
        m = cp_json_get(cp_json_get(p, "instead"), s);
        m = m ? m : cp_json_get(source, s);

        if (m) {
            cp_json_set(a, in, s, cp_json_copy(a, m));
        }
    }

    list = cp_json_array(a);
    cp_json_push(list, cp_json_string(a, cp_json_str(p, "to")));
    cp_json_set(a, in, "gateway_groups", list);
    cp_json_put(a, in, "name", cp_json_str(p, "target"));
    make.id = cp_json_str(p, "tenant");
    make.in = in;

    rc = cp_entry_create(&make, &e);
    if (rc != CP_OK) {
        return rc;
    }

    *id = cp_json_str(e.row, "id");

    if (!cp_api_served(cp_json_get(p, "snapshot"))) {
        return CP_OK;
    }

    make.id = *id;
    make.in = NULL;

    return cp_entry_event(&make, "publish", &e);
}


/* Only what nobody has changed since; an api that was made is retired. */
static cp_rc_t
cp_promotion_rollback(const cp_write_t *w, const cp_json_t *before)
{
    cp_rc_t           rc;
    cp_entry_t        e;
    cp_json_t        *now;
    cp_write_t        end = cp_write_of(w->op, w->tx, &cp_res_api);
    const char       *id;
    const cp_json_t  *was;

    was = cp_json_get(before, "before");
    rc = cp_promote_find(w->op, w->tx, cp_json_str(before, "tenant"),
                         cp_json_str(before, "target"), &id);

    if (rc == CP_OK) {
        rc = cp_promote_state(w->op, w->tx, id, &now);
    }

    if (rc != CP_OK) {
        return rc;
    }

    if (id == NULL
        || cp_json_num(now, "ver", 0) != cp_json_num(was, "left_at", -1)
        || cp_json_num(now, "document", 0)
           != cp_json_num(was, "left_document",
                          cp_json_num(now, "document", 0)))
    {
        return cp_err_set(&w->op->err, "conflict", "\"%s\" was changed"
                          " since", cp_json_str(before, "target"));
    }

    if (cp_json_get(was, "api")) {
        return cp_promote_put(w->op, w->tx, id, was, id);
    }

    end.id = id;

    return cp_api_served(now) ? cp_entry_event(&end, "retire", &e) : CP_OK;
}
