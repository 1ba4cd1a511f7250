/*
 * The encoder of records: JSON body to flat block.  What a body consists of
 * is in stoa_rec_table.c, how a member is written in stoa_rec_types.c.
 */

#include <stdio.h>
#include <string.h>

#include "stoa_key.h"
#include "stoa_mcp_param.h"
#include "stoa_rec_table.h"
#include "stoa_policy.h"


static stoa_rc_t stoa_rec_whole(stoa_rec_enc_t *e, stoa_rec_kind_e kind,
    size_t len, uint64_t rev);
static size_t stoa_rec_members(const stoa_json_val_t *object);
static stoa_rc_t stoa_rec_requires(stoa_rec_enc_t *e,
    const stoa_json_val_t *root);
static stoa_rc_t stoa_rec_body(stoa_rec_enc_t *e, stoa_rec_kind_e kind,
    const stoa_json_val_t *root);
static stoa_rc_t stoa_rec_member(stoa_rec_enc_t *e,
    const stoa_rec_field_t *f, const stoa_json_val_t *val, size_t base);
static stoa_rc_t stoa_rec_absent(stoa_rec_enc_t *e,
    const stoa_rec_struct_t *def, const stoa_json_val_t *object, size_t base,
    uint64_t seen);
static const stoa_rec_field_t *stoa_rec_field(const stoa_rec_struct_t *def,
    const stoa_json_val_t *key);
static uint64_t stoa_rec_layout_struct(uint64_t h,
    const stoa_rec_struct_t *def);
static uint64_t stoa_rec_layout_sum(uint64_t h, const void *data, size_t len);
static size_t stoa_rec_enter_key(stoa_rec_enc_t *e,
    const stoa_json_val_t *key);
static stoa_rc_t stoa_rec_definition(stoa_rec_enc_t *e, const char *split,
    const stoa_json_val_t *root);
static bool stoa_rec_hint(const stoa_json_val_t *def, const char *name);


stoa_rec_kind_e
stoa_rec_kind(const char *name, size_t len)
{
    int          kind;
    const char  *s;

    for (kind = 1; kind < STOA_REC_KIND_MAX; kind++) {
        s = stoa_rec_structs[kind].name;

        if (strlen(s) == len && memcmp(s, name, len) == 0) {
            return (stoa_rec_kind_e) kind;
        }
    }

    return (stoa_rec_kind_e) 0;
}


const char *
stoa_rec_kind_name(stoa_rec_kind_e kind)
{
    if ((int) kind < 1 || kind >= STOA_REC_KIND_MAX) {
        return "unknown";
    }

    return stoa_rec_structs[kind].name;
}


stoa_rc_t
stoa_rec_encode(stoa_rec_kind_e kind, const char *json, size_t len,
    uint64_t rev, stoa_buf_t *out, stoa_err_t *err)
{
    stoa_rec_enc_t  e = { out, err, json, false, 0, "" };

    return stoa_rec_whole(&e, kind, len, rev);
}


stoa_rc_t
stoa_rec_withhold(stoa_rec_kind_e kind, const char *json, size_t len,
    uint64_t rev, stoa_buf_t *out)
{
    stoa_rec_enc_t  e = { out, NULL, json, true, 0, "" };

    return stoa_rec_whole(&e, kind, len, rev);
}


static stoa_rc_t
stoa_rec_whole(stoa_rec_enc_t *e, stoa_rec_kind_e kind, size_t len,
    uint64_t rev)
{
    stoa_rc_t        rc;
    stoa_buf_t      *out;
    stoa_rec_hdr_t   hdr;
    stoa_json_val_t  root;

    out = e->out;
    stoa_buf_reset(out);

    if ((int) kind < 1 || kind >= STOA_REC_KIND_MAX) {
        return stoa_rec_wrong(e, e->json, "is of an unknown kind");
    }

    if (len > STOA_RECORD_MAX) {
        return stoa_rec_wrong(e, e->json, "is too long");
    }

    if (!stoa_json_plain(e->json, len, NULL, NULL, &root)) {
        rc = stoa_json_check(e->json, len, STOA_JSON_DEPTH_MAX, &root,
                             e->err);
        if (rc != STOA_OK) {
            return rc;
        }
    }

    if (root.type != STOA_JSON_OBJECT) {
        return stoa_rec_wrong(e, root.start, "must be an object");
    }

    rc = e->withhold ? STOA_OK : stoa_rec_requires(e, &root);

    if (rc == STOA_OK) {
        rc = stoa_rec_body(e, kind, &root);
    }

    if (rc != STOA_OK) {
        return rc;
    }

    memset(&hdr, 0, sizeof(stoa_rec_hdr_t));
    hdr.withheld = e->withhold;
    hdr.magic = STOA_REC_MAGIC;
    hdr.layout = stoa_rec_layout();
    hdr.kind = (uint16_t) kind;
    hdr.size = (uint32_t) out->len;
    hdr.rev = rev;

    stoa_rec_put(e, 0, &hdr, sizeof(stoa_rec_hdr_t));

    return STOA_OK;
}


static size_t
stoa_rec_members(const stoa_json_val_t *object)
{
    bool              more;
    size_t            n;
    stoa_json_val_t   val;
    stoa_json_iter_t  it;

    n = 0;

    for (more = stoa_json_first(object, &it, NULL, &val);
         more;
         more = stoa_json_next(&it, NULL, &val))
    {
        n++;
    }

    return n;
}


/*
 * "requires": [{"id": 17, "version": 2}]: what whoever serves the record has
 * to know.  A member that is unknown is ignored, this one is there so that an
 * older gateway refuses what it would serve without its protection.
 */

static stoa_rc_t
stoa_rec_requires(stoa_rec_enc_t *e, const stoa_json_val_t *root)
{
    bool                       more;
    char                       text[STOA_ERR_TEXT_MAX];
    size_t                     i;
    int64_t                    id, version;
    stoa_json_val_t            list, item, v;
    stoa_json_iter_t           it;
    const stoa_policy_type_t  *type;

    if (!stoa_json_get(root, "requires", &list)
        || list.type == STOA_JSON_NULL)
    {
        return STOA_OK;
    }

    (void) stoa_rec_enter(e, "requires", NULL);

    if (list.type != STOA_JSON_ARRAY) {
        return stoa_rec_wrong(e, list.start, "must be an array");
    }

    i = 0;

    for (more = stoa_json_first(&list, &it, NULL, &item);
         more;
         more = stoa_json_next(&it, NULL, &item), i++)
    {
        if (item.type != STOA_JSON_OBJECT
            || !stoa_json_get(&item, "id", &v)
            || stoa_json_int(&v, &id) != STOA_OK
            || !stoa_json_get(&item, "version", &v)
            || stoa_json_int(&v, &version) != STOA_OK
            || stoa_rec_members(&item) != 2)
        {
            return stoa_rec_wrong(e, item.start, "must have an id and a "
                                  "version, and nothing else");
        }

        type = id > 0 && id <= UINT16_MAX ? stoa_policy_by_id((unsigned) id)
                                          : NULL;

        if (type == NULL || version < 1 || version > type->version) {
            (void) snprintf(text, sizeof(text), "needs policy %lld version "
                            "%lld, which this gateway does not know",
                            (long long) id, (long long) version);
            return stoa_rec_wrong(e, item.start, text);
        }
    }

    e->path_len = 0;

    return STOA_OK;
}


stoa_rc_t
stoa_rec_policy(const stoa_policy_type_t *type, const char *json, size_t len,
    stoa_buf_t *out, stoa_err_t *err)
{
    stoa_rc_t        rc;
    const char      *field, *text;
    stoa_rec_enc_t   e = { out, err, json, false, 0, "" };
    stoa_json_val_t  root;

    rc = stoa_json_check(json, len, STOA_JSON_DEPTH_MAX, &root, err);
    if (rc != STOA_OK) {
        return rc;
    }

    if (root.type != STOA_JSON_OBJECT) {
        return stoa_rec_wrong(&e, root.start, "must be an object");
    }

    stoa_buf_reset(out);

    rc = stoa_buf_reserve(out, type->config->size);
    if (rc != STOA_OK) {
        return rc;
    }

    memset(out->data, 0, type->config->size);
    out->len = type->config->size;

    rc = stoa_rec_struct(&e, type->config, &root, 0);

    if (rc != STOA_OK || type->check == NULL) {
        return rc;
    }

    text = type->check(out->data, out->data, &field);

    if (text) {
        (void) stoa_rec_enter(&e, field, NULL);
        return stoa_rec_wrong(&e, root.start, text);
    }

    return STOA_OK;
}


stoa_rc_t
stoa_rec_policy_check(const stoa_policy_type_t *type, const char *json,
    size_t len, stoa_err_t *err)
{
    stoa_rc_t   rc;
    stoa_buf_t  b;

    stoa_buf_init(&b, STOA_RECORD_MAX);
    rc = stoa_rec_policy(type, json, len, &b, err);
    stoa_buf_free(&b);

    return rc;
}


static stoa_rc_t
stoa_rec_body(stoa_rec_enc_t *e, stoa_rec_kind_e kind,
    const stoa_json_val_t *root)
{
    stoa_rc_t                 rc;
    const stoa_rec_struct_t  *def;

    def = &stoa_rec_structs[kind];

    rc = stoa_buf_reserve(e->out, def->size);
    if (rc != STOA_OK) {
        return rc;
    }

    memset(e->out->data, 0, def->size);
    e->out->len = def->size;

    rc = stoa_rec_struct(e, def, root, 0);

    if (rc == STOA_OK && def->split) {
        rc = stoa_rec_definition(e, def->split, root);
    }

    return (rc == STOA_OK) ? stoa_rec_align(e) : rc;
}


/* Fills the struct at base, whose bytes are zero, from an object. */

stoa_rc_t
stoa_rec_struct(stoa_rec_enc_t *e, const stoa_rec_struct_t *def,
    const stoa_json_val_t *object, size_t base)
{
    bool                     more;
    uint64_t                 seen;
    stoa_rc_t                rc;
    stoa_json_val_t          key, val, config;
    stoa_json_iter_t         it;
    const stoa_rec_field_t  *f, *last;

    seen = 0;
    last = NULL;

    for (more = stoa_json_first(object, &it, &key, &val);
         more;
         more = stoa_json_next(&it, &key, &val))
    {
        f = stoa_rec_field(def, &key);

        if (f == NULL && def->strict) {
            (void) stoa_rec_enter_key(e, &key);
            return stoa_rec_wrong(e, key.start, "is not known");
        }

        /* unknown ones are of a newer control plane; null says absent */

        if (f == NULL || val.type == STOA_JSON_NULL
            || (e->withhold && f->type == STOA_REC_T_POLICIES))
        {
            continue;
        }

        seen |= UINT64_C(1) << (f - def->fields);

        /* it is laid out by what its siblings say */

        if (f->type == STOA_REC_T_CONFIG) {
            last = f;
            config = val;
            continue;
        }

        rc = stoa_rec_member(e, f, &val, base);
        if (rc != STOA_OK) {
            return rc;
        }
    }

    if (last) {
        rc = stoa_rec_member(e, last, &config, base);
        if (rc != STOA_OK) {
            return rc;
        }
    }

    return stoa_rec_absent(e, def, object, base, seen);
}


static stoa_rc_t
stoa_rec_member(stoa_rec_enc_t *e, const stoa_rec_field_t *f,
    const stoa_json_val_t *val, size_t base)
{
    size_t     path;
    stoa_rc_t  rc;

    path = stoa_rec_enter(e, f->name.data, NULL);

    rc = stoa_rec_encoders[f->type](e, f, val, base + f->offset);
    if (rc != STOA_OK) {
        return rc;
    }

    if (f->flag) {
        e->out->data[base + f->flag] = 1;
    }

    e->path_len = path;

    return STOA_OK;
}


static stoa_rc_t
stoa_rec_absent(stoa_rec_enc_t *e, const stoa_rec_struct_t *def,
    const stoa_json_val_t *object, size_t base, uint64_t seen)
{
    size_t                   i;
    const stoa_rec_field_t  *f;

    for (i = 0; i < def->nfields; i++) {
        f = &def->fields[i];

        if (seen >> i & 1) {
            continue;
        }

        if (f->required) {
            (void) stoa_rec_enter(e, f->name.data, NULL);
            return stoa_rec_wrong(e, object->start, "is missing");
        }

        if (f->def) {
            stoa_rec_put_number(e, f, base + f->offset, f->def);
        }
    }

    return STOA_OK;
}


static const stoa_rec_field_t *
stoa_rec_field(const stoa_rec_struct_t *def, const stoa_json_val_t *key)
{
    size_t  i;

    for (i = 0; i < def->nfields; i++) {
        if (stoa_json_eq(key, def->fields[i].name.data,
                         def->fields[i].name.len))
        {
            return &def->fields[i];
        }
    }

    return NULL;
}


uint32_t
stoa_rec_layout(void)
{
    int                        kind;
    size_t                     i;
    uint32_t                   layout;
    uint64_t                   h;
    const stoa_policy_type_t  *type;

    static uint32_t            made;

    /* threads that come at once find the same */

    layout = __atomic_load_n(&made, __ATOMIC_RELAXED);

    if (layout) {
        return layout;
    }

    h = sizeof(stoa_rec_hdr_t);

    for (kind = 1; kind < STOA_REC_KIND_MAX; kind++) {
        h = stoa_rec_layout_struct(h, &stoa_rec_structs[kind]);
    }

    for (i = 0; (type = stoa_policy_at(i)) != NULL; i++) {
        h = stoa_rec_layout_sum(h, &type->id, sizeof(type->id));
        h = stoa_rec_layout_sum(h, &type->version, sizeof(type->version));
        h = stoa_rec_layout_struct(h, type->config);
    }

    layout = (uint32_t) (h ^ h >> 32) | 1;
    __atomic_store_n(&made, layout, __ATOMIC_RELAXED);

    return layout;
}


static uint64_t
stoa_rec_layout_struct(uint64_t h, const stoa_rec_struct_t *def)
{
    size_t                   i;
    int64_t                  row[7];
    const stoa_rec_word_t   *w;
    const stoa_rec_field_t  *f;

    for (i = 0; i < def->nfields; i++) {
        f = &def->fields[i];

        row[0] = f->type;
        row[1] = f->offset;
        row[2] = f->flag;
        row[3] = f->min;
        row[4] = f->max;
        row[5] = f->required;
        row[6] = (int64_t) def->size;

        h = stoa_rec_layout_sum(h, f->name.data, f->name.len);
        h = stoa_rec_layout_sum(h, row, sizeof(row));

        for (w = f->words; w && w->word; w++) {
            h = stoa_rec_layout_sum(h, w->word, strlen(w->word));
            h = stoa_rec_layout_sum(h, &w->value, 1);
        }

        if (f->items) {
            h = stoa_rec_layout_struct(h, f->items);
        }
    }

    return h;
}


static uint64_t
stoa_rec_layout_sum(uint64_t h, const void *data, size_t len)
{
    return stoa_hash64(data, len, h);
}


/*
 * Splits a definition around the value of its name, so that a gateway can
 * rename it without parsing.
 */

static stoa_rc_t
stoa_rec_definition(stoa_rec_enc_t *e, const char *split,
    const stoa_json_val_t *root)
{
    char              text[STOA_ERR_TEXT_MAX];
    unsigned          n;
    stoa_ref_t        head, tail;
    stoa_json_val_t   def, name;
    stoa_rec_item_t  *item;
    stoa_mcp_param_t  params[STOA_MCP_PARAMS_MAX];

    (void) stoa_rec_enter(e, "definition", NULL);

    if (!stoa_json_get(root, "definition", &def)
        || !stoa_json_get(&def, split, &name)
        || name.type != STOA_JSON_STRING)
    {
        (void) snprintf(text, sizeof(text), "must have a %s", split);
        return stoa_rec_wrong(e, root->start, text);
    }

    item = (stoa_rec_item_t *) e->out->data;

    head.off = item->definition.off;
    head.len = (uint32_t) (name.start - def.start);
    tail.off = head.off + (uint32_t) (name.end - def.start);
    tail.len = (uint32_t) (def.end - name.end);

    item->definition_head = head;
    item->definition_tail = tail;

    /* most have none, and a search is quicker than a walk */

    if (memmem(def.start, (size_t) (def.end - def.start), "\"x-mcp-header\"",
               14)
        != NULL)
    {
        item->params = (uint8_t) stoa_mcp_params(&def, params, &n);
    }

    item->repeats = stoa_rec_hint(&def, "readOnlyHint")
                    || stoa_rec_hint(&def, "idempotentHint");

    return STOA_OK;
}


static bool
stoa_rec_hint(const stoa_json_val_t *def, const char *name)
{
    stoa_json_val_t  v;

    return stoa_json_get(def, "annotations", &v)
           && v.type == STOA_JSON_OBJECT
           && stoa_json_get(&v, name, &v) && v.type == STOA_JSON_TRUE;
}


/* To the next multiple of 8, with zeros. */

stoa_rc_t
stoa_rec_align(stoa_rec_enc_t *e)
{
    static const char  zeros[STOA_REC_ALIGN];

    stoa_buf_add(e->out, zeros,
                 (STOA_REC_ALIGN - e->out->len % STOA_REC_ALIGN)
                 % STOA_REC_ALIGN);

    return e->out->rc;
}


void
stoa_rec_put(stoa_rec_enc_t *e, size_t at, const void *data, size_t len)
{
    memcpy(e->out->data + at, data, len);
}


void
stoa_rec_put_number(stoa_rec_enc_t *e, const stoa_rec_field_t *f, size_t at,
    int64_t n)
{
    uint8_t   u8;
    uint16_t  u16;
    uint32_t  u32;

    switch (f->type) {

    case STOA_REC_T_U16:
        u16 = (uint16_t) n;
        stoa_rec_put(e, at, &u16, sizeof(u16));
        return;

    case STOA_REC_T_U32:
        u32 = (uint32_t) n;
        stoa_rec_put(e, at, &u32, sizeof(u32));
        return;

    case STOA_REC_T_U64:
    case STOA_REC_T_I64:
        stoa_rec_put(e, at, &n, sizeof(n));
        return;

    default: /* STOA_REC_T_BOOL, STOA_REC_T_ENUM */
        u8 = (uint8_t) n;
        stoa_rec_put(e, at, &u8, sizeof(u8));
    }
}


/* Refuses the body because of what is at a place of it. */

stoa_rc_t
stoa_rec_wrong(stoa_rec_enc_t *e, const char *at, const char *text)
{
    e->path[e->path_len] = '\0';

    stoa_err_at(e->err, e->json, (size_t) (at - e->json));

    return stoa_err_set(e->err, e->path, "%s", text);
}


/* Goes into a member whose name is the input's. */

static size_t
stoa_rec_enter_key(stoa_rec_enc_t *e, const stoa_json_val_t *key)
{
    char    name[64];
    size_t  i, len;

    len = (size_t) (key->end - key->start) - 2;
    len = len < sizeof(name) ? len : sizeof(name) - 1;

    for (i = 0; i < len; i++) {
        name[i] = key->start[i + 1];
        name[i] = (char) (name[i] > ' ' && name[i] < 0x7f ? name[i] : '?');
    }

    name[len] = '\0';

    return stoa_rec_enter(e, name, NULL);
}


/* Goes into a member, or an item; returns the length to go back to. */

size_t
stoa_rec_enter(stoa_rec_enc_t *e, const char *member, const size_t *item)
{
    char    item_text[24];
    size_t  was, len, room;

    was = e->path_len;
    room = sizeof(e->path) - 1 - was;

    if (item) {
        (void) snprintf(item_text, sizeof(item_text), "[%u]",
                        (unsigned) *item);
        member = item_text;

    } else if (was && room) {
        e->path[e->path_len++] = '.';
        room--;
    }

    /* each member of each row comes here: no snprintf() */

    len = strlen(member);
    len = len < room ? len : room;

    memcpy(e->path + e->path_len, member, len);
    e->path_len += len;
    e->path[e->path_len] = '\0';

    return was;
}


bool
stoa_rec_has_id(const void *rec, stoa_vec_t vec, const stoa_id_t *id)
{
    int               cmp;
    uint32_t          low, high, mid;
    const stoa_id_t  *ids;

    ids = stoa_rec_vec(rec, vec, stoa_id_t);
    low = 0;
    high = vec.n;

    while (low < high) {
        mid = low + (high - low) / 2;
        cmp = memcmp(&ids[mid], id, sizeof(stoa_id_t));

        if (cmp == 0) {
            return true;
        }

        if (cmp < 0) {
            low = mid + 1;

        } else {
            high = mid;
        }
    }

    return false;
}
