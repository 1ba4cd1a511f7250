/*
 * References to secrets.
 */

#include <string.h>

#include "base/cp_seal.h"
#include "kinds/cp_secret.h"


#define CP_SECRET_MARK   "${secret:"
#define CP_SECRET_PROBE  "x"


typedef struct {
    const cp_secret_of_t  *of;
    cp_json_t             *ids;        /* NULL: values are wanted            */
    const char            *name;       /* that was not found                 */
    bool                   certificate;    /* is what it must be             */
    bool                   other;      /* it is what it must not be          */
    unsigned               n;          /* references                         */
} cp_secret_walk_t;


static cp_rc_t cp_secret_config(cp_secret_walk_t *walk,
    const stoa_rec_struct_t *def, cp_json_t *config, const char **member);
static cp_rc_t cp_secret_tree(cp_secret_walk_t *walk, cp_json_t *val);
static cp_rc_t cp_secret_text(cp_secret_walk_t *walk, cp_json_t *val);
static cp_rc_t cp_secret_get(cp_secret_walk_t *walk, const char *name,
    const char **value);


cp_rc_t
cp_secret_probe(const cp_secret_of_t *of, const stoa_rec_struct_t *def,
    cp_json_t *config, cp_json_t *ids, const char **name,
    const char **member)
{
    cp_rc_t           rc;
    cp_secret_walk_t  walk = { of, ids, NULL, false, false, 0 };

    rc = cp_secret_config(&walk, def, config, member);
    *name = walk.name;

    if (rc == CP_DECLINED && walk.name && !walk.other) {
        *member = NULL;
    }

    return rc;
}


cp_rc_t
cp_secret_fill(const cp_secret_of_t *of, const stoa_rec_struct_t *def,
    cp_json_t *config)
{
    cp_rc_t           rc;
    const char       *member;
    cp_secret_walk_t  walk = { of, NULL, NULL, false, false, 0 };

    rc = cp_secret_config(&walk, def, config, &member);

    return rc != CP_DECLINED ? rc
           : cp_err_set(of->err, "internal", "the secret \"%.64s\" does not "
                        "open", walk.name ? walk.name : "");
}


static cp_rc_t
cp_secret_config(cp_secret_walk_t *walk, const stoa_rec_struct_t *def,
    cp_json_t *config, const char **member)
{
    size_t                   i;
    cp_rc_t                  rc;
    cp_json_t               *m;
    const stoa_rec_field_t  *f;

    for (i = 0; i < def->nfields; i++) {
        f = &def->fields[i];
        m = f->secret ? cp_json_get(config, f->name.data) : NULL;

        if (m == NULL) {
            continue;
        }

        walk->n = 0;
        walk->certificate = f->secret == STOA_REC_SECRET_CERTIFICATE;
        *member = f->name.data;
        rc = cp_secret_tree(walk, m);

        if (rc != CP_OK) {
            return rc;
        }

        if ((f->secret >= STOA_REC_SECRET_MUST && walk->n == 0)
            || (walk->certificate && walk->ids
                && (m->type != CP_JSON_STRING
                    || strcmp(m->s, CP_SECRET_PROBE) != 0)))
        {
            walk->name = NULL;
            return CP_DECLINED;
        }
    }

    return CP_OK;
}


static cp_rc_t
cp_secret_tree(cp_secret_walk_t *walk, cp_json_t *val)
{
    cp_rc_t     rc;
    cp_json_t  *m;

    if (val->type == CP_JSON_STRING) {
        return cp_secret_text(walk, val);
    }

    for (m = val->first; m; m = m->next) {
        rc = cp_secret_tree(walk, m);
        if (rc != CP_OK) {
            return rc;
        }
    }

    return CP_OK;
}


static cp_rc_t
cp_secret_text(cp_secret_walk_t *walk, cp_json_t *val)
{
    cp_rc_t      rc;
    cp_arena_t  *a;
    const char  *p, *at, *end, *name, *out, *value;

    a = walk->of->arena;
    out = "";

    for (p = val->s; (at = strstr(p, CP_SECRET_MARK)) != NULL; p = end + 1) {
        name = at + sizeof(CP_SECRET_MARK) - 1;
        end = strchr(name, '}');

        if (end == NULL) {
            break;
        }

        name = cp_arena_strndup(a, name, (size_t) (end - name));
        value = NULL;

        rc = name ? cp_secret_get(walk, name, &value) : CP_ERROR;
        if (rc != CP_OK) {
            return rc;
        }

        out = cp_arena_printf(a, "%s%.*s%s", out, (int) (at - p), p, value);

        if (out == NULL) {
            return CP_ERROR;
        }
    }

    if (p != val->s) {
        val->s = cp_arena_printf(a, "%s%s", out, p);
        val->len = val->s ? strlen(val->s) : 0;
    }

    return val->s ? CP_OK : CP_ERROR;
}


static cp_rc_t
cp_secret_get(cp_secret_walk_t *walk, const char *name, const char **value)
{
    cp_rc_t                rc;
    cp_rows_t              rows;
    const char            *id;
    const cp_secret_of_t  *of;

    of = walk->of;

    rc = of->tenant
         ? cp_tx_query(of->tx, of->arena, "SELECT id, value,"
                       " certificate FROM secrets WHERE name = $1"
                       " AND tenant = $2",
                       cp_args(cp_text(name), cp_text(of->tenant)), &rows,
                       of->err)
         : cp_tx_query(of->tx, of->arena, "SELECT id, value,"
                       " certificate FROM global_secrets WHERE name = $1",
                       cp_args(cp_text(name)), &rows, of->err);
    if (rc != CP_OK) {
        return rc;
    }

    walk->name = name;
    walk->n++;

    if (rows.rows == 0 || cp_cell(&rows, 0, 1)->type == CP_VAL_NULL) {
        return CP_DECLINED;
    }

    walk->other = walk->certificate
                  != (cp_cell(&rows, 0, 2)->type != CP_VAL_NULL);

    if (walk->other) {
        return CP_DECLINED;
    }

    id = cp_cell(&rows, 0, 0)->p;

    if (walk->ids) {
        cp_json_push(walk->ids, cp_json_string(of->arena, id));
        *value = CP_SECRET_PROBE;
        return CP_OK;
    }

    *value = cp_unseal(of->arena, cp_arena_printf(of->arena, "secret:%s", id),
                       cp_cell(&rows, 0, 1)->p);

    return *value ? CP_OK : CP_DECLINED;
}


cp_rc_t
cp_secret_value(const cp_secret_of_t *of, const char *id, const char **value)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    *value = NULL;

    rc = cp_tx_query(of->tx, of->arena, "SELECT value FROM secrets"
                     " WHERE id = $1 AND tenant = $2",
                     cp_args(cp_text(id), cp_text(of->tenant)), &rows,
                     of->err);
    if (rc != CP_OK || rows.rows == 0
        || cp_cell(&rows, 0, 0)->type == CP_VAL_NULL)
    {
        return rc;
    }

    *value = cp_unseal(of->arena, cp_arena_printf(of->arena, "secret:%s", id),
                       cp_cell(&rows, 0, 0)->p);

    return *value ? CP_OK
           : cp_err_set(of->err, "internal", "a secret does not open");
}
