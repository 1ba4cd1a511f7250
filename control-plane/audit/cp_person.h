/*
 * What is said of people where nothing may change: sealed with a key of each.
 * Once the key is destroyed nobody reads it, in no copy of the sealed text.
 *
 * Owner: person_keys.  Process: stoa-control, any thread.  Keys are in memory
 * for the length of a call.
 */

#ifndef CP_PERSON_H
#define CP_PERSON_H


#include "op/cp_op.h"


/* A person is an id.  Makes the key at the first time; "" once it was
 * destroyed: what would be said is lost at once. */
cp_rc_t cp_person_seal(cp_op_t *op, cp_tx_t *tx, const char *person,
    const char *text, const char **sealed) CP_MUST_CHECK;

/* *text NULL: the key was destroyed, or this is not its text. */
cp_rc_t cp_person_open(cp_op_t *op, cp_tx_t *tx, const char *person,
    const char *sealed, const char **text) CP_MUST_CHECK;

/* What was somebody who was not known yet, an invitation, is a person. */
cp_rc_t cp_person_also(cp_op_t *op, cp_tx_t *tx, const char *before,
    const char *person) CP_MUST_CHECK;

/* Destroys the key; also in the list that is kept beside the key of the log,
 * so that a database that is put back does not bring it again.  *had: it was
 * there. */
cp_rc_t cp_person_erase(cp_op_t *op, cp_tx_t *tx, const char *person,
    bool *had) CP_MUST_CHECK;

/* At start: those of the list. */
cp_rc_t cp_person_again(cp_op_t *op, cp_tx_t *tx) CP_MUST_CHECK;


#endif /* CP_PERSON_H */
