/*
 * Methods that the gateway does not know: extensions of upstreams.
 *
 * They go to the only upstream of the client's era that declares an extension
 * or something experimental, and only by a subscription to the whole of its
 * api: what they do is nothing that a selection of tools or a rule about them
 * could speak of.  Methods of the protocol itself are never among them, as
 * what they name (tasks, subscriptions, levels) is one client's.
 *
 * Process: workers.
 */

#include "ngx_http_stoa_seen.h"
#include "ngx_http_stoa_relay.h"
#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_zone.h"


typedef struct {
    ngx_uint_t             modern;
    ngx_uint_t             n;
    ngx_uint_t             tasks;     /* one has them                        */
    ngx_uint_t             lists;     /* and says which                      */
    const stoa_rec_api_t  *api;       /* the last one found                  */
} ngx_http_stoa_mcp_others_t;


static const stoa_rec_api_t *ngx_http_stoa_mcp_other_api(
    ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx, ngx_uint_t modern);
static const stoa_rec_api_t *ngx_http_stoa_mcp_other_find(
    ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx, ngx_uint_t modern,
    ngx_http_stoa_mcp_others_t *others);
static ngx_int_t ngx_http_stoa_mcp_other_grant(void *data,
    const ngx_http_stoa_mcp_grant_t *grant);
static ngx_uint_t ngx_http_stoa_mcp_other_tasks(const stoa_rec_api_t *api,
    ngx_uint_t modern);
static ngx_uint_t ngx_http_stoa_mcp_other_has(const stoa_rec_api_t *api,
    ngx_uint_t modern, const char *member);
static ngx_uint_t ngx_http_stoa_mcp_other_caps(const stoa_rec_api_t *api,
    const char *member, ngx_uint_t n, stoa_buf_t *b);
static ngx_uint_t ngx_http_stoa_mcp_other_own(const stoa_str_t *name);


/* What declares them, and what begins with that is the protocol's. */

static const char *const  ngx_http_stoa_mcp_declaring[] = {
    "experimental", "extensions", NULL
};

static const char *const  ngx_http_stoa_mcp_owned[] = {
    "completion/", "elicitation/", "logging/", "notifications/", "ping",
    "prompts/", "resources/", "roots/", "sampling/", "server/",
    "subscriptions/", "tasks/", "tools/", "initialize", NULL
};

/* Extensions that are more than methods of their own. */

static const char  ngx_http_stoa_mcp_tasks[] = "io.modelcontextprotocol/tasks";


ngx_int_t
ngx_http_stoa_mcp_other(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_int_t              rc;
    ngx_str_t              detail;
    ngx_http_stoa_mcp_t   *mcp;
    const stoa_rec_api_t  *api;

    mcp = ctx->call.mcp;
    api = ngx_http_stoa_mcp_other_own(&mcp->msg.method_name)
          ? NULL : ngx_http_stoa_mcp_other_api(r, ctx, mcp->modern);

    if (api == NULL) {
        ngx_str_set(&detail, "method not found");

        return ngx_http_stoa_mcp_refuse(r, ctx, mcp->modern
                                    ? NGX_HTTP_STOA_REFUSE_MCP_METHOD
                                    : NGX_HTTP_STOA_REFUSE_MCP_METHOD_LEGACY,
                                    &detail);
    }

    ctx->call.subscribed = api->id;
    rc = ngx_http_stoa_policy_access(r, ctx);

    return rc == NGX_OK
           ? ngx_http_stoa_mcp_resolved(r, ctx, api, stoa_str("")) : rc;
}


ngx_int_t
ngx_http_stoa_mcp_other_note(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_mcp_t   *mcp;
    const stoa_rec_api_t  *api;

    mcp = ctx->call.mcp;
    api = NULL;

    if (mcp->msg.method == STOA_MCP_INITIALIZED) {
        return ngx_http_stoa_mcp_answer(r, ctx, NGX_HTTP_ACCEPTED, NULL);
    }

    /* a prefix alone does not make it the protocol's */

    if (!mcp->modern && mcp->msg.method_name.len) {
        api = ngx_http_stoa_mcp_other_api(r, ctx, 0);
    }

    if (api) {
        return ngx_http_stoa_mcp_relay_to(r, ctx,
                                     ngx_http_stoa_mcp_whose_api(&api->id));
    }

    ngx_http_stoa_count(mcp_lost, 1);

    return ngx_http_stoa_mcp_answer(r, ctx, NGX_HTTP_ACCEPTED, NULL);
}


void
ngx_http_stoa_mcp_other_declare(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_uint_t modern, stoa_buf_t *b)
{
    ngx_uint_t                  n;
    const char *const          *member;
    const stoa_rec_api_t       *api;
    ngx_http_stoa_mcp_others_t  others;

    api = ngx_http_stoa_mcp_other_find(r, ctx, modern, &others);

    if (others.tasks && !modern) {
        stoa_buf_addf(b, ",\"tasks\":{\"cancel\":{},%s\"requests\":{\"tools\":"
                      "{\"call\":{}}}}", others.lists ? "\"list\":{}," : "");
    }

    for (member = ngx_http_stoa_mcp_declaring; *member; member++) {
        n = others.tasks && modern && member[1] == NULL;

        if (n) {
            stoa_buf_addf(b, ",\"%s\":{\"%s\":{}", *member,
                          ngx_http_stoa_mcp_tasks);
        }

        if (api) {
            n += ngx_http_stoa_mcp_other_caps(api, *member, n, b);
        }

        stoa_buf_addz(b, n ? "}" : "");
    }
}


/* NULL: there is none, or more than one. */

static const stoa_rec_api_t *
ngx_http_stoa_mcp_other_api(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_uint_t modern)
{
    ngx_http_stoa_mcp_others_t  others;

    return ngx_http_stoa_mcp_other_find(r, ctx, modern, &others);
}


static const stoa_rec_api_t *
ngx_http_stoa_mcp_other_find(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_uint_t modern, ngx_http_stoa_mcp_others_t *others)
{
    ngx_int_t                   rc;
    ngx_http_stoa_mcp_grants_t  all;

    ngx_memzero(others, sizeof(ngx_http_stoa_mcp_others_t));
    others->modern = modern;

    rc = ngx_http_stoa_mcp_each_grant(r, ctx, ngx_http_stoa_mcp_other_grant,
                                      others, &all);

    return rc == NGX_OK && others->n == 1 && !ctx->call.mcp->has_server
           && !ngx_http_stoa_policy_token_ruled(ctx)
           && !ngx_http_stoa_policy_approval_ruled(ctx) ? others->api : NULL;
}


static ngx_int_t
ngx_http_stoa_mcp_other_grant(void *data,
    const ngx_http_stoa_mcp_grant_t *grant)
{
    ngx_http_stoa_mcp_others_t *others = data;

    uint32_t               i;
    const char *const     *member;
    const stoa_rec_api_t  *api;

    const stoa_rec_server_tool_t  *t;

    api = grant->api;

    if (api) {
        others->tasks |= ngx_http_stoa_mcp_other_tasks(api, others->modern);
        others->lists |= ngx_http_stoa_mcp_other_lists(api);

    } else {
        t = stoa_rec_vec(grant->server, grant->server->tools,
                         stoa_rec_server_tool_t);

        for (i = 0; i < grant->server->tools.n
                    && (!others->tasks || !others->lists); i++)
        {
            api = ngx_http_stoa_store_api(grant->store, &t[i].api);
            others->tasks |= ngx_http_stoa_mcp_other_tasks(api,
                                                           others->modern);
            others->lists |= ngx_http_stoa_mcp_other_lists(api);
        }

        return NGX_OK;
    }

    if (grant->sub->has_tools || api->hdr.withheld
        || ngx_http_stoa_policy_token_rules(api, &api->policies)
        || ngx_http_stoa_policy_approval_rules(api, &api->policies)
        || (api->era != STOA_ERA_DUAL
            && api->era != (others->modern ? STOA_ERA_MODERN
                                           : STOA_ERA_LEGACY)))
    {
        return NGX_OK;
    }

    for (member = ngx_http_stoa_mcp_declaring; *member; member++) {
        if (ngx_http_stoa_mcp_other_caps(api, *member, 0, NULL)) {
            others->api = api;
            others->n++;
            break;
        }
    }

    return NGX_OK;
}


/* Does it declare something there?  b: what, behind n others. */

static ngx_uint_t
ngx_http_stoa_mcp_other_caps(const stoa_rec_api_t *api, const char *member,
    ngx_uint_t n, stoa_buf_t *b)
{
    bool               more;
    ngx_uint_t         before;
    stoa_err_t         err;
    stoa_str_t         text;
    stoa_json_val_t    root, caps, key, val;
    stoa_json_iter_t   it;

    text = stoa_rec_str(api, api->capabilities);

    if (text.len == 0
        || stoa_json_check(text.data, text.len, STOA_JSON_DEPTH_MAX, &root,
                           &err)
           != STOA_OK
        || root.type != STOA_JSON_OBJECT
        || !stoa_json_get(&root, member, &caps)
        || caps.type != STOA_JSON_OBJECT)
    {
        return 0;
    }

    before = n;

    for (more = stoa_json_first(&caps, &it, &key, &val);
         more;
         more = stoa_json_next(&it, &key, &val))
    {
        if (stoa_json_eq(&key, ngx_http_stoa_mcp_tasks,
                         sizeof(ngx_http_stoa_mcp_tasks) - 1))
        {
            continue;
        }

        if (b) {
            stoa_buf_addf(b, n ? "," : ",\"%s\":{", member);
            stoa_buf_add(b, key.start, val.end - key.start);
        }

        n++;
    }

    return n - before;
}


/* In the way of this era. */

static ngx_uint_t
ngx_http_stoa_mcp_other_tasks(const stoa_rec_api_t *api, ngx_uint_t modern)
{
    return ngx_http_stoa_mcp_other_has(api, modern,
                                       modern ? ngx_http_stoa_mcp_tasks
                                              : "requests");
}


ngx_uint_t
ngx_http_stoa_mcp_other_lists(const stoa_rec_api_t *api)
{
    return ngx_http_stoa_mcp_other_has(api, 0, "list");
}


ngx_uint_t
ngx_http_stoa_mcp_other_lists_tasks(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx)
{
    ngx_http_stoa_mcp_others_t  others;

    (void) ngx_http_stoa_mcp_other_find(r, ctx, 0, &others);

    return others.lists;
}


static ngx_uint_t
ngx_http_stoa_mcp_other_has(const stoa_rec_api_t *api, ngx_uint_t modern,
    const char *member)
{
    stoa_err_t        err;
    stoa_str_t        text;
    stoa_json_val_t   v, of;

    if (api == NULL || api->hdr.withheld
        || (api->era != STOA_ERA_DUAL
            && api->era != (modern ? STOA_ERA_MODERN : STOA_ERA_LEGACY)))
    {
        return 0;
    }

    text = stoa_rec_str(api, api->capabilities);

    return text.len
           && stoa_json_check(text.data, text.len, STOA_JSON_DEPTH_MAX, &v,
                              &err)
              == STOA_OK
           && v.type == STOA_JSON_OBJECT
           && stoa_json_get(&v, modern ? "extensions" : "tasks", &of)
           && of.type == STOA_JSON_OBJECT
           && stoa_json_get(&of, member, &v);
}


/* One that is written with escapes has no name here. */

static ngx_uint_t
ngx_http_stoa_mcp_other_own(const stoa_str_t *name)
{
    size_t              len;
    const char *const  *own;

    for (own = ngx_http_stoa_mcp_owned; *own; own++) {
        len = ngx_strlen(*own);

        if (name->len >= len && ngx_memcmp(name->data, *own, len) == 0) {
            return 1;
        }
    }

    return name->len == 0;
}
