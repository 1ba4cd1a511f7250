/*
 * Reads one JSON-RPC 2.0 message of MCP: what must be known to route it,
 * judged on the very bytes that are forwarded (rows H1, H4, H5 of the
 * project's MCP checklist).
 *
 * One pass over the body with stoa_json's rules; no allocation while the open
 * objects have fewer than 64 members together, none more than 16.
 * Process: any.  Spans point into the caller's body.
 */

#ifndef STOA_JSONRPC_H
#define STOA_JSONRPC_H


#include "stoa_json.h"


#define STOA_JSONRPC_ID_MAX  8192     /* of an id, as it is written        */


typedef enum {
    STOA_JSONRPC_REQUEST, STOA_JSONRPC_NOTIFICATION, STOA_JSONRPC_RESPONSE,
    STOA_JSONRPC_BATCH             /* an array: spans below are not set    */
} stoa_jsonrpc_kind_e;


typedef enum {
    STOA_MCP_OTHER = 0,
    STOA_MCP_INITIALIZE, STOA_MCP_INITIALIZED, STOA_MCP_PING,
    STOA_MCP_DISCOVER, STOA_MCP_TOOLS_LIST, STOA_MCP_TOOLS_CALL,
    STOA_MCP_CANCELLED, STOA_MCP_PROMPTS_LIST, STOA_MCP_PROMPTS_GET,
    STOA_MCP_RESOURCES_LIST, STOA_MCP_RESOURCES_READ,
    STOA_MCP_TEMPLATES_LIST, STOA_MCP_COMPLETE, STOA_MCP_LISTEN,
    STOA_MCP_SUBSCRIBE, STOA_MCP_UNSUBSCRIBE, STOA_MCP_LEVEL, STOA_MCP_TASK,
    STOA_MCP_TASK_RESULT, STOA_MCP_TASK_UPDATE, STOA_MCP_TASK_LIST
} stoa_mcp_method_e;


typedef struct {
    stoa_jsonrpc_kind_e  kind;
    stoa_mcp_method_e    method;
    stoa_str_t           method_name;   /* what it says; "" for one that
                                           is OTHER and written with escapes */
    stoa_json_val_t      id;            /* string or integer; start NULL if
                                           there is none                    */
    stoa_json_val_t      params;        /* object; start NULL: none         */
    stoa_json_val_t      name;          /* params.name (string)             */
    stoa_json_val_t      uri;           /* params.uri (string)              */
    stoa_json_val_t      task_id;       /* params.taskId (string)           */
    stoa_json_val_t      task;          /* params.task (object)             */
    stoa_json_val_t      cursor;        /* params.cursor (string)           */
    stoa_json_val_t      arguments;     /* params.arguments (object)        */
    stoa_json_val_t      ref;           /* params.ref (object)              */
    stoa_json_val_t      protocol_version;  /* params.protocolVersion
                                           (string)                         */
    stoa_json_val_t      request_id;    /* params.requestId (as an id), of
                                           notifications/cancelled          */
    stoa_json_val_t      meta;          /* params._meta (object)            */
    stoa_json_val_t      meta_version;  /* _meta["io.modelcontextprotocol/
                                           protocolVersion"] (string)       */
    stoa_json_val_t      meta_caps;     /* ".../clientCapabilities" (object) */
    bool                 ambiguous;     /* a member that differs from one of
                                           the names above only in case     */
} stoa_jsonrpc_t;



/*
 * STOA_OK; STOA_DECLINED: err filled and *code set to
 *   -32700  no JSON (as stoa_json_check has it);
 *   -32600  JSON, but no message: jsonrpc not "2.0", id of a wrong type or
 *           null, or too long, method no string, params no object, result or
 *           error beside a method or each other, ambiguous members;
 *   -32602  a member of params that is named above has another type; null
 *           counts as absent there and for params, as clients and servers of
 *           MCP have it.
 * Where an id could be read it is set even then, so that the error can carry
 * it.  STOA_ERROR: no memory.
 */
stoa_rc_t stoa_jsonrpc_scan(const char *data, size_t len,
    stoa_jsonrpc_t *msg, int *code, stoa_err_t *err) STOA_MUST_CHECK;

/* The same, without the quick way through plain texts. */
stoa_rc_t stoa_jsonrpc_scan_strictly(const char *data, size_t len,
    stoa_jsonrpc_t *msg, int *code, stoa_err_t *err) STOA_MUST_CHECK;

/* What a completion is of: the name of a prompt, or the URI of a resource or
 * template.  STOA_DECLINED: neither, or a member that differs from theirs only
 * in case. */
stoa_rc_t stoa_jsonrpc_ref(const stoa_json_val_t *ref, bool *prompt,
    stoa_json_val_t *name) STOA_MUST_CHECK;

/* Decodes a header value in MCP's form: literal, or =?base64?...?=.  dst holds
 * at least len bytes.  STOA_DECLINED for bad base64. */
stoa_rc_t stoa_mcp_header_decode(const char *s, size_t len, char *dst,
    size_t *dst_len) STOA_MUST_CHECK;

/* Writes one; returns its length. */
#define stoa_mcp_header_size(len)  (((len) + 2) / 3 * 4 + 11)
size_t stoa_mcp_header_encode(const char *s, size_t len, char *dst);


#endif /* STOA_JSONRPC_H */
