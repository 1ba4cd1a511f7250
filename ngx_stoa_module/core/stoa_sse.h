/*
 * An incremental reader of text/event-stream (WHATWG HTML 9.2): bytes in any
 * cut, one callback per event.  Process: any.  The data of one event is
 * gathered in a buffer with a maximum; past it STOA_FULL.  Names and ids of
 * events are at most STOA_SSE_NAME_MAX long.  Comments are skipped; `retry`
 * is told with the next event that has data.
 */

#ifndef STOA_SSE_H
#define STOA_SSE_H


#include "stoa_core.h"


#define STOA_SSE_NAME_MAX   1024
#define STOA_SSE_RETRY_MAX  86400000

typedef struct {
    stoa_str_t  event;        /* "" means "message"                       */
    stoa_str_t  id;
    stoa_str_t  data;         /* lines joined by LF                       */
    bool        has_id;       /* the event itself said its id             */
    int64_t     retry_ms;     /* ... and when to come again; -1           */
} stoa_sse_event_t;

/* The strings are valid until it returns; another answer than STOA_OK ends the
 * feed with it. */
typedef stoa_rc_t (*stoa_sse_handler_pt)(void *ctx,
    const stoa_sse_event_t *event);

#define STOA_SSE_MAGIC  0x55e0001u

typedef struct {
    uint32_t             magic;     /* STOA_SSE_MAGIC until it is freed   */
    stoa_buf_t           line;      /* one that came in pieces            */
    stoa_buf_t           data;
    stoa_buf_t           event;
    stoa_buf_t           id;        /* kept from event to event           */
    unsigned             cr:1;      /* last byte was CR                   */
    unsigned             started:1; /* the BOM was looked for             */
    unsigned             has_data:1;
    unsigned             has_id:1;
    int64_t              retry_ms;
    stoa_sse_handler_pt  handler;
    void                *ctx;
} stoa_sse_t;

/* max: bytes of the data of one event, and of one line. */
void stoa_sse_init(stoa_sse_t *s, size_t max, stoa_sse_handler_pt handler,
    void *ctx);
/* After another answer than STOA_OK the reader is only to be freed.  An event
 * that the end of the stream cuts off is dropped, as the standard says. */
stoa_rc_t stoa_sse_feed(stoa_sse_t *s, const char *data, size_t len)
    STOA_MUST_CHECK;
/* Between two events: gives the memory of the last one back. */
void stoa_sse_idle(stoa_sse_t *s);
void stoa_sse_free(stoa_sse_t *s);


#endif /* STOA_SSE_H */
