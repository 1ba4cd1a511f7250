/*
 * What every file of the module stands on: its version, the names of its
 * types, its configuration.
 *
 * Process: configuration in the master.  Lifetime: main conf = cycle.
 */

#ifndef NGX_HTTP_STOA_H
#define NGX_HTTP_STOA_H


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_stoa_compat.h"
#include "core/stoa_addr.h"
#include "core/stoa_rec.h"


#define NGX_HTTP_STOA_VERSION  "0.2.0"

extern ngx_module_t  ngx_http_stoa_module;

typedef struct ngx_http_stoa_store_s     ngx_http_stoa_store_t;
typedef struct ngx_http_stoa_counters_s  ngx_http_stoa_counters_t;
typedef struct ngx_http_stoa_sh_s        ngx_http_stoa_sh_t;
typedef struct ngx_http_stoa_dir_s       ngx_http_stoa_dir_t;
typedef struct ngx_http_stoa_api_s       ngx_http_stoa_api_t;
typedef struct ngx_http_stoa_target_s    ngx_http_stoa_target_t;
typedef struct ngx_http_stoa_peer_s      ngx_http_stoa_peer_t;
typedef struct ngx_http_stoa_resolve_s   ngx_http_stoa_resolve_t;
typedef struct ngx_http_stoa_mcp_s       ngx_http_stoa_mcp_t;
typedef struct ngx_http_stoa_refusal_s   ngx_http_stoa_refusal_t;
typedef struct ngx_http_stoa_ctx_s       ngx_http_stoa_ctx_t;
typedef struct ngx_http_stoa_edge_s      ngx_http_stoa_edge_t;
typedef struct ngx_http_stoa_chain_s     ngx_http_stoa_chain_t;
typedef struct ngx_http_stoa_policy_s    ngx_http_stoa_policy_t;
typedef struct ngx_http_stoa_policies_s  ngx_http_stoa_policies_t;
typedef struct ngx_http_stoa_introspect_s  ngx_http_stoa_introspect_t;
typedef struct ngx_http_stoa_turn_s      ngx_http_stoa_turn_t;
typedef struct ngx_http_stoa_trace_s     ngx_http_stoa_trace_t;
typedef struct ngx_http_stoa_look_s      ngx_http_stoa_look_t;
typedef struct ngx_http_stoa_attached_s  ngx_http_stoa_attached_t;
typedef struct ngx_http_stoa_inner_s     ngx_http_stoa_inner_t;
typedef struct ngx_http_stoa_taker_s     ngx_http_stoa_taker_t;
typedef struct ngx_http_stoa_redis_conf_s  ngx_http_stoa_redis_conf_t;


/* ---- configuration ---------------------------------------------------- */

/* Sessions at upstreams of MCP, of this node. */

typedef struct {
    ngx_uint_t                 api;             /* at one api               */
    ngx_uint_t                 application;     /* of one there             */
    ngx_msec_t                 idle;            /* until they are ended     */
    ngx_uint_t                 rate;            /* begun in a minute, of an
                                                   application              */
} ngx_http_stoa_mcp_sessions_t;


typedef struct ngx_http_stoa_main_conf_s {
    ngx_str_t                  control_plane;   /* http(s)://host[:port]     */
    ngx_str_t                  control_ca;      /* PEM text, to verify it    */
    ngx_str_t                  token_file;
    ngx_str_t                  token;           /* read at start; cleansed   */
    ngx_str_t                  gateway_id;      /* from the token            */
    ngx_str_t                  group;
    ngx_str_t                  pepper;
    ngx_str_t                  store_dir;
    size_t                     store_size;      /* LMDB map                  */
    size_t                     counters_size;
    ngx_shm_zone_t            *zone;
    ngx_shm_zone_t            *keep;            /* answers that are kept,    */
    ngx_shm_zone_t            *repeats;         /* for calls made again      */
    ngx_cycle_t               *cycle;           /* while it is made          */
    ngx_int_t                (*ready)(struct ngx_http_stoa_main_conf_s *mcf);
                                                /* all is parsed; a reload can
                                                   still be given up         */
    ngx_flag_t                 zone_full_deny;
    ngx_msec_t                 max_stale;       /* 0: off                    */
    ngx_str_t                  external_url;    /* for problem types, links  */
    ngx_str_t                  peer;            /* for the group's others    */
    ngx_str_t                  resource_root;   /* path: metadata of "/"     */
    ngx_str_t                  upstream_ca;     /* PEM, verifies targets    */
    ngx_http_stoa_redis_conf_t  *redis;         /* NULL: limits are of this
                                                   node                      */
    ngx_array_t               *opas;            /* ngx_http_stoa_opa_t; NULL:
                                                   none                      */
    ngx_ssl_t                 *fetch_ssl;       /* for URLs that we ask      */
    ngx_ssl_t                 *control_ssl;     /* for the control plane     */
    stoa_allow_t               upstream_allow;  /* beside public addresses  */
    ngx_msec_t                 usage_interval;
    ngx_msec_t                 mcp_keepalive;   /* of streams to clients    */
    ngx_http_stoa_mcp_sessions_t  mcp_sessions;
    ngx_int_t                  trace_sample;    /* one call in so many; 0:
                                                   none                      */
    ngx_int_t                  mcp_streams;     /* held, of an application  */
    ngx_msec_t                 mcp_input;       /* what they are asked      */
    ngx_msec_t                 dpop_age;        /* of a proof, at most      */
    ngx_msec_t                 dpop_ahead;      /* of our clock, likewise   */

    const ngx_http_stoa_edge_t  *const *edges;  /* NULL behind the last      */
    ngx_http_stoa_policies_t  *policies;        /* all types                 */
    ngx_http_stoa_sh_t        *sh;              /* in the zone               */
    ngx_http_stoa_store_t     *store;           /* per worker                */
    ngx_http_stoa_counters_t  *counters;        /* per worker mapping        */
    ngx_http_stoa_dir_t       *dir;             /* in it                     */
    ngx_http_upstream_srv_conf_t  *upstream;    /* "stoa_upstream"           */
    ngx_http_handler_pt        content_handler; /* the proxy module's        */
    ngx_http_handler_pt        grpc_handler;    /* the grpc module's; NULL   */
    ngx_int_t                  request_uri;     /* index of the variable     */
    ngx_str_t                  used_what;       /* the first directive in a  */
    ngx_str_t                  used_file;       /* location, and its place   */
    ngx_uint_t                 used_line;
    unsigned                   allowed:1;       /* upstream_allow was said   */
    unsigned                   enabled:1;       /* any stoa* location exists */
} ngx_http_stoa_main_conf_t;


typedef enum {
    NGX_HTTP_STOA_OFF = 0,
    NGX_HTTP_STOA_FULL,           /* stoa;                                 */
    NGX_HTTP_STOA_PROTECT,        /* stoa_protect tenant=... api=...;      */
    NGX_HTTP_STOA_AUTHZ           /* stoa_authz ...;                       */
} ngx_http_stoa_mode_e;

/* The proxies that ask. */

typedef enum {
    NGX_HTTP_STOA_FRONT_NGINX = 0,
    NGX_HTTP_STOA_FRONT_ENVOY,
    NGX_HTTP_STOA_FRONT_TRAEFIK
} ngx_http_stoa_front_e;

typedef enum {
    NGX_HTTP_STOA_LANE_UNKNOWN = 0,
    NGX_HTTP_STOA_LANE_OFF,
    NGX_HTTP_STOA_LANE_ON
} ngx_http_stoa_lane_e;

/* How a client of MCP whose message is known is refused. */

typedef enum {
    NGX_HTTP_STOA_MCP_RPC = 0,    /* in an answer to the message            */
    NGX_HTTP_STOA_MCP_HTTP        /* by a status                            */
} ngx_http_stoa_mcp_told_e;

typedef struct {
    ngx_uint_t                 mode;
    ngx_str_t                  tenant;          /* PROTECT                   */
    ngx_str_t                  api;
    ngx_uint_t                 front;           /* AUTHZ: ..._front_e        */
    ngx_flag_t                 legacy_headers;  /* X-RateLimit-*             */
    ngx_uint_t                 mcp_refusal;     /* ngx_http_stoa_mcp_told_e  */
    ngx_uint_t                 metrics_apis;    /* that have a name there    */
    ngx_flag_t                 fast;            /* the lane may be used      */
    ngx_uint_t                 headers_set;     /* not merged: the user has
                                                   proxy_set_header          */
    ngx_uint_t                 lane;            /* lane_e, at first use      */
    ngx_http_upstream_conf_t  *lane_conf;       /* NULL: no lane             */
    ngx_uint_t                 speaks;          /* not merged: a server with a
                                                   stoa location; its early
                                                   errors are ours too       */
    ngx_str_t                  file;            /* not merged: the place of  */
    ngx_uint_t                 line;            /* "stoa"                    */
} ngx_http_stoa_loc_conf_t;


#endif /* NGX_HTTP_STOA_H */
