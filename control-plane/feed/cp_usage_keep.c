/*
 * The levels of usage, and how long each is kept.
 */

#include "feed/cp_usage.h"


/* Rows of so much time go in one transaction. */
#define CP_USAGE_PORTION  4


/* The consumer is whose application it is while there is one. */
#define CP_USAGE_ADD(table)                                                   \
    "INSERT INTO " table " AS k (start_ms, tenant, application,"              \
    " subscription, api, operation, credential, refused, model, consumer, "   \
    CP_USAGE_COUNTED(CP_USAGE_NAME) ")"                                       \
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, COALESCE((SELECT a.tenant"  \
    " FROM applications a WHERE a.id = $3), ''), $10, $11, $12, $13,"         \
    " $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27,"  \
    " $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41,"  \
    " $42, $43, $44)"                                                         \
    " ON CONFLICT (" CP_USAGE_KEY ") DO UPDATE SET "                          \
    CP_USAGE_COUNTED(CP_USAGE_PLUS) " RETURNING consumer"

const cp_usage_level_t  cp_usage_levels[CP_USAGE_LEVELS] = {
    { "usage_minute", CP_USAGE_MINUTE_MS, CP_USAGE_ADD("usage_minute") },
    { "usage_quarter", CP_USAGE_QUARTER_MS, CP_USAGE_ADD("usage_quarter") },
    { "usage_two_hours", CP_USAGE_TWO_HOURS_MS,
      CP_USAGE_ADD("usage_two_hours") },
    { "usage_day", CP_USAGE_DAY_MS, CP_USAGE_ADD("usage_day") }
};


int64_t
cp_usage_kept(const cp_conf_t *conf, unsigned level, int64_t now)
{
    int64_t  days[CP_USAGE_LEVELS];

    days[0] = conf->usage_minutes_kept_d;
    days[1] = conf->usage_quarters_kept_d;
    days[2] = conf->usage_quarters_kept_d;
    days[3] = conf->usage_days_kept_d;

    return now - now % CP_USAGE_DAY_MS - days[level] * CP_USAGE_DAY_MS;
}


/* Looked at before anything is locked: most of the time there is nothing. */
static cp_rc_t
cp_usage_oldest(cp_app_t *app, cp_arena_t *a, const cp_usage_level_t *level,
    int64_t *oldest, cp_err_t *err)
{
    cp_rc_t    rc;
    cp_tx_t   *tx;
    cp_rows_t  rows;

    *oldest = INT64_MAX;

    if (cp_tx_open(app->db, false, &tx, err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, a, cp_arena_printf(a, "SELECT MIN(start_ms) FROM %s",
                                            level->table),
                     NULL, 0, &rows, err);

    if (rc == CP_OK && rows.rows
        && cp_cell(&rows, 0, 0)->type == CP_VAL_INT)
    {
        *oldest = cp_cell(&rows, 0, 0)->i;
    }

    cp_tx_rollback(tx);

    return rc;
}


cp_rc_t
cp_usage_compact(cp_app_t *app, cp_arena_t *a, bool *more, cp_err_t *err)
{
    cp_rc_t                  rc;
    int64_t                  kept, oldest, end;
    cp_tx_t                 *tx;
    unsigned                 i;
    const cp_usage_level_t  *level;

    *more = false;

    for (i = 0; i < CP_USAGE_LEVELS; i++) {

        level = &cp_usage_levels[i];
        kept = cp_usage_kept(&app->conf, i, cp_time_ms());

        rc = cp_usage_oldest(app, a, level, &oldest, err);
        if (rc != CP_OK) {
            return rc;
        }

        if (oldest >= kept) {
            continue;
        }

        end = oldest + CP_USAGE_PORTION * level->ms;
        end = end < kept ? end : kept;
        *more = *more || end < kept;

        if (cp_tx_open(app->db, true, &tx, err) != CP_OK) {
            return CP_ERROR;
        }

        rc = cp_tx_query(tx, a, cp_arena_printf(a, "DELETE FROM %s"
                                                " WHERE start_ms < $1",
                                                level->table),
                         cp_args(cp_int(end)), NULL, err);

        if (rc == CP_OK && i == CP_USAGE_QUARTERS) {
            rc = cp_tx_query(tx, a, "DELETE FROM usage_view WHERE view"
                             " IN (0, 1, 2) AND start_ms < $1",
                             cp_args(cp_int(end)), NULL, err);
        }

        rc = cp_tx_finish(tx, rc, err);

        if (rc != CP_OK) {
            return rc;
        }
    }

    return CP_OK;
}
