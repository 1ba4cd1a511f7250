/*
 * What all workers know of one address of a target.
 *
 * Found by a tag (a sum of api, target and address), in a set of few: without
 * a lock where it is there.  Process: workers, the threads of worker 0.
 */

#include "ngx_http_stoa_zone.h"
#include "ngx_http_stoa_time.h"


static const char *const  ngx_http_stoa_place_words[] = {
    "", "no connection", "no answer in time", "no valid answer", "no MCP"
};


static ngx_http_stoa_place_set_t *
ngx_http_stoa_place_set(ngx_http_stoa_sh_t *sh, uint64_t n)
{
    ngx_http_stoa_place_set_t  *sets;

    sets = (ngx_http_stoa_place_set_t *) ((u_char *) sh + sh->place_off);

    return &sets[n & (sh->place_sets - 1)];
}


static ngx_http_stoa_place_t *
ngx_http_stoa_place_find(ngx_http_stoa_place_set_t *set, uint64_t tag)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_STOA_PLACE_WAYS; i++) {
        if (ngx_http_stoa_load(&set->way[i].tag) == tag) {
            return &set->way[i];
        }
    }

    return NULL;
}


/* A free one, or the one that was not used for the longest time. */

static ngx_http_stoa_place_t *
ngx_http_stoa_place_spare(ngx_http_stoa_place_set_t *set, uint64_t now)
{
    ngx_uint_t              i;
    ngx_http_stoa_place_t  *place, *oldest;

    oldest = NULL;

    for (i = 0; i < NGX_HTTP_STOA_PLACE_WAYS; i++) {
        place = &set->way[i];

        if (place->tag == 0) {
            return place;
        }

        if (place->used_ms + NGX_HTTP_STOA_PLACE_KEPT < now
            && (oldest == NULL || place->used_ms < oldest->used_ms))
        {
            oldest = place;
        }
    }

    return oldest;
}


ngx_http_stoa_place_t *
ngx_http_stoa_place(ngx_http_stoa_sh_t *sh, uint64_t tag,
    ngx_http_stoa_place_e kind, const stoa_id_t *api, const ngx_str_t *name)
{
    uint64_t                    now;
    ngx_http_stoa_place_t      *place;
    ngx_http_stoa_place_set_t  *set;

    set = ngx_http_stoa_place_set(sh, tag);
    place = ngx_http_stoa_place_find(set, tag);

    if (place) {
        return place;
    }

    now = ngx_http_stoa_wall_ms();

    ngx_http_stoa_lock_take(&set->lock);

    place = ngx_http_stoa_place_find(set, tag);

    if (place == NULL) {
        place = ngx_http_stoa_place_spare(set, now);

        if (place) {
            ngx_http_stoa_store(&place->tag, (uint64_t) 0);
            ngx_memzero(place, sizeof(ngx_http_stoa_place_t));

            place->kind = kind;
            place->used_ms = now;
            place->api = *api;
            (void) ngx_cpystrn((u_char *) place->name, name->data,
                               ngx_min(name->len + 1, sizeof(place->name)));

            ngx_http_stoa_store(&place->tag, tag);
        }
    }

    ngx_http_stoa_lock_drop(&set->lock);

    if (place == NULL) {
        ngx_http_stoa_count(place_full, 1);
    }

    return place;
}


void
ngx_http_stoa_place_free(ngx_http_stoa_sh_t *sh, uint64_t tag)
{
    ngx_http_stoa_place_t      *place;
    ngx_http_stoa_place_set_t  *set;

    set = ngx_http_stoa_place_set(sh, tag);

    ngx_http_stoa_lock_take(&set->lock);

    place = ngx_http_stoa_place_find(set, tag);

    if (place) {
        ngx_http_stoa_store(&place->tag, (uint64_t) 0);
    }

    ngx_http_stoa_lock_drop(&set->lock);
}


ngx_int_t
ngx_http_stoa_place_next(ngx_http_stoa_sh_t *sh, ngx_uint_t *n,
    ngx_http_stoa_place_t *copy)
{
    uint64_t                    now, all;
    ngx_http_stoa_place_t      *place;
    ngx_http_stoa_place_set_t  *set;

    now = ngx_http_stoa_wall_ms();
    all = sh->place_sets * NGX_HTTP_STOA_PLACE_WAYS;

    while (*n < all) {
        set = ngx_http_stoa_place_set(sh, *n / NGX_HTTP_STOA_PLACE_WAYS);
        place = &set->way[*n % NGX_HTTP_STOA_PLACE_WAYS];
        (*n)++;

        if (ngx_http_stoa_load(&place->tag) == 0) {
            continue;
        }

        ngx_memcpy(copy, place, sizeof(ngx_http_stoa_place_t));
        copy->name[sizeof(copy->name) - 1] = '\0';

        if (ngx_http_stoa_load(&place->tag) == copy->tag
            && copy->used_ms + NGX_HTTP_STOA_PLACE_KEPT > now)
        {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


void
ngx_http_stoa_place_why(uint64_t why, char *text)
{
    u_char  *p;

    if (why < sizeof(ngx_http_stoa_place_words)
              / sizeof(ngx_http_stoa_place_words[0]))
    {
        p = ngx_sprintf((u_char *) text, "%s", ngx_http_stoa_place_words[why]);

    } else {
        p = ngx_sprintf((u_char *) text, "status %uL", why % 1000);
    }

    *p = '\0';
}


const char *
ngx_http_stoa_place_health(const ngx_http_stoa_place_t *place)
{
    static const char *const  names[] = { "unknown", "up", "down" };

    return names[place->health <= NGX_HTTP_STOA_HEALTH_DOWN ? place->health
                                                            : 0];
}


const char *
ngx_http_stoa_place_breaker(const ngx_http_stoa_place_t *place)
{
    static const char *const  names[] = { "closed", "open", "half_open",
        "" };

    return names[ngx_http_stoa_breaker_state(place->breaker)];
}
