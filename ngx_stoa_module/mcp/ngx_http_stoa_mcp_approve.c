/*
 * Calls that a person has to approve (policy type approval): the control plane
 * is asked, with each of them, whether this one may pass.
 *
 * It keeps what waits and what was decided, and lets an approval count for one
 * call, whichever worker and gateway asks; where it does not answer, nothing
 * passes.  A call is known by its application, the subject of its token, its
 * api, its tool and the SHA-256 of the tool's name, a byte 0 and its arguments
 * without white space; their members in another order are another call.
 *
 * A client of 2026-07-28 that can ask its user is told by an input_required
 * result, whose state is sealed for him and this call: it says that the answer
 * to it is for the gateway, and holds what he has answered to the upstream.
 *
 * Process: workers.  Lifetime: the request's.  Limits: of a worker
 * NGX_HTTP_STOA_MCP_APPROVES calls that wait for an answer, of which a tenant
 * has NGX_HTTP_STOA_MCP_APPROVES_IN and an application
 * NGX_HTTP_STOA_MCP_APPROVES_OF.
 */

#include "ngx_http_stoa_approve.h"
#include "ngx_http_stoa_zone.h"
#include "core/stoa_key.h"


#define NGX_HTTP_STOA_MCP_APPROVES       1024
#define NGX_HTTP_STOA_MCP_APPROVES_IN    256
#define NGX_HTTP_STOA_MCP_APPROVES_OF    128
#define NGX_HTTP_STOA_MCP_APPROVERS      4096  /* counts, shared by hash     */
#define NGX_HTTP_STOA_MCP_APPROVE_ARGS   65536
#define NGX_HTTP_STOA_MCP_APPROVE_BYTES  8192
#define NGX_HTTP_STOA_MCP_APPROVE_MS     5000
#define NGX_HTTP_STOA_MCP_APPROVE_WHO    256


static ngx_int_t ngx_http_stoa_mcp_approve_begin(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_approve_read(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_approve_t *ap);
static ngx_int_t ngx_http_stoa_mcp_approve_show(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_approve_t *ap);
static ngx_int_t ngx_http_stoa_mcp_approve_heard(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_approve_t *ap);
static ngx_int_t ngx_http_stoa_mcp_approve_keep(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_approve_t *ap);
static ngx_int_t ngx_http_stoa_mcp_approve_strip(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_approve_t *ap);
static ngx_int_t ngx_http_stoa_mcp_approve_ask(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_approve_t *ap);
static void ngx_http_stoa_mcp_approve_body(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_mcp_approve_t *ap, stoa_buf_t *b);
static void ngx_http_stoa_mcp_approve_chunk(ngx_http_stoa_fetch_t *f,
    void *data, const u_char *p, size_t len);
static void ngx_http_stoa_mcp_approve_end(ngx_http_stoa_fetch_t *f,
    void *data, ngx_http_stoa_fetch_end_e how);
static void ngx_http_stoa_mcp_approve_over(ngx_http_stoa_mcp_approve_t *ap);
static void ngx_http_stoa_mcp_approve_cleanup(void *data);
static ngx_int_t ngx_http_stoa_mcp_approve_answered(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_approve_t *ap);
static ngx_int_t ngx_http_stoa_mcp_approve_verdict(
    ngx_http_stoa_mcp_approve_t *ap, ngx_http_stoa_mcp_verdict_t *v);
static ngx_int_t ngx_http_stoa_mcp_approve_told(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_approve_t *ap);


static const ngx_http_stoa_fetch_handler_t  ngx_http_stoa_mcp_approve_handler =
{
    .chunk = ngx_http_stoa_mcp_approve_chunk,
    .end = ngx_http_stoa_mcp_approve_end
};

/* Of this worker: calls that wait for an answer. */

static ngx_uint_t  ngx_http_stoa_mcp_approves;
static uint16_t
                   ngx_http_stoa_mcp_approves_in[NGX_HTTP_STOA_MCP_APPROVERS];
static uint16_t
                   ngx_http_stoa_mcp_approves_of[NGX_HTTP_STOA_MCP_APPROVERS];

#define ngx_http_stoa_mcp_approve_count(counts, id)                           \
    &counts[stoa_hash64(id, sizeof(stoa_id_t), 5)                             \
            % NGX_HTTP_STOA_MCP_APPROVERS]


ngx_int_t
ngx_http_stoa_mcp_approve(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_mcp_t          *mcp;
    ngx_http_stoa_mcp_approve_t  *ap;

    mcp = ctx->call.mcp;

    if (ctx->call.approval == NULL
        || mcp->at_guest                       /* it was, when it began      */
        || mcp->msg.method != STOA_MCP_TOOLS_CALL)
    {
        return NGX_OK;
    }

    if (ctx->anonymous) {
        return ngx_http_stoa_mcp_approve_refuse(r, ctx,
                                       NGX_HTTP_STOA_APPROVAL_REQUIRED, NULL,
                                       "it needs a caller with a credential");
    }

    ap = mcp->approve;

    if (ap == NULL) {
        return ngx_http_stoa_mcp_approve_begin(r, ctx);
    }

    if (ap->passed) {
        return NGX_OK;
    }

    if (ap->fetch) {
        return ngx_http_stoa_ctx_suspend(r);
    }

    return ap->asked ? ngx_http_stoa_mcp_approve_answered(r, ctx, ap)
                     : ngx_http_stoa_mcp_approve_told(r, ctx, ap);
}


/* A legacy client's user: accepted, it is looked again. */

static ngx_int_t
ngx_http_stoa_mcp_approve_answered(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_approve_t *ap)
{
    ngx_int_t                    rc;
    ngx_http_stoa_mcp_verdict_t  v;

    rc = ngx_http_stoa_mcp_approve_user_said(r, ctx, ap);

    if (rc == NGX_OK) {
        ap->asked = 0;
        ap->waited = 0;
        return ngx_http_stoa_mcp_approve_ask(r, ctx, ap);
    }

    if (rc != NGX_DECLINED
        || ngx_http_stoa_mcp_approve_verdict(ap, &v) != NGX_OK)
    {
        return rc == NGX_DECLINED ? NGX_ERROR : rc;
    }

    return ngx_http_stoa_mcp_approve_refuse(r, ctx,
                                       NGX_HTTP_STOA_APPROVAL_REQUIRED, &v,
                                       "nobody waits for it at the moment");
}


static ngx_int_t
ngx_http_stoa_mcp_approve_begin(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t                     rc;
    ngx_pool_cleanup_t           *cln;
    ngx_http_stoa_mcp_approve_t  *ap;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_stoa_mcp_approve_t));
    if (cln == NULL) {
        return NGX_ERROR;
    }

    ap = cln->data;
    ngx_memzero(ap, sizeof(ngx_http_stoa_mcp_approve_t));
    stoa_buf_init(&ap->answer, NGX_HTTP_STOA_MCP_APPROVE_BYTES);
    ap->request = r;
    cln->handler = ngx_http_stoa_mcp_approve_cleanup;
    ctx->call.mcp->approve = ap;

    rc = ngx_http_stoa_mcp_approve_read(r, ctx, ap);

    if (rc == NGX_OK && ctx->call.mcp->modern) {
        rc = ngx_http_stoa_mcp_approve_heard(r, ctx, ap);
    }

    return rc == NGX_OK ? ngx_http_stoa_mcp_approve_ask(r, ctx, ap) : rc;
}


/* ---- what is called ----------------------------------------------------- */

static ngx_int_t
ngx_http_stoa_mcp_approve_read(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_approve_t *ap)
{
    ngx_int_t             rc;
    ngx_str_t             detail;
    stoa_buf_t            b;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    stoa_buf_init(&b, STOA_TOOL_NAME_MAX + 1 + NGX_HTTP_STOA_MCP_APPROVE_ARGS);
    stoa_buf_add(&b, mcp->tool_name.data, mcp->tool_name.len);
    stoa_buf_add(&b, "", 1);

    if (mcp->msg.arguments.start) {
        stoa_json_compact(&mcp->msg.arguments, &b);

    } else {
        stoa_buf_addz(&b, "{}");
    }

    ngx_http_stoa_mcp_principal(ctx, ap->aad);

    rc = b.rc == STOA_OK
         ? ngx_http_stoa_sha256((u_char *) b.data, b.len,
                                ap->aad + NGX_HTTP_STOA_MCP_PRINCIPAL)
         : NGX_DECLINED;
    stoa_buf_free(&b);

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_mcp_approve_show(r, ctx, ap);
    }

    if (rc == NGX_DECLINED) {
        ngx_str_set(&detail, "The arguments are too long for a person to "
                    "approve them.");
        return ngx_http_stoa_mcp_refuse(r, ctx,
                                        NGX_HTTP_STOA_REFUSE_MCP_ARGUMENTS,
                                        &detail);
    }

    return rc;
}


/* Is the value of this member nobody's business by this policy? */

static ngx_uint_t
ngx_http_stoa_mcp_approve_redacts(const ngx_http_stoa_attached_t *a,
    const stoa_json_val_t *key)
{
    uint32_t                       i;
    stoa_str_t                     name;
    const stoa_ref_t              *ref;
    const stoa_policy_approval_t  *conf;

    conf = a->config;
    ref = stoa_rec_vec(a->rec, conf->redact, stoa_ref_t);

    for (i = 0; i < conf->redact.n; i++) {
        name = stoa_rec_str(a->rec, ref[i]);

        if (stoa_json_eq(key, name.data, name.len)) {
            return 1;
        }
    }

    return 0;
}


/* By any that applies: the wider ones', too. */

static ngx_uint_t
ngx_http_stoa_mcp_approve_hides(ngx_http_stoa_ctx_t *ctx,
    const stoa_json_val_t *key)
{
    ngx_str_t                       *tool;
    ngx_uint_t                       i, from;
    ngx_http_stoa_chain_t           *chain;
    const ngx_http_stoa_attached_t  *a;

    tool = &ctx->call.tool_name;

    for (from = 0; from < NGX_HTTP_STOA_CHAIN_MAX; from++) {
        chain = ctx->call.chain[from];

        for (i = 0; chain && i < chain->n; i++) {
            a = &chain->elts[i];

            if (a->policy == &ngx_http_stoa_policy_approval && !a->shadow
                && (a->tool.len == 0
                    || (a->tool.len == tool->len
                        && ngx_memcmp(a->tool.data, tool->data, tool->len)
                           == 0))
                && ngx_http_stoa_mcp_approve_redacts(a, key))
            {
                return 1;
            }
        }
    }

    return ngx_http_stoa_mcp_approve_redacts(ctx->call.approval, key);
}


static ngx_int_t
ngx_http_stoa_mcp_approve_show(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_approve_t *ap)
{
    ngx_int_t             rc;
    ngx_uint_t            more, n;
    stoa_buf_t            raw, b;
    stoa_json_val_t       key, val;
    stoa_json_iter_t      it;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;
    n = 0;

    stoa_buf_init(&raw, NGX_HTTP_STOA_MCP_APPROVE_ARGS);
    stoa_buf_init(&b, NGX_HTTP_STOA_MCP_APPROVE_ARGS);
    stoa_buf_addz(&raw, "{");

    for (more = mcp->msg.arguments.start
                && stoa_json_first(&mcp->msg.arguments, &it, &key, &val);
         more;
         more = stoa_json_next(&it, &key, &val))
    {
        stoa_buf_addz(&raw, n++ ? "," : "");
        stoa_buf_add(&raw, key.start, key.end - key.start);
        stoa_buf_addz(&raw, ":");

        if (ngx_http_stoa_mcp_approve_hides(ctx, &key)) {
            stoa_buf_addz(&raw, "\"***\"");

        } else {
            stoa_json_compact(&val, &raw);
        }
    }

    stoa_buf_addz(&raw, "}");

    if (raw.rc == STOA_OK) {
        ngx_http_stoa_mcp_approve_plain(&raw, &b);
    }

    rc = raw.rc == STOA_OK && b.rc == STOA_OK
         ? ngx_http_stoa_ctx_text(r, &b, &ap->shown) : NGX_DECLINED;

    stoa_buf_free(&raw);
    stoa_buf_free(&b);

    return rc;
}


/*
 * What the client says to what it was asked: it is for us if its state is,
 * and goes no further then.
 */

static ngx_int_t
ngx_http_stoa_mcp_approve_heard(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_approve_t *ap)
{
    size_t                        len;
    uint8_t                      *plain;
    ngx_str_t                     detail;
    stoa_str_t                    state;
    ngx_uint_t                    asked, accepted;
    stoa_json_val_t               v, answer, action;
    ngx_http_stoa_mcp_t          *mcp;
    ngx_http_stoa_mcp_verdict_t   verdict;

    mcp = ctx->call.mcp;

    asked = stoa_json_get(&mcp->msg.params, "inputResponses", &v)
            && v.type == STOA_JSON_OBJECT
            && stoa_json_get(&v, NGX_HTTP_STOA_MCP_APPROVE_KEY, &answer);

    plain = ngx_pnalloc(r->pool, STOA_SEAL_TEXT_MAX);
    if (plain == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (!stoa_json_get(&mcp->msg.params, "requestState", &v)
        || !stoa_json_text(&v, &state)
        || !stoa_seal_open(STOA_SEAL_APPROVAL,
                           (stoa_str_t) { (char *) ap->aad, sizeof(ap->aad) },
                           state, plain, &len)
        || len < STOA_ID_LEN)
    {
        if (!asked) {
            return ngx_http_stoa_mcp_approve_keep(r, ctx, ap);
        }

        ngx_str_set(&detail, "The requestState is not one of this call.");
        return ngx_http_stoa_mcp_refuse(r, ctx,
                                        NGX_HTTP_STOA_REFUSE_MCP_PARAMS,
                                        &detail);
    }

    accepted = asked && answer.type == STOA_JSON_OBJECT
               && stoa_json_get(&answer, "action", &action)
               && action.type == STOA_JSON_STRING
               && stoa_json_eq(&action, "accept", 6);

    if (!accepted) {
        ngx_memzero(&verdict, sizeof(verdict));
        verdict.id.data = (char *) plain;
        verdict.id.len = STOA_ID_LEN;

        return ngx_http_stoa_mcp_approve_refuse(r, ctx,
                                       NGX_HTTP_STOA_APPROVAL_REQUIRED,
                                       &verdict,
                                       "nobody waits for it at the moment");
    }

    ap->kept.data = plain + STOA_ID_LEN;
    ap->kept.len = len - STOA_ID_LEN;

    return ngx_http_stoa_mcp_approve_strip(r, ctx, ap);
}


/*
 * What the client answers to the upstream goes into our requestState, which
 * takes the place of the upstream's until the call passes.
 */

static ngx_int_t
ngx_http_stoa_mcp_approve_keep(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_approve_t *ap)
{
    stoa_buf_t             b;
    ngx_uint_t             i;
    stoa_json_val_t        v;
    const stoa_json_val_t *params;

    static const char  *const names[] = { "inputResponses", "requestState" };

    params = &ctx->call.mcp->msg.params;
    stoa_buf_init(&b, ctx->call.mcp->body.len + 64);

    for (i = 0; i < 2; i++) {
        if (stoa_json_get(params, names[i], &v)) {
            stoa_buf_addf(&b, "%s\"%s\":", b.len ? "," : "", names[i]);
            stoa_buf_add(&b, v.start, v.end - v.start);
        }
    }

    return b.len ? ngx_http_stoa_ctx_text(r, &b, &ap->kept) : NGX_OK;
}


/* The message without its two members for us, with those for the upstream. */

static ngx_int_t
ngx_http_stoa_mcp_approve_strip(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_approve_t *ap)
{
    int                   code;
    ngx_uint_t            more, n;
    stoa_buf_t            b;
    stoa_err_t            err;
    stoa_json_val_t       key, val, *params;
    stoa_json_iter_t      it;
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;
    params = &mcp->msg.params;
    n = 0;

    stoa_buf_init(&b, mcp->body.len + ap->kept.len + 2);
    stoa_buf_add(&b, mcp->body.data,
                 (u_char *) params->start - mcp->body.data);
    stoa_buf_addz(&b, "{");

    for (more = stoa_json_first(params, &it, &key, &val);
         more;
         more = stoa_json_next(&it, &key, &val))
    {
        if (stoa_json_eq(&key, "inputResponses", 14)
            || stoa_json_eq(&key, "requestState", 12))
        {
            continue;
        }

        stoa_buf_addz(&b, n++ ? "," : "");
        stoa_buf_add(&b, key.start, val.end - key.start);
    }

    stoa_buf_addz(&b, n && ap->kept.len ? "," : "");
    stoa_buf_add(&b, ap->kept.data, ap->kept.len);
    stoa_buf_addz(&b, "}");
    stoa_buf_add(&b, params->end, mcp->body.data + mcp->body.len
                                  - (u_char *) params->end);

    if (ngx_http_stoa_ctx_text(r, &b, &mcp->body) != NGX_OK
        || stoa_jsonrpc_scan((char *) mcp->body.data, mcp->body.len,
                             &mcp->msg, &code, &err)
           != STOA_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    mcp->named = mcp->msg.name;

    return NGX_OK;
}


/* ---- the control plane -------------------------------------------------- */

static ngx_int_t
ngx_http_stoa_mcp_approve_ask(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_approve_t *ap)
{
    ngx_int_t               rc;
    stoa_buf_t              b;
    ngx_http_stoa_fetch_t  *f;

    ap->in = ngx_http_stoa_mcp_approve_count(ngx_http_stoa_mcp_approves_in,
                                             &ctx->tenant);
    ap->of = ngx_http_stoa_mcp_approve_count(ngx_http_stoa_mcp_approves_of,
                                             &ctx->application);

    f = ngx_http_stoa_mcp_approves < NGX_HTTP_STOA_MCP_APPROVES
        && *ap->in < NGX_HTTP_STOA_MCP_APPROVES_IN
        && *ap->of < NGX_HTTP_STOA_MCP_APPROVES_OF
        ? ngx_http_stoa_fetch_create(r->connection->log) : NULL;

    if (f == NULL) {
        ngx_http_stoa_count(approvals_failed, 1);
        return ngx_http_stoa_mcp_approve_refuse(r, ctx,
                                    NGX_HTTP_STOA_APPROVAL_UNAVAILABLE, NULL,
                                    "too many wait for an answer");
    }

    stoa_buf_reset(&ap->answer);
    ap->status = 0;

    ngx_str_set(&f->method, "POST");
    f->handler = &ngx_http_stoa_mcp_approve_handler;
    f->data = ap;
    f->connect_timeout = NGX_HTTP_STOA_MCP_APPROVE_MS;
    f->read_timeout = NGX_HTTP_STOA_MCP_APPROVE_MS
                      + 1000 * ngx_http_stoa_mcp_approve_conf(ctx)->wait_s;
    f->deadline = ngx_current_msec + 2 * f->connect_timeout + f->read_timeout;
    f->max_body = NGX_HTTP_STOA_MCP_APPROVE_BYTES;
    f->max_head = NGX_HTTP_STOA_MCP_APPROVE_BYTES;
    f->stay = 1;                       /* a request waits, also at a reload */

    stoa_buf_init(&b, 8 * NGX_HTTP_STOA_MCP_APPROVE_ARGS);
    ngx_http_stoa_mcp_approve_body(ctx, ap, &b);

    rc = ngx_http_stoa_ctx_text(r, &b, &f->body);

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_fetch_control(f, "/gateway/v1/approvals", r);
    }

    if (rc != NGX_OK) {
        ngx_http_stoa_fetch_cancel(f);
        return NGX_ERROR;
    }

    ap->fetch = f;
    ngx_http_stoa_mcp_approves++;
    (*ap->in)++;
    (*ap->of)++;
    ngx_http_stoa_count(approvals_asked, !ap->waited);

    ngx_http_stoa_fetch_start(f);

    return ngx_http_stoa_ctx_suspend(r);
}


/* Who has waited asks once more for using what was approved. */

static void
ngx_http_stoa_mcp_approve_body(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_mcp_approve_t *ap, stoa_buf_t *b)
{
    size_t                         i;
    ngx_str_t                     *who;
    const stoa_policy_approval_t  *conf;

    conf = ngx_http_stoa_mcp_approve_conf(ctx);

    stoa_buf_addf(b, "{\"api\":\"%.16s\",\"tool\":\"%.16s\","
                  "\"application\":\"%.16s\",\"ttl_s\":%u,\"max_pending\":%u,"
                  "\"wait_s\":%u,\"digest\":\"",
                  ctx->call.api->id.c, ctx->call.tool.c, ctx->application.c,
                  (unsigned) conf->expires_s, (unsigned) conf->max_pending,
                  ap->waited ? 0 : (unsigned) conf->wait_s);

    for (i = NGX_HTTP_STOA_MCP_PRINCIPAL; i < sizeof(ap->aad); i++) {
        stoa_buf_addf(b, "%02x", ap->aad[i]);
    }

    stoa_buf_addz(b, "\",\"request_id\":");
    stoa_buf_add_json(b, (char *) ctx->request_id.data,
                      ngx_min(ctx->request_id.len, 64));

    if (ctx->token) {
        who = &ctx->token->subject;

        stoa_buf_addz(b, ",\"principal\":\"");

        for (i = 0; i < STOA_ID_LEN; i++) {
            stoa_buf_addf(b, "%02x", (u_char) ctx->principal.c[i]);
        }

        stoa_buf_addz(b, "\",\"subject\":");

        for (i = 0; i < who->len && who->data[i] >= 0x20
                    && who->data[i] != 0x7f;
             i++)
        {
            /* void */
        }

        stoa_buf_add_json(b, (char *) who->data,
                          i == who->len
                          && i <= NGX_HTTP_STOA_MCP_APPROVE_WHO ? i : 0);
    }

    stoa_buf_addz(b, ",\"arguments\":");
    stoa_buf_add_json(b, (char *) ap->shown.data, ap->shown.len);
    stoa_buf_addz(b, "}");
}


static void
ngx_http_stoa_mcp_approve_chunk(ngx_http_stoa_fetch_t *f, void *data,
    const u_char *p, size_t len)
{
    ngx_http_stoa_mcp_approve_t *ap = data;

    stoa_buf_add(&ap->answer, p, len);
}


static void
ngx_http_stoa_mcp_approve_end(ngx_http_stoa_fetch_t *f, void *data,
    ngx_http_stoa_fetch_end_e how)
{
    ngx_http_stoa_mcp_approve_t *ap = data;

    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ap->request;
    c = r->connection;
    ap->status = how == NGX_HTTP_STOA_FETCH_DONE ? f->http.status : 0;
    ngx_http_stoa_mcp_approve_over(ap);

    ngx_http_set_log_request(c->log, r);

    if (ap->status != NGX_HTTP_OK) {
        ngx_log_error(NGX_LOG_ERR, c->log, 0,
                      "stoa: the control plane was asked for an approval: %s, "
                      "HTTP status %ui %*s", how == NGX_HTTP_STOA_FETCH_DONE
                      ? "done" : f->why ? f->why : "no answer", ap->status,
                      ngx_min(ap->answer.len, 500), ap->answer.data);
    }

    ngx_http_stoa_ctx_wake(r);
}


static void
ngx_http_stoa_mcp_approve_over(ngx_http_stoa_mcp_approve_t *ap)
{
    ap->fetch = NULL;
    ngx_http_stoa_mcp_approves--;
    (*ap->in)--;
    (*ap->of)--;
}


static void
ngx_http_stoa_mcp_approve_cleanup(void *data)
{
    ngx_http_stoa_mcp_approve_t *ap = data;

    if (ap->fetch) {
        ngx_http_stoa_fetch_cancel(ap->fetch);
        ngx_http_stoa_mcp_approve_over(ap);
    }

    stoa_buf_free(&ap->answer);
}


/* ---- what it says ------------------------------------------------------- */

static ngx_int_t
ngx_http_stoa_mcp_approve_verdict(ngx_http_stoa_mcp_approve_t *ap,
    ngx_http_stoa_mcp_verdict_t *v)
{
    stoa_json_val_t  root;

    ngx_memzero(v, sizeof(ngx_http_stoa_mcp_verdict_t));

    if (ap->status != NGX_HTTP_OK || ap->answer.rc != STOA_OK
        || ap->answer.len == 0
        || stoa_json_check(ap->answer.data, ap->answer.len, 8, &root, NULL)
           != STOA_OK
        || root.type != STOA_JSON_OBJECT
        || !stoa_json_get_text(&root, "says", &v->says))
    {
        return NGX_ERROR;
    }

    (void) stoa_json_get_text(&root, "id", &v->id);
    (void) stoa_json_get_uint(&root, "expires_ms", &v->expires_ms);

    if (!stoa_json_get(&root, "reason", &v->reason)
        || v->reason.type != STOA_JSON_STRING)
    {
        v->reason.start = NULL;
    }

    return v->id.len <= STOA_ID_LEN ? NGX_OK : NGX_ERROR;
}


#define ngx_http_stoa_mcp_approve_is(v, word)                                 \
    ((v)->says.len == sizeof(word) - 1                                        \
     && ngx_memcmp((v)->says.data, word, sizeof(word) - 1) == 0)


static ngx_int_t
ngx_http_stoa_mcp_approve_told(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_approve_t *ap)
{
    ngx_int_t                    rc;
    ngx_http_stoa_mcp_verdict_t  v;

    if (ngx_http_stoa_mcp_approve_verdict(ap, &v) != NGX_OK) {
        ngx_http_stoa_count(approvals_failed, 1);
        return ngx_http_stoa_mcp_approve_refuse(r, ctx,
                                    NGX_HTTP_STOA_APPROVAL_UNAVAILABLE, NULL,
                                    NULL);
    }

    if (ngx_http_stoa_mcp_approve_is(&v, "run")) {
        ngx_http_stoa_count(approvals_passed, 1);
        ap->passed = 1;
        return NGX_OK;
    }

    if (ngx_http_stoa_mcp_approve_is(&v, "approved") && !ap->waited) {
        ap->waited = 1;
        return ngx_http_stoa_mcp_approve_ask(r, ctx, ap);
    }

    if (ngx_http_stoa_mcp_approve_is(&v, "denied")) {
        return ngx_http_stoa_mcp_approve_refuse(r, ctx,
                                         NGX_HTTP_STOA_APPROVAL_DENIED, &v,
                                         NULL);
    }

    if (ngx_http_stoa_mcp_approve_is(&v, "full")) {
        ctx->call.limited = 0;             /* waiting a second does not help */
        return ngx_http_stoa_mcp_approve_refuse(r, ctx,
                                         NGX_HTTP_STOA_APPROVAL_FULL, NULL,
                                         NULL);
    }

    rc = ngx_http_stoa_mcp_approve_user(r, ctx, ap, &v);

    if (rc == NGX_AGAIN) {
        ap->asked = 1;
    }

    return rc == NGX_DECLINED
           ? ngx_http_stoa_mcp_approve_waits(r, ctx, ap, &v) : rc;
}
