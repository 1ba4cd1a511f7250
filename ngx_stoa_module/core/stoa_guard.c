/*
 * Texts as they are read, what is masked in them, and a look at all of one.
 */

#include <string.h>

#include "stoa_guard_number.h"
#include "stoa_key.h"
#include "stoa_pattern.h"


static size_t stoa_guard_escape(const char *s, size_t len, size_t at,
    bool form, char *ch);


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


/* How many bytes of s are one in the copy, and which. */

static size_t
stoa_guard_escape(const char *s, size_t len, size_t at, bool form, char *ch)
{
    uint8_t  byte[2];

    *ch = s[at];

    if (form) {
        if (s[at] == '+') {
            *ch = ' ';
        }

        if (s[at] != '%' || len - at < 3
            || !stoa_hex_decode(s + at + 1, 2, byte))
        {
            return 1;
        }

        *ch = (char) byte[0];
        return 3;
    }

    if (s[at] != '\\' || len - at < 2) {
        return 1;
    }

    *ch = s[at + 1];

    switch (s[at + 1]) {

    case 'u':
        if (len - at < 6 || !stoa_hex_decode(s + at + 2, 4, byte)) {
            return 1;
        }

        /* a tag, of which nothing is seen, has a byte that no text has */

        *ch = byte[0] == 0xdb && byte[1] == 0x40 ? (char) 0xff
              : byte[0] ? (char) 0x80 : (char) byte[1];
        return 6;

    case 'n':
    case 'r':
        *ch = '\n';
        return 2;

    case 't':
    case 'b':
    case 'f':
        *ch = ' ';
        return 2;

    default:
        return 2;
    }
}


size_t
stoa_guard_fold(const char *s, size_t len, bool form, char *dst)
{
    size_t  i, n;

    for (i = 0, n = 0; i < len; n++) {
        i += stoa_guard_escape(s, len, i, form, &dst[n]);
    }

    return n;
}


void
stoa_guard_mask(stoa_guard_pos_t *pos, char *s, size_t len, bool form,
    const stoa_guard_hit_t *hit)
{
    char    ch;
    size_t  n;

    for ( /* void */ ; pos->at < len && pos->folded < hit->to;
         pos->folded++, pos->at += n)
    {
        n = stoa_guard_escape(s, len, pos->at, form, &ch);

        if (n == 1 && s[pos->at] == '"') {
            pos->string = !pos->string;
        }

        if (pos->folded >= hit->from) {
            memset(s + pos->at,
                   pos->json && !pos->string && stoa_guard_digit(ch)
                   ? '9' : '*', n);
        }
    }
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
        stoa_guard_mask(pos, l->s, l->len, l->form, hit);
    }

    return true;
}


unsigned
stoa_guard_look(const stoa_guard_set_t *set, stoa_guard_look_t *l)
{
    size_t            at, steps;
    unsigned          i, found;
    stoa_guard_hit_t  hit;
    stoa_guard_pos_t  pos;

    found = 0;
    memset(&pos, 0, sizeof(pos));
    pos.json = l->json;
    pos.string = l->string;

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
        memset(&pos, 0, sizeof(pos));
        pos.json = l->json;
        pos.string = l->string;

        for (at = 0; stoa_pattern_next(set->pattern[i], l->copy, l->copy_len,
                                       &at, &hit.to, &steps); at = hit.to)
        {
            hit.from = at;

            if (stoa_guard_counts(l, &pos, &hit)) {
                found |= 1u << STOA_GUARD_PATTERN;
            }
        }
    }

    l->over = set->n && steps == 0;

    return found;
}
