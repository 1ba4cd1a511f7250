/*
 * apply, diff, dump: documents to and from the control plane.
 *
 * All documents are parsed here and sent as one JSON array, so that a fault
 * the server reports by document and field is found in the file it came from.
 */

#include <stdlib.h>
#include <string.h>

#include "stoactl.h"


#define CTL_FILES_MAX      4096
#define CTL_DOCUMENTS_MAX  20000

typedef struct {
    const char       *file;
    const cp_json_t  *doc;
} ctl_doc_t;

typedef struct {
    ctl_t      *c;
    cp_json_t  *all;
    ctl_doc_t  *docs;
    unsigned    n;
} ctl_set_t;

typedef struct {
    const char  *action;
    char         sign;
    const char  *done;
    const char  *to_do;
    unsigned     n;
} ctl_action_t;


static void
ctl_fault(const char *file, unsigned line, const char *field,
    const char *message)
{
    fprintf(stderr, "%s:", file);

    if (line > 0) {
        fprintf(stderr, "%u:", line);
    }

    if (field != NULL && *field != '\0') {
        fprintf(stderr, " %s:", field);
    }

    fprintf(stderr, " %s\n", message);
}


/* The node of a path "targets[0].url" under v, or the deepest that exists;
 * *depth says how deep that is. */

static const cp_json_t *
ctl_locate(const cp_json_t *v, const char *field, unsigned *depth)
{
    char              name[128];
    long              index;
    size_t            len;
    const char       *p;
    const cp_json_t  *next;

    *depth = 0;

    for (p = field; *p != '\0'; /* void */) {
        len = strcspn(p, ".[");
        next = NULL;

        if (len > 0) {
            snprintf(name, sizeof(name), "%.*s", (int) len, p);
            p += len;

            if (v->type == CP_JSON_OBJECT) {
                next = cp_json_get(v, name);
            }

        } else if (*p == '[') {
            index = strtol(p + 1, (char **) &p, 10);
            p += (*p == ']');

            if (v->type == CP_JSON_ARRAY) {
                for (next = v->first; next != NULL && index > 0; index--) {
                    next = next->next;
                }
            }

        } else {
            p++;
            continue;
        }

        if (next == NULL) {
            return v;
        }

        v = next;
        (*depth)++;
    }

    return v;
}


/* Fields are named relative to the document, its spec or its metadata. */

static unsigned
ctl_fault_line(const cp_json_t *doc, const char *field)
{
    unsigned          i, line, depth, best;
    const cp_json_t  *root, *v;

    static const char *const  roots[] = { NULL, "spec", "metadata" };

    line = doc->line;
    best = 0;

    for (i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
        root = doc;

        if (roots[i] != NULL) {
            root = (doc->type == CP_JSON_OBJECT) ? cp_json_get(doc, roots[i])
                                                 : NULL;
        }

        if (root == NULL) {
            continue;
        }

        v = ctl_locate(root, field, &depth);

        if (depth > best && v->line > 0) {
            best = depth;
            line = v->line;
        }
    }

    return line;
}


static ctl_exit_e
ctl_set_add(ctl_set_t *set, const char *file, cp_json_t *doc)
{
    cp_json_t  *item, *copy;

    if (doc->type == CP_JSON_ARRAY) {
        for (item = doc->first; item != NULL; item = item->next) {
            if (ctl_set_add(set, file, item) != CTL_DONE) {
                return CTL_FAILED;
            }
        }

        return CTL_DONE;
    }

    if (doc->type == CP_JSON_NULL) {       /* an empty document: "---" */
        return CTL_DONE;
    }

    if (set->n == CTL_DOCUMENTS_MAX) {
        return ctl_error("more than %d documents", CTL_DOCUMENTS_MAX);
    }

    copy = cp_json_copy(set->c->arena, doc);

    if (copy == NULL) {
        return ctl_error("out of memory");
    }

    set->docs[set->n].file = file;
    set->docs[set->n].doc = doc;
    set->n++;

    copy->key = NULL;
    cp_json_push(set->all, copy);

    return CTL_DONE;
}


static ctl_exit_e
ctl_set_file(ctl_set_t *set, const char *path)
{
    size_t       len, plen;
    cp_rc_t      rc;
    cp_err_t     err = { .arena = set->c->arena };
    cp_json_t   *docs;
    const char  *text;

    if (ctl_file_read(set->c, path, &text, &len) != CTL_DONE) {
        return CTL_FAILED;
    }

    path = (strcmp(path, "-") == 0) ? "stdin" : path;
    plen = strlen(path);
    cp_text_skip_mark(&text, &len);

    if (plen > 5 && strcmp(path + plen - 5, ".json") == 0) {
        rc = cp_json_parse(set->c->arena, text, len, &docs, &err);

    } else {
        rc = cp_yaml_parse(set->c->arena, text, len, &docs, &err);
    }

    if (rc != CP_OK) {
        ctl_fault(path, err.n > 0 ? err.faults[0].line : 0,
                  err.n > 0 ? err.faults[0].field : NULL,
                  err.n > 0 ? err.faults[0].message
                            : err.detail != NULL ? err.detail : "unreadable");
        return CTL_FAILED;
    }

    return ctl_set_add(set, path, docs);
}


static ctl_exit_e
ctl_set_load(ctl_t *c, ctl_set_t *set)
{
    unsigned      i, j, n;
    ctl_exit_e    rc;
    const char  **names;

    set->c = c;
    set->n = 0;
    set->all = cp_json_array(c->arena);
    set->docs = cp_arena_alloc(c->arena,
                               CTL_DOCUMENTS_MAX * sizeof(ctl_doc_t));
    names = cp_arena_alloc(c->arena, CTL_FILES_MAX * sizeof(char *));

    if (set->all == NULL || set->docs == NULL || names == NULL) {
        return ctl_error("out of memory");
    }

    for (i = 0; i < c->narg; i++) {
        rc = ctl_file_list(c, c->arg[i], names, CTL_FILES_MAX, &n);

        for (j = 0; rc == CTL_DONE && j < n; j++) {
            rc = ctl_set_file(set, names[j]);
        }

        if (rc != CTL_DONE) {
            return rc;
        }
    }

    if (set->n == 0) {
        return ctl_error("no documents");
    }

    return CTL_DONE;
}


/* Prints a refusal with file:line: field: message. */

static void
ctl_set_problem(ctl_set_t *set, const ctl_answer_t *answer)
{
    int64_t          document;
    unsigned         line;
    cp_json_t       *errors, *e;
    const char      *field, *message;
    const ctl_doc_t *d;

    errors = (answer->json != NULL && answer->json->type == CP_JSON_OBJECT)
                 ? cp_json_get(answer->json, "errors") : NULL;

    if (errors == NULL || errors->type != CP_JSON_ARRAY || errors->n == 0) {
        ctl_problem(set->c, answer);
        return;
    }

    for (e = errors->first; e != NULL; e = e->next) {

        if (e->type != CP_JSON_OBJECT) {
            continue;
        }

        document = cp_json_num(e, "document", -1);
        field = ctl_clean(set->c, cp_json_str(e, "field"));
        message = ctl_clean(set->c, cp_json_str(e, "message"));

        if (document < 0 || document >= (int64_t) set->n) {
            ctl_error("%s%s%s", field, *field != '\0' ? ": " : "", message);
            continue;
        }

        d = &set->docs[document];
        line = ctl_fault_line(d->doc, field);
        ctl_fault(d->file, line, field, message);
    }

    ctl_error("%ld: nothing was changed", answer->status);
}


static void
ctl_put_value(ctl_t *c, const cp_json_t *v)
{
    char  *text;

    text = (v != NULL) ? cp_json_text(c->arena, v, NULL) : NULL;

    if (v == NULL || v->type == CP_JSON_NULL) {
        fputs("(none)", stdout);

    } else if (text != NULL) {
        printf("%.200s%s", text, strlen(text) > 200 ? "..." : "");
    }
}


/* diff: [{field, before, after}]; also an object {field: [before, after]} */

static void
ctl_put_diff(ctl_t *c, const cp_json_t *diff)
{
    const char       *field;
    const cp_json_t  *d, *before, *after;

    if (diff == NULL
        || (diff->type != CP_JSON_ARRAY && diff->type != CP_JSON_OBJECT))
    {
        return;
    }

    for (d = diff->first; d != NULL; d = d->next) {

        if (d->type == CP_JSON_OBJECT) {
            field = cp_json_str(d, "field");
            before = cp_json_get(d, "before");
            after = cp_json_get(d, "after");

        } else if (d->type == CP_JSON_ARRAY && d->n == 2) {
            field = NULL;
            before = d->first;
            after = d->last;

        } else {
            continue;
        }

        printf("      %s: ", field != NULL ? field
                                           : d->key != NULL ? d->key : "");
        ctl_put_value(c, before);
        fputs(" -> ", stdout);
        ctl_put_value(c, after);
        putchar('\n');
    }
}


static void
ctl_put_change(ctl_t *c, const cp_json_t *change, ctl_action_t *actions)
{
    const char       *action, *kind, *tenant, *name, *held, *state;
    ctl_action_t     *a;
    const cp_json_t  *lacks;

    action = cp_json_str(change, "action");
    kind = ctl_clean(c, cp_json_str(change, "kind"));
    tenant = ctl_clean(c, cp_json_str(change, "tenant"));
    name = ctl_clean(c, cp_json_str(change, "name"));

    for (a = actions; a->action != NULL; a++) {
        if (action != NULL && strcmp(a->action, action) == 0) {
            break;
        }
    }

    if (a->action == NULL) {
        return;
    }

    a->n++;
    held = ctl_clean(c, cp_json_str(change, "held"));

    lacks = cp_json_get(change, "unresolved");

    if (a->sign == ' ' && *held == '\0' && lacks == NULL) {
        return;
    }

    state = cp_json_str(change, "state");
    state = (state == NULL) ? ""
            : strcmp(state, "draft") == 0 ? ": a draft, which nobody can call"
            : strcmp(state, "pending") == 0 ? ": waits for approval" : "";

    printf("  %c %s %s%s%s%s%s%s\n", a->sign == ' ' ? '!' : a->sign, kind,
           tenant, *tenant != '\0' ? "/" : "", name,
           *held != '\0' ? ": held by the publisher: " : "", held, state);

    if (lacks != NULL) {
        fputs("      not found yet: ", stdout);
        ctl_put_value(c, lacks);
        putchar('\n');
    }

    if (a->sign == '~') {
        ctl_put_diff(c, cp_json_get(change, "diff"));
    }
}


/* Returns how many differ. */

static unsigned
ctl_put_changes(ctl_t *c, const cp_json_t *answer, bool dry)
{
    unsigned          n;
    ctl_action_t     *a;
    const cp_json_t  *changes, *ch;

    ctl_action_t  actions[] = {
        { "create", '+', "created", "to create", 0 },
        { "update", '~', "updated", "to update", 0 },
        { "delete", '-', "deleted", "to delete", 0 },
        { "none", ' ', "unchanged", "unchanged", 0 },
        { NULL, 0, NULL, NULL, 0 }
    };

    changes = cp_json_get(answer, "changes");

    for (ch = (changes != NULL) ? changes->first : NULL;
         ch != NULL;
         ch = ch->next)
    {
        if (ch->type == CP_JSON_OBJECT) {
            ctl_put_change(c, ch, actions);
        }
    }

    for (a = actions, n = 0; a->action != NULL; a++) {
        printf("%s%u %s", a == actions ? "" : ", ", a->n,
               dry ? a->to_do : a->done);
        n += (a->sign != ' ') ? a->n : 0;
    }

    printf("%s\n", dry ? "; nothing was changed" : "");

    return n;
}


static void
ctl_put_gateways(ctl_t *c, const cp_json_t *answer)
{
    const char       *name, *state;
    const cp_json_t  *list, *g;

    printf("revision %lld\n", (long long) cp_json_num(answer, "rev", 0));

    list = cp_json_get(answer, "gateways");

    if (list == NULL || list->n == 0) {
        ctl_put_away(cp_json_num(answer, "away", 0));
    }

    for (g = (list != NULL) ? list->first : NULL; g != NULL; g = g->next) {
        name = (g->type == CP_JSON_OBJECT) ? cp_json_str(g, "name") : NULL;

        if (name == NULL) {
            continue;
        }

        state = cp_json_str(g, "state");
        printf("  gateway %s: %s, revision %s\n", name,
               state != NULL ? state : "?", ctl_cell_text(c, g, "rev"));
    }
}


static unsigned
ctl_count_changes(const cp_json_t *answer)
{
    unsigned          n;
    const char       *action;
    const cp_json_t  *changes, *ch;

    changes = cp_json_get(answer, "changes");
    n = 0;

    for (ch = (changes != NULL) ? changes->first : NULL;
         ch != NULL;
         ch = ch->next)
    {
        action = (ch->type == CP_JSON_OBJECT) ? cp_json_str(ch, "action")
                                              : NULL;
        n += (action == NULL || strcmp(action, "none") != 0);
    }

    return n;
}


static ctl_exit_e
ctl_apply_path(ctl_t *c, const char *base, bool dry, int64_t wait_ms,
    const char **path)
{
    char         query[128];
    size_t       n;
    int64_t      max;
    ctl_exit_e   rc;

    rc = ctl_opt_number(c, "max-delete", -1, &max);

    if (rc != CTL_DONE) {
        return rc;
    }

    n = 0;
    query[0] = '\0';

    if (dry) {
        n += (size_t) snprintf(query + n, sizeof(query) - n, "&dry_run=1");
    }

    if (ctl_opt(c, "prune") != NULL) {
        n += (size_t) snprintf(query + n, sizeof(query) - n, "&prune=1");
    }

    if (ctl_opt(c, "new") != NULL) {
        n += (size_t) snprintf(query + n, sizeof(query) - n, "&new=1");
    }

    if (max >= 0) {
        n += (size_t) snprintf(query + n, sizeof(query) - n,
                               "&max_delete=%lld", (long long) max);
    }

    if (wait_ms > 0) {
        (void) snprintf(query + n, sizeof(query) - n, "&wait=%llds",
                        (long long) ((wait_ms + 999) / 1000));
    }

    *path = cp_arena_printf(c->arena, "%s%s%s", base,
                            query[0] != '\0' ? "?" : "",
                            query[0] != '\0' ? query + 1 : "");

    return (*path != NULL) ? CTL_DONE : CTL_FAILED;
}


static ctl_exit_e
ctl_set_send(ctl_t *c, ctl_set_t *set, const char *path, int64_t wait_ms,
    ctl_answer_t *answer)
{
    ctl_exit_e  rc;
    ctl_call_t  call = { .method = "POST", .path = path,
                         .extra_ms = wait_ms, .quiet = true };

    call.body = cp_json_text(c->arena, set->all, &call.len);

    if (call.body == NULL) {
        return ctl_error("out of memory");
    }

    rc = ctl_call(c, &call, answer);

    if (rc == CTL_REJECTED) {
        ctl_set_problem(set, answer);

    } else if (rc == CTL_DONE && answer->json == NULL) {
        ctl_error("%s%s: the answer is no JSON; is this the control plane?",
                  c->url, path);
        rc = CTL_FAILED;
    }

    return rc;
}


ctl_exit_e
ctl_run_apply(ctl_t *c)
{
    bool           dry;
    int64_t        wait_ms;
    ctl_set_t      set;
    ctl_exit_e     rc;
    const char    *path, *state;
    ctl_answer_t   answer;

    dry = (ctl_opt(c, "dry-run") != NULL);
    rc = ctl_opt_duration(c, "wait", 0, &wait_ms);

    if (rc == CTL_DONE) {
        rc = ctl_apply_path(c, "/v1/apply", dry, wait_ms, &path);
    }

    if (rc == CTL_DONE) {
        rc = ctl_set_load(c, &set);
    }

    if (rc == CTL_DONE) {
        rc = ctl_set_send(c, &set, path, wait_ms, &answer);
    }

    if (rc != CTL_DONE) {
        return rc;
    }

    if (c->out != CTL_OUT_TABLE) {
        rc = ctl_print(c, answer.json, NULL);

    } else {
        (void) ctl_put_changes(c, answer.json, dry);

        if (!dry) {
            ctl_put_gateways(c, answer.json);
        }
    }

    if (rc != CTL_DONE || wait_ms <= 0 || dry) {
        return rc;
    }

    state = cp_json_str(answer.json, "state");

    if (state != NULL && strcmp(state, "rejected") == 0) {
        ctl_error("applied, but a gateway refuses a part of it;"
                  " see: stoactl gateway status");
        return CTL_UNSERVED;
    }

    if (answer.status == 202) {
        ctl_error("not all online gateways have it yet");
        return CTL_TIMEOUT;
    }

    return rc;
}


ctl_exit_e
ctl_run_diff(ctl_t *c)
{
    ctl_set_t      set;
    ctl_exit_e     rc;
    const char    *path;
    ctl_answer_t   answer;

    rc = ctl_apply_path(c, "/v1/diff", false, 0, &path);

    if (rc == CTL_DONE) {
        rc = ctl_set_load(c, &set);
    }

    if (rc == CTL_DONE) {
        rc = ctl_set_send(c, &set, path, 0, &answer);
    }

    if (rc != CTL_DONE) {
        return rc;
    }

    if (c->out != CTL_OUT_TABLE) {
        rc = ctl_print(c, answer.json, NULL);

    } else {
        (void) ctl_put_changes(c, answer.json, true);
    }

    if (rc == CTL_DONE && ctl_count_changes(answer.json) > 0) {
        return CTL_DIFFERENT;
    }

    return rc;
}


ctl_exit_e
ctl_run_dump(ctl_t *c)
{
    cp_err_t       err = { .arena = c->arena };
    cp_json_t     *docs;
    ctl_exit_e     rc;
    const char    *tenant;
    ctl_call_t     call = { .method = "GET", .path = "/v1/dump",
                            .accept = "application/yaml" };
    ctl_answer_t   answer;

    if (ctl_opt(c, "all") == NULL) {
        rc = ctl_tenant(c, &tenant);

        if (rc != CTL_DONE) {
            return rc;
        }

        call.path = cp_arena_printf(c->arena, "/v1/dump?tenant=%s",
                                    ctl_escape(c, tenant));
    }

    rc = ctl_call(c, &call, &answer);

    if (rc != CTL_DONE) {
        return rc;
    }

    if (c->out != CTL_OUT_JSON) {
        fwrite(answer.text, 1, answer.len, stdout);
        return CTL_DONE;
    }

    if (cp_yaml_parse(c->arena, answer.text, answer.len, &docs, &err)
        != CP_OK)
    {
        return ctl_error("the answer is no YAML");
    }

    return ctl_print(c, docs, NULL);
}
