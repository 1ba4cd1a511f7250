/*
 * Bearer tokens of the provider: access tokens made for this interface, and
 * nothing else that it signs.
 */

#include <string.h>
#include <strings.h>

#include "oidc/cp_oidc_login.h"


static cp_rc_t cp_oidc_judge(cp_op_t *op, const stoa_json_val_t *claims);


/* An ID token has these, an access token has not. */
static const char *const  cp_oidc_foreign[] = { "nonce", "at_hash", "c_hash",
                                                "s_hash", NULL };


cp_rc_t
cp_oidc_init(cp_app_t *app, cp_arena_t *a, cp_err_t *err)
{
    cp_rc_t           rc;
    const cp_conf_t  *conf = &app->conf;

    if (!cp_oidc_used(app)) {
        return CP_OK;
    }

    if (conf->oidc_audience[0] == '\0') {
        return cp_err_set(err, "validation", "oidc_issuer needs "
                          "oidc_audience, or any token of the provider's "
                          "would do");
    }

    rc = cp_oidc_client_init(app, err);

    if (rc == CP_OK) {
        rc = cp_oidc_rules(a, conf->oidc_grants, err);
    }

    /* logins whose roles were made by others are over */

    app->rules = cp_arena_printf(a, "%s %s %s %s %s", conf->oidc_issuer,
                                 conf->oidc_client_id, conf->oidc_roles_claim,
                                 conf->oidc_groups_claim, conf->oidc_grants);
    app->rules = app->rules ? cp_oidc_mark_of(a, "rules", app->rules) : "";

    return rc;
}


static const char *
cp_oidc_text(const char *authorization)
{
    if (authorization == NULL
        || strncasecmp(authorization, "Bearer ", 7) != 0)
    {
        return NULL;
    }

    authorization += 7;

    return authorization + strspn(authorization, " ");
}


bool
cp_oidc_looks(const char *authorization)
{
    const char  *s;

    s = cp_oidc_text(authorization);

    return s && stoa_jwt_looks(s, strlen(s));
}


cp_rc_t
cp_oidc_bearer(cp_op_t *op, const char *authorization)
{
    cp_rc_t     rc;
    stoa_jwt_t  jwt;

    rc = cp_oidc_open(op, cp_oidc_text(authorization), false, &jwt);

    if (rc == CP_OK) {
        rc = cp_oidc_judge(op, &jwt.claims);
    }

    if (rc == CP_OK) {
        rc = cp_oidc_grant(op, &jwt.claims);
    }

    return rc == CP_OK ? cp_oidc_person(op, &jwt.claims) : rc;
}


/* Its kind and whom it was made for; who it is of. */
static cp_rc_t
cp_oidc_judge(cp_op_t *op, const stoa_json_val_t *claims)
{
    int64_t             exp;
    cp_rc_t             rc;
    const char         *typ, *name;
    stoa_json_val_t     val;
    const char *const  *p;

    memset(&op->actor, 0, sizeof(cp_actor_t));

    typ = cp_oidc_claim(op, claims, "typ");         /* Keycloak's            */

    if (typ && strcasecmp(typ, "Bearer") != 0) {
        return cp_oidc_refuse(op, "the token is no access token");
    }

    for (p = cp_oidc_foreign; *p; p++) {
        if (stoa_jwt_claim(claims, *p, strlen(*p), &val)) {
            return cp_oidc_refuse(op, "the token is no access token");
        }
    }

    if (stoa_jwt_claim(claims, "cnf", 3, &val)) {
        return cp_oidc_refuse(op, "the token is bound to a key, which is not "
                              "looked at here");
    }

    rc = cp_oidc_times(op, claims, &exp);

    if (rc == CP_OK) {
        rc = cp_oidc_audience(op, claims, op->app->conf.oidc_audience);
    }

    if (rc != CP_OK) {
        return rc;
    }

    op->actor.expires = exp > INT64_MAX / 1000 ? INT64_MAX : exp * 1000;
    op->actor.id = cp_oidc_claim(op, claims, "sub");

    if (op->actor.id == NULL) {
        return cp_oidc_refuse(op, "the token is nobody's");
    }

    name = cp_oidc_claim(op, claims, "preferred_username");

    if (name == NULL) {
        name = cp_oidc_claim(op, claims, "azp");
    }

    op->actor.how = CP_AUTH_USER;
    op->actor.name = name ? name : op->actor.id;

    return CP_OK;
}
