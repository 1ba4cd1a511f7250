/*
 * Mail, by SMTP: a mail is put into a table inside of the transaction of what
 * it tells of, and a job sends it.  Nobody waits for a mail server, and what
 * is rolled back sends nothing.
 *
 * Texts are sealed while they wait, as they may hold an invitation, and are
 * removed once they are sent or given up.  A mail goes out at least once: a
 * process that ends between sending and noting it lets the next one send it
 * again, with the same Message-ID.
 *
 * Owner: the table `mails`.  Process: stoa-control, any thread; the job has
 * its own.  Limits: the constants below.
 */

#ifndef CP_MAIL_H
#define CP_MAIL_H


#include "op/cp_op.h"


#define CP_MAIL_SUBJECT_MAX  200           /* bytes                          */
#define CP_MAIL_TEXT_MAX     16384
#define CP_MAIL_WAITING_MAX  10000         /* in all                         */
#define CP_MAIL_TENANT_MAX   500           /* that wait of a tenant          */
#define CP_MAIL_HOURLY_MAX   60            /* to one address                 */
#define CP_MAIL_KEEP_MS      (INT64_C(7) * 86400000)

typedef struct {
    const char  *tenant;           /* id, whose it is; NULL: the platform's  */
    const char  *to;               /* local@domain, ASCII                    */
    const char  *subject;          /* UTF-8, one line                        */
    const char  *text;             /* UTF-8, lines end by \n                 */
} cp_mail_t;


/* Once, before any thread: the options fit together. */
cp_rc_t cp_mail_start(const cp_app_t *app, cp_err_t *err) CP_MUST_CHECK;

/* Is there a mail server?  Without one nothing is ever queued. */
bool cp_mail_on(const cp_app_t *app);

/*
 * Queues a mail in this transaction.  CP_DECLINED before anything was written
 * (the transaction goes on): "validation" for an address or a subject that is
 * none, "too_many_requests" at a limit, "unavailable" without a mail server.
 */
cp_rc_t cp_mail_send(cp_op_t *op, cp_tx_t *tx, const cp_mail_t *mail)
    CP_MUST_CHECK;

/* A job: sends what is due. */
cp_rc_t cp_mail_job(cp_app_t *app);


#endif /* CP_MAIL_H */
