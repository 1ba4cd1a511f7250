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


#include "op/cp_op.h"


#define CP_AUTH_CACHE       512
#define CP_AUTH_CACHE_MS    5000
#define CP_AUTH_JWS_MAX     4096
#define CP_AUTH_SKEW_S      30         /* between the clocks of the planes   */
#define CP_AUTH_LIFE_MAX_S  60         /* exp - iat of an assertion          */


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


/* Who a bearer token (the value of Authorization, NULL: none) is of; fills
 * op->actor.  "unauthorized" otherwise. */
cp_rc_t cp_auth_bearer(cp_op_t *op, cp_auth_e how, const char *h)
    CP_MUST_CHECK;

/* The same of the signed identity that a gateway vouches for, made for an api
 * that is the platform's own. */
cp_rc_t cp_auth_assertion(cp_op_t *op, const char *jws) CP_MUST_CHECK;

void cp_auth_cache_drop(void);


const cp_permission_t *cp_permission_at(unsigned i);          /* NULL: end   */
const char *cp_role_name(cp_role_e role);
cp_role_e cp_role_find(const char *name);                     /* NONE        */

/* 403, or CP_OK.  An actor of the system (how NONE, role PLATFORM_ADMIN) may
 * everything. */
cp_rc_t cp_auth_may(cp_op_t *op, const char *permission) CP_MUST_CHECK;

/* May the actor see what belongs to this tenant ("" or NULL: the platform)? */
bool cp_auth_sees(const cp_actor_t *actor, const char *tenant);


#endif /* CP_AUTH_H */
