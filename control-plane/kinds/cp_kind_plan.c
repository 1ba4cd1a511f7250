/*
 * Plans: what a subscription allows.
 */

#include <string.h>

#include "auth/cp_auth.h"
#include "base/cp_zone.h"
#include "kinds/cp_kind.h"
#include "kinds/cp_notice.h"


#define CP_REFILL_MAX_MS   (31LL * 86400000)


static cp_rc_t cp_plan_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after);
static cp_rc_t cp_plan_event(const cp_write_t *w, const char *event,
    const cp_json_t *args, const cp_json_t *before, cp_json_t *after);


#define OWN_approval                                                          \
    F_ENUM("approval", FI, "\"auto\"", approvals, "of new subscriptions"),   \
    F_ARRAY("auto_roles", 0, 16, CP_F_NAME,                                   \
      "built-in roles in the consumer's tenant whose subscriptions need no"   \
      " approval")

static const char *const  approvals[] = { "auto", "manual", NULL };

static const cp_body_t  cp_plan_body[] = {
    BODY_ROWS(STOA_PLAN_FIELDS, "") { NULL }
};

static const cp_record_t  plan_record = {
    "plan", cp_plan_body, STOA_SCOPE_PLAN, NULL
};

static const cp_field_t  plan_fields[] = {
    ROWS(STOA_PLAN_FIELDS)
    BASE_TIMES,
    F_END
};

static const cp_transition_t  plan_transitions[] = {
    { "deprecate", { "active" }, "deprecated", "plan:write", NULL },
    { "archive", { "deprecated" }, "archived", "plan:write", NULL },
    T_END
};

static const cp_dependent_t  plan_dependents[] = {
    { "policy", "attach", CP_DEP_REFUSE, true },
    { "subscription", "plan", CP_DEP_LIVE, false },
    { "api", "open_plan", CP_DEP_REFUSE, false },
    { "server", "open_plan", CP_DEP_REFUSE, false },
    { NULL, NULL, 0, false }
};

const cp_resource_t  cp_res_plan = {
    .kind = "plan", .doc_kind = "Plan", .plural = "plans", .table = "plans",
    .parent = "tenant", .fields = plan_fields,
    .transitions = plan_transitions, .initial = "active",
    .check = cp_plan_check, .event = cp_plan_event,
    .feed = cp_feed_record, .record = &plan_record,
    .dependents = plan_dependents
};


/* The gateway counts in 64-bit nanoseconds: nothing may overflow there. */
static cp_rc_t
cp_plan_check(const cp_write_t *w, const cp_json_t *before, cp_json_t *after)
{
    int64_t           rate, per, burst;
    cp_perms_t        may;
    const char       *zone;
    const cp_json_t  *m;

    (void) before;
    m = cp_json_get(after, "auto_roles");

    /* a consumer names his own roles as he likes */

    for (m = m ? m->first : NULL; m; m = m->next) {
        if (!cp_role_builtin(m->s, &may)) {
            return cp_fault_at(w->op, after, "auto_roles", "\"%.64s\" is no"
                               " built-in role", m->s);
        }
    }

    zone = cp_json_str(after, "time_zone");

    if (zone && *zone && cp_zone_open(w->op->arena, zone) == NULL) {
        return cp_fault_at(w->op, after, "time_zone", "there is no zone"
                           " \"%.64s\"", zone);
    }

    rate = cp_json_num(after, "rate", 0);
    per = cp_json_num(after, "per_ms", 1000);
    burst = cp_json_num(after, "burst", 0);

    if (rate == 0) {
        return burst ? cp_fault_at(w->op, after, "burst", "needs a rate")
                     : CP_OK;
    }

    if (rate > per * 1000000) {
        return cp_fault_at(w->op, after, "rate",
                           "is more than one request per nanosecond");
    }

    if (burst > 1 && per > CP_REFILL_MAX_MS / (burst - 1) * rate) {
        return cp_fault_at(w->op, after, "burst",
                           "takes more than 31 days to come back");
    }

    return CP_OK;
}


/* An archived plan is not served: nothing may depend on it. */
static cp_rc_t
cp_plan_event(const cp_write_t *w, const char *event, const cp_json_t *args,
    const cp_json_t *before, cp_json_t *after)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    (void) args;

    if (strcmp(event, "archive") != 0) {
        return cp_notice_subscribers(w->op, w->tx, CP_NOTICE_PLAN_DEPRECATED,
                                     after);
    }

    rc = cp_tx_query(w->tx, w->op->arena, "SELECT id FROM subscriptions"
                     " WHERE plan = $1"
                     " AND state IN ('pending', 'active', 'suspended')"
                     " LIMIT 1", cp_args(cp_text(cp_json_str(before, "id"))),
                     &rows, &w->op->err);

    return rc == CP_OK && rows.rows
           ? cp_err_set(&w->op->err, "in_use", "subscription %s has this plan",
                        cp_cell(&rows, 0, 0)->p)
           : rc;
}
