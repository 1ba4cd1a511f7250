/*
 * Templates: one way through each.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stoa_policy.h"
#include "stoa_template.h"


static const struct {
    const char   *name;
    stoa_part_e   part;
    char          more;                  /* what a name goes on with         */
} template_names[] = {
    { "request_id", STOA_PART_REQUEST_ID, 0 },
    { "client_address", STOA_PART_CLIENT_ADDRESS, 0 },
    { "tenant", STOA_PART_TENANT, 0 },
    { "application", STOA_PART_APPLICATION, 0 },
    { "subscription", STOA_PART_SUBSCRIPTION, 0 },
    { "plan", STOA_PART_PLAN, 0 },
    { "api", STOA_PART_API, 0 },
    { "method", STOA_PART_METHOD, 0 },
    { "path", STOA_PART_PATH, 0 },
    { "query", STOA_PART_QUERY, '.' },
    { "header", STOA_PART_HEADER, '.' },
    { "body", STOA_PART_BODY, '/' },
};


static const char *template_name(const char *s, size_t len,
    stoa_template_var_t *var);
static const char *template_next(const char *s, const char *end,
    const char **close, stoa_template_var_t *var);
static const char *template_wrong(const char *s, size_t len);
static const char *template_walk(const stoa_json_val_t *val, char *place,
    size_t size, size_t at);
static bool template_value(stoa_template_t *t,
    const stoa_json_val_t *val, stoa_buf_t *out);
static bool template_string(stoa_template_t *t,
    const stoa_json_val_t *val, stoa_buf_t *out);
static bool template_body(stoa_template_t *t, stoa_str_t pointer,
    stoa_buf_t *out, stoa_json_val_t *at);
static bool template_at(const stoa_json_val_t *body, stoa_str_t pointer,
    stoa_json_val_t *at);
static void template_part(stoa_template_t *t,
    const stoa_template_var_t *var, stoa_buf_t *out);
static size_t template_plain(const char *s, size_t len);
static void template_put(stoa_template_t *t, const char *s, size_t len,
    bool given, stoa_buf_t *out);


/* ---- what it says ------------------------------------------------------- */

/* NULL: it is one. */

static const char *
template_name(const char *s, size_t len, stoa_template_var_t *var)
{
    size_t  i, n;

    for (i = 0; i < sizeof(template_names) / sizeof(template_names[0]); i++) {
        n = strlen(template_names[i].name);

        if (len < n || memcmp(s, template_names[i].name, n) != 0
            || (len > n && s[n] != template_names[i].more))
        {
            continue;
        }

        var->part = template_names[i].part;
        var->name.data = s + n + (var->part != STOA_PART_BODY && len > n);
        var->name.len = len - (size_t) (var->name.data - s);

        if (var->part == STOA_PART_HEADER
            && !stoa_policy_header_valid(var->name.data, var->name.len))
        {
            return "names a header that templates may not read";
        }

        return var->part == STOA_PART_QUERY && var->name.len == 0
               ? "must name a parameter: ${query.NAME}" : NULL;
    }

    return "has an unknown variable";
}


/* The next "${name}"; NULL: there is none.  *close NULL: it is none that is
 * known, or has no end. */

static const char *
template_next(const char *s, const char *end, const char **close,
    stoa_template_var_t *var)
{
    const char  *p;

    for (p = s; p + 1 < end; p++) {
        if (p[0] == '$' && p[1] == '{') {
            *close = memchr(p, '}', (size_t) (end - p));

            if (*close
                && template_name(p + 2, (size_t) (*close - p) - 2, var))
            {
                *close = NULL;
            }

            return p;
        }
    }

    return NULL;
}


static const char *
template_wrong(const char *s, size_t len)
{
    const char           *p, *end, *close, *wrong;
    stoa_template_var_t   var;

    end = s + len;

    while (s < end && (p = template_next(s, end, &close, &var)) != NULL) {
        if (close == NULL) {
            close = memchr(p, '}', (size_t) (end - p));

            wrong = close ? template_name(p + 2, (size_t) (close - p) - 2,
                                          &var)
                          : "must have a } for each ${";
            return wrong ? wrong : "has an unknown variable";
        }

        s = close + 1;
    }

    return NULL;
}


bool
stoa_template_valid(const char *s, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if ((unsigned char) s[i] < 0x20 || s[i] == 0x7f) {
            return false;
        }
    }

    return template_wrong(s, len) == NULL;
}


bool
stoa_template_reads_body(const char *s, size_t len)
{
    const char           *p, *end, *close;
    stoa_template_var_t   var;

    end = s + len;

    while (s < end && (p = template_next(s, end, &close, &var)) != NULL) {
        if (close && var.part == STOA_PART_BODY) {
            return true;
        }

        s = p + 2;
    }

    return false;
}


const char *
stoa_template_json_wrong(const char *json, size_t len, char *place,
    size_t size)
{
    stoa_json_val_t  root;

    place[0] = '\0';

    if (stoa_json_check(json, len, STOA_TEMPLATE_DEPTH, &root, NULL)
        != STOA_OK)
    {
        return "is no JSON, or nested too deeply";
    }

    return template_walk(&root, place, size, 0);
}


static const char *
template_walk(const stoa_json_val_t *val, char *place, size_t size, size_t at)
{
    int               n;
    bool              more;
    unsigned          i;
    const char       *wrong;
    stoa_json_val_t   key, v;
    stoa_json_iter_t  it;

    if (val->type == STOA_JSON_STRING) {
        return template_wrong(val->start + 1,
                              (size_t) (val->end - val->start) - 2);
    }

    if (val->type != STOA_JSON_OBJECT && val->type != STOA_JSON_ARRAY) {
        return NULL;
    }

    for (more = stoa_json_first(val, &it, &key, &v), i = 0;
         more;
         more = stoa_json_next(&it, &key, &v), i++)
    {
        n = val->type == STOA_JSON_ARRAY
            ? snprintf(place + at, size - at, "[%u]", i)
            : snprintf(place + at, size - at, ".%.*s",
                       (int) (key.end - key.start) - 2, key.start + 1);

        wrong = template_walk(&v, place, size,
                              n > 0 && at + (size_t) n < size
                              ? at + (size_t) n : at);
        if (wrong) {
            return wrong;
        }
    }

    place[at] = '\0';

    return NULL;
}


/* ---- what it makes ------------------------------------------------------ */

void
stoa_template_text(stoa_template_t *t, const char *s, size_t len,
    stoa_buf_t *out)
{
    const char           *p, *end, *close;
    stoa_template_var_t   var;

    end = s + len;

    while (s < end && out->rc == STOA_OK
           && (p = template_next(s, end, &close, &var)) != NULL && close)
    {
        template_put(t, s, (size_t) (p - s), false, out);
        template_part(t, &var, out);
        s = close + 1;
    }

    template_put(t, s, (size_t) (end - s), false, out);
}


void
stoa_template_json(stoa_template_t *t, const char *json, size_t len,
    stoa_buf_t *out)
{
    stoa_json_val_t  root;

    if (stoa_json_check(json, len, STOA_TEMPLATE_DEPTH, &root, NULL)
        != STOA_OK || !template_value(t, &root, out))
    {
        stoa_buf_addz(out, "null");
    }
}


/* false: it has none, and nothing was written. */

static bool
template_value(stoa_template_t *t, const stoa_json_val_t *val,
    stoa_buf_t *out)
{
    bool              more, some, object;
    size_t            was;
    stoa_json_val_t   key, v;
    stoa_json_iter_t  it;

    if (val->type == STOA_JSON_STRING) {
        return template_string(t, val, out);
    }

    object = val->type == STOA_JSON_OBJECT;

    if (!object && val->type != STOA_JSON_ARRAY) {
        stoa_buf_add(out, val->start, (size_t) (val->end - val->start));
        return true;
    }

    stoa_buf_add(out, object ? "{" : "[", 1);
    some = false;

    for (more = stoa_json_first(val, &it, &key, &v);
         more && out->rc == STOA_OK;
         more = stoa_json_next(&it, &key, &v))
    {
        was = out->len;

        if (some) {
            stoa_buf_add(out, ",", 1);
        }

        if (object) {
            stoa_buf_add(out, key.start, (size_t) (key.end - key.start));
            stoa_buf_add(out, ":", 1);
        }

        if (template_value(t, &v, out)) {
            some = true;

        } else {
            out->len = was;
        }
    }

    stoa_buf_add(out, object ? "}" : "]", 1);

    return true;
}


static bool
template_string(stoa_template_t *t, const stoa_json_val_t *val,
    stoa_buf_t *out)
{
    const char           *s, *end, *close, *p;
    stoa_str_t            text;
    stoa_json_val_t       at;
    stoa_template_var_t   var;

    s = val->start + 1;
    end = val->end - 1;
    p = template_next(s, end, &close, &var);

    if (p == NULL) {
        stoa_buf_add(out, val->start, (size_t) (val->end - val->start));
        return true;
    }

    if (p == s && close && close + 1 == end) {

        if (var.part == STOA_PART_BODY) {
            if (!template_body(t, var.name, out, &at)) {
                return false;
            }

            stoa_buf_add(out, at.start, (size_t) (at.end - at.start));
            return true;
        }

        if (!t->get(t->ctx, &var, &text)) {
            return false;
        }
    }

    stoa_buf_add(out, "\"", 1);
    stoa_template_text(t, s, (size_t) (end - s), out);
    stoa_buf_add(out, "\"", 1);

    return true;
}


/* What it looks through is bounded, as each of many names may be its last. */

static bool
template_body(stoa_template_t *t, stoa_str_t pointer, stoa_buf_t *out,
    stoa_json_val_t *at)
{
    bool    found;
    size_t  len;

    if (t->body == NULL || out->rc != STOA_OK) {
        return false;
    }

    found = template_at(t->body, pointer, at);
    len = (size_t) ((found ? at->end : t->body->end) - t->body->start);
    len = pointer.len ? len : 0;

    if (len > STOA_TEMPLATE_LOOK - t->looked) {
        out->rc = STOA_FULL;
        return false;
    }

    t->looked += len;

    return found;
}


/* RFC 6901; "": all of it. */

static bool
template_at(const stoa_json_val_t *body, stoa_str_t pointer,
    stoa_json_val_t *at)
{
    bool              more;
    char              name[256];
    size_t            n;
    unsigned long     i;
    const char       *p, *end;
    stoa_json_val_t   in;
    stoa_json_iter_t  it;

    *at = *body;
    p = pointer.data;
    end = p + pointer.len;

    while (p < end) {
        p++;

        for (n = 0; p < end && *p != '/' && n < sizeof(name) - 1; p++) {
            name[n] = *p;

            if (*p == '~' && end - p > 1 && (p[1] == '0' || p[1] == '1')) {
                name[n] = *++p == '0' ? '~' : '/';
            }

            n++;
        }

        name[n] = '\0';
        in = *at;

        if (in.type == STOA_JSON_OBJECT) {
            if (!stoa_json_get(&in, name, at)) {
                return false;
            }

            continue;
        }

        if (in.type != STOA_JSON_ARRAY || n == 0 || n > 6
            || strspn(name, "0123456789") != n)
        {
            return false;
        }

        i = strtoul(name, NULL, 10);

        for (more = stoa_json_first(&in, &it, NULL, at); more && i; i--) {
            more = stoa_json_next(&it, NULL, at);
        }

        if (!more) {
            return false;
        }
    }

    return true;
}


/* Of the body a scalar; its escapes are undone a piece at a time. */

static void
template_part(stoa_template_t *t, const stoa_template_var_t *var,
    stoa_buf_t *out)
{
    char             *text;
    stoa_str_t        s;
    stoa_buf_t        b;
    stoa_json_val_t   at;

    if (var->part != STOA_PART_BODY) {
        if (t->get(t->ctx, var, &s)) {
            template_put(t, s.data, s.len, true, out);
        }

        return;
    }

    if (!template_body(t, var->name, out, &at)
        || at.type == STOA_JSON_OBJECT || at.type == STOA_JSON_ARRAY
        || at.type == STOA_JSON_NULL)
    {
        return;
    }

    s.data = at.start;
    s.len = (size_t) (at.end - at.start);

    if (at.type != STOA_JSON_STRING) {
        template_put(t, s.data, s.len, true, out);
        return;
    }

    stoa_buf_init(&b, s.len + 1);

    if (stoa_buf_reserve(&b, s.len + 1) == STOA_OK) {
        text = b.data;
        template_put(t, text, stoa_json_unescape(&at, text), true, out);

    } else {
        out->rc = STOA_ERROR;
    }

    stoa_buf_free(&b);
}


/* What needs no escape. */

static size_t
template_plain(const char *s, size_t len)
{
    size_t  i;

    for (i = 0; i < len && s[i] >= 0x20 && s[i] < 0x7f && s[i] != '"'
         && s[i] != '\\'; i++)
    { /* void */ }

    return i;
}


/* given: not of the template, whose own text is as it has to be. */

static void
template_put(stoa_template_t *t, const char *s, size_t len, bool given,
    stoa_buf_t *out)
{
    char    c;
    size_t  i, n, was;

    static const char  hex[] = "0123456789ABCDEF";

    if (!given && t->in != STOA_TEMPLATE_IN_QUERY) {
        stoa_buf_add(out, s, len);
        return;
    }

    for (i = 0; i < len && out->rc == STOA_OK; i += n) {
        c = s[i];
        n = 1;

        if (t->in == STOA_TEMPLATE_IN_JSON) {
            n = template_plain(s + i, len - i);

            if (n) {
                stoa_buf_add(out, s + i, n);
                continue;
            }

            n = (c & 0x80) ? stoa_utf8_char(s + i, s + len) : 1;
            was = out->len;

            if (n == 0) {
                n = 1;
                stoa_buf_add(out, "?", 1);

            } else {
                stoa_buf_add_json(out, s + i, n);

                /* without its quotes */

                if (out->rc == STOA_OK) {
                    memmove(out->data + was, out->data + was + 1,
                            out->len - was - 2);
                    out->len -= 2;
                }
            }

        } else if (t->in == STOA_TEMPLATE_IN_HEADER) {
            c = (unsigned char) c < 0x20 || c == 0x7f ? ' ' : c;
            stoa_buf_add(out, &c, 1);

        } else if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')
                   || (c >= 'a' && c <= 'z') || (c && strchr("-._~", c)))
        {
            stoa_buf_add(out, &c, 1);

        } else {
            stoa_buf_add(out, "%", 1);
            stoa_buf_add(out, &hex[(unsigned char) c >> 4], 1);
            stoa_buf_add(out, &hex[c & 15], 1);
        }
    }
}
