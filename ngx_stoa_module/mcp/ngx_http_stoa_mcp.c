/*
 * MCP: the steps of a request to /mcp/<tenant>[/<server>], and the methods
 * that the gateway answers by itself.
 *
 * Both eras are served on one URL: 2026-07-28 (stateless) and 2025-11-25 back
 * to 2025-03-26 (sessions).  The gateway is a server to its clients and a
 * client to each upstream; no session id of the one is seen by the other.
 */

#include "ngx_http_stoa_relay.h"
#include "ngx_http_stoa_mcp_look.h"
#include "ngx_http_stoa_modern.h"
#include "ngx_http_stoa_updates.h"
#include "ngx_http_stoa_hop.h"
#include "ngx_http_stoa_link.h"
#include "ngx_http_stoa_park.h"
#include "ngx_http_stoa_upstream.h"
#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_store.h"
#include "ngx_http_stoa_header.h"
#include "core/stoa_key.h"


typedef struct {
    stoa_mcp_method_e   method;
    ngx_uint_t          modern;
    ngx_int_t         (*run)(ngx_http_request_t *r,
                             ngx_http_stoa_ctx_t *ctx);
} ngx_http_stoa_mcp_method_t;


static ngx_uint_t ngx_http_stoa_mcp_match(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_resource(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_str_t *path,
    ngx_http_stoa_resource_t *res);
static ngx_int_t ngx_http_stoa_mcp_names(const ngx_str_t *path,
    ngx_str_t *tenant, ngx_str_t *server);
static ngx_int_t ngx_http_stoa_mcp_enter(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_endpoint(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_policies(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_verb(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_find(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_streams(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_entitled(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_dispatch(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_owner(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_send_on(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_initialize(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_ping(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_discover(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
static ngx_int_t ngx_http_stoa_mcp_call(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);


/*
 * In this order: nothing of the body is read before the caller is known, and
 * who has the wrong key is told so, whatever it is that he tries.
 * What an upstream answers goes on through the last rows; every other method
 * ends in `dispatch`.
 */

static const ngx_http_stoa_step_t  ngx_http_stoa_mcp_steps[] = {
    { "endpoint",     ngx_http_stoa_looks(ngx_http_stoa_mcp_endpoint) },
    { "admit",        ngx_http_stoa_looks(ngx_http_stoa_policy_admit) },
    { "headers",      ngx_http_stoa_looks(ngx_http_stoa_mcp_read_headers) },
    { "authenticate", ngx_http_stoa_looks(ngx_http_stoa_policy_authn) },
    { "verb",         ngx_http_stoa_looks(ngx_http_stoa_mcp_verb) },
    { "negotiate",    ngx_http_stoa_looks(ngx_http_stoa_mcp_negotiate) },
    { "keys",         ngx_http_stoa_looks(ngx_http_stoa_mcp_keys) },
    { "find",         ngx_http_stoa_looks(ngx_http_stoa_mcp_find) },
    { "delete",       ngx_http_stoa_mcp_session_delete,
                      ngx_http_stoa_mcp_look_post },
    { "get",          ngx_http_stoa_mcp_streams, ngx_http_stoa_mcp_look_post },
    { "body",         ngx_http_stoa_looks(ngx_http_stoa_mcp_read_body) },
    { "scan",         ngx_http_stoa_looks(ngx_http_stoa_mcp_scan) },
    { "pair",         ngx_http_stoa_looks(ngx_http_stoa_mcp_pair_post) },
    { "entitled",     ngx_http_stoa_looks(ngx_http_stoa_mcp_entitled) },
    { "era",          ngx_http_stoa_looks(ngx_http_stoa_mcp_era) },
    { "dispatch",     ngx_http_stoa_mcp_dispatch,
                      ngx_http_stoa_mcp_look_dispatch },
    { "resolve",      ngx_http_stoa_looks(ngx_http_stoa_mcp_owner) },
    { "where",        ngx_http_stoa_mcp_state_where, NULL },
    { "judge",        ngx_http_stoa_looks(ngx_http_stoa_policy_judge) },
    { "search",       ngx_http_stoa_mcp_search, NULL },
    { "back",         ngx_http_stoa_mcp_guest_back, NULL },
    { "approve",      ngx_http_stoa_mcp_approve, NULL },
    { "credential",   ngx_http_stoa_credential_step, NULL },
    { "connect",      ngx_http_stoa_mcp_connect, NULL },
    { "splice",       ngx_http_stoa_mcp_splice, NULL },
    { "forward",      ngx_http_stoa_mcp_send_on, NULL },
    { NULL,           NULL, NULL }
};


static const ngx_http_stoa_mcp_method_t  ngx_http_stoa_mcp_methods[] = {
    { STOA_MCP_INITIALIZE, 0, ngx_http_stoa_mcp_initialize },
    { STOA_MCP_PING,       0, ngx_http_stoa_mcp_ping },
    { STOA_MCP_TOOLS_LIST, 0, ngx_http_stoa_mcp_list },
    { STOA_MCP_PROMPTS_LIST, 0, ngx_http_stoa_mcp_list },
    { STOA_MCP_PROMPTS_GET, 0, ngx_http_stoa_mcp_call },
    { STOA_MCP_RESOURCES_LIST, 0, ngx_http_stoa_mcp_list },
    { STOA_MCP_RESOURCES_READ, 0, ngx_http_stoa_mcp_call },
    { STOA_MCP_TEMPLATES_LIST, 0, ngx_http_stoa_mcp_list },
    { STOA_MCP_COMPLETE,   0, ngx_http_stoa_mcp_call },
    { STOA_MCP_TOOLS_CALL, 0, ngx_http_stoa_mcp_call },
    { STOA_MCP_SUBSCRIBE,  0, ngx_http_stoa_mcp_call },
    { STOA_MCP_UNSUBSCRIBE, 0, ngx_http_stoa_mcp_call },
    { STOA_MCP_LEVEL,      0, ngx_http_stoa_mcp_level },
    { STOA_MCP_DISCOVER,   1, ngx_http_stoa_mcp_discover },
    { STOA_MCP_TOOLS_LIST, 1, ngx_http_stoa_mcp_list },
    { STOA_MCP_PROMPTS_LIST, 1, ngx_http_stoa_mcp_list },
    { STOA_MCP_PROMPTS_GET, 1, ngx_http_stoa_mcp_call },
    { STOA_MCP_RESOURCES_LIST, 1, ngx_http_stoa_mcp_list },
    { STOA_MCP_RESOURCES_READ, 1, ngx_http_stoa_mcp_call },
    { STOA_MCP_TEMPLATES_LIST, 1, ngx_http_stoa_mcp_list },
    { STOA_MCP_COMPLETE,   1, ngx_http_stoa_mcp_call },
    { STOA_MCP_TOOLS_CALL, 1, ngx_http_stoa_mcp_call },
    { STOA_MCP_LISTEN,     1, ngx_http_stoa_mcp_listen },
    { STOA_MCP_TASK,       0, ngx_http_stoa_mcp_task },
    { STOA_MCP_TASK_RESULT, 0, ngx_http_stoa_mcp_task },
    { STOA_MCP_TASK_LIST,  0, ngx_http_stoa_mcp_task_list },
    { STOA_MCP_TASK,       1, ngx_http_stoa_mcp_task },
    { STOA_MCP_TASK_UPDATE, 1, ngx_http_stoa_mcp_task },
    { STOA_MCP_OTHER,      0, NULL }
};


const ngx_http_stoa_edge_t  ngx_http_stoa_mcp_edge = {
    .name = ngx_string("mcp"),
    .steps = ngx_http_stoa_mcp_steps,
    .origins = 1,
    .secrets = 1,
    .match = ngx_http_stoa_mcp_match,
    .resource = ngx_http_stoa_mcp_resource,
    .enter = ngx_http_stoa_mcp_enter,
    .error = ngx_http_stoa_mcp_error,
    .answers = ngx_http_stoa_mcp_answers,
    .content = ngx_http_stoa_mcp_content,
    .header_dropped = ngx_http_stoa_mcp_header_dropped,
    .headers_add = ngx_http_stoa_mcp_headers_add,
    .again = ngx_http_stoa_mcp_judge_login,
    .answer = ngx_http_stoa_mcp_judge,
    .fits = ngx_http_stoa_mcp_judge_fits,
    .head = ngx_http_stoa_mcp_stream_head,
    .body = ngx_http_stoa_mcp_stream_body,
    .ended = ngx_http_stoa_mcp_stream_ended,
    .late = ngx_http_stoa_mcp_stream_late,
    .once = 1
};


void
ngx_http_stoa_mcp_came(const u_char *p, size_t len, int fd)
{
    if (fd != -1) {
        ngx_http_stoa_mcp_linked_passed(fd, p + 1, len - 1);
        return;
    }

    switch (p[0]) {

    case 'm':
        ngx_http_stoa_mcp_pair_came(p, len);
        return;

    case 'A':
        ngx_http_stoa_mcp_park_asked(p, len);
        return;

    case 'G':
    case 'L':
    case 'P':
    case 'W':
        ngx_http_stoa_mcp_work_came(p, len);
        return;

    case 'S':
    case 'D':
    case 'F':
    case 'N':
    case 'X':
    case 'Y':
        ngx_http_stoa_mcp_guest_came(p, len);
        return;

    default:
        ngx_http_stoa_mcp_input_came(p, len);
        return;
    }
}


static ngx_uint_t
ngx_http_stoa_mcp_match(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    return ctx->mode == NGX_HTTP_STOA_FULL
           && r->uri.len >= sizeof("/mcp") - 1
           && ngx_memcmp(r->uri.data, "/mcp", sizeof("/mcp") - 1) == 0
           && (r->uri.len == sizeof("/mcp") - 1 || r->uri.data[4] == '/');
}


/* The endpoint; whether there is such a server, callers alone may know. */

static ngx_int_t
ngx_http_stoa_mcp_resource(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_str_t *path, ngx_http_stoa_resource_t *res)
{
    ngx_str_t                   names[2];
    const stoa_rec_server_t    *server;
    const stoa_rec_tenant_t    *tenant;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    res->path = path ? *path : r->uri;

    if (ngx_http_stoa_mcp_names(&res->path, &names[0], &names[1]) != NGX_OK) {
        return NGX_DECLINED;
    }

    tenant = ngx_http_stoa_store_tenant_by_name(mcf->store,
                                                (char *) names[0].data,
                                                names[0].len);
    if (tenant == NULL) {
        return NGX_DECLINED;
    }

    res->tenant = tenant->id;
    res->within = names[1].len != 0;

    server = res->within
             ? ngx_http_stoa_store_server_by_name(mcf->store,
                                                  (char *) names[0].data,
                                                  names[0].len,
                                                  (char *) names[1].data,
                                                  names[1].len)
             : NULL;
    if (server) {
        res->server = server->id;
        res->rec = server;
        res->policies = &server->policies;

    } else if (!res->within) {
        res->rec = tenant;
        res->policies = &tenant->policies;
    }

    if (res->path.data[res->path.len - 1] == '/') {
        res->path.len--;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_mcp_enter(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    if (ctx->call.mcp == NULL) {
        ctx->call.mcp = ngx_pcalloc(r->pool, sizeof(ngx_http_stoa_mcp_t));
        if (ctx->call.mcp == NULL
            || ngx_http_stoa_mcp_hop_came(r, ctx) != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (ctx->call.mcp->again && r->method != NGX_HTTP_POST) {

        /* an internal redirect makes it a GET */

        r->method = NGX_HTTP_POST;
        ngx_str_set(&r->method_name, "POST");
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_mcp_endpoint(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    if (ngx_http_stoa_mcp_names(&r->uri, &mcp->tenant_name,
                                &mcp->server_name)
        != NGX_OK)
    {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NO_ROUTE, NULL);
    }

    mcp->has_server = mcp->server_name.len != 0;

    return ngx_http_stoa_mcp_policies(r, ctx);
}


/* /mcp/<tenant>[/<server>]; a trailing slash is forgiven. */

static ngx_int_t
ngx_http_stoa_mcp_names(const ngx_str_t *path, ngx_str_t *tenant,
    ngx_str_t *server)
{
    u_char  *p, *last, *slash;

    if (path->len < sizeof("/mcp/") - 1
        || ngx_memcmp(path->data, "/mcp/", sizeof("/mcp/") - 1) != 0)
    {
        return NGX_DECLINED;
    }

    p = path->data + sizeof("/mcp/") - 1;
    last = path->data + path->len;

    if (p < last && last[-1] == '/') {
        last--;
    }

    slash = ngx_strlchr(p, last, '/');

    tenant->data = p;
    tenant->len = (slash ? slash : last) - p;
    ngx_str_null(server);

    if (slash) {
        server->data = slash + 1;
        server->len = last - slash - 1;
    }

    return stoa_name_valid((char *) tenant->data, tenant->len)
           && (slash == NULL
               || stoa_name_valid((char *) server->data, server->len))
           ? NGX_OK : NGX_DECLINED;
}


/* Those of the endpoint count before it is known who calls. */

static ngx_int_t
ngx_http_stoa_mcp_policies(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t                   rc;
    ngx_http_stoa_mcp_t        *mcp;
    ngx_http_stoa_chain_t      *chain;
    const stoa_rec_server_t    *server;
    const stoa_rec_tenant_t    *tenant;
    ngx_http_stoa_main_conf_t  *mcf;

    mcp = ctx->call.mcp;
    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    chain = NULL;
    rc = NGX_OK;

    if (mcp->has_server) {
        server = ngx_http_stoa_store_server_by_name(mcf->store,
                                              (char *) mcp->tenant_name.data,
                                              mcp->tenant_name.len,
                                              (char *) mcp->server_name.data,
                                              mcp->server_name.len);
        if (server) {
            rc = ngx_http_stoa_chain_get(r, server, &server->policies,
                                         &chain);
        }

    } else {
        tenant = ngx_http_stoa_store_tenant_by_name(mcf->store,
                                              (char *) mcp->tenant_name.data,
                                              mcp->tenant_name.len);
        if (tenant) {
            rc = ngx_http_stoa_chain_get(r, tenant, &tenant->policies,
                                         &chain);
        }
    }

    ngx_http_stoa_chain_set(ctx, NGX_HTTP_STOA_CHAIN_ENDPOINT, chain);

    return rc;
}


static ngx_int_t
ngx_http_stoa_mcp_verb(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    if (r->method == NGX_HTTP_POST
        || ((r->method & (NGX_HTTP_DELETE|NGX_HTTP_GET))
            && ctx->call.mcp->headers.session)
        || ngx_http_stoa_mcp_pair_wanted(r, ctx))
    {
        return NGX_OK;
    }

    /* without a session there is nothing to stream or to end */

    ngx_str_set(&ctx->call.allow, "GET, POST, DELETE");

    return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_METHOD, NULL);
}


/* The endpoint's tenant and server, as the caller may know them: one that has
 * nothing for it does not exist. */

static ngx_int_t
ngx_http_stoa_mcp_find(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_mcp_t        *mcp;
    ngx_http_stoa_store_t      *store;
    const stoa_rec_server_t    *server;
    const stoa_rec_tenant_t    *tenant;
    ngx_http_stoa_main_conf_t  *mcf;
    ngx_http_stoa_mcp_access_t *access;

    mcp = ctx->call.mcp;
    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    store = mcf->store;

    tenant = ngx_http_stoa_store_tenant_by_name(store,
                                              (char *) mcp->tenant_name.data,
                                              mcp->tenant_name.len);
    if (tenant == NULL || tenant->state == STOA_STATE_ARCHIVED) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NO_ROUTE, NULL);
    }

    mcp->endpoint_tenant = tenant->id;
    ctx->call.route_tenant = tenant->id;

    if (mcp->has_server) {
        server = ngx_http_stoa_store_server_by_name(store,
                                              (char *) mcp->tenant_name.data,
                                              mcp->tenant_name.len,
                                              (char *) mcp->server_name.data,
                                              mcp->server_name.len);
        if (server == NULL) {
            return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NO_ROUTE,
                                        NULL);
        }

        mcp->server = server->id;
    }

    if (ngx_memcmp(&ctx->tenant, &tenant->id, STOA_ID_LEN) != 0) {

        access = ngx_http_stoa_mcp_access(r, ctx);
        if (access == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (!access->entitled) {
            return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NO_ROUTE,
                                        NULL);
        }
    }

    return NGX_OK;
}


/* There is no message that a refusal could be an answer to. */

static ngx_int_t
ngx_http_stoa_mcp_streams(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (r->method != NGX_HTTP_GET) {
        return NGX_OK;
    }

    rc = ngx_http_stoa_mcp_entitled(r, ctx);

    if (rc != NGX_OK) {
        return rc;
    }

    return ctx->call.mcp->headers.session ? ngx_http_stoa_mcp_get(r, ctx)
                                          : ngx_http_stoa_mcp_pair(r, ctx);
}


/* What ends for a while must not end its client: he is told when there is a
 * message to answer.  A bundle is subscribed to as a whole. */

static ngx_int_t
ngx_http_stoa_mcp_entitled(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_mcp_t        *mcp;
    const stoa_rec_tenant_t    *tenant;
    ngx_http_stoa_main_conf_t  *mcf;

    mcp = ctx->call.mcp;
    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    tenant = ngx_http_stoa_store_tenant(mcf->store, &mcp->endpoint_tenant);

    if (tenant == NULL) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NO_ROUTE, NULL);
    }

    if (tenant->state == STOA_STATE_SUSPENDED) {
        return ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_TENANT_SUSPENDED,
                                    NULL);
    }

    if (!mcp->has_server) {
        return NGX_OK;
    }

    ctx->call.subscribed = mcp->server;

    return ngx_http_stoa_policy_access(r, ctx);
}


static ngx_int_t
ngx_http_stoa_mcp_dispatch(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t                         rc;
    ngx_http_stoa_mcp_t              *mcp;
    const ngx_http_stoa_mcp_method_t *row;

    mcp = ctx->call.mcp;

    if (mcp->msg.kind == STOA_JSONRPC_BATCH) {
        return ngx_http_stoa_mcp_batch(r, ctx);
    }

    if (mcp->msg.kind == STOA_JSONRPC_RESPONSE) {
        return ngx_http_stoa_mcp_relay_answer(r, ctx);
    }

    if (mcp->msg.kind == STOA_JSONRPC_NOTIFICATION) {
        rc = ngx_http_stoa_mcp_relay_note(r, ctx);
        return rc == NGX_DECLINED ? ngx_http_stoa_mcp_other_note(r, ctx) : rc;
    }

    for (row = ngx_http_stoa_mcp_methods; row->run; row++) {
        if (row->method == mcp->msg.method && row->modern == mcp->modern) {
            return row->run(r, ctx);
        }
    }

    return ngx_http_stoa_mcp_other(r, ctx);
}


static ngx_int_t
ngx_http_stoa_mcp_call(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    return NGX_OK;                     /* the following steps are its work  */
}


static ngx_int_t
ngx_http_stoa_mcp_owner(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t  rc;

    if (ctx->call.api) {
        return NGX_OK;                                /* it is known already */
    }

    if (ctx->call.mcp->msg.method != STOA_MCP_TOOLS_CALL) {
        return ngx_http_stoa_mcp_item_resolve(r, ctx);
    }

    rc = ngx_http_stoa_mcp_search_resolve(r, ctx);

    if (ctx->call.mcp->searching) {
        return NGX_OK;
    }

    return rc == NGX_OK ? ngx_http_stoa_mcp_resolve(r, ctx) : rc;
}


static ngx_int_t
ngx_http_stoa_mcp_send_on(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_mcp_t  *mcp;

    mcp = ctx->call.mcp;

    ngx_http_stoa_mcp_whose_note(r, ctx);

    if (mcp->to_modern) {
        return mcp->msg.method == STOA_MCP_SUBSCRIBE
               || mcp->msg.method == STOA_MCP_UNSUBSCRIBE
               ? ngx_http_stoa_mcp_subs(r, ctx)
               : ngx_http_stoa_mcp_modern(r, ctx);
    }

    if (mcp->bridged && (mcp->at_guest || mcp->can || mcp->log_level)) {
        return ngx_http_stoa_mcp_guest(r, ctx);
    }

    mcp->forwarded = 1;

    if (ngx_http_stoa_mcp_stream_expect(r, ctx) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_stoa_upstream_forward(r, ctx);
}


/* The bundle that is asked; NULL: a tenant's endpoint. */

static const stoa_rec_server_t *
ngx_http_stoa_mcp_server(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    return ctx->call.mcp->has_server
           ? ngx_http_stoa_store_server(mcf->store, &ctx->call.mcp->server)
           : NULL;
}


static void
ngx_http_stoa_mcp_info(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    stoa_buf_t *b)
{
    stoa_str_t                title;
    const stoa_rec_server_t  *server;

    server = ngx_http_stoa_mcp_server(r, ctx);

    stoa_buf_addz(b, "{\"name\":\"stoa-gateway\",");

    if (server && server->title.len) {
        title = stoa_rec_str(server, server->title);
        stoa_buf_addz(b, "\"title\":");
        stoa_buf_add_json(b, title.data, title.len);
        stoa_buf_addz(b, ",");
    }

    stoa_buf_addz(b, "\"version\":\"" NGX_HTTP_STOA_VERSION "\"}");
}


static void
ngx_http_stoa_mcp_instructions(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, stoa_buf_t *b)
{
    stoa_str_t                text;
    const stoa_rec_server_t  *server;

    server = ngx_http_stoa_mcp_server(r, ctx);

    if (server && server->instructions.len) {
        text = stoa_rec_str(server, server->instructions);
        stoa_buf_addz(b, ",\"instructions\":");
        stoa_buf_add_json(b, text.data, text.len);
    }
}


static ngx_int_t
ngx_http_stoa_mcp_initialize(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t                  rc;
    ngx_uint_t                 version;
    stoa_buf_t                 b;
    ngx_str_t                  name;
    ngx_table_elt_t           *h;
    stoa_json_val_t           *v;
    ngx_http_stoa_mcp_t       *mcp;
    ngx_http_stoa_mcp_view_t  *view;

    view = ngx_http_stoa_mcp_view(r, ctx, 0);
    if (view == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    mcp = ctx->call.mcp;
    v = &mcp->msg.protocol_version;
    version = NGX_HTTP_STOA_MCP_VERSION_NONE;

    if (v->start && v->type == STOA_JSON_STRING && !v->escaped) {
        version = ngx_http_stoa_mcp_version_find(v->start + 1,
                                                 v->end - v->start - 2);
    }

    /* an unknown version is answered by one that we speak, as a success */

    if (version == NGX_HTTP_STOA_MCP_VERSION_NONE
        || ngx_http_stoa_mcp_versions[version].modern)
    {
        version = NGX_HTTP_STOA_MCP_VERSION_LATEST_LEGACY;
    }

    mcp->version = version;

    rc = mcp->carry ? NGX_OK : ngx_http_stoa_mcp_session_begin(r, ctx);

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_mcp_carry(r, ctx);
    }

    if (rc != NGX_OK) {
        return rc;
    }

    h = ngx_http_stoa_header_add(r, "Mcp-Session-Id");
    if (h == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_stoa_mcp_session_seal(r, ctx, &h->value) != NGX_OK) {
        h->hash = 0;
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    name = ngx_http_stoa_mcp_versions[version].name;

    stoa_buf_init(&b, 65536);
    ngx_http_stoa_mcp_answer_head(&b, mcp);
    stoa_buf_addf(&b, "\"protocolVersion\":\"%.*s\",", (int) name.len,
                  name.data);
    ngx_http_stoa_mcp_list_capabilities(r, ctx, view, &b);
    stoa_buf_addz(&b, ",\"serverInfo\":");
    ngx_http_stoa_mcp_info(r, ctx, &b);
    ngx_http_stoa_mcp_instructions(r, ctx, &b);

    if (view->notes.len) {
        stoa_buf_addz(&b, ",\"_meta\":{");
        stoa_buf_add(&b, view->notes.data, view->notes.len);
        stoa_buf_addz(&b, "}");
    }

    stoa_buf_addz(&b, "}}");

    return ngx_http_stoa_mcp_answer_buf(r, ctx, &b);
}


static ngx_int_t
ngx_http_stoa_mcp_ping(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    stoa_buf_t  b;

    stoa_buf_init(&b, 65536);
    ngx_http_stoa_mcp_answer_head(&b, ctx->call.mcp);
    stoa_buf_addz(&b, "}}");

    return ngx_http_stoa_mcp_answer_buf(r, ctx, &b);
}


static ngx_int_t
ngx_http_stoa_mcp_discover(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    stoa_buf_t                   b;
    ngx_http_stoa_mcp_view_t    *view;
    ngx_http_stoa_mcp_access_t  *access;

    view = ngx_http_stoa_mcp_view(r, ctx, 1);
    access = ngx_http_stoa_mcp_access(r, ctx);

    if (view == NULL || access == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    stoa_buf_init(&b, 65536);
    ngx_http_stoa_mcp_answer_head(&b, ctx->call.mcp);

    stoa_buf_addz(&b, "\"resultType\":\"complete\",\"supportedVersions\":");
    ngx_http_stoa_mcp_version_list(&b, access->serves_modern,
                                      access->serves_legacy);
    stoa_buf_addz(&b, ",");
    ngx_http_stoa_mcp_list_capabilities(r, ctx, view, &b);
    ngx_http_stoa_mcp_instructions(r, ctx, &b);
    stoa_buf_addf(&b, ",\"ttlMs\":%d,\"cacheScope\":\"private\",\"_meta\":"
                  "{\"io.modelcontextprotocol/serverInfo\":",
                  NGX_HTTP_STOA_MCP_LIST_TTL_MS);
    ngx_http_stoa_mcp_info(r, ctx, &b);
    stoa_buf_addz(&b, view->notes.len ? "," : "");
    stoa_buf_add(&b, view->notes.data, view->notes.len);
    stoa_buf_addz(&b, "}}}");

    return ngx_http_stoa_mcp_answer_buf(r, ctx, &b);
}
