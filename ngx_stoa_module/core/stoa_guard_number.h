/*
 * What has digits in it: phones, cards, accounts, national ids.
 * Process: any.  No allocation.
 */

#ifndef STOA_GUARD_NUMBER_H
#define STOA_GUARD_NUMBER_H


#include "stoa_guard.h"


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
    return stoa_guard_digit(ch) || stoa_guard_upper(ch)
           || (ch >= 'a' && ch <= 'z');
}


/* What begins with the word around the digit at p; *skip is then its end. */
bool stoa_guard_number(unsigned kinds, const char *s, size_t len,
    size_t floor, size_t p, size_t *skip, stoa_guard_hit_t *hit);


#endif /* STOA_GUARD_NUMBER_H */
