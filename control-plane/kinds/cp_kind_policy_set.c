/*
 * Policy sets: a template in one version, with parameters.  Whenever one is
 * written its policies are made what it says; these are policies like any
 * other, and say when they are not that any more.
 */

#include <inttypes.h>
#include <string.h>

#include "kinds/cp_kind.h"
#include "kinds/cp_policy_render.h"


#define CP_SET_NAME_MAX  63


static cp_rc_t cp_set_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after);
static cp_rc_t cp_set_version(const cp_write_t *w, const cp_json_t *set,
    const cp_json_t **version);
static cp_rc_t cp_set_render(const cp_write_t *w, const cp_json_t *set,
    const cp_json_t *version, cp_json_t **want);
static cp_rc_t cp_set_make(const cp_write_t *w, const cp_json_t *set,
    const cp_json_t *want);
static cp_rc_t cp_set_clear(const cp_write_t *w, const cp_json_t *have,
    const cp_json_t *want);
static cp_rc_t cp_set_policy(const cp_write_t *w, const cp_json_t *set,
    const cp_json_t *have, const cp_json_t *want);
static void cp_set_faults(cp_op_t *op, unsigned n, const char *name);
static cp_rc_t cp_set_shown(cp_tx_t *tx, cp_arena_t *a, cp_json_t *obj,
    cp_err_t *err);


static const cp_field_t  set_fields[] = {
    BASE_ID, BASE_NAME, BASE_TITLE, BASE_TENANT,
    F_REF("template", IM|FI, "policy_template", NULL,
      "of the tenant; either this"),
    F_REF("global_template", IM|FI, "global_policy_template", NULL,
      "of the platform; or this"),
    INT("version", RQ, 1, 1000000, NULL, "of the template"),
    F("parameters", CP_F_JSON, 0, 0, 65536, "{}",
      "as the template wants them"),
    INT("policies", RO|ND, 0, 0, NULL, "how many it makes"),
    INT("latest", RO|ND|CP_DERIVED|CP_MOVES, 0, 0, NULL,
      "the newest version of the template"),
    INT("drift", RO|ND|CP_DERIVED|CP_MOVES, 0, 0, NULL,
      "how many of its policies are gone, or not what it made any more"),
    F("made_at", CP_F_TIME, RO|ND|CP_MOVES, 0, 0, NULL,
      "when it last made its policies"),
    BASE_TIMES,
    F_END
};

static const cp_dependent_t  set_dependents[] = {
    { "policy", "policy_set", CP_DEP_MADE, false },
    { NULL, NULL, 0, false }
};

const cp_resource_t  cp_res_policy_set = {
    .kind = "policy_set", .doc_kind = "PolicySet",
    .plural = "policy-sets", .table = "policy_sets", .parent = "tenant",
    .fields = set_fields, .check = cp_set_check, .shown = cp_set_shown,
    .dependents = set_dependents
};


/* The policies come first, so that the answer has them; if one is refused,
 * nothing of all that is kept. */
static cp_rc_t
cp_set_check(const cp_write_t *w, const cp_json_t *before, cp_json_t *after)
{
    cp_rc_t           rc;
    cp_json_t        *want;
    const cp_json_t  *version;

    (void) before;

    if ((cp_json_str(after, "template") == NULL)
        == (cp_json_str(after, "global_template") == NULL))
    {
        return cp_fault_at(w->op, after, "template", "must be there, or "
                           "global_template, and not both");
    }

    rc = cp_set_version(w, after, &version);

    if (rc == CP_OK) {
        rc = cp_set_render(w, after, version, &want);
    }

    if (rc == CP_OK) {
        rc = cp_set_make(w, after, want);
    }

    if (rc == CP_OK) {
        cp_json_put_int(w->op->arena, after, "policies", want->n);
        cp_json_put_int(w->op->arena, after, "made_at", cp_time_ms());
    }

    return rc;
}


static cp_rc_t
cp_set_version(const cp_write_t *w, const cp_json_t *set,
    const cp_json_t **version)
{
    cp_rc_t           rc;
    int64_t           number;
    cp_json_t        *row;
    const char       *own;
    const cp_json_t  *one;

    *version = NULL;
    own = cp_json_str(set, "template");
    number = cp_json_num(set, "version", 0);

    rc = cp_row_load(w->tx, w->op->arena,
                     own ? &cp_res_policy_template
                         : &cp_res_global_policy_template,
                     own ? own : cp_json_str(set, "global_template"), &row,
                     &w->op->err);

    if (rc != CP_OK || row == NULL) {
        return rc == CP_OK ? cp_fault_at(w->op, set, "template", "is gone")
                           : rc;
    }

    for (one = cp_json_get(row, "versions")->first; one; one = one->next) {
        if (cp_json_num(one, "version", 0) == number) {
            *version = one;
            return CP_OK;
        }
    }

    return cp_fault_at(w->op, set, "version", "is none of the template; its "
                       "newest is %" PRId64, cp_json_num(row, "latest", 0));
}


/* Whole policies, with their names. */
static cp_rc_t
cp_set_render(const cp_write_t *w, const cp_json_t *set,
    const cp_json_t *version, cp_json_t **want)
{
    cp_rc_t           rc;
    cp_op_t          *op = w->op;
    cp_rows_t         rows;
    cp_json_t        *values, *one;
    const char       *name;
    cp_render_t       r = { op->arena, NULL, CP_RENDER_MAX, NULL };
    const cp_json_t  *m;

    rc = cp_policy_values(op, cp_json_get(version, "parameters"),
                          cp_json_get(set, "parameters"), &values);

    if (rc == CP_OK) {
        rc = cp_tx_query(w->tx, op->arena, "SELECT name FROM tenants"
                         " WHERE id = $1",
                         cp_args(cp_text(cp_json_str(set, "tenant"))), &rows,
                         &op->err);
    }

    if (rc != CP_OK) {
        return rc;
    }

    cp_json_put(op->arena, values, "tenant", cp_cell(&rows, 0, 0)->p);
    cp_json_put(op->arena, values, "set", cp_json_str(set, "name"));
    *want = cp_json_array(op->arena);
    r.values = values;

    for (m = cp_json_get(version, "policies")->first; m; m = m->next) {
        one = cp_policy_render(&r, m);

        if (r.why) {
            return cp_fault_at(op, set, "parameters", "%s: %s",
                               cp_json_str(m, "name"), r.why);
        }

        name = cp_arena_printf(op->arena, "%s-%s", cp_json_str(set, "name"),
                               cp_json_str(m, "name"));

        if (strlen(name) > CP_SET_NAME_MAX) {
            return cp_fault_at(op, set, "name", "is too long: the policy "
                               "\"%s\" could not be called so", name);
        }

        cp_json_put(op->arena, one, "name", name);
        cp_json_push(*want, one);
    }

    return CP_OK;
}


static const cp_json_t *
cp_set_named(const cp_json_t *list, const char *name)
{
    const cp_json_t  *m;

    m = list->first;

    while (m && strcmp(cp_json_str(m, "name"), name) != 0) {
        m = m->next;
    }

    return m;
}


/* Each by itself is judged at once, also within an apply: what documents do
 * to them comes later. */
static cp_rc_t
cp_set_make(const cp_write_t *w, const cp_json_t *set, const cp_json_t *want)
{
    bool              late;
    cp_rc_t           rc;
    cp_op_t          *op = w->op;
    unsigned          n;
    cp_json_t        *have;
    cp_row_query_t    q = { "\"policy_set\" = $1", "\"name\"", 0, false };
    const cp_json_t  *m;

    rc = cp_row_select(w->tx, op->arena, &cp_res_policy, &q,
                       cp_args(cp_text(cp_json_str(set, "id"))), &have,
                       &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    late = op->late;
    op->late = false;
    rc = cp_set_clear(w, have, want);

    for (m = want->first; m && rc == CP_OK; m = m->next) {
        n = op->err.n;
        rc = cp_set_policy(w, set, have, m);

        if (rc == CP_DECLINED) {
            cp_set_faults(op, n, cp_json_str(m, "name"));
        }
    }

    op->late = late;

    return rc;
}


/* What it makes no more, or as another type, goes first. */
static cp_rc_t
cp_set_clear(const cp_write_t *w, const cp_json_t *have,
    const cp_json_t *want)
{
    cp_rc_t           rc;
    cp_write_t        each = cp_write_of(w->op, w->tx, &cp_res_policy);
    const cp_json_t  *m, *same;

    rc = CP_OK;

    for (m = have->first; m && rc == CP_OK; m = m->next) {
        same = cp_set_named(want, cp_json_str(m, "name"));

        if (same == NULL || strcmp(cp_json_str(same, "type"),
                                   cp_json_str(m, "type")) != 0)
        {
            each.id = cp_json_str(m, "id");
            rc = cp_entry_delete(&each);
        }
    }

    return rc;
}


static cp_rc_t
cp_set_policy(const cp_write_t *w, const cp_json_t *set,
    const cp_json_t *have, const cp_json_t *want)
{
    cp_entry_t        e;
    cp_write_t        each = cp_write_of(w->op, w->tx, &cp_res_policy);
    const cp_json_t  *old;

    old = cp_set_named(have, cp_json_str(want, "name"));
    each.in = want;
    each.given = cp_json_get(set, "id");

    if (old && strcmp(cp_json_str(old, "type"), cp_json_str(want, "type"))
               == 0)
    {
        each.id = cp_json_str(old, "id");
        return cp_entry_update(&each, &e);
    }

    each.id = cp_json_str(set, "tenant");

    return cp_entry_create(&each, &e);
}


/* Which policy it was. */
static void
cp_set_faults(cp_op_t *op, unsigned n, const char *name)
{
    unsigned      i;
    const char   *field;

    for (i = n; i < op->err.n; i++) {
        field = op->err.faults[i].field;
        op->err.faults[i].field = cp_arena_printf(op->err.arena,
                                                  "policies.%s%s%s", name,
                                                  *field ? "." : "", field);
        op->err.faults[i].line = 0;
    }
}


static cp_rc_t
cp_set_shown(cp_tx_t *tx, cp_arena_t *a, cp_json_t *obj, cp_err_t *err)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, a, "SELECT (SELECT COUNT(*) FROM policies p"
                     " WHERE p.policy_set = $1 AND p.drifted = 0),"
                     " COALESCE((SELECT latest FROM policy_templates t,"
                     " policy_sets s WHERE t.id = s.template AND s.id = $1),"
                     " (SELECT latest FROM global_policy_templates t,"
                     " policy_sets s WHERE t.id = s.global_template"
                     " AND s.id = $1))",
                     cp_args(cp_text(cp_json_str(obj, "id"))), &rows, err);
    if (rc != CP_OK) {
        return rc;
    }

    /* while it is made it is no row yet */

    cp_json_put_int(a, obj, "latest", cp_cell(&rows, 0, 1)->p
                    || cp_cell(&rows, 0, 1)->i
                    ? cp_cell(&rows, 0, 1)->i
                    : cp_json_num(obj, "version", 0));
    cp_json_put_int(a, obj, "drift", cp_json_num(obj, "policies", 0)
                                     - cp_cell(&rows, 0, 0)->i);

    return CP_OK;
}
