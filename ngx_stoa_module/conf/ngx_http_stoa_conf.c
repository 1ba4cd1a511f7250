/*
 * Setters and checks.  Each message names the directive, the value and what
 * would be right.
 */

#include "ngx_http_stoa_conf.h"
#include "ngx_http_stoa_upstream.h"
#include "ngx_http_stoa_env.h"
#include "core/stoa_key.h"
#include "core/stoa_state.h"


static ngx_int_t ngx_http_stoa_conf_http_url(ngx_conf_t *cf,
    ngx_str_t *directive, ngx_str_t *url);
static ngx_int_t ngx_http_stoa_conf_size(ngx_conf_t *cf, ngx_str_t *arg,
    size_t prefix, size_t min, size_t *size);
static void ngx_http_stoa_conf_sessions_default(
    ngx_http_stoa_mcp_sessions_t *s);
static char *ngx_http_stoa_conf_time(ngx_conf_t *cf, ngx_msec_t *slot,
    ngx_int_t min, ngx_int_t max, const char *what);


void *
ngx_http_stoa_conf_create_main(ngx_conf_t *cf)
{
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_stoa_main_conf_t));
    if (mcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc(): all strings, zone, sh, store, counters, upstream,
     *     enabled
     */

    mcf->zone_full_deny = 1;
    mcf->max_stale = NGX_CONF_UNSET_MSEC;
    mcf->usage_interval = NGX_CONF_UNSET_MSEC;
    mcf->mcp_keepalive = NGX_CONF_UNSET_MSEC;
    mcf->trace_sample = NGX_CONF_UNSET;
    mcf->mcp_streams = NGX_CONF_UNSET;
    mcf->mcp_input = NGX_CONF_UNSET_MSEC;
    mcf->dpop_age = NGX_CONF_UNSET_MSEC;
    mcf->dpop_ahead = NGX_CONF_UNSET_MSEC;

    return mcf;
}


char *
ngx_http_stoa_conf_init_main(ngx_conf_t *cf, void *conf)
{
    ngx_http_stoa_main_conf_t *mcf = conf;

    ngx_conf_init_msec_value(mcf->max_stale, 0);
    ngx_conf_init_msec_value(mcf->usage_interval, 2000);
    ngx_conf_init_msec_value(mcf->mcp_keepalive, 15000);
    ngx_conf_init_value(mcf->trace_sample, 0);
    ngx_conf_init_value(mcf->mcp_streams, 1000);

    if (mcf->mcp_sessions.idle == 0) {
        ngx_http_stoa_conf_sessions_default(&mcf->mcp_sessions);
    }

    ngx_conf_init_msec_value(mcf->mcp_input, 300000);
    ngx_conf_init_msec_value(mcf->dpop_age, 60000);
    ngx_conf_init_msec_value(mcf->dpop_ahead, 5000);

    if (!mcf->allowed
        && stoa_allow_add(&mcf->upstream_allow, "private", 7) != STOA_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


void *
ngx_http_stoa_conf_create_loc(ngx_conf_t *cf)
{
    ngx_http_stoa_loc_conf_t  *slcf;

    slcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_stoa_loc_conf_t));
    if (slcf == NULL) {
        return NULL;
    }

    slcf->mode = NGX_CONF_UNSET_UINT;
    slcf->legacy_headers = NGX_CONF_UNSET;
    slcf->mcp_refusal = NGX_CONF_UNSET_UINT;
    slcf->fast = NGX_CONF_UNSET;

    return slcf;
}


/*
 * stoa_protect guards what is inside its location too.  "stoa" is a content
 * handler, which nginx hands on only to the blocks of "if" and "limit_except".
 */

char *
ngx_http_stoa_conf_merge_loc(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_stoa_loc_conf_t *prev = parent;
    ngx_http_stoa_loc_conf_t *conf = child;

    ngx_http_core_loc_conf_t  *clcf;

    ngx_conf_merge_value(conf->legacy_headers, prev->legacy_headers, 0);
    ngx_conf_merge_uint_value(conf->mcp_refusal, prev->mcp_refusal,
                              NGX_HTTP_STOA_MCP_RPC);
    ngx_conf_merge_value(conf->fast, prev->fast, 1);

    if (conf->mode != NGX_CONF_UNSET_UINT) {
        return NGX_CONF_OK;
    }

    conf->mode = NGX_HTTP_STOA_OFF;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (prev->mode == NGX_HTTP_STOA_PROTECT
        || ((prev->mode == NGX_HTTP_STOA_FULL
             || prev->mode == NGX_HTTP_STOA_AUTHZ)
            && (clcf->noname || clcf->lmt_excpt)))
    {
        conf->front = prev->front;
        conf->mode = prev->mode;
        conf->tenant = prev->tenant;
        conf->api = prev->api;
    }

    return NGX_CONF_OK;
}


/* stoa_control_plane URL [ca=FILE]; */

char *
ngx_http_stoa_conf_control_plane(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_stoa_main_conf_t *mcf = conf;

    ngx_str_t  *value, ca;

    if (mcf->control_plane.len) {
        return "is duplicate";
    }

    value = cf->args->elts;
    mcf->control_plane = value[1];

    if (ngx_http_stoa_conf_http_url(cf, &cmd->name, &mcf->control_plane)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (cf->args->nelts == 2) {
        return NGX_CONF_OK;
    }

    if (ngx_strncmp(value[2].data, "ca=", 3) != 0 || value[2].len == 3) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter \"%V\" of "
                           "\"stoa_control_plane\", it must be ca=FILE",
                           &value[2]);
        return NGX_CONF_ERROR;
    }

    ca.data = value[2].data + 3;
    ca.len = value[2].len - 3;

    if (ngx_http_stoa_conf_file_read(cf, &cmd->name, &ca, NGX_HTTP_STOA_CA_MAX,
                                &mcf->control_ca)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return mcf->control_ca.len < NGX_HTTP_STOA_CA_MAX ? NGX_CONF_OK
                                                      : "has too long a ca";
}


/* http(s)://host[:port][/path], with neither a slash at the end, user, query
 * nor fragment. */

static ngx_int_t
ngx_http_stoa_conf_http_url(ngx_conf_t *cf, ngx_str_t *directive,
    ngx_str_t *url)
{
    size_t       i, host;
    const char  *why;

    why = NULL;

    while (url->len && url->data[url->len - 1] == '/') {
        url->len--;
    }

    if (ngx_strncmp(url->data, "http://", 7) == 0) {
        host = 7;

    } else if (ngx_strncmp(url->data, "https://", 8) == 0) {
        host = 8;

    } else {
        host = 0;
        why = "it must begin with http:// or https://";
    }

    if (why == NULL && (url->len <= host || url->data[host] == ':'
                        || url->data[host] == '/'))
    {
        why = "it has no host";
    }

    if (why == NULL && url->len > 512) {
        why = "it is longer than 512 bytes";
    }

    for (i = host; why == NULL && i < url->len; i++) {
        if (ngx_strchr("?#@\"'<>\\ ", url->data[i]) || url->data[i] < 0x20
            || url->data[i] > 0x7e)
        {
            why = "it must be host, port and path only";
        }
    }

    if (why == NULL) {
        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid URL \"%V\" of \"%V\": "
                       "%s", url, directive, why);

    return NGX_ERROR;
}


/* stoa_gateway_group NAME; */

char *
ngx_http_stoa_conf_group(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_stoa_main_conf_t *mcf = conf;

    ngx_str_t  *value;

    if (mcf->group.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (!stoa_name_valid((char *) value[1].data, value[1].len)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name \"%V\" of \"stoa_gateway_group\": it "
                           "must be a-z, 0-9 and inner hyphens, at most %d "
                           "characters", &value[1], STOA_NAME_MAX);
        return NGX_CONF_ERROR;
    }

    mcf->group = value[1];

    return NGX_CONF_OK;
}


/* stoa_store DIR [size=SIZE] [counters=SIZE]; */

char *
ngx_http_stoa_conf_store(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_stoa_main_conf_t *mcf = conf;

    ngx_int_t    rc;
    ngx_str_t   *value;
    ngx_uint_t   i;

    if (mcf->store_dir.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    mcf->store_size = 1024 * 1024 * 1024;
    mcf->counters_size = 64 * 1024 * 1024;

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "size=", 5) == 0) {
            rc = ngx_http_stoa_conf_size(cf, &value[i], 5,
                                         NGX_HTTP_STOA_STORE_SIZE_MIN,
                                         &mcf->store_size);

        } else if (ngx_strncmp(value[i].data, "counters=", 9) == 0) {
            rc = ngx_http_stoa_conf_size(cf, &value[i], 9,
                                         NGX_HTTP_STOA_COUNTERS_MIN,
                                         &mcf->counters_size);

        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" of \"stoa_store\", "
                               "it must be size=SIZE or counters=SIZE",
                               &value[i]);
            rc = NGX_ERROR;
        }

        if (rc != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    mcf->store_dir = value[1];

    while (mcf->store_dir.len > 1
           && mcf->store_dir.data[mcf->store_dir.len - 1] == '/')
    {
        mcf->store_dir.data[--mcf->store_dir.len] = '\0';
    }

    if (ngx_conf_full_name(cf->cycle, &mcf->store_dir, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (mcf->store_dir.len > NGX_MAX_PATH - 64) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "the path \"%V\" of \"stoa_store\" is too long",
                           &mcf->store_dir);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_stoa_conf_size(ngx_conf_t *cf, ngx_str_t *arg, size_t prefix,
    size_t min, size_t *size)
{
    off_t      n;
    ngx_str_t  s;

    s.data = arg->data + prefix;
    s.len = arg->len - prefix;

    n = ngx_parse_offset(&s);

    if (n == NGX_ERROR || n < (off_t) min || n > (off_t) (1ULL << 42)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid \"%V\" of \"stoa_store\": it must be a "
                           "size from %uz bytes to 4096g", arg, min);
        return NGX_ERROR;
    }

    *size = ngx_align((size_t) n, 65536);

    return NGX_OK;
}


/* stoa_max_stale TIME|off; */

char *
ngx_http_stoa_conf_max_stale(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_stoa_main_conf_t *mcf = conf;

    ngx_str_t  *value;

    value = cf->args->elts;

    if (mcf->max_stale == NGX_CONF_UNSET_MSEC
        && ngx_strcmp(value[1].data, "off") == 0)
    {
        mcf->max_stale = 0;
        return NGX_CONF_OK;
    }

    return ngx_http_stoa_conf_time(cf, &mcf->max_stale, 5000,
                                   NGX_MAX_INT_T_VALUE,
                                   "off or a time of at least 5s");
}


static char *
ngx_http_stoa_conf_time(ngx_conf_t *cf, ngx_msec_t *slot, ngx_int_t min,
    ngx_int_t max, const char *what)
{
    ngx_int_t   n;
    ngx_str_t  *value;

    if (*slot != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;
    n = ngx_parse_time(&value[1], 0);

    if (n == NGX_ERROR || n < min || n > max) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" of \"%V\": it must be %s",
                           &value[1], &value[0], what);
        return NGX_CONF_ERROR;
    }

    *slot = (ngx_msec_t) n;

    return NGX_CONF_OK;
}


/* stoa_upstream_allow ADDRESS|RANGE|private|loopback|none ...; */

char *
ngx_http_stoa_conf_allow(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_stoa_main_conf_t *mcf = conf;

    stoa_rc_t    rc;
    ngx_str_t   *value;
    ngx_uint_t   i;

    value = cf->args->elts;
    mcf->allowed = 1;

    for (i = 1; i < cf->args->nelts; i++) {
        rc = stoa_allow_add(&mcf->upstream_allow, (char *) value[i].data,
                            value[i].len);

        if (rc != STOA_OK) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid value \"%V\" of "
                               "\"stoa_upstream_allow\": %s", &value[i],
                               rc == STOA_FULL ? "too many" : "it must be an "
                               "address, a range, private, loopback or none");
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* stoa_usage_interval TIME; */

char *
ngx_http_stoa_conf_interval(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_stoa_main_conf_t *mcf = conf;

    return ngx_http_stoa_conf_time(cf, &mcf->usage_interval, 100, 3600000,
                                   "a time from 100ms to 1h");
}


/* stoa_mcp_keepalive TIME; */

char *
ngx_http_stoa_conf_keepalive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_stoa_main_conf_t *mcf = conf;

    return ngx_http_stoa_conf_time(cf, &mcf->mcp_keepalive, 1000, 3600000,
                                   "a time from 1s to 1h");
}


static void
ngx_http_stoa_conf_sessions_default(ngx_http_stoa_mcp_sessions_t *s)
{
    s->api = 4000;
    s->application = 1000;
    s->idle = 3600000;
    s->rate = 6000;
}


/* stoa_mcp_sessions [api=N] [application=N] [rate=N] [idle=TIME]; */

char *
ngx_http_stoa_conf_sessions(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_stoa_main_conf_t *mcf = conf;

    ngx_int_t                      n;
    ngx_str_t                     *value, text;
    ngx_uint_t                     i;
    ngx_http_stoa_mcp_sessions_t  *s;

    (void) cmd;

    value = cf->args->elts;
    s = &mcf->mcp_sessions;

    if (s->idle) {
        return "is duplicate";
    }

    ngx_http_stoa_conf_sessions_default(s);

    for (i = 1; i < cf->args->nelts; i++) {
        text.data = ngx_strlchr(value[i].data, value[i].data + value[i].len,
                                '=');
        n = NGX_ERROR;

        if (text.data++) {
            text.len = value[i].data + value[i].len - text.data;
            n = ngx_strncmp(value[i].data, "idle=", 5) == 0
                ? ngx_parse_time(&text, 0) : ngx_atoi(text.data, text.len);
        }

        if (n >= 1000 && n <= 86400000
            && ngx_strncmp(value[i].data, "idle=", 5) == 0)
        {
            s->idle = n;

        } else if (n >= 1 && n <= 1000000
                   && ngx_strncmp(value[i].data, "api=", 4) == 0)
        {
            s->api = n;

        } else if (n >= 1 && n <= 1000000
                   && ngx_strncmp(value[i].data, "application=", 12) == 0)
        {
            s->application = n;

        } else if (n >= 1 && n <= 1000000
                   && ngx_strncmp(value[i].data, "rate=", 5) == 0)
        {
            s->rate = n;

        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" of "
                               "\"stoa_mcp_sessions\", it must be api=NUMBER, "
                               "application=NUMBER, rate=NUMBER (1 to "
                               "1000000) or idle=TIME (1s to 1d)", &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/* stoa_mcp_input_timeout TIME; */

char *
ngx_http_stoa_conf_input(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_stoa_main_conf_t *mcf = conf;

    return ngx_http_stoa_conf_time(cf, &mcf->mcp_input, 1000, 3600000,
                                   "a time from 1s to 1h");
}


/* stoa_external_url URL; */

char *
ngx_http_stoa_conf_url(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t  *value, *url;

    url = (ngx_str_t *) ((char *) conf + cmd->offset);

    if (url->data) {
        return "is duplicate";
    }

    value = cf->args->elts;
    *url = value[1];

    return ngx_http_stoa_conf_http_url(cf, &cmd->name, url) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/* stoa_peer URL;  It is part of what is sealed, hence short. */

char *
ngx_http_stoa_conf_peer(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char                       *rv;
    ngx_str_t                  *url;
    ngx_http_stoa_main_conf_t  *mcf = conf;

    rv = ngx_http_stoa_conf_url(cf, cmd, conf);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    url = &mcf->peer;

    if (url->len > STOA_PEER_MAX) {
        return "has too long a URL";
    }

    return ngx_strlchr(url->data + sizeof("https://") - 1,
                       url->data + url->len, '/')
           ? "has a URL with a path" : NGX_CONF_OK;
}


ngx_int_t
ngx_http_stoa_conf_used(ngx_conf_t *cf)
{
    ngx_str_t                  *value;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_stoa_module);

    if (!mcf->enabled) {
        value = cf->args->elts;

        mcf->enabled = 1;
        mcf->used_what = value[0];
        mcf->used_file = cf->conf_file->file.name;
        mcf->used_line = cf->conf_file->line;
    }

    return NGX_OK;
}


/* stoa;  The settings of the proxy module follow in ngx_http_stoa_macro.c,
 * when the location has been read. */

char *
ngx_http_stoa_conf_stoa(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_stoa_loc_conf_t *slcf = conf;

    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_stoa_main_conf_t  *mcf;

    if (slcf->mode == NGX_HTTP_STOA_FULL) {
        return "is duplicate";
    }

    if (slcf->mode != NGX_CONF_UNSET_UINT) {
        return "cannot be in one location with \"stoa_protect\" or "
               "\"stoa_authz\"";
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler) {
        return "cannot be in one location with another content handler, such "
               "as \"proxy_pass\"";
    }

    (void) ngx_http_stoa_conf_used(cf);

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_stoa_module);

    slcf->mode = NGX_HTTP_STOA_FULL;
    slcf->file = cf->conf_file->file.name;
    slcf->line = cf->conf_file->line;

    return ngx_http_stoa_upstream_add(cf, mcf) == NGX_OK ? NGX_CONF_OK
                                                         : NGX_CONF_ERROR;
}


/* stoa_protect tenant=NAME api=NAME;  stoa_protect off; */

char *
ngx_http_stoa_conf_protect(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_stoa_loc_conf_t *slcf = conf;

    ngx_str_t   *value, *name;
    ngx_uint_t   i;

    if (slcf->mode == NGX_HTTP_STOA_FULL) {
        return "cannot be in one location with \"stoa\"";
    }

    if (slcf->mode != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        slcf->mode = NGX_HTTP_STOA_OFF;
        return NGX_CONF_OK;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "tenant=", 7) == 0) {
            name = &slcf->tenant;
            name->data = value[i].data + 7;

        } else if (ngx_strncmp(value[i].data, "api=", 4) == 0) {
            name = &slcf->api;
            name->data = value[i].data + 4;

        } else {
            name = NULL;
        }

        if (name) {
            name->len = value[i].data + value[i].len - name->data;
        }

        if (name == NULL
            || !stoa_name_valid((char *) name->data, name->len))
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" of \"stoa_protect\": "
                               "its parameters are tenant=NAME and api=NAME, "
                               "or off", &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    if (slcf->tenant.len == 0 || slcf->api.len == 0) {
        return "needs both tenant=NAME and api=NAME";
    }

    slcf->mode = NGX_HTTP_STOA_PROTECT;

    return ngx_http_stoa_conf_used(cf) == NGX_OK ? NGX_CONF_OK
                                                 : NGX_CONF_ERROR;
}


/* stoa_status;  stoa_metrics;  stoa_ready;  stoa_traces; */

/* stoa_metrics [apis=N] */

char *
ngx_http_stoa_conf_metrics(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_int_t                  n;
    ngx_str_t                 *value;
    ngx_http_stoa_loc_conf_t  *slcf = conf;

    value = cf->args->elts;
    n = NGX_HTTP_STOA_METRICS_APIS;

    if (cf->args->nelts == 2) {
        n = value[1].len > 5 && ngx_strncmp(value[1].data, "apis=", 5) == 0
            ? ngx_atoi(value[1].data + 5, value[1].len - 5) : NGX_ERROR;

        if (n == NGX_ERROR || n > NGX_HTTP_STOA_METRICS_APIS_MAX) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\": apis=N, N at most"
                               " %d", &value[1],
                               NGX_HTTP_STOA_METRICS_APIS_MAX);
            return NGX_CONF_ERROR;
        }
    }

    slcf->metrics_apis = (ngx_uint_t) n;

    return ngx_http_stoa_conf_handler(cf, cmd, conf);
}


char *
ngx_http_stoa_conf_handler(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler) {
        return "cannot be in one location with another content handler";
    }

    clcf->handler = (ngx_http_handler_pt) cmd->post;

    return ngx_http_stoa_conf_used(cf) == NGX_OK ? NGX_CONF_OK
                                                 : NGX_CONF_ERROR;
}
