/*
 * What is known of tokens, for all workers of a node: nobody verifies one
 * twice.  And which issuers have keys that are not known here.
 *
 * A set has a few places under one lock, which is held for a copy.  When all
 * are taken, the one that ends first goes.  Process: workers, the report
 * thread.
 */

#include "ngx_http_stoa_zone.h"


static ngx_http_stoa_token_set_t *
ngx_http_stoa_token_set(ngx_http_stoa_sh_t *sh, const u_char *hash)
{
    uint64_t                    h;
    ngx_http_stoa_token_set_t  *sets;

    if (sh->token_sets == 0) {
        return NULL;
    }

    sets = (ngx_http_stoa_token_set_t *) ((u_char *) sh + sh->token_off);
    ngx_memcpy(&h, hash, sizeof(h));

    return &sets[h % sh->token_sets];
}


size_t
ngx_http_stoa_token_get(ngx_http_stoa_sh_t *sh, const u_char *hash,
    int64_t now_ms, u_char *text)
{
    size_t                       len;
    ngx_uint_t                   i;
    ngx_http_stoa_token_set_t   *set;
    ngx_http_stoa_token_slot_t  *slot;

    set = ngx_http_stoa_token_set(sh, hash);
    if (set == NULL) {
        return 0;
    }

    len = 0;

    ngx_http_stoa_lock_take(&set->lock);

    for (i = 0; i < NGX_HTTP_STOA_TOKEN_WAYS; i++) {
        slot = &set->way[i];

        if (ngx_memcmp(slot->hash, hash, sizeof(slot->hash)) == 0
            && slot->until_ms > now_ms
            && slot->len <= NGX_HTTP_STOA_TOKEN_TEXT)
        {
            len = slot->len;
            ngx_memcpy(text, slot->text, len);
            break;
        }
    }

    ngx_http_stoa_lock_drop(&set->lock);

    return len;
}


void
ngx_http_stoa_token_put(ngx_http_stoa_sh_t *sh, const u_char *hash,
    int64_t until_ms, const u_char *text, size_t len)
{
    ngx_uint_t                   i;
    ngx_http_stoa_token_set_t   *set;
    ngx_http_stoa_token_slot_t  *slot, *best;

    set = ngx_http_stoa_token_set(sh, hash);

    if (set == NULL || len > NGX_HTTP_STOA_TOKEN_TEXT) {
        return;
    }

    ngx_http_stoa_lock_take(&set->lock);

    best = &set->way[0];

    for (i = 0; i < NGX_HTTP_STOA_TOKEN_WAYS; i++) {
        slot = &set->way[i];

        if (ngx_memcmp(slot->hash, hash, sizeof(slot->hash)) == 0) {
            best = slot;
            break;
        }

        if (slot->until_ms < best->until_ms) {
            best = slot;
        }
    }

    /* whoever is killed in between leaves a place that nobody reads */

    best->until_ms = 0;
    __atomic_thread_fence(__ATOMIC_RELEASE);

    ngx_memcpy(best->hash, hash, sizeof(best->hash));
    ngx_memcpy(best->text, text, len);
    best->len = len;

    __atomic_thread_fence(__ATOMIC_RELEASE);
    best->until_ms = until_ms;

    ngx_http_stoa_lock_drop(&set->lock);
}


void
ngx_http_stoa_hint_note(ngx_http_stoa_sh_t *sh, ngx_uint_t what,
    const stoa_id_t *id)
{
    ngx_uint_t             i;
    ngx_http_stoa_hint_t  *h;

    h = &sh->hints[what];
    ngx_http_stoa_lock_take(&h->lock);

    for (i = 0; i < NGX_HTTP_STOA_HINTED; i++) {

        if (h->id[i].c[0] == '\0') {
            h->id[i] = *id;
            break;
        }

        if (ngx_memcmp(&h->id[i], id, sizeof(stoa_id_t)) == 0) {
            break;
        }
    }

    ngx_http_stoa_lock_drop(&h->lock);
}


ngx_uint_t
ngx_http_stoa_hint_noted(ngx_http_stoa_sh_t *sh, ngx_uint_t what)
{
    return ngx_http_stoa_load(&sh->hints[what].id[0].c[0]) != '\0';
}


ngx_uint_t
ngx_http_stoa_hint_take(ngx_http_stoa_sh_t *sh, ngx_uint_t what,
    stoa_id_t *ids)
{
    ngx_uint_t             n;
    ngx_http_stoa_hint_t  *h;

    if (!ngx_http_stoa_hint_noted(sh, what)) {
        return 0;
    }

    h = &sh->hints[what];
    ngx_http_stoa_lock_take(&h->lock);

    for (n = 0; n < NGX_HTTP_STOA_HINTED && h->id[n].c[0]; n++) {
        ids[n] = h->id[n];
    }

    ngx_memzero(h->id, sizeof(h->id));

    ngx_http_stoa_lock_drop(&h->lock);

    return n;
}
