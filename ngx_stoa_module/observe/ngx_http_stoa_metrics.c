/*
 * stoa_metrics: Prometheus text.  Labels come from fixed tables (refusal
 * codes, status classes), never from requests, and of apis from the busiest.
 * README.md documents each row; t/docs.t compares.
 */

#include "ngx_http_stoa_observe.h"
#include "ngx_http_stoa_limits.h"
#include "ngx_http_stoa_env.h"
#include "ngx_http_stoa_chain.h"


#define METRICS_MAX  (512 * 1024)


typedef enum {
    METRIC_PROC,                     /* sum over processes                   */
    METRIC_SHARED,                   /* a word of the zone                   */
    METRIC_META,                     /* a word of the store's meta           */
    METRIC_RATE,                     /* of the fill of the rate slots        */
    METRIC_FLY,                      /* of that of the in-flight slots       */
    METRIC_COUNTERS                  /* of the counter file's fill           */
} ngx_http_stoa_metric_e;

typedef struct {
    const char               *name;
    const char               *type;
    const char               *help;
    ngx_http_stoa_metric_e    source;
    size_t                    field;
} ngx_http_stoa_metric_t;


static void ngx_http_stoa_metrics_table(ngx_http_stoa_main_conf_t *mcf,
    stoa_buf_t *b);
static void ngx_http_stoa_metrics_named(ngx_http_request_t *r,
    ngx_http_stoa_main_conf_t *mcf, stoa_buf_t *b);
static void ngx_http_stoa_metrics_head(stoa_buf_t *b, const char *name,
    const char *type, const char *help);
static void ngx_http_stoa_metrics_requests(ngx_http_stoa_sh_t *sh,
    stoa_buf_t *b);
static void ngx_http_stoa_metrics_policies(ngx_http_stoa_main_conf_t *mcf,
    stoa_buf_t *b);
static void ngx_http_stoa_metrics_llm(ngx_http_stoa_sh_t *sh, stoa_buf_t *b);
static void ngx_http_stoa_metrics_models(ngx_http_stoa_main_conf_t *mcf,
    stoa_buf_t *b);
static void ngx_http_stoa_metrics_latency(ngx_http_stoa_sh_t *sh,
    stoa_buf_t *b);
static void ngx_http_stoa_metrics_store(ngx_http_stoa_main_conf_t *mcf,
    stoa_buf_t *b);


#define PROC(f)      METRIC_PROC, offsetof(ngx_http_stoa_proc_t, f)
#define SHARED(f)    METRIC_SHARED, offsetof(ngx_http_stoa_sh_t, f)
#define META(f)      METRIC_META, offsetof(ngx_http_stoa_meta_t, f)
#define RATE(f)      METRIC_RATE, offsetof(ngx_http_stoa_fill_t, f)
#define FLY(f)       METRIC_FLY, offsetof(ngx_http_stoa_fill_t, f)
#define COUNTERS(f)                                                           \
    METRIC_COUNTERS, offsetof(ngx_http_stoa_usage_fill_t, f)

static const ngx_http_stoa_metric_t  ngx_http_stoa_metrics[] = {

    { "stoa_received_bytes_total", "counter",
      "Bytes of requests.", PROC(bytes_in) },
    { "stoa_sent_bytes_total", "counter",
      "Bytes of answers.", PROC(bytes_out) },
    { "stoa_rate_slots_missed_total", "counter",
      "Rate decisions without a free slot.", PROC(rate_full) },
    { "stoa_concurrency_slots_missed_total", "counter",
      "Concurrency decisions without a free slot.", PROC(fly_full) },
    { "stoa_quota_slots_missed_total", "counter",
      "Quota decisions without a free slot.", PROC(quota_full) },
    { "stoa_usage_folded_total", "counter",
      "Calls counted under a coarser key for want of a slot.",
      PROC(usage_folded) },
    { "stoa_tokens_verified_total", "counter",
      "Tokens whose signature was verified.", PROC(tokens_verified) },
    { "stoa_tokens_known_total", "counter",
      "Calls with a token that was verified before.", PROC(tokens_known) },
    { "stoa_dpop_proofs_total", "counter",
      "Calls whose proof of possession was good.", PROC(proofs) },
    { "stoa_dpop_slots_missed_total", "counter",
      "Calls refused for want of room to keep their proof.",
      PROC(proof_full) },
    { "stoa_credentials_fetched_total", "counter",
      "Tokens for upstreams that token endpoints were asked for.",
      PROC(credentials_fetched) },
    { "stoa_credentials_failed_total", "counter",
      "Of those, how many did not come.", PROC(credentials_failed) },
    { "stoa_lane_answered_total", "counter",
      "Calls that the fast lane served.", PROC(lane) },
    { "stoa_lane_declined_total", "counter",
      "Calls that were nginx's upstream's from the beginning.",
      PROC(declined) },
    { "stoa_lane_handed_over_total", "counter",
      "Calls that the fast lane gave to nginx's upstream.",
      PROC(handed_over) },
    { "stoa_mcp_events_dropped_total", "counter",
      "Events of MCP upstreams that are no messages for the call.",
      PROC(mcp_dropped) },
    { "stoa_mcp_left_out_total", "counter",
      "Upstreams that a look of a stream, or a message to all, left out.",
      PROC(mcp_left_out) },
    { "stoa_mcp_views_made_total", "counter",
      "What MCP callers see, rendered once for all who see the same.",
      PROC(mcp_views) },
    { "stoa_mcp_lists_stale_total", "counter",
      "Lists with what an MCP upstream showed before it could not be read.",
      PROC(mcp_stale) },
    { "stoa_mcp_answers_lost_total", "counter",
      "What MCP clients said to upstreams that did not take it.",
      PROC(mcp_lost) },
    { "stoa_approvals_asked_total", "counter",
      "Calls for which the control plane was asked for an approval.",
      PROC(approvals_asked) },
    { "stoa_approvals_passed_total", "counter",
      "Of those, how many passed.", PROC(approvals_passed) },
    { "stoa_approvals_failed_total", "counter",
      "Of those, how many got no answer.", PROC(approvals_failed) },
    { "stoa_opa_asked_total", "counter",
      "Decisions that an Open Policy Agent was asked for (policies of type "
      "`opa`).", PROC(opa_asked) },
    { "stoa_opa_failed_total", "counter",
      "Of those, how many did not come; the log says why.",
      PROC(opa_failed) },
    { "stoa_opa_known_total", "counter",
      "Decisions that were used again.", PROC(opa_known) },
    { "stoa_opa_open_total", "counter",
      "Decisions that were not asked for: the agent had failed five times in "
      "a row, and is tried once a second.", PROC(opa_open) },
    { "stoa_traces_kept_total", "counter",
      "Calls whose trace was kept (`stoa_traces`).", PROC(traces_kept) },
    { "stoa_traces_cut_total", "counter",
      "Of those, how many lack their last steps for want of room.",
      PROC(traces_cut) },
    { "stoa_traces_dropped_total", "counter",
      "Traces that younger ones have taken the place of.",
      PROC(traces_evicted) },
    { "stoa_cache_hits_total", "counter",
      "Calls answered by what a policy `cache` had kept.",
      PROC(cache_hits) },
    { "stoa_cache_stale_total", "counter",
      "Of those, and of calls whose upstream failed: past its time.",
      PROC(cache_stale) },
    { "stoa_cache_misses_total", "counter",
      "Calls for which nothing was kept, or nothing that could be used "
      "unasked.", PROC(cache_misses) },
    { "stoa_cache_bypassed_total", "counter",
      "Calls that a policy `cache` has no say in.", PROC(cache_bypassed) },
    { "stoa_cache_stored_total", "counter",
      "Answers that were kept.", PROC(cache_stored) },
    { "stoa_cache_hit_bytes_total", "counter",
      "Content of the answers that were used again.", PROC(cache_bytes) },
    { "stoa_cache_refreshed_total", "counter",
      "Stale answers that the gateway has asked for by itself.",
      PROC(cache_refreshed) },
    { "stoa_cache_copied_total", "counter",
      "Hits whose content was copied, as too much of the memory is lent to "
      "clients that read slowly.", PROC(cache_copied) },
    { "stoa_cache_purged_total", "counter",
      "Kept answers that were wanted, and purged.", PROC(cache_purged) },
    { "stoa_idempotency_kept_total", "counter",
      "Calls with an Idempotency-Key that have ended, and are kept.",
      PROC(idempotency_kept) },
    { "stoa_idempotency_unknown_total", "counter",
      "Of those: nobody knows what became of them.",
      PROC(idempotency_unknown) },
    { "stoa_idempotency_repeats_total", "counter",
      "Calls that got the answer of an earlier one.",
      PROC(idempotency_repeats) },
    { "stoa_mcp_parked_total", "counter",
      "Calls that waited for what their MCP clients were asked.",
      PROC(mcp_parked) },
    { "stoa_mcp_parked_expired_total", "counter",
      "The same, whose clients did not come back.",
      PROC(mcp_expired) },
    { "stoa_mcp_hops_total", "counter",
      "Requests of MCP for what another gateway of the group holds.",
      PROC(mcp_hops) },
    { "stoa_target_checks_total", "counter",
      "Health checks of targets.", PROC(health_checks) },
    { "stoa_target_checks_failed_total", "counter",
      "Of those, how many were bad.", PROC(health_failed) },
    { "stoa_target_opened_total", "counter",
      "Targets set aside by their breakers.", PROC(breaker_opened) },
    { "stoa_retries_total", "counter",
      "Further tries of calls of apis with a budget for them.",
      PROC(retries) },
    { "stoa_retries_denied_total", "counter",
      "Those that the budget did not allow.", PROC(retries_denied) },
    { "stoa_calls_late_total", "counter",
      "Calls that were ended by their total time.", PROC(late) },
    { "stoa_websockets_total", "counter",
      "Connections of WebSocket that were opened.", PROC(tunnels) },
    { "stoa_websockets_ended_total", "counter",
      "Of those, how many are over.", PROC(tunnels_ended) },
    { "stoa_websockets_closed_total", "counter",
      "Of those, how many the gateway has closed.", PROC(tunnels_closed) },
    { "stoa_websocket_messages_in_total", "counter",
      "Messages of clients over WebSocket.", PROC(tunnel_in) },
    { "stoa_websocket_messages_out_total", "counter",
      "Messages of upstreams over WebSocket.", PROC(tunnel_out) },
    { "stoa_mirrored_total", "counter",
      "Calls of which a copy went to a mirror.", PROC(mirrored) },
    { "stoa_mirror_dropped_total", "counter",
      "Calls of which none went: too many at once, or the body.",
      PROC(mirror_dropped) },
    { "stoa_mirror_failed_total", "counter",
      "Copies without a whole answer.", PROC(mirror_failed) },
    { "stoa_target_places_missed_total", "counter",
      "Targets for which there was no place in the zone.",
      PROC(place_full) },

    { "stoa_lease_asked_total", "counter",
      "Messages to Redis about shared limits.", PROC(lease_asked) },
    { "stoa_lease_failed_total", "counter",
      "Of those, how many had no answer.", PROC(lease_failed) },
    { "stoa_lease_granted_total", "counter",
      "Tokens of shared limits that came from Redis.", PROC(lease_granted) },
    { "stoa_lease_returned_total", "counter",
      "Tokens that went back unused.", PROC(lease_returned) },
    { "stoa_lease_credited_total", "counter",
      "Tokens that went back after they were told as spent.",
      PROC(lease_credited) },
    { "stoa_lease_replayed_total", "counter",
      "Answers that came at the second try.", PROC(lease_replayed) },
    { "stoa_lease_healed_total", "counter",
      "Answers that mended what Redis had lost, or had not seen.",
      PROC(lease_healed) },
    { "stoa_lease_waited_total", "counter",
      "Calls that waited for tokens.", PROC(lease_waited) },
    { "stoa_lease_budgets_missed_total", "counter",
      "Decisions of one gateway alone for want of a place for the budget.",
      PROC(lease_full) },
    { "stoa_signatures_total", "counter",
      "Signatures of requests that were good.", PROC(signatures) },
    { "stoa_cost_unsaid_total", "counter",
      "Answers that did not say what their call costs.", PROC(cost_unsaid) },
    { "stoa_rate_near_total", "counter",
      "Calls after which less than a fifth of their plan's rate was left.",
      PROC(rate_near) },
    { "stoa_quota_near_total", "counter",
      "Calls after which less than a fifth of their plan's day or month was "
      "left.", PROC(quota_near) },
    { "stoa_limits_local_total", "counter",
      "Calls within this gateway's part of a limit while Redis was away.",
      PROC(limits_shared) },
    { "stoa_limits_allowed_total", "counter",
      "Calls that passed because Redis was away.", PROC(limits_allowed) },
    { "stoa_limits_denied_total", "counter",
      "Calls that were refused because Redis was away.",
      PROC(limits_denied) },
    { "stoa_limits_shared", "gauge",
      "1: Redis answers, limits are those of all gateways; 0: it does not, or "
      "there is none.", SHARED(limits_up) },

    { "stoa_revision", "gauge",
      "Revision of the configuration in force.", META(rev) },
    { "stoa_rejected_records", "gauge",
      "Records of the feed that did not validate.", META(rejected) },

    { "stoa_feed_polls_total", "counter",
      "Requests for the feed.", SHARED(sync_polls) },
    { "stoa_feed_failures_total", "counter",
      "Requests for the feed that failed.", SHARED(sync_failures) },
    { "stoa_feed_rows_total", "counter",
      "Rows of the feed that were committed.", SHARED(sync_rows) },
    { "stoa_feed_rejected_total", "counter",
      "Rows of the feed that did not validate.", SHARED(sync_rejected) },
    { "stoa_store_commits_total", "counter",
      "Commits of the store.", SHARED(sync_commits) },
    { "stoa_store_commit_microseconds_total", "counter",
      "Time spent in them.", SHARED(sync_commit_us) },
    { "stoa_store_full_total", "counter",
      "Batches that did not fit into the store or on the disk.",
      SHARED(store_full) },
    { "stoa_status_failures_total", "counter",
      "Status reports that failed.", SHARED(status_failures) },
    { "stoa_usage_batches_total", "counter",
      "Usage batches that were delivered.", SHARED(usage_batches) },
    { "stoa_usage_failures_total", "counter",
      "Attempts to deliver a usage batch that failed.",
      SHARED(usage_failures) },
    { "stoa_usage_waiting", "gauge",
      "Usage batches that wait for delivery.", SHARED(usage_waiting) },
    { "stoa_denials_lost_total", "counter",
      "Refusals that the control plane's audit log will not have.",
      SHARED(denials.lost_all) },

    { "stoa_usage_refused_total", "counter",
      "Usage batches that the control plane refused for good, or that were "
      "damaged.", SHARED(usage_refused) },
    { "stoa_usage_aside", "gauge",
      "Of those, how many are kept in the spool.", SHARED(usage_aside) },
    { "stoa_usage_rows_refused_total", "counter",
      "Rows of delivered batches that the control plane left out.",
      SHARED(usage_rows_refused) },

    { "stoa_rate_slots_used", "gauge",
      "Rate slots in use.", RATE(used) },
    { "stoa_rate_slots", "gauge",
      "Rate slots there are.", RATE(slots) },
    { "stoa_concurrency_slots_used", "gauge",
      "Concurrency slots in use.", FLY(used) },
    { "stoa_concurrency_slots", "gauge",
      "Concurrency slots there are.", FLY(slots) },
    { "stoa_in_flight", "gauge",
      "Calls under a concurrency limit that are being served.",
      PROC(in_flight) },

    { "stoa_quota_slots_used", "gauge",
      "Quota slots in use.", COUNTERS(quota_used) },
    { "stoa_quota_slots", "gauge",
      "Quota slots there are.", COUNTERS(quota_slots) },
    { "stoa_usage_slots_used", "gauge",
      "Usage slots in use.", COUNTERS(usage_used) },
    { "stoa_usage_slots", "gauge",
      "Usage slots there are.", COUNTERS(usage_slots) },

    { NULL, NULL, NULL, METRIC_PROC, 0 }
};


ngx_int_t
ngx_http_stoa_metrics_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    stoa_buf_t                  b;
    ngx_http_stoa_main_conf_t  *mcf;

    rc = ngx_http_stoa_status_enter(r);
    if (rc != NGX_OK) {
        return rc;
    }

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);

    stoa_buf_init(&b, METRICS_MAX);

    ngx_http_stoa_metrics_store(mcf, &b);
    ngx_http_stoa_metrics_requests(mcf->sh, &b);
    ngx_http_stoa_metrics_policies(mcf, &b);
    ngx_http_stoa_metrics_latency(mcf->sh, &b);
    ngx_http_stoa_metrics_table(mcf, &b);

    ngx_http_stoa_metrics_named(r, mcf, &b);

    return ngx_http_stoa_status_send(r, NGX_HTTP_OK,
                                     "text/plain; version=0.0.4", &b);
}


static void
ngx_http_stoa_metrics_named(ngx_http_request_t *r,
    ngx_http_stoa_main_conf_t *mcf, stoa_buf_t *b)
{
    ngx_http_stoa_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_stoa_module);

    ngx_http_stoa_metrics_head(b, "stoa_api_requests_total", "counter",
                               "Calls of apis, by class of status.");
    ngx_http_stoa_metrics_apis(mcf, slcf->metrics_apis, b);

    ngx_http_stoa_metrics_head(b, "stoa_target_up", "gauge",
                               "Targets that are checked: 0, they are down.");
    ngx_http_stoa_targets_metrics(mcf, 0, b);

    ngx_http_stoa_metrics_head(b, "stoa_target_open", "gauge",
                               "Targets that calls have failed at: 1, their "
                               "breaker is open, or finds out.");
    ngx_http_stoa_targets_metrics(mcf, 1, b);

    ngx_http_stoa_metrics_head(b, "stoa_group_requests_total", "counter",
                               "Calls of apis with groups of targets.");
    ngx_http_stoa_targets_groups(mcf, b);
}


static void
ngx_http_stoa_metrics_head(stoa_buf_t *b, const char *name, const char *type,
    const char *help)
{
    stoa_buf_addf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}


static void
ngx_http_stoa_metrics_table(ngx_http_stoa_main_conf_t *mcf, stoa_buf_t *b)
{
    uint64_t                        n;
    ngx_http_stoa_fill_t            rate, fly;
    ngx_http_stoa_usage_fill_t      counters;
    const ngx_http_stoa_metric_t   *m;
    const void                     *base[] = {
        [METRIC_SHARED] = mcf->sh,
        [METRIC_META] = &mcf->store->meta,
        [METRIC_RATE] = &rate,
        [METRIC_FLY] = &fly,
        [METRIC_COUNTERS] = &counters
    };

    ngx_http_stoa_rate_fill(mcf->sh, &rate);
    ngx_http_stoa_inflight_fill(mcf->sh, &fly);
    ngx_http_stoa_usage_fill(mcf->counters, &counters);

    for (m = ngx_http_stoa_metrics; m->name; m++) {

        if (m->source == METRIC_PROC) {
            n = ngx_http_stoa_proc_sum(mcf->sh, m->field);

        } else {
            n = *(const uint64_t *) ((const u_char *) base[m->source]
                                     + m->field);
        }

        ngx_http_stoa_metrics_head(b, m->name, m->type, m->help);
        stoa_buf_addf(b, "%s %llu\n", m->name, (unsigned long long) n);
    }
}


static void
ngx_http_stoa_metrics_store(ngx_http_stoa_main_conf_t *mcf, stoa_buf_t *b)
{
    uint64_t    ok, now;
    ngx_uint_t  ready, kind;

    ready = ngx_http_stoa_store_enter(mcf->store) == NGX_OK;

    ngx_http_stoa_metrics_head(b, "stoa_info", "gauge", "Versions.");
    stoa_buf_addf(b, "stoa_info{version=\"%s\",nginx=\"%s\"} 1\n",
                  NGX_HTTP_STOA_VERSION, NGINX_VERSION);

    ngx_http_stoa_metrics_head(b, "stoa_ready", "gauge",
                               "Is a whole, fresh configuration in force?");
    stoa_buf_addf(b, "stoa_ready %u\n", (unsigned) ready);

    ngx_http_stoa_metrics_head(b, "stoa_records", "gauge",
                               "Records of the configuration in force.");

    for (kind = 1; kind < STOA_REC_KIND_MAX; kind++) {
        stoa_buf_addf(b, "stoa_records{kind=\"%s\"} %llu\n",
                      stoa_rec_kind_name((stoa_rec_kind_e) kind),
                      (unsigned long long) mcf->store->meta.records[kind]);
    }

    ok = ngx_http_stoa_load(&mcf->dir->sync_ok_ms);
    now = ngx_http_stoa_wall_ms();

    ngx_http_stoa_metrics_head(b, "stoa_feed_age_seconds", "gauge",
                               "Since the last complete answer of the "
                               "control plane; -1: never.");
    stoa_buf_addf(b, "stoa_feed_age_seconds %.3f\n",
                  ok ? (double) (now - ngx_min(ok, now)) / 1000 : -1.0);
}


static void
ngx_http_stoa_metrics_requests(ngx_http_stoa_sh_t *sh, stoa_buf_t *b)
{
    ngx_uint_t  i;

    ngx_http_stoa_metrics_head(b, "stoa_requests_total", "counter",
                               "Requests, by class of status.");

    for (i = 0; i < NGX_HTTP_STOA_CLASSES; i++) {
        stoa_buf_addf(b, "stoa_requests_total{class=\"%uxx\"} %llu\n",
                      (unsigned) i + 1,
                      (unsigned long long) ngx_http_stoa_proc_sum(sh,
                                       offsetof(ngx_http_stoa_proc_t, class)
                                       + i * sizeof(uint64_t)));
    }

    ngx_http_stoa_metrics_head(b, "stoa_refused_total", "counter",
                               "Requests that were refused, by code.");

    for (i = 0; i < ngx_http_stoa_refusals_n; i++) {
        stoa_buf_addf(b, "stoa_refused_total{code=\"%.*s\"} %llu\n",
                      (int) ngx_http_stoa_refusals[i].code.len,
                      ngx_http_stoa_refusals[i].code.data,
                      (unsigned long long) ngx_http_stoa_proc_sum(sh,
                                       offsetof(ngx_http_stoa_proc_t, refused)
                                       + i * sizeof(uint64_t)));
    }
}


static void
ngx_http_stoa_metrics_policies(ngx_http_stoa_main_conf_t *mcf, stoa_buf_t *b)
{
    ngx_uint_t  i, k;

    static const char *const  outcomes[NGX_HTTP_STOA_OUTCOMES] = {
        "applied", "refused", "shadow_applied", "shadow_refused", "unread"
    };

    ngx_http_stoa_metrics_head(b, "stoa_policy_total", "counter",
                               "What policies did, by type and outcome.");

    for (i = 0; i < mcf->policies->n; i++) {
        for (k = 0; k < NGX_HTTP_STOA_OUTCOMES; k++) {
            stoa_buf_addf(b, "stoa_policy_total{policy_type=\"%s\",outcome="
                          "\"%s\"} %llu\n", mcf->policies->type[i]->name,
                          outcomes[k],
                          (unsigned long long) ngx_http_stoa_proc_sum(mcf->sh,
                               offsetof(ngx_http_stoa_proc_t, policy)
                               + (i * NGX_HTTP_STOA_OUTCOMES + k)
                                 * sizeof(uint64_t)));
        }
    }

    ngx_http_stoa_metrics_head(b, "stoa_guard_finds_total", "counter",
                               "What guardrails have found, by kind.");

    for (i = 0; i < STOA_GUARD_MAX; i++) {
        stoa_buf_addf(b, "stoa_guard_finds_total{kind=\"%s\"} %llu\n",
                      stoa_guard_name(i),
                      (unsigned long long) ngx_http_stoa_proc_sum(mcf->sh,
                                       offsetof(ngx_http_stoa_proc_t, guard)
                                       + i * sizeof(uint64_t)));
    }

    ngx_http_stoa_metrics_llm(mcf->sh, b);

    if (mcf->counters) {
        ngx_http_stoa_metrics_models(mcf, b);
    }
}


static void
ngx_http_stoa_metrics_llm(ngx_http_stoa_sh_t *sh, stoa_buf_t *b)
{
    ngx_uint_t  i;

    static const char *const  kinds[] = { "input", "output", "cached" };

    ngx_http_stoa_metrics_head(b, "stoa_llm_tokens_total", "counter",
                               "Tokens that language models used.");

    for (i = 0; i < 2 * STOA_LLM_KINDS; i++) {
        stoa_buf_addf(b, "stoa_llm_tokens_total{kind=\"%s\",source=\"%s\"}"
                      " %llu\n", kinds[i % STOA_LLM_KINDS],
                      i < STOA_LLM_KINDS ? "told" : "estimated",
                      (unsigned long long) ngx_http_stoa_proc_sum(sh,
                                         offsetof(ngx_http_stoa_proc_t, llm)
                                         + i * sizeof(uint64_t)));
    }
}


/* Several tenants may have one of the same name. */

static void
ngx_http_stoa_metrics_models(ngx_http_stoa_main_conf_t *mcf, stoa_buf_t *b)
{
    uint64_t     n;
    ngx_uint_t   i, j, k;
    const char  *name[NGX_HTTP_STOA_USAGE_MODELS + 2];

    static const char *const  kinds[] = { "input", "output", "cached" };

    ngx_http_stoa_metrics_head(b, "stoa_llm_model_tokens_total", "counter",
                               "Tokens by the model that answered.");

    for (i = 1; i < NGX_HTTP_STOA_USAGE_MODELS + 2; i++) {
        name[i] = ngx_http_stoa_usage_model_at(mcf->counters, i);

        for (j = 1; j < i && strcmp(name[i], name[j]) != 0; j++) { /* void */ }

        if (j < i || name[i][0] == '\0') {
            continue;
        }

        for (k = 0; k < STOA_LLM_KINDS; k++) {
            n = ngx_http_stoa_load(&mcf->sh->models[i][k]);

            for (j = i + 1; j < NGX_HTTP_STOA_USAGE_MODELS + 2; j++) {
                if (strcmp(ngx_http_stoa_usage_model_at(mcf->counters, j),
                           name[i]) == 0)
                {
                    n += ngx_http_stoa_load(&mcf->sh->models[j][k]);
                }
            }

            stoa_buf_addf(b, "stoa_llm_model_tokens_total{model=\"%s\","
                          "kind=\"%s\"} %llu\n", name[i], kinds[k],
                          (unsigned long long) n);
        }
    }
}


static void
ngx_http_stoa_metrics_latency(ngx_http_stoa_sh_t *sh, stoa_buf_t *b)
{
    uint64_t    n, us;
    ngx_uint_t  i;

    ngx_http_stoa_metrics_head(b, "stoa_request_duration_seconds",
                               "histogram",
                               "From routing to the last byte; of tunnels and "
                               "held streams to the head.");

    n = 0;

    for (i = 0; i < NGX_HTTP_STOA_LATENCY_N; i++) {
        n += ngx_http_stoa_proc_sum(sh, offsetof(ngx_http_stoa_proc_t,
                                                 latency)
                                        + i * sizeof(uint64_t));

        if (i + 1 < NGX_HTTP_STOA_LATENCY_N) {
            stoa_buf_addf(b, "stoa_request_duration_seconds_bucket{le=\"%.6f"
                          "\"} %llu\n", (double) (1ULL << (i + 6)) / 1e6,
                          (unsigned long long) n);
        } else {
            stoa_buf_addf(b, "stoa_request_duration_seconds_bucket{le=\"+Inf"
                          "\"} %llu\n", (unsigned long long) n);
        }
    }

    us = ngx_http_stoa_proc_sum(sh, offsetof(ngx_http_stoa_proc_t,
                                             latency_us));

    stoa_buf_addf(b, "stoa_request_duration_seconds_sum %.6f\n"
                  "stoa_request_duration_seconds_count %llu\n",
                  (double) us / 1e6, (unsigned long long) n);
}
