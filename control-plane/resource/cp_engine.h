/*
 * The steps the engine is made of.
 *
 * A row tree holds exactly what the table's columns hold, references as ids,
 * and `ver`; an object tree is what a client sees, references as names.
 * Process: stoa-control, any thread; everything lives in the arena given.
 */

#ifndef CP_ENGINE_H
#define CP_ENGINE_H


#include "resource/cp_resource.h"


/* Of a subscription to another tenant's: one answer to whatever is missing. */
#define CP_NOT_ABROAD      "there is no such api, server or plan there"
#define CP_DIFF_VALUE_MAX  4096      /* longer ones: their digest            */

#define cp_is_column(f)  (((f)->flags & (CP_ONCE|CP_DERIVED)) == 0)


typedef enum { CP_VALIDATE_CREATE, CP_VALIDATE_REPLACE } cp_validate_e;

typedef struct {
    cp_arena_t  *arena;
    cp_err_t    *err;
    int          document;
    bool         system;             /* read-only members may be set         */
} cp_validate_t;

/* Object tree in, whole object tree out (defaults filled in, members in the
 * table's order).  before: what REPLACE replaces, else NULL. */
cp_rc_t cp_validate(const cp_validate_t *v, const cp_field_t *fields,
    const cp_json_t *in, const cp_json_t *before, cp_json_t **out)
    CP_MUST_CHECK;
/* Whether the tables know every member of a patch, those that it takes away
 * too. */
bool cp_validate_known(const cp_validate_t *v, const char *prefix,
    const cp_field_t *fields, const cp_json_t *patch);

/* RFC 7396. */
cp_json_t *cp_merge_patch(cp_arena_t *a, const cp_json_t *target,
    const cp_json_t *patch);


/* Object tree to row tree, in place: references to ids, times to ms.  tenant:
 * whose names count where no scope says otherwise. */
cp_rc_t cp_refs_to_ids(cp_tx_t *tx, const cp_validate_t *v,
    const cp_resource_t *res, const char *tenant, cp_json_t *tree)
    CP_MUST_CHECK;

/* Remembers names of ids for one request. */
typedef struct {
    cp_tx_t     *tx;
    cp_arena_t  *arena;
    cp_err_t    *err;
    void        *seen[256];
} cp_names_t;

void cp_names_init(cp_names_t *n, cp_tx_t *tx, cp_arena_t *a, cp_err_t *err);
/* *name NULL: the id is of nothing. */
cp_rc_t cp_names_get(cp_names_t *n, const cp_resource_t *res, const char *id,
    const char **name) CP_MUST_CHECK;
/* Row tree to object tree: names, times as text, no secrets, derived members
 * filled in. */
cp_rc_t cp_row_show(cp_names_t *n, const cp_resource_t *res,
    const cp_json_t *row, cp_json_t **obj) CP_MUST_CHECK;

/* id of a name (or id) among the rows of a kind; parent: the tenant, the api
 * or the application, NULL for top-level kinds.  *id NULL: there is none. */
cp_rc_t cp_ref_find(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const char *parent, const char *name_or_id, const char **id,
    cp_err_t *err) CP_MUST_CHECK;


/* A tenant's, for this actor: 404 when there is none or it is another's, 403
 * when it is his but he may not; permission NULL: to see it is enough. */
cp_rc_t cp_ref_tenant(cp_op_t *op, cp_tx_t *tx, const char *name_or_id,
    const char *permission, const char **id) CP_MUST_CHECK;

/* Whose a list over tenants is: those that are named ("a,b"), else all in
 * which this actor may. */
#define CP_TENANTS_MAX  100

typedef struct {
    bool         all;              /* and what is the platform's            */
    unsigned     n;
    const char  *id[CP_TENANTS_MAX];
} cp_tenants_t;

/* names NULL: nobody in particular.  gone: also "", the platform, and the id
 * of one that was deleted, for who may see all. */
cp_rc_t cp_ref_tenants(cp_op_t *op, cp_tx_t *tx, const char *names,
    const char *permission, bool gone, cp_tenants_t *t) CP_MUST_CHECK;
/* SQL; `column` as it is. */
const char *cp_tenants_where(cp_arena_t *a, const cp_tenants_t *t,
    const char *column);


/* Rows.  A missing row is *row NULL. */
typedef struct {
    const char  *where;              /* after WHERE, $1.. as args            */
    const char  *order;              /* "name"; NULL: none                   */
    int64_t      limit;              /* 0: none                              */
    bool         large;              /* CP_WHOLE columns too                 */
} cp_row_query_t;

cp_rc_t cp_row_load(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const char *id, cp_json_t **row, cp_err_t *err) CP_MUST_CHECK;
/* *rows: an array of row trees. */
cp_rc_t cp_row_select(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const cp_row_query_t *q, const cp_val_t *args, unsigned nargs,
    cp_json_t **rows, cp_err_t *err) CP_MUST_CHECK;
cp_rc_t cp_row_insert(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const cp_json_t *row, cp_err_t *err) CP_MUST_CHECK;
/* Writes what differs; *changed false: nothing did.  Raises `ver` and
 * updated_at in `after`.  CP_DECLINED "precondition_failed" when the row was
 * changed meanwhile. */
cp_rc_t cp_row_update(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const cp_json_t *before, cp_json_t *after, bool *changed, cp_err_t *err)
    CP_MUST_CHECK;


/*
 * The engine, used by REST, apply and background jobs alike.  Object trees
 * hold names in references, row trees ids.  Every write: validates, checks
 * state, writes, appends the audit event, calls feed, all in one transaction.
 */
typedef struct {
    cp_json_t   *row;
    cp_json_t   *obj;
    const char  *etag;
} cp_entry_t;

const char *cp_etag(cp_arena_t *a, const cp_json_t *row);
/* list: the value of If-Match. */
bool cp_etag_matches(const char *list, const char *etag);
cp_rc_t cp_entry_create(cp_write_t *w, cp_entry_t *e) CP_MUST_CHECK;
cp_rc_t cp_entry_update(cp_write_t *w, cp_entry_t *e) CP_MUST_CHECK;
cp_rc_t cp_entry_event(cp_write_t *w, const char *event, cp_entry_t *e)
    CP_MUST_CHECK;
cp_rc_t cp_entry_delete(cp_write_t *w) CP_MUST_CHECK;

/* Removes a row that may be removed, with what depends on it. */
cp_rc_t cp_entry_remove(cp_write_t *w, const cp_json_t *row) CP_MUST_CHECK;

/* {"title": {"before": .., "after": ..}}: only what differs, no secrets;
 * either may be NULL. */
cp_json_t *cp_change_diff(cp_arena_t *a, const cp_resource_t *res,
    const cp_json_t *before, const cp_json_t *after);

/* The tenant that a row belongs to; NULL: the platform. */
const char *cp_row_tenant(const cp_resource_t *res, const cp_json_t *row);
/* ", by .. at ..", or "". */
const char *cp_change_decided(cp_arena_t *a, const cp_json_t *row);

/* Is this the row of the actor's tenant, or the platform's? */
bool cp_entry_visible(const cp_actor_t *actor, const cp_resource_t *res,
    const cp_json_t *row);
/* May it be done to this row, as one of those whose it is? */
cp_rc_t cp_entry_may(cp_op_t *op, const cp_resource_t *res,
    const cp_json_t *row, const char *permission) CP_MUST_CHECK;

/* 409 when something refers to the row that does not go with it; removes what
 * does.  force: subscriptions in use go too. */
cp_rc_t cp_depend_clear(const cp_write_t *w, const cp_json_t *row)
    CP_MUST_CHECK;


/* [{kind, effect deleted|forced|refused, count, names}]: what there is that a
 * deletion of the row would take along, needs force for, or is refused for. */
cp_rc_t cp_depend_list(cp_op_t *op, cp_tx_t *tx, const cp_resource_t *res,
    const char *id, cp_json_t **out) CP_MUST_CHECK;


/* A job: what is past its time becomes expired. */
cp_rc_t cp_resource_job_expire(cp_app_t *app);


#endif /* CP_ENGINE_H */
