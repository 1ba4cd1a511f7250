/*
 * Notes of what was asked of a call.
 */

#include "ngx_http_stoa_look.h"


static ngx_http_stoa_trace_note_t *ngx_http_stoa_trace_note(
    ngx_http_stoa_ctx_t *ctx, uint64_t *since, ngx_int_t rc);
static ngx_int_t ngx_http_stoa_trace_looked(ngx_http_stoa_look_t *look,
    ngx_int_t rc);


void
ngx_http_stoa_trace_sample(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_uint_t sample)
{
    static ngx_uint_t  calls;

    if (calls++ % sample == 0 && ctx->trace == NULL) {

        /* without memory there is none */

        ctx->trace = ngx_pcalloc(r->pool, sizeof(ngx_http_stoa_trace_t));
    }
}


static ngx_http_stoa_trace_note_t *
ngx_http_stoa_trace_note(ngx_http_stoa_ctx_t *ctx, uint64_t *since,
    ngx_int_t rc)
{
    uint64_t                     began;
    ngx_http_stoa_trace_t       *trace;
    ngx_http_stoa_trace_note_t  *note;

    trace = ctx->trace;

    began = *since;
    *since = 0;

    if (trace->n == NGX_HTTP_STOA_TRACE_MAX) {
        trace->lost++;
        return NULL;
    }

    if (ctx->look) {
        ctx->look->note[trace->n] = ctx->look->now;
        ngx_memzero(&ctx->look->now, sizeof(ngx_http_stoa_looked_t));
    }

    note = &trace->note[trace->n++];
    note->step = ctx->call.step;
    note->rc = rc;
    note->ns = ngx_http_stoa_now_ns() - began;

    return note;
}


ngx_int_t
ngx_http_stoa_trace_step(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_step_t *step)
{
    ngx_int_t  rc;

    if (ctx->trace->step_ns == 0) {
        ctx->trace->step_ns = ngx_http_stoa_now_ns();
    }

    if (ctx->look) {
        rc = ngx_http_stoa_trace_looked(ctx->look, step->look
                                                   ? step->look(r, ctx)
                                                   : NGX_OK);
        if (step->look == NULL) {
            ctx->look->now.blind = "it is done when the call is made";
        }

    } else {
        rc = step->run(r, ctx);
    }

    if (rc == NGX_AGAIN) {
        return rc;
    }

    (void) ngx_http_stoa_trace_note(ctx, &ctx->trace->step_ns, rc);

    return rc;
}


/* Nobody can be waited for: what comes after depends on it. */

static ngx_int_t
ngx_http_stoa_trace_looked(ngx_http_stoa_look_t *look, ngx_int_t rc)
{
    if (rc == NGX_AGAIN || rc == NGX_DECLINED) {
        look->now.blind = "what it says is only known when the call is made,"
                          " and what comes after depends on it";
        rc = NGX_DONE;
    }

    look->stopped |= rc == NGX_DONE;

    return rc;
}


ngx_int_t
ngx_http_stoa_trace_policy(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_turn_t *t, ngx_uint_t from)
{
    ngx_int_t                    rc;
    ngx_http_stoa_trace_note_t  *note;

    if (ctx->trace->policy_ns == 0) {
        ctx->trace->policy_ns = ngx_http_stoa_now_ns();
    }

    if (ctx->look && !t->a->policy->look) {
        ctx->look->now.blind = "it is asked when the call is made";
        rc = NGX_OK;

    } else {
        rc = t->run(r, ctx, t->a);
    }

    if (rc == NGX_AGAIN) {
        return rc;
    }

    note = ngx_http_stoa_trace_note(ctx, &ctx->trace->policy_ns, rc);

    if (note) {
        note->a = t->a;
        note->from = from;
        note->shadow = t->a->shadow
                       && (ctx->call.shadowed & UINT64_C(1) << t->a->place);
    }

    return rc;
}
