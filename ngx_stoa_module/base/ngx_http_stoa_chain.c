/*
 * Chains of policies: compiled from records, kept by record and revision.
 */

#include "ngx_http_stoa_chain.h"
#include "ngx_http_stoa_refusal.h"


_Static_assert((NGX_HTTP_STOA_TURNS - STOA_ORDER_ADMIT)
               * NGX_HTTP_STOA_CHAIN_MAX < 64,
               "a call has a bit for each chain and turn");


typedef struct {
    ngx_uint_t              refs;
    stoa_rec_hdr_t         *rec;               /* a copy                     */
    ngx_pool_t             *pool;
    ngx_http_stoa_chain_t  *chain;
    unsigned                evicted:1;
} ngx_http_stoa_chain_kept_t;


static ngx_int_t ngx_http_stoa_chain_default(ngx_conf_t *cf,
    ngx_http_stoa_policies_t *types, ngx_uint_t place);
static ngx_http_stoa_chain_t *ngx_http_stoa_chain_new(ngx_pool_t *pool,
    ngx_uint_t max);
static ngx_int_t ngx_http_stoa_chain_row(ngx_http_stoa_policies_t *types,
    ngx_http_stoa_chain_t *chain, const void *rec,
    const stoa_rec_policy_t *row);
static void ngx_http_stoa_chain_own(ngx_http_stoa_policies_t *types,
    ngx_http_stoa_chain_t *chain, const void *rec, const stoa_vec_t *list,
    ngx_uint_t place);
static ngx_http_stoa_attached_t *ngx_http_stoa_chain_add(
    ngx_http_stoa_policies_t *types, ngx_http_stoa_chain_t *chain,
    ngx_uint_t place, stoa_scope_e scope, const void *rec,
    const void *config);
static ngx_int_t ngx_http_stoa_chain_turns(ngx_pool_t *pool,
    ngx_http_stoa_chain_t *chain);
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

    types->chain = ngx_http_stoa_chain_new(cf->pool,
                                           NGX_HTTP_STOA_POLICIES_MAX);
    if (types->chain == NULL) {
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

        if ((type->flags & STOA_POLICY_DEFAULT) && type->own == 0
            && ngx_http_stoa_chain_default(cf, types, i) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    mcf->policies = types;

    return ngx_http_stoa_chain_turns(cf->pool, types->chain);
}


/* As if it were attached, with an empty configuration. */

static ngx_int_t
ngx_http_stoa_chain_default(ngx_conf_t *cf, ngx_http_stoa_policies_t *types,
    ngx_uint_t place)
{
    u_char      *config;
    stoa_buf_t   b;
    stoa_err_t   err;

    stoa_buf_init(&b, STOA_RECORD_MAX);
    config = NULL;

    if (stoa_rec_policy(types->type[place], "{}", 2, &b, &err) == STOA_OK) {
        config = ngx_palloc(cf->pool, b.len);
    }

    if (config) {
        ngx_memcpy(config, b.data, b.len);
        (void) ngx_http_stoa_chain_add(types, types->chain, place,
                                       STOA_SCOPE_GROUP, config, config);
    }

    stoa_buf_free(&b);

    return config ? NGX_OK : NGX_ERROR;
}


static ngx_http_stoa_chain_t *
ngx_http_stoa_chain_new(ngx_pool_t *pool, ngx_uint_t max)
{
    ngx_http_stoa_chain_t  *chain;

    chain = ngx_pcalloc(pool, sizeof(ngx_http_stoa_chain_t));

    if (chain) {
        chain->elts = ngx_pcalloc(pool,
                                  max * sizeof(ngx_http_stoa_attached_t));
    }

    return chain && chain->elts ? chain : NULL;
}


static ngx_http_stoa_attached_t *
ngx_http_stoa_chain_add(ngx_http_stoa_policies_t *types,
    ngx_http_stoa_chain_t *chain, ngx_uint_t place, stoa_scope_e scope,
    const void *rec, const void *config)
{
    ngx_http_stoa_attached_t  *a;

    a = &chain->elts[chain->n++];

    a->policy = types->policy[place];
    a->place = place;
    a->order = stoa_policy_order(types->type[place], scope);
    a->refusal = types->refusal[place];
    a->single = (types->type[place]->flags
                 & (STOA_POLICY_SINGLE|STOA_POLICY_STATE))
                == STOA_POLICY_SINGLE;
    a->rec = rec;
    a->config = config;

    return a;
}


ngx_int_t
ngx_http_stoa_chain_compile(ngx_http_stoa_main_conf_t *mcf, ngx_pool_t *pool,
    const void *rec, const stoa_vec_t *list, ngx_http_stoa_chain_t **chain)
{
    ngx_uint_t                i, n;
    ngx_http_stoa_chain_t    *c;
    const stoa_rec_policy_t  *row;

    *chain = NULL;

    for (i = 0, n = list->n; i < mcf->policies->n; i++) {
        n += stoa_policy_own(mcf->policies->type[i], rec) != NULL;
    }

    if (n == 0 && ((const stoa_rec_hdr_t *) rec)->kind != STOA_REC_PLAN) {
        return NGX_OK;
    }

    c = ngx_http_stoa_chain_new(pool, n);
    if (c == NULL) {
        return NGX_ERROR;
    }

    c->rec = rec;
    row = stoa_rec_vec(rec, *list, stoa_rec_policy_t);

    for (i = 0; i < list->n; i++) {
        if (ngx_http_stoa_chain_row(mcf->policies, c, rec, &row[i]) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    for (i = 0; i < mcf->policies->n; i++) {
        ngx_http_stoa_chain_own(mcf->policies, c, rec, list, i);
    }

    *chain = c;

    return ngx_http_stoa_chain_turns(pool, c);
}


/* Everything has its place: who runs it looks for nothing. */

static ngx_int_t
ngx_http_stoa_chain_turns(ngx_pool_t *pool, ngx_http_stoa_chain_t *chain)
{
    ngx_uint_t                 i, turn;
    ngx_http_stoa_turn_t      *t;
    ngx_http_stoa_policy_pt    run;
    ngx_http_stoa_attached_t  *a;

    t = ngx_palloc(pool, 3 * chain->n * sizeof(ngx_http_stoa_turn_t));
    if (t == NULL) {
        return NGX_ERROR;
    }

    for (turn = STOA_ORDER_ADMIT; turn < NGX_HTTP_STOA_TURNS; turn++) {
        chain->first[turn] = t;

        for (i = 0; i < chain->n; i++) {
            a = &chain->elts[i];

            if (turn == STOA_ORDER_ADMIT && a->policy->compile
                && a->policy->compile(pool, chain, a) != NGX_OK)
            {
                return NGX_ERROR;
            }

            run = turn == NGX_HTTP_STOA_TURN_UPSTREAM ? a->policy->upstream
                  : turn == NGX_HTTP_STOA_TURN_RESPONSE ? a->policy->response
                  : turn == a->order ? a->policy->head : NULL;

            if (run) {
                t->run = run;
                t->a = a;
                t->unless = chain->rec ? 0 : UINT64_C(1) << a->place;
                t->picky = (a->single && chain->rec) || a->one || a->tool.len;
                chain->turns |= ngx_http_stoa_turn_bit(turn);
                t++;
            }
        }
    }

    chain->first[turn] = t;

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_chain_row(ngx_http_stoa_policies_t *types,
    ngx_http_stoa_chain_t *chain, const void *rec,
    const stoa_rec_policy_t *row)
{
    stoa_str_t                 s;
    ngx_uint_t                 place;
    ngx_http_stoa_attached_t  *a;

    static const stoa_id_t     all;

    for (place = 0; types->type[place]->id != row->type; place++) {
        if (place + 1 == types->n) {
            return NGX_ERROR;
        }
    }

    if (types->type[place]->flags & STOA_POLICY_STATE) {
        return NGX_OK;
    }

    /* one that is disabled keeps a wider one away */

    chain->types |= UINT64_C(1) << place;

    if (row->state == STOA_POLICY_DISABLED) {
        return NGX_OK;
    }

    a = ngx_http_stoa_chain_add(types, chain, place, row->scope, rec,
                                (const u_char *) rec + row->config.off);

    s = stoa_rec_str(rec, row->tool);

    a->operation = row->operation;
    a->one = ngx_memcmp(&row->operation, &all, sizeof(stoa_id_t)) != 0;
    a->tool.data = (u_char *) s.data;
    a->tool.len = s.len;
    a->shadow = row->state == STOA_POLICY_SHADOW;

    a->scope = row->scope + 1;
    s = stoa_rec_str(rec, row->name);
    a->name.data = (u_char *) s.data;
    a->name.len = s.len;

    return NGX_OK;
}


/* In the state that a policy in the list says, if its type can. */

static void
ngx_http_stoa_chain_own(ngx_http_stoa_policies_t *types,
    ngx_http_stoa_chain_t *chain, const void *rec, const stoa_vec_t *list,
    ngx_uint_t place)
{
    uint32_t                   i;
    ngx_uint_t                 state;
    const void                *config;
    const stoa_rec_policy_t   *row;
    const stoa_policy_type_t  *type;

    type = types->type[place];
    config = stoa_policy_own(type, rec);
    row = stoa_rec_vec(rec, *list, stoa_rec_policy_t);
    state = STOA_POLICY_ENABLED;

    for (i = 0; i < list->n && (type->flags & STOA_POLICY_STATE); i++) {
        if (row[i].type == type->id) {
            state = row[i].state;
        }
    }

    if (config && state != STOA_POLICY_DISABLED) {
        ngx_http_stoa_chain_add(types, chain, place, STOA_SCOPE_GROUP, rec,
                                config)->shadow = state == STOA_POLICY_SHADOW;
    }
}


ngx_int_t
ngx_http_stoa_chain_get(ngx_http_request_t *r, const void *rec,
    const stoa_vec_t *list, ngx_http_stoa_chain_t **chain)
{
    uint32_t                      h;
    const stoa_id_t              *id;
    const stoa_rec_hdr_t         *hdr;
    ngx_pool_cleanup_t           *cln;
    ngx_http_stoa_chain_kept_t  **slot, *kept;

    *chain = NULL;
    hdr = rec;

    if (list->n == 0 && hdr->kind != STOA_REC_PLAN) {
        return NGX_OK;
    }

    /* the end of an id is its random part */

    id = (const stoa_id_t *) (hdr + 1);
    ngx_memcpy(&h, &id->c[STOA_ID_LEN - sizeof(h)], sizeof(h));
    h = (h ^ h >> 16) + hdr->kind;

    slot = &ngx_http_stoa_chain_slots[(h ^ h >> 8) % NGX_HTTP_STOA_CHAINS];
    kept = *slot;

    /* the digest is that of the key and the revision, too */

    if (kept == NULL
        || ngx_memcmp(kept->rec->digest, hdr->digest, sizeof(hdr->digest))
           != 0)
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
