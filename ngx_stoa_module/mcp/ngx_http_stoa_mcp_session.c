
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

#include "ngx_http_stoa_relay.h"
#include "ngx_http_stoa_limits.h"
#include "stoa_seal.h"
#include "core/stoa_key.h"

#include <openssl/rand.h>


#define NGX_HTTP_STOA_MCP_LIFETIME_S     (7 * 24 * 3600)


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
ngx_http_stoa_mcp_session_begin(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t             rc;
    stoa_buf_t            caps;
    stoa_json_val_t       val;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;
    val.start = NULL;

    rc = ngx_http_stoa_limits_session(r, ctx);
    if (rc != NGX_OK) {
        return rc;
    }

    if (mcp->msg.params.start) {
        (void) stoa_json_get(&mcp->msg.params, "capabilities", &val);
    }

    stoa_buf_init(&caps, STOA_JSONRPC_BODY_MAX);
    stoa_mcp_caps(&caps, &val);

    if (RAND_bytes(mcp->nonce, sizeof(mcp->nonce)) != 1) {
        stoa_buf_free(&caps);
        return NGX_ERROR;
    }

    return ngx_http_stoa_ctx_text(r, &caps, &mcp->capabilities);
}


ngx_int_t
ngx_http_stoa_mcp_session_seal(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_str_t *token)
{
    u_char                principal[NGX_HTTP_STOA_MCP_PRINCIPAL];
    stoa_buf_t            plain;
    stoa_mcp_token_t      t;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    token->data = ngx_pnalloc(r->pool, NGX_HTTP_STOA_MCP_TOKEN_MAX);
    if (token->data == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(&t, sizeof(t));
    t.version = mcp->version + 1;
    t.issued_s = (uint32_t) ngx_time();
    t.caps.data = (char *) mcp->capabilities.data;
    t.caps.len = mcp->capabilities.len;
    ngx_memcpy(t.nonce, mcp->nonce, sizeof(t.nonce));
    t.n = mcp->ncarried;
    ngx_memcpy(t.carried, mcp->carried, sizeof(t.carried));

    stoa_buf_init(&plain, NGX_HTTP_STOA_MCP_TOKEN_MAX);
    stoa_mcp_token_write(&plain, &t);
    ngx_http_stoa_mcp_principal(ctx, principal);

    token->len = 0;

    if (plain.rc == STOA_OK) {
        token->len = stoa_seal(STOA_SEAL_SESSION,
                               (int64_t) ngx_http_stoa_wall_ms(),
                               (stoa_str_t) { (char *) principal,
                                              sizeof(principal) },
                               (stoa_str_t) { plain.data, plain.len },
                               (char *) token->data,
                               NGX_HTTP_STOA_MCP_TOKEN_MAX);
    }

    stoa_buf_free(&plain);

    return token->len ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_http_stoa_mcp_session_open(ngx_http_stoa_ctx_t *ctx, ngx_str_t *token)
{
    u_char                     principal[NGX_HTTP_STOA_MCP_PRINCIPAL];
    u_char                    *plain;
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

    /* what was opened may make room for another one meanwhile */

    if (t.caps.len > 2 || t.n) {
        plain = ngx_pnalloc(ctx->request->pool, seen->len);

        if (plain == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(plain, seen->plain, seen->len);
        (void) stoa_mcp_token_read(plain, seen->len, &t);

        mcp->capabilities.data = (u_char *) t.caps.data;
        mcp->capabilities.len = t.caps.len > 2 ? t.caps.len : 0;
        mcp->ncarried = t.n;
        ngx_memcpy(mcp->carried, t.carried, sizeof(mcp->carried));
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
ngx_http_stoa_mcp_app(ngx_http_stoa_ctx_t *ctx)
{
    return stoa_hash64(ctx->anonymous ? &ctx->principal : &ctx->application,
                       STOA_ID_LEN, 9) | 1;
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


/* Sessions' keys, and those of pools, are odd. */

uint64_t
ngx_http_stoa_mcp_subs_key(ngx_http_stoa_mcp_t *mcp, const stoa_id_t *api)
{
    return ngx_http_stoa_mcp_upstream_key(mcp, api) + 1;
}


/* ---- what an id carries ------------------------------------------------ */

ngx_int_t
ngx_http_stoa_mcp_carried(ngx_http_stoa_mcp_t *mcp, const stoa_id_t *api,
    ngx_http_stoa_mcp_upstream_t *up)
{
    ngx_uint_t             i;
    const stoa_mcp_ref_t  *ref;

    for (i = 0; i < mcp->ncarried; i++) {
        ref = &mcp->carried[i];

        if (ngx_memcmp(ref->api, api, STOA_ID_LEN) == 0
            && ref->version <= NGX_HTTP_STOA_MCP_VERSIONS
            && !ngx_http_stoa_mcp_upstream_known(
                                    ngx_http_stoa_mcp_upstream_key(mcp, api)))
        {
            ngx_memzero(up, offsetof(ngx_http_stoa_mcp_upstream_t, sid));
            up->api = *api;
            up->target = ref->target;
            up->version = ref->version ? ref->version - 1
                                       : NGX_HTTP_STOA_MCP_VERSION_NONE;
            up->len = ref->sid.len;
            ngx_memcpy(up->sid, ref->sid.data, ref->sid.len);
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


static void
ngx_http_stoa_mcp_carried_leave(ngx_http_stoa_mcp_t *mcp)
{
    ngx_uint_t                     i;
    stoa_id_t                      api;
    ngx_http_stoa_mcp_upstream_t   up;

    for (i = 0; i < mcp->ncarried; i++) {
        ngx_memcpy(&api, mcp->carried[i].api, STOA_ID_LEN);

        if (ngx_http_stoa_mcp_carried(mcp, &api, &up) == NGX_OK) {
            ngx_http_stoa_mcp_leave(&up);
        }
    }
}


/* The client's session is over, and so are those at upstreams. */

ngx_int_t
ngx_http_stoa_mcp_session_delete(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    if (r->method != NGX_HTTP_DELETE) {
        return NGX_OK;
    }

    if (mcp->headers.repeated) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_HEADER, NULL);
    }

    if (ngx_http_stoa_mcp_session_open(ctx, &mcp->headers.session->value)
        != NGX_OK)
    {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_MCP_SESSION,
                                    NULL);
    }

    ngx_http_stoa_mcp_leave_via(r);
    ngx_http_stoa_mcp_leave_caller(ctx);
    ngx_http_stoa_mcp_carried_leave(mcp);
    ngx_http_stoa_mcp_map_leave(ngx_http_stoa_mcp_client(mcp));
    ngx_http_stoa_mcp_leave_caller(NULL);

    return ngx_http_stoa_mcp_answer(r, ctx, NGX_HTTP_OK, NULL);
}
