/* The JSON reader: a text that passes reads back the same every way. */

#include "fuzz.h"
#include "stoa_json.h"


static void
string(const stoa_json_val_t *val)
{
    char             *out;
    size_t            n;
    stoa_buf_t        b;
    stoa_json_val_t   again;

    out = malloc((size_t) (val->end - val->start));
    n = stoa_json_unescape(val, out);
    stoa_buf_init(&b, SIZE_MAX / 2);
    stoa_buf_add_json(&b, out, n);

    must(stoa_utf8_valid(out, n) && stoa_json_eq(val, out, n));
    must(stoa_json_check(b.data, b.len, 0, &again, NULL) == STOA_OK);
    must(stoa_json_same(val, &again) && stoa_json_eq(&again, out, n));

    stoa_buf_free(&b);
    free(out);
}

static void
walk(const stoa_json_val_t *val, const char *end)
{
    bool              more;
    stoa_json_val_t   key, item;
    stoa_json_iter_t  it;

    must(val->start < val->end && val->end <= end);

    if (val->type == STOA_JSON_STRING) {
        string(val);
    }

    for (more = stoa_json_first(val, &it, &key, &item);
         more;
         more = stoa_json_next(&it, &key, &item))
    {
        if (val->type == STOA_JSON_OBJECT) {
            string(&key);
        }

        walk(&item, val->end);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char       *s = (const char *) data;
    stoa_err_t        err;
    stoa_json_val_t   root;

    if (stoa_json_check(s, size, 64, &root, &err) == STOA_OK) {
        walk(&root, s + size);
    } else {
        must(err.offset <= size && err.line > 0);
    }

    return 0;
}
