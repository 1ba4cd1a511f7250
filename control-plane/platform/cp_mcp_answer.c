/*
 * Answers.
 */


#include "platform/cp_mcp_answer.h"


char *
cp_mcp_text(cp_arena_t *a, const stoa_json_val_t *v)
{
    char    *s;
    size_t   len;

    if (v->start == NULL || v->type != STOA_JSON_STRING) {
        return NULL;
    }

    s = cp_arena_alloc(a, (size_t) (v->end - v->start) + 1);

    if (s != NULL) {
        len = stoa_json_unescape(v, s);
        s[len] = '\0';
    }

    return s;
}


cp_json_t *
cp_mcp_tree(cp_arena_t *a, const stoa_json_val_t *v)
{
    cp_json_t  *tree;

    return v->start != NULL
           && cp_json_parse(a, v->start, (size_t) (v->end - v->start), &tree,
                            NULL) == CP_OK
           ? tree : NULL;
}


void
cp_mcp_envelope(cp_mcp_call_t *c, const char *member, cp_json_t *value)
{
    cp_arena_t  *a;

    a = c->r->op.arena;
    c->answer = cp_json_object(a);

    cp_json_put(a, c->answer, "jsonrpc", "2.0");
    cp_json_set(a, c->answer, "id",
                c->id != NULL ? c->id : cp_json_null(a));
    cp_json_set(a, c->answer, member, value);
}


void
cp_mcp_error(cp_mcp_call_t *c, int status, int code, const char *message,
    cp_json_t *data)
{
    cp_json_t   *e;
    cp_arena_t  *a;

    a = c->r->op.arena;
    e = cp_json_object(a);

    cp_json_put_int(a, e, "code", code);
    cp_json_put(a, e, "message", message);
    cp_json_set(a, e, "data", data);

    c->status = status;
    cp_mcp_envelope(c, "error", e);
}
