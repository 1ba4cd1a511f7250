/*
 * The routes of the resources: rows over a handful of generic handlers, which
 * learn everything from the resource's table and the path.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "audit/cp_audit.h"
#include "auth/cp_auth.h"
#include "op/cp_app.h"
#include "feed/cp_feed.h"
#include "apply/cp_wait.h"
#include "http/cp_idempotency.h"
#include "http/cp_query.h"
#include "kinds/cp_group_key.h"
#include "rest/cp_list.h"


#define CP_CHAIN_MAX  4

/* A write, and its answer while it waits for the gateways. */
typedef struct {
    cp_wait_t     wait;                /* the first: r->ctx is both         */
    int           status;
    const char   *content_type;
    const char   *text;
    size_t        len;
    const char   *header[16][2];
    unsigned      nheader;
    bool          undo;                /* it was only to be seen             */
} cp_answer_t;


static cp_rc_t cp_write(cp_req_t *r, cp_write_pt write);
static cp_rc_t cp_write_work(cp_req_t *r, cp_tx_t *tx, cp_place_t *p,
    cp_write_pt write, bool *replayed);
static cp_rc_t cp_write_wait(cp_req_t *r);
static cp_rc_t cp_write_waited(cp_req_t *r);
static bool cp_is_known(cp_req_t *r, const cp_resource_t *res,
    const cp_entry_t *e);
static cp_rc_t cp_body_optional(cp_req_t *r, cp_json_t **in);
static cp_rc_t cp_write_create(cp_req_t *r, cp_tx_t *tx,
    const cp_place_t *p);
static cp_rc_t cp_write_update(cp_req_t *r, cp_tx_t *tx,
    const cp_place_t *p);
static cp_rc_t cp_write_event(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p);
static cp_rc_t cp_write_rotate(cp_req_t *r, cp_tx_t *tx,
    const cp_place_t *p);
static cp_rc_t cp_write_expected(cp_req_t *r, cp_tx_t *tx,
    const cp_place_t *p);
static cp_rc_t cp_write_delete(cp_req_t *r, cp_tx_t *tx,
    const cp_place_t *p);


/*
 * Walks the names of a path from the tenant down.  A foreign tenant was
 * answered by cp_auth_check() already; this is the second lock.
 */
cp_rc_t
cp_rest_place(cp_req_t *r, cp_tx_t *tx, cp_place_t *p)
{
    cp_rc_t               rc;
    unsigned              i, depth;
    const char           *id;
    const cp_resource_t  *chain[CP_CHAIN_MAX], *res;

    p->tenant = NULL;
    p->parent = NULL;
    p->id = NULL;

    for (res = p->res, depth = 0; res && depth < CP_CHAIN_MAX; depth++) {
        memmove(chain + 1, chain, depth * sizeof(chain[0]));
        chain[0] = res;
        res = res->parent ? cp_resource_find(res->parent) : NULL;
    }

    for (i = 0; i < depth && i < r->nparam; i++) {
        rc = cp_ref_find(tx, r->op.arena, chain[i], p->id, r->param[i], &id,
                         &r->op.err);
        if (rc != CP_OK) {
            return rc;
        }

        if (id == NULL || (chain[i] == &cp_res_tenant
                           && !cp_auth_sees(&r->op.actor, id)))
        {
            return cp_err_set(&r->op.err, "not_found",
                              "there is no %s \"%.128s\"", chain[i]->kind,
                              r->param[i]);
        }

        if (chain[i] == &cp_res_tenant) {
            p->tenant = id;
        }

        p->parent = p->id;
        p->id = id;
    }

    if (i < depth) {
        p->parent = p->id;
        p->id = NULL;
    }

    return CP_OK;
}


static cp_rc_t
cp_write(cp_req_t *r, cp_write_pt write)
{
    cp_place_t  p = { .res = r->route->data };

    return cp_rest_write(r, &p, write);
}


void
cp_rest_undo(cp_req_t *r)
{
    cp_answer_t  *answer = r->ctx;

    answer->undo = true;
}


/* One transaction around one write and its idempotent answer. */
cp_rc_t
cp_rest_write(cp_req_t *r, cp_place_t *p, cp_write_pt write)
{
    bool          replayed;
    cp_rc_t       rc;
    cp_tx_t      *tx;
    cp_answer_t  *answer;

    answer = cp_arena_alloc(r->op.arena, sizeof(cp_answer_t));
    if (answer == NULL) {
        return cp_err_set(&r->op.err, "internal", "no memory");
    }

    memset(answer, 0, sizeof(cp_answer_t));
    r->ctx = answer;

    rc = cp_wait_init(r, &answer->wait);
    if (rc != CP_OK) {
        return rc;
    }

    if (cp_tx_open(r->op.app->db, true, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    cp_resource_defer(&r->op);
    rc = cp_write_work(r, tx, p, write, &replayed);
    r->op.deferred = NULL;

    if (rc == CP_OK && answer->undo) {
        cp_tx_rollback(tx);
        return CP_OK;
    }

    if (rc != CP_OK || replayed) {
        cp_tx_rollback(tx);
        return rc == CP_OK ? cp_write_wait(r) : rc;
    }

    rc = cp_tx_finish(tx, CP_OK, &r->op.err);

    if (p->res->authority) {
        cp_auth_cache_drop();
    }

    return rc == CP_OK ? cp_write_wait(r) : rc;
}


static cp_rc_t
cp_write_work(cp_req_t *r, cp_tx_t *tx, cp_place_t *p, cp_write_pt write,
    bool *replayed)
{
    cp_rc_t          rc;
    cp_answer_t     *answer = r->ctx;
    cp_feed_head_t   head;

    rc = cp_idempotency_begin(r, tx, replayed);

    if (rc != CP_OK || *replayed) {
        return rc;
    }

    rc = cp_feed_lock(tx, r->op.arena, &r->op.err);

    if (rc == CP_OK) {
        rc = cp_feed_head(tx, r->op.arena, &head, &r->op.err);
        answer->wait.before = head.rev;
    }

    if (rc == CP_OK) {
        rc = cp_rest_place(r, tx, p);
    }

    if (rc == CP_OK) {
        rc = write(r, tx, p);
    }

    if (rc == CP_OK) {
        rc = cp_resource_flush(&r->op, tx);
    }

    if (rc == CP_OK) {
        rc = cp_feed_head(tx, r->op.arena, &head, &r->op.err);
    }

    if (rc == CP_OK && !answer->undo) {
        cp_req_set_header(r, "Stoa-Revision",
                          cp_arena_printf(r->op.arena, "%" PRId64, head.rev));
        rc = cp_idempotency_end(r, tx);
    }

    return rc;
}


/* What a gateway must not refuse.  The record of a subscription is known by
 * its application and target. */
static void
cp_write_about(cp_req_t *r, const cp_json_t *row)
{
    unsigned                  i;
    cp_answer_t              *answer = r->ctx;
    static const char *const  names[] = { "id", "application", "api",
                                          "server", NULL };

    for (i = 0; names[i]; i++) {
        cp_wait_name(r, &answer->wait, cp_json_str(row, names[i]));
    }
}


/* The answer is put aside: a request that waits begins with an empty one. */
static cp_rc_t
cp_write_wait(cp_req_t *r)
{
    unsigned      i;
    cp_answer_t  *a = r->ctx;

    if (a->wait.ms == 0) {
        return CP_OK;
    }

    for (i = 0; i < r->nheader; i++) {
        a->header[i][0] = r->header[i][0];
        a->header[i][1] = r->header[i][1];

        if (strcmp(r->header[i][0], "Stoa-Revision") == 0) {
            a->wait.rev = strtoll(r->header[i][1], NULL, 10);
        }
    }

    a->nheader = r->nheader;
    a->status = r->status;
    a->content_type = r->content_type;
    a->len = r->out.len;
    a->text = cp_arena_strndup(r->op.arena, r->out.len ? r->out.data : "",
                               r->out.len);

    if (a->text == NULL) {
        return cp_err_set(&r->op.err, "internal", "no memory");
    }

    return cp_wait_run(r, &a->wait, cp_write_waited);
}


/* What was to be done is done, however the gateways take it. */
static cp_rc_t
cp_write_waited(cp_req_t *r)
{
    unsigned          i;
    const char       *told;
    cp_answer_t      *a = r->ctx;
    const cp_json_t  *g;

    r->status = a->status;
    r->content_type = a->content_type;
    stoa_buf_reset(&r->out);
    stoa_buf_add(&r->out, a->text, a->len);

    for (i = 0; i < a->nheader; i++) {
        cp_req_set_header(r, a->header[i][0], a->header[i][1]);
    }

    cp_req_set_header(r, "Stoa-State", a->wait.state);
    cp_req_set_header(r, "Stoa-Away",
                      cp_arena_printf(r->op.arena, "%u", a->wait.away));

    told = NULL;

    for (g = a->wait.list->first, i = 0; g && i < CP_WAIT_TOLD;
         g = g->next, i++)
    {
        told = cp_arena_printf(r->op.arena, "%s%s%s=%s", told ? told : "",
                               told ? ", " : "", cp_json_str(g, "name"),
                               cp_json_str(g, "state"));
    }

    if (told) {
        cp_req_set_header(r, "Stoa-Gateways", told);
    }

    return CP_OK;
}


static cp_rc_t
cp_answer_entry(cp_req_t *r, int status, const cp_entry_t *e)
{
    cp_req_set_header(r, "ETag", e->etag);

    if (strcmp(r->method, "GET") != 0 && strcmp(r->method, "HEAD") != 0) {
        cp_write_about(r, e->row);
    }

    return cp_req_answer(r, status, e->obj);
}


cp_rc_t
cp_resource_route_get(cp_req_t *r)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_place_t   p = { .res = r->route->data };
    cp_entry_t   e;
    cp_names_t   names;

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_rest_place(r, tx, &p);

    if (rc == CP_OK) {
        rc = cp_row_load(tx, r->op.arena, p.res, p.id, &e.row, &r->op.err);
    }

    if (rc == CP_OK && (e.row == NULL
                        || !cp_entry_visible(&r->op.actor, p.res, e.row)))
    {
        rc = cp_err_set(&r->op.err, "not_found", "there is no such %s",
                        p.res->kind);
    }

    if (rc == CP_OK) {
        rc = cp_entry_may(&r->op, p.res, e.row, r->route->permission);
    }

    if (rc == CP_OK) {
        cp_names_init(&names, tx, r->op.arena, &r->op.err);
        rc = cp_row_show(&names, p.res, e.row, &e.obj);
    }

    cp_tx_rollback(tx);

    if (rc != CP_OK) {
        return rc;
    }

    e.etag = cp_etag(r->op.arena, e.row);

    if (cp_is_known(r, p.res, &e)) {
        e.obj = NULL;
    }

    return cp_answer_entry(r, e.obj ? 200 : 304, &e);
}


/*
 * If-None-Match.  The tag counts changes of the row; what moves without one (a
 * gateway's reports, a discovery) is never the same as it was.
 */
static bool
cp_is_known(cp_req_t *r, const cp_resource_t *res, const cp_entry_t *e)
{
    const cp_field_t  *f;

    for (f = res->fields; f->name; f++) {
        if ((f->flags & (CP_DERIVED|CP_MOVES))
            && strcmp(f->name, "updated_at") != 0
            && cp_json_get(e->obj, f->name))
        {
            return false;
        }
    }

    return cp_req_knows(r, e->etag);
}


/* Below a path, or over all tenants that the token sees. */
cp_rc_t
cp_resource_route_list(cp_req_t *r)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_json_t   *page;
    cp_place_t   p = { .res = r->route->data };

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_rest_place(r, tx, &p);

    if (rc == CP_OK) {
        rc = cp_list_page(r, tx, p.res, p.res->parent && r->nparam == 0
                          ? cp_auth_home(&r->op.actor) : p.tenant, p.parent,
                          &page);
    }

    cp_tx_rollback(tx);

    return rc == CP_OK ? cp_req_answer(r, 200, page) : rc;
}


cp_rc_t
cp_resource_route_create(cp_req_t *r)
{
    return cp_write(r, cp_write_create);
}


static cp_rc_t
cp_write_create(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p)
{
    cp_rc_t     rc;
    cp_json_t  *in;
    cp_entry_t  e;
    cp_write_t  w = cp_write_of(&r->op, tx, p->res);

    rc = cp_req_json(r, &in);
    if (rc != CP_OK) {
        return rc;
    }

    w.id = p->parent;
    w.in = in;

    rc = cp_entry_create(&w, &e);
    if (rc != CP_OK) {
        return rc;
    }

    cp_req_set_header(r, "Location",
                      cp_arena_printf(r->op.arena, "%s/%s", r->path,
                                      cp_json_str(e.row, p->res->by_id
                                                  ? "id" : "name")));

    return cp_answer_entry(r, 201, &e);
}


cp_rc_t
cp_resource_route_update(cp_req_t *r)
{
    return cp_write(r, cp_write_update);
}


static cp_rc_t
cp_write_update(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p)
{
    cp_rc_t     rc;
    cp_json_t  *in;
    cp_entry_t  e;
    cp_write_t  w = cp_write_of(&r->op, tx, p->res);

    rc = cp_req_json(r, &in);
    if (rc != CP_OK) {
        return rc;
    }

    w.id = p->id;
    w.in = in;
    w.patch = strcmp(r->method, "PATCH") == 0;
    w.if_match = cp_req_header(r, "If-Match");

    rc = cp_entry_update(&w, &e);

    return rc == CP_OK ? cp_answer_entry(r, 200, &e) : rc;
}


cp_rc_t
cp_resource_route_event(cp_req_t *r)
{
    return cp_write(r, cp_write_event);
}


/* The event is the last segment of the route. */
static cp_rc_t
cp_write_event(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p)
{
    cp_rc_t     rc;
    cp_json_t  *in;
    cp_entry_t  e;
    cp_write_t  w = cp_write_of(&r->op, tx, p->res);

    rc = cp_body_optional(r, &in);
    if (rc != CP_OK) {
        return rc;
    }

    w.id = p->id;
    w.in = in;
    w.if_match = cp_req_header(r, "If-Match");

    rc = cp_entry_event(&w, strrchr(r->route->path, '/') + 1, &e);

    return rc == CP_OK ? cp_answer_entry(r, 200, &e) : rc;
}


static cp_rc_t
cp_body_optional(cp_req_t *r, cp_json_t **in)
{
    cp_rc_t  rc;

    *in = NULL;
    rc = r->body_len ? cp_req_json(r, in) : CP_OK;

    if (rc == CP_OK && *in && (*in)->type != CP_JSON_OBJECT) {
        return cp_err_field(&r->op.err, -1, (*in)->line, "",
                            "must be an object");
    }

    return rc;
}


cp_rc_t
cp_resource_route_rotate(cp_req_t *r)
{
    return cp_write(r, cp_write_rotate);
}


/* {"lead_s": N}: after how long the new key is used. */
static cp_rc_t
cp_write_rotate(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p)
{
    cp_rc_t            rc;
    int64_t            lead;
    cp_json_t         *in, *out;
    const cp_json_t   *m;
    cp_audit_event_t   e = { .action = "rotate", .kind = p->res->kind,
                             .id = p->id, .name = r->param[0] };

    rc = cp_body_optional(r, &in);
    if (rc != CP_OK) {
        return rc;
    }

    lead = CP_GROUP_KEY_LEAD_S;

    for (m = in ? in->first : NULL; m; m = m->next) {
        if (strcmp(m->key, "lead_s") != 0 || m->type != CP_JSON_INT
            || m->i < 0 || m->i > 86400)
        {
            return cp_err_field(&r->op.err, -1, m->line, m->key,
                                strcmp(m->key, "lead_s") == 0
                                ? "must be 0 to 86400" : "is not known");
        }

        lead = m->i;
    }

    rc = cp_write_expected(r, tx, p);

    if (rc == CP_OK) {
        rc = cp_group_key_rotate(&r->op, tx, p->id, lead, &out);
    }

    if (rc != CP_OK) {
        return rc;
    }

    e.diff = cp_json_copy(r->op.arena, out);
    cp_json_put(r->op.arena, out, "name", r->param[0]);
    rc = cp_audit_append(&r->op, tx, &e);

    return rc == CP_OK ? cp_req_answer(r, 200, out) : rc;
}


/* If-Match, where the engine does not look. */
static cp_rc_t
cp_write_expected(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p)
{
    cp_rc_t      rc;
    cp_json_t   *row;
    const char  *have, *want;

    want = cp_req_header(r, "If-Match");
    if (want == NULL) {
        return CP_OK;
    }

    rc = cp_row_load(tx, r->op.arena, p->res, p->id, &row, &r->op.err);
    if (rc != CP_OK) {
        return rc;
    }

    have = row ? cp_etag(r->op.arena, row) : "gone";

    return row && cp_etag_matches(want, have)
           ? CP_OK : cp_err_set(&r->op.err, "precondition_failed",
                                "it is %s now, not %.128s", have, want);
}


cp_rc_t
cp_resource_route_delete(cp_req_t *r)
{
    return cp_write(r, cp_write_delete);
}


static cp_rc_t
cp_write_delete(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p)
{
    cp_rc_t     rc;
    cp_write_t  w = cp_write_of(&r->op, tx, p->res);

    w.id = p->id;
    w.if_match = cp_req_header(r, "If-Match");
    w.single = true;

    rc = cp_query_flag(r, "force", &w.force);

    if (rc == CP_OK) {
        rc = cp_entry_delete(&w);
    }

    return rc == CP_OK ? cp_req_answer(r, 204, NULL) : rc;
}
