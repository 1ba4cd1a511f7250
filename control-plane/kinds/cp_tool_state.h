/*
 * Tools, prompts, resources and templates of mcp apis: which are on is decided
 * by name and kept with the api, whatever discovery finds today.
 *
 * Owner: the database, a row per name whose state is not the api's new_tools;
 * ends with the api.
 * Process: stoa-control, inside the transaction of the write.
 * Limits: CP_TOOL_STATES_MAX names of an api.
 */

#ifndef CP_TOOL_STATE_H
#define CP_TOOL_STATE_H


#include "resource/cp_resource.h"


#define CP_TOOL_STATES_MAX  1000         /* of each kind              */


/*
 * What differs from new_tools, by name, those that are there among them: an
 * array of {name, state}, sorted.  res: one of cp_items.
 */
cp_rc_t cp_tool_states(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const char *api, cp_json_t **list, cp_err_t *err) CP_MUST_CHECK;

/* Decides about a name, whether it is there or not. */
cp_rc_t cp_tool_decide(cp_op_t *op, cp_tx_t *tx, const cp_resource_t *res,
    const cp_json_t *api, const char *name, const char *state) CP_MUST_CHECK;

/* Hooks of the tool: one that is found begins as was decided; its events
 * decide. */
cp_rc_t cp_tool_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after);
cp_rc_t cp_tool_event(const cp_write_t *w, const char *event,
    const cp_json_t *args, const cp_json_t *before, cp_json_t *after);


#endif /* CP_TOOL_STATE_H */
