/*
 * Media types: what a body is, and how it is to be read.  Whoever judges a
 * body as UTF-8 has to know that nobody is told to read it in another way.
 * Process: any.  No allocation, no state.
 */

#ifndef STOA_MEDIA_H
#define STOA_MEDIA_H


#include "stoa_core.h"


/* Is a Content-Type of this type (lower case, "application/json"), with
 * parameters in order (RFC 9110, 5.6.6), none of which names a charset but
 * UTF-8? */
bool stoa_media_is(const char *value, size_t len, const char *type);

/* Does its name end with "json"? */
bool stoa_media_json(const char *value, size_t len);

/* As the first, for any type. */
bool stoa_media_utf8(const char *value, size_t len);

/* What an Accept says of a type, read line by line: the most specific range
 * that fits counts (RFC 9110, 12.5.1).  Zero where it begins. */

#define STOA_MEDIA_EXACT  3

typedef struct {
    int   rank;                       /* of what fitted; 0: nothing has     */
    bool  taken;
} stoa_media_accept_t;

void stoa_media_accept(const char *value, size_t len, const char *type,
    stoa_media_accept_t *accept);

/* Does a Content-Encoding leave the bytes as they are? */
bool stoa_media_plain(const char *value, size_t len);


#endif /* STOA_MEDIA_H */
