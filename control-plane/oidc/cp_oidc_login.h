/*
 * Logging in at the provider with a browser: code and PKCE (RFC 7636), ending
 * in a login of ours (auth/cp_session.h).
 *
 * An attempt is kept by nobody: its state is a sealed text that says what the
 * callback has to find (nonce, verifier, where to go on), until when, and for
 * which browser, which has a cookie for that.  So any number of tabs may be
 * under way, at any replica, and whoever only begins costs nothing.  What was
 * used is noted in login_marks until it would have ended by itself, written
 * with the login.
 *
 * Process: stoa-control, a worker thread, which waits for the provider when it
 * is its turn (cp_oidc_turn()).
 */

#ifndef CP_OIDC_LOGIN_H
#define CP_OIDC_LOGIN_H


#include "oidc/cp_oidc.h"
#include "auth/cp_session.h"
#include "auth/cp_user.h"


#define CP_OIDC_LOGIN_S     600
#define CP_OIDC_TO_MAX      1000       /* bytes of where to go on            */
#define CP_OIDC_HOME        "/v1/session/oidc"
#define CP_OIDC_BACK        CP_OIDC_HOME "/callback"


/* Do people log in there? */
bool cp_oidc_logins(const cp_app_t *app);
const char *cp_oidc_login_cookie(const cp_app_t *app);

/* browser: that cookie, NULL: none yet; to: where to go on.  *location: where
 * the browser has to go; *cookie: a whole Set-Cookie. */
cp_rc_t cp_oidc_begin(cp_op_t *op, const char *browser, const char *to,
    const char **location, const char **cookie) CP_MUST_CHECK;

typedef struct {
    const char    *browser;
    const char    *state;              /* parameters of the callback; NULL:  */
    const char    *code;               /* it has none                        */
    const char    *iss;
    const char    *error;
    const char    *address;
    const char    *agent;
    const char    *to;                 /* where to go on, a local path       */
    const char    *cookie;             /* Set-Cookie; NULL: none             */
    cp_session_t  *session;
} cp_oidc_back_t;

/* CP_OK: go on at b->to.  Who is logged in already goes on whatever has become
 * of this attempt. */
cp_rc_t cp_oidc_finish(cp_op_t *op, cp_oidc_back_t *b) CP_MUST_CHECK;

/* Writes what the provider gives once (for a code, for a refresh token that
 * ends with it) and would not be asked for again: in one transaction, run
 * again while the database says so. */
typedef cp_rc_t (*cp_oidc_write_pt)(cp_op_t *op, cp_tx_t *tx, void *data);

cp_rc_t cp_oidc_write(cp_op_t *op, cp_oidc_write_pt write, void *data)
    CP_MUST_CHECK;

/* cp_oidc_id.c: what an ID token of a login says. */
typedef struct {
    cp_user_oidc_t  user;
    int64_t         auth_ms;           /* 0: it does not say                 */
    const char     *sid;               /* NULL: none                         */
    cp_json_t      *grants;            /* [{tenant, role}]                   */
} cp_oidc_id_t;

/* nonce NULL: of a refresh, which may have none. */
cp_rc_t cp_oidc_id(cp_op_t *op, const char *token, const char *nonce,
    cp_oidc_id_t *id) CP_MUST_CHECK;

/* cp_oidc_renew.c: the job that asks the provider again for the logins of who
 * was here since, so that what happened there to their people counts. */
cp_rc_t cp_oidc_renew_job(cp_app_t *app);

/* cp_oidc_logout.c */

/* Notes `what` until then (Unix ms).  *first: nobody has before. */
cp_rc_t cp_oidc_mark(cp_op_t *op, cp_tx_t *tx, const char *what,
    int64_t until, bool *first) CP_MUST_CHECK;
/* Is it noted?  tx NULL: one of its own. */
cp_rc_t cp_oidc_marked(cp_op_t *op, cp_tx_t *tx, const char *what,
    bool *marked) CP_MUST_CHECK;
const char *cp_oidc_mark_of(cp_arena_t *a, const char *kind,
    const char *text);

/* Where a browser goes to log out there, after the login of op->session has
 * ended here; *location NULL: nowhere. */
cp_rc_t cp_oidc_leave(cp_op_t *op, const char **location) CP_MUST_CHECK;

/* For the audit log: the provider has ended a login of that person. */
cp_rc_t cp_oidc_logout_tell(cp_op_t *op, cp_tx_t *tx, const char *person)
    CP_MUST_CHECK;

/* What the provider tells of a logout: ends the logins that it means.
 * "bad_request" for a token that is none. */
cp_rc_t cp_oidc_logout(cp_op_t *op, const char *token) CP_MUST_CHECK;


#endif /* CP_OIDC_LOGIN_H */
