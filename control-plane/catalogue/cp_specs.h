/*
 * The OpenAPI documents of apis: versions that are kept, compressed, beside
 * the row that lists read; and what an import does to an api's operations.
 *
 * Owner: the table api_documents; at most CP_DOCUMENTS_KEPT of an api, the
 * oldest go.  Process: stoa-control, one request.
 */

#ifndef CP_SPECS_H
#define CP_SPECS_H


#include "kinds/cp_kinds.h"
#include "spec/cp_spec.h"


#define CP_SPECS_ARENA     ((size_t) 512 * 1024 * 1024)
#define CP_SPECS_AT_ONCE   (64 * 1024 * 1024)   /* of texts that are read    */

typedef enum { CP_IMPORT_REPLACE, CP_IMPORT_ADD, CP_IMPORT_NONE }
    cp_import_e;

/* A document as it was sent. */
typedef struct {
    int64_t      number;               /* 1.. within its api                 */
    const char  *text;
    size_t       len;
    bool         yaml;
    const char  *digest;
    const char  *contract;             /* of cp_spec_contract()              */
    bool         bare;                 /* was kept without one               */
    const char  *packed;               /* by cp_specs_pack()                 */
    size_t       npacked;
} cp_specs_text_t;

/* One that was read: the tree is in an arena of its own. */
typedef struct {
    cp_arena_t  *arena;
    cp_spec_t    spec;
} cp_specs_read_t;


/* "unavailable" when too much is being read just now; to be given back. */
cp_rc_t cp_specs_begin(cp_op_t *op, size_t len) CP_MUST_CHECK;
void cp_specs_end(size_t len);

/* Parses and validates.  Its arena is there in any case. */
cp_rc_t cp_specs_read(cp_op_t *op, const cp_specs_text_t *t,
    cp_specs_read_t *out) CP_MUST_CHECK;
void cp_specs_free(cp_specs_read_t *d);

/* openapi, title, version, operations; *list: these.  The contract too. */
cp_json_t *cp_specs_head(cp_arena_t *a, cp_spec_t *spec, cp_specs_text_t *t,
    cp_json_t **list);

/* number 0: the newest.  t->text NULL: there is none. */
cp_rc_t cp_specs_load(cp_tx_t *tx, cp_arena_t *a, const char *api,
    int64_t number, cp_specs_text_t *t, cp_err_t *err) CP_MUST_CHECK;
/* The number and the digest of the newest; number 0: there is none. */
cp_rc_t cp_specs_newest(cp_tx_t *tx, cp_arena_t *a, const char *api,
    cp_specs_text_t *t, cp_err_t *err) CP_MUST_CHECK;
/* {items}, the newest first. */
cp_rc_t cp_specs_list(cp_op_t *op, cp_tx_t *tx, const char *api,
    cp_json_t **out) CP_MUST_CHECK;
/* Compresses the text; not in the transaction that keeps it. */
cp_rc_t cp_specs_pack(cp_op_t *op, cp_specs_text_t *t) CP_MUST_CHECK;
/* Keeps what was packed by its number, the newest; head: openapi, title,
 * version, operations. */
cp_rc_t cp_specs_keep(cp_op_t *op, cp_tx_t *tx, const char *api,
    const char *tenant, const cp_specs_text_t *t, const cp_json_t *head)
    CP_MUST_CHECK;

/*
 * Makes the api's operations what `list` (of cp_spec_operations()) says, as
 * far as the document owns them: those that somebody wrote by hand stay, and
 * so do names, states, policies.  *out {create, update, delete, held,
 * left_out}.
 * dry: what cannot be removed is told, not refused.
 */
cp_rc_t cp_import_operations(cp_op_t *op, cp_tx_t *tx, const char *api,
    const cp_json_t *list, cp_import_e how, bool dry, cp_json_t **out)
    CP_MUST_CHECK;


#endif /* CP_SPECS_H */
