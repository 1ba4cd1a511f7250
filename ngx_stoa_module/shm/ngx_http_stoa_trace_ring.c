/*
 * Traces of calls: the last ones.  They lie in sets by the tenant
 * that was called, so that a flood of one tenant's refusals leaves three of
 * four others theirs.  In a set the oldest goes.
 *
 * Process: workers.  A set's lock is held for a copy.
 */

#include "ngx_http_stoa_zone.h"
#include "core/stoa_key.h"


static ngx_http_stoa_traced_t *
ngx_http_stoa_trace_set(ngx_http_stoa_sh_t *sh, uint64_t set)
{
    return (ngx_http_stoa_traced_t *)
           ((u_char *) sh + sh->trace_off
            + set * sh->trace_ways * sizeof(ngx_http_stoa_traced_t));
}


void
ngx_http_stoa_trace_put(ngx_http_stoa_sh_t *sh,
    const ngx_http_stoa_traced_t *traced)
{
    uint64_t                 set, i;
    ngx_http_stoa_traced_t  *slot, *best;

    if (sh->trace_sets == 0) {
        return;
    }

    set = stoa_hash64(&traced->tenant, sizeof(stoa_id_t), sh->started_ms)
          % sh->trace_sets;
    slot = ngx_http_stoa_trace_set(sh, set);
    best = slot;

    ngx_http_stoa_lock_take(&sh->trace_lock[set]);

    for (i = 1; i < sh->trace_ways; i++) {
        if (slot[i].number < best->number) {
            best = &slot[i];
        }
    }

    ngx_http_stoa_count(traces_evicted, best->number != 0);

    /* whoever is killed in between leaves a slot that nobody reads */

    ngx_http_stoa_store(&best->number, (uint64_t) 0);
    ngx_memcpy((u_char *) best + sizeof(uint64_t),
               (const u_char *) traced + sizeof(uint64_t),
               offsetof(ngx_http_stoa_traced_t, note) - sizeof(uint64_t));
    ngx_memcpy(best->note, traced->note,
               traced->n * sizeof(ngx_http_stoa_traced_note_t));
    ngx_memcpy(best->text, traced->text, traced->len);
    ngx_http_stoa_store(&best->number,
                        __atomic_add_fetch(&sh->trace_number, 1,
                                           __ATOMIC_RELAXED));

    ngx_http_stoa_lock_drop(&sh->trace_lock[set]);
}


static ngx_uint_t
ngx_http_stoa_trace_chosen(const ngx_http_stoa_trace_query_t *q,
    const ngx_http_stoa_traced_t *slot)
{
    const u_char  *name;

    if (q->status[1]
        && (slot->status < q->status[0] || slot->status > q->status[1]))
    {
        return 0;
    }

    if (q->api.len == 0) {
        return 1;
    }

    /* of what is not there for the tenant he is not told a name */

    name = &slot->text[slot->names[NGX_HTTP_STOA_TRACED_API]];

    return slot->names[NGX_HTTP_STOA_TRACED_API]
           && (slot->status != NGX_HTTP_NOT_FOUND
               || q->tenant == NULL
               || ngx_memcmp(q->tenant, &slot->tenant, sizeof(stoa_id_t))
                  == 0)
           && *name == q->api.len
           && ngx_memcmp(name + 1, q->api.data, q->api.len) == 0;
}


static ngx_uint_t
ngx_http_stoa_trace_fits(const ngx_http_stoa_trace_query_t *q,
    const ngx_http_stoa_traced_t *slot)
{
    return slot->number > q->after
           && (q->until == 0 || slot->number <= q->until)
           && (q->tenant == NULL
               || ngx_memcmp(q->tenant, &slot->tenant, sizeof(stoa_id_t)) == 0
               || ngx_memcmp(q->tenant, &slot->consumer, sizeof(stoa_id_t))
                  == 0)
           && (q->id.len == 0
               || (q->id.len == slot->id_len
                   && ngx_memcmp(q->id.data, slot->id, q->id.len) == 0))
           && ngx_http_stoa_trace_chosen(q, slot);
}


ngx_uint_t
ngx_http_stoa_trace_count(ngx_http_stoa_sh_t *sh,
    const ngx_http_stoa_trace_query_t *q, ngx_uint_t *gap)
{
    uint64_t                 set, i;
    ngx_uint_t               n, younger;
    ngx_http_stoa_traced_t  *slot;

    n = 0;
    *gap = 0;

    for (set = 0; set < sh->trace_sets; set++) {
        slot = ngx_http_stoa_trace_set(sh, set);

        ngx_http_stoa_lock_take(&sh->trace_lock[set]);

        for (i = 0, younger = 0; i < sh->trace_ways; i++) {
            n += ngx_http_stoa_trace_fits(q, &slot[i]);
            younger += slot[i].number > q->after;
        }

        ngx_http_stoa_lock_drop(&sh->trace_lock[set]);
        *gap |= younger == sh->trace_ways;
    }

    return n;
}


ngx_uint_t
ngx_http_stoa_trace_next(ngx_http_stoa_sh_t *sh,
    const ngx_http_stoa_trace_query_t *q, ngx_http_stoa_traced_t *traced)
{
    uint64_t                 set, i;
    ngx_uint_t               found;
    ngx_http_stoa_traced_t  *slot, *best;

    found = 0;

    for (set = 0; set < sh->trace_sets; set++) {
        slot = ngx_http_stoa_trace_set(sh, set);
        best = NULL;

        ngx_http_stoa_lock_take(&sh->trace_lock[set]);

        for (i = 0; i < sh->trace_ways; i++) {
            if ((found && slot[i].number >= traced->number)
                || (best && slot[i].number >= best->number)
                || !ngx_http_stoa_trace_fits(q, &slot[i]))
            {
                continue;
            }

            best = &slot[i];
        }

        if (best) {
            ngx_memcpy(traced, best, sizeof(ngx_http_stoa_traced_t));
            found = 1;
        }

        ngx_http_stoa_lock_drop(&sh->trace_lock[set]);
    }

    return found;
}


ngx_uint_t
ngx_http_stoa_trace_last(ngx_http_stoa_sh_t *sh,
    const ngx_http_stoa_trace_query_t *q, uint64_t *last, ngx_uint_t most)
{
    uint64_t                 set, i, number;
    ngx_uint_t               k, n;
    ngx_http_stoa_traced_t  *slot;

    n = 0;

    for (set = 0; set < sh->trace_sets && most; set++) {
        slot = ngx_http_stoa_trace_set(sh, set);

        ngx_http_stoa_lock_take(&sh->trace_lock[set]);

        for (i = 0; i < sh->trace_ways; i++) {
            number = slot[i].number;

            if ((n == most && number <= last[n - 1])
                || !ngx_http_stoa_trace_fits(q, &slot[i]))
            {
                continue;
            }

            n += n < most;

            for (k = n - 1; k && last[k - 1] < number; k--) {
                last[k] = last[k - 1];
            }

            last[k] = number;
        }

        ngx_http_stoa_lock_drop(&sh->trace_lock[set]);
    }

    return n;
}
