
/* Tests of JSON Schema: what is refused, what values are. */

#include <stdlib.h>
#include <string.h>

#include "stoa_jschema.h"
#include "stoa_json_limits.h"
#include "stoa_pattern.h"
#include "tap.h"


/* text NULL: the value fits. */

static const struct {
    const char  *schema;
    const char  *value;
    const char  *field;
    const char  *text;
} values[] = {
    { "{}", "1", NULL, NULL },
    { "{\"type\":\"object\"}", "[]", "", "must be object" },
    { "{\"type\":[\"string\",\"null\"]}", "null", NULL, NULL },
    { "{\"type\":[\"string\",\"null\"]}", "1", "", "must be null or string" },
    { "{\"type\":\"boolean\"}", "false", NULL, NULL },
    { "{\"type\":\"integer\"}", "1.0", NULL, NULL },
    { "{\"type\":\"integer\"}", "1.5", "", "must be integer" },
    { "{\"type\":\"integer\"}", "100000000000000000000", NULL, NULL },
    { "{\"type\":\"integer\"}", "1e2", NULL, NULL },
    { "{\"type\":\"string\",\"nullable\":true}", "null", NULL, NULL },
    { "{\"nullable\":true,\"type\":\"string\"}", "null", NULL, NULL },
    { "{\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":[\"a\"]}",
      "{\"a\":1}", NULL, NULL },
    { "{\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":[\"a\"]}",
      "{\"b\":1}", "", "must have the member \"a\"" },
    { "{\"properties\":{\"a\":{\"type\":\"integer\"}}}", "{\"\\u0061\":\"\"}",
      "\\u0061", "must be integer" },
    { "{\"properties\":{\"\\u0061\":{\"type\":\"integer\"}}}",
      "{\"a\":\"\"}", "a", "must be integer" },
    { "{\"properties\":{\"a\":{\"properties\":{\"b\":{\"items\":{\"type\":"
      "\"string\"}}}}}}", "{\"a\":{\"b\":[\"x\",1]}}", "a.b[1]",
      "must be string" },
    { "{\"additionalProperties\":false,\"properties\":{\"a\":true}}",
      "{\"a\":1,\"b\":2}", "b", "must not be there" },
    { "{\"additionalProperties\":{\"type\":\"string\"}}", "{\"b\":2}", "b",
      "must be string" },
    { "{\"patternProperties\":{\"^x-\":{\"type\":\"string\"}},"
      "\"additionalProperties\":false}", "{\"x-a\":\"\"}", NULL, NULL },
    { "{\"patternProperties\":{\"^x-\":{\"type\":\"string\"}}}",
      "{\"x-a\":1}", "x-a", "must be string" },
    { "{\"propertyNames\":{\"maxLength\":2}}", "{\"abc\":1}", "abc", NULL },
    { "{\"minProperties\":1}", "{}", "", "must have 1 members or more" },
    { "{\"maxProperties\":1}", "{\"a\":1,\"b\":1}", "",
      "must have at most 1 members" },
    { "{\"minItems\":2}", "[1]", "", "must have 2 items or more" },
    { "{\"maxItems\":2}", "[1,2,3]", "", "must have at most 2 items" },
    { "{\"maxItems\":2}", "[1,2]", NULL, NULL },
    { "{\"maxItems\":0}", "[]", NULL, NULL },
    { "{\"maxItems\":0}", "[1]", "", NULL },
    { "{\"prefixItems\":[{\"type\":\"string\"}],\"items\":false}",
      "[\"a\",1]", "[1]", "must not be there" },
    { "{\"contains\":{\"const\":1}}", "[2,1]", NULL, NULL },
    { "{\"contains\":{\"const\":1}}", "[2]", "", NULL },
    { "{\"contains\":{\"const\":1},\"minContains\":0}", "[2]", NULL, NULL },
    { "{\"contains\":{\"const\":1},\"maxContains\":1}", "[1,1]", "", NULL },
    { "{\"uniqueItems\":true}", "[1,{\"a\":1,\"b\":2},{\"b\":2.0,\"a\":1}]",
      "", "has an item twice" },
    { "{\"uniqueItems\":true}", "[1,\"1\",[1],[2]]", NULL, NULL },
    { "{\"minLength\":2}", "\"\\ud83d\\ude00\"", "",
      "must have 2 characters or more" },
    { "{\"maxLength\":1}", "\"\xf0\x9f\x98\x80\"", NULL, NULL },
    { "{\"maxLength\":1}", "\"\\n\\n\"", "",
      "must have at most 1 characters" },
    { "{\"pattern\":\"^a+$\"}", "\"aab\"", "", "does not match its pattern" },
    { "{\"pattern\":\"^a+$\"}", "\"\\u0061a\"", NULL, NULL },
    { "{\"minimum\":0}", "-1", "", "is too small" },
    { "{\"minimum\":0}", "-0.0", NULL, NULL },
    { "{\"maximum\":9007199254740993}", "9007199254740994", "",
      "is too large" },
    { "{\"exclusiveMaximum\":10}", "10", "", "is too large" },
    { "{\"exclusiveMinimum\":0.5}", "0.5", "", "is too small" },
    { "{\"exclusiveMinimum\":0.5}", "5e-1", "", "is too small" },
    { "{\"multipleOf\":5}", "12", "", "must be a multiple of 5" },
    { "{\"multipleOf\":5}", "1e1", NULL, NULL },
    { "{\"enum\":[\"a\",null,{\"b\":[1]}]}", "{\"b\":[1]}", NULL, NULL },
    { "{\"enum\":[\"a\",null,{\"b\":[1]}]}", "{\"b\":[2]}", "",
      "is none of the values that it may be" },
    { "{\"const\":\"a\"}", "\"\\u0061\"", NULL, NULL },
    { "{\"const\":1}", "1.0", NULL, NULL },
    { "{\"const\":1}", "true", "", NULL },
    { "{\"allOf\":[{\"minimum\":1},{\"maximum\":2}]}", "3", "",
      "is too large" },
    { "{\"anyOf\":[{\"type\":\"string\"},{\"minimum\":5}]}", "4", "",
      "fits none of anyOf" },
    { "{\"oneOf\":[{\"minimum\":1},{\"minimum\":5}]}", "6", "",
      "does not fit exactly one of oneOf" },
    { "{\"oneOf\":[{\"minimum\":1},{\"minimum\":5}]}", "3", NULL, NULL },
    { "{\"not\":{\"type\":\"null\"}}", "null", "", "is what it must not be" },
    { "{\"if\":{\"required\":[\"a\"]},\"then\":{\"required\":[\"b\"]},"
      "\"else\":{\"required\":[\"c\"]}}", "{\"a\":1}", "",
      "must have the member \"b\"" },
    { "{\"if\":{\"required\":[\"a\"]},\"then\":{\"required\":[\"b\"]},"
      "\"else\":{\"required\":[\"c\"]}}", "{\"c\":1}", NULL, NULL },
    { "{\"$ref\":\"#/$defs/n\",\"$defs\":{\"n\":{\"type\":\"object\","
      "\"properties\":{\"next\":{\"$ref\":\"#/$defs/n\"}},"
      "\"additionalProperties\":false}}}",
      "{\"next\":{\"next\":{\"x\":1}}}", "next.next.x", "must not be there" },
    { "{\"$defs\":{\"a/b~\":{\"type\":\"null\"}},\"$ref\":\"#/$defs/a~1b~0\"}",
      "1", "", "must be null" },
    { "{\"minLength\":3,\"minimum\":3}", "true", NULL, NULL },
    { "{\"format\":\"email\",\"title\":\"t\",\"x-any\":1}", "\"no\"", NULL,
      NULL },
};

static const struct {
    const char  *schema;
    const char  *field;
    const char  *text;
} schemas[] = {
    { "[]", "", "must be a schema: an object, true or false" },
    { "{\"a\":1}", "a", "is a keyword that is not supported" },
    { "{\"unevaluatedProperties\":false}", "unevaluatedProperties", NULL },
    { "{\"$dynamicRef\":\"#\"}", "$dynamicRef", NULL },
    { "{\"$id\":\"http://a\"}", "$id", NULL },
    { "{\"properties\":{\"a\":{\"type\":\"text\"}}}", "properties.a.type",
      NULL },
    { "{\"type\":[]}", "type", "must have an item" },
    { "{\"properties\":{\"a\":{\"pattern\":\"(?=a)\"}}}",
      "properties.a.pattern", "has a group that is not known" },
    { "{\"$ref\":\"#/$defs/x\"}", "$ref", "leads to nothing" },
    { "{\"$ref\":\"http://a/b\"}", "$ref", NULL },
    { "{\"$ref\":\"#\"}", "", "has a $ref that leads to itself" },
    { "{\"allOf\":[{\"$ref\":\"#/$defs/a\"}],\"$defs\":{\"a\":{\"not\":"
      "{\"$ref\":\"#\"}}}}", "", "has a $ref that leads to itself" },
    { "{\"items\":[{}]}", "items", NULL },
    { "{\"minItems\":-1}", "minItems", "must be a whole number, 0 or more" },
    { "{\"multipleOf\":0.1}", "multipleOf", NULL },
    { "{\"$defs\":{\"a\":{\"dependentSchemas\":{}}}}",
      "$defs.a.dependentSchemas", NULL },
    { "{\"anyOf\":[]}", "anyOf", "must be an array of schemas" },
    { "{\"required\":\"a\"}", "required", NULL },
    { "{\"enum\":[1],\"const\":1}", "const", NULL },
};

static const struct {
    const char  *pattern;
    const char  *text;
    int          found;              /* -1: the pattern is refused           */
} patterns[] = {
    { "^(ab){0,3}c$", "c", 1 }, { "^(ab){0,3}c$", "ababc", 1 },
    { "^(ab){0,3}c$", "abababc", 1 }, { "^(ab){0,3}c$", "ababababc", 0 },
    { "^(a|bc){2,4}$", "abca", 1 }, { "^(a|bc){2,4}$", "a", 0 },
    { "^(a|bc){2,4}$", "bcbcbcbc", 1 }, { "^(a|bc){2,4}$", "aaaaa", 0 },
    { "^(a?b{0,2}){1,3}c$", "abbabbabbc", 1 },
    { "^(a?b{0,2}){1,3}c$", "abbabbabbac", 0 },
    { "", "", 1 }, { "abc", "xabcx", 1 }, { "abc", "ab", 0 },
    { "^abc$", "abc", 1 }, { "^abc$", "abcd", 0 }, { "^$", "", 1 },
    { "^$", "a", 0 }, { "a|b", "b", 1 }, { "^(a|bc)+$", "abcbca", 1 },
    { "^(a|bc)+$", "abcb", 0 }, { "^(?:ab)*$", "", 1 },
    { "^a?$", "aa", 0 }, { "^a{2}$", "aa", 1 }, { "^a{2}$", "aaa", 0 },
    { "^a{2,}$", "a", 0 }, { "^a{2,}$", "aaaaa", 1 },
    { "^a{2,4}$", "aaaa", 1 }, { "^a{2,4}$", "aaaaa", 0 },
    { "^a{0,2}b$", "aab", 1 }, { "^a{0,2}b$", "aaab", 0 },
    { "^a{0,}b$", "aaaab", 1 }, { "^(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaab", 0 },
    { "^((a|b)*c)*$", "abcac", 1 }, { "^((a|b)*c)*$", "abca", 0 },
    { "^[a-c]+$", "abc", 1 }, { "^[^a-c]+$", "xyz", 1 },
    { "^[^a-c]+$", "xbz", 0 }, { "^[a\\-z]+$", "a-z", 1 },
    { "^[]a]", "a", -1 }, { "^[\\d_]+$", "1_2", 1 }, { "\\D", "12", 0 },
    { "^\\w+\\s\\w+$", "a_1 b", 1 }, { "^\\S+$", "a b", 0 },
    { "^.$", "\r", 0 }, { "^.$", "\xc3\xa4", 1 },
    { "^\\u00e4$", "\xc3\xa4", 1 },
    { "^[\xc3\xa4-\xc3\xb6]$", "\xc3\xb4", 1 }, { "^\\x41$", "A", 1 },
    { "^\\/\\.$", "/.", 1 }, { "^a+?$", "aa", 1 }, { "^(a|)b$", "b", 1 },
    { "(a", "", -1 }, { "a)", "", -1 }, { "[a", "", -1 }, { "*", "", -1 },
    { "a**", "", -1 }, { "a{", "", -1 }, { "a{2,1}", "", -1 },
    { "a{0}", "", -1 }, { "a{1001}", "", -1 }, { "\\1", "", -1 },
    { "\\b", "", -1 }, { "\\p{L}", "", -1 }, { "(?!a)", "", -1 },
    { "(?<n>a)", "", -1 }, { "a\\", "", -1 }, { "[z-a]", "", -1 },
    { "((a{100}){100}){100}", "", -1 }, { "a|b|c|(d|(e|f))", "f", 1 },
    { "^(?:a|b|c|d|e|f|g|h|i|j|k|l|m|n|o|p|q|r|s|t|u|v|w)$", "w", 1 },
};

static const struct {
    const char          *text;
    stoa_json_limits_t   max;
    const char          *wrong;      /* NULL: within                         */
    size_t               offset;
} limits[] = {
    { "{\"a\":[1,2,{\"b\":\"xyz\"}]}", { 3, 1, 3, 1, 3, 1 }, NULL, 0 },
    { "{\"a\":[1,2,{\"b\":\"xyz\"}]}", { 2, 1, 3, 1, 3, 1 },
      "has a value nested deeper than 2", 10 },
    { "{\"a\":1,\"b\":2}", { 0, 1, 0, 0, 0, 0 },
      "has an object with more members than 1", 7 },
    { "[1,2]", { 0, 0, 1, 0, 0, 0 }, "has an array with more items than 1",
      2 },
    { "[[1,2],[1,2]]", { 0, 0, 2, 0, 0, 0 }, NULL, 0 },
    { "{\"ab\":1}", { 0, 0, 0, 1, 0, 0 }, "has a name with more bytes than 1",
      1 },
    { "{\"a\":\"ab\"}", { 0, 0, 0, 1, 1, 0 },
      "has a string with more bytes than 1", 5 },
    { "[\"a\\\\\",\"\\\"\"]", { 0, 0, 0, 0, 3, 0 }, NULL, 0 },
    { "[\"a\\\\\",\"b\\\"c\"]", { 0, 0, 0, 0, 3, 0 },
      "has a string with more bytes than 3", 7 },
    { "[-12.5e3]", { 0, 0, 0, 0, 0, 6 },
      "has a number with more bytes than 6", 1 },
    { "[[[]],{},\"\",0,null]", { 3, 1, 5, 1, 1, 1 }, NULL, 0 },
    { "{\"a\":1,\"a\":2}", { 0, 0, 0, 0, 0, 0 }, "", 0 },
    { "[1", { 0, 0, 0, 0, 0, 0 }, "", 0 },
};


static void
test_values(void)
{
    size_t           i;
    stoa_rc_t        rc;
    stoa_buf_t       b;
    stoa_err_t       err;
    stoa_json_val_t  root;

    stoa_buf_init(&b, 1 << 20);

    for (i = 0; i < tap_count(values); i++) {
        memset(&err, 0, sizeof(err));
        rc = stoa_jschema_compile(values[i].schema, strlen(values[i].schema),
                                  &b, &err);

        if (rc == STOA_OK) {
            rc = stoa_json_check(values[i].value, strlen(values[i].value), 64,
                                 &root, &err);
        }

        if (rc != STOA_OK) {
            tap_ok(false, "%s: %s %s", values[i].schema, err.field, err.text);
            continue;
        }

        rc = stoa_jschema_judge(b.data, &root, &err);

        tap_ok(values[i].field == NULL
               ? rc == STOA_OK
               : rc == STOA_DECLINED && strcmp(err.field, values[i].field) == 0
                 && (values[i].text == NULL
                     || strcmp(err.text, values[i].text) == 0),
               "%s of %s: \"%s\" \"%s\"", values[i].value, values[i].schema,
               err.field, err.text);
    }

    stoa_buf_free(&b);
}


static void
test_schemas(void)
{
    size_t      i;
    stoa_rc_t   rc;
    stoa_buf_t  b;
    stoa_err_t  err;

    stoa_buf_init(&b, 1 << 20);

    for (i = 0; i < tap_count(schemas); i++) {
        rc = stoa_jschema_compile(schemas[i].schema,
                                  strlen(schemas[i].schema), &b, &err);

        tap_ok(rc == STOA_DECLINED && strcmp(err.field, schemas[i].field) == 0
               && (schemas[i].text == NULL
                   || strcmp(err.text, schemas[i].text) == 0),
               "refused: %s: \"%s\" \"%s\"", schemas[i].schema, err.field,
               err.text);
    }

    stoa_buf_free(&b);
}


static void
test_patterns(void)
{
    size_t       i, steps;
    stoa_rc_t    rc;
    stoa_buf_t   b;
    const char  *wrong;

    stoa_buf_init(&b, 1 << 20);

    for (i = 0; i < tap_count(patterns); i++) {
        stoa_buf_reset(&b);
        steps = STOA_JSCHEMA_STEPS;
        wrong = "";
        rc = stoa_pattern_compile(patterns[i].pattern,
                                  strlen(patterns[i].pattern), &b, &wrong);

        tap_ok(patterns[i].found < 0
               ? rc == STOA_DECLINED
               : rc == STOA_OK
                 && stoa_pattern_found(b.data, patterns[i].text,
                                       strlen(patterns[i].text), false,
                                       &steps)
                    == (patterns[i].found == 1),
               "/%s/ of \"%s\": %d %s", patterns[i].pattern, patterns[i].text,
               patterns[i].found, wrong);
    }

    stoa_buf_free(&b);
}


static void
test_limits(void)
{
    size_t           i;
    stoa_rc_t        rc;
    stoa_err_t       err;
    stoa_json_val_t  root;

    for (i = 0; i < tap_count(limits); i++) {
        rc = stoa_json_limits(limits[i].text, strlen(limits[i].text),
                              &limits[i].max, &root, &err);

        tap_ok(limits[i].wrong == NULL
               ? rc == STOA_OK
               : rc == STOA_DECLINED
                 && (limits[i].wrong[0] == '\0'
                     || (strcmp(err.text, limits[i].wrong) == 0
                         && err.offset == limits[i].offset)),
               "limits of %s: %s at %u", limits[i].text,
               rc == STOA_OK ? "" : err.text,
               rc == STOA_OK ? 0 : (unsigned) err.offset);
    }
}


/* What would take long ends. */

static void
test_steps(void)
{
    char             text[9000];
    size_t           i, len;
    stoa_buf_t       b;
    stoa_err_t       err;
    stoa_json_val_t  root;

    static const char  twice[] =
        "{\"$defs\":{\"n\":{\"anyOf\":[{\"properties\":{\"a\":{\"$ref\":"
        "\"#/$defs/n\"}},\"required\":[\"b\"]},{\"properties\":{\"a\":"
        "{\"$ref\":\"#/$defs/n\"}},\"required\":[\"c\"]}]}},"
        "\"$ref\":\"#/$defs/n\"}";

    stoa_buf_init(&b, 1 << 20);
    tap_int(stoa_jschema_compile(twice, sizeof(twice) - 1, &b, &err), STOA_OK,
            "a schema that goes down twice");

    for (i = 0, len = 0; i < 50; i++) {
        memcpy(text + len, "{\"a\":", 5);
        len += 5;
    }

    text[len++] = '1';
    memset(text + len, '}', 50);
    len += 50;

    tap_int(stoa_json_check(text, len, 64, &root, &err), STOA_OK, "deep");
    tap_int(stoa_jschema_judge(b.data, &root, &err), STOA_DECLINED,
            "it is not judged for ever");
    tap_str(err.text, strlen(err.text), "takes too many steps to be judged",
            "and says so");

    text[0] = '[';

    for (i = 0, len = 1; len < 8990; i++) {
        len += (size_t) snprintf(text + len, sizeof(text) - len, "%u,",
                                 (unsigned) i);
    }

    text[len - 1] = ']';

    tap_int(stoa_json_check(text, len, 64, &root, &err), STOA_OK, "many");
    tap_int(stoa_jschema_compile("{\"uniqueItems\":true}", 20, &b, &err),
            STOA_OK, "unique");
    tap_int(stoa_jschema_judge(b.data, &root, &err), STOA_DECLINED,
            "nor are many items compared");

    stoa_buf_free(&b);
}


/* So many times: what is written, with %s for what is repeated. */

static char *
repeated(const char *text, const char *part, size_t n)
{
    char        *p, *start;
    size_t       i, len;
    const char  *at;

    at = strstr(text, "%s");
    len = strlen(part);
    start = malloc(strlen(text) + n * len + 1);
    p = start;

    if (start == NULL) {
        exit(1);
    }

    memcpy(p, text, (size_t) (at - text));
    p += at - text;

    for (i = 0; i < n; i++, p += len) {
        memcpy(p, part, len);
    }

    strcpy(p, at + 2);

    return start;
}


/* Whatever takes long is counted: a few large values, too, are judged by a
 * worker that does nothing else meanwhile. */

static const struct {
    const char  *name;
    const char  *schema;
    const char  *schema_part;
    size_t       schema_n;
    const char  *value;
    const char  *value_part;
    size_t       value_n;
    bool         ends;
} works[] = {
    { "a pattern of many states", "{\"pattern\":\"%sa{900}b\"}", "", 0,
      "\"%s\"", "a", 1000000, true },
    { "a pattern of large classes", "{\"pattern\":\"[%s]{900}-\"}", "b", 900,
      "\"%s\"", "b", 100000, true },
    { "patterns of names", "{\"patternProperties\":{\"%sa{900}b\":true}}",
      "", 0, "{\"%s\":1}", "a", 1000000, true },
    { "many values of another type", "{\"items\":{\"anyOf\":["
      "{\"enum\":[%s0]},true]}}", "1,", 100000,
      "[%s\"a\"]", "\"a\",", 100000, true },
    { "a long array again and again", "{\"allOf\":[%strue]}",
      "{\"minItems\":2},", 1900, "[%s1]", "1,", 500000, true },
    { "a long string again and again", "{\"allOf\":[%strue]}",
      "{\"minLength\":2},", 1900, "\"%s\"", "a", 1000000, true },
    { "an object of many names again and again", "{\"allOf\":[%strue]}",
      "{\"minProperties\":0,\"maxProperties\":9},", 1900, "{\"%s\":1}",
      "a", 1000000, true },
    { "a long body of short strings", "{\"items\":{\"pattern\":"
      "\"^[\\\\w.+-]{1,64}@%s\",\"maxLength\":99}}", "", 0, "[%s1]",
      "\"somebody@example.org\",", 40000, false },
    { "a long body of words", "{\"items\":{\"enum\":[%s\"z\"]}}", "\"de\",",
      99, "[%s\"z\"]", "\"z\",", 9000, false }
};

static void
test_work(void)
{
    char             *schema, *value;
    size_t            i;
    stoa_rc_t         rc;
    stoa_buf_t        b;
    stoa_err_t        err;
    stoa_json_val_t   root;

    for (i = 0; i < tap_count(works); i++) {
        stoa_buf_init(&b, STOA_JSCHEMA_BLOCK);
        memset(&err, 0, sizeof(err));
        schema = repeated(works[i].schema, works[i].schema_part,
                          works[i].schema_n);
        value = repeated(works[i].value, works[i].value_part,
                         works[i].value_n);

        rc = stoa_jschema_compile(schema, strlen(schema), &b, &err);

        if (rc == STOA_OK) {
            rc = stoa_json_check(value, strlen(value), 64, &root, &err);
        }

        tap_int(rc, STOA_OK, works[i].name);

        if (rc == STOA_OK) {
            rc = stoa_jschema_judge(b.data, &root, &err);

            tap_ok(works[i].ends
                   ? rc == STOA_DECLINED
                     && strcmp(err.text, "takes too many steps to be judged")
                        == 0
                   : rc == STOA_OK,
                   "%s: %s", works[i].name, rc == STOA_OK ? "is judged"
                                                          : err.text);
        }

        free(schema);
        free(value);
        stoa_buf_free(&b);
    }
}


int
main(void)
{
    test_work();
    test_patterns();
    test_limits();
    test_schemas();
    test_values();
    test_steps();

    return tap_done();
}
