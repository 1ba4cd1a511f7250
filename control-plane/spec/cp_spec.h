/*
 * OpenAPI 3.0 and 3.1 documents: are they valid, what is in them, what would a
 * reviewer say, and what would a change of one to another break.
 *
 * Pure: trees in, trees out.  The tables of types (cp_spec_table.c), of lint
 * rules (cp_spec_lint.c) and of changes (cp_spec_diff.c) are the work; one
 * walk over the tree serves them all.  References are followed in the document
 * alone, nothing is ever fetched.
 *
 * Process: stoa-control, one request.  Memory: its arena.
 * Limits: CP_SPEC_*; a tree is at most STOA_JSON_DEPTH_MAX deep, so is a walk.
 */

#ifndef CP_SPEC_H
#define CP_SPEC_H


#include "base/cp_json.h"


#define CP_SPEC_BYTES_MAX       (24 * 1024 * 1024)
#define CP_SPEC_OPERATIONS_MAX  100000
#define CP_SPEC_FINDINGS_MAX    1000
#define CP_SPEC_CHANGES_MAX     1000
#define CP_SPEC_HOPS_MAX        64     /* of references to references        */
#define CP_SPEC_SCHEMA_DEPTH    100    /* of two schemas that are compared   */
#define CP_SPEC_PAIRS_MAX       200000 /* of schemas that are compared       */
#define CP_SPEC_BRANCHES_MAX    64     /* of one oneOf, told apart           */

typedef enum {
    T_ROOT, T_INFO, T_CONTACT, T_LICENSE, T_SERVER, T_SERVER_VAR, T_PATHS,
    T_PATH_ITEM, T_OPERATION, T_DOCS, T_PARAMETER, T_BODY, T_MEDIA,
    T_ENCODING, T_RESPONSES, T_RESPONSE, T_CALLBACK, T_EXAMPLE, T_LINK,
    T_HEADER, T_TAG, T_SCHEMA, T_DISCRIMINATOR, T_SCHEME, T_FLOWS, T_FLOW,
    T_SECURITY, T_COMPONENTS,
    T_OBJECTS,                         /* no objects from here on            */
    T_ANY = T_OBJECTS, T_STRING, T_BOOL, T_INT, T_NUMBER
} cp_spec_type_e;

typedef enum { CP_SPEC_ONE, CP_SPEC_MAP, CP_SPEC_LIST } cp_spec_form_e;

#define CP_SPEC_RQ    0x01             /* must be there                      */
#define CP_SPEC_RQ30  0x02             /* ... before 3.1                     */
#define CP_SPEC_REF   0x04             /* or a reference to one              */
#define CP_SPEC_31    0x08             /* not before 3.1                     */

/* A member of a type; name "*": every one that has no row. */
typedef struct {
    cp_spec_type_e  in;
    const char     *name;
    cp_spec_type_e  of;
    cp_spec_form_e  form;
    unsigned        flags;
} cp_spec_row_t;

extern const cp_spec_row_t  cp_spec_rows[];            /* name NULL ends     */

/* Where a walk is: from here up to the root. */
typedef struct cp_spec_at_s  cp_spec_at_t;

struct cp_spec_at_s {
    const cp_spec_at_t  *up;
    const char          *key;          /* NULL: index                        */
    unsigned             index;
};

typedef struct {
    const void       *owner;           /* an object, or the name of a set    */
    const char       *key;
    size_t            len;
    const cp_json_t  *value;
} cp_spec_slot_t;

typedef struct cp_spec_s  cp_spec_t;

/* Of every object of a known type, before what is in it. */
typedef void (*cp_spec_visit_pt)(cp_spec_t *s, cp_spec_type_e type,
    const cp_json_t *node, const cp_spec_at_t *at);

struct cp_spec_s {
    cp_arena_t        *arena;
    cp_err_t          *err;
    const cp_json_t   *root;
    unsigned           minor;          /* of the version: 0 or 1             */
    unsigned           operations;
    unsigned           faults;         /* also those that err lacks         */
    cp_spec_visit_pt   visit;
    bool               judge;          /* the walk looks for faults          */
    bool               ways;           /* something is of one way alone      */
    cp_json_t         *findings;       /* of lint                            */
    unsigned           nfindings;

    cp_spec_slot_t    *slot;           /* children of large ones, and sets  */
    size_t             nslot;
    size_t             used;
};


/* Reads a tree: "validation" with line and pointer of each fault. */
cp_rc_t cp_spec_read(cp_spec_t *s, cp_arena_t *a, const cp_json_t *root,
    cp_err_t *err) CP_MUST_CHECK;

/* [{rule, severity, line, pointer, message}]; the same for the same text. */
cp_json_t *cp_spec_lint(cp_spec_t *s);

/* [{method, path, operation_id, title}] in the order of the document. */
cp_json_t *cp_spec_operations(cp_spec_t *s);

/* {changes [{verdict, rule, where, operation, pointer, before, after}],
 *  breaking, may_break, harmless, truncated}.  Two that were read. */
cp_json_t *cp_spec_diff(cp_spec_t *old, cp_spec_t *new);

/* What gateways judge by (core/stoa_contract.h), and `skipped` [{at, text}]:
 * what they do not; or why there is none, in `failed`. */
cp_json_t *cp_spec_contract(cp_spec_t *s);


/* Inside of this folder. */

void cp_spec_walk(cp_spec_t *s, cp_spec_visit_pt visit);
/* What a reference leads to, one step; NULL: nothing. */
const cp_json_t *cp_spec_target(cp_spec_t *s, const char *ref);
const cp_json_t *cp_spec_child(cp_spec_t *s, const cp_json_t *obj,
    const char *key);
/* The value that `key` had in the set, NULL: it is there since now. */
const cp_json_t *cp_spec_once(cp_spec_t *s, const void *set, const char *key,
    const cp_json_t *value);
const cp_json_t *cp_spec_find(cp_spec_t *s, const void *set,
    const char *key);
/* The node itself, or what its references lead to in the end. */
const cp_json_t *cp_spec_deref(cp_spec_t *s, const cp_json_t *node);
const char *cp_spec_pointer(cp_spec_t *s, const cp_spec_at_t *at);
/* "get /orders/{}" */
const char *cp_spec_key(cp_arena_t *a, const char *method, const char *path);
/* /orders/{} */
const char *cp_spec_shape(cp_arena_t *a, const char *path);

extern const char *const  cp_spec_methods[];           /* NULL ends          */


#endif /* CP_SPEC_H */
