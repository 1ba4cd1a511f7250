/*
 * What a gateway vouches for: a short JWS (RFC 7515, EdDSA) in
 * X-Stoa-Identity, signed with a key of the gateway's group.
 *
 * The algorithm is fixed, whatever the header says must agree; a header with
 * more than alg, kid and typ is refused, so nothing in it is ignored.  It has
 * to be made for an api whose upstream is this control plane: every other
 * upstream gets such texts too, and must not be able to use them here.
 */

#include <string.h>

#include <openssl/evp.h>

#include "auth/cp_auth.h"


#define CP_JWS_ISSUER   "stoa-gateway"
#define CP_JWS_SIG      64
#define CP_JWS_SIG_B64  86


static cp_rc_t cp_jws_refuse(cp_op_t *op, const char *why);
static cp_json_t *cp_jws_part(cp_op_t *op, const char *s, size_t len);
static const char *cp_jws_kid(const cp_json_t *header);
static cp_rc_t cp_jws_judge(cp_op_t *op, cp_tx_t *tx, const char *jws);
static cp_rc_t cp_jws_signed(cp_op_t *op, cp_tx_t *tx, const char *kid,
    const char *jws, size_t len, const char **group);
static bool cp_jws_verify(const cp_val_t *public, const char *data,
    size_t len, const uint8_t *sig);
static cp_rc_t cp_jws_times(cp_op_t *op, const cp_json_t *claims);
static cp_rc_t cp_jws_audience(cp_op_t *op, cp_tx_t *tx,
    const cp_json_t *claims, const char *group);
static cp_rc_t cp_jws_actor(cp_op_t *op, cp_tx_t *tx,
    const cp_json_t *claims);


cp_rc_t
cp_auth_assertion(cp_op_t *op, const char *jws)
{
    cp_rc_t   rc;
    cp_tx_t  *tx;

    if (jws == NULL) {
        return cp_jws_refuse(op, "only a gateway's calls are answered");
    }

    if (cp_tx_open(op->app->db, false, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_jws_judge(op, tx, jws);
    cp_tx_rollback(tx);

    return rc;
}


static cp_rc_t
cp_jws_judge(cp_op_t *op, cp_tx_t *tx, const char *jws)
{
    cp_rc_t      rc;
    cp_json_t   *claims;
    const char  *dot, *dot2, *kid, *group;

    group = NULL;
    dot = strchr(jws, '.');
    dot2 = dot ? strchr(dot + 1, '.') : NULL;

    if (dot2 == NULL || strlen(jws) > CP_AUTH_JWS_MAX
        || strlen(dot2 + 1) != CP_JWS_SIG_B64)
    {
        return cp_jws_refuse(op, "the assertion is malformed");
    }

    kid = cp_jws_kid(cp_jws_part(op, jws, (size_t) (dot - jws)));

    if (kid == NULL) {
        return cp_jws_refuse(op, "the assertion's header is not ours");
    }

    rc = cp_jws_signed(op, tx, kid, jws, (size_t) (dot2 - jws), &group);
    if (rc != CP_OK) {
        return rc;
    }

    claims = cp_jws_part(op, dot + 1, (size_t) (dot2 - dot) - 1);

    rc = cp_jws_times(op, claims);

    if (rc == CP_OK) {
        rc = cp_jws_audience(op, tx, claims, group);
    }

    return rc == CP_OK ? cp_jws_actor(op, tx, claims) : rc;
}


/* NULL: not exactly what a gateway writes. */
static const char *
cp_jws_kid(const cp_json_t *header)
{
    const char  *alg, *kid, *typ;

    alg = cp_json_str(header, "alg");
    kid = cp_json_str(header, "kid");
    typ = cp_json_str(header, "typ");

    if (alg == NULL || strcmp(alg, "EdDSA") != 0 || kid == NULL
        || typ == NULL || strcmp(typ, "JWT") != 0 || header->n != 3)
    {
        return NULL;
    }

    return kid;
}


/* *group: whose key it is. */
static cp_rc_t
cp_jws_signed(cp_op_t *op, cp_tx_t *tx, const char *kid, const char *jws,
    size_t len, const char **group)
{
    char       sig[CP_JWS_SIG_B64];
    size_t     n;
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, op->arena, "SELECT public, \"group\""
                     " FROM group_keys WHERE id = $1"
                     " AND purpose = 'identity'"
                     " AND (ends_at IS NULL OR ends_at > $2)",
                     cp_args(cp_text(kid), cp_int(cp_time_ms())), &rows,
                     &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (rows.rows == 0) {
        return cp_jws_refuse(op, "the assertion's key is of no group");
    }

    if (!cp_base64url_decode(jws + len + 1, CP_JWS_SIG_B64, sig, &n)
        || n != CP_JWS_SIG
        || !cp_jws_verify(cp_cell(&rows, 0, 0), jws, len,
                          (const uint8_t *) sig))
    {
        return cp_jws_refuse(op, "the assertion's signature is wrong");
    }

    *group = cp_cell(&rows, 0, 1)->p;

    return CP_OK;
}


static bool
cp_jws_verify(const cp_val_t *public, const char *data, size_t len,
    const uint8_t *sig)
{
    char         raw[64];
    bool         ok;
    size_t       n;
    EVP_PKEY    *key;
    EVP_MD_CTX  *ctx;

    if (public->len > sizeof(raw)
        || !cp_base64url_decode(public->p, public->len, raw, &n))
    {
        return false;
    }

    key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL,
                                      (const uint8_t *) raw, n);
    ctx = EVP_MD_CTX_new();

    ok = key && ctx
         && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1
         && EVP_DigestVerify(ctx, sig, CP_JWS_SIG, (const uint8_t *) data,
                             len)
            == 1;

    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);

    return ok;
}


/*
 * The api says that its upstream is this control plane, which only a platform
 * admin can make it say, and the group's gateways serve it.
 */

static cp_rc_t
cp_jws_audience(cp_op_t *op, cp_tx_t *tx, const cp_json_t *claims,
    const char *group)
{
    cp_rc_t      rc;
    cp_rows_t    rows;
    const char  *aud, *groups;

    aud = cp_json_str(claims, "aud");

    rc = cp_tx_query(tx, op->arena, "SELECT COALESCE(gateway_groups, '')"
                     " FROM apis WHERE id = $1 AND platform = 1"
                     " AND identity = 'signed'"
                     " AND state IN ('published', 'deprecated')",
                     cp_args(cp_text(aud ? aud : "")), &rows, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    groups = rows.rows ? cp_cell(&rows, 0, 0)->p : NULL;

    if (groups == NULL || (strchr(groups, '"') && !strstr(groups, group))) {
        return cp_jws_refuse(op, "the assertion was not made for this "
                             "control plane");
    }

    op->actor.group = group;

    return CP_OK;
}


static cp_rc_t
cp_jws_actor(cp_op_t *op, cp_tx_t *tx, const cp_json_t *claims)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    op->actor.how = CP_AUTH_ASSERTION;
    op->actor.of_tenant = cp_json_str(claims, "tenant");
    op->actor.application = cp_json_str(claims, "application");
    op->actor.id = op->actor.application;
    op->actor.name = cp_json_str(claims, "application_name");

    if (op->actor.of_tenant == NULL || op->actor.application == NULL
        || !stoa_id_valid(op->actor.of_tenant, strlen(op->actor.of_tenant))
        || !stoa_id_valid(op->actor.application,
                          strlen(op->actor.application)))
    {
        return cp_jws_refuse(op, "the assertion names nobody");
    }

    /* the gateway looked at this too, but it was up to a minute ago */

    rc = cp_tx_query(tx, op->arena, "SELECT 1 FROM applications a"
                     " JOIN tenants t ON t.id = a.tenant"
                     " WHERE a.id = $1 AND t.id = $2 AND a.state = 'active'"
                     " AND COALESCE(a.disowned, 0) = 0"
                     " AND t.state = 'active'",
                     cp_args(cp_text(op->actor.application),
                             cp_text(op->actor.of_tenant)), &rows, &op->err);

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


/* NULL: no JSON object. */
static cp_json_t *
cp_jws_part(cp_op_t *op, const char *s, size_t len)
{
    char       *text;
    size_t      n;
    cp_json_t  *v;

    text = cp_arena_alloc(op->arena, len + 1);

    if (text == NULL || !cp_base64url_decode(s, len, text, &n)
        || cp_json_parse(op->arena, text, n, &v, NULL) != CP_OK
        || v->type != CP_JSON_OBJECT)
    {
        return NULL;
    }

    return v;
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
