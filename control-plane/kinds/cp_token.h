/*
 * Secrets that are shown once: API keys, gateway tokens, admin tokens.  Only
 * digests are kept.
 */

#ifndef CP_TOKEN_H
#define CP_TOKEN_H


#include "resource/cp_engine.h"


/* Puts a new secret into the answer's member; NULL: no memory. */
const char *cp_token_make(cp_op_t *op, cp_json_t *row, const char *member,
    const char *env);
/* keyed: with the pepper. */
const char *cp_token_digest(cp_op_t *op, const char *text, bool keyed);
/* expires_at of a new one is in the future. */
cp_rc_t cp_token_expiry(cp_op_t *op, const cp_json_t *row) CP_MUST_CHECK;


#endif /* CP_TOKEN_H */
