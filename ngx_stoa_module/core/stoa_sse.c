/*
 * The reader of event streams.
 */

#include <string.h>

#include "stoa_assert.h"
#include "stoa_sse.h"


static stoa_rc_t stoa_sse_line(stoa_sse_t *s, const char *line, size_t len);
static stoa_rc_t stoa_sse_field(stoa_sse_t *s, const stoa_str_t *name,
    const stoa_str_t *value);
static stoa_rc_t stoa_sse_dispatch(stoa_sse_t *s);
static stoa_rc_t stoa_sse_set(stoa_buf_t *b, const stoa_str_t *value);
static int64_t stoa_sse_number(const stoa_str_t *value, int64_t before);


void
stoa_sse_init(stoa_sse_t *s, size_t max, stoa_sse_handler_pt handler,
    void *ctx)
{
    memset(s, 0, sizeof(stoa_sse_t));

    stoa_buf_init(&s->line, max);
    stoa_buf_init(&s->data, max);
    stoa_buf_init(&s->event, STOA_SSE_NAME_MAX);
    stoa_buf_init(&s->id, STOA_SSE_NAME_MAX);

    s->magic = STOA_SSE_MAGIC;
    s->retry_ms = -1;
    s->handler = handler;
    s->ctx = ctx;
}


void
stoa_sse_free(stoa_sse_t *s)
{
    s->magic = 0;
    stoa_buf_free(&s->line);
    stoa_buf_free(&s->data);
    stoa_buf_free(&s->event);
    stoa_buf_free(&s->id);
}


void
stoa_sse_idle(stoa_sse_t *s)
{
    stoa_buf_t  *b;

    for (b = &s->line; b <= &s->event; b++) {
        if (b->len == 0 && b->data) {
            stoa_buf_free(b);
            stoa_buf_init(b, b->max);
        }
    }
}


stoa_rc_t
stoa_sse_feed(stoa_sse_t *s, const char *data, size_t len)
{
    size_t       n;
    stoa_rc_t    rc;
    const char  *p, *end;

    stoa_assert(s->magic == STOA_SSE_MAGIC);

    p = data;
    end = data + len;

    while (p < end) {
        if (s->cr && *p == '\n') {
            s->cr = 0;
            p++;
            continue;
        }

        s->cr = 0;

        for (n = 0; n < (size_t) (end - p); n++) {
            if (p[n] == '\n' || p[n] == '\r') {
                break;
            }
        }

        if (s->line.len || p + n == end) {
            stoa_buf_add(&s->line, p, n);

            if (s->line.rc != STOA_OK || p + n == end) {
                return s->line.rc;
            }

            rc = stoa_sse_line(s, s->line.data, s->line.len);
            stoa_buf_reset(&s->line);

        } else {
            rc = stoa_sse_line(s, p, n);
        }

        if (rc != STOA_OK) {
            return rc;
        }

        s->cr = (p[n] == '\r');
        p += n + 1;
    }

    return STOA_OK;
}


static stoa_rc_t
stoa_sse_line(stoa_sse_t *s, const char *line, size_t len)
{
    stoa_str_t   name, value;
    const char  *colon;

    if (!s->started) {
        s->started = 1;

        if (len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
            line += 3;
            len -= 3;
        }
    }

    if (len == 0) {
        return stoa_sse_dispatch(s);
    }

    colon = memchr(line, ':', len);

    name.data = line;
    name.len = colon ? (size_t) (colon - line) : len;
    value.data = line + len;
    value.len = 0;

    if (colon) {
        value.data = colon + 1;
        value.len = len - name.len - 1;

        if (value.len && value.data[0] == ' ') {
            value.data++;
            value.len--;
        }
    }

    return stoa_sse_field(s, &name, &value);
}


static stoa_rc_t
stoa_sse_field(stoa_sse_t *s, const stoa_str_t *name, const stoa_str_t *value)
{
    if (name->len == 4 && memcmp(name->data, "data", 4) == 0) {
        if (s->has_data) {
            stoa_buf_add(&s->data, "\n", 1);
        }

        stoa_buf_add(&s->data, value->data, value->len);
        s->has_data = 1;

        return s->data.rc;
    }

    if (name->len == 5 && memcmp(name->data, "event", 5) == 0) {
        return stoa_sse_set(&s->event, value);
    }

    /* one that is too long is none, as one with a NUL is: its event counts */

    if (name->len == 2 && memcmp(name->data, "id", 2) == 0
        && value->len <= STOA_SSE_NAME_MAX
        && memchr(value->data, '\0', value->len) == NULL)
    {
        s->has_id = 1;
        return stoa_sse_set(&s->id, value);
    }

    if (name->len == 5 && memcmp(name->data, "retry", 5) == 0) {
        s->retry_ms = stoa_sse_number(value, s->retry_ms);
    }

    return STOA_OK;
}


/* What is no number of digits changes nothing. */

static int64_t
stoa_sse_number(const stoa_str_t *value, int64_t before)
{
    size_t   i;
    int64_t  n;

    if (value->len == 0) {
        return before;
    }

    for (n = 0, i = 0; i < value->len; i++) {

        if (value->data[i] < '0' || value->data[i] > '9') {
            return before;
        }

        n = n < STOA_SSE_RETRY_MAX ? n * 10 + (value->data[i] - '0') : n;
    }

    return n < STOA_SSE_RETRY_MAX ? n : STOA_SSE_RETRY_MAX;
}


static stoa_rc_t
stoa_sse_set(stoa_buf_t *b, const stoa_str_t *value)
{
    stoa_buf_reset(b);
    stoa_buf_add(b, value->data,
                 value->len < STOA_SSE_NAME_MAX ? value->len
                                                : STOA_SSE_NAME_MAX);

    return b->rc;
}


static stoa_rc_t
stoa_sse_dispatch(stoa_sse_t *s)
{
    stoa_rc_t         rc;
    stoa_sse_event_t  event;

    rc = STOA_OK;

    if (s->has_data) {
        event.event = (stoa_str_t) { s->event.data ? s->event.data : "",
                                     s->event.len };
        event.id = (stoa_str_t) { s->id.data ? s->id.data : "", s->id.len };
        event.data = (stoa_str_t) { s->data.data, s->data.len };
        event.has_id = s->has_id;
        event.retry_ms = s->retry_ms;

        rc = s->handler(s->ctx, &event);

        s->has_id = 0;
        s->retry_ms = -1;
    }

    stoa_buf_reset(&s->data);
    stoa_buf_reset(&s->event);
    s->has_data = 0;

    return rc;
}
