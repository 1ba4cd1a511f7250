/*
 * Keys and tokens in texts that are logged.  One that was typed wrong gives
 * away as much, so the lengths are only about right.
 */

#include <string.h>

#include "stoa_conceal.h"
#include "stoa_key.h"


static bool stoa_conceal_plain(char *p, char *last);
static char *stoa_conceal_secret(char *p, char *last, char **secret);
static int stoa_conceal_char(char **p, char *last);


#define STOA_CONCEAL_MIN  (STOA_KEY_SECRET_LEN / 2)

/* Of a key's environment and id, about. */
static const size_t  stoa_conceal_least[] = { 2, STOA_ID_LEN - 4 };
static const size_t  stoa_conceal_most[] = { STOA_KEY_ENV_MAX,
                                             STOA_ID_LEN + 4 };

/* What these are made of, and what a secret and its sum are. */
#define stoa_conceal_id(ch)                                                   \
    (((ch) >= 'a' && (ch) <= 'z') || ((ch) >= '0' && (ch) <= '9'))

static const uint8_t  stoa_conceal_word[256] = {
    ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1, ['_'] = 1
};


bool
stoa_conceal(char *text, size_t len)
{
    bool   found;
    char  *p, *last, *end, *secret;

    last = text + len;

    if (memchr(text, '%', len) == NULL) {
        return stoa_conceal_plain(text, last);
    }

    found = false;

    for (p = text; p < last; /* void */ ) {

        if (*p != 's' && *p != '%') {
            p++;
            continue;
        }

        end = stoa_conceal_secret(p, last, &secret);

        if (end == NULL) {
            p++;
            continue;
        }

        memset(secret, '*', (size_t) (end - secret));
        found = true;
        p = end;
    }

    return found;
}


/* The same where nothing is encoded, which is so of nearly all. */

static bool
stoa_conceal_plain(char *p, char *last)
{
    bool       found;
    char      *text, *start, *secret;
    size_t     n;
    unsigned   i;

    text = p;
    found = false;

    while ((p = memchr(p, '_', (size_t) (last - p))) != NULL) {
        start = p++;

        if (start - text < 4 || memcmp(start - 4, "stoa", 4) != 0) {
            continue;
        }

        for (p = start, i = 0; i < 2; i++) {
            for (n = 0, p++; p < last && stoa_conceal_id(*p); p++) {
                n++;
            }

            if (p == last || *p != '_' || n < stoa_conceal_least[i]
                || n > stoa_conceal_most[i])
            {
                break;
            }
        }

        if (i < 2) {
            p = start + 1;
            continue;
        }

        for (secret = ++p; p < last && stoa_conceal_word[(uint8_t) *p]; p++) {
            /* void */
        }

        if (p - secret < STOA_CONCEAL_MIN) {
            p = start + 1;
            continue;
        }

        memset(secret, '*', (size_t) (p - secret));
        found = true;
    }

    return found;
}


/*
 * The end of what has the form of a key at p, also percent-encoded, and where
 * its secret begins; NULL: it has not.
 */

static char *
stoa_conceal_secret(char *p, char *last, char **secret)
{
    int        ch;
    char      *start;
    size_t     n;
    unsigned   i;

    for (i = 0; i < sizeof("stoa_") - 1; i++) {
        if (stoa_conceal_char(&p, last) != "stoa_"[i]) {
            return NULL;
        }
    }

    for (i = 0; i < 2; i++) {

        for (n = 0; n <= stoa_conceal_most[i]; n++) {
            ch = stoa_conceal_char(&p, last);

            if (!stoa_conceal_id(ch)) {
                break;
            }
        }

        if (ch != '_' || n < stoa_conceal_least[i]) {
            return NULL;
        }
    }

    *secret = p;

    for (n = 0; /* void */ ; n++) {
        start = p;
        ch = stoa_conceal_char(&p, last);

        if (ch < 0 || !stoa_conceal_word[ch]) {
            break;
        }
    }

    return (n >= STOA_CONCEAL_MIN) ? start : NULL;
}


/* The next character, unescaped as often as it is escaped: a client that
 * encodes twice has shown its key as well.  -1: there is none. */

static int
stoa_conceal_char(char **p, char *last)
{
    int      ch;
    uint8_t  byte;

    if (*p >= last) {
        return -1;
    }

    ch = (uint8_t) *(*p)++;

    while (ch == '%' && last - *p >= 2) {

        if (!stoa_hex_decode(*p, 2, &byte)) {
            return -1;
        }

        ch = byte;
        *p += 2;
    }

    return ch;
}
