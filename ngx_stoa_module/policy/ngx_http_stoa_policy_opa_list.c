/*
 * opa and lists of MCP: a list shows what a rule of each policy with a
 * `list_path` names, all items asked for at once; and what it would not show
 * is not called.
 *
 * The rule is shown the items and answers with the numbers, from 0, of those
 * that it lets through: a set or an array.  Where it does not, none of the
 * policy's items is shown (on_error: all are).  Process: workers.
 */

#include "ngx_http_stoa_opa_ask.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_store.h"


#define NGX_HTTP_STOA_OPA_LIST  524288         /* bytes of an answer         */
#define NGX_HTTP_STOA_OPA_APIS  256            /* with a rule, of one list   */


static ngx_int_t ngx_http_stoa_policy_opa_show_begin(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_opa_list_t *list);
static ngx_int_t ngx_http_stoa_policy_opa_show_chain(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_opa_list_t *list,
    ngx_http_stoa_chain_t *chain, const stoa_rec_api_t *api);
static ngx_int_t ngx_http_stoa_policy_opa_show_ask(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_opa_list_t *list,
    const ngx_http_stoa_attached_t *a, const stoa_rec_api_t *api);
static void ngx_http_stoa_policy_opa_show_item(stoa_buf_t *b,
    const ngx_http_stoa_opa_item_t *item, ngx_uint_t first);
static const char *ngx_http_stoa_policy_opa_shown(
    ngx_http_stoa_opa_asked_t *o, const stoa_json_val_t *result);


ngx_uint_t
ngx_http_stoa_policy_opa_lists(const void *rec, const stoa_vec_t *policies)
{
    uint32_t                  i;
    const stoa_rec_policy_t  *p;

    p = stoa_rec_vec(rec, *policies, stoa_rec_policy_t);

    for (i = 0; i < policies->n; i++) {
        if (p[i].type == STOA_POLICY_OPA_ID
            && stoa_rec_vec(rec, p[i].config, stoa_policy_opa_t)
                   ->list_path.len)
        {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_http_stoa_policy_opa_rules(const ngx_http_stoa_attached_t *a)
{
    return ngx_strcmp(a->policy->name, "opa") == 0 && !a->shadow
           && ((stoa_policy_opa_t *) a->config)->list_path.len;
}


ngx_uint_t
ngx_http_stoa_policy_opa_ruled(ngx_http_stoa_ctx_t *ctx)
{
    ngx_uint_t              i, from;
    ngx_http_stoa_chain_t  *chain;

    for (from = NGX_HTTP_STOA_CHAIN_GROUP;
         from <= NGX_HTTP_STOA_CHAIN_ENDPOINT;
         from++)
    {
        chain = ctx->call.chain[from];

        for (i = 0; chain && i < chain->n; i++) {
            if (ngx_http_stoa_policy_opa_rules(&chain->elts[i])) {
                return 1;
            }
        }
    }

    return 0;
}


/* ---- lists ------------------------------------------------------------- */

ngx_int_t
ngx_http_stoa_policy_opa_show(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_opa_list_t *list)
{
    ngx_uint_t                  i;
    const stoa_policy_opa_t    *conf;
    ngx_http_stoa_opa_asked_t  *o;

    if (!list->begun) {
        list->begun = 1;

        if (ngx_http_stoa_policy_opa_show_begin(r, ctx, list) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    for (o = ctx->call.opa; o; o = o->next) {
        if (o->list == list && o->fetch) {
            return ngx_http_stoa_ctx_suspend(r);
        }
    }

    for (o = ctx->call.opa; o; o = o->next) {

        if (o->list != list) {
            continue;
        }

        conf = o->attached->config;

        if (o->says == NGX_HTTP_STOA_OPA_ERROR
            && conf->on_error == STOA_OPA_ALLOW)
        {
            (void) ngx_http_stoa_policy_acts(o->attached);
            continue;
        }

        for (i = 0; i < o->nmap; i++) {
            if (o->says == NGX_HTTP_STOA_OPA_ERROR
                || i / 8 >= o->more.len
                || !(o->more.data[i / 8] & 1 << i % 8))
            {
                list->hidden[o->map[i]] = 1;
            }
        }
    }

    return NGX_OK;
}


/* What is attached to the gateway's group and to the endpoint, then to each of
 * the apis. */

static ngx_int_t
ngx_http_stoa_policy_opa_show_begin(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_opa_list_t *list)
{
    ngx_uint_t              i, k, napis, from;
    const stoa_rec_api_t   *api, **apis;
    ngx_http_stoa_chain_t  *chain;

    list->hidden = ngx_pcalloc(r->pool, list->n + 1);
    apis = ngx_palloc(r->pool, NGX_HTTP_STOA_OPA_APIS * sizeof(void *));

    if (list->hidden == NULL || apis == NULL) {
        return NGX_ERROR;
    }

    for (from = NGX_HTTP_STOA_CHAIN_GROUP;
         from <= NGX_HTTP_STOA_CHAIN_ENDPOINT;
         from++)
    {
        if (ngx_http_stoa_policy_opa_show_chain(r, ctx, list,
                                                ctx->call.chain[from], NULL)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    for (i = 0, napis = 0; i < list->n; i++) {
        api = list->items[i].api;

        if (api == NULL) {                    /* it is gone by now           */
            list->hidden[i] = 1;
            continue;
        }

        if (!ngx_http_stoa_policy_opa_lists(api, &api->policies)) {
            continue;
        }

        for (k = 0; k < napis && apis[k] != api; k++) { /* void */ }

        if (k < napis) {
            continue;
        }

        if (napis == NGX_HTTP_STOA_OPA_APIS) {
            list->hidden[i] = 1;              /* nobody could judge them     */
            continue;
        }

        apis[napis++] = api;

        if (ngx_http_stoa_chain_get(r, api, &api->policies, &chain) != NGX_OK
            || ngx_http_stoa_policy_opa_show_chain(r, ctx, list, chain, api)
               != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_policy_opa_show_chain(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_opa_list_t *list,
    ngx_http_stoa_chain_t *chain, const stoa_rec_api_t *api)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    rc = NGX_OK;

    for (i = 0; chain && rc == NGX_OK && i < chain->n; i++) {
        if (ngx_http_stoa_policy_opa_rules(&chain->elts[i])) {
            rc = ngx_http_stoa_policy_opa_show_ask(r, ctx, list,
                                                   &chain->elts[i], api);
        }
    }

    return rc;
}


/* api NULL: what is attached is for all. */

static ngx_int_t
ngx_http_stoa_policy_opa_show_ask(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_opa_list_t *list,
    const ngx_http_stoa_attached_t *a, const stoa_rec_api_t *api)
{
    uint32_t                   *map;
    ngx_int_t                   rc;
    ngx_str_t                   detail;
    stoa_buf_t                  b;
    ngx_uint_t                  i, n;
    ngx_http_stoa_opa_asked_t  *o;
    ngx_http_stoa_opa_item_t   *item;

    map = ngx_palloc(r->pool, (list->n + 1) * sizeof(uint32_t));
    if (map == NULL) {
        return NGX_ERROR;
    }

    stoa_buf_init(&b, 2 * STOA_OPA_BYTES);
    stoa_buf_addf(&b, "{\"input\":{\"version\":1,\"protocol\":\"mcp\","
                  "\"list\":\"%s\",\"items\":[", list->kind);

    for (i = 0, n = 0; i < list->n; i++) {
        item = &list->items[i];

        if (item->api == NULL || (api && item->api != api)
            || (a->tool.len
                && (ngx_strcmp(list->kind, "tools") != 0
                    || a->tool.len != item->name.len
                    || ngx_memcmp(a->tool.data, item->name.data, a->tool.len)
                       != 0)))
        {
            continue;
        }

        ngx_http_stoa_policy_opa_show_item(&b, item, n == 0);
        map[n++] = i;
    }

    stoa_buf_addz(&b, "]");

    if (n == 0) {
        stoa_buf_free(&b);
        return NGX_OK;
    }

    rc = ngx_http_stoa_policy_opa_caller(r, ctx, a, &b, &detail);
    stoa_buf_addz(&b, "}}");

    o = rc != NGX_ERROR && b.rc == STOA_OK
        ? ngx_http_stoa_policy_opa_new(r, ctx, a,
                   stoa_rec_str(a->rec,
                                ((stoa_policy_opa_t *) a->config)->list_path))
        : NULL;

    if (o == NULL) {
        stoa_buf_free(&b);
        return NGX_ERROR;
    }

    o->read = ngx_http_stoa_policy_opa_shown;
    o->max = NGX_HTTP_STOA_OPA_LIST;
    o->list = list;
    o->map = map;
    o->nmap = n;

    if (rc == NGX_DECLINED) {              /* who cannot be shown sees none  */
        o->says = NGX_HTTP_STOA_OPA_DENY;
        stoa_buf_free(&b);
        return NGX_OK;
    }

    return ngx_http_stoa_policy_opa_ask(ctx, o, &b);
}


static void
ngx_http_stoa_policy_opa_show_item(stoa_buf_t *b,
    const ngx_http_stoa_opa_item_t *item, ngx_uint_t first)
{
    stoa_str_t  name;

    name = stoa_rec_str(item->api, item->api->name);

    stoa_buf_addz(b, first ? "{\"api\":" : ",{\"api\":");
    stoa_buf_add_json(b, name.data, name.len);
    stoa_buf_addz(b, ",\"name\":");
    stoa_buf_add_json(b, item->name.data, item->name.len);
    stoa_buf_addz(b, "}");
}


/* [0, 2, ...]: a bit of `more` for each. */

static const char *
ngx_http_stoa_policy_opa_shown(ngx_http_stoa_opa_asked_t *o,
    const stoa_json_val_t *result)
{
    bool              more;
    int64_t           n;
    stoa_json_val_t   val;
    stoa_json_iter_t  it;

    static const char  bad[] = "a list that is no array of its items' numbers";

    if (result->type != STOA_JSON_ARRAY) {
        return bad;
    }

    o->more.len = (o->nmap + 7) / 8;
    o->more.data = ngx_pcalloc(o->request->pool, o->more.len);

    if (o->more.data == NULL) {
        o->more.len = 0;
        return "no memory";
    }

    for (more = stoa_json_first(result, &it, NULL, &val);
         more;
         more = stoa_json_next(&it, NULL, &val))
    {
        if (stoa_json_int(&val, &n) != STOA_OK || n < 0
            || n >= (int64_t) o->nmap)
        {
            return bad;
        }

        o->more.data[n / 8] |= 1 << n % 8;
    }

    o->says = NGX_HTTP_STOA_OPA_ALLOW;

    return NULL;
}


/* ---- calls ------------------------------------------------------------- */

/* NGX_DECLINED: it is for no item, or the policy has no such rule. */

ngx_int_t
ngx_http_stoa_policy_opa_item(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a, ngx_http_stoa_opa_says_e *says)
{
    ngx_http_stoa_opa_list_t   *list;
    ngx_http_stoa_opa_asked_t  *o;

    if (ctx->call.item_kind == NULL
        || ((stoa_policy_opa_t *) a->config)->list_path.len == 0)
    {
        return NGX_DECLINED;
    }

    for (o = ctx->call.opa; o && (o->attached != a || o->list == NULL);
         o = o->next) { /* void */ }

    if (o == NULL) {
        list = ngx_pcalloc(r->pool, sizeof(ngx_http_stoa_opa_list_t)
                                    + sizeof(ngx_http_stoa_opa_item_t));
        if (list == NULL) {
            return NGX_ERROR;
        }

        list->kind = ctx->call.item_kind;
        list->n = 1;
        list->items = (ngx_http_stoa_opa_item_t *) (list + 1);
        list->items->api = ctx->call.api->rec;
        list->items->name = (stoa_str_t) { (char *) ctx->call.item.data,
                                           ctx->call.item.len };

        if (ngx_http_stoa_policy_opa_show_ask(r, ctx, list, a, NULL)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        o = ctx->call.opa;

        if (o == NULL || o->list != list) {
            return NGX_DECLINED;
        }
    }

    if (o->fetch) {
        return NGX_AGAIN;
    }

    *says = o->says != NGX_HTTP_STOA_OPA_ALLOW ? o->says
            : o->more.len && o->more.data[0] & 1 ? NGX_HTTP_STOA_OPA_ALLOW
            : NGX_HTTP_STOA_OPA_DENY;

    return NGX_OK;
}
