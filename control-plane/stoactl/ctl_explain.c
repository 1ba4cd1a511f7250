/*
 * The fields of a resource, as the control plane itself describes them in
 * /v1/openapi.json: for a terminal, and as docs/reference.md.
 */

#include <ctype.h>
#include <string.h>

#include "stoactl.h"


#define CTL_EXPLAIN_DEPTH  8
#define CTL_EXPLAIN_TEXT   512


/* "gateway-group" -> GatewayGroup of components.schemas; NULL: none. */

static const cp_json_t *
ctl_explain_schema(const cp_json_t *api, const char *kind)
{
    bool              upper;
    char              name[64];
    size_t            n;
    const cp_json_t  *schemas;

    for (n = 0, upper = true; *kind != '\0' && n < sizeof(name) - 1; kind++) {

        if (*kind == '-') {
            upper = true;
            continue;
        }

        name[n++] = upper ? (char) toupper((unsigned char) *kind) : *kind;
        upper = false;
    }

    name[n] = '\0';
    schemas = cp_json_get(api, "components");
    schemas = (schemas != NULL) ? cp_json_get(schemas, "schemas") : NULL;

    return (schemas != NULL) ? cp_json_get(schemas, name) : NULL;
}


/* The object whose members a field has: itself, or an array's items. */

static const cp_json_t *
ctl_explain_members(const cp_json_t *schema)
{
    const cp_json_t  *items;

    items = cp_json_get(schema, "items");

    return cp_json_get((items != NULL) ? items : schema, "properties");
}


static void
ctl_explain_words(stoa_buf_t *b, const cp_json_t *words)
{
    const cp_json_t  *v;

    for (v = words->first; v != NULL; v = v->next) {
        stoa_buf_addf(b, "%s%s", (v != words->first) ? ", " : "",
                      (v->s != NULL) ? v->s : "");
    }
}


/* "integer 1 to 31", "one of: a, b", "array of string, at most 10". */

static const char *
ctl_explain_type(ctl_t *c, const cp_json_t *s)
{
    const char       *type, *item, *format, *text;
    stoa_buf_t        b;
    const cp_json_t  *items, *v;

    stoa_buf_init(&b, CTL_EXPLAIN_TEXT);
    type = cp_json_str(s, "type");
    format = cp_json_str(s, "format");
    items = cp_json_get(s, "items");
    v = cp_json_get(s, "enum");

    if (v != NULL) {
        ctl_explain_words(&b, v);

    } else if (format != NULL && strcmp(format, "date-time") == 0) {
        stoa_buf_addz(&b, "time (RFC 3339)");

    } else if (items != NULL) {
        item = cp_json_str(items, "type");
        stoa_buf_addf(&b, "array of %s, %lld to %lld",
                      (item != NULL) ? item : "any",
                      (long long) cp_json_num(s, "minItems", 0),
                      (long long) cp_json_num(s, "maxItems", 0));

    } else {
        stoa_buf_addz(&b, (type != NULL) ? type : "any");
    }

    if (v == NULL && cp_json_get(s, "maximum") != NULL) {
        stoa_buf_addf(&b, " %lld to %lld",
                      (long long) cp_json_num(s, "minimum", 0),
                      (long long) cp_json_num(s, "maximum", 0));
    }

    if (cp_json_get(s, "maxLength") != NULL) {
        stoa_buf_addf(&b, ", at most %lld characters",
                      (long long) cp_json_num(s, "maxLength", 0));
    }

    text = (b.rc == STOA_OK) ? cp_arena_strdup(c->arena, b.data) : "";
    stoa_buf_free(&b);

    return text;
}


static bool
ctl_explain_required(const cp_json_t *object, const char *name)
{
    const cp_json_t  *v;

    v = cp_json_get(object, "required");

    for (v = (v != NULL) ? v->first : NULL; v != NULL; v = v->next) {
        if (v->s != NULL && strcmp(v->s, name) == 0) {
            return true;
        }
    }

    return false;
}


static cp_json_t *
ctl_explain_row(ctl_t *c, const char *path, const cp_json_t *field,
    bool required)
{
    const char       *text;
    cp_json_t        *row;
    const cp_json_t  *dflt, *ro;

    dflt = cp_json_get(field, "default");
    ro = cp_json_get(field, "readOnly");
    text = required ? "required"
           : (ro != NULL && ro->i) ? "read-only"
           : (dflt == NULL) ? ""
           : (dflt->type == CP_JSON_STRING) ? dflt->s
           : cp_json_text(c->arena, dflt, NULL);

    row = cp_json_object(c->arena);
    cp_json_put(c->arena, row, "field", path);
    cp_json_put(c->arena, row, "type", ctl_explain_type(c, field));
    cp_json_put(c->arena, row, "default", text);
    text = cp_json_str(field, "description");
    cp_json_put(c->arena, row, "description", (text != NULL) ? text : "");

    return row;
}


/* All fields below an object, those of members behind their own. */

static void
ctl_explain_rows(ctl_t *c, const cp_json_t *schema, const char *prefix,
    unsigned depth, cp_json_t *rows)
{
    const char       *path;
    const cp_json_t  *field, *members, *items;

    members = ctl_explain_members(schema);
    items = cp_json_get(schema, "items");

    if (members == NULL || depth == CTL_EXPLAIN_DEPTH) {
        return;
    }

    for (field = members->first; field != NULL; field = field->next) {

        path = cp_arena_printf(c->arena, "%s%s%s%s", prefix,
                               (*prefix != '\0') ? "." : "", field->key,
                               cp_json_get(field, "items") != NULL
                               && ctl_explain_members(field) != NULL
                               ? "[]" : "");

        cp_json_push(rows, ctl_explain_row(c, path, field,
                         ctl_explain_required((items != NULL) ? items
                                                              : schema,
                                              field->key)));
        ctl_explain_rows(c, field, path, depth + 1, rows);
    }
}


static void
ctl_explain_markdown(const cp_json_t *rows)
{
    const cp_json_t  *row;

    puts("| field | type | default | meaning |\n|---|---|---|---|");

    for (row = rows->first; row != NULL; row = row->next) {
        printf("| `%s` | %s | %s | %s |\n", cp_json_str(row, "field"),
               cp_json_str(row, "type"), cp_json_str(row, "default"),
               cp_json_str(row, "description"));
    }

    putchar('\n');
}


static ctl_exit_e
ctl_explain_page(ctl_t *c, const cp_json_t *api)
{
    cp_json_t         *rows;
    const ctl_kind_t  *kind;
    const cp_json_t   *schema, *schemas;

    puts("# Fields\n\nEvery resource with its fields, as `stoactl explain "
         "KIND` prints them too.\nThis page is the output of `stoactl explain "
         "--markdown`.\n\n`x[]` is a list; `required` has no default, "
         "`read-only` fields are told, never\nset. In a document "
         "([control-plane.md](control-plane.md)) the name is in\n"
         "`metadata`, the rest in `spec`.\n");

    for (kind = ctl_kinds; kind->kind != NULL; kind++) {

        schema = ctl_explain_schema(api, kind->kind);

        if (schema != NULL) {
            rows = cp_json_array(c->arena);
            ctl_explain_rows(c, schema, "", 0, rows);
            printf("## %s\n\n`%s`\n\n", kind->kind, kind->path);
            ctl_explain_markdown(rows);
        }
    }

    schemas = cp_json_get(cp_json_get(api, "components"), "schemas");

    for (schema = schemas->first; schema != NULL; schema = schema->next) {

        if (strncmp(schema->key, "PolicyConfig", 12) == 0) {
            rows = cp_json_array(c->arena);
            ctl_explain_rows(c, schema, "", 0, rows);
            printf("## policy-config-%s\n\n`config` of a policy of type `%s`: "
                   "%s.\n\n", cp_json_str(schema, "title"),
                   cp_json_str(schema, "title"),
                   cp_json_str(schema, "description"));
            ctl_explain_markdown(rows);
        }
    }

    return CTL_DONE;
}


/* Walks "api.upstream.targets"; tells what there is where it ends. */

static const cp_json_t *
ctl_explain_find(const cp_json_t *schema, const char *path)
{
    char              name[64];
    size_t            len;
    const cp_json_t  *members;

    while (schema != NULL && *path != '\0') {
        len = strcspn(path, ".");
        (void) snprintf(name, sizeof(name), "%.*s",
                        (int) (len - (len > 2 && path[len - 1] == ']'
                                      ? 2 : 0)), path);
        members = ctl_explain_members(schema);
        schema = (members != NULL) ? cp_json_get(members, name) : NULL;

        if (schema == NULL) {
            ctl_error("there is no field \"%s\"", name);
        }

        path += len + (path[len] == '.');
    }

    return schema;
}


/* What there is to explain. */

static ctl_exit_e
ctl_explain_list(ctl_t *c, const cp_json_t *api)
{
    cp_json_t         *rows, *row;
    const char        *title;
    const cp_json_t   *schema;
    const ctl_kind_t  *kind;

    rows = cp_json_array(c->arena);

    for (kind = ctl_kinds; kind->kind != NULL; kind++) {
        row = cp_json_object(c->arena);
        cp_json_put(c->arena, row, "kind", kind->kind);
        cp_json_put(c->arena, row, "path", kind->path);
        cp_json_push(rows, row);
    }

    schema = cp_json_get(cp_json_get(api, "components"), "schemas")->first;

    for ( /* void */ ; schema != NULL; schema = schema->next) {
        title = cp_json_str(schema, "title");

        if (strncmp(schema->key, "PolicyConfig", 12) == 0 && title != NULL) {
            row = cp_json_object(c->arena);
            cp_json_put(c->arena, row, "kind",
                        cp_arena_printf(c->arena, "policy-config-%s", title));
            cp_json_put(c->arena, row, "path",
                        cp_arena_printf(c->arena, "config of a policy of type"
                                        " %s", title));
            cp_json_push(rows, row);
        }
    }

    return ctl_print(c, rows, "kind path");
}


/* stoactl explain [KIND[.FIELD...]] */

ctl_exit_e
ctl_run_explain(ctl_t *c)
{
    char               name[64];
    size_t             len;
    cp_json_t         *api, *rows;
    ctl_exit_e         rc;
    const char        *path;
    const cp_json_t   *schema;
    const ctl_kind_t  *kind;

    rc = ctl_get(c, "/v1/openapi.json", &api);

    if (rc != CTL_DONE || ctl_opt(c, "markdown") != NULL) {
        return (rc == CTL_DONE) ? ctl_explain_page(c, api) : rc;
    }

    if (c->narg == 0) {
        return ctl_explain_list(c, api);
    }

    path = c->arg[0];
    len = strcspn(path, ".");
    (void) snprintf(name, sizeof(name), "%.*s", (int) len, path);

    if (strncmp(name, "policy-config-", 14) == 0) {
        schema = ctl_explain_schema(api, name);

    } else {
        kind = ctl_kind(name);
        schema = (kind != NULL) ? ctl_explain_schema(api, kind->kind) : NULL;
    }

    if (schema != NULL) {
        schema = ctl_explain_find(schema, path + len + (path[len] == '.'));
    }

    if (schema == NULL) {
        return CTL_FAILED;
    }

    rows = cp_json_array(c->arena);

    if (ctl_explain_members(schema) == NULL) {
        cp_json_push(rows, ctl_explain_row(c, path, schema, false));

    } else {
        ctl_explain_rows(c, schema, "", 0, rows);
    }

    return ctl_print(c, rows, "field type default description");
}
