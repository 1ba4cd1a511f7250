/*
 * The key that signs checkpoints of the audit log: a file (0600) outside of
 * the database, and beside it what the database may not take back.
 *
 *   FILE          64 hex digits, the key; further lines: those before it
 *   FILE.last     the last checkpoint that this process knows of
 *   FILE.erased   ids of people who were erased, one a line
 *
 * Owner: the process; cp_sign_start() before any other thread.
 * Limits: CP_SIGN_KEYS keys.
 */

#ifndef CP_SIGN_H
#define CP_SIGN_H


#include "base/cp_util.h"


#define CP_SIGN_KEYS  16

/* Reads the key file, or makes one (make: nothing was signed yet). */
cp_rc_t cp_sign_start(cp_arena_t *a, const char *path, bool make,
    cp_err_t *err) CP_MUST_CHECK;

/* base64url; NULL: no memory. */
const char *cp_sign(cp_arena_t *a, const char *text);
bool cp_sign_good(const char *text, const char *signature);
/* Of the key that signs now, base64url. */
const char *cp_sign_public(cp_arena_t *a);

cp_rc_t cp_sign_keep(cp_arena_t *a, const char *last);
const char *cp_sign_kept(cp_arena_t *a);               /* NULL: none        */

cp_rc_t cp_sign_erased_add(cp_arena_t *a, const char *person);
/* The file's text, NULL: none. */
const char *cp_sign_erased(cp_arena_t *a);


#endif /* CP_SIGN_H */
