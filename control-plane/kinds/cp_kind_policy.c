/*
 * Policies: a type of core/stoa_policy.c with a configuration, attached to
 * what it is for.  A tenant's own, and global ones of the platform.
 */

#include <stdlib.h>
#include <string.h>

#include "auth/cp_auth.h"
#include "feed/cp_feed.h"
#include "kinds/cp_kind.h"
#include "kinds/cp_policy.h"
#include "kinds/cp_policy_render.h"
#include "kinds/cp_policy_version.h"
#include "kinds/cp_secret.h"


#define CP_POLICY_TYPES_MAX   64
#define CP_POLICY_ATTACH_MAX  100
#define CP_POLICY_CONFIG_MAX  2621440


/* What an item of `attach` may say, and which flag of a type allows it. */
typedef struct {
    const char          *member;
    const char          *with;     /* needs this one too                    */
    uint32_t             flag;
    bool                 global;   /* of a global policy; else of a tenant's */
} cp_attach_t;


static cp_rc_t cp_policy_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after);
static cp_rc_t cp_policy_known(const cp_write_t *w,
    const stoa_policy_type_t *type);
static cp_rc_t cp_policy_config(const cp_write_t *w,
    const stoa_policy_type_t *type, cp_json_t *row);
static cp_rc_t cp_policy_probe(const cp_write_t *w,
    const stoa_policy_type_t *type, cp_json_t *row, cp_json_t **config);
static unsigned cp_policy_line(const cp_json_t *val, const char *path);
static cp_rc_t cp_policy_attach(const cp_write_t *w,
    const stoa_policy_type_t *type, const cp_json_t *row,
    const cp_json_t *item, unsigned i);
static cp_rc_t cp_policy_reach(const cp_write_t *w, const cp_json_t *row,
    const cp_json_t *item, unsigned i);
static cp_rc_t cp_policy_api(const cp_write_t *w,
    const stoa_policy_type_t *type, const cp_json_t *item, const char *path,
    uint32_t *flag);
static cp_rc_t cp_policy_settled(cp_op_t *op, cp_tx_t *tx,
    const cp_json_t *row);
static const char *cp_policy_there(const cp_json_t *rows,
    const cp_json_t *item);
static bool cp_policy_same(const cp_json_t *one, const cp_json_t *two);
static cp_rc_t cp_policy_follow(cp_op_t *op, cp_tx_t *tx,
    const cp_json_t *row);
static cp_rc_t cp_policy_places(cp_op_t *op, cp_tx_t *tx,
    const cp_json_t *row);
static cp_rc_t cp_policy_touch(cp_op_t *op, cp_tx_t *tx,
    const cp_json_t *item);
static cp_rc_t cp_policy_shown(cp_op_t *op, cp_tx_t *tx, const char *api);
static cp_rc_t cp_policy_tenant(cp_op_t *op, cp_tx_t *tx, const char *id);


static const char *const  policy_states[] = { "enabled", "shadow", "disabled",
                                              NULL };

/* Filled before main() is. */
static const char  *policy_types[CP_POLICY_TYPES_MAX + 1];

static const cp_attach_t  cp_attaches[] = {
    { "gateway_group", NULL, STOA_ON_GROUP, true },
    { "tenant", NULL, STOA_ON_TENANT, true },
    { "tenant", NULL, STOA_ON_TENANT, false },
    { "server", NULL, STOA_ON_SERVER, false },
    { "operation", "api", STOA_ON_OPERATION, false },
    { "tool", "api", STOA_ON_TOOL, false },
    { "api", NULL, STOA_ON_API, false },
    { "plan", NULL, STOA_ON_PLAN, false },
    { "application", NULL, STOA_ON_APPLICATION, false },
    { NULL, NULL, 0, false }
};


static const cp_field_t  attach_fields[] = {
    F_REF("gateway_group", 0, "gateway_group", NULL,
      "all calls at these gateways; of a global policy"),
    F_REF("tenant", 0, "tenant", NULL,
      "all apis and MCP endpoints of the tenant; the own one, but of a global "
      "policy"),
    F_REF("server", 0, "server", NULL, "the MCP endpoint of a server"),
    F_REF("api", 0, "api", NULL, "an api, or what of it is named here"),
    F_REF("operation", 0, "operation", "api", "of the api"),
    F("tool", CP_F_TOOL_NAME, 0, 0, STOA_TOOL_NAME_MAX, NULL,
      "of the api, by its name there"),
    F_REF("plan", 0, "plan", NULL, "calls on subscriptions with the plan"),
    F_REF("application", 0, "application", NULL,
      "calls of the application, whatever it calls"),
    INT("order", 0, 0, 10000, "100",
      "among the policies of the same place: the smaller first"),
    F_END
};

#define POLICY_FIELDS(secret)                                                 \
    F_REFS("secrets", RO|ND|CP_SECRET, 0, secret, ""),                        \
    F_ENUM("type", RQ|IM|FI, NULL, policy_types,                              \
      "what it does; docs/policies.md"),                                      \
    F_ENUM("state", FI, "\"enabled\"", policy_states,                         \
      "shadow: judged and counted, refuses and changes nothing"),             \
    F("config", CP_F_JSON, 0, 0, CP_POLICY_CONFIG_MAX, "{}",                  \
      "as the type wants it; docs/policies.md"),                              \
    F_OBJECTS("attach", 0, 0, CP_POLICY_ATTACH_MAX, attach_fields,            \
      "where it applies; nowhere: not at all"),                               \
    BASE_TIMES,                                                               \
    F_END

static const cp_dependent_t  policy_dependents[] = {
    { NULL, "DELETE FROM policy_versions WHERE policy = $1", CP_DEP_PLAIN,
      false },
    { NULL, NULL, CP_DEP_PLAIN, false }
};

static const cp_field_t  policy_fields[] = {
    BASE_ID, BASE_NAME, BASE_TITLE, BASE_TENANT,
    F_REF("policy_set", RO|ND|FI, "policy_set", NULL,
      "what made it of a template"),
    F("made", CP_F_JSON, RO|ND|CP_SECRET|WH, 0, 0, NULL, ""),
    BOOL("drifted", RO|ND|FI, NULL,
      "of a policy of a set: it is not what the set made any more"),
    POLICY_FIELDS("secret")
};

static const cp_field_t  global_fields[] = {
    BASE_ID, BASE_NAME, BASE_TITLE,
    POLICY_FIELDS("global_secret")
};

const cp_resource_t  cp_res_policy = {
    .kind = "policy", .doc_kind = "Policy", .plural = "policies",
    .table = "policies", .parent = "tenant", .fields = policy_fields,
    .check = cp_policy_check, .settled = cp_policy_settled,
    .follow = cp_policy_follow, .dependents = policy_dependents
};

const cp_resource_t  cp_res_global_policy = {
    .kind = "global_policy", .doc_kind = "GlobalPolicy",
    .plural = "policies", .table = "global_policies",
    .fields = global_fields,
    .check = cp_policy_check, .settled = cp_policy_settled,
    .follow = cp_policy_follow, .dependents = policy_dependents
};


__attribute__((constructor)) static void
cp_policy_types(void)
{
    size_t                     i, n;
    const stoa_policy_type_t  *type;

    for (i = 0, n = 0;
         n < CP_POLICY_TYPES_MAX && (type = stoa_policy_at(i)) != NULL;
         i++)
    {
        if (type->scopes) {
            policy_types[n++] = type->name;
        }
    }
}


static cp_rc_t
cp_policy_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after)
{
    bool                       bad;
    cp_rc_t                    rc;
    unsigned                   i;
    cp_json_t                 *list, *item;
    const char                *name;
    const stoa_policy_type_t  *type;

    name = cp_json_str(after, "type");
    type = stoa_policy_find(name, strlen(name));

    rc = before ? CP_OK : cp_policy_known(w, type);

    if (rc == CP_OK) {
        rc = cp_policy_config(w, type, after);
    }

    bad = rc == CP_DECLINED;

    list = cp_json_get(after, "attach");

    for (item = list ? list->first : NULL, i = 0;
         item && (rc == CP_OK || rc == CP_DECLINED);
         item = item->next, i++)
    {
        rc = cp_policy_attach(w, type, after, item, i);

        if (rc == CP_OK) {
            rc = cp_policy_reach(w, after, item, i);
        }

        bad |= rc == CP_DECLINED;
    }

    if (bad || rc != CP_OK) {
        return bad ? CP_DECLINED : rc;
    }

    rc = cp_policy_made(w, before, after);
    if (rc != CP_OK) {
        return rc;
    }

    /* what it was attached to is made anew too, after this write */

    if (before == NULL) {
        return CP_OK;
    }

    rc = cp_policy_version_save(w->op, w->tx, before, false);

    return rc == CP_OK ? cp_policy_places(w->op, w->tx, before) : rc;
}


/* What no gateway can judge would take away what it is attached to. */
static cp_rc_t
cp_policy_known(const cp_write_t *w, const stoa_policy_type_t *type)
{
    cp_op_t     *op = w->op;
    cp_rc_t      rc;
    unsigned     n;
    const char  *names;

    rc = cp_gateway_lacking(w->tx, op->arena, type->name, type->version, &n,
                            &names, &op->err);

    if (rc != CP_OK || n == 0) {
        return rc;
    }

    /* which gateways there are is the platform's */

    return cp_auth_holds(&op->actor, "gateway:read", NULL)
           ? cp_err_field(&op->err, -1, 0, "type",
                          "is not known at %u connected gateway%s: %s%s", n,
                          n == 1 ? "" : "s", names,
                          n > CP_GATEWAY_NAMED ? ", ..." : "")
           : cp_err_field(&op->err, -1, 0, "type",
                          "is not known at %u connected gateway%s", n,
                          n == 1 ? "" : "s");
}


/* By the very code that lays it out at a gateway. */
static cp_rc_t
cp_policy_config(const cp_write_t *w, const stoa_policy_type_t *type,
    cp_json_t *row)
{
    char        *text;
    size_t       len;
    cp_op_t     *op;
    cp_rc_t      found;
    stoa_rc_t    rc;
    stoa_err_t   err;
    cp_json_t   *config, *probe;

    op = w->op;
    config = cp_json_get(row, "config");

    found = cp_policy_probe(w, type, row, &probe);
    if (found != CP_OK) {
        return found;
    }

    text = cp_json_text(op->arena, probe, &len);

    if (text == NULL) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    memset(&err, 0, sizeof(err));
    rc = stoa_rec_policy_check(type, text, len, &err);

    if (rc == STOA_OK) {
        return CP_OK;
    }

    return rc != STOA_DECLINED
           ? cp_err_set(&op->err, "internal", "no memory")
           : cp_err_field(&op->err, -1, cp_policy_line(config, err.field),
                          cp_arena_printf(op->arena, "config%s%s",
                                          err.field[0] ? "." : "", err.field),
                          "%s", err.text);
}


/* With a word where secrets will be, whose ids are noted in the row. */
static cp_rc_t
cp_policy_probe(const cp_write_t *w, const stoa_policy_type_t *type,
    cp_json_t *row, cp_json_t **config)
{
    cp_rc_t          rc;
    cp_json_t       *ids;
    const char      *name, *member;
    cp_secret_of_t   of = { w->tx, w->op->arena, cp_json_str(row, "tenant"),
                            &w->op->err };

    ids = cp_json_array(w->op->arena);
    *config = cp_json_copy(w->op->arena, cp_json_get(row, "config"));

    if (ids == NULL || *config == NULL) {
        return cp_err_set(&w->op->err, "internal", "no memory");
    }

    rc = cp_secret_probe(&of, type->config, *config, ids, &name, &member);

    if (rc == CP_DECLINED && name == NULL) {
        return cp_err_field(&w->op->err, -1,
                            cp_policy_line(cp_json_get(row, "config"), member),
                            cp_arena_printf(w->op->arena, "config.%s", member),
                            "must be a secret, like ${secret:NAME}");
    }

    if (rc == CP_DECLINED && member) {
        return cp_err_field(&w->op->err, -1,
                            cp_policy_line(cp_json_get(row, "config"), member),
                            cp_arena_printf(w->op->arena, "config.%s", member),
                            "the secret \"%.64s\" is %s certificate", name,
                            type->config->fields[0].secret
                            == STOA_REC_SECRET_CERTIFICATE ? "no" : "a");
    }

    if (rc == CP_DECLINED) {
        return cp_fault_at(w->op, row, "config", "there is no secret \"%.64s\""
                           " with a value", name);
    }

    if (rc == CP_OK && (ids->n || cp_json_get(row, "secrets"))) {
        cp_json_set(w->op->arena, row, "secrets", ids);
    }

    return rc;
}


/* The line of the deepest value on the way "a[1].b". */
static unsigned
cp_policy_line(const cp_json_t *val, const char *path)
{
    char              name[STOA_ERR_FIELD_MAX];
    size_t            n;
    unsigned          line;
    unsigned long     i;
    const cp_json_t  *m;

    line = val->line;

    while (*path) {
        if (*path == '[') {
            i = strtoul(path + 1, (char **) &path, 10);
            path += *path == ']';

            for (m = val->first; m && i; i--) {
                m = m->next;
            }

        } else {
            path += *path == '.';
            n = strcspn(path, ".[");
            (void) snprintf(name, sizeof(name), "%.*s", (int) n, path);
            m = cp_json_get(val, name);
            path += n;
        }

        if (m == NULL) {
            break;
        }

        val = m;
        line = val->line ? val->line : line;
    }

    return line;
}


static cp_rc_t
cp_policy_attach(const cp_write_t *w, const stoa_policy_type_t *type,
    const cp_json_t *row, const cp_json_t *item, unsigned i)
{
    bool                global;
    cp_rc_t             rc;
    uint32_t            flag;
    const char         *path;
    const cp_json_t    *m;
    const cp_attach_t  *t;

    global = w->res->parent == NULL;
    path = cp_arena_printf(w->op->arena, "attach[%u]", i);

    for (t = cp_attaches; t->member; t++) {
        if (t->global == global && cp_json_get(item, t->member)
            && (t->with == NULL || cp_json_get(item, t->with)))
        {
            break;
        }
    }

    for (m = item->first; t->member && m; m = m->next) {
        if (strcmp(m->key, "order") != 0 && strcmp(m->key, t->member) != 0
            && (t->with == NULL || strcmp(m->key, t->with) != 0))
        {
            break;
        }
    }

    if (t->member == NULL || m) {
        return cp_err_field(&w->op->err, -1, item->line, path, "%s",
                            global ? "must name a gateway_group or a tenant"
                            : "must name one of tenant, server, api, plan, "
                              "application, or of an api an operation or a "
                              "tool");
    }

    if (!global && strcmp(t->member, "tenant") == 0
        && strcmp(cp_json_str(item, "tenant"), cp_json_str(row, "tenant"))
           != 0)
    {
        return cp_err_field(&w->op->err, -1, item->line, path,
                            "is not the policy's own tenant");
    }

    flag = t->flag;
    rc = cp_json_get(item, "api") ? cp_policy_api(w, type, item, path,
                                                    &flag)
                                  : CP_OK;
    if (rc != CP_OK) {
        return rc;
    }

    if (!(type->scopes & flag)) {
        return cp_err_field(&w->op->err, -1, item->line, path,
                            "policies of type %s do not apply to %s%s",
                            type->name,
                            flag == STOA_ON_MCP_API ? "apis of kind mcp; "
                            "attach it to the tenant or a server"
                            : *t->member == 'a' ? "an " : "a ",
                            flag == STOA_ON_MCP_API ? "" : t->member);
    }

    for (m = cp_json_get(row, "attach")->first; m != item; m = m->next) {
        if (cp_policy_same(m, item)) {
            return cp_err_field(&w->op->err, -1, item->line, path,
                                "is there twice");
        }
    }

    return CP_OK;
}


/* Of other places every gateway has the record, whatever it serves. */
static cp_rc_t
cp_policy_reach(const cp_write_t *w, const cp_json_t *row,
    const cp_json_t *item, unsigned i)
{
    cp_json_t  *secrets;

    secrets = cp_json_get(row, "secrets");

    if (secrets == NULL || secrets->n == 0 || cp_json_get(item, "api")
        || cp_json_get(item, "gateway_group"))
    {
        return CP_OK;
    }

    return cp_err_field(&w->op->err, -1, item->line,
                        cp_arena_printf(w->op->arena, "attach[%u]", i),
                        "a policy with a secret applies to apis and to "
                        "gateway groups");
}


/* An operation is of a rest api, a tool of an mcp one. */
static cp_rc_t
cp_policy_api(const cp_write_t *w, const stoa_policy_type_t *type,
    const cp_json_t *item, const char *path, uint32_t *flag)
{
    bool       mcp;
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(w->tx, w->op->arena, "SELECT kind, CASE WHEN "
                     CP_UPSTREAM_GRPC " THEN 1 ELSE 0 END FROM apis"
                     " WHERE id = $1",
                     cp_args(cp_text(cp_json_str(item, "api"))), &rows,
                     &w->op->err);
    if (rc != CP_OK || rows.rows == 0) {
        return rc;
    }

    mcp = strcmp(cp_cell(&rows, 0, 0)->p, "mcp") == 0;

    if (mcp ? *flag == STOA_ON_OPERATION : *flag == STOA_ON_TOOL) {
        return cp_err_field(&w->op->err, -1, item->line, path,
                            "an api of kind %s has no %s",
                            mcp ? "mcp" : "rest",
                            mcp ? "operations" : "tools");
    }

    if (cp_cell(&rows, 0, 1)->i && (type->flags & STOA_POLICY_BODIES)) {
        return cp_err_field(&w->op->err, -1, item->line, path,
                            "policies of type %s judge bodies, and cannot "
                            "read those of gRPC", type->name);
    }

    if (mcp && *flag == STOA_ON_API) {
        *flag = STOA_ON_MCP_API;
    }

    return CP_OK;
}


/* Two of a type of which one counts, at one place: which of them would it be?
 * Judged by what is left, as documents may move one from here to there. */
static cp_rc_t
cp_policy_settled(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row)
{
    cp_rc_t                    rc;
    cp_val_t                   args[3];
    unsigned                   i;
    cp_json_t                 *rows, *list, *item;
    const char                *type, *tenant, *name;
    cp_row_query_t             q = { "\"type\" = $1 AND \"id\" <> $2"
                                     " AND \"attach\" IS NOT NULL", NULL, 0,
                                     true };
    const stoa_policy_type_t  *t;

    type = cp_json_str(row, "type");
    tenant = cp_json_str(row, "tenant");
    t = stoa_policy_find(type, strlen(type));
    list = cp_json_get(row, "attach");

    if (list == NULL || !(t->flags & STOA_POLICY_SINGLE)) {
        return CP_OK;
    }

    if (tenant) {
        q.where = "\"type\" = $1 AND \"id\" <> $2 AND \"attach\" IS NOT NULL"
                  " AND \"tenant\" = $3";
    }

    args[0] = cp_text(type);
    args[1] = cp_text(cp_json_str(row, "id"));
    args[2] = cp_text(tenant);

    rc = cp_row_select(tx, op->arena,
                       cp_resource_find(tenant ? "policy" : "global_policy"),
                       &q, args, tenant ? 3 : 2, &rows, &op->err);

    for (item = rc == CP_OK ? list->first : NULL, i = 0; item;
         item = item->next, i++)
    {
        name = cp_policy_there(rows, item);

        if (name) {
            rc = cp_err_field(&op->err, -1, 0,
                              cp_arena_printf(op->arena, "attach[%u]", i),
                              "the policy \"%s\" of the same type is attached"
                              " there", name);
        }
    }

    return rc;
}


/* The name of the one among the rows that is attached to the same. */
static const char *
cp_policy_there(const cp_json_t *rows, const cp_json_t *item)
{
    const cp_json_t  *row, *m;

    for (row = rows->first; row; row = row->next) {
        for (m = cp_json_get(row, "attach")->first; m; m = m->next) {
            if (cp_policy_same(m, item)) {
                return cp_json_str(row, "name");
            }
        }
    }

    return NULL;
}


static bool
cp_policy_same(const cp_json_t *one, const cp_json_t *two)
{
    const cp_field_t  *f;

    for (f = attach_fields; f->name; f++) {
        if (strcmp(f->name, "order") != 0
            && !cp_json_equal(cp_json_get(one, f->name),
                              cp_json_get(two, f->name)))
        {
            return false;
        }
    }

    return true;
}


static cp_rc_t
cp_policy_follow(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row)
{
    cp_rc_t  rc;

    rc = cp_policy_version_save(op, tx, row, true);

    return rc == CP_OK ? cp_policy_places(op, tx, row) : rc;
}


/* The records of what it is attached to. */
static cp_rc_t
cp_policy_places(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row)
{
    cp_rc_t                    rc;
    cp_json_t                 *list, *item;
    const char                *name;
    const stoa_policy_type_t  *type;

    list = cp_json_get(row, "attach");
    name = cp_json_str(row, "type");
    type = stoa_policy_find(name, strlen(name));

    for (item = list ? list->first : NULL; item; item = item->next) {
        rc = cp_policy_touch(op, tx, item);

        if (rc == CP_OK && (type->flags & STOA_POLICY_SHOWN)) {
            rc = cp_policy_shown(op, tx, cp_json_str(item, "api"));
        }

        if (rc != CP_OK) {
            return rc;
        }
    }

    return CP_OK;
}


/* An upstream that is shown something else is due to be read again: not of
 * this configuration is what was found. */
static cp_rc_t
cp_policy_shown(cp_op_t *op, cp_tx_t *tx, const char *api)
{
    cp_rc_t     rc;
    cp_rows_t   rows;
    cp_json_t  *found;

    rc = cp_tx_query(tx, op->arena, "SELECT discovery FROM apis"
                     " WHERE id = $1 AND kind = 'mcp'"
                     " AND discovery IS NOT NULL",
                     cp_args(cp_text(api)), &rows, &op->err);

    if (rc != CP_OK || rows.rows == 0
        || cp_json_parse(op->arena, rows.v[0].p, rows.v[0].len, &found, NULL)
           != CP_OK
        || cp_json_get(found, "upstream") == NULL)
    {
        return rc;
    }

    cp_json_put(op->arena, found, "upstream", "");

    return cp_tx_query(tx, op->arena, "UPDATE apis SET discovery = $1"
                       " WHERE id = $2",
                       cp_args(cp_text(cp_json_text(op->arena, found, NULL)),
                               cp_text(api)), NULL, &op->err);
}


static cp_rc_t
cp_policy_touch(cp_op_t *op, cp_tx_t *tx, const cp_json_t *item)
{
    cp_rc_t      rc;
    unsigned     i;
    const char  *id;
    static const char *const  kinds[] = { "gateway_group", "tenant", "server",
                                          "api", "plan", "application" };

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        id = cp_json_str(item, kinds[i]);

        if (id == NULL) {
            continue;
        }

        rc = cp_resource_touch(op, tx, cp_resource_find(kinds[i]), id);

        if (rc == CP_OK && strcmp(kinds[i], "tenant") == 0) {
            rc = cp_policy_tenant(op, tx, id);
        }

        if (rc != CP_OK) {
            return rc;
        }
    }

    return CP_OK;
}


static cp_rc_t
cp_policy_tenant(cp_op_t *op, cp_tx_t *tx, const char *id)
{
    cp_rc_t                   rc;
    unsigned                  i, k;
    cp_rows_t                 rows;
    const cp_resource_t      *res;
    static const char *const  kinds[] = { "api", "server" };

    for (k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        res = cp_resource_find(kinds[k]);

        rc = cp_tx_query(tx, op->arena,
                         cp_arena_printf(op->arena, "SELECT id FROM \"%s\""
                                         " WHERE tenant = $1",
                                         res->table),
                         cp_args(cp_text(id)), &rows, &op->err);

        for (i = 0; rc == CP_OK && i < rows.rows; i++) {
            rc = cp_resource_touch(op, tx, res, cp_cell(&rows, i, 0)->p);
        }

        if (rc != CP_OK) {
            return rc;
        }
    }

    return CP_OK;
}
