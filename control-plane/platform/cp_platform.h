/*
 * What the platform tells the applications that call it: its catalogue, their
 * subscriptions, their usage.  Two doors to the same functions: the REST
 * interface /platform/v1 and the MCP server /mcp.
 *
 * Owner: nothing is kept.  Process: stoa-control, any thread; answers live in
 * the request's arena, and one that lacks something for want of memory is not
 * sent: cp_req_answer() looks.
 * Everything is told to the calling application only: op->actor of a
 * CP_AUTH_ASSERTION route.  What an application may not see does not exist.
 * Limits: CP_PLATFORM_WORDS words of a query, CP_PLATFORM_LIMIT_MAX rows of a
 * search, CP_PLATFORM_ROWS_MAX of anything else.
 */

#ifndef CP_PLATFORM_H
#define CP_PLATFORM_H


#include "http/cp_http.h"


#define CP_PLATFORM_WORDS        6
#define CP_PLATFORM_QUERY_MAX    200
#define CP_PLATFORM_LIMIT        20
#define CP_PLATFORM_LIMIT_MAX    100
#define CP_PLATFORM_ROWS_MAX     2000
#define CP_PLATFORM_DAYS         7
#define CP_PLATFORM_DAYS_MAX     31


/* query: words that must all occur in name, title or description; NULL or "":
 * everything.  kind: "rest", "mcp", "server" or NULL.  -> {items, more} */
cp_rc_t cp_platform_search(cp_op_t *op, const char *query, const char *kind,
    int64_t limit, cp_json_t **out) CP_MUST_CHECK;

/* tenant NULL: the caller's own.  -> one item of a search */
cp_rc_t cp_platform_api(cp_op_t *op, const char *tenant, const char *api,
    cp_json_t **out) CP_MUST_CHECK;

/* -> the same with `operations` and `spec`, or with `tools` */
cp_rc_t cp_platform_spec(cp_op_t *op, const char *tenant, const char *api,
    cp_json_t **out) CP_MUST_CHECK;

/* -> {application, items} */
cp_rc_t cp_platform_subscriptions(cp_op_t *op, cp_json_t **out)
    CP_MUST_CHECK;

/* -> {from, to, total, items} */
cp_rc_t cp_platform_usage(cp_op_t *op, int64_t days, cp_json_t **out)
    CP_MUST_CHECK;

/* -> {status, version, time, uptime_s, revision, gateways} */
cp_rc_t cp_platform_health(cp_op_t *op, cp_json_t **out) CP_MUST_CHECK;


/* The MCP tools (cp_platform_tools.c). */

typedef struct {
    const char         *name;      /* NULL ends                             */
    cp_json_type_e      type;      /* CP_JSON_STRING, CP_JSON_INT           */
    bool                required;
    int64_t             min;       /* INT                                   */
    int64_t             max;       /* INT; STRING: length                   */
    int64_t             dflt;      /* INT                                   */
    const char *const  *values;    /* STRING: one of                        */
    const char         *doc;
} cp_tool_arg_t;

typedef struct {
    const char           *name;
    const char           *title;
    const char           *doc;
    const cp_tool_arg_t  *args;    /* NULL: none                            */
    const char           *output;  /* JSON Schema                           */
    cp_rc_t             (*run)(cp_op_t *op, const cp_json_t *args,
                              cp_json_t **out);
} cp_tool_t;

const cp_tool_t *cp_tool_find(const char *name);
/* {tools: [...]} without what only one era has. */
cp_json_t *cp_tool_list(cp_arena_t *a);
/* A result {content, structuredContent} or {content, isError}.  args may be
 * NULL.  CP_ERROR: the platform's fault. */
cp_rc_t cp_tool_call(cp_op_t *op, const cp_tool_t *tool,
    const cp_json_t *args, cp_json_t **result) CP_MUST_CHECK;


cp_rc_t cp_platform_mcp(cp_req_t *r);             /* POST /mcp              */
cp_rc_t cp_platform_mcp_method(cp_req_t *r);      /* GET, DELETE /mcp: 405  */


#endif /* CP_PLATFORM_H */
