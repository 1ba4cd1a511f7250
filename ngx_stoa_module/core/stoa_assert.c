/*
 * The end of a process that cannot go on.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stoa_assert.h"


void
stoa_assert_failed(const char *what, const char *file, int line)
{
    int   n;
    char  text[512];

    n = snprintf(text, sizeof(text), "stoa: assertion failed: %s (%s:%d)\n",
                 what, file, line);

    /* no stdio: it may be in the middle of something */

    if (n > 0 && write(STDERR_FILENO, text, strnlen(text, sizeof(text))) < 0) {
        /* nothing is left to be done about that */
    }

    abort();
}
