/*
 * Inside the PostgreSQL driver: cp_pg.c has connections and statements,
 * cp_pg_listen.c the thread that hears of other processes' changes.
 */

#ifndef CP_PG_H
#define CP_PG_H


#include <libpq-fe.h>
#include <pthread.h>

#include "store/cp_db_driver.h"


#define CP_PG_CHANNEL  "stoa_head"

typedef struct {
    char            *url;
    PGconn         *(*connect)(const char *url, cp_err_t *err);
    cp_db_moved_pt   moved;
    void            *ctx;          /* of moved                              */
    int              stop;         /* eventfd that ends the listener        */
    pthread_t        listener;
} cp_pg_t;


cp_rc_t cp_pg_listen_start(cp_pg_t *pg, cp_err_t *err) CP_MUST_CHECK;
void cp_pg_listen_stop(cp_pg_t *pg);


#endif /* CP_PG_H */
