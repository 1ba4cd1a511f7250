/*
 * A request that asks gateways: it is parked while they answer, for
 * CP_QUESTION_MS at most.
 *
 * Process: stoa-control.  Lifetime: the request, whose ctx it has.
 */

#ifndef CP_ASKED_H
#define CP_ASKED_H


#include "feed/cp_question.h"
#include "rest/cp_rest.h"


typedef struct cp_asked_way_s  cp_asked_way_t;

struct cp_asked_way_s {
    /* Is what has come enough?  NULL: all of them are wanted. */
    bool     (*enough)(const cp_question_t *q);
    cp_rc_t  (*answer)(cp_req_t *r, const cp_question_t *q, void *data);
    void      *data;
};


/* Asks about the tenant of the path; group: a name or an id, NULL: any. */
cp_rc_t cp_asked_begin(cp_req_t *r, const cp_json_t *question,
    const char *group, const cp_asked_way_t *way);
/* 404: what nobody has, and how many were asked. */
cp_rc_t cp_asked_none(cp_req_t *r, const cp_question_t *q, const char *what);


#endif /* CP_ASKED_H */
