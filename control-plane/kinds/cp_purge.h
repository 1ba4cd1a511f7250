/*
 * What gateways are to forget of the answers that they keep: of each api a
 * list, which is a record of the feed.  So a gateway that is away has it when
 * it is back, and none has to be asked.
 *
 * Process: stoa-control, any thread.  Limits: STOA_PURGES_MAX items of an api;
 * what an item falls out for is forgotten as a whole: everything older.
 */

#ifndef CP_PURGE_H
#define CP_PURGE_H


#include "op/cp_op.h"




/* Adds items {kind all|path|prefix|tag, value}, all with one time, which is
 * later than that of all before.  After cp_feed_lock(). */
cp_rc_t cp_purge_add(cp_tx_t *tx, cp_arena_t *a, const char *api,
    const cp_json_t *items, cp_err_t *err) CP_MUST_CHECK;

/* The record, for the groups that have the api; served false: a tombstone. */
cp_rc_t cp_purge_feed(cp_tx_t *tx, cp_arena_t *a, const char *api,
    const char *groups, bool served, cp_err_t *err) CP_MUST_CHECK;


#endif /* CP_PURGE_H */
