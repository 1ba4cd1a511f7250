/*
 * POST /v1/leaked-keys: keys that somebody has found in public, in the form of
 * GitHub's secret scanning programme.  Signed by one of leak_keys, or it
 * learns nothing, not even whether keys are looked up.
 *
 * A report that comes again finds the key revoked and its owner told.
 * Limits: CP_LEAKS_MAX entries, CP_HTTP_LEAKS_MAX bytes.
 */

#include <string.h>

#include <openssl/evp.h>

#include "base/cp_metrics.h"
#include "feed/cp_feed.h"
#include "kinds/cp_notice.h"
#include "kinds/cp_token.h"
#include "rest/cp_leak_keys.h"
#include "rest/cp_rest.h"


#define CP_LEAKS_MAX      1000
#define CP_LEAK_TOKEN_MAX 512
#define CP_LEAK_URL_MAX   500


static cp_rc_t cp_leak_post(cp_req_t *r);
static cp_rc_t cp_leak_all(cp_op_t *op, const cp_json_t *in,
    cp_json_t *items);
static cp_rc_t cp_leak_one(cp_op_t *op, cp_tx_t *tx, const cp_json_t *entry,
    cp_json_t *items);
static cp_rc_t cp_leak_look(cp_op_t *op, cp_tx_t *tx, const char *token,
    cp_rows_t *rows, bool *ours);
static cp_rc_t cp_leak_found(cp_op_t *op, cp_tx_t *tx, const cp_json_t *entry,
    const cp_rows_t *row);
static const char *cp_leak_clean(cp_arena_t *a, const char *s);


const cp_route_t  cp_leak_routes[] = {
    { "POST", "/v1/leaked-keys", CP_AUTH_NONE, NULL, cp_leak_post, NULL,
      "Keys that were found in public, signed by who found them", NULL },
    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};


static cp_rc_t
cp_leak_post(cp_req_t *r)
{
    bool         ok;
    cp_rc_t      rc;
    cp_op_t      own;
    cp_json_t   *in, *items;
    const char  *id, *signature;

    if (r->op.app->conf.leak_keys[0] == '\0') {
        return cp_err_set(&r->op.err, "not_found", "there is no such path");
    }

    id = cp_req_header(r, "Github-Public-Key-Identifier");
    signature = cp_req_header(r, "Github-Public-Key-Signature");
    ok = id && signature && r->body_len
         && cp_leak_signed(&r->op, id, signature, r->body, r->body_len);

    cp_metric_add(cp_metric(CP_METRIC_COUNTER,
                            "stoa_control_leak_reports_total",
                            ok ? "result=\"signed\"" : "result=\"refused\"",
                            "Reports of leaked keys."), 1);

    if (!ok) {
        return cp_err_set(&r->op.err, "unauthorized", "the report is not"
                          " signed by a key that is known");
    }

    rc = cp_json_parse(r->op.arena, r->body, r->body_len, &in, &r->op.err);

    if (rc == CP_OK && (in->type != CP_JSON_ARRAY || in->n > CP_LEAKS_MAX)) {
        rc = cp_err_set(&r->op.err, "validation", "must be a list of at most"
                        " %d", CP_LEAKS_MAX);
    }

    if (rc != CP_OK) {
        return rc;
    }

    cp_op_system(&own, r->op.app, r->op.arena, "leak report");
    memcpy(own.request_id, r->op.request_id, sizeof(own.request_id));
    items = cp_json_array(r->op.arena);

    rc = cp_leak_all(&own, in, items);

    if (rc != CP_OK) {
        r->op.err = own.err;
        return rc;
    }

    return cp_req_answer(r, 200, items);
}


static cp_rc_t
cp_leak_all(cp_op_t *op, const cp_json_t *in, cp_json_t *items)
{
    cp_rc_t           rc;
    cp_tx_t          *tx;
    const cp_json_t  *m;

    if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_feed_lock(tx, op->arena, &op->err);

    for (m = in->first; rc == CP_OK && m; m = m->next) {
        rc = cp_leak_one(op, tx, m, items);
    }

    return cp_tx_finish(tx, rc, &op->err);
}


static cp_rc_t
cp_leak_one(cp_op_t *op, cp_tx_t *tx, const cp_json_t *entry,
    cp_json_t *items)
{
    bool         ours;
    char         text[48];
    cp_rc_t      rc;
    uint8_t      sum[32];
    cp_rows_t    row;
    cp_json_t   *item;
    const char  *token, *type;

    token = cp_json_str(entry, "token");
    type = cp_json_str(entry, "type");

    if (token == NULL || strlen(token) > CP_LEAK_TOKEN_MAX) {
        return CP_OK;
    }

    rc = cp_leak_look(op, tx, token, &row, &ours);

    if (rc == CP_OK && ours) {
        rc = cp_leak_found(op, tx, entry, &row);
    }

    if (rc != CP_OK) {
        return rc;
    }

    cp_sha256(token, strlen(token), sum);
    (void) EVP_EncodeBlock((uint8_t *) text, sum, sizeof(sum));

    item = cp_json_object(op->arena);
    cp_json_put(op->arena, item, "token_hash", text);
    cp_json_put(op->arena, item, "token_type", type ? type : "");
    cp_json_put(op->arena, item, "label", ours ? "true_positive"
                                               : "false_positive");
    cp_json_push(items, item);

    return CP_OK;
}


/* By the id in it; it is ours when the digest is. */
static cp_rc_t
cp_leak_look(cp_op_t *op, cp_tx_t *tx, const char *token, cp_rows_t *rows,
    bool *ours)
{
    bool         keyed;
    char         id[STOA_ID_LEN + 1];
    cp_rc_t      rc;
    uint8_t      sum[32], kept[32];
    stoa_key_t   key;
    const char  *digest;

    *ours = false;

    if (stoa_key_parse(token, strlen(token), &key) != STOA_OK) {
        return CP_OK;
    }

    memcpy(id, key.id.data, STOA_ID_LEN);
    id[STOA_ID_LEN] = '\0';

    rc = cp_tx_query(tx, op->arena, "SELECT c.id, c.tenant, c.state,"
                     " c.prefix, a.name, c.key_digest, c.key_alg"
                     " FROM credentials c JOIN applications a"
                     " ON a.id = c.application WHERE c.id = $1",
                     cp_args(cp_text(id)), rows, &op->err);

    if (rc != CP_OK || rows->rows == 0) {
        return rc;
    }

    keyed = strcmp(cp_cell(rows, 0, 6)->p, "hmac") == 0;

    if (keyed && op->app->pepper == NULL) {
        return CP_OK;
    }

    digest = cp_token_digest(op, token, keyed);

    *ours = digest && cp_cell(rows, 0, 5)->len == 64
            && stoa_hex_decode(cp_cell(rows, 0, 5)->p, 64, kept)
            && stoa_hex_decode(digest, 64, sum)
            && stoa_equal_ct(kept, sum, sizeof(sum));

    return CP_OK;
}


static cp_rc_t
cp_leak_found(cp_op_t *op, cp_tx_t *tx, const cp_json_t *entry,
    const cp_rows_t *row)
{
    bool          live, revoke;
    cp_rc_t       rc;
    uint8_t       sum[32];
    cp_entry_t    e;
    cp_write_t    w = cp_write_of(op, tx, &cp_res_credential);
    cp_arena_t   *a = op->arena;
    const char   *url, *state;
    cp_notice_t   n = { .kind = CP_NOTICE_LEAKED, .about = "credential" };

    state = cp_cell(row, 0, 2)->p;
    live = strcmp(state, "active") == 0 || strcmp(state, "rotating") == 0;
    revoke = live && strcmp(op->app->conf.leak_action, "revoke") == 0;
    w.id = cp_cell(row, 0, 0)->p;

    rc = revoke ? cp_entry_event(&w, "revoke", &e) : CP_OK;

    if (rc != CP_OK) {
        return rc;
    }

    url = cp_json_str(entry, "url");
    url = cp_leak_clean(a, url ? url : "");
    cp_sha256(url, strlen(url), sum);

    n.id = w.id;
    n.tenant = cp_cell(row, 0, 1)->p;
    n.once = cp_arena_printf(a, "leak:%s:%s", n.id, cp_hex(a, sum, 8));
    n.text = cp_arena_printf(a, "The key %s... of %s was found in public%s%s;"
                             " it %s.", cp_cell(row, 0, 3)->p,
                             cp_cell(row, 0, 4)->p, *url ? ", at " : "", url,
                             revoke ? "is revoked now"
                             : live ? "still works: revoke it"
                             : "did not work any more");

    return n.once && n.text ? cp_notice_add(op, tx, &n)
                            : cp_err_set(&op->err, "internal", "no memory");
}


/* What somebody else wrote: a line, and not too long. */
static const char *
cp_leak_clean(cp_arena_t *a, const char *s)
{
    char  *copy, *p;

    copy = cp_arena_strndup(a, s, cp_text_cut(s, CP_LEAK_URL_MAX));

    for (p = copy; p && *p; p++) {
        if ((unsigned char) *p < 0x20 || *p == 0x7f) {
            *p = '?';
        }
    }

    return copy ? copy : "";
}
