/*
 * The module's shared types.  Every ngx_http_stoa_*.c includes this and its
 * own header only where one exists.
 *
 * Process: configuration in the master; everything with a store, zone or
 * counter file in workers.  Lifetime: main conf = cycle; ngx_http_stoa_ctx_t
 * = request; ngx_http_stoa_api_t = reference counted, per worker.
 */

#ifndef NGX_HTTP_STOA_H
#define NGX_HTTP_STOA_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_stoa_compat.h"
#include "core/stoa_rec.h"
#include "core/stoa_gcra.h"
#include "core/stoa_key.h"
#include "core/stoa_jsonrpc.h"


#define NGX_HTTP_STOA_VERSION  "0.1.0"

extern ngx_module_t  ngx_http_stoa_module;

typedef struct ngx_http_stoa_store_s     ngx_http_stoa_store_t;
typedef struct ngx_http_stoa_counters_s  ngx_http_stoa_counters_t;
typedef struct ngx_http_stoa_sh_s        ngx_http_stoa_sh_t;
typedef struct ngx_http_stoa_dir_s       ngx_http_stoa_dir_t;
typedef struct ngx_http_stoa_api_s       ngx_http_stoa_api_t;
typedef struct ngx_http_stoa_mcp_s       ngx_http_stoa_mcp_t;
typedef struct ngx_http_stoa_refusal_s   ngx_http_stoa_refusal_t;
typedef struct ngx_http_stoa_ctx_s       ngx_http_stoa_ctx_t;
typedef struct ngx_http_stoa_edge_s      ngx_http_stoa_edge_t;


/* ---- configuration ---------------------------------------------------- */

typedef struct ngx_http_stoa_main_conf_s {
    ngx_str_t                  control_plane;   /* http(s)://host[:port]     */
    ngx_str_t                  control_ca;      /* PEM to verify it with     */
    ngx_str_t                  token_file;
    ngx_str_t                  token;           /* read at start; cleansed   */
    ngx_str_t                  gateway_id;      /* from the token            */
    u_char                     assertion_key[64];  /* hex, signs identities  */
    ngx_str_t                  group;
    ngx_str_t                  pepper;
    ngx_str_t                  store_dir;
    size_t                     store_size;      /* LMDB map                  */
    size_t                     counters_size;
    ngx_shm_zone_t            *zone;
    ngx_cycle_t               *cycle;           /* while it is made          */
    ngx_int_t                (*ready)(struct ngx_http_stoa_main_conf_s *mcf);
                                                /* all is parsed; a reload can
                                                   still be given up         */
    ngx_flag_t                 zone_full_deny;
    ngx_msec_t                 max_stale;       /* 0: off                    */
    ngx_str_t                  external_url;    /* for problem types, links  */
    ngx_str_t                  upstream_ca;     /* PEM, verifies targets    */
    ngx_msec_t                 usage_interval;

    const ngx_http_stoa_edge_t  *const *edges;  /* NULL behind the last      */
    ngx_http_stoa_sh_t        *sh;              /* in the zone               */
    ngx_http_stoa_store_t     *store;           /* per worker                */
    ngx_http_stoa_counters_t  *counters;        /* per worker mapping        */
    ngx_http_stoa_dir_t       *dir;             /* in it                     */
    ngx_http_upstream_srv_conf_t  *upstream;    /* "stoa_upstream"           */
    ngx_http_handler_pt        content_handler; /* the proxy module's        */
    ngx_int_t                  request_uri;     /* index of the variable     */
    ngx_str_t                  used_what;       /* the first directive in a  */
    ngx_str_t                  used_file;       /* location, and its place   */
    ngx_uint_t                 used_line;
    unsigned                   enabled:1;       /* any stoa* location exists */
} ngx_http_stoa_main_conf_t;


typedef enum {
    NGX_HTTP_STOA_OFF = 0,
    NGX_HTTP_STOA_FULL,           /* stoa;                                 */
    NGX_HTTP_STOA_PROTECT         /* stoa_protect tenant=... api=...;      */
} ngx_http_stoa_mode_e;

typedef struct {
    ngx_uint_t                 mode;
    ngx_str_t                  tenant;          /* PROTECT                   */
    ngx_str_t                  api;
    ngx_flag_t                 legacy_headers;  /* X-RateLimit-*             */
    ngx_uint_t                 speaks;          /* not merged: a server with a
                                                   stoa location; its early
                                                   errors are ours too       */
    ngx_str_t                  file;            /* not merged: the place of  */
    ngx_uint_t                 line;            /* "stoa"                    */
} ngx_http_stoa_loc_conf_t;


/* ---- the store (ngx_http_stoa_store.c) -------------------------------- */

/*
 * One LMDB environment per worker.  Views returned by the lookups are valid
 * until the handler returns to the event loop; never keep them longer.
 * NULL: not there (or no store yet).
 */

ngx_int_t ngx_http_stoa_store_open(ngx_http_stoa_main_conf_t *mcf,
    ngx_log_t *log);
void ngx_http_stoa_store_close(ngx_http_stoa_main_conf_t *mcf);

/* Looks whether something was committed and renews the read transaction.
 * Call once at the start of each handler entry that looks things up.  NGX_OK,
 * NGX_DECLINED (no complete configuration yet), NGX_ERROR. */
ngx_int_t ngx_http_stoa_store_enter(ngx_http_stoa_store_t *store);

uint64_t ngx_http_stoa_store_rev(ngx_http_stoa_store_t *store);
/* Changes with every commit of configuration: key for per-worker caches. */
uint64_t ngx_http_stoa_store_generation(ngx_http_stoa_store_t *store);

const stoa_rec_tenant_t *ngx_http_stoa_store_tenant(
    ngx_http_stoa_store_t *s, const stoa_id_t *id);
const stoa_rec_tenant_t *ngx_http_stoa_store_tenant_by_name(
    ngx_http_stoa_store_t *s, const char *name, size_t len);
const stoa_rec_application_t *ngx_http_stoa_store_application(
    ngx_http_stoa_store_t *s, const stoa_id_t *id);
const stoa_rec_credential_t *ngx_http_stoa_store_credential(
    ngx_http_stoa_store_t *s, const stoa_id_t *id);
const stoa_rec_plan_t *ngx_http_stoa_store_plan(
    ngx_http_stoa_store_t *s, const stoa_id_t *id);
const stoa_rec_subscription_t *ngx_http_stoa_store_subscription(
    ngx_http_stoa_store_t *s, const stoa_id_t *application,
    const stoa_id_t *target);
const stoa_rec_api_t *ngx_http_stoa_store_api(
    ngx_http_stoa_store_t *s, const stoa_id_t *id);
const stoa_rec_api_t *ngx_http_stoa_store_api_by_name(
    ngx_http_stoa_store_t *s, const char *tenant, size_t tenant_len,
    const char *name, size_t name_len);
/* Longest segment-safe prefix; host lower case without port, tried first with
 * the host, then without.  *prefix_len gets the matched base path's length. */
const stoa_rec_api_t *ngx_http_stoa_store_api_by_path(
    ngx_http_stoa_store_t *s, const char *host, size_t host_len,
    const char *path, size_t path_len, size_t *prefix_len);
/* The gateway's own group.  It, and an api by its name or path, may be
 * withheld (hdr); everything else that is withheld is not there. */
const stoa_rec_group_t *ngx_http_stoa_store_group(ngx_http_stoa_store_t *s);
const stoa_rec_server_t *ngx_http_stoa_store_server(
    ngx_http_stoa_store_t *s, const stoa_id_t *id);
const stoa_rec_server_t *ngx_http_stoa_store_server_by_name(
    ngx_http_stoa_store_t *s, const char *tenant, size_t tenant_len,
    const char *name, size_t name_len);
const stoa_rec_tool_t *ngx_http_stoa_store_tool(
    ngx_http_stoa_store_t *s, const stoa_id_t *id);
const stoa_rec_tool_t *ngx_http_stoa_store_tool_by_name(
    ngx_http_stoa_store_t *s, const stoa_id_t *api, const char *name,
    size_t len);

/* In key order; the callback returns NGX_OK to go on.  Returns what stopped
 * it, NGX_OK at the end. */
typedef ngx_int_t (*ngx_http_stoa_store_each_pt)(void *data, const void *rec);
ngx_int_t ngx_http_stoa_store_each_subscription(ngx_http_stoa_store_t *s,
    const stoa_id_t *application, ngx_http_stoa_store_each_pt cb, void *data);
ngx_int_t ngx_http_stoa_store_each_tool(ngx_http_stoa_store_t *s,
    const stoa_id_t *api, ngx_http_stoa_store_each_pt cb, void *data);


/* ---- limits, quotas, usage (ngx_http_stoa_zone.c, _counters.c) --------- */

/* One decision for a request; all exact across workers. */

typedef struct {
    ngx_int_t   rc;               /* NGX_OK, NGX_BUSY: refused, NGX_ERROR    */
    ngx_uint_t  which;            /* 0 rate, 1 day, 2 month, 3 concurrency  */
    uint64_t    limit;
    uint64_t    remaining;
    uint64_t    reset_ms;
    uint64_t    retry_ms;
    uint64_t    window_ms;
} ngx_http_stoa_verdict_t;

/* GCRA on the slot of `key` in the zone. */
void ngx_http_stoa_rate_take(ngx_http_stoa_main_conf_t *mcf, uint64_t key,
    const stoa_gcra_t *gcra, ngx_http_stoa_verdict_t *v);
/* Gives back what the last decision for a request took. */
void ngx_http_stoa_rate_return(ngx_http_stoa_main_conf_t *mcf,
    uint64_t key, const stoa_gcra_t *gcra);
/* In-flight counting; NGX_OK fills *handle, to be released exactly once.  A
 * worker that dies gives back what it held. */
ngx_int_t ngx_http_stoa_inflight_take(ngx_http_stoa_main_conf_t *mcf,
    uint64_t key, uint32_t limit, void **handle);
void ngx_http_stoa_inflight_drop(ngx_http_stoa_sh_t *sh, ngx_uint_t proc);
void ngx_http_stoa_inflight_return(ngx_http_stoa_main_conf_t *mcf,
    void *handle);

/* Quota windows in the mapped file: counts one call against day and month (0:
 * no limit), both or none. */
void ngx_http_stoa_quota_take(ngx_http_stoa_main_conf_t *mcf,
    uint64_t key, uint64_t day, uint64_t month, ngx_http_stoa_verdict_t *v);

/* What a finished request adds to the usage of its slot. */
typedef struct {
    stoa_id_t    tenant;          /* publisher's tenant; zero bytes: none   */
    stoa_id_t    application;
    stoa_id_t    subscription;
    stoa_id_t    api;
    stoa_id_t    operation;       /* or tool                                */
    ngx_uint_t   refused;         /* index into the refusal table + 1, or 0 */
    ngx_uint_t   status;
    uint64_t     bytes_in;
    uint64_t     bytes_out;
    uint64_t     latency_us;
} ngx_http_stoa_usage_row_t;

void ngx_http_stoa_usage_add(ngx_http_stoa_main_conf_t *mcf,
    const ngx_http_stoa_usage_row_t *row);


/* ---- a compiled api (ngx_http_stoa_api.c) ------------------------------ */

/* One address of a target, with its passive health. */

typedef struct {
    ngx_sockaddr_t             sockaddr;
    socklen_t                  socklen;
    ngx_str_t                  name;            /* "10.0.0.1:80"             */
    u_char                     text[NGX_SOCKADDR_STRLEN];
    ngx_uint_t                 fails;
    ngx_msec_t                 failed_at;
} ngx_http_stoa_addr_t;

typedef struct {
    ngx_str_t                  host;
    ngx_str_t                  host_header;     /* what is sent upstream     */
    ngx_str_t                  tls_name;        /* SNI and verification      */
    ngx_str_t                  path;            /* no slash at its end       */
    in_port_t                  port;
    ngx_uint_t                 weight;
    ngx_http_stoa_addr_t      *addrs;           /* malloc'ed; may change at
                                                   any event: copy what a
                                                   request keeps             */
    ngx_uint_t                 naddrs;
    ngx_uint_t                 next;            /* address, round robin      */
    time_t                     valid;           /* until; 0: literal address */
    ngx_uint_t                 active;          /* this worker's requests    */
    ngx_int_t                  current_weight;
    ngx_ssl_session_t         *session;         /* of the last handshake,    */
    ngx_ssl_t                 *session_ssl;     /* made with these settings  */
    unsigned                   tls:1;
    unsigned                   ordered:1;       /* localhost: first is best  */
    unsigned                   refreshing:1;    /* in the background         */
} ngx_http_stoa_target_t;


/* Operations in the order in which they are tried (ngx_http_stoa_api.c). */

typedef struct {
    uint32_t                   segments;
    uint32_t                   first;           /* hash of a literal first
                                                   segment, 0: {parameter}   */
    uint64_t                   literals;        /* most significant bit: the
                                                   first segment is literal  */
    ngx_uint_t                 index;           /* in rec->operations        */
    ngx_str_t                  method;
    ngx_str_t                  path;
    ngx_uint_t                 enabled;         /* unsigned                  */
} ngx_http_stoa_op_t;

/* Settings of a location with an api's own. */

typedef struct ngx_http_stoa_api_upconf_s  ngx_http_stoa_api_upconf_t;

struct ngx_http_stoa_api_upconf_s {
    ngx_http_stoa_api_upconf_t  *next;
    ngx_http_upstream_conf_t    *base;
    ngx_http_upstream_conf_t     conf;
};

struct ngx_http_stoa_api_s {
    ngx_queue_t                queue;           /* LRU                       */
    ngx_uint_t                 refs;
    stoa_id_t                  id;
    uint64_t                   rev;
    ngx_pool_t                *pool;            /* everything below          */
    stoa_rec_api_t            *rec;             /* a copy: may be kept       */
    ngx_http_stoa_target_t    *targets;
    ngx_uint_t                 ntargets;
    ngx_http_stoa_op_t        *ops;             /* sorted                    */
    ngx_uint_t                 nops;
    ngx_http_stoa_api_upconf_t  *upconf;        /* one per location          */
    size_t                     size;            /* memory, about             */
    ngx_http_stoa_api_t       *chain;           /* in the cache's bucket     */
    unsigned                   evicted:1;
    unsigned                   off:1;           /* has disabled operations   */
};

/* From the LRU or compiled now; the request holds a reference until its pool
 * dies. */
ngx_http_stoa_api_t *ngx_http_stoa_api_get(ngx_http_request_t *r,
    const stoa_rec_api_t *rec);
/* For what outlives a request (a background resolve). */
void ngx_http_stoa_api_hold(ngx_http_stoa_api_t *api);
void ngx_http_stoa_api_release(ngx_http_stoa_api_t *api);
void ngx_http_stoa_api_exit(void);

/* The operation for a method and a path relative to the api's base.  NGX_OK:
 * *index is its index; NGX_DECLINED: no path matches; NGX_ABORT: one does, but
 * not with this method. */
ngx_int_t ngx_http_stoa_api_operation(ngx_http_stoa_api_t *api,
    ngx_str_t *method, ngx_str_t *path, ngx_uint_t *index);
/* The methods of a path, "GET, HEAD, POST", in r->pool. */
ngx_int_t ngx_http_stoa_api_allow(ngx_http_request_t *r,
    ngx_http_stoa_api_t *api, ngx_str_t *path, ngx_str_t *allow);


/* ---- refusals (ngx_http_stoa_refusal.c) -------------------------------- */

struct ngx_http_stoa_refusal_s {
    ngx_str_t                  code;            /* "rate_exceeded"           */
    ngx_uint_t                 status;
    ngx_str_t                  title;
    ngx_str_t                  detail;
    ngx_int_t                  jsonrpc;         /* error code on MCP         */
};

typedef enum {
    NGX_HTTP_STOA_REFUSE_NO_ROUTE = 0,
    NGX_HTTP_STOA_REFUSE_METHOD,
    NGX_HTTP_STOA_REFUSE_IP,
    NGX_HTTP_STOA_REFUSE_BODY_TOO_LARGE,
    NGX_HTTP_STOA_REFUSE_KEY_MISSING,
    NGX_HTTP_STOA_REFUSE_KEY_INVALID,
    NGX_HTTP_STOA_REFUSE_KEY_EXPIRED,
    NGX_HTTP_STOA_REFUSE_APPLICATION_SUSPENDED,
    NGX_HTTP_STOA_REFUSE_TENANT_SUSPENDED,
    NGX_HTTP_STOA_REFUSE_NOT_SUBSCRIBED,
    NGX_HTTP_STOA_REFUSE_SUB_PENDING,
    NGX_HTTP_STOA_REFUSE_SUB_SUSPENDED,
    NGX_HTTP_STOA_REFUSE_SUB_REVOKED,
    NGX_HTTP_STOA_REFUSE_SUB_EXPIRED,
    NGX_HTTP_STOA_REFUSE_RATE,
    NGX_HTTP_STOA_REFUSE_QUOTA,
    NGX_HTTP_STOA_REFUSE_CONCURRENCY,
    NGX_HTTP_STOA_REFUSE_LIMITS_UNAVAILABLE,
    NGX_HTTP_STOA_REFUSE_NOT_READY,
    NGX_HTTP_STOA_REFUSE_UPSTREAM_UNREACHABLE,
    NGX_HTTP_STOA_REFUSE_UPSTREAM_TIMEOUT,
    NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID,
    NGX_HTTP_STOA_REFUSE_BAD_REQUEST,       /* nginx's own 400, 414, 431    */
    NGX_HTTP_STOA_REFUSE_INTERNAL,          /* 500                          */
    NGX_HTTP_STOA_REFUSE_MCP_PARSE,         /* 400, -32700                  */
    NGX_HTTP_STOA_REFUSE_MCP_INVALID,       /* 400, -32600                  */
    NGX_HTTP_STOA_REFUSE_MCP_HEADER,        /* 400, -32020                  */
    NGX_HTTP_STOA_REFUSE_MCP_VERSION,       /* 400, -32022                  */
    NGX_HTTP_STOA_REFUSE_MCP_PARAMS,        /* 400, -32602                  */
    NGX_HTTP_STOA_REFUSE_MCP_METHOD,        /* 404, -32601                  */
    NGX_HTTP_STOA_REFUSE_MCP_METHOD_LEGACY, /* 200, -32601                  */
    NGX_HTTP_STOA_REFUSE_MCP_TOOL,          /* 200, -32602 unknown tool     */
    NGX_HTTP_STOA_REFUSE_MCP_SESSION,       /* 404, -32001                  */
    NGX_HTTP_STOA_REFUSE_MCP_NO_SESSION,    /* 400, -32600                  */
    NGX_HTTP_STOA_REFUSE_MCP_ACCEPT,        /* 406                          */
    NGX_HTTP_STOA_REFUSE_MCP_CONTENT_TYPE,  /* 415                          */
    NGX_HTTP_STOA_REFUSE_MCP_ORIGIN,        /* 403                          */
    NGX_HTTP_STOA_REFUSE_WITHHELD,
    NGX_HTTP_STOA_REFUSE_MAX
} ngx_http_stoa_refuse_e;

extern const ngx_http_stoa_refusal_t  ngx_http_stoa_refusals[];

/* Notes the refusal in the context and returns its status, which the phase
 * handler returns to nginx; the filters write the body.  detail: NULL for the
 * table's, else text in r->pool (no secrets). */
ngx_int_t ngx_http_stoa_refuse(ngx_http_request_t *r,
    ngx_http_stoa_refuse_e what, ngx_str_t *detail);
/* The body that tells of ctx->call.refused; NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_stoa_refusal_page(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_uint_t status, ngx_str_t *type,
    ngx_str_t *body);
/* Sends a refusal with a status that nginx does not take for an error. */
ngx_int_t ngx_http_stoa_refusal_send(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* The row for a status that nginx made itself; NGX_DECLINED: leave it. */
ngx_int_t ngx_http_stoa_refusal_find(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_uint_t status);


/* ---- a request --------------------------------------------------------- */

#include "ngx_http_stoa_ctx.h"


/* The pipeline (ngx_http_stoa_pipeline.c): NGX_DECLINED = passed; a status;
 * NGX_AGAIN = something will call ngx_http_core_run_phases. */
ngx_int_t ngx_http_stoa_pipeline_handler(ngx_http_request_t *r);

/* May callers of this tenant know of the api? */
ngx_uint_t ngx_http_stoa_auth_visible(const stoa_rec_api_t *rec,
    const stoa_id_t *tenant);

/* Steps of the pipeline's table; NGX_OK, NGX_AGAIN or a status. */
ngx_int_t ngx_http_stoa_route(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_int_t ngx_http_stoa_operation(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* Caller's headers without credential and X-Stoa-*, with ours. */
ngx_int_t ngx_http_stoa_headers(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* Is this a traceparent of W3C Trace Context? */
ngx_uint_t ngx_http_stoa_trace_valid(ngx_str_t *value);
/* X-Stoa-Identity: a compact JWS. */
ngx_int_t ngx_http_stoa_identity(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_str_t *jws);
/* RateLimit, RateLimit-Policy, X-RateLimit-*, Retry-After. */
ngx_int_t ngx_http_stoa_limit_headers(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* Builds ctx->call.rest. */
ngx_int_t ngx_http_stoa_uri(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx);
/* The request's own URI becomes the one that was judged. */
ngx_int_t ngx_http_stoa_uri_protect(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);

/* Steps that MCP reuses; all return NGX_OK, NGX_AGAIN or a status. */
ngx_int_t ngx_http_stoa_auth(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx);
ngx_int_t ngx_http_stoa_subscription(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_id_t *target);
ngx_int_t ngx_http_stoa_limits(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* Picks addresses, upstream variables and headers for forwarding to
 * ctx->call.api. */
ngx_int_t ngx_http_stoa_upstream_forward(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);

extern const ngx_http_stoa_edge_t  ngx_http_stoa_rest_edge;


/* ---- forwarding (_upstream.c, _resolve.c, _keepalive.c, _filter.c) ------ */

/* Makes "stoa_upstream" (mcf->upstream); called by the setter of "stoa", any
 * number of times. */
ngx_int_t ngx_http_stoa_upstream_add(ngx_conf_t *cf,
    ngx_http_stoa_main_conf_t *mcf);
ngx_int_t ngx_http_stoa_upstream_init(ngx_conf_t *cf,
    ngx_http_upstream_srv_conf_t *us);
/* The content handler of a location with "stoa": the proxy module's after
 * it. */
ngx_int_t ngx_http_stoa_upstream_content(ngx_http_request_t *r);
/* Gives the request its own unparsed URI back. */
void ngx_http_stoa_upstream_restore(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* Header and body filters; called in postconfiguration. */
ngx_int_t ngx_http_stoa_filter_init(ngx_conf_t *cf);

/* Sees to it that at least one target has addresses: NGX_OK, NGX_AGAIN (the
 * request is woken later), NGX_DECLINED (none has), NGX_ERROR. */
ngx_int_t ngx_http_stoa_resolve(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
void ngx_http_stoa_address_set(ngx_http_stoa_target_t *target,
    ngx_http_stoa_addr_t *addr, struct sockaddr *sa, socklen_t socklen);
/* Literal addresses and localhost, when an api is compiled. */
ngx_int_t ngx_http_stoa_address_literal(ngx_http_stoa_target_t *target);

/* Idle connections of this worker. */
typedef struct {
    ngx_sockaddr_t             sockaddr;
    socklen_t                  socklen;
    ngx_ssl_t                 *ssl;             /* NULL: plain               */
    ngx_str_t                  tls_name;
    ngx_uint_t                 verify;          /* unsigned                  */
} ngx_http_stoa_keepalive_key_t;

ngx_connection_t *ngx_http_stoa_keepalive_get(
    ngx_http_stoa_keepalive_key_t *key, ngx_log_t *log);
ngx_int_t ngx_http_stoa_keepalive_put(ngx_http_stoa_keepalive_key_t *key,
    ngx_connection_t *c);
void ngx_http_stoa_keepalive_exit(void);


/* ---- variables, account ------------------------------------------------ */

ngx_int_t ngx_http_stoa_variables_add(ngx_conf_t *cf);
ngx_int_t ngx_http_stoa_account_handler(ngx_http_request_t *r);   /* LOG     */


#endif /* NGX_HTTP_STOA_H */
