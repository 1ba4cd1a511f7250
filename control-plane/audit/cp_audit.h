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
    const char       *person;      /* id of the person it is about, whose
                                      name and diff are sealed; NULL: nobody,
                                      or, where kind is "user", `id`        */
    const char       *address;     /* of the client, sealed with the person
                                      it is about or who acts; NULL: none   */
} cp_audit_event_t;


/* In the transaction of what it tells about.  An actor with a `person` has
 * his name sealed with his key. */
cp_rc_t cp_audit_append(cp_op_t *op, cp_tx_t *tx, const cp_audit_event_t *e)
    CP_MUST_CHECK;

/* In one of its own: a login that failed, a denial.  Takes no lock but its
 * chain's head. */
cp_rc_t cp_audit_event(cp_op_t *op, const cp_audit_event_t *e) CP_MUST_CHECK;

/* Puts what is sealed in a row into what is told of it; what is erased is
 * null there, beside "erased": true. */
cp_rc_t cp_audit_reveal(cp_op_t *op, cp_tx_t *tx, const char *personal,
    cp_json_t *item) CP_MUST_CHECK;

/* {tenant, ok, checked, head {seq, hash}, broken {seq, why}} */
cp_rc_t cp_audit_verify_chain(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    cp_json_t **result) CP_MUST_CHECK;

/* At start: see there. */
cp_rc_t cp_audit_rekey(cp_op_t *op, cp_tx_t *tx) CP_MUST_CHECK;



#endif /* CP_AUDIT_H */
