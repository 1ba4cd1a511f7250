/* Tests for the reader of HTTP answers: each at once, and cut at each byte. */

#include <stdlib.h>

#include "stoa_http.h"
#include "tap.h"


/* out: status, keep, body; or what it is not.  eof: the connection ends. */

static const struct {
    const char  *what;
    const char  *in;
    bool         eof;
    const char  *out;
} answers[] = {
    { "a length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", false,
      "200 keep abc" },
    { "no body", "HTTP/1.1 204 No Content\r\n\r\n", false, "204 keep " },
    { "not modified", "HTTP/1.1 304 x\r\nContent-Length: 3\r\n\r\n", false,
      "304 keep " },
    { "an empty body", "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
      false, "202 keep " },
    { "no reason", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", false,
      "200 keep " },
    { "LF alone", "HTTP/1.1 200 OK\nContent-Length: 1\n\na", false,
      "200 keep a" },
    { "chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n", false,
      "200 keep abc0123456789" },
    { "chunks with trailers", "HTTP/1.1 200 OK\r\n"
      "Transfer-Encoding: Chunked\r\n\r\n1\r\na\r\n00\r\nA: b\r\nC: d\r\n\r\n",
      false, "200 keep a" },
    { "chunks with LF alone", "HTTP/1.1 200 OK\nTransfer-Encoding: chunked"
      "\n\n2\nab\n0\n\n", false, "200 keep ab" },
    { "until it closes", "HTTP/1.1 200 OK\r\n\r\nabc", true,
      "200 close abc" },
    { "until it closes, 1.0", "HTTP/1.0 200 OK\r\nX: y\r\n\r\nabc", true,
      "200 close abc" },
    { "1.0 with a length", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na",
      false, "200 close a" },
    { "Connection: close", "HTTP/1.1 200 OK\r\nConnection: x, Close\r\n"
      "Content-Length: 1\r\n\r\na", false, "200 close a" },
    { "interim ones", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\n"
      "Link: y\r\nContent-Length: 7\r\n\r\nHTTP/1.1 200 OK\r\n"
      "Content-Length: 1\r\n\r\na", false, "200 keep a" },
    { "something behind it", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
      false, "200 keep a" },

    { "nothing", "", true, "no answer before the end" },
    { "half a head", "HTTP/1.1 200 OK\r\nA: b\r\n", true, "it broke off" },
    { "half a body", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", true,
      "it broke off" },
    { "half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nab", true, "it broke off" },
    { "no last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      "2\r\nab\r\n", true, "it broke off" },
    { "no end of trailers", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"
      "\r\n\r\n0\r\n", true, "it broke off" },

    { "no HTTP", "SSH-2.0-OpenSSH_9.2\r\n", false, "no status line" },
    { "HTTP/2", "HTTP/2 200\r\nA: b\r\n\r\n", false, "no status line" },
    { "no number", "HTTP/1.1 2xx OK\r\n\r\n", false, "no status" },
    { "status 600", "HTTP/1.1 600 OK\r\n\r\n", false, "no status" },
    { "status 2000", "HTTP/1.1 2000 OK\r\n\r\n", false, "no status" },
    { "101", "HTTP/1.1 101 x\r\nUpgrade: y\r\n\r\n", false,
      "an answer that nobody asked for" },
    { "a length and chunks", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"
      "Transfer-Encoding: chunked\r\n\r\n", false, "two lengths" },
    { "two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"
      "Content-Length: 3\r\n\r\n", false, "two lengths" },
    { "a list of lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\n",
      false, "no length" },
    { "a length with a sign", "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\n",
      false, "no length" },
    { "too long a length", "HTTP/1.1 200 OK\r\n"
      "Content-Length: 9999999999999999999\r\n\r\n", false, "no length" },
    { "another coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked"
      "\r\n\r\n", false, "a transfer coding" },
    { "a folded line", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", false,
      "a header's name is none" },
    { "a space before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 3"
      "\r\n\r\n", false, "a header's name is none" },
    { "no colon", "HTTP/1.1 200 OK\r\nabc\r\n\r\n", false,
      "a header without a name" },
    { "CR in a line", "HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n", false,
      "a control character in its head" },
    { "no size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
      false, "no size of a chunk" },
    { "a size with a sign", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"
      "\r\n\r\n-1\r\n", false, "no size of a chunk" },
    { "too large a size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"
      "\r\n\r\nffffffffffffffff\r\n", false, "a chunk without end" },
    { "no end of a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"
      "\r\n\r\n1\r\nabc\r\n", false, "chunks that are none" },
};


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


static void
run(const char *in, size_t len, size_t cut, bool eof, stoa_buf_t *out)
{
    size_t       used;
    stoa_rc_t    rc;
    stoa_buf_t   body;
    stoa_http_t  h;

    stoa_buf_init(&body, 65536);
    stoa_http_init(&h, 4096, on_head, on_body, &body);

    rc = stoa_http_feed(&h, in, cut, &used);

    if (rc == STOA_AGAIN) {
        rc = stoa_http_feed(&h, in + cut, len - cut, &used);
    }

    if (rc == STOA_AGAIN && eof) {
        rc = stoa_http_eof(&h);
    }

    stoa_buf_reset(out);

    if (rc == STOA_OK) {
        stoa_buf_addf(out, "%u %s ", h.status, h.keep ? "keep" : "close");
        stoa_buf_add(out, body.data ? body.data : "", body.len);

    } else {
        stoa_buf_addz(out, rc == STOA_AGAIN ? "more" : h.why);
    }

    stoa_buf_free(&body);
    stoa_http_free(&h);
}


static void
headers(void)
{
    size_t       used;
    stoa_str_t   v;
    stoa_buf_t   body;
    stoa_http_t  h;

    static const char  in[] = "HTTP/1.1 200 OK\r\nMcp-Session-Id: \t a b \r\n"
        "RETRY-AFTER: 5\r\nretry-after: 6\r\nempty:\r\n\r\n";

    stoa_buf_init(&body, 65536);
    stoa_http_init(&h, 4096, on_head, on_body, &body);
    tap_int(stoa_http_feed(&h, in, sizeof(in) - 1, &used), STOA_AGAIN,
            "a head");
    tap_int(stoa_http_header(&h, "mcp-session-id", &v), 1, "once");
    tap_str(v.data, v.len, "a b", "without the space around it");
    tap_int(stoa_http_header(&h, "retry-after", &v), 2, "twice");
    tap_str(v.data, v.len, "5", "the first");
    tap_int(stoa_http_header(&h, "empty", &v), 1, "an empty one");
    tap_int((long long) v.len, 0, "is empty");
    tap_int(stoa_http_header(&h, "mcp-session", NULL), 0, "not a part");
    stoa_http_free(&h);
}


static void
limits(void)
{
    char         line[5000];
    size_t       used;
    stoa_rc_t    rc;
    stoa_buf_t   body;
    stoa_http_t  h;
    unsigned     i;

    static const char  chunked[] = "HTTP/1.1 200 OK\r\n"
        "Transfer-Encoding: chunked\r\n\r\n";
    static const char  interim[] = "HTTP/1.1 100 x\r\n\r\n";

    stoa_buf_init(&body, 1 << 20);
    memset(line, 'a', sizeof(line));

    stoa_http_init(&h, 4096, on_head, on_body, &body);
    rc = stoa_http_feed(&h, line, sizeof(line), &used);
    tap_int(rc, STOA_DECLINED, "a head has a maximum");
    stoa_http_free(&h);

    stoa_http_init(&h, 4096, on_head, on_body, &body);
    rc = stoa_http_feed(&h, chunked, sizeof(chunked) - 1, &used);
    tap_int(rc, STOA_AGAIN, "chunks");
    rc = stoa_http_feed(&h, "0;", 2, &used);
    rc = stoa_http_feed(&h, line, sizeof(line), &used);
    tap_int(rc, STOA_DECLINED, "and so has what is behind a size");
    stoa_http_free(&h);

    stoa_http_init(&h, 4096, on_head, on_body, &body);
    rc = stoa_http_feed(&h, chunked, sizeof(chunked) - 1, &used);

    for (i = 0; i < 20000 && rc == STOA_AGAIN; i++) {
        rc = stoa_http_feed(&h, "1;x\r\na\r\n", 8, &used);
    }

    tap_int(rc, STOA_AGAIN, "which is not the sum over all chunks");
    stoa_http_free(&h);

    stoa_http_init(&h, 4096, on_head, on_body, &body);

    for (i = 0, rc = STOA_AGAIN; i < 100 && rc == STOA_AGAIN; i++) {
        rc = stoa_http_feed(&h, interim, sizeof(interim) - 1, &used);
    }

    tap_int(rc, STOA_DECLINED, "interim answers end");
    stoa_http_free(&h);
    stoa_buf_free(&body);
}


int
main(void)
{
    bool        ok;
    size_t      i, cut, len;
    stoa_buf_t  out;

    stoa_buf_init(&out, 65536);

    for (i = 0; i < tap_count(answers); i++) {
        len = strlen(answers[i].in);
        run(answers[i].in, len, len, answers[i].eof, &out);
        tap_str(out.data, out.len, answers[i].out, answers[i].what);

        for (cut = 0, ok = true; cut < len && ok; cut++) {
            run(answers[i].in, len, cut, answers[i].eof, &out);
            ok = out.len == strlen(answers[i].out)
                 && memcmp(out.data, answers[i].out, out.len) == 0;
        }

        tap_ok(ok, "%s, cut anywhere", answers[i].what);
    }

    stoa_buf_free(&out);
    headers();
    limits();

    return tap_done();
}
