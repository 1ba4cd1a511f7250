/*
 * stoa_redis ADDRESS ... [cluster] [sentinel=MASTER] [...];
 *
 * A parameter is a row of the table below.
 */

#include "ngx_http_stoa_conf.h"
#include "ngx_http_stoa_redis.h"


#define CONF_REDIS_PREFIX   64
#define CONF_REDIS_POOLS    1048576


typedef enum {
    CONF_REDIS_WORD = 0,                        /* text                      */
    CONF_REDIS_SECRET,                          /* a file that holds it      */
    CONF_REDIS_NUMBER,
    CONF_REDIS_TIME,
    CONF_REDIS_FLAG
} ngx_http_stoa_conf_redis_e;

typedef struct {
    ngx_str_t                   name;           /* with its "="              */
    ngx_http_stoa_conf_redis_e  type;
    size_t                      offset;
    ngx_int_t                   min;
    ngx_int_t                   max;            /* of a word: its length     */
} ngx_http_stoa_conf_redis_row_t;


static char *ngx_http_stoa_conf_redis_value(ngx_conf_t *cf,
    ngx_http_stoa_redis_conf_t *redis,
    const ngx_http_stoa_conf_redis_row_t *row, ngx_str_t *arg);
static char *ngx_http_stoa_conf_redis_address(ngx_conf_t *cf,
    ngx_http_stoa_redis_conf_t *redis, ngx_str_t *arg);
static char *ngx_http_stoa_conf_redis_whole(ngx_conf_t *cf,
    ngx_http_stoa_redis_conf_t *redis);


#define ROW(name, type, field, min, max)                                      \
    { ngx_string(name), CONF_REDIS_##type,                                    \
      offsetof(ngx_http_stoa_redis_conf_t, field), min, max }

static const ngx_http_stoa_conf_redis_row_t  ngx_http_stoa_conf_redis_rows[] =
{
    ROW("sentinel=", WORD, master, 1, 128),
    ROW("user=", WORD, data.user, 1, 128),
    ROW("password_file=", SECRET, data.password, 0, 0),
    ROW("sentinel_user=", WORD, sentinel.user, 1, 128),
    ROW("sentinel_password_file=", SECRET, sentinel.password, 0, 0),
    ROW("db=", NUMBER, db, 0, 65535),
    ROW("tls", FLAG, data.tls, 0, 0),
    ROW("sentinel_tls", FLAG, sentinel.tls, 0, 0),
    ROW("tls_name=", WORD, tls_name, 1, STOA_HOST_MAX),
    ROW("tls_ca=", WORD, tls_ca, 1, NGX_MAX_PATH),
    ROW("timeout=", TIME, timeout, 1, 1000),
    ROW("prefix=", WORD, prefix, 1, CONF_REDIS_PREFIX),
    ROW("budgets=", NUMBER, pools, 64, CONF_REDIS_POOLS),
    { ngx_null_string, CONF_REDIS_FLAG, 0, 0, 0 }
};


char *
ngx_http_stoa_conf_redis(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_stoa_main_conf_t *mcf = conf;

    char                                  *rv;
    ngx_str_t                             *value;
    ngx_uint_t                             i;
    ngx_http_stoa_redis_conf_t            *redis;
    const ngx_http_stoa_conf_redis_row_t  *row;

    if (mcf->redis) {
        return "is duplicate";
    }

    redis = ngx_pcalloc(cf->pool, sizeof(ngx_http_stoa_redis_conf_t));
    if (redis == NULL) {
        return NGX_CONF_ERROR;
    }

    mcf->redis = redis;
    redis->timeout = 20;
    redis->pools = 16384;
    ngx_str_set(&redis->prefix, "stoa");

    value = cf->args->elts;

    for (i = 1; i < cf->args->nelts; i++) {

        for (row = ngx_http_stoa_conf_redis_rows; row->name.len; row++) {
            if (value[i].len >= row->name.len
                && ngx_strncmp(value[i].data, row->name.data, row->name.len)
                   == 0
                && (row->type != CONF_REDIS_FLAG
                    || value[i].len == row->name.len))
            {
                break;
            }
        }

        if (row->name.len) {
            rv = ngx_http_stoa_conf_redis_value(cf, redis, row, &value[i]);

        } else if (ngx_strcmp(value[i].data, "cluster") == 0) {
            redis->mode = NGX_HTTP_STOA_REDIS_CLUSTER;
            rv = NGX_CONF_OK;

        } else {
            rv = ngx_http_stoa_conf_redis_address(cf, redis, &value[i]);
        }

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    return ngx_http_stoa_conf_redis_whole(cf, redis);
}


static char *
ngx_http_stoa_conf_redis_value(ngx_conf_t *cf,
    ngx_http_stoa_redis_conf_t *redis,
    const ngx_http_stoa_conf_redis_row_t *row, ngx_str_t *arg)
{
    void       *field;
    ngx_int_t   n;
    ngx_str_t   s, name;

    field = (u_char *) redis + row->offset;
    s.data = arg->data + row->name.len;
    s.len = arg->len - row->name.len;

    switch (row->type) {

    case CONF_REDIS_FLAG:
        *(ngx_flag_t *) field = 1;
        return NGX_CONF_OK;

    case CONF_REDIS_SECRET:
        ngx_str_set(&name, "stoa_redis");
        return ngx_http_stoa_conf_secret(cf, &name, &s, field);

    case CONF_REDIS_WORD:
        *(ngx_str_t *) field = s;
        n = (ngx_int_t) s.len;
        break;

    case CONF_REDIS_TIME:
        n = ngx_parse_time(&s, 0);
        *(ngx_msec_t *) field = (ngx_msec_t) n;
        break;

    default:
        n = ngx_atoi(s.data, s.len);
        *(ngx_uint_t *) field = (ngx_uint_t) n;
    }

    if (n < row->min || n > row->max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\" of "
                           "\"stoa_redis\": %s %i to %i%s", arg,
                           row->type == CONF_REDIS_WORD ? "it has" : "from",
                           row->min, row->max,
                           row->type == CONF_REDIS_WORD ? " characters"
                           : row->type == CONF_REDIS_TIME ? " ms" : "");
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_stoa_conf_redis_address(ngx_conf_t *cf,
    ngx_http_stoa_redis_conf_t *redis, ngx_str_t *arg)
{
    u_char      *colon;
    ngx_int_t    port;
    ngx_uint_t   i;

    colon = arg->data + arg->len;

    while (colon > arg->data && colon[-1] != ':') {
        colon--;
    }

    port = ngx_atoi(colon, arg->data + arg->len - colon);

    if (colon < arg->data + 2 || port < 1 || port > 65535
        || arg->len > STOA_HOST_MAX + 6 || ngx_strchr(arg->data, '=')
        || ngx_strchr(arg->data, '/'))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\" of "
                           "\"stoa_redis\": it is no HOST:PORT and none of "
                           "its parameters", arg);
        return NGX_CONF_ERROR;
    }

    if (redis->naddrs == NGX_HTTP_STOA_REDIS_ADDRS) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"stoa_redis\" has more "
                           "than %d addresses", NGX_HTTP_STOA_REDIS_ADDRS);
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < redis->naddrs; i++) {
        if (redis->addrs[i].len == arg->len
            && ngx_strncasecmp(redis->addrs[i].data, arg->data, arg->len)
               == 0)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "duplicate address "
                               "\"%V\" of \"stoa_redis\"", arg);
            return NGX_CONF_ERROR;
        }
    }

    redis->addrs[redis->naddrs++] = *arg;

    return NGX_CONF_OK;
}


static char *
ngx_http_stoa_conf_redis_whole(ngx_conf_t *cf,
    ngx_http_stoa_redis_conf_t *redis)
{
    size_t       i;
    const char  *wrong;

    wrong = NULL;

    if (redis->master.len) {
        wrong = redis->mode == NGX_HTTP_STOA_REDIS_CLUSTER
                ? "is either sentinel= or cluster" : NULL;
        redis->mode = NGX_HTTP_STOA_REDIS_SENTINEL;
    }

    if (redis->naddrs == 0) {
        wrong = "has no address";

    } else if (redis->naddrs > 1 && redis->mode == NGX_HTTP_STOA_REDIS_SINGLE)
    {
        wrong = "has several addresses, but neither sentinel= nor cluster";

    } else if (redis->mode == NGX_HTTP_STOA_REDIS_CLUSTER && redis->db) {
        wrong = "has db=, but a Cluster has one database";

    } else if (redis->data.user.len && redis->data.password.len == 0) {
        wrong = "has user= without password_file=";

    } else if (redis->mode != NGX_HTTP_STOA_REDIS_SENTINEL
               && (redis->sentinel.tls || redis->sentinel.user.len
                   || redis->sentinel.password.len))
    {
        wrong = "says something of Sentinels, but has no sentinel=";

    } else if (redis->sentinel.user.len && redis->sentinel.password.len == 0) {
        wrong = "has sentinel_user= without sentinel_password_file=";

    } else if ((redis->tls_ca.len || redis->tls_name.len)
               && !redis->data.tls && !redis->sentinel.tls)
    {
        wrong = "has tls_ca= or tls_name=, but no tls";
    }

    for (i = 0; i < redis->prefix.len; i++) {
        if (ngx_strchr("{} \"'", redis->prefix.data[i])) {
            wrong = "has a prefix= with braces, quotes or spaces";
        }
    }

    if (wrong) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"stoa_redis\" %s", wrong);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}
