/*
 * Enrolment, codes, recovery.
 */

#include <string.h>

#include <openssl/crypto.h>

#include "base/cp_seal.h"
#include "people/cp_factor.h"
#include "people/cp_totp.h"


#define CP_RECOVERY_BYTES  10          /* 16 letters: 80 bits               */


static const char *
cp_factor_place(cp_arena_t *a, const char *person)
{
    return cp_arena_printf(a, "totp:%s", person);
}


/* false: it is not there, or was sealed for somebody else. */
static bool
cp_factor_key(cp_arena_t *a, const char *person, const char *sealed,
    uint8_t key[CP_TOTP_KEY])
{
    char  *hex;

    hex = cp_unseal(a, cp_factor_place(a, person), sealed);

    return hex && strlen(hex) == 2 * CP_TOTP_KEY
           && stoa_hex_decode(hex, 2 * CP_TOTP_KEY, key);
}


cp_rc_t
cp_factor_step(cp_op_t *op, const char *person, const char *sealed,
    const char *code, int64_t last, int64_t *step)
{
    uint8_t  key[CP_TOTP_KEY];

    if (!cp_factor_key(op->arena, person, sealed, key)) {
        return cp_err_set(&op->err, "internal", "the key of a second factor"
                          " cannot be opened");
    }

    *step = cp_totp_match(key, code, cp_time_ms());
    OPENSSL_cleanse(key, sizeof(key));

    if (*step <= last) {
        *step = 0;
    }

    return CP_OK;
}


/* Lower case, blanks and dashes do not count; NULL: no memory. */
static const char *
cp_factor_digest(cp_arena_t *a, const char *person, const char *code)
{
    char         *text, *p;
    uint8_t       sum[32];
    const char   *salt;

    salt = cp_seal_salt(a, cp_arena_printf(a, "recovery:%s", person));
    text = salt ? cp_arena_printf(a, "%s\n%s", salt, code) : NULL;

    if (text == NULL) {
        return NULL;
    }

    for (p = text + strlen(salt) + 1; *code; code++) {
        if (*code != '-' && *code != ' ') {
            *p++ = *code >= 'a' && *code <= 'z' ? (char) (*code - 32) : *code;
        }
    }

    *p = '\0';
    cp_sha256(text, strlen(text), sum);

    return cp_hex(a, sum, sizeof(sum));
}


cp_rc_t
cp_factor_recover(cp_op_t *op, cp_tx_t *tx, const char *person,
    const char *code, bool *right)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, op->arena, "DELETE FROM recovery_codes"
                     " WHERE person = $1 AND digest = $2 RETURNING digest",
                     cp_args(cp_text(person),
                             cp_text(cp_factor_digest(op->arena, person,
                                                      code))),
                     &rows, &op->err);
    *right = rc == CP_OK && rows.rows == 1;

    return rc;
}


cp_rc_t
cp_factor_begin(cp_op_t *op, cp_tx_t *tx, const char *person,
    const char *name, cp_json_t **out)
{
    uint8_t      key[CP_TOTP_KEY];
    const char  *hex, *sealed, *secret;
    cp_arena_t  *a;

    a = op->arena;
    cp_random(key, sizeof(key));
    hex = cp_hex(a, key, sizeof(key));
    secret = cp_totp_base32(a, key, sizeof(key));
    sealed = hex ? cp_seal(a, cp_factor_place(a, person), hex) : NULL;
    OPENSSL_cleanse(key, sizeof(key));

    if (secret == NULL || sealed == NULL) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    *out = cp_json_object(a);
    cp_json_put(a, *out, "secret", secret);
    cp_json_put(a, *out, "uri",
                cp_arena_printf(a, "otpauth://totp/STOA:%s?secret=%s"
                                "&issuer=STOA", name, secret));

    return cp_tx_query(tx, a, "UPDATE users SET totp_next = $2"
                       " WHERE id = $1",
                       cp_args(cp_text(person), cp_text(sealed)), NULL,
                       &op->err);
}


cp_rc_t
cp_factor_confirm(cp_op_t *op, cp_tx_t *tx, const char *person,
    const char *code)
{
    int64_t    step;
    cp_rc_t    rc;
    cp_rows_t  rows;

    rc = cp_tx_query(tx, op->arena, "SELECT totp_next FROM users"
                     " WHERE id = $1 AND totp_next IS NOT NULL",
                     cp_args(cp_text(person)), &rows, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (rows.rows == 0) {
        return cp_err_set(&op->err, "conflict", "there is no new second"
                          " factor to confirm");
    }

    rc = cp_factor_step(op, person, cp_cell(&rows, 0, 0)->p, code, 0, &step);
    if (rc != CP_OK) {
        return rc;
    }

    if (step == 0) {
        return cp_err_field(&op->err, -1, 0, "code", "is wrong; is the"
                            " clock of the authenticator right?");
    }

    return cp_tx_query(tx, op->arena, "UPDATE users SET totp = totp_next,"
                       " totp_next = NULL, totp_step = $2, second_factor = 1,"
                       " ver = ver + 1 WHERE id = $1",
                       cp_args(cp_text(person), cp_int(step)), NULL,
                       &op->err);
}


cp_rc_t
cp_factor_remove(cp_op_t *op, cp_tx_t *tx, const char *person)
{
    cp_rc_t  rc;

    rc = cp_tx_query(tx, op->arena, "DELETE FROM recovery_codes"
                     " WHERE person = $1", cp_args(cp_text(person)), NULL,
                     &op->err);

    return rc == CP_OK
           ? cp_tx_query(tx, op->arena, "UPDATE users SET totp = NULL,"
                         " totp_next = NULL, second_factor = 0,"
                         " ver = ver + 1 WHERE id = $1",
                         cp_args(cp_text(person)), NULL, &op->err) : rc;
}


cp_rc_t
cp_factor_codes(cp_op_t *op, cp_tx_t *tx, const char *person,
    cp_json_t **out)
{
    char         *code;
    cp_rc_t       rc;
    uint8_t       raw[CP_RECOVERY_BYTES];
    unsigned      i;
    cp_json_t    *list;
    cp_arena_t   *a;

    a = op->arena;
    list = cp_json_array(a);

    rc = cp_tx_query(tx, a, "DELETE FROM recovery_codes WHERE person = $1",
                     cp_args(cp_text(person)), NULL, &op->err);

    for (i = 0; i < CP_RECOVERY_CODES && rc == CP_OK; i++) {
        cp_random(raw, sizeof(raw));
        code = cp_totp_base32(a, raw, sizeof(raw));

        if (code == NULL) {
            return cp_err_set(&op->err, "internal", "no memory");
        }

        cp_json_push(list, cp_json_string(a,
                     cp_arena_printf(a, "%.4s-%.4s-%.4s-%.4s", code, code + 4,
                                     code + 8, code + 12)));

        rc = cp_tx_query(tx, a, "INSERT INTO recovery_codes (person, digest)"
                         " VALUES ($1, $2)",
                         cp_args(cp_text(person),
                                 cp_text(cp_factor_digest(a, person, code))),
                         NULL, &op->err);
    }

    OPENSSL_cleanse(raw, sizeof(raw));
    *out = cp_json_object(a);
    cp_json_set(a, *out, "recovery_codes", list);

    return rc;
}
