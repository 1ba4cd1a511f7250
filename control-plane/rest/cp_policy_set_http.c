/*
 * POST .../policy-sets/{policy_set}/preview: what another version, other
 * parameters, or, with {}, making them again would change of the policies.
 */

#include <string.h>

#include "apply/cp_document.h"
#include "kinds/cp_kinds.h"
#include "rest/cp_list.h"


static cp_rc_t cp_set_previewed(cp_req_t *r, cp_tx_t *tx,
    const cp_place_t *p);
static cp_rc_t cp_set_policies(cp_req_t *r, cp_tx_t *tx, const char *id,
    cp_json_t **list);
static void cp_set_compare(cp_arena_t *a, const cp_json_t *before,
    const cp_json_t *after, cp_json_t *changes);
static const cp_json_t *cp_set_same(const cp_json_t *list,
    const cp_json_t *one);


cp_rc_t
cp_policy_set_preview(cp_req_t *r)
{
    cp_place_t  p = { .res = &cp_res_policy_set };

    return cp_rest_write(r, &p, cp_set_previewed);
}


/* By the engine itself, so that what it would refuse is refused here. */
static cp_rc_t
cp_set_previewed(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p)
{
    cp_rc_t      rc;
    cp_json_t   *in, *before, *after, *out, *changes;
    cp_arena_t  *a = r->op.arena;
    cp_entry_t   e;
    cp_write_t   w = cp_write_of(&r->op, tx, p->res);

    rc = cp_req_json(r, &in);

    if (rc == CP_OK) {
        rc = cp_set_policies(r, tx, p->id, &before);
    }

    if (rc != CP_OK) {
        return rc;
    }

    w.id = p->id;
    w.in = in;
    w.patch = true;

    rc = cp_entry_update(&w, &e);

    if (rc == CP_OK) {
        rc = cp_set_policies(r, tx, p->id, &after);
    }

    if (rc != CP_OK) {
        return rc;
    }

    cp_rest_undo(r);

    changes = cp_json_array(a);
    cp_set_compare(a, before, after, changes);

    out = cp_json_object(a);
    cp_json_put_int(a, out, "version", cp_json_num(e.obj, "version", 0));
    cp_json_put_int(a, out, "latest", cp_json_num(e.obj, "latest", 0));
    cp_json_set(a, out, "changes", changes);

    return cp_req_answer(r, 200, out);
}


/* As documents say them, with their names. */
static cp_rc_t
cp_set_policies(cp_req_t *r, cp_tx_t *tx, const char *id, cp_json_t **list)
{
    cp_rc_t          rc;
    cp_json_t       *rows, *row, *obj;
    cp_names_t       names;
    cp_arena_t      *a = r->op.arena;
    cp_row_query_t   q = { "\"policy_set\" = $1", "\"name\"", 0, false };

    *list = cp_json_array(a);
    cp_names_init(&names, tx, a, &r->op.err);

    rc = cp_row_select(tx, a, &cp_res_policy, &q, cp_args(cp_text(id)), &rows,
                       &r->op.err);

    for (row = rc == CP_OK ? rows->first : NULL; row && rc == CP_OK;
         row = row->next)
    {
        rc = cp_row_show(&names, &cp_res_policy, row, &obj);

        if (rc == CP_OK) {
            cp_json_push(*list, cp_dump_spec(a, cp_res_policy.fields, obj));
        }
    }

    return rc;
}


static void
cp_set_compare(cp_arena_t *a, const cp_json_t *before, const cp_json_t *after,
    cp_json_t *changes)
{
    unsigned          i;
    cp_json_t        *change;
    const cp_json_t  *m, *was, *now;

    for (i = 0; i < 2; i++) {
        for (m = (i ? after : before)->first; m; m = m->next) {
            was = i ? cp_set_same(before, m) : m;
            now = i ? m : cp_set_same(after, m);

            /* what is on both sides is told once */

            if ((i && was) || (was && now && cp_json_equal(was, now))) {
                continue;
            }

            change = cp_json_object(a);
            cp_json_put(a, change, "policy", cp_json_str(m, "name"));
            cp_json_put(a, change, "action",
                        was == NULL ? "added" : now ? "changed" : "removed");
            cp_json_set(a, change, "diff",
                        cp_change_diff(a, &cp_res_policy, was, now));
            cp_json_push(changes, change);
        }
    }
}


static const cp_json_t *
cp_set_same(const cp_json_t *list, const cp_json_t *one)
{
    const cp_json_t  *m;

    m = list->first;

    while (m && strcmp(cp_json_str(m, "name"), cp_json_str(one, "name")) != 0)
    {
        m = m->next;
    }

    return m;
}
