/*
 * The kinds of resources: where they are, what a table shows of them.
 */

#include <ctype.h>
#include <string.h>

#include "stoactl.h"


const ctl_kind_t  ctl_kinds[] = {
    { "tenant", "tenants", "/v1/tenants",
      "name title state created_at provisioning.error", false },
    { "group-removal", "group-removals", "/v1/group-removals",
      "id name state attempts error updated_at", true },
    { "api", "apis", "/v1/tenants/{tenant}/apis",
      "name kind version state audience base_path discovery.state", false },
    { "operation", "operations", "/v1/tenants/{tenant}/apis/{api}/operations",
      "name method path state", false },
    { "promotion", "promotions", "/v1/tenants/{tenant}/promotions",
      "id state api to target requested_by decided_by created_at", true },
    { "page", "pages", "/v1/tenants/{tenant}/apis/{api}/pages",
      "name title position updated_at", false },
    { "tool", "tools", "/v1/tenants/{tenant}/apis/{api}/tools",
      "name title state updated_at", false },
    { "resource", "resources", "/v1/tenants/{tenant}/apis/{api}/resources",
      "name title state updated_at", false },
    { "prompt", "prompts", "/v1/tenants/{tenant}/apis/{api}/prompts",
      "name title state updated_at", false },
    { "template", "templates", "/v1/tenants/{tenant}/apis/{api}/templates",
      "name title state updated_at", false },
    { "server", "servers", "/v1/tenants/{tenant}/servers",
      "name title state prefix tools unresolved", false },
    { "plan", "plans", "/v1/tenants/{tenant}/plans",
      "name state rate per_ms burst quota_day quota_month concurrency "
      "approval", false },
    { "secret", "secrets", "/v1/tenants/{tenant}/secrets",
      "name title updated_at certificate.not_after", false },
    { "global-secret", "global-secrets", "/v1/secrets",
      "name title updated_at certificate.not_after", false },
    { "issuer", "issuers", "/v1/tenants/{tenant}/issuers",
      "name issuer state keys.state keys.changed_at keys.at", false },
    { "policy", "policies", "/v1/tenants/{tenant}/policies",
      "name type state attach", false },
    { "global-policy", "global-policies", "/v1/policies",
      "name type state attach", false },
    { "policy-template", "policy-templates",
      "/v1/tenants/{tenant}/policy-templates",
      "name title latest updated_at", false },
    { "global-policy-template", "global-policy-templates",
      "/v1/policy-templates", "name title latest updated_at", false },
    { "policy-set", "policy-sets", "/v1/tenants/{tenant}/policy-sets",
      "name template global_template version latest policies drift", false },
    { "bundle", "bundles", "/v1/tenants/{tenant}/bundles",
      "name title revision checked updated_at", false },
    { "application", "applications", "/v1/tenants/{tenant}/applications",
      "name title state created_at", false },
    { "handover", "handovers", "/v1/tenants/{tenant}/handovers",
      "id state application owner requested_by decided_by created_at", true },
    { "subscription", "subscriptions", "/v1/tenants/{tenant}/subscriptions",
      "id tenant application target_tenant api server plan state", true },
    { "credential", "credentials",
      "/v1/tenants/{tenant}/applications/{application}/credentials",
      "id title env prefix last4 state created_at expires_at"
      " last_used_at", true },
    { "approval", "approvals", "/v1/tenants/{tenant}/approvals",
      "id state api tool consumer application created_at expires_at", true },
    { "gateway-group", "gateway-groups", "/v1/gateway-groups",
      "name title created_at", false },
    { "gateway", "gateways", "/v1/gateways",
      "name group state sync sync_state rev version last_seen", false },
    { "admin-token", "admin-tokens", "/v1/admin-tokens",
      "name role tenant state created_at expires_at", false },
    { "user", "users", "/v1/users",
      "name title state tenant mail second_factor last_login_at", false },
    { "invitation", "invitations", "/v1/invitations",
      "id mail role tenant state mailed expires_at", true },
    { "role", "roles", "/v1/tenants/{tenant}/roles",
      "name title permissions", false },
    { "role-binding", "role-bindings", "/v1/tenants/{tenant}/role-bindings",
      "id user role created_at", true },
    { "global-role-binding", "global-role-bindings", "/v1/role-bindings",
      "id user role created_at", true },
    { NULL, NULL, NULL, NULL, false }
};


/* "GlobalPolicy", as documents have it -> global-policy. */

static void
ctl_kind_plain(const char *name, char *plain, size_t size)
{
    size_t  n;

    for (n = 0; *name != '\0' && n < size - 2; name++) {

        if (isupper((unsigned char) *name) && n > 0) {
            plain[n++] = '-';
        }

        plain[n++] = (char) tolower((unsigned char) *name);
    }

    plain[n] = '\0';
}


const ctl_kind_t *
ctl_kind(const char *name)
{
    char               plain[64];
    ctl_guess_t        guess = { .word = name, .len = strlen(name) };
    const ctl_kind_t  *k;

    ctl_kind_plain(name, plain, sizeof(plain));

    for (k = ctl_kinds; k->kind != NULL; k++) {
        if (strcmp(k->kind, plain) == 0 || strcmp(k->plural, plain) == 0) {
            return k;
        }
    }

    for (k = ctl_kinds; k->kind != NULL; k++) {
        ctl_guess(&guess, k->kind, strlen(k->kind));
        ctl_guess(&guess, k->plural, strlen(k->plural));
    }

    if (guess.best != NULL) {
        ctl_error("unknown kind \"%s\"", name);
        ctl_guess_tell(&guess, "");
        return NULL;
    }

    ctl_error("unknown kind \"%s\"; kinds:", name);

    for (k = ctl_kinds; k->kind != NULL; k++) {
        fprintf(stderr, "  %s\n", k->plural);
    }

    return NULL;
}
