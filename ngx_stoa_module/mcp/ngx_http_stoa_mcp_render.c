
/*
 * The lists of a view: found in the store, named, sorted, rendered once.  A
 * page of a list is a slice of it.
 *
 * Tools and prompts are called <api>__<name>, or as a server says.  Resources
 * keep their URIs, so that what refers to them stays true; where two apis have
 * the same one it is the older api's, and the other's is stoa:<api>/<URI>.
 *
 * Process: any worker.  Owner: the view's pool.
 * Limits: NGX_HTTP_STOA_MCP_LIST_MAX items of a list, 64 MiB of its text.
 */

#include "ngx_http_stoa_seen.h"
#include "ngx_http_stoa_policy.h"
#include "core/stoa_mcp_param.h"
#include "core/stoa_uri.h"


#define NGX_HTTP_STOA_MCP_TEXT_MAX  (64 * 1024 * 1024)
#define NGX_HTTP_STOA_MCP_UI        "ui://"


typedef struct {
    stoa_str_t              prefix;       /* api's name, or empty           */
    stoa_str_t              name;
    stoa_id_t               target;       /* what was subscribed to         */
    const stoa_rec_item_t  *rec;
} ngx_http_stoa_mcp_found_t;

typedef struct {
    ngx_http_stoa_ctx_t              *ctx;        /* the first who asks     */
    ngx_http_stoa_mcp_notes_t         notes;
    ngx_http_stoa_mcp_view_t         *view;
    ngx_http_stoa_store_t            *store;
    ngx_http_stoa_mcp_found_t        *found;
    ngx_uint_t                        nfound;
    ngx_uint_t                        list;       /* which one              */
    const ngx_http_stoa_mcp_grant_t  *grant;
    const stoa_rec_api_t             *api;        /* whose items are taken  */
    stoa_str_t                        only;       /* with this URI; "": all */
    ngx_uint_t                        ui;         /* only a tool's page     */
} ngx_http_stoa_mcp_build_t;


static ngx_int_t ngx_http_stoa_mcp_render_list(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_build_t *b);
static ngx_int_t ngx_http_stoa_mcp_render_grant(void *data,
    const ngx_http_stoa_mcp_grant_t *grant);
static ngx_int_t ngx_http_stoa_mcp_render_server(ngx_http_stoa_mcp_build_t *b,
    const stoa_rec_server_t *server);
static ngx_int_t ngx_http_stoa_mcp_render_uris(ngx_http_stoa_mcp_build_t *b,
    const stoa_rec_server_t *server);
static ngx_int_t ngx_http_stoa_mcp_render_api(ngx_http_stoa_mcp_build_t *b,
    const stoa_rec_api_t *api);
static ngx_int_t ngx_http_stoa_mcp_render_item(void *data, const void *rec);
static void ngx_http_stoa_mcp_render_add(ngx_http_stoa_mcp_build_t *b,
    stoa_str_t prefix, stoa_str_t name, const stoa_rec_item_t *rec);
static void ngx_http_stoa_mcp_render_caps(ngx_http_stoa_mcp_build_t *b,
    const stoa_rec_api_t *api);
static ngx_int_t ngx_http_stoa_mcp_render_aliases(
    ngx_http_stoa_mcp_build_t *b);
static ngx_int_t ngx_http_stoa_mcp_render_text(ngx_http_stoa_mcp_build_t *b,
    stoa_buf_t *text);
static int ngx_libc_cdecl ngx_http_stoa_mcp_found_cmp(const void *one,
    const void *two);
static int ngx_http_stoa_mcp_found_same(const ngx_http_stoa_mcp_found_t *a,
    const ngx_http_stoa_mcp_found_t *b);


static const stoa_rec_kind_e  ngx_http_stoa_mcp_rec_kinds[] = {
    STOA_REC_TOOL, STOA_REC_PROMPT, STOA_REC_RESOURCE, STOA_REC_TEMPLATE
};

#define ngx_http_stoa_mcp_named(list)  ((list) <= NGX_HTTP_STOA_MCP_PROMPTS)


ngx_int_t
ngx_http_stoa_mcp_render(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_mcp_view_t *view)
{
    ngx_int_t                   rc;
    ngx_http_stoa_main_conf_t  *mcf;
    ngx_http_stoa_mcp_build_t   b;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    ngx_memzero(&b, sizeof(b));
    b.view = view;
    b.store = mcf->store;
    b.found = ngx_alloc(NGX_HTTP_STOA_MCP_LIST_MAX
                        * sizeof(ngx_http_stoa_mcp_found_t),
                        r->connection->log);
    if (b.found == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_OK;

    for (b.list = 0; rc == NGX_OK && b.list < NGX_HTTP_STOA_MCP_LISTS;
         b.list++)
    {
        rc = ngx_http_stoa_mcp_render_list(r, ctx, &b);
    }

    ngx_free(b.found);

    return rc == NGX_OK ? ngx_http_stoa_mcp_note_text(&b.notes, b.store, view)
                        : rc;
}


static ngx_int_t
ngx_http_stoa_mcp_render_list(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_mcp_build_t *b)
{
    ngx_int_t                    rc;
    stoa_buf_t                   text;
    ngx_http_stoa_mcp_grants_t   all;

    b->nfound = 0;
    b->ctx = ctx;

    rc = ngx_http_stoa_mcp_each_grant(r, ctx, ngx_http_stoa_mcp_render_grant,
                                      b, &all);
    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    qsort(b->found, b->nfound, sizeof(ngx_http_stoa_mcp_found_t),
          ngx_http_stoa_mcp_found_cmp);

    if (!ngx_http_stoa_mcp_named(b->list)
        && ngx_http_stoa_mcp_render_aliases(b) != NGX_OK)
    {
        return NGX_ERROR;
    }

    stoa_buf_init(&text, NGX_HTTP_STOA_MCP_TEXT_MAX);
    rc = ngx_http_stoa_mcp_render_text(b, &text);
    stoa_buf_free(&text);

    return rc;
}


/* ---- finding ----------------------------------------------------------- */

/* Can it be used, in whichever era it is? */

ngx_uint_t
ngx_http_stoa_mcp_speaks(const stoa_rec_api_t *api)
{
    return api->era != STOA_ERA_UNKNOWN;
}


static ngx_int_t
ngx_http_stoa_mcp_render_grant(void *data,
    const ngx_http_stoa_mcp_grant_t *grant)
{
    ngx_http_stoa_mcp_build_t  *b = data;

    b->grant = grant;

    /* who chose tools has those, and the pages that they show */

    b->ui = grant->sub->has_tools && b->list != NGX_HTTP_STOA_MCP_TOOLS;

    if (b->ui && b->list == NGX_HTTP_STOA_MCP_PROMPTS) {
        return NGX_OK;
    }

    b->only = stoa_str("");

    return grant->server ? ngx_http_stoa_mcp_render_server(b, grant->server)
                         : ngx_http_stoa_mcp_render_api(b, grant->api);
}


/* Notes what was never read, and what is as it was before its upstream
 * could not be read. */

static ngx_uint_t
ngx_http_stoa_mcp_render_speaks(ngx_http_stoa_mcp_build_t *b,
    const stoa_rec_api_t *api)
{
    if (ngx_http_stoa_mcp_speaks(api)) {
        ngx_http_stoa_mcp_note_stale(&b->notes, api);
        return 1;
    }

    ngx_http_stoa_mcp_note_left(&b->notes, &api->id,
                                NGX_HTTP_STOA_MCP_LEFT_UNREAD, 0);
    return 0;
}


static ngx_int_t
ngx_http_stoa_mcp_render_api(ngx_http_stoa_mcp_build_t *b,
    const stoa_rec_api_t *api)
{
    if (!ngx_http_stoa_mcp_render_speaks(b, api)) {
        return NGX_OK;
    }

    b->api = api;
    ngx_http_stoa_mcp_render_caps(b, api);

    return ngx_http_stoa_store_each_item(b->store,
                                      ngx_http_stoa_mcp_rec_kinds[b->list],
                                      &api->id,
                                      ngx_http_stoa_mcp_render_item, b);
}


static ngx_int_t
ngx_http_stoa_mcp_render_item(void *data, const void *rec)
{
    stoa_str_t                  name, prefix;
    ngx_http_stoa_mcp_build_t  *b = data;
    const stoa_rec_item_t      *item = rec;

    name = stoa_rec_str(item, item->name);

    if ((b->only.len && (b->only.len != name.len
                         || ngx_memcmp(b->only.data, name.data, name.len)
                            != 0))
        || (b->ui && (name.len < sizeof(NGX_HTTP_STOA_MCP_UI) - 1
                      || ngx_memcmp(name.data, NGX_HTTP_STOA_MCP_UI,
                                    sizeof(NGX_HTTP_STOA_MCP_UI) - 1)
                         != 0)))
    {
        return NGX_OK;
    }

    prefix = ngx_http_stoa_mcp_named(b->list)
             ? stoa_rec_str(b->api, b->api->name) : stoa_str("");

    ngx_http_stoa_mcp_render_add(b, prefix, name, item);

    return NGX_OK;
}


/* A server names its tools and prompts, and where its resources are. */

static ngx_int_t
ngx_http_stoa_mcp_render_server(ngx_http_stoa_mcp_build_t *b,
    const stoa_rec_server_t *server)
{
    uint32_t                         i, n;
    stoa_str_t                       name;
    const stoa_rec_api_t            *api;
    const stoa_rec_item_t           *item;
    ngx_http_stoa_store_t           *store;
    const stoa_rec_server_tool_t    *t;
    const stoa_rec_server_prompt_t  *p;

    if (!ngx_http_stoa_mcp_named(b->list)) {
        return ngx_http_stoa_mcp_render_uris(b, server);
    }

    store = b->store;
    t = stoa_rec_vec(server, server->tools, stoa_rec_server_tool_t);
    p = stoa_rec_vec(server, server->prompts, stoa_rec_server_prompt_t);
    n = b->list == NGX_HTTP_STOA_MCP_TOOLS ? server->tools.n
                                           : server->prompts.n;

    for (i = 0; i < n; i++) {

        if (b->list == NGX_HTTP_STOA_MCP_TOOLS) {
            api = ngx_http_stoa_store_api(store, &t[i].api);
            item = ngx_http_stoa_store_item(store, STOA_REC_TOOL, &t[i].tool);

        } else {
            api = ngx_http_stoa_store_api(store, &p[i].api);
            name = stoa_rec_str(server, p[i].prompt);
            item = ngx_http_stoa_store_item_by_name(store, STOA_REC_PROMPT,
                                                    &p[i].api, name.data,
                                                    name.len);
        }

        if (api && item && ngx_http_stoa_mcp_render_speaks(b, api))
        {
            ngx_http_stoa_mcp_render_caps(b, api);
            ngx_http_stoa_mcp_render_add(b, stoa_str(""),
                                         b->list == NGX_HTTP_STOA_MCP_TOOLS
                                         ? stoa_rec_str(server, t[i].name)
                                         : stoa_rec_str(server, p[i].name),
                                         item);
        }
    }

    return NGX_OK;
}


/* The resources that it names, and the pages of its tools. */

static ngx_int_t
ngx_http_stoa_mcp_render_uris(ngx_http_stoa_mcp_build_t *b,
    const stoa_rec_server_t *server)
{
    uint32_t                           i, j;
    ngx_int_t                          rc;
    ngx_uint_t                         ui;
    const stoa_rec_api_t              *api;
    const stoa_rec_server_tool_t      *t;
    const stoa_rec_server_resource_t  *s;

    s = stoa_rec_vec(server, server->resources, stoa_rec_server_resource_t);
    t = stoa_rec_vec(server, server->tools, stoa_rec_server_tool_t);
    ui = b->ui;
    rc = NGX_OK;

    for (i = 0; rc == NGX_OK && !ui && i < server->resources.n; i++) {
        api = ngx_http_stoa_store_api(b->store, &s[i].api);
        b->only = stoa_rec_str(server, s[i].uri);

        if (api) {
            rc = ngx_http_stoa_mcp_render_api(b, api);
        }
    }

    b->only = stoa_str("");
    b->ui = 1;

    for (i = 0; rc == NGX_OK && i < server->tools.n; i++) {

        if (!ngx_http_stoa_mcp_selected(b->grant->sub, &t[i].tool)) {
            continue;
        }

        for (j = 0; j < i; j++) {
            if (ngx_memcmp(&t[j].api, &t[i].api, STOA_ID_LEN) == 0
                && ngx_http_stoa_mcp_selected(b->grant->sub, &t[j].tool))
            {
                break;
            }
        }

        if (j < i) {
            continue;                     /* that api's were looked for     */
        }

        api = ngx_http_stoa_store_api(b->store, &t[i].api);

        if (api) {
            rc = ngx_http_stoa_mcp_render_api(b, api);
        }
    }

    return rc;
}


static void
ngx_http_stoa_mcp_render_add(ngx_http_stoa_mcp_build_t *b, stoa_str_t prefix,
    stoa_str_t name, const stoa_rec_item_t *rec)
{
    ngx_uint_t                  why;
    const stoa_rec_api_t       *api;
    ngx_http_stoa_mcp_found_t  *f;

    if (b->view->ruled) {
        api = ngx_http_stoa_store_api(b->store, &rec->api);

        if (api == NULL
            || !ngx_http_stoa_policy_token_shows(b->ctx, api,
                                            stoa_rec_str(rec, rec->name)))
        {
            return;
        }
    }

    if (!rec->enabled
        || (b->list == NGX_HTTP_STOA_MCP_TOOLS
            && !ngx_http_stoa_mcp_selected(b->grant->sub, &rec->id)))
    {
        return;
    }

    why = b->nfound == NGX_HTTP_STOA_MCP_LIST_MAX
          ? NGX_HTTP_STOA_MCP_LEFT_MANY
          : b->list == NGX_HTTP_STOA_MCP_TOOLS && b->view->modern
            && rec->params == STOA_MCP_PARAMS_INVALID
          ? NGX_HTTP_STOA_MCP_LEFT_HEADER
          : b->list == NGX_HTTP_STOA_MCP_TOOLS
            && name.len + (prefix.len ? prefix.len + 2 : 0)
               > STOA_TOOL_NAME_MAX
          ? (ngx_uint_t) NGX_HTTP_STOA_MCP_LEFT_NAME : NGX_MAX_UINT32_VALUE;

    if (why != NGX_MAX_UINT32_VALUE) {
        ngx_http_stoa_mcp_note_left(&b->notes, &rec->api, why, 1);
        return;
    }

    f = &b->found[b->nfound++];
    f->prefix = prefix;
    f->name = name;
    f->target = b->grant->sub->target;
    f->rec = rec;
}


/* A subscription may name the tools it is for. */

ngx_uint_t
ngx_http_stoa_mcp_selected(const stoa_rec_subscription_t *sub,
    const stoa_id_t *tool)
{
    return !sub->has_tools || stoa_rec_has_id(sub, sub->tools, tool);
}


/* What the endpoint can do is what one of them can. */

static void
ngx_http_stoa_mcp_render_caps(ngx_http_stoa_mcp_build_t *b,
    const stoa_rec_api_t *api)
{
    stoa_err_t                 err;
    stoa_str_t                 text;
    ngx_uint_t                 i;
    stoa_json_val_t            root, val, updates;
    ngx_http_stoa_mcp_view_t  *view;

    static const char *const  lists[] = { "tools", "prompts", "resources" };

    view = b->view;
    text = stoa_rec_str(api, api->capabilities);

    if (text.len == 0 || b->list == NGX_HTTP_STOA_MCP_TOOLS || b->ui
        || stoa_json_check(text.data, text.len, STOA_JSON_DEPTH_MAX, &root,
                           &err)
           != STOA_OK)
    {
        return;
    }

    view->has_prompts |= b->list == NGX_HTTP_STOA_MCP_PROMPTS
                         && stoa_json_get(&root, "prompts", &val);
    view->has_completions |= stoa_json_get(&root, "completions", &val);
    view->has_logging |= stoa_json_get(&root, "logging", &val);

    for (i = 0; i < 3; i++) {
        view->has_changes |= stoa_json_get(&root, lists[i], &val)
                             && val.type == STOA_JSON_OBJECT
                             && stoa_json_get(&val, "listChanged", &updates)
                             && updates.type == STOA_JSON_TRUE;
    }

    if (b->list != NGX_HTTP_STOA_MCP_RESOURCES
        || !stoa_json_get(&root, "resources", &val))
    {
        return;
    }

    view->has_updates |= val.type == STOA_JSON_OBJECT
                         && stoa_json_get(&val, "subscribe", &updates)
                         && updates.type == STOA_JSON_TRUE;

    view->has_resources = 1;

    /* to whom a URI goes that nobody lists */

    if (b->only.len == 0) {
        if (view->nreaders == 0
            || ngx_memcmp(&view->reader, &api->id, STOA_ID_LEN) != 0)
        {
            view->nreaders++;
        }

        view->reader = api->id;
        view->reader_target = b->grant->sub->target;
    }
}


/* ---- naming ------------------------------------------------------------ */

/* Sorted by URI and api.  All but the first api's get another name. */

static ngx_int_t
ngx_http_stoa_mcp_render_aliases(ngx_http_stoa_mcp_build_t *b)
{
    size_t                      n;
    u_char                     *p;
    ngx_uint_t                  i, aliased;
    stoa_str_t                  name;
    const stoa_rec_api_t       *api;
    ngx_http_stoa_mcp_found_t  *f, *first;

    aliased = 0;

    for (i = 1, first = b->found; i < b->nfound; i++) {
        f = &b->found[i];

        if (ngx_http_stoa_mcp_found_same(f, first) != 0) {
            first = f;
            continue;
        }

        api = ngx_http_stoa_store_api(b->store, &f->rec->api);

        if (ngx_memcmp(&f->rec->api, &first->rec->api, STOA_ID_LEN) == 0
            || api == NULL)
        {
            continue;
        }

        p = ngx_pnalloc(b->view->pool, STOA_URI_ALIAS_MAX);
        if (p == NULL) {
            return NGX_ERROR;
        }

        name = stoa_rec_str(api, api->name);

        if (b->list == NGX_HTTP_STOA_MCP_TEMPLATES) {
            n = ngx_sprintf(p, STOA_URI_ALIAS "%*s/%*s", name.len, name.data,
                            f->name.len, f->name.data)
                - p;

        } else {
            n = stoa_uri_alias(name.data, name.len, f->name.data,
                               f->name.len, (char *) p);
        }

        f->name.data = (char *) p;
        f->name.len = n;
        aliased = 1;
    }

    if (aliased) {
        qsort(b->found, b->nfound, sizeof(ngx_http_stoa_mcp_found_t),
              ngx_http_stoa_mcp_found_cmp);
    }

    return NGX_OK;
}


static size_t
ngx_http_stoa_mcp_found_name(const ngx_http_stoa_mcp_found_t *f, u_char *dst)
{
    u_char  *p;

    p = ngx_cpymem(dst, f->prefix.data, f->prefix.len);

    if (f->prefix.len) {
        *p++ = '_';
        *p++ = '_';
    }

    p = ngx_cpymem(p, f->name.data, f->name.len);

    return p - dst;
}


static int
ngx_http_stoa_mcp_found_same(const ngx_http_stoa_mcp_found_t *a,
    const ngx_http_stoa_mcp_found_t *b)
{
    int     cmp;
    size_t  n, m;
    u_char  one[STOA_URI_ALIAS_MAX], two[STOA_URI_ALIAS_MAX];

    n = ngx_http_stoa_mcp_found_name(a, one);
    m = ngx_http_stoa_mcp_found_name(b, two);

    cmp = ngx_memcmp(one, two, ngx_min(n, m));

    return cmp ? cmp : (n > m) - (n < m);
}


/* Of two with one name the api's own comes first, then the older api's. */

static int ngx_libc_cdecl
ngx_http_stoa_mcp_found_cmp(const void *one, const void *two)
{
    int                               cmp;
    const ngx_http_stoa_mcp_found_t  *a = one, *b = two;

    cmp = ngx_http_stoa_mcp_found_same(a, b);

    if (cmp == 0) {
        cmp = (a->prefix.len == 0) - (b->prefix.len == 0);
    }

    if (cmp == 0) {
        cmp = ngx_memcmp(&a->rec->api, &b->rec->api, STOA_ID_LEN);
    }

    return cmp ? cmp : ngx_memcmp(&a->target, &b->target, STOA_ID_LEN);
}


/* ---- rendering --------------------------------------------------------- */

static ngx_int_t
ngx_http_stoa_mcp_render_text(ngx_http_stoa_mcp_build_t *b, stoa_buf_t *text)
{
    size_t                      n;
    u_char                     *names;
    stoa_str_t                  s;
    ngx_uint_t                  i;
    ngx_http_stoa_mcp_item_t   *item;
    ngx_http_stoa_mcp_list_t   *list;
    ngx_http_stoa_mcp_found_t  *f;
    u_char                      name[STOA_URI_ALIAS_MAX];

    list = &b->view->lists[b->list];

    for (i = 0, n = 0; i < b->nfound; i++) {
        n += b->found[i].prefix.len + b->found[i].name.len + 2;
    }

    list->items = ngx_palloc(b->view->pool, (b->nfound + 1)
                             * sizeof(ngx_http_stoa_mcp_item_t));
    names = ngx_pnalloc(b->view->pool, n + 1);

    if (list->items == NULL || names == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < b->nfound; i++) {
        f = &b->found[i];
        n = ngx_http_stoa_mcp_found_name(f, name);

        /* a name that two subscriptions give is listed once */

        if (i && ngx_http_stoa_mcp_found_same(f, f - 1) == 0) {
            continue;
        }

        if (text->len) {
            stoa_buf_addz(text, ",");
        }

        item = &list->items[list->nitems++];
        item->start = (uint32_t) text->len;
        item->id = f->rec->id;
        item->target = f->target;
        item->name.data = names;
        item->name.len = n;
        names = ngx_cpymem(names, name, n);

        s = stoa_rec_str(f->rec, f->rec->definition_head);
        stoa_buf_add(text, s.data, s.len);
        stoa_buf_add_json(text, (char *) name, n);
        s = stoa_rec_str(f->rec, f->rec->definition_tail);
        stoa_buf_add(text, s.data, s.len);

        item->end = (uint32_t) text->len;
    }

    if (text->rc != STOA_OK) {
        return NGX_ERROR;
    }

    list->blob = ngx_pnalloc(b->view->pool, text->len + 1);
    if (list->blob == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(list->blob, text->len ? text->data : "", text->len);
    b->view->bytes += text->len
                      + list->nitems * sizeof(ngx_http_stoa_mcp_item_t);

    return NGX_OK;
}
