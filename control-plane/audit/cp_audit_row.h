/*
 * A row of the log, for those who write, prove and sign it.
 */

#ifndef CP_AUDIT_ROW_H
#define CP_AUDIT_ROW_H


#include "audit/cp_audit.h"


#define CP_AUDIT_COLUMNS                                                      \
    "tenant, seq, at, actor_kind, actor_id, actor_name, action, kind,"        \
    " resource, resource_name, diff, request_id, prev_hash, hash, personal"

enum { A_TENANT, A_SEQ, A_AT, A_ACTOR_KIND, A_ACTOR_ID, A_ACTOR_NAME,
    A_ACTION, A_KIND, A_RESOURCE, A_RESOURCE_NAME, A_DIFF, A_REQUEST_ID,
    A_PREV_HASH, A_HASH, A_PERSONAL, A_N };

/* Reads a chain's rows in order. */
typedef struct {
    int64_t       seq;             /* of the last row read                  */
    char          hash[65];        /* and its hash                          */
    int64_t       checked;
    int64_t       broken;          /* 0: whole so far                       */
    const char   *why;
    const struct cp_mark_s  *mark; /* NULL: no checkpoint                   */
    stoa_buf_t    buf;
} cp_audit_walk_t;

/* The callback of cp_tx_each() for CP_AUDIT_COLUMNS. */
cp_rc_t cp_audit_walk(void *ctx, const cp_val_t *row, unsigned cols);

bool cp_audit_hash(stoa_buf_t *b, const cp_val_t *row, char hash[65]);

/* NULL: seq, hash and mac of a head's row agree. */
const char *cp_audit_mac_fault(cp_op_t *op, const char *tenant,
    const cp_rows_t *head, unsigned row);


#endif /* CP_AUDIT_ROW_H */
