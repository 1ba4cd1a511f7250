/*
 * Secrets: a value that goes in and never out again, but to gateways whose
 * records use it.  A tenant's own, and global ones of the platform.
 */

#include <string.h>

#include "base/cp_seal.h"
#include "kinds/cp_certificate.h"
#include "kinds/cp_kind.h"
#include "kinds/cp_secret.h"


static cp_rc_t cp_secret_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after);
static cp_rc_t cp_secret_judge(const cp_write_t *w, const char *value,
    bool had, cp_json_t *after);
static cp_rc_t cp_secret_follow(cp_op_t *op, cp_tx_t *tx,
    const cp_json_t *row);


#define SECRET_FIELDS                                                         \
    F("value", CP_F_TEXT, CP_SEALED, 1, STOA_CERTIFICATE_MAX, NULL,           \
      "goes in and never out; left out it stays as it is. 512 bytes, or a "   \
      "certificate, those that lead to it and its key as PEM"),               \
    F("certificate", CP_F_JSON, RO|ND|CP_MOVES, 0, 0, NULL,                   \
      "of a value that is one: whose, from when, until when"),                \
    BASE_TIMES,                                                               \
    F_END

static const cp_field_t  secret_fields[] = {
    BASE_ID, BASE_NAME, BASE_TITLE, BASE_TENANT,
    SECRET_FIELDS
};

static const cp_field_t  global_fields[] = {
    BASE_ID, BASE_NAME, BASE_TITLE,
    SECRET_FIELDS
};

static const cp_dependent_t  secret_dependents[] = {
    { "policy", "secrets", CP_DEP_REFUSE, true },
    { "issuer", "introspection", CP_DEP_REFUSE, true },
    { NULL, NULL, 0, false }
};

static const cp_dependent_t  global_dependents[] = {
    { "global_policy", "secrets", CP_DEP_REFUSE, true },
    { NULL, NULL, 0, false }
};

const cp_resource_t  cp_res_secret = {
    .kind = "secret", .doc_kind = "Secret", .plural = "secrets",
    .table = "secrets", .parent = "tenant", .fields = secret_fields,
    .check = cp_secret_check, .follow = cp_secret_follow,
    .dependents = secret_dependents
};

const cp_resource_t  cp_res_global_secret = {
    .kind = "global_secret", .doc_kind = "GlobalSecret", .plural = "secrets",
    .table = "global_secrets", .fields = global_fields,
    .check = cp_secret_check, .follow = cp_secret_follow,
    .dependents = global_dependents
};


/* Where a certificate is wanted no other text is, and the other way round: so
 * it stays what it was. */
static cp_rc_t
cp_secret_judge(const cp_write_t *w, const char *value, bool had,
    cp_json_t *after)
{
    bool         pem;
    cp_json_t   *shown;
    const char  *p, *why;

    pem = cp_certificate_looks(value);

    for (p = value; *p; p++) {
        if (((unsigned char) *p < ' ' && !(pem && *p == '\n'))
            || *p == 0x7f || (p[0] == '$' && p[1] == '{'))
        {
            return cp_fault_at(w->op, after, "value", "must be text without "
                               "control characters and without ${");
        }
    }

    if (!pem && p - value > CP_SECRET_MAX) {
        return cp_fault_at(w->op, after, "value", "must have at most %d "
                           "bytes, or be a certificate", CP_SECRET_MAX);
    }

    if (had && pem != (cp_json_get(after, "certificate") != NULL)) {
        return cp_fault_at(w->op, after, "value", "must %sbe a certificate, "
                           "as it was", pem ? "not " : "");
    }

    if (!pem) {
        return CP_OK;
    }

    why = cp_certificate_read(w->op->arena, value, &shown);

    if (why) {
        return cp_fault_at(w->op, after, "value", "%s", why);
    }

    cp_json_set(w->op->arena, after, "certificate", shown);

    return CP_OK;
}


/* What is stored is sealed; the same value again is no change. */
static cp_rc_t
cp_secret_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after)
{
    cp_rc_t      rc;
    const char  *value, *old, *place, *was;
    cp_arena_t  *a;

    a = w->op->arena;
    value = cp_json_str(after, "value");
    old = before ? cp_json_str(before, "value") : NULL;

    if (value == NULL || (old && strcmp(value, old) == 0)) {
        return CP_OK;
    }

    rc = cp_secret_judge(w, value, old != NULL, after);

    if (rc != CP_OK) {
        return rc;
    }

    place = cp_arena_printf(a, "secret:%s", cp_json_str(after, "id"));
    was = place && old ? cp_unseal(a, place, old) : NULL;

    if (was && strcmp(was, value) == 0) {
        value = old;

    } else {
        value = place ? cp_seal(a, place, value) : NULL;
    }

    if (value == NULL) {
        return cp_err_set(&w->op->err, "internal", "no memory");
    }

    cp_json_put(a, after, "value", value);

    return CP_OK;
}


/* The records that have the value in them. */
static cp_rc_t
cp_secret_follow(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row)
{
    cp_rc_t               rc;
    unsigned              i;
    cp_rows_t             issuers;
    cp_json_t            *rows, *policy;
    cp_row_query_t        q = { "\"secrets\" LIKE $1", NULL, 0, true };
    const cp_resource_t  *res;

    res = cp_resource_find(cp_json_str(row, "tenant") ? "policy"
                                                      : "global_policy");

    rc = cp_row_select(tx, op->arena, res, &q,
                       cp_args(cp_text(cp_arena_printf(op->arena,
                                       "%%\"%s\"%%",
                                       cp_json_str(row, "id")))),
                       &rows, &op->err);

    for (policy = rc == CP_OK ? rows->first : NULL;
         policy && rc == CP_OK;
         policy = policy->next)
    {
        rc = res->follow(op, tx, policy);
    }

    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_tx_query(tx, op->arena, "SELECT id FROM issuers"
                     " WHERE introspection LIKE $1",
                     cp_args(cp_text(cp_arena_printf(op->arena, "%%\"%s\"%%",
                                                cp_json_str(row, "id")))),
                     &issuers, &op->err);

    for (i = 0; rc == CP_OK && i < issuers.rows; i++) {
        rc = cp_resource_touch(op, tx, &cp_res_issuer,
                               cp_cell(&issuers, i, 0)->p);
    }

    return rc;
}
