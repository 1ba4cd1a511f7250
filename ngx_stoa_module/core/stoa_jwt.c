/*
 * Tokens: split, read strictly, their claims.
 */

#include <string.h>

#include "stoa_base64.h"
#include "stoa_jose.h"


static size_t stoa_jwt_object(const char *s, size_t len, char *dst,
    stoa_json_val_t *root);
static const char *stoa_jwt_header(const stoa_json_val_t *header,
    const char *const *types, stoa_jwt_t *jwt);
static bool stoa_jwt_typ(const stoa_json_val_t *header,
    const char *const *types);
static bool stoa_jwt_step(const stoa_json_val_t *object, const char **path,
    const char *end, stoa_json_val_t *val);
static size_t stoa_jwt_string(const stoa_json_val_t *val, bool split,
    char *dst);


#define ALG_ROW(name, type, bits)  { #name, type, bits },

const stoa_alg_t  stoa_algs[STOA_ALG_MAX] = { STOA_ALGS(ALG_ROW) };


/* Members of a header that would change what is verified, or by what; a proof
 * of possession has the first one. */

static const char *const  stoa_jwt_refused[] = {
    "jwk", "crit", "jku", "x5u", "b64", "zip", "enc", NULL
};

/* What a token may be; a logout token or an ID token of some kinds is not. */

static const char *const  stoa_jwt_types[] = {
    "jwt", "at+jwt", "application/at+jwt", "application/jwt", NULL
};

const char *const  stoa_jwt_logout_types[] = {
    "logout+jwt", "application/logout+jwt", "jwt", NULL
};

const char *const  stoa_jwt_proof_types[] = { "dpop+jwt", NULL };


stoa_alg_e
stoa_alg_find(const char *name, size_t len)
{
    int  i;

    for (i = 0; i < STOA_ALG_MAX; i++) {
        if (strlen(stoa_algs[i].name) == len
            && memcmp(stoa_algs[i].name, name, len) == 0)
        {
            break;
        }
    }

    return (stoa_alg_e) i;
}


bool
stoa_jwt_looks(const char *s, size_t len)
{
    size_t  i, dots;

    dots = 0;

    for (i = 0; i < len; i++) {
        dots += s[i] == '.';
    }

    return dots == 2 && len > 4 && memcmp(s, "ey", 2) == 0;
}


stoa_rc_t
stoa_jwt_parse(const char *s, size_t len, char *buf, stoa_jwt_t *jwt,
    const char **why)
{
    return stoa_jwt_parse_as(stoa_jwt_types, s, len, buf, jwt, why);
}


stoa_rc_t
stoa_jwt_parse_as(const char *const *types, const char *s, size_t len,
    char *buf, stoa_jwt_t *jwt, const char **why)
{
    size_t            n;
    const char       *dot[2], *end;
    stoa_json_val_t   header;

    end = s + len;
    memset(jwt, 0, sizeof(stoa_jwt_t));

    *why = "The token is too long.";

    if (len > STOA_JWT_MAX) {
        return STOA_DECLINED;
    }

    *why = "The token is not a JWT of three parts.";

    dot[0] = memchr(s, '.', len);
    dot[1] = dot[0] ? memchr(dot[0] + 1, '.', (size_t) (end - dot[0] - 1))
                    : NULL;

    if (dot[1] == NULL
        || memchr(dot[1] + 1, '.', (size_t) (end - dot[1] - 1)))
    {
        return STOA_DECLINED;
    }

    *why = "The token's header is not a JSON object in base64url.";

    n = stoa_jwt_object(s, (size_t) (dot[0] - s), buf, &header);

    if (n == SIZE_MAX) {
        return STOA_DECLINED;
    }

    *why = stoa_jwt_header(&header, types, jwt);

    if (*why) {
        return STOA_DECLINED;
    }

    *why = "The token's claims are not a JSON object in base64url.";

    buf += n;
    n = stoa_jwt_object(dot[0] + 1, (size_t) (dot[1] - dot[0] - 1), buf,
                        &jwt->claims);

    if (n == SIZE_MAX) {
        return STOA_DECLINED;
    }

    *why = "The token's signature is not base64url.";

    buf += n;
    n = (size_t) (end - dot[1] - 1);

    if (n == 0 || !stoa_base64url_decode(dot[1] + 1, n, (uint8_t *) buf)) {
        return STOA_DECLINED;
    }

    n = n * 3 / 4;

    jwt->signature.data = buf;
    jwt->signature.len = n;
    jwt->signed_part.data = s;
    jwt->signed_part.len = (size_t) (dot[1] - s);
    *why = NULL;

    return STOA_OK;
}


/* The decoded length; SIZE_MAX: it is none. */

static size_t
stoa_jwt_object(const char *s, size_t len, char *dst, stoa_json_val_t *root)
{
    size_t  n;

    n = len * 3 / 4;

    return n > 0 && stoa_base64url_decode(s, len, (uint8_t *) dst)
           && stoa_json_check(dst, n, STOA_JWT_DEPTH_MAX, root, NULL)
              == STOA_OK
           && root->type == STOA_JSON_OBJECT
           ? n : SIZE_MAX;
}


static const char *
stoa_jwt_header(const stoa_json_val_t *header, const char *const *types,
    stoa_jwt_t *jwt)
{
    bool                proof;
    stoa_str_t          alg;
    const char *const  *name;
    stoa_json_val_t     val;

    proof = types == stoa_jwt_proof_types;

    for (name = stoa_jwt_refused + proof; *name; name++) {
        if (stoa_json_get(header, *name, &val)) {
            return "The token's header has a member that is not allowed.";
        }
    }

    if (!stoa_json_get_text(header, "alg", &alg)) {
        return "The token's header names no algorithm.";
    }

    jwt->alg = stoa_alg_find(alg.data, alg.len);

    if (jwt->alg == STOA_ALG_MAX) {
        return "The token's algorithm is not allowed.";
    }

    if (!stoa_jwt_typ(header, types)
        || (proof && !stoa_json_get(header, "typ", &val)))
    {
        return "The token is of another type.";
    }

    if (proof && !stoa_json_get(header, "jwk", &jwt->key)) {
        return "The token's header has no key.";
    }

    if (stoa_json_get(header, "kid", &val)
        && (!stoa_json_text(&val, &jwt->kid) || jwt->kid.len == 0
            || jwt->kid.len > STOA_KID_MAX))
    {
        return "The token's key id is malformed.";
    }

    return NULL;
}


static bool
stoa_jwt_typ(const stoa_json_val_t *header, const char *const *types)
{
    char                c;
    size_t              i;
    stoa_str_t          typ;
    const char *const  *type;
    stoa_json_val_t     val;

    if (!stoa_json_get(header, "typ", &val)) {
        return true;
    }

    if (!stoa_json_text(&val, &typ)) {
        return false;
    }

    for (type = types; *type; type++) {

        for (i = 0; i < typ.len && (*type)[i]; i++) {
            c = typ.data[i];
            c = (char) (c >= 'A' && c <= 'Z' ? c | 0x20 : c);

            if (c != (*type)[i]) {
                break;
            }
        }

        if (i == typ.len && (*type)[i] == '\0') {
            return true;
        }
    }

    return false;
}


bool
stoa_jwt_claim(const stoa_json_val_t *claims, const char *path, size_t len,
    stoa_json_val_t *val)
{
    bool              more;
    const char       *p, *end;
    stoa_json_val_t   at, key;
    stoa_json_iter_t  it;

    if (len == 0) {
        return false;
    }

    if (path[0] != '/') {

        for (more = stoa_json_first(claims, &it, &key, val);
             more;
             more = stoa_json_next(&it, &key, val))
        {
            if (stoa_json_eq(&key, path, len)) {
                return true;
            }
        }

        return false;
    }

    p = path;
    end = path + len;
    at = *claims;

    while (p < end) {
        if (at.type != STOA_JSON_OBJECT
            || !stoa_jwt_step(&at, &p, end, val))
        {
            return false;
        }

        at = *val;
    }

    return true;
}


/* One segment: "~1" in it is a slash, "~0" a tilde. */

static bool
stoa_jwt_step(const stoa_json_val_t *object, const char **path,
    const char *end, stoa_json_val_t *val)
{
    bool              more;
    char              name[256];
    size_t            n;
    const char       *p;
    stoa_json_val_t   key;
    stoa_json_iter_t  it;

    n = 0;

    for (p = *path + 1; p < end && *p != '/'; p++) {

        if (n == sizeof(name)) {
            return false;
        }

        name[n] = *p;

        if (*p == '~' && p + 1 < end) {
            name[n] = (char) (*++p == '1' ? '/' : '~');
        }

        n++;
    }

    *path = p;

    for (more = stoa_json_first(object, &it, &key, val);
         more;
         more = stoa_json_next(&it, &key, val))
    {
        if (stoa_json_eq(&key, name, n)) {
            return true;
        }
    }

    return false;
}


bool
stoa_jwt_path_valid(const char *path, size_t len)
{
    size_t  i;

    for (i = 0; i < len; i++) {
        if ((unsigned char) path[i] <= ' ' || path[i] == 0x7f) {
            return false;
        }

        if (path[0] == '/' && path[i] == '~'
            && (i + 1 == len || (path[i + 1] != '0' && path[i + 1] != '1')))
        {
            return false;
        }
    }

    return len > 0;
}


bool
stoa_jwt_time(const stoa_json_val_t *val, int64_t *s)
{
    const char  *p;

    if (val->type != STOA_JSON_NUMBER) {
        return false;
    }

    *s = 0;

    for (p = val->start; p < val->end && *p >= '0' && *p <= '9'; p++) {

        if (*s > INT64_C(100000000000000)) {
            return false;
        }

        *s = *s * 10 + (*p - '0');
    }

    if (p == val->start || (p < val->end && *p != '.')) {
        return false;
    }

    return memchr(p, 'e', (size_t) (val->end - p)) == NULL
           && memchr(p, 'E', (size_t) (val->end - p)) == NULL;
}


size_t
stoa_jwt_words(const stoa_json_val_t *val, bool split, char *dst)
{
    bool              more;
    size_t            n;
    stoa_json_val_t   item;
    stoa_json_iter_t  it;

    if (val->type == STOA_JSON_STRING) {
        return stoa_jwt_string(val, split, dst);
    }

    if (val->type != STOA_JSON_ARRAY) {
        return SIZE_MAX;
    }

    n = 0;

    for (more = stoa_json_first(val, &it, NULL, &item);
         more;
         more = stoa_json_next(&it, NULL, &item))
    {
        if (item.type != STOA_JSON_STRING) {
            return SIZE_MAX;
        }

        n += stoa_jwt_string(&item, false, dst + n);
    }

    return n;
}


/* Quotes are two bytes: there is room for the NUL. */

static size_t
stoa_jwt_string(const stoa_json_val_t *val, bool split, char *dst)
{
    size_t  i, n, len, start;

    len = stoa_json_unescape(val, dst);
    n = 0;
    start = 0;

    for (i = 0; i <= len; i++) {

        if (i < len && (!split || dst[i] != ' ')) {
            if ((unsigned char) dst[i] < ' ' || dst[i] == 0x7f) {
                return n;
            }

            continue;
        }

        if (i > start) {
            memmove(dst + n, dst + start, i - start);
            n += i - start;
            dst[n++] = '\0';
        }

        start = i + 1;
    }

    return n;
}


bool
stoa_jwt_has(const char *words, size_t len, const char *word, size_t n)
{
    size_t       l;
    const char  *p;

    for (p = words; p < words + len; p += l + 1) {
        l = strlen(p);

        if (l == n && memcmp(p, word, n) == 0) {
            return true;
        }
    }

    return false;
}
