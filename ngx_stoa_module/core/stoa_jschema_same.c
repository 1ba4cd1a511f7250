/*
 * Are two values the same; and how long judging may take.
 */

#include <string.h>

#include "stoa_jschema_node.h"


#define STOA_JSCHEMA_PAIR    10      /* steps, to compare two                */
#define STOA_JSCHEMA_NUMBER  40      /* ... that are numbers                 */
#define STOA_JSCHEMA_PASSED  4       /* bytes that are passed over in one    */


static bool same_string(stoa_jschema_run_t *j, const stoa_json_val_t *a,
    const stoa_json_val_t *b);
static bool same_object(stoa_jschema_run_t *j, const stoa_json_val_t *a,
    const stoa_json_val_t *b);


bool
stoa_jschema_spend(stoa_jschema_run_t *j, size_t steps)
{
    if (steps >= j->left) {
        j->left = 0;
        j->ended = true;

    } else {
        j->left -= steps;
    }

    return !j->ended;
}


bool
stoa_jschema_walk(stoa_jschema_run_t *j, const stoa_json_val_t *val)
{
    return stoa_jschema_spend(j, (size_t) (val->end - val->start)
                                 / STOA_JSCHEMA_PASSED);
}


int
stoa_jschema_compare(const stoa_jschema_number_t *a,
    const stoa_jschema_number_t *b)
{
    if (a->fits && b->fits) {
        return (a->i > b->i) - (a->i < b->i);
    }

    return (a->d > b->d) - (a->d < b->d);
}


bool
stoa_jschema_same(stoa_jschema_run_t *j, const stoa_json_val_t *a,
    const stoa_json_val_t *b)
{
    bool                   more, also;
    stoa_json_val_t        x, y;
    stoa_json_iter_t       ix, iy;
    stoa_jschema_number_t  m, n;

    if (!stoa_jschema_spend(j, STOA_JSCHEMA_PAIR) || a->type != b->type) {
        return false;
    }

    switch (a->type) {

    case STOA_JSON_STRING:
        return same_string(j, a, b);

    case STOA_JSON_NUMBER:
        return stoa_jschema_spend(j, STOA_JSCHEMA_NUMBER)
               && stoa_jschema_number(a, &m) && stoa_jschema_number(b, &n)
               && stoa_jschema_compare(&m, &n) == 0;

    case STOA_JSON_OBJECT:
        return same_object(j, a, b);

    case STOA_JSON_ARRAY:
        if (!stoa_jschema_walk(j, a->end - a->start < b->end - b->start
                                  ? a : b))
        {
            return false;
        }

        more = stoa_json_first(a, &ix, NULL, &x);
        also = stoa_json_first(b, &iy, NULL, &y);

        while (more && also) {
            if (!stoa_jschema_same(j, &x, &y)) {
                return false;
            }

            more = stoa_json_next(&ix, NULL, &x);
            also = stoa_json_next(&iy, NULL, &y);
        }

        return more == also;

    default:
        return true;
    }
}


static bool
same_string(stoa_jschema_run_t *j, const stoa_json_val_t *a,
    const stoa_json_val_t *b)
{
    size_t  m, n;

    m = (size_t) (a->end - a->start);
    n = (size_t) (b->end - b->start);

    if (!a->escaped && !b->escaped) {
        return m == n && stoa_jschema_walk(j, a)
               && memcmp(a->start, b->start, n) == 0;
    }

    return stoa_jschema_spend(j, m < n ? m : n) && stoa_json_same(a, b);
}


/* No object has a member twice: that is read strictly. */

static bool
same_object(stoa_jschema_run_t *j, const stoa_json_val_t *a,
    const stoa_json_val_t *b)
{
    bool              more, again;
    uint32_t          left;
    stoa_json_val_t   key, val, name, other;
    stoa_json_iter_t  it, in;

    left = 0;

    if (!stoa_jschema_walk(j, a) || !stoa_jschema_walk(j, b)) {
        return false;
    }

    for (more = stoa_json_first(b, &it, &key, &val);
         more;
         more = stoa_json_next(&it, &key, &val))
    {
        left++;
    }

    for (more = stoa_json_first(a, &it, &key, &val);
         more;
         more = stoa_json_next(&it, &key, &val))
    {
        for (again = stoa_json_first(b, &in, &name, &other);
             again && !stoa_json_same(&key, &name);
             again = stoa_json_next(&in, &name, &other))
        {
            if (!stoa_jschema_spend(j, STOA_JSCHEMA_PAIR)
                || !stoa_jschema_walk(j, &other))
            {
                return false;
            }
        }

        if (!again || left-- == 0 || !stoa_jschema_same(j, &val, &other)) {
            return false;
        }
    }

    return left == 0;
}
