/*
 * Documents through the engine: what is new is created, what differs is
 * replaced, states are walked.
 *
 * States in two rounds.  What opens a resource (publish, resume, approve) is
 * done at once, because later documents may need it; what closes one
 * (suspend, deprecate, archive) is done when everything exists, and what is
 * pruned does not, in reverse.
 */

#include <string.h>

#include "auth/cp_auth.h"
#include "kinds/cp_hold.h"
#include "kinds/cp_kinds.h"
#include "apply/cp_apply_run.h"


static cp_rc_t cp_apply_document(cp_apply_t *ap, void *data);
static cp_rc_t cp_apply_settled(cp_apply_t *ap, void *data);
static cp_rc_t cp_apply_tenant(cp_apply_t *ap, const char *name,
    const char **id);
static cp_rc_t cp_apply_no_tenant(cp_apply_t *ap, const cp_document_t *d);
static cp_rc_t cp_apply_closed(cp_apply_t *ap, void *data);
static cp_rc_t cp_apply_find(cp_apply_t *ap, cp_document_t *d,
    const char **id);
static cp_rc_t cp_apply_find_subscription(cp_apply_t *ap, cp_document_t *d,
    const char **id);
static bool cp_apply_is_ended(const cp_document_t *d);
static cp_rc_t cp_apply_held(cp_apply_t *ap, cp_document_t *d,
    const char *owner, const char *application, const char *target);
static cp_rc_t cp_apply_ref(cp_apply_t *ap, const cp_resource_t *res,
    const char *parent, const char *name, const char **id);
static cp_rc_t cp_apply_create(cp_apply_t *ap, cp_document_t *d,
    cp_json_t *diff);
static cp_rc_t cp_apply_update(cp_apply_t *ap, cp_document_t *d,
    const char *id, cp_json_t *diff);
static bool cp_apply_same(cp_apply_t *ap, const cp_document_t *d,
    const cp_json_t *before);
static cp_rc_t cp_apply_states(cp_apply_t *ap, cp_document_t *d, bool open,
    cp_json_t *diff);
static void cp_apply_keep(cp_apply_t *ap, cp_document_t *d,
    const cp_json_t *diff);


/* States in which others can refer to a resource. */
static const char *const  cp_apply_open[] = {
    "active", "published", "enabled", NULL
};


cp_rc_t
cp_apply_run(cp_apply_t *ap)
{
    cp_rc_t   rc;
    unsigned  i;

    for (i = 0; i < ap->docs.n; i++) {
        rc = cp_apply_scratch(ap, cp_apply_document, ap->docs.order[i]);
        if (rc != CP_OK) {
            return rc;
        }
    }

    return CP_OK;
}


cp_rc_t
cp_apply_close(cp_apply_t *ap)
{
    cp_rc_t   rc;
    unsigned  i;

    for (i = ap->docs.n; i-- > 0; /* void */ ) {
        if (ap->docs.order[i]->state == NULL) {
            continue;
        }

        rc = cp_apply_scratch(ap, cp_apply_closed, ap->docs.order[i]);
        if (rc != CP_OK) {
            return rc;
        }
    }

    return CP_OK;
}


cp_rc_t
cp_apply_settle(cp_apply_t *ap)
{
    cp_rc_t         rc, all;
    unsigned        i;
    cp_document_t  *d;

    all = CP_OK;

    for (i = 0; i < ap->docs.n && all != CP_ERROR; i++) {
        d = &ap->docs.doc[i];

        if (d->res->settled == NULL || d->action == CP_ACTION_NONE) {
            continue;
        }

        rc = cp_apply_scratch(ap, cp_apply_settled, d);
        all = rc == CP_OK ? all : rc;
    }

    return all;
}


static cp_rc_t
cp_apply_settled(cp_apply_t *ap, void *data)
{
    cp_rc_t         rc;
    unsigned        i, n;
    cp_op_t        *op = ap->op;
    cp_json_t      *said;
    cp_document_t  *d = data;

    n = op->err.n;
    rc = cp_resource_settled(op, ap->tx, d->res, d->id);

    if (rc != CP_DECLINED) {
        return rc;
    }

    /* the row knows of no lines, the document does */

    for (i = n; i < op->err.n; i++) {
        said = cp_json_get(d->spec, op->err.faults[i].field);
        op->err.faults[i].line = said ? said->line : d->line;
    }

    cp_document_faults(&op->err, n, d);

    return rc;
}


static cp_rc_t
cp_apply_document(cp_apply_t *ap, void *data)
{
    cp_rc_t         rc;
    unsigned        n;
    cp_json_t      *diff;
    const char     *id;
    cp_document_t  *d;

    d = data;
    n = ap->op->err.n;
    diff = cp_json_array(ap->op->arena);
    rc = CP_OK;

    if (d->tenant) {
        rc = cp_apply_tenant(ap, d->tenant, &d->tenant_id);

        if (rc == CP_DECLINED) {
            return cp_apply_no_tenant(ap, d);
        }
    }

    if (rc == CP_OK) {
        rc = cp_apply_find(ap, d, &id);
    }

    if (rc == CP_OK && id && ap->fresh && d->res != &cp_res_tenant) {
        return cp_err_set(&ap->op->err, "conflict", "there is %s %s \"%.128s\""
                          " already", cp_an(d->res->kind), d->res->kind,
                          d->name ? d->name : id);
    }

    if (rc == CP_OK && id == NULL && (d->held || cp_apply_is_ended(d))) {
        d->state = NULL;
        cp_apply_keep(ap, d, diff);
        return CP_OK;
    }

    if (rc == CP_OK) {
        rc = id ? cp_apply_update(ap, d, id, diff)
                : cp_apply_create(ap, d, diff);
    }

    if (rc == CP_OK && d->res == &cp_res_tenant) {
        rc = cp_apply_tenant(ap, d->name, &id);
    }

    if (rc == CP_OK && d->openapi) {
        rc = cp_apply_openapi(ap, d, diff);
    }

    if (rc == CP_OK && d->pages) {
        rc = cp_apply_pages(ap, d, diff);
    }

    if (rc == CP_OK && d->operations) {
        rc = cp_apply_operations(ap, d, diff);
    }

    if (rc == CP_OK && d->gone) {
        rc = cp_apply_gone(ap, d, diff);
    }

    if (rc == CP_OK) {
        rc = cp_apply_tools(ap, d, diff);
    }

    if (rc == CP_OK && d->state) {
        rc = cp_apply_states(ap, d, true, diff);
    }

    if (rc == CP_DECLINED) {
        cp_document_faults(&ap->op->err, n, d);
    }

    if (rc == CP_OK) {
        cp_apply_keep(ap, d, diff);
    }

    return rc;
}


/* The field first: it would make a validation error of it. */
static cp_rc_t
cp_apply_no_tenant(cp_apply_t *ap, const cp_document_t *d)
{
    (void) cp_err_field(&ap->op->err, d->index, d->line, "metadata.tenant",
                        "there is no such tenant");

    return cp_err_set(&ap->op->err, "not_found",
                      "there is no tenant \"%.128s\"", d->tenant);
}


static cp_rc_t
cp_apply_closed(cp_apply_t *ap, void *data)
{
    cp_rc_t         rc;
    unsigned        n;
    cp_json_t      *diff;
    cp_document_t  *d;

    d = data;

    if (strcmp(d->current, d->state->s) == 0) {
        return CP_OK;
    }

    n = ap->op->err.n;
    diff = cp_json_array(ap->op->arena);

    rc = cp_apply_states(ap, d, false, diff);

    if (rc == CP_DECLINED) {
        cp_document_faults(&ap->op->err, n, d);
    }

    if (rc == CP_OK) {
        cp_apply_keep(ap, d, diff);
    }

    return rc;
}


/* Copies what the answer says out of the scratch. */
static void
cp_apply_keep(cp_apply_t *ap, cp_document_t *d, const cp_json_t *diff)
{
    cp_json_t  *item, *next;

    if (d->diff == NULL) {
        d->diff = cp_json_array(ap->arena);
    }

    for (item = diff->first; item; item = next) {
        next = item->next;
        cp_json_push(d->diff, cp_json_copy(ap->arena, item));
    }

    if (d->action == CP_ACTION_NONE && d->diff->n) {
        d->action = CP_ACTION_UPDATE;
    }
}


/* A tenant that the actor may not see is none. */
static cp_rc_t
cp_apply_tenant(cp_apply_t *ap, const char *name, const char **id)
{
    cp_rc_t              rc;
    uint64_t             slot;
    cp_apply_tenant_t   *t, *same;

    slot = stoa_hash64(name, strlen(name), 0) % CP_APPLY_TENANTS;

    for (t = ap->tenant[slot]; t; t = t->hash_next) {
        if (strcmp(t->name, name) == 0) {
            *id = t->id;
            return CP_OK;
        }
    }

    rc = cp_ref_find(ap->tx, ap->op->arena, &cp_res_tenant, NULL, name, id,
                     &ap->op->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (*id == NULL || !cp_auth_sees(&ap->op->actor, *id)) {
        return cp_err_set(&ap->op->err, "not_found",
                          "there is no tenant \"%.128s\"", name);
    }

    /* whether a document changes anything tells what is there */

    rc = cp_auth_may(ap->op, "apply:read", *id);
    if (rc != CP_OK) {
        return rc;
    }

    t = cp_arena_alloc(ap->arena, sizeof(cp_apply_tenant_t));
    if (t == NULL) {
        return cp_err_set(&ap->op->err, "internal", "out of memory");
    }

    t->name = cp_arena_strdup(ap->arena, name);
    t->id = cp_arena_strdup(ap->arena, *id);
    t->hash_next = ap->tenant[slot];
    ap->tenant[slot] = t;
    *id = t->id;

    /* named by its id here, by its name there: still one tenant */

    for (same = ap->tenants; same; same = same->next) {
        if (strcmp(same->id, t->id) == 0) {
            return CP_OK;
        }
    }

    t->next = ap->tenants;
    ap->tenants = t;

    return CP_OK;
}


static cp_rc_t
cp_apply_find(cp_apply_t *ap, cp_document_t *d, const char **id)
{
    cp_rc_t  rc;

    if (d->res == &cp_res_subscription) {
        return cp_apply_find_subscription(ap, d, id);
    }

    rc = cp_apply_ref(ap, d->res, d->tenant_id, d->name, id);

    /* its name may be another's id; and what may not be seen is not there */

    if (rc == CP_OK && *id && d->res == &cp_res_tenant
        && !cp_auth_sees(&ap->op->actor, *id))
    {
        return cp_err_set(&ap->op->err, "not_found",
                          "there is no tenant \"%.128s\"", d->name);
    }

    return rc;
}


/*
 * The one of this application to this target that has not ended.  What does
 * not resolve here is left to the engine, which says why.
 */
static cp_rc_t
cp_apply_find_subscription(cp_apply_t *ap, cp_document_t *d, const char **id)
{
    cp_rc_t      rc;
    cp_rows_t    rows;
    const char  *app, *owner, *api, *server, *s;

    *id = NULL;

    rc = cp_apply_ref(ap, &cp_res_application, d->tenant_id,
                      cp_json_str(d->spec, "application"), &app);
    if (rc != CP_OK || app == NULL) {
        return rc;
    }

    s = cp_json_str(d->spec, "target_tenant");
    owner = d->tenant_id;

    if (s) {
        rc = cp_apply_ref(ap, &cp_res_tenant, NULL, s, &owner);
        if (rc != CP_OK || owner == NULL) {
            return rc;
        }
    }

    rc = cp_apply_ref(ap, &cp_res_api, owner, cp_json_str(d->spec, "api"),
                      &api);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_apply_ref(ap, &cp_res_server, owner,
                      cp_json_str(d->spec, "server"), &server);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_tx_query(ap->tx, ap->op->arena, "SELECT id FROM subscriptions"
                     " WHERE application = $1 AND COALESCE(api, '') = $2"
                     " AND COALESCE(server, '') = $3 AND state NOT IN"
                     " ('revoked', 'rejected', 'expired')"
                     " ORDER BY id LIMIT 1",
                     cp_args(cp_text(app), cp_text(api ? api : ""),
                             cp_text(server ? server : "")),
                     &rows, &ap->op->err);

    if (rc == CP_OK && rows.rows) {
        *id = cp_cell(&rows, 0, 0)->p;
    }

    api = api ? api : server;
    d->of[0] = cp_arena_strdup(ap->arena, app);
    d->of[1] = api ? cp_arena_strdup(ap->arena, api) : NULL;

    return rc == CP_OK && api && strcmp(owner, d->tenant_id) != 0
           ? cp_apply_held(ap, d, owner, app, api) : rc;
}


/* A subscription that the document itself says has ended: where there is none
 * alive, it is as it should be. */
static bool
cp_apply_is_ended(const cp_document_t *d)
{
    int64_t                   at;
    unsigned                  i;
    const char               *expires;
    static const char *const  ended[] = { "revoked", "rejected", "expired",
                                          NULL };

    if (d->res != &cp_res_subscription) {
        return false;
    }

    for (i = 0; d->state && ended[i]; i++) {
        if (strcmp(d->state->s, ended[i]) == 0) {
            return true;
        }
    }

    expires = cp_json_str(d->spec, "expires_at");

    return expires && cp_time_parse(expires, strlen(expires), &at)
           && at <= cp_time_ms();
}


/*
 * What the publisher holds is not undone by a file that says what it always
 * said, nor asked for again at each apply: the document is as the publisher
 * left it.  Who may decide for the publisher decides by `state: active`.
 */
static cp_rc_t
cp_apply_held(cp_apply_t *ap, cp_document_t *d, const char *owner,
    const char *application, const char *target)
{
    cp_rc_t            rc;
    int64_t            asked;
    cp_hold_t          hold;
    const char        *ended, *how;
    const cp_json_t   *expires;
    static const char  word[] = "active";

    rc = cp_hold_load(ap->tx, ap->op->arena, application, target, &hold,
                      &ap->op->err);

    if (rc != CP_OK
        || (cp_auth_holds(&ap->op->actor, "subscription:approve", owner)
            && d->state && strcmp(d->state->s, word) == 0))
    {
        return rc;
    }

    ended = cp_hold_ended(&hold);
    how = ended ? ended : hold.state;

    if (how) {
        d->held = cp_arena_strdup(ap->arena, how);
    }

    if (how && d->state && strcmp(d->state->s, word) == 0) {
        d->state = NULL;
    }

    expires = cp_json_get(d->spec, "expires_at");
    asked = INT64_MAX;

    if (expires && (expires->type != CP_JSON_STRING
                    || !cp_time_parse(expires->s, strlen(expires->s),
                                       &asked)))
    {
        return CP_OK;
    }

    if (ended == NULL && hold.expires_ms && asked > hold.expires_ms
        && !cp_auth_holds(&ap->op->actor, "subscription:approve", owner))
    {
        cp_json_put(ap->arena, d->spec, "expires_at",
                    cp_time_format(ap->arena, hold.expires_ms));
    }

    return CP_OK;
}


static cp_rc_t
cp_apply_ref(cp_apply_t *ap, const cp_resource_t *res, const char *parent,
    const char *name, const char **id)
{
    *id = NULL;

    return name ? cp_ref_find(ap->tx, ap->op->arena, res, parent, name, id,
                              &ap->op->err)
                : CP_OK;
}


/* A server whose tools are not there shows nothing: the answer says so. */
static void
cp_apply_lacks(cp_apply_t *ap, cp_document_t *d, const cp_json_t *obj)
{
    d->unresolved = cp_json_copy(ap->arena, cp_json_get(obj, "unresolved"));
}


static cp_rc_t
cp_apply_create(cp_apply_t *ap, cp_document_t *d, cp_json_t *diff)
{
    cp_rc_t     rc;
    cp_json_t  *obj;
    cp_entry_t  e;
    cp_write_t  w = cp_write_of(ap->op, ap->tx, d->res);

    w.id = d->tenant_id;
    w.in = d->spec;
    w.document = d->index;

    rc = cp_entry_create(&w, &e);
    if (rc != CP_OK) {
        return rc;
    }

    obj = e.obj;

    d->action = CP_ACTION_CREATE;
    d->id = cp_arena_strdup(ap->arena, cp_json_str(obj, "id"));

    if (d->res->transitions) {
        d->current = cp_arena_strdup(ap->arena, cp_json_str(obj, "state"));
    }

    cp_apply_lacks(ap, d, obj);

    /* defaults go without saying, as they do in documents */

    obj = cp_dump_spec(ap->op->arena, d->res->fields, obj);
    cp_diff_objects(ap->op->arena, d->res, NULL, obj, diff);

    return CP_OK;
}


/*
 * What is the same is found out before the engine is asked: a document that
 * changes nothing needs no right to change, and costs no write.
 */
static cp_rc_t
cp_apply_update(cp_apply_t *ap, cp_document_t *d, const char *id,
    cp_json_t *diff)
{
    cp_rc_t      rc;
    cp_json_t   *row, *before;
    cp_names_t   names;
    cp_entry_t   e;
    cp_write_t   w = cp_write_of(ap->op, ap->tx, d->res);

    rc = cp_row_load(ap->tx, ap->op->arena, d->res, id, &row, &ap->op->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (row == NULL || !cp_entry_visible(&ap->op->actor, d->res, row)) {
        return cp_err_set(&ap->op->err, "not_found", "there is no such %s",
                          d->res->kind);
    }

    cp_names_init(&names, ap->tx, ap->op->arena, &ap->op->err);

    rc = cp_row_show(&names, d->res, row, &before);
    if (rc != CP_OK) {
        return rc;
    }

    d->id = cp_arena_strdup(ap->arena, id);

    if (d->res->transitions) {
        d->current = cp_arena_strdup(ap->arena, cp_json_str(row, "state"));
    }

    cp_apply_lacks(ap, d, before);

    if (cp_apply_same(ap, d, before)) {
        return CP_OK;
    }

    w.id = id;
    w.in = d->spec;
    w.document = d->index;

    rc = cp_entry_update(&w, &e);

    if (rc == CP_OK && w.changed) {
        cp_diff_objects(ap->op->arena, d->res, before, e.obj, diff);
        cp_diff_sealed(ap->op->arena, d->res, d->spec, diff);
        cp_apply_lacks(ap, d, e.obj);
        d->action = CP_ACTION_UPDATE;
    }

    return rc;
}


/* Faults are the engine's to report, so they are not kept here. */
static bool
cp_apply_same(cp_apply_t *ap, const cp_document_t *d, const cp_json_t *before)
{
    cp_err_t           quiet = { .arena = ap->op->arena };
    cp_json_t         *after, *diff;
    cp_validate_t      v = { ap->op->arena, &quiet, d->index, false };
    const cp_field_t  *f;

    if (cp_validate(&v, d->res->fields, d->spec, before, &after) != CP_OK) {
        return false;
    }

    /* what was sealed is the engine's to compare */

    for (f = d->res->fields; f->name; f++) {
        if ((f->flags & CP_SEALED) && cp_json_get(after, f->name)) {
            return false;
        }
    }

    diff = cp_json_array(ap->op->arena);
    cp_diff_objects(ap->op->arena, d->res, before, after, diff);

    return diff->n == 0;
}


/* open: only as far as the last state on the way that others can refer to. */
static cp_rc_t
cp_apply_states(cp_apply_t *ap, cp_document_t *d, bool open, cp_json_t *diff)
{
    int                     i, k, n;
    cp_rc_t                 rc;
    cp_entry_t              e;
    cp_write_t              w = cp_write_of(ap->op, ap->tx, d->res);
    const char             *from;
    const cp_transition_t  *path[CP_WALK_MAX];

    from = d->current;
    n = cp_apply_walk(d->res, from, d->state->s, path);

    if (n < 0) {
        rc = cp_err_field(&ap->op->err, d->index, d->state->line, "spec.state",
                          "cannot become \"%.64s\" when it is %s",
                          d->state->s, from);
        (void) cp_err_set(&ap->op->err, "illegal_transition", "%s %s that is"
                          " %s cannot become \"%.64s\"",
                          cp_an(d->res->kind), d->res->kind, from,
                          d->state->s);
        return rc;
    }

    for (i = 0; open && i < n; i++) {
        for (k = 0; cp_apply_open[k]; k++) {
            if (strcmp(path[n - 1 - i]->to, cp_apply_open[k]) == 0) {
                break;
            }
        }

        if (cp_apply_open[k]) {
            break;
        }
    }

    n -= open ? i : 0;
    w.id = d->id;

    for (i = 0; i < n; i++) {
        rc = cp_entry_event(&w, path[i]->event, &e);
        if (rc != CP_OK) {
            return rc;
        }

        d->current = cp_arena_strdup(ap->arena, cp_json_str(e.obj, "state"));
    }

    if (strcmp(from, d->current) != 0) {
        cp_diff_push(ap->op->arena, diff, "state",
                     cp_json_string(ap->op->arena, from),
                     cp_json_string(ap->op->arena, d->current));
    }

    return CP_OK;
}
