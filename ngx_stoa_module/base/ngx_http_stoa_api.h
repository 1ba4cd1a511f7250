/*
 * A compiled api: what is made of its record once per worker.
 *
 * Process: workers.  Lifetime: reference counted, in an LRU keyed by id and
 * revision (upstream/ngx_http_stoa_api.c).
 */

#ifndef NGX_HTTP_STOA_API_H
#define NGX_HTTP_STOA_API_H


#include "ngx_http_stoa.h"


/* One address of a target, with its passive health. */

typedef struct {
    ngx_sockaddr_t             sockaddr;
    socklen_t                  socklen;
    ngx_str_t                  name;            /* "10.0.0.1:80"             */
    u_char                     text[NGX_SOCKADDR_STRLEN];
    ngx_uint_t                 fails;
    ngx_msec_t                 failed_at;
    uint64_t                   tag;             /* of an api that is watched */
    void                      *place;           /* in the zone; NULL: not
                                                   looked for                */
    ngx_msec_t                 sought;          /* when there was none       */
} ngx_http_stoa_addr_t;

struct ngx_http_stoa_target_s {
    ngx_str_t                  host;
    ngx_str_t                  host_header;     /* what is sent upstream     */
    ngx_str_t                  tls_name;        /* SNI and verification      */
    ngx_str_t                  path;            /* no slash at its end       */
    in_port_t                  port;
    ngx_uint_t                 weight;
    ngx_uint_t                 group;           /* of split, from 1 on       */
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
    unsigned                   secure:1;        /* the same, behind a link   */
    unsigned                   ordered:1;       /* localhost: first is best  */
    unsigned                   refreshing:1;    /* in the background         */
    ngx_msec_t                 asked;           /* of those who wait: since  */
    ngx_uint_t                 waiting;
    ngx_msec_t                 failed;          /* 0: not the last time      */
};


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
    ngx_msec_t                   head;          /* an operation's own time   */
    ngx_http_upstream_conf_t     conf;
    ngx_http_upstream_conf_t     answered;      /* when the head is there    */
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
    ngx_http_stoa_chain_t     *policies;        /* NULL: none                */
    const stoa_rec_health_t   *health;          /* of rec; NULL: none        */
    const stoa_rec_breaker_t  *breaker;
    const stoa_rec_retry_t    *retry;
    const stoa_rec_mirror_t   *mirror;
    ngx_uint_t                 mirrored;        /* copies under way          */
    const stoa_rec_split_t    *split;
    ngx_http_stoa_addr_t      *groups;          /* no addresses: places      */
    uint64_t                   split_total;     /* of the weights            */
    uint64_t                   split_step;
    ngx_http_stoa_addr_t       own;             /* its place, no address     */
    size_t                     size;            /* memory, about             */
    ngx_http_stoa_api_t       *chain;           /* in the cache's bucket     */
    ngx_uint_t                 lane_misses;     /* handed over in a row      */
    ngx_uint_t                 lane_skipped;
    unsigned                   evicted:1;
    unsigned                   grpc:1;          /* its targets speak it      */
    unsigned                   watched:1;       /* its addresses have places */
    unsigned                   timeouts:1;      /* first_byte_timeout_ms, of
                                                   it or of an operation     */
    unsigned                   timed:1;         /* a call has a total time, of
                                                   it or of an operation     */
    unsigned                   held:1;          /* has operations that are
                                                   off, or have policies     */
};


#endif /* NGX_HTTP_STOA_API_H */
