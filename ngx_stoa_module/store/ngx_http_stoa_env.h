/*
 * The store: an LMDB environment with the records of the feed.
 *
 * Files: DIR/store.<n>.mdb (+ -lock, -state); DIR/state names the one in
 * force.  A whole new configuration is loaded into a number that nobody else
 * has, and put in force by replacing `state`; the old file is unlinked, but
 * readers that have it mapped keep it until they look again.
 *
 * Process: every worker reads; the sync thread of worker 0 writes.  An
 * environment must be open once per process: the event loop and the thread
 * share it through ngx_http_stoa_env_*, which counts references under a mutex.
 * A read transaction belongs to the event loop, a write transaction to the
 * thread.
 *
 * Alignment: key lengths and record sizes are multiples of 8, so LMDB's nodes
 * and with them the records start at multiples of 8 and are read in place.
 */

#ifndef NGX_HTTP_STOA_ENV_H
#define NGX_HTTP_STOA_ENV_H


#include "ngx_http_stoa_store.h"
#include "ngx_http_stoa_counters.h"

#include <lmdb.h>
#include <pthread.h>


#define NGX_HTTP_STOA_STORE_FORMAT    3

/* Also another layout of the records is another format. */
#define ngx_http_stoa_store_format()                                          \
    (stoa_rec_layout() + NGX_HTTP_STOA_STORE_FORMAT)

#define NGX_HTTP_STOA_STORE_SIZE_MIN  (1024 * 1024)
#define NGX_HTTP_STOA_STORE_READERS   512
#define NGX_HTTP_STOA_REJECTED_MAX    1000
#define NGX_HTTP_STOA_CRASHES         3
#define NGX_HTTP_STOA_BATCH_ROWS      10000
#define NGX_HTTP_STOA_BATCH_BYTES     (8 * 1024 * 1024)
#define NGX_HTTP_STOA_CACHE_SIZE      16384  /* of record addresses; 2^n     */
#define NGX_HTTP_STOA_NAMES_SIZE      4096   /* of names' records; 2^n       */
#define NGX_HTTP_STOA_NAME_KEY_MAX    88     /* longer ones are not kept     */


/* The only row of `meta`; in the same transaction as the records. */

typedef struct {
    uint32_t  format;
    uint32_t  complete;              /* the end line has been seen           */
    uint64_t  rev;
    char      epoch[16];
    u_char    digest[16];
    uint64_t  records[STOA_REC_KIND_MAX];
    uint64_t  rejected;              /* rows of `rejected`                   */
    uint64_t  catalog;               /* goes up with what MCP's lists are of */
} ngx_http_stoa_meta_t;


/* A row of `rejected`; the key is the feed's. */

typedef struct {
    uint64_t  rev;
    char      error[240];            /* NUL terminated                       */
} ngx_http_stoa_rejected_t;


typedef struct ngx_http_stoa_env_s  ngx_http_stoa_env_t;

struct ngx_http_stoa_env_s {
    ngx_http_stoa_env_t  *next;
    ngx_uint_t            refs;
    MDB_env              *env;
    MDB_dbi               rec;
    MDB_dbi               idx;
    MDB_dbi               meta;
    MDB_dbi               rejected;
    size_t                size;      /* of the map                           */
    char                  path[NGX_MAX_PATH];
};


/* A cache line. */

typedef struct {
    uint64_t     generation;
    const void  *rec;
    char         key[32];
    u_char       digest[16];         /* the record's, when it was verified   */
} ngx_http_stoa_cache_t;

typedef struct {
    uint64_t     generation;
    const void  *rec;
    uint32_t     kind;
    uint32_t     len;
    char         key[NGX_HTTP_STOA_NAME_KEY_MAX];
} ngx_http_stoa_named_t;


struct ngx_http_stoa_store_s {
    ngx_http_stoa_main_conf_t  *mcf;
    ngx_log_t                  *log;
    ngx_http_stoa_env_t        *env;         /* NULL: none yet               */
    MDB_txn                    *txn;         /* NULL: never begun            */
    uint64_t                    txnid;
    uint64_t                    generation;
    uint64_t                    group_generation;
    const stoa_rec_group_t     *group;       /* of that generation           */
    ngx_uint_t                  met;         /* what is withheld, since      */
    uint64_t                    store_gen;   /* of env, as in the zone       */
    ngx_msec_t                  retry;       /* not before, unless there is  */
    uint64_t                    retry_gen;   /* another store since          */
    ngx_http_stoa_meta_t        meta;
    ngx_event_t                 timer;
    ngx_connection_t            dummy;       /* for the timer's debug log    */
    ngx_http_stoa_cache_t      *cache;
    ngx_http_stoa_named_t      *named;
};


/* Is there nothing for who asks? */
ngx_uint_t ngx_http_stoa_store_withheld(const void *rec,
    stoa_rec_kind_e kind);
/* Says so and has the store loaded anew; NULL. */
const void *ngx_http_stoa_store_broken(ngx_http_stoa_store_t *s,
    stoa_rec_kind_e kind);


/* ---- environments (ngx_http_stoa_env.c) -------------------------------- */

/* NULL with errno-like *rc (LMDB's or the system's). */
ngx_http_stoa_env_t *ngx_http_stoa_env_open(const char *path, size_t size,
    ngx_uint_t create, int *rc);
void ngx_http_stoa_env_close(ngx_http_stoa_env_t *env);

/* Does LMDB's answer tell of damage? */
ngx_uint_t ngx_http_stoa_env_damaged(int err);

/* The file's name (without the directory) in `state`; NGX_DECLINED: none. */
ngx_int_t ngx_http_stoa_env_state(ngx_http_stoa_main_conf_t *mcf, char *name,
    size_t size);
/* NGX_BUSY: the lease is another's, nothing was changed. */
ngx_int_t ngx_http_stoa_env_state_set(ngx_http_stoa_main_conf_t *mcf,
    const char *name, uint64_t lease);
/* Takes the directory's lease from whoever has it. */
uint64_t ngx_http_stoa_env_lease(ngx_http_stoa_main_conf_t *mcf);
/* The number of the file to be loaded next. */
ngx_uint_t ngx_http_stoa_env_next(ngx_http_stoa_main_conf_t *mcf,
    const char *present);
/* A worker starts: after NGX_HTTP_STOA_CRASHES that crashed over one store
 * file it is suspect, as damaged pages kill who reads them.  It is loaded
 * anew, and left alone meanwhile. */
void ngx_http_stoa_env_crashed(ngx_http_stoa_main_conf_t *mcf,
    ngx_log_t *log);
ngx_uint_t ngx_http_stoa_env_suspect(ngx_http_stoa_main_conf_t *mcf,
    const char *name);
/* Unlinks one store file, or all but the one in force. */
void ngx_http_stoa_env_remove(ngx_http_stoa_main_conf_t *mcf,
    const char *name);
void ngx_http_stoa_env_sweep(ngx_http_stoa_main_conf_t *mcf, uint64_t lease);

/* Room for the lock file of an environment that is about to be opened:
 * ENOSPC, EDQUOT or 0. */
int ngx_http_stoa_env_lock(const char *path);

/* Name of the n-th store file, with its path when full. */
void ngx_http_stoa_env_name(ngx_http_stoa_main_conf_t *mcf, ngx_uint_t n,
    ngx_uint_t full, char *buf, size_t size);
/* The n of such a name; 0: none. */
ngx_uint_t ngx_http_stoa_env_number(const char *name);

/* Reads `meta`; NGX_DECLINED: absent or another format. */
ngx_int_t ngx_http_stoa_env_meta(ngx_http_stoa_env_t *env, MDB_txn *txn,
    ngx_http_stoa_meta_t *meta);


/* ---- keys (ngx_http_stoa_store_index.c) -------------------------------- */

#define NGX_HTTP_STOA_KEY_MAX  511           /* LMDB's                       */

typedef struct {
    size_t  len;
    char    data[NGX_HTTP_STOA_KEY_MAX + 1];
} ngx_http_stoa_key_t;

/* kind + one or two ids */
void ngx_http_stoa_key_rec(ngx_http_stoa_key_t *k, stoa_rec_kind_e kind,
    const stoa_id_t *a, const stoa_id_t *b);

typedef enum {
    NGX_HTTP_STOA_IDX_TENANT = 'T',          /* name                         */
    NGX_HTTP_STOA_IDX_API = 'A',             /* tenant, name                 */
    NGX_HTTP_STOA_IDX_PATH = 'P',            /* host, path                   */
    NGX_HTTP_STOA_IDX_SERVER = 'S',          /* tenant, name                 */
    NGX_HTTP_STOA_IDX_TOOL = 'N',            /* api id, name                 */
    NGX_HTTP_STOA_IDX_APPLICATION = 'C',     /* tenant id, name              */
    NGX_HTTP_STOA_IDX_ISSUER = 'I',          /* iss; tenant id, id           */
    NGX_HTTP_STOA_IDX_ISSUERS = 'J',         /* tenant id; id                */
    NGX_HTTP_STOA_IDX_PROMPT = 'M',          /* api id, name                 */
    NGX_HTTP_STOA_IDX_RESOURCE = 'R',        /* api id, id                   */
    NGX_HTTP_STOA_IDX_TEMPLATE = 'U'         /* the same                     */
} ngx_http_stoa_idx_e;

/* Under which an item of an api is found; 0: no item. */
ngx_uint_t ngx_http_stoa_index_item(stoa_rec_kind_e kind);

/* NGX_DECLINED: too long to be in the store. */
ngx_int_t ngx_http_stoa_key_idx(ngx_http_stoa_key_t *k,
    ngx_http_stoa_idx_e what, const char *a, size_t a_len, const char *b,
    size_t b_len);

/* Puts or deletes the index entries of a record; 0 or LMDB's error. */
int ngx_http_stoa_index_put(ngx_http_stoa_env_t *env, MDB_txn *txn,
    const stoa_rec_hdr_t *rec);
int ngx_http_stoa_index_del(ngx_http_stoa_env_t *env, MDB_txn *txn,
    const stoa_rec_hdr_t *rec);


/* ---- ngx_http_stoa_durable.c ------------------------------------------- */

#define NGX_HTTP_STOA_DURABLE_SUFFIX  "-durable"

/* Flushes what is committed in env and notes it; *pin is a read transaction of
 * its snapshot, to be kept until the next one.  0, or LMDB's or the system's
 * error: commits without a flush are not allowed. */
int ngx_http_stoa_durable_sync(ngx_http_stoa_env_t *env, MDB_txn **pin);
/* Is a store whole whose last commit is txnid?  0, or MDB_CORRUPTED. */
int ngx_http_stoa_durable_check(const char *path, uint64_t txnid);


/* ---- the writer (ngx_http_stoa_store_write.c) -------------------------- */

typedef struct {
    ngx_http_stoa_env_t   *env;
    MDB_txn               *txn;              /* a batch is open              */
    unsigned               flags;            /* MDB_NOMETASYNC, MDB_NOSYNC   */
    ngx_http_stoa_meta_t   meta;             /* as the batch will leave it   */
    ngx_http_stoa_meta_t   committed;
    ngx_uint_t             rows;             /* of the batch                 */
    size_t                 bytes;
    uint64_t               refused;          /* rows rejected, ever          */
    stoa_buf_t             rec;
} ngx_http_stoa_writer_t;

/* A row of the feed. */
typedef struct {
    stoa_str_t  key;
    stoa_str_t  kind;
    stoa_str_t  body;                        /* as sent                      */
    uint64_t    rev;
    bool        deleted;
} ngx_http_stoa_row_t;

/* Takes a reference to env. */
void ngx_http_stoa_writer_init(ngx_http_stoa_writer_t *w,
    ngx_http_stoa_env_t *env, unsigned flags);
void ngx_http_stoa_writer_free(ngx_http_stoa_writer_t *w);

/*
 * All return 0 or LMDB's error; after one that is not 0 the batch has been
 * aborted and the store is as it was at the last commit.
 */
int ngx_http_stoa_writer_begin(ngx_http_stoa_writer_t *w);
/* A row that does not validate is noted as rejected: 0 all the same. */
int ngx_http_stoa_writer_apply(ngx_http_stoa_writer_t *w,
    const ngx_http_stoa_row_t *row);
int ngx_http_stoa_writer_commit(ngx_http_stoa_writer_t *w);
void ngx_http_stoa_writer_abort(ngx_http_stoa_writer_t *w);


#endif /* NGX_HTTP_STOA_ENV_H */
