/*
 * From login_news to the chains.
 */

#include <string.h>

#include "audit/cp_audit.h"
#include "feed/cp_feed.h"
#include "people/cp_news.h"


#define CP_NEWS_PORTION  200

/* Failures wait for their minute to end. */
#define CP_NEWS_FROM  " FROM login_news WHERE minute < $1"                    \
                      " OR action <> 'login_failed'"


static cp_rc_t cp_news_tell(cp_op_t *op, cp_tx_t *tx, const cp_rows_t *rows,
    unsigned i);
static cp_rc_t cp_news_portion(cp_app_t *app, unsigned *n);


cp_rc_t
cp_news_job(cp_app_t *app)
{
    cp_rc_t   rc;
    unsigned  n;

    do {
        rc = cp_news_portion(app, &n);
    } while (rc == CP_OK && n == CP_NEWS_PORTION
             && !atomic_load(&app->stopping));

    return rc;
}


/* The lock is taken only when there is something to tell. */
static cp_rc_t
cp_news_some(cp_op_t *op, cp_tx_t *tx, unsigned *n)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, op->arena, "SELECT 1" CP_NEWS_FROM " LIMIT 1",
                     cp_args(cp_int(cp_time_ms() / 60000)), &rows, &op->err);
    *n = rc == CP_OK ? rows.rows : 0;

    return rc;
}


static cp_rc_t
cp_news_write(cp_op_t *op, cp_tx_t *tx, unsigned *n)
{
    cp_rc_t    rc;
    unsigned   i;
    cp_rows_t  rows;

    rc = cp_feed_lock(tx, op->arena, &op->err);

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, op->arena, "DELETE FROM login_news WHERE"
                         " (minute, person, action, detail) IN (SELECT"
                         " minute, person, action, detail" CP_NEWS_FROM
                         " ORDER BY minute, first_at LIMIT $2)"
                         " RETURNING person, tenant, name, action, detail,"
                         " address, request_id, first_at, times",
                         cp_args(cp_int(cp_time_ms() / 60000),
                                 cp_int(CP_NEWS_PORTION)), &rows, &op->err);
    }

    for (i = 0; rc == CP_OK && i < rows.rows; i++) {
        rc = cp_news_tell(op, tx, &rows, i);
    }

    *n = rc == CP_OK ? rows.rows : 0;

    return rc;
}


static cp_rc_t
cp_news_portion(cp_app_t *app, unsigned *n)
{
    int          write;
    cp_rc_t      rc;
    cp_op_t      op;
    cp_tx_t     *tx;
    cp_arena_t  *a;

    *n = 0;
    a = cp_arena_create(16 * 1024 * 1024);

    if (a == NULL) {
        return CP_ERROR;
    }

    for (write = 0, rc = CP_OK; write < 2 && rc == CP_OK; write++) {

        cp_op_system(&op, app, a, "logins");
        rc = cp_tx_begin(app->db, write, &tx);

        if (rc != CP_OK) {
            break;
        }

        rc = write ? cp_news_write(&op, tx, n) : cp_news_some(&op, tx, n);
        rc = cp_tx_finish(tx, rc, &op.err);

        if (*n == 0) {
            break;
        }
    }

    cp_arena_destroy(a);

    return rc;
}


static cp_rc_t
cp_news_tell(cp_op_t *op, cp_tx_t *tx, const cp_rows_t *rows, unsigned i)
{
    int64_t           times;
    cp_json_t        *diff;
    const char       *detail, *address;
    cp_audit_event_t  e;

    detail = cp_cell(rows, i, 4)->p;
    address = cp_cell(rows, i, 5)->p;
    times = cp_cell(rows, i, 8)->i;

    diff = cp_json_object(op->arena);
    cp_json_put(op->arena, diff, "at",
                cp_time_format(op->arena, cp_cell(rows, i, 7)->i));
    cp_json_put(op->arena, diff, "what", detail);

    if (times > 1) {
        cp_json_put_int(op->arena, diff, "times", times);
    }

    memset(&e, 0, sizeof(e));
    e.id = cp_cell(rows, i, 0)->p;
    e.tenant = cp_cell(rows, i, 1)->p;
    e.name = cp_cell(rows, i, 2)->p;
    e.action = cp_cell(rows, i, 3)->p;
    e.kind = "user";
    e.diff = diff;
    e.address = *address ? address : NULL;

    /* it was the person that did it, in a request of his */

    op->actor.id = e.id;
    op->actor.name = e.name;
    op->actor.person = *e.id ? e.id : NULL;
    op->actor.how = *e.id ? CP_AUTH_USER : CP_AUTH_NONE;
    (void) snprintf(op->request_id, sizeof(op->request_id), "%s",
                    cp_cell(rows, i, 6)->p);

    return cp_audit_append(op, tx, &e);
}
