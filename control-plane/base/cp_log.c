/*
 * The log: one line per event on stderr, written by one write() so that lines
 * of several threads do not mix.
 */

#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/stoa_json.h"
#include "base/cp_json_gen.h"
#include "base/cp_log.h"


#define CP_LOG_LINE_MAX  4096
#define CP_LOG_OWN       4         /* time, level, area, message            */


static atomic_int          cp_log_level = CP_LOG_INFO;
static atomic_bool         cp_log_json;
static const char *const   cp_log_names[] = { "debug", "info", "warn",
                                              "error" };


void
cp_log_setup(cp_log_level_e level, bool json)
{
    atomic_store(&cp_log_level, (int) level);
    atomic_store(&cp_log_json, json);
}


bool
cp_log_level_find(const char *name, cp_log_level_e *level)
{
    unsigned  i;

    for (i = 0; i < sizeof(cp_log_names) / sizeof(cp_log_names[0]); i++) {

        if (strcmp(cp_log_names[i], name) == 0) {
            *level = (cp_log_level_e) i;
            return true;
        }
    }

    return false;
}


static void
cp_log_time(char dst[32])
{
    size_t           n;
    struct tm        tm;
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);
    (void) gmtime_r(&ts.tv_sec, &tm);

    n = strftime(dst, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    (void) snprintf(dst + n, 32 - n, ".%03dZ", (int) (ts.tv_nsec / 1000000));
}


/* What comes from outside must not start a line of its own, and the JSON
 * form must stay JSON whatever the bytes are. */

static void
cp_log_text(stoa_buf_t *b, const char *s)
{
    const unsigned char  *p;

    for (p = (const unsigned char *) s; *p != '\0'; p++) {
        stoa_buf_add(b, (*p < 0x20 || *p == 0x7f) ? " " : (const char *) p,
                     1);
    }
}


static void
cp_log_line(stoa_buf_t *b, const cp_log_field_t *f, unsigned n)
{
    unsigned  i;

    for (i = 0; i < n; i++) {
        stoa_buf_addz(b, (i > 0) ? " " : "");

        if (i >= CP_LOG_OWN) {
            stoa_buf_addz(b, f[i].name);
            stoa_buf_addz(b, ":");
        }

        cp_log_text(b, f[i].value);
    }
}


static void
cp_log_object(stoa_buf_t *b, const cp_log_field_t *f, unsigned n)
{
    size_t       len;
    unsigned     i;
    yajl_gen     g;
    const char  *s;

    g = cp_json_gen(b);

    if (g == NULL) {
        b->rc = STOA_ERROR;
        return;
    }

    (void) yajl_gen_map_open(g);

    for (i = 0; i < n; i++) {
        s = f[i].value;
        len = strlen(s);
        s = stoa_utf8_valid(s, len) ? s : "(no UTF-8)";

        (void) cp_json_gen_text(g, f[i].name, strlen(f[i].name));

        if (f[i].number) {
            (void) yajl_gen_number(g, s, len);

        } else {
            (void) cp_json_gen_text(g, s, strlen(s));
        }
    }

    (void) yajl_gen_map_close(g);
    yajl_gen_free(g);
}


void
cp_log_fields(cp_log_level_e level, const char *area, const char *text,
    const cp_log_field_t *fields, unsigned n)
{
    char            when[32];
    ssize_t         rc;
    stoa_buf_t      b;
    cp_log_field_t  all[CP_LOG_OWN + CP_LOG_FIELDS_MAX] = {
        { "time", when, false },
        { "level", cp_log_names[level], false },
        { "area", area, false },
        { "message", text, false }
    };

    if ((int) level < atomic_load(&cp_log_level)) {
        return;
    }

    cp_log_time(when);

    n = (n < CP_LOG_FIELDS_MAX) ? n : CP_LOG_FIELDS_MAX;

    if (n > 0) {
        memcpy(all + CP_LOG_OWN, fields, n * sizeof(cp_log_field_t));
    }

    stoa_buf_init(&b, 8 * CP_LOG_LINE_MAX);

    if (atomic_load(&cp_log_json)) {
        cp_log_object(&b, all, CP_LOG_OWN + n);

    } else {
        cp_log_line(&b, all, CP_LOG_OWN + n);
    }

    stoa_buf_addz(&b, "\n");

    if (b.rc == STOA_OK) {

        /* nobody is left to be told when stderr is gone */

        rc = write(STDERR_FILENO, b.data, b.len);
        (void) rc;
    }

    stoa_buf_free(&b);
}


void
cp_log(cp_log_level_e level, const char *area, const char *fmt, ...)
{
    int      n;
    char     text[CP_LOG_LINE_MAX];
    va_list  args;

    if ((int) level < atomic_load(&cp_log_level)) {
        return;
    }

    va_start(args, fmt);
    n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    if (n < 0) {
        return;
    }

    if ((size_t) n >= sizeof(text)) {

        /* cut at a whole UTF-8 character */

        n = sizeof(text) - 1;

        while (n > 0 && ((unsigned char) text[n - 1] & 0xc0) == 0x80) {
            n--;
        }

        if (n > 0 && ((unsigned char) text[n - 1] & 0x80)) {
            n--;
        }

        text[n] = '\0';
    }

    cp_log_fields(level, area, text, NULL, 0);
}
