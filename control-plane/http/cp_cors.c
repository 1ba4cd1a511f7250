/*
 * Headers that protect who reads our answers in a browser, and CORS: exact
 * origins of a list, none by default.
 */

#include <ctype.h>
#include <string.h>

#include "base/cp_err.h"
#include "http/cp_call.h"


#define CP_CORS_EXPOSED                                                       \
    "ETag, Location, Idempotency-Replayed, Stoa-Revision, Stoa-State, "       \
    "Stoa-Away, Stoa-Gateways, X-Request-Id, RateLimit, RateLimit-Policy, "   \
    "Retry-After"

#define CP_CORS_TAKEN                                                         \
    "Authorization, Content-Type, If-Match, If-None-Match, "                  \
    "Idempotency-Key, X-Request-Id, Stoa-Client"

/* A handler that serves a page says its own. */
static const char *const  cp_cors_protect[][2] = {
    { "X-Content-Type-Options",  "nosniff" },
    { "X-Frame-Options",         "DENY" },
    { "Content-Security-Policy",
      "default-src 'none'; frame-ancestors 'none'" },
    { "Referrer-Policy",         "no-referrer" },
    { "Cross-Origin-Opener-Policy", "same-origin" },
    { "Cross-Origin-Resource-Policy", "same-origin" },
    { "Cache-Control",           "no-store" },
    { NULL, NULL }
};


/* scheme://host[:port], lower case, as browsers write it. */
static bool
cp_cors_is_origin(const char *s, size_t len)
{
    size_t       i, n;
    const char  *host;

    n = strncmp(s, "https://", 8) == 0 ? 8
        : strncmp(s, "http://", 7) == 0 ? 7 : 0;
    host = s + n;

    if (n == 0 || len <= n || *host == ':') {
        return false;
    }

    for (i = n; i < len; i++) {
        if (!islower((unsigned char) s[i]) && !isdigit((unsigned char) s[i])
            && strchr(".-:[]", s[i]) == NULL)
        {
            return false;
        }
    }

    return true;
}


cp_rc_t
cp_cors_check(const cp_conf_t *conf, cp_err_t *err)
{
    size_t       n;
    const char  *p;

    for (p = conf->cors_origins; *p; p += n) {
        p += strspn(p, " ,");
        n = strcspn(p, " ,");

        if (n && !cp_cors_is_origin(p, n)) {
            return cp_err_set(err, "validation", "cors_origins: \"%.*s\" is no"
                              " origin such as https://console.example",
                              (int) n, p);
        }
    }

    return CP_OK;
}


/* The request's origin if the list has it, else NULL. */
static const char *
cp_cors_origin(cp_req_t *r)
{
    size_t       n, len;
    const char  *p, *origin;

    origin = cp_req_header(r, "Origin");
    if (origin == NULL) {
        return NULL;
    }

    len = strlen(origin);

    for (p = r->op.app->conf.cors_origins; *p; p += n) {
        p += strspn(p, " ,");
        n = strcspn(p, " ,");

        if (n && n == len && memcmp(p, origin, n) == 0) {
            return origin;
        }
    }

    return NULL;
}


bool
cp_req_befriended(cp_req_t *r)
{
    return r->op.app->conf.cors_credentials && cp_cors_origin(r) != NULL;
}


bool
cp_cors_preflight(cp_req_t *r)
{
    const char  *allow;

    allow = cp_answer_header(r, "Allow");

    if (strcmp(r->method, "OPTIONS") != 0 || r->op.err.status != 405
        || allow == NULL || cp_cors_origin(r) == NULL
        || cp_req_header(r, "Access-Control-Request-Method") == NULL)
    {
        return false;
    }

    cp_op_clear(&r->op);
    r->status = 204;
    cp_req_set_header(r, "Access-Control-Allow-Methods", allow);
    cp_req_set_header(r, "Access-Control-Allow-Headers", CP_CORS_TAKEN);
    cp_req_set_header(r, "Access-Control-Max-Age", "600");

    return true;
}


void
cp_cors_headers(cp_req_t *r, struct MHD_Response *response)
{
    unsigned          i;
    const char       *origin;
    const cp_conf_t  *conf = &r->op.app->conf;

    for (i = 0; cp_cors_protect[i][0] != NULL; i++) {
        if (cp_answer_header(r, cp_cors_protect[i][0]) == NULL) {
            (void) MHD_add_response_header(response, cp_cors_protect[i][0],
                                           cp_cors_protect[i][1]);
        }
    }

    if (conf->tls_certificate[0] != '\0') {
        (void) MHD_add_response_header(response, "Strict-Transport-Security",
                                       "max-age=31536000");
    }

    (void) MHD_add_response_header(response, "Vary", conf->cors_origins[0]
                                   ? "Accept-Encoding, Origin"
                                   : "Accept-Encoding");
    origin = cp_cors_origin(r);

    if (origin == NULL) {
        return;
    }

    (void) MHD_add_response_header(response, "Access-Control-Allow-Origin",
                                   origin);
    (void) MHD_add_response_header(response, "Access-Control-Expose-Headers",
                                   CP_CORS_EXPOSED);

    if (conf->cors_credentials) {
        (void) MHD_add_response_header(response,
                                       "Access-Control-Allow-Credentials",
                                       "true");
    }
}
