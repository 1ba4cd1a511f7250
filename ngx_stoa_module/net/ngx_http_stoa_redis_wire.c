/*
 * A server of Redis: being let in, writing, reading.
 */

#include "ngx_http_stoa_redis_node.h"


#define REDIS_READ      16384
#define REDIS_PATIENCE  500                     /* ms, for an answer         */

#if (HIREDIS_MAJOR >= 1)
typedef size_t  redis_count_t;
#else
typedef int     redis_count_t;
#endif


static ngx_int_t ngx_http_stoa_redis_own(ngx_http_stoa_redis_node_t *node,
    int argc, const char **argv, const size_t *lens);
static void ngx_http_stoa_redis_let_in(ngx_http_stoa_redis_node_t *node,
    ngx_http_stoa_redis_cmd_t *cmd, redisReply *reply);
static ngx_int_t ngx_http_stoa_redis_gather(ngx_http_stoa_redis_node_t *node);
static void ngx_http_stoa_redis_replies(ngx_http_stoa_redis_node_t *node);
static void ngx_http_stoa_redis_took(ngx_http_stoa_redis_node_t *node,
    redisReply *reply);
static void *ngx_http_stoa_redis_array(const redisReadTask *task,
    redis_count_t n);


static redisReplyObjectFunctions    ngx_http_stoa_redis_objects;
static void  *(*ngx_http_stoa_redis_plain)(const redisReadTask *,
                                           redis_count_t);
/* Lent for one read; what was last wrong. */
static char                         ngx_http_stoa_redis_buffer[REDIS_READ];
static char                         ngx_http_stoa_redis_why[256];


redisReader *
ngx_http_stoa_redis_reader(void)
{
    redisReader  *reader;

    reader = redisReaderCreate();
    if (reader == NULL) {
        return NULL;
    }

    if (ngx_http_stoa_redis_plain == NULL) {
        ngx_http_stoa_redis_objects = *reader->fn;
        ngx_http_stoa_redis_plain = ngx_http_stoa_redis_objects.createArray;
        ngx_http_stoa_redis_objects.createArray = ngx_http_stoa_redis_array;
    }

    reader->fn = &ngx_http_stoa_redis_objects;

    return reader;
}


/* Of garbage, too, no more is allocated than an answer may have. */

static void *
ngx_http_stoa_redis_array(const redisReadTask *task, redis_count_t n)
{
    return n <= NGX_HTTP_STOA_REDIS_ITEMS ? ngx_http_stoa_redis_plain(task, n)
                                          : NULL;
}


ngx_http_stoa_redis_cmd_t *
ngx_http_stoa_redis_cmd(int argc, const char **argv, const size_t *lens)
{
    int                         len;
    char                       *text;
    ngx_http_stoa_redis_cmd_t  *cmd;

    len = redisFormatCommandArgv(&text, argc, argv, lens);
    if (len < 0) {
        return NULL;
    }

    cmd = ngx_calloc(sizeof(ngx_http_stoa_redis_cmd_t), ngx_cycle->log);
    if (cmd == NULL) {
        redisFreeCommand(text);
        return NULL;
    }

    cmd->text = (u_char *) text;
    cmd->len = (size_t) len;

    return cmd;
}


void
ngx_http_stoa_redis_cmd_free(ngx_http_stoa_redis_cmd_t *cmd)
{
    redisFreeCommand((char *) cmd->text);

    if (cmd->full) {
        redisFreeCommand(cmd->full);
    }

    ngx_free(cmd);
}


void
ngx_http_stoa_redis_login(ngx_http_stoa_redis_node_t *node)
{
    char                          db[NGX_INT_T_LEN];
    size_t                        lens[3];
    const char                   *argv[3];
    ngx_int_t                     rc;
    ngx_uint_t                    n;
    ngx_http_stoa_redis_conf_t   *conf;
    ngx_http_stoa_redis_login_t  *login;

    conf = node->conf;
    login = node->sentinel ? &conf->sentinel : &conf->data;
    rc = NGX_OK;
    n = 0;

    argv[n] = "AUTH";
    lens[n++] = 4;

    if (login->user.len) {
        argv[n] = (char *) login->user.data;
        lens[n++] = login->user.len;
    }

    if (login->password.len) {
        argv[n] = (char *) login->password.data;
        lens[n++] = login->password.len;
        rc = ngx_http_stoa_redis_own(node, (int) n, argv, lens);
    }

    if (rc == NGX_OK && conf->db && !node->sentinel) {
        argv[0] = "SELECT";
        argv[1] = db;
        lens[0] = 6;
        lens[1] = ngx_sprintf((u_char *) db, "%ui", conf->db)
                  - (u_char *) db;
        rc = ngx_http_stoa_redis_own(node, 2, argv, lens);
    }

    if (rc == NGX_OK) {
        argv[0] = node->sentinel || conf->mode == NGX_HTTP_STOA_REDIS_CLUSTER
                  ? "PING" : "ROLE";
        lens[0] = 4;
        rc = ngx_http_stoa_redis_own(node, 1, argv, lens);
    }

    if (rc != NGX_OK) {
        node->broken = "no memory";
        return;
    }

    node->state = NGX_HTTP_STOA_REDIS_LOGIN;
    ngx_http_stoa_redis_write(node);
}


/* Before all that waits. */

static ngx_int_t
ngx_http_stoa_redis_own(ngx_http_stoa_redis_node_t *node, int argc,
    const char **argv, const size_t *lens)
{
    u_char                     *out;
    ngx_http_stoa_redis_cmd_t  *cmd;

    cmd = ngx_http_stoa_redis_cmd(argc, argv, lens);
    out = cmd ? ngx_alloc(node->out_len + cmd->len, node->log)
              : NULL;

    if (out == NULL) {
        if (cmd) {
            ngx_http_stoa_redis_cmd_free(cmd);
        }

        return NGX_ERROR;
    }

    if (node->out) {
        ngx_memcpy(out, node->out, node->out_len);
        ngx_explicit_memzero(node->out, node->out_len);
        ngx_free(node->out);
    }

    ngx_memcpy(out + node->out_len, cmd->text, cmd->len);
    ngx_explicit_memzero(cmd->text, cmd->len);

    node->out = out;
    node->out_len += cmd->len;
    cmd->own = 1;
    ngx_queue_insert_tail(&node->sent, &cmd->queue);
    node->waiting++;

    return NGX_OK;
}


static void
ngx_http_stoa_redis_let_in(ngx_http_stoa_redis_node_t *node,
    ngx_http_stoa_redis_cmd_t *cmd, redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR) {
        (void) snprintf(ngx_http_stoa_redis_why,
                        sizeof(ngx_http_stoa_redis_why), "it said: %.200s",
                        reply->str);
        node->broken = ngx_http_stoa_redis_why;

    } else if (reply->type == REDIS_REPLY_ARRAY
               && (reply->elements == 0
                   || reply->element[0]->type != REDIS_REPLY_STRING
                   || ngx_strcmp(reply->element[0]->str, "master") != 0))
    {
        node->broken = "it is no master";
        node->owner->demoted(node);

    } else if (ngx_queue_empty(&node->sent)) {
        node->state = NGX_HTTP_STOA_REDIS_READY;
        node->fails = 0;

        if (node->connection->write->timer_set) {
            ngx_del_timer(node->connection->write);
        }

        ngx_post_event(&node->flush, &ngx_posted_events);
    }

    ngx_http_stoa_redis_cmd_free(cmd);
}


/* All that is ready, as one piece. */

static ngx_int_t
ngx_http_stoa_redis_gather(ngx_http_stoa_redis_node_t *node)
{
    u_char                     *p;
    size_t                      len;
    ngx_queue_t                *q;
    ngx_http_stoa_redis_cmd_t  *cmd;

    static const char  asking[] = "*1\r\n$6\r\nASKING\r\n";

    len = 0;

    for (q = ngx_queue_head(&node->ready);
         q != ngx_queue_sentinel(&node->ready);
         q = ngx_queue_next(q))
    {
        cmd = ngx_queue_data(q, ngx_http_stoa_redis_cmd_t, queue);
        len += cmd->len + (cmd->asking ? sizeof(asking) - 1 : 0);
    }

    node->out = ngx_alloc(len, node->log);
    if (node->out == NULL) {
        return NGX_ERROR;
    }

    node->out_len = len;
    node->out_at = 0;
    p = node->out;

    while (!ngx_queue_empty(&node->ready)) {
        q = ngx_queue_head(&node->ready);
        ngx_queue_remove(q);
        cmd = ngx_queue_data(q, ngx_http_stoa_redis_cmd_t, queue);

        if (cmd->asking) {
            p = ngx_cpymem(p, asking, sizeof(asking) - 1);
        }

        p = ngx_cpymem(p, cmd->text, cmd->len);
        ngx_queue_insert_tail(&node->sent, &cmd->queue);
    }

    return NGX_OK;
}


void
ngx_http_stoa_redis_write(ngx_http_stoa_redis_node_t *node)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = node->connection;

    for ( ;; ) {

        if (node->out == NULL) {

            if (node->state != NGX_HTTP_STOA_REDIS_READY
                || ngx_queue_empty(&node->ready))
            {
                break;
            }

            if (ngx_http_stoa_redis_gather(node) != NGX_OK) {
                node->broken = "no memory";
                return;
            }
        }

        n = c->send(c, node->out + node->out_at, node->out_len - node->out_at);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n <= 0) {
            node->broken = "the connection broke";
            return;
        }

        node->out_at += (size_t) n;

        if (node->out_at == node->out_len) {
            ngx_free(node->out);
            node->out = NULL;
            node->out_len = 0;
            node->out_at = 0;
        }
    }

    if (!ngx_queue_empty(&node->sent) && !c->read->timer_set) {
        ngx_add_timer(c->read, REDIS_PATIENCE);
    }

    if (ngx_handle_write_event(c->write, 0) != NGX_OK
        || ngx_handle_read_event(c->read, 0) != NGX_OK)
    {
        node->broken = "the connection broke";
    }
}


void
ngx_http_stoa_redis_read(ngx_http_stoa_redis_node_t *node)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = node->connection;

    while (node->broken == NULL) {

        n = c->recv(c, (u_char *) ngx_http_stoa_redis_buffer, REDIS_READ);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n <= 0) {
            node->broken = "it closed the connection";
            return;
        }

        if (redisReaderFeed(node->reader, ngx_http_stoa_redis_buffer,
                            (size_t) n)
            != REDIS_OK)
        {
            node->broken = "what it says is no RESP";
            return;
        }

        node->came += (size_t) n;
        ngx_http_stoa_redis_replies(node);
    }

    if (node->broken) {
        return;
    }

    if (c->read->timer_set && ngx_queue_empty(&node->sent)) {
        ngx_del_timer(c->read);

    } else if (!ngx_queue_empty(&node->sent) && !ngx_exiting) {
        ngx_add_timer(c->read, REDIS_PATIENCE);
    }

    if (ngx_exiting && node->waiting == 0) {
        node->broken = "the worker exits";
        return;
    }

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        node->broken = "the connection broke";
    }
}


static void
ngx_http_stoa_redis_replies(ngx_http_stoa_redis_node_t *node)
{
    void  *reply;

    while (node->broken == NULL) {
        reply = NULL;

        if (redisReaderGetReply(node->reader, &reply) != REDIS_OK) {
            node->broken = "what it says is no RESP";
            return;
        }

        if (reply == NULL) {

            /* the reader keeps no bytes of elements that it has read */

            if (node->came > NGX_HTTP_STOA_REDIS_REPLY) {
                node->broken = "its answer is too long";
            }

            return;
        }

        node->came = node->reader->len - node->reader->pos;

        if (ngx_queue_empty(&node->sent)) {
            node->broken = "it answers what was not asked";

        } else {
            ngx_http_stoa_redis_took(node, reply);
        }

        freeReplyObject(reply);
    }
}


static void
ngx_http_stoa_redis_took(ngx_http_stoa_redis_node_t *node, redisReply *reply)
{
    ngx_queue_t                *q;
    ngx_http_stoa_redis_cmd_t  *cmd;

    q = ngx_queue_head(&node->sent);
    cmd = ngx_queue_data(q, ngx_http_stoa_redis_cmd_t, queue);

    if (cmd->asking) {
        cmd->asking = 0;                        /* the answer to that        */
        return;
    }

    ngx_queue_remove(q);
    node->waiting--;

    if (cmd->own) {
        ngx_http_stoa_redis_let_in(node, cmd, reply);
        return;
    }

    if (reply->type == REDIS_REPLY_ERROR
        && strstr(reply->str, "READONLY") != NULL)
    {
        node->broken = "it is no master any more";
        node->owner->demoted(node);
    }

    node->owner->answer(node, cmd, reply, NULL);
}
