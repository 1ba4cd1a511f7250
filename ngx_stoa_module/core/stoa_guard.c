/*
 * Finding personal data and secrets: where one may begin, and what is asked
 * there.  The numbers' own rules are in stoa_guard_number.c.
 */

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "stoa_guard_number.h"
#include "stoa_key.h"
#include "stoa_pattern.h"


#define STOA_GUARD_BLOCK  16


static bool stoa_guard_at(unsigned kinds, const char *s, size_t len,
    size_t floor, size_t p, size_t *skip, stoa_guard_hit_t *hit);
static bool stoa_guard_mail(const char *s, size_t len, size_t floor,
    size_t p, stoa_guard_hit_t *hit);
static bool stoa_guard_token(const char *s, size_t len, size_t floor,
    size_t p, stoa_guard_hit_t *hit);
static bool stoa_guard_jwt(const char *s, size_t len, size_t p,
    stoa_guard_hit_t *hit);
static bool stoa_guard_block(const char *s, size_t len, size_t p,
    stoa_guard_hit_t *hit);
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


/* Secrets by how they begin; mark: where in it the look begins, at a byte that
 * the pass finds.  '?' is a letter.  What follows is alnum, and `more`. */

static const struct {
    const char  *prefix;
    uint8_t      mark;
    uint8_t      min;                        /* behind the prefix           */
    uint8_t      max;
    const char  *more;
} stoa_guard_tokens[] = {
    { "AKIA", 2, 16, 16, "" },
    { "ASIA", 2, 16, 16, "" },
    { "gh?_", 3, 36, 254, "" },
    { "github_pat_", 6, 22, 254, "_" },
    { "sk_live_", 2, 16, 254, "" },
    { "rk_live_", 2, 16, 254, "" },
    { "xox?-", 0, 10, 254, "-" }
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


/* The end of a run of base64url from i on. */

static size_t
stoa_guard_base64url(const char *s, size_t len, size_t i)
{
    while (i < len && (stoa_guard_alnum(s[i]) || s[i] == '-' || s[i] == '_')) {
        i++;
    }

    return i;
}


/* Where in 16 bytes something may begin: a digit, '@', '_', "--", "yJ", "IA",
 * "xo"; the byte behind them is read, too.  And for injections "ru", "us",
 * "<|", "<<", "[I", "<i", "<s" in any case, and letters that nobody sees. */

#ifdef __SSE2__

static inline unsigned
stoa_guard_marks(const char *s)
{
    __m128i  c, n, m, d;

#define is(v, ch)  _mm_cmpeq_epi8(v, _mm_set1_epi8(ch))
#define two(a, b)  _mm_and_si128(is(c, a), is(n, b))

    c = _mm_loadu_si128((const __m128i *) (const void *) s);
    n = _mm_loadu_si128((const __m128i *) (const void *) (s + 1));

    d = _mm_sub_epi8(c, _mm_set1_epi8('0'));
    m = _mm_cmpeq_epi8(_mm_min_epu8(d, _mm_set1_epi8(9)), d);
    m = _mm_or_si128(m, _mm_or_si128(is(c, '@'), is(c, '_')));
    m = _mm_or_si128(m, _mm_or_si128(two('-', '-'), two('y', 'J')));
    m = _mm_or_si128(m, _mm_or_si128(two('I', 'A'), two('x', 'o')));

    return (unsigned) _mm_movemask_epi8(m);
}


static inline unsigned
stoa_guard_marks_inject(const char *s)
{
    __m128i  c, n, m;

    c = _mm_loadu_si128((const __m128i *) (const void *) s);
    n = _mm_loadu_si128((const __m128i *) (const void *) (s + 1));
    m = _mm_or_si128(two('\xf3', '\xa0'), is(c, '\xff'));
    c = _mm_or_si128(c, _mm_set1_epi8(0x20));
    n = _mm_or_si128(n, _mm_set1_epi8(0x20));

    m = _mm_or_si128(m, _mm_or_si128(two('r', 'u'), two('u', 's')));
    m = _mm_or_si128(m, _mm_or_si128(two('<', '|'), two('<', '<')));
    m = _mm_or_si128(m, _mm_or_si128(two('<', 'i'), two('<', 's')));
    m = _mm_or_si128(m, two('{', 'i'));

#undef two
#undef is

    return (unsigned) _mm_movemask_epi8(m);
}

#else

static inline unsigned
stoa_guard_marks(const char *s)
{
    unsigned  i, m;

    for (i = 0, m = 0; i < STOA_GUARD_BLOCK; i++) {
        m |= (unsigned) (stoa_guard_digit(s[i]) || s[i] == '@' || s[i] == '_'
                         || (s[i] == '-' && s[i + 1] == '-')
                         || (s[i] == 'y' && s[i + 1] == 'J')
                         || (s[i] == 'I' && s[i + 1] == 'A')
                         || (s[i] == 'x' && s[i + 1] == 'o')) << i;
    }

    return m;
}


static inline unsigned
stoa_guard_marks_inject(const char *s)
{
    char      c, n;
    unsigned  i, m;

    for (i = 0, m = 0; i < STOA_GUARD_BLOCK; i++) {
        c = (char) (s[i] | 0x20);
        n = (char) (s[i + 1] | 0x20);
        m |= (unsigned) ((c == 'r' && n == 'u') || (c == 'u' && n == 's')
                         || (c == '<' && (n == '|' || n == '<' || n == 'i'
                                          || n == 's'))
                         || (c == '{' && n == 'i') || s[i] == '\xff'
                         || (s[i] == '\xf3' && s[i + 1] == '\xa0')) << i;
    }

    return m;
}

#endif


bool
stoa_guard_next(unsigned kinds, const char *s, size_t len, size_t *at,
    stoa_guard_hit_t *hit)
{
    char         rest[STOA_GUARD_BLOCK + 1];
    size_t       i, p, skip;
    unsigned     marks;
    const char  *block;

    for (i = *at, skip = *at; i < len; i += STOA_GUARD_BLOCK) {

        block = s + i;

        if (len - i <= STOA_GUARD_BLOCK) {
            memset(rest, 0, sizeof(rest));
            memcpy(rest, s + i, len - i);
            block = rest;
        }

        marks = stoa_guard_marks(block);

        if (kinds & 1u << STOA_GUARD_INJECTION) {
            marks |= stoa_guard_marks_inject(block);
        }

        for ( /* void */ ; marks; marks &= marks - 1) {
            p = i + (size_t) __builtin_ctz(marks);

            if (p >= skip
                && stoa_guard_at(kinds, s, len, *at, p, &skip, hit))
            {
                *at = hit->to;
                return true;
            }
        }

        if (skip > i + 2 * STOA_GUARD_BLOCK) {
            i = skip - STOA_GUARD_BLOCK;
        }
    }

    *at = len;

    return false;
}


static bool
stoa_guard_at(unsigned kinds, const char *s, size_t len, size_t floor,
    size_t p, size_t *skip, stoa_guard_hit_t *hit)
{
    if (stoa_guard_digit(s[p])) {
        return stoa_guard_number(kinds, s, len, floor, p, skip, hit);
    }

    if (s[p] == '@') {
        return (kinds & 1u << STOA_GUARD_MAIL)
               && stoa_guard_mail(s, len, floor, p, hit);
    }

    if ((kinds & 1u << STOA_GUARD_INJECTION) && s[p] != '_' && s[p] != '-'
        && stoa_guard_inject(s, len, floor, p, hit))
    {
        return true;
    }

    if (!(kinds & 1u << STOA_GUARD_SECRET)) {
        return false;
    }

    hit->kind = STOA_GUARD_SECRET;

    switch (s[p]) {

    case '-':
        for (*skip = p; *skip < len && s[*skip] == '-'; (*skip)++) {
            /* void */
        }

        return *skip - p >= 5 && stoa_guard_block(s, len, *skip - 5, hit);

    case 'y':
        return p > floor && s[p - 1] == 'e'
               && (p - 1 == floor
                   || stoa_guard_base64url(s, p - 1, p - 2) == p - 2)
               && stoa_guard_jwt(s, len, p - 1, hit);

    default:
        return stoa_guard_token(s, len, floor, p, hit);
    }
}


static inline bool
stoa_guard_local(char ch)
{
    return stoa_guard_alnum(ch) || ch == '.' || ch == '_' || ch == '-'
           || ch == '+' || ch == '%';
}


static bool
stoa_guard_mail(const char *s, size_t len, size_t floor, size_t p,
    stoa_guard_hit_t *hit)
{
    size_t  from, i, dot, end;

    for (from = p; from > floor && p - from < 64
         && stoa_guard_local(s[from - 1]); from--) { /* void */ }

    while (from < p && !stoa_guard_alnum(s[from])) {
        from++;
    }

    if (from == p || s[p - 1] == '.') {
        return false;
    }

    /* labels; the last one has letters alone */

    for (i = p + 1, dot = 0, end = 0; i < len && i - p < 254; i++) {

        if (s[i] == '.') {

            if (!stoa_guard_alnum(s[i - 1])) {
                break;
            }

            dot = i;

        } else if (!stoa_guard_alnum(s[i]) && s[i] != '-') {
            break;

        } else if (dot && i - dot >= 2 && !stoa_guard_digit(s[dot + 1])
                   && stoa_guard_alnum(s[i]))
        {
            end = i + 1;
        }
    }

    if (end == 0 || s[p + 1] == '-') {
        return false;
    }

    hit->kind = STOA_GUARD_MAIL;
    hit->from = from;
    hit->to = end;

    return true;
}


static bool
stoa_guard_token(const char *s, size_t len, size_t floor, size_t p,
    stoa_guard_hit_t *hit)
{
    size_t       i, k, n, from;
    stoa_key_t   key;
    const char  *prefix;

    /* our own say by themselves whether they are one */

    if (s[p] == '_' && p - floor >= 4 && memcmp(s + p - 4, "stoa", 4) == 0) {
        from = p - 4;

        for (n = 0; from + n < len && n < STOA_KEY_MAX
             && (stoa_guard_alnum(s[from + n]) || s[from + n] == '_'); n++)
        { /* void */ }

        hit->from = from;
        hit->to = from + n;

        return stoa_key_parse(s + from, n, &key) == STOA_OK;
    }

    for (i = 0; i < sizeof(stoa_guard_tokens) / sizeof(stoa_guard_tokens[0]);
         i++)
    {
        prefix = stoa_guard_tokens[i].prefix;
        k = stoa_guard_tokens[i].mark;

        if (s[p] != prefix[k] || p - floor < k) {
            continue;
        }

        from = p - k;

        for (n = 0; prefix[n] && from + n < len
             && (s[from + n] == prefix[n]
                 || (prefix[n] == '?' && stoa_guard_alnum(s[from + n]))); n++)
        { /* void */ }

        if (prefix[n] || (from > floor && stoa_guard_alnum(s[from - 1]))) {
            continue;
        }

        for (k = from + n; k < len && k - from - n <= UINT8_MAX
             && (stoa_guard_alnum(s[k])
                 || (s[k] && strchr(stoa_guard_tokens[i].more, s[k])));
             k++)
        { /* void */ }

        hit->from = from;
        hit->to = k;
        k -= from + n;

        return k >= stoa_guard_tokens[i].min && k <= stoa_guard_tokens[i].max;
    }

    return false;
}


/* Two objects of JSON, and a signature. */

static bool
stoa_guard_jwt(const char *s, size_t len, size_t p, stoa_guard_hit_t *hit)
{
    size_t  i, end;

    i = stoa_guard_base64url(s, len, p);

    if (i - p < 10 || len - i < 5 || memcmp(s + i, ".eyJ", 4) != 0) {
        return false;
    }

    end = stoa_guard_base64url(s, len, i + 1);
    hit->from = p;
    hit->to = end;

    if (end < len && s[end] == '.') {
        hit->to = stoa_guard_base64url(s, len, end + 1);
    }

    return true;
}


/* A private key as PEM, as far as it is there; what quotes it is no part. */

static bool
stoa_guard_block(const char *s, size_t len, size_t p, stoa_guard_hit_t *hit)
{
    size_t       i;
    const char  *end, *next;

    static const char  begin[] = "-----BEGIN ";
    static const char  key[] = "PRIVATE KEY";
    static const char  stop[] = "-----END ";

    if (len - p < sizeof(begin) - 1
        || memcmp(s + p, begin, sizeof(begin) - 1) != 0)
    {
        return false;
    }

    for (i = p + sizeof(begin) - 1; i < len && i - p < 64 && s[i] != '-'; i++)
    {
        if (len - i >= sizeof(key) - 1
            && memcmp(s + i, key, sizeof(key) - 1) == 0)
        {
            break;
        }
    }

    if (i == len || i - p >= 64 || s[i] == '-') {
        return false;
    }

    hit->from = p;
    hit->to = len;

    /* no further than its end: many of them are looked through once */

    for (end = s + i; /* void */ ; end = next + 1) {

        for (next = end; next < s + len && *next != '-' && *next != '"';
             next++) { /* void */ }

        if (next == s + len) {
            break;
        }

        if (*next == '"') {
            hit->to = (size_t) (next - s);
            break;
        }

        if ((size_t) (s + len - next) < sizeof(stop) - 1
            || memcmp(next, stop, sizeof(stop) - 1) != 0)
        {
            continue;
        }

        for (i = (size_t) (next - s) + sizeof(stop) - 1;
             i < len && s[i] != '-' && s[i] != '"'; i++) { /* void */ }

        while (i < len && s[i] == '-') {
            i++;
        }

        hit->to = i;
        break;
    }

    return true;
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
