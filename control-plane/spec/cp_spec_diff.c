/*
 * Two documents: operations by their method and the shape of their path.
 */

#include <string.h>

#include "spec/cp_spec_diff.h"


static const char  cp_set_old[1], cp_set_new[1], cp_set_pairs[1];


static void cp_diff_operation(cp_diff_t *d, const cp_json_t *op[2],
    const cp_json_t *item[2], const char *const path[2],
    const cp_spec_at_t *at);
static void cp_diff_parameters(cp_diff_t *d, const cp_json_t *op[2],
    const cp_json_t *item[2], const char *const path[2],
    const cp_spec_at_t *at);
static void cp_diff_body(cp_diff_t *d, const cp_json_t *op[2],
    const cp_spec_at_t *at);
static void cp_diff_responses(cp_diff_t *d, const cp_json_t *op[2],
    const cp_spec_at_t *at);
static void cp_diff_security(cp_diff_t *d, const cp_json_t *op[2],
    const cp_spec_at_t *at);


static const char *
cp_diff_named(cp_diff_t *d, const char *method, const char *path)
{
    char        *m, *p;

    m = cp_arena_strdup(d->arena, method);

    for (p = m; p && *p; p++) {
        *p = (char) (*p - 32);
    }

    return cp_arena_printf(d->arena, "%s %s", m, path);
}


static void
cp_diff_paths(cp_diff_t *d, cp_spec_t *s, const void *set)
{
    unsigned          i;
    const cp_json_t  *path, *item;

    path = cp_json_get(s->root, "paths");

    for (path = path ? path->first : NULL; path; path = path->next) {
        item = path->key[0] == '/' ? cp_spec_deref(s, path) : NULL;

        for (i = 0; cp_spec_methods[i]; i++) {
            if (cp_json_get(item, cp_spec_methods[i])) {
                (void) cp_spec_once(d->new, set,
                                    cp_spec_key(d->arena, cp_spec_methods[i],
                                                path->key), path);
            }
        }
    }
}


/* The path that has the operation, by whatever names of parameters. */
static const cp_json_t *
cp_diff_path(cp_diff_t *d, const void *set, const char *method,
    const cp_json_t *path)
{
    return cp_spec_find(d->new, set,
                        cp_spec_key(d->arena, method, path->key));
}


static void
cp_diff_added(cp_diff_t *d)
{
    unsigned          i;
    cp_spec_at_t      top = { NULL, NULL, 0 }, paths = { &top, "paths", 0 };
    cp_spec_at_t      in, at;
    const cp_json_t  *path, *item;

    path = cp_json_get(d->new->root, "paths");

    for (path = path ? path->first : NULL; path; path = path->next) {
        if (path->key[0] != '/') {
            continue;
        }

        item = cp_spec_deref(d->new, path);
        in = (cp_spec_at_t) { &paths, path->key, 0 };

        for (i = 0; cp_spec_methods[i]; i++) {
            if (cp_json_get(item, cp_spec_methods[i])
                && cp_diff_path(d, cp_set_old, cp_spec_methods[i], path)
                   == NULL)
            {
                at = (cp_spec_at_t) { &in, cp_spec_methods[i], 0 };
                d->operation = cp_diff_named(d, cp_spec_methods[i],
                                             path->key);
                cp_diff_text(d, "operation-added", &at, NULL, d->operation);
            }
        }
    }
}


cp_json_t *
cp_spec_diff(cp_spec_t *old, cp_spec_t *new)
{
    unsigned          i;
    cp_diff_t         d;
    cp_json_t        *out;
    cp_spec_at_t      top = { NULL, NULL, 0 }, paths = { &top, "paths", 0 };
    cp_spec_at_t      in, at;
    const char       *name[2];
    const cp_json_t  *path, *other, *item[2], *op[2];

    memset(&d, 0, sizeof(d));
    d.old = old;
    d.new = new;
    d.arena = new->arena;
    d.changes = cp_json_array(d.arena);
    d.seen = cp_set_pairs;
    d.way = CP_DIFF_OPERATION;
    cp_diff_paths(&d, old, cp_set_old);
    cp_diff_paths(&d, new, cp_set_new);

    path = cp_json_get(old->root, "paths");

    for (path = path ? path->first : NULL; path; path = path->next) {
        item[0] = path->key[0] == '/' ? cp_spec_deref(old, path) : NULL;

        for (i = 0; cp_spec_methods[i]; i++) {
            op[0] = cp_json_get(item[0], cp_spec_methods[i]);
            other = op[0] ? cp_diff_path(&d, cp_set_new, cp_spec_methods[i],
                                         path) : NULL;
            item[1] = cp_spec_deref(new, other);
            name[0] = path->key;
            name[1] = other ? other->key : path->key;
            in = (cp_spec_at_t) { &paths, name[1], 0 };
            op[1] = cp_json_get(item[1], cp_spec_methods[i]);

            if (op[0] == NULL) {
                continue;
            }

            at = (cp_spec_at_t) { &in, cp_spec_methods[i], 0 };
            d.operation = cp_diff_named(&d, cp_spec_methods[i], name[1]);

            if (op[1] == NULL) {
                cp_diff_text(&d, "operation-removed", &at, d.operation, NULL);

            } else {
                cp_diff_operation(&d, op, item, name, &at);
            }
        }
    }

    cp_diff_added(&d);

    out = cp_json_object(d.arena);

    for (i = 3; i-- > 0; ) {
        cp_json_put_int(d.arena, out, cp_diff_verdicts[i], d.count[i]);
    }

    cp_json_put_bool(d.arena, out, "truncated",
                     d.count[0] + d.count[1] + d.count[2] > d.changes->n);
    cp_json_set(d.arena, out, "changes", d.changes);

    return out;
}


static void
cp_diff_operation(cp_diff_t *d, const cp_json_t *op[2],
    const cp_json_t *item[2], const char *const path[2],
    const cp_spec_at_t *at)
{
    const char    *id[2];
    cp_spec_at_t   in = { at, "operationId", 0 };

    id[0] = cp_json_str(op[0], "operationId");
    id[1] = cp_json_str(op[1], "operationId");

    if (id[0] && strcmp(id[0], id[1] ? id[1] : "") != 0) {
        cp_diff_text(d, "operation-id-changed", &in, id[0], id[1]);
    }

    if (!cp_json_num(op[0], "deprecated", 0)
        && cp_json_num(op[1], "deprecated", 0))
    {
        cp_diff_text(d, "operation-deprecated", at, NULL, "deprecated");
    }

    cp_diff_security(d, op, at);
    d->way = CP_DIFF_REQUEST;
    cp_diff_parameters(d, op, item, path, at);
    cp_diff_body(d, op, at);
    d->way = CP_DIFF_RESPONSE;
    cp_diff_responses(d, op, at);
    d->way = CP_DIFF_OPERATION;
}


/* Which {} of the path a parameter is, -1: none. */
static int
cp_diff_place(const char *path, const char *name)
{
    int          n;
    size_t       len;
    const char  *p;

    for (p = strchr(path, '{'), n = 0; p; p = strchr(p, '{'), n++) {
        len = strcspn(++p, "}");

        if (strlen(name) == len && memcmp(p, name, len) == 0) {
            return n;
        }
    }

    return -1;
}


/* A parameter by its place and name, the operation's own first; one of the
 * path by which of them it is. */
static const cp_json_t *
cp_diff_find(cp_spec_t *s, const cp_json_t *holder[2], const char *in,
    const char *name, int place, const char *path)
{
    unsigned          i;
    const char       *pin, *pname;
    const cp_json_t  *p, *q;

    for (i = 0; i < 2; i++) {
        p = cp_json_get(holder[i], "parameters");

        for (p = p ? p->first : NULL; p; p = p->next) {
            q = cp_spec_deref(s, p);
            pin = cp_json_str(q, "in");
            pname = cp_json_str(q, "name");

            if (pin && pname && strcmp(pin, in) == 0
                && (place >= 0 ? cp_diff_place(path, pname) == place
                               : strcmp(pname, name) == 0))
            {
                return q;
            }
        }
    }

    return NULL;
}


static const cp_json_t *
cp_diff_media(const cp_json_t *p)
{
    const cp_json_t  *c;

    c = cp_json_get(p, "content");

    return cp_json_get(p, "schema") ? cp_json_get(p, "schema")
           : c && c->first ? cp_json_get(c->first, "schema") : NULL;
}


static void
cp_diff_parameter(cp_diff_t *d, const cp_json_t *was, const cp_json_t *is,
    const cp_spec_at_t *at)
{
    bool         required[2];
    cp_spec_at_t in;

    required[0] = cp_json_num(was, "required", 0) != 0;
    required[1] = cp_json_num(is, "required", 0) != 0;

    if (strcmp(cp_json_str(was, "name"), cp_json_str(is, "name")) != 0) {
        cp_diff_text(d, "path-parameter-renamed", at,
                     cp_json_str(was, "name"), cp_json_str(is, "name"));

    } else if (required[0] != required[1]) {
        cp_diff_text(d, required[1] ? "parameter-required"
                     : "parameter-optional", at, NULL, NULL);
    }

    if (!cp_json_equal(cp_json_get(was, "style"), cp_json_get(is, "style"))
        || !cp_json_equal(cp_json_get(was, "explode"),
                          cp_json_get(is, "explode")))
    {
        cp_diff_tell(d, "parameter-style-changed", at,
                     cp_json_get(was, "style"), cp_json_get(is, "style"));
    }

    in = (cp_spec_at_t) { at, "schema", 0 };
    cp_diff_schema(d, cp_diff_media(was), cp_diff_media(is), &in);
}


/* side: 0 goes through the old ones, 1 tells of the new ones. */
static void
cp_diff_parameters_of(cp_diff_t *d, unsigned side, const cp_json_t *op[2],
    const cp_json_t *item[2], const char *const path[2],
    const cp_spec_at_t *at)
{
    int               place;
    unsigned          i;
    cp_spec_t        *s[2] = { d->old, d->new };
    const char       *in, *name;
    cp_spec_at_t      list = { at, "parameters", 0 }, here;
    const cp_json_t  *p, *q, *other;
    const cp_json_t  *mine[2] = { op[side], item[side] };
    const cp_json_t  *theirs[2] = { op[!side], item[!side] };

    for (i = 0; i < 2; i++) {
        p = cp_json_get(mine[i], "parameters");

        for (p = p ? p->first : NULL; p; p = p->next) {
            q = cp_spec_deref(s[side], p);
            in = cp_json_str(q, "in");
            name = cp_json_str(q, "name");

            if (in == NULL || name == NULL
                || cp_diff_find(s[side], mine, in, name, -1, "") != q)
            {
                continue;
            }

            place = strcmp(in, "path") == 0
                    ? cp_diff_place(path[side], name) : -1;
            other = cp_diff_find(s[!side], theirs, in, name, place,
                                 path[!side]);
            here = (cp_spec_at_t) { &list, cp_arena_printf(d->arena, "%s %s",
                                                           in, name), 0 };

            if (side == 0 && other) {
                cp_diff_parameter(d, q, other, &here);

            } else if (other == NULL) {
                cp_diff_text(d, side == 0 ? "parameter-removed"
                             : cp_json_num(q, "required", 0)
                             ? "required-parameter-added"
                             : "parameter-added", &here,
                             side == 0 ? name : NULL, side ? name : NULL);
            }
        }
    }
}


static void
cp_diff_parameters(cp_diff_t *d, const cp_json_t *op[2],
    const cp_json_t *item[2], const char *const path[2],
    const cp_spec_at_t *at)
{
    cp_diff_parameters_of(d, 0, op, item, path, at);
    cp_diff_parameters_of(d, 1, op, item, path, at);
}


static void
cp_diff_content(cp_diff_t *d, const cp_json_t *old, const cp_json_t *new,
    const cp_spec_at_t *at)
{
    cp_spec_at_t      list = { at, "content", 0 }, in, schema;
    const cp_json_t  *m, *other;

    old = cp_json_get(old, "content");
    new = cp_json_get(new, "content");

    for (m = old ? old->first : NULL; m; m = m->next) {
        other = cp_json_get(new, m->key);
        in = (cp_spec_at_t) { &list, m->key, 0 };

        if (other == NULL) {
            cp_diff_text(d, "media-removed", &in, m->key, NULL);
            continue;
        }

        schema = (cp_spec_at_t) { &in, "schema", 0 };
        cp_diff_schema(d, cp_json_get(m, "schema"),
                       cp_json_get(other, "schema"), &schema);
    }

    for (m = new ? new->first : NULL; m; m = m->next) {
        if (cp_json_get(old, m->key) == NULL) {
            in = (cp_spec_at_t) { &list, m->key, 0 };
            cp_diff_text(d, "media-added", &in, NULL, m->key);
        }
    }
}


static void
cp_diff_body(cp_diff_t *d, const cp_json_t *op[2], const cp_spec_at_t *at)
{
    bool              required[2];
    cp_spec_at_t      in = { at, "requestBody", 0 };
    const cp_json_t  *body[2];

    body[0] = cp_spec_deref(d->old, cp_json_get(op[0], "requestBody"));
    body[1] = cp_spec_deref(d->new, cp_json_get(op[1], "requestBody"));
    required[0] = cp_json_num(body[0], "required", 0) != 0;
    required[1] = cp_json_num(body[1], "required", 0) != 0;

    if (body[0] == NULL || body[1] == NULL) {
        if (body[0] || body[1]) {
            cp_diff_text(d, body[0] ? "body-removed"
                         : required[1] ? "required-body-added" : "body-added",
                         &in, NULL, NULL);
        }

        return;
    }

    if (required[0] != required[1]) {
        cp_diff_text(d, required[1] ? "body-required" : "body-optional", &in,
                     NULL, NULL);
    }

    cp_diff_content(d, body[0], body[1], &in);
}


static void
cp_diff_headers(cp_diff_t *d, const cp_json_t *old, const cp_json_t *new,
    const cp_spec_at_t *at)
{
    cp_spec_at_t      list = { at, "headers", 0 }, in, schema;
    const cp_json_t  *m, *h[2];

    old = cp_json_get(old, "headers");
    new = cp_json_get(new, "headers");

    for (m = old ? old->first : NULL; m; m = m->next) {
        in = (cp_spec_at_t) { &list, m->key, 0 };
        h[0] = cp_spec_deref(d->old, m);
        h[1] = cp_spec_deref(d->new, cp_json_get(new, m->key));

        if (h[1] == NULL) {
            cp_diff_text(d, cp_json_num(h[0], "required", 0)
                         ? "required-header-removed" : "header-removed", &in,
                         m->key, NULL);
            continue;
        }

        schema = (cp_spec_at_t) { &in, "schema", 0 };
        cp_diff_schema(d, cp_diff_media(h[0]), cp_diff_media(h[1]), &schema);
    }

    for (m = new ? new->first : NULL; m; m = m->next) {
        if (cp_json_get(old, m->key) == NULL) {
            in = (cp_spec_at_t) { &list, m->key, 0 };
            cp_diff_text(d, "header-added", &in, NULL, m->key);
        }
    }
}


static void
cp_diff_responses(cp_diff_t *d, const cp_json_t *op[2],
    const cp_spec_at_t *at)
{
    bool              success;
    cp_spec_at_t      list = { at, "responses", 0 }, in;
    const cp_json_t  *all[2], *m, *r[2];

    all[0] = cp_json_get(op[0], "responses");
    all[1] = cp_json_get(op[1], "responses");

    for (m = all[0] ? all[0]->first : NULL; m; m = m->next) {
        in = (cp_spec_at_t) { &list, m->key, 0 };
        r[0] = cp_spec_deref(d->old, m);
        r[1] = cp_spec_deref(d->new, cp_json_get(all[1], m->key));
        success = m->key[0] == '2' || m->key[0] == '3';

        if (strncmp(m->key, "x-", 2) == 0) {
            continue;
        }

        if (r[1] == NULL) {
            cp_diff_text(d, success ? "success-removed" : "response-removed",
                         &in, m->key, NULL);
            continue;
        }

        cp_diff_content(d, r[0], r[1], &in);
        cp_diff_headers(d, r[0], r[1], &in);
    }

    for (m = all[1] ? all[1]->first : NULL; m; m = m->next) {
        if (cp_json_get(all[0], m->key) == NULL
            && strncmp(m->key, "x-", 2) != 0)
        {
            in = (cp_spec_at_t) { &list, m->key, 0 };
            success = m->key[0] == '2' || m->key[0] == '3';
            cp_diff_text(d, success ? "success-added" : "response-added",
                         &in, NULL, m->key);
        }
    }
}


/* Lists of alternatives; the operation's own, or the document's. */
static void
cp_diff_security(cp_diff_t *d, const cp_json_t *op[2],
    const cp_spec_at_t *at)
{
    unsigned          i;
    cp_spec_t        *s[2] = { d->old, d->new };
    cp_spec_at_t      in = { at, "security", 0 };
    const cp_json_t  *list[2], *m, *k;

    for (i = 0; i < 2; i++) {
        list[i] = cp_json_get(op[i], "security");
        list[i] = list[i] ? list[i] : cp_json_get(s[i]->root, "security");
        list[i] = list[i] && list[i]->n ? list[i] : NULL;
    }

    if (list[0] == NULL || list[1] == NULL) {
        if (list[0] || list[1]) {
            cp_diff_tell(d, list[1] ? "security-added" : "security-removed",
                         &in, list[0], list[1]);
        }

        return;
    }

    for (i = 0; i < 2; i++) {
        for (m = list[i]->first; m; m = m->next) {
            for (k = list[!i]->first; k && !cp_json_equal(k, m); k = k->next)
            {
                /* void */
            }

            if (k == NULL) {
                cp_diff_tell(d, i == 0 ? "security-alternative-removed"
                             : "security-alternative-added", &in,
                             i == 0 ? m : NULL, i == 0 ? NULL : m);
            }
        }
    }
}
