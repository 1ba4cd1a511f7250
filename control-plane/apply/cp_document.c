/*
 * Reads documents: form, kinds, names, order.
 */

#include <stdlib.h>
#include <string.h>

#include "kinds/cp_tool_state.h"
#include "resource/cp_engine.h"
#include "apply/cp_document.h"


#define CP_DOCUMENT_SCRATCH  ((size_t) 256 * 1024 * 1024)


typedef struct {
    const char      *name;
    cp_json_type_e   type;
    bool             required;
} cp_member_t;


static cp_rc_t cp_document_list(cp_op_t *op, cp_json_t *in,
    cp_json_t **list);
static bool cp_document_read(cp_op_t *op, cp_document_t *d, cp_json_t *in);
static bool cp_document_form(cp_op_t *op, const cp_document_t *d,
    const cp_json_t *in, const char *prefix, const cp_member_t *members);
static bool cp_document_kind(cp_op_t *op, cp_document_t *d,
    const cp_json_t *in);
static bool cp_document_names(cp_op_t *op, cp_document_t *d,
    const cp_json_t *meta);
static bool cp_document_spec(cp_op_t *op, cp_document_t *d, cp_json_t *spec);
static bool cp_document_valid(cp_op_t *op, const cp_document_t *d);
static bool cp_document_items(cp_op_t *op, const cp_document_t *d,
    const cp_json_t *list, const char *name, unsigned max);
static cp_json_t *cp_document_take(cp_json_t *obj, const char *key);
static void cp_document_key(cp_arena_t *a, cp_document_t *d);
static bool cp_document_twice(cp_op_t *op, cp_documents_t *docs);
static int cp_document_by_key(const void *one, const void *two);
static int cp_document_by_rank(const void *one, const void *two);


static const cp_member_t  cp_document_members[] = {
    { "apiVersion", CP_JSON_STRING, true },
    { "kind",       CP_JSON_STRING, true },
    { "metadata",   CP_JSON_OBJECT, true },
    { "spec",       CP_JSON_OBJECT, false },
    { NULL, CP_JSON_NULL, false }
};

static const cp_member_t  cp_metadata_members[] = {
    { "name",   CP_JSON_STRING, false },
    { "tenant", CP_JSON_STRING, false },
    { NULL, CP_JSON_NULL, false }
};

/* What a subscription is known by. */
static const char *const  cp_document_keys[] = {
    "application", "target_tenant", "api", "server", NULL
};

static const char *const  cp_json_words[] = {
    [CP_JSON_STRING] = "a text", [CP_JSON_OBJECT] = "an object"
};


cp_rc_t
cp_documents_read(cp_op_t *op, cp_json_t *in, cp_documents_t *docs)
{
    bool        ok;
    cp_rc_t     rc;
    unsigned    i;
    cp_json_t  *list, *v;

    rc = cp_document_list(op, in, &list);
    if (rc != CP_OK) {
        return rc;
    }

    docs->n = 0;
    docs->doc = cp_arena_alloc(op->arena,
                               (list->n + 1) * sizeof(cp_document_t));
    docs->order = cp_arena_alloc(op->arena,
                                 (list->n + 1) * sizeof(cp_document_t *));

    if (docs->doc == NULL || docs->order == NULL) {
        return cp_err_set(&op->err, "internal", "out of memory");
    }

    ok = true;

    for (v = list->first, i = 0; v; v = v->next, i++) {

        /* a stream may end in a separator */

        if (v->type == CP_JSON_NULL) {
            continue;
        }

        docs->doc[docs->n].index = (int) i;
        docs->doc[docs->n].line = v->line;
        ok &= cp_document_read(op, &docs->doc[docs->n], v);
        docs->n++;
    }

    if (!ok || cp_document_twice(op, docs)) {
        return op->err.status < 500 ? CP_DECLINED : CP_ERROR;
    }

    qsort(docs->order, docs->n, sizeof(cp_document_t *), cp_document_by_rank);

    return CP_OK;
}


static cp_rc_t
cp_document_list(cp_op_t *op, cp_json_t *in, cp_json_t **list)
{
    if (in->type == CP_JSON_ARRAY) {
        *list = in;

    } else {
        *list = cp_json_array(op->arena);
        cp_json_push(*list, in);
    }

    if ((*list)->n > CP_APPLY_DOCUMENTS_MAX) {
        return cp_err_set(&op->err, "too_large", "more than %d documents",
                          CP_APPLY_DOCUMENTS_MAX);
    }

    return CP_OK;
}


static bool
cp_document_read(cp_op_t *op, cp_document_t *d, cp_json_t *in)
{
    cp_json_t  *spec;

    if (!cp_document_form(op, d, in, "", cp_document_members)
        || !cp_document_kind(op, d, in)
        || !cp_document_form(op, d, cp_json_get(in, "metadata"), "metadata.",
                             cp_metadata_members)
        || !cp_document_names(op, d, cp_json_get(in, "metadata")))
    {
        return false;
    }

    spec = cp_json_get(in, "spec");

    if (spec == NULL || spec->type == CP_JSON_NULL) {
        spec = cp_json_object(op->arena);
        spec->line = in->line;
    }

    return cp_document_spec(op, d, spec);
}


static bool
cp_document_form(cp_op_t *op, const cp_document_t *d, const cp_json_t *in,
    const char *prefix, const cp_member_t *members)
{
    char                name[128];
    bool                ok;
    const cp_json_t    *v;
    const cp_member_t  *m;

    if (in->type != CP_JSON_OBJECT) {
        (void) cp_err_field(&op->err, d->index, in->line, prefix,
                            "must be an object");
        return false;
    }

    ok = true;

    for (m = members; m->name; m++) {
        snprintf(name, sizeof(name), "%s%s", prefix, m->name);
        v = cp_json_get(in, m->name);

        if (v == NULL || (v->type == CP_JSON_NULL && !m->required)) {
            if (m->required) {
                ok = false;
                (void) cp_err_field(&op->err, d->index, in->line, name,
                                    "is required");
            }

        } else if (v->type != m->type) {
            ok = false;
            (void) cp_err_field(&op->err, d->index, v->line, name,
                                "must be %s", cp_json_words[m->type]);
        }
    }

    for (v = in->first; v; v = v->next) {
        for (m = members; m->name && strcmp(m->name, v->key) != 0; m++) {
            /* void */
        }

        if (m->name == NULL) {
            ok = false;
            snprintf(name, sizeof(name), "%s%.100s", prefix, v->key);
            (void) cp_err_field(&op->err, d->index, v->line, name,
                                "is unknown");
        }
    }

    return ok;
}


static bool
cp_document_kind(cp_op_t *op, cp_document_t *d, const cp_json_t *in)
{
    unsigned              i;
    const cp_json_t      *kind, *version;
    const cp_resource_t  *res;

    version = cp_json_get(in, "apiVersion");

    if (strcmp(version->s, CP_APPLY_VERSION) != 0) {
        (void) cp_err_field(&op->err, d->index, version->line, "apiVersion",
                            "must be " CP_APPLY_VERSION);
        return false;
    }

    kind = cp_json_get(in, "kind");

    for (i = 0; (res = cp_resource_at(i)) != NULL; i++) {
        if (res->doc_kind && strcmp(res->doc_kind, kind->s) == 0) {
            d->res = res;
            d->rank = i;
            return true;
        }
    }

    (void) cp_err_field(&op->err, d->index, kind->line, "kind",
                        "\"%.64s\" is unknown", kind->s);

    return false;
}


static bool
cp_document_names(cp_op_t *op, cp_document_t *d, const cp_json_t *meta)
{
    const char  *why;

    d->name = cp_json_str(meta, "name");
    d->name_line = d->name ? cp_json_get(meta, "name")->line : meta->line;
    d->tenant = cp_json_str(meta, "tenant");

    why = d->res->by_id ? "is not for this kind" : "is required";

    if ((d->name != NULL) == d->res->by_id) {
        (void) cp_err_field(&op->err, d->index, meta->line, "metadata.name",
                            "%s", why);
        return false;
    }

    why = d->res->parent ? "is required" : "is not for this kind";

    if ((d->tenant != NULL) != (d->res->parent != NULL)) {
        (void) cp_err_field(&op->err, d->index, meta->line, "metadata.tenant",
                            "%s", why);
        return false;
    }

    return true;
}


/* Takes `state` and `operations` out, and puts the name in: the rest is what
 * the resource's table knows. */
static bool
cp_document_spec(cp_op_t *op, cp_document_t *d, cp_json_t *spec)
{
    bool        ok;
    unsigned    i;
    cp_json_t  *name, *v;

    d->state = d->res->transitions ? cp_document_take(spec, "state") : NULL;

    if (strcmp(d->res->kind, "api") == 0) {
        d->operations = cp_document_take(spec, "operations");
        d->pages = cp_document_take(spec, "pages");
        d->openapi = cp_document_take(spec, "document");

        for (i = 0; cp_items[i]; i++) {
            d->items[i] = cp_document_take(spec, cp_items[i]->plural);
        }
    }

    if (strcmp(d->res->kind, "policy_set") == 0) {
        d->gone = cp_document_take(spec, "gone");
    }

    if (d->state && d->state->type != CP_JSON_STRING) {
        (void) cp_err_field(&op->err, d->index, d->state->line, "spec.state",
                            "must be a text");
        return false;
    }

    if (d->openapi && d->openapi->type != CP_JSON_OBJECT) {
        (void) cp_err_field(&op->err, d->index, d->openapi->line,
                            "spec.document", "must be an object");
        return false;
    }

    ok = cp_document_items(op, d, d->operations, "operations",
                           STOA_OPERATIONS_MAX)
         && cp_document_items(op, d, d->pages, "pages", CP_PAGES_MAX)
         && cp_document_items(op, d, d->gone, "gone", CP_GONE_MAX);

    for (i = 0; ok && cp_items[i]; i++) {
        ok = cp_document_items(op, d, d->items[i], cp_items[i]->plural,
                               CP_TOOL_STATES_MAX);
    }

    if (!ok) {
        return false;
    }

    v = cp_json_get(spec, "name");

    if (v) {
        (void) cp_err_field(&op->err, d->index, v->line, "spec.name",
                            "belongs into metadata");
        return false;
    }

    if (d->name) {
        name = cp_json_string(op->arena, d->name);
        name->line = d->name_line;
        name->key = "name";
        name->next = spec->first;
        spec->first = name;
        spec->last = spec->last ? spec->last : name;
        spec->n++;
    }

    d->spec = spec;
    cp_document_key(op->arena, d);

    return cp_document_valid(op, d);
}


static bool
cp_document_items(cp_op_t *op, const cp_document_t *d, const cp_json_t *list,
    const char *name, unsigned max)
{
    if (list == NULL || (list->type == CP_JSON_ARRAY && list->n <= max)) {
        return true;
    }

    (void) cp_err_field(&op->err, d->index, list->line,
                        cp_arena_printf(op->arena, "spec.%s", name),
                        "must be a list of at most %u %s", max, name);

    return false;
}


/* Against the table alone, so that the faults of all documents are told at
 * once; what needs the database is the engine's. */
static bool
cp_document_valid(cp_op_t *op, const cp_document_t *d)
{
    cp_rc_t        rc;
    unsigned       n;
    cp_json_t     *out;
    cp_arena_t    *a;
    cp_validate_t  v = { NULL, &op->err, d->index, false };

    a = cp_arena_create(CP_DOCUMENT_SCRATCH);
    if (a == NULL) {
        (void) cp_err_set(&op->err, "internal", "out of memory");
        return false;
    }

    n = op->err.n;
    v.arena = a;
    rc = cp_validate(&v, d->res->fields, d->spec, NULL, &out);
    cp_arena_destroy(a);

    if (rc != CP_OK) {
        cp_document_faults(&op->err, n, d);
    }

    return rc == CP_OK;
}


static cp_json_t *
cp_document_take(cp_json_t *obj, const char *key)
{
    cp_json_t  *v, *prev;

    prev = NULL;

    for (v = obj->first; v; prev = v, v = v->next) {
        if (strcmp(v->key, key) == 0) {
            break;
        }
    }

    if (v == NULL) {
        return NULL;
    }

    if (prev) {
        prev->next = v->next;
    } else {
        obj->first = v->next;
    }

    if (obj->last == v) {
        obj->last = prev;
    }

    obj->n--;
    v->next = NULL;

    return v->type == CP_JSON_NULL ? NULL : v;
}


static void
cp_document_key(cp_arena_t *a, cp_document_t *d)
{
    unsigned     i;
    const char  *s, *target;

    if (d->name) {
        d->label = d->name;
        d->key = cp_arena_printf(a, "%03u\n%s\n%s", d->rank,
                                 d->tenant ? d->tenant : "", d->name);
        return;
    }

    d->key = cp_arena_printf(a, "%03u\n%s", d->rank, d->tenant);

    for (i = 0; cp_document_keys[i]; i++) {
        s = cp_json_str(d->spec, cp_document_keys[i]);

        if (s == NULL && strcmp(cp_document_keys[i], "target_tenant") == 0) {
            s = d->tenant;
        }

        d->key = cp_arena_printf(a, "%s\n%s", d->key, s ? s : "");
    }

    s = cp_json_str(d->spec, "application");
    target = cp_json_str(d->spec, "api");
    target = target ? target : cp_json_str(d->spec, "server");
    d->label = cp_arena_printf(a, "%s/%s", s ? s : "", target ? target : "");
}


/* Two documents about one thing contradict each other. */
static bool
cp_document_twice(cp_op_t *op, cp_documents_t *docs)
{
    bool                  twice;
    unsigned              i;
    const cp_document_t  *d, *prev;

    for (i = 0; i < docs->n; i++) {
        docs->order[i] = &docs->doc[i];
    }

    qsort(docs->order, docs->n, sizeof(cp_document_t *), cp_document_by_key);

    twice = false;

    for (i = 1; i < docs->n; i++) {
        prev = docs->order[i - 1];
        d = docs->order[i];

        if (strcmp(prev->key, d->key) == 0) {
            twice = true;
            (void) cp_err_field(&op->err, d->index, d->line, "metadata",
                                "names what document %d names", prev->index);
        }
    }

    return twice;
}


static int
cp_document_by_key(const void *one, const void *two)
{
    int                   n;
    const cp_document_t  *a, *b;

    a = *(cp_document_t *const *) one;
    b = *(cp_document_t *const *) two;

    n = strcmp(a->key, b->key);

    return n ? n : a->index - b->index;
}


static int
cp_document_by_rank(const void *one, const void *two)
{
    const cp_document_t  *a, *b;

    a = *(cp_document_t *const *) one;
    b = *(cp_document_t *const *) two;

    return a->rank != b->rank ? (int) a->rank - (int) b->rank
                              : a->index - b->index;
}


void
cp_document_faults(cp_err_t *err, unsigned n, const cp_document_t *d)
{
    const char  *f;
    cp_fault_t  *fault;

    /* a refusal without a field is about the document as a whole */

    if (err->n == n && n < CP_FAULTS_MAX) {
        fault = &err->faults[err->n++];
        fault->document = d->index;
        fault->line = d->line;
        fault->field = "";
        fault->message = err->detail ? err->detail : "is refused";
        return;
    }

    for ( /* void */ ; n < err->n; n++) {
        fault = &err->faults[n];
        f = fault->field ? fault->field : "";

        /* a rule about several fields knows of no documents */

        if (fault->document < 0) {
            fault->document = d->index;
            fault->line = fault->line ? fault->line : d->line;
        }

        if (fault->document != d->index || strncmp(f, "metadata", 8) == 0
            || strncmp(f, "spec", 4) == 0)
        {
            continue;
        }

        fault->field = cp_arena_printf(err->arena, "%s%s",
                                       strcmp(f, "name") == 0 ? "metadata."
                                       : *f ? "spec." : "spec", f);
    }
}


void
cp_document_item_faults(cp_err_t *err, unsigned n, const char *item)
{
    cp_fault_t  *f;

    for ( /* void */ ; n < err->n; n++) {
        f = &err->faults[n];
        f->field = cp_arena_printf(err->arena, "%s%s%s", item,
                                   *f->field ? "." : "", f->field);
    }
}
