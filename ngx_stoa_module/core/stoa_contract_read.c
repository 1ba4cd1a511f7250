/*
 * Contracts: from a text to tables.
 */

#include <string.h>

#include "stoa_contract.h"


typedef struct {
    stoa_contract_alloc_pt   alloc;
    void                    *ctx;
    stoa_err_t              *err;
} stoa_contract_make_t;


static stoa_rc_t read_schemas(stoa_contract_make_t *m, stoa_contract_t *c,
    const stoa_json_val_t *val);
static stoa_rc_t read_op(stoa_contract_make_t *m, stoa_contract_op_t *op,
    const stoa_json_val_t *val);
static stoa_rc_t read_params(stoa_contract_make_t *m, stoa_contract_op_t *op,
    const stoa_json_val_t *list);
static stoa_rc_t read_param(stoa_contract_make_t *m,
    stoa_contract_param_t *p, const stoa_json_val_t *val);
static stoa_rc_t read_media(stoa_contract_make_t *m,
    stoa_contract_media_t **media, uint32_t *n, const stoa_json_val_t *map);
static stoa_rc_t read_answers(stoa_contract_make_t *m,
    stoa_contract_op_t *op, const stoa_json_val_t *map);
static uint32_t read_count(const stoa_json_val_t *list);
static void *read_room(stoa_contract_make_t *m, uint32_t n, size_t size);
static stoa_rc_t read_name(stoa_contract_make_t *m,
    const stoa_json_val_t *val, stoa_str_t *text);
static stoa_rc_t read_text(stoa_contract_make_t *m,
    const stoa_json_val_t *object, const char *name, stoa_str_t *text);
static unsigned read_word(const stoa_json_val_t *object, const char *name,
    const char *const *words, unsigned n);
static bool read_flag(const stoa_json_val_t *object, const char *name);
static uint32_t read_place(const stoa_json_val_t *val);


static const char *const  contract_ins[STOA_CONTRACT_IN_MAX] = {
    "path", "query", "header", "cookie"
};

static const char *const  contract_forms[STOA_CONTRACT_FORM_MAX] = {
    "value", "list", "json", "any"
};


stoa_rc_t
stoa_contract_read(const char *json, size_t len, stoa_contract_alloc_pt alloc,
    void *ctx, stoa_contract_t *c, stoa_err_t *err)
{
    bool                  more;
    uint32_t              i;
    stoa_rc_t             rc;
    stoa_json_val_t       root, list, val;
    stoa_json_iter_t      it;
    stoa_contract_make_t  m = { alloc, ctx, err };

    memset(c, 0, sizeof(stoa_contract_t));

    rc = len > STOA_CONTRACT_LEN ? stoa_err_set(err, "", "is too long")
         : stoa_json_check(json, len, STOA_JSON_DEPTH_MAX, &root, err);

    if (rc != STOA_OK) {
        return rc;
    }

    if (root.type != STOA_JSON_OBJECT
        || !stoa_json_get(&root, "schemas", &val)
        || !stoa_json_get(&root, "operations", &list)
        || list.type != STOA_JSON_ARRAY)
    {
        return stoa_err_set(err, "", "is no contract");
    }

    rc = read_schemas(&m, c, &val);
    c->nops = read_count(&list);
    c->ops = read_room(&m, c->nops, sizeof(stoa_contract_op_t));

    if (rc == STOA_OK && c->ops == NULL) {
        return STOA_ERROR;
    }

    for (more = stoa_json_first(&list, &it, NULL, &val), i = 0;
         rc == STOA_OK && more;
         more = stoa_json_next(&it, NULL, &val), i++)
    {
        rc = read_op(&m, &c->ops[i], &val);
    }

    if (rc != STOA_OK || !stoa_json_get(&root, "arguments", &list)) {
        return rc;
    }

    c->narguments = read_count(&list);
    c->arguments = read_room(&m, c->narguments, sizeof(stoa_str_t));

    if (c->arguments == NULL) {
        return STOA_ERROR;
    }

    for (more = stoa_json_first(&list, &it, NULL, &val), i = 0;
         rc == STOA_OK && more;
         more = stoa_json_next(&it, NULL, &val), i++)
    {
        rc = read_name(&m, &val, &c->arguments[i]);
    }

    return rc;
}


static stoa_rc_t
read_schemas(stoa_contract_make_t *m, stoa_contract_t *c,
    const stoa_json_val_t *val)
{
    stoa_rc_t   rc;
    stoa_buf_t  b;

    stoa_buf_init(&b, STOA_JSCHEMA_BLOCK);
    rc = stoa_jschema_compile_set(val->start,
                                  (size_t) (val->end - val->start), &b,
                                  m->err);

    if (rc == STOA_OK) {
        c->schemas = m->alloc(m->ctx, b.len);
        rc = c->schemas ? STOA_OK : STOA_ERROR;
    }

    if (rc == STOA_OK) {
        memcpy(c->schemas, b.data, b.len);
    }

    stoa_buf_free(&b);

    return rc;
}


static stoa_rc_t
read_op(stoa_contract_make_t *m, stoa_contract_op_t *op,
    const stoa_json_val_t *val)
{
    stoa_rc_t        rc;
    stoa_json_val_t  part, media;

    if (val->type != STOA_JSON_OBJECT) {
        return stoa_err_set(m->err, "", "is no operation");
    }

    rc = read_text(m, val, "method", &op->method);

    if (rc == STOA_OK) {
        rc = read_text(m, val, "path", &op->path);
    }

    if (rc == STOA_OK && stoa_json_get(val, "parameters", &part)) {
        rc = read_params(m, op, &part);
    }

    if (rc == STOA_OK && stoa_json_get(val, "body", &part)) {
        op->body = true;
        op->body_required = read_flag(&part, "required");
        rc = stoa_json_get(&part, "media", &media)
             ? read_media(m, &op->media, &op->nmedia, &media) : STOA_OK;
    }

    return rc == STOA_OK && stoa_json_get(val, "answers", &part)
           ? read_answers(m, op, &part) : rc;
}


static stoa_rc_t
read_params(stoa_contract_make_t *m, stoa_contract_op_t *op,
    const stoa_json_val_t *list)
{
    bool              more;
    uint32_t          i;
    stoa_rc_t         rc;
    stoa_json_val_t   val;
    stoa_json_iter_t  it;

    op->nparams = read_count(list);
    op->params = read_room(m, op->nparams, sizeof(stoa_contract_param_t));
    rc = op->params ? STOA_OK : STOA_ERROR;

    for (more = stoa_json_first(list, &it, NULL, &val), i = 0;
         rc == STOA_OK && more;
         more = stoa_json_next(&it, NULL, &val), i++)
    {
        rc = read_param(m, &op->params[i], &val);
    }

    return rc;
}


static stoa_rc_t
read_param(stoa_contract_make_t *m, stoa_contract_param_t *p,
    const stoa_json_val_t *val)
{
    stoa_rc_t        rc;
    stoa_str_t       text;
    stoa_json_val_t  schema;

    if (val->type != STOA_JSON_OBJECT) {
        return stoa_err_set(m->err, "", "is no parameter");
    }

    rc = read_text(m, val, "name", &p->name);
    p->in = (stoa_contract_in_e) read_word(val, "in", contract_ins,
                                           STOA_CONTRACT_IN_MAX);
    p->form = (stoa_contract_form_e) read_word(val, "form", contract_forms,
                                               STOA_CONTRACT_FORM_MAX);
    p->separator = stoa_json_get_text(val, "separator", &text) && text.len
                   ? text.data[0] : '\0';
    p->required = read_flag(val, "required");
    p->texts = read_flag(val, "texts");
    p->empty = read_flag(val, "empty");
    p->schema = stoa_json_get(val, "schema", &schema) ? read_place(&schema)
                                                      : STOA_CONTRACT_NONE;

    return rc == STOA_OK && (p->in == STOA_CONTRACT_IN_MAX
                             || p->form == STOA_CONTRACT_FORM_MAX)
           ? stoa_err_set(m->err, "", "is no parameter") : rc;
}


static stoa_rc_t
read_media(stoa_contract_make_t *m, stoa_contract_media_t **media, uint32_t *n,
    const stoa_json_val_t *map)
{
    bool              more;
    uint32_t          i;
    stoa_rc_t         rc;
    stoa_json_val_t   key, val;
    stoa_json_iter_t  it;

    *n = read_count(map);
    *media = read_room(m, *n, sizeof(stoa_contract_media_t));
    rc = *media ? STOA_OK : STOA_ERROR;

    for (more = stoa_json_first(map, &it, &key, &val), i = 0;
         rc == STOA_OK && more;
         more = stoa_json_next(&it, &key, &val), i++)
    {
        rc = read_name(m, &key, &(*media)[i].type);
        (*media)[i].schema = read_place(&val);
    }

    return rc;
}


static stoa_rc_t
read_answers(stoa_contract_make_t *m, stoa_contract_op_t *op,
    const stoa_json_val_t *map)
{
    bool                     more;
    unsigned                 hundred;
    stoa_rc_t                rc;
    const char              *s;
    stoa_json_val_t          key, val;
    stoa_json_iter_t         it;
    stoa_contract_answer_t  *a;

    op->nanswers = read_count(map);
    op->answers = read_room(m, op->nanswers, sizeof(stoa_contract_answer_t));
    rc = op->answers ? STOA_OK : STOA_ERROR;
    a = op->answers;

    for (more = stoa_json_first(map, &it, &key, &val);
         rc == STOA_OK && more;
         more = stoa_json_next(&it, &key, &val), a++)
    {
        s = key.start + 1;

        if (*s >= '1' && *s <= '5' && key.end - s == 4) {
            hundred = (unsigned) (*s - '0') * 100;
            a->from = hundred;
            a->to = hundred + 99;

            if (s[1] != 'X') {
                a->from = hundred + (unsigned) (s[1] - '0') * 10
                          + (unsigned) (s[2] - '0');
                a->to = a->from;
            }
        }

        rc = read_media(m, &a->media, &a->n, &val);
    }

    return rc;
}


static uint32_t
read_count(const stoa_json_val_t *list)
{
    bool              more;
    uint32_t          n;
    stoa_json_val_t   key, val;
    stoa_json_iter_t  it;

    n = 0;

    if (list->type == STOA_JSON_ARRAY || list->type == STOA_JSON_OBJECT) {
        for (more = stoa_json_first(list, &it, &key, &val); more; n++) {
            more = stoa_json_next(&it, &key, &val);
        }
    }

    return n;
}


/* Also for none, so that NULL says one thing. */

static void *
read_room(stoa_contract_make_t *m, uint32_t n, size_t size)
{
    void  *p;

    p = m->alloc(m->ctx, (n + 1) * size);

    if (p) {
        memset(p, 0, (n + 1) * size);
    }

    return p;
}


static stoa_rc_t
read_name(stoa_contract_make_t *m, const stoa_json_val_t *val,
    stoa_str_t *text)
{
    char  *p;

    if (val->type != STOA_JSON_STRING) {
        return stoa_err_set(m->err, "", "is no text");
    }

    text->data = val->start + 1;
    text->len = (size_t) (val->end - val->start) - 2;

    if (val->escaped) {
        p = m->alloc(m->ctx, text->len + 2);
        if (p == NULL) {
            return STOA_ERROR;
        }

        text->len = stoa_json_unescape(val, p);
        text->data = p;
    }

    return STOA_OK;
}


static stoa_rc_t
read_text(stoa_contract_make_t *m, const stoa_json_val_t *object,
    const char *name, stoa_str_t *text)
{
    stoa_json_val_t  val;

    return stoa_json_get(object, name, &val)
           ? read_name(m, &val, text)
           : stoa_err_set(m->err, name, "is missing");
}


static unsigned
read_word(const stoa_json_val_t *object, const char *name,
    const char *const *words, unsigned n)
{
    unsigned         i;
    stoa_json_val_t  val;

    if (!stoa_json_get(object, name, &val) || val.type != STOA_JSON_STRING) {
        return n;
    }

    for (i = 0; i < n && !stoa_json_eq(&val, words[i], strlen(words[i]));
         i++)
    { /* void */ }

    return i;
}


static bool
read_flag(const stoa_json_val_t *object, const char *name)
{
    stoa_json_val_t  val;

    return object->type == STOA_JSON_OBJECT
           && stoa_json_get(object, name, &val) && val.type == STOA_JSON_TRUE;
}


static uint32_t
read_place(const stoa_json_val_t *val)
{
    uint64_t  n;

    return stoa_json_uint(val, &n) && n < STOA_CONTRACT_NONE
           ? (uint32_t) n : STOA_CONTRACT_NONE;
}
