/*
 * People.  They come by an invitation, by signing up or by a provider's word,
 * never by POST.
 */

#include <string.h>

#include "auth/cp_auth.h"
#include "auth/cp_session.h"
#include "auth/cp_user.h"
#include "kinds/cp_invite.h"
#include "kinds/cp_kind.h"


static cp_rc_t cp_user_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after);
static cp_rc_t cp_user_settled(cp_op_t *op, cp_tx_t *tx,
    const cp_json_t *row);
static cp_rc_t cp_user_reset(const cp_write_t *w, const char *id,
    const cp_json_t *args, const cp_json_t *before, cp_json_t *after);
static cp_rc_t cp_user_event(const cp_write_t *w, const char *event,
    const cp_json_t *args, const cp_json_t *before, cp_json_t *after);


static const cp_field_t  user_fields[] = {
    BASE_ID, BASE_NAME, BASE_TITLE, BASE_STATE,
    F_REF("tenant", IM|FI, "tenant", NULL,
      "whose administrators manage the person; none: the platform's"),
    F("mail", CP_F_STRING, FI, 3, CP_USER_MAIL_MAX, NULL,
      "of a local person also to log in with; a provider's is for show"),
    F("mail_key", CP_F_STRING, RO|ND|SC, 0, 0, NULL, ""),
    F("issuer", CP_F_STRING, RO|ND|FI, 0, 0, NULL,
      "the provider of a person that is not a local one"),
    F("subject", CP_F_STRING, RO|ND|FI, 0, 0, NULL,
      "who the person is there"),
    F("login", CP_F_STRING, RO|ND, 0, 0, NULL,
      "what the person is called there"),
    BOOL("second_factor", RO|ND, "false",
      "whether codes of an authenticator are asked for"),
    BOOL("must_change", RO|ND, "false",
      "whether the password is for one login"),
    F("last_login_at", CP_F_TIME, RO|ND|CP_MOVES, 0, 0, NULL,
      "when the person last logged in"),
    F("seen_at", CP_F_TIME, RO|ND|CP_MOVES, 0, 0, NULL,
      "of a provider's person: when a token was seen, to the day"),
    F("token", CP_F_STRING, RO|ND|CP_ONCE, 0, 0, NULL,
      "of a reset: what the link says, unless it was mailed"),
    F("link", CP_F_STRING, RO|ND|CP_ONCE, 0, 0, NULL,
      "of a reset: the link, likewise, where public_url is known"),
    BASE_TIMES,
    F_END
};

static const cp_field_t  user_reset[] = {
    BOOL("second_factor", 0, "false", "take the second factor away, too"),
    F_END
};

static const cp_transition_t  user_transitions[] = {
    { "reset", { "active" }, "active", "user:write", user_reset },
    { "disable", { "active", "pending" }, "disabled", "user:write", NULL },
    { "enable", { "disabled", "pending" }, "active", "user:write", NULL },
    T_END
};

static const cp_dependent_t  user_dependents[] = {
    { "role_binding", "user", CP_DEP_OWNED, false },
    { "global_role_binding", "user", CP_DEP_OWNED, false },
    { NULL, "DELETE FROM invitations WHERE person = $1", CP_DEP_PLAIN,
      false },
    { NULL, "DELETE FROM sessions WHERE person = $1", CP_DEP_PLAIN, false },
    { NULL, "UPDATE admin_tokens SET state = 'revoked', ver = ver + 1"
      " WHERE maker = $1 AND state = 'active'", CP_DEP_PLAIN, false },
    { NULL, "DELETE FROM recovery_codes WHERE person = $1", CP_DEP_PLAIN,
      false },
    { NULL, NULL, 0, false }
};

static const char *const  user_settles[] = { "state", NULL };

const cp_resource_t  cp_res_user = {
    .kind = "user", .plural = "users", .table = "users",
    .fields = user_fields, .transitions = user_transitions,
    .initial = "active", .dependents = user_dependents,
    .check = cp_user_check, .event = cp_user_event,
    .settled = cp_user_settled, .settles = user_settles, .authority = true,
    .person = "id"
};


/* The last platform-admin is not shut out. */
static cp_rc_t
cp_user_settled(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    if (strcmp(cp_json_str(row, "state"), "active") == 0) {
        return CP_OK;
    }

    rc = cp_tx_query(tx, op->arena, "SELECT id FROM global_role_bindings"
                     " WHERE \"user\" = $1 AND role = 'platform-admin'",
                     cp_args(cp_text(cp_json_str(row, "id"))), &rows,
                     &op->err);

    return rc == CP_OK && rows.rows ? cp_rbac_last(op, tx) : rc;
}


/* A provider's people are shown as the provider says. */
static cp_rc_t
cp_user_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after)
{
    const char  *mail, *key;

    mail = cp_json_str(after, "mail");

    if (before == NULL) {
        cp_json_put_bool(w->op->arena, after, "second_factor", false);
        cp_json_put_bool(w->op->arena, after, "must_change", false);
    }

    if (before && cp_json_str(before, "issuer")) {
        return cp_json_equal(cp_json_get(before, "mail"),
                             cp_json_get(after, "mail")) ? CP_OK
               : cp_err_field(&w->op->err, -1, after->line, "mail",
                              "is the provider's to change");
    }

    /* also one that nobody has proved: it stays so */

    if (before && cp_json_equal(cp_json_get(before, "mail"),
                                cp_json_get(after, "mail")))
    {
        return CP_OK;
    }

    key = mail ? cp_user_mail(w->op->arena, mail) : NULL;

    if (mail && key == NULL) {
        return cp_err_field(&w->op->err, -1, after->line, "mail",
                            "must be a mail address, in ASCII");
    }

    cp_json_put(w->op->arena, after, "mail_key", key);

    /* who reads the mail can become the person */

    return before ? cp_rbac_over(w->op, cp_json_str(after, "id")) : CP_OK;
}


/* Whoever is not active is out, also when enabled again; so is who is to
 * choose another password. */
static cp_rc_t
cp_user_event(const cp_write_t *w, const char *event, const cp_json_t *args,
    const cp_json_t *before, cp_json_t *after)
{
    cp_rc_t      rc;
    unsigned     n;
    const char  *id;

    id = cp_json_str(after, "id");

    rc = strcmp(event, "disable") == 0 ? CP_OK : cp_rbac_over(w->op, id);

    if (rc == CP_OK && strcmp(event, "reset") == 0) {
        rc = cp_user_reset(w, id, args, before, after);
    }

    return rc == CP_OK ? cp_session_end(w->op, w->tx, id, NULL, NULL, &n)
                       : rc;
}


static cp_rc_t
cp_user_reset(const cp_write_t *w, const char *id, const cp_json_t *args,
    const cp_json_t *before, cp_json_t *after)
{
    bool               factor;
    cp_rc_t            rc;
    cp_op_t           *op = w->op;
    const cp_json_t   *said;

    if (cp_json_str(before, "issuer")) {
        return cp_err_set(&op->err, "conflict", "a provider's person has no"
                          " password here");
    }

    said = args ? cp_json_get(args, "second_factor") : NULL;
    factor = said && said->i;

    rc = cp_tx_query(w->tx, op->arena, "UPDATE users SET password = NULL,"
                     " totp_next = NULL,"
                     " totp = CASE WHEN $2 = 1 THEN NULL ELSE totp END"
                     " WHERE id = $1",
                     cp_args(cp_text(id), cp_int(factor)), NULL, &op->err);

    if (rc == CP_OK && factor) {
        rc = cp_tx_query(w->tx, op->arena, "DELETE FROM recovery_codes"
                         " WHERE person = $1", cp_args(cp_text(id)), NULL,
                         &op->err);
    }

    if (rc == CP_OK && factor) {
        cp_json_put_bool(op->arena, after, "second_factor", false);
    }

    return rc == CP_OK
           ? cp_invite_reset(op, w->tx, id, cp_json_str(after, "mail"), after)
           : rc;
}
