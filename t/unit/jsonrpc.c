/* Tests for the scanner of JSON-RPC messages and of MCP's header values. */

#include <stdlib.h>

#include "stoa_jsonrpc.h"
#include "tap.h"


#define V       "\"jsonrpc\":\"2.0\""
#define PRE     "io.modelcontextprotocol/"
#define REQ(p)  "{" V ",\"id\":1,\"method\":\"x\",\"params\":" p "}"


static const struct {
    const char           *in;
    stoa_jsonrpc_kind_e   kind;
    stoa_mcp_method_e     method;
    const char           *id;         /* values as written; "" none      */
    const char           *name;
    const char           *arguments;
    const char           *meta_version;
} good[] = {
    { "{" V ",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"a\","
      "\"arguments\":{\"name\":\"b\",\"_meta\":{}}}}",
      STOA_JSONRPC_REQUEST, STOA_MCP_TOOLS_CALL, "1", "\"a\"",
      "{\"name\":\"b\",\"_meta\":{}}", "" },
    { "{\"params\":{\"_meta\":{\"" PRE "protocolVersion\":\"2026-07-28\"},"
      "\"name\":\"a\"},\"method\":\"tools/call\",\"id\":\"x\"," V "}",
      STOA_JSONRPC_REQUEST, STOA_MCP_TOOLS_CALL, "\"x\"", "\"a\"", "",
      "\"2026-07-28\"" },
    { "{" V ",\"id\":0,\"method\":\"\\u0074ools\\/call\"}",
      STOA_JSONRPC_REQUEST, STOA_MCP_TOOLS_CALL, "0", "", "", "" },
    { "{\"\\u006asonrpc\":\"2\\u002e0\",\"\\u0069d\":-7,"
      "\"m\\u0065thod\":\"ping\",\"par\\u0061ms\":{\"n\\u0061me\":\"q\"}}",
      STOA_JSONRPC_REQUEST, STOA_MCP_PING, "-7", "\"q\"", "", "" },
    { "{" V ",\"method\":\"notifications/initialized\"}",
      STOA_JSONRPC_NOTIFICATION, STOA_MCP_INITIALIZED, "", "", "", "" },
    { "{" V ",\"method\":\"notifications/cancelled\",\"params\":"
      "{\"requestId\":3}}",
      STOA_JSONRPC_NOTIFICATION, STOA_MCP_CANCELLED, "", "", "", "" },
    { "{" V ",\"id\":1,\"method\":\"tools/list\"}",
      STOA_JSONRPC_REQUEST, STOA_MCP_TOOLS_LIST, "1", "", "", "" },
    { "{" V ",\"id\":1,\"method\":\"initialize\",\"params\":{}}",
      STOA_JSONRPC_REQUEST, STOA_MCP_INITIALIZE, "1", "", "", "" },
    { "{" V ",\"id\":1,\"method\":\"server/discover\"}",
      STOA_JSONRPC_REQUEST, STOA_MCP_DISCOVER, "1", "", "", "" },
    { "{" V ",\"id\":1,\"method\":\"TOOLS/CALL\"}",
      STOA_JSONRPC_REQUEST, STOA_MCP_OTHER, "1", "", "", "" },
    { "{" V ",\"id\":1,\"method\":\"\"}",
      STOA_JSONRPC_REQUEST, STOA_MCP_OTHER, "1", "", "", "" },
    { "{" V ",\"id\":\"\",\"result\":{\"name\":1,\"Name\":2}}",
      STOA_JSONRPC_RESPONSE, STOA_MCP_OTHER, "\"\"", "", "", "" },
    { "{" V ",\"id\":1,\"result\":null}",
      STOA_JSONRPC_RESPONSE, STOA_MCP_OTHER, "1", "", "", "" },
    { "{" V ",\"id\":1,\"error\":{\"code\":1}}",
      STOA_JSONRPC_RESPONSE, STOA_MCP_OTHER, "1", "", "", "" },
    { "[{" V ",\"id\":1,\"method\":\"ping\"}]",
      STOA_JSONRPC_BATCH, STOA_MCP_OTHER, "", "", "", "" },
    { "[]", STOA_JSONRPC_BATCH, STOA_MCP_OTHER, "", "", "", "" },

    /* names that lie elsewhere are not ours */
    { "{" V ",\"x\":{\"name\":\"evil\",\"Name\":1,\"_meta\":{\"" PRE
      "protocolVersion\":\"y\"}},\"id\":1,\"method\":\"x\",\"params\":"
      "{\"a\":1}}", STOA_JSONRPC_REQUEST, STOA_MCP_OTHER, "1", "", "", "" },
    { "{" V ",\"params\":{\"name\":\"a\"},\"id\":1,\"method\":\"x\","
      "\"x\":{\"name\":\"evil\"}}",
      STOA_JSONRPC_REQUEST, STOA_MCP_OTHER, "1", "\"a\"", "", "" },
    { REQ("{\"x\":{\"" PRE "protocolVersion\":\"y\",\"" PRE
          "ProtocolVersion\":1}}"),
      STOA_JSONRPC_REQUEST, STOA_MCP_OTHER, "1", "", "", "" },
    { REQ("{\"_meta\":{\"" PRE "protocolVersion\":\"a\"},\"arguments\":{\""
          PRE "protocolVersion\":\"b\"}}"),
      STOA_JSONRPC_REQUEST, STOA_MCP_OTHER, "1", "", "{\"" PRE
      "protocolVersion\":\"b\"}", "\"a\"" },
    { REQ("{\"arguments\":{\"Name\":1,\"METHOD\":2,\"_META\":{}}}"),
      STOA_JSONRPC_REQUEST, STOA_MCP_OTHER, "1", "",
      "{\"Name\":1,\"METHOD\":2,\"_META\":{}}", "" },
    { REQ("null"), STOA_JSONRPC_REQUEST, STOA_MCP_OTHER, "1", "", "", "" },
    { REQ("{\"name\":null,\"cursor\":null,\"arguments\":null,\"_meta\":null}"),
      STOA_JSONRPC_REQUEST, STOA_MCP_OTHER, "1", "", "", "" },
    { REQ("{\"arguments\":{\"a\":[{\"name\":1}]},\"names\":1}"),
      STOA_JSONRPC_REQUEST, STOA_MCP_OTHER, "1", "",
      "{\"a\":[{\"name\":1}]}", "" },
};

static const struct {
    const char  *in;
    int          code;
    const char  *id;
    const char  *field;
} bad[] = {
    { "", -32700, "", "" },
    { "{", -32700, "", "" },
    { "{\"id\":1", -32700, "1", "id" },
    { "{\"id\":1}{}", -32700, "1", "" },
    { "{" V ",\"id\":1,\"id\":2,\"method\":\"x\"}", -32700, "1", "id" },
    { "{" V ",\"id\":1,\"method\":\"x\",\"method\":\"y\"}", -32700, "1",
      "method" },
    { REQ("{\"name\":\"a\",\"name\":\"b\"}"), -32700, "1", "params.name" },
    { REQ("{\"name\":\"a\",\"n\\u0061me\":\"b\"}"), -32700, "1",
      "params.n\\u0061me" },
    { REQ("{\"_meta\":{\"a\":1,\"a\":2}}"), -32700, "1", "params._meta.a" },
    { REQ("{\"arguments\":{\"a\":1,\"a\":2}}"), -32700, "1",
      "params.arguments.a" },
    { REQ("{\"a\":NaN}"), -32700, "1", "params.a" },
    { REQ("{\"a\":\"\xff\"}"), -32700, "1", "params.a" },

    { "1", -32600, "", "" },
    { "\"x\"", -32600, "", "" },
    { "null", -32600, "", "" },
    { "{}", -32600, "", "jsonrpc" },
    { "{\"id\":1,\"method\":\"x\"}", -32600, "1", "jsonrpc" },
    { "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"x\"}", -32600, "1",
      "jsonrpc" },
    { "{\"jsonrpc\":2.0,\"id\":1,\"method\":\"x\"}", -32600, "1", "jsonrpc" },
    { "{" V ",\"id\":null,\"method\":\"x\"}", -32600, "", "id" },
    { "{" V ",\"id\":1.5,\"method\":\"x\"}", -32600, "", "id" },
    { "{" V ",\"id\":1e3,\"method\":\"x\"}", -32600, "", "id" },
    { "{" V ",\"id\":true,\"method\":\"x\"}", -32600, "", "id" },
    { "{" V ",\"id\":{},\"method\":\"x\"}", -32600, "", "id" },
    { "{" V ",\"id\":[1],\"method\":\"x\"}", -32600, "", "id" },
    { "{" V ",\"id\":1,\"method\":7}", -32600, "1", "method" },
    { "{" V ",\"id\":1,\"method\":null}", -32600, "1", "method" },
    { "{" V ",\"id\":1}", -32600, "1", "method" },
    { "{" V "}", -32600, "", "method" },
    { "{" V ",\"result\":1}", -32600, "", "id" },
    { "{" V ",\"id\":1,\"result\":1,\"error\":{}}", -32600, "1", "method" },
    { "{" V ",\"id\":1,\"error\":1}", -32600, "1", "error" },
    { "{" V ",\"id\":1,\"method\":\"x\",\"result\":1}", -32600, "1",
      "method" },
    { REQ("[]"), -32600, "1", "params" },
    { REQ("[{\"name\":\"x\"}]"), -32600, "1", "params" },
    { REQ("\"x\""), -32600, "1", "params" },

    { "{" V ",\"id\":1,\"method\":\"x\",\"Method\":\"y\"}", -32600, "1", "" },
    { "{" V ",\"id\":1,\"method\":\"x\",\"PARAMS\":{}}", -32600, "1", "" },
    { "{" V ",\"id\":1,\"method\":\"x\",\"ID\":2}", -32600, "1", "" },
    { "{" V ",\"id\":1,\"method\":\"x\",\"JsonRPC\":2}", -32600, "1", "" },
    { "{" V ",\"id\":1,\"method\":\"x\",\"param\xc5\xbf\":{}}", -32600, "1",
      "" },
    { "{" V ",\"id\":1,\"method\":\"x\",\"param\\u017f\":{}}", -32600, "1",
      "" },
    { "{" V ",\"id\":1,\"method\":\"x\",\"\\u004dethod\":{}}", -32600, "1",
      "" },
    { REQ("{\"Name\":\"a\"}"), -32600, "1", "" },
    { REQ("{\"name\":\"a\",\"NAME\":\"b\"}"), -32600, "1", "" },
    { REQ("{\"_Meta\":{}}"), -32600, "1", "" },
    { REQ("{\"argumentS\":{}}"), -32600, "1", "" },
    { REQ("{\"protocolversion\":\"b\"}"), -32600, "1", "" },
    { REQ("{\"_meta\":{\"" PRE "ProtocolVersion\":\"b\"}}"), -32600, "1",
      "" },
    { REQ("{\"_meta\":{\"IO.modelcontextprotocol/protocolVersion\":1}}"),
      -32600, "1", "" },

    { REQ("{\"name\":1}"), -32602, "1", "name" },
    { REQ("{\"arguments\":[]}"), -32602, "1", "arguments" },
    { REQ("{\"cursor\":1}"), -32602, "1", "cursor" },
    { REQ("{\"uri\":1}"), -32602, "1", "uri" },
    { REQ("{\"protocolVersion\":1}"), -32602, "1", "protocolVersion" },
    { REQ("{\"requestId\":true}"), -32602, "1", "requestId" },
    { REQ("{\"_meta\":1}"), -32602, "1", "_meta" },
    { REQ("{\"_meta\":[{\"" PRE "protocolVersion\":\"a\"}]}"), -32602, "1",
      "_meta" },
    { REQ("{\"_meta\":{\"" PRE "protocolVersion\":1}}"), -32602, "1",
      PRE "protocolVersion" },
    { REQ("{\"_meta\":{\"" PRE "clientCapabilities\":1}}"), -32602, "1",
      PRE "clientCapabilities" },
};

static const struct {
    const char  *in;
    const char  *out;             /* NULL: refused                        */
} headers[] = {
    { "", "" },
    { "echo", "echo" },
    { " \techo \t", "echo" },
    { "a b", "a b" },
    { "=?base64?ZWNobw==?=", "echo" },
    { " =?base64?ZWNobw==?= ", "echo" },
    { "=?base64?\?=", "" },
    { "=?base64?w6k=?=", "\xc3\xa9" },
    { "=?base64?YWJj?=", "abc" },
    { "=?base64?+/+/?=", NULL },
    { "=?base64?/w==?=", NULL },
    { "=?base64?ZWNobw=?=", NULL },
    { "=?base64?ZWNobw?=", NULL },
    { "=?base64?ZWNobx==?=", NULL },
    { "=?base64?w6l=?=", NULL },
    { "=?base64?ZWNobw===?=", NULL },
    { "=?base64?====?=", NULL },
    { "=?base64?Z===?=", NULL },
    { "=?base64?ZW Nv?=", NULL },
    { "=?base64?ZW=v?=", NULL },
    { "=?base64?ZW-_?=", NULL },
    { "=?base64?=", "=?base64?=" },
    { "=?base64?ZWNobw==", "=?base64?ZWNobw==" },
    { "=?BASE64?ZWNobw==?=", "=?BASE64?ZWNobw==?=" },
    { "ZWNobw==?=", "ZWNobw==?=" },
};


static bool
is(const stoa_json_val_t *val, const char *want)
{
    if (val->start == NULL) {
        return want[0] == '\0';
    }

    return (size_t) (val->end - val->start) == strlen(want)
           && memcmp(val->start, want, strlen(want)) == 0;
}


/* In memory of just its size, which stays until the next call. */

static stoa_rc_t
scan(const char *s, size_t len, stoa_jsonrpc_t *msg, int *code,
    stoa_err_t *err)
{
    static char  *copy;

    free(copy);
    copy = malloc(len ? len : 1);

    if (copy == NULL) {
        abort();
    }

    memcpy(copy, s, len);
    memset(err, 0, sizeof(stoa_err_t));

    return stoa_jsonrpc_scan(copy, len, msg, code, err);
}


static void
test_scan(void)
{
    int             code;
    size_t          i;
    stoa_rc_t       rc;
    stoa_err_t      err;
    stoa_jsonrpc_t  msg;

    for (i = 0; i < tap_count(good); i++) {
        rc = scan(good[i].in, strlen(good[i].in), &msg, &code, &err);

        if (!tap_ok(rc == STOA_OK && code == 0 && msg.kind == good[i].kind
                    && msg.method == good[i].method
                    && is(&msg.id, good[i].id)
                    && is(&msg.name, good[i].name)
                    && is(&msg.arguments, good[i].arguments)
                    && is(&msg.meta_version, good[i].meta_version),
                    "%s", good[i].in))
        {
            printf("# %d %s %s\n", rc, err.field, err.text);
        }
    }

    for (i = 0; i < tap_count(bad); i++) {
        rc = scan(bad[i].in, strlen(bad[i].in), &msg, &code, &err);

        if (!tap_ok(rc == STOA_DECLINED && code == bad[i].code
                    && is(&msg.id, bad[i].id)
                    && strcmp(err.field, bad[i].field) == 0
                    && err.text[0] != '\0' && msg.name.start == NULL,
                    "%d %s", bad[i].code, bad[i].in))
        {
            printf("# %d %d \"%s\" %s\n", rc, code, err.field, err.text);
        }
    }
}


static void
test_members(void)
{
    int             code;
    stoa_err_t      err;
    stoa_jsonrpc_t  msg;

    static const char  all[] =
        "{" V ",\"id\":1,\"method\":\"resources/read\",\"params\":{"
        "\"uri\":\"u\",\"cursor\":\"c\",\"protocolVersion\":\"p\","
        "\"requestId\":\"r\",\"_meta\":{\"progressToken\":1,"
        "\"" PRE "clientCapabilities\":{\"x\":1}}}}";
    static const char  escaped[] =
        "{" V ",\"id\":1,\"method\":\"\\u0074ools/x\"}";

    tap_int(scan(all, sizeof(all) - 1, &msg, &code, &err), STOA_OK,
            "all members");
    tap_str(msg.method_name.data, msg.method_name.len, "resources/read",
            "method_name");
    tap_ok(is(&msg.uri, "\"u\""), "uri");
    tap_ok(is(&msg.cursor, "\"c\""), "cursor");
    tap_ok(is(&msg.protocol_version, "\"p\""), "protocolVersion");
    tap_ok(is(&msg.request_id, "\"r\""), "requestId");
    tap_ok(is(&msg.meta, "{\"progressToken\":1,\"" PRE
              "clientCapabilities\":{\"x\":1}}"), "_meta");
    tap_ok(is(&msg.meta_caps, "{\"x\":1}"), "clientCapabilities");

    (void) scan(good[2].in, strlen(good[2].in), &msg, &code, &err);
    tap_str(msg.method_name.data, msg.method_name.len, "tools/call",
            "method_name of an escaped one that is known");

    tap_int(scan(escaped, sizeof(escaped) - 1, &msg, &code, &err), STOA_OK,
            "an escaped one that is not");
    tap_str(msg.method_name.data, msg.method_name.len, "", "has none");
}


static void
test_long_id(void)
{
    int             code;
    char            text[STOA_JSONRPC_ID_MAX + 64];
    size_t          n;
    stoa_err_t      err;
    stoa_jsonrpc_t  msg;

    static const size_t  head = sizeof("{" V ",\"method\":\"x\",\"id\":") - 1;

    for (n = STOA_JSONRPC_ID_MAX; n <= STOA_JSONRPC_ID_MAX + 1; n++) {
        memset(text, '7', sizeof(text));
        memcpy(text, "{" V ",\"method\":\"x\",\"id\":", head);
        text[head + n] = '}';

        if (n == STOA_JSONRPC_ID_MAX) {
            tap_int(scan(text, head + n + 1, &msg, &code, &err), STOA_OK,
                    "the longest id");
        } else {
            tap_int(scan(text, head + n + 1, &msg, &code, &err),
                    STOA_DECLINED, "one that is too long");
            tap_ok(code == -32600 && msg.id.start == NULL, "... is not told");
        }
    }
}


static void
test_headers(void)
{
    char       *copy, *dst;
    size_t      i, n, len;
    stoa_rc_t   rc;

    for (i = 0; i < tap_count(headers); i++) {
        n = strlen(headers[i].in);
        copy = malloc(n + 1);
        dst = malloc(n + 1);

        if (copy == NULL || dst == NULL) {
            abort();
        }

        memcpy(copy, headers[i].in, n);
        len = 0;
        rc = stoa_mcp_header_decode(copy, n, dst, &len);

        if (headers[i].out) {
            tap_ok(rc == STOA_OK && len == strlen(headers[i].out)
                   && memcmp(dst, headers[i].out, len) == 0,
                   "header \"%s\"", headers[i].in);
        } else {
            tap_ok(rc == STOA_DECLINED, "refused: \"%s\"", headers[i].in);
        }

        free(copy);
        free(dst);
    }
}


static const struct {
    const char  *in;
    const char  *out;
} encoded[] = {
    { "get_weather", "get_weather" },
    { "a b", "a b" },
    { " a", "=?base64?IGE=?=" },
    { "a ", "=?base64?YSA=?=" },
    { "\xc3\xa9", "=?base64?w6k=?=" },
    { "a\nb", "=?base64?YQpi?=" },
    { "=?base64?eA==?=", "=?base64?PT9iYXNlNjQ/ZUE9PT89?=" },
    { "", "=?base64?" "?=" },
};


static void
test_encode(void)
{
    char    dst[128], back[128];
    size_t  i, n, len;

    for (i = 0; i < tap_count(encoded); i++) {
        len = strlen(encoded[i].in);
        n = stoa_mcp_header_encode(encoded[i].in, len, dst);

        tap_str(dst, n, encoded[i].out, "a header's value");
        tap_ok(n <= stoa_mcp_header_size(len), "and its room");
        tap_ok(stoa_mcp_header_decode(dst, n, back, &n) == STOA_OK
               && n == len && memcmp(back, encoded[i].in, n) == 0,
               "and back");
    }
}


static const struct {
    const char  *in;
    const char  *name;           /* NULL: refused                         */
    bool         prompt;
} refs[] = {
    { "{\"type\":\"ref/prompt\",\"name\":\"a\"}", "\"a\"", true },
    { "{\"uri\":\"u\",\"type\":\"ref/resource\",\"x\":1}", "\"u\"", false },
    { "{\"t\\u0079pe\":\"ref/prompt\",\"name\":\"a\"}", "\"a\"", true },
    { "{\"type\":\"ref/prompt\",\"uri\":\"a\"}", NULL, false },
    { "{\"type\":\"ref/prompt\",\"name\":1}", NULL, false },
    { "{\"type\":\"ref/tool\",\"name\":\"a\"}", NULL, false },
    { "{\"type\":1,\"name\":\"a\"}", NULL, false },
    { "{\"name\":\"a\"}", NULL, false },
    { "{}", NULL, false },
    { "{\"type\":\"ref/prompt\",\"name\":\"a\",\"Name\":\"b\"}", NULL,
      false },
    { "{\"type\":\"ref/resource\",\"uri\":\"a\",\"URI\":\"b\"}", NULL,
      false },
    { "{\"type\":\"ref/prompt\",\"name\":\"a\",\"TYPE\":\"b\"}", NULL,
      false },
};


static void
test_refs(void)
{
    bool             prompt;
    size_t           i;
    stoa_rc_t        rc;
    stoa_err_t       err;
    stoa_json_val_t  root, name;

    for (i = 0; i < tap_count(refs); i++) {
        rc = stoa_json_check(refs[i].in, strlen(refs[i].in), 8, &root, &err);
        tap_ok(rc == STOA_OK, "%s", refs[i].in);

        rc = stoa_jsonrpc_ref(&root, &prompt, &name);

        if (refs[i].name == NULL) {
            tap_ok(rc == STOA_DECLINED, "is refused");
            continue;
        }

        tap_ok(rc == STOA_OK && prompt == refs[i].prompt, "is taken");
        tap_str(name.start, (size_t) (name.end - name.start), refs[i].name,
                "its name");
    }
}


int
main(void)
{
    test_encode();
    test_refs();
    test_scan();
    test_members();
    test_long_id();
    test_headers();

    return tap_done();
}
