/*
 * What handlers call: reading the request, filling the answer.
 */

#include <string.h>
#include <strings.h>

#include "core/stoa_media.h"
#include "http/cp_call.h"


/* Content types of bodies; `+json` is any application/...+json. */

static const struct {
    const char  *type;
    bool         yaml;
} cp_req_types[] = {
    { "application/json",   false },
    { "application/yaml",   true },
    { "application/x-yaml", true },
    { "text/yaml",          true },
    { "text/x-yaml",        true },
    { NULL, false }
};


const char *
cp_req_query(cp_req_t *r, const char *name)
{
    unsigned  i;

    for (i = 0; r->call != NULL && i < r->call->nquery; i++) {
        if (strcmp(r->call->query[i][0], name) == 0) {
            return r->call->query[i][1];
        }
    }

    return NULL;
}


const char *
cp_req_header(cp_req_t *r, const char *name)
{
    return (r->conn != NULL)
           ? MHD_lookup_connection_value(r->conn, MHD_HEADER_KIND, name)
           : NULL;
}


const char *
cp_req_cookie(cp_req_t *r, const char *name)
{
    return (r->conn != NULL)
           ? MHD_lookup_connection_value(r->conn, MHD_COOKIE_KIND, name)
           : NULL;
}


static bool
cp_req_type(const char *type, bool *yaml)
{
    size_t    len;
    unsigned  i;

    len = strcspn(type, "; \t");

    for (i = 0; cp_req_types[i].type != NULL; i++) {

        if (strlen(cp_req_types[i].type) == len
            && strncasecmp(cp_req_types[i].type, type, len) == 0)
        {
            *yaml = cp_req_types[i].yaml;
            return true;
        }
    }

    *yaml = false;

    return len > 17 && strncasecmp(type, "application/", 12) == 0
           && strncasecmp(type + len - 5, "+json", 5) == 0;
}


cp_rc_t
cp_req_media(cp_req_t *r, bool *yaml)
{
    const char  *type, *coding;

    if (r->body_len == 0) {
        return cp_err_set(&r->op.err, "bad_request", "a body is needed");
    }

    coding = cp_req_header(r, "Content-Encoding");

    if (coding != NULL && strcasecmp(coding, "identity") != 0) {
        cp_req_set_header(r, "Accept-Encoding", "identity");
        return cp_err_set(&r->op.err, "unsupported_media_type",
                          "a body is taken as it is, without a "
                          "Content-Encoding");
    }

    type = cp_req_header(r, "Content-Type");

    if (type == NULL || !cp_req_type(type, yaml)
        || !stoa_media_utf8(type, strlen(type)))
    {
        cp_req_set_header(r, "Accept-Post",
                          "application/json, application/yaml");
        return cp_err_set(&r->op.err, "unsupported_media_type",
                          "Content-Type must be application/json or "
                          "application/yaml, in UTF-8");
    }

    return CP_OK;
}


cp_rc_t
cp_req_json(cp_req_t *r, cp_json_t **out)
{
    bool         yaml;
    cp_rc_t      rc;
    cp_json_t   *docs;
    size_t       len;
    const char  *text;

    *out = NULL;
    rc = cp_req_media(r, &yaml);

    if (rc != CP_OK) {
        return rc;
    }

    if (!yaml) {
        text = r->body;
        len = r->body_len;
        cp_text_skip_mark(&text, &len);

        return cp_json_parse(r->op.arena, text, len, out, &r->op.err);
    }

    rc = cp_yaml_parse(r->op.arena, r->body, r->body_len, &docs, &r->op.err);
    if (rc != CP_OK) {
        return rc;
    }

    if (docs->n == 0) {
        return cp_err_set(&r->op.err, "bad_request", "there is no document in "
                          "the body");
    }

    *out = (docs->n == 1) ? docs->first : docs;

    return CP_OK;
}


cp_rc_t
cp_req_answer(cp_req_t *r, int status, const cp_json_t *body)
{
    stoa_buf_reset(&r->out);

    r->status = status;

    if (body != NULL) {
        r->content_type = "application/json";
        cp_json_write(&r->out, body);
    }

    if (r->out.rc != STOA_OK) {
        r->status = 0;
        return cp_err_set(&r->op.err, "internal", "the answer is too large");
    }

    /* it may lack something, whoever built it did not look */

    if (cp_arena_failed(r->op.arena)) {
        r->status = 0;
        return cp_err_set(&r->op.err, "internal", "no memory");
    }

    return CP_OK;
}


void
cp_req_set_header(cp_req_t *r, const char *name, const char *value)
{
    unsigned  i;

    for (i = 0; i < r->nheader; i++) {
        if (strcasecmp(r->header[i][0], name) == 0) {
            break;
        }
    }

    if (i == sizeof(r->header) / sizeof(r->header[0])) {
        cp_log(CP_LOG_ERROR, "http", "too many headers name:%s", name);
        return;
    }

    r->header[i][0] = cp_arena_strdup(r->op.arena, name);
    r->header[i][1] = cp_arena_strdup(r->op.arena, value);

    if (i == r->nheader && r->header[i][0] != NULL
        && r->header[i][1] != NULL)
    {
        r->nheader++;
    }
}


const char *
cp_answer_header(cp_req_t *r, const char *name)
{
    unsigned  i;

    for (i = 0; i < r->nheader; i++) {
        if (strcasecmp(r->header[i][0], name) == 0) {
            return r->header[i][1];
        }
    }

    return NULL;
}


cp_rc_t
cp_req_park(cp_req_t *r, int64_t deadline_mono_ms, cp_handler_pt resume)
{
    r->parked = true;
    r->call->next = resume;
    r->call->deadline = deadline_mono_ms;

    return CP_OK;
}


cp_rc_t
cp_req_stream(cp_req_t *r, int status, const char *content_type,
    cp_fill_pt fill, void (*done)(void *ctx), void *ctx)
{
    cp_stream_t  *s = &r->call->stream;

    stoa_buf_reset(&r->out);

    r->status = status;
    r->content_type = content_type;

    s->fill = fill;
    s->done = done;
    s->ctx = ctx;

    return CP_OK;
}
