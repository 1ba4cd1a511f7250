/*
 * user-agent: which clients may call, by what they say that they are.
 */

#ifndef STOA_POLICY_AGENT_H
#define STOA_POLICY_AGENT_H


#include "stoa_policy.h"


#define STOA_AGENT_MAX  1024           /* bytes of a User-Agent         */

#define STOA_AGENT_NAMES(S, F, n, text)                                       \
    F(S, STRINGS, n, 0, 256, 0,                                               \
      STOA_VALID(stoa_policy_agent_valid, "must be visible ASCII, with * at " \
                 "its ends alone"), text)

#define STOA_POLICY_AGENT(F, S)                                               \
    STOA_AGENT_NAMES(S, F, allow,                                             \
                     "names that may call; none: all. A name is found in "    \
                     "any case and as a whole word; * at its beginning or "   \
                     "end: the word may go on there")                         \
    STOA_AGENT_NAMES(S, F, deny, "names that may not, whatever allow says")   \
    F(S, BOOL, empty, 0, 1, 1, ,                                              \
      "a client that does not say what it is may call")

STOA_POLICY_STRUCT(agent, STOA_POLICY_AGENT)


#ifdef STOA_POLICY_TABLES

static const char *
stoa_policy_agent_check(const void *rec, const void *config,
    const char **field)
{
    const stoa_policy_agent_t  *agent = config;

    (void) rec;

    if (agent->allow.n == 0 && agent->deny.n == 0 && agent->empty) {
        *field = "deny";
        return "must have an item, or allow must, or empty must be false";
    }

    return NULL;
}


static const stoa_policy_type_t  stoa_policy_agent = {
    .name = "user-agent", .id = 20, .version = 1, .order = STOA_ORDER_ADMIT,
    .scopes = STOA_ON_ALL, .config = &stoa_policy_agent_struct,
    .check = stoa_policy_agent_check,
    .doc = "refuses calls (403 user_agent_denied) by the client's User-Agent, "
           "which it may write as it likes: it keeps well-behaved robots "
           "away, and nobody else; all that apply have to agree"
};

#endif


#endif /* STOA_POLICY_AGENT_H */
