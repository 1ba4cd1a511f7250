/*
 * An incremental reader of one HTTP/1.x answer (RFC 9112): bytes in any cut,
 * a callback for the head, one for each piece of the body.  Interim answers
 * are skipped.  What is ambiguous is no answer: a length and chunks at once,
 * two lengths, a folded line, a name with a space.
 *
 * Process: any.  Lifetime: the caller's; the head is malloc'ed and kept until
 * _free.  Limits: head_max bytes of a head (and of trailers), of which the
 * status line is one line; a chunk below 2^60 bytes.
 */

#ifndef STOA_HTTP_H
#define STOA_HTTP_H


#include "stoa_core.h"


/* STOA_OK: go on; anything else ends the feed with it. */
typedef stoa_rc_t (*stoa_http_head_pt)(void *ctx);
typedef stoa_rc_t (*stoa_http_body_pt)(void *ctx, const char *data,
    size_t len);

typedef struct {
    stoa_buf_t         head;      /* "name: value" LF each, names in lower
                                     case; first the reason                 */
    unsigned           state;
    unsigned           status;    /* 0: no head yet                         */
    unsigned           minor;     /* of HTTP/1.x                            */
    unsigned           passed;    /* interim answers                        */
    size_t             line;      /* where the line that comes begins       */
    uint64_t           left;      /* of the body, or of the chunk           */
    size_t             extra;     /* of extensions and trailers             */
    const char        *why;       /* it is none; constant                   */
    unsigned           bodyless:1;  /* set by the caller: to a HEAD         */
    unsigned           chunked:1;
    unsigned           keep:1;    /* the connection may be used again       */
    unsigned           to_close:1;  /* the body ends where it does          */
    unsigned           digits:1;
    stoa_http_head_pt  on_head;
    stoa_http_body_pt  on_body;
    void              *ctx;
} stoa_http_t;


void stoa_http_init(stoa_http_t *h, size_t head_max,
    stoa_http_head_pt on_head, stoa_http_body_pt on_body, void *ctx);
void stoa_http_free(stoa_http_t *h);

/* STOA_AGAIN: more is needed; STOA_OK: the answer is whole, *used bytes of
 * these were its; STOA_DECLINED: it is no HTTP (why); else what a callback
 * returned. */
stoa_rc_t stoa_http_feed(stoa_http_t *h, const char *data, size_t len,
    size_t *used) STOA_MUST_CHECK;
/* The connection has ended: STOA_OK if that is the answer's end. */
stoa_rc_t stoa_http_eof(stoa_http_t *h) STOA_MUST_CHECK;

/* How often a header came (name in lower case), and what it held the first
 * time; value may be NULL. */
unsigned stoa_http_header(const stoa_http_t *h, const char *name,
    stoa_str_t *value);


#endif /* STOA_HTTP_H */
