/*
 * path-rewrite: another path for the upstream than the one that was called.
 */

#ifndef STOA_POLICY_REWRITE_H
#define STOA_POLICY_REWRITE_H


#include "stoa_policy.h"
#include "stoa_rewrite.h"


#define STOA_POLICY_REWRITE_RULE(F, S)                                        \
    F(S, STRING, from, 1, STOA_TEMPLATE_MAX, 0, STOA_REQUIRED,                \
      "a path of the api, like /orders/{id} or /v1/{rest*}")                  \
    F(S, STRING, to, 1, STOA_TEMPLATE_MAX, 0, STOA_REQUIRED,                  \
      "what its upstream gets behind the target's path, like "                \
      "/shop/order-{id} or /{rest*}")

#define STOA_POLICY_REWRITE(F, S)                                             \
    F(S, STRUCTS, rules, 1, 64, 0, STOA_ITEMS(rewrite_rule) STOA_REQUIRED,    \
      "the first whose `from` matches counts; where none does the path "      \
      "stays, or is what a wider policy has made of it")

STOA_POLICY_STRUCT(rewrite_rule, STOA_POLICY_REWRITE_RULE)
STOA_POLICY_STRUCT(rewrite, STOA_POLICY_REWRITE)


#ifdef STOA_POLICY_TABLES

static const char *
stoa_policy_rewrite_check(const void *rec, const void *config,
    const char **field)
{
    bool                               second;
    uint32_t                           i;
    const char                        *wrong;
    const stoa_policy_rewrite_t       *rewrite = config;
    const stoa_policy_rewrite_rule_t  *rule;

    static _Thread_local char          name[32];

    rule = stoa_rec_vec(rec, rewrite->rules, stoa_policy_rewrite_rule_t);

    for (i = 0; i < rewrite->rules.n; i++) {
        wrong = stoa_rewrite_check(stoa_rec_str(rec, rule[i].from),
                                   stoa_rec_str(rec, rule[i].to), &second);

        if (wrong) {
            (void) snprintf(name, sizeof(name), "rules[%u].%s", i,
                            second ? "to" : "from");
            *field = name;
            return wrong;
        }
    }

    return NULL;
}


static const stoa_policy_type_t  stoa_policy_rewrite = {
    .name = "path-rewrite", .id = 24, .version = 1,
    .order = STOA_ORDER_TRANSFORM,
    .scopes = STOA_ON_API|STOA_ON_OPERATION,
    .config = &stoa_policy_rewrite_struct,
    .check = stoa_policy_rewrite_check,
    .doc = "sends another path to the upstream than the one that was called "
           "and judged, by templates of paths"
};

#endif


#endif /* STOA_POLICY_REWRITE_H */
