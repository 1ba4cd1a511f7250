/*
 * Tests that core/ survives the lack of memory: each work is done again and
 * again while one allocation more succeeds, until it needs no more.  It must
 * say STOA_ERROR, and leave nothing behind.
 */

#include <errno.h>
#include <stdlib.h>

#include "stoa_jsonrpc.h"
#include "stoa_rec.h"
#include "stoa_sse.h"
#include "tap.h"


#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__)

#define ID    "0123456789abcdef"
#define TOOL  "{\"name\":\"%03d\",\"tool\":\"" ID "\",\"api\":\"" ID "\"}"

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

static long        left = -1;         /* allocations that succeed; -1: all  */
static long        alive;
static stoa_buf_t  text;


static bool
refused(void)
{
    if (left < 0) {
        return false;
    }

    if (left == 0) {
        errno = ENOMEM;
        return true;
    }

    left--;

    return false;
}


void *
malloc(size_t size)
{
    if (refused()) {
        return NULL;
    }

    alive++;

    return __libc_malloc(size);
}


void *
calloc(size_t n, size_t size)
{
    if (refused()) {
        return NULL;
    }

    alive++;

    return __libc_calloc(n, size);
}


void *
realloc(void *p, size_t size)
{
    if (refused()) {
        return NULL;
    }

    alive += (p == NULL);

    return __libc_realloc(p, size);
}


void
free(void *p)
{
    alive -= (p != NULL);
    __libc_free(p);
}


/* The works: their texts are made before the memory gets scarce. */

static stoa_rc_t
json(void)
{
    stoa_json_val_t  root;

    return stoa_json_check(text.data, text.len, 64, &root, NULL);
}


static stoa_rc_t
jsonrpc(void)
{
    int             code;
    stoa_jsonrpc_t  msg;

    return stoa_jsonrpc_scan(text.data, text.len, &msg, &code, NULL);
}


static stoa_rc_t
record(void)
{
    stoa_rc_t   rc;
    stoa_buf_t  out;

    stoa_buf_init(&out, STOA_RECORD_MAX);
    rc = stoa_rec_encode(STOA_REC_SERVER, text.data, text.len, 1, &out, NULL);
    stoa_buf_free(&out);

    return rc;
}


static stoa_rc_t
ignore(void *ctx, const stoa_sse_event_t *event)
{
    (void) ctx;
    (void) event;

    return STOA_OK;
}


static stoa_rc_t
events(void)
{
    stoa_rc_t   rc;
    stoa_sse_t  s;

    stoa_sse_init(&s, 1 << 20, ignore, NULL);
    rc = stoa_sse_feed(&s, "event: e\nid: 1\nda", 17);

    if (rc == STOA_OK) {
        rc = stoa_sse_feed(&s, "ta: x\n\n", 7);
    }

    stoa_sse_free(&s);

    return rc;
}


static void
members(const char *head, const char *tail)
{
    int  i;

    stoa_buf_reset(&text);
    stoa_buf_addz(&text, head);

    for (i = 0; i < 300; i++) {
        stoa_buf_addf(&text, "\"k%03d\":%d,", i, i);
    }

    /* one that needs memory for what it says */

    stoa_buf_addf(&text, "\"\\u0061%0300d\":0%s", 7, tail);
}


static void
starve(const char *what, stoa_rc_t (*work)(void), long least)
{
    long       n, before;
    stoa_rc_t  rc;

    before = alive;
    rc = STOA_ERROR;

    for (n = 0; rc == STOA_ERROR && n < 1000; n++) {
        left = n;
        rc = work();
        left = -1;

        if (alive != before) {
            break;
        }
    }

    tap_ok(rc == STOA_OK && alive == before && n > least,
           "%s: %ld allocations", what, n - 1);
}


int
main(void)
{
    int  i;

    stoa_buf_init(&text, 1 << 20);

    members("{", "}");
    starve("JSON of many members", json, 3);

    members("{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"params\":{", "}}");
    starve("a message of many members", jsonrpc, 3);

    stoa_buf_reset(&text);
    stoa_buf_addz(&text, "{\"id\":\"" ID "\",\"tenant\":\"" ID "\","
                  "\"tenant_name\":\"a\",\"name\":\"b\","
                  "\"state\":\"published\",\"tools\":[");

    for (i = 999; i > 0; i--) {
        stoa_buf_addf(&text, TOOL ",", i);
    }

    stoa_buf_addf(&text, TOOL "]}", 0);
    starve("a record of many tools", record, 2);
    starve("events", events, 3);

    stoa_buf_free(&text);

    return tap_done();
}

#else

int
main(void)
{
    printf("1..0 # skip needs glibc, and its own malloc\n");

    return 0;
}

#endif
