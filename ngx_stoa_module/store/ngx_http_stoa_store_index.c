/*
 * Keys of the store, and the index entries that follow from a record.
 *
 * An index entry is written with its record and holds the record's id.  Two
 * records may want the same entry while a name moves from one to the other:
 * the later one gets it, and the earlier one deletes it only if it is still
 * its own.
 */

#include "ngx_http_stoa_env.h"


typedef int (*ngx_http_stoa_index_pt)(ngx_http_stoa_env_t *env, MDB_txn *txn,
    ngx_http_stoa_key_t *k, const stoa_id_t *id);

static int ngx_http_stoa_index_each(ngx_http_stoa_env_t *env, MDB_txn *txn,
    const stoa_rec_hdr_t *rec, ngx_http_stoa_index_pt f);
static int ngx_http_stoa_index_issuer(ngx_http_stoa_env_t *env, MDB_txn *txn,
    const stoa_rec_issuer_t *issuer, ngx_http_stoa_index_pt f);
static int ngx_http_stoa_index_put_one(ngx_http_stoa_env_t *env, MDB_txn *txn,
    ngx_http_stoa_key_t *k, const stoa_id_t *id);
static int ngx_http_stoa_index_del_one(ngx_http_stoa_env_t *env, MDB_txn *txn,
    ngx_http_stoa_key_t *k, const stoa_id_t *id);


/* Eight bytes for the kind keep the length a multiple of 8. */

void
ngx_http_stoa_key_rec(ngx_http_stoa_key_t *k, stoa_rec_kind_e kind,
    const stoa_id_t *a, const stoa_id_t *b)
{
    ngx_memzero(k->data, 8);
    k->data[0] = (char) kind;

    ngx_memcpy(k->data + 8, a->c, STOA_ID_LEN);
    k->len = 8 + STOA_ID_LEN;

    if (b) {
        ngx_memcpy(k->data + k->len, b->c, STOA_ID_LEN);
        k->len += STOA_ID_LEN;
    }
}


ngx_uint_t
ngx_http_stoa_index_item(stoa_rec_kind_e kind)
{
    switch (kind) {

    case STOA_REC_TOOL:
        return NGX_HTTP_STOA_IDX_TOOL;

    case STOA_REC_PROMPT:
        return NGX_HTTP_STOA_IDX_PROMPT;

    case STOA_REC_RESOURCE:
        return NGX_HTTP_STOA_IDX_RESOURCE;

    case STOA_REC_TEMPLATE:
        return NGX_HTTP_STOA_IDX_TEMPLATE;

    default:
        return 0;
    }
}


ngx_int_t
ngx_http_stoa_key_idx(ngx_http_stoa_key_t *k, ngx_http_stoa_idx_e what,
    const char *a, size_t a_len, const char *b, size_t b_len)
{
    if (a_len + b_len + 2 > NGX_HTTP_STOA_KEY_MAX) {
        return NGX_DECLINED;
    }

    k->data[0] = (char) what;

    /* a request may have no host */

    if (a_len) {
        ngx_memcpy(k->data + 1, a, a_len);
    }

    k->data[1 + a_len] = '\0';
    ngx_memcpy(k->data + 2 + a_len, b, b_len);
    k->len = 2 + a_len + b_len;

    return NGX_OK;
}


int
ngx_http_stoa_index_put(ngx_http_stoa_env_t *env, MDB_txn *txn,
    const stoa_rec_hdr_t *rec)
{
    return ngx_http_stoa_index_each(env, txn, rec,
                                    ngx_http_stoa_index_put_one);
}


int
ngx_http_stoa_index_del(ngx_http_stoa_env_t *env, MDB_txn *txn,
    const stoa_rec_hdr_t *rec)
{
    return ngx_http_stoa_index_each(env, txn, rec,
                                    ngx_http_stoa_index_del_one);
}


/* A URI may be too long for a key. */

static int
ngx_http_stoa_index_of_item(ngx_http_stoa_env_t *env, MDB_txn *txn,
    const stoa_rec_item_t *item, ngx_http_stoa_index_pt f)
{
    stoa_str_t           name;
    ngx_http_stoa_key_t  k;

    name = (item->hdr.kind == STOA_REC_TOOL
            || item->hdr.kind == STOA_REC_PROMPT)
           ? stoa_rec_str(item, item->name)
           : (stoa_str_t) { item->id.c, STOA_ID_LEN };

    return ngx_http_stoa_key_idx(&k, ngx_http_stoa_index_item(item->hdr.kind),
                                 item->api.c, STOA_ID_LEN, name.data,
                                 name.len)
           == NGX_OK ? f(env, txn, &k, &item->id) : MDB_BAD_VALSIZE;
}


static int
ngx_http_stoa_index_each(ngx_http_stoa_env_t *env, MDB_txn *txn,
    const stoa_rec_hdr_t *rec, ngx_http_stoa_index_pt f)
{
    int                            rc;
    stoa_str_t                     a, b;
    const stoa_rec_api_t          *api;
    ngx_http_stoa_key_t            k;
    const stoa_rec_tenant_t       *tenant;
    const stoa_rec_server_t       *server;
    const stoa_rec_application_t  *app;

    switch (rec->kind) {

    case STOA_REC_TENANT:
        tenant = (const stoa_rec_tenant_t *) rec;
        a = stoa_rec_str(tenant, tenant->name);

        return ngx_http_stoa_key_idx(&k, NGX_HTTP_STOA_IDX_TENANT, a.data,
                                     a.len, "", 0)
               == NGX_OK ? f(env, txn, &k, &tenant->id) : MDB_BAD_VALSIZE;

    case STOA_REC_APPLICATION:
        app = (const stoa_rec_application_t *) rec;
        a = stoa_rec_str(app, app->name);

        return ngx_http_stoa_key_idx(&k, NGX_HTTP_STOA_IDX_APPLICATION,
                                     app->tenant.c, STOA_ID_LEN, a.data,
                                     a.len)
               == NGX_OK ? f(env, txn, &k, &app->id) : MDB_BAD_VALSIZE;

    case STOA_REC_ISSUER:
        return ngx_http_stoa_index_issuer(env, txn,
                                          (const stoa_rec_issuer_t *) rec, f);

    case STOA_REC_TOOL:
    case STOA_REC_PROMPT:
    case STOA_REC_RESOURCE:
    case STOA_REC_TEMPLATE:
        return ngx_http_stoa_index_of_item(env, txn, (const void *) rec, f);

    case STOA_REC_SERVER:
        server = (const stoa_rec_server_t *) rec;
        a = stoa_rec_str(server, server->tenant_name);
        b = stoa_rec_str(server, server->name);

        return ngx_http_stoa_key_idx(&k, NGX_HTTP_STOA_IDX_SERVER, a.data,
                                     a.len, b.data, b.len)
               == NGX_OK ? f(env, txn, &k, &server->id) : MDB_BAD_VALSIZE;

    case STOA_REC_API:
        api = (const stoa_rec_api_t *) rec;
        a = stoa_rec_str(api, api->tenant_name);
        b = stoa_rec_str(api, api->name);

        rc = ngx_http_stoa_key_idx(&k, NGX_HTTP_STOA_IDX_API, a.data, a.len,
                                   b.data, b.len)
             == NGX_OK ? f(env, txn, &k, &api->id) : MDB_BAD_VALSIZE;

        if (rc != 0 || (api->base_path.len == 0 && api->host.len == 0)) {
            return rc;
        }

        a = stoa_rec_str(api, api->host);
        b = api->base_path.len ? stoa_rec_str(api, api->base_path)
                               : stoa_str("/");

        return ngx_http_stoa_key_idx(&k, NGX_HTTP_STOA_IDX_PATH, a.data,
                                     a.len, b.data, b.len)
               == NGX_OK ? f(env, txn, &k, &api->id) : MDB_BAD_VALSIZE;

    default:
        return 0;
    }
}


/* Several tenants may name the same one: each has an entry of its own. */

static int
ngx_http_stoa_index_issuer(ngx_http_stoa_env_t *env, MDB_txn *txn,
    const stoa_rec_issuer_t *issuer, ngx_http_stoa_index_pt f)
{
    int                  rc;
    stoa_id_t            ids[2];
    stoa_str_t           iss;
    ngx_http_stoa_key_t  k;

    ids[0] = issuer->tenant;
    ids[1] = issuer->id;
    iss = stoa_rec_str(issuer, issuer->issuer);

    if (ngx_http_stoa_key_idx(&k, NGX_HTTP_STOA_IDX_ISSUER, iss.data, iss.len,
                              ids[0].c, sizeof(ids))
        != NGX_OK)
    {
        return MDB_BAD_VALSIZE;
    }

    rc = f(env, txn, &k, &issuer->id);
    if (rc != 0) {
        return rc;
    }

    (void) ngx_http_stoa_key_idx(&k, NGX_HTTP_STOA_IDX_ISSUERS,
                                 issuer->tenant.c, STOA_ID_LEN, issuer->id.c,
                                 STOA_ID_LEN);

    return f(env, txn, &k, &issuer->id);
}


static int
ngx_http_stoa_index_put_one(ngx_http_stoa_env_t *env, MDB_txn *txn,
    ngx_http_stoa_key_t *k, const stoa_id_t *id)
{
    MDB_val  key, val;

    key.mv_data = k->data;
    key.mv_size = k->len;
    val.mv_data = (void *) id->c;
    val.mv_size = STOA_ID_LEN;

    return mdb_put(txn, env->idx, &key, &val, 0);
}


static int
ngx_http_stoa_index_del_one(ngx_http_stoa_env_t *env, MDB_txn *txn,
    ngx_http_stoa_key_t *k, const stoa_id_t *id)
{
    int      rc;
    MDB_val  key, val;

    key.mv_data = k->data;
    key.mv_size = k->len;

    rc = mdb_get(txn, env->idx, &key, &val);

    if (rc == MDB_NOTFOUND
        || (rc == 0 && (val.mv_size != STOA_ID_LEN
                        || ngx_memcmp(val.mv_data, id->c, STOA_ID_LEN) != 0)))
    {
        return 0;
    }

    return rc == 0 ? mdb_del(txn, env->idx, &key, NULL) : rc;
}
