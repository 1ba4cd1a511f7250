/*
 * Who is calling, and what they may do.
 *
 * Owner: two caches, process wide, each with a mutex: verified tokens
 * (CP_AUTH_CACHE rows) and what people hold (CP_GRANT_CACHE rows).  A row
 * lives CP_AUTH_CACHE_MS and is dropped by every write of what gives rights;
 * another replica's write counts here when the row has lived its time.
 * Process: stoa-control, any thread.
 * Limits: a bearer token STOA_KEY_MAX bytes, an assertion CP_AUTH_JWS_MAX,
 * CP_GRANTS_MAX grants per actor.
 */

#ifndef CP_AUTH_H
#define CP_AUTH_H


#include "op/cp_op.h"


#define CP_AUTH_CACHE       512
#define CP_AUTH_CACHE_MS    4000
#define CP_AUTH_JWS_MAX     4096
#define CP_AUTH_SKEW_S      30         /* between the clocks of the planes   */
#define CP_AUTH_LIFE_MAX_S  60         /* exp - iat of an assertion          */
#define CP_GRANT_CACHE      512
#define CP_GRANTS_MAX       256


typedef enum {
    CP_SCOPE_TENANT,                   /* holds in one tenant, or in all     */
    CP_SCOPE_PLATFORM                  /* only of who has the platform       */
} cp_scope_e;

/* One row: who holds a permission. */
typedef struct {
    const char  *name;                 /* "api:write"                        */
    unsigned     roles;                /* those built in that have it        */
    cp_scope_e   scope;
    const char  *doc;
} cp_permission_t;

/* A built-in role; its bit in `roles` is its place in the list. */
typedef struct {
    const char  *name;
    const char  *doc;
} cp_role_t;


/* Who a bearer token (the value of Authorization, NULL: none) is of; fills
 * op->actor.  "unauthorized" otherwise. */
cp_rc_t cp_auth_bearer(cp_op_t *op, cp_auth_e how, const char *h)
    CP_MUST_CHECK;

/* The same of the signed identity that a gateway vouches for, made for an api
 * that is the platform's own. */
cp_rc_t cp_auth_assertion(cp_op_t *op, const char *jws) CP_MUST_CHECK;

/* Rights were written: what is known of anybody is read again. */
void cp_auth_cache_drop(void);


/* cp_rbac.c: the tables, and what a set of permissions allows. */

const cp_permission_t *cp_permission_at(unsigned i);          /* NULL: end   */
/* Its number; -1: there is none. */
int cp_permission_find(const char *name);
const cp_role_t *cp_role_at(unsigned i);                      /* NULL: end   */
/* The permissions of a built-in role; false: it is none. */
bool cp_role_builtin(const char *name, cp_perms_t *may);

bool cp_perms_has(const cp_perms_t *may, unsigned i);
void cp_perms_add(cp_perms_t *may, unsigned i);
/* Takes away what the actor does not hold there. */
void cp_perms_within(cp_perms_t *may, const cp_actor_t *actor,
    const char *tenant);

/* May the actor do it in this tenant (id; NULL or "": the platform)?  A
 * permission that is not in the table is nobody's. */
bool cp_auth_holds(const cp_actor_t *actor, const char *permission,
    const char *tenant);
/* The same as 403, or CP_OK. */
cp_rc_t cp_auth_may(cp_op_t *op, const char *permission, const char *tenant)
    CP_MUST_CHECK;
/* In some tenant or at the platform: where is judged when it is known. */
cp_rc_t cp_auth_may_somewhere(cp_op_t *op, const char *permission)
    CP_MUST_CHECK;
/* 403 names what the actor lacks there of a set that it would give. */
cp_rc_t cp_auth_covers(cp_op_t *op, const char *tenant,
    const cp_perms_t *may) CP_MUST_CHECK;

/* May the actor see what belongs to this tenant ("" or NULL: the platform)? */
bool cp_auth_sees(const cp_actor_t *actor, const char *tenant);
/* Who it is, whichever credential it is that he uses; "": nobody. */
const char *cp_auth_self(const cp_actor_t *actor);
/* The only tenant (id) of who has not the platform; NULL: several, or it. */
const char *cp_auth_home(const cp_actor_t *actor);
/* The same for what can be asked of one tenant or of all: *id NULL: all.  Who
 * is in several has to name one. */
cp_rc_t cp_auth_one(cp_op_t *op, const char *permission, const char **id)
    CP_MUST_CHECK;
/* SQL: the rows of the tenants in which the actor may. */
const char *cp_auth_where(const cp_op_t *op, const char *column,
    const char *permission);
/* Who holds this may do all there, until the operation ends. */
void cp_auth_raise(cp_actor_t *actor, const char *permission);


/* cp_grant.c: what is stored. */

cp_rc_t cp_grant_add(cp_op_t *op, const char *tenant, const char *role,
    const cp_perms_t *may, bool stored) CP_MUST_CHECK;
/* Adds what a role gives; tenant NULL: the platform.  For the claims of a
 * token or a login.  CP_DECLINED: no such role there, or too many. */
cp_rc_t cp_rbac_grant(cp_op_t *op, const char *tenant, const char *role)
    CP_MUST_CHECK;
/* Adds what the bindings of a person give. */
cp_rc_t cp_rbac_user(cp_op_t *op, const char *user) CP_MUST_CHECK;
/* The permissions of a role, built in or the tenant's own; CP_DECLINED. */
cp_rc_t cp_rbac_role(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    const char *role, cp_perms_t *may) CP_MUST_CHECK;
/* The same, for who would give it: a role is given by who holds all of it. */
cp_rc_t cp_rbac_give(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    const char *role) CP_MUST_CHECK;
/* 403 unless the actor holds all that the person holds: who could become him
 * would gain nothing. */
cp_rc_t cp_rbac_over(cp_op_t *op, const char *user) CP_MUST_CHECK;
/* Takes from a token's permissions what its maker does not hold any more. */
cp_rc_t cp_rbac_within(cp_op_t *op, const char *maker, const char *tenant,
    cp_perms_t *may) CP_MUST_CHECK;
/* 409 where no platform-admin would be left: a token, or a local person who
 * has logged in. */
cp_rc_t cp_rbac_last(cp_op_t *op, cp_tx_t *tx) CP_MUST_CHECK;
void cp_rbac_cache_drop(void);


#endif /* CP_AUTH_H */
