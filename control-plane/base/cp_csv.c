/*
 * Cells of a CSV file.
 */

#include <string.h>

#include "base/cp_csv.h"


void
cp_csv_cell(stoa_buf_t *out, const char *s)
{
    const char  *p;

    stoa_buf_addz(out, "\"");

    if (s[0] && strchr("=+-@\t\r\n|%", s[0])) {
        stoa_buf_addz(out, "'");
    }

    for (p = s; *p; p++) {
        stoa_buf_add(out, p, 1);

        if (*p == '"') {
            stoa_buf_addz(out, "\"");
        }
    }

    stoa_buf_addz(out, "\"");
}
