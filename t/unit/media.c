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

/* two lines of Accept; for application/json */

static const struct {
    const char  *line[2];
    bool         taken;
} accepts[] = {
    { { "application/json" }, true },
    { { "Application/JSON;q=0.1" }, true },
    { { "application/json; charset=utf-8" }, true },
    { { "*/*" }, true },
    { { "application/*" }, true },
    { { "application/*, text/*" }, true },
    { { "text/html, application/json, x/y" }, true },
    { { "text/html,,application/json" }, true },
    { { "text/event-stream", "application/json" }, true },
    { { "application/json", "text/event-stream" }, true },
    { { "application/json;q=0, application/json" }, true },
    { { "a/b;x=\"y, z\", application/json" }, true },
    { { "a/b;x=\"\\\",\", application/json" }, true },
    { { "application/json;q=0.001" }, true },
    { { "*/*;q=0, application/json" }, true },
    { { "application/json;q=1; ext=1" }, true },
    { { "application/json;q=0" }, false },
    { { "application/json;q=0.000" }, false },
    { { "application/json; Q=0 ;x=y" }, false },
    { { "application/json;q=0, */*" }, false },
    { { "*/*", "application/*;q=0.0" }, false },
    { { "*/*;q=0" }, false },
    { { "text/event-stream" }, false },
    { { "text/*" }, false },
    { { "application/jsonp" }, false },
    { { "application/json-seq, application" }, false },
    { { "a/b;x=\"application/json, application/json\"" }, false },
    { { "*/json" }, false },
    { { "*" }, false },
    { { ", ;" }, false },
    { { "" }, false },
};


int
main(void)
{
    unsigned             i, n;
    const char          *s;
    stoa_media_accept_t  accept;

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

    for (i = 0; i < tap_count(accepts); i++) {
        memset(&accept, 0, sizeof(accept));

        for (n = 0; n < 2; n++) {
            s = accepts[i].line[n];

            if (s) {
                stoa_media_accept(s, strlen(s), "application/json", &accept);
            }
        }

        tap_ok(accept.taken == accepts[i].taken, "accept, row %u", i);
    }

    return tap_done();
}
