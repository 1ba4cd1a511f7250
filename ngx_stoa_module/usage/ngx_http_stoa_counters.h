/*
 * The mapped counter file: quota windows and usage, which outlive every
 * process.
 *
 * Process: the file is made in the master, mapped by each worker.  Lifetime:
 * until an operator removes it.  Keys are found and counted without a lock; a
 * new key is put in under a lock of the file, with the word that makes
 * it visible written last, so that a process killed at any instruction leaves
 * no half key behind.
 *
 * Quota: sets of 8 slots of 32 bytes, a key belongs to two sets.  A slot whose
 * windows are both over may be given to another key.
 * Usage: sets of 8 slots of 320 bytes, found by a table of hashes.  Counters
 * are cumulative for the life of the file and never set back, even when the
 * slot is given to another key: who reads them keeps what was read before (see
 * ngx_http_stoa_spool.c).  When there is no slot, a row is counted under a
 * coarser key, in the end under slot 0 which names nobody.
 */

#ifndef NGX_HTTP_STOA_COUNTERS_H
#define NGX_HTTP_STOA_COUNTERS_H


#include "ngx_http_stoa_zone.h"


#define NGX_HTTP_STOA_COUNTERS_MIN      (1024 * 1024)
#define NGX_HTTP_STOA_COUNTERS_MAGIC    0x53544f4143545231ULL
#define NGX_HTTP_STOA_COUNTERS_VERSION  2
#define NGX_HTTP_STOA_COUNTERS_WAYS     8
#define NGX_HTTP_STOA_REFUSED_LEN       24


/*
 * What all processes of a directory share.  It lies here and not in the zone,
 * because what it guards is here: two generations of workers have one
 * directory, but two zones when the size changed, or after an upgrade of the
 * binary.
 */

struct ngx_http_stoa_dir_s {
    uint64_t  quota_lock;            /* guard insertion only                 */
    uint64_t  usage_lock;
    uint64_t  state_lock;            /* lease and `state` change under it    */
    uint64_t  lease;                 /* whose threads may write; 0: nobody's */
    uint64_t  lease_pid;
    uint64_t  lease_seq;             /* last lease                           */
    uint64_t  store_seq;             /* last number of a store file          */
    uint64_t  store_gen;             /* + 1: another store file is in force  */
    uint64_t  store_bad;             /* a worker met a broken record         */
    uint64_t  sync_ok_ms;            /* last complete answer, wall clock     */
    uint64_t  crash_store;           /* number of the file that was in force */
    uint64_t  crashes;               /* ... when so many workers crashed     */
};


/* At the start of the file; the rest of the page is zero. */

typedef struct {
    uint64_t  magic;
    uint32_t  version;
    uint32_t  slot_size;
    u_char    id[16];                /* random: names the file's batches     */
    uint64_t  seed;
    uint64_t  size;
    uint64_t  quota_off;
    uint64_t  quota_sets;
    uint64_t  tag_off;
    uint64_t  dirty_off;             /* a bit per usage slot                 */
    uint64_t  usage_off;
    uint64_t  usage_sets;
    uint64_t  quota_used;            /* slots that have a key                */
    uint64_t  unused[2];
    ngx_http_stoa_dir_t  dir;
} ngx_http_stoa_counters_head_t;

_Static_assert(sizeof(ngx_http_stoa_counters_head_t) <= 4096,
               "the head is a page");


/* A window: its number in the upper 24 bits, the calls in the lower 40. */

typedef struct {
    uint64_t  tag;
    uint64_t  day;
    uint64_t  month;
    uint64_t  unused;
} ngx_http_stoa_quota_t;


typedef struct {
    stoa_id_t  tenant;
    stoa_id_t  application;
    stoa_id_t  subscription;
    stoa_id_t  api;
    stoa_id_t  operation;
    char       refused[NGX_HTTP_STOA_REFUSED_LEN];   /* code, NUL padded     */
    stoa_id_t  credential;
} ngx_http_stoa_usage_key_t;

typedef struct {
    uint64_t   class[4];             /* 2xx .. 5xx                           */
    uint64_t   bytes_in;
    uint64_t   bytes_out;
    uint32_t   latency[NGX_HTTP_STOA_LATENCY_N];     /* wraps                */
} ngx_http_stoa_usage_val_t;

typedef struct {
    ngx_http_stoa_usage_key_t  key;
    ngx_http_stoa_usage_val_t  val;
    uint64_t                   last_s;   /* of the last row                  */
    uint64_t                   tokens[STOA_LLM_KINDS];
    uint64_t                   model;    /* of the key: _usage_model_at()    */
    uint64_t                   unused;
} ngx_http_stoa_usage_slot_t;

/* Models of the tokens, told apart by the tenant whose api answers, so that no
 * upstream's inventions take another's places.  At the end of the file, which
 * no slots reach; 0 is none, 1 any that has no place.  They stay. */

#define NGX_HTTP_STOA_USAGE_MODELS_OF  32        /* of a tenant              */
#define NGX_HTTP_STOA_USAGE_OTHER      1

typedef struct {
    uint64_t  tag;                       /* of the tenant; 0: free           */
    char      name[STOA_LLM_MODEL + 1];
} ngx_http_stoa_usage_model_t;

_Static_assert(sizeof(ngx_http_stoa_usage_model_t)
               * NGX_HTTP_STOA_USAGE_MODELS == 8192, "models are two pages");

_Static_assert(sizeof(ngx_http_stoa_usage_slot_t) == 320,
               "usage slots are five cache lines");
_Static_assert(sizeof(ngx_http_stoa_quota_t) == 32,
               "two quota slots in a cache line");


struct ngx_http_stoa_counters_s {
    ngx_http_stoa_counters_head_t  *head;
    ngx_http_stoa_quota_t          *quota;
    uint64_t                       *tags;
    uint64_t                       *dirty;
    ngx_http_stoa_usage_slot_t     *usage;
    ngx_http_stoa_usage_model_t    *models;
    uint64_t                        nslots;  /* of usage, slot 0 included    */
    ngx_log_t                      *log;
};


/* Master: makes or checks the file.  Worker: maps it. */
ngx_int_t ngx_http_stoa_counters_create(ngx_http_stoa_main_conf_t *mcf,
    ngx_cycle_t *cycle, ngx_uid_t user);
ngx_int_t ngx_http_stoa_counters_open(ngx_http_stoa_main_conf_t *mcf,
    ngx_cycle_t *cycle);
void ngx_http_stoa_counters_close(ngx_http_stoa_main_conf_t *mcf);

typedef struct {
    uint64_t  quota_used;
    uint64_t  quota_slots;
    uint64_t  usage_used;
    uint64_t  usage_slots;
} ngx_http_stoa_usage_fill_t;

/* Of more slots than these, a part is looked at and the rest estimated. */
#define NGX_HTTP_STOA_FILL_SLOTS  1048576

void ngx_http_stoa_usage_fill(ngx_http_stoa_counters_t *c,
    ngx_http_stoa_usage_fill_t *fill);
/* Counts quota_used anew: who was killed may have left it one off. */
void ngx_http_stoa_counters_recount(ngx_http_stoa_counters_t *c);

/* A slot that nobody finds any more, and that nobody else gets yet: whoever
 * found it before may still be about to add. */
#define NGX_HTTP_STOA_USAGE_RETIRED   UINT64_MAX
#define NGX_HTTP_STOA_USAGE_REST_S    30
#define NGX_HTTP_STOA_USAGE_RETIRE_S  3600

/* Takes a slot out of use, then, when it had its rest, frees it for another
 * key; its values stay.  For one of which all is reported. */
void ngx_http_stoa_usage_retire(ngx_http_stoa_main_conf_t *mcf, uint64_t slot,
    uint64_t now_s);


/* What a finished request adds to the usage of its slot. */
typedef struct {
    stoa_id_t    tenant;          /* publisher's tenant; zero bytes: none   */
    stoa_id_t    application;
    stoa_id_t    subscription;
    stoa_id_t    api;
    stoa_id_t    operation;       /* or tool                                */
    stoa_id_t    credential;
    ngx_uint_t   refused;         /* index into the refusal table + 1, or 0 */
    ngx_uint_t   status;
    uint64_t     bytes_in;
    uint64_t     bytes_out;
    uint64_t     latency_us;
    uint64_t     tokens[STOA_LLM_KINDS];
    ngx_uint_t   model;           /* ngx_http_stoa_usage_model()            */
    ngx_uint_t   part;            /* unsigned: of a call that was counted,
                                     what came since                        */
} ngx_http_stoa_usage_row_t;

/* Which of NGX_HTTP_STOA_LATENCY_N. */
static ngx_inline ngx_uint_t
ngx_http_stoa_usage_bucket(uint64_t us)
{
    ngx_uint_t  i;

    i = us < 64 ? 0 : 58 - (ngx_uint_t) __builtin_clzll(us);

    return ngx_min(i, NGX_HTTP_STOA_LATENCY_N - 1);
}

void ngx_http_stoa_usage_add(ngx_http_stoa_main_conf_t *mcf,
    const ngx_http_stoa_usage_row_t *row);

/* The number of a model of a tenant's; its name, "" of none. */
ngx_uint_t ngx_http_stoa_usage_model(ngx_http_stoa_main_conf_t *mcf,
    const stoa_id_t *tenant, const char *name);
const char *ngx_http_stoa_usage_model_at(const ngx_http_stoa_counters_t *c,
    uint64_t model);


#endif /* NGX_HTTP_STOA_COUNTERS_H */
