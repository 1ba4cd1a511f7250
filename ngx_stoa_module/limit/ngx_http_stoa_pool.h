/*
 * Pools of tokens that were leased from Redis: a file that all workers map.
 *
 * A pool outlives every process: what a node was granted and did not use is
 * spent by the one that starts after it.  Another boot voids the tokens, as a
 * page of the file may be older than what was spent, but not what is known of
 * the budget.
 *
 * Process: made in the master, mapped by workers.  A pool is found and spent
 * without a lock; who has won its word `ask` sends for it.
 */

#ifndef NGX_HTTP_STOA_POOL_H
#define NGX_HTTP_STOA_POOL_H


#include "ngx_http_stoa_zone.h"
#include "ngx_http_stoa_redis.h"
#include "core/stoa_lease.h"
#include "core/stoa_zone.h"


#define NGX_HTTP_STOA_POOL_WAYS      8
#define NGX_HTTP_STOA_POOL_SPARE     2         /* for what callers make up   */
#define NGX_HTTP_STOA_POOL_ZONES     64
/* In `none`: Redis has lost what was used, and waits for those who know. */
#define NGX_HTTP_STOA_POOL_RECOVERS  (UINT64_C(1) << 63)


/* All times: ms of CLOCK_BOOTTIME, but ps and pe: Unix ms. */

typedef struct {
    uint64_t  tag;                   /* of the budget; 0: free               */
    uint64_t  word;                  /* stoa_lease_word()                    */
    uint64_t  none;                  /* refuse until, without asking         */
    uint64_t  arrivals;              /* tokens that calls wanted             */
    uint64_t  seen;                  /* of those, by the keeper,             */
    uint64_t  seen_ms;               /* when                                 */
    uint64_t  demand;                /* a second                             */
    uint64_t  used_ms;               /* the last call                        */

    uint64_t  ask;                   /* pid << 32 | until, of who asks       */
    uint64_t  ep;                    /* incarnation; only grows              */
    uint64_t  seq;                   /* of the last message,                 */
    uint64_t  applied;               /* of the last answer                   */
    uint64_t  cum;                   /* tokens that came, less those back    */
    uint64_t  owed;                  /* spent without Redis; negative: told
                                        as spent, and was not                */
    uint64_t  contact_ms;            /* when the last one with an answer was
                                        sent                                 */
    uint64_t  grant;                 /* what the last answer said            */

    uint64_t  rem;                   /* the message                          */
    uint64_t  back;
    uint64_t  want;
    uint32_t  need;
    int32_t   credit;                /* negative: owed                       */
    uint64_t  sent_cum;
    uint64_t  avail;                 /* of the answer, too                   */
    uint64_t  nodes;
    uint64_t  retry_ms;              /* when there is some again             */

    int64_t   ps;                    /* the period that it is of             */
    int64_t   pe;
    uint64_t  limit;                 /* the figures                          */
    uint64_t  interval_ns;
    uint64_t  name[2];
    uint16_t  which;                 /* ngx_http_stoa_limit_e                */
    uint16_t  zone;                  /* of the period: place in `zones`      */
    uint16_t  hold;                  /* local_share: its share is kept       */
    uint16_t  owes;                  /* `owed` is told as such               */
    uint64_t  share;                 /* state of that                        */
} ngx_http_stoa_pool_t;

_Static_assert(sizeof(ngx_http_stoa_pool_t) == 256,
               "pools are four cache lines");


typedef struct {
    uint64_t  magic;
    uint64_t  size;
    uint64_t  sets;
    char      node[33];              /* names this node to Redis             */
    char      boot[39];              /* of the machine                       */
    uint64_t  voided;                /* lock: tokens of another boot         */
    char      zones[NGX_HTTP_STOA_POOL_ZONES][STOA_ZONE_NAME + 1];
                                     /* the first: UTC                       */
    uint64_t  nodes;                 /* most of them, of any budget lately   */
    uint64_t  born[NGX_HTTP_STOA_REDIS_SHARDS];  /* marks that are known     */
} ngx_http_stoa_pools_t;


ngx_int_t ngx_http_stoa_pool_create(ngx_http_stoa_main_conf_t *mcf);
ngx_int_t ngx_http_stoa_pool_open(ngx_http_stoa_main_conf_t *mcf,
    ngx_cycle_t *cycle);
void ngx_http_stoa_pool_close(void);

/* NULL: not open. */
ngx_http_stoa_pools_t *ngx_http_stoa_pool_head(void);
/* NULL: there is no place.  ways: where in a set it may lie. */
ngx_http_stoa_pool_t *ngx_http_stoa_pool_get(uint64_t tag, uint64_t now,
    ngx_uint_t ways);
/* NULL: it is not there. */
ngx_http_stoa_pool_t *ngx_http_stoa_pool_find(uint64_t tag);

/* The place of a zone, which is 0 of all that are too many. */
ngx_uint_t ngx_http_stoa_pool_zone(ngx_str_t *name);

/* The pools that somebody has to look at. */
void ngx_http_stoa_pool_mark(ngx_http_stoa_pool_t *pool);
void ngx_http_stoa_pool_unmark(ngx_http_stoa_pool_t *pool);
void ngx_http_stoa_pool_each(void (*look)(ngx_http_stoa_pool_t *pool));


#endif /* NGX_HTTP_STOA_POOL_H */
