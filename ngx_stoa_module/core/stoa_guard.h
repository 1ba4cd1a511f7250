/*
 * What should not be in a text: personal data and secrets.
 *
 * One pass; nothing backtracks: what begins a find is looked for 32 bytes at a
 * time, and a look at it ends after a bounded number of bytes, each byte of a
 * word being read once.  Process: any.  No allocation.
 */

#ifndef STOA_GUARD_H
#define STOA_GUARD_H


#include "stoa_core.h"


typedef enum {
    STOA_GUARD_MAIL = 0, STOA_GUARD_PHONE, STOA_GUARD_CARD, STOA_GUARD_IBAN,
    STOA_GUARD_ID, STOA_GUARD_SECRET,
    STOA_GUARD_INJECTION,                    /* what speaks to a model       */
    STOA_GUARD_PATTERN,                      /* somebody's own               */
    STOA_GUARD_MAX
} stoa_guard_e;

#define STOA_GUARD_ALL      ((1u << STOA_GUARD_PATTERN) - 1)
#define STOA_GUARD_DEFAULT  (STOA_GUARD_ALL & ~(1u << STOA_GUARD_PHONE)       \
                             & ~(1u << STOA_GUARD_ID)                         \
                             & ~(1u << STOA_GUARD_INJECTION))

#define STOA_GUARD_PATTERNS  16
#define STOA_GUARD_STEPS     (32 * 1024 * 1024)    /* of patterns, a text    */

typedef struct {
    stoa_guard_e  kind;
    size_t        from;
    size_t        to;                        /* behind its last byte         */
} stoa_guard_hit_t;


const char *stoa_guard_name(size_t kind);
/* STOA_GUARD_MAX: there is none of this name. */
stoa_guard_e stoa_guard_kind(const char *name, size_t len);

/* The next find of the kinds (bits) from *at on, which is then behind it. */
bool stoa_guard_next(unsigned kinds, const char *s, size_t len, size_t *at,
    stoa_guard_hit_t *hit);

/* How a text is read: escapes of JSON are, or those of a form, or none; the
 * others are what a policy can ask for (`decode`). */

#define STOA_GUARD_FORM      0x01
#define STOA_GUARD_BARE      0x02
#define STOA_GUARD_PERCENT   0x04
#define STOA_GUARD_ENTITIES  0x08
#define STOA_GUARD_UNICODE   0x10
#define STOA_GUARD_BASE64    0x20            /* runs of it                   */

/* 0: there is none of this name. */
unsigned stoa_guard_decode(const char *name, size_t len);

/* A copy in which what is written in several bytes is one; dst holds len
 * bytes. */
size_t stoa_guard_fold(const char *s, size_t len, unsigned how, char *dst);
/* Is it its own copy? */
bool stoa_guard_plain(const char *s, size_t len, unsigned how);

/* Masks in s what was found in its copy, byte by byte: asterisks; with json,
 * which stays JSON, nines for digits outside of strings.  To be called with
 * the finds in their order, all but json zeroed at first. */
typedef struct {
    bool    json;
    size_t  at;                              /* in s                         */
    size_t  folded;                          /* the same in the copy         */
    bool    string;
} stoa_guard_pos_t;

void stoa_guard_mask(stoa_guard_pos_t *pos, char *s, size_t len, unsigned how,
    const stoa_guard_hit_t *hit);


/* What is looked for: kinds, and programs of patterns. */

typedef struct {
    unsigned     kinds;
    unsigned     decode;                     /* bits, as above               */
    unsigned     n;
    const void  *pattern[STOA_GUARD_PATTERNS];
} stoa_guard_set_t;

/* A look at a text. */

typedef struct {
    char        *s;
    size_t       len;
    const char  *copy;                       /* folded; or s                 */
    size_t       copy_len;
    unsigned     how;
    bool         json;                       /* it stays JSON,               */
    bool         string;                     /* begins inside of a string    */
    bool         masks;
    bool         more;                       /* comes behind it              */
    size_t       done;                       /* of the copy: was looked at,
                                                and went                     */
    size_t       to;                         /* finds count that end by there;
                                                less, where one lies over it */

    unsigned     count[STOA_GUARD_MAX];      /* finds; added to              */
    bool         over;                       /* patterns took too long       */
} stoa_guard_look_t;

/* Which kinds are found. */
unsigned stoa_guard_look(const stoa_guard_set_t *set, stoa_guard_look_t *l);


#endif /* STOA_GUARD_H */
