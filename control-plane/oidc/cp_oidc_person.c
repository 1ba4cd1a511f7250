/*
 * People by their bearer tokens: the same persons as by a login.
 */

#include <string.h>

#include "auth/cp_auth.h"
#include "oidc/cp_oidc.h"


#define CP_OIDC_SEEN_MS  86400000      /* so often it is written that he was */


void
cp_oidc_shown(cp_op_t *op, const stoa_json_val_t *claims,
    cp_user_oidc_t *user)
{
    bool             proved;
    stoa_json_val_t  val;

    proved = stoa_jwt_claim(claims, "email_verified", 14, &val)
             && val.type == STOA_JSON_TRUE;

    memset(user, 0, sizeof(cp_user_oidc_t));
    user->issuer = op->app->conf.oidc_issuer;
    user->subject = cp_oidc_claim(op, claims, "sub");
    user->login = cp_oidc_claim(op, claims, "preferred_username");
    user->title = cp_oidc_claim(op, claims, "name");
    user->mail = proved ? cp_oidc_claim(op, claims, "email") : NULL;
}


const char *
cp_oidc_home(const cp_grant_t *grants)
{
    const cp_grant_t  *g;

    for (g = grants; g; g = g->next) {
        if (g->tenant == NULL || strcmp(g->tenant, grants->tenant) != 0) {
            return NULL;
        }
    }

    return grants ? grants->tenant : NULL;
}


/* *id NULL: nobody of whom we know; *due: he is to be written. */
static cp_rc_t
cp_oidc_known(cp_op_t *op, const cp_user_oidc_t *user, const char **id,
    bool *due)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_rows_t    rows;
    const char  *login;

    *id = NULL;
    *due = op->actor.grants != NULL;   /* who may nothing is none of ours    */

    if (cp_tx_open(op->app->db, false, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, op->arena, "SELECT id, state,"
                     " COALESCE(seen_at, 0), login FROM users"
                     " WHERE issuer = $1 AND subject = $2",
                     cp_args(cp_text(user->issuer), cp_text(user->subject)),
                     &rows, &op->err);
    cp_tx_rollback(tx);

    if (rc != CP_OK || rows.rows == 0) {
        return rc;
    }

    if (strcmp(cp_cell(&rows, 0, 1)->p, "active") != 0) {
        return cp_err_set(&op->err, "forbidden", "this person is not active"
                          " here");
    }

    *id = cp_cell(&rows, 0, 0)->p;
    login = cp_cell(&rows, 0, 3)->p;
    *due = cp_cell(&rows, 0, 2)->i <= cp_time_ms() - CP_OIDC_SEEN_MS
           || (user->login && strlen(user->login) <= CP_USER_TEXT_MAX
               && (login == NULL || strcmp(login, user->login) != 0));

    return CP_OK;
}


cp_rc_t
cp_oidc_person(cp_op_t *op, const stoa_json_val_t *claims)
{
    bool             due;
    cp_rc_t          rc;
    cp_tx_t         *tx;
    const char      *id;
    cp_user_oidc_t   user;

    cp_oidc_shown(op, claims, &user);

    if (cp_oidc_program(op, claims)) {
        return CP_OK;
    }

    rc = cp_oidc_known(op, &user, &id, &due);

    if (rc == CP_OK && due) {

        if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
            return CP_ERROR;
        }

        user.tenant = cp_oidc_home(op->actor.grants);
        rc = cp_user_oidc(op, tx, &user, &id);
        rc = cp_tx_finish(tx, rc, &op->err);
    }

    if (rc != CP_OK || id == NULL) {
        return rc;
    }

    op->actor.id = id;
    op->actor.person = id;

    return cp_rbac_user(op, id);
}
