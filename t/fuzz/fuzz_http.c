/* HTTP answers: any cut gives the same one.  First byte: the cut. */

#include "fuzz.h"
#include "stoa_http.h"


static stoa_rc_t
on_head(void *ctx)
{
    (void) ctx;

    return STOA_OK;
}

static stoa_rc_t
on_body(void *ctx, const char *p, size_t len)
{
    stoa_buf_add(ctx, p, len);

    return STOA_OK;
}

static stoa_rc_t
feed(stoa_buf_t *b, const char *s, size_t len, size_t piece)
{
    size_t       i, n, used;
    stoa_rc_t    rc = STOA_AGAIN;
    stoa_str_t   v;
    stoa_http_t  h;

    stoa_http_init(&h, 4096, on_head, on_body, b);

    for (i = 0; i < len && rc == STOA_AGAIN; i += n) {
        n = (len - i < piece) ? len - i : piece;
        rc = stoa_http_feed(&h, s + i, n, &used);
        must(used <= n);
    }

    if (rc == STOA_AGAIN) {
        rc = stoa_http_eof(&h);
    }

    if (stoa_http_header(&h, "a", &v)) {
        stoa_buf_add(b, v.data, v.len);
    }

    stoa_buf_addf(b, " %d %u %d", rc, h.status, h.keep);
    stoa_http_free(&h);

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

        (void) feed(&whole, s, size, size ? size : 1);
        (void) feed(&cut, s, size, data[0] % 16 + 1);

        /* where it is none, one may have given more of its body */

        must(cut.len == whole.len || size >= 1 << 12);
        must(memcmp(cut.data, whole.data, cut.len) == 0 || size >= 1 << 12);

        stoa_buf_free(&whole);
        stoa_buf_free(&cut);
    }

    return 0;
}
