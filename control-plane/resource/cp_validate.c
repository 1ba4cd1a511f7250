/*
 * An input tree against a table of fields: what is unknown, missing, of the
 * wrong type or out of bounds is a fault with its path and line; the result
 * has every default and its members in the table's order.
 *
 * One pass gathers all faults (up to CP_FAULTS_MAX), so that a person mends a
 * document in one go.
 */

#include <inttypes.h>
#include <string.h>

#include "resource/cp_values.h"


#define CP_MERGE_MAX   4000000      /* members compared at one level        */


static cp_rc_t cp_validate_object(const cp_validate_t *v, const char *prefix,
    const cp_field_t *fields, const cp_json_t *in, const cp_json_t *before,
    cp_json_t **out);
static bool cp_validate_unknown(const cp_validate_t *v, const char *prefix,
    const cp_field_t *fields, const cp_json_t *in);
static cp_rc_t cp_validate_member(const cp_validate_t *v, const char *prefix,
    const cp_field_t *f, const cp_json_t *in, const cp_json_t *before,
    cp_json_t *out);
static bool cp_validate_kept(const cp_validate_t *v, const char *path,
    const cp_field_t *f, const cp_json_t *in, const cp_json_t *before);
static cp_rc_t cp_validate_value(const cp_validate_t *v, const char *path,
    const cp_field_t *f, cp_field_type_e type, const cp_json_t *in,
    cp_json_t **out);


cp_rc_t
cp_validate(const cp_validate_t *v, const cp_field_t *fields,
    const cp_json_t *in, const cp_json_t *before, cp_json_t **out)
{
    cp_rc_t   rc;
    unsigned  n;

    n = v->err->n;

    if (in == NULL || in->type != CP_JSON_OBJECT) {
        return cp_err_field(v->err, v->document, in ? in->line : 0, "",
                            "must be an object");
    }

    rc = cp_validate_object(v, "", fields, in, before, out);
    if (rc != CP_OK && rc != CP_DECLINED) {
        return rc;
    }

    return (v->err->n > n || rc == CP_DECLINED) ? CP_DECLINED : CP_OK;
}


/* Goes on after a fault; CP_DECLINED when there was one. */
static cp_rc_t
cp_validate_object(const cp_validate_t *v, const char *prefix,
    const cp_field_t *fields, const cp_json_t *in, const cp_json_t *before,
    cp_json_t **out)
{
    bool               bad;
    cp_rc_t            rc;
    const cp_field_t  *f;

    bad = cp_validate_unknown(v, prefix, fields, in);

    *out = cp_json_object(v->arena);
    if (*out == NULL) {
        return cp_err_set(v->err, "internal", "no memory");
    }

    (*out)->line = in->line;

    for (f = fields; f->name; f++) {
        rc = cp_validate_member(v, prefix, f, in, before, *out);

        if (rc == CP_ERROR) {
            return rc;
        }

        bad |= rc != CP_OK;
    }

    return bad ? CP_DECLINED : CP_OK;
}


static bool
cp_validate_unknown(const cp_validate_t *v, const char *prefix,
    const cp_field_t *fields, const cp_json_t *in)
{
    bool               bad;
    cp_json_t         *m;
    const cp_field_t  *f;

    bad = false;

    for (m = in->first; m; m = m->next) {
        for (f = fields; f->name; f++) {
            if (!(f->flags & CP_SECRET) && strcmp(f->name, m->key) == 0) {
                break;
            }
        }

        /* a secret one is unknown to everybody but the process itself */

        if (f->name == NULL) {
            bad = true;
            (void) cp_err_field(v->err, v->document, m->line,
                                cp_arena_printf(v->arena, "%s%.*s", prefix,
                                                128, m->key),
                                "is not known");
        }
    }

    return bad;
}


bool
cp_validate_known(const cp_validate_t *v, const char *prefix,
    const cp_field_t *fields, const cp_json_t *patch)
{
    bool               bad;
    const char        *below;
    const cp_json_t   *val;
    const cp_field_t  *f;

    bad = cp_validate_unknown(v, prefix, fields, patch);

    for (f = fields; f->name; f++) {
        val = cp_json_get(patch, f->name);

        if (val && val->type == CP_JSON_OBJECT && f->type == CP_F_OBJECT) {
            below = cp_arena_printf(v->arena, "%s%s.", prefix, f->name);
            bad |= below == NULL
                   || !cp_validate_known(v, below, f->sub, val);
        }
    }

    return !bad;
}


static cp_rc_t
cp_validate_member(const cp_validate_t *v, const char *prefix,
    const cp_field_t *f, const cp_json_t *in, const cp_json_t *before,
    cp_json_t *out)
{
    cp_rc_t           rc;
    cp_json_t        *val, *dflt;
    const char       *path;
    const cp_json_t  *given;

    path = cp_arena_printf(v->arena, "%s%s", prefix, f->name);
    given = cp_json_get(in, f->name);

    if (given && given->type == CP_JSON_NULL) {
        given = NULL;
    }

    if (!cp_validate_kept(v, path, f, given, before)) {
        return CP_DECLINED;
    }

    if ((f->flags & CP_READONLY) && !(v->system && given)) {
        return CP_OK;
    }

    if (given == NULL && before && (f->flags & CP_IMMUTABLE)) {
        given = cp_json_get(before, f->name);
    }

    if (given == NULL && f->dflt) {
        if (cp_json_parse(v->arena, f->dflt, strlen(f->dflt), &dflt, NULL)
            != CP_OK)
        {
            return cp_err_set(v->err, "internal", "bad default of %s",
                              f->name);
        }

        dflt->line = in->line;
        given = dflt;
    }

    if (given == NULL) {
        return !(f->flags & CP_REQUIRED) ? CP_OK
               : cp_err_field(v->err, v->document, in->line, path,
                              "is required");
    }

    rc = cp_validate_value(v, path, f, f->type, given, &val);
    if (rc != CP_OK) {
        return rc;
    }

    cp_json_set(v->arena, out, f->name, val);

    return CP_OK;
}


/*
 * Read-only and immutable members may come back as they are, so that what was
 * read can be changed and written.
 */
static bool
cp_validate_kept(const cp_validate_t *v, const char *path,
    const cp_field_t *f, const cp_json_t *in, const cp_json_t *before)
{
    const char       *why;
    const cp_json_t  *old;

    if (in == NULL || (v->system && (f->flags & CP_READONLY))) {
        return true;
    }

    /* what moves by itself may be behind */

    if (before && (f->flags & (CP_DERIVED|CP_MOVES))) {
        return true;
    }

    if (f->flags & CP_READONLY) {
        why = strcmp(f->name, "state") == 0 ? "is changed by events only"
                                            : "is read-only";

    } else if (before && (f->flags & CP_IMMUTABLE)) {
        why = "cannot be changed";

    } else {
        return true;
    }

    old = before ? cp_json_get(before, f->name) : NULL;

    if (old && cp_json_equal(old, in)) {
        return true;
    }

    /* a reference may be given as the id: the engine compares those */

    if (f->type == CP_F_REF && before && (f->flags & CP_IMMUTABLE) && old) {
        return true;
    }

    (void) cp_err_field(v->err, v->document, in->line, path, "%s", why);

    return false;
}


static cp_rc_t
cp_validate_value(const cp_validate_t *v, const char *path,
    const cp_field_t *f, cp_field_type_e type, const cp_json_t *in,
    cp_json_t **out)
{
    cp_rc_t           rc;
    cp_value_t        c;
    const cp_type_t  *t;

    t = &cp_types[type];

    c.v = v;
    c.f = f;
    c.path = path;
    c.in = in;

    if (in->type != t->json) {
        return cp_fault(&c, "must be %s", t->expected);
    }

    if (type == CP_F_OBJECT || type == CP_F_ARRAY) {
        c.out = NULL;

    } else {
        c.out = cp_json_copy(v->arena, in);
        if (c.out == NULL) {
            return cp_err_set(v->err, "internal", "no memory");
        }
    }

    rc = t->check ? t->check(&c) : CP_OK;

    if (rc == CP_OK && c.out) {
        c.out->line = in->line;
    }

    *out = c.out;

    return rc;
}


cp_rc_t
cp_value_object(cp_value_t *c)
{
    return cp_validate_object(c->v,
                              cp_arena_printf(c->v->arena, "%s.", c->path),
                              c->f->sub, c->in, NULL, &c->out);
}


cp_rc_t
cp_value_array(cp_value_t *c)
{
    bool         bad;
    cp_rc_t      rc;
    unsigned     i;
    cp_json_t   *m, *val, *other;
    const char  *path;

    if (c->in->n < c->f->min || c->in->n > c->f->max) {
        return cp_fault(c, "must have %" PRId64 "..%" PRId64 " items",
                        c->f->min, c->f->max);
    }

    c->out = cp_json_array(c->v->arena);
    bad = false;

    for (m = c->in->first, i = 0; m; m = m->next, i++) {
        path = cp_arena_printf(c->v->arena, "%s[%u]", c->path, i);

        rc = cp_validate_value(c->v, path, c->f, c->f->item, m, &val);

        if (rc == CP_ERROR) {
            return rc;
        }

        if (rc != CP_OK) {
            bad = true;
            continue;
        }

        for (other = c->out->first; other; other = other->next) {
            if (cp_json_equal(other, val)) {
                bad = true;
                (void) cp_err_field(c->v->err, c->v->document, m->line, path,
                                    "is there twice");
                break;
            }
        }

        cp_json_push(c->out, val);
    }

    return bad ? CP_DECLINED : CP_OK;
}


/* NULL: no memory, or objects so wide that merging them would take long. */
cp_json_t *
cp_merge_patch(cp_arena_t *a, const cp_json_t *target, const cp_json_t *patch)
{
    cp_json_t        *out, *m, *val;
    const cp_json_t  *old;

    if (patch->type != CP_JSON_OBJECT) {
        return cp_json_copy(a, patch);
    }

    if (target && target->type != CP_JSON_OBJECT) {
        target = NULL;
    }

    out = cp_json_object(a);

    if (out == NULL
        || (target && (uint64_t) target->n * patch->n > CP_MERGE_MAX))
    {
        return NULL;
    }

    out->line = patch->line;

    for (m = target ? target->first : NULL; m; m = m->next) {
        if (cp_json_get(patch, m->key) == NULL) {
            cp_json_push(out, cp_json_copy(a, m));
        }
    }

    for (m = patch->first; m; m = m->next) {
        if (m->type == CP_JSON_NULL) {
            continue;
        }

        old = cp_json_get(target, m->key);
        val = cp_merge_patch(a, old, m);

        if (val == NULL) {
            return NULL;
        }

        val->key = m->key;
        cp_json_push(out, val);
    }

    return out;
}
