/*
 * The tools of the platform's MCP server: one table gives the list, the
 * check of the arguments and the call.
 */

#include <string.h>

#include "platform/cp_platform.h"


#define A_END  { NULL, 0, false, 0, 0, 0, NULL, NULL }

/* Schemas of the answers; an item may grow members later. */

#define S_ITEM                                                                \
    "\"kind\":{\"type\":\"string\",\"enum\":[\"rest\",\"mcp\",\"server\"]},"  \
    "\"tenant\":{\"type\":\"string\"},"                                       \
    "\"name\":{\"type\":\"string\"},"                                         \
    "\"title\":{\"type\":\"string\"},"                                        \
    "\"version\":{\"type\":\"string\"},"                                      \
    "\"description\":{\"type\":\"string\"},"                                  \
    "\"audience\":{\"type\":\"string\"},"                                     \
    "\"state\":{\"type\":\"string\"},"                                        \
    "\"sunset_at\":{\"type\":\"string\"},"                                    \
    "\"path\":{\"type\":\"string\",\"description\":"                          \
    "\"where the gateway serves it\"},"                                       \
    "\"host\":{\"type\":\"string\"},"                                         \
    "\"base_path\":{\"type\":\"string\"},"                                    \
    "\"subscription\":{\"type\":\"string\",\"description\":"                  \
    "\"none, or the state of the caller's subscription\"}"

#define S_COUNTS                                                              \
    "\"requests\":{\"type\":\"integer\"},\"c2xx\":{\"type\":\"integer\"},"    \
    "\"c3xx\":{\"type\":\"integer\"},\"c4xx\":{\"type\":\"integer\"},"        \
    "\"c5xx\":{\"type\":\"integer\"},\"bytes_in\":{\"type\":\"integer\"},"    \
    "\"bytes_out\":{\"type\":\"integer\"},"                                 \
    "\"tokens_in\":{\"type\":\"integer\"},"                                 \
    "\"tokens_out\":{\"type\":\"integer\"},"                                \
    "\"tokens_cached\":{\"type\":\"integer\"}"


static cp_rc_t cp_tool_search(cp_op_t *op, const cp_json_t *args,
    cp_json_t **out);
static cp_rc_t cp_tool_spec(cp_op_t *op, const cp_json_t *args,
    cp_json_t **out);
static cp_rc_t cp_tool_subscriptions(cp_op_t *op, const cp_json_t *args,
    cp_json_t **out);
static cp_rc_t cp_tool_usage(cp_op_t *op, const cp_json_t *args,
    cp_json_t **out);
static cp_rc_t cp_tool_health(cp_op_t *op, const cp_json_t *args,
    cp_json_t **out);


static const char *const  cp_tool_kinds[] = { "rest", "mcp", "server", NULL };

static const cp_tool_arg_t  cp_args_search[] = {
    { "query", CP_JSON_STRING, false, 0, CP_PLATFORM_QUERY_MAX, 0, NULL,
      "words that must all occur in name, title or description; "
      "without it everything is listed" },
    { "kind", CP_JSON_STRING, false, 0, 16, 0, cp_tool_kinds,
      "only REST APIs, only MCP APIs, or only MCP servers (bundles)" },
    { "limit", CP_JSON_INT, false, 1, CP_PLATFORM_LIMIT_MAX,
      CP_PLATFORM_LIMIT, NULL, "how many at most" },
    A_END
};

static const cp_tool_arg_t  cp_args_spec[] = {
    { "api", CP_JSON_STRING, true, 1, 2 * STOA_NAME_MAX + 1, 0, NULL,
      "name of an API, or tenant/name for another tenant's" },
    A_END
};

static const cp_tool_arg_t  cp_args_usage[] = {
    { "days", CP_JSON_INT, false, 1, CP_PLATFORM_DAYS_MAX, CP_PLATFORM_DAYS,
      NULL, "how many days back" },
    A_END
};


static const cp_tool_t  cp_tools[] = {

    { "stoa_catalog_search", "Search the API catalogue",
      "Finds the APIs and MCP servers that this application may see: its own "
      "tenant's, public ones, and those shared with its tenant.",
      cp_args_search,
      "{\"type\":\"object\",\"properties\":{\"items\":{\"type\":\"array\","
      "\"items\":{\"type\":\"object\",\"properties\":{" S_ITEM "},"
      "\"required\":[\"kind\",\"tenant\",\"name\",\"path\"]}},"
      "\"more\":{\"type\":\"boolean\"}},\"required\":[\"items\",\"more\"]}",
      cp_tool_search },

    { "stoa_api_spec", "Get an API's description",
      "Returns one API: for REST its operations and its OpenAPI document, for "
      "MCP the definitions of its tools.",
      cp_args_spec,
      "{\"type\":\"object\",\"properties\":{" S_ITEM ","
      "\"operations\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}},"
      "\"spec\":{\"description\":\"OpenAPI document\"},"
      "\"tools\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}},"
      "\"required\":[\"kind\",\"tenant\",\"name\",\"path\"]}",
      cp_tool_spec },

    { "stoa_my_subscriptions", "List my subscriptions",
      "Lists what this application is subscribed to, with the plan's limits, "
      "what is left of its quotas and the state of each subscription.",
      NULL,
      "{\"type\":\"object\",\"properties\":{"
      "\"application\":{\"type\":\"object\"},\"items\":{\"type\":\"array\","
      "\"items\":{\"type\":\"object\",\"properties\":{"
      "\"id\":{\"type\":\"string\"},\"state\":{\"type\":\"string\"},"
      "\"tenant\":{\"type\":\"string\"},\"kind\":{\"type\":\"string\"},"
      "\"name\":{\"type\":\"string\"},\"path\":{\"type\":\"string\"},"
      "\"plan\":{\"type\":\"object\"},\"quota\":{\"type\":\"object\"}},"
      "\"required\":[\"id\",\"state\",\"name\",\"plan\"]}}},"
      "\"required\":[\"application\",\"items\"]}",
      cp_tool_subscriptions },

    { "stoa_my_usage", "Show my usage",
      "Counts this application's calls per API and operation or tool, with "
      "status classes, bytes and latencies.",
      cp_args_usage,
      "{\"type\":\"object\",\"properties\":{\"from\":{\"type\":\"string\"},"
      "\"to\":{\"type\":\"string\"},\"total\":{\"type\":\"object\","
      "\"properties\":{" S_COUNTS "}},\"items\":{\"type\":\"array\","
      "\"items\":{\"type\":\"object\",\"properties\":{" S_COUNTS "}}}},"
      "\"required\":[\"from\",\"to\",\"total\",\"items\"]}",
      cp_tool_usage },

    { "stoa_platform_health", "Check the platform",
      "Tells whether the platform is well: its version, the revision of its "
      "configuration and how many gateways are online.",
      NULL,
      "{\"type\":\"object\",\"properties\":{\"status\":{\"type\":\"string\"},"
      "\"version\":{\"type\":\"string\"},\"time\":{\"type\":\"string\"},"
      "\"uptime_s\":{\"type\":\"integer\"},"
      "\"revision\":{\"type\":\"integer\"},"
      "\"gateways\":{\"type\":\"object\"}},"
      "\"required\":[\"status\",\"version\",\"gateways\"]}",
      cp_tool_health },

    { NULL, NULL, NULL, NULL, NULL, NULL }
};


const cp_tool_t *
cp_tool_find(const char *name)
{
    const cp_tool_t  *t;

    for (t = cp_tools; t->name != NULL; t++) {
        if (strcmp(t->name, name) == 0) {
            return t;
        }
    }

    return NULL;
}


static cp_json_t *
cp_tool_arg_schema(cp_arena_t *a, const cp_tool_arg_t *arg)
{
    bool               is_int;
    cp_json_t         *s, *values;
    const char *const *v;

    s = cp_json_object(a);
    is_int = (arg->type == CP_JSON_INT);
    cp_json_put(a, s, "type", is_int ? "integer" : "string");
    cp_json_put(a, s, "description", arg->doc);

    if (is_int) {
        cp_json_put_int(a, s, "minimum", arg->min);
        cp_json_put_int(a, s, "maximum", arg->max);
        cp_json_put_int(a, s, "default", arg->dflt);

    } else if (arg->values != NULL) {
        values = cp_json_array(a);

        for (v = arg->values; *v != NULL; v++) {
            cp_json_push(values, cp_json_string(a, *v));
        }

        cp_json_set(a, s, "enum", values);

    } else {
        cp_json_put_int(a, s, "maxLength", arg->max);
    }

    return s;
}


static cp_json_t *
cp_tool_input_schema(cp_arena_t *a, const cp_tool_arg_t *arg)
{
    cp_json_t  *s, *properties, *required;

    s = cp_json_object(a);
    properties = cp_json_object(a);
    required = cp_json_array(a);

    for ( /* void */ ; arg != NULL && arg->name != NULL; arg++) {
        cp_json_set(a, properties, arg->name, cp_tool_arg_schema(a, arg));

        if (arg->required) {
            cp_json_push(required, cp_json_string(a, arg->name));
        }
    }

    cp_json_put(a, s, "type", "object");
    cp_json_set(a, s, "properties", properties);

    if (required != NULL && required->n > 0) {
        cp_json_set(a, s, "required", required);
    }

    cp_json_put_bool(a, s, "additionalProperties", false);

    return s;
}


static cp_json_t *
cp_tool_definition(cp_arena_t *a, const cp_tool_t *tool)
{
    cp_json_t  *d, *output, *hints;

    d = cp_json_object(a);
    hints = cp_json_object(a);

    if (cp_json_parse(a, tool->output, strlen(tool->output), &output, NULL)
        != CP_OK)
    {
        output = NULL;                                     /* no memory */
    }

    cp_json_put(a, hints, "title", tool->title);
    cp_json_put_bool(a, hints, "readOnlyHint", true);
    cp_json_put_bool(a, hints, "destructiveHint", false);
    cp_json_put_bool(a, hints, "idempotentHint", true);
    cp_json_put_bool(a, hints, "openWorldHint", false);

    cp_json_put(a, d, "name", tool->name);
    cp_json_put(a, d, "title", tool->title);
    cp_json_put(a, d, "description", tool->doc);
    cp_json_set(a, d, "inputSchema", cp_tool_input_schema(a, tool->args));
    cp_json_set(a, d, "outputSchema", output);
    cp_json_set(a, d, "annotations", hints);

    return d;
}


cp_json_t *
cp_tool_list(cp_arena_t *a)
{
    cp_json_t        *list, *out;
    const cp_tool_t  *t;

    list = cp_json_array(a);
    out = cp_json_object(a);

    for (t = cp_tools; t->name != NULL; t++) {
        cp_json_push(list, cp_tool_definition(a, t));
    }

    cp_json_set(a, out, "tools", list);

    return out;
}


static cp_rc_t
cp_tool_check_arg(cp_op_t *op, const cp_tool_arg_t *arg, const cp_json_t *v)
{
    const char *const  *value;

    if (v->type != arg->type) {
        return cp_err_field(&op->err, -1, 0, arg->name, "must be %s",
                            arg->type == CP_JSON_INT ? "an integer"
                                                     : "a string");
    }

    if (arg->type == CP_JSON_INT) {
        if (v->i < arg->min || v->i > arg->max) {
            return cp_err_field(&op->err, -1, 0, arg->name,
                                "must be %lld..%lld", (long long) arg->min,
                                (long long) arg->max);
        }

        return CP_OK;
    }

    if (v->len > (size_t) arg->max || (int64_t) v->len < arg->min) {
        return cp_err_field(&op->err, -1, 0, arg->name,
                            "must have %lld..%lld bytes",
                            (long long) arg->min, (long long) arg->max);
    }

    for (value = arg->values; value != NULL; value++) {
        if (*value == NULL) {
            return cp_err_field(&op->err, -1, 0, arg->name,
                                "is none of the values of the schema");
        }

        if (strcmp(*value, v->s) == 0) {
            break;
        }
    }

    return CP_OK;
}


static cp_rc_t
cp_tool_check(cp_op_t *op, const cp_tool_t *tool, const cp_json_t *args)
{
    cp_rc_t               rc;
    const cp_json_t      *v;
    const cp_tool_arg_t  *arg;

    rc = CP_OK;

    for (v = (args != NULL) ? args->first : NULL; v != NULL; v = v->next) {

        for (arg = tool->args; arg != NULL && arg->name != NULL; arg++) {
            if (strcmp(arg->name, v->key) == 0) {
                break;
            }
        }

        if (arg == NULL || arg->name == NULL) {
            rc = cp_err_field(&op->err, -1, 0, v->key, "is not an argument");

        } else if (cp_tool_check_arg(op, arg, v) != CP_OK) {
            rc = CP_DECLINED;
        }
    }

    for (arg = tool->args; arg != NULL && arg->name != NULL; arg++) {
        if (arg->required && cp_json_get(args, arg->name) == NULL) {
            rc = cp_err_field(&op->err, -1, 0, arg->name, "is required");
        }
    }

    return rc;
}


/* A result with this text as its content. */

static cp_json_t *
cp_tool_result(cp_arena_t *a, const char *text)
{
    cp_json_t  *result, *content, *item;

    result = cp_json_object(a);
    content = cp_json_array(a);
    item = cp_json_object(a);

    cp_json_put(a, item, "type", "text");
    cp_json_put(a, item, "text", text);
    cp_json_push(content, item);
    cp_json_set(a, result, "content", content);

    return result;
}


/* A fault of the caller is a result, so that a model can read and mend it. */

static cp_rc_t
cp_tool_fault(cp_op_t *op, cp_json_t **result)
{
    cp_rc_t     rc;
    unsigned    i;
    stoa_buf_t  b;

    stoa_buf_init(&b, 16384);
    stoa_buf_addz(&b, op->err.detail != NULL ? op->err.detail
                                            : "the input is not valid");

    for (i = 0; i < op->err.n; i++) {
        stoa_buf_addf(&b, "\n%s: %s", op->err.faults[i].field,
                      op->err.faults[i].message);
    }

    rc = b.rc == STOA_OK ? CP_OK : CP_ERROR;

    if (rc == CP_OK) {
        *result = cp_tool_result(op->arena, b.data);
        cp_json_put_bool(op->arena, *result, "isError", true);
    }

    stoa_buf_free(&b);

    return rc;
}


cp_rc_t
cp_tool_call(cp_op_t *op, const cp_tool_t *tool, const cp_json_t *args,
    cp_json_t **result)
{
    cp_rc_t      rc;
    cp_json_t   *out;
    const char  *text;

    cp_op_clear(op);

    rc = cp_tool_check(op, tool, args);

    if (rc == CP_OK) {
        rc = tool->run(op, args, &out);
    }

    if (rc == CP_DECLINED) {
        return cp_tool_fault(op, result);
    }

    if (rc != CP_OK) {
        return rc;
    }

    text = cp_json_text(op->arena, out, NULL);

    if (text == NULL) {
        return CP_ERROR;
    }

    *result = cp_tool_result(op->arena, text);
    cp_json_set(op->arena, *result, "structuredContent", out);

    return CP_OK;
}


static cp_rc_t
cp_tool_search(cp_op_t *op, const cp_json_t *args, cp_json_t **out)
{
    return cp_platform_search(op, cp_json_str(args, "query"),
                              cp_json_str(args, "kind"),
                              cp_json_num(args, "limit", CP_PLATFORM_LIMIT),
                              out);
}


static cp_rc_t
cp_tool_spec(cp_op_t *op, const cp_json_t *args, cp_json_t **out)
{
    char        *tenant;
    const char  *api, *slash;

    api = cp_json_str(args, "api");
    slash = strchr(api, '/');

    if (slash == NULL) {
        return cp_platform_spec(op, NULL, api, out);
    }

    tenant = cp_arena_strndup(op->arena, api, (size_t) (slash - api));

    if (tenant == NULL) {
        return CP_ERROR;
    }

    return cp_platform_spec(op, tenant, slash + 1, out);
}


static cp_rc_t
cp_tool_subscriptions(cp_op_t *op, const cp_json_t *args, cp_json_t **out)
{
    (void) args;

    return cp_platform_subscriptions(op, out);
}


static cp_rc_t
cp_tool_usage(cp_op_t *op, const cp_json_t *args, cp_json_t **out)
{
    return cp_platform_usage(op, cp_json_num(args, "days", CP_PLATFORM_DAYS),
                             out);
}


static cp_rc_t
cp_tool_health(cp_op_t *op, const cp_json_t *args, cp_json_t **out)
{
    (void) args;

    return cp_platform_health(op, out);
}
