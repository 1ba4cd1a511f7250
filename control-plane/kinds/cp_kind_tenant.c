/*
 * Tenants: who everything else belongs to.
 */

#include <string.h>

#include "kinds/cp_kind.h"
#include "kinds/cp_group_end.h"
#include "kinds/cp_provision.h"
#include "resource/cp_limit.h"


#define CP_LABELS_MAX       32
#define CP_LABEL_VALUE_MAX  63


static cp_rc_t cp_tenant_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after);
static cp_rc_t cp_tenant_event(const cp_write_t *w, const char *event,
    const cp_json_t *args, const cp_json_t *before, cp_json_t *after);

static const cp_body_t  cp_tenant_body[] = {
    BODY_ROWS(STOA_TENANT_FIELDS, "") { NULL }
};

static const cp_record_t  tenant_record = {
    "tenant", cp_tenant_body, STOA_SCOPE_TENANT, NULL
};

#define LIMIT(kind, live, doc)                                                \
    INT(#kind, 0, 0, CP_LIMIT_MAX, NULL, doc "; 0: no limit"),

static const cp_field_t  limit_fields[] = {
    CP_LIMITS(LIMIT)
    F_END
};

static const char *const  sign_ups[] = { "off", "approve", "open", NULL };
static const char *const  sign_up_roles[] = { "viewer", "developer", NULL };

static const cp_field_t  tenant_fields[] = {
    ROWS(STOA_TENANT_FIELDS)
    F_ENUM("sign_up", 0, "\"off\"", sign_ups,
           "whether people may make themselves: off, when an administrator"
           " enables them (approve), at once (open)"),
    F_ENUM("sign_up_role", 0, "\"viewer\"", sign_up_roles,
           "what those may do"),
    F("labels", CP_F_JSON, 0, 0, 4096, NULL,
      "at most 32 names and values for who runs many: GET /v1/tenants?label="
      "team=payments"),
    F_OBJECT("limits", 0, NULL, limit_fields,
             "how many it may have; left out: the option tenant_limits"),
    F_REFS("gateway_groups", 0, 100, "gateway_group",
           "where its apis may be served: a region is a group of gateways; "
           "none: everywhere"),
    F_OBJECT("provision", IM|ND, NULL, cp_provision_fields,
             "what is made of it, step by step, before it is active"),
    F("invite", CP_F_STRING, IM|ND|CP_SEALED, 3, 254, NULL,
      "an address that is mailed an invitation as its tenant-admin"),
    F("provisioning", CP_F_JSON, RO|ND|CP_MOVES, 0, 0, NULL,
      "how far that is: done, error, attempts"),
    BASE_TIMES,
    F_END
};

static const cp_transition_t  tenant_transitions[] = {
    { "suspend", { "active" }, "suspended", "tenant:write", NULL },
    { "resume", { "suspended" }, "active", "tenant:write", NULL },
    { "archive", { "active", "suspended", "failed" }, "archived",
      "tenant:write", NULL },
    { "retry", { "failed" }, "provisioning", "tenant:write", NULL },
    { "provisioned", { "provisioning" }, "active", NULL, NULL },
    { "fail", { "provisioning" }, "failed", NULL, NULL },
    T_END
};

static const cp_dependent_t  tenant_dependents[] = {
    { "global_policy", "attach", CP_DEP_REFUSE, true },
    { NULL, "INSERT INTO group_removals (id, name) SELECT id, name"
      " FROM tenants WHERE id = $1 AND provision LIKE '%\"group\":true%'",
      CP_DEP_PLAIN, false },
    { NULL, "DELETE FROM notice_reads WHERE notice IN (SELECT id FROM notices"
      " WHERE tenant = $1)", CP_DEP_PLAIN, false },
    { NULL, "DELETE FROM notices WHERE tenant = $1", CP_DEP_PLAIN, false },
    { NULL, "DELETE FROM notice_settings WHERE tenant = $1", CP_DEP_PLAIN,
      false },
    { "policy_set", "tenant", CP_DEP_FORCE, false },
    { "bundle", "tenant", CP_DEP_FORCE, false },
    { "policy_template", "tenant", CP_DEP_FORCE, false },
    { "policy", "tenant", CP_DEP_FORCE, false },
    { "issuer", "tenant", CP_DEP_FORCE, false },
    { "secret", "tenant", CP_DEP_FORCE, false },
    { "application", "tenant", CP_DEP_FORCE, false },
    { "server", "tenant", CP_DEP_FORCE, false },
    { "api", "tenant", CP_DEP_FORCE, false },
    { "plan", "tenant", CP_DEP_FORCE, false },
    { "admin_token", "tenant", CP_DEP_OWNED, false },
    { "role_binding", "tenant", CP_DEP_OWNED, false },
    { "role", "tenant", CP_DEP_OWNED, false },
    { "invitation", "tenant", CP_DEP_OWNED, false },
    { "user", "tenant", CP_DEP_OWNED, false },
    { NULL, NULL, 0, false }
};

const cp_resource_t  cp_res_tenant = {
    .kind = "tenant", .doc_kind = "Tenant", .plural = "tenants",
    .table = "tenants", .fields = tenant_fields,
    .transitions = tenant_transitions, .initial = "active",
    .frozen = "archived", .owner = true, .authority = true,
    .feed = cp_feed_record, .record = &tenant_record,
    .dependents = tenant_dependents, .check = cp_tenant_check,
    .event = cp_tenant_event
};


/* What can be asked for without an escape. */
static bool
cp_label_plain(const char *s, size_t max)
{
    size_t  n;

    n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                  "0123456789._-");

    return n > 0 && n <= max && s[n] == '\0';
}


static cp_rc_t
cp_tenant_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after)
{
    cp_rc_t           rc;
    const cp_json_t  *labels, *m;

    labels = cp_json_get(after, "labels");

    if (labels && labels->n > CP_LABELS_MAX) {
        return cp_fault_at(w->op, after, "labels", "must be at most %d",
                           CP_LABELS_MAX);
    }

    for (m = labels ? labels->first : NULL; m; m = m->next) {
        if (m->type != CP_JSON_STRING
            || !cp_label_plain(m->key, STOA_NAME_MAX)
            || !cp_label_plain(m->s, CP_LABEL_VALUE_MAX))
        {
            return cp_fault_at(w->op, after, "labels", "\"%.64s\": names and"
                               " values are 1 to %d of A-Z a-z 0-9 . _ -",
                               m->key, CP_LABEL_VALUE_MAX);
        }
    }

    if (before) {
        return cp_region_tenant(w, before, after);
    }

    rc = cp_group_name_free(w->op, w->tx, cp_json_str(after, "name"));

    return rc == CP_OK ? cp_provision_begin(w, after) : rc;
}


static cp_rc_t
cp_tenant_event(const cp_write_t *w, const char *event,
    const cp_json_t *args, const cp_json_t *before, cp_json_t *after)
{
    (void) args;
    (void) before;

    if (strcmp(event, "retry") == 0) {
        cp_provision_again(w->op->arena, after);
    }

    /* the invitation knows it now, or nobody needs to */

    if (strcmp(event, "provisioned") == 0) {
        cp_json_set(w->op->arena, after, "invite",
                    cp_json_null(w->op->arena));
    }

    return CP_OK;
}
