/*
 * guardrail: personal data and secrets in a body, at a tool in its arguments,
 * keep it back or are masked where they lie.  Schema:
 * core/stoa_policy_guard.h.
 *
 * Process: workers.  Lifetime: the chain, the request.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_refusal.h"
#include "ngx_http_stoa_zone.h"
#include "core/stoa_guard.h"
#include "core/stoa_policy_guard.h"


static ngx_int_t ngx_http_stoa_policy_guard_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_policy_guard_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_uint_t ngx_http_stoa_policy_guard_form(ngx_http_request_t *r,
    ngx_str_t *body);
static unsigned ngx_http_stoa_policy_guard_look(ngx_str_t *body, u_char *copy,
    unsigned kinds, ngx_uint_t form, ngx_uint_t masks);
static ngx_int_t ngx_http_stoa_policy_guard_refuse(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    unsigned kinds);


static const ngx_http_stoa_refusal_t  ngx_http_stoa_policy_guard_refusals[] = {
    { ngx_string("guard_denied"), 400, ngx_string("Data not let through"),
      ngx_string("The body has what is not let through."), 400 },
    { ngx_null_string, 0, ngx_null_string, ngx_null_string, 0 }
};


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_guard = {
    .name = "guardrail",
    .compile = ngx_http_stoa_policy_guard_compile,
    .head = ngx_http_stoa_policy_guard_head,
    .refusals = ngx_http_stoa_policy_guard_refusals
};


/* The kinds, in a->state. */

static ngx_int_t
ngx_http_stoa_policy_guard_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a)
{
    uint32_t                    i;
    unsigned                   *kinds;
    stoa_str_t                  name;
    const stoa_ref_t           *ref;
    const stoa_policy_guard_t  *conf;

    (void) chain;

    conf = a->config;
    ref = stoa_rec_vec(a->rec, conf->kinds, stoa_ref_t);

    kinds = ngx_palloc(pool, sizeof(unsigned));
    if (kinds == NULL) {
        return NGX_ERROR;
    }

    *kinds = conf->kinds.n ? 0 : STOA_GUARD_DEFAULT;

    for (i = 0; i < conf->kinds.n; i++) {
        name = stoa_rec_str(a->rec, ref[i]);
        *kinds |= 1u << stoa_guard_kind(name.data, name.len);
    }

    a->state = kinds;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_policy_guard_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    u_char                     *copy;
    unsigned                    kinds;
    ngx_int_t                   rc;
    ngx_str_t                   body;
    ngx_uint_t                  form, masks;
    const stoa_policy_guard_t  *conf;

    conf = a->config;

    rc = ngx_http_stoa_policy_content(r, ctx, a, conf->max_bytes, 0, &body);

    if (rc == NGX_OK) {
        rc = ngx_http_stoa_policy_content_own(r, ctx, &body);
    }

    if (rc != NGX_OK || body.len == 0) {
        return rc == NGX_DECLINED ? NGX_OK : rc;
    }

    masks = conf->action == STOA_GUARD_MASK && !ctx->call.content_repeated;

    /* escapes hide nothing: where there are some a copy without them is
     * looked through; of a form, too, whatever type it says it has */

    copy = NULL;
    form = ngx_http_stoa_policy_guard_form(r, &body);

    if (form
        || ngx_strlchr(body.data, body.data + body.len, '\\') != NULL)
    {
        copy = ngx_palloc(r->pool, body.len);
        if (copy == NULL) {
            return NGX_ERROR;
        }
    }

    kinds = ngx_http_stoa_policy_guard_look(&body, copy,
                                            *(unsigned *) a->state, 0,
                                            masks && !a->shadow);

    if (form) {
        kinds |= ngx_http_stoa_policy_guard_look(&body, copy,
                                                 *(unsigned *) a->state, 1,
                                                 masks && !a->shadow);
    }

    if (copy) {
        (void) ngx_pfree(r->pool, copy);
    }

    if (kinds == 0) {
        return NGX_OK;
    }

    if (masks) {
        (void) ngx_http_stoa_policy_acts(a);
        return NGX_OK;
    }

    return ngx_http_stoa_policy_guard_refuse(r, ctx, a, kinds);
}


/* May it be read as one with escapes?  Not what is JSON by its type and by
 * how it begins, behind the blanks that JSON may have. */

static ngx_uint_t
ngx_http_stoa_policy_guard_form(ngx_http_request_t *r, ngx_str_t *body)
{
    u_char  *p, *last;

    p = body->data;
    last = p + body->len;

    if (ngx_strlchr(p, last, '%') == NULL) {
        return 0;
    }

    while (p < last && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n')) {
        p++;
    }

    return p == last || (*p != '{' && *p != '[' && *p != '"')
           || !ngx_http_stoa_policy_content_json(r, 1);
}


/* Counts what is found, and masks it; which kinds it is. */

static unsigned
ngx_http_stoa_policy_guard_look(ngx_str_t *body, u_char *copy, unsigned kinds,
    ngx_uint_t form, ngx_uint_t masks)
{
    char              *text;
    size_t             at, len;
    unsigned           found;
    stoa_guard_hit_t   hit;
    stoa_guard_pos_t   pos;

    text = (char *) (copy ? copy : body->data);
    len = body->len;

    if (copy) {
        len = stoa_guard_fold((char *) body->data, body->len, form, text);
    }

    ngx_memzero(&pos, sizeof(stoa_guard_pos_t));
    pos.json = !form;

    for (at = 0, found = 0; stoa_guard_next(kinds, text, len, &at, &hit); ) {
        found |= 1u << hit.kind;
        ngx_http_stoa_count(guard[hit.kind], 1);

        if (masks) {
            stoa_guard_mask(&pos, (char *) body->data, body->len, form, &hit);
        }
    }

    return found;
}


/* Names the kinds, never what was found. */

static ngx_int_t
ngx_http_stoa_policy_guard_refuse(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    unsigned kinds)
{
    u_char      *p;
    ngx_str_t    detail;
    ngx_uint_t   i;

    static const char  words[] = "The body has what is not let through";

    detail.data = ngx_pnalloc(r->pool, sizeof(words) + STOA_GUARD_MAX * 16);
    if (detail.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(detail.data, words, sizeof(words) - 1);

    for (i = 0; i < STOA_GUARD_MAX; i++) {
        if (kinds & 1u << i) {
            p = ngx_sprintf(p, "%s %s", kinds & ((1u << i) - 1) ? "," : ":",
                            stoa_guard_name(i));
        }
    }

    *p++ = '.';
    detail.len = p - detail.data;

    return ngx_http_stoa_policy_refuse_text(r, ctx, a, a->refusal, &detail);
}
