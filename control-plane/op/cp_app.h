/*
 * The process stoa-control: what every part of it may reach.
 *
 * Made by main(), lives until the process ends; written before the threads
 * start and only read afterwards, except `stopping`.
 */

#ifndef CP_APP_H
#define CP_APP_H


#include <stdatomic.h>

#include "base/cp_conf.h"
#include "store/cp_db.h"


typedef struct cp_app_s   cp_app_t;
typedef struct cp_http_s  cp_http_t;          /* http/cp_call.h            */

struct cp_app_s {
    cp_conf_t     conf;
    cp_db_t      *db;
    cp_http_t    *http;
    void        (*wake)(cp_app_t *app);    /* those who wait for news       */
    const char   *pepper;          /* of credential digests; NULL: none     */
    size_t        pepper_len;
    const char   *rules;           /* by which a provider's claims give
                                      roles, a digest; NULL: no provider    */
    int64_t       started_ms;      /* Unix                                  */
    atomic_bool   ready;           /* migrations done, listening            */
    atomic_bool   stopping;        /* long work should come to an end       */
};


#endif /* CP_APP_H */
