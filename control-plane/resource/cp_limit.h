/*
 * How much a tenant may have.
 *
 * Process: stoa-control, any thread; counts of a transaction live as long as
 * it.
 */

#ifndef CP_LIMIT_H
#define CP_LIMIT_H


#include "resource/cp_engine.h"


#define CP_LIMIT_MAX  10000000

/* kind, which of its rows count: what has ended does not. */
#define CP_LIMITS(row)                                                        \
    row(api, "1 = 1", "apis")                                                 \
    row(operation, "1 = 1", "operations, of all apis")                        \
    row(server, "1 = 1", "servers")                                           \
    row(plan, "1 = 1", "plans")                                               \
    row(application, "1 = 1", "applications")                                 \
    row(subscription, "state IN ('pending', 'active', 'suspended')",          \
        "subscriptions that have not ended")                                  \
    row(credential, "state = 'active'",                                       \
        "active credentials, of all applications")                            \
    row(policy, "1 = 1", "policies")                                          \
    row(policy_template, "1 = 1", "templates of policies")                    \
    row(policy_set, "1 = 1", "sets of policies made of templates")            \
    row(bundle, "1 = 1", "bundles for Open Policy Agents")                    \
    row(secret, "1 = 1", "secrets")                                           \
    row(issuer, "1 = 1", "issuers of tokens")                                 \
    row(role, "1 = 1", "roles of its own")                                    \
    row(role_binding, "1 = 1", "roles that people hold")                      \
    row(admin_token, "state = 'active'", "admin tokens")


/* Before a row is made; `row` has its tenant.  409 names limit and value. */
cp_rc_t cp_limit_check(const cp_write_t *w, const cp_json_t *row)
    CP_MUST_CHECK;
/* One of them is gone. */
void cp_limit_gone(const cp_write_t *w, const cp_json_t *row);
/* [{kind, used, limit}], by a tenant's row. */
cp_rc_t cp_limit_list(cp_tx_t *tx, cp_arena_t *a, const cp_app_t *app,
    const cp_json_t *tenant, cp_json_t **list, cp_err_t *err) CP_MUST_CHECK;
/* The default for tenants, "api=100 plan=20": what is wrong; NULL: nothing. */
const char *cp_limit_wrong(cp_arena_t *a, const char *text);


#endif /* CP_LIMIT_H */
