/*
 * Roles and permissions: one table.
 */

#include <string.h>

#include "auth/cp_auth.h"


#define VIEWER    CP_ROLE_VIEWER
#define TENANT    CP_ROLE_TENANT_ADMIN
#define PLATFORM  CP_ROLE_PLATFORM_ADMIN


static const cp_permission_t  cp_permissions[] = {
    { "self:read", VIEWER, CP_SCOPE_TENANT,
      "who am I, which roles are there" },

    { "tenant:read", VIEWER, CP_SCOPE_TENANT, "see tenants" },
    { "tenant:write", PLATFORM, CP_SCOPE_PLATFORM,
      "make, change, suspend and archive tenants" },
    { "gateway_group:read", VIEWER, CP_SCOPE_PLATFORM, "see gateway groups" },
    { "gateway_group:write", PLATFORM, CP_SCOPE_PLATFORM,
      "make and change gateway groups" },
    { "gateway:read", VIEWER, CP_SCOPE_PLATFORM, "see gateways" },
    { "gateway:write", PLATFORM, CP_SCOPE_PLATFORM,
      "register and remove gateways" },
    { "admin_token:read", VIEWER, CP_SCOPE_TENANT, "see admin tokens" },
    { "admin_token:write", TENANT, CP_SCOPE_TENANT,
      "make and revoke admin tokens, up to the own role" },

    { "api:read", VIEWER, CP_SCOPE_TENANT, "see apis" },
    { "api:write", TENANT, CP_SCOPE_TENANT, "make, change, publish apis" },
    { "api:platform", PLATFORM, CP_SCOPE_PLATFORM,
      "say which apis are the control plane's own, and where they lead" },
    { "operation:read", VIEWER, CP_SCOPE_TENANT, "see operations" },
    { "operation:write", TENANT, CP_SCOPE_TENANT, "change operations" },
    { "tool:read", VIEWER, CP_SCOPE_TENANT, "see what discovery found" },
    { "tool:write", TENANT, CP_SCOPE_TENANT, "enable and disable these" },
    { "server:read", VIEWER, CP_SCOPE_TENANT, "see servers" },
    { "server:write", TENANT, CP_SCOPE_TENANT, "make and publish servers" },
    { "plan:read", VIEWER, CP_SCOPE_TENANT, "see plans" },
    { "plan:write", TENANT, CP_SCOPE_TENANT, "make and change plans" },
    { "secret:read", VIEWER, CP_SCOPE_TENANT,
      "see which secrets there are, never their values" },
    { "secret:write", TENANT, CP_SCOPE_TENANT, "make and change secrets" },
    { "issuer:read", VIEWER, CP_SCOPE_TENANT, "see issuers of tokens" },
    { "issuer:write", TENANT, CP_SCOPE_TENANT,
      "say whose tokens are believed" },
    { "global_secret:read", VIEWER, CP_SCOPE_PLATFORM,
      "see which of the platform's there are, never their values" },
    { "global_secret:write", PLATFORM, CP_SCOPE_PLATFORM,
      "make and change secrets for global policies" },
    { "policy:read", VIEWER, CP_SCOPE_TENANT, "see policies" },
    { "policy:write", TENANT, CP_SCOPE_TENANT, "make and attach policies" },
    { "global_policy:read", VIEWER, CP_SCOPE_PLATFORM,
      "see the platform's policies" },
    { "global_policy:write", PLATFORM, CP_SCOPE_PLATFORM,
      "make and attach the platform's policies" },
    { "application:read", VIEWER, CP_SCOPE_TENANT, "see applications" },
    { "application:write", TENANT, CP_SCOPE_TENANT,
      "make and suspend applications" },
    { "subscription:read", VIEWER, CP_SCOPE_TENANT, "see subscriptions" },
    { "subscription:write", TENANT, CP_SCOPE_TENANT,
      "make, suspend and revoke subscriptions" },
    { "subscription:approve", TENANT, CP_SCOPE_TENANT,
      "approve and reject subscriptions to the own apis" },
    { "approval:read", VIEWER, CP_SCOPE_TENANT,
      "see which calls wait for an approval, with their arguments" },
    { "approval:write", TENANT, CP_SCOPE_TENANT,
      "approve and deny calls of the own tools" },
    { "credential:read", VIEWER, CP_SCOPE_TENANT,
      "see credentials, never their keys" },
    { "credential:write", TENANT, CP_SCOPE_TENANT,
      "make, rotate and revoke credentials" },

    { "mail:read", VIEWER, CP_SCOPE_PLATFORM,
      "see which mails wait and what became of the others" },
    { "mail:write", PLATFORM, CP_SCOPE_PLATFORM, "send a mail for a test" },
    { "apply:read", VIEWER, CP_SCOPE_TENANT, "diff and dump" },
    { "apply:write", TENANT, CP_SCOPE_TENANT, "apply documents" },
    { "usage:read", VIEWER, CP_SCOPE_TENANT, "see usage" },
    { "audit:read", VIEWER, CP_SCOPE_TENANT, "see and verify the audit log" },

    { NULL, CP_ROLE_NONE, CP_SCOPE_TENANT, NULL }
};

static const char *const  cp_roles[] = {
    [CP_ROLE_NONE] = "none",
    [CP_ROLE_VIEWER] = "viewer",
    [CP_ROLE_TENANT_ADMIN] = "tenant-admin",
    [CP_ROLE_PLATFORM_ADMIN] = "platform-admin"
};


static const cp_permission_t *
cp_permission_find(const char *name)
{
    const cp_permission_t  *p;

    for (p = cp_permissions; p->name; p++) {
        if (strcmp(p->name, name) == 0) {
            return p;
        }
    }

    return NULL;
}


const cp_permission_t *
cp_permission_at(unsigned i)
{
    return i < sizeof(cp_permissions) / sizeof(cp_permissions[0]) - 1
           ? &cp_permissions[i] : NULL;
}


const char *
cp_role_name(cp_role_e role)
{
    return cp_roles[role];
}


cp_role_e
cp_role_find(const char *name)
{
    unsigned  i;

    for (i = CP_ROLE_VIEWER; i <= CP_ROLE_PLATFORM_ADMIN; i++) {
        if (strcmp(cp_roles[i], name) == 0) {
            return (cp_role_e) i;
        }
    }

    return CP_ROLE_NONE;
}


/* A permission that is not in the table is nobody's. */
cp_rc_t
cp_auth_may(cp_op_t *op, const char *permission)
{
    const cp_permission_t  *p;

    if (cp_actor_is_system(&op->actor)) {
        return CP_OK;
    }

    p = permission ? cp_permission_find(permission) : NULL;

    if (p == NULL || op->actor.how != CP_AUTH_ADMIN
        || op->actor.role < p->role
        || (p->scope == CP_SCOPE_PLATFORM && op->actor.tenant))
    {
        return cp_err_set(&op->err, "forbidden", "this needs %s",
                          permission ? permission : "another credential");
    }

    return CP_OK;
}


bool
cp_auth_sees(const cp_actor_t *actor, const char *tenant)
{
    if (actor->how != CP_AUTH_ADMIN) {
        return cp_actor_is_system(actor);
    }

    return actor->tenant == NULL
           || (tenant && strcmp(actor->tenant, tenant) == 0);
}
