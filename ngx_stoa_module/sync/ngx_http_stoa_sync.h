/*
 * The two threads of worker 0 that speak with the control plane.
 *
 *   sync    GET  feed  -> store                    (ngx_http_stoa_sync.c)
 *   report  POST status, usage <- counters, spool  (ngx_http_stoa_report.c)
 *
 * Process: worker 0.  Lifetime: from init_process to exit_process, or until
 * another worker 0 has taken the directory's lease (a reload).  The threads
 * block all signals and touch only LMDB, the mapped counter file, the shared
 * zone and their own memory; they log through the cycle's log, which writes
 * whole lines.
 */

#ifndef NGX_HTTP_STOA_SYNC_H
#define NGX_HTTP_STOA_SYNC_H


#include "ngx_http_stoa_env.h"
#include "ngx_http_stoa_counters.h"
#include "core/stoa_json.h"

#include <curl/curl.h>


#define NGX_HTTP_STOA_WAIT_S           30     /* long poll                   */
#define NGX_HTTP_STOA_CONNECT_MS       5000
#define NGX_HTTP_STOA_POST_MS          15000
#define NGX_HTTP_STOA_BACKOFF_MIN_MS   200
#define NGX_HTTP_STOA_BACKOFF_MAX_MS   10000
#define NGX_HTTP_STOA_STATUS_MS        5000
#define NGX_HTTP_STOA_FLUSH_MS         2000   /* at exit                     */
#define NGX_HTTP_STOA_LINE_MAX         (STOA_RECORD_MAX + 4096)
#define NGX_HTTP_STOA_ANSWER_MAX       65536
#define NGX_HTTP_STOA_SPOOL_SIZE       (512UL * 1024 * 1024)
#define NGX_HTTP_STOA_SPOOL_BATCHES    256
#define NGX_HTTP_STOA_SPOOL_ROWS       2000   /* of one batch                */
#define NGX_HTTP_STOA_SPOOL_ASIDE      64     /* batches refused for good    */
#define NGX_HTTP_STOA_SPOOL_ASIDE_MS   (30 * 86400000ULL)     /* ... kept    */
#define NGX_HTTP_STOA_SPOOL_CALM       16     /* waiting batches, from which
                                                 one a minute is enough      */


typedef struct {
    CURLM                      *multi;        /* waits; curl_multi_wakeup    */
    CURL                       *easy;
    struct curl_slist          *headers;
    char                        error[CURL_ERROR_SIZE];
} ngx_http_stoa_client_t;


typedef struct {
    ngx_http_stoa_main_conf_t  *mcf;
    ngx_log_t                  *log;
    uint64_t                    lease;
    uint64_t                    stop;         /* set by the event loop       */
    uint64_t                    ended;        /* threads that are through    */
    pthread_t                   sync_thread;
    pthread_t                   report_thread;
    ngx_http_stoa_client_t      sync;
    ngx_http_stoa_client_t      report;
    uint64_t                    rev;          /* of the last commit: wakes
                                                 the report                  */
    pthread_mutex_t             flush;        /* of what follows             */
    ngx_http_stoa_env_t        *durable;      /* with a reference; NULL:
                                                 nothing is on disk          */
    MDB_txn                    *pin;          /* its flushed snapshot        */
    uint64_t                    commits;      /* not waiting for the disk    */
    uint64_t                    flushed;      /* of these                    */
    uint64_t                    flush_next_ms;   /* the report thread's      */
    ngx_event_t                 timer;
    ngx_connection_t            dummy;        /* for the timer's debug log   */
    unsigned                    sync_runs:1;
    unsigned                    report_runs:1;
} ngx_http_stoa_agent_t;


/* Event loop of worker 0. */
ngx_int_t ngx_http_stoa_agent_start(ngx_http_stoa_main_conf_t *mcf,
    ngx_log_t *log);
void ngx_http_stoa_agent_stop(void);

/* Bodies of the threads. */
void *ngx_http_stoa_sync_run(void *agent);
void *ngx_http_stoa_report_run(void *agent);

/* ---- ngx_http_stoa_flush.c ---------------------------------------------- */

/* All of env reaches the disk; returns the flags of later transactions. */
unsigned ngx_http_stoa_flush_all(ngx_http_stoa_agent_t *agent,
    ngx_http_stoa_env_t *env);
/* What was committed since, in the report thread. */
void ngx_http_stoa_flush_turn(ngx_http_stoa_agent_t *agent, uint64_t now);
/* A store that was loaded, without the memory that took. */
int ngx_http_stoa_flush_reopen(ngx_http_stoa_writer_t *w);
/* When the threads are through. */
void ngx_http_stoa_flush_free(ngx_http_stoa_agent_t *agent);

/* Must this thread end? */
ngx_uint_t ngx_http_stoa_lease_over(ngx_http_stoa_agent_t *agent);
/* Is the lease still ours? */
ngx_uint_t ngx_http_stoa_lease_owns(ngx_http_stoa_agent_t *agent);


/* ---- HTTP (ngx_http_stoa_client.c) ------------------------------------- */

ngx_int_t ngx_http_stoa_client_init(ngx_http_stoa_agent_t *agent,
    ngx_http_stoa_client_t *c);
void ngx_http_stoa_client_free(ngx_http_stoa_client_t *c);

typedef size_t (*ngx_http_stoa_client_pt)(char *data, size_t size, size_t n,
    void *ctx);

/*
 * One exchange; path below the control plane's URL.  body NULL: GET.
 * deadline_ms 0: until it ends, is over, or stalls for stall_s.
 * NGX_OK with *status; NGX_ERROR with c->error; NGX_ABORT: is over;
 * NGX_AGAIN: *cut, which others set, is no longer 0.
 */
typedef struct {
    const char                *path;
    const char                *body;
    size_t                     body_len;
    ngx_http_stoa_client_pt    sink;
    void                      *ctx;
    ngx_uint_t                 deadline_ms;
    ngx_uint_t                 stall_s;
    uint64_t                  *cut;
    unsigned                   last:1;        /* goes on when over           */
    long                       status;
} ngx_http_stoa_exchange_t;

ngx_int_t ngx_http_stoa_client_do(ngx_http_stoa_agent_t *agent,
    ngx_http_stoa_client_t *c, ngx_http_stoa_exchange_t *x);
void ngx_http_stoa_client_sleep(ngx_http_stoa_client_t *c, ngx_uint_t ms);
void ngx_http_stoa_client_wake(ngx_http_stoa_client_t *c);


/* ---- the usage spool (ngx_http_stoa_spool.c) --------------------------- */

typedef struct {
    MDB_env     *env;
    MDB_dbi      meta;
    MDB_dbi      batches;
    MDB_dbi      spooled;
    MDB_dbi      aside;
    uint64_t     waiting;                     /* batches                     */
    unsigned     full_scan:1;
    uint64_t     scanned_ms;                  /* last full scan              */
} ngx_http_stoa_spool_t;

typedef struct {
    ngx_http_stoa_usage_val_t  of;
    uint64_t                   tokens[STOA_LLM_KINDS];
} ngx_http_stoa_spool_val_t;

typedef struct {
    ngx_http_stoa_usage_key_t  key;
    ngx_http_stoa_spool_val_t  val;
    char                       model[STOA_LLM_MODEL + 1];
} ngx_http_stoa_spool_row_t;

/* The start of a value of `batches`; nrows rows follow. */
typedef struct {
    u_char    file[16];
    uint64_t  batch;
    uint64_t  from_ms;
    uint64_t  to_ms;
    uint64_t  nrows;
} ngx_http_stoa_spool_batch_t;

/* As JSON, rows of `size` bytes; nothing where they are of no version. */
void ngx_http_stoa_spool_json(stoa_buf_t *b,
    const ngx_http_stoa_spool_batch_t *batch, size_t size);

ngx_int_t ngx_http_stoa_spool_open(ngx_http_stoa_spool_t *s,
    ngx_http_stoa_agent_t *agent);
void ngx_http_stoa_spool_close(ngx_http_stoa_spool_t *s);
/* What was counted since becomes batches, in one transaction. */
ngx_int_t ngx_http_stoa_spool_collect(ngx_http_stoa_spool_t *s,
    ngx_http_stoa_agent_t *agent);
/* The oldest batch as JSON, and its key; NGX_DONE: there is none;
 * NGX_DECLINED: it is damaged. */
ngx_int_t ngx_http_stoa_spool_first(ngx_http_stoa_spool_t *s, stoa_buf_t *out,
    uint64_t *key);
ngx_int_t ngx_http_stoa_spool_remove(ngx_http_stoa_spool_t *s, uint64_t key);
/* Out of the way of those behind it; NGX_BUSY: too many are there. */
ngx_int_t ngx_http_stoa_spool_aside(ngx_http_stoa_spool_t *s, uint64_t key,
    uint64_t *n);


/* ---- ngx_http_stoa_line.c ----------------------------------------------- */

/* Members of a row; start NULL: not there. */

typedef struct {
    stoa_json_val_t          key;
    stoa_json_val_t          kind;
    stoa_json_val_t          rev;
    stoa_json_val_t          body;
    stoa_json_val_t          deleted;
    stoa_json_val_t          end;
} ngx_http_stoa_line_t;

/* false: it is no JSON object. */
bool ngx_http_stoa_line_read(const char *data, size_t len,
    ngx_http_stoa_line_t *line, stoa_json_val_t *root);

/* ngx_http_stoa_news.c: a member of a status; the refusals that are to be
 * told, NGX_DECLINED: there are none. */
void ngx_http_stoa_news_targets(ngx_http_stoa_sh_t *sh, stoa_buf_t *b);
ngx_int_t ngx_http_stoa_news_body(ngx_http_stoa_sh_t *sh, stoa_buf_t *b);


#endif /* NGX_HTTP_STOA_SYNC_H */
