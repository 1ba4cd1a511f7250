/*
 * Starting and ending the two threads of worker 0, and their lease.
 *
 * At a reload the old worker 0 may serve for hours.  The new one takes the
 * lease when it starts; the old threads see that within half a second, and
 * before each commit, and end.  When the new one is gone while the old one
 * still takes connections (an upgrade of the binary that was taken back), the
 * old one starts them again.
 */

#include "ngx_http_stoa_sync.h"

#include <signal.h>


static ngx_int_t ngx_http_stoa_agent_run(ngx_http_stoa_agent_t *agent);
static void ngx_http_stoa_agent_timer(ngx_event_t *ev);
static ngx_uint_t ngx_http_stoa_agent_orphan(ngx_http_stoa_agent_t *agent);
static void ngx_http_stoa_agent_end(ngx_http_stoa_agent_t *agent);
static ngx_int_t ngx_http_stoa_agent_thread(pthread_t *thread,
    void *(*run)(void *), ngx_http_stoa_agent_t *agent);


static ngx_http_stoa_agent_t  *ngx_http_stoa_agent;


ngx_int_t
ngx_http_stoa_agent_start(ngx_http_stoa_main_conf_t *mcf, ngx_log_t *log)
{
    ngx_http_stoa_agent_t  *agent;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        ngx_log_error(NGX_LOG_ALERT, log, 0, "curl_global_init() failed");
        return NGX_ERROR;
    }

    agent = ngx_calloc(sizeof(ngx_http_stoa_agent_t), log);
    if (agent == NULL) {
        return NGX_ERROR;
    }

    agent->mcf = mcf;
    agent->log = log;
    ngx_http_stoa_agent = agent;

    if (ngx_http_stoa_agent_run(agent) != NGX_OK) {
        ngx_http_stoa_agent_stop();
        return NGX_ERROR;
    }

    agent->dummy.fd = (ngx_socket_t) -1;
    agent->timer.handler = ngx_http_stoa_agent_timer;
    agent->timer.data = &agent->dummy;
    agent->timer.log = log;
    agent->timer.cancelable = 1;

    ngx_add_timer(&agent->timer, 1000);

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_agent_run(ngx_http_stoa_agent_t *agent)
{
    if (ngx_http_stoa_client_init(agent, &agent->sync) != NGX_OK
        || ngx_http_stoa_client_init(agent, &agent->report) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ALERT, agent->log, 0, "cannot set up libcurl");
        return NGX_ERROR;
    }

    agent->lease = ngx_http_stoa_env_lease(agent->mcf);
    (void) pthread_mutex_init(&agent->flush, NULL);

    if (ngx_http_stoa_agent_thread(&agent->sync_thread,
                                   ngx_http_stoa_sync_run, agent)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    agent->sync_runs = 1;

    if (ngx_http_stoa_agent_thread(&agent->report_thread,
                                   ngx_http_stoa_report_run, agent)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    agent->report_runs = 1;

    return NGX_OK;
}


static void
ngx_http_stoa_agent_timer(ngx_event_t *ev)
{
    ngx_http_stoa_agent_t  *agent;

    agent = ngx_http_stoa_agent;

    if (ngx_http_stoa_agent_orphan(agent)) {
        ngx_log_error(NGX_LOG_NOTICE, ev->log, 0,
                      "nobody keeps the configuration in sync any more, this "
                      "worker does");

        ngx_http_stoa_agent_end(agent);

        if (ngx_http_stoa_agent_run(agent) != NGX_OK) {
            ngx_http_stoa_agent_end(agent);
        }
    }

    ngx_add_timer(ev, 1000);
}


/* Has whoever took the lease from us died?  Threads that are not through do
 * not hold up the event loop. */

static ngx_uint_t
ngx_http_stoa_agent_orphan(ngx_http_stoa_agent_t *agent)
{
    uint64_t              pid;
    ngx_http_stoa_dir_t  *dir;

    dir = agent->mcf->dir;

    if (ngx_http_stoa_lease_owns(agent) || ngx_exiting
        || ngx_http_stoa_load(&agent->ended)
           != (uint64_t) agent->sync_runs + agent->report_runs)
    {
        return 0;
    }

    pid = ngx_http_stoa_load(&dir->lease_pid);

    return ngx_http_stoa_load(&dir->lease) == 0
           || (kill((pid_t) pid, 0) == -1 && errno == ESRCH);
}


static ngx_int_t
ngx_http_stoa_agent_thread(pthread_t *thread, void *(*run)(void *),
    ngx_http_stoa_agent_t *agent)
{
    int       err;
    sigset_t  all, old;

    /* nginx's handlers belong to the event loop */

    (void) sigfillset(&all);
    (void) pthread_sigmask(SIG_SETMASK, &all, &old);

    err = pthread_create(thread, NULL, run, agent);

    (void) pthread_sigmask(SIG_SETMASK, &old, NULL);

    if (err) {
        ngx_log_error(NGX_LOG_ALERT, agent->log, err,
                      "pthread_create() failed");
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* The report thread posts what was counted until now, for at most
 * NGX_HTTP_STOA_FLUSH_MS, unless another worker 0 has the lease. */

void
ngx_http_stoa_agent_stop(void)
{
    ngx_http_stoa_agent_t  *agent;

    agent = ngx_http_stoa_agent;

    if (agent == NULL) {
        return;
    }

    if (agent->timer.timer_set) {
        ngx_del_timer(&agent->timer);
    }

    ngx_http_stoa_store(&agent->stop, (uint64_t) 1);

    ngx_http_stoa_agent_end(agent);

    ngx_http_stoa_agent = NULL;
    ngx_free(agent);
}


/* Joins the threads and gives the lease back. */

static void
ngx_http_stoa_agent_end(ngx_http_stoa_agent_t *agent)
{
    uint64_t  lease;

    if (agent->sync_runs) {
        ngx_http_stoa_client_wake(&agent->sync);
    }

    if (agent->report_runs) {
        ngx_http_stoa_client_wake(&agent->report);
    }

    if (agent->sync_runs) {
        (void) pthread_join(agent->sync_thread, NULL);
    }

    if (agent->report_runs) {
        (void) pthread_join(agent->report_thread, NULL);
    }

    ngx_http_stoa_client_free(&agent->sync);
    ngx_http_stoa_client_free(&agent->report);
    ngx_http_stoa_flush_free(agent);

    agent->sync_runs = 0;
    agent->report_runs = 0;
    agent->ended = 0;

    lease = agent->lease;
    (void) ngx_http_stoa_cas(&agent->mcf->dir->lease, &lease, (uint64_t) 0);
}
