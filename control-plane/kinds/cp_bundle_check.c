/*
 * `opa check` of a bundle, on the archive itself, between two runs of the
 * transaction that writes it: what a program takes its time for must keep
 * nobody else from writing.
 */

#include <string.h>

#include "client/cp_run.h"
#include "kinds/cp_bundle.h"
#include "kinds/cp_bundle_check.h"


#define CP_BUNDLE_MS     15000         /* for all of a request               */


/* What is asked of one content, as long as the request is. */
typedef struct cp_verdict_s  cp_verdict_t;

struct cp_verdict_s {
    const char    *revision;
    const char    *archive;
    size_t         len;
    bool           done;
    int            code;               /* 0: nothing is wrong                */
    cp_json_t     *said;               /* NULL: no JSON                      */
    cp_verdict_t  *next;
};

static cp_verdict_t *cp_verdict_find(const cp_op_t *op, const char *revision);
static cp_rc_t cp_verdict_ask(const cp_write_t *w, const cp_json_t *row);
static cp_rc_t cp_verdict_end(cp_tx_t *tx, void *data, bool commit);
static cp_rc_t cp_verdict_between(cp_op_t *op);
static cp_rc_t cp_verdict_run(cp_op_t *op, cp_verdict_t *v);
static cp_rc_t cp_verdict_tell(const cp_write_t *w, const cp_json_t *row,
    const cp_verdict_t *v);
static void cp_verdict_error(const cp_write_t *w, const cp_json_t *row,
    const cp_json_t *error);


static const char  cp_verdict_key[] = "verdicts";


cp_rc_t
cp_bundle_checked(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *row)
{
    bool           same;
    cp_op_t       *op = w->op;
    cp_verdict_t  *v;
    const char    *revision;

    same = before && cp_json_num(before, "checked", 0)
           && strcmp(cp_json_str(before, "revision"),
                     cp_json_str(row, "revision")) == 0;

    cp_json_put_bool(op->arena, row, "checked",
                     same || op->app->conf.opa_binary[0]);

    if (same || op->app->conf.opa_binary[0] == '\0') {
        return CP_OK;
    }

    revision = cp_json_str(row, "revision");
    v = cp_verdict_find(op, revision);

    if (v == NULL) {
        return cp_verdict_ask(w, row);
    }

    return v->done && v->code != 0 ? cp_verdict_tell(w, row, v) : CP_OK;
}


static cp_verdict_t *
cp_verdict_find(const cp_op_t *op, const char *revision)
{
    cp_verdict_t  *v;

    for (v = op->asked; v; v = v->next) {
        if (strcmp(v->revision, revision) == 0) {
            break;
        }
    }

    return v;
}


/* Notes it; the others of the same transaction are noted too, before any is
 * asked about. */
static cp_rc_t
cp_verdict_ask(const cp_write_t *w, const cp_json_t *row)
{
    cp_rc_t        rc;
    cp_op_t       *op = w->op;
    stoa_buf_t     out;
    cp_arena_t    *a = op->err.arena;
    cp_verdict_t  *v;

    stoa_buf_init(&out, CP_BUNDLE_TAR_MAX);
    rc = cp_bundle_archive(op->arena, row, &out, &op->err);
    v = cp_arena_alloc(a, sizeof(cp_verdict_t));

    if (rc == CP_OK && v) {
        v->revision = cp_arena_strdup(a, cp_json_str(row, "revision"));
        v->archive = cp_arena_strndup(a, out.data, out.len);
        v->len = out.len;
    }

    stoa_buf_free(&out);

    if (rc != CP_OK) {
        return rc;
    }

    if (v == NULL || v->revision == NULL || v->archive == NULL) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    if (cp_tx_attached(w->tx, cp_verdict_key) == NULL
        && cp_tx_attach(w->tx, cp_verdict_key, op, cp_verdict_end) != CP_OK)
    {
        return cp_err_set(&op->err, "internal", "no room in a transaction");
    }

    v->next = op->asked;
    op->asked = v;
    op->between = cp_verdict_between;

    return CP_OK;
}


/* Nothing is kept that has not been judged. */
static cp_rc_t
cp_verdict_end(cp_tx_t *tx, void *data, bool commit)
{
    cp_op_t  *op = data;

    (void) tx;

    return commit && op->between ? CP_CONFLICT : CP_OK;
}


static cp_rc_t
cp_verdict_between(cp_op_t *op)
{
    cp_rc_t        rc;
    int64_t        until;
    cp_verdict_t  *v;

    rc = CP_OK;
    until = cp_time_mono_ms() + CP_BUNDLE_MS;

    for (v = op->asked; v && rc == CP_OK; v = v->next) {
        if (v->done) {
            continue;
        }

        rc = cp_time_mono_ms() < until ? cp_verdict_run(op, v)
             : cp_err_set(&op->err, "unavailable", "checking these bundles"
                          " takes too long: apply fewer at once");
    }

    return rc;
}


static cp_rc_t
cp_verdict_run(cp_op_t *op, cp_verdict_t *v)
{
    cp_rc_t      rc;
    stoa_buf_t   out;
    const char  *argv[] = { op->app->conf.opa_binary, "check", "--strict",
                            "--format", "json", "--bundle", "/dev/stdin",
                            NULL };

    stoa_buf_init(&out, CP_RUN_OUT_MAX);
    rc = cp_run(argv, v->archive, v->len, CP_RUN_ATONCE, &out, &v->code,
                &op->err);

    if (rc == CP_OK) {
        v->done = true;

        if (v->code > 0 && cp_json_parse(op->arena, out.data, out.len,
                                         &v->said, NULL) != CP_OK)
        {
            v->said = NULL;
        }
    }

    stoa_buf_free(&out);

    return rc;
}


static cp_rc_t
cp_verdict_tell(const cp_write_t *w, const cp_json_t *row,
    const cp_verdict_t *v)
{
    const cp_json_t  *errors, *error;

    errors = v->said ? cp_json_get(v->said, "errors") : NULL;

    if (errors == NULL || errors->first == NULL) {
        return cp_fault_at(w->op, row, "modules", v->code < 0
                           ? "OPA took too long for them, or too much memory"
                           : "OPA does not take them, and does not say why");
    }

    for (error = errors->first; error; error = error->next) {
        cp_verdict_error(w, row, error);
    }

    return CP_DECLINED;
}


/* In which module, by its place in the list, and in which line of it. */
static void
cp_verdict_error(const cp_write_t *w, const cp_json_t *row,
    const cp_json_t *error)
{
    unsigned          i, line;
    const char       *file, *message, *field;
    const cp_json_t  *m, *at;

    at = cp_json_get(error, "location");
    file = at ? cp_json_str(at, "file") : NULL;
    message = cp_json_str(error, "message");
    field = "modules";
    line = 0;

    m = cp_json_get(row, "modules");

    for (m = m ? m->first : NULL, i = 0; m && file; m = m->next, i++) {
        if (strcmp(cp_json_str(m, "path"), file) == 0) {
            field = cp_arena_printf(w->op->err.arena, "modules[%u].rego", i);
            line = m->line;
            break;
        }
    }

    message = file ? cp_arena_printf(w->op->err.arena, "%s:%lld: %s", file,
                                     (long long) cp_json_num(at, "row", 0),
                                     message ? message : "") : message;

    (void) cp_err_field(&w->op->err, w->document, line, field, "%.500s",
                        message ? message : "");
}
