/*
 * What was purged.  A purge is an item in a record of its api (kind "purge" of
 * the feed), with a time; an answer has the time of the last one that was
 * known when its upstream was asked.  So nothing is looked for when a purge
 * comes: what it was for is found to be over when it is wanted, also what was
 * under way, and what a gateway kept that was away.
 *
 * Process: workers.  An answer that was looked at is noted to be newer.
 */

#include "ngx_http_stoa_cache.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_store.h"
#include "ngx_http_stoa_zone.h"


typedef struct {
    stoa_id_t  api;
    uint64_t   generation;
    int64_t    at_ms;
} ngx_http_stoa_purge_known_t;


static ngx_uint_t ngx_http_stoa_cache_purges(ngx_http_stoa_cached_t *c,
    const stoa_rec_purge_t *rec);
static ngx_uint_t ngx_http_stoa_cache_tagged(ngx_str_t *head,
    stoa_str_t tag);


static ngx_http_stoa_purge_known_t  ngx_http_stoa_purges[64];


/* Of few apis, so that a hit does not look it up: by the configuration. */

int64_t
ngx_http_stoa_cache_purge_ms(ngx_http_stoa_cached_t *c)
{
    uint64_t                      generation;
    const stoa_id_t              *id;
    const stoa_rec_purge_t       *rec;
    ngx_http_stoa_purge_known_t  *known;

    id = &c->ctx->call.api->rec->id;
    generation = ngx_http_stoa_store_generation(c->mcf->store);
    known = &ngx_http_stoa_purges[(u_char) id->c[STOA_ID_LEN - 1] % 64];

    if (known->generation == generation
        && ngx_memcmp(&known->api, id, sizeof(stoa_id_t)) == 0)
    {
        return known->at_ms;
    }

    rec = ngx_http_stoa_store_purge(c->mcf->store, id);

    known->api = *id;
    known->generation = generation;
    known->at_ms = rec ? rec->at_ms : 0;

    return known->at_ms;
}


ngx_uint_t
ngx_http_stoa_cache_purged(ngx_http_stoa_cached_t *c)
{
    const stoa_rec_purge_t  *rec;

    if (ngx_http_stoa_cache_purge_ms(c) <= c->note.purged_ms) {
        return 0;
    }

    rec = ngx_http_stoa_store_purge(c->mcf->store, &c->ctx->call.api->rec->id);

    if (rec == NULL || rec->at_ms <= c->note.purged_ms) {
        return 0;
    }

    if (rec->floor_ms > c->note.purged_ms
        || ngx_http_stoa_cache_purges(c, rec))
    {
        ngx_http_stoa_keep_drop(c->mcf->keep, &c->key, c->kept.gen);
        ngx_http_stoa_count(cache_purged, 1);
        return 1;
    }

    c->note.purged_ms = rec->at_ms;
    ngx_memcpy(c->kept.note, &c->note, sizeof(c->note));
    ngx_http_stoa_keep_note(c->mcf->keep, &c->kept);

    return 0;
}


/* Of items that are younger; its head is read if one asks for it. */

static ngx_uint_t
ngx_http_stoa_cache_purges(ngx_http_stoa_cached_t *c,
    const stoa_rec_purge_t *rec)
{
    uint32_t                       i;
    stoa_str_t                     s;
    ngx_str_t                      head, *path;
    ngx_uint_t                     match;
    const stoa_rec_purge_item_t   *item;

    ngx_str_null(&head);
    path = &c->ctx->call.path;
    item = stoa_rec_vec(rec, rec->items, stoa_rec_purge_item_t);

    for (i = 0; i < rec->items.n; i++) {

        if (item[i].at_ms <= c->note.purged_ms) {
            continue;
        }

        s = stoa_rec_str(rec, item[i].value);

        if (item[i].kind != STOA_PURGE_TAG) {
            match = path->len >= s.len
                    && (item[i].kind == STOA_PURGE_PREFIX
                        || path->len == s.len)
                    && ngx_memcmp(path->data, s.data, s.len) == 0;

        } else {

            if (head.data == NULL) {
                head.len = ngx_min(c->note.head_len, c->kept.len);
                head.data = ngx_pnalloc(c->request->pool, head.len + 1);

                if (head.data == NULL
                    || ngx_http_stoa_keep_read(c->mcf->keep, &c->kept, 0,
                                               head.data, head.len)
                       != NGX_OK)
                {
                    return 1;
                }
            }

            match = ngx_http_stoa_cache_tagged(&head, s);
        }

        if (match) {
            return 1;
        }
    }

    return 0;
}


/* Words with blanks or commas between, in any number of lines of either
 * name. */

static ngx_uint_t
ngx_http_stoa_cache_tagged(ngx_str_t *head, stoa_str_t tag)
{
    u_char      *p, *end, *last;
    size_t       len;
    stoa_str_t   list, word;

    last = head->data + head->len;

    for (p = head->data; p < last; p = end + 1) {
        end = ngx_strlchr(p, last, '\n');

        if (end == NULL) {
            break;
        }

        len = (size_t) (end - p) > 15
              && ngx_strncasecmp(p, (u_char *) "surrogate-key: ", 15) == 0
              ? 15
              : (size_t) (end - p) > 11
                && ngx_strncasecmp(p, (u_char *) "cache-tag: ", 11) == 0
              ? 11 : 0;

        list.data = (char *) p + len;
        list.len = end - p - len;

        while (len && stoa_cache_list(&list, &word)) {
            if (word.len == tag.len
                && ngx_memcmp(word.data, tag.data, tag.len) == 0)
            {
                return 1;
            }
        }
    }

    return 0;
}
