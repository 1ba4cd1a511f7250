/*
 * Codes of an authenticator: TOTP (RFC 6238) over HMAC-SHA-1, 30 s, 6 digits,
 * as all authenticators have it.
 */

#ifndef CP_TOTP_H
#define CP_TOTP_H


#include "base/cp_util.h"


#define CP_TOTP_KEY     20             /* bytes: RFC 4226, section 4         */
#define CP_TOTP_DIGITS  6
#define CP_TOTP_STEP_S  30


/* The code of a step; digits at most 9. */
uint32_t cp_totp_code(const uint8_t *key, size_t len, uint64_t step,
    unsigned digits);

/* The step whose code this is, now or one beside it; 0: none. */
int64_t cp_totp_match(const uint8_t key[CP_TOTP_KEY], const char *code,
    int64_t now_ms);

/* RFC 4648, without padding. */
char *cp_totp_base32(cp_arena_t *a, const uint8_t *data, size_t len);


#endif /* CP_TOTP_H */
