/*
 * GCRA and calendar windows.
 */

#include "stoa_gcra.h"


/* No interval or tolerance beyond this, about 36 years: sums of it, of a
 * clock and of a state stay inside 64 bits. */
#define STOA_GCRA_MAX_NS  (UINT64_C(1) << 60)

#define STOA_DAY_MS       INT64_C(86400000)


__extension__ typedef unsigned __int128  stoa_u128_t;


static uint64_t stoa_gcra_cap(stoa_u128_t ns);
static void stoa_civil_month(int64_t days, int64_t *month, int64_t *left);


void
stoa_gcra_setup(stoa_gcra_t *g, uint64_t rate, uint64_t per_ms,
    uint64_t burst)
{
    stoa_u128_t  t;

    /* rounded up: never more than the rate */

    t = ((stoa_u128_t) per_ms * 1000000 + rate - 1) / rate;

    g->interval_ns = stoa_gcra_cap(t ? t : 1);
    g->burst_ns = stoa_gcra_cap((stoa_u128_t) g->interval_ns
                                * ((burst ? burst : rate) - 1));
    g->debt_ns = 0;
}


static uint64_t
stoa_gcra_cap(stoa_u128_t ns)
{
    return (ns > STOA_GCRA_MAX_NS) ? STOA_GCRA_MAX_NS : (uint64_t) ns;
}


void
stoa_gcra_decide(const stoa_gcra_t *g, uint64_t n, uint64_t tat_ns,
    uint64_t now_ns, stoa_gcra_verdict_t *v)
{
    uint64_t  limit, more, most;

    limit = now_ns + g->burst_ns;       /* one is allowed up to this TAT */
    more = (n - 1) * g->interval_ns;

    if (tat_ns < now_ns) {
        tat_ns = now_ns;
    }

    /* no request leaves a state beyond this: the clock was set back */

    most = limit + g->interval_ns + g->debt_ns;

    if (tat_ns > most) {
        tat_ns = most;
    }

    v->allowed = (tat_ns + more <= limit);

    if (v->allowed) {
        tat_ns += more + g->interval_ns;
        v->retry_ns = 0;

    } else {
        v->retry_ns = tat_ns + more - limit;
    }

    v->tat_ns = tat_ns;
    v->reset_ns = tat_ns - now_ns;

    /* how often one more interval fits before the limit is passed */

    v->remaining = (tat_ns <= limit)
                   ? (limit - tat_ns) / g->interval_ns + 1 : 0;
}


uint64_t
stoa_gcra_charge(const stoa_gcra_t *g, uint64_t n, uint64_t tat_ns,
    uint64_t now_ns)
{
    uint64_t  most, more;

    most = now_ns + g->burst_ns + g->interval_ns + g->debt_ns;
    more = stoa_gcra_cap((stoa_u128_t) g->interval_ns * n);

    if (tat_ns < now_ns) {
        tat_ns = now_ns;
    }

    return (tat_ns >= most || more > most - tat_ns) ? most : tat_ns + more;
}


uint32_t
stoa_window_number(stoa_window_e w, int64_t unix_ms, uint64_t *left_ms)
{
    int64_t  days, in_day, month, left_days;

    if (unix_ms < 0) {
        unix_ms = 0;
    }

    days = unix_ms / STOA_DAY_MS;
    in_day = unix_ms % STOA_DAY_MS;

    if (w == STOA_WINDOW_DAY) {
        *left_ms = (uint64_t) (STOA_DAY_MS - in_day);
        return (uint32_t) days;
    }

    stoa_civil_month(days, &month, &left_days);

    *left_ms = (uint64_t) (left_days * STOA_DAY_MS - in_day);

    return (uint32_t) month;
}


void
stoa_window_bounds(stoa_window_e w, const stoa_zone_t *z, int64_t unix_ms,
    int64_t at[4])
{
    int64_t   t, until, local;
    uint64_t  left;
    unsigned  i;

    local = unix_ms + (z ? stoa_zone_offset(z, unix_ms, &until) : 0);

    /* from far enough before, boundary by boundary of the wall's clock */

    t = local - (w == STOA_WINDOW_DAY ? 3 : 94) * STOA_DAY_MS;
    t = t < 0 ? 0 : t;
    at[0] = at[1] = at[2] = t;

    while (at[2] <= local) {
        (void) stoa_window_number(w, t, &left);
        t += (int64_t) left;
        at[0] = at[1];
        at[1] = at[2];
        at[2] = t;
    }

    (void) stoa_window_number(w, t, &left);
    at[3] = t + (int64_t) left;

    for (i = 0; z && i < 4; i++) {
        at[i] = stoa_zone_instant(z, at[i]);
    }
}


void
stoa_window_at(stoa_window_e w, const stoa_zone_t *z, int64_t unix_ms,
    stoa_window_t *at)
{
    int64_t   bounds[4], until;
    uint64_t  left;

    stoa_window_bounds(w, z, unix_ms, bounds);

    at->begin_ms = bounds[1];
    at->end_ms = bounds[2];
    at->number = stoa_window_number(w, unix_ms + (z ? stoa_zone_offset(z,
                                                         unix_ms, &until)
                                                    : 0), &left);
}


/*
 * The month (year * 12 + 0..11) that holds a day since 1970-01-01, and how
 * many of its days are left, this one included.
 */

static void
stoa_civil_month(int64_t days, int64_t *month, int64_t *left)
{
    int64_t  n, hundreds, fours, ones, year, m;

    /* days before each month of a year that begins in March, so that the day
     * of a leap year is its last */

    static const int16_t  before[] = {
        0, 31, 61, 92, 122, 153, 184, 214, 245, 275, 306, 337, 366
    };

    /* since 0000-03-01; in cycles of 400, 100, 4 and 1 years, where the last
     * hundred of four and the last year of four have a day more */

    n = days + 719468;
    year = n / 146097 * 400;
    n %= 146097;

    hundreds = n / 36524;
    hundreds -= (hundreds == 4);
    n -= hundreds * 36524;

    fours = n / 1461;
    n -= fours * 1461;

    ones = n / 365;
    ones -= (ones == 4);
    n -= ones * 365;

    year += hundreds * 100 + fours * 4 + ones;

    m = n / 31;
    m += (n >= before[m + 1]);

    *left = before[m + 1] - n;

    m += 2;                              /* March is 2 */
    year += m / 12;
    m %= 12;

    if (m == 1 && (year % 4 || (year % 100 == 0 && year % 400))) {
        *left -= 1;
    }

    *month = year * 12 + m;
}
