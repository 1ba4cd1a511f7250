/*
 * Leases of a budget: the word that a pool of tokens is, how many to ask for,
 * until when they are good.  Process: any; no state here.
 *
 * Times are those of CLOCK_BOOTTIME in ms: it is never set, and goes on while
 * the machine sleeps.
 */

#ifndef STOA_LEASE_H
#define STOA_LEASE_H


#include "stoa_core.h"


#define STOA_LEASE_TOKENS   ((UINT64_C(1) << 24) - 1)
#define STOA_LEASE_TICK_MS  16


/* Tokens, a generation, and the end of both: 24, 8 and 32 bits. */

#define stoa_lease_tokens(w)    ((w) >> 40)
#define stoa_lease_gen(w)       ((w) >> 32 & 0xff)
#define stoa_lease_live(w, ms)                                                \
    (((w) & 0xffffffff) > (uint64_t) (ms) / STOA_LEASE_TICK_MS)
#define stoa_lease_word(tokens, gen, until_ms)                                \
    ((uint64_t) (tokens) << 40 | ((uint64_t) (gen) & 0xff) << 32              \
     | (((uint64_t) (until_ms) / STOA_LEASE_TICK_MS) & 0xffffffff))


/* What is good for left_us from the answer on, for who asked at sent_ms: his
 * clock may be 1,000 ppm off. */
uint64_t stoa_lease_until(uint64_t sent_ms, uint64_t left_us);

/* demand: tokens a second; ahead_ms: for how long; rem: that there are; last:
 * the last grant, whether it lasted; need: of those that wait. */
uint64_t stoa_lease_want(uint64_t demand, uint64_t ahead_ms, uint64_t rem,
    uint64_t last, bool lasted, uint64_t need, uint64_t limit);

/* Demand after `came` tokens in `ms`. */
uint64_t stoa_lease_demand(uint64_t demand, uint64_t came, uint64_t ms);


#endif /* STOA_LEASE_H */
