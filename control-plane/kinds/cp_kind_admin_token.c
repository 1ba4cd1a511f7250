/*
 * Admin tokens.
 */

#include <string.h>

#include "auth/cp_auth.h"
#include "auth/cp_session.h"
#include "kinds/cp_kind.h"
#include "kinds/cp_token.h"


static cp_rc_t cp_admin_token_check(const cp_write_t *w,
    const cp_json_t *before, cp_json_t *after);
static cp_rc_t cp_admin_token_settled(cp_op_t *op, cp_tx_t *tx,
    const cp_json_t *row);
static cp_rc_t cp_admin_token_gone(const cp_write_t *w,
    const cp_json_t *before);


static const cp_field_t  admin_token_fields[] = {
    BASE_ID, BASE_NAME, BASE_TITLE, BASE_STATE,
    F("role", CP_F_NAME, RQ|IM|FI, 0, 0, NULL,
      "what it may do: a built-in role, or one of its tenant's"),
    F_REF("tenant", IM|FI, "tenant", NULL,
      "the only tenant it reaches; not for platform-admin"),
    F("expires_at", CP_F_TIME, 0, 0, 0, NULL, "refused from then on"),
    F("maker", CP_F_STRING, RO|ND, 0, 0, NULL,
      "id of the person who made it: it never may more than he may now"),
    F("owner", CP_F_STRING, RO|ND|CP_SECRET, 0, 0, NULL, ""),
    F("token", CP_F_STRING, RO|ND|CP_ONCE, 0, 0, NULL,
      "the token, only in the answer that made it"),
    F("token_digest", CP_F_STRING, RO|ND|CP_SECRET, 0, 0, NULL, ""),
    BASE_TIMES,
    F_END
};

static const cp_transition_t  admin_token_transitions[] = {
    { "revoke", { "active" }, "revoked", "admin_token:write", NULL },
    T_END
};

static const char *const  admin_token_settles[] = { "state", "expires_at",
                                                    NULL };

const cp_resource_t  cp_res_admin_token = {
    .kind = "admin_token", .plural = "admin-tokens", .table = "admin_tokens",
    .fields = admin_token_fields, .transitions = admin_token_transitions,
    .initial = "active", .check = cp_admin_token_check,
    .settled = cp_admin_token_settled, .settles = admin_token_settles,
    .gone = cp_admin_token_gone, .authority = true
};


/* Neither itself nor another, made or changed: else a token that was lent for
 * an hour would be one for ever. */
static cp_rc_t
cp_admin_token_outlives(cp_op_t *op, const cp_json_t *before,
    const cp_json_t *after)
{
    int64_t  old, now;

    now = cp_json_num(after, "expires_at", INT64_MAX);
    old = before ? cp_json_num(before, "expires_at", INT64_MAX) : 0;

    return op->actor.expires && now > op->actor.expires && now > old
           ? cp_err_set(&op->err, "forbidden",
                        "it would outlive the token that you use")
           : CP_OK;
}


/*
 * The person it is bound to: who makes it, or whom the token that makes it is
 * bound to.  What somebody holds by the word of a provider is not known when
 * he is away, so what is made by that ends with his login.
 */
static cp_rc_t
cp_admin_token_maker(const cp_write_t *w, const char *tenant,
    const char *role, const cp_json_t *before, cp_json_t *after)
{
    int64_t      ends;
    cp_op_t     *op = w->op, stored = *w->op;
    cp_rc_t      rc;
    cp_rows_t    rows;
    const char  *maker;

    if (op->actor.how == CP_AUTH_ADMIN && before == NULL) {
        rc = cp_tx_query(w->tx, op->arena, "SELECT maker FROM admin_tokens"
                         " WHERE id = $1 AND maker IS NOT NULL",
                         cp_args(cp_text(op->actor.id)), &rows, &op->err);
        maker = rc == CP_OK && rows.rows ? cp_cell(&rows, 0, 0)->p : NULL;
        cp_json_put(op->arena, after, "maker", maker);

        return rc;
    }

    if (op->actor.how != CP_AUTH_USER) {
        return CP_OK;
    }

    stored.actor.grants = NULL;

    if (cp_rbac_user(&stored, op->actor.id) == CP_OK
        && cp_rbac_give(&stored, w->tx, tenant, role) == CP_OK)
    {
        if (before == NULL) {
            cp_json_put(op->arena, after, "maker", op->actor.id);
        }

        return CP_OK;
    }

    ends = op->session ? op->session->ends_ms : op->actor.expires;

    return cp_json_num(after, "expires_at", INT64_MAX) <= ends ? CP_OK
           : cp_err_set(&op->err, "forbidden", "you hold this by the word of"
                        " your provider: it would outlive your login");
}


/*
 * A token never reaches further than the one it was made with.
 */
static cp_rc_t
cp_admin_token_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after)
{
    cp_rc_t      rc;
    const char  *token, *role, *tenant;

    role = cp_json_str(after, "role");
    tenant = cp_json_str(after, "tenant");

    rc = cp_admin_token_outlives(w->op, before, after);

    if (before) {
        if (rc != CP_OK || cp_json_num(after, "expires_at", INT64_MAX)
                           <= cp_json_num(before, "expires_at", INT64_MAX))
        {
            return rc;
        }

        rc = cp_rbac_give(w->op, w->tx, tenant, role);

        return rc == CP_OK ? cp_admin_token_maker(w, tenant, role, before,
                                                  after) : rc;
    }

    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_token_expiry(w->op, after);
    if (rc != CP_OK) {
        return rc;
    }

    if (tenant == NULL && strcmp(role, "platform-admin") != 0
        && cp_auth_home(&w->op->actor))
    {
        tenant = cp_auth_home(&w->op->actor);
        cp_json_put(w->op->arena, after, "tenant", tenant);
    }

    if (tenant && !cp_auth_sees(&w->op->actor, tenant)) {
        return cp_err_field(&w->op->err, -1, after->line, "tenant",
                            "there is no such tenant");
    }

    rc = cp_auth_may(w->op, "admin_token:write", tenant);

    if (rc == CP_OK) {
        rc = cp_rbac_give(w->op, w->tx, tenant, role);
    }

    if (rc == CP_OK) {
        rc = cp_admin_token_maker(w, tenant, role, NULL, after);
    }

    /* whatever its rights are bound to: it is no second person */

    if (rc == CP_OK && (w->op->actor.how == CP_AUTH_USER
                        || w->op->actor.owner))
    {
        cp_json_put(w->op->arena, after, "owner",
                    cp_auth_self(&w->op->actor));
    }

    if (rc != CP_OK) {
        return rc;
    }

    token = cp_token_make(w->op, after, "token", "adm");
    if (token == NULL) {
        return cp_err_set(&w->op->err, "internal", "no memory");
    }

    cp_json_put(w->op->arena, after, "token_digest",
                cp_token_digest(w->op, token, false));

    return CP_OK;
}


static cp_rc_t
cp_admin_token_settled(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row)
{
    return strcmp(cp_json_str(row, "role"), "platform-admin") == 0
           ? cp_rbac_last(op, tx) : CP_OK;
}


static cp_rc_t
cp_admin_token_gone(const cp_write_t *w, const cp_json_t *before)
{
    return cp_admin_token_settled(w->op, w->tx, before);
}
