/* Tests for sealed texts: what was worked out by hand, what does not open. */

#include <stdlib.h>

#include "base/stoa_seal.h"
#include "core/stoa_base64.h"
#include "core/stoa_key.h"
#include "tap.h"


#define NOW   1795737600000LL
#define R1    "r0zjiC6GYXm1LA-Uj6j1m7lq9HO9pZPPpypMX5ulC_DqlsGXCmiCbZZtd" \
              "xk9WVR44VIWcjJNs"
#define P1    "01000064d4f453250d545c1800030008752d736573732d3137"
#define A5    "a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5"


static const struct {
    const char       *what;
    stoa_seal_kind_e  kind;
    const char       *aad;       /* hex                                      */
    const char       *plain;     /* hex                                      */
    const char       *text;
} vectors[] = {
    { "vector 1: a server's request with a number", STOA_SEAL_REQUEST, A5,
      P1, R1 },
    { "vector 2: the same number as a string", STOA_SEAL_REQUEST, A5,
      "01000064d4f453250d545c1800030008752d736573732d31223722",
      "r0PL24Z-zanFes_Gzj5DtmEWr95xRMStwviHS26hV3zo15XJEn0fnmVO9xRWo2nXBU6cYpy"
      "1OZLQ" },
    { "vector 4: an event", STOA_SEAL_EVENT, A5,
      "0150000001a21a4d40000003226122010064d4f453250d545c1800030008752d7365737"
      "32d310003652d31",
      "e0K0q5rFEOOt1W3cdhEXFiGCcX3Ae8aOKIsx_lEcvuxSbsGy5arKXSeAGjSeFMV6RZAwJnS"
      "upKle76YsgCeajfLHlk2453pAA" },
    { "vector 5: a task", STOA_SEAL_TASK,
      "30316a6439617070303030303030303000000000000000000101010101010101",
      "01000064d4f453250d545c180000006a6f622d3432",
      "t05cOQfq6HlBJpVXQsqtRElLZjjxW-u6DON8Tyv_w1VVTn59yEN4lL_3Zt8a36lNlmhA" },
};


/* Their key has the bytes 0, 1, 2 ..., another one other bytes. */

static stoa_seal_key_t
key_of(unsigned kid, unsigned first, int64_t since_ms)
{
    unsigned         i;
    stoa_seal_key_t  key = { .kid = kid, .since_ms = since_ms };

    for (i = 0; i < sizeof(key.key); i++) {
        key.key[i] = (uint8_t) (first + i);
    }

    return key;
}


static stoa_str_t
bytes_of(const char *hex, char *dst)
{
    stoa_str_t  s = { dst, strlen(hex) / 2 };

    tap_ok(stoa_hex_decode(hex, strlen(hex), (uint8_t *) dst), "hex");

    return s;
}


static bool
opens(stoa_seal_kind_e kind, const char *aad, stoa_str_t text)
{
    char     a[64];
    size_t   len;
    uint8_t  plain[STOA_SEAL_TEXT_MAX];

    return stoa_seal_open(kind, bytes_of(aad, a), text, plain, &len);
}


static void
test_vectors(void)
{
    char        aad[64], plain[128], text[256];
    size_t      i, n, len;
    uint8_t     back[256];
    stoa_str_t  a, p, t;

    for (i = 0; i < tap_count(vectors); i++) {
        a = bytes_of(vectors[i].aad, aad);
        p = bytes_of(vectors[i].plain, plain);
        n = stoa_seal(vectors[i].kind, NOW, a, p, text, sizeof(text));
        tap_str(text, n, vectors[i].text, vectors[i].what);

        t.data = vectors[i].text;
        t.len = strlen(t.data);
        tap_ok(stoa_seal_open(vectors[i].kind, a, t, back, &len)
               && len == p.len && memcmp(back, p.data, len) == 0,
               "%s, opened", vectors[i].what);
    }
}


/* Vector 3, and the rest of its kind. */

static void
test_refused(void)
{
    char        text[sizeof(R1) + 8];
    bool        any;
    size_t      i, bit;
    stoa_str_t  t = stoa_str(R1);

    tap_ok(!opens(STOA_SEAL_REQUEST, "5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a", t),
           "vector 3: not with another nonce");
    tap_ok(!opens(STOA_SEAL_PROGRESS, A5, t), "not as another kind");

    any = false;

    for (i = 0; i < t.len; i++) {
        for (bit = 1; bit < 256; bit <<= 1) {
            memcpy(text, R1, sizeof(R1));
            text[i] = (char) (text[i] ^ (char) bit);
            any = any || opens(STOA_SEAL_REQUEST, A5,
                               (stoa_str_t) { text, t.len });
        }
    }

    tap_ok(!any, "vector 3: not with any bit changed");

    any = false;

    for (i = 0; i < t.len; i++) {
        any = any || opens(STOA_SEAL_REQUEST, A5, (stoa_str_t) { R1, i });
    }

    tap_ok(!any, "vector 3: not when it is cut");

    memcpy(text, R1, sizeof(R1));
    text[1] = '1';
    tap_ok(!opens(STOA_SEAL_REQUEST, A5, (stoa_str_t) { text, t.len }),
           "vector 3: not with a key that is not there");

    text[1] = '0';
    text[t.len] = 'A';
    tap_ok(!opens(STOA_SEAL_REQUEST, A5, (stoa_str_t) { text, t.len + 1 }),
           "not with something behind it");
}


static void
test_keys(void)
{
    char             text[256];
    size_t           n;
    stoa_str_t       p = stoa_str("x"), none = stoa_str("");
    stoa_str_t       r1 = stoa_str(R1);
    stoa_seal_key_t  keys[3];

    keys[0] = key_of(0, 0, NOW - 5000);
    keys[1] = key_of(STOA_SEAL_KID_MAX, 7, NOW - 1000);
    keys[2] = key_of(36, 9, NOW + 1000);
    stoa_seal_keys(keys, 3);

    n = stoa_seal(STOA_SEAL_TASK, NOW, none, p, text, sizeof(text));
    tap_ok(n && text[1] == 'z', "the youngest that may, seals");
    n = stoa_seal(STOA_SEAL_TASK, NOW + 1000, none, p, text, sizeof(text));
    tap_ok(n && text[1] == 'a', "and the next from its time on");
    n = stoa_seal(STOA_SEAL_TASK, NOW - 6000, none, p, text, sizeof(text));
    tap_ok(n && text[1] == '0', "a clock that is behind takes the oldest");
    tap_ok(opens(STOA_SEAL_REQUEST, A5, r1), "a predecessor opens");
    tap_ok(opens(STOA_SEAL_TASK, "", (stoa_str_t) { text, n }),
           "no aad is one, too");

    stoa_seal_keys(keys + 1, 2);
    tap_ok(!opens(STOA_SEAL_REQUEST, A5, r1), "one that is gone does not");

    keys[0].kid = STOA_SEAL_KID_MAX + 1;
    stoa_seal_keys(keys, 1);
    tap_int((long long) stoa_seal(STOA_SEAL_TASK, NOW, none, p, text,
                                  sizeof(text)), 0,
            "a key without a letter is none");

    stoa_seal_keys(NULL, 0);
    tap_int((long long) stoa_seal(STOA_SEAL_TASK, NOW, none, p, text,
                                  sizeof(text)), 0, "no key, no text");
}


static void
test_sizes(void)
{
    char             big[STOA_SEAL_TEXT_MAX], text[STOA_SEAL_TEXT_MAX + 16];
    size_t           n, last, max;
    unsigned         kind;
    stoa_str_t       none = stoa_str(""), p;
    stoa_seal_key_t  key = key_of(0, 0, 0);

    static const size_t  maxima[STOA_SEAL_KINDS] = {
        2048, 7200, 7200, 3072, 2048, 24576, 2048, 24576, 5520, 384,
        128
    };

    stoa_seal_keys(&key, 1);
    memset(big, 'x', sizeof(big));

    for (kind = 0; kind < STOA_SEAL_KINDS; kind++) {
        max = maxima[kind];
        p.data = big;
        p.len = stoa_seal_plain_len(max);
        last = stoa_seal(kind, NOW, none, p, text, sizeof(text));
        tap_ok(last <= max && last + 2 > max, "kind %u: at its maximum",
               kind);
        tap_ok(opens(kind, "", (stoa_str_t) { text, last }), "... opened");
        p.len++;
        n = stoa_seal(kind, NOW, none, p, text, sizeof(text));
        tap_int((long long) n, 0, "... and past it");
        p.len--;
        n = stoa_seal(kind, NOW, none, p, text, last - 1);
        tap_int((long long) n, 0, "... no room");
    }
}


static void
test_base64(void)
{
    char     text[8];
    size_t   i;
    uint8_t  bytes[8];

    static const struct {
        const char  *text;
        bool         good;
    } rows[] = {
        { "", true }, { "AA", true }, { "AB", false }, { "A", false },
        { "AAA", true }, { "AAB", false }, { "AAAA", true },
        { "AAAAA", false }, { "AA==", false }, { "A+AA", false },
        { "A/AA", false }, { "-_-_", true }, { "AA\n", false },
    };

    for (i = 0; i < tap_count(rows); i++) {
        tap_ok(stoa_base64url_decode(rows[i].text, strlen(rows[i].text),
                                     bytes)
               == rows[i].good, "base64url, row %zu", i);
    }

    stoa_base64url_encode((const uint8_t *) "\xfb\xff\xbf\x01", 4, text);
    tap_str(text, stoa_base64url_len(4), "-_-_AQ", "base64url of four bytes");
}


int
main(void)
{
    stoa_seal_key_t  key = key_of(0, 0, 0);

    stoa_seal_keys(&key, 1);
    test_vectors();
    test_refused();
    test_keys();
    test_sizes();
    test_base64();
    stoa_seal_exit();

    return tap_done();
}
