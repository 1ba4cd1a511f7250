/*
 * websocket: what a connection of WebSocket may be, and how much may come.
 */

#ifndef STOA_POLICY_WEBSOCKET_H
#define STOA_POLICY_WEBSOCKET_H


#include "stoa_policy.h"


#define STOA_POLICY_WEBSOCKET(F, S)                                           \
    F(S, U32, max_message_bytes, 0, UINT64_C(1) << 30, 0, ,                   \
      "of a message of the client, with all its frames, as it is sent "       \
      "(compressed); 0, here and below: no limit; else it closes (1009)")     \
    F(S, U32, max_answer_bytes, 0, UINT64_C(1) << 30, 0, ,                    \
      "the same of a message of the upstream")                                \
    F(S, U32, messages_per_s, 0, 1000000, 0, ,                                \
      "that the client may send, as many of them at once; else it closes "    \
      "(1008)")                                                               \
    F(S, U64, bytes_per_s, 0, UINT64_C(1) << 32, 0, ,                         \
      "the same of bytes in its frames; a longer frame than this closes")     \
    F(S, U32, idle_s, 0, 86400, 0, ,                                          \
      "without a frame from either side; then it closes (1001)")              \
    F(S, U32, max_s, 0, 2592000, 0, ,                                         \
      "from its handshake on; then it closes (1001)")                         \
    F(S, U32, ping_s, 0, 3600, 0, ,                                           \
      "the client gets a ping when nothing was sent to it for so long")       \
    F(S, U32, max_connections, 0, 65535, 0, ,                                 \
      "of an application at once, on each gateway; of callers without a "     \
      "credential: of an address. One more is refused (429)")                 \
    F(S, STRINGS, subprotocols, 0, 32, 0, ,                                   \
      "one of those that the client offers, if it does, has to be one of "    \
      "these, and so has the one that the upstream takes; none: any")         \
    F(S, STRINGS, origins, 0, 64, 0,                                          \
      STOA_VALID(stoa_policy_origin_valid, "must be an origin such as "       \
                 "https://app.example"),                                      \
      "pages that may connect; who sends no Origin is none; none: all")

STOA_POLICY_STRUCT(websocket, STOA_POLICY_WEBSOCKET)


#ifdef STOA_POLICY_TABLES

static const stoa_policy_type_t  stoa_policy_websocket = {
    .name = "websocket", .id = 29, .version = 1, .order = STOA_ORDER_LIMIT,
    .scopes = STOA_ON_GROUP|STOA_ON_TENANT|STOA_ON_API|STOA_ON_OPERATION
              |STOA_ON_PLAN|STOA_ON_APPLICATION,
    .config = &stoa_policy_websocket_struct,
    .doc = "judges handshakes of WebSocket (403 websocket_denied, 429 "
           "websocket_full) and, frame by frame, what comes after: a "
           "connection that breaks a rule, or RFC 6455, is closed with a "
           "code; of all that apply the tightest counts"
};

#endif


#endif /* STOA_POLICY_WEBSOCKET_H */
