/* Tests for the growing buffer and the error record of stoa_core.h. */

#include "stoa_core.h"
#include "tap.h"


static const struct {
    const char  *what;
    stoa_str_t   in;
    const char  *out;
} escapes[] = {
    { "empty", stoa_str(""), "\"\"" },
    { "plain", stoa_str("plain"), "\"plain\"" },
    { "quote and backslash", stoa_str("a\"b\\c"), "\"a\\\"b\\\\c\"" },
    { "short escapes", stoa_str("\b\t\n\f\r"), "\"\\b\\t\\n\\f\\r\"" },
    { "other controls", stoa_str("\x01\x0b\x1f"),
      "\"\\u0001\\u000b\\u001f\"" },
    { "NUL inside", stoa_str("a\0b"), "\"a\\u0000b\"" },
    { "DEL and UTF-8 as they are", stoa_str("\x7f\xc3\xa9\xf0\x9f\x98\x80"),
      "\"\x7f\xc3\xa9\xf0\x9f\x98\x80\"" },
};


static void
test_json(void)
{
    size_t      i;
    stoa_buf_t  b;

    stoa_buf_init(&b, 4096);

    for (i = 0; i < tap_count(escapes); i++) {
        stoa_buf_reset(&b);
        stoa_buf_add_json(&b, escapes[i].in.data, escapes[i].in.len);
        tap_str(b.data, b.len, escapes[i].out, escapes[i].what);
    }

    stoa_buf_free(&b);
}


static void
test_growth(void)
{
    size_t      i;
    stoa_buf_t  b;

    stoa_buf_init(&b, 10000);
    tap_ok(b.data == NULL && b.len == 0, "nothing is allocated at birth");

    for (i = 0; i < 1000; i++) {
        stoa_buf_addf(&b, "%03u-", (unsigned) i);
    }

    tap_int((long long) b.len, 4000, "a thousand formatted appends");
    tap_ok(memcmp(b.data + 3996, "999-", 5) == 0, "the last one, and a NUL");

    stoa_buf_reset(&b);
    tap_ok(b.len == 0 && b.data[0] == '\0', "reset keeps the memory");

    stoa_buf_free(&b);
    tap_ok(b.data == NULL && b.max == 10000, "free keeps the maximum");
    stoa_buf_free(&b);
    tap_ok(true, "free twice");
}


static void
test_maximum(void)
{
    stoa_buf_t  b;

    stoa_buf_init(&b, 8);
    stoa_buf_addz(&b, "12345678");
    tap_str(b.data, b.len, "12345678", "filled to the maximum");
    tap_int(b.rc, STOA_OK, "which is no failure");

    stoa_buf_add(&b, "", 0);
    tap_int(b.rc, STOA_OK, "nor is adding nothing to it");

    stoa_buf_add(&b, "9", 1);
    tap_int(b.rc, STOA_FULL, "one byte more is");
    tap_str(b.data, b.len, "12345678", "the content stays");
    tap_int(stoa_buf_reserve(&b, 0), STOA_FULL, "the failure is kept");

    stoa_buf_reset(&b);
    stoa_buf_addz(&b, "abc");
    stoa_buf_addf(&b, "%s", "defghi");
    tap_int(b.rc, STOA_FULL, "a formatted append past the maximum");
    tap_str(b.data, b.len, "abc", "leaves nothing behind");

    stoa_buf_addz(&b, "d");
    tap_str(b.data, b.len, "abc", "nor does what comes after a failure");

    stoa_buf_reset(&b);
    stoa_buf_addz(&b, "abc");
    stoa_buf_add_json(&b, "\n\n", 2);
    tap_int(b.rc, STOA_FULL, "a JSON string past the maximum");
    tap_str(b.data, b.len, "abc", "is not written by halves");

    stoa_buf_reset(&b);
    tap_int(stoa_buf_reserve(&b, SIZE_MAX), STOA_FULL, "a size that wraps");
    stoa_buf_free(&b);

    stoa_buf_init(&b, SIZE_MAX);
    stoa_buf_addz(&b, "x");
    tap_int(stoa_buf_reserve(&b, SIZE_MAX - 1), STOA_ERROR, "no such memory");
    tap_str(b.data, b.len, "x", "keeps what there was");
    stoa_buf_free(&b);

    stoa_buf_init(&b, 0);
    stoa_buf_addz(&b, "");
    tap_ok(b.rc == STOA_OK && b.len == 0, "a maximum of nothing");
    stoa_buf_add(&b, "x", 1);
    tap_int(b.rc, STOA_FULL, "is nothing");
    stoa_buf_free(&b);
}


static void
test_err(void)
{
    char        longer[400];
    size_t      i;
    stoa_err_t  err;

    memset(&err, 0, sizeof(err));
    tap_int(stoa_err_set(&err, "a.b", "must be %d", 7), STOA_DECLINED,
            "an error is a refusal");
    tap_str(err.text, strlen(err.text), "must be 7", "its text");
    tap_str(err.field, strlen(err.field), "a.b", "its field");

    stoa_err_at(&err, "1\n2\n\n4", 5);
    tap_ok(err.line == 4 && err.offset == 5, "its line and offset");

    for (i = 0; i < sizeof(longer) - 1; i += 3) {
        memcpy(longer + i, "\xe2\x82\xac", 3);
    }

    longer[sizeof(longer) - 1] = '\0';

    (void) stoa_err_set(&err, longer, "x%s", longer);
    tap_int((long long) strlen(err.field), STOA_ERR_FIELD_MAX - 2,
            "a long field is cut between characters");
    tap_int((long long) strlen(err.text), STOA_ERR_TEXT_MAX - 2,
            "a long text too");

    tap_int(stoa_err_set(NULL, "f", "t"), STOA_DECLINED, "no record is fine");
    stoa_err_at(NULL, "", 0);
}


int
main(void)
{
    test_json();
    test_growth();
    test_maximum();
    test_err();

    return tap_done();
}
