/*
 * Inside the PostgreSQL driver: cp_pg_dial.c makes connections, cp_pg.c has
 * their statements, cp_pg_listen.c the thread that hears of other processes'
 * changes.
 */

#ifndef CP_PG_H
#define CP_PG_H


#include <libpq-fe.h>
#include <pthread.h>

#include "store/cp_db_driver.h"


#define CP_PG_CHANNEL  "stoa_head"

typedef struct {
    char            *url;
    cp_db_moved_pt   moved;
    void            *ctx;          /* of moved                              */
    int              stop;         /* eventfd that ends the listener        */
    pthread_t        listener;
} cp_pg_t;


PGconn *cp_pg_dial(const char *url, cp_err_t *err);    /* NULL: see err     */

/* A standby, or a primary that was made read-only for this session.  Another
 * connection may reach the one that is not. */
bool cp_pg_readonly(const PGconn *pg);

/* While the server is away every request finds that out: one line a second
 * is enough. */
cp_log_level_e cp_pg_level(void);

cp_rc_t cp_pg_listen_start(cp_pg_t *pg, cp_err_t *err) CP_MUST_CHECK;
void cp_pg_listen_stop(cp_pg_t *pg);


#endif /* CP_PG_H */
