/*
 * Bearer tokens of the provider: access tokens made for this interface, and
 * nothing else that it signs.
 */

#include <string.h>
#include <strings.h>

#include "oidc/cp_oidc.h"


static cp_rc_t cp_oidc_judge(cp_op_t *op, const stoa_json_val_t *claims);


/* An ID token has these, an access token has not. */
static const char *const  cp_oidc_foreign[] = { "nonce", "at_hash", "c_hash",
                                                "s_hash", NULL };


cp_rc_t
cp_oidc_init(cp_app_t *app, cp_arena_t *a, cp_err_t *err)
{
    const cp_conf_t  *conf = &app->conf;

    if (!cp_oidc_used(app)) {
        return CP_OK;
    }

    if (conf->oidc_audience[0] == '\0') {
        return cp_err_set(err, "validation", "oidc_issuer needs "
                          "oidc_audience, or any token of the provider's "
                          "would do");
    }

    return cp_oidc_rules(a, conf->oidc_grants, err);
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


static cp_rc_t
cp_oidc_refuse(cp_op_t *op, const char *why)
{
    return cp_err_set(&op->err, "unauthorized", "%s", why);
}


/* A claim that is a text; NULL: it is none. */
static const char *
cp_oidc_claim(cp_op_t *op, const stoa_json_val_t *claims, const char *name)
{
    stoa_str_t       text;
    stoa_json_val_t  val;

    if (!stoa_jwt_claim(claims, name, strlen(name), &val)
        || !stoa_json_text(&val, &text) || text.len == 0)
    {
        return NULL;
    }

    return cp_arena_strndup(op->arena, text.data, text.len);
}


cp_rc_t
cp_oidc_bearer(cp_op_t *op, const char *authorization)
{
    char        *buf;
    size_t       len;
    cp_rc_t      rc;
    stoa_jwt_t   jwt;
    const char  *text, *why, *iss;

    text = cp_oidc_text(authorization);
    len = strlen(text);

    if (len > STOA_JWT_MAX) {
        return cp_oidc_refuse(op, "the token is too long");
    }

    buf = cp_arena_alloc(op->arena, len + 1);

    if (buf == NULL) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    if (stoa_jwt_parse(text, len, buf, &jwt, &why) != STOA_OK) {
        return cp_oidc_refuse(op, why);
    }

    /* before its key is looked for: others' ids ask nobody */

    iss = cp_oidc_claim(op, &jwt.claims, "iss");

    if (iss == NULL || strcmp(iss, op->app->conf.oidc_issuer) != 0) {
        return cp_oidc_refuse(op, "the token's issuer is another");
    }

    rc = cp_oidc_signed(op, &jwt);

    if (rc == CP_OK) {
        rc = cp_oidc_judge(op, &jwt.claims);
    }

    if (rc == CP_OK) {
        rc = cp_oidc_grant(op, &jwt.claims);
    }

    return rc;
}


static cp_rc_t
cp_oidc_times(cp_op_t *op, const stoa_json_val_t *claims)
{
    int64_t          now, exp, at;
    stoa_json_val_t  val;

    now = cp_time_ms() / 1000;

    if (!stoa_jwt_claim(claims, "exp", 3, &val)
        || !stoa_jwt_time(&val, &exp))
    {
        return cp_oidc_refuse(op, "the token never ends");
    }

    if (exp + CP_OIDC_SKEW_S <= now) {
        return cp_oidc_refuse(op, "the token has expired");
    }

    if ((stoa_jwt_claim(claims, "nbf", 3, &val)
         && (!stoa_jwt_time(&val, &at) || at > now + CP_OIDC_SKEW_S))
        || (stoa_jwt_claim(claims, "iat", 3, &val)
            && (!stoa_jwt_time(&val, &at) || at > now + CP_OIDC_SKEW_S)))
    {
        return cp_oidc_refuse(op, "the token is not valid yet");
    }

    op->actor.expires = exp > INT64_MAX / 1000 ? INT64_MAX : exp * 1000;

    return CP_OK;
}


/* Its kind and whom it was made for; who it is of. */
static cp_rc_t
cp_oidc_judge(cp_op_t *op, const stoa_json_val_t *claims)
{
    char               *words;
    size_t              len;
    cp_rc_t             rc;
    const char         *typ, *name, *aud;
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

    rc = cp_oidc_times(op, claims);
    if (rc != CP_OK) {
        return rc;
    }

    aud = op->app->conf.oidc_audience;
    words = cp_arena_alloc(op->arena, STOA_JWT_MAX + 1);
    len = words && stoa_jwt_claim(claims, "aud", 3, &val)
          ? stoa_jwt_words(&val, false, words) : SIZE_MAX;

    if (len == SIZE_MAX || !stoa_jwt_has(words, len, aud, strlen(aud))) {
        return cp_err_set(&op->err, "unauthorized", "the token is not for "
                          "\"%s\"", aud);
    }

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
