/*
 * Words that speak to a model instead of a person: "ignore all previous
 * instructions", "do not tell the user", what frames of prompts look like,
 * letters that only a model reads.  A list, not an understanding.
 */

#include <string.h>

#include "stoa_guard_number.h"


static bool stoa_guard_is(const char *s, size_t len, size_t at,
    const char *word);
static bool stoa_guard_back(const char *s, size_t floor, size_t *at,
    size_t *end);
static bool stoa_guard_after(const char *s, size_t floor, size_t p,
    stoa_guard_said_t *said, unsigned need, unsigned verb, size_t *from);
static inline size_t stoa_guard_ring(const stoa_guard_said_t *said,
    unsigned i);
static void stoa_guard_words_before(const char *s, size_t floor, size_t p,
    stoa_guard_said_t *said);
static uint32_t stoa_guard_lists(const char *s, size_t from, size_t to);


/* "ignore ... previous ... instructions", "not ... tell ... user". */

enum { EARLIER = 0, IGNORE, TELL, NOT };


/* By their first letters, from 'a' on. */

static const struct {
    char     word[11];
    uint8_t  list;
} stoa_guard_words[] = {
    { "above", EARLIER }, { "ask", TELL }, { "alert", TELL },
    { "alerting", TELL },
    { "bypass", IGNORE },
    { "disregard", IGNORE }, { "don't", NOT }, { "dont", NOT },
    { "earlier", EARLIER }, { "existing", EARLIER },
    { "forget", IGNORE },
    { "ignore", IGNORE }, { "ignoring", IGNORE }, { "inform", TELL },
    { "informing", TELL },
    { "mention", TELL }, { "mentioning", TELL },
    { "not", NOT }, { "never", NOT }, { "notify", TELL },
    { "notifying", TELL },
    { "other", EARLIER }, { "original", EARLIER }, { "override", IGNORE },
    { "previous", EARLIER }, { "prior", EARLIER }, { "preceding", EARLIER },
    { "reveal", TELL },
    { "system", EARLIER }, { "safety", EARLIER }, { "show", TELL },
    { "tell", TELL }, { "telling", TELL },
    { "warn", TELL }, { "without", NOT },
    { "your", EARLIER }
};

static const uint8_t  stoa_guard_letter[27] = {
    /* a */ 0, 4, 5, 5, 8, 10, 11, 11, 11, 15, 15, 15, 15, 17, 21, 24, 27, 27,
    /* s */ 28, 31, 33, 33, 33, 35, 35, 36, 36
};

static const char *const  stoa_guard_frames[] = {
    "<important>", "<system>", "<system-reminder>", "<instructions>",
    "<<sys>>", "[inst]", "<|im_start|>", "<|im_end|>", "<|system|>",
    "<|user|>", "<|assistant|>", "<|endoftext|>", "<|start_header_id|>", NULL
};


bool
stoa_guard_inject(const char *s, size_t len, size_t floor, size_t p,
    stoa_guard_said_t *said, stoa_guard_hit_t *hit)
{
    size_t              n;
    const char *const  *frame;

    hit->kind = STOA_GUARD_INJECTION;
    hit->from = p;

    switch (s[p]) {

    case '\xf3':                             /* U+E0000 to U+E007F           */
        for (n = p; len - n >= 4 && s[n] == '\xf3' && s[n + 1] == '\xa0'
             && (s[n + 2] == '\x80' || s[n + 2] == '\x81'); n += 4)
        { /* void */ }

        hit->to = n;
        return n - p >= 8;

    case '\xff':                             /* the same, of JSON's escapes  */
        for (n = p; n < len && (s[n] == '\xff' || s[n] == '\x80'); n++) {
            /* void */
        }

        hit->to = n;
        return n - p >= 4;

    case '<':
    case '[':
        if (len - p < 6 || !stoa_guard_alnum(s[p + 2])) {
            return false;
        }

        for (frame = stoa_guard_frames; *frame; frame++) {
            if ((*frame)[1] == (s[p + 1] | 0x20)
                && stoa_guard_is(s, len, p, *frame))
            {
                hit->to = p + strlen(*frame);
                return true;
            }
        }

        return false;

    case 'r':
    case 'R':
        if (p - floor < 4 || !stoa_guard_is(s, len, p - 4, "instruction")) {
            return false;
        }

        hit->to = p + 7;

        if (stoa_guard_is(s, len, hit->to, "s")) {
            hit->to++;
        }

        return stoa_guard_after(s, floor, p - 4, said, EARLIER, IGNORE,
                                &hit->from);

    case 'u':
    case 'U':
        if (!stoa_guard_is(s, len, p, "user")) {
            return false;
        }

        hit->to = p + 4;

        return stoa_guard_after(s, floor, p, said, TELL, NOT, &hit->from);

    default:
        return false;
    }
}


/* In any case. */

static bool
stoa_guard_is(const char *s, size_t len, size_t at, const char *word)
{
    char    ch;
    size_t  i;

    for (i = 0; word[i]; i++) {
        if (at + i >= len) {
            return false;
        }

        ch = s[at + i];

        if (stoa_guard_upper(ch)) {
            ch = (char) (ch | 0x20);
        }

        if (ch != word[i]) {
            return false;
        }
    }

    return true;
}


/* Is a word of `need` among those before p, and one of `verb` before that? */

static bool
stoa_guard_after(const char *s, size_t floor, size_t p,
    stoa_guard_said_t *said, unsigned need, unsigned verb, size_t *from)
{
    unsigned  needs, verbs;

    stoa_guard_words_before(s, floor, p, said);

    needs = said->lists >> 8 * need & 0xff;
    verbs = said->lists >> 8 * verb & 0xff;
    verbs &= ~((2u << __builtin_ctz(needs | 0x80)) - 1);

    if (verbs == 0) {
        return false;
    }

    *from = stoa_guard_ring(said, __builtin_ctz(verbs) + 1u);

    return true;
}


static inline size_t
stoa_guard_ring(const stoa_guard_said_t *said, unsigned i)
{
    return said->at[(said->head + i) % STOA_GUARD_RING];
}


/* Each word is read once: from where one begins that is known, so are those
 * before it. */

static void
stoa_guard_words_before(const char *s, size_t floor, size_t p,
    stoa_guard_said_t *said)
{
    size_t    at, end, fresh[STOA_GUARD_WORDS + 1];
    unsigned  k, n, i;
    uint32_t  lists;

    fresh[0] = p;
    lists = 0;

    for (at = p, k = 0, n = 0; /* void */ ; fresh[++n] = at) {

        while (k < said->n && stoa_guard_ring(said, k) > at) {
            k++;
        }

        if (k < said->n && stoa_guard_ring(said, k) == at) {
            break;
        }

        if (n == STOA_GUARD_WORDS || !stoa_guard_back(s, floor, &at, &end)) {
            k = said->n;
            said->more = false;
            break;
        }

        lists |= stoa_guard_lists(s, at, end) << n;
    }

    said->lists = (said->lists >> k & 0x01010101u * (0x7fu >> (k > n ? k : n)))
                  << n | lists;
    said->n = (uint8_t) (n + said->n - k);
    said->head = (uint8_t) ((said->head + k - n) % STOA_GUARD_RING);

    for (i = 0; i <= n; i++) {
        said->at[(said->head + i) % STOA_GUARD_RING] = fresh[i];
    }

    if (said->n >= STOA_GUARD_WORDS) {
        said->n = STOA_GUARD_WORDS;
        said->more = true;
        return;
    }

    for (at = stoa_guard_ring(said, said->n);
         said->more && said->n < STOA_GUARD_WORDS; /* void */ )
    {
        said->more = stoa_guard_back(s, floor, &at, &end);

        if (said->more) {
            said->lists |= stoa_guard_lists(s, at, end) << said->n++;
            said->at[(said->head + said->n) % STOA_GUARD_RING] = at;
        }
    }
}


/* The word before *at, which is then its begin: letters and apostrophes, with
 * a few bytes that are none behind it; not over the end of a sentence. */

static bool
stoa_guard_back(const char *s, size_t floor, size_t *at, size_t *end)
{
    size_t  i, stop;

    stop = *at - floor > 4 ? *at - 4 : floor;

    for (i = *at; i > stop && !stoa_guard_alnum(s[i - 1]); i--) {
        if (s[i - 1] == '.' || s[i - 1] == '!' || s[i - 1] == '?') {
            return false;
        }
    }

    *end = i;
    stop = i - floor > 16 ? i - 16 : floor;

    while (i > stop && (stoa_guard_alnum(s[i - 1]) || s[i - 1] == '\'')) {
        i--;
    }

    *at = i;

    return i < *end;
}


/* The lists that it stands in. */

static uint32_t
stoa_guard_lists(const char *s, size_t from, size_t to)
{
    unsigned     i, letter;
    const char  *word;

    letter = (unsigned) (uint8_t) (s[from] | 0x20) - 'a';

    if (letter > 'z' - 'a') {
        return 0;
    }

    for (i = stoa_guard_letter[letter]; i < stoa_guard_letter[letter + 1];
         i++)
    {
        word = stoa_guard_words[i].word;

        if (strlen(word) == to - from && stoa_guard_is(s, to, from, word)) {
            return 1u << 8 * stoa_guard_words[i].list;
        }
    }

    return 0;
}
