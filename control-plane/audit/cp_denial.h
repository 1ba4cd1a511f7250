/*
 * Denials: counted by who was refused what from where, and written to the
 * audit log once a minute, so that who knocks all day fills no disk.
 *
 * Owner: this file, one table of the process.  Process: stoa-control, any
 * thread.  Limits: CP_DENIALS_MAX rows a minute, of what is beyond them only
 * the number is told; at a stop the rows are written at once, what is lost in
 * a crash is a minute's.
 */

#ifndef CP_DENIAL_H
#define CP_DENIAL_H


#include "op/cp_op.h"


#define CP_DENIALS_MAX      256
#define CP_DENIAL_TEXT      128
#define CP_DENIAL_FLUSH_MS  60000

/* why: the refusal's code; what: the route.  address is kept as its network:
 * a /24, of IPv6 a /48. */
void cp_denial_note(const cp_actor_t *actor, const char *why,
    const char *what, const char *address);

cp_rc_t cp_denial_job(cp_app_t *app);


#endif /* CP_DENIAL_H */
