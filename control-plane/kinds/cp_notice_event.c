/*
 * What events of subscriptions and keys tell their consumers.
 */

#include <string.h>

#include "kinds/cp_notice.h"


static const struct {
    const char   *event;
    cp_notice_e   kind;
    const char   *done;
} cp_notice_events[] = {
    { "approve", CP_NOTICE_APPROVED, "approved" },
    { "reject", CP_NOTICE_REJECTED, "rejected" },
    { "suspend", CP_NOTICE_SUSPENDED, "suspended" },
    { "resume", CP_NOTICE_RESUMED, "in force again" },
    { "revoke", CP_NOTICE_REVOKED, "revoked" }
};

/* What people call a subscription. */
static const char  cp_notice_called[] =
    "SELECT a.name, t.name, COALESCE(p.name, v.name) FROM applications a"
    " JOIN tenants t ON t.id = $2 LEFT JOIN apis p ON p.id = $3"
    " LEFT JOIN servers v ON v.id = $3 WHERE a.id = $1";


cp_rc_t
cp_notice_subscription(cp_op_t *op, cp_tx_t *tx, const char *event,
    const cp_json_t *sub, const char *reason)
{
    cp_rc_t      rc;
    unsigned     i;
    cp_rows_t    rows;
    cp_notice_t  n = { .tenant = cp_json_str(sub, "tenant"),
                       .about = "subscription",
                       .id = cp_json_str(sub, "id") };

    for (i = 0; strcmp(cp_notice_events[i].event, event) != 0; i++) {
        if (i + 1 == sizeof(cp_notice_events) / sizeof(cp_notice_events[0])) {
            return CP_OK;
        }
    }

    rc = cp_tx_query(tx, op->arena, cp_notice_called,
                     cp_args(cp_text(cp_json_str(sub, "application")),
                             cp_text(cp_json_str(sub, "target_tenant")),
                             cp_text(cp_subscription_to(sub))), &rows,
                     &op->err);

    if (rc != CP_OK || rows.rows == 0) {
        return rc;
    }

    n.kind = cp_notice_events[i].kind;
    n.text = cp_arena_printf(op->arena, "The subscription of %s to %s/%s is"
                             " %s%s%s", cp_cell(&rows, 0, 0)->p,
                             cp_cell(&rows, 0, 1)->p, cp_cell(&rows, 0, 2)->p,
                             cp_notice_events[i].done, reason ? ": " : ".",
                             reason ? reason : "");

    return n.text ? cp_notice_add(op, tx, &n)
                  : cp_err_set(&op->err, "internal", "no memory");
}


cp_rc_t
cp_notice_rotated(cp_op_t *op, cp_tx_t *tx, const cp_json_t *old)
{
    cp_notice_t  n = { .kind = CP_NOTICE_ROTATED, .about = "credential",
                       .tenant = cp_json_str(old, "tenant"),
                       .id = cp_json_str(old, "id") };

    n.text = cp_arena_printf(op->arena, "The key %s... has a successor, and"
                             " ends at %s.", cp_json_str(old, "prefix"),
                             cp_time_format(op->arena,
                                            cp_json_num(old, "expires_at",
                                                        0)));

    return n.text ? cp_notice_add(op, tx, &n)
                  : cp_err_set(&op->err, "internal", "no memory");
}
