/*
 * Values by a compiled schema: one way down through both.
 */

#include <stdio.h>
#include <string.h>

#include "stoa_jschema_node.h"
#include "stoa_pattern.h"


#define STOA_JSCHEMA_VALUE  160      /* steps, to judge one                  */


static stoa_rc_t judge_from(const void *schema, uint32_t node,
    const stoa_json_val_t *val, stoa_err_t *err);
static bool judge(stoa_jschema_run_t *j, uint32_t node,
    const stoa_json_val_t *val);
static bool judge_type(stoa_jschema_run_t *j, const stoa_jschema_node_t *n,
    const stoa_json_val_t *val);
static bool judge_values(stoa_jschema_run_t *j, const stoa_jschema_node_t *n,
    const stoa_json_val_t *val);
static bool judge_number(stoa_jschema_run_t *j, const stoa_jschema_node_t *n,
    const stoa_json_val_t *val);
static bool judge_string(stoa_jschema_run_t *j, const stoa_jschema_node_t *n,
    const stoa_json_val_t *val);
static bool judge_array(stoa_jschema_run_t *j, const stoa_jschema_node_t *n,
    const stoa_json_val_t *val);
static bool judge_contains(stoa_jschema_run_t *j,
    const stoa_jschema_node_t *n, const stoa_json_val_t *val);
static bool judge_unique(stoa_jschema_run_t *j, const stoa_json_val_t *val);
static bool judge_object(stoa_jschema_run_t *j, const stoa_jschema_node_t *n,
    const stoa_json_val_t *val);
static bool judge_member(stoa_jschema_run_t *j, const stoa_jschema_node_t *n,
    const stoa_json_val_t *key, const stoa_json_val_t *val, uint64_t *seen);
static bool judge_required(stoa_jschema_run_t *j,
    const stoa_jschema_node_t *n, const uint64_t *seen);
static bool judge_logic(stoa_jschema_run_t *j, const stoa_jschema_node_t *n,
    const stoa_json_val_t *val);
static uint32_t judge_count(stoa_jschema_run_t *j,
    const stoa_jschema_list_t *list, const stoa_json_val_t *val,
    uint32_t most);
static bool judge_quietly(stoa_jschema_run_t *j, uint32_t node,
    const stoa_json_val_t *val);
static bool judge_found(stoa_jschema_run_t *j, uint32_t program,
    const stoa_json_val_t *text);
static bool judge_wrong(stoa_jschema_run_t *j, const char *text, int64_t n);


stoa_rc_t
stoa_jschema_judge(const void *schema, const stoa_json_val_t *val,
    stoa_err_t *err)
{
    return judge_from(schema, 1, val, err);
}


stoa_rc_t
stoa_jschema_judge_nth(const void *set, uint32_t n,
    const stoa_json_val_t *val, stoa_err_t *err)
{
    const uint32_t             *words;
    const stoa_jschema_head_t  *head;
    const stoa_jschema_node_t  *root;

    head = set;
    root = (const stoa_jschema_node_t *) (head + 1);
    words = (const uint32_t *) ((const char *) set + head->words);

    return n < root->prefix.n
           ? judge_from(set, words[root->prefix.at + n], val, err)
           : STOA_ERROR;
}


static stoa_rc_t
judge_from(const void *schema, uint32_t node, const stoa_json_val_t *val,
    stoa_err_t *err)
{
    stoa_jschema_run_t          j;
    const stoa_jschema_head_t  *head;

    head = schema;
    j.nodes = (const stoa_jschema_node_t *) (head + 1);
    j.words = (const uint32_t *) ((const char *) schema + head->words);
    j.programs = (const char *) schema + head->programs;
    j.text = (const char *) schema + head->text;
    j.err = err;
    j.left = STOA_JSCHEMA_STEPS;
    j.depth = 0;
    j.quiet = 0;
    j.ended = false;
    j.at = 0;

    if (judge(&j, node, val) && !j.ended) {
        return STOA_OK;
    }

    return j.ended ? stoa_err_set(err, "", "takes too many steps to be judged")
           : STOA_DECLINED;
}


/* node: index + 1; 0: none. */

static bool
judge(stoa_jschema_run_t *j, uint32_t node, const stoa_json_val_t *val)
{
    bool                        ok;
    const stoa_jschema_node_t  *n;

    if (node == 0) {
        return true;
    }

    if (j->depth == STOA_JSCHEMA_DEPTH) {
        j->ended = true;
    }

    if (!stoa_jschema_spend(j, STOA_JSCHEMA_VALUE)) {
        return false;
    }

    n = &j->nodes[node - 1];
    j->depth++;

    ok = judge_type(j, n, val) && judge(j, n->ref, val)
         && (!n->has_values || judge_values(j, n, val));

    if (ok) {
        switch (val->type) {

        case STOA_JSON_NUMBER:
            ok = judge_number(j, n, val);
            break;

        case STOA_JSON_STRING:
            ok = judge_string(j, n, val);
            break;

        case STOA_JSON_ARRAY:
            ok = judge_array(j, n, val);
            break;

        case STOA_JSON_OBJECT:
            ok = judge_object(j, n, val);
            break;

        default:
            break;
        }
    }

    ok = ok && judge_logic(j, n, val);
    j->depth--;

    return ok;
}


static bool
judge_type(stoa_jschema_run_t *j, const stoa_jschema_node_t *n,
    const stoa_json_val_t *val)
{
    size_t                 i, len;
    char                   text[128];
    stoa_jschema_number_t  num;

    if (n->types & 1U << val->type) {
        return true;
    }

    if (val->type == STOA_JSON_NUMBER && (n->types & STOA_JSCHEMA_INTEGER)) {
        if (!stoa_jschema_number(val, &num)) {
            return judge_wrong(j, "is a number that is too long", -1);
        }

        if (num.fits || num.d >= 9007199254740992.0
            || num.d <= -9007199254740992.0
            || num.d == (double) (int64_t) num.d)
        {
            return true;
        }
    }

    if (j->quiet) {
        return false;
    }

    len = 0;

    for (i = 0; i < STOA_JSCHEMA_TYPES; i++) {
        if (n->types & stoa_jschema_types[i].types) {
            len += (size_t) snprintf(text + len, sizeof(text) - len, "%s%s",
                                     len ? " or " : "must be ",
                                     stoa_jschema_types[i].name);
        }
    }

    return judge_wrong(j, len ? text : "must not be there", -1);
}


static bool
judge_values(stoa_jschema_run_t *j, const stoa_jschema_node_t *n,
    const stoa_json_val_t *val)
{
    uint32_t          i;
    const uint32_t   *w;
    stoa_json_val_t   v;

    static const stoa_json_type_e  types[256] = {
        ['n'] = STOA_JSON_NULL, ['f'] = STOA_JSON_FALSE,
        ['t'] = STOA_JSON_TRUE, ['"'] = STOA_JSON_STRING,
        ['['] = STOA_JSON_ARRAY, ['{'] = STOA_JSON_OBJECT,
        ['-'] = STOA_JSON_NUMBER, ['0' ... '9'] = STOA_JSON_NUMBER
    };

    w = j->words + n->values.at;

    for (i = 0; i < n->values.n; i += 2) {
        if (!stoa_jschema_spend(j, w[i + 1] / 4)) {
            return false;
        }

        v.start = j->text + w[i];
        v.end = v.start + w[i + 1];
        v.type = types[(unsigned char) *v.start];
        v.escaped = v.type == STOA_JSON_STRING
                    && memchr(v.start, '\\', w[i + 1]) != NULL;

        if (stoa_jschema_same(j, val, &v)) {
            return true;
        }
    }

    return judge_wrong(j, "is none of the values that it may be", -1);
}


static bool
judge_number(stoa_jschema_run_t *j, const stoa_jschema_node_t *n,
    const stoa_json_val_t *val)
{
    stoa_jschema_number_t  num;

    if (!n->min.set && !n->max.set && !n->above.set && !n->below.set
        && n->multiple == 0)
    {
        return true;
    }

    if (!stoa_jschema_number(val, &num)) {
        return judge_wrong(j, "is a number that is too long", -1);
    }

    if ((n->min.set && stoa_jschema_compare(&num, &n->min) < 0)
        || (n->above.set && stoa_jschema_compare(&num, &n->above) <= 0))
    {
        return judge_wrong(j, "is too small", -1);
    }

    if ((n->max.set && stoa_jschema_compare(&num, &n->max) > 0)
        || (n->below.set && stoa_jschema_compare(&num, &n->below) >= 0))
    {
        return judge_wrong(j, "is too large", -1);
    }

    if (n->multiple == 0) {
        return true;
    }

    if (!num.fits && num.d < 9223372036854775807.0
        && num.d > -9223372036854775807.0
        && num.d == (double) (int64_t) num.d)
    {
        num.i = (int64_t) num.d;
        num.fits = true;
    }

    return num.fits && num.i % n->multiple == 0
           ? true
           : judge_wrong(j, "must be a multiple of %lld", n->multiple);
}


static bool
judge_string(stoa_jschema_run_t *j, const stoa_jschema_node_t *n,
    const stoa_json_val_t *val)
{
    size_t       len;
    const char  *p, *end;

    p = val->start + 1;
    end = val->end - 1;

    if (n->min_length || n->max_length < (size_t) (end - p)) {

        if (!stoa_jschema_walk(j, val)) {
            return false;
        }

        for (len = 0; p < end; len++) {
            (void) stoa_pattern_char(&p, end, val->escaped);
        }

        if (len < n->min_length) {
            return judge_wrong(j, "must have %lld characters or more",
                               n->min_length);
        }

        if (len > n->max_length) {
            return judge_wrong(j, "must have at most %lld characters",
                               n->max_length);
        }
    }

    return n->pattern == 0 || judge_found(j, n->pattern - 1, val)
           ? true : judge_wrong(j, "does not match its pattern", -1);
}


static bool
judge_array(stoa_jschema_run_t *j, const stoa_jschema_node_t *n,
    const stoa_json_val_t *val)
{
    bool              more;
    uint32_t          i, node;
    stoa_json_val_t   item;
    stoa_json_iter_t  it;

    if (n->items == 0 && n->prefix.n == 0 && n->min_items == 0
        && n->max_items == UINT32_MAX && n->contains == 0 && !n->unique)
    {
        return true;
    }

    if (!stoa_jschema_walk(j, val)) {
        return false;
    }

    i = 0;
    j->path[j->at++].key = NULL;

    for (more = stoa_json_first(val, &it, NULL, &item);
         more;
         more = stoa_json_next(&it, NULL, &item), i++)
    {
        node = i < n->prefix.n ? j->words[n->prefix.at + i] : n->items;
        j->path[j->at - 1].index = i;

        if (node && !judge(j, node, &item)) {
            return false;
        }

        if (i >= n->max_items) {
            break;
        }
    }

    j->at--;

    if (i < n->min_items) {
        return judge_wrong(j, "must have %lld items or more", n->min_items);
    }

    if (more) {
        return judge_wrong(j, "must have at most %lld items", n->max_items);
    }

    return judge_contains(j, n, val) && (!n->unique || judge_unique(j, val));
}


static bool
judge_contains(stoa_jschema_run_t *j, const stoa_jschema_node_t *n,
    const stoa_json_val_t *val)
{
    bool              more;
    uint32_t          found;
    stoa_json_val_t   item;
    stoa_json_iter_t  it;

    if (n->contains == 0 || !stoa_jschema_walk(j, val)) {
        return n->contains == 0;
    }

    found = 0;

    for (more = stoa_json_first(val, &it, NULL, &item);
         more;
         more = stoa_json_next(&it, NULL, &item))
    {
        found += judge_quietly(j, n->contains, &item);
    }

    return found >= n->min_contains && found <= n->max_contains
           ? true
           : judge_wrong(j, "has too few or too many of the items that it "
                         "has to contain", -1);
}


static bool
judge_unique(stoa_jschema_run_t *j, const stoa_json_val_t *val)
{
    bool              more, again;
    stoa_json_val_t   a, b;
    stoa_json_iter_t  it, rest;

    for (more = stoa_json_first(val, &it, NULL, &a);
         more;
         more = stoa_json_next(&it, NULL, &a))
    {
        rest = it;

        for (again = stoa_json_next(&rest, NULL, &b);
             again;
             again = stoa_json_next(&rest, NULL, &b))
        {
            if (!stoa_jschema_walk(j, &b)) {
                return false;
            }

            if (stoa_jschema_same(j, &a, &b)) {
                return judge_wrong(j, "has an item twice", -1);
            }
        }
    }

    return true;
}


static bool
judge_object(stoa_jschema_run_t *j, const stoa_jschema_node_t *n,
    const stoa_json_val_t *val)
{
    bool              more;
    uint32_t          count;
    uint64_t          seen[STOA_JSCHEMA_NAMES / 64];
    stoa_json_val_t   key, v;
    stoa_json_iter_t  it;

    if (n->names.n == 0 && n->additional == 0 && n->patterns.n == 0
        && n->property_names == 0 && n->min_members == 0
        && n->max_members == UINT32_MAX)
    {
        return true;
    }

    if (!stoa_jschema_walk(j, val)) {
        return false;
    }

    memset(seen, 0, sizeof(seen));
    count = 0;
    j->at++;

    for (more = stoa_json_first(val, &it, &key, &v);
         more;
         more = stoa_json_next(&it, &key, &v))
    {
        j->path[j->at - 1].key = &key;
        count++;

        if (!judge_member(j, n, &key, &v, seen)) {
            return false;
        }
    }

    j->at--;

    if (count < n->min_members) {
        return judge_wrong(j, "must have %lld members or more",
                           n->min_members);
    }

    if (count > n->max_members) {
        return judge_wrong(j, "must have at most %lld members",
                           n->max_members);
    }

    return judge_required(j, n, seen);
}


static bool
judge_member(stoa_jschema_run_t *j, const stoa_jschema_node_t *n,
    const stoa_json_val_t *key, const stoa_json_val_t *val, uint64_t *seen)
{
    bool              known;
    uint32_t          i;
    const uint32_t   *w;
    stoa_json_val_t   name;

    known = false;
    w = j->words + n->names.at;

    if (!stoa_jschema_spend(j, 2 * n->names.n)
        || !judge(j, n->property_names, key))
    {
        return false;
    }

    for (i = 0; i < n->names.n; i++, w += 4) {
        name.start = j->text + w[0];
        name.end = name.start + w[1];

        if (w[1] == (size_t) (key->end - key->start)
            && memcmp(name.start, key->start, w[1]) == 0)
        {
            break;
        }

        if (key->escaped || memchr(name.start, '\\', w[1])) {
            name.type = STOA_JSON_STRING;
            name.escaped = true;

            if (stoa_json_same(&name, key)) {
                break;
            }
        }
    }

    if (i < n->names.n) {
        seen[i / 64] |= UINT64_C(1) << i % 64;
        known = w[2] != 0;

        if (!judge(j, w[2], val)) {
            return false;
        }
    }

    w = j->words + n->patterns.at;

    for (i = 0; i < n->patterns.n; i += 2) {
        if (judge_found(j, w[i], key)) {
            known = true;

            if (!judge(j, w[i + 1], val)) {
                return false;
            }
        }
    }

    return known || judge(j, n->additional, val);
}


static bool
judge_required(stoa_jschema_run_t *j, const stoa_jschema_node_t *n,
    const uint64_t *seen)
{
    char             text[128];
    uint32_t         i;
    const uint32_t  *w;

    w = j->words + n->names.at;

    for (i = 0; n->required && i < n->names.n; i++, w += 4) {
        if (w[3] && !(seen[i / 64] >> i % 64 & 1)) {
            (void) snprintf(text, sizeof(text), "must have the member %.*s",
                            w[1] > 80 ? 80 : (int) w[1], j->text + w[0]);

            /* names are the schema's, in which there may be "%" */

            return judge_wrong(j, text, -1);
        }
    }

    return true;
}


static bool
judge_logic(stoa_jschema_run_t *j, const stoa_jschema_node_t *n,
    const stoa_json_val_t *val)
{
    uint32_t  i;

    for (i = 0; i < n->all.n; i++) {
        if (!judge(j, j->words[n->all.at + i], val)) {
            return false;
        }
    }

    if (n->any.n && judge_count(j, &n->any, val, 1) == 0) {
        return judge_wrong(j, "fits none of anyOf", -1);
    }

    if (n->one.n && judge_count(j, &n->one, val, 2) != 1) {
        return judge_wrong(j, "does not fit exactly one of oneOf", -1);
    }

    if (n->not && judge_quietly(j, n->not, val)) {
        return judge_wrong(j, "is what it must not be", -1);
    }

    if (n->when == 0) {
        return true;
    }

    return judge(j, judge_quietly(j, n->when, val) ? n->then : n->otherwise,
                 val);
}


/* How many of them it fits, most at most. */

static uint32_t
judge_count(stoa_jschema_run_t *j, const stoa_jschema_list_t *list,
    const stoa_json_val_t *val, uint32_t most)
{
    uint32_t  i, fits;

    for (i = 0, fits = 0; i < list->n && fits < most; i++) {
        fits += judge_quietly(j, j->words[list->at + i], val);
    }

    return fits;
}


/* Where it failed deep inside of the value is forgotten. */

static bool
judge_quietly(stoa_jschema_run_t *j, uint32_t node,
    const stoa_json_val_t *val)
{
    bool      ok;
    unsigned  at, depth;

    at = j->at;
    depth = j->depth;
    j->quiet++;

    ok = judge(j, node, val);

    j->quiet--;
    j->depth = depth;
    j->at = at;

    return ok;
}


static bool
judge_found(stoa_jschema_run_t *j, uint32_t program,
    const stoa_json_val_t *text)
{
    bool  found;

    found = stoa_pattern_found(j->programs + program, text->start + 1,
                               (size_t) (text->end - text->start) - 2,
                               text->escaped, &j->left);
    j->ended = j->ended || j->left == 0;

    return found;
}


/* text may have one place for n, if that is not below 0. */

static bool
judge_wrong(stoa_jschema_run_t *j, const char *text, int64_t n)
{
    int   k;
    char  path[STOA_ERR_FIELD_MAX], words[STOA_ERR_TEXT_MAX];

    if (j->quiet || j->ended) {
        return false;
    }

    stoa_jschema_place(j->path, j->at, path, sizeof(path));

    if (n < 0) {
        (void) snprintf(words, sizeof(words), "%s", text);

    } else {
        k = (int) (strchr(text, '%') - text);
        (void) snprintf(words, sizeof(words), "%.*s%lld%s", k, text,
                        (long long) n, text + k + 4);
    }

    (void) stoa_err_set(j->err, path, "%s", words);

    return false;
}
