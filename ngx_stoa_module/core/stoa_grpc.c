/*
 * gRPC over HTTP/2, as far as a gateway has to read it
 * (PROTOCOL-HTTP2.md of gRPC).
 */

#include "stoa_grpc.h"

#include <string.h>


/* A method that is not there is the caller's fault, so that nobody opens a
 * breaker by asking for one. */

static const uint16_t  stoa_grpc_http[STOA_GRPC_STATUS_MAX + 1] = {
    200,   /* OK                                                            */
    499,   /* CANCELLED                                                     */
    500,   /* UNKNOWN                                                       */
    400,   /* INVALID_ARGUMENT                                              */
    504,   /* DEADLINE_EXCEEDED                                             */
    404,   /* NOT_FOUND                                                     */
    409,   /* ALREADY_EXISTS                                                */
    403,   /* PERMISSION_DENIED                                             */
    429,   /* RESOURCE_EXHAUSTED                                            */
    400,   /* FAILED_PRECONDITION                                           */
    409,   /* ABORTED                                                       */
    400,   /* OUT_OF_RANGE                                                  */
    404,   /* UNIMPLEMENTED                                                 */
    500,   /* INTERNAL                                                      */
    503,   /* UNAVAILABLE                                                   */
    500,   /* DATA_LOSS                                                     */
    401    /* UNAUTHENTICATED                                               */
};

static const struct {
    uint16_t  http;
    uint8_t   status;
} stoa_grpc_of[] = {
    { 200, 0 }, { 400, 3 }, { 401, 16 }, { 403, 7 }, { 404, 12 }, { 405, 12 },
    { 408, 4 }, { 413, 8 }, { 414, 8 }, { 415, 3 }, { 429, 8 }, { 431, 8 },
    { 499, 1 }, { 500, 13 }, { 501, 12 }, { 502, 14 }, { 503, 14 },
    { 504, 4 }, { 0, 0 }
};


stoa_rc_t
stoa_grpc_feed(stoa_grpc_t *g, const char *data, size_t len, uint64_t max)
{
    size_t  n;

    while (len) {

        if (g->rest) {
            n = len < g->rest ? len : g->rest;
            g->rest -= (uint32_t) n;
            data += n;
            len -= n;
            continue;
        }

        g->prefix[g->have++] = (uint8_t) *data++;
        len--;

        if (g->prefix[0] > 1) {
            return STOA_DECLINED;
        }

        if (g->have < STOA_GRPC_PREFIX) {
            continue;
        }

        g->have = 0;
        g->rest = (uint32_t) g->prefix[1] << 24 | (uint32_t) g->prefix[2] << 16
                  | (uint32_t) g->prefix[3] << 8 | g->prefix[4];

        if (max && g->rest > max) {
            return STOA_FULL;
        }
    }

    return STOA_OK;
}


bool
stoa_grpc_timeout(const char *s, size_t len, uint64_t *ms)
{
    size_t    i;
    uint64_t  n;

    if (len < 2 || len > 9) {
        return false;
    }

    for (i = 0, n = 0; i < len - 1; i++) {
        if (s[i] < '0' || s[i] > '9') {
            return false;
        }

        n = n * 10 + (uint64_t) (s[i] - '0');
    }

    switch (s[i]) {
    case 'H':
        n *= 3600000;
        break;
    case 'M':
        n *= 60000;
        break;
    case 'S':
        n *= 1000;
        break;
    case 'm':
        break;
    case 'u':
        n /= 1000;
        break;
    case 'n':
        n /= 1000000;
        break;
    default:
        return false;
    }

    *ms = n ? n : 1;

    return true;
}


int
stoa_grpc_status(const char *s, size_t len)
{
    if (len == 0 || len > 2 || s[0] < '0' || s[0] > '9'
        || (len == 2 && (s[0] == '0' || s[1] < '0' || s[1] > '9')))
    {
        return -1;
    }

    return len == 1 ? s[0] - '0' : (s[0] - '0') * 10 + s[1] - '0';
}


unsigned
stoa_grpc_to_http(unsigned status)
{
    return status <= STOA_GRPC_STATUS_MAX ? stoa_grpc_http[status] : 500;
}


unsigned
stoa_grpc_of_http(unsigned status)
{
    size_t  i;

    for (i = 0; stoa_grpc_of[i].http; i++) {
        if (stoa_grpc_of[i].http == status) {
            return stoa_grpc_of[i].status;
        }
    }

    return STOA_GRPC_UNKNOWN;
}


size_t
stoa_grpc_message(char *dst, const char *s, size_t len)
{
    char    *p;
    size_t   i;

    static const char  hex[] = "0123456789ABCDEF";

    for (i = 0, p = dst; i < len; i++) {
        if (s[i] >= ' ' && s[i] < 0x7f && s[i] != '%') {
            *p++ = s[i];
            continue;
        }

        *p++ = '%';
        *p++ = hex[(uint8_t) s[i] >> 4];
        *p++ = hex[(uint8_t) s[i] & 0xf];
    }

    return (size_t) (p - dst);
}
