/*
 * What the files of the kinds share: the forms of their tables, the bodies of
 * feed rows, and what kinds know of each other.
 *
 * A kind is a file cp_kind_<name>.c with its fields, states, rules, feed body
 * and dependents in one cp_resource_t, and a row of cp_kinds.c.  A new field
 * is a row of its table and a column in a migration; what gateways get as it
 * is, a row of core/stoa_schema.h.
 */

#ifndef CP_KIND_H
#define CP_KIND_H


#include "feed/cp_feed.h"
#include "kinds/cp_kinds.h"
#include "kinds/cp_policy.h"


#define RQ      CP_REQUIRED
#define IM      CP_IMMUTABLE
#define RO      CP_READONLY
#define FI      CP_FILTER
#define ND      CP_NO_DUMP

/* name, type, flags, min, max, default, values, sub, item, ref, scope, doc */

#define F(n, t, fl, mn, mx, df, d)                                            \
    { n, t, fl, mn, mx, df, NULL, NULL, 0, NULL, NULL, d }
#define F_ENUM(n, fl, df, vals, d)                                            \
    { n, CP_F_ENUM, fl, 0, 0, df, vals, NULL, 0, NULL, NULL, d }
#define F_OBJECT(n, fl, df, sub, d)                                           \
    { n, CP_F_OBJECT, fl, 0, 0, df, NULL, sub, 0, NULL, NULL, d }
#define F_OBJECTS(n, fl, mn, mx, sub, d)                                      \
    { n, CP_F_ARRAY, fl, mn, mx, NULL, NULL, sub, CP_F_OBJECT, NULL, NULL, d }
#define F_ARRAY(n, fl, mx, item, d)                                           \
    { n, CP_F_ARRAY, fl, 0, mx, NULL, NULL, NULL, item, NULL, NULL, d }
#define F_REF(n, fl, ref, scope, d)                                           \
    { n, CP_F_REF, fl, 0, 0, NULL, NULL, NULL, 0, ref, scope, d }
#define F_REFS(n, fl, mx, ref, d)                                             \
    { n, CP_F_ARRAY, fl, 0, mx, NULL, NULL, NULL, CP_F_REF, ref, NULL, d }
#define F_END                                                                 \
    { NULL, 0, 0, 0, 0, NULL, NULL, NULL, 0, NULL, NULL, NULL }

/* Rows of core's stoa_schema.h: of the resource's table, of the body. */

#define ROW_N(S, t, n, lo, hi, d, doc)  INT(#n, 0, lo, hi, #d, doc),
#define ROW_B(S, n, d, doc)                                                   \
    BOOL(#n, 0, (d) ? "true" : "false", doc),
#define ROW_E(S, n, fl, v, w, doc)                                            \
    F_ENUM(#n, fl, "\"" w "\"", n##_words, doc),
#define ROW_WORD(w, v)  w,

#define BODY_N(S, t, n, lo, hi, d, doc)  { #n, #n, d },
#define BODY_B(S, n, d, doc)             { #n, #n, ABSENT_NONE },
#define BODY_E(S, n, fl, v, w, doc)      { #n, #n, ABSENT_NONE },

#define ROWS(FIELDS)       FIELDS(ROW_N, ROW_B, ROW_E, )
#define BODY_ROWS(FIELDS)  FIELDS(BODY_N, BODY_B, BODY_E, )

#define T_END       { NULL, { NULL }, NULL, NULL, NULL }

#define BOOL(n, fl, df, d)     F(n, CP_F_BOOL, fl, 0, 0, df, d)
#define INT(n, fl, mn, mx, df, d)  F(n, CP_F_INT, fl, mn, mx, df, d)

#define BASE_ID                                                               \
    F("id", CP_F_STRING, RO|ND, 0, 0, NULL, "identifier")
#define BASE_NAME                                                             \
    F("name", CP_F_NAME, RQ|IM|FI, 0, 0, NULL,                                \
      "unique among its siblings: a-z, 0-9 and -, at most 63 characters")
#define BASE_TITLE                                                            \
    F("title", CP_F_STRING, 0, 0, 200, NULL, "for people")
#define BASE_STATE                                                            \
    F("state", CP_F_STRING, RO|ND|FI, 0, 0, NULL, "changed by events")
#define BASE_TENANT                                                           \
    F_REF("tenant", RO|ND, "tenant", NULL, "the owner")
#define BASE_TIMES                                                            \
    F("created_at", CP_F_TIME, RO|ND, 0, 0, NULL, "when it was made"),        \
    F("updated_at", CP_F_TIME, RO|ND|CP_MOVES, 0, 0, NULL,                    \
      "when it last changed")


/* A member of a feed body that is a column under this or another name. */
typedef struct {
    const char  *member;           /* NULL ends                              */
    const char  *column;
    int64_t      absent;           /* ABSENT_NONE: left out                  */
} cp_body_t;

#define ABSENT_NONE  -1

/* A member of a body that has secrets in it: the record is sealed at rest, and
 * its digest tells nothing of them. */
#define CP_BODY_SALT  "salt"

/* A row of a kind whose record is its columns. */
typedef struct {
    const cp_resource_t  *res;
    const cp_body_t      *members;
    const char           *prefix;  /* of the feed's key                      */
    const char           *hidden;  /* state that is not served; NULL: none   */
    stoa_scope_e          scope;   /* of its policies; STOA_SCOPE_MAX: none  */
} cp_simple_t;

cp_json_t *cp_body_make(cp_arena_t *a, const cp_body_t *members,
    const cp_json_t *row);
/* Puts the body in the row; NULL: a tombstone. */
cp_rc_t cp_body_put(cp_tx_t *tx, cp_arena_t *a, cp_feed_row_t row,
    const cp_json_t *body, cp_err_t *err) CP_MUST_CHECK;
/* A row without its CP_WHOLE columns; *row NULL: there is none. */
cp_rc_t cp_row_light(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const char *id, cp_json_t **row, cp_err_t *err) CP_MUST_CHECK;
cp_rc_t cp_feed_simple(cp_tx_t *tx, cp_arena_t *a, const cp_simple_t *s,
    const char *id, cp_err_t *err) CP_MUST_CHECK;

/* CP_DECLINED with the field's line. */
cp_rc_t cp_fault_at(cp_op_t *op, const cp_json_t *row, const char *field,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));


/* A tool as an endpoint shows it. */
typedef struct {
    const char  *name;             /* exposed                                */
    const char  *tool;             /* id                                     */
    const char  *api;              /* id                                     */
} cp_bound_t;

int cp_bound_cmp(const void *one, const void *two);
/* The tools that a server names and that exist, sorted by the exposed name. */
cp_rc_t cp_server_bound(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *server,
    cp_bound_t **bound, unsigned *n, cp_err_t *err) CP_MUST_CHECK;

bool cp_api_served(const cp_json_t *api);
const char *cp_api_groups(cp_arena_t *a, const cp_json_t *api);
/* api NULL: a tombstone. */
cp_rc_t cp_tool_put(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *tool,
    const cp_json_t *api, cp_err_t *err) CP_MUST_CHECK;

/* The record of an application and a target. */
cp_rc_t cp_sub_pair(cp_tx_t *tx, cp_arena_t *a, const char *application,
    const char *target, cp_err_t *err) CP_MUST_CHECK;
/* Touches the subscriptions whose tools depend on the api or server. */
cp_rc_t cp_follow_subs(cp_op_t *op, cp_tx_t *tx, const char *column,
    const char *id) CP_MUST_CHECK;


#endif /* CP_KIND_H */
