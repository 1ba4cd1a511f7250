/*
 * Secrets that are shown once: API keys, gateway tokens, admin tokens.
 */

#include <string.h>

#include <openssl/crypto.h>

#include "kinds/cp_token.h"


const char *
cp_token_make(cp_op_t *op, cp_json_t *row, const char *member,
    const char *env)
{
    char         text[STOA_KEY_MAX + 1];
    cp_json_t   *val;

    cp_key_make(text, env, cp_json_str(row, "id"));
    val = cp_json_string(op->arena, text);
    OPENSSL_cleanse(text, sizeof(text));

    cp_json_set(op->arena, row, member, val);

    return val ? val->s : NULL;
}


const char *
cp_token_digest(cp_op_t *op, const char *text, bool keyed)
{
    uint8_t  sum[32];

    if (keyed) {
        cp_hmac_sha256(op->app->pepper, op->app->pepper_len, text,
                       strlen(text), sum);

    } else {
        cp_sha256(text, strlen(text), sum);
    }

    return cp_hex(op->arena, sum, sizeof(sum));
}


cp_rc_t
cp_token_expiry(cp_op_t *op, const cp_json_t *row)
{
    cp_json_t  *at;

    at = cp_json_get(row, "expires_at");

    return at && at->i <= cp_time_ms()
           ? cp_err_field(&op->err, -1, at->line, "expires_at",
                          "is in the past")
           : CP_OK;
}
