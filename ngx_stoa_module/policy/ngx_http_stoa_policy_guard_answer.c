/*
 * guardrail: what answers have in them.
 *
 * The head of the policy notes itself in the call; who reads an answer of MCP
 * asks with each message, before its client gets it.
 *
 * Process: workers.  Lifetime: r->pool.
 */

#include "ngx_http_stoa_guard.h"
#include "ngx_http_stoa_zone.h"
#include "core/stoa_glance.h"


typedef struct ngx_http_stoa_guarding_s  ngx_http_stoa_guarding_t;

struct ngx_http_stoa_guarding_s {
    const ngx_http_stoa_attached_t  *a;
    ngx_http_stoa_guarding_t        *next;
};


static ngx_uint_t ngx_http_stoa_policy_guard_acts(ngx_http_request_t *r,
    const ngx_http_stoa_attached_t *a, unsigned found, ngx_uint_t over,
    const char **words);
static ngx_uint_t ngx_http_stoa_policy_guard_other(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    const stoa_json_val_t *result, const char **words);
static unsigned ngx_http_stoa_policy_guard_part(
    const ngx_http_stoa_attached_t *a, const stoa_json_val_t *part,
    ngx_uint_t *over);


ngx_int_t
ngx_http_stoa_policy_guard_expect(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a)
{
    ngx_http_stoa_guarding_t  *g;

    for (g = ctx->call.guards; g; g = g->next) {
        if (g->a == a) {
            return NGX_OK;
        }
    }

    g = ngx_palloc(r->pool, sizeof(ngx_http_stoa_guarding_t));
    if (g == NULL) {
        return NGX_ERROR;
    }

    g->a = a;
    g->next = ctx->call.guards;
    ctx->call.guards = g;

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_policy_guard_words(ngx_pool_t *pool, unsigned kinds,
    ngx_uint_t over, ngx_str_t *words)
{
    u_char      *p;
    ngx_uint_t   i;

    words->data = ngx_pnalloc(pool, 64 + STOA_GUARD_MAX * 16);
    if (words->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_sprintf(words->data, "%s",
                    over ? "It takes too long to look through"
                         : "There is what is not let through");

    for (i = 0; i < STOA_GUARD_MAX && !over; i++) {
        if (kinds & 1u << i) {
            p = ngx_sprintf(p, "%s %s", kinds & ((1u << i) - 1) ? "," : ":",
                            stoa_guard_name(i));
        }
    }

    *p++ = '.';
    words->len = p - words->data;

    return NGX_OK;
}


void
ngx_http_stoa_policy_guard_count(const unsigned *count)
{
    ngx_uint_t  i;

    for (i = 0; i < STOA_GUARD_MAX; i++) {
        if (count[i]) {
            ngx_http_stoa_count(guard[i], count[i]);
        }
    }
}


/* Of a message what its server says: not its id, by which it is known. */

ngx_uint_t
ngx_http_stoa_policy_guard_message(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const char *data, size_t len,
    const char **words)
{
    unsigned                    found;
    ngx_uint_t                  i, over, refuses;
    stoa_glance_t               g;
    stoa_json_val_t             all, *parts[4];
    ngx_http_stoa_guarding_t   *w;

    if (ctx->call.guards == NULL || len == 0) {
        return 0;
    }

    ngx_memzero(&g, sizeof(g));
    ngx_memzero(&all, sizeof(all));

    if (stoa_glance(data, len, &g) != STOA_OK) {
        ngx_memzero(&g, sizeof(g));
        all.start = data;
        all.end = data + len;
    }

    parts[0] = &g.params;
    parts[1] = &g.result;
    parts[2] = &g.error;
    parts[3] = &all;

    for (w = ctx->call.guards; w; w = w->next) {

        if (w->a->policy->message) {
            refuses = ngx_http_stoa_policy_guard_other(r, ctx, w->a,
                                                       all.start ? NULL
                                                       : &g.result, words);
            if (refuses) {
                return refuses;
            }

            continue;
        }

        found = 0;
        over = 0;

        for (i = 0; i < 4; i++) {
            if (parts[i]->start) {
                found |= ngx_http_stoa_policy_guard_part(w->a, parts[i],
                                                         &over);
            }
        }

        if (found == 0 && !over) {
            continue;
        }

        refuses = ngx_http_stoa_policy_guard_acts(r, w->a, found, over,
                                                  words);
        if (refuses) {
            return refuses;
        }
    }

    return 0;
}


/* Something was found: counts, and says whether the message may go. */

static ngx_uint_t
ngx_http_stoa_policy_guard_acts(ngx_http_request_t *r,
    const ngx_http_stoa_attached_t *a, unsigned found, ngx_uint_t over,
    const char **words)
{
    ngx_str_t                   text;
    ngx_uint_t                  refuses;
    const stoa_policy_guard_t  *conf;

    conf = a->config;
    refuses = over || conf->action == STOA_GUARD_BLOCK;

    if (a->shadow || !refuses) {
        ngx_http_stoa_policy_count(a, !a->shadow
                                   ? NGX_HTTP_STOA_OUTCOME_APPLIED : refuses
                                   ? NGX_HTTP_STOA_OUTCOME_SHADOW_REFUSED
                                   : NGX_HTTP_STOA_OUTCOME_SHADOW_APPLIED);
        return 0;
    }

    ngx_http_stoa_policy_count(a, NGX_HTTP_STOA_OUTCOME_REFUSED);

    *words = "it has what is not let through";

    if (ngx_http_stoa_policy_guard_words(r->pool, found, over, &text)
        == NGX_OK)
    {
        text.data[text.len - 1] = '\0';
        *words = (char *) text.data;
    }

    return a->refusal + NGX_HTTP_STOA_GUARD_ANSWER + 1;
}


/* What another policy says of a result; NULL: it could not be read. */

static ngx_uint_t
ngx_http_stoa_policy_guard_other(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    const stoa_json_val_t *result, const char **words)
{
    const char  *wrong;

    wrong = result == NULL ? "it cannot be read"
            : result->start ? a->policy->message(r, ctx, a, result) : NULL;

    if (wrong == NULL) {
        return 0;
    }

    ngx_http_stoa_policy_count(a, a->shadow
                               ? NGX_HTTP_STOA_OUTCOME_SHADOW_REFUSED
                               : NGX_HTTP_STOA_OUTCOME_REFUSED);
    *words = wrong;

    return a->shadow ? 0 : a->refusal + 1;
}


/* Without memory nothing passes. */

static unsigned
ngx_http_stoa_policy_guard_part(const ngx_http_stoa_attached_t *a,
    const stoa_json_val_t *part, ngx_uint_t *over)
{
    char                         *copy;
    unsigned                      found;
    stoa_guard_look_t             l;
    const stoa_policy_guard_t    *conf;
    const ngx_http_stoa_guard_t  *guard;

    guard = a->state;
    conf = a->config;
    copy = NULL;

    ngx_memzero(&l, sizeof(stoa_guard_look_t));
    l.s = (char *) (uintptr_t) part->start;
    l.len = part->end - part->start;
    l.copy = l.s;
    l.copy_len = l.len;

    l.how = guard->set.decode;

    if (!stoa_guard_plain(l.s, l.len, l.how)) {
        copy = ngx_alloc(l.len, ngx_cycle->log);
        if (copy == NULL) {
            *over = 1;
            return 0;
        }

        l.copy_len = stoa_guard_fold(l.s, l.len, l.how, copy);
        l.copy = copy;
    }

    l.json = true;
    l.masks = conf->action == STOA_GUARD_MASK && !a->shadow;
    l.to = l.copy_len;

    found = stoa_guard_look(&guard->set, &l);
    ngx_http_stoa_policy_guard_count(l.count);
    *over |= l.over;

    if (copy) {
        ngx_free(copy);
    }

    return found;
}
