/*
 * Usage: counts taken from gateways and summed up for people.
 *
 * A batch is added, in one transaction, to four levels: minutes, quarters of
 * an hour, two hours, days (UTC), each of which holds all of it for as long as
 * it is kept.  So what is asked for is put together from the coarsest rows
 * that fit, and comes out the same from any.  Days of other zones are made of
 * two hours, with quarters around their midnights: a fifth of the rows that
 * quarters alone would be.  Quarters are there a second time as views, which
 * tell less apart, and whose number does not grow with what is called.
 *
 * Owner: usage_batch, usage_minute, usage_quarter, usage_two_hours, usage_day,
 * usage_view.
 * Process: stoa-control, any thread.
 * Limits: CP_USAGE_ROWS_MAX rows of a batch, CP_USAGE_ITEMS_MAX of an answer.
 */

#ifndef CP_USAGE_H
#define CP_USAGE_H


#include "base/cp_zone.h"
#include "feed/cp_feed.h"


#define CP_USAGE_BUCKETS        26
#define CP_USAGE_BUCKETS_1      16      /* of gateways of version 0.1       */
#define CP_USAGE_FILES_MAX      64                 /* of a gateway           */
#define CP_USAGE_ITEMS_MAX      10000
#define CP_USAGE_MINUTE_MS      60000
#define CP_USAGE_QUARTER_MS     900000
#define CP_USAGE_HOUR_MS        3600000
#define CP_USAGE_TWO_HOURS_MS   7200000
#define CP_USAGE_DAY_MS         86400000
#define CP_USAGE_LEVELS         4
#define CP_USAGE_QUARTERS       1      /* the level that has views           */
#define CP_USAGE_TWO_HOURS      2
#define CP_USAGE_VIEWS          3
#define CP_USAGE_PAGE           20000
#define CP_USAGE_SPLITS         9      /* columns that an answer is split by */
#define CP_USAGE_KEY_MAX        55     /* bytes of one: a model is longest   */
#define CP_USAGE_COUNTS         9      /* c2xx .. tokens_cached              */
#define CP_USAGE_NUMBERS        (CP_USAGE_COUNTS + CP_USAGE_BUCKETS)

/* The columns that add up, in the order of every statement. */
#define CP_USAGE_COUNTED(f)                                                   \
    f(c2xx) ", " f(c3xx) ", " f(c4xx) ", " f(c5xx) ", " f(bytes_in) ", "      \
    f(bytes_out) ", " f(tokens_in) ", " f(tokens_out) ", " f(tokens_cached)   \
    ", " f(h0) ", " f(h1) ", " f(h2) ", " f(h3) ", " f(h4) ", "               \
    f(h5) ", " f(h6) ", " f(h7) ", " f(h8) ", " f(h9) ", " f(h10) ", "        \
    f(h11) ", " f(h12) ", " f(h13) ", " f(h14) ", " f(h15) ", " f(h16) ", "   \
    f(h17) ", " f(h18) ", " f(h19) ", " f(h20) ", " f(h21) ", " f(h22) ", "   \
    f(h23) ", " f(h24) ", " f(h25)

#define CP_USAGE_NAME(c)  #c
#define CP_USAGE_PLUS(c)  #c " = k." #c " + excluded." #c
#define CP_USAGE_KEY                                                          \
    "tenant, start_ms, application, subscription, api, operation,"            \
    " credential, refused, model"

/* Fine to coarse. */
typedef struct {
    const char  *table;
    int64_t      ms;
    const char  *add;              /* adds a row                             */
} cp_usage_level_t;

extern const cp_usage_level_t  cp_usage_levels[CP_USAGE_LEVELS];


/* By what an answer is split; each a member of its items. */
typedef enum {
    CP_USAGE_BY_APPLICATION  = 0x01,
    CP_USAGE_BY_SUBSCRIPTION = 0x02,
    CP_USAGE_BY_API          = 0x04,
    CP_USAGE_BY_OPERATION    = 0x08,
    CP_USAGE_BY_REFUSED      = 0x10,
    CP_USAGE_BY_CREDENTIAL   = 0x20,
    CP_USAGE_BY_TENANT       = 0x40,       /* publisher and consumer         */
    CP_USAGE_BY_STATUS       = 0x80,       /* 2xx to 5xx                     */
    CP_USAGE_BY_TOOL         = 0x100,      /* operation, of calls of tools
                                              alone                          */
    CP_USAGE_BY_MODEL        = 0x200       /* of language                    */
} cp_usage_by_e;

/* What the tenant published, what its applications consumed. */
#define CP_USAGE_PUBLISHED  0x01
#define CP_USAGE_CONSUMED   0x02

/* How far somebody is who takes CP_USAGE_PAGE rows at a time, by ids: the last
 * row that he had.  What comes in meanwhile moves nothing. */
typedef struct {
    bool     more;                 /* there are rows behind it               */
    int64_t  start;
    char     key[CP_USAGE_SPLITS][CP_USAGE_KEY_MAX + 1];
} cp_usage_place_t;

typedef struct {
    const char       *tenant;      /* id; NULL: all, and both sides         */
    const char       *published;   /* without one, SQL: of which several;   */
    const char       *consumed;    /* NULL: all                             */
    const char       *application; /* id, NULL: all; so the next ones       */
    const char       *subscription;
    const char       *api;
    const char       *operation;   /* or tool                               */
    const char       *credential;
    const char       *refused;     /* a code                                */
    const char       *model;
    int               status;      /* 2 to 5; 0: all                        */
    int64_t           from_ms;
    int64_t           to_ms;       /* not included                          */
    int64_t           step_ms;     /* 0: one sum; minute, hour or day       */
    const stoa_zone_t  *zone;      /* of days and hours; NULL: UTC          */
    unsigned          by;          /* bits of cp_usage_by_e                 */
    unsigned          sides;       /* 0: both                               */
    cp_usage_place_t *place;       /* NULL: all, by name                    */
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

/* cp_usage_view.c */

/* What adds up of a row, in the order of CP_USAGE_COUNTED. */
void cp_usage_numbers(const cp_json_t *row, int64_t *numbers);
/* Adds those rows that have a consumer to the views. */
cp_rc_t cp_usage_view_add(cp_op_t *op, cp_tx_t *tx, cp_json_t *const *rows,
    const char *const *consumer, unsigned n, int64_t start_ms) CP_MUST_CHECK;
/* The view that tells these (bits of cp_usage_by_e) apart; -1: none. */
int cp_usage_view(unsigned by);

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

/* Since when a level is kept: a day's beginning. */
int64_t cp_usage_kept(const cp_conf_t *conf, unsigned level, int64_t now);

/* Moves `from` to what is kept for the step, and to what its rows can tell. */
void cp_usage_clip(const cp_conf_t *conf, cp_usage_ask_t *ask);

/*
 * An array of {start, publisher, consumer, application, ..., refused,
 * requests, c2xx, ..., tokens_cached, p50_us, p95_us, p99_us}: names,
 * of the tenants those that tell applications and apis apart.  By status there
 * are neither bytes nor times.  CP_DECLINED when it would have more than
 * CP_USAGE_ITEMS_MAX items.
 */
cp_rc_t cp_usage_sum(cp_tx_t *tx, cp_arena_t *a, const cp_usage_ask_t *ask,
    cp_json_t **items, cp_err_t *err) CP_MUST_CHECK;


/* The members that an item has, with a space between. */
const char *cp_usage_columns(cp_arena_t *a, const cp_usage_ask_t *ask);


/* Removes what is kept no longer, a portion at a time; *more says whether
 * there is anything left to do. */
cp_rc_t cp_usage_compact(cp_app_t *app, cp_arena_t *a, bool *more,
    cp_err_t *err) CP_MUST_CHECK;


#endif /* CP_USAGE_H */
