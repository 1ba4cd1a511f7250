/*
 * Marks of injections, by the list of the policy guardrail
 * (core/stoa_guard_inject.c), with other writings of ASCII read.
 */

#include <string.h>

#include "core/stoa_guard.h"
#include "kinds/cp_item_marked.h"


static bool cp_marked_look(cp_arena_t *a, char *s, size_t len, unsigned how,
    bool masks);
static void cp_marked_walk(cp_arena_t *a, cp_json_t *v);


static const char *const  cp_marked_words[] = { "title", "description", NULL };

static const stoa_guard_set_t  cp_marked_set = {
    .kinds = 1u << STOA_GUARD_INJECTION,
    .decode = STOA_GUARD_UNICODE | STOA_GUARD_ENTITIES
};


bool
cp_item_marked(cp_arena_t *a, const cp_json_t *item)
{
    char    *text;
    size_t   len;

    text = cp_json_text(a, item, &len);

    return text == NULL
           || cp_marked_look(a, text, len, cp_marked_set.decode, false);
}


bool
cp_item_mask(cp_arena_t *a, cp_json_t *item)
{
    cp_marked_walk(a, item);

    return !cp_item_marked(a, item);
}


/* As deep as what was read is, at most. */
static void
cp_marked_walk(cp_arena_t *a, cp_json_t *v)
{
    char               *text;
    cp_json_t          *m;
    const char *const  *word;

    for (m = v->first; m; m = m->next) {
        cp_marked_walk(a, m);

        for (word = cp_marked_words; m->key && *word; word++) {
            if (m->type != CP_JSON_STRING || strcmp(m->key, *word) != 0) {
                continue;
            }

            text = cp_arena_strndup(a, m->s, m->len);

            if (text && cp_marked_look(a, text, m->len,
                                       cp_marked_set.decode | STOA_GUARD_BARE,
                                       true))
            {
                m->s = text;
            }
        }
    }
}


static bool
cp_marked_look(cp_arena_t *a, char *s, size_t len, unsigned how, bool masks)
{
    char               *copy;
    stoa_guard_look_t   l;

    memset(&l, 0, sizeof(l));
    copy = s;
    l.copy_len = len;

    if (!stoa_guard_plain(s, len, how) || masks) {
        copy = cp_arena_alloc(a, len + 1);

        if (copy == NULL) {
            return true;
        }

        l.copy_len = stoa_guard_fold(s, len, how, copy);
    }

    l.s = s;
    l.len = len;
    l.copy = copy;
    l.how = how;
    l.to = l.copy_len;
    l.masks = masks;

    return stoa_guard_look(&cp_marked_set, &l) != 0;
}
