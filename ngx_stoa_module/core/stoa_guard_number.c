/*
 * Phones (E.164 with its plus), cards (networks, Luhn), IBANs (length by
 * country, modulo 97), national ids: FR (NIR), ES (DNI, NIE), IT (codice
 * fiscale), FI (henkilotunnus), CH (AHV), each with its checksum.
 */

#include <string.h>

#include "stoa_guard_number.h"


#define STOA_GUARD_CARD_MIN   13
#define STOA_GUARD_CARD_MAX   19
#define STOA_GUARD_PHONE_MIN  8
#define STOA_GUARD_PHONE_MAX  15
#define STOA_GUARD_IBAN_MAX   34
#define STOA_GUARD_NIR_LEN    15
#define STOA_GUARD_AHV_LEN    13
#define STOA_GUARD_LETTERS    6              /* before the first digit      */


/* The word, what is before it, what is behind it. */

typedef struct {
    const char  *s;
    size_t       len;
    size_t       from;
    size_t       to;
    size_t       digits;                     /* it begins with              */
    char         before;
    bool         fraction;                   /* of a decimal number         */
} stoa_guard_word_t;

typedef bool stoa_guard_rule_t(const stoa_guard_word_t *w,
    stoa_guard_hit_t *hit);

static stoa_guard_rule_t  stoa_guard_phone;
static stoa_guard_rule_t  stoa_guard_card;
static stoa_guard_rule_t  stoa_guard_iban;
static stoa_guard_rule_t  stoa_guard_nir;
static stoa_guard_rule_t  stoa_guard_dni;
static stoa_guard_rule_t  stoa_guard_fiscale;
static stoa_guard_rule_t  stoa_guard_hetu;
static stoa_guard_rule_t  stoa_guard_ahv;
static size_t stoa_guard_collect(const stoa_guard_word_t *w,
    const char *separators, char *dst, size_t max, size_t *end);
static uint32_t stoa_guard_network(const char *d);
static bool stoa_guard_luhn(const char *d, size_t n);
static uint64_t stoa_guard_value(const char *d, size_t n);


/* By how many letters may be before the first digit, and how long the word. */

#define IS(n)    (UINT64_C(1) << (n))
#define FROM(n)  (UINT64_MAX << (n))

static const struct {
    stoa_guard_e        kind;
    uint32_t            letters;
    uint64_t            len;
    stoa_guard_rule_t  *found;
} stoa_guard_rules[] = {
    { STOA_GUARD_IBAN, IS(2), FROM(4), stoa_guard_iban },
    { STOA_GUARD_ID, IS(0), IS(1) | IS(13) | IS(15), stoa_guard_nir },
    { STOA_GUARD_ID, IS(0) | IS(1), IS(8) | IS(9), stoa_guard_dni },
    { STOA_GUARD_ID, IS(6), IS(16), stoa_guard_fiscale },
    { STOA_GUARD_ID, IS(0), IS(6) | IS(11), stoa_guard_hetu },
    { STOA_GUARD_ID, IS(0), IS(3) | IS(13), stoa_guard_ahv },
    { STOA_GUARD_PHONE, IS(0), FROM(1), stoa_guard_phone },
    { STOA_GUARD_CARD, IS(0), IS(4) | (FROM(13) & ~FROM(20)),
      stoa_guard_card }
};

#undef FROM
#undef IS


#define NONE  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0

const bool  stoa_guard_alnums[256] = {
    NONE, NONE, NONE,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0,
    0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0,
    0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0,
    NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE
};

#undef NONE


/* How long an IBAN of a country is. */

#define OF(a, b)  [(a - 'A') * 26 + b - 'A']

static const uint8_t  stoa_guard_countries[26 * 26] = {
    OF('A', 'D') = 24, OF('A', 'E') = 23, OF('A', 'L') = 28,
    OF('A', 'T') = 20, OF('A', 'Z') = 28, OF('B', 'A') = 20,
    OF('B', 'E') = 16, OF('B', 'G') = 22, OF('B', 'H') = 22,
    OF('B', 'I') = 27, OF('B', 'R') = 29, OF('B', 'Y') = 28,
    OF('C', 'H') = 21, OF('C', 'R') = 22, OF('C', 'Y') = 28,
    OF('C', 'Z') = 24, OF('D', 'E') = 22, OF('D', 'J') = 27,
    OF('D', 'K') = 18, OF('D', 'O') = 28, OF('E', 'E') = 20,
    OF('E', 'G') = 29, OF('E', 'S') = 24, OF('F', 'I') = 18,
    OF('F', 'K') = 18, OF('F', 'O') = 18, OF('F', 'R') = 27,
    OF('G', 'B') = 22, OF('G', 'E') = 22, OF('G', 'I') = 23,
    OF('G', 'L') = 18, OF('G', 'R') = 27, OF('G', 'T') = 28,
    OF('H', 'R') = 21, OF('H', 'U') = 28, OF('I', 'E') = 22,
    OF('I', 'L') = 23, OF('I', 'Q') = 23, OF('I', 'S') = 26,
    OF('I', 'T') = 27, OF('J', 'O') = 30, OF('K', 'W') = 30,
    OF('K', 'Z') = 20, OF('L', 'B') = 28, OF('L', 'C') = 32,
    OF('L', 'I') = 21, OF('L', 'T') = 20, OF('L', 'U') = 20,
    OF('L', 'V') = 21, OF('L', 'Y') = 25, OF('M', 'C') = 27,
    OF('M', 'D') = 24, OF('M', 'E') = 22, OF('M', 'K') = 19,
    OF('M', 'N') = 20, OF('M', 'R') = 27, OF('M', 'T') = 31,
    OF('M', 'U') = 30, OF('N', 'I') = 28, OF('N', 'L') = 18,
    OF('N', 'O') = 15, OF('O', 'M') = 23, OF('P', 'K') = 24,
    OF('P', 'L') = 28, OF('P', 'S') = 29, OF('P', 'T') = 25,
    OF('Q', 'A') = 29, OF('R', 'O') = 24, OF('R', 'S') = 22,
    OF('R', 'U') = 33, OF('S', 'A') = 24, OF('S', 'C') = 31,
    OF('S', 'D') = 18, OF('S', 'E') = 24, OF('S', 'I') = 19,
    OF('S', 'K') = 24, OF('S', 'M') = 27, OF('S', 'O') = 23,
    OF('S', 'T') = 25, OF('S', 'V') = 28, OF('T', 'L') = 23,
    OF('T', 'N') = 24, OF('T', 'R') = 26, OF('U', 'A') = 29,
    OF('V', 'A') = 22, OF('V', 'G') = 24, OF('X', 'K') = 20, OF('Y', 'E') = 30
};

#undef OF


bool
stoa_guard_number(unsigned kinds, const char *s, size_t len, size_t floor,
    size_t p, stoa_guard_hit_t *hit)
{
    size_t             i;
    stoa_guard_word_t  w;

    for (w.from = p; w.from > floor && stoa_guard_alnum(s[w.from - 1]);
         w.from--)
    {
        if (stoa_guard_digit(s[w.from - 1])
            || p - w.from == STOA_GUARD_LETTERS)
        {
            return false;
        }
    }

    for (w.to = p + 1; w.to < len && stoa_guard_alnum(s[w.to]); w.to++) {
        /* void */
    }

    for (w.digits = 0; w.from + w.digits < w.to
         && stoa_guard_digit(s[w.from + w.digits]); w.digits++) { /* void */ }

    w.s = s;
    w.len = len;
    w.before = w.from > floor ? s[w.from - 1] : '\0';
    w.fraction = (w.before == '.' && w.from - floor > 1
                  && stoa_guard_digit(s[w.from - 2]))
                 || (len - w.to > 1 && s[w.to] == '.'
                     && stoa_guard_digit(s[w.to + 1]));

    len = w.to - w.from < 63 ? w.to - w.from : 63;

    for (i = 0; i < sizeof(stoa_guard_rules) / sizeof(stoa_guard_rules[0]);
         i++)
    {
        if ((kinds & 1u << stoa_guard_rules[i].kind)
            && (stoa_guard_rules[i].len >> len & 1)
            && (stoa_guard_rules[i].letters >> (p - w.from) & 1)
            && stoa_guard_rules[i].found(&w, hit))
        {
            hit->kind = stoa_guard_rules[i].kind;
            return true;
        }
    }

    return false;
}


/* Letters and digits of groups with one separator between them. */

static size_t
stoa_guard_collect(const stoa_guard_word_t *w, const char *separators,
    char *dst, size_t max, size_t *end)
{
    size_t  i, n;

    for (i = w->from, n = 0; i < w->len && n < max; i++) {

        if (stoa_guard_alnum(w->s[i])) {
            dst[n++] = w->s[i];
            *end = i + 1;

        } else if (w->s[i] == '\0' || i != *end
                   || strchr(separators, w->s[i]) == NULL)
        {
            break;
        }
    }

    return n;
}


static uint64_t
stoa_guard_value(const char *d, size_t n)
{
    size_t    i;
    uint64_t  value;

    for (i = 0, value = 0; i < n; i++) {

        if (!stoa_guard_digit(d[i])) {
            return UINT64_MAX;
        }

        value = value * 10 + (uint64_t) (d[i] - '0');
    }

    return value;
}


static bool
stoa_guard_phone(const stoa_guard_word_t *w, stoa_guard_hit_t *hit)
{
    size_t  i, n, gap, end;

    if (w->before != '+' || w->s[w->from] == '0'
        || (w->from > 1 && (stoa_guard_alnum(w->s[w->from - 2])
                            || w->s[w->from - 2] == '+')))
    {
        return false;
    }

    for (i = w->from, n = 0, gap = 0, end = i; i < w->len; i++) {

        if (stoa_guard_digit(w->s[i])) {
            n++;
            gap = 0;
            end = i + 1;

            if (n > STOA_GUARD_PHONE_MAX) {
                return false;
            }

        } else if (w->s[i] == '\0' || strchr(" -.()", w->s[i]) == NULL
                   || ++gap > 2)
        {
            break;
        }
    }

    if (n < STOA_GUARD_PHONE_MIN
        || (end < w->len && stoa_guard_alnum(w->s[end])))
    {
        return false;
    }

    hit->from = w->from - 1;
    hit->to = end;

    return true;
}


/* In one, or in groups, the first of four digits, with one kind of separator
 * between them. */

static bool
stoa_guard_card(const stoa_guard_word_t *w, stoa_guard_hit_t *hit)
{
    char      d[STOA_GUARD_CARD_MAX], separator;
    size_t    i, n, group;
    uint32_t  lengths;

    n = w->to - w->from;

    if (w->digits != n || w->fraction) {
        return false;
    }

    lengths = stoa_guard_network(w->s + w->from);

    if (lengths == 0) {
        return false;
    }

    hit->from = w->from;
    hit->to = w->to;

    if (n >= STOA_GUARD_CARD_MIN) {
        return (lengths >> n & 1) && stoa_guard_luhn(w->s + w->from, n);
    }

    if (w->to == w->len) {
        return false;
    }

    separator = w->s[w->to];

    if (separator != ' ' && separator != '-') {
        return false;
    }

    memcpy(d, w->s + w->from, 4);

    for (i = w->to; i < w->len && w->s[i] == separator; /* void */ ) {

        for (i++, group = 0; i < w->len && stoa_guard_digit(w->s[i]);
             i++, group++)
        {
            if (n == STOA_GUARD_CARD_MAX) {
                return false;
            }

            d[n++] = w->s[i];
        }

        if (group < 3 || (i < w->len && stoa_guard_alnum(w->s[i]))) {
            return false;
        }

        hit->to = i;

        if ((lengths >> n & 1) && stoa_guard_luhn(d, n)) {
            return true;
        }
    }

    return false;
}


/* By its first digits: of which lengths (bits) are cards?  0: of none. */

static uint32_t
stoa_guard_network(const char *d)
{
    size_t    i, last;
    uint32_t  four;

#define TO(from, to)  ((2u << to) - (1u << from))

    static const struct {
        uint16_t  from;
        uint16_t  to;
        uint32_t  lengths;
    } networks[] = {
        { 2200, 2204, TO(16, 19) },          /* Mir                         */
        { 2221, 2720, TO(16, 16) },          /* Mastercard                  */
        { 3000, 3059, TO(14, 19) },          /* Diners Club                 */
        { 3400, 3499, TO(15, 15) },          /* American Express            */
        { 3528, 3589, TO(16, 19) },          /* JCB                         */
        { 3600, 3699, TO(14, 19) },          /* Diners Club                 */
        { 3700, 3799, TO(15, 15) },          /* American Express            */
        { 3800, 3999, TO(14, 19) },          /* Diners Club                 */
        { 4000, 4999, TO(13, 19) },          /* Visa                        */
        { 5000, 5099, TO(13, 19) },          /* Maestro                     */
        { 5100, 5599, TO(16, 16) },          /* Mastercard                  */
        { 5600, 5899, TO(13, 19) },          /* Maestro                     */
        { 6011, 6011, TO(16, 19) },          /* Discover                    */
        { 6200, 6299, TO(16, 19) },          /* UnionPay                    */
        { 6300, 6399, TO(13, 19) },          /* Maestro                     */
        { 6440, 6599, TO(16, 19) },          /* Discover                    */
        { 6700, 6799, TO(13, 19) }           /* Maestro                     */
    };

#undef TO

    /* where those of a first digit begin */

    static const uint8_t  first[11] = { 0, 0, 0, 2, 8, 9, 12, 17, 17, 17, 17 };

    four = (uint32_t) stoa_guard_value(d, 4);
    last = first[d[0] - '0' + 1];

    for (i = first[d[0] - '0']; i < last; i++) {
        if (four >= networks[i].from && four <= networks[i].to) {
            return networks[i].lengths;
        }
    }

    return 0;
}


static bool
stoa_guard_luhn(const char *d, size_t n)
{
    size_t    i;
    unsigned  sum;

    static const uint8_t  twice[10] = { 0, 2, 4, 6, 8, 1, 3, 5, 7, 9 };

    for (i = n & 1, sum = i ? (unsigned) (d[0] - '0') : 0; i < n; i += 2) {
        sum += twice[d[i] - '0'] + (unsigned) (d[i + 1] - '0');
    }

    return sum % 10 == 0;
}


static bool
stoa_guard_iban(const stoa_guard_word_t *w, stoa_guard_hit_t *hit)
{
    char         d[STOA_GUARD_IBAN_MAX + 1];
    size_t       i, k, n, want, end;
    unsigned     v, rest;
    const char  *s;

    s = w->s + w->from;

    if (!stoa_guard_upper(s[0]) || !stoa_guard_upper(s[1])
        || !stoa_guard_digit(s[2]) || !stoa_guard_digit(s[3]))
    {
        return false;
    }

    want = stoa_guard_countries[(s[0] - 'A') * 26 + s[1] - 'A'];

    if (want == 0) {
        return false;
    }

    n = stoa_guard_collect(w, " ", d, want, &end);

    if (n != want || (end < w->len && stoa_guard_alnum(w->s[end]))) {
        return false;
    }

    for (i = 0, rest = 0; i < n; i++) {
        k = (i + 4) % n;

        if (stoa_guard_digit(d[k])) {
            rest = (rest * 10 + (unsigned) (d[k] - '0')) % 97;

        } else {
            v = (unsigned) ((d[k] & ~0x20) - 'A') + 10;
            rest = (rest * 100 + v) % 97;
        }
    }

    hit->from = w->from;
    hit->to = end;

    return rest == 1;
}


static bool
stoa_guard_nir(const stoa_guard_word_t *w, stoa_guard_hit_t *hit)
{
    char      d[STOA_GUARD_NIR_LEN + 1];
    size_t    n, end;
    uint64_t  value, month, less;

    n = w->to - w->from;

    if ((w->s[w->from] != '1' && w->s[w->from] != '2') || w->fraction
        || (n != 1 && n != 13 && n != 15)
        || (n == 1 && (w->len - w->to < 3 || !stoa_guard_digit(w->s[w->to + 1])
                       || !stoa_guard_digit(w->s[w->to + 2]))))
    {
        return false;
    }

    n = stoa_guard_collect(w, " ", d, STOA_GUARD_NIR_LEN, &end);

    if (n != STOA_GUARD_NIR_LEN
        || (end < w->len && stoa_guard_alnum(w->s[end])))
    {
        return false;
    }

    less = 0;

    if (d[5] == '2' && (d[6] == 'A' || d[6] == 'B')) {      /* Corsica      */
        less = d[6] == 'A' ? 1000000 : 2000000;
        d[6] = '0';
    }

    month = stoa_guard_value(d + 3, 2);
    value = stoa_guard_value(d, 13);

    if (value == UINT64_MAX || month == 0
        || (month > 12 && month < 20) || month > 42)
    {
        return false;
    }

    hit->from = w->from;
    hit->to = end;

    return stoa_guard_value(d + 13, 2) == 97 - (value - less) % 97;
}


/* Eight digits, or X, Y, Z and seven, and a letter. */

static bool
stoa_guard_dni(const stoa_guard_word_t *w, stoa_guard_hit_t *hit)
{
    char         d[8];
    size_t       n, at;
    uint64_t     value;
    const char  *s;

    static const char  letters[] = "TRWAGMYFPDXBNJZSQVHLCKE";

    s = w->s + w->from;
    n = w->to - w->from;
    at = w->from + 8;

    if (n == 8 && w->len - w->to > 1 && w->s[w->to] == '-') {
        at++;

    } else if (n != 9) {
        return false;
    }

    memcpy(d, s, 8);

    if (d[0] >= 'X' && d[0] <= 'Z') {
        d[0] = (char) (d[0] - 'X' + '0');
    }

    value = stoa_guard_value(d, 8);

    hit->from = w->from;
    hit->to = at + 1;

    return value != UINT64_MAX && letters[value % 23] == w->s[at]
           && (at + 1 == w->len || !stoa_guard_alnum(w->s[at + 1]));
}


static bool
stoa_guard_fiscale(const stoa_guard_word_t *w, stoa_guard_hit_t *hit)
{
    size_t       i;
    unsigned     v, sum;
    const char  *s;

    static const char     form[] = "LLLLLLDDLDDLDDDL";
    static const uint8_t  odd[] = { 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4,
        18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23 };

    s = w->s + w->from;

    if (w->to - w->from != sizeof(form) - 1) {
        return false;
    }

    for (i = 0, sum = 0; i < sizeof(form) - 1; i++) {

        if (form[i] == 'D' ? !stoa_guard_digit(s[i])
                           : !stoa_guard_upper(s[i]))
        {
            return false;
        }

        v = (unsigned) (form[i] == 'D' ? s[i] - '0' : s[i] - 'A');
        sum += i == 15 ? 0 : i & 1 ? v : odd[v];
    }

    hit->from = w->from;
    hit->to = w->to;

    return (unsigned) (s[15] - 'A') == sum % 26;
}


/* A date, a sign of the century, three digits and a character. */

static bool
stoa_guard_hetu(const stoa_guard_word_t *w, stoa_guard_hit_t *hit)
{
    size_t       n;
    uint64_t     day, month, value, one;
    const char  *s;

    static const char  check[] = "0123456789ABCDEFHJKLMNPRSTUVWXY";

    s = w->s + w->from;
    n = w->to - w->from;

    if ((n != 6 && n != 11) || w->len - w->from < 11 || s[6] == '\0'
        || strchr(n == 6 ? "+-" : "ABCDEFUVWXY", s[6]) == NULL)
    {
        return false;
    }

    day = stoa_guard_value(s, 2);
    month = stoa_guard_value(s + 2, 2);
    value = stoa_guard_value(s, 6);
    one = stoa_guard_value(s + 7, 3);

    if (value == UINT64_MAX || one == UINT64_MAX || day == 0 || day > 31
        || month == 0 || month > 12 || one < 2 || one > 899
        || (w->len - w->from > 11 && stoa_guard_alnum(s[11])))
    {
        return false;
    }

    hit->from = w->from;
    hit->to = w->from + 11;

    return check[(value * 1000 + one) % 31] == s[10];
}


static bool
stoa_guard_ahv(const stoa_guard_word_t *w, stoa_guard_hit_t *hit)
{
    char      d[STOA_GUARD_AHV_LEN];
    size_t    i, n, end;
    unsigned  sum;

    n = w->to - w->from;

    if ((n != 3 && n != 13) || memcmp(w->s + w->from, "756", 3) != 0) {
        return false;
    }

    n = stoa_guard_collect(w, ".", d, STOA_GUARD_AHV_LEN, &end);

    /* without dots, or with all three, which no number of JSON has */

    if (n != STOA_GUARD_AHV_LEN || stoa_guard_value(d, n) == UINT64_MAX
        || (end - w->from != n && end - w->from != n + 3)
        || (end < w->len && stoa_guard_alnum(w->s[end])))
    {
        return false;
    }

    for (i = 0, sum = 0; i < n; i++) {
        sum += (unsigned) (d[i] - '0') * (i & 1 ? 3 : 1);
    }

    hit->from = w->from;
    hit->to = end;

    return sum % 10 == 0;
}
