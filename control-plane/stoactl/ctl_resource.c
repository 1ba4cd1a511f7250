/*
 * get, delete, event, discover, wait: one resource or a list of them.
 */

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stoactl.h"


#define CTL_POLL_MS  200


static const char *
ctl_parent(ctl_t *c, const ctl_kind_t *kind)
{
    return strstr(kind->path, "{api}") != NULL ? ctl_opt(c, "api")
                                               : ctl_opt(c, "application");
}


/* The path of one, by whatever people call it. */

static ctl_exit_e
ctl_one(ctl_t *c, const ctl_kind_t *kind, const char *name, const char **path)
{
    ctl_exit_e  rc;

    rc = (strcmp(kind->kind, "subscription") == 0)
         ? ctl_subscription_id(c, name, &name) : CTL_DONE;

    return (rc == CTL_DONE) ? ctl_path(c, kind, ctl_parent(c, kind), name,
                                       path) : rc;
}


/* Those of all tenants: the path without one, a column more. */

static ctl_exit_e
ctl_everybodys(ctl_t *c, const ctl_kind_t *kind, const char **path,
    const char **columns)
{
    unsigned  i;

    /* of what there is a global one too, the plain path is that one's */

    static const struct {
        const char  *kind;
        const char  *path;
    } kinds[] = {
        { "api", "apis" }, { "server", "servers" }, { "plan", "plans" },
        { "application", "applications" },
        { "subscription", "subscriptions" },
        { "credential", "credentials" }, { "approval", "approvals" },
        { "policy", "tenant-policies" },
        { "secret", "tenant-secrets" }, { NULL, NULL }
    };

    for (i = 0; kinds[i].kind != NULL; i++) {
        if (strcmp(kinds[i].kind, kind->kind) == 0) {
            break;
        }
    }

    if (kinds[i].kind == NULL || c->narg > 1) {
        return ctl_error("--all-tenants is for lists of apis, servers, plans, "
                         "applications, subscriptions, credentials, "
                         "approvals, policies and secrets");
    }

    *path = cp_arena_printf(c->arena, "/v1/%s", kinds[i].path);
    *columns = (strcmp(kind->kind, "subscription") == 0) ? kind->columns
               : cp_arena_printf(c->arena, "tenant %s%s",
                                 strcmp(kind->kind, "credential") == 0
                                 ? "application " : "", kind->columns);

    return (*path != NULL) ? CTL_DONE : CTL_FAILED;
}


ctl_exit_e
ctl_run_get(ctl_t *c)
{
    cp_json_t         *v;
    ctl_exit_e         rc;
    const char        *path, *filter, *eq, *columns;
    const ctl_kind_t  *kind;

    kind = ctl_kind(c->arg[0]);

    if (kind == NULL) {
        return CTL_FAILED;
    }

    columns = kind->columns;

    rc = ctl_opt(c, "all-tenants") != NULL
         ? ctl_everybodys(c, kind, &path, &columns)
         : c->narg > 1 ? ctl_one(c, kind, c->arg[1], &path)
         : ctl_path(c, kind, ctl_parent(c, kind), NULL, &path);

    if (rc != CTL_DONE) {
        return rc;
    }

    filter = ctl_opt(c, "filter");

    if (filter != NULL) {
        eq = strchr(filter, '=');

        if (eq == NULL || eq == filter || c->narg > 1) {
            return ctl_error("--filter is FIELD=VALUE, for a list");
        }

        path = cp_arena_printf(c->arena, "%s?%s=%s", path,
                               ctl_escape(c, cp_arena_strndup(c->arena, filter,
                                                  (size_t) (eq - filter))),
                               ctl_escape(c, eq + 1));
    }

    rc = (c->narg > 1) ? ctl_get(c, path, &v)
                       : ctl_list(c, path, CTL_ITEMS_MAX, &v);

    return (rc == CTL_DONE) ? ctl_print(c, v, columns) : rc;
}


/* For completion: no more than a page. */

ctl_exit_e
ctl_run_names(ctl_t *c)
{
    cp_json_t         *v, *row;
    ctl_exit_e         rc;
    const char        *path;
    const ctl_kind_t  *kind;

    kind = ctl_kind(c->arg[0]);

    if (kind == NULL) {
        return CTL_FAILED;
    }

    rc = ctl_path(c, kind, ctl_parent(c, kind), NULL, &path);

    if (rc == CTL_DONE) {
        rc = ctl_list(c, path, CTL_PAGE, &v);
    }

    for (row = (rc == CTL_DONE) ? v->first : NULL;
         row != NULL;
         row = row->next)
    {
        puts(ctl_clean(c, ctl_cell_text(c, row, kind->by_id ? "id"
                                                            : "name")));
    }

    return rc;
}


static ctl_exit_e
ctl_delete_one(ctl_t *c, const ctl_kind_t *kind, const char *name)
{
    ctl_exit_e    rc;
    ctl_call_t    call = { .method = "DELETE" };
    ctl_answer_t  answer;

    rc = ctl_one(c, kind, name, &call.path);

    if (rc == CTL_DONE) {
        if (ctl_opt(c, "force") != NULL) {
            call.path = cp_arena_printf(c->arena, "%s?force=1", call.path);
        }

        rc = ctl_write(c, &call, &answer);
    }

    if (rc != CTL_DONE) {
        return rc;
    }

    printf("%s %s deleted\n", kind->kind, name);

    return ctl_written(c, &answer);
}


ctl_exit_e
ctl_run_delete(ctl_t *c)
{
    unsigned           i;
    ctl_exit_e         rc;
    const ctl_kind_t  *kind;

    kind = ctl_kind(c->arg[0]);

    if (kind == NULL) {
        return CTL_FAILED;
    }

    for (i = 1, rc = CTL_DONE; i < c->narg && rc == CTL_DONE; i++) {
        rc = ctl_delete_one(c, kind, c->arg[i]);
    }

    return rc;
}


/* To who was refused: what events there are, if this is none of them. */

static void
ctl_event_hint(ctl_t *c, const ctl_kind_t *kind, const char *event)
{
    size_t            len, n;
    cp_json_t        *api;
    stoa_buf_t        b;
    const char       *summary, *end;
    const cp_json_t  *path, *post;

    if (ctl_get(c, "/v1/openapi.json", &api) != CTL_DONE) {
        return;
    }

    stoa_buf_init(&b, 4096);
    path = cp_json_get(api, "paths");
    len = strlen(kind->path);

    for (path = path->first; path != NULL; path = path->next) {
        post = cp_json_get(path, "post");
        summary = (post != NULL) ? cp_json_str(post, "summary") : NULL;

        if (summary == NULL || strncmp(summary, "Event ", 6) != 0
            || strncmp(path->key, kind->path, len) != 0
            || strncmp(path->key + len, "/{", 2) != 0
            || strchr(strchr(path->key + len, '}') + 2, '/') != NULL)
        {
            continue;
        }

        end = strrchr(path->key, '/') + 1;
        n = strlen(end);

        if (strcmp(end, event) == 0) {
            stoa_buf_free(&b);
            return;
        }

        stoa_buf_addz(&b, " ");
        stoa_buf_add(&b, end, n);
    }

    stoa_buf_add(&b, "", 1);

    if (b.len > 1) {
        ctl_error("events of the kind %s:%s", kind->kind, b.data);
    }

    stoa_buf_free(&b);
}


ctl_exit_e
ctl_run_event(ctl_t *c)
{
    ctl_exit_e         rc;
    const char        *path;
    const ctl_kind_t  *kind;

    kind = ctl_kind(c->arg[0]);

    if (kind == NULL) {
        return CTL_FAILED;
    }

    rc = ctl_one(c, kind, c->arg[1], &path);

    if (rc == CTL_DONE) {
        rc = ctl_event(c, path, ctl_escape(c, c->arg[2]), kind->columns);
    }

    if (rc == CTL_REJECTED) {
        ctl_event_hint(c, kind, c->arg[2]);
    }

    return rc;
}


ctl_exit_e
ctl_run_discover(ctl_t *c)
{
    cp_json_t   *v;
    ctl_exit_e   rc;
    const char  *path;

    rc = ctl_path(c, ctl_kind("api"), NULL, c->arg[0], &path);

    if (rc == CTL_DONE) {
        rc = ctl_post(c, cp_arena_printf(c->arena, "%s/discover", path), NULL,
                      &v);
    }

    if (rc == CTL_DONE) {
        rc = ctl_print(c, v, "state era protocol_version tools resources "
                             "prompts error");
    }

    return rc;
}


/* What to purge: paths, prefixes with a * behind, words that are tags. */

ctl_exit_e
ctl_run_purge(ctl_t *c)
{
    size_t         len;
    unsigned       i, list;
    cp_json_t     *body, *lists[3];
    ctl_exit_e     rc;
    const char    *path, *s;
    ctl_answer_t   answer;

    static const char *const  names[] = { "paths", "prefixes", "tags" };

    rc = ctl_path(c, ctl_kind("api"), NULL, c->arg[0], &path);

    body = cp_json_object(c->arena);

    for (i = 0; i < 3; i++) {
        lists[i] = cp_json_array(c->arena);
    }

    if (ctl_opt(c, "all")) {
        cp_json_put_bool(c->arena, body, "all", true);
    }

    for (i = 1; i < c->narg; i++) {
        s = c->arg[i];
        len = strlen(s);
        list = s[0] != '/' ? 2 : s[len - 1] == '*' ? 1 : 0;
        cp_json_push(lists[list],
                     cp_json_string(c->arena,
                                    list == 1
                                    ? cp_arena_printf(c->arena, "%.*s",
                                                      (int) len - 1, s)
                                    : s));
    }

    for (i = 0; i < 3; i++) {
        if (lists[i]->first) {
            cp_json_set(c->arena, body, names[i], lists[i]);
        }
    }

    if (rc == CTL_DONE) {
        rc = ctl_write_post(c, cp_arena_printf(c->arena, "%s/cache/purge",
                                               path), body, &answer);
    }

    return rc == CTL_DONE ? ctl_written(c, &answer) : rc;
}


/*
 * Waiting.  A check returns CTL_DONE when it holds and CTL_TIMEOUT when not
 * yet, with a word on why in `state`; anything else ends the wait.
 */

typedef struct {
    const char  *name;
    const char  *want;             /* NULL: the default of the kind         */
    const char  *path;
    int64_t      rev;
    const char  *state;
} ctl_wait_t;

typedef struct {
    const char   *what;
    const char   *states;          /* what --for may say; the first is the
                                      default                               */
    ctl_exit_e  (*check)(ctl_t *c, ctl_wait_t *w);
} ctl_waiter_t;


static ctl_exit_e
ctl_wait_gateway(ctl_t *c, ctl_wait_t *w)
{
    cp_json_t   *v;
    ctl_exit_e   rc;
    const char  *state, *sync;

    rc = ctl_get(c, w->path, &v);

    if (rc != CTL_DONE) {
        return rc;
    }

    state = ctl_cell_text(c, v, "state");
    sync = ctl_cell_text(c, v, "sync");
    w->state = cp_arena_printf(c->arena, "%s, %s", state, sync);

    if (strcmp(state, "online") != 0) {
        return CTL_TIMEOUT;
    }

    return (strcmp(w->want, "online") == 0 || strcmp(sync, w->want) == 0)
               ? CTL_DONE : CTL_TIMEOUT;
}


static ctl_exit_e
ctl_wait_rev(ctl_t *c, ctl_wait_t *w)
{
    cp_json_t   *list, *g;
    ctl_exit_e   rc;

    rc = ctl_list(c, "/v1/gateways", CTL_ITEMS_MAX, &list);

    if (rc != CTL_DONE) {
        return rc;
    }

    w->state = "no gateway is online";
    rc = CTL_TIMEOUT;

    for (g = list->first; g != NULL; g = g->next) {

        if (strcmp(ctl_cell_text(c, g, "state"), "online") != 0) {
            continue;
        }

        if (cp_json_num(g, "rev", 0) < w->rev) {
            w->state = cp_arena_printf(c->arena, "%s is at revision %s",
                                       ctl_cell_text(c, g, "name"),
                                       ctl_cell_text(c, g, "rev"));
            return CTL_TIMEOUT;
        }

        rc = CTL_DONE;
    }

    return rc;
}


static ctl_exit_e
ctl_wait_api(ctl_t *c, ctl_wait_t *w)
{
    cp_json_t   *v;
    ctl_exit_e   rc;
    const char  *state;

    rc = ctl_get(c, w->path, &v);

    if (rc != CTL_DONE) {
        return rc;
    }

    state = ctl_cell_text(c, v, "discovery.state");
    w->state = cp_arena_printf(c->arena, "discovery %s %s", state,
                               ctl_cell_text(c, v, "discovery.error"));

    return (strcmp(state, "ok") == 0) ? CTL_DONE : CTL_TIMEOUT;
}


static const ctl_waiter_t  ctl_waiters[] = {
    { "gateway", "in-sync online", ctl_wait_gateway },
    { "rev", "reached", ctl_wait_rev },
    { "api", "discovered", ctl_wait_api },
    { NULL, NULL, NULL }
};


static ctl_exit_e
ctl_wait_setup(ctl_t *c, const ctl_waiter_t *waiter, ctl_wait_t *w)
{
    char        *end;
    const char  *want;

    memset(w, 0, sizeof(ctl_wait_t));

    want = ctl_opt(c, "for");
    w->name = c->arg[1];
    w->want = cp_arena_strndup(c->arena, waiter->states,
                               strcspn(waiter->states, " "));
    w->state = "";

    if (want != NULL) {
        if (strstr(waiter->states, want) == NULL) {
            return ctl_error("--for %s: %s %s can be waited for until: "
                             "%s", want, cp_an(waiter->what), waiter->what,
                             waiter->states);
        }

        w->want = want;
    }

    if (waiter->check == ctl_wait_rev) {
        w->rev = strtoll(w->name, &end, 10);

        if (end == w->name || *end != '\0' || w->rev < 0) {
            return ctl_error("\"%s\" is no revision", w->name);
        }

        return CTL_DONE;
    }

    return ctl_path(c, ctl_kind(waiter->what), NULL, w->name, &w->path);
}


/* A poll makes new objects in the arena; at five a second and some kilobytes
 * each its limit is hours away. */

ctl_exit_e
ctl_run_wait(ctl_t *c)
{
    int64_t              deadline;
    ctl_wait_t           w;
    ctl_exit_e           rc;
    struct timespec      pause = { 0, CTL_POLL_MS * 1000000L };
    const ctl_waiter_t  *waiter;

    for (waiter = ctl_waiters; waiter->what != NULL; waiter++) {
        if (strcmp(waiter->what, c->arg[0]) == 0) {
            break;
        }
    }

    if (waiter->what == NULL) {
        return CTL_FAILED;                 /* the table allows no other */
    }

    deadline = cp_time_mono_ms() + c->timeout_ms;
    rc = ctl_wait_setup(c, waiter, &w);

    if (rc != CTL_DONE) {
        return rc;
    }

    for ( ;; ) {
        rc = waiter->check(c, &w);

        if (rc != CTL_TIMEOUT) {
            return rc;
        }

        if (cp_time_mono_ms() + CTL_POLL_MS >= deadline) {
            ctl_error("timed out: %s", w.state);
            return CTL_TIMEOUT;
        }

        (void) nanosleep(&pause, NULL);
    }
}
