/*
 * What "x-mcp-header" says.
 */

#include <string.h>
#include <strings.h>

#include "stoa_mcp_param.h"


#define STOA_MCP_PARAM_KEY  "x-mcp-header"

typedef struct {
    stoa_mcp_param_t  *params;
    unsigned           n;
    bool               invalid;
    stoa_mcp_param_t   at;               /* the path to where we are        */
} stoa_mcp_params_t;


static void stoa_mcp_params_schema(stoa_mcp_params_t *p,
    const stoa_json_val_t *schema, bool reachable);
static void stoa_mcp_params_below(stoa_mcp_params_t *p,
    const stoa_json_val_t *val);
static void stoa_mcp_params_add(stoa_mcp_params_t *p,
    const stoa_json_val_t *schema, const stoa_json_val_t *name);
static bool stoa_mcp_token(const char *s, size_t len);


stoa_mcp_params_e
stoa_mcp_params(const stoa_json_val_t *definition, stoa_mcp_param_t *params,
    unsigned *n)
{
    stoa_json_val_t    schema;
    stoa_mcp_params_t  p;

    p.params = params;
    p.n = 0;
    p.invalid = false;
    p.at.n = 0;

    if (stoa_json_get(definition, "inputSchema", &schema)
        && schema.type == STOA_JSON_OBJECT)
    {
        stoa_mcp_params_schema(&p, &schema, true);
    }

    *n = p.n;

    return p.invalid ? STOA_MCP_PARAMS_INVALID
           : p.n ? STOA_MCP_PARAMS_SOME : STOA_MCP_PARAMS_NONE;
}


/* The reader of JSON has bounded the depth. */

static void
stoa_mcp_params_schema(stoa_mcp_params_t *p, const stoa_json_val_t *schema,
    bool reachable)
{
    bool               more, deeper;
    size_t             i;
    stoa_json_val_t    key, val, name, prop;
    stoa_json_iter_t   it, props;

    /* values, not schemas */
    static const char *const  data[] = { "default", "const", "enum",
                                         "examples", NULL };

    for (more = stoa_json_first(schema, &it, &key, &val);
         more;
         more = stoa_json_next(&it, &key, &val))
    {
        if (stoa_json_eq(&key, STOA_MCP_PARAM_KEY,
                         sizeof(STOA_MCP_PARAM_KEY) - 1))
        {
            if (reachable && p->at.n) {
                stoa_mcp_params_add(p, schema, &val);
            } else {
                p->invalid = true;
            }

            continue;
        }

        if (!stoa_json_eq(&key, "properties", 10)
            || val.type != STOA_JSON_OBJECT)
        {
            for (i = 0; data[i]; i++) {
                if (stoa_json_eq(&key, data[i], strlen(data[i]))) {
                    break;
                }
            }

            if (data[i] == NULL) {
                stoa_mcp_params_below(p, &val);
            }

            continue;
        }

        for (deeper = stoa_json_first(&val, &props, &name, &prop);
             deeper;
             deeper = stoa_json_next(&props, &name, &prop))
        {
            if (prop.type != STOA_JSON_OBJECT) {
                continue;
            }

            if (!reachable || p->at.n == STOA_MCP_PARAM_DEPTH) {
                stoa_mcp_params_schema(p, &prop, false);
                continue;
            }

            p->at.path[p->at.n++] = name;
            stoa_mcp_params_schema(p, &prop, true);
            p->at.n--;
        }
    }
}


/* Schemas that no name alone leads to. */

static void
stoa_mcp_params_below(stoa_mcp_params_t *p, const stoa_json_val_t *val)
{
    bool               more;
    stoa_json_val_t    item;
    stoa_json_iter_t   it;

    if (val->type == STOA_JSON_OBJECT) {
        stoa_mcp_params_schema(p, val, false);
        return;
    }

    if (val->type != STOA_JSON_ARRAY) {
        return;
    }

    for (more = stoa_json_first(val, &it, NULL, &item);
         more;
         more = stoa_json_next(&it, NULL, &item))
    {
        stoa_mcp_params_below(p, &item);
    }
}


static void
stoa_mcp_params_add(stoa_mcp_params_t *p, const stoa_json_val_t *schema,
    const stoa_json_val_t *name)
{
    unsigned           i;
    stoa_str_t         header, type;
    stoa_mcp_param_t  *to;

    if (name->type != STOA_JSON_STRING || !stoa_json_text(name, &header)
        || !stoa_mcp_token(header.data, header.len)
        || !stoa_json_get_text(schema, "type", &type)
        || p->n == STOA_MCP_PARAMS_MAX)
    {
        p->invalid = true;
        return;
    }

    /* "number" is none of the words of the specification, and in use */

    p->at.number = (type.len == 7 && memcmp(type.data, "integer", 7) == 0)
                   || (type.len == 6 && memcmp(type.data, "number", 6) == 0);

    if (!p->at.number
        && !(type.len == 6 && memcmp(type.data, "string", 6) == 0)
        && !(type.len == 7 && memcmp(type.data, "boolean", 7) == 0))
    {
        p->invalid = true;
        return;
    }

    for (i = 0; i < p->n; i++) {
        if (p->params[i].header.len == header.len
            && strncasecmp(p->params[i].header.data, header.data, header.len)
               == 0)
        {
            p->invalid = true;
            return;
        }
    }

    to = &p->params[p->n++];
    *to = p->at;
    to->header = header;
}


static bool
stoa_mcp_token(const char *s, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if (!((s[i] >= '0' && s[i] <= '9') || (s[i] >= 'A' && s[i] <= 'Z')
              || (s[i] >= 'a' && s[i] <= 'z')
              || (s[i] && strchr("!#$%&'*+-.^_`|~", s[i]))))
        {
            return false;
        }
    }

    return len > 0;
}


bool
stoa_mcp_param_value(const stoa_mcp_param_t *p,
    const stoa_json_val_t *arguments, stoa_json_val_t *val)
{
    bool              more;
    unsigned          i;
    stoa_json_val_t   at, key;
    stoa_json_iter_t  it;

    at = *arguments;

    for (i = 0; i < p->n; i++) {
        if (at.start == NULL || at.type != STOA_JSON_OBJECT) {
            return false;
        }

        for (more = stoa_json_first(&at, &it, &key, val);
             more && !stoa_json_same(&key, &p->path[i]);
             more = stoa_json_next(&it, &key, val))
        {
            /* void */
        }

        if (!more) {
            return false;
        }

        at = *val;
    }

    return val->type != STOA_JSON_NULL;
}
