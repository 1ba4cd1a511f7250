/*
 * What a template of policies becomes with its parameters.
 */

#include <string.h>

#include "core/stoa_jschema.h"
#include "kinds/cp_policy_render.h"


#define CP_RENDER_NAME  64


/* What each set knows by itself. */
static const char *const  cp_render_own[] = { "tenant", "set", NULL };

/* What a policy is made of, beside its name and type. */
static const char *const  cp_made_members[] = { "title", "state", "config",
    "attach", NULL };


/* The placeholder at the mark "{{", or false. */
static bool
cp_render_name(const char *mark, char name[CP_RENDER_NAME], const char **end)
{
    size_t  n;

    n = strspn(mark + 2, "abcdefghijklmnopqrstuvwxyz"
               "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

    if (n == 0 || n >= CP_RENDER_NAME || strncmp(mark + 2 + n, "}}", 2) != 0)
    {
        return false;
    }

    memcpy(name, mark + 2, n);
    name[n] = '\0';
    *end = mark + n + 4;

    return true;
}


static bool
cp_render_known(const cp_json_t *parameters, const char *name)
{
    unsigned          i;
    const cp_json_t  *props;

    for (i = 0; cp_render_own[i]; i++) {
        if (strcmp(cp_render_own[i], name) == 0) {
            return true;
        }
    }

    props = cp_json_get(parameters, "properties");

    return props && cp_json_get(props, name) != NULL;
}


cp_rc_t
cp_policy_places_check(cp_arena_t *a, const cp_json_t *val,
    const cp_json_t *parameters, const char **why)
{
    char              name[CP_RENDER_NAME];
    cp_rc_t           rc;
    const char       *mark, *end;
    const cp_json_t  *m;

    if (val->type == CP_JSON_STRING) {
        for (mark = strstr(val->s, "{{"); mark; mark = strstr(end, "{{")) {

            if (!cp_render_name(mark, name, &end)) {
                *why = cp_arena_printf(a, "has \"%.40s\", which is no"
                                       " {{parameter}}", mark);
                return CP_DECLINED;
            }

            if (!cp_render_known(parameters, name)) {
                *why = cp_arena_printf(a, "has {{%s}}, which is none of the"
                                       " parameters", name);
                return CP_DECLINED;
            }
        }

        return CP_OK;
    }

    rc = CP_OK;

    for (m = val->first; m && rc == CP_OK; m = m->next) {
        rc = cp_policy_places_check(a, m, parameters, why);
    }

    return rc;
}


/* What is made counts against r->left before it grows. */
static bool
cp_render_room(cp_render_t *r, size_t len)
{
    if (len > r->left) {
        r->why = "becomes too large with these parameters";
        return false;
    }

    r->left -= len;

    return true;
}


/* A value within a text. */
static const char *
cp_render_text(cp_render_t *r, const char *name)
{
    const cp_json_t  *val;

    val = cp_json_get(r->values, name);

    if (val == NULL) {
        r->why = cp_arena_printf(r->arena, "the parameter \"%s\" is needed",
                                 name);
        return NULL;
    }

    if (val->type == CP_JSON_ARRAY || val->type == CP_JSON_OBJECT) {
        r->why = cp_arena_printf(r->arena, "the parameter \"%s\" cannot stand"
                                 " within a text", name);
        return NULL;
    }

    return val->type == CP_JSON_STRING ? val->s
                                       : cp_json_text(r->arena, val, NULL);
}


/* The one placeholder that a text is. */
static cp_json_t *
cp_render_whole(cp_render_t *r, const char *name)
{
    size_t            len;
    const cp_json_t  *val;

    val = cp_json_get(r->values, name);

    if (val == NULL) {
        return NULL;
    }

    if (cp_json_text(r->arena, val, &len) == NULL) {
        r->why = "becomes too large with these parameters";
        return NULL;
    }

    return cp_render_room(r, len) ? cp_json_copy(r->arena, val) : NULL;
}


static cp_json_t *
cp_render_string(cp_render_t *r, const char *s)
{
    char         name[CP_RENDER_NAME];
    const char  *mark, *end, *text;
    cp_json_t   *out;
    stoa_buf_t   b;

    mark = strstr(s, "{{");

    if (mark == s && cp_render_name(mark, name, &end) && *end == '\0') {
        return cp_render_whole(r, name);
    }

    stoa_buf_init(&b, r->left + STOA_JSCHEMA_BLOCK);

    for ( /* void */ ; mark; mark = strstr(s, "{{")) {
        if (!cp_render_name(mark, name, &end)) {
            break;
        }

        text = cp_render_text(r, name);

        if (text == NULL
            || !cp_render_room(r, (size_t) (mark - s) + strlen(text)))
        {
            break;
        }

        stoa_buf_add(&b, s, (size_t) (mark - s));
        stoa_buf_addz(&b, text);
        s = end;
    }

    out = NULL;

    if (r->why == NULL && cp_render_room(r, strlen(s))) {
        stoa_buf_addz(&b, s);
        out = cp_json_string(r->arena, cp_arena_strndup(r->arena, b.data,
                                                        b.len));
    }

    stoa_buf_free(&b);

    return out;
}


cp_json_t *
cp_policy_render(cp_render_t *r, const cp_json_t *val)
{
    cp_json_t        *out, *each;
    const cp_json_t  *m;

    if (val->type == CP_JSON_STRING) {
        return cp_render_string(r, val->s);
    }

    if (val->type != CP_JSON_ARRAY && val->type != CP_JSON_OBJECT) {
        return cp_json_copy(r->arena, val);
    }

    out = val->type == CP_JSON_ARRAY ? cp_json_array(r->arena)
                                     : cp_json_object(r->arena);

    for (m = val->first; m && r->why == NULL; m = m->next) {
        each = cp_policy_render(r, m);

        if (each == NULL) {
            continue;
        }

        if (val->type == CP_JSON_ARRAY) {
            cp_json_push(out, each);

        } else {
            cp_json_set(r->arena, out, m->key, each);
        }
    }

    return r->why ? NULL : out;
}


cp_rc_t
cp_policy_parameters(cp_op_t *op, const cp_json_t *schema, const char **at,
    const char **why)
{
    size_t            len;
    unsigned          i;
    stoa_rc_t         rc;
    stoa_buf_t        b;
    stoa_err_t        err;
    const char       *text, *type;
    const cp_json_t  *props;

    type = cp_json_str(schema, "type");
    props = cp_json_get(schema, "properties");
    *at = "";

    if (type && strcmp(type, "object") != 0) {
        *at = ".type";
        *why = "must be object";
        return CP_DECLINED;
    }

    text = cp_json_text(op->arena, schema, &len);
    if (text == NULL) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    memset(&err, 0, sizeof(err));
    stoa_buf_init(&b, STOA_JSCHEMA_BLOCK);
    rc = stoa_jschema_compile(text, len, &b, &err);
    stoa_buf_free(&b);

    if (rc != STOA_OK) {
        *at = err.field[0] ? cp_arena_printf(op->arena, ".%s", err.field) : "";
        *why = rc == STOA_DECLINED ? cp_arena_strdup(op->arena, err.text)
                                   : "is too large";
        return CP_DECLINED;
    }

    for (i = 0; props && cp_render_own[i]; i++) {
        if (cp_json_get(props, cp_render_own[i])) {
            *at = cp_arena_printf(op->arena, ".properties.%s",
                                  cp_render_own[i]);
            *why = "is known to each set by itself";
            return CP_DECLINED;
        }
    }

    return CP_OK;
}


static cp_rc_t
cp_values_judge(cp_op_t *op, const cp_json_t *schema, const cp_json_t *values)
{
    size_t            len, slen;
    stoa_rc_t         rc;
    stoa_buf_t        b;
    stoa_err_t        err;
    const char       *text, *said;
    stoa_json_val_t   root;

    said = cp_json_text(op->arena, schema, &slen);
    text = cp_json_text(op->arena, values, &len);

    if (said == NULL || text == NULL) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    memset(&err, 0, sizeof(err));
    stoa_buf_init(&b, STOA_JSCHEMA_BLOCK);
    rc = stoa_jschema_compile(said, slen, &b, NULL);

    if (rc == STOA_OK) {
        rc = stoa_json_check(text, len, STOA_JSON_DEPTH_MAX, &root, &err);
    }

    if (rc == STOA_OK) {
        rc = stoa_jschema_judge(b.data, &root, &err);
    }

    stoa_buf_free(&b);

    return rc == STOA_OK ? CP_OK
           : rc != STOA_DECLINED
           ? cp_err_set(&op->err, "internal", "no memory")
           : cp_err_field(&op->err, -1, 0,
                          cp_arena_printf(op->arena, "parameters%s%s",
                                          err.field[0] ? "." : "", err.field),
                          "%s", err.text);
}


cp_rc_t
cp_policy_values(cp_op_t *op, const cp_json_t *schema, const cp_json_t *given,
    cp_json_t **values)
{
    cp_arena_t       *a = op->arena;
    const cp_json_t  *props, *p, *m;

    props = cp_json_get(schema, "properties");
    *values = given ? cp_json_copy(a, given) : cp_json_object(a);

    for (m = (*values)->first; m; m = m->next) {
        if (props == NULL || cp_json_get(props, m->key) == NULL) {
            return cp_err_field(&op->err, -1, m->line,
                                cp_arena_printf(a, "parameters.%.64s",
                                                m->key),
                                "is no parameter of the template");
        }
    }

    for (p = props ? props->first : NULL; p; p = p->next) {
        m = p->type == CP_JSON_OBJECT ? cp_json_get(p, "default") : NULL;

        if (m && cp_json_get(*values, p->key) == NULL) {
            cp_json_set(a, *values, p->key, cp_json_copy(a, m));
        }
    }

    return cp_values_judge(op, schema, *values);
}


/* The members alone, so that they can be compared. */
static cp_json_t *
cp_made_of(cp_arena_t *a, const cp_json_t *row)
{
    unsigned          i;
    cp_json_t        *out;
    const cp_json_t  *m;

    out = cp_json_object(a);

    for (i = 0; cp_made_members[i]; i++) {
        m = cp_json_get(row, cp_made_members[i]);

        if (m && m->type != CP_JSON_NULL
            && !(m->type == CP_JSON_ARRAY && m->n == 0))
        {
            cp_json_set(a, out, cp_made_members[i], cp_json_copy(a, m));
        }
    }

    return out;
}


cp_rc_t
cp_policy_made(const cp_write_t *w, const cp_json_t *before, cp_json_t *after)
{
    cp_json_t   *made;
    cp_arena_t  *a = w->op->arena;

    if (w->given) {
        made = cp_made_of(a, after);
        cp_json_put(a, after, "policy_set", w->given->s);
        cp_json_set(a, after, "made", made);
        cp_json_set(a, after, "drifted", cp_json_bool(a, false));
        return CP_OK;
    }

    made = before ? cp_json_get(before, "made") : NULL;

    if (before == NULL && cp_json_get(after, "tenant")) {
        cp_json_set(a, after, "drifted", cp_json_bool(a, false));
    }

    if (made) {
        cp_json_set(a, after, "drifted",
                    cp_json_bool(a, !cp_json_equal(made,
                                                   cp_made_of(a, after))));
    }

    return CP_OK;
}
