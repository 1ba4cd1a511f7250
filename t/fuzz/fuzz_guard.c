/* A text is looked through to its end, finds lie in it and one behind the
 * other, the same with vectors, without, and byte by byte; JSON stays JSON,
 * but names that were masked may be the same one. */

#include "../unit/guard_scan.h"
#include "fuzz.h"
#include "stoa_json.h"


#define DECODED  (STOA_GUARD_PERCENT | STOA_GUARD_ENTITIES                    \
                  | STOA_GUARD_UNICODE)


/* All of a look: what it leaves in s, in any run of base64. */

static void
look(char *s, size_t size)
{
    char               *copy;
    stoa_guard_set_t    set;
    stoa_guard_look_t   l;

    copy = malloc(size + 1);
    must(copy != NULL);
    memset(&set, 0, sizeof(set));
    memset(&l, 0, sizeof(l));
    set.kinds = STOA_GUARD_ALL;
    set.decode = DECODED | STOA_GUARD_BASE64;
    l.s = s;
    l.len = size;
    l.copy = copy;
    l.how = set.decode;
    l.copy_len = stoa_guard_fold(s, size, l.how, copy);
    l.to = l.copy_len;
    l.done = size % 3 ? 0 : l.copy_len / 2;
    l.masks = true;
    (void) stoa_guard_look(&set, &l);
    free(copy);
}


static size_t
guard(char *s, size_t size, unsigned how, bool json)
{
    char              *copy;
    size_t             n, at, last, finds;
    stoa_guard_hit_t   hit;
    stoa_guard_pos_t   pos;

    copy = malloc(size + 1);
    must(copy != NULL);

    n = stoa_guard_fold(s, size, how, copy);
    must(n <= size);
    must(!stoa_guard_plain(s, size, how)
         || (n == size && memcmp(copy, s, n) == 0));

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
        stoa_guard_mask(&pos, s, size, how, &hit);
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
    (void) guard(s, size, STOA_GUARD_FORM | STOA_GUARD_PERCENT, false);

    memcpy(s, data, size);
    json = stoa_json_check(s, size, STOA_JSON_DEPTH_MAX, &root, NULL)
           == STOA_OK;

    if (guard(s, size, size % 2 ? DECODED : 0, json) && json) {
        err.text[0] = '\0';
        must(stoa_json_check(s, size, STOA_JSON_DEPTH_MAX, &root, &err)
             == STOA_OK || strstr(err.text, "twice"));
    }

    memcpy(s, data, size);
    look(s, size);

    free(s);

    return 0;
}
