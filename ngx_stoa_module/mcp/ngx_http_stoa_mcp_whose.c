/*
 * Which api has a request of a legacy client's: noted when it is sent on, so
 * that a cancellation at any worker goes there alone.
 *
 * Process: workers.  Lifetime: the zone's, until another request takes the
 * slot; what is not known any more goes to all sessions, who overlook what is
 * not theirs.
 */

#include "ngx_http_stoa_relay.h"
#include "ngx_http_stoa_zone.h"
#include "core/stoa_key.h"


/* The request in the upper half, the api in the lower. */

static uint64_t *
ngx_http_stoa_mcp_whose_slot(ngx_http_request_t *r, ngx_http_stoa_mcp_t *mcp,
    const stoa_json_val_t *id, uint64_t *tag)
{
    uint64_t                    h;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    h = stoa_hash64(id->start, id->end - id->start,
                    stoa_hash64(mcp->nonce, sizeof(mcp->nonce), 7));
    *tag = h >> 32 << 32;

    return &mcf->sh->mcp_calls[h % NGX_HTTP_STOA_MCP_CALLS];
}


uint32_t
ngx_http_stoa_mcp_whose_api(const void *api)
{
    return (uint32_t) stoa_hash64(api, STOA_ID_LEN, 7) | 1;
}


void
ngx_http_stoa_mcp_whose_note(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    uint64_t  tag, *slot;

    if (ctx->call.mcp->modern) {
        return;                       /* leaving is how they cancel          */
    }

    slot = ngx_http_stoa_mcp_whose_slot(r, ctx->call.mcp,
                                        &ctx->call.mcp->msg.id, &tag);

    ngx_http_stoa_store(slot, tag | ngx_http_stoa_mcp_whose_api(
                                                      &ctx->call.api->id));
}


uint32_t
ngx_http_stoa_mcp_whose(ngx_http_request_t *r, ngx_http_stoa_mcp_t *mcp)
{
    uint64_t  tag, call;

    if (mcp->msg.request_id.start == NULL) {
        return 0;
    }

    call = ngx_http_stoa_load(ngx_http_stoa_mcp_whose_slot(r, mcp,
                                                    &mcp->msg.request_id,
                                                    &tag));

    return call >> 32 << 32 == tag ? (uint32_t) call : 0;
}
