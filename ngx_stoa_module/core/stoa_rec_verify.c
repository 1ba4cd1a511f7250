/*
 * Is a block a record?  Before anything of it is trusted.
 */

#include <string.h>

#include "stoa_key.h"
#include "stoa_rec_table.h"
#include "stoa_policy.h"


typedef struct {
    const char  *data;
    size_t       size;
    size_t       fixed;             /* of the kind's struct, at the start  */
} stoa_rec_view_t;

typedef bool stoa_rec_verify_t(const stoa_rec_view_t *v,
    const stoa_rec_field_t *f, size_t at);


static bool stoa_rec_verify_struct(const stoa_rec_view_t *v,
    const stoa_rec_struct_t *def, size_t base);
static stoa_rec_verify_t  stoa_rec_verify_id, stoa_rec_verify_string,
    stoa_rec_verify_bool, stoa_rec_verify_enum, stoa_rec_verify_number,
    stoa_rec_verify_hex32, stoa_rec_verify_list, stoa_rec_verify_cidr,
    stoa_rec_verify_item, stoa_rec_verify_policy, stoa_rec_verify_config;
static bool stoa_rec_verify_array(const stoa_rec_view_t *v,
    const stoa_rec_field_t *f, size_t at, size_t size, stoa_vec_t *vec);
static bool stoa_rec_verify_definition(const stoa_rec_view_t *v);


static stoa_rec_verify_t *const  stoa_rec_verifiers[STOA_REC_T_MAX] = {
    [STOA_REC_T_ID]      = stoa_rec_verify_id,
    [STOA_REC_T_STRING]  = stoa_rec_verify_string,
    [STOA_REC_T_OBJECT]  = stoa_rec_verify_string,
    [STOA_REC_T_BOOL]    = stoa_rec_verify_bool,
    [STOA_REC_T_ENUM]    = stoa_rec_verify_enum,
    [STOA_REC_T_U16]     = stoa_rec_verify_number,
    [STOA_REC_T_U32]     = stoa_rec_verify_number,
    [STOA_REC_T_U64]     = stoa_rec_verify_number,
    [STOA_REC_T_I64]     = stoa_rec_verify_number,
    [STOA_REC_T_HEX32]   = stoa_rec_verify_hex32,
    [STOA_REC_T_IDS]     = stoa_rec_verify_list,
    [STOA_REC_T_CIDRS]   = stoa_rec_verify_list,
    [STOA_REC_T_STRUCTS] = stoa_rec_verify_list,
    [STOA_REC_T_STRINGS] = stoa_rec_verify_list,
    [STOA_REC_T_POLICY]  = stoa_rec_verify_policy,
    [STOA_REC_T_CONFIG]  = stoa_rec_verify_config,
    [STOA_REC_T_POLICIES] = stoa_rec_verify_list,
};

/* Of what is in an array. */

static stoa_rec_verify_t *const  stoa_rec_verify_in[STOA_REC_T_MAX] = {
    [STOA_REC_T_IDS]      = stoa_rec_verify_id,
    [STOA_REC_T_CIDRS]    = stoa_rec_verify_cidr,
    [STOA_REC_T_STRUCTS]  = stoa_rec_verify_item,
    [STOA_REC_T_STRINGS]  = stoa_rec_verify_string,
    [STOA_REC_T_POLICIES] = stoa_rec_verify_item,
};


bool
stoa_rec_valid(const void *data, size_t len, stoa_rec_kind_e kind)
{
    stoa_rec_hdr_t  hdr;

    if ((int) kind < 1 || kind >= STOA_REC_KIND_MAX
        || len < stoa_rec_structs[kind].size)
    {
        return false;
    }

    memcpy(&hdr, data, sizeof(stoa_rec_hdr_t));

    return hdr.magic == STOA_REC_MAGIC
           && hdr.layout == stoa_rec_layout()
           && hdr.kind == (uint16_t) kind
           && hdr.size == len;
}


bool
stoa_rec_verify(const void *data, size_t len, stoa_rec_kind_e kind)
{
    stoa_rec_view_t  v;

    if (!stoa_rec_valid(data, len, kind) || len % STOA_REC_ALIGN) {
        return false;
    }

    v.data = data;
    v.size = len;
    v.fixed = stoa_rec_structs[kind].size;

    return stoa_rec_verify_struct(&v, &stoa_rec_structs[kind], 0)
           && (stoa_rec_structs[kind].split == NULL
               || stoa_rec_verify_definition(&v));
}


static bool
stoa_rec_verify_struct(const stoa_rec_view_t *v, const stoa_rec_struct_t *def,
    size_t base)
{
    size_t                   i;
    const stoa_rec_field_t  *f;

    for (i = 0; i < def->nfields; i++) {
        f = &def->fields[i];

        if (!stoa_rec_verifiers[f->type](v, f, base + f->offset)) {
            return false;
        }

        if (f->flag && (unsigned char) v->data[base + f->flag] > 1) {
            return false;
        }
    }

    return true;
}


static bool
stoa_rec_verify_id(const stoa_rec_view_t *v, const stoa_rec_field_t *f,
    size_t at)
{
    static const char  none[STOA_ID_LEN];

    return (f->type == STOA_REC_T_ID && !f->required
            && memcmp(v->data + at, none, STOA_ID_LEN) == 0)
           || stoa_id_valid(v->data + at, STOA_ID_LEN);
}


static bool
stoa_rec_verify_string(const stoa_rec_view_t *v, const stoa_rec_field_t *f,
    size_t at)
{
    stoa_ref_t  ref;

    memcpy(&ref, v->data + at, sizeof(stoa_ref_t));

    if (ref.len == 0) {
        return stoa_rec_str_min(f) == 0 && ref.off == 0;
    }

    return ref.len <= stoa_rec_str_max(f)
           && ref.off >= v->fixed
           && ref.off < v->size
           && ref.len < v->size - ref.off
           && v->data[ref.off + ref.len] == '\0';
}


static bool
stoa_rec_verify_bool(const stoa_rec_view_t *v, const stoa_rec_field_t *f,
    size_t at)
{
    (void) f;

    return (unsigned char) v->data[at] <= 1;
}


static bool
stoa_rec_verify_enum(const stoa_rec_view_t *v, const stoa_rec_field_t *f,
    size_t at)
{
    const stoa_rec_word_t  *w;

    for (w = f->words; w->word; w++) {
        if (w->value == (unsigned char) v->data[at]) {
            return true;
        }
    }

    return false;
}


static bool
stoa_rec_verify_number(const stoa_rec_view_t *v, const stoa_rec_field_t *f,
    size_t at)
{
    int64_t   n;
    uint16_t  u16;
    uint32_t  u32;

    switch (f->type) {

    case STOA_REC_T_U16:
        memcpy(&u16, v->data + at, sizeof(u16));
        n = u16;
        break;

    case STOA_REC_T_U32:
        memcpy(&u32, v->data + at, sizeof(u32));
        n = u32;
        break;

    default:
        memcpy(&n, v->data + at, sizeof(n));
    }

    return n >= f->min && n <= f->max;
}


static bool
stoa_rec_verify_hex32(const stoa_rec_view_t *v, const stoa_rec_field_t *f,
    size_t at)
{
    (void) v;
    (void) f;
    (void) at;

    /* any 32 bytes, and they lie in the struct */

    return true;
}


static bool
stoa_rec_verify_list(const stoa_rec_view_t *v, const stoa_rec_field_t *f,
    size_t at)
{
    size_t       size;
    uint32_t     i;
    stoa_vec_t   vec;
    const char  *item;

    size = stoa_rec_item_size(f);

    if (!stoa_rec_verify_array(v, f, at, size, &vec)) {
        return false;
    }

    for (i = 0; i < vec.n; i++) {
        item = v->data + vec.off + i * size;

        if (!stoa_rec_verify_in[f->type](v, f, vec.off + i * size)
            || (f->type == STOA_REC_T_IDS && i
                && memcmp(item - size, item, size) >= 0))
        {
            return false;
        }
    }

    return true;
}


static bool
stoa_rec_verify_cidr(const stoa_rec_view_t *v, const stoa_rec_field_t *f,
    size_t at)
{
    stoa_cidr_t  c;

    (void) f;

    memcpy(&c, v->data + at, sizeof(stoa_cidr_t));

    return (c.family == 4 && c.bits <= 32) || (c.family == 6 && c.bits <= 128);
}


static bool
stoa_rec_verify_item(const stoa_rec_view_t *v, const stoa_rec_field_t *f,
    size_t at)
{
    return stoa_rec_verify_struct(v, f->items, at);
}


static bool
stoa_rec_verify_policy(const stoa_rec_view_t *v, const stoa_rec_field_t *f,
    size_t at)
{
    uint16_t  id;

    (void) f;

    memcpy(&id, v->data + at, sizeof(id));

    return stoa_policy_by_id(id) != NULL;
}


static bool
stoa_rec_verify_config(const stoa_rec_view_t *v, const stoa_rec_field_t *f,
    size_t at)
{
    uint16_t                   id;
    stoa_ref_t                 ref;
    const stoa_policy_type_t  *type;

    memcpy(&ref, v->data + at, sizeof(ref));
    memcpy(&id, v->data + at - f->offset + offsetof(stoa_rec_policy_t, type),
           sizeof(id));
    type = stoa_policy_by_id(id);

    return type != NULL
           && ref.len == type->config->size
           && ref.off % STOA_REC_ALIGN == 0
           && ref.off >= v->fixed
           && ref.off <= v->size
           && ref.len <= v->size - ref.off
           && stoa_rec_verify_struct(v, type->config, ref.off);
}


static bool
stoa_rec_verify_array(const stoa_rec_view_t *v, const stoa_rec_field_t *f,
    size_t at, size_t size, stoa_vec_t *vec)
{
    memcpy(vec, v->data + at, sizeof(stoa_vec_t));

    if (vec->n < (uint64_t) f->min || vec->n > (uint64_t) f->max) {
        return false;
    }

    if (vec->n == 0) {
        return vec->off == 0;
    }

    return vec->off % STOA_REC_ALIGN == 0
           && vec->off >= v->fixed
           && vec->off <= v->size
           && vec->n <= (v->size - vec->off) / size;
}


/* Head and tail are parts of the definition, in this order. */

static bool
stoa_rec_verify_definition(const stoa_rec_view_t *v)
{
    stoa_ref_t       all, head, tail;
    stoa_rec_item_t  item;

    memcpy(&item, v->data, sizeof(stoa_rec_item_t));

    all = item.definition;
    head = item.definition_head;
    tail = item.definition_tail;

    return head.off == all.off
           && head.len <= all.len
           && tail.off >= head.off + head.len
           && tail.off - all.off <= all.len
           && tail.len == all.len - (tail.off - all.off);
}
