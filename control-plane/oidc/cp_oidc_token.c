/*
 * Tokens of the provider, as far as all kinds of them are judged alike.
 */

#include <string.h>

#include "oidc/cp_oidc.h"


cp_rc_t
cp_oidc_refuse(cp_op_t *op, const char *why)
{
    return cp_err_set(&op->err, "unauthorized", "%s", why);
}


const char *
cp_oidc_claim(cp_op_t *op, const stoa_json_val_t *claims, const char *name)
{
    char             *text;
    size_t            n;
    stoa_json_val_t   val;

    if (!stoa_jwt_claim(claims, name, strlen(name), &val)
        || val.type != STOA_JSON_STRING)
    {
        return NULL;
    }

    /* many providers write what is no ASCII, and slashes, as escapes */

    text = cp_arena_alloc(op->arena, (size_t) (val.end - val.start));
    n = text ? stoa_json_unescape(&val, text) : 0;

    if (n == 0 || memchr(text, '\0', n)) {
        return NULL;
    }

    text[n] = '\0';

    return text;
}


cp_rc_t
cp_oidc_open(cp_op_t *op, const char *text, bool logout, stoa_jwt_t *jwt)
{
    char        *buf;
    size_t       len;
    stoa_rc_t    rc;
    const char  *why, *iss;

    len = strlen(text);

    if (len > STOA_JWT_MAX) {
        return cp_oidc_refuse(op, "the token is too long");
    }

    buf = cp_arena_alloc(op->arena, len + 1);

    if (buf == NULL) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    rc = logout ? stoa_jwt_parse_as(stoa_jwt_logout_types, text, len, buf,
                                    jwt, &why)
                : stoa_jwt_parse(text, len, buf, jwt, &why);

    if (rc != STOA_OK) {
        return cp_oidc_refuse(op, why);
    }

    /* before its key is looked for: others' ids ask nobody */

    iss = cp_oidc_claim(op, &jwt->claims, "iss");

    if (iss == NULL || strcmp(iss, op->app->conf.oidc_issuer) != 0) {
        return cp_oidc_refuse(op, "the token's issuer is another");
    }

    return cp_oidc_signed(op, jwt);
}


cp_rc_t
cp_oidc_times(cp_op_t *op, const stoa_json_val_t *claims, int64_t *exp)
{
    int64_t          now, at;
    stoa_json_val_t  val;

    now = cp_time_ms() / 1000;

    if (!stoa_jwt_claim(claims, "exp", 3, &val)
        || !stoa_jwt_time(&val, exp))
    {
        return cp_oidc_refuse(op, "the token never ends");
    }

    if (*exp + CP_OIDC_SKEW_S <= now) {
        return cp_oidc_refuse(op, "the token has expired");
    }

    if ((stoa_jwt_claim(claims, "nbf", 3, &val)
         && (!stoa_jwt_time(&val, &at) || at > now + CP_OIDC_SKEW_S))
        || (stoa_jwt_claim(claims, "iat", 3, &val)
            && (!stoa_jwt_time(&val, &at) || at > now + CP_OIDC_SKEW_S)))
    {
        return cp_oidc_refuse(op, "the token is not valid yet");
    }

    return CP_OK;
}


cp_rc_t
cp_oidc_audience(cp_op_t *op, const stoa_json_val_t *claims,
    const char *audience)
{
    char             *words;
    size_t            len;
    stoa_json_val_t   val;

    words = cp_arena_alloc(op->arena, STOA_JWT_MAX + 1);
    len = words && stoa_jwt_claim(claims, "aud", 3, &val)
          ? stoa_jwt_words(&val, false, words) : SIZE_MAX;

    return len != SIZE_MAX
           && stoa_jwt_has(words, len, audience, strlen(audience))
           ? CP_OK : cp_err_set(&op->err, "unauthorized", "the token is not "
                                "for \"%s\"", audience);
}
