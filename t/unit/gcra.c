/* Tests for GCRA and calendar windows. */

#define _DEFAULT_SOURCE

#include <time.h>

#include "stoa_gcra.h"
#include "tap.h"


#define S    UINT64_C(1000000000)
#define NOW  (UINT64_C(1790000000) * S)


static const struct {
    uint64_t  rate, per_ms, burst;
    uint64_t  interval_ns, burst_ns;
} setups[] = {
    { 1, 1000, 0, S, 0 },
    { 10, 1000, 0, S / 10, 9 * S / 10 },
    { 10, 1000, 1, S / 10, 0 },
    { 10, 1000, 5, S / 10, 4 * S / 10 },
    { 3, 1000, 2, 333333334, 333333334 },
    { 1000000000, 1000, 6, 1, 5 },
    { UINT64_MAX, 1, 2, 1, 1 },
    { 1, 2678400000, 2, 2678400 * S, 2678400 * S },
    { 1, UINT64_MAX, UINT64_MAX, UINT64_C(1) << 60, UINT64_C(1) << 60 },
    { 1, 1000, 1000000001, S, 1000000000 * S },
    { 1, 1000, UINT64_MAX, S, UINT64_C(1) << 60 },
};

/* One after another on one state: 10 per second, 3 at once. */
static const struct {
    uint64_t  at_ms;
    bool      allowed;
    uint64_t  remaining;
    uint64_t  retry_ms;
    uint64_t  reset_ms;
} steps[] = {
    { 0, true, 2, 0, 100 },
    { 0, true, 1, 0, 200 },
    { 0, true, 0, 0, 300 },
    { 0, false, 0, 100, 300 },
    { 40, false, 0, 60, 260 },
    { 99, false, 0, 1, 201 },
    { 100, true, 0, 0, 300 },
    { 199, false, 0, 1, 201 },
    { 350, true, 1, 0, 150 },
    { 350, true, 0, 0, 250 },
    { 350, false, 0, 50, 250 },
    { 10000, true, 2, 0, 100 },
};

static const struct {
    const char  *what;
    uint64_t     tat_ns;
    bool         allowed;
    uint64_t     most_ns;         /* wait at most this long               */
} states[] = {
    { "never used", 0, true, 0 },
    { "long ago", NOW - 1000 * S, true, 0 },
    { "just now", NOW, true, 0 },
    { "the clock was set back a day", NOW + 86400 * S, false, S / 10 },
    { "a torn or foreign word", UINT64_MAX, false, S / 10 },
};


static void
test_setup(void)
{
    size_t       i;
    stoa_gcra_t  g;

    for (i = 0; i < tap_count(setups); i++) {
        stoa_gcra_setup(&g, setups[i].rate, setups[i].per_ms,
                        setups[i].burst);
        tap_ok(g.interval_ns == setups[i].interval_ns
               && g.burst_ns == setups[i].burst_ns,
               "%llu per %llu ms and %llu",
               (unsigned long long) setups[i].rate,
               (unsigned long long) setups[i].per_ms,
               (unsigned long long) setups[i].burst);
    }
}


static void
test_decide(void)
{
    size_t               i;
    uint64_t             tat;
    stoa_gcra_t          g;
    stoa_gcra_verdict_t  v;

    stoa_gcra_setup(&g, 10, 1000, 3);
    tat = 0;

    for (i = 0; i < tap_count(steps); i++) {
        stoa_gcra_decide(&g, 1, tat, NOW + steps[i].at_ms * S / 1000, &v);

        tap_ok(v.allowed == steps[i].allowed
               && v.remaining == steps[i].remaining
               && v.retry_ns == steps[i].retry_ms * S / 1000
               && v.reset_ns == steps[i].reset_ms * S / 1000,
               "step %u, %u ms: %s", (unsigned) i, (unsigned) steps[i].at_ms,
               steps[i].allowed ? "allowed" : "refused");

        tat = v.allowed ? v.tat_ns : tat;
    }

    for (i = 0; i < tap_count(states); i++) {
        stoa_gcra_decide(&g, 1, states[i].tat_ns, NOW, &v);
        tap_ok(v.allowed == states[i].allowed
               && v.retry_ns <= states[i].most_ns,
               "state: %s", states[i].what);
    }

    /* a call that counts as several */

    stoa_gcra_setup(&g, 10, 1000, 5);
    tap_int((long long) stoa_gcra_most(&g), 5, "most");

    stoa_gcra_decide(&g, 5, 0, NOW, &v);
    tap_ok(v.allowed && v.remaining == 0 && v.reset_ns == 5 * S / 10,
           "all of a bucket at once");
    stoa_gcra_decide(&g, 1, v.tat_ns, NOW, &v);
    tap_ok(!v.allowed && v.retry_ns == S / 10, "then not one");

    stoa_gcra_decide(&g, 2, 0, NOW, &v);
    tap_ok(v.allowed && v.remaining == 3, "two");
    stoa_gcra_decide(&g, 4, v.tat_ns, NOW, &v);
    tap_ok(!v.allowed && v.retry_ns == S / 10 && v.remaining == 3,
           "four more: in a tenth; nothing is taken");
    stoa_gcra_decide(&g, 4, v.tat_ns, NOW + S / 10, &v);
    tap_ok(v.allowed && v.remaining == 0, "and then they are allowed");

    /* what is owed */

    g.debt_ns = 10 * S;
    stoa_gcra_decide(&g, 1, stoa_gcra_charge(&g, 25, 0, NOW), NOW, &v);
    tap_ok(!v.allowed && v.retry_ns == 21 * S / 10 && v.remaining == 0,
           "more than there was: until it is there again");
    stoa_gcra_decide(&g, 1, stoa_gcra_charge(&g, 3, 0, NOW), NOW, &v);
    tap_ok(v.allowed && v.remaining == 1, "less: the rest is left");
    stoa_gcra_decide(&g, 1, stoa_gcra_charge(&g, UINT64_MAX, NOW, NOW), NOW,
                     &v);
    tap_ok(!v.allowed && v.retry_ns == 10 * S + S / 10, "no debt is endless");

    stoa_gcra_setup(&g, 1, UINT64_MAX, UINT64_MAX);
    stoa_gcra_decide(&g, 1, UINT64_MAX, NOW, &v);
    tap_ok(v.reset_ns <= UINT64_C(1) << 61, "no sum overflows");
}


static void
test_callers(void)
{
    unsigned             i;
    uint64_t             tat, now, n;
    stoa_gcra_t          g;
    stoa_gcra_verdict_t  v;

    /* as fast as a caller can: exactly burst, then the rate */

    stoa_gcra_setup(&g, 7, 1000, 4);
    tat = 0;
    n = 0;

    for (now = NOW; now < NOW + 10 * S; now += S / 10000) {
        stoa_gcra_decide(&g, 1, tat, now, &v);

        if (v.allowed) {
            tat = v.tat_ns;
            n++;
        }
    }

    tap_int((long long) n, 3 + 70, "ten seconds of 7 per second and 3");

    /* a caller that waits as long as it is told is never refused again */

    n = 0;
    now = NOW + 100 * S;

    for (i = 0; i < 1000; i++) {
        stoa_gcra_decide(&g, 1, tat, now, &v);

        if (v.allowed) {
            tat = v.tat_ns;
            continue;
        }

        now += v.retry_ns;
        stoa_gcra_decide(&g, 1, tat, now, &v);
        n += v.allowed;
        tat = v.tat_ns;
    }

    tap_int((long long) n, 996, "retry_ns is exact");
}


static void
test_windows(void)
{
    time_t     t, next;
    int64_t    day;
    uint32_t   n;
    uint64_t   left;
    struct tm  tm, end;

    for (day = 0; day < 366 * 200; day++) {
        t = (time_t) (day * 86400 + day % 86400);
        gmtime_r(&t, &tm);

        n = stoa_window_number(STOA_WINDOW_MONTH, (int64_t) t * 1000 + 7,
                               &left);

        memset(&end, 0, sizeof(end));
        end.tm_year = tm.tm_year;
        end.tm_mon = tm.tm_mon + 1;
        end.tm_mday = 1;
        next = timegm(&end);

        if (n != (uint32_t) ((tm.tm_year + 1900) * 12 + tm.tm_mon)
            || left != (uint64_t) (next - t) * 1000 - 7)
        {
            break;
        }

        n = stoa_window_number(STOA_WINDOW_DAY, (int64_t) t * 1000 + 7, &left);

        if (n != (uint32_t) (t / 86400)
            || left != (uint64_t) (86400 - t % 86400) * 1000 - 7)
        {
            break;
        }
    }

    tap_int(day, 366 * 200, "days and months as libc has them, to 2170");

    n = stoa_window_number(STOA_WINDOW_DAY, 86399999, &left);
    tap_ok(n == 0 && left == 1, "the last ms of a day");
    n = stoa_window_number(STOA_WINDOW_DAY, 86400000, &left);
    tap_ok(n == 1 && left == 86400000, "the first ms of the next");
    n = stoa_window_number(STOA_WINDOW_DAY, -1, &left);
    tap_int(n, 0, "a clock before 1970");
}


int
main(void)
{
    test_setup();
    test_decide();
    test_callers();
    test_windows();

    return tap_done();
}
