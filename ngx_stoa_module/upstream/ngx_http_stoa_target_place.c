/*
 * The place in the zone of an address, of an api that is watched; and which
 * statuses such an api means.
 *
 * Process: workers.
 */

#include "ngx_http_stoa_balance.h"
#include "ngx_http_stoa_time.h"
#include "core/stoa_key.h"


#define NGX_HTTP_STOA_TARGET_SEED   0x74617267ULL
#define NGX_HTTP_STOA_TARGET_AGAIN  1000        /* a place is looked for     */


static uint64_t ngx_http_stoa_target_tag(ngx_http_stoa_api_t *api,
    ngx_str_t *name);
static ngx_http_stoa_place_t *ngx_http_stoa_target_find(
    ngx_http_stoa_api_t *api, ngx_http_stoa_addr_t *addr,
    ngx_http_stoa_place_e kind);


ngx_http_stoa_place_t *
ngx_http_stoa_target_place(ngx_http_stoa_api_t *api,
    ngx_http_stoa_target_t *target, ngx_http_stoa_addr_t *addr)
{
    uint64_t  tag;

    if (addr->tag == 0) {
        tag = ngx_http_stoa_target_tag(api, &target->host);
        tag = stoa_hash64(target->path.data, target->path.len, tag);

        addr->tag = stoa_hash64(addr->name.data, addr->name.len,
                                tag + target->secure)
                    | 1;
    }

    return ngx_http_stoa_target_find(api, addr, NGX_HTTP_STOA_PLACE_TARGET);
}


ngx_http_stoa_place_t *
ngx_http_stoa_target_own(ngx_http_stoa_api_t *api)
{
    if (api->own.tag == 0) {
        api->own.tag = ngx_http_stoa_target_tag(api, &api->own.name) | 1;
    }

    return ngx_http_stoa_target_find(api, &api->own, NGX_HTTP_STOA_PLACE_API);
}


ngx_http_stoa_place_t *
ngx_http_stoa_target_group(ngx_http_stoa_api_t *api, ngx_uint_t group)
{
    ngx_http_stoa_addr_t  *addr;

    addr = &api->groups[group - 1];

    if (addr->tag == 0) {
        addr->tag = stoa_hash64("group", 5,
                                ngx_http_stoa_target_tag(api, &addr->name))
                    | 1;
    }

    return ngx_http_stoa_target_find(api, addr, NGX_HTTP_STOA_PLACE_GROUP);
}


/* The same in each worker, for as long as the target is the same. */

static uint64_t
ngx_http_stoa_target_tag(ngx_http_stoa_api_t *api, ngx_str_t *name)
{
    uint64_t  tag;

    tag = stoa_hash64(&api->id, sizeof(stoa_id_t), NGX_HTTP_STOA_TARGET_SEED);

    return stoa_hash64(name->data, name->len, tag);
}


/* Looked for is used, whatever for: nobody else gets it meanwhile. */

static ngx_http_stoa_place_t *
ngx_http_stoa_target_find(ngx_http_stoa_api_t *api,
    ngx_http_stoa_addr_t *addr, ngx_http_stoa_place_e kind)
{
    uint64_t                    now;
    ngx_http_stoa_place_t      *place;
    ngx_http_stoa_main_conf_t  *mcf;

    place = addr->place;

    if (place && ngx_http_stoa_load(&place->tag) == addr->tag) {
        now = (uint64_t) ngx_http_stoa_now_ms();

        if (place->used_ms + NGX_HTTP_STOA_PLACE_KEPT / 10 < now) {
            ngx_http_stoa_store(&place->used_ms, now);
        }

        return place;
    }

    if (place == NULL && addr->sought
        && ngx_current_msec - addr->sought < NGX_HTTP_STOA_TARGET_AGAIN)
    {
        return NULL;
    }

    mcf = ngx_http_cycle_get_module_main_conf(ngx_cycle, ngx_http_stoa_module);

    addr->sought = ngx_current_msec | 1;
    addr->place = ngx_http_stoa_place(mcf->sh, addr->tag, kind, &api->id,
                                      &addr->name);

    return addr->place;
}


ngx_uint_t
ngx_http_stoa_target_status(ngx_http_stoa_api_t *api, const stoa_vec_t *list,
    ngx_uint_t status)
{
    uint32_t           i;
    stoa_str_t         s;
    ngx_int_t          exact;
    const stoa_ref_t  *ref;

    ref = stoa_rec_vec(api->rec, *list, stoa_ref_t);

    for (i = 0; i < list->n; i++) {
        s = stoa_rec_str(api->rec, ref[i]);
        exact = ngx_atoi((u_char *) s.data, s.len);

        if (exact == (ngx_int_t) status
            || (exact == NGX_ERROR && s.len
                && (ngx_uint_t) (s.data[0] - '0') == status / 100))
        {
            return 1;
        }
    }

    return 0;
}
