/*
 * The route tables of all areas.
 */

#include "cp_routes.h"


static const cp_route_t *const  cp_routes_tables[] = {
    cp_system_routes,
    cp_resource_routes,
    cp_audit_routes,
    cp_apply_routes,
    cp_feed_routes,
    cp_openapi_routes,
    cp_platform_routes,
    cp_discovery_routes,
    NULL
};


const cp_route_t *
cp_route_at(unsigned n)
{
    const cp_route_t         *row;
    const cp_route_t *const  *table;

    for (table = cp_routes_tables; *table != NULL; table++) {
        for (row = *table; row->method != NULL; row++) {
            if (n-- == 0) {
                return row;
            }
        }
    }

    return NULL;
}
