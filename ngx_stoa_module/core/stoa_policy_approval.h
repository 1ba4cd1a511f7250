/*
 * approval: a call of a tool waits until a person has said yes.
 */

#ifndef STOA_POLICY_APPROVAL_H
#define STOA_POLICY_APPROVAL_H


#include "stoa_policy.h"


#define STOA_POLICY_APPROVAL_ID  16

#define STOA_POLICY_APPROVAL(F, S)                                            \
    F(S, U32, expires_s, 60, 2592000, 3600, ,                                 \
      "how long a call waits; and once it is approved, how long it may pass") \
    F(S, U32, max_pending, 1, 1000, 20, ,                                     \
      "calls of one application that may wait at a time at the tenant's "     \
      "tools")                                                                \
    F(S, U32, wait_s, 0, 60, 0, ,                                             \
      "how long a call is held, so that a quick decision answers it")         \
    F(S, STRINGS, redact, 0, 32, 0, ,                                         \
      "members of the arguments whose values are not shown to who decides")   \
    F(S, STRING, url, 0, 512, 0,                                              \
      STOA_VALID(stoa_policy_approval_url, "must be an address with http or " \
                 "https, of visible ASCII"),                                  \
      "where people decide; {approval} stands for the approval's id")

#ifdef STOA_POLICY_TABLES

static bool
stoa_policy_approval_url(const char *s, size_t len)
{
    size_t  i;

    for (i = 0; i < len && s[i] > 0x20 && s[i] < 0x7f && s[i] != '"'
                && s[i] != '\\';
         i++)
    {
        /* void */
    }

    return i == len
           && (len == 0 || (len > 8 && memcmp(s, "https://", 8) == 0)
               || (len > 7 && memcmp(s, "http://", 7) == 0));
}

#endif

STOA_POLICY_STRUCT(approval, STOA_POLICY_APPROVAL)


#ifdef STOA_POLICY_TABLES

static const stoa_policy_type_t  stoa_policy_approval = {
    .name = "approval", .id = STOA_POLICY_APPROVAL_ID, .version = 1,
    .order = STOA_ORDER_AUTHZ,     /* no application: its tenant does not say
                                      what publishers have to decide         */
    .scopes = STOA_ON_GROUP|STOA_ON_TENANT|STOA_ON_SERVER|STOA_ON_MCP_API
              |STOA_ON_TOOL|STOA_ON_PLAN,
    .config = &stoa_policy_approval_struct,
    .doc = "lets a call of an MCP tool pass once a person of its publisher "
           "has approved it, and once only; until then it is answered with "
           "what waits (403 approval_required). Others than calls of tools "
           "pass"
};

#endif


#endif /* STOA_POLICY_APPROVAL_H */
