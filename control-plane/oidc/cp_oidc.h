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


/* Reads the rules and the secrets of the configuration; err: what is wrong
 * with it.  Nothing is asked. */
cp_rc_t cp_oidc_init(cp_app_t *app, cp_arena_t *a, cp_err_t *err)
    CP_MUST_CHECK;
bool cp_oidc_used(const cp_app_t *app);

/* The job that reads endpoints and keys. */
cp_rc_t cp_oidc_job(cp_app_t *app);

/* How it is: {issuer, state, since, keys_at, keys, error}. */
cp_json_t *cp_oidc_state(cp_app_t *app, cp_arena_t *a);

/* One of the endpoints that it names, as the control plane reaches it; NULL:
 * not known yet, or there is none. */
const char *cp_oidc_endpoint(cp_app_t *app, cp_arena_t *a, const char *name);


/* cp_oidc_token.c */

/* Does an Authorization carry a JWT? */
bool cp_oidc_looks(const char *authorization);
/* Who that token is of: fills op->actor with what its claims give.
 * "unauthorized"; "unavailable" while there are no keys to judge it by. */
cp_rc_t cp_oidc_bearer(cp_op_t *op, const char *authorization) CP_MUST_CHECK;

/* Is it signed by the provider?  buf: len bytes that jwt points to. */
cp_rc_t cp_oidc_signed(cp_op_t *op, const stoa_jwt_t *jwt) CP_MUST_CHECK;

/* cp_oidc_rules.c: roles by what the claims say; no rule that fits: none. */
cp_rc_t cp_oidc_rules(cp_arena_t *a, const char *text, cp_err_t *err)
    CP_MUST_CHECK;
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
    int64_t      timeout_ms;
    size_t       max;                  /* bytes of the answer                */
} cp_oidc_ask_t;

const char *cp_oidc_ask(const cp_oidc_ask_t *ask, long *status,
    cp_json_t **out);
/* The same, as text: *body in the arena. */
const char *cp_oidc_ask_text(const cp_oidc_ask_t *ask, long *status,
    stoa_str_t *body);
/* name=value&...: pairs, ended by NULL; a value NULL is left out. */
char *cp_oidc_form(cp_arena_t *a, const char *const *pairs);


#endif /* CP_OIDC_H */
