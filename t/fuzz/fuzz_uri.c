/* Where an HTTP+SSE server wants its POSTs: never at another server. */

#include "fuzz.h"
#include "stoa_uri.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char       *copy;
    size_t      i;
    stoa_str_t  host, base, rest;

    if (size == 0) {
        return 0;
    }

    copy = malloc(size);
    memcpy(copy, data + 1, size - 1);

    host = stoa_str("h:1");
    base = data[0] & 2 ? stoa_str("/a/sse") : stoa_str("");
    rest.data = copy;
    rest.len = size - 1;

    if (stoa_uri_endpoint(&rest, data[0] & 1, &host, &base)) {
        must(rest.len && rest.data >= copy
             && rest.data + rest.len == copy + size - 1);
        must(base.len == 0 || base.data[0] == '/');
        must(rest.len < 2 || memcmp(rest.data, "//", 2) != 0);

        for (i = 0; i < rest.len; i++) {
            must(rest.data[i] > ' ' && rest.data[i] <= '~');
        }
    }

    free(copy);

    return 0;
}
