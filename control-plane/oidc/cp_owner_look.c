/*
 * Asking Keycloak for many.
 */

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "oidc/cp_owner.h"


/* The two kinds of owners. */
typedef struct {
    const char  *path;
    const char  *list;                 /* of a page                          */
    const char  *by_name;              /* parameters around the name         */
    const char  *exact;
    const char  *name;                 /* member of an answer                */
    unsigned     page;
} cp_owner_kind_t;

static const cp_owner_kind_t  cp_owner_kinds[] = {
    { "users", "briefRepresentation=true&", "username", "true", "username",
      CP_OWNER_USERS },
    { "clients", "", "clientId", NULL, "clientId", CP_OWNER_CLIENTS }
};

/* Those of one kind, in the order of their ids, or their names. */
typedef struct {
    cp_tied_t  **by_id;
    cp_tied_t  **by_name;              /* whose id is not known              */
    unsigned     ids;
    unsigned     names;
} cp_owner_index_t;


bool
cp_owner_get(cp_look_t *look, cp_arena_t *a, const char *path, long *status,
    cp_json_t **out)
{
    const char     *error;
    cp_oidc_ask_t   ask;

    look->alive(look->ctx);

    memset(&ask, 0, sizeof(ask));
    ask.app = look->app;
    ask.arena = a;
    ask.url = cp_arena_printf(a, "%s/%s", look->base, path);
    ask.authorization = look->bearer;
    ask.timeout_ms = CP_OWNER_TIMEOUT_MS;
    ask.max = CP_OWNER_PAGE_MAX;

    error = ask.url ? cp_oidc_ask(&ask, status, out) : "out of memory";
    look->over = error == cp_oidc_too_long
                 || (error == NULL && *out == NULL && cp_arena_failed(a));

    if (error == NULL && *status != 404 && (*status != 200 || *out == NULL)) {
        error = cp_arena_printf(a, "HTTP status %ld%s", *status,
                                *status == 403 ? ": the service account needs"
                                " view-users, view-clients and view-events"
                                : "");
    }

    if (error && look->error == NULL) {
        look->error = cp_arena_printf(look->arena, "%.*s: %s",
                                      (int) strcspn(path, "?/"), path, error);
    }

    return error == NULL && !atomic_load(&look->app->stopping);
}


/* That this one is not there, and not the realm, or a page of a proxy's. */
static bool
cp_owner_missing(cp_look_t *look, long status, const cp_json_t *out)
{
    const char  *error;

    if (status != 404) {
        return false;
    }

    error = out && out->type == CP_JSON_OBJECT ? cp_json_str(out, "error")
                                               : NULL;

    if (error && strncmp(error, "Realm", 5) != 0) {
        return true;
    }

    look->error = look->error ? look->error : "the realm is not there";

    return false;
}


static const char *
cp_owner_enabled(const cp_json_t *item)
{
    const cp_json_t  *enabled;

    enabled = cp_json_get(item, "enabled");

    return enabled == NULL || enabled->i ? "active" : "disabled";
}


static void
cp_owner_says(cp_tied_t *t, const cp_json_t *item)
{
    t->now = cp_owner_enabled(item);
    t->open = t->group && strcmp(t->now, "active") == 0;
}


/* Does the service account see anything?  Without the right to, lists are
 * empty. */
static bool
cp_owner_sees(cp_look_t *look, cp_arena_t *a)
{
    long         status;
    cp_json_t   *out;
    const char  *pairs[] = { "clientId", look->app->conf.keycloak_client_id,
                             NULL };

    if (!cp_owner_get(look, a, cp_arena_printf(a, "clients?%s",
                                               cp_oidc_form(a, pairs)),
                      &status, &out))
    {
        return false;
    }

    if (status != 200 || out->type != CP_JSON_ARRAY || out->n != 1) {
        look->error = "clients: the service account does not see itself, it "
                      "needs view-clients";
        return false;
    }

    if (!cp_owner_get(look, a, cp_arena_printf(a, "users/%s", look->self),
                      &status, &out))
    {
        return false;
    }

    if (status != 200) {
        look->error = "users: the service account does not see itself, it "
                      "needs view-users";
        return false;
    }

    return true;
}


/* One, by its id, or its name while that is not known. */
static bool
cp_owner_one(cp_look_t *look, cp_tied_t *t)
{
    bool                    ok;
    long                    status;
    cp_json_t              *out, *item;
    cp_arena_t             *a;
    const char             *id;
    const cp_owner_kind_t  *kind = &cp_owner_kinds[t->client];
    const char             *pairs[] = { kind->by_name, t->name,
                                        "exact", kind->exact, NULL };

    a = cp_arena_create(CP_OWNER_PAGE_MAX);
    ok = a && cp_owner_get(look, a, t->id
                           ? cp_arena_printf(a, "%s/%s", kind->path, t->id)
                           : cp_arena_printf(a, "%s?%s", kind->path,
                                             cp_oidc_form(a, pairs)),
                           &status, &out);

    if (ok && t->id) {
        if (status == 200 && out->type == CP_JSON_OBJECT) {
            cp_owner_says(t, out);

        } else if (cp_owner_missing(look, status, out)) {
            t->now = "gone";
        }

    } else if (ok && status == 200 && out->type == CP_JSON_ARRAY) {
        item = out->n == 1 ? out->first : NULL;
        id = item ? cp_json_str(item, "id") : NULL;
        t->now = "gone";
        t->id = id ? cp_arena_strdup(look->arena, id) : NULL;
        t->found = id != NULL;

        if (id) {
            cp_owner_says(t, item);
        }
    }

    cp_arena_destroy(a);

    return ok;
}


static int
cp_owner_id_cmp(const void *one, const void *two)
{
    return strcmp((*(cp_tied_t *const *) one)->id,
                  (*(cp_tied_t *const *) two)->id);
}


static int
cp_owner_name_cmp(const void *one, const void *two)
{
    return strcasecmp((*(cp_tied_t *const *) one)->name,
                      (*(cp_tied_t *const *) two)->name);
}


/* The first of those that are like the key; they stand together. */
static unsigned
cp_owner_search(cp_tied_t **list, unsigned n, const cp_tied_t *key,
    int (*cmp)(const void *, const void *))
{
    unsigned  lo, hi, mid;

    for (lo = 0, hi = n; lo < hi; /* void */) {
        mid = lo + (hi - lo) / 2;

        if (cmp(&list[mid], &key) < 0) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }

    return lo;
}


static void
cp_owner_item(cp_look_t *look, const cp_owner_kind_t *kind,
    const cp_owner_index_t *x, const cp_json_t *item)
{
    unsigned          i;
    const char       *id;
    const cp_tied_t   key = { .id = cp_json_str(item, "id"),
                              .name = cp_json_str(item, kind->name) };
    const cp_tied_t  *k = &key;

    if (key.id == NULL || key.name == NULL) {
        return;
    }

    for (i = cp_owner_search(x->by_id, x->ids, k, cp_owner_id_cmp);
         i < x->ids && strcmp(x->by_id[i]->id, key.id) == 0;
         i++)
    {
        cp_owner_says(x->by_id[i], item);
    }

    id = NULL;

    for (i = cp_owner_search(x->by_name, x->names, k, cp_owner_name_cmp);
         i < x->names && strcasecmp(x->by_name[i]->name, key.name) == 0;
         i++)
    {
        /* names of clients are told apart by case */

        if (x->by_name[i]->client
            && strcmp(x->by_name[i]->name, key.name) != 0)
        {
            continue;
        }

        id = id ? id : cp_arena_strdup(look->arena, key.id);
        x->by_name[i]->id = id;
        x->by_name[i]->found = id != NULL;
        cp_owner_says(x->by_name[i], item);
    }
}


/* All that there are, page by page. */
static bool
cp_owner_pages(cp_look_t *look, const char *path, unsigned page,
    const cp_owner_kind_t *kind, const cp_owner_index_t *x)
{
    bool              ok;
    long              status;
    unsigned          first, n;
    cp_json_t        *out;
    cp_arena_t       *a;
    const cp_json_t  *item;

    for (first = 0, ok = true, n = page; ok && n == page; first += page) {
        a = cp_arena_create(CP_OWNER_ARENA);
        ok = a && cp_owner_get(look, a,
                               cp_arena_printf(a, "%sfirst=%u&max=%u", path,
                                               first, page),
                               &status, &out)
             && status == 200 && out->type == CP_JSON_ARRAY;
        n = ok ? out->n : 0;

        for (item = ok ? out->first : NULL; item; item = item->next) {
            cp_owner_item(look, kind, x, item);
        }

        cp_arena_destroy(a);
    }

    return ok;
}


/* Those of a kind, in the two orders; false: there is no memory. */
static bool
cp_owner_index(cp_look_t *look, bool client, cp_owner_index_t *x)
{
    unsigned    i;
    cp_tied_t  *t;

    x->ids = x->names = 0;
    x->by_id = cp_arena_alloc(look->arena, look->n * sizeof(cp_tied_t *) + 1);
    x->by_name = cp_arena_alloc(look->arena,
                                look->n * sizeof(cp_tied_t *) + 1);

    if (x->by_id == NULL || x->by_name == NULL) {
        return false;
    }

    for (i = 0; i < look->n; i++) {
        t = &look->tied[i];

        if (t->client != client) {
            continue;
        }

        if (t->id) {
            x->by_id[x->ids++] = t;
        } else {
            x->by_name[x->names++] = t;
        }
    }

    qsort(x->by_id, x->ids, sizeof(cp_tied_t *), cp_owner_id_cmp);
    qsort(x->by_name, x->names, sizeof(cp_tied_t *), cp_owner_name_cmp);

    return true;
}


static bool
cp_owner_all(cp_look_t *look, bool client)
{
    bool                    ok;
    unsigned                i;
    cp_owner_index_t        x;
    const cp_owner_kind_t  *kind = &cp_owner_kinds[client];

    ok = cp_owner_index(look, client, &x);

    if (ok && x.ids + x.names > CP_OWNER_DIRECT) {
        ok = cp_owner_pages(look, cp_arena_printf(look->arena, "%s?%s",
                                                  kind->path, kind->list),
                            kind->page, kind, &x);
    }

    /* that it is in no list says nothing: each is asked for */

    for (i = 0; i < look->n && ok; i++) {
        if (look->tied[i].client == client && look->tied[i].now == NULL) {
            ok = cp_owner_one(look, &look->tied[i]);
        }
    }

    return ok;
}


/* Is he in the group? */
static bool
cp_owner_member(cp_look_t *look, cp_tied_t *t)
{
    bool              ok;
    long              status;
    cp_json_t        *out;
    cp_arena_t       *a;
    const char       *path;
    const cp_json_t  *item;

    a = cp_arena_create(CP_OWNER_PAGE_MAX);
    ok = a && cp_owner_get(look, a, cp_arena_printf(a, "users/%s/groups"
                           "?briefRepresentation=true&max=5000", t->id),
                           &status, &out)
         && status == 200 && out->type == CP_JSON_ARRAY;

    t->now = ok ? "left" : NULL;
    t->open = !ok;

    for (item = ok ? out->first : NULL; item; item = item->next) {
        path = cp_json_str(item, "path");

        if (path && strcmp(path, t->group) == 0) {
            t->now = "active";
        }
    }

    cp_arena_destroy(a);

    return ok;
}


static int
cp_owner_group_cmp(const void *one, const void *two)
{
    const cp_tied_t  *t = *(cp_tied_t *const *) one;
    const cp_tied_t  *u = *(cp_tied_t *const *) two;
    int               rc = strcmp(t->group, u->group);

    return rc ? rc : strcmp(t->id, u->id);
}


/* The members of one group, against those tied to it. */
static bool
cp_owner_group(cp_look_t *look, cp_tied_t **list, unsigned n)
{
    bool              ok;
    long              status;
    char             *path, *p;
    unsigned          i;
    cp_json_t        *out;
    cp_arena_t       *a;
    const char       *id;
    cp_owner_index_t  x = { .by_id = list, .ids = n };
    const char       *pairs[] = { "x", list[0]->group, NULL };

    a = cp_arena_create(1024 * 1024);
    path = a ? cp_oidc_form(a, pairs) : NULL;

    for (p = path; p && (p = strstr(p, "%2F")) != NULL; p++) {
        *p = '/';
        memmove(p + 1, p + 3, strlen(p + 3) + 1);
    }

    ok = path && cp_owner_get(look, a, cp_arena_printf(a, "group-by-path%s",
                                                       path + 2),
                              &status, &out);
    id = ok && status == 200 ? cp_json_str(out, "id") : NULL;

    for (i = 0; i < n; i++) {
        list[i]->now = ok && cp_owner_missing(look, status, out)
                       ? "left" : NULL;
    }

    if (id) {
        ok = cp_owner_pages(look, cp_arena_printf(look->arena,
                            "groups/%s/members?briefRepresentation=true&", id),
                            CP_OWNER_USERS, &cp_owner_kinds[0], &x);
    }

    cp_arena_destroy(a);

    return ok;
}


static bool
cp_owner_groups(cp_look_t *look)
{
    bool         ok;
    unsigned     i, k, n;
    cp_tied_t  **list;

    list = cp_arena_alloc(look->arena, look->n * sizeof(cp_tied_t *) + 1);

    for (i = 0, n = 0; list && i < look->n; i++) {
        if (look->tied[i].open && look->tied[i].id) {
            list[n++] = &look->tied[i];
        }
    }

    qsort(list, n, sizeof(cp_tied_t *), cp_owner_group_cmp);

    for (i = 0, ok = list != NULL; i < n && ok; i = k) {
        for (k = i; k < n && strcmp(list[k]->group, list[i]->group) == 0; k++)
        {
            /* void */
        }

        if (k - i > CP_OWNER_DIRECT) {
            ok = cp_owner_group(look, list + i, k - i);
        } else {
            for (unsigned m = i; m < k; m++) {
                list[m]->now = NULL;
            }
        }

        for (unsigned m = i; m < k; m++) {
            list[m]->open = list[m]->now == NULL;

            if (list[m]->open && ok) {
                ok = cp_owner_member(look, list[m]);
            }
        }
    }

    return ok;
}


void
cp_owner_look(cp_look_t *look)
{
    bool         ok;
    cp_arena_t  *a;

    a = cp_arena_create(4 * 1024 * 1024);
    ok = a && cp_owner_sees(look, a);
    cp_arena_destroy(a);

    ok = ok && cp_owner_all(look, true) && cp_owner_all(look, false)
         && cp_owner_groups(look);

    if (!ok && look->error == NULL) {
        look->error = "the look was broken off";
    }
}


/* One that an event names, if anybody may be tied to it. */
static bool
cp_owner_ref(cp_look_t *look, const cp_owner_index_t *x,
    const cp_owner_ref_t *ref)
{
    bool                    ok;
    long                    status;
    unsigned                i;
    cp_json_t              *out;
    cp_arena_t             *a;
    const cp_tied_t         key = { .id = ref->id };
    const cp_owner_kind_t  *kind = &cp_owner_kinds[ref->client];

    i = cp_owner_search(x->by_id, x->ids, &key, cp_owner_id_cmp);

    if ((i == x->ids || strcmp(x->by_id[i]->id, ref->id) != 0)
        && x->names == 0)
    {
        return true;
    }

    a = cp_arena_create(CP_OWNER_PAGE_MAX);
    ok = a && cp_owner_get(look, a, cp_arena_printf(a, "%s/%s", kind->path,
                                                    ref->id), &status, &out);

    if (ok && status == 200 && out->type == CP_JSON_OBJECT) {
        cp_owner_item(look, kind, x, out);

    } else if (ok && cp_owner_missing(look, status, out)) {
        for ( ; i < x->ids && strcmp(x->by_id[i]->id, ref->id) == 0; i++) {
            x->by_id[i]->now = "gone";
        }
    }

    cp_arena_destroy(a);

    return ok && look->error == NULL;
}


bool
cp_owner_again(cp_look_t *look, const cp_owner_ref_t *refs, unsigned n,
    bool groups)
{
    bool              ok;
    unsigned          i;
    cp_tied_t        *t;
    cp_owner_index_t  x[2];

    ok = cp_owner_index(look, false, &x[0])
         && cp_owner_index(look, true, &x[1]);

    for (i = 0; i < n && ok; i++) {
        ok = cp_owner_ref(look, &x[refs[i].client], &refs[i]);
    }

    for (i = 0; i < look->n && ok; i++) {
        t = &look->tied[i];

        if (t->now == NULL && strcmp(t->was, "pending") == 0) {
            ok = cp_owner_one(look, t);

        } else if (t->now == NULL && groups && t->group
                   && (strcmp(t->was, "active") == 0
                       || strcmp(t->was, "left") == 0))
        {
            t->now = "active";
            t->open = true;
        }
    }

    return ok && cp_owner_groups(look);
}
