/*
 * /v1/identity-provider: how the provider of identities is.
 */

#include "oidc/cp_owner.h"
#include "rest/cp_list.h"


static cp_rc_t
cp_identity_state(cp_req_t *r)
{
    cp_rc_t     rc;
    cp_json_t  *out, *owners;

    if (!cp_oidc_used(r->op.app)) {
        return cp_err_set(&r->op.err, "not_found", "no provider of identities "
                          "is configured");
    }

    rc = cp_owner_state(&r->op, &owners);
    if (rc != CP_OK) {
        return rc;
    }

    out = cp_oidc_state(r->op.app, r->op.arena);

    if (owners) {
        cp_json_set(r->op.arena, out, "owners", owners);
    }

    return cp_req_answer(r, 200, out);
}


const cp_route_t  cp_identity_routes[] = {
    { "GET", "/v1/identity-provider", CP_AUTH_ADMIN, "identity:read",
      cp_identity_state, NULL,
      "Whether the provider of identities answers, and what is known of it",
      NULL },
    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};
