/*
 * Reading TZif (RFC 8536): the table of transitions, and the rule that goes on
 * behind its end.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cp_zone.h"


#define CP_ZONE_DIR     "/usr/share/zoneinfo"
#define CP_ZONE_HEAD    44
#define CP_ZONE_DAY_S   86400
#define CP_ZONE_NAME    64
#define CP_ZONE_LETTERS                                                       \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* The n-th (5: last) weekday of a month, at a time of the wall's clock. */
typedef struct {
    int      month;
    int      week;
    int      weekday;
    int64_t  at_s;
} cp_zone_rule_t;

typedef struct {
    int64_t  at_ms;
    int64_t  offset_ms;
} cp_zone_change_t;

struct cp_zone_s {
    int64_t            before_ms;      /* the offset before all changes      */
    unsigned           n;
    cp_zone_change_t  *change;
    int64_t            after_ms;       /* the rule: standard, summer         */
    int64_t            summer_ms;
    bool               has_summer;
    cp_zone_rule_t     begin;
    cp_zone_rule_t     end;
};


static bool cp_zone_fixed(const char *name, int64_t *ms);
static char *cp_zone_read(cp_arena_t *a, const char *name, size_t *len);
static bool cp_zone_parse(cp_zone_t *z, cp_arena_t *a, const uint8_t *p,
    size_t len);
static bool cp_zone_tail(cp_zone_t *z, const char *s);
static bool cp_zone_rule(const char **s, cp_zone_rule_t *rule);
static bool cp_zone_clock(const char **s, int64_t *seconds);
static int64_t cp_zone_rule_s(const cp_zone_rule_t *r, int64_t year);


cp_zone_t *
cp_zone_open(cp_arena_t *a, const char *name)
{
    char       *text;
    size_t      len;
    cp_zone_t  *z;

    z = cp_arena_alloc(a, sizeof(cp_zone_t));

    if (z == NULL) {
        return NULL;
    }

    if (cp_zone_fixed(name, &z->before_ms)) {
        z->after_ms = z->before_ms;
        return z;
    }

    text = cp_zone_read(a, name, &len);

    return text && cp_zone_parse(z, a, (const uint8_t *) text, len) ? z
                                                                    : NULL;
}


static bool
cp_zone_fixed(const char *name, int64_t *ms)
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


/* A name leads nowhere but into the directory. */
static char *
cp_zone_read(cp_arena_t *a, const char *name, size_t *len)
{
    int       fd;
    char     *p;
    ssize_t   n;

    if (strlen(name) > CP_ZONE_NAME || strstr(name, "..") || name[0] == '/'
        || name[strspn(name, CP_ZONE_LETTERS "0123456789_+-/")])
    {
        return NULL;
    }

    p = cp_arena_printf(a, CP_ZONE_DIR "/%s", name);
    fd = p ? open(p, O_RDONLY|O_CLOEXEC|O_NONBLOCK) : -1;

    if (fd == -1) {
        return NULL;
    }

    p = cp_arena_alloc(a, CP_ZONE_FILE_MAX + 1);
    n = p ? read(fd, p, CP_ZONE_FILE_MAX) : -1;
    (void) close(fd);

    *len = n > 0 ? (size_t) n : 0;

    return n > 0 ? p : NULL;
}


static int64_t
cp_zone_number(const uint8_t *p, unsigned bytes)
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
cp_zone_block(const uint8_t *p, unsigned width, int64_t n[6])
{
    unsigned  i;

    for (i = 0; i < 6; i++) {
        n[i] = cp_zone_number(p + 20 + 4 * i, 4);

        if (n[i] < 0 || n[i] > CP_ZONE_FILE_MAX) {
            return SIZE_MAX / 2;
        }
    }

    return (size_t) (n[3] * (width + 1) + n[4] * 6 + n[5]
                     + n[2] * (width + 4) + n[1] + n[0]);
}


/* The second block has 64 bits; files without one are not made any more. */
static bool
cp_zone_parse(cp_zone_t *z, cp_arena_t *a, const uint8_t *p, size_t len)
{
    size_t          size;
    int64_t         n[6], kind, i;
    const uint8_t  *types, *end;

    end = p + len;

    if (len < 2 * CP_ZONE_HEAD || memcmp(p, "TZif", 4) != 0 || p[4] < '2') {
        return false;
    }

    size = cp_zone_block(p, 4, n);

    if (size > len - 2 * CP_ZONE_HEAD) {
        return false;
    }

    p += CP_ZONE_HEAD + size;
    size = cp_zone_block(p, 8, n);
    p += CP_ZONE_HEAD;

    if (size + 2 > (size_t) (end - p) || p[size] != '\n' || n[4] == 0) {
        return false;
    }

    z->change = cp_arena_alloc(a, (size_t) (n[3] + 1)
                                  * sizeof(cp_zone_change_t));
    if (z->change == NULL) {
        return false;
    }

    types = p + n[3] * 9;
    z->before_ms = cp_zone_number(types, 4) * 1000;

    for (i = 0; i < n[3]; i++) {
        kind = p[n[3] * 8 + i];

        if (kind >= n[4]) {
            return false;
        }

        z->change[i].at_ms = cp_zone_number(p + i * 8, 8) * 1000;
        z->change[i].offset_ms = cp_zone_number(types + kind * 6, 4) * 1000;
    }

    z->n = (unsigned) n[3];
    z->after_ms = z->n ? z->change[z->n - 1].offset_ms : z->before_ms;

    /* what was read ends in a NUL of the arena's */

    return cp_zone_tail(z, (const char *) p + size + 1);
}


/* Of a name such as CET or <+0530>. */
static size_t
cp_zone_abbr(const char *s)
{
    return *s == '<' ? strcspn(s, ">") + 1 : strspn(s, CP_ZONE_LETTERS);
}


/* "CET-1CEST,M3.5.0,M10.5.0/3": west is positive.  Rules by the number of the
 * day, which no zone has now, are not read. */
static bool
cp_zone_tail(cp_zone_t *z, const char *s)
{
    int64_t  west;

    if (*s == '\n') {
        return true;
    }

    s += cp_zone_abbr(s);

    if (!cp_zone_clock(&s, &west)) {
        return false;
    }

    z->after_ms = -west * 1000;

    if (*s == '\n') {
        return true;
    }

    s += cp_zone_abbr(s);
    west -= 3600;

    if (*s != ',' && !cp_zone_clock(&s, &west)) {
        return false;
    }

    z->summer_ms = -west * 1000;
    z->has_summer = true;

    return cp_zone_rule(&s, &z->begin) && cp_zone_rule(&s, &z->end)
           && *s == '\n';
}


static bool
cp_zone_rule(const char **s, cp_zone_rule_t *rule)
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
        return cp_zone_clock(s, &rule->at_s);
    }

    return true;
}


static bool
cp_zone_clock(const char **s, int64_t *seconds)
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


/* Of the wall's clock, as if it were UTC. */
static int64_t
cp_zone_rule_s(const cp_zone_rule_t *r, int64_t year)
{
    int64_t  first, next, day;

    first = cp_time_days(year, r->month, 1);
    next = r->month == 12 ? cp_time_days(year + 1, 1, 1)
                          : cp_time_days(year, r->month + 1, 1);

    /* 1970-01-01 was a Thursday */

    day = first + (r->weekday - (first + 4) % 7 + 7) % 7
          + (int64_t) (r->week - 1) * 7;

    if (day >= next) {
        day -= 7;
    }

    return day * CP_ZONE_DAY_S + r->at_s;
}


/* By the rule: three years hold all changes near an instant. */
static int64_t
cp_zone_after(const cp_zone_t *z, int64_t ms, int64_t *until)
{
    int64_t   year, y, at, offset, last;
    unsigned  k;

    *until = INT64_MAX;

    if (!z->has_summer) {
        return z->after_ms;
    }

    year = 1970 + ms / (CP_ZONE_DAY_S * INT64_C(1000) * 36525 / 100);
    offset = z->after_ms;
    last = INT64_MIN;

    for (y = year - 1; y <= year + 1; y++) {
        for (k = 0; k < 2; k++) {
            at = k == 0
                 ? cp_zone_rule_s(&z->begin, y) * 1000 - z->after_ms
                 : cp_zone_rule_s(&z->end, y) * 1000 - z->summer_ms;

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
cp_zone_offset(const cp_zone_t *z, int64_t ms, int64_t *until)
{
    unsigned  i;

    if (z->n == 0 || ms >= z->change[z->n - 1].at_ms) {
        return cp_zone_after(z, ms, until);
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
cp_zone_instant(const cp_zone_t *z, int64_t local)
{
    int64_t  from, until, offset;

    from = local - CP_ZONE_DAY_S * INT64_C(1000);

    for ( ;; ) {
        offset = cp_zone_offset(z, from, &until);

        if (local - offset < until) {
            return local - offset > from ? local - offset : from;
        }

        from = until;
    }
}
