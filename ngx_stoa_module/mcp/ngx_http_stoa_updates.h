/*
 * What upstreams say of resources, where the client's era is another one, and
 * in listens.
 *
 *   _mcp_updates.c  resourceSubscriptions of subscriptions/listen
 *   _mcp_visit.c    ... at an upstream with sessions
 *   _mcp_subs.c     resources/subscribe of sessions
 *   _mcp_subbed.c   what comes of that, in the stream of the session
 *
 * Process: workers.  Lifetime: r->pool; sources as they say.
 * Limits: NGX_HTTP_STOA_MCP_UPDATES URIs of a stream, of the first _LOOK that
 * are named.
 */

#ifndef NGX_HTTP_STOA_UPDATES_H
#define NGX_HTTP_STOA_UPDATES_H


#include "ngx_http_stoa_hold.h"
#include "ngx_http_stoa_source.h"
#include "ngx_http_stoa_mcp_ask.h"


#define NGX_HTTP_STOA_MCP_UPDATES       64
#define NGX_HTTP_STOA_MCP_UPDATES_LOOK  256
#define NGX_HTTP_STOA_MCP_UPDATES_MS    2000  /* for what is honoured        */


typedef struct ngx_http_stoa_mcp_updates_s  ngx_http_stoa_mcp_updates_t;
typedef struct ngx_http_stoa_mcp_visiting_s  ngx_http_stoa_mcp_visiting_t;
typedef struct ngx_http_stoa_mcp_visit_s  ngx_http_stoa_mcp_visit_t;

struct ngx_http_stoa_mcp_visit_s {
    ngx_http_stoa_mcp_visit_t     *next;
    ngx_http_stoa_mcp_updates_t   *updates;
    stoa_id_t                      api;
    ngx_http_stoa_mcp_visiting_t  *opening;   /* NULL: it is not opened now  */
    ngx_http_stoa_mcp_source_t    *source;    /* the session's stream        */
    ngx_http_stoa_mcp_ask_t       *ask;       /* what is asked for now       */
    ngx_uint_t                     at;        /* of the updates              */
    ngx_uint_t                     selves;
    ngx_uint_t                     failures;
    ngx_msec_t                     again;
    unsigned                       listens:1;
    unsigned                       subscribed:1;
    unsigned                       said:1;    /* the owner's                 */
    unsigned                       cut:1;     /* the stream, for now         */
    unsigned                       over:1;    /* not tried again             */
};

typedef struct {
    ngx_str_t                    uri;         /* the client's, JSON          */
    stoa_str_t                   upstream;    /* as the upstream has it      */
    stoa_id_t                    api;
    ngx_http_stoa_mcp_source_t  *source;      /* NULL: there is none         */
    ngx_http_stoa_mcp_visit_t   *visit;       /* likewise                    */
    unsigned                     honoured:1;
    unsigned                     sessions:1;  /* its upstream has            */
} ngx_http_stoa_mcp_update_t;

struct ngx_http_stoa_mcp_updates_s {
    ngx_http_stoa_mcp_hold_t    *hold;
    /* that resource is another one; all have said what they honour */
    void                       (*updated)(ngx_http_stoa_mcp_hold_t *h,
                                          const ngx_str_t *uri);
    void                       (*ready)(ngx_http_stoa_mcp_hold_t *h);

    ngx_http_stoa_mcp_update_t  *update;
    ngx_uint_t                   n;
    ngx_uint_t                   waits;       /* sources that have not said  */
    ngx_http_stoa_mcp_source_t  *sources;
    ngx_http_stoa_mcp_visit_t   *visits;
    ngx_msec_t                   looked;
    unsigned                     busy:1;
    unsigned                     told:1;      /* what is honoured            */
};


/* As a step: which of these there are.  NULL: out of memory. */
ngx_http_stoa_mcp_updates_t *ngx_http_stoa_mcp_updates(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_json_val_t *uris);
/* The stream begins; u->waits: ready() comes. */
void ngx_http_stoa_mcp_updates_begin(ngx_http_stoa_mcp_updates_t *u);
/* Each second. */
void ngx_http_stoa_mcp_updates_look(ngx_http_stoa_mcp_updates_t *u);
void ngx_http_stoa_mcp_updates_full(ngx_http_stoa_mcp_updates_t *u,
    ngx_uint_t full);
/* Does the api say that it tells of resources? */
ngx_uint_t ngx_http_stoa_mcp_updates_can(const stoa_rec_api_t *api);
/* "resourceSubscriptions":[...], what is honoured of them; or nothing. */
void ngx_http_stoa_mcp_updates_write(ngx_http_stoa_mcp_updates_t *u,
    const char *comma, stoa_buf_t *b);


/* ---- _mcp_visit.c ------------------------------------------------------- */

/* Begins one; NULL: it cannot. */
ngx_http_stoa_mcp_visit_t *ngx_http_stoa_mcp_visit(
    ngx_http_stoa_mcp_updates_t *u, const stoa_id_t *api);
/* Each second. */
void ngx_http_stoa_mcp_visit_look(ngx_http_stoa_mcp_visit_t *v);
void ngx_http_stoa_mcp_visit_free(ngx_http_stoa_mcp_visit_t *v);
/* Is what an upstream tells of that resource, or a part of it? */
ngx_uint_t ngx_http_stoa_mcp_updates_within(const stoa_json_val_t *uri,
    const stoa_str_t *of);
/* Told to the client, if it is honoured, and he may hear of it still. */
void ngx_http_stoa_mcp_updates_tell(ngx_http_stoa_mcp_updates_t *u,
    const ngx_http_stoa_api_t *api, const ngx_http_stoa_mcp_update_t *up);
/* One less is waited for. */
void ngx_http_stoa_mcp_updates_less(ngx_http_stoa_mcp_updates_t *u);
/* What was told goes out; the listen may be gone afterwards. */
void ngx_http_stoa_mcp_updates_push(ngx_http_stoa_mcp_updates_t *u);


/* ---- _mcp_subs.c -------------------------------------------------------- */

/* As a step: resources/subscribe, _unsubscribe. */
ngx_int_t ngx_http_stoa_mcp_subs(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);


/* ---- _mcp_subbed.c ------------------------------------------------------ */

typedef struct {
    ngx_http_stoa_mcp_hold_t    *hold;
    /* the upstream's URI is another resource now */
    stoa_rc_t                  (*updated)(ngx_http_stoa_mcp_hold_t *h,
                                          ngx_http_stoa_mcp_source_t *src,
                                          const stoa_str_t *uri);
    ngx_http_stoa_mcp_source_t  *sources;
    unsigned                     busy:1;
    unsigned                     again:1;     /* what the stream before had
                                                 may be other resources now  */
} ngx_http_stoa_mcp_subbed_t;

/* It begins, or may be another: now and then, and when one was told. */
void ngx_http_stoa_mcp_subbed_look(ngx_http_stoa_mcp_subbed_t *s);
/* A list's next URI, which is taken off it; 0: there is none. */
ngx_uint_t ngx_http_stoa_mcp_subbed_next(stoa_str_t *list, stoa_str_t *uri);


/* ---- _mcp_item.c -------------------------------------------------------- */

/* Whose a resource is (a URI, JSON), and what it is called there, in r->pool.
 * NGX_DECLINED: the caller has none of that name; NGX_ERROR. */
ngx_int_t ngx_http_stoa_mcp_item_find(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_json_val_t *uri, stoa_id_t *api,
    stoa_str_t *upstream);
/* May the caller hear of it still?  It is called so at its upstream. */
ngx_uint_t ngx_http_stoa_mcp_item_may(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_api_t *api,
    const stoa_str_t *uri);
/* A notification on the stream of a session: the resource that has changed
 * has the name that this client knows, if need be in `out`. */
ngx_int_t ngx_http_stoa_mcp_item_heard(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_api_t *api,
    const stoa_glance_t *g, stoa_buf_t *out, stoa_str_t *data);


#endif /* NGX_HTTP_STOA_UPDATES_H */
