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
    char       *url;
    cp_db_t    *db;
    int         stop;              /* eventfd that ends the listener        */
    pthread_t   listener;
} cp_pg_t;


/* NULL: failed and logged; err (may be NULL) has the reason. */
PGconn *cp_pg_connect_raw(const char *url, cp_err_t *err);

cp_rc_t cp_pg_listen_start(cp_pg_t *pg, cp_err_t *err) CP_MUST_CHECK;
void cp_pg_listen_stop(cp_pg_t *pg);


#endif /* CP_PG_H */
