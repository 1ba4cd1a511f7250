/*
 * Holds: what the publisher of an api or a server decided about an
 * application of another tenant.  A subscription is the consumer's to delete
 * and to make again, so the decision is kept for the pair.
 *
 * Owner: the database, a row per pair of which something was decided; ends
 * with the application or the target, or when the publisher takes it back.
 * Process: stoa-control, inside the transaction of the write.
 */

#ifndef CP_HOLD_H
#define CP_HOLD_H


#include "resource/cp_resource.h"


typedef struct {
    const char  *state;            /* suspended, revoked, rejected or NULL   */
    int64_t      expires_ms;       /* 0: none                                */
} cp_hold_t;


cp_rc_t cp_hold_load(cp_tx_t *tx, cp_arena_t *a, const char *application,
    const char *target, cp_hold_t *hold, cp_err_t *err) CP_MUST_CHECK;

/* How the publisher ended it: revoked, rejected, expired; NULL: it did not. */
const char *cp_hold_ended(const cp_hold_t *hold);

/* Is the actor the publisher of this subscription (or the platform)? */
bool cp_hold_is_publisher(const cp_op_t *op, const cp_json_t *sub);

/* A new subscription begins as the hold says, and ends by its time. */
cp_rc_t cp_hold_begin(cp_op_t *op, cp_tx_t *tx, cp_json_t *sub)
    CP_MUST_CHECK;
/* Keeps what the publisher does: another expires_at, an event, a deletion. */
cp_rc_t cp_hold_change(cp_op_t *op, cp_tx_t *tx, const cp_json_t *before,
    const cp_json_t *after) CP_MUST_CHECK;
cp_rc_t cp_hold_event(cp_op_t *op, cp_tx_t *tx, const char *event,
    const cp_json_t *sub) CP_MUST_CHECK;
cp_rc_t cp_hold_gone(const cp_write_t *w, const cp_json_t *before)
    CP_MUST_CHECK;

/* Fills in `held`. */
cp_rc_t cp_hold_shown(cp_tx_t *tx, cp_arena_t *a, cp_json_t *obj,
    cp_err_t *err);


#endif /* CP_HOLD_H */
