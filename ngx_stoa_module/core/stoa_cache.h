/*
 * What RFC 9111 and RFC 5861 say of an answer that may be kept: Cache-Control,
 * how long it is fresh, whether it may be used.
 *
 * Process: any; no state.  Times are ms, spans of Cache-Control seconds.
 */

#ifndef STOA_CACHE_H
#define STOA_CACHE_H


#include "stoa_core.h"


#define STOA_CACHE_NONE   (-1)                 /* it was not said            */
#define STOA_CACHE_MAX_S  2147483647           /* RFC 9111, 1.2.2            */


/* Of one message, all its lines. */

typedef struct {
    int64_t  max_age;
    int64_t  s_maxage;
    int64_t  min_fresh;
    int64_t  max_stale;                        /* without a number: MAX_S    */
    int64_t  while_revalidate;
    int64_t  if_error;
    bool     no_store;
    bool     no_cache;                         /* also of named fields       */
    bool     is_private;
    bool     is_public;
    bool     strict;                           /* must-, proxy-revalidate    */
    bool     only_if_cached;
} stoa_cache_control_t;

/* Of one that is kept. */

typedef struct {
    int64_t   born_ms;                         /* its age counts from there  */
    int64_t   fresh_ms;
    int64_t   while_ms;                        /* past that                  */
    int64_t   error_ms;
    uint32_t  ask;                             /* used never unasked         */
    uint32_t  strict;                          /* when stale                 */
} stoa_cache_kept_t;

typedef enum {
    STOA_CACHE_ASK = 0,                        /* its origin                 */
    STOA_CACHE_USE,
    STOA_CACHE_USE_STALE,                      /* if somebody else asks      */
} stoa_cache_use_e;


void stoa_cache_control_init(stoa_cache_control_t *cc);
/* One line; a number that is none is 0, of two the smaller counts. */
void stoa_cache_control_add(stoa_cache_control_t *cc, const char *s,
    size_t len);

/* A number of them, MAX_S at most; 0: it is none. */
int64_t stoa_cache_seconds(const char *s, size_t len);

/* How long it is fresh: by itself, or what a policy says of those that say
 * nothing.  expires: of its Expires behind its Date; NONE: it has none. */
int64_t stoa_cache_lifetime(const stoa_cache_control_t *cc, int64_t expires_s,
    int64_t otherwise_s);

/* May it be used, by what the request says? */
stoa_cache_use_e stoa_cache_use(const stoa_cache_kept_t *kept,
    const stoa_cache_control_t *request, int64_t now_ms);
/* And if its origin has failed? */
bool stoa_cache_use_error(const stoa_cache_kept_t *kept, int64_t now_ms);

/* The next name of a list with commas; false: that was the last. */
bool stoa_cache_list(stoa_str_t *list, stoa_str_t *name);


#endif /* STOA_CACHE_H */
