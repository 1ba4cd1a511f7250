/*
 * Credentials, ids, names, and the small sums that they need.
 */

#include <string.h>

#include "stoa_key.h"


#define STOA_CRC_LEN        8
#define STOA_KEY_PREFIX     "stoa_"
#define STOA_KEY_PREFIX_LEN (sizeof(STOA_KEY_PREFIX) - 1)

/* all of a key but its env */
#define STOA_KEY_FIXED_LEN  (STOA_KEY_PREFIX_LEN + 1 + STOA_ID_LEN + 1        \
                             + STOA_KEY_SECRET_LEN + 1 + STOA_CRC_LEN)

/* numbers without a pattern: binary digits of pi, the last bit set */
#define STOA_PI_1  0x243f6a8885a308d3
#define STOA_PI_2  0x13198a2e03707345
#define STOA_PI_3  0xa4093822299f31d1
#define STOA_PI_4  0x082efa98ec4e6c89

/* classes of characters */
#define ROTATE(x, n)  ((x) << (n) | (x) >> (64 - (n)))

#define SIP_ROUND                                                             \
    v0 += v1; v2 += v3;                                                       \
    v1 = ROTATE(v1, 13) ^ v0; v3 = ROTATE(v3, 16) ^ v2;                       \
    v0 = ROTATE(v0, 32) + v3; v2 += v1;                                       \
    v3 = ROTATE(v3, 21) ^ v0; v1 = ROTATE(v1, 17) ^ v2;                       \
    v2 = ROTATE(v2, 32)

#define C_ID    0x01          /* Crockford base32, lower case */
#define C_B62   0x02          /* [0-9A-Za-z]                  */
#define C_SLUG  0x04          /* [a-z0-9-]                    */
#define C_TOOL  0x08          /* [A-Za-z0-9_.-]               */
#define C_ENV   0x10          /* [a-z]                        */

#define C_DIGIT  (C_ID | C_B62 | C_SLUG | C_TOOL)
#define C_UPPER  (C_B62 | C_TOOL)
#define C_LOWER  (C_B62 | C_SLUG | C_TOOL | C_ENV)


__extension__ typedef unsigned __int128  stoa_u128_t;


static bool stoa_class(const char *s, size_t len, unsigned mask);
static uint32_t stoa_load32(const uint8_t *p);
static uint64_t stoa_load64(const uint8_t *p);
static uint64_t stoa_fold(uint64_t a, uint64_t b);


static const char  stoa_base32[] = "0123456789abcdefghjkmnpqrstvwxyz";
static const char  stoa_base62[] =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static const uint8_t  stoa_classes[256] = {
    ['-'] = C_SLUG | C_TOOL, ['.'] = C_TOOL, ['_'] = C_TOOL,

    ['0'] = C_DIGIT, ['1'] = C_DIGIT, ['2'] = C_DIGIT, ['3'] = C_DIGIT,
    ['4'] = C_DIGIT, ['5'] = C_DIGIT, ['6'] = C_DIGIT, ['7'] = C_DIGIT,
    ['8'] = C_DIGIT, ['9'] = C_DIGIT,

    ['A'] = C_UPPER, ['B'] = C_UPPER, ['C'] = C_UPPER, ['D'] = C_UPPER,
    ['E'] = C_UPPER, ['F'] = C_UPPER, ['G'] = C_UPPER, ['H'] = C_UPPER,
    ['I'] = C_UPPER, ['J'] = C_UPPER, ['K'] = C_UPPER, ['L'] = C_UPPER,
    ['M'] = C_UPPER, ['N'] = C_UPPER, ['O'] = C_UPPER, ['P'] = C_UPPER,
    ['Q'] = C_UPPER, ['R'] = C_UPPER, ['S'] = C_UPPER, ['T'] = C_UPPER,
    ['U'] = C_UPPER, ['V'] = C_UPPER, ['W'] = C_UPPER, ['X'] = C_UPPER,
    ['Y'] = C_UPPER, ['Z'] = C_UPPER,

    ['a'] = C_LOWER | C_ID, ['b'] = C_LOWER | C_ID, ['c'] = C_LOWER | C_ID,
    ['d'] = C_LOWER | C_ID, ['e'] = C_LOWER | C_ID, ['f'] = C_LOWER | C_ID,
    ['g'] = C_LOWER | C_ID, ['h'] = C_LOWER | C_ID, ['i'] = C_LOWER,
    ['j'] = C_LOWER | C_ID, ['k'] = C_LOWER | C_ID, ['l'] = C_LOWER,
    ['m'] = C_LOWER | C_ID, ['n'] = C_LOWER | C_ID, ['o'] = C_LOWER,
    ['p'] = C_LOWER | C_ID, ['q'] = C_LOWER | C_ID, ['r'] = C_LOWER | C_ID,
    ['s'] = C_LOWER | C_ID, ['t'] = C_LOWER | C_ID, ['u'] = C_LOWER,
    ['v'] = C_LOWER | C_ID, ['w'] = C_LOWER | C_ID, ['x'] = C_LOWER | C_ID,
    ['y'] = C_LOWER | C_ID, ['z'] = C_LOWER | C_ID,
};


/*
 * The CRC tables, eight bytes at a step, written by the compiler: a CRC is
 * linear, so an entry is the XOR of the entries of its bits, which are the
 * eight numbers of each row below (those of 1, 2, 4 ... 128).
 */

#define CRC_E(i, b0, b1, b2, b3, b4, b5, b6, b7)                              \
    (((i) & 1 ? b0 : 0) ^ ((i) & 2 ? b1 : 0) ^ ((i) & 4 ? b2 : 0)             \
     ^ ((i) & 8 ? b3 : 0) ^ ((i) & 16 ? b4 : 0) ^ ((i) & 32 ? b5 : 0)         \
     ^ ((i) & 64 ? b6 : 0) ^ ((i) & 128 ? b7 : 0))
#define CRC_4(i, ...)                                                         \
    CRC_E(i, __VA_ARGS__), CRC_E((i) + 1, __VA_ARGS__),                       \
    CRC_E((i) + 2, __VA_ARGS__), CRC_E((i) + 3, __VA_ARGS__)
#define CRC_16(i, ...)                                                        \
    CRC_4(i, __VA_ARGS__), CRC_4((i) + 4, __VA_ARGS__),                       \
    CRC_4((i) + 8, __VA_ARGS__), CRC_4((i) + 12, __VA_ARGS__)
#define CRC_64(i, ...)                                                        \
    CRC_16(i, __VA_ARGS__), CRC_16((i) + 16, __VA_ARGS__),                    \
    CRC_16((i) + 32, __VA_ARGS__), CRC_16((i) + 48, __VA_ARGS__)
#define CRC_256(...)                                                          \
    { CRC_64(0, __VA_ARGS__), CRC_64(64, __VA_ARGS__),                        \
      CRC_64(128, __VA_ARGS__), CRC_64(192, __VA_ARGS__) }

static const uint32_t  stoa_crc_table[8][256] = {
    CRC_256(0x77073096, 0xee0e612c, 0x076dc419, 0x0edb8832,
            0x1db71064, 0x3b6e20c8, 0x76dc4190, 0xedb88320),
    CRC_256(0x191b3141, 0x32366282, 0x646cc504, 0xc8d98a08,
            0x4ac21251, 0x958424a2, 0xf0794f05, 0x3b83984b),
    CRC_256(0x01c26a37, 0x0384d46e, 0x0709a8dc, 0x0e1351b8,
            0x1c26a370, 0x384d46e0, 0x709a8dc0, 0xe1351b80),
    CRC_256(0xb8bc6765, 0xaa09c88b, 0x8f629757, 0xc5b428ef,
            0x5019579f, 0xa032af3e, 0x9b14583d, 0xed59b63b),
    CRC_256(0x3d6029b0, 0x7ac05360, 0xf580a6c0, 0x30704bc1,
            0x60e09782, 0xc1c12f04, 0x58f35849, 0xb1e6b092),
    CRC_256(0xcb5cd3a5, 0x4dc8a10b, 0x9b914216, 0xec53826d,
            0x03d6029b, 0x07ac0536, 0x0f580a6c, 0x1eb014d8),
    CRC_256(0xa6770bb4, 0x979f1129, 0xf44f2413, 0x33ef4e67,
            0x67de9cce, 0xcfbd399c, 0x440b7579, 0x8816eaf2),
    CRC_256(0xccaa009e, 0x4225077d, 0x844a0efa, 0xd3e51bb5,
            0x7cbb312b, 0xf9766256, 0x299dc2ed, 0x533b85da)
};


stoa_rc_t
stoa_key_parse(const char *s, size_t len, stoa_key_t *key)
{
    size_t       n;
    uint8_t      sum[4];
    uint32_t     crc;
    const char  *p;

    if (len < STOA_KEY_FIXED_LEN + 2
        || len > STOA_KEY_FIXED_LEN + STOA_KEY_ENV_MAX
        || memcmp(s, STOA_KEY_PREFIX, STOA_KEY_PREFIX_LEN) != 0)
    {
        return STOA_DECLINED;
    }

    /* every part but env has a fixed length, so env has one too */

    n = len - STOA_KEY_FIXED_LEN;
    p = s + STOA_KEY_PREFIX_LEN;

    key->env = (stoa_str_t) { p, n };
    p += n;

    key->id = (stoa_str_t) { p + 1, STOA_ID_LEN };
    key->secret = (stoa_str_t) { p + 1 + STOA_ID_LEN + 1,
                                 STOA_KEY_SECRET_LEN };

    if (p[0] != '_' || p[1 + STOA_ID_LEN] != '_'
        || s[len - STOA_CRC_LEN - 1] != '_'
        || !stoa_class(key->env.data, n, C_ENV)
        || !stoa_class(key->id.data, STOA_ID_LEN, C_ID)
        || !stoa_class(key->secret.data, STOA_KEY_SECRET_LEN, C_B62))
    {
        return STOA_DECLINED;
    }

    /* the only lower-case form of the sum is right: one key, one spelling */

    p = s + len - STOA_CRC_LEN;

    if (!stoa_class(p, STOA_CRC_LEN, C_SLUG)
        || !stoa_hex_decode(p, STOA_CRC_LEN, sum))
    {
        return STOA_DECLINED;
    }

    crc = (uint32_t) sum[0] << 24 | (uint32_t) sum[1] << 16
          | (uint32_t) sum[2] << 8 | sum[3];

    if (crc != stoa_crc32(s, len - STOA_CRC_LEN - 1)) {
        return STOA_DECLINED;
    }

    return STOA_OK;
}


bool
stoa_key_foreign(const char *s, size_t len)
{
    return len > 0 && (len < STOA_KEY_PREFIX_LEN
                       || memcmp(s, STOA_KEY_PREFIX, STOA_KEY_PREFIX_LEN)
                          != 0);
}


size_t
stoa_key_format(char *dst, const char *env, const char *id,
    const char *secret)
{
    char      *p;
    size_t     n;
    uint8_t    sum[4];
    uint32_t   crc;

    n = strlen(env);
    p = dst;

    if (n > STOA_KEY_ENV_MAX) {
        n = STOA_KEY_ENV_MAX;
    }

    memcpy(p, STOA_KEY_PREFIX, STOA_KEY_PREFIX_LEN);
    p += STOA_KEY_PREFIX_LEN;
    memcpy(p, env, n);
    p += n;
    *p++ = '_';
    memcpy(p, id, STOA_ID_LEN);
    p += STOA_ID_LEN;
    *p++ = '_';
    memcpy(p, secret, STOA_KEY_SECRET_LEN);
    p += STOA_KEY_SECRET_LEN;

    crc = stoa_crc32(dst, (size_t) (p - dst));

    sum[0] = (uint8_t) (crc >> 24);
    sum[1] = (uint8_t) (crc >> 16);
    sum[2] = (uint8_t) (crc >> 8);
    sum[3] = (uint8_t) crc;

    *p++ = '_';
    stoa_hex_encode(sum, sizeof(sum), p);
    p += STOA_CRC_LEN;
    *p = '\0';

    return (size_t) (p - dst);
}


size_t
stoa_key_base62(const uint8_t *random, size_t len, char *dst, size_t n)
{
    size_t  i, done;

    done = 0;

    for (i = 0; i < len && done < n; i++) {
        if (random[i] < 248) {
            dst[done++] = stoa_base62[random[i] % 62];
        }
    }

    return done;
}


void
stoa_id_format(char *dst, uint64_t unix_ms, uint32_t random)
{
    unsigned  i;

    /* ids sort as text by their time */

    for (i = 0; i < 10; i++) {
        dst[i] = stoa_base32[(unix_ms >> (45 - 5 * i)) & 31];
    }

    for (i = 0; i < 6; i++) {
        dst[10 + i] = stoa_base32[(random >> (25 - 5 * i)) & 31];
    }
}


uint64_t
stoa_id_time(const char *id)
{
    unsigned     i;
    uint64_t     ms;
    const char  *p;

    ms = 0;

    for (i = 0; i < 10; i++) {
        p = memchr(stoa_base32, id[i], sizeof(stoa_base32) - 1);
        ms = ms << 5 | (uint64_t) (p ? p - stoa_base32 : 0);
    }

    return ms;
}


void
stoa_id_pack(const char *id, uint8_t *dst)
{
    unsigned     i, j;
    uint64_t     n;
    const char  *p;

    for (i = 0; i < 2; i++) {
        n = 0;

        for (j = 0; j < 8; j++) {
            p = memchr(stoa_base32, *id++, sizeof(stoa_base32) - 1);
            n = n << 5 | (uint64_t) (p ? p - stoa_base32 : 0);
        }

        for (j = 0; j < 5; j++) {
            *dst++ = (uint8_t) (n >> (32 - 8 * j));
        }
    }
}


void
stoa_id_unpack(const uint8_t *s, char *dst)
{
    unsigned  i, j;
    uint64_t  n;

    for (i = 0; i < 2; i++) {
        n = 0;

        for (j = 0; j < 5; j++) {
            n = n << 8 | *s++;
        }

        for (j = 0; j < 8; j++) {
            *dst++ = stoa_base32[n >> (35 - 5 * j) & 31];
        }
    }
}


bool
stoa_id_valid(const char *s, size_t len)
{
    return len == STOA_ID_LEN && stoa_class(s, len, C_ID);
}


bool
stoa_name_valid(const char *s, size_t len)
{
    return len >= 1 && len <= STOA_NAME_MAX
           && s[0] != '-' && s[len - 1] != '-'
           && stoa_class(s, len, C_SLUG);
}


bool
stoa_tool_name_valid(const char *s, size_t len)
{
    return len >= 1 && len <= STOA_TOOL_NAME_MAX
           && stoa_class(s, len, C_TOOL);
}


bool
stoa_env_valid(const char *s, size_t len)
{
    return len >= 2 && len <= STOA_KEY_ENV_MAX && stoa_class(s, len, C_ENV);
}


static bool
stoa_class(const char *s, size_t len, unsigned mask)
{
    size_t    i;
    unsigned  all;

    /* without a branch per byte */

    all = mask;

    for (i = 0; i < len; i++) {
        all &= stoa_classes[(unsigned char) s[i]];
    }

    return all == mask;
}


uint32_t
stoa_crc32(const void *data, size_t len)
{
    uint32_t        crc, a, b;
    const uint8_t  *p;

    p = data;
    crc = 0xffffffff;

    while (len >= 8) {
        a = stoa_load32(p) ^ crc;
        b = stoa_load32(p + 4);

        crc = stoa_crc_table[7][a & 255] ^ stoa_crc_table[6][a >> 8 & 255]
              ^ stoa_crc_table[5][a >> 16 & 255] ^ stoa_crc_table[4][a >> 24]
              ^ stoa_crc_table[3][b & 255] ^ stoa_crc_table[2][b >> 8 & 255]
              ^ stoa_crc_table[1][b >> 16 & 255] ^ stoa_crc_table[0][b >> 24];

        p += 8;
        len -= 8;
    }

    while (len--) {
        crc = crc >> 8 ^ stoa_crc_table[0][(crc ^ *p++) & 255];
    }

    return ~crc;
}


bool
stoa_equal_ct(const void *a, const void *b, size_t len)
{
    size_t          i;
    uint64_t        diff, u, v;
    const uint8_t  *x, *y;

    x = a;
    y = b;
    diff = 0;

    for (i = 0; len - i >= 8; i += 8) {
        memcpy(&u, x + i, 8);
        memcpy(&v, y + i, 8);
        diff |= u ^ v;
    }

    for ( /* void */ ; i < len; i++) {
        diff |= x[i] ^ y[i];
    }

    /* the sum is needed: no early way out can be compiled in */

    __asm__ volatile ("" : "+r" (diff));

    return diff == 0;
}


bool
stoa_hex_decode(const char *s, size_t len, uint8_t *dst)
{
    size_t    i;
    unsigned  c, v, bad;

    if (len % 2) {
        return false;
    }

    bad = 0;

    for (i = 0; i < len; i++) {
        c = (unsigned char) s[i];

        if (c >= '0' && c <= '9') {
            v = c - '0';

        } else {
            v = (c | 0x20) - 'a' + 10;
            bad |= (v < 10 || v > 15);
        }

        if (i % 2 == 0) {
            dst[i / 2] = (uint8_t) (v << 4);

        } else {
            dst[i / 2] |= (uint8_t) (v & 15);
        }
    }

    return !bad;
}


void
stoa_hex_encode(const uint8_t *s, size_t len, char *dst)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        dst[2 * i] = "0123456789abcdef"[s[i] >> 4];
        dst[2 * i + 1] = "0123456789abcdef"[s[i] & 15];
    }
}


uint64_t
stoa_hash64(const void *data, size_t len, uint64_t seed)
{
    uint64_t        a, b, h;
    const uint8_t  *p;

    p = data;
    h = seed ^ STOA_PI_1;

    for (a = len; a > 16; a -= 16) {
        h = stoa_fold(stoa_load64(p) ^ h,
                      stoa_load64(p + 8) ^ STOA_PI_2);
        p += 16;
    }

    /* the rest, 0..16 bytes, by loads that may overlap */

    if (a >= 8) {
        b = stoa_load64(p + a - 8);
        a = stoa_load64(p);

    } else if (a >= 4) {
        b = stoa_load32(p + a - 4);
        a = stoa_load32(p);

    } else if (a > 0) {
        b = p[a - 1];
        a = (uint64_t) p[0] << 8 | p[a / 2];

    } else {
        b = 0;
    }

    h = stoa_fold(a ^ h, b ^ STOA_PI_3);

    return stoa_fold(h, STOA_PI_4 ^ (uint64_t) len);
}


static uint64_t
stoa_fold(uint64_t a, uint64_t b)
{
    stoa_u128_t  m;

    m = (stoa_u128_t) a * b;

    return (uint64_t) m ^ (uint64_t) (m >> 64);
}


void
stoa_siphash(const void *data, size_t len, const uint64_t key[2],
    uint64_t out[2])
{
    size_t          i;
    uint64_t        v0, v1, v2, v3, m;
    const uint8_t  *p;

    /* "somepseudorandomlygeneratedbytes", and 128 bits out */

    v0 = key[0] ^ 0x736f6d6570736575;
    v1 = key[1] ^ 0x646f72616e646f6d ^ 0xee;
    v2 = key[0] ^ 0x6c7967656e657261;
    v3 = key[1] ^ 0x7465646279746573;

    p = data;

    for (i = len; i >= 8; i -= 8) {
        m = stoa_load64(p);
        p += 8;

        v3 ^= m;
        SIP_ROUND;
        SIP_ROUND;
        v0 ^= m;
    }

    m = (uint64_t) len << 56;

#if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
    if (i && len >= 8) {
        m |= stoa_load64(p + i - 8) >> (64 - 8 * i);
        i = 0;
    }
#endif

    while (i--) {
        m |= (uint64_t) p[i] << 8 * i;
    }

    v3 ^= m;
    SIP_ROUND;
    SIP_ROUND;
    v0 ^= m;

    v2 ^= 0xee;
    SIP_ROUND;
    SIP_ROUND;
    SIP_ROUND;
    SIP_ROUND;
    out[0] = v0 ^ v1 ^ v2 ^ v3;

    v1 ^= 0xdd;
    SIP_ROUND;
    SIP_ROUND;
    SIP_ROUND;
    SIP_ROUND;
    out[1] = v0 ^ v1 ^ v2 ^ v3;
}


static uint32_t
stoa_load32(const uint8_t *p)
{
    return (uint32_t) p[0] | (uint32_t) p[1] << 8 | (uint32_t) p[2] << 16
           | (uint32_t) p[3] << 24;
}


static uint64_t
stoa_load64(const uint8_t *p)
{
    uint64_t  v;

    memcpy(&v, p, sizeof(v));

    return v;
}
