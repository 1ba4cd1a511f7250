/*
 * What an upstream shows, judged one by one: clients refuse the whole of a
 * list in which one thing is not as the protocol has it.
 */

#include <string.h>

#include "core/stoa_key.h"
#include "discovery/cp_discovery.h"


typedef struct {
    const char      *member;
    cp_json_type_e   type;
    bool             required;
} cp_shape_t;


#define ANY                                                                   \
    { "title", CP_JSON_STRING, false },                                       \
    { "description", CP_JSON_STRING, false },                                 \
    { "icons", CP_JSON_ARRAY, false },                                        \
    { "_meta", CP_JSON_OBJECT, false }

static const cp_shape_t  tool_shape[] = {
    { "inputSchema", CP_JSON_OBJECT, true },
    { "outputSchema", CP_JSON_OBJECT, false },
    { "annotations", CP_JSON_OBJECT, false },
    { "execution", CP_JSON_OBJECT, false },
    ANY, { NULL, CP_JSON_NULL, false }
};

static const cp_shape_t  prompt_shape[] = {
    { "arguments", CP_JSON_ARRAY, false },
    ANY, { NULL, CP_JSON_NULL, false }
};

static const cp_shape_t  resource_shape[] = {
    { "name", CP_JSON_STRING, true },
    { "mimeType", CP_JSON_STRING, false },
    { "annotations", CP_JSON_OBJECT, false },
    ANY, { NULL, CP_JSON_NULL, false }
};

/* As cp_items. */
static const cp_shape_t *const  shapes[CP_ITEMS] = { tool_shape, prompt_shape,
    resource_shape, resource_shape };


const char *
cp_catalog_key(unsigned i)
{
    static const char *const  keys[CP_ITEMS] = { "name", "name", "uri",
        "uriTemplate" };

    return keys[i];
}


/* Where a member may be left out, some say null, which clients do not take. */
static void
cp_check_nulls(cp_json_t *item)
{
    cp_json_t  *v, **at;

    at = &item->first;
    item->last = NULL;

    for (v = item->first; v != NULL; v = v->next) {
        if (v->type == CP_JSON_NULL) {
            item->n--;
            continue;
        }

        *at = v;
        at = &v->next;
        item->last = v;
    }

    *at = NULL;
}


static const char *
cp_check_name(const char *name, unsigned kind)
{
    size_t       max;
    const char  *s;

    max = (kind < 2) ? STOA_TOOL_NAME_MAX : STOA_URI_MAX;

    if (kind == 0 && !stoa_tool_name_valid(name, strlen(name))) {
        return "its name is not 1 to 128 of A-Z, a-z, 0-9, _, . and -";
    }

    for (s = name; *s != '\0'; s++) {
        if ((unsigned char) *s < ' ' || *s == 0x7f) {
            return "its name has a control character";
        }
    }

    return (s == name || (size_t) (s - name) > max)
           ? "its name is empty or too long" : NULL;
}


static const char *
cp_check_arguments(const cp_json_t *list)
{
    const cp_json_t  *v;

    for (v = (list != NULL) ? list->first : NULL; v != NULL; v = v->next) {
        if (v->type != CP_JSON_OBJECT || cp_json_str(v, "name") == NULL) {
            return "an argument has no name";
        }
    }

    return NULL;
}


const char *
cp_catalog_refused(cp_arena_t *a, unsigned kind, cp_json_t *item)
{
    char              *text;
    size_t             len;
    const char        *name, *why;
    const cp_json_t   *v;
    const cp_shape_t  *f;

    if (item->type != CP_JSON_OBJECT) {
        return "it is no object";
    }

    cp_check_nulls(item);
    name = cp_json_str(item, cp_catalog_key(kind));

    if (name == NULL) {
        return cp_arena_printf(a, "it has no %s", cp_catalog_key(kind));
    }

    why = cp_check_name(name, kind);

    for (f = shapes[kind]; why == NULL && f->member != NULL; f++) {
        v = cp_json_get(item, f->member);

        if (v == NULL && f->required) {
            why = cp_arena_printf(a, "%s is missing", f->member);

        } else if (v != NULL && v->type != f->type) {
            why = cp_arena_printf(a, "%s must be %s", f->member,
                                  f->type == CP_JSON_STRING ? "a string"
                                  : f->type == CP_JSON_ARRAY ? "an array"
                                  : "an object");
        }
    }

    if (why == NULL && kind == 0) {
        name = cp_json_str(cp_json_get(item, "inputSchema"), "type");
        why = (name == NULL || strcmp(name, "object") != 0)
              ? "inputSchema.type must be \"object\"" : NULL;
    }

    if (why == NULL && kind == 1) {
        why = cp_check_arguments(cp_json_get(item, "arguments"));
    }

    if (why != NULL) {
        return why;
    }

    text = cp_json_text(a, item, &len);

    return (text == NULL || len > CP_DISCOVERY_ITEM_BYTES) ? "it is too large"
                                                           : NULL;
}


/* A place in the list of those that are left out, or shown with a doubt. */
void
cp_catalog_note(cp_arena_t *a, cp_json_t *list, unsigned kind,
    const char *name, const char *why)
{
    size_t      n;
    cp_json_t  *v;

    if (list->n >= CP_DISCOVERY_NOTES) {
        return;
    }

    /* not into a character */

    n = strnlen(name, CP_DISCOVERY_NOTE_NAME + 1);

    while (n > CP_DISCOVERY_NOTE_NAME
           || (n < strlen(name) && ((unsigned char) name[n] & 0xc0) == 0x80))
    {
        n--;
    }

    v = cp_json_object(a);
    cp_json_put(a, v, "kind", cp_items[kind]->kind);
    cp_json_put(a, v, "name", cp_arena_strndup(a, name, n));
    cp_json_put(a, v, "reason", why);
    cp_json_push(list, v);
}
