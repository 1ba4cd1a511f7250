/*
 * A request on its way through nginx's phases, and the edge of REST.
 *
 * Process: configuration in the master, the rest in workers.
 */

#ifndef NGX_HTTP_STOA_REQUEST_H
#define NGX_HTTP_STOA_REQUEST_H


#include "ngx_http_stoa_edge.h"
#include "ngx_http_stoa_counters.h"


extern const ngx_http_stoa_edge_t  ngx_http_stoa_authz_edge;
extern const ngx_http_stoa_edge_t  ngx_http_stoa_rest_edge;
extern const ngx_http_stoa_edge_t  ngx_http_stoa_grpc_edge;
extern const ngx_http_stoa_edge_t  ngx_http_stoa_catalog_edge;
extern const ngx_http_stoa_edge_t  ngx_http_stoa_wellknown_edge;

/* The pipeline (ngx_http_stoa_pipeline.c): NGX_DECLINED = passed; a status;
 * NGX_AGAIN = something will call ngx_http_core_run_phases. */
ngx_int_t ngx_http_stoa_pipeline_handler(ngx_http_request_t *r);
/* The same for a call that is only looked at, as the steps say it;
 * NGX_DECLINED: the location has nothing of ours. */
ngx_int_t ngx_http_stoa_pipeline_look(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* Steps of the pipeline's table; NGX_OK, NGX_AGAIN or a status. */
/* The api whose own path this is, by its name or its base path; NULL: no
 * one's. */
const stoa_rec_api_t *ngx_http_stoa_route_find(ngx_http_request_t *r,
    const ngx_str_t *path, ngx_uint_t *by_name);
ngx_int_t ngx_http_stoa_route(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_int_t ngx_http_stoa_operation(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* What gRPC has from the edge of REST. */
ngx_int_t ngx_http_stoa_rest_resource(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_str_t *path,
    ngx_http_stoa_resource_t *res);
ngx_int_t ngx_http_stoa_rest_forward(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* Messages of gRPC; called in postconfiguration. */
void ngx_http_stoa_grpc_init(void);
/* Header and body filters; called in postconfiguration. */
ngx_int_t ngx_http_stoa_filter_init(ngx_conf_t *cf);
/* For an edge that keeps an answer: the filters behind ours. */
ngx_int_t ngx_http_stoa_filter_next_head(ngx_http_request_t *r);
ngx_int_t ngx_http_stoa_filter_next_body(ngx_http_request_t *r,
    ngx_chain_t *in);
/* The answer begins: one that may last is looked at again (_watch.c). */
ngx_int_t ngx_http_stoa_watch(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* The answer is a tunnel: its frames are looked at (_tunnel.c).  A second has
 * passed, and with why it has to end: 1, it does by itself. */
ngx_int_t ngx_http_stoa_tunnel(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_uint_t ngx_http_stoa_tunnel_look(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const char *why);
/* WWW-Authenticate of a refusal. */
ngx_int_t ngx_http_stoa_unauthorized(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* The call's trace, if it was refused or traced, for stoa_traces. */
void ngx_http_stoa_trace_keep(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_usage_row_t *row);
/* The same in memory of the caller's: what is behind its notes is not set. */
void ngx_http_stoa_trace_fill(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_usage_row_t *row,
    ngx_http_stoa_traced_t *traced);
/* What a location with stoa_authz answers. */
ngx_int_t ngx_http_stoa_authz_content(ngx_http_request_t *r);
/* A call that lasts is counted, with its bytes since it was before. */
void ngx_http_stoa_account_part(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_int_t ngx_http_stoa_account_handler(ngx_http_request_t *r);   /* LOG     */


#endif /* NGX_HTTP_STOA_REQUEST_H */
