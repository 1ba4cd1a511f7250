/*
 * x-transitions of a resource's schema, x-transition of an event: which
 * events there are in which state, and whose they are.
 */

#include <string.h>

#include "openapi/cp_openapi.h"


static cp_json_t *cp_openapi_step(cp_arena_t *a, const cp_transition_t *t);


const cp_transition_t *
cp_openapi_transition(const cp_openapi_t *o)
{
    const cp_transition_t  *t;

    for (t = o->event ? o->res->transitions : NULL; t && t->event; t++) {
        if (strcmp(t->event, o->event) == 0) {
            return t;
        }
    }

    return NULL;
}


/* Of an operation. */
void
cp_openapi_event(cp_openapi_t *o, cp_json_t *op)
{
    const cp_transition_t  *t;

    t = cp_openapi_transition(o);

    if (t) {
        cp_json_set(o->a, op, "x-transition", cp_openapi_step(o->a, t));
    }
}


/* Of a schema; those of the system too, which nobody asks for. */
void
cp_openapi_transitions(cp_arena_t *a, const cp_resource_t *res,
    cp_json_t *schema)
{
    cp_json_t              *all;
    const cp_transition_t  *t;

    if (res->transitions == NULL) {
        return;
    }

    all = cp_json_array(a);

    for (t = res->transitions; t->event; t++) {
        cp_json_push(all, cp_openapi_step(a, t));
    }

    cp_json_put(a, schema, "x-initial", res->initial);
    cp_json_set(a, schema, "x-transitions", all);
}


static cp_json_t *
cp_openapi_step(cp_arena_t *a, const cp_transition_t *t)
{
    unsigned    i;
    cp_json_t  *step, *from;

    step = cp_json_object(a);
    from = cp_json_array(a);

    for (i = 0; i < sizeof(t->from) / sizeof(t->from[0]) && t->from[i]; i++) {
        cp_json_push(from, cp_json_string(a, t->from[i]));
    }

    cp_json_put(a, step, "event", t->event);
    cp_json_set(a, step, "from", from);
    cp_json_put(a, step, "to", t->to);

    if (t->permission) {
        cp_json_put(a, step, "permission", t->permission);
    }

    return step;
}
