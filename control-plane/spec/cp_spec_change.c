/*
 * What a change is worth, by its rule and direction: one table.
 */

#include <string.h>

#include "spec/cp_spec_diff.h"


typedef struct {
    const char         *rule;
    cp_diff_verdict_e   request;       /* also of what has no direction      */
    cp_diff_verdict_e   response;
} cp_diff_rule_t;

#define H  CP_DIFF_HARMLESS
#define M  CP_DIFF_MAY_BREAK
#define B  CP_DIFF_BREAKING

/* In doubt it may break. */
static const cp_diff_rule_t  cp_diff_rules[] = {
    { "operation-removed", B, B }, { "operation-added", H, H },
    { "operation-deprecated", H, H }, { "operation-id-changed", M, M },
    { "security-added", B, B }, { "security-removed", H, H },
    { "security-alternative-removed", B, B },
    { "security-alternative-added", H, H },

    { "path-parameter-renamed", H, H },
    { "parameter-removed", M, M }, { "parameter-added", H, H },
    { "required-parameter-added", B, B },
    { "parameter-required", B, B }, { "parameter-optional", H, H },
    { "parameter-style-changed", B, B },

    { "body-added", H, H }, { "required-body-added", B, B },
    { "body-removed", M, M }, { "body-required", B, B },
    { "body-optional", H, H },
    { "media-removed", B, B }, { "media-added", H, H },

    { "response-removed", M, M }, { "success-removed", B, B },
    { "response-added", H, H }, { "success-added", M, M },
    { "header-removed", M, M }, { "required-header-removed", B, B },
    { "header-added", H, H },

    { "type-narrowed", B, H }, { "type-widened", H, B },
    { "type-changed", B, B },
    { "null-added", H, B }, { "null-removed", B, H },
    { "enum-value-removed", B, H }, { "enum-value-added", H, M },
    { "enum-closed", B, H }, { "enum-opened", H, M },
    { "property-added", H, H }, { "property-added-to-closed", H, M },
    { "property-removed", M, M },
    { "property-removed-from-closed", B, M },
    { "required-property-added", B, H },
    { "required-property-removed", M, B },
    { "property-required", B, H }, { "property-optional", H, B },
    { "properties-closed", B, H }, { "properties-opened", H, M },
    { "bound-narrowed", B, H }, { "bound-widened", H, M },
    { "pattern-added", B, H }, { "pattern-removed", H, M },
    { "pattern-changed", M, M }, { "format-changed", M, M },
    { "default-changed", M, M },
    { "branch-removed", B, H }, { "branch-added", H, B },
    { "schema-changed", M, M }, { "not-compared", M, M },
    { NULL, M, M }
};

#undef H
#undef M
#undef B

const char *const  cp_diff_verdicts[] = { "harmless", "may_break",
    "breaking" };
static const char *const  cp_ways[] = { "request", "response", "operation" };


/* Long values by what they are. */
static cp_json_t *
cp_diff_value(cp_diff_t *d, const cp_json_t *v)
{
    char    *text;
    size_t   len;

    if (v == NULL) {
        return cp_json_null(d->arena);
    }

    if (v->first == NULL && v->len < 256) {
        return cp_json_copy(d->arena, v);
    }

    text = v->n < 32 ? cp_json_text(d->arena, v, &len) : NULL;

    return text && len < 256 ? cp_json_copy(d->arena, v)
           : cp_json_string(d->arena, v->type == CP_JSON_ARRAY ? "a list"
                            : v->type == CP_JSON_OBJECT ? "an object"
                            : "a long text");
}


void
cp_diff_tell(cp_diff_t *d, const char *rule, const cp_spec_at_t *at,
    const cp_json_t *before, const cp_json_t *after)
{
    cp_json_t              *c;
    cp_diff_verdict_e       verdict;
    const cp_diff_rule_t   *row;

    for (row = cp_diff_rules; row->rule && strcmp(row->rule, rule) != 0;
         row++)
    {
        /* void */
    }

    verdict = d->way == CP_DIFF_RESPONSE ? row->response : row->request;
    d->count[verdict]++;

    if (d->silent || d->changes->n >= CP_SPEC_CHANGES_MAX) {
        return;
    }

    c = cp_json_object(d->arena);
    cp_json_put(d->arena, c, "verdict", cp_diff_verdicts[verdict]);
    cp_json_put(d->arena, c, "rule", rule);
    cp_json_put(d->arena, c, "where", cp_ways[d->way]);
    cp_json_put(d->arena, c, "operation", d->operation);
    cp_json_put(d->arena, c, "pointer", cp_spec_pointer(d->new, at));
    cp_json_set(d->arena, c, "before", cp_diff_value(d, before));
    cp_json_set(d->arena, c, "after", cp_diff_value(d, after));
    cp_json_push(d->changes, c);
}


void
cp_diff_text(cp_diff_t *d, const char *rule, const cp_spec_at_t *at,
    const char *before, const char *after)
{
    if (d->silent) {
        cp_diff_tell(d, rule, at, NULL, NULL);
        return;
    }

    cp_diff_tell(d, rule, at, cp_json_string(d->arena, before),
                 cp_json_string(d->arena, after));
}
