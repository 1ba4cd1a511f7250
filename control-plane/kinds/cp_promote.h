/*
 * What a promotion carries from one api to another, and puts back.
 *
 * A state of an api: {api {members}, operations [..], document N, head {of the
 * document}, ver N}, or {} of one that is not there.  Members that belong to
 * where an api runs are not in it.  Process: stoa-control, inside of a
 * transaction.
 */

#ifndef CP_PROMOTE_H
#define CP_PROMOTE_H


#include "kinds/cp_kinds.h"


/* *id NULL: there is no such api. */
cp_rc_t cp_promote_find(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    const char *name, const char **id) CP_MUST_CHECK;
cp_rc_t cp_promote_state(cp_op_t *op, cp_tx_t *tx, const char *id,
    cp_json_t **state) CP_MUST_CHECK;

/* {member: {before, after}}, the document's too; operations as "+ name",
 * "- name", "~ name". */
cp_json_t *cp_promote_diff(cp_arena_t *a, const cp_json_t *before,
    const cp_json_t *after);

/* Makes the api what the state says; document: of which api. */
cp_rc_t cp_promote_put(cp_op_t *op, cp_tx_t *tx, const char *id,
    const cp_json_t *state, const char *document_of) CP_MUST_CHECK;


#endif /* CP_PROMOTE_H */
