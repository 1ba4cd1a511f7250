/*
 * Time zones against the C library's.
 */

#include <stdlib.h>
#include <time.h>

#include "base/cp_zone.h"
#include "tap.h"


static void
test_names(cp_arena_t *a)
{
    static const char *const  bad[] = { "", "../../etc/passwd", "/etc/passwd",
        "Europe/../Europe/Paris", "Europe", "No/Where", "+5:30", "+15:00",
        "+05:60", "zone.tab", "Europe/Paris;x", NULL };
    unsigned  i;

    for (i = 0; bad[i]; i++) {
        tap_ok(cp_zone_open(a, bad[i]) == NULL, "no zone: '%s'", bad[i]);
    }
}


static void
test_fixed(cp_arena_t *a)
{
    int64_t  until;

    tap_int(stoa_zone_offset(cp_zone_open(a, "UTC"), 0, &until), 0, "UTC");
    tap_int(stoa_zone_offset(cp_zone_open(a, "-03:30"), 0, &until), -12600000,
           "-03:30");
    tap_ok(until == INT64_MAX, "which stays");
}


/* Every hour's offset of 70 years, and where each change is. */
static void
test_library(cp_arena_t *a, const char *name)
{
    time_t      t;
    int64_t     until, offset, bad, changes, next, local, instant;
    struct tm   tm;
    stoa_zone_t  *z;

    (void) setenv("TZ", name, 1);
    tzset();

    z = cp_zone_open(a, name);
    tap_ok(z != NULL, "%s", name);

    if (z == NULL) {
        return;
    }

    bad = 0;
    changes = 0;
    next = INT64_MIN;
    offset = 0;

    for (t = 0; t < INT64_C(70) * 365 * 86400; t += 1800) {
        (void) localtime_r(&t, &tm);

        if ((int64_t) t * 1000 >= next) {
            offset = stoa_zone_offset(z, (int64_t) t * 1000, &until);
            next = until;
            changes++;
        }

        bad += offset != tm.tm_gmtoff * 1000;

        if (tm.tm_hour == 12 && tm.tm_min == 0) {
            local = (int64_t) t * 1000 + offset;
            instant = stoa_zone_instant(z, local);
            bad += instant != (int64_t) t * 1000;
        }
    }

    tap_ok(bad == 0, "%s: as the C library has it, %d offsets (%d not)",
           name, (int) changes, (int) bad);
}


int
main(void)
{
    cp_arena_t  *a;

    a = cp_arena_create(64 * 1024 * 1024);

    test_names(a);
    test_fixed(a);
    test_library(a, "Europe/Paris");
    test_library(a, "America/New_York");
    test_library(a, "Asia/Kolkata");
    test_library(a, "Asia/Kathmandu");
    test_library(a, "Australia/Lord_Howe");
    test_library(a, "Pacific/Chatham");
    test_library(a, "America/Sao_Paulo");
    cp_arena_destroy(a);

    return tap_done();
}
