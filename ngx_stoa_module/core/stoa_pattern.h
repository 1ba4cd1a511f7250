/*
 * Patterns of texts: what ECMA-262 and RE2 have in common, by an automaton
 * that goes over the text once, whatever the pattern is; nothing backtracks.
 * A character may be a step of each state, and of each range of its class:
 * who runs it says how many steps there may be.
 *
 * Known: literals, ".", classes, \d \w \s and their opposites, \n \r \t \f
 * \v \xHH \uHHHH, escaped punctuation, "|", groups "(...)" and "(?:...)", "*",
 * "+", "?", "{n}", "{n,}", "{n,m}" (also with "?" behind), "^" and "$" (of the
 * whole text).  Refused: everything else, among it references back, looking
 * ahead and behind, \b and \p.  Characters are those of Unicode.
 *
 * Process: any.  A program is one block without pointers, in a buffer.
 */

#ifndef STOA_PATTERN_H
#define STOA_PATTERN_H


#include "stoa_core.h"


#define STOA_PATTERN_MAX   1000      /* instructions                        */
#define STOA_PATTERN_DEPTH  20       /* of groups                           */


/* Appends the program; it begins where the buffer ended, aligned to 4.
 * STOA_DECLINED: *text says what is wrong. */
stoa_rc_t stoa_pattern_compile(const char *s, size_t len, stoa_buf_t *out,
    const char **text) STOA_MUST_CHECK;

/* Is it found in the text?  escaped: the text is the inside of a string of
 * JSON.  *steps: those that there are, then that are left; 0: they did not
 * suffice, nothing was found. */
bool stoa_pattern_found(const void *program, const char *s, size_t len,
    bool escaped, size_t *steps);

/* Where it is next, from *at on: the leftmost, of those the longest, none that
 * is empty; *at is then where it begins.  Of any bytes. */
bool stoa_pattern_next(const void *program, const char *s, size_t len,
    size_t *at, size_t *to, size_t *steps);

/* The next character of a checked text; *p moves behind it. */
uint32_t stoa_pattern_char(const char **p, const char *end, bool escaped);


#endif /* STOA_PATTERN_H */
