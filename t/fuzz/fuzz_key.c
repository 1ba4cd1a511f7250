/* Keys: one that parses is written the same; names and hex hold together. */

#include "fuzz.h"
#include "stoa_key.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char         env[STOA_KEY_ENV_MAX + 1], key[STOA_KEY_MAX + 1], *hex;
    uint8_t     *back;
    const char  *s = (const char *) data;
    stoa_key_t   k;

    if (stoa_key_parse(s, size, &k) == STOA_OK) {
        memcpy(env, k.env.data, k.env.len);
        env[k.env.len] = '\0';

        must(stoa_key_format(key, env, k.id.data, k.secret.data) == size);
        must(memcmp(key, s, size) == 0);
        must(stoa_id_valid(k.id.data, k.id.len));
        must(stoa_env_valid(k.env.data, k.env.len));
    }

    must(!stoa_name_valid(s, size) || size > 128
         || stoa_tool_name_valid(s, size));

    hex = malloc(2 * size + 1);
    back = malloc(size + 1);
    stoa_hex_encode(data, size, hex);

    must(stoa_hex_decode(hex, 2 * size, back));
    must(stoa_equal_ct(back, data, size));
    must(stoa_crc32(back, size) == stoa_crc32(data, size));
    must(stoa_hash64(back, size, 1) == stoa_hash64(data, size, 1));
    must(!stoa_hex_decode(s, size, back) || size % 2 == 0);

    free(hex);
    free(back);

    return 0;
}
