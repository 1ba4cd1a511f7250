/*
 * One run of documents through the engine, inside one write transaction.
 * Process: stoa-control, one request.
 */

#ifndef CP_APPLY_RUN_H
#define CP_APPLY_RUN_H


#include "apply/cp_document.h"


#define CP_APPLY_TENANTS   1024        /* buckets                           */
#define CP_APPLY_SCRATCH   ((size_t) 256 * 1024 * 1024)


typedef struct cp_apply_tenant_s  cp_apply_tenant_t;

struct cp_apply_tenant_s {
    const char         *name;
    const char         *id;
    cp_apply_tenant_t  *hash_next;
    cp_apply_tenant_t  *next;          /* all of them                       */
};

/* An operation that goes when nothing uses it any more. */
typedef struct cp_apply_later_s  cp_apply_later_t;

struct cp_apply_later_s {
    const cp_document_t  *d;
    const char           *id;
    cp_apply_later_t     *next;
};

typedef struct {
    cp_op_t            *op;
    cp_tx_t            *tx;
    cp_arena_t         *arena;         /* of the request; op->arena is the
                                          scratch of one document           */
    cp_documents_t      docs;
    bool                fresh;         /* all of them are new                */
    cp_apply_tenant_t  *tenant[CP_APPLY_TENANTS];
    cp_apply_tenant_t  *tenants;
    cp_json_t          *deleted;       /* changes made by prune             */
    cp_apply_later_t   *later;
} cp_apply_t;


/* More of a run: in its transaction, when all else is written; its answer may
 * get members. */
typedef cp_rc_t (*cp_apply_then_pt)(cp_apply_t *ap, void *data,
    cp_json_t *answer);
/* POST of documents that were read already, which nothing prunes. */
cp_rc_t cp_apply_documents(cp_req_t *r, cp_json_t *in, cp_apply_then_pt then,
    void *data) CP_MUST_CHECK;

/* Creates, updates and opens what the documents name. */
cp_rc_t cp_apply_run(cp_apply_t *ap) CP_MUST_CHECK;

/* Closes what they want closed, when all is written and pruned. */
cp_rc_t cp_apply_close(cp_apply_t *ap) CP_MUST_CHECK;

/* Judges what is left behind, when all is written and pruned. */
cp_rc_t cp_apply_settle(cp_apply_t *ap) CP_MUST_CHECK;

/* cp_walk.c: runs fn with a scratch arena in place of the request's.  What fn
 * keeps is copied to ap->arena. */
typedef cp_rc_t (*cp_apply_step_pt)(cp_apply_t *ap, void *data);
cp_rc_t cp_apply_scratch(cp_apply_t *ap, cp_apply_step_pt fn, void *data)
    CP_MUST_CHECK;

/* cp_operations.c: makes the operations of an api those of the document. */
cp_rc_t cp_apply_operations(cp_apply_t *ap, cp_document_t *d,
    cp_json_t *diff) CP_MUST_CHECK;

/* Deletes those that something used, after prune. */
cp_rc_t cp_apply_operations_later(cp_apply_t *ap) CP_MUST_CHECK;

/* cp_apply_tools.c: the same for the states of what an mcp api shows, if the
 * document says them. */
cp_rc_t cp_apply_tools(cp_apply_t *ap, cp_document_t *d, cp_json_t *diff)
    CP_MUST_CHECK;

/* cp_apply_gone.c: deletes those policies of a set that the document says are
 * gone. */
cp_rc_t cp_apply_gone(cp_apply_t *ap, cp_document_t *d, cp_json_t *diff)
    CP_MUST_CHECK;
/* What a dump says of them: names, of those that the set would make. */
cp_rc_t cp_gone_list(cp_op_t *op, cp_tx_t *tx, cp_arena_t *a,
    const cp_json_t *set, cp_json_t **list) CP_MUST_CHECK;

/* cp_apply_docs.c: the same for an api's pages; keeps its OpenAPI document. */
cp_rc_t cp_apply_pages(cp_apply_t *ap, cp_document_t *d, cp_json_t *diff)
    CP_MUST_CHECK;
cp_rc_t cp_apply_openapi(cp_apply_t *ap, cp_document_t *d, cp_json_t *diff)
    CP_MUST_CHECK;

/* cp_prune.c: deletes what no document names. */
cp_rc_t cp_apply_prune(cp_apply_t *ap, int64_t max_delete) CP_MUST_CHECK;

/* The events that lead from one state to another, the fewest; -1: none do. */
#define CP_WALK_MAX  8
int cp_apply_walk(const cp_resource_t *res, const char *from, const char *to,
    const cp_transition_t *path[CP_WALK_MAX]);


#endif /* CP_APPLY_RUN_H */
