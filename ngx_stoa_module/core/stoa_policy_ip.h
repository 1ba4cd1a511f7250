/*
 * ip-filter: from which network addresses may be called.
 */

#ifndef STOA_POLICY_IP_H
#define STOA_POLICY_IP_H


#include "stoa_policy.h"


#define STOA_POLICY_IP(F, S)                                                  \
    F(S, CIDRS, allow, 0, STOA_POLICY_CIDRS_MAX, 0, ,                         \
      "addresses and ranges that may call; none: all")                        \
    F(S, CIDRS, deny, 0, STOA_POLICY_CIDRS_MAX, 0, ,                          \
      "addresses and ranges that may not, whatever allow says")

STOA_POLICY_STRUCT(ip, STOA_POLICY_IP)


#ifdef STOA_POLICY_TABLES

/* One that asks nothing is a mistake that would look like protection. */

static const char *
stoa_policy_ip_check(const void *rec, const void *config, const char **field)
{
    const stoa_policy_ip_t  *ip = config;

    (void) rec;

    if (ip->allow.n == 0 && ip->deny.n == 0) {
        *field = "allow";
        return "must have an item, or deny must";
    }

    return NULL;
}


static const stoa_policy_type_t  stoa_policy_ip = {
    .name = "ip-filter", .id = 4, .version = 1, .order = STOA_ORDER_ADMIT,
    .scopes = STOA_ON_ALL, .config = &stoa_policy_ip_struct,
    .check = stoa_policy_ip_check,
    .doc = "refuses calls (403 ip_denied) by the network address of the "
           "client; all that apply have to agree, and the api's own lists",
    .own = STOA_REC_API, .asks = 2,
    .fields = (const char *const[]) { "ip_allow", "ip_deny", NULL }
};

#endif


#endif /* STOA_POLICY_IP_H */
