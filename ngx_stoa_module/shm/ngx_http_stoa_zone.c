/*
 * The shared zone: its directive, its layout, its life.  What is in it is the
 * business of _proc.c, _rate.c and _inflight.c.
 */

#include "ngx_http_stoa_zone.h"

#include <openssl/rand.h>


static char *ngx_http_stoa_zone_form(ngx_conf_t *cf, ngx_str_t *arg,
    ngx_str_t *name, ssize_t *size);
static ngx_int_t ngx_http_stoa_zone_init(ngx_shm_zone_t *shm_zone, void *data);
static ngx_int_t ngx_http_stoa_zone_create(ngx_shm_zone_t *shm_zone);
static void ngx_http_stoa_zone_layout(ngx_http_stoa_sh_t *sh, size_t size,
    ngx_uint_t nprocs);
static void ngx_http_stoa_zone_tell_lost(ngx_shm_zone_t *shm_zone);
static uint64_t ngx_http_stoa_zone_pow2(uint64_t n);


/* stoa_zone NAME:SIZE [on_full=deny|allow]; */

char *
ngx_http_stoa_zone_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_stoa_main_conf_t *mcf = conf;

    char       *rv;
    ssize_t     size;
    ngx_str_t   name, *value;

    if (mcf->zone) {
        return "is duplicate";
    }

    value = cf->args->elts;

    rv = ngx_http_stoa_zone_form(cf, &value[1], &name, &size);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (cf->args->nelts == 3) {

        if (ngx_strcmp(value[2].data, "on_full=deny") == 0) {
            mcf->zone_full_deny = 1;

        } else if (ngx_strcmp(value[2].data, "on_full=allow") == 0) {
            mcf->zone_full_deny = 0;

        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\" of \"stoa_zone\", it "
                               "must be on_full=deny or on_full=allow",
                               &value[2]);
            return NGX_CONF_ERROR;
        }
    }

    mcf->zone = ngx_shared_memory_add(cf, &name, size, &ngx_http_stoa_module);
    if (mcf->zone == NULL) {
        return NGX_CONF_ERROR;
    }

    mcf->zone->init = ngx_http_stoa_zone_init;
    mcf->zone->data = mcf;
    mcf->cycle = cf->cycle;

    return NGX_CONF_OK;
}


static char *
ngx_http_stoa_zone_form(ngx_conf_t *cf, ngx_str_t *arg, ngx_str_t *name,
    ssize_t *size)
{
    u_char     *p;
    ngx_str_t   s;

    p = (u_char *) ngx_strchr(arg->data, ':');

    if (p == NULL || p == arg->data) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid zone \"%V\", its form is NAME:SIZE, for "
                           "example \"stoa:16m\"", arg);
        return NGX_CONF_ERROR;
    }

    name->data = arg->data;
    name->len = p - arg->data;

    s.data = p + 1;
    s.len = arg->data + arg->len - s.data;

    *size = ngx_parse_size(&s);

    if (*size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid size \"%V\" of zone \"%V\"", &s, name);
        return NGX_CONF_ERROR;
    }

    if (*size < NGX_HTTP_STOA_ZONE_MIN) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" is too small: %z bytes, the least is "
                           "%d", name, *size, (int) NGX_HTTP_STOA_ZONE_MIN);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_stoa_zone_init(ngx_shm_zone_t *shm_zone, void *data)
{
    ngx_http_stoa_main_conf_t *omcf = data;

    ngx_slab_pool_t            *shpool;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = shm_zone->data;

    /* all is parsed, and a reload can still be given up */

    if (mcf->ready && mcf->ready(mcf) != NGX_OK) {
        return NGX_ERROR;
    }

    if (omcf || shm_zone->shm.exists) {

        shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;
        mcf->sh = shpool->data;

        if (mcf->sh == NULL || mcf->sh->magic != NGX_HTTP_STOA_ZONE_MAGIC
            || mcf->sh->layout != NGX_HTTP_STOA_ZONE_LAYOUT)
        {
            ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                          "zone \"%V\" belongs to another version of the "
                          "module: restart nginx instead of a reload",
                          &shm_zone->shm.name);
            return NGX_ERROR;
        }

        return NGX_OK;
    }

    return ngx_http_stoa_zone_create(shm_zone);
}


static ngx_int_t
ngx_http_stoa_zone_create(ngx_shm_zone_t *shm_zone)
{
    size_t                      size;
    ngx_uint_t                  nprocs;
    ngx_core_conf_t            *ccf;
    ngx_slab_pool_t            *shpool;
    ngx_http_stoa_main_conf_t  *mcf;

    ngx_http_stoa_zone_tell_lost(shm_zone);

    mcf = shm_zone->data;
    shpool = (ngx_slab_pool_t *) shm_zone->shm.addr;

    /* all of it in one piece: no node is ever given back */

    size = shpool->pfree * ngx_pagesize;
    mcf->sh = ngx_slab_calloc(shpool, size);

    if (mcf->sh == NULL) {
        ngx_log_error(NGX_LOG_EMERG, shm_zone->shm.log, 0,
                      "zone \"%V\": no %uz contiguous bytes",
                      &shm_zone->shm.name, size);
        return NGX_ERROR;
    }

    shpool->data = mcf->sh;

    /* during a reload there are two generations of workers, and the next one
     * may have one for each processor */

    ccf = (ngx_core_conf_t *) ngx_get_conf(mcf->cycle->conf_ctx,
                                           ngx_core_module);

    nprocs = 2 * ngx_max(ngx_max(ccf->worker_processes, 1), ngx_ncpu) + 8;
    nprocs = ngx_max(nprocs, NGX_HTTP_STOA_PROCS_MIN);
    nprocs = ngx_min(ngx_align(nprocs, 4), NGX_HTTP_STOA_PROCS_MAX);

    ngx_http_stoa_zone_layout(mcf->sh, size, nprocs);

    return RAND_bytes((u_char *) mcf->sh->proof_secret,
                      sizeof(mcf->sh->proof_secret))
           == 1 ? NGX_OK : NGX_ERROR;
}


/* At most a sixteenth for targets, one for traces, one for proofs of
 * possession, a sixth of the rest for
 * in-flight slots, what is left for rate slots; the sets of all are powers of
 * two, so that up to a half may be left over, which is for tokens. */

static void
ngx_http_stoa_zone_layout(ngx_http_stoa_sh_t *sh, size_t size,
    ngx_uint_t nprocs)
{
    size_t  head, left, set, slots;

    head = offsetof(ngx_http_stoa_sh_t, procs)
           + nprocs * sizeof(ngx_http_stoa_proc_t);
    head = ngx_align(head, 128);

    sh->place_off = head;
    sh->place_sets = ngx_http_stoa_zone_pow2((size - head) / 16
                                         / sizeof(ngx_http_stoa_place_set_t));
    head = ngx_align(head + sh->place_sets
                            * sizeof(ngx_http_stoa_place_set_t), 128);
    slots = (size - head) / 16
            / sizeof(ngx_http_stoa_traced_t);
    sh->trace_off = head;
    sh->trace_sets = slots < 8 * NGX_HTTP_STOA_TRACE_SETS
                     ? slots != 0 : NGX_HTTP_STOA_TRACE_SETS;
    sh->trace_ways = sh->trace_sets ? slots / sh->trace_sets : 0;
    head = ngx_align(head + sh->trace_sets * sh->trace_ways
                            * sizeof(ngx_http_stoa_traced_t), 128);

    sh->proof_off = head;
    sh->proof_sets = ngx_max((size - head) / 16
                             / sizeof(ngx_http_stoa_proof_set_t), 1);
    head = ngx_align(head + sh->proof_sets
                            * sizeof(ngx_http_stoa_proof_set_t), 128);

    left = size - head;

    sh->layout = NGX_HTTP_STOA_ZONE_LAYOUT;
    sh->nprocs = nprocs;
    sh->size = size;
    sh->started_ms = ngx_http_stoa_wall_ms();

    /* who has seen all traces of the last zone goes on with those of this one;
     * there are never a thousand in a millisecond */

    sh->trace_number = sh->started_ms * 1000;

    /* numbers begin anew with the zone */

    ngx_memcpy(sh->denials.id, &sh->started_ms, sizeof(uint64_t));
    ngx_memcpy(sh->denials.id + sizeof(uint64_t), &ngx_pid, sizeof(ngx_pid));

    sh->fly_off = head;
    sh->fly_slot_size = sizeof(uint64_t) + nprocs * sizeof(uint16_t);
    set = sizeof(uint64_t) + NGX_HTTP_STOA_FLY_WAYS * sh->fly_slot_size;
    sh->fly_sets = ngx_http_stoa_zone_pow2(left / 6 / set);

    sh->rate_off = ngx_align(head + sh->fly_sets * set, 128);
    sh->rate_sets = ngx_http_stoa_zone_pow2((size - sh->rate_off)
                                          / sizeof(ngx_http_stoa_rate_set_t));

    sh->token_off = ngx_align(sh->rate_off + sh->rate_sets
                                         * sizeof(ngx_http_stoa_rate_set_t),
                              128);
    sh->token_sets = sh->token_off < size
                     ? (size - sh->token_off)
                       / sizeof(ngx_http_stoa_token_set_t) : 0;

    ngx_http_stoa_store(&sh->magic, NGX_HTTP_STOA_ZONE_MAGIC);
}


/* nginx gives a zone of a changed size fresh memory without a word. */

static void
ngx_http_stoa_zone_tell_lost(ngx_shm_zone_t *shm_zone)
{
    ngx_uint_t        i;
    ngx_shm_zone_t   *zone;
    ngx_list_part_t  *part;

    part = (ngx_list_part_t *) &ngx_cycle->shared_memory.part;

    for ( /* void */ ; part; part = part->next) {
        zone = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (zone[i].tag == &ngx_http_stoa_module && &zone[i] != shm_zone
                && zone[i].shm.addr != NULL)
            {
                ngx_log_error(NGX_LOG_WARN, shm_zone->shm.log, 0,
                              "zone \"%V\" of %uz bytes replaces \"%V\" of "
                              "%uz: rate limits and in-flight counts start "
                              "afresh", &shm_zone->shm.name,
                              shm_zone->shm.size, &zone[i].shm.name,
                              zone[i].shm.size);
                return;
            }
        }
    }
}


static uint64_t
ngx_http_stoa_zone_pow2(uint64_t n)
{
    uint64_t  p;

    for (p = 1; p * 2 <= n; p *= 2) { /* void */ }

    return p;
}


/* One writer (the owner of the lease), many readers. */

void
ngx_http_stoa_zone_sync_err(ngx_http_stoa_sh_t *sh, const char *text)
{
    size_t  n;

    n = ngx_min(strlen(text), sizeof(sh->sync_err) - 1);

    ngx_http_stoa_store(&sh->sync_err_seq, sh->sync_err_seq | 1);
    __atomic_thread_fence(__ATOMIC_RELEASE);

    ngx_memcpy(sh->sync_err, text, n);
    sh->sync_err[n] = '\0';

    ngx_http_stoa_store(&sh->sync_err_seq, sh->sync_err_seq + 1);
}


void
ngx_http_stoa_zone_sync_err_get(ngx_http_stoa_sh_t *sh, char *text)
{
    uint64_t    seq;
    ngx_uint_t  i;

    for (i = 0; i < 16; i++) {
        seq = ngx_http_stoa_load(&sh->sync_err_seq);

        ngx_memcpy(text, sh->sync_err, NGX_HTTP_STOA_SYNC_ERR_LEN);
        text[NGX_HTTP_STOA_SYNC_ERR_LEN - 1] = '\0';

        /* nothing of the copy is read after the second look */

        __atomic_thread_fence(__ATOMIC_ACQUIRE);

        if ((seq & 1) == 0 && seq == ngx_http_stoa_load(&sh->sync_err_seq)) {
            return;
        }
    }

    text[0] = '\0';
}


const char *
ngx_http_stoa_zone_sync_state(ngx_http_stoa_sh_t *sh)
{
    uint64_t                  state;
    static const char *const  names[] = { "starting", "connected", "loading",
                                          "failing", "unauthorized",
                                          "store_full" };

    state = ngx_http_stoa_load(&sh->sync_state);

    return names[state < sizeof(names) / sizeof(names[0]) ? state : 0];
}
