/*
 * ID tokens of our own logins: whom they name, and the roles that their claims
 * give.
 */

#include <string.h>
#include <strings.h>

#include "auth/cp_auth.h"
#include "oidc/cp_oidc_login.h"


static bool
cp_oidc_id_several(const stoa_json_val_t *claims)
{
    stoa_json_val_t   aud, key, val;
    stoa_json_iter_t  it;

    return stoa_jwt_claim(claims, "aud", 3, &aud)
           && aud.type == STOA_JSON_ARRAY
           && stoa_json_first(&aud, &it, &key, &val)
           && stoa_json_next(&it, &key, &val);
}


/* For us, and for nobody else who could have asked for it. */
static cp_rc_t
cp_oidc_id_for(cp_op_t *op, const stoa_json_val_t *claims)
{
    cp_rc_t      rc;
    const char  *azp, *typ;
    const char  *client = op->app->conf.oidc_client_id;

    typ = cp_oidc_claim(op, claims, "typ");          /* Keycloak's           */

    if (typ && strcasecmp(typ, "ID") != 0) {
        return cp_oidc_refuse(op, "the token is no ID token");
    }

    rc = cp_oidc_audience(op, claims, client);
    if (rc != CP_OK) {
        return rc;
    }

    azp = cp_oidc_claim(op, claims, "azp");

    if (azp ? strcmp(azp, client) != 0 : cp_oidc_id_several(claims)) {
        return cp_oidc_refuse(op, "the token was made for another client");
    }

    return CP_OK;
}


/* What the claims give, as it is kept with a login; *home: the only tenant,
 * of who has nothing at the platform. */
static cp_rc_t
cp_oidc_id_grants(cp_op_t *op, const stoa_json_val_t *claims,
    cp_json_t **list, const char **home)
{
    cp_rc_t            rc;
    cp_op_t            who = *op;
    cp_json_t         *one;
    const cp_grant_t  *g;

    memset(&who.actor, 0, sizeof(cp_actor_t));
    rc = cp_oidc_grant(&who, claims);
    op->err = who.err;

    *list = cp_json_array(op->arena);

    for (g = rc == CP_OK ? who.actor.grants : NULL; g; g = g->next) {
        one = cp_json_object(op->arena);
        cp_json_put(op->arena, one, "role", g->role);

        if (g->tenant) {
            cp_json_put(op->arena, one, "tenant", g->tenant);
        }

        cp_json_push(*list, one);
    }

    *home = cp_oidc_home(who.actor.grants);

    return rc;
}


cp_rc_t
cp_oidc_id(cp_op_t *op, const char *token, const char *nonce,
    cp_oidc_id_t *id)
{
    int64_t           exp, at;
    cp_rc_t           rc;
    stoa_jwt_t        jwt;
    const char       *said;
    stoa_json_val_t   val;

    memset(id, 0, sizeof(cp_oidc_id_t));

    rc = cp_oidc_open(op, token, false, &jwt);

    if (rc == CP_OK) {
        rc = cp_oidc_times(op, &jwt.claims, &exp);
    }

    if (rc == CP_OK) {
        rc = cp_oidc_id_for(op, &jwt.claims);
    }

    if (rc != CP_OK) {
        return rc;
    }

    said = cp_oidc_claim(op, &jwt.claims, "nonce");

    if (said ? nonce && strcmp(said, nonce) != 0 : nonce != NULL) {
        return cp_oidc_refuse(op, "the token was made for another login");
    }

    cp_oidc_shown(op, &jwt.claims, &id->user);
    id->user.whole = true;
    id->sid = cp_oidc_claim(op, &jwt.claims, "sid");
    id->auth_ms = stoa_jwt_claim(&jwt.claims, "auth_time", 9, &val)
                  && stoa_jwt_time(&val, &at) && at > 0
                  && at < INT64_MAX / 1000 ? at * 1000 : 0;

    return cp_oidc_id_grants(op, &jwt.claims, &id->grants, &id->user.tenant);
}
