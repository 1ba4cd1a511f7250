/* A template of JSON and a body, a line each: what comes of it is JSON, of a
 * text for a header no line of its own, for a query plain characters. */

#include "fuzz.h"
#include "stoa_template.h"


static bool
get(void *ctx, const stoa_template_var_t *var, stoa_str_t *text)
{
    (void) var;

    *text = *(stoa_str_t *) ctx;

    return text->len > 0;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char              place[64];
    size_t            i, n;
    stoa_str_t        body;
    stoa_buf_t        out;
    const char       *text, *next;
    stoa_json_val_t   root, made;
    stoa_template_t   t = { get, &body, NULL, STOA_TEMPLATE_IN_JSON, 0 };

    text = (const char *) data;
    next = size ? memchr(text, '\n', size) : NULL;

    if (next == NULL) {
        return 0;
    }

    n = (size_t) (next - text);
    body.data = next + 1;
    body.len = size - n - 1;

    if (stoa_json_check(body.data, body.len, STOA_TEMPLATE_DEPTH, &root, NULL)
        == STOA_OK)
    {
        t.body = &root;
    }

    stoa_buf_init(&out, 65536);

    if (stoa_template_json_wrong(text, n, place, sizeof(place)) == NULL) {
        stoa_template_json(&t, text, n, &out);
        must(out.rc != STOA_OK
             || stoa_json_check(out.data, out.len, STOA_JSON_DEPTH_MAX, &made,
                                NULL) == STOA_OK);
    }

    if (stoa_template_valid(text, n)) {
        stoa_buf_reset(&out);
        t.in = STOA_TEMPLATE_IN_HEADER;
        stoa_template_text(&t, text, n, &out);

        for (i = 0; i < out.len; i++) {
            must((unsigned char) out.data[i] >= 0x20 && out.data[i] != 0x7f);
        }

        stoa_buf_reset(&out);
        t.in = STOA_TEMPLATE_IN_QUERY;
        stoa_template_text(&t, text, n, &out);

        for (i = 0; i < out.len; i++) {
            must(out.data[i] != '&' && out.data[i] != '#'
                 && (unsigned char) out.data[i] > 0x20);
        }
    }

    stoa_buf_free(&out);

    return 0;
}
