/*
 * The feed: one compacted log of the records that gateways need, its digest,
 * what gateways report about themselves, and the usage they count.
 *
 * Owner: the tables of migrations/0002_feed.sql, written only from here.
 * Process: stoa-control, any thread; a transaction belongs to one thread.
 * Lock order: the row of feed_head first, then anything else that two writers
 * could meet on; cp_feed_lock() takes it early where a transaction writes
 * more than one thing.
 * Limits: a record STOA_RECORD_MAX; CP_FEED_GROUPS_MAX groups of one record;
 * a usage batch CP_USAGE_ROWS_MAX rows; `rejected` CP_REJECTED_MAX rows.
 */

#ifndef CP_FEED_H
#define CP_FEED_H


#include "op/cp_op.h"


#define CP_FEED_EPOCH_LEN      16
#define CP_FEED_KEY_MAX        512
#define CP_FEED_GROUPS_MAX     256
#define CP_FEED_WAIT_MAX_S     60
#define CP_FEED_RETENTION_S    (7 * 86400)
#define CP_REJECTED_MAX        1000
#define CP_TARGETS_MAX         100
#define CP_USAGE_ROWS_MAX      20000
#define CP_GATEWAY_ONLINE_MS   15000
#define CP_GATEWAY_STALE_MS    120000
#define CP_GATEWAY_INTERVAL_MS 5000

typedef struct {
    int64_t   rev;
    int64_t   oldest;
    char      epoch[CP_FEED_EPOCH_LEN + 1];    /* "" before the first use   */
} cp_feed_head_t;

/* 16 bytes as two big-endian halves, the way the database keeps them. */
typedef struct {
    uint64_t  hi;
    uint64_t  lo;
} cp_feed_digest_t;


/* Takes the feed's lock for the rest of a write transaction; again is free. */
cp_rc_t cp_feed_lock(cp_tx_t *tx, cp_arena_t *a, cp_err_t *err) CP_MUST_CHECK;

cp_rc_t cp_feed_head(cp_tx_t *tx, cp_arena_t *a, cp_feed_head_t *head,
    cp_err_t *err) CP_MUST_CHECK;

/* A row of the feed. */
typedef struct {
    const char  *key;
    const char  *kind;
    const char  *body;             /* NULL: a tombstone                     */
    const char  *groups;           /* NULL: all, or ",id,id,"               */
    bool         secret;           /* the body is sealed at rest            */
} cp_feed_row_t;

/* Rewrites one with the next revision.  One whose body and groups did not
 * change keeps its revision. */
cp_rc_t cp_feed_put(cp_tx_t *tx, cp_arena_t *a, cp_feed_row_t row,
    cp_err_t *err) CP_MUST_CHECK;

/* Gives the database its epoch if it has none yet. */
cp_rc_t cp_feed_init(cp_db_t *db, cp_arena_t *a, cp_err_t *err) CP_MUST_CHECK;


/* What a gateway of this group must report at the head; live: its rows. */
cp_rc_t cp_feed_digest_of(cp_tx_t *tx, cp_arena_t *a, const char *group,
    cp_feed_digest_t *d, int64_t *live, cp_err_t *err) CP_MUST_CHECK;

/* 32 hex digits. */
char *cp_feed_digest_hex(cp_arena_t *a, const cp_feed_digest_t *d);

/* Removes tombstones older than retention_s. */
cp_rc_t cp_feed_compact(cp_db_t *db, cp_arena_t *a, int64_t retention_s,
    int64_t *removed, cp_err_t *err) CP_MUST_CHECK;


/*
 * Adds to a gateway's object (which has `id`) what is derived from its last
 * status: state online|stale|offline, last_seen, version, rev, digest, sync
 * in-sync|behind|drifted|never, sync_state, sync_error, rejected.
 */
cp_rc_t cp_gateway_decorate(cp_tx_t *tx, cp_arena_t *a, cp_json_t *obj,
    cp_err_t *err) CP_MUST_CHECK;

/*
 * "Stoa-Contract: 2" says that a gateway judges `requires`.  One of version
 * 0.1 ignores it, and would serve what has a policy without it: such records
 * are withheld from it, and told as refused by it.
 */
#define CP_FEED_CONTRACT_HEADER  "Stoa-Contract"

bool cp_feed_judged(const char *contract);             /* NULL: no header   */
bool cp_feed_requires(const char *kind, const char *body);

/* cp_gateway_targets.c: what a status says of targets, as it is stored; for
 * people, in the gateway's object. */
cp_rc_t cp_gateway_targets_take(cp_op_t *op, const cp_json_t *in,
    const char **text) CP_MUST_CHECK;
cp_rc_t cp_gateway_targets_show(cp_tx_t *tx, cp_arena_t *a, const char *text,
    size_t len, cp_json_t *obj, cp_err_t *err) CP_MUST_CHECK;

/* A report of a gateway (the actor).  *rev: the head; *news: it is to start
 * over. */
cp_rc_t cp_gateway_report(cp_op_t *op, const cp_json_t *in, bool judged,
    int64_t *rev, bool *news) CP_MUST_CHECK;

/*
 * Does it have to start over?  Its digest was not what it should have at the
 * head, though it refused nothing: it has rows of another past, such as that
 * of a database which was since put back.  True once per
 * CP_GATEWAY_DOUBT_MS and gateway, on the replica that it reported to.
 */
bool cp_gateway_doubted(const char *id);

/* "online", "stale" or "offline"; last_seen 0: never. */
const char *cp_gateway_state(int64_t last_seen, int64_t now);


/*
 * What gateways send is checked by tables.  Members that are not in the table
 * are left alone: a gateway may be newer than its control plane.
 */

typedef enum {
    CP_REPORT_INT,               /* 0 .. max                                */
    CP_REPORT_TEXT,              /* at most max bytes, no control characters */
    CP_REPORT_ID,                /* an id or ""                             */
    CP_REPORT_HEX,               /* max lower-case digits                   */
    CP_REPORT_CODE,              /* [a-z0-9_], at most max                  */
    CP_REPORT_ARRAY              /* at most max items                       */
} cp_report_type_e;

typedef struct {
    const char        *name;     /* NULL ends                               */
    cp_report_type_e   type;
    bool               required;
    int64_t            max;
} cp_report_field_t;

/* at: the object's place, "" or "rows[3].".  CP_DECLINED names the field. */
cp_rc_t cp_report_check(const cp_json_t *obj, const cp_report_field_t *fields,
    const char *at, cp_err_t *err) CP_MUST_CHECK;

/* The tables; OpenAPI is made from them too. */
extern const cp_report_field_t  cp_status_fields[];
extern const cp_report_field_t  cp_rejected_fields[];
extern const cp_report_field_t  cp_target_fields[];
extern const cp_report_field_t  cp_usage_fields[];
extern const cp_report_field_t  cp_usage_row_fields[];
extern const cp_report_field_t  cp_approval_ask_fields[];

/* A text member, "" when it is absent. */
const char *cp_report_text(const cp_json_t *obj, const char *name);


/* A job: old tombstones, old usage, what is left of gateways. */
cp_rc_t cp_feed_job_compact(cp_app_t *app);

/* Connected gateways that say which types of policies they know, and not this
 * one; names: of the first CP_GATEWAY_NAMED. */
#define CP_GATEWAY_NAMED  5
cp_rc_t cp_gateway_lacking(cp_tx_t *tx, cp_arena_t *a, const char *type,
    unsigned version, unsigned *n, const char **names, cp_err_t *err)
    CP_MUST_CHECK;
/* How the connected ones count what plans allow. */
cp_rc_t cp_gateway_limits(cp_tx_t *tx, cp_arena_t *a, const char **how,
    cp_err_t *err) CP_MUST_CHECK;


#endif /* CP_FEED_H */
