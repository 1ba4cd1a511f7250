/*
 * Steps: through the states of a resource, and in a scratch arena each.
 */

#include <string.h>

#include "apply/cp_apply_run.h"


typedef struct {
    const char             *state;
    const cp_transition_t  *by;          /* how it was reached              */
    int                     prev;
    int                     steps;
} cp_walk_t;


static bool cp_walk_leaves(const cp_transition_t *t, const char *state);


cp_rc_t
cp_apply_scratch(cp_apply_t *ap, cp_apply_step_pt fn, void *data)
{
    cp_rc_t      rc;
    cp_arena_t  *a;

    a = cp_arena_create(CP_APPLY_SCRATCH);
    if (a == NULL) {
        return cp_err_set(&ap->op->err, "internal", "out of memory");
    }

    ap->op->arena = a;
    rc = fn(ap, data);
    ap->op->arena = ap->arena;
    cp_arena_destroy(a);

    return rc;
}


/* Breadth first over the table of transitions; no state is seen twice, so
 * there are at most CP_WALK_MAX of them on the way. */
int
cp_apply_walk(const cp_resource_t *res, const char *from, const char *to,
    const cp_transition_t *path[CP_WALK_MAX])
{
    int                     head, tail, i, n;
    cp_walk_t               seen[CP_WALK_MAX];
    const cp_transition_t  *t;

    seen[0].state = from;
    seen[0].steps = 0;
    tail = 1;

    for (head = 0; head < tail; head++) {

        if (strcmp(seen[head].state, to) == 0) {
            n = seen[head].steps;

            for (i = head; seen[i].steps; i = seen[i].prev) {
                path[seen[i].steps - 1] = seen[i].by;
            }

            return n;
        }

        for (t = res->transitions; t && t->event; t++) {

            if (!cp_walk_leaves(t, seen[head].state)) {
                continue;
            }

            for (i = 0; i < tail; i++) {
                if (strcmp(seen[i].state, t->to) == 0) {
                    break;
                }
            }

            if (i == tail && tail < CP_WALK_MAX) {
                seen[tail].state = t->to;
                seen[tail].by = t;
                seen[tail].prev = head;
                seen[tail].steps = seen[head].steps + 1;
                tail++;
            }
        }
    }

    return -1;
}


/* Events without a permission are the system's own. */
static bool
cp_walk_leaves(const cp_transition_t *t, const char *state)
{
    const char *const  *s;

    for (s = t->from; *s && t->permission; s++) {
        if (strcmp(*s, state) == 0) {
            return true;
        }
    }

    return false;
}
