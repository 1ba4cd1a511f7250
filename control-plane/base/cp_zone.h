/*
 * Time zones, read anew for each use.  Memory: the arena.
 */

#ifndef CP_ZONE_H
#define CP_ZONE_H


#include "base/cp_util.h"
#include "stoa_zone.h"


/* NULL: there is none of that name. */
stoa_zone_t *cp_zone_open(cp_arena_t *a, const char *name);


#endif /* CP_ZONE_H */
