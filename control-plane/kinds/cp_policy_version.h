/*
 * What a policy was: a version per write, the last CP_POLICY_VERSIONS of them.
 * Its number is the one in the policy's ETag.
 *
 * Process: stoa-control, inside a transaction.
 */

#ifndef CP_POLICY_VERSION_H
#define CP_POLICY_VERSION_H


#include "kinds/cp_kinds.h"


#define CP_POLICY_VERSIONS      50
#define CP_POLICY_VERSION_SIZE  65536     /* bytes of each, on average      */

/* Keeps a row as it is; what is kept already stays.  known: the actor is who
 * made it so. */
cp_rc_t cp_policy_version_save(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row,
    bool known) CP_MUST_CHECK;

/* Those of a policy, the youngest first: ver, at, actor, body.  ver 0: all,
 * else 404 if it is not there. */
cp_rc_t cp_policy_version_read(cp_tx_t *tx, cp_arena_t *a, const char *policy,
    int64_t ver, cp_rows_t *rows, cp_err_t *err) CP_MUST_CHECK;

/* A row of these as the policy would be shown. */
cp_rc_t cp_policy_version_show(cp_names_t *names, const cp_resource_t *res,
    const cp_json_t *row, const cp_val_t *body, cp_json_t **obj)
    CP_MUST_CHECK;


#endif /* CP_POLICY_VERSION_H */
