/*
 * The operations of an api, as its document lists them: what is not in the
 * list goes, the rest is created or replaced.  An operation without a name
 * is called after its method and path.
 */

#include <stdlib.h>
#include <string.h>

#include "auth/cp_auth.h"
#include "kinds/cp_kinds.h"
#include "spec/cp_spec.h"
#include "feed/cp_feed.h"
#include "apply/cp_apply_run.h"


typedef struct {
    const char  *name;
    const char  *id;
    cp_json_t   *obj;
    unsigned     index;                 /* in the document                   */
    bool         kept;
} cp_operation_t;

typedef struct {
    cp_apply_t      *ap;
    cp_document_t   *d;
    cp_json_t       *diff;
    cp_operation_t  *old;               /* by name                           */
    unsigned         n;
} cp_operations_t;


static cp_rc_t cp_operations_load(cp_operations_t *ops);
static int cp_operation_compare(const void *one, const void *two);
static cp_rc_t cp_operations_names(cp_operations_t *ops);
static cp_rc_t cp_operations_shapes(cp_operations_t *ops,
    cp_operation_t *shapes);
static const char *cp_operation_name(cp_arena_t *a, const cp_json_t *item);
static cp_rc_t cp_operations_delete(cp_operations_t *ops);
static cp_rc_t cp_operation_later(cp_operations_t *ops, const char *id);
static cp_rc_t cp_operation_apply(cp_operations_t *ops, cp_json_t *item);
static cp_rc_t cp_operation_write(cp_operations_t *ops, cp_json_t *item,
    const cp_operation_t *old, cp_json_t **obj);
static cp_rc_t cp_operation_state(cp_operations_t *ops, const char *want,
    unsigned line, cp_json_t **obj);
static cp_rc_t cp_operation_mark(cp_operations_t *ops, const cp_json_t *mark,
    cp_json_t *obj, bool created);
static cp_json_t *cp_operation_said(cp_arena_t *a, const cp_json_t *obj);


cp_rc_t
cp_apply_operations(cp_apply_t *ap, cp_document_t *d, cp_json_t *diff)
{
    char             field[48];
    cp_rc_t          rc;
    unsigned         i, n;
    cp_json_t       *item, *next;
    cp_operations_t  ops = { ap, d, diff, NULL, 0 };

    rc = cp_operations_load(&ops);

    if (rc == CP_OK) {
        rc = cp_operations_names(&ops);
    }

    if (rc == CP_OK) {
        rc = cp_operations_delete(&ops);
    }

    for (item = d->operations->first, i = 0; item && rc == CP_OK;
         item = next, i++)
    {
        next = item->next;
        n = ap->op->err.n;
        rc = cp_operation_apply(&ops, item);

        if (rc == CP_DECLINED) {
            snprintf(field, sizeof(field), "operations[%u]", i);
            cp_document_item_faults(&ap->op->err, n, field);
        }
    }

    return rc;
}


static cp_rc_t
cp_operations_load(cp_operations_t *ops)
{
    cp_rc_t          rc;
    unsigned         i;
    cp_op_t         *op;
    cp_json_t       *rows, *row;
    cp_names_t       names;
    cp_row_query_t   q = { "\"api\" = $1", NULL, 0, true };

    op = ops->ap->op;

    rc = cp_row_select(ops->ap->tx, op->arena, &cp_res_operation, &q,
                       cp_args(cp_text(ops->d->id)), &rows, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    ops->n = rows->n;
    ops->old = cp_arena_alloc(op->arena,
                              (rows->n + 1) * sizeof(cp_operation_t));
    if (ops->old == NULL) {
        return cp_err_set(&op->err, "internal", "out of memory");
    }

    cp_names_init(&names, ops->ap->tx, op->arena, &op->err);

    for (row = rows->first, i = 0; row; row = row->next, i++) {
        rc = cp_row_show(&names, &cp_res_operation, row, &ops->old[i].obj);
        if (rc != CP_OK) {
            return rc;
        }

        ops->old[i].id = cp_json_str(row, "id");
        ops->old[i].name = cp_json_str(row, "name");
    }

    qsort(ops->old, ops->n, sizeof(cp_operation_t), cp_operation_compare);

    return CP_OK;
}


static int
cp_operation_compare(const void *one, const void *two)
{
    return strcmp(((const cp_operation_t *) one)->name,
                  ((const cp_operation_t *) two)->name);
}


/* Gives every operation of the list its name, and marks those that stay. */
static cp_rc_t
cp_operations_names(cp_operations_t *ops)
{
    char             field[48];
    cp_rc_t          rc;
    unsigned         i, n;
    cp_op_t         *op;
    cp_json_t       *item;
    cp_operation_t   key, *named, *shapes, *old;

    op = ops->ap->op;
    n = ops->d->operations->n;

    named = cp_arena_alloc(op->arena, (n + 1) * sizeof(cp_operation_t));
    shapes = cp_arena_alloc(op->arena, (n + 1) * sizeof(cp_operation_t));

    if (named == NULL || shapes == NULL) {
        return cp_err_set(&op->err, "internal", "out of memory");
    }

    for (item = ops->d->operations->first, i = 0; item;
         item = item->next, i++)
    {
        snprintf(field, sizeof(field), "spec.operations[%u]", i);

        if (item->type != CP_JSON_OBJECT) {
            return cp_err_field(&op->err, ops->d->index, item->line, field,
                                "must be an object");
        }

        key.name = cp_json_str(item, "name");

        if (key.name == NULL && cp_json_get(item, "name") == NULL) {
            key.name = cp_operation_name(op->arena, item);
            cp_json_put(op->arena, item, "name", key.name);
        }

        key.name = key.name ? key.name : "";
        named[i].name = key.name;
        named[i].obj = item;
        shapes[i].name = cp_arena_printf(op->arena, "%s %s",
                             cp_report_text(item, "method"),
                             cp_spec_shape(op->arena,
                                              cp_report_text(item, "path")));
        shapes[i].obj = item;
        shapes[i].index = i;

        old = bsearch(&key, ops->old, ops->n, sizeof(cp_operation_t),
                      cp_operation_compare);
        if (old) {
            old->kept = true;
        }
    }

    qsort(named, n, sizeof(cp_operation_t), cp_operation_compare);
    rc = CP_OK;

    for (i = 1; i < n; i++) {
        if (strcmp(named[i].name, named[i - 1].name) == 0) {
            rc = cp_err_field(&op->err, ops->d->index, named[i].obj->line,
                              "spec.operations", "\"%.64s\" is there twice",
                              named[i].name);
        }
    }

    return rc == CP_OK ? cp_operations_shapes(ops, shapes) : rc;
}


/* In the order of the document where they are the same. */
static int
cp_operation_in_order(const void *one, const void *two)
{
    int                    n;
    const cp_operation_t  *a = one, *b = two;

    n = strcmp(a->name, b->name);

    return n ? n : (int) a->index - (int) b->index;
}


/* Two that take the same requests; the list is all that there will be. */
static cp_rc_t
cp_operations_shapes(cp_operations_t *ops, cp_operation_t *shapes)
{
    char      field[48];
    cp_rc_t   rc;
    unsigned  i;

    qsort(shapes, ops->d->operations->n, sizeof(cp_operation_t),
          cp_operation_in_order);
    rc = CP_OK;

    for (i = 1; i < ops->d->operations->n; i++) {
        if (strcmp(shapes[i].name, shapes[i - 1].name) == 0) {
            snprintf(field, sizeof(field), "spec.operations[%u]",
                     shapes[i].index);
            rc = cp_err_field(&ops->ap->op->err, ops->d->index,
                              shapes[i].obj->line, field,
                              "the operation \"%.64s\" has this method and"
                              " path", cp_json_str(shapes[i - 1].obj,
                                                   "name"));
        }
    }

    return rc;
}


/* GET /orders/{id} -> get-orders-id */
static const char *
cp_operation_name(cp_arena_t *a, const cp_json_t *item)
{
    int          ch;
    char         name[STOA_NAME_MAX + 1];
    size_t       n;
    unsigned     part;
    const char  *s, *text[2];

    text[0] = cp_report_text(item, "method");
    text[1] = cp_report_text(item, "path");
    n = 0;

    for (part = 0; part < 2; part++) {
        for (s = text[part]; *s && n < STOA_NAME_MAX; s++) {
            ch = *s >= 'A' && *s <= 'Z' ? *s | 0x20 : *s;

            if ((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9')) {
                name[n++] = (char) ch;

            } else if (n && name[n - 1] != '-') {
                name[n++] = '-';
            }
        }

        if (part == 0 && n && n < STOA_NAME_MAX && name[n - 1] != '-') {
            name[n++] = '-';
        }
    }

    while (n && name[n - 1] == '-') {
        n--;
    }

    return cp_arena_strndup(a, name, n);
}


/* Before anything is created, so that there never are too many. */
static cp_rc_t
cp_operations_delete(cp_operations_t *ops)
{
    cp_rc_t          rc;
    cp_err_t         err;
    unsigned         i;
    cp_op_t         *op = ops->ap->op;
    cp_write_t       w = cp_write_of(op, ops->ap->tx, &cp_res_operation);
    cp_operation_t  *old;

    for (i = 0; i < ops->n; i++) {
        old = &ops->old[i];

        if (old->kept) {
            continue;
        }

        w.id = old->id;
        err = op->err;
        rc = cp_entry_delete(&w);

        if (rc == CP_DECLINED && strcmp(op->err.code, "in_use") == 0) {
            op->err = err;
            rc = cp_operation_later(ops, old->id);
        }

        if (rc != CP_OK) {
            return rc;
        }

        cp_diff_push(op->arena, ops->diff,
                     cp_arena_printf(op->arena, "operations[%s]", old->name),
                     cp_operation_said(op->arena, old->obj), NULL);
    }

    return CP_OK;
}


/* A policy uses it: of a document that is yet to come, or that prune takes. */
static cp_rc_t
cp_operation_later(cp_operations_t *ops, const char *id)
{
    cp_apply_later_t  *later;
    cp_apply_t        *ap = ops->ap;

    later = cp_arena_alloc(ap->arena, sizeof(cp_apply_later_t));
    if (later == NULL) {
        return cp_err_set(&ap->op->err, "internal", "out of memory");
    }

    later->d = ops->d;
    later->id = cp_arena_strdup(ap->arena, id);
    later->next = ap->later;
    ap->later = later;

    return CP_OK;
}


cp_rc_t
cp_apply_operations_later(cp_apply_t *ap)
{
    cp_rc_t                  rc;
    unsigned                 n;
    cp_write_t               w = cp_write_of(ap->op, ap->tx,
                                             &cp_res_operation);
    const cp_apply_later_t  *later;

    rc = CP_OK;

    for (later = ap->later; later && rc == CP_OK; later = later->next) {
        n = ap->op->err.n;
        w.id = later->id;
        rc = cp_entry_delete(&w);

        if (rc == CP_DECLINED) {
            cp_document_faults(&ap->op->err, n, later->d);
        }
    }

    return rc;
}


static cp_rc_t
cp_operation_apply(cp_operations_t *ops, cp_json_t *item)
{
    cp_rc_t          rc;
    unsigned         line;
    cp_op_t         *op;
    cp_json_t       *obj, *spec, *member, *mark, *b, *n;
    const char      *want;
    cp_operation_t   key, *old;

    op = ops->ap->op;
    spec = cp_json_object(op->arena);
    spec->line = item->line;
    want = NULL;
    mark = NULL;
    line = item->line;

    for (member = item->first; member; member = member->next) {
        if (strcmp(member->key, "state") == 0) {
            want = member->type == CP_JSON_STRING ? member->s : "";
            line = member->line;
            continue;
        }

        if (strcmp(member->key, "imported") == 0) {
            mark = member;
            continue;
        }

        n = cp_json_copy(op->arena, member);
        n->line = member->line;
        cp_json_set(op->arena, spec, member->key, n);
    }

    key.name = cp_report_text(spec, "name");
    old = bsearch(&key, ops->old, ops->n, sizeof(cp_operation_t),
                  cp_operation_compare);

    rc = cp_operation_write(ops, spec, old, &obj);

    if (rc == CP_OK && want) {
        rc = cp_operation_state(ops, want, line, &obj);
    }

    if (rc == CP_OK && mark) {
        rc = cp_operation_mark(ops, mark, obj, old == NULL);
    }

    if (rc != CP_OK) {
        return rc;
    }

    b = old ? cp_operation_said(op->arena, old->obj) : NULL;
    n = cp_operation_said(op->arena, obj);

    if (b == NULL || !cp_json_equal(b, n)) {
        cp_diff_push(op->arena, ops->diff,
                     cp_arena_printf(op->arena, "operations[%s]", key.name),
                     b, n);
    }

    return CP_OK;
}


static cp_rc_t
cp_operation_write(cp_operations_t *ops, cp_json_t *spec,
    const cp_operation_t *old, cp_json_t **obj)
{
    cp_rc_t        rc;
    cp_op_t       *op = ops->ap->op;
    cp_err_t       quiet = { .arena = op->arena };
    cp_json_t     *after, *diff;
    cp_entry_t     e;
    cp_write_t     w = cp_write_of(op, ops->ap->tx, &cp_res_operation);
    cp_validate_t  v = { op->arena, &quiet, ops->d->index, false };

    e.obj = NULL;

    w.id = old ? old->id : ops->d->id;
    w.in = spec;
    w.document = ops->d->index;

    if (old == NULL) {
        rc = cp_entry_create(&w, &e);
        *obj = e.obj;
        return rc;
    }

    if (cp_validate(&v, cp_res_operation.fields, spec, old->obj, &after)
        == CP_OK)
    {
        diff = cp_json_array(op->arena);
        cp_diff_objects(op->arena, &cp_res_operation, old->obj, after, diff);

        if (diff->n == 0) {
            *obj = old->obj;
            return CP_OK;
        }
    }

    rc = cp_entry_update(&w, &e);
    *obj = e.obj;

    return rc;
}


static cp_rc_t
cp_operation_state(cp_operations_t *ops, const char *want, unsigned line,
    cp_json_t **obj)
{
    int                     i, n;
    cp_rc_t                 rc;
    cp_entry_t              e;
    cp_write_t              w = cp_write_of(ops->ap->op, ops->ap->tx,
                                            &cp_res_operation);
    const cp_transition_t  *path[CP_WALK_MAX];

    w.id = cp_json_str(*obj, "id");
    n = cp_apply_walk(&cp_res_operation, cp_json_str(*obj, "state"), want,
                      path);
    if (n < 0) {
        return cp_err_field(&ops->ap->op->err, ops->d->index, line, "state",
                            "must be enabled or disabled");
    }

    for (i = 0; i < n; i++) {
        rc = cp_entry_event(&w, path[i]->event, &e);
        if (rc != CP_OK) {
            return rc;
        }

        *obj = e.obj;
    }

    return CP_OK;
}


/* Whether a document made it, in a dump of another database. */
static cp_rc_t
cp_operation_mark(cp_operations_t *ops, const cp_json_t *mark,
    cp_json_t *obj, bool created)
{
    cp_rc_t      rc;
    cp_op_t     *op = ops->ap->op;
    cp_write_t   w = cp_write_of(op, ops->ap->tx, &cp_res_operation);

    if (mark->type != CP_JSON_BOOL) {
        return cp_err_field(&op->err, ops->d->index, mark->line, "imported",
                            "must be true or false");
    }

    if (mark->i == cp_json_get(obj, "imported")->i) {
        return CP_OK;
    }

    rc = cp_auth_may(op, "operation:write", ops->d->tenant_id);

    if (rc == CP_OK) {
        w.id = cp_json_str(obj, "id");
        rc = cp_operation_imported(&w, mark->i != 0, created);
    }

    cp_json_put_bool(op->arena, obj, "imported", mark->i != 0);

    return rc;
}


/* What a document says of it. */
static cp_json_t *
cp_operation_said(cp_arena_t *a, const cp_json_t *obj)
{
    cp_json_t   *said;
    const char  *state;

    said = cp_dump_spec(a, cp_res_operation.fields, obj);
    state = cp_json_str(obj, "state");

    if (state && strcmp(state, cp_res_operation.initial) != 0) {
        cp_json_put(a, said, "state", state);
    }

    if (cp_json_get(obj, "imported")->i) {
        cp_json_put_bool(a, said, "imported", true);
    }

    return said;
}
