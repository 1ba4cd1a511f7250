/*
 * Bundles: rules in Rego and data that Open Policy Agents fetch from here.
 * What is in one is its revision, so a revision is never two things.
 */

#include <string.h>

#include "kinds/cp_bundle.h"
#include "kinds/cp_bundle_check.h"


static cp_rc_t cp_bundle_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after);
static cp_rc_t cp_bundle_modules(const cp_write_t *w, const cp_json_t *row);
static const char *cp_bundle_path_wrong(const char *path);
static cp_rc_t cp_bundle_roots(const cp_write_t *w, const cp_json_t *row);
static bool cp_bundle_below(const char *path, const char *root);
static cp_rc_t cp_bundle_owned(const cp_write_t *w, const cp_json_t *row,
    const cp_json_t *data, const char *at);
static cp_rc_t cp_bundle_revision(const cp_write_t *w, cp_json_t *row);


static const cp_field_t  module_fields[] = {
    F("path", CP_F_LABEL, RQ, 0, CP_BUNDLE_PATH_MAX, NULL,
      "in the bundle: letters, digits, -, _ and . between slashes, .rego at"
      " the end"),
    F("rego", CP_F_TEXT, RQ, 1, CP_BUNDLE_REGO_MAX, NULL, "the module"),
    F_END
};

static const cp_field_t  bundle_fields[] = {
    BASE_ID, BASE_NAME, BASE_TITLE, BASE_TENANT,
    F("revision", CP_F_STRING, RO|ND, 0, 0, NULL,
      "digest of what is in it; OPA tells it with its decisions"),
    BOOL("checked", RO|ND, "false",
         "OPA itself has looked at it: stoa-control has opa_binary"),
    F_ARRAY("roots", 0, CP_BUNDLE_ROOTS_MAX, CP_F_STRING,
            "what of OPA's data is the bundle's, such as shop/authz; none:"
            " all"),
    F_OBJECTS("modules", WH, 0, CP_BUNDLE_MODULES_MAX, module_fields,
              "rules, 1 MiB in all"),
    F("data", CP_F_JSON, WH, 0, CP_BUNDLE_DATA_MAX, "{}",
      "what rules find in data, below the roots"),
    BASE_TIMES,
    F_END
};

const cp_resource_t  cp_res_bundle = {
    .kind = "bundle", .doc_kind = "Bundle", .plural = "bundles",
    .table = "bundles", .parent = "tenant", .fields = bundle_fields,
    .check = cp_bundle_check
};


static cp_rc_t
cp_bundle_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after)
{
    cp_rc_t           rc;
    const cp_json_t  *data;

    rc = cp_bundle_modules(w, after);

    if (rc == CP_OK) {
        rc = cp_bundle_roots(w, after);
    }

    data = cp_json_get(after, "data");

    if (rc == CP_OK && data) {
        rc = cp_bundle_owned(w, after, data, "");
    }

    if (rc == CP_OK) {
        rc = cp_bundle_revision(w, after);
    }

    return rc == CP_OK ? cp_bundle_checked(w, before, after) : rc;
}


static cp_rc_t
cp_bundle_modules(const cp_write_t *w, const cp_json_t *row)
{
    size_t            size;
    unsigned          i;
    const char       *path, *wrong;
    const cp_json_t  *m, *other, *modules;

    modules = cp_json_get(row, "modules");
    size = 0;

    for (m = modules ? modules->first : NULL, i = 0; m; m = m->next, i++) {
        path = cp_json_str(m, "path");
        size += strlen(cp_json_str(m, "rego"));
        wrong = cp_bundle_path_wrong(path);
        other = modules->first;

        while (strcmp(cp_json_str(other, "path"), path) != 0) {
            other = other->next;
        }

        wrong = wrong || other == m ? wrong : "is there twice";

        if (wrong) {
            return cp_err_field(&w->op->err, w->document, m->line,
                                cp_arena_printf(w->op->arena,
                                                "modules[%u].path", i),
                                "%s", wrong);
        }
    }

    return size <= CP_BUNDLE_REGO_MAX ? CP_OK
           : cp_fault_at(w->op, row, "modules", "are larger than %d bytes",
                         CP_BUNDLE_REGO_MAX);
}


/* Nothing that could lead out of a directory, or be OPA's own. */
static const char *
cp_bundle_path_wrong(const char *path)
{
    const char  *p;

    for (p = path; *p; p++) {
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                   "0123456789_-", *p))
        {
            continue;
        }

        if (p == path || p[-1] == '/' || strchr("./", *p) == NULL) {
            break;
        }
    }

    return *p == '\0' && cp_text_ends(path, ".rego") ? NULL
           : "must be letters, digits, -, _ and . between slashes, no . in"
             " front, and end with .rego";
}


/* OPA takes no bundle whose roots overlap. */
static cp_rc_t
cp_bundle_roots(const cp_write_t *w, const cp_json_t *row)
{
    const cp_json_t  *m, *other, *roots;

    roots = cp_json_get(row, "roots");

    for (m = roots ? roots->first : NULL; m; m = m->next) {

        if (m->len > CP_BUNDLE_PATH_MAX || m->s[0] == '/'
            || m->s[m->len - 1] == '/' || strstr(m->s, "//"))
        {
            return cp_fault_at(w->op, row, "roots", "\"%.64s\": names"
                               " between slashes, none at either end, at most"
                               " %d bytes", m->s, CP_BUNDLE_PATH_MAX);
        }

        for (other = roots->first; other; other = other->next) {
            if (other != m && cp_bundle_below(m->s, other->s)) {
                return cp_fault_at(w->op, row, "roots", "\"%.64s\" is below"
                                   " \"%.64s\"", m->s, other->s);
            }
        }
    }

    return CP_OK;
}


static bool
cp_bundle_below(const char *path, const char *root)
{
    size_t  len;

    len = strlen(root);

    return strncmp(path, root, len) == 0
           && (path[len] == '/' || path[len] == '\0');
}


/* As deep as the roots are, at most. */
static cp_rc_t
cp_bundle_owned(const cp_write_t *w, const cp_json_t *row,
    const cp_json_t *data, const char *at)
{
    cp_rc_t           rc;
    const char       *path;
    const cp_json_t  *m, *root, *roots;

    roots = cp_json_get(row, "roots");

    if (roots == NULL || roots->n == 0) {
        return CP_OK;
    }

    for (m = data->first; m; m = m->next) {
        path = cp_arena_printf(w->op->arena, "%s%s%s", at, *at ? "/" : "",
                               m->key);
        if (path == NULL) {
            return cp_err_set(&w->op->err, "internal", "no memory");
        }

        for (root = roots->first; root; root = root->next) {
            if (cp_bundle_below(path, root->s)
                || cp_bundle_below(root->s, path))
            {
                break;
            }
        }

        if (root == NULL || (m->type != CP_JSON_OBJECT
                             && !cp_bundle_below(path, root->s)))
        {
            return cp_fault_at(w->op, row, "data", "\"%.64s\" is below none"
                               " of the roots", path);
        }

        if (!cp_bundle_below(path, root->s)) {
            rc = cp_bundle_owned(w, row, m, path);
            if (rc != CP_OK) {
                return rc;
            }
        }
    }

    return CP_OK;
}


static cp_rc_t
cp_bundle_revision(const cp_write_t *w, cp_json_t *row)
{
    size_t             len;
    uint8_t            sum[32];
    cp_json_t         *all, *m;
    const char        *text;
    unsigned           i;
    cp_arena_t        *a = w->op->arena;
    static const char *const  members[] = { "roots", "modules", "data" };

    all = cp_json_object(a);

    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        m = cp_json_get(row, members[i]);

        if (m) {
            cp_json_set(a, all, members[i], cp_json_copy(a, m));
        }
    }

    text = cp_json_text(a, all, &len);
    if (text == NULL || cp_arena_failed(a)) {
        return cp_err_set(&w->op->err, "internal", "no memory");
    }

    cp_sha256(text, len, sum);
    cp_json_put(a, row, "revision", cp_hex(a, sum, 16));

    return CP_OK;
}
