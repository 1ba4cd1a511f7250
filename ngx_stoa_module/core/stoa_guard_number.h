/*
 * Private to the files of stoa_guard.h: what is asked at a place where a find
 * may begin.
 *
 *   stoa_guard_scan.c    where that is
 *   stoa_guard_secret.c  mail, secrets
 *   stoa_guard_number.c  what has digits in it
 *   stoa_guard_inject.c  what speaks to a model
 *
 * Process: any.  No allocation.
 */

#ifndef STOA_GUARD_NUMBER_H
#define STOA_GUARD_NUMBER_H


#include "stoa_guard.h"


/* Which bytes are letters and digits. */
extern const bool  stoa_guard_alnums[256];


static inline bool
stoa_guard_digit(char ch)
{
    return ch >= '0' && ch <= '9';
}


static inline bool
stoa_guard_upper(char ch)
{
    return ch >= 'A' && ch <= 'Z';
}


static inline bool
stoa_guard_alnum(char ch)
{
    return stoa_guard_alnums[(uint8_t) ch];
}


/* The words before what speaks to a model, the nearest first, of which the
 * next look at such a place knows most; of one floor.  at[head] is that place,
 * what follows in the ring is where the words begin. */

#define STOA_GUARD_WORDS  7                  /* looked at, before one        */
#define STOA_GUARD_RING   16

typedef struct {
    uint8_t   n;                             /* of words                     */
    bool      more;                          /* before them there may be one */
    uint8_t   head;                          /* of the ring                  */
    uint32_t  lists;                         /* a byte each: a bit of a word */
    size_t    at[STOA_GUARD_RING];
} stoa_guard_said_t;


bool stoa_guard_mail(const char *s, size_t len, size_t floor, size_t p,
    stoa_guard_hit_t *hit);

/* *skip: nothing else begins before that. */
bool stoa_guard_secret(const char *s, size_t len, size_t floor, size_t p,
    size_t *skip, stoa_guard_hit_t *hit);

/* One of words that speak to a model. */
bool stoa_guard_inject(const char *s, size_t len, size_t floor, size_t p,
    stoa_guard_said_t *said, stoa_guard_hit_t *hit);

/* The word whose first digit is at p, or what begins with it. */
bool stoa_guard_number(unsigned kinds, const char *s, size_t len,
    size_t floor, size_t p, stoa_guard_hit_t *hit);


#endif /* STOA_GUARD_NUMBER_H */
