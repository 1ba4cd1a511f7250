/*
 * The scanner of JSON-RPC messages.
 */

#include <string.h>

#include "stoa_jsonrpc.h"


#define STOA_RPC_PARSE     -32700
#define STOA_RPC_REQUEST   -32600
#define STOA_RPC_PARAMS    -32602

#define STOA_RPC_DEPTH     3             /* message, params, _meta         */
#define STOA_RPC_NAME_MAX  64            /* of a name in the table         */

/* sets of types */
#define T_STRING  (1 << STOA_JSON_STRING)
#define T_OBJECT  (1 << STOA_JSON_OBJECT)
#define T_ID      (1 << STOA_JSON_STRING | 1 << STOA_JSON_NUMBER)
#define T_ANY     (T_ID | T_OBJECT | 1 << STOA_JSON_NULL                      \
                   | 1 << STOA_JSON_FALSE | 1 << STOA_JSON_TRUE               \
                   | 1 << STOA_JSON_ARRAY)


/*
 * Members are told when their value has ended, those of params before params
 * itself.  So what is found below a member of the message waits here until
 * that member's name is known: it is kept for params, forgotten otherwise;
 * the same with _meta one level below.
 */

typedef struct {
    stoa_jsonrpc_t  *msg;
    stoa_json_val_t  version;            /* jsonrpc                        */
    stoa_json_val_t  method;
    stoa_json_val_t  result;
    stoa_json_val_t  error;
    bool             params_done;
    bool             meta_done;
    bool             found[STOA_RPC_DEPTH + 1];      /* something, at depth */
    bool             ambiguous[STOA_RPC_DEPTH + 1];
} stoa_rpc_scan_t;


typedef struct {
    stoa_str_t   name;
    const char  *lower;
    bool         in_msg;                 /* else in the scan               */
    uint16_t     offset;
    uint16_t     types;
    uint16_t     depth;
    int          code;                   /* when its type is wrong         */
} stoa_rpc_member_t;


static void stoa_rpc_init(stoa_rpc_scan_t *s, stoa_jsonrpc_t *msg);
static bool stoa_rpc_place(void *ctx, unsigned place,
    const stoa_json_val_t *key, stoa_json_val_t **to, unsigned *inner);
static void stoa_rpc_member(void *ctx, unsigned depth,
    const stoa_json_val_t *key, const stoa_json_val_t *val);
static const stoa_rpc_member_t *stoa_rpc_find(const stoa_json_val_t *key,
    unsigned depth, bool *ambiguous);
static bool stoa_rpc_alike(const stoa_json_val_t *key, unsigned depth);
static size_t stoa_rpc_fold(char *s, size_t len);
static void stoa_rpc_forget(stoa_rpc_scan_t *s, unsigned depth);
static stoa_rc_t stoa_rpc_judge(stoa_rpc_scan_t *s, const char *data,
    const stoa_json_val_t *root, int *code, stoa_err_t *err);
static stoa_rc_t stoa_rpc_types(stoa_rpc_scan_t *s, const char *data,
    int *code, stoa_err_t *err);
static stoa_rc_t stoa_rpc_kind(stoa_rpc_scan_t *s, const char *data,
    stoa_err_t *err);
static stoa_rc_t stoa_rpc_fail(stoa_err_t *err, const char *data,
    const char *at, const char *field, const char *text);
static bool stoa_rpc_id_valid(const stoa_json_val_t *id);
static void stoa_rpc_method(stoa_jsonrpc_t *msg, const stoa_json_val_t *name);


#define OWN(d, n, l, m, t, c)                                                 \
    { { n, sizeof(n) - 1 }, l, false, offsetof(stoa_rpc_scan_t, m), t, d, c }
#define ROW(d, n, l, m, t, c)                                                 \
    { { n, sizeof(n) - 1 }, l, true, offsetof(stoa_jsonrpc_t, m), t, d, c }
#define META  "io.modelcontextprotocol/"

static const stoa_rpc_member_t  stoa_rpc_members[] = {
    OWN(1, "jsonrpc", "jsonrpc", version, T_STRING, STOA_RPC_REQUEST),
    ROW(1, "id", "id", id, T_ID, STOA_RPC_REQUEST),
    OWN(1, "method", "method", method, T_STRING, STOA_RPC_REQUEST),
    ROW(1, "params", "params", params, T_OBJECT, STOA_RPC_REQUEST),
    OWN(1, "result", "result", result, T_ANY, STOA_RPC_REQUEST),
    OWN(1, "error", "error", error, T_OBJECT, STOA_RPC_REQUEST),

    ROW(2, "name", "name", name, T_STRING, STOA_RPC_PARAMS),
    ROW(2, "arguments", "arguments", arguments, T_OBJECT,
        STOA_RPC_PARAMS),
    ROW(2, "ref", "ref", ref, T_OBJECT, STOA_RPC_PARAMS),
    ROW(2, "_meta", "_meta", meta, T_OBJECT, STOA_RPC_PARAMS),
    ROW(2, "cursor", "cursor", cursor, T_STRING, STOA_RPC_PARAMS),
    ROW(2, "taskId", "taskid", task_id, T_STRING, STOA_RPC_PARAMS),
    ROW(2, "task", "task", task, T_OBJECT, STOA_RPC_PARAMS),
    ROW(2, "uri", "uri", uri, T_STRING, STOA_RPC_PARAMS),
    ROW(2, "protocolVersion", "protocolversion", protocol_version,
        T_STRING, STOA_RPC_PARAMS),
    ROW(2, "requestId", "requestid", request_id, T_ID, STOA_RPC_PARAMS),

    ROW(3, META "protocolVersion", META "protocolversion", meta_version,
        T_STRING, STOA_RPC_PARAMS),
    ROW(3, META "clientCapabilities", META "clientcapabilities",
        meta_caps, T_OBJECT, STOA_RPC_PARAMS),
    { { NULL, 0 }, NULL, false, 0, 0, STOA_RPC_DEPTH + 1, 0 }
};

/* Of each depth: where its rows begin, how long its shortest name is. */
static const uint8_t  stoa_rpc_rows[] = { 0, 0, 6, 16, 18 };
static const uint8_t  stoa_rpc_shortest[] = { 0, 2, 3, sizeof(META) - 1 };


static const struct {
    stoa_str_t         name;
    stoa_mcp_method_e  method;
} stoa_rpc_methods[] = {
    { { "tools/call", 10 }, STOA_MCP_TOOLS_CALL },
    { { "tools/list", 10 }, STOA_MCP_TOOLS_LIST },
    { { "initialize", 10 }, STOA_MCP_INITIALIZE },
    { { "notifications/initialized", 25 }, STOA_MCP_INITIALIZED },
    { { "ping", 4 }, STOA_MCP_PING },
    { { "server/discover", 15 }, STOA_MCP_DISCOVER },
    { { "notifications/cancelled", 23 }, STOA_MCP_CANCELLED },
    { { "prompts/list", 12 }, STOA_MCP_PROMPTS_LIST },
    { { "prompts/get", 11 }, STOA_MCP_PROMPTS_GET },
    { { "resources/list", 14 }, STOA_MCP_RESOURCES_LIST },
    { { "resources/read", 14 }, STOA_MCP_RESOURCES_READ },
    { { "resources/templates/list", 24 }, STOA_MCP_TEMPLATES_LIST },
    { { "completion/complete", 19 }, STOA_MCP_COMPLETE },
    { { "subscriptions/listen", 20 }, STOA_MCP_LISTEN },
    { { "resources/subscribe", 19 }, STOA_MCP_SUBSCRIBE },
    { { "resources/unsubscribe", 21 }, STOA_MCP_UNSUBSCRIBE },
    { { "logging/setLevel", 16 }, STOA_MCP_LEVEL },
    { { "tasks/get", 9 }, STOA_MCP_TASK },
    { { "tasks/cancel", 12 }, STOA_MCP_TASK },
    { { "tasks/result", 12 }, STOA_MCP_TASK_RESULT },
    { { "tasks/update", 12 }, STOA_MCP_TASK_UPDATE },
    { { "tasks/list", 10 }, STOA_MCP_TASK_LIST },
};


static inline stoa_json_val_t *
stoa_rpc_val(stoa_rpc_scan_t *s, const stoa_rpc_member_t *m)
{
    return (stoa_json_val_t *) ((m->in_msg ? (char *) s->msg : (char *) s)
                                + m->offset);
}


stoa_rc_t
stoa_jsonrpc_scan(const char *data, size_t len, stoa_jsonrpc_t *msg,
    int *code, stoa_err_t *err)
{
    stoa_json_val_t  root;
    stoa_rpc_scan_t  s;

    stoa_rpc_init(&s, msg);

    if (stoa_json_plain(data, len, stoa_rpc_place, &s, &root)
        && stoa_rpc_judge(&s, data, &root, code, err) == STOA_OK)
    {
        return STOA_OK;
    }

    return stoa_jsonrpc_scan_strictly(data, len, msg, code, err);
}


static void
stoa_rpc_init(stoa_rpc_scan_t *s, stoa_jsonrpc_t *msg)
{
    s->msg = msg;
    s->params_done = false;
    stoa_rpc_forget(s, 1);

    msg->kind = STOA_JSONRPC_REQUEST;
    msg->method = STOA_MCP_OTHER;
    msg->method_name = stoa_str("");
    msg->ambiguous = false;
}


/* A name like one of ours but for its case is the strict reader's affair. */

static bool
stoa_rpc_place(void *ctx, unsigned place, const stoa_json_val_t *key,
    stoa_json_val_t **to, unsigned *inner)
{
    bool                      ambiguous;
    stoa_rpc_scan_t          *s;
    const stoa_rpc_member_t  *m;

    s = ctx;
    ambiguous = false;

    m = stoa_rpc_find(key, place, &ambiguous);

    if (m) {
        *to = stoa_rpc_val(s, m);

        if (*to == &s->msg->params || *to == &s->msg->meta) {
            *inner = place + 1;
        }
    }

    return !ambiguous;
}


stoa_rc_t
stoa_jsonrpc_scan_strictly(const char *data, size_t len, stoa_jsonrpc_t *msg,
    int *code, stoa_err_t *err)
{
    stoa_rc_t        rc;
    stoa_json_val_t  root;
    stoa_rpc_scan_t  s;

    stoa_rpc_init(&s, msg);
    *code = 0;

    rc = stoa_json_walk(data, len, STOA_JSON_DEPTH_MAX, STOA_RPC_DEPTH,
                        stoa_rpc_member, &s, &root, err);

    if (rc == STOA_OK) {
        rc = stoa_rpc_judge(&s, data, &root, code, err);

    } else if (rc == STOA_DECLINED) {
        *code = STOA_RPC_PARSE;
    }

    if (rc != STOA_OK) {
        if (!stoa_rpc_id_valid(&msg->id)) {
            msg->id.start = NULL;
        }

        msg->params.start = NULL;
        stoa_rpc_forget(&s, 2);
    }

    return rc;
}


static void
stoa_rpc_member(void *ctx, unsigned depth, const stoa_json_val_t *key,
    const stoa_json_val_t *val)
{
    stoa_json_val_t          *to;
    stoa_rpc_scan_t          *s;
    const stoa_rpc_member_t  *m;

    s = ctx;

    if ((depth > 1 && s->params_done) || (depth > 2 && s->meta_done)) {
        return;
    }

    m = stoa_rpc_find(key, depth, &s->ambiguous[depth]);
    to = NULL;

    if (m) {
        to = stoa_rpc_val(s, m);
        *to = *val;
    }

    s->found[depth] |= (m != NULL || s->ambiguous[depth]);

    if (depth == 1) {
        if (to == &s->msg->params) {
            s->params_done = true;

        } else if (!s->params_done && (s->found[2] || s->found[3])) {
            stoa_rpc_forget(s, 2);
        }

        return;
    }

    if (depth == 2) {
        if (to == &s->msg->meta) {
            s->meta_done = true;

        } else if (!s->meta_done && s->found[3]) {
            stoa_rpc_forget(s, 3);
        }
    }
}


static const stoa_rpc_member_t *
stoa_rpc_find(const stoa_json_val_t *key, unsigned depth, bool *ambiguous)
{
    size_t                    len;
    const stoa_rpc_member_t  *m;

    len = (size_t) (key->end - key->start) - 2;

    for (m = &stoa_rpc_members[stoa_rpc_rows[depth]]; m->depth == depth; m++) {
        if (key->escaped) {
            if (stoa_json_eq(key, m->name.data, m->name.len)) {
                return m;
            }

        } else if (len == m->name.len
                   && key->start[1] == m->name.data[0]
                   && memcmp(key->start + 1, m->name.data, len) == 0)
        {
            return m;
        }
    }

    if (stoa_rpc_alike(key, depth)) {
        *ambiguous = true;
    }

    return NULL;
}


/*
 * Would a reader that ignores case take this name for one of ours?  Some fold
 * as Unicode does, where two more characters become ASCII letters.
 */

static bool
stoa_rpc_alike(const stoa_json_val_t *key, unsigned depth)
{
    char                      name[6 * STOA_RPC_NAME_MAX + 2];
    size_t                    len;
    const stoa_rpc_member_t  *m;

    len = (size_t) (key->end - key->start);

    /* too short as written, or too long even if it is all escapes */

    if (len - 2 < stoa_rpc_shortest[depth] || len > sizeof(name)) {
        return false;
    }

    len = stoa_rpc_fold(name, stoa_json_unescape(key, name));

    for (m = &stoa_rpc_members[stoa_rpc_rows[depth]]; m->depth == depth; m++) {
        if (len == m->name.len && memcmp(name, m->lower, len) == 0) {
            return true;
        }
    }

    return false;
}


static size_t
stoa_rpc_fold(char *s, size_t len)
{
    char    c;
    size_t  i, n;

    n = 0;

    for (i = 0; i < len; i++) {
        c = s[i];

        if (c >= 'A' && c <= 'Z') {
            c |= 0x20;

        } else if (len - i >= 2 && memcmp(s + i, "\xc5\xbf", 2) == 0) {
            c = 's';                           /* U+017F, long s      */
            i += 1;

        } else if (len - i >= 3 && memcmp(s + i, "\xe2\x84\xaa", 3) == 0) {
            c = 'k';                           /* U+212A, Kelvin sign */
            i += 2;
        }

        s[n++] = c;
    }

    return n;
}


/* What was found at a depth and below. */

static void
stoa_rpc_forget(stoa_rpc_scan_t *s, unsigned depth)
{
    const stoa_rpc_member_t  *m;

    static const stoa_json_val_t  none;

    for (m = &stoa_rpc_members[stoa_rpc_rows[depth]]; m->name.data; m++) {
        *stoa_rpc_val(s, m) = none;
    }

    for ( /* void */ ; depth <= STOA_RPC_DEPTH; depth++) {
        s->found[depth] = false;
        s->ambiguous[depth] = false;
    }

    s->meta_done = false;
}


static stoa_rc_t
stoa_rpc_judge(stoa_rpc_scan_t *s, const char *data,
    const stoa_json_val_t *root, int *code, stoa_err_t *err)
{
    stoa_rc_t  rc;

    *code = STOA_RPC_REQUEST;

    if (root->type == STOA_JSON_ARRAY) {
        stoa_rpc_forget(s, 2);
        s->msg->kind = STOA_JSONRPC_BATCH;
        *code = 0;

        return STOA_OK;
    }

    if (root->type != STOA_JSON_OBJECT) {
        return stoa_rpc_fail(err, data, root->start, "", "must be an object");
    }

    s->msg->ambiguous = s->ambiguous[1]
                       || (s->msg->params.start
                           && (s->ambiguous[2] || s->ambiguous[3]));

    if (s->msg->ambiguous) {
        return stoa_rpc_fail(err, data, root->start, "",
                             "has a member that differs only in case");
    }

    if (!stoa_json_eq(&s->version, "2.0", 3) || s->version.start == NULL) {
        return stoa_rpc_fail(err, data, root->start, "jsonrpc",
                             "must be \"2.0\"");
    }

    rc = stoa_rpc_types(s, data, code, err);
    if (rc != STOA_OK) {
        return rc;
    }

    rc = stoa_rpc_kind(s, data, err);
    if (rc != STOA_OK) {
        return rc;
    }

    *code = 0;

    return STOA_OK;
}


static stoa_rc_t
stoa_rpc_types(stoa_rpc_scan_t *s, const char *data, int *code,
    stoa_err_t *err)
{
    bool                      ok;
    stoa_json_val_t          *val;
    const stoa_rpc_member_t  *m;

    for (m = stoa_rpc_members; m->name.data; m++) {
        val = stoa_rpc_val(s, m);

        if (val->start == NULL) {
            continue;
        }

        if (val->type == STOA_JSON_NULL
            && (m->depth > 1 || val == &s->msg->params))
        {
            val->start = NULL;
            continue;
        }

        ok = (m->types == T_ID) ? stoa_rpc_id_valid(val)
                                : (m->types >> val->type & 1);
        if (ok) {
            continue;
        }

        *code = m->code;

        return stoa_rpc_fail(err, data, val->start, m->name.data,
                             m->types == T_OBJECT ? "must be an object"
                             : m->types == T_STRING ? "must be a string"
                             : "must be a string or a whole number, of at "
                               "most 8 KiB");
    }

    return STOA_OK;
}


static stoa_rc_t
stoa_rpc_kind(stoa_rpc_scan_t *s, const char *data, stoa_err_t *err)
{
    stoa_jsonrpc_t  *msg;

    msg = s->msg;

    if (s->method.start) {
        if (s->result.start || s->error.start) {
            return stoa_rpc_fail(err, data, s->method.start, "method",
                                 "must not be beside result or error");
        }

        msg->kind = msg->id.start ? STOA_JSONRPC_REQUEST
                                  : STOA_JSONRPC_NOTIFICATION;
        stoa_rpc_method(msg, &s->method);

        return STOA_OK;
    }

    if ((s->result.start == NULL) == (s->error.start == NULL)) {
        return stoa_rpc_fail(err, data, data, "method", "is missing");
    }

    if (msg->id.start == NULL) {
        return stoa_rpc_fail(err, data, data, "id", "is missing");
    }

    msg->kind = STOA_JSONRPC_RESPONSE;

    return STOA_OK;
}


static stoa_rc_t
stoa_rpc_fail(stoa_err_t *err, const char *data, const char *at,
    const char *field, const char *text)
{
    stoa_err_at(err, data, (size_t) (at - data));

    return stoa_err_set(err, field, "%s", text);
}


/* A string or a whole number; what answers has to repeat it. */

static bool
stoa_rpc_id_valid(const stoa_json_val_t *id)
{
    const char  *p;

    if (id->start == NULL) {
        return true;
    }

    if (id->end - id->start > STOA_JSONRPC_ID_MAX) {
        return false;
    }

    if (id->type == STOA_JSON_STRING) {
        return true;
    }

    if (id->type != STOA_JSON_NUMBER) {
        return false;
    }

    for (p = id->start; p < id->end; p++) {
        if (*p == '.' || *p == 'e' || *p == 'E') {
            return false;
        }
    }

    return true;
}


static void
stoa_rpc_method(stoa_jsonrpc_t *msg, const stoa_json_val_t *name)
{
    size_t  i;

    for (i = 0; i < sizeof(stoa_rpc_methods) / sizeof(stoa_rpc_methods[0]);
         i++)
    {
        if (stoa_json_eq(name, stoa_rpc_methods[i].name.data,
                         stoa_rpc_methods[i].name.len))
        {
            msg->method = stoa_rpc_methods[i].method;
            msg->method_name = stoa_rpc_methods[i].name;

            return;
        }
    }

    if (!name->escaped) {
        msg->method_name.data = name->start + 1;
        msg->method_name.len = (size_t) (name->end - name->start) - 2;
    }
}


stoa_rc_t
stoa_jsonrpc_ref(const stoa_json_val_t *ref, bool *prompt,
    stoa_json_val_t *name)
{
    bool              more;
    char              text[6 * STOA_RPC_NAME_MAX + 2];
    size_t            i, len;
    stoa_json_val_t   key, val, found[3];
    stoa_json_iter_t  it;

    static const stoa_str_t  members[] = { { "type", 4 }, { "name", 4 },
                                           { "uri", 3 } };

    memset(found, 0, sizeof(found));

    for (more = stoa_json_first(ref, &it, &key, &val);
         more;
         more = stoa_json_next(&it, &key, &val))
    {
        if ((size_t) (key.end - key.start) > sizeof(text)) {
            continue;
        }

        len = stoa_json_unescape(&key, text);

        for (i = 0; i < 3; i++) {
            if (len == members[i].len
                && memcmp(text, members[i].data, len) == 0)
            {
                found[i] = val;
                break;
            }
        }

        len = i < 3 ? 0 : stoa_rpc_fold(text, len);

        for (i = 0; i < 3; i++) {
            if (len == members[i].len
                && memcmp(text, members[i].data, len) == 0)
            {
                return STOA_DECLINED;
            }
        }
    }

    if (found[0].start == NULL || found[0].type != STOA_JSON_STRING) {
        return STOA_DECLINED;
    }

    *prompt = stoa_json_eq(&found[0], "ref/prompt", 10);

    if (!*prompt && !stoa_json_eq(&found[0], "ref/resource", 12)) {
        return STOA_DECLINED;
    }

    *name = found[*prompt ? 1 : 2];

    return name->start && name->type == STOA_JSON_STRING ? STOA_OK
                                                         : STOA_DECLINED;
}
