/*
 * What a gateway vouches for: a short JWS (HS256) in X-Stoa-Identity, signed
 * with the gateway's assertion key.
 *
 * The algorithm is fixed, whatever the header says must agree; a header with
 * more than alg, kid and typ is refused, so nothing in it is ignored.
 */

#include <string.h>

#include "auth/cp_auth.h"


#define CP_JWS_ISSUER  "stoa-gateway"


static cp_rc_t cp_jws_refuse(cp_op_t *op, const char *why);
static bool cp_base64url(const char *s, size_t len, char *dst, size_t *n);
static cp_json_t *cp_jws_part(cp_op_t *op, const char *s, size_t len);
static const char *cp_jws_kid(const cp_json_t *header);
static cp_rc_t cp_jws_actor(cp_op_t *op, const cp_json_t *claims);
static cp_rc_t cp_jws_active(cp_op_t *op);
static cp_rc_t cp_jws_key(cp_op_t *op, const char *kid, const char **key,
    const char **group);
static cp_rc_t cp_jws_times(cp_op_t *op, const cp_json_t *claims);


cp_rc_t
cp_auth_assertion(cp_op_t *op, const char *jws)
{
    char         sig[64];
    size_t       n, head, body;
    cp_rc_t      rc;
    uint8_t      mac[32];
    cp_json_t   *claims;
    const char  *dot, *dot2, *key, *kid;

    if (jws == NULL) {
        return cp_jws_refuse(op, "only a gateway's calls are answered");
    }

    dot = strchr(jws, '.');
    dot2 = dot ? strchr(dot + 1, '.') : NULL;

    if (dot2 == NULL || strlen(jws) > CP_AUTH_JWS_MAX
        || strlen(dot2 + 1) != 43)
    {
        return cp_jws_refuse(op, "the assertion is malformed");
    }

    head = (size_t) (dot - jws);
    body = (size_t) (dot2 - dot) - 1;
    kid = cp_jws_kid(cp_jws_part(op, jws, head));

    if (kid == NULL) {
        return cp_jws_refuse(op, "the assertion's header is not ours");
    }

    key = NULL;
    rc = cp_jws_key(op, kid, &key, &op->actor.group);
    if (rc != CP_OK) {
        return rc;
    }

    cp_hmac_sha256(key, strlen(key), jws, (size_t) (dot2 - jws), mac);

    if (!cp_base64url(dot2 + 1, 43, sig, &n) || n != 32
        || !stoa_equal_ct(sig, mac, 32))
    {
        return cp_jws_refuse(op, "the assertion's signature is wrong");
    }

    claims = cp_jws_part(op, dot + 1, body);

    rc = cp_jws_times(op, claims);
    if (rc != CP_OK) {
        return rc;
    }

    return cp_jws_actor(op, claims);
}


/* NULL: not exactly what a gateway writes. */
static const char *
cp_jws_kid(const cp_json_t *header)
{
    const char  *alg, *kid;

    alg = cp_json_str(header, "alg");
    kid = cp_json_str(header, "kid");

    if (alg == NULL || strcmp(alg, "HS256") != 0 || kid == NULL
        || header->n != (cp_json_get(header, "typ") ? 3 : 2))
    {
        return NULL;
    }

    return kid;
}


static cp_rc_t
cp_jws_actor(cp_op_t *op, const cp_json_t *claims)
{
    op->actor.how = CP_AUTH_ASSERTION;
    op->actor.role = CP_ROLE_NONE;
    op->actor.tenant = cp_json_str(claims, "tenant");
    op->actor.application = cp_json_str(claims, "application");
    op->actor.id = op->actor.application;
    op->actor.name = cp_json_str(claims, "application_name");

    if (op->actor.tenant == NULL || op->actor.application == NULL
        || !stoa_id_valid(op->actor.tenant, strlen(op->actor.tenant))
        || !stoa_id_valid(op->actor.application,
                          strlen(op->actor.application)))
    {
        return cp_jws_refuse(op, "the assertion names nobody");
    }

    return cp_jws_active(op);
}


/* The gateway looked at this too, but it was up to ten minutes ago. */
static cp_rc_t
cp_jws_active(cp_op_t *op)
{
    cp_rc_t    rc;
    cp_tx_t   *tx;
    cp_rows_t  rows;

    rc = cp_tx_begin(op->app->db, false, &tx);
    if (rc != CP_OK) {
        return cp_err_set(&op->err, "unavailable", "the database is busy");
    }

    rc = cp_tx_query(tx, op->arena, "SELECT 1 FROM applications a"
                     " JOIN tenants t ON t.id = a.tenant"
                     " WHERE a.id = $1 AND t.id = $2 AND a.state = 'active'"
                     " AND t.state = 'active'",
                     cp_args(cp_text(op->actor.application),
                             cp_text(op->actor.tenant)), &rows, &op->err);
    cp_tx_rollback(tx);

    return rc == CP_OK && rows.rows == 0
           ? cp_jws_refuse(op, "the assertion's application is not active")
           : rc;
}


static cp_rc_t
cp_jws_refuse(cp_op_t *op, const char *why)
{
    memset(&op->actor, 0, sizeof(cp_actor_t));

    return cp_err_set(&op->err, "unauthorized", "%s", why);
}


/* Unpadded, as RFC 7515 has it; dst holds len bytes.  Bits left over must be
 * 0, so that one signature has one form. */
static bool
cp_base64url(const char *s, size_t len, char *dst, size_t *n)
{
    size_t                   i;
    unsigned                 bits, have;
    const char              *at;
    static const char        alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    for (i = 0, *n = 0, bits = 0, have = 0; i < len; i++) {
        at = s[i] ? strchr(alphabet, s[i]) : NULL;

        if (at == NULL) {
            return false;
        }

        bits = (bits << 6 | (unsigned) (at - alphabet)) & 0xffffff;
        have += 6;

        if (have >= 8) {
            have -= 8;
            dst[(*n)++] = (char) (bits >> have & 0xff);
        }
    }

    return have < 6 && (bits & ((1u << have) - 1)) == 0;
}


/* NULL: no JSON object. */
static cp_json_t *
cp_jws_part(cp_op_t *op, const char *s, size_t len)
{
    char       *text;
    size_t      n;
    cp_err_t    quiet;
    cp_json_t  *v;

    text = cp_arena_alloc(op->arena, len + 1);

    memset(&quiet, 0, sizeof(quiet));
    quiet.arena = op->arena;

    if (text == NULL || !cp_base64url(s, len, text, &n)
        || cp_json_parse(op->arena, text, n, &v, &quiet) != CP_OK
        || v->type != CP_JSON_OBJECT)
    {
        return NULL;
    }

    return v;
}


/* The key is the 64 hex digits themselves, on both sides. */
static cp_rc_t
cp_jws_key(cp_op_t *op, const char *kid, const char **key,
    const char **group)
{
    cp_rc_t    rc;
    cp_tx_t   *tx;
    cp_rows_t  rows;

    rc = cp_tx_begin(op->app->db, false, &tx);
    if (rc != CP_OK) {
        return cp_err_set(&op->err, "unavailable", "the database is busy");
    }

    rc = cp_tx_query(tx, op->arena, "SELECT assertion_key, \"group\""
                     " FROM gateways WHERE id = $1", cp_args(cp_text(kid)),
                     &rows, &op->err);
    cp_tx_rollback(tx);

    if (rc != CP_OK) {
        return rc;
    }

    if (rows.rows == 0) {
        return cp_jws_refuse(op, "the assertion is of no gateway");
    }

    *key = cp_cell(&rows, 0, 0)->p;
    *group = cp_cell(&rows, 0, 1)->p;

    return CP_OK;
}


static cp_rc_t
cp_jws_times(cp_op_t *op, const cp_json_t *claims)
{
    int64_t      now, iat, exp;
    const char  *iss;

    iss = cp_json_str(claims, "iss");

    if (iss == NULL || strcmp(iss, CP_JWS_ISSUER) != 0) {
        return cp_jws_refuse(op, "the assertion's issuer is not a gateway");
    }

    now = cp_time_ms() / 1000;
    iat = cp_json_num(claims, "iat", 0);
    exp = cp_json_num(claims, "exp", 0);

    if (iat <= 0 || exp <= iat || exp - iat > CP_AUTH_LIFE_MAX_S) {
        return cp_jws_refuse(op, "the assertion's times make no sense");
    }

    if (iat > now + CP_AUTH_SKEW_S || exp + CP_AUTH_SKEW_S <= now) {
        return cp_jws_refuse(op, "the assertion is not valid now");
    }

    return CP_OK;
}
