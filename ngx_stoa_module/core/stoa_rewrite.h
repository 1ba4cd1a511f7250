/*
 * Paths made of others by templates: /v1/orders/{id} becomes
 * /shop/order-{id}, /old/{rest*} becomes /{rest*}.
 *
 * A name stands for one segment that is not empty; one with "*", at the end,
 * for the rest, which may be empty.  Paths are as they are sent: what a name
 * stands for is put in as it came, encoded, so that it decodes to what it was;
 * literals are compared decoded.  Process: any.  No allocation, no state.
 */

#ifndef STOA_REWRITE_H
#define STOA_REWRITE_H


#include "stoa_core.h"


#define STOA_REWRITE_NAMES  16

/* Of two templates: NULL, or what is wrong, and with which (*to: the second,
 * in which a name may stand once, in a part of a segment too). */
const char *stoa_rewrite_check(stoa_str_t from, stoa_str_t to, bool *second);

/* dst has to.len + path.len bytes.  STOA_DECLINED: it does not match;
 * STOA_ERROR: what would come of it is a way up for some. */
stoa_rc_t stoa_rewrite(stoa_str_t from, stoa_str_t to, stoa_str_t path,
    char *dst, size_t *len) STOA_MUST_CHECK;


#endif /* STOA_REWRITE_H */
