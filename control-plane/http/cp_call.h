/*
 * One HTTP exchange inside cp_http.c and its neighbours; handlers see only its
 * cp_req_t.
 *
 * Life: made by the first call of MHD's access handler, on an I/O thread;
 * owned by that thread while bytes arrive or leave, and by the worker pool
 * (the connection is suspended then) while its handler runs or it is parked;
 * freed when both the exchange and its response are done (`refs`).
 */

#ifndef CP_CALL_H
#define CP_CALL_H


#include <microhttpd.h>
#include <pthread.h>
#include <zlib.h>

#include "http/cp_http.h"
#include "http/cp_rate.h"
#include "base/cp_metrics.h"


#define CP_CALL_HEADERS_MAX   64
#define CP_CALL_QUERY_MAX     64
#define CP_CALL_ARENA_MAX     (256 * 1024 * 1024)
#define CP_CALL_ANSWER_MAX    (512 * 1024 * 1024)
#define CP_CALL_DISCARD_MAX   (64 * 1024 * 1024)
#define CP_CALL_PIECE_MAX     (16 * 1024 * 1024)
#define CP_CALL_BODIES_MAX    ((int64_t) 512 * 1024 * 1024)  /* all together */
#define CP_CALL_UNKNOWN_MAX   (16 * 1024)   /* of a body, from anybody      */
#define CP_CALL_OPEN_MAX      (64 * 1024)   /* ... to whom nobody is unknown */
#define CP_CALL_GZIP_MIN      1024

#define CP_ROUTE_SEGMENTS     16


typedef struct cp_call_s   cp_call_t;
typedef struct cp_guard_s  cp_guard_t;

/* A row of a route table, ready to be matched, with its counters. */
typedef struct {
    const cp_route_t       *row;
    unsigned                n;
    struct {
        const char         *text;
        size_t              len;
        bool                param;
    } seg[CP_ROUTE_SEGMENTS];
    size_t                  body_max;
    bool                    quiet;      /* asked for all the time: debug log */
    bool                    direct;     /* on the I/O thread, needs nothing  */
    _Atomic(cp_metric_t *)  answers[6]; /* by status class                   */
    _Atomic(cp_metric_t *)  time;
} cp_routed_t;

typedef enum { CP_CALL_READING, CP_CALL_ADMITTING, CP_CALL_WORKING,
    CP_CALL_ANSWERED } cp_call_state_e;

/* A piecewise answer; its buffers are empty unless it is used. */
typedef struct {
    cp_fill_pt   fill;
    void       (*done)(void *ctx);
    void        *ctx;
    stoa_buf_t   raw;
    stoa_buf_t   packed;
    size_t       sent;                  /* of raw or packed                  */
    bool         last;                  /* fill said so                      */
    bool         failed;                /* ... or that it cannot go on       */
    bool         gzip;
    z_stream     z;
} cp_stream_t;

#define CP_CALL_MAGIC  0xca11ab1eu

struct cp_call_s {
    uint32_t               magic;       /* CP_CALL_MAGIC while it lives      */
    cp_req_t               req;
    cp_http_t             *http;
    cp_routed_t           *routed;      /* NULL: no such route               */
    struct MHD_Connection *conn;
    struct MHD_Response   *response;
    cp_call_state_e        state;
    bool                   refused;     /* answered already, body discarded  */
    bool                   reading;     /* counted in http->reading          */
    bool                   admitted;    /* may send a large body             */
    bool                   authenticated;
    bool                   charged;     /* to its caller's rate              */
    bool                   head;        /* HEAD                              */
    bool                   gzip;        /* the client takes it               */
    unsigned               refs;        /* atomic builtins                   */

    stoa_buf_t             body;
    int64_t                counted;     /* of CP_CALL_BODIES_MAX             */
    size_t                 discarded;

    const char            *query[CP_CALL_QUERY_MAX][2];
    unsigned               nquery;
    const char            *address;     /* cp_req_address()'s                */
    cp_rate_left_t         limited;

    cp_handler_pt          next;        /* what a worker runs                */
    int64_t                deadline;    /* parked until, monotonic ms        */
    uint64_t               generation;  /* of wakes, when the run began      */
    int64_t                started_us;
    int64_t                worked_us;   /* in handlers, waits not counted    */
    int64_t                sent;        /* bytes of the body                 */

    cp_call_t             *link;        /* the queue of the workers          */
    cp_call_t             *prev;        /* the parked ones                   */
    cp_call_t             *after;
    cp_stream_t            stream;
};

typedef struct {
    cp_call_t  *first;
    cp_call_t  *last;
} cp_queue_t;

struct cp_http_s {
    cp_app_t              *app;
    const cp_site_t       *site;
    struct MHD_Daemon     *daemon;
    int                    listen_fd;

    cp_routed_t           *routes;
    unsigned               nroutes;

    pthread_mutex_t        mutex;       /* of the queue                      */
    pthread_cond_t         cond;
    cp_queue_t             queue[2];    /* from clients; from long polls     */
    unsigned               turn;
    bool                   ended;
    pthread_t             *workers;
    unsigned               nworkers;

    pthread_mutex_t        park_mutex;
    pthread_cond_t         park_cond;
    cp_call_t             *parked;
    int64_t                next_deadline;
    int64_t                woken_ms;    /* when all were woken last          */
    uint64_t               generation;
    bool                   wake;
    bool                   park_ended;
    pthread_t              timer;

    cp_rate_t            *limit;
    pthread_mutex_t        guard_mutex;
    cp_guard_t            *guards;
    cp_metric_t           *m_slow;
    cp_metric_t           *m_limited;

    _Atomic int64_t        calls;       /* alive                             */
    _Atomic int64_t        reading;     /* of them: not all received yet     */
    _Atomic int64_t        bodies;      /* bytes of request bodies held      */
    cp_metric_t           *m_parked;
    cp_metric_t           *m_calls;
    cp_metric_t           *m_wakes;
};


/* cp_route.c: compiles the tables; matches a path.  The values of the
 * parameters are put into r.  404, 405 with Allow, 400 for bad escapes. */
cp_rc_t cp_routes_compile(cp_http_t *http) CP_MUST_CHECK;
void cp_routes_free(cp_http_t *http);
cp_rc_t cp_route_match(cp_http_t *http, cp_req_t *r, cp_routed_t **out)
    CP_MUST_CHECK;
void cp_route_count(cp_routed_t *routed, int status, int64_t us);
/* Decodes %XX; NULL for a bad escape, NUL or bad UTF-8. */
char *cp_route_decode(cp_arena_t *a, const char *s, size_t len);

/* cp_answer.c: turns what the handler said into call->response. */
void cp_answer_make(cp_call_t *call);
/* The first piece of a streamed answer; one that is also the last becomes an
 * ordinary answer. */
cp_rc_t cp_answer_begin(cp_call_t *call) CP_MUST_CHECK;
void cp_answer_fill(cp_call_t *call);                  /* the next piece    */
void cp_answer_problem(cp_call_t *call);
/* The same, and what else comes of the body is discarded. */
void cp_answer_refuse(cp_call_t *call);

/* cp_condition.c: the ETag of a read that has none, and 304. */
void cp_condition_apply(cp_call_t *call);

/* cp_rate.c: 429, and the headers that say what is left. */
cp_rc_t cp_rate_refuse(cp_req_t *r);
void cp_rate_headers(cp_req_t *r);

/* cp_cors.c: are the settings right; is it a preflight from a page that may
 * ask (then its answer is set); what every answer has. */
cp_rc_t cp_cors_check(const cp_conf_t *conf, cp_err_t *err) CP_MUST_CHECK;
bool cp_cors_preflight(cp_req_t *r);
void cp_cors_headers(cp_req_t *r, struct MHD_Response *response);

/* cp_guard.c: MHD's notices of connections; until when a request has to be
 * there (0: it is); who is too slow, once a second. */
void cp_guard_notice(void *cls, struct MHD_Connection *conn, void **context,
    enum MHD_ConnectionNotificationCode code);
void cp_guard_await(cp_call_t *call, int64_t ms);
void cp_guard_look(cp_http_t *http);

/* cp_request.c: what the handler has set, or NULL. */
const char *cp_answer_header(cp_req_t *r, const char *name);

/* cp_park.c: the parked calls and the thread that ends their waiting. */
cp_rc_t cp_park_start(cp_http_t *http) CP_MUST_CHECK;
void cp_park_stop(cp_http_t *http);
void cp_park_add(cp_http_t *http, cp_call_t *call);
uint64_t cp_park_generation(cp_http_t *http);

/* cp_worker.c */
cp_rc_t cp_workers_start(cp_http_t *http, unsigned n) CP_MUST_CHECK;
void cp_workers_stop(cp_http_t *http);

/* cp_queue.c.  For I/O threads: suspends the connection and hands the call
 * over; false when there are no workers any more, nothing was done then. */
bool cp_queue_submit(cp_http_t *http, cp_call_t *call) CP_MUST_CHECK;
/* For a call that is suspended already (it was parked). */
void cp_queue_push(cp_http_t *http, cp_call_t *call);
/* Waits; NULL: the pool has ended and the queues are empty. */
cp_call_t *cp_queue_pop(cp_http_t *http);

/* cp_access.c; whole: the client got all of the answer. */
void cp_access_log(cp_call_t *call, bool whole);

/* cp_http.c */
cp_http_t *cp_http_create(cp_app_t *app, const cp_site_t *site,
    cp_err_t *err);
/* Stops accepting, lets what runs finish for at most timeout_ms, closes all
 * connections, ends the threads.  cp_http_wake() may still be called. */
void cp_http_stop(cp_http_t *http, int64_t timeout_ms);
void cp_http_destroy(cp_http_t *http);

/* cp_call.c */
cp_call_t *cp_call_create(cp_http_t *http, struct MHD_Connection *conn);
void cp_call_release(cp_call_t *call);
/* All is received, or nothing more will be. */
void cp_call_received(cp_call_t *call);
/* The only way to another state; one that makes no sense ends the process. */
void cp_call_become(cp_call_t *call, cp_call_state_e state);
int64_t cp_http_now_us(void);


#endif /* CP_CALL_H */
