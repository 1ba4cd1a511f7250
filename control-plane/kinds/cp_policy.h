/*
 * Policies as the other kinds and the routes need them: which are attached to
 * what, and what of them a record carries.
 *
 * Process: stoa-control, inside a transaction; everything in the arena given.
 */

#ifndef CP_POLICY_H
#define CP_POLICY_H


#include "kinds/cp_kinds.h"
#include "core/stoa_policy.h"


/* A place to which policies may be attached, by ids; NULL: not of interest. */
typedef struct {
    const char  *tenant;           /* whose policies, and what they are on  */
    const char  *group;            /* "*": any                              */
    const char  *server;
    const char  *api;
    const char  *operation;        /* of the api; "*": any                  */
    const char  *tool;             /* its name at the api; "*": any         */
    const char  *plan;
    const char  *application;
    bool         above;            /* what is on the tenant counts too      */
    bool         mcp;              /* the api is; set where order matters   */
} cp_place_of_t;

typedef struct {
    const stoa_policy_type_t  *type;
    const cp_json_t           *row;      /* NULL: the type's default        */
    const cp_json_t           *item;     /* of its `attach`                 */
    stoa_scope_e               scope;
    int64_t                    order;
    bool                       global;
    bool                       in_force; /* not disabled, not overridden    */
    bool                       counts;   /* a single one: the narrowest     */
} cp_policy_use_t;


/* In the order in which they run: from the widest, then by `order`. */
cp_rc_t cp_policy_uses(cp_tx_t *tx, cp_arena_t *a, const cp_place_of_t *at,
    cp_policy_use_t **uses, unsigned *n, cp_err_t *err) CP_MUST_CHECK;

/* Adds `policies` and `requires` to a record's body, if there are any. */
cp_rc_t cp_policy_body(cp_tx_t *tx, cp_arena_t *a, const cp_place_of_t *at,
    cp_json_t *body, cp_err_t *err) CP_MUST_CHECK;


#endif /* CP_POLICY_H */
