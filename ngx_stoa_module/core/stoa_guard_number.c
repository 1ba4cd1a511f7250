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
static bool stoa_guard_network(const char *d, size_t n);
static bool stoa_guard_luhn(const char *d, size_t n);
static uint64_t stoa_guard_value(const char *d, size_t n);


static const struct {
    stoa_guard_e        kind;
    stoa_guard_rule_t  *found;
} stoa_guard_rules[] = {
    { STOA_GUARD_IBAN, stoa_guard_iban },
    { STOA_GUARD_ID, stoa_guard_nir },
    { STOA_GUARD_ID, stoa_guard_dni },
    { STOA_GUARD_ID, stoa_guard_fiscale },
    { STOA_GUARD_ID, stoa_guard_hetu },
    { STOA_GUARD_ID, stoa_guard_ahv },
    { STOA_GUARD_PHONE, stoa_guard_phone },
    { STOA_GUARD_CARD, stoa_guard_card }
};


static const char  stoa_guard_countries[] =
    "AD24AE23AL28AT20AZ28BA20BE16BG22BH22BI27BR29BY28CH21CR22CY28CZ24DE22DJ27"
    "DK18DO28EE20EG29ES24FI18FK18FO18FR27GB22GE22GI23GL18GR27GT28HR21HU28IE22"
    "IL23IQ23IS26IT27JO30KW30KZ20LB28LC32LI21LT20LU20LV21LY25MC27MD24ME22MK19"
    "MN20MR27MT31MU30NI28NL18NO15OM23PK24PL28PS29PT25QA29RO24RS22RU33SA24SC31"
    "SD18SE24SI19SK24SM27SO23ST25SV28TL23TN24TR26UA29VA22VG24XK20YE30";


bool
stoa_guard_number(unsigned kinds, const char *s, size_t len, size_t floor,
    size_t p, size_t *skip, stoa_guard_hit_t *hit)
{
    size_t             i;
    stoa_guard_word_t  w;

    for (w.from = p; w.from > floor && stoa_guard_alnum(s[w.from - 1]);
         w.from--) { /* void */ }

    for (w.to = p + 1; w.to < len && stoa_guard_alnum(s[w.to]); w.to++) {
        /* void */
    }

    *skip = w.to;

    for (w.digits = 0; w.from + w.digits < w.to
         && stoa_guard_digit(s[w.from + w.digits]); w.digits++) { /* void */ }

    w.s = s;
    w.len = len;
    w.before = w.from > floor ? s[w.from - 1] : '\0';
    w.fraction = (w.before == '.' && w.from - floor > 1
                  && stoa_guard_digit(s[w.from - 2]))
                 || (len - w.to > 1 && s[w.to] == '.'
                     && stoa_guard_digit(s[w.to + 1]));

    for (i = 0; i < sizeof(stoa_guard_rules) / sizeof(stoa_guard_rules[0]);
         i++)
    {
        if ((kinds & 1u << stoa_guard_rules[i].kind)
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
    char    d[STOA_GUARD_CARD_MAX], separator;
    size_t  i, n, group;

    n = w->to - w->from;

    if (w->digits != n || w->fraction) {
        return false;
    }

    hit->from = w->from;
    hit->to = w->to;

    if (n >= STOA_GUARD_CARD_MIN) {
        return n <= STOA_GUARD_CARD_MAX
               && stoa_guard_network(w->s + w->from, n)
               && stoa_guard_luhn(w->s + w->from, n);
    }

    if (n != 4 || w->to == w->len) {
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

        if (n >= STOA_GUARD_CARD_MIN && stoa_guard_network(d, n)
            && stoa_guard_luhn(d, n))
        {
            return true;
        }
    }

    return false;
}


/* By its first digits: who gives cards of this length? */

static bool
stoa_guard_network(const char *d, size_t n)
{
    size_t    i;
    uint64_t  four;

    static const struct {
        uint16_t  from;
        uint16_t  to;
        uint8_t   min;
        uint8_t   max;
    } networks[] = {
        { 4000, 4999, 13, 19 },              /* Visa                        */
        { 5100, 5599, 16, 16 },              /* Mastercard                  */
        { 2221, 2720, 16, 16 },
        { 3400, 3499, 15, 15 },              /* American Express            */
        { 3700, 3799, 15, 15 },
        { 3000, 3059, 14, 19 },              /* Diners Club                 */
        { 3600, 3699, 14, 19 },
        { 3800, 3999, 14, 19 },
        { 3528, 3589, 16, 19 },              /* JCB                         */
        { 6011, 6011, 16, 19 },              /* Discover                    */
        { 6440, 6599, 16, 19 },
        { 6200, 6299, 16, 19 },              /* UnionPay                    */
        { 5000, 5099, 13, 19 },              /* Maestro                     */
        { 5600, 5899, 13, 19 },
        { 6300, 6399, 13, 19 },
        { 6700, 6799, 13, 19 },
        { 2200, 2204, 16, 19 }               /* Mir                         */
    };

    four = stoa_guard_value(d, 4);

    for (i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
        if (four >= networks[i].from && four <= networks[i].to) {
            return n >= networks[i].min && n <= networks[i].max;
        }
    }

    return false;
}


static bool
stoa_guard_luhn(const char *d, size_t n)
{
    size_t    i;
    unsigned  v, sum;

    for (i = 0, sum = 0; i < n; i++) {
        v = (unsigned) (d[n - 1 - i] - '0') << (i & 1);
        sum += v > 9 ? v - 9 : v;
    }

    return sum % 10 == 0;
}


static bool
stoa_guard_iban(const stoa_guard_word_t *w, stoa_guard_hit_t *hit)
{
    char         d[STOA_GUARD_IBAN_MAX + 1];
    size_t       i, k, n, want, end;
    unsigned     v, rest;
    const char  *c, *s;

    s = w->s + w->from;

    if (w->to - w->from < 4 || !stoa_guard_upper(s[0])
        || !stoa_guard_upper(s[1]) || !stoa_guard_digit(s[2])
        || !stoa_guard_digit(s[3]))
    {
        return false;
    }

    for (c = stoa_guard_countries; *c && memcmp(c, s, 2) != 0; c += 4) {
        /* void */
    }

    if (*c == '\0') {
        return false;
    }

    want = (size_t) stoa_guard_value(c + 2, 2);
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
        || (n != 1 && n != 13 && n != 15))
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
