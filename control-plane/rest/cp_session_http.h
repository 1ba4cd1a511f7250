/*
 * Requests of browsers: the cookie, and what a page of another site may not
 * do.  Process: stoa-control, one request.
 */

#ifndef CP_SESSION_HTTP_H
#define CP_SESSION_HTTP_H


#include "http/cp_http.h"


/* Is there a cookie of ours? */
bool cp_session_sent(cp_req_t *r);

/* Who it is of; fills actor and session.  401, or 403 where the request may be
 * another site's. */
cp_rc_t cp_session_judge(cp_req_t *r) CP_MUST_CHECK;


#endif /* CP_SESSION_HTTP_H */
