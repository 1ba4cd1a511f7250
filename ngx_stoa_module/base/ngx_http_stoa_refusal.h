/*
 * Refusals: a row each, and the bodies made from it.
 *
 * Process: workers.  Lifetime: the rows are constant, bodies are in r->pool.
 */

#ifndef NGX_HTTP_STOA_REFUSAL_H
#define NGX_HTTP_STOA_REFUSAL_H


#include "ngx_http_stoa_ctx.h"


struct ngx_http_stoa_refusal_s {
    ngx_str_t                  code;            /* "rate_exceeded"           */
    ngx_uint_t                 status;
    ngx_str_t                  title;
    ngx_str_t                  detail;
    ngx_int_t                  jsonrpc;         /* error code on MCP         */
};

typedef enum {
    NGX_HTTP_STOA_REFUSE_NO_ROUTE = 0,
    NGX_HTTP_STOA_REFUSE_METHOD,
    NGX_HTTP_STOA_REFUSE_IP,
    NGX_HTTP_STOA_REFUSE_BODY_TOO_LARGE,
    NGX_HTTP_STOA_REFUSE_KEY_MISSING,
    NGX_HTTP_STOA_REFUSE_KEY_INVALID,
    NGX_HTTP_STOA_REFUSE_KEY_EXPIRED,
    NGX_HTTP_STOA_REFUSE_APPLICATION_SUSPENDED,
    NGX_HTTP_STOA_REFUSE_OWNER_DISABLED,
    NGX_HTTP_STOA_REFUSE_TENANT_SUSPENDED,
    NGX_HTTP_STOA_REFUSE_NOT_SUBSCRIBED,
    NGX_HTTP_STOA_REFUSE_SUB_PENDING,
    NGX_HTTP_STOA_REFUSE_SUB_SUSPENDED,
    NGX_HTTP_STOA_REFUSE_SUB_REVOKED,
    NGX_HTTP_STOA_REFUSE_SUB_EXPIRED,
    NGX_HTTP_STOA_REFUSE_RATE,
    NGX_HTTP_STOA_REFUSE_QUOTA,
    NGX_HTTP_STOA_REFUSE_CONCURRENCY,
    NGX_HTTP_STOA_REFUSE_LIMITS_UNAVAILABLE,
    NGX_HTTP_STOA_REFUSE_NOT_READY,
    NGX_HTTP_STOA_REFUSE_UPSTREAM_UNREACHABLE,
    NGX_HTTP_STOA_REFUSE_UPSTREAM_TIMEOUT,
    NGX_HTTP_STOA_REFUSE_UPSTREAM_INVALID,
    NGX_HTTP_STOA_REFUSE_BAD_REQUEST,       /* nginx's own 400              */
    NGX_HTTP_STOA_REFUSE_INTERNAL,          /* 500                          */
    NGX_HTTP_STOA_REFUSE_MCP_PARSE,         /* 400, -32700                  */
    NGX_HTTP_STOA_REFUSE_MCP_INVALID,       /* 400, -32600                  */
    NGX_HTTP_STOA_REFUSE_MCP_HEADER,        /* 400, -32020                  */
    NGX_HTTP_STOA_REFUSE_MCP_VERSION,       /* 400, -32022                  */
    NGX_HTTP_STOA_REFUSE_MCP_PARAMS,        /* 400, -32602                  */
    NGX_HTTP_STOA_REFUSE_MCP_METHOD,        /* 404, -32601                  */
    NGX_HTTP_STOA_REFUSE_MCP_METHOD_LEGACY, /* 200, -32601                  */
    NGX_HTTP_STOA_REFUSE_MCP_TOOL,          /* 200, -32602 unknown tool     */
    NGX_HTTP_STOA_REFUSE_MCP_PROMPT,        /* 200, -32602                  */
    NGX_HTTP_STOA_REFUSE_MCP_CURSOR,        /* 200, -32602                  */
    NGX_HTTP_STOA_REFUSE_MCP_RESOURCE,      /* 200, -32602                  */
    NGX_HTTP_STOA_REFUSE_MCP_RESOURCE_LEGACY,  /* 200, -32002               */
    NGX_HTTP_STOA_REFUSE_MCP_SESSION,       /* 404, -32001                  */
    NGX_HTTP_STOA_REFUSE_MCP_NO_SESSION,    /* 400, -32600                  */
    NGX_HTTP_STOA_REFUSE_MCP_ACCEPT,        /* 406                          */
    NGX_HTTP_STOA_REFUSE_MCP_CONTENT_TYPE,  /* 415                          */
    NGX_HTTP_STOA_REFUSE_MCP_ORIGIN,        /* 403                          */
    NGX_HTTP_STOA_REFUSE_MCP_UNKNOWN,       /* 400, -32600                  */
    NGX_HTTP_STOA_REFUSE_MCP_FLOOD,         /* 429                          */
    NGX_HTTP_STOA_REFUSE_WITHHELD,
    NGX_HTTP_STOA_REFUSE_UPGRADE,
    NGX_HTTP_STOA_REFUSE_UPSTREAM_LIMITED,  /* MCP: its own 429 ...         */
    NGX_HTTP_STOA_REFUSE_UPSTREAM_BUSY,     /* ... and 503                  */
    NGX_HTTP_STOA_REFUSE_UPSTREAM_CREDENTIAL,   /* 502: its 401, 403, 407   */
    NGX_HTTP_STOA_REFUSE_UPSTREAM_REDIRECT,     /* 502: its 3xx             */
    NGX_HTTP_STOA_REFUSE_URI_TOO_LONG,      /* 414                          */
    NGX_HTTP_STOA_REFUSE_HEADERS_TOO_LARGE, /* 431                          */
    NGX_HTTP_STOA_REFUSE_MCP_ARGUMENTS,     /* 200, -32602                  */
    NGX_HTTP_STOA_REFUSE_TOKEN_INVALID,     /* 401                          */
    NGX_HTTP_STOA_REFUSE_TOKEN_EXPIRED,     /* 401                          */
    NGX_HTTP_STOA_REFUSE_ISSUER,            /* 503                          */
    NGX_HTTP_STOA_REFUSE_SCOPE,             /* 403, also on MCP             */
    NGX_HTTP_STOA_REFUSE_ROLE,              /* 403                          */
    NGX_HTTP_STOA_REFUSE_MCP_UNTOLD,        /* 503                          */
    NGX_HTTP_STOA_REFUSE_COST,              /* 403                          */
    NGX_HTTP_STOA_REFUSE_NOT_KEPT,          /* 504                          */
    NGX_HTTP_STOA_REFUSE_RESULT,            /* 502                          */
    NGX_HTTP_STOA_REFUSE_MCP_STREAMS,       /* 429                          */
    NGX_HTTP_STOA_REFUSE_MCP_SESSIONS,      /* 429                          */
    NGX_HTTP_STOA_REFUSE_MCP_STATE,         /* 400, -32602                  */
    NGX_HTTP_STOA_REFUSE_MCP_CALL_LOST,     /* 502                          */
    NGX_HTTP_STOA_REFUSE_MCP_ELSEWHERE,     /* 503                          */
    NGX_HTTP_STOA_REFUSE_UPSTREAM_OPEN,     /* 503                          */
    NGX_HTTP_STOA_REFUSE_AUTHZ,             /* 503                          */
    NGX_HTTP_STOA_REFUSE_PROOF,             /* 401                          */
    NGX_HTTP_STOA_REFUSE_GRPC_ONLY,         /* 415                          */
    NGX_HTTP_STOA_REFUSE_GRPC_UNABLE,       /* 501                          */
    NGX_HTTP_STOA_REFUSE_MAX
} ngx_http_stoa_refuse_e;

/* Rows of policies come behind those above, when the configuration is read. */

#define NGX_HTTP_STOA_REFUSALS  (NGX_HTTP_STOA_REFUSE_MAX + 64)

extern ngx_http_stoa_refusal_t  ngx_http_stoa_refusals[];
extern ngx_uint_t               ngx_http_stoa_refusals_n;

void ngx_http_stoa_refusal_begin(void);
/* rows: NULL, or as far as one without a code; *first is their index. */
ngx_int_t ngx_http_stoa_refusal_add(const ngx_http_stoa_refusal_t *rows,
    ngx_uint_t *first);

/* Notes the refusal in the context and returns its status, which the phase
 * handler returns to nginx; the filters write the body.  detail: NULL for the
 * table's, else text in r->pool (no secrets). */
ngx_int_t ngx_http_stoa_refuse(ngx_http_request_t *r, ngx_uint_t what,
    ngx_str_t *detail);
/* The body that tells of ctx->call.refused; NGX_OK or NGX_ERROR. */
ngx_int_t ngx_http_stoa_refusal_page(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_uint_t status, ngx_str_t *type,
    ngx_str_t *body);
/* Sends a refusal with a status that nginx does not take for an error. */
ngx_int_t ngx_http_stoa_refusal_send(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* The row for a status that nginx made itself; NGX_DECLINED: leave it. */
ngx_int_t ngx_http_stoa_refusal_find(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_uint_t status);


#endif /* NGX_HTTP_STOA_REFUSAL_H */
