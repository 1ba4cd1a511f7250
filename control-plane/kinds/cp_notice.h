/*
 * Notices: what a tenant is told, in a list and by mail where it wants that.
 *
 * A notice is written in the transaction of what it tells of; `once` makes one
 * of what two processes, or one twice, would tell.
 *
 * Owner: the tables notice*.  Process: stoa-control, any thread; the job has
 * its own.  Limits: CP_NOTICE_KEEP of a tenant, CP_NOTICE_KEEP_MS.
 */

#ifndef CP_NOTICE_H
#define CP_NOTICE_H


#include "kinds/cp_kinds.h"


#define CP_NOTICE_KEEP     1000
#define CP_NOTICE_KEEP_MS  (INT64_C(90) * 86400000)

typedef enum {
    CP_NOTICE_APPROVED, CP_NOTICE_REJECTED, CP_NOTICE_SUSPENDED,
    CP_NOTICE_RESUMED, CP_NOTICE_REVOKED, CP_NOTICE_SUB_EXPIRING,
    CP_NOTICE_KEY_EXPIRING, CP_NOTICE_ROTATED, CP_NOTICE_LEAKED,
    CP_NOTICE_NEAR_LIMIT, CP_NOTICE_MOVED, CP_NOTICE_API_DEPRECATED,
    CP_NOTICE_API_ENDING, CP_NOTICE_API_RETIRED, CP_NOTICE_PLAN_DEPRECATED,
    CP_NOTICE_HANDOVER_ASKED, CP_NOTICE_HANDOVER_DECIDED,
    CP_NOTICES
} cp_notice_e;

/* Is the address `mail` (of SQL) one that somebody active of the tenant has
 * proved, or a provider for him? */
#define CP_NOTICE_MEMBER(mail, tenant)                                        \
    "EXISTS (SELECT 1 FROM users u WHERE u.state = 'active'"                  \
    " AND (u.mail_key = LOWER(" mail ") OR (u.issuer IS NOT NULL"             \
    " AND LOWER(u.mail) = LOWER(" mail "))) AND (u.tenant = " tenant          \
    " OR EXISTS (SELECT 1 FROM role_bindings b WHERE b.\"user\" = u.id"       \
    " AND b.tenant = " tenant ")))"

typedef struct {
    cp_notice_e   kind;
    const char   *tenant;          /* id                                     */
    const char   *about;           /* kind of a resource                     */
    const char   *id;              /* its id                                 */
    const char   *once;            /* NULL: it is told each time             */
    const char   *text;            /* a sentence                             */
} cp_notice_t;


extern const char *const  cp_notice_kinds[CP_NOTICES + 1];   /* NULL ends    */

cp_rc_t cp_notice_add(cp_op_t *op, cp_tx_t *tx, const cp_notice_t *n)
    CP_MUST_CHECK;

/* What an event of a subscription, by its row, tells its consumer. */
cp_rc_t cp_notice_subscription(cp_op_t *op, cp_tx_t *tx, const char *event,
    const cp_json_t *sub, const char *reason) CP_MUST_CHECK;
cp_rc_t cp_notice_rotated(cp_op_t *op, cp_tx_t *tx, const cp_json_t *old)
    CP_MUST_CHECK;

/* What became of an api or a plan, by its row: to all who subscribe to it. */
cp_rc_t cp_notice_subscribers(cp_op_t *op, cp_tx_t *tx, cp_notice_e kind,
    const cp_json_t *row) CP_MUST_CHECK;

/* A job: ends that come near, limits that are nearly reached. */
cp_rc_t cp_notice_job(cp_app_t *app);


#endif /* CP_NOTICE_H */
