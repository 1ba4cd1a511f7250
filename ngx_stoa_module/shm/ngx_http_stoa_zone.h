/*
 * The shared zone: rate slots, in-flight slots, what the processes of one
 * node tell each other.
 *
 * Process: laid out in the master, used by all workers and the two threads of
 * worker 0.  Lifetime: survives reloads with the same size.  The memory is one
 * piece of the zone's slab pool; offsets never change, nothing is freed.
 *
 * A process killed at any instruction leaves the zone usable: counts are
 * single words, spin locks name their holder and are taken over from a dead
 * one, in-flight counts are kept per process and dropped with it.
 */

#ifndef NGX_HTTP_STOA_ZONE_H
#define NGX_HTTP_STOA_ZONE_H


#include "ngx_http_stoa_lock.h"
#include "ngx_http_stoa_refusal.h"
#include "core/stoa_guard.h"
#include "core/stoa_llm.h"


#define NGX_HTTP_STOA_ZONE_MIN      (1024 * 1024)
#define NGX_HTTP_STOA_ZONE_MAGIC    0x53544f415a4f4e31ULL
#define NGX_HTTP_STOA_ZONE_LAYOUT                                             \
    (10 << 16 | sizeof(ngx_http_stoa_proc_t))
#define NGX_HTTP_STOA_RATE_WAYS     7       /* a set: two cache lines        */
#define NGX_HTTP_STOA_FLY_WAYS      8
#define NGX_HTTP_STOA_PROCS_MIN     16
#define NGX_HTTP_STOA_TOKEN_WAYS    4
#define NGX_HTTP_STOA_PLACE_WAYS    8
#define NGX_HTTP_STOA_PROOF_WAYS    15      /* a set: two cache lines        */
#define NGX_HTTP_STOA_TOKEN_TEXT    960     /* a longer verdict is not kept  */
#define NGX_HTTP_STOA_HINTED        8       /* ids of a kind                 */
#define NGX_HTTP_STOA_PROCS_MAX     256
#define NGX_HTTP_STOA_LATENCY_N     26      /* bucket i: < 2^(i + 6) us;
                                               the last: over 17 minutes */
#define NGX_HTTP_STOA_CLASSES       5       /* 1xx .. 5xx                    */
#define NGX_HTTP_STOA_SYNC_ERR_LEN  256


typedef struct {
    uint64_t  lock;                  /* pid of the holder                    */
    uint64_t  unused;
    struct {
        uint64_t  tag;               /* key; 0: never used                   */
        uint64_t  tat;               /* RATE_BUSY: being given to a new key  */
    } way[NGX_HTTP_STOA_RATE_WAYS];
} ngx_http_stoa_rate_set_t;


/* What is known of tokens: a verdict each, under the set's lock. */

typedef struct {
    uint64_t  hash[4];               /* SHA-256 of the token                 */
    int64_t   until_ms;              /* 0: free                              */
    uint64_t  len;
    u_char    text[NGX_HTTP_STOA_TOKEN_TEXT];
} ngx_http_stoa_token_slot_t;

typedef struct {
    uint64_t                    lock;
    uint64_t                    unused[7];
    ngx_http_stoa_token_slot_t  way[NGX_HTTP_STOA_TOKEN_WAYS];
} ngx_http_stoa_token_set_t;


/* Proofs of possession that were shown (core/stoa_once.h); seconds are those
 * since the zone's birth. */

typedef struct {
    uint64_t  lock;
    uint64_t  way[NGX_HTTP_STOA_PROOF_WAYS];
} ngx_http_stoa_proof_set_t;


/* A breaker's word: 2 bits of state, 5 of level (how often in a row it was
 * opened), 12 of probes under way, 45 of time (ms: until when it is open, the
 * probes count, or since when it is closed). */

typedef enum {
    NGX_HTTP_STOA_BREAKER_CLOSED = 0,
    NGX_HTTP_STOA_BREAKER_OPEN,
    NGX_HTTP_STOA_BREAKER_HALF
} ngx_http_stoa_breaker_e;

#define ngx_http_stoa_breaker_state(w)   ((ngx_uint_t) ((w) >> 62))
#define ngx_http_stoa_breaker_level(w)   ((ngx_uint_t) ((w) >> 57) & 31)
#define ngx_http_stoa_breaker_probes(w)  ((ngx_uint_t) ((w) >> 45) & 4095)
#define ngx_http_stoa_breaker_until(w)   ((w) & (((uint64_t) 1 << 45) - 1))
#define ngx_http_stoa_breaker_word(state, level, probes, until)               \
    ((uint64_t) (state) << 62 | (uint64_t) (level) << 57                      \
     | (uint64_t) (probes) << 45 | (uint64_t) (until))


/* A word that counts calls of a window of time, and some of them: 24 bits of
 * its number, 20 of each. */

#define ngx_http_stoa_window_number(now, ms)                                  \
    ((uint64_t) (now) / (ms) & 0xffffff)
#define ngx_http_stoa_window_word(number, calls, some)                        \
    ((number) << 40 | (calls) << 20 | (some))

/* Of another window nothing counts; when it is full, half of it. */

static ngx_inline void
ngx_http_stoa_window_read(uint64_t word, uint64_t number, uint64_t *calls,
    uint64_t *some)
{
    const uint64_t  full = (1 << 20) - 1;

    *calls = word >> 40 == number ? (word >> 20) & full : 0;
    *some = word >> 40 == number ? word & full : 0;

    if (*calls == full) {
        *calls /= 2;
        *some /= 2;
    }
}


/* One address of an api's target, as all workers see it. */

typedef enum {
    NGX_HTTP_STOA_HEALTH_UNKNOWN = 0,
    NGX_HTTP_STOA_HEALTH_UP,
    NGX_HTTP_STOA_HEALTH_DOWN
} ngx_http_stoa_health_e;

/* Why a check was bad; past these, a status. */

typedef enum {
    NGX_HTTP_STOA_WHY_NONE = 0,
    NGX_HTTP_STOA_WHY_CONNECT,
    NGX_HTTP_STOA_WHY_TIMEOUT,
    NGX_HTTP_STOA_WHY_INVALID,
    NGX_HTTP_STOA_WHY_MCP
} ngx_http_stoa_why_e;

typedef enum {
    NGX_HTTP_STOA_PLACE_TARGET = 0,
    NGX_HTTP_STOA_PLACE_API,         /* of an api as a whole                 */
    NGX_HTTP_STOA_PLACE_GROUP        /* of targets                           */
} ngx_http_stoa_place_e;

typedef struct {
    uint64_t   tag;                  /* 0: free                              */
    uint64_t   kind;                 /* ngx_http_stoa_place_e                */
    uint64_t   used_ms;              /* wall clock                           */
    stoa_id_t  api;
    char       name[64];             /* address and port; the group's        */

    uint64_t   health;               /* ngx_http_stoa_health_e, by checks    */
    uint64_t   health_row;           /* that speak against it                */
    uint64_t   health_due_ms;        /* who takes it makes the next one      */
    uint64_t   health_at_ms;         /* the last one                         */
    uint64_t   health_since_ms;
    uint64_t   health_why;           /* of the last: a status, or a word     */

    uint64_t   breaker;              /* state, level, probes, until          */
    uint64_t   breaker_window;       /* its number, calls, failures          */
    uint64_t   breaker_row;          /* failures                             */
    uint64_t   breaker_since_ms;
    uint64_t   breaker_why;          /* what opened it last                  */

    uint64_t   budget;               /* of an api: window, calls, retries    */
    uint64_t   turn;                 /* of an api: calls dealt to groups,    */
    uint64_t   mirror;               /* calls that a mirror was thought of   */
    uint64_t   class[NGX_HTTP_STOA_CLASSES];    /* of a group: calls         */
} ngx_http_stoa_place_t;

typedef struct {
    uint64_t               lock;     /* of who gives a slot to another tag   */
    uint64_t               unused[7];
    ngx_http_stoa_place_t  way[NGX_HTTP_STOA_PLACE_WAYS];
} ngx_http_stoa_place_set_t;


/* Counted by one process, but its successor goes on in the same block, so
 * that the sums never go back. */

typedef struct {
    uint64_t  pid;                   /* 0: free                              */
    uint64_t  born;                  /* start time in ticks: pids come again */
    uint64_t  requests;
    uint64_t  class[NGX_HTTP_STOA_CLASSES];
    uint64_t  bytes_in;
    uint64_t  bytes_out;
    uint64_t  latency_us;
    uint64_t  rate_full;             /* decisions without a free slot        */
    uint64_t  fly_full;
    uint64_t  quota_full;
    uint64_t  usage_folded;
    uint64_t  tokens_verified;       /* signatures that were good,           */
    uint64_t  tokens_known;          /* verdicts that were there             */
    uint64_t  proofs;                /* of possession, that were good        */
    uint64_t  signatures;            /* of requests, that were good          */
    uint64_t  proof_full;            /* for which there was no room          */
    uint64_t  credentials_fetched;   /* tokens for upstreams, asked for      */
    uint64_t  credentials_failed;
    uint64_t  lane;                  /* calls that the fast lane answered,   */
    uint64_t  declined;              /* that it did not begin,               */
    uint64_t  handed_over;           /* that it gave to nginx's upstream     */
    uint64_t  mcp_dropped;           /* events of MCP upstreams              */
    uint64_t  mcp_views;             /* rendered                             */
    uint64_t  mcp_stale;             /* lists with a stale part              */
    uint64_t  mcp_left_out;          /* apis, of a stream or a message       */
    uint64_t  mcp_lost;              /* what clients of MCP said to them     */
    uint64_t  approvals_asked;       /* calls that a person has to approve,  */
    uint64_t  approvals_passed;      /* that passed,                         */
    uint64_t  approvals_failed;      /* for which nobody could be asked      */
    uint64_t  opa_asked;             /* decisions that OPA was asked for,    */
    uint64_t  opa_failed;            /* that did not come,                   */
    uint64_t  opa_known;             /* that were made before,               */
    uint64_t  opa_open;              /* not asked for: it is set aside       */
    uint64_t  traces_kept;           /* of calls,                            */
    uint64_t  traces_cut;            /* that were too long,                  */
    uint64_t  traces_evicted;        /* that younger ones took the place of  */
    uint64_t  mcp_parked;            /* calls whose clients were asked,      */
    uint64_t  mcp_expired;           /* and did not come back                */
    uint64_t  mcp_hops;              /* requests that other gateways got     */
    uint64_t  health_checks;         /* of targets,                          */
    uint64_t  health_failed;         /* that were bad                        */
    uint64_t  place_full;            /* addresses without a place            */
    uint64_t  breaker_opened;        /* targets set aside                    */
    uint64_t  retries;               /* further tries by a budget,           */
    uint64_t  retries_denied;        /* that it did not allow                */
    uint64_t  late;                  /* calls whose time was over            */
    uint64_t  tunnels;               /* of WebSocket, begun,                 */
    uint64_t  tunnels_ended;         /* that are over,                       */
    uint64_t  tunnels_closed;        /* by the gateway;                      */
    uint64_t  tunnel_in;             /* messages of clients in them,         */
    uint64_t  tunnel_out;            /* of upstreams                         */
    uint64_t  mirrored;              /* calls copied,                        */
    uint64_t  mirror_dropped;        /* not, for want of room or body        */
    uint64_t  mirror_failed;         /* whose copies had no whole answer     */
    uint64_t  cache_hits;            /* answers that were kept,              */
    uint64_t  cache_stale;           /* of those, past their time            */
    uint64_t  cache_misses;          /* that were not,                       */
    uint64_t  cache_bypassed;        /* calls it has no say in               */
    uint64_t  cache_stored;
    uint64_t  cache_bytes;           /* of hits                              */
    uint64_t  cache_purged;          /* answers that a purge was for         */
    uint64_t  cache_refreshed;       /* that were asked for by ourselves     */
    uint64_t  cache_copied;          /* hits that nothing could be lent to   */
    uint64_t  idempotency_kept;      /* calls with a key that came to an end,*/
    uint64_t  idempotency_unknown;   /* of which nobody knows what became,   */
    uint64_t  idempotency_repeats;   /* that got an answer again             */
    uint64_t  lease_asked;           /* messages to Redis,                   */
    uint64_t  lease_failed;          /* that had no answer,                  */
    uint64_t  lease_granted;         /* tokens that came,                    */
    uint64_t  lease_returned;        /* went back unused,                    */
    uint64_t  lease_credited;        /* ... after they were told as spent    */
    uint64_t  lease_replayed;        /* answers to what was asked again,     */
    uint64_t  lease_healed;          /* that mended what Redis had lost      */
    uint64_t  lease_waited;          /* calls that waited for tokens,        */
    uint64_t  lease_full;            /* for which there was no pool          */
    uint64_t  limits_shared;         /* decided without Redis: by a share,   */
    uint64_t  limits_allowed;        /* passed                               */
    uint64_t  limits_denied;         /* or refused                           */
    uint64_t  cost_unsaid;           /* answers that did not say their cost  */
    uint64_t  rate_near;             /* calls that left less than a fifth of */
    uint64_t  quota_near;            /* their rate, their day or month       */
    uint64_t  refused[NGX_HTTP_STOA_REFUSALS];
    uint64_t  policy[NGX_HTTP_STOA_POLICIES_MAX][NGX_HTTP_STOA_OUTCOMES];
    uint64_t  guard[STOA_GUARD_MAX]; /* finds of each kind                   */
    uint64_t  llm[2][STOA_LLM_KINDS];    /* tokens: told; estimated          */
    uint64_t  latency[NGX_HTTP_STOA_LATENCY_N];
    uint64_t  in_flight;             /* that are held now                    */
} ngx_http_stoa_proc_t;


typedef enum {
    NGX_HTTP_STOA_SYNC_STARTING = 0,
    NGX_HTTP_STOA_SYNC_CONNECTED,    /* the last exchange was good           */
    NGX_HTTP_STOA_SYNC_LOADING,      /* a whole configuration comes in       */
    NGX_HTTP_STOA_SYNC_FAILING,
    NGX_HTTP_STOA_SYNC_UNAUTHORIZED,
    NGX_HTTP_STOA_SYNC_STORE_FULL
} ngx_http_stoa_sync_state_e;


/* Calls of an api; the one behind the last: of all that have none. */

#define NGX_HTTP_STOA_APIS       512      /* power of two                    */
#define NGX_HTTP_STOA_APIS_WAYS  8

typedef struct {
    uint64_t   tag;                  /* end of the id; 0: free               */
    stoa_id_t  id;                   /* written after the tag                */
    uint64_t   class[NGX_HTTP_STOA_CLASSES];
} ngx_http_stoa_api_count_t;


/* Models of language whose tokens are told apart (_usage_model()). */

#define NGX_HTTP_STOA_USAGE_MODELS  128


/* What the control plane is to read again. */

typedef enum {
    NGX_HTTP_STOA_HINT_KEYS = 0,     /* of issuers                           */
    NGX_HTTP_STOA_HINT_CATALOG,      /* of MCP upstreams                     */
    NGX_HTTP_STOA_HINTS
} ngx_http_stoa_hint_e;

typedef struct {
    uint64_t   lock;
    stoa_id_t  id[NGX_HTTP_STOA_HINTED];
} ngx_http_stoa_hint_t;


/* What was refused to whom: 401 and 403, for the control plane's audit log
 * (ngx_http_stoa_denial.c). */

#define NGX_HTTP_STOA_DENIALS  64

typedef struct {
    stoa_id_t  tenant;               /* the api's                            */
    stoa_id_t  api;
    stoa_id_t  application;
    char       code[40];             /* the refusal's                        */
    char       address[48];          /* of the network: a /24, IPv6: a /48   */
} ngx_http_stoa_denial_key_t;

typedef struct {
    uint64_t  count;                 /* 0: nothing                           */
    uint64_t  first_ms;
    uint64_t  last_ms;
} ngx_http_stoa_denied_t;

typedef struct {
    ngx_http_stoa_denial_key_t  key; /* free when both counts are 0          */
    ngx_http_stoa_denied_t      fresh;
    ngx_http_stoa_denied_t      told;
} ngx_http_stoa_denial_t;

typedef struct {
    uint64_t                lock;
    uint64_t                noted;   /* something is to be told              */
    uint64_t                telling; /* `told` is, as `number`               */
    uint64_t                number;
    uint64_t                lost;
    uint64_t                lost_told;
    uint64_t                lost_all;    /* of the zone's life               */
    u_char                  id[16];      /* whose numbers they are           */
    uint64_t   rows;                 /* that may be in use: the first ones   */
    ngx_http_stoa_denial_t  row[NGX_HTTP_STOA_DENIALS];
} ngx_http_stoa_denials_t;


/* A trace of a call (ngx_http_stoa_trace_ring.c): numbers and names, made
 * into a text by who reads it.  A name is where it begins in `text`, with its
 * length before it; 0: none. */

#define NGX_HTTP_STOA_TRACE_SETS   4
#define NGX_HTTP_STOA_TRACE_BYTES  4096
#define NGX_HTTP_STOA_TRACE_ID     64
#define NGX_HTTP_STOA_TRACE_NOTES  48

typedef struct {
    uint8_t    policy;               /* place of its type + 1; 0: a step     */
    uint8_t    step;                 /* of the edge                          */
    uint8_t    kind;                 /* of the record that it comes from; 0:
                                        it is in force by itself             */
    uint8_t    scope;                /* stoa_scope_e + 1; 0: fields of that  */
    uint8_t    shadow;               /* 1: is one, 2: would have refused     */
    uint8_t    unused;
    uint16_t   name;                 /* of the policy                        */
    int32_t    rc;
    uint32_t   us;                   /* times 10; UINT32_MAX: not taken      */
    stoa_id_t  record;
} ngx_http_stoa_traced_note_t;

typedef enum {
    NGX_HTTP_STOA_TRACED_METHOD = 0,
    NGX_HTTP_STOA_TRACED_HOST,
    NGX_HTTP_STOA_TRACED_PATH,
    NGX_HTTP_STOA_TRACED_PUBLISHER,
    NGX_HTTP_STOA_TRACED_API,
    NGX_HTTP_STOA_TRACED_TOOL,
    NGX_HTTP_STOA_TRACED_CONSUMER,
    NGX_HTTP_STOA_TRACED_APPLICATION,
    NGX_HTTP_STOA_TRACED_PLAN,
    NGX_HTTP_STOA_TRACED_TARGET,
    NGX_HTTP_STOA_TRACED_DETAIL,
    NGX_HTTP_STOA_TRACED_NAMES
} ngx_http_stoa_traced_e;

typedef struct {
    uint64_t   limit;                /* 0: nothing is known                  */
    uint64_t   left;
    uint64_t   reset_ms;
} ngx_http_stoa_traced_limit_t;

typedef struct {
    uint64_t   number;               /* they are counted; 0: free            */
    stoa_id_t  tenant;               /* that was called, and ...             */
    stoa_id_t  consumer;             /* ... that calls; zeros: nobody's      */
    uint64_t   id_len;               /* of the request                       */
    u_char     id[NGX_HTTP_STOA_TRACE_ID];
    uint64_t   at_ms;
    uint64_t   revision;
    uint64_t   latency_us;
    stoa_id_t  credential;
    stoa_id_t  operation;
    stoa_id_t  subscription;
    ngx_http_stoa_traced_limit_t  limit[4];   /* ngx_http_stoa_limit_e       */
    uint64_t   retry_ms;
    uint8_t    over;                 /* + 1: which limit refused             */
    uint8_t    edge;                 /* its place + 1; 0: not known          */
    uint8_t    step;                 /* that was come to                     */
    uint8_t    passed;               /* all of them                          */
    uint8_t    sampled;
    uint8_t    n;                    /* notes                                */
    uint8_t    lost;                 /* of them                              */
    uint8_t    unused;
    uint16_t   status;
    uint16_t   refused;              /* row + 1                              */
    uint16_t   names[NGX_HTTP_STOA_TRACED_NAMES];
    uint16_t   len;                  /* of text                              */
    ngx_http_stoa_traced_note_t  note[NGX_HTTP_STOA_TRACE_NOTES];
    u_char     text[2048];
} ngx_http_stoa_traced_t;

_Static_assert(sizeof(ngx_http_stoa_traced_t) <= NGX_HTTP_STOA_TRACE_BYTES,
               "a trace is a page");


#define NGX_HTTP_STOA_MCP_TURNS  4096
#define NGX_HTTP_STOA_MCP_CALLS  8192
#define NGX_HTTP_STOA_MCP_PAIRS  8192


struct ngx_http_stoa_sh_s {
    uint64_t  magic;
    uint32_t  layout;
    uint32_t  nprocs;
    uint64_t  size;
    uint64_t  rate_off;
    uint64_t  rate_sets;             /* power of two                         */
    uint64_t  fly_off;
    uint64_t  fly_sets;              /* power of two                         */
    uint64_t  fly_slot_size;
    uint64_t  token_off;             /* behind the rate slots                */
    uint64_t  token_sets;
    uint64_t  place_off;             /* in front of the in-flight slots      */
    uint64_t  place_sets;
    uint64_t  proof_off;             /* behind the traces                    */
    uint64_t  proof_sets;
    uint64_t  proof_secret[2];
    uint64_t  trace_off;             /* behind the targets                   */
    uint64_t  trace_sets;            /* 0: no room                           */
    uint64_t  trace_ways;
    uint64_t  trace_number;          /* of the last one; grows over restarts */
    uint64_t  trace_lock[NGX_HTTP_STOA_TRACE_SETS];
    uint64_t  started_ms;            /* wall clock of the zone's birth       */

    uint64_t  breaker_lock;          /* of who opens one                     */

    uint64_t  sync_state;
    uint64_t  sync_polls;
    uint64_t  sync_failures;
    uint64_t  sync_rows;
    uint64_t  sync_rejected;         /* rows refused so far                  */
    uint64_t  sync_commits;
    uint64_t  sync_commit_us;        /* sum                                  */
    uint64_t  store_full;            /* batches that did not fit             */
    uint64_t  status_ok_ms;
    uint64_t  status_failures;
    uint64_t  usage_ok_ms;
    uint64_t  usage_failures;
    uint64_t  usage_batches;         /* posted and applied                   */
    uint64_t  usage_waiting;         /* in the spool                         */
    uint64_t  usage_refused;         /* for good                             */
    uint64_t  usage_aside;           /* ... that are kept                    */
    uint64_t  usage_rows_refused;    /* of batches that were taken           */
    uint64_t  limits_down;           /* since when Redis is away: ms, 0      */
    uint64_t  limits_up;             /* 1: it answers                        */
    uint64_t  limits_probe;          /* when it is tried again               */
    uint64_t  limits_keeper;         /* who looks after the pools            */
    uint64_t  sync_err_seq;          /* odd: being written                   */
    char      sync_err[NGX_HTTP_STOA_SYNC_ERR_LEN];

    ngx_http_stoa_hint_t  hints[NGX_HTTP_STOA_HINTS];
    ngx_http_stoa_denials_t  denials;

    ngx_http_stoa_api_count_t  apis[NGX_HTTP_STOA_APIS + 1];
    uint64_t  models[NGX_HTTP_STOA_USAGE_MODELS + 2][STOA_LLM_KINDS];
    uint64_t  mcp_levels[NGX_HTTP_STOA_MCP_TURNS];  /* what they want logged */
    uint64_t  mcp_turns[NGX_HTTP_STOA_MCP_TURNS];   /* sessions' streams     */
    uint64_t  mcp_calls[NGX_HTTP_STOA_MCP_CALLS];   /* which api has them    */
    uint64_t  mcp_pairs[NGX_HTTP_STOA_MCP_PAIRS];   /* of 2024-11-05         */

    ngx_http_stoa_proc_t  procs[1];  /* nprocs; the last one is shared by
                                        processes that found no free one     */
};


char *ngx_http_stoa_zone_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);

void ngx_http_stoa_zone_sync_err(ngx_http_stoa_sh_t *sh, const char *text);
void ngx_http_stoa_zone_sync_err_get(ngx_http_stoa_sh_t *sh, char *text);
/* Its name: "connected", "store_full", ... */
const char *ngx_http_stoa_zone_sync_state(ngx_http_stoa_sh_t *sh);

/* ---- tokens (ngx_http_stoa_token_cache.c) ------------------------------- */

/* What was put for a token, by its SHA-256, until it is over; its length, at
 * most NGX_HTTP_STOA_TOKEN_TEXT, 0: nothing. */
size_t ngx_http_stoa_token_get(ngx_http_stoa_sh_t *sh, const u_char *hash,
    int64_t now_ms, u_char *text);
void ngx_http_stoa_token_put(ngx_http_stoa_sh_t *sh, const u_char *hash,
    int64_t until_ms, const u_char *text, size_t len);

/* A proof of possession, by whose key it is and its id, which may be shown
 * once.  NGX_DECLINED: it was; NGX_BUSY: there is no room to keep it. */
ngx_int_t ngx_http_stoa_proof_put(ngx_http_stoa_sh_t *sh, const u_char *text,
    size_t len, int64_t now_ms, int64_t until_ms);

/* An issuer whose key set lacks a key, an api whose lists have changed; are
 * there some; and who takes those that were noted, how many. */
void ngx_http_stoa_hint_note(ngx_http_stoa_sh_t *sh, ngx_uint_t what,
    const stoa_id_t *id);
ngx_uint_t ngx_http_stoa_hint_noted(ngx_http_stoa_sh_t *sh, ngx_uint_t what);
ngx_uint_t ngx_http_stoa_hint_take(ngx_http_stoa_sh_t *sh, ngx_uint_t what,
    stoa_id_t *ids);

/* ---- traces (ngx_http_stoa_trace_ring.c) -------------------------------- */

typedef struct {
    uint64_t          after;         /* this number                          */
    uint64_t          until;         /* this one; 0: any                     */
    const stoa_id_t  *tenant;        /* on either side; NULL: any            */
    ngx_str_t         id;            /* of the request; "": any              */
    ngx_str_t         api;           /* its name, where the tenant may know
                                        it; "": any                          */
    ngx_uint_t        status[2];     /* from, to; 0: any                     */
} ngx_http_stoa_trace_query_t;

void ngx_http_stoa_trace_put(ngx_http_stoa_sh_t *sh,
    const ngx_http_stoa_traced_t *traced);
/* A copy of the first one that fits; 0: there is none. */
ngx_uint_t ngx_http_stoa_trace_next(ngx_http_stoa_sh_t *sh,
    const ngx_http_stoa_trace_query_t *q, ngx_http_stoa_traced_t *traced);
/* How many fit; gap: there may have been others, which had to make room. */
ngx_uint_t ngx_http_stoa_trace_count(ngx_http_stoa_sh_t *sh,
    const ngx_http_stoa_trace_query_t *q, ngx_uint_t *gap);
/* The numbers of the youngest that fit, these first; how many. */
ngx_uint_t ngx_http_stoa_trace_last(ngx_http_stoa_sh_t *sh,
    const ngx_http_stoa_trace_query_t *q, uint64_t *last, ngx_uint_t most);

/* ---- refusals (ngx_http_stoa_denial.c) ---------------------------------- */

/* The key is compared as a whole: zeroed before it is filled. */
void ngx_http_stoa_denial_note(ngx_http_stoa_sh_t *sh,
    const ngx_http_stoa_denial_key_t *key);
/* What is to be told, and that it was: taken, or refused for good.  0: there
 * is nothing. */
ngx_uint_t ngx_http_stoa_denial_take(ngx_http_stoa_sh_t *sh,
    ngx_http_stoa_denials_t *copy);
void ngx_http_stoa_denial_told(ngx_http_stoa_sh_t *sh, ngx_uint_t taken);

/* ---- targets (ngx_http_stoa_place.c) ------------------------------------ */

/* The place of this tag, which is never 0; made if it is not there.  NULL:
 * none is free.  It may be given to another when it has not been used for
 * NGX_HTTP_STOA_PLACE_KEPT ms: compare the tag. */
#define NGX_HTTP_STOA_PLACE_KEPT  600000

ngx_http_stoa_place_t *ngx_http_stoa_place(ngx_http_stoa_sh_t *sh,
    uint64_t tag, ngx_http_stoa_place_e kind, const stoa_id_t *api,
    const ngx_str_t *name);
/* The target is no more. */
void ngx_http_stoa_place_free(ngx_http_stoa_sh_t *sh, uint64_t tag);
/* A copy of each that is in use, the n-th call on; NGX_DECLINED: no more. */
ngx_int_t ngx_http_stoa_place_next(ngx_http_stoa_sh_t *sh, ngx_uint_t *n,
    ngx_http_stoa_place_t *copy);
/* "status 503", "no connection"; at least 32 bytes. */
void ngx_http_stoa_place_why(uint64_t why, char *text);
/* "closed", "open", "half_open" */
const char *ngx_http_stoa_place_breaker(const ngx_http_stoa_place_t *place);
const char *ngx_http_stoa_place_health(const ngx_http_stoa_place_t *place);

/* ---- processes (ngx_http_stoa_proc.c) ----------------------------------- */

/* This process's block; call once per process, before requests. */
void ngx_http_stoa_proc_attach(ngx_http_stoa_main_conf_t *mcf,
    ngx_log_t *log);
void ngx_http_stoa_proc_detach(ngx_http_stoa_main_conf_t *mcf);
ngx_http_stoa_proc_t *ngx_http_stoa_proc_self(void);

/* What is counted goes into another block, until it is swapped again. */
void ngx_http_stoa_proc_swap(ngx_http_stoa_proc_t **proc);

/* Gives back what processes held that are no more.  births: also those whose
 * pid another process has by now. */
void ngx_http_stoa_proc_reconcile(ngx_http_stoa_sh_t *sh, ngx_uint_t births,
    ngx_log_t *log);

/* Has drop(sh, column) called when a process is gone; at most
 * NGX_HTTP_STOA_PROC_DROPPERS, before any attaches. */
#define NGX_HTTP_STOA_PROC_DROPPERS  4

typedef void (*ngx_http_stoa_proc_drop_pt)(ngx_http_stoa_sh_t *sh,
    ngx_uint_t index);

void ngx_http_stoa_proc_dropper(ngx_http_stoa_proc_drop_pt drop);

/* This process's column. */
ngx_uint_t ngx_http_stoa_proc_index(void);

/* How many are attached. */
ngx_uint_t ngx_http_stoa_proc_n(ngx_http_stoa_sh_t *sh);

/* The sum of a counter over all processes; field: offsetof in proc_t. */
uint64_t ngx_http_stoa_proc_sum(ngx_http_stoa_sh_t *sh, size_t field);

/* A counter of this process. */
#define ngx_http_stoa_count(field, n)                                         \
    ngx_http_stoa_add(&ngx_http_stoa_proc_self()->field, n)


#endif /* NGX_HTTP_STOA_ZONE_H */
