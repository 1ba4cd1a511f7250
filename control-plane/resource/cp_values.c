/*
 * The types of fields, one function each.
 */

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <strings.h>

#include "core/stoa_addr.h"
#include "resource/cp_values.h"


#define CP_CHOICE_MAX  256


static cp_rc_t cp_value_string(cp_value_t *c);
static cp_rc_t cp_value_label(cp_value_t *c);
static cp_rc_t cp_value_text(cp_value_t *c);
static cp_rc_t cp_value_name(cp_value_t *c);
static cp_rc_t cp_value_int(cp_value_t *c);
static cp_rc_t cp_value_enum(cp_value_t *c);
static cp_rc_t cp_value_time(cp_value_t *c);
static cp_rc_t cp_value_url(cp_value_t *c);
static cp_rc_t cp_value_host(cp_value_t *c);
static cp_rc_t cp_value_base_path(cp_value_t *c);
static cp_rc_t cp_value_url_path(cp_value_t *c);
static cp_rc_t cp_value_cidr(cp_value_t *c);
static cp_rc_t cp_value_ref(cp_value_t *c);
static cp_rc_t cp_value_json(cp_value_t *c);
static cp_rc_t cp_value_method(cp_value_t *c);
static cp_rc_t cp_value_template(cp_value_t *c);
static cp_rc_t cp_value_tool_name(cp_value_t *c);
static cp_rc_t cp_value_env(cp_value_t *c);
static bool cp_host_valid(const char *s, size_t len);
static bool cp_port_valid(const char *s, size_t len);


const cp_type_t  cp_types[] = {
    [CP_F_STRING]    = { CP_JSON_STRING, "a string", cp_value_string },
    [CP_F_NAME]      = { CP_JSON_STRING, "a string", cp_value_name },
    [CP_F_TEXT]      = { CP_JSON_STRING, "a string", cp_value_text },
    [CP_F_INT]       = { CP_JSON_INT, "an integer", cp_value_int },
    [CP_F_BOOL]      = { CP_JSON_BOOL, "true or false", NULL },
    [CP_F_ENUM]      = { CP_JSON_STRING, "a string", cp_value_enum },
    [CP_F_TIME]      = { CP_JSON_STRING, "a time as a string",
                         cp_value_time },
    [CP_F_URL]       = { CP_JSON_STRING, "a string", cp_value_url },
    [CP_F_TARGET]    = { CP_JSON_STRING, "a string", cp_value_url },
    [CP_F_HOST]      = { CP_JSON_STRING, "a string", cp_value_host },
    [CP_F_BASE_PATH] = { CP_JSON_STRING, "a string", cp_value_base_path },
    [CP_F_CIDR]      = { CP_JSON_STRING, "a string", cp_value_cidr },
    [CP_F_REF]       = { CP_JSON_STRING, "a name", cp_value_ref },
    [CP_F_OBJECT]    = { CP_JSON_OBJECT, "an object", cp_value_object },
    [CP_F_ARRAY]     = { CP_JSON_ARRAY, "a list", cp_value_array },
    [CP_F_JSON]      = { CP_JSON_OBJECT, "an object", cp_value_json },
    [CP_F_METHOD]    = { CP_JSON_STRING, "a string", cp_value_method },
    [CP_F_TEMPLATE]  = { CP_JSON_STRING, "a string", cp_value_template },
    [CP_F_TOOL_NAME] = { CP_JSON_STRING, "a string", cp_value_tool_name },
    [CP_F_ENV]       = { CP_JSON_STRING, "a string", cp_value_env },
    [CP_F_HOST_PORT] = { CP_JSON_STRING, "a string", cp_value_host },
    [CP_F_URL_PATH]  = { CP_JSON_STRING, "a string", cp_value_url_path },
    [CP_F_LABEL]     = { CP_JSON_STRING, "a string", cp_value_label }
};


cp_rc_t
cp_fault(cp_value_t *c, const char *fmt, ...)
{
    char     text[STOA_ERR_TEXT_MAX];
    va_list  args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);

    return cp_err_field(c->v->err, c->v->document, c->in->line, c->path,
                        "%s", text);
}


/* Length in characters. */
static size_t
cp_text_chars(const char *s, size_t len)
{
    size_t  i, n;

    for (i = 0, n = 0; i < len; i++) {
        n += ((uint8_t) s[i] & 0xc0) != 0x80;
    }

    return n;
}


static cp_rc_t
cp_value_chars(cp_value_t *c, const cp_json_t *val, bool lines)
{
    size_t   i, n;
    uint8_t  ch;

    n = cp_text_chars(val->s, val->len);

    if (c->f->max && n > (size_t) c->f->max) {
        return cp_fault(c, "is longer than %" PRId64 " characters",
                        c->f->max);
    }

    if (n < (size_t) c->f->min) {
        return cp_fault(c, "is shorter than %" PRId64 " characters",
                        c->f->min);
    }

    for (i = 0; i < val->len; i++) {
        ch = (uint8_t) val->s[i];

        if ((ch < 0x20 && !(lines && (ch == '\n' || ch == '\t')))
            || ch == 0x7f)
        {
            return cp_fault(c, "contains a control character");
        }

        if (!lines && cp_text_control(&val->s[i])) {
            return cp_fault(c, "contains a character that nobody sees, or "
                            "that turns the text around it");
        }
    }

    return CP_OK;
}


static cp_rc_t
cp_value_string(cp_value_t *c)
{
    if (c->f->type == CP_F_ARRAY && c->in->len == 0) {
        return cp_fault(c, "must not be empty");
    }

    return cp_value_chars(c, c->in, false);
}


/* What programs take for a name has its maximum there too. */
static cp_rc_t
cp_value_label(cp_value_t *c)
{
    if (c->f->max && c->in->len > (size_t) c->f->max) {
        return cp_fault(c, "is longer than %" PRId64 " bytes", c->f->max);
    }

    return cp_value_chars(c, c->in, false);
}


static cp_rc_t
cp_value_text(cp_value_t *c)
{
    char        *d;
    const char  *s;

    /* forms of the web end lines with CR LF */

    for (s = c->in->s, d = (char *) c->out->s; *s; s++) {
        if (s[0] != '\r' || s[1] != '\n') {
            *d++ = *s;
        }
    }

    *d = '\0';
    c->out->len = (size_t) (d - c->out->s);

    return cp_value_chars(c, c->out, true);
}


static cp_rc_t
cp_value_name(cp_value_t *c)
{
    if (!stoa_name_valid(c->in->s, c->in->len)) {
        return cp_fault(c, "must be 1 to %d of a-z, 0-9 and -, not beginning"
                        " or ending with -", STOA_NAME_MAX);
    }

    /* names are looked up before ids: such a one would hide another's id.
     * Until the year 3084 an id begins with 0, and few words do. */

    if (c->in->s[0] == '0' && stoa_id_valid(c->in->s, c->in->len)) {
        return cp_fault(c, "must not have the form of an id");
    }

    return CP_OK;
}


static cp_rc_t
cp_value_int(cp_value_t *c)
{
    if (c->in->i < c->f->min || c->in->i > c->f->max) {
        return cp_fault(c, "must be %" PRId64 "..%" PRId64, c->f->min,
                        c->f->max);
    }

    return CP_OK;
}


static cp_rc_t
cp_value_enum(cp_value_t *c)
{
    char      list[CP_CHOICE_MAX];
    size_t    n;
    unsigned  i;

    for (i = 0; c->f->values[i]; i++) {
        if (strcmp(c->f->values[i], c->in->s) == 0) {
            return CP_OK;
        }
    }

    /* snprintf() returns what it would have written: look before each */

    list[0] = '\0';

    for (i = 0, n = 0; c->f->values[i] && n < sizeof(list); i++) {
        n += (size_t) snprintf(list + n, sizeof(list) - n, "%s%s",
                               i ? ", " : "", c->f->values[i]);
    }

    return cp_fault(c, "must be one of %s", list);
}


/* Kept as the text of the same moment that everybody else sees. */
static cp_rc_t
cp_value_time(cp_value_t *c)
{
    int64_t  ms;

    if (!cp_time_parse(c->in->s, c->in->len, &ms) || ms <= 0) {
        return cp_fault(c, "must be a time as in RFC 3339, such as"
                        " 2027-01-31T12:00:00Z");
    }

    c->out = cp_json_string(c->v->arena, cp_time_format(c->v->arena, ms));

    return c->out ? CP_OK : cp_err_set(c->v->err, "internal", "no memory");
}


/* A segment of dots, spelled in any way, the last one too: the path of a call
 * is joined to it. */
static bool
cp_url_climbs(const char *s)
{
    unsigned  dots;

    while (*s == '/') {

        for (s++, dots = 0; *s == '.' || strncasecmp(s, "%2e", 3) == 0;
             dots++)
        {
            s += *s == '.' ? 1 : 3;
        }

        if (dots >= 1 && dots <= 2 && (*s == '/' || *s == '\0')) {
            return true;
        }

        s += strcspn(s, "/");
    }

    return false;
}


/* http[s]://host[:port][/path], nothing else: no user, query or fragment. */
static cp_rc_t
cp_value_url(cp_value_t *c)
{
    size_t       len, n;
    const char  *s, *host, *end, *port;

    s = c->in->s;
    len = c->in->len;

    if (len > (size_t) c->f->max) {
        return cp_fault(c, "is longer than %" PRId64 " bytes", c->f->max);
    }

    n = strncmp(s, "http://", 7) == 0 ? 7
        : strncmp(s, "https://", 8) == 0 ? 8 : 0;

    if (n == 0 && c->f->type == CP_F_TARGET) {
        n = strncmp(s, "grpc://", 7) == 0 ? 7
            : strncmp(s, "grpcs://", 8) == 0 ? 8 : 0;
    }

    if (n == 0) {
        return cp_fault(c, "must begin with http:// or https://%s",
                        c->f->type == CP_F_TARGET ? ", grpc:// or grpcs://"
                                                  : "");
    }

    for (end = s + n; *end; end++) {
        if ((uint8_t) *end <= 0x20 || (uint8_t) *end >= 0x7f
            || strchr("?#@\\\"<>", *end) != NULL)
        {
            return cp_fault(c, "may have a host, a port and a path only");
        }
    }

    host = s + n;
    end = host + strcspn(host, "/");

    if (*host == '[') {
        port = memchr(host, ']', (size_t) (end - host));
        port = port ? port + 1 : end;

    } else {
        port = memchr(host, ':', (size_t) (end - host));
        port = port ? port : end;
    }

    if (!cp_host_valid(host, (size_t) (port - host))) {
        return cp_fault(c, "has no valid host");
    }

    if (port < end
        && (*port != ':' || !cp_port_valid(port + 1,
                                           (size_t) (end - port) - 1)))
    {
        return cp_fault(c, "has no valid port");
    }

    if (cp_url_climbs(end)) {
        return cp_fault(c, "may not contain . or .. as a segment");
    }

    return CP_OK;
}


static cp_rc_t
cp_value_host(cp_value_t *c)
{
    char        *p;
    size_t       len;
    const char  *port;

    len = c->in->len;
    port = c->f->type == CP_F_HOST_PORT && c->in->s[0] != '['
           ? strchr(c->in->s, ':') : NULL;

    if (port) {
        len = (size_t) (port - c->in->s);

        if (!cp_port_valid(port + 1, strlen(port + 1))) {
            return cp_fault(c, "has no valid port");
        }
    }

    if (!cp_host_valid(c->in->s, len)) {
        return cp_fault(c, "must be a host name or an address");
    }

    for (p = (char *) c->out->s; *p; p++) {
        if (*p >= 'A' && *p <= 'Z') {
            *p = (char) (*p | 0x20);
        }
    }

    return CP_OK;
}


static bool
cp_host_valid(const char *s, size_t len)
{
    size_t       i, label;
    stoa_cidr_t  cidr;

    if (len == 0 || len > STOA_HOST_MAX) {
        return false;
    }

    if (s[0] == '[') {
        return len > 2 && s[len - 1] == ']'
               && memchr(s, '/', len) == NULL
               && stoa_cidr_parse(s + 1, len - 2, &cidr) == STOA_OK
               && cidr.family == 6;
    }

    for (i = 0, label = 0; i < len; i++) {
        if (s[i] == '.') {
            if (label == 0 || s[i - 1] == '-') {
                return false;
            }

            label = 0;
            continue;
        }

        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z')
              || (s[i] >= '0' && s[i] <= '9') || s[i] == '_'
              || (s[i] == '-' && label > 0)))
        {
            return false;
        }

        if (++label > 63) {
            return false;
        }
    }

    return label > 0 && s[len - 1] != '-' && stoa_addr_host_valid(s, len);
}


static bool
cp_port_valid(const char *s, size_t len)
{
    size_t    i;
    unsigned  port;

    if (len == 0 || len > 5) {
        return false;
    }

    for (i = 0, port = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9') {
            return false;
        }

        port = port * 10 + (unsigned) (s[i] - '0');
    }

    return port >= 1 && port <= 65535;
}


static cp_rc_t
cp_value_base_path(cp_value_t *c)
{
    if (c->in->len > STOA_BASE_PATH_MAX
        || !stoa_path_base_valid(c->in->s, c->in->len))
    {
        return cp_fault(c, "must be / or up to %d segments such as /a/b,"
                        " without a slash at the end", STOA_PATH_SEGMENTS_MAX);
    }

    return CP_OK;
}


/* With or without a query: what stands in a request line. */
static cp_rc_t
cp_value_url_path(cp_value_t *c)
{
    size_t       i;
    const char  *s;

    s = c->in->s;

    if (c->in->len > (size_t) c->f->max) {
        return cp_fault(c, "is longer than %" PRId64 " characters",
                        c->f->max);
    }

    for (i = 0; i < c->in->len; i++) {
        if (s[i] <= ' ' || s[i] > '~' || strchr("\"#<>\\", s[i])) {
            break;
        }
    }

    return s[0] == '/' && i == c->in->len ? CP_OK
           : cp_fault(c, "must be a path such as /health?deep=1, without"
                         " blanks or characters that a URL has to escape");
}


static cp_rc_t
cp_value_cidr(cp_value_t *c)
{
    stoa_cidr_t  cidr;

    if (stoa_cidr_parse(c->in->s, c->in->len, &cidr) != STOA_OK) {
        return cp_fault(c, "must be an address or a range such as"
                        " 10.0.0.0/8 or 2001:db8::/32");
    }

    return CP_OK;
}


static cp_rc_t
cp_value_ref(cp_value_t *c)
{
    if (!stoa_name_valid(c->in->s, c->in->len)
        && !stoa_id_valid(c->in->s, c->in->len))
    {
        return cp_fault(c, "must be a name");
    }

    return CP_OK;
}


static cp_rc_t
cp_value_json(cp_value_t *c)
{
    size_t  len;

    if (cp_json_text(c->v->arena, c->in, &len) == NULL
        || len > (size_t) c->f->max)
    {
        if (c->f->max) {
            return cp_fault(c, "is larger than %" PRId64 " bytes",
                            c->f->max);
        }
    }

    return CP_OK;
}


static cp_rc_t
cp_value_method(cp_value_t *c)
{
    unsigned                  i;
    static const char *const  methods[] = { "GET", "HEAD", "POST", "PUT",
                                            "PATCH", "DELETE", "OPTIONS" };

    for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strcmp(methods[i], c->in->s) == 0) {
            return CP_OK;
        }
    }

    return cp_fault(c, "must be one of GET, HEAD, POST, PUT, PATCH, DELETE,"
                    " OPTIONS");
}


static cp_rc_t
cp_value_template(cp_value_t *c)
{
    const char  *s;

    if (c->in->len > (size_t) c->f->max
        || !stoa_path_template_valid(c->in->s, c->in->len))
    {
        return cp_fault(c, "must be a path such as /orders/{id}, at most"
                        " %" PRId64 " bytes", c->f->max);
    }

    /* other gateways' ways to say more than one character */

    for (s = c->in->s; (s = strchr(s, '/')) != NULL; /* void */) {
        s++;

        if (*s == '*' || *s == ':') {
            return cp_fault(c, "has the segment \"%.*s\", which would match"
                            " only itself: {name} matches any one segment,"
                            " and nothing matches more than one",
                            (int) strcspn(s, "/"), s);
        }
    }

    return CP_OK;
}


static cp_rc_t
cp_value_tool_name(cp_value_t *c)
{
    if ((c->f->type == CP_F_TOOL_NAME && c->in->len > (size_t) c->f->max)
        || !stoa_tool_name_valid(c->in->s, c->in->len))
    {
        return cp_fault(c, "must be 1 to %" PRId64 " of A-Z, a-z, 0-9, _, ."
                        " and -", c->f->type == CP_F_TOOL_NAME
                                  ? c->f->max : STOA_TOOL_NAME_MAX);
    }

    return CP_OK;
}


static cp_rc_t
cp_value_env(cp_value_t *c)
{
    size_t  i;

    for (i = 0; i < c->in->len; i++) {
        if (c->in->s[i] < 'a' || c->in->s[i] > 'z') {
            break;
        }
    }

    if (i < c->in->len || i < 2 || i > STOA_KEY_ENV_MAX
        || strcmp(c->in->s, "adm") == 0 || strcmp(c->in->s, "gw") == 0)
    {
        return cp_fault(c, "must be 2 to %d of a-z, and not adm or gw",
                        STOA_KEY_ENV_MAX);
    }

    return CP_OK;
}
