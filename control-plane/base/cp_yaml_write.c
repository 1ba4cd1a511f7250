/*
 * Writing YAML: block style, one member per line.
 *
 * A text is left plain only if no reader, of YAML 1.1 or 1.2, could take it
 * for anything else; texts of several lines become literal blocks where that
 * loses nothing; everything else is double quoted.
 */

#include <string.h>
#include <strings.h>

#include "base/cp_json.h"


#define CP_YAML_KEY_MAX  512       /* longer ones need the "? " form        */


static void cp_yaml_value(stoa_buf_t *b, const cp_json_t *v, unsigned indent,
    bool member);


static void
cp_yaml_indent(stoa_buf_t *b, unsigned n)
{
    while (n-- > 0) {
        stoa_buf_add(b, " ", 1);
    }
}


/* Words that some reader takes for a boolean, a null or a number. */

static bool
cp_yaml_reserved(const char *s)
{
    unsigned  i;

    static const char *const  words[] = {
        "null", "true", "false", "yes", "no", "on", "off", "y", "n", NULL
    };

    for (i = 0; words[i] != NULL; i++) {
        if (strcasecmp(s, words[i]) == 0) {
            return true;
        }
    }

    return false;
}


static bool
cp_yaml_is_plain(const char *s, size_t len)
{
    size_t  i;

    static const char  inner[] = "abcdefghijklmnopqrstuvwxyz"
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                 "0123456789_-./ ()+@";

    if (len == 0 || len > 200 || cp_yaml_reserved(s)) {
        return false;
    }

    /* numbers, times, paths with dots: a letter or a slash must come first */

    if (!((s[0] >= 'a' && s[0] <= 'z') || (s[0] >= 'A' && s[0] <= 'Z')
          || s[0] == '/' || s[0] == '_'))
    {
        return false;
    }

    for (i = 0; i < len; i++) {

        if (strchr(inner, s[i]) != NULL) {
            continue;
        }

        /* "http://x:80" is plain; ": " and a colon at the end are not */

        if (s[i] == ':' && i + 1 < len && s[i + 1] != ' ') {
            continue;
        }

        return false;
    }

    return s[len - 1] != ' ';
}


/* The code point at s, its length in *n; texts are valid UTF-8. */

static unsigned
cp_yaml_point(const unsigned char *s, unsigned *n)
{
    if (s[0] < 0x80) {
        *n = 1;
        return s[0];
    }

    if (s[0] < 0xe0) {
        *n = 2;
        return (s[0] & 0x1fu) << 6 | (s[1] & 0x3fu);
    }

    if (s[0] < 0xf0) {
        *n = 3;
        return (s[0] & 0x0fu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
    }

    *n = 4;

    return (s[0] & 0x07u) << 18 | (s[1] & 0x3fu) << 12
           | (s[2] & 0x3fu) << 6 | (s[3] & 0x3fu);
}


/* May it stand in a document as it is, on one line? */

static bool
cp_yaml_printable(unsigned c)
{
    return (c >= 0x20 && c < 0x7f)
           || (c >= 0xa0 && c < 0xfffe && c != 0x2028 && c != 0x2029
               && c != 0xfeff)
           || (c >= 0x10000 && c <= 0x10ffff);
}


static void
cp_yaml_quoted(stoa_buf_t *b, const char *s, size_t len)
{
    size_t                i;
    unsigned              c, n;
    const unsigned char  *p = (const unsigned char *) s;

    stoa_buf_addz(b, "\"");

    for (i = 0; i < len; i += n) {

        c = cp_yaml_point(p + i, &n);

        if (c == '"' || c == '\\') {
            stoa_buf_addf(b, "\\%c", (int) c);

        } else if (c == '\n') {
            stoa_buf_addz(b, "\\n");

        } else if (c == '\t') {
            stoa_buf_addz(b, "\\t");

        } else if (cp_yaml_printable(c)) {
            stoa_buf_add(b, s + i, n);

        } else {
            stoa_buf_addf(b, "\\u%04X", c);
        }
    }

    stoa_buf_addz(b, "\"");
}


/* A literal block keeps it: no line begins with white space, which would be
 * taken for indentation, and nothing needs an escape. */

static bool
cp_yaml_is_block(const char *s, size_t len)
{
    size_t    i;
    unsigned  c, n;
    bool      start;

    if (memchr(s, '\n', len) == NULL || s[0] == '\n') {
        return false;
    }

    for (start = true, i = 0; i < len; i += n) {

        c = cp_yaml_point((const unsigned char *) s + i, &n);

        if (start && (c == ' ' || c == '\t') && i == 0) {
            return false;
        }

        if (c != '\n' && c != '\t' && !cp_yaml_printable(c)) {
            return false;
        }

        if (start && c == '\t') {
            return false;
        }

        start = (c == '\n');
    }

    return true;
}


static void
cp_yaml_block(stoa_buf_t *b, const char *s, size_t len, unsigned indent)
{
    const char  *p, *lf, *end;

    end = s + len;

    stoa_buf_addz(b, (end[-1] != '\n') ? "|-\n"
                     : (len > 1 && end[-2] == '\n') ? "|+\n" : "|\n");

    for (p = s; p < end; p = lf + 1) {

        lf = memchr(p, '\n', (size_t) (end - p));

        if (lf == NULL) {
            lf = end;
        }

        if (lf > p) {
            cp_yaml_indent(b, indent);
            stoa_buf_add(b, p, (size_t) (lf - p));
        }

        stoa_buf_addz(b, "\n");
    }
}


/* What fits behind "key: " or "- " on the same line, or a block below. */

static void
cp_yaml_scalar(stoa_buf_t *b, const cp_json_t *v, unsigned indent)
{
    if (v->type != CP_JSON_STRING) {
        cp_json_write(b, v);       /* null, true, 1, 1.5, {} and []         */
        stoa_buf_addz(b, "\n");
        return;
    }

    if (cp_yaml_is_plain(v->s, v->len)) {
        stoa_buf_add(b, v->s, v->len);

    } else if (indent > 0 && cp_yaml_is_block(v->s, v->len)) {
        cp_yaml_block(b, v->s, v->len, indent);
        return;

    } else {
        cp_yaml_quoted(b, v->s, v->len);
    }

    stoa_buf_addz(b, "\n");
}


static bool
cp_yaml_is_nested(const cp_json_t *v)
{
    return (v->type == CP_JSON_OBJECT || v->type == CP_JSON_ARRAY)
           && v->n > 0;
}


static void
cp_yaml_key(stoa_buf_t *b, const cp_json_t *v, unsigned indent)
{
    size_t  len;

    len = strlen(v->key);

    if (cp_yaml_is_plain(v->key, len)) {
        stoa_buf_add(b, v->key, len);

    } else if (len <= CP_YAML_KEY_MAX) {
        cp_yaml_quoted(b, v->key, len);

    } else {
        stoa_buf_addz(b, "? ");
        cp_yaml_quoted(b, v->key, len);
        stoa_buf_addz(b, "\n");
        cp_yaml_indent(b, indent);
    }

    stoa_buf_addz(b, ":");
}


/* Members and items, the first one where the caller has put the cursor. */

static void
cp_yaml_children(stoa_buf_t *b, const cp_json_t *v, unsigned indent)
{
    const cp_json_t  *p;

    for (p = v->first; p != NULL; p = p->next) {

        if (p != v->first) {
            cp_yaml_indent(b, indent);
        }

        if (v->type == CP_JSON_ARRAY) {
            stoa_buf_addz(b, "- ");
            cp_yaml_value(b, p, indent + 2, false);

        } else {
            cp_yaml_key(b, p, indent);
            cp_yaml_value(b, p, indent + 2, true);
        }
    }
}


/* member: behind a "key:", else behind a "- ". */

static void
cp_yaml_value(stoa_buf_t *b, const cp_json_t *v, unsigned indent, bool member)
{
    if (!cp_yaml_is_nested(v)) {
        stoa_buf_addz(b, member ? " " : "");
        cp_yaml_scalar(b, v, indent);
        return;
    }

    if (member) {
        stoa_buf_addz(b, "\n");
        cp_yaml_indent(b, indent);
    }

    cp_yaml_children(b, v, indent);
}


void
cp_yaml_write(stoa_buf_t *b, const cp_json_t *v, unsigned indent)
{
    if (cp_yaml_is_nested(v)) {
        cp_yaml_indent(b, indent);
        cp_yaml_children(b, v, indent);
        return;
    }

    cp_yaml_indent(b, indent);
    cp_yaml_scalar(b, v, indent);
}
