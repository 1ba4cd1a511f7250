/* What is in an id of an event: what is read is written again the same. */

#include "fuzz.h"
#include "stoa_eid.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned        i;
    uint64_t        time_ms = 0;
    stoa_buf_t      b;
    stoa_mcp_eid_t  e;

    if (!stoa_mcp_eid_read(data, size, &e)) {
        return 0;
    }

    for (i = 2; i < 10; i++) {
        time_ms = time_ms << 8 | data[i];
    }

    stoa_buf_init(&b, 1 << 21);
    stoa_mcp_eid_write(&b, &e, e.n, time_ms);
    must(b.rc == STOA_OK && b.len == size
         && memcmp(b.data, data, size) == 0);
    stoa_buf_free(&b);

    return 0;
}
