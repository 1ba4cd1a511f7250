/*
 * The registry of the kinds.
 */

#include "kinds/cp_kinds.h"


/* In the order in which documents are applied: owners before what they own,
 * targets before what refers to them. */
const cp_resource_t *const  cp_kinds[] = {
    &cp_res_gateway_group,
    &cp_res_gateway,
    &cp_res_tenant,
    &cp_res_role,
    &cp_res_role_binding,
    &cp_res_global_role_binding,
    &cp_res_admin_token,
    &cp_res_user,
    &cp_res_invitation,
    &cp_res_plan,
    &cp_res_api,
    &cp_res_operation,
    &cp_res_page,
    &cp_res_tool,
    &cp_res_prompt,
    &cp_res_resource,
    &cp_res_template,
    &cp_res_server,
    &cp_res_application,
    &cp_res_credential,
    &cp_res_subscription,
    &cp_res_secret,
    &cp_res_global_secret,
    &cp_res_issuer,
    &cp_res_policy_template,
    &cp_res_global_policy_template,
    &cp_res_policy_set,
    &cp_res_policy,
    &cp_res_global_policy,
    &cp_res_bundle,
    &cp_res_approval,
    &cp_res_promotion,
    &cp_res_handover,
    &cp_res_group_removal,
    NULL
};

const cp_resource_t *const  cp_items[] = {
    &cp_res_tool, &cp_res_prompt, &cp_res_resource, &cp_res_template, NULL
};
