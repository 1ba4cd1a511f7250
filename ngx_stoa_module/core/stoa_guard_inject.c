/*
 * Words that speak to a model instead of a person: "ignore all previous
 * instructions", "do not tell the user", what frames of prompts look like,
 * letters that only a model reads.  A list, not an understanding.
 */

#include <string.h>

#include "stoa_guard_number.h"


#define STOA_GUARD_WORDS  7                  /* looked at, before one        */


static bool stoa_guard_is(const char *s, size_t len, size_t at,
    const char *word);
static bool stoa_guard_back(const char *s, size_t floor, size_t *at,
    size_t *end);
static bool stoa_guard_said(const char *s, size_t floor, size_t p,
    const char *const *need, const char *const *verbs, size_t *from);
static bool stoa_guard_one(const char *s, size_t from, size_t to,
    const char *const *words);


static const char *const  stoa_guard_ignore[] = {
    "ignore", "disregard", "forget", "override", "bypass", "ignoring", NULL
};

static const char *const  stoa_guard_earlier[] = {
    "previous", "prior", "above", "earlier", "preceding", "system", "existing",
    "other", "your", "safety", "original", NULL
};

static const char *const  stoa_guard_tell[] = {
    "tell", "mention", "inform", "notify", "reveal", "show", "alert", "warn",
    "ask", "telling", "informing", "notifying", "mentioning", "alerting", NULL
};

static const char *const  stoa_guard_not[] = {
    "not", "never", "don't", "dont", "without", NULL
};

static const char *const  stoa_guard_frames[] = {
    "<important>", "<system>", "<system-reminder>", "<instructions>",
    "<<sys>>", "[inst]", "<|im_start|>", "<|im_end|>", "<|system|>",
    "<|user|>", "<|assistant|>", "<|endoftext|>", "<|start_header_id|>", NULL
};


bool
stoa_guard_inject(const char *s, size_t len, size_t floor, size_t p,
    stoa_guard_hit_t *hit)
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
        for (frame = stoa_guard_frames; *frame; frame++) {
            if (stoa_guard_is(s, len, p, *frame)) {
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

        return stoa_guard_said(s, floor, p - 4, stoa_guard_earlier,
                               stoa_guard_ignore, &hit->from);

    case 'u':
    case 'U':
        if (!stoa_guard_is(s, len, p, "user")) {
            return false;
        }

        hit->to = p + 4;

        return stoa_guard_said(s, floor, p, stoa_guard_tell, stoa_guard_not,
                               &hit->from);

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


/* Is one of `need` in the words before p, and one of `verbs` before that? */

static bool
stoa_guard_said(const char *s, size_t floor, size_t p,
    const char *const *need, const char *const *verbs, size_t *from)
{
    bool      needed;
    size_t    at, end;
    unsigned  i;

    for (i = 0, at = p, needed = false; i < STOA_GUARD_WORDS; i++) {

        if (!stoa_guard_back(s, floor, &at, &end)) {
            return false;
        }

        if (needed && stoa_guard_one(s, at, end, verbs)) {
            *from = at;
            return true;
        }

        needed |= stoa_guard_one(s, at, end, need);
    }

    return false;
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


static bool
stoa_guard_one(const char *s, size_t from, size_t to,
    const char *const *words)
{
    char  ch;

    ch = (char) (s[from] | 0x20);

    for ( /* void */ ; *words; words++) {
        if (**words == ch && strlen(*words) == to - from
            && stoa_guard_is(s, to, from, *words))
        {
            return true;
        }
    }

    return false;
}
