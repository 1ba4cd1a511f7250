/*
 * The groups of a tenant in Keycloak: /tenants/NAME and one below it for each
 * role, made when the tenant is (kinds/cp_provision.h) by a service account of
 * its own, as the one that looks at owners changes nothing.
 *
 * A group of ours has the tenant's id as an attribute: what somebody else has
 * made is neither taken nor removed.  Making and removing may be done twice.
 * Process: stoa-control, the job of provisioning; outside of transactions.
 */

#ifndef CP_GROUP_H
#define CP_GROUP_H


#include "oidc/cp_oidc.h"


/* Lets tenants ask for groups, if that is configured; err: what is wrong with
 * it. */
cp_rc_t cp_group_init(const cp_app_t *app, cp_err_t *err) CP_MUST_CHECK;


#endif /* CP_GROUP_H */
