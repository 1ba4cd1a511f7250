/*
 * Records: the binary form of a feed row's body, as the store keeps it and
 * the workers read it in place.
 *
 * A record is one flat block without pointers: header, the kind's struct,
 * then strings and arrays that the struct refers to by offset.  Encoding is
 * driven by a table of fields per kind, which is made of stoa_schema.h as its
 * struct is.  Unknown members are ignored, so that an older gateway
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
#include "stoa_zone.h"
#include "stoa_schema.h"


#define STOA_REC_MAGIC    0x53544f52u     /* "STOR" */

typedef enum {
    STOA_REC_TENANT = 1, STOA_REC_APPLICATION, STOA_REC_CREDENTIAL,
    STOA_REC_PLAN, STOA_REC_SUBSCRIPTION, STOA_REC_API, STOA_REC_TOOL,
    STOA_REC_SERVER, STOA_REC_GROUP, STOA_REC_GROUPKEY, STOA_REC_SEALKEY,
    STOA_REC_ISSUER, STOA_REC_PROMPT,
    STOA_REC_RESOURCE, STOA_REC_TEMPLATE, STOA_REC_PURGE,
    STOA_REC_KIND_MAX
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
typedef enum { STOA_API_KINDS(STOA_WORD_VALUE) } stoa_api_kind_e;
typedef enum { STOA_TARGET_KINDS(STOA_WORD_VALUE) } stoa_target_kind_e;
typedef enum { STOA_AUDIENCES(STOA_WORD_VALUE) } stoa_audience_e;
typedef enum { STOA_BALANCES(STOA_WORD_VALUE) } stoa_balance_e;
typedef enum { STOA_HEALTH_TYPES(STOA_WORD_VALUE) } stoa_health_type_e;
typedef enum { STOA_STICKIES(STOA_WORD_VALUE) } stoa_sticky_e;
typedef enum { STOA_ALL_DOWN(STOA_WORD_VALUE) } stoa_all_down_e;
typedef enum { STOA_IDENTITIES(STOA_WORD_VALUE) } stoa_identity_e;
typedef enum { STOA_ERAS(STOA_WORD_VALUE) } stoa_era_e;
typedef enum { STOA_LIMIT_BYS(STOA_WORD_VALUE) } stoa_limit_by_e;
typedef enum { STOA_ON_STORE_FAILURES(STOA_WORD_VALUE) }
    stoa_on_store_failure_e;
typedef enum { STOA_DIGESTS(STOA_WORD_VALUE) } stoa_digest_e;
typedef enum { STOA_PREFIXES(STOA_WORD_VALUE) } stoa_prefix_e;
typedef enum { STOA_DPOPS(STOA_WORD_VALUE) } stoa_dpop_e;
typedef enum { STOA_PURGE_KINDS(STOA_WORD_VALUE) } stoa_purge_kind_e;


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


/* Structs of the rows of stoa_schema.h; a record begins with its header. */

#define STOA_RECORD(name, members)                                            \
    typedef struct { stoa_rec_hdr_t  hdr; members } stoa_rec_##name##_t;
#define STOA_RECORD_PART(name, members)                                       \
    typedef struct { members } stoa_rec_##name##_t;


/* With what a gateway of the group vouches for callers: an Ed25519 key, its
 * id is the kid. */

STOA_RECORD(groupkey, STOA_MEMBERS(STOA_GROUPKEY_MADE))

/* By what the group's gateways seal; kid: a digit or letter. */

STOA_RECORD(sealkey, STOA_MEMBERS(STOA_SEALKEY_MADE))

/* What of an api's kept answers is over; items: stoa_rec_purge_item_t, the
 * oldest first. */

STOA_RECORD_PART(purge_item, STOA_MEMBERS(STOA_PURGE_ITEM_MADE))
STOA_RECORD(purge, STOA_MEMBERS(STOA_PURGE_MADE))

/* The group of the gateway that holds it: the only one there.  Policies, here
 * and below: stoa_rec_policy_t, as they run. */

STOA_RECORD(group, STOA_MEMBERS(STOA_GROUP_FIELDS))
STOA_RECORD(tenant, STOA_MEMBERS(STOA_TENANT_FIELDS))
STOA_RECORD(application, STOA_MEMBERS(STOA_APPLICATION_FIELDS))
STOA_RECORD(credential, STOA_MEMBERS(STOA_CREDENTIAL_FIELDS))
STOA_RECORD(plan, STOA_MEMBERS(STOA_PLAN_FIELDS))

/* tools: stoa_id_t, sorted; has_tools 0: all. */

STOA_RECORD(subscription, STOA_MEMBERS(STOA_SUBSCRIPTION_FIELDS)
            STOA_MEMBERS(STOA_SUBSCRIPTION_MADE))

/* host: name or address, without brackets; path: "" or "/...". */

STOA_RECORD_PART(api_target, STOA_MEMBERS(STOA_TARGET_FIELDS)
                 STOA_MEMBERS(STOA_TARGET_MADE))
STOA_RECORD_PART(operation, STOA_MEMBERS(STOA_OPERATION_FIELDS))

STOA_RECORD_PART(health, STOA_MEMBERS(STOA_HEALTH_FIELDS))
STOA_RECORD_PART(breaker, STOA_MEMBERS(STOA_BREAKER_FIELDS))
STOA_RECORD_PART(retry, STOA_MEMBERS(STOA_RETRY_FIELDS))
STOA_RECORD_PART(mirror, STOA_MEMBERS(STOA_MIRROR_FIELDS))
STOA_RECORD_PART(split_group, STOA_MEMBERS(STOA_SPLIT_GROUP_FIELDS))
STOA_RECORD_PART(split_rule, STOA_MEMBERS(STOA_SPLIT_RULE_FIELDS))
STOA_RECORD_PART(split, STOA_MEMBERS(STOA_SPLIT_FIELDS))

/* host: lower case; "": none.  targets: stoa_rec_api_target_t; partners:
 * stoa_id_t, sorted; policies: with the tenant's; health, breaker,
 * retry, split, mirror: at most one, stoa_rec_health_t and so on. */

STOA_RECORD(api, STOA_MEMBERS(STOA_API_FIELDS)
            STOA_MEMBERS(STOA_UPSTREAM_FIELDS)
            STOA_MEMBERS(STOA_UPSTREAM_MADE) STOA_MEMBERS(STOA_TLS_FIELDS)
            STOA_MEMBERS(STOA_DISCOVERY_MADE) STOA_MEMBERS(STOA_API_MADE))

/* A tool, prompt, resource or template; name: of the latter two the URI.
 * definition_head and _tail: its parts before and after the value of the
 * top-level member that has the name: a new one is put between the two.
 * params: stoa_mcp_params_e, of a tool; repeats: it says that a call may be
 * made twice. */

STOA_RECORD(item, STOA_MEMBERS(STOA_TOOL_FIELDS)
            stoa_ref_t definition_head; stoa_ref_t definition_tail;
            uint8_t params; uint8_t repeats;)

typedef stoa_rec_item_t  stoa_rec_tool_t;

/* tools: stoa_rec_server_tool_t, sorted by name, which is the exposed one;
 * prompts: likewise; resources: uri "": all of the api; policies: with the
 * tenant's. */

STOA_RECORD_PART(server_tool, STOA_MEMBERS(STOA_SERVER_TOOL_MADE))
STOA_RECORD_PART(server_prompt, STOA_MEMBERS(STOA_SERVER_PROMPT_MADE))
STOA_RECORD_PART(server_resource, STOA_MEMBERS(STOA_SERVER_RESOURCE_MADE))
STOA_RECORD(server, STOA_MEMBERS(STOA_SERVER_FIELDS))


/* Who vouches for a tenant's callers by tokens.  keys:
 * stoa_rec_issuer_key_t, spki is DER in base64url; clients: ..._client_t,
 * sorted; scopes: ..._scope_t; application: zeros, none. */

STOA_RECORD_PART(issuer_key, STOA_MEMBERS(STOA_ISSUER_KEY_MADE))
STOA_RECORD_PART(issuer_client, STOA_MEMBERS(STOA_ISSUER_CLIENT_FIELDS))
STOA_RECORD_PART(issuer_scope, STOA_MEMBERS(STOA_ISSUER_SCOPE_FIELDS))
STOA_RECORD(issuer, STOA_MEMBERS(STOA_ISSUER_FIELDS)
            STOA_MEMBERS(STOA_CLAIMS_FIELDS) STOA_MEMBERS(STOA_ISSUER_MADE))


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
