/*
 * From login_news to the chains.
 */

#include <string.h>

#include "audit/cp_audit.h"
#include "people/cp_news.h"


#define CP_NEWS_PORTION  200

/* Failures wait for their minute to end. */
#define CP_NEWS_FROM  " FROM login_news WHERE minute < $1"                    \
                      " OR action <> 'login_failed'"


static cp_rc_t cp_news_read(cp_op_t *op, cp_rows_t *rows);
static cp_rc_t cp_news_write(cp_op_t *op, const cp_rows_t *rows, unsigned i);
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


static cp_rc_t
cp_news_read(cp_op_t *op, cp_rows_t *rows)
{
    cp_rc_t   rc;
    cp_tx_t  *tx;

    if (cp_tx_open(op->app->db, false, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, op->arena, "SELECT person, tenant, name, action,"
                     " detail, address, request_id, first_at, times, minute"
                     CP_NEWS_FROM " ORDER BY minute, first_at LIMIT $2",
                     cp_args(cp_int(cp_time_ms() / 60000),
                             cp_int(CP_NEWS_PORTION)), rows, &op->err);
    cp_tx_rollback(tx);

    return rc;
}


/*
 * A row is a transaction: its chain's head is all that it waits for, so that
 * it waits for no configuration, and with one head nobody waits in a circle.
 * What was erased meanwhile, told by another process or counted on is not
 * what was read: nothing is told.
 */
static cp_rc_t
cp_news_write(cp_op_t *op, const cp_rows_t *rows, unsigned i)
{
    cp_rc_t    rc;
    cp_tx_t   *tx;
    cp_rows_t  gone;

    if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_news_tell(op, tx, rows, i);

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, op->arena, "DELETE FROM login_news"
                         " WHERE minute = $1 AND person = $2 AND action = $3"
                         " AND detail = $4 AND times = $5 RETURNING minute",
                         cp_args(*cp_cell(rows, i, 9), *cp_cell(rows, i, 0),
                                 *cp_cell(rows, i, 3), *cp_cell(rows, i, 4),
                                 *cp_cell(rows, i, 8)), &gone, &op->err);
    }

    if (rc == CP_OK && gone.rows == 0) {
        cp_tx_rollback(tx);
        return CP_OK;
    }

    return cp_tx_finish(tx, rc, &op->err);
}


static cp_rc_t
cp_news_portion(cp_app_t *app, unsigned *n)
{
    cp_rc_t      rc;
    cp_op_t      op;
    unsigned     i;
    cp_rows_t    rows;
    cp_arena_t  *a;

    *n = 0;
    a = cp_arena_create(16 * 1024 * 1024);

    if (a == NULL) {
        return CP_ERROR;
    }

    cp_op_system(&op, app, a, "logins");
    rc = cp_news_read(&op, &rows);

    for (i = 0; rc == CP_OK && i < rows.rows
                && !atomic_load(&app->stopping); i++)
    {
        rc = cp_news_write(&op, &rows, i);
        *n = i + 1;
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
