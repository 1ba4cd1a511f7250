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
 * STOA_JSON_DEPTH_MAX.  STOA_DECLINED with err filled (line and offset).
 * Duplicate keys are found with a bounded table on the stack for small
 * objects and a malloc'ed one for larger (STOA_ERROR without memory).
 */
stoa_rc_t stoa_json_check(const char *data, size_t len, unsigned depth_max,
    stoa_json_val_t *root, stoa_err_t *err) STOA_MUST_CHECK;


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

/* Compares a string value (unescaping on the fly) with bytes. */
bool stoa_json_eq(const stoa_json_val_t *string, const char *s, size_t len);

/* Unescapes a string value into dst (at least end - start bytes); returns the
 * length.  UTF-8 out. */
size_t stoa_json_unescape(const stoa_json_val_t *string, char *dst);

/* STOA_DECLINED when it is no integer or does not fit. */
stoa_rc_t stoa_json_int(const stoa_json_val_t *number, int64_t *out)
    STOA_MUST_CHECK;

/* UTF-8 check alone. */
bool stoa_utf8_valid(const char *s, size_t len);


#endif /* STOA_JSON_H */
