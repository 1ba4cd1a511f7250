/*
 * What leans on the inside of nginx, a function each.
 */

#include "ngx_http_stoa.h"

#include <sys/mman.h>


ngx_http_core_loc_conf_t *
ngx_http_stoa_compat_own_conf(ngx_http_request_t *r)
{
    void                      **conf;
    ngx_http_core_loc_conf_t   *own;

    conf = ngx_palloc(r->pool, sizeof(void *) * ngx_http_max_module);
    own = ngx_palloc(r->pool, sizeof(ngx_http_core_loc_conf_t));

    if (conf == NULL || own == NULL) {
        return NULL;
    }

    ngx_memcpy(conf, r->loc_conf, sizeof(void *) * ngx_http_max_module);
    *own = *(ngx_http_core_loc_conf_t *)
                ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    conf[ngx_http_core_module.ctx_index] = own;
    r->loc_conf = conf;

    return own;
}


ngx_int_t
ngx_http_stoa_compat_handler(ngx_conf_t *cf, ngx_http_phases phase,
    ngx_http_handler_pt handler)
{
    ngx_array_t                *handlers;
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    handlers = &cmcf->phases[phase].handlers;

    if (ngx_array_push(handlers) == NULL) {
        return NGX_ERROR;
    }

    h = handlers->elts;

    if (phase == NGX_HTTP_LOG_PHASE) {
        ngx_memmove(h + 1, h, (handlers->nelts - 1)
                              * sizeof(ngx_http_handler_pt));
        h[0] = handler;

    } else {
        h[handlers->nelts - 1] = handler;
    }

    return NGX_OK;
}


char *
ngx_http_stoa_compat_set(ngx_conf_t *cf, ngx_module_t *module,
    ngx_command_t *cmd, const char *value)
{
    char         *rv;
    void         *conf;
    ngx_str_t     args[2];
    ngx_array_t   array, *saved;

    args[0] = cmd->name;
    args[1].len = ngx_strlen(value);
    args[1].data = ngx_pnalloc(cf->pool, args[1].len + 1);

    if (args[1].data == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memcpy(args[1].data, value, args[1].len + 1);

    ngx_memzero(&array, sizeof(ngx_array_t));
    array.elts = args;
    array.nelts = 2;
    array.size = sizeof(ngx_str_t);
    array.nalloc = 2;
    array.pool = cf->pool;

    conf = ((ngx_http_conf_ctx_t *) cf->ctx)->loc_conf[module->ctx_index];

    saved = cf->args;
    cf->args = &array;

    rv = cmd->set(cf, cmd, conf);

    cf->args = saved;

    return rv;
}


ngx_int_t
ngx_http_stoa_compat_again(ngx_http_request_t *r)
{
    ngx_table_elt_t           *h;
    ngx_http_upstream_t       *u;
    ngx_http_upstream_conf_t  *conf;

    u = r->upstream;

    h = ngx_pcalloc(r->pool, sizeof(ngx_table_elt_t));
    conf = ngx_palloc(r->pool, sizeof(ngx_http_upstream_conf_t));

    if (h == NULL || conf == NULL) {
        return NGX_ERROR;
    }

    *conf = *u->conf;
    conf->ignore_headers &= ~NGX_HTTP_UPSTREAM_IGN_XA_REDIRECT;
    u->conf = conf;

    /* no header of the answer that is thrown away may pass over */

    u->headers_in.headers.part.nelts = 0;
    u->headers_in.headers.part.next = NULL;

    ngx_str_set(&h->key, "X-Accel-Redirect");
    h->hash = 1;
    h->value = r->uri;
    u->headers_in.x_accel_redirect = h;

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_compat_rewrite(ngx_http_request_t *r, ngx_str_t *uri,
    ngx_str_t *to)
{
    u_char               *host, *end, *p, *start;
    ngx_buf_t            *b;
    ngx_str_t             old;
    ngx_http_upstream_t  *u;

    u = r->upstream;
    old = u->uri;
    b = u->request_bufs->buf;

    host = ngx_strlcasestrn(old.data + old.len, b->last,
                            (u_char *) CRLF "Host: ", 8 - 1);
    end = host ? ngx_strlchr(host + 8, b->last, CR) : NULL;

    if (end == NULL) {
        return NGX_ERROR;
    }

    host += 8;

    start = ngx_pnalloc(r->pool, (b->last - b->start) + uri->len + to->len);
    if (start == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(start, b->start, old.data - b->start);

    u->uri.data = p;
    u->uri.len = uri->len;

    p = ngx_cpymem(p, uri->data, uri->len);
    p = ngx_cpymem(p, old.data + old.len, host - (old.data + old.len));
    p = ngx_cpymem(p, to->data, to->len);
    p = ngx_cpymem(p, end, b->last - end);

    b->start = start;
    b->pos = start;
    b->last = p;
    b->end = p;

    return NGX_OK;
}


void
ngx_http_stoa_compat_end(ngx_http_upstream_t *u)
{
    u->headers_in.headers.part.nelts = 0;
    u->headers_in.headers.part.next = NULL;
    ngx_str_null(&u->headers_in.status_line);
    u->headers_in.content_length_n = 0;
    u->headers_in.chunked = 0;
    u->headers_in.connection_close = 1;
    u->buffer.last = u->buffer.pos;
    u->keepalive = 0;
    u->upgrade = 0;
}


ngx_uint_t
ngx_http_stoa_compat_over(ngx_http_upstream_t *u)
{
    return u->cleanup == NULL;
}


void
ngx_http_stoa_compat_enough(ngx_http_upstream_t *u)
{
    if (u->buffering) {
        u->pipe->upstream_done = 1;

    } else {
        u->length = 0;
    }

    u->keepalive = 0;
}


/* The master's row of the process is as it was when it forked: of the last one
 * that had the place. */

ngx_uint_t
ngx_http_stoa_compat_crashed(void)
{
    ngx_process_t  *p;

    if (ngx_process != NGX_PROCESS_WORKER) {
        return 0;
    }

    p = &ngx_processes[ngx_process_slot];

    return p->exited && p->pid > 0 && WIFSIGNALED(p->status)
           && (WTERMSIG(p->status) == SIGSEGV || WTERMSIG(p->status) == SIGBUS
               || WTERMSIG(p->status) == SIGABRT);
}


ngx_module_t *
ngx_http_stoa_compat_proxy(void)
{
    ngx_uint_t  i;

    for (i = 0; ngx_cycle->modules[i]; i++) {
        if (ngx_strcmp(ngx_cycle->modules[i]->name, "ngx_http_proxy_module")
            == 0)
        {
            return ngx_cycle->modules[i];
        }
    }

    return NULL;
}


void
ngx_http_stoa_compat_trim(ngx_pool_t *pool)
{
    u_char  *from, *to;

    for ( /* void */ ; pool; pool = pool->d.next) {
        from = ngx_align_ptr(pool->d.last, ngx_pagesize);
        to = pool->d.end - ((uintptr_t) pool->d.end & (ngx_pagesize - 1));

        if (from < to) {
            (void) madvise(from, to - from, MADV_DONTNEED);
        }
    }
}


/* What ngx_http_process_request_line() does for it, without an answer. */

ngx_int_t
ngx_http_stoa_compat_uri(ngx_http_request_t *r, const ngx_str_t *uri)
{
    ngx_http_core_srv_conf_t  *cscf;

    r->uri_start = uri->data;
    r->uri_end = uri->data + uri->len;
    r->args_start = NULL;
    r->uri_ext = NULL;
    r->complex_uri = 0;
    r->quoted_uri = 0;
    r->plus_in_uri = 0;
    r->empty_path_in_uri = 0;

    if (ngx_http_parse_uri(r) != NGX_OK) {
        return NGX_DECLINED;
    }

    r->unparsed_uri = *uri;
    r->valid_unparsed_uri = 1;
    r->uri.data = r->uri_start;
    r->uri.len = (r->args_start ? r->args_start - 1 : r->uri_end)
                 - r->uri_start;

    if (r->complex_uri || r->quoted_uri) {
        cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);

        r->uri.data = ngx_pnalloc(r->pool, r->uri.len + 1);
        if (r->uri.data == NULL) {
            return NGX_ERROR;
        }

        if (ngx_http_parse_complex_uri(r, cscf->merge_slashes) != NGX_OK) {
            return NGX_DECLINED;
        }
    }

    ngx_str_null(&r->args);

    if (r->args_start && r->uri_end > r->args_start) {
        r->args.data = r->args_start;
        r->args.len = r->uri_end - r->args_start;
    }

    ngx_http_set_exten(r);

    return NGX_OK;
}
