/* Tests for the framing and the words of gRPC. */

#include <string.h>

#include "stoa_grpc.h"
#include "tap.h"


static const struct {
    const char  *bytes;
    size_t       len;
    uint64_t     max;
    stoa_rc_t    rc;
    const char  *what;
} bodies[] = {
    { "", 0, 1, STOA_OK, "nothing" },
    { "\0\0\0\0\3abc\0\0\0\0\0", 13, 3, STOA_OK, "two messages" },
    { "\1\0\0\0\3abc\1\0\0\0\1x", 14, 3, STOA_OK, "compressed ones" },
    { "\0\0\0\0\4abcd", 9, 3, STOA_FULL, "one that is longer" },
    { "\0\0\0\0\4abcd", 9, 0, STOA_OK, "no maximum" },
    { "\0\0\0\0\1x\0\0\0\1\0", 11, 255, STOA_FULL, "the second one" },
    { "\0\377\377\377\377", 5, 4294967294u, STOA_FULL, "the longest" },
    { "\0\377\377\377\377", 5, 4294967295u, STOA_OK, "that may be" },
    { "\2\0\0\0\0", 5, 9, STOA_DECLINED, "a flag of nobody" },
    { "\0\0\0\0\1x\200\0\0\0\0", 11, 9, STOA_DECLINED, "in the second one" },
    { "\0\0\0\0", 4, 1, STOA_OK, "part of a prefix" },
};

static const struct {
    const char  *value;
    int64_t      ms;
} timeouts[] = {
    { "1H", 3600000 }, { "2M", 120000 }, { "3S", 3000 }, { "250m", 250 },
    { "1500u", 1 }, { "1n", 1 }, { "0m", 1 },
    { "99999999H", INT64_C(359999996400000) },
    { "999999999H", -1 }, { "H", -1 }, { "", -1 }, { "1", -1 }, { "-1S", -1 },
    { "1 S", -1 }, { "1s", -1 }, { "1.5S", -1 },
};

static const struct {
    const char  *value;
    int          status;
} statuses[] = {
    { "0", 0 }, { "14", 14 }, { "16", 16 }, { "99", 99 }, { "", -1 },
    { "00", -1 }, { "-1", -1 }, { "100", -1 }, { "1x", -1 }, { "OK", -1 },
};


/* At once, and in any two pieces, and byte by byte. */

static void
test_body(size_t i)
{
    size_t       k, n;
    stoa_rc_t    rc;
    stoa_grpc_t  g;

    for (k = 0; k <= bodies[i].len; k++) {
        memset(&g, 0, sizeof(stoa_grpc_t));

        rc = stoa_grpc_feed(&g, bodies[i].bytes, k, bodies[i].max);

        if (rc == STOA_OK) {
            rc = stoa_grpc_feed(&g, bodies[i].bytes + k, bodies[i].len - k,
                                bodies[i].max);
        }

        if (rc != bodies[i].rc) {
            break;
        }
    }

    memset(&g, 0, sizeof(stoa_grpc_t));
    rc = STOA_OK;

    for (n = 0; n < bodies[i].len && rc == STOA_OK; n++) {
        rc = stoa_grpc_feed(&g, bodies[i].bytes + n, 1, bodies[i].max);
    }

    tap_ok(k > bodies[i].len && rc == bodies[i].rc, bodies[i].what);
}


int
main(void)
{
    char      text[64];
    size_t    i, n;
    uint64_t  ms;

    for (i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        test_body(i);
    }

    for (i = 0; i < sizeof(timeouts) / sizeof(timeouts[0]); i++) {
        ms = 0;
        tap_int(stoa_grpc_timeout(timeouts[i].value,
                                  strlen(timeouts[i].value), &ms)
                ? (int64_t) ms : -1, timeouts[i].ms, timeouts[i].value);
    }

    for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        tap_int(stoa_grpc_status(statuses[i].value,
                                 strlen(statuses[i].value)),
                statuses[i].status, statuses[i].value);
    }

    tap_int(stoa_grpc_to_http(0), 200, "0 is 200");
    tap_int(stoa_grpc_to_http(16), 401, "16 is 401");
    tap_int(stoa_grpc_to_http(17), 500, "what is not known is 500");
    tap_int(stoa_grpc_of_http(429), 8, "429 is 8");
    tap_int(stoa_grpc_of_http(418), 2, "what is not known is 2");

    n = stoa_grpc_message(text, "a %\r\n\xc3\xbc~", 8);
    tap_ok(n == 18 && memcmp(text, "a %25%0D%0A%C3%BC~", 18) == 0,
           "a message is escaped");

    return tap_done();
}
