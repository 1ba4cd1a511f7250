/* Tests for the reader of event streams. */

#include <stdlib.h>

#include "stoa_sse.h"
#include "tap.h"


/* Events are told as event/id/data; separated by "|". */

static const struct {
    const char  *what;
    stoa_str_t   in;
    const char  *out;
} streams[] = {
    { "nothing", stoa_str(""), "" },
    { "one event", stoa_str("data: x\n\n"), "//x|" },
    { "no space", stoa_str("data:x\n\n"), "//x|" },
    { "two spaces", stoa_str("data:  x\n\n"), "// x|" },
    { "several lines", stoa_str("data: x\ndata: y\ndata:\n\n"),
      "//x\ny\n|" },
    { "no colon", stoa_str("data\n\n"), "//|" },
    { "two empty lines", stoa_str("data\ndata\n\n"), "//\n|" },
    { "CRLF", stoa_str("data: x\r\ndata: y\r\n\r\n"), "//x\ny|" },
    { "CR", stoa_str("data: x\rdata: y\r\r"), "//x\ny|" },
    { "mixed ends", stoa_str("data: x\r\n\ndata: y\n\r\r\n"), "//x|//y|" },
    { "LF CR LF is two ends", stoa_str("data: x\n\r\ndata: y\n\n"),
      "//x|//y|" },
    { "comments", stoa_str(": c\n:\n\ndata: x\n:\n\n"), "//x|" },
    { "event and id", stoa_str("event: e\nid: 7\ndata: x\n\n"), "e/7/x|" },
    { "id is kept, event is not",
      stoa_str("event: e\nid: 7\ndata: x\n\ndata: y\n\n"), "e/7/x|/7/y|" },
    { "id of an event without data",
      stoa_str("id: 7\nevent: e\n\ndata: y\n\n"), "/7/y|" },
    { "id taken back", stoa_str("id: 7\ndata: x\n\nid\ndata: y\n\n"),
      "/7/x|//y|" },
    { "id with a NUL", stoa_str("id: 7\nid: 8\0\ndata: x\n\n"), "/7/x|" },
    { "the last event counts", stoa_str("event: a\nevent: b\ndata: x\n\n"),
      "b//x|" },
    { "retry and others", stoa_str("retry: 5\nfoo: bar\nDATA: z\n\n"), "" },
    { "BOM", stoa_str("\xef\xbb\xbf" "data: x\n\n"), "//x|" },
    { "BOM once", stoa_str("\xef\xbb\xbf\xef\xbb\xbf" "data: x\n\n"), "" },
    { "BOM later", stoa_str("data: x\n\n\xef\xbb\xbf" "data: y\n\n"), "//x|" },
    { "cut off", stoa_str("data: x\n\ndata: y\n"), "//x|" },
    { "cut off in a line", stoa_str("data: x\n\ndata: y"), "//x|" },
    { "colons in data", stoa_str("data: a: b\n\n"), "//a: b|" },
    { "bytes as they are", stoa_str("data: \xff\xc3\n\n"), "//\xff\xc3|" },
};


static stoa_rc_t
told(void *ctx, const stoa_sse_event_t *e)
{
    stoa_buf_t  *b = ctx;

    stoa_buf_add(b, e->event.data, e->event.len);
    stoa_buf_addz(b, "/");
    stoa_buf_add(b, e->id.data, e->id.len);
    stoa_buf_addz(b, "/");
    stoa_buf_add(b, e->data.data, e->data.len);
    stoa_buf_addz(b, "|");

    return STOA_OK;
}


static stoa_rc_t
stop(void *ctx, const stoa_sse_event_t *e)
{
    (void) e;

    ++*(int *) ctx;

    return STOA_AGAIN;
}


/* Feeds it in pieces of memory of their own. */

static stoa_rc_t
feed(stoa_buf_t *b, const stoa_str_t *in, size_t piece, size_t max)
{
    char        *copy;
    size_t       i, n;
    stoa_rc_t    rc;
    stoa_sse_t   s;

    stoa_buf_reset(b);
    stoa_sse_init(&s, max, told, b);
    rc = STOA_OK;

    for (i = 0; i < in->len && rc == STOA_OK; i += n) {
        n = (in->len - i < piece) ? in->len - i : piece;

        copy = malloc(n);
        if (copy == NULL) {
            abort();
        }

        memcpy(copy, in->data + i, n);
        rc = stoa_sse_feed(&s, copy, n);
        free(copy);
    }

    stoa_sse_free(&s);

    return rc;
}


static void
test_limits(void)
{
    int          calls;
    stoa_buf_t   b;
    stoa_sse_t   s;
    stoa_str_t   in;

    stoa_buf_init(&b, 4096);

    in = stoa_str("data: 12345\n\n");
    tap_int(feed(&b, &in, 100, 5), STOA_OK, "data of the maximum");
    tap_str(b.data, b.len, "//12345|", "is told");
    in = stoa_str("data: 123456\n\n");
    tap_int(feed(&b, &in, 100, 5), STOA_FULL, "data past it");
    in = stoa_str("data: 123\ndata: 12\n\n");
    tap_int(feed(&b, &in, 100, 5), STOA_FULL, "the joining LF counts");
    in = stoa_str("data:12345\n\n");
    tap_int(feed(&b, &in, 3, 10), STOA_OK, "a line in pieces");
    in = stoa_str(": 12345678\n\n");
    tap_int(feed(&b, &in, 3, 9), STOA_FULL, "one past the maximum");
    tap_ok(b.len == 0, "and no event");

    calls = 0;
    stoa_sse_init(&s, 100, stop, &calls);
    tap_int(stoa_sse_feed(&s, "data:1\n\ndata:2\n\n", 16), STOA_AGAIN,
            "a handler ends the feed");
    tap_int(calls, 1, "at once");
    stoa_sse_free(&s);
    stoa_sse_free(&s);

    stoa_buf_free(&b);
}


int
main(void)
{
    bool        same;
    size_t      i, piece;
    stoa_buf_t  b;

    stoa_buf_init(&b, 4096);

    for (i = 0; i < tap_count(streams); i++) {
        same = true;

        for (piece = 1; piece < 64 && same; piece++) {
            same = (feed(&b, &streams[i].in, piece, 1000) == STOA_OK
                    && b.len == strlen(streams[i].out)
                    && (b.len == 0
                        || memcmp(b.data, streams[i].out, b.len) == 0));
        }

        if (!tap_ok(same, "%s", streams[i].what)) {
            printf("# got \"%.*s\" in pieces of %u\n", (int) b.len, b.data,
                   (unsigned) piece - 1);
        }
    }

    stoa_buf_free(&b);
    test_limits();

    return tap_done();
}
