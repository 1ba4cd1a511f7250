/*
 * Members of records by their type: from a JSON value to bytes.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stoa_key.h"
#include "stoa_rec_table.h"
#include "stoa_policy.h"


/* an item of a sorted array is at most this large */
#define STOA_REC_SORT_SIZE  64


static stoa_rec_encode_t  stoa_rec_id, stoa_rec_string, stoa_rec_object,
    stoa_rec_bool, stoa_rec_enum, stoa_rec_number, stoa_rec_hex32,
    stoa_rec_list, stoa_rec_cidr, stoa_rec_item, stoa_rec_policy_type,
    stoa_rec_config;
static void stoa_rec_ids_sort(stoa_rec_enc_t *e, size_t at, stoa_vec_t vec);
static void stoa_rec_cidrs_sort(stoa_rec_enc_t *e, size_t at, stoa_vec_t vec);
static stoa_rc_t stoa_rec_string_check(stoa_rec_enc_t *e,
    const stoa_rec_field_t *f, const stoa_json_val_t *val, char *s,
    size_t len);
static int stoa_rec_id_cmp(const void *a, const void *b);
static stoa_rc_t stoa_rec_sort(stoa_rec_enc_t *e, const stoa_rec_struct_t *def,
    size_t first, size_t n);
static int stoa_rec_name_cmp(const char *rec, const char *a, const char *b);
static stoa_ref_t stoa_rec_ref(const char *at);
static stoa_rc_t stoa_rec_array(stoa_rec_enc_t *e, const stoa_rec_field_t *f,
    const stoa_json_val_t *val, size_t at, size_t size, stoa_vec_t *vec);


stoa_rec_encode_t *const  stoa_rec_encoders[STOA_REC_T_MAX] = {
    [STOA_REC_T_ID]      = stoa_rec_id,
    [STOA_REC_T_STRING]  = stoa_rec_string,
    [STOA_REC_T_OBJECT]  = stoa_rec_object,
    [STOA_REC_T_BOOL]    = stoa_rec_bool,
    [STOA_REC_T_ENUM]    = stoa_rec_enum,
    [STOA_REC_T_U16]     = stoa_rec_number,
    [STOA_REC_T_U32]     = stoa_rec_number,
    [STOA_REC_T_U64]     = stoa_rec_number,
    [STOA_REC_T_I64]     = stoa_rec_number,
    [STOA_REC_T_HEX32]   = stoa_rec_hex32,
    [STOA_REC_T_IDS]     = stoa_rec_list,
    [STOA_REC_T_CIDRS]   = stoa_rec_list,
    [STOA_REC_T_STRUCTS] = stoa_rec_list,
    [STOA_REC_T_STRINGS] = stoa_rec_list,
    [STOA_REC_T_POLICY]  = stoa_rec_policy_type,
    [STOA_REC_T_CONFIG]  = stoa_rec_config,
    [STOA_REC_T_POLICIES] = stoa_rec_list,
};

/* What an item of an array is; size 0: its struct's. */

static const struct {
    stoa_rec_encode_t  *encode;
    size_t              size;
} stoa_rec_lists[STOA_REC_T_MAX] = {
    [STOA_REC_T_IDS]      = { stoa_rec_id, sizeof(stoa_id_t) },
    [STOA_REC_T_CIDRS]    = { stoa_rec_cidr, sizeof(stoa_cidr_t) },
    [STOA_REC_T_STRUCTS]  = { stoa_rec_item, 0 },
    [STOA_REC_T_STRINGS]  = { stoa_rec_string, sizeof(stoa_ref_t) },
    [STOA_REC_T_POLICIES] = { stoa_rec_item, 0 },
};


static stoa_rc_t
stoa_rec_id(stoa_rec_enc_t *e, const stoa_rec_field_t *f,
    const stoa_json_val_t *val, size_t at)
{
    (void) f;

    if (val->type != STOA_JSON_STRING
        || !stoa_id_valid(val->start + 1,
                          (size_t) (val->end - val->start) - 2))
    {
        return stoa_rec_wrong(e, val->start, "must be an id");
    }

    stoa_rec_put(e, at, val->start + 1, STOA_ID_LEN);

    return STOA_OK;
}


static stoa_rc_t
stoa_rec_string(stoa_rec_enc_t *e, const stoa_rec_field_t *f,
    const stoa_json_val_t *val, size_t at)
{
    size_t      i, len;
    char       *s;
    stoa_rc_t   rc;
    stoa_ref_t  ref;

    if (val->type != STOA_JSON_STRING) {
        return stoa_rec_wrong(e, val->start, "must be a string");
    }

    /* a place for it as written; unescaped it is never longer */

    rc = stoa_buf_reserve(e->out, (size_t) (val->end - val->start));
    if (rc != STOA_OK) {
        return rc;
    }

    s = e->out->data + e->out->len;
    len = stoa_json_unescape(val, s);
    s[len] = '\0';

    for (i = 0; f->lower && i < len; i++) {
        s[i] = (char) (s[i] >= 'A' && s[i] <= 'Z' ? s[i] | 0x20 : s[i]);
    }

    rc = stoa_rec_string_check(e, f, val, s, len);
    if (rc != STOA_OK) {
        return rc;
    }

    if (len) {
        ref.off = (uint32_t) e->out->len;
        ref.len = (uint32_t) len;
        e->out->len += len + 1;
        stoa_rec_put(e, at, &ref, sizeof(stoa_ref_t));
    }

    return STOA_OK;
}


static stoa_rc_t
stoa_rec_string_check(stoa_rec_enc_t *e, const stoa_rec_field_t *f,
    const stoa_json_val_t *val, char *s, size_t len)
{
    char  text[64];

    if (len > stoa_rec_str_max(f)) {
        (void) snprintf(text, sizeof(text), "must be at most %d bytes long",
                        (int) stoa_rec_str_max(f));
        return stoa_rec_wrong(e, val->start, text);
    }

    if (len < stoa_rec_str_min(f)) {
        return stoa_rec_wrong(e, val->start, "must not be empty");
    }

    if (memchr(s, '\0', len)) {
        return stoa_rec_wrong(e, val->start, "must not contain U+0000");
    }

    if (len && f->valid && !f->valid(s, len)) {
        return stoa_rec_wrong(e, val->start, f->must);
    }

    return STOA_OK;
}


/* An object that is kept as it is written. */

static stoa_rc_t
stoa_rec_object(stoa_rec_enc_t *e, const stoa_rec_field_t *f,
    const stoa_json_val_t *val, size_t at)
{
    stoa_ref_t  ref;

    (void) f;

    if (val->type != STOA_JSON_OBJECT) {
        return stoa_rec_wrong(e, val->start, "must be an object");
    }

    ref.off = (uint32_t) e->out->len;
    ref.len = (uint32_t) (val->end - val->start);

    stoa_buf_add(e->out, val->start, ref.len);
    stoa_buf_add(e->out, "", 1);

    if (e->out->rc != STOA_OK) {
        return e->out->rc;
    }

    stoa_rec_put(e, at, &ref, sizeof(stoa_ref_t));

    return STOA_OK;
}


static stoa_rc_t
stoa_rec_bool(stoa_rec_enc_t *e, const stoa_rec_field_t *f,
    const stoa_json_val_t *val, size_t at)
{
    if (val->type != STOA_JSON_TRUE && val->type != STOA_JSON_FALSE) {
        return stoa_rec_wrong(e, val->start, "must be true or false");
    }

    stoa_rec_put_number(e, f, at, val->type == STOA_JSON_TRUE);

    return STOA_OK;
}


static stoa_rc_t
stoa_rec_enum(stoa_rec_enc_t *e, const stoa_rec_field_t *f,
    const stoa_json_val_t *val, size_t at)
{
    char                    text[STOA_ERR_TEXT_MAX];
    size_t                  n;
    const stoa_rec_word_t  *w;

    for (w = f->words; w->word; w++) {
        if (stoa_json_eq(val, w->word, strlen(w->word))) {
            stoa_rec_put_number(e, f, at, w->value);
            return STOA_OK;
        }
    }

    n = (size_t) snprintf(text, sizeof(text), "must be one of");

    for (w = f->words; w->word && n < sizeof(text); w++) {
        n += (size_t) snprintf(text + n, sizeof(text) - n, "%s %s",
                               (w == f->words) ? "" : ",", w->word);
    }

    return stoa_rec_wrong(e, val->start, text);
}


static stoa_rc_t
stoa_rec_number(stoa_rec_enc_t *e, const stoa_rec_field_t *f,
    const stoa_json_val_t *val, size_t at)
{
    char     text[STOA_ERR_TEXT_MAX];
    int64_t  n;

    if (stoa_json_int(val, &n) != STOA_OK || n < f->min || n > f->max) {
        (void) snprintf(text, sizeof(text),
                        "must be a whole number, %lld..%lld",
                        (long long) f->min, (long long) f->max);
        return stoa_rec_wrong(e, val->start, text);
    }

    stoa_rec_put_number(e, f, at, n);

    return STOA_OK;
}


static stoa_rc_t
stoa_rec_hex32(stoa_rec_enc_t *e, const stoa_rec_field_t *f,
    const stoa_json_val_t *val, size_t at)
{
    uint8_t  bytes[32];

    (void) f;

    if (val->type != STOA_JSON_STRING || val->end - val->start != 64 + 2
        || !stoa_hex_decode(val->start + 1, 64, bytes))
    {
        return stoa_rec_wrong(e, val->start, "must be 64 hex digits");
    }

    stoa_rec_put(e, at, bytes, sizeof(bytes));

    return STOA_OK;
}


static stoa_rc_t
stoa_rec_list(stoa_rec_enc_t *e, const stoa_rec_field_t *f,
    const stoa_json_val_t *val, size_t at)
{
    bool                more;
    size_t              i, path, size;
    stoa_rc_t           rc;
    stoa_vec_t          vec;
    stoa_json_val_t     item;
    stoa_json_iter_t    it;
    stoa_rec_encode_t  *encode;

    encode = stoa_rec_lists[f->type].encode;
    size = stoa_rec_item_size(f);

    rc = stoa_rec_array(e, f, val, at, size, &vec);
    if (rc != STOA_OK || vec.n == 0) {
        return rc;
    }

    i = 0;

    for (more = stoa_json_first(val, &it, NULL, &item);
         more;
         more = stoa_json_next(&it, NULL, &item))
    {
        path = stoa_rec_enter(e, NULL, &i);

        rc = encode(e, f, &item, vec.off + i++ * size);
        if (rc != STOA_OK) {
            return rc;
        }

        e->path_len = path;
    }

    if (f->type == STOA_REC_T_IDS) {
        stoa_rec_ids_sort(e, at, vec);

    } else if (f->type == STOA_REC_T_CIDRS) {
        stoa_rec_cidrs_sort(e, at, vec);

    } else if (f->items && f->items->sorted) {
        return stoa_rec_sort(e, f->items, vec.off, vec.n);
    }

    return STOA_OK;
}


size_t
stoa_rec_item_size(const stoa_rec_field_t *f)
{
    return f->items ? f->items->size : stoa_rec_lists[f->type].size;
}


/* Each once. */

static void
stoa_rec_ids_sort(stoa_rec_enc_t *e, size_t at, stoa_vec_t vec)
{
    size_t      i, n;
    stoa_id_t  *ids;

    ids = (stoa_id_t *) (e->out->data + vec.off);
    qsort(ids, vec.n, sizeof(stoa_id_t), stoa_rec_id_cmp);

    for (i = 1, n = 1; i < vec.n; i++) {
        if (stoa_rec_id_cmp(&ids[i], &ids[n - 1]) != 0) {
            ids[n++] = ids[i];
        }
    }

    vec.n = (uint32_t) n;
    e->out->len = vec.off + n * sizeof(stoa_id_t);
    stoa_rec_put(e, at, &vec, sizeof(stoa_vec_t));
}


/* An address is looked for by bisection; done here, it is once per revision
 * and in no worker. */

static void
stoa_rec_cidrs_sort(stoa_rec_enc_t *e, size_t at, stoa_vec_t vec)
{
    vec.n = (uint32_t) stoa_cidrs_sort((stoa_cidr_t *)
                                       (e->out->data + vec.off), vec.n);
    e->out->len = vec.off + vec.n * sizeof(stoa_cidr_t);
    stoa_rec_put(e, at, &vec, sizeof(stoa_vec_t));
}


static int
stoa_rec_id_cmp(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(stoa_id_t));
}


static stoa_rc_t
stoa_rec_cidr(stoa_rec_enc_t *e, const stoa_rec_field_t *f,
    const stoa_json_val_t *val, size_t at)
{
    stoa_cidr_t  cidr;

    (void) f;

    if (val->type != STOA_JSON_STRING
        || stoa_cidr_parse(val->start + 1,
                           (size_t) (val->end - val->start) - 2, &cidr)
           != STOA_OK)
    {
        return stoa_rec_wrong(e, val->start, "must be an address or a range "
                              "like 10.0.0.0/8");
    }

    stoa_rec_put(e, at, &cidr, sizeof(stoa_cidr_t));

    return STOA_OK;
}


static stoa_rc_t
stoa_rec_item(stoa_rec_enc_t *e, const stoa_rec_field_t *f,
    const stoa_json_val_t *val, size_t at)
{
    if (val->type != STOA_JSON_OBJECT) {
        return stoa_rec_wrong(e, val->start, "must be an object");
    }

    return stoa_rec_struct(e, f->items, val, at);
}


static stoa_rc_t
stoa_rec_policy_type(stoa_rec_enc_t *e, const stoa_rec_field_t *f,
    const stoa_json_val_t *val, size_t at)
{
    const stoa_policy_type_t  *type;

    (void) f;

    type = NULL;

    if (val->type == STOA_JSON_STRING) {
        type = stoa_policy_find(val->start + 1,
                                (size_t) (val->end - val->start) - 2);
    }

    if (type == NULL) {
        return stoa_rec_wrong(e, val->start,
                              "is a policy that this gateway does not know");
    }

    stoa_rec_put(e, at, &type->id, sizeof(type->id));

    return STOA_OK;
}


/* What the member `type` of the same item says. */

static stoa_rc_t
stoa_rec_config(stoa_rec_enc_t *e, const stoa_rec_field_t *f,
    const stoa_json_val_t *val, size_t at)
{
    uint16_t                   id;
    stoa_rc_t                  rc;
    stoa_ref_t                 ref;
    const char                *field, *text;
    const stoa_policy_type_t  *type;

    memcpy(&id, e->out->data + at - f->offset
                + offsetof(stoa_rec_policy_t, type), sizeof(id));
    type = stoa_policy_by_id(id);

    if (type == NULL || val->type != STOA_JSON_OBJECT) {
        return stoa_rec_wrong(e, val->start, type ? "must be an object"
                              : "needs a type beside it");
    }

    rc = stoa_rec_align(e);

    if (rc == STOA_OK) {
        rc = stoa_buf_reserve(e->out, type->config->size);
    }

    if (rc != STOA_OK) {
        return rc;
    }

    ref.off = (uint32_t) e->out->len;
    ref.len = (uint32_t) type->config->size;
    memset(e->out->data + ref.off, 0, ref.len);
    e->out->len += ref.len;
    stoa_rec_put(e, at, &ref, sizeof(stoa_ref_t));

    rc = stoa_rec_struct(e, type->config, val, ref.off);

    if (rc != STOA_OK || type->check == NULL) {
        return rc;
    }

    text = type->check(e->out->data, e->out->data + ref.off, &field);

    if (text) {
        (void) stoa_rec_enter(e, field, NULL);
        return stoa_rec_wrong(e, val->start, text);
    }

    return STOA_OK;
}


/* Sorted by name: a tool is found by bisection. */

static stoa_rc_t
stoa_rec_sort(stoa_rec_enc_t *e, const stoa_rec_struct_t *def, size_t first,
    size_t n)
{
    char    tmp[STOA_REC_SORT_SIZE], text[STOA_ERR_TEXT_MAX];
    char   *rec, *items, *prev;
    size_t  i, j, by, gap, size;

    rec = e->out->data;
    items = rec + first;
    size = def->size;
    by = def->sort;

    if (size > sizeof(tmp)) {
        return STOA_ERROR;
    }

    for (gap = n / 2; gap > 0; gap /= 2) {
        for (i = gap; i < n; i++) {
            memcpy(tmp, items + i * size, size);

            for (j = i; j >= gap; j -= gap) {
                prev = items + (j - gap) * size;

                if (stoa_rec_name_cmp(rec, prev + by, tmp + by) <= 0) {
                    break;
                }

                memcpy(items + j * size, prev, size);
            }

            memcpy(items + j * size, tmp, size);
        }
    }

    for (i = 1; i < n; i++) {
        prev = items + (i - 1) * size + by;

        if (stoa_rec_name_cmp(rec, prev, prev + size) == 0) {
            (void) snprintf(text, sizeof(text), "has the name \"%s\" twice",
                            rec + stoa_rec_ref(prev).off);
            return stoa_rec_wrong(e, e->json, text);
        }
    }

    return STOA_OK;
}


static int
stoa_rec_name_cmp(const char *rec, const char *a, const char *b)
{
    int         rc;
    stoa_ref_t  x, y;

    x = stoa_rec_ref(a);
    y = stoa_rec_ref(b);

    rc = memcmp(rec + x.off, rec + y.off, x.len < y.len ? x.len : y.len);

    return rc ? rc : (x.len > y.len) - (x.len < y.len);
}


static stoa_ref_t
stoa_rec_ref(const char *at)
{
    stoa_ref_t  ref;

    memcpy(&ref, at, sizeof(stoa_ref_t));

    return ref;
}


/* The array's place, all zero, and its reference. */

static stoa_rc_t
stoa_rec_array(stoa_rec_enc_t *e, const stoa_rec_field_t *f,
    const stoa_json_val_t *val, size_t at, size_t size, stoa_vec_t *vec)
{
    bool              more;
    char              text[64];
    size_t            n;
    stoa_rc_t         rc;
    stoa_json_val_t   item;
    stoa_json_iter_t  it;

    if (val->type != STOA_JSON_ARRAY) {
        return stoa_rec_wrong(e, val->start, "must be an array");
    }

    n = 0;

    for (more = stoa_json_first(val, &it, NULL, &item);
         more;
         more = stoa_json_next(&it, NULL, &item))
    {
        n++;
    }

    if (n < (size_t) f->min || n > (size_t) f->max) {
        (void) snprintf(text, sizeof(text), "must have %d..%d items",
                        (int) f->min, (int) f->max);
        return stoa_rec_wrong(e, val->start, text);
    }

    vec->n = (uint32_t) n;
    vec->off = 0;

    if (n == 0) {
        return STOA_OK;
    }

    rc = stoa_rec_align(e);
    if (rc != STOA_OK) {
        return rc;
    }

    rc = stoa_buf_reserve(e->out, n * size);
    if (rc != STOA_OK) {
        return rc;
    }

    vec->off = (uint32_t) e->out->len;
    memset(e->out->data + vec->off, 0, n * size);
    e->out->len += n * size;

    stoa_rec_put(e, at, vec, sizeof(stoa_vec_t));

    return STOA_OK;
}
