/*
 * From what a handler said to MHD's response: problem+json, compression,
 * piecewise bodies.
 */

#include <string.h>
#include <strings.h>

#include "base/cp_err.h"
#include "base/cp_json_gen.h"
#include "http/cp_call.h"


#define CP_ANSWER_BLOCK  65536
/* zlib: most of the gain for a third of the time of the usual levels. */
#define CP_ANSWER_LEVEL  1


static void
cp_answer_member(yajl_gen g, const char *name, const char *text)
{
    (void) cp_json_gen_text(g, name, strlen(name));
    (void) cp_json_gen_text(g, text, strlen(text));
}


static void
cp_answer_number(yajl_gen g, const char *name, long long n)
{
    (void) cp_json_gen_text(g, name, strlen(name));
    (void) yajl_gen_integer(g, n);
}


static void
cp_answer_faults(yajl_gen g, const cp_err_t *err)
{
    unsigned           i;
    const cp_fault_t  *f;

    if (err->n == 0) {
        return;
    }

    (void) cp_json_gen_text(g, "errors", 6);
    (void) yajl_gen_array_open(g);

    for (i = 0; i < err->n; i++) {
        f = &err->faults[i];

        (void) yajl_gen_map_open(g);
        cp_answer_member(g, "field", f->field);
        cp_answer_member(g, "message", f->message);

        if (f->document >= 0) {
            cp_answer_number(g, "document", f->document);
        }

        if (f->line > 0) {
            cp_answer_number(g, "line", f->line);
        }

        (void) yajl_gen_map_close(g);
    }

    (void) yajl_gen_array_close(g);
}


void
cp_answer_problem(cp_call_t *call)
{
    char                 type[64];
    cp_req_t            *r;
    yajl_gen             g;
    stoa_buf_t          *b;
    const cp_err_row_t  *row;

    r = &call->req;
    b = &r->out;

    if (r->op.err.status == 0) {
        (void) cp_err_set(&r->op.err, "internal", "internal error");
    }

    row = cp_err_row(r->op.err.code);

    (void) snprintf(type, sizeof(type), "urn:stoa:problem:%s", row->code);

    stoa_buf_reset(b);
    g = cp_json_gen(b);

    if (g != NULL) {
        (void) yajl_gen_map_open(g);
        cp_answer_member(g, "type", type);
        cp_answer_member(g, "title", row->title);
        cp_answer_number(g, "status", row->status);
        cp_answer_member(g, "detail", r->op.err.detail);
        cp_answer_faults(g, &r->op.err);
        cp_answer_member(g, "request_id", r->op.request_id);
        (void) yajl_gen_map_close(g);
        yajl_gen_free(g);
    }

    r->status = row->status;
    r->content_type = "application/problem+json";

    if (row->status == 401) {
        cp_req_set_header(r, "WWW-Authenticate", "Bearer realm=\"stoa\"");

    } else if (row->status == 503) {
        cp_req_set_header(r, "Retry-After", "1");
    }
}


void
cp_answer_refuse(cp_call_t *call)
{
    call->refused = true;
    stoa_buf_free(&call->body);
    cp_answer_problem(call);
}


static bool
cp_answer_deflate_start(z_stream *z)
{
    memset(z, 0, sizeof(z_stream));

    /* 15 + 16: the largest window, the gzip frame */

    return deflateInit2(z, CP_ANSWER_LEVEL, Z_DEFLATED, 15 + 16, 8,
                        Z_DEFAULT_STRATEGY) == Z_OK;
}


/* Appends data packed to out. */

static cp_rc_t
cp_answer_deflate(z_stream *z, stoa_buf_t *data, stoa_buf_t *out, bool last)
{
    int            rc;
    unsigned char  piece[16384];

    z->next_in = (unsigned char *) data->data;
    z->avail_in = (unsigned) data->len;

    do {
        z->next_out = piece;
        z->avail_out = sizeof(piece);

        rc = deflate(z, last ? Z_FINISH : Z_NO_FLUSH);
        if (rc == Z_STREAM_ERROR) {
            return CP_ERROR;
        }

        stoa_buf_add(out, piece, sizeof(piece) - z->avail_out);

    } while (z->avail_out == 0);

    return (out->rc == STOA_OK) ? CP_OK : CP_ERROR;
}


/* Packs r->out in place; without memory it is sent as it is. */

static bool
cp_answer_gzip(cp_req_t *r)
{
    cp_rc_t     rc;
    z_stream    z;
    stoa_buf_t  packed;

    if (!cp_answer_deflate_start(&z)) {
        return false;
    }

    stoa_buf_init(&packed, CP_CALL_ANSWER_MAX);

    rc = cp_answer_deflate(&z, &r->out, &packed, true);
    (void) deflateEnd(&z);

    if (rc != CP_OK) {
        stoa_buf_free(&packed);
        return false;
    }

    stoa_buf_free(&r->out);
    r->out = packed;

    return true;
}


static stoa_buf_t *
cp_answer_piece(cp_stream_t *s)
{
    return s->gzip ? &s->packed : &s->raw;
}


/* Fills and packs until there is something to send, or nothing is left. */

static cp_rc_t
cp_answer_next(cp_stream_t *s)
{
    cp_rc_t  rc;

    s->sent = 0;
    stoa_buf_reset(&s->raw);
    stoa_buf_reset(&s->packed);

    do {
        stoa_buf_reset(&s->raw);

        rc = s->fill(s->ctx, &s->raw, &s->last);

        if (rc != CP_OK || s->raw.rc != STOA_OK) {
            return CP_ERROR;
        }

        if (s->gzip) {
            rc = cp_answer_deflate(&s->z, &s->raw, &s->packed, s->last);
            if (rc != CP_OK) {
                return rc;
            }
        }

    } while (!s->last && cp_answer_piece(s)->len == 0);

    return CP_OK;
}


void
cp_answer_fill(cp_call_t *call)
{
    call->stream.failed = cp_answer_next(&call->stream) != CP_OK;

    if (call->stream.failed) {
        cp_log(CP_LOG_ERROR, "http", "answer cut short request:%s",
               call->req.op.request_id);
    }
}


static void
cp_answer_stream_free(cp_stream_t *s)
{
    if (s->done != NULL) {
        s->done(s->ctx);
    }

    if (s->gzip) {
        (void) deflateEnd(&s->z);
    }

    stoa_buf_free(&s->raw);
    stoa_buf_free(&s->packed);

    memset(s, 0, sizeof(cp_stream_t));
}


cp_rc_t
cp_answer_begin(cp_call_t *call)
{
    cp_rc_t       rc;
    cp_stream_t  *s = &call->stream;

    stoa_buf_init(&s->raw, CP_CALL_PIECE_MAX);
    stoa_buf_init(&s->packed, 2 * CP_CALL_PIECE_MAX);

    rc = cp_answer_next(s);

    if (rc == CP_OK && !s->last) {

        s->gzip = call->gzip && cp_answer_deflate_start(&s->z);

        if (s->gzip) {
            rc = cp_answer_deflate(&s->z, &s->raw, &s->packed, false);
        }

        if (rc == CP_OK) {
            return CP_OK;
        }
    }

    /* failed, which can still be told; or small, so it is sent whole */

    if (rc == CP_OK) {
        stoa_buf_free(&call->req.out);
        call->req.out = s->raw;
        stoa_buf_init(&s->raw, 0);
    }

    cp_answer_stream_free(s);

    return rc;
}


/* MHD wants more: what is there, or a worker is asked and the connection waits
 * meanwhile. */

static ssize_t
cp_answer_read(void *cls, uint64_t pos, char *dst, size_t max)
{
    size_t        n;
    cp_call_t    *call = cls;
    stoa_buf_t   *b;
    cp_stream_t  *s = &call->stream;

    (void) pos;

    if (s->failed) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }

    b = cp_answer_piece(s);

    if (s->sent == b->len) {

        if (s->last) {
            return MHD_CONTENT_READER_END_OF_STREAM;
        }

        return cp_queue_submit(call->http, call)
               ? 0 : MHD_CONTENT_READER_END_WITH_ERROR;
    }

    n = b->len - s->sent;
    n = (n < max) ? n : max;

    memcpy(dst, b->data + s->sent, n);
    s->sent += n;
    call->sent += (int64_t) n;

    return (ssize_t) n;
}


static void
cp_answer_read_done(void *cls)
{
    cp_call_t  *call = cls;

    cp_answer_stream_free(&call->stream);
    cp_call_release(call);
}


static struct MHD_Response *
cp_answer_stream(cp_call_t *call)
{
    struct MHD_Response  *response;

    (void) __atomic_add_fetch(&call->refs, 1, __ATOMIC_SEQ_CST);

    response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN,
                   CP_ANSWER_BLOCK, cp_answer_read, call,
                   cp_answer_read_done);

    if (response == NULL) {

        /* without memory: an empty answer is tried instead */

        cp_answer_read_done(call);
        return NULL;
    }

    if (call->stream.gzip) {
        cp_req_set_header(&call->req, "Content-Encoding", "gzip");
    }

    return response;
}


static struct MHD_Response *
cp_answer_whole(cp_call_t *call)
{
    cp_req_t             *r;
    const char           *etag;
    struct MHD_Response  *response;

    r = &call->req;
    cp_condition_apply(call);
    etag = cp_answer_header(r, "ETag");

    /* a strong ETag names the bytes: it stays with them unpacked */

    if (call->gzip && r->out.len >= CP_CALL_GZIP_MIN
        && (etag == NULL || *etag == 'W') && cp_answer_gzip(r))
    {
        cp_req_set_header(r, "Content-Encoding", "gzip");
    }

    call->sent = (int64_t) r->out.len;

    if (r->out.len == 0) {
        return MHD_create_response_from_buffer(0, "",
                                               MHD_RESPMEM_PERSISTENT);
    }

    /* the buffer is MHD's from now on */

    response = MHD_create_response_from_buffer(r->out.len, r->out.data,
                                               MHD_RESPMEM_MUST_FREE);
    if (response != NULL) {
        stoa_buf_init(&r->out, CP_CALL_ANSWER_MAX);
    }

    return response;
}


void
cp_answer_make(cp_call_t *call)
{
    unsigned              i;
    cp_req_t             *r;
    struct MHD_Response  *response;

    r = &call->req;

    cp_rate_headers(r);

    response = (call->stream.fill != NULL) ? cp_answer_stream(call)
                                           : cp_answer_whole(call);
    if (response == NULL) {
        return;
    }

    if (r->content_type != NULL) {
        (void) MHD_add_response_header(response, "Content-Type",
                                       r->content_type);
    }

    for (i = 0; i < r->nheader; i++) {

        if (MHD_add_response_header(response, r->header[i][0],
                                    r->header[i][1]) != MHD_YES)
        {
            cp_log(CP_LOG_ERROR, "http", "bad header name:%s request:%s",
                   r->header[i][0], r->op.request_id);
        }
    }

    if (r->cookie != NULL) {
        (void) MHD_add_response_header(response, "Set-Cookie", r->cookie);
    }

    (void) MHD_add_response_header(response, "X-Request-Id", r->op.request_id);
    cp_cors_headers(r, response);

    if (atomic_load(&r->op.app->stopping)) {
        (void) MHD_add_response_header(response, "Connection", "close");
    }

    call->response = response;
}
