/*
 * Usage: counts per minute, taken from gateways and summed up for people.
 *
 * Owner: usage_batch, usage_minute.  Process: stoa-control, any thread.
 * Limits: CP_USAGE_ROWS_MAX rows of a batch, CP_USAGE_ITEMS_MAX of an answer.
 */

#ifndef CP_USAGE_H
#define CP_USAGE_H


#include "feed/cp_feed.h"


#define CP_USAGE_BUCKETS        26
#define CP_USAGE_BUCKETS_1      16      /* of gateways of version 0.1       */
#define CP_USAGE_FILES_MAX      64                 /* of a gateway           */
#define CP_USAGE_ITEMS_MAX      10000
#define CP_USAGE_MINUTE_MS      60000
#define CP_USAGE_HOUR_MS        3600000
#define CP_USAGE_DAY_MS         86400000
#define CP_USAGE_MINUTES_S      (14 * 86400)       /* then merged to hours   */
#define CP_USAGE_HOURS_S        (400 * 86400)      /* then removed           */

/* The columns that add up, in the order of every statement. */
#define CP_USAGE_COUNTED(f)                                                   \
    f(c2xx) ", " f(c3xx) ", " f(c4xx) ", " f(c5xx) ", " f(bytes_in) ", "      \
    f(bytes_out) ", " f(h0) ", " f(h1) ", " f(h2) ", " f(h3) ", " f(h4) ", "  \
    f(h5) ", " f(h6) ", " f(h7) ", " f(h8) ", " f(h9) ", " f(h10) ", "        \
    f(h11) ", " f(h12) ", " f(h13) ", " f(h14) ", " f(h15) ", " f(h16) ", "   \
    f(h17) ", " f(h18) ", " f(h19) ", " f(h20) ", " f(h21) ", " f(h22) ", "   \
    f(h23) ", " f(h24) ", " f(h25)

#define CP_USAGE_NAME(c)  #c
#define CP_USAGE_PLUS(c)  #c " = usage_minute." #c " + excluded." #c
#define CP_USAGE_KEY                                                          \
    "tenant, start_ms, application, subscription, api, operation,"            \
    " credential, refused"
#define CP_USAGE_COLUMNS                                                      \
    CP_USAGE_KEY ", consumer, " CP_USAGE_COUNTED(CP_USAGE_NAME)
#define CP_USAGE_ON_CONFLICT                                                  \
    " ON CONFLICT (" CP_USAGE_KEY ") DO UPDATE SET "                          \
    CP_USAGE_COUNTED(CP_USAGE_PLUS)


/* By what an answer is split; each a member of its items. */
typedef enum {
    CP_USAGE_BY_APPLICATION  = 0x01,
    CP_USAGE_BY_SUBSCRIPTION = 0x02,
    CP_USAGE_BY_API          = 0x04,
    CP_USAGE_BY_OPERATION    = 0x08,
    CP_USAGE_BY_REFUSED      = 0x10,
    CP_USAGE_BY_CREDENTIAL   = 0x20,
    CP_USAGE_BY_TENANT       = 0x40        /* publisher and consumer         */
} cp_usage_by_e;

/* What the tenant published, what its applications consumed. */
#define CP_USAGE_PUBLISHED  0x01
#define CP_USAGE_CONSUMED   0x02

typedef struct {
    const char  *tenant;           /* id; NULL: all, and both sides         */
    const char  *application;      /* id, NULL: all                         */
    const char  *api;              /* id, NULL: all                         */
    int64_t      from_ms;
    int64_t      to_ms;            /* not included                          */
    int64_t      step_ms;          /* 0: one sum                            */
    unsigned     by;               /* bits of cp_usage_by_e                 */
    unsigned     sides;            /* 0: both                               */
} cp_usage_ask_t;


/* The members of `by`; name NULL ends. */
typedef struct {
    const char  *name;
    unsigned     bit;
} cp_usage_name_t;

extern const cp_usage_name_t  cp_usage_bys[];


/* What a gateway sends.  *taken: it was not taken before; *refused: rows that
 * were left out, see cp_usage_known(). */
cp_rc_t cp_usage_batch(cp_op_t *op, const cp_json_t *in, bool *taken,
    unsigned *refused) CP_MUST_CHECK;

/* May the gateway say so (cp_usage_check.c)?  In all: no more than its time
 * allows; a number that can follow the file's last one. */
cp_rc_t cp_usage_possible(cp_op_t *op, const cp_json_t *in,
    cp_json_t *const *rows, unsigned n) CP_MUST_CHECK;
cp_rc_t cp_usage_file(cp_op_t *op, cp_tx_t *tx, const cp_json_t *in)
    CP_MUST_CHECK;
/* A row: tenant, application and api exist and are the group's.  What is
 * finer and not of them is taken out of the row. */
cp_rc_t cp_usage_known(cp_op_t *op, cp_tx_t *tx, cp_json_t *row,
    bool *known) CP_MUST_CHECK;

/*
 * An array of {start, publisher, consumer, application, ..., refused,
 * requests, c2xx, ..., bytes_in, bytes_out, p50_us, p95_us, p99_us}: names,
 * of the tenants those that tell applications and apis apart.  CP_DECLINED
 * when it would have more than CP_USAGE_ITEMS_MAX items.
 */
cp_rc_t cp_usage_sum(cp_tx_t *tx, cp_arena_t *a, const cp_usage_ask_t *ask,
    cp_json_t **items, cp_err_t *err) CP_MUST_CHECK;


/* Merges old minutes into hours and removes old hours, a portion at a time;
 * *more says whether there is anything left to do. */
cp_rc_t cp_usage_compact(cp_db_t *db, cp_arena_t *a, bool *more,
    cp_err_t *err) CP_MUST_CHECK;


#endif /* CP_USAGE_H */
