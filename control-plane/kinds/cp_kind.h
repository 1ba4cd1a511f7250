/*
 * What the files of the kinds share: the forms of their tables, the bodies of
 * feed rows, and what kinds know of each other.
 *
 * A kind is a file cp_kind_<name>.c with its fields, states, rules, feed body
 * and dependents in one cp_resource_t, and a row of cp_kinds.c.  A new field
 * is a row of its table, or of core/stoa_schema.h if gateways get it too, and
 * a column in a migration.
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
#define SC      CP_SECRET
#define WH      CP_WHOLE

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

/* Rows of core's stoa_schema.h in the resource's table. */

#define ROWS(FIELDS)              FIELDS(ROW, )
#define ROW(S, t, ...)            ROW_##t(__VA_ARGS__)
#define ROW_AS(m, n, t, ...)      ROW_##t(n, __VA_ARGS__)
#define ROW_OWN(n)                OWN_##n,
#define ROW_ID(n, fl, d)          F(#n, CP_F_STRING, fl, 0, 0, NULL, d),
#define ROW_NAME(n)               BASE_NAME,
#define ROW_NAME_OF(n, ...)
#define ROW_STATE(n, w)           BASE_STATE,
#define ROW_ON(n, w)              BASE_STATE,
#define ROW_REF(n, fl, ref, scope, d)  F_REF(#n, fl, ref, scope, d),
#define ROW_LINK(n, fl, ref, scope, d)  F_REF(#n, fl, ref, scope, d),
#define ROW_REFS(n, fl, hi, ref, d)    F_REFS(#n, fl, hi, ref, d),
#define ROW_TOOLS(n, fl, hi, d)   F_ARRAY(#n, fl, hi, CP_F_TOOL_NAME, d),
#define ROW_U16(n, fl, lo, hi, df, d)  INT(#n, fl, lo, hi, #df, d),
#define ROW_U32                   ROW_U16
#define ROW_U64                   ROW_U16
#define ROW_BOOL(n, fl, df, d)    BOOL(#n, fl, (df) ? "true" : "false", d),
#define ROW_WORD(n, fl, w, df, d)                                             \
    F_ENUM(#n, fl, "\"" df "\"", WORDS(w), d),
#define ROW_CHOICE(n, fl, w, d)   F_ENUM(#n, fl, NULL, WORDS(w), d),
#define ROW_STR(n, fl, form, lo, hi, d)                                       \
    F(#n, CP_F_##form, fl, lo, hi, NULL, d),
#define ROW_TIME(n, fl, d)        F(#n, CP_F_TIME, fl, 0, 0, NULL, d),
#define ROW_STRS(n, fl, hi, d)                                                \
    { #n, CP_F_ARRAY, fl, (fl) & RQ, hi, NULL, NULL, NULL, CP_F_STRING, NULL, \
      NULL, d },
#define ROW_CIDRS(n, fl, hi, d)   F_ARRAY(#n, fl, hi, CP_F_CIDR, d),
#define ROW_ITEMS(n, fl, item, lo, hi, d)                                     \
    F_OBJECTS(#n, fl, lo, hi, item##_fields, d),
#define ROW_JSON(n, fl, hi, d)    F(#n, CP_F_JSON, fl, 0, hi, NULL, d),
#define ROW_HEX32(n, fl, d)       F(#n, CP_F_STRING, fl, 0, 0, NULL, d),
#define ROW_POLICIES(n)

#define CP_F_WORD                 CP_F_TOOL_NAME      /* the same letters    */
#define CP_F_CLAIM                CP_F_STRING

/* The same rows in a body; at: in which member of the row, with a dot. */

#define BODY_ROWS(FIELDS, at)     FIELDS(BODY, at)
#define BODY(at, t, ...)          BODY_##t(at, __VA_ARGS__)
#define BODY_AS(at, n, f, t, ...)  BODY_##t##_AS(at, n, f, __VA_ARGS__)
#define BODY_COPY(at, n, f)       { .member = #n, .column = at #f },
#define BODY_INT(at, n, f, d)                                                 \
    { .member = #n, .column = at #f, .number = true, .absent = d },
#define BODY_OWN(at, n)
#define BODY_ID(at, n, ...)       BODY_COPY(at, n, n)
#define BODY_NAME(at, n)          BODY_COPY(at, n, n)
#define BODY_NAME_OF_AS(at, n, f, ...)                                        \
    { .member = #n, .column = at #f, .name = true },
#define BODY_STATE(at, n, w)                                                  \
    { .member = #n, .column = at #n, .words = WORDS(w) },
#define BODY_ON_AS(at, n, f, w)   { .member = #n, .column = at #f, .is = w },
#define BODY_REF(at, n, ...)      BODY_COPY(at, n, n)
#define BODY_LINK(at, n, ...)     BODY_COPY(at, n, n)
#define BODY_REFS(at, n, ...)     BODY_COPY(at, n, n)
#define BODY_TOOLS(at, n, ...)
#define BODY_U16(at, n, fl, lo, hi, df, d)  BODY_INT(at, n, n, df)
#define BODY_U32                  BODY_U16
#define BODY_U64                  BODY_U16
#define BODY_BOOL(at, n, ...)     BODY_COPY(at, n, n)
#define BODY_BOOL_AS(at, n, f, ...)  BODY_COPY(at, n, f)
#define BODY_WORD(at, n, fl, w, df, d)                                        \
    { .member = #n, .column = at #n, .word = df },
#define BODY_CHOICE(at, n, ...)   BODY_COPY(at, n, n)
#define BODY_CHOICE_AS(at, n, f, ...)  BODY_COPY(at, n, f)
#define BODY_STR(at, n, ...)      BODY_COPY(at, n, n)
#define BODY_STR_AS(at, n, f, ...)  BODY_COPY(at, n, f)
#define BODY_TIME_AS(at, n, f, ...)  BODY_INT(at, n, f, 0)
#define BODY_STRS(at, n, ...)     BODY_COPY(at, n, n)
#define BODY_CIDRS(at, n, ...)    BODY_COPY(at, n, n)
#define BODY_ITEMS(at, n, ...)
#define BODY_JSON(at, n, ...)     BODY_COPY(at, n, n)
#define BODY_RAW(at, n, ...)      BODY_COPY(at, n, n)
#define BODY_HEX32_AS(at, n, f, ...)  BODY_COPY(at, n, f)
#define BODY_POLICIES(at, n)

#define WORD_TEXT(w, v)           w,
#define WORDS(w)                  (const char *const[]) { w(WORD_TEXT) NULL }

#define OWN_title                 BASE_TITLE
#define OWN_tenant                BASE_TENANT

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


/* A member of a feed body: what a column says, or is said inside of it. */
typedef struct {
    const char         *member;    /* NULL ends                              */
    const char         *column;    /* "upstream.tls.verify"                  */
    bool                number;    /* `absent` when there is none            */
    int64_t             absent;
    const char         *word;      /* likewise                               */
    bool                name;      /* of the tenant whose id it is           */
    const char         *is;        /* it is this word: true                  */
    const char *const  *words;     /* of a state; else not served           */
} cp_body_t;

/* A member of a body that has secrets in it: the record is sealed at rest, and
 * its digest tells nothing of them. */
#define CP_BODY_SALT  "salt"

/* The record of a kind whose row makes one. */
typedef struct {
    const char           *prefix;  /* of the feed's key                      */
    const cp_body_t      *members;
    stoa_scope_e          scope;   /* of its policies; STOA_SCOPE_MAX: none  */
    cp_rc_t             (*more)(cp_tx_t *tx, cp_arena_t *a,
        const cp_json_t *row, cp_json_t *body, cp_err_t *err);
                                   /* what no column holds; NULL: nothing    */
} cp_record_t;

/* *body NULL: the row, which may be NULL, is not served. */
cp_rc_t cp_body_make(cp_tx_t *tx, cp_arena_t *a, const cp_body_t *members,
    const cp_json_t *row, cp_json_t **body, cp_err_t *err) CP_MUST_CHECK;
/* Puts the body in the row; NULL: a tombstone. */
cp_rc_t cp_body_put(cp_tx_t *tx, cp_arena_t *a, cp_feed_row_t row,
    const cp_json_t *body, cp_err_t *err) CP_MUST_CHECK;
/* A row without its CP_WHOLE columns; *row NULL: there is none. */
cp_rc_t cp_row_light(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const char *id, cp_json_t **row, cp_err_t *err) CP_MUST_CHECK;
/* The feed hook of those with a cp_record_t. */
cp_rc_t cp_feed_record(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const char *id, cp_err_t *err) CP_MUST_CHECK;

/* CP_DECLINED with the field's line. */
cp_rc_t cp_fault_at(cp_op_t *op, const cp_json_t *row, const char *field,
    const char *fmt, ...) __attribute__((format(printf, 4, 5)));


/* cp_kind_application.c: whom one may be tied to. */
extern const cp_field_t  cp_owner_fields[];
cp_rc_t cp_owner_check(cp_op_t *op, const cp_json_t *row,
    const cp_json_t *owner) CP_MUST_CHECK;

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

/* cp_region.c: an api in its tenant's gateway groups; a tenant's, when its
 * change. */
cp_rc_t cp_region_api(const cp_write_t *w, cp_json_t *api) CP_MUST_CHECK;
cp_rc_t cp_region_tenant(const cp_write_t *w, const cp_json_t *before,
    const cp_json_t *after) CP_MUST_CHECK;

/* cp_upstream.c: rules across the fields of an api's upstream; its objects in
 * the body of the record. */
cp_rc_t cp_upstream_check(cp_op_t *op, const cp_json_t *before,
    const cp_json_t *api) CP_MUST_CHECK;
/* Do an api's targets speak gRPC? */
#define CP_UPSTREAM_GRPC  "upstream LIKE '%\"url\":\"grpc%'"
void cp_upstream_body(cp_arena_t *a, const cp_json_t *api, cp_json_t *body);

bool cp_api_served(const cp_json_t *api);
const char *cp_api_groups(cp_arena_t *a, const cp_json_t *api);
/* api NULL: a tombstone. */
cp_rc_t cp_item_put(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const cp_json_t *item, const cp_json_t *api, cp_err_t *err)
    CP_MUST_CHECK;

/* The record of an application and a target. */
cp_rc_t cp_sub_pair(cp_tx_t *tx, cp_arena_t *a, const char *application,
    const char *target, cp_err_t *err) CP_MUST_CHECK;
/* Touches the subscriptions whose tools depend on the api or server. */
cp_rc_t cp_follow_subs(cp_op_t *op, cp_tx_t *tx, const char *column,
    const char *id) CP_MUST_CHECK;


#endif /* CP_KIND_H */
