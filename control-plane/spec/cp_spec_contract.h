/*
 * Inside of the making of contracts (core/stoa_contract.h):
 * cp_spec_contract.c knows operations, cp_spec_part.c schemas.  One document,
 * one thread.
 */

#ifndef CP_SPEC_CONTRACT_H
#define CP_SPEC_CONTRACT_H


#include "spec/cp_spec.h"


/* Types of values, as bits. */
#define CP_PART_NULL     0x01
#define CP_PART_BOOLEAN  0x02
#define CP_PART_INTEGER  0x04
#define CP_PART_NUMBER   0x0c          /* an integer is one                  */
#define CP_PART_STRING   0x10
#define CP_PART_ARRAY    0x20
#define CP_PART_OBJECT   0x40
#define CP_PART_ANY      0x7f

typedef struct cp_part_def_s  cp_part_def_t;

typedef struct {
    cp_spec_t      *spec;
    cp_arena_t     *arena;
    bool            ways;              /* calls and answers differ           */
    bool            answer;            /* what is made is of an answer       */
    const char     *base;              /* what `at` begins with              */
    const cp_json_t  *whole;           /* what allOf makes of these parts    */
    bool            open;              /* names of properties were left out  */
    cp_json_t      *defs;
    cp_json_t      *entries;
    cp_json_t      *skipped;           /* [{at, text}]                       */
    unsigned        nodes;
    unsigned        looks;
    const char     *failed;            /* there is no contract               */
    cp_part_def_t  *first, *last;      /* to be made                         */
    unsigned        ndefs;
} cp_part_t;


/* The place of an entry that the schema becomes. */
int64_t cp_part_entry(cp_part_t *m, const cp_json_t *schema, bool answer,
    const cp_spec_at_t *at);
/* All that schemas have led to. */
void cp_part_end(cp_part_t *m);

/* Which types its values may have. */
unsigned cp_part_types(cp_part_t *m, const cp_json_t *schema);
/* The schema of the items of its arrays; NULL: any. */
const cp_json_t *cp_part_items(cp_part_t *m, const cp_json_t *schema);

/* Is said, and not judged. */
void cp_part_skip(cp_part_t *m, const cp_spec_at_t *at, const char *text);


#endif /* CP_SPEC_CONTRACT_H */
