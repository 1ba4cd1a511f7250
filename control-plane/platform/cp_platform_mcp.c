/*
 * The platform's own MCP server: POST /mcp, both eras on one URL.
 *
 * 2026-07-28 is stateless: each request names its version in _meta and in
 * headers that must agree with the body.  2025-11-25 and older begin with
 * initialize; this server needs no session and gives none.  The era is chosen
 * per request by its content.
 *
 * What the server is and which tools it has is the same for everybody and is
 * told to everybody, so that discovery can read it.  A call needs the
 * identity that a registered gateway signed.  A request with an Origin needs
 * it always: a page in a browser cannot make one.
 */

#include <string.h>

#include "core/stoa_media.h"
#include "auth/cp_auth.h"
#include "platform/cp_mcp_answer.h"
#include "platform/cp_platform.h"


#define CP_MCP_LEGACY   0x01
#define CP_MCP_MODERN   0x02
#define CP_MCP_BATCH    100                /* messages of a 2025-03-26 batch */

#define CP_MCP_TTL_MS   300000            /* the tools change with a release */

#define CP_META         "io.modelcontextprotocol/"

#define CP_INSTRUCTIONS                                                       \
    "Tools of the API platform itself: find APIs and MCP servers, read their "\
    "descriptions, see your subscriptions, your usage and the platform's "    \
    "health. Everything is about the application that calls."


typedef struct {
    const char  *name;
    unsigned     era;
} cp_mcp_version_t;


typedef struct {
    stoa_mcp_method_e   method;
    unsigned            eras;
    cp_rc_t           (*run)(cp_mcp_call_t *c, cp_json_t **result);
} cp_mcp_row_t;


static cp_rc_t cp_mcp_initialize(cp_mcp_call_t *c, cp_json_t **result);
static cp_rc_t cp_mcp_discover(cp_mcp_call_t *c, cp_json_t **result);
static cp_rc_t cp_mcp_ping(cp_mcp_call_t *c, cp_json_t **result);
static cp_rc_t cp_mcp_list(cp_mcp_call_t *c, cp_json_t **result);
static cp_rc_t cp_mcp_tool(cp_mcp_call_t *c, cp_json_t **result);


/* The newest of each era first. */
static const cp_mcp_version_t  cp_mcp_versions[] = {
    { "2026-07-28", CP_MCP_MODERN },
    { "2025-11-25", CP_MCP_LEGACY },
    { "2025-06-18", CP_MCP_LEGACY },
    { "2025-03-26", CP_MCP_LEGACY },
    { NULL, 0 }
};

static const cp_mcp_row_t  cp_mcp_rows[] = {
    { STOA_MCP_INITIALIZE, CP_MCP_LEGACY, cp_mcp_initialize },
    { STOA_MCP_PING, CP_MCP_LEGACY, cp_mcp_ping },
    { STOA_MCP_DISCOVER, CP_MCP_MODERN, cp_mcp_discover },
    { STOA_MCP_TOOLS_LIST, CP_MCP_LEGACY|CP_MCP_MODERN, cp_mcp_list },
    { STOA_MCP_TOOLS_CALL, CP_MCP_LEGACY|CP_MCP_MODERN, cp_mcp_tool },
    { STOA_MCP_OTHER, 0, NULL }
};


static unsigned
cp_mcp_era(const char *version)
{
    const cp_mcp_version_t  *v;

    for (v = cp_mcp_versions; v->name != NULL; v++) {
        if (strcmp(v->name, version) == 0) {
            return v->era;
        }
    }

    return 0;
}


static cp_json_t *
cp_mcp_supported(cp_arena_t *a)
{
    cp_json_t               *list;
    const cp_mcp_version_t  *v;

    list = cp_json_array(a);

    for (v = cp_mcp_versions; v->name != NULL; v++) {
        cp_json_push(list, cp_json_string(a, v->name));
    }

    return list;
}


static void
cp_mcp_unsupported(cp_mcp_call_t *c, const char *requested)
{
    cp_json_t   *data;
    cp_arena_t  *a;

    a = c->r->op.arena;
    data = cp_json_object(a);

    cp_json_set(a, data, "supported", cp_mcp_supported(a));
    cp_json_put(a, data, "requested", requested);
    cp_mcp_error(c, 400, CP_E_VERSION, "Unsupported protocol version", data);
}


/* A header without the optional white space around it; NULL: absent. */

static const char *
cp_mcp_header(cp_req_t *r, const char *name)
{
    size_t       len;
    const char  *v;

    v = cp_req_header(r, name);

    if (v == NULL) {
        return NULL;
    }

    v += strspn(v, " \t");
    len = strlen(v);

    while (len > 0 && (v[len - 1] == ' ' || v[len - 1] == '\t')) {
        len--;
    }

    return cp_arena_strndup(r->op.arena, v, len);
}


/* Headers and body must say the same; false: the error is the answer. */

static bool
cp_mcp_check_name(cp_mcp_call_t *c)
{
    char        *name, *decoded;
    size_t       len;
    const char  *header;

    if (c->msg.method != STOA_MCP_TOOLS_CALL) {
        return true;
    }

    header = cp_mcp_header(c->r, "Mcp-Name");
    name = cp_mcp_text(c->r->op.arena, &c->msg.name);

    if (header == NULL || name == NULL) {
        cp_mcp_error(c, 400, header == NULL ? CP_E_HEADER : CP_E_PARAMS,
                     header == NULL ? "Mcp-Name is missing"
                                    : "params.name must be a string", NULL);
        return false;
    }

    decoded = cp_arena_alloc(c->r->op.arena, strlen(header) + 1);

    if (decoded == NULL
        || stoa_mcp_header_decode(header, strlen(header), decoded, &len)
           != STOA_OK
        || len != strlen(name) || memcmp(decoded, name, len) != 0)
    {
        cp_mcp_error(c, 400, CP_E_HEADER,
                     "Mcp-Name does not match params.name", NULL);
        return false;
    }

    return true;
}


static bool
cp_mcp_check_modern(cp_mcp_call_t *c)
{
    char        *version;
    const char  *header, *method;

    version = cp_mcp_text(c->r->op.arena, &c->msg.meta_version);
    header = cp_mcp_header(c->r, "MCP-Protocol-Version");
    method = cp_mcp_header(c->r, "Mcp-Method");

    if (version == NULL) {
        cp_mcp_error(c, 400, CP_E_PARAMS,
                     "_meta lacks " CP_META "protocolVersion", NULL);
        return false;
    }

    if (header == NULL || strcmp(header, version) != 0) {
        cp_mcp_error(c, 400, CP_E_HEADER, "MCP-Protocol-Version does not "
                     "match the version in _meta", NULL);
        return false;
    }

    if ((cp_mcp_era(version) & CP_MCP_MODERN) == 0) {
        cp_mcp_unsupported(c, version);
        return false;
    }

    if (method == NULL || strlen(method) != c->msg.method_name.len
        || memcmp(method, c->msg.method_name.data, c->msg.method_name.len)
           != 0)
    {
        cp_mcp_error(c, 400, CP_E_HEADER,
                     "Mcp-Method does not match the method", NULL);
        return false;
    }

    if (!cp_mcp_check_name(c)) {
        return false;
    }

    if (c->msg.meta_caps.start == NULL
        || c->msg.meta_caps.type != STOA_JSON_OBJECT)
    {
        cp_mcp_error(c, 400, CP_E_PARAMS,
                     "_meta lacks " CP_META "clientCapabilities", NULL);
        return false;
    }

    return true;
}


static bool
cp_mcp_check_legacy(cp_mcp_call_t *c)
{
    const char  *header;

    header = cp_mcp_header(c->r, "MCP-Protocol-Version");

    /* absent means 2025-03-26; initialize comes before any agreement */
    if (header == NULL || c->msg.method == STOA_MCP_INITIALIZE
        || (cp_mcp_era(header) & CP_MCP_LEGACY) != 0)
    {
        return true;
    }

    cp_mcp_unsupported(c, header);

    return false;
}


static unsigned
cp_mcp_choose_era(cp_mcp_call_t *c)
{
    const char  *header;

    if (c->msg.meta_version.start != NULL
        || c->msg.method == STOA_MCP_DISCOVER)
    {
        return CP_MCP_MODERN;
    }

    if (c->msg.method == STOA_MCP_INITIALIZE) {
        return CP_MCP_LEGACY;
    }

    header = cp_mcp_header(c->r, "MCP-Protocol-Version");

    return (header != NULL && (cp_mcp_era(header) & CP_MCP_MODERN) != 0)
               ? CP_MCP_MODERN : CP_MCP_LEGACY;
}


static cp_json_t *
cp_mcp_info(cp_arena_t *a)
{
    cp_json_t  *info;

    info = cp_json_object(a);
    cp_json_put(a, info, "name", "stoa-control");
    cp_json_put(a, info, "title", "STOA platform");
    cp_json_put(a, info, "version", CP_VERSION);

    return info;
}


static cp_json_t *
cp_mcp_capabilities(cp_arena_t *a)
{
    cp_json_t  *caps;

    caps = cp_json_object(a);
    cp_json_set(a, caps, "tools", cp_json_object(a));

    return caps;
}


static cp_rc_t
cp_mcp_initialize(cp_mcp_call_t *c, cp_json_t **result)
{
    char        *version;
    cp_json_t   *v;
    cp_arena_t  *a;

    a = c->r->op.arena;
    version = cp_mcp_text(a, &c->msg.protocol_version);

    if (version == NULL) {
        cp_mcp_error(c, 200, CP_E_PARAMS,
                     "params.protocolVersion must be a string", NULL);
        return CP_DECLINED;
    }

    if ((cp_mcp_era(version) & CP_MCP_LEGACY) == 0) {
        version = "2025-11-25";
    }

    *result = v = cp_json_object(a);

    cp_json_put(a, v, "protocolVersion", version);
    cp_json_set(a, v, "capabilities", cp_mcp_capabilities(a));
    cp_json_set(a, v, "serverInfo", cp_mcp_info(a));
    cp_json_put(a, v, "instructions", CP_INSTRUCTIONS);

    return CP_OK;
}


/* What only 2026-07-28 has: how long a result may be kept, and by whom. */

static void
cp_mcp_cacheable(cp_mcp_call_t *c, cp_json_t *result)
{
    if (c->era == CP_MCP_MODERN) {
        cp_json_put_int(c->r->op.arena, result, "ttlMs", CP_MCP_TTL_MS);
        cp_json_put(c->r->op.arena, result, "cacheScope", "public");
    }
}


static cp_rc_t
cp_mcp_discover(cp_mcp_call_t *c, cp_json_t **result)
{
    cp_json_t   *v;
    cp_arena_t  *a;

    a = c->r->op.arena;
    *result = v = cp_json_object(a);

    cp_json_set(a, v, "supportedVersions", cp_mcp_supported(a));
    cp_json_set(a, v, "capabilities", cp_mcp_capabilities(a));
    cp_json_set(a, v, "serverInfo", cp_mcp_info(a));
    cp_json_put(a, v, "instructions", CP_INSTRUCTIONS);
    cp_mcp_cacheable(c, v);

    return CP_OK;
}


static cp_rc_t
cp_mcp_ping(cp_mcp_call_t *c, cp_json_t **result)
{
    *result = cp_json_object(c->r->op.arena);

    return CP_OK;
}


static cp_rc_t
cp_mcp_list(cp_mcp_call_t *c, cp_json_t **result)
{
    /* all tools fit one page, so no cursor was ever given out */
    if (c->msg.cursor.start != NULL) {
        cp_mcp_error(c, 200, CP_E_PARAMS, "Unknown cursor", NULL);
        return CP_DECLINED;
    }

    *result = cp_tool_list(c->r->op.arena);
    cp_mcp_cacheable(c, *result);

    return CP_OK;
}


static cp_rc_t
cp_mcp_tool(cp_mcp_call_t *c, cp_json_t **result)
{
    char             *name;
    cp_json_t        *args;
    const char       *message;
    const cp_tool_t  *tool;

    if (c->r->op.actor.application == NULL) {
        return cp_auth_assertion(&c->r->op, NULL);        /* says so */
    }

    name = cp_mcp_text(c->r->op.arena, &c->msg.name);
    tool = (name != NULL) ? cp_tool_find(name) : NULL;

    if (tool == NULL) {
        message = (name == NULL) ? "params.name must be a string"
                      : cp_arena_printf(c->r->op.arena, "Unknown tool: %s",
                                        name);
        cp_mcp_error(c, 200, CP_E_PARAMS, message, NULL);
        return CP_DECLINED;
    }

    args = cp_mcp_tree(c->r->op.arena, &c->msg.arguments);

    if (args != NULL && args->type != CP_JSON_OBJECT) {
        cp_mcp_error(c, 200, CP_E_PARAMS, "params.arguments must be an object",
                     NULL);
        return CP_DECLINED;
    }

    return cp_tool_call(&c->r->op, tool, args, result);
}


static void
cp_mcp_result(cp_mcp_call_t *c, cp_json_t *result)
{
    cp_json_t   *meta;
    cp_arena_t  *a;

    a = c->r->op.arena;

    if (c->era == CP_MCP_MODERN) {
        meta = cp_json_object(a);
        cp_json_set(a, meta, CP_META "serverInfo", cp_mcp_info(a));

        cp_json_put(a, result, "resultType", "complete");
        cp_json_set(a, result, "_meta", meta);
    }

    cp_mcp_envelope(c, "result", result);
}


static cp_rc_t
cp_mcp_run(cp_mcp_call_t *c)
{
    cp_rc_t              rc;
    cp_json_t           *result;
    const cp_mcp_row_t  *row;

    for (row = cp_mcp_rows; row->run != NULL; row++) {
        if (row->method == c->msg.method && (row->eras & c->era) != 0) {
            break;
        }
    }

    if (row->run == NULL) {
        /* to a legacy client 404 would mean that its session is gone */
        cp_mcp_error(c, c->era == CP_MCP_MODERN ? 404 : 200, CP_E_METHOD,
                     "Method not found", NULL);
        return CP_OK;
    }

    rc = row->run(c, &result);

    if (rc == CP_OK) {
        cp_mcp_result(c, result);

    } else if (rc == CP_ERROR) {
        cp_mcp_error(c, 200, CP_E_INTERNAL, "Internal error", NULL);
    }

    /* refused before there was anything to say in JSON-RPC: HTTP says it */
    return (rc == CP_CONFLICT || (rc == CP_DECLINED && c->answer == NULL))
               ? rc : CP_OK;
}


static void
cp_mcp_unreadable(cp_mcp_call_t *c, stoa_rc_t rc, int code,
    const stoa_err_t *err)
{
    const char  *text;

    if (rc != STOA_DECLINED) {
        cp_mcp_error(c, 400, CP_E_INTERNAL, "Internal error", NULL);
        return;
    }

    text = cp_arena_printf(c->r->op.arena, "%s%s%s", err->field,
                           err->field[0] != '\0' ? ": " : "", err->text);
    cp_mcp_error(c, 400, code, text, NULL);
}


/* One message; c->answer stays NULL for what needs none. */

static cp_rc_t
cp_mcp_message(cp_mcp_call_t *c, const char *data, size_t len, bool in_batch)
{
    int         code;
    stoa_rc_t   rc;
    stoa_err_t  err;

    c->status = 200;
    rc = stoa_jsonrpc_scan(data, len, &c->msg, &code, &err);
    c->id = cp_mcp_tree(c->r->op.arena, &c->msg.id);

    if (rc != STOA_OK) {
        cp_mcp_unreadable(c, rc, code, &err);
        return CP_OK;
    }

    if (c->msg.kind == STOA_JSONRPC_BATCH) {
        cp_mcp_error(c, 400, CP_E_REQUEST, "a batch is not taken here", NULL);
        return CP_OK;
    }

    if (in_batch && c->msg.method == STOA_MCP_INITIALIZE) {
        cp_mcp_error(c, 400, CP_E_REQUEST, "initialize must come alone", NULL);
        return CP_OK;
    }

    if (c->msg.kind != STOA_JSONRPC_REQUEST) {
        c->status = 202;
        return CP_OK;
    }

    c->era = cp_mcp_choose_era(c);

    if (c->era == CP_MCP_MODERN ? !cp_mcp_check_modern(c)
                                : !cp_mcp_check_legacy(c))
    {
        return CP_OK;
    }

    return cp_mcp_run(c);
}


/* An identity that is given must be right, even where none is needed. */

static cp_rc_t
cp_mcp_identify(cp_req_t *r)
{
    if (cp_req_header(r, "X-Stoa-Identity") == NULL) {
        return (cp_req_header(r, "Origin") == NULL) ? CP_OK
                   : cp_err_set(&r->op.err, "forbidden",
                                "an Origin needs an identity");
    }

    return cp_auth_assertion(&r->op, cp_req_header(r, "X-Stoa-Identity"));
}


/* Arrays exist in 2025-03-26 alone, whose clients send no version header or
 * that one. */

static cp_rc_t
cp_mcp_batch(cp_req_t *r, const stoa_json_val_t *root)
{
    cp_rc_t            rc;
    unsigned           n;
    cp_json_t         *answers;
    cp_mcp_call_t      c;
    stoa_json_val_t    item;
    stoa_json_iter_t   it;

    answers = cp_json_array(r->op.arena);
    n = 0;

    if (!stoa_json_first(root, &it, NULL, &item)) {
        n = CP_MCP_BATCH;                  /* an empty one is refused, too */
    }

    for ( ;; ) {
        memset(&c, 0, sizeof(c));
        c.r = r;

        if (n++ >= CP_MCP_BATCH) {
            cp_mcp_error(&c, 400, CP_E_REQUEST,
                         "a batch must have 1..100 messages", NULL);
            return cp_req_answer(r, 400, c.answer);
        }

        rc = cp_mcp_message(&c, item.start, (size_t) (item.end - item.start),
                            true);
        if (rc != CP_OK) {
            return rc;
        }

        cp_json_push(answers, c.answer);

        if (!stoa_json_next(&it, NULL, &item)) {
            break;
        }
    }

    return (answers == NULL || answers->n > 0)
               ? cp_req_answer(r, 200, answers) : cp_req_answer(r, 202, NULL);
}


static bool
cp_mcp_try_batch(cp_req_t *r, cp_rc_t *rc)
{
    stoa_err_t        err;
    const char       *version;
    stoa_json_val_t   root;

    version = cp_mcp_header(r, "MCP-Protocol-Version");

    /* the scanner says what is wrong with what this does not take */
    if ((version != NULL && strcmp(version, "2025-03-26") != 0)
        || stoa_json_check(r->body, r->body_len, STOA_JSON_DEPTH_MAX, &root,
                           &err) != STOA_OK
        || root.type != STOA_JSON_ARRAY)
    {
        return false;
    }

    *rc = cp_mcp_batch(r, &root);

    return true;
}


cp_rc_t
cp_platform_mcp(cp_req_t *r)
{
    cp_rc_t         rc;
    const char     *type, *coding;
    cp_mcp_call_t   c;

    type = cp_mcp_header(r, "Content-Type");
    coding = cp_mcp_header(r, "Content-Encoding");

    if (type == NULL || !stoa_media_is(type, strlen(type), "application/json")
        || (coding != NULL && !stoa_media_plain(coding, strlen(coding))))
    {
        return cp_err_set(&r->op.err, "unsupported_media_type",
                          "the body must be application/json in UTF-8, not "
                          "encoded");
    }

    rc = cp_mcp_identify(r);

    if (rc != CP_OK) {
        return rc;
    }

    cp_req_set_header(r, "Cache-Control", "no-store");

    if (cp_mcp_try_batch(r, &rc)) {
        return rc;
    }

    memset(&c, 0, sizeof(c));
    c.r = r;

    rc = cp_mcp_message(&c, r->body, r->body_len, false);

    if (rc != CP_OK) {
        return rc;
    }

    if (c.answer == NULL) {
        return (c.status == 202) ? cp_req_answer(r, 202, NULL)
                   : cp_err_set(&r->op.err, "internal", "out of memory");
    }

    return cp_req_answer(r, c.status, c.answer);
}


cp_rc_t
cp_platform_mcp_method(cp_req_t *r)
{
    cp_req_set_header(r, "Allow", "POST");

    return cp_err_set(&r->op.err, "method_not_allowed", "only POST");
}
