/*
 * Reads one JSON-RPC 2.0 message of MCP: what must be known to route it,
 * judged on the very bytes that are forwarded (rows H1, H4, H5 of the
 * project's MCP checklist).
 *
 * One pass over the body with stoa_json's rules; no allocation for messages
 * with fewer than 64 members per object.
 * Process: any.  Spans point into the caller's body.
 */

#ifndef STOA_JSONRPC_H
#define STOA_JSONRPC_H


#include "stoa_json.h"


typedef enum {
    STOA_JSONRPC_REQUEST, STOA_JSONRPC_NOTIFICATION, STOA_JSONRPC_RESPONSE,
    STOA_JSONRPC_BATCH             /* an array: spans below are not set    */
} stoa_jsonrpc_kind_e;


typedef enum {
    STOA_MCP_OTHER = 0,
    STOA_MCP_INITIALIZE, STOA_MCP_INITIALIZED, STOA_MCP_PING,
    STOA_MCP_DISCOVER, STOA_MCP_TOOLS_LIST, STOA_MCP_TOOLS_CALL,
    STOA_MCP_CANCELLED
} stoa_mcp_method_e;


typedef struct {
    stoa_jsonrpc_kind_e  kind;
    stoa_mcp_method_e    method;
    stoa_str_t           method_name;   /* unescaped only if it had none;
                                           an escaped one is matched to
                                           `method` all the same            */
    stoa_json_val_t      id;            /* string or integer; start NULL if
                                           there is none                    */
    stoa_json_val_t      params;        /* object; start NULL: none         */
    stoa_json_val_t      name;          /* params.name (string)             */
    stoa_json_val_t      cursor;        /* params.cursor                    */
    stoa_json_val_t      arguments;     /* params.arguments                 */
    stoa_json_val_t      protocol_version;  /* params.protocolVersion       */
    stoa_json_val_t      meta;          /* params._meta                     */
    stoa_json_val_t      meta_version;  /* _meta["io.modelcontextprotocol/
                                           protocolVersion"]                */
    stoa_json_val_t      meta_caps;     /* ".../clientCapabilities"         */
    bool                 ambiguous;     /* a member that differs from one of
                                           the names above only in case     */
} stoa_jsonrpc_t;


/*
 * STOA_OK; STOA_DECLINED: err filled and *code set to -32700 (no JSON) or
 * -32600 (JSON, but no message: jsonrpc not "2.0", id of a wrong type or
 * null, method no string, params no object, ambiguous members).  Where an
 * id could be read it is set even then, so that the error can carry it.
 */
stoa_rc_t stoa_jsonrpc_scan(const char *data, size_t len,
    stoa_jsonrpc_t *msg, int *code, stoa_err_t *err) STOA_MUST_CHECK;

/* Decodes a header value in MCP's form: literal, or =?base64?...?=.  dst holds
 * at least len bytes.  STOA_DECLINED for bad base64. */
stoa_rc_t stoa_mcp_header_decode(const char *s, size_t len, char *dst,
    size_t *dst_len) STOA_MUST_CHECK;


#endif /* STOA_JSONRPC_H */
