/*
 * Reading the audit log.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "op/cp_app.h"
#include "http/cp_query.h"
#include "rest/cp_list.h"
#include "audit/cp_audit.h"
#include "audit/cp_checkpoint.h"
#include "audit/cp_sign.h"
#include "auth/cp_auth.h"
#include "base/cp_csv.h"


#define CP_AUDIT_ARGS_MAX  16
#define CP_AUDIT_KEY_MAX   80
#define CP_AUDIT_PIECE     500
#define CP_AUDIT_ARENA     (256 * 1024 * 1024)

/* Query parameter, column, whether few rows of a chain have a value: then its
 * index is the way, which SQLite does not know. */
static const struct {
    const char  *name;
    const char  *column;
    bool         few;
} cp_audit_filters[] = {
    { "actor", "CASE actor_name WHEN '' THEN actor_id ELSE actor_name END",
      true },
    { "action", "action", false },
    { "kind", "kind", false },
    { "resource", "resource", true },
    { "name", "resource_name", false },
    { "request_id", "request_id", true },
    { NULL, NULL, false }
};

/* one: a single chain, whose order is that of seq; else by time. */
typedef struct {
    cp_req_t    *r;
    bool         one;
    const char  *where;
    cp_val_t     args[CP_AUDIT_ARGS_MAX];
    unsigned     n;
} cp_audit_query_t;

/* What is being sent. */
typedef struct {
    cp_req_t  *r;
    bool       csv;
    bool       begun;
    char       key[CP_AUDIT_KEY_MAX];      /* of the last row; "" none       */
} cp_audit_file_t;

static const char *const  cp_audit_columns[] = { "at", "tenant", "seq",
    "actor_kind", "actor_id", "actor", "action", "kind", "resource", "name",
    "diff", "address", "request_id", "erased", "hash", NULL };


static cp_rc_t cp_audit_get(cp_req_t *r);
static cp_rc_t cp_audit_verify(cp_req_t *r);
static cp_rc_t cp_audit_export(cp_req_t *r);
static cp_rc_t cp_audit_fill(void *ctx, stoa_buf_t *out, bool *done);
static cp_rc_t cp_audit_piece(cp_audit_file_t *f, cp_tx_t *tx,
    stoa_buf_t *out, bool *done);
static void cp_audit_line(const cp_audit_file_t *f, stoa_buf_t *out,
    const cp_json_t *item);
static cp_rc_t cp_audit_select(cp_req_t *r, cp_tx_t *tx,
    const cp_audit_query_t *q, bool desc, int64_t limit, cp_rows_t *rows);
static cp_rc_t cp_audit_where(cp_req_t *r, cp_tx_t *tx,
    cp_audit_query_t *q, bool desc, const char *key);
static cp_rc_t cp_audit_time(cp_req_t *r, cp_audit_query_t *q,
    const char *name, const char *op);
static void cp_audit_and(cp_audit_query_t *q, const char *text,
    cp_val_t arg);
static cp_rc_t cp_audit_after(cp_req_t *r, cp_audit_query_t *q, bool desc,
    const char *key);
static cp_rc_t cp_audit_page(cp_req_t *r, cp_names_t *names,
    const cp_rows_t *rows, int64_t limit, cp_json_t **page);
static cp_rc_t cp_audit_verify_all(cp_req_t *r, cp_tx_t *tx,
    const char *kept, cp_json_t **out);


const cp_route_t  cp_audit_routes[] = {
    { "GET", "/v1/audit", CP_AUTH_ADMIN, "audit:read", cp_audit_get, NULL,
      "Who did what, youngest first", "tenant since until actor action kind"
      " resource name request_id order limit cursor" },
    { "GET", "/v1/audit/export", CP_AUTH_ADMIN, "audit:read",
      cp_audit_export, NULL, "All of it as a file, oldest first", "tenant"
      " since until actor action kind resource name request_id format" },
    { "GET", "/v1/audit/verify", CP_AUTH_ADMIN, "audit:read",
      cp_audit_verify, NULL, "Check the hash chains of the audit log",
      "tenant" },
    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};


/* "": the platform's chain. */
static cp_rc_t
cp_audit_whose(cp_req_t *r, cp_tx_t *tx, cp_tenants_t *of)
{
    return cp_ref_tenants(&r->op, tx, cp_req_query(r, "tenant"),
                          r->route->permission, true, of);
}


static cp_rc_t
cp_audit_get(cp_req_t *r)
{
    bool               desc;
    cp_rc_t            rc;
    int64_t            limit;
    cp_tx_t           *tx;
    cp_rows_t          rows;
    cp_json_t         *page;
    cp_names_t         names;
    const char        *key, *order;
    cp_audit_query_t   q;

    rc = cp_list_range(r, &limit, &key);
    if (rc != CP_OK) {
        return rc;
    }

    order = cp_req_query(r, "order");
    desc = order == NULL || strcmp(order, "desc") == 0;

    if (!desc && strcmp(order, "asc") != 0) {
        return cp_err_set(&r->op.err, "bad_request",
                          "order must be asc or desc");
    }

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    memset(&q, 0, sizeof(q));
    q.r = r;

    rc = cp_audit_where(r, tx, &q, desc, key);

    if (rc == CP_OK) {
        rc = cp_audit_select(r, tx, &q, desc, limit, &rows);
    }

    if (rc == CP_OK) {
        page = NULL;
        cp_names_init(&names, tx, r->op.arena, &r->op.err);
        rc = cp_audit_page(r, &names, &rows, limit, &page);
    }

    cp_tx_rollback(tx);

    return rc == CP_OK ? cp_req_answer(r, 200, page) : rc;
}


/* One row more than the page has: is there a next one? */
static cp_rc_t
cp_audit_select(cp_req_t *r, cp_tx_t *tx, const cp_audit_query_t *q,
    bool desc, int64_t limit, cp_rows_t *rows)
{
    const char  *order;

    order = q->one ? (desc ? "seq DESC" : "seq")
            : desc ? "at DESC, tenant DESC, seq DESC" : "at, tenant, seq";

    return cp_tx_query(tx, r->op.arena,
                       cp_arena_printf(r->op.arena, "SELECT tenant, seq, at,"
                           " actor_kind, actor_id, actor_name, action, kind,"
                           " resource, resource_name, diff, request_id,"
                           " hash, personal FROM audit WHERE %s"
                           " ORDER BY %s LIMIT %" PRId64,
                           q->where, order, limit + 1),
                       q->args, q->n, rows, &r->op.err);
}


static cp_rc_t
cp_audit_where(cp_req_t *r, cp_tx_t *tx, cp_audit_query_t *q, bool desc,
    const char *key)
{
    bool           few;
    cp_rc_t        rc;
    unsigned       i;
    const char    *value;
    cp_tenants_t   of;

    rc = cp_audit_whose(r, tx, &of);
    if (rc != CP_OK) {
        return rc;
    }

    q->one = !of.all && of.n == 1;
    few = false;

    for (i = 0; cp_audit_filters[i].name; i++) {
        few = few || (cp_audit_filters[i].few
                      && cp_req_query(r, cp_audit_filters[i].name));
    }

    /* by a text that is no column, so not by the chain */

    q->where = cp_arena_printf(r->op.arena, "%s" CP_BY_VALUES,
                               cp_tenants_where(r->op.arena, &of, few
                                                ? "tenant || ''" : "tenant"));

    for (i = 0; cp_audit_filters[i].name; i++) {
        value = cp_req_query(r, cp_audit_filters[i].name);

        if (value) {
            cp_audit_and(q, cp_arena_printf(r->op.arena, "%s =",
                                            cp_audit_filters[i].column),
                         cp_text(value));
        }
    }

    rc = cp_audit_time(r, q, "since", "at >=");

    if (rc == CP_OK) {
        rc = cp_audit_time(r, q, "until", "at <");
    }

    return rc == CP_OK && key[0] ? cp_audit_after(r, q, desc, key) : rc;
}


static cp_rc_t
cp_audit_time(cp_req_t *r, cp_audit_query_t *q, const char *name,
    const char *op)
{
    int64_t      ms;
    const char  *value;

    value = cp_req_query(r, name);

    if (value == NULL) {
        return CP_OK;
    }

    if (!cp_time_parse(value, strlen(value), &ms)) {
        return cp_err_set(&r->op.err, "bad_request",
                          "%s must be a time as in RFC 3339", name);
    }

    cp_audit_and(q, op, cp_int(ms));

    return CP_OK;
}


static void
cp_audit_and(cp_audit_query_t *q, const char *text, cp_val_t arg)
{
    if (q->n == CP_AUDIT_ARGS_MAX) {
        return;
    }

    q->args[q->n++] = arg;
    q->where = cp_arena_printf(q->r->op.arena, "%s AND %s $%u", q->where, text,
                               q->n);
}


/* The cursor is at:seq:tenant of the last row seen. */
static cp_rc_t
cp_audit_after(cp_req_t *r, cp_audit_query_t *q, bool desc, const char *key)
{
    char     *end;
    int64_t   at, seq;

    at = strtoll(key, &end, 10);
    seq = *end == ':' ? strtoll(end + 1, &end, 10) : -1;

    if (seq < 0 || *end != ':' || q->n + 3 > CP_AUDIT_ARGS_MAX) {
        return cp_err_set(&r->op.err, "bad_request",
                          "the cursor is not one of ours");
    }

    if (q->one) {
        cp_audit_and(q, desc ? "seq <" : "seq >", cp_int(seq));
        return CP_OK;
    }

    q->args[q->n] = cp_int(at);
    q->args[q->n + 1] = cp_text(cp_arena_strdup(r->op.arena, end + 1));
    q->args[q->n + 2] = cp_int(seq);
    q->where = cp_arena_printf(r->op.arena, "%s AND (at, tenant, seq) %c ($%u,"
                               " $%u, $%u)", q->where, desc ? '<' : '>',
                               q->n + 1, q->n + 2, q->n + 3);
    q->n += 3;

    return CP_OK;
}


static cp_rc_t
cp_audit_page(cp_req_t *r, cp_names_t *names, const cp_rows_t *rows,
    int64_t limit, cp_json_t **page)
{
    cp_rc_t                   rc;
    unsigned                  i, k;
    cp_json_t                *items, *item, *diff;
    cp_arena_t               *a;
    const char               *name;
    const cp_val_t           *c;
    static const char *const  members[] = { NULL, "seq", NULL, "actor_kind",
        "actor_id", "actor", "action", "kind", "resource", "name", NULL,
        "request_id", "hash" };

    a = r->op.arena;
    items = cp_json_array(a);

    for (i = 0; i < rows->rows && i < limit; i++) {
        c = cp_cell(rows, i, 0);
        item = cp_json_object(a);

        rc = cp_names_get(names, &cp_res_tenant, c[0].p, &name);
        if (rc == CP_OK) {
            rc = cp_json_parse(a, c[10].p, c[10].len, &diff, &r->op.err);
        }

        if (rc != CP_OK) {
            return cp_err_set(&r->op.err, "internal", "the log was not read");
        }

        cp_json_put(a, item, "at", cp_time_format(a, c[2].i));
        cp_json_put(a, item, "tenant", name ? name : c[0].p);

        for (k = 0; k < sizeof(members) / sizeof(members[0]); k++) {
            if (members[k]) {
                cp_json_set(a, item, members[k],
                            c[k].type == CP_VAL_INT
                            ? cp_json_int(a, c[k].i)
                            : cp_json_string(a, c[k].p));
            }
        }

        cp_json_set(a, item, "diff", diff);

        rc = cp_audit_reveal(&r->op, names->tx, c[13].p, item);
        if (rc != CP_OK) {
            return rc;
        }

        cp_json_push(items, item);
    }

    *page = cp_json_object(a);
    cp_json_set(a, *page, "items", items);

    if (rows->rows > limit) {
        c = cp_cell(rows, (unsigned) limit - 1, 0);
        cp_json_set(a, *page, "next",
                    cp_json_string(a, cp_list_cursor(a,
                        cp_arena_printf(a, "%" PRId64 ":%" PRId64 ":%s",
                                        c[2].i, c[1].i, c[0].p))));
    }

    return CP_OK;
}


static cp_rc_t
cp_audit_export(cp_req_t *r)
{
    const char       *format;
    cp_audit_file_t  *f;

    format = cp_req_query(r, "format");
    f = cp_arena_alloc(r->op.arena, sizeof(cp_audit_file_t));

    if (f == NULL) {
        return cp_err_set(&r->op.err, "internal", "no memory");
    }

    f->r = r;
    f->csv = format && strcmp(format, "csv") == 0;

    if (format && !f->csv && strcmp(format, "ndjson") != 0) {
        return cp_query_fault(r, "format", "must be ndjson or csv");
    }

    cp_req_set_header(r, "Content-Disposition", f->csv
                      ? "attachment; filename=\"audit.csv\""
                      : "attachment; filename=\"audit.ndjson\"");

    return cp_req_stream(r, 200, f->csv
                         ? "text/csv; charset=utf-8; header=present"
                         : "application/x-ndjson", cp_audit_fill, NULL, f);
}


/* Each piece has memory of its own: the log may be longer than any. */
static cp_rc_t
cp_audit_fill(void *ctx, stoa_buf_t *out, bool *done)
{
    cp_rc_t           rc;
    cp_op_t          *op;
    cp_tx_t          *tx;
    cp_arena_t       *own;
    cp_audit_file_t  *f = ctx;

    op = &f->r->op;
    own = op->arena;
    op->arena = cp_arena_create(CP_AUDIT_ARENA);

    if (op->arena == NULL
        || cp_tx_open(op->app->db, false, &tx, &op->err) != CP_OK)
    {
        rc = CP_ERROR;

    } else {
        rc = cp_audit_piece(f, tx, out, done);
        cp_tx_rollback(tx);
    }

    cp_arena_destroy(op->arena);
    op->arena = own;

    return rc;
}


static cp_rc_t
cp_audit_piece(cp_audit_file_t *f, cp_tx_t *tx, stoa_buf_t *out, bool *done)
{
    cp_rc_t            rc;
    cp_rows_t          rows;
    cp_json_t         *page, *item;
    cp_names_t         names;
    const cp_val_t    *c;
    cp_audit_query_t   q;

    memset(&q, 0, sizeof(q));
    q.r = f->r;
    page = NULL;

    rc = cp_audit_where(f->r, tx, &q, false, f->key);

    if (rc == CP_OK) {
        rc = cp_audit_select(f->r, tx, &q, false, CP_AUDIT_PIECE, &rows);
    }

    if (rc == CP_OK) {
        cp_names_init(&names, tx, f->r->op.arena, &f->r->op.err);
        rc = cp_audit_page(f->r, &names, &rows, CP_AUDIT_PIECE, &page);
    }

    if (rc != CP_OK) {
        return rc;
    }

    if (!f->begun && f->csv) {
        cp_audit_line(f, out, NULL);
    }

    f->begun = true;

    for (item = cp_json_get(page, "items")->first; item; item = item->next) {
        cp_audit_line(f, out, item);
    }

    *done = rows.rows <= CP_AUDIT_PIECE;

    if (!*done) {
        c = cp_cell(&rows, CP_AUDIT_PIECE - 1, 0);
        (void) snprintf(f->key, sizeof(f->key), "%" PRId64 ":%" PRId64 ":%s",
                        c[2].i, c[1].i, c[0].p);

    } else if (out->len == 0) {
        stoa_buf_addz(out, "\n");
    }

    return CP_OK;
}


/* item NULL: the names of the columns. */
static void
cp_audit_line(const cp_audit_file_t *f, stoa_buf_t *out,
    const cp_json_t *item)
{
    unsigned          i;
    const char       *text;
    const cp_json_t  *m;

    if (!f->csv) {
        cp_json_write(out, item);
        stoa_buf_addz(out, "\n");
        return;
    }

    for (i = 0; cp_audit_columns[i]; i++) {

        m = item ? cp_json_get(item, cp_audit_columns[i]) : NULL;
        text = item == NULL ? cp_audit_columns[i]
               : m == NULL || m->type == CP_JSON_NULL ? ""
               : m->type == CP_JSON_STRING ? m->s
               : cp_json_text(f->r->op.arena, m, &(size_t) { 0 });

        stoa_buf_addz(out, i ? "," : "");
        cp_csv_cell(out, text ? text : "");
    }

    stoa_buf_addz(out, "\r\n");
}


/* 200 either way: that the log was tampered with is the answer. */
static cp_rc_t
cp_audit_verify(cp_req_t *r)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_json_t   *out;
    const char  *kept;

    kept = cp_sign_kept(r->op.arena);

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_audit_verify_all(r, tx, kept, &out);
    cp_tx_rollback(tx);

    return rc == CP_OK ? cp_req_answer(r, 200, out) : rc;
}


/* Also those that have lost their head, or all their rows. */
static cp_rc_t
cp_audit_chains(cp_req_t *r, cp_tx_t *tx, cp_rows_t *rows)
{
    cp_rc_t        rc;
    cp_tenants_t   of;

    rc = cp_audit_whose(r, tx, &of);
    if (rc != CP_OK) {
        return rc;
    }

    return cp_tx_query(tx, r->op.arena, of.all || of.n != 1
                       ? cp_arena_printf(r->op.arena, "SELECT tenant FROM"
                             " (SELECT tenant FROM audit_head"
                             " UNION SELECT DISTINCT tenant FROM audit"
                             " UNION SELECT id FROM tenants UNION SELECT '')"
                             " c WHERE %s ORDER BY 1",
                             cp_tenants_where(r->op.arena, &of, "tenant"))
                       : cp_arena_printf(r->op.arena, "SELECT '%s'",
                                         of.id[0]),
                       NULL, 0, rows, &r->op.err);
}


static cp_rc_t
cp_audit_verify_all(cp_req_t *r, cp_tx_t *tx, const char *kept,
    cp_json_t **out)
{
    cp_rc_t      rc;
    int64_t      events;
    unsigned     i;
    cp_rows_t    rows;
    cp_json_t   *chains, *one, *bad, *points;
    cp_names_t   names;
    cp_arena_t  *a;
    const char  *chain, *name, *broken;

    a = r->op.arena;

    rc = cp_audit_chains(r, tx, &rows);
    if (rc != CP_OK) {
        return rc;
    }

    cp_names_init(&names, tx, a, &r->op.err);
    chains = cp_json_array(a);
    events = 0;
    broken = NULL;

    for (i = 0; i < rows.rows; i++) {
        chain = cp_cell(&rows, i, 0)->p;

        rc = cp_audit_verify_chain(&r->op, tx, chain, &one);
        if (rc == CP_OK) {
            rc = cp_names_get(&names, &cp_res_tenant, chain, &name);
        }

        if (rc != CP_OK) {
            return rc;
        }

        name = name ? name : chain;
        bad = cp_json_get(one, "broken");
        events += cp_json_num(one, "checked", 0);
        cp_json_put(a, one, "tenant", name);
        cp_json_push(chains, one);

        if (bad && broken == NULL) {
            broken = cp_arena_printf(a, "%s:%" PRId64 ": %s", name,
                                     cp_json_num(bad, "seq", 0),
                                     cp_json_str(bad, "why"));
        }
    }

    rc = cp_checkpoint_verify(&r->op, tx, kept, &points);
    if (rc != CP_OK) {
        return rc;
    }

    if (broken == NULL && cp_json_str(points, "why")) {
        broken = cp_arena_printf(a, "checkpoints: %s",
                                 cp_json_str(points, "why"));
    }

    *out = cp_json_object(a);
    cp_json_put_bool(a, *out, "ok", broken == NULL);
    cp_json_put_int(a, *out, "events", events);

    if (broken) {
        cp_json_put(a, *out, "broken_at", broken);
    }

    cp_json_set(a, *out, "checkpoints", points);
    cp_json_set(a, *out, "chains", chains);

    return CP_OK;
}
