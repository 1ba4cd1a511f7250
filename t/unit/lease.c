/*
 * Leases and calendar windows of zones: the arithmetic.
 */

#include "stoa_gcra.h"
#include "stoa_lease.h"
#include "tap.h"


static const struct {
    const char     *zone;
    stoa_window_e   window;
    int64_t         at;            /* Unix s                                 */
    int64_t         begin;
    int64_t         end;
} windows[] = {
    /* 2026-03-29 in Berlin has 23 hours, 2026-10-25 has 25 */
    { "Europe/Berlin", STOA_WINDOW_DAY, 1774780200, 1774738800, 1774821600 },
    { "Europe/Berlin", STOA_WINDOW_DAY, 1792929600, 1792879200, 1792969200 },
    /* 31 January, its last second, and the first of February */
    { "UTC", STOA_WINDOW_MONTH, 1769903999, 1767225600, 1769904000 },
    { "UTC", STOA_WINDOW_MONTH, 1769904000, 1769904000, 1772323200 },
    { "Asia/Kathmandu", STOA_WINDOW_MONTH, 1769903999, 1769883300,
      1772302500 },
    { "Pacific/Apia", STOA_WINDOW_DAY, 1774780200, 1774695600, 1774782000 },
    { "America/New_York", STOA_WINDOW_MONTH, 1774780200, 1772341200,
      1775016000 },
    { NULL, STOA_WINDOW_DAY, 1774780200, 1774742400, 1774828800 }
};


static void
calendar(void)
{
    size_t         i;
    int64_t        at[4];
    stoa_zone_t    zone;
    stoa_window_t  w;

    for (i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {

        if (windows[i].zone) {
            tap_ok(stoa_zone_open(&zone, windows[i].zone), "%s",
                   windows[i].zone);
        }

        stoa_window_at(windows[i].window, windows[i].zone ? &zone : NULL,
                       windows[i].at * 1000, &w);
        tap_int(w.begin_ms, windows[i].begin * 1000, "it begins");
        tap_int(w.end_ms, windows[i].end * 1000, "it ends");

        stoa_window_bounds(windows[i].window, windows[i].zone ? &zone : NULL,
                           windows[i].at * 1000, at);
        tap_ok(at[0] < at[1] && at[1] == w.begin_ms && at[2] == w.end_ms
               && at[2] < at[3], "with what is beside it");
    }
}


static void
words(void)
{
    uint64_t  w;

    w = stoa_lease_word(STOA_LEASE_TOKENS, 257, 3200000000);
    tap_int((int64_t) stoa_lease_tokens(w), (int64_t) STOA_LEASE_TOKENS,
            "all tokens");
    tap_int((int64_t) stoa_lease_gen(w), 1, "a generation wraps");
    tap_ok(stoa_lease_live(w, 3199999980) && !stoa_lease_live(w, 3200000000),
           "it ends not later than it should");

    tap_int((int64_t) stoa_lease_until(1000, 2000000), 2997,
            "an end is before the row's, whatever the clock does");
    tap_int((int64_t) stoa_lease_until(1000, 0), 1000, "at once");

    tap_int((int64_t) stoa_lease_want(100, 500, 10, 0, true, 1, 1000), 40,
            "half a second of demand, less what there is");
    tap_int((int64_t) stoa_lease_want(0, 500, 0, 16, false, 1, 1000), 32,
            "twice what did not last");
    tap_int((int64_t) stoa_lease_want(0, 500, 0, 0, true, 7, 1000), 7,
            "what waits");
    tap_int((int64_t) stoa_lease_want(1000000, 500, 0, 0, true, 1, 20), 20,
            "never more than the limit");
    tap_int((int64_t) stoa_lease_demand(0, 100, 100), 300, "demand rises");
    tap_int((int64_t) stoa_lease_demand(1000, 0, 100), 700, "and falls");
}


int
main(void)
{
    calendar();
    words();

    return tap_done();
}
