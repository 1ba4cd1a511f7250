/*
 * Resources as tables: validation, SQL, JSON, filters, OpenAPI, audit diff
 * and apply all come from cp_resource_t rows (kinds/).
 */

#ifndef CP_RESOURCE_H
#define CP_RESOURCE_H


#include "op/cp_op.h"


typedef enum {
    CP_F_STRING, CP_F_NAME, CP_F_TEXT, CP_F_INT, CP_F_BOOL, CP_F_ENUM,
    CP_F_TIME, CP_F_URL, CP_F_HOST, CP_F_BASE_PATH, CP_F_CIDR, CP_F_REF,
    CP_F_OBJECT, CP_F_ARRAY, CP_F_JSON, CP_F_METHOD, CP_F_TEMPLATE,
    CP_F_TOOL_NAME, CP_F_ENV, CP_F_HOST_PORT, CP_F_URL_PATH,
    CP_F_TARGET,                   /* a URL, also one of gRPC               */
    CP_F_LABEL                     /* a string, max in bytes                */
} cp_field_type_e;

#define CP_REQUIRED    0x01
#define CP_IMMUTABLE   0x02
#define CP_READONLY    0x04
#define CP_FILTER      0x08
#define CP_SECRET      0x10        /* never out, never in audit or dump      */
#define CP_ONCE        0x20        /* only in the answer that made it        */
#define CP_NO_DUMP     0x40        /* not part of a document's spec          */
#define CP_DERIVED     0x80        /* no column: filled in by `shown`        */
#define CP_WHOLE       0x100       /* not in lists, a diff has its digest    */
#define CP_SEALED      0x400       /* goes in and never out; left out: stays */
#define CP_MOVES       0x200       /* changes by itself: may come back stale */

typedef struct cp_field_s     cp_field_t;
typedef struct cp_resource_s  cp_resource_t;

/* One write of one row: for whom, where, and what a client said. */
typedef struct {
    cp_op_t              *op;
    cp_tx_t              *tx;
    const cp_resource_t  *res;
    const char           *id;      /* the row's; to create: its parent's     */
    const cp_json_t      *in;      /* names in references                    */
    const cp_json_t      *given;   /* what the kind's check gets beside it;
                                      NULL: nothing                          */
    const char           *if_match;    /* NULL: whatever it is now           */
    int                   document;    /* of an apply, 0-based; -1: none     */
    bool                  patch;   /* an update in the form of RFC 7396      */
    bool                  force;   /* a removal: also of what uses it        */
    bool                  single;  /* asked for by itself: also in a tenant
                                      that is archived                       */
    bool                  heir;    /* instead of one that ends: no limit     */
    bool                  changed; /* told by an update                      */
} cp_write_t;

#define cp_write_of(o, t, r)                                                  \
    ((cp_write_t) { .op = (o), .tx = (t), .res = (r), .document = -1 })

struct cp_field_s {
    const char          *name;     /* JSON member = column                   */
    cp_field_type_e      type;
    unsigned             flags;
    int64_t              min;      /* INT bounds; STRING length; ARRAY count */
    int64_t              max;
    const char          *dflt;     /* JSON text, NULL: none                  */
    const char *const   *values;   /* ENUM, NULL-terminated                  */
    const cp_field_t    *sub;      /* OBJECT, ARRAY of OBJECT                */
    cp_field_type_e      item;     /* ARRAY of scalars                       */
    const char          *ref;      /* REF, ARRAY of REF: resource kind       */
    const char          *scope;    /* REF: sibling that says whose; NULL own */
    const char          *doc;
};

typedef struct {
    const char  *event;
    const char  *from[5];          /* NULL-terminated                        */
    const char  *to;
    const char  *permission;       /* NULL: only the system                  */
    const cp_field_t  *args;       /* members of the event's body            */
} cp_transition_t;

typedef enum {
    CP_DEP_OWNED,                  /* goes with it                           */
    CP_DEP_MADE,                   /* the same, by who may write it          */
    CP_DEP_LIVE,                   /* forbids while in use, unless forced    */
    CP_DEP_FORCE,                  /* forbids, unless forced                 */
    CP_DEP_REFUSE,                 /* forbids                                */
    CP_DEP_PLAIN                   /* rows without a life of their own       */
} cp_dep_e;

/* What refers to a row; in this order: what refers goes before its target. */
typedef struct {
    const char           *by;      /* kind; PLAIN: NULL                      */
    const char           *column;  /* PLAIN: the statement; NULL ends        */
    cp_dep_e              how;
    bool                  list;    /* the column is JSON with ids            */
} cp_dependent_t;

struct cp_resource_s {
    const char             *kind;       /* "api"; document kind "Api"        */
    const char             *doc_kind;   /* NULL: not in apply                */
    const char             *plural;     /* path segment and table name base  */
    const char             *table;
    const char             *parent;     /* kind of the parent, NULL: top     */
    const char             *person;     /* column: whom an event is about, so
                                           that it is sealed for him        */
    const char             *also;       /* column: a tenant that sees it too */
    const char             *decides;    /* with `also`: what a change needs
                                           there beside its own permission   */
    const char             *sides[2];   /* with `also`: what its tenant is to
                                           the other, and the other to it    */
    const char             *called;     /* by_id: the members that people know
                                           it by, with a space between       */
    bool                    by_id;      /* addressed by id, has no name      */
    const char             *label;      /* by_id, in documents: what people
                                           call it, as SQL over its row      */
    const cp_field_t       *fields;     /* NULL name ends                    */
    const cp_transition_t  *transitions;
    const char             *initial;
    const char             *frozen;     /* state: what it owns is kept   */
    const char             *expires;    /* states, in quotes, that end at
                                           expires_at; NULL: never           */
    const cp_dependent_t   *dependents; /* NULL: none                        */
    bool                    owner;      /* its rows are what `tenant` names  */
    bool                    everybody;  /* the platform's, and shown to who
                                           may read it in any tenant         */
    bool                    authority;  /* it says who may do what           */

    /*
     * Hooks, each may be NULL.  They run inside the transaction and get rows,
     * in which references are ids and the owner is `tenant`; before NULL: a
     * creation.  What check and event put into `after` is stored.
     */
    cp_rc_t (*check)(const cp_write_t *w, const cp_json_t *before,
        cp_json_t *after);              /* rules across fields and rows      */
    cp_rc_t (*event)(const cp_write_t *w, const char *event,
        const cp_json_t *args, const cp_json_t *before, cp_json_t *after);
    cp_rc_t (*settled)(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row);
                                        /* rules of the end state: after the
                                           write, or after the last of many  */
    const char *const      *settles;    /* what those rules look at: a write
                                           that leaves it is not judged by
                                           them; NULL: all                   */
    cp_rc_t (*shown)(cp_tx_t *tx, cp_arena_t *a, cp_json_t *obj,
        cp_err_t *err);                 /* fills derived members in a tree   */
    cp_rc_t (*feed)(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
        const char *id, cp_err_t *err); /* rewrites the feed rows of this id */
    const void             *record;     /* what feed makes of a row          */
    cp_rc_t (*follow)(cp_op_t *op, cp_tx_t *tx, const cp_json_t *row);
                                        /* touches what shows this row too   */
    cp_rc_t (*gone)(const cp_write_t *w, const cp_json_t *before);
                                        /* after a DELETE, instead of feed   */
};

/* The kinds that there are, NULL ends; in the order in which documents are
 * applied: owners before what they own, targets before what refers to them.
 * Before any thread is started. */
void cp_resource_kinds(const cp_resource_t *const *kinds);

const cp_resource_t *cp_resource_find(const char *kind);
const cp_resource_t *cp_resource_at(unsigned i);              /* NULL: end   */
const cp_resource_t *cp_resource_owner(void);

cp_rc_t cp_resource_get(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const char *parent_id, const char *name_or_id, cp_json_t **obj,
    cp_err_t *err) CP_MUST_CHECK;

/*
 * For who writes much in one transaction: feed rows are gathered, each once,
 * and written by cp_resource_flush(), which must come before the commit.
 */
void cp_resource_defer(cp_op_t *op);
cp_rc_t cp_resource_flush(cp_op_t *op, cp_tx_t *tx) CP_MUST_CHECK;

/* Judges a row by the end state, for who has set op->late. */
cp_rc_t cp_resource_settled(cp_op_t *op, cp_tx_t *tx,
    const cp_resource_t *res, const char *id) CP_MUST_CHECK;

/* Rewrites (or notes) the feed rows of a resource. */
cp_rc_t cp_resource_touch(cp_op_t *op, cp_tx_t *tx, const cp_resource_t *res,
    const char *id) CP_MUST_CHECK;


#endif /* CP_RESOURCE_H */
