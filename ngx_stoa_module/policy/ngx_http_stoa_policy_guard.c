/*
 * guardrail: personal data and secrets in a body, at a tool in its arguments,
 * keep it back or are masked where they lie.  Schema:
 * core/stoa_policy_guard.h.  Answers: _policy_guard_answer.c.
 *
 * Process: workers.  Lifetime: the chain, the request.
 */

#include "ngx_http_stoa_guard.h"
#include "ngx_http_stoa_refusal.h"


static ngx_int_t ngx_http_stoa_policy_guard_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_policy_guard_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_uint_t ngx_http_stoa_policy_guard_form(ngx_http_request_t *r,
    ngx_str_t *body);
static ngx_int_t ngx_http_stoa_policy_guard_look(ngx_http_request_t *r,
    ngx_str_t *body, const stoa_guard_set_t *set, ngx_uint_t form,
    ngx_uint_t masks, unsigned *kinds, ngx_uint_t *over);


static const ngx_http_stoa_refusal_t  ngx_http_stoa_policy_guard_refusals[] = {
    { ngx_string("guard_denied"), 400, ngx_string("Data not let through"),
      ngx_string("The body has what is not let through."), 400 },
    { ngx_string("answer_denied"), 502, ngx_string("Answer not let through"),
      ngx_string("The answer has what is not let through."), 502 },
    { ngx_null_string, 0, ngx_null_string, ngx_null_string, 0 }
};


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_guard = {
    .name = "guardrail",
    .compile = ngx_http_stoa_policy_guard_compile,
    .head = ngx_http_stoa_policy_guard_head,
    .look = 1,
    .upstream = ngx_http_stoa_policy_guard_upstream,
    .response = ngx_http_stoa_policy_guard_response,
    .answer = ngx_http_stoa_policy_guard_answer,
    .refusals = ngx_http_stoa_policy_guard_refusals
};


/* In a->state. */

static ngx_int_t
ngx_http_stoa_policy_guard_compile(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain, ngx_http_stoa_attached_t *a)
{
    uint32_t                        i;
    ngx_str_t                       program;
    stoa_rc_t                       rc;
    stoa_buf_t                      b;
    stoa_str_t                      s;
    const char                     *wrong;
    const stoa_ref_t               *ref;
    ngx_http_stoa_guard_t          *guard;
    const stoa_policy_guard_t      *conf;
    const stoa_policy_guard_own_t  *own;

    (void) chain;

    conf = a->config;
    guard = ngx_pcalloc(pool, sizeof(ngx_http_stoa_guard_t));
    if (guard == NULL) {
        return NGX_ERROR;
    }

    ref = stoa_rec_vec(a->rec, conf->kinds, stoa_ref_t);
    guard->set.kinds = conf->kinds.n || conf->patterns.n ? 0
                                                         : STOA_GUARD_DEFAULT;

    for (i = 0; i < conf->kinds.n; i++) {
        s = stoa_rec_str(a->rec, ref[i]);
        guard->set.kinds |= 1u << stoa_guard_kind(s.data, s.len);
    }

    ref = stoa_rec_vec(a->rec, conf->look_at, stoa_ref_t);
    guard->parts = conf->look_at.n ? 0 : 1u << NGX_HTTP_STOA_GUARD_REQUEST;

    for (i = 0; i < conf->look_at.n; i++) {
        guard->parts |= 1u << (stoa_rec_str(a->rec, ref[i]).data[0] == 'a');
    }

    ref = stoa_rec_vec(a->rec, conf->decode, stoa_ref_t);

    for (i = 0; i < conf->decode.n; i++) {
        s = stoa_rec_str(a->rec, ref[i]);
        guard->set.decode |= stoa_guard_decode(s.data, s.len);
    }

    own = stoa_rec_vec(a->rec, conf->patterns, stoa_policy_guard_own_t);

    for (i = 0; i < conf->patterns.n; i++) {
        s = stoa_rec_str(a->rec, own[i].pattern);
        stoa_buf_init(&b, 65536);
        rc = stoa_pattern_compile(s.data, s.len, &b, &wrong);

        /* its numbers are of 4 bytes */

        program.len = b.len;
        program.data = rc == STOA_OK ? ngx_palloc(pool, b.len) : NULL;

        if (program.data) {
            ngx_memcpy(program.data, b.data, b.len);
        }

        stoa_buf_free(&b);

        if (program.data == NULL) {
            return NGX_ERROR;
        }

        guard->set.pattern[guard->set.n++] = program.data;
    }

    a->state = guard;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_policy_guard_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    unsigned                      kinds;
    ngx_int_t                     rc;
    ngx_str_t                     body;
    ngx_uint_t                    form, how, masks, over;
    const stoa_policy_guard_t    *conf;
    const ngx_http_stoa_guard_t  *guard;

    conf = a->config;
    guard = a->state;
    over = 0;

    if ((guard->parts & 1u << NGX_HTTP_STOA_GUARD_ANSWER)
        && ngx_http_stoa_policy_guard_expect(r, ctx, a) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (!(guard->parts & 1u << NGX_HTTP_STOA_GUARD_REQUEST)) {
        return NGX_OK;
    }

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

    form = ngx_http_stoa_policy_guard_form(r, &body);
    kinds = 0;

    for (how = 0; how <= form; how++) {
        rc = ngx_http_stoa_policy_guard_look(r, &body, &guard->set, how,
                                             masks && !a->shadow, &kinds,
                                             &over);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    if (!over && (kinds == 0 || masks)) {
        (void) (kinds ? ngx_http_stoa_policy_acts(a) : 0);
        return NGX_OK;
    }

    if (ngx_http_stoa_policy_guard_words(r->pool, kinds, over, &body)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_stoa_policy_refuse_text(r, ctx, a, a->refusal, &body);
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


/* Counts what is found, and masks it; adds which kinds it is. */

static ngx_int_t
ngx_http_stoa_policy_guard_look(ngx_http_request_t *r, ngx_str_t *body,
    const stoa_guard_set_t *set, ngx_uint_t form, ngx_uint_t masks,
    unsigned *kinds, ngx_uint_t *over)
{
    char               *copy;
    stoa_guard_look_t   l;

    copy = NULL;
    ngx_memzero(&l, sizeof(stoa_guard_look_t));
    l.s = (char *) body->data;
    l.len = body->len;
    l.copy = l.s;
    l.copy_len = l.len;
    l.how = set->decode | (form ? STOA_GUARD_FORM : 0);

    if (!stoa_guard_plain(l.s, l.len, l.how)) {
        copy = ngx_palloc(r->pool, l.len);
        if (copy == NULL) {
            return NGX_ERROR;
        }

        l.copy_len = stoa_guard_fold(l.s, l.len, l.how, copy);
        l.copy = copy;
    }

    l.json = !form;
    l.masks = masks;
    l.to = l.copy_len;

    *kinds |= stoa_guard_look(set, &l);
    ngx_http_stoa_policy_guard_count(l.count);
    *over |= l.over;

    if (copy) {
        (void) ngx_pfree(r->pool, copy);
    }

    return NGX_OK;
}
