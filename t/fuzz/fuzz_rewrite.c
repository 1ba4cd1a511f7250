/* Two templates and a path, a line each: what comes of it is a path, fits in
 * its place, and leads nowhere up. */

#include "fuzz.h"
#include "stoa_rewrite.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool         second;
    char        *dst;
    size_t       i, len;
    const char  *p, *end, *next;
    stoa_str_t   part[3];

    p = (const char *) data;
    end = p + size;

    for (i = 0; i < 3; i++) {
        next = p < end ? memchr(p, '\n', (size_t) (end - p)) : NULL;
        next = next ? next : end;
        part[i].data = p;
        part[i].len = (size_t) (next - p);
        p = next < end ? next + 1 : end;
    }

    if (part[2].len == 0 || part[2].data[0] != '/'
        || stoa_rewrite_check(part[0], part[1], &second) != NULL)
    {
        return 0;
    }

    dst = malloc(part[1].len + part[2].len);
    must(dst != NULL);

    if (stoa_rewrite(part[0], part[1], part[2], dst, &len) == STOA_OK) {
        must(len > 0 && len <= part[1].len + part[2].len && dst[0] == '/');
        must(len < 3 || memmem(dst, len, "/../", 4) == NULL);
        must(len < 3 || memcmp(dst + len - 3, "/..", 3) != 0);
    }

    free(dst);

    return 0;
}
