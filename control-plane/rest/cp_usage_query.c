/*
 * Usage for people: what is asked for, as JSON or as a file for a
 * spreadsheet.
 */

#include <inttypes.h>
#include <string.h>

#include "feed/cp_usage.h"
#include "auth/cp_auth.h"
#include "base/cp_csv.h"
#include "http/cp_query.h"
#include "rest/cp_list.h"


#define CP_CSV_ARENA  (256 * 1024 * 1024)

/* A file that is being sent: a slice of time, or as much of it as goes at
 * once, is asked for when what was before is gone. */
typedef struct {
    cp_req_t          *r;
    cp_usage_ask_t     ask;
    const char        *columns;
    int64_t            end_ms;
    bool               begun;
    cp_usage_place_t  place;               /* in the slice                   */
} cp_csv_t;


static cp_rc_t cp_usage_parse(cp_req_t *r, cp_usage_ask_t *ask);
static cp_rc_t cp_usage_span(cp_req_t *r, cp_usage_ask_t *ask);
static cp_rc_t cp_usage_time(cp_req_t *r, const cp_usage_ask_t *ask,
    const char *name, int64_t *ms);
static cp_rc_t cp_usage_word(cp_req_t *r, const char *name,
    const cp_usage_name_t *words, int64_t *value);
static cp_rc_t cp_usage_by(cp_req_t *r, unsigned *by);
static cp_rc_t cp_usage_tenants(cp_req_t *r, cp_tx_t *tx,
    cp_usage_ask_t *ask);
static cp_rc_t cp_usage_whose(cp_req_t *r, cp_tx_t *tx,
    cp_usage_ask_t *ask);
static cp_rc_t cp_usage_named(cp_req_t *r, cp_tx_t *tx, const char *name,
    const cp_resource_t *res, const char *parent, const char **id);
static cp_rc_t cp_usage_answer(cp_req_t *r, const cp_usage_ask_t *ask,
    cp_json_t *items);
static cp_rc_t cp_usage_csv(cp_req_t *r, const cp_usage_ask_t *ask);
static cp_rc_t cp_csv_fill(void *ctx, stoa_buf_t *out, bool *done);
static int64_t cp_csv_slice(const cp_csv_t *c);
static void cp_csv_row(const cp_csv_t *c, stoa_buf_t *out,
    const cp_json_t *item);


/* Values in ms; they fit what `bit` can hold. */
static const cp_usage_name_t  cp_usage_steps[] = {
    { "minute", CP_USAGE_MINUTE_MS },
    { "hour",   CP_USAGE_HOUR_MS },
    { "day",    CP_USAGE_DAY_MS },
    { NULL, 0 }
};

static const cp_usage_name_t  cp_usage_sides[] = {
    { "published", CP_USAGE_PUBLISHED },
    { "consumed",  CP_USAGE_CONSUMED },
    { NULL, 0 }
};

static const cp_usage_name_t  cp_usage_statuses[] = {
    { "2xx", 2 },
    { "3xx", 3 },
    { "4xx", 4 },
    { "5xx", 5 },
    { NULL, 0 }
};

static const cp_usage_name_t  cp_usage_formats[] = {
    { "json", 0 },
    { "csv",  1 },
    { NULL, 0 }
};


cp_rc_t
cp_usage_get(cp_req_t *r)
{
    cp_rc_t          rc;
    cp_tx_t         *tx;
    int64_t          csv;
    cp_json_t       *items;
    cp_usage_ask_t   ask;

    memset(&ask, 0, sizeof(ask));
    csv = 0;

    rc = cp_usage_parse(r, &ask);

    if (rc == CP_OK) {
        rc = cp_usage_word(r, "format", cp_usage_formats, &csv);
    }

    if (rc != CP_OK) {
        return rc;
    }

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_usage_whose(r, tx, &ask);

    if (rc == CP_OK && !csv) {
        rc = cp_usage_sum(tx, r->op.arena, &ask, &items, &r->op.err);
    }

    cp_tx_rollback(tx);

    if (rc != CP_OK) {
        return rc;
    }

    return csv ? cp_usage_csv(r, &ask) : cp_usage_answer(r, &ask, items);
}


static cp_rc_t
cp_usage_parse(cp_req_t *r, cp_usage_ask_t *ask)
{
    cp_rc_t      rc;
    int64_t      sides, status;
    const char  *name;

    sides = 0;
    status = 0;
    name = cp_req_query(r, "zone");

    if (name) {
        ask->zone = cp_zone_open(r->op.arena, name);

        if (ask->zone == NULL) {
            return cp_err_set(&r->op.err, "not_found", "there is no zone "
                              "\"%s\": UTC, an offset such as +05:30, or a "
                              "name of the system's tz database", name);
        }
    }

    rc = cp_usage_word(r, "step", cp_usage_steps, &ask->step_ms);

    if (rc == CP_OK) {
        rc = cp_usage_word(r, "side", cp_usage_sides, &sides);
    }

    if (rc == CP_OK) {
        rc = cp_usage_word(r, "status", cp_usage_statuses, &status);
    }

    if (rc == CP_OK) {
        rc = cp_usage_by(r, &ask->by);
    }

    if (rc == CP_OK) {
        rc = cp_usage_span(r, ask);
    }

    ask->sides = (unsigned) sides;
    ask->status = (int) status;
    ask->refused = cp_req_query(r, "refused");
    ask->model = cp_req_query(r, "model");
    ask->credential = cp_req_query(r, "credential");
    ask->subscription = cp_req_query(r, "subscription");

    return rc;
}


static cp_rc_t
cp_usage_span(cp_req_t *r, cp_usage_ask_t *ask)
{
    cp_rc_t  rc;

    ask->to_ms = cp_time_ms();

    rc = cp_usage_time(r, ask, "to", &ask->to_ms);
    if (rc != CP_OK) {
        return rc;
    }

    ask->from_ms = ask->to_ms - CP_USAGE_DAY_MS;

    rc = cp_usage_time(r, ask, "from", &ask->from_ms);
    if (rc != CP_OK) {
        return rc;
    }

    if (ask->from_ms >= ask->to_ms) {
        return cp_query_fault(r, "from", "must be before to");
    }

    return CP_OK;
}


/* A date is its beginning in the zone. */
static cp_rc_t
cp_usage_time(cp_req_t *r, const cp_usage_ask_t *ask, const char *name,
    int64_t *ms)
{
    bool         date;
    const char  *s;

    s = cp_req_query(r, name);

    if (s == NULL) {
        return CP_OK;
    }

    date = strlen(s) == 10;
    s = date ? cp_arena_printf(r->op.arena, "%sT00:00:00Z", s) : s;

    if (s == NULL || !cp_time_parse(s, strlen(s), ms) || *ms < 0) {
        return cp_query_fault(r, name, "must be a time such as"
                              " 2026-01-31T12:00:00Z, or a date");
    }

    if (date && ask->zone) {
        *ms = stoa_zone_instant(ask->zone, *ms);
    }

    return CP_OK;
}


/* *value stays as it is when nothing is said. */
static cp_rc_t
cp_usage_word(cp_req_t *r, const char *name, const cp_usage_name_t *words,
    int64_t *value)
{
    const char             *s, *list;
    const cp_usage_name_t  *w;

    s = cp_req_query(r, name);

    if (s == NULL) {
        return CP_OK;
    }

    list = "";

    for (w = words; w->name; w++) {
        if (strcmp(w->name, s) == 0) {
            *value = w->bit;
            return CP_OK;
        }

        list = cp_arena_printf(r->op.arena, "%s%s%s", list,
                               w == words ? "" : w[1].name ? ", " : " or ",
                               w->name);
    }

    return cp_query_fault(r, name, "must be %s", list);
}


static cp_rc_t
cp_usage_by(cp_req_t *r, unsigned *by)
{
    size_t                  len;
    const char             *s;
    const cp_usage_name_t  *n;

    s = cp_req_query(r, "by");

    while (s && *s) {
        len = strcspn(s, ",");

        for (n = cp_usage_bys; n->name; n++) {
            if (strlen(n->name) == len && memcmp(n->name, s, len) == 0) {
                break;
            }
        }

        if (n->name == NULL) {
            return cp_query_fault(r, "by", "must be a list of application,"
                                  " subscription, api, operation, tool,"
                                  " refused, model, credential, tenant,"
                                  " status");
        }

        *by |= n->bit;
        s += len + (s[len] == ',');
    }

    return CP_OK;
}


/* One of several is told from all others, not from the rest of them: what one
 * of them calls of another is told once. */
static cp_rc_t
cp_usage_tenants(cp_req_t *r, cp_tx_t *tx, cp_usage_ask_t *ask)
{
    cp_rc_t        rc;
    cp_tenants_t   of;

    if (r->nparam) {
        return cp_ref_tenant(&r->op, tx, r->param[0], r->route->permission,
                             &ask->tenant);
    }

    rc = cp_ref_tenants(&r->op, tx, cp_req_query(r, "tenant"),
                        r->route->permission, false, &of);
    if (rc != CP_OK) {
        return rc;
    }

    if (of.all) {
        return ask->sides ? cp_query_fault(r, "side", "is not of all tenants")
                          : CP_OK;
    }

    if (of.n == 1) {
        ask->tenant = of.id[0];
        return CP_OK;
    }

    ask->published = cp_tenants_where(r->op.arena, &of, "tenant");
    ask->consumed = cp_tenants_where(r->op.arena, &of, "consumer");

    /* without a condition these were all */

    return ask->published && ask->consumed ? CP_OK
           : cp_err_set(&r->op.err, "internal", "no memory");
}


/* Names are of the tenant's own; what is another's is told by its id. */
static cp_rc_t
cp_usage_whose(cp_req_t *r, cp_tx_t *tx, cp_usage_ask_t *ask)
{
    cp_rc_t      rc;
    const char  *tool;

    rc = cp_usage_tenants(r, tx, ask);

    if (rc == CP_OK) {
        rc = cp_usage_named(r, tx, "application", &cp_res_application,
                            ask->tenant, &ask->application);
    }

    if (rc == CP_OK) {
        rc = cp_usage_named(r, tx, "api", &cp_res_api, ask->tenant,
                            &ask->api);
    }

    if (rc == CP_OK) {
        rc = cp_usage_named(r, tx, "operation", &cp_res_operation, ask->api,
                            &ask->operation);
    }

    tool = NULL;

    if (rc == CP_OK) {
        rc = cp_usage_named(r, tx, "tool", &cp_res_tool, ask->api, &tool);
    }

    /* nothing is both */

    if (tool) {
        ask->operation = ask->operation && strcmp(ask->operation, tool)
                         ? "-" : tool;
    }

    cp_usage_clip(&r->op.app->conf, ask);

    return rc;
}


static cp_rc_t
cp_usage_named(cp_req_t *r, cp_tx_t *tx, const char *name,
    const cp_resource_t *res, const char *parent, const char **id)
{
    cp_rc_t      rc;
    const char  *value;

    value = cp_req_query(r, name);

    if (value == NULL) {
        return CP_OK;
    }

    if (stoa_id_valid(value, strlen(value))) {
        *id = value;
        return CP_OK;
    }

    rc = parent ? cp_ref_find(tx, r->op.arena, res, parent, value, id,
                              &r->op.err)
                : CP_OK;

    return rc == CP_OK && *id == NULL
           ? cp_err_set(&r->op.err, "not_found", parent
                        ? "there is no %s \"%s\"" : "%s: \"%s\" is no id",
                        name, value)
           : rc;
}


static cp_rc_t
cp_usage_answer(cp_req_t *r, const cp_usage_ask_t *ask, cp_json_t *items)
{
    cp_json_t   *out;
    cp_arena_t  *a;
    const char  *zone;

    a = r->op.arena;
    zone = cp_req_query(r, "zone");
    out = cp_json_object(a);
    cp_json_put(a, out, "from", cp_time_format(a, ask->from_ms));
    cp_json_put(a, out, "to", cp_time_format(a, ask->to_ms));
    cp_json_put(a, out, "zone", zone ? zone : "UTC");
    cp_json_set(a, out, "items", items);

    return cp_req_answer(r, 200, out);
}


static cp_rc_t
cp_usage_csv(cp_req_t *r, const cp_usage_ask_t *ask)
{
    cp_csv_t  *c;

    c = cp_arena_alloc(r->op.arena, sizeof(cp_csv_t));
    if (c == NULL) {
        return cp_err_set(&r->op.err, "internal", "no memory");
    }

    memset(c, 0, sizeof(cp_csv_t));
    c->r = r;
    c->ask = *ask;
    c->ask.place = &c->place;
    c->end_ms = ask->to_ms;
    c->columns = cp_usage_columns(r->op.arena, ask);

    cp_req_set_header(r, "Content-Disposition",
                      "attachment; filename=\"usage.csv\"");

    return cp_req_stream(r, 200, "text/csv; charset=utf-8; header=present",
                         cp_csv_fill, NULL, c);
}


static cp_rc_t
cp_csv_fill(void *ctx, stoa_buf_t *out, bool *done)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_csv_t    *c = ctx;
    cp_json_t   *items, *item;
    cp_arena_t  *a;

    if (!c->begun) {
        cp_csv_row(c, out, NULL);
        c->begun = true;
    }

    rc = CP_OK;

    while (rc == CP_OK && c->ask.from_ms < c->end_ms && out->len < 65536) {

        c->ask.to_ms = cp_csv_slice(c);
        items = NULL;

        /* of a slice: there may be many that hold nothing */

        a = cp_arena_create(CP_CSV_ARENA);
        rc = a ? cp_tx_open(c->r->op.app->db, false, &tx, &c->r->op.err)
               : CP_ERROR;

        if (rc == CP_OK) {
            rc = cp_usage_sum(tx, a, &c->ask, &items, &c->r->op.err);
            cp_tx_rollback(tx);
        }

        for (item = items ? items->first : NULL; item; item = item->next) {
            cp_csv_row(c, out, item);
        }

        c->ask.from_ms = c->place.more ? c->ask.from_ms : c->ask.to_ms;
        rc = rc == CP_OK && cp_arena_failed(a) ? CP_ERROR : rc;
        cp_arena_destroy(a);
    }

    *done = c->ask.from_ms >= c->end_ms;

    return rc;
}


/* Slices end where a step ends: a day of days, six hours of hours, an hour of
 * minutes. */
static int64_t
cp_csv_slice(const cp_csv_t *c)
{
    int64_t  at, end, until, offset, width;

    if (c->ask.step_ms == 0) {
        return c->end_ms;
    }

    at = c->ask.from_ms;
    until = INT64_MAX;
    offset = c->ask.zone ? stoa_zone_offset(c->ask.zone, at, &until) : 0;

    width = c->ask.step_ms == CP_USAGE_MINUTE_MS ? CP_USAGE_HOUR_MS
            : c->ask.step_ms == CP_USAGE_HOUR_MS ? 6 * CP_USAGE_HOUR_MS
                                                 : CP_USAGE_DAY_MS;

    end = at + offset - (at + offset) % width + width;

    if (width == CP_USAGE_DAY_MS) {
        end = c->ask.zone ? stoa_zone_instant(c->ask.zone, end) : end;

    } else {
        end -= offset;
        end = end < until ? end : until;
    }

    return end < c->end_ms ? end : c->end_ms;
}


/* item NULL: the names of the columns. */
static void
cp_csv_row(const cp_csv_t *c, stoa_buf_t *out, const cp_json_t *item)
{
    char              name[32];
    size_t            len;
    const char       *p;
    const cp_json_t  *m;

    for (p = c->columns; *p; p += len + (p[len] == ' ')) {

        len = strcspn(p, " ");
        (void) snprintf(name, sizeof(name), "%.*s", (int) len, p);

        if (p != c->columns) {
            stoa_buf_addz(out, ",");
        }

        m = item ? cp_json_get(item, name) : NULL;

        if (item == NULL) {
            stoa_buf_addz(out, name);

        } else if (m && m->type == CP_JSON_INT) {
            stoa_buf_addf(out, "%" PRId64, m->i);

        } else if (m && m->type == CP_JSON_STRING) {
            cp_csv_cell(out, m->s);
        }
    }

    stoa_buf_addz(out, "\r\n");
}
