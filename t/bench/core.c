/*
 * What the hot calls of core/ cost: one row per call, ns per operation, the
 * best of a few rounds.  A report, not a test.  An argument picks the rows
 * whose names contain it.
 *
 *     cc -O2 -I ngx_stoa_module/core t/bench/core.c \
 *         ngx_stoa_module/core/stoa_*.c -o objs/bench_core
 */

#define _POSIX_C_SOURCE  200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "stoa_gcra.h"
#include "stoa_jsonrpc.h"
#include "stoa_guard.h"
#include "stoa_json_limits.h"
#include "stoa_contract.h"
#include "stoa_jschema.h"
#include "stoa_key.h"
#include "stoa_rec.h"


#define ROUNDS    7
#define ROUND_NS  30000000.0
#define BATCH     256

#define ID   "0123456789abcdef"
#define CALL "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\"," \
             "\"params\":{\"name\":\"demo__echo\",\"arguments\":"             \
             "{\"message\":\"hello\"}}}"
#define META "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\"," \
             "\"params\":{\"_meta\":{\"io.modelcontextprotocol/"              \
             "protocolVersion\":\"2026-07-28\",\"io.modelcontextprotocol/"    \
             "clientCapabilities\":{}},\"name\":\"demo__echo\","              \
             "\"arguments\":{\"message\":\"hello\"}}}"
#define PATH "/apis/acme/orders/v1/items/42"
#define CRED "{\"id\":\"" ID "\",\"tenant\":\"" ID "\",\"application\":\"" ID \
             "\",\"digest\":\"00112233445566778899aabbccddeeff"               \
             "00112233445566778899aabbccddeeff\",\"alg\":\"sha256\","         \
             "\"state\":\"active\",\"expires_ms\":0}"


static char               text[4200], flat[4200], key[STOA_KEY_MAX + 1];
static size_t             text_len, flat_len, key_len;
static stoa_buf_t         rec;
static volatile uint64_t  sink;
static stoa_cidr_t        ranges[100000];


static void
bench_scan(const char *body, size_t len)
{
    int             code;
    stoa_err_t      err;
    stoa_jsonrpc_t  msg;

    sink += (uint64_t) stoa_jsonrpc_scan(body, len, &msg, &code, &err);
    sink += (uint64_t) msg.method;
}

static void
bench_check(const char *body, size_t len)
{
    stoa_err_t       err;
    stoa_json_val_t  root;

    sink += (uint64_t) stoa_json_check(body, len, 64, &root, &err);
}

static void bench_scan_call(void) { bench_scan(CALL, sizeof(CALL) - 1); }
static void bench_scan_meta(void) { bench_scan(META, sizeof(META) - 1); }
static void bench_scan_text(void) { bench_scan(text, text_len); }
static void bench_check_call(void) { bench_check(CALL, sizeof(CALL) - 1); }
static void bench_check_text(void) { bench_check(text, text_len); }
static void bench_check_flat(void) { bench_check(flat, flat_len); }

static void
bench_key(void)
{
    stoa_key_t  k;

    sink += (uint64_t) stoa_key_parse(key, key_len, &k);
}

static void
bench_crc(void)
{
    sink += stoa_crc32(key, 60);
}

static void
bench_hash(void)
{
    sink += stoa_hash64(key, STOA_ID_LEN, sink);
}

static void
bench_gcra(void)
{
    stoa_gcra_t          g = { 100000000, 400000000, 0 };
    stoa_gcra_verdict_t  v;

    stoa_gcra_decide(&g, 1, sink & 1023, 1000000000, &v);
    sink += v.remaining;
}

static void
bench_window(void)
{
    uint64_t  left;

    sink += stoa_window_number(STOA_WINDOW_MONTH,
                               INT64_C(1790000000000) + (int64_t) (sink & 7),
                               &left);
}

static void
bench_prefix(void)
{
    bool    more;
    size_t  len;

    for (more = stoa_path_prefix_first(PATH, sizeof(PATH) - 1, &len);
         more;
         more = stoa_path_prefix_next(PATH, &len))
    {
        sink += len;
    }
}

static void
bench_match(void)
{
    sink += stoa_path_match("/apis/{t}/orders/v1/items/{id}", 30, PATH,
                            sizeof(PATH) - 1);
}

static void
bench_ranges(size_t n)
{
    uint32_t  addr;

    addr = (uint32_t) (sink * 2654435761U) | 10;
    sink += stoa_cidrs_match(ranges, n, 4, (uint8_t *) &addr) + 1;
}

static void bench_ranges_one(void) { bench_ranges(1); }
static void bench_ranges_most(void) { bench_ranges(100000); }

static void
ranges_fill(void)
{
    size_t  i;

    for (i = 0; i < 100000; i++) {
        ranges[i].addr[0] = 10;
        ranges[i].addr[1] = (uint8_t) (i >> 15);
        ranges[i].addr[2] = (uint8_t) (i >> 7);
        ranges[i].addr[3] = (uint8_t) (i << 1);
        ranges[i].family = 4;
        ranges[i].bits = 31;
    }

    (void) stoa_cidrs_sort(ranges, 100000);
}


/* What an order may look like: a kilobyte of it. */

#define LINE  "{\"type\":\"object\",\"required\":[\"sku\",\"n\"],"            \
              "\"additionalProperties\":false,\"properties\":{\"sku\":{"    \
              "\"type\":\"string\",\"pattern\":\"^[A-Z]{2}-[0-9]+$\"},"     \
              "\"n\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":99},"  \
              "\"price\":{\"type\":\"number\"},\"unit\":{\"enum\":[\"kg\","  \
              "\"m\",\"pc\"]}}}"
#define ORDER  "{\"type\":\"object\",\"required\":[\"id\",\"lines\"],"        \
               "\"properties\":{\"id\":{\"type\":\"string\",\"maxLength\":"  \
               "32},\"lines\":{\"type\":\"array\",\"items\":" LINE "}}}"

static char        order[2000];
static size_t      order_len;
static stoa_buf_t  schema;

static void
bench_schema(void)
{
    stoa_err_t       err;
    stoa_json_val_t  root;

    sink += stoa_json_plain(order, order_len, NULL, NULL, &root);
    sink += (uint64_t) stoa_jschema_judge(schema.data, &root, &err);
}

/* The same by a contract, and a number and a list of the query. */

#define CONTRACT                                                              \
    "{\"operations\":[{\"method\":\"POST\",\"path\":\"/orders/{id}\","        \
    "\"parameters\":[{\"name\":\"n\",\"in\":\"query\",\"form\":\"value\","    \
    "\"schema\":1},{\"name\":\"l\",\"in\":\"query\",\"form\":\"list\","       \
    "\"separator\":\",\",\"schema\":2}]}],\"schemas\":{\"$defs\":{},"         \
    "\"prefixItems\":[" ORDER ",{\"type\":\"integer\",\"minimum\":1},"        \
    "{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}]}}"

static stoa_contract_t  contract;
static stoa_buf_t       scratch;

static void
bench_contract(void)
{
    stoa_err_t       err;
    stoa_json_val_t  root;

    static const stoa_str_t  n = { "12", 2 }, list = { "1,2,3,4", 7 };

    sink += (uint64_t) stoa_contract_judge(&contract, contract.ops->params,
                                           &n, 1, &scratch, &err);
    sink += (uint64_t) stoa_contract_judge(&contract,
                                           contract.ops->params + 1, &list, 1,
                                           &scratch, &err);
    sink += stoa_json_plain(order, order_len, NULL, NULL, &root);
    sink += (uint64_t) stoa_jschema_judge_nth(contract.schemas, 0, &root,
                                              &err);
}

static void *
bench_room(void *ctx, size_t size)
{
    (void) ctx;

    return malloc(size);
}

/* A megabyte, so that 1 ms is 1 GB/s: words, and what REST APIs answer. */

static char  words[1000000], records[1000000], numbers[1000000],
             said[1000000];

static void
bench_guard(unsigned kinds, const char *s)
{
    size_t            at;
    stoa_guard_hit_t  hit;

    for (at = 0; stoa_guard_next(kinds, s, sizeof(words), &at, &hit); ) {
        sink += hit.to;
    }
}

static void
bench_guard_words(void)
{
    bench_guard(STOA_GUARD_DEFAULT, words);
}

static void
bench_guard_all_words(void)
{
    bench_guard(STOA_GUARD_ALL, words);
}

static void
bench_guard_all(void)
{
    bench_guard(STOA_GUARD_ALL, records);
}

static void
bench_guard_numbers(void)
{
    bench_guard(STOA_GUARD_ALL, numbers);
}

static void
bench_guard_said(void)
{
    bench_guard(STOA_GUARD_ALL, said);
}

static void
guard_fill(void)
{
    char      line[200];
    size_t    i, n, k;
    uint64_t  x;

    static const char  prose[] =
        "The committee met again yesterday, and they said that the key to a "
        "better understanding is patience - nobody asked_for anything else. ";

    static const char  model[] =
        "the user reads the instructions of a user, and each user of those "
        "instructions asks another user for previous instructions. ";

    for (i = 0, x = 88172645463325252u; i < sizeof(words); i++) {
        words[i] = prose[i % (sizeof(prose) - 1)];
        said[i] = model[i % (sizeof(model) - 1)];

        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        numbers[i] = i % 17 == 16 ? ',' : (char) ('0' + x % 10);
    }

    for (i = 0, k = 0; i < sizeof(records); i += n, k++) {
        n = (size_t) snprintf(line, sizeof(line), "{\"id\":%zu,\"sku\":"
                              "\"AB-%zu\",\"price\":%zu.50,\"created_at\":"
                              "\"2026-11-28T07:46:%02zuZ\",\"title\":\"A "
                              "chair of oak, light\"},", 100000 + k, k * 7,
                              k % 1000, k % 60);

        if (n > sizeof(records) - i) {
            n = sizeof(records) - i;
        }

        memcpy(records + i, line, n);
    }
}

static void
bench_limits(void)
{
    stoa_err_t                       err;
    stoa_json_val_t                  root;
    static const stoa_json_limits_t  max = { 10, 100, 100, 64, 64, 20 };

    sink += (uint64_t) stoa_json_limits(order, order_len, &max, &root, &err);
}

static void
order_fill(void)
{
    unsigned    i;
    stoa_err_t  err;

    order_len = (size_t) snprintf(order, sizeof(order),
                                  "{\"id\":\"0123456789\",\"lines\":[");

    for (i = 0; order_len < 970; i++) {
        order_len += (size_t) snprintf(order + order_len,
                                       sizeof(order) - order_len,
                                       "%s{\"sku\":\"AB-%u\",\"n\":%u,"
                                       "\"price\":12.50,\"unit\":\"pc\"}",
                                       i ? "," : "", 10000 + i, i + 1);
    }

    order_len += (size_t) snprintf(order + order_len,
                                   sizeof(order) - order_len, "]}");

    stoa_buf_init(&schema, STOA_JSCHEMA_BLOCK);

    if (stoa_jschema_compile(ORDER, sizeof(ORDER) - 1, &schema, &err)
        != STOA_OK)
    {
        printf("%s %s\n", err.field, err.text);
    }

    stoa_buf_init(&scratch, 4096);

    if (stoa_contract_read(CONTRACT, sizeof(CONTRACT) - 1, bench_room, NULL,
                           &contract, &err)
        != STOA_OK)
    {
        printf("%s %s\n", err.field, err.text);
    }
}


static void
bench_encode(void)
{
    stoa_err_t  err;

    sink += (uint64_t) stoa_rec_encode(STOA_REC_CREDENTIAL, CRED,
                                       sizeof(CRED) - 1, 1, &rec, &err);
}


static const struct {
    const char  *name;
    void       (*run)(void);
} rows[] = {
    { "jsonrpc_scan tools/call, 109 bytes", bench_scan_call },
    { "jsonrpc_scan tools/call with _meta, 222 bytes", bench_scan_meta },
    { "jsonrpc_scan tools/call, 4 KB of text", bench_scan_text },
    { "json_check 109 bytes", bench_check_call },
    { "json_check 4 KB of text", bench_check_text },
    { "json_check 4 KB of small members", bench_check_flat },
    { "key_parse", bench_key },
    { "crc32 60 bytes", bench_crc },
    { "hash64 16 bytes", bench_hash },
    { "gcra_decide", bench_gcra },
    { "window_number month", bench_window },
    { "path_prefix, all 7 of a path", bench_prefix },
    { "path_match", bench_match },
    { "cidrs_match, 1 range", bench_ranges_one },
    { "cidrs_match, 100,000 ranges", bench_ranges_most },
    { "json_limits, 1 KB", bench_limits },
    { "json_plain and jschema_judge, 1 KB", bench_schema },
    { "contract, two parameters and 1 KB", bench_contract },
    { "guard, default kinds, 1 MB of words", bench_guard_words },
    { "guard, all kinds, 1 MB of words", bench_guard_all_words },
    { "guard, all kinds, 1 MB of JSON with numbers", bench_guard_all },
    { "guard, all kinds, 1 MB of numbers of 16 digits", bench_guard_numbers },
    { "guard, all kinds, 1 MB of \"user\", \"instructions\"",
      bench_guard_said },
    { "rec_encode credential", bench_encode },
};


static double
now_ns(void)
{
    struct timespec  ts;

    /* of this process, so that a busy machine disturbs less */

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);

    return (double) ts.tv_sec * 1e9 + (double) ts.tv_nsec;
}


static double
measure(void (*run)(void))
{
    double    best, start, ns;
    unsigned  i, round;
    uint64_t  n;

    best = 1e18;

    for (round = 0; round < ROUNDS; round++) {
        start = now_ns();
        n = 0;

        do {
            for (i = 0; i < BATCH; i++) {
                run();
            }

            n += BATCH;
            ns = now_ns() - start;

        } while (ns < ROUND_NS);

        if (ns / (double) n < best) {
            best = ns / (double) n;
        }
    }

    return best;
}


static void
prepare(void)
{
    size_t  i;

    text_len = (size_t) snprintf(text, sizeof(text), "%.*s",
                                 (int) sizeof(CALL) - 1 - 9, CALL);
    memset(text + text_len, 'x', 4000);
    text_len += 4000;
    memcpy(text + text_len, "\"}}}", 4);
    text_len += 4;

    flat[flat_len++] = '[';

    for (i = 0; flat_len < 4060; i++) {
        flat_len += (size_t) snprintf(flat + flat_len,
                                      sizeof(flat) - flat_len,
                                      "%s{\"id\":%u,\"name\":\"n\"}",
                                      i ? "," : "", (unsigned) i);
    }

    flat[flat_len++] = ']';

    key_len = stoa_key_format(key, "live", ID,
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345");
    stoa_buf_init(&rec, STOA_RECORD_MAX);
    ranges_fill();
    order_fill();
    guard_fill();
}


int
main(int argc, char **argv)
{
    size_t  i;

    prepare();

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (argc > 1 && strstr(rows[i].name, argv[1]) == NULL) {
            continue;
        }

        printf("%-48s %9.1f ns/op\n", rows[i].name, measure(rows[i].run));
        (void) fflush(stdout);
    }

    stoa_buf_free(&rec);
    stoa_buf_free(&schema);

    return 0;
}
