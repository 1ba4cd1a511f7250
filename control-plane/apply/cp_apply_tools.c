/*
 * The tools, prompts, resources and templates of an mcp api, as its document
 * lists them: those in a list have their state, all others the api's
 * new_tools.  A name may be listed before discovery has found it, and stays
 * decided when it vanishes.
 */

#include <string.h>

#include "apply/cp_apply_run.h"
#include "kinds/cp_kinds.h"
#include "kinds/cp_tool_state.h"


typedef struct {
    cp_apply_t     *ap;
    cp_document_t  *d;
    unsigned        kind;              /* of cp_items                        */
    cp_json_t      *api;               /* row                                */
    cp_json_t      *now;               /* {name: state} of what differs from
                                          new_tools                          */
    cp_json_t      *diff;
} cp_tools_t;


static cp_rc_t cp_tools_apply(cp_tools_t *t);
static cp_rc_t cp_tools_list(cp_tools_t *t, cp_json_t **want);
static cp_rc_t cp_tools_set(cp_tools_t *t, const char *name,
    const char *state);


cp_rc_t
cp_apply_tools(cp_apply_t *ap, cp_document_t *d, cp_json_t *diff)
{
    cp_rc_t      rc;
    cp_op_t     *op = ap->op;
    cp_tools_t   t = { ap, d, 0, NULL, NULL, diff };
    const char  *what;

    rc = CP_OK;

    for ( /* void */ ; rc == CP_OK && cp_items[t.kind]; t.kind++) {

        if (d->items[t.kind] == NULL) {
            continue;
        }

        rc = cp_row_load(ap->tx, op->arena, &cp_res_api, d->id, &t.api,
                         &op->err);

        if (rc == CP_OK && strcmp(cp_json_str(t.api, "kind"), "mcp") != 0) {
            what = cp_arena_printf(op->arena, "spec.%s",
                                   cp_items[t.kind]->plural);
            rc = cp_err_field(&op->err, d->index, d->items[t.kind]->line,
                              what, "is for kind mcp");
        }

        if (rc == CP_OK) {
            rc = cp_tools_apply(&t);
        }
    }

    return rc;
}


static cp_rc_t
cp_tools_apply(cp_tools_t *t)
{
    cp_rc_t           rc;
    cp_op_t          *op = t->ap->op;
    cp_json_t        *want, *list;
    const cp_json_t  *m;

    rc = cp_tools_list(t, &want);

    if (rc == CP_OK) {
        rc = cp_tool_states(t->ap->tx, op->arena, cp_items[t->kind],
                            t->d->id, &list, &op->err);
    }

    if (rc != CP_OK) {
        return rc;
    }

    t->now = cp_json_object(op->arena);

    for (m = list->first; m; m = m->next) {
        cp_json_put(op->arena, t->now, cp_json_str(m, "name"),
                    cp_json_str(m, "state"));
    }

    for (m = t->now->first; rc == CP_OK && m; m = m->next) {
        if (cp_json_get(want, m->key) == NULL) {
            rc = cp_tools_set(t, m->key, cp_json_str(t->api, "new_tools"));
        }
    }

    for (m = want->first; rc == CP_OK && m; m = m->next) {
        rc = cp_tools_set(t, m->key, m->s);
    }

    return rc;
}


/* The document's list in form, as {name: state}. */
static cp_rc_t
cp_tools_list(cp_tools_t *t, cp_json_t **want)
{
    char           field[48];
    cp_rc_t        rc;
    unsigned       i, n;
    cp_op_t       *op = t->ap->op;
    cp_json_t     *item, *out;
    cp_validate_t  v = { op->arena, &op->err, t->d->index, false };

    static const char *const  states[] = { "enabled", "disabled", NULL };
    cp_field_t  fields[] = {
        { .name = "name" },
        { .name = "state", .type = CP_F_ENUM, .flags = CP_REQUIRED,
          .values = states },
        { .name = NULL }
    };

    for (i = 0; strcmp(cp_items[t->kind]->fields[i].name, "name") != 0; i++) {
        /* void */
    }

    fields[0] = cp_items[t->kind]->fields[i];
    *want = cp_json_object(op->arena);

    for (item = t->d->items[t->kind]->first, i = 0; item;
         item = item->next, i++)
    {
        snprintf(field, sizeof(field), "%s[%u]", cp_items[t->kind]->plural,
                 i);

        n = op->err.n;

        rc = cp_validate(&v, fields, item, NULL, &out);
        if (rc != CP_OK) {
            cp_document_item_faults(&op->err, n, field);
            return rc;
        }

        if (cp_json_get(*want, cp_json_str(out, "name"))) {
            return cp_err_field(&op->err, t->d->index, item->line, field,
                                "\"%.128s\" is there twice",
                                cp_json_str(out, "name"));
        }

        cp_json_put(op->arena, *want, cp_json_str(out, "name"),
                    cp_json_str(out, "state"));
    }

    return CP_OK;
}


static const char *
cp_tools_state(const cp_tools_t *t, const cp_json_t *list, const char *name)
{
    const char  *state;

    state = cp_json_str(list, name);

    return state ? state : cp_json_str(t->api, "new_tools");
}


static cp_rc_t
cp_tools_set(cp_tools_t *t, const char *name, const char *state)
{
    cp_rc_t      rc;
    cp_op_t     *op = t->ap->op;
    const char  *now;

    now = cp_tools_state(t, t->now, name);

    if (strcmp(now, state) == 0) {
        return CP_OK;
    }

    rc = cp_tool_decide(op, t->ap->tx, cp_items[t->kind], t->api, name,
                        state);

    if (rc == CP_OK) {
        cp_diff_push(op->arena, t->diff,
                     cp_arena_printf(op->arena, "%s[%s]",
                                     cp_items[t->kind]->plural, name),
                     cp_json_string(op->arena, now),
                     cp_json_string(op->arena, state));
    }

    return rc;
}
