/*
 * What people decide, and what the control plane tells them.
 */

#include <string.h>

#include "stoactl.h"


#define CTL_NOTICES_READ  500          /* of one request                     */


ctl_exit_e
ctl_run_inbox(ctl_t *c)
{
    cp_json_t   *v;
    ctl_exit_e   rc;
    const char  *path;

    path = "/v1/inbox";
    ctl_query(c, &path, "kind", ctl_opt(c, "kind"));

    if (ctl_opt(c, "all-tenants") == NULL) {
        ctl_query(c, &path, "tenant", c->tenant);
    }

    rc = path ? ctl_list(c, path, CTL_ITEMS_MAX, &v) : CTL_FAILED;

    return rc == CTL_DONE
           ? ctl_print(c, v, "kind id tenant since resource.tenant"
                       " resource.application resource.api resource.server"
                       " resource.plan resource.tool resource.name")
           : rc;
}


/* FIELD=VALUE,... as a query. */

static ctl_exit_e
ctl_bulk_path(ctl_t *c, const char **path)
{
    size_t             n, name;
    const char        *p;
    const ctl_kind_t  *kind;

    kind = ctl_kind(c->arg[0]);

    if (kind == NULL) {
        return ctl_error("unknown kind \"%s\"", c->arg[0]);
    }

    *path = cp_arena_printf(c->arena, "/v1/%s/bulk", kind->plural);
    p = ctl_opt(c, "filter");

    if ((p == NULL) != (ctl_opt(c, "expect") == NULL)
        || (p == NULL) == (c->narg < 3))
    {
        return ctl_error("which? their ids, or --filter with --expect");
    }

    for ( /* void */ ; p != NULL && *p != '\0'; p += n + (p[n] == ',')) {
        n = strcspn(p, ",");
        name = strcspn(p, "=");

        if (name == 0 || name >= n) {
            return ctl_error("--filter is FIELD=VALUE,...");
        }

        *path = cp_arena_printf(c->arena, "%s%c%s=%s", *path,
                                strchr(*path, '?') ? '&' : '?',
                                ctl_escape(c, cp_arena_strndup(c->arena, p,
                                                               name)),
                                ctl_escape(c, cp_arena_strndup(c->arena,
                                                   p + name + 1,
                                                   n - name - 1)));
    }

    return CTL_DONE;
}


ctl_exit_e
ctl_run_bulk(ctl_t *c)
{
    int64_t        n;
    unsigned       i;
    cp_json_t     *body, *ids;
    ctl_exit_e     rc;
    const char    *path, *reason;
    ctl_answer_t   answer;

    path = NULL;
    rc = ctl_bulk_path(c, &path);

    if (rc == CTL_DONE) {
        rc = ctl_opt_number(c, "expect", 0, &n);
    }

    if (rc != CTL_DONE) {
        return rc;
    }

    body = cp_json_object(c->arena);
    ids = cp_json_array(c->arena);
    reason = ctl_opt(c, "reason");
    cp_json_put(c->arena, body, "event", c->arg[1]);

    if (reason != NULL) {
        cp_json_put(c->arena, body, "reason", reason);
    }

    for (i = 2; i < c->narg; i++) {
        cp_json_push(ids, cp_json_string(c->arena, c->arg[i]));
    }

    if (c->narg > 2) {
        cp_json_set(c->arena, body, "ids", ids);

    } else {
        cp_json_put_int(c->arena, body, "expected", n);

        if (ctl_opt(c, "upto") != NULL) {
            cp_json_put(c->arena, body, "upto", ctl_opt(c, "upto"));
        }
    }

    rc = ctl_write_post(c, path, body, &answer);

    if (rc == CTL_DONE) {
        rc = ctl_print(c, cp_json_get(answer.json, "items"),
                       "id result state code detail");
    }

    if (rc == CTL_DONE && cp_json_num(answer.json, "failed", 0) != 0) {
        rc = ctl_error("%d failed",
                       (int) cp_json_num(answer.json, "failed", 0));
    }

    return rc == CTL_DONE ? ctl_written(c, &answer) : rc;
}


ctl_exit_e
ctl_run_offers(ctl_t *c)
{
    cp_json_t   *v;
    ctl_exit_e   rc;
    const char  *tenant;

    rc = ctl_tenant(c, &tenant);

    if (rc == CTL_DONE) {
        rc = ctl_list(c, cp_arena_printf(c->arena, "/v1/tenants/%s/offers",
                                         ctl_escape(c, tenant)),
                      CTL_ITEMS_MAX, &v);
    }

    return rc == CTL_DONE
           ? ctl_print(c, v, "publisher plan rate per_ms quota_day"
                       " quota_month approval apis")
           : rc;
}


/* A member of a body, posted to a subscription. */

static ctl_exit_e
ctl_sub_post(ctl_t *c, const char *what, const char *member,
    const char **path, cp_json_t **body)
{
    ctl_exit_e   rc;
    const char  *id;

    rc = ctl_subscription_id(c, c->arg[0], &id);

    if (rc == CTL_DONE) {
        rc = ctl_path(c, ctl_kind("subscription"), NULL, id, path);
    }

    if (rc == CTL_DONE) {
        *path = cp_arena_printf(c->arena, "%s/%s", *path, what);
        *body = cp_json_object(c->arena);
        cp_json_put(c->arena, *body, member, c->arg[1]);
    }

    return rc;
}


ctl_exit_e
ctl_run_preview(ctl_t *c)
{
    cp_json_t   *body, *v;
    ctl_exit_e   rc;
    const char  *path;

    rc = ctl_sub_post(c, "plan-preview", "plan", &path, &body);

    if (rc == CTL_DONE) {
        rc = ctl_post(c, path, body, &v);
    }

    return rc == CTL_DONE
           ? ctl_print(c, v, "possible detail from.name to.name changes"
                       " used.day used.month")
           : rc;
}


ctl_exit_e
ctl_run_transfer(ctl_t *c)
{
    cp_json_t     *body;
    ctl_exit_e     rc;
    const char    *path;
    ctl_answer_t   answer;

    rc = ctl_sub_post(c, "transfer", "application", &path, &body);

    if (rc == CTL_DONE) {
        rc = ctl_write_post(c, path, body, &answer);
    }

    if (rc == CTL_DONE) {
        rc = ctl_print(c, answer.json, ctl_kind("subscription")->columns);
    }

    return rc == CTL_DONE ? ctl_written(c, &answer) : rc;
}


ctl_exit_e
ctl_run_notice_list(ctl_t *c)
{
    cp_json_t   *v;
    ctl_exit_e   rc;
    const char  *path;

    path = "/v1/notices";
    ctl_query(c, &path, "unread", ctl_opt(c, "unread") ? "1" : NULL);
    ctl_query(c, &path, "tenant", c->tenant);

    rc = path ? ctl_list(c, path, CTL_ITEMS_MAX, &v) : CTL_FAILED;

    return rc == CTL_DONE ? ctl_print(c, v, "at tenant kind text read id")
                          : rc;
}


/* Those that are named, or the youngest and all that are older. */

ctl_exit_e
ctl_run_notice_read(ctl_t *c)
{
    unsigned     i;
    cp_json_t   *body, *v, *ids;
    ctl_exit_e   rc;

    body = cp_json_object(c->arena);
    ids = cp_json_array(c->arena);

    for (i = 0; i < c->narg && i < CTL_NOTICES_READ; i++) {
        cp_json_push(ids, cp_json_string(c->arena, c->arg[i]));
    }

    if (ctl_opt(c, "all") != NULL) {
        rc = ctl_list(c, "/v1/notices", 1, &v);

        if (rc != CTL_DONE || v->first == NULL) {
            return rc;
        }

        cp_json_put(c->arena, body, "upto", cp_json_str(v->first, "id"));

    } else if (c->narg == 0) {
        return ctl_error("which? notices by their ids, or --all");
    }

    cp_json_set(c->arena, body, "ids", ids);

    return ctl_post(c, "/v1/notices/read", body, &v);
}


ctl_exit_e
ctl_run_mail_list(ctl_t *c)
{
    cp_json_t   *v;
    ctl_exit_e   rc;
    const char  *path;

    path = "/v1/mails";
    ctl_query(c, &path, "state", ctl_opt(c, "state"));

    rc = path ? ctl_list(c, path, CTL_ITEMS_MAX, &v) : CTL_FAILED;

    return rc == CTL_DONE
           ? ctl_print(c, v, "id to state tries created_at error") : rc;
}


ctl_exit_e
ctl_run_mail_test(ctl_t *c)
{
    cp_json_t   *body, *v;
    ctl_exit_e   rc;

    body = cp_json_object(c->arena);
    cp_json_put(c->arena, body, "to", c->arg[0]);

    rc = ctl_post(c, "/v1/mails/test", body, &v);

    return rc == CTL_DONE ? ctl_print(c, v, "state") : rc;
}
