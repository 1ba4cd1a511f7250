/*
 * Starting and ending the two threads of worker 0, and their lease.
 *
 * At a reload the old worker 0 may serve for hours.  The new one takes the
 * lease when it starts; the old threads see that within half a second, and
 * before each commit, and end.
 */

#include "ngx_http_stoa_sync.h"

#include <signal.h>


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
    agent->lease = __atomic_add_fetch(&mcf->sh->lease_seq, 1,
                                      __ATOMIC_ACQ_REL);
    ngx_http_stoa_agent = agent;

    if (ngx_http_stoa_client_init(agent, &agent->sync) != NGX_OK
        || ngx_http_stoa_client_init(agent, &agent->report) != NGX_OK)
    {
        ngx_log_error(NGX_LOG_ALERT, log, 0, "cannot set up libcurl");
        goto failed;
    }

    ngx_http_stoa_store(&mcf->sh->lease, agent->lease);

    if (ngx_http_stoa_agent_thread(&agent->sync_thread,
                                   ngx_http_stoa_sync_run, agent)
        != NGX_OK)
    {
        goto failed;
    }

    agent->sync_runs = 1;

    if (ngx_http_stoa_agent_thread(&agent->report_thread,
                                   ngx_http_stoa_report_run, agent)
        != NGX_OK)
    {
        goto failed;
    }

    agent->report_runs = 1;

    return NGX_OK;

failed:

    ngx_http_stoa_agent_stop();

    return NGX_ERROR;
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

    ngx_http_stoa_agent = NULL;

    ngx_http_stoa_store(&agent->stop, (uint64_t) 1);

    ngx_http_stoa_client_wake(&agent->sync);
    ngx_http_stoa_client_wake(&agent->report);

    if (agent->sync_runs) {
        (void) pthread_join(agent->sync_thread, NULL);
    }

    if (agent->report_runs) {
        (void) pthread_join(agent->report_thread, NULL);
    }

    ngx_http_stoa_client_free(&agent->sync);
    ngx_http_stoa_client_free(&agent->report);
    ngx_free(agent);
}


ngx_uint_t
ngx_http_stoa_agent_owns(ngx_http_stoa_agent_t *agent)
{
    return ngx_http_stoa_load(&agent->mcf->sh->lease) == agent->lease;
}


ngx_uint_t
ngx_http_stoa_agent_over(ngx_http_stoa_agent_t *agent)
{
    return ngx_http_stoa_load(&agent->stop)
           || !ngx_http_stoa_agent_owns(agent);
}
