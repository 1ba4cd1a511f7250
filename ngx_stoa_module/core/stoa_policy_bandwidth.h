/*
 * bandwidth: how fast an answer is sent.
 */

#ifndef STOA_POLICY_BANDWIDTH_H
#define STOA_POLICY_BANDWIDTH_H


#include "stoa_policy.h"


#define STOA_POLICY_BANDWIDTH(F, S)                                           \
    F(S, U64, bytes_per_s, 1, UINT64_C(1) << 40, 1, STOA_REQUIRED,            \
      "of one answer, its head too")                                          \
    F(S, U64, after_bytes, 0, UINT64_C(1) << 40, 0, ,                         \
      "that are sent as fast as they can be, before that")

STOA_POLICY_STRUCT(bandwidth, STOA_POLICY_BANDWIDTH)


#ifdef STOA_POLICY_TABLES

static const stoa_policy_type_t  stoa_policy_bandwidth = {
    .name = "bandwidth", .id = 41, .version = 1,
    .order = STOA_ORDER_TRANSFORM, .scopes = STOA_ON_ALL,
    .config = &stoa_policy_bandwidth_struct,
    .doc = "sends each answer no faster than so many bytes a second; the "
           "slowest of all that apply counts"
};

#endif


#endif /* STOA_POLICY_BANDWIDTH_H */
