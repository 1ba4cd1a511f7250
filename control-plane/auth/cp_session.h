/*
 * Logins: who sent the cookie.
 *
 * The cookie is 32 random bytes; the database has their SHA-256.  It changes
 * at each login and when the person's rights change; the one before is taken
 * for CP_SESSION_GRACE_MS more, for requests that were under way.
 *
 * Owner: the table `sessions`, and a cache of what was checked lately (process
 * wide, a mutex, CP_SESSION_CACHE rows, CP_SESSION_CACHE_MS each, all dropped
 * when anything about rights or people is written).  So what ends a login ends
 * it in this process at once, in others CP_SESSION_CACHE_MS later.
 * Nothing here takes the lock that orders configuration; that somebody was
 * here is written by a job, CP_SESSION_TOUCH_MS late.
 * Process: stoa-control, any thread.
 */

#ifndef CP_SESSION_H
#define CP_SESSION_H


#include "op/cp_op.h"


#define CP_SESSION_COOKIE    "__Host-stoa"
#define CP_SESSION_PLAIN     "stoa-dev"      /* with insecure_cookies       */
#define CP_SESSION_CACHE     4096
#define CP_SESSION_CACHE_MS  2000
#define CP_SESSION_GRACE_MS  10000
#define CP_SESSION_TOUCH_MS  15000
#define CP_SESSIONS_MAX      50              /* of a person; the oldest end  */


/* Of whom a request is. */
struct cp_session_s {
    const char  *id;                   /* of the login, not of the cookie    */
    const char  *person;
    const char  *how;
    int64_t      auth_ms;              /* when he proved it                  */
    int64_t      idle_ms;              /* ends then without requests         */
    int64_t      ends_ms;              /* ends then                          */
};

typedef struct {
    const char       *person;          /* id                                 */
    const char       *how;             /* "password", "oidc" ...             */
    int64_t           auth_ms;         /* 0: now                             */
    int64_t           ends_ms;         /* 0: as configured, never later      */
    const cp_json_t  *grants;          /* [{tenant, role}], tenant an id or
                                          null: of claims, beside what the
                                          person has here; NULL: none        */
    const char       *provider;        /* for back-channel logout: issuer    */
    const char       *sid;             /* ... and its session                */
    const char       *secret;          /* sealed with the login, for whoever
                                          opened it (tokens)                 */
    int64_t           refresh_ms;      /* he looks again then; 0: never      */
    const char       *address;
    const char       *agent;
} cp_session_new_t;


/* Opens one, and ends that of op->session: the id is never one from before.
 * *cookie: a whole Set-Cookie.  tx: a write. */
cp_rc_t cp_session_open(cp_op_t *op, cp_tx_t *tx, const cp_session_new_t *s,
    cp_session_t **opened, const char **cookie) CP_MUST_CHECK;

/* Whoever opened it has looked again: grants, secret, refresh_ms of s take the
 * place of those before, if it has not ended. */
cp_rc_t cp_session_renew(cp_op_t *op, cp_tx_t *tx, const char *id,
    const cp_session_new_t *s) CP_MUST_CHECK;
/* What was sealed with a login, in a tree; NULL: nothing. */
cp_json_t *cp_session_secret(cp_arena_t *a, const char *id,
    const cp_val_t *sealed);

/* Fills op->actor and op->session.  touch: the person did this, not a timer of
 * his page.  *cookie: a new one to send; NULL: none.  "unauthorized". */
cp_rc_t cp_session_check(cp_op_t *op, const char *text, bool touch,
    const char **cookie) CP_MUST_CHECK;

/* Ends one login of a person (id NULL: all, but `except`, which may be NULL).
 * *n: how many. */
cp_rc_t cp_session_end(cp_op_t *op, cp_tx_t *tx, const char *person,
    const char *id, const char *except, unsigned *n) CP_MUST_CHECK;

/* A Set-Cookie that takes the cookie away. */
const char *cp_session_gone(cp_op_t *op);
const char *cp_session_cookie_name(const cp_app_t *app);

/* After the commit of what changes logins, people or rights. */
void cp_session_forget(void);

/* A job: who was here, what has ended. */
cp_rc_t cp_session_job(cp_app_t *app);


#endif /* CP_SESSION_H */
