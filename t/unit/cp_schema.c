/*
 * Each field has its column in the database.
 */

#include <unistd.h>

#include "kinds/cp_kinds.h"
#include "tap.h"


/* Every field has a column, by a statement that names them all. */

static void
columns(cp_db_t *db, cp_arena_t *a, cp_err_t *err)
{
    char               sql[4096];
    size_t             i, len;
    cp_tx_t           *tx;
    cp_rows_t          rows;
    const cp_field_t  *f;

    for (i = 0; cp_kinds[i]; i++) {
        len = (size_t) snprintf(sql, sizeof(sql), "SELECT id");

        for (f = cp_kinds[i]->fields; f->name; f++) {
            if (cp_is_column(f)) {
                len += (size_t) snprintf(sql + len, sizeof(sql) - len,
                                         ", t.\"%s\"", f->name);
            }
        }

        snprintf(sql + len, sizeof(sql) - len, " FROM %s t",
                 cp_kinds[i]->table);

        if (cp_tx_begin(db, false, &tx) != CP_OK) {
            tap_ok(false, "a transaction");
            return;
        }

        tap_int(cp_tx_query(tx, a, sql, NULL, 0, &rows, err), CP_OK,
                cp_kinds[i]->table);
        cp_tx_rollback(tx);
    }
}


int
main(void)
{
    cp_db_t     *db;
    cp_err_t     err;
    cp_arena_t  *a;

    cp_log_setup(CP_LOG_ERROR, false);
    a = cp_arena_create(16 * 1024 * 1024);
    memset(&err, 0, sizeof(err));
    err.arena = a;

    (void) unlink("unit-cp-schema.sqlite");
    db = cp_db_open("sqlite:unit-cp-schema.sqlite", 1, &err);

    if (tap_ok(db != NULL, "a new database")) {
        columns(db, a, &err);
        cp_db_close(db);
    }

    cp_arena_destroy(a);

    return tap_done();
}
