/*
 * What an operator asks: status, metrics, variables.
 *
 * Process: configuration in the master, the rest in workers.
 */

#ifndef NGX_HTTP_STOA_OBSERVE_H
#define NGX_HTTP_STOA_OBSERVE_H


#include "ngx_http_stoa.h"
#include "ngx_http_stoa_asked.h"
#include "ngx_http_stoa_zone.h"
#include "core/stoa_json.h"


ngx_int_t ngx_http_stoa_variables_add(ngx_conf_t *cf);

/* The content handlers of stoa_status, stoa_metrics, stoa_ready,
 * stoa_traces. */
ngx_int_t ngx_http_stoa_status_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_stoa_metrics_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_stoa_ready_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_stoa_traces_handler(ngx_http_request_t *r);

/* A trace as JSON, for this tenant; NULL: for the operator.  seen: of a call
 * that was only looked at, else NULL. */
void ngx_http_stoa_traces_one(ngx_http_stoa_main_conf_t *mcf,
    const ngx_http_stoa_traced_t *traced, const stoa_id_t *reader,
    const ngx_http_stoa_seen_t *seen, stoa_buf_t *b);

/* ngx_http_stoa_explain.c: what would become of a call, as this tenant may
 * know it; nothing: what is asked is not understood. */
void ngx_http_stoa_explain(ngx_http_stoa_main_conf_t *mcf, ngx_log_t *log,
    const stoa_id_t *tenant, const stoa_json_val_t *asked, stoa_buf_t *b);

/* ngx_http_stoa_follow.c: what has come since somebody looked last. */
void ngx_http_stoa_follow(ngx_http_stoa_main_conf_t *mcf,
    const stoa_id_t *tenant, const stoa_json_val_t *asked, stoa_buf_t *b);

/* ngx_http_stoa_questions.c: of worker 0, what the control plane asks. */
void ngx_http_stoa_questions_start(ngx_http_stoa_main_conf_t *mcf,
    ngx_log_t *log);

/* stoa_api_requests_total: max apis by name. */
void ngx_http_stoa_metrics_apis(ngx_http_stoa_main_conf_t *mcf,
    ngx_uint_t max, stoa_buf_t *b);

/* ngx_http_stoa_targets.c: "targets" of the status, after
 * ngx_http_stoa_store_enter(); stoa_target_up, or stoa_target_open. */
void ngx_http_stoa_targets_status(ngx_http_stoa_main_conf_t *mcf,
    stoa_buf_t *b);
void ngx_http_stoa_targets_metrics(ngx_http_stoa_main_conf_t *mcf,
    ngx_uint_t breaker, stoa_buf_t *b);
/* stoa_group_requests_total */
void ngx_http_stoa_targets_groups(ngx_http_stoa_main_conf_t *mcf,
    stoa_buf_t *b);

/* How they begin: NGX_OK, or what they return. */
ngx_int_t ngx_http_stoa_status_enter(ngx_http_request_t *r);

/* Sends a growing buffer, which it frees. */
ngx_int_t ngx_http_stoa_status_send(ngx_http_request_t *r, ngx_uint_t status,
    const char *type, stoa_buf_t *b);


#endif /* NGX_HTTP_STOA_OBSERVE_H */
