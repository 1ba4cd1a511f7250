/*
 * The LOG phase, before what logs: keys are masked, and every request that
 * entered the pipeline is counted once, as a row of usage and in the metrics
 * of this process.
 */

#include "ngx_http_stoa_request.h"
#include "ngx_http_stoa_upstream.h"
#include "ngx_http_stoa_conceal.h"
#include "ngx_http_stoa_counters.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_limits.h"


static void ngx_http_stoa_account_row(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_usage_row_t *row);
static ngx_uint_t ngx_http_stoa_account_status(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static uint64_t ngx_http_stoa_account_latency(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static void ngx_http_stoa_account_tokens(ngx_http_stoa_main_conf_t *mcf,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_usage_row_t *row);
static void ngx_http_stoa_account_denial(ngx_http_request_t *r,
    ngx_http_stoa_sh_t *sh, const ngx_http_stoa_usage_row_t *row);
static void ngx_http_stoa_account_metrics(ngx_http_stoa_sh_t *sh,
    const ngx_http_stoa_usage_row_t *row);
static void ngx_http_stoa_account_api(ngx_http_stoa_sh_t *sh,
    const stoa_id_t *api, ngx_uint_t class);


ngx_int_t
ngx_http_stoa_account_handler(ngx_http_request_t *r)
{
    ngx_http_stoa_ctx_t        *ctx;
    ngx_http_stoa_usage_row_t   row;
    ngx_http_stoa_main_conf_t  *mcf;

    ctx = ngx_http_stoa_ctx(r);

    ngx_http_stoa_conceal_late(r, ctx == NULL || !ctx->call.passed);

    if (r != r->main || ctx == NULL || ctx->accounted) {
        return NGX_OK;
    }

    ctx->accounted = 1;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    ngx_http_stoa_account_row(r, ctx, &row);

    if (mcf->counters && !ctx->call.elsewhere) {
        ngx_http_stoa_account_tokens(mcf, ctx, &row);
        ngx_http_stoa_usage_add(mcf, &row);
    }

    ngx_http_stoa_account_metrics(mcf->sh, &row);

    ngx_http_stoa_upstream_over(r, ctx, row.status);

    if (row.refused && !ctx->call.elsewhere) {
        ngx_http_stoa_account_denial(r, mcf->sh, &row);
    }

    if (row.refused || ctx->trace) {
        ngx_http_stoa_trace_keep(r, ctx, &row);
    }

    ngx_http_stoa_ctx_finish(ctx);

    return NGX_OK;
}


/* A tunnel may last for days: it is counted when it has begun, its bytes now
 * and then. */

void
ngx_http_stoa_account_part(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_proc_t       *proc;
    ngx_http_stoa_usage_row_t   row;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    if (mcf->counters == NULL || ctx->call.elsewhere) {
        return;
    }

    ngx_http_stoa_account_row(r, ctx, &row);
    ngx_http_stoa_usage_add(mcf, &row);

    proc = ngx_http_stoa_proc_self();
    ngx_http_stoa_add(&proc->bytes_in, row.bytes_in);
    ngx_http_stoa_add(&proc->bytes_out, row.bytes_out);

    ctx->call.told = 1;
    ctx->call.told_in += row.bytes_in;
    ctx->call.told_out += row.bytes_out;
}


static void
ngx_http_stoa_account_row(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_usage_row_t *row)
{
    ngx_uint_t                   op;
    ngx_http_upstream_t         *u;
    const stoa_rec_operation_t  *ops;

    ngx_memzero(row, sizeof(ngx_http_stoa_usage_row_t));

    row->tenant = ctx->call.route_tenant;
    row->application = ctx->application;
    row->subscription = ctx->call.subscription;
    row->credential = ctx->credential;
    row->refused = ctx->call.refused;

    if (ctx->call.api) {
        row->api = ctx->call.api->id;
        op = ctx->call.operation;

        if (op && op <= ctx->call.api->rec->operations.n) {
            ops = stoa_rec_vec(ctx->call.api->rec,
                               ctx->call.api->rec->operations,
                               stoa_rec_operation_t);
            row->operation = ops[op - 1].id;
        }
    }

    if (ctx->call.tool.c[0]) {
        row->operation = ctx->call.tool;
    }

    row->status = ngx_http_stoa_account_status(r, ctx);
    row->bytes_in = (uint64_t) r->request_length;

    u = r->upstream;

    if (u && u->upgrade && u->state) {

        /* what went through the tunnel, behind the head of the request */

        row->bytes_in = (uint64_t) (u->peer.connection
                                    ? u->peer.connection->sent
                                    : u->state->bytes_sent);
    }

    row->bytes_in -= ngx_min(row->bytes_in, ctx->call.told_in);
    row->bytes_out = (uint64_t) r->connection->sent - ctx->call.told_out;
    row->latency_us = ngx_http_stoa_account_latency(r, ctx);
    row->part = ctx->call.told;
}


static ngx_uint_t
ngx_http_stoa_account_status(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_uint_t  status;

    status = r->err_status ? r->err_status : r->headers_out.status;

    return ctx->call.edge && ctx->call.edge->status
           ? ctx->call.edge->status(r, ctx, status) : status;
}


static uint64_t
ngx_http_stoa_account_latency(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    uint64_t         now;
    ngx_time_t      *tp;
    ngx_msec_int_t   ms;

    if (ctx->start_ns) {

        /* how long somebody listened tells nothing of who was to answer */

        now = ctx->head_ns ? ctx->head_ns : ngx_http_stoa_now_ns();
        return now > ctx->start_ns ? (now - ctx->start_ns) / 1000 : 0;
    }

    tp = ngx_timeofday();

    ms = (ngx_msec_int_t) ((tp->sec - r->start_sec) * 1000
                           + ((ngx_msec_int_t) tp->msec
                              - (ngx_msec_int_t) r->start_msec));

    return (uint64_t) ngx_max(ms, 0) * 1000;
}


static void
ngx_http_stoa_account_tokens(ngx_http_stoa_main_conf_t *mcf,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_usage_row_t *row)
{
    ngx_uint_t       i;
    stoa_llm_used_t  used;

    if (ngx_http_stoa_llm_tokens(ctx, &used) != NGX_OK) {
        return;
    }

    if (used.model[0]) {
        row->model = ngx_http_stoa_usage_model(mcf, &row->tenant, used.model);
    }

    for (i = 0; i < STOA_LLM_KINDS; i++) {
        row->tokens[i] = used.n[i];
        ngx_http_stoa_add(&mcf->sh->models[row->model][i], used.n[i]);
    }
}


/* Who was refused, for the audit log: the bits of his address that tell a
 * network, and nothing of what he sent. */

static void
ngx_http_stoa_account_denial(ngx_http_request_t *r, ngx_http_stoa_sh_t *sh,
    const ngx_http_stoa_usage_row_t *row)
{
    u_char                         *p;
    struct sockaddr                *sa;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6            *sin6;
#endif
    ngx_http_stoa_denial_key_t      key;
    const ngx_http_stoa_refusal_t  *refusal;

    refusal = &ngx_http_stoa_refusals[row->refused - 1];

    if ((refusal->status != NGX_HTTP_UNAUTHORIZED
         && refusal->status != NGX_HTTP_FORBIDDEN) || !row->tenant.c[0])
    {
        return;
    }

    ngx_memzero(&key, sizeof(ngx_http_stoa_denial_key_t));
    key.tenant = row->tenant;
    key.api = row->api;
    key.application = row->application;

    ngx_memcpy(key.code, refusal->code.data,
               ngx_min(refusal->code.len, sizeof(key.code) - 1));

    sa = r->connection->sockaddr;
    p = NULL;

    if (sa->sa_family == AF_INET) {
        p = (u_char *) &((struct sockaddr_in *) sa)->sin_addr;
    }

#if (NGX_HAVE_INET6)
    if (sa->sa_family == AF_INET6) {
        sin6 = (struct sockaddr_in6 *) sa;

        if (IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)) {
            p = &sin6->sin6_addr.s6_addr[12];

        } else {
            (void) ngx_sprintf((u_char *) key.address, "%xd:%xd:%xd::",
                               sin6->sin6_addr.s6_addr[0] << 8
                               | sin6->sin6_addr.s6_addr[1],
                               sin6->sin6_addr.s6_addr[2] << 8
                               | sin6->sin6_addr.s6_addr[3],
                               sin6->sin6_addr.s6_addr[4] << 8
                               | sin6->sin6_addr.s6_addr[5]);
        }
    }
#endif

    if (p) {
        (void) ngx_sprintf((u_char *) key.address, "%d.%d.%d.0",
                           p[0], p[1], p[2]);
    }

    ngx_http_stoa_denial_note(sh, &key);
}


static void
ngx_http_stoa_account_metrics(ngx_http_stoa_sh_t *sh,
    const ngx_http_stoa_usage_row_t *row)
{
    ngx_uint_t             class;
    ngx_http_stoa_proc_t  *proc;

    proc = ngx_http_stoa_proc_self();

    class = row->status / 100;
    class = (class < 1 || class > NGX_HTTP_STOA_CLASSES) ? 4 : class;

    ngx_http_stoa_add(&proc->requests, 1);
    ngx_http_stoa_add(&proc->class[class - 1], 1);
    ngx_http_stoa_add(&proc->bytes_in, row->bytes_in);
    ngx_http_stoa_add(&proc->bytes_out, row->bytes_out);
    ngx_http_stoa_add(&proc->latency_us, row->latency_us);

    ngx_http_stoa_add(&proc->latency[
                                 ngx_http_stoa_usage_bucket(row->latency_us)],
                      1);

    if (row->refused && row->refused <= NGX_HTTP_STOA_REFUSE_MAX) {
        ngx_http_stoa_add(&proc->refused[row->refused - 1], 1);
    }

    if (row->api.c[0]) {
        ngx_http_stoa_account_api(sh, &row->api, class - 1);
    }
}


/* The end of an id is its random part.  Without a lock: who takes a free slot
 * writes the id after the tag; until then it has no name. */

static void
ngx_http_stoa_account_api(ngx_http_stoa_sh_t *sh, const stoa_id_t *api,
    ngx_uint_t class)
{
    uint64_t                    tag, found, at;
    ngx_uint_t                  i;
    ngx_http_stoa_api_count_t  *slot;

    ngx_memcpy(&tag, &api->c[STOA_ID_LEN - sizeof(tag)], sizeof(tag));
    at = tag * 0x9e3779b97f4a7c15ULL >> 32;
    slot = &sh->apis[NGX_HTTP_STOA_APIS];

    for (i = 0; i < NGX_HTTP_STOA_APIS_WAYS; i++) {
        found = ngx_http_stoa_load(&sh->apis[(at + i)
                                             % NGX_HTTP_STOA_APIS].tag);

        if (found == 0
            && ngx_http_stoa_cas(&sh->apis[(at + i)
                                           % NGX_HTTP_STOA_APIS].tag,
                                 &found, tag))
        {
            sh->apis[(at + i) % NGX_HTTP_STOA_APIS].id = *api;
            found = tag;
        }

        if (found == tag) {
            slot = &sh->apis[(at + i) % NGX_HTTP_STOA_APIS];
            break;
        }
    }

    ngx_http_stoa_add(&slot->class[class], 1);
}
