/*
 * Which policies apply where: the rows of both kinds, their attachments, and
 * the members of feed bodies that follow.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cp_seal.h"
#include "kinds/cp_kind.h"
#include "kinds/cp_policy.h"
#include "kinds/cp_secret.h"


#define CP_POLICY_IDS       6
#define CP_POLICY_BODY_MAX  3145728     /* configurations of one record    */


typedef struct {
    cp_arena_t           *arena;
    const cp_place_of_t  *at;
    cp_policy_use_t      *use;
    unsigned              n;
    unsigned              size;
} cp_gather_t;


static cp_rc_t cp_policy_rows(cp_tx_t *tx, const cp_resource_t *res,
    cp_gather_t *g, cp_err_t *err);
static const char *cp_policy_where(cp_gather_t *g, const cp_resource_t *res,
    cp_val_t *args, unsigned *n);
static bool cp_policy_on(const cp_place_of_t *at, const cp_json_t *item,
    stoa_scope_e *scope);
static bool cp_policy_at(const cp_json_t *item, const char *member,
    const char *id);
static bool cp_policy_add(cp_gather_t *g, const cp_policy_use_t *use);
static void cp_policy_single(cp_gather_t *g);
static int cp_policy_cmp(const void *one, const void *two);
static cp_rc_t cp_policy_secrets(cp_tx_t *tx, cp_arena_t *a,
    const cp_policy_use_t *u, cp_json_t *entry, cp_json_t *body,
    cp_err_t *err);
static cp_rc_t cp_policy_contract(cp_tx_t *tx, cp_arena_t *a,
    const cp_policy_use_t *u, const char *api, cp_json_t *body,
    cp_err_t *err);
static cp_json_t *cp_policy_entry(cp_arena_t *a, const cp_policy_use_t *u);
static void cp_policy_require(cp_arena_t *a, cp_json_t *list,
    const stoa_policy_type_t *type);


cp_rc_t
cp_policy_uses(cp_tx_t *tx, cp_arena_t *a, const cp_place_of_t *at,
    cp_policy_use_t **uses, unsigned *n, cp_err_t *err)
{
    cp_rc_t      rc;
    cp_gather_t  g = { a, at, NULL, 0, 0 };

    rc = cp_policy_rows(tx, cp_resource_find("global_policy"), &g, err);

    if (rc == CP_OK && at->tenant) {
        rc = cp_policy_rows(tx, cp_resource_find("policy"), &g, err);
    }

    if (rc != CP_OK) {
        return rc;
    }

    if (g.n) {
        qsort(g.use, g.n, sizeof(cp_policy_use_t), cp_policy_cmp);
    }

    cp_policy_single(&g);

    *uses = g.use;
    *n = g.n;

    return CP_OK;
}


static cp_rc_t
cp_policy_rows(cp_tx_t *tx, const cp_resource_t *res, cp_gather_t *g,
    cp_err_t *err)
{
    cp_rc_t          rc;
    cp_val_t         args[CP_POLICY_IDS + 1];
    unsigned         nargs;
    cp_json_t       *rows, *row, *list, *item;
    const char      *name, *state;
    cp_row_query_t   q = { NULL, NULL, 0, true };
    cp_policy_use_t  use;

    q.where = cp_policy_where(g, res, args, &nargs);

    if (q.where == NULL) {
        return CP_OK;
    }

    rc = cp_row_select(tx, g->arena, res, &q, args, nargs, &rows, err);
    if (rc != CP_OK) {
        return rc;
    }

    for (row = rows->first; row; row = row->next) {
        name = cp_json_str(row, "type");
        state = cp_json_str(row, "state");
        list = cp_json_get(row, "attach");

        memset(&use, 0, sizeof(use));
        use.type = stoa_policy_find(name, strlen(name));
        use.row = row;
        use.global = res->parent == NULL;
        use.counts = true;
        use.in_force = strcmp(state, "disabled") != 0;

        if (use.type == NULL) {
            return cp_err_set(err, "internal", "a policy is of the type "
                              "\"%.64s\", which this program does not know",
                              name);
        }

        for (item = list->first; item; item = item->next) {
            if (!cp_policy_on(g->at, item, &use.scope)) {
                continue;
            }

            use.item = item;
            use.order = cp_json_num(item, "order", 100);

            if (!cp_policy_add(g, &use)) {
                return cp_err_set(err, "internal", "no memory");
            }
        }
    }

    return CP_OK;
}


/*
 * Only those that name one of the ids: a tenant may have many, and every api
 * of it asks.  NULL: none can.  A pattern that is a parameter and nothing else
 * has SQLite prepare the statement anew each time it is bound, hence || ''.
 */
static const char *
cp_policy_where(cp_gather_t *g, const cp_resource_t *res, cp_val_t *args,
    unsigned *n)
{
    char        *where;
    unsigned     i;
    const char  *ids[CP_POLICY_IDS] = {
        g->at->above ? g->at->tenant : NULL, g->at->group, g->at->server,
        g->at->api, g->at->plan, g->at->application
    };

    where = NULL;
    *n = 0;

    if (res->parent) {
        args[(*n)++] = cp_text(g->at->tenant);
    }

    for (i = 0; i < CP_POLICY_IDS; i++) {
        if (ids[i] == NULL) {
            continue;
        }

        args[(*n)++] = cp_text(cp_arena_printf(g->arena, "%%\"%s\"%%",
                                               strcmp(ids[i], "*") == 0
                                               ? "gateway_group" : ids[i]));
        where = cp_arena_printf(g->arena, "%s%s\"attach\" LIKE $%u || ''",
                                where ? where : "", where ? " OR " : "", *n);
    }

    return where && res->parent
           ? cp_arena_printf(g->arena, "\"tenant\" = $1 AND (%s)", where)
           : where;
}


static bool
cp_policy_on(const cp_place_of_t *at, const cp_json_t *item,
    stoa_scope_e *scope)
{
    unsigned  i;
    const struct {
        const char    *member;
        const char    *id;
        stoa_scope_e   scope;
    } places[] = {
        { "gateway_group", at->group, STOA_SCOPE_GROUP },
        { "tenant", at->above ? at->tenant : NULL, STOA_SCOPE_TENANT },
        { "server", at->server, STOA_SCOPE_SERVER },
        { "plan", at->plan, STOA_SCOPE_PLAN },
        { "application", at->application, STOA_SCOPE_APPLICATION }
    };

    for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        if (cp_policy_at(item, places[i].member, places[i].id)) {
            *scope = places[i].scope;
            return true;
        }
    }

    if (!cp_policy_at(item, "api", at->api)) {
        return false;
    }

    if (cp_json_get(item, "operation")) {
        *scope = STOA_SCOPE_OPERATION;
        return cp_policy_at(item, "operation", at->operation);
    }

    if (cp_json_get(item, "tool")) {
        *scope = STOA_SCOPE_TOOL;
        return cp_policy_at(item, "tool", at->tool);
    }

    *scope = STOA_SCOPE_API;

    return true;
}


static bool
cp_policy_at(const cp_json_t *item, const char *member, const char *id)
{
    const char  *has;

    has = cp_json_str(item, member);

    return has && id && (strcmp(id, "*") == 0 || strcmp(has, id) == 0);
}


static bool
cp_policy_add(cp_gather_t *g, const cp_policy_use_t *use)
{
    cp_policy_use_t  *more;

    if (g->n == g->size) {
        more = cp_arena_alloc(g->arena, (g->size * 2 + 16)
                                        * sizeof(cp_policy_use_t));
        if (more == NULL) {
            return false;
        }

        if (g->n) {
            memcpy(more, g->use, g->n * sizeof(cp_policy_use_t));
        }

        g->use = more;
        g->size = g->size * 2 + 16;
    }

    g->use[g->n++] = *use;

    return true;
}


/* Of a single type the last one counts, and it alone. */
static void
cp_policy_single(cp_gather_t *g)
{
    unsigned  i, k;

    for (i = 0; i < g->n; i++) {
        for (k = i + 1; k < g->n; k++) {
            if ((g->use[i].type->flags & STOA_POLICY_SINGLE)
                && g->use[k].type == g->use[i].type)
            {
                g->use[i].counts = false;
                g->use[i].in_force = false;
                break;
            }
        }
    }
}


static int
cp_policy_cmp(const void *one, const void *two)
{
    const cp_policy_use_t  *a = one, *b = two;

    if (a->scope != b->scope) {
        return (int) a->scope - (int) b->scope;
    }

    if (a->global != b->global) {
        return a->global ? -1 : 1;
    }

    if (a->order != b->order) {
        return a->order < b->order ? -1 : 1;
    }

    return strcmp(cp_json_str(a->row, "name"), cp_json_str(b->row, "name"));
}


cp_rc_t
cp_policy_body(cp_tx_t *tx, cp_arena_t *a, const cp_place_of_t *at,
    cp_json_t *body, cp_err_t *err)
{
    cp_rc_t           rc;
    size_t            len, all;
    unsigned          i, n;
    cp_json_t        *list, *requires, *entry, *secrets;
    cp_policy_use_t  *u;

    rc = cp_policy_uses(tx, a, at, &u, &n, err);
    if (rc != CP_OK || n == 0) {
        return rc;
    }

    list = cp_json_array(a);
    requires = cp_json_array(a);

    for (i = 0, all = 0; i < n; i++, u++) {

        /* a single one that is disabled keeps a wider one away */

        if (!u->counts
            || (!u->in_force && !(u->type->flags & STOA_POLICY_SINGLE)))
        {
            continue;
        }

        entry = cp_policy_entry(a, u);

        secrets = cp_json_get(u->row, "secrets");

        if (entry && secrets && secrets->n) {
            rc = cp_policy_secrets(tx, a, u, entry, body, err);
            if (rc != CP_OK) {
                return rc;
            }
        }

        if (entry == NULL || cp_json_text(a, entry, &len) == NULL) {
            return cp_err_set(err, "internal", "no memory");
        }

        if (u->type->flags & STOA_POLICY_CONTRACT) {
            rc = cp_policy_contract(tx, a, u, at->api, body, err);
            if (rc != CP_OK) {
                return rc;
            }
        }

        all += len;
        cp_json_push(list, entry);
        cp_policy_require(a, requires, u->type);
    }

    if (list->n > STOA_POLICIES_MAX || all > CP_POLICY_BODY_MAX) {
        return cp_err_set(err, "validation", "\"%.64s\" would have more than "
                          "%d policies, or than %d bytes of them",
                          cp_json_str(body, "name"), STOA_POLICIES_MAX,
                          CP_POLICY_BODY_MAX);
    }

    if (list->n) {
        cp_json_set(a, body, "policies", list);
        cp_json_set(a, body, "requires", requires);
    }

    return CP_OK;
}


static cp_rc_t
cp_policy_secrets(cp_tx_t *tx, cp_arena_t *a, const cp_policy_use_t *u,
    cp_json_t *entry, cp_json_t *body, cp_err_t *err)
{
    cp_secret_of_t  of = { tx, a, u->global ? NULL
                                  : cp_json_str(u->row, "tenant"), err };

    cp_json_set(a, body, CP_BODY_SALT,
                cp_json_string(a, cp_seal_salt(a, cp_json_str(body, "id"))));

    return cp_secret_fill(&of, u->type->config, cp_json_get(entry, "config"));
}


/* What the api's document says is in its record once, for all that judge by
 * it.  What cannot be judged is not left out by itself. */
static cp_rc_t
cp_policy_contract(cp_tx_t *tx, cp_arena_t *a, const cp_policy_use_t *u,
    const char *api, cp_json_t *body, cp_err_t *err)
{
    cp_rc_t           rc;
    cp_rows_t         rows;
    cp_json_t        *contract;
    const char       *text, *name;
    const cp_json_t  *skipped, *pass;

    name = cp_json_str(u->row, "name");

    rc = cp_tx_query(tx, a, "SELECT contract FROM api_documents"
                     " WHERE api = $1 ORDER BY number DESC LIMIT 1",
                     cp_args(cp_text(api)), &rows, err);

    if (rc == CP_OK
        && (rows.rows == 0 || cp_cell(&rows, 0, 0)->type == CP_VAL_NULL))
    {
        return cp_err_set(err, "validation", "the policy \"%.64s\" needs an"
                          " OpenAPI document of the api \"%.64s\", %s", name,
                          cp_json_str(body, "name"), rows.rows
                          ? "imported by this version: import it again"
                          : "which has none");
    }

    if (rc == CP_OK) {
        rc = cp_json_parse(a, cp_cell(&rows, 0, 0)->p, cp_cell(&rows, 0, 0)
                           ->len, &contract, err);
    }

    if (rc != CP_OK) {
        return rc;
    }

    text = cp_json_str(contract, "failed");

    if (text) {
        return cp_err_set(err, "validation", "the policy \"%.64s\": the"
                          " OpenAPI document of \"%.64s\" %s", name,
                          cp_json_str(body, "name"), text);
    }

    skipped = cp_json_get(contract, "skipped");
    pass = cp_json_get(cp_json_get(u->row, "config"), "skip_unsupported");

    if (skipped->n && (pass == NULL || !pass->i)) {
        return cp_err_set(err, "validation", "the policy \"%.64s\" cannot"
                          " judge all of the OpenAPI document of \"%.64s\""
                          " (skip_unsupported: true leaves it out): %s %s%s",
                          name, cp_json_str(body, "name"),
                          cp_json_str(skipped->first, "at"),
                          cp_json_str(skipped->first, "text"),
                          skipped->n > 1 ? ", and more" : "");
    }

    cp_json_set(a, contract, "skipped", cp_json_array(a));
    cp_json_set(a, body, "contract", contract);

    return CP_OK;
}


static cp_json_t *
cp_policy_entry(cp_arena_t *a, const cp_policy_use_t *u)
{
    cp_json_t   *entry, *config;
    const char  *s;

    entry = cp_json_object(a);
    config = cp_json_copy(a, cp_json_get(u->row, "config"));

    if (entry == NULL || config == NULL) {
        return NULL;
    }

    cp_json_set(a, entry, "name",
                cp_json_string(a, cp_json_str(u->row, "name")));
    cp_json_set(a, entry, "type", cp_json_string(a, u->type->name));
    cp_json_set(a, entry, "scope",
                cp_json_string(a, stoa_scope_name(u->scope)));
    cp_json_set(a, entry, "state",
                cp_json_string(a, cp_json_str(u->row, "state")));

    s = cp_json_str(u->item, "operation");

    if (s) {
        cp_json_set(a, entry, "operation", cp_json_string(a, s));
    }

    s = cp_json_str(u->item, "tool");

    if (s) {
        cp_json_set(a, entry, "tool", cp_json_string(a, s));
    }

    cp_json_set(a, entry, "config", config);

    return entry;
}


/* What a gateway has to know to serve the record, each once. */
static void
cp_policy_require(cp_arena_t *a, cp_json_t *list,
    const stoa_policy_type_t *type)
{
    cp_json_t  *m;

    for (m = list->first; m; m = m->next) {
        if (cp_json_num(m, "id", 0) == type->id) {
            return;
        }
    }

    m = cp_json_object(a);
    cp_json_set(a, m, "id", cp_json_int(a, type->id));
    cp_json_set(a, m, "version", cp_json_int(a, type->version));
    cp_json_push(list, m);
}
