/* What is in a requestState: what is read is written again the same. */

#include "fuzz.h"
#include "stoa_state.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t            len;
    uint8_t           text[STOA_MCP_STATE_LEN];
    stoa_mcp_state_t  state;

    if (!stoa_mcp_state_read(data, size, &state)) {
        return 0;
    }

    len = stoa_mcp_state_write(text, &state);
    must(len == size && memcmp(text, data, size) == 0);

    return 0;
}
