/*
 * The reader's side of the store: what is found by walking over keys.
 */

#include "ngx_http_stoa_env.h"


#define NGX_HTTP_STOA_GROUPKEYS  32


static ngx_int_t ngx_http_stoa_store_each_index(ngx_http_stoa_store_t *s,
    stoa_rec_kind_e kind, ngx_http_stoa_key_t *k,
    ngx_http_stoa_store_each_pt cb, void *data);


/* By its kind alone: there is one.  What is not known is not none. */

ngx_int_t
ngx_http_stoa_store_group(ngx_http_stoa_store_t *s,
    const stoa_rec_group_t **group)
{
    int                   rc;
    MDB_val               key, val;
    MDB_cursor           *cursor;
    ngx_http_stoa_key_t   k;

    static const stoa_id_t  first;

    *group = s->group;

    if (s->group_generation == s->generation) {
        return NGX_OK;
    }

    if (s->txnid == 0 || mdb_cursor_open(s->txn, s->env->rec, &cursor) != 0) {
        return NGX_ERROR;
    }

    ngx_http_stoa_key_rec(&k, STOA_REC_GROUP, &first, NULL);

    key.mv_data = k.data;
    key.mv_size = k.len;

    rc = mdb_cursor_get(cursor, &key, &val, MDB_SET_RANGE);

    s->group = NULL;

    if (rc == 0 && key.mv_size == k.len
        && ngx_memcmp(key.mv_data, k.data, 8) == 0)
    {
        s->group = val.mv_data;

        if (!stoa_rec_verify(val.mv_data, val.mv_size, STOA_REC_GROUP)) {
            rc = MDB_CORRUPTED;
        }
    }

    mdb_cursor_close(cursor);

    if (rc != 0 && rc != MDB_NOTFOUND) {
        (void) ngx_http_stoa_store_broken(s, STOA_REC_GROUP);
        return NGX_ERROR;
    }

    s->group_generation = s->generation;
    *group = s->group;

    return NGX_OK;
}


/* All of a kind whose records, as they lie there, want() takes; NULL: all. */

static ngx_int_t
ngx_http_stoa_store_each_of_kind(ngx_http_stoa_store_t *s,
    stoa_rec_kind_e kind, ngx_uint_t (*want)(const MDB_val *val),
    ngx_http_stoa_store_each_pt cb, void *data)
{
    int                   rc;
    MDB_val               key, val;
    ngx_int_t             ret;
    MDB_cursor           *cursor;
    ngx_http_stoa_key_t   k;

    static const stoa_id_t  first;

    if (s->txnid == 0 || mdb_cursor_open(s->txn, s->env->rec, &cursor) != 0) {
        return NGX_ERROR;
    }

    ngx_http_stoa_key_rec(&k, kind, &first, NULL);

    key.mv_data = k.data;
    key.mv_size = k.len;
    ret = NGX_OK;

    for (rc = mdb_cursor_get(cursor, &key, &val, MDB_SET_RANGE);
         rc == 0 && ret == NGX_OK && key.mv_size == k.len
         && ngx_memcmp(key.mv_data, k.data, 8) == 0;
         rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT))
    {
        if (want && !want(&val)) {
            continue;
        }

        if (!stoa_rec_verify(val.mv_data, val.mv_size, kind)) {
            (void) ngx_http_stoa_store_broken(s, kind);
            continue;
        }

        if (!ngx_http_stoa_store_withheld(val.mv_data, kind)) {
            ret = cb(data, val.mv_data);
        }
    }

    mdb_cursor_close(cursor);

    return ret;
}


typedef struct {
    const void  **recs;
    ngx_uint_t    n;
    ngx_uint_t    max;
} ngx_http_stoa_store_few_t;


static ngx_int_t
ngx_http_stoa_store_one_of_few(void *data, const void *rec)
{
    ngx_http_stoa_store_few_t *few = data;

    few->recs[few->n++] = rec;

    return few->n < few->max ? NGX_OK : NGX_DONE;
}


/* All of a kind, of which there are few. */

static ngx_uint_t
ngx_http_stoa_store_few(ngx_http_stoa_store_t *s, stoa_rec_kind_e kind,
    const void **recs, ngx_uint_t max)
{
    ngx_http_stoa_store_few_t  few = { recs, 0, max };

    (void) ngx_http_stoa_store_each_of_kind(s, kind, NULL,
                                            ngx_http_stoa_store_one_of_few,
                                            &few);

    return few.n;
}


/* A glance at what is not verified yet: most apis have none. */

static ngx_uint_t
ngx_http_stoa_store_checks(const MDB_val *val)
{
    const stoa_rec_api_t  *api = val->mv_data;

    return val->mv_size >= sizeof(stoa_rec_api_t) && api->health.n;
}


ngx_int_t
ngx_http_stoa_store_each_checked(ngx_http_stoa_store_t *s,
    ngx_http_stoa_store_each_pt cb, void *data)
{
    return ngx_http_stoa_store_each_of_kind(s, STOA_REC_API,
                                            ngx_http_stoa_store_checks, cb,
                                            data);
}


/* The youngest that may sign.  A clock that is behind finds none: then the
 * oldest there is. */

const stoa_rec_groupkey_t *
ngx_http_stoa_store_signer(ngx_http_stoa_store_t *s, int64_t now_ms)
{
    ngx_uint_t                  i, n, late;
    const void                 *recs[NGX_HTTP_STOA_GROUPKEYS];
    const stoa_rec_groupkey_t  *rec, *best;

    n = ngx_http_stoa_store_few(s, STOA_REC_GROUPKEY, recs,
                                NGX_HTTP_STOA_GROUPKEYS);
    best = NULL;

    for (i = 0; i < n; i++) {
        rec = recs[i];
        late = rec->signs_ms > now_ms;

        if (best == NULL
            || (late != (best->signs_ms > now_ms)
                ? !late : late == (rec->signs_ms < best->signs_ms)))
        {
            best = rec;
        }
    }

    return best;
}


ngx_uint_t
ngx_http_stoa_store_sealkeys(ngx_http_stoa_store_t *s, const void **recs,
    ngx_uint_t max)
{
    return ngx_http_stoa_store_few(s, STOA_REC_SEALKEY, recs, max);
}


ngx_int_t
ngx_http_stoa_store_each_subscription(ngx_http_stoa_store_t *s,
    const stoa_id_t *application, ngx_http_stoa_store_each_pt cb, void *data)
{
    int                   rc;
    MDB_val               key, val;
    ngx_int_t             ret;
    MDB_cursor           *cursor;
    ngx_http_stoa_key_t   k;

    if (s->txnid == 0 || mdb_cursor_open(s->txn, s->env->rec, &cursor) != 0) {
        return NGX_ERROR;
    }

    ngx_http_stoa_key_rec(&k, STOA_REC_SUBSCRIPTION, application, NULL);

    key.mv_data = k.data;
    key.mv_size = k.len;
    ret = NGX_OK;

    for (rc = mdb_cursor_get(cursor, &key, &val, MDB_SET_RANGE);
         rc == 0 && ret == NGX_OK;
         rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT))
    {
        if (key.mv_size != k.len + STOA_ID_LEN
            || ngx_memcmp(key.mv_data, k.data, k.len) != 0)
        {
            break;
        }

        if (!stoa_rec_verify(val.mv_data, val.mv_size, STOA_REC_SUBSCRIPTION))
        {
            (void) ngx_http_stoa_store_broken(s, STOA_REC_SUBSCRIPTION);
            continue;
        }

        if (!ngx_http_stoa_store_withheld(val.mv_data,
                                          STOA_REC_SUBSCRIPTION))
        {
            ret = cb(data, val.mv_data);
        }
    }

    mdb_cursor_close(cursor);

    if (rc != 0 && rc != MDB_NOTFOUND) {
        (void) ngx_http_stoa_store_broken(s, STOA_REC_SUBSCRIPTION);
        ret = NGX_ERROR;
    }

    return ret;
}


ngx_int_t
ngx_http_stoa_store_each_item(ngx_http_stoa_store_t *s, stoa_rec_kind_e kind,
    const stoa_id_t *api, ngx_http_stoa_store_each_pt cb, void *data)
{
    ngx_http_stoa_key_t  k;

    (void) ngx_http_stoa_key_idx(&k, ngx_http_stoa_index_item(kind), api->c,
                                 STOA_ID_LEN, "", 0);

    return ngx_http_stoa_store_each_index(s, kind, &k, cb, data);
}


ngx_int_t
ngx_http_stoa_store_each_of_tenant(ngx_http_stoa_store_t *s,
    stoa_rec_kind_e kind, const char *tenant, size_t len,
    ngx_http_stoa_store_each_pt cb, void *data)
{
    ngx_http_stoa_key_t  k;

    return ngx_http_stoa_key_idx(&k, kind == STOA_REC_API
                                     ? NGX_HTTP_STOA_IDX_API
                                     : NGX_HTTP_STOA_IDX_SERVER,
                                 tenant, len, "", 0)
           == NGX_OK ? ngx_http_stoa_store_each_index(s, kind, &k, cb, data)
                     : NGX_OK;
}


ngx_int_t
ngx_http_stoa_store_each_issuer(ngx_http_stoa_store_t *s, const char *iss,
    size_t len, const stoa_id_t *tenant, ngx_http_stoa_store_each_pt cb,
    void *data)
{
    ngx_int_t            rc;
    ngx_http_stoa_key_t  k;

    rc = iss == NULL
         ? ngx_http_stoa_key_idx(&k, NGX_HTTP_STOA_IDX_ISSUERS, tenant->c,
                                 STOA_ID_LEN, "", 0)
         : ngx_http_stoa_key_idx(&k, NGX_HTTP_STOA_IDX_ISSUER, iss, len,
                                 tenant ? tenant->c : "",
                                 tenant ? STOA_ID_LEN : 0);

    return rc == NGX_OK ? ngx_http_stoa_store_each_index(s, STOA_REC_ISSUER,
                                                         &k, cb, data)
                        : NGX_OK;
}


/* Those whose names in an index begin with k. */

static ngx_int_t
ngx_http_stoa_store_each_index(ngx_http_stoa_store_t *s, stoa_rec_kind_e kind,
    ngx_http_stoa_key_t *k, ngx_http_stoa_store_each_pt cb, void *data)
{
    int          rc;
    MDB_val      key, val;
    ngx_int_t    ret;
    stoa_id_t    id;
    MDB_cursor  *cursor;
    const void  *rec;

    if (s->txnid == 0 || mdb_cursor_open(s->txn, s->env->idx, &cursor) != 0) {
        return NGX_ERROR;
    }

    key.mv_data = k->data;
    key.mv_size = k->len;
    ret = NGX_OK;

    for (rc = mdb_cursor_get(cursor, &key, &val, MDB_SET_RANGE);
         rc == 0 && ret == NGX_OK;
         rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT))
    {
        if (key.mv_size <= k->len || val.mv_size != STOA_ID_LEN
            || ngx_memcmp(key.mv_data, k->data, k->len) != 0)
        {
            break;
        }

        ngx_memcpy(id.c, val.mv_data, STOA_ID_LEN);

        rec = ngx_http_stoa_store_item(s, kind, &id);

        if (rec) {
            ret = cb(data, rec);
        }
    }

    mdb_cursor_close(cursor);

    if (rc != 0 && rc != MDB_NOTFOUND) {
        (void) ngx_http_stoa_store_broken(s, kind);
        ret = NGX_ERROR;
    }

    return ret;
}
