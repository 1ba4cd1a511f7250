/* Tests for what is in a requestState. */

#include <stdlib.h>

#include "stoa_state.h"
#include "tap.h"


int
main(void)
{
    size_t            n, len;
    bool              cut;
    uint8_t           text[STOA_MCP_STATE_LEN + 1], *copy;
    stoa_mcp_state_t  s, r;

    static const char  wanted[] = "\x01R\x6a\x00\x00\x01\x02\x58"
        "\x00\x64\xd4\xf4\x53\x25\x0d\x54\x5c\x18";

    memset(&s, 0, sizeof(s));
    s.kind = 'P';
    s.issued_s = 0x6a000001;
    s.ttl_s = 300;
    memcpy(s.api, "01jd9x2k4m6n8q0r", STOA_ID_LEN);
    memset(s.gateway, 0xa5, sizeof(s.gateway));
    s.pid = 0x01020304;
    memset(s.park, 0x5a, sizeof(s.park));
    s.round = 258;

    len = stoa_mcp_state_write(text, &s);
    tap_ok(len == STOA_MCP_STATE_LEN - STOA_PEER_MAX
           && memcmp(text + len - 3, "\x01\x02", 3) == 0, "one that waits");
    tap_ok(stoa_mcp_state_read(text, len, &r)
           && memcmp(&r, &s, sizeof(s)) == 0, "... is read as it was");

    for (cut = true, n = 0; n <= sizeof(text); n++) {
        if (n == len) {
            continue;
        }

        copy = calloc(1, n ? n : 1);
        memcpy(copy, text, n < len ? n : len);
        cut = cut && !stoa_mcp_state_read(copy, n, &r);
        free(copy);
    }

    tap_ok(cut, "shorter or longer it is none");

    s.peer_len = STOA_PEER_MAX;
    memset(s.peer, 'p', sizeof(s.peer));
    n = stoa_mcp_state_write(text, &s);
    tap_ok(n == STOA_MCP_STATE_LEN && stoa_mcp_state_read(text, n, &r)
           && memcmp(&r, &s, sizeof(s)) == 0, "... with an address");
    tap_ok(!stoa_mcp_state_read(text, n - 1, &r), "... which is whole");

    s.peer_len = 0;
    (void) stoa_mcp_state_write(text, &s);
    text[1] = 'Q';
    tap_ok(!stoa_mcp_state_read(text, len, &r), "nor of another kind");
    text[0] = 2;
    tap_ok(!stoa_mcp_state_read(text, len, &r), "... or format");

    s.kind = 'R';
    s.ttl_s = 600;
    len = stoa_mcp_state_write(text, &s);
    tap_ok(len == sizeof(wanted) - 1 && memcmp(text, wanted, len) == 0,
           "one that begins anew is short");
    tap_ok(stoa_mcp_state_read(text, len, &r) && r.kind == 'R'
           && r.ttl_s == 600
           && memcmp(r.api, s.api, STOA_ID_LEN) == 0, "... and read");

    return tap_done();
}
