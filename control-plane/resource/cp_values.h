/*
 * The types of fields: what is asked of a value (cp_values.c), beside the walk
 * through a tree (cp_validate.c).
 */

#ifndef CP_VALUES_H
#define CP_VALUES_H


#include "resource/cp_engine.h"


typedef struct {
    const cp_validate_t  *v;
    const cp_field_t     *f;
    const char           *path;
    const cp_json_t      *in;
    cp_json_t            *out;
} cp_value_t;

typedef cp_rc_t (*cp_value_pt)(cp_value_t *c);

/* A type: which JSON type its text is, and what is asked of it. */
typedef struct {
    cp_json_type_e   json;
    const char      *expected;
    cp_value_pt      check;
} cp_type_t;


extern const cp_type_t  cp_types[];          /* by cp_field_type_e          */

cp_rc_t cp_fault(cp_value_t *c, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Those that walk on: cp_validate.c. */
cp_rc_t cp_value_object(cp_value_t *c);
cp_rc_t cp_value_array(cp_value_t *c);


#endif /* CP_VALUES_H */
