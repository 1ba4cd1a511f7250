/* The scan without vectors, and one that asks at each byte: all three find the
 * same. */

#include "stoa_guard_number.h"

#undef __SSE2__
#define stoa_guard_next  guard_next_plain
#include "core/stoa_guard_scan.c"
#undef stoa_guard_next


static inline bool
guard_next_slow(unsigned kinds, const char *s, size_t len, size_t *at,
    stoa_guard_hit_t *hit)
{
    size_t             p, skip;
    stoa_guard_said_t  said;

    for (p = *at, skip = p; p < len; p++) {
        said.n = 0;
        said.head = 0;
        said.lists = 0;

        if (p >= skip
            && (stoa_guard_digit(s[p]) ? kinds & STOA_GUARD_NUMBERS : 1)
            && stoa_guard_at(kinds, s, len, *at, p, &skip, &said, hit))
        {
            *at = hit->to;
            return true;
        }
    }

    *at = len;

    return false;
}


/* Do they?  *finds: how many. */

static inline bool
guard_same(unsigned kinds, const char *s, size_t len, size_t *finds)
{
    bool              one, two, three;
    size_t            a, b, c;
    stoa_guard_hit_t  x, y, z;

    for (a = b = c = 0, *finds = 0; /* void */ ; (*finds)++) {
        one = stoa_guard_next(kinds, s, len, &a, &x);
        two = guard_next_plain(kinds, s, len, &b, &y);
        three = guard_next_slow(kinds, s, len, &c, &z);

        if (one != two || one != three || a != b || a != c) {
            return false;
        }

        if (!one) {
            return true;
        }

        if (x.kind != y.kind || x.from != y.from || x.to != y.to
            || x.kind != z.kind || x.from != z.from || x.to != z.to)
        {
            return false;
        }
    }
}
