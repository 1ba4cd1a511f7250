/*
 * Who is calling, and what they may do.
 *
 * Owner: the cache of verified tokens (process wide, a mutex, CP_AUTH_CACHE
 * rows, CP_AUTH_CACHE_MS each; dropped by every write of a token).
 * Process: stoa-control, any thread.
 * Limits: a bearer token STOA_KEY_MAX bytes, an assertion CP_AUTH_JWS_MAX.
 */

#ifndef CP_AUTH_H
#define CP_AUTH_H


#include "http/cp_http.h"


#define CP_AUTH_CACHE       512
#define CP_AUTH_CACHE_MS    5000
#define CP_AUTH_JWS_MAX     4096
#define CP_AUTH_SKEW_S      30         /* between the clocks of the planes   */
#define CP_AUTH_LIFE_MAX_S  600        /* exp - iat of an assertion          */


typedef enum {
    CP_SCOPE_TENANT,                   /* inside the actor's tenant, if any  */
    CP_SCOPE_PLATFORM                  /* only actors without a tenant       */
} cp_scope_e;

/* One row: who holds a permission. */
typedef struct {
    const char  *name;                 /* "api:write"                        */
    cp_role_e    role;                 /* the least that has it              */
    cp_scope_e   scope;
    const char  *doc;
} cp_permission_t;


/*
 * Judges a request by its route: fills r->actor, 401 without a valid token,
 * 404 for a {tenant} of the path that is not the actor's, 403 without the
 * route's permission.
 */
cp_rc_t cp_auth_check(cp_req_t *r) CP_MUST_CHECK;

/* The signed identity a gateway vouches for (CP_AUTH_ASSERTION). */
cp_rc_t cp_auth_assertion(cp_req_t *r) CP_MUST_CHECK;

/* At start: makes the first platform-admin token and writes it to the
 * configured file (0600) unless there is an active one.  With `out`: makes one
 * in any case, and prints it there. */
cp_rc_t cp_auth_bootstrap(cp_app_t *app, FILE *out, cp_err_t *err)
    CP_MUST_CHECK;

void cp_auth_cache_drop(void);


const cp_permission_t *cp_permission_find(const char *name);
const cp_permission_t *cp_permission_at(unsigned i);          /* NULL: end   */
const char *cp_role_name(cp_role_e role);
cp_role_e cp_role_find(const char *name);                     /* NONE        */

/* 403, or CP_OK.  An actor of the system (how NONE, role PLATFORM_ADMIN) may
 * everything. */
cp_rc_t cp_auth_may(cp_req_t *r, const char *permission) CP_MUST_CHECK;

/* May the actor see what belongs to this tenant ("" or NULL: the platform)? */
bool cp_auth_sees(const cp_actor_t *actor, const char *tenant);

/*
 * Resolves a tenant's name or id for this actor: 404 when there is none or it
 * is another's.
 */
cp_rc_t cp_auth_tenant(cp_req_t *r, cp_tx_t *tx, const char *name_or_id,
    const char **id) CP_MUST_CHECK;

/* Is it the process itself that asks? */
#define cp_actor_is_system(actor)                                             \
    ((actor)->how == CP_AUTH_NONE                                             \
     && (actor)->role == CP_ROLE_PLATFORM_ADMIN)

/* A request of the process itself, for jobs: no connection, all rights. */
void cp_req_system(cp_req_t *r, cp_app_t *app, cp_arena_t *arena,
    const char *name);


cp_rc_t cp_auth_whoami(cp_req_t *r);                  /* GET /v1/whoami      */
cp_rc_t cp_auth_roles(cp_req_t *r);                   /* GET /v1/roles       */


#endif /* CP_AUTH_H */
