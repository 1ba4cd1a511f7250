/*
 * Building the bodies of feed rows from row trees.
 */

#ifndef CP_FEED_BODIES_H
#define CP_FEED_BODIES_H


#include "resource/cp_tables.h"


/* A member that is a column under this or another name. */
typedef struct {
    const char  *member;
    const char  *column;
    int64_t      absent;           /* ABSENT_NONE: left out                  */
} cp_body_t;

#define ABSENT_NONE  -1


cp_json_t *cp_body_make(cp_arena_t *a, const cp_body_t *members,
    const cp_json_t *row);
/* body NULL: a tombstone. */
cp_rc_t cp_body_put(cp_tx_t *tx, cp_arena_t *a, const char *kind,
    const char *key, const cp_json_t *body, const char *groups,
    cp_err_t *err) CP_MUST_CHECK;
/* A row without its CP_WHOLE columns; *row NULL: there is none. */
cp_rc_t cp_row_light(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const char *id, cp_json_t **row, cp_err_t *err) CP_MUST_CHECK;


#endif /* CP_FEED_BODIES_H */
