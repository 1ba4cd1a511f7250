/* Tests of values against the tables: what a message about them can hold. */

#include "http/cp_http.h"
#include "kinds/cp_kind.h"
#include "resource/cp_engine.h"
#include "tap.h"


/* Twenty policy names, or more: longer than any buffer for the message. */

static const char *const  words[] = {
    "a-word-of-twenty-b-01", "a-word-of-twenty-b-02", "a-word-of-twenty-b-03",
    "a-word-of-twenty-b-04", "a-word-of-twenty-b-05", "a-word-of-twenty-b-06",
    "a-word-of-twenty-b-07", "a-word-of-twenty-b-08", "a-word-of-twenty-b-09",
    "a-word-of-twenty-b-10", "a-word-of-twenty-b-11", "a-word-of-twenty-b-12",
    "a-word-of-twenty-b-13", "a-word-of-twenty-b-14", "a-word-of-twenty-b-15",
    "a-word-of-twenty-b-16", "a-word-of-twenty-b-17", "a-word-of-twenty-b-18",
    "a-word-of-twenty-b-19", "a-word-of-twenty-b-20", NULL
};

static const cp_field_t  fields[] = {
    { .name = "kind", .type = CP_F_ENUM, .values = words },
    { .name = NULL }
};


static void
test_enum(const char *word, cp_rc_t want)
{
    char           text[128];
    cp_err_t       err;
    cp_json_t     *in, *out;
    cp_validate_t  v;

    memset(&err, 0, sizeof(err));
    err.arena = cp_arena_create(65536);
    v = (cp_validate_t) { err.arena, &err, -1, false };

    snprintf(text, sizeof(text), "{\"kind\":\"%s\"}", word);

    if (cp_json_parse(err.arena, text, strlen(text), &in, &err) != CP_OK) {
        tap_ok(false, "%s is JSON", text);
        return;
    }

    tap_int(cp_validate(&v, fields, in, NULL, &out), want, word);

    if (want == CP_DECLINED) {
        tap_ok(err.n == 1
               && strstr(err.faults[0].message, "must be one of a-"),
               "the message lists what fits: %s", err.faults[0].message);
    }

    cp_arena_destroy(err.arena);
}


/* A member that was left out for want of memory may be what keeps callers
 * off: such a body is not kept. */

static void
test_memory(void)
{
    cp_err_t       err;
    cp_json_t     *body, *row;
    cp_arena_t    *a;
    cp_feed_row_t  feed = { .key = "api:1" };

    static const cp_body_t  members[] = {
        { .member = "name", .column = "name" },
        { .member = "ip_allow", .column = "ip_allow" },
        { NULL }
    };

    memset(&err, 0, sizeof(err));
    err.arena = cp_arena_create(65536);

    row = cp_json_object(err.arena);
    cp_json_put(err.arena, row, "name", "a");
    cp_json_put(err.arena, row, "ip_allow",
                memset(cp_arena_alloc(err.arena, 8001), 'x', 8000));

    a = cp_arena_create(8192);
    tap_int(cp_body_make(NULL, a, members, row, &body, &err), CP_OK,
            "a body is made");

    tap_ok(cp_json_get(body, "name") != NULL
           && cp_json_get(body, "ip_allow") == NULL,
           "memory is there for the first member alone");
    tap_ok(cp_body_put(NULL, a, feed, body, &err) == CP_ERROR
           && err.status == 500, "and the body is not kept");

    cp_arena_destroy(a);
    cp_arena_destroy(err.arena);
}


static void
test_answer(void)
{
    cp_req_t    r;
    cp_json_t  *body;

    memset(&r, 0, sizeof(r));
    stoa_buf_init(&r.out, 65536);
    r.op.arena = cp_arena_create(8192);
    r.op.err.arena = r.op.arena;

    body = cp_json_object(r.op.arena);
    cp_json_put(r.op.arena, body, "name", "a");
    tap_int(cp_req_answer(&r, 200, body), CP_OK, "an answer is sent");

    tap_ok(cp_arena_alloc(r.op.arena, 8193) == NULL
           && cp_req_answer(&r, 200, body) == CP_ERROR
           && r.status == 0 && r.op.err.status == 500,
           "not one that may lack what there was no memory for");

    stoa_buf_free(&r.out);
    cp_arena_destroy(r.op.arena);
}


int
main(void)
{
    test_memory();
    test_answer();
    test_enum("a-word-of-twenty-b-20", CP_OK);
    test_enum("another", CP_DECLINED);

    return tap_done();
}
