/*
 * Owners of applications: what Keycloak's admin events say.
 *
 * They are read from the newest back to the time of the last one that was
 * looked after, and further, as one is seen only when its transaction ends.
 * If that last one is not among them, events were removed, and any may be
 * missing.  Time is Keycloak's own: what is ahead of its clock, or behind one
 * that was set back, has no order.
 */

#include <stdlib.h>
#include <string.h>

#include "base/cp_metrics.h"
#include "core/stoa_key.h"
#include "oidc/cp_owner.h"


typedef enum { EV_ONE, EV_GROUPS, EV_ALL } cp_owner_what_e;

/* What an event may be about; others concern nobody.  An import says of those
 * whom it replaces only who is there now; that events are kept again says
 * nothing of what was before. */
static const struct {
    const char       *type;
    const char       *path;            /* begins so, then the id             */
    cp_owner_what_e   what;
    bool              client;
} cp_owner_about[] = {
    { "CLIENT",                   "clients/", EV_ONE,    true },
    { "USER",                     "users/",   EV_ONE,    false },
    { "GROUP_MEMBERSHIP",         "users/",   EV_ONE,    false },
    { "GROUP",                    "",         EV_GROUPS, false },
    { "USER_FEDERATION_PROVIDER", "",         EV_ALL,    false },
    { "COMPONENT",                "",         EV_ALL,    false },
    { "ORGANIZATION",             "",         EV_ALL,    false },
    { "REALM",                    "users/",   EV_ALL,    false },
    { "REALM",                    "clients/", EV_ALL,    false },
    { "REALM",                    "groups/",  EV_ALL,    false },
    { "REALM",                    "events/",  EV_ALL,    false }
};

#define CP_OWNER_ABOUT  (sizeof(cp_owner_about) / sizeof(cp_owner_about[0]))

typedef struct {
    cp_look_t       *look;
    cp_owner_ref_t  *refs;             /* CP_OWNER_EVENTS_MAX                */
    uint64_t        *ids;              /* of the events, as many             */
    unsigned         nrefs;
    unsigned         n;
    int64_t          from;             /* looked after until; 0: never,      */
                                       /* 1: there was none                  */
    int64_t          until;            /* back to there they are read        */
    int64_t          last;             /* of the newest                      */
    int64_t          now;              /* Keycloak's                         */
    bool             found;            /* the one of `from`                  */
    bool             groups;
    bool             all;
    bool             looking;          /* at all                             */
} cp_owner_read_t;

/* Of the job's thread: sums of the ids of events that were looked after. */
static uint64_t  cp_owner_seen[CP_OWNER_SEEN];
static unsigned  cp_owner_seen_at;

/* And how far, since when, monotonic ms. */
static struct {
    int64_t  from;
    int64_t  since;
    bool     unreal;                   /* no event has that time             */
} cp_owner_far;


static bool
cp_owner_was_seen(uint64_t id)
{
    unsigned  i;

    for (i = 0; i < CP_OWNER_SEEN; i++) {
        if (cp_owner_seen[i] == id) {
            return true;
        }
    }

    return false;
}


static void
cp_owner_event(cp_owner_read_t *r, const cp_json_t *item)
{
    char         *id;
    size_t        i, len;
    const char   *type, *path;

    type = cp_json_str(item, "resourceType");
    path = cp_json_str(item, "resourcePath");

    for (i = 0; type && path && i < CP_OWNER_ABOUT; i++) {
        if (strcmp(type, cp_owner_about[i].type) == 0
            && strncmp(path, cp_owner_about[i].path,
                       strlen(cp_owner_about[i].path)) == 0)
        {
            break;
        }
    }

    if (type == NULL || path == NULL || i == CP_OWNER_ABOUT) {
        return;
    }

    r->all |= cp_owner_about[i].what == EV_ALL;
    r->groups |= cp_owner_about[i].what == EV_GROUPS;

    if (cp_owner_about[i].what != EV_ONE) {
        return;
    }

    path += strlen(cp_owner_about[i].path);
    len = strcspn(path, "/");
    id = cp_arena_strndup(r->look->arena, path, len);

    /* it becomes part of an address */

    if (id == NULL || len == 0
        || strspn(id, "0123456789abcdefghijklmnopqrstuvwxyz"
                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_.:@") != len)
    {
        r->all = true;
        return;
    }

    r->refs[r->nrefs].id = id;
    r->refs[r->nrefs++].client = cp_owner_about[i].client;
}


/* A page of them; of those that are too long for one answer one alone, and
 * what one is about that is too long by itself is not known.  NULL: there is
 * no answer. */
static cp_json_t *
cp_owner_events_page(cp_owner_read_t *r, cp_arena_t **a, unsigned first,
    unsigned *max)
{
    bool         ok;
    long         status;
    cp_json_t   *out;
    cp_look_t   *look = r->look;

    for ( ;; ) {
        *a = cp_arena_create(CP_OWNER_PAGE_MAX);
        ok = *a && cp_owner_get(look, *a, cp_arena_printf(*a, "admin-events"
                                "?first=%u&max=%u", first, *max),
                                &status, &out);

        if (ok && status == 200 && out->type == CP_JSON_ARRAY) {
            return out;
        }

        if (!look->over || *a == NULL) {
            return NULL;
        }

        look->error = NULL;
        cp_arena_destroy(*a);

        if (*max == 1) {
            r->all = true;
            *a = cp_arena_create(4096);

            return *a ? cp_json_array(*a) : NULL;
        }

        *max = *max / 10 ? *max / 10 : 1;
    }
}


/* False: there is no more to be read. */
static bool
cp_owner_events_item(cp_owner_read_t *r, const cp_json_t *item)
{
    int64_t      time;
    uint64_t     sum;
    const char  *id;

    time = cp_json_num(item, "time", 0);
    r->last = time > r->last ? time : r->last;
    r->found |= time == r->from || time > r->now;

    if (time < r->until) {
        return false;
    }

    id = cp_json_str(item, "id");
    id = id ? id : cp_json_text(r->look->arena, item, NULL);
    sum = stoa_hash64(id, strlen(id), 0);

    if (cp_owner_was_seen(sum)) {
        return true;
    }

    if (r->n == CP_OWNER_EVENTS_MAX) {
        r->all = true;
        return false;
    }

    r->ids[r->n++] = sum;

    if (r->from) {
        cp_owner_event(r, item);
    }

    return true;
}


/* Those that are new; false: there is no answer.  Those of one millisecond
 * have no order, so pages overlap. */
static bool
cp_owner_events_read(cp_owner_read_t *r)
{
    bool              more;
    unsigned          first, max, n;
    cp_json_t        *out;
    cp_arena_t       *a;
    const cp_json_t  *item;

    max = CP_OWNER_EVENTS;

    for (first = 0, more = true; more; first += n > 20 ? n - n / 10 : n) {
        out = cp_owner_events_page(r, &a, first, &max);

        if (out == NULL) {
            cp_arena_destroy(a);
            return false;
        }

        n = out->n ? out->n : 1;
        more = r->from && (out->n == max || (out->n == 0 && r->look->over));

        for (item = out->first; item; item = item->next) {
            if (!cp_owner_events_item(r, item)) {
                more = false;
                break;
            }
        }

        cp_arena_destroy(a);
    }

    return true;
}


static void
cp_owner_events_from(int64_t ms)
{
    if (cp_owner_far.from != ms) {
        cp_owner_far.from = ms;
        cp_owner_far.since = cp_time_mono_ms();
        cp_owner_far.unreal = false;
    }
}


/* How far back: an event that is seen late was made lately. */
static void
cp_owner_events_far(cp_owner_read_t *r)
{
    cp_owner_events_from(r->from);

    r->until = cp_time_mono_ms() - cp_owner_far.since > CP_OWNER_LATE_MS
               ? r->from : r->from - CP_OWNER_LATE_MS;

    if (r->from > r->now + CP_OWNER_LATE_MS) {
        cp_log(CP_LOG_WARN, "owner", "Keycloak's clock was set back, all "
               "owners are looked at");
        r->all = true;
        r->until = r->now - CP_OWNER_LATE_MS;
        r->found = true;
    }
}


/* None that is new may mean that none are kept. */
static bool
cp_owner_events_kept(cp_look_t *look)
{
    bool              ok;
    long              status;
    cp_json_t        *out;
    const cp_json_t  *on;

    ok = cp_owner_get(look, look->arena, "events/config", &status, &out)
         && status == 200 && out->type == CP_JSON_OBJECT;
    on = ok ? cp_json_get(out, "adminEventsEnabled") : NULL;

    if (ok && (on == NULL || on->i == 0)) {
        look->error = "the realm keeps no admin events (adminEventsEnabled)";
    }

    return ok && look->error == NULL;
}


static int
cp_owner_ref_cmp(const void *one, const void *two)
{
    const cp_owner_ref_t  *a = one, *b = two;

    return a->client != b->client ? a->client - b->client
                                  : strcmp(a->id, b->id);
}


/* What was found now is newer than what a look at all has read by now. */
static void
cp_owner_events_tell(const cp_look_t *look, cp_look_t *whole)
{
    int               rc;
    unsigned          i, lo, hi, mid;
    const cp_tied_t  *t;

    for (i = 0; i < look->n; i++) {
        t = &look->tied[i];

        /* what is not stored is no news */

        hi = t->now && strcmp(t->now, t->was) == 0 && !t->open ? whole->n : 0;

        for (lo = 0; lo < hi; /* void */) {
            mid = lo + (hi - lo) / 2;
            rc = strcmp(whole->tied[mid].app, t->app);

            if (rc == 0) {
                whole->tied[mid].now = t->now;
                whole->tied[mid].was = t->now;
                whole->tied[mid].open = false;
                whole->tied[mid].seen = cp_arena_strdup(whole->arena,
                                                        t->seen);

                if (whole->tied[mid].id == NULL && t->id) {
                    whole->tied[mid].id = cp_arena_strdup(whole->arena,
                                                          t->id);
                }

                break;
            }

            lo = rc < 0 ? mid + 1 : lo;
            hi = rc < 0 ? hi : mid;
        }
    }
}


/* Asks for those concerned, and stores some as they are known. */
static bool
cp_owner_events_ask(cp_owner_read_t *r)
{
    bool        ok;
    unsigned    i, n, some;
    cp_look_t  *look = r->look;

    qsort(r->refs, r->nrefs, sizeof(cp_owner_ref_t), cp_owner_ref_cmp);

    for (i = 0, n = 0; i < r->nrefs; i++) {
        if (n == 0 || cp_owner_ref_cmp(&r->refs[n - 1], &r->refs[i]) != 0) {
            r->refs[n++] = r->refs[i];
        }
    }

    if (cp_owner_load(look, n == 0 && !r->groups) != CP_OK) {
        return false;
    }

    /* an import's are for a look at all */

    for (i = 0, some = 0; i < look->n; i++) {
        some += strcmp(look->tied[i].was, "pending") == 0;
    }

    if (some > CP_OWNER_DIRECT) {
        r->all |= !r->looking;

        for (i = 0; i < look->n; i++) {
            if (strcmp(look->tied[i].was, "pending") == 0) {
                look->tied[i].was = "";
            }
        }
    }

    i = 0;

    do {
        some = n - i < CP_OWNER_BATCH ? n - i : CP_OWNER_BATCH;
        ok = cp_owner_again(look, r->refs + i, some,
                            r->groups && i + some == n)
             && cp_owner_store_all(look) == CP_OK;
        i += some;
    } while (ok && i < n);

    return ok;
}


static cp_rc_t
cp_owner_events_done(cp_owner_read_t *r)
{
    bool         ahead;
    unsigned     i;
    const char  *error = r->look->error ? r->look->error : "";

    for (i = 0; i < r->n && error[0] == '\0'; i++) {
        cp_owner_seen[cp_owner_seen_at++ % CP_OWNER_SEEN] = r->ids[i];
    }

    /* a clock that is ahead must not hide what comes after it */

    ahead = r->last > r->now;
    r->last = ahead ? r->now : r->last ? r->last : 1;

    if (error[0] == '\0') {
        cp_owner_events_from(r->last);
        cp_owner_far.unreal = ahead;
    }

    cp_metric_set(cp_metric(CP_METRIC_GAUGE,
                            "stoa_control_owner_events_failing", "",
                            "1 if the last look at Keycloak's admin events "
                            "was not answered."), error[0] != '\0');

    return cp_owner_write(r->look->app, r->look->arena, "UPDATE owner_looks"
                          " SET events_ms = CASE WHEN $1 = '' THEN $2 ELSE"
                          " events_ms END, events_at = CASE WHEN $1 = '' THEN"
                          " $3 ELSE events_at END, events_error = $1"
                          " WHERE id = 1",
                          cp_args(cp_text(error), cp_int(r->last),
                                  cp_int(cp_time_ms())), NULL);
}


bool
cp_owner_events(cp_look_t *look, cp_look_t *whole)
{
    bool             good;
    cp_rows_t        rows;
    cp_owner_read_t  r;

    memset(&r, 0, sizeof(r));
    r.look = look;
    r.looking = whole != NULL;
    r.now = look->clock_ms;
    r.refs = cp_arena_alloc(look->arena, CP_OWNER_EVENTS_MAX
                                         * sizeof(cp_owner_ref_t));
    r.ids = cp_arena_alloc(look->arena, CP_OWNER_EVENTS_MAX
                                        * sizeof(uint64_t));

    if (r.refs == NULL || r.ids == NULL
        || cp_owner_write(look->app, look->arena, "SELECT events_ms FROM"
                          " owner_looks WHERE id = 1", NULL, 0, &rows)
           != CP_OK
        || rows.rows == 0)
    {
        return true;
    }

    r.from = cp_cell(&rows, 0, 0)->i;
    cp_owner_events_far(&r);

    good = cp_owner_events_read(&r) && (r.n || cp_owner_events_kept(look));

    if (!good && look->error == NULL) {
        look->error = "admin-events: the answer is no list of them";
    }

    if (good) {
        if (r.from > 1 && !r.found && !cp_owner_far.unreal) {
            r.all = true;
            cp_log(CP_LOG_WARN, "owner", "admin events were removed, all "
                   "owners are looked at");
        }

        if (!cp_owner_events_ask(&r) && look->error == NULL) {
            look->error = "the look was broken off";
        }

        /* what they say is asked for again */

        if (look->late && look->error == NULL) {
            look->error = "another replica has looked at the same time";
        }
    }

    if (whole) {
        cp_owner_events_tell(look, whole);
    }

    return cp_owner_events_done(&r) != CP_OK || r.all;
}
