/*
 * A glance at a message of JSON-RPC that is passed on as it came: where the
 * members are that say what it is, and nothing more.  What a server says is
 * its client's to judge, so only strings and brackets are followed: a text
 * that no strict reader takes (a lone surrogate, a name twice) passes, and
 * the last of two members of a name counts, as most readers have it.
 *
 * Process: any.  Values are spans of the caller's text; nothing is allocated.
 */

#ifndef STOA_GLANCE_H
#define STOA_GLANCE_H


#include "stoa_json.h"


typedef enum {
    STOA_GLANCE_REQUEST,
    STOA_GLANCE_NOTIFICATION,
    STOA_GLANCE_ANSWER               /* a result or an error, with an id    */
} stoa_glance_kind_e;

typedef struct {
    stoa_glance_kind_e  kind;
    stoa_json_val_t     id;          /* string or integer; start NULL: none */
    stoa_json_val_t     method;      /* string                              */
    stoa_json_val_t     params;      /* start NULL: none                    */
    stoa_json_val_t     result;
    stoa_json_val_t     error;       /* object                              */
} stoa_glance_t;


/* STOA_DECLINED: it is no such message.  An id is one that a strict reader
 * takes, too; an error without one (or with null) is none. */
stoa_rc_t stoa_glance(const char *data, size_t len, stoa_glance_t *g)
    STOA_MUST_CHECK;

/* A member of an object that was found by a glance; false: there is none.
 * Names with an escape in them are not known. */
bool stoa_glance_get(const stoa_json_val_t *object, const char *name,
    stoa_json_val_t *val);

/* Do two ids say the same? */
bool stoa_glance_same(const stoa_json_val_t *a, const stoa_json_val_t *b);


#endif /* STOA_GLANCE_H */
