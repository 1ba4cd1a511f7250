/*
 * The kinds of resources, for those who need to know one by name.
 *
 * Constant.  Process: stoa-control.
 */

#ifndef CP_KINDS_H
#define CP_KINDS_H


#include "resource/cp_engine.h"


extern const cp_resource_t  cp_res_tenant;
extern const cp_resource_t  cp_res_gateway_group;
extern const cp_resource_t  cp_res_gateway;
extern const cp_resource_t  cp_res_admin_token;
extern const cp_resource_t  cp_res_role;
extern const cp_resource_t  cp_res_role_binding;
extern const cp_resource_t  cp_res_global_role_binding;
extern const cp_resource_t  cp_res_user;
extern const cp_resource_t  cp_res_invitation;
extern const cp_resource_t  cp_res_api;
extern const cp_resource_t  cp_res_operation;
extern const cp_resource_t  cp_res_page;
extern const cp_resource_t  cp_res_promotion;
extern const cp_resource_t  cp_res_group_removal;
extern const cp_resource_t  cp_res_tool;
extern const cp_resource_t  cp_res_prompt;
extern const cp_resource_t  cp_res_resource;
extern const cp_resource_t  cp_res_template;
extern const cp_resource_t  cp_res_server;
extern const cp_resource_t  cp_res_plan;
extern const cp_resource_t  cp_res_application;
extern const cp_resource_t  cp_res_subscription;
extern const cp_resource_t  cp_res_credential;
extern const cp_resource_t  cp_res_secret;
extern const cp_resource_t  cp_res_issuer;
extern const cp_resource_t  cp_res_global_secret;
extern const cp_resource_t  cp_res_policy;
extern const cp_resource_t  cp_res_global_policy;
extern const cp_resource_t  cp_res_policy_template;
extern const cp_resource_t  cp_res_global_policy_template;
extern const cp_resource_t  cp_res_policy_set;
extern const cp_resource_t  cp_res_bundle;
extern const cp_resource_t  cp_res_handover;
extern const cp_resource_t  cp_res_approval;

/* All of them, for cp_resource_kinds(). */
extern const cp_resource_t *const  cp_kinds[];


/* What upstreams of MCP show, all of one form; NULL ends. */
#define CP_ITEMS  4
extern const cp_resource_t *const  cp_items[];

#define CP_PAGES_MAX  50               /* of an api                          */

/* Gives a person a role (tenant NULL: at the platform) that is not held yet,
 * by who does this and within his rights. */
cp_rc_t cp_role_bind(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    const char *person, const char *role) CP_MUST_CHECK;

/* The id of what a subscription is to. */
const char *cp_subscription_to(const cp_json_t *sub);


/* OpenAPI documents of an api that are kept. */
#define CP_DOCUMENTS_KEPT  20

/* Whether a document made an operation (w->id).  One that was created just now
 * is not told of again. */
cp_rc_t cp_operation_imported(const cp_write_t *w, bool on, bool created)
    CP_MUST_CHECK;


#endif /* CP_KINDS_H */
