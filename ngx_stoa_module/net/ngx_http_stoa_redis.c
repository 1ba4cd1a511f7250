/*
 * The client of Redis: which server a command goes to.
 *
 * Of a Cluster each worker learns where a shard is from MOVED, command by
 * command; a server that is gone makes a shard ask the configured ones again.
 * Of Sentinels one after the other is asked, whenever the master that was
 * named is gone or says that it is none.
 */

#include "ngx_http_stoa_redis_node.h"
#include "ngx_http_stoa_fetch.h"


#define REDIS_AGAIN      5                      /* ms, after TRYAGAIN        */
#define REDIS_ASK_AFTER  50                     /* ms, Sentinels             */


static void ngx_http_stoa_redis_answer(ngx_http_stoa_redis_node_t *node,
    ngx_http_stoa_redis_cmd_t *cmd, redisReply *reply, const char *why);
static void ngx_http_stoa_redis_demoted(ngx_http_stoa_redis_node_t *node);
static void ngx_http_stoa_redis_leaving(void);
static ngx_int_t ngx_http_stoa_redis_again(ngx_http_stoa_redis_cmd_t *cmd,
    redisReply *reply);
static ngx_int_t ngx_http_stoa_redis_resend(ngx_http_stoa_redis_cmd_t *cmd);
static ngx_int_t ngx_http_stoa_redis_moved(ngx_http_stoa_redis_cmd_t *cmd,
    const char *where, ngx_uint_t ask);
static void ngx_http_stoa_redis_later(ngx_event_t *ev);
static ngx_http_stoa_redis_node_t *ngx_http_stoa_redis_of(ngx_uint_t shard);
static ngx_http_stoa_redis_node_t *ngx_http_stoa_redis_member(
    ngx_uint_t shard);
static ngx_int_t ngx_http_stoa_redis_send(ngx_http_stoa_redis_cmd_t *cmd,
    ngx_uint_t shard, ngx_http_stoa_redis_pt handler, void *data);
static void ngx_http_stoa_redis_seek(void);
static void ngx_http_stoa_redis_named(redisReply *reply, const char *why,
    void *data);


static const ngx_http_stoa_redis_owner_t  ngx_http_stoa_redis_owner = {
    ngx_http_stoa_redis_answer,
    ngx_http_stoa_redis_demoted,
    ngx_http_stoa_redis_leaving
};

typedef struct {
    ngx_http_stoa_redis_conf_t   *conf;
    ngx_log_t                    *log;
    ngx_http_stoa_redis_node_t   *nodes;        /* the configured ones first */
    ngx_uint_t                    n;
    ngx_uint_t                    turn;         /* of the configured ones    */
    ngx_http_stoa_redis_node_t   *master;       /* that Sentinels named      */
    ngx_http_stoa_redis_node_t    place[2];     /* for it, in turn           */
    ngx_uint_t                    seeking;
    ngx_msec_t                    seek_at;
    ngx_queue_t                   later;        /* after TRYAGAIN            */
    ngx_event_t                   timer;
    ngx_http_stoa_redis_exit_pt   leave;
    ngx_uint_t                    left;
    uint8_t                       at[NGX_HTTP_STOA_REDIS_SHARDS];
                                                /* node + 1; 0: not known    */
} ngx_http_stoa_redis_t;

static ngx_http_stoa_redis_t  *ngx_http_stoa_redis;


ngx_int_t
ngx_http_stoa_redis_start(ngx_http_stoa_redis_conf_t *conf,
    ngx_cycle_t *cycle, ngx_http_stoa_redis_exit_pt leaving)
{
    ngx_uint_t              i;
    ngx_http_stoa_redis_t  *redis;

    redis = ngx_pcalloc(cycle->pool, sizeof(ngx_http_stoa_redis_t));
    if (redis == NULL) {
        return NGX_ERROR;
    }

    redis->nodes = ngx_pcalloc(cycle->pool, NGX_HTTP_STOA_REDIS_NODES
                                        * sizeof(ngx_http_stoa_redis_node_t));
    if (redis->nodes == NULL) {
        return NGX_ERROR;
    }

    redis->conf = conf;
    redis->log = cycle->log;
    redis->leave = leaving;
    redis->n = conf->naddrs;
    redis->timer.handler = ngx_http_stoa_redis_later;
    redis->timer.log = cycle->log;
    redis->timer.data = redis;
    redis->timer.cancelable = 1;
    ngx_queue_init(&redis->later);

    for (i = 0; i < NGX_HTTP_STOA_REDIS_NODES; i++) {
        ngx_http_stoa_redis_node_init(&redis->nodes[i],
                                      &ngx_http_stoa_redis_owner, conf,
                                      cycle->log);
        redis->nodes[i].sentinel = conf->mode == NGX_HTTP_STOA_REDIS_SENTINEL;
    }

    for (i = 0; i < 2; i++) {
        ngx_http_stoa_redis_node_init(&redis->place[i],
                                      &ngx_http_stoa_redis_owner, conf,
                                      cycle->log);
    }

    for (i = 0; i < conf->naddrs; i++) {
        if (ngx_http_stoa_redis_node_name(&redis->nodes[i],
                                          conf->addrs[i].data,
                                          conf->addrs[i].len)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    ngx_http_stoa_redis = redis;

    return NGX_OK;
}


void
ngx_http_stoa_redis_stop(void)
{
    ngx_uint_t              i;
    ngx_http_stoa_redis_t  *redis = ngx_http_stoa_redis;

    if (redis == NULL) {
        return;
    }

    for (i = 0; i < redis->n; i++) {
        ngx_http_stoa_redis_node_fail(&redis->nodes[i], "the worker exits");
    }

    for (i = 0; i < 2; i++) {
        ngx_http_stoa_redis_node_fail(&redis->place[i], "the worker exits");
    }

    ngx_http_stoa_redis = NULL;
}


static void
ngx_http_stoa_redis_leaving(void)
{
    ngx_http_stoa_redis_t  *redis = ngx_http_stoa_redis;

    if (!redis->left) {
        redis->left = 1;
        redis->leave();
    }
}


/* ---- what to send ------------------------------------------------------ */

ngx_int_t
ngx_http_stoa_redis_script(ngx_uint_t shard, const char *sha1, int argc,
    const char **argv, const size_t *lens, ngx_http_stoa_redis_pt handler,
    void *data)
{
    int                         len;
    char                       *full;
    size_t                      all[32];
    const char                 *args[32];
    ngx_http_stoa_redis_cmd_t  *cmd;

    ngx_memcpy(&args[1], argv, argc * sizeof(char *));
    ngx_memcpy(&all[1], lens, argc * sizeof(size_t));

    args[0] = "EVAL";
    all[0] = 4;
    len = redisFormatCommandArgv(&full, argc + 1, args, all);

    if (len < 0) {
        return NGX_ERROR;
    }

    args[0] = "EVALSHA";
    all[0] = 7;
    args[1] = sha1;
    all[1] = 40;
    cmd = ngx_http_stoa_redis_cmd(argc + 1, args, all);

    if (cmd == NULL) {
        redisFreeCommand(full);
        return NGX_ERROR;
    }

    cmd->full = full;
    cmd->full_len = (size_t) len;

    return ngx_http_stoa_redis_send(cmd, shard, handler, data);
}


ngx_int_t
ngx_http_stoa_redis_ping(ngx_uint_t shard, ngx_http_stoa_redis_pt handler,
    void *data)
{
    size_t                      len = 4;
    const char                 *text = "PING";
    ngx_http_stoa_redis_cmd_t  *cmd;

    cmd = ngx_http_stoa_redis_cmd(1, &text, &len);

    return cmd ? ngx_http_stoa_redis_send(cmd, shard, handler, data)
               : NGX_ERROR;
}


static ngx_int_t
ngx_http_stoa_redis_send(ngx_http_stoa_redis_cmd_t *cmd, ngx_uint_t shard,
    ngx_http_stoa_redis_pt handler, void *data)
{
    ngx_int_t                    rc;
    ngx_http_stoa_redis_node_t  *node;

    cmd->shard = shard;
    cmd->handler = handler;
    cmd->data = data;

    node = ngx_http_stoa_redis_of(shard);
    rc = node ? ngx_http_stoa_redis_node_add(node, cmd) : NGX_BUSY;

    if (rc != NGX_OK) {
        ngx_http_stoa_redis_cmd_free(cmd);
    }

    return rc;
}


/* NULL: nobody knows yet. */

static ngx_http_stoa_redis_node_t *
ngx_http_stoa_redis_of(ngx_uint_t shard)
{
    ngx_http_stoa_redis_t  *redis = ngx_http_stoa_redis;

    switch (redis->conf->mode) {

    case NGX_HTTP_STOA_REDIS_SENTINEL:
        if (redis->master == NULL) {
            ngx_http_stoa_redis_seek();
        }

        return redis->master;

    case NGX_HTTP_STOA_REDIS_CLUSTER:
        return ngx_http_stoa_redis_member(shard);

    default:
        return &redis->nodes[0];
    }
}


/* The one that has the shard, as far as it is known and not away; else one
 * that answers and knows it. */

static ngx_http_stoa_redis_node_t *
ngx_http_stoa_redis_member(ngx_uint_t shard)
{
    ngx_uint_t                   i;
    ngx_http_stoa_redis_t       *redis = ngx_http_stoa_redis;
    ngx_http_stoa_redis_node_t  *node;

    if (redis->at[shard]) {
        node = &redis->nodes[redis->at[shard] - 1];

        if (node->fails == 0) {
            return node;
        }

        redis->at[shard] = 0;
    }

    for (i = 0; i < redis->n; i++) {
        if (redis->nodes[i].state == NGX_HTTP_STOA_REDIS_READY) {
            return &redis->nodes[i];
        }
    }

    return &redis->nodes[redis->turn++ % redis->n];
}


/* ---- what came --------------------------------------------------------- */

static void
ngx_http_stoa_redis_answer(ngx_http_stoa_redis_node_t *node,
    ngx_http_stoa_redis_cmd_t *cmd, redisReply *reply, const char *why)
{
    ngx_uint_t              i;
    ngx_http_stoa_redis_t  *redis = ngx_http_stoa_redis;

    if (reply && reply->type == REDIS_REPLY_ERROR
        && ngx_http_stoa_redis_again(cmd, reply) == NGX_OK)
    {
        return;
    }

    if (reply == NULL) {

        /* whoever has its shards now is known by the others */

        if (redis->conf->mode == NGX_HTTP_STOA_REDIS_CLUSTER) {
            i = node - redis->nodes + 1;

            if (redis->at[cmd->shard] == i) {
                redis->at[cmd->shard] = 0;
            }
        }

        if (node == redis->master) {
            redis->master = NULL;
        }
    }

    cmd->handler(reply, why, cmd->data);
    ngx_http_stoa_redis_cmd_free(cmd);
}


static void
ngx_http_stoa_redis_demoted(ngx_http_stoa_redis_node_t *node)
{
    if (node == ngx_http_stoa_redis->master) {
        ngx_http_stoa_redis->master = NULL;
    }
}


/* It did not run: NGX_OK, and it is sent once more. */

static ngx_int_t
ngx_http_stoa_redis_again(ngx_http_stoa_redis_cmd_t *cmd, redisReply *reply)
{
    const char             *where;
    ngx_uint_t              ask;
    ngx_http_stoa_redis_t  *redis = ngx_http_stoa_redis;

    if (cmd->hops >= NGX_HTTP_STOA_REDIS_HOPS) {
        return NGX_DECLINED;
    }

    if (ngx_strncmp(reply->str, "NOSCRIPT", 8) == 0 && cmd->full) {
        cmd->hops++;
        redisFreeCommand((char *) cmd->text);
        cmd->text = (u_char *) cmd->full;
        cmd->len = cmd->full_len;
        cmd->full = NULL;

        return ngx_http_stoa_redis_resend(cmd);
    }

    if (redis->conf->mode != NGX_HTTP_STOA_REDIS_CLUSTER) {
        return NGX_DECLINED;
    }

    ask = ngx_strncmp(reply->str, "ASK ", 4) == 0;

    if (ask || ngx_strncmp(reply->str, "MOVED ", 6) == 0) {
        cmd->hops++;
        where = strrchr(reply->str, ' ');
        return ngx_http_stoa_redis_moved(cmd, where + 1, ask);
    }

    if (ngx_strncmp(reply->str, "TRYAGAIN", 8) == 0) {
        cmd->hops++;
        ngx_queue_insert_tail(&redis->later, &cmd->queue);

        if (!redis->timer.timer_set) {
            ngx_add_timer(&redis->timer, REDIS_AGAIN);
        }

        return NGX_OK;
    }

    return NGX_DECLINED;
}


/* The master may have been lost meanwhile. */

static ngx_int_t
ngx_http_stoa_redis_resend(ngx_http_stoa_redis_cmd_t *cmd)
{
    ngx_http_stoa_redis_node_t  *node;

    node = ngx_http_stoa_redis_of(cmd->shard);

    return node ? ngx_http_stoa_redis_node_add(node, cmd) : NGX_BUSY;
}


static ngx_int_t
ngx_http_stoa_redis_moved(ngx_http_stoa_redis_cmd_t *cmd, const char *where,
    ngx_uint_t ask)
{
    ngx_uint_t                   i;
    ngx_http_stoa_redis_t       *redis = ngx_http_stoa_redis;
    ngx_http_stoa_redis_node_t  *node;

    for (i = 0; i < redis->n; i++) {
        if (ngx_strcmp(redis->nodes[i].name, where) == 0) {
            goto found;
        }
    }

    /* a place that nobody uses, behind those of the configuration */

    if (redis->n == NGX_HTTP_STOA_REDIS_NODES) {
        for (i = redis->conf->naddrs; i < redis->n; i++) {
            if (redis->nodes[i].waiting == 0
                && redis->nodes[i].connection == NULL)
            {
                break;
            }
        }

        if (i == redis->n) {
            return NGX_DECLINED;
        }
    }

    node = &redis->nodes[i];

    if (ngx_http_stoa_redis_node_name(node, (u_char *) where,
                                      ngx_strlen(where))
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    node->fails = 0;
    redis->n = ngx_max(redis->n, i + 1);

found:

    if (!ask) {
        redis->at[cmd->shard] = (uint8_t) (i + 1);
    }

    cmd->asking = ask;

    if (ngx_http_stoa_redis_node_add(&redis->nodes[i], cmd) != NGX_OK) {
        redis->at[cmd->shard] = 0;
        cmd->asking = 0;
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static void
ngx_http_stoa_redis_later(ngx_event_t *ev)
{
    ngx_queue_t                *q;
    ngx_http_stoa_redis_t      *redis = ev->data;
    ngx_http_stoa_redis_cmd_t  *cmd;

    while (!ngx_queue_empty(&redis->later)) {
        q = ngx_queue_head(&redis->later);
        ngx_queue_remove(q);
        cmd = ngx_queue_data(q, ngx_http_stoa_redis_cmd_t, queue);

        if (ngx_http_stoa_redis_resend(cmd) != NGX_OK) {
            cmd->handler(NULL, "TRYAGAIN", cmd->data);
            ngx_http_stoa_redis_cmd_free(cmd);
        }
    }
}


/* ---- Sentinels --------------------------------------------------------- */

static void
ngx_http_stoa_redis_seek(void)
{
    size_t                       lens[3];
    const char                  *argv[3];
    ngx_http_stoa_redis_t       *redis = ngx_http_stoa_redis;
    ngx_http_stoa_redis_cmd_t   *cmd;
    ngx_http_stoa_redis_node_t  *node;

    if (redis->seeking
        || (ngx_msec_int_t) (redis->seek_at - ngx_current_msec) > 0)
    {
        return;
    }

    argv[0] = "SENTINEL";
    argv[1] = "get-master-addr-by-name";
    argv[2] = (char *) redis->conf->master.data;
    lens[0] = 8;
    lens[1] = 23;
    lens[2] = redis->conf->master.len;

    cmd = ngx_http_stoa_redis_cmd(3, argv, lens);
    if (cmd == NULL) {
        return;
    }

    cmd->handler = ngx_http_stoa_redis_named;
    node = &redis->nodes[redis->turn++ % redis->conf->naddrs];

    redis->seek_at = ngx_current_msec + REDIS_ASK_AFTER;
    redis->seeking = ngx_http_stoa_redis_node_add(node, cmd) == NGX_OK;

    if (!redis->seeking) {
        ngx_http_stoa_redis_cmd_free(cmd);
    }
}


static void
ngx_http_stoa_redis_named(redisReply *reply, const char *why, void *data)
{
    u_char                       name[STOA_HOST_MAX + 8], *p;
    const char                  *host, *port;
    ngx_http_stoa_redis_t       *redis = ngx_http_stoa_redis;
    ngx_http_stoa_redis_node_t  *node;

    redis->seeking = 0;

    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY
        || reply->elements != 2
        || reply->element[0]->type != REDIS_REPLY_STRING
        || reply->element[1]->type != REDIS_REPLY_STRING)
    {
        return;
    }

    host = reply->element[0]->str;
    port = reply->element[1]->str;

    /* the one that is left may still have commands that wait */

    node = redis->place[0].waiting ? &redis->place[1] : &redis->place[0];

    if (node->waiting) {
        return;
    }

    p = ngx_snprintf(name, sizeof(name) - 1, strchr(host, ':') ? "[%s]:%s"
                     : "%s:%s", host, port);

    if (node->connection && ngx_strlen(node->name) == (size_t) (p - name)
        && ngx_strncmp(node->name, name, p - name) == 0)
    {
        redis->master = node;
        return;
    }

    ngx_http_stoa_redis_node_fail(node, "another one is the master");

    if (ngx_http_stoa_redis_node_name(node, name, p - name) == NGX_OK) {
        node->fails = 0;
        redis->master = node;
    }
}


/* ---- at configuration -------------------------------------------------- */

ngx_int_t
ngx_http_stoa_redis_init(ngx_conf_t *cf, ngx_http_stoa_redis_conf_t *conf)
{
#if (NGX_HTTP_SSL)
    if (conf->data.tls || conf->sentinel.tls) {
        conf->ssl = ngx_http_stoa_fetch_ssl(cf, &conf->tls_ca);

        if (conf->ssl == NULL) {
            return NGX_ERROR;
        }
    }
#endif

    return NGX_OK;
}
