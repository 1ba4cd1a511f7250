/*
 * A page of a catalogue in which something is no JSON: bad UTF-8, half a
 * surrogate, a member twice, a bare control character, too much depth.
 */

#include <string.h>

#include "core/stoa_json.h"
#include "discovery/cp_discovery.h"


#define CP_MEND_DEPTH  3               /* {"result":{"tools":[ ...          */
#define CP_MEND_MAX    64              /* of one page                       */


/* Where an item of a list is, as far as one that is no JSON can say. */
typedef struct {
    size_t    at;                      /* in it                             */
    size_t    from;                    /* SIZE_MAX: before one              */
    size_t    to;
    unsigned  depth;
    bool      list;                    /* at CP_MEND_DEPTH                  */
} cp_mend_t;


static bool
cp_mend_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}


/* The place behind a string that begins at i. */

static size_t
cp_mend_string(const char *text, size_t len, size_t i)
{
    for (i++; i < len && text[i] != '"'; i++) {
        i += (text[i] == '\\');
    }

    return (i < len) ? i + 1 : len;
}


/* The item that has the byte `at`. */

static bool
cp_mend_find(const char *text, size_t len, cp_mend_t *d)
{
    char    c;
    size_t  i;

    d->from = SIZE_MAX;
    d->depth = 0;
    d->list = false;

    for (i = 0; i < len; /* void */ ) {
        c = text[i];

        if (d->list && d->depth == CP_MEND_DEPTH && !cp_mend_blank(c)) {

            if (c == ',' || c == ']') {
                if (d->from <= d->at && d->at <= i) {
                    d->to = i;
                    return true;
                }

                d->from = SIZE_MAX;

            } else if (d->from == SIZE_MAX) {
                d->from = i;
            }
        }

        if (c == '"') {
            i = cp_mend_string(text, len, i);
            continue;
        }

        if (c == '[' || c == '{') {
            d->depth++;
            d->list = (d->depth == CP_MEND_DEPTH) ? c == '[' : d->list;

        } else if (c == ']' || c == '}') {

            if (d->depth == 0) {
                return false;
            }

            d->depth--;
        }

        i++;
    }

    return false;
}


/* What it is called, if that is plain: for people. */

static char *
cp_mend_name(cp_arena_t *a, const char *item, size_t len)
{
    size_t       i, n;
    unsigned     k;

    static const char *const  keys[] = { "\"name\"", "\"uri\"",
        "\"uriTemplate\"" };

    for (k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
        n = strlen(keys[k]);

        for (i = 0; i + n < len; i++) {
            if (memcmp(item + i, keys[k], n) == 0) {
                break;
            }
        }

        for (i += n; i < len && (cp_mend_blank(item[i]) || item[i] == ':');
             i++)
        { /* void */ }

        for (n = 1; i + n < len && item[i] == '"' && item[i + n] != '"'
                    && item[i + n] > ' ' && item[i + n] < 0x7f
                    && item[i + n] != '\\'; n++)
        { /* void */ }

        if (i + n < len && n > 1 && item[i + n] == '"') {
            return cp_arena_strndup(a, item + i + 1, n - 1);
        }
    }

    return cp_arena_strndup(a, "", 0);
}


/* With a comma, as an item less is one less. */

static void
cp_mend_remove(char *text, size_t len, const cp_mend_t *d)
{
    size_t  i;

    memset(text + d->from, ' ', d->to - d->from);

    if (d->to < len && text[d->to] == ',') {
        text[d->to] = ' ';
        return;
    }

    for (i = d->from; i > 0 && cp_mend_blank(text[i - 1]); i--) { /* void */ }

    if (i > 0 && text[i - 1] == ',') {
        text[i - 1] = ' ';
    }
}


bool
cp_mcp_mend(cp_arena_t *a, char *text, size_t len, cp_json_t *refused,
    stoa_json_val_t *root, stoa_err_t *err)
{
    unsigned    i;
    cp_mend_t   d;
    cp_json_t  *bad;

    for (i = 0; i < CP_MEND_MAX; i++) {

        if (stoa_json_check(text, len, STOA_JSON_DEPTH_MAX, root, err)
            == STOA_OK)
        {
            return true;
        }

        d.at = err->offset;

        if (!cp_mend_find(text, len, &d)) {
            break;
        }

        bad = cp_json_object(a);
        cp_json_put(a, bad, "name",
                    cp_mend_name(a, text + d.from, d.to - d.from));
        cp_json_put(a, bad, "reason",
                    cp_arena_printf(a, "it %s", err->text));
        cp_json_push(refused, bad);

        cp_mend_remove(text, len, &d);
    }

    return false;
}
