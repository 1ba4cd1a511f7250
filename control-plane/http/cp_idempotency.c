/*
 * Idempotency-Key on POST: the answer of the first request is given again for
 * 24 hours.
 *
 * The row is written in the transaction of the work itself, under the feed's
 * lock: of two requests at once the second waits and then finds the answer.
 * A stored answer may hold a key that is shown once, so it is sealed
 * (AES-256-GCM) with a key that only the caller's token gives; for who comes
 * without one, and people, whose tokens change, one that the secret key gives.
 */

#include <string.h>

#include <openssl/crypto.h>

#include "base/cp_seal.h"
#include "op/cp_app.h"
#include "feed/cp_feed.h"
#include "http/cp_call.h"
#include "http/cp_idempotency.h"


#define CP_IDEMPOTENCY_MS       86400000LL
#define CP_IDEMPOTENCY_KEY_MAX  255

static const char *const  cp_kept_headers[] = { "ETag", "Location",
    "Stoa-Revision", NULL };


static cp_rc_t cp_idempotency_replay(cp_req_t *r, const cp_rows_t *rows,
    const char *key);


static const char *
cp_idempotency_key(cp_req_t *r)
{
    return r->conn && strcmp(r->method, "POST") == 0
           ? cp_req_header(r, "Idempotency-Key") : NULL;
}


/* What the first request was. */
static const char *
cp_idempotency_request(cp_req_t *r)
{
    uint8_t      body[32], all[32];
    unsigned     i;
    const char  *text;

    cp_sha256(r->body ? r->body : "", r->body_len, body);
    text = cp_arena_printf(r->op.arena, "%s %s\n%s", r->method, r->path,
                           cp_hex(r->op.arena, body, 32));

    /* how long to wait says nothing about what is done */

    for (i = 0; r->call && i < r->call->nquery; i++) {
        if (strcmp(r->call->query[i][0], "wait") != 0) {
            text = cp_arena_printf(r->op.arena, "%s\n%s=%s", text,
                                   r->call->query[i][0],
                                   r->call->query[i][1]);
        }
    }

    cp_sha256(text ? text : "", text ? strlen(text) : 0, all);

    return cp_hex(r->op.arena, all, 32);
}


static const char *
cp_idempotency_digest(cp_req_t *r, const char *key)
{
    uint8_t  sum[32];

    cp_sha256(key, strlen(key), sum);

    return cp_hex(r->op.arena, sum, 32);
}


static void
cp_idempotency_secret(cp_req_t *r, const char *key, uint8_t out[32])
{
    const char  *text, *auth;

    auth = cp_req_header(r, "Authorization");

    if (auth == NULL || r->op.actor.how == CP_AUTH_USER) {
        auth = cp_seal_salt(r->op.arena,
                            cp_arena_printf(r->op.arena, "idempotency:%s",
                                            r->op.actor.id));
    }

    if (auth == NULL) {
        cp_random(out, 32);            /* nobody opens it                   */
        return;
    }

    text = cp_arena_printf(r->op.arena, "stoa-idempotency\n%s", key);

    cp_hmac_sha256(auth, strlen(auth), text ? text : "",
                   text ? strlen(text) : 0, out);
}


cp_rc_t
cp_idempotency_begin(cp_req_t *r, cp_tx_t *tx, bool *replayed)
{
    size_t       i;
    cp_rc_t      rc;
    cp_rows_t    rows;
    const char  *key;

    *replayed = false;

    key = cp_idempotency_key(r);
    if (key == NULL) {
        return CP_OK;
    }

    for (i = 0; key[i] > 0x20 && key[i] < 0x7f; i++) { /* void */ }

    if (i == 0 || key[i] != '\0' || i > CP_IDEMPOTENCY_KEY_MAX) {
        return cp_err_set(&r->op.err, "bad_request", "Idempotency-Key must be"
                          " 1 to %d visible characters",
                          CP_IDEMPOTENCY_KEY_MAX);
    }

    rc = cp_feed_lock(tx, r->op.arena, &r->op.err);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_tx_query(tx, r->op.arena, "SELECT request, status, headers, answer"
                     " FROM idempotency WHERE actor = $1 AND key_digest = $2"
                     " AND created_at > $3",
                     cp_args(cp_text(r->op.actor.id),
                             cp_text(cp_idempotency_digest(r, key)),
                             cp_int(cp_time_ms() - CP_IDEMPOTENCY_MS)),
                     &rows, &r->op.err);
    if (rc != CP_OK || rows.rows == 0) {
        return rc;
    }

    if (strcmp(cp_cell(&rows, 0, 0)->p, cp_idempotency_request(r)) != 0) {
        return cp_err_set(&r->op.err, "idempotency_mismatch",
                          "this Idempotency-Key came with another request");
    }

    *replayed = true;

    return cp_idempotency_replay(r, &rows, key);
}


static cp_rc_t
cp_idempotency_replay(cp_req_t *r, const cp_rows_t *rows, const char *key)
{
    bool             ok;
    uint8_t          secret[32], *text, *sealed;
    cp_json_t       *headers, *m;
    const cp_val_t  *answer;

    answer = cp_cell(rows, 0, 3);

    if (answer->len < CP_SEAL_IV + CP_SEAL_TAG
        || cp_json_parse(r->op.arena, cp_cell(rows, 0, 2)->p,
                         cp_cell(rows, 0, 2)->len, &headers, &r->op.err)
           != CP_OK)
    {
        return cp_err_set(&r->op.err, "internal", "a kept answer is broken");
    }

    sealed = (uint8_t *) answer->p;
    text = cp_arena_alloc(r->op.arena, answer->len + 1);
    cp_idempotency_secret(r, key, secret);

    ok = text != NULL
         && cp_seal_cipher(false, secret, NULL, sealed,
                           sealed + CP_SEAL_IV + CP_SEAL_TAG,
                           answer->len - CP_SEAL_IV - CP_SEAL_TAG, text);
    OPENSSL_cleanse(secret, sizeof(secret));

    if (!ok) {
        return cp_err_set(&r->op.err, "idempotency_mismatch",
                          "this Idempotency-Key came with another token");
    }

    for (m = headers->first; m; m = m->next) {
        cp_req_set_header(r, m->key, m->s);
    }

    cp_req_set_header(r, "Idempotency-Replayed", "true");

    stoa_buf_reset(&r->out);
    stoa_buf_add(&r->out, text,
                 answer->len - CP_SEAL_IV - CP_SEAL_TAG);
    r->status = (int) cp_cell(rows, 0, 1)->i;
    r->content_type = "application/json";

    return CP_OK;
}


cp_rc_t
cp_idempotency_end(cp_req_t *r, cp_tx_t *tx)
{
    bool         ok;
    uint8_t      secret[32], *sealed;
    unsigned     i, k;
    cp_json_t   *headers;
    const char  *key;

    key = cp_idempotency_key(r);
    if (key == NULL) {
        return CP_OK;
    }

    headers = cp_json_object(r->op.arena);

    for (i = 0; i < r->nheader; i++) {
        for (k = 0; cp_kept_headers[k]; k++) {
            if (strcmp(r->header[i][0], cp_kept_headers[k]) == 0) {
                cp_json_put(r->op.arena, headers, cp_kept_headers[k],
                            r->header[i][1]);
            }
        }
    }

    sealed = cp_arena_alloc(r->op.arena,
                            CP_SEAL_IV + CP_SEAL_TAG + r->out.len + 1);
    cp_idempotency_secret(r, key, secret);

    if (sealed) {
        cp_random(sealed, CP_SEAL_IV);
    }

    ok = sealed != NULL
         && cp_seal_cipher(true, secret, NULL, sealed,
                           (const uint8_t *) r->out.data, r->out.len,
                           sealed + CP_SEAL_IV + CP_SEAL_TAG);
    OPENSSL_cleanse(secret, sizeof(secret));

    if (!ok) {
        return cp_err_set(&r->op.err, "internal", "cannot seal the answer");
    }

    return cp_tx_query(tx, r->op.arena, "INSERT INTO idempotency (actor,"
                       " key_digest, request, status, headers, answer,"
                       " created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)"
                       " ON CONFLICT (actor, key_digest) DO UPDATE SET"
                       " request = excluded.request,"
                       " status = excluded.status,"
                       " headers = excluded.headers,"
                       " answer = excluded.answer,"
                       " created_at = excluded.created_at",
                       cp_args(cp_text(r->op.actor.id),
                               cp_text(cp_idempotency_digest(r, key)),
                               cp_text(cp_idempotency_request(r)),
                               cp_int(r->status),
                               cp_text(cp_json_text(r->op.arena, headers,
                                                    NULL)),
                               cp_blob(sealed, CP_SEAL_IV + CP_SEAL_TAG
                                               + r->out.len),
                               cp_int(cp_time_ms())),
                       NULL, &r->op.err);
}


cp_rc_t
cp_idempotency_job(cp_app_t *app)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_arena_t  *a;

    a = cp_arena_create(1024 * 1024);

    if (a == NULL || cp_tx_begin(app->db, true, &tx) != CP_OK) {
        cp_arena_destroy(a);
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, a, "DELETE FROM idempotency WHERE created_at < $1",
                     cp_args(cp_int(cp_time_ms() - CP_IDEMPOTENCY_MS)), NULL,
                     NULL);
    rc = cp_tx_finish(tx, rc, NULL);

    cp_arena_destroy(a);

    return rc;
}
