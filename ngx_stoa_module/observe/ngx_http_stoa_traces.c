/*
 * stoa_traces: what the last calls were asked and what each said, as JSON, or
 * as a stream of events for who asks for one (it ends with what there is; an
 * EventSource comes back by itself, and goes on behind the last id).
 */

#include "ngx_http_stoa_observe.h"
#include "ngx_http_stoa_chain.h"
#include "ngx_http_stoa_edge.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_store.h"
#include "ngx_http_stoa_zone.h"
#include "core/stoa_json.h"
#include "core/stoa_policy.h"


#define TRACES_BYTES  (4 * 1024 * 1024)
#define TRACES_MAX    256

/* Who reads one. */
#define NGX_HTTP_STOA_TRACES_STRANGER   1
#define NGX_HTTP_STOA_TRACES_CALLER     2
#define NGX_HTTP_STOA_TRACES_PUBLISHER  4
#define NGX_HTTP_STOA_TRACES_ALL        8


typedef struct {
    ngx_http_stoa_trace_query_t  query;
    stoa_id_t                    tenant;
    ngx_uint_t                   events;
} ngx_http_stoa_traces_ask_t;


static ngx_int_t ngx_http_stoa_traces_ask(ngx_http_request_t *r,
    ngx_http_stoa_main_conf_t *mcf, ngx_http_stoa_traces_ask_t *ask);
static ngx_uint_t ngx_http_stoa_traces_side(
    const ngx_http_stoa_traced_t *traced, const stoa_id_t *reader);
static void ngx_http_stoa_traces_id(stoa_buf_t *b, const char *member,
    const stoa_id_t *id);
static void ngx_http_stoa_traces_name(const ngx_http_stoa_traced_t *traced,
    stoa_buf_t *b, const char *member, ngx_uint_t at);
static void ngx_http_stoa_traces_steps(ngx_http_stoa_main_conf_t *mcf,
    const ngx_http_stoa_traced_t *traced, ngx_uint_t side,
    const ngx_http_stoa_seen_t *seen, stoa_buf_t *b);
static const char *ngx_http_stoa_traces_step(ngx_http_stoa_main_conf_t *mcf,
    const ngx_http_stoa_traced_t *traced, ngx_uint_t step);
static void ngx_http_stoa_traces_note(ngx_http_stoa_main_conf_t *mcf,
    const ngx_http_stoa_traced_t *traced,
    const ngx_http_stoa_traced_note_t *note, ngx_uint_t side,
    const ngx_http_stoa_looked_t *looked, stoa_buf_t *b);
static void ngx_http_stoa_traces_looked(const ngx_http_stoa_looked_t *looked,
    stoa_buf_t *b);
static void ngx_http_stoa_traces_limits(const ngx_http_stoa_traced_t *traced,
    stoa_buf_t *b);


/* In the order of ngx_http_stoa_traced_e. */

static const char *const  ngx_http_stoa_traces_members[] = {
    "method", "host", "path", "tenant", "api", "tool", "consumer",
    "application", "plan", "target", "detail"
};

/* In the order of ngx_http_stoa_seen_e. */

static const char *const  ngx_http_stoa_traces_verdicts[] = {
    "none", "allowed", "refused", "answered", "unknown"
};

#define S  NGX_HTTP_STOA_TRACES_STRANGER
#define C  NGX_HTTP_STOA_TRACES_CALLER
#define P  NGX_HTTP_STOA_TRACES_PUBLISHER
#define A  NGX_HTTP_STOA_TRACES_ALL

static const ngx_uint_t  ngx_http_stoa_traces_shown[] = {
    S|C|P|A, S|C|P|A, S|C|P|A, C|P|A, C|P|A, C|P|A, S|C|P|A,
    S|C|P|A, C|P|A, P|A, C|P|A
};

#undef S
#undef C
#undef P
#undef A


ngx_int_t
ngx_http_stoa_traces_handler(ngx_http_request_t *r)
{
    ngx_int_t                    rc;
    ngx_uint_t                   n;
    stoa_buf_t                   b;
    ngx_http_stoa_traced_t       traced;
    ngx_http_stoa_main_conf_t   *mcf;
    ngx_http_stoa_traces_ask_t   ask;

    rc = ngx_http_stoa_status_enter(r);
    if (rc != NGX_OK) {
        return rc;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    ngx_memzero(&ask, sizeof(ngx_http_stoa_traces_ask_t));

    rc = ngx_http_stoa_traces_ask(r, mcf, &ask);
    if (rc != NGX_OK) {
        return rc;
    }

    stoa_buf_init(&b, TRACES_BYTES);
    stoa_buf_addz(&b, ask.events ? "retry: 500\n\n" : "{\"items\":[");

    for (n = 0;
         n < TRACES_MAX
         && ngx_http_stoa_trace_next(mcf->sh, &ask.query, &traced);
         n++)
    {
        ask.query.after = traced.number;

        if (ask.events) {
            stoa_buf_addf(&b, "id: %llu\ndata: ",
                          (unsigned long long) traced.number);

        } else if (n) {
            stoa_buf_addz(&b, ",");
        }

        ngx_http_stoa_traces_one(mcf, &traced, NULL, NULL, &b);
        stoa_buf_addz(&b, ask.events ? "\n\n" : "");
    }

    if (n == 0 && ask.query.id.len) {
        stoa_buf_free(&b);
        return NGX_HTTP_NOT_FOUND;
    }

    if (!ask.events) {
        stoa_buf_addf(&b, "],\"next\":%llu}\n",
                      (unsigned long long) ask.query.after);
    }

    return ngx_http_stoa_status_send(r, NGX_HTTP_OK,
                                     ask.events ? "text/event-stream"
                                                : "application/json", &b);
}


/* ?request_id=&tenant=NAME&after=NUMBER, and the headers of an EventSource */

static ngx_int_t
ngx_http_stoa_traces_ask(ngx_http_request_t *r,
    ngx_http_stoa_main_conf_t *mcf, ngx_http_stoa_traces_ask_t *ask)
{
    ngx_int_t                     n;
    ngx_str_t                     after, tenant;
    ngx_table_elt_t              *h;
    const stoa_rec_tenant_t      *rec;
    ngx_http_stoa_header_walk_t   w;

    ngx_str_null(&after);

    for (h = ngx_http_stoa_header_first(&w, &r->headers_in.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (ngx_http_stoa_header_is(h, "accept")) {
            ask->events = ngx_http_stoa_header_events(&h->value);

        } else if (ngx_http_stoa_header_is(h, "last-event-id")) {
            after = h->value;
        }
    }

    (void) ngx_http_arg(r, (u_char *) "request_id", 10, &ask->query.id);

    if (after.len == 0) {
        (void) ngx_http_arg(r, (u_char *) "after", 5, &after);
    }

    if (after.len) {
        n = ngx_atoi(after.data, after.len);
        if (n == NGX_ERROR) {
            return NGX_HTTP_BAD_REQUEST;
        }

        ask->query.after = n;
    }

    if (ngx_http_arg(r, (u_char *) "tenant", 6, &tenant) != NGX_OK) {
        return NGX_OK;
    }

    rec = ngx_http_stoa_store_enter(mcf->store) == NGX_OK
          ? ngx_http_stoa_store_tenant_by_name(mcf->store,
                                               (char *) tenant.data,
                                               tenant.len)
          : NULL;

    if (rec == NULL) {
        return NGX_HTTP_NOT_FOUND;
    }

    ask->tenant = rec->id;
    ask->query.tenant = &ask->tenant;

    return NGX_OK;
}


/* Who calls another tenant's api is told what its answers tell, and which
 * kind of rule it was; how the other has it is the other's. */

static ngx_uint_t
ngx_http_stoa_traces_side(const ngx_http_stoa_traced_t *traced,
    const stoa_id_t *reader)
{
    if (reader == NULL
        || (ngx_memcmp(reader, &traced->tenant, sizeof(stoa_id_t)) == 0
            && ngx_memcmp(reader, &traced->consumer, sizeof(stoa_id_t)) == 0))
    {
        return NGX_HTTP_STOA_TRACES_ALL;
    }

    if (ngx_memcmp(reader, &traced->tenant, sizeof(stoa_id_t)) == 0) {
        return NGX_HTTP_STOA_TRACES_PUBLISHER;
    }

    /* what is not there for him is not told of here either */

    return traced->status == NGX_HTTP_NOT_FOUND ? NGX_HTTP_STOA_TRACES_STRANGER
                                                : NGX_HTTP_STOA_TRACES_CALLER;
}


void
ngx_http_stoa_traces_one(ngx_http_stoa_main_conf_t *mcf,
    const ngx_http_stoa_traced_t *traced, const stoa_id_t *reader,
    const ngx_http_stoa_seen_t *seen, stoa_buf_t *b)
{
    ngx_uint_t  i, side;

    side = ngx_http_stoa_traces_side(traced, reader);

    if (seen) {
        stoa_buf_addf(b, "{\"verdict\":\"%s\"",
                      ngx_http_stoa_traces_verdicts[seen->verdict]);

    } else {
        stoa_buf_addz(b, "{\"request_id\":");
        stoa_buf_add_json(b, (const char *) traced->id, traced->id_len);
        stoa_buf_addf(b, ",\"latency_us\":%llu,\"sampled\":%s",
                      (unsigned long long) traced->latency_us,
                      traced->sampled ? "true" : "false");
    }

    stoa_buf_addf(b, ",\"at_ms\":%llu,\"revision\":%llu",
                  (unsigned long long) traced->at_ms,
                  (unsigned long long) traced->revision);

    if (traced->status || seen == NULL) {
        stoa_buf_addf(b, ",\"status\":%u", (unsigned) traced->status);
    }

    if (traced->refused) {
        stoa_buf_addz(b, ",\"code\":");
        stoa_buf_add_json(b, (char *) ngx_http_stoa_refusals[
                                              traced->refused - 1].code.data,
                          ngx_http_stoa_refusals[
                                              traced->refused - 1].code.len);
    }

    if (traced->edge) {
        stoa_buf_addz(b, ",\"edge\":");
        stoa_buf_add_json(b, (char *) mcf->edges[traced->edge - 1]->name.data,
                          mcf->edges[traced->edge - 1]->name.len);
    }

    for (i = 0; i < NGX_HTTP_STOA_TRACED_NAMES; i++) {
        if (ngx_http_stoa_traces_shown[i] & side) {
            ngx_http_stoa_traces_name(traced, b,
                                      ngx_http_stoa_traces_members[i],
                                      traced->names[i]);
        }
    }

    if (side != NGX_HTTP_STOA_TRACES_PUBLISHER) {
        ngx_http_stoa_traces_id(b, "credential", &traced->credential);
    }

    if (side == NGX_HTTP_STOA_TRACES_STRANGER) {
        stoa_buf_addz(b, ",\"steps\":[]}");
        return;
    }

    ngx_http_stoa_traces_id(b, "operation", &traced->operation);
    ngx_http_stoa_traces_id(b, "subscription", &traced->subscription);
    ngx_http_stoa_traces_limits(traced, b);
    ngx_http_stoa_traces_steps(mcf, traced, side, seen, b);
    stoa_buf_addz(b, "}");
}


static void
ngx_http_stoa_traces_id(stoa_buf_t *b, const char *member,
    const stoa_id_t *id)
{
    if (id->c[0]) {
        stoa_buf_addf(b, ",\"%s\":\"%.16s\"", member, id->c);
    }
}


/* Paths have been unescaped, names may have been cut in a character: what is
 * no text would be no answer to the control plane, and would take those to
 * others with it. */

static void
ngx_http_stoa_traces_name(const ngx_http_stoa_traced_t *traced,
    stoa_buf_t *b, const char *member, ngx_uint_t at)
{
    u_char         text[256];
    size_t         n;
    u_char        *dst;
    const u_char  *p, *last;

    if (at == 0) {
        return;
    }

    p = &traced->text[at + 1];
    last = p + traced->text[at];

    for (dst = text; p < last; p += n) {
        n = *p < 0x80 ? *p != 0x7f
                      : stoa_utf8_char((char *) p, (char *) last);

        if (n == 0) {
            *dst++ = '?';
            n = 1;

        } else {
            dst = ngx_cpymem(dst, p, n);
        }
    }

    stoa_buf_addf(b, ",\"%s\":", member);
    stoa_buf_add_json(b, (char *) text, dst - text);
}


/* Of a plan, with what was left of them; `retry_ms`: of the one that
 * refused. */

static void
ngx_http_stoa_traces_limits(const ngx_http_stoa_traced_t *traced,
    stoa_buf_t *b)
{
    ngx_uint_t                           i, n;
    const ngx_http_stoa_traced_limit_t  *l;

    for (i = 0, n = 0; i < 4; i++) {
        l = &traced->limit[i];

        if (l->limit == 0) {
            continue;
        }

        stoa_buf_addz(b, n++ ? "," : ",\"limits\":[");
        stoa_buf_addz(b, "{\"limit\":");
        stoa_buf_add_json(b, (char *) ngx_http_stoa_limit_names[i].data,
                          ngx_http_stoa_limit_names[i].len);
        stoa_buf_addf(b, ",\"of\":%llu,\"left\":%llu,\"reset_ms\":%llu,"
                      "\"refused\":%s", (unsigned long long) l->limit,
                      (unsigned long long) l->left,
                      (unsigned long long) l->reset_ms,
                      traced->over == i + 1 ? "true" : "false");

        if (traced->over == i + 1) {
            stoa_buf_addf(b, ",\"retry_ms\":%llu",
                          (unsigned long long) traced->retry_ms);
        }

        stoa_buf_addz(b, "}");
    }

    stoa_buf_addz(b, n ? "]" : "");
}


/* Without notes: all steps before the last one have said yes. */

static void
ngx_http_stoa_traces_steps(ngx_http_stoa_main_conf_t *mcf,
    const ngx_http_stoa_traced_t *traced, ngx_uint_t side,
    const ngx_http_stoa_seen_t *seen, stoa_buf_t *b)
{
    ngx_uint_t   i, n;
    const char  *name;

    stoa_buf_addz(b, ",\"steps\":[");
    n = 0;

    for (i = 0; !traced->sampled && i < traced->step; i++) {
        name = ngx_http_stoa_traces_step(mcf, traced, i);
        stoa_buf_addf(b, "%s{\"step\":\"%s\",\"verdict\":\"ok\"}",
                      n++ ? "," : "", name);
    }

    for (i = 0; i < traced->n; i++) {
        stoa_buf_addz(b, n++ ? "," : "");
        ngx_http_stoa_traces_note(mcf, traced, &traced->note[i], side,
                                  seen ? &seen->look.note[i] : NULL, b);
    }

    if (traced->passed || (!traced->sampled && traced->n == 0)) {
        name = traced->passed ? "upstream"
               : ngx_http_stoa_traces_step(mcf, traced, traced->step);
        stoa_buf_addf(b, "%s{\"step\":\"%s\",\"verdict\":\"%s\"",
                      n ? "," : "", name, traced->refused ? "refused" : "ok");

        if (traced->passed && side != NGX_HTTP_STOA_TRACES_CALLER) {
            ngx_http_stoa_traces_name(traced, b, "target",
                           traced->names[NGX_HTTP_STOA_TRACED_TARGET]);
        }

        stoa_buf_addz(b, "}");
    }

    stoa_buf_addf(b, "],\"cut\":%u", (unsigned) traced->lost);
}


static const char *
ngx_http_stoa_traces_step(ngx_http_stoa_main_conf_t *mcf,
    const ngx_http_stoa_traced_t *traced, ngx_uint_t step)
{
    ngx_uint_t                   i;
    const ngx_http_stoa_step_t  *steps;

    if (traced->edge == 0) {
        return "route";
    }

    steps = mcf->edges[traced->edge - 1]->steps;

    for (i = 0; i < step && steps[i].run; i++) { /* void */ }

    return steps[i].run ? steps[i].name : "answer";
}


static void
ngx_http_stoa_traces_note(ngx_http_stoa_main_conf_t *mcf,
    const ngx_http_stoa_traced_t *traced,
    const ngx_http_stoa_traced_note_t *note, ngx_uint_t side,
    const ngx_http_stoa_looked_t *looked, stoa_buf_t *b)
{
    ngx_uint_t  own;

    own = side != NGX_HTTP_STOA_TRACES_CALLER;

    stoa_buf_addf(b, "{\"step\":\"%s\"",
                  ngx_http_stoa_traces_step(mcf, traced, note->step));

    if (note->policy) {
        stoa_buf_addf(b, ",\"type\":\"%s\"",
                      mcf->policies->type[note->policy - 1]->name);
        ngx_http_stoa_traces_name(traced, b, "policy", own ? note->name : 0);

        if (note->scope) {
            stoa_buf_addf(b, ",\"scope\":\"%s\"",
                          stoa_scope_name(note->scope - 1));
        }

        stoa_buf_addf(b, ",\"from\":\"%s\"", note->kind
                      ? stoa_rec_kind_name(note->kind) : "default");

        if (note->kind && own) {
            ngx_http_stoa_traces_id(b, "id", &note->record);
        }

        stoa_buf_addz(b, note->shadow ? ",\"shadow\":true" : "");
    }

    stoa_buf_addf(b, ",\"verdict\":\"%s\"",
                  looked && looked->blind ? "not_judged"
                  : note->shadow == 2 ? "would_refuse"
                  : note->rc >= NGX_HTTP_BAD_REQUEST ? "refused"
                  : note->rc == NGX_OK || note->rc == NGX_DONE ? "ok"
                  : note->rc < 0 ? "failed" : "answered");

    if (looked && (own || note->kind == STOA_REC_PLAN || looked->blind)) {
        ngx_http_stoa_traces_looked(looked, b);
    }

    if (note->us != UINT32_MAX && (looked == NULL || looked->blind == NULL)) {
        stoa_buf_addf(b, ",\"us\":%u.%u", note->us / 10, note->us % 10);
    }

    stoa_buf_addz(b, "}");
}


static void
ngx_http_stoa_traces_looked(const ngx_http_stoa_looked_t *looked,
    stoa_buf_t *b)
{
    if (looked->blind) {
        stoa_buf_addz(b, ",\"why\":");
        stoa_buf_add_json(b, looked->blind, strlen(looked->blind));
    }

    if (looked->v.limit) {
        stoa_buf_addf(b, ",\"of\":%llu,\"left\":%llu,\"reset_ms\":%llu",
                      (unsigned long long) looked->v.limit,
                      (unsigned long long) looked->v.remaining,
                      (unsigned long long) looked->v.reset_ms);
    }

    if (looked->v.retry_ms) {
        stoa_buf_addf(b, ",\"retry_ms\":%llu",
                      (unsigned long long) looked->v.retry_ms);
    }
}
