/*
 * The tables behind stoa_rec.c: what a body of each kind consists of.  Private
 * to the codec.  A new field is a row of stoa_schema.h.
 */

#ifndef STOA_REC_TABLE_H
#define STOA_REC_TABLE_H


#include "stoa_json.h"
#include "stoa_rec.h"


typedef enum {
    STOA_REC_T_ID, STOA_REC_T_STRING, STOA_REC_T_OBJECT, STOA_REC_T_BOOL,
    STOA_REC_T_ENUM, STOA_REC_T_U16, STOA_REC_T_U32, STOA_REC_T_U64,
    STOA_REC_T_I64, STOA_REC_T_HEX32, STOA_REC_T_IDS, STOA_REC_T_CIDRS,
    STOA_REC_T_STRUCTS, STOA_REC_T_STRINGS, STOA_REC_T_POLICY,
    STOA_REC_T_CONFIG, STOA_REC_T_POLICIES, STOA_REC_T_MAX
} stoa_rec_type_e;


typedef struct {
    const char  *word;                /* NULL ends the list               */
    uint8_t      value;
} stoa_rec_word_t;

#define STOA_REC_FIELDS_MAX  64       /* of one struct                    */
#define STOA_REC_STRINGS_LEN 1024     /* of each in an array of strings   */

/* The bounds of a field that is an array are those of its count. */
#define stoa_rec_str_min(f)                                                   \
    ((f)->type == STOA_REC_T_STRINGS ? 1 : (size_t) (f)->min)
#define stoa_rec_str_max(f)                                                   \
    ((f)->type == STOA_REC_T_STRINGS ? STOA_REC_STRINGS_LEN                   \
                                     : (size_t) (f)->max)

typedef struct stoa_rec_struct_s  stoa_rec_struct_t;

/* In a policy's configuration: may the texts of a member refer to secrets?
 * The last: it is one, and that is a certificate with its key. */
typedef enum {
    STOA_REC_SECRET_NO = 0, STOA_REC_SECRET_MAY, STOA_REC_SECRET_MUST,
    STOA_REC_SECRET_CERTIFICATE
} stoa_rec_secret_e;

typedef struct {
    stoa_str_t                name;   /* in the body                      */
    uint8_t                   type;
    bool                      required;
    bool                      lower;  /* a string: to lower case          */
    uint8_t                   secret; /* stoa_rec_secret_e                */
    uint16_t                  offset;
    uint16_t                  flag;   /* a byte that is 1 when the member
                                         was there; 0: none               */
    int64_t                   min;    /* of a number, a length or a count */
    int64_t                   max;
    int64_t                   def;    /* number, bool, enum when absent   */
    const stoa_rec_word_t    *words;  /* enum                             */
    const stoa_rec_struct_t  *items;  /* array of structs                 */
    bool                    (*valid)(const char *s, size_t len);
                                      /* of a string that is not empty    */
    const char               *must;   /* what a string must be            */
    const char               *doc;
} stoa_rec_field_t;

struct stoa_rec_struct_s {
    const char               *name;   /* of a kind                        */
    const char               *split;  /* the definition's member around which
                                         it is split; NULL: it has none   */
    size_t                    size;
    const stoa_rec_field_t   *fields;
    size_t                    nfields;
    uint16_t                  sort;   /* items: offset of the name (a ref)
                                         they are sorted by and unique in */
    bool                      sorted;
    bool                      strict; /* what is not known is refused     */
};

/* Which members were there is kept in the bits of one word: a table that
 * grows past it does not compile. */
#define stoa_rec_nfields(a)                                                   \
    (sizeof(a) / sizeof((a)[0])                                               \
     + 0 * sizeof(char[sizeof(a) / sizeof((a)[0]) <= STOA_REC_FIELDS_MAX      \
                       ? 1 : -1]))


/* By stoa_rec_kind_e; the first one is empty. */
extern const stoa_rec_struct_t  stoa_rec_structs[STOA_REC_KIND_MAX];

/* Forms of strings, of policies too. */
bool stoa_rec_method_valid(const char *s, size_t len);
bool stoa_rec_text_valid(const char *s, size_t len);


/* One encoding. */

#define STOA_REC_ALIGN  8

typedef struct {
    stoa_buf_t   *out;
    stoa_err_t   *err;
    const char   *json;
    bool          withhold;                 /* leave policies out         */
    size_t        path_len;                 /* "targets[1].port"          */
    char          path[STOA_ERR_FIELD_MAX];
} stoa_rec_enc_t;

/* Writes one member; `at` is where it lies in the record. */
typedef stoa_rc_t stoa_rec_encode_t(stoa_rec_enc_t *e,
    const stoa_rec_field_t *f, const stoa_json_val_t *val, size_t at);

extern stoa_rec_encode_t *const  stoa_rec_encoders[STOA_REC_T_MAX];

stoa_rc_t stoa_rec_struct(stoa_rec_enc_t *e, const stoa_rec_struct_t *def,
    const stoa_json_val_t *object, size_t base) STOA_MUST_CHECK;
size_t stoa_rec_item_size(const stoa_rec_field_t *f);   /* of an array   */
stoa_rc_t stoa_rec_align(stoa_rec_enc_t *e) STOA_MUST_CHECK;
void stoa_rec_put(stoa_rec_enc_t *e, size_t at, const void *data, size_t len);
void stoa_rec_put_number(stoa_rec_enc_t *e, const stoa_rec_field_t *f,
    size_t at, int64_t n);
stoa_rc_t stoa_rec_wrong(stoa_rec_enc_t *e, const char *at, const char *text);
size_t stoa_rec_enter(stoa_rec_enc_t *e, const char *member,
    const size_t *item);


#endif /* STOA_REC_TABLE_H */
