/*
 * Hashing passwords, some at a time.
 */

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <argon2.h>
#include <openssl/crypto.h>

#include "people/cp_password.h"
#include "base/cp_metrics.h"


#define CP_PASSWORD_SALT    16
#define CP_PASSWORD_HASH    32
#define CP_PASSWORD_M_MAX   (256 * 1024)           /* KiB                   */
#define CP_PASSWORD_T_MAX   16
#define CP_PASSWORD_P_MAX   8

static struct {
    pthread_mutex_t  lock;
    pthread_cond_t   cond;
    int64_t          running;
    int64_t          waiting;
} cp_password_turn = { .lock = PTHREAD_MUTEX_INITIALIZER,
                       .cond = PTHREAD_COND_INITIALIZER };

/* Nobody's: what is compared with where there is nothing to compare with. */
static const char  cp_password_none[] =
    "$argon2id$v=19$m=19456,t=2,p=1$c3RvYS1ub2JvZHktMDAwMA"
    "$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";


static cp_rc_t cp_password_enter(cp_op_t *op);
static void cp_password_leave(void);
static bool cp_password_params(const char *encoded, unsigned long *m,
    unsigned long *t, unsigned long *p);


/* What somebody chooses.  Length is what counts; no rules of characters. */
cp_rc_t
cp_password_judge(cp_op_t *op, const char *password, const char *field,
    const char *name)
{
    size_t  len;

    len = password ? strlen(password) : 0;

    if (len < CP_PASSWORD_MIN || len > CP_PASSWORD_MAX) {
        return cp_err_field(&op->err, -1, 0, field, "must have %d to %d"
                            " bytes", CP_PASSWORD_MIN, CP_PASSWORD_MAX);
    }

    if (name && strcasecmp(password, name) == 0) {
        return cp_err_field(&op->err, -1, 0, field, "is the name");
    }

    return CP_OK;
}


/* The turn is kept until the hashing ends, whoever has left meanwhile. */
static cp_rc_t
cp_password_enter(cp_op_t *op)
{
    int64_t  most, waiting;
    bool     full;

    most = op->app->conf.password_hashes;
    waiting = op->app->conf.worker_threads / 2;

    (void) pthread_mutex_lock(&cp_password_turn.lock);

    full = cp_password_turn.running + cp_password_turn.waiting
           >= (most > waiting ? most : waiting);

    if (!full) {
        cp_password_turn.waiting++;

        while (cp_password_turn.running >= most) {
            (void) pthread_cond_wait(&cp_password_turn.cond,
                                     &cp_password_turn.lock);
        }

        cp_password_turn.waiting--;
        cp_password_turn.running++;
    }

    (void) pthread_mutex_unlock(&cp_password_turn.lock);

    if (!full) {
        return CP_OK;
    }

    cp_metric_add(cp_metric(CP_METRIC_COUNTER,
                            "stoa_control_logins_put_off_total", "",
                            "Passwords that were not checked, because as many"
                            " as may be were being checked."), 1);

    return cp_err_set(&op->err, "unavailable", "too many log in at once; try"
                      " again");
}


static void
cp_password_leave(void)
{
    (void) pthread_mutex_lock(&cp_password_turn.lock);
    cp_password_turn.running--;
    (void) pthread_cond_signal(&cp_password_turn.cond);
    (void) pthread_mutex_unlock(&cp_password_turn.lock);
}


cp_rc_t
cp_password_hash(cp_op_t *op, const char *password, const char **encoded)
{
    int      said;
    char     text[CP_PASSWORD_TEXT];
    cp_rc_t  rc;
    uint8_t  salt[CP_PASSWORD_SALT];

    rc = cp_password_enter(op);
    if (rc != CP_OK) {
        return rc;
    }

    cp_random(salt, sizeof(salt));

    said = argon2id_hash_encoded(CP_PASSWORD_T, CP_PASSWORD_M_KIB, 1,
                                 password, strlen(password), salt,
                                 sizeof(salt), CP_PASSWORD_HASH, text,
                                 sizeof(text));
    cp_password_leave();

    *encoded = said == ARGON2_OK ? cp_arena_strdup(op->arena, text) : NULL;

    return *encoded ? CP_OK
           : cp_err_set(&op->err, "unavailable", "the password cannot be"
                        " hashed now: %s", argon2_error_message(said));
}


cp_rc_t
cp_password_verify(cp_op_t *op, const char *encoded, const char *password,
    bool *right, bool *old)
{
    int            said;
    bool           known;
    cp_rc_t        rc;
    unsigned long  m, t, p;

    known = encoded && cp_password_params(encoded, &m, &t, &p);

    if (encoded && !known) {
        cp_log(CP_LOG_ERROR, "auth", "a stored password asks for more than it"
               " may");
    }

    rc = cp_password_enter(op);
    if (rc != CP_OK) {
        return rc;
    }

    said = argon2id_verify(known ? encoded : cp_password_none, password,
                           strlen(password));
    cp_password_leave();

    if (said != ARGON2_OK && said != ARGON2_VERIFY_MISMATCH) {
        return cp_err_set(&op->err, "unavailable", "the password cannot be"
                          " checked now: %s", argon2_error_message(said));
    }

    *right = known && said == ARGON2_OK;
    *old = *right && (m != CP_PASSWORD_M_KIB || t != CP_PASSWORD_T || p != 1);

    return CP_OK;
}


static bool
cp_password_params(const char *encoded, unsigned long *m, unsigned long *t,
    unsigned long *p)
{
    int  n;

    n = 0;

    return strlen(encoded) < CP_PASSWORD_TEXT
           && sscanf(encoded, "$argon2id$v=19$m=%9lu,t=%9lu,p=%9lu$%n", m, t,
                     p, &n) == 3
           && n > 0 && *m <= CP_PASSWORD_M_MAX && *t <= CP_PASSWORD_T_MAX
           && *p >= 1 && *p <= CP_PASSWORD_P_MAX;
}


bool
cp_password_bounded(const char *encoded)
{
    unsigned long  m, t, p;

    return cp_password_params(encoded, &m, &t, &p);
}


const char *
cp_password_make(cp_arena_t *a)
{
    uint8_t      raw[15];
    const char  *text;

    cp_random(raw, sizeof(raw));
    text = cp_base64url_encode(a, raw, sizeof(raw));
    OPENSSL_cleanse(raw, sizeof(raw));

    return text;
}
