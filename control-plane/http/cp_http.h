/*
 * HTTP: libmicrohttpd glue, the route table, requests and answers.
 *
 * libmicrohttpd's epoll threads move bytes; a handler runs on a thread of the
 * worker pool, gets the whole body, and fills the answer; it may instead park
 * the request (long poll) or stream the answer.  Everything of a request
 * lives in its arena and dies with it.  A handler that returns CP_CONFLICT is
 * run again (at most CP_OP_RETRIES times) with an empty answer, so it must
 * have done nothing but roll its transaction back.
 * Limits: body 8 MiB (apply, diff, usage, status 32 MiB; 16 KiB before it is
 * known who sends it, 64 KiB where that does not matter), 64 headers and 64
 * query parameters, arena 256 MiB.
 */

#ifndef CP_HTTP_H
#define CP_HTTP_H


#include "op/cp_op.h"


#define CP_HTTP_BODY_MAX   (8 * 1024 * 1024)
#define CP_HTTP_LEAKS_MAX  (512 * 1024)
#define CP_HTTP_BIG_MAX    (32 * 1024 * 1024)
#define CP_HTTP_TWO_MAX    (64 * 1024 * 1024)      /* two documents         */

typedef struct cp_route_s  cp_route_t;

typedef struct cp_req_s {
    cp_op_t            op;
    const cp_route_t  *route;
    const char        *method;
    const char        *path;
    const char        *param[8];            /* values of {..} in the path    */
    unsigned           nparam;
    const char        *body;
    size_t             body_len;
    void              *conn;                /* struct MHD_Connection         */

    int                status;              /* answer                        */
    const char        *content_type;
    stoa_buf_t         out;
    const char        *header[16][2];
    unsigned           nheader;
    const char        *cookie;              /* Set-Cookie, of whoever judged:
                                               outlives a second run         */
    bool               parked;
    void              *ctx;                 /* the handler's, across a park  */
    struct cp_call_s  *call;                /* cp_call.h; NULL: a job       */
} cp_req_t;

typedef cp_rc_t (*cp_handler_pt)(cp_req_t *r);

/* One row = one route; OpenAPI and the authorization test read the table. */
struct cp_route_s {
    const char     *method;
    const char     *path;                   /* "/v1/tenants/{tenant}/apis"   */
    cp_auth_e       auth;
    const char     *permission;             /* row of the permission table   */
    cp_handler_pt   handler;
    const void     *data;                   /* e.g. the resource's table     */
    const char     *summary;                /* for OpenAPI                   */
    const char     *query;                  /* parameters that it takes, with
                                               a space between; NULL: none   */
};

#define CP_QUERY_OWN  "*"                   /* the handler has its own table */

const char *cp_req_query(cp_req_t *r, const char *name);     /* or NULL      */
const char *cp_req_header(cp_req_t *r, const char *name);
const char *cp_req_cookie(cp_req_t *r, const char *name);    /* or NULL      */
/* The client's address, as text; NULL: not known. */
const char *cp_req_address(cp_req_t *r);
/* Has the client of a request that was parked closed its side? */
bool cp_req_gone(cp_req_t *r);
/* Is it of a page that cors_origins lists, with cors_credentials? */
bool cp_req_befriended(cp_req_t *r);
/* Does If-None-Match have this ETag? */
bool cp_req_knows(cp_req_t *r, const char *etag);
/* Body by Content-Type: application/json or (x-)yaml; 415 otherwise.  *docs:
 * see cp_json.h; for one value the tree itself. */
cp_rc_t cp_req_json(cp_req_t *r, cp_json_t **out) CP_MUST_CHECK;
/* Only what it is, for who reads it himself. */
cp_rc_t cp_req_media(cp_req_t *r, bool *yaml) CP_MUST_CHECK;

cp_rc_t cp_req_answer(cp_req_t *r, int status, const cp_json_t *body);
void cp_req_set_header(cp_req_t *r, const char *name, const char *value);

/* Long poll: suspends until cp_http_wake() or the deadline; then `resume` runs
 * on an MHD thread with the same request and must answer. */
cp_rc_t cp_req_park(cp_req_t *r, int64_t deadline_mono_ms,
    cp_handler_pt resume);
void cp_http_wake(cp_app_t *app);

/* Answers with a body that is made piece by piece: `fill` appends the next
 * piece (some 64 KiB; nothing appended and *done false is not allowed) and is
 * called again as the client reads, one call at a time, on any thread, so it
 * must not keep a transaction open between calls.  Not CP_OK: the connection
 * is cut, the client sees a body without its end.  `done` (may be NULL) is
 * called once, also when the client left; r's arena lives until then.
 * Compressed when the client accepts gzip. */
typedef cp_rc_t (*cp_fill_pt)(void *ctx, stoa_buf_t *out, bool *done);

cp_rc_t cp_req_stream(cp_req_t *r, int status, const char *content_type,
    cp_fill_pt fill, void (*done)(void *ctx), void *ctx);

/* What is served: tables of routes, each ended by a NULL method, the list by
 * NULL; and who judges a request, before the handler of every route whose auth
 * is not CP_AUTH_NONE: it fills the actor or the error; and who is told of
 * what became of such a call when it is refused (admitted: not by him). */
typedef struct {
    const cp_route_t *const  *tables;
    cp_handler_pt             judge;
    void                    (*refused)(cp_req_t *r, bool admitted);
} cp_site_t;

const cp_site_t *cp_http_site(const cp_http_t *http);
/* The n-th row of all tables together; NULL past the end. */
const cp_route_t *cp_route_at(const cp_site_t *site, unsigned n);


#endif /* CP_HTTP_H */
