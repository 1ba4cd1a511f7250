/*
 * Faults for the caller: the one table of codes, and how they are filled.
 */

#include <stdarg.h>
#include <string.h>

#include "core/stoa_conceal.h"
#include "core/stoa_json.h"
#include "base/cp_err.h"
#include "base/cp_util.h"


static const cp_err_row_t  cp_err_rows[] = {
    { "bad_request",            400, "Bad request" },
    { "validation",             422, "The input is not valid" },
    { "unauthorized",           401, "Authentication is required" },
    { "second_factor_needed",   401, "A code is needed" },
    { "password_change_needed", 403, "Choose another password" },
    { "forbidden",              403, "Not allowed" },
    { "not_found",              404, "Not found" },
    { "method_not_allowed",     405, "Method not allowed" },
    { "not_acceptable",         406, "Not acceptable" },
    { "conflict",               409, "Conflict" },
    { "already_exists",         409, "It exists already" },
    { "illegal_transition",     409, "Not possible in this state" },
    { "in_use",                 409, "It is still in use" },
    { "limit_reached",          409, "The tenant has as many as it may" },
    { "delete_guard",           409, "Too many deletions" },
    { "gone",                   410, "Gone" },
    { "precondition_failed",    412, "It was changed meanwhile" },
    { "body_too_large",         413, "The body is too large" },
    { "too_large",              413, "Too large" },
    { "unsupported_media_type", 415, "Unsupported content type" },
    { "idempotency_mismatch",   422,
      "The idempotency key was used with another request" },
    { "too_many_requests",      429, "Too many requests" },
    { "headers_too_large",      431, "Too many headers" },
    { "internal",               500, "Internal error" },
    { "bad_gateway",            502, "The other side failed" },
    { "unavailable",            503, "Not available now" },
    { "gateway_timeout",        504, "The other side did not answer in time" },
    { NULL, 0, NULL }
};


const cp_err_row_t *
cp_err_row(const char *code)
{
    const cp_err_row_t  *row, *internal;

    internal = NULL;

    for (row = cp_err_rows; row->code != NULL; row++) {

        if (strcmp(row->code, code) == 0) {
            return row;
        }

        if (row->status == 500) {
            internal = row;
        }
    }

    cp_log(CP_LOG_ERROR, "err", "unknown error code:%s", code);

    return internal;
}


const cp_err_row_t *
cp_err_at(unsigned i)
{
    return (i < sizeof(cp_err_rows) / sizeof(cp_err_rows[0]) - 1)
           ? &cp_err_rows[i] : NULL;
}


/* A precision such as %.64s may cut a character in two: what is no UTF-8 any
 * more becomes "?". */

static void
cp_err_clean(char *s)
{
    char    *start;
    size_t   n;
    uint8_t  c;

    for (start = s; *s != '\0'; s += n) {
        c = (uint8_t) *s;
        n = (c < 0x80) ? 1 : (c < 0xe0) ? 2 : (c < 0xf0) ? 3 : 4;

        if (strnlen(s, n) < n || !stoa_utf8_valid(s, n)) {
            *s = '?';
            n = 1;
        }
    }

    /* a key in the wrong place, too: texts are logged, and shown to others */

    (void) stoa_conceal(start, (size_t) (s - start));
}


static const char *
cp_err_text(cp_err_t *err, const char *fmt, va_list args)
{
    char         buf[1024];
    const char  *s;

    (void) vsnprintf(buf, sizeof(buf), fmt, args);
    cp_err_clean(buf);

    s = (err->arena != NULL) ? cp_arena_strdup(err->arena, buf) : NULL;

    /* without memory the title says enough */

    return (s != NULL) ? s : cp_err_row(err->code)->title;
}


cp_rc_t
cp_err_set(cp_err_t *err, const char *code, const char *fmt, ...)
{
    va_list              args;
    const cp_err_row_t  *row;

    row = cp_err_row(code);

    if (err != NULL) {
        err->status = row->status;
        err->code = row->code;

        va_start(args, fmt);
        err->detail = cp_err_text(err, fmt, args);
        va_end(args);
    }

    return (row->status < 500) ? CP_DECLINED : CP_ERROR;
}


cp_rc_t
cp_err_field(cp_err_t *err, int document, unsigned line, const char *field,
    const char *fmt, ...)
{
    char        *text;
    va_list      args;
    cp_fault_t  *fault;

    if (err == NULL) {
        return CP_DECLINED;
    }

    if (err->status == 0) {
        (void) cp_err_set(err, "validation", "the input is not valid");
    }

    if (err->n == CP_FAULTS_MAX) {
        return CP_DECLINED;
    }

    fault = &err->faults[err->n];

    fault->document = document;
    fault->line = line;
    fault->field = "";

    text = (field != NULL && err->arena != NULL)
           ? cp_arena_strdup(err->arena, field) : NULL;

    if (text != NULL) {
        cp_err_clean(text);
        fault->field = text;
    }

    va_start(args, fmt);
    fault->message = cp_err_text(err, fmt, args);
    va_end(args);

    err->n++;

    return CP_DECLINED;
}
