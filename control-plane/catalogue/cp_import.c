/*
 * An api's operations and its document.  An operation is known by its method
 * and path, whatever its parameters are called: one that is there keeps its
 * name, its state and all that refers to it.
 */

#include <stdlib.h>
#include <string.h>

#include "catalogue/cp_specs.h"


typedef struct {
    const char  *key;                  /* "GET /orders/{}"                   */
    const char  *id;
    const char  *name;
    const char  *path;
    const char  *title;
    bool         imported;
    bool         found;
} cp_import_old_t;

typedef struct {
    cp_op_t          *op;
    cp_tx_t          *tx;
    const char       *api;
    cp_import_old_t  *old;             /* by key                             */
    const char      **name;            /* sorted; of those in the database   */
    unsigned          n;
    cp_spec_t         made;            /* a set: names given here            */
    cp_json_t        *out;
    bool              dry;
} cp_import_t;


static cp_rc_t cp_import_load(cp_import_t *m);
static cp_rc_t cp_import_one(cp_import_t *m, const cp_json_t *want);
static cp_rc_t cp_import_create(cp_import_t *m, const cp_json_t *want,
    const char *method);
static cp_rc_t cp_import_update(cp_import_t *m, const cp_import_old_t *old,
    const cp_json_t *want);
static cp_rc_t cp_import_delete(cp_import_t *m);
static const char *cp_import_name(cp_import_t *m, const cp_json_t *want,
    const char *method);


static const char  cp_set_names[1];


cp_rc_t
cp_import_operations(cp_op_t *op, cp_tx_t *tx, const char *api,
    const cp_json_t *list, cp_import_e how, bool dry, cp_json_t **out)
{
    bool                      late;
    cp_rc_t                   rc;
    unsigned                  i;
    cp_import_t               m = { .op = op, .tx = tx, .api = api,
                                    .dry = dry };
    const cp_json_t          *want;
    static const char *const  said[] = { "create", "update", "delete",
                                         "held", "left_out", NULL };

    m.made.arena = op->arena;
    m.out = cp_json_object(op->arena);
    *out = m.out;

    for (i = 0; said[i]; i++) {
        cp_json_set(op->arena, m.out, said[i], cp_json_array(op->arena));
    }

    if (how == CP_IMPORT_NONE) {
        return CP_OK;
    }

    if (list->n > STOA_OPERATIONS_MAX) {
        return cp_err_field(&op->err, -1, 0, "/paths", "has %u operations; an"
                            " api has at most %d: operations=none keeps the"
                            " document alone", list->n, STOA_OPERATIONS_MAX);
    }

    rc = cp_import_load(&m);

    /* no two of a document take the same requests, nor does one of it and one
     * that stays: nothing else is to be judged in the end */

    late = op->late;
    op->late = true;

    /* those that go first, so that there never are too many */

    for (want = list->first; rc == CP_OK && want; want = want->next) {
        rc = cp_import_one(&m, want);
    }

    if (rc == CP_OK && how == CP_IMPORT_REPLACE) {
        rc = cp_import_delete(&m);
    }

    for (want = list->first; rc == CP_OK && want; want = want->next) {
        if (want->i) {
            continue;
        }

        rc = cp_import_create(&m, want, cp_json_str(want, "method"));
    }

    op->late = late;

    return rc;
}


static int
cp_import_compare(const void *one, const void *two)
{
    return strcmp(((const cp_import_old_t *) one)->key,
                  ((const cp_import_old_t *) two)->key);
}


static int
cp_import_compare_names(const void *one, const void *two)
{
    return strcmp(*(const char *const *) one, *(const char *const *) two);
}


static const char *
cp_import_key(cp_arena_t *a, const char *method, const char *path)
{
    char  *key, *p;

    key = cp_arena_printf(a, "%s %s", method, cp_spec_shape(a, path));

    for (p = key; p && *p && *p != ' '; p++) {
        *p = *p >= 'a' && *p <= 'z' ? (char) (*p - 32) : *p;
    }

    return key ? key : "";
}


static cp_rc_t
cp_import_load(cp_import_t *m)
{
    cp_rc_t           rc;
    unsigned          i;
    cp_rows_t         rows;
    cp_arena_t       *a = m->op->arena;
    cp_import_old_t  *old;

    rc = cp_tx_query(m->tx, a, "SELECT id, name, method, path, title,"
                     " imported FROM operations WHERE api = $1",
                     cp_args(cp_text(m->api)), &rows, &m->op->err);
    if (rc != CP_OK) {
        return rc;
    }

    m->n = rows.rows;
    m->old = cp_arena_alloc(a, (m->n + 1) * sizeof(cp_import_old_t));
    m->name = cp_arena_alloc(a, (m->n + 1) * sizeof(char *));

    if (m->old == NULL || m->name == NULL) {
        return cp_err_set(&m->op->err, "internal", "no memory");
    }

    for (i = 0; i < m->n; i++) {
        old = &m->old[i];
        old->id = cp_cell(&rows, i, 0)->p;
        old->name = cp_cell(&rows, i, 1)->p;
        old->path = cp_cell(&rows, i, 3)->p;
        old->title = cp_cell(&rows, i, 4)->p;
        old->imported = cp_cell(&rows, i, 5)->i != 0;
        old->key = cp_import_key(a, cp_cell(&rows, i, 2)->p, old->path);
        m->name[i] = old->name;
    }

    qsort(m->old, m->n, sizeof(cp_import_old_t), cp_import_compare);
    qsort(m->name, m->n, sizeof(char *), cp_import_compare_names);

    return CP_OK;
}


/* Marks what is there: `i` of the wanted one. */
static cp_rc_t
cp_import_one(cp_import_t *m, const cp_json_t *want)
{
    cp_import_old_t   key, *old;

    key.key = cp_import_key(m->op->arena, cp_json_str(want, "method"),
                            cp_json_str(want, "path"));
    old = bsearch(&key, m->old, m->n, sizeof(cp_import_old_t),
                  cp_import_compare);

    ((cp_json_t *) want)->i = old != NULL;

    if (old == NULL) {
        return CP_OK;
    }

    old->found = true;

    return old->imported ? cp_import_update(m, old, want) : CP_OK;
}


static void
cp_import_tell(cp_import_t *m, const char *what, const char *name,
    const char *key, const char *why)
{
    cp_json_t   *one;
    cp_arena_t  *a = m->op->arena;

    one = cp_json_object(a);
    cp_json_put(a, one, "name", name);
    cp_json_put(a, one, "operation", key);

    if (why) {
        cp_json_put(a, one, "why", why);
    }

    cp_json_push(cp_json_get(m->out, what), one);
}


static cp_rc_t
cp_import_update(cp_import_t *m, const cp_import_old_t *old,
    const cp_json_t *want)
{
    cp_rc_t      rc;
    cp_entry_t   e;
    cp_json_t   *in;
    cp_write_t   w = cp_write_of(m->op, m->tx, &cp_res_operation);
    const char  *title;

    title = cp_json_str(want, "title");

    if (strcmp(old->path, cp_json_str(want, "path")) == 0
        && strcmp(old->title ? old->title : "", title ? title : "") == 0)
    {
        return CP_OK;
    }

    in = cp_json_object(m->op->arena);
    cp_json_put(m->op->arena, in, "path", cp_json_str(want, "path"));
    cp_json_put(m->op->arena, in, "title", title);
    w.id = old->id;
    w.in = in;
    w.patch = true;

    rc = cp_entry_update(&w, &e);

    if (rc == CP_OK && w.changed) {
        cp_import_tell(m, "update", old->name, old->key, NULL);
    }

    return rc;
}


static cp_rc_t
cp_import_create(cp_import_t *m, const cp_json_t *want, const char *method)
{
    char         *upper, *p;
    cp_rc_t       rc;
    cp_err_t      err;
    cp_entry_t    e;
    cp_json_t    *in;
    cp_arena_t   *a = m->op->arena;
    cp_write_t    w = cp_write_of(m->op, m->tx, &cp_res_operation);
    const char   *name;

    upper = cp_arena_strdup(a, method);

    for (p = upper; p && *p; p++) {
        *p = (char) (*p - 32);
    }

    name = cp_import_name(m, want, method);
    in = cp_json_object(a);
    cp_json_put(a, in, "name", name);
    cp_json_put(a, in, "method", upper);
    cp_json_put(a, in, "path", cp_json_str(want, "path"));

    if (cp_json_str(want, "title")) {
        cp_json_put(a, in, "title", cp_json_str(want, "title"));
    }

    w.id = m->api;
    w.in = in;
    err = m->op->err;
    rc = cp_entry_create(&w, &e);

    /* a form of paths that gateways do not have: {from}...{to} */

    if (rc == CP_DECLINED && m->op->err.n == err.n + 1
        && strcmp(m->op->err.faults[err.n].field, "path") == 0)
    {
        cp_import_tell(m, "left_out", name,
                       cp_import_key(a, method, cp_json_str(want, "path")),
                       m->op->err.faults[err.n].message);
        m->op->err = err;
        return CP_OK;
    }

    if (rc == CP_OK) {
        cp_import_tell(m, "create", name,
                       cp_import_key(a, method, cp_json_str(want, "path")),
                       NULL);
        w.id = cp_json_str(e.row, "id");
        rc = cp_operation_imported(&w, true, true);
    }

    return rc;
}


/* What a policy is attached to is not removed: all of it is named. */
static cp_rc_t
cp_import_delete(cp_import_t *m)
{
    bool              refused;
    cp_rc_t           rc;
    cp_err_t          err;
    unsigned          i;
    cp_write_t        w = cp_write_of(m->op, m->tx, &cp_res_operation);
    const char       *why;
    cp_import_old_t  *old;

    refused = false;

    for (i = 0; i < m->n; i++) {
        old = &m->old[i];

        if (old->found || !old->imported) {
            continue;
        }

        w.id = old->id;
        err = m->op->err;
        rc = cp_entry_delete(&w);

        if (rc == CP_DECLINED && strcmp(m->op->err.code, "in_use") == 0) {
            why = m->op->err.detail;
            m->op->err = err;
            cp_import_tell(m, "held", old->name, old->key, why);
            refused = true;
            continue;
        }

        if (rc != CP_OK) {
            return rc;
        }

        cp_import_tell(m, "delete", old->name, old->key, NULL);
    }

    if (!refused || m->dry) {
        return CP_OK;
    }

    (void) cp_err_set(&m->op->err, "in_use", "the document lacks operations"
                      " that are in use; operations=add keeps them");

    for (const cp_json_t *h = cp_json_get(m->out, "held")->first; h;
         h = h->next)
    {
        (void) cp_err_field(&m->op->err, -1, 0, cp_json_str(h, "name"), "%s",
                            cp_json_str(h, "why"));
    }

    return CP_DECLINED;
}


/* getOrder -> get-order; without an id GET /orders/{id} -> get-orders-id. */
static const char *
cp_import_name(cp_import_t *m, const cp_json_t *want, const char *method)
{
    int          ch;
    char         name[STOA_NAME_MAX + 1];
    size_t       n, base;
    unsigned     i;
    const char  *s, *id, *made;

    id = cp_json_str(want, "operation_id");
    id = id && *id ? id : cp_arena_printf(m->op->arena, "%s-%s", method,
                                          cp_json_str(want, "path"));

    for (s = id, n = 0; s && *s && n < STOA_NAME_MAX - 8; s++) {
        ch = *s >= 'A' && *s <= 'Z' ? *s | 0x20 : *s;

        if (ch != *s && s > id && s[-1] >= 'a' && s[-1] <= 'z') {
            name[n++] = '-';
        }

        if ((ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9')) {
            name[n++] = (char) ch;

        } else if (n && name[n - 1] != '-') {
            name[n++] = '-';
        }
    }

    while (n && name[n - 1] == '-') {
        n--;
    }

    if (n == 0) {
        memcpy(name, "operation", n = 9);
    }

    for (base = n, i = 1; /* void */ ; i++) {
        name[n] = '\0';
        made = cp_arena_strdup(m->op->arena, name);

        if (made == NULL
            || (bsearch(&made, m->name, m->n, sizeof(char *),
                        cp_import_compare_names) == NULL
                && cp_spec_once(&m->made, cp_set_names, made, want) == NULL))
        {
            return made;
        }

        n = base + (size_t) snprintf(name + base, 7, "-%u", i + 1);
    }
}
