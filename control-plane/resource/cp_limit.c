/*
 * How much a tenant may have: its own limits, else the process's default.
 * What is counted is counted once per transaction and kind, so that a large
 * apply does not count anew for each row.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "resource/cp_limit.h"


typedef struct cp_count_s  cp_count_t;

struct cp_count_s {
    char          tenant[STOA_ID_LEN + 1];
    unsigned      kind;            /* row of the table                       */
    int64_t       used;
    int64_t       limit;           /* 0: none                                */
    cp_count_t   *next;
};

typedef struct {
    cp_count_t  *first;
} cp_counts_t;

#define CP_LIMIT_ROW(kind, live, doc)  { #kind, live },

static const struct {
    const char  *kind;
    const char  *live;
} cp_limits[] = {
    CP_LIMITS(CP_LIMIT_ROW)
};

#define CP_LIMITS_N  (sizeof(cp_limits) / sizeof(cp_limits[0]))

static const char  cp_limit_key[] = "limits";


static unsigned
cp_limit_find(const char *kind, size_t len)
{
    unsigned  i;

    for (i = 0; i < CP_LIMITS_N; i++) {
        if (strlen(cp_limits[i].kind) == len
            && memcmp(cp_limits[i].kind, kind, len) == 0)
        {
            break;
        }
    }

    return i;
}


/* The next pair of "api=100 plan=20"; false: the text ends, *p is not "" when
 * it is wrong. */
static bool
cp_limit_next(const char **p, unsigned *kind, int64_t *limit)
{
    char        *end;
    const char  *s, *at;

    s = *p + strspn(*p, " ,");
    at = strchr(s, '=');
    *p = s;

    if (at == NULL) {
        return false;
    }

    *kind = cp_limit_find(s, (size_t) (at - s));
    *limit = at[1] >= '0' && at[1] <= '9' ? strtol(at + 1, &end, 10) : -1;

    if (*kind == CP_LIMITS_N || *limit < 0 || *limit > CP_LIMIT_MAX
        || strchr(" ,", *end) == NULL)
    {
        return false;
    }

    *p = end;

    return true;
}


const char *
cp_limit_wrong(cp_arena_t *a, const char *text)
{
    int64_t   limit;
    unsigned  kind;

    while (cp_limit_next(&text, &kind, &limit)) {
        /* void */
    }

    return *text == '\0' ? NULL
           : cp_arena_printf(a, "\"%.64s\" is no limit: a kind, = and 0 to"
                             " %d", text, CP_LIMIT_MAX);
}


static int64_t
cp_limit_of(const cp_app_t *app, const cp_json_t *own, unsigned i)
{
    int64_t      limit;
    unsigned     kind;
    const char  *p;

    if (cp_json_get(own, cp_limits[i].kind)) {
        return cp_json_num(own, cp_limits[i].kind, 0);
    }

    for (p = app->conf.tenant_limits; p && cp_limit_next(&p, &kind, &limit); )
    {
        if (kind == i) {
            return limit;
        }
    }

    return 0;
}


static cp_rc_t
cp_limit_used(cp_tx_t *tx, cp_arena_t *a, const char *tenant, unsigned i,
    int64_t *used, cp_err_t *err)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, a,
                     cp_arena_printf(a, "SELECT COUNT(*) FROM \"%s\""
                                     " WHERE tenant = $1 AND %s",
                                     cp_resource_find(cp_limits[i].kind)
                                     ->table, cp_limits[i].live),
                     cp_args(cp_text(tenant)), &rows, err);

    *used = rc == CP_OK ? cp_cell(&rows, 0, 0)->i : 0;

    return rc;
}


static cp_rc_t
cp_limit_free(cp_tx_t *tx, void *data, bool commit)
{
    cp_count_t   *c, *next;
    cp_counts_t  *counts = data;

    (void) tx;
    (void) commit;

    for (c = counts->first; c; c = next) {
        next = c->next;
        free(c);
    }

    free(counts);

    return CP_OK;
}


/* What is known of the tenant's kind in this transaction; NULL: nothing. */
static cp_count_t *
cp_limit_known(const cp_write_t *w, const char *tenant, unsigned kind)
{
    cp_count_t   *c;
    cp_counts_t  *counts;

    counts = cp_tx_attached(w->tx, cp_limit_key);

    for (c = counts ? counts->first : NULL; c; c = c->next) {
        if (c->kind == kind && strcmp(c->tenant, tenant) == 0) {
            break;
        }
    }

    return c;
}


static cp_rc_t
cp_limit_count(const cp_write_t *w, const char *tenant, unsigned kind,
    cp_count_t **out)
{
    cp_rc_t       rc;
    cp_op_t      *op = w->op;
    cp_json_t    *row;
    cp_count_t   *c;
    cp_counts_t  *counts;

    *out = NULL;

    rc = cp_row_load(w->tx, op->arena, cp_resource_owner(), tenant, &row,
                     &op->err);
    if (rc != CP_OK || row == NULL) {
        return rc;
    }

    counts = cp_tx_attached(w->tx, cp_limit_key);

    if (counts == NULL) {
        counts = calloc(1, sizeof(cp_counts_t));

        if (counts == NULL
            || cp_tx_attach(w->tx, cp_limit_key, counts, cp_limit_free)
               != CP_OK)
        {
            free(counts);
            return cp_err_set(&op->err, "internal", "no memory");
        }
    }

    c = calloc(1, sizeof(cp_count_t));
    if (c == NULL) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    (void) strncpy(c->tenant, tenant, STOA_ID_LEN);
    c->kind = kind;
    c->limit = cp_limit_of(op->app, cp_json_get(row, "limits"), kind);
    c->next = counts->first;
    counts->first = c;
    *out = c;

    return c->limit
           ? cp_limit_used(w->tx, op->arena, tenant, kind, &c->used, &op->err)
           : CP_OK;
}


cp_rc_t
cp_limit_check(const cp_write_t *w, const cp_json_t *row)
{
    cp_rc_t      rc;
    unsigned     kind;
    cp_count_t  *c;
    const char  *tenant;

    tenant = cp_json_str(row, "tenant");
    kind = cp_limit_find(w->res->kind, strlen(w->res->kind));

    if (tenant == NULL || w->res->owner || kind == CP_LIMITS_N) {
        return CP_OK;
    }

    c = cp_limit_known(w, tenant, kind);

    rc = c ? CP_OK : cp_limit_count(w, tenant, kind, &c);
    if (rc != CP_OK || c == NULL) {
        return rc;
    }

    /* what the process itself makes is counted, and not refused */

    if (c->limit && c->used >= c->limit && !w->heir && !w->op->unlimited
        && !cp_actor_is_system(&w->op->actor))
    {
        return cp_err_set(&w->op->err, "limit_reached", "the tenant has %"
                          PRId64 " of at most %" PRId64 " (limits.%s)",
                          c->used, c->limit, w->res->kind);
    }

    c->used++;

    return CP_OK;
}


void
cp_limit_gone(const cp_write_t *w, const cp_json_t *row)
{
    unsigned     kind;
    cp_count_t  *c;
    const char  *tenant;

    tenant = cp_json_str(row, "tenant");
    kind = cp_limit_find(w->res->kind, strlen(w->res->kind));
    c = tenant && kind < CP_LIMITS_N ? cp_limit_known(w, tenant, kind) : NULL;

    /* whether it was one of those that count is told by counting again */

    if (c) {
        c->kind = CP_LIMITS_N;
    }
}


cp_rc_t
cp_limit_list(cp_tx_t *tx, cp_arena_t *a, const cp_app_t *app,
    const cp_json_t *tenant, cp_json_t **list, cp_err_t *err)
{
    cp_rc_t     rc;
    int64_t     used, limit;
    unsigned    i;
    cp_json_t  *one;

    *list = cp_json_array(a);

    for (i = 0; i < CP_LIMITS_N; i++) {
        rc = cp_limit_used(tx, a, cp_json_str(tenant, "id"), i, &used, err);
        if (rc != CP_OK) {
            return rc;
        }

        one = cp_json_object(a);
        cp_json_put(a, one, "kind", cp_limits[i].kind);
        cp_json_put_int(a, one, "used", used);

        limit = cp_limit_of(app, cp_json_get(tenant, "limits"), i);

        if (limit) {
            cp_json_put_int(a, one, "limit", limit);
        }

        cp_json_push(*list, one);
    }

    return CP_OK;
}
