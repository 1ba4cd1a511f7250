/*
 * Applications: who calls.
 */

#include <string.h>

#include "auth/cp_auth.h"
#include "kinds/cp_kind.h"


static cp_rc_t cp_application_more(cp_tx_t *tx, cp_arena_t *a,
    const cp_json_t *row, cp_json_t *body, cp_err_t *err);
static cp_rc_t cp_application_check(const cp_write_t *w,
    const cp_json_t *before, cp_json_t *after);


#define OWN_owner                                                             \
    F_OBJECT("owner", 0, NULL, cp_owner_fields, "whom it stands for at the "  \
             "provider of identities; while that one is disabled or gone its "\
             "keys are refused")
#define OWN_owner_seen                                                        \
    F_OBJECT("owner_seen", RO|ND|CP_MOVES, NULL, owner_seen_fields,           \
             "what the last look found")

static const char *const  owner_states[] = { "pending", "active", "disabled",
                                             "gone", "left", NULL };

const cp_field_t  cp_owner_fields[] = {
    F("client", CP_F_STRING, 0, 1, 255, NULL, "id of a client"),
    F("user", CP_F_STRING, 0, 1, 255, NULL, "name of a user"),
    F("group", CP_F_STRING, 0, 2, 500, NULL,
      "path of a group that the user has to be in"),
    F_END
};

static const cp_field_t  owner_seen_fields[] = {
    F_ENUM("state", 0, NULL, owner_states,
           "pending: not looked at yet; left: no longer in the group"),
    F("id", CP_F_STRING, 0, 0, 100, NULL, "of the provider: a rename keeps "
      "it, another one of the same name has another"),
    F("since", CP_F_TIME, 0, 0, 0, NULL, "when the state was first seen"),
    F_END
};

static const cp_body_t  cp_application_body[] = {
    BODY_ROWS(STOA_APPLICATION_FIELDS, "") { NULL }
};

static const cp_record_t  application_record = {
    "app", cp_application_body, STOA_SCOPE_APPLICATION, cp_application_more
};

static const cp_field_t  application_fields[] = {
    ROWS(STOA_APPLICATION_FIELDS)
    BASE_TIMES,
    F_END
};

static const cp_transition_t  application_transitions[] = {
    { "suspend", { "active" }, "suspended", "application:write", NULL },
    { "resume", { "suspended" }, "active", "application:write", NULL },
    T_END
};

static const cp_dependent_t  application_dependents[] = {
    { "policy", "attach", CP_DEP_REFUSE, true },
    { "issuer", "clients", CP_DEP_REFUSE, true },
    { "issuer", "application", CP_DEP_REFUSE, false },
    { "subscription", "application", CP_DEP_LIVE, false },
    { "credential", "application", CP_DEP_OWNED, false },
    { NULL, "DELETE FROM subscription_holds WHERE application = $1",
      CP_DEP_PLAIN, false },
    { NULL, "DELETE FROM handovers WHERE application = $1",
      CP_DEP_PLAIN, false },
    { NULL, "DELETE FROM approvals WHERE application = $1",
      CP_DEP_PLAIN, false },
    { NULL, NULL, 0, false }
};

const cp_resource_t  cp_res_application = {
    .kind = "application", .doc_kind = "Application",
    .plural = "applications", .table = "applications", .parent = "tenant",
    .fields = application_fields, .transitions = application_transitions,
    .initial = "active", .check = cp_application_check,
    .feed = cp_feed_record, .record = &application_record,
    .dependents = application_dependents
};


/* Gateways that do not know of owners know what suspended is. */
static cp_rc_t
cp_application_more(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *row,
    cp_json_t *body, cp_err_t *err)
{
    (void) tx;
    (void) err;

    if (cp_json_num(row, "disowned", 0)) {
        cp_json_put(a, body, "state", "suspended");
    }

    return CP_OK;
}


/* Whoever made it may not take away the owner that holds it back. */
static cp_rc_t
cp_application_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after)
{
    cp_rc_t           rc;
    cp_op_t          *op = w->op;
    cp_json_t        *seen;
    const cp_json_t  *owner;

    owner = cp_json_get(after, "owner");

    if (cp_json_equal(before ? cp_json_get(before, "owner") : NULL, owner)
        || ((owner == NULL || owner->type == CP_JSON_NULL)
            && (before == NULL || cp_json_get(before, "owner") == NULL)))
    {
        return CP_OK;
    }

    /* who accepts a handover was judged there */

    rc = w->given ? CP_OK
         : cp_auth_may(op, "application:tie", cp_json_str(after, "tenant"));
    if (rc != CP_OK) {
        return rc;
    }

    cp_json_set(op->arena, after, "disowned", cp_json_bool(op->arena, false));

    if (owner == NULL || owner->type == CP_JSON_NULL) {
        cp_json_set(op->arena, after, "owner_seen", cp_json_null(op->arena));
        return CP_OK;
    }

    rc = cp_owner_check(op, after, owner);
    if (rc != CP_OK) {
        return rc;
    }

    seen = cp_json_object(op->arena);
    cp_json_put(op->arena, seen, "state", "pending");
    cp_json_set(op->arena, after, "owner_seen", seen);

    return CP_OK;
}


/* It becomes part of an address. */
static bool
cp_owner_path(const char *path)
{
    size_t  len;

    for ( ; *path; path += len) {
        if (*path++ != '/') {
            return false;
        }

        len = strcspn(path, "/");

        if (len == 0 || (path[0] == '.' && (len == 1 || (len == 2
                                                         && path[1] == '.'))))
        {
            return false;
        }
    }

    return true;
}


cp_rc_t
cp_owner_check(cp_op_t *op, const cp_json_t *row, const cp_json_t *owner)
{
    const char  *group;

    if ((cp_json_str(owner, "client") == NULL)
        == (cp_json_str(owner, "user") == NULL))
    {
        return cp_fault_at(op, row, "owner", "must have either client or "
                           "user");
    }

    group = cp_json_str(owner, "group");

    if (group && cp_json_str(owner, "user") == NULL) {
        return cp_fault_at(op, row, "owner.group", "is of a user");
    }

    if (group && !cp_owner_path(group)) {
        return cp_fault_at(op, row, "owner.group", "must be the path of a "
                           "group, such as /tenants/acme");
    }

    if (op->app->conf.keycloak_client_id[0] == '\0') {
        return cp_fault_at(op, row, "owner", "cannot be looked at: "
                           "keycloak_client_id is not configured");
    }

    return CP_OK;
}
