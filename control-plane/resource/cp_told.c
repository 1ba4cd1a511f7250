/*
 * What the audit log is told of a write.
 */

#include <string.h>

#include "auth/cp_auth.h"
#include "resource/cp_told.h"


/*
 * What two tenants share stands in the chains of both.  Each knows its own
 * people; of the other it learns the side.
 */
cp_rc_t
cp_told_append(const cp_write_t *w, cp_audit_event_t *ev,
    const cp_json_t *row)
{
    cp_rc_t      rc;
    cp_op_t     *op = w->op;
    const char  *owner, *other;

    owner = ev->tenant;
    other = w->res->also ? cp_json_str(row, w->res->also) : NULL;

    if (other == NULL || strcmp(owner, other) == 0) {
        return cp_audit_append(op, w->tx, ev);
    }

    ev->actor = cp_auth_sees(&op->actor, owner) ? NULL : w->res->sides[1];

    rc = cp_audit_append(op, w->tx, ev);
    if (rc != CP_OK) {
        return rc;
    }

    ev->tenant = other;
    ev->actor = cp_auth_sees(&op->actor, other) ? NULL : w->res->sides[0];

    return cp_audit_append(op, w->tx, ev);
}


/* Its name, or what stands for one. */
const char *
cp_told_name(cp_arena_t *a, const cp_resource_t *res,
    const cp_json_t *obj)
{
    size_t       n;
    const char  *p, *part, *name;

    name = cp_json_str(obj, "name");

    for (p = res->called; p && *p; p += n, p += strspn(p, " ")) {
        n = strcspn(p, " ");
        part = cp_json_str(obj, cp_arena_strndup(a, p, n));

        if (part) {
            name = cp_arena_printf(a, "%s%s%s", name ? name : "",
                                   name ? "/" : "", part);
        }
    }

    return name;
}
