/*
 * One operation on the domain: for whom, with what memory, and what went
 * wrong.  Requests of HTTP have one (cp_req_t.op); jobs and the start of the
 * process make their own.  What stands above knows of HTTP, what stands below
 * does not.
 *
 * Owner: whoever made it, and its arena.  One thread at a time.
 */

#ifndef CP_OP_H
#define CP_OP_H


#include "op/cp_app.h"


#define CP_REQUEST_ID_MAX  64
#define CP_OP_RETRIES      5       /* after CP_CONFLICT                     */

typedef enum { CP_AUTH_NONE, CP_AUTH_ADMIN, CP_AUTH_GATEWAY,
    CP_AUTH_ASSERTION, CP_AUTH_USER, CP_AUTH_SYSTEM, CP_AUTH_SESSION }
    cp_auth_e;

/* A set of rows of the table of permissions (auth/cp_rbac.c), by number. */
#define CP_PERMS_WORDS     3

typedef struct {
    uint64_t  bits[CP_PERMS_WORDS];
} cp_perms_t;

typedef struct cp_grant_s  cp_grant_t;

/* What an actor may do where.  Several may speak of one tenant. */
struct cp_grant_s {
    const char  *tenant;                    /* id; NULL: the platform, and so
                                               every tenant                  */
    const char  *role;                      /* its name                      */
    bool         stored;                    /* else a claim's                */
    cp_perms_t   may;
    cp_grant_t  *next;
};

typedef struct {
    cp_auth_e    how;                       /* NONE: nobody                  */
    const char  *id;                        /* token, person or gateway      */
    const char  *name;
    const char  *person;                    /* id of the user, whose name is
                                               sealed in the audit log; NULL:
                                               nobody's */
    const char  *owner;                     /* ADMIN: who made it, a person's
                                               id; NULL: it is not known     */
    cp_grant_t  *grants;                    /* ADMIN, USER                   */
    const char  *of_tenant;                 /* ASSERTION: id of the caller's */
    const char  *group;                     /* GATEWAY: group id             */
    const char  *application;               /* ASSERTION                     */
    int64_t      expires;                   /* ADMIN: Unix ms, 0: never      */
} cp_actor_t;

typedef struct cp_session_s  cp_session_t;     /* auth/cp_session.h          */

typedef struct cp_op_s  cp_op_t;

struct cp_op_s {
    cp_app_t          *app;
    cp_arena_t        *arena;               /* now; may be a scratch         */
    cp_actor_t         actor;
    const cp_session_t  *session;           /* NULL: no login                */
    cp_err_t           err;
    void              *deferred;            /* cp_resource_defer()           */
    bool               unlimited;           /* what a tenant may have is
                                               counted, not refused         */
    bool               late;                /* who writes judges the end
                                               state: cp_resource_settled()  */
    cp_rc_t          (*between)(cp_op_t *op);
                                            /* after CP_CONFLICT, without a
                                               transaction; NULL: nothing   */
    void              *asked;               /* its: kept over the runs      */
    char               request_id[CP_REQUEST_ID_MAX + 1];
};


/* Is it the process itself that asks? */
#define cp_actor_is_system(actor)  ((actor)->how == CP_AUTH_SYSTEM)

/* An operation of the process itself, with all rights; name: for the audit
 * log. */
void cp_op_system(cp_op_t *op, cp_app_t *app, cp_arena_t *arena,
    const char *name);

/* Forgets what went wrong. */
void cp_op_clear(cp_op_t *op);


#endif /* CP_OP_H */
