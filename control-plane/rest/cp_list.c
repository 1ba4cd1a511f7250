/*
 * Lists.
 */

#include <stdlib.h>
#include <string.h>

#include "auth/cp_auth.h"
#include "core/stoa_json.h"
#include "op/cp_app.h"
#include "http/cp_call.h"
#include "http/cp_query.h"
#include "rest/cp_list.h"


#define CP_LIST_ARGS_MAX    24
#define CP_CURSOR_MAX       512

typedef struct {
    cp_req_t             *r;
    cp_tx_t              *tx;
    const cp_resource_t  *res;
    const char           *tenant;
    const char           *where;
    cp_val_t              args[CP_LIST_ARGS_MAX];
    unsigned              n;
} cp_list_t;


static void cp_list_and(cp_list_t *l, const char *column, char op,
    cp_val_t arg);
static cp_rc_t cp_list_where(cp_list_t *l, const char *parent);
static void cp_list_owner(cp_list_t *l, const char *parent);
static cp_rc_t cp_list_filters(cp_list_t *l);
static cp_rc_t cp_list_label(cp_list_t *l);
static cp_rc_t cp_list_filter(cp_list_t *l, const cp_field_t *f,
    const char *value);
static cp_rc_t cp_list_ref(cp_list_t *l, const cp_field_t *f,
    const char *value, const char **id);
static cp_json_t *cp_list_make(cp_req_t *r, cp_json_t *items,
    const char *next);


cp_rc_t
cp_list_page(cp_req_t *r, cp_tx_t *tx, const cp_resource_t *res,
    const char *tenant, const char *parent, cp_json_t **page)
{
    bool             all;
    cp_rc_t          rc;
    int64_t          limit, n;
    cp_list_t        l;
    cp_json_t       *rows, *row, *obj, *items;
    cp_names_t       names;
    const char      *key, *column, *last;
    cp_row_query_t   q;

    /* names are unique in their parent only */

    all = res->parent && r->nparam == 0;
    column = res->by_id || all ? "id" : "name";

    rc = cp_list_known(r, res, false);
    if (rc == CP_OK) {
        rc = cp_list_range(r, &limit, &key);
    }

    if (rc != CP_OK) {
        return rc;
    }

    l = (cp_list_t) { .r = r, .tx = tx, .res = res, .tenant = tenant };

    rc = cp_list_where(&l, parent);
    if (rc != CP_OK) {
        return rc;
    }

    if (key[0]) {
        cp_list_and(&l, column, '>', cp_text(key));
    }

    q.where = l.where;
    q.order = cp_arena_printf(r->op.arena, "\"%s\"", column);
    q.limit = limit + 1;
    q.large = false;

    rc = cp_row_select(tx, r->op.arena, res, &q, l.args, l.n, &rows,
                       &r->op.err);
    if (rc != CP_OK) {
        return rc;
    }

    cp_names_init(&names, tx, r->op.arena, &r->op.err);
    items = cp_json_array(r->op.arena);
    last = NULL;

    for (row = rows->first, n = 0; row && n < limit; row = row->next, n++) {
        rc = cp_row_show(&names, res, row, &obj);
        if (rc != CP_OK) {
            return rc;
        }

        last = cp_json_str(row, column);
        cp_json_push(items, obj);
    }

    *page = cp_list_make(r, items, row ? last : NULL);

    return CP_OK;
}


cp_rc_t
cp_list_ids(cp_req_t *r, cp_tx_t *tx, const cp_resource_t *res, unsigned max,
    cp_rows_t *rows)
{
    cp_rc_t    rc;
    cp_list_t  l = { .r = r, .tx = tx, .res = res };

    rc = cp_list_where(&l, NULL);

    return rc != CP_OK ? rc
           : cp_tx_query(tx, r->op.arena,
                         cp_arena_printf(r->op.arena, "SELECT \"id\" FROM"
                                         " \"%s\" WHERE %s ORDER BY \"id\""
                                         " LIMIT %u", res->table, l.where,
                                         max),
                         l.args, l.n, rows, &r->op.err);
}


/* Which rows: whose, and what the query asks for. */
static cp_rc_t
cp_list_where(cp_list_t *l, const char *parent)
{
    cp_rc_t   rc;
    unsigned  n;

    l->where = "1 = 1";
    cp_list_owner(l, parent);
    n = l->n;
    rc = cp_list_filters(l);

    if (l->n > n) {
        l->where = cp_arena_printf(l->r->op.arena, "%s" CP_BY_VALUES,
                                   l->where);
    }

    return rc == CP_OK ? cp_list_label(l) : rc;
}


/* Whose rows they are. */
static void
cp_list_owner(cp_list_t *l, const char *parent)
{
    const char  *column;
    cp_req_t    *r = l->r;

    if (l->res->also && l->tenant) {
        cp_list_and(l, l->res->also, '|', cp_text(l->tenant));

    } else if (l->tenant) {
        cp_list_and(l, "tenant", '=', cp_text(l->tenant));
    }

    if (parent && strcmp(l->res->parent, "tenant") != 0) {
        cp_list_and(l, l->res->parent, '=', cp_text(parent));
    }

    if (l->tenant || l->res->everybody) {
        return;
    }

    /* of those tenants in which he may */

    column = l->res == &cp_res_tenant ? "id" : "tenant";
    l->where = cp_arena_printf(r->op.arena, "%s AND (%s%s%s)", l->where,
                               cp_auth_where(&r->op, column,
                                             r->route->permission),
                               l->res->also ? " OR " : "",
                               l->res->also
                               ? cp_auth_where(&r->op, l->res->also,
                                               r->route->permission) : "");
}


static cp_json_t *
cp_list_make(cp_req_t *r, cp_json_t *items, const char *next)
{
    cp_json_t  *page;

    page = cp_json_object(r->op.arena);
    cp_json_set(r->op.arena, page, "items", items);

    if (next) {
        cp_json_put(r->op.arena, page, "next",
                    cp_list_cursor(r->op.arena, next));
    }

    return page;
}


static bool
cp_list_has_labels(const cp_resource_t *res)
{
    const cp_field_t  *f;

    for (f = res->fields; f->name; f++) {
        if (strcmp(f->name, "labels") == 0) {
            return true;
        }
    }

    return false;
}


/* ?label=name=value: stored as canonical JSON, in which neither has an
 * escape. */
static cp_rc_t
cp_list_label(cp_list_t *l)
{
    const char  *s, *at;

    s = cp_list_has_labels(l->res) ? cp_req_query(l->r, "label") : NULL;
    at = s ? strchr(s, '=') : NULL;

    if (s == NULL) {
        return CP_OK;
    }

    if (at == NULL || strpbrk(s, "\"\\")) {
        return cp_err_set(&l->r->op.err, "bad_request", "label must be"
                          " name=value");
    }

    l->args[l->n++] = cp_text(cp_arena_printf(l->r->op.arena,
                                              "\"%.*s\":\"%s\"",
                                              (int) (at - s), s, at + 1));
    l->where = cp_arena_printf(l->r->op.arena, "%s AND REPLACE(labels, $%u,"
                               " '') <> labels", l->where, l->n);

    return CP_OK;
}


static bool
cp_list_is_filter(const cp_resource_t *res, const char *name)
{
    const cp_field_t  *f;

    for (f = res->fields; f->name; f++) {
        if ((f->flags & CP_FILTER) && strcmp(f->name, name) == 0) {
            return true;
        }
    }

    return false;
}


/* The rows of the resource's table say what may be asked for. */
cp_rc_t
cp_list_known(cp_req_t *r, const cp_resource_t *res, bool many)
{
    unsigned     i;
    const char  *name;

    for (i = 0; r->call && i < r->call->nquery; i++) {
        name = r->call->query[i][0];

        if (!(many ? strcmp(name, "wait") == 0
                   : strcmp(name, "limit") == 0
                     || strcmp(name, "cursor") == 0)
            && !(strcmp(name, "label") == 0 && cp_list_has_labels(res))
            && !cp_list_is_filter(res, name))
        {
            return cp_err_set(&r->op.err, "bad_request",
                              "the query parameter \"%.64s\" is not known",
                              name);
        }
    }

    return CP_OK;
}


cp_rc_t
cp_list_range(cp_req_t *r, int64_t *limit, const char **key)
{
    char        *end, *text;
    size_t       len;
    const char  *s;

    *limit = CP_LIST_DEFAULT;
    *key = "";

    s = cp_req_query(r, "limit");

    if (s) {
        *limit = *s >= '0' && *s <= '9' ? strtol(s, &end, 10) : -1;

        if (*limit < 1 || *limit > CP_LIST_MAX || *end != '\0') {
            return cp_err_set(&r->op.err, "bad_request",
                              "limit must be 1..%d", CP_LIST_MAX);
        }
    }

    s = cp_req_query(r, "cursor");

    if (s && *s) {
        len = strlen(s);
        text = cp_arena_alloc(r->op.arena, len / 2 + 1);

        if (len % 2 || len > 2 * CP_CURSOR_MAX || text == NULL
            || !stoa_hex_decode(s, len, (uint8_t *) text)
            || strlen(text) != len / 2
            || !stoa_utf8_valid(text, len / 2))
        {
            return cp_err_set(&r->op.err, "bad_request",
                              "the cursor is not one of ours");
        }

        *key = text;
    }

    return CP_OK;
}


const char *
cp_list_cursor(cp_arena_t *a, const char *key)
{
    return cp_hex(a, (const uint8_t *) key, strlen(key));
}


/* op: '=' or '>', or '|' for "the tenant's, or another's that `column` shows
 * to this tenant". */
static void
cp_list_and(cp_list_t *l, const char *column, char op, cp_val_t arg)
{
    unsigned  n;

    if (l->n == CP_LIST_ARGS_MAX) {
        return;
    }

    l->args[l->n++] = arg;
    n = l->n;

    l->where = op == '|'
               ? cp_arena_printf(l->r->op.arena, "%s AND (\"tenant\" = $%u"
                                 " OR \"%s\" = $%u)", l->where, n, column, n)
               : cp_arena_printf(l->r->op.arena, "%s AND \"%s\" %c $%u",
                                 l->where, column, op, n);
}


static cp_rc_t
cp_list_filters(cp_list_t *l)
{
    cp_rc_t            rc;
    const char        *value;
    const cp_field_t  *f;

    for (f = l->res->fields; f->name; f++) {
        value = f->flags & CP_FILTER ? cp_req_query(l->r, f->name) : NULL;

        rc = value ? cp_list_filter(l, f, value) : CP_OK;
        if (rc != CP_OK) {
            return rc;
        }
    }

    return CP_OK;
}


static cp_rc_t
cp_list_filter(cp_list_t *l, const cp_field_t *f, const char *value)
{
    bool         flag;
    cp_rc_t      rc;
    unsigned     i;
    const char  *id;

    if (f->type == CP_F_ENUM) {
        for (i = 0; f->values[i] && strcmp(f->values[i], value) != 0; i++) {
            /* void */
        }

        if (f->values[i] == NULL) {
            return cp_err_set(&l->r->op.err, "bad_request",
                              "%s has no value \"%.64s\"", f->name, value);
        }
    }

    if (f->type == CP_F_BOOL) {
        rc = cp_query_flag(l->r, f->name, &flag);

        if (rc == CP_OK) {
            cp_list_and(l, f->name, '=', cp_int(flag));
        }

        return rc;
    }

    if (f->type == CP_F_REF) {
        rc = cp_list_ref(l, f, value, &id);
        if (rc != CP_OK) {
            return rc;
        }

        value = id ? id : "";
    }

    cp_list_and(l, f->name, '=', cp_text(value));

    return CP_OK;
}


/* An id is taken as it is: a publisher does not see the consumer's names, but
 * may ask for what it saw in a list. */
static cp_rc_t
cp_list_ref(cp_list_t *l, const cp_field_t *f, const char *value,
    const char **id)
{
    cp_rc_t               rc;
    const char           *parent, *scope;
    const cp_resource_t  *res;

    res = cp_resource_find(f->ref);
    parent = res->parent ? l->tenant : NULL;
    scope = f->scope ? cp_req_query(l->r, f->scope) : NULL;

    if (scope) {
        rc = cp_ref_find(l->tx, l->r->op.arena, &cp_res_tenant, NULL, scope,
                         &parent, &l->r->op.err);
        if (rc != CP_OK) {
            return rc;
        }

        parent = parent ? parent : "";
    }

    rc = cp_ref_find(l->tx, l->r->op.arena, res, parent, value, id,
                     &l->r->op.err);

    if (rc == CP_OK && *id == NULL && stoa_id_valid(value, strlen(value))) {
        *id = value;
    }

    return rc;
}
