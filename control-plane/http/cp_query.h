/*
 * Query parameters: what is not known or not valid is 400 and named.  A
 * mistyped dry_run must not become an apply.
 *
 * Process: stoa-control, one request.
 */

#ifndef CP_QUERY_H
#define CP_QUERY_H


#include "http/cp_http.h"


/* 400 for a parameter that the row of the route does not name. */
cp_rc_t cp_query_known(cp_req_t *r) CP_MUST_CHECK;

/* A decimal number in bounds; absent: *value stays as it is. */
cp_rc_t cp_query_int(cp_req_t *r, const char *name, int64_t min, int64_t max,
    int64_t *value) CP_MUST_CHECK;

/* 1, true, 0 or false. */
cp_rc_t cp_query_flag(cp_req_t *r, const char *name, bool *value)
    CP_MUST_CHECK;

/* CP_DECLINED. */
cp_rc_t cp_query_fault(cp_req_t *r, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));


#endif /* CP_QUERY_H */
