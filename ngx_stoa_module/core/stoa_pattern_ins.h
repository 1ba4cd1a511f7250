/*
 * Programs of patterns; private to stoa_pattern.c, which makes them, and
 * stoa_pattern_run.c.
 */

#ifndef STOA_PATTERN_INS_H
#define STOA_PATTERN_INS_H


#include "stoa_pattern.h"


typedef enum {
    RANGES,                          /* of what a class has                 */
    ABSENT,                          /* of what it has not                  */
    SPLIT, JUMP, BEGIN, END, FOUND
} stoa_pattern_op_e;

/* x: the other way of SPLIT, of JUMP the way; of a class the first of n
 * ranges. */

typedef struct {
    uint16_t  op;
    uint16_t  n;
    uint32_t  x;
} stoa_pattern_ins_t;

typedef struct { uint32_t lo, hi; } stoa_pattern_range_t;

/* Then the instructions, then the ranges. */

typedef struct {
    uint32_t  nins;
    uint32_t  nranges;
} stoa_pattern_t;


#endif /* STOA_PATTERN_INS_H */
