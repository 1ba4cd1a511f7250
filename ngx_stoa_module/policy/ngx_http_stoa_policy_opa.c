/*
 * opa: a rule of an Open Policy Agent says whether a call may pass.  Schema:
 * core/stoa_policy_opa.h; whom it is: net/ngx_http_stoa_opa.h.
 *
 * A decision is literally true or false, or an object that has one as `allow`.
 * All else is none, and then the policy says what becomes of the call.
 * Process: workers.
 */

#include "ngx_http_stoa_opa_ask.h"
#include "ngx_http_stoa_refusal.h"


#define NGX_HTTP_STOA_OPA_HEADER  1024          /* bytes of a value          */


static ngx_int_t ngx_http_stoa_policy_opa_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_policy_opa_upstream(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_http_stoa_opa_asked_t *ngx_http_stoa_policy_opa_asked(
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_int_t ngx_http_stoa_policy_opa_begin(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    ngx_http_stoa_opa_asked_t **asked);
static const char *ngx_http_stoa_policy_opa_decision(
    ngx_http_stoa_opa_asked_t *o, const stoa_json_val_t *result);
static const char *ngx_http_stoa_policy_opa_headers(
    ngx_http_stoa_opa_asked_t *o, const stoa_json_val_t *headers);
static uint32_t ngx_http_stoa_policy_opa_header(
    const ngx_http_stoa_attached_t *a, const stoa_json_val_t *key);
static const char *ngx_http_stoa_policy_opa_value(stoa_buf_t *b,
    const stoa_json_val_t *val);
static ngx_int_t ngx_http_stoa_policy_opa_judge(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    ngx_http_stoa_opa_says_e says, ngx_str_t *reason);


static const ngx_http_stoa_refusal_t  ngx_http_stoa_policy_opa_refusals[] = {
    { ngx_string("opa_denied"), 403, ngx_string("Denied by policy"),
      ngx_string("A policy does not let this call pass."), 403 },
    { ngx_string("policy_unavailable"), 503,
      ngx_string("Policy not available"),
      ngx_string("Nobody could decide whether this call may pass."), 503 },
    { ngx_null_string, 0, ngx_null_string, ngx_null_string, 0 }
};


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_opa = {
    .name = "opa",
    .on_way = 1,
    .head = ngx_http_stoa_policy_opa_head,
    .upstream = ngx_http_stoa_policy_opa_upstream,
    .refusals = ngx_http_stoa_policy_opa_refusals
};


/* Asked again when the body is there, and when the answers are. */

static ngx_int_t
ngx_http_stoa_policy_opa_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    ngx_int_t                   rc, listed;
    ngx_http_stoa_opa_says_e    says;
    ngx_http_stoa_opa_asked_t  *o;

    o = ngx_http_stoa_policy_opa_asked(ctx, a);

    if (o == NULL) {
        rc = ngx_http_stoa_policy_opa_begin(r, ctx, a, &o);

        if (rc != NGX_OK || o == NULL) {
            return rc;
        }
    }

    /* both are asked at once */

    listed = ngx_http_stoa_policy_opa_item(r, ctx, a, &says);

    if (listed == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (o->fetch || listed == NGX_AGAIN) {
        return ngx_http_stoa_ctx_suspend(r);
    }

    if (listed == NGX_OK && says != NGX_HTTP_STOA_OPA_ALLOW) {
        rc = ngx_http_stoa_policy_opa_judge(r, ctx, a, says, NULL);

        if (rc != NGX_OK) {
            return rc;
        }
    }

    return ngx_http_stoa_policy_opa_judge(r, ctx, a, o->says, &o->reason);
}


/* What is asked about the call itself; NULL: nothing yet. */

static ngx_http_stoa_opa_asked_t *
ngx_http_stoa_policy_opa_asked(ngx_http_stoa_ctx_t *ctx,
    const ngx_http_stoa_attached_t *a)
{
    ngx_http_stoa_opa_asked_t  *o;

    for (o = ctx->call.opa; o && (o->attached != a || o->list); o = o->next) {
        /* void */
    }

    return o;
}


/* NGX_OK and no *asked: a shadow has nothing to ask. */

static ngx_int_t
ngx_http_stoa_policy_opa_begin(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    ngx_http_stoa_opa_asked_t **asked)
{
    ngx_int_t                   rc;
    ngx_str_t                   body, detail;
    stoa_buf_t                  b;
    const stoa_policy_opa_t    *conf;
    ngx_http_stoa_opa_asked_t  *o;

    conf = a->config;
    ngx_str_null(&body);

    if (conf->body) {
        rc = ngx_http_stoa_policy_content(r, ctx, a, conf->max_bytes, 0,
                                          &body);
        if (rc == NGX_OK) {
            rc = ngx_http_stoa_policy_content_own(r, ctx, &body);

            if (rc == NGX_DECLINED) {
                ngx_str_null(&body);
                rc = NGX_OK;
            }
        }

        if (rc != NGX_OK) {
            return rc == NGX_DECLINED ? NGX_OK : rc;
        }
    }

    stoa_buf_init(&b, 2 * STOA_OPA_BYTES);
    rc = stoa_buf_reserve(&b, 1024) == STOA_OK
         ? ngx_http_stoa_policy_opa_input(r, ctx, a, &body, &b, &detail)
         : NGX_ERROR;

    o = rc == NGX_OK
        ? ngx_http_stoa_policy_opa_new(r, ctx, a,
                                       stoa_rec_str(a->rec, conf->path))
        : NULL;

    if (o == NULL) {
        stoa_buf_free(&b);
        return rc == NGX_DECLINED
               ? ngx_http_stoa_policy_refuse_text(r, ctx, a, a->refusal,
                                                  &detail)
               : NGX_ERROR;
    }

    o->read = ngx_http_stoa_policy_opa_decision;
    *asked = o;

    return ngx_http_stoa_policy_opa_ask(ctx, o, &b);
}


static const char *
ngx_http_stoa_policy_opa_decision(ngx_http_stoa_opa_asked_t *o,
    const stoa_json_val_t *result)
{
    const char               *why;
    stoa_str_t                text;
    stoa_json_val_t           val;
    const stoa_policy_opa_t  *conf;

    conf = o->attached->config;
    val = *result;

    if (result->type == STOA_JSON_OBJECT
        && !stoa_json_get(result, "allow", &val))
    {
        return "a decision without \"allow\"";
    }

    if (val.type != STOA_JSON_TRUE && val.type != STOA_JSON_FALSE) {
        return "a decision that is neither true nor false";
    }

    o->says = val.type == STOA_JSON_TRUE ? NGX_HTTP_STOA_OPA_ALLOW
                                         : NGX_HTTP_STOA_OPA_DENY;

    if (result->type != STOA_JSON_OBJECT) {
        return NULL;
    }

    if (stoa_json_get_text(result, "reason", &text)
        && text.len <= NGX_HTTP_STOA_OPA_REASON)
    {
        o->reason.data = (u_char *) text.data;
        o->reason.len = text.len;
    }

    if (o->says != NGX_HTTP_STOA_OPA_ALLOW || conf->headers_set.n == 0
        || !stoa_json_get(result, "headers", &val))
    {
        return NULL;
    }

    why = ngx_http_stoa_policy_opa_headers(o, &val);

    if (why) {
        o->says = NGX_HTTP_STOA_OPA_ERROR;
    }

    return why;
}


/* A byte for which of the policy's names it is, the value, a NUL; what else
 * the decision names is not its to say. */

static const char *
ngx_http_stoa_policy_opa_headers(ngx_http_stoa_opa_asked_t *o,
    const stoa_json_val_t *headers)
{
    bool              more;
    uint32_t          i;
    stoa_buf_t        b;
    const char       *why;
    stoa_json_val_t   key, val;
    stoa_json_iter_t  it;

    if (headers->type != STOA_JSON_OBJECT) {
        return "a decision whose headers are no object";
    }

    stoa_buf_init(&b, 4096);
    why = NULL;

    for (more = stoa_json_first(headers, &it, &key, &val);
         more && why == NULL;
         more = stoa_json_next(&it, &key, &val))
    {
        i = ngx_http_stoa_policy_opa_header(o->attached, &key);

        if (i) {
            stoa_buf_addf(&b, "%c", (int) i);
            why = ngx_http_stoa_policy_opa_value(&b, &val);
        }
    }

    if (why || b.len == 0) {
        stoa_buf_free(&b);
        return why;
    }

    return ngx_http_stoa_ctx_text(o->request, &b, &o->more) == NGX_OK
           ? NULL : "a decision whose headers are too long";
}


/* Which of those that are its own, from 1; 0: none. */

static uint32_t
ngx_http_stoa_policy_opa_header(const ngx_http_stoa_attached_t *a,
    const stoa_json_val_t *key)
{
    uint32_t                  i;
    stoa_str_t                name;
    const stoa_ref_t         *refs;
    const stoa_policy_opa_t  *conf;

    conf = a->config;
    refs = stoa_rec_vec(a->rec, conf->headers_set, stoa_ref_t);

    for (i = 0; i < conf->headers_set.n; i++) {
        name = stoa_rec_str(a->rec, refs[i]);

        if (!key->escaped && (size_t) (key->end - key->start) == name.len + 2
            && ngx_strncasecmp((u_char *) key->start + 1,
                               (u_char *) name.data, name.len)
               == 0)
        {
            return i + 1;
        }
    }

    return 0;
}


static const char *
ngx_http_stoa_policy_opa_value(stoa_buf_t *b, const stoa_json_val_t *val)
{
    char    text[NGX_HTTP_STOA_OPA_HEADER];
    size_t  len, k;

    if (val->type != STOA_JSON_STRING
        || val->end - val->start > NGX_HTTP_STOA_OPA_HEADER)
    {
        return "a decision with a header that is no text, or too long";
    }

    len = stoa_json_unescape(val, text);

    for (k = 0; k < len; k++) {
        if ((u_char) text[k] < ' ' || text[k] == 0x7f) {
            return "a decision with a control character in a header";
        }
    }

    stoa_buf_add(b, text, len);
    stoa_buf_add(b, "", 1);

    return NULL;
}


/* What the client says in the decision's headers goes, whatever it was. */

static ngx_int_t
ngx_http_stoa_policy_opa_upstream(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    u_char                     *p, *last;
    uint32_t                    i;
    ngx_str_t                   value;
    const stoa_ref_t           *refs;
    const stoa_policy_opa_t    *conf;
    ngx_http_stoa_opa_asked_t  *o;

    conf = a->config;

    if (conf->headers_set.n == 0 || a->shadow) {
        return NGX_OK;
    }

    refs = stoa_rec_vec(a->rec, conf->headers_set, stoa_ref_t);
    o = ngx_http_stoa_policy_opa_asked(ctx, a);

    for (i = 0; i < conf->headers_set.n; i++) {
        ngx_http_stoa_policy_headers_take(r, ctx,
                                          stoa_rec_str(a->rec, refs[i]));
    }

    if (o == NULL || o->more.len == 0) {
        return NGX_OK;
    }

    last = o->more.data + o->more.len;

    for (p = o->more.data; p < last; p = value.data + value.len + 1) {
        value.data = p + 1;
        value.len = ngx_strlen(value.data);

        if (ngx_http_stoa_policy_headers_put(r, ctx,
                                          stoa_rec_str(a->rec, refs[*p - 1]),
                                          &value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    (void) ngx_http_stoa_policy_acts(a);

    return NGX_OK;
}


/* reason: NULL or "", none; it is there as long as the request is. */

static ngx_int_t
ngx_http_stoa_policy_opa_judge(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    ngx_http_stoa_opa_says_e says, ngx_str_t *reason)
{
    const stoa_policy_opa_t  *conf;

    conf = a->config;

    if (says == NGX_HTTP_STOA_OPA_ALLOW) {
        return NGX_OK;
    }

    if (says == NGX_HTTP_STOA_OPA_ERROR) {
        if (conf->on_error == STOA_OPA_ALLOW) {
            (void) ngx_http_stoa_policy_acts(a);
            return NGX_OK;
        }

        return ngx_http_stoa_policy_refuse(r, ctx, a, a->refusal + 1);
    }

    return ngx_http_stoa_policy_refuse_text(r, ctx, a, a->refusal,
                                            reason && reason->len ? reason
                                                                  : NULL);
}


/* For the access log: nothing of the input, nor of the reason. */

ngx_int_t
ngx_http_stoa_policy_opa_told(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    ngx_str_t *text)
{
    stoa_buf_t                  b;
    ngx_http_stoa_opa_asked_t  *o;

    static const char *const  says[] = { "none", "deny", "allow" };

    if (ctx->call.opa == NULL) {
        return NGX_DECLINED;
    }

    stoa_buf_init(&b, 65536);

    for (o = ctx->call.opa; o; o = o->next) {
        stoa_buf_addz(&b, b.len ? "," : "[");
        stoa_buf_addf(&b, "{\"path\":\"%.*s\",\"says\":\"%s\","
                      "\"known\":%s,\"shadow\":%s,\"us\":%lu,\"id\":",
                      (int) o->path.len, o->path.data, says[o->says],
                      o->known ? "true" : "false",
                      o->attached->shadow ? "true" : "false",
                      (unsigned long) o->took_us);
        stoa_buf_add_json(&b, (char *) o->id, o->id_len);
        stoa_buf_addz(&b, "}");
    }

    stoa_buf_addz(&b, "]");

    return ngx_http_stoa_ctx_text(r, &b, text);
}
