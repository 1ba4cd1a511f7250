/* Tests for frames of WebSocket. */

#include <string.h>

#include "stoa_ws.h"
#include "tap.h"


#define MASK  "\1\2\3\4"

static const struct {
    const char  *what;
    const char  *bytes;
    size_t       len;
    unsigned     server;
    unsigned     deflate;
    stoa_rc_t    rc;
    size_t       used;
    uint64_t     rest;
} heads[] = {
    { "one byte", "\x81", 1, 0, 0, STOA_AGAIN, 0, 0 },
    { "no mask yet", "\x81\x83\1\2\3", 5, 0, 0, STOA_AGAIN, 0, 0 },
    { "a client's", "\x81\x83" MASK, 6, 0, 0, STOA_OK, 6, 3 },
    { "a server's", "\x82\x03", 2, 1, 0, STOA_OK, 2, 3 },
    { "a server's with a mask", "\x82\x83" MASK, 6, 1, 0, STOA_DECLINED, 0,
      0 },
    { "a client's without", "\x82\x03", 2, 0, 0, STOA_DECLINED, 0, 0 },
    { "two bytes of length", "\x82\x7e\0\x7e", 4, 1, 0, STOA_OK, 4, 126 },
    { "too many for 125", "\x82\x7e\0\x7d", 4, 1, 0, STOA_DECLINED, 0, 0 },
    { "eight bytes", "\x82\x7f\0\0\0\0\0\1\0\0", 10, 1, 0, STOA_OK, 10,
      65536 },
    { "seven of eight", "\x82\x7f\0\0\0\0\0\1\0", 9, 1, 0, STOA_AGAIN, 0, 0 },
    { "too many for 65535", "\x82\x7f\0\0\0\0\0\0\xff\xff", 10, 1, 0,
      STOA_DECLINED, 0, 0 },
    { "2^63", "\x82\x7f\x80\0\0\0\0\0\0\0", 10, 1, 0, STOA_DECLINED, 0, 0 },
    { "2^63 - 1", "\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 10, 1, 0,
      STOA_OK, 10, UINT64_C(0x7fffffffffffffff) },
    { "compressed", "\xc1\x01", 2, 1, 1, STOA_OK, 2, 1 },
    { "compressed, unasked", "\xc1\x01", 2, 1, 0, STOA_DECLINED, 0, 0 },
    { "a compressed ping", "\xc9\x01", 2, 1, 1, STOA_DECLINED, 0, 0 },
    { "a reserved bit", "\xa1\x01", 2, 1, 1, STOA_DECLINED, 0, 0 },
    { "opcode 3", "\x83\x01", 2, 1, 0, STOA_DECLINED, 0, 0 },
    { "opcode 11", "\x8b\x01", 2, 1, 0, STOA_DECLINED, 0, 0 },
    { "a ping", "\x89\x7d", 2, 1, 0, STOA_OK, 2, 125 },
    { "a ping in pieces", "\x09\x00", 2, 1, 0, STOA_DECLINED, 0, 0 },
    { "a long ping", "\x89\x7e\0\x7e", 4, 1, 0, STOA_DECLINED, 0, 0 },
    { "a continuation", "\x80\x00", 2, 1, 0, STOA_DECLINED, 0, 0 },
};


static stoa_rc_t
next(stoa_ws_t *w, const char *bytes)
{
    size_t       used;
    const char  *why;

    return stoa_ws_head(w, bytes, 2, &used, &why);
}


int
main(void)
{
    char         frame[STOA_WS_HEAD_MAX + 128];
    size_t       i, used;
    stoa_rc_t    rc;
    stoa_ws_t    w;
    const char  *why;

    for (i = 0; i < tap_count(heads); i++) {
        memset(&w, 0, sizeof(stoa_ws_t));
        w.masked = !heads[i].server;
        w.deflate = heads[i].deflate;
        used = 0;
        why = NULL;

        rc = stoa_ws_head(&w, heads[i].bytes, heads[i].len, &used, &why);

        tap_ok(rc == heads[i].rc && used == heads[i].used
               && w.rest == heads[i].rest && !why == (rc != STOA_DECLINED),
               "%s", heads[i].what);
    }

    memset(&w, 0, sizeof(stoa_ws_t));
    tap_ok(next(&w, "\x01\x03") == STOA_OK && w.begins && w.open,
           "a message begins");
    tap_ok(next(&w, "\x89\x00") == STOA_OK && !w.begins, "a ping within it");
    tap_int(next(&w, "\x81\x00"), STOA_DECLINED, "no other message");
    tap_ok(next(&w, "\x80\x04") == STOA_OK && !w.open, "its end");
    tap_int((int64_t) w.message, 7, "all its bytes");
    tap_ok(next(&w, "\x88\x02") == STOA_OK && w.closed, "a close");
    tap_int(next(&w, "\x81\x00"), STOA_DECLINED, "nothing behind it");
    tap_int(next(&w, "\x88\x00"), STOA_DECLINED, "nor another one");
    tap_int(next(&w, "\x8a\x00"), STOA_OK, "but a pong");

    tap_int((int64_t) stoa_ws_control(frame, STOA_WS_CLOSE, "\3\350x", 3, 0),
            5, "a server's close");
    tap_ok(memcmp(frame, "\x88\3\3\350x", 5) == 0, "its bytes");
    tap_int((int64_t) stoa_ws_control(frame, STOA_WS_CLOSE, "abcde", 5,
                                      0x01020304), 11, "a client's");
    tap_ok(memcmp(frame, "\x88\x85\1\2\3\4```", 9) == 0
           && memcmp(frame + 9, "`d", 2) == 0,
           "is masked");

    return tap_done();
}
