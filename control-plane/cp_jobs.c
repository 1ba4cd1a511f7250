/*
 * The table of background jobs, each on a thread of its own: a discovery that
 * waits for a slow upstream must not hold up an expiry.
 */

#include <pthread.h>
#include <time.h>

#include "client/cp_mail.h"
#include "cp_jobs.h"
#include "audit/cp_checkpoint.h"
#include "audit/cp_denial.h"
#include "discovery/cp_discovery.h"
#include "discovery/cp_issuer_keys.h"
#include "feed/cp_feed.h"
#include "feed/cp_question.h"
#include "http/cp_idempotency.h"
#include "auth/cp_session.h"
#include "kinds/cp_approval.h"
#include "kinds/cp_group_key.h"
#include "kinds/cp_provision.h"
#include "kinds/cp_notice.h"
#include "oidc/cp_oidc_login.h"
#include "oidc/cp_owner.h"
#include "people/cp_login.h"
#include "people/cp_news.h"
#include "resource/cp_engine.h"
#include "base/cp_metrics.h"


static const cp_job_t  cp_jobs[] = {
    { "expire",      1000,  cp_resource_job_expire },
    { "denials",     1000,  cp_denial_job },
    { "provision",   1000,  cp_provision_job },
    { "checkpoint",  1000,  cp_checkpoint_job },
    { "feed",        10000, cp_feed_job_compact },
    { "idempotency", 60000, cp_idempotency_job },
    { "approvals",   60000, cp_approval_job },
    { "questions",   60000, cp_question_job },
    { "group_keys",  10000, cp_group_key_job },
    { "sessions",    5000,  cp_session_job },
    { "logins",      1000,  cp_news_job },
    { "attempts",    60000, cp_login_job },
    { "discovery",   1000,  cp_discovery_job },
    { "issuer_keys", 1000,  cp_issuer_keys_job },
    { "mail",        500,   cp_mail_job },
    { "notices",     1000,  cp_notice_job },
    { "oidc",        1000,  cp_oidc_job },
    { "renewals",    1000,  cp_oidc_renew_job },
    { "owners",      200,   cp_owner_job }
};

#define CP_JOBS  (sizeof(cp_jobs) / sizeof(cp_jobs[0]))


static struct {
    pthread_t        thread[CP_JOBS];
    size_t           n;
    pthread_mutex_t  mutex;
    pthread_cond_t   cond;
    bool             ended;
    cp_app_t        *app;
} cp_jobs_run;


/* False when it is time to end. */

static bool
cp_jobs_wait(int64_t until)
{
    bool             go;
    struct timespec  ts;

    ts.tv_sec = until / 1000;
    ts.tv_nsec = until % 1000 * 1000000;

    (void) pthread_mutex_lock(&cp_jobs_run.mutex);

    while (!cp_jobs_run.ended && cp_time_mono_ms() < until) {
        (void) pthread_cond_timedwait(&cp_jobs_run.cond, &cp_jobs_run.mutex,
                                      &ts);
    }

    go = !cp_jobs_run.ended;

    (void) pthread_mutex_unlock(&cp_jobs_run.mutex);

    return go;
}


static cp_metric_t *
cp_jobs_failures(const cp_job_t *job)
{
    static char  labels[CP_JOBS][48];
    char        *text = labels[job - cp_jobs];

    (void) snprintf(text, sizeof(labels[0]), "job=\"%s\"", job->name);

    return cp_metric(CP_METRIC_COUNTER, "stoa_control_job_failures_total",
                     text, "Runs of background jobs that failed.");
}


static void *
cp_jobs_main(void *data)
{
    cp_rc_t          rc;
    int64_t          next;
    cp_metric_t     *failures;
    const cp_job_t  *job = data;

    failures = cp_jobs_failures(job);
    next = cp_time_mono_ms();

    do {
        rc = job->run(cp_jobs_run.app);

        /* CP_CONFLICT: somebody else was at it, next time then */

        if (rc == CP_ERROR) {
            cp_metric_add(failures, 1);
            cp_log(CP_LOG_ERROR, "job", "failed name:%s", job->name);
        }

        next += job->interval_ms;

        if (next < cp_time_mono_ms()) {
            next = cp_time_mono_ms() + job->interval_ms;
        }

    } while (cp_jobs_wait(next));

    return NULL;
}


cp_rc_t
cp_jobs_start(cp_app_t *app)
{
    pthread_condattr_t  attr;

    (void) pthread_condattr_init(&attr);
    (void) pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void) pthread_mutex_init(&cp_jobs_run.mutex, NULL);
    (void) pthread_cond_init(&cp_jobs_run.cond, &attr);
    (void) pthread_condattr_destroy(&attr);

    cp_jobs_run.app = app;
    cp_client_init();

    for (/* void */; cp_jobs_run.n < CP_JOBS; cp_jobs_run.n++) {

        if (pthread_create(&cp_jobs_run.thread[cp_jobs_run.n], NULL,
                           cp_jobs_main,
                           (void *) (uintptr_t) &cp_jobs[cp_jobs_run.n]) != 0)
        {
            return CP_ERROR;
        }
    }

    return CP_OK;
}


void
cp_jobs_stop(void)
{
    (void) pthread_mutex_lock(&cp_jobs_run.mutex);
    cp_jobs_run.ended = true;
    (void) pthread_cond_broadcast(&cp_jobs_run.cond);
    (void) pthread_mutex_unlock(&cp_jobs_run.mutex);

    while (cp_jobs_run.n > 0) {
        (void) pthread_join(cp_jobs_run.thread[--cp_jobs_run.n], NULL);
    }
}
