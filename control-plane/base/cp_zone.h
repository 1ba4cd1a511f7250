/*
 * Time zones, by the system's tz database: what a clock on the wall shows
 * there.  Read anew for each use; the C library's own is one per process.
 *
 * Memory: the arena.  Limits: a file CP_ZONE_FILE_MAX bytes.
 */

#ifndef CP_ZONE_H
#define CP_ZONE_H


#include "base/cp_util.h"


#define CP_ZONE_FILE_MAX  (256 * 1024)

typedef struct cp_zone_s  cp_zone_t;

/* "UTC", "+05:30" or a name such as Europe/Paris; NULL: there is none. */
cp_zone_t *cp_zone_open(cp_arena_t *a, const char *name);

/* The offset, in ms, at an instant; *until: from when on another one may
 * hold, INT64_MAX never. */
int64_t cp_zone_offset(const cp_zone_t *z, int64_t ms, int64_t *until);

/* The first instant of which the wall's clock says `local` (as if it were UTC)
 * or later. */
int64_t cp_zone_instant(const cp_zone_t *z, int64_t local);


#endif /* CP_ZONE_H */
