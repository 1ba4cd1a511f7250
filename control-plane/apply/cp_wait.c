/*
 * A write and the gateways.
 */

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "auth/cp_auth.h"
#include "apply/cp_wait.h"
#include "feed/cp_feed.h"
#include "http/cp_query.h"
#include "op/cp_app.h"


#define CP_WAIT_POLL_MS  500       /* another replica hears the gateways     */


static cp_rc_t cp_wait_resume(cp_req_t *r);
static cp_rc_t cp_wait_look(cp_req_t *r, cp_wait_t *w);
static void cp_wait_take(cp_req_t *r, cp_wait_t *w, const char *epoch,
    const cp_rows_t *rows);
static const char *cp_wait_gateway(cp_req_t *r, const cp_wait_t *w,
    const char *epoch, const cp_val_t *row);
static bool cp_wait_rejected(cp_req_t *r, const cp_wait_t *w,
    const cp_val_t *rejected);
static bool cp_wait_names(const cp_wait_t *w, const char *key);


/* Until when somebody waits, monotonic ms: reports of gateways wake then. */
static atomic_int_least64_t  cp_wait_until;


bool
cp_wait_any(void)
{
    return cp_time_mono_ms() < atomic_load(&cp_wait_until);
}


/* 5s, 500ms, 2m; a bare number is seconds. */
cp_rc_t
cp_wait_init(cp_req_t *r, cp_wait_t *w)
{
    char        *end;
    int64_t      n;
    unsigned     i;
    const char  *s;

    static const struct {
        const char  *unit;
        int64_t      ms;
    } units[] = { { "", 1000 }, { "s", 1000 }, { "ms", 1 }, { "m", 60000 } };

    memset(w, 0, sizeof(cp_wait_t));
    w->names = cp_json_array(r->op.arena);

    s = cp_req_query(r, "wait");

    if (s == NULL) {
        return CP_OK;
    }

    if (*s >= '0' && *s <= '9' && strlen(s) < 10) {
        n = strtoll(s, &end, 10);

        for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
            if (strcmp(end, units[i].unit) == 0
                && n * units[i].ms <= CP_WAIT_MAX_S * 1000)
            {
                w->ms = n * units[i].ms;
                return CP_OK;
            }
        }
    }

    return cp_query_fault(r, "wait", "must be a time such as 5s or 500ms, at"
                          " most %d s", CP_WAIT_MAX_S);
}


void
cp_wait_name(cp_req_t *r, cp_wait_t *w, const char *id)
{
    if (id) {
        cp_json_push(w->names, cp_json_string(r->op.arena, id));
    }
}


cp_rc_t
cp_wait_run(cp_req_t *r, cp_wait_t *w, cp_handler_pt done)
{
    int64_t  until;

    w->done = done;
    w->deadline = cp_time_mono_ms() + w->ms;
    until = atomic_load(&cp_wait_until);

    while (until < w->deadline
           && !atomic_compare_exchange_weak(&cp_wait_until, &until,
                                            w->deadline))
    {
        /* void */
    }

    return cp_wait_resume(r);
}


/* Runs after the commit, and again as gateways report. */
static cp_rc_t
cp_wait_resume(cp_req_t *r)
{
    cp_rc_t     rc;
    int64_t     now, until;
    cp_wait_t  *w = r->ctx;

    rc = cp_wait_look(r, w);
    if (rc != CP_OK) {
        return rc;
    }

    now = cp_time_mono_ms();

    if (strcmp(w->state, "pending") == 0 && now < w->deadline
        && !atomic_load(&r->op.app->stopping))
    {
        until = now + CP_WAIT_POLL_MS;

        return cp_req_park(r, until < w->deadline ? until : w->deadline,
                           cp_wait_resume);
    }

    return w->done(r);
}


/*
 * A gateway of any group must reach the revision: a row that left its group is
 * news for it as well.  Those that are not online are told, not waited for.
 */
static cp_rc_t
cp_wait_look(cp_req_t *r, cp_wait_t *w)
{
    cp_rc_t          rc;
    cp_tx_t         *tx;
    cp_rows_t        rows;
    cp_feed_head_t   head;

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_feed_head(tx, r->op.arena, &head, &r->op.err);

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, r->op.arena, "SELECT g.name, COALESCE(s.rev, 0),"
                         " COALESCE(s.last_seen, 0), COALESCE(s.epoch, ''),"
                         " COALESCE(s.rejected, '[]') FROM gateways g"
                         " LEFT JOIN gateway_status s ON s.gateway = g.id"
                         " ORDER BY g.name", NULL, 0, &rows, &r->op.err);
    }

    cp_tx_rollback(tx);

    if (rc == CP_OK) {
        cp_wait_take(r, w, head.epoch, &rows);
    }

    return rc;
}


static void
cp_wait_take(cp_req_t *r, cp_wait_t *w, const char *epoch,
    const cp_rows_t *rows)
{
    bool         pending, rejected;
    unsigned     i;
    cp_json_t   *item;
    cp_arena_t  *a = r->op.arena;
    const char  *state;

    w->list = cp_json_array(a);
    pending = false;
    rejected = false;
    w->away = 0;

    for (i = 0; i < rows->rows; i++) {
        state = cp_wait_gateway(r, w, epoch, cp_cell(rows, i, 0));
        pending = pending || strcmp(state, "pending") == 0;
        rejected = rejected || strcmp(state, "rejected") == 0;
        w->away += strcmp(state, "stale") == 0
                   || strcmp(state, "offline") == 0;

        /* which gateways there are is the platform's affair */

        if (!cp_auth_sees(&r->op.actor, NULL)) {
            continue;
        }

        item = cp_json_object(a);
        cp_json_put(a, item, "name", cp_cell(rows, i, 0)->p);
        cp_json_put_int(a, item, "rev", cp_cell(rows, i, 1)->i);
        cp_json_put(a, item, "state", state);
        cp_json_push(w->list, item);
    }

    w->state = pending ? "pending" : rejected ? "rejected" : "acked";
}


static const char *
cp_wait_gateway(cp_req_t *r, const cp_wait_t *w, const char *epoch,
    const cp_val_t *row)
{
    const char  *state;

    state = cp_gateway_state(row[2].i, cp_time_ms());

    if (strcmp(state, "online") != 0) {
        return state;
    }

    if (row[1].i < w->rev || strcmp(row[3].p, epoch) != 0) {
        return "pending";
    }

    return cp_wait_rejected(r, w, &row[4]) ? "rejected" : "acked";
}


/* Did it refuse a record of this write, or does it still refuse one of what
 * the write is about?  It has the revision all the same. */
static bool
cp_wait_rejected(cp_req_t *r, const cp_wait_t *w, const cp_val_t *rejected)
{
    int64_t           rev;
    cp_json_t        *list;
    const char       *key;
    const cp_json_t  *item;

    if (rejected->len <= 2
        || cp_json_parse(r->op.arena, rejected->p, rejected->len, &list,
                         NULL) != CP_OK)
    {
        return false;
    }

    for (item = list->first; item; item = item->next) {
        rev = cp_json_num(item, "rev", 0);
        key = cp_json_str(item, "key");

        if ((rev > w->before && rev <= w->rev)
            || (key && cp_wait_names(w, key)))
        {
            return true;
        }
    }

    return false;
}


/* kind:id or kind:id:id, all of them among the names. */
static bool
cp_wait_names(const cp_wait_t *w, const char *key)
{
    size_t            len;
    const char       *p;
    const cp_json_t  *name;

    p = strchr(key, ':');

    while (p) {
        p++;
        len = strcspn(p, ":");

        for (name = w->names->first; name; name = name->next) {
            if (strlen(name->s) == len && memcmp(name->s, p, len) == 0) {
                break;
            }
        }

        if (name == NULL) {
            return false;
        }

        p = p[len] ? p + len : NULL;
    }

    return strchr(key, ':') != NULL;
}
