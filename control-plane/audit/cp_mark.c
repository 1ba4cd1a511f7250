/*
 * Marks: reading them, and the text that is signed.
 */

#include <inttypes.h>
#include <string.h>

#include "audit/cp_mark.h"
#include "audit/cp_sign.h"


void
cp_mark_of(const cp_val_t *row, cp_mark_t *m)
{
    m->number = row[0].i;
    m->at = row[1].i;
    m->first = row[2].i;
    m->first_prev = row[3].p;
    m->seq = row[4].i;
    m->hash = row[5].p;
    m->signature = row[6].p;
}


/* Ids and hashes need no escapes. */
const char *
cp_mark_text(cp_arena_t *a, const char *tenant, const cp_mark_t *m)
{
    return cp_arena_printf(a, "{\"stoa_mark\":1,\"tenant\":\"%s\",\"number\":"
                           "%" PRId64 ",\"at\":%" PRId64 ",\"first\":%" PRId64
                           ",\"first_prev\":\"%s\",\"seq\":%" PRId64
                           ",\"hash\":\"%s\"}", tenant, m->number, m->at,
                           m->first, m->first_prev, m->seq, m->hash);
}


cp_rc_t
cp_mark_read(cp_op_t *op, cp_tx_t *tx, const char *tenant, cp_mark_t *m,
    bool *good)
{
    cp_rc_t      rc;
    cp_rows_t    rows;
    const char  *text;

    memset(m, 0, sizeof(cp_mark_t));
    *good = false;

    rc = cp_tx_query(tx, op->arena, "SELECT " CP_MARK_COLUMNS
                     " FROM audit_mark WHERE tenant = $1",
                     cp_args(cp_text(tenant)), &rows, &op->err);

    if (rc == CP_OK && rows.rows) {
        cp_mark_of(cp_cell(&rows, 0, 0), m);
        text = cp_mark_text(op->arena, tenant, m);
        *good = text && cp_sign_good(text, m->signature);
    }

    return rc;
}
