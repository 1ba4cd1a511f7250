/*
 * Lists of headers: looked through, added to, taken out of.
 *
 * Process: workers.  Lifetime: the list's pool; names are constant.
 */

#ifndef NGX_HTTP_STOA_HEADER_H
#define NGX_HTTP_STOA_HEADER_H


#include "ngx_http_stoa.h"


typedef struct {
    ngx_list_part_t  *part;
    ngx_uint_t        i;
} ngx_http_stoa_header_walk_t;


/* The next one; NULL: that was the last. */

static ngx_inline ngx_table_elt_t *
ngx_http_stoa_header_next(ngx_http_stoa_header_walk_t *w)
{
    while (w->i >= w->part->nelts) {

        if (w->part->next == NULL) {
            return NULL;
        }

        w->part = w->part->next;
        w->i = 0;
    }

    return (ngx_table_elt_t *) w->part->elts + w->i++;
}


static ngx_inline ngx_table_elt_t *
ngx_http_stoa_header_first(ngx_http_stoa_header_walk_t *w,
    ngx_list_part_t *part)
{
    w->part = part;
    w->i = 0;

    return ngx_http_stoa_header_next(w);
}


/* Has a header of a request this name (a literal, lower case)?  And any? */

#define ngx_http_stoa_header_is(h, name)                                      \
    ((h)->key.len == sizeof(name) - 1                                         \
     && ngx_memcmp((h)->lowcase_key, name, sizeof(name) - 1) == 0)

#define ngx_http_stoa_header_named(h, name)                                   \
    ((h)->key.len == sizeof(name) - 1                                         \
     && ((h)->key.data[0] | 0x20) == name[0]                                  \
     && ngx_strncasecmp((h)->key.data, (u_char *) name, sizeof(name) - 1)     \
        == 0)


/* The same for a name that is none. */

static ngx_inline ngx_uint_t
ngx_http_stoa_header_equal(const ngx_table_elt_t *h, const char *name,
    size_t len)
{
    return h->key.len == len
           && ngx_strncasecmp(h->key.data, (u_char *) name, len) == 0;
}


/* How many of a request have it; *last: of those. */

ngx_uint_t ngx_http_stoa_header_count(ngx_http_request_t *r,
    const char *name, size_t len, ngx_table_elt_t **last);


/* Is this Content-Type that of a stream of events? */

static ngx_inline ngx_uint_t
ngx_http_stoa_header_events(const ngx_str_t *type)
{
    static const char  events[] = "text/event-stream";

    return type->len >= sizeof(events) - 1
           && ngx_strncasecmp(type->data, (u_char *) events,
                              sizeof(events) - 1)
              == 0;
}


/* A response's: key is a literal, the value is set by the caller.  NULL: out
 * of memory. */

#define ngx_http_stoa_header_add(r, key)                                      \
    ngx_http_stoa_header_out(r, key, sizeof(key) - 1)

ngx_table_elt_t *ngx_http_stoa_header_out(ngx_http_request_t *r,
    const char *key, size_t len);


/* Takes what an answer has under a name out of it. */

void ngx_http_stoa_header_clear(ngx_http_request_t *r, const char *name,
    size_t len);


/* After some were taken out of a list: nginx reads the first one of each part
 * but the first without a look at how many there are. */

void ngx_http_stoa_header_tidy(ngx_list_t *list);


/* One that upstreams get. */

typedef struct {
    ngx_str_t   name;
    ngx_str_t   lowcase;
    ngx_uint_t  hash;                           /* made at first use         */
} ngx_http_stoa_header_name_t;

ngx_int_t ngx_http_stoa_header_push(ngx_list_t *headers,
    ngx_http_stoa_header_name_t *name, const ngx_str_t *value);


/* ngx_sprintf() takes a microsecond for what this does in a tenth. */

static ngx_inline u_char *
ngx_http_stoa_header_number(u_char *p, uint64_t n)
{
    u_char   text[NGX_INT64_LEN], *t;

    t = text + sizeof(text);

    do {
        *--t = (u_char) ('0' + n % 10);
        n /= 10;
    } while (n);

    return ngx_cpymem(p, t, text + sizeof(text) - t);
}


#endif /* NGX_HTTP_STOA_HEADER_H */
