/*
 * A message of the platform's MCP server and its answer.
 * Process: stoa-control, one request, its arena.
 */

#ifndef CP_MCP_ANSWER_H
#define CP_MCP_ANSWER_H


#include "core/stoa_jsonrpc.h"
#include "http/cp_http.h"


#define CP_E_REQUEST    (-32600)
#define CP_E_METHOD     (-32601)
#define CP_E_PARAMS     (-32602)
#define CP_E_INTERNAL   (-32603)
#define CP_E_HEADER     (-32020)
#define CP_E_VERSION    (-32022)

/* One message and its answer. */

typedef struct {
    cp_req_t        *r;
    stoa_jsonrpc_t   msg;
    unsigned         era;
    int              status;       /* HTTP, of the answer                   */
    cp_json_t       *id;           /* NULL: none                            */
    cp_json_t       *answer;       /* NULL: nothing to say                  */
} cp_mcp_call_t;


/* A value of the body as text; NULL when it is no string. */
char *cp_mcp_text(cp_arena_t *a, const stoa_json_val_t *v);
/* ... as a tree; NULL when it is absent. */
cp_json_t *cp_mcp_tree(cp_arena_t *a, const stoa_json_val_t *v);

/* The answer is an object with this member beside the id. */
void cp_mcp_envelope(cp_mcp_call_t *c, const char *member, cp_json_t *value);
void cp_mcp_error(cp_mcp_call_t *c, int status, int code,
    const char *message, cp_json_t *data);


#endif /* CP_MCP_ANSWER_H */
