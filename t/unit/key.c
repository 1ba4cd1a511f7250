/* Tests for keys, ids, names and sums. */

#include "stoa_conceal.h"
#include "stoa_key.h"
#include "tap.h"


#define ID      "0123456789abcdef"
#define SECRET  "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
#define GOOD    "stoa_live_" ID "_" SECRET "_8865f77e"


static const struct {
    const char  *what;
    stoa_str_t   key;
} bad_keys[] = {
    { "empty", stoa_str("") },
    { "prefix alone", stoa_str("stoa_") },
    { "another prefix", stoa_str("stob_live_" ID "_" SECRET "_8865f77e") },
    { "upper-case prefix", stoa_str("STOA_live_" ID "_" SECRET "_8865f77e") },
    { "wrong sum", stoa_str("stoa_live_" ID "_" SECRET "_8865f77f") },
    { "sum in upper case", stoa_str("stoa_live_" ID "_" SECRET "_8865F77E") },
    { "sum is no hex", stoa_str("stoa_live_" ID "_" SECRET "_8865f77g") },
    { "sum cut", stoa_str("stoa_live_" ID "_" SECRET "_8865f77") },
    { "byte after it", stoa_str(GOOD "x") },
    { "space before", stoa_str(" " GOOD) },
    { "LF after it", stoa_str(GOOD "\n") },
    { "env changed", stoa_str("stoa_test_" ID "_" SECRET "_8865f77e") },
    { "secret changed", stoa_str("stoa_live_" ID
          "_bBCDEFGHIJKLMNOPQRSTUVWXYZ012345_8865f77e") },
    { "secret not base62", stoa_str("stoa_live_" ID
          "_A-CDEFGHIJKLMNOPQRSTUVWXYZ012345_8865f77e") },
    { "id with l", stoa_str("stoa_live_l123456789abcdef_" SECRET
                            "_8865f77e") },
    { "NUL in it", stoa_str("stoa_li\0e_" ID "_" SECRET "_8865f77e") },
    { "separator missing", stoa_str("stoa_live" "x" ID "_" SECRET
                                    "_8865f77e") },
};

static const struct {
    const char  *env;
    bool         ok;
} envs[] = {
    { "li", true }, { "live", true }, { "adm", true }, { "gw", true },
    { "abcdefgh", true }, { "a", false }, { "", false },
    { "live2", false }, { "Live", false },
};

static const struct {
    const char  *s;
    bool         slug;
    bool         tool;
    bool         env;
} names[] = {
    { "", false, false, false },
    { "a", true, true, false },
    { "0", true, true, false },
    { "ab", true, true, true },
    { "a-b", true, true, false },
    { "-a", false, true, false },
    { "a-", false, true, false },
    { "a--b", true, true, false },
    { "A", false, true, false },
    { "a_b", false, true, false },
    { "a.b", false, true, false },
    { "a/b", false, false, false },
    { "a b", false, false, false },
    { "\xc3\xa9", false, false, false },
    { "abcdefgh", true, true, true },
    { "abcdefghi", true, true, false },
};

static const struct {
    const char  *s;
    size_t       len;
    uint32_t     crc;
} crcs[] = {
    { "", 0, 0x00000000 },
    { "a", 1, 0xe8b7be43 },
    { "123456789", 9, 0xcbf43926 },
    { "The quick brown fox jumps over the lazy dog", 43, 0x414fa339 },
    { "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32,
      0x190a55ad },
};


static void
test_keys(void)
{
    char        s[STOA_KEY_MAX + 1];
    size_t      i, n;
    stoa_key_t  key;

    tap_int(stoa_key_parse(GOOD, sizeof(GOOD) - 1, &key), STOA_OK,
            "a good key");
    tap_str(key.env.data, key.env.len, "live", "its env");
    tap_str(key.id.data, key.id.len, ID, "its id");
    tap_str(key.secret.data, key.secret.len, SECRET, "its secret");

    for (i = 0; i < tap_count(bad_keys); i++) {
        tap_ok(stoa_key_parse(bad_keys[i].key.data, bad_keys[i].key.len, &key)
               == STOA_DECLINED, "refused: %s", bad_keys[i].what);
    }

    for (i = 0; i < tap_count(envs); i++) {
        n = stoa_key_format(s, envs[i].env, ID, SECRET);
        tap_ok(strlen(s) == n && n <= STOA_KEY_MAX
               && (stoa_key_parse(s, n, &key) == STOA_OK) == envs[i].ok,
               "env \"%s\" is %s", envs[i].env, envs[i].ok ? "good" : "bad");
    }

    n = stoa_key_format(s, "live", ID, SECRET);
    tap_str(s, n, GOOD, "format and parse agree");

    /* each single bit that flips is found */

    for (i = 0; i < n * 8; i++) {
        memcpy(s, GOOD, n);
        s[i / 8] = (char) (s[i / 8] ^ (1 << i % 8));

        if (stoa_key_parse(s, n, &key) == STOA_OK) {
            break;
        }
    }

    tap_int((long long) i, (long long) n * 8, "no flipped bit is accepted");
}


static void
test_ids(void)
{
    char      id[STOA_ID_LEN], next[STOA_ID_LEN];
    uint64_t  ms;

    stoa_id_format(id, 0, 0);
    tap_str(id, STOA_ID_LEN, "0000000000000000", "the first id");

    stoa_id_format(id, (UINT64_C(1) << 50) - 1, (1u << 30) - 1);
    tap_str(id, STOA_ID_LEN, "zzzzzzzzzzzzzzzz", "the last id");

    ms = UINT64_C(1790000000123);
    stoa_id_format(id, ms, 0xffffffff);
    stoa_id_format(next, ms + 1, 0);
    tap_ok(memcmp(id, next, STOA_ID_LEN) < 0, "ids sort by time");
    tap_ok(stoa_id_valid(id, STOA_ID_LEN), "an id is valid");
    tap_ok(stoa_id_time(id) == ms, "an id tells its time");

    tap_ok(!stoa_id_valid(id, STOA_ID_LEN - 1), "too short");
    tap_ok(!stoa_id_valid("0123456789abcdefg", 17), "too long");
    tap_ok(!stoa_id_valid("0123456789abcdeF", 16), "upper case");
    tap_ok(!stoa_id_valid("0123456789abcdei", 16), "a letter left out: i");
    tap_ok(!stoa_id_valid("0123456789abcdeo", 16), "a letter left out: o");
    tap_ok(!stoa_id_valid("0123456789abcdeu", 16), "a letter left out: u");
}


static void
test_names(void)
{
    char    s[200];
    size_t  i, n;

    for (i = 0; i < tap_count(names); i++) {
        n = strlen(names[i].s);
        tap_ok(stoa_name_valid(names[i].s, n) == names[i].slug
               && stoa_tool_name_valid(names[i].s, n) == names[i].tool
               && stoa_env_valid(names[i].s, n) == names[i].env,
               "name \"%s\"", names[i].s);
    }

    memset(s, 'a', sizeof(s));
    tap_ok(stoa_name_valid(s, STOA_NAME_MAX), "a slug of the maximum");
    tap_ok(!stoa_name_valid(s, STOA_NAME_MAX + 1), "a slug past it");
    tap_ok(stoa_tool_name_valid(s, STOA_TOOL_NAME_MAX),
           "a tool's name of the maximum");
    tap_ok(!stoa_tool_name_valid(s, STOA_TOOL_NAME_MAX + 1),
           "a tool's name past it");
}


static void
test_sums(void)
{
    char      bytes[70];
    size_t    i, j;
    uint32_t  crc;

    for (i = 0; i < tap_count(crcs); i++) {
        tap_ok(stoa_crc32(crcs[i].s, crcs[i].len) == crcs[i].crc,
               "crc32 %08x", (unsigned) crcs[i].crc);
    }

    /* the tables against the definition, every length and alignment */

    for (i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (char) (i * 37 + 11);
    }

    for (i = 0; i < sizeof(bytes); i++) {
        crc = 0xffffffff;

        for (j = i / 9 * 8; j < i * 8; j++) {
            crc ^= (uint32_t) (bytes[j / 8] >> j % 8 & 1);
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
        }

        if (stoa_crc32(bytes + i / 9, i - i / 9) != ~crc) {
            break;
        }
    }

    tap_int((long long) i, sizeof(bytes), "crc32 as it is defined");
}


static void
test_bytes(void)
{
    char      text[9];
    uint8_t   raw[4], rnd[64];
    size_t    i, j, n, same;
    uint64_t  h[128];

    tap_ok(stoa_hex_decode("00fFA9", 6, raw) && raw[0] == 0
           && raw[1] == 0xff && raw[2] == 0xa9, "hex is read");
    tap_ok(!stoa_hex_decode("0", 1, raw), "half a byte");
    tap_ok(!stoa_hex_decode("0g", 2, raw), "g");
    tap_ok(!stoa_hex_decode("/:", 2, raw), "neighbours of digits");
    tap_ok(!stoa_hex_decode("@`", 2, raw), "neighbours of letters");
    tap_ok(stoa_hex_decode("", 0, raw), "nothing");

    memcpy(raw, "\x00\x9a\xbf\xff", 4);
    stoa_hex_encode(raw, 4, text);
    tap_str(text, 8, "009abfff", "hex is written");

    tap_ok(stoa_equal_ct("abc", "abc", 3), "equal");
    tap_ok(!stoa_equal_ct("abc", "abd", 3), "not equal");
    tap_ok(!stoa_equal_ct("\x80", "\0", 1), "not equal by the high bit");
    tap_ok(stoa_equal_ct("a", "b", 0), "nothing is equal to nothing");

    memset(rnd, 7, sizeof(rnd));
    memcpy(h, rnd, sizeof(rnd));

    for (i = 0, same = 0; i < sizeof(rnd); i++) {
        ((uint8_t *) h)[i] ^= 1;
        same += stoa_equal_ct(h, rnd, sizeof(rnd));
        same += !stoa_equal_ct(h, rnd, i);
        ((uint8_t *) h)[i] ^= 1;
    }

    tap_int((long long) same, 0, "each byte counts, and none behind");

    for (i = 0; i < sizeof(rnd); i++) {
        rnd[i] = (uint8_t) (i < 8 ? 248 + i : i * 4);
    }

    n = stoa_key_base62(rnd, sizeof(rnd), text, 8);
    tap_int((long long) n, 8, "base62 fills what it may");
    tap_ok(text[0] == "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"[32],
           "bytes that would be biased are skipped");
    tap_int((long long) stoa_key_base62(rnd, 8, text, 8), 0,
            "all of them biased");

    memset(rnd, 0, sizeof(rnd));

    for (i = 0; i < 64; i++) {
        h[i] = stoa_hash64(rnd, i, 1);
        h[64 + i] = stoa_hash64(rnd, i, 2);
    }

    for (i = 0, same = 0; i < 128; i++) {
        for (j = 0; j < i; j++) {
            same += (h[i] == h[j]);
        }
    }

    tap_int((long long) same, 0, "hash64 tells lengths and seeds apart");
}


/* Of its authors' reference: the key 00 01 .. 0f, the input 00 01 .. */

static void
test_siphash(void)
{
    size_t    i;
    uint8_t   in[16];
    uint64_t  key[2], out[2];
    char      hex[32];

    static const struct {
        size_t       len;
        const char  *hex;
    } known[] = {
        { 0, "a3817f04ba25a8e66df67214c7550293" },
        { 1, "da87c1d86b99af44347659119b22fc45" },
        { 7, "a1f1ebbed8dbc153c0b84aa61ff08239" },
        { 8, "3b62a9ba6258f5610f83e264f31497b4" },
        { 15, "5493e99933b0a8117e08ec0f97cfc3d9" }
    };

    for (i = 0; i < sizeof(in); i++) {
        in[i] = (uint8_t) i;
    }

    memcpy(key, in, sizeof(key));

    for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        stoa_siphash(in, known[i].len, key, out);
        stoa_hex_encode((uint8_t *) out, sizeof(out), hex);
        tap_str(hex, sizeof(hex), known[i].hex, "siphash");
    }
}


#define STARS   "********************************"
#define HIDDEN  "stoa_live_" ID "_" STARS "*********"

static const struct {
    const char  *what, *text, *hidden;
} logged[] = {
    { "a key", GOOD, HIDDEN },
    { "in a path", "/v1/" GOOD "/x", "/v1/" HIDDEN "/x" },
    { "two", GOOD "," GOOD, HIDDEN "," HIDDEN },
    { "a token", "stoa_adm_" ID "_" SECRET "_12345678",
                 "stoa_adm_" ID "_" STARS "*********" },
    { "without its sum", "stoa_live_" ID "_" SECRET,
                         "stoa_live_" ID "_" STARS },
    { "encoded", "%73toa%5flive_" ID "%5F" SECRET "&a",
                 "%73toa%5flive_" ID "%5F" STARS "&a" },
    { "encoded twice", "%2573toa_live_" ID "_" SECRET " ",
                       "%2573toa_live_" ID "_" STARS " " },
    { "behind half of one", "stoa_live_stoa_live_" ID "_" SECRET,
                            "stoa_live_stoa_live_" ID "_" STARS },
    { "a prefix", "stoa_live_" ID, "stoa_live_" ID },
    { "nothing", "stoa_lives_in_a_house%2", "stoa_lives_in_a_house%2" },
};


static void
test_conceal(void)
{
    char      text[256];
    size_t    len;
    unsigned  i;

    for (i = 0; i < sizeof(logged) / sizeof(logged[0]); i++) {
        len = strlen(logged[i].text);
        memcpy(text, logged[i].text, len);
        tap_ok(stoa_conceal(text, len)
               == (strcmp(logged[i].text, logged[i].hidden) != 0),
               "conceal: found or not");
        tap_str(text, len, logged[i].hidden, logged[i].what);
    }
}


int
main(void)
{
    test_keys();
    test_ids();
    test_names();
    test_sums();
    test_bytes();
    test_siphash();
    test_conceal();

    return tap_done();
}
