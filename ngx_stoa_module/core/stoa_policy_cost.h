/*
 * cost: how much of its plan's rate and quotas a call uses up.
 */

#ifndef STOA_POLICY_COST_H
#define STOA_POLICY_COST_H


#include "stoa_policy.h"


#define STOA_COST_MAX     1000000
#define STOA_COST_HEADER  64

#define STOA_COST_MUST                                                        \
    "must be the name of a header, not one that belongs to the connection, "  \
    "nor the gateway's own"

#define STOA_POLICY_COST_OF(F, S)                                             \
    F(S, STRING, api, 1, STOA_NAME_MAX, 0, STOA_REQUIRED, "the api's name")   \
    F(S, STRING, tool, 0, STOA_TOOL_NAME_MAX, 0, ,                            \
      "of the api, by its name there; none: all calls of the api")            \
    F(S, U32, cost, 1, STOA_COST_MAX, 1, STOA_REQUIRED,                       \
      "of each such call")

#define STOA_POLICY_COST(F, S)                                                \
    F(S, U32, cost, 0, STOA_COST_MAX, 0, , "of each call; 0: as it was")      \
    F(S, STRUCTS, weights, 0, 256, 0, STOA_ITEMS(cost_of),                    \
      "of single apis and tools; what names a tool comes first")              \
    F(S, STRING, header, 0, STOA_COST_HEADER, 0,                              \
      STOA_VALID(stoa_policy_header_valid, STOA_COST_MUST),                   \
      "of the upstream's answer, which says what the call costs, 0 to max: "  \
      "the call is charged that instead, when it has ended")                  \
    F(S, U32, max, 1, STOA_COST_MAX, STOA_COST_MAX, ,                         \
      "that the header may say; more, no number, or none is as if there was " \
      "no header")                                                            \
    F(S, BOOL, remove, 0, 1, 1, , "the header does not reach the client")

STOA_POLICY_STRUCT(cost_of, STOA_POLICY_COST_OF)
STOA_POLICY_STRUCT(cost, STOA_POLICY_COST)


#ifdef STOA_POLICY_TABLES

/* One that says nothing is a mistake.  The turn is that of the limits, where
 * a plan's policies come before what its own fields ask for. */

static const char *
stoa_policy_cost_check(const void *rec, const void *config,
    const char **field)
{
    const stoa_policy_cost_t  *cost = config;

    (void) rec;

    if (cost->cost == 0 && cost->weights.n == 0 && cost->header.len == 0) {
        *field = "cost";
        return "must be more than 0, or there must be weights or a header";
    }

    return NULL;
}


/* Among the limits: what waits for no more than the plan (LATE) would run
 * there before it is known what is called. */

static const stoa_policy_type_t  stoa_policy_cost = {
    .name = "cost", .id = 15, .version = 1, .order = STOA_ORDER_LIMIT,
    .scopes = STOA_ON_ALL & ~STOA_ON_APPLICATION,
    .config = &stoa_policy_cost_struct, .check = stoa_policy_cost_check,
    .doc = "makes a call use up more than one of its plan's rate and quotas; "
           "the narrowest that names a cost counts. A call that costs more "
           "than the plan ever allows is 403 cost_exceeded"
};

#endif


#endif /* STOA_POLICY_COST_H */
