/* Tests for templates of URIs, and the names of two that are alike. */

#include "stoa_uri.h"
#include "tap.h"


static const struct {
    const char  *tmpl;
    const char  *uri;
    bool         fits;
    size_t       literal;
} matches[] = {
    { "file:///{name}", "file:///a.txt", true, 8 },
    { "file:///{name}", "file:///", true, 8 },
    { "file:///{name}", "file:///a/b", false, 8 },
    { "file:///{+path}", "file:///a/b?c#d", true, 8 },
    { "file:///{path*}", "file:///a/b", true, 8 },
    { "db://{t}/{id}", "db://a/b", true, 6 },
    { "db://{t}/{id}", "db://a/b/c", false, 6 },
    { "db://{t}/{id}", "db://a", false, 6 },
    { "x:{a}{b}", "x:yz", true, 2 },
    { "x:{a}-{a}-{a}", "x:1-2-3-4", true, 4 },
    { "x:{a}/z", "x:z/z", true, 4 },
    { "x:{a}/z", "x:z", false, 4 },
    { "x:y", "x:y", true, 3 },
    { "x:y", "x:yy", false, 3 },
    { "x:{?q}", "x:?q=1", true, 2 },
    { "x:{a", "x:b", false, 2 },
    { "{a}", "", true, 0 },
    { "", "", true, 0 },
    { "", "a", false, 0 },
};


/* What an HTTP+SSE server at http://h:1/a/sse says. */

static const struct {
    const char  *named;
    const char  *path;                             /* NULL: refused          */
} endpoints[] = {
    { "/m?s=1", "/m?s=1" },
    { "m?s=1", "/a/m?s=1" },
    { "?s=1", "/a/sse?s=1" },
    { "http://h:1/m", "/m" },
    { "HTTP://H:1?m", "?m" },
    { "http:/m", "/a/http:/m" },
    { "https://h:1/m", NULL },
    { "http://h:1", NULL },
    { "http://h:12/m", NULL },
    { "http://h:1@x/m", NULL },
    { "http://h:1//x/m", NULL },
    { "//x/m", NULL },
    { "/\\x/m", NULL },
    { "/m#f", NULL },
    { "/m\r\nX: y", NULL },
    { "", NULL },
};


static const struct {
    const char  *url;
    const char  *normal;                           /* "": none               */
} urls[] = {
    { "https://h/a", "https://h/a" },
    { "HTTPS://H.Example:443/A?b#c", "https://h.example/A" },
    { "http://h:80", "http://h/" },
    { "http://h:/", "http://h/" },
    { "http://h:443/", "http://h:443/" },
    { "https://h:8443?x", "https://h:8443/" },
    { "http://[::1]:80/a", "http://[::1]/a" },
    { "http://[::1]/", "http://[::1]/" },
    { "http://h/%7e%2f%aF", "http://h/~%2F%AF" },
    { "http://h/a/./b/../c", "http://h/a/c" },
    { "http://h/a/..", "http://h/" },
    { "http://h/../../a/.", "http://h/a/" },
    { "http://h/%2e%2E/a//b/", "http://h/a//b/" },
    { "http://h/...", "http://h/..." },
    { "http://h/%", "" },
    { "http://h/%4", "" },
    { "http://h/%zz", "" },
    { "http://u@h/", "" },
    { "http://:80/", "" },
    { "http:///a", "" },
    { "http://", "" },
    { "ftp://h/", "" },
    { "/a", "" },
    { "http://h/a b", "" },
    { "http://h\\x/", "" },
    { "", "" },
};


static void
test_normal(void)
{
    char    dst[64];
    size_t  i, n;

    for (i = 0; i < tap_count(urls); i++) {
        n = stoa_uri_normal(urls[i].url, strlen(urls[i].url), dst);
        tap_str(dst, n, urls[i].normal, urls[i].url);
    }
}


static void
test_endpoints(void)
{
    char        text[64];
    bool        ok;
    size_t      i;
    stoa_str_t  host, base, rest;

    for (i = 0; i < tap_count(endpoints); i++) {
        host = stoa_str("h:1");
        base = stoa_str("/a/sse");
        rest.data = endpoints[i].named;
        rest.len = strlen(endpoints[i].named);
        ok = stoa_uri_endpoint(&rest, false, &host, &base);
        (void) snprintf(text, sizeof(text), "%.*s%.*s", (int) base.len,
                        base.data, (int) rest.len, rest.data);
        tap_ok(ok == (endpoints[i].path != NULL)
               && (!ok || strcmp(text, endpoints[i].path) == 0),
               "endpoint %zu: %s", i, ok ? text : "none");
    }
}


int
main(void)
{
    char    dst[STOA_URI_ALIAS_MAX], uri[STOA_URI_MAX + 2],
            tmpl[STOA_URI_MAX];
    size_t  i, n, literal;

    test_endpoints();
    test_normal();

    for (i = 0; i < tap_count(matches); i++) {
        tap_ok(stoa_uri_matches(matches[i].tmpl, strlen(matches[i].tmpl),
                                matches[i].uri, strlen(matches[i].uri),
                                &literal) == matches[i].fits,
               "\"%s\" %s \"%s\"", matches[i].tmpl,
               matches[i].fits ? "may make" : "cannot make", matches[i].uri);

        if (matches[i].fits) {
            tap_int(literal, matches[i].literal, "its own characters");
        }
    }

    memset(uri, 'a', sizeof(uri));

    for (n = 0; n + 4 <= sizeof(tmpl); n += 4) {
        memcpy(tmpl + n, "{x}a", 4);
    }

    tap_ok(stoa_uri_matches(tmpl, n, uri, STOA_URI_MAX, &literal),
           "many ways are one");
    tap_ok(!stoa_uri_matches("{+a}", 4, uri, STOA_URI_MAX + 1, &literal),
           "a URI has a maximum");

    n = stoa_uri_alias("two", 3, "f:/\xc3\xa9~", 6, dst);
    tap_str(dst, n, "stoa:two/f%3A%2F%C3%A9~", "an alias");

    memset(uri, '/', sizeof(uri));
    memset(tmpl, 'n', STOA_NAME_MAX);
    n = stoa_uri_alias(tmpl, STOA_NAME_MAX, uri, STOA_URI_MAX, dst);
    tap_ok(n <= sizeof(dst), "the longest alias");

    return tap_done();
}
