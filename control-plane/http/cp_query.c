/*
 * Query parameters.
 */

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "http/cp_call.h"
#include "http/cp_query.h"


cp_rc_t
cp_query_known(cp_req_t *r)
{
    size_t       len, n;
    unsigned     i;
    const char  *name, *p;

    for (i = 0; r->call && i < r->call->nquery; i++) {
        name = r->call->query[i][0];
        len = strlen(name);
        p = r->route->query ? r->route->query : "";

        if (strcmp(p, CP_QUERY_OWN) == 0) {
            return CP_OK;
        }

        for ( /* void */ ; *p; p += n, p += strspn(p, " ")) {
            n = strcspn(p, " ");

            if (n == len && memcmp(p, name, n) == 0) {
                break;
            }
        }

        if (*p == '\0') {
            return cp_err_set(&r->op.err, "bad_request",
                              "the query parameter \"%.64s\" is not known",
                              name);
        }
    }

    return CP_OK;
}


cp_rc_t
cp_query_int(cp_req_t *r, const char *name, int64_t min, int64_t max,
    int64_t *value)
{
    char        *end;
    int64_t      n;
    const char  *s;

    s = cp_req_query(r, name);
    if (s == NULL) {
        return CP_OK;
    }

    n = 0;
    end = NULL;

    if (s[0] >= '0' && s[0] <= '9' && strlen(s) <= 18) {
        n = strtoll(s, &end, 10);
    }

    if (end == NULL || *end != '\0' || n < min || n > max) {
        return cp_query_fault(r, name, "must be an integer from %" PRId64
                              " to %" PRId64, min, max);
    }

    *value = n;

    return CP_OK;
}


cp_rc_t
cp_query_flag(cp_req_t *r, const char *name, bool *value)
{
    const char  *s;

    s = cp_req_query(r, name);

    if (s == NULL) {
        return CP_OK;
    }

    *value = strcmp(s, "1") == 0 || strcmp(s, "true") == 0;

    return *value || strcmp(s, "0") == 0 || strcmp(s, "false") == 0
           ? CP_OK : cp_query_fault(r, name, "must be 1 or 0");
}


/* The field first: alone it would make a validation error of it. */
cp_rc_t
cp_query_fault(cp_req_t *r, const char *name, const char *fmt, ...)
{
    char     text[STOA_ERR_TEXT_MAX];
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    (void) cp_err_field(&r->op.err, -1, 0, name, "%s", text);

    return cp_err_set(&r->op.err, "bad_request", "%s %s", name, text);
}
