/*
 * Our own rate limits: of a caller, once it is known who it is, and of an
 * address, before that is looked at.
 *
 * A table of fixed size; a row is the hash of whom it counts and the time at
 * which the whole allowance is back, so a row whose time has come is free.
 * Where all rows of a set are in use the one that is free soonest gives way:
 * with more callers at once than rows some have more than theirs, none less.
 * Each process counts for itself.
 *
 * Owner: cp_http_t.  Any thread; a mutex per part of the table.
 */

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/cp_err.h"
#include "core/stoa_gcra.h"
#include "core/stoa_key.h"
#include "http/cp_call.h"
#include "http/cp_rate.h"


#define CP_RATE_SETS   2048
#define CP_RATE_WAYS   8
#define CP_RATE_LOCKS  16
#define CP_RATE_BURST  10         /* seconds' worth at once                 */

typedef struct {
    uint64_t  who;
    uint64_t  tat_ns;
} cp_rate_row_t;

struct cp_rate_s {
    stoa_gcra_t      rate[2];      /* by cp_rate_e                          */
    int64_t          per_s[2];     /* 0: no limit                            */
    uint64_t         key[2];
    pthread_mutex_t  locks[CP_RATE_LOCKS];
    cp_rate_row_t   rows[CP_RATE_SETS][CP_RATE_WAYS];
};

static const char *const  cp_rate_names[] = {
    [CP_RATE_CALLER] = "caller", [CP_RATE_ADDRESS] = "address"
};


cp_rate_t *
cp_rate_create(const cp_conf_t *conf)
{
    unsigned     i;
    cp_rate_t  *l;

    l = calloc(1, sizeof(cp_rate_t));
    if (l == NULL) {
        return NULL;
    }

    l->per_s[CP_RATE_CALLER] = conf->rate_caller;
    l->per_s[CP_RATE_ADDRESS] = conf->rate_address;
    cp_random(l->key, sizeof(l->key));

    for (i = 0; i < 2; i++) {
        if (l->per_s[i] > 0) {
            stoa_gcra_setup(&l->rate[i], (uint64_t) l->per_s[i], 1000,
                            (uint64_t) l->per_s[i] * CP_RATE_BURST);
        }
    }

    for (i = 0; i < CP_RATE_LOCKS; i++) {
        (void) pthread_mutex_init(&l->locks[i], NULL);
    }

    return l;
}


void
cp_rate_destroy(cp_rate_t *l)
{
    free(l);
}


/* The row of `who`, or the one that it takes. */
static cp_rate_row_t *
cp_rate_row(cp_rate_row_t *set, uint64_t who)
{
    unsigned         i;
    cp_rate_row_t  *row;

    row = set;

    for (i = 0; i < CP_RATE_WAYS; i++) {
        if (set[i].who == who) {
            return &set[i];
        }

        if (set[i].tat_ns < row->tat_ns) {
            row = &set[i];
        }
    }

    row->who = who;
    row->tat_ns = 0;

    return row;
}


/* IPv6: a household has as many addresses as it likes, of one /64. */
static uint64_t
cp_rate_hash(const cp_rate_t *l, cp_rate_e what, const char *who)
{
    uint8_t   in6[16];
    uint64_t  out[2], key[2];

    key[0] = l->key[0];
    key[1] = l->key[1] ^ what;

    if (what == CP_RATE_ADDRESS && inet_pton(AF_INET6, who, in6) == 1
        && (in6[0] | in6[1]) != 0)
    {
        stoa_siphash(in6, 8, key, out);

    } else {
        stoa_siphash(who, strlen(who), key, out);
    }

    return out[0];
}


bool
cp_rate_take(cp_rate_t *l, cp_rate_e what, const char *who, bool charge,
    cp_rate_left_t *out)
{
    uint64_t              hash;
    unsigned              set;
    cp_rate_row_t       *row;
    pthread_mutex_t      *lock;
    stoa_gcra_verdict_t   v;

    if (l->per_s[what] == 0 || who == NULL) {
        return true;
    }

    hash = cp_rate_hash(l, what, who);
    set = (unsigned) (hash % CP_RATE_SETS);
    lock = &l->locks[set % CP_RATE_LOCKS];

    (void) pthread_mutex_lock(lock);

    row = cp_rate_row(l->rows[set], hash);
    stoa_gcra_decide(&l->rate[what], 1, row->tat_ns,
                     (uint64_t) cp_http_now_us() * 1000, &v);

    if (v.allowed && charge) {
        row->tat_ns = v.tat_ns;
    }

    (void) pthread_mutex_unlock(lock);

    out->name = charge || !v.allowed ? cp_rate_names[what] : NULL;
    out->quota = (uint64_t) l->per_s[what] * CP_RATE_BURST;
    out->remaining = v.remaining;
    out->reset_s = (v.reset_ns + 999999999) / 1000000000;
    out->retry_s = (v.retry_ns + 999999999) / 1000000000;

    return v.allowed;
}


cp_rc_t
cp_rate_refuse(cp_req_t *r)
{
    cp_metric_add(r->call->http->m_limited, 1);

    return cp_err_set(&r->op.err, "too_many_requests",
                      "more than %lld requests a second from one %s",
                      (long long) r->call->limited.quota / CP_RATE_BURST,
                      r->call->limited.name);
}


void
cp_rate_headers(cp_req_t *r)
{
    cp_arena_t          *a = r->op.arena;
    const cp_rate_left_t  *l = &r->call->limited;

    if (l->name == NULL) {
        return;
    }

    cp_req_set_header(r, "RateLimit-Policy",
                      cp_arena_printf(a, "\"%s\";q=%llu;w=%d", l->name,
                                      (unsigned long long) l->quota,
                                      CP_RATE_BURST));
    cp_req_set_header(r, "RateLimit",
                      cp_arena_printf(a, "\"%s\";r=%llu;t=%llu", l->name,
                                      (unsigned long long) l->remaining,
                                      (unsigned long long) l->reset_s));

    if (r->status == 429) {
        cp_req_set_header(r, "Retry-After",
                          cp_arena_printf(a, "%llu", (unsigned long long)
                                          (l->retry_s ? l->retry_s : 1)));
    }
}
