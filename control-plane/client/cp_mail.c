/*
 * The queue of mails.
 */

#include <string.h>

#include "base/cp_metrics.h"
#include "base/cp_seal.h"
#include "client/cp_mail.h"
#include "client/cp_smtp.h"
#include "core/stoa_json.h"


#define CP_MAIL_PORTION   50             /* of one run                       */
#define CP_MAIL_LEASE_MS  120000         /* longer than an exchange takes    */
#define CP_MAIL_HOUR_MS   3600000


/* How long after a failure; with the last one it is given up. */
static const int64_t  cp_mail_backoff_s[] = {
    1, 10, 60, 300, 1800, 7200, 21600, 43200
};

#define CP_MAIL_TRIES                                                         \
    (sizeof(cp_mail_backoff_s) / sizeof(cp_mail_backoff_s[0]) + 1)


static cp_rc_t cp_mail_room(cp_op_t *op, cp_tx_t *tx, const cp_mail_t *mail,
    int64_t now);
static cp_rc_t cp_mail_due(cp_op_t *op, bool *due);
static cp_rc_t cp_mail_run(cp_op_t *op, cp_smtp_t *smtp);
static cp_rc_t cp_mail_take(cp_op_t *op, cp_rows_t *rows);
static cp_rc_t cp_mail_try(cp_op_t *op, cp_smtp_t *smtp,
    const cp_rows_t *row);
static cp_rc_t cp_mail_note(cp_op_t *op, const cp_rows_t *row,
    const char *why, bool over);
static cp_rc_t cp_mail_store(cp_op_t *op, const cp_rows_t *row,
    const char *why, const char *state);
static void cp_mail_count(const char *labels);


cp_rc_t
cp_mail_start(const cp_app_t *app, cp_err_t *err)
{
    bool              secure;
    const cp_conf_t  *conf;

    conf = &app->conf;

    if (conf->smtp_url[0] == '\0') {
        return CP_OK;
    }

    secure = strncmp(conf->smtp_url, "smtps://", 8) == 0;

    if (!secure && strncmp(conf->smtp_url, "smtp://", 7) != 0) {
        return cp_err_set(err, "validation", "smtp_url must begin with"
                          " smtp:// or smtps://");
    }

    if (strchr(conf->smtp_url, '@') != NULL) {
        return cp_err_set(err, "validation", "smtp_url holds a login: it"
                          " belongs into smtp_auth_file");
    }

    if (!cp_smtp_address(conf->smtp_from)) {
        return cp_err_set(err, "validation", "smtp_from must be an address"
                          " with smtp_url");
    }

    if (!secure && conf->smtp_auth_file[0] != '\0'
        && strcmp(conf->smtp_tls, "none") == 0)
    {
        return cp_err_set(err, "validation", "smtp_auth_file is not sent"
                          " without TLS: smtp_tls is none");
    }

    return CP_OK;
}


bool
cp_mail_on(const cp_app_t *app)
{
    return app->conf.smtp_url[0] != '\0';
}


/* UTF-8 without control characters; lines: but for those that end one. */

static bool
cp_mail_text(const char *s, size_t max, bool lines)
{
    size_t       len;
    const char  *p;

    len = strnlen(s, max + 1);

    if (len > max || !stoa_utf8_valid(s, len)) {
        return false;
    }

    for (p = s; *p != '\0'; p++) {
        if (((unsigned char) *p < 0x20 && !(lines && *p == '\n'))
            || *p == 0x7f)
        {
            return false;
        }
    }

    return true;
}


cp_rc_t
cp_mail_send(cp_op_t *op, cp_tx_t *tx, const cp_mail_t *mail)
{
    char      id[STOA_ID_LEN + 1];
    char      place[STOA_ID_LEN + 6], *sealed;
    int64_t   now;
    cp_rc_t   rc;

    if (!cp_mail_on(op->app)) {
        return cp_err_set(&op->err, "unavailable", "there is no mail server");
    }

    if (!cp_smtp_address(mail->to)) {
        return cp_err_field(&op->err, -1, 0, "to", "is no mail address");
    }

    if (!cp_mail_text(mail->subject, CP_MAIL_SUBJECT_MAX, false)
        || !cp_mail_text(mail->text, CP_MAIL_TEXT_MAX, true))
    {
        return cp_err_field(&op->err, -1, 0, "subject",
                            "is no line of text, or the text is too long");
    }

    now = cp_time_ms();
    rc = cp_mail_room(op, tx, mail, now);

    if (rc != CP_OK) {
        return rc;
    }

    cp_id_make(id);
    (void) snprintf(place, sizeof(place), "mail:%s", id);
    sealed = cp_arena_printf(op->arena, "%s\n%s", mail->subject, mail->text);
    sealed = (sealed != NULL) ? cp_seal(op->arena, place, sealed) : NULL;

    if (sealed == NULL) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    return cp_tx_query(tx, op->arena, "INSERT INTO mails (id, recipient,"
                       " sealed, state, tries, next_at, created_at,"
                       " updated_at, tenant) VALUES ($1, $2, $3, 'waiting',"
                       " 0, $4, $4, $4, $5)",
                       cp_args(cp_text(id), cp_text(mail->to),
                               cp_text(sealed), cp_int(now),
                               cp_text(mail->tenant)), NULL, &op->err);
}


static cp_rc_t
cp_mail_room(cp_op_t *op, cp_tx_t *tx, const cp_mail_t *mail, int64_t now)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, op->arena, "SELECT (SELECT COUNT(*) FROM mails"
                     " WHERE state = 'waiting'), (SELECT COUNT(*) FROM mails"
                     " WHERE recipient = $1 AND created_at > $2),"
                     " (SELECT COUNT(*) FROM mails WHERE tenant = $3"
                     " AND state = 'waiting')",
                     cp_args(cp_text(mail->to),
                             cp_int(now - CP_MAIL_HOUR_MS),
                             cp_text(mail->tenant)),
                     &rows, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (cp_cell(&rows, 0, 0)->i >= CP_MAIL_WAITING_MAX
        || cp_cell(&rows, 0, 1)->i >= CP_MAIL_HOURLY_MAX
        || cp_cell(&rows, 0, 2)->i >= CP_MAIL_TENANT_MAX)
    {
        cp_mail_count("result=\"refused\"");
        return cp_err_set(&op->err, "too_many_requests",
                          "too many mails wait, or went to this address");
    }

    return CP_OK;
}


/* ---- the job ------------------------------------------------------------ */

cp_rc_t
cp_mail_job(cp_app_t *app)
{
    bool         due;
    cp_rc_t      rc;
    cp_op_t      op;
    cp_smtp_t   *smtp;
    cp_arena_t  *a;

    a = cp_arena_create(16 * 1024 * 1024);
    if (a == NULL) {
        return CP_ERROR;
    }

    cp_op_system(&op, app, a, "mail");
    rc = cp_mail_due(&op, &due);

    if (rc == CP_OK && due) {
        smtp = cp_smtp_create(app, a);
        rc = (smtp != NULL) ? cp_mail_run(&op, smtp) : CP_ERROR;
        cp_smtp_destroy(smtp);
    }

    cp_arena_destroy(a);

    return rc;
}


/* A look that writes nothing, as most find nothing. */

static cp_rc_t
cp_mail_due(cp_op_t *op, bool *due)
{
    cp_rc_t    rc;
    int64_t    now;
    cp_tx_t   *tx;
    cp_rows_t  rows;

    now = cp_time_ms();
    *due = false;

    if (cp_tx_open(op->app->db, false, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, op->arena, "SELECT 1 FROM mails"
                     " WHERE (state = 'waiting' AND next_at <= $1)"
                     " OR (state <> 'waiting' AND updated_at < $2) LIMIT 1",
                     cp_args(cp_int(now), cp_int(now - CP_MAIL_KEEP_MS)),
                     &rows, &op->err);
    cp_tx_rollback(tx);

    *due = rc == CP_OK && rows.rows != 0 && cp_mail_on(op->app);

    return rc;
}


static cp_rc_t
cp_mail_run(cp_op_t *op, cp_smtp_t *smtp)
{
    cp_rc_t    rc;
    unsigned   i;
    cp_tx_t   *tx;
    cp_rows_t  row;

    if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, op->arena, "DELETE FROM mails"
                     " WHERE state <> 'waiting' AND updated_at < $1",
                     cp_args(cp_int(cp_time_ms() - CP_MAIL_KEEP_MS)), NULL,
                     &op->err);
    rc = cp_tx_finish(tx, rc, &op->err);

    for (i = 0; rc == CP_OK && i < CP_MAIL_PORTION; i++) {

        if (atomic_load(&op->app->stopping)) {
            break;
        }

        rc = cp_mail_take(op, &row);

        if (rc != CP_OK || row.rows == 0) {
            break;
        }

        rc = cp_mail_try(op, smtp, &row);
    }

    return rc;
}


/* One that is due, for this process alone until the lease is over. */

static cp_rc_t
cp_mail_take(cp_op_t *op, cp_rows_t *rows)
{
    cp_rc_t   rc;
    int64_t   now;
    cp_tx_t  *tx;

    now = cp_time_ms();

    if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, op->arena, "UPDATE mails SET tries = tries + 1,"
                     " next_at = $2, updated_at = $1 WHERE state = 'waiting'"
                     " AND next_at <= $1 AND id = (SELECT id FROM mails"
                     " WHERE state = 'waiting' AND next_at <= $1"
                     " ORDER BY next_at LIMIT 1)"
                     " RETURNING id, recipient, sealed, tries",
                     cp_args(cp_int(now), cp_int(now + CP_MAIL_LEASE_MS)),
                     rows, &op->err);

    return cp_tx_finish(tx, rc, &op->err);
}


static cp_rc_t
cp_mail_try(cp_op_t *op, cp_smtp_t *smtp, const cp_rows_t *row)
{
    bool             never;
    char            *text;
    const char      *why;
    cp_smtp_mail_t   mail;

    mail.id = cp_cell(row, 0, 0)->p;
    mail.to = cp_cell(row, 0, 1)->p;
    text = cp_unseal(op->arena, cp_arena_printf(op->arena, "mail:%s", mail.id),
                     cp_cell(row, 0, 2)->p);
    mail.subject = text;
    text = (text != NULL) ? strchr(text, '\n') : NULL;

    if (text == NULL) {
        return cp_mail_note(op, row, "its text cannot be opened", true);
    }

    *text++ = '\0';
    mail.text = text;
    why = cp_smtp_send(smtp, &mail, &never);

    /* the end of the process is no failure: the next one takes it */

    return why != NULL && atomic_load(&op->app->stopping)
           ? CP_OK
           : cp_mail_note(op, row, why,
                          why == NULL || never
                          || cp_cell(row, 0, 3)->i
                             >= (int64_t) CP_MAIL_TRIES);
}


static cp_rc_t
cp_mail_note(cp_op_t *op, const cp_rows_t *row, const char *why, bool over)
{
    int      n;
    cp_rc_t  rc;
    int64_t  tries;

    tries = cp_cell(row, 0, 3)->i;

    cp_mail_count(why == NULL ? "result=\"sent\""
                  : over ? "result=\"failed\"" : "result=\"again\"");

    if (why != NULL) {
        cp_log(over ? CP_LOG_ERROR : CP_LOG_WARN, "mail", "%s id:%s tries:%d"
               " why:%s", over ? "given up" : "not sent yet",
               cp_cell(row, 0, 0)->p, (int) tries, why);
    }

    /* what is not noted would be sent again */

    for (n = 0, rc = CP_CONFLICT; rc == CP_CONFLICT && n < CP_OP_RETRIES; n++)
    {
        rc = cp_mail_store(op, row, why, over ? "failed" : "waiting");
    }

    return rc;
}


static cp_rc_t
cp_mail_store(cp_op_t *op, const cp_rows_t *row, const char *why,
    const char *state)
{
    cp_rc_t   rc;
    int64_t   now, tries;
    cp_tx_t  *tx;

    tries = cp_cell(row, 0, 3)->i;
    now = cp_time_ms();

    if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    /* not if somebody else has it by now */

    rc = cp_tx_query(tx, op->arena, "UPDATE mails SET state = $3, error = $4,"
                     " next_at = $5, updated_at = $6, sealed = CASE"
                     " WHEN $3 = 'waiting' THEN sealed END"
                     " WHERE id = $1 AND tries = $2 AND state = 'waiting'",
                     cp_args(*cp_cell(row, 0, 0), cp_int(tries),
                             cp_text(why == NULL ? "sent" : state),
                             cp_text(why),
                             cp_int(strcmp(state, "waiting") != 0 ? now
                                    : now + 1000
                                      * cp_mail_backoff_s[tries - 1]),
                             cp_int(now)),
                     NULL, &op->err);

    return cp_tx_finish(tx, rc, &op->err);
}


static void
cp_mail_count(const char *labels)
{
    cp_metric_add(cp_metric(CP_METRIC_COUNTER, "stoa_control_mails_total",
                            labels, "Tries to send a mail, and mails that"
                            " found no place in the queue."), 1);
}
