/*
 * The strict reader: one loop over the text with an explicit stack.
 */

#include <stdlib.h>
#include <string.h>

#include "stoa_json.h"
#include "stoa_key.h"


#define STOA_JSON_KEYS_FIRST  64      /* kept on the C stack               */
#define STOA_JSON_LINEAR_MAX  16      /* members compared one by one, if ...*/
#define STOA_JSON_SHORT_MAX   64      /* ... their names are this short    */
#define STOA_JSON_TABLE_MIN   64

#define STOA_JSON_ONES        (UINT64_MAX / 255)
#define stoa_json_zero(v)     (((v) - STOA_JSON_ONES) & ~(v))

#define stoa_json_space(c)                                                    \
    ((c) == ' ' || (c) == '\n' || (c) == '\r' || (c) == '\t')
#define stoa_json_digit(c)    ((c) >= '0' && (c) <= '9')


typedef struct {
    const char       *start;         /* after the quote                    */
    uint32_t          len;           /* as written                         */
    uint32_t          escaped:1;
    uint32_t          tag:31;        /* other keys mostly have others      */
} stoa_json_key_t;


typedef struct {
    const char       *start;
    uint32_t          keys;          /* index of its first key             */
    uint32_t          index;         /* of the current item of an array    */
    bool              object;
    bool              later;         /* names are compared when it closes  */
} stoa_json_open_t;


/*
 * The keys of all open objects lie in one array, those of the inner after
 * those of the outer one; the last of each is that of the current member.
 */

typedef struct {
    const char           *data;
    const char           *p;
    const char           *end;
    unsigned              depth;
    unsigned              depth_max;
    unsigned              member_depth;
    stoa_json_member_pt   member;
    void                 *ctx;
    uint64_t              seed;
    stoa_json_key_t      *keys;
    size_t                nkeys;
    size_t                size;
    const char           *text;      /* what is wrong at p                 */
    stoa_json_open_t      open[STOA_JSON_DEPTH_MAX + 1];
    stoa_json_key_t       first[STOA_JSON_KEYS_FIRST];
} stoa_json_walk_t;


static stoa_rc_t stoa_json_run(stoa_json_walk_t *w, stoa_json_val_t *root);
static stoa_rc_t stoa_json_ended(stoa_json_walk_t *w, stoa_json_val_t *val);
static stoa_rc_t stoa_json_open(stoa_json_walk_t *w, char c);
static stoa_rc_t stoa_json_close(stoa_json_walk_t *w, stoa_json_val_t *val);
static stoa_rc_t stoa_json_scalar(stoa_json_walk_t *w, stoa_json_val_t *val);
static stoa_rc_t stoa_json_string(stoa_json_walk_t *w, stoa_json_val_t *val);
static stoa_rc_t stoa_json_escape(stoa_json_walk_t *w);
static stoa_rc_t stoa_json_hex4(stoa_json_walk_t *w, unsigned *out);
static stoa_rc_t stoa_json_key(stoa_json_walk_t *w);
static stoa_rc_t stoa_json_key_hash(stoa_json_walk_t *w,
    stoa_json_key_t *key);
static bool stoa_json_key_same(const stoa_json_key_t *a,
    const stoa_json_key_t *b);
static void stoa_json_key_val(const stoa_json_key_t *key,
    stoa_json_val_t *val);
static stoa_rc_t stoa_json_keys_grow(stoa_json_walk_t *w);
static stoa_rc_t stoa_json_keys_unique(stoa_json_walk_t *w, uint32_t from);
static stoa_rc_t stoa_json_fail(stoa_json_walk_t *w, const char *text);
static void stoa_json_blame(stoa_json_walk_t *w, stoa_err_t *err);
static const char *stoa_json_ascii(const char *p, const char *end);


stoa_rc_t
stoa_json_check(const char *data, size_t len, unsigned depth_max,
    stoa_json_val_t *root, stoa_err_t *err)
{
    return stoa_json_walk(data, len, depth_max, 0, NULL, NULL, root, err);
}


stoa_rc_t
stoa_json_walk(const char *data, size_t len, unsigned depth_max,
    unsigned member_depth, stoa_json_member_pt member, void *ctx,
    stoa_json_val_t *root, stoa_err_t *err)
{
    stoa_rc_t         rc;
    stoa_json_walk_t  w;

    w.data = data;
    w.p = data;
    w.end = data + len;
    w.depth = 0;
    w.depth_max = depth_max;
    w.member_depth = member_depth;
    w.member = member;
    w.ctx = ctx;
    w.keys = w.first;
    w.nkeys = 0;
    w.size = STOA_JSON_KEYS_FIRST;
    w.text = "";

    /* addresses are random: collisions cannot be prepared */
    w.seed = (uint64_t) (uintptr_t) &w ^ (uint64_t) (uintptr_t) data << 24;

    if (depth_max > STOA_JSON_DEPTH_MAX) {
        w.depth_max = STOA_JSON_DEPTH_MAX;
    }

    rc = (len > UINT32_MAX) ? stoa_json_fail(&w, "is too long")
                            : stoa_json_run(&w, root);

    if (rc == STOA_DECLINED) {
        stoa_json_blame(&w, err);
    }

    if (w.keys != w.first) {
        free(w.keys);
    }

    return rc;
}


static inline void
stoa_json_spaces(stoa_json_walk_t *w)
{
    while (w->p < w->end && stoa_json_space(*w->p)) {
        w->p++;
    }
}


static stoa_rc_t
stoa_json_run(stoa_json_walk_t *w, stoa_json_val_t *root)
{
    char       c;
    stoa_rc_t  rc;

    for ( ;; ) {
        stoa_json_spaces(w);

        if (w->p == w->end) {
            return stoa_json_fail(w, "ends where a value is expected");
        }

        c = *w->p;

        if (c == '{' || c == '[') {
            rc = stoa_json_open(w, c);

            if (rc == STOA_AGAIN) {
                continue;
            }

            if (rc == STOA_OK) {
                rc = stoa_json_close(w, root);
            }

        } else {
            rc = stoa_json_scalar(w, root);
        }

        if (rc == STOA_OK) {
            rc = stoa_json_ended(w, root);
        }

        if (rc != STOA_AGAIN) {
            break;
        }
    }

    if (rc == STOA_OK) {
        stoa_json_spaces(w);

        if (w->p != w->end) {
            return stoa_json_fail(w, "has data after its end");
        }
    }

    return rc;
}


/*
 * A value has ended: tells it, and closes what ends with it.  STOA_AGAIN when
 * the next value is to be read, STOA_OK at the end of the root.
 */

static stoa_rc_t
stoa_json_ended(stoa_json_walk_t *w, stoa_json_val_t *val)
{
    stoa_rc_t          rc;
    stoa_json_val_t    name;
    stoa_json_open_t  *o;

    while (w->depth) {
        o = &w->open[w->depth];

        if (o->object && w->depth <= w->member_depth) {
            stoa_json_key_val(&w->keys[w->nkeys - 1], &name);
            w->member(w->ctx, w->depth, &name, val);
        }

        stoa_json_spaces(w);

        if (w->p == w->end) {
            return stoa_json_fail(w, "ends inside an object or array");
        }

        if (*w->p == ',') {
            w->p++;
            o->index++;

            return o->object ? stoa_json_key(w) : STOA_AGAIN;
        }

        if (*w->p != (o->object ? '}' : ']')) {
            return stoa_json_fail(w, o->object ? "expected \",\" or \"}\""
                                               : "expected \",\" or \"]\"");
        }

        rc = stoa_json_close(w, val);
        if (rc != STOA_OK) {
            return rc;
        }
    }

    return STOA_OK;
}


/* STOA_AGAIN: go on with the first value.  STOA_OK: it is empty, p is at its
 * closing bracket. */

static stoa_rc_t
stoa_json_open(stoa_json_walk_t *w, char c)
{
    stoa_json_open_t  *o;

    if (w->depth == w->depth_max) {
        return stoa_json_fail(w, "is nested too deeply");
    }

    o = &w->open[++w->depth];
    o->start = w->p++;
    o->keys = (uint32_t) w->nkeys;
    o->index = 0;
    o->object = (c == '{');
    o->later = false;

    stoa_json_spaces(w);

    if (w->p < w->end && *w->p == (o->object ? '}' : ']')) {
        return STOA_OK;
    }

    return o->object ? stoa_json_key(w) : STOA_AGAIN;
}


static stoa_rc_t
stoa_json_close(stoa_json_walk_t *w, stoa_json_val_t *val)
{
    stoa_rc_t          rc;
    stoa_json_open_t  *o;

    o = &w->open[w->depth];

    rc = o->later ? stoa_json_keys_unique(w, o->keys) : STOA_OK;
    if (rc != STOA_OK) {
        return rc;
    }

    w->nkeys = o->keys;
    w->depth--;
    w->p++;

    val->type = o->object ? STOA_JSON_OBJECT : STOA_JSON_ARRAY;
    val->start = o->start;
    val->end = w->p;
    val->escaped = false;

    return STOA_OK;
}


static stoa_rc_t
stoa_json_scalar(stoa_json_walk_t *w, stoa_json_val_t *val)
{
    size_t       i, n;
    const char  *end;

    static const struct {
        stoa_json_type_e  type;
        stoa_str_t        word;
    } words[] = {
        { STOA_JSON_TRUE,  { "true", 4 } },
        { STOA_JSON_FALSE, { "false", 5 } },
        { STOA_JSON_NULL,  { "null", 4 } },
    };

    if (*w->p == '"') {
        return stoa_json_string(w, val);
    }

    val->start = w->p;
    val->escaped = false;

    if (*w->p == '-' || stoa_json_digit(*w->p)) {
        end = stoa_json_number_end(w->p, w->end);
        if (end == NULL) {
            return stoa_json_fail(w, "is no valid number");
        }

        w->p = end;
        val->type = STOA_JSON_NUMBER;
        val->end = end;

        return STOA_OK;
    }

    for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        n = words[i].word.len;

        if ((size_t) (w->end - w->p) >= n
            && memcmp(w->p, words[i].word.data, n) == 0)
        {
            w->p += n;
            val->type = words[i].type;
            val->end = w->p;

            return STOA_OK;
        }
    }

    return stoa_json_fail(w, "expected a value");
}


static stoa_rc_t
stoa_json_string(stoa_json_walk_t *w, stoa_json_val_t *val)
{
    size_t         n;
    stoa_rc_t      rc;
    unsigned char  c;

    val->type = STOA_JSON_STRING;
    val->start = w->p++;
    val->escaped = false;

    for ( ;; ) {
        w->p = stoa_json_ascii(w->p, w->end);

        if (w->p == w->end) {
            return stoa_json_fail(w, "ends inside a string");
        }

        c = (unsigned char) *w->p;

        if (c == '"') {
            val->end = ++w->p;
            return STOA_OK;
        }

        if (c == '\\') {
            val->escaped = true;

            rc = stoa_json_escape(w);
            if (rc != STOA_OK) {
                return rc;
            }

            continue;
        }

        if (c < 0x20) {
            return stoa_json_fail(w, "has a control character in a string");
        }

        n = stoa_utf8_char(w->p, w->end);
        if (n == 0) {
            return stoa_json_fail(w, "is not valid UTF-8");
        }

        w->p += n;
    }
}


/* The first byte of a string that is not plain ASCII. */

static const char *
stoa_json_ascii(const char *p, const char *end)
{
    unsigned char  c;

#if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)
    uint64_t       v, m;

    while (end - p >= 8) {
        memcpy(&v, p, sizeof(v));

        /* of each term the lowest byte that is marked is marked rightly */

        m = stoa_json_zero(v ^ (STOA_JSON_ONES * '"'))
            | stoa_json_zero(v ^ (STOA_JSON_ONES * '\\'))
            | ((v - STOA_JSON_ONES * 0x20) & ~v)
            | v;
        m &= STOA_JSON_ONES * 0x80;

        if (m) {
            return p + (__builtin_ctzll(m) >> 3);
        }

        p += 8;
    }
#endif

    for ( /* void */ ; p < end; p++) {
        c = (unsigned char) *p;

        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\') {
            break;
        }
    }

    return p;
}


static stoa_rc_t
stoa_json_escape(stoa_json_walk_t *w)
{
    unsigned   hi, lo;
    stoa_rc_t  rc;

    if (w->end - w->p < 2) {
        return stoa_json_fail(w, "ends inside a string");
    }

    if (w->p[1] != 'u') {
        if (w->p[1] == '\0' || strchr("\"\\/bfnrt", w->p[1]) == NULL) {
            return stoa_json_fail(w, "has an unknown escape");
        }

        w->p += 2;

        return STOA_OK;
    }

    rc = stoa_json_hex4(w, &hi);

    if (rc != STOA_OK || hi < 0xd800 || hi > 0xdfff) {
        return rc;
    }

    if (hi > 0xdbff || w->end - w->p < 2
        || w->p[0] != '\\' || w->p[1] != 'u')
    {
        return stoa_json_fail(w, "has a lone surrogate");
    }

    rc = stoa_json_hex4(w, &lo);

    if (rc == STOA_OK && (lo < 0xdc00 || lo > 0xdfff)) {
        rc = stoa_json_fail(w, "has a lone surrogate");
    }

    return rc;
}


static stoa_rc_t
stoa_json_hex4(stoa_json_walk_t *w, unsigned *out)
{
    uint8_t  two[2];

    if (w->end - w->p < 6 || !stoa_hex_decode(w->p + 2, 4, two)) {
        return stoa_json_fail(w, "has a bad \\u escape");
    }

    w->p += 6;
    *out = (unsigned) two[0] << 8 | two[1];

    return STOA_OK;
}


/* Its first, middle and last bytes, and its length. */

static inline uint32_t
stoa_json_key_tag(const stoa_json_key_t *key)
{
    const unsigned char  *s;

    s = (const unsigned char *) key->start;

    return s[0] | (uint32_t) s[key->len / 2] << 8
           | (uint32_t) s[key->len - (key->len > 0)] << 16
           | (key->len & 127) << 24;
}


/* Is the newest key of an object one of the others?  Many, long or escaped
 * ones would cost too much here: they are left for later. */

static inline bool
stoa_json_key_known(stoa_json_walk_t *w, stoa_json_open_t *o,
    const stoa_json_key_t *key)
{
    const stoa_json_key_t  *other;

    if (key - &w->keys[o->keys] >= STOA_JSON_LINEAR_MAX
        || key->len > STOA_JSON_SHORT_MAX || key->escaped)
    {
        o->later = true;
    }

    if (o->later) {
        return false;
    }

    for (other = &w->keys[o->keys]; other < key; other++) {
        if (other->tag == key->tag && stoa_json_key_same(other, key)) {
            return true;
        }
    }

    return false;
}


/* Reads a key and its colon; STOA_AGAIN as its value follows. */

static stoa_rc_t
stoa_json_key(stoa_json_walk_t *w)
{
    stoa_rc_t          rc;
    const char        *at;
    stoa_json_key_t   *key;
    stoa_json_val_t    val;
    stoa_json_open_t  *o;

    stoa_json_spaces(w);

    if (w->p == w->end || *w->p != '"') {
        return stoa_json_fail(w, "expected a member's name");
    }

    at = w->p;
    o = &w->open[w->depth];

    if (w->nkeys - o->keys == STOA_JSON_MEMBERS_MAX) {
        return stoa_json_fail(w, "has too many members");
    }

    if (w->nkeys == w->size) {
        rc = stoa_json_keys_grow(w);
        if (rc != STOA_OK) {
            return rc;
        }
    }

    rc = stoa_json_string(w, &val);
    if (rc != STOA_OK) {
        return rc;
    }

    key = &w->keys[w->nkeys];
    key->start = val.start + 1;
    key->len = (uint32_t) (val.end - val.start - 2);

    key->escaped = val.escaped;
    key->tag = stoa_json_key_tag(key);

    w->nkeys++;

    if (stoa_json_key_known(w, o, key)) {
        w->p = at;
        return stoa_json_fail(w, "has a member twice");
    }

    stoa_json_spaces(w);

    if (w->p == w->end || *w->p != ':') {
        return stoa_json_fail(w, "expected \":\"");
    }

    w->p++;

    return STOA_AGAIN;
}


static stoa_rc_t
stoa_json_key_hash(stoa_json_walk_t *w, stoa_json_key_t *key)
{
    char              small[256], *buf;
    size_t            n;
    stoa_json_val_t   val;

    if (!key->escaped) {
        key->tag = stoa_hash64(key->start, key->len, w->seed) & INT32_MAX;
        return STOA_OK;
    }

    buf = (key->len + 2 <= sizeof(small)) ? small : malloc(key->len + 2);
    if (buf == NULL) {
        return STOA_ERROR;
    }

    stoa_json_key_val(key, &val);
    n = stoa_json_unescape(&val, buf);
    key->tag = stoa_hash64(buf, n, w->seed) & INT32_MAX;

    if (buf != small) {
        free(buf);
    }

    return STOA_OK;
}


static bool
stoa_json_key_same(const stoa_json_key_t *a, const stoa_json_key_t *b)
{
    stoa_json_val_t  x, y;

    if (!a->escaped && !b->escaped) {
        return a->len == b->len && memcmp(a->start, b->start, a->len) == 0;
    }

    stoa_json_key_val(a, &x);
    stoa_json_key_val(b, &y);

    return stoa_json_same(&x, &y);
}


static void
stoa_json_key_val(const stoa_json_key_t *key, stoa_json_val_t *val)
{
    val->type = STOA_JSON_STRING;
    val->start = key->start - 1;
    val->end = key->start + key->len + 1;
    val->escaped = key->escaped;
}


static stoa_rc_t
stoa_json_keys_grow(stoa_json_walk_t *w)
{
    size_t            size;
    stoa_json_key_t  *keys;

    size = w->size * 2;

    if (w->keys != w->first) {
        keys = realloc(w->keys, size * sizeof(stoa_json_key_t));

    } else {
        keys = malloc(size * sizeof(stoa_json_key_t));

        if (keys) {
            memcpy(keys, w->first, sizeof(w->first));
        }
    }

    if (keys == NULL) {
        return STOA_ERROR;
    }

    w->keys = keys;
    w->size = size;

    return STOA_OK;
}


/* Looks for a name that occurs twice, in a table of hashes. */

static stoa_rc_t
stoa_json_keys_unique(stoa_json_walk_t *w, uint32_t from)
{
    size_t            i, slot, size;
    uint32_t          small[STOA_JSON_TABLE_MIN], *table;
    stoa_rc_t         rc;
    stoa_json_key_t  *key, *other;

    size = STOA_JSON_TABLE_MIN;
    table = small;
    memset(small, 0, sizeof(small));

    if (2 * (w->nkeys - from) > size) {
        while (size < 2 * (w->nkeys - from)) {
            size *= 2;
        }

        table = calloc(size, sizeof(uint32_t));
        if (table == NULL) {
            return STOA_ERROR;
        }
    }

    rc = STOA_OK;

    for (i = from; i < w->nkeys && rc == STOA_OK; i++) {
        key = &w->keys[i];

        rc = stoa_json_key_hash(w, key);
        if (rc != STOA_OK) {
            break;
        }

        slot = key->tag & (size - 1);

        while (table[slot]) {
            other = &w->keys[table[slot] - 1];

            if (other->tag == key->tag && stoa_json_key_same(other, key)) {
                w->p = key->start - 1;
                w->nkeys = i + 1;
                rc = stoa_json_fail(w, "has a member twice");
                break;
            }

            slot = (slot + 1) & (size - 1);
        }

        table[slot] = (uint32_t) i + 1;
    }

    if (table != small) {
        free(table);
    }

    return rc;
}


static stoa_rc_t
stoa_json_fail(stoa_json_walk_t *w, const char *text)
{
    w->text = text;

    return STOA_DECLINED;
}


/* Names the place: "targets[1].port". */

static void
stoa_json_blame(stoa_json_walk_t *w, stoa_err_t *err)
{
    char               path[STOA_ERR_FIELD_MAX];
    stoa_buf_t         b;
    unsigned           i;
    uint32_t           last;
    stoa_json_open_t  *o;

    if (err == NULL) {
        return;
    }

    stoa_buf_init(&b, sizeof(path) - 1);

    for (i = 1; i <= w->depth; i++) {
        o = &w->open[i];
        last = (i < w->depth) ? o[1].keys : (uint32_t) w->nkeys;

        if (!o->object) {
            stoa_buf_addf(&b, "[%u]", (unsigned) o->index);

        } else if (last > o->keys) {
            stoa_buf_addf(&b, "%s%.*s", b.len ? "." : "",
                          (int) w->keys[last - 1].len,
                          w->keys[last - 1].start);
        }
    }

    (void) stoa_err_set(err, b.data, "%s", w->text);
    stoa_err_at(err, w->data, (size_t) (w->p - w->data));

    stoa_buf_free(&b);
}
