/*
 * What a checkpoint says of one chain, signed.
 */

#ifndef CP_MARK_H
#define CP_MARK_H


#include "op/cp_op.h"


typedef struct cp_mark_s {
    int64_t      number;           /* of the checkpoint                     */
    int64_t      at;
    int64_t      first;            /* the first row that is kept            */
    const char  *first_prev;       /* the hash before it; "" of row 1       */
    int64_t      seq;              /* the last row; 0: no mark              */
    const char  *hash;
    const char  *signature;
} cp_mark_t;

#define CP_MARK_COLUMNS                                                       \
    "number, at, first_seq, first_prev, seq, hash, signature"

/* Of CP_MARK_COLUMNS; the texts stay the row's. */
void cp_mark_of(const cp_val_t *row, cp_mark_t *m);

/* What is signed. */
const char *cp_mark_text(cp_arena_t *a, const char *tenant,
    const cp_mark_t *m);

/* *good: the key has signed it. */
cp_rc_t cp_mark_read(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    cp_mark_t *m, bool *good) CP_MUST_CHECK;


#endif /* CP_MARK_H */
