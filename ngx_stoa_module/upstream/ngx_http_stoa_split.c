/*
 * Groups of targets: which one a call goes to.
 *
 * By the first rule that fits, else by what keeps its group, else by the
 * shares: a counter in the api's place deals out each share exactly, evenly
 * mixed, over all workers.  What keeps its group is a point on the line of all
 * weights, so that a share that grows takes callers from its neighbour alone.
 *
 * Process: workers.
 */

#include "ngx_http_stoa_balance.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_inner.h"
#include "core/stoa_jose.h"
#include "core/stoa_key.h"


#define NGX_HTTP_STOA_SPLIT_SEED  0x73706c69ULL


static ngx_uint_t ngx_http_stoa_split_named(ngx_http_stoa_api_t *api,
    const u_char *name, size_t len);
static ngx_uint_t ngx_http_stoa_split_rule(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_api_t *api,
    const stoa_rec_split_rule_t *rule);
static ngx_uint_t ngx_http_stoa_split_header(ngx_http_request_t *r,
    stoa_str_t *name, stoa_str_t *value);
static ngx_uint_t ngx_http_stoa_split_claim(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, stoa_str_t *path, stoa_str_t *value);
static ngx_uint_t ngx_http_stoa_split_point(ngx_http_stoa_api_t *api,
    uint64_t point);
static ngx_uint_t ngx_http_stoa_split_next(ngx_http_stoa_api_t *api);
static ngx_uint_t ngx_http_stoa_split_cookie(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_api_t *api);
static void ngx_http_stoa_split_cookie_name(ngx_http_stoa_api_t *api,
    ngx_str_t *name);


ngx_int_t
ngx_http_stoa_split_compile(ngx_http_stoa_api_t *api)
{
    uint64_t                        a, b, c;
    uint32_t                        i, k;
    stoa_str_t                      s, name;
    const stoa_rec_api_target_t    *row;
    const stoa_rec_split_group_t   *group;

    api->split = stoa_rec_vec(api->rec, api->rec->split, stoa_rec_split_t);
    group = stoa_rec_vec(api->rec, api->split->groups,
                         stoa_rec_split_group_t);
    row = stoa_rec_vec(api->rec, api->rec->targets, stoa_rec_api_target_t);

    api->groups = ngx_pcalloc(api->pool, api->split->groups.n
                                         * sizeof(ngx_http_stoa_addr_t));
    if (api->groups == NULL) {
        return NGX_ERROR;
    }

    for (k = 0; k < api->split->groups.n; k++) {
        api->split_total += group[k].weight;

        name = stoa_rec_str(api->rec, group[k].name);
        api->groups[k].name.data = (u_char *) name.data;
        api->groups[k].name.len = name.len;

        for (i = 0; i < api->ntargets; i++) {
            s = stoa_rec_str(api->rec, row[i].group);

            if (s.len == name.len && ngx_memcmp(s.data, name.data, s.len) == 0)
            {
                api->targets[i].group = k + 1;
            }
        }
    }

    if (api->split_total == 0) {
        return NGX_ERROR;           /* no control plane lets that pass      */
    }

    /* steps of about 0.618 of the whole that come to every point */

    api->split_step = api->split_total * 618 / 1000 + 1;

    for ( ;; ) {
        for (a = api->split_total, b = api->split_step; b; a = b, b = c) {
            c = a % b;
        }

        if (a <= 1) {
            return NGX_OK;
        }

        api->split_step++;
    }
}


ngx_uint_t
ngx_http_stoa_split(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_api_t *api)
{
    uint32_t                       i;
    uint64_t                       at;
    ngx_uint_t                     group;
    const stoa_id_t               *id;
    const stoa_rec_split_rule_t   *rule;

    if (api->split == NULL) {
        return 0;
    }

    if (ctx->call.group && api == ctx->call.api) {
        return ctx->call.group;
    }

    group = ctx->inner && api == ctx->call.api
            ? ngx_http_stoa_split_named(api, ctx->inner->group.data,
                                        ctx->inner->group.len)
            : 0;
    rule = stoa_rec_vec(api->rec, api->split->rules, stoa_rec_split_rule_t);

    for (i = 0; i < api->split->rules.n && group == 0; i++) {
        group = ngx_http_stoa_split_rule(r, ctx, api, &rule[i]);
    }

    id = api->split->sticky == STOA_STICKY_APPLICATION ? &ctx->application
         : api->split->sticky == STOA_STICKY_PRINCIPAL ? &ctx->principal
                                                       : NULL;

    if (group == 0 && id && id->c[0]) {
        at = stoa_hash64(&api->id, sizeof(stoa_id_t),
                         NGX_HTTP_STOA_SPLIT_SEED);
        at = stoa_hash64(id, sizeof(stoa_id_t), at);
        group = ngx_http_stoa_split_point(api, at % 10000
                                               * api->split_total / 10000);

    } else if (group == 0) {
        group = api->split->sticky == STOA_STICKY_COOKIE
                ? ngx_http_stoa_split_cookie(r, ctx, api)
                : ngx_http_stoa_split_next(api);
    }

    if (api == ctx->call.api) {
        ctx->call.group = group;
    }

    return group;
}


static ngx_uint_t
ngx_http_stoa_split_named(ngx_http_stoa_api_t *api, const u_char *name,
    size_t len)
{
    uint32_t  k;

    for (k = 0; k < api->split->groups.n; k++) {
        if (api->groups[k].name.len == len
            && ngx_memcmp(api->groups[k].name.data, name, len) == 0)
        {
            return k + 1;
        }
    }

    return 0;
}


/* ---- rules ------------------------------------------------------------- */

static ngx_uint_t
ngx_http_stoa_split_rule(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_api_t *api, const stoa_rec_split_rule_t *rule)
{
    stoa_str_t  header, claim, value, group;

    header = stoa_rec_str(api->rec, rule->header);
    claim = stoa_rec_str(api->rec, rule->claim);
    value = stoa_rec_str(api->rec, rule->value);
    group = stoa_rec_str(api->rec, rule->group);

    return (header.len ? ngx_http_stoa_split_header(r, &header, &value)
                       : ngx_http_stoa_split_claim(r, ctx, &claim, &value))
           ? ngx_http_stoa_split_named(api, (u_char *) group.data, group.len)
           : 0;
}


static ngx_uint_t
ngx_http_stoa_split_header(ngx_http_request_t *r, stoa_str_t *name,
    stoa_str_t *value)
{
    ngx_table_elt_t             *h;
    ngx_http_stoa_header_walk_t  w;

    for (h = ngx_http_stoa_header_first(&w, &r->headers_in.headers.part); h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (ngx_http_stoa_header_equal(h, name->data, name->len)
            && (value->len == 0
                || (h->value.len == value->len
                    && ngx_memcmp(h->value.data, value->data, value->len)
                       == 0)))
        {
            return 1;
        }
    }

    return 0;
}


/* Of a token that was verified; one whose issuer was asked about has none
 * that is known here. */

static ngx_uint_t
ngx_http_stoa_split_claim(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    stoa_str_t *path, stoa_str_t *value)
{
    char             *buf, *words;
    size_t            n;
    ngx_str_t        *text;
    stoa_jwt_t        jwt;
    const char       *why;
    stoa_json_val_t   val;

    if (ctx->token == NULL || ctx->token->text.len == 0) {
        return 0;
    }

    text = &ctx->token->text;
    buf = ngx_pnalloc(r->pool, 2 * text->len);

    if (buf == NULL
        || !stoa_jwt_looks((char *) text->data, text->len)
        || stoa_jwt_parse((char *) text->data, text->len, buf, &jwt, &why)
           != STOA_OK
        || !stoa_jwt_claim(&jwt.claims, path->data, path->len, &val))
    {
        return 0;
    }

    if (value->len == 0) {
        return 1;
    }

    words = buf + text->len;
    n = stoa_jwt_words(&val, false, words);

    if (n != SIZE_MAX) {
        return stoa_jwt_has(words, n, value->data, value->len);
    }

    /* a number, true, false */

    return (size_t) (val.end - val.start) == value->len
           && ngx_memcmp(val.start, value->data, value->len) == 0;
}


/* ---- shares ------------------------------------------------------------ */

static ngx_uint_t
ngx_http_stoa_split_point(ngx_http_stoa_api_t *api, uint64_t point)
{
    uint32_t                       k;
    const stoa_rec_split_group_t  *group;

    group = stoa_rec_vec(api->rec, api->split->groups,
                         stoa_rec_split_group_t);

    for (k = 0; k < api->split->groups.n; k++) {
        if (point < group[k].weight) {
            return k + 1;
        }

        point -= group[k].weight;
    }

    return 1;
}


static ngx_uint_t
ngx_http_stoa_split_next(ngx_http_stoa_api_t *api)
{
    uint64_t                n;
    ngx_http_stoa_place_t  *place;

    place = ngx_http_stoa_target_own(api);

    n = place ? __atomic_fetch_add(&place->turn, 1, __ATOMIC_RELAXED)
              : (uint64_t) ngx_random();

    return ngx_http_stoa_split_point(api, n % api->split_total
                                          * api->split_step
                                          % api->split_total);
}


static void
ngx_http_stoa_split_cookie_name(ngx_http_stoa_api_t *api, ngx_str_t *name)
{
    stoa_str_t  s;

    s = stoa_rec_str(api->rec, api->split->cookie);
    name->data = (u_char *) s.data;
    name->len = s.len;

    if (s.len == 0) {
        ngx_str_set(name, "stoa_group");
    }
}


/* A group that gets nothing any more keeps nobody. */

static ngx_uint_t
ngx_http_stoa_split_cookie(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_api_t *api)
{
    ngx_str_t                      name, value;
    ngx_uint_t                     group;
    const stoa_rec_split_group_t  *row;

    ngx_http_stoa_split_cookie_name(api, &name);

    row = stoa_rec_vec(api->rec, api->split->groups, stoa_rec_split_group_t);

    if (ngx_http_stoa_cookie(r, &name, &value)) {
        group = ngx_http_stoa_split_named(api, value.data, value.len);

        if (group && row[group - 1].weight) {
            return group;
        }
    }

    ctx->call.group_new = api == ctx->call.api;

    return ngx_http_stoa_split_next(api);
}


/* For the path by which the api is called. */

ngx_int_t
ngx_http_stoa_split_answer(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    u_char               *p;
    ngx_str_t             path, name, *value;
    ngx_table_elt_t      *h;
    ngx_http_stoa_api_t  *api;

    api = ctx->call.api;

    ngx_http_stoa_split_cookie_name(api, &name);
    value = &api->groups[ctx->call.group - 1].name;

    path.data = r->uri.data;
    path.len = ngx_min(ctx->call.prefix_len, r->uri.len);

    if (path.len == 0) {
        ngx_str_set(&path, "/");
    }

    h = ngx_http_stoa_header_add(r, "Set-Cookie");
    p = ngx_pnalloc(r->pool, name.len + value->len + path.len
                             + sizeof("=; Path=; HttpOnly; SameSite=Lax"));

    if (h == NULL || p == NULL) {
        return NGX_ERROR;
    }

    h->value.data = p;
    h->value.len = ngx_sprintf(p, "%V=%V; Path=%V; HttpOnly; SameSite=Lax",
                               &name, value, &path)
                   - p;

    return NGX_OK;
}


void
ngx_http_stoa_split_count(ngx_http_stoa_ctx_t *ctx, ngx_uint_t status)
{
    ngx_http_stoa_place_t  *place;

    place = ngx_http_stoa_target_group(ctx->call.api, ctx->call.group);

    if (place == NULL || status < 100 || status > 599) {
        return;
    }

    ngx_http_stoa_add(&place->class[status / 100 - 1], 1);
}
