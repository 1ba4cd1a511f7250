/*
 * When commits reach the disk: the sync thread puts them in force and the
 * report thread flushes them, at most once a second, so that no change waits
 * for a slow disk (ngx_http_stoa_durable.c).
 */

#include "ngx_http_stoa_sync.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif


#define NGX_HTTP_STOA_FLUSH_EACH_MS  1000


static int ngx_http_stoa_flush_store(ngx_http_stoa_agent_t *agent,
    ngx_http_stoa_env_t *env);


/* All of env now; the flags of the transactions that follow. */

unsigned
ngx_http_stoa_flush_all(ngx_http_stoa_agent_t *agent,
    ngx_http_stoa_env_t *env)
{
    int       rc;
    uint64_t  commits;

    commits = ngx_http_stoa_load(&agent->commits);

    (void) pthread_mutex_lock(&agent->flush);
    rc = ngx_http_stoa_flush_store(agent, env);
    (void) pthread_mutex_unlock(&agent->flush);

    if (rc != 0) {
        ngx_log_error(NGX_LOG_WARN, agent->log, 0,
                      "store \"%s\": each commit waits for the disk: %s",
                      env->path, mdb_strerror(rc));
        return MDB_NOMETASYNC;
    }

    ngx_http_stoa_store(&agent->flushed, commits);

    return MDB_NOSYNC;
}


/* The report thread's turn. */

void
ngx_http_stoa_flush_turn(ngx_http_stoa_agent_t *agent, uint64_t now)
{
    int       rc;
    uint64_t  commits;

    commits = ngx_http_stoa_load(&agent->commits);

    if (commits == ngx_http_stoa_load(&agent->flushed)
        || now < agent->flush_next_ms)
    {
        return;
    }

    (void) pthread_mutex_lock(&agent->flush);

    rc = agent->durable ? ngx_http_stoa_flush_store(agent, agent->durable)
                        : 0;

    (void) pthread_mutex_unlock(&agent->flush);

    agent->flush_next_ms = now + NGX_HTTP_STOA_FLUSH_EACH_MS;

    if (rc == 0) {
        ngx_http_stoa_store(&agent->flushed, commits);
        return;
    }

    /* what the kernel could not write it may have forgotten */

    ngx_log_error(NGX_LOG_ERR, agent->log, 0,
                  "the store cannot be flushed, it will be loaded anew: %s",
                  mdb_strerror(rc));

    agent->flush_next_ms = now + 10 * NGX_HTTP_STOA_FLUSH_EACH_MS;

    if (rc != ENOSPC && rc != EDQUOT) {
        ngx_http_stoa_store(&agent->mcf->dir->store_bad, (uint64_t) 1);
    }
}


/* The mutex is held. */

static int
ngx_http_stoa_flush_store(ngx_http_stoa_agent_t *agent,
    ngx_http_stoa_env_t *env)
{
    int       rc;
    MDB_txn  *pin;

    rc = ngx_http_stoa_durable_sync(env, &pin);

    if (rc != 0) {
        return rc;
    }

    if (env == agent->durable) {
        mdb_txn_abort(agent->pin);
        agent->pin = pin;
        return 0;
    }

    env = ngx_http_stoa_env_open(env->path, env->size, 0, &rc);

    if (env == NULL) {
        mdb_txn_abort(pin);
        return rc;
    }

    ngx_http_stoa_flush_free(agent);

    agent->durable = env;
    agent->pin = pin;

    return 0;
}


void
ngx_http_stoa_flush_free(ngx_http_stoa_agent_t *agent)
{
    if (agent->durable) {
        mdb_txn_abort(agent->pin);
        ngx_http_stoa_env_close(agent->durable);
        agent->durable = NULL;
    }
}


/* LMDB keeps the pages that its largest transaction had in memory as long as
 * the environment is open, and loading has the largest of all. */

int
ngx_http_stoa_flush_reopen(ngx_http_stoa_writer_t *w)
{
    int                    rc;
    size_t                 size;
    char                   path[NGX_MAX_PATH];
    ngx_http_stoa_env_t   *env;
    ngx_http_stoa_meta_t   committed;

    (void) strcpy(path, w->env->path);
    size = w->env->size;
    committed = w->committed;

    ngx_http_stoa_writer_free(w);

    env = ngx_http_stoa_env_open(path, size, 0, &rc);

    if (env == NULL) {
        return rc;
    }

    ngx_http_stoa_writer_init(w, env, MDB_NOSYNC);
    w->committed = committed;

#if defined(__GLIBC__)
    (void) malloc_trim(0);
#endif

    return 0;
}
