/* Tests for the strict JSON reader and its cursor. */

#include <stdlib.h>

#include "stoa_json.h"
#include "tap.h"


#define GOOD  NULL
#define LONG  "0123456789012345678901234567890123456789"                      \
              "0123456789012345678901234567890123456789"

static const struct {
    stoa_str_t   text;
    const char  *wrong;           /* NULL: it is good                     */
    size_t       offset;
    const char  *field;
} texts[] = {
    { stoa_str("{}"), GOOD, 0, "" },
    { stoa_str("[]"), GOOD, 0, "" },
    { stoa_str(" \t\r\n[ ] \n"), GOOD, 0, "" },
    { stoa_str("null"), GOOD, 0, "" },
    { stoa_str("true"), GOOD, 0, "" },
    { stoa_str("false"), GOOD, 0, "" },
    { stoa_str("\"\""), GOOD, 0, "" },
    { stoa_str("0"), GOOD, 0, "" },
    { stoa_str("-0"), GOOD, 0, "" },
    { stoa_str("-1.5e+3"), GOOD, 0, "" },
    { stoa_str("1E9"), GOOD, 0, "" },
    { stoa_str("[1,[2,[3,{\"a\":[{}]}]]]"), GOOD, 0, "" },
    { stoa_str("{\"a\" : 1 , \"b\" : [ ] }"), GOOD, 0, "" },
    { stoa_str("{\"\":1}"), GOOD, 0, "" },
    { stoa_str("{\"a\":{\"a\":{\"a\":1}},\"b\":[{\"a\":1},{\"a\":1}]}"),
      GOOD, 0, "" },
    { stoa_str("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\uFfFf\""), GOOD, 0, "" },
    { stoa_str("\"\\ud83d\\ude00\""), GOOD, 0, "" },
    { stoa_str("\"\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80"
               "\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""),
      GOOD, 0, "" },

    { stoa_str(""), "ends where a value is expected", 0, "" },
    { stoa_str("  "), "ends where a value is expected", 2, "" },
    { stoa_str("\xef\xbb\xbf{}"), "expected a value", 0, "" },
    { stoa_str("{} x"), "has data after its end", 3, "" },
    { stoa_str("{}{}"), "has data after its end", 2, "" },
    { stoa_str("{}\0"), "has data after its end", 2, "" },
    { stoa_str("nul"), "expected a value", 0, "" },
    { stoa_str("nulll"), "has data after its end", 4, "" },
    { stoa_str("True"), "expected a value", 0, "" },
    { stoa_str("NaN"), "expected a value", 0, "" },
    { stoa_str("Infinity"), "expected a value", 0, "" },
    { stoa_str("[-Infinity]"), "is no valid number", 1, "[0]" },
    { stoa_str("'a'"), "expected a value", 0, "" },
    { stoa_str("// x\n1"), "expected a value", 0, "" },
    { stoa_str("+1"), "expected a value", 0, "" },
    { stoa_str("01"), "is no valid number", 0, "" },
    { stoa_str("-01"), "is no valid number", 0, "" },
    { stoa_str("-"), "is no valid number", 0, "" },
    { stoa_str("1."), "is no valid number", 0, "" },
    { stoa_str(".5"), "expected a value", 0, "" },
    { stoa_str("1.e5"), "is no valid number", 0, "" },
    { stoa_str("1e"), "is no valid number", 0, "" },
    { stoa_str("1e+"), "is no valid number", 0, "" },
    { stoa_str("0x10"), "has data after its end", 1, "" },
    { stoa_str("1 2"), "has data after its end", 2, "" },

    { stoa_str("["), "ends where a value is expected", 1, "[0]" },
    { stoa_str("[1"), "ends inside an object or array", 2, "[0]" },
    { stoa_str("[1,"), "ends where a value is expected", 3, "[1]" },
    { stoa_str("[1,]"), "expected a value", 3, "[1]" },
    { stoa_str("[,1]"), "expected a value", 1, "[0]" },
    { stoa_str("[1 2]"), "expected \",\" or \"]\"", 3, "[0]" },
    { stoa_str("[1}"), "expected \",\" or \"]\"", 2, "[0]" },
    { stoa_str("]"), "expected a value", 0, "" },
    { stoa_str("{"), "expected a member's name", 1, "" },
    { stoa_str("{\"a\""), "expected \":\"", 4, "a" },
    { stoa_str("{\"a\":"), "ends where a value is expected", 5, "a" },
    { stoa_str("{\"a\":1"), "ends inside an object or array", 6, "a" },
    { stoa_str("{\"a\":1,"), "expected a member's name", 7, "a" },
    { stoa_str("{\"a\":1,}"), "expected a member's name", 7, "a" },
    { stoa_str("{\"a\":1]"), "expected \",\" or \"}\"", 6, "a" },
    { stoa_str("{\"a\" 1}"), "expected \":\"", 5, "a" },
    { stoa_str("{a:1}"), "expected a member's name", 1, "" },
    { stoa_str("{1:1}"), "expected a member's name", 1, "" },
    { stoa_str("{\"a\":{\"b\":[1,{\"c\":x}]}}"), "expected a value", 18,
      "a.b[1].c" },

    { stoa_str("{\"a\":1,\"a\":2}"), "has a member twice", 7, "a" },
    { stoa_str("{\"a\":1,\"\\u0061\":2}"), "has a member twice", 7,
      "\\u0061" },
    { stoa_str("{\"\\u0061\":1,\"a\":2}"), "has a member twice", 12, "a" },
    { stoa_str("{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}"),
      "has a member twice", 18, "\xf0\x9f\x98\x80" },
    { stoa_str("{\"\":1,\"\":2}"), "has a member twice", 6, "" },
    { stoa_str("{\"x\":[{\"y\":0,\"y\":0}]}"), "has a member twice", 13,
      "x[0].y" },
    { stoa_str("{\"\\n\":1,\"b\":2,\"c\":3,\"b\":4}"),
      "has a member twice", 20, "b" },
    { stoa_str("{\"" LONG "\":1,\"" LONG "\":1}"), "has a member twice", 86,
      LONG },
    { stoa_str("{\"" LONG "\":1,\"" LONG "x\":1}"), GOOD, 0, "" },

    { stoa_str("\""), "ends inside a string", 1, "" },
    { stoa_str("\"\\"), "ends inside a string", 1, "" },
    { stoa_str("\"abcdefghijk"), "ends inside a string", 12, "" },
    { stoa_str("\"\\x\""), "has an unknown escape", 1, "" },
    { stoa_str("\"\\\0\""), "has an unknown escape", 1, "" },
    { stoa_str("\"\\u12\""), "has a bad \\u escape", 1, "" },
    { stoa_str("\"\\u12g4\""), "has a bad \\u escape", 1, "" },
    { stoa_str("\"\\ud800\""), "has a lone surrogate", 7, "" },
    { stoa_str("\"\\udc00\""), "has a lone surrogate", 7, "" },
    { stoa_str("\"\\ud800\\ud800\""), "has a lone surrogate", 13, "" },
    { stoa_str("\"\\ud800x\""), "has a lone surrogate", 7, "" },
    { stoa_str("\"a\nb\""), "has a control character in a string", 2, "" },
    { stoa_str("\"a\0b\""), "has a control character in a string", 2, "" },
    { stoa_str("\"12345678\x1f\""), "has a control character in a string", 9,
      "" },

    { stoa_str("\"\x80\""), "is not valid UTF-8", 1, "" },
    { stoa_str("\"\xc0\x80\""), "is not valid UTF-8", 1, "" },
    { stoa_str("\"\xc1\xbf\""), "is not valid UTF-8", 1, "" },
    { stoa_str("\"\xc3\""), "is not valid UTF-8", 1, "" },
    { stoa_str("\"\xe0\x9f\xbf\""), "is not valid UTF-8", 1, "" },
    { stoa_str("\"\xed\xa0\x80\""), "is not valid UTF-8", 1, "" },
    { stoa_str("\"\xf0\x8f\xbf\xbf\""), "is not valid UTF-8", 1, "" },
    { stoa_str("\"\xf4\x90\x80\x80\""), "is not valid UTF-8", 1, "" },
    { stoa_str("\"\xf5\x80\x80\x80\""), "is not valid UTF-8", 1, "" },
    { stoa_str("\"\xff\""), "is not valid UTF-8", 1, "" },
    { stoa_str("\"12345678\xe2\x82\""), "is not valid UTF-8", 9, "" },
    { stoa_str("\"\xe2\x82"), "is not valid UTF-8", 1, "" },
};

static const struct {
    const char  *in;
    stoa_str_t   out;
} strings[] = {
    { "\"\"", stoa_str("") },
    { "\"abc\"", stoa_str("abc") },
    { "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", stoa_str("\"\\/\b\f\n\r\t") },
    { "\"\\u0000\\u007f\\u0080\"", stoa_str("\0\x7f\xc2\x80") },
    { "\"\\u07ff\\u0800\\uffff\"",
      stoa_str("\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf") },
    { "\"\\ud800\\udc00\\uDBFF\\uDFFF\"",
      stoa_str("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf") },
    { "\"x\xc3\xa9\\u00e9\xf0\x9f\x98\x80\"",
      stoa_str("x\xc3\xa9\xc3\xa9\xf0\x9f\x98\x80") },
};

static const struct {
    const char  *text;
    bool         ok;
    int64_t      value;
} ints[] = {
    { "0", true, 0 },
    { "-0", true, 0 },
    { "42", true, 42 },
    { "-42", true, -42 },
    { "9223372036854775807", true, INT64_MAX },
    { "-9223372036854775808", true, INT64_MIN },
    { "9223372036854775808", false, 0 },
    { "-9223372036854775809", false, 0 },
    { "99999999999999999999", false, 0 },
    { "18446744073709551617", false, 0 },
    { "1.0", false, 0 },
    { "1e3", false, 0 },
    { "\"1\"", false, 0 },
    { "true", false, 0 },
};


static stoa_rc_t
check(const char *s, size_t len, stoa_json_val_t *root, stoa_err_t *err)
{
    char       *copy;
    stoa_rc_t   rc;

    /* memory of just this size: a sanitizer sees a read past its end */

    copy = malloc(len ? len : 1);
    if (copy == NULL) {
        abort();
    }

    memcpy(copy, s, len);
    rc = stoa_json_check(copy, len, STOA_JSON_DEPTH_MAX, root, err);
    free(copy);

    return (rc == STOA_OK)
           ? stoa_json_check(s, len, STOA_JSON_DEPTH_MAX, root, err) : rc;
}


static void
test_check(void)
{
    size_t           i;
    stoa_rc_t        rc;
    stoa_err_t       err;
    stoa_json_val_t  root;

    for (i = 0; i < tap_count(texts); i++) {
        memset(&err, 0, sizeof(err));
        rc = check(texts[i].text.data, texts[i].text.len, &root, &err);

        if (texts[i].wrong == NULL) {
            tap_ok(rc == STOA_OK, "good: %s", texts[i].text.data);
            continue;
        }

        if (!tap_ok(rc == STOA_DECLINED
                    && strcmp(err.text, texts[i].wrong) == 0
                    && err.offset == texts[i].offset
                    && strcmp(err.field, texts[i].field) == 0,
                    "row %u: %s", (unsigned) i, texts[i].wrong))
        {
            printf("# %s, at %u, in \"%s\"\n", err.text,
                   (unsigned) err.offset, err.field);
        }
    }

    memset(&err, 0, sizeof(err));
    (void) check("{\n\"a\":\n\n x}", 11, &root, &err);
    tap_int(err.line, 4, "the line is named");
    tap_int(check("[", 1, &root, NULL), STOA_DECLINED, "no record is fine");
}


static void
test_depth(void)
{
    char             s[2 * STOA_JSON_DEPTH_MAX + 4];
    size_t           n;
    stoa_err_t       err;
    stoa_json_val_t  root;

    n = STOA_JSON_DEPTH_MAX;
    memset(s, '[', n);
    memset(s + n, ']', n);
    tap_int(check(s, 2 * n, &root, &err), STOA_OK, "as deep as allowed");

    memset(s, '[', n + 1);
    memset(s + n + 1, ']', n + 1);
    tap_int(check(s, 2 * n + 2, &root, &err), STOA_DECLINED, "one deeper");
    tap_str(err.text, strlen(err.text), "is nested too deeply", "says so");
    tap_int((long long) err.offset, (long long) n, "and where");

    tap_int(stoa_json_check("[[]]", 4, 1, &root, &err), STOA_DECLINED,
            "a caller's own depth");
    tap_int(stoa_json_check("1", 1, 0, &root, &err), STOA_OK,
            "a scalar has none");
    tap_int(stoa_json_check(s, 2 * n + 2, 1000, &root, &err), STOA_DECLINED,
            "nobody gets more than the maximum");
}


/* {"k0":0,"k1":0,...}, then one member more, inside an array twice. */

static size_t
members(char *s, size_t size, unsigned n, const char *last)
{
    size_t    len;
    unsigned  i;

    len = (size_t) snprintf(s, size, "[{\"a\":1},{");

    for (i = 0; i < n; i++) {
        len += (size_t) snprintf(s + len, size - len, "%s\"k%u\":0",
                                 i ? "," : "", i);
    }

    len += (size_t) snprintf(s + len, size - len, "%s}]", last);

    return len;
}


static void
test_members(void)
{
    char             *s;
    size_t            i, len, size;
    stoa_err_t        err;
    stoa_json_val_t   root;

    static const unsigned  counts[] = { 1, 15, 16, 17, 63, 64, 65, 1000 };

    size = 2 * 1024 * 1024;
    s = malloc(size);
    if (s == NULL) {
        abort();
    }

    for (i = 0; i < tap_count(counts); i++) {
        len = members(s, size, counts[i], "");
        tap_ok(check(s, len, &root, &err) == STOA_OK, "%u members", counts[i]);

        len = members(s, size, counts[i], ",\"k0\":1");
        tap_ok(check(s, len, &root, &err) == STOA_DECLINED
               && strcmp(err.text, "has a member twice") == 0
               && err.offset == len - 8
               && strcmp(err.field, "[1].k0") == 0,
               "%u members and the first again", counts[i]);

        len = members(s, size, counts[i], ",\"\\u006b0\":1");
        tap_ok(check(s, len, &root, &err) == STOA_DECLINED,
               "%u members and the first again, escaped", counts[i]);
    }

    len = members(s, size, STOA_JSON_MEMBERS_MAX, "");
    tap_int(check(s, len, &root, &err), STOA_OK, "as many as allowed");
    len = members(s, size, STOA_JSON_MEMBERS_MAX, ",\"a\":1");
    tap_int(check(s, len, &root, &err), STOA_DECLINED, "one more");
    tap_str(err.text, strlen(err.text), "has too many members", "says so");

    free(s);
}


/* Each byte of each length: the wide loop sees what the narrow one does. */

static void
test_scan(void)
{
    char             s[40];
    bool             good;
    size_t           len, at;
    unsigned         c, bad;
    stoa_json_val_t  root;

    bad = 0;

    for (len = 1; len < 32; len++) {
        for (at = 1; at <= len; at++) {
            for (c = 0; c < 256; c++) {
                memset(s, 'a', sizeof(s));
                s[0] = s[len + 1] = '"';
                s[at] = (char) c;

                good = (c >= 0x20 && c < 0x80 && c != '"' && c != '\\');

                bad += (check(s, len + 2, &root, NULL) == STOA_OK) != good;
            }
        }
    }

    /* "\a" is no escape, a quote ends early, a lead byte lacks the rest */

    tap_int(bad, 0, "each byte at each place of a string");
}


static void
test_cursor(void)
{
    bool              more;
    size_t            i, n;
    int64_t           v;
    stoa_err_t        err;
    stoa_json_val_t   root, key, val, inner;
    stoa_json_iter_t  it;

    static const char  text[] =
        " { \"a\" : 1 , \"b\\n\":[true,false,null,-1.5,\"x\",[],{}],"
        "\"c\":{\"d}\":\"]\\\"\"} ,\"\":\"\" } ";
    static const stoa_json_type_e  types[] = {
        STOA_JSON_TRUE, STOA_JSON_FALSE, STOA_JSON_NULL, STOA_JSON_NUMBER,
        STOA_JSON_STRING, STOA_JSON_ARRAY, STOA_JSON_OBJECT
    };

    tap_int(check(text, sizeof(text) - 1, &root, &err), STOA_OK, "a text");
    tap_ok(root.type == STOA_JSON_OBJECT && *root.start == '{'
           && root.end[-1] == '}', "its root");

    n = 0;

    for (more = stoa_json_first(&root, &it, &key, &val);
         more;
         more = stoa_json_next(&it, &key, &val))
    {
        n++;
    }

    tap_int((long long) n, 4, "all members");
    tap_ok(!stoa_json_next(&it, &key, &val), "the end stays the end");

    tap_ok(stoa_json_get(&root, "a", &val) && val.type == STOA_JSON_NUMBER
           && stoa_json_int(&val, &v) == STOA_OK && v == 1, "a member");
    tap_ok(stoa_json_get(&root, "", &val) && val.type == STOA_JSON_STRING,
           "a member without a name");
    tap_ok(!stoa_json_get(&root, "d}", &val), "an inner one is none of it");
    tap_ok(stoa_json_get(&root, "b\n", &val), "one with an escape");

    i = 0;

    for (more = stoa_json_first(&val, &it, NULL, &inner);
         more;
         more = stoa_json_next(&it, NULL, &inner))
    {
        if (i == tap_count(types) || inner.type != types[i]) {
            break;
        }

        i++;
    }

    tap_int((long long) i, tap_count(types), "items of each type");
}


static void
test_inner(void)
{
    char              buf[64];
    size_t            n;
    stoa_json_val_t   root, key, val, inner;
    stoa_json_iter_t  it;

    static const char  text[] = "{\"a\":[],\"c\":{\"d}\":\"]\\\"\"}}";

    tap_int(check(text, sizeof(text) - 1, &root, NULL), STOA_OK, "a text");
    tap_ok(stoa_json_get(&root, "c", &val)
           && stoa_json_get(&val, "d}", &inner)
           && stoa_json_eq(&inner, "]\"", 2), "brackets inside strings");
    n = stoa_json_unescape(&inner, buf);
    tap_str(buf, n, "]\"", "unescaped");
    tap_ok(!stoa_json_get(&inner, "x", &val), "a string has no members");
    tap_ok(!stoa_json_first(&inner, &it, &key, &val), "and no items");
    tap_ok(!stoa_json_eq(&root, "", 0), "an object is no string");
}


static void
test_strings(void)
{
    char             buf[64];
    size_t           i, n;
    stoa_json_val_t  val, other;

    for (i = 0; i < tap_count(strings); i++) {
        if (check(strings[i].in, strlen(strings[i].in), &val, NULL)
            != STOA_OK)
        {
            tap_ok(false, "checked %s", strings[i].in);
            continue;
        }

        n = stoa_json_unescape(&val, buf);
        tap_ok(n == strings[i].out.len
               && memcmp(buf, strings[i].out.data, n) == 0,
               "unescaped %s", strings[i].in);
        tap_ok(stoa_json_eq(&val, strings[i].out.data, strings[i].out.len)
               && !stoa_json_eq(&val, buf, n + 1)
               && (n == 0 || !stoa_json_eq(&val, buf, n - 1)),
               "compared %s", strings[i].in);
    }

    (void) check("\"\\u0061\xc3\xa9\"", 10, &val, NULL);
    (void) check("\"a\\u00e9\"", 9, &other, NULL);
    tap_ok(stoa_json_same(&val, &other), "two spellings of one string");
    (void) check("\"a\\u00e8\"", 9, &other, NULL);
    tap_ok(!stoa_json_same(&val, &other), "and of two");
    (void) check("\"a\"", 3, &other, NULL);
    tap_ok(!stoa_json_same(&val, &other), "a shorter one");

    tap_ok(stoa_utf8_valid("a\0\xc3\xa9", 4), "valid UTF-8");
    tap_ok(!stoa_utf8_valid("a\xc3", 2), "cut UTF-8");
}


static void
test_ints(void)
{
    size_t           i;
    int64_t          v;
    stoa_json_val_t  val;

    for (i = 0; i < tap_count(ints); i++) {
        v = 0;
        tap_ok(check(ints[i].text, strlen(ints[i].text), &val, NULL) == STOA_OK
               && (stoa_json_int(&val, &v) == STOA_OK) == ints[i].ok
               && v == ints[i].value,
               "integer %s", ints[i].text);
    }
}


static void
told(void *ctx, unsigned depth, const stoa_json_val_t *key,
    const stoa_json_val_t *val)
{
    stoa_buf_addf(ctx, "%u%.*s=%.*s;", depth, (int) (key->end - key->start),
                  key->start, (int) (val->end - val->start), val->start);
}


static void
test_walk(void)
{
    stoa_buf_t       b;
    stoa_json_val_t  root;

    static const char  text[] =
        "{\"a\":{\"b\":{\"c\":1},\"d\":[{\"e\":2}]},\"f\":3}";

    stoa_buf_init(&b, 4096);

    tap_int(stoa_json_walk(text, sizeof(text) - 1, 64, 2, told, &b, &root,
                           NULL),
            STOA_OK, "a walk");
    tap_str(b.data, b.len, "2\"b\"={\"c\":1};2\"d\"=[{\"e\":2}];"
            "1\"a\"={\"b\":{\"c\":1},\"d\":[{\"e\":2}]};1\"f\"=3;",
            "tells members, the inner first, as deep as it was asked");

    stoa_buf_free(&b);
}


int
main(void)
{
    test_check();
    test_depth();
    test_members();
    test_scan();
    test_cursor();
    test_inner();
    test_strings();
    test_ints();
    test_walk();

    return tap_done();
}
