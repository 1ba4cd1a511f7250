/*
 * Frames of WebSocket (RFC 6455), seen from between client and server: their
 * heads are read and judged, their payloads are not looked at.  Process: any.
 * One reader is one direction; nothing is kept but lengths.
 */

#ifndef STOA_WS_H
#define STOA_WS_H


#include "stoa_core.h"


#define STOA_WS_HEAD_MAX  14

#define STOA_WS_CLOSE     0x8
#define STOA_WS_PING      0x9

/* why a connection is closed */
#define STOA_WS_AWAY      1001
#define STOA_WS_PROTOCOL  1002
#define STOA_WS_POLICY    1008
#define STOA_WS_TOO_BIG   1009

typedef struct {
    uint64_t  rest;            /* of the frame's payload, still to come; the
                                  caller takes off what has passed           */
    uint64_t  message;         /* bytes of its message so far, as sent       */
    unsigned  opcode;          /* of the frame                               */
    unsigned  masked:1;        /* a client's: frames have to be              */
    unsigned  deflate:1;       /* a message may be compressed                */
    unsigned  open:1;          /* a message has begun and not ended          */
    unsigned  begins:1;        /* the frame begins a message                 */
    unsigned  closed:1;        /* a close frame was there                    */
} stoa_ws_t;

/* The head of a frame at data.  STOA_OK: *used is its length, the rest is in
 * w; STOA_AGAIN: it is not all there; STOA_DECLINED: it is none, *why says. */
stoa_rc_t stoa_ws_head(stoa_ws_t *w, const void *data, size_t len,
    size_t *used, const char **why) STOA_MUST_CHECK;

/* A control frame with up to 125 bytes; mask: 0 for a server's.  Returns its
 * length, at most STOA_WS_HEAD_MAX + len. */
size_t stoa_ws_control(void *dst, unsigned opcode, const void *data,
    size_t len, uint32_t mask);


#endif /* STOA_WS_H */
