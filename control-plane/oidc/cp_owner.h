/*
 * Whether those whom applications stand for are still active in Keycloak.
 *
 * A job looks at all of them, in bulk where they are many, by whichever
 * replica has the turn.  Only what Keycloak says of somebody counts: a lack of
 * an answer, an empty list, an answer to nobody's right to see changes
 * nothing.  Somebody is gone when Keycloak answers for his very id that there
 * is none.
 *
 * Owner: the table owner_looks, applications.owner_seen and disowned (through
 * the engine of resource/, so that audit and feed follow).
 * Process: stoa-control, the job's thread.
 * Limits: below; CP_OWNERS_MAX applications.
 */

#ifndef CP_OWNER_H
#define CP_OWNER_H


#include "oidc/cp_oidc.h"


#define CP_OWNERS_MAX        100000
#define CP_OWNER_LEASE_MS    8000      /* of the replica that looks          */
#define CP_OWNER_DIRECT      200       /* so many are asked for one by one   */
#define CP_OWNER_USERS       1000      /* of a page                          */
#define CP_OWNER_CLIENTS     500
#define CP_OWNER_BATCH       200       /* written in one transaction         */
#define CP_OWNER_TIMEOUT_MS  20000     /* of one answer                      */
#define CP_OWNER_PAGE_MAX    (32 * 1024 * 1024)
#define CP_OWNER_ARENA       (256 * 1024 * 1024)


/* One application. */
typedef struct {
    const char  *app;                  /* its id                             */
    const char  *owner;                /* as it was read                     */
    const char  *name;                 /* of the client or the user          */
    const char  *group;                /* NULL: none                         */
    const char  *id;                   /* Keycloak's; NULL: not known yet    */
    const char  *was;                  /* state                              */
    const char  *now;                  /* NULL: nothing was said             */
    bool         client;
    bool         found;                /* its id, by this look               */
} cp_tied_t;

typedef struct {
    cp_app_t    *app;
    cp_arena_t  *arena;
    cp_tied_t   *tied;
    unsigned     n;
    const char  *error;                /* NULL: all of it was answered       */
    const char  *base;                 /* the realm in the admin API         */
    const char  *bearer;
    const char  *self;                 /* the service account's id           */
    void       (*alive)(void *ctx);    /* called now and then                */
    void        *ctx;
} cp_look_t;


/* Asks for all of them. */
void cp_owner_look(cp_look_t *look);

/* The job. */
cp_rc_t cp_owner_job(cp_app_t *app);

/* How the last look was; NULL: owners are not looked at here. */
cp_rc_t cp_owner_state(cp_op_t *op, cp_json_t **out) CP_MUST_CHECK;


#endif /* CP_OWNER_H */
