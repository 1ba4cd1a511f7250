/*
 * What a deletion takes along, and what forbids it: one table.
 */

#include <inttypes.h>
#include <string.h>

#include "cp_tables.h"


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

    { &cp_res_server, &cp_res_subscription, "server", CP_DEP_LIVE, false },
    { &cp_res_plan, &cp_res_subscription, "plan", CP_DEP_LIVE, false },

    { &cp_res_application, &cp_res_subscription, "application", CP_DEP_LIVE,
      false },
    { &cp_res_application, &cp_res_credential, "application", CP_DEP_OWNED,
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


static cp_rc_t cp_depend_one(cp_req_t *r, cp_tx_t *tx,
    const cp_dependency_t *d, const char *id, bool force);
static bool cp_depend_forbids(const cp_dependency_t *d, const cp_json_t *row,
    bool force);


cp_rc_t
cp_depend_clear(cp_req_t *r, cp_tx_t *tx, const cp_resource_t *res,
    const cp_json_t *row, bool force)
{
    cp_rc_t                 rc;
    const cp_dependency_t  *d;

    for (d = cp_dependencies; d->of; d++) {
        if (d->of != res) {
            continue;
        }

        rc = cp_depend_one(r, tx, d, cp_json_str(row, "id"), force);
        if (rc != CP_OK) {
            return rc;
        }
    }

    return CP_OK;
}


static cp_rc_t
cp_depend_one(cp_req_t *r, cp_tx_t *tx, const cp_dependency_t *d,
    const char *id, bool force)
{
    cp_rc_t          rc;
    unsigned         n;
    cp_json_t       *rows, *row;
    const char      *name;
    cp_row_query_t   q = { NULL, "\"id\"", 0, false };

    if (d->how == CP_DEP_PLAIN) {
        return cp_tx_query(tx, r->arena, d->column, cp_args(cp_text(id)),
                           NULL, &r->err);
    }

    q.where = cp_arena_printf(r->arena, d->list ? "\"%s\" LIKE $1"
                                                : "\"%s\" = $1", d->column);

    rc = cp_row_select(tx, r->arena, d->by, &q,
                       cp_args(cp_text(d->list
                               ? cp_arena_printf(r->arena, "%%\"%s\"%%", id)
                               : id)), &rows, &r->err);
    if (rc != CP_OK) {
        return rc;
    }

    for (row = rows->first, n = 0, name = NULL; row; row = row->next) {
        if (cp_depend_forbids(d, row, force) && n++ == 0) {
            name = cp_json_str(row, d->by->by_id ? "id" : "name");
        }
    }

    if (n) {
        return cp_err_set(&r->err, "in_use",
                          "%u %s%s it, such as \"%s\"%s", n, d->by->kind,
                          n == 1 ? " uses" : "s use", name,
                          d->how == CP_DEP_REFUSE
                          ? "" : "; force=1 removes what does");
    }

    /* the right to remove the owner is the right to remove what goes with it,
     * a subscriber's row of another tenant too: that is what force is for */

    for (row = rows->first; row; row = row->next) {
        rc = cp_entry_remove(r, tx, d->by, row, force);
        if (rc != CP_OK) {
            return rc;
        }
    }

    return CP_OK;
}


static bool
cp_depend_forbids(const cp_dependency_t *d, const cp_json_t *row, bool force)
{
    const char  *state;

    switch (d->how) {

    case CP_DEP_REFUSE:
        return true;

    case CP_DEP_FORCE:
        return !force;

    case CP_DEP_LIVE:
        state = cp_json_str(row, "state");
        return !force && (strcmp(state, "pending") == 0
                          || strcmp(state, "active") == 0
                          || strcmp(state, "suspended") == 0);

    default:
        return false;
    }
}
