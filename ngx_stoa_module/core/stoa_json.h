/*
 * A strict JSON reader (RFC 8259) over one contiguous buffer.
 *
 * Two layers.  stoa_json_check() walks a whole text once and refuses: bad
 * UTF-8 (overlong, surrogates, beyond U+10FFFF), unescaped control
 * characters, lone surrogates in \u escapes, depth over the limit, trailing
 * data, NaN, leading zeros, duplicate keys (compared after unescaping).
 * The cursor functions then walk text that has passed; they never allocate.
 *
 * Process: any.  Lifetime: values are spans of the caller's buffer.
 */

#ifndef STOA_JSON_H
#define STOA_JSON_H


#include "stoa_core.h"


typedef enum {
    STOA_JSON_NULL, STOA_JSON_FALSE, STOA_JSON_TRUE, STOA_JSON_NUMBER,
    STOA_JSON_STRING, STOA_JSON_ARRAY, STOA_JSON_OBJECT
} stoa_json_type_e;


/* A value: its span in the buffer, quotes and brackets included. */

typedef struct {
    stoa_json_type_e  type;
    const char       *start;
    const char       *end;       /* one past the last byte                */
    bool              escaped;   /* a string that contains a backslash    */
} stoa_json_val_t;


/*
 * Checks a whole text; *root gets its value.  depth_max: at most
 * STOA_JSON_DEPTH_MAX.  STOA_DECLINED with err filled (line, offset, and the
 * path of the place as its field).  At most STOA_JSON_MEMBERS_MAX members in
 * one object.  Keys are kept on the stack while they are few and malloc'ed
 * beyond that (STOA_ERROR without memory).
 */
stoa_rc_t stoa_json_check(const char *data, size_t len, unsigned depth_max,
    stoa_json_val_t *root, stoa_err_t *err) STOA_MUST_CHECK;

/*
 * The same, and tells the members of objects down to member_depth (the root
 * is depth 1) while it walks: each when its value has ended, so those inside
 * a value come before the member that holds it.  What a text that is declined
 * in the end has told counts for nothing.
 */
typedef void (*stoa_json_member_pt)(void *ctx, unsigned depth,
    const stoa_json_val_t *key, const stoa_json_val_t *val);

stoa_rc_t stoa_json_walk(const char *data, size_t len, unsigned depth_max,
    unsigned member_depth, stoa_json_member_pt member, void *ctx,
    stoa_json_val_t *root, stoa_err_t *err) STOA_MUST_CHECK;


/*
 * The quick way (stoa_json_plain.c): true for a plain text, which
 * stoa_json_check() would take, too; false says nothing.  Tells the name of
 * each member before its value is read, in objects that have a place: the
 * root has 1, others the place that was given to them.  The value's span goes
 * to *to when it has ended (NULL: nowhere).  False gives up.  member NULL:
 * nothing is told.
 */
typedef bool (*stoa_json_plain_pt)(void *ctx, unsigned place,
    const stoa_json_val_t *key, stoa_json_val_t **to, unsigned *inner);

bool stoa_json_plain(const char *data, size_t len, stoa_json_plain_pt member,
    void *ctx, stoa_json_val_t *root) STOA_MUST_CHECK;


/* Iterates the members of a checked object or the items of a checked array.
 * `it` is set up by _first; both return false at the end.  For arrays `key`
 * is left alone. */

typedef struct {
    const char  *p;
    const char  *end;
} stoa_json_iter_t;

bool stoa_json_first(const stoa_json_val_t *container, stoa_json_iter_t *it,
    stoa_json_val_t *key, stoa_json_val_t *val);
bool stoa_json_next(stoa_json_iter_t *it, stoa_json_val_t *key,
    stoa_json_val_t *val);

/* Finds a member by its exact (unescaped) name; false if absent. */
bool stoa_json_get(const stoa_json_val_t *object, const char *name,
    stoa_json_val_t *val);
/* A string without escapes, a number that is none below 0; else false. */
bool stoa_json_text(const stoa_json_val_t *val, stoa_str_t *text);
bool stoa_json_uint(const stoa_json_val_t *val, uint64_t *n);

/* The same, and it is text without an escape (a span of it), or a whole number
 * that is not negative. */
bool stoa_json_get_text(const stoa_json_val_t *object, const char *name,
    stoa_str_t *text);
bool stoa_json_get_uint(const stoa_json_val_t *object, const char *name,
    uint64_t *n);

/* Appends the text of a checked value without its white space. */
void stoa_json_compact(const stoa_json_val_t *val, stoa_buf_t *b);

/* Compares a string value (unescaping on the fly) with bytes. */
bool stoa_json_eq(const stoa_json_val_t *string, const char *s, size_t len);

/* Unescapes a string value into dst (at least end - start bytes); returns the
 * length.  UTF-8 out; U+0000 is possible in it. */
size_t stoa_json_unescape(const stoa_json_val_t *string, char *dst);

/* What the escape at *p in a checked string stands for; *p moves behind it. */
uint32_t stoa_json_escaped(const char **p);

/* STOA_DECLINED when it is no integer or does not fit. */
stoa_rc_t stoa_json_int(const stoa_json_val_t *number, int64_t *out)
    STOA_MUST_CHECK;

/* Do two string values say the same? */
bool stoa_json_same(const stoa_json_val_t *a, const stoa_json_val_t *b);

/* Where the number that begins at p ends; NULL if it is none. */
const char *stoa_json_number_end(const char *p, const char *end);

/* UTF-8 check alone; and the length of the character of several bytes at s,
 * 0 if it is none. */
bool stoa_utf8_valid(const char *s, size_t len);
size_t stoa_utf8_char(const char *s, const char *end);


#endif /* STOA_JSON_H */
