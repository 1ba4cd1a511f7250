/*
 * Records.  "1".. (a kind) and a body: what is encoded verifies.  Other input:
 * edits of three bytes to a good record, which then is refused or reads well.
 */

#include "fuzz.h"
#include "stoa_rec.h"

#define ID    "0123456789abcdef"
#define BODY  "{\"id\":\"" ID "\",\"tenant\":\"" ID "\",\"tenant_name\":"     \
              "\"a\",\"name\":\"b\",\"state\":\"published\",\"tools\":"       \
              "[{\"name\":\"t\",\"tool\":\"" ID "\",\"api\":\"" ID "\"}]}"


static void
edit(stoa_buf_t *b, const uint8_t *data, size_t size)
{
    size_t                         i;
    stoa_str_t                     s;
    const stoa_rec_server_t       *r;
    const stoa_rec_server_tool_t  *t;

    for (i = 0; i + 2 < size; i += 3) {
        b->data[(data[i] << 8 | data[i + 1]) % b->len] = (char) data[i + 2];
    }

    if (stoa_rec_verify(b->data, b->len, STOA_REC_SERVER)) {
        r = (const stoa_rec_server_t *) b->data;
        t = stoa_rec_vec(r, r->tools, stoa_rec_server_tool_t);

        for (i = 0; i < r->tools.n; i++) {
            s = stoa_rec_str(r, t[i].name);
            must(s.data[s.len] == '\0');
        }
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char       *s = (const char *) data;
    stoa_err_t        err;
    stoa_buf_t        b;
    stoa_rec_kind_e   kind;

    kind = (size && s[0] >= '1' && s[0] < '0' + STOA_REC_KIND_MAX)
           ? s[0] - '0' : 0;
    stoa_buf_init(&b, STOA_RECORD_MAX);

    if (kind == 0) {
        must(stoa_rec_encode(STOA_REC_SERVER, BODY, sizeof(BODY) - 1, 1, &b,
                             &err) == STOA_OK);
        edit(&b, data, size);

    } else if (stoa_rec_encode(kind, s + 1, size - 1, 1, &b, &err)
               == STOA_OK)
    {
        must(stoa_rec_verify(b.data, b.len, kind));
    }

    stoa_buf_free(&b);

    return 0;
}
