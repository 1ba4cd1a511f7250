/*
 * Templates of policies: what stands in them, and what they become.
 *
 * A placeholder is {{name}} in a string.  A string that is nothing else
 * becomes the value, of whatever type; one without a value takes its member or
 * item along.  Within a longer string a value is written as text.
 *
 * Process: stoa-control, any thread; everything lives in the arena given.
 */

#ifndef CP_POLICY_RENDER_H
#define CP_POLICY_RENDER_H


#include "kinds/cp_kinds.h"


/* CP_DECLINED: *why says what is wrong with what stands there. */
cp_rc_t cp_policy_places_check(cp_arena_t *a, const cp_json_t *val,
    const cp_json_t *parameters, const char **why) CP_MUST_CHECK;

#define CP_RENDER_MAX  1048576         /* bytes of what a set makes          */

typedef struct {
    cp_arena_t       *arena;
    const cp_json_t  *values;
    size_t            left;            /* CP_RENDER_MAX, at first            */
    const char       *why;             /* it cannot be                       */
} cp_render_t;

/* NULL: nothing is left of it, or r->why is set. */
cp_json_t *cp_policy_render(cp_render_t *r, const cp_json_t *val);

/* Values by the schema, with its defaults; CP_DECLINED: the fault is told, as
 * that of `parameters`. */
cp_rc_t cp_policy_values(cp_op_t *op, const cp_json_t *schema,
    const cp_json_t *given, cp_json_t **values) CP_MUST_CHECK;

/* Is this a schema of parameters?  *at: the place in it. */
cp_rc_t cp_policy_parameters(cp_op_t *op, const cp_json_t *schema,
    const char **at, const char **why) CP_MUST_CHECK;

/* Notes in a policy of a set whether it is what the set made of it.  w->given,
 * a string: it is being made by the set of this id. */
cp_rc_t cp_policy_made(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after) CP_MUST_CHECK;


#endif /* CP_POLICY_RENDER_H */
