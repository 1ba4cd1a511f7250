/*
 * The handlers of the admin and the gateways' interface that more than one
 * file names.  Process: stoa-control, one request.
 */

#ifndef CP_REST_H
#define CP_REST_H


#include "http/cp_http.h"
#include "kinds/cp_kinds.h"


/*
 * Judges a request by its route: fills the actor; 401 without a valid token,
 * 404 for a {tenant} of the path that is not the actor's, 403 without the
 * route's permission.
 */
cp_rc_t cp_auth_check(cp_req_t *r) CP_MUST_CHECK;
/* Counts it and notes it for the audit log. */
void cp_auth_refused(cp_req_t *r, bool admitted);

cp_rc_t cp_gateway_status(cp_req_t *r);       /* POST /gateway/v1/status    */
cp_rc_t cp_usage_post(cp_req_t *r);           /* POST /gateway/v1/usage     */
cp_rc_t cp_news_post(cp_req_t *r);            /* POST /gateway/v1/news      */
cp_rc_t cp_approval_post(cp_req_t *r);        /* POST /gateway/v1/approvals */
cp_rc_t cp_usage_get(cp_req_t *r);            /* GET  /v1/tenants/../usage  */
#define CP_USAGE_QUERY_NAMES                                                  \
    "from to step zone by side application subscription api operation tool"   \
    " credential refused model status format"

cp_rc_t cp_dependents_get(cp_req_t *r);       /* GET ../dependents       */
cp_rc_t cp_catalogue_get(cp_req_t *r);        /* GET /v1/catalogue       */

cp_rc_t cp_import_route(cp_req_t *r);         /* POST ../credentials/import */
cp_rc_t cp_bulk_route(cp_req_t *r);           /* POST /v1/../bulk           */
cp_rc_t cp_effective_route(cp_req_t *r);  /* GET ../effective-policies   */
cp_rc_t cp_effective_try(cp_req_t *r);    /* POST: with another policy   */

cp_rc_t cp_policy_versions(cp_req_t *r);
cp_rc_t cp_policy_version(cp_req_t *r);
cp_rc_t cp_policy_restore(cp_req_t *r);
cp_rc_t cp_policy_set_preview(cp_req_t *r);

cp_rc_t cp_auth_whoami(cp_req_t *r);                  /* GET /v1/whoami      */
cp_rc_t cp_auth_roles(cp_req_t *r);                   /* GET /v1/roles       */


#endif /* CP_REST_H */
