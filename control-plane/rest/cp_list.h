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

/* 400 for a query parameter that is no filter of the kind, nor `limit` or
 * `cursor`; many: nor `wait`. */
cp_rc_t cp_list_known(cp_req_t *r, const cp_resource_t *res, bool many)
    CP_MUST_CHECK;

/* The ids of all rows that such a list over all tenants would have, oldest
 * first, at most max of them. */
cp_rc_t cp_list_ids(cp_req_t *r, cp_tx_t *tx, const cp_resource_t *res,
    unsigned max, cp_rows_t *rows) CP_MUST_CHECK;

/* Reads limit and cursor.  *key "": from the beginning. */
cp_rc_t cp_list_range(cp_req_t *r, int64_t *limit, const char **key)
    CP_MUST_CHECK;
const char *cp_list_cursor(cp_arena_t *a, const char *key);


/* cp_routes_table.c */
extern const cp_route_t  cp_resource_routes[];
/* What a path stands for. */
typedef struct {
    const cp_resource_t  *res;         /* the kind that it ends in          */
    void                 *data;        /* the handler's                     */
    const char           *tenant;      /* id; NULL: not below one           */
    const char           *parent;      /* id; NULL: top level               */
    const char           *id;          /* NULL: the path is a collection's  */
} cp_place_t;

typedef cp_rc_t (*cp_write_pt)(cp_req_t *r, cp_tx_t *tx,
    const cp_place_t *p);

/* The names of the path as ids, by the res that is given. */
cp_rc_t cp_rest_place(cp_req_t *r, cp_tx_t *tx, cp_place_t *p)
    CP_MUST_CHECK;
/* A write as those of resources are: one transaction with the idempotent
 * answer, Stoa-Revision, ?wait=; r->ctx is its. */
cp_rc_t cp_rest_write(cp_req_t *r, cp_place_t *p, cp_write_pt write)
    CP_MUST_CHECK;
/* Inside of one: it was only to be seen, nothing is kept. */
void cp_rest_undo(cp_req_t *r);


cp_rc_t cp_resource_route_list(cp_req_t *r);
/* Of all tenants that the actor sees. */
cp_rc_t cp_resource_route_get(cp_req_t *r);
cp_rc_t cp_resource_route_create(cp_req_t *r);
cp_rc_t cp_resource_route_update(cp_req_t *r);
cp_rc_t cp_resource_route_event(cp_req_t *r);
cp_rc_t cp_resource_route_delete(cp_req_t *r);
cp_rc_t cp_resource_route_rotate(cp_req_t *r);


#endif /* CP_LIST_H */
