/*
 * Signing up: people who make themselves, in tenants that allow it (`sign_up`,
 * off by default), with the role that the tenant says; at once, or when an
 * administrator enables them.
 *
 * Limits: CP_SIGNUPS_MAX that wait in a tenant; an address has its own at the
 * door (cp_login_spend()).  Process: stoa-control, a worker thread.
 */

#ifndef CP_SIGNUP_H
#define CP_SIGNUP_H


#include "resource/cp_engine.h"


#define CP_SIGNUPS_MAX  1000

typedef struct {
    const char  *tenant;
    const char  *name;
    const char  *mail;
    const char  *password;
    const char  *title;                /* NULL: none                        */
} cp_signup_t;

/* *out: {user, state}. */
cp_rc_t cp_signup(cp_op_t *op, const cp_signup_t *s, cp_json_t **out)
    CP_MUST_CHECK;


#endif /* CP_SIGNUP_H */
