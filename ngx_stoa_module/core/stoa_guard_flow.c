/*
 * Texts in pieces.
 */

#include <string.h>

#include "stoa_guard_flow.h"
#include "stoa_guard_number.h"


#define STOA_GUARD_WORD    8192              /* held back, of one word       */
#define STOA_GUARD_LONG    16384             /* ... of one find              */
#define STOA_GUARD_GROUPS  64                /* ... of numbers in groups     */
#define STOA_GUARD_SAID    160               /* ... of what is said          */
#define STOA_GUARD_OWN     512               /* ... of somebody's pattern    */
#define STOA_GUARD_BEFORE  64                /* kept of what was given out   */
#define STOA_GUARD_TAIL    32                /* the end of a key's block     */
#define STOA_GUARD_ESCAPE  12                /* the longest, in the copy     */


static size_t stoa_guard_flow_block(const char *s, size_t from, size_t len,
    bool *ended);
static void stoa_guard_flow_open(stoa_guard_flow_t *flow,
    stoa_guard_look_t *l, size_t cut, stoa_guard_hit_t *hit);
static void stoa_guard_flow_go(stoa_guard_flow_t *flow, size_t to,
    stoa_buf_t *out);


void
stoa_guard_flow_init(stoa_guard_flow_t *flow, const stoa_guard_set_t *set,
    bool json, bool masks, size_t max)
{
    memset(flow, 0, sizeof(stoa_guard_flow_t));
    flow->set = set;
    flow->json = json;
    flow->masks = masks;
    stoa_buf_init(&flow->text, max + 2 * STOA_GUARD_LONG);
    stoa_buf_init(&flow->copy, max + 2 * STOA_GUARD_LONG);
}


void
stoa_guard_flow_free(stoa_guard_flow_t *flow)
{
    stoa_buf_free(&flow->text);
    stoa_buf_free(&flow->copy);
}


size_t
stoa_guard_flow_at(const char *s, size_t len, unsigned how, size_t n)
{
    stoa_guard_pos_t  pos;
    stoa_guard_hit_t  hit;

    memset(&pos, 0, sizeof(pos));
    hit.from = SIZE_MAX;                     /* nothing is masked            */
    hit.to = n;
    stoa_guard_mask(&pos, (char *) (uintptr_t) s, len, how, &hit);

    return pos.at;
}


static stoa_rc_t
stoa_guard_flow_begin(stoa_guard_flow_t *flow, bool last,
    stoa_guard_look_t *l, bool *plain)
{
    memset(l, 0, sizeof(stoa_guard_look_t));
    l->how = flow->set->decode;
    *plain = stoa_guard_plain(flow->text.data, flow->text.len, l->how);
    l->s = flow->text.data;
    l->len = flow->text.len;
    l->copy = l->s;
    l->copy_len = l->len;
    l->done = flow->sent;

    if (!*plain) {
        stoa_buf_reset(&flow->copy);

        if (stoa_buf_reserve(&flow->copy, l->len) != STOA_OK) {
            return flow->copy.rc;
        }

        l->copy = flow->copy.data;
        l->done = stoa_guard_fold(l->s, flow->sent, l->how, flow->copy.data);
        l->copy_len = stoa_guard_fold(l->s, l->len, l->how, flow->copy.data);
    }

    l->json = flow->json;
    l->string = flow->string;
    l->masks = flow->masks;
    l->more = !last;

    return STOA_OK;
}


/* What the copy says is where it was: where escapes before it were masked the
 * text has to be folded anew, so it is masked from behind. */

static void
stoa_guard_flow_mask(stoa_guard_flow_t *flow, stoa_guard_look_t *l,
    const stoa_guard_hit_t *hit)
{
    stoa_guard_pos_t  pos;

    memset(&pos, 0, sizeof(pos));
    pos.json = flow->json;
    pos.string = flow->string;

    if (flow->masks) {
        stoa_guard_mask(&pos, l->s, l->len, l->how, hit);
    }
}


stoa_rc_t
stoa_guard_flow_feed(stoa_guard_flow_t *flow, const char *s, size_t len,
    bool last, stoa_buf_t *out, unsigned *found)
{
    bool               plain, ended;
    size_t             n, from, cut;
    unsigned           i;
    stoa_guard_hit_t   hit;
    stoa_guard_look_t  l, first;

    *found = 0;
    stoa_buf_add(&flow->text, s, len);

    if (flow->text.rc != STOA_OK || flow->text.len == 0) {
        return flow->text.rc;
    }

    if (stoa_guard_flow_begin(flow, last, &l, &plain) != STOA_OK) {
        return STOA_ERROR;
    }

    if (flow->block) {
        from = l.done;
        l.done = stoa_guard_flow_block(l.copy, from, l.copy_len, &ended);
        n = last && !ended ? l.len
            : stoa_guard_flow_at(l.s, l.len, l.how, l.done);
        hit.from = from;
        hit.to = ended || !last ? l.done : l.copy_len;
        stoa_guard_flow_mask(flow, &l, &hit);

        stoa_guard_flow_go(flow, n, out);

        if (!ended) {
            return out->rc;
        }

        flow->block = false;

        return stoa_guard_flow_feed(flow, "", 0, last, out, found);
    }

    cut = last ? l.copy_len : stoa_guard_flow_cut(flow->set, l.copy,
                                                  l.copy_len);
    l.to = cut > l.done ? cut : l.done;

    /* where escapes are masked what is behind them lies elsewhere */

    first = l;
    first.masks = flow->masks && plain;
    *found = stoa_guard_look(flow->set, &first);

    hit.to = 0;
    cut = first.to < cut && !last ? cut : 0;
    l.to = first.to;

    if (cut) {
        stoa_guard_flow_open(flow, &first, cut, &hit);
    }

    n = plain ? first.to : stoa_guard_flow_at(l.s, l.len, l.how, first.to);

    if (hit.to) {
        *found |= 1u << STOA_GUARD_SECRET;
        stoa_guard_flow_mask(flow, &l, &hit);
    }

    if (flow->masks && !plain && *found) {
        l.masks = true;
        (void) stoa_guard_look(flow->set, &l);
    }

    for (i = 0; i < STOA_GUARD_MAX; i++) {
        flow->count[i] += first.count[i];
    }

    flow->over |= first.over;

    stoa_guard_flow_go(flow, n, out);

    return out->rc;
}


/* A find lies over the cut, and is all that is left: too long to wait for its
 * end.  Of a private key nothing goes until that comes. */

static void
stoa_guard_flow_open(stoa_guard_flow_t *flow, stoa_guard_look_t *l,
    size_t cut, stoa_guard_hit_t *hit)
{
    bool    key, ended;
    size_t  end;

    key = l->copy_len - l->to > 5 && memcmp(l->copy + l->to, "-----", 5) == 0;

    if (l->copy_len - l->to < (key ? 4 * STOA_GUARD_TAIL : STOA_GUARD_LONG)) {
        return;
    }

    hit->kind = STOA_GUARD_SECRET;
    hit->from = l->to;
    hit->to = cut;
    ended = true;

    if (key) {
        end = stoa_guard_flow_block(l->copy, l->to, l->copy_len, &ended);
        hit->to = end;
    }

    l->count[STOA_GUARD_SECRET]++;
    l->to = hit->to;
    flow->block = !ended;
}


/* Where the block ends: behind it, or as far as it is there without its last
 * line, of which there may be more. */

static size_t
stoa_guard_flow_block(const char *s, size_t from, size_t len, bool *ended)
{
    size_t  i, line;

    *ended = true;

    for (i = from; i < len; i++) {
        if (s[i] == '"') {
            return i;
        }

        if (s[i] == '-' && len - i >= 9 && memcmp(s + i, "-----END ", 9) == 0)
        {
            line = i;

            for (i += 9; i < len && s[i] != '-' && s[i] != '"'; i++) {
                /* void */
            }

            while (i < len && s[i] == '-') {
                i++;
            }

            *ended = i < len || len - line > 4 * STOA_GUARD_TAIL;

            return *ended ? i : line;
        }
    }

    *ended = false;

    return len - from > STOA_GUARD_TAIL ? len - STOA_GUARD_TAIL : from;
}


/* Of what stays the first is what stands before it. */

static void
stoa_guard_flow_go(stoa_guard_flow_t *flow, size_t to, stoa_buf_t *out)
{
    char    *s;
    size_t   i, drop;

    s = flow->text.data;

    if (to > flow->sent) {
        stoa_buf_add(out, s + flow->sent, to - flow->sent);
        flow->sent = to;
    }

    drop = flow->sent > STOA_GUARD_BEFORE ? flow->sent - STOA_GUARD_BEFORE : 0;

    /* not inside of an escape */

    for (i = 0; i < drop; i++) {
        if (s[i] == '\\') {
            i++;

        } else if (s[i] == '"') {
            flow->string = !flow->string;
        }
    }

    drop = i < flow->sent ? i : flow->sent;

    if (drop) {
        flow->text.len -= drop;
        flow->sent -= drop;
        memmove(s, s + drop, flow->text.len);
    }
}


static inline bool
stoa_guard_flow_word(char ch)
{
    return stoa_guard_alnum(ch) || ch == '_' || ch == '-' || ch == '.'
           || ch == '+' || ch == '@' || ch == '%' || ch == '/' || ch == '\\';
}


size_t
stoa_guard_flow_cut(const stoa_guard_set_t *set, const char *s, size_t len)
{
    bool    lines;
    size_t  i, cut, hold;

    /* base64 goes on behind the end of a line */

    lines = set->decode & STOA_GUARD_BASE64;
    hold = set->n ? STOA_GUARD_OWN
           : set->kinds & 1u << STOA_GUARD_INJECTION ? STOA_GUARD_SAID : 0;
    cut = len > hold ? len - hold : 0;

    /* an escape that is not whole */

    for (i = len > STOA_GUARD_ESCAPE ? len - STOA_GUARD_ESCAPE : 0; i < cut;
         i++)
    {
        if ((s[i] == '\\' && len - i <= 6)
            || (s[i] == '%' && len - i <= 2
                && (set->decode & STOA_GUARD_PERCENT))
            || (s[i] == '&' && (set->decode & STOA_GUARD_ENTITIES))
            || ((uint8_t) s[i] >= 0x7f && len - i <= 3
                && (set->decode & STOA_GUARD_UNICODE)))
        {
            cut = i;
        }
    }

    for (i = cut; i > 0 && cut - i < STOA_GUARD_GROUPS
         && (stoa_guard_digit(s[i - 1]) || stoa_guard_upper(s[i - 1])
             || (s[i - 1] && strchr(" +-.()/", s[i - 1]))); i--)
    { /* void */ }

    for (cut = i; i > 0 && (stoa_guard_flow_word(s[i - 1])
                            || (lines && (s[i - 1] == '\n'
                                          || s[i - 1] == '\r'))); i--)
    {
        if (len - i >= STOA_GUARD_WORD) {
            return i;
        }
    }

    return i;
}
