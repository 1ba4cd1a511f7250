/*
 * Names and mails in one form; people of OIDC providers; news of logins.
 */

#include <string.h>

#include "auth/cp_user.h"


static cp_rc_t cp_user_make(cp_op_t *op, cp_tx_t *tx,
    const cp_user_oidc_t *u, const char **id);


/* Without the blanks around, A-Z as a-z.  NULL: a character that is none of
 * ASCII's visible ones, or too long. */
static char *
cp_user_fold(cp_arena_t *a, const char *s, size_t max)
{
    char    *out;
    size_t   i, len;

    s += strspn(s, " \t");
    len = strlen(s);

    while (len && (s[len - 1] == ' ' || s[len - 1] == '\t')) {
        len--;
    }

    out = len && len <= max ? cp_arena_strndup(a, s, len) : NULL;

    for (i = 0; out && i < len; i++) {
        if (out[i] <= ' ' || out[i] >= 0x7f) {
            return NULL;
        }

        if (out[i] >= 'A' && out[i] <= 'Z') {
            out[i] = (char) (out[i] + ('a' - 'A'));
        }
    }

    return out;
}


const char *
cp_user_mail(cp_arena_t *a, const char *mail)
{
    char        *s;
    const char  *at;

    s = cp_user_fold(a, mail, CP_USER_MAIL_MAX);
    at = s ? strchr(s, '@') : NULL;

    if (at == NULL || at == s || at - s > 64 || at[1] == '\0'
        || at[1] == '.' || strchr(at + 1, '@') || strpbrk(s, "<>()\"',;:\\"))
    {
        return NULL;
    }

    return s;
}


const char *
cp_user_name(cp_arena_t *a, const char *name)
{
    char  *s;

    s = cp_user_fold(a, name, STOA_NAME_MAX);

    return s && stoa_name_valid(s, strlen(s)) ? s : NULL;
}


/* What a provider says is shown, so it is cut rather than refused. */
static cp_val_t
cp_user_shown(cp_arena_t *a, const char *s, size_t max)
{
    return s ? cp_text(cp_arena_strndup(a, s, cp_text_cut(s, max)))
             : cp_null();
}


cp_rc_t
cp_user_oidc(cp_op_t *op, cp_tx_t *tx, const cp_user_oidc_t *u,
    const char **id)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    if (u->issuer == NULL || u->subject == NULL || u->subject[0] == '\0'
        || strlen(u->subject) > CP_USER_SUBJECT_MAX)
    {
        return cp_err_set(&op->err, "unauthorized",
                          "the provider names nobody");
    }

    rc = cp_tx_query(tx, op->arena, "UPDATE users SET seen_at = $7,"
                     " login = COALESCE($3, CASE WHEN $6 = 0 THEN login END),"
                     " title = COALESCE($4, CASE WHEN $6 = 0 THEN title END),"
                     " mail = COALESCE($5, CASE WHEN $6 = 0 THEN mail END)"
                     " WHERE issuer = $1 AND subject = $2"
                     " RETURNING id, state",
                     cp_args(cp_text(u->issuer), cp_text(u->subject),
                             cp_user_shown(op->arena, u->login,
                                           CP_USER_TEXT_MAX),
                             cp_user_shown(op->arena, u->title,
                                           CP_USER_TEXT_MAX),
                             cp_user_shown(op->arena, u->mail,
                                           CP_USER_MAIL_MAX),
                             cp_int(u->whole), cp_int(cp_time_ms())),
                     &rows, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (rows.rows == 0) {
        return cp_user_make(op, tx, u, id);
    }

    *id = cp_cell(&rows, 0, 0)->p;

    return strcmp(cp_cell(&rows, 0, 1)->p, "active") == 0 ? CP_OK
           : cp_err_set(&op->err, "forbidden", "this person is not active"
                        " here");
}


static cp_rc_t
cp_user_make(cp_op_t *op, cp_tx_t *tx, const cp_user_oidc_t *u,
    const char **id)
{
    char         made[STOA_ID_LEN + 1];
    int64_t      now;
    cp_rc_t      rc;
    cp_news_t    news;
    cp_rows_t    rows;
    const char  *name;

    now = cp_time_ms();
    cp_id_make(made);
    name = cp_arena_printf(op->arena, "oidc-%s", made);

    /* two callbacks at once: the second finds the first one's */

    rc = cp_tx_query(tx, op->arena, "INSERT INTO users (id, name, title,"
                     " state, tenant, mail, issuer, subject, login,"
                     " created_at, updated_at, seen_at, ver) VALUES ($1, $2,"
                     " $3, 'active', $4, $5, $6, $7, $8, $9, $9, $9, 1)"
                     " ON CONFLICT (issuer, subject) DO NOTHING"
                     " RETURNING id",
                     cp_args(cp_text(made), cp_text(name),
                             cp_user_shown(op->arena, u->title,
                                           CP_USER_TEXT_MAX),
                             cp_text(u->tenant),
                             cp_user_shown(op->arena, u->mail,
                                           CP_USER_MAIL_MAX),
                             cp_text(u->issuer), cp_text(u->subject),
                             cp_user_shown(op->arena, u->login,
                                           CP_USER_TEXT_MAX),
                             cp_int(now)),
                     &rows, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (rows.rows == 0) {
        return CP_CONFLICT;            /* begun again it is an update       */
    }

    *id = cp_cell(&rows, 0, 0)->p;

    memset(&news, 0, sizeof(news));
    news.person = *id;
    news.tenant = u->tenant;
    news.name = name;
    news.action = "first_login";
    news.detail = "oidc";

    return cp_news_add(op, tx, &news);
}


/* Told to the person's home, whoever adds it.  Alike ones of a minute are
 * counted: who tries all day makes 1,440 rows. */
cp_rc_t
cp_news_add(cp_op_t *op, cp_tx_t *tx, const cp_news_t *n)
{
    int64_t  now;

    now = cp_time_ms();

    return cp_tx_query(tx, op->arena, "INSERT INTO login_news (minute,"
                       " person, tenant, name, action, detail, address,"
                       " request_id, first_at, times)"
                       " VALUES ($1, $2, COALESCE($3, (SELECT tenant"
                       " FROM users WHERE id = $2), ''), $4, $5, $6, $7, $8,"
                       " $9, 1)"
                       " ON CONFLICT (minute, person, action, detail)"
                       " DO UPDATE SET times = login_news.times + 1,"
                       " address = excluded.address",
                       cp_args(cp_int(now / 60000),
                               cp_text(n->person ? n->person : ""),
                               cp_text(n->tenant),
                               cp_text(n->name ? n->name : ""),
                               cp_text(n->action), cp_text(n->detail),
                               cp_text(n->address ? n->address : ""),
                               cp_text(op->request_id), cp_int(now)),
                       NULL, &op->err);
}
