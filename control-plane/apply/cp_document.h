/*
 * Documents as they are sent: {apiVersion, kind, metadata {name, tenant},
 * spec}, checked in form and put in the order in which they can be applied.
 *
 * Process: stoa-control, one request.  Everything lives in the request's
 * arena; the trees of the documents are taken apart.
 */

#ifndef CP_DOCUMENT_H
#define CP_DOCUMENT_H


#include "apply/cp_apply.h"
#include "kinds/cp_kinds.h"

#define CP_GONE_MAX  50                /* as many as a template has         */


typedef enum { CP_ACTION_NONE, CP_ACTION_CREATE, CP_ACTION_UPDATE,
    CP_ACTION_DELETE } cp_action_e;

typedef struct {
    int                   index;        /* among what was sent, 0-based      */
    unsigned              line;
    unsigned              rank;         /* place of its kind                 */
    const cp_resource_t  *res;
    const char           *tenant;       /* as written; NULL: has none        */
    const char           *name;         /* NULL: is known by what it is for  */
    unsigned              name_line;
    cp_json_t            *spec;         /* with the name, without the rest:  */
    cp_json_t            *state;        /* NULL: left as it is               */
    cp_json_t            *operations;   /* NULL: left as they are            */
    cp_json_t            *pages;        /* the same                          */
    cp_json_t            *gone;         /* policies of a set that it shall not
                                           have; NULL: as it is              */
    cp_json_t            *openapi;      /* an object; NULL: as it is         */
    cp_json_t            *items[CP_ITEMS];  /* tools ..; the same            */
    const char           *key;          /* the same for the same resource    */

    /* Filled while it is applied. */
    const char           *tenant_id;
    const char           *id;
    const char           *label;        /* how the answer calls it           */
    const char           *current;      /* state                             */
    const char           *of[2];        /* a subscription's application and
                                           target                            */
    cp_json_t            *unresolved;   /* a server's; NULL: none            */
    const char           *held;         /* by the publisher: how; or NULL    */
    cp_action_e           action;
    cp_json_t            *diff;         /* array of {field, before, after}   */
} cp_document_t;

typedef struct {
    cp_document_t  *doc;                /* as they were sent                 */
    unsigned        n;
    cp_document_t **order;              /* as they are applied               */
} cp_documents_t;


/* What was sent, one document or a list of them.  CP_DECLINED: op->err names
 * documents, lines and fields. */
cp_rc_t cp_documents_read(cp_op_t *op, cp_json_t *in, cp_documents_t *docs)
    CP_MUST_CHECK;

/* Faults that were added to err since it had n, of this document: their
 * fields get their place in it. */
void cp_document_faults(cp_err_t *err, unsigned n, const cp_document_t *d);
/* The same of an item of a list: `operations[3]`. */
void cp_document_item_faults(cp_err_t *err, unsigned n, const char *item);


/* cp_diff.c: what differs between two objects in what documents may say;
 * either may be NULL. */
void cp_diff_objects(cp_arena_t *a, const cp_resource_t *res,
    const cp_json_t *before, const cp_json_t *after, cp_json_t *diff);
void cp_diff_sealed(cp_arena_t *a, const cp_resource_t *res,
    const cp_json_t *spec, cp_json_t *diff);
void cp_diff_push(cp_arena_t *a, cp_json_t *diff, const char *field,
    const cp_json_t *before, const cp_json_t *after);


/* cp_dump.c: the part of an object that a document says: no read-only
 * members, no defaults. */
cp_json_t *cp_dump_spec(cp_arena_t *a, const cp_field_t *fields,
    const cp_json_t *obj);


#endif /* CP_DOCUMENT_H */
