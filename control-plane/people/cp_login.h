/*
 * Logging in with a name (or a mail) and a password.
 *
 * Whoever fails waits: by name and address together first, then by address,
 * then by name, each with its own bound (the table in cp_login.c), so that
 * nobody is locked out for ever and nobody's guesses are free.  All is counted
 * for names that are nobody's, too; a wrong password, an unknown
 * name, a disabled person and one of an OIDC provider have one answer, which
 * takes one time.  While one has to wait nothing is checked.
 *
 * A browser that this name was logged in with before has a cookie that says
 * so (sealed, CP_LOGIN_KNOWN_S): its failures are counted by that cookie and
 * nothing else.  So who has many addresses cannot keep the person out of it,
 * and who has the cookie has no more guesses than an address.
 *
 * Owner: table login_tries, a row per name, address and pair that failed
 * within CP_LOGIN_KEEP_MS.  An address cannot make more than its own bound
 * lets it.  Process: stoa-control, a worker thread.
 */

#ifndef CP_LOGIN_H
#define CP_LOGIN_H


#include "op/cp_op.h"


#define CP_LOGIN_KEEP_MS  3600000      /* without another failure           */
#define CP_LOGIN_KNOWN_S  15552000     /* 180 d: a browser stays known       */

typedef struct cp_login_s  cp_login_t;

struct cp_login_s {
    const char  *name;
    const char  *password;
    const char  *code;                 /* of the second factor, or to recover
                                          from its loss; NULL: none         */
    const char  *new_password;         /* NULL: stays                       */
    bool         others;               /* end the other logins, too         */
    cp_rc_t    (*more)(cp_op_t *op, cp_tx_t *tx, cp_login_t *l);
                                       /* what it is for, in its transaction;
                                          NULL: nothing                     */
    const char  *person;               /* for more: id                      */
    cp_json_t   *said;                 /* more's answer                     */
    const char  *address;              /* of the client; NULL: unknown      */
    const char  *agent;
    const char  *known;                /* its cookie; NULL: none            */
    const char  *cookie;               /* out: a Set-Cookie                 */
    const char  *know;                 /* out: another one, for `known`     */
    cp_session_t  *session;            /* out                               */
    int64_t      retry_s;              /* out: with "too_many_requests"     */
};

cp_rc_t cp_login(cp_op_t *op, cp_login_t *l) CP_MUST_CHECK;
const char *cp_login_known_name(const cp_app_t *app);

/* Counts what an address may do without a login, by a name of the kind:
 * "too_many_requests", and *retry_s. */
cp_rc_t cp_login_spend(cp_op_t *op, const char *kind, const char *address,
    int64_t *retry_s) CP_MUST_CHECK;

/* A job: attempts that count no more. */
cp_rc_t cp_login_job(cp_app_t *app);


#endif /* CP_LOGIN_H */
