/*
 * The list of checkpoints: adding to it, proving it, taking it elsewhere.
 */

#include <inttypes.h>
#include <string.h>

#include "audit/cp_checkpoint.h"
#include "audit/cp_checkpoints.h"
#include "audit/cp_mark.h"
#include "audit/cp_sign.h"


/* cp_checkpoint_walk() */
typedef struct {
    cp_arena_t   *a;
    int64_t       number;
    int64_t       at;
    char          digest[65];
    const char   *marks;           /* what the last one says of them        */
    const char   *why;
} cp_list_walk_t;

typedef struct {
    cp_arena_t   *a;
    stoa_buf_t    buf;
    int64_t       n;
} cp_marks_walk_t;


static cp_rc_t cp_checkpoint_marks(cp_op_t *op, cp_tx_t *tx,
    const char **digest, int64_t *n);
static cp_rc_t cp_checkpoint_walk(void *ctx, const cp_val_t *row,
    unsigned cols);
static cp_rc_t cp_checkpoint_list(cp_op_t *op, cp_tx_t *tx, int64_t from,
    const char *kept, cp_list_walk_t *w, const char **why);
static const char *cp_checkpoint_kept(cp_op_t *op, const char *kept,
    const cp_list_walk_t *w);


static void
cp_checkpoint_digest(const char *text, const char *signature, char hex[65])
{
    uint8_t     sum[32];
    stoa_buf_t  b;

    stoa_buf_init(&b, 64 * 1024);
    stoa_buf_addf(&b, "%s.%s", text, signature);
    cp_sha256(b.data, b.len, sum);
    stoa_buf_free(&b);
    stoa_hex_encode(sum, 32, hex);
    hex[64] = '\0';
}


/* {text, signature}: what the text says; NULL: the key has not signed it. */
static cp_json_t *
cp_checkpoint_signed(cp_arena_t *a, const cp_json_t *one)
{
    cp_json_t   *v;
    const char  *text, *signature;

    text = cp_json_str(one, "text");
    signature = cp_json_str(one, "signature");

    return text && signature && cp_sign_good(text, signature)
           && cp_json_parse(a, text, strlen(text), &v, NULL) == CP_OK
           ? v : NULL;
}


cp_rc_t
cp_checkpoints_add(cp_op_t *op, cp_tx_t *tx, const cp_last_t *last,
    int64_t number, int64_t at, const char **kept)
{
    cp_rc_t      rc;
    int64_t      n;
    cp_rows_t    rows;
    cp_json_t   *v;
    cp_arena_t  *a;
    const char  *text, *signature, *digest;

    a = op->arena;

    rc = cp_checkpoint_marks(op, tx, &digest, &n);
    if (rc != CP_OK) {
        return rc;
    }

    text = cp_arena_printf(a, "{\"stoa_checkpoint\":1,\"number\":%" PRId64
                           ",\"at\":%" PRId64 ",\"chains\":%" PRId64
                           ",\"marks\":\"%s\",\"prev\":\"%s\"%s}", number,
                           at, n, digest, last->digest,
                           last->accepted ? ",\"accepted\":true" : "");
    signature = text ? cp_sign(a, text) : NULL;

    if (signature == NULL) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    rc = cp_tx_query(tx, a, "INSERT INTO audit_checkpoint (number, at, text,"
                     " signature) VALUES ($1, $2, $3, $4)"
                     " ON CONFLICT (number) DO NOTHING RETURNING number",
                     cp_args(cp_int(number), cp_int(at), cp_text(text),
                             cp_text(signature)), &rows, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (rows.rows == 0) {
        return CP_CONFLICT;
    }

    v = cp_json_object(a);
    cp_json_put_int(a, v, "number", number);
    cp_json_put(a, v, "text", text);
    cp_json_put(a, v, "signature", signature);
    *kept = cp_json_text(a, v, &(size_t) { 0 });

    return cp_tx_query(tx, a, "DELETE FROM audit_checkpoint"
                       " WHERE number <= $1",
                       cp_args(cp_int(number - CP_CHECKPOINTS_KEPT)), NULL,
                       &op->err);
}


static cp_rc_t
cp_marks_walk(void *ctx, const cp_val_t *row, unsigned cols)
{
    cp_mark_t         m;
    const char       *text;
    cp_marks_walk_t  *w = ctx;

    (void) cols;

    cp_mark_of(row + 1, &m);
    text = cp_mark_text(w->a, row[0].p, &m);
    stoa_buf_addf(&w->buf, "%s.%s\n", text ? text : "", m.signature);
    w->n++;

    return w->buf.rc == STOA_OK ? CP_OK : CP_ERROR;
}


/* Over all of them in order; some 500 bytes of each. */
static cp_rc_t
cp_checkpoint_marks(cp_op_t *op, cp_tx_t *tx, const char **digest,
    int64_t *n)
{
    cp_rc_t           rc;
    uint8_t           sum[32];
    cp_marks_walk_t   w;

    memset(&w, 0, sizeof(w));
    stoa_buf_init(&w.buf, 64 * 1024 * 1024);
    w.a = op->arena;

    rc = cp_tx_each(tx, "SELECT tenant, " CP_MARK_COLUMNS " FROM audit_mark"
                    " ORDER BY tenant", NULL, 0, cp_marks_walk, &w);

    if (rc == CP_OK) {
        cp_sha256(w.buf.data ? w.buf.data : "", w.buf.len, sum);
        *digest = cp_hex(op->arena, sum, 32);
        *n = w.n;
    }

    stoa_buf_free(&w.buf);

    return rc == CP_OK ? CP_OK
           : cp_err_set(&op->err, "internal", "the marks were not read");
}


static cp_rc_t
cp_checkpoint_walk(void *ctx, const cp_val_t *row, unsigned cols)
{
    cp_json_t       *v;
    const char      *prev;
    cp_list_walk_t  *w = ctx;

    v = NULL;

    (void) cols;

    if (w->why) {
        return CP_OK;
    }

    if (!cp_sign_good(row[2].p, row[3].p)) {
        w->why = cp_arena_printf(w->a, "checkpoint %" PRId64 " is not signed "
                                 "by the key", row[0].i);

    } else if (cp_json_parse(w->a, row[2].p, row[2].len, &v, NULL) != CP_OK
               || cp_json_num(v, "number", 0) != row[0].i)
    {
        w->why = cp_arena_printf(w->a, "checkpoint %" PRId64 " is another's",
                                 row[0].i);

    } else if (w->number && row[0].i != w->number + 1
               && cp_json_get(v, "accepted") == NULL)
    {
        w->why = cp_arena_printf(w->a, "checkpoint %" PRId64 " is missing",
                                 w->number + 1);

    } else {
        prev = cp_json_str(v, "prev");

        if (w->number && (prev == NULL || strcmp(prev, w->digest) != 0)) {
            w->why = cp_arena_printf(w->a, "checkpoint %" PRId64 " does not "
                                     "follow the one before", row[0].i);
        }

        w->number = row[0].i;
        w->at = cp_json_num(v, "at", 0);
        w->marks = cp_json_str(v, "marks");
        cp_checkpoint_digest(row[2].p, row[3].p, w->digest);
    }

    return CP_OK;
}


/* From a number on: the signatures, their order, the marks, what is kept. */
static cp_rc_t
cp_checkpoint_list(cp_op_t *op, cp_tx_t *tx, int64_t from, const char *kept,
    cp_list_walk_t *w, const char **why)
{
    cp_rc_t      rc;
    int64_t      n;
    const char  *digest;

    memset(w, 0, sizeof(cp_list_walk_t));
    w->a = op->arena;

    rc = cp_tx_each(tx, "SELECT number, at, text, signature"
                    " FROM audit_checkpoint WHERE number >= $1"
                    " ORDER BY number", cp_args(cp_int(from)),
                    cp_checkpoint_walk, w);
    if (rc != CP_OK) {
        return cp_err_set(&op->err, "internal",
                          "the checkpoints were not read");
    }

    rc = cp_checkpoint_marks(op, tx, &digest, &n);
    if (rc != CP_OK) {
        return rc;
    }

    *why = w->why;

    if (*why == NULL && (w->number ? w->marks == NULL
                                     || strcmp(w->marks, digest) != 0 : n > 0))
    {
        *why = "the marks are not those of the last checkpoint";
    }

    if (*why == NULL && kept) {
        *why = cp_checkpoint_kept(op, kept, w);
    }

    return CP_OK;
}


static const char *
cp_checkpoint_kept(cp_op_t *op, const char *kept, const cp_list_walk_t *w)
{
    char         digest[65];
    int64_t      number;
    cp_json_t   *v;

    if (cp_json_parse(op->arena, kept, strlen(kept), &v, NULL) != CP_OK) {
        return "what is kept beside the key cannot be read";
    }

    if (cp_checkpoint_signed(op->arena, v) == NULL) {
        return "what is kept beside the key is not signed by it";
    }

    number = cp_json_num(v, "number", 0);

    if (number > w->number) {
        return cp_arena_printf(op->arena, "the database is older than "
                               "checkpoint %" PRId64 ", which is kept beside "
                               "the key", number);
    }

    cp_checkpoint_digest(cp_json_str(v, "text"), cp_json_str(v, "signature"),
                         digest);

    return number == w->number && strcmp(digest, w->digest) != 0
           ? "the last checkpoint is not the one that is kept beside the key"
           : NULL;
}


cp_rc_t
cp_checkpoints_last(cp_op_t *op, cp_tx_t *tx, const char *kept,
    cp_last_t *last, const char **why)
{
    cp_rc_t          rc;
    int64_t          number;
    cp_json_t       *v;
    cp_rows_t        rows;
    cp_list_walk_t   w;

    rc = cp_tx_query(tx, op->arena, "SELECT MAX(number)"
                     " FROM audit_checkpoint", NULL, 0, &rows, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    number = cp_cell(&rows, 0, 0)->type == CP_VAL_INT
             ? cp_cell(&rows, 0, 0)->i : 0;

    rc = cp_checkpoint_list(op, tx, number, kept, &w, why);

    /* where it goes on over one that is lost, no number comes twice */

    if (rc == CP_OK && *why && kept
        && cp_json_parse(op->arena, kept, strlen(kept), &v, NULL) == CP_OK
        && cp_json_num(v, "number", 0) > number)
    {
        number = cp_json_num(v, "number", 0);
    }

    last->number = number;
    last->digest = cp_arena_strdup(op->arena, w.digest);

    return rc;
}


cp_rc_t
cp_checkpoint_verify(cp_op_t *op, cp_tx_t *tx, const char *kept,
    cp_json_t **result)
{
    cp_rc_t          rc;
    cp_arena_t      *a;
    const char      *why;
    cp_list_walk_t   w;

    a = op->arena;
    why = NULL;

    rc = cp_checkpoint_list(op, tx, 0, kept, &w, &why);
    if (rc != CP_OK) {
        return rc;
    }

    *result = cp_json_object(a);
    cp_json_put_bool(a, *result, "ok", why == NULL);
    cp_json_put_int(a, *result, "number", w.number);
    cp_json_put(a, *result, "at", w.number ? cp_time_format(a, w.at) : NULL);
    cp_json_put_bool(a, *result, "kept", kept != NULL);

    if (why) {
        cp_json_put(a, *result, "why", why);
    }

    return CP_OK;
}


cp_rc_t
cp_checkpoint_export(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    cp_json_t **out)
{
    cp_rc_t      rc;
    unsigned     i;
    cp_mark_t    m;
    cp_rows_t    last, rows;
    cp_json_t   *marks, *v;
    cp_arena_t  *a;

    a = op->arena;

    rc = cp_tx_query(tx, a, "SELECT number, at, text, signature"
                     " FROM audit_checkpoint ORDER BY number DESC LIMIT 1",
                     NULL, 0, &last, &op->err);

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, a, "SELECT tenant, " CP_MARK_COLUMNS
                         " FROM audit_mark WHERE $1 = '*' OR tenant = $1"
                         " ORDER BY tenant",
                         cp_args(cp_text(tenant ? tenant : "*")), &rows,
                         &op->err);
    }

    if (rc != CP_OK) {
        return rc;
    }

    if (last.rows == 0) {
        return cp_err_set(&op->err, "not_found", "there is no checkpoint yet");
    }

    marks = cp_json_array(a);

    for (i = 0; i < rows.rows; i++) {
        cp_mark_of(cp_cell(&rows, i, 1), &m);
        v = cp_json_object(a);
        cp_json_put(a, v, "text", cp_mark_text(a, cp_cell(&rows, i, 0)->p,
                                               &m));
        cp_json_put(a, v, "signature", m.signature);
        cp_json_push(marks, v);
    }

    *out = cp_json_object(a);
    cp_json_put_int(a, *out, "number", cp_cell(&last, 0, 0)->i);
    cp_json_put(a, *out, "at", cp_time_format(a, cp_cell(&last, 0, 1)->i));
    cp_json_put(a, *out, "text", cp_cell(&last, 0, 2)->p);
    cp_json_put(a, *out, "signature", cp_cell(&last, 0, 3)->p);
    cp_json_put(a, *out, "public_key", cp_sign_public(a));
    cp_json_set(a, *out, "marks", marks);

    return CP_OK;
}


/* One mark of an exported checkpoint: what it says of its last row. */
static cp_rc_t
cp_checkpoint_compare_mark(cp_op_t *op, cp_tx_t *tx, const cp_json_t *one,
    const char **why)
{
    cp_rc_t      rc;
    cp_rows_t    rows;
    cp_json_t   *v;
    const char  *tenant;

    v = cp_checkpoint_signed(op->arena, one);

    if (v == NULL) {
        *why = "a mark of it is not signed by the key";
        return CP_OK;
    }

    tenant = cp_json_str(v, "tenant");

    rc = cp_tx_query(tx, op->arena, "SELECT COALESCE((SELECT hash FROM audit"
                     " WHERE tenant = $1 AND seq = $2), ''),"
                     " COALESCE((SELECT first_seq FROM audit_mark"
                     " WHERE tenant = $1), 0)",
                     cp_args(cp_text(tenant),
                             cp_int(cp_json_num(v, "seq", 0))),
                     &rows, &op->err);

    /* what was pruned since is behind a mark that is signed itself */

    if (rc == CP_OK && cp_cell(&rows, 0, 1)->i <= cp_json_num(v, "seq", 0)
        && strcmp(cp_cell(&rows, 0, 0)->p, cp_json_str(v, "hash")) != 0)
    {
        *why = cp_arena_printf(op->arena, "row %" PRId64 " of %s is not what "
                               "it was", cp_json_num(v, "seq", 0),
                               tenant[0] ? tenant : "the platform");
    }

    return rc;
}


cp_rc_t
cp_checkpoint_compare(cp_op_t *op, cp_tx_t *tx, const cp_json_t *in,
    const char **why)
{
    cp_rc_t      rc;
    cp_rows_t    rows;
    cp_json_t   *v, *marks;

    *why = NULL;
    v = cp_checkpoint_signed(op->arena, in);

    if (v == NULL) {
        *why = "it is not signed by the key";
        return CP_OK;
    }

    rc = cp_tx_query(tx, op->arena, "SELECT MAX(CASE WHEN number = $1"
                     " THEN text ELSE '' END), MIN(number)"
                     " FROM audit_checkpoint",
                     cp_args(cp_int(cp_json_num(v, "number", 0))), &rows,
                     &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (cp_cell(&rows, 0, 0)->type != CP_VAL_TEXT
        || (cp_cell(&rows, 0, 1)->i <= cp_json_num(v, "number", 0)
            && strcmp(cp_cell(&rows, 0, 0)->p, cp_json_str(in, "text"))
               != 0))
    {
        *why = "the log has no such checkpoint";
        return CP_OK;
    }

    marks = cp_json_get(in, "marks");

    for (v = marks ? marks->first : NULL; v && *why == NULL && rc == CP_OK;
         v = v->next)
    {
        rc = cp_checkpoint_compare_mark(op, tx, v, why);
    }

    return rc;
}
