/*
 * A look at all of a text, by kinds, own patterns, and into base64.
 */

#include <string.h>

#include "stoa_guard_base64.h"
#include "stoa_pattern.h"


static unsigned stoa_guard_look_base64(const stoa_guard_set_t *set,
    stoa_guard_look_t *l, size_t *steps);
static bool stoa_guard_look_chunk(const stoa_guard_set_t *set,
    stoa_guard_chunk_t *c, size_t *steps);


static const char *const  stoa_guard_names[STOA_GUARD_MAX] = {
    [STOA_GUARD_MAIL] = "mail",
    [STOA_GUARD_PHONE] = "phone",
    [STOA_GUARD_CARD] = "card",
    [STOA_GUARD_IBAN] = "iban",
    [STOA_GUARD_ID] = "national-id",
    [STOA_GUARD_SECRET] = "secret",
    [STOA_GUARD_INJECTION] = "injection",
    [STOA_GUARD_PATTERN] = "pattern"
};


const char *
stoa_guard_name(size_t kind)
{
    return kind < STOA_GUARD_MAX ? stoa_guard_names[kind] : NULL;
}


stoa_guard_e
stoa_guard_kind(const char *name, size_t len)
{
    unsigned  i;

    for (i = 0; i < STOA_GUARD_MAX; i++) {
        if (strlen(stoa_guard_names[i]) == len
            && memcmp(stoa_guard_names[i], name, len) == 0)
        {
            break;
        }
    }

    return (stoa_guard_e) i;
}


/* ---- a look ------------------------------------------------------------- */

/* A find that lies over the end does not count yet, nor does one that more of
 * the text may make longer: a private key is found as far as it is there. */

static bool
stoa_guard_counts(stoa_guard_look_t *l, stoa_guard_pos_t *pos,
    stoa_guard_hit_t *hit)
{
    if (hit->to <= l->done) {
        return false;
    }

    if (hit->to > l->to || (l->more && hit->to == l->copy_len)) {
        if (hit->from < l->to) {
            l->to = hit->from > l->done ? hit->from : l->done;
        }

        return false;
    }

    if (hit->from < l->done) {
        hit->from = l->done;
    }

    l->count[hit->kind]++;

    if (l->masks) {
        stoa_guard_mask(pos, l->s, l->len, l->how, hit);
    }

    return true;
}


static void
stoa_guard_begin(const stoa_guard_look_t *l, stoa_guard_pos_t *pos)
{
    memset(pos, 0, sizeof(stoa_guard_pos_t));
    pos->json = l->json;
    pos->string = l->string;
}


unsigned
stoa_guard_look(const stoa_guard_set_t *set, stoa_guard_look_t *l)
{
    size_t            at, steps;
    unsigned          i, found;
    stoa_guard_hit_t  hit;
    stoa_guard_pos_t  pos;

    found = 0;
    stoa_guard_begin(l, &pos);

    for (at = 0; stoa_guard_next(set->kinds, l->copy, l->copy_len, &at,
                                 &hit); )
    {
        if (stoa_guard_counts(l, &pos, &hit)) {
            found |= 1u << hit.kind;
        }
    }

    steps = STOA_GUARD_STEPS;
    hit.kind = STOA_GUARD_PATTERN;

    for (i = 0; i < set->n; i++) {
        stoa_guard_begin(l, &pos);

        for (at = 0; stoa_pattern_next(set->pattern[i], l->copy, l->copy_len,
                                       &at, &hit.to, &steps); at = hit.to)
        {
            hit.from = at;

            if (stoa_guard_counts(l, &pos, &hit)) {
                found |= 1u << STOA_GUARD_PATTERN;
            }
        }
    }

    if (set->decode & STOA_GUARD_BASE64) {
        found |= stoa_guard_look_base64(set, l, &steps);
    }

    l->over = set->n && steps == 0;

    return found;
}


/* Each run of its alphabet, a chunk at a time.  What the finds of a chunk are
 * made of is masked as one; a run that is cut off by what went may begin at
 * any of four places. */

static unsigned
stoa_guard_look_base64(const stoa_guard_set_t *set, stoa_guard_look_t *l,
    size_t *steps)
{
    size_t                at;
    unsigned              i, found, skew, skews;
    stoa_guard_pos_t      pos;
    stoa_guard_chunk_t    c;

    stoa_guard_begin(l, &pos);
    memset(&c, 0, sizeof(c));
    found = 0;

    for (at = 0; stoa_guard_base64_run(l->copy, l->copy_len, &at, &c.end);
         at = c.end)
    {
        skews = at == 0 && l->done ? 4 : 1;

        for (skew = 0; skew < skews; skew++) {

            if (skew) {
                stoa_guard_begin(l, &pos);
            }

            c.over = false;

            for (c.next = at + skew; stoa_guard_base64(l->copy, &c); ) {

                if (!stoa_guard_look_chunk(set, &c, steps)
                    || !stoa_guard_counts(l, &pos, &c.hit))
                {
                    continue;
                }

                l->count[c.hit.kind]--;

                for (i = 0; i < STOA_GUARD_MAX; i++) {
                    l->count[i] += c.count[i];
                    found |= c.count[i] ? 1u << i : 0;
                }
            }
        }
    }

    return found;
}


/* What is in it; its first find's begin and its last one's end, in the text:
 * c->hit. */

static bool
stoa_guard_look_chunk(const stoa_guard_set_t *set, stoa_guard_chunk_t *c,
    size_t *steps)
{
    size_t            at, from, to;
    unsigned          i;
    stoa_guard_hit_t  hit;

    memset(c->count, 0, sizeof(c->count));
    from = SIZE_MAX;
    to = 0;

    for (at = 0; stoa_guard_next(set->kinds, c->text, c->len, &at, &hit); ) {
        if (hit.to > c->known) {
            c->count[hit.kind]++;
            c->hit.kind = hit.kind;
            from = hit.from < from ? hit.from : from;
            to = hit.to > to ? hit.to : to;
        }
    }

    for (i = 0; i < set->n; i++) {
        for (at = 0; stoa_pattern_next(set->pattern[i], c->text, c->len, &at,
                                       &hit.to, steps); at = hit.to)
        {
            if (hit.to > c->known) {
                c->count[STOA_GUARD_PATTERN]++;
                c->hit.kind = STOA_GUARD_PATTERN;
                from = at < from ? at : from;
                to = hit.to > to ? hit.to : to;
            }
        }
    }

    if (to) {
        stoa_guard_base64_at(c, from, to);
    }

    return to != 0;
}
