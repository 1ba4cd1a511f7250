/*
 * What a database driver offers to cp_db.c, which has the pools, transactions
 * and migrations.  A connection is used by one thread at a time.
 */

#ifndef CP_DB_DRIVER_H
#define CP_DB_DRIVER_H


#include "store/cp_db.h"


#define CP_DB_STATEMENTS  128      /* prepared, per connection              */
#define CP_DB_WAIT_MS     30000    /* for a free connection                 */

typedef struct cp_driver_s  cp_driver_t;

/* Told by a driver, on a thread of its own: another process moved the head. */
typedef void (*cp_db_moved_pt)(void *ctx, int64_t rev);

struct cp_driver_s {
    const char  *name;
    const char  *blob;             /* {{BLOB}}                              */
    const char  *serial;           /* {{SERIAL}}                            */
    unsigned     writers;          /* 0: as many as wanted                  */
    bool         remote;           /* a server, which may take no writes    */

    /* Once for the process, before any connection: locks, listeners. */
    cp_rc_t    (*open)(cp_db_moved_pt moved, void *ctx, const char *target,
                    void **state, cp_err_t *err);
    void       (*close)(void *state);

    /* A connection, or NULL with the reason logged and in err. */
    void      *(*connect)(void *state, bool write, cp_err_t *err);
    void       (*disconnect)(void *conn);
    bool       (*alive)(void *conn);

    cp_rc_t    (*begin)(void *conn, bool write);
    cp_rc_t    (*commit)(void *conn);          /* CP_CONFLICT: run again,
                                                  CP_DECLINED: no room      */
    void       (*rollback)(void *conn);

    /* Statements without parameters, for migrations. */
    cp_rc_t    (*script)(void *conn, const char *sql, cp_err_t *err);
    /* One statement.  stream: rows are not gathered first. */
    cp_rc_t    (*run)(void *conn, const char *sql, const cp_val_t *args,
                    unsigned nargs, bool stream, cp_row_pt cb, void *ctx,
                    cp_err_t *err);

    /* Held while migrations run; both may be NULL. */
    cp_rc_t    (*lock)(void *conn, cp_err_t *err);
    void       (*unlock)(void *conn);
    /* Tells other processes, in the transaction; may be NULL. */
    cp_rc_t    (*notify)(void *conn, int64_t rev);

    /* Copies the whole of it to a new file, without open(); may be NULL. */
    cp_rc_t    (*backup)(const char *target, const char *file,
                    cp_err_t *err);
};

extern const cp_driver_t  cp_sqlite_driver;
extern const cp_driver_t  cp_pg_driver;

/* cp_migrate.c */
cp_rc_t cp_migrate(const cp_driver_t *driver, void *conn, cp_err_t *err)
    CP_MUST_CHECK;


#endif /* CP_DB_DRIVER_H */
