/* A glance at any bytes; of what a strict reader takes, it finds the same. */

#include "fuzz.h"
#include "stoa_glance.h"


static bool
inside(const stoa_json_val_t *v, const char *s, size_t len)
{
    return v->start == NULL
           || (v->start >= s && v->end > v->start && v->end <= s + len);
}

static void
agree(const stoa_json_val_t *root, const char *name, const stoa_json_val_t *v)
{
    stoa_json_val_t  found;

    if (stoa_json_get(root, name, &found)
        && memchr(root->start, '\\', root->end - root->start) == NULL
        && found.type != STOA_JSON_NULL)
    {
        must(v->start == found.start && v->end == found.end
             && v->type == found.type);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char       *s = (const char *) data;
    stoa_err_t        err;
    stoa_glance_t     g;
    stoa_json_val_t   root, meta;

    if (stoa_glance(s, size, &g) != STOA_OK) {
        return 0;
    }

    must(inside(&g.id, s, size) && inside(&g.method, s, size)
         && inside(&g.params, s, size) && inside(&g.result, s, size)
         && inside(&g.error, s, size));

    must(!stoa_glance_get(&g.params, "_meta", &meta)
         || inside(&meta, s, size));
    must(g.id.start == NULL || stoa_glance_same(&g.id, &g.id));

    if (stoa_json_check(s, size, STOA_JSON_DEPTH_MAX, &root, &err) == STOA_OK)
    {
        agree(&root, "id", &g.id);
        agree(&root, "method", &g.method);
        agree(&root, "params", &g.params);
        agree(&root, "error", &g.error);
    }

    return 0;
}
