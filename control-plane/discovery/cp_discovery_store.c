/*
 * Writes what discovery found, through the engine, so that audit and feed
 * follow; the api's `discovery` last.  All of it in one transaction.
 */

#include <string.h>

#include "core/stoa_key.h"
#include "feed/cp_feed.h"
#include "kinds/cp_item_marked.h"
#include "kinds/cp_kinds.h"
#include "kinds/cp_tool_pin.h"
#include "discovery/cp_discovery.h"


typedef struct {
    cp_op_t              op;       /* the system's own                      */
    cp_tx_t             *tx;
    cp_arena_t          *arena;
    const char          *api;      /* id                                    */
    const char          *tenant;
    bool                 judges;   /* what speaks to models, each time      */
    const cp_catalog_t  *found;
    cp_json_t           *before;   /* discovery as it was, may be NULL      */
    unsigned             kind;     /* of cp_items                           */
    cp_rows_t            rows;     /* of it: id, name, digest, state        */
    unsigned            *index;    /* of the rows, by name                  */
    unsigned             size;
    uint8_t             *kept;     /* by row: it is still there             */
} cp_storing_t;

/* They change with every reading and say nothing new. */
static const char *const  cp_volatile[] = { "at", "failures", NULL };


char *
cp_discovery_digest(cp_arena_t *a, const char *upstream)
{
    uint8_t  sum[32];

    cp_sha256(upstream, strlen(upstream), sum);

    return cp_hex(a, sum, 8);
}


static cp_rc_t
cp_store_query(cp_storing_t *s, const char *sql, const cp_val_t *args,
    unsigned nargs, cp_rows_t *rows)
{
    return cp_tx_query(s->tx, s->arena, sql, args, nargs, rows, &s->op.err);
}


/* Finds the api as it is now; *stale: somebody changed or removed it. */

static cp_rc_t
cp_store_begin(cp_storing_t *s, const char *upstream, bool *stale)
{
    cp_rc_t      rc;
    cp_rows_t    rows;
    const char  *digest;

    *stale = true;

    rc = cp_store_query(s,
             "SELECT tenant, upstream, discovery, marked_tools FROM apis"
             " WHERE id = $1 AND kind = 'mcp' AND state <> 'retired'",
             cp_args(cp_text(s->api)), &rows);

    if (rc != CP_OK || rows.rows == 0) {
        return rc;
    }

    digest = cp_discovery_digest(s->arena, rows.v[1].p);

    if (digest == NULL || strcmp(digest, upstream) != 0) {
        return CP_OK;
    }

    *stale = false;
    s->tenant = rows.v[0].p;
    s->judges = strcmp(rows.v[3].p, "quarantine") == 0;

    if (rows.v[2].type != CP_VAL_TEXT
        || cp_json_parse(s->arena, rows.v[2].p, rows.v[2].len, &s->before,
                         NULL) != CP_OK)
    {
        s->before = NULL;
    }

    return CP_OK;
}


/* The rows by their names: a table of their numbers and 1. */

static cp_rc_t
cp_store_index(cp_storing_t *s)
{
    unsigned  i;
    uint64_t  h;

    s->size = 4 * s->rows.rows + 1;
    s->index = cp_arena_alloc(s->arena, s->size * sizeof(unsigned));
    s->kept = cp_arena_alloc(s->arena, s->rows.rows + 1);

    if (s->index == NULL || s->kept == NULL) {
        return CP_ERROR;
    }

    for (i = 0; i < s->rows.rows; i++) {
        h = stoa_hash64(cp_cell(&s->rows, i, 1)->p,
                        cp_cell(&s->rows, i, 1)->len, 0);

        while (s->index[h % s->size] != 0) {
            h++;
        }

        s->index[h % s->size] = i + 1;
    }

    return CP_OK;
}


/* The row of that name; rows.rows: there is none. */

static unsigned
cp_store_row(const cp_storing_t *s, const char *name)
{
    uint64_t  h;
    unsigned  i;

    for (h = stoa_hash64(name, strlen(name), 0);
         (i = s->index[h % s->size]) != 0;
         h++)
    {
        if (strcmp(cp_cell(&s->rows, i - 1, 1)->p, name) == 0) {
            return i - 1;
        }
    }

    return s->rows.rows;
}


static cp_rc_t
cp_store_remove(cp_storing_t *s)
{
    cp_rc_t           rc;
    unsigned          i;
    cp_write_t        w = cp_write_of(&s->op, s->tx, cp_items[s->kind]);
    const cp_json_t  *v;

    for (v = s->found->items[s->kind]->first; v != NULL; v = v->next) {
        s->kept[cp_store_row(s, cp_json_str(v, cp_catalog_key(s->kind)))] = 1;
    }

    rc = CP_OK;

    for (i = 0; rc == CP_OK && i < s->rows.rows; i++) {
        if (!s->kept[i]) {
            w.id = cp_cell(&s->rows, i, 0)->p;
            rc = cp_pin_keep(&w);

            if (rc == CP_OK) {
                rc = cp_entry_delete(&w);
            }
        }
    }

    return rc;
}


static cp_json_t *
cp_store_item_tree(cp_storing_t *s, const cp_json_t *item,
    const char *digest)
{
    char         name[201];
    cp_json_t   *v, *definition;
    const char  *title;

    v = cp_json_object(s->arena);
    definition = cp_json_copy(s->arena, item);

    if (v == NULL || definition == NULL) {
        return NULL;
    }

    cp_json_put(s->arena, v, "name",
                cp_json_str(item, cp_catalog_key(s->kind)));

    title = cp_json_str(item, "title");

    if (title != NULL) {
        snprintf(name, sizeof(name), "%.*s",
                 (int) cp_text_cut(title, sizeof(name) - 1), title);
        cp_json_put(s->arena, v, "title", name);
    }

    cp_json_set(s->arena, v, "definition", definition);
    cp_json_put(s->arena, v, "digest", digest);

    return v;
}


static cp_rc_t
cp_store_item(cp_storing_t *s, const cp_json_t *item)
{
    char        *text;
    size_t       len;
    uint8_t      sum[32];
    unsigned     i;
    cp_json_t   *v;
    cp_entry_t   e;
    cp_write_t   w = cp_write_of(&s->op, s->tx, cp_items[s->kind]);
    const char  *digest, *name;

    text = cp_json_text(s->arena, item, &len);

    if (text == NULL) {
        return CP_ERROR;
    }

    cp_sha256(text, len, sum);
    digest = cp_hex(s->arena, sum, sizeof(sum));
    name = cp_json_str(item, cp_catalog_key(s->kind));

    i = cp_store_row(s, name);

    if (i < s->rows.rows
        && strcmp(cp_cell(&s->rows, i, 2)->p, digest) == 0
        && (!s->judges || strcmp(cp_cell(&s->rows, i, 3)->p, "enabled") != 0
            || !cp_item_marked(s->arena, item)))
    {
        return CP_OK;
    }

    v = cp_store_item_tree(s, item, digest);

    if (v == NULL) {
        return CP_ERROR;
    }

    w.in = v;
    w.id = (i < s->rows.rows) ? cp_cell(&s->rows, i, 0)->p : s->api;

    return (i < s->rows.rows) ? cp_entry_update(&w, &e)
                               : cp_entry_create(&w, &e);
}


static cp_rc_t
cp_store_items(cp_storing_t *s)
{
    cp_rc_t           rc;
    const cp_json_t  *item;

    rc = cp_store_query(s, cp_arena_printf(s->arena, "SELECT id, name, digest,"
                        " state FROM %s WHERE api = $1",
                        cp_items[s->kind]->table),
                        cp_args(cp_text(s->api)), &s->rows);

    if (rc == CP_OK) {
        rc = cp_store_index(s);
    }

    if (rc == CP_OK) {
        rc = cp_store_remove(s);
    }

    for (item = s->found->items[s->kind]->first;
         rc == CP_OK && item != NULL;
         item = item->next)
    {
        rc = cp_store_item(s, item);
    }

    return rc;
}


/* A failure keeps the era and the counts of what is still in force. */

static void
cp_store_keep(cp_storing_t *s, cp_json_t *d)
{
    const char *const  *name;
    const cp_json_t    *old;

    static const char *const  kept[] = { "era", "protocol_version",
        "sessions", "sse", "tools",
        "prompts", "resources", "templates", "skipped", "left_out",
        "warnings", "capabilities", NULL };

    for (name = kept; *name != NULL; name++) {
        old = (s->before != NULL) ? cp_json_get(s->before, *name) : NULL;

        if (old != NULL) {
            cp_json_set(s->arena, d, *name, cp_json_copy(s->arena, old));
        }
    }
}


static cp_json_t *
cp_store_discovery(cp_storing_t *s, const char *upstream)
{
    int64_t              failures;
    unsigned             i;
    cp_json_t           *d;
    cp_arena_t          *a;
    const cp_catalog_t  *f;

    a = s->arena;
    f = s->found;
    d = cp_json_object(a);

    if (d == NULL) {
        return NULL;
    }

    cp_json_put(a, d, "state", f->error == NULL ? "ok" : "failed");

    if (f->error == NULL) {
        cp_json_put(a, d, "era", f->era);
        cp_json_put(a, d, "protocol_version", f->version);
        cp_json_put_bool(a, d, "sessions", f->sessions);

        if (f->sse) {
            cp_json_put_bool(a, d, "sse", true);
        }

        for (i = 0; i < CP_ITEMS; i++) {
            cp_json_put_int(a, d, cp_items[i]->plural, f->items[i]->n);
        }

        if (f->capabilities != NULL) {
            cp_json_set(a, d, "capabilities",
                        cp_json_copy(a, f->capabilities));
        }

        cp_json_put_int(a, d, "skipped", f->skipped);

        if (f->left_out->n) {
            cp_json_set(a, d, "left_out", cp_json_copy(a, f->left_out));
        }

        if (f->warnings->n) {
            cp_json_set(a, d, "warnings", cp_json_copy(a, f->warnings));
        }

    } else {
        cp_store_keep(s, d);

        if (cp_json_get(d, "era") != NULL) {
            cp_json_put_bool(a, d, "stale", true);
        }

        failures = (s->before != NULL)
                       ? cp_json_num(s->before, "failures", 0) : 0;
        cp_json_put(a, d, "error",
                cp_arena_printf(a, "%.*s", CP_DISCOVERY_ERROR_MAX, f->error));
        cp_json_put_int(a, d, "failures", failures + 1);
    }

    cp_json_put(a, d, "at", cp_time_format(a, cp_time_ms()));
    cp_json_put(a, d, "upstream", upstream);

    return d;
}


static cp_json_t *
cp_store_without_volatile(cp_arena_t *a, const cp_json_t *d)
{
    cp_json_t          *copy;
    const cp_json_t    *v;
    const char *const  *name;

    copy = cp_json_object(a);

    for (v = (d != NULL) ? d->first : NULL; v != NULL; v = v->next) {

        for (name = cp_volatile; *name != NULL; name++) {
            if (strcmp(*name, v->key) == 0) {
                break;
            }
        }

        if (*name == NULL) {
            cp_json_set(a, copy, v->key, cp_json_copy(a, v));
        }
    }

    return copy;
}


/* The api as a client would write it, with the new discovery.  It is no patch:
 * that would merge members of the old one in. */

static cp_json_t *
cp_store_api_tree(cp_storing_t *s, const cp_json_t *api, cp_json_t *d)
{
    cp_json_t         *in;
    const cp_json_t   *v;
    const cp_field_t  *f;

    in = cp_json_object(s->arena);

    for (f = cp_res_api.fields; in != NULL && f->name != NULL; f++) {
        v = cp_json_get(api, f->name);

        if (v != NULL && (f->flags & CP_READONLY) == 0) {
            cp_json_set(s->arena, in, f->name, cp_json_copy(s->arena, v));
        }
    }

    if (in != NULL) {
        cp_json_set(s->arena, in, "discovery", d);
    }

    return in;
}


/* A new state is a change of the api: audited, in the feed.  The same again
 * only moves the clock. */

static cp_rc_t
cp_store_api(cp_storing_t *s, const char *upstream)
{
    cp_rc_t      rc;
    cp_json_t   *d, *api;
    cp_entry_t   e;
    cp_write_t   w = cp_write_of(&s->op, s->tx, &cp_res_api);
    const char  *text;

    d = cp_store_discovery(s, upstream);

    if (d == NULL) {
        return CP_ERROR;
    }

    if (s->before == NULL
        || !cp_json_equal(cp_store_without_volatile(s->arena, d),
                          cp_store_without_volatile(s->arena, s->before)))
    {
        rc = cp_resource_get(s->tx, s->arena, &cp_res_api, s->tenant, s->api,
                             &api, &s->op.err);
        if (rc != CP_OK) {
            return rc;
        }

        w.id = s->api;
        w.in = cp_store_api_tree(s, api, d);

        return (w.in == NULL) ? CP_ERROR : cp_entry_update(&w, &e);
    }

    text = cp_json_text(s->arena, d, NULL);

    if (text == NULL) {
        return CP_ERROR;
    }

    return cp_store_query(s, "UPDATE apis SET discovery = $2 WHERE id = $1",
                          cp_args(cp_text(s->api), cp_text(text)), NULL);
}


static cp_rc_t
cp_store_all(cp_storing_t *s, const char *upstream)
{
    bool     stale;
    cp_rc_t  rc;

    /* first, so that another replica's reading is either before or after */
    rc = cp_feed_lock(s->tx, s->arena, &s->op.err);

    if (rc == CP_OK) {
        rc = cp_store_begin(s, upstream, &stale);
    }

    if (rc != CP_OK || stale) {
        return rc;
    }

    for (s->kind = 0;
         s->found->error == NULL && rc == CP_OK && s->kind < CP_ITEMS;
         s->kind++)
    {
        rc = cp_store_items(s);
    }

    if (rc == CP_OK) {
        rc = cp_store_api(s, upstream);
    }

    return (rc == CP_OK) ? cp_resource_flush(&s->op, s->tx) : rc;
}


cp_rc_t
cp_discovery_store(cp_app_t *app, cp_arena_t *a, const char *api,
    const char *upstream, const cp_catalog_t *found)
{
    cp_rc_t       rc;
    unsigned      i;
    cp_storing_t  s;

    for (i = 0; i < CP_OP_RETRIES; i++) {
        memset(&s, 0, sizeof(s));
        cp_op_system(&s.op, app, a, "discovery");
        cp_resource_defer(&s.op);
        s.arena = a;
        s.api = api;
        s.found = found;

        rc = cp_tx_begin(app->db, true, &s.tx);

        if (rc == CP_OK) {
            rc = cp_tx_finish(s.tx, cp_store_all(&s, upstream), &s.op.err);
        }

        if (rc != CP_CONFLICT) {
            break;
        }
    }

    if (rc != CP_OK) {
        cp_log(CP_LOG_ERROR, "discovery", "cannot store api:%s code:%s %s%s%s",
               api, s.op.err.code != NULL ? s.op.err.code : "-",
               s.op.err.detail != NULL ? s.op.err.detail : "",
               s.op.err.n > 0 ? " " : "",
               s.op.err.n > 0 ? s.op.err.faults[0].message : "");
    }

    return rc;
}
