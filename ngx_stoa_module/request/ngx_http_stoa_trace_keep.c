/*
 * What is kept of a call in the ring of traces: of each that was refused, and
 * of each that was traced.  Numbers and names of what there is, never what a
 * client sent: no header, no query, no body; keys in the path are masked.
 *
 * The steps before the one that refused have said yes, so a refusal needs no
 * notes to tell how it came about; times are of traced calls alone.
 * Process: workers.
 */

#include "ngx_http_stoa_request.h"
#include "ngx_http_stoa_trace.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_store.h"
#include "ngx_http_stoa_zone.h"
#include "core/stoa_gcra.h"


#define NGX_HTTP_STOA_TRACE_NAME  255


static uint16_t ngx_http_stoa_trace_name(ngx_http_stoa_traced_t *traced,
    const u_char *data, size_t len);
static void ngx_http_stoa_trace_names(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_traced_t *traced);
static void ngx_http_stoa_trace_notes(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_traced_t *traced);
static void ngx_http_stoa_trace_source(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_traced_t *traced, const ngx_http_stoa_attached_t *a,
    ngx_uint_t from, ngx_http_stoa_traced_note_t *note);
static void ngx_http_stoa_trace_limits(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_traced_t *traced);


void
ngx_http_stoa_trace_keep(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_usage_row_t *row)
{
    ngx_http_stoa_traced_t      traced;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    if (ctx->call.elsewhere || mcf->store == NULL) {
        return;
    }

    ngx_http_stoa_trace_fill(r, ctx, row, &traced);

    ngx_http_stoa_count(traces_kept, 1);
    ngx_http_stoa_count(traces_cut, traced.lost != 0);

    ngx_http_stoa_trace_put(mcf->sh, &traced);
}


void
ngx_http_stoa_trace_fill(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_usage_row_t *row, ngx_http_stoa_traced_t *traced)
{
    ngx_uint_t                  i;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    ngx_memzero(traced, offsetof(ngx_http_stoa_traced_t, note));

    traced->len = 1;                            /* 0 is none                 */
    traced->tenant = ctx->call.route_tenant;
    traced->consumer = ctx->tenant;
    traced->id_len = ngx_min(ctx->request_id.len, sizeof(traced->id));
    ngx_memcpy(traced->id, ctx->request_id.data, traced->id_len);
    traced->at_ms = ngx_http_stoa_wall_ms();
    traced->revision = ngx_http_stoa_store_rev(mcf->store);
    traced->latency_us = row->latency_us;
    traced->credential = ctx->credential;
    traced->operation = row->operation;
    traced->subscription = ctx->call.subscription;
    traced->status = row->status;
    traced->refused = row->refused;
    traced->step = ctx->call.step;
    traced->passed = ctx->call.passed;

    for (i = 0; mcf->edges[i]; i++) {
        if (mcf->edges[i] == ctx->call.edge) {
            traced->edge = i + 1;
        }
    }

    ngx_http_stoa_trace_names(r, ctx, traced);
    ngx_http_stoa_trace_limits(ctx, traced);
    ngx_http_stoa_trace_notes(ctx, traced);
}


/* What has no room is left out. */

static uint16_t
ngx_http_stoa_trace_name(ngx_http_stoa_traced_t *traced, const u_char *data,
    size_t len)
{
    uint16_t  at;

    len = ngx_min(len, NGX_HTTP_STOA_TRACE_NAME);

    if (len == 0 || traced->len + 1 + len > sizeof(traced->text)) {
        return 0;
    }

    at = traced->len;
    traced->text[at] = (u_char) len;
    ngx_memcpy(&traced->text[at + 1], data, len);
    traced->len += 1 + len;

    return at;
}


static void
ngx_http_stoa_trace_names(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_traced_t *traced)
{
    ngx_uint_t                 i;
    ngx_str_t                  names[NGX_HTTP_STOA_TRACED_NAMES];
    const stoa_rec_api_t      *api;
    const stoa_rec_tenant_t   *tenant;
    ngx_http_stoa_main_conf_t *mcf;

    ngx_memzero(names, sizeof(names));

    names[NGX_HTTP_STOA_TRACED_METHOD] = r->method_name;
    names[NGX_HTTP_STOA_TRACED_HOST] = r->headers_in.server;
    names[NGX_HTTP_STOA_TRACED_PATH] = r->uri;
    names[NGX_HTTP_STOA_TRACED_TOOL] = ctx->call.tool_name;
    names[NGX_HTTP_STOA_TRACED_CONSUMER] = ctx->tenant_name;
    names[NGX_HTTP_STOA_TRACED_APPLICATION] = ctx->application_name;
    names[NGX_HTTP_STOA_TRACED_PLAN] = ctx->call.plan_name;
    names[NGX_HTTP_STOA_TRACED_DETAIL] = ctx->call.detail;

    if (r->upstream && r->upstream->state && r->upstream->state->peer) {
        names[NGX_HTTP_STOA_TRACED_TARGET] = *r->upstream->state->peer;
    }

    if (ctx->call.api) {
        api = ctx->call.api->rec;
        names[NGX_HTTP_STOA_TRACED_API].data = (u_char *) api + api->name.off;
        names[NGX_HTTP_STOA_TRACED_API].len = api->name.len;
        names[NGX_HTTP_STOA_TRACED_PUBLISHER].data = (u_char *) api
                                                     + api->tenant_name.off;
        names[NGX_HTTP_STOA_TRACED_PUBLISHER].len = api->tenant_name.len;

    } else if (traced->tenant.c[0]) {

        /* an endpoint of MCP before the call's api is known */

        mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
        tenant = ngx_http_stoa_store_enter(mcf->store) == NGX_OK
                 ? ngx_http_stoa_store_tenant(mcf->store, &traced->tenant)
                 : NULL;

        if (tenant) {
            names[NGX_HTTP_STOA_TRACED_PUBLISHER].data = (u_char *) tenant
                                                         + tenant->name.off;
            names[NGX_HTTP_STOA_TRACED_PUBLISHER].len = tenant->name.len;
        }
    }

    for (i = 0; i < NGX_HTTP_STOA_TRACED_NAMES; i++) {
        traced->names[i] = ngx_http_stoa_trace_name(traced, names[i].data,
                                                    names[i].len);
    }
}


/* What the plan allows, and what was left; where one refused, that one. */

static void
ngx_http_stoa_trace_limits(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_traced_t *traced)
{
    ngx_uint_t                     i;
    stoa_gcra_t                    gcra;
    const stoa_rec_plan_t         *plan;
    ngx_http_stoa_traced_limit_t  *l;

    if (!ctx->call.limited) {
        return;
    }

    plan = ctx->call.chain[NGX_HTTP_STOA_CHAIN_PLAN]
           ? ctx->call.chain[NGX_HTTP_STOA_CHAIN_PLAN]->rec : NULL;

    for (i = 0; plan && i < 3; i++) {
        if (!ctx->call.left[i].known) {
            continue;
        }

        l = &traced->limit[i];
        l->left = ctx->call.left[i].remaining;
        l->reset_ms = ctx->call.left[i].reset_ms;
        l->limit = i == NGX_HTTP_STOA_LIMIT_DAY ? plan->quota_day
                                                : plan->quota_month;

        if (i == NGX_HTTP_STOA_LIMIT_RATE) {
            stoa_gcra_setup(&gcra, plan->rate, plan->per_ms, plan->burst);
            l->limit = stoa_gcra_most(&gcra);
        }
    }

    if (ctx->call.refused && ctx->call.rate.rc != NGX_OK) {
        traced->over = ctx->call.rate.which + 1;
        traced->retry_ms = ctx->call.rate.retry_ms;
        l = &traced->limit[ctx->call.rate.which];
        l->limit = ctx->call.rate.limit;
        l->left = ctx->call.rate.remaining;
        l->reset_ms = ctx->call.rate.reset_ms;
    }
}


static void
ngx_http_stoa_trace_notes(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_traced_t *traced)
{
    ngx_uint_t                    i;
    ngx_http_stoa_trace_t        *trace;
    ngx_http_stoa_traced_note_t  *to;

    trace = ctx->trace;

    if (trace == NULL) {

        if (ctx->call.refused_by) {
            to = &traced->note[traced->n++];
            ngx_memzero(to, sizeof(ngx_http_stoa_traced_note_t));
            to->us = UINT32_MAX;
            to->step = ctx->call.step;
            to->rc = NGX_HTTP_FORBIDDEN;
            ngx_http_stoa_trace_source(ctx, traced, ctx->call.refused_by,
                                       ctx->call.refused_from, to);
        }

        return;
    }

    traced->sampled = 1;
    traced->lost = ngx_min(trace->lost, 255);

    for (i = 0; i < trace->n; i++) {
        to = &traced->note[traced->n++];
        ngx_memzero(to, sizeof(ngx_http_stoa_traced_note_t));
        to->us = ngx_min(trace->note[i].ns / 100, UINT32_MAX - 1);
        to->rc = trace->note[i].rc;
        to->step = trace->note[i].step;

        if (trace->note[i].a) {
            to->shadow = trace->note[i].a->shadow + trace->note[i].shadow;
            ngx_http_stoa_trace_source(ctx, traced, trace->note[i].a,
                                       trace->note[i].from, to);
        }
    }
}


/* Which row of what did it. */

static void
ngx_http_stoa_trace_source(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_traced_t *traced, const ngx_http_stoa_attached_t *a,
    ngx_uint_t from, ngx_http_stoa_traced_note_t *note)
{
    const stoa_rec_hdr_t  *rec;

    rec = ctx->call.chain[from] ? ctx->call.chain[from]->rec : NULL;

    note->policy = a->place + 1;
    note->scope = a->scope;
    note->kind = rec ? rec->kind : 0;
    note->name = ngx_http_stoa_trace_name(traced, a->name.data, a->name.len);

    if (rec) {
        ngx_memcpy(&note->record, rec + 1, sizeof(stoa_id_t));
    }
}
