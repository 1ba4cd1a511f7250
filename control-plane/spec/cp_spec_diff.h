/*
 * Inside of the comparison: cp_spec_diff.c knows operations, cp_spec_schema.c
 * schemas, cp_spec_norm.c their forms, cp_spec_change.c the verdicts.  One
 * comparison, one thread.
 */

#ifndef CP_SPEC_DIFF_H
#define CP_SPEC_DIFF_H


#include "spec/cp_spec.h"


#define CP_NORM_BOUNDS  10
#define CP_NORM_OTHERS  18


typedef enum { CP_DIFF_REQUEST, CP_DIFF_RESPONSE, CP_DIFF_OPERATION }
    cp_diff_way_e;

typedef enum { CP_DIFF_HARMLESS, CP_DIFF_MAY_BREAK, CP_DIFF_BREAKING }
    cp_diff_verdict_e;

typedef struct {
    cp_spec_t     *old;
    cp_spec_t     *new;
    cp_arena_t    *arena;              /* of new                             */
    cp_json_t     *changes;
    unsigned       count[3];           /* by verdict                         */
    const char    *operation;          /* "GET /orders/{id}"                 */
    cp_diff_way_e  way;
    unsigned       pairs;
    unsigned       depth;
    const void    *seen;               /* the set of pairs                   */
    unsigned       silent;             /* only count                         */
} cp_diff_t;


typedef struct {
    const char  *name;
    int          grows;                /* the larger the number: 1 wider,
                                          -1 narrower                        */
} cp_bound_row_t;

extern const cp_bound_row_t  cp_norm_bounds[CP_NORM_BOUNDS];
/* Compared as they stand. */
extern const char *const     cp_norm_others[CP_NORM_OTHERS];

typedef struct {
    const char       *name;
    const cp_json_t  *node;
    bool              required;
} cp_prop_t;

/* A schema in the one form that all spellings of its meaning have. */
typedef struct {
    unsigned          types;
    bool              null;
    bool              nothing;         /* false: no value at all             */
    bool              closed;
    cp_prop_t        *prop;            /* on the heap                        */
    unsigned          nprop;
    unsigned          room;
    unsigned          merged;
    const cp_json_t  *additional;
    const cp_json_t  *items;
    const cp_json_t  *values;          /* enum                               */
    const cp_json_t  *only;            /* const                              */
    const cp_json_t  *format;
    const cp_json_t  *pattern;
    const cp_json_t  *dflt;
    const cp_json_t  *bound[CP_NORM_BOUNDS];
    const cp_json_t  *other[CP_NORM_OTHERS];
    const cp_json_t  *branch[CP_SPEC_BRANCHES_MAX];
    unsigned          nbranch;
} cp_norm_t;


void cp_norm_make(cp_diff_t *d, cp_spec_t *s, const cp_json_t *node,
    cp_norm_t *n);
void cp_norm_free(cp_norm_t *n);
/* "integer|string" */
const char *cp_norm_words(cp_diff_t *d, const cp_norm_t *n);

extern const char *const  cp_diff_verdicts[];

/* rule: a row of the table, whose verdict it gets. */
void cp_diff_tell(cp_diff_t *d, const char *rule, const cp_spec_at_t *at,
    const cp_json_t *before, const cp_json_t *after);
void cp_diff_text(cp_diff_t *d, const char *rule, const cp_spec_at_t *at,
    const char *before, const char *after);

/* Either may be NULL: anything. */
void cp_diff_schema(cp_diff_t *d, const cp_json_t *old, const cp_json_t *new,
    const cp_spec_at_t *at);


#endif /* CP_SPEC_DIFF_H */
