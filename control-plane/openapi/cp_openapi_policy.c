/*
 * Schemas of the configurations of policies, from core's tables: component
 * PolicyConfig<Type> each.
 */

#include <string.h>

#include "core/stoa_policy.h"
#include "openapi/cp_openapi.h"


static cp_json_t *cp_openapi_config(cp_arena_t *a,
    const stoa_rec_struct_t *def);
static cp_json_t *cp_openapi_member(cp_arena_t *a, const stoa_rec_field_t *f);
static void cp_openapi_array(cp_arena_t *a, const stoa_rec_field_t *f,
    cp_json_t *s);


void
cp_openapi_policies(cp_arena_t *a, cp_json_t *all)
{
    char                      *name, *p;
    size_t                     i;
    cp_json_t                 *s;
    const stoa_policy_type_t  *type;

    for (i = 0; (type = stoa_policy_at(i)) != NULL; i++) {
        if (type->scopes == 0) {
            continue;
        }

        name = cp_arena_printf(a, "policy_config_%s", type->name);

        for (p = name; p && *p; p++) {
            *p = *p == '-' ? '_' : *p;
        }

        s = cp_openapi_config(a, type->config);
        cp_json_put(a, s, "title", type->name);
        cp_json_put(a, s, "description", type->doc);
        cp_json_set(a, all, cp_openapi_name(a, name, ""), s);
    }
}


static cp_json_t *
cp_openapi_config(cp_arena_t *a, const stoa_rec_struct_t *def)
{
    size_t      i;
    cp_json_t  *s, *properties, *required;

    s = cp_json_object(a);
    properties = cp_json_object(a);
    required = cp_json_array(a);

    for (i = 0; i < def->nfields; i++) {
        cp_json_set(a, properties, def->fields[i].name.data,
                    cp_openapi_member(a, &def->fields[i]));

        if (def->fields[i].required) {
            cp_json_push(required, cp_json_string(a,
                                                  def->fields[i].name.data));
        }
    }

    cp_json_put(a, s, "type", "object");
    cp_json_put_bool(a, s, "additionalProperties", false);
    cp_json_set(a, s, "properties", properties);

    if (required->n) {
        cp_json_set(a, s, "required", required);
    }

    return s;
}


static cp_json_t *
cp_openapi_member(cp_arena_t *a, const stoa_rec_field_t *f)
{
    cp_json_t              *s, *words;
    const stoa_rec_word_t  *w;

    s = cp_json_object(a);

    switch (f->type) {

    case STOA_REC_T_BOOL:
        cp_json_put(a, s, "type", "boolean");
        cp_json_put_bool(a, s, "default", f->def != 0);
        break;

    case STOA_REC_T_ENUM:
        words = cp_json_array(a);

        for (w = f->words; w->word; w++) {
            cp_json_push(words, cp_json_string(a, w->word));
        }

        cp_json_put(a, s, "type", "string");
        cp_json_set(a, s, "enum", words);
        break;

    case STOA_REC_T_STRING:
        cp_json_put(a, s, "type", "string");
        cp_json_put_int(a, s, "minLength", f->min);
        cp_json_put_int(a, s, "maxLength", f->max);
        break;

    case STOA_REC_T_OBJECT:
        cp_json_put(a, s, "type", "object");
        break;

    case STOA_REC_T_STRINGS:
    case STOA_REC_T_CIDRS:
    case STOA_REC_T_STRUCTS:
        cp_openapi_array(a, f, s);
        break;

    default:
        cp_json_put(a, s, "type", "integer");
        cp_json_put_int(a, s, "minimum", f->min);
        cp_json_put_int(a, s, "maximum", f->max);
        cp_json_put_int(a, s, "default", f->def);
    }

    cp_json_put(a, s, "description", f->doc);

    return s;
}


static void
cp_openapi_array(cp_arena_t *a, const stoa_rec_field_t *f, cp_json_t *s)
{
    cp_json_t  *items;

    if (f->type == STOA_REC_T_STRUCTS) {
        items = cp_openapi_config(a, f->items);

    } else {
        items = cp_json_object(a);
        cp_json_put(a, items, "type", "string");
    }

    cp_json_put(a, s, "type", "array");
    cp_json_put_int(a, s, "minItems", f->min);
    cp_json_put_int(a, s, "maxItems", f->max);
    cp_json_set(a, s, "items", items);
}


/* GET /v1/policy-types: what a form is made from. */
cp_rc_t
cp_openapi_policy_types(cp_req_t *r)
{
    size_t                     i;
    unsigned                   scope;
    cp_json_t                 *out, *items, *item, *list;
    cp_arena_t                *a = r->op.arena;
    const stoa_policy_type_t  *type;

    items = cp_json_array(a);

    for (i = 0; (type = stoa_policy_at(i)) != NULL; i++) {
        if (type->scopes == 0) {
            continue;
        }

        list = cp_json_array(a);

        for (scope = 0; scope <= STOA_SCOPE_MAX; scope++) {
            if (type->scopes & 1u << scope) {
                cp_json_push(list, cp_json_string(a, scope == STOA_SCOPE_MAX
                             ? "mcp_api" : stoa_scope_name(scope)));
            }
        }

        item = cp_json_object(a);
        cp_json_put(a, item, "type", type->name);
        cp_json_put_int(a, item, "version", type->version);
        cp_json_put(a, item, "description", type->doc);
        cp_json_set(a, item, "scopes", list);
        cp_json_put_bool(a, item, "single",
                         (type->flags & STOA_POLICY_SINGLE) != 0);
        cp_json_put_bool(a, item, "by_default",
                         (type->flags & STOA_POLICY_DEFAULT) != 0);
        cp_json_set(a, item, "schema", cp_openapi_config(a, type->config));
        cp_json_push(items, item);
    }

    out = cp_json_object(a);
    cp_json_set(a, out, "items", items);

    return cp_req_answer(r, 200, out);
}
