/* A text is looked through to its end, finds lie in it and one behind the
 * other, the same with vectors, without, and byte by byte; JSON stays JSON,
 * but names that were masked may be the same one. */

#include "../unit/guard_scan.h"
#include "fuzz.h"
#include "stoa_json.h"


static size_t
guard(char *s, size_t size, bool form, bool json)
{
    char              *copy;
    size_t             n, at, last, finds;
    stoa_guard_hit_t   hit;
    stoa_guard_pos_t   pos;

    copy = malloc(size + 1);
    must(copy != NULL);

    n = stoa_guard_fold(s, size, form, copy);
    must(n <= size);

    must(guard_same(STOA_GUARD_ALL, copy, n, &finds));
    must(guard_same(STOA_GUARD_DEFAULT, copy, n, &finds));

    memset(&pos, 0, sizeof(pos));
    pos.json = json;

    for (at = 0, last = 0, finds = 0;
         stoa_guard_next(STOA_GUARD_ALL, copy, n, &at, &hit);
         last = hit.to, finds++)
    {
        must(hit.from >= last && hit.to > hit.from && hit.to <= n);
        must(stoa_guard_name(hit.kind) != NULL);
        stoa_guard_mask(&pos, s, size, form, &hit);
    }

    free(copy);

    return finds;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char             *s;
    bool              json;
    stoa_err_t        err;
    stoa_json_val_t   root;

    s = malloc(size + 1);
    must(s != NULL);

    memcpy(s, data, size);
    (void) guard(s, size, true, false);

    memcpy(s, data, size);
    json = stoa_json_check(s, size, STOA_JSON_DEPTH_MAX, &root, NULL)
           == STOA_OK;

    if (guard(s, size, false, json) && json) {
        err.text[0] = '\0';
        must(stoa_json_check(s, size, STOA_JSON_DEPTH_MAX, &root, &err)
             == STOA_OK || strstr(err.text, "twice"));
    }

    free(s);

    return 0;
}
