/*
 * If-None-Match.  A handler that knows a row's version gives a strong ETag;
 * every other read has a weak one, of its bytes before they are packed.
 */

#include <string.h>

#include "http/cp_call.h"


#define CP_CONDITION_BYTES  12         /* of the digest                      */


bool
cp_req_knows(cp_req_t *r, const char *etag)
{
    size_t       n;
    const char  *p;

    etag += strncmp(etag, "W/", 2) == 0 ? 2 : 0;

    for (p = cp_req_header(r, "If-None-Match"); p && *p; p += n) {
        p += strspn(p, " \t,");
        p += strncmp(p, "W/", 2) == 0 ? 2 : 0;
        n = strcspn(p, " \t,");

        if ((n == 1 && *p == '*')
            || (n == strlen(etag) && memcmp(p, etag, n) == 0))
        {
            return true;
        }
    }

    return false;
}


void
cp_condition_apply(cp_call_t *call)
{
    uint8_t      sum[32];
    cp_req_t    *r = &call->req;
    const char  *etag;

    if (r->status != 200 || call->routed == NULL || call->routed->quiet
        || strcmp(r->route->method, "GET") != 0 || call->stream.fill != NULL
        || r->content_type == NULL
        || strcmp(r->content_type, "application/json") != 0
        || cp_answer_header(r, "ETag") != NULL)
    {
        return;
    }

    cp_sha256(r->out.data, r->out.len, sum);
    etag = cp_arena_printf(r->op.arena, "W/\"%s\"",
                           cp_hex(r->op.arena, sum, CP_CONDITION_BYTES));
    if (etag == NULL) {
        return;
    }

    cp_req_set_header(r, "ETag", etag);

    if (cp_req_knows(r, etag)) {
        r->status = 304;
        r->content_type = NULL;
        stoa_buf_reset(&r->out);
    }
}
