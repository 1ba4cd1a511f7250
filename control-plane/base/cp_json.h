/*
 * A JSON value as a tree, read from JSON (core/stoa_json: strict) or YAML
 * (libyaml, core schema, no duplicate keys, the same depth limit), and written
 * as canonical JSON or YAML.
 *
 * Memory: the arena.  Strings are NUL-terminated and may hold no NUL.
 */

#ifndef CP_JSON_H
#define CP_JSON_H


#include "base/cp_util.h"


typedef enum { CP_JSON_NULL, CP_JSON_BOOL, CP_JSON_INT, CP_JSON_REAL,
    CP_JSON_STRING, CP_JSON_ARRAY, CP_JSON_OBJECT } cp_json_type_e;

typedef struct cp_json_s  cp_json_t;

struct cp_json_s {
    cp_json_type_e  type;
    unsigned        line;          /* in the source, 1-based; 0 unknown     */
    const char     *key;           /* as a member                           */
    int64_t         i;             /* BOOL, INT                             */
    double          d;             /* REAL                                  */
    const char     *s;             /* STRING; REAL: as written              */
    size_t          len;
    cp_json_t      *first;         /* children in order                     */
    cp_json_t      *last;
    cp_json_t      *next;
    unsigned        n;
};

/* CP_DECLINED: err, which may be NULL, has the line. */
cp_rc_t cp_json_parse(cp_arena_t *a, const char *text, size_t len,
    cp_json_t **out, cp_err_t *err) CP_MUST_CHECK;

/* A YAML stream: *docs is an ARRAY with one item per document.  Aliases are
 * expanded; they may make 100,000 nodes in all. */
cp_rc_t cp_yaml_parse(cp_arena_t *a, const char *text, size_t len,
    cp_json_t **docs, cp_err_t *err) CP_MUST_CHECK;

cp_json_t *cp_json_object(cp_arena_t *a);
cp_json_t *cp_json_array(cp_arena_t *a);
cp_json_t *cp_json_string(cp_arena_t *a, const char *s);    /* NULL: null   */
cp_json_t *cp_json_int(cp_arena_t *a, int64_t i);
cp_json_t *cp_json_bool(cp_arena_t *a, bool b);
cp_json_t *cp_json_null(cp_arena_t *a);
void cp_json_set(cp_arena_t *a, cp_json_t *obj, const char *key,
    cp_json_t *val);                               /* replaces, keeps place */
void cp_json_put(cp_arena_t *a, cp_json_t *obj, const char *key,
    const char *s);
void cp_json_put_int(cp_arena_t *a, cp_json_t *obj, const char *key,
    int64_t i);
void cp_json_put_bool(cp_arena_t *a, cp_json_t *obj, const char *key, bool b);
void cp_json_push(cp_json_t *arr, cp_json_t *val);
cp_json_t *cp_json_copy(cp_arena_t *a, const cp_json_t *v);

cp_json_t *cp_json_get(const cp_json_t *obj, const char *key);  /* or NULL  */
const char *cp_json_str(const cp_json_t *obj, const char *key); /* or NULL  */
int64_t cp_json_num(const cp_json_t *obj, const char *key, int64_t dflt);
bool cp_json_equal(const cp_json_t *a, const cp_json_t *b);     /* deep     */

/* Compact; members in their order, no spaces. */
void cp_json_write(stoa_buf_t *b, const cp_json_t *v);
char *cp_json_text(cp_arena_t *a, const cp_json_t *v, size_t *len);
/* Block YAML that cp_yaml_parse reads back to an equal tree. */
void cp_yaml_write(stoa_buf_t *b, const cp_json_t *v, unsigned indent);


#endif /* CP_JSON_H */
