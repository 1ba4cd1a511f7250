/*
 * Tokens of language models: what a request may use, what its answer says was
 * used.
 *
 * An answer is read as it comes, in any cut, and nothing of it is kept: only
 * strings and brackets are followed, and the numbers of `usage` where vendors
 * have it (in the root; in `response` or `message` of an event).  What stands
 * in texts, or deeper, is content.  Of a number that is told more than once
 * the largest counts: streams tell sums.  One that is negative, broken, no
 * number, or beyond STOA_LLM_MOST is not told.  The model is what they call it
 * there first; a name that is too long, or has other than [A-Za-z0-9._:/@+-],
 * is none.
 *
 * Process: any.  Nothing is allocated.
 */

#ifndef STOA_LLM_H
#define STOA_LLM_H


#include "stoa_core.h"


#define STOA_LLM_MOST    100000000       /* tokens of one call               */
#define STOA_LLM_BINARY  1000            /* tokens of a picture, estimated   */
#define STOA_LLM_DEPTH   6
#define STOA_LLM_NAME    64
#define STOA_LLM_MODEL   55              /* bytes of a model's name          */


typedef enum {
    STOA_LLM_INPUT = 0,                  /* with what came from a cache      */
    STOA_LLM_OUTPUT,
    STOA_LLM_CACHED,                     /* of the input                     */
    STOA_LLM_KINDS
} stoa_llm_kind_e;

typedef enum {
    STOA_LLM_SAID_PROMPT = 0, STOA_LLM_SAID_INPUT, STOA_LLM_SAID_CACHE_NEW,
    STOA_LLM_SAID_CACHE_READ, STOA_LLM_SAID_CACHED, STOA_LLM_SAID_OUTPUT,
    STOA_LLM_SAID_TOTAL, STOA_LLM_SAID
} stoa_llm_said_e;


typedef struct {
    uint64_t  said[STOA_LLM_SAID];
    unsigned  told;                      /* bits of those                    */
    char      model[STOA_LLM_MODEL + 1]; /* "": it is not told               */
    uint64_t  text;                      /* bytes of what was generated      */
    bool      events;                    /* it is text/event-stream          */

    uint8_t   state;
    uint8_t   node[STOA_LLM_DEPTH];      /* what the objects are             */
    uint8_t   to;                        /* what the next value is           */
    bool      counts;                    /* ... if it is a string, a text    */
    bool      pending;                   /* a string: a name, or a value     */
    unsigned  depth;
    unsigned  mute;                      /* depth of what was sent before    */
    char      name[STOA_LLM_NAME];
    size_t    len;                       /* of the string                    */
    bool      escaped;
    uint64_t  number;
    bool      broken;

    uint8_t   line;                      /* of "data:"; past it: see .c      */
    bool      cr;
} stoa_llm_t;

/* What a request says: 0: nothing. */

typedef struct {
    uint64_t  input;                     /* estimated                        */
    uint64_t  output;                    /* at most, all choices together    */
} stoa_llm_ask_t;

typedef struct {
    uint64_t  n[STOA_LLM_KINDS];
    bool      estimated;                 /* input or output is               */
    const char  *model;                  /* "": it is not known              */
} stoa_llm_used_t;


void stoa_llm_init(stoa_llm_t *m, bool events);
void stoa_llm_feed(stoa_llm_t *m, const char *s, size_t len);
/* whole: the answer came to its end.  What it does not tell is estimated, by a
 * quarter of the bytes. */
void stoa_llm_used(const stoa_llm_t *m, const stoa_llm_ask_t *ask, bool whole,
    stoa_llm_used_t *used);

/* The body of a request; what is no JSON is a text. */
void stoa_llm_ask(const char *s, size_t len, stoa_llm_ask_t *ask);


#endif /* STOA_LLM_H */
