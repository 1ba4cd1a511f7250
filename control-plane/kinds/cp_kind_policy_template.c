/*
 * Templates of policies: what a tenant, or the platform for all of them,
 * publishes to be made policies of, in numbered versions.  What is made of
 * them is a policy set.
 */

#include <inttypes.h>
#include <string.h>

#include "kinds/cp_kind.h"
#include "kinds/cp_policy_render.h"


#define CP_TEMPLATE_VERSIONS  50
#define CP_TEMPLATE_POLICIES  50
#define CP_TEMPLATE_NUMBER    1000000
#define CP_TEMPLATE_SIZE      1048576      /* bytes of all versions          */


static cp_rc_t cp_template_check(const cp_write_t *w,
    const cp_json_t *before, cp_json_t *after);
static cp_rc_t cp_template_version(cp_op_t *op, const cp_json_t *one,
    unsigned i);
static cp_rc_t cp_template_policy(cp_op_t *op, const cp_json_t *one,
    const cp_json_t *policy, unsigned i, unsigned k);
static cp_rc_t cp_template_kept(const cp_write_t *w, const cp_json_t *before,
    const cp_json_t *after);
static cp_rc_t cp_template_settled(cp_op_t *op, cp_tx_t *tx,
    const cp_json_t *row);


#define ATTACH(name, doc)  F(name, CP_F_STRING, 0, 1, 200, NULL, doc)

static const cp_field_t  attach_fields[] = {
    ATTACH("tenant", "{{tenant}}: that of the set"),
    ATTACH("server", "as a policy's own"),
    ATTACH("api", "as a policy's own"),
    ATTACH("operation", "as a policy's own"),
    ATTACH("tool", "as a policy's own"),
    ATTACH("plan", "as a policy's own"),
    ATTACH("application", "as a policy's own"),
    INT("order", 0, 0, 10000, NULL, "as a policy's own"),
    F_END
};

static const cp_field_t  policy_fields[] = {
    F("name", CP_F_NAME, RQ, 0, 0, NULL,
      "what the policy is called, after the set's name and -"),
    BASE_TITLE,
    F("type", CP_F_NAME, RQ, 0, 0, NULL, "as a policy's own"),
    F("state", CP_F_STRING, 0, 1, 64, "\"enabled\"", "as a policy's own"),
    F("config", CP_F_JSON, 0, 0, 65536, "{}", "as a policy's own"),
    F_OBJECTS("attach", 0, 0, 100, attach_fields, "as a policy's own"),
    F_END
};

static const cp_field_t  version_fields[] = {
    INT("version", RQ, 1, CP_TEMPLATE_NUMBER, NULL,
        "higher than the one before"),
    F("note", CP_F_TEXT, 0, 0, 2000, NULL, "what is new"),
    F("parameters", CP_F_JSON, 0, 0, 65536, "{}",
      "JSON Schema of an object: what a set has to say, and defaults"),
    F_OBJECTS("policies", RQ, 1, CP_TEMPLATE_POLICIES, policy_fields,
      "with {{parameter}} in any text of them; what a set says nothing of "
      "goes, with its member"),
    F_END
};

#define TEMPLATE_FIELDS                                                       \
    F("description", CP_F_TEXT, 0, 0, 4000, NULL, "what it is for"),          \
    INT("latest", RO|ND, 0, 0, NULL, "the newest version"),                   \
    F_OBJECTS("versions", RQ|WH, 1, CP_TEMPLATE_VERSIONS, version_fields,     \
      "what a set has been made of stays as it is"),                          \
    BASE_TIMES,                                                               \
    F_END

static const cp_field_t  template_fields[] = {
    BASE_ID, BASE_NAME, BASE_TITLE, BASE_TENANT,
    TEMPLATE_FIELDS
};

static const cp_field_t  global_fields[] = {
    BASE_ID, BASE_NAME, BASE_TITLE,
    TEMPLATE_FIELDS
};

static const cp_dependent_t  template_dependents[] = {
    { "policy_set", "template", CP_DEP_REFUSE, false },
    { NULL, NULL, 0, false }
};

static const cp_dependent_t  global_dependents[] = {
    { "policy_set", "global_template", CP_DEP_REFUSE, false },
    { NULL, NULL, 0, false }
};

const cp_resource_t  cp_res_policy_template = {
    .kind = "policy_template", .doc_kind = "PolicyTemplate",
    .plural = "policy-templates", .table = "policy_templates",
    .parent = "tenant", .fields = template_fields,
    .check = cp_template_check, .settled = cp_template_settled,
    .dependents = template_dependents
};

const cp_resource_t  cp_res_global_policy_template = {
    .kind = "global_policy_template", .doc_kind = "GlobalPolicyTemplate",
    .plural = "policy-templates", .table = "global_policy_templates",
    .fields = global_fields, .everybody = true,
    .check = cp_template_check, .settled = cp_template_settled,
    .dependents = global_dependents
};


static cp_rc_t
cp_template_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after)
{
    bool              bad;
    size_t            len;
    cp_rc_t           rc;
    int64_t           last;
    cp_op_t          *op = w->op;
    unsigned          i;
    const cp_json_t  *one, *list;

    list = cp_json_get(after, "versions");
    bad = false;
    last = 0;

    for (one = list->first, i = 0; one; one = one->next, i++) {
        rc = cp_template_version(op, one, i);

        if (rc != CP_OK && rc != CP_DECLINED) {
            return rc;
        }

        bad |= rc == CP_DECLINED;

        if (cp_json_num(one, "version", 0) <= last) {
            bad = true;
            (void) cp_err_field(&op->err, w->document, one->line,
                                cp_arena_printf(op->arena,
                                                "versions[%u].version", i),
                                "must be higher than %" PRId64, last);
        }

        last = cp_json_num(one, "version", 0);
    }

    if (cp_json_text(op->arena, list, &len) == NULL) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    if (len > CP_TEMPLATE_SIZE) {
        return cp_fault_at(op, after, "versions", "are %zu bytes in all, more"
                           " than %d", len, CP_TEMPLATE_SIZE);
    }

    cp_json_put_int(op->arena, after, "latest", last);

    return bad ? CP_DECLINED
           : before ? cp_template_kept(w, before, after) : CP_OK;
}


static cp_rc_t
cp_template_version(cp_op_t *op, const cp_json_t *one, unsigned i)
{
    bool              bad;
    cp_rc_t           rc;
    unsigned          k;
    const char       *at, *why;
    const cp_json_t  *schema, *m;

    schema = cp_json_get(one, "parameters");

    rc = cp_policy_parameters(op, schema, &at, &why);

    if (rc == CP_DECLINED) {
        return cp_err_field(&op->err, -1, schema->line,
                            cp_arena_printf(op->arena,
                                            "versions[%u].parameters%s", i,
                                            at), "%s", why);
    }

    bad = false;

    for (m = cp_json_get(one, "policies")->first, k = 0;
         rc == CP_OK && m; m = m->next, k++)
    {
        rc = cp_template_policy(op, one, m, i, k);
        bad |= rc == CP_DECLINED;
        rc = rc == CP_DECLINED ? CP_OK : rc;
    }

    return rc == CP_OK && bad ? CP_DECLINED : rc;
}


static cp_rc_t
cp_template_policy(cp_op_t *op, const cp_json_t *one,
    const cp_json_t *policy, unsigned i, unsigned k)
{
    cp_rc_t                    rc;
    const char                *name, *type, *why, *path;
    const cp_json_t           *m;
    const stoa_policy_type_t  *t;

    name = cp_json_str(policy, "name");
    type = cp_json_str(policy, "type");
    path = cp_arena_printf(op->arena, "versions[%u].policies[%u]", i, k);
    t = stoa_policy_find(type, strlen(type));

    if (t == NULL || t->scopes == 0) {
        return cp_err_field(&op->err, -1, policy->line,
                            cp_arena_printf(op->arena, "%s.type", path),
                            "is no type of policies");
    }

    for (m = cp_json_get(one, "policies")->first; m != policy; m = m->next) {
        if (strcmp(cp_json_str(m, "name"), name) == 0) {
            return cp_err_field(&op->err, -1, policy->line,
                                cp_arena_printf(op->arena, "%s.name", path),
                                "is there twice");
        }
    }

    rc = cp_policy_places_check(op->arena, policy,
                                cp_json_get(one, "parameters"), &why);

    return rc == CP_DECLINED
           ? cp_err_field(&op->err, -1, policy->line, path, "%s", why) : rc;
}


static const cp_json_t *
cp_template_of(const cp_json_t *row, int64_t version)
{
    const cp_json_t  *one;

    one = cp_json_get(row, "versions")->first;

    while (one && cp_json_num(one, "version", 0) != version) {
        one = one->next;
    }

    return one;
}


/* The versions that sets are made of, with the name of one. */
static cp_rc_t
cp_template_used(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row,
    cp_rows_t *rows)
{
    return cp_tx_query(tx, op->arena,
                       cp_arena_printf(op->arena, "SELECT version, MIN(name)"
                                       " FROM policy_sets WHERE %s = $1"
                                       " GROUP BY version ORDER BY version",
                                       cp_json_str(row, "tenant")
                                       ? "template" : "global_template"),
                       cp_args(cp_text(cp_json_str(row, "id"))), rows,
                       &op->err);
}


static cp_rc_t
cp_template_in_use(cp_op_t *op, const cp_val_t *used)
{
    return cp_err_set(&op->err, "in_use", "version %" PRId64 " is what sets"
                      " are made of, such as \"%s\": it stays as it is; a"
                      " change is a version of its own", used[0].i, used[1].p);
}


/* A version that a set was made of says forever what that was. */
static cp_rc_t
cp_template_kept(const cp_write_t *w, const cp_json_t *before,
    const cp_json_t *after)
{
    cp_rc_t           rc;
    int64_t           number;
    unsigned          i;
    cp_rows_t         rows;
    const cp_json_t  *was, *now;

    rc = cp_template_used(w->op, w->tx, before, &rows);

    for (i = 0; rc == CP_OK && i < rows.rows; i++) {
        number = cp_cell(&rows, i, 0)->i;
        was = cp_template_of(before, number);
        now = cp_template_of(after, number);

        if (was && now && !cp_json_equal(was, now)) {
            rc = cp_template_in_use(w->op, cp_cell(&rows, i, 0));
        }
    }

    return rc;
}


/* One that goes may be left by its sets in the same apply. */
static cp_rc_t
cp_template_settled(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row)
{
    cp_rc_t    rc;
    unsigned   i;
    cp_rows_t  rows;

    rc = cp_template_used(op, tx, row, &rows);

    for (i = 0; rc == CP_OK && i < rows.rows; i++) {
        if (cp_template_of(row, cp_cell(&rows, i, 0)->i) == NULL) {
            rc = cp_template_in_use(op, cp_cell(&rows, i, 0));
        }
    }

    return rc;
}
