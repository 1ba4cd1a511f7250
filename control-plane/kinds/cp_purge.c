/*
 * Purges of kept answers.  Times are milliseconds since the epoch, made to
 * grow: an answer is older than a purge if its fetch began before that was
 * there, and gateways compare nothing but these times.
 */

#include <string.h>

#include "kinds/cp_kind.h"
#include "kinds/cp_purge.h"


static cp_rc_t cp_purge_read(cp_tx_t *tx, cp_arena_t *a, const char *api,
    cp_json_t **body, cp_err_t *err);


cp_rc_t
cp_purge_add(cp_tx_t *tx, cp_arena_t *a, const char *api,
    const cp_json_t *items, cp_err_t *err)
{
    cp_rc_t           rc;
    int64_t           at, floor, n;
    cp_json_t        *body, *kept, *m, *item;
    const cp_json_t  *ask;

    rc = cp_purge_read(tx, a, api, &body, err);
    if (rc != CP_OK) {
        return rc;
    }

    at = cp_time_ms();
    floor = 0;
    n = 0;
    kept = cp_json_array(a);

    if (body) {
        floor = cp_json_num(body, "floor_ms", 0);
        n = cp_json_num(body, "at_ms", 0);
        at = at > n ? at : n + 1;
        kept = cp_json_get(body, "items");
    }

    for (ask = items->first; ask; ask = ask->next) {

        if (strcmp(cp_json_str(ask, "kind"), "all") == 0) {
            floor = at;
            break;
        }

        item = cp_json_copy(a, ask);
        cp_json_put_int(a, item, "at_ms", at);
        cp_json_push(kept, item);
    }

    for (m = kept->first, n = 0; m; m = m->next) {
        n++;
    }

    for (m = kept->first; m && n > STOA_PURGES_MAX; m = m->next, n--) {
        floor = cp_json_num(m, "at_ms", 0);
    }

    /* what is older than the floor is forgotten anyway */

    body = cp_json_array(a);

    for (m = kept->first; m; m = m->next) {
        if (cp_json_num(m, "at_ms", 0) > floor) {
            cp_json_push(body, cp_json_copy(a, m));
        }
    }

    return cp_tx_query(tx, a, "INSERT INTO cache_purges (api, at_ms, floor_ms,"
                       " items) VALUES ($1, $2, $3, $4) ON CONFLICT (api)"
                       " DO UPDATE SET at_ms = excluded.at_ms,"
                       " floor_ms = excluded.floor_ms, items = excluded.items",
                       cp_args(cp_text(api), cp_int(at), cp_int(floor),
                               cp_text(cp_json_text(a, body, NULL))), NULL,
                       err);
}


cp_rc_t
cp_purge_feed(cp_tx_t *tx, cp_arena_t *a, const char *api,
    const char *groups, bool served, cp_err_t *err)
{
    cp_rc_t        rc;
    cp_json_t     *body;
    cp_feed_row_t  row = { .kind = "purge", .groups = groups };

    row.key = cp_arena_printf(a, "purge:%s", api);
    rc = cp_purge_read(tx, a, api, &body, err);

    return rc == CP_OK ? cp_body_put(tx, a, row, served ? body : NULL, err)
                       : rc;
}


/* *body NULL: nothing was ever purged. */
static cp_rc_t
cp_purge_read(cp_tx_t *tx, cp_arena_t *a, const char *api, cp_json_t **body,
    cp_err_t *err)
{
    cp_rc_t     rc;
    cp_rows_t   rows;
    cp_json_t  *items;

    *body = NULL;
    rc = cp_tx_query(tx, a, "SELECT at_ms, floor_ms, items FROM cache_purges"
                     " WHERE api = $1", cp_args(cp_text(api)), &rows, err);

    if (rc != CP_OK || rows.rows == 0) {
        return rc;
    }

    rc = cp_json_parse(a, cp_cell(&rows, 0, 2)->p, cp_cell(&rows, 0, 2)->len,
                       &items, err);
    if (rc != CP_OK) {
        return rc;
    }

    *body = cp_json_object(a);
    cp_json_put(a, *body, "id", api);
    cp_json_put_int(a, *body, "at_ms", cp_cell(&rows, 0, 0)->i);
    cp_json_put_int(a, *body, "floor_ms", cp_cell(&rows, 0, 1)->i);
    cp_json_set(a, *body, "items", items);

    return CP_OK;
}
