/*
 * What the head of an answer says of its body.
 */

#include "ngx_http_stoa_policy_answer.h"
#include "ngx_http_stoa_header.h"
#include "core/stoa_media.h"


const char *
ngx_http_stoa_policy_answer_part(ngx_http_request_t *r)
{
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   w;

    if (r->headers_out.status == NGX_HTTP_PARTIAL_CONTENT) {
        return "it is a part";
    }

    for (h = ngx_http_stoa_header_first(&w, &r->headers_out.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (h->hash && ngx_http_stoa_header_named(h, "content-encoding")
            && !stoa_media_plain((char *) h->value.data, h->value.len))
        {
            return "it is encoded";
        }
    }

    return NULL;
}


void
ngx_http_stoa_policy_answer_changed(ngx_http_request_t *r)
{
    ngx_uint_t  i;

    static const char *const  names[] = {
        "etag", "last-modified", "content-md5", "digest", "content-digest",
        "repr-digest", "accept-ranges", "content-length"
    };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        ngx_http_stoa_header_clear(r, names[i], ngx_strlen(names[i]));
    }

    r->headers_out.etag = NULL;
    r->headers_out.last_modified = NULL;
    r->headers_out.last_modified_time = -1;
    r->headers_out.accept_ranges = NULL;
    r->headers_out.content_length = NULL;
}


ngx_uint_t
ngx_http_stoa_policy_answer_status(ngx_http_request_t *r, const void *rec,
    const stoa_vec_t *list)
{
    uint32_t           i;
    ngx_uint_t         status;
    stoa_str_t         s;
    const stoa_ref_t  *ref;

    status = r->headers_out.status;
    ref = stoa_rec_vec(rec, *list, stoa_ref_t);

    for (i = 0; i < list->n; i++) {
        s = stoa_rec_str(rec, ref[i]);

        if ((ngx_uint_t) (s.data[0] - '0') == status / 100
            && (s.data[1] == 'x'
                || (ngx_uint_t) ngx_atoi((u_char *) s.data, s.len) == status))
        {
            return 1;
        }
    }

    return list->n == 0 && status / 100 == 2;
}


ngx_uint_t
ngx_http_stoa_policy_answer_json(ngx_http_request_t *r)
{
    ngx_str_t  *type;

    type = &r->headers_out.content_type;

    return stoa_media_json((char *) type->data, type->len)
           && stoa_media_utf8((char *) type->data, type->len)
           && (r->headers_out.charset.len == 0
               || (r->headers_out.charset.len == 5
                   && ngx_strncasecmp(r->headers_out.charset.data,
                                      (u_char *) "utf-8", 5)
                      == 0));
}
