/*
 * Where finds may begin: 32 bytes at a time, and numbers by what the runs of
 * digits, capitals and gaps around them allow, for all their rules at once.
 * So no rule is asked about what it cannot be, and text without digits pays
 * for none of these.
 *
 * What is marked here may be none; each place that is one is marked: without
 * SSE2 the same masks are made a byte at a time, by the same table that the
 * rules read.
 */

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "stoa_guard_number.h"


#define STOA_GUARD_BLOCK   32
#define STOA_GUARD_BEHIND  8                 /* of a window: before a block  */
#define STOA_GUARD_AHEAD   3                 /* read behind a block          */
#define STOA_GUARD_WINDOW  64

#define STOA_GUARD_NUMBERS                                                    \
    (1u << STOA_GUARD_PHONE | 1u << STOA_GUARD_CARD | 1u << STOA_GUARD_IBAN   \
     | 1u << STOA_GUARD_ID)


/* A window: a bit for each byte. */

typedef struct {
    uint64_t  digit;
    uint64_t  upper;
    uint64_t  alnum;
    uint64_t  gap;
    uint64_t  dot;                           /* and parentheses             */
    uint64_t  plus;
} stoa_guard_window_t;


/* Where in a block something may begin: '@', "---", "yJ", "IA", "xox", "a_",
 * "b_", "k_", "g??_"; three bytes behind it are read, too.  For injections, in
 * any case, "ruc", "use", "<|", "<<s", "<im", "<in", "<sy", "[in", and
 * letters that nobody sees. */

#ifdef __SSE2__

#define is(v, ch)  _mm_cmpeq_epi8(v, _mm_set1_epi8(ch))
#define two(a, b)  _mm_and_si128(is(c, a), is(n, b))
#define in(v, a, n)                                                           \
    _mm_cmpeq_epi8(_mm_min_epu8(_mm_sub_epi8(v, _mm_set1_epi8(a)),            \
                                _mm_set1_epi8(n)),                            \
                   _mm_sub_epi8(v, _mm_set1_epi8(a)))


#define and(a, b)  _mm_and_si128(a, b)
#define or(a, b)   _mm_or_si128(a, b)
#define load(p)    _mm_loadu_si128((const __m128i *) (const void *) (p))


static inline uint32_t
stoa_guard_marks(const char *s, uint32_t *digits)
{
    __m128i   c, n, m;
    unsigned  i;
    uint32_t  marks;

    for (i = 0, marks = 0, *digits = 0; i < STOA_GUARD_BLOCK; i += 16) {
        c = load(s + i);
        n = load(s + i + 1);

        m = and(is(n, '_'), or(is(c, 'a'), or(is(c, 'b'), is(c, 'k'))));
        m = or(m, and(is(c, 'g'), is(load(s + i + 3), '_')));
        m = or(m, or(is(c, '@'), or(two('y', 'J'), two('I', 'A'))));
        n = load(s + i + 2);
        m = or(m, or(and(two('-', '-'), is(load(s + i + 1), '-')),
                     and(two('x', 'x'), is(load(s + i + 1), 'o'))));

        *digits |= (uint32_t) _mm_movemask_epi8(in(c, '0', 9)) << i;
        marks |= (uint32_t) _mm_movemask_epi8(m) << i;
    }

    return marks;
}


static inline uint32_t
stoa_guard_marks_inject(const char *s)
{
    __m128i   c, n, t, m, low;
    unsigned  i;
    uint32_t  marks;

    low = _mm_set1_epi8(0x20);

    for (i = 0, marks = 0; i < STOA_GUARD_BLOCK; i += 16) {
        c = load(s + i);
        n = load(s + i + 1);
        m = or(two('\xf3', '\xa0'),
               and(is(c, '\xff'), _mm_cmplt_epi8(n, _mm_setzero_si128())));
        c = or(c, low);
        n = or(n, low);
        t = or(load(s + i + 2), low);

        m = or(m, or(and(two('r', 'u'), is(t, 'c')),
                     and(two('u', 's'), is(t, 'e'))));
        m = or(m, and(is(c, '<'),
                      or(is(n, '|'),
                         or(and(is(n, '<'), is(t, 's')),
                            or(and(is(n, 's'), is(t, 'y')),
                               and(is(n, 'i'),
                                   or(is(t, 'm'), is(t, 'n'))))))));
        m = or(m, and(two('{', 'i'), is(t, 'n')));

        marks |= (uint32_t) _mm_movemask_epi8(m) << i;
    }

    return marks;
}


static inline void
stoa_guard_window(const char *s, stoa_guard_window_t *w)
{
    __m128i   c, letter, digit, upper;
    unsigned  i;

#define add(field, v)                                                         \
    w->field |= (uint64_t) (uint32_t) _mm_movemask_epi8(v) << i

    memset(w, 0, sizeof(stoa_guard_window_t));

    for (i = 0; i < STOA_GUARD_WINDOW; i += 16) {
        c = load(s + i);
        digit = in(c, '0', 9);
        upper = in(c, 'A', 25);
        letter = in(c, 'a', 25);

        add(digit, digit);
        add(upper, upper);
        add(alnum, or(or(digit, upper), letter));
        add(gap, or(is(c, ' '), is(c, '-')));
        add(dot, or(is(c, '.'), in(c, '(', 1)));
        add(plus, is(c, '+'));
    }

#undef add
}

#undef load
#undef or
#undef and
#undef in
#undef two
#undef is

#else

static inline uint32_t
stoa_guard_marks(const char *s, uint32_t *digits)
{
    unsigned     i;
    uint32_t     marks;
    const char  *p;

    for (i = 0, marks = 0, *digits = 0; i < STOA_GUARD_BLOCK; i++) {
        p = s + i;
        *digits |= (uint32_t) stoa_guard_digit(*p) << i;
        marks |= (uint32_t) (*p == '@' || (*p == 'g' && p[3] == '_')
                             || (p[1] == '_' && (*p == 'a' || *p == 'b'
                                                 || *p == 'k'))
                             || (*p == '-' && p[1] == '-' && p[2] == '-')
                             || (*p == 'x' && p[1] == 'o' && p[2] == 'x')
                             || (*p == 'y' && p[1] == 'J')
                             || (*p == 'I' && p[1] == 'A')) << i;
    }

    return marks;
}


static inline uint32_t
stoa_guard_marks_inject(const char *s)
{
    char      c, n, t;
    unsigned  i;
    uint32_t  marks;

    for (i = 0, marks = 0; i < STOA_GUARD_BLOCK; i++) {
        c = (char) (s[i] | 0x20);
        n = (char) (s[i + 1] | 0x20);
        t = (char) (s[i + 2] | 0x20);
        marks |= (uint32_t) ((c == 'r' && n == 'u' && t == 'c')
                             || (c == 'u' && n == 's' && t == 'e')
                             || (c == '{' && n == 'i' && t == 'n')
                             || (c == '<' && (n == '|'
                                              || (n == '<' && t == 's')
                                              || (n == 's' && t == 'y')
                                              || (n == 'i' && (t == 'm'
                                                               || t == 'n'))))
                             || (s[i] == '\xff' && (s[i + 1] & 0x80))
                             || (s[i] == '\xf3' && s[i + 1] == '\xa0')) << i;
    }

    return marks;
}


static inline void
stoa_guard_window(const char *s, stoa_guard_window_t *w)
{
    unsigned  i;
    uint64_t  bit;

    memset(w, 0, sizeof(stoa_guard_window_t));

    for (i = 0, bit = 1; i < STOA_GUARD_WINDOW; i++, bit <<= 1) {
        w->digit |= stoa_guard_digit(s[i]) ? bit : 0;
        w->upper |= stoa_guard_upper(s[i]) ? bit : 0;
        w->alnum |= stoa_guard_alnum(s[i]) ? bit : 0;
        w->gap |= s[i] == ' ' || s[i] == '-' ? bit : 0;
        w->dot |= s[i] == '.' || s[i] == '(' || s[i] == ')' ? bit : 0;
        w->plus |= s[i] == '+' ? bit : 0;
    }
}

#endif


/* Which bytes of the block are the first digit of a word that one of the rules
 * may take: what each needs is behind its names. */

static inline uint32_t
stoa_guard_runs(unsigned kinds, const stoa_guard_window_t *w)
{
    uint64_t  d, d2, d3, d4, d6, d8, d13, u2, begin, near, m;

    d = w->digit;
    d2 = d & (d >> 1);
    d3 = d2 & (d >> 2);
    d4 = d2 & (d2 >> 2);
    d6 = d4 & (d2 >> 4);
    d8 = d4 & (d4 >> 4);
    d13 = d8 & (d4 >> 8) & (d >> 12);
    u2 = w->upper & (w->upper >> 1);
    begin = d & ~(w->alnum << 1);
    m = 0;

    if (kinds & 1u << STOA_GUARD_CARD) {     /* 13 and more, or "DDDD DDD"   */
        m |= begin & (d13 | (d4 & (w->gap >> 4) & (d3 >> 5)));
    }

    if (kinds & 1u << STOA_GUARD_IBAN) {     /* "UUDD"                       */
        m |= d2 & (u2 << 2) & ~(w->alnum << 3);
    }

    if (kinds & 1u << STOA_GUARD_PHONE) {    /* "+", 8 digits or gaps        */
        near = d | w->gap | w->dot;
        near &= near >> 1;
        near &= near >> 2;
        m |= begin & (w->plus << 1) & near & (near >> 4);
    }

    if (kinds & 1u << STOA_GUARD_ID) {
        near = w->gap | w->plus | w->upper;
        m |= (begin & (((w->gap >> 1) & (d2 >> 2)) | d13        /* NIR, AHV  */
                       | (d6 & (near >> 6) & (d3 >> 7))         /* hetu, NIR */
                       | (d3 & (w->dot >> 3) & (d >> 4))        /* AHV       */
                       | (d8 & ((near & ~w->plus) >> 8))))      /* DNI       */
             | (d6 & (d >> 6) & (w->upper << 1) & ~(w->alnum << 2))   /* NIE */
             | (d2 & ((u2 & (u2 >> 2) & (u2 >> 4)) << 6)        /* fiscale   */
                & ~(w->alnum << 7));
    }

    return (uint32_t) (m >> STOA_GUARD_BEHIND);
}


/* The window around i: what is before the floor, or behind the end, is no
 * byte of a word. */

static uint32_t
stoa_guard_numbers(unsigned kinds, const char *s, size_t len, size_t floor,
    size_t i)
{
    char                 pad[STOA_GUARD_WINDOW];
    size_t               before, n;
    uint64_t             known;
    stoa_guard_window_t  w;

    if (i >= STOA_GUARD_BEHIND
        && len - i >= STOA_GUARD_WINDOW - STOA_GUARD_BEHIND)
    {
        stoa_guard_window(s + i - STOA_GUARD_BEHIND, &w);

    } else {
        before = i < STOA_GUARD_BEHIND ? i : STOA_GUARD_BEHIND;
        n = len - i < STOA_GUARD_WINDOW - STOA_GUARD_BEHIND
            ? len - i : STOA_GUARD_WINDOW - STOA_GUARD_BEHIND;

        memset(pad, 0, sizeof(pad));
        memcpy(pad + STOA_GUARD_BEHIND - before, s + i - before, before + n);
        stoa_guard_window(pad, &w);
    }

    if (i - floor < STOA_GUARD_BEHIND) {
        known = UINT64_MAX << (STOA_GUARD_BEHIND - (i - floor));
        w.digit &= known;
        w.upper &= known;
        w.alnum &= known;
        w.plus &= known;
    }

    return stoa_guard_runs(kinds, &w);
}


static inline bool
stoa_guard_at(unsigned kinds, const char *s, size_t len, size_t floor,
    size_t p, size_t *skip, stoa_guard_said_t *said, stoa_guard_hit_t *hit)
{
    switch (s[p]) {

    case '@':
        return (kinds & 1u << STOA_GUARD_MAIL)
               && stoa_guard_mail(s, len, floor, p, hit);

    case '-':
    case 'y':
    case 'I':
    case 'x':
    case 'a':
    case 'b':
    case 'g':
    case 'k':
        return (kinds & 1u << STOA_GUARD_SECRET)
               && stoa_guard_secret(s, len, floor, p, skip, hit);

    default:
        return stoa_guard_digit(s[p])
               ? stoa_guard_number(kinds, s, len, floor, p, hit)
               : (kinds & 1u << STOA_GUARD_INJECTION)
                 && stoa_guard_inject(s, len, floor, p, said, hit);
    }
}


bool
stoa_guard_next(unsigned kinds, const char *s, size_t len, size_t *at,
    stoa_guard_hit_t *hit)
{
    char                rest[STOA_GUARD_BLOCK + STOA_GUARD_AHEAD];
    size_t              i, p, skip;
    uint32_t            marks, digits;
    const char         *block;
    stoa_guard_said_t   said;

    said.n = 0;
    said.head = 0;
    said.lists = 0;

    for (i = *at, skip = *at; i < len; i += STOA_GUARD_BLOCK) {

        block = s + i;

        if (len - i < STOA_GUARD_BLOCK + STOA_GUARD_AHEAD) {
            memset(rest, 0, sizeof(rest));
            memcpy(rest, s + i, len - i);
            block = rest;
        }

        marks = stoa_guard_marks(block, &digits);

        if (kinds & 1u << STOA_GUARD_INJECTION) {
            marks |= stoa_guard_marks_inject(block);
        }

        if (digits && (kinds & STOA_GUARD_NUMBERS)) {
            marks |= stoa_guard_numbers(kinds, s, len, *at, i);
        }

        for ( /* void */ ; marks; marks &= marks - 1) {
            p = i + (size_t) __builtin_ctz(marks);

            if (p >= skip
                && stoa_guard_at(kinds, s, len, *at, p, &skip, &said, hit))
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
