/* Messages of gRPC, in one piece and byte by byte, and values of its headers.
 * The first byte is the maximum. */

#include "fuzz.h"
#include "stoa_grpc.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char         text[3 * 64];
    size_t       i, n;
    uint64_t     ms, max;
    stoa_rc_t    rc, one;
    const char  *s = (const char *) data + 1;
    stoa_grpc_t  whole, parts;

    if (size == 0) {
        return 0;
    }

    size--;
    max = data[0];
    memset(&whole, 0, sizeof(stoa_grpc_t));
    memset(&parts, 0, sizeof(stoa_grpc_t));

    rc = stoa_grpc_feed(&whole, s, size, max);

    for (i = 0, one = STOA_OK; i < size && one == STOA_OK; i++) {
        one = stoa_grpc_feed(&parts, s + i, 1, max);
    }

    must(rc == one);
    must(rc != STOA_OK || (whole.rest == parts.rest
                           && whole.have == parts.have));

    if (stoa_grpc_timeout(s, size, &ms)) {
        must(ms >= 1 && ms <= UINT64_C(99999999) * 3600000);
    }

    must(stoa_grpc_status(s, size) <= 99);

    n = stoa_grpc_message(text, s, size < 64 ? size : 64);
    must(n <= sizeof(text));

    for (i = 0; i < n; i++) {
        must(text[i] >= ' ' && text[i] < 0x7f);
    }

    return 0;
}
