/*
 * The growing buffer and the error record of stoa_core.h.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stoa_assert.h"
#include "stoa_core.h"


#define STOA_BUF_FIRST  256


static void stoa_utf8_trim(char *s);
static stoa_rc_t stoa_buf_fail(stoa_buf_t *b, stoa_rc_t rc);
static size_t stoa_buf_escape(char *dst, unsigned char c);


stoa_rc_t
stoa_err_set(stoa_err_t *err, const char *field, const char *fmt, ...)
{
    int      n;
    va_list  args;

    if (err == NULL) {
        return STOA_DECLINED;
    }

    n = snprintf(err->field, sizeof(err->field), "%s", field ? field : "");

    if (n >= (int) sizeof(err->field)) {
        stoa_utf8_trim(err->field);
    }

    va_start(args, fmt);
    n = vsnprintf(err->text, sizeof(err->text), fmt, args);
    va_end(args);

    if (n >= (int) sizeof(err->text)) {
        stoa_utf8_trim(err->text);
    }

    return STOA_DECLINED;
}


void
stoa_err_at(stoa_err_t *err, const char *data, size_t offset)
{
    size_t  i;

    if (err == NULL) {
        return;
    }

    err->offset = offset;
    err->line = 1;

    for (i = 0; i < offset; i++) {
        err->line += (data[i] == '\n');
    }
}


/* Drops a character that was cut in the middle at the end of a string. */

static void
stoa_utf8_trim(char *s)
{
    size_t         n, back, want;
    unsigned char  c;

    n = strlen(s);

    for (back = 1; back <= 4 && back <= n; back++) {
        c = (unsigned char) s[n - back];

        if (c < 0x80) {
            return;
        }

        if (c >= 0xc0) {
            want = (c >= 0xf0) ? 4 : (c >= 0xe0) ? 3 : 2;

            if (back < want) {
                s[n - back] = '\0';
            }

            return;
        }
    }
}


void
stoa_buf_init(stoa_buf_t *b, size_t max)
{
    memset(b, 0, sizeof(stoa_buf_t));
    b->max = max;
}


void
stoa_buf_free(stoa_buf_t *b)
{
    free(b->data);
    stoa_buf_init(b, b->max);
}


void
stoa_buf_reset(stoa_buf_t *b)
{
    b->len = 0;
    b->rc = STOA_OK;

    if (b->data) {
        b->data[0] = '\0';
    }
}


stoa_rc_t
stoa_buf_reserve(stoa_buf_t *b, size_t n)
{
    char    *p;
    size_t   size;

    stoa_assert(b->len <= b->size && (b->size == 0 || b->data));

    if (b->rc != STOA_OK) {
        return b->rc;
    }

    if (n > b->max || b->len > b->max - n) {
        return stoa_buf_fail(b, STOA_FULL);
    }

    if (b->data && n <= b->size - b->len) {
        return STOA_OK;
    }

    size = b->size ? b->size : STOA_BUF_FIRST;

    while (size < b->len + n) {
        size = (size > b->max / 2) ? b->max : size * 2;
    }

    if (size > b->max) {
        size = b->max;
    }

    /* the byte more is for the NUL */

    p = (size < SIZE_MAX) ? realloc(b->data, size + 1) : NULL;
    if (p == NULL) {
        return stoa_buf_fail(b, STOA_ERROR);
    }

    b->data = p;
    b->size = size;

    return STOA_OK;
}


static stoa_rc_t
stoa_buf_fail(stoa_buf_t *b, stoa_rc_t rc)
{
    b->rc = rc;

    return rc;
}


void
stoa_buf_add(stoa_buf_t *b, const void *data, size_t len)
{
    if (stoa_buf_reserve(b, len) != STOA_OK) {
        return;
    }

    if (len) {
        memcpy(b->data + b->len, data, len);
    }

    b->len += len;
    b->data[b->len] = '\0';
}


void
stoa_buf_addz(stoa_buf_t *b, const char *s)
{
    stoa_buf_add(b, s, strlen(s));
}


void
stoa_buf_addf(stoa_buf_t *b, const char *fmt, ...)
{
    int      n;
    size_t   room;
    va_list  args;

    if (stoa_buf_reserve(b, 0) != STOA_OK) {
        return;
    }

    room = b->size - b->len;

    va_start(args, fmt);
    n = vsnprintf(b->data + b->len, room + 1, fmt, args);
    va_end(args);

    if (n < 0) {
        b->data[b->len] = '\0';
        (void) stoa_buf_fail(b, STOA_ERROR);
        return;
    }

    if ((size_t) n > room) {
        b->data[b->len] = '\0';

        if (stoa_buf_reserve(b, (size_t) n) != STOA_OK) {
            return;
        }

        va_start(args, fmt);
        (void) vsnprintf(b->data + b->len, (size_t) n + 1, fmt, args);
        va_end(args);
    }

    b->len += (size_t) n;
}


void
stoa_buf_add_json(stoa_buf_t *b, const char *s, size_t len)
{
    char           esc[6];
    size_t         i, from, start;
    unsigned char  c;

    start = b->len;
    from = 0;

    stoa_buf_add(b, "\"", 1);

    for (i = 0; i < len; i++) {
        c = (unsigned char) s[i];

        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }

        stoa_buf_add(b, s + from, i - from);
        stoa_buf_add(b, esc, stoa_buf_escape(esc, c));
        from = i + 1;
    }

    stoa_buf_add(b, s + from, len - from);
    stoa_buf_add(b, "\"", 1);

    /* an append is whole or not at all */

    if (b->rc != STOA_OK && b->data) {
        b->len = start;
        b->data[start] = '\0';
    }
}


/* Writes the shortest escape of a character that needs one. */

static size_t
stoa_buf_escape(char *dst, unsigned char c)
{
    static const char  hex[] = "0123456789abcdef";
    static const char  letter[] = "btn\0fr";      /* 0x08..0x0d */

    dst[0] = '\\';

    if (c == '"' || c == '\\') {
        dst[1] = (char) c;
        return 2;
    }

    if (c >= 0x08 && c <= 0x0d && letter[c - 0x08]) {
        dst[1] = letter[c - 0x08];
        return 2;
    }

    memcpy(dst, "\\u00", 4);
    dst[4] = hex[c >> 4];
    dst[5] = hex[c & 15];

    return 6;
}
