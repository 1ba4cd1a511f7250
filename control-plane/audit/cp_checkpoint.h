/*
 * Checkpoints: every so often what all chains end in is signed, so that who
 * can write the database cannot write another past.
 *
 * A chain that has moved is read on from its last mark, and gets a new one
 * only when it is whole; a checkpoint is over all marks and the checkpoint
 * before.  The last one is kept beside the key, where the database does not
 * reach: a database that lacks it is an old one.
 *
 * Owner: audit_mark, audit_checkpoint.  Process: stoa-control; several
 * replicas may try, one number is one's.  Limits: CP_CHECKPOINTS_KEPT, rows
 * in memory one a chain.
 */

#ifndef CP_CHECKPOINT_H
#define CP_CHECKPOINT_H


#include "op/cp_op.h"


#define CP_CHECKPOINTS_KEPT  10000


/* *number: of the last one, a new one if anything has moved.  accept: what
 * the database has is signed though it is not what was signed before (it was
 * put back from a copy); that is an event of the log. */
cp_rc_t cp_checkpoint_make(cp_op_t *op, bool accept, int64_t *number)
    CP_MUST_CHECK;

/* {ok, number, at, kept, why}: the checkpoints in themselves, what they say
 * of the marks, and what is kept beside the key: cp_sign_kept() from before
 * the transaction, or what it sees may be older. */
cp_rc_t cp_checkpoint_verify(cp_op_t *op, cp_tx_t *tx, const char *kept,
    cp_json_t **result) CP_MUST_CHECK;

/* {text, signature, public, marks}: to be kept elsewhere.  tenant NULL: all
 * marks. */
cp_rc_t cp_checkpoint_export(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    cp_json_t **out) CP_MUST_CHECK;

/* Whether the log still has what an exported one says; *why NULL: yes. */
cp_rc_t cp_checkpoint_compare(cp_op_t *op, cp_tx_t *tx, const cp_json_t *in,
    const char **why) CP_MUST_CHECK;

/* Makes one when it is time, and prunes what is kept no longer. */
cp_rc_t cp_checkpoint_job(cp_app_t *app);


#endif /* CP_CHECKPOINT_H */
