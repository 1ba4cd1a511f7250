/*
 * Time zones.
 */

#include "base/cp_zone.h"


stoa_zone_t *
cp_zone_open(cp_arena_t *a, const char *name)
{
    stoa_zone_t  *z;

    z = cp_arena_alloc(a, sizeof(stoa_zone_t));

    return z && stoa_zone_open(z, name) ? z : NULL;
}
