/*
 * Time: Unix and monotonic milliseconds, RFC 3339 in and out.
 */

#include <string.h>
#include <time.h>

#include "base/cp_util.h"
#include "core/stoa_zone.h"


#define CP_TIME_MAX_MS  253402300799999    /* 9999-12-31T23:59:59.999Z      */


int64_t
cp_time_ms(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


int64_t
cp_time_mono_ms(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


/* stoa_zone_days() back. */

static void
cp_time_civil(int64_t days, int64_t *y, int64_t *m, int64_t *d)
{
    int64_t  era, doe, yoe, doy, mp;

    days += 719468;
    era = ((days >= 0) ? days : days - 146096) / 146097;
    doe = days - era * 146097;
    yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    mp = (5 * doy + 2) / 153;

    *d = doy - (153 * mp + 2) / 5 + 1;
    *m = (mp < 10) ? mp + 3 : mp - 9;
    *y = yoe + era * 400 + (*m <= 2);
}


char *
cp_time_format(cp_arena_t *a, int64_t ms)
{
    int64_t  days, rest, y, m, d;

    if (ms > CP_TIME_MAX_MS) {
        ms = CP_TIME_MAX_MS;

    } else if (ms < 0) {
        ms = 0;
    }

    days = ms / 86400000;
    rest = ms % 86400000;

    cp_time_civil(days, &y, &m, &d);

    return cp_arena_printf(a, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                           (int) y, (int) m, (int) d,
                           (int) (rest / 3600000),
                           (int) (rest / 60000 % 60),
                           (int) (rest / 1000 % 60), (int) (rest % 1000));
}


/* Exactly n digits; -1 otherwise. */

static int64_t
cp_time_digits(const char *s, size_t n)
{
    size_t   i;
    int64_t  v;

    for (v = 0, i = 0; i < n; i++) {

        if (s[i] < '0' || s[i] > '9') {
            return -1;
        }

        v = v * 10 + (s[i] - '0');
    }

    return v;
}


/* "Z" or "+hh:mm": minutes to subtract. */

static bool
cp_time_zone(const char *s, size_t len, int64_t *minutes)
{
    int64_t  h, m;

    *minutes = 0;

    if (len == 1) {
        return s[0] == 'Z' || s[0] == 'z';
    }

    if (len != 6 || (s[0] != '+' && s[0] != '-') || s[3] != ':') {
        return false;
    }

    h = cp_time_digits(s + 1, 2);
    m = cp_time_digits(s + 4, 2);

    if (h < 0 || h > 23 || m < 0 || m > 59) {
        return false;
    }

    *minutes = (s[0] == '-') ? -(h * 60 + m) : h * 60 + m;

    return true;
}


static bool
cp_time_date(const char *s, int64_t *days)
{
    int64_t  y, m, d, cy, cm, cd;

    y = cp_time_digits(s, 4);
    m = cp_time_digits(s + 5, 2);
    d = cp_time_digits(s + 8, 2);

    if (s[4] != '-' || s[7] != '-' || y < 0 || m < 1 || m > 12 || d < 1
        || d > 31)
    {
        return false;
    }

    *days = stoa_zone_days(y, m, d);

    /* 30 February comes back as 1 March */

    cp_time_civil(*days, &cy, &cm, &cd);

    return cy == y && cm == m && cd == d;
}


bool
cp_time_parse(const char *s, size_t len, int64_t *ms)
{
    size_t   i, n;
    int64_t  days, h, m, sec, frac, zone;

    if (len < 20 || (s[10] != 'T' && s[10] != 't' && s[10] != ' ')
        || s[13] != ':' || s[16] != ':' || !cp_time_date(s, &days))
    {
        return false;
    }

    h = cp_time_digits(s + 11, 2);
    m = cp_time_digits(s + 14, 2);
    sec = cp_time_digits(s + 17, 2);

    if (h < 0 || h > 23 || m < 0 || m > 59 || sec < 0 || sec > 59) {
        return false;
    }

    frac = 0;
    i = 19;

    if (s[i] == '.') {

        for (n = 0, i++; i < len && s[i] >= '0' && s[i] <= '9'; i++, n++) {
            if (n < 3) {
                frac = frac * 10 + (s[i] - '0');
            }
        }

        if (n == 0) {
            return false;
        }

        for (/* void */; n < 3; n++) {
            frac *= 10;
        }
    }

    if (!cp_time_zone(s + i, len - i, &zone)) {
        return false;
    }

    *ms = ((days * 24 + h) * 60 + m - zone) * 60000 + sec * 1000 + frac;

    return *ms >= 0 && *ms <= CP_TIME_MAX_MS;
}
