/*
 * Whose a row is, and what that lets an actor do to it.
 */

#include <string.h>

#include "auth/cp_auth.h"
#include "resource/cp_engine.h"


bool
cp_entry_visible(const cp_actor_t *actor, const cp_resource_t *res,
    const cp_json_t *row)
{
    const char  *other;

    if (res->everybody || cp_auth_sees(actor, cp_row_tenant(res, row))) {
        return true;
    }

    other = res->also ? cp_json_str(row, res->also) : NULL;

    return other && cp_auth_sees(actor, other);
}


cp_rc_t
cp_entry_may(cp_op_t *op, const cp_resource_t *res, const cp_json_t *row,
    const char *permission)
{
    bool         read;
    const char  *owner, *other;

    owner = cp_row_tenant(res, row);
    other = res->also ? cp_json_str(row, res->also) : NULL;
    read = strcmp(strrchr(permission, ':'), ":read") == 0;

    if (read && res->everybody) {
        return cp_auth_may_somewhere(op, permission);
    }

    return other && strcmp(owner, other) != 0
           && cp_auth_holds(&op->actor, permission, other)
           && (read || cp_auth_holds(&op->actor, res->decides, other))
           ? CP_OK : cp_auth_may(op, permission, owner);
}


const char *
cp_row_tenant(const cp_resource_t *res, const cp_json_t *row)
{
    return cp_json_str(row, res->owner ? "id" : "tenant");
}
