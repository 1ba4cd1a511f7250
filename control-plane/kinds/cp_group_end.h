/*
 * The end of a tenant's groups at the provider: a role there goes by the
 * tenant's name, so the next tenant of that name must not meet the groups of
 * the last one.  The deletion writes down that they have to go, a job asks for
 * it until it is done, and until then nobody gets the name; after
 * `provision_attempts` it has failed, and waits for an administrator's retry,
 * or for his deletion of the row.
 *
 * Owner: the table group_removals.
 * Process: stoa-control; cp_group_ends() runs in the job of cp_provision.h, so
 * that no step of this process is under way beside it.
 */

#ifndef CP_GROUP_END_H
#define CP_GROUP_END_H


#include "kinds/cp_provision.h"


/* That nobody's groups of the name are still to be removed. */
cp_rc_t cp_group_name_free(cp_op_t *op, cp_tx_t *tx, const char *name)
    CP_MUST_CHECK;
/* A tenant was deleted while its groups were made. */
cp_rc_t cp_group_end_add(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    const char *name) CP_MUST_CHECK;
/* How many tenants, and groups of tenants that are gone, wait for somebody to
 * look at why it failed. */
cp_rc_t cp_provision_failed(cp_tx_t *tx, cp_arena_t *a, int64_t *tenants,
    int64_t *removals, cp_err_t *err) CP_MUST_CHECK;
/* Tries those that are due. */
cp_rc_t cp_group_ends(cp_app_t *app, const cp_provision_out_t *out)
    CP_MUST_CHECK;


#endif /* CP_GROUP_END_H */
