/* Tests for what headers say of signatures and digests. */

#include "stoa_signature.h"
#include "tap.h"


static const struct {
    const char  *in;
    unsigned     n;                      /* 0: refused                       */
} inputs[] = {
    { "sig=(\"@method\" \"x-a\");created=1;keyid=\"k\"", 1 },
    { "a=();created=0, b=(\"x\");nonce=\"n\" ,\tc=()", 3 },
    { "a=();expires=999999999999;alg=\"x\";tag=\"\"", 1 },
    { "*a-b_c.9=()", 1 },
    { "", 0 }, { "a", 0 }, { "a=", 0 }, { "a=(", 0 }, { "a=()x", 0 },
    { "A=()", 0 }, { "a=(),", 0 }, { "a=(), ", 0 }, { "a=(),a=()", 0 },
    { "a=();", 0 }, { "a=();created", 0 }, { "a=();created=", 0 },
    { "a=(); created=1", 0 }, { "a=();created=01", 0 },
    { "a=();created=-1", 0 }, { "a=();created=1.5", 0 },
    { "a=();created=1234567890123", 0 }, { "a=();created=1;created=1", 0 },
    { "a=();keyid=k", 0 }, { "a=();keyid=\"k", 0 },
    { "a=();keyid=\"k\\\"\"", 0 }, { "a=();keyid=\"\x7f\"", 0 },
    { "a=();x=1", 0 }, { "a=(\"x\" )", 0 }, { "a=( \"x\")", 0 },
    { "a=(\"x\"  \"y\")", 0 }, { "a=(\"x\"\"y\")", 0 },
    { "a=(\"x\";sf)", 0 }, { "a=(\"X\")", 0 }, { "a=(\"\")", 0 },
    { "a=(\"@\")", 0 }, { "a=(\"x\" \"x\")", 0 }, { "a=(x)", 0 },
    { "a=(),b=(),c=(),d=(),e=()", 0 }, { " a=()", 0 }, { "a=() ", 0 }
};

static const struct {
    const char  *in;
    int          n;                      /* of "sig"; -1: refused            */
    const char  *bytes;
} values[] = {
    { "sig=:aGk=:", 2, "hi" },
    { "x=:AAAA:, sig=:aGkh:,y=:AA==:", 3, "hi!" },
    { "x=:aGk=:", 0, "" },
    { "", -1, NULL }, { "sig", -1, NULL }, { "sig=", -1, NULL },
    { "sig=::", -1, NULL }, { "sig=:aGk:", -1, NULL },
    { "sig=:aGk=", -1, NULL }, { "sig=:aGl=:", -1, NULL },
    { "sig=:a===:", -1, NULL }, { "sig=:aG=k:", -1, NULL },
    { "sig=:aGk=aGk=:", -1, NULL }, { "sig=:====:", -1, NULL },
    { "sig=:a-_k:", -1, NULL }, { "sig=:aGk=:;a", -1, NULL },
    { "sig=:aGk=:,sig=:aGk=:", -1, NULL }, { "sig=:aGk=:,", -1, NULL },
    { "sig=:aG k:", -1, NULL }
};


int
main(void)
{
    size_t             i, n;
    char               text[512];
    uint8_t            out[STOA_SIGNATURE_BYTES];
    unsigned           count;
    stoa_rc_t          rc;
    const char        *why;
    stoa_signature_t   list[STOA_SIGNATURES];

    for (i = 0; i < tap_count(inputs); i++) {
        why = NULL;
        rc = stoa_signature_input(inputs[i].in, strlen(inputs[i].in), list,
                                  &count, &why);
        tap_ok(inputs[i].n ? rc == STOA_OK && count == inputs[i].n
                           : rc == STOA_DECLINED && why, "\"%s\"",
               inputs[i].in);
    }

    rc = stoa_signature_input(inputs[0].in, strlen(inputs[0].in), list,
                              &count, &why);
    tap_ok(rc == STOA_OK && list[0].n == 2 && list[0].created == 1
           && list[0].expires == -1
           && stoa_signature_covers(&list[0], "x-a", 3)
           && !stoa_signature_covers(&list[0], "x", 1)
           && list[0].nonce.data == NULL && list[0].keyid.len == 1,
           "what it says");
    tap_ok(list[0].text.data == inputs[0].in + 4
           && list[0].text.len == strlen(inputs[0].in) - 4,
           "what is signed of it");

    for (i = 0; i < tap_count(values); i++) {
        why = NULL;
        rc = stoa_signature_bytes(values[i].in, strlen(values[i].in),
                                  stoa_str("sig"), out, &n, &why);
        tap_ok(values[i].n < 0 ? rc == STOA_DECLINED && why
               : rc == STOA_OK && n == (size_t) values[i].n
                 && memcmp(out, values[i].bytes, n) == 0,
               "\"%s\"", values[i].in);
    }

    memset(text, 'A', sizeof(text));
    memcpy(text, "sig=:", 5);
    text[5 + 172] = ':';
    tap_ok(stoa_signature_bytes(text, 178, stoa_str("sig"), out, &n, &why)
           == STOA_DECLINED, "longer than there is room");

    return tap_done();
}
