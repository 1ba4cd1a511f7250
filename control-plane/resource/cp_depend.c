/*
 * What a deletion takes along, and what forbids it: one table.
 */

#include <inttypes.h>
#include <string.h>

#include "resource/cp_tables.h"


#define CP_DEPEND_PORTION  100
#define CP_DEPEND_ARENA    (256 * 1024 * 1024)
#define CP_HOLDS_OF_TARGET                                                    \
    "DELETE FROM subscription_holds WHERE target = $1"


typedef enum {
    CP_DEP_OWNED,              /* goes with it                              */
    CP_DEP_LIVE,               /* forbids while in use, unless forced       */
    CP_DEP_FORCE,              /* forbids, unless forced                    */
    CP_DEP_REFUSE,             /* forbids                                   */
    CP_DEP_PLAIN               /* rows without a life of their own          */
} cp_dep_e;

typedef struct {
    const cp_resource_t  *of;
    const cp_resource_t  *by;  /* PLAIN: NULL                               */
    const char           *column;      /* PLAIN: the statement              */
    cp_dep_e              how;
    bool                  list;        /* the column is JSON with ids       */
} cp_dependency_t;


/* Within one `of`, in this order: what refers goes before its target. */
static const cp_dependency_t  cp_dependencies[] = {
    { &cp_res_tenant, &cp_res_application, "tenant", CP_DEP_FORCE, false },
    { &cp_res_tenant, &cp_res_server, "tenant", CP_DEP_FORCE, false },
    { &cp_res_tenant, &cp_res_api, "tenant", CP_DEP_FORCE, false },
    { &cp_res_tenant, &cp_res_plan, "tenant", CP_DEP_FORCE, false },
    { &cp_res_tenant, &cp_res_admin_token, "tenant", CP_DEP_OWNED, false },

    { &cp_res_api, &cp_res_server, "tools", CP_DEP_REFUSE, true },
    { &cp_res_api, &cp_res_subscription, "api", CP_DEP_LIVE, false },
    { &cp_res_api, &cp_res_operation, "api", CP_DEP_OWNED, false },
    { &cp_res_api, &cp_res_tool, "api", CP_DEP_OWNED, false },
    { &cp_res_api, NULL, "DELETE FROM api_resources WHERE api = $1",
      CP_DEP_PLAIN, false },
    { &cp_res_api, NULL, "DELETE FROM api_prompts WHERE api = $1",
      CP_DEP_PLAIN, false },

    { &cp_res_api, NULL, CP_HOLDS_OF_TARGET, CP_DEP_PLAIN, false },

    { &cp_res_server, &cp_res_subscription, "server", CP_DEP_LIVE, false },
    { &cp_res_server, NULL, CP_HOLDS_OF_TARGET, CP_DEP_PLAIN, false },
    { &cp_res_plan, &cp_res_subscription, "plan", CP_DEP_LIVE, false },

    { &cp_res_application, &cp_res_subscription, "application", CP_DEP_LIVE,
      false },
    { &cp_res_application, &cp_res_credential, "application", CP_DEP_OWNED,
      false },
    { &cp_res_application, NULL,
      "DELETE FROM subscription_holds WHERE application = $1", CP_DEP_PLAIN,
      false },

    { &cp_res_gateway, NULL, "DELETE FROM gateway_status WHERE gateway = $1",
      CP_DEP_PLAIN, false },
    { &cp_res_gateway, NULL, "DELETE FROM usage_batch WHERE gateway = $1",
      CP_DEP_PLAIN, false },

    { &cp_res_gateway_group, &cp_res_gateway, "group", CP_DEP_REFUSE,
      false },
    { &cp_res_gateway_group, &cp_res_api, "gateway_groups", CP_DEP_REFUSE,
      true },

    { NULL, NULL, NULL, 0, false }
};


static cp_rc_t cp_depend_refuse(const cp_write_t *w,
    const cp_dependency_t *d, const char *id);
static cp_rc_t cp_depend_sweep(const cp_write_t *w, const cp_dependency_t *d,
    const char *id);
static cp_rc_t cp_depend_portion(const cp_write_t *w,
    const cp_dependency_t *d, const char *id, unsigned *n);


cp_rc_t
cp_depend_clear(const cp_write_t *w, const cp_json_t *row)
{
    cp_rc_t                 rc;
    const cp_dependency_t  *d;

    for (d = cp_dependencies; d->of; d++) {
        if (d->of != w->res) {
            continue;
        }

        rc = cp_depend_refuse(w, d, cp_json_str(row, "id"));

        if (rc == CP_OK) {
            rc = cp_depend_sweep(w, d, cp_json_str(row, "id"));
        }

        if (rc != CP_OK) {
            return rc;
        }
    }

    return CP_OK;
}


/* The rows that refer to it; $1 is cp_depend_arg(). */
static char *
cp_depend_where(cp_arena_t *a, const cp_dependency_t *d)
{
    return cp_arena_printf(a, d->list ? "\"%s\" LIKE $1" : "\"%s\" = $1",
                           d->column);
}


static cp_val_t
cp_depend_arg(cp_arena_t *a, const cp_dependency_t *d, const char *id)
{
    return cp_text(d->list ? cp_arena_printf(a, "%%\"%s\"%%", id) : id);
}


static cp_rc_t
cp_depend_refuse(const cp_write_t *w, const cp_dependency_t *d,
    const char *id)
{
    cp_rc_t      rc;
    cp_op_t     *op = w->op;
    int64_t      n;
    cp_rows_t    rows;
    const char  *live;

    if (d->how == CP_DEP_OWNED || d->how == CP_DEP_PLAIN
        || (w->force && d->how != CP_DEP_REFUSE))
    {
        return CP_OK;
    }

    live = d->how == CP_DEP_LIVE
           ? " AND \"state\" IN ('pending', 'active', 'suspended')" : "";

    rc = cp_tx_query(w->tx, op->arena,
                     cp_arena_printf(op->arena, "SELECT COUNT(*), MIN(\"%s\")"
                                     " FROM \"%s\" WHERE %s%s",
                                     d->by->by_id ? "id" : "name",
                                     d->by->table,
                                     cp_depend_where(op->arena, d), live),
                     cp_args(cp_depend_arg(op->arena, d, id)), &rows,
                     &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    n = cp_cell(&rows, 0, 0)->i;

    return n == 0 ? CP_OK
           : cp_err_set(&op->err, "in_use", "%" PRId64 " %s%s it, such as"
                        " \"%s\"%s", n, d->by->kind,
                        n == 1 ? " uses" : "s use", cp_cell(&rows, 0, 1)->p,
                        d->how == CP_DEP_REFUSE
                        ? "" : "; force=1 removes what does");
}


/*
 * In portions with an arena each: a tenant may own any number of keys.  The
 * request's texts of errors, and what is deferred, live elsewhere.
 */
static cp_rc_t
cp_depend_sweep(const cp_write_t *w, const cp_dependency_t *d,
    const char *id)
{
    cp_rc_t      rc;
    cp_op_t     *op = w->op;
    unsigned     n;
    cp_arena_t  *whole;

    if (d->how == CP_DEP_PLAIN) {
        return cp_tx_query(w->tx, op->arena, d->column, cp_args(cp_text(id)),
                           NULL, &op->err);
    }

    if (d->how == CP_DEP_REFUSE) {
        return CP_OK;
    }

    whole = op->arena;

    do {
        op->arena = cp_arena_create(CP_DEPEND_ARENA);

        if (op->arena == NULL) {
            op->arena = whole;
            return cp_err_set(&op->err, "internal", "no memory");
        }

        rc = cp_depend_portion(w, d, id, &n);

        cp_arena_destroy(op->arena);
        op->arena = whole;

    } while (rc == CP_OK && n == CP_DEPEND_PORTION);

    return rc;
}


static cp_rc_t
cp_depend_portion(const cp_write_t *w, const cp_dependency_t *d,
    const char *id, unsigned *n)
{
    cp_rc_t          rc;
    cp_op_t         *op = w->op;
    cp_json_t       *rows, *row;
    cp_write_t       each = cp_write_of(op, w->tx, d->by);
    cp_row_query_t   q = { NULL, "\"id\"", CP_DEPEND_PORTION, false };

    q.where = cp_depend_where(op->arena, d);

    rc = cp_row_select(w->tx, op->arena, d->by, &q,
                       cp_args(cp_depend_arg(op->arena, d, id)), &rows,
                       &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    *n = rows->n;
    each.force = w->force;

    /* the right to remove the owner is the right to remove what goes with it,
     * a subscriber's row of another tenant too: that is what force is for */

    for (row = rows->first; row; row = row->next) {
        rc = cp_entry_remove(&each, row);
        if (rc != CP_OK) {
            return rc;
        }
    }

    return CP_OK;
}
