/*
 * The provider of identities (OpenID Connect) that the operator names: its
 * keys, and who its tokens are of.
 *
 * Owner: what was read of the provider (process wide, a mutex): endpoints and
 * keys, which stay in force when it is away or answers nonsense.  The rules
 * that make roles of claims are read once, at the start.
 * Process: stoa-control, any thread; a job keeps the keys fresh.
 * Limits: below; a token STOA_JWT_MAX, a key set CP_JWKS_BYTES.
 */

#ifndef CP_OIDC_H
#define CP_OIDC_H


#include "auth/cp_user.h"
#include "client/cp_client.h"
#include "op/cp_op.h"
#include "core/stoa_jose.h"


#define CP_OIDC_BODY_MAX     (256 * 1024)
#define CP_OIDC_TIMEOUT_MS   3000
#define CP_OIDC_REFRESH_MS   300000    /* a key withdrawn lives so long      */
#define CP_OIDC_RETRY_MS     2000      /* doubled up to a minute             */
#define CP_OIDC_RETRY_MAX_MS 60000
#define CP_OIDC_AGAIN_MS     5000      /* between readings for unknown keys  */
#define CP_OIDC_WAITERS      2         /* requests that wait for a reading   */
#define CP_OIDC_SKEW_S       30        /* between our clock and its          */
#define CP_OIDC_RULES_MAX    256
#define CP_OIDC_WORD_MAX     200       /* of what a rule looks for           */
#define CP_OIDC_TURN_MS      5000      /* a login waits for its turn         */
#define CP_OIDC_TURN_LOOK_MS 100


/* Reads the rules and the secrets of the configuration; err: what is wrong
 * with it.  Nothing is asked. */
cp_rc_t cp_oidc_init(cp_app_t *app, cp_arena_t *a, cp_err_t *err)
    CP_MUST_CHECK;
bool cp_oidc_used(const cp_app_t *app);

/* The job that reads endpoints and keys. */
cp_rc_t cp_oidc_job(cp_app_t *app);
/* It has not answered something else: the job looks how it is. */
void cp_oidc_doubt(void);

/* How it is: {issuer, state, since, keys_at, keys, error}. */
cp_json_t *cp_oidc_state(cp_app_t *app, cp_arena_t *a);

/* One of the endpoints that it names, as the control plane reaches it; NULL:
 * not known yet, or there is none. */
const char *cp_oidc_endpoint(cp_app_t *app, cp_arena_t *a, const char *name);


/* The same as people's browsers reach it. */
const char *cp_oidc_named(cp_arena_t *a, const char *name);
/* Does it say so of itself? */
bool cp_oidc_says(const char *name);


/* cp_owner.c: the realm in Keycloak's admin API, beside the issuer's path. */
const char *cp_owner_base(cp_app_t *app, cp_arena_t *a);


/* cp_oidc_bearer.c */

/* Does an Authorization carry a JWT? */
bool cp_oidc_looks(const char *authorization);
/* Who that token is of: fills op->actor with what its claims give.
 * "unauthorized"; "unavailable" while there are no keys to judge it by. */
cp_rc_t cp_oidc_bearer(cp_op_t *op, const char *authorization) CP_MUST_CHECK;

/* cp_oidc_token.c */

/* A JWT by the provider, of either kind, its signature right; the rest is the
 * caller's to judge. */
cp_rc_t cp_oidc_open(cp_op_t *op, const char *text, bool logout,
    stoa_jwt_t *jwt) CP_MUST_CHECK;
/* Is it of now?  *exp: seconds. */
cp_rc_t cp_oidc_times(cp_op_t *op, const stoa_json_val_t *claims,
    int64_t *exp) CP_MUST_CHECK;
cp_rc_t cp_oidc_audience(cp_op_t *op, const stoa_json_val_t *claims,
    const char *audience) CP_MUST_CHECK;
/* A claim that is a text; NULL: it is none. */
const char *cp_oidc_claim(cp_op_t *op, const stoa_json_val_t *claims,
    const char *name);
/* "unauthorized" */
cp_rc_t cp_oidc_refuse(cp_op_t *op, const char *why);

/* cp_oidc_person.c: whom a token names, as he is shown; a mail only when the
 * provider has proved it. */
void cp_oidc_shown(cp_op_t *op, const stoa_json_val_t *claims,
    cp_user_oidc_t *user);
/* Makes the actor of a bearer token, with the roles that its claims give, the
 * person that he is here, with those that he has here; once a day it is
 * written that he was.  A program stays what it is.  "forbidden" of who is
 * disabled here. */
cp_rc_t cp_oidc_person(cp_op_t *op, const stoa_json_val_t *claims)
    CP_MUST_CHECK;
/* The only tenant among these; NULL: several, none, or the platform. */
const char *cp_oidc_home(const cp_grant_t *grants);

/* cp_oidc_client.c */

/* A request that waits for the provider holds a worker: a quarter of them at
 * most may.  False: others do. */
bool cp_oidc_turn(const cp_app_t *app);
void cp_oidc_turn_over(void);
/* An answer of the token endpoint, an object, to our own client.  pairs:
 * name, value ..., NULL.  "unauthorized": the code or token is not good. */
cp_rc_t cp_oidc_exchange(cp_op_t *op, const char *const *pairs,
    cp_json_t **out) CP_MUST_CHECK;
/* An answer with the access token of a client's service account.  NULL: it is
 * there; else why not. */
const char *cp_oidc_account(cp_app_t *app, cp_arena_t *a, const char *client,
    const char *secret, int64_t timeout_ms, cp_json_t **out);
cp_rc_t cp_oidc_client_init(cp_app_t *app, cp_err_t *err) CP_MUST_CHECK;
/* The first line of a file; NULL: none. */
const char *cp_oidc_file(const char *path, char *text, size_t size);

/* Is it signed by the provider?  buf: len bytes that jwt points to. */
cp_rc_t cp_oidc_signed(cp_op_t *op, const stoa_jwt_t *jwt) CP_MUST_CHECK;

/* cp_oidc_rules.c: roles by what the claims say; no rule that fits: none. */
cp_rc_t cp_oidc_rules(cp_arena_t *a, const char *text, cp_err_t *err)
    CP_MUST_CHECK;
/* The client whose own token it is (RFC 9068, section 2.2), or of Keycloak's
 * account for it: nobody's login.  NULL: a person's. */
const char *cp_oidc_program(cp_op_t *op, const stoa_json_val_t *claims);
cp_rc_t cp_oidc_grant(cp_op_t *op, const stoa_json_val_t *claims)
    CP_MUST_CHECK;


/* cp_oidc_ask.c: one exchange with it.  form NULL: a GET.  NULL: *status and
 * *out (an object or an array; NULL: the body is no JSON) are set; else why
 * there was no answer. */
typedef struct {
    cp_app_t    *app;
    cp_arena_t  *arena;
    const char  *url;
    const char  *authorization;        /* the header; NULL: none             */
    const char  *form;                 /* application/x-www-form-urlencoded  */
    const char  *json;                 /* ... or a body of that              */
    const char  *method;               /* NULL: by what is sent              */
    int64_t      timeout_ms;
    size_t       max;                  /* bytes of the answer                */
} cp_oidc_ask_t;

/* What is said of an answer over its `max`, in this place. */
extern const char  cp_oidc_too_long[];

const char *cp_oidc_ask(const cp_oidc_ask_t *ask, long *status,
    cp_json_t **out);
/* The same, as text: *body in the arena. */
const char *cp_oidc_ask_text(const cp_oidc_ask_t *ask, long *status,
    stoa_str_t *body);
/* name=value&...: pairs, ended by NULL; a value NULL is left out. */
char *cp_oidc_form(cp_arena_t *a, const char *const *pairs);


#endif /* CP_OIDC_H */
