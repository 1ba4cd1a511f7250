/*
 * What may come once until a time: a few words that keep sums of it, under
 * the caller's lock.
 *
 * Process: any.  No allocation, no state.
 */

#ifndef STOA_ONCE_H
#define STOA_ONCE_H


#include "stoa_core.h"


/* A word: 36 bits of the sum, 28 of the second until which it is kept; 0:
 * free.  Seconds begin at 1. */

#define STOA_ONCE_SECOND  ((UINT64_C(1) << 28) - 1)

/* STOA_DECLINED: the sum is there; STOA_FULL: there is no room for it. */
stoa_rc_t stoa_once(uint64_t *words, size_t n, uint64_t sum, uint64_t now,
    uint64_t until) STOA_MUST_CHECK;


#endif /* STOA_ONCE_H */
