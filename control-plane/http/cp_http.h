/*
 * HTTP: libmicrohttpd glue, the route table, requests and answers.
 *
 * A handler runs on one of MHD's pool threads, gets the whole body, and fills
 * the answer; it may instead park the request (long poll).  Everything of a
 * request lives in its arena and dies with it.
 * Limits: body 8 MiB (apply, status, usage 32 MiB), 64 headers read.
 */

#ifndef CP_HTTP_H
#define CP_HTTP_H


#include "../store/cp_db.h"


typedef struct cp_app_s    cp_app_t;        /* cp_app.h: the process          */
typedef struct cp_route_s  cp_route_t;

typedef enum { CP_AUTH_NONE, CP_AUTH_ADMIN, CP_AUTH_GATEWAY,
    CP_AUTH_ASSERTION } cp_auth_e;

typedef enum { CP_ROLE_NONE, CP_ROLE_VIEWER, CP_ROLE_TENANT_ADMIN,
    CP_ROLE_PLATFORM_ADMIN } cp_role_e;

typedef struct {
    cp_auth_e    how;
    cp_role_e    role;                      /* ADMIN                          */
    const char  *id;                        /* admin token or gateway id      */
    const char  *name;
    const char  *tenant;                    /* ADMIN: id, NULL: all tenants;
                                               ASSERTION: the caller's tenant */
    const char  *group;                     /* GATEWAY: group id              */
    const char  *application;               /* ASSERTION                      */
} cp_actor_t;

typedef struct cp_req_s {
    cp_app_t          *app;
    cp_arena_t        *arena;
    const cp_route_t  *route;
    const char        *method;
    const char        *path;
    const char        *param[8];            /* values of {..} in the path     */
    unsigned           nparam;
    const char        *body;
    size_t             body_len;
    cp_actor_t         actor;
    char               id[STOA_ID_LEN + 1]; /* X-Request-Id                   */
    cp_err_t           err;
    void              *conn;                /* struct MHD_Connection          */

    int                status;              /* answer                         */
    const char        *content_type;
    stoa_buf_t         out;
    const char        *header[16][2];
    unsigned           nheader;
    bool               parked;
    void              *ctx;                 /* the handler's, across a park   */
} cp_req_t;

typedef cp_rc_t (*cp_handler_pt)(cp_req_t *r);

/* One row = one route; OpenAPI and the authorization test read the table. */
struct cp_route_s {
    const char     *method;
    const char     *path;                   /* "/v1/tenants/{tenant}/apis"    */
    cp_auth_e       auth;
    const char     *permission;             /* row of the permission table    */
    cp_handler_pt   handler;
    const void     *data;                   /* e.g. the resource's table      */
    const char     *summary;                /* for OpenAPI                    */
};

const char *cp_req_query(cp_req_t *r, const char *name);     /* or NULL       */
const char *cp_req_header(cp_req_t *r, const char *name);
/* Body by Content-Type: application/json or (x-)yaml; 415 otherwise.  *docs:
 * see cp_json.h; for one value the tree itself. */
cp_rc_t cp_req_json(cp_req_t *r, cp_json_t **out) CP_MUST_CHECK;

cp_rc_t cp_req_answer(cp_req_t *r, int status, const cp_json_t *body);
void cp_req_set_header(cp_req_t *r, const char *name, const char *value);

/* Long poll: suspends until cp_http_wake() or the deadline; then `resume` runs
 * on an MHD thread with the same request and must answer. */
cp_rc_t cp_req_park(cp_req_t *r, int64_t deadline_mono_ms,
    cp_handler_pt resume);
void cp_http_wake(cp_app_t *app);


#endif /* CP_HTTP_H */
