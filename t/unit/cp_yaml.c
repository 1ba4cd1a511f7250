/* Tests of JSON trees, and of YAML in and out. */

#include <stdlib.h>

#include "base/cp_json.h"
#include "tap.h"


static const struct {
    const char  *what;
    stoa_str_t   yaml;
    const char  *json;             /* NULL: refused                         */
    const char  *why;
} inputs[] = {
    { "nothing", stoa_str(""), "[]", NULL },
    { "two empty documents", stoa_str("---\n---\n"), "[null,null]", NULL },
    { "documents", stoa_str("---\na: 1\n---\nb: 2\n...\n"),
      "[{\"a\":1},{\"b\":2}]", NULL },
    { "words of YAML 1.1 are texts", stoa_str("[no, on, yes, off, y, n]"),
      "[[\"no\",\"on\",\"yes\",\"off\",\"y\",\"n\"]]", NULL },
    { "booleans", stoa_str("[true, True, FALSE, tRUE]"),
      "[[true,true,false,\"tRUE\"]]", NULL },
    { "nulls", stoa_str("[~, null, NULL, nULL, '']"),
      "[[null,null,null,\"nULL\",\"\"]]", NULL },
    { "integers", stoa_str("[0, -1, +7, 010, 0x1F, 0o17, 0b1, 1_000]"),
      "[[0,-1,7,10,31,15,\"0b1\",\"1_000\"]]", NULL },
    { "reals", stoa_str("[1.5, .5, 1., -1e3, 1e, .]"),
      "[[1.5,0.5,1,-1e3,\"1e\",\".\"]]", NULL },
    { "a number of many digits",
      stoa_str("-000123456789012345678901234567890"),
      "[-123456789012345678901234567890]", NULL },
    { "dates and times are texts", stoa_str("[2026-11-24, 1:20]"),
      "[[\"2026-11-24\",\"1:20\"]]", NULL },
    { "quotes make texts", stoa_str("['1', \"true\", !!str 2, ! 3]"),
      "[[\"1\",\"true\",\"2\",\"3\"]]", NULL },
    { "standard tags", stoa_str("[!!int '5', !!float 1, !!null '', !!seq []]"),
      "[[5,1,null,[]]]", NULL },
    { "blocks", stoa_str("a: |\n  x\n  y\nb: >-\n  x\n  y\n"),
      "[{\"a\":\"x\\ny\\n\",\"b\":\"x y\"}]", NULL },
    { "an alias", stoa_str("a: &x {k: [1]}\nb: *x\n"),
      "[{\"a\":{\"k\":[1]},\"b\":{\"k\":[1]}}]", NULL },
    { "the later anchor counts", stoa_str("[&x 1, &x 2, *x]"),
      "[[1,2,2]]", NULL },
    { "a merge key in quotes is a key", stoa_str("'<<': x"),
      "[{\"<<\":\"x\"}]", NULL },
    { "keys that look like values", stoa_str("1: a\ntrue: b\n"),
      "[{\"1\":\"a\",\"true\":\"b\"}]", NULL },
    { "a byte order mark", stoa_str("\xef\xbb\xbf" "a: 1"), "[{\"a\":1}]",
      NULL },
    { "JSON", stoa_str("{\"a\":[1,\"\\u00e9\"]}"),
      "[{\"a\":[1,\"\xc3\xa9\"]}]", NULL },

    { "a merge key", stoa_str("a: &a {q: 1}\nb: {<<: *a, r: 2}\n"), NULL,
      "line 2: merge keys (<<) are not supported" },
    { "a key twice", stoa_str("a: 1\nb: 2\na: 3\n"), NULL,
      "line 3: the key \"a\" is there twice" },
    { "anchors end with the document", stoa_str("--- &x 1\n--- *x\n"), NULL,
      "line 2: the alias has no anchor before it" },
    { "an alias inside its anchor", stoa_str("a: &x [*x]"), NULL,
      "line 1: the alias is part of what it stands for" },
    { "a tag of somebody's", stoa_str("a: 1\nb: !foo 1\n"), NULL,
      "line 2: only the standard tags are known" },
    { "a tag on a mapping", stoa_str("!!set {a: 1}"), NULL,
      "line 1: only the standard tags are known" },
    { "a tag that lies", stoa_str("!!int x"), NULL,
      "line 1: the value is not what its tag says" },
    { "a compound key", stoa_str("? [a]\n: 1\n"), NULL,
      "line 1: a key must be a text" },
    { "an alias as key", stoa_str("a: &x b\n*x : 1\n"), NULL,
      "line 2: a key must be a text" },
    { "infinity", stoa_str("a: .inf"), NULL,
      "line 1: infinite and not-a-number have no JSON form" },
    { "too large", stoa_str("a: 1e999"), NULL,
      "line 1: the number is too large" },
    { "too many hex digits", stoa_str("0xffffffffffffffffff"), NULL,
      "line 1: the number is too large" },
    { "NUL by escape", stoa_str("a: \"\\0\""), NULL,
      "line 1: a text holds the character U+0000" },
    { "NUL itself", stoa_str("a: b\0c"), NULL,
      "line 1: control characters are not allowed" },
    { "bad UTF-8", stoa_str("a: 1\nb: \xff\n"), NULL,
      "line 2: invalid leading UTF-8 octet" },
    { "a bracket left open", stoa_str("a: [1\nb: 2\n"), NULL,
      "line 2: did not find expected ',' or ']', while parsing a flow "
      "sequence" },
    { "another YAML", stoa_str("%YAML 2.0\n---\na\n"), NULL,
      "line 1: found incompatible YAML document" }
};

/* Texts that a careless writer would not get back. */

static const char  *texts[] = {
    "", "a", "no", "on", "y", "Yes", "NULL", "~", "null", "true", "1", "1.0",
    "0x1F", "0o7", "1e3", ".5", "+1", "-0", "-", "?", ":", "=", "<<", "a:",
    "key: v", "a: b", "- x", "#c", "x #y", "x#y", "'q'", "\"q\"", "\\",
    "{a}", "[b]", "*x", "&x", "!t", "%d", "@a", "`b", "---", "...", "|",
    ">", "2020-01-01", "1:20", "http://x:80/y?p=q&r", "/orders/{id}",
    "\xc3\xa9", "\xe6\x97\xa5\xe6\x9c\xac", "\xf0\x9f\x98\x80", " a", "a ",
    "a  b", "\t", "a\tb", "\n", "a\n", "a\nb", "a\n\n", "\na", "a\n b\n",
    "  a\nb", "a\n\tb", "\ta", "a\t\nb ", "a\n  ", "a\n\n\nb", "x\n...\n",
    "---\nfoo\n", "a\r\nb", "\r", "\x01", "\x7f", "\xc2\x85",
    "\xe2\x80\xa8", "\xef\xbb\xbf", "\xef\xbf\xbe"
};


static void
test_input(unsigned i)
{
    char        *got;
    cp_rc_t      rc;
    cp_err_t     err;
    cp_json_t   *docs;
    cp_arena_t  *a;

    a = cp_arena_create(1024 * 1024);
    memset(&err, 0, sizeof(cp_err_t));
    err.arena = a;

    rc = cp_yaml_parse(a, inputs[i].yaml.data, inputs[i].yaml.len, &docs,
                       &err);

    if (inputs[i].json == NULL) {
        tap_int(rc, CP_DECLINED, inputs[i].what);
        tap_int(err.status, 400, inputs[i].what);
        tap_str(err.detail, strlen(err.detail), inputs[i].why,
                inputs[i].what);

    } else if (tap_int(rc, CP_OK, inputs[i].what)) {
        got = cp_json_text(a, docs, NULL);
        tap_str(got, strlen(got), inputs[i].json, inputs[i].what);
    }

    cp_arena_destroy(a);
}


static cp_json_t *
random_text(cp_arena_t *a)
{
    return cp_json_string(a, texts[(size_t) rand() % tap_count(texts)]);
}


static cp_json_t *
random_tree(cp_arena_t *a, int depth)
{
    int         i, n, what;
    cp_json_t  *v;

    what = rand() % 10;

    if (what < 5 || (depth == 0 && what > 7)) {
        return random_text(a);
    }

    if (what == 5) {
        return cp_json_int(a, (int64_t) rand() * rand() - rand());
    }

    if (what < 8) {
        return (what == 6) ? cp_json_bool(a, rand() % 2) : cp_json_null(a);
    }

    v = (what == 8) ? cp_json_array(a) : cp_json_object(a);

    for (i = 0, n = rand() % 5; i < n; i++) {

        if (what == 8) {
            cp_json_push(v, random_tree(a, depth - 1));

        } else {
            cp_json_set(a, v, texts[(size_t) rand() % tap_count(texts)],
                        random_tree(a, depth - 1));
        }
    }

    return v;
}


/* Written as YAML and as JSON, a tree comes back as it was. */

static bool
test_round(cp_arena_t *a, const cp_json_t *v)
{
    bool         ok;
    size_t       len;
    char        *text;
    cp_err_t     err;
    cp_json_t   *docs, *json;
    stoa_buf_t   b;

    memset(&err, 0, sizeof(cp_err_t));
    err.arena = a;

    stoa_buf_init(&b, 1024 * 1024);
    cp_yaml_write(&b, v, 0);

    ok = cp_yaml_parse(a, b.data, b.len, &docs, &err) == CP_OK
         && docs->n == 1 && cp_json_equal(v, docs->first);

    if (!ok) {
        printf("# %s\n", cp_json_text(a, v, NULL));
    }

    stoa_buf_free(&b);

    text = cp_json_text(a, v, &len);

    return ok && cp_json_parse(a, text, len, &json, &err) == CP_OK
           && cp_json_equal(v, json);
}


static void
test_rounds(void)
{
    unsigned     i, bad;
    cp_json_t   *key;
    cp_arena_t  *a;

    for (bad = 0, i = 0; i < tap_count(texts); i++) {
        a = cp_arena_create(1024 * 1024);
        bad += !test_round(a, cp_json_string(a, texts[i]));
        cp_arena_destroy(a);
    }

    tap_int(bad, 0, "texts come back");

    for (bad = 0, i = 0; i < 5000; i++) {
        a = cp_arena_create(1024 * 1024);
        bad += !test_round(a, random_tree(a, 4));
        cp_arena_destroy(a);
    }

    tap_int(bad, 0, "trees come back");

    a = cp_arena_create(1024 * 1024);
    key = cp_json_object(a);
    cp_json_set(a, key, memset(cp_arena_alloc(a, 3001), 'k', 3000),
                cp_json_int(a, 1));
    tap_ok(test_round(a, key), "a long key comes back");
    cp_arena_destroy(a);
}


static void
test_limit(const char *text, const char *why, const char *what)
{
    cp_rc_t      rc;
    cp_err_t     err;
    cp_json_t   *docs;
    cp_arena_t  *a;

    a = cp_arena_create(64 * 1024 * 1024);
    memset(&err, 0, sizeof(cp_err_t));
    err.arena = a;

    rc = cp_yaml_parse(a, text, strlen(text), &docs, &err);

    tap_int(rc, (why == NULL) ? CP_OK : CP_DECLINED, what);

    if (why != NULL && rc != CP_OK) {
        tap_str(err.detail, strlen(err.detail), why, what);
    }

    cp_arena_destroy(a);
}


static void
test_limits(void)
{
    int   i, k, n;
    char  bomb[2048], deep[256];

    n = sprintf(bomb, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");

    for (i = 1; i < 9; i++) {

        n += sprintf(bomb + n, "a%d: &a%d [", i, i);

        for (k = 0; k < 10; k++) {
            n += sprintf(bomb + n, "%s*a%d", (k > 0) ? "," : "", i - 1);
        }

        n += sprintf(bomb + n, "]\n");
    }

    test_limit(bomb, "line 5: aliases make the document too large",
               "an alias bomb");

    memset(deep, '[', 64);
    memset(deep + 64, ']', 64);
    deep[128] = '\0';
    test_limit(deep, NULL, "64 levels");

    memset(deep, '[', 65);
    memset(deep + 65, ']', 65);
    deep[130] = '\0';
    test_limit(deep, "line 1: nested too deep", "65 levels");
}


static void
test_tree(void)
{
    char        *text;
    cp_json_t   *v, *w;
    cp_arena_t  *a;

    a = cp_arena_create(1024 * 1024);

    v = cp_json_object(a);
    cp_json_set(a, v, "a", cp_json_int(a, 1));
    cp_json_set(a, v, "b", cp_json_string(a, "x"));
    cp_json_set(a, v, "c", cp_json_bool(a, true));
    cp_json_set(a, v, "a", cp_json_null(a));
    cp_json_set(a, v, "c", cp_json_string(a, NULL));
    cp_json_set(a, v, "d", cp_json_int(a, 4));

    text = cp_json_text(a, v, NULL);
    tap_str(text, strlen(text), "{\"a\":null,\"b\":\"x\",\"c\":null,\"d\":4}",
            "a member that is set again keeps its place");
    tap_int(v->n, 4, "four members");

    w = cp_json_object(a);
    cp_json_set(a, w, "d", cp_json_int(a, 4));
    cp_json_set(a, w, "c", cp_json_null(a));
    cp_json_set(a, w, "b", cp_json_string(a, "x"));
    cp_json_set(a, w, "a", cp_json_null(a));
    tap_ok(cp_json_equal(v, w), "the order of members means nothing");

    cp_json_set(a, w, "d", cp_json_int(a, 5));
    tap_ok(!cp_json_equal(v, w), "their values do");
    tap_ok(cp_json_equal(v, cp_json_copy(a, v)), "a copy is equal");

    cp_arena_destroy(a);
}


int
main(void)
{
    unsigned  i;

    srand(1);

    for (i = 0; i < tap_count(inputs); i++) {
        test_input(i);
    }

    test_rounds();
    test_limits();
    test_tree();

    return tap_done();
}
