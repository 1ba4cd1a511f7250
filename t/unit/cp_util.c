/* Tests of arenas, times, keys, errors and metrics. */

#include "base/cp_metrics.h"
#include "base/cp_util.h"
#include "tap.h"


static const struct {
    const char  *text;
    const char  *back;             /* NULL: refused                         */
} times[] = {
    { "2026-11-24T02:45:01Z", "2026-11-24T02:45:01.000Z" },
    { "2026-11-24t02:45:01z", "2026-11-24T02:45:01.000Z" },
    { "2026-11-24T02:45:01.5+02:00", "2026-11-24T00:45:01.500Z" },
    { "2026-11-24T02:45:01.123999-00:30", "2026-11-24T03:15:01.123Z" },
    { "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z" },
    { "2000-02-29T00:00:00Z", "2000-02-29T00:00:00.000Z" },
    { "2024-02-29T23:59:59.999Z", "2024-02-29T23:59:59.999Z" },
    { "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z" },
    { "1969-12-31T23:59:59Z", NULL },
    { "2100-02-29T00:00:00Z", NULL },
    { "2026-02-30T00:00:00Z", NULL },
    { "2026-13-01T00:00:00Z", NULL },
    { "2026-00-01T00:00:00Z", NULL },
    { "2026-11-24T24:00:00Z", NULL },
    { "2026-11-24T02:45:60Z", NULL },
    { "2026-11-24T02:45:01", NULL },
    { "2026-11-24T02:45:01.Z", NULL },
    { "2026-11-24T02:45:01+2:00", NULL },
    { "2026-11-24T02:45:01Zx", NULL },
    { "2026-11-24", NULL },
    { "", NULL }
};


static void
test_times(void)
{
    bool         ok;
    char        *back;
    int64_t      ms;
    unsigned     i;
    cp_arena_t  *a;

    a = cp_arena_create(65536);

    for (i = 0; i < tap_count(times); i++) {

        ok = cp_time_parse(times[i].text, strlen(times[i].text), &ms);

        if (tap_int(ok, times[i].back != NULL, times[i].text) && ok) {
            back = cp_time_format(a, ms);
            tap_str(back, strlen(back), times[i].back, times[i].text);
        }
    }

    tap_ok(cp_time_parse("2001-09-09T01:46:40Z", 20, &ms)
           && ms == 1000000000000, "seconds since the epoch");

    cp_arena_destroy(a);
}


static void
test_arena(void)
{
    char        *p, *q;
    size_t       i, total;
    unsigned     bad;
    cp_arena_t  *a;

    a = cp_arena_create(1024 * 1024);

    for (bad = 0, total = 0; ; total += 1000) {

        p = cp_arena_alloc(a, 1000);
        if (p == NULL) {
            break;
        }

        bad += ((uintptr_t) p % 16 != 0);

        for (i = 0; i < 1000; i++) {
            bad += (p[i] != 0);
        }

        memset(p, 0xff, 1000);
        bad += cp_arena_failed(a);
    }

    tap_ok(cp_arena_alloc(a, 16) != NULL && cp_arena_failed(a),
           "a failure is remembered after a piece that fits");

    tap_int(bad, 0, "pieces are aligned and zeroed");
    tap_ok(total > 900 * 1024 && total <= 1024 * 1024,
           "an arena ends at its maximum");
    cp_arena_destroy(a);

    a = cp_arena_create(4 * 1024 * 1024);
    p = cp_arena_strdup(a, "small");
    q = cp_arena_alloc(a, 3 * 1024 * 1024);
    tap_ok(q != NULL && strcmp(p, "small") == 0, "a piece of three MiB");
    tap_ok(cp_arena_strdup(a, "again") == p + 16,
           "small pieces go on where they were");
    tap_ok(cp_arena_alloc(a, SIZE_MAX) == NULL
           && cp_arena_alloc(a, SIZE_MAX - 15) == NULL
           && cp_arena_strndup(a, "", SIZE_MAX) == NULL,
           "absurd sizes are refused");

    p = cp_arena_printf(a, "%0500d|%s", 7, "x");
    tap_int((long long) strlen(p), 502, "a long text is printed whole");
    cp_arena_destroy(a);
}


static void
test_keys(void)
{
    char        key[STOA_KEY_MAX + 1], id[STOA_ID_LEN + 1], *hex;
    uint8_t     sum[32];
    stoa_key_t  parsed;
    cp_arena_t *a;

    a = cp_arena_create(65536);

    cp_id_make(id);
    tap_ok(stoa_id_valid(id, strlen(id)), "an id is valid");

    cp_key_make(key, "live", id);
    tap_ok(stoa_key_parse(key, strlen(key), &parsed) == STOA_OK
           && memcmp(parsed.id.data, id, STOA_ID_LEN) == 0,
           "a key has its id and a good checksum");

    cp_sha256("abc", 3, sum);
    hex = cp_hex(a, sum, 32);
    tap_str(hex, strlen(hex), "ba7816bf8f01cfea414140de5dae2223"
            "b00361a396177a9cb410ff61f20015ad", "SHA-256");

    cp_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, sum);
    hex = cp_hex(a, sum, 32);
    tap_str(hex, strlen(hex), "5bdcc146bf60754e6a042426089575c7"
            "5a003f089d2739839dec58b964ec3843", "HMAC-SHA-256 (RFC 4231)");

    cp_arena_destroy(a);
}


static void
test_errors(void)
{
    int          i;
    cp_err_t     err;
    cp_arena_t  *a;

    a = cp_arena_create(65536);
    memset(&err, 0, sizeof(cp_err_t));
    err.arena = a;

    tap_int(cp_err_set(&err, "not_found", "no %s", "x"), CP_DECLINED,
            "a caller's fault");
    tap_int(err.status, 404, "its status");
    tap_str(err.detail, strlen(err.detail), "no x", "its text");
    tap_int(cp_err_set(&err, "internal", "y"), CP_ERROR, "our fault");
    tap_int(cp_err_set(NULL, "conflict", "z"), CP_DECLINED, "nobody asks");

    memset(&err, 0, sizeof(cp_err_t));
    err.arena = a;

    for (i = 0; i < CP_FAULTS_MAX + 5; i++) {
        (void) cp_err_field(&err, 0, 1, "f", "m %d", i);
    }

    tap_int(err.status, 422, "faults of fields make it a validation error");
    tap_int(err.n, CP_FAULTS_MAX, "their number is limited");

    cp_arena_destroy(a);
}


static void
test_metrics(void)
{
    cp_metric_t  *m, *h;
    stoa_buf_t    b;

    m = cp_metric(CP_METRIC_COUNTER, "x_total", "k=\"v\"", "Xs.");
    cp_metric_add(m, 2);
    tap_ok(cp_metric(CP_METRIC_COUNTER, "x_total", "k=\"v\"", "Xs.") == m,
           "the same name and labels are the same series");
    cp_metric_add(cp_metric(CP_METRIC_COUNTER, "x_total", "", "Xs."), 1);

    h = cp_metric(CP_METRIC_HISTOGRAM, "y_seconds", "", "Ys.");
    cp_metric_time(h, 100);
    cp_metric_time(h, 101);
    cp_metric_time(h, 60000000);

    stoa_buf_init(&b, 65536);
    cp_metrics_write(&b);

    tap_ok(strstr(b.data, "# HELP x_total Xs.\n# TYPE x_total counter\n"
                  "x_total{k=\"v\"} 2\nx_total 1\n") != NULL, "counters");
    tap_ok(strstr(b.data, "y_seconds_bucket{le=\"0.0001\"} 1\n"
                  "y_seconds_bucket{le=\"0.00025\"} 2\n") != NULL
           && strstr(b.data, "y_seconds_bucket{le=\"30\"} 2\n"
                     "y_seconds_bucket{le=\"+Inf\"} 3\n"
                     "y_seconds_sum 60.000201\ny_seconds_count 3\n") != NULL,
           "a histogram");

    stoa_buf_free(&b);
}


int
main(void)
{
    test_times();
    test_arena();
    test_keys();
    test_errors();
    test_metrics();

    return tap_done();
}
