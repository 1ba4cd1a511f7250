/*
 * The quick reader: says yes to the plain texts that nearly all are, and
 * nothing of any other, which the strict one then judges.
 *
 * Plain: names without escapes and of ASCII, strings without \u, few members,
 * no two names of an object that could be the same.
 */

#include <string.h>

#include "stoa_json.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif


#define STOA_PLAIN_DEPTH    16
#define STOA_PLAIN_KEYS     64       /* of all objects that are open         */
#define STOA_PLAIN_MEMBERS  40       /* of one: each is compared with all    */

#define stoa_plain_space(c)                                                   \
    ((c) == ' ' || (c) == '\n' || (c) == '\r' || (c) == '\t')


typedef struct {
    const char       *start;
    stoa_json_val_t  *to;
    uint32_t          keys;          /* where its names begin                */
    uint8_t           place;
    bool              object;
} stoa_plain_open_t;


typedef struct {
    const char           *p;
    const char           *end;
    stoa_json_plain_pt    member;
    void                 *ctx;
    unsigned              depth;
    unsigned              place;     /* of the value that follows            */
    stoa_json_val_t      *to;        /* who wants it                         */
    uint32_t              nkeys;
    uint64_t              keys[STOA_PLAIN_KEYS];
    stoa_plain_open_t     open[STOA_PLAIN_DEPTH + 1];
} stoa_plain_t;


static bool stoa_plain_open(stoa_plain_t *w, bool *empty);
static bool stoa_plain_close(stoa_plain_t *w);
static bool stoa_plain_ended(stoa_plain_t *w);
static bool stoa_plain_scalar(stoa_plain_t *w);
static bool stoa_plain_string(stoa_plain_t *w, stoa_json_val_t *val);
static bool stoa_plain_key(stoa_plain_t *w);
static bool stoa_plain_known(stoa_plain_t *w, const char *s, size_t len);


static inline char
stoa_plain_next(stoa_plain_t *w)
{
    while (w->p < w->end && stoa_plain_space(*w->p)) {
        w->p++;
    }

    return w->p < w->end ? *w->p : '\0';
}


bool
stoa_json_plain(const char *data, size_t len, stoa_json_plain_pt member,
    void *ctx, stoa_json_val_t *root)
{
    char          c;
    bool          empty;
    stoa_plain_t  w;

    w.p = data;
    w.end = data + len;
    w.member = member;
    w.ctx = ctx;
    w.depth = 0;
    w.place = member ? 1 : 0;
    w.to = root;
    w.nkeys = 0;

    do {
        c = stoa_plain_next(&w);

        if (c == '{' || c == '[') {
            if (!stoa_plain_open(&w, &empty)) {
                return false;
            }

            if (!empty) {
                continue;
            }

            if (!stoa_plain_close(&w)) {
                return false;
            }

        } else if (!stoa_plain_scalar(&w)) {
            return false;
        }

        if (!stoa_plain_ended(&w)) {
            return false;
        }

    } while (w.depth);

    (void) stoa_plain_next(&w);

    return w.p == w.end;
}


static bool
stoa_plain_open(stoa_plain_t *w, bool *empty)
{
    char                c;
    stoa_plain_open_t  *o;

    if (w->depth == STOA_PLAIN_DEPTH) {
        return false;
    }

    o = &w->open[++w->depth];
    o->start = w->p;
    o->to = w->to;
    o->keys = w->nkeys;
    o->object = (*w->p == '{');
    o->place = o->object ? (uint8_t) w->place : 0;

    w->p++;
    w->place = 0;
    w->to = NULL;

    c = stoa_plain_next(w);
    *empty = (c == (o->object ? '}' : ']'));

    return *empty || !o->object || stoa_plain_key(w);
}


/* At the closing bracket of what is open. */

static bool
stoa_plain_close(stoa_plain_t *w)
{
    stoa_plain_open_t  *o;

    o = &w->open[w->depth];

    if (*w->p++ != (o->object ? '}' : ']')) {
        return false;
    }

    w->depth--;
    w->nkeys = o->keys;

    if (o->to) {
        o->to->type = o->object ? STOA_JSON_OBJECT : STOA_JSON_ARRAY;
        o->to->start = o->start;
        o->to->end = w->p;
        o->to->escaped = false;
    }

    return true;
}


/* A value has ended: on to the next one, or to the end of the root. */

static bool
stoa_plain_ended(stoa_plain_t *w)
{
    while (w->depth) {

        if (stoa_plain_next(w) == ',') {
            w->p++;

            return !w->open[w->depth].object || stoa_plain_key(w);
        }

        if (w->p == w->end || !stoa_plain_close(w)) {
            return false;
        }
    }

    return true;
}


static bool
stoa_plain_scalar(stoa_plain_t *w)
{
    size_t            n;
    const char       *s;
    stoa_json_val_t   val, *to;

    to = w->to ? w->to : &val;
    w->to = NULL;
    w->place = 0;

    if (w->p == w->end) {
        return false;
    }

    to->start = w->p;
    to->escaped = false;

    switch (*w->p) {

    case '"':
        return stoa_plain_string(w, to);

    case 't':
        to->type = STOA_JSON_TRUE;
        s = "true";
        n = 4;
        break;

    case 'f':
        to->type = STOA_JSON_FALSE;
        s = "false";
        n = 5;
        break;

    case 'n':
        to->type = STOA_JSON_NULL;
        s = "null";
        n = 4;
        break;

    default:
        to->type = STOA_JSON_NUMBER;
        to->end = stoa_json_number_end(w->p, w->end);
        w->p = to->end;

        return to->end != NULL;
    }

    if ((size_t) (w->end - w->p) < n || memcmp(w->p, s, n) != 0) {
        return false;
    }

    w->p += n;
    to->end = w->p;

    return true;
}


/* The first byte of a string that is not plain ASCII. */

static inline const char *
stoa_plain_run(const char *p, const char *end)
{
#if defined(__SSE2__)
    int      m;
    __m128i  x;

    while (end - p >= 16) {
        x = _mm_loadu_si128((const __m128i *) p);

        /* as signed bytes, those beyond ASCII are below all */

        m = _mm_movemask_epi8(
                _mm_or_si128(_mm_cmplt_epi8(x, _mm_set1_epi8(0x20)),
                    _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('"')),
                                 _mm_cmpeq_epi8(x, _mm_set1_epi8('\\')))));
        if (m) {
            return p + __builtin_ctz((unsigned) m);
        }

        p += 16;
    }
#endif

    while (p < end && *p != '"' && *p != '\\' && (unsigned char) *p >= 0x20
           && (unsigned char) *p < 0x80)
    {
        p++;
    }

    return p;
}


static bool
stoa_plain_string(stoa_plain_t *w, stoa_json_val_t *val)
{
    size_t  n;

    val->type = STOA_JSON_STRING;
    w->p++;

    for ( ;; ) {
        w->p = stoa_plain_run(w->p, w->end);

        if (w->p == w->end) {
            return false;
        }

        if (*w->p == '"') {
            val->end = ++w->p;
            return true;
        }

        if (*w->p == '\\') {
            val->escaped = true;

            if (w->end - w->p < 2 || w->p[1] == '\0'
                || strchr("\"\\/bfnrt", w->p[1]) == NULL)
            {
                return false;
            }

            w->p += 2;
            continue;
        }

        n = (unsigned char) *w->p < 0x80 ? 0 : stoa_utf8_char(w->p, w->end);

        if (n == 0) {
            return false;
        }

        w->p += n;
    }
}


/* A name and its colon; where its value goes. */

static bool
stoa_plain_key(stoa_plain_t *w)
{
    const char       *start;
    stoa_json_val_t   key;

    if (stoa_plain_next(w) != '"') {
        return false;
    }

    start = w->p + 1;
    w->p = stoa_plain_run(start, w->end);

    if (w->p == w->end || *w->p != '"'
        || stoa_plain_known(w, start, (size_t) (w->p - start)))
    {
        return false;
    }

    w->p++;

    if (w->open[w->depth].place) {
        key.type = STOA_JSON_STRING;
        key.start = start - 1;
        key.end = w->p;
        key.escaped = false;

        if (!w->member(w->ctx, w->open[w->depth].place, &key, &w->to,
                       &w->place))
        {
            return false;
        }
    }

    if (stoa_plain_next(w) != ':') {
        return false;
    }

    w->p++;

    return true;
}


/*
 * Could an object have had this name before?  A word stands for a name: equal
 * names have equal words, and so rarely do others that it need not be known.
 */

static bool
stoa_plain_known(stoa_plain_t *w, const char *s, size_t len)
{
    uint64_t  word, tail;
    uint32_t  i, first;

    /* in the order of the bytes in memory */

    static const union {
        char      bytes[8];
        uint64_t  word;
    } masks[] = {
        { "" }, { "\xff" }, { "\xff\xff" }, { "\xff\xff\xff" },
        { "\xff\xff\xff\xff" }, { "\xff\xff\xff\xff\xff" },
        { "\xff\xff\xff\xff\xff\xff" },
        { "\xff\xff\xff\xff\xff\xff\xff" }
    };

    if (w->end - s < 8) {
        return true;
    }

    memcpy(&word, s, 8);

    if (len >= 8) {
        memcpy(&tail, s + len - 8, 8);
        word = (word ^ (tail << 29 | tail >> 35)) + len;

    } else {
        word = (word & masks[len].word) ^ (uint64_t) len << 48;
    }

    first = w->open[w->depth].keys;

    if (w->nkeys == STOA_PLAIN_KEYS || w->nkeys - first == STOA_PLAIN_MEMBERS)
    {
        return true;
    }

    for (i = first; i < w->nkeys; i++) {
        if (w->keys[i] == word) {
            return true;
        }
    }

    w->keys[w->nkeys++] = word;

    return false;
}
