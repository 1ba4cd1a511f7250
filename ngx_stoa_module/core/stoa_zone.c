/*
 * Reading TZif (RFC 8536): the table of transitions, and the rule that goes on
 * behind its end.
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stoa_zone.h"


#define STOA_ZONE_FILE_MAX  (256 * 1024)
#define STOA_ZONE_DIR     "/usr/share/zoneinfo"
#define STOA_ZONE_HEAD    44
#define STOA_ZONE_DAY_S   86400
#define STOA_ZONE_LETTERS                                                     \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static bool stoa_zone_fixed(const char *name, int64_t *ms);
static bool stoa_zone_parse(stoa_zone_t *z, const uint8_t *p, size_t len);
static bool stoa_zone_tail(stoa_zone_t *z, const char *s);
static bool stoa_zone_rule(const char **s, stoa_zone_rule_t *rule);
static bool stoa_zone_clock(const char **s, int64_t *seconds);
static int64_t stoa_zone_rule_s(const stoa_zone_rule_t *r, int64_t year);


bool
stoa_zone_open(stoa_zone_t *z, const char *name)
{
    int      fd;
    char     path[sizeof(STOA_ZONE_DIR) + STOA_ZONE_NAME + 2];
    bool     good;
    char    *text;
    ssize_t  n;

    memset(z, 0, sizeof(stoa_zone_t));

    if (stoa_zone_fixed(name, &z->before_ms)) {
        z->after_ms = z->before_ms;
        return true;
    }

    /* a name leads nowhere but into the directory */

    if (strlen(name) > STOA_ZONE_NAME || strstr(name, "..") || name[0] == '/'
        || name[strspn(name, STOA_ZONE_LETTERS "0123456789_+-/")])
    {
        return false;
    }

    (void) snprintf(path, sizeof(path), STOA_ZONE_DIR "/%s", name);

    text = malloc(STOA_ZONE_FILE_MAX + 1);
    fd = text ? open(path, O_RDONLY|O_CLOEXEC|O_NONBLOCK) : -1;
    n = fd == -1 ? -1 : read(fd, text, STOA_ZONE_FILE_MAX);

    if (fd != -1) {
        (void) close(fd);
    }

    good = false;

    if (n > 0) {
        text[n] = '\0';
        good = stoa_zone_parse(z, (const uint8_t *) text, (size_t) n);
    }

    free(text);

    return good;
}


static bool
stoa_zone_fixed(const char *name, int64_t *ms)
{
    int  h, m, n;

    *ms = 0;

    if (strcmp(name, "UTC") == 0 || strcmp(name, "Z") == 0) {
        return true;
    }

    n = 0;

    if ((name[0] != '+' && name[0] != '-') || strlen(name) != 6
        || sscanf(name + 1, "%2d:%2d%n", &h, &m, &n) != 2 || n != 5
        || h < 0 || h > 14 || m < 0 || m > 59)
    {
        return false;
    }

    *ms = ((int64_t) h * 60 + m) * 60000 * (name[0] == '-' ? -1 : 1);

    return true;
}


static int64_t
stoa_zone_number(const uint8_t *p, unsigned bytes)
{
    uint64_t  v;
    unsigned  i;

    v = p[0] & 0x80 ? UINT64_MAX : 0;

    for (i = 0; i < bytes; i++) {
        v = v << 8 | p[i];
    }

    return (int64_t) v;
}


/* The counts of a block: isut, isstd, leap, time, type, char. */
static size_t
stoa_zone_block(const uint8_t *p, unsigned width, int64_t n[6])
{
    unsigned  i;

    for (i = 0; i < 6; i++) {
        n[i] = stoa_zone_number(p + 20 + 4 * i, 4);

        if (n[i] < 0 || n[i] > STOA_ZONE_FILE_MAX) {
            return SIZE_MAX / 2;
        }
    }

    return (size_t) (n[3] * (width + 1) + n[4] * 6 + n[5]
                     + n[2] * (width + 4) + n[1] + n[0]);
}


/* The second block has 64 bits; files without one are not made any more. */
static bool
stoa_zone_parse(stoa_zone_t *z, const uint8_t *p, size_t len)
{
    size_t          size;
    int64_t         n[6], kind, i;
    const uint8_t  *types, *end;

    end = p + len;

    if (len < 2 * STOA_ZONE_HEAD || memcmp(p, "TZif", 4) != 0 || p[4] < '2') {
        return false;
    }

    size = stoa_zone_block(p, 4, n);

    if (size > len - 2 * STOA_ZONE_HEAD) {
        return false;
    }

    p += STOA_ZONE_HEAD + size;
    size = stoa_zone_block(p, 8, n);
    p += STOA_ZONE_HEAD;

    if (size + 2 > (size_t) (end - p) || p[size] != '\n' || n[4] == 0) {
        return false;
    }

    if (n[3] > STOA_ZONE_CHANGES) {
        return false;
    }

    types = p + n[3] * 9;
    z->before_ms = stoa_zone_number(types, 4) * 1000;

    for (i = 0; i < n[3]; i++) {
        kind = p[n[3] * 8 + i];

        if (kind >= n[4]) {
            return false;
        }

        z->change[i].at_ms = stoa_zone_number(p + i * 8, 8) * 1000;
        z->change[i].offset_ms = stoa_zone_number(types + kind * 6, 4) * 1000;
    }

    z->n = (unsigned) n[3];
    z->after_ms = z->n ? z->change[z->n - 1].offset_ms : z->before_ms;

    /* what was read ends in a NUL */

    return stoa_zone_tail(z, (const char *) p + size + 1);
}


/* Of a name such as CET or <+0530>. */
static size_t
stoa_zone_abbr(const char *s)
{
    return *s == '<' ? strcspn(s, ">") + 1 : strspn(s, STOA_ZONE_LETTERS);
}


/* "CET-1CEST,M3.5.0,M10.5.0/3": west is positive.  Rules by the number of the
 * day, which no zone has now, are not read. */
static bool
stoa_zone_tail(stoa_zone_t *z, const char *s)
{
    int64_t  west;

    if (*s == '\n') {
        return true;
    }

    s += stoa_zone_abbr(s);

    if (!stoa_zone_clock(&s, &west)) {
        return false;
    }

    z->after_ms = -west * 1000;

    if (*s == '\n') {
        return true;
    }

    s += stoa_zone_abbr(s);
    west -= 3600;

    if (*s != ',' && !stoa_zone_clock(&s, &west)) {
        return false;
    }

    z->summer_ms = -west * 1000;
    z->has_summer = true;

    return stoa_zone_rule(&s, &z->begin) && stoa_zone_rule(&s, &z->end)
           && *s == '\n';
}


static bool
stoa_zone_rule(const char **s, stoa_zone_rule_t *rule)
{
    int  n;

    n = 0;

    if (sscanf(*s, ",M%d.%d.%d%n", &rule->month, &rule->week, &rule->weekday,
               &n) != 3
        || rule->month < 1 || rule->month > 12 || rule->week < 1
        || rule->week > 5 || rule->weekday < 0 || rule->weekday > 6)
    {
        return false;
    }

    *s += n;
    rule->at_s = 7200;

    if (**s == '/') {
        (*s)++;
        return stoa_zone_clock(s, &rule->at_s);
    }

    return true;
}


static bool
stoa_zone_clock(const char **s, int64_t *seconds)
{
    int      n, h, m, sec;
    int64_t  sign;

    sign = **s == '-' ? -1 : 1;
    *s += **s == '-' || **s == '+';
    n = 0;
    m = 0;
    sec = 0;

    if (sscanf(*s, "%3d%n", &h, &n) != 1 || h < 0 || h > 167) {
        return false;
    }

    *s += n;

    if (**s == ':' && sscanf(*s, ":%2d%n", &m, &n) == 1) {
        *s += n;
    }

    if (**s == ':' && sscanf(*s, ":%2d%n", &sec, &n) == 1) {
        *s += n;
    }

    *seconds = sign * ((int64_t) h * 3600 + m * 60 + sec);

    return true;
}


int64_t
stoa_zone_days(int64_t y, int64_t m, int64_t d)
{
    int64_t  era, yoe, doy;

    y -= (m <= 2);
    era = ((y >= 0) ? y : y - 399) / 400;
    yoe = y - era * 400;
    doy = (153 * (m + ((m > 2) ? -3 : 9)) + 2) / 5 + d - 1;

    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}


/* Of the wall's clock, as if it were UTC. */
static int64_t
stoa_zone_rule_s(const stoa_zone_rule_t *r, int64_t year)
{
    int64_t  first, next, day;

    first = stoa_zone_days(year, r->month, 1);
    next = r->month == 12 ? stoa_zone_days(year + 1, 1, 1)
                          : stoa_zone_days(year, r->month + 1, 1);

    /* 1970-01-01 was a Thursday */

    day = first + (r->weekday - (first + 4) % 7 + 7) % 7
          + (int64_t) (r->week - 1) * 7;

    if (day >= next) {
        day -= 7;
    }

    return day * STOA_ZONE_DAY_S + r->at_s;
}


/* By the rule: three years hold all changes near an instant. */
static int64_t
stoa_zone_after(const stoa_zone_t *z, int64_t ms, int64_t *until)
{
    int64_t   year, y, at, offset, last;
    unsigned  k;

    *until = INT64_MAX;

    if (!z->has_summer) {
        return z->after_ms;
    }

    year = 1970 + ms / (STOA_ZONE_DAY_S * INT64_C(1000) * 36525 / 100);
    offset = z->after_ms;
    last = INT64_MIN;

    for (y = year - 1; y <= year + 1; y++) {
        for (k = 0; k < 2; k++) {
            at = k == 0
                 ? stoa_zone_rule_s(&z->begin, y) * 1000 - z->after_ms
                 : stoa_zone_rule_s(&z->end, y) * 1000 - z->summer_ms;

            if (at <= ms && at > last) {
                last = at;
                offset = k == 0 ? z->summer_ms : z->after_ms;

            } else if (at > ms && at < *until) {
                *until = at;
            }
        }
    }

    return offset;
}


int64_t
stoa_zone_offset(const stoa_zone_t *z, int64_t ms, int64_t *until)
{
    unsigned  i;

    if (z->n == 0 || ms >= z->change[z->n - 1].at_ms) {
        return stoa_zone_after(z, ms, until);
    }

    for (i = 0; z->change[i].at_ms <= ms; i++) {
        /* void */
    }

    *until = z->change[i].at_ms;

    return i ? z->change[i - 1].offset_ms : z->before_ms;
}


/* Where the clock is put back over `local`, it is the first time; where it
 * is put forward over it, the moment of that. */
int64_t
stoa_zone_instant(const stoa_zone_t *z, int64_t local)
{
    int64_t  from, until, offset;

    from = local - STOA_ZONE_DAY_S * INT64_C(1000);

    for ( ;; ) {
        offset = stoa_zone_offset(z, from, &until);

        if (local - offset < until) {
            return local - offset > from ? local - offset : from;
        }

        from = until;
    }
}
