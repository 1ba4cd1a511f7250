/*
 * Proofs of possession that were shown, for all workers of a node: none is
 * taken twice.
 *
 * A set has a few places under one lock, which is held for a look at them.
 * What is in none of them was not shown; where all are taken nobody can say
 * so, and the call is refused.  Process: workers.
 */

#include "ngx_http_stoa_zone.h"
#include "core/stoa_key.h"
#include "core/stoa_once.h"


static uint64_t ngx_http_stoa_proof_second(ngx_http_stoa_sh_t *sh,
    int64_t ms);


ngx_int_t
ngx_http_stoa_proof_put(ngx_http_stoa_sh_t *sh, const u_char *text,
    size_t len, int64_t now_ms, int64_t until_ms)
{
    uint64_t                    h[2];
    stoa_rc_t                   rc;
    ngx_http_stoa_proof_set_t  *set;

    stoa_siphash(text, len, sh->proof_secret, h);

    set = (ngx_http_stoa_proof_set_t *) ((u_char *) sh + sh->proof_off);
    set += h[0] % sh->proof_sets;

    ngx_http_stoa_lock_take(&set->lock);

    rc = stoa_once(set->way, NGX_HTTP_STOA_PROOF_WAYS, h[1],
                   ngx_http_stoa_proof_second(sh, now_ms),
                   ngx_http_stoa_proof_second(sh, until_ms) + 1);

    ngx_http_stoa_lock_drop(&set->lock);

    return rc == STOA_OK ? NGX_OK
           : rc == STOA_DECLINED ? NGX_DECLINED : NGX_BUSY;
}


/* Of the zone's life; 0 is before any: what is free. */

static uint64_t
ngx_http_stoa_proof_second(ngx_http_stoa_sh_t *sh, int64_t ms)
{
    ms -= (int64_t) sh->started_ms;

    return (ms > 0 ? (uint64_t) ms / 1000 : 0) + 1;
}
