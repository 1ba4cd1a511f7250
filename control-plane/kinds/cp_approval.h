/*
 * Approvals: a call of a tool that waits until a person has said yes.
 *
 * A gateway asks with each such call; what it is told is decided here, under
 * the feed's lock, so that an approval lets one call pass, whichever gateway
 * and worker asks, and none while nobody can be asked.
 *
 * Process: stoa-control.  Limits: arguments CP_APPROVAL_ARGS_MAX; what is over
 * is kept CP_APPROVAL_KEEP_MS, CP_APPROVAL_KEEP of a tenant.
 */

#ifndef CP_APPROVAL_H
#define CP_APPROVAL_H


#include "kinds/cp_kinds.h"


#define CP_APPROVAL_ARGS_MAX  65536
#define CP_APPROVAL_KEEP_MS   (INT64_C(30) * 86400000)
#define CP_APPROVAL_KEEP      10000


typedef enum { CP_APPROVAL_WAITS, CP_APPROVAL_RUN, CP_APPROVAL_READY,
    CP_APPROVAL_DENIED, CP_APPROVAL_FULL } cp_approval_e;

/* What is asked, members checked; and what is told. */
typedef struct {
    const cp_json_t  *in;
    bool              look;        /* nothing is made, nothing used         */
    cp_approval_e     says;
    const char       *id;          /* NULL: there is none                   */
    const char       *reason;      /* NULL: none                            */
    int64_t           expires_ms;
} cp_approval_ask_t;

/* In a transaction for writing, but to look; op's actor is a gateway. */
cp_rc_t cp_approval_ask(cp_op_t *op, cp_tx_t *tx, cp_approval_ask_t *ask)
    CP_MUST_CHECK;

/* A job: removes what is over for long. */
cp_rc_t cp_approval_job(cp_app_t *app);


#endif /* CP_APPROVAL_H */
