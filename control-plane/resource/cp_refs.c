/*
 * References: names in objects, ids in rows.
 */

#include <string.h>

#include "auth/cp_auth.h"
#include "resource/cp_engine.h"


typedef struct cp_name_s  cp_name_t;

struct cp_name_s {
    const cp_resource_t  *res;
    const char           *id;
    const char           *name;
    cp_name_t            *next;
};

typedef struct {
    cp_tx_t              *tx;
    const cp_validate_t  *v;
    const cp_field_t     *fields;
    const char           *tenant;
} cp_resolve_t;


static cp_rc_t cp_ref_by(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const char *column, const char *parent, const char *value,
    const char **id, cp_err_t *err);
static cp_rc_t cp_resolve_tree(const cp_resolve_t *ctx, const char *prefix,
    const cp_field_t *fields, cp_json_t *tree);
static cp_rc_t cp_resolve_member(const cp_resolve_t *ctx, const char *path,
    const cp_field_t *f, const cp_json_t *siblings, cp_json_t *val);
static cp_rc_t cp_resolve_items(const cp_resolve_t *ctx, const char *path,
    const cp_field_t *f, const cp_json_t *siblings, cp_json_t *val);
static cp_rc_t cp_resolve_one(const cp_resolve_t *ctx, const char *path,
    const cp_field_t *f, const cp_json_t *siblings, cp_json_t *val);
static bool cp_is_scope(const cp_field_t *fields, const char *name);
static void cp_to_int(cp_json_t *val, int64_t i);
static void cp_to_string(cp_json_t *val, const char *s);
static cp_rc_t cp_show_member(cp_names_t *n, const cp_field_t *f,
    cp_json_t *val, bool *keep);
static cp_rc_t cp_show_items(cp_names_t *n, const cp_field_t *f,
    cp_json_t *val);


/* By name, then by id: asked as one, a database without statistics reads all
 * rows of the parent. */
cp_rc_t
cp_ref_find(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const char *parent, const char *name_or_id, const char **id,
    cp_err_t *err)
{
    cp_rc_t  rc;

    *id = NULL;

    if (!res->by_id) {
        rc = cp_ref_by(tx, a, res, "name", parent, name_or_id, id, err);
        if (rc != CP_OK || *id) {
            return rc;
        }
    }

    return stoa_id_valid(name_or_id, strlen(name_or_id))
           ? cp_ref_by(tx, a, res, "id", parent, name_or_id, id, err) : CP_OK;
}


static cp_rc_t
cp_ref_by(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const char *column, const char *parent, const char *value,
    const char **id, cp_err_t *err)
{
    char       *sql;
    cp_rc_t     rc;
    cp_val_t    args[2];
    cp_rows_t   rows;

    sql = cp_arena_printf(a, "SELECT \"id\" FROM \"%s\" WHERE \"%s\" = $1"
                          "%s%s%s%s%s%s%s LIMIT 1", res->table, column,
                          res->parent ? " AND (\"" : "",
                          res->parent ? res->parent : "",
                          res->parent ? "\" = $2" : "",
                          res->also ? " OR \"" : "",
                          res->also ? res->also : "",
                          res->also ? "\" = $2" : "",
                          res->parent ? ")" : "");
    if (sql == NULL) {
        return cp_err_set(err, "internal", "no memory");
    }

    args[0] = cp_text(value);
    args[1] = cp_text(parent ? parent : "");

    rc = cp_tx_query(tx, a, sql, args, res->parent ? 2 : 1, &rows, err);
    if (rc != CP_OK) {
        return rc;
    }

    *id = rows.rows ? cp_cell(&rows, 0, 0)->p : NULL;

    return CP_OK;
}


cp_rc_t
cp_ref_tenant(cp_op_t *op, cp_tx_t *tx, const char *name_or_id,
    const char *permission, const char **id)
{
    cp_rc_t  rc;

    rc = cp_ref_find(tx, op->arena, cp_resource_owner(), NULL, name_or_id,
                     id, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    return *id && cp_auth_sees(&op->actor, *id)
           ? permission ? cp_auth_may(op, permission, *id) : CP_OK
           : cp_err_set(&op->err, "not_found",
                        "there is no tenant \"%.64s\"", name_or_id);
}


cp_rc_t
cp_refs_to_ids(cp_tx_t *tx, const cp_validate_t *v, const cp_resource_t *res,
    const char *tenant, cp_json_t *tree)
{
    cp_resolve_t  ctx;

    ctx.tx = tx;
    ctx.v = v;
    ctx.fields = res->fields;
    ctx.tenant = tenant;

    return cp_resolve_tree(&ctx, "", res->fields, tree);
}


static cp_rc_t
cp_resolve_tree(const cp_resolve_t *ctx, const char *prefix,
    const cp_field_t *fields, cp_json_t *tree)
{
    bool               bad;
    cp_rc_t            rc;
    cp_json_t         *val;
    const cp_field_t  *f;

    bad = false;

    for (f = fields; f->name; f++) {
        val = cp_json_get(tree, f->name);

        if (val == NULL || (f->flags & CP_READONLY)) {
            continue;
        }

        rc = cp_resolve_member(ctx,
                               cp_arena_printf(ctx->v->arena, "%s%s", prefix,
                                               f->name),
                               f, tree, val);
        if (rc == CP_DECLINED) {
            bad = true;
            continue;
        }

        if (rc != CP_OK) {
            return rc;
        }
    }

    return bad ? CP_DECLINED : CP_OK;
}


static cp_rc_t
cp_resolve_member(const cp_resolve_t *ctx, const char *path,
    const cp_field_t *f, const cp_json_t *siblings, cp_json_t *val)
{
    int64_t  ms;

    switch (f->type) {

    case CP_F_TIME:
        if (!cp_time_parse(val->s, val->len, &ms)) {
            return cp_err_set(ctx->v->err, "internal", "bad time in %s",
                              path);
        }

        cp_to_int(val, ms);
        return CP_OK;

    case CP_F_REF:
        return cp_resolve_one(ctx, path, f, siblings, val);

    case CP_F_OBJECT:
        return cp_resolve_tree(ctx,
                               cp_arena_printf(ctx->v->arena, "%s.", path),
                               f->sub, val);

    case CP_F_ARRAY:
        return cp_resolve_items(ctx, path, f, siblings, val);

    default:
        return CP_OK;
    }
}


static cp_rc_t
cp_resolve_items(const cp_resolve_t *ctx, const char *path,
    const cp_field_t *f, const cp_json_t *siblings, cp_json_t *val)
{
    bool         bad;
    cp_rc_t      rc;
    unsigned     i;
    cp_json_t   *m, *other;
    const char  *item;

    if (f->item != CP_F_OBJECT && f->item != CP_F_REF) {
        return CP_OK;
    }

    bad = false;

    for (m = val->first, i = 0; m; m = m->next, i++) {
        item = cp_arena_printf(ctx->v->arena, "%s[%u]%s", path, i,
                               f->item == CP_F_OBJECT ? "." : "");

        rc = f->item == CP_F_OBJECT
             ? cp_resolve_tree(ctx, item, f->sub, m)
             : cp_resolve_one(ctx, item, f, siblings, m);

        if (rc == CP_OK && f->item == CP_F_REF) {

            /* the same thing by its name and its id */

            for (other = val->first; other != m; other = other->next) {
                if (cp_json_equal(other, m)) {
                    rc = cp_err_field(ctx->v->err, ctx->v->document, m->line,
                                      item, "is there twice");
                    break;
                }
            }
        }

        if (rc != CP_OK && rc != CP_DECLINED) {
            return rc;
        }

        bad |= rc != CP_OK;
    }

    return bad ? CP_DECLINED : CP_OK;
}


/*
 * What belongs to a scope that does not resolve is not found there, with the
 * same words as when it does: which tenants exist is not told.
 */
static cp_rc_t
cp_resolve_one(const cp_resolve_t *ctx, const char *path,
    const cp_field_t *f, const cp_json_t *siblings, cp_json_t *val)
{
    cp_rc_t               rc;
    const char           *id, *parent;
    const cp_resource_t  *res;

    res = cp_resource_find(f->ref);
    parent = NULL;

    if (res->parent) {
        parent = f->scope ? cp_json_str(siblings, f->scope) : NULL;

        /* what is of an api is nowhere else */

        if (f->scope && parent == NULL && strcmp(res->parent, f->scope) == 0) {
            return cp_err_field(ctx->v->err, ctx->v->document, val->line,
                                path, "is of an %s, which must be named, too",
                                f->scope);
        }

        parent = parent ? parent : ctx->tenant;
    }

    rc = cp_ref_find(ctx->tx, ctx->v->arena, res, parent, val->s, &id,
                     ctx->v->err);
    if (rc != CP_OK) {
        return rc;
    }

    if (id) {
        cp_to_string(val, id);
        return CP_OK;
    }

    if (cp_is_scope(ctx->fields, f->name)) {
        cp_to_string(val, "");
        return CP_OK;
    }

    /* abroad: which of them there is not, is not told */

    if (f->scope && parent && strcmp(res->parent, "tenant") == 0
        && (ctx->tenant == NULL || strcmp(parent, ctx->tenant) != 0))
    {
        return cp_err_set(ctx->v->err, "not_found", CP_NOT_ABROAD);
    }

    rc = cp_err_field(ctx->v->err, ctx->v->document, val->line, path,
                      "there is no %s \"%s\"", f->ref, val->s);

    return f->scope && strcmp(res->parent, "tenant") == 0
           && rc == CP_DECLINED
           ? cp_err_set(ctx->v->err, "not_found", "there is no %s \"%s\"",
                        f->ref, val->s)
           : rc;
}


static bool
cp_is_scope(const cp_field_t *fields, const char *name)
{
    const cp_field_t  *f;

    for (f = fields; f->name; f++) {
        if (f->scope && strcmp(f->scope, name) == 0) {
            return true;
        }
    }

    return false;
}


static void
cp_to_int(cp_json_t *val, int64_t i)
{
    val->type = CP_JSON_INT;
    val->i = i;
    val->s = NULL;
    val->len = 0;
}


static void
cp_to_string(cp_json_t *val, const char *s)
{
    val->type = CP_JSON_STRING;
    val->s = s;
    val->len = strlen(s);
}


void
cp_names_init(cp_names_t *n, cp_tx_t *tx, cp_arena_t *a, cp_err_t *err)
{
    memset(n, 0, sizeof(cp_names_t));

    n->tx = tx;
    n->arena = a;
    n->err = err;
}


cp_rc_t
cp_names_get(cp_names_t *n, const cp_resource_t *res, const char *id,
    const char **name)
{
    void       **slot;
    cp_rc_t      rc;
    cp_name_t   *e;
    cp_rows_t    rows;

    slot = &n->seen[stoa_hash64(id, strlen(id), 0) % 256];

    for (e = *slot; e; e = e->next) {
        if (e->res == res && strcmp(e->id, id) == 0) {
            *name = e->name;
            return CP_OK;
        }
    }

    rc = cp_tx_query(n->tx, n->arena,
                     cp_arena_printf(n->arena, "SELECT \"%s\" FROM \"%s\""
                                     " WHERE \"id\" = $1",
                                     res->by_id ? "id" : "name", res->table),
                     cp_args(cp_text(id)), &rows, n->err);
    if (rc != CP_OK) {
        return rc;
    }

    *name = rows.rows ? cp_cell(&rows, 0, 0)->p : NULL;

    e = cp_arena_alloc(n->arena, sizeof(cp_name_t));
    if (e) {
        e->res = res;
        e->id = id;
        e->name = *name;
        e->next = *slot;
        *slot = e;
    }

    return CP_OK;
}


cp_rc_t
cp_row_show(cp_names_t *n, const cp_resource_t *res, const cp_json_t *row,
    cp_json_t **obj)
{
    bool               keep;
    cp_rc_t            rc;
    cp_json_t         *val;
    const cp_field_t  *f;

    *obj = cp_json_object(n->arena);

    for (f = res->fields; f->name; f++) {
        if (f->flags & (CP_SECRET|CP_SEALED)) {
            continue;
        }

        val = cp_json_copy(n->arena, cp_json_get(row, f->name));
        if (val == NULL || val->type == CP_JSON_NULL) {
            continue;
        }

        keep = true;

        rc = cp_show_member(n, f, val, &keep);
        if (rc != CP_OK) {
            return rc;
        }

        if (keep) {
            cp_json_set(n->arena, *obj, f->name, val);
        }
    }

    return res->shown ? res->shown(n->tx, n->arena, *obj, n->err) : CP_OK;
}


static cp_rc_t
cp_show_member(cp_names_t *n, const cp_field_t *f, cp_json_t *val, bool *keep)
{
    cp_rc_t            rc;
    cp_json_t         *m;
    const char        *name;
    const cp_field_t  *sub;

    switch (f->type) {

    case CP_F_TIME:
        if (val->type == CP_JSON_INT) {
            cp_to_string(val, cp_time_format(n->arena, val->i));
        }

        return CP_OK;

    case CP_F_REF:
        rc = cp_names_get(n, cp_resource_find(f->ref), val->s, &name);
        *keep = name != NULL;

        if (rc == CP_OK && name) {
            cp_to_string(val, name);
        }

        return rc;

    case CP_F_OBJECT:
        for (sub = f->sub; sub->name; sub++) {
            m = cp_json_get(val, sub->name);

            rc = m ? cp_show_member(n, sub, m, keep) : CP_OK;
            if (rc != CP_OK) {
                return rc;
            }
        }

        return CP_OK;

    case CP_F_ARRAY:
        return cp_show_items(n, f, val);

    default:
        return CP_OK;
    }
}


/* An item whose reference is of nothing any more is left out. */
static cp_rc_t
cp_show_items(cp_names_t *n, const cp_field_t *f, cp_json_t *val)
{
    bool        keep;
    cp_rc_t     rc;
    cp_json_t  *m, *next;
    cp_field_t  item;

    if (f->item != CP_F_OBJECT && f->item != CP_F_REF) {
        return CP_OK;
    }

    item = *f;
    item.type = f->item;

    m = val->first;
    val->first = NULL;
    val->last = NULL;
    val->n = 0;

    for ( /* void */ ; m; m = next) {
        next = m->next;
        keep = true;

        rc = cp_show_member(n, &item, m, &keep);
        if (rc != CP_OK) {
            return rc;
        }

        if (keep) {
            cp_json_push(val, m);
        }
    }

    return CP_OK;
}
