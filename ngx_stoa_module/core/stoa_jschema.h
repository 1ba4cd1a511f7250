/*
 * JSON Schema, draft 2020-12, a part of it: a schema is compiled once, to one
 * block without pointers, and values are judged by that.
 *
 * Known: type, enum, const; properties, required, additionalProperties,
 * patternProperties, propertyNames, minProperties, maxProperties; items,
 * prefixItems, contains, minContains, maxContains, minItems, maxItems,
 * uniqueItems; minLength, maxLength, pattern (stoa_pattern.h); minimum,
 * maximum, exclusiveMinimum, exclusiveMaximum, multipleOf (whole numbers);
 * allOf, anyOf, oneOf, not, if, then, else; $ref within the schema ("#/..."),
 * $defs.  Of OpenAPI 3.0: nullable.  true and false are schemas.
 * Said and not judged: format, title, description, default, examples,
 * deprecated, readOnly, writeOnly, $comment, $schema and what OpenAPI adds.
 * Whatever else there is is refused when a schema is compiled.
 *
 * Numbers are compared exactly if both fit in 64 bits, else as doubles; one
 * of more than 60 characters fails where its size matters.
 *
 * Process: any.  Judging allocates nothing; it takes STOA_JSCHEMA_STEPS steps
 * at most, and what would take more fails.
 */

#ifndef STOA_JSCHEMA_H
#define STOA_JSCHEMA_H


#include "stoa_json.h"


#define STOA_JSCHEMA_LEN    262144       /* bytes of a schema's text        */
#define STOA_JSCHEMA_NODES  2000         /* schemas in it                   */
#define STOA_JSCHEMA_NAMES  256          /* of properties of one            */
#define STOA_JSCHEMA_PATTERNS  32        /* of names                        */
#define STOA_JSCHEMA_STEPS  32000000     /* of a nanosecond or so           */
#define STOA_JSCHEMA_DEPTH  200
#define STOA_JSCHEMA_BLOCK  (16 * 1024 * 1024)    /* bytes, compiled        */

/* of a set */
#define STOA_JSCHEMA_SET_LEN    1048576
#define STOA_JSCHEMA_SET_NODES  20000


/* out is reset and filled.  STOA_DECLINED: err has the place, as
 * "properties.id.pattern", and what is wrong. */
stoa_rc_t stoa_jschema_compile(const char *json, size_t len, stoa_buf_t *out,
    stoa_err_t *err) STOA_MUST_CHECK;

/* Many schemas that share what they refer to: {"$defs": {"0": .., "1": ..},
 * "prefixItems": [..]}, the definitions called by their place. */
stoa_rc_t stoa_jschema_compile_set(const char *json, size_t len,
    stoa_buf_t *out, stoa_err_t *err) STOA_MUST_CHECK;

/* Is it a keyword, judged or not? */
bool stoa_jschema_knows(const char *name, size_t len);

/* A checked value by a compiled schema.  STOA_DECLINED: err has the place in
 * the value, as "items[3].id", and what it has to be. */
stoa_rc_t stoa_jschema_judge(const void *schema, const stoa_json_val_t *val,
    stoa_err_t *err) STOA_MUST_CHECK;
/* By the nth of a set's prefixItems. */
stoa_rc_t stoa_jschema_judge_nth(const void *set, uint32_t n,
    const stoa_json_val_t *val, stoa_err_t *err) STOA_MUST_CHECK;


#endif /* STOA_JSCHEMA_H */
