/*
 * A server of Redis: its connection, what waits for it.  Inside of the client.
 */

#ifndef NGX_HTTP_STOA_REDIS_NODE_H
#define NGX_HTTP_STOA_REDIS_NODE_H


#include "ngx_http_stoa_redis.h"


typedef struct {
    ngx_queue_t              queue;
    u_char                  *text;             /* as it is sent; allocated   */
    size_t                   len;
    char                    *full;             /* instead after NOSCRIPT     */
    size_t                   full_len;
    ngx_http_stoa_redis_pt   handler;
    void                    *data;
    ngx_uint_t               shard;
    ngx_uint_t               hops;
    unsigned                 asking:1;         /* before it                  */
    unsigned                 own:1;            /* of the handshake           */
} ngx_http_stoa_redis_cmd_t;


typedef enum {
    NGX_HTTP_STOA_REDIS_IDLE = 0,
    NGX_HTTP_STOA_REDIS_RESOLVE,
    NGX_HTTP_STOA_REDIS_CONNECT,
    NGX_HTTP_STOA_REDIS_TLS,
    NGX_HTTP_STOA_REDIS_LOGIN,
    NGX_HTTP_STOA_REDIS_READY
} ngx_http_stoa_redis_state_e;


typedef struct ngx_http_stoa_redis_node_s  ngx_http_stoa_redis_node_t;

/* What the client does. */

typedef struct {
    /* a command has its answer, or none: it is the client's again */
    void  (*answer)(ngx_http_stoa_redis_node_t *node,
                    ngx_http_stoa_redis_cmd_t *cmd, redisReply *reply,
                    const char *why);
    /* it is no master */
    void  (*demoted)(ngx_http_stoa_redis_node_t *node);
    /* the worker is asked to exit */
    void  (*leaving)(void);
} ngx_http_stoa_redis_owner_t;


struct ngx_http_stoa_redis_node_s {
    const ngx_http_stoa_redis_owner_t  *owner;
    ngx_http_stoa_redis_conf_t  *conf;
    ngx_log_t                  *log;
    ngx_uint_t                  sentinel;
    ngx_str_t                   host;           /* in name                   */
    in_port_t                   port;
    u_char                      name[STOA_HOST_MAX + 8];
    ngx_sockaddr_t              addr;
    socklen_t                   addrlen;
    u_char                      text[NGX_SOCKADDR_STRLEN];
    ngx_str_t                   addr_text;

    ngx_uint_t                  state;
    ngx_connection_t           *connection;
    ngx_resolver_ctx_t         *resolving;
    redisReader                *reader;
    size_t                      came;           /* since a whole answer      */
    ngx_queue_t                 ready;          /* not sent                  */
    ngx_queue_t                 sent;           /* not answered              */
    ngx_uint_t                  waiting;
    u_char                     *out;            /* being sent; allocated     */
    size_t                      out_len;
    size_t                      out_at;
    ngx_event_t                 flush;
    ngx_msec_t                  retry_at;       /* not before                */
    ngx_uint_t                  fails;
    unsigned                    entered:1;      /* its events are under way  */
    const char                 *broken;         /* closed when they are over */
};


void ngx_http_stoa_redis_node_init(ngx_http_stoa_redis_node_t *node,
    const ngx_http_stoa_redis_owner_t *owner,
    ngx_http_stoa_redis_conf_t *conf, ngx_log_t *log);
/* NGX_DECLINED: no host and port. */
ngx_int_t ngx_http_stoa_redis_node_name(ngx_http_stoa_redis_node_t *node,
    const u_char *text, size_t len);
/* NGX_BUSY: it may not be connected to yet, or too much waits. */
ngx_int_t ngx_http_stoa_redis_node_add(ngx_http_stoa_redis_node_t *node,
    ngx_http_stoa_redis_cmd_t *cmd);
/* All that waits has no answer. */
void ngx_http_stoa_redis_node_fail(ngx_http_stoa_redis_node_t *node,
    const char *why);

/* ngx_http_stoa_redis_wire.c; what is wrong then is node->broken */
redisReader *ngx_http_stoa_redis_reader(void);
void ngx_http_stoa_redis_login(ngx_http_stoa_redis_node_t *node);
void ngx_http_stoa_redis_write(ngx_http_stoa_redis_node_t *node);
void ngx_http_stoa_redis_read(ngx_http_stoa_redis_node_t *node);
void ngx_http_stoa_redis_cmd_free(ngx_http_stoa_redis_cmd_t *cmd);
ngx_http_stoa_redis_cmd_t *ngx_http_stoa_redis_cmd(int argc,
    const char **argv, const size_t *lens);


#endif /* NGX_HTTP_STOA_REDIS_NODE_H */
