/*
 * The Test Anything Protocol for unit tests in C: ok lines as they come, the
 * plan at the end.  main() ends with "return tap_done();".
 */

#ifndef STOA_TAP_H
#define STOA_TAP_H


#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>


#define tap_count(a)  (sizeof(a) / sizeof((a)[0]))

static unsigned  tap_run, tap_failed;


__attribute__((format(printf, 2, 3))) static inline bool
tap_ok(bool ok, const char *fmt, ...)
{
    va_list  args;

    printf("%sok %u - ", ok ? "" : "not ", ++tap_run);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    printf("\n");

    tap_failed += !ok;

    return ok;
}


static inline bool
tap_int(long long got, long long want, const char *what)
{
    if (!tap_ok(got == want, "%s", what)) {
        printf("# got %lld, expected %lld\n", got, want);
    }

    return got == want;
}


static inline bool
tap_str(const char *got, size_t len, const char *want, const char *what)
{
    bool  ok;

    ok = (len == strlen(want) && memcmp(got, want, len) == 0);

    if (!tap_ok(ok, "%s", what)) {
        printf("# got \"%.*s\", expected \"%s\"\n", (int) len, got, want);
    }

    return ok;
}


static inline int
tap_done(void)
{
    printf("1..%u\n", tap_run);

    return tap_failed ? 1 : 0;
}


#endif /* STOA_TAP_H */
