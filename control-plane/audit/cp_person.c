/*
 * Keys of people, and what is sealed with them.
 */

#include <string.h>

#include <openssl/crypto.h>

#include "audit/cp_person.h"
#include "audit/cp_sign.h"
#include "base/cp_seal.h"


static cp_rc_t cp_person_key(cp_op_t *op, cp_tx_t *tx, const char *person,
    bool make, uint8_t key[32], bool *there);


cp_rc_t
cp_person_seal(cp_op_t *op, cp_tx_t *tx, const char *person,
    const char *text, const char **sealed)
{
    bool      there;
    cp_rc_t   rc;
    uint8_t   key[32];

    *sealed = "";

    rc = cp_person_key(op, tx, person, true, key, &there);
    if (rc != CP_OK || !there) {
        return rc;
    }

    *sealed = cp_seal_by(op->arena, key, person, text, strlen(text));
    OPENSSL_cleanse(key, sizeof(key));

    return *sealed ? CP_OK
                   : cp_err_set(&op->err, "internal", "no memory");
}


cp_rc_t
cp_person_open(cp_op_t *op, cp_tx_t *tx, const char *person,
    const char *sealed, const char **text)
{
    bool      there;
    size_t    n;
    cp_rc_t   rc;
    uint8_t   key[32];

    *text = NULL;

    rc = cp_person_key(op, tx, person, false, key, &there);
    if (rc != CP_OK || !there) {
        return rc;
    }

    *text = cp_unseal_by(op->arena, key, person, sealed, &n);
    OPENSSL_cleanse(key, sizeof(key));

    return CP_OK;
}


static cp_rc_t
cp_person_key(cp_op_t *op, cp_tx_t *tx, const char *person, bool make,
    uint8_t key[32], bool *there)
{
    cp_rc_t      rc;
    cp_rows_t    rows;
    cp_arena_t  *a;
    const char  *place, *text;

    a = op->arena;
    *there = false;
    place = cp_arena_printf(a, "person:%s", person);

    rc = cp_tx_query(tx, a, "SELECT sealed FROM person_keys"
                     " WHERE person = $1", cp_args(cp_text(person)), &rows,
                     &op->err);

    if (rc == CP_OK && rows.rows == 0 && make) {
        cp_random(key, 32);
        text = cp_hex(a, key, 32);

        /* somebody else may be as quick: then it is his key that counts */

        rc = cp_tx_query(tx, a, "INSERT INTO person_keys (person, sealed,"
                         " created_at) VALUES ($1, $2, $3)"
                         " ON CONFLICT (person) DO UPDATE"
                         " SET created_at = person_keys.created_at"
                         " RETURNING sealed",
                         cp_args(cp_text(person),
                                 cp_text(cp_seal(a, place, text)),
                                 cp_int(cp_time_ms())), &rows, &op->err);
    }

    if (rc != CP_OK || rows.rows == 0 || cp_cell(&rows, 0, 0)->len == 0) {
        return rc;
    }

    text = cp_unseal(a, place, cp_cell(&rows, 0, 0)->p);

    if (text == NULL || strlen(text) != 64
        || !stoa_hex_decode(text, 64, key))
    {
        return cp_err_set(&op->err, "internal", "the key of person %s does "
                          "not open", person);
    }

    *there = true;

    return CP_OK;
}


cp_rc_t
cp_person_also(cp_op_t *op, cp_tx_t *tx, const char *before,
    const char *person)
{
    return cp_tx_query(tx, op->arena, "UPDATE person_keys SET of_person = $2"
                       " WHERE person = $1",
                       cp_args(cp_text(before), cp_text(person)), NULL,
                       &op->err);
}


/* Who has no key yet gets none: what is said of him later is lost at once. */
static cp_rc_t
cp_person_destroy(cp_op_t *op, cp_tx_t *tx, const char *person, bool *had)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, op->arena, "SELECT 1 FROM person_keys"
                     " WHERE person = $1 AND sealed <> ''",
                     cp_args(cp_text(person)), &rows, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    *had = rows.rows > 0;

    rc = cp_tx_query(tx, op->arena, "UPDATE person_keys SET sealed = '',"
                     " destroyed_at = $2 WHERE of_person = $1"
                     " AND sealed <> ''",
                     cp_args(cp_text(person), cp_int(cp_time_ms())), NULL,
                     &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    return cp_tx_query(tx, op->arena, "INSERT INTO person_keys (person,"
                       " sealed, created_at, destroyed_at)"
                       " VALUES ($1, '', $2, $2) ON CONFLICT (person)"
                       " DO UPDATE SET sealed = '',"
                       " destroyed_at = excluded.destroyed_at"
                       " WHERE person_keys.sealed <> ''",
                       cp_args(cp_text(person), cp_int(cp_time_ms())), NULL,
                       &op->err);
}


cp_rc_t
cp_person_erase(cp_op_t *op, cp_tx_t *tx, const char *person, bool *had)
{
    cp_rc_t  rc;

    rc = cp_person_destroy(op, tx, person, had);

    return rc == CP_OK && cp_sign_erased_add(op->arena, person) != CP_OK
           ? cp_err_set(&op->err, "internal", "the list beside the key was "
                        "not written")
           : rc;
}


cp_rc_t
cp_person_again(cp_op_t *op, cp_tx_t *tx)
{
    bool         had;
    size_t       len;
    cp_rc_t      rc;
    unsigned     n;
    const char  *p, *person;

    rc = CP_OK;
    n = 0;

    for (p = cp_sign_erased(op->arena); p && *p && rc == CP_OK; p += len) {

        len = strcspn(p, "\n");

        if (stoa_id_valid(p, len)) {
            person = cp_arena_strndup(op->arena, p, len);
            rc = person ? cp_person_destroy(op, tx, person, &had) : CP_ERROR;
            n += rc == CP_OK && had;
        }

        len += p[len] == '\n';
    }

    if (n) {
        cp_log(CP_LOG_WARN, "audit", "people who were erased were back, and"
               " are erased again people:%u", n);
    }

    return rc;
}
