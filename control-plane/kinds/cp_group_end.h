/*
 * The end of a tenant's groups at the provider: a role there goes by the
 * tenant's name, so the next tenant of that name must not meet the groups of
 * the last one.  The deletion writes down that they have to go, a job asks for
 * it until it is done, and until then nobody gets the name.
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
/* Tries those that are due. */
cp_rc_t cp_group_ends(cp_app_t *app, const cp_provision_out_t *out)
    CP_MUST_CHECK;


#endif /* CP_GROUP_END_H */
