/*
 * What an application may see, read from the database.
 */

#include <string.h>

#include "op/cp_app.h"
#include "catalogue/cp_specs.h"
#include "feed/cp_quota.h"
#include "feed/cp_usage.h"
#include "platform/cp_platform.h"


#define CP_DAY_MS             86400000LL
#define CP_PLATFORM_SPEC_MAX  (1024 * 1024)


static cp_rc_t cp_platform_document(cp_op_t *op, const char *id,
    cp_json_t *out);

/* $1 the caller's tenant, $2 '%"<its id>"%'. */
#define CP_VISIBLE                                                            \
    " x.state IN ('published', 'deprecated') AND t.state = 'active'"          \
    " AND (x.tenant = $1 OR x.audience = 'public'"                            \
    "      OR (x.audience = 'partner' AND x.partners LIKE $2))"

/* $3 the calling application. */
#define CP_SUBSCRIBED(column)                                                 \
    " LEFT JOIN subscriptions s ON s.application = $3"                        \
    " AND s." column " = x.id"                                                \
    " AND s.state IN ('pending', 'active', 'suspended')"

#define CP_ITEM_API                                                           \
    "x.kind AS kind, t.name AS tenant, x.name AS name, x.title AS title,"     \
    " x.version AS version, x.description AS description,"                    \
    " x.audience AS audience, x.state AS state, x.host AS host,"              \
    " x.base_path AS base_path, x.sunset_at AS sunset_at,"                    \
    " s.state AS subscription"

#define CP_TEXT_API                                                           \
    "lower(x.name || ' ' || COALESCE(x.title, '') || ' '"                     \
    " || COALESCE(x.description, ''))"

#define CP_TEXT_SERVER                                                        \
    "lower(x.name || ' ' || COALESCE(x.title, '') || ' '"                     \
    " || COALESCE(x.instructions, ''))"

/* Without a word nothing is looked at. */
#define CP_WORD(text, n)                                                      \
    " AND (" n " = '%' OR " text " LIKE " n " ESCAPE '!')"
#define CP_WORDS(text)                                                        \
    CP_WORD(text, "$7") CP_WORD(text, "$8") CP_WORD(text, "$9")               \
    CP_WORD(text, "$10") CP_WORD(text, "$11") CP_WORD(text, "$12")

/* $4 the query as a name, $5 the kind or '', $6 limit, $7.. patterns. */
#define CP_RANK                                                               \
    ", CASE WHEN x.name = $4 THEN 0 WHEN x.tenant = $1 THEN 1 ELSE 2 END"     \
    " AS place"

static const char  cp_sql_search[] =
    "SELECT " CP_ITEM_API CP_RANK
    " FROM apis x JOIN tenants t ON t.id = x.tenant" CP_SUBSCRIBED("api")
    " WHERE" CP_VISIBLE " AND ($5 = '' OR x.kind = $5)" CP_WORDS(CP_TEXT_API)
    " UNION ALL"
    " SELECT 'server', t.name, x.name, x.title, NULL, x.instructions,"
    " 'internal', x.state, NULL, NULL, NULL, s.state" CP_RANK
    " FROM servers x JOIN tenants t ON t.id = x.tenant"
      CP_SUBSCRIBED("server")
    " WHERE x.tenant = $1 AND x.state = 'published' AND t.state = 'active'"
    " AND ($5 = '' OR $5 = 'server')" CP_WORDS(CP_TEXT_SERVER)
    " ORDER BY place, name, tenant, kind LIMIT $6";

/* $4 the tenant's name or '' for the own, $5 the api's name. */
static const char  cp_sql_api[] =
    "SELECT " CP_ITEM_API ", x.id, x.spec"
    " FROM apis x JOIN tenants t ON t.id = x.tenant" CP_SUBSCRIBED("api")
    " WHERE" CP_VISIBLE
    " AND ((t.name = $4) OR ($4 = '' AND x.tenant = $1)) AND x.name = $5";

static const char  cp_sql_operations[] =
    "SELECT name, title, method, path FROM operations"
    " WHERE api = $1 AND state = 'enabled' ORDER BY path, method LIMIT $2";

static const char  cp_sql_tools[] =
    "SELECT definition FROM tools WHERE api = $1 AND state = 'enabled'"
    " ORDER BY name LIMIT $2";

static const char  cp_sql_subscriptions[] =
    "SELECT s.id, s.state, tt.name, a.kind, a.name, v.name, s.expires_at,"
    " s.created_at, s.tools, p.name, p.rate, p.per_ms, p.burst, p.quota_day,"
    " p.quota_month, p.concurrency"
    " FROM subscriptions s JOIN tenants tt ON tt.id = s.target_tenant"
    " JOIN plans p ON p.id = s.plan"
    " LEFT JOIN apis a ON a.id = s.api LEFT JOIN servers v ON v.id = s.server"
    " WHERE s.application = $1"
    " ORDER BY COALESCE(a.name, v.name), s.created_at, s.id LIMIT $2";

static const char  cp_sql_gateways[] =
    "SELECT COALESCE(s.last_seen, 0) FROM gateways g"
    " LEFT JOIN gateway_status s ON s.gateway = g.id";


/* Columns of CP_ITEM_API, in their order. */
enum { I_KIND, I_TENANT, I_NAME, I_TITLE, I_VERSION, I_DESCRIPTION,
    I_AUDIENCE, I_STATE, I_HOST, I_BASE_PATH, I_SUNSET, I_SUBSCRIPTION,
    I_ID, I_SPEC };

/* Columns of cp_sql_subscriptions. */
enum { S_ID, S_STATE, S_TENANT, S_API_KIND, S_API, S_SERVER, S_EXPIRES,
    S_CREATED, S_TOOLS, S_PLAN, S_RATE, S_PER, S_BURST, S_DAY, S_MONTH,
    S_CONCURRENCY };


static void
cp_platform_text(cp_arena_t *a, cp_json_t *obj, const char *name,
    const cp_val_t *v)
{
    if (v->type == CP_VAL_TEXT && v->len > 0) {
        cp_json_put(a, obj, name, v->p);
    }
}


static void
cp_platform_time(cp_arena_t *a, cp_json_t *obj, const char *name,
    const cp_val_t *v)
{
    if (v->type == CP_VAL_INT && v->i > 0) {
        cp_json_put(a, obj, name, cp_time_format(a, v->i));
    }
}


/* A column of JSON text; NULL: empty, or it does not parse. */

static cp_json_t *
cp_platform_json(cp_arena_t *a, const cp_val_t *v)
{
    cp_json_t  *tree;

    return v->type == CP_VAL_TEXT && v->len
           && cp_json_parse(a, v->p, v->len, &tree, NULL) == CP_OK
           ? tree : NULL;
}


/* Where the gateway serves it, below its own URL. */

static const char *
cp_platform_path(cp_arena_t *a, const char *kind, const char *tenant,
    const char *name)
{
    if (strcmp(kind, "rest") == 0) {
        return cp_arena_printf(a, "/apis/%s/%s", tenant, name);
    }

    if (strcmp(kind, "server") == 0) {
        return cp_arena_printf(a, "/mcp/%s/%s", tenant, name);
    }

    return cp_arena_printf(a, "/mcp/%s", tenant);
}


static cp_json_t *
cp_platform_item(cp_arena_t *a, const cp_val_t *row)
{
    cp_json_t  *item;

    item = cp_json_object(a);

    cp_platform_text(a, item, "kind", &row[I_KIND]);
    cp_platform_text(a, item, "tenant", &row[I_TENANT]);
    cp_platform_text(a, item, "name", &row[I_NAME]);
    cp_platform_text(a, item, "title", &row[I_TITLE]);
    cp_platform_text(a, item, "version", &row[I_VERSION]);
    cp_platform_text(a, item, "description", &row[I_DESCRIPTION]);
    cp_platform_text(a, item, "audience", &row[I_AUDIENCE]);
    cp_platform_text(a, item, "state", &row[I_STATE]);
    cp_platform_time(a, item, "sunset_at", &row[I_SUNSET]);

    cp_json_put(a, item, "path",
                cp_platform_path(a, row[I_KIND].p, row[I_TENANT].p,
                                 row[I_NAME].p));
    cp_platform_text(a, item, "host", &row[I_HOST]);
    cp_platform_text(a, item, "base_path", &row[I_BASE_PATH]);

    cp_json_put(a, item, "subscription",
                row[I_SUBSCRIPTION].type == CP_VAL_TEXT
                ? row[I_SUBSCRIPTION].p : "none");

    return item;
}


/* "a  B%" -> '%a%', '%b!%%'; the rest '%'.  ASCII is folded here as the
 * database's lower() does at least. */

static cp_rc_t
cp_platform_words(cp_op_t *op, const char *query, cp_val_t *patterns)
{
    char      *d, *p;
    size_t     len;
    unsigned   n;

    for (n = 0; n < CP_PLATFORM_WORDS; n++) {
        patterns[n] = cp_text("%");
    }

    if (strlen(query) > CP_PLATFORM_QUERY_MAX) {
        return cp_err_field(&op->err, -1, 0, "query",
                            "must have at most %d bytes",
                            CP_PLATFORM_QUERY_MAX);
    }

    for (n = 0; *(query += strspn(query, " \t\r\n")) != '\0'; n++) {
        len = strcspn(query, " \t\r\n");

        if (n == CP_PLATFORM_WORDS) {
            return cp_err_field(&op->err, -1, 0, "query",
                                "must have at most %d words",
                                CP_PLATFORM_WORDS);
        }

        d = cp_arena_alloc(op->arena, 2 * len + 3);

        if (d == NULL) {
            return CP_ERROR;
        }

        patterns[n].type = CP_VAL_TEXT;
        patterns[n].p = d;
        p = d;
        *p++ = '%';

        for ( /* void */ ; len > 0; len--, query++) {
            if (*query == '%' || *query == '_' || *query == '!') {
                *p++ = '!';
            }

            *p++ = (*query >= 'A' && *query <= 'Z') ? (char) (*query | 0x20)
                                                    : *query;
        }

        *p++ = '%';
        patterns[n].len = (size_t) (p - d);
    }

    return CP_OK;
}


static cp_val_t
cp_platform_partner(cp_op_t *op)
{
    return cp_text(cp_arena_printf(op->arena, "%%\"%s\"%%",
                                   op->actor.of_tenant));
}


/* One statement in a read transaction of its own. */

static cp_rc_t
cp_platform_query(cp_op_t *op, const char *sql, const cp_val_t *args,
    unsigned nargs, cp_rows_t *rows)
{
    cp_rc_t   rc;
    cp_tx_t  *tx;

    if (cp_tx_open(op->app->db, false, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, op->arena, sql, args, nargs, rows, &op->err);
    cp_tx_rollback(tx);

    return rc;
}


cp_rc_t
cp_platform_search(cp_op_t *op, const char *query, const char *kind,
    int64_t limit, cp_json_t **out)
{
    cp_rc_t      rc;
    cp_val_t     args[6 + CP_PLATFORM_WORDS];
    unsigned     i;
    cp_rows_t    rows;
    cp_json_t   *items;

    query = (query != NULL) ? query : "";

    args[0] = cp_text(op->actor.of_tenant);
    args[1] = cp_platform_partner(op);
    args[2] = cp_text(op->actor.application);
    args[3] = cp_text(query);
    args[4] = cp_text(kind != NULL ? kind : "");
    args[5] = cp_int(limit + 1);

    rc = cp_platform_words(op, query, &args[6]);

    if (rc == CP_OK) {
        rc = cp_platform_query(op, cp_sql_search, args,
                               6 + CP_PLATFORM_WORDS, &rows);
    }

    if (rc != CP_OK) {
        return rc;
    }

    items = cp_json_array(op->arena);
    *out = cp_json_object(op->arena);

    for (i = 0; i < rows.rows && i < (unsigned) limit; i++) {
        cp_json_push(items, cp_platform_item(op->arena, cp_cell(&rows, i, 0)));
    }

    cp_json_set(op->arena, *out, "items", items);
    cp_json_put_bool(op->arena, *out, "more", rows.rows > (unsigned) limit);

    return CP_OK;
}


static cp_rc_t
cp_platform_find(cp_op_t *op, const char *tenant, const char *api,
    cp_rows_t *rows)
{
    cp_rc_t  rc;

    rc = cp_platform_query(op, cp_sql_api,
             cp_args(cp_text(op->actor.of_tenant), cp_platform_partner(op),
                     cp_text(op->actor.application),
                     cp_text(tenant != NULL ? tenant : ""), cp_text(api)),
             rows);

    if (rc == CP_OK && rows->rows == 0) {
        rc = cp_err_set(&op->err, "not_found", "no api \"%s%s%s\"",
                        tenant != NULL ? tenant : "",
                        tenant != NULL ? "/" : "", api);
    }

    return rc;
}


cp_rc_t
cp_platform_api(cp_op_t *op, const char *tenant, const char *api,
    cp_json_t **out)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_platform_find(op, tenant, api, &rows);

    if (rc == CP_OK) {
        *out = cp_platform_item(op->arena, rows.v);
    }

    return rc;
}


static cp_rc_t
cp_platform_operations(cp_op_t *op, const char *id, cp_json_t *out)
{
    cp_rc_t      rc;
    unsigned     i;
    cp_rows_t    rows;
    cp_json_t   *list, *item;

    rc = cp_platform_query(op, cp_sql_operations,
             cp_args(cp_text(id), cp_int(CP_PLATFORM_ROWS_MAX)), &rows);

    if (rc != CP_OK) {
        return rc;
    }

    list = cp_json_array(op->arena);

    for (i = 0; i < rows.rows; i++) {
        item = cp_json_object(op->arena);

        cp_platform_text(op->arena, item, "name", cp_cell(&rows, i, 0));
        cp_platform_text(op->arena, item, "title", cp_cell(&rows, i, 1));
        cp_platform_text(op->arena, item, "method", cp_cell(&rows, i, 2));
        cp_platform_text(op->arena, item, "path", cp_cell(&rows, i, 3));
        cp_json_push(list, item);
    }

    cp_json_set(op->arena, out, "operations", list);

    return CP_OK;
}


static cp_rc_t
cp_platform_tools(cp_op_t *op, const char *id, cp_json_t *out)
{
    cp_rc_t      rc;
    unsigned     i;
    cp_rows_t    rows;
    cp_json_t   *list;

    rc = cp_platform_query(op, cp_sql_tools,
             cp_args(cp_text(id), cp_int(CP_PLATFORM_ROWS_MAX)), &rows);

    if (rc != CP_OK) {
        return rc;
    }

    list = cp_json_array(op->arena);

    for (i = 0; i < rows.rows; i++) {
        cp_json_push(list, cp_platform_json(op->arena, cp_cell(&rows, i, 0)));
    }

    cp_json_set(op->arena, out, "tools", list);

    return CP_OK;
}


cp_rc_t
cp_platform_spec(cp_op_t *op, const char *tenant, const char *api,
    cp_json_t **out)
{
    cp_rc_t      rc;
    cp_rows_t    rows;
    const char  *id;

    rc = cp_platform_find(op, tenant, api, &rows);

    if (rc != CP_OK) {
        return rc;
    }

    *out = cp_platform_item(op->arena, rows.v);
    id = rows.v[I_ID].p;

    if (strcmp(rows.v[I_KIND].p, "mcp") == 0) {
        return cp_platform_tools(op, id, *out);
    }

    cp_json_set(op->arena, *out, "spec",
                cp_platform_json(op->arena, &rows.v[I_SPEC]));

    rc = cp_platform_document(op, id, *out);

    return rc == CP_OK ? cp_platform_operations(op, id, *out) : rc;
}


/* The newest document that was imported, if it is not too long to be told. */
static cp_rc_t
cp_platform_document(cp_op_t *op, const char *id, cp_json_t *out)
{
    cp_rc_t          rc;
    cp_tx_t         *tx;
    cp_json_t       *doc;
    cp_specs_text_t  t;

    if (cp_tx_open(op->app->db, false, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_specs_load(tx, op->arena, id, 0, &t, &op->err);
    cp_tx_rollback(tx);

    if (rc != CP_OK || t.text == NULL || t.len > CP_PLATFORM_SPEC_MAX) {
        return rc;
    }

    rc = t.yaml ? cp_yaml_parse(op->arena, t.text, t.len, &doc, &op->err)
                : cp_json_parse(op->arena, t.text, t.len, &doc, &op->err);

    if (rc == CP_OK) {
        cp_json_set(op->arena, out, "spec", t.yaml ? doc->first : doc);
    }

    return rc;
}


static cp_json_t *
cp_platform_subscription(cp_arena_t *a, const cp_val_t *v)
{
    bool             server;
    unsigned         i;
    cp_json_t       *s, *plan;
    const char      *kind;
    const cp_val_t  *name;

    static const struct {
        const char  *name;
        unsigned     column;
    } limits[] = { { "rate", S_RATE }, { "per_ms", S_PER },
        { "burst", S_BURST }, { "quota_day", S_DAY },
        { "quota_month", S_MONTH }, { "concurrency", S_CONCURRENCY } };

    s = cp_json_object(a);
    plan = cp_json_object(a);

    server = v[S_SERVER].type == CP_VAL_TEXT;
    kind = server ? "server" : v[S_API_KIND].p;
    name = server ? &v[S_SERVER] : &v[S_API];

    cp_platform_text(a, s, "id", &v[S_ID]);
    cp_platform_text(a, s, "state", &v[S_STATE]);
    cp_platform_text(a, s, "tenant", &v[S_TENANT]);
    cp_json_put(a, s, "kind", kind);
    cp_platform_text(a, s, "name", name);
    cp_json_put(a, s, "path",
                cp_platform_path(a, kind, v[S_TENANT].p, name->p));

    cp_platform_text(a, plan, "name", &v[S_PLAN]);

    for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        cp_json_put_int(a, plan, limits[i].name, v[limits[i].column].i);
    }

    cp_json_set(a, s, "plan", plan);
    cp_platform_time(a, s, "expires_at", &v[S_EXPIRES]);
    cp_platform_time(a, s, "created_at", &v[S_CREATED]);
    cp_json_set(a, s, "tools", cp_platform_json(a, &v[S_TOOLS]));

    return s;
}


static cp_rc_t
cp_platform_application(cp_op_t *op, cp_json_t *out)
{
    cp_rc_t     rc;
    cp_rows_t   rows;
    cp_json_t  *app;

    rc = cp_platform_query(op,
             "SELECT a.name, a.title, t.name FROM applications a"
             " JOIN tenants t ON t.id = a.tenant WHERE a.id = $1",
             cp_args(cp_text(op->actor.application)), &rows);

    if (rc == CP_OK && rows.rows == 0) {
        rc = cp_err_set(&op->err, "not_found", "no such application");
    }

    if (rc != CP_OK) {
        return rc;
    }

    app = cp_json_object(op->arena);

    cp_platform_text(op->arena, app, "name", cp_cell(&rows, 0, 0));
    cp_platform_text(op->arena, app, "title", cp_cell(&rows, 0, 1));
    cp_platform_text(op->arena, app, "tenant", cp_cell(&rows, 0, 2));
    cp_json_set(op->arena, out, "application", app);

    return CP_OK;
}


/* Adds `quota` to the caller's subscriptions. */
static cp_rc_t
cp_platform_quota(cp_op_t *op, cp_json_t *items)
{
    cp_rc_t     rc;
    cp_tx_t    *tx;
    cp_json_t  *item, *quotas, *quota;

    if (cp_tx_open(op->app->db, false, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_quota_read(tx, op->arena, op->actor.application, &quotas,
                       &op->err);
    cp_tx_rollback(tx);

    for (item = items->first; rc == CP_OK && item; item = item->next) {
        quota = cp_json_get(quotas, cp_json_str(item, "id"));

        if (quota) {
            cp_json_set(op->arena, item, "quota",
                        cp_json_copy(op->arena, quota));
        }
    }

    return rc;
}


cp_rc_t
cp_platform_subscriptions(cp_op_t *op, cp_json_t **out)
{
    cp_rc_t     rc;
    unsigned    i;
    cp_rows_t   rows;
    cp_json_t  *items;

    items = cp_json_array(op->arena);
    *out = cp_json_object(op->arena);

    rc = cp_platform_application(op, *out);

    if (rc == CP_OK) {
        rc = cp_platform_query(op, cp_sql_subscriptions,
                 cp_args(cp_text(op->actor.application),
                         cp_int(CP_PLATFORM_ROWS_MAX)), &rows);
    }

    for (i = 0; rc == CP_OK && i < rows.rows; i++) {
        cp_json_push(items, cp_platform_subscription(op->arena,
                                                  cp_cell(&rows, i, 0)));
    }

    cp_json_set(op->arena, *out, "items", items);

    return rc == CP_OK ? cp_platform_quota(op, items) : rc;
}


/* The members of an item of cp_usage_sum() that add up. */

static const char *const  cp_usage_counts[] = { "requests", "c2xx", "c3xx",
    "c4xx", "c5xx", "bytes_in", "bytes_out", "tokens_in", "tokens_out",
    "tokens_cached", NULL };


static void
cp_platform_total(cp_arena_t *a, const cp_json_t *items, cp_json_t *out)
{
    int64_t            sum;
    cp_json_t         *total;
    const cp_json_t   *item;
    const char *const *name;

    total = cp_json_object(a);

    for (name = cp_usage_counts; *name != NULL; name++) {
        sum = 0;

        for (item = items->first; item != NULL; item = item->next) {
            sum += cp_json_num(item, *name, 0);
        }

        cp_json_put_int(a, total, *name, sum);
    }

    cp_json_set(a, out, "total", total);
}


cp_rc_t
cp_platform_usage(cp_op_t *op, int64_t days, cp_json_t **out)
{
    cp_rc_t          rc;
    cp_tx_t         *tx;
    cp_json_t       *items;
    cp_usage_ask_t   ask;

    memset(&ask, 0, sizeof(ask));
    ask.tenant = op->actor.of_tenant;
    ask.application = op->actor.application;
    ask.to_ms = cp_time_ms() + 1;
    ask.from_ms = ask.to_ms - days * CP_DAY_MS;
    ask.by = CP_USAGE_BY_API | CP_USAGE_BY_OPERATION;
    cp_usage_clip(&op->app->conf, &ask);

    if (cp_tx_open(op->app->db, false, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_usage_sum(tx, op->arena, &ask, &items, &op->err);
    cp_tx_rollback(tx);

    if (rc != CP_OK) {
        return rc;
    }

    *out = cp_json_object(op->arena);

    cp_json_put(op->arena, *out, "from",
                cp_time_format(op->arena, ask.from_ms));
    cp_json_put(op->arena, *out, "to",
                cp_time_format(op->arena, ask.to_ms - 1));
    cp_platform_total(op->arena, items, *out);
    cp_json_set(op->arena, *out, "items", items);

    return CP_OK;
}


static cp_rc_t
cp_platform_gateways(cp_op_t *op, cp_json_t *out)
{
    cp_rc_t      rc;
    int64_t      now, n[3];
    unsigned     i, j;
    cp_rows_t    rows;
    cp_json_t   *gateways;
    const char  *state;

    static const char *const  states[] = { "online", "stale", "offline" };

    rc = cp_platform_query(op, cp_sql_gateways, NULL, 0, &rows);

    if (rc != CP_OK) {
        return rc;
    }

    memset(n, 0, sizeof(n));
    now = cp_time_ms();

    for (i = 0; i < rows.rows; i++) {
        state = cp_gateway_state(cp_cell(&rows, i, 0)->i, now);

        for (j = 0; j < 3; j++) {
            n[j] += (strcmp(state, states[j]) == 0);
        }
    }

    gateways = cp_json_object(op->arena);

    for (j = 0; j < 3; j++) {
        cp_json_put_int(op->arena, gateways, states[j], n[j]);
    }

    cp_json_set(op->arena, out, "gateways", gateways);
    cp_json_put(op->arena, out, "status", n[0] > 0 ? "ok" : "degraded");

    return CP_OK;
}


cp_rc_t
cp_platform_health(cp_op_t *op, cp_json_t **out)
{
    cp_rc_t    rc;
    int64_t    now;
    cp_rows_t  rows;

    rc = cp_platform_query(op, "SELECT rev FROM feed_head WHERE one = 1", NULL,
                           0, &rows);
    if (rc != CP_OK) {
        return rc;
    }

    *out = cp_json_object(op->arena);
    now = cp_time_ms();
    cp_json_put(op->arena, *out, "status", "ok");
    cp_json_put(op->arena, *out, "version", CP_VERSION);
    cp_json_put(op->arena, *out, "time", cp_time_format(op->arena, now));
    cp_json_put_int(op->arena, *out, "uptime_s",
                    (now - op->app->started_ms) / 1000);
    cp_json_put_int(op->arena, *out, "revision",
                    rows.rows > 0 ? rows.v[0].i : 0);

    return cp_platform_gateways(op, *out);
}
