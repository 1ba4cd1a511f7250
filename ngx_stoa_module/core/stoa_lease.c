/*
 * Leases of a budget.
 */

#include "stoa_lease.h"


uint64_t
stoa_lease_until(uint64_t sent_ms, uint64_t left_us)
{
    uint64_t  ms;

    ms = left_us / 1000;
    ms -= ms / 1000 + 1 < ms ? ms / 1000 + 1 : ms;

    return sent_ms + ms;
}


uint64_t
stoa_lease_want(uint64_t demand, uint64_t ahead_ms, uint64_t rem,
    uint64_t last, bool lasted, uint64_t need, uint64_t limit)
{
    uint64_t  want;

    want = demand * ahead_ms / 1000;

    /* demand is known only after a while: what did not last is doubled */

    if (!lasted && want < last * 2) {
        want = last * 2;
    }

    want = want > rem ? want - rem : 0;
    want = want < need ? need : want;
    want = want < limit ? want : limit;

    return want < STOA_LEASE_TOKENS / 2 ? want : STOA_LEASE_TOKENS / 2;
}


uint64_t
stoa_lease_demand(uint64_t demand, uint64_t came, uint64_t ms)
{
    if (ms == 0) {
        return demand;
    }

    /* a third of what is new, a little more than nothing of what goes on */

    return (demand * 7 + came * 1000 / ms * 3 + 5) / 10;
}
