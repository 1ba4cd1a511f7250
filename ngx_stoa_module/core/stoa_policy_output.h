/*
 * output-schema: what a tool answers is what it says it answers.
 */

#ifndef STOA_POLICY_OUTPUT_H
#define STOA_POLICY_OUTPUT_H


#include "stoa_policy.h"


#define STOA_POLICY_OUTPUT(F, S)                                              \
    F(S, BOOL, required, 0, 1, 0, ,                                           \
      "an answer without structuredContent is refused, where its tool has "   \
      "an outputSchema")                                                      \
    F(S, BOOL, unreadable, 0, 1, 0, ,                                         \
      "answers of tools whose schema cannot be judged by pass unread")

STOA_POLICY_STRUCT(output, STOA_POLICY_OUTPUT)


#ifdef STOA_POLICY_TABLES

static const stoa_policy_type_t  stoa_policy_output = {
    .name = "output-schema", .id = 33, .version = 1, .order = STOA_ORDER_LATE,
    .scopes = STOA_ON_MCP_API|STOA_ON_TOOL,
    .config = &stoa_policy_output_struct,
    .doc = "refuses answers (502 output_mismatch) of tools whose "
           "structuredContent the outputSchema that they say does not fit"
};

#endif


#endif /* STOA_POLICY_OUTPUT_H */
