/*
 * The policy "cache": answers are kept for the calls that follow.
 *
 * A step looks for an answer behind all that judges a call, so that nobody
 * gets one whom the gateway would refuse; the filters keep what an upstream
 * has answered, before anything of ours is in it, so that a call that is
 * answered so goes through the same filters as the one before it.
 *
 * A key has what the upstream is shown of a call, whoever sent it.  Under it
 * lies an answer, or a mark that says by what answers differ: headers, the
 * caller.  Then the answer lies under a longer key.
 *
 * Process: workers.  Lifetime: the call; what is kept is shm/_keep.h's.
 */

#ifndef NGX_HTTP_STOA_CACHE_H
#define NGX_HTTP_STOA_CACHE_H


#include "ngx_http_stoa_inner.h"
#include "ngx_http_stoa_keep.h"
#include "ngx_http_stoa_policy.h"
#include "core/stoa_cache.h"
#include "core/stoa_policy_cache.h"


#define NGX_HTTP_STOA_CACHE_VARY   512         /* names, as they are kept    */
#define NGX_HTTP_STOA_CACHE_LINES  16384       /* of a head that is kept     */


typedef enum {
    NGX_HTTP_STOA_CACHE_ANSWER = 0,
    NGX_HTTP_STOA_CACHE_VARIES,        /* a mark: its content are the names  */
    NGX_HTTP_STOA_CACHE_PASS           /* a mark: it cannot be kept          */
} ngx_http_stoa_cache_kind_e;

typedef struct {
    stoa_cache_kept_t  times;
    uint32_t           kind;
    uint32_t           status;
    uint32_t           head_len;
    uint32_t           caller;         /* VARIES: by who calls, too          */
    uint32_t           target;         /* that has answered                  */
    int64_t            purged_ms;      /* the last purge that was known when
                                          it was asked for                   */
} ngx_http_stoa_cache_note_t;

/* The body of an answer, as it comes: in the request's memory. */

typedef struct {
    ngx_str_t   *parts;
    ngx_uint_t   n;
    ngx_uint_t   room;
    size_t       size;
    size_t       max;
} ngx_http_stoa_gathered_t;

typedef struct {
    ngx_http_request_t            *request;
    ngx_http_stoa_ctx_t           *ctx;
    ngx_http_stoa_main_conf_t     *mcf;
    const ngx_http_stoa_attached_t  *attached;
    const stoa_policy_cache_t     *conf;

    ngx_list_t                     client;     /* headers, as they came      */
    stoa_cache_control_t           asked;      /* the request's              */
    ngx_http_stoa_keep_key_t       base;
    ngx_http_stoa_keep_key_t       key;        /* that, or with variants     */
    ngx_http_stoa_keep_key_t       variant;    /* as it was looked for       */
    ngx_http_stoa_keep_key_t       lock;
    uint64_t                       lock_gen;   /* 0: we do not have it       */
    uint64_t                       varies;     /* gen of the mark            */
    int64_t                        purged_ms;  /* of the answer that comes   */

    ngx_http_stoa_kept_t           kept;
    ngx_http_stoa_cache_note_t     note;
    ngx_str_t                      head;       /* of what is kept, once it   */
    ngx_chain_t                   *body;       /* is needed                  */
    off_t                          body_len;

    ngx_event_t                    timer;
    ngx_msec_t                     since;      /* it waits; 0: it does not   */

    ngx_http_stoa_gathered_t       body_parts; /* of an answer that comes    */

    const char                    *says;       /* for Cache-Status           */
    unsigned                       looked:1;   /* GET or HEAD                */
    unsigned                       fills:1;    /* its answer may be kept     */
    unsigned                       unsafe:1;   /* ends what is kept          */
    unsigned                       there:1;    /* kept, note are filled      */
    unsigned                       asks:1;     /* its origin, about it       */
    unsigned                       keeping:1;  /* the body comes             */
    unsigned                       stored:1;
    unsigned                       sent:1;     /* what is kept was           */
} ngx_http_stoa_cached_t;


extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_cache;


/* A step. */
ngx_int_t ngx_http_stoa_cache_step(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);

/* The head of an answer, before anything of it is ours: it is noted, or what
 * is kept takes its place (1). */
ngx_uint_t ngx_http_stoa_cache_instead(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_int_t ngx_http_stoa_cache_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* Its body, or that of what is kept. */
ngx_chain_t *ngx_http_stoa_cache_body(ngx_http_stoa_ctx_t *ctx,
    ngx_chain_t *in);

/* Takes what comes; NGX_OK: it is whole; NGX_AGAIN: not yet; NGX_DECLINED: it
 * will not be, or is too long. */
ngx_int_t ngx_http_stoa_cache_gather(ngx_http_request_t *r,
    ngx_http_stoa_gathered_t *g, ngx_chain_t *in);

/* Those who wait for its answer need not any longer. */
void ngx_http_stoa_cache_release(ngx_http_stoa_cached_t *c);

/* The key of a call; NGX_DECLINED: it is too long. */
ngx_int_t ngx_http_stoa_cache_key(ngx_http_stoa_cached_t *c);
/* Of a list that is a key: with its length before it, so that no two lists
 * look alike. */
void ngx_http_stoa_cache_key_add(stoa_buf_t *b, const void *s, size_t len);
/* Is it a credential for the upstream alone, the same when the call is made
 * again? */
ngx_uint_t ngx_http_stoa_cache_key_lasts(ngx_http_stoa_ctx_t *ctx,
    const ngx_table_elt_t *h);
/* And of one variant; names: as a mark has them. */
ngx_int_t ngx_http_stoa_cache_key_variant(ngx_http_stoa_cached_t *c,
    stoa_str_t names, ngx_uint_t caller);
/* Of headers that a Vary names: is one the gateway's own word; may one be? */
ngx_uint_t ngx_http_stoa_cache_key_told(ngx_http_stoa_cached_t *c,
    stoa_str_t names);
ngx_uint_t ngx_http_stoa_cache_key_set(ngx_http_stoa_ctx_t *ctx);

/* Asks for another answer, by itself: NGX_OK, and the lock is no longer c's;
 * NGX_DECLINED. */
ngx_int_t ngx_http_stoa_cache_refresh(ngx_http_stoa_cached_t *c);
#define ngx_http_stoa_cache_refreshing(ctx)                                   \
    ((ctx)->inner && (ctx)->inner->silent)

/* Is what is kept over, by what was purged? */
ngx_uint_t ngx_http_stoa_cache_purged(ngx_http_stoa_cached_t *c);
/* The last purge of the api that is known now; 0: none ever was. */
int64_t ngx_http_stoa_cache_purge_ms(ngx_http_stoa_cached_t *c);

/* The head of what is kept into the request's memory; its body is lent. */
ngx_int_t ngx_http_stoa_cache_load(ngx_http_stoa_cached_t *c);
/* Its head as that of the request's answer; its content handler. */
ngx_int_t ngx_http_stoa_cache_restore(ngx_http_stoa_cached_t *c);
ngx_int_t ngx_http_stoa_cache_send(ngx_http_request_t *r);
/* The same of any answer: its head, its body into call.page; sends them. */
ngx_int_t ngx_http_stoa_cache_page(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_uint_t status, ngx_uint_t target,
    ngx_str_t *head, ngx_chain_t *body, off_t len);
/* Which of the api's targets has answered. */
uint32_t ngx_http_stoa_cache_target(ngx_http_stoa_ctx_t *ctx);
ngx_int_t ngx_http_stoa_cache_send_page(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* A line each of what the answer's head has; before: those of a head that it
 * does not say anew. */
ngx_int_t ngx_http_stoa_cache_lines(ngx_http_request_t *r, ngx_str_t *before,
    ngx_str_t *lines);
ngx_str_t *ngx_http_stoa_cache_line(ngx_str_t *head, const char *name,
    ngx_str_t *value);


#endif /* NGX_HTTP_STOA_CACHE_H */
