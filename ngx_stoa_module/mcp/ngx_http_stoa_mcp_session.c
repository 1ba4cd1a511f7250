
/*
 * Session ids of legacy clients.
 *
 * A session id is a sealed token (core/stoa_token.h): there is nothing to
 * store, so a restart, a reload, another worker or another gateway of the
 * group breaks no client.  It opens for its principal at its endpoint alone;
 * it is no credential.
 *
 * Process: seal and open in any worker.  Limits: 7 days a session id.
 */

#include "ngx_http_stoa_mcp.h"
#include "stoa_seal.h"
#include "core/stoa_key.h"

#include <openssl/rand.h>


#define NGX_HTTP_STOA_MCP_LIFETIME_S     (7 * 24 * 3600)
#define NGX_HTTP_STOA_MCP_TOKEN_MAX      2048


/* A token that was opened: its SipHash with a secret of this process, for whom
 * and what is in it.  That never changes; until when it counts is looked at
 * each time. */

#define NGX_HTTP_STOA_MCP_SEEN  1024

typedef struct {
    uint64_t   hash[2];                        /* 0: free                   */
    u_char     principal[NGX_HTTP_STOA_MCP_PRINCIPAL];
    u_char    *plain;
    size_t     len;
} ngx_http_stoa_mcp_seen_t;


static ngx_http_stoa_mcp_seen_t *ngx_http_stoa_mcp_session_seen(
    ngx_str_t *token, const u_char *principal);
static void ngx_http_stoa_mcp_seen_free(ngx_http_stoa_mcp_seen_t *seen);


/* Of this worker. */

static ngx_http_stoa_mcp_seen_t
                        ngx_http_stoa_mcp_seen[NGX_HTTP_STOA_MCP_SEEN];
static uint64_t         ngx_http_stoa_mcp_secret[2];


ngx_int_t
ngx_http_stoa_mcp_session_init(ngx_http_stoa_main_conf_t *mcf,
    ngx_cycle_t *cycle)
{
    if (ngx_http_stoa_mcp_map_open(mcf, cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_stoa_mcp_leave_init(mcf);

    return RAND_bytes((u_char *) ngx_http_stoa_mcp_secret,
                      sizeof(ngx_http_stoa_mcp_secret))
           == 1 ? NGX_OK : NGX_ERROR;
}


void
ngx_http_stoa_mcp_session_forget(void)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_STOA_MCP_SEEN; i++) {
        ngx_http_stoa_mcp_seen_free(&ngx_http_stoa_mcp_seen[i]);
    }
}


/* ---- sealed ids -------------------------------------------------------- */

void
ngx_http_stoa_mcp_principal(ngx_http_stoa_ctx_t *ctx, u_char *dst)
{
    uint64_t              subject, endpoint;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;
    subject = ctx->token ? stoa_hash64(&ctx->principal, STOA_ID_LEN, 0) : 0;
    endpoint = stoa_hash64(mcp->has_server ? &mcp->server
                                           : &mcp->endpoint_tenant,
                           STOA_ID_LEN, mcp->has_server);

    dst = ngx_cpymem(dst, &ctx->application, STOA_ID_LEN);
    dst = ngx_cpymem(dst, &subject, sizeof(subject));
    ngx_memcpy(dst, &endpoint, sizeof(endpoint));
}


ngx_int_t
ngx_http_stoa_mcp_session_seal(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_str_t *token)
{
    u_char                principal[NGX_HTTP_STOA_MCP_PRINCIPAL];
    ngx_int_t             rc;
    stoa_buf_t            caps, plain;
    stoa_json_val_t       val;
    stoa_mcp_token_t      t;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    token->data = ngx_pnalloc(r->pool, NGX_HTTP_STOA_MCP_TOKEN_MAX);

    if (token->data == NULL
        || RAND_bytes(mcp->nonce, sizeof(mcp->nonce)) != 1)
    {
        return NGX_ERROR;
    }

    stoa_buf_init(&caps, STOA_JSONRPC_BODY_MAX);
    stoa_buf_init(&plain, NGX_HTTP_STOA_MCP_TOKEN_MAX);

    val.start = NULL;

    if (mcp->msg.params.start) {
        (void) stoa_json_get(&mcp->msg.params, "capabilities", &val);
    }

    stoa_mcp_caps(&caps, &val);

    ngx_memzero(&t, sizeof(t));
    t.version = mcp->version + 1;
    t.issued_s = (uint32_t) ngx_time();
    t.caps.data = caps.data;
    t.caps.len = caps.len;
    ngx_memcpy(t.nonce, mcp->nonce, sizeof(t.nonce));

    stoa_mcp_token_write(&plain, &t);
    ngx_http_stoa_mcp_principal(ctx, principal);

    rc = NGX_ERROR;

    if (caps.rc == STOA_OK && plain.rc == STOA_OK) {
        token->len = stoa_seal(STOA_SEAL_SESSION,
                               (int64_t) ngx_http_stoa_wall_ms(),
                               (stoa_str_t) { (char *) principal,
                                              sizeof(principal) },
                               (stoa_str_t) { plain.data, plain.len },
                               (char *) token->data,
                               NGX_HTTP_STOA_MCP_TOKEN_MAX);
        rc = token->len ? NGX_OK : NGX_ERROR;
    }

    stoa_buf_free(&caps);
    stoa_buf_free(&plain);

    return rc;
}


ngx_int_t
ngx_http_stoa_mcp_session_open(ngx_http_stoa_ctx_t *ctx, ngx_str_t *token)
{
    u_char                     principal[NGX_HTTP_STOA_MCP_PRINCIPAL];
    stoa_mcp_token_t           t;
    ngx_http_stoa_mcp_t       *mcp;
    ngx_http_stoa_mcp_seen_t  *seen;

    mcp = ctx->call.mcp;

    ngx_http_stoa_mcp_principal(ctx, principal);
    seen = ngx_http_stoa_mcp_session_seen(token, principal);

    if (seen == NULL
        || !stoa_mcp_token_read(seen->plain, seen->len, &t)
        || t.version == 0 || t.version > NGX_HTTP_STOA_MCP_VERSIONS
        || ngx_http_stoa_mcp_versions[t.version - 1].modern
        || (int64_t) ngx_time() - (int64_t) t.issued_s
           > NGX_HTTP_STOA_MCP_LIFETIME_S)
    {
        return NGX_DECLINED;
    }

    /* what was negotiated counts, not what a later header says */

    mcp->version = t.version - 1;
    ngx_memcpy(mcp->nonce, t.nonce, sizeof(mcp->nonce));

    if (t.caps.len > 2) {
        mcp->capabilities.data = ngx_pnalloc(ctx->request->pool, t.caps.len);
        if (mcp->capabilities.data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(mcp->capabilities.data, t.caps.data, t.caps.len);
        mcp->capabilities.len = t.caps.len;
    }

    return ngx_http_stoa_mcp_map_ended(ngx_http_stoa_mcp_client(mcp))
           ? NGX_DECLINED : NGX_OK;
}


/* NULL: not sealed by us, or not for this one. */

static ngx_http_stoa_mcp_seen_t *
ngx_http_stoa_mcp_session_seen(ngx_str_t *token, const u_char *principal)
{
    size_t                     len;
    u_char                    *plain;
    uint64_t                   hash[2];
    ngx_http_stoa_mcp_seen_t  *seen;

    if (token->len < stoa_seal_text_len(1)
        || token->len > NGX_HTTP_STOA_MCP_TOKEN_MAX)
    {
        return NULL;
    }

    stoa_siphash(token->data, token->len, ngx_http_stoa_mcp_secret, hash);

    seen = &ngx_http_stoa_mcp_seen[hash[0] % NGX_HTTP_STOA_MCP_SEEN];

    if ((hash[0] | hash[1]) && stoa_equal_ct(seen->hash, hash, sizeof(hash)))
    {
        return ngx_memcmp(seen->principal, principal,
                          NGX_HTTP_STOA_MCP_PRINCIPAL)
               == 0 ? seen : NULL;
    }

    plain = ngx_alloc(stoa_seal_plain_len(token->len), ngx_cycle->log);

    if (plain == NULL
        || !stoa_seal_open(STOA_SEAL_SESSION,
                           (stoa_str_t) { (char *) principal,
                                          NGX_HTTP_STOA_MCP_PRINCIPAL },
                           (stoa_str_t) { (char *) token->data, token->len },
                           plain, &len))
    {
        ngx_free(plain);
        return NULL;
    }

    ngx_http_stoa_mcp_seen_free(seen);

    seen->hash[0] = hash[0];
    seen->hash[1] = hash[1];
    ngx_memcpy(seen->principal, principal, NGX_HTTP_STOA_MCP_PRINCIPAL);
    seen->plain = plain;
    seen->len = len;

    return seen;
}


static void
ngx_http_stoa_mcp_seen_free(ngx_http_stoa_mcp_seen_t *seen)
{
    if (seen->plain) {
        ngx_free(seen->plain);
    }

    ngx_memzero(seen, sizeof(ngx_http_stoa_mcp_seen_t));
}


uint64_t
ngx_http_stoa_mcp_client(ngx_http_stoa_mcp_t *mcp)
{
    return stoa_hash64(mcp->nonce, sizeof(mcp->nonce), 1) | 1;
}


uint64_t
ngx_http_stoa_mcp_upstream_key(ngx_http_stoa_mcp_t *mcp,
    const stoa_id_t *api)
{
    uint64_t  client;

    client = ngx_http_stoa_mcp_client(mcp);

    return (client & ~(uint64_t) UINT32_MAX)
           | (uint32_t) stoa_hash64(api, STOA_ID_LEN, client) | 1;
}
