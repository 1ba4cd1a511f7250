/* The place of a parameter of a fixed contract, and what a call says of it, a
 * line each: judged, whatever it is, and the same each time. */

#include "fuzz.h"
#include "stoa_contract.h"


static const char  contract[] =
    "{\"operations\":[{\"method\":\"GET\",\"path\":\"/a/{b}\",\"parameters\":["
    "{\"name\":\"a\",\"in\":\"query\",\"form\":\"value\",\"schema\":1},"
    "{\"name\":\"b\",\"in\":\"path\",\"form\":\"value\",\"texts\":true,"
    "\"schema\":2},"
    "{\"name\":\"c\",\"in\":\"query\",\"form\":\"list\",\"schema\":3},"
    "{\"name\":\"d\",\"in\":\"header\",\"form\":\"list\","
    "\"separator\":\",\",\"texts\":true,\"schema\":3},"
    "{\"name\":\"e\",\"in\":\"cookie\",\"form\":\"json\",\"schema\":0}]}],"
    "\"schemas\":{\"$defs\":{\"0\":{\"type\":\"integer\"}},"
    "\"prefixItems\":[{\"type\":\"object\"},{\"$ref\":\"#/$defs/0\"},"
    "{\"type\":[\"string\",\"null\"],\"pattern\":\"^[a-z]*$\"},"
    "{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/0\"}}]}}";


static void *
room(void *ctx, size_t size)
{
    static char    memory[65536];
    static size_t  used;

    (void) ctx;

    used = (used + 15) & ~(size_t) 15;
    must(used + size <= sizeof(memory));
    used += size;

    return memory + used - size;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t                       n;
    stoa_rc_t                      rc;
    stoa_str_t                     v[8], path, name;
    stoa_buf_t                     b;
    stoa_err_t                     err;
    const char                    *p, *end, *next;
    const stoa_contract_param_t   *param;

    static stoa_contract_t         c;
    static const stoa_str_t        get = { "GET", 3 };

    if (c.ops == NULL) {
        must(stoa_contract_read(contract, sizeof(contract) - 1, room, NULL,
                                &c, &err) == STOA_OK);
    }

    if (size < 2) {
        return 0;
    }

    param = &c.ops[0].params[data[0] % c.ops[0].nparams];
    p = (const char *) data + 1;
    end = (const char *) data + size;

    for (n = 0; n < 8 && p < end; n++) {
        next = memchr(p, '\n', (size_t) (end - p));
        next = next ? next : end;
        v[n].data = p;
        v[n].len = (size_t) (next - p);
        p = next + 1;
    }

    stoa_buf_init(&b, 4096);
    rc = stoa_contract_judge(&c, param, v, n, &b, &err);
    must(rc == STOA_OK || rc == STOA_DECLINED);
    must(rc == stoa_contract_judge(&c, param, v, n, &b, &err));
    stoa_buf_free(&b);

    path = v[0];
    name.data = "b";
    name.len = 1;

    if (stoa_contract_find(&c, get, path)) {
        must(stoa_contract_segment(&c.ops[0], name, path).len > 0);
    }

    return 0;
}
