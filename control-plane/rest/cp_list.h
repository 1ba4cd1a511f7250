/*
 * Lists: filters, order, pages; and the generic handlers that the route table
 * names.
 *
 * A page is ordered by name (by id where there are no names) and its cursor is
 * the last key, so that what is made or removed between two pages neither
 * repeats nor hides anything else.
 */

#ifndef CP_LIST_H
#define CP_LIST_H


#include "rest/cp_rest.h"


#define CP_LIST_MAX      500
#define CP_LIST_DEFAULT  100


/* {"items": [...], "next": ...} by the request's query. */
cp_rc_t cp_list_page(cp_req_t *r, cp_tx_t *tx, const cp_resource_t *res,
    const char *tenant, const char *parent, cp_json_t **page) CP_MUST_CHECK;

/* Reads limit and cursor.  *key "": from the beginning. */
cp_rc_t cp_list_range(cp_req_t *r, int64_t *limit, const char **key)
    CP_MUST_CHECK;
const char *cp_list_cursor(cp_arena_t *a, const char *key);


/* cp_routes_table.c */
extern const cp_route_t  cp_resource_routes[];

cp_rc_t cp_resource_route_list(cp_req_t *r);
/* Of all tenants that the actor sees. */
cp_rc_t cp_resource_route_get(cp_req_t *r);
cp_rc_t cp_resource_route_create(cp_req_t *r);
cp_rc_t cp_resource_route_update(cp_req_t *r);
cp_rc_t cp_resource_route_event(cp_req_t *r);
cp_rc_t cp_resource_route_delete(cp_req_t *r);
cp_rc_t cp_resource_route_rotate(cp_req_t *r);


#endif /* CP_LIST_H */
