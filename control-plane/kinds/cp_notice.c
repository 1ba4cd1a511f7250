/*
 * Notices.
 */

#include <string.h>

#include "client/cp_mail.h"
#include "kinds/cp_notice.h"


#define CP_NOTICE_SUBSCRIBERS  10000   /* tenants                            */


static cp_rc_t cp_notice_mail(cp_op_t *op, cp_tx_t *tx,
    const cp_notice_t *n);


const char *const  cp_notice_kinds[CP_NOTICES + 1] = {
    [CP_NOTICE_APPROVED] = "subscription_approved",
    [CP_NOTICE_REJECTED] = "subscription_rejected",
    [CP_NOTICE_SUSPENDED] = "subscription_suspended",
    [CP_NOTICE_RESUMED] = "subscription_resumed",
    [CP_NOTICE_REVOKED] = "subscription_revoked",
    [CP_NOTICE_SUB_EXPIRING] = "subscription_expiring",
    [CP_NOTICE_KEY_EXPIRING] = "credential_expiring",
    [CP_NOTICE_ROTATED] = "credential_rotated",
    [CP_NOTICE_LEAKED] = "credential_leaked",
    [CP_NOTICE_NEAR_LIMIT] = "near_limit",
    [CP_NOTICE_MOVED] = "subscription_moved",
    [CP_NOTICE_API_DEPRECATED] = "api_deprecated",
    [CP_NOTICE_API_ENDING] = "api_ending",
    [CP_NOTICE_API_RETIRED] = "api_retired",
    [CP_NOTICE_PLAN_DEPRECATED] = "plan_deprecated",
    [CP_NOTICE_HANDOVER_ASKED] = "handover_asked",
    [CP_NOTICE_HANDOVER_DECIDED] = "handover_decided"
};


cp_rc_t
cp_notice_add(cp_op_t *op, cp_tx_t *tx, const cp_notice_t *n)
{
    char       id[STOA_ID_LEN + 1];
    cp_rc_t    rc;
    cp_rows_t  rows;

    cp_id_make(id);

    rc = cp_tx_query(tx, op->arena, "INSERT INTO notices (id, tenant, kind,"
                     " resource_kind, resource, text, once, created_at)"
                     " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
                     " ON CONFLICT (once) DO NOTHING RETURNING id",
                     cp_args(cp_text(id), cp_text(n->tenant),
                             cp_text(cp_notice_kinds[n->kind]),
                             cp_text(n->about), cp_text(n->id),
                             cp_text(n->text),
                             cp_text(n->once ? n->once : id),
                             cp_int(cp_time_ms())), &rows, &op->err);

    return rc == CP_OK && rows.rows && cp_mail_on(op->app)
           ? cp_notice_mail(op, tx, n) : rc;
}


/* A mail that finds no place is no reason not to do what it tells of: the
 * notice is there. */
static cp_rc_t
cp_notice_mail(cp_op_t *op, cp_tx_t *tx, const cp_notice_t *n)
{
    cp_rc_t      rc;
    cp_err_t     err = op->err;
    cp_rows_t    rows;
    cp_mail_t    mail;
    const char  *kind;

    kind = cp_notice_kinds[n->kind];

    rc = cp_tx_query(tx, op->arena, "SELECT s.mail, t.name"
                     " FROM notice_settings s"
                     " JOIN tenants t ON t.id = s.tenant"
                     " WHERE s.tenant = $1 AND s.mail IS NOT NULL"
                     " AND (s.free = 1 OR "
                     CP_NOTICE_MEMBER("s.mail", "s.tenant") ")"
                     " AND (s.kinds IS NULL OR s.kinds LIKE $2)",
                     cp_args(cp_text(n->tenant),
                             cp_text(cp_arena_printf(op->arena, "%%\"%s\"%%",
                                                     kind))),
                     &rows, &op->err);

    if (rc != CP_OK || rows.rows == 0) {
        return rc;
    }

    mail.tenant = n->tenant;
    mail.to = cp_cell(&rows, 0, 0)->p;
    mail.subject = cp_arena_printf(op->arena, "STOA, %s: %.24s %s",
                                   cp_cell(&rows, 0, 1)->p, n->about,
                                   strchr(kind, '_') + 1);
    mail.text = cp_arena_printf(op->arena, "%s\n\n%s %s of the tenant %s.\n",
                                n->text, n->about, n->id,
                                cp_cell(&rows, 0, 1)->p);

    if (mail.subject == NULL || mail.text == NULL) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    rc = cp_mail_send(op, tx, &mail);

    if (rc == CP_DECLINED) {
        op->err = err;
        rc = CP_OK;
    }

    return rc;
}


cp_rc_t
cp_notice_subscribers(cp_op_t *op, cp_tx_t *tx, cp_notice_e kind,
    const cp_json_t *row)
{
    int64_t       sunset;
    cp_rc_t       rc;
    unsigned      i;
    cp_rows_t     rows;
    const char   *what, *end;
    cp_notice_t   n = { .kind = kind, .id = cp_json_str(row, "id") };

    what = kind == CP_NOTICE_PLAN_DEPRECATED ? "plan" : "api";
    sunset = cp_json_num(row, "sunset_at", 0);
    n.about = what;

    end = kind == CP_NOTICE_API_RETIRED ? "retired: it is served no more."
          : kind == CP_NOTICE_PLAN_DEPRECATED
          ? "deprecated: it takes no new subscriptions."
          : sunset ? cp_arena_printf(op->arena, "deprecated, and ends at %s.",
                                     cp_time_format(op->arena, sunset))
                   : "deprecated.";

    rc = cp_tx_query(tx, op->arena, cp_arena_printf(op->arena,
                     "SELECT DISTINCT s.tenant, t.name FROM subscriptions s"
                     " JOIN tenants t ON t.id = s.target_tenant"
                     " WHERE s.%s = $1 AND s.state IN ('pending', 'active',"
                     " 'suspended') ORDER BY s.tenant LIMIT %d", what,
                     CP_NOTICE_SUBSCRIBERS), cp_args(cp_text(n.id)), &rows,
                     &op->err);

    for (i = 0; rc == CP_OK && i < rows.rows; i++) {
        n.tenant = cp_cell(&rows, i, 0)->p;
        n.text = cp_arena_printf(op->arena, "The %s %s/%s is %s", what,
                                 cp_cell(&rows, i, 1)->p,
                                 cp_json_str(row, "name"), end);
        rc = cp_notice_add(op, tx, &n);
    }

    return rc;
}
