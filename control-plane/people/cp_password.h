/*
 * Passwords of local people: argon2id (RFC 9106), 19 MiB, two passes.
 *
 * At most `password_hashes` run at once, and at most half of the workers wait
 * for a turn; who comes then is told so (503), never "wrong password".  So the
 * memory is bounded, and other requests go on.  What a stored text asks for is
 * bounded, too.
 *
 * Process: stoa-control, worker threads.
 */

#ifndef CP_PASSWORD_H
#define CP_PASSWORD_H


#include "op/cp_op.h"


#define CP_PASSWORD_MIN     10
#define CP_PASSWORD_MAX     256        /* bytes                             */
#define CP_PASSWORD_M_KIB   19456
#define CP_PASSWORD_T       2
#define CP_PASSWORD_TEXT    128        /* of an encoded one                 */


/* 422 with the field when it is too short, too long or its owner's name. */
cp_rc_t cp_password_judge(cp_op_t *op, const char *password,
    const char *field, const char *name) CP_MUST_CHECK;

/* *encoded: $argon2id$v=19$m=..,t=..,p=..$salt$hash. */
cp_rc_t cp_password_hash(cp_op_t *op, const char *password,
    const char **encoded) CP_MUST_CHECK;

/* Takes the same time whatever comes out, and for encoded NULL: then it is
 * wrong.  *old: to be hashed again, by what is used today. */
cp_rc_t cp_password_verify(cp_op_t *op, const char *encoded,
    const char *password, bool *right, bool *old) CP_MUST_CHECK;

/* Does a stored text ask for what one may ask for? */
bool cp_password_bounded(const char *encoded);

/* One that nobody has to think of, for a first login. */
const char *cp_password_make(cp_arena_t *a);


#endif /* CP_PASSWORD_H */
