/*
 * Two schemas in their one form.  What has no such form and differs may break.
 */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "spec/cp_spec_diff.h"


static void cp_diff_norms(cp_diff_t *d, cp_norm_t *o, cp_norm_t *n,
    const cp_spec_at_t *at);
static void cp_diff_values(cp_diff_t *d, const cp_norm_t *o,
    const cp_norm_t *n, const cp_spec_at_t *at);
static void cp_diff_props(cp_diff_t *d, const cp_norm_t *o,
    const cp_norm_t *n, const cp_spec_at_t *at);
static void cp_diff_branches(cp_diff_t *d, cp_norm_t *o, cp_norm_t *n,
    const cp_json_t *old, const cp_json_t *new, const cp_spec_at_t *at);


void
cp_diff_schema(cp_diff_t *d, const cp_json_t *old, const cp_json_t *new,
    const cp_spec_at_t *at)
{
    char              key[64];
    cp_norm_t         o, n;
    const cp_json_t  *a, *b;

    a = old && old->type == CP_JSON_OBJECT ? cp_spec_deref(d->old, old) : old;
    b = new && new->type == CP_JSON_OBJECT ? cp_spec_deref(d->new, new) : new;

    if (a == NULL && b == NULL) {
        return;
    }

    snprintf(key, sizeof(key), "%p %p %d", (const void *) a,
             (const void *) b, d->way);

    if (cp_spec_once(d->new, d->seen, cp_arena_strdup(d->arena, key),
                     d->new->root))
    {
        return;
    }

    if (d->pairs++ == CP_SPEC_PAIRS_MAX || d->depth == CP_SPEC_SCHEMA_DEPTH) {
        cp_diff_text(d, "not-compared", at, NULL, NULL);
    }

    if (d->pairs > CP_SPEC_PAIRS_MAX || d->depth == CP_SPEC_SCHEMA_DEPTH) {
        return;
    }

    cp_norm_make(d, d->old, old, &o);
    cp_norm_make(d, d->new, new, &n);

    d->depth++;

    if (o.nbranch || n.nbranch) {
        cp_diff_branches(d, &o, &n, old, new, at);

    } else {
        cp_diff_norms(d, &o, &n, at);
    }

    d->depth--;
    cp_norm_free(&o);
    cp_norm_free(&n);
}


static void
cp_diff_bounds(cp_diff_t *d, const cp_norm_t *o, const cp_norm_t *n,
    const cp_spec_at_t *at)
{
    double        was, is;
    size_t        i;
    cp_spec_at_t  in;

    for (i = 0; i < CP_NORM_BOUNDS; i++) {
        if (cp_json_equal(o->bound[i], n->bound[i])
            || (o->bound[i] == NULL && n->bound[i] == NULL))
        {
            continue;
        }

        was = cp_norm_bounds[i].grows * (double) INFINITY;
        is = was;

        if (o->bound[i]) {
            was = o->bound[i]->type == CP_JSON_REAL ? o->bound[i]->d
                  : (double) o->bound[i]->i;
        }

        if (n->bound[i]) {
            is = n->bound[i]->type == CP_JSON_REAL ? n->bound[i]->d
                 : (double) n->bound[i]->i;
        }

        in = (cp_spec_at_t) { at, cp_norm_bounds[i].name, 0 };
        cp_diff_tell(d, (is - was) * cp_norm_bounds[i].grows > 0
                     ? "bound-widened" : "bound-narrowed", &in, o->bound[i],
                     n->bound[i]);
    }
}


static void
cp_diff_norms(cp_diff_t *d, cp_norm_t *o, cp_norm_t *n,
    const cp_spec_at_t *at)
{
    size_t        i;
    cp_spec_at_t  in;

    if (o->nothing != n->nothing) {
        cp_diff_text(d, n->nothing ? "type-narrowed" : "type-widened", at,
                     o->nothing ? "nothing" : "any",
                     n->nothing ? "nothing" : "any");
        return;
    }

    if (o->types != n->types) {
        in = (cp_spec_at_t) { at, "type", 0 };
        cp_diff_text(d, (o->types & n->types) == n->types ? "type-narrowed"
                     : (o->types & n->types) == o->types ? "type-widened"
                     : "type-changed", &in, cp_norm_words(d, o),
                     cp_norm_words(d, n));
    }

    if (o->null != n->null) {
        in = (cp_spec_at_t) { at, "null", 0 };
        cp_diff_text(d, n->null ? "null-added" : "null-removed", &in,
                     o->null ? "null" : "not null",
                     n->null ? "null" : "not null");
    }

    cp_diff_values(d, o, n, at);
    cp_diff_bounds(d, o, n, at);
    cp_diff_props(d, o, n, at);

    if (o->items || n->items) {
        in = (cp_spec_at_t) { at, "items", 0 };
        cp_diff_schema(d, o->items, n->items, &in);
    }

    if (!cp_json_equal(o->format, n->format)) {
        in = (cp_spec_at_t) { at, "format", 0 };
        cp_diff_tell(d, "format-changed", &in, o->format, n->format);
    }

    if (!cp_json_equal(o->pattern, n->pattern)) {
        in = (cp_spec_at_t) { at, "pattern", 0 };
        cp_diff_tell(d, o->pattern == NULL ? "pattern-added"
                     : n->pattern == NULL ? "pattern-removed"
                     : "pattern-changed", &in, o->pattern, n->pattern);
    }

    if (!cp_json_equal(o->dflt, n->dflt)) {
        in = (cp_spec_at_t) { at, "default", 0 };
        cp_diff_tell(d, "default-changed", &in, o->dflt, n->dflt);
    }

    for (i = 0; i < CP_NORM_OTHERS; i++) {
        if (!cp_json_equal(o->other[i], n->other[i])) {
            in = (cp_spec_at_t) { at, cp_norm_others[i], 0 };
            cp_diff_tell(d, "schema-changed", &in, o->other[i], n->other[i]);
        }
    }
}


static bool
cp_diff_in(const cp_json_t *list, const cp_json_t *v)
{
    const cp_json_t  *m;

    for (m = list->first; m; m = m->next) {
        if (cp_json_equal(m, v)) {
            return true;
        }
    }

    return false;
}


/* enum, and const as one of one value. */
static void
cp_diff_values(cp_diff_t *d, const cp_norm_t *o, const cp_norm_t *n,
    const cp_spec_at_t *at)
{
    unsigned          i;
    cp_json_t        *one;
    cp_spec_at_t      in = { at, "enum", 0 };
    const cp_json_t  *list[2], *m;
    const cp_norm_t  *side[2] = { o, n };

    for (i = 0; i < 2; i++) {
        list[i] = side[i]->values && side[i]->values->type == CP_JSON_ARRAY
                  ? side[i]->values : NULL;

        if (side[i]->only) {
            one = cp_json_array(d->arena);
            cp_json_push(one, cp_json_copy(d->arena, side[i]->only));
            list[i] = one;
        }
    }

    if (list[0] == NULL && list[1] == NULL) {
        return;
    }

    if (list[0] == NULL || list[1] == NULL) {
        cp_diff_tell(d, list[0] ? "enum-opened" : "enum-closed", &in, list[0],
                     list[1]);
        return;
    }

    if (list[0]->n > 2000 || list[1]->n > 2000) {
        if (!cp_json_equal(list[0], list[1])) {
            cp_diff_text(d, "not-compared", &in, NULL, NULL);
        }

        return;
    }

    for (m = list[0]->first; m; m = m->next) {
        if (m->type != CP_JSON_NULL && !cp_diff_in(list[1], m)) {
            cp_diff_tell(d, "enum-value-removed", &in, m, NULL);
        }
    }

    for (m = list[1]->first; m; m = m->next) {
        if (m->type != CP_JSON_NULL && !cp_diff_in(list[0], m)) {
            cp_diff_tell(d, "enum-value-added", &in, NULL, m);
        }
    }
}


/* Requests do not hold what is read only, nor answers what is written only. */
static bool
cp_diff_aside(cp_diff_t *d, cp_spec_t *s, const cp_json_t *node)
{
    const char       *flag;
    const cp_json_t  *target;

    flag = d->way == CP_DIFF_REQUEST ? "readOnly" : "writeOnly";
    target = cp_spec_deref(s, node);

    return cp_json_num(node, flag, 0) || cp_json_num(target, flag, 0);
}


static void
cp_diff_prop_one(cp_diff_t *d, const cp_norm_t *o, const cp_norm_t *n,
    const cp_prop_t *was, const cp_prop_t *is, const cp_spec_at_t *at)
{
    if ((was == NULL || was->node == NULL || cp_diff_aside(d, d->old,
                                                           was->node))
        && (is == NULL || is->node == NULL || cp_diff_aside(d, d->new,
                                                            is->node))
        && ((was && was->node) || (is && is->node)))
    {
        return;
    }

    if (was == NULL) {
        cp_diff_text(d, is->required ? "required-property-added"
                     : o->closed ? "property-added-to-closed"
                     : "property-added", at, NULL, "a property");
        return;
    }

    if (is == NULL) {
        cp_diff_text(d, was->required ? "required-property-removed"
                     : n->closed ? "property-removed-from-closed"
                     : "property-removed", at, "a property", NULL);
        return;
    }

    if (was->required != is->required) {
        cp_diff_text(d, is->required ? "property-required"
                     : "property-optional", at,
                     was->required ? "required" : "optional",
                     is->required ? "required" : "optional");
    }

    cp_diff_schema(d, was->node, is->node, at);
}


static void
cp_diff_props(cp_diff_t *d, const cp_norm_t *o, const cp_norm_t *n,
    const cp_spec_at_t *at)
{
    int           c;
    unsigned      i, k;
    cp_spec_at_t  props = { at, "properties", 0 }, in;

    for (i = 0, k = 0; i < o->nprop || k < n->nprop; /* void */) {
        c = i == o->nprop ? 1 : k == n->nprop ? -1
            : strcmp(o->prop[i].name, n->prop[k].name);
        in = (cp_spec_at_t) { &props, c <= 0 ? o->prop[i].name
                                             : n->prop[k].name, 0 };
        cp_diff_prop_one(d, o, n, c <= 0 ? &o->prop[i] : NULL,
                         c >= 0 ? &n->prop[k] : NULL, &in);
        i += c <= 0;
        k += c >= 0;
    }

    in = (cp_spec_at_t) { at, "additionalProperties", 0 };

    if (o->closed != n->closed) {
        cp_diff_text(d, n->closed ? "properties-closed" : "properties-opened",
                     &in, o->closed ? "false" : "true",
                     n->closed ? "false" : "true");

    } else if (o->additional || n->additional) {
        cp_diff_schema(d, o->additional, n->additional, &in);
    }
}


/* Does a pair differ in either direction?  Nothing is told. */
static bool
cp_diff_same(cp_diff_t *d, const cp_json_t *old, const cp_json_t *new)
{
    char           *mark;
    cp_diff_t       probe = *d;

    mark = cp_arena_alloc(d->arena, 1);

    if (mark == NULL || d->pairs >= CP_SPEC_PAIRS_MAX) {
        return false;
    }

    memset(probe.count, 0, sizeof(probe.count));
    probe.silent = d->silent + 1;
    probe.seen = mark;
    cp_diff_schema(&probe, old, new, NULL);
    d->pairs = probe.pairs;

    return probe.count[0] + probe.count[1] + probe.count[2] == 0;
}


/* Sets of branches: those that mean the same are put aside, wherever they
 * stand; one left on each side is one that changed. */
static void
cp_diff_branches(cp_diff_t *d, cp_norm_t *o, cp_norm_t *n,
    const cp_json_t *old, const cp_json_t *new, const cp_spec_at_t *at)
{
    unsigned          i, k, left[2];
    cp_spec_at_t      in = { at, "oneOf", 0 };
    const cp_json_t  *one[2];

    if (d->silent > 4) {
        if (!cp_json_equal(old, new)) {
            cp_diff_text(d, "not-compared", at, NULL, NULL);
        }

        return;
    }

    if (o->null != n->null && o->nbranch && n->nbranch) {
        cp_diff_text(d, n->null ? "null-added" : "null-removed", at, NULL,
                     NULL);
    }

    if (o->nbranch == 0) {
        o->branch[o->nbranch++] = old;

    } else if (n->nbranch == 0) {
        n->branch[n->nbranch++] = new;
    }

    left[0] = o->nbranch;
    left[1] = n->nbranch;

    for (i = 0; i < o->nbranch; i++) {
        for (k = 0; k < n->nbranch; k++) {
            if (n->branch[k] && cp_diff_same(d, o->branch[i], n->branch[k])) {
                o->branch[i] = NULL;
                n->branch[k] = NULL;
                left[0]--;
                left[1]--;
                break;
            }
        }
    }

    one[0] = NULL;
    one[1] = NULL;

    for (i = 0; i < o->nbranch; i++) {
        one[0] = o->branch[i] ? o->branch[i] : one[0];

        if (o->branch[i] && (left[0] != 1 || left[1] != 1)) {
            cp_diff_tell(d, "branch-removed", &in, o->branch[i], NULL);
        }
    }

    for (k = 0; k < n->nbranch; k++) {
        one[1] = n->branch[k] ? n->branch[k] : one[1];

        if (n->branch[k] && (left[0] != 1 || left[1] != 1)) {
            cp_diff_tell(d, "branch-added", &in, NULL, n->branch[k]);
        }
    }

    if (left[0] == 1 && left[1] == 1 && (one[0] != old || one[1] != new)) {
        cp_diff_schema(d, one[0], one[1], &in);
    }
}
