/*
 * A write and the gateways: its answer names the revision that it made, and,
 * when `?wait=` asks for it, how the gateways took it.
 *
 * Owner: the request.  Process: stoa-control.
 * Limits: CP_WAIT_MAX_S; CP_WAIT_TOLD gateways in a header.
 */

#ifndef CP_WAIT_H
#define CP_WAIT_H


#include "http/cp_http.h"


#define CP_WAIT_MAX_S  300
#define CP_WAIT_TOLD   20

typedef struct {
    int64_t       ms;                /* ?wait=; 0: no                        */
    int64_t       before;            /* the head when it began               */
    int64_t       rev;               /* what gateways must reach             */
    cp_json_t    *names;             /* ids of what it is about              */

    cp_json_t    *list;              /* [{name, rev, state}], when it ended;
                                        empty for who may not see them       */
    unsigned      away;              /* stale or offline, not waited for     */
    const char   *state;             /* of all: acked, pending or rejected   */

    int64_t       deadline;
    cp_handler_pt done;
} cp_wait_t;


/* Reads ?wait=; the transaction has not begun. */
cp_rc_t cp_wait_init(cp_req_t *r, cp_wait_t *w) CP_MUST_CHECK;
/* A record that tells of this id must not be refused by a gateway. */
void cp_wait_name(cp_req_t *r, cp_wait_t *w, const char *id);

/*
 * After the commit; r->ctx is `w`, or what begins with it.  Calls `done` when
 * the gateways have the revision or the time is over; w->list and w->state
 * are there then.
 */
cp_rc_t cp_wait_run(cp_req_t *r, cp_wait_t *w, cp_handler_pt done);

/* Is anybody waiting for gateways to reach a revision? */
bool cp_wait_any(void);


#endif /* CP_WAIT_H */
