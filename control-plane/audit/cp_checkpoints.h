/*
 * The list of checkpoints, for those who make them.
 */

#ifndef CP_CHECKPOINTS_H
#define CP_CHECKPOINTS_H


#include "op/cp_op.h"


typedef struct {
    int64_t      number;           /* 0: none                               */
    const char  *digest;           /* of text and signature                 */
    bool         accepted;         /* of the next one: see there            */
} cp_last_t;

/* *why NULL: it is signed, says what the marks are, and is not older than the
 * one beside the key. */
cp_rc_t cp_checkpoints_last(cp_op_t *op, cp_tx_t *tx, const char *kept,
    cp_last_t *last, const char **why) CP_MUST_CHECK;

/* CP_CONFLICT: another process has made one.  *kept: for cp_sign_keep(). */
cp_rc_t cp_checkpoints_add(cp_op_t *op, cp_tx_t *tx, const cp_last_t *last,
    int64_t number, int64_t at, const char **kept) CP_MUST_CHECK;


#endif /* CP_CHECKPOINTS_H */
