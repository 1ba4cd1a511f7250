/*
 * Prune: in the tenants that the documents name, what they do not name goes.
 * Tenants and gateway groups stay, and so do subscriptions that have ended:
 * they are a record, not configuration.
 */

#include <stdlib.h>
#include <string.h>

#include "kinds/cp_kinds.h"
#include "apply/cp_apply_run.h"


typedef struct {
    const cp_resource_t  *res;
    const char           *tenant;
    const char           *id;
    const char           *label;
} cp_victim_t;

typedef struct {
    const char     **kept;              /* ids that documents name, sorted   */
    unsigned         nkept;
    cp_victim_t     *victim;
    unsigned         n;
    unsigned         size;
} cp_prune_t;


static cp_rc_t cp_prune_find(cp_apply_t *ap, cp_prune_t *p,
    const cp_resource_t *res, const cp_apply_tenant_t *t);
static cp_rc_t cp_prune_keys(cp_apply_t *ap, cp_prune_t *p,
    const cp_victim_t *application);
static cp_rc_t cp_prune_guard(cp_apply_t *ap, const cp_prune_t *p,
    int64_t max_delete);
static cp_rc_t cp_prune_add(cp_apply_t *ap, cp_prune_t *p,
    const cp_victim_t *v);
static cp_rc_t cp_prune_delete(cp_apply_t *ap, void *data);
static int cp_prune_compare(const void *one, const void *two);


#define CP_PRUNE_MAX  50000             /* rows of one kind of one tenant    */

/* $1: the tenant.  The label is what the answer calls it. */

static const char  cp_prune_sql[] =
    "SELECT id, %s FROM \"%s\" WHERE tenant = $1%s ORDER BY id LIMIT 50000";

static const char  cp_prune_living[] =
    " AND state NOT IN ('revoked', 'rejected', 'expired')";

/* What a set has made goes with the set. */

static const char  cp_prune_unmade[] = " AND policy_set IS NULL";


cp_rc_t
cp_apply_prune(cp_apply_t *ap, int64_t max_delete)
{
    cp_rc_t                   rc;
    unsigned                  i;
    cp_prune_t                p;
    const cp_resource_t      *res;
    const cp_apply_tenant_t  *t;

    memset(&p, 0, sizeof(p));
    p.kept = cp_arena_alloc(ap->arena, (ap->docs.n + 1) * sizeof(char *));

    if (p.kept == NULL) {
        return cp_err_set(&ap->op->err, "internal", "out of memory");
    }

    for (i = 0; i < ap->docs.n; i++) {
        if (ap->docs.doc[i].id) {
            p.kept[p.nkept++] = ap->docs.doc[i].id;
        }
    }

    qsort(p.kept, p.nkept, sizeof(char *), cp_prune_compare);

    /* in the order in which they can be deleted: the last kind first */

    for (i = 0; cp_resource_at(i); i++) {
        /* void */
    }

    while (i-- > 0) {
        res = cp_resource_at(i);

        if (res->doc_kind == NULL || res->parent == NULL) {
            continue;
        }

        for (t = ap->tenants; t; t = t->next) {
            rc = cp_prune_find(ap, &p, res, t);
            if (rc != CP_OK) {
                return rc;
            }
        }
    }

    if (p.n > max_delete) {
        return cp_prune_guard(ap, &p, max_delete);
    }

    for (i = 0; i < p.n; i++) {
        rc = cp_apply_scratch(ap, cp_prune_delete, &p.victim[i]);
        if (rc != CP_OK) {
            return rc;
        }
    }

    return CP_OK;
}


static cp_rc_t
cp_prune_find(cp_apply_t *ap, cp_prune_t *p, const cp_resource_t *res,
    const cp_apply_tenant_t *t)
{
    cp_rc_t      rc;
    unsigned     i;
    cp_rows_t    rows;
    cp_victim_t  v;
    const char  *sql;

    sql = cp_arena_printf(ap->arena, cp_prune_sql,
                          res->label ? res->label : "name", res->table,
                          res->by_id ? cp_prune_living
                          : res == &cp_res_policy ? cp_prune_unmade : "");

    rc = cp_tx_query(ap->tx, ap->arena, sql, cp_args(cp_text(t->id)), &rows,
                     &ap->op->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (rows.rows == CP_PRUNE_MAX) {
        return cp_err_set(&ap->op->err, "delete_guard", "there are %d %s or"
                          " more in %s: too many to prune", CP_PRUNE_MAX,
                          res->plural, t->name);
    }

    v.res = res;
    v.tenant = t->name;

    for (i = 0; i < rows.rows; i++) {
        v.id = cp_cell(&rows, i, 0)->p;
        v.label = cp_cell(&rows, i, 1)->p;

        if (bsearch(&v.id, p->kept, p->nkept, sizeof(char *),
                    cp_prune_compare))
        {
            continue;
        }

        rc = res == &cp_res_application ? cp_prune_keys(ap, p, &v) : CP_OK;

        if (rc == CP_OK) {
            rc = cp_prune_add(ap, p, &v);
        }

        if (rc != CP_OK) {
            return rc;
        }
    }

    return CP_OK;
}


/* An application takes its keys along: whoever uses them is told. */
static cp_rc_t
cp_prune_keys(cp_apply_t *ap, cp_prune_t *p, const cp_victim_t *application)
{
    cp_rc_t      rc;
    unsigned     i;
    cp_rows_t    rows;
    cp_victim_t  v = *application;

    rc = cp_tx_query(ap->tx, ap->arena, "SELECT id, prefix FROM credentials"
                     " WHERE application = $1"
                     " AND state IN ('active', 'rotating') ORDER BY id",
                     cp_args(cp_text(application->id)), &rows, &ap->op->err);

    v.res = &cp_res_credential;

    for (i = 0; rc == CP_OK && i < rows.rows; i++) {
        v.id = cp_cell(&rows, i, 0)->p;
        v.label = cp_arena_printf(ap->arena, "%s/%s", application->label,
                                  cp_cell(&rows, i, 1)->p);
        rc = cp_prune_add(ap, p, &v);
    }

    return rc;
}


static const char *
cp_prune_kind(const cp_victim_t *v)
{
    return v->res->doc_kind ? v->res->doc_kind : "Credential";
}


/* Who has to raise max_delete sees what for. */
static cp_rc_t
cp_prune_guard(cp_apply_t *ap, const cp_prune_t *p, int64_t max_delete)
{
    unsigned            i;
    const cp_victim_t  *v;

    for (i = 0; i < p->n; i++) {
        v = &p->victim[i];
        (void) cp_err_field(&ap->op->err, -1, 0, "", "%s %s/%s would be"
                            " deleted", cp_prune_kind(v), v->tenant,
                            v->label);
    }

    return cp_err_set(&ap->op->err, "delete_guard", "%u resources would be"
                      " deleted, max_delete is %lld", p->n,
                      (long long) max_delete);
}


static cp_rc_t
cp_prune_add(cp_apply_t *ap, cp_prune_t *p, const cp_victim_t *v)
{
    cp_victim_t  *more;

    if (p->n == p->size) {
        more = cp_arena_alloc(ap->arena,
                              (p->size + 16) * 2 * sizeof(cp_victim_t));
        if (more == NULL) {
            return cp_err_set(&ap->op->err, "internal", "out of memory");
        }

        if (p->n) {
            memcpy(more, p->victim, p->n * sizeof(cp_victim_t));
        }

        p->victim = more;
        p->size = (p->size + 16) * 2;
    }

    p->victim[p->n++] = *v;

    return CP_OK;
}


static cp_rc_t
cp_prune_delete(cp_apply_t *ap, void *data)
{
    cp_rc_t             rc;
    cp_json_t          *change;
    cp_write_t          w;
    const cp_victim_t  *v;

    v = data;

    w = cp_write_of(ap->op, ap->tx, v->res);
    w.id = v->id;

    rc = cp_entry_delete(&w);

    if (rc == CP_DECLINED) {
        return cp_err_set(&ap->op->err, ap->op->err.code, "%s %s/%s: %s",
                          cp_prune_kind(v), v->tenant, v->label,
                          ap->op->err.detail);
    }

    if (rc != CP_OK) {
        return rc;
    }

    change = cp_json_object(ap->arena);
    cp_json_put(ap->arena, change, "kind", cp_prune_kind(v));
    cp_json_put(ap->arena, change, "tenant", v->tenant);
    cp_json_put(ap->arena, change, "name", v->label);
    cp_json_put(ap->arena, change, "action", "delete");
    cp_json_push(ap->deleted, change);

    return CP_OK;
}


static int
cp_prune_compare(const void *one, const void *two)
{
    return strcmp(*(const char *const *) one, *(const char *const *) two);
}
