/*
 * /v1/session/...: what a local person changes of his own way in.  All of it
 * is a login once more: the password (and a code) is judged as at the door,
 * failures count, and the login has another id afterwards.
 */

#include <string.h>

#include "auth/cp_session.h"
#include "auth/cp_user.h"
#include "people/cp_factor.h"
#include "people/cp_password.h"
#include "rest/cp_rest.h"
#include "rest/cp_session_http.h"


/* What more is done, by the route's data. */
typedef struct {
    cp_rc_t   (*more)(cp_op_t *op, cp_tx_t *tx, cp_login_t *l);
    bool      fresh;                   /* a new password                    */
    bool      others;                  /* the other logins end              */
} cp_step_t;

#define STEP_PASSWORD                                                         \
    { "password", true, CP_PASSWORD_MAX, offsetof(cp_login_t, password) },    \
    { "code", false, CP_FACTOR_MAX, offsetof(cp_login_t, code) }

static const cp_member_t  cp_step_members[] = {
    STEP_PASSWORD,
    { NULL, false, 0, 0 }
};

static const cp_member_t  cp_step_fresh[] = {
    STEP_PASSWORD,
    { "new_password", true, CP_PASSWORD_MAX,
      offsetof(cp_login_t, new_password) },
    { NULL, false, 0, 0 }
};

static const cp_member_t  cp_confirm_members[] = {
    { "code", true, CP_FACTOR_MAX, offsetof(cp_login_t, code) },
    { NULL, false, 0, 0 }
};


static cp_rc_t
cp_step_news(cp_op_t *op, cp_tx_t *tx, const cp_login_t *l,
    const char *action)
{
    cp_news_t  n;

    memset(&n, 0, sizeof(n));
    n.person = l->person;
    n.name = l->name;
    n.action = action;
    n.detail = "own";
    n.address = l->address;

    return cp_news_add(op, tx, &n);
}


static cp_rc_t
cp_step_begin(cp_op_t *op, cp_tx_t *tx, cp_login_t *l)
{
    return cp_factor_begin(op, tx, l->person, l->name, &l->said);
}


static cp_rc_t
cp_step_remove(cp_op_t *op, cp_tx_t *tx, cp_login_t *l)
{
    cp_rc_t  rc;

    rc = cp_factor_remove(op, tx, l->person);

    return rc == CP_OK ? cp_step_news(op, tx, l, "remove_second_factor") : rc;
}


static cp_rc_t
cp_step_codes(cp_op_t *op, cp_tx_t *tx, cp_login_t *l)
{
    cp_rc_t  rc;

    rc = cp_factor_codes(op, tx, l->person, &l->said);

    return rc == CP_OK ? cp_step_news(op, tx, l, "recovery_codes") : rc;
}


static const cp_step_t  cp_step_password = { NULL, true, true };
static const cp_step_t  cp_step_totp = { cp_step_begin, false, false };
static const cp_step_t  cp_step_without = { cp_step_remove, false, true };
static const cp_step_t  cp_step_recovery = { cp_step_codes, false, false };


static cp_rc_t
cp_step_post(cp_req_t *r)
{
    cp_rc_t           rc;
    cp_login_t        l;
    const cp_step_t  *step = r->route->data;

    memset(&l, 0, sizeof(l));

    rc = cp_session_body(r, step->fresh ? cp_step_fresh : cp_step_members,
                         &l);
    if (rc != CP_OK) {
        return rc;
    }

    l.name = r->op.actor.name;
    l.more = step->more;
    l.others = step->others;

    rc = cp_session_login(r, &l);
    if (rc != CP_OK) {
        return rc;
    }

    return l.said ? cp_req_answer(r, 200, l.said) : cp_session_show(r, 200);
}


/* The login goes on under another id, all others end: they were opened with
 * less. */
static cp_rc_t
cp_confirm_write(cp_req_t *r, cp_tx_t *tx, cp_login_t *l)
{
    cp_rc_t           rc;
    unsigned          n;
    cp_session_new_t  s;

    l->person = r->op.session->person;
    l->name = r->op.actor.name;
    l->address = cp_req_address(r);

    rc = cp_factor_confirm(&r->op, tx, l->person, l->code);

    if (rc == CP_OK) {
        rc = cp_factor_codes(&r->op, tx, l->person, &l->said);
    }

    if (rc == CP_OK) {
        rc = cp_step_news(&r->op, tx, l, "second_factor");
    }

    if (rc == CP_OK) {
        rc = cp_session_end(&r->op, tx, l->person, NULL, NULL, &n);
    }

    if (rc != CP_OK) {
        return rc;
    }

    memset(&s, 0, sizeof(s));
    s.person = l->person;
    s.how = "second_factor";
    s.address = l->address;
    s.agent = cp_req_header(r, "User-Agent");

    return cp_session_open(&r->op, tx, &s, &l->session, &l->cookie);
}


static cp_rc_t
cp_confirm_post(cp_req_t *r)
{
    cp_rc_t     rc;
    cp_tx_t    *tx;
    cp_login_t  l;

    memset(&l, 0, sizeof(l));

    rc = cp_session_body(r, cp_confirm_members, &l);
    if (rc != CP_OK) {
        return rc;
    }

    if (cp_tx_open(r->op.app->db, true, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_confirm_write(r, tx, &l);
    rc = cp_tx_finish(tx, rc, &r->op.err);

    if (rc != CP_OK) {
        return rc;
    }

    cp_session_forget();
    r->cookie = l.cookie;

    return cp_req_answer(r, 200, l.said);
}


const cp_route_t  cp_factor_routes[] = {
    { "POST", "/v1/session/password", CP_AUTH_SESSION, NULL, cp_step_post,
      &cp_step_password, "Change the own password", NULL },
    { "POST", "/v1/session/second-factor", CP_AUTH_SESSION, NULL,
      cp_step_post, &cp_step_totp, "A key for an authenticator", NULL },
    { "POST", "/v1/session/second-factor/confirm", CP_AUTH_SESSION, NULL,
      cp_confirm_post, NULL, "Ask for codes of it from now on", NULL },
    { "POST", "/v1/session/second-factor/remove", CP_AUTH_SESSION, NULL,
      cp_step_post, &cp_step_without, "Ask for no codes any more", NULL },
    { "POST", "/v1/session/recovery-codes", CP_AUTH_SESSION, NULL,
      cp_step_post, &cp_step_recovery, "New recovery codes", NULL },
    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};
