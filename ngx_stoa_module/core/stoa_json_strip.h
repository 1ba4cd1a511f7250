/*
 * JSON without some of its members.  What stays is copied as it was written:
 * numbers keep their digits, empty arrays stay arrays.
 *
 * Process: any.  No state.
 */

#ifndef STOA_JSON_STRIP_H
#define STOA_JSON_STRIP_H


#include "stoa_json.h"


#define STOA_JSON_STRIP_PATHS  32
#define STOA_JSON_STRIP_LEN    256


/* Members by names, "/a/b"; arrays between are gone through, and have no
 * segment of their own. */
bool stoa_json_strip_valid(const char *s, size_t len);

/* A checked value, appended to out; true: something was left out of it. */
bool stoa_json_strip(const stoa_json_val_t *val, const stoa_str_t *paths,
    size_t n, stoa_buf_t *out);


#endif /* STOA_JSON_STRIP_H */
