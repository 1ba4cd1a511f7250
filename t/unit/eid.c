/* Tests for what is in the id of an event. */

#include <stdlib.h>

#include "stoa_eid.h"
#include "tap.h"


int
main(void)
{
    size_t          n;
    bool            cut;
    uint8_t        *copy;
    stoa_buf_t      b;
    stoa_mcp_eid_t  e, r;

    static const char  wanted[] = "\x01P\x00\x00\x01\xa2\x1a\x4d\x40\x00"
        "\x00\x03\"a\"\x01\x00\x64\xd4\xf4\x53\x25\x0d\x54\x5c\x18\x00\x03"
        "\x00\x08u-sess-1\x00\x03" "e-1";

    memset(&e, 0, sizeof(e));
    e.kind = 'P';
    e.rid = (stoa_str_t) stoa_str("\"a\"");
    e.n = 1;
    memcpy(e.source[0].ref.api, "01jd9x2k4m6n8q0r", STOA_ID_LEN);
    e.source[0].ref.version = 3;
    e.source[0].ref.sid = (stoa_str_t) stoa_str("u-sess-1");
    e.source[0].eid = (stoa_str_t) stoa_str("e-1");

    stoa_buf_init(&b, 4096);
    stoa_mcp_eid_write(&b, &e, 1, UINT64_C(1795737600000));
    tap_ok(b.len == sizeof(wanted) - 1
           && memcmp(b.data, wanted, b.len) == 0, "row 4: as it is written");

    tap_ok(stoa_mcp_eid_read((uint8_t *) b.data, b.len, &r) && r.kind == 'P'
           && r.n == 1 && r.rid.len == 3 && r.source[0].eid.len == 3
           && memcmp(r.source[0].eid.data, "e-1", 3) == 0
           && r.source[0].ref.version == 3, "... and read");

    for (cut = true, n = 0; n < b.len; n++) {
        copy = malloc(n ? n : 1);
        memcpy(copy, b.data, n);
        cut = cut && !stoa_mcp_eid_read(copy, n, &r);
        free(copy);
    }

    tap_ok(cut, "cut anywhere it is none");

    b.data[0] = 2;
    tap_ok(!stoa_mcp_eid_read((uint8_t *) b.data, b.len, &r),
           "another format is none");
    stoa_buf_free(&b);

    return tap_done();
}
