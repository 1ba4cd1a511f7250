/*
 * Writing JSON.
 */

#include <string.h>

#include "base/cp_json_gen.h"


static yajl_gen_status cp_json_gen_tree(yajl_gen g, const cp_json_t *v);


static void
cp_json_piece(void *ctx, const char *s, size_t len)
{
    stoa_buf_add(ctx, s, len);
}


yajl_gen
cp_json_gen(stoa_buf_t *b)
{
    yajl_gen  g;

    g = yajl_gen_alloc(NULL);

    if (g != NULL) {
        (void) yajl_gen_config(g, yajl_gen_print_callback, cp_json_piece, b);
    }

    return g;
}


yajl_gen_status
cp_json_gen_text(yajl_gen g, const char *s, size_t len)
{
    return yajl_gen_string(g, (const unsigned char *) s, len);
}


static yajl_gen_status
cp_json_gen_children(yajl_gen g, const cp_json_t *v)
{
    const cp_json_t  *p;
    yajl_gen_status   rc;

    rc = (v->type == CP_JSON_ARRAY) ? yajl_gen_array_open(g)
                                    : yajl_gen_map_open(g);

    for (p = v->first; p != NULL && rc == yajl_gen_status_ok; p = p->next) {
        if (v->type == CP_JSON_OBJECT) {
            (void) cp_json_gen_text(g, p->key, strlen(p->key));
        }

        rc = cp_json_gen_tree(g, p);
    }

    if (rc != yajl_gen_status_ok) {
        return rc;
    }

    return (v->type == CP_JSON_ARRAY) ? yajl_gen_array_close(g)
                                      : yajl_gen_map_close(g);
}


static yajl_gen_status
cp_json_gen_tree(yajl_gen g, const cp_json_t *v)
{
    int   n;
    char  text[32];

    switch (v->type) {

    case CP_JSON_NULL:
        return yajl_gen_null(g);

    case CP_JSON_BOOL:
        return yajl_gen_bool(g, v->i != 0);

    case CP_JSON_INT:
        return yajl_gen_integer(g, v->i);

    case CP_JSON_REAL:
        if (v->s != NULL) {
            return yajl_gen_number(g, v->s, v->len);
        }

        n = snprintf(text, sizeof(text), "%.17g", v->d);
        return yajl_gen_number(g, text, (size_t) n);

    case CP_JSON_STRING:
        return cp_json_gen_text(g, v->s, v->len);

    case CP_JSON_ARRAY:
    case CP_JSON_OBJECT:
        break;
    }

    return cp_json_gen_children(g, v);
}


void
cp_json_write(stoa_buf_t *b, const cp_json_t *v)
{
    yajl_gen  g;

    g = cp_json_gen(b);

    if (g == NULL || cp_json_gen_tree(g, v) != yajl_gen_status_ok) {
        b->rc = STOA_ERROR;
    }

    if (g != NULL) {
        yajl_gen_free(g);
    }
}


char *
cp_json_text(cp_arena_t *a, const cp_json_t *v, size_t *len)
{
    char        *p;
    stoa_buf_t   b;

    stoa_buf_init(&b, SIZE_MAX / 4);
    cp_json_write(&b, v);

    p = (b.rc == STOA_OK) ? cp_arena_strndup(a, b.data, b.len) : NULL;

    if (p != NULL && len != NULL) {
        *len = b.len;
    }

    stoa_buf_free(&b);

    return p;
}
