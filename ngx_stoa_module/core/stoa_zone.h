/*
 * Time zones, by the system's tz database: what a clock on the wall shows
 * there.  The C library's own is one per process.
 *
 * Process: any; no state here, stoa_zone_open() reads a file.  Memory: the
 * caller's, some 8 KB.  Limits: STOA_ZONE_CHANGES changes of the clock.
 */

#ifndef STOA_ZONE_H
#define STOA_ZONE_H


#include "stoa_core.h"


#define STOA_ZONE_CHANGES  512
#define STOA_ZONE_NAME     64


/* The n-th (5: last) weekday of a month, at a time of the wall's clock. */
typedef struct {
    int      month;
    int      week;
    int      weekday;
    int64_t  at_s;
} stoa_zone_rule_t;

typedef struct {
    int64_t  at_ms;
    int64_t  offset_ms;
} stoa_zone_change_t;

typedef struct {
    int64_t            before_ms;      /* the offset before all changes      */
    unsigned           n;
    stoa_zone_change_t  change[STOA_ZONE_CHANGES];
    int64_t            after_ms;       /* the rule: standard, summer         */
    int64_t            summer_ms;
    bool               has_summer;
    stoa_zone_rule_t     begin;
    stoa_zone_rule_t     end;
} stoa_zone_t;


/* "UTC", "+05:30" or a name such as Europe/Paris; false: there is none. */
bool stoa_zone_open(stoa_zone_t *z, const char *name);

/* The offset, in ms, at an instant; *until: from when on another one may
 * hold, INT64_MAX never. */
int64_t stoa_zone_offset(const stoa_zone_t *z, int64_t ms, int64_t *until);

/* The first instant of which the wall's clock says `local` (as if it were UTC)
 * or later. */
int64_t stoa_zone_instant(const stoa_zone_t *z, int64_t local);

/* Days of the civil calendar since 1970-01-01: the years are counted from
 * March so that the leap day is the last one. */
int64_t stoa_zone_days(int64_t y, int64_t m, int64_t d);


#endif /* STOA_ZONE_H */
