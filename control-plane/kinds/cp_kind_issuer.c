/*
 * Issuers: who vouches for a tenant's callers by tokens, with which keys, and
 * what of a token says whose it is.
 *
 * An issuer speaks for its own tenant's applications, however many tenants
 * name the same one.
 */

#include <string.h>

#include "client/cp_client.h"
#include "core/stoa_jose.h"
#include "base/cp_seal.h"
#include "kinds/cp_jwks.h"
#include "kinds/cp_kind.h"
#include "kinds/cp_secret.h"


static cp_rc_t cp_issuer_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after);
static cp_rc_t cp_issuer_rules(cp_op_t *op, const cp_json_t *row);
static cp_rc_t cp_issuer_address(cp_op_t *op, const cp_json_t *row,
    const char *field, const cp_json_t *url, bool asked);
static cp_rc_t cp_issuer_clients(cp_op_t *op, const cp_json_t *row);
static cp_rc_t cp_issuer_keys(cp_op_t *op, const cp_json_t *before,
    cp_json_t *after);
static cp_rc_t cp_feed_issuer(cp_tx_t *tx, cp_arena_t *a,
    const cp_resource_t *res, const char *id, cp_err_t *err);
static cp_rc_t cp_issuer_body(cp_tx_t *tx, cp_arena_t *a,
    const cp_json_t *row, cp_json_t **body, cp_err_t *err);
static cp_rc_t cp_issuer_secret(cp_tx_t *tx, cp_arena_t *a,
    const cp_json_t *row, cp_json_t *body, cp_err_t *err);


#define ALG_NAME(name, type, bits)  #name,

static const char *const  algorithms[] = { STOA_ALGS(ALG_NAME) NULL };

static const cp_body_t  cp_issuer_members[] = {
    BODY_ROWS(STOA_ISSUER_FIELDS, "")
    BODY_ROWS(STOA_CLAIMS_FIELDS, "claims.")
    { NULL }
};

static const cp_field_t  claims_fields[] = {
    ROWS(STOA_CLAIMS_FIELDS)
    F_END
};

static const cp_field_t  introspection_fields[] = {
    F("url", CP_F_URL, RQ, 0, STOA_TARGET_PATH_MAX, NULL,
      "asked by gateways (RFC 7662)"),
    F("client_id", CP_F_STRING, RQ, 1, 200, NULL, "with this client ..."),
    F_REF("client_secret", RQ, "secret", NULL, "... and its secret"),
    F_END
};

static const cp_field_t  issuer_client_fields[] = {
    ROWS(STOA_ISSUER_CLIENT_FIELDS)
    F_END
};

static const cp_field_t  issuer_scope_fields[] = {
    ROWS(STOA_ISSUER_SCOPE_FIELDS)
    F_END
};

#define OWN_algorithms                                                        \
    { "algorithms", CP_F_ARRAY, 0, 0, STOA_ALG_MAX, NULL, algorithms, NULL,   \
      CP_F_ENUM, NULL, NULL, "that tokens may be signed with; empty: all" }
#define OWN_jwks_url                                                          \
    F("jwks_url", CP_F_URL, 0, 0, 1024, NULL,                                 \
      "where its keys are; read by the control plane")
#define OWN_jwks                                                              \
    F("jwks", CP_F_JSON, 0, 0, 65536, NULL,                                   \
      "its keys, in place of jwks_url")
#define OWN_keys                                                              \
    F("keys", CP_F_JSON, RO|ND|CP_MOVES, 0, 0, NULL,                          \
      "what verifies its tokens, since when, and when that was last read")
#define OWN_introspection                                                     \
    F_OBJECT("introspection", 0, NULL, introspection_fields,                  \
      "for tokens that are no JWT, of the tenant's own apis and servers")
#define OWN_claims                                                            \
    F_OBJECT("claims", 0, "{}", claims_fields,                                \
      "the name of a claim, or a path: /realm_access/roles")

static const cp_field_t  issuer_fields[] = {
    ROWS(STOA_ISSUER_FIELDS)
    BASE_TIMES,
    F_END
};

static const cp_transition_t  issuer_transitions[] = {
    { "suspend", { "active" }, "suspended", "issuer:write", NULL },
    { "resume", { "suspended" }, "active", "issuer:write", NULL },
    T_END
};

const cp_resource_t  cp_res_issuer = {
    .kind = "issuer", .doc_kind = "Issuer", .plural = "issuers",
    .table = "issuers", .parent = "tenant", .fields = issuer_fields,
    .transitions = issuer_transitions, .initial = "active",
    .check = cp_issuer_check, .feed = cp_feed_issuer
};


static cp_rc_t
cp_issuer_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after)
{
    cp_rc_t  rc;

    rc = cp_issuer_rules(w->op, after);

    if (rc == CP_OK) {
        rc = cp_issuer_clients(w->op, after);
    }

    return rc == CP_OK ? cp_issuer_keys(w->op, before, after) : rc;
}


static cp_rc_t
cp_issuer_rules(cp_op_t *op, const cp_json_t *row)
{
    cp_rc_t     rc;
    cp_json_t  *claims, *m, *url, *intro;

    url = cp_json_get(row, "jwks_url");
    intro = cp_json_get(row, "introspection");

    if (url && cp_json_get(row, "jwks")) {
        return cp_fault_at(op, row, "jwks", "there is a jwks_url beside it");
    }

    if (url == NULL && intro == NULL && cp_json_get(row, "jwks") == NULL) {
        return cp_fault_at(op, row, "jwks_url", "is required, or jwks, or "
                           "introspection");
    }

    rc = cp_issuer_address(op, row, "jwks_url", url, true);

    if (rc == CP_OK && intro) {
        rc = cp_issuer_address(op, row, "introspection",
                               cp_json_get(intro, "url"), false);
    }

    claims = cp_json_get(row, "claims");

    for (m = claims ? claims->first : NULL; m && rc == CP_OK; m = m->next) {
        if (!stoa_jwt_path_valid(m->s, m->len)) {
            rc = cp_err_field(&op->err, -1, m->line,
                              cp_arena_printf(op->arena, "claims.%s", m->key),
                              "must be the name of a claim, or a path of "
                              "names that begins with a slash");
        }
    }

    return rc;
}


/* One that the control plane asks has to be one that it may ask. */

static cp_rc_t
cp_issuer_address(cp_op_t *op, const cp_json_t *row, const char *field,
    const cp_json_t *url, bool asked)
{
    stoa_addr_class_e  class;

    if (url == NULL) {
        return CP_OK;
    }

    class = cp_client_refused(&op->app->conf.outbound_allow, url->s);

    return class == STOA_ADDR_PUBLIC || (!asked && class != STOA_ADDR_SPECIAL)
           ? CP_OK
           : cp_fault_at(op, row, field, "is %s address, which outbound_allow"
                         " of the control plane does not list",
                         stoa_addr_class_name(class));
}


static cp_rc_t
cp_issuer_clients(cp_op_t *op, const cp_json_t *row)
{
    unsigned          i;
    const cp_json_t  *list, *item, *m;

    list = cp_json_get(row, "clients");

    for (item = list ? list->first : NULL, i = 0; item;
         item = item->next, i++)
    {
        for (m = list->first; m != item; m = m->next) {
            if (strcmp(cp_json_str(m, "client"), cp_json_str(item, "client"))
                == 0)
            {
                return cp_err_field(&op->err, -1, item->line,
                                    cp_arena_printf(op->arena,
                                                    "clients[%u].client", i),
                                    "is there twice");
            }
        }
    }

    return CP_OK;
}


/* Those in the document are read here; what a url leads to, the job reads. */

static cp_rc_t
cp_issuer_keys(cp_op_t *op, const cp_json_t *before, cp_json_t *after)
{
    char        *text;
    size_t       len;
    cp_json_t   *keys, *items, *skipped, *jwks;
    cp_arena_t  *a;
    const char  *why;

    a = op->arena;
    jwks = cp_json_get(after, "jwks");

    if (jwks == NULL && before
        && cp_json_equal(cp_json_get(before, "jwks_url"),
                         cp_json_get(after, "jwks_url"))
        && cp_json_equal(cp_json_get(before, "algorithms"),
                         cp_json_get(after, "algorithms")))
    {
        return CP_OK;
    }

    keys = cp_json_object(a);
    items = cp_json_array(a);
    skipped = cp_json_array(a);

    if (jwks) {
        text = cp_json_text(a, jwks, &len);

        if (text == NULL) {
            return cp_err_set(&op->err, "internal", "no memory");
        }

        why = cp_jwks_read(a, text, len, cp_json_get(after, "algorithms"),
                           items, skipped);

        if (why || items->n == 0) {
            return cp_fault_at(op, after, "jwks", "%s%s%s",
                               why ? why : "has no key that verifies tokens",
                               skipped->first ? ": the first " : "",
                               skipped->first
                               ? cp_json_str(skipped->first, "why") : "");
        }
    }

    cp_json_put(a, keys, "state", jwks ? "inline"
                                  : cp_json_get(after, "jwks_url") ? "pending"
                                  : "none");
    cp_json_set(a, keys, "items", items);
    cp_json_set(a, keys, "skipped", skipped);
    cp_json_set(a, after, "keys", keys);

    return CP_OK;
}


static cp_rc_t
cp_feed_issuer(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const char *id, cp_err_t *err)
{
    cp_rc_t        rc;
    cp_json_t     *row, *body;
    cp_feed_row_t  feed = { cp_arena_printf(a, "issuer:%s", id), "issuer",
                            NULL, NULL, false };

    body = NULL;
    rc = cp_row_light(tx, a, res, id, &row, err);

    if (rc == CP_OK && row) {
        rc = cp_issuer_body(tx, a, row, &body, err);
    }

    return rc == CP_OK ? cp_body_put(tx, a, feed, body, err) : rc;
}


static cp_rc_t
cp_issuer_body(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *row,
    cp_json_t **body, cp_err_t *err)
{
    cp_rc_t  rc;

    rc = cp_body_make(tx, a, cp_issuer_members, row, body, err);

    if (rc != CP_OK || *body == NULL) {
        return rc;
    }

    cp_json_set(a, *body, "keys",
                cp_json_copy(a, cp_json_get(cp_json_get(row, "keys"),
                                            "items")));
    cp_json_set(a, *body, "clients",
                cp_json_copy(a, cp_json_get(row, "clients")));
    cp_json_set(a, *body, "scopes",
                cp_json_copy(a, cp_json_get(row, "scopes")));

    return cp_json_get(row, "introspection")
           ? cp_issuer_secret(tx, a, row, *body, err) : CP_OK;
}


static cp_rc_t
cp_issuer_secret(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *row,
    cp_json_t *body, cp_err_t *err)
{
    cp_rc_t           rc;
    const char       *value;
    const cp_json_t  *intro;
    cp_secret_of_t    of = { tx, a, cp_json_str(row, "tenant"), err };

    intro = cp_json_get(row, "introspection");

    rc = cp_secret_value(&of, cp_json_str(intro, "client_secret"), &value);

    if (rc != CP_OK) {
        return rc;
    }

    cp_json_put(a, body, "introspection_url", cp_json_str(intro, "url"));
    cp_json_put(a, body, "introspection_client_id",
                cp_json_str(intro, "client_id"));

    /* one that was only declared opens nothing: the issuer refuses us */

    cp_json_put(a, body, "introspection_client_secret", value ? value : "");
    cp_json_put(a, body, CP_BODY_SALT,
                cp_seal_salt(a, cp_arena_printf(a, "issuer:%s",
                                                cp_json_str(row, "id"))));

    return CP_OK;
}
