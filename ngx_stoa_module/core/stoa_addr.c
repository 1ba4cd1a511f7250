/*
 * Classes of addresses, and who may be talked to.
 */

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "stoa_addr.h"


#define SPECIAL   STOA_ADDR_SPECIAL
#define PRIVATE   STOA_ADDR_PRIVATE
#define LOOPBACK  STOA_ADDR_LOOPBACK


typedef struct {
    uint8_t            family;
    uint8_t            bits;
    uint8_t            addr[16];
    stoa_addr_class_e  class;
} stoa_range_t;

typedef struct {
    uint8_t            bits;
    uint8_t            at;       /* where the IPv4 address is               */
    uint8_t            addr[12];
} stoa_inside_t;


/* The first that fits counts. */
static const stoa_range_t  stoa_ranges[] = {
    { 4, 8,   { 0 }, SPECIAL },                    /* this network          */
    { 4, 8,   { 10 }, PRIVATE },
    { 4, 32,  { 100, 100, 100, 200 }, SPECIAL },   /* metadata              */
    { 4, 10,  { 100, 64 }, PRIVATE },              /* carriers' NAT         */
    { 4, 8,   { 127 }, LOOPBACK },
    { 4, 32,  { 168, 63, 129, 16 }, SPECIAL },     /* metadata              */
    { 4, 16,  { 169, 254 }, SPECIAL },             /* link-local, metadata  */
    { 4, 12,  { 172, 16 }, PRIVATE },
    { 4, 24,  { 192, 0, 0 }, SPECIAL },            /* protocols, metadata   */
    { 4, 24,  { 192, 88, 99 }, SPECIAL },          /* 6to4 relays           */
    { 4, 16,  { 192, 168 }, PRIVATE },
    { 4, 15,  { 198, 18 }, PRIVATE },              /* measurements          */
    { 4, 4,   { 224 }, SPECIAL },                  /* multicast             */
    { 4, 4,   { 240 }, SPECIAL },                  /* reserved, broadcast   */

    { 6, 128, { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 }, LOOPBACK },
    { 6, 8,   { 0x00 }, SPECIAL },                 /* ::, what is reserved  */
    { 6, 64,  { 0x01 }, SPECIAL },                 /* discard only          */
    { 6, 32,  { 0x20, 0x01, 0, 0 }, SPECIAL },     /* Teredo                */
    { 6, 32,  { 0xfd, 0x00, 0x0e, 0xc2 }, SPECIAL },       /* metadata      */
    { 6, 32,  { 0xfd, 0x20, 0x00, 0xce }, SPECIAL },       /* metadata      */
    { 6, 7,   { 0xfc }, PRIVATE },
    { 6, 10,  { 0xfe, 0x80 }, SPECIAL },           /* link-local            */
    { 6, 10,  { 0xfe, 0xc0 }, SPECIAL },           /* site-local, withdrawn */
    { 6, 8,   { 0xff }, SPECIAL }                  /* multicast             */
};

static const stoa_inside_t  stoa_insides[] = {
    { 96, 12, { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff } },  /* mapped    */
    { 96, 12, { 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0 } },  /* translated */
    { 96, 12, { 0x00, 0x64, 0xff, 0x9b } },                    /* NAT64     */
    { 16, 2,  { 0x20, 0x02 } }                                 /* 6to4      */
};

static const struct {
    const char  *word;
    const char  *rows[8];
} stoa_allow_words[] = {
    { "private", { "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
                   "100.64.0.0/10", "198.18.0.0/15", "fc00::/7", NULL } },
    { "loopback", { "127.0.0.0/8", "::1", NULL } },
    { "none", { NULL } },
    { NULL, { NULL } }
};


static bool
stoa_addr_in(const uint8_t *addr, const uint8_t *range, unsigned bits)
{
    unsigned  whole;

    whole = bits / 8;

    return memcmp(addr, range, whole) == 0
           && (bits % 8 == 0
               || ((addr[whole] ^ range[whole])
                   & (uint8_t) (0xff00 >> (bits % 8))) == 0);
}


/* As the address that it leads to. */
static void
stoa_addr_inside(unsigned *family, const uint8_t **addr)
{
    size_t  i;

    if (*family != 6) {
        return;
    }

    for (i = 0; i < sizeof(stoa_insides) / sizeof(stoa_insides[0]); i++) {
        if (stoa_addr_in(*addr, stoa_insides[i].addr, stoa_insides[i].bits)) {
            *family = 4;
            *addr += stoa_insides[i].at;
            return;
        }
    }
}


/* NULL: public. */
static const stoa_range_t *
stoa_addr_range(unsigned family, const uint8_t *addr)
{
    size_t               i;
    const stoa_range_t  *range;

    for (i = 0; i < sizeof(stoa_ranges) / sizeof(stoa_ranges[0]); i++) {
        range = &stoa_ranges[i];

        if (range->family == family
            && stoa_addr_in(addr, range->addr, range->bits))
        {
            return range;
        }
    }

    return NULL;
}


stoa_addr_class_e
stoa_addr_class(unsigned family, const uint8_t *addr)
{
    const stoa_range_t  *range;

    if (family != 4 && family != 6) {
        return STOA_ADDR_SPECIAL;
    }

    stoa_addr_inside(&family, &addr);
    range = stoa_addr_range(family, addr);

    return range ? range->class : STOA_ADDR_PUBLIC;
}


const char *
stoa_addr_class_name(stoa_addr_class_e class)
{
    static const char *const  names[] = {
        [STOA_ADDR_PUBLIC] = "a public",
        [STOA_ADDR_PRIVATE] = "a private",
        [STOA_ADDR_LOOPBACK] = "a loopback",
        [STOA_ADDR_SPECIAL] = "a link-local or reserved"
    };

    return names[class];
}


stoa_rc_t
stoa_allow_add(stoa_allow_t *allow, const char *s, size_t len)
{
    size_t     i, k;
    stoa_rc_t  rc;

    for (i = 0; stoa_allow_words[i].word; i++) {
        if (strlen(stoa_allow_words[i].word) != len
            || memcmp(stoa_allow_words[i].word, s, len) != 0)
        {
            continue;
        }

        rc = STOA_OK;

        for (k = 0; stoa_allow_words[i].rows[k] && rc == STOA_OK; k++) {
            rc = stoa_allow_add(allow, stoa_allow_words[i].rows[k],
                                strlen(stoa_allow_words[i].rows[k]));
        }

        return rc;
    }

    if (allow->n == STOA_ALLOW_MAX) {
        return STOA_FULL;
    }

    rc = stoa_cidr_parse(s, len, &allow->cidr[allow->n]);

    if (rc == STOA_OK) {
        allow->n++;
    }

    return rc;
}


bool
stoa_allow_addr(const stoa_allow_t *allow, unsigned family,
    const uint8_t *addr)
{
    unsigned             i;
    const stoa_cidr_t   *row;
    const stoa_range_t  *range;

    if (family != 4 && family != 6) {
        return false;
    }

    stoa_addr_inside(&family, &addr);
    range = stoa_addr_range(family, addr);

    if (range == NULL) {
        return true;
    }

    for (i = 0; i < allow->n; i++) {
        row = &allow->cidr[i];

        if (!stoa_cidr_match(row, family, addr)) {
            continue;
        }

        if (range->class != STOA_ADDR_SPECIAL || row->bits >= range->bits) {
            return true;
        }
    }

    return false;
}


bool
stoa_allow_sockaddr(const stoa_allow_t *allow, const struct sockaddr *sa)
{
    uint8_t              addr[16];
    struct sockaddr_in   sin;
    struct sockaddr_in6  sin6;

    if (sa->sa_family == AF_INET) {
        memcpy(&sin, sa, sizeof(sin));
        memcpy(addr, &sin.sin_addr, 4);
        return stoa_allow_addr(allow, 4, addr);
    }

    if (sa->sa_family == AF_INET6) {
        memcpy(&sin6, sa, sizeof(sin6));
        memcpy(addr, &sin6.sin6_addr, 16);
        return stoa_allow_addr(allow, 6, addr);
    }

    return false;
}


bool
stoa_addr_literal(const char *host, size_t len, unsigned *family,
    uint8_t *addr)
{
    char               text[64];
    struct in_addr     in;
    static const char  local[] = "localhost";

    if (len > 1 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }

    if (len > 1 && host[len - 1] == '.') {
        len--;
    }

    memset(addr, 0, 16);
    *family = 4;

    if (len >= sizeof(local) - 1
        && strncasecmp(host + len - (sizeof(local) - 1), local,
                       sizeof(local) - 1) == 0
        && (len == sizeof(local) - 1 || host[len - sizeof(local)] == '.'))
    {
        addr[0] = 127;
        addr[3] = 1;
        return true;
    }

    if (len == 0 || len >= sizeof(text)) {
        return false;
    }

    memcpy(text, host, len);
    text[len] = '\0';

    if (inet_aton(text, &in)) {
        memcpy(addr, &in, 4);
        return true;
    }

    *family = 6;

    return inet_pton(AF_INET6, text, addr) == 1;
}


bool
stoa_addr_host_valid(const char *host, size_t len)
{
    char            text[16];
    size_t          i, n;
    const char     *label;
    struct in_addr  in;

    for (i = len; i > 0 && host[i - 1] != '.'; i--) { /* void */ }

    label = host + i;
    n = len - i;

    if (n > 1 && label[0] == '0' && (label[1] | 0x20) == 'x') {
        for (i = 2; i < n && isxdigit((uint8_t) label[i]); i++) { /* void */ }

    } else {
        for (i = 0; i < n && isdigit((uint8_t) label[i]); i++) { /* void */ }
    }

    if (n == 0 || i < n) {
        return true;
    }

    if (len >= sizeof(text)) {
        return false;
    }

    memcpy(text, host, len);
    text[len] = '\0';

    return inet_pton(AF_INET, text, &in) == 1;
}
