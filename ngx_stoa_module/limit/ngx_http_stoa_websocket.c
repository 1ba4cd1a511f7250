/*
 * websocket: who may open a connection.  What is asked of it then is
 * request/_tunnel.c's, of the policy that is noted in the call.  Schema:
 * core/stoa_policy_websocket.h.
 *
 * Process: workers.  Lifetime: the call, with its place among connections.
 */

#include "ngx_http_stoa_limits.h"
#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_refusal.h"
#include "core/stoa_key.h"
#include "core/stoa_policy_websocket.h"


#define NGX_HTTP_STOA_WEBSOCKET_SEED  0x77736f636b31ULL


typedef enum { DENIED = 0, FULL, PROTOCOL } ngx_http_stoa_websocket_e;

typedef struct {
    ngx_http_stoa_main_conf_t  *mcf;
    void                       *slot;
} ngx_http_stoa_websocket_held_t;


static ngx_int_t ngx_http_stoa_websocket_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_websocket_response(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_websocket_rules(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_websocket_place(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static void ngx_http_stoa_websocket_leave(ngx_http_stoa_ctx_t *ctx,
    void *data);
static ngx_uint_t ngx_http_stoa_websocket_origin(ngx_http_request_t *r,
    const ngx_http_stoa_attached_t *a, const stoa_vec_t *origins);
static ngx_uint_t ngx_http_stoa_websocket_protocols(ngx_list_part_t *part,
    const ngx_http_stoa_attached_t *a, const stoa_vec_t *allowed);
static ngx_uint_t ngx_http_stoa_websocket_in(const ngx_http_stoa_attached_t *a,
    const stoa_vec_t *list, u_char *data, size_t len);


static const ngx_http_stoa_refusal_t  ngx_http_stoa_websocket_refusals[] = {
    { ngx_string("websocket_denied"), 403,
      ngx_string("WebSocket not allowed"),
      ngx_string("The page, or the subprotocol, may not be connected to the "
                 "API."), 403 },
    { ngx_string("websocket_full"), 429,
      ngx_string("Too many connections"),
      ngx_string("The application has too many WebSocket connections open."),
      429 },
    { ngx_string("websocket_protocol"), 502,
      ngx_string("Subprotocol not allowed"),
      ngx_string("The API's server has taken a subprotocol that may not be."),
      502 },
    { ngx_null_string, 0, ngx_null_string, ngx_null_string, 0 }
};


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_websocket = {
    .name = "websocket",
    .on_way = 1,
    .head = ngx_http_stoa_websocket_head,
    .response = ngx_http_stoa_websocket_response,
    .refusals = ngx_http_stoa_websocket_refusals
};


static ngx_int_t
ngx_http_stoa_websocket_head(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a)
{
    const stoa_policy_websocket_t  *conf;

    if (!ctx->call.websocket) {
        return NGX_OK;
    }

    conf = a->config;

    if (!a->shadow && ngx_http_stoa_websocket_rules(r, ctx, a) != NGX_OK) {
        return NGX_ERROR;
    }

    if ((conf->origins.n
         && !ngx_http_stoa_websocket_origin(r, a, &conf->origins))
        || (conf->subprotocols.n
            && !ngx_http_stoa_websocket_protocols(&r->headers_in.headers.part,
                                                  a, &conf->subprotocols)))
    {
        return ngx_http_stoa_policy_refuse(r, ctx, a, a->refusal + DENIED);
    }

    return conf->max_connections
           ? ngx_http_stoa_websocket_place(r, ctx, a) : NGX_OK;
}


/* What frames are judged by: the tightest of all.  A shadow judges handshakes
 * alone. */

static ngx_int_t
ngx_http_stoa_websocket_rules(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a)
{
    stoa_policy_websocket_t        *rules;
    const stoa_policy_websocket_t  *conf;

#define TIGHTER(field)                                                        \
    if (conf->field && (rules->field == 0 || conf->field < rules->field)) {   \
        rules->field = conf->field;                                           \
    }

    conf = a->config;
    rules = ctx->call.tunnel_rules;

    if (rules == NULL) {
        rules = ngx_pcalloc(r->pool, sizeof(stoa_policy_websocket_t));
        if (rules == NULL) {
            return NGX_ERROR;
        }

        ctx->call.tunnel_rules = rules;
    }

    ctx->call.tunnel_by = a;

    TIGHTER(max_message_bytes)
    TIGHTER(max_answer_bytes)
    TIGHTER(messages_per_s)
    TIGHTER(bytes_per_s)
    TIGHTER(idle_s)
    TIGHTER(max_s)
    TIGHTER(ping_s)

#undef TIGHTER

    return NGX_OK;
}


/* A shadow takes no place: it cannot tell how many there would be. */

static ngx_int_t
ngx_http_stoa_websocket_place(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a)
{
    void                            *slot;
    uint64_t                         key;
    ngx_int_t                        rc;
    const stoa_policy_websocket_t   *conf;
    ngx_http_stoa_websocket_held_t  *held;

    if (a->shadow) {
        return NGX_OK;
    }

    conf = a->config;

    key = stoa_hash64(a->name.data, a->name.len, NGX_HTTP_STOA_WEBSOCKET_SEED);
    key = stoa_hash64(&ctx->call.route_tenant, sizeof(stoa_id_t), key);
    key = stoa_hash64(ctx->anonymous ? &ctx->principal : &ctx->application,
                      sizeof(stoa_id_t), key);

    held = ngx_palloc(r->pool, sizeof(ngx_http_stoa_websocket_held_t));
    if (held == NULL) {
        return NGX_ERROR;
    }

    held->mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    rc = ngx_http_stoa_inflight_take(held->mcf, key, conf->max_connections,
                                     &slot);

    if (rc == NGX_BUSY) {
        return ngx_http_stoa_policy_refuse(r, ctx, a, a->refusal + FULL);
    }

    if (rc != NGX_OK) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_LIMITS_UNAVAILABLE,
                                    NULL);
    }

    held->slot = slot;

    if (ngx_http_stoa_ctx_finisher(ctx, ngx_http_stoa_websocket_leave, held)
        != NGX_OK)
    {
        ngx_http_stoa_inflight_return(held->mcf, slot);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_http_stoa_websocket_leave(ngx_http_stoa_ctx_t *ctx, void *data)
{
    ngx_http_stoa_websocket_held_t *held = data;

    ngx_http_stoa_inflight_return(held->mcf, held->slot);
}


static ngx_int_t
ngx_http_stoa_websocket_response(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    const stoa_policy_websocket_t  *conf;

    conf = a->config;

    return r->headers_out.status == NGX_HTTP_SWITCHING_PROTOCOLS
           && conf->subprotocols.n
           && !ngx_http_stoa_websocket_protocols(&r->headers_out.headers.part,
                                                 a, &conf->subprotocols)
           ? ngx_http_stoa_policy_refuse(r, ctx, a, a->refusal + PROTOCOL)
           : NGX_OK;
}


static ngx_uint_t
ngx_http_stoa_websocket_origin(ngx_http_request_t *r,
    const ngx_http_stoa_attached_t *a, const stoa_vec_t *origins)
{
    ngx_uint_t        n;
    ngx_table_elt_t  *h;

    n = ngx_http_stoa_header_count(r, "origin", sizeof("origin") - 1, &h);

    return n == 0
           || (n == 1 && ngx_http_stoa_websocket_in(a, origins, h->value.data,
                                                    h->value.len));
}


/* One of all that are named, or none is. */

static ngx_uint_t
ngx_http_stoa_websocket_protocols(ngx_list_part_t *part,
    const ngx_http_stoa_attached_t *a, const stoa_vec_t *allowed)
{
    u_char                       *p, *last, *end, *next;
    ngx_uint_t                    named;
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   w;

    named = 0;

    for (h = ngx_http_stoa_header_first(&w, part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (h->hash == 0
            || !ngx_http_stoa_header_named(h, "sec-websocket-protocol"))
        {
            continue;
        }

        named = 1;
        last = h->value.data + h->value.len;

        for (p = h->value.data; p < last; p = next + 1) {
            next = ngx_strlchr(p, last, ',');
            next = next ? next : last;

            while (p < next && (*p == ' ' || *p == '\t')) {
                p++;
            }

            for (end = next; p < end && (end[-1] == ' ' || end[-1] == '\t');
                 end--) { /* void */ }

            if (ngx_http_stoa_websocket_in(a, allowed, p, end - p)) {
                return 1;
            }
        }
    }

    return !named;
}


static ngx_uint_t
ngx_http_stoa_websocket_in(const ngx_http_stoa_attached_t *a,
    const stoa_vec_t *list, u_char *data, size_t len)
{
    uint32_t           i;
    stoa_str_t         s;
    const stoa_ref_t  *ref;

    ref = stoa_rec_vec(a->rec, *list, stoa_ref_t);

    for (i = 0; i < list->n; i++) {
        s = stoa_rec_str(a->rec, ref[i]);

        if (s.len == len && ngx_strncasecmp(data, (u_char *) s.data, len) == 0)
        {
            return 1;
        }
    }

    return 0;
}
