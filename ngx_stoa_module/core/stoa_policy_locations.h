/*
 * response-locations: addresses of the upstream in answers become the public
 * ones.
 */

#ifndef STOA_POLICY_LOCATIONS_H
#define STOA_POLICY_LOCATIONS_H


#include "stoa_policy.h"


#define STOA_POLICY_LOCATIONS(F, S)                                           \
    F(S, BOOL, cookies, 0, 1, 1, ,                                            \
      "Path and Domain of cookies too")                                       \
    F(S, STRINGS, inside, 0, 16, 0,                                           \
      STOA_VALID(stoa_policy_origin_valid, "must be an origin like "          \
                 "http://orders.internal:8080"),                              \
      "further origins that the upstream calls itself")

STOA_POLICY_STRUCT(locations, STOA_POLICY_LOCATIONS)


#ifdef STOA_POLICY_TABLES

static const stoa_policy_type_t  stoa_policy_locations = {
    .name = "response-locations", .id = 2, .version = 1,
    .order = STOA_ORDER_TRANSFORM,
    .flags = STOA_POLICY_SINGLE|STOA_POLICY_DEFAULT,
    .scopes = STOA_ON_GROUP|STOA_ON_TENANT|STOA_ON_API,
    .config = &stoa_policy_locations_struct,
    .doc = "maps Location, Content-Location, Refresh and cookies' Path and "
           "Domain back to the public address, and tells the upstream its "
           "prefix (X-Forwarded-Prefix); in locations with \"stoa\""
};

#endif


#endif /* STOA_POLICY_LOCATIONS_H */
