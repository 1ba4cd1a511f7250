/*
 * Reading Signature-Input, Signature and Content-Digest.
 */

#include <string.h>

#include "stoa_signature.h"


#define DIGITS  12                              /* of a time                 */

typedef struct {
    const char  *p;
    const char  *end;
    const char  *why;
} stoa_signature_read_t;


static bool stoa_signature_char(stoa_signature_read_t *r, char c);
static bool stoa_signature_key(stoa_signature_read_t *r, stoa_str_t *key);
static bool stoa_signature_string(stoa_signature_read_t *r, stoa_str_t *s);
static bool stoa_signature_number(stoa_signature_read_t *r, int64_t *n);
static bool stoa_signature_member(stoa_signature_read_t *r,
    stoa_signature_t *sig);
static bool stoa_signature_components(stoa_signature_read_t *r,
    stoa_signature_t *sig);
static bool stoa_signature_name(stoa_str_t name);
static bool stoa_signature_parameter(stoa_signature_read_t *r,
    stoa_signature_t *sig);
static bool stoa_signature_next(stoa_signature_read_t *r);
static bool stoa_signature_value(stoa_signature_read_t *r, uint8_t *dst,
    size_t *n);
static int stoa_signature_digit(char c);


stoa_rc_t
stoa_signature_input(const char *s, size_t len, stoa_signature_t *list,
    unsigned *n, const char **why)
{
    unsigned               i;
    stoa_signature_read_t  r;

    r.p = s;
    r.end = s + len;
    r.why = "Signature-Input is not well formed.";
    *n = 0;

    do {
        if (*n == STOA_SIGNATURES) {
            *why = "There are more than 4 signatures.";
            return STOA_DECLINED;
        }

        if (!stoa_signature_member(&r, &list[*n])) {
            *why = r.why;
            return STOA_DECLINED;
        }

        for (i = 0; i < *n; i++) {
            if (list[i].label.len == list[*n].label.len
                && memcmp(list[i].label.data, list[*n].label.data,
                          list[i].label.len) == 0)
            {
                *why = "Signature-Input has a label twice.";
                return STOA_DECLINED;
            }
        }

        (*n)++;

    } while (stoa_signature_next(&r));

    *why = r.why;

    return r.p == r.end ? STOA_OK : STOA_DECLINED;
}


/* Of one that is there twice nobody knows which others read. */

stoa_rc_t
stoa_signature_bytes(const char *s, size_t len, stoa_str_t name, uint8_t *dst,
    size_t *n, const char **why)
{
    bool                   same;
    size_t                 got;
    uint8_t                other[STOA_SIGNATURE_BYTES];
    stoa_str_t             key;
    stoa_signature_read_t  r;

    r.p = s;
    r.end = s + len;
    *n = 0;
    *why = "Signature or Content-Digest is not well formed.";

    do {
        if (!stoa_signature_key(&r, &key) || !stoa_signature_char(&r, '=')) {
            return STOA_DECLINED;
        }

        same = key.len == name.len
               && memcmp(key.data, name.data, key.len) == 0;

        if (same && *n) {
            *why = "Signature or Content-Digest has a member twice.";
            return STOA_DECLINED;
        }

        if (!stoa_signature_value(&r, same ? dst : other, &got)) {
            return STOA_DECLINED;
        }

        *n = same ? got : *n;

    } while (stoa_signature_next(&r));

    return r.p == r.end ? STOA_OK : STOA_DECLINED;
}


bool
stoa_signature_covers(const stoa_signature_t *sig, const char *name,
    size_t len)
{
    unsigned  i;

    for (i = 0; i < sig->n; i++) {
        if (sig->component[i].len == len
            && memcmp(sig->component[i].data, name, len) == 0)
        {
            return true;
        }
    }

    return false;
}


static bool
stoa_signature_char(stoa_signature_read_t *r, char c)
{
    if (r->p == r->end || *r->p != c) {
        return false;
    }

    r->p++;

    return true;
}


/* Behind a member: a comma, and another one. */

static bool
stoa_signature_next(stoa_signature_read_t *r)
{
    const char  *p;

    for (p = r->p; p < r->end && (*p == ' ' || *p == '\t'); p++) { /* void */ }

    if (p == r->end || *p != ',') {
        return false;
    }

    for (p++; p < r->end && (*p == ' ' || *p == '\t'); p++) { /* void */ }

    r->p = p;

    return true;
}


static bool
stoa_signature_key(stoa_signature_read_t *r, stoa_str_t *key)
{
    const char  *from;

    from = r->p;

    if (from == r->end || !((*from >= 'a' && *from <= 'z') || *from == '*')) {
        return false;
    }

    while (r->p < r->end
           && ((*r->p >= 'a' && *r->p <= 'z') || (*r->p >= '0' && *r->p <= '9')
               || *r->p == '_' || *r->p == '-' || *r->p == '.'
               || *r->p == '*'))
    {
        r->p++;
    }

    key->data = from;
    key->len = (size_t) (r->p - from);

    return key->len <= 64;
}


/* Without escapes: what is signed is what it says. */

static bool
stoa_signature_string(stoa_signature_read_t *r, stoa_str_t *s)
{
    if (!stoa_signature_char(r, '"')) {
        return false;
    }

    s->data = r->p;

    while (r->p < r->end && *r->p >= ' ' && *r->p <= '~' && *r->p != '"'
           && *r->p != '\\')
    {
        r->p++;
    }

    s->len = (size_t) (r->p - s->data);

    return stoa_signature_char(r, '"');
}


static bool
stoa_signature_number(stoa_signature_read_t *r, int64_t *n)
{
    const char  *from;

    from = r->p;
    *n = 0;

    while (r->p < r->end && *r->p >= '0' && *r->p <= '9'
           && r->p - from < DIGITS)
    {
        *n = *n * 10 + (*r->p++ - '0');
    }

    return r->p > from && (*from != '0' || r->p == from + 1);
}


static bool
stoa_signature_member(stoa_signature_read_t *r, stoa_signature_t *sig)
{
    memset(sig, 0, sizeof(stoa_signature_t));
    sig->created = -1;
    sig->expires = -1;

    if (!stoa_signature_key(r, &sig->label) || !stoa_signature_char(r, '=')) {
        return false;
    }

    sig->text.data = r->p;

    if (!stoa_signature_components(r, sig)) {
        return false;
    }

    while (stoa_signature_char(r, ';')) {
        if (!stoa_signature_parameter(r, sig)) {
            return false;
        }
    }

    sig->text.len = (size_t) (r->p - sig->text.data);

    return true;
}


static bool
stoa_signature_components(stoa_signature_read_t *r, stoa_signature_t *sig)
{
    stoa_str_t  name;

    if (!stoa_signature_char(r, '(')) {
        return false;
    }

    if (stoa_signature_char(r, ')')) {
        return true;
    }

    do {
        if (sig->n == STOA_SIGNATURE_COMPONENTS) {
            r->why = "A signature covers more than 32 components.";
            return false;
        }

        if (!stoa_signature_string(r, &name) || !stoa_signature_name(name)) {
            return false;
        }

        if (r->p < r->end && *r->p == ';') {
            r->why = "Parameters of covered components are not taken.";
            return false;
        }

        if (stoa_signature_covers(sig, name.data, name.len)) {
            r->why = "A signature covers a component twice.";
            return false;
        }

        sig->component[sig->n++] = name;

    } while (stoa_signature_char(r, ' '));

    return stoa_signature_char(r, ')');
}


/* A header's in lower case, or what is derived, which begins with "@". */

static bool
stoa_signature_name(stoa_str_t name)
{
    size_t  i;

    i = name.len && name.data[0] == '@';

    if (i == name.len || name.len > 64) {
        return false;
    }

    for ( ; i < name.len; i++) {
        if (!(name.data[i] >= 'a' && name.data[i] <= 'z')
            && !(name.data[i] >= '0' && name.data[i] <= '9')
            && memchr("!#$%&'*+-.^_`|~", name.data[i], 15) == NULL)
        {
            return false;
        }
    }

    return true;
}


static bool
stoa_signature_parameter(stoa_signature_read_t *r, stoa_signature_t *sig)
{
    size_t      i;
    int64_t    *time;
    stoa_str_t  key, *text;

    const struct {
        const char  *name;
        int64_t     *time;
        stoa_str_t  *text;
    } all[] = {
        { "created", &sig->created, NULL },
        { "expires", &sig->expires, NULL },
        { "keyid", NULL, &sig->keyid },
        { "alg", NULL, &sig->alg },
        { "nonce", NULL, &sig->nonce },
        { "tag", NULL, &sig->tag }
    };

    if (!stoa_signature_key(r, &key)) {
        return false;
    }

    time = NULL;
    text = NULL;

    for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (strlen(all[i].name) == key.len
            && memcmp(all[i].name, key.data, key.len) == 0)
        {
            time = all[i].time;
            text = all[i].text;
        }
    }

    if ((time == NULL && text == NULL) || (time && *time != -1)
        || (text && text->data))
    {
        r->why = "A signature has a parameter twice, or one that is not "
                 "known.";
        return false;
    }

    return stoa_signature_char(r, '=')
           && (time ? stoa_signature_number(r, time)
               : stoa_signature_string(r, text));
}


/* :base64: with its padding, in the one form that it has. */

static bool
stoa_signature_value(stoa_signature_read_t *r, uint8_t *dst, size_t *n)
{
    int       v;
    size_t    len, pad;
    uint32_t  word;

    if (!stoa_signature_char(r, ':')) {
        return false;
    }

    word = 0;
    len = 0;
    *n = 0;

    for (pad = 0; r->p < r->end && *r->p != ':'; r->p++, len++) {
        v = stoa_signature_digit(*r->p);

        if (*r->p == '=' && pad < 2 && len % 4 >= 2) {
            pad++;
            v = 0;

        } else if (v < 0 || pad) {
            return false;
        }

        word = word << 6 | (uint32_t) v;

        if (len % 4 == 3) {
            if (*n + 3 > STOA_SIGNATURE_BYTES
                || (pad == 1 && (word & 0xff))
                || (pad == 2 && (word & 0xffff)))
            {
                return false;
            }

            dst[(*n)++] = (uint8_t) (word >> 16);

            if (pad < 2) {
                dst[(*n)++] = (uint8_t) (word >> 8);
            }

            if (pad < 1) {
                dst[(*n)++] = (uint8_t) word;
            }

            word = 0;
        }
    }

    return len && len % 4 == 0 && stoa_signature_char(r, ':');
}


static int
stoa_signature_digit(char c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+' ? 62 : c == '/' ? 63 : -1;
}
