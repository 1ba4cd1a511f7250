/*
 * Streams of events with parts of texts.
 */

#include <string.h>

#include "stoa_guard_flow.h"
#include "stoa_json.h"
#include "stoa_key.h"


#define STOA_GUARD_HELD   262144
#define STOA_GUARD_DEPTH  16
#define STOA_GUARD_PLAIN  1                  /* the id of what is no JSON    */


typedef struct {
    stoa_guard_events_t  *e;
    size_t                event;
    bool                  any;
    bool                  ping;
} stoa_guard_walk_t;


static size_t stoa_guard_events_end(const char *s, size_t len);
static unsigned stoa_guard_events_look(stoa_guard_events_t *e, size_t to);
static void stoa_guard_events_one(stoa_guard_events_t *e, size_t from,
    size_t to);
static void stoa_guard_events_line(stoa_guard_walk_t *w, const char *s,
    size_t len);
static void stoa_guard_events_walk(stoa_guard_walk_t *w,
    const stoa_json_val_t *val, uint64_t id, unsigned depth);
static void stoa_guard_events_part(stoa_guard_walk_t *w, uint64_t id,
    const char *s, size_t len);
static bool stoa_guard_events_seen(const stoa_guard_events_t *e, unsigned i);
static unsigned stoa_guard_events_text(stoa_guard_events_t *e, unsigned first,
    bool all);
static void stoa_guard_events_cleared(stoa_guard_events_t *e, unsigned first,
    const size_t *len, size_t to, bool found);
static void stoa_guard_events_mask(stoa_guard_events_t *e,
    stoa_guard_part_t *p, size_t at, size_t len);
static unsigned stoa_guard_events_go(stoa_guard_events_t *e, bool last,
    stoa_buf_t *out);


/* What is a text of which a part comes at a time; what tells them apart. */

static const char *const  stoa_guard_texts[] = {
    "content", "text", "delta", "arguments", "partial_json", "thinking",
    "reasoning", "reasoning_content", "refusal", "transcript", "input",
    "output_text", "completion", NULL
};

static const char *const  stoa_guard_indexes[] = {
    "index", "content_index", "output_index", "item_id", NULL
};


void
stoa_guard_events_init(stoa_guard_events_t *e, const stoa_guard_set_t *set,
    bool masks, size_t max)
{
    memset(e, 0, sizeof(stoa_guard_events_t));
    e->set = set;
    e->masks = masks;
    stoa_buf_init(&e->text, max + 2 * STOA_GUARD_HELD);
    stoa_buf_init(&e->copy, max + 2 * STOA_GUARD_HELD);
    stoa_buf_init(&e->joined, max + 2 * STOA_GUARD_HELD);
    stoa_buf_init(&e->folded, max + 2 * STOA_GUARD_HELD);
}


void
stoa_guard_events_free(stoa_guard_events_t *e)
{
    stoa_buf_free(&e->text);
    stoa_buf_free(&e->copy);
    stoa_buf_free(&e->joined);
    stoa_buf_free(&e->folded);
}


stoa_rc_t
stoa_guard_events_feed(stoa_guard_events_t *e, const char *s, size_t len,
    bool last, stoa_buf_t *out, unsigned *found)
{
    bool      all;
    size_t    n, from;
    unsigned  i;

    *found = 0;
    stoa_buf_add(&e->text, s, len);

    if (e->text.rc != STOA_OK) {
        return e->text.rc;
    }

    for ( ;; ) {
        from = e->read;
        n = stoa_guard_events_end(e->text.data + from, e->text.len - from);

        if (n == 0) {
            if ((!last && e->text.len - from < STOA_GUARD_HELD)
                || e->text.len == from)
            {
                break;
            }

            n = e->text.len - from;          /* cut, or too long             */
        }

        stoa_guard_events_one(e, from, from + n);
        e->read = from + n;

        if (e->flush || e->nparts == STOA_GUARD_PARTS) {
            while (e->nparts) {
                *found |= stoa_guard_events_text(e, 0, true);
            }

            e->flush = false;
        }
    }

    all = last || e->read > STOA_GUARD_HELD;

    for (i = 0; i < e->nparts; /* void */ ) {
        if (stoa_guard_events_seen(e, i)) {
            i++;
            continue;
        }

        n = e->nparts;
        *found |= stoa_guard_events_text(e, i, all);

        /* those that are cleared are gone */

        i += e->nparts == n;
    }

    *found |= stoa_guard_events_go(e, last, out);

    return e->copy.rc != STOA_OK ? e->copy.rc
           : e->folded.rc != STOA_OK ? e->folded.rc
           : e->joined.rc != STOA_OK ? e->joined.rc : out->rc;
}


/* How long the first event is, its blank line with it; 0: it is not whole.  A
 * line ends with LF, CR LF or CR. */

static size_t
stoa_guard_events_end(const char *s, size_t len)
{
    const char  *p, *last;

    last = s + len;

    for (p = s; p < last; p++) {

        if (*p != '\n' && *p != '\r') {
            continue;
        }

        p += *p == '\r' && last - p > 1 && p[1] == '\n';

        if (last - p > 1 && (p[1] == '\n' || p[1] == '\r')) {
            return (size_t) (p - s) + 2
                   + (p[1] == '\r' && last - p > 2 && p[2] == '\n');
        }
    }

    return 0;
}


/* Whole events as they are, once their parts are cleared. */

static unsigned
stoa_guard_events_look(stoa_guard_events_t *e, size_t to)
{
    unsigned           i, found;
    stoa_guard_look_t  l;

    stoa_buf_reset(&e->copy);

    if (stoa_buf_reserve(&e->copy, to + 1) != STOA_OK) {
        return 0;
    }

    memset(&l, 0, sizeof(l));
    l.s = e->text.data;
    l.len = to;
    l.copy = e->copy.data;
    l.how = e->set->decode;
    l.copy_len = stoa_guard_fold(l.s, l.len, l.how, e->copy.data);
    l.json = true;
    l.masks = e->masks;
    l.to = l.copy_len;
    found = stoa_guard_look(e->set, &l);

    for (i = 0; i < STOA_GUARD_MAX; i++) {
        e->count[i] += l.count[i];
    }

    e->over |= l.over;

    return found;
}


/* Its parts; one of data without any says that they are at their end. */

static void
stoa_guard_events_one(stoa_guard_events_t *e, size_t from, size_t to)
{
    bool                data;
    const char         *p, *end, *last;
    stoa_guard_walk_t   w;

    memset(&w, 0, sizeof(w));
    w.e = e;
    w.event = from;
    data = false;
    last = e->text.data + to;

    for (p = e->text.data + from; p < last; p = end + 1) {
        for (end = p; end < last && *end != '\n' && *end != '\r'; end++)
        { /* void */ }

        if (end - p > 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
            p += 3;                          /* a stream may begin so        */
        }

        if (end - p > 5 && memcmp(p, "data:", 5) == 0) {
            data = true;
            stoa_guard_events_line(&w, p + 5, (size_t) (end - p - 5));
        }
    }

    e->flush |= data && !w.any && !w.ping;
}


static void
stoa_guard_events_line(stoa_guard_walk_t *w, const char *s, size_t len)
{
    stoa_json_val_t  root, type;

    if (len && *s == ' ') {
        s++;
        len--;
    }

    if (len && s[len - 1] == '\r') {
        len--;
    }

    if (len == 6 && memcmp(s, "[DONE]", 6) == 0) {
        return;
    }

    if (stoa_json_check(s, len, STOA_GUARD_DEPTH, &root, NULL) != STOA_OK
        || (root.type != STOA_JSON_OBJECT && root.type != STOA_JSON_ARRAY))
    {
        stoa_guard_events_part(w, STOA_GUARD_PLAIN, s, len);
        return;
    }

    w->ping = root.type == STOA_JSON_OBJECT
              && stoa_json_get(&root, "type", &type)
              && stoa_json_eq(&type, "ping", 4);

    stoa_guard_events_walk(w, &root, 2, 0);
}


static void
stoa_guard_events_walk(stoa_guard_walk_t *w, const stoa_json_val_t *val,
    uint64_t id, unsigned depth)
{
    bool              more;
    uint64_t          n;
    stoa_json_val_t   key, item;
    stoa_json_iter_t  it;
    const char *const  *name;

    if (val->type == STOA_JSON_OBJECT) {
        for (name = stoa_guard_indexes; *name; name++) {
            if (stoa_json_get(val, *name, &item)
                && (item.type == STOA_JSON_NUMBER
                    || item.type == STOA_JSON_STRING))
            {
                id = stoa_hash64(item.start, (size_t) (item.end - item.start),
                                 id);
            }
        }
    }

    n = 0;

    for (more = stoa_json_first(val, &it, &key, &item);
         more;
         more = stoa_json_next(&it, &key, &item), n++)
    {
        if (item.type == STOA_JSON_OBJECT || item.type == STOA_JSON_ARRAY) {
            if (depth < STOA_GUARD_DEPTH) {
                stoa_guard_events_walk(w, &item,
                    val->type == STOA_JSON_ARRAY
                    ? stoa_hash64(&n, sizeof(n), id)
                    : stoa_hash64(key.start, (size_t) (key.end - key.start),
                                  id),
                    depth + 1);
            }

            continue;
        }

        if (val->type != STOA_JSON_OBJECT || item.type != STOA_JSON_STRING) {
            continue;
        }

        for (name = stoa_guard_texts; *name; name++) {
            if (stoa_json_eq(&key, *name, strlen(*name))) {
                stoa_guard_events_part(w,
                    stoa_hash64(key.start, (size_t) (key.end - key.start), id),
                    item.start + 1, (size_t) (item.end - item.start) - 2);
                break;
            }
        }
    }
}


static void
stoa_guard_events_part(stoa_guard_walk_t *w, uint64_t id, const char *s,
    size_t len)
{
    stoa_guard_part_t    *p;
    stoa_guard_events_t  *e;

    e = w->e;
    w->any = true;

    if (len == 0 || e->nparts == STOA_GUARD_PARTS) {
        return;
    }

    p = &e->part[e->nparts++];
    p->id = id;
    p->event = w->event;
    p->from = (size_t) (s - e->text.data);
    p->to = p->from + len;
}


/* How a part is read: what joins others is read then. */

static inline unsigned
stoa_guard_events_how(const stoa_guard_events_t *e)
{
    return e->set->decode & STOA_GUARD_UNICODE;
}


/* Is it of a text that one before it is of?  That is looked at with all of its
 * parts: without the first, a find that begins there would be none. */

static bool
stoa_guard_events_seen(const stoa_guard_events_t *e, unsigned i)
{
    unsigned  k;

    for (k = 0; k < i; k++) {
        if (e->part[k].id == e->part[i].id) {
            return true;
        }
    }

    return false;
}


/* The joined text, as it is and as it is read. */

static stoa_rc_t
stoa_guard_events_fold(stoa_guard_events_t *e, stoa_guard_look_t *l)
{
    char  *q;

    for (q = e->joined.data; q < e->joined.data + e->joined.len; q++) {
        *q = *q == '\\' ? 1 : *q;            /* it escapes nothing any more  */
    }

    stoa_buf_add(&e->copy, e->joined.data, e->joined.len);

    memset(l, 0, sizeof(stoa_guard_look_t));
    l->s = e->joined.data;
    l->len = e->joined.len;
    l->copy = e->copy.data;
    l->copy_len = e->joined.len;
    l->how = e->set->decode | STOA_GUARD_BARE;
    l->masks = e->masks;

    if (!stoa_guard_plain(l->s, l->len, l->how)) {
        stoa_buf_reset(&e->folded);

        if (stoa_buf_reserve(&e->folded, l->len) != STOA_OK) {
            return STOA_ERROR;
        }

        l->copy = e->folded.data;
        l->copy_len = stoa_guard_fold(l->s, l->len, l->how, e->folded.data);
    }

    return STOA_OK;
}


/* The text that the first of these is of, from there on: finds over several
 * parts; what is cleared goes. */

static unsigned
stoa_guard_events_text(stoa_guard_events_t *e, unsigned first, bool all)
{
    size_t              len[STOA_GUARD_PARTS];
    unsigned            i, found;
    uint64_t            id;
    stoa_guard_part_t  *p;
    stoa_guard_look_t   l;

    id = e->part[first].id;
    stoa_buf_reset(&e->joined);
    stoa_buf_reset(&e->copy);

    for (i = first; i < e->nparts; i++) {
        p = &e->part[i];

        if (p->id == id
            && stoa_buf_reserve(&e->joined, p->to - p->from + 1) == STOA_OK)
        {
            len[i] = stoa_guard_fold(e->text.data + p->from, p->to - p->from,
                                     stoa_guard_events_how(e),
                                     e->joined.data + e->joined.len);
            e->joined.len += len[i];
        }
    }

    if (e->joined.rc != STOA_OK) {
        return 0;
    }

    if (stoa_guard_events_fold(e, &l) != STOA_OK) {
        return 0;
    }

    l.to = all ? l.copy_len
           : stoa_guard_flow_cut(e->set, l.copy, l.copy_len);
    l.more = !all;

    found = stoa_guard_look(e->set, &l);

    l.to = l.to == 0 && !all && l.len > STOA_GUARD_HELD ? l.len
           : stoa_guard_flow_at(e->copy.data, l.len, l.how, l.to);

    for (i = 0; i < STOA_GUARD_MAX; i++) {
        e->count[i] += l.count[i];
    }

    e->over |= l.over;

    stoa_guard_events_cleared(e, first, len, l.to, found != 0);

    return found;
}


/* So much of the joined text is: what of the parts. */

static void
stoa_guard_events_cleared(stoa_guard_events_t *e, unsigned first,
    const size_t *len, size_t to, bool found)
{
    size_t              at, n;
    unsigned            i, k;
    uint64_t            id;
    stoa_guard_hit_t    hit;
    stoa_guard_pos_t    pos;
    stoa_guard_part_t  *p;

    id = e->part[first].id;

    for (i = first, k = first, at = 0; i < e->nparts; i++) {
        p = &e->part[i];

        if (p->id == id) {
            n = len[i];

            if (e->masks && found) {
                stoa_guard_events_mask(e, p, at, n);
            }

            if (at + n <= to) {
                at += n;
                continue;                    /* it is cleared                */
            }

            if (at < to) {
                memset(&pos, 0, sizeof(pos));
                hit.from = SIZE_MAX;
                hit.to = to - at;
                stoa_guard_mask(&pos, e->text.data + p->from, p->to - p->from,
                                stoa_guard_events_how(e), &hit);
                p->from += pos.at;
            }

            at += n;
        }

        e->part[k++] = *p;
    }

    e->nparts = k;
}


/* In the event what is another byte in the joined text. */

static void
stoa_guard_events_mask(stoa_guard_events_t *e, stoa_guard_part_t *p,
    size_t at, size_t len)
{
    size_t             i;
    const char        *was, *is;
    stoa_guard_hit_t   hit;
    stoa_guard_pos_t   pos;

    was = e->copy.data + at;
    is = e->joined.data + at;
    memset(&pos, 0, sizeof(pos));

    for (i = 0; i < len; i++) {
        if (was[i] != is[i]) {
            hit.from = i;

            while (i < len && was[i] != is[i]) {
                i++;
            }

            hit.to = i;
            stoa_guard_mask(&pos, e->text.data + p->from, p->to - p->from,
                            stoa_guard_events_how(e), &hit);
        }
    }
}


/* Events before the first that has something to wait for. */

static unsigned
stoa_guard_events_go(stoa_guard_events_t *e, bool last, stoa_buf_t *out)
{
    size_t    n;
    unsigned  i, found;

    n = last ? e->text.len : e->read;

    for (i = 0; i < e->nparts; i++) {
        n = e->part[i].event < n ? e->part[i].event : n;
    }

    if (n == 0) {
        return 0;
    }

    found = stoa_guard_events_look(e, n);
    stoa_buf_add(out, e->text.data, n);
    e->text.len -= n;
    memmove(e->text.data, e->text.data + n, e->text.len);
    e->read = e->read > n ? e->read - n : 0;

    for (i = 0; i < e->nparts; i++) {
        e->part[i].event -= n;
        e->part[i].from -= n;
        e->part[i].to -= n;
    }

    return found;
}
