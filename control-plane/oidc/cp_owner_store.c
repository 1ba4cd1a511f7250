/*
 * Owners of applications: what is known of them.
 */

#include <string.h>

#include "feed/cp_feed.h"
#include "kinds/cp_kinds.h"
#include "oidc/cp_owner.h"


/* One statement of its own; nothing of it orders configuration. */
cp_rc_t
cp_owner_write(cp_app_t *app, cp_arena_t *a, const char *sql,
    const cp_val_t *args, unsigned nargs, cp_rows_t *rows)
{
    cp_rc_t   rc;
    cp_tx_t  *tx;

    rc = cp_tx_begin(app->db, true, &tx);

    if (rc == CP_OK) {
        rc = cp_tx_finish(tx, cp_tx_query(tx, a, sql, args, nargs, rows,
                                          NULL), NULL);
    }

    return rc;
}


cp_rc_t
cp_owner_load(cp_look_t *look, bool pending)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    unsigned     i;
    cp_json_t   *owner, *seen;
    cp_rows_t    rows;
    cp_tied_t   *t;
    cp_arena_t  *a = look->arena;

    rc = cp_tx_begin(look->app->db, false, &tx);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_tx_query(tx, a, pending
                     ? "SELECT id, owner, owner_seen FROM applications WHERE"
                       " owner_seen = '{\"state\":\"pending\"}' ORDER BY id"
                       " LIMIT $1"
                     : "SELECT id, owner, owner_seen FROM applications WHERE"
                       " owner IS NOT NULL ORDER BY id LIMIT $1",
                     cp_args(cp_int(pending ? CP_OWNER_DIRECT + 1
                                    : CP_OWNERS_MAX)), &rows, NULL);
    cp_tx_rollback(tx);

    if (rc != CP_OK) {
        return rc;
    }

    look->tied = cp_arena_alloc(a, (rows.rows + 1) * sizeof(cp_tied_t));

    for (i = 0; look->tied && i < rows.rows; i++) {
        t = &look->tied[look->n];
        t->app = cp_cell(&rows, i, 0)->p;
        t->owner = cp_cell(&rows, i, 1)->p;

        if (cp_json_parse(a, t->owner, strlen(t->owner), &owner, NULL)
            != CP_OK
            || cp_cell(&rows, i, 2)->type != CP_VAL_TEXT
            || cp_json_parse(a, cp_cell(&rows, i, 2)->p,
                             cp_cell(&rows, i, 2)->len, &seen, NULL) != CP_OK)
        {
            continue;
        }

        t->seen = cp_cell(&rows, i, 2)->p;
        t->client = cp_json_str(owner, "client") != NULL;
        t->name = cp_json_str(owner, t->client ? "client" : "user");
        t->group = cp_json_str(owner, "group");
        t->id = cp_json_str(seen, "id");
        t->was = cp_json_str(seen, "state");
        look->n += t->name && t->was;
    }

    return look->tied ? CP_OK : CP_ERROR;
}


/* Is there something to store? */
static bool
cp_owner_changed(const cp_tied_t *t)
{
    return t->now && !t->open && (t->found || strcmp(t->now, t->was) != 0);
}


static bool
cp_owner_is(cp_arena_t *a, const cp_json_t *row, const char *name,
    const char *text)
{
    const cp_json_t  *m = cp_json_get(row, name);

    return m && strcmp(cp_json_text(a, m, NULL), text) == 0;
}


/* What is said of one, if it is still tied to the same. */
static cp_rc_t
cp_owner_store(cp_op_t *op, cp_tx_t *tx, cp_look_t *look, cp_tied_t *t)
{
    cp_rc_t            rc;
    cp_json_t         *row, *obj, *in, *seen, *v;
    cp_entry_t         e;
    cp_write_t         w = cp_write_of(op, tx, &cp_res_application);
    cp_arena_t        *a = op->arena;
    const char        *tenant;
    const cp_field_t  *f;

    rc = cp_row_load(tx, a, &cp_res_application, t->app, &row, &op->err);

    if (rc != CP_OK || row == NULL
        || !cp_owner_is(a, row, "owner", t->owner))
    {
        return rc;
    }

    /* a replica that was held up is not told of here, nor is it the newest */

    if (!cp_owner_is(a, row, "owner_seen", t->seen)) {
        look->late = true;
        return CP_OK;
    }

    tenant = cp_json_str(row, "tenant");
    rc = cp_resource_get(tx, a, &cp_res_application, tenant, t->app, &obj,
                         &op->err);
    in = cp_json_object(a);
    seen = cp_json_object(a);

    if (rc != CP_OK || in == NULL || seen == NULL) {
        return rc != CP_OK ? rc : CP_ERROR;
    }

    for (f = cp_res_application.fields; f->name; f++) {
        v = cp_json_get(obj, f->name);

        if (v && (f->flags & CP_READONLY) == 0) {
            cp_json_set(a, in, f->name, cp_json_copy(a, v));
        }
    }

    cp_json_put(a, seen, "state", t->now);

    if (t->id) {
        cp_json_put(a, seen, "id", t->id);
    }

    cp_json_put(a, seen, "since", cp_time_format(a, cp_time_ms()));
    cp_json_set(a, in, "owner_seen", seen);
    t->stored = cp_arena_strdup(look->arena, cp_json_text(a, seen, NULL));
    cp_json_put_bool(a, in, "disowned", strcmp(t->now, "active") != 0);
    w.id = t->app;
    w.in = in;

    return cp_entry_update(&w, &e);
}


/* Some of what has changed, in one transaction. */
static cp_rc_t
cp_owner_batch(cp_look_t *look, unsigned *from)
{
    cp_rc_t      rc;
    cp_op_t      op;
    cp_tx_t     *tx;
    unsigned     i, n;
    cp_tied_t   *t;
    cp_arena_t  *a;

    a = cp_arena_create(CP_OWNER_ARENA);
    if (a == NULL) {
        return CP_ERROR;
    }

    cp_op_system(&op, look->app, a, "owners");
    cp_resource_defer(&op);
    n = 0;
    i = *from;
    rc = cp_tx_begin(look->app->db, true, &tx);

    if (rc == CP_OK) {
        rc = cp_feed_lock(tx, a, &op.err);

        for (/* void */; rc == CP_OK && i < look->n && n < CP_OWNER_BATCH;
             i++)
        {
            t = &look->tied[i];

            if (cp_owner_changed(t)) {
                rc = cp_owner_store(&op, tx, look, t);
                n++;
            }
        }

        if (rc == CP_OK) {
            rc = cp_resource_flush(&op, tx);
        }

        rc = cp_tx_finish(tx, rc, &op.err);
    }

    if (rc == CP_OK) {
        *from = i;

    } else if (rc != CP_CONFLICT) {
        cp_log(CP_LOG_ERROR, "owner", "cannot be stored code:%s %s",
               op.err.code ? op.err.code : "-",
               op.err.detail ? op.err.detail : "");
    }

    cp_arena_destroy(a);

    return rc;
}


cp_rc_t
cp_owner_store_all(cp_look_t *look)
{
    cp_rc_t   rc;
    unsigned  i, tries, changed;

    for (i = 0, changed = 0; i < look->n; i++) {
        changed += cp_owner_changed(&look->tied[i]);
    }

    if (changed == 0) {
        return CP_OK;
    }

    for (i = 0, tries = 0, rc = CP_OK;
         i < look->n && tries < CP_OP_RETRIES && rc != CP_ERROR
         && rc != CP_DECLINED;
         /* void */)
    {
        rc = cp_owner_batch(look, &i);
        tries = rc == CP_OK ? 0 : tries + 1;
        look->alive(look->ctx);
        look->app->wake(look->app);
    }

    for (i = 0; i < look->n && rc == CP_OK; i++) {
        if (look->tied[i].now && !look->tied[i].open) {
            look->tied[i].seen = look->tied[i].stored ? look->tied[i].stored
                                                      : look->tied[i].seen;
            look->tied[i].was = look->tied[i].now;
            look->tied[i].found = false;
        }
    }

    cp_log(CP_LOG_INFO, "owner", "stored changed:%u", changed);

    return rc;
}
