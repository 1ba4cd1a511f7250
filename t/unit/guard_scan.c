/* Where finds may begin, a block at a time: the same ones as byte by byte. */

#include <string.h>

#include "guard_scan.h"
#include "tap.h"


/* What texts are made of: finds, the begins of some, what stands between. */

static const char *const  pieces[] = {
    "4111 1111 1111 1111", "4111111111111111", "4111-1111-1111-1111", "4111",
    "378282246310005", "bob@b.de", "@", "a@b", "+49 30 901820", "+",
    "+44 (20) 7946 0958", "DE89370400440532013000", "GB82 WEST 1234 5698 7654 "
    "32", "DE89", "1 84 12 76 451 089 46", "184127645108946", "12345678Z",
    "12345678-Z", "X1234567L", "RSSMRA85T10A562S", "131052-308T",
    "131052A308T", "756.9217.0769.85", "7569217076985", "756.", "USERAB85",
    "AKIAIOSFODNN7EXAMPLE", "AKIA", "ghp_AbCdEfGh12AbCdEfGh12AbCdEfGh12AbCdEf",
    "gh", "_", "sk_live_AbCdEfGh12AbCdEfGh12", "xoxb-1234567890123", "xox",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dB-_1", "eyJ", "-----",
    "-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----", "--",
    "ignore", "all", "previous", "instructions", "instruction", "don't",
    "tell", "not", "user", "superuser", "<IMPORTANT>", "<|im_start|>", "<|",
    "[INST]", "<<SYS>>", "\xf3\xa0\x81\xa9\xf3\xa0\x81\xa7", "\xff\x80\xff",
    "\xff", " ", " ", " ", " ", ".", ",", "\n", "-", "\"", "0", "7", "1 ",
    "12", "X", "AB", "a word", "1.5", "2026-11-28T07:46:08Z",
    "                                         ", "stoa_live_", "k_", "a_"
};

static uint64_t  x = 88172645463325252u;


static uint64_t
next(void)
{
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;

    return x;
}


int
main(void)
{
    char         s[400];
    size_t       i, n, len, finds, all, wrong;
    const char  *piece;
    unsigned     kinds;

    for (i = 0, all = 0, wrong = 0; i < 200000; i++) {

        for (len = 0; len < 300 && next() % 24; len += n) {
            piece = pieces[next() % (sizeof(pieces) / sizeof(pieces[0]))];
            n = strlen(piece);
            memcpy(s + len, piece, n);

            if (next() % 8 == 0) {
                s[len + next() % n] = (char) (next() % 3 ? '0' + next() % 10
                                              : next());
            }
        }

        kinds = i & 1 ? STOA_GUARD_ALL : (unsigned) next() & STOA_GUARD_ALL;

        if (!guard_same(kinds, s, len, &finds)) {
            if (wrong++ == 0) {
                printf("# kinds %x: %.*s\n", kinds, (int) len, s);
            }
        }

        all += finds;
    }

    (void) tap_int((long long) wrong, 0, "texts of pieces");
    (void) tap_ok(all > 100000, "with finds: %zu", all);

    for (i = 0, wrong = 0; i < 100000; i++) {
        for (len = 0; len < 90; len++) {
            s[len] = "0123456789ABusXe -.+(@_x"[next() % 24];
        }

        wrong += !guard_same(STOA_GUARD_ALL, s, len, &finds);
    }

    (void) tap_int((long long) wrong, 0, "noise");

    return tap_done();
}
