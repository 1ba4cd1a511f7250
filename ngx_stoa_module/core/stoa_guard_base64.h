/*
 * Runs of base64 in a text, of both alphabets, also in lines as MIME has them:
 * decoded a chunk at a time, each with the end of the one before.
 *
 * Process: any.  No allocation.
 */

#ifndef STOA_GUARD_BASE64_H
#define STOA_GUARD_BASE64_H


#include "stoa_guard.h"


#define STOA_GUARD_BASE64_MIN    11          /* characters of a run          */
#define STOA_GUARD_BASE64_CHUNK  4096
#define STOA_GUARD_BASE64_OVER   256         /* of these are in the next one */


typedef struct {
    size_t            end;                   /* of the run                   */
    size_t            next;                  /* in it: where a chunk begins  */
    bool              over;                  /* with the end of one before   */

    size_t            from;                  /* where the chunk began        */
    const char       *s;
    size_t            len;                   /* decoded                      */
    size_t            known;                 /* of it: was there before      */
    char              text[STOA_GUARD_BASE64_CHUNK / 4 * 3];

    stoa_guard_hit_t  hit;
    unsigned          count[STOA_GUARD_MAX];
} stoa_guard_chunk_t;


/* The next run from *at on, which is then its begin. */
bool stoa_guard_base64_run(const char *s, size_t len, size_t *at,
    size_t *end);

/* The next chunk from c->next on that is text; false: the run is over. */
bool stoa_guard_base64(const char *s, stoa_guard_chunk_t *c);

/* c->hit: what of s is in these bytes of the chunk. */
void stoa_guard_base64_at(stoa_guard_chunk_t *c, size_t from, size_t to);


#endif /* STOA_GUARD_BASE64_H */
