/*
 * Key sets (RFC 7517): what of one verifies tokens, as issuers keep it and
 * gateways get it.
 *
 * Process: stoa-control, any thread; everything in the arena given.
 * Limits: a text CP_JWKS_BYTES, CP_JWKS_KEYS that can be used.
 */

#ifndef CP_JWKS_H
#define CP_JWKS_H


#include "kinds/cp_kinds.h"


#define CP_JWKS_BYTES  (256 * 1024)
#define CP_JWKS_KEYS   STOA_ISSUER_KEYS_MAX


/*
 * Puts in `keys` {kid, algorithms [name], spki (DER, base64url)} for each key
 * that fits one of the algorithms (a list of names; NULL: all), and in
 * `skipped` {kid, why} for the others.  Returns NULL, or what is wrong with
 * the text as a whole.
 */
const char *cp_jwks_read(cp_arena_t *a, const char *text, size_t len,
    const cp_json_t *algorithms, cp_json_t *keys, cp_json_t *skipped);


#endif /* CP_JWKS_H */
