/*
 * A whole tenant, out and in: its documents, and, sealed by a passphrase, what
 * no document says: the values of secrets, the digests of keys.
 *
 * The key is scrypt's of the passphrase and a salt; AES-256-GCM, bound to its
 * kind and the tenant's name.  What is not sealed is plain YAML, an apply
 * takes it too.
 */

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "apply/cp_apply_run.h"
#include "audit/cp_audit.h"
#include "auth/cp_auth.h"
#include "base/cp_seal.h"


#define CP_ARCHIVE_KIND      "TenantSecrets"
#define CP_ARCHIVE_MAX       (512 * 1024 * 1024)
#define CP_ARCHIVE_SEAL_MAX  (64 * 1024 * 1024)
#define CP_ARCHIVE_ROWS      100000
#define CP_PASSPHRASE_MIN    12
#define CP_PASSPHRASE_MAX    1024
#define CP_SALT              16

/* 32 MB and a tenth of a second. */
#define CP_SCRYPT_N          32768
#define CP_SCRYPT_R          8
#define CP_SCRYPT_MEM        (64 * 1024 * 1024)

#define CP_PASSPHRASE        "Stoa-Passphrase"

/* Made before the transaction: scrypt takes its time. */
typedef struct {
    uint8_t  key[32];
    uint8_t  salt[CP_SALT];
} cp_archive_key_t;

typedef struct {
    const char  *from;             /* the name that the documents say        */
    const char  *name;             /* its new one                            */
    cp_json_t   *credentials;      /* rows; NULL: none came along            */
    const char  *pepper;           /* the fingerprint of that over there     */
} cp_archive_t;


static cp_rc_t cp_archive_export(cp_req_t *r);
static cp_rc_t cp_archive_import(cp_req_t *r);
static cp_rc_t cp_archive_sealed(cp_req_t *r, cp_tx_t *tx, const char *id,
    const cp_archive_key_t *key, stoa_buf_t *out);
static cp_rc_t cp_archive_gather(cp_req_t *r, cp_tx_t *tx, const char *id,
    cp_json_t **all);
static cp_rc_t cp_archive_rename(cp_req_t *r, cp_json_t *docs,
    cp_archive_t *in);
static cp_rc_t cp_archive_open(cp_req_t *r, cp_json_t *docs,
    cp_archive_t *in);
static cp_rc_t cp_archive_then(cp_apply_t *ap, void *data,
    cp_json_t *answer);
static cp_rc_t cp_archive_credential(cp_apply_t *ap, const char *tenant,
    cp_json_t *row, bool *taken);


const cp_route_t  cp_archive_routes[] = {
    { "POST", "/v1/tenants/{tenant}/export", CP_AUTH_ADMIN, "apply:read",
      cp_archive_export, NULL, "All of a tenant, to be imported elsewhere",
      NULL },
    { "POST", "/v1/tenant-imports", CP_AUTH_ADMIN, "tenant:write",
      cp_archive_import, NULL, "Make a tenant of what was exported",
      "name wait" },
    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};


/* *phrase NULL: there is none. */
static cp_rc_t
cp_archive_phrase(cp_req_t *r, const char **phrase)
{
    size_t  len;

    *phrase = cp_req_header(r, CP_PASSPHRASE);
    len = *phrase ? strlen(*phrase) : CP_PASSPHRASE_MIN;

    return len < CP_PASSPHRASE_MIN || len > CP_PASSPHRASE_MAX
           ? cp_err_set(&r->op.err, "bad_request", CP_PASSPHRASE " must have"
                        " %d to %d bytes", CP_PASSPHRASE_MIN,
                        CP_PASSPHRASE_MAX) : CP_OK;
}


static bool
cp_archive_key(const char *phrase, cp_archive_key_t *k)
{
    return EVP_PBE_scrypt(phrase, strlen(phrase), k->salt, CP_SALT,
                          CP_SCRYPT_N, CP_SCRYPT_R, 1, CP_SCRYPT_MEM, k->key,
                          sizeof(k->key)) == 1;
}


static const char *
cp_archive_place(cp_arena_t *a, const char *tenant)
{
    return cp_arena_printf(a, CP_ARCHIVE_KIND ":%s", tenant);
}


/* Tells two peppers apart and nothing of either. */
static const char *
cp_archive_pepper(const cp_op_t *op)
{
    uint8_t            sum[32];
    static const char  what[] = "stoa-tenant-export";

    if (op->app->pepper == NULL) {
        return "";
    }

    cp_hmac_sha256(op->app->pepper, op->app->pepper_len, what,
                   sizeof(what) - 1, sum);

    return cp_hex(op->arena, sum, 8);
}


static cp_rc_t
cp_archive_export(cp_req_t *r)
{
    cp_rc_t            rc;
    cp_tx_t           *tx;
    stoa_buf_t         out;
    const char        *phrase, *id;
    cp_archive_key_t   key;
    cp_audit_event_t   ev = { .action = "export", .kind = "tenant" };

    rc = cp_archive_phrase(r, &phrase);

    /* values of secrets leave the house */

    if (rc == CP_OK && phrase) {
        rc = cp_auth_may(&r->op, "tenant:write", NULL);
        cp_random(key.salt, sizeof(key.salt));

        if (rc == CP_OK && !cp_archive_key(phrase, &key)) {
            rc = cp_err_set(&r->op.err, "internal", "no memory");
        }
    }

    if (rc != CP_OK) {
        return rc;
    }

    if (cp_tx_open(r->op.app->db, true, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    stoa_buf_init(&out, CP_ARCHIVE_MAX);

    rc = cp_ref_tenant(&r->op, tx, r->param[0], r->route->permission, &id);

    if (rc == CP_OK) {
        rc = cp_dump_tenant(r, tx, id, &out);
    }

    if (rc == CP_OK && phrase) {
        rc = cp_archive_sealed(r, tx, id, &key, &out);
    }

    OPENSSL_cleanse(&key, sizeof(key));

    if (rc == CP_OK && out.rc != STOA_OK) {
        rc = cp_err_set(&r->op.err, "too_large", "the tenant is too large");
    }

    if (rc == CP_OK) {
        ev.tenant = ev.id = id;
        ev.name = r->param[0];
        ev.diff = cp_json_object(r->op.arena);
        cp_json_put_bool(r->op.arena, (cp_json_t *) ev.diff, "secrets",
                         phrase != NULL);
        rc = cp_audit_append(&r->op, tx, &ev);
    }

    rc = cp_tx_finish(tx, rc, &r->op.err);

    if (rc != CP_OK) {
        stoa_buf_free(&out);
        return rc;
    }

    stoa_buf_free(&r->out);
    r->out = out;
    r->status = 200;
    r->content_type = "application/yaml";

    return CP_OK;
}


static cp_rc_t
cp_archive_sealed(cp_req_t *r, cp_tx_t *tx, const char *id,
    const cp_archive_key_t *key, stoa_buf_t *out)
{
    char        *text, *box;
    size_t       len;
    cp_rc_t      rc;
    cp_json_t   *all, *doc, *spec;
    cp_names_t   names;
    const char  *name;
    cp_arena_t  *a = r->op.arena;

    cp_names_init(&names, tx, a, &r->op.err);
    rc = cp_names_get(&names, &cp_res_tenant, id, &name);

    if (rc == CP_OK) {
        rc = cp_archive_gather(r, tx, id, &all);
    }

    if (rc != CP_OK) {
        return rc;
    }

    text = cp_json_text(a, all, &len);
    box = text && name ? cp_seal_by(a, key->key, cp_archive_place(a, name),
                                    text, len) : NULL;

    if (box == NULL) {
        return cp_err_set(&r->op.err, "internal", "no memory");
    }

    OPENSSL_cleanse(text, len);

    doc = cp_json_object(a);
    spec = cp_json_object(a);
    cp_json_put(a, doc, "apiVersion", CP_APPLY_VERSION);
    cp_json_put(a, doc, "kind", CP_ARCHIVE_KIND);
    cp_json_put(a, spec, "salt", cp_hex(a, key->salt, CP_SALT));
    cp_json_put(a, spec, "sealed", box);
    cp_json_set(a, doc, "spec", spec);

    stoa_buf_addz(out, "---\n");
    cp_yaml_write(out, doc, 0);

    return CP_OK;
}


/* {pepper, secrets: [{name, value}], credentials: [row]}; applications by
 * their names. */
static cp_rc_t
cp_archive_gather(cp_req_t *r, cp_tx_t *tx, const char *id,
    cp_json_t **all)
{
    cp_rc_t           rc;
    cp_json_t        *rows, *row, *list, *one;
    cp_names_t        names;
    const char       *text, *app;
    cp_arena_t       *a = r->op.arena;
    cp_row_query_t    q = { "\"tenant\" = $1", "\"id\"",
                            CP_ARCHIVE_ROWS, true };

    rc = cp_row_select(tx, a, &cp_res_secret, &q, cp_args(cp_text(id)), &rows,
                       &r->op.err);
    if (rc != CP_OK) {
        return rc;
    }

    *all = cp_json_object(a);
    cp_json_put(a, *all, "pepper", cp_archive_pepper(&r->op));
    list = cp_json_array(a);

    for (row = rows->first; row; row = row->next) {
        text = cp_json_str(row, "value");
        text = text ? cp_unseal(a, cp_arena_printf(a, "secret:%s",
                                                   cp_json_str(row, "id")),
                                text) : NULL;
        if (text) {
            one = cp_json_object(a);
            cp_json_put(a, one, "name", cp_json_str(row, "name"));
            cp_json_put(a, one, "value", text);
            cp_json_push(list, one);
        }
    }

    cp_json_set(a, *all, "secrets", list);

    q.where = "\"tenant\" = $1 AND \"state\" IN ('active', 'rotating')";
    rc = cp_row_select(tx, a, &cp_res_credential, &q, cp_args(cp_text(id)),
                       &rows, &r->op.err);
    if (rc != CP_OK) {
        return rc;
    }

    cp_names_init(&names, tx, a, &r->op.err);

    for (row = rows->first; row; row = row->next) {
        rc = cp_names_get(&names, &cp_res_application,
                          cp_json_str(row, "application"), &app);
        if (rc != CP_OK) {
            return rc;
        }

        cp_json_put(a, row, "application", app);
    }

    cp_json_set(a, *all, "credentials", rows);

    return CP_OK;
}


static cp_rc_t
cp_archive_import(cp_req_t *r)
{
    cp_rc_t        rc;
    cp_json_t     *docs, *one;
    cp_archive_t  *in;

    in = cp_arena_alloc(r->op.arena, sizeof(cp_archive_t));
    if (in == NULL) {
        return cp_err_set(&r->op.err, "internal", "no memory");
    }

    rc = cp_req_json(r, &docs);

    if (rc == CP_OK && docs->type == CP_JSON_OBJECT) {
        one = docs;
        docs = cp_json_array(r->op.arena);
        cp_json_push(docs, one);
    }

    if (rc == CP_OK) {
        rc = cp_archive_rename(r, docs, in);
    }

    if (rc == CP_OK) {
        rc = cp_archive_open(r, docs, in);
    }

    /* it may have more than its limits, lowered since, let it make */

    r->op.unlimited = true;

    return rc == CP_OK ? cp_apply_documents(r, docs, cp_archive_then, in)
                       : rc;
}


/* All documents are of one tenant, which gets its new name. */
static cp_rc_t
cp_archive_rename(cp_req_t *r, cp_json_t *docs, cp_archive_t *in)
{
    bool         owner;
    cp_json_t   *d, *meta;
    const char  *kind, *name;

    in->name = cp_req_query(r, "name");

    for (d = docs->first; d; d = d->next) {
        kind = d->type == CP_JSON_OBJECT ? cp_json_str(d, "kind") : NULL;
        meta = kind ? cp_json_get(d, "metadata") : NULL;

        if (kind && strcmp(kind, CP_ARCHIVE_KIND) == 0) {
            continue;
        }

        owner = kind && strcmp(kind, cp_res_tenant.doc_kind) == 0;
        name = meta && meta->type == CP_JSON_OBJECT
               ? cp_json_str(meta, owner ? "name" : "tenant") : NULL;
        in->from = in->from ? in->from : name;

        if (name == NULL || strcmp(name, in->from) != 0) {
            return cp_err_set(&r->op.err, "bad_request", "line %u: not a"
                              " document of one tenant alone", d->line);
        }

        if (in->name) {
            cp_json_put(r->op.arena, meta, owner ? "name" : "tenant",
                        in->name);
        }
    }

    in->name = in->name ? in->name : in->from;

    return in->name ? CP_OK
           : cp_err_set(&r->op.err, "bad_request", "there is no tenant in it");
}


/* The value goes where an apply looks for it. */
static void
cp_archive_value(cp_req_t *r, cp_json_t *docs, const cp_json_t *secret)
{
    cp_json_t   *d, *spec;
    const char  *kind, *name, *want;

    want = cp_json_str(secret, "name");

    for (d = docs->first; d; d = d->next) {
        kind = cp_json_str(d, "kind");
        name = kind && strcmp(kind, cp_res_secret.doc_kind) == 0
               ? cp_json_str(cp_json_get(d, "metadata"), "name") : NULL;

        if (name && want && strcmp(name, want) == 0) {
            spec = cp_json_get(d, "spec");

            if (spec == NULL || spec->type != CP_JSON_OBJECT) {
                spec = cp_json_object(r->op.arena);
                cp_json_set(r->op.arena, d, "spec", spec);
            }

            cp_json_put(r->op.arena, spec, "value",
                        cp_json_str(secret, "value"));
        }
    }
}


static cp_rc_t
cp_archive_unseal(cp_req_t *r, const cp_json_t *spec, const char *phrase,
    const char *tenant, cp_json_t **all)
{
    bool               ok;
    size_t             n;
    const char        *s, *text;
    cp_archive_key_t   key;

    s = cp_json_str(spec, "salt");
    text = cp_json_str(spec, "sealed");

    ok = text && strlen(text) <= CP_ARCHIVE_SEAL_MAX
         && s && strlen(s) == 2 * CP_SALT
         && stoa_hex_decode(s, 2 * CP_SALT, key.salt)
         && cp_archive_key(phrase, &key);

    if (ok) {
        s = cp_unseal_by(r->op.arena, key.key,
                         cp_archive_place(r->op.arena, tenant), text, &n);
        ok = s && cp_json_parse(r->op.arena, s, n, all, NULL) == CP_OK;
        OPENSSL_cleanse(&key, sizeof(key));
    }

    return ok ? CP_OK
           : cp_err_set(&r->op.err, "bad_request", "what is sealed does not"
                        " open: another passphrase, another tenant's, or it"
                        " was changed");
}


/* Takes the sealed document out. */
static cp_rc_t
cp_archive_open(cp_req_t *r, cp_json_t *docs, cp_archive_t *in)
{
    cp_rc_t      rc;
    cp_json_t   *d, *next, *sealed, *all, *m;
    const char  *phrase, *kind;

    rc = cp_archive_phrase(r, &phrase);
    if (rc != CP_OK) {
        return rc;
    }

    sealed = NULL;
    d = docs->first;
    docs->first = docs->last = NULL;
    docs->n = 0;

    for ( /* void */ ; d; d = next) {
        next = d->next;
        d->next = NULL;
        kind = cp_json_str(d, "kind");

        if (kind && strcmp(kind, CP_ARCHIVE_KIND) == 0) {
            sealed = d;

        } else {
            cp_json_push(docs, d);
        }
    }

    if (sealed == NULL || phrase == NULL) {
        return CP_OK;
    }

    rc = cp_archive_unseal(r, cp_json_get(sealed, "spec"), phrase, in->from,
                           &all);
    if (rc != CP_OK) {
        return rc;
    }

    m = cp_json_get(all, "secrets");

    for (m = m ? m->first : NULL; m; m = m->next) {
        cp_archive_value(r, docs, m);
    }

    in->credentials = cp_json_get(all, "credentials");
    in->pepper = cp_json_str(all, "pepper");

    return CP_OK;
}


/* The keys.  One that is here already, or that was digested with another
 * pepper, stays behind and is counted. */
static cp_rc_t
cp_archive_then(cp_apply_t *ap, void *data, cp_json_t *answer)
{
    bool               taken;
    int64_t            n, left;
    cp_rc_t            rc;
    unsigned           i;
    cp_op_t           *op = ap->op;
    cp_json_t         *row, *next;
    const char        *id, *alg, *pepper;
    cp_archive_t      *in = data;
    cp_audit_event_t   ev = { .action = "import", .kind = "tenant" };

    for (i = 0; i < ap->docs.n; i++) {
        if (ap->docs.doc[i].res == &cp_res_tenant
            && ap->docs.doc[i].action == CP_ACTION_CREATE)
        {
            break;
        }
    }

    /* what is there already is not mixed with what comes */

    if (i == ap->docs.n) {
        return cp_err_set(&op->err, "already_exists", "a tenant \"%.64s\""
                          " exists already, or the documents make none",
                          in->name);
    }

    id = ap->docs.doc[i].id;
    pepper = cp_archive_pepper(op);
    n = left = 0;

    for (row = in->credentials ? in->credentials->first : NULL; row;
         row = next)
    {
        next = row->next;
        alg = cp_json_str(row, "key_alg");
        taken = alg && (strcmp(alg, "sha256") == 0
                        || (in->pepper && pepper
                            && strcmp(in->pepper, pepper) == 0));

        rc = taken ? cp_archive_credential(ap, id, row, &taken) : CP_OK;
        if (rc != CP_OK) {
            return rc;
        }

        n += taken;
        left += !taken;
    }

    cp_json_put_int(ap->arena, answer, "credentials", n);
    cp_json_put_int(ap->arena, answer, "credentials_left", left);

    ev.tenant = ev.id = id;
    ev.name = in->name;
    ev.diff = answer;

    return cp_audit_append(op, ap->tx, &ev);
}


static cp_rc_t
cp_archive_credential(cp_apply_t *ap, const char *tenant, cp_json_t *row,
    bool *taken)
{
    cp_rc_t      rc;
    cp_op_t     *op = ap->op;
    cp_rows_t    rows;
    const char  *app, *name, *id;

    *taken = false;
    id = cp_json_str(row, "id");
    name = cp_json_str(row, "application");

    if (id == NULL || name == NULL || !stoa_id_valid(id, strlen(id))) {
        return CP_OK;
    }

    rc = cp_ref_find(ap->tx, op->arena, &cp_res_application, tenant, name,
                     &app, &op->err);

    if (rc == CP_OK) {
        rc = cp_tx_query(ap->tx, op->arena, "SELECT id FROM credentials"
                         " WHERE id = $1", cp_args(cp_text(id)), &rows,
                         &op->err);
    }

    if (rc != CP_OK || app == NULL || rows.rows) {
        return rc;
    }

    cp_json_put(op->arena, row, "tenant", tenant);
    cp_json_put(op->arena, row, "application", app);

    rc = cp_row_insert(ap->tx, op->arena, &cp_res_credential, row, &op->err);

    if (rc == CP_OK) {
        rc = cp_resource_touch(op, ap->tx, &cp_res_credential, id);
        *taken = true;
    }

    return rc;
}
