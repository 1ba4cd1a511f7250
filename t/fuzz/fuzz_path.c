/* Paths and ranges.  Input: a template or range, LF, a path. */

#include "fuzz.h"
#include "stoa_path.h"


static void
prefixes(const char *path, size_t len)
{
    bool    more;
    size_t  n, turns;

    turns = 0;

    for (more = stoa_path_prefix_first(path, len, &n);
         more;
         more = stoa_path_prefix_next(path, &n))
    {
        must(n > 0 && n <= len && ++turns <= STOA_PATH_SEGMENTS_MAX + 1);
        must(n == 1 || path[n - 1] != '/');
        must(n == 1 || n == len || path[n] == '/');
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t        n;
    const char   *s = (const char *) data, *lf;
    stoa_cidr_t   c;

    lf = size ? memchr(s, '\n', size) : NULL;
    n = lf ? (size_t) (lf - s) : size;

    if (lf) {
        (void) stoa_path_match(s, n, lf + 1, size - n - 1);
        prefixes(lf + 1, size - n - 1);
    }

    /* a template matches itself; a base path is a template */

    if (stoa_path_template_valid(s, n)) {
        must(stoa_path_match(s, n, s, n));
    }

    must(!stoa_path_base_valid(s, n) || stoa_path_template_valid(s, n));

    if (stoa_cidr_parse(s, n, &c) == STOA_OK) {
        must(stoa_cidr_match(&c, c.family, c.addr));
        must(c.bits <= (c.family == 4 ? 32 : 128));
    }

    return 0;
}
