/*
 * What differs between two objects, field by field.
 */

#include "resource/cp_engine.h"
#include "apply/cp_document.h"


static void cp_diff_fields(cp_arena_t *a, const cp_field_t *fields,
    const char *prefix, const cp_json_t *before, const cp_json_t *after,
    cp_json_t *diff);
static cp_json_t *cp_diff_value(cp_arena_t *a, const cp_json_t *val);


void
cp_diff_objects(cp_arena_t *a, const cp_resource_t *res,
    const cp_json_t *before, const cp_json_t *after, cp_json_t *diff)
{
    cp_diff_fields(a, res->fields, "", before, after, diff);
}


/* Something changed, and nothing that can be shown: that it did is told. */

void
cp_diff_sealed(cp_arena_t *a, const cp_resource_t *res, const cp_json_t *spec,
    cp_json_t *diff)
{
    const cp_field_t  *f;

    for (f = res->fields; f->name && diff->n == 0; f++) {
        if ((f->flags & CP_SEALED) && cp_json_get(spec, f->name)) {
            cp_diff_push(a, diff, f->name, NULL, NULL);
        }
    }
}


/* Goes into objects whose members the table knows; lists are taken whole. */
static void
cp_diff_fields(cp_arena_t *a, const cp_field_t *fields, const char *prefix,
    const cp_json_t *before, const cp_json_t *after, cp_json_t *diff)
{
    const char        *name;
    const cp_json_t   *b, *n;
    const cp_field_t  *f;

    for (f = fields; f->name; f++) {
        if (f->flags & (CP_READONLY|CP_SECRET|CP_SEALED|CP_NO_DUMP)) {
            continue;
        }

        b = before ? cp_json_get(before, f->name) : NULL;
        n = after ? cp_json_get(after, f->name) : NULL;

        if ((b == NULL && n == NULL) || (b && n && cp_json_equal(b, n))) {
            continue;
        }

        name = cp_arena_printf(a, "%s%s", prefix, f->name);

        if (f->type == CP_F_OBJECT && f->sub && b && n) {
            cp_diff_fields(a, f->sub, cp_arena_printf(a, "%s.", name), b, n,
                           diff);
            continue;
        }

        cp_diff_push(a, diff, name, b, n);
    }
}


void
cp_diff_push(cp_arena_t *a, cp_json_t *diff, const char *field,
    const cp_json_t *before, const cp_json_t *after)
{
    cp_json_t  *item;

    item = cp_json_object(a);
    cp_json_put(a, item, "field", field);
    cp_json_set(a, item, "before", cp_diff_value(a, before));
    cp_json_set(a, item, "after", cp_diff_value(a, after));
    cp_json_push(diff, item);
}


/* A long value is told by its digest. */
static cp_json_t *
cp_diff_value(cp_arena_t *a, const cp_json_t *val)
{
    char       *text;
    size_t      len;
    uint8_t     sum[32];
    cp_json_t  *copy;

    if (val == NULL) {
        return cp_json_null(a);
    }

    text = cp_json_text(a, val, &len);

    if (text && len > CP_DIFF_VALUE_MAX) {
        cp_sha256(text, len, sum);
        return cp_json_string(a, cp_arena_printf(a, "sha256:%s",
                                             cp_hex(a, sum, sizeof(sum))));
    }

    copy = cp_json_copy(a, val);

    return copy ? copy : cp_json_null(a);
}
