/* Tests for the insides of MCP's session ids, ids in ten bytes, and JSON
 * without white space. */

#include "stoa_key.h"
#include "stoa_token.h"
#include "tap.h"


#define API  "01jd9x2k4m6n8q0r"


static const struct {
    const char  *text;
    const char  *want;
} compacts[] = {
    { "{ \"city\" : \"New York\" }", "{\"city\":\"New York\"}" },
    { "[ 1.0e5 ,\t-0 , \"\" ]", "[1.0e5,-0,\"\"]" },
    { "{\"a\\\" b\":\r\n\" \\\\\" , \"c\": [ ] }",
      "{\"a\\\" b\":\" \\\\\",\"c\":[]}" },
    { "\" \"", "\" \"" },
    { "true", "true" },
};


static stoa_json_val_t
json(const char *text)
{
    stoa_json_val_t  val;

    tap_ok(stoa_json_check(text, strlen(text), 64, &val, NULL) == STOA_OK,
           "JSON");

    return val;
}


static void
test_compact(void)
{
    size_t           i;
    stoa_buf_t       b;
    stoa_json_val_t  val;

    for (i = 0; i < tap_count(compacts); i++) {
        val = json(compacts[i].text);
        stoa_buf_init(&b, 1024);
        stoa_json_compact(&val, &b);
        tap_str(b.data, b.len, compacts[i].want, "without white space");
        stoa_buf_free(&b);
    }
}


static void
test_id(void)
{
    char     id[STOA_ID_LEN];
    uint8_t  packed[STOA_MCP_ID_PACKED];

    stoa_id_pack(API, packed);
    tap_ok(memcmp(packed, "\x00\x64\xd4\xf4\x53\x25\x0d\x54\x5c\x18", 10)
           == 0, "an id in ten bytes");
    stoa_id_unpack(packed, id);
    tap_str(id, sizeof(id), API, "and back");
}


static void
test_caps(void)
{
    char             text[2048];
    stoa_buf_t       b;
    stoa_json_val_t  val;

    stoa_buf_init(&b, 4096);
    stoa_mcp_caps(&b, NULL);
    tap_str(b.data, b.len, "{}", "no capabilities");
    b.len = 0;
    val = json("[1]");
    stoa_mcp_caps(&b, &val);
    tap_str(b.data, b.len, "{}", "none that are an object");
    b.len = 0;
    val = json("{ \"roots\" : { \"listChanged\" : true }, \"x\": {} }");
    stoa_mcp_caps(&b, &val);
    tap_str(b.data, b.len, "{\"roots\":{\"listChanged\":true},\"x\":{}}",
            "as they came, without white space");

    (void) snprintf(text, sizeof(text), "{\"x\":\"%0900d\",\"elicitation\":"
                    "{\"url\":{}},\"roots\":{\"a\":\"%0200d\"}}", 1, 2);
    b.len = 0;
    val = json(text);
    stoa_mcp_caps(&b, &val);
    tap_str(b.data, b.len, "{\"roots\":{},\"elicitation\":{\"url\":{}}}",
            "too many: what is known");
    stoa_buf_free(&b);
}


static void
test_token(void)
{
    char              sid[STOA_MCP_CARRIED_SID];
    bool              any;
    size_t            i;
    stoa_buf_t        b;
    stoa_mcp_token_t  token, back;

    memset(sid, 's', sizeof(sid));
    memset(&token, 0, sizeof(token));
    token.version = 3;
    token.issued_s = 0xfedcba98;
    memset(token.nonce, 0xa5, sizeof(token.nonce));
    token.caps = stoa_str("{\"roots\":{}}");
    token.n = STOA_MCP_CARRIED;

    for (i = 0; i < STOA_MCP_CARRIED; i++) {
        memcpy(token.carried[i].api, API, STOA_ID_LEN);
        token.carried[i].target = (unsigned) (64 * i);
        token.carried[i].version = 2;
        token.carried[i].sid.data = sid;
        token.carried[i].sid.len = i ? sizeof(sid) : 0;
    }

    stoa_buf_init(&b, 4096);
    stoa_mcp_token_write(&b, &token);
    tap_ok(stoa_mcp_token_read((uint8_t *) b.data, b.len, &back), "a token");
    tap_int(back.version, 3, "its version");
    tap_int(back.issued_s, 0xfedcba98, "when it was made");
    tap_ok(memcmp(back.nonce, token.nonce, sizeof(back.nonce)) == 0,
           "its nonce");
    tap_str(back.caps.data, back.caps.len, "{\"roots\":{}}",
            "what the client can");
    tap_int(back.n, STOA_MCP_CARRIED, "the sessions it carries");
    tap_ok(memcmp(back.carried[3].api, API, STOA_ID_LEN) == 0
           && back.carried[3].target == 192 && back.carried[3].version == 2
           && back.carried[3].sid.len == sizeof(sid)
           && back.carried[0].sid.len == 0, "as they were");

    any = false;

    for (i = 0; i < b.len; i++) {
        any = any || stoa_mcp_token_read((uint8_t *) b.data, i, &back);
    }

    tap_ok(!any, "cut: none");
    stoa_buf_add(&b, "x", 1);
    tap_ok(!stoa_mcp_token_read((uint8_t *) b.data, b.len, &back),
           "longer: none");
    b.data[0] = 2;
    tap_ok(!stoa_mcp_token_read((uint8_t *) b.data, b.len - 1, &back),
           "of another format: none");
    stoa_buf_free(&b);
}


static void
test_ref(void)
{
    stoa_buf_t       b;
    const uint8_t   *p;
    stoa_mcp_ref_t   ref, back;

    memset(&ref, 0, sizeof(ref));
    memcpy(ref.api, API, STOA_ID_LEN);
    ref.version = 3;
    ref.sid = stoa_str("u-sess-1");

    stoa_buf_init(&b, 8192);
    stoa_mcp_ref_write(&b, &ref);
    tap_ok(b.len == 22
           && memcmp(b.data, "\x00\x64\xd4\xf4\x53\x25\x0d\x54\x5c\x18"
                     "\0\3\0\10u-sess-1", 22) == 0,
           "a session at an upstream");
    p = (const uint8_t *) b.data;
    tap_ok(stoa_mcp_ref_read(&p, p + b.len, &back)
           && p == (const uint8_t *) b.data + b.len, "read");
    tap_str(back.sid.data, back.sid.len, "u-sess-1", "its id");

    stoa_buf_reserve(&b, 5000) == STOA_OK ? memset(b.data + 14, 'x', 5000)
                                          : NULL;
    b.data[12] = 0x10;
    b.data[13] = 1;
    p = (const uint8_t *) b.data;
    tap_ok(!stoa_mcp_ref_read(&p, p + 5000, &back), "too long an id");
    stoa_buf_free(&b);
}


int
main(void)
{
    test_compact();
    test_id();
    test_caps();
    test_ref();
    test_token();

    return tap_done();
}
