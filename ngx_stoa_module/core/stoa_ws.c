/*
 * Frames of WebSocket.
 */

#include "stoa_ws.h"


#define STOA_WS_FIN      0x80
#define STOA_WS_RSV1     0x40
#define STOA_WS_RSV23    0x30
#define STOA_WS_MASK     0x80
#define STOA_WS_CONTROL  125


static uint64_t stoa_ws_number(const uint8_t *p, size_t n);
static const char *stoa_ws_wrong(const stoa_ws_t *w, const uint8_t *p,
    uint64_t rest, size_t n);


stoa_rc_t
stoa_ws_head(stoa_ws_t *w, const void *data, size_t len, size_t *used,
    const char **why)
{
    size_t          n, head;
    uint64_t        rest;
    const uint8_t  *p = data;

    /* what two bytes tell is judged before more is waited for */

    if (len < 2) {
        return STOA_AGAIN;
    }

    rest = p[1] & 0x7f;
    n = rest == 126 ? 2 : rest == 127 ? 8 : 0;

    *why = stoa_ws_wrong(w, p, rest, n);

    if (*why) {
        return STOA_DECLINED;
    }

    head = 2 + n + (w->masked ? 4 : 0);

    if (len < head) {
        return STOA_AGAIN;
    }

    if (n) {
        rest = stoa_ws_number(p + 2, n);

        if (rest >> 63 || rest < (n == 2 ? 126u : 65536u)) {
            *why = "its length is not in the shortest form";
            return STOA_DECLINED;
        }
    }

    w->opcode = p[0] & 0x0f;
    w->rest = rest;
    w->begins = 0;
    *used = head;

    if (w->opcode & 0x8) {
        w->closed |= w->opcode == STOA_WS_CLOSE;
        return STOA_OK;
    }

    if (w->opcode) {
        w->begins = 1;
        w->message = 0;
    }

    w->message = w->message > UINT64_MAX - rest ? UINT64_MAX
                                                : w->message + rest;
    w->open = (p[0] & STOA_WS_FIN) == 0;

    return STOA_OK;
}


static const char *
stoa_ws_wrong(const stoa_ws_t *w, const uint8_t *p, uint64_t rest, size_t n)
{
    unsigned  opcode;

    opcode = p[0] & 0x0f;

    if (((p[1] & STOA_WS_MASK) != 0) != w->masked) {
        return w->masked ? "it is not masked" : "it is masked";
    }

    if ((p[0] & STOA_WS_RSV23)
        || ((p[0] & STOA_WS_RSV1)
            && (!w->deflate || opcode == 0 || (opcode & 0x8))))
    {
        return "it has reserved bits";
    }

    if ((opcode & 0x7) > 2) {
        return "its opcode is reserved";
    }

    if (opcode & 0x8) {
        return !(p[0] & STOA_WS_FIN) ? "a control frame is fragmented"
               : n || rest > STOA_WS_CONTROL ? "a control frame is too long"
               : w->closed && opcode == STOA_WS_CLOSE ? "it closes again"
               : NULL;
    }

    if (w->closed) {
        return "it is behind the close";
    }

    return opcode == 0 && !w->open ? "it continues nothing"
           : opcode && w->open ? "the message before is not at its end"
           : NULL;
}


static uint64_t
stoa_ws_number(const uint8_t *p, size_t n)
{
    uint64_t  v;

    for (v = 0; n; n--) {
        v = v << 8 | *p++;
    }

    return v;
}


size_t
stoa_ws_control(void *dst, unsigned opcode, const void *data, size_t len,
    uint32_t mask)
{
    size_t          i;
    uint8_t        *d = dst, m[4];
    const uint8_t  *s = data;

    len = len > STOA_WS_CONTROL ? STOA_WS_CONTROL : len;

    *d++ = (uint8_t) (STOA_WS_FIN | opcode);
    *d++ = (uint8_t) (len | (mask ? STOA_WS_MASK : 0));

    for (i = 0; i < 4; i++) {
        m[i] = (uint8_t) (mask >> (24 - 8 * i));

        if (mask) {
            *d++ = m[i];
        }
    }

    for (i = 0; i < len; i++) {
        *d++ = s[i] ^ m[i % 4];
    }

    return (size_t) (d - (uint8_t *) dst);
}
