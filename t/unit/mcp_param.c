/* Tests for arguments of tools that are told in headers. */

#include "stoa_mcp_param.h"
#include "tap.h"


#define SCHEMA(p)                                                             \
    "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\"," p "}}"
#define PROPS(p)   SCHEMA("\"properties\":{" p "}")
#define H(t, n)    "{\"type\":\"" t "\",\"x-mcp-header\":" n "}"

static const struct {
    const char         *what;
    const char         *def;
    stoa_mcp_params_e   is;
    unsigned            n;
} defs[] = {
    { "none", PROPS("\"a\":{\"type\":\"string\"}"), STOA_MCP_PARAMS_NONE, 0 },
    { "no schema", "{\"name\":\"t\"}", STOA_MCP_PARAMS_NONE, 0 },
    { "one", PROPS("\"a\":" H("string", "\"A\"")), STOA_MCP_PARAMS_SOME, 1 },
    { "three", PROPS("\"a\":" H("string", "\"A\"") ",\"b\":"
                     H("boolean", "\"B\"") ",\"c\":" H("integer", "\"C\"")),
      STOA_MCP_PARAMS_SOME, 3 },
    { "a number", PROPS("\"a\":" H("number", "\"A\"")),
      STOA_MCP_PARAMS_SOME, 1 },
    { "deeper", PROPS("\"o\":{\"type\":\"object\",\"properties\":{\"a\":"
                      H("string", "\"A\"") "}}"), STOA_MCP_PARAMS_SOME, 1 },
    { "a property of that name", PROPS("\"x-mcp-header\":"
      "{\"type\":\"string\"}"), STOA_MCP_PARAMS_NONE, 0 },
    { "a default", PROPS("\"a\":{\"default\":{\"x-mcp-header\":1}}"),
      STOA_MCP_PARAMS_NONE, 0 },
    { "an object", PROPS("\"a\":" H("object", "\"A\"")),
      STOA_MCP_PARAMS_INVALID, 0 },
    { "no type", PROPS("\"a\":{\"x-mcp-header\":\"A\"}"),
      STOA_MCP_PARAMS_INVALID, 0 },
    { "empty", PROPS("\"a\":" H("string", "\"\"")),
      STOA_MCP_PARAMS_INVALID, 0 },
    { "a line", PROPS("\"a\":" H("string", "\"A\\r\\nB\"")),
      STOA_MCP_PARAMS_INVALID, 0 },
    { "a space", PROPS("\"a\":" H("string", "\"A B\"")),
      STOA_MCP_PARAMS_INVALID, 0 },
    { "no text", PROPS("\"a\":" H("string", "1")),
      STOA_MCP_PARAMS_INVALID, 0 },
    { "twice", PROPS("\"a\":" H("string", "\"A\"") ",\"b\":"
                     H("string", "\"a\"")), STOA_MCP_PARAMS_INVALID, 1 },
    { "the schema itself", SCHEMA("\"x-mcp-header\":\"A\""),
      STOA_MCP_PARAMS_INVALID, 0 },
    { "items", PROPS("\"a\":{\"type\":\"array\",\"items\":"
                     H("string", "\"A\"") "}"), STOA_MCP_PARAMS_INVALID, 0 },
    { "oneOf", PROPS("\"a\":{\"oneOf\":[" H("string", "\"A\"") "]}"),
      STOA_MCP_PARAMS_INVALID, 0 },
    { "$defs", SCHEMA("\"$defs\":{\"a\":" H("string", "\"A\"") "}"),
      STOA_MCP_PARAMS_INVALID, 0 },
};


int
main(void)
{
    size_t            i;
    unsigned          n;
    stoa_rc_t         rc;
    stoa_err_t        err;
    stoa_json_val_t   root, args, val;
    stoa_mcp_param_t  params[STOA_MCP_PARAMS_MAX];

    static const char  text[] = "{\"o\":{\"b\":1,\"\\u0061\":\"v\"},"
                                "\"x\":null}";

    for (i = 0; i < tap_count(defs); i++) {
        tap_ok(stoa_json_check(defs[i].def, strlen(defs[i].def), 32, &root,
                               &err) == STOA_OK, "%s", defs[i].what);
        tap_int(stoa_mcp_params(&root, params, &n), defs[i].is, "what it is");

        if (defs[i].is == STOA_MCP_PARAMS_SOME) {
            tap_int(n, defs[i].n, "how many");
        }
    }

    rc = stoa_json_check(defs[5].def, strlen(defs[5].def), 32, &root, &err);
    (void) stoa_mcp_params(&root, params, &n);
    rc = stoa_json_check(text, sizeof(text) - 1, 32, &args, &err);
    tap_ok(rc == STOA_OK && stoa_mcp_param_value(&params[0], &args, &val)
           && stoa_json_eq(&val, "v", 1), "a value below another");

    rc = stoa_json_check("{\"o\":1}", 7, 32, &args, &err);
    tap_ok(rc == STOA_OK && !stoa_mcp_param_value(&params[0], &args, &val),
           "no way to it");
    args.start = NULL;
    tap_ok(!stoa_mcp_param_value(&params[0], &args, &val), "no arguments");

    return tap_done();
}
