/* A schema, a line end, a value: compiled schemas judge whatever is JSON, and
 * the same each time; the first line is a pattern, too. */

#include "fuzz.h"
#include "stoa_jschema.h"
#include "stoa_pattern.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t            n, left, steps;
    stoa_rc_t         rc;
    stoa_buf_t        b;
    stoa_err_t        err;
    const char       *text, *value, *wrong;
    stoa_json_val_t   root;

    text = (const char *) data;
    value = size ? memchr(text, '\n', size) : NULL;

    if (value == NULL) {
        return 0;
    }

    n = (size_t) (value++ - text);
    left = size - n - 1;

    stoa_buf_init(&b, STOA_JSCHEMA_BLOCK);

    if (stoa_jschema_compile(text, n, &b, &err) == STOA_OK
        && stoa_json_check(value, left, STOA_JSON_DEPTH_MAX, &root, NULL)
           == STOA_OK)
    {
        rc = stoa_jschema_judge(b.data, &root, &err);
        must(rc == STOA_OK || rc == STOA_DECLINED);
        must(rc == stoa_jschema_judge(b.data, &root, NULL));
    }

    stoa_buf_reset(&b);

    if (stoa_pattern_compile(text, n, &b, &wrong) == STOA_OK) {
        steps = STOA_JSCHEMA_STEPS;
        (void) stoa_pattern_found(b.data, value, left, false, &steps);
    }

    stoa_buf_free(&b);

    return 0;
}
