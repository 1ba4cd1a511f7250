/*
 * Invitations.
 */

#include <string.h>

#include "auth/cp_auth.h"
#include "auth/cp_user.h"
#include "kinds/cp_invite.h"
#include "kinds/cp_kind.h"


static cp_rc_t cp_invitation_check(const cp_write_t *w,
    const cp_json_t *before, cp_json_t *after);


static const cp_field_t  invitation_fields[] = {
    BASE_ID, BASE_STATE,
    F_REF("tenant", IM|FI, "tenant", NULL,
      "where the person is let in; none: at the platform"),
    F("mail", CP_F_STRING, RQ|IM|FI, 3, CP_USER_MAIL_MAX, NULL,
      "whose it is; another one's login does not accept it"),
    F("mail_key", CP_F_STRING, RO|ND|SC, 0, 0, NULL, ""),
    F("role", CP_F_NAME, RQ|IM|FI, 0, 0, NULL,
      "what the person gets: a built-in role, or one of the tenant's"),
    F("purpose", CP_F_STRING, RO|ND|FI, 0, 0, NULL,
      "invite, or reset: another password for a person"),
    F("person", CP_F_STRING, RO|ND, 0, 0, NULL, "id of who has accepted it"),
    F("inviter", CP_F_STRING, RO|ND, 0, 0, NULL, "id of who made it"),
    F("inviter_how", CP_F_STRING, RO|ND|SC, 0, 0, NULL, ""),
    BOOL("judged", RO|ND|SC, "false", ""),
    F("digest", CP_F_STRING, RO|ND|SC, 0, 0, NULL, ""),
    BOOL("mailed", RO|ND, "false", "whether the link was mailed"),
    F("token", CP_F_STRING, RO|ND|CP_ONCE, 0, 0, NULL,
      "what the link says, unless it was mailed; only in the answer that made"
      " it"),
    F("link", CP_F_STRING, RO|ND|CP_ONCE, 0, 0, NULL,
      "the link, likewise, where public_url is known"),
    F("expires_at", CP_F_TIME, IM, 0, 0, NULL,
      "by default 7 days from now, at most 30"),
    BASE_TIMES,
    F_END
};

static const cp_transition_t  invitation_transitions[] = {
    { "revoke", { "pending" }, "revoked", "invitation:write", NULL },
    { "expire", { "pending" }, "expired", NULL, NULL },
    T_END
};

const cp_resource_t  cp_res_invitation = {
    .kind = "invitation", .plural = "invitations", .table = "invitations",
    .by_id = true, .called = "role tenant", .fields = invitation_fields,
    .transitions = invitation_transitions, .initial = "pending",
    .expires = "'pending'", .check = cp_invitation_check,
    .person = "id"
};


/* May the maker give it, and by what is that known? */
static cp_rc_t
cp_invitation_may(const cp_write_t *w, cp_json_t *after)
{
    bool         judged;
    cp_op_t     *op = w->op, stored;
    cp_rc_t      rc;
    const char  *tenant, *role;

    tenant = cp_json_str(after, "tenant");
    role = cp_json_str(after, "role");

    if (tenant == NULL && cp_auth_home(&op->actor)) {
        tenant = cp_auth_home(&op->actor);
        cp_json_put(op->arena, after, "tenant", tenant);
    }

    if (tenant && !cp_auth_sees(&op->actor, tenant)) {
        return cp_err_field(&op->err, -1, after->line, "tenant",
                            "there is no such tenant");
    }

    rc = cp_auth_may(op, "invitation:write", tenant);

    if (rc == CP_OK) {
        rc = cp_rbac_give(op, w->tx, tenant, role);
    }

    if (rc != CP_OK) {
        return rc;
    }

    judged = false;

    if (op->actor.how == CP_AUTH_USER) {
        stored = *op;
        stored.actor.grants = NULL;
        judged = cp_rbac_user(&stored, op->actor.id) == CP_OK
                 && cp_auth_holds(&stored.actor, "invitation:write", tenant)
                 && cp_rbac_give(&stored, w->tx, tenant, role) == CP_OK;
    }

    cp_json_put_bool(op->arena, after, "judged", judged);

    return CP_OK;
}


/* The one before for that mail there is over; so many wait at most. */
static cp_rc_t
cp_invitation_others(const cp_write_t *w, const char *mail,
    const char *tenant)
{
    cp_rc_t    rc;
    cp_op_t   *op = w->op;
    cp_rows_t  rows;

    rc = cp_tx_query(w->tx, op->arena, "UPDATE invitations SET"
                     " state = 'revoked', ver = ver + 1 WHERE mail_key = $1"
                     " AND COALESCE(tenant, '') = $2 AND state = 'pending'",
                     cp_args(cp_text(mail), cp_text(tenant ? tenant : "")),
                     NULL, &op->err);

    if (rc == CP_OK) {
        rc = cp_tx_query(w->tx, op->arena, "SELECT COUNT(*) FROM invitations"
                         " WHERE COALESCE(tenant, '') = $1"
                         " AND state = 'pending'",
                         cp_args(cp_text(tenant ? tenant : "")), &rows,
                         &op->err);
    }

    return rc == CP_OK && cp_cell(&rows, 0, 0)->i >= CP_INVITATIONS_MAX
           ? cp_err_set(&op->err, "conflict", "%d invitations wait already",
                        CP_INVITATIONS_MAX) : rc;
}


static cp_rc_t
cp_invitation_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after)
{
    int64_t      now, ends;
    cp_rc_t      rc;
    cp_op_t     *op = w->op;
    const char  *mail;

    if (before) {
        return CP_OK;
    }

    now = cp_time_ms();
    ends = cp_json_num(after, "expires_at", now + CP_INVITATION_MS);
    mail = cp_user_mail(op->arena, cp_json_str(after, "mail"));

    if (mail == NULL) {
        return cp_fault_at(op, after, "mail",
                           "must be a mail address, in ASCII");
    }

    if (ends <= now || ends > now + CP_INVITATION_MOST_MS) {
        return cp_fault_at(op, after, "expires_at",
                           "must be within the next 30 days");
    }

    rc = cp_invitation_may(w, after);

    if (rc == CP_OK) {
        rc = cp_invitation_others(w, mail, cp_json_str(after, "tenant"));
    }

    if (rc != CP_OK) {
        return rc;
    }

    cp_json_put(op->arena, after, "mail_key", mail);
    cp_json_put(op->arena, after, "purpose", "invite");
    cp_json_put(op->arena, after, "inviter", op->actor.id);
    cp_json_put(op->arena, after, "inviter_how",
                op->actor.how == CP_AUTH_USER ? "user"
                : op->actor.how == CP_AUTH_ADMIN ? "token" : "system");
    cp_json_put_int(op->arena, after, "expires_at", ends);

    return cp_invite_make(op, w->tx, after, mail);
}
