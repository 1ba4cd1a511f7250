/*
 * Certificates with their keys, for clients of upstreams, as PEM: what is
 * wrong with one, and what may be told of it.
 *
 * Process: stoa-control, any thread; all in the arena given.
 */

#ifndef CP_CERTIFICATE_H
#define CP_CERTIFICATE_H


#include "base/cp_json.h"
#include "store/cp_db.h"


/* Is it meant to be one?  Then it may have line breaks. */
bool cp_certificate_looks(const char *text);

/* NULL: *shown is {subject, issuer, not_before, not_after, sha256, above};
 * else why it is none that can be used. */
const char *cp_certificate_read(cp_arena_t *a, const char *pem,
    cp_json_t **shown);

/* When the first of all secrets that are one ends; 0: there is none. */
cp_rc_t cp_certificate_ends(cp_tx_t *tx, cp_arena_t *a, int64_t *ms,
    cp_err_t *err) CP_MUST_CHECK;


#endif /* CP_CERTIFICATE_H */
