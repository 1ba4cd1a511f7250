/*
 * Requests of browsers: the cookie, and what a page of another site may not
 * do.  Process: stoa-control, one request.
 */

#ifndef CP_SESSION_HTTP_H
#define CP_SESSION_HTTP_H


#include "http/cp_http.h"
#include "people/cp_login.h"


/* A member of a body of ours: all are strings. */
typedef struct {
    const char  *name;                 /* NULL ends                         */
    bool         required;
    size_t       max;                  /* bytes: refused before any work    */
    size_t       offset;
} cp_member_t;


/* Is there a cookie of ours? */
bool cp_session_sent(cp_req_t *r);

/* Who it is of; fills actor and session.  401, or 403 where the request may be
 * another site's. */
cp_rc_t cp_session_judge(cp_req_t *r) CP_MUST_CHECK;

/* An object of these members, each known, none twice, into a struct. */
cp_rc_t cp_session_body(cp_req_t *r, const cp_member_t *members, void *out)
    CP_MUST_CHECK;

/* For routes that are everybody's: not another site's; who is logged in is
 * known, who is not is nobody. */
cp_rc_t cp_session_perhaps(cp_req_t *r) CP_MUST_CHECK;

/* Logs in and sends the cookie, or says how long to wait. */
cp_rc_t cp_session_login(cp_req_t *r, cp_login_t *l) CP_MUST_CHECK;

/* What is told of the login. */
cp_rc_t cp_session_show(cp_req_t *r, int status) CP_MUST_CHECK;


#endif /* CP_SESSION_HTTP_H */
