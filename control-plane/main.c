/*
 * stoa-control: start, wait for a signal, end gracefully.
 */

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/cp_mail.h"
#include "cp_bootstrap.h"
#include "cp_jobs.h"
#include "audit/cp_denial.h"
#include "discovery/cp_discovery.h"
#include "feed/cp_feed.h"
#include "http/cp_call.h"
#include "kinds/cp_group_key.h"
#include "kinds/cp_kinds.h"
#include "resource/cp_limit.h"
#include "oidc/cp_group.h"
#include "oidc/cp_oidc.h"
#include "openapi/cp_openapi.h"
#include "cp_routes.h"
#include "base/cp_log.h"


#define CP_MAIN_ARENA_MAX   (16 * 1024 * 1024)
#define CP_MAIN_FDS         128        /* databases, discovery, files        */
#define CP_MAIN_LARGE       (8 * 1024 * 1024)
#define CP_MAIN_OPENAPI_MAX  (256 * 1024 * 1024)
#define CP_MAIN_PEPPER_MIN  16
#define CP_MAIN_PEPPER_MAX  1024


static int
cp_main_fail(const cp_err_t *err)
{
    (void) fprintf(stderr, "stoa-control: %s\n",
                   (err->status != 0) ? err->detail : "out of memory");

    return 1;
}


/* Thousands of gateways wait on a descriptor each; what the system does not
 * grant must not be promised to clients. */

static void
cp_main_limits(cp_conf_t *conf)
{
    int64_t        most;
    struct rlimit  rl;

    /* what is hashed with (people/cp_password) goes back to the system: by
     * itself malloc would keep that much for each thread that ever did */

    (void) mallopt(M_MMAP_THRESHOLD, CP_MAIN_LARGE);
    (void) mallopt(M_TRIM_THRESHOLD, CP_MAIN_LARGE);

    if (getrlimit(RLIMIT_NOFILE, &rl) != 0) {
        return;
    }

    if (rl.rlim_cur < rl.rlim_max) {
        rl.rlim_cur = rl.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &rl);
        (void) getrlimit(RLIMIT_NOFILE, &rl);
    }

    if (rl.rlim_cur == RLIM_INFINITY
        || rl.rlim_cur > (rlim_t) conf->connections + CP_MAIN_FDS)
    {
        return;
    }

    most = (int64_t) rl.rlim_cur - CP_MAIN_FDS;
    most = (most < 10) ? 10 : most;

    cp_log(CP_LOG_WARN, "main", "the limit of open files allows fewer "
           "connections than configured allowed:%lld configured:%lld",
           (long long) most, (long long) conf->connections);
    conf->connections = most;
}


static cp_rc_t
cp_main_pepper(cp_app_t *app, cp_arena_t *a, cp_err_t *err)
{
    FILE        *f;
    char        *text;
    size_t       len;
    const char  *path = app->conf.pepper_file;

    if (path[0] == '\0') {
        return CP_OK;
    }

    f = fopen(path, "re");
    if (f == NULL) {
        return cp_err_set(err, "validation", "pepper_file: cannot open "
                          "\"%s\": %s", path, strerror(errno));
    }

    text = cp_arena_alloc(a, CP_MAIN_PEPPER_MAX + 2);
    len = (text != NULL) ? fread(text, 1, CP_MAIN_PEPPER_MAX + 1, f) : 0;
    (void) fclose(f);

    /* an editor's last line feed is no part of it */

    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r')) {
        text[--len] = '\0';
    }

    if (len < CP_MAIN_PEPPER_MIN || len > CP_MAIN_PEPPER_MAX) {
        return cp_err_set(err, "validation", "pepper_file: \"%s\" must hold "
                          "%d to %d bytes", path, CP_MAIN_PEPPER_MIN,
                          CP_MAIN_PEPPER_MAX);
    }

    app->pepper = text;
    app->pepper_len = len;

    return CP_OK;
}


static void
cp_main_head(void *ctx, int64_t rev)
{
    (void) rev;

    cp_http_wake(ctx);
}


/* What a text has to be, or fits only with others: nothing is opened. */

static cp_rc_t
cp_main_settings(cp_app_t *app, cp_arena_t *a, cp_err_t *err)
{
    cp_rc_t      rc;
    const char  *wrong;

    wrong = cp_limit_wrong(a, app->conf.tenant_limits);

    if (wrong) {
        return cp_err_set(err, "validation", "tenant_limits: %s", wrong);
    }

    rc = cp_cors_check(&app->conf, err);

    return rc == CP_OK ? cp_mail_start(app, err) : rc;
}


static cp_rc_t
cp_main_open(cp_app_t *app, cp_arena_t *a, cp_err_t *err)
{
    cp_rc_t  rc;

    app->started_ms = cp_time_ms();
    app->wake = cp_http_wake;

    rc = cp_main_settings(app, a, err);

    if (rc == CP_OK) {
        rc = cp_main_pepper(app, a, err);
    }

    if (rc != CP_OK) {
        return rc;
    }

    app->db = cp_db_open(app->conf.database,
                         (unsigned) app->conf.database_connections, err);

    return app->db ? CP_OK : CP_ERROR;
}


/* What the database has to have; tried again when another one that starts was
 * in the way. */

static cp_rc_t
cp_main_prepare(cp_app_t *app, cp_arena_t *a, cp_err_t *err)
{
    int      tries;
    cp_rc_t  rc;

    for (tries = 0; tries <= CP_OP_RETRIES; tries++) {

        rc = cp_feed_init(app->db, a, err);

        if (rc == CP_OK) {
            rc = cp_bootstrap_seal(app, a, err);
        }

        if (rc == CP_OK) {
            rc = cp_bootstrap_audit(app, a, err);
        }

        if (rc == CP_OK) {
            rc = cp_bootstrap(app, NULL, err);
        }

        if (rc == CP_OK) {
            rc = cp_bootstrap_user(app, false, stdout, err);
        }

        if (rc == CP_OK) {
            rc = cp_group_key_init(app->db, a, err);
        }

        if (rc != CP_CONFLICT) {
            return rc;
        }
    }

    return cp_err_set(err, "unavailable", "the database is busy");
}


static cp_rc_t
cp_main_start(cp_app_t *app, cp_arena_t *a, cp_err_t *err)
{
    cp_rc_t  rc;

    rc = cp_oidc_init(app, a, err);

    if (rc == CP_OK) {
        rc = cp_group_init(app, err);
    }

    if (rc == CP_OK) {
        rc = cp_main_open(app, a, err);
    }

    if (rc == CP_OK) {
        rc = cp_main_prepare(app, a, err);
    }

    if (rc != CP_OK) {
        return rc;
    }

    if (cp_http_create(app, &cp_site, err) == NULL) {
        return CP_ERROR;
    }

    /* who came before the callback was there is woken once */

    cp_db_on_head(app->db, cp_main_head, app);
    cp_http_wake(app);

    if (cp_jobs_start(app) != CP_OK) {
        return cp_err_set(err, "internal", "cannot start threads");
    }

    atomic_store(&app->ready, true);

    return CP_OK;
}


/* As GET /v1/openapi.json answers it; no database is needed. */

static cp_rc_t
cp_main_openapi(cp_err_t *err)
{
    char        *text;
    cp_arena_t  *a;

    a = cp_arena_create(CP_MAIN_OPENAPI_MAX);
    text = a ? cp_json_text(a, cp_openapi_document(a, &cp_site), NULL) : NULL;

    if (text == NULL || puts(text) == EOF || fflush(stdout) != 0) {
        cp_arena_destroy(a);
        return cp_err_set(err, "internal", "cannot print it");
    }

    cp_arena_destroy(a);

    return CP_OK;
}


/* What is done instead of serving. */

static cp_rc_t
cp_main_do(cp_app_t *app, cp_conf_do_e what, cp_arena_t *a, cp_err_t *err)
{
    cp_rc_t  rc;

    switch (what) {

    case CP_CONF_CHECK:
        rc = cp_main_settings(app, a, err);

        if (rc == CP_OK) {
            rc = cp_oidc_init(app, a, err);
        }

        if (rc == CP_OK) {
            rc = cp_group_init(app, err);
        }

        if (rc != CP_OK) {
            return rc;
        }

        printf("stoa-control: the configuration is fine\n");
        return CP_OK;

    case CP_CONF_OPENAPI:
        return cp_main_openapi(err);

    case CP_CONF_BACKUP:
        return cp_db_backup(app->conf.database, app->conf.backup, err);

    case CP_CONF_TOKEN:
    case CP_CONF_PASSWORD:
        rc = cp_main_open(app, a, err);

        if (rc == CP_OK) {
            rc = cp_feed_init(app->db, a, err);
        }

        if (rc == CP_OK && what == CP_CONF_PASSWORD) {
            rc = cp_bootstrap_seal(app, a, err);
        }

        if (rc == CP_OK) {
            rc = what == CP_CONF_TOKEN
                 ? cp_bootstrap(app, stdout, err)
                 : cp_bootstrap_user(app, true, stdout, err);
        }

        cp_db_close(app->db);
        return rc;

    case CP_CONF_RUN:
    case CP_CONF_EXIT:
        break;
    }

    return CP_OK;
}


static void
cp_main_wait(void)
{
    int       got;
    sigset_t  set;

    (void) sigemptyset(&set);
    (void) sigaddset(&set, SIGTERM);
    (void) sigaddset(&set, SIGINT);

    while (sigwait(&set, &got) != 0) { /* void */ }

    cp_log(CP_LOG_INFO, "main", "ending signal:%d", got);

    /* the second one ends it the hard way */

    (void) pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}


static void
cp_main_signals(void)
{
    sigset_t  set;

    /* blocked in all threads, so that only cp_main_wait() gets them */

    (void) sigemptyset(&set);
    (void) sigaddset(&set, SIGTERM);
    (void) sigaddset(&set, SIGINT);
    (void) pthread_sigmask(SIG_BLOCK, &set, NULL);

    (void) signal(SIGPIPE, SIG_IGN);
    (void) signal(SIGHUP, SIG_IGN);
    (void) signal(SIGCHLD, SIG_DFL);   /* ignored, none is waited for        */
}


int
main(int argc, char **argv)
{
    int              n;
    cp_rc_t          rc;
    cp_err_t         err;
    cp_conf_do_e     what;
    cp_log_level_e   level;

    static cp_app_t     app;
    static cp_arena_t  *a;         /* as long as the process                */

    memset(&err, 0, sizeof(cp_err_t));

    a = cp_arena_create(CP_MAIN_ARENA_MAX);
    if (a == NULL) {
        return cp_main_fail(&err);
    }

    err.arena = a;
    cp_resource_kinds(cp_kinds);

    rc = cp_conf_load(a, argc, argv, &app.conf, &what, &err);

    if (rc != CP_OK) {
        return cp_main_fail(&err);
    }

    if (what == CP_CONF_EXIT) {
        cp_arena_destroy(a);
        return 0;
    }

    (void) umask(077);             /* the database, the token: ours alone   */

    level = CP_LOG_WARN;

    if (what == CP_CONF_RUN) {
        (void) cp_log_level_find(app.conf.log_level, &level);
    }

    cp_log_setup(level, strcmp(app.conf.log_format, "json") == 0);

    if (what != CP_CONF_RUN) {
        rc = cp_main_do(&app, what, a, &err);
        n = (rc == CP_OK) ? 0 : cp_main_fail(&err);
        cp_arena_destroy(a);
        return n;
    }

    cp_main_limits(&app.conf);
    cp_main_signals();

    if (cp_main_start(&app, a, &err) != CP_OK) {
        n = cp_main_fail(&err);
        (void) fflush(NULL);

        /* threads of the database and of HTTP may run: what exit() takes
         * down is theirs, too */

        _exit(n);
    }

    cp_main_wait();

    atomic_store(&app.stopping, true);
    cp_http_stop(app.http, app.conf.shutdown_timeout_s * 1000);
    cp_jobs_stop();
    (void) cp_denial_job(&app);        /* what nobody has written yet        */
    cp_discovery_stop();
    cp_db_close(app.db);

    /* jobs and the database wake it to the last */

    cp_http_destroy(app.http);
    cp_arena_destroy(a);

    cp_log(CP_LOG_INFO, "main", "ended");

    return 0;
}
