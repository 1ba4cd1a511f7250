/* Tests for a glance at a message. */

#include <stdlib.h>

#include "stoa_glance.h"
#include "tap.h"


#define V  "{\"jsonrpc\":\"2.0\","

static const struct {
    const char  *text;
    int          kind;                       /* -1: no message            */
    const char  *id;
} messages[] = {
    { V "\"id\":1,\"result\":{}}", STOA_GLANCE_ANSWER, "1" },
    { V "\"result\":null,\"id\":\"\"}", STOA_GLANCE_ANSWER, "\"\"" },
    { V "\"id\":\"a\\\"]\",\"error\":{\"x\":\"}\"}}", STOA_GLANCE_ANSWER,
      "\"a\\\"]\"" },
    { " \r\n" V "\"id\" : -7 , \"method\":\"m\" } ", STOA_GLANCE_REQUEST,
      "-7" },
    { V "\"method\":\"m\"}", STOA_GLANCE_NOTIFICATION, NULL },
    { V "\"method\":\"m\",\"id\":null}", STOA_GLANCE_NOTIFICATION, NULL },
    { V "\"id\":1,\"id\":2,\"result\":1}", STOA_GLANCE_ANSWER, "2" },
    { V "\"id\":1,\"result\":{\"id\":3,\"s\":\"\\ud800\"}}",
      STOA_GLANCE_ANSWER, "1" },
    { V "\"i\\u0064\":1,\"id\":2,\"result\":1}", STOA_GLANCE_ANSWER, "2" },
    { V "\"id\":1,\"result\":\"\\\\\"}", STOA_GLANCE_ANSWER, "1" },

    { "", -1, NULL },
    { "{}", -1, NULL },
    { "[]", -1, NULL },
    { "\"\"", -1, NULL },
    { V "\"id\":1}", -1, NULL },
    { V "\"result\":1}", -1, NULL },
    { V "\"id\":null,\"error\":{}}", -1, NULL },
    { V "\"id\":1,\"error\":1}", -1, NULL },
    { V "\"id\":1,\"result\":1,\"error\":{}}", -1, NULL },
    { V "\"id\":1,\"method\":\"m\",\"result\":1}", -1, NULL },
    { V "\"id\":1,\"method\":2}", -1, NULL },
    { V "\"id\":1.0,\"result\":1}", -1, NULL },
    { V "\"id\":1e2,\"result\":1}", -1, NULL },
    { V "\"id\":01,\"result\":1}", -1, NULL },
    { V "\"id\":true,\"result\":1}", -1, NULL },
    { V "\"id\":{},\"result\":1}", -1, NULL },
    { V "\"id\":\"\\ud800\",\"result\":1}", -1, NULL },
    { V "\"id\":\"\\x\",\"result\":1}", -1, NULL },
    { "{\"jsonrpc\":2.0,\"id\":1,\"result\":1}", -1, NULL },
    { "{\"id\":1,\"result\":1}", -1, NULL },
    { V "\"id\":1,\"result\":{}} x", -1, NULL },
    { V "\"id\":1,\"result\":{}}{}", -1, NULL },
    { V "\"id\":1,\"result\":{}", -1, NULL },
    { V "\"id\":1,\"result\":[}", -1, NULL },
    { V "\"id\":1,\"result\":\"}", -1, NULL },
    { V "\"id\":1,\"result\":\"\\\"}", -1, NULL },
    { V "\"id\":1,\"result\":}", -1, NULL },
    { V "\"id\":1 \"result\":1}", -1, NULL },
    { V "\"id\",\"result\":1}", -1, NULL },
    { V "id:1,\"result\":1}", -1, NULL },
    { V "\"id\":1,}", -1, NULL },
};


int
main(void)
{
    char            *copy;
    size_t           i, n, len;
    bool             cut;
    stoa_rc_t        rc;
    stoa_glance_t    g;
    stoa_json_val_t  v, w;

    for (i = 0; i < tap_count(messages); i++) {
        len = strlen(messages[i].text);
        rc = stoa_glance(messages[i].text, len, &g);

        tap_ok(messages[i].kind < 0
               ? rc == STOA_DECLINED
               : rc == STOA_OK && (int) g.kind == messages[i].kind,
               "%s", messages[i].text);

        if (messages[i].id) {
            tap_ok(g.id.start
                   && g.id.end - g.id.start
                      == (ptrdiff_t) strlen(messages[i].id)
                   && memcmp(g.id.start, messages[i].id,
                             strlen(messages[i].id)) == 0,
                   "... its id");
        }

        cut = true;

        /* in memory of its own, so that reading past it shows */

        for (n = 0; n < len; n++) {
            copy = malloc(n ? n : 1);
            memcpy(copy, messages[i].text, n);
            rc = stoa_glance(copy, n, &g);
            cut = cut && (rc == STOA_DECLINED || messages[i].kind < 0
                          || messages[i].text[n] == ' ');
            free(copy);
        }

        tap_ok(cut, "... cut anywhere");
    }

    rc = stoa_glance(V "\"id\":1,\"method\":\"m\",\"params\":{\"_meta\":"
                     "{\"a\":[1,{\"b\":2}]},\"b\":3}}",
                     sizeof(V "\"id\":1,\"method\":\"m\",\"params\":{\"_meta\""
                     ":{\"a\":[1,{\"b\":2}]},\"b\":3}}") - 1, &g);
    tap_ok(rc == STOA_OK && stoa_glance_get(&g.params, "_meta", &v)
           && stoa_glance_get(&v, "a", &w) && w.type == STOA_JSON_ARRAY,
           "a member of a member");
    tap_ok(!stoa_glance_get(&v, "b", &w), "... not one of another object");
    tap_ok(!stoa_glance_get(&w, "b", &w), "... nor of an array");

    v.type = w.type = STOA_JSON_NUMBER;
    v.start = "-0";
    v.end = v.start + 2;
    w.start = "0";
    w.end = w.start + 1;
    tap_ok(stoa_glance_same(&v, &w) && stoa_glance_same(&w, &v),
           "minus zero comes back as zero");
    w.start = "-1";
    w.end = w.start + 2;
    tap_ok(!stoa_glance_same(&v, &w), "... not as another number");

    return tap_done();
}
