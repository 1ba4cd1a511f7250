/*
 * What of the zone is told to the control plane: how targets are, and what was
 * refused to whom.
 *
 * Process: the report thread of worker 0.
 */

#include "ngx_http_stoa_sync.h"
#include "core/stoa_key.h"


#define NGX_HTTP_STOA_NEWS_TARGETS  100


static void
ngx_http_stoa_news_row(stoa_buf_t *b, const ngx_http_stoa_denial_t *row)
{
    size_t  i;

    const struct {
        const char       *name;
        const stoa_id_t  *id;
    } ids[] = {
        { "api", &row->key.api },
        { "application", &row->key.application }
    };

    stoa_buf_addf(b, "{\"tenant\":\"%.16s\"", row->key.tenant.c);

    for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        if (ids[i].id->c[0]) {
            stoa_buf_addf(b, ",\"%s\":\"%.16s\"", ids[i].name, ids[i].id->c);
        }
    }

    stoa_buf_addf(b, ",\"refused\":\"%s\",\"address\":\"%s\",\"count\":%llu,"
                  "\"first_ms\":%llu,\"last_ms\":%llu}", row->key.code,
                  row->key.address, (unsigned long long) row->told.count,
                  (unsigned long long) row->told.first_ms,
                  (unsigned long long) row->told.last_ms);
}


ngx_int_t
ngx_http_stoa_news_body(ngx_http_stoa_sh_t *sh, stoa_buf_t *b)
{
    char                     hex[2 * sizeof(sh->denials.id)];
    ngx_uint_t               i, n;
    ngx_http_stoa_denials_t  t;

    if (!ngx_http_stoa_denial_take(sh, &t)) {
        return NGX_DECLINED;
    }

    stoa_hex_encode(t.id, sizeof(t.id), hex);
    stoa_buf_reset(b);
    stoa_buf_addf(b, "{\"table\":\"%.32s\",\"batch\":%llu,\"lost\":%llu,"
                  "\"news\":[", hex, (unsigned long long) t.number,
                  (unsigned long long) t.lost_told);

    for (i = 0, n = 0; i < NGX_HTTP_STOA_DENIALS; i++) {
        if (t.row[i].told.count) {
            stoa_buf_addz(b, n++ ? "," : "");
            ngx_http_stoa_news_row(b, &t.row[i]);
        }
    }

    stoa_buf_addz(b, "]}");

    return b->rc == STOA_OK ? NGX_OK : NGX_DECLINED;
}


/* Those that are checked, the bad ones first. */

void
ngx_http_stoa_news_targets(ngx_http_stoa_sh_t *sh, stoa_buf_t *b)
{
    char                    why[32];
    ngx_uint_t              n, told, good, down, open;
    ngx_http_stoa_place_t   place;

    told = 0;

    for (good = 0; good < 2; good++) {
        n = 0;

        while (told < NGX_HTTP_STOA_NEWS_TARGETS
               && ngx_http_stoa_place_next(sh, &n, &place) == NGX_OK)
        {
            open = ngx_http_stoa_breaker_state(place.breaker)
                   != NGX_HTTP_STOA_BREAKER_CLOSED;
            down = open || place.health == NGX_HTTP_STOA_HEALTH_DOWN;

            if (place.kind != NGX_HTTP_STOA_PLACE_TARGET || down == good
                || (!open && place.health_at_ms == 0))
            {
                continue;
            }

            ngx_http_stoa_place_why(open ? place.breaker_why
                                         : place.health_why, why);

            stoa_buf_addf(b, "%s{\"api\":\"%.16s\",\"target\":"
                          "\"%s\",\"health\":\"%s\",\"error\":\"%s\","
                          "\"breaker\":\"%s\",\"checked_ms\":%llu,"
                          "\"since_ms\":%llu}",
                          told++ ? "," : ",\"targets\":[", place.api.c,
                          place.name, ngx_http_stoa_place_health(&place), why,
                          ngx_http_stoa_place_breaker(&place),
                          (unsigned long long) place.health_at_ms,
                          (unsigned long long)
                              (open ? place.breaker_since_ms
                                    : place.health_since_ms));
        }
    }

    stoa_buf_addz(b, told ? "]" : "");
}
