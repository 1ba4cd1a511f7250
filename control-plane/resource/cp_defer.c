/*
 * Feed rows that are rewritten once per transaction, however many writes
 * touch them.
 */

#include <string.h>

#include "resource/cp_engine.h"


#define CP_TOUCHED_SLOTS  1024
#define CP_FLUSH_ARENA    ((size_t) 256 * 1024 * 1024)


typedef struct cp_touched_s  cp_touched_t;

struct cp_touched_s {
    const cp_resource_t  *res;
    const char           *id;
    cp_touched_t         *same;        /* slot                              */
    cp_touched_t         *next;        /* in order                          */
};

typedef struct {
    cp_arena_t           *arena;       /* op->arena may be a scratch later   */
    cp_touched_t         *first;
    cp_touched_t         *last;
    cp_touched_t         *slot[CP_TOUCHED_SLOTS];
} cp_deferred_t;


void
cp_resource_defer(cp_op_t *op)
{
    cp_deferred_t  *d;

    d = cp_arena_alloc(op->arena, sizeof(cp_deferred_t));

    if (d) {
        d->arena = op->arena;
    }

    op->deferred = d;
}


cp_rc_t
cp_resource_touch(cp_op_t *op, cp_tx_t *tx, const cp_resource_t *res,
    const char *id)
{
    cp_touched_t   *t, **slot;
    cp_deferred_t  *d;

    if (res->feed == NULL) {
        return CP_OK;
    }

    d = op->deferred;

    if (d == NULL) {
        return res->feed(tx, op->arena, res, id, &op->err);
    }

    slot = &d->slot[stoa_hash64(id, strlen(id), 0) % CP_TOUCHED_SLOTS];

    for (t = *slot; t; t = t->same) {
        if (t->res == res && strcmp(t->id, id) == 0) {
            return CP_OK;
        }
    }

    t = cp_arena_alloc(d->arena, sizeof(cp_touched_t));

    if (t == NULL) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    t->res = res;
    t->id = cp_arena_strdup(d->arena, id);
    t->same = *slot;
    *slot = t;

    if (d->last) {
        d->last->next = t;

    } else {
        d->first = t;
    }

    d->last = t;

    return CP_OK;
}


/* Each in an arena of its own: there may be thousands. */
cp_rc_t
cp_resource_flush(cp_op_t *op, cp_tx_t *tx)
{
    cp_rc_t         rc;
    cp_arena_t     *a;
    cp_touched_t   *t;
    cp_deferred_t  *d;

    d = op->deferred;
    op->deferred = NULL;
    rc = cp_arena_failed(op->arena)
         ? cp_err_set(&op->err, "internal", "no memory") : CP_OK;

    for (t = d ? d->first : NULL; t && rc == CP_OK; t = t->next) {
        a = cp_arena_create(CP_FLUSH_ARENA);

        rc = a ? t->res->feed(tx, a, t->res, t->id, &op->err)
               : cp_err_set(&op->err, "internal", "no memory");

        cp_arena_destroy(a);
    }

    return rc;
}
