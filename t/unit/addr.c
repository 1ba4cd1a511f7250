/* Tests for the judge of addresses. */

#include "stoa_addr.h"
#include "tap.h"

#include <arpa/inet.h>
#include <netinet/in.h>


#define PUBLIC    STOA_ADDR_PUBLIC
#define PRIVATE   STOA_ADDR_PRIVATE
#define LOOPBACK  STOA_ADDR_LOOPBACK
#define SPECIAL   STOA_ADDR_SPECIAL


static const struct {
    const char         *addr;
    stoa_addr_class_e   class;
} classes[] = {
    { "1.1.1.1", PUBLIC },
    { "9.255.255.255", PUBLIC },
    { "10.0.0.0", PRIVATE },
    { "10.255.255.255", PRIVATE },
    { "11.0.0.0", PUBLIC },
    { "100.63.255.255", PUBLIC },
    { "100.64.0.1", PRIVATE },
    { "100.100.100.199", PRIVATE },
    { "100.100.100.200", SPECIAL },
    { "100.127.255.255", PRIVATE },
    { "100.128.0.0", PUBLIC },
    { "126.255.255.255", PUBLIC },
    { "127.0.0.1", LOOPBACK },
    { "127.255.255.255", LOOPBACK },
    { "168.63.129.16", SPECIAL },
    { "168.63.129.17", PUBLIC },
    { "169.253.255.255", PUBLIC },
    { "169.254.0.0", SPECIAL },
    { "169.254.169.254", SPECIAL },
    { "169.254.170.2", SPECIAL },
    { "169.255.0.0", PUBLIC },
    { "172.15.255.255", PUBLIC },
    { "172.16.0.1", PRIVATE },
    { "172.31.255.255", PRIVATE },
    { "172.32.0.0", PUBLIC },
    { "192.0.0.192", SPECIAL },
    { "192.0.1.0", PUBLIC },
    { "192.168.0.1", PRIVATE },
    { "192.169.0.0", PUBLIC },
    { "198.18.0.1", PRIVATE },
    { "223.255.255.255", PUBLIC },
    { "224.0.0.1", SPECIAL },
    { "240.0.0.1", SPECIAL },
    { "255.255.255.255", SPECIAL },
    { "0.0.0.0", SPECIAL },
    { "0.1.2.3", SPECIAL },

    { "2606:4700::1111", PUBLIC },
    { "::", SPECIAL },
    { "::1", LOOPBACK },
    { "::2", SPECIAL },
    { "::127.0.0.1", SPECIAL },
    { "::ffff:127.0.0.1", LOOPBACK },
    { "::ffff:169.254.169.254", SPECIAL },
    { "::ffff:10.1.2.3", PRIVATE },
    { "::ffff:1.1.1.1", PUBLIC },
    { "::ffff:0:169.254.169.254", SPECIAL },
    { "64:ff9b::a9fe:a9fe", SPECIAL },
    { "64:ff9b::7f00:1", LOOPBACK },
    { "64:ff9b::101:101", PUBLIC },
    { "64:ff9b:1::101:101", SPECIAL },
    { "2002:a9fe:a9fe::1", SPECIAL },
    { "2002:7f00:1::", LOOPBACK },
    { "2002:0a01:0203::", PRIVATE },
    { "2002:101:101::", PUBLIC },
    { "2001:0:53aa::1", SPECIAL },
    { "2001:470::1", PUBLIC },
    { "100::1", SPECIAL },
    { "fc00::1", PRIVATE },
    { "fd12:3456::1", PRIVATE },
    { "fd00:ec2::254", SPECIAL },
    { "fd20:ce::254", SPECIAL },
    { "fe80::1", SPECIAL },
    { "febf::1", SPECIAL },
    { "fec0::1", SPECIAL },
    { "ff02::1", SPECIAL },
};

static const struct {
    const char  *list;             /* rows, joined by blanks               */
    const char  *addr;
    bool         allowed;
} lists[] = {
    { "none", "1.1.1.1", true },
    { "none", "10.0.0.1", false },
    { "none", "127.0.0.1", false },
    { "private", "10.0.0.1", true },
    { "private", "fd12::1", true },
    { "private", "::ffff:192.168.1.1", true },
    { "private", "127.0.0.1", false },
    { "private", "169.254.169.254", false },
    { "private", "100.100.100.200", false },
    { "private", "fd00:ec2::254", false },
    { "loopback", "127.0.0.1", true },
    { "loopback", "::1", true },
    { "loopback", "0.0.0.0", false },
    { "loopback", "10.0.0.1", false },
    { "10.1.0.0/16", "10.1.2.3", true },
    { "10.1.0.0/16", "10.2.2.3", false },
    { "0.0.0.0/0 ::/0", "127.0.0.1", true },
    { "0.0.0.0/0 ::/0", "169.254.169.254", false },
    { "0.0.0.0/0 ::/0", "::ffff:169.254.169.254", false },
    { "0.0.0.0/0 ::/0", "64:ff9b::a9fe:a9fe", false },
    { "0.0.0.0/0 ::/0", "fe80::1", false },
    { "169.254.0.0/16", "169.254.169.254", true },
    { "169.254.169.254", "169.254.169.254", true },
    { "169.254.169.254", "169.254.170.2", false },
    { "169.0.0.0/8", "169.254.169.254", false },
    { "100.64.0.0/10", "100.100.100.200", false },
    { "100.100.100.200", "100.100.100.200", true },
    { "fc00::/7", "fd00:ec2::254", false },
    { "fd00:ec2::254", "fd00:ec2::254", true },
    { "::ffff:127.0.0.1", "127.0.0.1", true },
};

static const struct {
    const char  *host;
    const char  *addr;             /* NULL: a name                         */
} literals[] = {
    { "127.0.0.1", "127.0.0.1" },
    { "127.1", "127.0.0.1" },
    { "2130706433", "127.0.0.1" },
    { "0x7f000001", "127.0.0.1" },
    { "0177.0.0.1", "127.0.0.1" },
    { "0", "0.0.0.0" },
    { "127.0.0.1.", "127.0.0.1" },
    { "localhost", "127.0.0.1" },
    { "LocalHost.", "127.0.0.1" },
    { "a.localhost", "127.0.0.1" },
    { "notlocalhost", NULL },
    { "localhost.example", NULL },
    { "[::1]", "::1" },
    { "::1", "::1" },
    { "[::ffff:10.0.0.1]", "::ffff:10.0.0.1" },
    { "example.com", NULL },
    { "10.example.com", NULL },
    { "", NULL },
};


static const struct {
    const char  *host;
    bool         valid;
} hosts[] = {
    { "127.0.0.1", true },
    { "example.com", true },
    { "10.example.com", true },
    { "1.2.3.4x", true },
    { "0xyz", true },
    { "127.1", false },
    { "2130706433", false },
    { "0x7f000001", false },
    { "0x", false },
    { "0177.0.0.1", false },
    { "127.0.0.0X1", false },
    { "1.2.3.4.5", false },
    { "256.0.0.1", false },
    { "example.7", false },
};


static unsigned
parse(const char *text, uint8_t *addr)
{
    memset(addr, 0, 16);

    if (inet_pton(AF_INET, text, addr) == 1) {
        return 4;
    }

    return inet_pton(AF_INET6, text, addr) == 1 ? 6 : 0;
}


static void
test_hosts(void)
{
    size_t  i;

    for (i = 0; i < tap_count(hosts); i++) {
        tap_ok(stoa_addr_host_valid(hosts[i].host, strlen(hosts[i].host))
               == hosts[i].valid, "host %s", hosts[i].host);
    }
}


static void
test_lists(void)
{
    char          text[128], *s, *rest;
    size_t        i;
    uint8_t       addr[16];
    unsigned      family;
    stoa_allow_t  allow;

    for (i = 0; i < tap_count(lists); i++) {
        memset(&allow, 0, sizeof(allow));
        snprintf(text, sizeof(text), "%s", lists[i].list);

        for (s = strtok_r(text, " ", &rest); s; s = strtok_r(NULL, " ", &rest))
        {
            tap_int(stoa_allow_add(&allow, s, strlen(s)), STOA_OK, s);
        }

        family = parse(lists[i].addr, addr);
        tap_ok(stoa_allow_addr(&allow, family, addr) == lists[i].allowed,
               "\"%s\" %s %s", lists[i].list,
               lists[i].allowed ? "allows" : "refuses", lists[i].addr);
    }

    memset(&allow, 0, sizeof(allow));
    tap_int(stoa_allow_add(&allow, "publik", 6), STOA_DECLINED,
            "an unknown word is refused");
    tap_int(stoa_allow_add(&allow, "10.0.0.0/33", 11), STOA_DECLINED,
            "so is a bad range");

    for (i = 0; i < STOA_ALLOW_MAX; i++) {
        if (stoa_allow_add(&allow, "10.0.0.1", 8) != STOA_OK) {
            break;
        }
    }

    tap_int((long long) i, STOA_ALLOW_MAX, "as many rows as promised");
    tap_int(stoa_allow_add(&allow, "10.0.0.1", 8), STOA_FULL, "and no more");
}


static void
test_sockaddr(void)
{
    struct sockaddr      un;
    struct sockaddr_in   sin;
    struct sockaddr_in6  sin6;
    stoa_allow_t         allow;

    memset(&allow, 0, sizeof(allow));
    memset(&sin, 0, sizeof(sin));
    memset(&sin6, 0, sizeof(sin6));
    memset(&un, 0, sizeof(un));

    sin.sin_family = AF_INET;
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sin6.sin6_family = AF_INET6;
    un.sa_family = AF_UNIX;
    inet_pton(AF_INET6, "2606:4700::1111", &sin6.sin6_addr);

    tap_ok(!stoa_allow_sockaddr(&allow, (struct sockaddr *) &sin),
           "a loopback socket address");
    tap_ok(stoa_allow_sockaddr(&allow, (struct sockaddr *) &sin6),
           "a public one");
    tap_ok(!stoa_allow_sockaddr(&allow, &un), "a local socket is no address");
}


int
main(void)
{
    bool      literal;
    size_t    i;
    uint8_t   addr[16], want[16];
    unsigned  family;

    for (i = 0; i < tap_count(classes); i++) {
        family = parse(classes[i].addr, addr);
        tap_ok(family != 0
               && stoa_addr_class(family, addr) == classes[i].class,
               "%s is %s address", classes[i].addr,
               stoa_addr_class_name(classes[i].class));
    }

    test_hosts();
    test_lists();
    test_sockaddr();

    for (i = 0; i < tap_count(literals); i++) {
        literal = stoa_addr_literal(literals[i].host,
                                    strlen(literals[i].host), &family, addr);
        tap_ok(literal == (literals[i].addr != NULL)
               && (!literal
                   || (parse(literals[i].addr, want) == family
                       && memcmp(addr, want, 16) == 0)),
               "\"%s\" is %s", literals[i].host,
               literals[i].addr ? literals[i].addr : "a name");
    }

    return tap_done();
}
