/*
 * GET /v1/dump: everything that documents can say, from one snapshot, in an
 * order that depends on nothing but names.  An apply of it changes nothing.
 */

#include <stdlib.h>
#include <string.h>

#include "auth/cp_auth.h"
#include "op/cp_app.h"
#include "catalogue/cp_specs.h"
#include "kinds/cp_kinds.h"
#include "kinds/cp_tool_state.h"
#include "apply/cp_apply_run.h"


#define CP_DUMP_MAX    (512 * 1024 * 1024)
#define CP_DUMP_PAGE   1000
#define CP_DUMP_APIS   16         /* of a page: their documents are long     */
#define CP_DUMP_ARENA  ((size_t) 1024 * 1024 * 1024)


typedef struct {
    const char  *key;                   /* sorts it among its kind           */
    cp_json_t   *document;
    size_t       at;                    /* its text in `texts`               */
    size_t       len;
} cp_dump_item_t;

typedef struct {
    cp_req_t             *r;
    cp_tx_t              *tx;
    cp_arena_t           *arena;        /* of a page of rows                 */
    const cp_resource_t  *res;
    const char           *tenant;       /* name; NULL: top-level kinds       */
    bool                  whole;        /* what is no tenant's too           */
    cp_names_t            names;
    stoa_buf_t            out;

    /* One kind of one tenant: texts as they come, sorted at its end. */
    stoa_buf_t            texts;
    cp_arena_t           *keys;
    cp_dump_item_t       *item;
    size_t                n;
    size_t                size;
} cp_dump_t;

typedef struct {
    const char  *name;
    const char  *id;
} cp_dump_tenant_t;


static cp_rc_t cp_dump_tenants(cp_req_t *r, cp_tx_t *tx,
    cp_dump_tenant_t **tenants, unsigned *n);
static cp_rc_t cp_dump_all(cp_dump_t *dump, const cp_dump_tenant_t *tenants,
    unsigned n);
static cp_rc_t cp_dump_kind(cp_dump_t *dump, const cp_resource_t *res,
    const cp_dump_tenant_t *t);
static cp_rc_t cp_dump_page(cp_dump_t *dump, const cp_dump_tenant_t *t,
    const char **last);
static cp_rc_t cp_dump_add(cp_dump_t *dump, const cp_dump_item_t *item);
static cp_rc_t cp_dump_rows(cp_dump_t *dump, const cp_dump_tenant_t *t,
    const char *last, cp_json_t **rows);
static cp_rc_t cp_dump_item(cp_dump_t *dump, const cp_json_t *row,
    cp_dump_item_t *item);
static const char *cp_dump_key(cp_dump_t *dump, const cp_json_t *obj);
static cp_rc_t cp_dump_operations(cp_dump_t *dump, const cp_json_t *row,
    cp_json_t *spec);
static cp_rc_t cp_dump_tools(cp_dump_t *dump, const cp_json_t *row,
    cp_json_t *spec);
static cp_rc_t cp_dump_gone(cp_dump_t *dump, const cp_json_t *row,
    cp_json_t *spec);
static cp_rc_t cp_dump_docs(cp_dump_t *dump, const cp_json_t *row,
    cp_json_t *spec);
static void cp_dump_state(cp_dump_t *dump, const cp_json_t *row,
    cp_json_t *spec);
static cp_json_t *cp_dump_value(cp_arena_t *a, const cp_field_t *f,
    const cp_json_t *val);
static int cp_dump_compare(const void *one, const void *two);


cp_rc_t
cp_dump_get(cp_req_t *r)
{
    cp_rc_t            rc;
    unsigned           n;
    cp_dump_t          dump;
    cp_dump_tenant_t  *tenants;

    memset(&dump, 0, sizeof(dump));
    dump.r = r;
    dump.whole = cp_auth_sees(&r->op.actor, NULL)
                 && cp_req_query(r, "tenant") == NULL;
    stoa_buf_init(&dump.out, CP_DUMP_MAX);

    if (cp_tx_open(r->op.app->db, false, &dump.tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_dump_tenants(r, dump.tx, &tenants, &n);

    if (rc == CP_OK) {
        rc = cp_dump_all(&dump, tenants, n);
    }

    cp_tx_rollback(dump.tx);
    free(dump.item);

    if (rc == CP_OK && dump.out.rc != STOA_OK) {
        rc = cp_err_set(&r->op.err, "too_large",
                        "the dump is too large: take one tenant at a time");
    }

    if (rc != CP_OK) {
        stoa_buf_free(&dump.out);
        return rc;
    }

    stoa_buf_free(&r->out);
    r->out = dump.out;
    r->status = 200;
    r->content_type = "application/yaml";

    return CP_OK;
}


cp_rc_t
cp_dump_tenant(cp_req_t *r, cp_tx_t *tx, const char *id, stoa_buf_t *out)
{
    cp_rc_t           rc;
    cp_rows_t         rows;
    cp_dump_t         dump;
    cp_dump_tenant_t  t;

    rc = cp_tx_query(tx, r->op.arena, "SELECT name FROM tenants"
                     " WHERE id = $1", cp_args(cp_text(id)), &rows,
                     &r->op.err);

    if (rc != CP_OK || rows.rows == 0) {
        return rc;
    }

    memset(&dump, 0, sizeof(dump));
    dump.r = r;
    dump.tx = tx;
    dump.out = *out;
    t.name = cp_cell(&rows, 0, 0)->p;
    t.id = id;

    rc = cp_dump_all(&dump, &t, 1);

    free(dump.item);
    *out = dump.out;

    return rc;
}


/* Those that were asked for, else all of the actor. */
static cp_rc_t
cp_dump_tenants(cp_req_t *r, cp_tx_t *tx, cp_dump_tenant_t **tenants,
    unsigned *n)
{
    cp_rc_t        rc;
    unsigned       i;
    cp_rows_t      rows;
    cp_tenants_t   of;

    rc = cp_ref_tenants(&r->op, tx, cp_req_query(r, "tenant"),
                        r->route->permission, false, &of);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_tx_query(tx, r->op.arena,
                     cp_arena_printf(r->op.arena, "SELECT name, id"
                                     " FROM tenants WHERE %s",
                                     cp_tenants_where(r->op.arena, &of,
                                                      "id")),
                     NULL, 0, &rows, &r->op.err);
    if (rc != CP_OK) {
        return rc;
    }

    *n = rows.rows;
    *tenants = cp_arena_alloc(r->op.arena,
                              (rows.rows + 1) * sizeof(cp_dump_tenant_t));
    if (*tenants == NULL) {
        return cp_err_set(&r->op.err, "internal", "out of memory");
    }

    for (i = 0; i < rows.rows; i++) {
        (*tenants)[i].name = cp_cell(&rows, i, 0)->p;
        (*tenants)[i].id = cp_cell(&rows, i, 1)->p;
    }

    qsort(*tenants, *n, sizeof(cp_dump_tenant_t), cp_dump_compare);

    return CP_OK;
}


/* Kinds in the order in which they are applied, tenants within a kind. */
static cp_rc_t
cp_dump_all(cp_dump_t *dump, const cp_dump_tenant_t *tenants, unsigned n)
{
    cp_rc_t               rc;
    unsigned              i, k;
    const cp_resource_t  *res;

    for (k = 0; (res = cp_resource_at(k)) != NULL; k++) {

        if (res->doc_kind == NULL) {
            continue;
        }

        if (res->parent == NULL && res != &cp_res_tenant) {
            rc = dump->whole ? cp_dump_kind(dump, res, NULL) : CP_OK;
            if (rc != CP_OK) {
                return rc;
            }

            continue;
        }

        for (i = 0; i < n; i++) {
            rc = cp_dump_kind(dump, res, &tenants[i]);
            if (rc != CP_OK) {
                return rc;
            }
        }
    }

    return CP_OK;
}


static cp_rc_t
cp_dump_kind(cp_dump_t *dump, const cp_resource_t *res,
    const cp_dump_tenant_t *t)
{
    size_t       i;
    cp_rc_t      rc;
    const char  *last;

    dump->res = res;
    dump->tenant = res->parent ? t->name : NULL;
    dump->keys = cp_arena_create(CP_DUMP_ARENA);
    dump->n = 0;
    stoa_buf_init(&dump->texts, CP_DUMP_MAX);

    last = dump->keys ? "" : NULL;
    rc = last ? CP_OK
         : cp_err_set(&dump->r->op.err, "internal", "out of memory");

    while (rc == CP_OK && last) {
        rc = cp_dump_page(dump, t, &last);
    }

    if (rc == CP_OK && dump->n) {
        qsort(dump->item, dump->n, sizeof(cp_dump_item_t), cp_dump_compare);
    }

    for (i = 0; rc == CP_OK && i < dump->n; i++) {
        stoa_buf_addz(&dump->out, "---\n");
        stoa_buf_add(&dump->out, dump->texts.data + dump->item[i].at,
                     dump->item[i].len);
    }

    /* a text too many is found out at the end, as with `out` */

    if (dump->texts.rc != STOA_OK) {
        dump->out.rc = dump->texts.rc;
    }

    stoa_buf_free(&dump->texts);
    cp_arena_destroy(dump->keys);

    return rc;
}


static unsigned
cp_dump_rows_max(const cp_dump_t *dump)
{
    return dump->res == &cp_res_api ? CP_DUMP_APIS : CP_DUMP_PAGE;
}


/* The next rows by id; *last NULL: there are no more. */
static cp_rc_t
cp_dump_page(cp_dump_t *dump, const cp_dump_tenant_t *t, const char **last)
{
    cp_rc_t          rc;
    cp_json_t       *rows, *row;
    cp_dump_item_t   item;

    dump->arena = cp_arena_create(CP_DUMP_ARENA);

    if (dump->arena == NULL) {
        return cp_err_set(&dump->r->op.err, "internal", "out of memory");
    }

    cp_names_init(&dump->names, dump->tx, dump->arena, &dump->r->op.err);

    rc = cp_dump_rows(dump, t, *last, &rows);

    for (row = rc == CP_OK ? rows->first : NULL; row; row = row->next) {

        rc = cp_dump_item(dump, row, &item);

        if (rc == CP_OK) {
            item.at = dump->texts.len;
            cp_yaml_write(&dump->texts, item.document, 0);
            item.len = dump->texts.len - item.at;
            rc = cp_dump_add(dump, &item);
        }

        if (rc != CP_OK) {
            break;
        }
    }

    *last = rc == CP_OK && rows->n == cp_dump_rows_max(dump)
            ? cp_arena_strdup(dump->keys, cp_json_str(rows->last, "id"))
            : NULL;

    cp_arena_destroy(dump->arena);

    return rc;
}


static cp_rc_t
cp_dump_add(cp_dump_t *dump, const cp_dump_item_t *item)
{
    cp_dump_item_t  *more;

    if (dump->n == dump->size) {
        more = realloc(dump->item, (dump->size + 512) * 2
                                   * sizeof(cp_dump_item_t));
        if (more == NULL) {
            return cp_err_set(&dump->r->op.err, "internal", "out of memory");
        }

        dump->item = more;
        dump->size = (dump->size + 512) * 2;
    }

    dump->item[dump->n] = *item;
    dump->item[dump->n].key = cp_arena_strdup(dump->keys, item->key);

    return dump->item[dump->n++].key
           ? CP_OK : cp_err_set(&dump->r->op.err, "internal", "out of memory");
}


/* A subscription that has ended is a record, not configuration.  $1: after
 * this id. */
static cp_rc_t
cp_dump_rows(cp_dump_t *dump, const cp_dump_tenant_t *t, const char *last,
    cp_json_t **rows)
{
    cp_row_query_t  q = { "\"id\" > $1", "\"id\"", cp_dump_rows_max(dump),
                          true };

    if (dump->res == &cp_res_tenant) {
        q.where = "\"id\" > $1 AND \"id\" = $2";

    } else if (dump->res == &cp_res_subscription) {
        q.where = "\"id\" > $1 AND \"tenant\" = $2 AND \"state\" NOT IN"
                  " ('revoked', 'rejected', 'expired')";

    } else if (dump->res == &cp_res_policy) {

        /* what a set makes again needs no document of its own */

        q.where = "\"id\" > $1 AND \"tenant\" = $2 AND (\"policy_set\" IS"
                  " NULL OR \"drifted\" <> 0)";

    } else if (dump->res->parent) {
        q.where = "\"id\" > $1 AND \"tenant\" = $2";
    }

    return t ? cp_row_select(dump->tx, dump->arena, dump->res, &q,
                             cp_args(cp_text(last), cp_text(t->id)), rows,
                             &dump->r->op.err)
             : cp_row_select(dump->tx, dump->arena, dump->res, &q,
                             cp_args(cp_text(last)), rows, &dump->r->op.err);
}


static cp_rc_t
cp_dump_item(cp_dump_t *dump, const cp_json_t *row, cp_dump_item_t *item)
{
    cp_rc_t      rc;
    cp_json_t   *obj, *meta, *spec;
    cp_arena_t  *a;
    const char  *own;

    a = dump->arena;

    rc = cp_row_show(&dump->names, dump->res, row, &obj);
    if (rc != CP_OK) {
        return rc;
    }

    item->key = cp_dump_key(dump, obj);
    item->document = cp_json_object(a);
    cp_json_put(a, item->document, "apiVersion", CP_APPLY_VERSION);
    cp_json_put(a, item->document, "kind", dump->res->doc_kind);

    meta = cp_json_object(a);

    if (!dump->res->by_id) {
        cp_json_put(a, meta, "name", cp_json_str(obj, "name"));
    }

    if (dump->tenant) {
        cp_json_put(a, meta, "tenant", dump->tenant);
    }

    /* the name stands in the metadata, the own tenant is the default */

    own = cp_json_str(obj, "target_tenant");

    if (own && dump->tenant && strcmp(own, dump->tenant) == 0) {
        cp_json_set(a, obj, "target_tenant", cp_json_null(a));
    }

    if (!dump->res->by_id) {
        cp_json_set(a, obj, "name", cp_json_null(a));
    }

    spec = cp_dump_spec(a, dump->res->fields, obj);
    cp_dump_state(dump, row, spec);

    rc = dump->res == &cp_res_api ? cp_dump_operations(dump, row, spec)
                                  : CP_OK;

    if (rc == CP_OK && dump->res == &cp_res_api) {
        rc = cp_dump_tools(dump, row, spec);
    }

    if (rc == CP_OK && dump->res == &cp_res_api) {
        rc = cp_dump_docs(dump, row, spec);
    }

    if (rc == CP_OK && dump->res == &cp_res_policy_set) {
        rc = cp_dump_gone(dump, row, spec);
    }

    cp_json_set(a, item->document, "metadata", meta);

    if (spec->n) {
        cp_json_set(a, item->document, "spec", spec);
    }

    return rc;
}


static const char *
cp_dump_key(cp_dump_t *dump, const cp_json_t *obj)
{
    unsigned                  i;
    const char               *key, *s;
    static const char *const  parts[] = { "name", "application",
                                          "target_tenant", "api", "server",
                                          "id", NULL };

    key = "";

    for (i = 0; parts[i]; i++) {
        s = cp_json_str(obj, parts[i]);
        key = cp_arena_printf(dump->arena, "%s%s\n", key, s ? s : "");
    }

    return key;
}


static cp_rc_t
cp_dump_operations(cp_dump_t *dump, const cp_json_t *row, cp_json_t *spec)
{
    cp_rc_t          rc;
    unsigned         i, n;
    cp_json_t       *rows, *op, *obj, *list;
    cp_dump_item_t  *item;
    cp_row_query_t   q = { "\"api\" = $1", NULL, 0, true };

    rc = cp_row_select(dump->tx, dump->arena, &cp_res_operation, &q,
                       cp_args(cp_text(cp_json_str(row, "id"))), &rows,
                       &dump->r->op.err);
    if (rc != CP_OK || rows->n == 0) {
        return rc;
    }

    item = cp_arena_alloc(dump->arena, rows->n * sizeof(cp_dump_item_t));
    if (item == NULL) {
        return cp_err_set(&dump->r->op.err, "internal", "out of memory");
    }

    for (op = rows->first, n = 0; op; op = op->next, n++) {
        rc = cp_row_show(&dump->names, &cp_res_operation, op, &obj);
        if (rc != CP_OK) {
            return rc;
        }

        item[n].key = cp_json_str(op, "name");
        item[n].document = cp_dump_spec(dump->arena, cp_res_operation.fields,
                                        obj);

        if (strcmp(cp_json_str(op, "state"), cp_res_operation.initial) != 0) {
            cp_json_set(dump->arena, item[n].document, "state",
                        cp_json_copy(dump->arena, cp_json_get(op, "state")));
        }

        if (cp_json_get(op, "imported")->i) {
            cp_json_put_bool(dump->arena, item[n].document, "imported", true);
        }
    }

    qsort(item, n, sizeof(cp_dump_item_t), cp_dump_compare);
    list = cp_json_array(dump->arena);

    for (i = 0; i < n; i++) {
        cp_json_push(list, item[i].document);
    }

    cp_json_set(dump->arena, spec, "operations", list);

    return CP_OK;
}


static cp_rc_t
cp_dump_gone(cp_dump_t *dump, const cp_json_t *row, cp_json_t *spec)
{
    cp_rc_t     rc;
    cp_json_t  *list;

    rc = cp_gone_list(&dump->r->op, dump->tx, dump->arena, row, &list);

    if (rc == CP_OK && list->n) {
        cp_json_set(dump->arena, spec, "gone", list);
    }

    return rc;
}


static cp_rc_t
cp_dump_tools(cp_dump_t *dump, const cp_json_t *row, cp_json_t *spec)
{
    cp_rc_t     rc;
    unsigned    i;
    cp_json_t  *list;

    rc = CP_OK;

    for (i = 0; rc == CP_OK && cp_items[i]; i++) {
        rc = cp_tool_states(dump->tx, dump->arena, cp_items[i],
                            cp_json_str(row, "id"), &list,
                            &dump->r->op.err);

        if (rc == CP_OK && list->n) {
            cp_json_set(dump->arena, spec, cp_items[i]->plural, list);
        }
    }

    return rc;
}


/* Pages; the OpenAPI document that is newest, beside which the operations are
 * always listed, as they are no others than these. */
static cp_rc_t
cp_dump_docs(cp_dump_t *dump, const cp_json_t *row, cp_json_t *spec)
{
    cp_rc_t           rc;
    cp_json_t        *rows, *page, *list, *document;
    cp_row_query_t    q = { "\"api\" = $1", "\"name\"", 0, true };
    const char       *id;
    cp_arena_t       *a = dump->arena;
    cp_specs_text_t   t;

    id = cp_json_str(row, "id");
    rc = cp_row_select(dump->tx, a, &cp_res_page, &q, cp_args(cp_text(id)),
                       &rows, &dump->r->op.err);

    if (rc == CP_OK && rows->n) {
        list = cp_json_array(a);

        for (page = rows->first; page; page = page->next) {
            cp_json_push(list, cp_dump_spec(a, cp_res_page.fields, page));
        }

        cp_json_set(a, spec, "pages", list);
    }

    if (rc == CP_OK) {
        rc = cp_specs_load(dump->tx, a, id, 0, &t, &dump->r->op.err);
    }

    if (rc != CP_OK || t.text == NULL) {
        return rc;
    }

    document = cp_json_object(a);
    cp_json_put(a, document, "format", t.yaml ? "yaml" : "json");
    cp_json_set(a, document, "text", cp_json_string(a, t.text));
    cp_json_set(a, spec, "document", document);

    if (cp_json_get(spec, "operations") == NULL) {
        cp_json_set(a, spec, "operations", cp_json_array(a));
    }

    return CP_OK;
}


/* The initial state goes without saying, except that of a subscription: it
 * depends on the plan. */
static void
cp_dump_state(cp_dump_t *dump, const cp_json_t *row, cp_json_t *spec)
{
    const char             *state;
    const cp_transition_t  *path[CP_WALK_MAX];

    state = dump->res->transitions ? cp_json_str(row, "state") : NULL;

    /* one that only the process itself gets to is nothing to ask for */

    if (state && dump->res->owner
        && cp_apply_walk(dump->res, dump->res->initial, state, path) < 0)
    {
        return;
    }

    if (state && (strcmp(state, dump->res->initial) != 0
                  || dump->res == &cp_res_subscription))
    {
        cp_json_put(dump->arena, spec, "state", state);
    }
}


cp_json_t *
cp_dump_spec(cp_arena_t *a, const cp_field_t *fields, const cp_json_t *obj)
{
    cp_json_t         *spec, *val;
    const cp_field_t  *f;

    spec = cp_json_object(a);

    for (f = fields; f->name; f++) {
        if (f->flags & (CP_READONLY|CP_SECRET|CP_SEALED|CP_ONCE|CP_NO_DUMP)) {
            continue;
        }

        val = cp_dump_value(a, f, cp_json_get(obj, f->name));
        if (val) {
            cp_json_set(a, spec, f->name, val);
        }
    }

    return spec;
}


/* NULL: absent, or the default. */
static cp_json_t *
cp_dump_value(cp_arena_t *a, const cp_field_t *f, const cp_json_t *val)
{
    cp_json_t  *dflt, *out, *item;

    if (val == NULL || val->type == CP_JSON_NULL) {
        return NULL;
    }

    if (f->type == CP_F_OBJECT && f->sub) {
        out = cp_dump_spec(a, f->sub, val);
        return out->n || f->dflt == NULL ? out : NULL;
    }

    if (f->dflt
        && cp_json_parse(a, f->dflt, strlen(f->dflt), &dflt, NULL) == CP_OK
        && cp_json_equal(dflt, val))
    {
        return NULL;
    }

    if (f->type != CP_F_ARRAY || f->item != CP_F_OBJECT || f->sub == NULL) {
        return cp_json_copy(a, val);
    }

    out = cp_json_array(a);

    for (item = val->first; item; item = item->next) {
        cp_json_push(out, cp_dump_spec(a, f->sub, item));
    }

    return out;
}


/* Items and tenants begin with the text they are sorted by. */
static int
cp_dump_compare(const void *one, const void *two)
{
    return strcmp(*(const char *const *) one, *(const char *const *) two);
}
