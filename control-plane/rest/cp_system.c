/*
 * Health and metrics: what load balancers and Prometheus ask, without a token.
 */

#include <dirent.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cp_metrics.h"
#include "http/cp_call.h"
#include "kinds/cp_certificate.h"
#include "kinds/cp_group_end.h"
#include "kinds/cp_group_key.h"


static cp_rc_t
cp_system_live(cp_req_t *r)
{
    cp_json_t  *body;

    body = cp_json_object(r->op.arena);
    cp_json_put(r->op.arena, body, "status", "live");

    return cp_req_answer(r, 200, body);
}


/* The database answers, and has the migrations (nothing listens before). */

static cp_rc_t
cp_system_head(cp_req_t *r, int64_t *rev)
{
    cp_rc_t     rc;
    cp_tx_t    *tx;
    cp_rows_t   rows;

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, r->op.arena, "SELECT rev FROM feed_head", NULL, 0,
                     &rows, &r->op.err);

    if (rc == CP_OK && rows.rows > 0) {
        *rev = cp_cell(&rows, 0, 0)->i;
    }

    cp_tx_rollback(tx);

    return (rc == CP_OK) ? CP_OK
                         : cp_err_set(&r->op.err, "unavailable",
                                      "the database does not answer");
}


static cp_rc_t
cp_system_ready(cp_req_t *r)
{
    cp_rc_t     rc;
    int64_t     rev;
    cp_json_t  *body;

    if (atomic_load(&r->op.app->stopping) || !atomic_load(&r->op.app->ready)) {
        return cp_err_set(&r->op.err, "unavailable", "starting or ending");
    }

    rev = 0;

    rc = cp_system_head(r, &rev);
    if (rc != CP_OK) {
        return rc;
    }

    if (!cp_db_writable(r->op.app->db)) {
        return cp_err_set(&r->op.err, "unavailable",
                          "the database takes no writes");
    }

    body = cp_json_object(r->op.arena);
    cp_json_put(r->op.arena, body, "status", "ready");
    cp_json_put(r->op.arena, body, "database", cp_db_driver(r->op.app->db));
    cp_json_put_int(r->op.arena, body, "rev", rev);

    return cp_req_answer(r, 200, body);
}


static int64_t
cp_system_rss(void)
{
    FILE       *f;
    long        pages, resident;
    int         n;

    f = fopen("/proc/self/statm", "re");
    if (f == NULL) {
        return 0;
    }

    n = fscanf(f, "%ld %ld", &pages, &resident);
    (void) fclose(f);

    return (n == 2) ? (int64_t) resident * sysconf(_SC_PAGESIZE) : 0;
}


static int64_t
cp_system_fds(void)
{
    DIR      *dir;
    int64_t   n;

    dir = opendir("/proc/self/fd");
    if (dir == NULL) {
        return 0;
    }

    for (n = 0; readdir(dir) != NULL; n++) { /* void */ }

    (void) closedir(dir);

    return n - 3;                  /* ".", ".." and the folder's own        */
}


static void
cp_system_gauge(const char *name, const char *help, int64_t value)
{
    cp_metric_set(cp_metric(CP_METRIC_GAUGE, name, "", help), value);
}


static void
cp_system_cpu(stoa_buf_t *b)
{
    struct rusage  ru;

    if (getrusage(RUSAGE_SELF, &ru) != 0) {
        return;
    }

    stoa_buf_addf(b, "# HELP process_cpu_seconds_total User and system CPU "
                  "time.\n# TYPE process_cpu_seconds_total counter\n"
                  "process_cpu_seconds_total %.2f\n",
                  (double) (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec)
                  + (double) (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec)
                    / 1e6);
}


/* An operator looks here; whose it is say the secrets. */

static void
cp_system_certificates(cp_req_t *r)
{
    int64_t   ms;
    cp_tx_t  *tx;

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return;
    }

    if (cp_certificate_ends(tx, r->op.arena, &ms, &r->op.err) == CP_OK) {
        cp_system_gauge("stoa_control_certificates_end_seconds",
                        "Unix time at which the first certificate for "
                        "upstreams ends; 0: there is none.", ms / 1000);
    }

    cp_tx_rollback(tx);
}


static void
cp_system_provisioning(cp_req_t *r)
{
    int64_t   tenants, removals;
    cp_tx_t  *tx;

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return;
    }

    if (cp_provision_failed(tx, r->op.arena, &tenants, &removals, &r->op.err)
        == CP_OK)
    {
        cp_system_gauge("stoa_control_tenants_failed",
                        "Tenants whose provisioning failed and waits for an "
                        "administrator.", tenants);
        cp_system_gauge("stoa_control_group_removals_failed",
                        "Deleted tenants whose groups in Keycloak could not "
                        "be removed.", removals);
    }

    cp_tx_rollback(tx);
}


/* The database being away must not take the other metrics with it. */

static cp_rc_t
cp_system_metrics(cp_req_t *r)
{
    int64_t  rev;

    rev = 0;

    cp_system_gauge("stoa_control_database_up",
                    "1 if the database answers.",
                    cp_system_head(r, &rev) == CP_OK);

    if (rev > 0) {
        cp_system_gauge("stoa_control_feed_rev",
                        "The head of the feed of gateway records.", rev);
        cp_system_certificates(r);
        cp_system_provisioning(r);
    }

    cp_system_gauge("process_resident_memory_bytes",
                    "Resident memory.", cp_system_rss());
    cp_system_gauge("process_open_fds", "Open file descriptors.",
                    cp_system_fds());
    cp_system_gauge("process_start_time_seconds",
                    "Start of the process, Unix time.",
                    r->op.app->started_ms / 1000);

    stoa_buf_reset(&r->out);
    stoa_buf_addf(&r->out, "# HELP stoa_control_build_info The program.\n"
                  "# TYPE stoa_control_build_info gauge\n"
                  "stoa_control_build_info{version=\"%s\",database=\"%s\"} "
                  "1\n", CP_VERSION, cp_db_driver(r->op.app->db));
    cp_system_cpu(&r->out);
    cp_metrics_write(&r->out);

    cp_op_clear(&r->op);
    r->status = 200;
    r->content_type = "text/plain; version=0.0.4; charset=utf-8";

    return CP_OK;
}


/* Public, as the keys are. */

static cp_rc_t
cp_system_jwks(cp_req_t *r)
{
    cp_rc_t     rc;
    cp_tx_t    *tx;
    cp_json_t  *set;

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_group_key_set(tx, r->op.arena, cp_req_query(r, "group"), &set,
                          &r->op.err);
    cp_tx_rollback(tx);

    if (rc != CP_OK) {
        return rc;
    }

    cp_req_set_header(r, "Cache-Control",
                      cp_arena_printf(r->op.arena, "public, max-age=%d",
                                      CP_JWKS_AGE_S));

    return cp_req_answer(r, 200, set);
}


const cp_route_t  cp_system_routes[] = {
    { "GET", "/health/live", CP_AUTH_NONE, NULL, cp_system_live, NULL,
      "The process runs", NULL },
    { "GET", "/health/ready", CP_AUTH_NONE, NULL, cp_system_ready, NULL,
      "The database takes writes, and requests are taken", NULL },
    { "GET", "/.well-known/jwks.json", CP_AUTH_NONE, NULL, cp_system_jwks,
      NULL, "The public keys of signed identities", "group" },
    { "GET", "/metrics", CP_AUTH_NONE, NULL, cp_system_metrics, NULL,
      "Metrics for Prometheus", NULL },
    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};
