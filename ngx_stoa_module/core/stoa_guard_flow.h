/*
 * A text that comes in pieces, looked through as if it were whole: what may be
 * the begin of a find is held back until more has come, a word of 8 KiB at
 * most.  What was given out stays as what stands before the rest.
 *
 * A stream of events whose data is JSON: texts that models send a part at a
 * time (`content`, `text`, `arguments`, ...) are one text each, over all
 * events; events are held back until theirs are cleared, 256 KiB at most.
 *
 * Process: any.  Owner: who has it frees it.
 */

#ifndef STOA_GUARD_FLOW_H
#define STOA_GUARD_FLOW_H


#include "stoa_guard.h"


typedef struct {
    const stoa_guard_set_t  *set;
    bool                     masks;
    bool                     json;
    bool                     string;         /* text begins inside of one    */
    bool                     block;          /* inside of a private key      */
    size_t                   sent;           /* of text: it was given out    */
    stoa_buf_t               text;
    stoa_buf_t               copy;
    unsigned                 count[STOA_GUARD_MAX];
    bool                     over;
} stoa_guard_flow_t;

void stoa_guard_flow_init(stoa_guard_flow_t *flow,
    const stoa_guard_set_t *set, bool json, bool masks, size_t max);
void stoa_guard_flow_free(stoa_guard_flow_t *flow);

/* Takes a piece, adds to out what may go; last: all of it.  *found: kinds. */
stoa_rc_t stoa_guard_flow_feed(stoa_guard_flow_t *flow, const char *s,
    size_t len, bool last, stoa_buf_t *out, unsigned *found) STOA_MUST_CHECK;

/* How much of a folded text may go: what is behind may be the begin of a
 * find. */
size_t stoa_guard_flow_cut(const stoa_guard_set_t *set, const char *s,
    size_t len);

/* What of s the first n bytes of its copy are. */
size_t stoa_guard_flow_at(const char *s, size_t len, unsigned how, size_t n);


#define STOA_GUARD_PARTS  512

typedef struct {
    uint64_t  id;                            /* of where in JSON it is       */
    size_t    event;                         /* in text: its event's begin   */
    size_t    from;
    size_t    to;
} stoa_guard_part_t;

typedef struct {
    const stoa_guard_set_t  *set;
    bool                     masks;
    stoa_buf_t               text;           /* events that are held back    */
    stoa_buf_t               copy;
    stoa_buf_t               joined;
    stoa_buf_t               folded;         /* of the joined                */
    size_t                   read;           /* of text: whole events        */
    bool                     flush;          /* nothing more of these comes  */
    stoa_guard_part_t        part[STOA_GUARD_PARTS];
    unsigned                 nparts;
    unsigned                 count[STOA_GUARD_MAX];
    bool                     over;
} stoa_guard_events_t;

void stoa_guard_events_init(stoa_guard_events_t *e,
    const stoa_guard_set_t *set, bool masks, size_t max);
void stoa_guard_events_free(stoa_guard_events_t *e);
stoa_rc_t stoa_guard_events_feed(stoa_guard_events_t *e, const char *s,
    size_t len, bool last, stoa_buf_t *out, unsigned *found) STOA_MUST_CHECK;


#endif /* STOA_GUARD_FLOW_H */
