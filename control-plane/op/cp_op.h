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
    CP_AUTH_ASSERTION } cp_auth_e;

typedef enum { CP_ROLE_NONE, CP_ROLE_VIEWER, CP_ROLE_TENANT_ADMIN,
    CP_ROLE_PLATFORM_ADMIN } cp_role_e;

typedef struct {
    cp_auth_e    how;
    cp_role_e    role;                      /* ADMIN                         */
    const char  *id;                        /* admin token or gateway id     */
    const char  *name;
    const char  *person;                    /* id of the user, whose name is
                                               sealed in the audit log; NULL:
                                               nobody's */
    const char  *tenant;                    /* ADMIN: id, NULL: all tenants;
                                               ASSERTION: the caller's */
    const char  *group;                     /* GATEWAY: group id             */
    const char  *application;               /* ASSERTION                     */
    int64_t      expires;                   /* ADMIN: Unix ms, 0: never      */
} cp_actor_t;

typedef struct {
    cp_app_t          *app;
    cp_arena_t        *arena;               /* now; may be a scratch         */
    cp_actor_t         actor;
    cp_err_t           err;
    void              *deferred;            /* cp_resource_defer()           */
    bool               late;                /* who writes judges the end
                                               state: cp_resource_settled()  */
    char               request_id[CP_REQUEST_ID_MAX + 1];
} cp_op_t;


/* Is it the process itself that asks? */
#define cp_actor_is_system(actor)                                             \
    ((actor)->how == CP_AUTH_NONE                                             \
     && (actor)->role == CP_ROLE_PLATFORM_ADMIN)

/* An operation of the process itself, with all rights; name: for the audit
 * log. */
void cp_op_system(cp_op_t *op, cp_app_t *app, cp_arena_t *arena,
    const char *name);


#endif /* CP_OP_H */
