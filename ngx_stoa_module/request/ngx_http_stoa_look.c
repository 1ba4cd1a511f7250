/*
 * What would become of a call that nobody makes: a request without a client is
 * led through the steps of its edge, which only look.
 *
 * It is a copy of a request that exists in memory alone, of the server and
 * the location that nginx has for its host and its path.  It never waits, is
 * neither logged nor accounted, and what is counted on its way goes into a
 * block that nobody reads.  nginx's own rewrites and modules are not asked.
 * Process: worker 0, one at a time.
 */

#include "ngx_http_stoa_request.h"
#include "ngx_http_stoa_asked.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_inner.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_zone.h"
#include "core/stoa_key.h"


#define LOOK_POOL  8192


static ngx_int_t ngx_http_stoa_look_request(ngx_http_request_t *of,
    const ngx_http_stoa_asked_t *asked);
static ngx_int_t ngx_http_stoa_look_uri(ngx_http_request_t *of,
    const ngx_str_t *uri);
static ngx_int_t ngx_http_stoa_look_connection(ngx_http_request_t *of,
    const ngx_http_stoa_asked_t *asked);
static ngx_int_t ngx_http_stoa_look_server(ngx_http_request_t *of,
    const ngx_http_stoa_asked_t *asked);
static ngx_http_core_srv_conf_t *ngx_http_stoa_look_named(
    ngx_http_addr_conf_t *addr, const ngx_str_t *host, ngx_uint_t *exact);
static void ngx_http_stoa_look_run(ngx_http_request_t *of,
    const ngx_http_stoa_asked_t *asked, ngx_http_stoa_seen_t *seen);
static void ngx_http_stoa_look_later(ngx_http_stoa_ctx_t *ctx);
static void ngx_http_stoa_look_result(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_int_t rc, ngx_http_stoa_seen_t *seen);
static void ngx_http_stoa_look_head(ngx_http_request_t *r, void *data);
static void ngx_http_stoa_look_body(void *data, const u_char *p, size_t len);
static void ngx_http_stoa_look_over(void *data);


/* What nginx itself says about it is not what it was asked for. */

static const ngx_http_stoa_sink_t  ngx_http_stoa_look_sink = {
    ngx_http_stoa_look_head,
    ngx_http_stoa_look_body,
    ngx_http_stoa_look_over
};


ngx_int_t
ngx_http_stoa_look(const ngx_http_stoa_asked_t *asked, ngx_log_t *log,
    ngx_http_stoa_seen_t *seen)
{
    ngx_log_t              own;
    ngx_int_t              rc;
    ngx_pool_t            *pool;
    ngx_http_request_t    *of;
    ngx_http_log_ctx_t     lctx;
    ngx_http_stoa_proc_t  *proc;

    static ngx_http_stoa_proc_t  nobody;

    pool = ngx_create_pool(LOOK_POOL, log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&lctx, sizeof(ngx_http_log_ctx_t));
    own = *log;
    own.data = &lctx;
    own.handler = NULL;

    ngx_memzero(&seen->look, sizeof(ngx_http_stoa_look_t));
    seen->look.credential = asked->credential;
    seen->verdict = NGX_HTTP_STOA_SEEN_NONE;
    ngx_memzero(&seen->traced, offsetof(ngx_http_stoa_traced_t, note));

    of = ngx_pcalloc(pool, sizeof(ngx_http_request_t));
    rc = NGX_ERROR;

    if (of) {
        of->pool = pool;
        of->connection = ngx_pcalloc(pool, sizeof(ngx_connection_t));

        if (of->connection) {
            of->connection->log = &own;
            of->connection->pool = pool;
            rc = ngx_http_stoa_look_request(of, asked);
        }
    }

    if (rc == NGX_OK) {
        proc = &nobody;
        ngx_http_stoa_proc_swap(&proc);
        ngx_http_stoa_look_run(of, asked, seen);
        ngx_http_stoa_proc_swap(&proc);
    }

    ngx_destroy_pool(pool);

    return rc;
}


/* ---- the request that is copied ----------------------------------------- */

/* NGX_DECLINED: it is none. */

static ngx_int_t
ngx_http_stoa_look_request(ngx_http_request_t *of,
    const ngx_http_stoa_asked_t *asked)
{
    ngx_uint_t        i;
    ngx_table_elt_t  *h;

    of->method_name = asked->method;
    of->headers_in.server = asked->host;

    if (ngx_list_init(&of->headers_in.headers, of->pool, 20,
                      sizeof(ngx_table_elt_t))
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < asked->nheaders; i++) {
        h = ngx_list_push(&of->headers_in.headers);

        if (h == NULL) {
            return NGX_ERROR;
        }

        ngx_memzero(h, sizeof(ngx_table_elt_t));
        h->key = asked->headers[i].key;
        h->value = asked->headers[i].value;
        h->lowcase_key = ngx_pnalloc(of->pool, h->key.len + 1);

        if (h->lowcase_key == NULL) {
            return NGX_ERROR;
        }

        h->hash = ngx_hash_strlow(h->lowcase_key, h->key.data, h->key.len);
    }

    if (ngx_http_stoa_look_connection(of, asked) != NGX_OK
        || ngx_http_stoa_look_server(of, asked) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return ngx_http_stoa_look_uri(of, &asked->uri);
}


/* As nginx reads it in the first line of a request. */

static ngx_int_t
ngx_http_stoa_look_uri(ngx_http_request_t *of, const ngx_str_t *uri)
{
    ngx_http_core_srv_conf_t  *cscf;

    if (ngx_http_stoa_copy(of->pool, &of->unparsed_uri, uri) != NGX_OK) {
        return NGX_ERROR;
    }

    of->uri_start = of->unparsed_uri.data;
    of->uri_end = of->uri_start + of->unparsed_uri.len;

    if (ngx_http_parse_uri(of) != NGX_OK) {
        return NGX_DECLINED;
    }

    of->uri.len = (of->args_start ? of->args_start - 1 : of->uri_end)
                  - of->uri_start;
    of->uri.data = of->uri_start;
    of->valid_unparsed_uri = 1;

    if (of->args_start) {
        of->args.len = of->uri_end - of->args_start;
        of->args.data = of->args_start;
    }

    if (of->complex_uri || of->quoted_uri) {
        of->uri.data = ngx_pnalloc(of->pool, of->uri.len + 1);
        if (of->uri.data == NULL) {
            return NGX_ERROR;
        }

        cscf = ngx_http_get_module_srv_conf(of, ngx_http_core_module);

        if (ngx_http_parse_complex_uri(of, cscf->merge_slashes) != NGX_OK) {
            return NGX_DECLINED;
        }
    }

    of->request_line.data = ngx_pnalloc(of->pool, of->method_name.len
                                        + uri->len + sizeof("  HTTP/1.1"));
    if (of->request_line.data == NULL) {
        return NGX_ERROR;
    }

    of->request_line.len = ngx_sprintf(of->request_line.data, "%V %V HTTP/1.1",
                                       &of->method_name, uri)
                           - of->request_line.data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_look_connection(ngx_http_request_t *of,
    const ngx_http_stoa_asked_t *asked)
{
    ngx_addr_t         addr;
    ngx_connection_t  *c;

    c = of->connection;

    if (ngx_parse_addr(of->pool, &addr, asked->address.data,
                       asked->address.len)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    c->sockaddr = addr.sockaddr;
    c->socklen = addr.socklen;
    c->addr_text = asked->address;
    c->start_time = ngx_current_msec;
    c->fd = (ngx_socket_t) -1;

    return NGX_OK;
}


/* The first address that nginx listens on, and has a server with something of
 * ours there for this host; else the first that has one for any. */

static ngx_int_t
ngx_http_stoa_look_server(ngx_http_request_t *of,
    const ngx_http_stoa_asked_t *asked)
{
    ngx_uint_t                 i, exact;
    ngx_listening_t           *ls;
    ngx_http_port_t           *port;
    ngx_http_addr_conf_t      *addr;
    ngx_http_core_srv_conf_t  *cscf;
    ngx_http_stoa_loc_conf_t  *slcf;

    ls = ngx_cycle->listening.elts;
    of->http_connection = ngx_pcalloc(of->pool, sizeof(ngx_http_connection_t));

    if (of->http_connection == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < ngx_cycle->listening.nelts; i++) {

        if (ls[i].handler != ngx_http_init_connection) {
            continue;
        }

        port = ls[i].servers;
        addr = ls[i].sockaddr->sa_family == AF_INET6
               ? &((ngx_http_in6_addr_t *) port->addrs)->conf
               : &((ngx_http_in_addr_t *) port->addrs)->conf;

        cscf = ngx_http_stoa_look_named(addr, &asked->host, &exact);
        slcf = cscf->ctx->loc_conf[ngx_http_stoa_module.ctx_index];

        if (!slcf->speaks || (of->srv_conf && !exact)) {
            continue;
        }

        of->http_connection->addr_conf = addr;
        of->main_conf = cscf->ctx->main_conf;
        of->srv_conf = cscf->ctx->srv_conf;
        of->loc_conf = cscf->ctx->loc_conf;
        of->connection->listening = &ls[i];
        of->connection->local_sockaddr = ls[i].sockaddr;
        of->connection->local_socklen = ls[i].socklen;

        if (exact) {
            break;
        }
    }

    return of->srv_conf ? NGX_OK : NGX_DECLINED;
}


static ngx_http_core_srv_conf_t *
ngx_http_stoa_look_named(ngx_http_addr_conf_t *addr, const ngx_str_t *host,
    ngx_uint_t *exact)
{
    ngx_http_core_srv_conf_t  *cscf;

    cscf = NULL;

    if (addr->virtual_names && host->len) {
        cscf = ngx_hash_find_combined(&addr->virtual_names->names,
                                      ngx_hash_key(host->data, host->len),
                                      host->data, host->len);
    }

    *exact = cscf != NULL;

    return cscf ? cscf : addr->default_server;
}


/* ---- the look ----------------------------------------------------------- */

static void
ngx_http_stoa_look_run(ngx_http_request_t *of,
    const ngx_http_stoa_asked_t *asked, ngx_http_stoa_seen_t *seen)
{
    ngx_int_t               rc;
    ngx_http_request_t     *r;
    ngx_http_stoa_ctx_t    *ctx;
    ngx_http_stoa_inner_t   inner;

    ngx_memzero(&inner, sizeof(ngx_http_stoa_inner_t));
    inner.sink = &ngx_http_stoa_look_sink;

    if (ngx_http_stoa_inner_make(&inner, of,
                                 asked->body.len ? &asked->body : NULL)
        != NGX_OK)
    {
        return;
    }

    r = inner.request;
    ctx = inner.ctx;

    r->logged = 1;
    r->method = asked->method_bit;
    r->method_name = of->method_name;
    r->request_line = of->request_line;
    r->error_page = 1;                     /* none: it would be made, and go on
                                              when all here is gone          */

    (void) ngx_http_core_find_config_phase(r, NULL);

    if (inner.request == NULL) {
        return;                                   /* nginx has answered it   */
    }

    if (asked->body.len) {
        r->headers_in.content_length_n = asked->body.len;
    }

    ctx->look = &seen->look;
    ctx->trace = &seen->look.trace;

    rc = ngx_http_stoa_pipeline_look(r, ctx);

    if (inner.request == NULL) {
        return;
    }

    if (rc != NGX_DECLINED) {
        if (rc == NGX_OK && !seen->look.stopped) {
            ngx_http_stoa_look_later(ctx);
        }

        ngx_http_stoa_look_result(r, ctx, rc, seen);
    }

    ngx_http_stoa_inner_drop(&inner);
}


/* What its policies do with what is sent, and with what is answered. */

static void
ngx_http_stoa_look_later(ngx_http_stoa_ctx_t *ctx)
{
    uint64_t                     turns;
    ngx_uint_t                   bit, turn, from;
    ngx_http_stoa_turn_t        *t;
    ngx_http_stoa_chain_t       *chain;
    ngx_http_stoa_trace_t       *trace;
    ngx_http_stoa_trace_note_t  *note;

    trace = ctx->trace;
    turns = ctx->call.policy_turns
            & (ngx_http_stoa_turn_bits(NGX_HTTP_STOA_TURN_UPSTREAM)
               | ngx_http_stoa_turn_bits(NGX_HTTP_STOA_TURN_RESPONSE));

    for ( /* void */ ; turns; turns &= turns - 1) {
        bit = __builtin_ctzll(turns);
        turn = ngx_http_stoa_turn_of(bit);
        from = bit % NGX_HTTP_STOA_CHAIN_MAX;
        chain = ctx->call.chain[from];

        for (t = chain->first[turn]; t < chain->first[turn + 1]; t++) {

            if (t->a->scope == 0 || (t->unless & ctx->call.policy_types)
                || (t->picky
                    && !ngx_http_stoa_policy_applies(ctx, from, t->a))
                || trace->n == NGX_HTTP_STOA_TRACE_MAX)
            {
                continue;
            }

            note = &trace->note[trace->n];
            note->step = ctx->call.step - 1;
            note->a = t->a;
            note->from = from;
            ctx->look->note[trace->n++].blind =
                turn == NGX_HTTP_STOA_TURN_UPSTREAM
                ? "it works on what is sent to the upstream"
                : "it works on the answer";
        }
    }
}


static void
ngx_http_stoa_look_result(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_int_t rc, ngx_http_stoa_seen_t *seen)
{
    ngx_http_stoa_usage_row_t  row;

    ngx_memzero(&row, sizeof(ngx_http_stoa_usage_row_t));
    row.operation = ctx->call.tool;

    if (rc == NGX_OK && !seen->look.stopped) {
        seen->verdict = NGX_HTTP_STOA_SEEN_ALLOWED;

    } else if (ctx->call.refused) {
        seen->verdict = NGX_HTTP_STOA_SEEN_REFUSED;
        row.refused = ctx->call.refused;
        row.status = ngx_http_stoa_refusals[row.refused - 1].status;

    } else if (rc < 0 || (rc == NGX_OK
                          && seen->look.note[seen->look.trace.n - 1].blind))
    {
        seen->verdict = NGX_HTTP_STOA_SEEN_UNKNOWN;

    } else {
        seen->verdict = rc < NGX_HTTP_BAD_REQUEST
                        ? NGX_HTTP_STOA_SEEN_ANSWERED
                        : NGX_HTTP_STOA_SEEN_REFUSED;
        row.status = rc;
    }

    ngx_http_stoa_trace_fill(r, ctx, &row, &seen->traced);
    seen->traced.id_len = 0;
}


static void
ngx_http_stoa_look_head(ngx_http_request_t *r, void *data)
{
}


static void
ngx_http_stoa_look_body(void *data, const u_char *p, size_t len)
{
}


static void
ngx_http_stoa_look_over(void *data)
{
}
