/*
 * Patterns: from a text to a program of an automaton.
 */

#include <string.h>

#include "stoa_pattern_ins.h"


#define STOA_CHAR_MAX   0x10ffff
#define STOA_REPEAT_MAX 1000

typedef struct {
    const char            *p;
    const char            *end;
    const char            *wrong;
    unsigned               depth;
    uint32_t               nins;
    uint32_t               nranges;
    stoa_pattern_ins_t     ins[STOA_PATTERN_MAX];
    stoa_pattern_range_t   ranges[STOA_PATTERN_MAX];
} stoa_pattern_make_t;

static bool stoa_pattern_alternatives(stoa_pattern_make_t *m);
static bool stoa_pattern_sequence(stoa_pattern_make_t *m);
static bool stoa_pattern_repeat(stoa_pattern_make_t *m, uint32_t from);
static bool stoa_pattern_counts(stoa_pattern_make_t *m, unsigned *min,
    unsigned *max);
static bool stoa_pattern_atom(stoa_pattern_make_t *m);
static bool stoa_pattern_class(stoa_pattern_make_t *m);
static bool stoa_pattern_escape(stoa_pattern_make_t *m, uint32_t *c);
static bool stoa_pattern_hex(stoa_pattern_make_t *m, unsigned digits,
    uint32_t *c);
static bool stoa_pattern_set_of(stoa_pattern_make_t *m, char name);
static bool stoa_pattern_range(stoa_pattern_make_t *m, uint32_t lo,
    uint32_t hi);
static bool stoa_pattern_insert(stoa_pattern_make_t *m, uint32_t at,
    stoa_pattern_op_e op, uint32_t x);
static bool stoa_pattern_copy(stoa_pattern_make_t *m, uint32_t from,
    uint32_t n);
static bool stoa_pattern_wrong(stoa_pattern_make_t *m, const char *text);


stoa_rc_t
stoa_pattern_compile(const char *s, size_t len, stoa_buf_t *out,
    const char **text)
{
    stoa_pattern_t        head;
    stoa_pattern_make_t   m;

    m.p = s;
    m.end = s + len;
    m.wrong = NULL;
    m.depth = 0;
    m.nins = 0;
    m.nranges = 0;

    if (memchr(s, '\0', len)) {
        (void) stoa_pattern_wrong(&m, "has U+0000 in it");

    } else if (stoa_pattern_alternatives(&m) && m.p < m.end) {
        (void) stoa_pattern_wrong(&m, "has a ) without a (");
    }

    if (m.wrong == NULL) {
        (void) stoa_pattern_insert(&m, m.nins, FOUND, 0);
    }

    if (m.wrong) {
        *text = m.wrong;
        return STOA_DECLINED;
    }

    head.nins = m.nins;
    head.nranges = m.nranges;

    stoa_buf_add(out, &head, sizeof(head));
    stoa_buf_add(out, m.ins, m.nins * sizeof(stoa_pattern_ins_t));
    stoa_buf_add(out, m.ranges, m.nranges * sizeof(stoa_pattern_range_t));

    return out->rc;
}


static bool
stoa_pattern_alternatives(stoa_pattern_make_t *m)
{
    uint32_t  from, jump;

    from = m->nins;

    if (!stoa_pattern_sequence(m)) {
        return false;
    }

    if (m->p == m->end || *m->p != '|') {
        return true;
    }

    /* one way, then behind the other */

    m->p++;

    if (!stoa_pattern_insert(m, from, SPLIT, m->nins + 2)) {
        return false;
    }

    jump = m->nins;

    if (!stoa_pattern_insert(m, jump, JUMP, 0)
        || !stoa_pattern_alternatives(m))
    {
        return false;
    }

    m->ins[jump].x = m->nins;

    return true;
}


static bool
stoa_pattern_sequence(stoa_pattern_make_t *m)
{
    uint32_t  from;

    while (m->p < m->end && *m->p != '|' && *m->p != ')') {
        from = m->nins;

        if (!stoa_pattern_atom(m) || !stoa_pattern_repeat(m, from)) {
            return false;
        }
    }

    return true;
}


/* What was written from `from` on is there so many times. */

static bool
stoa_pattern_repeat(stoa_pattern_make_t *m, uint32_t from)
{
    uint32_t  n, at;
    unsigned  i, min, max;

    if (m->p == m->end || !strchr("*+?{", *m->p)) {
        return true;
    }

    n = m->nins - from;

    if (!stoa_pattern_counts(m, &min, &max)) {
        return false;
    }

    if (m->p < m->end && *m->p == '?') {
        m->p++;                      /* what is found is the same            */
    }

    if (m->p < m->end && strchr("*+?{", *m->p)) {
        return stoa_pattern_wrong(m, "repeats what is repeated");
    }

    for (i = 1; i < min; i++) {
        if (!stoa_pattern_copy(m, from, n)) {
            return false;
        }
    }

    at = m->nins;

    if (max == 0) {                  /* without an end                       */
        if (min == 0) {
            return stoa_pattern_insert(m, from, SPLIT, from + n + 2)
                   && stoa_pattern_insert(m, m->nins, JUMP, from);
        }

        return stoa_pattern_insert(m, at, SPLIT, at + 2)
               && stoa_pattern_insert(m, at + 1, JUMP, at - n);
    }

    /* who leaves one out leaves out all behind it: few states at once */

    if (min == 0) {
        if (!stoa_pattern_insert(m, from, SPLIT, from + max * (n + 1))) {
            return false;
        }

        from++;
        min = 1;
    }

    for (i = min; i < max; i++) {
        at = m->nins;

        if (!stoa_pattern_insert(m, at, SPLIT, at + (max - i) * (n + 1))
            || !stoa_pattern_copy(m, from, n))
        {
            return false;
        }
    }

    return true;
}


/* *max 0: no end. */

static bool
stoa_pattern_counts(stoa_pattern_make_t *m, unsigned *min, unsigned *max)
{
    unsigned  i, n[2];

    *min = *m->p == '+';
    *max = *m->p == '?';

    if (*m->p++ != '{') {
        return true;
    }

    n[0] = 0;
    n[1] = 0;

    for (i = 0; i < 2; i++) {
        if (m->p == m->end || ((*m->p < '0' || *m->p > '9') && i == 0)) {
            return stoa_pattern_wrong(m, "has a { that counts nothing");
        }

        while (m->p < m->end && *m->p >= '0' && *m->p <= '9'
               && n[i] <= STOA_REPEAT_MAX)
        {
            n[i] = n[i] * 10 + (unsigned) (*m->p++ - '0');
        }

        if (i == 0) {
            n[1] = m->p < m->end && *m->p == ',' ? 0 : n[0];

            if (n[1] || m->p == m->end || *m->p != ',') {
                break;
            }

            m->p++;
        }
    }

    if (m->p == m->end || *m->p != '}') {
        return stoa_pattern_wrong(m, "has a { without a }");
    }

    if (n[0] > STOA_REPEAT_MAX || n[1] > STOA_REPEAT_MAX
        || (n[1] && n[1] < n[0]) || (n[1] == 0 && m->p[-1] != ','))
    {
        return stoa_pattern_wrong(m, "repeats 0 or more than 1000 times");
    }

    m->p++;
    *min = n[0];
    *max = n[1];

    return true;
}


static bool
stoa_pattern_atom(stoa_pattern_make_t *m)
{
    uint32_t     c, from;
    const char  *set;

    switch (*m->p) {

    case '(':
        m->p++;

        if (m->end - m->p >= 2 && m->p[0] == '?') {
            if (m->p[1] != ':') {
                return stoa_pattern_wrong(m, "has a group that is not known");
            }

            m->p += 2;
        }

        if (++m->depth > STOA_PATTERN_DEPTH) {
            return stoa_pattern_wrong(m, "has too many groups in each other");
        }

        if (!stoa_pattern_alternatives(m)) {
            return false;
        }

        m->depth--;

        if (m->p == m->end || *m->p != ')') {
            return stoa_pattern_wrong(m, "has a ( without a )");
        }

        m->p++;
        return true;

    case '[':
        return stoa_pattern_class(m);

    case '^':
    case '$':
        return stoa_pattern_insert(m, m->nins, *m->p++ == '^' ? BEGIN : END,
                                   0);

    case '*':
    case '+':
    case '?':
    case '{':
    case '}':
    case ']':
        return stoa_pattern_wrong(m, "repeats nothing, or has a bracket that "
                                  "is not escaped");
    }

    from = m->nranges;

    if (*m->p == '.') {
        m->p++;

        return stoa_pattern_range(m, '\n', '\n')
               && stoa_pattern_range(m, '\r', '\r')
               && stoa_pattern_range(m, 0x2028, 0x2029)
               && stoa_pattern_insert(m, m->nins, ABSENT, from);
    }

    set = m->end - m->p >= 2 && *m->p == '\\' ? strchr("dwsDWS", m->p[1])
          : NULL;

    if (set && *set) {
        m->p += 2;

        return stoa_pattern_set_of(m, *set)
               && stoa_pattern_insert(m, m->nins,
                                      *set < 'a' ? ABSENT : RANGES, from);
    }

    return stoa_pattern_escape(m, &c) && stoa_pattern_range(m, c, c)
           && stoa_pattern_insert(m, m->nins, RANGES, from);
}


static bool
stoa_pattern_class(stoa_pattern_make_t *m)
{
    bool         absent;
    uint32_t     from, lo, hi;
    const char  *set;

    from = m->nranges;
    m->p++;
    absent = m->p < m->end && *m->p == '^';
    m->p += absent;

    while (m->p < m->end && *m->p != ']') {
        set = m->end - m->p >= 2 && *m->p == '\\' ? strchr("dwsDWS", m->p[1])
              : NULL;

        if (set && *set) {
            if (*set < 'a') {
                return stoa_pattern_wrong(m, "has \\D, \\W or \\S in a "
                                          "class");
            }

            m->p += 2;

            if (!stoa_pattern_set_of(m, *set)) {
                return false;
            }

            continue;
        }

        if (*m->p == '[') {
            return stoa_pattern_wrong(m, "has a [ in a class that is not "
                                      "escaped");
        }

        if (!stoa_pattern_escape(m, &lo)) {
            return false;
        }

        hi = lo;

        if (m->end - m->p >= 2 && *m->p == '-' && m->p[1] != ']') {
            m->p++;

            if (!stoa_pattern_escape(m, &hi)) {
                return false;
            }
        }

        if (hi < lo) {
            return stoa_pattern_wrong(m, "has a range that is none");
        }

        if (!stoa_pattern_range(m, lo, hi)) {
            return false;
        }
    }

    if (m->p == m->end) {
        return stoa_pattern_wrong(m, "has a [ without a ]");
    }

    m->p++;

    return stoa_pattern_insert(m, m->nins, absent ? ABSENT : RANGES, from);
}


/* One character, escaped or not. */

static bool
stoa_pattern_escape(stoa_pattern_make_t *m, uint32_t *c)
{
    const char  *at;

    static const char  names[] = "nrtfv0";
    static const char  chars[] = "\n\r\t\f\v";

    if (*m->p != '\\') {
        *c = stoa_pattern_char(&m->p, m->end, false);
        return true;
    }

    if (++m->p == m->end) {
        return stoa_pattern_wrong(m, "ends with a backslash");
    }

    if (*m->p == 'x' || *m->p == 'u') {
        return stoa_pattern_hex(m, *m->p == 'x' ? 2 : 4, c);
    }

    at = strchr(names, *m->p);

    if (*m->p && at) {
        *c = (unsigned char) chars[at - names];
        m->p++;
        return true;
    }

    if (*m->p <= ' ' || *m->p > '~' || (*m->p >= '0' && *m->p <= '9')
        || (*m->p >= 'a' && *m->p <= 'z') || (*m->p >= 'A' && *m->p <= 'Z'))
    {
        return stoa_pattern_wrong(m, "has an escape that is not known");
    }

    *c = (unsigned char) *m->p++;

    return true;
}


static bool
stoa_pattern_hex(stoa_pattern_make_t *m, unsigned digits, uint32_t *c)
{
    char  d;

    m->p++;

    for (*c = 0; digits; digits--) {
        d = m->p < m->end ? *m->p++ : 'x';
        d = (char) (d >= 'A' && d <= 'F' ? d | 0x20 : d);

        if (!((d >= '0' && d <= '9') || (d >= 'a' && d <= 'f'))) {
            return stoa_pattern_wrong(m, "has an escape that is not known");
        }

        *c = *c << 4 | (uint32_t) (d <= '9' ? d - '0' : d - 'a' + 10);
    }

    return true;
}


static bool
stoa_pattern_set_of(stoa_pattern_make_t *m, char name)
{
    switch (name | 0x20) {

    case 'd':
        return stoa_pattern_range(m, '0', '9');

    case 'w':
        return stoa_pattern_range(m, '0', '9')
               && stoa_pattern_range(m, 'A', 'Z')
               && stoa_pattern_range(m, 'a', 'z')
               && stoa_pattern_range(m, '_', '_');

    default: /* 's', as ECMA-262 has it */
        return stoa_pattern_range(m, '\t', '\r')
               && stoa_pattern_range(m, ' ', ' ')
               && stoa_pattern_range(m, 0xa0, 0xa0)
               && stoa_pattern_range(m, 0x1680, 0x1680)
               && stoa_pattern_range(m, 0x2000, 0x200a)
               && stoa_pattern_range(m, 0x2028, 0x2029)
               && stoa_pattern_range(m, 0x202f, 0x202f)
               && stoa_pattern_range(m, 0x205f, 0x205f)
               && stoa_pattern_range(m, 0x3000, 0x3000)
               && stoa_pattern_range(m, 0xfeff, 0xfeff);
    }
}


static bool
stoa_pattern_range(stoa_pattern_make_t *m, uint32_t lo, uint32_t hi)
{
    if (m->nranges == STOA_PATTERN_MAX) {
        return stoa_pattern_wrong(m, "is too long");
    }

    m->ranges[m->nranges].lo = lo;
    m->ranges[m->nranges++].hi = hi;

    return true;
}


/* What lies behind moves, and so do the ways to it. */

static bool
stoa_pattern_insert(stoa_pattern_make_t *m, uint32_t at, stoa_pattern_op_e op,
    uint32_t x)
{
    uint32_t  i;

    if (m->nins == STOA_PATTERN_MAX) {
        return stoa_pattern_wrong(m, "is too long");
    }

    memmove(&m->ins[at + 1], &m->ins[at],
            (m->nins - at) * sizeof(stoa_pattern_ins_t));
    m->nins++;

    for (i = at + 1; i < m->nins; i++) {
        if (m->ins[i].op == SPLIT || m->ins[i].op == JUMP) {
            m->ins[i].x++;           /* none leads before what is inserted   */
        }
    }

    m->ins[at].op = (uint16_t) op;
    m->ins[at].x = x;
    m->ins[at].n = (uint16_t) (op <= ABSENT ? m->nranges - x : 0);

    return true;
}


static bool
stoa_pattern_copy(stoa_pattern_make_t *m, uint32_t from, uint32_t n)
{
    uint32_t             i;
    stoa_pattern_ins_t  *ins;

    if (m->nins + n > STOA_PATTERN_MAX) {
        return stoa_pattern_wrong(m, "is too long");
    }

    for (i = 0; i < n; i++) {
        ins = &m->ins[m->nins + i];
        *ins = m->ins[from + i];

        if (ins->op == SPLIT || ins->op == JUMP) {
            ins->x += m->nins - from;
        }
    }

    m->nins += n;

    return true;
}


static bool
stoa_pattern_wrong(stoa_pattern_make_t *m, const char *text)
{
    if (m->wrong == NULL) {
        m->wrong = text;
    }

    return false;
}
