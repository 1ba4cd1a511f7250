/* Signatures of requests: what is read is of the text, and what is signed of
 * it reads the same again. */

#include "fuzz.h"
#include "stoa_signature.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char               again[4096];
    size_t             n;
    uint8_t            out[STOA_SIGNATURE_BYTES];
    unsigned           i, k, count, one;
    const char        *s, *why;
    stoa_signature_t   list[STOA_SIGNATURES], same[STOA_SIGNATURES];

    s = (const char *) data;

    if (stoa_signature_bytes(s, size, stoa_str("sig"), out, &n, &why)
        == STOA_OK)
    {
        must(n <= sizeof(out));
    }

    if (stoa_signature_input(s, size, list, &count, &why) != STOA_OK) {
        return 0;
    }

    must(count > 0 && count <= STOA_SIGNATURES);

    for (i = 0; i < count; i++) {
        must(list[i].text.data >= s
             && list[i].text.data + list[i].text.len <= s + size);

        if (list[i].text.len + 2 > sizeof(again)) {
            continue;
        }

        memcpy(again, "a=", 2);
        memcpy(again + 2, list[i].text.data, list[i].text.len);
        must(stoa_signature_input(again, list[i].text.len + 2, same, &one,
                                  &why) == STOA_OK && one == 1);
        must(same[0].n == list[i].n && same[0].created == list[i].created
             && same[0].keyid.len == list[i].keyid.len);

        for (k = 0; k < list[i].n; k++) {
            must(stoa_signature_covers(&same[0], list[i].component[k].data,
                                       list[i].component[k].len));
        }
    }

    return 0;
}
