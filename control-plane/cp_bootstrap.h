/*
 * The first start.  Process: stoa-control, before its threads.
 */

#ifndef CP_BOOTSTRAP_H
#define CP_BOOTSTRAP_H


#include "op/cp_op.h"


/* Opens the key file of what is sealed in the database; before any other use
 * of it. */
cp_rc_t cp_bootstrap_seal(cp_app_t *app, cp_arena_t *a, cp_err_t *err)
    CP_MUST_CHECK;

/* The key that signs the audit log's checkpoints, and who stays erased. */
cp_rc_t cp_bootstrap_audit(cp_app_t *app, cp_arena_t *a, cp_err_t *err)
    CP_MUST_CHECK;

/* Makes the first platform-admin token and writes it to the configured file
 * (0600) unless there is an active one.  With `out`: makes one in any case,
 * and prints it there. */
cp_rc_t cp_bootstrap(cp_app_t *app, FILE *out, cp_err_t *err) CP_MUST_CHECK;

/* Whole or not at all, and never readable by others. */
cp_rc_t cp_bootstrap_write(const char *path, const char *secret,
    cp_err_t *err) CP_MUST_CHECK;


/* cp_bootstrap_user.c: the first administrator, while there are no people: his
 * password, for one login, is written to the configured file (0600) or printed
 * to `out`.  again: a new password for him whoever there is, made an
 * administrator and enabled again if he was not. */
cp_rc_t cp_bootstrap_user(cp_app_t *app, bool again, FILE *out,
    cp_err_t *err) CP_MUST_CHECK;


#endif /* CP_BOOTSTRAP_H */
