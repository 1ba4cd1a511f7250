/*
 * What each call is asked without any policy: what there is to say about it
 * stands in fields of apis and plans.  Of a plan's limits a policy may say the
 * state; who calls, and by which subscription, nothing switches off.
 */

#ifndef STOA_POLICY_OWN_H
#define STOA_POLICY_OWN_H


#include "stoa_policy.h"


#ifdef STOA_POLICY_TABLES

/* No row of a configuration; in records as long as one. */

static const stoa_rec_struct_t  stoa_policy_none_struct = {
    .name = "none", .size = STOA_REC_ALIGN, .strict = true
};

#define STOA_POLICY_LIMIT(n, k, ...)                                          \
    .name = n, .version = 1, .order = STOA_ORDER_LIMIT,                       \
    .flags = STOA_POLICY_SINGLE|STOA_POLICY_STATE, .scopes = STOA_ON_PLAN,    \
    .config = &stoa_policy_none_struct, .own = STOA_REC_PLAN, .asks = k,      \
    .fields = (const char *const[]) { __VA_ARGS__, "limit_by", NULL }

static const stoa_policy_type_t  stoa_policy_publisher = {
    .name = "publisher", .id = 6, .version = 1, .order = STOA_ORDER_ADMIT,
    .flags = STOA_POLICY_DEFAULT, .config = &stoa_policy_none_struct,
    .own = STOA_REC_API, .fields = (const char *const[]) { "tenant", NULL },
    .doc = "refuses calls (403 tenant_suspended) to what a suspended tenant "
           "publishes"
};

static const stoa_policy_type_t  stoa_policy_key = {
    .name = "key", .id = 7, .version = 1, .order = STOA_ORDER_AUTHN,
    .flags = STOA_POLICY_DEFAULT, .config = &stoa_policy_none_struct,
    .doc = "refuses calls without a valid key (401 key_missing, key_invalid, "
           "key_expired), and of who is suspended (403)"
};

static const stoa_policy_type_t  stoa_policy_subscription = {
    .name = "subscription", .id = 8, .version = 1,
    .order = STOA_ORDER_ACCESS, .flags = STOA_POLICY_DEFAULT,
    .config = &stoa_policy_none_struct,
    .doc = "refuses calls (403) of applications without an active "
           "subscription"
};

static const stoa_policy_type_t  stoa_policy_concurrency = {
    STOA_POLICY_LIMIT("concurrency", 1, "concurrency"), .id = 9,
    .doc = "refuses calls (429 concurrency_exceeded) beyond those that a plan "
           "allows at once"
};

static const stoa_policy_type_t  stoa_policy_rate = {
    STOA_POLICY_LIMIT("rate", 1, "rate", "per_ms", "burst"), .id = 10,
    .doc = "refuses calls (429 rate_exceeded) beyond the rate of a plan"
};

static const stoa_policy_type_t  stoa_policy_quota = {
    STOA_POLICY_LIMIT("quota", 2, "quota_day", "quota_month"), .id = 11,
    .doc = "refuses calls (429 quota_exceeded) beyond the day's and the "
           "month's of a plan"
};

static const stoa_policy_type_t  stoa_policy_identity = {
    .name = "identity", .id = 12, .version = 1,
    .order = STOA_ORDER_TRANSFORM, .config = &stoa_policy_none_struct,
    .own = STOA_REC_API, .asks = 1,
    .fields = (const char *const[]) { "identity", NULL },
    .doc = "tells the upstream who calls, as the api's field says"
};

#endif


#endif /* STOA_POLICY_OWN_H */
