/*
 * What a schema is compiled to.  Private to stoa_jschema*.c.
 */

#ifndef STOA_JSCHEMA_NODE_H
#define STOA_JSCHEMA_NODE_H


#include "stoa_jschema.h"


#define STOA_JSCHEMA_INTEGER  0x80       /* of types: a number that is whole */
#define STOA_JSCHEMA_CHAIN    1000       /* of $refs and what is within      */
#define STOA_JSCHEMA_ALL      0x7f       /* a bit for each stoa_json_type_e  */


typedef struct {
    const char  *name;
    uint32_t     types;                  /* bits                             */
} stoa_jschema_type_t;

#define STOA_JSCHEMA_TYPES  7

extern const stoa_jschema_type_t  stoa_jschema_types[STOA_JSCHEMA_TYPES];


/* Words of the block; what they are is said at each. */

typedef struct { uint32_t at; uint32_t n; } stoa_jschema_list_t;

typedef struct {
    bool      set;
    bool      fits;                      /* i is it                          */
    int64_t   i;
    double    d;
} stoa_jschema_number_t;

/* Of others: their index + 1, 0 for none. */

typedef struct {
    uint32_t               types;
    uint32_t               ref;
    stoa_jschema_list_t    names;        /* name, length, node, required     */
    uint32_t               required;     /* how many of them                 */
    uint32_t               additional;
    stoa_jschema_list_t    patterns;     /* program, node                    */
    uint32_t               property_names;
    uint32_t               items;
    uint32_t               contains;
    stoa_jschema_list_t    prefix;       /* nodes, here and below            */
    stoa_jschema_list_t    all, any, one;
    uint32_t               not, when, then, otherwise;
    stoa_jschema_list_t    values;       /* of enum: text, length            */
    bool                   has_values;
    bool                   unique;
    uint32_t               pattern;      /* program + 1                      */
    uint32_t               min_length, max_length;
    uint32_t               min_items, max_items;
    uint32_t               min_members, max_members;
    uint32_t               min_contains, max_contains;
    int64_t                multiple;     /* 0: any                           */
    stoa_jschema_number_t  min, max, above, below;
} stoa_jschema_node_t;

/* Then: nodes, words, programs, the text. */

typedef struct {
    uint32_t  words, programs, text;     /* where they begin                 */
    uint32_t  nnodes;
} stoa_jschema_head_t;


/* One compiling.  What a $ref leads to is read where it stands, or in the end:
 * never within each other, however they refer. */

typedef struct {
    stoa_json_val_t       val;
    const char           *ref;           /* that has led to it; NULL: read   */
    uint32_t              ref_len;
    uint8_t               circle;
} stoa_jschema_todo_t;

typedef struct {
    const char           *json;
    stoa_json_val_t       root;
    stoa_err_t           *err;
    stoa_buf_t            nodes;
    stoa_buf_t            words;
    stoa_buf_t            programs;
    stoa_jschema_todo_t  *todo;          /* of each node                     */
    uint32_t             *slots;         /* of nodes + 1, by their texts     */
    uint32_t              nslots;        /* a power of two                   */
    uint32_t              most;          /* nodes                            */
    uint32_t              n;
    stoa_buf_t            defs;          /* of a set, by place               */
    unsigned              depth;
    size_t                path_len;
    char                  path[STOA_ERR_FIELD_MAX];
} stoa_jschema_make_t;

/* Where in the value it is: a name, or the index of an item. */

typedef struct {
    const stoa_json_val_t  *key;         /* NULL: an item                    */
    uint32_t                index;
} stoa_jschema_step_t;

/* One judging. */

typedef struct {
    const stoa_jschema_node_t  *nodes;
    const uint32_t             *words;
    const char                 *programs;
    const char                 *text;
    stoa_err_t                 *err;
    size_t                      left;    /* steps                            */
    unsigned                    depth;
    unsigned                    quiet;   /* what fails is no fault yet       */
    bool                        ended;   /* it is too much                   */
    unsigned                    at;      /* of the path                      */
    stoa_jschema_step_t         path[STOA_JSON_DEPTH_MAX + 1];
} stoa_jschema_run_t;


#define stoa_jschema_at(m, node)                                              \
    ((stoa_jschema_node_t *) (m)->nodes.data + (node))

/* ref: it is led to, and not read now. */
stoa_rc_t stoa_jschema_node(stoa_jschema_make_t *m,
    const stoa_json_val_t *val, const stoa_json_val_t *ref, uint32_t *index)
    STOA_MUST_CHECK;
/* One more of them, which says nothing yet. */
stoa_rc_t stoa_jschema_add(stoa_jschema_make_t *m,
    const stoa_json_val_t *val, uint32_t *index) STOA_MUST_CHECK;
/* Appends words; *list is where they are. */
stoa_rc_t stoa_jschema_words(stoa_jschema_make_t *m,
    stoa_jschema_list_t *list, const uint32_t *words, uint32_t n)
    STOA_MUST_CHECK;
stoa_rc_t stoa_jschema_name(stoa_jschema_make_t *m, uint32_t node,
    const stoa_json_val_t *name, uint32_t child, bool required)
    STOA_MUST_CHECK;
stoa_rc_t stoa_jschema_program(stoa_jschema_make_t *m,
    const stoa_json_val_t *val, uint32_t *program) STOA_MUST_CHECK;
stoa_rc_t stoa_jschema_pointer(stoa_jschema_make_t *m,
    const stoa_json_val_t *ref, stoa_json_val_t *at) STOA_MUST_CHECK;
stoa_rc_t stoa_jschema_circles(stoa_jschema_make_t *m, uint32_t node)
    STOA_MUST_CHECK;
stoa_rc_t stoa_jschema_wrong(stoa_jschema_make_t *m, const char *text);
/* Goes into a member; the length to go back to. */
size_t stoa_jschema_enter(stoa_jschema_make_t *m, const char *name,
    size_t len);

/* As "items[3].id". */
void stoa_jschema_place(const stoa_jschema_step_t *path, unsigned n,
    char *text, size_t size);

/* false: it is too long to be judged. */
bool stoa_jschema_number(const stoa_json_val_t *val,
    stoa_jschema_number_t *n);

/* What takes long is paid for before; false: there is no more.  walk: the
 * value's bytes are passed over. */
bool stoa_jschema_spend(stoa_jschema_run_t *j, size_t steps);
bool stoa_jschema_walk(stoa_jschema_run_t *j, const stoa_json_val_t *val);

/* < 0, 0, > 0 */
int stoa_jschema_compare(const stoa_jschema_number_t *a,
    const stoa_jschema_number_t *b);
bool stoa_jschema_same(stoa_jschema_run_t *j, const stoa_json_val_t *a,
    const stoa_json_val_t *b);


#endif /* STOA_JSCHEMA_NODE_H */
