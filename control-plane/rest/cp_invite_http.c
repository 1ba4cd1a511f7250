/*
 * /v1/sign-up; /v1/invitation/...: links, for who has one.  A GET could be a
 * scanner of mails, so there is none.
 */

#include <inttypes.h>
#include <string.h>

#include "auth/cp_session.h"
#include "auth/cp_user.h"
#include "kinds/cp_invite.h"
#include "kinds/cp_signup.h"
#include "people/cp_password.h"
#include "rest/cp_rest.h"
#include "rest/cp_session_http.h"


#define LINK                                                                  \
    { "token", true, CP_INVITATION_TEXT, offsetof(cp_accept_t, token) }

static const cp_member_t  cp_look_members[] = {
    LINK,
    { NULL, false, 0, 0 }
};

static const cp_member_t  cp_accept_members[] = {
    LINK,
    { "name", false, STOA_NAME_MAX, offsetof(cp_accept_t, name) },
    { "title", false, CP_USER_TEXT_MAX, offsetof(cp_accept_t, title) },
    { "password", false, CP_PASSWORD_MAX, offsetof(cp_accept_t, password) },
    { NULL, false, 0, 0 }
};


static const cp_member_t  cp_signup_members[] = {
    { "tenant", true, STOA_NAME_MAX, offsetof(cp_signup_t, tenant) },
    { "name", true, STOA_NAME_MAX, offsetof(cp_signup_t, name) },
    { "mail", true, CP_USER_MAIL_MAX, offsetof(cp_signup_t, mail) },
    { "password", true, CP_PASSWORD_MAX, offsetof(cp_signup_t, password) },
    { "title", false, CP_USER_TEXT_MAX, offsetof(cp_signup_t, title) },
    { NULL, false, 0, 0 }
};


static cp_rc_t
cp_invite_post_look(cp_req_t *r)
{
    cp_rc_t       rc;
    cp_json_t    *out;
    cp_accept_t   a;

    memset(&a, 0, sizeof(a));
    rc = cp_session_body(r, cp_look_members, &a);

    if (rc == CP_OK) {
        rc = cp_invite_look(&r->op, a.token, &out);
    }

    return rc == CP_OK ? cp_req_answer(r, 200, out) : rc;
}


static cp_rc_t
cp_invite_post_accept(cp_req_t *r)
{
    cp_rc_t       rc;
    cp_json_t    *out;
    cp_accept_t   a;

    memset(&a, 0, sizeof(a));
    rc = cp_session_perhaps(r);

    if (rc == CP_OK) {
        rc = cp_session_body(r, cp_accept_members, &a);
    }

    if (rc == CP_OK) {
        rc = cp_invite_accept(&r->op, &a, &out);
    }

    return rc == CP_OK ? cp_req_answer(r, 200, out) : rc;
}


static cp_rc_t
cp_invite_post_signup(cp_req_t *r)
{
    cp_rc_t       rc;
    int64_t       retry_s;
    cp_json_t    *out;
    cp_signup_t   s;

    memset(&s, 0, sizeof(s));
    retry_s = 0;
    rc = cp_session_perhaps(r);

    if (rc == CP_OK) {
        rc = cp_session_body(r, cp_signup_members, &s);
    }

    if (rc == CP_OK) {
        rc = cp_login_spend(&r->op, "sign-up", cp_req_address(r), &retry_s);
    }

    if (retry_s) {
        cp_req_set_header(r, "Retry-After",
                          cp_arena_printf(r->op.arena, "%" PRId64, retry_s));
    }

    if (rc == CP_OK) {
        rc = cp_signup(&r->op, &s, &out);
    }

    return rc == CP_OK ? cp_req_answer(r, 201, out) : rc;
}


const cp_route_t  cp_invite_routes[] = {
    { "POST", "/v1/sign-up", CP_AUTH_NONE, NULL, cp_invite_post_signup, NULL,
      "Become a person of a tenant that allows it", NULL },
    { "POST", "/v1/invitation/look", CP_AUTH_NONE, NULL, cp_invite_post_look,
      NULL, "What a link is for", NULL },
    { "POST", "/v1/invitation/accept", CP_AUTH_NONE, NULL,
      cp_invite_post_accept, NULL,
      "Accept an invitation, or choose another password", NULL },
    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};
