/*
 * The engine: every write of a resource goes through here, whoever asks for
 * it.  In one transaction it takes the feed's lock (so writers never
 * interleave, on both databases), judges, writes, tells the audit log and
 * rewrites the feed.
 */

#include <inttypes.h>
#include <string.h>

#include "audit/cp_audit.h"
#include "auth/cp_auth.h"
#include "feed/cp_feed.h"
#include "resource/cp_tables.h"


static cp_rc_t cp_write_begin(cp_req_t *r, cp_tx_t *tx,
    const char *permission);
static cp_rc_t cp_write_load(cp_req_t *r, cp_tx_t *tx,
    const cp_resource_t *res, const char *id, const char *if_match,
    cp_entry_t *e);
static cp_rc_t cp_write_done(cp_req_t *r, cp_tx_t *tx,
    const cp_resource_t *res, const char *action, const cp_entry_t *before,
    cp_entry_t *after);
static cp_rc_t cp_write_parent(cp_req_t *r, cp_tx_t *tx,
    const cp_resource_t *res, const char *parent_id, cp_json_t *row);
static cp_rc_t cp_write_tenant(cp_req_t *r, cp_tx_t *tx, const char *tenant);
static void cp_write_new(cp_arena_t *a, const cp_resource_t *res,
    cp_json_t *row);
static cp_rc_t cp_write_store(cp_req_t *r, cp_tx_t *tx,
    const cp_resource_t *res, const cp_json_t *before, cp_json_t *after,
    bool *changed);
static cp_rc_t cp_write_allowed(cp_req_t *r, const cp_resource_t *res,
    const cp_entry_t *e, const char *event, const char *if_match,
    const cp_transition_t **t);
static void cp_write_carry(cp_arena_t *a, const cp_resource_t *res,
    const cp_json_t *before, cp_json_t *after);
static cp_rc_t cp_write_kept(cp_req_t *r, const cp_resource_t *res,
    const cp_json_t *before, const cp_json_t *after, int document);
static bool cp_etag_matches(const char *list, const char *etag);
static const cp_transition_t *cp_transition_find(const cp_resource_t *res,
    const char *event, const char *state, bool system, bool *known);
static cp_json_t *cp_audit_diff(cp_arena_t *a, const cp_resource_t *res,
    const cp_json_t *before, const cp_json_t *after);
static cp_json_t *cp_audit_value(cp_arena_t *a, const cp_field_t *f,
    const cp_json_t *obj);
static const char *cp_row_tenant(const cp_resource_t *res,
    const cp_json_t *row);


const char *
cp_etag(cp_arena_t *a, const cp_json_t *row)
{
    return cp_arena_printf(a, "\"%s-%" PRId64 "\"", cp_json_str(row, "id"),
                           cp_json_num(row, "ver", 0));
}


bool
cp_entry_visible(const cp_actor_t *actor, const cp_resource_t *res,
    const cp_json_t *row)
{
    const char  *other;

    if (cp_auth_sees(actor, cp_row_tenant(res, row))) {
        return true;
    }

    other = res->also ? cp_json_str(row, res->also) : NULL;

    return other && cp_auth_sees(actor, other);
}


/* The tenant that a row belongs to; NULL: the platform. */
static const char *
cp_row_tenant(const cp_resource_t *res, const cp_json_t *row)
{
    return cp_json_str(row, res == &cp_res_tenant ? "id" : "tenant");
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
cp_resource_create(cp_req_t *r, cp_tx_t *tx, const cp_resource_t *res,
    const char *parent_id, const cp_json_t *in, int document, cp_json_t **obj)
{
    cp_rc_t     rc;
    cp_entry_t  e;

    rc = cp_entry_create(r, tx, res, parent_id, in, document, &e);
    *obj = rc == CP_OK ? e.obj : NULL;

    return rc;
}


cp_rc_t
cp_resource_update(cp_req_t *r, cp_tx_t *tx, const cp_resource_t *res,
    const char *id, const cp_json_t *in, bool patch, const char *if_match,
    int document, cp_json_t **obj, bool *changed)
{
    cp_rc_t     rc;
    cp_entry_t  e;

    rc = cp_entry_update(r, tx, res, id, in, patch, if_match, document, &e,
                         changed);
    *obj = rc == CP_OK ? e.obj : NULL;

    return rc;
}


cp_rc_t
cp_resource_event(cp_req_t *r, cp_tx_t *tx, const cp_resource_t *res,
    const char *id, const char *event, const cp_json_t *in,
    const char *if_match, cp_json_t **obj)
{
    cp_rc_t     rc;
    cp_entry_t  e;

    rc = cp_entry_event(r, tx, res, id, event, in, if_match, &e);
    *obj = rc == CP_OK ? e.obj : NULL;

    return rc;
}


cp_rc_t
cp_entry_create(cp_req_t *r, cp_tx_t *tx, const cp_resource_t *res,
    const char *parent_id, const cp_json_t *in, int document, cp_entry_t *e)
{
    cp_rc_t        rc;
    cp_json_t     *row;
    const char    *name;
    cp_arena_t    *a;
    cp_validate_t  v = { r->arena, &r->err, document,
                         cp_actor_is_system(&r->actor) };

    a = r->arena;

    rc = cp_write_begin(r, tx, cp_arena_printf(a, "%s:write",
                                                res->kind));
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_validate(&v, res->fields, in, NULL, &row);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_write_parent(r, tx, res, parent_id, row);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_refs_to_ids(tx, &v, res, cp_json_str(row, "tenant"), row);
    if (rc != CP_OK) {
        return rc;
    }

    cp_write_new(a, res, row);

    rc = res->check ? res->check(r, tx, res, NULL, row) : CP_OK;
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_row_insert(tx, a, res, row, &r->err);

    if (rc == CP_DECLINED) {
        name = cp_json_str(row, "name");
        return cp_err_set(&r->err, "already_exists",
                          "a %s %s%s%s exists already", res->kind,
                          name ? "\"" : "like this", name ? name : "",
                          name ? "\"" : "");
    }

    if (rc != CP_OK) {
        return rc;
    }

    e->row = row;

    return cp_write_done(r, tx, res, "create", NULL, e);
}


cp_rc_t
cp_entry_update(cp_req_t *r, cp_tx_t *tx, const cp_resource_t *res,
    const char *id, const cp_json_t *in, bool patch, const char *if_match,
    int document, cp_entry_t *e, bool *changed)
{
    cp_rc_t        rc;
    cp_json_t     *row;
    cp_entry_t     before;
    cp_arena_t    *a;
    cp_validate_t  v = { r->arena, &r->err, document,
                         cp_actor_is_system(&r->actor) };

    a = r->arena;
    *changed = false;

    rc = cp_write_begin(r, tx, cp_arena_printf(a, "%s:write",
                                                res->kind));
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_write_load(r, tx, res, id, if_match, &before);
    if (rc != CP_OK) {
        return rc;
    }

    if (patch && in->type == CP_JSON_OBJECT) {
        in = cp_merge_patch(a, before.obj, in);
        if (in == NULL) {
            return cp_err_set(&r->err, "too_large",
                              "the patch has too many members");
        }
    }

    rc = cp_validate(&v, res->fields, in, before.obj, &row);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_refs_to_ids(tx, &v, res, cp_json_str(before.row, "tenant"), row);
    if (rc != CP_OK) {
        return rc;
    }

    cp_write_carry(a, res, before.row, row);

    rc = cp_write_kept(r, res, before.row, row, document);
    if (rc != CP_OK) {
        return rc;
    }

    rc = res->check ? res->check(r, tx, res, before.row, row) : CP_OK;
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_write_store(r, tx, res, before.row, row, changed);
    if (rc != CP_OK) {
        return rc;
    }

    if (!*changed) {
        *e = before;
        return CP_OK;
    }

    e->row = row;

    return cp_write_done(r, tx, res, "update", &before, e);
}


cp_rc_t
cp_entry_event(cp_req_t *r, cp_tx_t *tx, const cp_resource_t *res,
    const char *id, const char *event, const cp_json_t *in,
    const char *if_match, cp_entry_t *e)
{
    bool                    changed;
    cp_rc_t                 rc;
    cp_json_t              *args, *next;
    cp_entry_t              before;
    cp_validate_t           v = { r->arena, &r->err, -1, false };
    const cp_transition_t  *t;
    static const cp_field_t nothing[] = { { .name = NULL } };

    rc = cp_write_begin(r, tx, NULL);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_write_load(r, tx, res, id, NULL, &before);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_write_allowed(r, res, &before, event, if_match, &t);
    if (rc != CP_OK) {
        return rc;
    }

    if (in == NULL || in->type == CP_JSON_NULL) {
        in = cp_json_object(r->arena);
    }

    rc = cp_validate(&v, t->args ? t->args : nothing, in, NULL, &args);
    if (rc != CP_OK) {
        return rc;
    }

    e->row = cp_json_copy(r->arena, before.row);
    cp_json_set(r->arena, e->row, "state",
                cp_json_string(r->arena, t->to));

    rc = res->event
         ? res->event(r, tx, res, event, args, before.row, e->row) : CP_OK;
    if (rc != CP_OK) {
        return rc;
    }

    next = cp_json_get(e->row, "successor");

    rc = cp_write_store(r, tx, res, before.row, e->row, &changed);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_write_done(r, tx, res, event, &before, e);
    if (rc != CP_OK) {
        return rc;
    }

    /* the answer to an event that made a successor is the successor */

    if (next) {
        e->obj = next;

        rc = cp_row_load(tx, r->arena, res, cp_json_str(next, "id"), &e->row,
                         &r->err);
        if (rc != CP_OK) {
            return rc;
        }

        e->etag = cp_etag(r->arena, e->row);
    }

    return CP_OK;
}


cp_rc_t
cp_resource_delete(cp_req_t *r, cp_tx_t *tx, const cp_resource_t *res,
    const char *id, const char *if_match)
{
    cp_rc_t      rc;
    cp_entry_t   before;
    const char  *force;

    rc = cp_write_begin(r, tx, cp_arena_printf(r->arena, "%s:write",
                                                res->kind));
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_write_load(r, tx, res, id, if_match, &before);
    if (rc != CP_OK) {
        return rc;
    }

    force = r->conn ? cp_req_query(r, "force") : NULL;

    return cp_entry_remove(r, tx, res, before.row,
                           force && strcmp(force, "1") == 0);
}


cp_rc_t
cp_entry_remove(cp_req_t *r, cp_tx_t *tx, const cp_resource_t *res,
    const cp_json_t *row, bool force)
{
    cp_rc_t     rc;
    cp_names_t  names;
    cp_entry_t  e;

    e.row = (cp_json_t *) row;
    cp_names_init(&names, tx, r->arena, &r->err);

    rc = cp_row_show(&names, res, row, &e.obj);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_depend_clear(r, tx, res, row, force);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_tx_query(tx, r->arena,
                     cp_arena_printf(r->arena, "DELETE FROM \"%s\""
                                     " WHERE \"id\" = $1", res->table),
                     cp_args(cp_text(cp_json_str(row, "id"))), NULL,
                     &r->err);
    if (rc != CP_OK) {
        return rc;
    }

    return cp_write_done(r, tx, res, "delete", &e, NULL);
}


/*
 * The lock comes first: what is read after it cannot change before commit.
 */
static cp_rc_t
cp_write_begin(cp_req_t *r, cp_tx_t *tx, const char *permission)
{
    cp_rc_t  rc;

    rc = permission ? cp_auth_may(r, permission) : CP_OK;

    return rc == CP_OK ? cp_feed_lock(tx, r->arena, &r->err) : rc;
}


static cp_rc_t
cp_write_load(cp_req_t *r, cp_tx_t *tx, const cp_resource_t *res,
    const char *id, const char *if_match, cp_entry_t *e)
{
    cp_rc_t     rc;
    cp_names_t  names;

    rc = cp_row_load(tx, r->arena, res, id, &e->row, &r->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (e->row == NULL || !cp_entry_visible(&r->actor, res, e->row)) {
        return cp_err_set(&r->err, "not_found", "there is no such %s",
                          res->kind);
    }

    if (res != &cp_res_tenant && cp_json_str(e->row, "tenant")) {
        rc = cp_write_tenant(r, tx, cp_json_str(e->row, "tenant"));
        if (rc != CP_OK) {
            return rc;
        }
    }

    e->etag = cp_etag(r->arena, e->row);

    if (if_match && !cp_etag_matches(if_match, e->etag)) {
        return cp_err_set(&r->err, "precondition_failed", "it is %s now",
                          e->etag);
    }

    cp_names_init(&names, tx, r->arena, &r->err);

    return cp_row_show(&names, res, e->row, &e->obj);
}


/* The owner's columns, and whether it may be written to at all. */
static cp_rc_t
cp_write_parent(cp_req_t *r, cp_tx_t *tx, const cp_resource_t *res,
    const char *parent_id, cp_json_t *row)
{
    cp_rc_t               rc;
    cp_json_t            *parent;
    const char           *tenant;
    const cp_resource_t  *up;

    if (res->parent == NULL) {
        return CP_OK;
    }

    up = cp_resource_find(res->parent);

    rc = cp_row_load(tx, r->arena, up, parent_id, &parent, &r->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (parent == NULL || !cp_entry_visible(&r->actor, up, parent)) {
        return cp_err_set(&r->err, "not_found", "there is no such %s",
                          up->kind);
    }

    tenant = cp_row_tenant(up, parent);

    cp_json_set(r->arena, row, "tenant", cp_json_string(r->arena, tenant));
    cp_json_set(r->arena, row, res->parent,
                cp_json_string(r->arena, parent_id));

    return cp_write_tenant(r, tx, tenant);
}


/* An archived tenant is kept as it is; the system still expires things. */
static cp_rc_t
cp_write_tenant(cp_req_t *r, cp_tx_t *tx, const char *tenant)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    if (cp_actor_is_system(&r->actor)) {
        return CP_OK;
    }

    rc = cp_tx_query(tx, r->arena, "SELECT state FROM tenants WHERE id = $1",
                     cp_args(cp_text(tenant)), &rows, &r->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (rows.rows && strcmp(cp_cell(&rows, 0, 0)->p, "archived") == 0
        && strcmp(r->method ? r->method : "", "DELETE") != 0)
    {
        return cp_err_set(&r->err, "conflict", "the tenant is archived");
    }

    return CP_OK;
}


static void
cp_write_new(cp_arena_t *a, const cp_resource_t *res, cp_json_t *row)
{
    char     id[STOA_ID_LEN + 1];
    int64_t  now;

    cp_id_make(id);
    now = cp_time_ms();

    cp_json_set(a, row, "id", cp_json_string(a, id));
    cp_json_set(a, row, "created_at", cp_json_int(a, now));
    cp_json_set(a, row, "updated_at", cp_json_int(a, now));
    cp_json_set(a, row, "ver", cp_json_int(a, 1));

    if (res->initial) {
        cp_json_set(a, row, "state", cp_json_string(a, res->initial));
    }
}


static cp_rc_t
cp_write_store(cp_req_t *r, cp_tx_t *tx, const cp_resource_t *res,
    const cp_json_t *before, cp_json_t *after, bool *changed)
{
    cp_rc_t  rc;

    rc = cp_row_update(tx, r->arena, res, before, after, changed, &r->err);

    if (rc == CP_DECLINED && strcmp(r->err.code, "already_exists") == 0) {
        return cp_err_set(&r->err, "already_exists",
                          "another %s like this exists already", res->kind);
    }

    return rc;
}


/* Finds the transition, or says why there is none. */
static cp_rc_t
cp_write_allowed(cp_req_t *r, const cp_resource_t *res, const cp_entry_t *e,
    const char *event, const char *if_match, const cp_transition_t **t)
{
    bool         known;
    const char  *state;

    state = cp_json_str(e->row, "state");
    *t = cp_transition_find(res, event, state, cp_actor_is_system(&r->actor),
                            &known);

    if (!known) {
        return cp_err_set(&r->err, "not_found", "a %s has no event \"%.64s\"",
                          res->kind, event);
    }

    if (if_match && !cp_etag_matches(if_match, e->etag)) {
        return cp_err_set(&r->err, "precondition_failed", "it is %s now",
                          e->etag);
    }

    if (*t == NULL) {
        return cp_err_set(&r->err, "illegal_transition",
                          "%s does not apply to a %s that is %s", event,
                          res->kind, state);
    }

    return (*t)->permission ? cp_auth_may(r, (*t)->permission) : CP_OK;
}


/* What no client writes stays as it was. */
static void
cp_write_carry(cp_arena_t *a, const cp_resource_t *res,
    const cp_json_t *before, cp_json_t *after)
{
    cp_json_t         *val;
    const cp_field_t  *f;

    for (f = res->fields; f->name; f++) {
        if (!(f->flags & CP_READONLY) || !cp_is_column(f)
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
cp_write_kept(cp_req_t *r, const cp_resource_t *res, const cp_json_t *before,
    const cp_json_t *after, int document)
{
    cp_rc_t            rc;
    const cp_json_t   *now, *old;
    const cp_field_t  *f;

    rc = CP_OK;

    for (f = res->fields; f->name; f++) {
        now = cp_json_get(after, f->name);
        old = cp_json_get(before, f->name);

        if ((f->flags & CP_IMMUTABLE) && !cp_json_equal(now, old)) {
            rc = cp_err_field(&r->err, document, now ? now->line : 0,
                              f->name, "cannot be changed");
        }
    }

    return rc;
}


/* after NULL: it is gone. */
static cp_rc_t
cp_write_done(cp_req_t *r, cp_tx_t *tx, const cp_resource_t *res,
    const char *action, const cp_entry_t *before, cp_entry_t *after)
{
    cp_rc_t           rc;
    cp_names_t        names;
    const cp_json_t  *row;
    cp_audit_event_t  ev;

    row = after ? after->row : before->row;

    if (after) {
        after->etag = cp_etag(r->arena, after->row);
        cp_names_init(&names, tx, r->arena, &r->err);

        rc = cp_row_show(&names, res, after->row, &after->obj);
        if (rc != CP_OK) {
            return rc;
        }
    }

    ev.tenant = cp_row_tenant(res, row);
    ev.action = action;
    ev.kind = res->kind;
    ev.id = cp_json_str(row, "id");
    ev.name = cp_json_str(row, "name");
    ev.diff = cp_audit_diff(r->arena, res, before ? before->obj : NULL,
                            after ? after->obj : NULL);

    rc = cp_audit_append(r, tx, &ev);
    if (rc != CP_OK) {
        return rc;
    }

    rc = after == NULL && res->gone
         ? res->gone(r, tx, before->row)
         : cp_resource_touch(r, tx, res, ev.id);
    if (rc != CP_OK) {
        return rc;
    }

    return res->follow ? res->follow(r, tx, row) : CP_OK;
}


/* {"title": {"before": .., "after": ..}}: only what differs. */
static cp_json_t *
cp_audit_diff(cp_arena_t *a, const cp_resource_t *res,
    const cp_json_t *before, const cp_json_t *after)
{
    cp_json_t         *diff, *member, *b, *n;
    const cp_field_t  *f;

    diff = cp_json_object(a);

    for (f = res->fields; f->name; f++) {
        if ((f->flags & (CP_SECRET|CP_ONCE|CP_DERIVED))
            || strcmp(f->name, "updated_at") == 0
            || cp_json_equal(cp_json_get(before, f->name),
                             cp_json_get(after, f->name)))
        {
            continue;
        }

        member = cp_json_object(a);
        b = cp_audit_value(a, f, before);
        n = cp_audit_value(a, f, after);

        if (b) {
            cp_json_set(a, member, "before", b);
        }

        if (n) {
            cp_json_set(a, member, "after", n);
        }

        cp_json_set(a, diff, f->name, member);
    }

    return diff;
}


static cp_json_t *
cp_audit_value(cp_arena_t *a, const cp_field_t *f, const cp_json_t *obj)
{
    char             *text;
    size_t            len;
    uint8_t           sum[32];
    const cp_json_t  *val;

    val = cp_json_get(obj, f->name);

    if (val == NULL) {
        return NULL;
    }

    text = cp_json_text(a, val, &len);

    if (text && ((f->flags & CP_WHOLE) || len > CP_DIFF_VALUE_MAX)) {
        cp_sha256(text, len, sum);
        return cp_json_string(a, cp_arena_printf(a, "sha256:%s",
                                                 cp_hex(a, sum, 32)));
    }

    return cp_json_copy(a, val);
}


/* RFC 9110: a list of strong tags, or "*". */
static bool
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
