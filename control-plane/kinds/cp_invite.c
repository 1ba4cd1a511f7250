/*
 * Making, looking at and accepting links.
 */

#include <string.h>

#include "audit/cp_audit.h"
#include "audit/cp_person.h"
#include "auth/cp_auth.h"
#include "auth/cp_session.h"
#include "auth/cp_user.h"
#include "client/cp_mail.h"
#include "feed/cp_feed.h"
#include "kinds/cp_invite.h"
#include "kinds/cp_kinds.h"
#include "people/cp_password.h"


enum { I_ID, I_PURPOSE, I_TENANT, I_MAIL, I_MAIL_KEY, I_ROLE, I_PERSON,
    I_INVITER, I_HOW, I_JUDGED, I_EXPIRES, I_TENANT_NAME };

#define CP_INVITE_ROW                                                         \
    "SELECT i.id, i.purpose, i.tenant, i.mail, i.mail_key, i.role, i.person," \
    " i.inviter, i.inviter_how, i.judged, i.expires_at, t.name"               \
    " FROM invitations i LEFT JOIN tenants t ON t.id = i.tenant"              \
    " WHERE i.digest = $1 AND i.state = 'pending' AND i.expires_at > $2"      \
    " AND (t.id IS NULL OR t.state = 'active')"

#define text(rows, c)                                                         \
    (cp_cell(rows, 0, c)->type == CP_VAL_TEXT ? cp_cell(rows, 0, c)->p : NULL)


static cp_rc_t cp_invite_find(cp_op_t *op, cp_tx_t *tx, const char *token,
    cp_rows_t *rows);
static cp_json_t *cp_invite_show(cp_op_t *op, const cp_rows_t *rows);
static cp_rc_t cp_invite_mail(cp_op_t *op, cp_tx_t *tx, const char *mail,
    const char *link, const char *tenant, bool reset, bool *mailed);
static cp_rc_t cp_invite_judge(cp_op_t *op, cp_tx_t *tx,
    const cp_rows_t *rows);
static cp_rc_t cp_invite_take(cp_op_t *op, cp_tx_t *tx,
    const cp_accept_t *a, const char *encoded, cp_json_t **out);
static cp_rc_t cp_invite_join(cp_op_t *op, cp_tx_t *tx, const cp_rows_t *rows,
    const cp_accept_t *a, const char **person);
static cp_rc_t cp_invite_who(cp_op_t *op, cp_tx_t *tx, const cp_rows_t *rows,
    const cp_accept_t *a, const char **person);
static cp_rc_t cp_invite_new(cp_op_t *op, cp_tx_t *tx, const cp_rows_t *rows,
    const cp_accept_t *a, const char **person);


/* The host is the configured one, whatever a request calls us.  What stands
 * behind the # is in no log and is not sent by who looks at links. */
static const char *
cp_invite_link(cp_op_t *op, const char *token)
{
    const char  *url = op->app->conf.public_url;

    return url[0] ? cp_arena_printf(op->arena, "%s/invitation#%s", url, token)
                  : NULL;
}


static cp_rc_t
cp_invite_mail(cp_op_t *op, cp_tx_t *tx, const char *mail, const char *link,
    const char *tenant, bool reset, bool *mailed)
{
    cp_rc_t    rc;
    cp_mail_t  m;

    *mailed = false;

    if (mail == NULL || link == NULL || !cp_mail_on(op->app)) {
        return CP_OK;
    }

    m.tenant = tenant;
    m.to = mail;
    m.subject = reset ? "Your password" : "You are invited";
    m.text = cp_arena_printf(op->arena, "%s\n\n%s\n\nThe link is good once.\n",
                             reset ? "An administrator lets you choose another"
                                     " password:"
                                   : "You are invited:", link);

    rc = cp_mail_send(op, tx, &m);

    if (rc == CP_DECLINED) {           /* then the maker gets the link      */
        cp_op_clear(op);
        return CP_OK;
    }

    *mailed = rc == CP_OK;

    return rc;
}


static cp_rc_t
cp_invite_said(cp_op_t *op, cp_tx_t *tx, const char *mail, bool reset,
    cp_json_t *shown, bool *mailed, const char **digest)
{
    cp_rc_t      rc;
    const char  *token, *link;

    token = cp_ticket_make(op->arena, digest);

    if (token == NULL) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    link = cp_invite_link(op, token);
    rc = cp_invite_mail(op, tx, mail, link, cp_json_str(shown, "tenant"),
                        reset, mailed);

    if (rc == CP_OK && !*mailed) {
        cp_json_put(op->arena, shown, "token", token);

        if (link) {
            cp_json_put(op->arena, shown, "link", link);
        }
    }

    return rc;
}


cp_rc_t
cp_invite_make(cp_op_t *op, cp_tx_t *tx, cp_json_t *row, const char *mail)
{
    bool         mailed;
    cp_rc_t      rc;
    const char  *digest;

    rc = cp_invite_said(op, tx, mail, false, row, &mailed, &digest);

    if (rc == CP_OK) {
        cp_json_put(op->arena, row, "digest", digest);
        cp_json_put_bool(op->arena, row, "mailed", mailed);
    }

    return rc;
}


cp_rc_t
cp_invite_reset(cp_op_t *op, cp_tx_t *tx, const char *person,
    const char *mail, cp_json_t *shown)
{
    bool         mailed, judged;
    char         id[STOA_ID_LEN + 1];
    int64_t      now;
    cp_op_t      stored = *op;
    cp_rc_t      rc;
    const char  *digest;

    now = cp_time_ms();
    cp_id_make(id);

    stored.actor.grants = NULL;
    judged = op->actor.how == CP_AUTH_USER
             && cp_rbac_user(&stored, op->actor.id) == CP_OK
             && cp_auth_holds(&stored.actor, "user:write",
                              cp_json_str(shown, "tenant"))
             && cp_rbac_over(&stored, person) == CP_OK;

    rc = cp_tx_query(tx, op->arena, "UPDATE invitations SET state = 'revoked'"
                     " WHERE person = $1 AND state = 'pending'",
                     cp_args(cp_text(person)), NULL, &op->err);

    if (rc == CP_OK) {
        rc = cp_invite_said(op, tx, mail, true, shown, &mailed, &digest);
    }

    return rc == CP_OK
           ? cp_tx_query(tx, op->arena, "INSERT INTO invitations (id, purpose,"
                         " state, tenant, person, inviter, inviter_how,"
                         " digest, mailed, expires_at, created_at,"
                         " updated_at, ver, judged) SELECT $1, 'reset',"
                         " 'pending', tenant, id, $3, $4, $5, $6, $7, $8, $8,"
                         " 1, $9"
                         " FROM users WHERE id = $2",
                         cp_args(cp_text(id), cp_text(person),
                                 cp_text(op->actor.id),
                                 cp_text(op->actor.how == CP_AUTH_USER
                                         ? "user" : "token"),
                                 cp_text(digest), cp_int(mailed),
                                 cp_int(now + CP_INVITATION_MS),
                                 cp_int(now), cp_int(judged)), NULL,
                         &op->err)
           : rc;
}


static cp_rc_t
cp_invite_find(cp_op_t *op, cp_tx_t *tx, const char *token, cp_rows_t *rows)
{
    cp_rc_t  rc;
    uint8_t  sum[32];

    cp_sha256(token, strlen(token), sum);

    rc = cp_tx_query(tx, op->arena, CP_INVITE_ROW,
                     cp_args(cp_text(cp_hex(op->arena, sum, 32)),
                             cp_int(cp_time_ms())), rows, &op->err);

    return rc == CP_OK && rows->rows == 0
           ? cp_err_set(&op->err, "not_found", "the link is over, or is none")
           : rc;
}


static cp_json_t *
cp_invite_show(cp_op_t *op, const cp_rows_t *rows)
{
    unsigned     i;
    cp_json_t   *out;
    static const struct {
        unsigned     column;
        const char  *member;
    } members[] = {
        { I_PURPOSE, "purpose" }, { I_MAIL, "mail" }, { I_ROLE, "role" },
        { I_TENANT_NAME, "tenant" }
    };

    out = cp_json_object(op->arena);

    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        if (text(rows, members[i].column)) {
            cp_json_put(op->arena, out, members[i].member,
                        text(rows, members[i].column));
        }
    }

    cp_json_put(op->arena, out, "expires_at",
                cp_time_format(op->arena, cp_cell(rows, 0, I_EXPIRES)->i));

    return out;
}


cp_rc_t
cp_invite_look(cp_op_t *op, const char *token, cp_json_t **out)
{
    cp_rc_t    rc;
    cp_tx_t   *tx;
    cp_rows_t  rows;

    if (cp_tx_open(op->app->db, false, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_invite_find(op, tx, token, &rows);
    cp_tx_rollback(tx);
    *out = rc == CP_OK ? cp_invite_show(op, &rows) : NULL;

    return rc;
}


/* Who made it, and what he holds now.  *there false: nothing any more. */
static cp_rc_t
cp_invite_maker(cp_op_t *op, cp_tx_t *tx, const cp_rows_t *rows, bool user,
    cp_op_t *by, bool *there)
{
    cp_rc_t      rc;
    cp_rows_t    m;
    cp_perms_t   may;
    const char  *tenant;

    *by = *op;
    memset(&by->actor, 0, sizeof(cp_actor_t));
    by->actor.how = user ? CP_AUTH_USER : CP_AUTH_ADMIN;

    rc = cp_tx_query(tx, op->arena, user
                     ? "SELECT id, tenant FROM users WHERE id = $1"
                       " AND state = 'active' AND ver <> $2"
                     : "SELECT role, tenant, maker FROM admin_tokens t"
                       " WHERE id = $1 AND state = 'active'"
                       " AND (expires_at IS NULL OR expires_at > $2)"
                       " AND (maker IS NULL OR EXISTS (SELECT 1 FROM users u"
                       " WHERE u.id = t.maker AND u.state = 'active'))",
                     cp_args(cp_text(text(rows, I_INVITER)),
                             cp_int(cp_time_ms())), &m, &op->err);
    *there = rc == CP_OK && m.rows;

    if (!*there) {
        return rc;
    }

    if (user) {
        return cp_rbac_user(by, text(rows, I_INVITER));
    }

    tenant = text(&m, 1);
    rc = cp_rbac_role(by, tx, tenant, text(&m, 0), &may);

    if (rc == CP_OK && text(&m, 2)) {
        rc = cp_rbac_within(by, text(&m, 2), tenant, &may);
    }

    return rc == CP_OK ? cp_grant_add(by, tenant, text(&m, 0), &may, true)
                       : rc;
}


/* Is the inviter there still, and may he give this?  Whoever lets a person
 * choose a password has to hold what that person holds now. */
static cp_rc_t
cp_invite_judge(cp_op_t *op, cp_tx_t *tx, const cp_rows_t *rows)
{
    bool         user, there;
    cp_op_t      by;
    cp_rc_t      rc;
    const char  *how, *role;

    how = cp_cell(rows, 0, I_HOW)->p;
    role = text(rows, I_ROLE);
    user = strcmp(how, "user") == 0;

    if (!user && strcmp(how, "token") != 0) {
        return CP_OK;                  /* the process itself                */
    }

    rc = cp_invite_maker(op, tx, rows, user, &by, &there);

    if (rc == CP_OK && there && (!user || cp_cell(rows, 0, I_JUDGED)->i)) {
        rc = cp_auth_may(&by, role ? "invitation:write" : "user:write",
                         text(rows, I_TENANT));

        if (rc == CP_OK) {
            rc = role ? cp_rbac_give(&by, tx, text(rows, I_TENANT), role)
                      : cp_rbac_over(&by, text(rows, I_PERSON));
        }
    }

    there = there && rc == CP_OK;
    rc = rc == CP_DECLINED ? CP_OK : rc;

    return rc == CP_OK && !there
           ? cp_err_set(&op->err, "conflict", "who made the link may not make"
                        " it any more; ask for another one") : rc;
}


/* Hashed before the transaction; most of what can be wrong is found before
 * that. */
cp_rc_t
cp_invite_accept(cp_op_t *op, const cp_accept_t *a, cp_json_t **out)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_json_t   *seen;
    const char  *encoded;

    encoded = NULL;
    rc = cp_invite_look(op, a->token, &seen);

    if (rc == CP_OK && (op->session == NULL
                        || strcmp(cp_json_str(seen, "purpose"), "reset")
                           == 0))
    {
        rc = cp_password_judge(op, a->password, "password", a->name);

        if (rc == CP_OK) {
            rc = cp_password_hash(op, a->password, &encoded);
        }
    }

    if (rc != CP_OK) {
        return rc;
    }

    if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_invite_take(op, tx, a, encoded, out);
    rc = cp_tx_finish(tx, rc, &op->err);

    if (rc == CP_OK) {
        cp_auth_cache_drop();
    }

    return rc;
}


static cp_rc_t
cp_invite_take(cp_op_t *op, cp_tx_t *tx, const cp_accept_t *a,
    const char *encoded, cp_json_t **out)
{
    bool               reset;
    cp_rc_t            rc;
    unsigned           n;
    cp_rows_t          rows;
    const char        *person;
    cp_audit_event_t   e;

    rc = cp_feed_lock(tx, op->arena, &op->err);

    if (rc == CP_OK) {
        rc = cp_invite_find(op, tx, a->token, &rows);
    }

    if (rc == CP_OK) {
        rc = cp_invite_judge(op, tx, &rows);
    }

    if (rc != CP_OK) {
        return rc;
    }

    reset = strcmp(cp_cell(&rows, 0, I_PURPOSE)->p, "reset") == 0;
    person = text(&rows, I_PERSON);

    if (!reset) {
        rc = cp_invite_join(op, tx, &rows, a, &person);

    } else {
        rc = cp_session_end(op, tx, person, NULL, NULL, &n);
    }

    if (rc == CP_OK && encoded) {
        rc = cp_tx_query(tx, op->arena, "UPDATE users SET password = $2,"
                         " must_change = 0, ver = ver + 1 WHERE id = $1",
                         cp_args(cp_text(person), cp_text(encoded)), NULL,
                         &op->err);
    }

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, op->arena, "UPDATE invitations SET"
                         " state = 'accepted', person = $2, updated_at = $3,"
                         " ver = ver + 1 WHERE id = $1",
                         cp_args(*cp_cell(&rows, 0, I_ID), cp_text(person),
                                 cp_int(cp_time_ms())), NULL, &op->err);
    }

    if (rc == CP_OK) {
        rc = cp_person_also(op, tx, cp_cell(&rows, 0, I_ID)->p, person);
    }

    if (rc != CP_OK) {
        return rc;
    }

    memset(&e, 0, sizeof(e));
    e.tenant = text(&rows, I_TENANT);
    e.action = reset ? "reset_accepted" : "accept";
    e.kind = "invitation";
    e.id = cp_cell(&rows, 0, I_ID)->p;
    e.person = person;
    *out = cp_invite_show(op, &rows);
    cp_json_put(op->arena, *out, "user", person);

    return cp_audit_append(op, tx, &e);
}


/* By nobody who is logged in: the invitation's maker has been judged. */
static cp_rc_t
cp_invite_join(cp_op_t *op, cp_tx_t *tx, const cp_rows_t *rows,
    const cp_accept_t *a, const char **person)
{
    cp_rc_t     rc;
    cp_actor_t  actor;

    actor = op->actor;
    op->actor.how = CP_AUTH_SYSTEM;
    op->actor.id = text(rows, I_ID);
    op->actor.name = "invitation";
    rc = cp_invite_who(op, tx, rows, a, person);

    if (rc == CP_OK) {
        rc = cp_role_bind(op, tx, text(rows, I_TENANT), *person,
                          text(rows, I_ROLE));
    }

    op->actor = actor;

    return rc;
}


/* Who is logged in has to have that mail; else it makes a person of it. */
static cp_rc_t
cp_invite_who(cp_op_t *op, cp_tx_t *tx, const cp_rows_t *rows,
    const cp_accept_t *a, const char **person)
{
    cp_rc_t      rc;
    cp_rows_t    u;
    const char  *mail;

    if (op->session) {
        *person = op->session->person;

        rc = cp_tx_query(tx, op->arena, "SELECT name, mail FROM users"
                         " WHERE id = $1", cp_args(cp_text(*person)), &u,
                         &op->err);
        if (rc != CP_OK) {
            return rc;
        }

        mail = u.rows && text(&u, 1) ? cp_user_mail(op->arena, text(&u, 1))
                                     : NULL;

        return mail && strcmp(mail, cp_cell(rows, 0, I_MAIL_KEY)->p) == 0
               ? CP_OK
               : cp_err_set(&op->err, "conflict", "you are logged in as \"%s\""
                            ", and the invitation is for another mail: log"
                            " out, and open it again", u.rows ? text(&u, 0)
                                                              : "");
    }

    rc = cp_tx_query(tx, op->arena, "SELECT id FROM users"
                     " WHERE mail_key = $1",
                     cp_args(cp_text(text(rows, I_MAIL_KEY))), &u, &op->err);

    if (rc == CP_OK && u.rows) {
        return cp_err_set(&op->err, "conflict", "there is a person of this"
                          " mail: log in, and open the invitation again");
    }

    return rc == CP_OK ? cp_invite_new(op, tx, rows, a, person) : rc;
}


static cp_rc_t
cp_invite_new(cp_op_t *op, cp_tx_t *tx, const cp_rows_t *rows,
    const cp_accept_t *a, const char **person)
{
    cp_rc_t      rc;
    cp_entry_t   e;
    cp_write_t   w = cp_write_of(op, tx, cp_resource_find("user"));
    cp_json_t   *in;
    const char  *name;

    name = a->name ? cp_user_name(op->arena, a->name) : NULL;

    if (name == NULL) {
        return cp_err_field(&op->err, -1, 0, "name", "must have a-z, 0-9 and"
                            " -, at most 63 characters");
    }

    in = cp_json_object(op->arena);
    cp_json_put(op->arena, in, "name", name);
    cp_json_put(op->arena, in, "mail", text(rows, I_MAIL));

    if (a->title) {
        cp_json_put(op->arena, in, "title", a->title);
    }

    if (text(rows, I_TENANT)) {
        cp_json_put(op->arena, in, "tenant", text(rows, I_TENANT));
    }

    w.in = in;
    rc = cp_entry_create(&w, &e);
    *person = rc == CP_OK ? cp_json_str(e.row, "id") : NULL;

    return rc;
}
