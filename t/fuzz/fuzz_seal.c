/* Sealed texts: what is sealed opens, for nobody else; what is made up does
 * not.  First byte: kind and length of the aad. */

#include "fuzz.h"
#include "base/stoa_seal.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t            n, len;
    unsigned          i;
    stoa_str_t        aad, rest;
    stoa_seal_kind_e  kind;

    static char             text[STOA_SEAL_TEXT_MAX];
    static uint8_t          plain[STOA_SEAL_TEXT_MAX];
    static stoa_seal_key_t  key;

    if (size < 2) {
        return 0;
    }

    if (key.key[0] == 0) {
        memset(key.key, 7, sizeof(key.key));
        stoa_seal_keys(&key, 1);
    }

    kind = data[0] % STOA_SEAL_KINDS;
    aad.data = (const char *) data + 1;
    aad.len = data[0] / STOA_SEAL_KINDS;
    aad.len = aad.len < size - 1 ? aad.len : size - 1;
    rest.data = aad.data + aad.len;
    rest.len = size - 1 - aad.len;

    for (i = 0; i < STOA_SEAL_KINDS; i++) {
        must(!stoa_seal_open(i, aad, rest, plain, &len));
    }

    n = stoa_seal(kind, 1, aad, rest, text, sizeof(text));

    if (n == 0) {
        return 0;
    }

    must(stoa_seal_plain_len(n) >= rest.len);
    must(stoa_seal_open(kind, aad, (stoa_str_t) { text, n }, plain, &len)
         && len == rest.len && memcmp(plain, rest.data, len) == 0);

    aad.len++;
    must(rest.len == 0
         || !stoa_seal_open(kind, aad, (stoa_str_t) { text, n }, plain,
                            &len));
    aad.len--;

    /* one character is another one */

    i = data[size - 1] % n;
    text[i] = (char) (text[i] == 'A' ? 'B' : 'A');
    must(!stoa_seal_open(kind, aad, (stoa_str_t) { text, n }, plain, &len));

    return 0;
}
