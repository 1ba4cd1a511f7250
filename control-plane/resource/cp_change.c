/*
 * What a write changed, for the audit log.
 */

#include <string.h>

#include "resource/cp_engine.h"


static cp_json_t *cp_change_value(cp_arena_t *a, const cp_field_t *f,
    const cp_json_t *obj);


cp_json_t *
cp_change_diff(cp_arena_t *a, const cp_resource_t *res,
    const cp_json_t *before, const cp_json_t *after)
{
    cp_json_t         *diff, *member, *b, *n;
    const cp_field_t  *f;

    diff = cp_json_object(a);

    for (f = res->fields; f->name; f++) {
        if ((f->flags & (CP_SECRET|CP_SEALED|CP_ONCE|CP_DERIVED))
            || strcmp(f->name, "updated_at") == 0
            || cp_json_equal(cp_json_get(before, f->name),
                             cp_json_get(after, f->name)))
        {
            continue;
        }

        member = cp_json_object(a);
        b = cp_change_value(a, f, before);
        n = cp_change_value(a, f, after);

        if (b) {
            cp_json_set(a, member, "before", b);
        }

        if (n) {
            cp_json_set(a, member, "after", n);
        }

        cp_json_set(a, diff, f->name, member);
    }

    return diff;
}


static cp_json_t *
cp_change_value(cp_arena_t *a, const cp_field_t *f, const cp_json_t *obj)
{
    char             *text;
    size_t            len;
    uint8_t           sum[32];
    const cp_json_t  *val;

    val = cp_json_get(obj, f->name);

    if (val == NULL) {
        return NULL;
    }

    text = cp_json_text(a, val, &len);

    if (text && ((f->flags & CP_WHOLE) || len > CP_DIFF_VALUE_MAX)) {
        cp_sha256(text, len, sum);
        return cp_json_string(a, cp_arena_printf(a, "sha256:%s",
                                                 cp_hex(a, sum, 32)));
    }

    return cp_json_copy(a, val);
}


const char *
cp_change_decided(cp_arena_t *a, const cp_json_t *row)
{
    int64_t      at;
    const char  *who;

    at = cp_json_num(row, "decided_at", 0);
    who = cp_json_str(row, "decided_by");

    return who && at ? cp_arena_printf(a, ", by %s at %s", who,
                                       cp_time_format(a, at))
                     : "";
}
