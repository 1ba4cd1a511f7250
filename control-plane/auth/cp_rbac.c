/*
 * Permissions, the built-in roles that hold them, and what they allow: one
 * table.  A role is a set of rows; those of tenants are rows of `roles`.
 */

#include <string.h>

#include "auth/cp_auth.h"


/* Places in cp_roles. */

#define V    0x01
#define A    0x02
#define D    0x04
#define O    0x08
#define T    0x10
#define P    0x20

#define ALL  (V|A|D|O|T|P)

#define TENANT    CP_SCOPE_TENANT
#define PLATFORM  CP_SCOPE_PLATFORM


/* In the order of their rights, so that a list reads well. */
static const cp_role_t  cp_roles[] = {
    { "viewer", "sees everything but values of secrets" },
    { "auditor", "the same; made for who checks the audit log" },
    { "developer", "sees, and makes applications, subscriptions and keys" },
    { "devops", "makes and publishes apis, tools, servers, policies" },
    { "tenant-admin", "everything in its tenant" },
    { "platform-admin", "everything" },
    { NULL, NULL }
};

static const cp_permission_t  cp_permissions[] = {
    { "self:read", ALL, TENANT, "who am I, which roles are there" },

    { "tenant:read", ALL, TENANT, "see tenants" },
    { "tenant:write", P, PLATFORM,
      "make, change, suspend and archive tenants" },
    { "gateway_group:read", ALL, PLATFORM, "see gateway groups" },
    { "gateway_group:write", P, PLATFORM, "make and change gateway groups" },
    { "gateway:read", ALL, PLATFORM, "see gateways" },
    { "gateway:write", P, PLATFORM, "register and remove gateways" },
    { "admin_token:read", ALL, TENANT, "see admin tokens" },
    { "admin_token:write", T|P, TENANT,
      "make and revoke admin tokens, with what one holds" },
    { "role:read", ALL, TENANT, "see the tenant's own roles" },
    { "role:write", T|P, TENANT,
      "make and change these, with what one holds" },
    { "role_binding:read", ALL, TENANT, "see who holds which role" },
    { "role_binding:write", T|P, TENANT,
      "give roles in the tenant, with what one holds, and take them" },
    { "global_role_binding:read", ALL, PLATFORM,
      "see who holds which role at the platform" },
    { "global_role_binding:write", P, PLATFORM,
      "give roles at the platform, with what one holds, and take them" },

    { "user:read", ALL, TENANT, "see people" },
    { "user:write", T|P, TENANT,
      "disable, enable, reset and remove people" },
    { "invitation:read", ALL, TENANT, "see who is invited" },
    { "invitation:write", T|P, TENANT,
      "invite people, to what one holds, and revoke that" },

    { "api:read", ALL, TENANT, "see apis" },
    { "api:write", O|T|P, TENANT, "make, change, publish apis" },
    { "api:platform", P, PLATFORM,
      "say which apis are the control plane's own, and where they lead" },
    { "cache:purge", O|T|P, TENANT,
      "make gateways forget answers of apis that they keep" },
    { "operation:read", ALL, TENANT, "see operations" },
    { "operation:write", O|T|P, TENANT, "change operations" },
    { "page:read", ALL, TENANT, "read the documentation of apis" },
    { "page:write", O|T|P, TENANT, "write it" },
    { "promotion:read", ALL, TENANT, "see promotions of apis" },
    { "promotion:write", O|T|P, TENANT,
      "ask for them, and take that back" },
    { "promotion:approve", O|T|P, TENANT,
      "approve those that others asked for, reject, roll back" },
    { "tool:read", ALL, TENANT, "see what discovery found" },
    { "tool:write", O|T|P, TENANT, "enable and disable these" },
    { "server:read", ALL, TENANT, "see servers" },
    { "server:write", O|T|P, TENANT, "make and publish servers" },
    { "plan:read", ALL, TENANT, "see plans" },
    { "plan:write", T|P, TENANT, "make and change plans" },
    { "secret:read", ALL, TENANT,
      "see which secrets there are, never their values" },
    { "secret:write", O|T|P, TENANT, "make and change secrets" },
    { "issuer:read", ALL, TENANT, "see issuers of tokens" },
    { "issuer:write", T|P, TENANT, "say whose tokens are believed" },
    { "global_secret:read", ALL, PLATFORM,
      "see which of the platform's there are, never their values" },
    { "global_secret:write", P, PLATFORM,
      "make and change secrets for global policies" },
    { "policy:read", ALL, TENANT, "see policies" },
    { "policy:write", O|T|P, TENANT, "make and attach policies" },
    { "policy_template:read", ALL, TENANT, "see templates of policies" },
    { "policy_template:write", O|T|P, TENANT,
      "make and change the tenant's own" },
    { "global_policy_template:read", ALL, TENANT,
      "see the platform's templates of policies" },
    { "global_policy_template:write", P, PLATFORM,
      "make and change these" },
    { "policy_set:read", ALL, TENANT, "see what is made of templates" },
    { "policy_set:write", O|T|P, TENANT,
      "make policies of templates; needs policy:write too" },
    { "bundle:read", ALL, TENANT,
      "see bundles for Open Policy Agents, and fetch them" },
    { "bundle:write", O|T|P, TENANT, "make and change these" },
    { "global_policy:read", ALL, PLATFORM, "see the platform's policies" },
    { "global_policy:write", P, PLATFORM,
      "make and attach the platform's policies" },
    { "application:read", ALL, TENANT, "see applications" },
    { "application:write", D|O|T|P, TENANT,
      "make and suspend applications" },
    { "application:tie", T|P, TENANT,
      "say whom an application stands for at the provider of identities" },
    { "handover:read", ALL, TENANT,
      "see which applications are to get another owner" },
    { "handover:write", D|O|T|P, TENANT,
      "ask for that; accept what one is to own" },
    { "subscription:read", ALL, TENANT, "see subscriptions" },
    { "subscription:write", D|O|T|P, TENANT,
      "make, suspend and revoke subscriptions" },
    { "subscription:approve", T|P, TENANT,
      "approve and reject subscriptions to the own apis, decide for their"
      " publisher" },
    { "approval:read", ALL, TENANT,
      "see which calls wait for an approval, with their arguments" },
    { "approval:write", T|P, TENANT,
      "approve and deny calls of the own tools" },
    { "credential:read", ALL, TENANT, "see credentials, never their keys" },
    { "credential:write", D|O|T|P, TENANT,
      "make, rotate and revoke credentials" },

    { "identity:read", ALL, PLATFORM,
      "see whether the provider of identities answers" },
    { "group_removal:read", ALL, PLATFORM,
      "see which groups of deleted tenants are to go from Keycloak" },
    { "group_removal:write", P, PLATFORM, "try that again, or give it up" },
    { "mail:read", ALL, PLATFORM,
      "see which mails wait and what became of the others" },
    { "mail:write", P, PLATFORM, "send a mail for a test" },
    { "notice:read", ALL, TENANT, "see notices, and mark them as read" },
    { "notice:write", T|P, TENANT, "say whom notices are mailed to" },
    { "apply:read", ALL, TENANT, "diff and dump" },
    { "apply:write", O|T|P, TENANT,
      "apply documents, each with the permission of its kind" },
    { "usage:read", ALL, TENANT, "see usage" },
    { "trace:read", ALL, TENANT,
      "see why calls were refused, from and to the tenant" },
    { "audit:read", ALL, TENANT, "see and verify the audit log" },
    { "audit:checkpoint", A|P, PLATFORM, "sign what the audit log has" },
    { "audit:erase", P, PLATFORM,
      "erase what the audit log says of a person" },

    { NULL, 0, TENANT, NULL }
};

#define CP_PERMISSIONS                                                        \
    (sizeof(cp_permissions) / sizeof(cp_permissions[0]) - 1)

_Static_assert(CP_PERMISSIONS <= CP_PERMS_WORDS * 64, "a word more");


const cp_permission_t *
cp_permission_at(unsigned i)
{
    return i < CP_PERMISSIONS ? &cp_permissions[i] : NULL;
}


int
cp_permission_find(const char *name)
{
    unsigned  i;

    for (i = 0; i < CP_PERMISSIONS; i++) {
        if (strcmp(cp_permissions[i].name, name) == 0) {
            return (int) i;
        }
    }

    return -1;
}


const cp_role_t *
cp_role_at(unsigned i)
{
    return i < sizeof(cp_roles) / sizeof(cp_roles[0]) - 1 ? &cp_roles[i]
                                                          : NULL;
}


bool
cp_perms_has(const cp_perms_t *may, unsigned i)
{
    return may->bits[i / 64] >> (i % 64) & 1;
}


void
cp_perms_add(cp_perms_t *may, unsigned i)
{
    may->bits[i / 64] |= (uint64_t) 1 << (i % 64);
}


bool
cp_role_builtin(const char *name, cp_perms_t *may)
{
    unsigned  i, role;

    memset(may, 0, sizeof(cp_perms_t));

    for (role = 0; cp_roles[role].name; role++) {
        if (strcmp(cp_roles[role].name, name) == 0) {
            break;
        }
    }

    for (i = 0; cp_roles[role].name && i < CP_PERMISSIONS; i++) {
        if (cp_permissions[i].roles >> role & 1) {
            cp_perms_add(may, i);
        }
    }

    return cp_roles[role].name != NULL;
}


/* Does the grant count there, for this permission?  One of a tenant says
 * nothing of the platform, whatever is in it. */
static bool
cp_grant_gives(const cp_grant_t *g, unsigned i, const char *tenant)
{
    return cp_perms_has(&g->may, i)
           && (g->tenant == NULL
               || (tenant && cp_permissions[i].scope == TENANT
                   && strcmp(g->tenant, tenant) == 0));
}


static bool
cp_actor_holds(const cp_actor_t *actor, int i, const char *tenant)
{
    const cp_grant_t  *g;

    if (cp_actor_is_system(actor)) {
        return true;
    }

    for (g = i < 0 ? NULL : actor->grants; g; g = g->next) {
        if (cp_grant_gives(g, (unsigned) i, tenant)) {
            return true;
        }
    }

    return false;
}


bool
cp_auth_holds(const cp_actor_t *actor, const char *permission,
    const char *tenant)
{
    return cp_actor_holds(actor, cp_permission_find(permission), tenant);
}


static cp_rc_t
cp_auth_lacks(cp_op_t *op, const char *permission)
{
    return cp_err_set(&op->err, "forbidden", "this needs %s",
                      permission ? permission : "another credential");
}


cp_rc_t
cp_auth_may(cp_op_t *op, const char *permission, const char *tenant)
{
    return cp_auth_holds(&op->actor, permission, tenant)
           ? CP_OK : cp_auth_lacks(op, permission);
}


cp_rc_t
cp_auth_may_somewhere(cp_op_t *op, const char *permission)
{
    int                i;
    const cp_grant_t  *g;

    if (cp_actor_is_system(&op->actor)) {
        return CP_OK;
    }

    i = permission ? cp_permission_find(permission) : -1;

    for (g = i < 0 ? NULL : op->actor.grants; g; g = g->next) {
        if (cp_grant_gives(g, (unsigned) i, g->tenant)) {
            return CP_OK;
        }
    }

    return cp_auth_lacks(op, permission);
}


/* What a tenant's role has of the platform gives nothing, so it is not asked
 * for. */
cp_rc_t
cp_auth_covers(cp_op_t *op, const char *tenant, const cp_perms_t *may)
{
    unsigned  i;

    for (i = 0; i < CP_PERMISSIONS; i++) {
        if (cp_perms_has(may, i)
            && (tenant == NULL || cp_permissions[i].scope == TENANT)
            && !cp_actor_holds(&op->actor, (int) i, tenant))
        {
            return cp_err_set(&op->err, "forbidden", "it would give %s, which"
                              " you do not hold %s", cp_permissions[i].name,
                              tenant ? "there" : "at the platform");
        }
    }

    return CP_OK;
}


void
cp_perms_within(cp_perms_t *may, const cp_actor_t *actor, const char *tenant)
{
    unsigned    i;
    cp_perms_t  left;

    memset(&left, 0, sizeof(left));

    for (i = 0; i < CP_PERMISSIONS; i++) {
        if (cp_perms_has(may, i) && cp_actor_holds(actor, (int) i, tenant)) {
            cp_perms_add(&left, i);
        }
    }

    *may = left;
}


const char *
cp_auth_self(const cp_actor_t *actor)
{
    return actor->person ? actor->person : actor->owner ? actor->owner
           : actor->id ? actor->id : "";
}


bool
cp_auth_sees(const cp_actor_t *actor, const char *tenant)
{
    const cp_grant_t  *g;

    for (g = actor->grants; g; g = g->next) {
        if (g->tenant == NULL
            || (tenant && strcmp(g->tenant, tenant) == 0))
        {
            return true;
        }
    }

    return cp_actor_is_system(actor);
}


const char *
cp_auth_home(const cp_actor_t *actor)
{
    const char        *id;
    const cp_grant_t  *g;

    id = NULL;

    for (g = actor->grants; g; g = g->next) {
        if (g->tenant == NULL || (id && strcmp(id, g->tenant) != 0)) {
            return NULL;
        }

        id = g->tenant;
    }

    return id;
}


cp_rc_t
cp_auth_one(cp_op_t *op, const char *permission, const char **id)
{
    *id = cp_auth_home(&op->actor);

    return *id || cp_auth_holds(&op->actor, permission, NULL)
           ? CP_OK
           : cp_err_set(&op->err, "bad_request", "you are in several tenants:"
                        " name one");
}


/* Ids are letters and digits, read from the database. */
const char *
cp_auth_where(const cp_op_t *op, const char *column, const char *permission)
{
    int                i;
    const char        *list;
    const cp_grant_t  *g;

    if (cp_auth_holds(&op->actor, permission, NULL)) {
        return "1 = 1";
    }

    list = NULL;
    i = cp_permission_find(permission);

    for (g = i < 0 ? NULL : op->actor.grants; g; g = g->next) {
        if (cp_grant_gives(g, (unsigned) i, g->tenant)
            && stoa_id_valid(g->tenant, strlen(g->tenant)))
        {
            list = cp_arena_printf(op->arena, "%s%s'%s'", list ? list : "",
                                   list ? ", " : "", g->tenant);
        }
    }

    return list ? cp_arena_printf(op->arena, "\"%s\" IN (%s)", column, list)
                : "1 = 0";
}


void
cp_auth_raise(cp_actor_t *actor, const char *permission)
{
    int          i;
    cp_grant_t  *g;

    i = cp_permission_find(permission);

    for (g = i < 0 ? NULL : actor->grants; g; g = g->next) {
        if (cp_grant_gives(g, (unsigned) i, g->tenant)) {
            memset(&g->may, 0xff, sizeof(cp_perms_t));
        }
    }
}
