/*
 * The route tables of all areas.
 */

#include "cp_routes.h"
#include "rest/cp_rest.h"


static const cp_route_t *const  cp_routes_tables[] = {
    cp_system_routes,
    cp_session_routes,
    cp_factor_routes,
    cp_invite_routes,
    cp_oidc_routes,
    cp_resource_routes,
    cp_can_i_routes,
    cp_tenant_routes,
    cp_archive_routes,
    cp_audit_routes,
    cp_checkpoint_routes,
    cp_apply_routes,
    cp_feed_routes,
    cp_openapi_routes,
    cp_platform_routes,
    cp_discovery_routes,
    cp_mail_routes,
    cp_identity_routes,
    cp_spec_routes,
    cp_notice_routes,
    cp_inbox_routes,
    cp_leak_routes,
    cp_offers_routes,
    cp_quota_routes,
    cp_bundle_routes,
    cp_bundle_try_routes,
    cp_question_routes,
    cp_explain_routes,
    cp_purge_routes,
    cp_live_routes,
    NULL
};


const cp_site_t  cp_site = { cp_routes_tables, cp_auth_check,
                                  cp_auth_refused };
