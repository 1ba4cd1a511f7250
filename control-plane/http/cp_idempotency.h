/*
 * Idempotency-Key on POST: the answer of the first request is given again for
 * 24 hours.
 *
 * Owner: the database, a row per key of a token.
 * Process: stoa-control, inside the transaction of the work.
 */

#ifndef CP_IDEMPOTENCY_H
#define CP_IDEMPOTENCY_H


#include "http/cp_http.h"


/* *replayed: the answer is filled in already. */
cp_rc_t cp_idempotency_begin(cp_req_t *r, cp_tx_t *tx, bool *replayed)
    CP_MUST_CHECK;
/* After the answer was made, in the same transaction. */
cp_rc_t cp_idempotency_end(cp_req_t *r, cp_tx_t *tx) CP_MUST_CHECK;

/* A job: answers that are kept long enough. */
cp_rc_t cp_idempotency_job(cp_app_t *app);


#endif /* CP_IDEMPOTENCY_H */
