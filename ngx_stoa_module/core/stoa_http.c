/*
 * The reader of an HTTP answer.  Lines are gathered in the buffer of the head,
 * where each is judged when it is whole; a body goes through as it comes.
 */

#include <string.h>

#include "stoa_http.h"


#define STOA_HTTP_INTERIM_MAX  16
#define STOA_HTTP_CHUNK_MAX    ((uint64_t) 1 << 60)


typedef enum {
    STOA_HTTP_STATUS = 0,
    STOA_HTTP_HEADERS,
    STOA_HTTP_LENGTH,                   /* a body of that many bytes        */
    STOA_HTTP_CLOSE,
    STOA_HTTP_CHUNK_SIZE,
    STOA_HTTP_CHUNK_EXT,                /* behind the size                  */
    STOA_HTTP_CHUNK_SIZE_LF,
    STOA_HTTP_CHUNK_DATA,
    STOA_HTTP_CHUNK_CR,
    STOA_HTTP_CHUNK_LF,
    STOA_HTTP_TRAILER,                  /* a line begins                    */
    STOA_HTTP_TRAILER_REST,
    STOA_HTTP_TRAILER_LF,               /* of the empty one                 */
    STOA_HTTP_DONE
} stoa_http_state_e;


static stoa_rc_t stoa_http_line(stoa_http_t *h);
static stoa_rc_t stoa_http_status(stoa_http_t *h, char *p, char *end);
static stoa_rc_t stoa_http_field(stoa_http_t *h, char *p, char *end);
static stoa_rc_t stoa_http_framing(stoa_http_t *h);
static stoa_rc_t stoa_http_chunked(stoa_http_t *h, char c);
static bool stoa_http_word(stoa_str_t value, const char *word);


static stoa_rc_t
stoa_http_bad(stoa_http_t *h, const char *why)
{
    h->why = why;

    return STOA_DECLINED;
}


void
stoa_http_init(stoa_http_t *h, size_t head_max, stoa_http_head_pt on_head,
    stoa_http_body_pt on_body, void *ctx)
{
    memset(h, 0, sizeof(*h));
    stoa_buf_init(&h->head, head_max);
    h->on_head = on_head;
    h->on_body = on_body;
    h->ctx = ctx;
}


void
stoa_http_free(stoa_http_t *h)
{
    stoa_buf_free(&h->head);
}


stoa_rc_t
stoa_http_feed(stoa_http_t *h, const char *data, size_t len, size_t *used)
{
    size_t       n;
    stoa_rc_t    rc;
    const char  *p, *end, *lf;

    p = data;
    end = data + len;
    rc = STOA_OK;

    while (p < end && rc == STOA_OK && h->state != STOA_HTTP_DONE) {

        switch (h->state) {

        case STOA_HTTP_STATUS:
        case STOA_HTTP_HEADERS:
            lf = memchr(p, '\n', (size_t) (end - p));
            n = (size_t) ((lf ? lf + 1 : end) - p);

            stoa_buf_add(&h->head, p, n);
            p += n;

            if (h->head.rc != STOA_OK) {
                rc = h->head.rc == STOA_FULL
                     ? stoa_http_bad(h, "a head without end") : STOA_ERROR;

            } else if (lf) {
                rc = stoa_http_line(h);
            }

            break;

        case STOA_HTTP_LENGTH:
        case STOA_HTTP_CLOSE:
        case STOA_HTTP_CHUNK_DATA:
            n = (size_t) (end - p);

            if (h->state != STOA_HTTP_CLOSE) {
                n = h->left < n ? (size_t) h->left : n;
                h->left -= n;
            }

            if (h->left == 0 && h->state != STOA_HTTP_CLOSE) {
                h->extra = 0;
                h->state = h->state == STOA_HTTP_LENGTH ? STOA_HTTP_DONE
                                                        : STOA_HTTP_CHUNK_CR;
            }

            rc = h->on_body(h->ctx, p, n);
            p += n;
            break;

        default:
            rc = stoa_http_chunked(h, *p++);
        }
    }

    *used = (size_t) (p - data);

    if (rc != STOA_OK) {
        return rc;
    }

    return h->state == STOA_HTTP_DONE ? STOA_OK : STOA_AGAIN;
}


stoa_rc_t
stoa_http_eof(stoa_http_t *h)
{
    h->keep = 0;

    if (h->state == STOA_HTTP_DONE || h->state == STOA_HTTP_CLOSE) {
        return STOA_OK;
    }

    return stoa_http_bad(h, h->status ? "it broke off"
                                      : "no answer before the end");
}


/* The line that begins at `line` is whole; it stays in the head without its
 * CR, names in lower case. */

static stoa_rc_t
stoa_http_line(stoa_http_t *h)
{
    char       *p, *end;
    stoa_rc_t   rc;

    p = h->head.data + h->line;
    end = h->head.data + h->head.len - 1;               /* at the LF        */

    if (end > p && end[-1] == '\r') {
        end--;
    }

    if (memchr(p, 0, (size_t) (end - p)) || memchr(p, '\r',
                                                   (size_t) (end - p)))
    {
        return stoa_http_bad(h, "a control character in its head");
    }

    if (h->state == STOA_HTTP_STATUS) {
        rc = stoa_http_status(h, p, end);

    } else if (p == end) {
        h->head.len = h->line;
        return stoa_http_framing(h);

    } else {
        rc = stoa_http_field(h, p, end);
    }

    *end = '\n';
    h->head.len = (size_t) (end + 1 - h->head.data);
    h->line = h->head.len;

    return rc;
}


static stoa_rc_t
stoa_http_status(stoa_http_t *h, char *p, char *end)
{
    unsigned  i, status;

    if (end - p < 12 || memcmp(p, "HTTP/1.", 7) != 0
        || p[7] < '0' || p[7] > '9' || p[8] != ' ')
    {
        return stoa_http_bad(h, "no status line");
    }

    for (i = 9, status = 0; i < 12; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return stoa_http_bad(h, "no status");
        }

        status = status * 10 + (unsigned) (p[i] - '0');
    }

    if (status < 100 || status > 599 || (end - p > 12 && p[12] != ' ')) {
        return stoa_http_bad(h, "no status");
    }

    h->minor = (unsigned) (p[7] - '0');
    h->status = status;
    h->state = STOA_HTTP_HEADERS;

    return STOA_OK;
}


static stoa_rc_t
stoa_http_field(stoa_http_t *h, char *p, char *end)
{
    static const char  token[] = "!#$%&'*+-.^_`|~";

    char  *s;

    for (s = p; s < end && *s != ':'; s++) {

        if (*s >= 'A' && *s <= 'Z') {
            *s = (char) (*s | 0x20);

        } else if (!(*s >= 'a' && *s <= 'z') && !(*s >= '0' && *s <= '9')
                   && (*s == 0 || strchr(token, *s) == NULL))
        {
            return stoa_http_bad(h, "a header's name is none");
        }
    }

    if (s == p || s == end) {
        return stoa_http_bad(h, "a header without a name");
    }

    return STOA_OK;
}


static stoa_rc_t
stoa_http_length(stoa_http_t *h, stoa_str_t value)
{
    size_t  i;

    if (value.len == 0 || value.len > 18) {
        return stoa_http_bad(h, "no length");
    }

    for (i = 0, h->left = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9') {
            return stoa_http_bad(h, "no length");
        }

        h->left = h->left * 10 + (uint64_t) (value.data[i] - '0');
    }

    return STOA_OK;
}


/* The head is whole: where does the body end? */

static stoa_rc_t
stoa_http_framing(stoa_http_t *h)
{
    unsigned    lengths, codings;
    stoa_rc_t   rc;
    stoa_str_t  length, coding, connection;

    if (h->status < 200) {

        if (h->status == 101 || ++h->passed > STOA_HTTP_INTERIM_MAX) {
            return stoa_http_bad(h, "an answer that nobody asked for");
        }

        stoa_buf_reset(&h->head);
        h->line = 0;
        h->status = 0;
        h->state = STOA_HTTP_STATUS;

        return STOA_OK;
    }

    lengths = stoa_http_header(h, "content-length", &length);
    codings = stoa_http_header(h, "transfer-encoding", &coding);

    if (lengths + codings > 1) {
        return stoa_http_bad(h, "two lengths");
    }

    h->keep = h->minor >= 1;

    if (stoa_http_header(h, "connection", &connection)
        && stoa_http_word(connection, "close"))
    {
        h->keep = 0;
    }

    if (h->bodyless || h->status == 204 || h->status == 304) {
        h->state = STOA_HTTP_DONE;

    } else if (codings) {

        if (!stoa_http_word(coding, "chunked") || coding.len != 7
            || h->minor == 0)
        {
            return stoa_http_bad(h, "a transfer coding");
        }

        h->chunked = 1;
        h->state = STOA_HTTP_CHUNK_SIZE;

    } else if (lengths) {
        rc = stoa_http_length(h, length);

        if (rc != STOA_OK) {
            return rc;
        }

        h->state = h->left ? STOA_HTTP_LENGTH : STOA_HTTP_DONE;

    } else {
        h->to_close = 1;
        h->keep = 0;
        h->state = STOA_HTTP_CLOSE;
    }

    return h->on_head(h->ctx);
}


/* A list of words, in any case. */

static bool
stoa_http_word(stoa_str_t value, const char *word)
{
    size_t       i, n;
    const char  *p, *end;

    n = strlen(word);
    p = value.data;
    end = p + value.len;

    while (p < end) {

        for (i = 0; i < n && p + i < end && (p[i] | 0x20) == word[i]; i++);

        if (i == n && (p + n == end || p[n] == ',' || p[n] == ' '
                       || p[n] == '\t'))
        {
            return true;
        }

        while (p < end && *p++ != ',');
        while (p < end && (*p == ' ' || *p == '\t')) {
            p++;
        }
    }

    return false;
}


static int
stoa_http_hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c = (char) (c | 0x20);

    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}


/* One byte between the data of chunks.  long: a switch over states. */

static stoa_rc_t
stoa_http_chunked(stoa_http_t *h, char c)
{
    int  digit;

    switch (h->state) {

    case STOA_HTTP_CHUNK_SIZE:
        digit = stoa_http_hex(c);

        if (digit >= 0) {
            h->left = h->left * 16 + (uint64_t) digit;
            h->digits = 1;

            return h->left < STOA_HTTP_CHUNK_MAX
                   ? STOA_OK : stoa_http_bad(h, "a chunk without end");
        }

        if (!h->digits) {
            return stoa_http_bad(h, "no size of a chunk");
        }

        h->digits = 0;
        h->state = STOA_HTTP_CHUNK_EXT;

        if (c != '\r' && c != '\n' && c != ';' && c != ' ' && c != '\t') {
            return stoa_http_bad(h, "no size of a chunk");
        }

        /* fall through */

    case STOA_HTTP_CHUNK_EXT:
        if (c == '\n') {
            h->state = h->left ? STOA_HTTP_CHUNK_DATA : STOA_HTTP_TRAILER;

        } else if (c == '\r') {
            h->state = STOA_HTTP_CHUNK_SIZE_LF;

        } else if (++h->extra > h->head.max) {
            return stoa_http_bad(h, "a chunk's head without end");
        }

        return STOA_OK;

    case STOA_HTTP_CHUNK_SIZE_LF:
        h->state = h->left ? STOA_HTTP_CHUNK_DATA : STOA_HTTP_TRAILER;
        break;

    case STOA_HTTP_CHUNK_CR:
        if (c == '\r') {
            h->state = STOA_HTTP_CHUNK_LF;
            return STOA_OK;
        }

        /* fall through */

    case STOA_HTTP_CHUNK_LF:
        h->state = STOA_HTTP_CHUNK_SIZE;
        break;

    case STOA_HTTP_TRAILER:
        if (c == '\r') {
            h->state = STOA_HTTP_TRAILER_LF;
            return STOA_OK;
        }

        if (c == '\n') {
            h->state = STOA_HTTP_DONE;
            return STOA_OK;
        }

        h->state = STOA_HTTP_TRAILER_REST;

        /* fall through */

    case STOA_HTTP_TRAILER_REST:
        if (c == '\n') {
            h->state = STOA_HTTP_TRAILER;
        }

        return ++h->extra > h->head.max
               ? stoa_http_bad(h, "trailers without end") : STOA_OK;

    default:                                        /* TRAILER_LF           */
        h->state = STOA_HTTP_DONE;
    }

    return c == '\n' ? STOA_OK : stoa_http_bad(h, "chunks that are none");
}


unsigned
stoa_http_header(const stoa_http_t *h, const char *name, stoa_str_t *value)
{
    size_t       n;
    unsigned     times;
    const char  *p, *end, *lf, *v;

    n = strlen(name);
    times = 0;
    p = h->head.data;
    end = p ? p + h->head.len : p;

    /* the first line is the status */

    for (lf = p; p < end; p = lf + 1) {
        lf = memchr(p, '\n', (size_t) (end - p));

        if (lf == NULL) {
            break;
        }

        if ((size_t) (lf - p) <= n || p[n] != ':' || memcmp(p, name, n) != 0
            || times++ || value == NULL)
        {
            continue;
        }

        v = p + n + 1;

        while (v < lf && (*v == ' ' || *v == '\t')) {
            v++;
        }

        value->data = v;
        value->len = (size_t) (lf - v);

        while (value->len && (v[value->len - 1] == ' '
                              || v[value->len - 1] == '\t'))
        {
            value->len--;
        }
    }

    return times;
}
