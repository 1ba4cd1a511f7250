/*
 * What is asked of each call: the policies that are attached to what it is of,
 * and what fields of its api and its plan ask for.
 *
 * A policy is one file ngx_http_stoa_policy_<name>.c, a row in
 * ngx_http_stoa_module.c, and its schema in core/.
 *
 * Process: workers.  Each returns NGX_OK, a status, or NGX_ERROR.
 */

#ifndef NGX_HTTP_STOA_POLICY_H
#define NGX_HTTP_STOA_POLICY_H


#include "ngx_http_stoa_chain.h"


/* Steps of all edges: what is asked before it is known who calls; who it is;
 * by which subscription, of call.subscribed; and what is asked when everything
 * is known of the call, his plan's limits too. */
ngx_int_t ngx_http_stoa_policy_admit(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_int_t ngx_http_stoa_policy_authn(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_int_t ngx_http_stoa_policy_access(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_int_t ngx_http_stoa_policy_judge(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);

/* The same: the call has what its upstream wants, in call.credential
 * (_credential.c). */
ngx_int_t ngx_http_stoa_credential_step(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);

/* The request's headers are made, the answer's are. */
ngx_int_t ngx_http_stoa_policy_upstream(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_int_t ngx_http_stoa_policy_response(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);


/* May a call that lasts go on, by what is attached now?  And what is made for
 * its caller at another api? */
ngx_uint_t ngx_http_stoa_policy_still(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_uint_t ngx_http_stoa_policy_still_api(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_id_t *api);


/* Is the call of the kind that it is attached to? */
ngx_uint_t ngx_http_stoa_policy_applies(ngx_http_stoa_ctx_t *ctx,
    ngx_uint_t from, const ngx_http_stoa_attached_t *a);

/* For policies.  Counts that one did something; 0: it is a shadow, and does
 * not. */
ngx_uint_t ngx_http_stoa_policy_acts(const ngx_http_stoa_attached_t *a);
void ngx_http_stoa_policy_count(const ngx_http_stoa_attached_t *a,
    ngx_http_stoa_outcome_e outcome);
/* Refuses with a row of the refusals, or, a shadow, counts: NGX_OK.  And with
 * other words than the row's; NULL: the row's. */
ngx_int_t ngx_http_stoa_policy_refuse(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    ngx_uint_t what);
ngx_int_t ngx_http_stoa_policy_refuse_text(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    ngx_uint_t what, ngx_str_t *detail);

/* The first one in force that works only on the way to the upstream and back;
 * NULL: there is none.  All chains of the call are known. */
const ngx_http_stoa_attached_t *ngx_http_stoa_policy_on_way(
    ngx_http_stoa_ctx_t *ctx);
/* The same of one that looks into answers. */
const ngx_http_stoa_attached_t *ngx_http_stoa_policy_reads_answer(
    ngx_http_stoa_ctx_t *ctx);

extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_agent;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_approval;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_bandwidth;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_body;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_certificate;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_cors;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_cost;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_credential;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_guard;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_headers;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_ip;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_json;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_locations;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_maintenance;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_opa;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_openapi;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_output;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_publisher;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_respond;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_result;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_rewrite;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_schema;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_signature;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_shape;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_token;
extern const ngx_http_stoa_policy_t  ngx_http_stoa_policy_transform;


/* ---- ngx_http_stoa_policy_approval.c ------------------------------------ */

/* Its refusals, from call.approval->refusal on. */

typedef enum {
    NGX_HTTP_STOA_APPROVAL_REQUIRED = 0,
    NGX_HTTP_STOA_APPROVAL_DENIED,
    NGX_HTTP_STOA_APPROVAL_FULL,
    NGX_HTTP_STOA_APPROVAL_UNAVAILABLE
} ngx_http_stoa_approval_e;

/* Is one in force among the policies of a record; of the call so far? */
ngx_uint_t ngx_http_stoa_policy_approval_rules(const void *rec,
    const stoa_vec_t *policies);
ngx_uint_t ngx_http_stoa_policy_approval_ruled(ngx_http_stoa_ctx_t *ctx);


/* ---- ngx_http_stoa_policy_content.c ------------------------------------- */

/* Does the Content-Type say so?  Of several one is enough, or each has to. */
ngx_uint_t ngx_http_stoa_policy_content_json(ngx_http_request_t *r,
    ngx_uint_t all);

/* The body, of max bytes at most, for a policy of a turn that may wait; with
 * others one that is no JSON by its type is not read.  NGX_DECLINED: there is
 * nothing to judge; NGX_AGAIN, a status. */
ngx_int_t ngx_http_stoa_policy_content(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a, size_t max,
    ngx_uint_t others, ngx_str_t *body);
/* What of it is the call's own, as the edge's content(). */
ngx_int_t ngx_http_stoa_policy_content_own(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_str_t *body);
/* Refuses by the first of its rows, and says what is wrong. */
ngx_int_t ngx_http_stoa_policy_refuse_error(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    const stoa_err_t *err);
/* The same of something that is called otherwise: a literal. */
ngx_int_t ngx_http_stoa_policy_refuse_what(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    const stoa_err_t *err, const char *what);
/* And by another row of its. */
ngx_int_t ngx_http_stoa_policy_refuse_row(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_attached_t *a,
    ngx_uint_t row, const stoa_err_t *err, const char *what);


/* ---- ngx_http_stoa_policy_guard_answer.c -------------------------------- */

/* Looks through a message for the client, whose bytes are masked where they
 * lie.  Not 0: it may not go; the refusal + 1, and words on it. */
ngx_uint_t ngx_http_stoa_policy_guard_message(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const char *data, size_t len,
    const char **words);


/* ---- ngx_http_stoa_policy_headers.c ------------------------------------- */

/* In the request that the upstream gets: all of a name are taken out; one is
 * put in.  What a protocol says itself stays. */
void ngx_http_stoa_policy_headers_take(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, stoa_str_t name);
ngx_int_t ngx_http_stoa_policy_headers_put(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, stoa_str_t name, const ngx_str_t *value);
/* What a variable of a value is (stoa_var_e). */
ngx_str_t ngx_http_stoa_policy_headers_var(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, int var);


/* ---- ngx_http_stoa_policy_ip.c ------------------------------------------ */

/* Is the client's address in a list of the record? */
ngx_uint_t ngx_http_stoa_policy_ip_in(ngx_http_request_t *r, const void *rec,
    const stoa_vec_t *list);


/* ---- ngx_http_stoa_policy_opa.c ----------------------------------------- */

/* What was decided of the call, as JSON.  NGX_DECLINED: nobody was asked. */
ngx_int_t ngx_http_stoa_policy_opa_told(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_str_t *text);


/* ---- ngx_http_stoa_policy_opa_list.c ------------------------------------ */

/* Is there a policy of a record that says what lists show; of the endpoint? */
ngx_uint_t ngx_http_stoa_policy_opa_lists(const void *rec,
    const stoa_vec_t *policies);
ngx_uint_t ngx_http_stoa_policy_opa_ruled(ngx_http_stoa_ctx_t *ctx);

typedef struct {
    const stoa_rec_api_t  *api;                /* both are read where it is  */
    stoa_str_t             name;               /* begun; NULL: it is gone    */
} ngx_http_stoa_opa_item_t;

typedef struct {
    const char                *kind;           /* tools, prompts, ...        */
    ngx_uint_t                 n;
    ngx_http_stoa_opa_item_t  *items;
    u_char                    *hidden;         /* one for each: not shown    */
    ngx_uint_t                 begun;          /* unsigned                   */
} ngx_http_stoa_opa_list_t;

/* Asks which of a list the caller sees, the list in r->pool.  NGX_AGAIN: to be
 * called again. */
ngx_int_t ngx_http_stoa_policy_opa_show(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_opa_list_t *list);


/* ---- ngx_http_stoa_policy_result.c -------------------------------------- */

/* How long an answer may be. */
uint64_t ngx_http_stoa_policy_result_max(ngx_http_stoa_ctx_t *ctx);
/* Is an answer of n bytes longer?  Counts it; NULL: no, else words on it. */
const char *ngx_http_stoa_policy_result_over(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, uint64_t n);
ngx_int_t ngx_http_stoa_policy_result_refuse(ngx_http_request_t *r,
    const char *words);


/* ---- ngx_http_stoa_policy_schema.c -------------------------------------- */

/* A schema that was taken, compiled; NULL without memory. */
void *ngx_http_stoa_policy_schema_compiled(ngx_pool_t *pool,
    stoa_str_t text);
/* A text by that.  STOA_DECLINED: err says why it does not fit. */
stoa_rc_t ngx_http_stoa_policy_schema_judge(const void *schema,
    const ngx_str_t *body, stoa_err_t *err);


/* ---- ngx_http_stoa_policy_shape.c --------------------------------------- */

/* A part of a query as a form is decoded; a "%" that escapes nothing stays.
 * dst NULL: only how long it is. */
size_t ngx_http_stoa_policy_shape_decode(u_char *dst, u_char *p,
    u_char *last);
/* Has the request a body, of any length? */
ngx_uint_t ngx_http_stoa_policy_shape_body(ngx_http_request_t *r);


/* ---- ngx_http_stoa_policy_token.c --------------------------------------- */

/* All scopes that the call is asked for, with blanks between.  NGX_DECLINED:
 * none. */
ngx_int_t ngx_http_stoa_policy_token_scopes(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_str_t *value);
/* Is a rule among the policies of a record; of the call's endpoint? */
ngx_uint_t ngx_http_stoa_policy_token_rules(const void *rec,
    const stoa_vec_t *policies);
ngx_uint_t ngx_http_stoa_policy_token_ruled(ngx_http_stoa_ctx_t *ctx);
/* May a list of the endpoint show the caller what this api calls so? */
ngx_uint_t ngx_http_stoa_policy_token_shows(ngx_http_stoa_ctx_t *ctx,
    const stoa_rec_api_t *api, stoa_str_t name);


/* Refuses a body that is longer, now or while nginx reads it. */
ngx_int_t ngx_http_stoa_policy_body_limit(ngx_http_request_t *r,
    uint64_t max);


#endif /* NGX_HTTP_STOA_POLICY_H */
