/*
 * The kinds that there are.
 */

#include <string.h>

#include "resource/cp_resource.h"


static const cp_resource_t *const  *cp_resource_list;


void
cp_resource_kinds(const cp_resource_t *const *kinds)
{
    cp_resource_list = kinds;
}


const cp_resource_t *
cp_resource_find(const char *kind)
{
    unsigned  i;

    for (i = 0; cp_resource_list[i]; i++) {
        if (strcmp(cp_resource_list[i]->kind, kind) == 0) {
            break;
        }
    }

    return cp_resource_list[i];
}


const cp_resource_t *
cp_resource_at(unsigned i)
{
    return cp_resource_list[i];
}


const cp_resource_t *
cp_resource_owner(void)
{
    unsigned  i;

    for (i = 0; !cp_resource_list[i]->owner; i++) { /* void */ }

    return cp_resource_list[i];
}
