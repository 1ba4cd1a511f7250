/*
 * user-agent: which clients may call, by what they say that they are.  Schema:
 * core/stoa_policy_agent.h.
 *
 * A name is compared with each place of the header: no more steps than the
 * bytes of both multiplied, whatever is sent.  Process: workers.
 */

#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_refusal.h"
#include "core/stoa_policy_agent.h"


static ngx_int_t ngx_http_stoa_policy_agent_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a);
static ngx_uint_t ngx_http_stoa_policy_agent_denied(const void *rec,
    const stoa_policy_agent_t *conf, ngx_str_t *agent);
static ngx_uint_t ngx_http_stoa_policy_agent_listed(const void *rec,
    const stoa_vec_t *list, ngx_str_t *agent);
static ngx_uint_t ngx_http_stoa_policy_agent_found(stoa_str_t name,
    ngx_str_t *agent);


static const ngx_http_stoa_refusal_t
                           ngx_http_stoa_policy_agent_refusals[] = {
    { ngx_string("user_agent_denied"), 403, ngx_string("Client not allowed"),
      ngx_string("The API does not accept calls from this User-Agent."),
      403 },
    { ngx_null_string, 0, ngx_null_string, ngx_null_string, 0 }
};


const ngx_http_stoa_policy_t  ngx_http_stoa_policy_agent = {
    .name = "user-agent",
    .head = ngx_http_stoa_policy_agent_head,
    .look = 1,
    .refusals = ngx_http_stoa_policy_agent_refusals
};


/* Of several lines each has to pass: who reads which is not known. */

static ngx_int_t
ngx_http_stoa_policy_agent_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    ngx_uint_t                    said, denied;
    ngx_table_elt_t              *h;
    const stoa_policy_agent_t    *conf;
    ngx_http_stoa_header_walk_t   w;

    conf = a->config;
    said = 0;
    denied = 0;

    for (h = ngx_http_stoa_header_first(&w, &r->headers_in.headers.part);
         h && !denied;
         h = ngx_http_stoa_header_next(&w))
    {
        if (h->value.len && ngx_http_stoa_header_is(h, "user-agent")) {
            said = 1;
            denied = ngx_http_stoa_policy_agent_denied(a->rec, conf,
                                                       &h->value);
        }
    }

    if (!denied && (said || conf->empty)) {
        return NGX_OK;
    }

    return ngx_http_stoa_policy_refuse(r, ctx, a, a->refusal);
}


static ngx_uint_t
ngx_http_stoa_policy_agent_denied(const void *rec,
    const stoa_policy_agent_t *conf, ngx_str_t *agent)
{
    return agent->len > STOA_AGENT_MAX
           || ngx_http_stoa_policy_agent_listed(rec, &conf->deny, agent)
           || (conf->allow.n
               && !ngx_http_stoa_policy_agent_listed(rec, &conf->allow,
                                                     agent));
}


static ngx_uint_t
ngx_http_stoa_policy_agent_listed(const void *rec, const stoa_vec_t *list,
    ngx_str_t *agent)
{
    uint32_t           i;
    const stoa_ref_t  *ref;

    ref = stoa_rec_vec(rec, *list, stoa_ref_t);

    for (i = 0; i < list->n; i++) {
        if (ngx_http_stoa_policy_agent_found(stoa_rec_str(rec, ref[i]),
                                             agent))
        {
            return 1;
        }
    }

    return 0;
}


#define word(ch)                                                              \
    (((ch) >= '0' && (ch) <= '9') || (((ch) | 0x20) >= 'a'                    \
                                      && ((ch) | 0x20) <= 'z'))

static ngx_uint_t
ngx_http_stoa_policy_agent_found(stoa_str_t name, ngx_str_t *agent)
{
    size_t   i, n;
    u_char  *p, *s, first;

    s = (u_char *) name.data;
    n = name.len;

    if (s[0] == '*') {
        s++;
        n--;
    }

    if (s[n - 1] == '*') {
        n--;
    }

    first = ngx_tolower(s[0]);
    p = agent->data;

    for (i = 0; i + n <= agent->len; i++) {
        if (ngx_tolower(p[i]) == first
            && ngx_strncasecmp(p + i, s, n) == 0
            && (i == 0 || name.data[0] == '*' || !word(s[0])
                || !word(p[i - 1]))
            && (i + n == agent->len || name.data[name.len - 1] == '*'
                || !word(s[n - 1]) || !word(p[i + n])))
        {
            return 1;
        }
    }

    return 0;
}
