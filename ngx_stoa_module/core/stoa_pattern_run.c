/*
 * The run of a pattern: all states that its automaton can be in, character by
 * character.
 */

#include <string.h>

#include "stoa_pattern_ins.h"


/* States, each once. */

typedef struct {
    uint32_t   n;
    uint16_t   state[STOA_PATTERN_MAX];
    uint32_t   from[STOA_PATTERN_MAX];   /* where what led to it began       */
    uint64_t   in[STOA_PATTERN_MAX / 64 + 1];
} stoa_pattern_set_t;


static void stoa_pattern_add(const stoa_pattern_ins_t *ins,
    stoa_pattern_set_t *set, uint32_t state, uint32_t from, bool first,
    bool last);
static bool stoa_pattern_takes(const stoa_pattern_ins_t *ins,
    const stoa_pattern_range_t *ranges, uint32_t c);


bool
stoa_pattern_found(const void *program, const char *s, size_t len,
    bool escaped, size_t *steps)
{
    bool                         first;
    size_t                       cost;
    uint32_t                     c, i, state;
    const char                  *end;
    stoa_pattern_set_t           sets[2], *now, *next, *swap;
    const stoa_pattern_t        *head;
    const stoa_pattern_ins_t    *ins;
    const stoa_pattern_range_t  *ranges;

    head = program;
    ins = (const stoa_pattern_ins_t *) (head + 1);
    ranges = (const stoa_pattern_range_t *) (ins + head->nins);
    end = s + len;
    now = &sets[0];
    next = &sets[1];

    now->n = 0;
    memset(now->in, 0, sizeof(now->in));

    for (first = true; /* void */; first = false) {

        /* it may begin anywhere */

        stoa_pattern_add(ins, now, 0, 0, first, s == end);

        if (now->in[(head->nins - 1) / 64] >> (head->nins - 1) % 64 & 1) {
            return true;
        }

        if (s == end) {
            return false;
        }

        c = stoa_pattern_char(&s, end, escaped);
        next->n = 0;
        memset(next->in, 0, (head->nins / 64 + 1) * sizeof(next->in[0]));

        for (i = 0, cost = 1; i < now->n; i++) {
            cost += 1U + ins[now->state[i]].n;
        }

        if (cost >= *steps) {
            *steps = 0;
            return false;
        }

        *steps -= cost;

        for (i = 0; i < now->n; i++) {
            state = now->state[i];

            if (ins[state].op <= ABSENT
                && stoa_pattern_takes(&ins[state], ranges, c))
            {
                stoa_pattern_add(ins, next, state + 1, 0, false, s == end);
            }
        }

        swap = now;
        now = next;
        next = swap;
    }
}


/* Of the states those that began first come first, so each is what began
 * leftmost; once one is found only what began there goes on. */

bool
stoa_pattern_next(const void *program, const char *s, size_t len, size_t *at,
    size_t *to, size_t *steps)
{
    bool                         found;
    size_t                       cost, from, p;
    uint32_t                     c, i, state;
    const char                  *q;
    stoa_pattern_set_t           sets[2], *now, *next, *swap;
    const stoa_pattern_t        *head;
    const stoa_pattern_ins_t    *ins;
    const stoa_pattern_range_t  *ranges;

    head = program;
    ins = (const stoa_pattern_ins_t *) (head + 1);
    ranges = (const stoa_pattern_range_t *) (ins + head->nins);
    now = &sets[0];
    next = &sets[1];
    now->n = 0;
    memset(now->in, 0, sizeof(now->in));

    for (p = *at, from = 0, found = false; /* void */ ; p = (size_t) (q - s)) {

        if (!found) {
            stoa_pattern_add(ins, now, 0, (uint32_t) p, p == 0, p == len);
        }

        for (i = 0, cost = 1; i < now->n; i++) {
            state = now->state[i];
            cost += 1U + ins[state].n;

            if (ins[state].op == FOUND && p > now->from[i]
                && (!found || now->from[i] <= from))
            {
                found = true;
                from = now->from[i];
                *to = p;
            }
        }

        if (p >= len || (found && now->n == 0)) {
            break;
        }

        if (cost >= *steps) {
            *steps = 0;
            return false;
        }

        *steps -= cost;
        q = s + p;
        c = stoa_pattern_char(&q, s + len, false);
        next->n = 0;
        memset(next->in, 0, (head->nins / 64 + 1) * sizeof(next->in[0]));

        for (i = 0; i < now->n; i++) {
            state = now->state[i];

            if (ins[state].op <= ABSENT && (!found || now->from[i] <= from)
                && stoa_pattern_takes(&ins[state], ranges, c))
            {
                stoa_pattern_add(ins, next, state + 1, now->from[i], false,
                                 (size_t) (q - s) == len);
            }
        }

        swap = now;
        now = next;
        next = swap;
    }

    *at = found ? from : len;

    return found;
}


/* The state, and all that it leads to without a character. */

static void
stoa_pattern_add(const stoa_pattern_ins_t *ins, stoa_pattern_set_t *set,
    uint32_t state, uint32_t from, bool first, bool last)
{
    uint32_t  at;

    at = set->n;

    for ( ;; ) {
        if (!(set->in[state / 64] >> state % 64 & 1)) {
            set->in[state / 64] |= UINT64_C(1) << state % 64;
            set->from[set->n] = from;
            set->state[set->n++] = (uint16_t) state;
        }

        /* those that were added are looked at one after the other */

        for ( /* void */ ; at < set->n; at++) {
            state = set->state[at];

            if (ins[state].op == SPLIT
                && !(set->in[ins[state].x / 64] >> ins[state].x % 64 & 1))
            {
                set->in[ins[state].x / 64] |= UINT64_C(1)
                                              << ins[state].x % 64;
                set->from[set->n] = from;
                set->state[set->n++] = (uint16_t) ins[state].x;
            }

            if (ins[state].op == SPLIT || (ins[state].op == BEGIN && first)
                || (ins[state].op == END && last))
            {
                state++;
                break;
            }

            if (ins[state].op == JUMP) {
                state = ins[state].x;
                break;
            }
        }

        if (at == set->n) {
            return;
        }

        at++;
    }
}


static bool
stoa_pattern_takes(const stoa_pattern_ins_t *ins,
    const stoa_pattern_range_t *ranges, uint32_t c)
{
    uint32_t  i;

    for (i = ins->x; i < ins->x + ins->n; i++) {
        if (c >= ranges[i].lo && c <= ranges[i].hi) {
            return ins->op == RANGES;
        }
    }

    return ins->op == ABSENT;
}
