/*
 * A call that is only looked at: its steps and policies say what they would
 * say, and nothing is counted, taken, kept or asked.  Who cannot say it
 * without that says so.
 *
 * Process: worker 0.  Lifetime: one run of the pipeline, which never waits.
 */

#ifndef NGX_HTTP_STOA_LOOK_H
#define NGX_HTTP_STOA_LOOK_H


#include "ngx_http_stoa_trace.h"


/* Beside the note of the same place. */

typedef struct {
    const char                *blind;    /* why nothing can be said; NULL: it
                                            can                              */
    ngx_http_stoa_verdict_t    v;        /* limit 0: it counts nothing       */
} ngx_http_stoa_looked_t;

struct ngx_http_stoa_look_s {
    stoa_id_t                  credential;       /* zeros: none              */
    ngx_uint_t                 stopped;          /* before the last step     */
    ngx_http_stoa_looked_t     now;              /* of what runs             */
    ngx_http_stoa_trace_t      trace;
    ngx_http_stoa_looked_t     note[NGX_HTTP_STOA_TRACE_MAX];
};


/* What a limit that runs would have left. */
#define ngx_http_stoa_look_left(ctx, verdict)                                 \
    if ((ctx)->look) {                                                        \
        (ctx)->look->now.v = *(verdict);                                      \
    }


#endif /* NGX_HTTP_STOA_LOOK_H */
