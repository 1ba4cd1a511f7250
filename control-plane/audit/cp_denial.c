/*
 * The table of denials, and the job that writes it down.
 */

#include <arpa/inet.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

#include "audit/cp_audit.h"
#include "audit/cp_denial.h"
#include "auth/cp_auth.h"
#include "base/cp_metrics.h"


#define CP_DENIAL_ARENA  (16 * 1024 * 1024)

typedef struct {
    cp_auth_e  how;
    char       id[CP_DENIAL_TEXT];
    char       name[CP_DENIAL_TEXT];
    char       person[STOA_ID_LEN + 1];
    char       tenant[STOA_ID_LEN + 1];
    char       why[32];
    char       what[CP_DENIAL_TEXT];
    char       network[CP_DENIAL_NETWORK];
} cp_denial_key_t;

typedef struct {
    cp_denial_key_t  key;
    int64_t          count;
    int64_t          first;
    int64_t          last;
} cp_denial_t;

static struct {
    pthread_mutex_t  lock;
    unsigned         n;
    int64_t          flushed;              /* monotonic ms                   */
    int64_t          lost;
    cp_denial_t      row[CP_DENIALS_MAX];
} cp_denials = { .lock = PTHREAD_MUTEX_INITIALIZER };


static bool cp_denial_due(cp_app_t *app);
static unsigned cp_denial_take(cp_denial_t *rows, int64_t *lost);
static cp_rc_t cp_denial_write(cp_app_t *app, cp_arena_t *a,
    const cp_denial_t *d);


static void
cp_denial_copy(char *dst, size_t size, const char *src)
{
    (void) snprintf(dst, size, "%s", src ? src : "");
}


void
cp_denial_note(const cp_actor_t *actor, const char *why, const char *what,
    const char *address)
{
    int64_t           now;
    unsigned          i;
    cp_denial_t      *d;
    cp_denial_key_t   key;

    /* compared as a whole, padding and all */

    memset(&key, 0, sizeof(key));
    key.how = actor->how;
    cp_denial_copy(key.id, sizeof(key.id), actor->id);
    cp_denial_copy(key.name, sizeof(key.name), actor->name);
    cp_denial_copy(key.person, sizeof(key.person), actor->person);
    cp_denial_copy(key.tenant, sizeof(key.tenant),
                   actor->of_tenant ? actor->of_tenant : cp_auth_home(actor));
    cp_denial_copy(key.why, sizeof(key.why), why);
    cp_denial_copy(key.what, sizeof(key.what), what);
    cp_denial_network(address, key.network, sizeof(key.network));

    now = cp_time_ms();

    pthread_mutex_lock(&cp_denials.lock);

    for (i = 0; i < cp_denials.n; i++) {
        if (memcmp(&cp_denials.row[i].key, &key, sizeof(key)) == 0) {
            break;
        }
    }

    if (i == CP_DENIALS_MAX) {
        cp_denials.lost++;

    } else {
        d = &cp_denials.row[i];

        if (i == cp_denials.n) {
            cp_denials.n++;
            d->key = key;
            d->count = 0;
            d->first = now;
        }

        d->count++;
        d->last = now;
    }

    pthread_mutex_unlock(&cp_denials.lock);
}


void
cp_denial_network(const char *address, char *dst, size_t size)
{
    uint8_t      b[16];
    const char  *v4;

    v4 = address && strncasecmp(address, "::ffff:", 7) == 0
         && strchr(address, '.') ? address + 7 : address;

    if (v4 && inet_pton(AF_INET, v4, b) == 1) {
        (void) snprintf(dst, size, "%u.%u.%u.0/24", b[0], b[1], b[2]);

    } else if (address && inet_pton(AF_INET6, address, b) == 1) {
        memset(b + 6, 0, 10);
        (void) inet_ntop(AF_INET6, b, dst, (socklen_t) size);
        (void) snprintf(dst + strlen(dst), size - strlen(dst), "/48");

    } else {
        dst[0] = '\0';
    }
}


cp_rc_t
cp_denial_job(cp_app_t *app)
{
    cp_rc_t       rc;
    int64_t       lost;
    unsigned      i, n;
    cp_arena_t   *a;
    cp_denial_t  *rows;

    if (!cp_denial_due(app)) {
        return CP_OK;
    }

    a = cp_arena_create(CP_DENIAL_ARENA);
    rows = a ? cp_arena_alloc(a, sizeof(cp_denials.row)) : NULL;

    if (rows == NULL) {
        cp_arena_destroy(a);
        return CP_ERROR;
    }

    n = cp_denial_take(rows, &lost);

    for (i = 0, rc = CP_OK; i < n; i++) {
        rc = rc == CP_OK ? cp_denial_write(app, a, &rows[i]) : rc;
        lost += rc == CP_OK ? 0 : rows[i].count;
    }

    if (lost) {
        cp_metric_add(cp_metric(CP_METRIC_COUNTER,
                                "stoa_control_denials_lost_total", "",
                                "Denials that are not in the audit log."),
                      lost);
        cp_log(CP_LOG_WARN, "audit", "denials that are not in the log"
               " lost:%" PRId64, lost);
    }

    cp_arena_destroy(a);

    return rc;
}


/* The first one after a quiet minute is written at once. */
static bool
cp_denial_due(cp_app_t *app)
{
    bool  due;

    pthread_mutex_lock(&cp_denials.lock);

    due = cp_denials.n > 0
          && (cp_denials.flushed == 0 || atomic_load(&app->stopping)
              || cp_time_mono_ms() - cp_denials.flushed
                 >= CP_DENIAL_FLUSH_MS);

    pthread_mutex_unlock(&cp_denials.lock);

    return due;
}


static unsigned
cp_denial_take(cp_denial_t *rows, int64_t *lost)
{
    unsigned  n;

    pthread_mutex_lock(&cp_denials.lock);

    n = cp_denials.n;
    *lost = cp_denials.lost;
    memcpy(rows, cp_denials.row, n * sizeof(cp_denial_t));
    cp_denials.flushed = cp_time_mono_ms();
    cp_denials.n = 0;
    cp_denials.lost = 0;

    pthread_mutex_unlock(&cp_denials.lock);

    return n;
}


/* In the chain of the actor's tenant: the other one's, which he may have asked
 * for, does not exist for him. */
static cp_rc_t
cp_denial_write(cp_app_t *app, cp_arena_t *a, const cp_denial_t *d)
{
    cp_op_t            op;
    cp_json_t         *diff;
    cp_audit_event_t   ev = { .action = "deny", .kind = "route", .id = "" };

    cp_op_system(&op, app, a, "");
    memset(&op.actor, 0, sizeof(op.actor));
    op.actor.how = d->key.how;
    op.actor.id = d->key.id;
    op.actor.name = d->key.name;
    op.actor.person = d->key.person[0] ? d->key.person : NULL;

    diff = cp_json_object(a);
    cp_json_put(a, diff, "reason", d->key.why);
    cp_json_put_int(a, diff, "count", d->count);
    cp_json_put(a, diff, "first", cp_time_format(a, d->first));
    cp_json_put(a, diff, "last", cp_time_format(a, d->last));
    cp_json_put(a, diff, "network", d->key.network);

    ev.tenant = d->key.tenant[0] ? d->key.tenant : NULL;
    ev.name = d->key.what;
    ev.diff = diff;

    return cp_audit_event(&op, &ev);
}
