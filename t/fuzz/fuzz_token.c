/* The insides of session ids: what is read writes back the same bytes, but
 * for the flags. */

#include "fuzz.h"
#include "stoa_token.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    stoa_buf_t        b;
    stoa_json_val_t   val;
    stoa_mcp_token_t  token;

    stoa_buf_init(&b, 1 << 20);

    if (stoa_mcp_token_read(data, size, &token)) {
        stoa_mcp_token_write(&b, &token);
        must(b.rc == STOA_OK && b.len == size);
        must(memcmp(b.data, data, 2) == 0
             && memcmp(b.data + 4, data + 4, size - 4) == 0);
    }

    b.len = 0;

    if (stoa_json_check((const char *) data, size, 64, &val, NULL)
        == STOA_OK)
    {
        stoa_mcp_caps(&b, &val);
        must(b.rc == STOA_OK && b.len <= STOA_MCP_CAPS_MAX);
        must(stoa_json_check(b.data, b.len, 64, &val, NULL) == STOA_OK);
    }

    stoa_buf_free(&b);

    return 0;
}
