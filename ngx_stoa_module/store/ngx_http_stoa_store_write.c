/*
 * The writer's side of the store: rows of the feed become records, in
 * batches.  Process: the sync thread of worker 0.
 *
 * A row that does not validate is noted in `rejected`, and what it speaks of
 * is withheld: the record before it may lack a protection that the row brings,
 * so nothing is served by it either.  A withheld record keeps its names and
 * routes, so that its calls do not end elsewhere; it is not in the digest,
 * which then differs from the control plane's, the truth.  Every other failure
 * aborts the batch.
 */

#include "ngx_http_stoa_env.h"
#include "ngx_http_stoa_header.h"
#include "ngx_http_stoa_digest.h"
#include "core/stoa_key.h"
#include "core/stoa_rec_table.h"
#include "core/stoa_sse.h"


typedef struct {
    const char       *prefix;
    size_t            len;
    stoa_rec_kind_e   kind;
    ngx_uint_t        ids;
} ngx_http_stoa_feed_key_t;


static int ngx_http_stoa_writer_target(const ngx_http_stoa_row_t *row,
    ngx_http_stoa_key_t *k, stoa_rec_kind_e *kind, stoa_err_t *err);
static int ngx_http_stoa_writer_encode(ngx_http_stoa_writer_t *w,
    const ngx_http_stoa_row_t *row, stoa_rec_kind_e kind,
    const ngx_http_stoa_key_t *k, stoa_err_t *err);
static bool ngx_http_stoa_writer_same(const void *rec, stoa_rec_kind_e kind,
    const ngx_http_stoa_key_t *k);
static void ngx_http_stoa_writer_digest(const ngx_http_stoa_row_t *row,
    u_char *digest);
static int ngx_http_stoa_writer_remove(ngx_http_stoa_writer_t *w,
    ngx_http_stoa_key_t *k, stoa_rec_kind_e kind, ngx_uint_t keep);
static int ngx_http_stoa_writer_put(ngx_http_stoa_writer_t *w,
    ngx_http_stoa_key_t *k, stoa_rec_kind_e kind);
static int ngx_http_stoa_writer_withhold(ngx_http_stoa_writer_t *w,
    const ngx_http_stoa_row_t *row, stoa_rec_kind_e kind,
    ngx_http_stoa_key_t *k);
static int ngx_http_stoa_writer_reject(ngx_http_stoa_writer_t *w,
    const ngx_http_stoa_row_t *row, const stoa_err_t *err);
static int ngx_http_stoa_writer_accept(ngx_http_stoa_writer_t *w,
    const ngx_http_stoa_row_t *row);
static int ngx_http_stoa_writer_meta(ngx_http_stoa_writer_t *w);


#define NGX_HTTP_STOA_FEED_KEY_MAX  128      /* longer ones are cut       */

#define FEED_KEY(prefix, kind, ids)  { prefix, sizeof(prefix) - 1, kind, ids }

static const ngx_http_stoa_feed_key_t  ngx_http_stoa_feed_keys[] = {
    FEED_KEY("cred:", STOA_REC_CREDENTIAL, 1),
    FEED_KEY("sub:", STOA_REC_SUBSCRIPTION, 2),
    FEED_KEY("app:", STOA_REC_APPLICATION, 1),
    FEED_KEY("tool:", STOA_REC_TOOL, 1),
    FEED_KEY("prompt:", STOA_REC_PROMPT, 1),
    FEED_KEY("resource:", STOA_REC_RESOURCE, 1),
    FEED_KEY("template:", STOA_REC_TEMPLATE, 1),
    FEED_KEY("api:", STOA_REC_API, 1),
    FEED_KEY("tenant:", STOA_REC_TENANT, 1),
    FEED_KEY("plan:", STOA_REC_PLAN, 1),
    FEED_KEY("server:", STOA_REC_SERVER, 1),
    FEED_KEY("group:", STOA_REC_GROUP, 1),
    FEED_KEY("groupkey:", STOA_REC_GROUPKEY, 1),
    FEED_KEY("sealkey:", STOA_REC_SEALKEY, 1),
    FEED_KEY("issuer:", STOA_REC_ISSUER, 1),
    FEED_KEY("purge:", STOA_REC_PURGE, 1),
    { NULL, 0, STOA_REC_TENANT, 0 }
};


void
ngx_http_stoa_writer_init(ngx_http_stoa_writer_t *w, ngx_http_stoa_env_t *env,
    unsigned flags)
{
    ngx_memzero(w, sizeof(ngx_http_stoa_writer_t));

    w->env = env;
    w->flags = flags;

    /* a record is at most a little larger than its JSON */

    stoa_buf_init(&w->rec, 2 * STOA_RECORD_MAX);
}


void
ngx_http_stoa_writer_free(ngx_http_stoa_writer_t *w)
{
    ngx_http_stoa_writer_abort(w);
    stoa_buf_free(&w->rec);

    if (w->env) {
        ngx_http_stoa_env_close(w->env);
        w->env = NULL;
    }
}


int
ngx_http_stoa_writer_begin(ngx_http_stoa_writer_t *w)
{
    int        rc;
    ngx_int_t  n;

    rc = mdb_txn_begin(w->env->env, NULL, w->flags, &w->txn);

    if (rc != 0) {
        w->txn = NULL;
        return rc;
    }

    n = ngx_http_stoa_env_meta(w->env, w->txn, &w->meta);

    if (n == NGX_ERROR) {
        ngx_http_stoa_writer_abort(w);
        return MDB_CORRUPTED;
    }

    if (n == NGX_DECLINED) {
        ngx_memzero(&w->meta, sizeof(ngx_http_stoa_meta_t));
        w->meta.format = ngx_http_stoa_store_format();
    }

    w->rows = 0;
    w->bytes = 0;
    w->committed = w->meta;

    return 0;
}


void
ngx_http_stoa_writer_abort(ngx_http_stoa_writer_t *w)
{
    if (w->txn) {
        mdb_txn_abort(w->txn);
        w->txn = NULL;
    }
}


int
ngx_http_stoa_writer_commit(ngx_http_stoa_writer_t *w)
{
    int  rc;

    rc = ngx_http_stoa_writer_meta(w);

    if (rc != 0) {
        ngx_http_stoa_writer_abort(w);
        return rc;
    }

    rc = mdb_txn_commit(w->txn);
    w->txn = NULL;

    if (rc == 0) {
        w->committed = w->meta;
    }

    return rc;
}


static int
ngx_http_stoa_writer_meta(ngx_http_stoa_writer_t *w)
{
    MDB_val  key, val;

    key.mv_data = "meta";
    key.mv_size = 4;
    val.mv_data = &w->meta;
    val.mv_size = sizeof(ngx_http_stoa_meta_t);

    return mdb_put(w->txn, w->env->meta, &key, &val, 0);
}


int
ngx_http_stoa_writer_apply(ngx_http_stoa_writer_t *w,
    const ngx_http_stoa_row_t *row)
{
    int                   rc;
    ngx_uint_t            known;
    stoa_err_t            err;
    stoa_rec_kind_e       kind;
    ngx_http_stoa_key_t   k;

    err.field[0] = '\0';
    err.text[0] = '\0';
    err.line = 0;
    err.offset = 0;

    rc = ngx_http_stoa_writer_target(row, &k, &kind, &err);
    known = rc == 0;

    if (rc == 0 && !row->deleted) {
        rc = ngx_http_stoa_writer_encode(w, row, kind, &k, &err);
    }

    if (rc == MDB_INCOMPATIBLE) {
        rc = known ? ngx_http_stoa_writer_withhold(w, row, kind, &k) : 0;

        if (rc == 0) {
            rc = ngx_http_stoa_writer_reject(w, row, &err);
        }

    } else if (rc == 0) {

        rc = ngx_http_stoa_writer_remove(w, &k, kind, !row->deleted);

        if (rc == 0 && !row->deleted) {
            rc = ngx_http_stoa_writer_put(w, &k, kind);
        }

        if (rc == 0) {
            rc = ngx_http_stoa_writer_accept(w, row);
        }
    }

    if (rc != 0) {
        ngx_http_stoa_writer_abort(w);
        return rc;
    }

    w->meta.rev = row->rev;
    w->meta.catalog += known && (kind == STOA_REC_API
                                 || kind == STOA_REC_SERVER
                                 || ngx_http_stoa_index_item(kind));
    w->rows++;
    w->bytes += row->key.len + row->body.len;

    return 0;
}


/* MDB_INCOMPATIBLE stands for "the row is wrong, err says why". */

static int
ngx_http_stoa_writer_target(const ngx_http_stoa_row_t *row,
    ngx_http_stoa_key_t *k, stoa_rec_kind_e *kind, stoa_err_t *err)
{
    stoa_id_t                        a, b;
    const char                      *p;
    const ngx_http_stoa_feed_key_t  *f;

    for (f = ngx_http_stoa_feed_keys; f->prefix; f++) {
        if (row->key.len > f->len
            && memcmp(row->key.data, f->prefix, f->len) == 0)
        {
            break;
        }
    }

    if (f->prefix == NULL
        || stoa_rec_kind(row->kind.data, row->kind.len) != f->kind)
    {
        (void) stoa_err_set(err, "kind", "is not known to this gateway");
        return MDB_INCOMPATIBLE;
    }

    *kind = f->kind;
    p = row->key.data + f->len;

    if (row->key.len != f->len + STOA_ID_LEN * f->ids + f->ids - 1
        || !stoa_id_valid(p, STOA_ID_LEN)
        || (f->ids == 2 && (p[STOA_ID_LEN] != ':'
                            || !stoa_id_valid(p + STOA_ID_LEN + 1,
                                              STOA_ID_LEN))))
    {
        (void) stoa_err_set(err, "key", "must be %s and %d id%s", f->prefix,
                            (int) f->ids, f->ids == 1 ? "" : "s");
        return MDB_INCOMPATIBLE;
    }

    ngx_memcpy(a.c, p, STOA_ID_LEN);

    if (f->ids == 2) {
        ngx_memcpy(b.c, p + STOA_ID_LEN + 1, STOA_ID_LEN);
    }

    ngx_http_stoa_key_rec(k, *kind, &a, f->ids == 2 ? &b : NULL);

    return 0;
}


/* Into w->rec, with its digest; the size is a multiple of 8. */

static int
ngx_http_stoa_writer_encode(ngx_http_stoa_writer_t *w,
    const ngx_http_stoa_row_t *row, stoa_rec_kind_e kind,
    const ngx_http_stoa_key_t *k, stoa_err_t *err)
{
    stoa_rc_t        rc;
    stoa_rec_hdr_t  *hdr;

    rc = stoa_rec_encode(kind, row->body.data, row->body.len, row->rev,
                         &w->rec, err);

    if (rc == STOA_ERROR) {
        return ENOMEM;
    }

    if (rc == STOA_FULL) {
        (void) stoa_err_set(err, "", "is too large");
    }

    if (rc != STOA_OK) {
        return MDB_INCOMPATIBLE;
    }

    if (!ngx_http_stoa_writer_same(w->rec.data, kind, k)) {
        (void) stoa_err_set(err, "id", "is not the one of the key");
        return MDB_INCOMPATIBLE;
    }

    while (w->rec.len % 8) {
        stoa_buf_add(&w->rec, "", 1);
    }

    if (w->rec.rc != STOA_OK) {
        return ENOMEM;
    }

    hdr = (stoa_rec_hdr_t *) w->rec.data;
    hdr->size = (uint32_t) w->rec.len;
    ngx_http_stoa_writer_digest(row, hdr->digest);

    return 0;
}


/* Does the body speak of the key's object? */

static bool
ngx_http_stoa_writer_same(const void *rec, stoa_rec_kind_e kind,
    const ngx_http_stoa_key_t *k)
{
    const stoa_rec_tenant_t        *any;
    const stoa_rec_subscription_t  *sub;

    if (kind == STOA_REC_SUBSCRIPTION) {
        sub = rec;

        return memcmp(sub->application.c, k->data + 8, STOA_ID_LEN) == 0
               && memcmp(sub->target.c, k->data + 8 + STOA_ID_LEN,
                         STOA_ID_LEN)
                  == 0;
    }

    /* every kind has its id after the header */

    any = rec;

    return memcmp(any->id.c, k->data + 8, STOA_ID_LEN) == 0;
}


/* SHA-256(key LF rev LF sha256hex(body)), cut: ARCHITECTURE.md 4. */

static void
ngx_http_stoa_writer_digest(const ngx_http_stoa_row_t *row, u_char *digest)
{
    u_char  *p;
    u_char   md[NGX_HTTP_STOA_SHA256_LEN];
    u_char   buf[NGX_HTTP_STOA_FEED_KEY_MAX + NGX_INT64_LEN + 2
                 + 2 * NGX_HTTP_STOA_SHA256_LEN];

    (void) ngx_http_stoa_sha256((const u_char *) row->body.data,
                                row->body.len, md);

    p = ngx_cpymem(buf, row->key.data, row->key.len);
    *p++ = LF;
    p = ngx_http_stoa_header_number(p, row->rev);
    *p++ = LF;

    stoa_hex_encode(md, sizeof(md), (char *) p);
    p += 2 * sizeof(md);

    (void) ngx_http_stoa_sha256(buf, p - buf, md);

    ngx_memcpy(digest, md, 16);
}


static void
ngx_http_stoa_writer_xor(u_char *digest, const u_char *with)
{
    ngx_uint_t  i;

    for (i = 0; i < 16; i++) {
        digest[i] ^= with[i];
    }
}


/* Takes the old record's share out of digest, count and index.  keep: the
 * record itself will be written over. */

static int
ngx_http_stoa_writer_remove(ngx_http_stoa_writer_t *w, ngx_http_stoa_key_t *k,
    stoa_rec_kind_e kind, ngx_uint_t keep)
{
    int              rc;
    MDB_val          key, val;
    stoa_rec_hdr_t  *old;

    key.mv_data = k->data;
    key.mv_size = k->len;

    rc = mdb_get(w->txn, w->env->rec, &key, &val);

    if (rc == MDB_NOTFOUND) {
        return 0;
    }

    if (rc != 0) {
        return rc;
    }

    if (!stoa_rec_verify(val.mv_data, val.mv_size, kind)) {
        return MDB_CORRUPTED;
    }

    old = val.mv_data;
    ngx_http_stoa_writer_xor(w->meta.digest, old->digest);
    w->meta.records[kind]--;

    rc = ngx_http_stoa_index_del(w->env, w->txn, old);

    if (rc == 0 && !keep) {
        rc = mdb_del(w->txn, w->env->rec, &key, NULL);
    }

    return rc;
}


static int
ngx_http_stoa_writer_put(ngx_http_stoa_writer_t *w, ngx_http_stoa_key_t *k,
    stoa_rec_kind_e kind)
{
    int              rc;
    MDB_val          key, val;
    stoa_rec_hdr_t  *hdr;

    key.mv_data = k->data;
    key.mv_size = k->len;
    val.mv_data = w->rec.data;
    val.mv_size = w->rec.len;

    rc = mdb_put(w->txn, w->env->rec, &key, &val, 0);

    if (rc != 0) {
        return rc;
    }

    hdr = (stoa_rec_hdr_t *) w->rec.data;
    ngx_http_stoa_writer_xor(w->meta.digest, hdr->digest);
    w->meta.records[kind]++;

    return ngx_http_stoa_index_put(w->env, w->txn, hdr);
}


/* What can be read of the row, or what was there before it, as withheld. */

static int
ngx_http_stoa_writer_withhold(ngx_http_stoa_writer_t *w,
    const ngx_http_stoa_row_t *row, stoa_rec_kind_e kind,
    ngx_http_stoa_key_t *k)
{
    int              rc;
    MDB_val          key, val;
    stoa_rc_t        made;
    stoa_rec_hdr_t  *hdr;

    made = stoa_rec_withhold(kind, row->body.data, row->body.len, row->rev,
                             &w->rec);

    if (made == STOA_ERROR) {
        return ENOMEM;
    }

    if (made != STOA_OK
        || !ngx_http_stoa_writer_same(w->rec.data, kind, k))
    {
        key.mv_data = k->data;
        key.mv_size = k->len;

        rc = mdb_get(w->txn, w->env->rec, &key, &val);

        if (rc != 0) {
            return rc == MDB_NOTFOUND ? 0 : rc;
        }

        stoa_buf_reset(&w->rec);
        stoa_buf_add(&w->rec, val.mv_data, val.mv_size);

        if (w->rec.rc != STOA_OK) {
            return ENOMEM;
        }
    }

    hdr = (stoa_rec_hdr_t *) w->rec.data;
    hdr->withheld = 1;
    hdr->rev = row->rev;

    rc = ngx_http_stoa_writer_remove(w, k, kind, 1);

    /* of no share in the digest */

    ngx_memzero(hdr->digest, sizeof(hdr->digest));

    return rc == 0 ? ngx_http_stoa_writer_put(w, k, kind) : rc;
}


static int
ngx_http_stoa_writer_reject(ngx_http_stoa_writer_t *w,
    const ngx_http_stoa_row_t *row, const stoa_err_t *err)
{
    int                        rc;
    MDB_val                    key, val, had;
    ngx_http_stoa_rejected_t   r;

    if (row->deleted) {
        /* no record of such a key can be here, but the note of one */
        return ngx_http_stoa_writer_accept(w, row);
    }

    w->refused++;

    ngx_memzero(&r, sizeof(r));
    r.rev = row->rev;
    (void) snprintf(r.error, sizeof(r.error), "%.127s%s%.111s", err->field,
                    err->field[0] ? " " : "", err->text);

    key.mv_data = (void *) row->key.data;
    key.mv_size = ngx_min(row->key.len,
                          NGX_HTTP_STOA_FEED_KEY_MAX);
    val.mv_data = &r;
    val.mv_size = sizeof(r);

    if (key.mv_size == 0) {
        return 0;
    }

    rc = mdb_get(w->txn, w->env->rejected, &key, &had);

    if (rc == MDB_NOTFOUND) {

        if (w->meta.rejected >= NGX_HTTP_STOA_REJECTED_MAX) {
            return 0;
        }

        w->meta.rejected++;
        rc = 0;
    }

    return rc == 0 ? mdb_put(w->txn, w->env->rejected, &key, &val, 0) : rc;
}


static int
ngx_http_stoa_writer_accept(ngx_http_stoa_writer_t *w,
    const ngx_http_stoa_row_t *row)
{
    int      rc;
    MDB_val  key;

    if (w->meta.rejected == 0) {
        return 0;
    }

    key.mv_data = (void *) row->key.data;
    key.mv_size = ngx_min(row->key.len,
                          NGX_HTTP_STOA_FEED_KEY_MAX);

    rc = mdb_del(w->txn, w->env->rejected, &key, NULL);

    if (rc == MDB_NOTFOUND) {
        return 0;
    }

    if (rc == 0) {
        w->meta.rejected--;
    }

    return rc;
}
