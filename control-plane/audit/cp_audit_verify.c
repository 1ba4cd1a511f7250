/*
 * Proving that nothing was changed in a chain.
 */

#include <inttypes.h>
#include <string.h>

#include "audit/cp_audit_row.h"
#include "audit/cp_mark.h"


static void cp_audit_end(cp_op_t *op, cp_audit_walk_t *w, const char *tenant,
    const cp_rows_t *head, bool expected);
static cp_json_t *cp_audit_result(cp_arena_t *a, const cp_audit_walk_t *w,
    const char *tenant, bool head);


cp_rc_t
cp_audit_verify_chain(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    cp_json_t **result)
{
    bool              good;
    cp_rc_t           rc;
    cp_mark_t         mark;
    cp_rows_t         head, owner;
    cp_audit_walk_t   w;

    rc = cp_tx_query(tx, op->arena, "SELECT seq, hash, mac FROM audit_head"
                     " WHERE tenant = $1", cp_args(cp_text(tenant)), &head,
                     &op->err);

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, op->arena, "SELECT id FROM tenants"
                         " WHERE id = $1", cp_args(cp_text(tenant)), &owner,
                         &op->err);
    }

    if (rc == CP_OK) {
        rc = cp_mark_read(op, tx, tenant, &mark, &good);
    }

    if (rc != CP_OK) {
        return rc;
    }

    memset(&w, 0, sizeof(w));
    stoa_buf_init(&w.buf, 16 * CP_AUDIT_DIFF_MAX);
    w.mark = mark.seq ? &mark : NULL;

    rc = cp_tx_each(tx, "SELECT " CP_AUDIT_COLUMNS " FROM audit"
                    " WHERE tenant = $1 ORDER BY seq",
                    cp_args(cp_text(tenant)), cp_audit_walk, &w);
    stoa_buf_free(&w.buf);

    if (rc != CP_OK) {
        return cp_err_set(&op->err, "internal", "the audit log was not read");
    }

    if (w.broken == 0 && w.mark && !good) {
        w.broken = mark.seq;
        w.why = "its checkpoint is not signed by the key";
    }

    cp_audit_end(op, &w, tenant, &head, owner.rows > 0 || tenant[0] == '\0');
    *result = cp_audit_result(op->arena, &w, tenant, head.rows > 0);

    return CP_OK;
}


static cp_json_t *
cp_audit_result(cp_arena_t *a, const cp_audit_walk_t *w, const char *tenant,
    bool head)
{
    cp_json_t  *result, *v;

    result = cp_json_object(a);
    cp_json_put(a, result, "tenant", tenant);
    cp_json_put_bool(a, result, "ok", w->broken == 0);
    cp_json_put_int(a, result, "checked", w->checked);

    if (w->broken) {
        v = cp_json_object(a);
        cp_json_put_int(a, v, "seq", w->broken);
        cp_json_put(a, v, "why", w->why);
        cp_json_set(a, result, "broken", v);

    } else if (head) {
        v = cp_json_object(a);
        cp_json_put_int(a, v, "seq", w->seq);
        cp_json_put(a, v, "hash", w->hash);
        cp_json_set(a, result, "head", v);
    }

    if (w->mark) {
        v = cp_json_object(a);
        cp_json_put_int(a, v, "number", w->mark->number);
        cp_json_put(a, v, "at", cp_time_format(a, w->mark->at));
        cp_json_put_int(a, v, "seq", w->mark->seq);
        cp_json_set(a, result, "checkpoint", v);
    }

    return result;
}


/* What is before the first row of the checkpoint is being pruned, or is gone:
 * whatever is there of it has to lead to that row. */
cp_rc_t
cp_audit_walk(void *ctx, const cp_val_t *row, unsigned cols)
{
    char              hash[65];
    const cp_mark_t  *m;
    cp_audit_walk_t  *w = ctx;

    (void) cols;

    /* the first broken link is told; the rest is let pass, because an early
     * end would end the transaction too */

    if (w->broken) {
        return CP_OK;
    }

    m = w->mark;

    if (w->seq == 0 && m && row[A_SEQ].i > 1 && row[A_SEQ].i <= m->first) {
        w->seq = row[A_SEQ].i - 1;
        snprintf(w->hash, sizeof(w->hash), "%s", row[A_PREV_HASH].p);
    }

    if (row[A_SEQ].i != w->seq + 1) {
        w->broken = w->seq + 1;
        w->why = "the row is missing";
        return CP_OK;
    }

    if (!cp_audit_hash(&w->buf, row, hash)) {
        return CP_ERROR;
    }

    if (strcmp(row[A_PREV_HASH].p, w->hash) != 0) {
        w->why = "it does not follow the row before it";

    } else if (strcmp(row[A_HASH].p, hash) != 0) {
        w->why = "the row was changed";

    } else if (m && row[A_SEQ].i == m->first
               && strcmp(row[A_PREV_HASH].p, m->first_prev) != 0)
    {
        w->why = "it does not follow what was pruned";

    } else if (m && row[A_SEQ].i == m->seq && strcmp(hash, m->hash) != 0) {
        w->why = "it is not the row that the checkpoint has";
    }

    if (w->why) {
        w->broken = row[A_SEQ].i;
        return CP_OK;
    }

    w->seq++;
    w->checked++;
    memcpy(w->hash, hash, sizeof(hash));

    return CP_OK;
}


/* What the rows alone cannot tell: whether they are all there. */
static void
cp_audit_end(cp_op_t *op, cp_audit_walk_t *w, const char *tenant,
    const cp_rows_t *head, bool expected)
{
    int64_t  seq;

    if (w->broken) {
        return;
    }

    if (head->rows == 0) {
        if (w->seq > 0 || expected || w->mark) {
            w->broken = w->seq > 0 ? w->seq : 1;
            w->why = "the chain's head is missing";
        }

        return;
    }

    seq = cp_cell(head, 0, 0)->i;
    w->why = cp_audit_mac_fault(op, tenant, head, 0);

    if (w->why) {
        w->broken = seq > 0 ? seq : 1;

    } else if (w->mark && w->seq < w->mark->seq) {
        w->broken = w->seq + 1;
        w->why = "the tail is missing: the checkpoint has it";

    } else if (seq > w->seq) {
        w->broken = w->seq + 1;
        w->why = "the tail is missing";

    } else if (seq < w->seq
               || strcmp(cp_cell(head, 0, 1)->p, w->hash) != 0)
    {
        w->broken = w->seq ? w->seq : 1;
        w->why = "the chain does not end as its head says";
    }
}
