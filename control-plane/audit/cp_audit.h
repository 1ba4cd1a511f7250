/*
 * The audit log: append only, one hash chain per tenant ('' is the
 * platform's), written in the transaction of what it tells about.
 *
 * hash(n) = SHA-256 of the canonical JSON list of every other column of row n,
 * hash(n - 1) among them.  audit_head says where each chain ends and carries
 * an HMAC keyed by the pepper (a fixed key without one), so that a cut tail or
 * a chain that was computed anew shows.
 *
 * Process: stoa-control, any thread.  Lock order: after the feed's lock.
 * Limits: `diff` CP_AUDIT_DIFF_MAX bytes, longer ones are told by digest.
 */

#ifndef CP_AUDIT_H
#define CP_AUDIT_H


#include "op/cp_op.h"


#define CP_AUDIT_DIFF_MAX   (256 * 1024)

typedef struct {
    const char       *tenant;      /* id, NULL: the platform                */
    const char       *action;      /* "create", "update", "delete", an event */
    const char       *kind;
    const char       *id;
    const char       *name;        /* NULL: none                            */
    const cp_json_t  *diff;        /* without secrets; NULL: none           */
    const char       *actor;       /* NULL: the operation's; a chain that
                                      may not know who it was has a word    */
} cp_audit_event_t;


cp_rc_t cp_audit_append(cp_op_t *op, cp_tx_t *tx, const cp_audit_event_t *e)
    CP_MUST_CHECK;

/* {tenant, ok, checked, head {seq, hash}, broken {seq, why}} */
cp_rc_t cp_audit_verify_chain(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    cp_json_t **result) CP_MUST_CHECK;

/* At start: see there. */
cp_rc_t cp_audit_rekey(cp_op_t *op, cp_tx_t *tx) CP_MUST_CHECK;



#endif /* CP_AUDIT_H */
