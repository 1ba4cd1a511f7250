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


int
main(void)
{
    char    dst[STOA_URI_ALIAS_MAX], uri[STOA_URI_MAX + 2],
            tmpl[STOA_URI_MAX];
    size_t  i, n, literal;

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
