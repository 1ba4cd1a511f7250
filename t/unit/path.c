/* Tests for base paths, prefixes, templates and address ranges. */

#include "stoa_path.h"
#include "stoa_rewrite.h"
#include "tap.h"

#include <arpa/inet.h>


static const struct {
    const char  *s;
    bool         base;
    bool         tmpl;
} paths[] = {
    { "", false, false },
    { "/", true, true },
    { "//", false, false },
    { "a", false, false },
    { "/a", true, true },
    { "/a/", false, true },
    { "/a//b", false, false },
    { "/a/b", true, true },
    { "/a/./b", false, false },
    { "/a/../b", false, false },
    { "/..", false, false },
    { "/...", true, true },
    { "/.a", true, true },
    { "/a.b~c_d-E9", true, true },
    { "/a b", false, false },
    { "/a%20b", false, false },
    { "/a?b", false, false },
    { "/a#b", false, false },
    { "/a;b=c", false, true },
    { "/a:b@c", false, true },
    { "/\xc3\xa9", false, false },
    { "/1/2/3/4/5/6/7/8", true, true },
    { "/1/2/3/4/5/6/7/8/9", false, true },
    { "/orders/{id}", false, true },
    { "/orders/{id}/lines/{line_no}", false, true },
    { "/orders/{id}/lines/{id}", false, false },
    { "/orders/{}", false, false },
    { "/orders/{id", false, false },
    { "/orders/id}", false, false },
    { "/orders/a{id}", false, false },
    { "/orders/{id}.json", false, false },
    { "/orders/{a b}", false, false },
    { "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}/{k}/{l}/{m}/{n}/{o}/{p}",
      false, true },
    { "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}/{k}/{l}/{m}/{n}/{o}/{p}/{q}",
      false, false },
};

static const struct {
    const char  *path;
    const char  *prefixes;        /* joined by spaces                     */
} prefixes[] = {
    { "", "" },
    { "a", "" },
    { "/", "/" },
    { "//", "/" },
    { "/a", "/a /" },
    { "/a/", "/a /" },
    { "/a/b", "/a/b /a /" },
    { "/a/b///", "/a/b /a /" },
    { "/a//b", "/a//b /a /" },
    { "/ab/c", "/ab/c /ab /" },
    { "/1/2/3/4/5/6/7/8", "/1/2/3/4/5/6/7/8 /1/2/3/4/5/6/7 /1/2/3/4/5/6 "
      "/1/2/3/4/5 /1/2/3/4 /1/2/3 /1/2 /1 /" },
    { "/1/2/3/4/5/6/7/8/9/10", "/1/2/3/4/5/6/7/8 /1/2/3/4/5/6/7 /1/2/3/4/5/6 "
      "/1/2/3/4/5 /1/2/3/4 /1/2/3 /1/2 /1 /" },
};

static const struct {
    const char  *tmpl;
    const char  *path;
    bool         match;
} matches[] = {
    { "/", "/", true },
    { "/", "/a", false },
    { "/", "", false },
    { "/a", "/a", true },
    { "/a", "/ab", false },
    { "/ab", "/a", false },
    { "/a", "/A", false },
    { "/a", "/a/", false },
    { "/a/", "/a/", true },
    { "/a/", "/a", false },
    { "/{x}", "/", false },
    { "/{x}", "/1", true },
    { "/{x}", "/1/", false },
    { "/{x}", "/1/2", false },
    { "/orders/{id}", "/orders/42", true },
    { "/orders/{id}", "/orders/", false },
    { "/orders/{id}", "/orders", false },
    { "/orders/{id}", "/orders/a/b", false },
    { "/orders/{id}/lines", "/orders/42/lines", true },
    { "/orders/{id}/lines", "/orders/42/line", false },
    { "/orders/{id}/lines", "/orders//lines", false },
    { "/{a}/{b}", "/{/}", true },
    { "/{a}/x", "/%2f/x", true },
};

static const struct {
    const char  *s;
    int          family;          /* 0: refused                           */
    int          bits;
    const char  *addr;
} cidrs[] = {
    { "10.0.0.0/8", 4, 8, "10.0.0.0" },
    { "10.1.2.3/8", 4, 8, "10.0.0.0" },
    { "10.255.255.255/9", 4, 9, "10.128.0.0" },
    { "192.168.1.1", 4, 32, "192.168.1.1" },
    { "0.0.0.0/0", 4, 0, "0.0.0.0" },
    { "1.2.3.4/32", 4, 32, "1.2.3.4" },
    { "2001:db8::/32", 6, 32, "2001:db8::" },
    { "2001:db8::1/33", 6, 33, "2001:db8::" },
    { "::", 6, 128, "::" },
    { "::/0", 6, 0, "::" },
    { "::1/128", 6, 128, "::1" },
    { "::ffff:10.0.0.1", 4, 32, "10.0.0.1" },
    { "::ffff:10.0.0.0/104", 4, 8, "10.0.0.0" },
    { "::ffff:0:0/95", 6, 95, "::fffe:0:0" },
    { "2001:db8:aaaa:bbbb:cccc:dddd:255.255.255.255/128", 6, 128,
      "2001:db8:aaaa:bbbb:cccc:dddd:ffff:ffff" },
    { "", 0, 0, "" },
    { "/", 0, 0, "" },
    { "/8", 0, 0, "" },
    { "10.0.0.0/", 0, 0, "" },
    { "10.0.0.0/33", 0, 0, "" },
    { "10.0.0.0/-1", 0, 0, "" },
    { "10.0.0.0/08", 0, 0, "" },
    { "10.0.0.0/8 ", 0, 0, "" },
    { "10.0.0.0/8/8", 0, 0, "" },
    { "10.0.0.0/256", 0, 0, "" },
    { "10.0.0.0/1000", 0, 0, "" },
    { "10.0.0/8", 0, 0, "" },
    { "10.0.0.256", 0, 0, "" },
    { "010.0.0.1", 0, 0, "" },
    { "::/129", 0, 0, "" },
    { ":::", 0, 0, "" },
    { "[::1]", 0, 0, "" },
    { "fe80::1%eth0", 0, 0, "" },
    { "localhost", 0, 0, "" },
};

static const struct {
    const char  *cidr;
    const char  *addr;
    bool         match;
} inside[] = {
    { "10.0.0.0/8", "10.255.0.1", true },
    { "10.0.0.0/8", "11.0.0.1", false },
    { "10.0.0.0/9", "10.127.255.255", true },
    { "10.0.0.0/9", "10.128.0.0", false },
    { "0.0.0.0/0", "255.255.255.255", true },
    { "0.0.0.0/0", "::1", false },
    { "1.2.3.4", "1.2.3.4", true },
    { "1.2.3.4", "1.2.3.5", false },
    { "1.2.3.4", "::ffff:1.2.3.4", true },
    { "1.2.3.4/31", "::ffff:1.2.3.5", true },
    { "1.2.3.4/31", "::ffff:1.2.3.6", false },
    { "::ffff:1.2.3.4", "1.2.3.4", true },
    { "::/0", "::1", true },
    { "::/0", "1.2.3.4", false },
    { "2001:db8::/33", "2001:db8:7fff::1", true },
    { "2001:db8::/33", "2001:db8:8000::1", false },
    { "::1/128", "::1", true },
    { "::1/128", "::2", false },
};


static void
test_prefixes(void)
{
    char         got[200];
    bool         more;
    size_t       i, n, len, path_len;
    const char  *path;

    for (i = 0; i < tap_count(prefixes); i++) {
        path = prefixes[i].path;
        path_len = strlen(path);
        n = 0;

        for (more = stoa_path_prefix_first(path, path_len, &len);
             more;
             more = stoa_path_prefix_next(path, &len))
        {
            n += (size_t) snprintf(got + n, sizeof(got) - n, "%s%.*s",
                                   n ? " " : "", (int) len, path);
        }

        got[n] = '\0';
        tap_str(got, n, prefixes[i].prefixes, path);
    }
}


/* A list in order finds what one after the other does. */

static void
test_cidr_list(void)
{
    bool         one;
    char         s[64];
    size_t       i, k, n, left, bad;
    uint8_t      addr[16];
    uint32_t     x;
    stoa_cidr_t  all[400], sorted[400];

    x = 12345;
    bad = 0;

    for (n = 0; n <= 400; n += 40) {
        for (i = 0; i < n; i++) {
            x = x * 1664525 + 1013904223;

            if (i % 3) {
                (void) snprintf(s, sizeof(s), "10.%u.%u.%u/%u", x >> 30,
                                x >> 22 & 3, x >> 10 & 255,
                                16 + (x >> 5) % 17);
            } else {
                (void) snprintf(s, sizeof(s), "2001:db8:%x::%x/%u",
                                x >> 28, x >> 20 & 3, 24 + (x >> 5) % 105);
            }

            if (stoa_cidr_parse(s, strlen(s), &all[i]) != STOA_OK) {
                bad++;
            }
        }

        memcpy(sorted, all, sizeof(all));
        left = stoa_cidrs_sort(sorted, n);
        bad += left > n;

        for (i = 0; i < 4000; i++) {
            x = x * 1664525 + 1013904223;
            memset(addr, 0, sizeof(addr));

            if (i % 2) {
                addr[0] = 10;
                addr[1] = (uint8_t) (x >> 30);
                addr[2] = (uint8_t) (x >> 22 & 3);
                addr[3] = (uint8_t) (x >> 10);
            } else {
                memcpy(addr, "\x20\x01\x0d\xb8", 4);
                addr[5] = (uint8_t) (x >> 28);
                addr[15] = (uint8_t) (x >> 20 & 3);
            }

            for (k = 0, one = false; k < n && !one; k++) {
                one = stoa_cidr_match(&all[k], i % 2 ? 4 : 6, addr);
            }

            bad += one != stoa_cidrs_match(sorted, left, i % 2 ? 4 : 6, addr);
        }
    }

    tap_int(bad, 0, "lists in order: the same addresses");

    tap_int(stoa_cidr_parse("0.0.0.0/0", 9, &all[0]), STOA_OK, "all of IPv4");
    memset(addr, 0, sizeof(addr));
    memset(addr + 10, 0xff, 2);
    tap_ok(stoa_cidrs_match(all, 1, 6, addr), "IPv4 in IPv6 is IPv4");
    tap_ok(!stoa_cidrs_match(all, 0, 4, addr), "an empty one");
}


static void
test_cidrs(void)
{
    char         addr[16];
    size_t       i;
    unsigned     family;
    stoa_rc_t    rc;
    stoa_cidr_t  c;

    for (i = 0; i < tap_count(cidrs); i++) {
        rc = stoa_cidr_parse(cidrs[i].s, strlen(cidrs[i].s), &c);

        if (cidrs[i].family == 0) {
            tap_ok(rc == STOA_DECLINED, "refused: \"%s\"", cidrs[i].s);
            continue;
        }

        memset(addr, 0, sizeof(addr));
        inet_pton(cidrs[i].family == 4 ? AF_INET : AF_INET6, cidrs[i].addr,
                  addr);

        tap_ok(rc == STOA_OK && c.family == cidrs[i].family
               && c.bits == cidrs[i].bits && memcmp(c.addr, addr, 16) == 0,
               "range %s", cidrs[i].s);
    }

    tap_int(stoa_cidr_parse("1.2.3.4\0", 8, &c), STOA_DECLINED, "a NUL");

    for (i = 0; i < tap_count(inside); i++) {
        rc = stoa_cidr_parse(inside[i].cidr, strlen(inside[i].cidr), &c);

        family = strchr(inside[i].addr, ':') ? 6 : 4;
        inet_pton(family == 4 ? AF_INET : AF_INET6, inside[i].addr, addr);

        tap_ok(rc == STOA_OK
               && stoa_cidr_match(&c, family, (uint8_t *) addr)
                  == inside[i].match,
               "%s is %s %s", inside[i].addr,
               inside[i].match ? "in" : "not in", inside[i].cidr);
    }
}


/* NULL: refused, as what would come of it leads up for some. */

static void
test_rewrites(void)
{
    char         dst[STOA_TEMPLATE_MAX + 64];
    size_t       i, len;
    stoa_rc_t    rc;
    stoa_str_t   part[3];

    static const struct {
        const char  *from, *to, *path, *want;
    } rows[] = {
        { "/{a}/{b}", "/{a}.{b}", "/x/y", "/x.y" },
        { "/{a}/{b}", "/{a}.{b}", "/x%2f/.y", "/x%2f..y" },
        { "/{a}/{b}", "/{a}.{b}", "/x%2f/.%2fadmin", NULL },
        { "/{a}/{b}", "/{a}.{b}", "/x%2F/%2e%2Fadmin", NULL },
        { "/{a}/{b}", "/{a}.{b}", "/x%2f/%2fadmin", NULL },
        { "/{a}/{b}", "/{a}.{b}", "/x%2f/.;y", NULL },
        { "/{a}/{b}", "/{a}.{b}", "/x%2f/.", NULL },
        { "/{a}/{b}", "/{a}.{b}", "/x%252f/.%252fy", "/x%252f..%252fy" },
        { "/{a}", "/..{a}", "/%5cadmin", NULL },
        { "/{a}", "/..{a}", "/%2fadmin", NULL },
        { "/{a}", "/.{a}", "/%2e", NULL },
        { "/{a}", "/.{a}", "/.;y", NULL },
        { "/{a}", "/.{a}", "/..", "/..." },
        { "/{a}", "/{a}", "/x;..", "/x;.." },
        { "/{a}", "/{a}", "/x%2fy", "/x%2fy" },
        { "/{r*}", "/v/{r*}", "/", "/v/" },
        { "/{r*}", "/v/{r*}", "/a/b..c", "/v/a/b..c" },
    };

    for (i = 0; i < tap_count(rows); i++) {
        part[0].data = rows[i].from;
        part[1].data = rows[i].to;
        part[2].data = rows[i].path;
        part[0].len = strlen(rows[i].from);
        part[1].len = strlen(rows[i].to);
        part[2].len = strlen(rows[i].path);

        rc = stoa_rewrite(part[0], part[1], part[2], dst, &len);

        if (rows[i].want == NULL) {
            tap_ok(rc == STOA_ERROR, "%s to %s: no %s", rows[i].from,
                   rows[i].to, rows[i].path);
            continue;
        }

        tap_ok(rc == STOA_OK && len == strlen(rows[i].want)
               && memcmp(dst, rows[i].want, len) == 0,
               "%s to %s: %s", rows[i].from, rows[i].to, rows[i].want);
    }
}


int
main(void)
{
    char    s[STOA_TEMPLATE_MAX + 2];
    size_t  i, n;

    for (i = 0; i < tap_count(paths); i++) {
        n = strlen(paths[i].s);
        tap_ok(stoa_path_base_valid(paths[i].s, n) == paths[i].base,
               "base path \"%s\"", paths[i].s);
        tap_ok(stoa_path_template_valid(paths[i].s, n) == paths[i].tmpl,
               "template \"%s\"", paths[i].s);
    }

    memset(s, 'a', sizeof(s));
    s[0] = '/';
    tap_ok(stoa_path_base_valid(s, STOA_BASE_PATH_MAX), "longest base path");
    tap_ok(!stoa_path_base_valid(s, STOA_BASE_PATH_MAX + 1), "past it");
    tap_ok(stoa_path_template_valid(s, STOA_TEMPLATE_MAX), "longest template");
    tap_ok(!stoa_path_template_valid(s, STOA_TEMPLATE_MAX + 1), "past it");

    for (i = 0; i < tap_count(matches); i++) {
        tap_ok(stoa_path_match(matches[i].tmpl, strlen(matches[i].tmpl),
                               matches[i].path, strlen(matches[i].path))
               == matches[i].match,
               "%s %s %s", matches[i].tmpl,
               matches[i].match ? "matches" : "does not match",
               matches[i].path);
    }

    test_prefixes();
    test_cidrs();
    test_cidr_list();
    test_rewrites();

    return tap_done();
}
