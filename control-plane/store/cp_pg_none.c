/*
 * In place of the PostgreSQL driver where it was not built.
 */

#if !(CP_HAVE_PG)

#include "store/cp_db_driver.h"


static cp_rc_t
cp_pg_open(cp_db_moved_pt moved, void *ctx, const char *target,
    void **state, cp_err_t *err)
{
    (void) moved;
    (void) ctx;
    (void) target;
    (void) state;

    return cp_err_set(err, "internal", "this stoa-control was built without "
                      "PostgreSQL");
}


const cp_driver_t  cp_pg_driver = {
    .name = "postgresql",
    .open = cp_pg_open
};

#endif /* !CP_HAVE_PG */
