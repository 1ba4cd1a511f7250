/*
 * Versions of policies.
 */

#include <string.h>

#include "kinds/cp_policy_version.h"


/* What a version is of; the rest of a policy never changes. */
static const char *const  cp_version_members[] = { "title", "state", "config",
    "attach", NULL };


cp_rc_t
cp_policy_version_save(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row,
    bool known)
{
    cp_rc_t      rc;
    size_t       len;
    int64_t      ver, keep;
    unsigned     i;
    cp_json_t   *body, *m;
    cp_arena_t  *a = op->arena;
    const char  *id, *text;

    id = cp_json_str(row, "id");
    ver = cp_json_num(row, "ver", 0);
    body = cp_json_object(a);

    for (i = 0; cp_version_members[i]; i++) {
        m = cp_json_get(row, cp_version_members[i]);

        if (m) {
            cp_json_set(a, body, cp_version_members[i], cp_json_copy(a, m));
        }
    }

    text = cp_json_text(a, body, &len);

    if (text == NULL) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    /* all of them together stay within bounds, two are always there */

    keep = (int64_t) CP_POLICY_VERSIONS * CP_POLICY_VERSION_SIZE
           / (int64_t) (len + 1);
    keep = keep > CP_POLICY_VERSIONS ? CP_POLICY_VERSIONS
           : keep < 2 ? 2 : keep;

    /* of what has just been removed there is nothing to keep */

    rc = cp_tx_query(tx, a, cp_arena_printf(a, "INSERT INTO policy_versions"
                     " (policy, ver, at, actor, body)"
                     " SELECT id, $2, $3, $4, $5 FROM %s WHERE id = $1"
                     " ON CONFLICT (policy, ver) DO NOTHING",
                     cp_json_get(row, "tenant") ? "policies"
                                                : "global_policies"),
                     cp_args(cp_text(id), cp_int(ver),
                             cp_int(known ? cp_time_ms()
                                    : cp_json_num(row, "updated_at", 0)),
                             cp_text(known && op->actor.name
                                     ? op->actor.name : ""),
                             cp_text(text)), NULL, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    return cp_tx_query(tx, a, "DELETE FROM policy_versions"
                       " WHERE policy = $1 AND ver <= $2",
                       cp_args(cp_text(id),
                               cp_int(ver - keep)), NULL, &op->err);
}


cp_rc_t
cp_policy_version_read(cp_tx_t *tx, cp_arena_t *a, const char *policy,
    int64_t ver, cp_rows_t *rows, cp_err_t *err)
{
    cp_rc_t  rc;

    rc = cp_tx_query(tx, a, "SELECT ver, at, actor, body"
                     " FROM policy_versions WHERE policy = $1"
                     " AND ($2 = 0 OR ver = $2) ORDER BY ver DESC",
                     cp_args(cp_text(policy), cp_int(ver)), rows, err);

    return rc == CP_OK && ver && rows->rows == 0
           ? cp_err_set(err, "not_found", "this version is not kept") : rc;
}


cp_rc_t
cp_policy_version_show(cp_names_t *names, const cp_resource_t *res,
    const cp_json_t *row, const cp_val_t *body, cp_json_t **obj)
{
    cp_rc_t      rc;
    unsigned     i;
    cp_json_t   *was, *all, *m;
    cp_arena_t  *a = names->arena;

    rc = cp_json_parse(a, body->p, body->len, &was, names->err);
    if (rc != CP_OK) {
        return cp_err_set(names->err, "internal", "a kept version is broken");
    }

    all = cp_json_copy(a, row);

    for (i = 0; cp_version_members[i]; i++) {
        m = cp_json_get(was, cp_version_members[i]);
        cp_json_set(a, all, cp_version_members[i],
                    m ? cp_json_copy(a, m) : cp_json_null(a));
    }

    rc = cp_row_show(names, res, all, &was);
    if (rc != CP_OK) {
        return rc;
    }

    *obj = cp_json_object(a);

    for (i = 0; cp_version_members[i]; i++) {
        m = cp_json_get(was, cp_version_members[i]);

        if (m) {
            cp_json_set(a, *obj, cp_version_members[i], cp_json_copy(a, m));
        }
    }

    return CP_OK;
}
