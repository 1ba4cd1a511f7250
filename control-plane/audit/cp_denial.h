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


#include <netinet/in.h>

#include "feed/cp_feed.h"


#define CP_DENIALS_MAX      256
#define CP_DENIAL_TEXT      128
#define CP_DENIAL_FLUSH_MS  60000

/* why: the refusal's code; what: the route.  address is kept as its network:
 * a /24, of IPv6 a /48. */
void cp_denial_note(const cp_actor_t *actor, const char *why,
    const char *what, const char *address);

cp_rc_t cp_denial_job(cp_app_t *app);

/* An address's network as it stands in the log; "" if it is none. */
#define CP_DENIAL_NETWORK   (INET6_ADDRSTRLEN + 4)

void cp_denial_network(const char *address, char *dst, size_t size);


/*
 * What a gateway tells of its refusals (cp_denial_gateway.c), once a
 * CP_NEWS_INTERVAL_MS: "deny" events of the kind "call" in the chains of the
 * apis' tenants.  *taken: it was not taken before; *refused: rows about what
 * its group does not serve.
 */
#define CP_NEWS_ROWS_MAX     64
#define CP_NEWS_INTERVAL_MS  60000

extern const cp_report_field_t  cp_news_fields[];
extern const cp_report_field_t  cp_news_row_fields[];

cp_rc_t cp_news_batch(cp_op_t *op, const cp_json_t *in, bool *taken,
    unsigned *refused) CP_MUST_CHECK;


#endif /* CP_DENIAL_H */
