/*
 * base64url (RFC 4648, section 5) without padding.  One text for the same
 * bytes and no other: bits beyond the last byte have to be zero.
 * Process: any.
 */

#ifndef STOA_BASE64_H
#define STOA_BASE64_H


#include "stoa_core.h"


#define stoa_base64url_len(n)  (((n) * 4 + 2) / 3)

/* Writes stoa_base64url_len(len) characters. */
void stoa_base64url_encode(const uint8_t *s, size_t len, char *dst);
/* dst holds len * 3 / 4 bytes, which is how many there are. */
bool stoa_base64url_decode(const char *s, size_t len, uint8_t *dst);


#endif /* STOA_BASE64_H */
