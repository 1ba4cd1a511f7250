/* Tests for media types and what they say about reading. */

#include "stoa_media.h"
#include "tap.h"


static const struct {
    const char  *value;
    bool         json;
    bool         utf8;
} types[] = {
    { "application/json", true, true },
    { "Application/JSON", true, true },
    { "application/json;charset=utf-8", true, true },
    { "application/json ; charset=\"UTF-8\" ", true, true },
    { "application/json\t;\tCharset=Utf-8", true, true },
    { "application/json; q=1; charset=utf-8;", true, true },
    { "application/json;", true, true },
    { "application/json; charset=utf-7", false, false },
    { "application/json; charset=utf-16", false, false },
    { "application/json; charset=utf8", false, false },
    { "application/json; charset=iso-8859-1", false, false },
    { "application/json; charset=\"utf-7\"", false, false },
    { "application/json; charset=utf-8; charset=utf-7", false, false },
    { "application/json; charset=utf-7; charset=utf-8", false, false },
    { "application/json; charset=\"utf\\-7\"", false, false },
    { "application/json; a=\"x;charset=utf-8", false, false },
    { "application/json; a=\"; charset=utf-8\"; charset=utf-7", false,
      false },
    { "application/json; charset", false, false },
    { "application/json; charset=", false, false },
    { "application/json; charset =utf-8", false, false },
    { "application/json, application/json", false, false },
    { "application/json charset=utf-7", false, false },
    { "application/jsonp", false, true },
    { "application/json+x; charset=utf-8", false, true },
    { "application/json-patch+json", false, true },
    { "text/plain; charset=utf-7", false, false },
    { "application", false, false },
    { "application/", false, false },
    { "/json", false, false },
    { "", false, false },
};

static const struct {
    const char  *value;
    bool         plain;
} codings[] = {
    { "", true },
    { "identity", true },
    { "Identity", true },
    { "gzip", false },
    { "identity, gzip", false },
    { "x-identity", false },
};


int
main(void)
{
    unsigned     i;
    const char  *s;

    for (i = 0; i < tap_count(types); i++) {
        s = types[i].value;
        tap_ok(stoa_media_is(s, strlen(s), "application/json")
               == types[i].json, "JSON, row %u", i);
        tap_ok(stoa_media_utf8(s, strlen(s)) == types[i].utf8,
               "UTF-8, row %u", i);
    }

    for (i = 0; i < tap_count(codings); i++) {
        s = codings[i].value;
        tap_ok(stoa_media_plain(s, strlen(s)) == codings[i].plain,
               "coding, row %u", i);
    }

    return tap_done();
}
