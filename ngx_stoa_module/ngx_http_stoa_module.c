/*
 * The module: its directives, its place in nginx's phases, its life in each
 * process.
 */

#include "ngx_http_stoa_observe.h"
#include "ngx_http_stoa_conf.h"
#include "ngx_http_stoa_mcp.h"
#include "ngx_http_stoa_request.h"
#include "ngx_http_stoa_limits.h"
#include "ngx_http_stoa_lease.h"
#include "ngx_http_stoa_policy.h"
#include "ngx_http_stoa_cache.h"
#include "ngx_http_stoa_repeat.h"
#include "ngx_http_stoa_upstream.h"
#include "ngx_http_stoa_fetch.h"
#include "ngx_http_stoa_door.h"
#include "ngx_http_stoa_local.h"
#include "ngx_http_stoa_link.h"
#include "ngx_http_stoa_modern.h"
#include "ngx_http_stoa_conceal.h"
#include "ngx_http_stoa_sync.h"
#include "ngx_http_stoa_auth.h"
#include "ngx_http_stoa_token.h"


static ngx_int_t ngx_http_stoa_preconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_stoa_postconfiguration(ngx_conf_t *cf);
static ngx_int_t ngx_http_stoa_init_process(ngx_cycle_t *cycle);
static void ngx_http_stoa_exit_process(ngx_cycle_t *cycle);


/* In the order in which they are asked. */

static const ngx_http_stoa_edge_t  *const ngx_http_stoa_edges[] = {
    &ngx_http_stoa_authz_edge,
    &ngx_http_stoa_mcp_edge,
    &ngx_http_stoa_wellknown_edge,
    &ngx_http_stoa_catalog_edge,
    &ngx_http_stoa_grpc_edge,
    &ngx_http_stoa_rest_edge,
    NULL
};


/* One for each type of core/stoa_policy.c. */

static const ngx_http_stoa_policy_t  *const ngx_http_stoa_policies[] = {
    &ngx_http_stoa_policy_agent,
    &ngx_http_stoa_policy_approval,
    &ngx_http_stoa_policy_bandwidth,
    &ngx_http_stoa_policy_body,
    &ngx_http_stoa_policy_token,
    &ngx_http_stoa_policy_signature,
    &ngx_http_stoa_policy_concurrency,
    &ngx_http_stoa_policy_cors,
    &ngx_http_stoa_policy_cost,
    &ngx_http_stoa_policy_credential,
    &ngx_http_stoa_policy_certificate,
    &ngx_http_stoa_policy_headers,
    &ngx_http_stoa_policy_identity,
    &ngx_http_stoa_policy_ip,
    &ngx_http_stoa_policy_idempotency,
    &ngx_http_stoa_policy_websocket,
    &ngx_http_stoa_policy_json,
    &ngx_http_stoa_policy_key,
    &ngx_http_stoa_policy_llm,
    &ngx_http_stoa_policy_locations,
    &ngx_http_stoa_policy_maintenance,
    &ngx_http_stoa_policy_opa,
    &ngx_http_stoa_policy_publisher,
    &ngx_http_stoa_policy_quota,
    &ngx_http_stoa_policy_rate,
    &ngx_http_stoa_policy_respond,
    &ngx_http_stoa_policy_rate_limit,
    &ngx_http_stoa_policy_result,
    &ngx_http_stoa_policy_cache,
    &ngx_http_stoa_policy_rewrite,
    &ngx_http_stoa_policy_schema,
    &ngx_http_stoa_policy_openapi,
    &ngx_http_stoa_policy_guard,
    &ngx_http_stoa_policy_output,
    &ngx_http_stoa_policy_shape,
    &ngx_http_stoa_policy_subscription,
    &ngx_http_stoa_policy_transform,
    NULL
};


static ngx_conf_num_bounds_t  ngx_http_stoa_trace_bounds = {
    ngx_conf_check_num_bounds, 0, 1000000
};

static ngx_conf_num_bounds_t  ngx_http_stoa_dpop_bounds = {
    ngx_conf_check_num_bounds, 0, 3600000
};

static ngx_conf_num_bounds_t  ngx_http_stoa_mcp_streams = {
    ngx_conf_check_num_bounds, 1, 65535
};


static ngx_conf_enum_t  ngx_http_stoa_mcp_told[] = {
    { ngx_string("rpc"), NGX_HTTP_STOA_MCP_RPC },
    { ngx_string("http"), NGX_HTTP_STOA_MCP_HTTP },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_stoa_fronts[] = {
    { ngx_string("nginx"), NGX_HTTP_STOA_FRONT_NGINX },
    { ngx_string("envoy"), NGX_HTTP_STOA_FRONT_ENVOY },
    { ngx_string("traefik"), NGX_HTTP_STOA_FRONT_TRAEFIK },
    { ngx_null_string, 0 }
};


/* README.md documents each row; t/docs.t compares. */

static ngx_command_t  ngx_http_stoa_commands[] = {

    { ngx_string("stoa_control_plane"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_http_stoa_conf_control_plane,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("stoa_gateway_token_file"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_stoa_conf_token_file,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("stoa_gateway_group"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_stoa_conf_group,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("stoa_pepper_file"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_stoa_conf_pepper_file,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("stoa_store"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE123,
      ngx_http_stoa_conf_store,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("stoa_zone"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE12,
      ngx_http_stoa_zone_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("stoa_answers"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_stoa_keep_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_stoa_main_conf_t, keep),
      NULL },

    { ngx_string("stoa_idempotency"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_stoa_keep_set,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_stoa_main_conf_t, repeats),
      NULL },

    { ngx_string("stoa_redis"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_stoa_conf_redis,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("stoa_opa"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE2|NGX_CONF_TAKE3|NGX_CONF_TAKE4,
      ngx_http_stoa_conf_opa,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("stoa_max_stale"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_stoa_conf_max_stale,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("stoa_usage_interval"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_stoa_conf_interval,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("stoa_mcp_keepalive"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_stoa_conf_keepalive,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("stoa_mcp_sessions"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE123,
      ngx_http_stoa_conf_sessions,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("stoa_mcp_input_timeout"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_stoa_conf_input,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("stoa_trace_sample"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_stoa_main_conf_t, trace_sample),
      &ngx_http_stoa_trace_bounds },

    { ngx_string("stoa_mcp_streams"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_stoa_main_conf_t, mcp_streams),
      &ngx_http_stoa_mcp_streams },

    { ngx_string("stoa_dpop_max_age"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_stoa_main_conf_t, dpop_age),
      &ngx_http_stoa_dpop_bounds },

    { ngx_string("stoa_dpop_ahead"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_stoa_main_conf_t, dpop_ahead),
      &ngx_http_stoa_dpop_bounds },

    { ngx_string("stoa_external_url"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_stoa_conf_url,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_stoa_main_conf_t, external_url),
      NULL },

    { ngx_string("stoa_peer"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_stoa_conf_peer,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_stoa_main_conf_t, peer),
      NULL },

    { ngx_string("stoa_resource_root"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_stoa_main_conf_t, resource_root),
      NULL },

    { ngx_string("stoa_upstream_ca"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_stoa_conf_file,
      NGX_HTTP_MAIN_CONF_OFFSET,
      offsetof(ngx_http_stoa_main_conf_t, upstream_ca),
      NULL },

    { ngx_string("stoa_upstream_allow"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_1MORE,
      ngx_http_stoa_conf_allow,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("stoa_legacy_headers"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_stoa_loc_conf_t, legacy_headers),
      NULL },

    { ngx_string("stoa_mcp_refusal"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_stoa_loc_conf_t, mcp_refusal),
      ngx_http_stoa_mcp_told },

    { ngx_string("stoa_fast"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_stoa_loc_conf_t, fast),
      NULL },

    { ngx_string("stoa"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_stoa_conf_stoa,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("stoa_protect"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE12,
      ngx_http_stoa_conf_protect,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("stoa_authz"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_stoa_conf_authz,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_stoa_loc_conf_t, front),
      ngx_http_stoa_fronts },

    { ngx_string("stoa_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_stoa_conf_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_http_stoa_status_handler },

    { ngx_string("stoa_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_stoa_conf_metrics,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_http_stoa_metrics_handler },

    { ngx_string("stoa_ready"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_stoa_conf_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_http_stoa_ready_handler },

    { ngx_string("stoa_traces"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_stoa_conf_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      ngx_http_stoa_traces_handler },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_stoa_module_ctx = {
    ngx_http_stoa_preconfiguration,        /* preconfiguration */
    ngx_http_stoa_postconfiguration,       /* postconfiguration */

    ngx_http_stoa_conf_create_main,        /* create main configuration */
    ngx_http_stoa_conf_init_main,          /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_stoa_conf_create_loc,         /* create location configuration */
    ngx_http_stoa_conf_merge_loc           /* merge location configuration */
};


ngx_module_t  ngx_http_stoa_module = {
    NGX_MODULE_V1,
    &ngx_http_stoa_module_ctx,             /* module context */
    ngx_http_stoa_commands,                /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_stoa_init_process,            /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_stoa_exit_process,            /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


/* The configuration is in force from here on. */

static ngx_int_t
ngx_http_stoa_ready(ngx_http_stoa_main_conf_t *mcf)
{
    if (ngx_http_stoa_conf_files(mcf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!mcf->enabled || ngx_test_config) {
        return NGX_OK;
    }

    return mcf->redis && ngx_http_stoa_pool_create(mcf) != NGX_OK
           ? NGX_ERROR : ngx_http_stoa_mcp_map_create(mcf);
}


static ngx_int_t
ngx_http_stoa_preconfiguration(ngx_conf_t *cf)
{
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_stoa_module);
    mcf->edges = ngx_http_stoa_edges;
    mcf->ready = ngx_http_stoa_ready;

    if (ngx_http_stoa_chain_types(cf, mcf, ngx_http_stoa_policies) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_stoa_variables_add(cf);
}


static ngx_int_t
ngx_http_stoa_postconfiguration(ngx_conf_t *cf)
{
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_stoa_module);

    if (!mcf->enabled) {
        return NGX_OK;
    }

    if (ngx_http_stoa_conf_check(cf, mcf) != NGX_OK
        || ngx_http_stoa_keep_default(cf, mcf) != NGX_OK
        || ngx_http_stoa_fetch_init(cf, mcf) != NGX_OK
        || (mcf->redis && ngx_http_stoa_redis_init(cf, mcf->redis) != NGX_OK))
    {
        return NGX_ERROR;
    }

    if (ngx_http_stoa_compat_handler(cf, NGX_HTTP_POST_READ_PHASE,
                                     ngx_http_stoa_conceal_early) != NGX_OK
        || ngx_http_stoa_compat_handler(cf, NGX_HTTP_PREACCESS_PHASE,
                                        ngx_http_stoa_pipeline_handler)
           != NGX_OK
        || ngx_http_stoa_compat_handler(cf, NGX_HTTP_LOG_PHASE,
                                        ngx_http_stoa_account_handler)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_stoa_grpc_init();

    return ngx_http_stoa_filter_init(cf);
}


static ngx_int_t
ngx_http_stoa_init_process(ngx_cycle_t *cycle)
{
    ngx_http_stoa_main_conf_t  *mcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_stoa_module);

    if (mcf == NULL || !mcf->enabled) {
        return NGX_OK;
    }

    ngx_http_stoa_proc_dropper(ngx_http_stoa_inflight_drop);
    ngx_http_stoa_proc_attach(mcf, cycle->log);
    ngx_http_stoa_keep_start(mcf);

    if (ngx_http_stoa_mcp_session_init(mcf, cycle) != NGX_OK
        || ngx_http_stoa_counters_open(mcf, cycle) != NGX_OK
        || (mcf->redis && ngx_http_stoa_lease_start(mcf, cycle) != NGX_OK)
        || ngx_http_stoa_store_open(mcf, cycle->log) != NGX_OK
        || ngx_http_stoa_door_open(mcf, cycle, ngx_http_stoa_mcp_came)
           != NGX_OK
        || ngx_http_stoa_local_open(mcf, cycle,
                                    ngx_http_stoa_mcp_linked_accept)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_stoa_mcp_link_init();

    if (ngx_process == NGX_PROCESS_SINGLE || ngx_worker == 0) {
        ngx_http_stoa_health_start(mcf, cycle->log);
        ngx_http_stoa_questions_start(mcf, cycle->log);
        return ngx_http_stoa_agent_start(mcf, cycle->log);
    }

    return NGX_OK;
}


static void
ngx_http_stoa_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_stoa_main_conf_t  *mcf;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return;
    }

    mcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_stoa_module);

    if (mcf == NULL || !mcf->enabled) {
        return;
    }

    ngx_http_stoa_lease_stop();
    ngx_http_stoa_agent_stop();
    ngx_http_stoa_health_exit();
    ngx_http_stoa_api_exit();
    ngx_http_stoa_chain_exit();
    ngx_http_stoa_keepalive_exit();
    ngx_http_stoa_door_close();
    ngx_http_stoa_local_close();
    ngx_http_stoa_identity_exit();
    ngx_http_stoa_issuer_exit();
    ngx_http_stoa_store_close(mcf);
    ngx_http_stoa_counters_close(mcf);
    ngx_http_stoa_proc_detach(mcf);
    ngx_http_stoa_mcp_view_exit();
    ngx_http_stoa_mcp_session_forget();
    ngx_http_stoa_mcp_map_close();
    ngx_http_stoa_mcp_keys_exit();

    ngx_explicit_memzero(mcf->token.data, mcf->token.len);
    ngx_explicit_memzero(mcf->pepper.data, mcf->pepper.len);
}
