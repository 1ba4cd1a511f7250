/*
 * The generic cell rate algorithm (ITU-T I.371) and quota windows: the
 * arithmetic alone.  All times in nanoseconds of a monotonic-enough clock,
 * one 64-bit word of state, so that a compare-and-swap loop makes it exact
 * across processes.  Process: any; no state here.
 */

#ifndef STOA_GCRA_H
#define STOA_GCRA_H


#include "stoa_zone.h"


typedef struct {
    uint64_t  interval_ns;    /* emission interval T = period / rate       */
    uint64_t  burst_ns;       /* tolerance tau = T * (burst - 1)           */
    uint64_t  debt_ns;        /* how much more may be owed: set by callers */
} stoa_gcra_t;

typedef struct {
    bool      allowed;
    uint64_t  tat_ns;         /* new state to store when allowed           */
    uint64_t  retry_ns;       /* when not: time until it would be allowed  */
    uint64_t  remaining;      /* requests that would be allowed right now  */
    uint64_t  reset_ns;       /* until the full allowance is back          */
} stoa_gcra_verdict_t;


/* rate requests per per_ms, `burst` of them at once; 0: all of them.  rate 0
 * is not to be called. */
void stoa_gcra_setup(stoa_gcra_t *g, uint64_t rate, uint64_t per_ms,
    uint64_t burst);

/* A call that counts as n, at most what stoa_gcra_most() says: more is never
 * allowed. */
void stoa_gcra_decide(const stoa_gcra_t *g, uint64_t n, uint64_t tat_ns,
    uint64_t now_ns, stoa_gcra_verdict_t *v);

/* What was used without being asked for: the state after it, which is at most
 * debt_ns beyond what is ever allowed. */
uint64_t stoa_gcra_charge(const stoa_gcra_t *g, uint64_t n, uint64_t tat_ns,
    uint64_t now_ns);

#define stoa_gcra_most(g)  ((g)->burst_ns / (g)->interval_ns + 1)

/* Calendar windows in UTC: the number of the day or month that holds a time,
 * and the ms until it ends. */
typedef enum { STOA_WINDOW_DAY, STOA_WINDOW_MONTH } stoa_window_e;

uint32_t stoa_window_number(stoa_window_e w, int64_t unix_ms,
    uint64_t *left_ms);
/* Where the windows before, at and after a time begin in a zone (NULL: UTC),
 * and the last one ends: Unix ms. */
void stoa_window_bounds(stoa_window_e w, const stoa_zone_t *z, int64_t unix_ms,
    int64_t at[4]);

/* The window of a zone that holds a time. */
typedef struct {
    int64_t   begin_ms;
    int64_t   end_ms;
    uint32_t  number;
} stoa_window_t;

void stoa_window_at(stoa_window_e w, const stoa_zone_t *z, int64_t unix_ms,
    stoa_window_t *at);


#endif /* STOA_GCRA_H */
