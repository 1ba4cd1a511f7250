/*
 * Traces for who follows a tenant's calls by the control plane: he has the
 * number of the last one that he was told here, and gets what came since.
 *
 * The youngest FOLLOW_MAX at once; of the others he is told how many there
 * were.  Nothing is kept for him.  Process: worker 0.
 */

#include "ngx_http_stoa_observe.h"
#include "core/stoa_key.h"


#define FOLLOW_MAX    64
#define FOLLOW_FULL   49152                      /* bytes: no more of them   */


static void ngx_http_stoa_follow_since(ngx_http_stoa_main_conf_t *mcf,
    const stoa_json_val_t *asked, ngx_http_stoa_trace_query_t *query,
    uint64_t now);


void
ngx_http_stoa_follow(ngx_http_stoa_main_conf_t *mcf, const stoa_id_t *tenant,
    const stoa_json_val_t *asked, stoa_buf_t *b)
{
    uint64_t                     number, from, to, last[FOLLOW_MAX];
    stoa_str_t                   api;
    ngx_uint_t                   i, n, all, some, gap;
    ngx_http_stoa_traced_t       traced;
    ngx_http_stoa_trace_query_t  query;

    ngx_memzero(&query, sizeof(ngx_http_stoa_trace_query_t));
    query.tenant = tenant;
    number = ngx_http_stoa_load(&mcf->sh->trace_number);

    if (stoa_json_get_text(asked, "api", &api)) {
        query.api.data = (u_char *) api.data;
        query.api.len = api.len;
    }

    if (stoa_json_get_uint(asked, "from", &from)
        && stoa_json_get_uint(asked, "to", &to))
    {
        query.status[0] = from;
        query.status[1] = to;
    }

    /* what comes meanwhile may be seen in part */

    query.until = ngx_max(number, 1);
    ngx_http_stoa_follow_since(mcf, asked, &query, number);

    all = ngx_http_stoa_trace_count(mcf->sh, &query, &gap);
    n = all ? ngx_http_stoa_trace_last(mcf->sh, &query, last, FOLLOW_MAX) : 0;
    some = 0;

    stoa_buf_addf(b, "{\"gateway\":\"%.*s\",\"items\":[",
                  (int) mcf->gateway_id.len, mcf->gateway_id.data);

    for (i = n; i-- && b->len < FOLLOW_FULL; /* void */ ) {
        query.after = last[i] - 1;

        if (ngx_http_stoa_trace_next(mcf->sh, &query, &traced)
            && traced.number == last[i])
        {
            stoa_buf_addz(b, some++ ? "," : "");
            ngx_http_stoa_traces_one(mcf, &traced, tenant, NULL, b);
        }
    }

    stoa_buf_addf(b, "],\"dropped\":%llu,\"more\":%s,\"next\":%llu}",
                  (unsigned long long) (all > some ? all - some : 0),
                  gap ? "true" : "false",
                  (unsigned long long) number);
}


/* Who was told nothing here yet begins with what comes next; so does who has
 * a number that there was not yet, of another zone. */

static void
ngx_http_stoa_follow_since(ngx_http_stoa_main_conf_t *mcf,
    const stoa_json_val_t *asked, ngx_http_stoa_trace_query_t *query,
    uint64_t now)
{
    char             id[STOA_ID_LEN + 1];
    stoa_json_val_t  after;

    query->after = now;

    if (mcf->gateway_id.len != STOA_ID_LEN
        || !stoa_json_get(asked, "after", &after)
        || after.type != STOA_JSON_OBJECT)
    {
        return;
    }

    ngx_memcpy(id, mcf->gateway_id.data, STOA_ID_LEN);
    id[STOA_ID_LEN] = '\0';

    if (!stoa_json_get_uint(&after, id, &query->after) || query->after > now)
    {
        query->after = now;
    }
}
