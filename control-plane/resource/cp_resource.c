/*
 * The engine: every write of a resource goes through here, whoever asks for
 * it.  In one transaction it takes the feed's lock (so writers never
 * interleave, on both databases), judges, writes, tells the audit log and
 * rewrites the feed.
 */

#include <inttypes.h>
#include <string.h>

#include "resource/cp_told.h"
#include "auth/cp_auth.h"
#include "feed/cp_feed.h"
#include "resource/cp_limit.h"


static cp_rc_t cp_write_begin(const cp_write_t *w, bool permission);
static cp_rc_t cp_write_open(const cp_write_t *w, cp_entry_t *e);
static cp_validate_t cp_write_validate(const cp_write_t *w);
static cp_rc_t cp_write_load(const cp_write_t *w, const char *if_match,
    cp_entry_t *e);
static cp_rc_t cp_write_done(const cp_write_t *w, const char *action,
    const cp_entry_t *before, cp_entry_t *after);
static cp_rc_t cp_write_parent(const cp_write_t *w, cp_json_t *row);
static cp_rc_t cp_write_tenant(const cp_write_t *w, const char *tenant);
static void cp_write_new(cp_arena_t *a, const cp_resource_t *res,
    cp_json_t *row);
static cp_rc_t cp_write_store(cp_write_t *w, const cp_json_t *before,
    cp_json_t *after);
static cp_rc_t cp_write_allowed(const cp_write_t *w, const cp_entry_t *e,
    const char *event, const cp_transition_t **t);
static void cp_write_carry(cp_arena_t *a, const cp_resource_t *res,
    const cp_json_t *before, cp_json_t *after);
static cp_rc_t cp_write_kept(const cp_write_t *w, const cp_json_t *before,
    const cp_json_t *after);
static bool cp_state_is_final(const cp_resource_t *res, const char *state);
static bool cp_write_is_over(const cp_resource_t *res, const cp_json_t *row,
    const char *to);
static bool cp_write_settled(const cp_resource_t *res,
    const cp_entry_t *before, const cp_entry_t *after);
static const char *cp_write_needs(cp_op_t *op, const cp_resource_t *res);
static const cp_transition_t *cp_transition_find(const cp_resource_t *res,
    const char *event, const char *state, bool system, bool *known);


const char *
cp_etag(cp_arena_t *a, const cp_json_t *row)
{
    return cp_arena_printf(a, "\"%s-%" PRId64 "\"", cp_json_str(row, "id"),
                           cp_json_num(row, "ver", 0));
}


cp_rc_t
cp_resource_get(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const char *parent_id, const char *name_or_id, cp_json_t **obj,
    cp_err_t *err)
{
    cp_rc_t      rc;
    cp_json_t   *row;
    cp_names_t   names;
    const char  *id;

    rc = cp_ref_find(tx, a, res, parent_id, name_or_id, &id, err);
    if (rc != CP_OK) {
        return rc;
    }

    row = NULL;

    rc = id ? cp_row_load(tx, a, res, id, &row, err) : CP_OK;
    if (rc != CP_OK) {
        return rc;
    }

    if (row == NULL) {
        return cp_err_set(err, "not_found", "there is no %s \"%.128s\"",
                          res->kind, name_or_id);
    }

    cp_names_init(&names, tx, a, err);

    return cp_row_show(&names, res, row, obj);
}


cp_rc_t
cp_resource_settled(cp_op_t *op, cp_tx_t *tx, const cp_resource_t *res,
    const char *id)
{
    cp_rc_t     rc;
    cp_json_t  *row;

    if (res->settled == NULL) {
        return CP_OK;
    }

    rc = cp_row_load(tx, op->arena, res, id, &row, &op->err);

    return rc == CP_OK && row ? res->settled(op, tx, row) : rc;
}


cp_rc_t
cp_entry_create(cp_write_t *w, cp_entry_t *e)
{
    cp_rc_t               rc;
    cp_json_t            *row;
    const char           *name;
    const cp_resource_t  *res = w->res;
    cp_validate_t         v = cp_write_validate(w);

    rc = cp_write_begin(w, true);

    if (rc == CP_OK) {
        rc = cp_validate(&v, res->fields, w->in, NULL, &row);
    }

    if (rc == CP_OK) {
        rc = cp_write_parent(w, row);
    }

    if (rc == CP_OK) {
        rc = cp_refs_to_ids(w->tx, &v, res, cp_json_str(row, "tenant"), row);
    }

    if (rc != CP_OK) {
        return rc;
    }

    cp_write_new(w->op->arena, res, row);

    rc = res->check ? res->check(w, NULL, row) : CP_OK;

    if (rc == CP_OK) {
        rc = cp_limit_check(w, row);
    }

    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_row_insert(w->tx, w->op->arena, res, row, &w->op->err);

    if (rc == CP_DECLINED) {
        name = cp_json_str(row, "name");
        return cp_err_set(&w->op->err, "already_exists",
                          "%s %s %s%s%s exists already", cp_an(res->kind),
                          res->kind,
                          name ? "\"" : "like this", name ? name : "",
                          name ? "\"" : "");
    }

    if (rc != CP_OK) {
        return rc;
    }

    e->row = row;

    return cp_write_done(w, "create", NULL, e);
}


cp_rc_t
cp_entry_update(cp_write_t *w, cp_entry_t *e)
{
    cp_rc_t               rc;
    cp_json_t            *row;
    cp_entry_t            before;
    const cp_json_t      *in = w->in;
    const cp_resource_t  *res = w->res;
    cp_validate_t         v = cp_write_validate(w);

    w->changed = false;

    rc = cp_write_open(w, &before);

    if (rc != CP_OK) {
        return rc;
    }

    if (w->patch && in->type == CP_JSON_OBJECT) {
        if (!cp_validate_known(&v, "", res->fields, in)) {
            return CP_DECLINED;
        }

        in = cp_merge_patch(w->op->arena, before.obj, in);
        if (in == NULL) {
            return cp_err_set(&w->op->err, "too_large",
                              "the patch has too many members");
        }
    }

    rc = cp_validate(&v, res->fields, in, before.obj, &row);

    if (rc == CP_OK) {
        rc = cp_refs_to_ids(w->tx, &v, res, cp_json_str(before.row, "tenant"),
                            row);
    }

    if (rc != CP_OK) {
        return rc;
    }

    cp_write_carry(w->op->arena, res, before.row, row);

    rc = cp_write_kept(w, before.row, row);

    if (rc == CP_OK && res->expires
        && cp_state_is_final(res, cp_json_str(row, "state"))
        && !cp_json_equal(cp_json_get(before.row, "expires_at"),
                          cp_json_get(row, "expires_at")))
    {
        rc = cp_err_set(&w->op->err, "conflict", "it is %s: it takes no other"
                        " expires_at", cp_json_str(row, "state"));
    }

    if (rc == CP_OK && res->check) {
        rc = res->check(w, before.row, row);
    }

    if (rc == CP_OK) {
        rc = cp_write_store(w, before.row, row);
    }

    if (rc != CP_OK) {
        return rc;
    }

    if (!w->changed) {
        *e = before;
        return CP_OK;
    }

    e->row = row;

    return cp_write_done(w, "update", &before, e);
}


cp_rc_t
cp_entry_event(cp_write_t *w, const char *event, cp_entry_t *e)
{
    cp_rc_t                 rc;
    cp_json_t              *args, *next;
    cp_entry_t              before;
    cp_arena_t             *a = w->op->arena;
    const cp_json_t        *in = w->in;
    cp_validate_t           v = { a, &w->op->err, -1, false };
    const cp_transition_t  *t;
    static const cp_field_t nothing[] = { { .name = NULL } };

    rc = cp_write_begin(w, false);

    if (rc == CP_OK) {
        rc = cp_write_load(w, NULL, &before);
    }

    if (rc == CP_OK) {
        rc = cp_write_allowed(w, &before, event, &t);
    }

    if (rc != CP_OK) {
        return rc;
    }

    if (in == NULL || in->type == CP_JSON_NULL) {
        in = cp_json_object(a);
    }

    rc = cp_validate(&v, t->args ? t->args : nothing, in, NULL, &args);
    if (rc != CP_OK) {
        return rc;
    }

    e->row = cp_json_copy(a, before.row);
    cp_json_put(a, e->row, "state", t->to);

    rc = w->res->event ? w->res->event(w, event, args, before.row, e->row)
                       : CP_OK;
    if (rc != CP_OK) {
        return rc;
    }

    next = cp_json_get(e->row, "successor");

    rc = cp_write_store(w, before.row, e->row);

    if (rc == CP_OK) {
        rc = cp_write_done(w, event, &before, e);
    }

    if (rc != CP_OK || next == NULL) {
        return rc;
    }

    /* the answer to an event that made a successor is the successor */

    e->obj = next;

    rc = cp_row_load(w->tx, a, w->res, cp_json_str(next, "id"), &e->row,
                     &w->op->err);
    if (rc == CP_OK) {
        e->etag = cp_etag(a, e->row);
    }

    return rc;
}


cp_rc_t
cp_entry_delete(cp_write_t *w)
{
    cp_rc_t     rc;
    cp_entry_t  before;

    rc = cp_write_open(w, &before);

    return rc == CP_OK ? cp_entry_remove(w, before.row) : rc;
}


cp_rc_t
cp_entry_remove(cp_write_t *w, const cp_json_t *row)
{
    cp_rc_t      rc;
    cp_names_t   names;
    cp_entry_t   e;
    cp_arena_t  *a = w->op->arena;

    e.row = (cp_json_t *) row;
    cp_names_init(&names, w->tx, a, &w->op->err);

    rc = cp_row_show(&names, w->res, row, &e.obj);

    if (rc == CP_OK) {
        rc = cp_depend_clear(w, row);
    }

    if (rc == CP_OK) {
        rc = cp_tx_query(w->tx, a,
                         cp_arena_printf(a, "DELETE FROM \"%s\""
                                         " WHERE \"id\" = $1", w->res->table),
                         cp_args(cp_text(cp_json_str(row, "id"))), NULL,
                         &w->op->err);
    }

    cp_limit_gone(w, row);

    return rc == CP_OK ? cp_write_done(w, "delete", &e, NULL) : rc;
}


static const char *
cp_write_needs(cp_op_t *op, const cp_resource_t *res)
{
    return cp_arena_printf(op->arena, "%s:write", res->kind);
}


/* The lock comes first: what is read after it cannot change before commit. */
static cp_rc_t
cp_write_begin(const cp_write_t *w, bool permission)
{
    cp_rc_t   rc;
    cp_op_t  *op = w->op;

    rc = permission
         ? cp_auth_may_somewhere(op, cp_write_needs(op, w->res)) : CP_OK;

    return rc == CP_OK ? cp_feed_lock(w->tx, op->arena, &op->err) : rc;
}


/* A row that is there, and that the actor may change. */
static cp_rc_t
cp_write_open(const cp_write_t *w, cp_entry_t *e)
{
    cp_rc_t  rc;

    rc = cp_write_begin(w, true);

    if (rc == CP_OK) {
        rc = cp_write_load(w, w->if_match, e);
    }

    return rc == CP_OK ? cp_entry_may(w->op, w->res, e->row,
                                      cp_write_needs(w->op, w->res)) : rc;
}


static cp_validate_t
cp_write_validate(const cp_write_t *w)
{
    cp_validate_t  v = { w->op->arena, &w->op->err, w->document,
                         cp_actor_is_system(&w->op->actor) };

    return v;
}


static cp_rc_t
cp_write_load(const cp_write_t *w, const char *if_match, cp_entry_t *e)
{
    cp_rc_t      rc;
    cp_op_t     *op = w->op;
    cp_names_t   names;
    const char  *tenant;

    rc = cp_row_load(w->tx, op->arena, w->res, w->id, &e->row, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (e->row == NULL || !cp_entry_visible(&op->actor, w->res, e->row)) {
        return cp_err_set(&op->err, "not_found", "there is no such %s",
                          w->res->kind);
    }

    tenant = cp_json_str(e->row, "tenant");

    if (!w->res->owner && tenant && !w->single) {
        rc = cp_write_tenant(w, tenant);
        if (rc != CP_OK) {
            return rc;
        }
    }

    e->etag = cp_etag(op->arena, e->row);

    if (if_match && !cp_etag_matches(if_match, e->etag)) {
        return cp_err_set(&op->err, "precondition_failed",
                          "it is %s now, not %.128s", e->etag, if_match);
    }

    cp_names_init(&names, w->tx, op->arena, &op->err);

    return cp_row_show(&names, w->res, e->row, &e->obj);
}


/* The owner's columns, and whether it may be written to at all. */
static cp_rc_t
cp_write_parent(const cp_write_t *w, cp_json_t *row)
{
    cp_rc_t               rc;
    cp_op_t              *op = w->op;
    cp_json_t            *parent;
    const char           *tenant;
    const cp_resource_t  *up;

    if (w->res->parent == NULL) {
        return CP_OK;
    }

    up = cp_resource_find(w->res->parent);

    rc = cp_row_load(w->tx, op->arena, up, w->id, &parent, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (parent == NULL || !cp_entry_visible(&op->actor, up, parent)) {
        return cp_err_set(&op->err, "not_found", "there is no such %s",
                          up->kind);
    }

    tenant = cp_row_tenant(up, parent);

    cp_json_put(op->arena, row, "tenant", tenant);
    cp_json_put(op->arena, row, w->res->parent, w->id);

    rc = cp_auth_may(op, cp_write_needs(op, w->res), tenant);

    return rc == CP_OK ? cp_write_tenant(w, tenant) : rc;
}


/* What a frozen owner has is kept; the system still expires things. */
static cp_rc_t
cp_write_tenant(const cp_write_t *w, const char *tenant)
{
    cp_rc_t               rc;
    cp_op_t              *op = w->op;
    cp_rows_t             rows;
    const cp_resource_t  *owner;

    if (cp_actor_is_system(&op->actor)) {
        return CP_OK;
    }

    owner = cp_resource_owner();

    rc = cp_tx_query(w->tx, op->arena,
                     cp_arena_printf(op->arena, "SELECT state FROM \"%s\""
                                     " WHERE id = $1", owner->table),
                     cp_args(cp_text(tenant)), &rows, &op->err);

    return rc == CP_OK && rows.rows
           && strcmp(cp_cell(&rows, 0, 0)->p, owner->frozen) == 0
           ? cp_err_set(&op->err, "conflict", "the %s is %s", owner->kind,
                        owner->frozen) : rc;
}


static void
cp_write_new(cp_arena_t *a, const cp_resource_t *res, cp_json_t *row)
{
    char     id[STOA_ID_LEN + 1];
    int64_t  now;

    cp_id_make(id);
    now = cp_time_ms();

    cp_json_put(a, row, "id", id);
    cp_json_put_int(a, row, "created_at", now);
    cp_json_put_int(a, row, "updated_at", now);
    cp_json_put_int(a, row, "ver", 1);

    if (res->initial) {
        cp_json_put(a, row, "state", res->initial);
    }
}


static cp_rc_t
cp_write_store(cp_write_t *w, const cp_json_t *before, cp_json_t *after)
{
    cp_rc_t   rc;
    cp_op_t  *op = w->op;

    rc = cp_row_update(w->tx, op->arena, w->res, before, after, &w->changed,
                       &op->err);

    if (rc == CP_DECLINED && strcmp(op->err.code, "already_exists") == 0) {
        return cp_err_set(&op->err, "already_exists",
                          "another %s like this exists already",
                          w->res->kind);
    }

    return rc;
}


/* Finds the transition, or says why there is none. */
static cp_rc_t
cp_write_allowed(const cp_write_t *w, const cp_entry_t *e, const char *event,
    const cp_transition_t **t)
{
    bool         known;
    cp_op_t     *op = w->op;
    const char  *state;

    state = cp_json_str(e->row, "state");
    *t = cp_transition_find(w->res, event, state,
                            cp_actor_is_system(&op->actor), &known);

    if (!known) {
        return cp_err_set(&op->err, "not_found",
                          "%s %s has no event \"%.64s\"",
                          cp_an(w->res->kind), w->res->kind, event);
    }

    if (w->if_match && !cp_etag_matches(w->if_match, e->etag)) {
        return cp_err_set(&op->err, "precondition_failed",
                          "it is %s now, not %.128s", e->etag, w->if_match);
    }

    if (*t == NULL) {
        return cp_err_set(&op->err, "illegal_transition",
                          "%s does not apply to %s %s that is %s%s", event,
                          cp_an(w->res->kind), w->res->kind, state,
                          cp_change_decided(op->arena, e->row));
    }

    if ((*t)->permission && cp_write_is_over(w->res, e->row, (*t)->to)) {
        return cp_err_set(&op->err, "conflict", "its time is over: it ended"
                          " at its expires_at");
    }

    return (*t)->permission
           ? cp_entry_may(op, w->res, e->row, (*t)->permission) : CP_OK;
}


static bool
cp_state_is_final(const cp_resource_t *res, const char *state)
{
    unsigned                i;
    const cp_transition_t  *t;

    for (t = res->transitions; t && t->event; t++) {
        for (i = 0; t->from[i]; i++) {
            if (strcmp(t->from[i], state) == 0) {
                return false;
            }
        }
    }

    return true;
}


/* Past its time, though nobody has written that down yet, it may only end. */
static bool
cp_write_is_over(const cp_resource_t *res, const cp_json_t *row,
    const char *to)
{
    int64_t  expires;

    expires = res->expires ? cp_json_num(row, "expires_at", 0) : 0;

    return expires && expires <= cp_time_ms() && !cp_state_is_final(res, to);
}


/* What no client writes stays as it was. */
static void
cp_write_carry(cp_arena_t *a, const cp_resource_t *res,
    const cp_json_t *before, cp_json_t *after)
{
    cp_json_t         *val;
    const cp_field_t  *f;

    for (f = res->fields; f->name; f++) {
        if (!(f->flags & (CP_READONLY|CP_SEALED)) || !cp_is_column(f)
            || cp_json_get(after, f->name))
        {
            continue;
        }

        val = cp_json_copy(a, cp_json_get(before, f->name));
        if (val) {
            cp_json_set(a, after, f->name, val);
        }
    }

    val = cp_json_copy(a, cp_json_get(before, "ver"));
    cp_json_set(a, after, "ver", val);
}


/* Immutable references, now that both sides are ids. */
static cp_rc_t
cp_write_kept(const cp_write_t *w, const cp_json_t *before,
    const cp_json_t *after)
{
    cp_rc_t            rc;
    const cp_json_t   *now, *old;
    const cp_field_t  *f;

    rc = CP_OK;

    for (f = w->res->fields; f->name; f++) {
        now = cp_json_get(after, f->name);
        old = cp_json_get(before, f->name);

        if ((f->flags & CP_IMMUTABLE) && !cp_json_equal(now, old)) {
            rc = cp_err_field(&w->op->err, w->document, now ? now->line : 0,
                              f->name, "cannot be changed");
        }
    }

    return rc;
}


/* after NULL: it is gone. */
static cp_rc_t
cp_write_done(const cp_write_t *w, const char *action,
    const cp_entry_t *before, cp_entry_t *after)
{
    cp_rc_t               rc;
    cp_op_t              *op = w->op;
    cp_names_t            names;
    const cp_json_t      *row;
    cp_audit_event_t      ev;
    const cp_resource_t  *res = w->res;

    row = after ? after->row : before->row;

    if (after) {
        after->etag = cp_etag(op->arena, after->row);
        cp_names_init(&names, w->tx, op->arena, &op->err);

        rc = cp_row_show(&names, res, after->row, &after->obj);
        if (rc != CP_OK) {
            return rc;
        }
    }

    memset(&ev, 0, sizeof(ev));
    ev.tenant = cp_row_tenant(res, row);
    ev.action = action;
    ev.kind = res->kind;
    ev.id = cp_json_str(row, "id");
    ev.person = res->person ? cp_json_str(row, res->person) : NULL;
    ev.name = cp_told_name(op->arena, res, after ? after->obj : before->obj);
    ev.diff = cp_change_diff(op->arena, res, before ? before->obj : NULL,
                            after ? after->obj : NULL);

    rc = cp_told_append(w, &ev, row);
    if (rc != CP_OK) {
        return rc;
    }

    rc = after && res->settled && !op->late
         && !cp_write_settled(res, before, after)
         ? res->settled(op, w->tx, after->row) : CP_OK;
    if (rc != CP_OK) {
        return rc;
    }

    rc = after == NULL && res->gone
         ? res->gone(w, before->row)
         : cp_resource_touch(op, w->tx, res, ev.id);
    if (rc != CP_OK) {
        return rc;
    }

    rc = res->follow ? res->follow(op, w->tx, row) : CP_OK;

    return rc == CP_OK && cp_arena_failed(op->arena)
           ? cp_err_set(&op->err, "internal", "no memory") : rc;
}


/* Nothing that the end state is judged by has changed. */
static bool
cp_write_settled(const cp_resource_t *res, const cp_entry_t *before,
    const cp_entry_t *after)
{
    const char *const  *name;

    name = before ? res->settles : NULL;

    while (name && *name && cp_json_equal(cp_json_get(before->row, *name),
                                          cp_json_get(after->row, *name)))
    {
        name++;
    }

    return name && *name == NULL;
}


/* RFC 9110: a list of strong tags, or "*". */
bool
cp_etag_matches(const char *list, const char *etag)
{
    size_t       len, n;
    const char  *p;

    len = strlen(etag);

    for (p = list; *p; p += n) {
        p += strspn(p, " \t,");
        n = strcspn(p, " \t,");

        if ((n == 1 && *p == '*') || (n == len && memcmp(p, etag, n) == 0)) {
            return true;
        }
    }

    return false;
}


static const cp_transition_t *
cp_transition_find(const cp_resource_t *res, const char *event,
    const char *state, bool system, bool *known)
{
    unsigned                i;
    const cp_transition_t  *t;

    *known = false;

    for (t = res->transitions; t && t->event; t++) {
        if (strcmp(t->event, event) != 0
            || (t->permission == NULL && !system))
        {
            continue;
        }

        *known = true;

        for (i = 0; t->from[i]; i++) {
            if (strcmp(t->from[i], state) == 0) {
                return t;
            }
        }
    }

    return NULL;
}
