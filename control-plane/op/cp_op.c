/*
 * Operations that no client asked for.
 */

#include <string.h>

#include "op/cp_op.h"


void
cp_op_system(cp_op_t *op, cp_app_t *app, cp_arena_t *arena, const char *name)
{
    memset(op, 0, sizeof(cp_op_t));

    op->app = app;
    op->arena = arena;
    op->err.arena = arena;
    op->actor.how = CP_AUTH_SYSTEM;
    op->actor.id = "";
    op->actor.name = name;

    cp_id_make(op->request_id);
}


void
cp_op_clear(cp_op_t *op)
{
    memset(&op->err, 0, sizeof(cp_err_t));
    op->err.arena = op->arena;
}
