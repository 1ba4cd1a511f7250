/*
 * The tables that cp_routes.c puts together, one per area, each ended by a
 * row whose method is NULL.  Constant after start.
 */

#ifndef CP_ROUTES_H
#define CP_ROUTES_H


#include "http/cp_http.h"


extern const cp_route_t  cp_system_routes[];
extern const cp_route_t  cp_session_routes[];
extern const cp_route_t  cp_factor_routes[];
extern const cp_route_t  cp_invite_routes[];
extern const cp_route_t  cp_oidc_routes[];
extern const cp_route_t  cp_resource_routes[];
extern const cp_route_t  cp_can_i_routes[];
extern const cp_route_t  cp_tenant_routes[];
extern const cp_route_t  cp_archive_routes[];
extern const cp_route_t  cp_audit_routes[];
extern const cp_route_t  cp_checkpoint_routes[];
extern const cp_route_t  cp_apply_routes[];
extern const cp_route_t  cp_feed_routes[];
extern const cp_route_t  cp_openapi_routes[];
extern const cp_route_t  cp_platform_routes[];
extern const cp_route_t  cp_discovery_routes[];
extern const cp_route_t  cp_mail_routes[];
extern const cp_route_t  cp_identity_routes[];
extern const cp_route_t  cp_spec_routes[];
extern const cp_route_t  cp_notice_routes[];
extern const cp_route_t  cp_inbox_routes[];
extern const cp_route_t  cp_leak_routes[];
extern const cp_route_t  cp_offers_routes[];
extern const cp_route_t  cp_quota_routes[];
extern const cp_route_t  cp_bundle_routes[];
extern const cp_route_t  cp_bundle_try_routes[];
extern const cp_route_t  cp_question_routes[];
extern const cp_route_t  cp_explain_routes[];
extern const cp_route_t  cp_purge_routes[];
extern const cp_route_t  cp_live_routes[];

/* For the HTTP server. */
extern const cp_site_t   cp_site;


#endif /* CP_ROUTES_H */
