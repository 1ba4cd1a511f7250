/*
 * A client of Redis on nginx's event loop: one server, the master that
 * Sentinels name, or a Cluster.  hiredis reads and writes the protocol;
 * sockets, TLS, timers and names are nginx's.
 *
 * Commands of one turn of the event loop leave in one write; each has its
 * answer, or NULL, by a callback from the event loop, never before _send() has
 * returned.  Nothing is sent twice but what was answered by MOVED, ASK,
 * TRYAGAIN or NOSCRIPT, which say that it did not run.
 *
 * Process: workers; a connection for each server.  Limits: the macros below.
 */

#ifndef NGX_HTTP_STOA_REDIS_H
#define NGX_HTTP_STOA_REDIS_H


#include "ngx_http_stoa.h"

#include <hiredis/hiredis.h>


#define NGX_HTTP_STOA_REDIS_SHARDS   1024      /* parts of the key space     */
#define NGX_HTTP_STOA_REDIS_ADDRS    16        /* in the configuration       */
#define NGX_HTTP_STOA_REDIS_NODES    64        /* servers that are known     */
#define NGX_HTTP_STOA_REDIS_WAITING  16384     /* commands at a server       */
#define NGX_HTTP_STOA_REDIS_REPLY    65536     /* bytes of an answer         */
#define NGX_HTTP_STOA_REDIS_ITEMS    512       /* of an array of it          */
#define NGX_HTTP_STOA_REDIS_HOPS     3         /* of MOVED and ASK           */


typedef enum {
    NGX_HTTP_STOA_REDIS_SINGLE = 0,
    NGX_HTTP_STOA_REDIS_SENTINEL,
    NGX_HTTP_STOA_REDIS_CLUSTER
} ngx_http_stoa_redis_mode_e;


/* How to be let in. */

typedef struct {
    ngx_str_t   user;
    ngx_str_t   password;
    ngx_flag_t  tls;
} ngx_http_stoa_redis_login_t;


struct ngx_http_stoa_redis_conf_s {
    ngx_uint_t                   mode;
    ngx_str_t                    addrs[NGX_HTTP_STOA_REDIS_ADDRS];
                                                /* host:port                 */
    ngx_uint_t                   naddrs;
    ngx_str_t                    master;        /* that Sentinels know       */
    ngx_http_stoa_redis_login_t  data;
    ngx_http_stoa_redis_login_t  sentinel;
    ngx_uint_t                   db;
    ngx_str_t                    tls_name;      /* to check; none: the host  */
    ngx_str_t                    tls_ca;        /* PEM, a file               */
    ngx_ssl_t                   *ssl;
    ngx_msec_t                   timeout;       /* what a call waits         */
    ngx_str_t                    prefix;        /* of keys                   */
    ngx_uint_t                   pools;         /* budgets of this node      */
};


/* reply: valid until it returns; NULL: none came (why, a constant or of the
 * worker's).  An error is a reply. */

typedef void (*ngx_http_stoa_redis_pt)(redisReply *reply, const char *why,
    void *data);


/* When the worker is asked to exit, once: what is sent then still has its
 * answers, for 200 ms. */
typedef void (*ngx_http_stoa_redis_exit_pt)(void);

ngx_int_t ngx_http_stoa_redis_init(ngx_conf_t *cf,
    ngx_http_stoa_redis_conf_t *conf);
ngx_int_t ngx_http_stoa_redis_start(ngx_http_stoa_redis_conf_t *conf,
    ngx_cycle_t *cycle, ngx_http_stoa_redis_exit_pt leaving);
void ngx_http_stoa_redis_stop(void);

/* Runs a script of one shard's keys, which begin with its {tag}: argv[0] is
 * its text, sha1 the hex digest of that; argv[1] the number of keys.
 * NGX_OK: the callback comes; NGX_BUSY: not now; NGX_ERROR: no memory. */
ngx_int_t ngx_http_stoa_redis_script(ngx_uint_t shard, const char *sha1,
    int argc, const char **argv, const size_t *lens,
    ngx_http_stoa_redis_pt handler, void *data);
/* A command without keys, at the server that the shard is at. */
ngx_int_t ngx_http_stoa_redis_ping(ngx_uint_t shard,
    ngx_http_stoa_redis_pt handler, void *data);


#endif /* NGX_HTTP_STOA_REDIS_H */
