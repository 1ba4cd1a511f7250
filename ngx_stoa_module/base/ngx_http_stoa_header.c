/*
 * Headers that are added, and taken out where nginx looks too.
 */

#include "ngx_http_stoa_header.h"


ngx_table_elt_t *
ngx_http_stoa_header_out(ngx_http_request_t *r, const char *key, size_t len)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);

    if (h) {
        h->hash = 1;
        ngx_http_stoa_header_end(h);
        h->key.data = (u_char *) key;
        h->key.len = len;
        ngx_str_null(&h->value);
    }

    return h;
}


ngx_uint_t
ngx_http_stoa_header_count(ngx_http_request_t *r, const char *name,
    size_t len, ngx_table_elt_t **last)
{
    ngx_uint_t                    n;
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   walk;

    n = 0;
    *last = NULL;

    for (h = ngx_http_stoa_header_first(&walk, &r->headers_in.headers.part);
         h;
         h = ngx_http_stoa_header_next(&walk))
    {
        if (ngx_http_stoa_header_equal(h, name, len)) {
            *last = h;
            n++;
        }
    }

    return n;
}


void
ngx_http_stoa_header_clear(ngx_http_request_t *r, const char *name,
    size_t len)
{
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   walk;

    static ngx_table_elt_t        said;

    for (h = ngx_http_stoa_header_first(&walk, &r->headers_out.headers.part);
         h;
         h = ngx_http_stoa_header_next(&walk))
    {
        if (h->hash && ngx_http_stoa_header_equal(h, name, len)) {
            h->hash = 0;

            /* nginx would send it by its own pointer all the same */

            if (h == r->headers_out.location) {
                r->headers_out.location = NULL;
            }

            if (h == r->headers_out.etag) {
                r->headers_out.etag = NULL;
            }
        }
    }

    /* what it says by itself it leaves out where another says it */

    if (len == sizeof("Server") - 1
        && ngx_strncasecmp((u_char *) name, (u_char *) "Server", len) == 0)
    {
        r->headers_out.server = &said;
    }

    if (len == sizeof("Date") - 1
        && ngx_strncasecmp((u_char *) name, (u_char *) "Date", len) == 0)
    {
        r->headers_out.date = &said;
    }

    if (len == sizeof("Last-Modified") - 1
        && ngx_strncasecmp((u_char *) name, (u_char *) "Last-Modified", len)
           == 0)
    {
        r->headers_out.last_modified = NULL;
        r->headers_out.last_modified_time = -1;
    }
}


void
ngx_http_stoa_header_tidy(ngx_list_t *list)
{
    ngx_list_part_t  *part;

    for (part = &list->part; part->next; /* void */ ) {

        if (part->next->nelts) {
            part = part->next;
            continue;
        }

        if (list->last == part->next) {
            list->last = part;
        }

        part->next = part->next->next;
    }
}


ngx_int_t
ngx_http_stoa_header_push(ngx_list_t *headers,
    ngx_http_stoa_header_name_t *name, const ngx_str_t *value)
{
    ngx_table_elt_t  *h;

    if (name->hash == 0) {
        name->hash = ngx_hash_key(name->lowcase.data, name->lowcase.len);
    }

    h = ngx_list_push(headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    h->hash = name->hash;
    ngx_http_stoa_header_end(h);
    h->key = name->name;
    h->lowcase_key = name->lowcase.data;
    h->value = *value;

    return NGX_OK;
}
