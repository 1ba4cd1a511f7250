/* Header values of MCP: what is decoded fits into the place of the input. */

#include "fuzz.h"
#include "stoa_jsonrpc.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char        *dst;
    bool         coded;
    size_t       n;
    const char  *s = (const char *) data;

    dst = malloc(size + 1);
    dst[size] = 'x';
    coded = (size >= 9 && memcmp(s, "=?base64?", 9) == 0);

    if (stoa_mcp_header_decode(s, size, dst, &n) == STOA_OK) {
        must(n <= size && dst[size] == 'x');
        must(!coded || n == size || stoa_utf8_valid(dst, n)
             || memcmp(dst, s, n) == 0);
    } else {
        must(memchr(s, '?', size) != NULL);
    }

    free(dst);

    return 0;
}
