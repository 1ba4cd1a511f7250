/*
 * Reading: one walk over the tree by the table, references resolved.
 */

#include <string.h>

#include "spec/cp_spec.h"


static void cp_spec_object(cp_spec_t *s, cp_spec_type_e type,
    const cp_json_t *node, const cp_spec_at_t *at);
static void cp_spec_value(cp_spec_t *s, const cp_spec_row_t *row,
    const cp_json_t *node, const cp_spec_at_t *at);
static void cp_spec_one(cp_spec_t *s, const cp_spec_row_t *row,
    const cp_json_t *node, const cp_spec_at_t *at);
static void cp_spec_fault(cp_spec_t *s, const cp_json_t *node,
    const cp_spec_at_t *at, const char *why);
static void cp_spec_ref(cp_spec_t *s, const cp_json_t *ref,
    const cp_spec_at_t *at);
static void cp_spec_rules(cp_spec_t *s, cp_spec_type_e type,
    const cp_json_t *node, const cp_spec_at_t *at);
static void cp_spec_anchors(cp_spec_t *s, const cp_json_t *v);


/* Sets: names of operations, shapes of paths, anchors. */
static const char  cp_set_ids[1], cp_set_shapes[1], cp_set_anchors[1];

const char *const  cp_spec_methods[] = { "get", "put", "post", "delete",
    "options", "head", "patch", "trace", NULL };

static const char *const  cp_spec_words[] = { "an object", "a string",
    "true or false", "an integer", "a number" };


cp_rc_t
cp_spec_read(cp_spec_t *s, cp_arena_t *a, const cp_json_t *root,
    cp_err_t *err)
{
    const char  *version;

    memset(s, 0, sizeof(cp_spec_t));
    s->arena = a;
    s->err = err;
    s->root = root;
    version = cp_json_str(root, "openapi");

    if (version == NULL) {
        return cp_err_field(err, -1, root->line, "",
                            cp_json_get(root, "swagger")
                            ? "Swagger 2.0 is not taken: OpenAPI 3.0 or 3.1"
                            : "must be an OpenAPI document: an object with"
                              " \"openapi\"");
    }

    if ((strncmp(version, "3.0.", 4) != 0 && strncmp(version, "3.1.", 4) != 0)
        || strlen(version) > 16)
    {
        return cp_err_field(err, -1, cp_json_get(root, "openapi")->line,
                            "/openapi", "must be 3.0.x or 3.1.x");
    }

    s->minor = (unsigned) (version[2] - '0');
    s->judge = true;
    cp_spec_anchors(s, root);
    cp_spec_walk(s, NULL);
    s->judge = false;

    if (s->operations > CP_SPEC_OPERATIONS_MAX) {
        return cp_err_field(err, -1, 0, "/paths", "has more than %d"
                            " operations", CP_SPEC_OPERATIONS_MAX);
    }

    if (cp_arena_failed(a)) {
        return cp_err_set(err, "too_large", "the document has more values"
                          " than fit into the memory for it");
    }

    return s->faults == 0 ? CP_OK
           : cp_err_set(err, "validation", "the document has %u fault%s%s",
                        s->faults, s->faults == 1 ? "" : "s",
                        s->faults > CP_FAULTS_MAX
                        ? ", of which the first are told" : "");
}


void
cp_spec_walk(cp_spec_t *s, cp_spec_visit_pt visit)
{
    cp_spec_at_t  at = { NULL, NULL, 0 };

    s->visit = visit;
    s->operations = 0;
    cp_spec_object(s, T_ROOT, s->root, &at);
}


/* The rows of a type stand together. */
static const cp_spec_row_t *
cp_spec_rows_of(cp_spec_type_e type)
{
    const cp_spec_row_t  *row;

    for (row = cp_spec_rows; row->name && row->in != type; row++) {
        /* void */
    }

    return row;
}


static const cp_spec_row_t *
cp_spec_row(const cp_spec_row_t *rows, cp_spec_type_e type, const char *name)
{
    const cp_spec_row_t  *row;

    for (row = rows; row->name && row->in == type; row++) {
        if (strcmp(row->name, name) == 0
            || (row->name[0] == '*' && strncmp(name, "x-", 2) != 0))
        {
            return row;
        }
    }

    return NULL;
}


static void
cp_spec_object(cp_spec_t *s, cp_spec_type_e type, const cp_json_t *node,
    const cp_spec_at_t *at)
{
    cp_spec_at_t          in;
    const cp_json_t      *m;
    const cp_spec_row_t  *row, *rows;

    rows = cp_spec_rows_of(type);

    if (s->judge) {
        for (row = rows; row->name && row->in == type; row++) {
            if ((row->flags & (s->minor ? CP_SPEC_RQ
                                        : CP_SPEC_RQ | CP_SPEC_RQ30))
                && cp_json_get(node, row->name) == NULL)
            {
                cp_spec_fault(s, node, at, cp_arena_printf(s->arena,
                              "needs \"%s\"", row->name));
            }
        }

        cp_spec_rules(s, type, node, at);
    }

    if (type == T_OPERATION) {
        s->operations++;
    }

    if (s->visit) {
        s->visit(s, type, node, at);
    }

    for (m = node->first; m; m = m->next) {
        row = cp_spec_row(rows, type, m->key);
        in = (cp_spec_at_t) { at, m->key, 0 };

        if (row && row->of != T_ANY) {
            cp_spec_value(s, row, m, &in);
        }
    }
}


static void
cp_spec_value(cp_spec_t *s, const cp_spec_row_t *row, const cp_json_t *node,
    const cp_spec_at_t *at)
{
    unsigned          i;
    cp_spec_at_t      in;
    const cp_json_t  *m;

    if (row->form == CP_SPEC_ONE) {
        cp_spec_one(s, row, node, at);
        return;
    }

    if (node->type != (row->form == CP_SPEC_MAP ? CP_JSON_OBJECT
                                                : CP_JSON_ARRAY))
    {
        cp_spec_fault(s, node, at, row->form == CP_SPEC_MAP
                      ? "must be an object" : "must be a list");
        return;
    }

    for (m = node->first, i = 0; m; m = m->next, i++) {
        in = (cp_spec_at_t) { at, m->key, i };
        cp_spec_one(s, row, m, &in);
    }
}


static void
cp_spec_one(cp_spec_t *s, const cp_spec_row_t *row, const cp_json_t *node,
    const cp_spec_at_t *at)
{
    const cp_json_t           *ref;
    static const unsigned      types[] = {
        [T_ANY - T_OBJECTS] = ~0u,
        [T_STRING - T_OBJECTS] = 1u << CP_JSON_STRING,
        [T_BOOL - T_OBJECTS] = 1u << CP_JSON_BOOL,
        [T_INT - T_OBJECTS] = 1u << CP_JSON_INT,
        [T_NUMBER - T_OBJECTS] = 1u << CP_JSON_INT | 1u << CP_JSON_REAL
    };

    if (row->of >= T_OBJECTS) {
        if (!(types[row->of - T_OBJECTS] & 1u << node->type)) {
            cp_spec_fault(s, node, at, cp_arena_printf(s->arena, "must be %s",
                          cp_spec_words[row->of - T_OBJECTS]));
        }

        return;
    }

    if (row->of == T_SCHEMA && node->type == CP_JSON_BOOL
        && (s->minor || strcmp(row->name, "additionalProperties") == 0))
    {
        return;
    }

    if (node->type != CP_JSON_OBJECT) {
        cp_spec_fault(s, node, at, "must be an object");
        return;
    }

    ref = row->of == T_SCHEMA || row->flags & CP_SPEC_REF
          ? cp_json_get(node, "$ref") : NULL;

    if (ref && ref->type == CP_JSON_STRING) {
        cp_spec_ref(s, ref, at);

        if (!s->minor || row->of != T_SCHEMA) {
            if (s->visit) {
                s->visit(s, row->of, node, at);
            }

            return;
        }
    }

    cp_spec_object(s, row->of, node, at);
}


static void
cp_spec_fault(cp_spec_t *s, const cp_json_t *node, const cp_spec_at_t *at,
    const char *why)
{
    if (s->judge && s->faults++ < CP_FAULTS_MAX) {
        (void) cp_err_field(s->err, -1, node->line, cp_spec_pointer(s, at),
                            "%s", why);
    }
}


/* Nothing is fetched: what is not in the document is named and refused. */
static void
cp_spec_ref(cp_spec_t *s, const cp_json_t *ref, const cp_spec_at_t *at)
{
    unsigned          hops;
    cp_spec_at_t      in = { at, "$ref", 0 };
    const cp_json_t  *node, *next;

    if (!s->judge) {
        return;
    }

    if (ref->s[0] != '#') {
        cp_spec_fault(s, ref, &in, cp_arena_printf(s->arena, "\"%.128s\" is"
                      " not in the document; what is outside of it is not"
                      " read", ref->s));
        return;
    }

    node = cp_spec_target(s, ref->s);

    for (hops = 0; node && hops < CP_SPEC_HOPS_MAX; hops++) {
        next = cp_json_get(node, "$ref");

        if (next == NULL || next->type != CP_JSON_STRING || node->n > 1) {
            return;
        }

        node = next->s[0] == '#' ? cp_spec_target(s, next->s) : NULL;
    }

    cp_spec_fault(s, ref, &in, cp_arena_printf(s->arena, node
                  ? "\"%.128s\" leads to itself"
                  : "\"%.128s\" leads to nothing", ref->s));
}


/* Rules of validity that are no rows. */
static void
cp_spec_rules(cp_spec_t *s, cp_spec_type_e type, const cp_json_t *node,
    const cp_spec_at_t *at)
{
    unsigned          i;
    const char       *id;
    cp_spec_at_t      in;
    const cp_json_t  *m, *item;

    for (m = type == T_PATHS ? node->first : NULL; m; m = m->next) {
        in = (cp_spec_at_t) { at, m->key, 0 };

        if (strncmp(m->key, "x-", 2) == 0) {
            continue;
        }

        if (m->key[0] != '/') {
            cp_spec_fault(s, m, &in, "a path begins with /");
            continue;
        }

        item = cp_spec_deref(s, m);

        for (i = 0; cp_spec_methods[i]; i++) {
            if (cp_json_get(item, cp_spec_methods[i])
                && cp_spec_once(s, cp_set_shapes,
                                cp_spec_key(s->arena, cp_spec_methods[i],
                                            m->key), m))
            {
                cp_spec_fault(s, m, &in, cp_arena_printf(s->arena, "another"
                              " path takes the same requests (%s)",
                              cp_spec_methods[i]));
            }
        }
    }

    for (m = type == T_RESPONSES ? node->first : NULL; m; m = m->next) {
        in = (cp_spec_at_t) { at, m->key, 0 };

        if (strcmp(m->key, "default") != 0 && strncmp(m->key, "x-", 2) != 0
            && (strlen(m->key) != 3 || m->key[0] < '1' || m->key[0] > '5'
                || strspn(m->key + 1, "0123456789X") != 2))
        {
            cp_spec_fault(s, m, &in, "must be a status, 2XX or default");
        }
    }

    id = type == T_OPERATION ? cp_json_str(node, "operationId") : NULL;

    if (id && cp_spec_once(s, cp_set_ids, id, node)) {
        in = (cp_spec_at_t) { at, "operationId", 0 };
        cp_spec_fault(s, cp_json_get(node, "operationId"), &in,
                      "another operation has this id");
    }
}


static void
cp_spec_anchors(cp_spec_t *s, const cp_json_t *v)
{
    const cp_json_t  *m;

    for (m = v->first; m; m = m->next) {
        if (m->key && m->type == CP_JSON_STRING && m->key[0] == '$'
            && (strcmp(m->key, "$anchor") == 0
                || strcmp(m->key, "$dynamicAnchor") == 0))
        {
            (void) cp_spec_once(s, cp_set_anchors, m->s, v);
        }

        if (m->first) {
            cp_spec_anchors(s, m);
        }
    }
}


static uint64_t
cp_spec_hash(const void *owner, const char *key, size_t len)
{
    size_t    i;
    uint64_t  h = UINT64_C(14695981039346656037) ^ (uintptr_t) owner;

    for (i = 0; i < len; i++) {
        h = (h ^ (uint8_t) key[i]) * UINT64_C(1099511628211);
    }

    return h ^ h >> 29;
}


static cp_spec_slot_t *
cp_spec_slot(cp_spec_t *s, const void *owner, const char *key, size_t len)
{
    uint64_t         i;
    cp_spec_slot_t  *slot;

    for (i = cp_spec_hash(owner, key, len); s->nslot; i++) {
        slot = &s->slot[i & (s->nslot - 1)];

        if (slot->owner == NULL
            || (slot->owner == owner && slot->len == len
                && memcmp(slot->key, key, len) == 0))
        {
            return slot;
        }
    }

    return NULL;
}


static bool
cp_spec_room(cp_spec_t *s)
{
    size_t           i, n;
    cp_spec_slot_t  *old;

    if (s->used * 2 < s->nslot) {
        return true;
    }

    old = s->slot;
    n = s->nslot;
    s->slot = cp_arena_alloc(s->arena, (n ? 4 * n : 1024)
                             * sizeof(cp_spec_slot_t));
    if (s->slot == NULL) {
        s->slot = old;
        return s->used < n;
    }

    s->nslot = n ? 4 * n : 1024;

    for (i = 0; i < n; i++) {
        if (old[i].owner) {
            *cp_spec_slot(s, old[i].owner, old[i].key, old[i].len) = old[i];
        }
    }

    return true;
}


const cp_json_t *
cp_spec_once(cp_spec_t *s, const void *set, const char *key,
    const cp_json_t *value)
{
    cp_spec_slot_t  *slot;

    slot = cp_spec_room(s) ? cp_spec_slot(s, set, key, strlen(key)) : NULL;

    if (slot == NULL || slot->owner) {
        return slot ? slot->value : NULL;
    }

    s->used++;
    *slot = (cp_spec_slot_t) { set, key, strlen(key), value };

    return NULL;
}


const cp_json_t *
cp_spec_find(cp_spec_t *s, const void *set, const char *key)
{
    cp_spec_slot_t  *slot;

    slot = cp_spec_slot(s, set, key, strlen(key));

    return slot && slot->owner ? slot->value : NULL;
}


/* Large objects are indexed when they are first asked. */
const cp_json_t *
cp_spec_child(cp_spec_t *s, const cp_json_t *obj, const char *key)
{
    const cp_json_t  *m;

    if (obj == NULL || obj->type != CP_JSON_OBJECT || obj->n <= 16) {
        return cp_json_get(obj, key);
    }

    if (cp_spec_find(s, obj, obj->first->key) == NULL) {
        for (m = obj->first; m; m = m->next) {
            (void) cp_spec_once(s, obj, m->key, m);
        }
    }

    return cp_spec_find(s, obj, key);
}


/* One segment of a pointer: %7E and ~1. */
static const char *
cp_spec_segment(cp_spec_t *s, const char *p, size_t len)
{
    char    *out, *d;
    size_t   i;
    uint8_t  c;

    out = d = cp_arena_strndup(s->arena, p, len);

    for (i = 0; out && i < len; i++) {
        if (p[i] == '%' && i + 2 < len
            && stoa_hex_decode(p + i + 1, 2, &c) && c)
        {
            *d++ = (char) c;
            i += 2;

        } else {
            *d++ = p[i];
        }
    }

    len = out ? (size_t) (d - out) : 0;

    for (i = 0, d = out; i < len; i++) {
        if (out[i] == '~' && (out[i + 1] == '0' || out[i + 1] == '1')
            && i + 1 < len)
        {
            *d++ = out[++i] == '1' ? '/' : '~';

        } else {
            *d++ = out[i];
        }
    }

    if (out) {
        *d = '\0';
    }

    return out ? out : "";
}


const cp_json_t *
cp_spec_target(cp_spec_t *s, const char *ref)
{
    size_t            len;
    const char       *p, *key, *k;
    unsigned          i;
    const cp_json_t  *node;

    if (ref[1] != '\0' && ref[1] != '/') {
        return cp_spec_find(s, cp_set_anchors, ref + 1);
    }

    for (node = s->root, p = ref + 1; node && *p == '/'; p += len) {
        len = strcspn(++p, "/");
        key = cp_spec_segment(s, p, len);

        if (node->type != CP_JSON_ARRAY) {
            node = cp_spec_child(s, node, key);
            continue;
        }

        for (i = 0, k = key; *k >= '0' && *k <= '9' && i < 1000000; k++) {
            i = i * 10 + (unsigned) (*k - '0');
        }

        node = *k == '\0' && k > key ? node->first : NULL;

        while (node && i--) {
            node = node->next;
        }
    }

    return node;
}


const cp_json_t *
cp_spec_deref(cp_spec_t *s, const cp_json_t *node)
{
    unsigned     hops;
    const char  *ref;

    for (hops = 0; node && hops < CP_SPEC_HOPS_MAX; hops++) {
        ref = node->first ? cp_json_str(node, "$ref") : NULL;

        if (ref == NULL || ref[0] != '#') {
            return node;
        }

        node = cp_spec_target(s, ref);
    }

    return NULL;
}


const char *
cp_spec_pointer(cp_spec_t *s, const cp_spec_at_t *at)
{
    const char  *up, *p;
    stoa_buf_t   b;

    if (at == NULL || at->up == NULL) {
        return "";
    }

    up = cp_spec_pointer(s, at->up);

    if (at->key == NULL) {
        return cp_arena_printf(s->arena, "%s/%u", up, at->index);
    }

    stoa_buf_init(&b, 4096);

    for (p = at->key; *p; p++) {
        if (*p == '~' || *p == '/') {
            stoa_buf_addz(&b, *p == '~' ? "~0" : "~1");

        } else {
            stoa_buf_add(&b, p, 1);
        }
    }

    up = cp_arena_printf(s->arena, "%s/%.*s", up, (int) b.len,
                         b.len ? b.data : "");
    stoa_buf_free(&b);

    return up ? up : "";
}


/* /orders/{}: parameters may have any name. */
const char *
cp_spec_shape(cp_arena_t *a, const char *path)
{
    char        *shape, *d;
    bool         inside;
    const char  *p;

    shape = cp_arena_strdup(a, path);

    for (p = path, d = shape, inside = false; shape && *p; p++) {
        inside = inside && *p != '}';

        if (!inside) {
            *d++ = *p;
        }

        inside = inside || *p == '{';
    }

    if (shape) {
        *d = '\0';
    }

    return shape ? shape : path;
}


const char *
cp_spec_key(cp_arena_t *a, const char *method, const char *path)
{
    const char  *key;

    key = cp_arena_printf(a, "%s %s", method, cp_spec_shape(a, path));

    return key ? key : "";
}


/* One line that fits into a title. */
static const char *
cp_spec_title(cp_arena_t *a, const char *text)
{
    size_t  n;

    for (n = 0; text && (uint8_t) text[n] >= ' ' && n < 190; n++) {
        /* void */
    }

    n = text ? cp_text_cut(text, n) : 0;

    return n ? cp_arena_strndup(a, text, n) : NULL;
}


cp_json_t *
cp_spec_operations(cp_spec_t *s)
{
    unsigned          i;
    cp_json_t        *list, *one;
    const char       *text;
    const cp_json_t  *path, *item, *op;

    list = cp_json_array(s->arena);
    path = cp_json_get(s->root, "paths");

    for (path = path ? path->first : NULL; path; path = path->next) {
        item = cp_spec_deref(s, path);

        for (i = 0; path->key[0] == '/' && cp_spec_methods[i]; i++) {
            op = cp_json_get(item, cp_spec_methods[i]);

            if (op == NULL || op->type != CP_JSON_OBJECT) {
                continue;
            }

            one = cp_json_object(s->arena);
            cp_json_put(s->arena, one, "method", cp_spec_methods[i]);
            cp_json_put(s->arena, one, "path", path->key);
            one->line = op->line;
            text = cp_json_str(op, "operationId");

            if (text) {
                cp_json_put(s->arena, one, "operation_id", text);
            }

            text = cp_spec_title(s->arena, cp_json_str(op, "summary"));

            if (text) {
                cp_json_put(s->arena, one, "title", text);
            }

            cp_json_push(list, one);
        }
    }

    return list;
}
