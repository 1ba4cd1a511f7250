/*
 * Schemas, and sets of them: one compiling.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stoa_jschema_node.h"


static stoa_rc_t stoa_jschema_build(const char *json, size_t len, bool set,
    stoa_buf_t *out, stoa_err_t *err);
static stoa_rc_t stoa_jschema_set(stoa_jschema_make_t *m);
static stoa_rc_t stoa_jschema_make(stoa_jschema_make_t *m);


stoa_rc_t
stoa_jschema_compile(const char *json, size_t len, stoa_buf_t *out,
    stoa_err_t *err)
{
    return stoa_jschema_build(json, len, false, out, err);
}


stoa_rc_t
stoa_jschema_compile_set(const char *json, size_t len, stoa_buf_t *out,
    stoa_err_t *err)
{
    return stoa_jschema_build(json, len, true, out, err);
}


static stoa_rc_t
stoa_jschema_build(const char *json, size_t len, bool set, stoa_buf_t *out,
    stoa_err_t *err)
{
    size_t                pad;
    stoa_rc_t             rc;
    stoa_jschema_head_t   head;
    stoa_jschema_make_t  *m;

    m = calloc(1, sizeof(stoa_jschema_make_t));
    if (m == NULL) {
        return STOA_ERROR;
    }

    m->err = err;
    m->json = json;
    m->most = set ? STOA_JSCHEMA_SET_NODES : STOA_JSCHEMA_NODES;

    for (m->nslots = 4096; m->nslots < 2 * m->most; m->nslots *= 2) {
        /* void */
    }

    m->todo = calloc(m->most, sizeof(stoa_jschema_todo_t));
    m->slots = calloc(m->nslots, sizeof(uint32_t));

    stoa_buf_init(&m->nodes, m->most * sizeof(stoa_jschema_node_t) * 2);
    stoa_buf_init(&m->words, STOA_JSCHEMA_BLOCK / 4);
    stoa_buf_init(&m->programs, STOA_JSCHEMA_BLOCK / 4);
    stoa_buf_init(&m->defs, STOA_JSCHEMA_BLOCK / 4);

    rc = m->todo == NULL || m->slots == NULL ? STOA_ERROR
         : len > (set ? STOA_JSCHEMA_SET_LEN : STOA_JSCHEMA_LEN)
         ? stoa_jschema_wrong(m, "is too long")
         : stoa_json_check(json, len, STOA_JSON_DEPTH_MAX, &m->root, err);

    if (rc == STOA_OK && set) {
        rc = stoa_jschema_set(m);
    }

    if (rc == STOA_OK) {
        rc = stoa_jschema_make(m);
    }

    if (rc == STOA_OK) {
        stoa_buf_reset(out);

        pad = sizeof(head) + m->nodes.len;
        head.nnodes = m->n;
        head.words = (uint32_t) pad;
        head.programs = (uint32_t) (pad + m->words.len);
        head.text = (uint32_t) (pad + m->words.len + m->programs.len);

        stoa_buf_add(out, &head, sizeof(head));
        stoa_buf_add(out, m->nodes.data, m->nodes.len);
        stoa_buf_add(out, m->words.data, m->words.len);
        stoa_buf_add(out, m->programs.data, m->programs.len);
        stoa_buf_add(out, json, len);
        stoa_buf_add(out, "", 1);
        rc = out->rc;
    }

    stoa_buf_free(&m->nodes);
    stoa_buf_free(&m->words);
    stoa_buf_free(&m->programs);
    stoa_buf_free(&m->defs);
    free(m->todo);
    free(m->slots);
    free(m);

    return rc;
}


/* References of a set find what they lead to by its place: there are many. */

static stoa_rc_t
stoa_jschema_set(stoa_jschema_make_t *m)
{
    bool              more;
    char              text[16];
    uint32_t          n;
    stoa_json_val_t   defs, key, val;
    stoa_json_iter_t  it;

    if (m->root.type != STOA_JSON_OBJECT
        || !stoa_json_get(&m->root, "prefixItems", &val)
        || !stoa_json_get(&m->root, "$defs", &defs)
        || defs.type != STOA_JSON_OBJECT)
    {
        return stoa_jschema_wrong(m, "is no set of schemas");
    }

    for (more = stoa_json_first(&defs, &it, &key, &val), n = 0;
         more;
         more = stoa_json_next(&it, &key, &val), n++)
    {
        if (!stoa_json_eq(&key, text, (size_t) snprintf(text, sizeof(text),
                                                        "%u", n)))
        {
            return stoa_jschema_wrong(m, "has a definition that is not in its "
                                      "place");
        }

        stoa_buf_add(&m->defs, &val, sizeof(val));
    }

    return m->defs.rc;
}


static stoa_rc_t
stoa_jschema_make(stoa_jschema_make_t *m)
{
    uint32_t              i, index;
    stoa_rc_t             rc;
    stoa_jschema_todo_t  *todo;

    /* there is a place, also for none */
    rc = stoa_buf_reserve(&m->words, sizeof(uint32_t));

    if (rc == STOA_OK) {
        rc = stoa_jschema_node(m, &m->root, NULL, &index);
    }

    for (i = 0; rc == STOA_OK && i < m->n; i++) {
        todo = &m->todo[i];

        if (todo->ref) {
            m->path_len = 0;
            (void) stoa_jschema_enter(m, todo->ref, todo->ref_len);
            rc = stoa_jschema_node(m, &todo->val, NULL, &index);
        }
    }

    for (i = 0; rc == STOA_OK && i < m->n; i++) {
        rc = stoa_jschema_circles(m, i);
    }

    return rc;
}
