/* Event streams: any cut gives the same events.  First byte: the cut. */

#include "fuzz.h"
#include "stoa_sse.h"


static stoa_rc_t
told(void *ctx, const stoa_sse_event_t *e)
{
    stoa_buf_addf(ctx, "%zu %zu %zu ", e->event.len, e->id.len, e->data.len);
    stoa_buf_add(ctx, e->event.data, e->event.len);
    stoa_buf_add(ctx, e->id.data, e->id.len);
    stoa_buf_add(ctx, e->data.data, e->data.len);

    return STOA_OK;
}

static stoa_rc_t
feed(stoa_buf_t *b, const char *s, size_t len, size_t piece)
{
    size_t      i, n;
    stoa_rc_t   rc = STOA_OK;
    stoa_sse_t  sse;

    stoa_sse_init(&sse, 1 << 16, told, b);

    for (i = 0; i < len && rc == STOA_OK; i += n) {
        n = (len - i < piece) ? len - i : piece;
        rc = stoa_sse_feed(&sse, s + i, n);
    }

    stoa_sse_free(&sse);

    return rc;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    stoa_buf_t   whole, cut;
    const char  *s = (const char *) data + 1;

    if (size-- > 0) {
        stoa_buf_init(&whole, 1 << 20);
        stoa_buf_init(&cut, 1 << 20);

        must(feed(&whole, s, size, size) == STOA_OK || size >= 1 << 10);
        (void) feed(&cut, s, size, data[0] % 16 + 1);

        must(cut.len == whole.len || size >= 1 << 10);
        must(cut.len == 0 || memcmp(cut.data, whole.data, cut.len) == 0);

        stoa_buf_free(&whole);
        stoa_buf_free(&cut);
    }

    return 0;
}
