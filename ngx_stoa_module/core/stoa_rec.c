/*
 * The encoder of records: JSON body to flat block.  What a body consists of
 * is in stoa_rec_table.c, how a member is written in stoa_rec_types.c.
 */

#include <stdio.h>
#include <string.h>

#include "stoa_rec_table.h"


static stoa_rc_t stoa_rec_body(stoa_rec_enc_t *e, stoa_rec_kind_e kind,
    const stoa_json_val_t *root);
static stoa_rc_t stoa_rec_absent(stoa_rec_enc_t *e,
    const stoa_rec_struct_t *def, const stoa_json_val_t *object, size_t base,
    uint64_t seen);
static const stoa_rec_field_t *stoa_rec_field(const stoa_rec_struct_t *def,
    const stoa_json_val_t *key);
static stoa_rc_t stoa_rec_definition(stoa_rec_enc_t *e,
    const stoa_json_val_t *root);


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
    stoa_rc_t        rc;
    stoa_rec_enc_t   e;
    stoa_rec_hdr_t   hdr;
    stoa_json_val_t  root;

    e.out = out;
    e.err = err;
    e.json = json;
    e.path_len = 0;
    e.path[0] = '\0';

    stoa_buf_reset(out);

    if ((int) kind < 1 || kind >= STOA_REC_KIND_MAX) {
        return stoa_rec_wrong(&e, json, "is of an unknown kind");
    }

    if (len > STOA_RECORD_MAX) {
        return stoa_rec_wrong(&e, json, "is too long");
    }

    rc = stoa_json_check(json, len, STOA_JSON_DEPTH_MAX, &root, err);
    if (rc != STOA_OK) {
        return rc;
    }

    if (root.type != STOA_JSON_OBJECT) {
        return stoa_rec_wrong(&e, root.start, "must be an object");
    }

    rc = stoa_rec_body(&e, kind, &root);
    if (rc != STOA_OK) {
        return rc;
    }

    memset(&hdr, 0, sizeof(stoa_rec_hdr_t));
    hdr.magic = STOA_REC_MAGIC;
    hdr.version = STOA_REC_VERSION;
    hdr.kind = (uint16_t) kind;
    hdr.size = (uint32_t) out->len;
    hdr.rev = rev;

    stoa_rec_put(&e, 0, &hdr, sizeof(stoa_rec_hdr_t));

    return STOA_OK;
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

    if (rc == STOA_OK && kind == STOA_REC_TOOL) {
        rc = stoa_rec_definition(e, root);
    }

    return (rc == STOA_OK) ? stoa_rec_align(e) : rc;
}


/* Fills the struct at base, whose bytes are zero, from an object. */

stoa_rc_t
stoa_rec_struct(stoa_rec_enc_t *e, const stoa_rec_struct_t *def,
    const stoa_json_val_t *object, size_t base)
{
    bool                     more;
    size_t                   path;
    uint64_t                 seen;
    stoa_rc_t                rc;
    stoa_json_val_t          key, val;
    stoa_json_iter_t         it;
    const stoa_rec_field_t  *f;

    seen = 0;

    for (more = stoa_json_first(object, &it, &key, &val);
         more;
         more = stoa_json_next(&it, &key, &val))
    {
        f = stoa_rec_field(def, &key);

        /* unknown ones are of a newer control plane; null says absent */

        if (f == NULL || val.type == STOA_JSON_NULL) {
            continue;
        }

        path = stoa_rec_enter(e, f->name.data, NULL);

        rc = stoa_rec_encoders[f->type](e, f, &val, base + f->offset);
        if (rc != STOA_OK) {
            return rc;
        }

        if (f->flag) {
            e->out->data[base + f->flag] = 1;
        }

        e->path_len = path;
        seen |= UINT64_C(1) << (f - def->fields);
    }

    return stoa_rec_absent(e, def, object, base, seen);
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


/*
 * Splits a tool's definition around the value of its name, so that a gateway
 * can rename it without parsing.
 */

static stoa_rc_t
stoa_rec_definition(stoa_rec_enc_t *e, const stoa_json_val_t *root)
{
    stoa_ref_t        head, tail;
    stoa_json_val_t   def, name;
    stoa_rec_tool_t  *tool;

    (void) stoa_rec_enter(e, "definition", NULL);

    if (!stoa_json_get(root, "definition", &def)
        || !stoa_json_get(&def, "name", &name)
        || name.type != STOA_JSON_STRING)
    {
        return stoa_rec_wrong(e, root->start, "must have a name");
    }

    tool = (stoa_rec_tool_t *) e->out->data;

    head.off = tool->definition.off;
    head.len = (uint32_t) (name.start - def.start);
    tail.off = head.off + (uint32_t) (name.end - def.start);
    tail.len = (uint32_t) (def.end - name.end);

    tool->definition_head = head;
    tool->definition_tail = tail;

    return STOA_OK;
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


/* Goes into a member, or an item; returns the length to go back to. */

size_t
stoa_rec_enter(stoa_rec_enc_t *e, const char *member, const size_t *item)
{
    int     n;
    char   *p;
    size_t  was, room;

    was = e->path_len;
    p = e->path + was;
    room = sizeof(e->path) - was;

    if (item) {
        n = snprintf(p, room, "[%u]", (unsigned) *item);

    } else {
        n = snprintf(p, room, "%s%s", was ? "." : "", member);
    }

    e->path_len += ((size_t) n < room) ? (size_t) n : room - 1;

    return was;
}
