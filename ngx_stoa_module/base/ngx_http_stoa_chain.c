/*
 * Chains of policies: compiled from records, kept by record and revision.
 */

#include "ngx_http_stoa_chain.h"
#include "ngx_http_stoa_refusal.h"
#include "core/stoa_key.h"


#define NGX_HTTP_STOA_CHAIN_SEED  0x63686169ULL


typedef struct {
    ngx_uint_t              refs;
    stoa_rec_hdr_t         *rec;               /* a copy                     */
    ngx_pool_t             *pool;
    ngx_http_stoa_chain_t  *chain;
    unsigned                evicted:1;
} ngx_http_stoa_chain_kept_t;


static ngx_int_t ngx_http_stoa_chain_default(ngx_conf_t *cf,
    ngx_http_stoa_policies_t *types, ngx_uint_t place);
static void ngx_http_stoa_chain_type(ngx_http_stoa_policies_t *types,
    ngx_uint_t place, ngx_http_stoa_attached_t *a);
static ngx_http_stoa_chain_kept_t *ngx_http_stoa_chain_keep(
    ngx_http_stoa_main_conf_t *mcf, const stoa_rec_hdr_t *rec,
    size_t list);
static void ngx_http_stoa_chain_evict(ngx_http_stoa_chain_kept_t **slot);
static void ngx_http_stoa_chain_release(void *data);


static ngx_http_stoa_chain_kept_t
                   *ngx_http_stoa_chain_slots[NGX_HTTP_STOA_CHAINS];


ngx_int_t
ngx_http_stoa_chain_types(ngx_conf_t *cf, ngx_http_stoa_main_conf_t *mcf,
    const ngx_http_stoa_policy_t *const *rows)
{
    ngx_uint_t                 i, k;
    const stoa_policy_type_t  *type;
    ngx_http_stoa_policies_t  *types;

    types = ngx_pcalloc(cf->pool, sizeof(ngx_http_stoa_policies_t));
    if (types == NULL) {
        return NGX_ERROR;
    }

    ngx_http_stoa_refusal_begin();

    for (i = 0; (type = stoa_policy_at(i)) != NULL; i++) {

        for (k = 0; rows[k] && ngx_strcmp(rows[k]->name, type->name) != 0;
             k++)
        { /* void */ }

        if (i == NGX_HTTP_STOA_POLICIES_MAX || rows[k] == NULL) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "the policy type \"%s\" does nothing",
                               type->name);
            return NGX_ERROR;
        }

        types->type[i] = type;
        types->policy[i] = rows[k];
        types->n = i + 1;

        if (ngx_http_stoa_refusal_add(rows[k]->refusals, &types->refusal[i])
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if ((type->flags & STOA_POLICY_DEFAULT)
            && ngx_http_stoa_chain_default(cf, types, i) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    mcf->policies = types;

    return NGX_OK;
}


/* As if it were attached, with an empty configuration. */

static ngx_int_t
ngx_http_stoa_chain_default(ngx_conf_t *cf, ngx_http_stoa_policies_t *types,
    ngx_uint_t place)
{
    u_char                    *config;
    stoa_buf_t                 b;
    stoa_err_t                 err;
    ngx_http_stoa_attached_t  *a;

    stoa_buf_init(&b, STOA_RECORD_MAX);

    if (stoa_rec_policy(types->type[place], "{}", 2, &b, &err) != STOA_OK) {
        stoa_buf_free(&b);
        return NGX_ERROR;
    }

    config = ngx_palloc(cf->pool, b.len);

    if (config) {
        ngx_memcpy(config, b.data, b.len);
    }

    stoa_buf_free(&b);

    if (config == NULL) {
        return NGX_ERROR;
    }

    a = &types->dflt[types->ndflt++];

    ngx_http_stoa_chain_type(types, place, a);
    a->rec = config;
    a->config = config;

    return NGX_OK;
}


static void
ngx_http_stoa_chain_type(ngx_http_stoa_policies_t *types, ngx_uint_t place,
    ngx_http_stoa_attached_t *a)
{
    a->policy = types->policy[place];
    a->place = place;
    a->order = types->type[place]->order;
    a->refusal = types->refusal[place];
    a->single = (types->type[place]->flags & STOA_POLICY_SINGLE) != 0;
}


ngx_int_t
ngx_http_stoa_chain_compile(ngx_http_stoa_main_conf_t *mcf, ngx_pool_t *pool,
    const void *rec, const stoa_vec_t *list, ngx_http_stoa_chain_t **chain)
{
    uint32_t                   i;
    stoa_str_t                 s;
    ngx_uint_t                 place;
    const stoa_rec_policy_t   *row;
    ngx_http_stoa_attached_t  *a;

    static const stoa_id_t     all;

    *chain = NULL;

    if (list->n == 0) {
        return NGX_OK;
    }

    *chain = ngx_pcalloc(pool, sizeof(ngx_http_stoa_chain_t));
    a = ngx_pcalloc(pool, list->n * sizeof(ngx_http_stoa_attached_t));

    if (*chain == NULL || a == NULL) {
        return NGX_ERROR;
    }

    (*chain)->elts = a;
    (*chain)->n = list->n;

    row = stoa_rec_vec(rec, *list, stoa_rec_policy_t);

    for (i = 0; i < list->n; i++, row++, a++) {

        for (place = 0; place < mcf->policies->n; place++) {
            if (mcf->policies->type[place]->id == row->type) {
                break;
            }
        }

        if (place == mcf->policies->n) {
            return NGX_ERROR;
        }

        (*chain)->types |= UINT64_C(1) << place;

        s = stoa_rec_str(rec, row->tool);

        ngx_http_stoa_chain_type(mcf->policies, place, a);
        a->rec = rec;
        a->config = (const u_char *) rec + row->config.off;
        a->operation = row->operation;
        a->one = ngx_memcmp(&row->operation, &all, sizeof(stoa_id_t)) != 0;
        a->tool.data = (u_char *) s.data;
        a->tool.len = s.len;
        a->shadow = row->state == STOA_POLICY_SHADOW;
        a->disabled = row->state == STOA_POLICY_DISABLED;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_chain_get(ngx_http_request_t *r, const void *rec,
    const stoa_vec_t *list, ngx_http_stoa_chain_t **chain)
{
    const stoa_id_t              *id;
    const stoa_rec_hdr_t         *hdr;
    ngx_pool_cleanup_t           *cln;
    ngx_http_stoa_chain_kept_t  **slot, *kept;

    *chain = NULL;

    if (list->n == 0) {
        return NGX_OK;
    }

    hdr = rec;
    id = (const stoa_id_t *) (hdr + 1);

    slot = &ngx_http_stoa_chain_slots[stoa_hash64(id, sizeof(stoa_id_t),
                                                  NGX_HTTP_STOA_CHAIN_SEED)
                                      % NGX_HTTP_STOA_CHAINS];
    kept = *slot;

    if (kept == NULL || kept->rec->rev != hdr->rev
        || kept->rec->kind != hdr->kind
        || ngx_memcmp(kept->rec->digest, hdr->digest, sizeof(hdr->digest))
           != 0
        || ngx_memcmp(kept->rec + 1, id, sizeof(stoa_id_t)) != 0)
    {
        ngx_http_stoa_chain_evict(slot);

        kept = ngx_http_stoa_chain_keep(
                       ngx_http_get_module_main_conf(r, ngx_http_stoa_module),
                       hdr, (const u_char *) list - (const u_char *) rec);
        if (kept == NULL) {
            return NGX_ERROR;
        }

        *slot = kept;
    }

    cln = ngx_pool_cleanup_add(r->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_stoa_chain_release;
    cln->data = kept;
    kept->refs++;

    *chain = kept->chain;

    return NGX_OK;
}


/* list: where in the record its policies are. */

static ngx_http_stoa_chain_kept_t *
ngx_http_stoa_chain_keep(ngx_http_stoa_main_conf_t *mcf,
    const stoa_rec_hdr_t *rec, size_t list)
{
    ngx_pool_t                  *pool;
    ngx_http_stoa_chain_kept_t  *kept;

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    kept = ngx_pcalloc(pool, sizeof(ngx_http_stoa_chain_kept_t));

    if (kept) {
        kept->pool = pool;
        kept->rec = ngx_palloc(pool, rec->size);
    }

    if (kept && kept->rec) {
        ngx_memcpy(kept->rec, rec, rec->size);

        if (ngx_http_stoa_chain_compile(mcf, pool, kept->rec,
                     (const stoa_vec_t *) ((u_char *) kept->rec + list),
                     &kept->chain)
            == NGX_OK)
        {
            return kept;
        }
    }

    ngx_destroy_pool(pool);

    return NULL;
}


/* Out of the cache; requests that hold it go on with it. */

static void
ngx_http_stoa_chain_evict(ngx_http_stoa_chain_kept_t **slot)
{
    ngx_http_stoa_chain_kept_t  *kept;

    kept = *slot;
    *slot = NULL;

    if (kept) {
        kept->evicted = 1;

        if (kept->refs == 0) {
            ngx_destroy_pool(kept->pool);
        }
    }
}


static void
ngx_http_stoa_chain_release(void *data)
{
    ngx_http_stoa_chain_kept_t  *kept = data;

    kept->refs--;

    if (kept->refs == 0 && kept->evicted) {
        ngx_destroy_pool(kept->pool);
    }
}


/* Requests that are cut off release nothing. */

void
ngx_http_stoa_chain_exit(void)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_STOA_CHAINS; i++) {
        if (ngx_http_stoa_chain_slots[i]) {
            ngx_http_stoa_chain_slots[i]->refs = 0;
            ngx_http_stoa_chain_evict(&ngx_http_stoa_chain_slots[i]);
        }
    }
}
