/*
 * Sums that are kept for a while, none twice.
 */

#include "stoa_once.h"


stoa_rc_t
stoa_once(uint64_t *words, size_t n, uint64_t sum, uint64_t now,
    uint64_t until)
{
    size_t     i;
    uint64_t  *place;

    place = NULL;
    sum &= ~STOA_ONCE_SECOND;

    for (i = 0; i < n; i++) {

        if ((words[i] & STOA_ONCE_SECOND) < now) {
            place = &words[i];

        } else if ((words[i] & ~STOA_ONCE_SECOND) == sum) {
            return STOA_DECLINED;
        }
    }

    if (place == NULL) {
        return STOA_FULL;
    }

    *place = sum | (until & STOA_ONCE_SECOND);

    return STOA_OK;
}
