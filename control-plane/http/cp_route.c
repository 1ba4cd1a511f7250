/*
 * Matching a request to a row of the route tables.
 *
 * All rows are compared segment by segment: a few hundred rows cost a few
 * microseconds, and the order of the tables has no meaning.  Where several
 * rows match, the one with a literal in the leftmost place where they differ
 * is taken.
 */

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/stoa_json.h"
#include "http/cp_call.h"


typedef struct {
    const char  *text;
    size_t       len;
} cp_segment_t;


/* Bodies larger than usual, routes that are asked for all the time, and what
 * must be answered though all workers wait for the database. */

static const struct {
    const char  *path;
    size_t       body_max;
    bool         quiet;
    bool         direct;
} cp_route_special[] = {
    { "/v1/apply",          CP_HTTP_BIG_MAX, false, false },
    { "/v1/diff",           CP_HTTP_BIG_MAX, false, false },
    { "/v1/tenant-imports", CP_HTTP_BIG_MAX, false, false },
    { "/gateway/v1/status", CP_HTTP_BIG_MAX, true, false },
    { "/gateway/v1/usage",  CP_HTTP_BIG_MAX, true, false },
    { "/v1/specs/lint",     CP_HTTP_BIG_MAX, false, false },
    { "/v1/specs/diff",     CP_HTTP_TWO_MAX, false, false },
    { "/v1/tenants/{tenant}/apis/{api}/documents",
                            CP_HTTP_BIG_MAX, false, false },
    { "/v1/tenants/{tenant}/bundles",
                            CP_HTTP_BIG_MAX, false, false },
    { "/v1/tenants/{tenant}/bundles/{bundle}",
                            CP_HTTP_BIG_MAX, false, false },
    { "/v1/leaked-keys",    CP_HTTP_LEAKS_MAX, false, false },
    { "/gateway/v1/feed",   0,               true, false },
    { "/gateway/v1/questions", CP_HTTP_LEAKS_MAX * 2, true, false },
    { "/health/live",       0,               true, true },
    { "/health/ready",      0,               true, false },
    { "/metrics",           0,               true, false },
    { NULL, 0, false, false }
};


/* Returns the number of segments, or max + 1 if there are more. */

static unsigned
cp_route_split(const char *path, cp_segment_t *seg, unsigned max)
{
    unsigned     n;
    const char  *p, *end;

    for (n = 0, p = path; *p == '/'; p = end) {

        p++;
        end = strchrnul(p, '/');

        if (n == max) {
            return max + 1;
        }

        seg[n].text = p;
        seg[n].len = (size_t) (end - p);
        n++;
    }

    return n;
}


static void
cp_route_compile(cp_routed_t *routed, const cp_route_t *row)
{
    unsigned      i;
    cp_segment_t  seg[CP_ROUTE_SEGMENTS];

    routed->row = row;
    routed->n = cp_route_split(row->path, seg, CP_ROUTE_SEGMENTS);
    routed->body_max = (row->auth == CP_AUTH_NONE) ? CP_CALL_OPEN_MAX
                                                   : CP_HTTP_BODY_MAX;

    if (routed->n > CP_ROUTE_SEGMENTS) {

        /* a bug of the table, which every test would meet */

        cp_log(CP_LOG_ERROR, "http", "route too deep path:%s", row->path);
        abort();
    }

    for (i = 0; i < routed->n; i++) {
        routed->seg[i].text = seg[i].text;
        routed->seg[i].len = seg[i].len;
        routed->seg[i].param = seg[i].len > 1 && seg[i].text[0] == '{';
    }

    for (i = 0; cp_route_special[i].path != NULL; i++) {

        if (strcmp(cp_route_special[i].path, row->path) == 0) {
            routed->quiet = cp_route_special[i].quiet;
            routed->direct = cp_route_special[i].direct;

            if (cp_route_special[i].body_max != 0) {
                routed->body_max = cp_route_special[i].body_max;
            }
        }
    }
}


const cp_site_t *
cp_http_site(const cp_http_t *http)
{
    return http->site;
}


const cp_route_t *
cp_route_at(const cp_site_t *site, unsigned n)
{
    const cp_route_t         *row;
    const cp_route_t *const  *table;

    for (table = site->tables; *table != NULL; table++) {
        for (row = *table; row->method != NULL; row++) {
            if (n-- == 0) {
                return row;
            }
        }
    }

    return NULL;
}


cp_rc_t
cp_routes_compile(cp_http_t *http)
{
    unsigned  i, n;

    for (n = 0; cp_route_at(http->site, n) != NULL; n++) { /* void */ }

    http->routes = calloc(n, sizeof(cp_routed_t));
    if (http->routes == NULL) {
        return CP_ERROR;
    }

    for (i = 0; i < n; i++) {
        cp_route_compile(&http->routes[i], cp_route_at(http->site, i));
    }

    http->nroutes = n;

    return CP_OK;
}


void
cp_routes_free(cp_http_t *http)
{
    free(http->routes);
}


static int
cp_route_hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }

    c |= 0x20;

    return (c >= 'a' && c <= 'f') ? c - 'a' + 10 : -1;
}


char *
cp_route_decode(cp_arena_t *a, const char *s, size_t len)
{
    int     hi, lo;
    char   *dst, *d;
    size_t  i;

    dst = cp_arena_alloc(a, len + 1);
    if (dst == NULL) {
        return NULL;
    }

    for (d = dst, i = 0; i < len; i++) {

        if (s[i] != '%') {
            *d++ = s[i];
            continue;
        }

        if (len - i < 3) {
            return NULL;
        }

        hi = cp_route_hex(s[i + 1]);
        lo = cp_route_hex(s[i + 2]);

        if (hi < 0 || lo < 0 || (hi | lo) == 0) {
            return NULL;
        }

        *d++ = (char) (hi << 4 | lo);
        i += 2;
    }

    *d = '\0';

    return stoa_utf8_valid(dst, (size_t) (d - dst)) ? dst : NULL;
}


static bool
cp_route_fits(const cp_routed_t *routed, const cp_segment_t *seg, unsigned n)
{
    unsigned  i;

    if (routed->n != n) {
        return false;
    }

    for (i = 0; i < n; i++) {

        if (routed->seg[i].param) {

            if (seg[i].len == 0) {
                return false;
            }

            continue;
        }

        if (routed->seg[i].len != seg[i].len
            || memcmp(routed->seg[i].text, seg[i].text, seg[i].len) != 0)
        {
            return false;
        }
    }

    return true;
}


/* Is `a` more special than `b`, both fitting the same path? */

static bool
cp_route_better(const cp_routed_t *a, const cp_routed_t *b)
{
    unsigned  i;

    for (i = 0; b != NULL && i < a->n; i++) {
        if (a->seg[i].param != b->seg[i].param) {
            return b->seg[i].param;
        }
    }

    return b == NULL;
}


static bool
cp_route_method(const cp_routed_t *routed, const char *method)
{
    return strcmp(routed->row->method, method) == 0
           || (strcmp(method, "HEAD") == 0
               && strcmp(routed->row->method, "GET") == 0);
}


/* 405: which methods the path has. */

static cp_rc_t
cp_route_allow(cp_http_t *http, cp_req_t *r, const cp_segment_t *seg,
    unsigned n)
{
    char         allow[128];
    size_t       len;
    unsigned     i;
    const char  *method;

    for (len = 0, i = 0; i < http->nroutes; i++) {

        method = http->routes[i].row->method;

        if (!cp_route_fits(&http->routes[i], seg, n)) {
            continue;
        }

        allow[len] = '\0';

        if (strstr(allow, method) != NULL
            || len + strlen(method) + 10 > sizeof(allow))
        {
            continue;
        }

        len += (size_t) sprintf(allow + len, "%s%s%s",
                                (len > 0) ? ", " : "", method,
                                strcmp(method, "GET") == 0 ? ", HEAD" : "");
    }

    if (len == 0) {
        return cp_err_set(&r->op.err, "not_found", "there is no such path");
    }

    cp_req_set_header(r, "Allow", allow);

    return cp_err_set(&r->op.err, "method_not_allowed",
                      "this path takes %s", allow);
}


static cp_rc_t
cp_route_params(cp_req_t *r, const cp_routed_t *routed,
    const cp_segment_t *seg)
{
    char      *value;
    unsigned   i;

    for (i = 0; i < routed->n; i++) {

        if (!routed->seg[i].param || r->nparam == 8) {
            continue;
        }

        value = cp_route_decode(r->op.arena, seg[i].text, seg[i].len);

        if (value == NULL) {
            return cp_err_set(&r->op.err, "bad_request",
                              "the path has a bad %%-escape or no UTF-8");
        }

        r->param[r->nparam++] = value;
    }

    return CP_OK;
}


cp_rc_t
cp_route_match(cp_http_t *http, cp_req_t *r, cp_routed_t **out)
{
    unsigned       i, n;
    cp_segment_t   seg[CP_ROUTE_SEGMENTS];
    cp_routed_t   *best, *routed;

    *out = NULL;
    best = NULL;

    n = cp_route_split(r->path, seg, CP_ROUTE_SEGMENTS);

    for (i = 0; i < http->nroutes; i++) {

        routed = &http->routes[i];

        if (cp_route_fits(routed, seg, n)
            && cp_route_method(routed, r->method)
            && cp_route_better(routed, best))
        {
            best = routed;
        }
    }

    if (best == NULL) {
        return cp_route_allow(http, r, seg, n);
    }

    r->route = best->row;
    *out = best;

    return cp_route_params(r, best, seg);
}


/* Series are made at their first use: most routes never see a 3xx. */

static cp_metric_t *
cp_route_series(_Atomic(cp_metric_t *) *where, cp_metric_type_e type,
    const cp_route_t *row, const char *name, const char *class)
{
    int                     n;
    char                   *labels;
    cp_metric_t            *m;
    static pthread_mutex_t  lock = PTHREAD_MUTEX_INITIALIZER;

    m = atomic_load_explicit(where, memory_order_acquire);
    if (m != NULL) {
        return m;
    }

    /* the labels are the series', so only one thread may make them */

    (void) pthread_mutex_lock(&lock);

    m = atomic_load_explicit(where, memory_order_acquire);
    n = m ? -1
        : asprintf(&labels, "method=\"%s\",route=\"%s\"%s%s%s", row->method,
                   row->path, class[0] ? ",status=\"" : "", class,
                   class[0] ? "\"" : "");

    if (n >= 0) {
        m = cp_metric(type, name, labels, (type == CP_METRIC_HISTOGRAM)
                      ? "Time in handlers; the waiting of long polls is not "
                        "counted." : "Requests by route and class of status.");
        atomic_store_explicit(where, m, memory_order_release);
    }

    (void) pthread_mutex_unlock(&lock);

    return m;
}


void
cp_route_count(cp_routed_t *routed, int status, int64_t us)
{
    int                      class;
    cp_metric_t             *m;
    static const char *const  classes[] = { "", "1xx", "2xx", "3xx", "4xx",
                                            "5xx" };

    class = (status >= 100 && status < 600) ? status / 100 : 5;

    m = cp_route_series(&routed->answers[class], CP_METRIC_COUNTER,
                        routed->row, "stoa_control_http_requests_total",
                        classes[class]);
    if (m != NULL) {
        cp_metric_add(m, 1);
    }

    m = cp_route_series(&routed->time, CP_METRIC_HISTOGRAM, routed->row,
                        "stoa_control_http_request_seconds", "");
    if (m != NULL) {
        cp_metric_time(m, us);
    }
}
