/*
 * The second factor of local people: an authenticator's codes, each good once,
 * and recovery codes for who has lost it.
 *
 * The key is sealed in the row of the person; it counts from when a code of it
 * was shown.  Codes that failed are counted as passwords are (cp_login.c).
 *
 * Process: stoa-control, a worker thread.
 */

#ifndef CP_FACTOR_H
#define CP_FACTOR_H


#include "op/cp_op.h"


#define CP_RECOVERY_CODES  10
#define CP_FACTOR_MAX      32          /* bytes of a code                   */


/* Judges a code of an authenticator.  sealed: the person's key.  *step: whose
 * code it is, later than `last`; 0: it is none. */
cp_rc_t cp_factor_step(cp_op_t *op, const char *person, const char *sealed,
    const char *code, int64_t last, int64_t *step) CP_MUST_CHECK;

/* Takes a recovery code; of two at once one does. */
cp_rc_t cp_factor_recover(cp_op_t *op, cp_tx_t *tx, const char *person,
    const char *code, bool *right) CP_MUST_CHECK;

/* A new key, to be confirmed: {secret, uri}. */
cp_rc_t cp_factor_begin(cp_op_t *op, cp_tx_t *tx, const char *person,
    const char *name, cp_json_t **out) CP_MUST_CHECK;

/* It counts from now on; `code` is one of it, and is spent. */
cp_rc_t cp_factor_confirm(cp_op_t *op, cp_tx_t *tx, const char *person,
    const char *code) CP_MUST_CHECK;

/* No code is asked for any more. */
cp_rc_t cp_factor_remove(cp_op_t *op, cp_tx_t *tx, const char *person)
    CP_MUST_CHECK;

/* New recovery codes instead of all others: {recovery_codes: [..]}, shown this
 * once. */
cp_rc_t cp_factor_codes(cp_op_t *op, cp_tx_t *tx, const char *person,
    cp_json_t **out) CP_MUST_CHECK;


#endif /* CP_FACTOR_H */
