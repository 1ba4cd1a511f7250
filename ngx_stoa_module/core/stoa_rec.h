/*
 * Records: the binary form of a feed row's body, as the store keeps it and
 * the workers read it in place.
 *
 * A record is one flat block without pointers: header, the kind's struct,
 * then strings and arrays that the struct refers to by offset.  Encoding is
 * driven by a table of fields per kind (stoa_rec.c): a new field is a row and
 * a struct member.  Unknown members are ignored, so that an older gateway
 * understands a newer control plane; what it must not serve without is in
 * `requires` and in `policies`, where nothing is ignored.  Everything else
 * that is wrong is refused with its place.
 *
 * Strings are followed by a NUL that their length does not count (all but
 * parts of others: definition_head, definition_tail).  A record's size is a
 * multiple of 8, so LMDB keeps records aligned in a database whose keys have
 * such sizes too.
 *
 * Process: encode in the sync thread; read in any worker.  Byte order and
 * alignment are the machine's (the store is local); `layout` guards the
 * layout: a sum over all tables, so nobody has to remember to raise it.
 */

#ifndef STOA_REC_H
#define STOA_REC_H


#include "stoa_path.h"
#include "stoa_schema.h"


#define STOA_REC_MAGIC    0x53544f52u     /* "STOR" */

typedef enum {
    STOA_REC_TENANT = 1, STOA_REC_APPLICATION, STOA_REC_CREDENTIAL,
    STOA_REC_PLAN, STOA_REC_SUBSCRIPTION, STOA_REC_API, STOA_REC_TOOL,
    STOA_REC_SERVER, STOA_REC_GROUP, STOA_REC_GROUPKEY, STOA_REC_KIND_MAX
} stoa_rec_kind_e;


typedef struct { uint32_t off; uint32_t len; } stoa_ref_t;   /* bytes        */
typedef struct { uint32_t off; uint32_t n; } stoa_vec_t;     /* array        */
typedef struct { char c[STOA_ID_LEN]; } stoa_id_t;

typedef struct stoa_policy_type_s  stoa_policy_type_t;

typedef struct {
    uint32_t  magic;
    uint32_t  layout;        /* stoa_rec_layout()                        */
    uint16_t  kind;
    uint16_t  withheld;      /* 1: what came after it, or a part of it, was
                                not understood: nothing is served by it  */
    uint32_t  size;          /* of the whole record                      */
    uint64_t  rev;
    uint8_t   digest[16];    /* of key, rev and body, ARCHITECTURE.md 4   */
} stoa_rec_hdr_t;


typedef enum { STOA_STATE_ACTIVE = 0, STOA_STATE_SUSPENDED,
    STOA_STATE_ARCHIVED, STOA_STATE_PENDING, STOA_STATE_REVOKED,
    STOA_STATE_EXPIRED, STOA_STATE_ROTATING, STOA_STATE_PUBLISHED,
    STOA_STATE_DEPRECATED } stoa_state_e;
typedef enum { STOA_API_REST = 0, STOA_API_MCP } stoa_api_kind_e;
typedef enum { STOA_TARGET_API = 0, STOA_TARGET_SERVER } stoa_target_kind_e;
typedef enum { STOA_AUDIENCES(STOA_WORD_VALUE) } stoa_audience_e;
typedef enum { STOA_BALANCES(STOA_WORD_VALUE) } stoa_balance_e;
typedef enum { STOA_IDENTITIES(STOA_WORD_VALUE) } stoa_identity_e;
typedef enum { STOA_ERA_UNKNOWN = 0, STOA_ERA_LEGACY, STOA_ERA_MODERN,
    STOA_ERA_DUAL } stoa_era_e;
typedef enum { STOA_LIMIT_BYS(STOA_WORD_VALUE) } stoa_limit_by_e;
typedef enum { STOA_DIGEST_SHA256 = 0, STOA_DIGEST_HMAC } stoa_digest_e;
typedef enum { STOA_PREFIXES(STOA_WORD_VALUE) } stoa_prefix_e;


/* A policy that is attached to what the record is of, or to a part of it. */

typedef struct {
    stoa_ref_t      name;
    stoa_id_t       operation;    /* only for this one; zeros: for all    */
    stoa_ref_t      tool;         /* likewise; "": for all                */
    stoa_ref_t      config;       /* the type's struct                    */
    uint16_t        type;         /* id of the type                       */
    uint8_t         scope;        /* stoa_scope_e                         */
    uint8_t         state;        /* stoa_policy_state_e                  */
} stoa_rec_policy_t;


/* With what a gateway of the group vouches for callers: an Ed25519 key. */

typedef struct {
    stoa_rec_hdr_t  hdr;
    stoa_id_t       id;           /* kid                                  */
    int64_t         signs_ms;     /* not before                           */
    uint8_t         private[32];
} stoa_rec_groupkey_t;


/* The group of the gateway that holds it: the only one there. */

typedef struct {
    stoa_rec_hdr_t  hdr;
    stoa_id_t       id;
    stoa_ref_t      name;
    stoa_vec_t      policies;     /* stoa_rec_policy_t, as they run       */
} stoa_rec_group_t;

typedef struct {
    stoa_rec_hdr_t  hdr;
    stoa_id_t       id;
    stoa_ref_t      name;
    stoa_vec_t      policies;
    uint8_t         state;
} stoa_rec_tenant_t;

typedef struct {
    stoa_rec_hdr_t  hdr;
    stoa_id_t       id;
    stoa_id_t       tenant;
    stoa_ref_t      name;
    stoa_vec_t      policies;
    uint8_t         state;
} stoa_rec_application_t;

typedef struct {
    stoa_rec_hdr_t  hdr;
    stoa_id_t       id;
    stoa_id_t       tenant;
    stoa_id_t       application;
    int64_t         expires_ms;
    uint8_t         digest[32];
    uint8_t         alg;
    uint8_t         state;
} stoa_rec_credential_t;

typedef struct {
    stoa_rec_hdr_t  hdr;
    stoa_id_t       id;
    stoa_id_t       tenant;
    stoa_ref_t      name;
    stoa_vec_t      policies;
    STOA_MEMBERS(STOA_PLAN_FIELDS)
    uint8_t         state;
} stoa_rec_plan_t;

typedef struct {
    stoa_rec_hdr_t  hdr;
    stoa_id_t       id;
    stoa_id_t       tenant;
    stoa_id_t       application;
    stoa_id_t       target;
    stoa_id_t       plan;
    int64_t         expires_ms;
    stoa_vec_t      tools;        /* of stoa_id_t, sorted                 */
    uint8_t         target_kind;
    uint8_t         state;
    uint8_t         has_tools;    /* 0: all tools                         */
} stoa_rec_subscription_t;

typedef struct {
    stoa_ref_t      host;         /* name or address, without brackets    */
    stoa_ref_t      path;         /* "" or "/..."                         */
    uint16_t        port;
    STOA_MEMBERS(STOA_TARGET_FIELDS)
    uint8_t         tls;
} stoa_rec_api_target_t;

typedef struct {
    stoa_id_t       id;
    stoa_ref_t      method;
    stoa_ref_t      path;         /* template                             */
    uint8_t         enabled;
} stoa_rec_operation_t;

typedef struct {
    stoa_rec_hdr_t  hdr;
    stoa_id_t       id;
    stoa_id_t       tenant;
    stoa_ref_t      tenant_name;
    stoa_ref_t      name;
    stoa_ref_t      title;
    stoa_ref_t      version;
    stoa_ref_t      host;         /* lower case; "" none                  */
    stoa_ref_t      base_path;    /* "" none                              */
    stoa_ref_t      host_header;
    stoa_ref_t      tls_server_name;
    stoa_ref_t      key_query;
    stoa_ref_t      protocol_version;
    stoa_vec_t      targets;      /* stoa_rec_api_target_t, 1..32         */
    stoa_vec_t      partners;     /* stoa_id_t, sorted                    */
    stoa_vec_t      ip_allow;     /* stoa_cidr_t                          */
    stoa_vec_t      ip_deny;
    stoa_vec_t      operations;   /* stoa_rec_operation_t                 */
    stoa_vec_t      policies;     /* with the tenant's                    */
    int64_t         deprecated_ms;
    int64_t         sunset_ms;
    STOA_MEMBERS(STOA_API_FIELDS)
    STOA_MEMBERS(STOA_UPSTREAM_FIELDS)
    uint8_t         kind;
    uint8_t         state;
    uint8_t         era;
    uint8_t         tls_verify;
} stoa_rec_api_t;

typedef struct {
    stoa_rec_hdr_t  hdr;
    stoa_id_t       id;
    stoa_id_t       api;
    stoa_ref_t      name;         /* at the upstream                      */
    stoa_ref_t      definition;   /* the JSON object, as sent             */
    stoa_ref_t      definition_tail;  /* part of it after the value of the
                                     top-level "name", and ...            */
    stoa_ref_t      definition_head;  /* ... the part before: a new name is
                                     put between the two                  */
    uint8_t         enabled;
} stoa_rec_tool_t;

typedef struct {
    stoa_ref_t      name;         /* exposed                              */
    stoa_id_t       tool;
    stoa_id_t       api;
} stoa_rec_server_tool_t;

typedef struct {
    stoa_rec_hdr_t  hdr;
    stoa_id_t       id;
    stoa_id_t       tenant;
    stoa_ref_t      tenant_name;
    stoa_ref_t      name;
    stoa_ref_t      title;
    stoa_ref_t      instructions;
    stoa_vec_t      tools;        /* stoa_rec_server_tool_t, sorted by name */
    stoa_vec_t      policies;     /* with the tenant's                    */
    uint8_t         state;
    STOA_MEMBERS(STOA_SERVER_FIELDS)
} stoa_rec_server_t;


/*
 * Encodes a body.  out is reset and filled.  STOA_DECLINED: err names the
 * field; STOA_FULL / STOA_ERROR as of the buffer.  The header's digest is
 * left zero: the owner sets it.
 */
stoa_rc_t stoa_rec_encode(stoa_rec_kind_e kind, const char *json, size_t len,
    uint64_t rev, stoa_buf_t *out, stoa_err_t *err) STOA_MUST_CHECK;

/* The same for a body that was refused, without what it must not be served
 * without: its place is kept (routes, names), hdr.withheld says that nothing
 * may be served by it. */
stoa_rc_t stoa_rec_withhold(stoa_rec_kind_e kind, const char *json,
    size_t len, uint64_t rev, stoa_buf_t *out) STOA_MUST_CHECK;

/* Lays the configuration of a policy out by its type, as a record has it: the
 * struct, then what it refers to.  err as of stoa_rec_encode(). */
stoa_rc_t stoa_rec_policy(const stoa_policy_type_t *type, const char *json,
    size_t len, stoa_buf_t *out, stoa_err_t *err) STOA_MUST_CHECK;
/* The same, only to judge it. */
stoa_rc_t stoa_rec_policy_check(const stoa_policy_type_t *type,
    const char *json, size_t len, stoa_err_t *err) STOA_MUST_CHECK;

/* Is this block a record of that kind and this layout, whole, with all
 * offsets inside?  Cheap: header, size; _verify also walks every ref. */
bool stoa_rec_valid(const void *data, size_t len, stoa_rec_kind_e kind);
bool stoa_rec_verify(const void *data, size_t len, stoa_rec_kind_e kind);

/* A sum over every row of every table: a store that another layout has written
 * is not read. */
uint32_t stoa_rec_layout(void);

stoa_rec_kind_e stoa_rec_kind(const char *name, size_t len);  /* 0: unknown */
const char *stoa_rec_kind_name(stoa_rec_kind_e kind);

#define stoa_rec_str(rec, ref)                                                \
    ((stoa_str_t) { (const char *) (rec) + (ref).off, (ref).len })
#define stoa_rec_vec(rec, vec, type)                                          \
    ((const type *) ((const char *) (rec) + (vec).off))

/* Is the id in a sorted list of the record? */
bool stoa_rec_has_id(const void *rec, stoa_vec_t vec, const stoa_id_t *id);


#endif /* STOA_REC_H */
