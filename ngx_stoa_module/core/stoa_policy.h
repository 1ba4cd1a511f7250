/*
 * Types of policies: what a policy is called, where it may be attached, what
 * its configuration consists of.  Both planes read this: the control plane
 * judges a configuration by it, the gateway's codec lays it out by it, so a
 * bound cannot differ.  What a policy does is in ngx_stoa_module/policy/.
 *
 * A type is one file here, stoa_policy_<name>.h, and one row in stoa_policy.c.
 * Included by itself such a file makes the struct of the configuration, as it
 * lies in a record; stoa_policy.c makes the tables of it too.
 *
 * Process: any; constant data.
 */

#ifndef STOA_POLICY_H
#define STOA_POLICY_H


#include "stoa_rec_table.h"


/* Where a policy may be attached; from the widest to the narrowest. */

typedef enum {
    STOA_SCOPE_GROUP = 0, STOA_SCOPE_TENANT, STOA_SCOPE_SERVER,
    STOA_SCOPE_API, STOA_SCOPE_OPERATION, STOA_SCOPE_TOOL, STOA_SCOPE_PLAN,
    STOA_SCOPE_APPLICATION, STOA_SCOPE_MAX
} stoa_scope_e;

#define STOA_ON_GROUP        (1 << STOA_SCOPE_GROUP)
#define STOA_ON_TENANT       (1 << STOA_SCOPE_TENANT)
#define STOA_ON_SERVER       (1 << STOA_SCOPE_SERVER)
#define STOA_ON_API          (1 << STOA_SCOPE_API)       /* of kind rest   */
#define STOA_ON_OPERATION    (1 << STOA_SCOPE_OPERATION)
#define STOA_ON_TOOL         (1 << STOA_SCOPE_TOOL)
#define STOA_ON_PLAN         (1 << STOA_SCOPE_PLAN)
#define STOA_ON_APPLICATION  (1 << STOA_SCOPE_APPLICATION)
#define STOA_ON_MCP_API      (1 << STOA_SCOPE_MAX)       /* of kind mcp    */
#define STOA_ON_ALL          ((1 << (STOA_SCOPE_MAX + 1)) - 1)

/* In which order the policies of one call run: before it is known who calls,
 * who it is, by which subscription, whether the call is as it was sent, what
 * waits until a part of the call is known and may change its body, what his
 * plan allows, the rest. */

typedef enum {
    STOA_ORDER_ADMIT = 1, STOA_ORDER_AUTHN, STOA_ORDER_ACCESS,
    STOA_ORDER_SENT, STOA_ORDER_LATE, STOA_ORDER_LIMIT, STOA_ORDER_AUTHZ,
    STOA_ORDER_TRANSFORM
} stoa_policy_order_e;

#define stoa_policy_order(type, scope)                                        \
    ((type)->order == STOA_ORDER_ADMIT && (scope) > STOA_SCOPE_API            \
     ? STOA_ORDER_LATE : (type)->order)

/* For people: what waits for the caller or his plan alone waits no longer. */
#define stoa_policy_when(type, scope)                                         \
    (stoa_policy_order(type, scope) != STOA_ORDER_LATE                        \
     ? stoa_policy_order(type, scope)                                         \
     : (scope) == STOA_SCOPE_APPLICATION ? STOA_ORDER_AUTHN                   \
     : (scope) == STOA_SCOPE_PLAN ? STOA_ORDER_ACCESS : STOA_ORDER_LATE)

/* One of them at a time: the narrowest counts, whatever its state.  Without
 * this flag all that are attached run. */
#define STOA_POLICY_SINGLE   0x01
/* In force where none is attached, with the defaults. */
#define STOA_POLICY_DEFAULT  0x02
/* Attached, it says the state of what the record's own fields ask for. */
#define STOA_POLICY_STATE    0x04
/* Discovery shows it an api's upstream, too. */
#define STOA_POLICY_SHOWN    0x08
/* Judges by the contract of the api's OpenAPI document. */
#define STOA_POLICY_CONTRACT 0x20

/* It judges what is in bodies: nothing of an api of gRPC. */
#define STOA_POLICY_BODIES   0x10

/* Bytes of a certificate, those that lead to it, and its key, as PEM. */
#define STOA_CERTIFICATE_MAX  16384

typedef enum { STOA_POLICY_ENABLED = 0, STOA_POLICY_SHADOW,
    STOA_POLICY_DISABLED } stoa_policy_state_e;


struct stoa_policy_type_s {
    const char               *name;      /* in documents                   */
    uint16_t                  id;        /* never used again               */
    uint16_t                  version;   /* of the configuration           */
    uint16_t                  order;
    uint16_t                  flags;
    uint32_t                  scopes;    /* STOA_ON_*; 0: not attached     */
    const stoa_rec_struct_t  *config;
    /* Rules across fields: NULL, or what is wrong, with *field named. */
    const char             *(*check)(const void *rec, const void *config,
                                     const char **field);
    const char               *doc;

    /* Fields of a record that are a configuration too, as if it were attached
     * to what the record is of: where one of the first `asks` has a value, or
     * everywhere.  They lie as `config` does, if it has fields. */
    uint16_t                  own;       /* stoa_rec_kind_e; 0: none       */
    uint16_t                  asks;
    const char *const        *fields;
};


/* By place, NULL at the end; by name; by id. */
const stoa_policy_type_t *stoa_policy_at(size_t i);
const stoa_policy_type_t *stoa_policy_find(const char *name, size_t len);
const stoa_policy_type_t *stoa_policy_by_id(unsigned id);

/* Where a record's own fields ask for it; NULL: they do not. */
const void *stoa_policy_own(const stoa_policy_type_t *type,
    const stoa_rec_hdr_t *rec);

const char *stoa_scope_name(stoa_scope_e scope);

/* RFC 9110: a token, of 64 bytes at most. */
bool stoa_policy_token_valid(const char *s, size_t len);

/* Is a header's name in a list that NULL ends, whatever servers fold? */
bool stoa_policy_listed(const char *const *names, const char *s, size_t len);

/* A header's name that a configuration may name: a token, not one that
 * belongs to the connection, nor the gateway's own. */
bool stoa_policy_header_valid(const char *s, size_t len);

/* Does it tell who forwarded the call?  A consumer's policy may not. */
bool stoa_policy_header_claims(const char *s, size_t len);

/* Is this an origin of the web: scheme://host[:port]? */
bool stoa_policy_origin_valid(const char *s, size_t len);

/* Variables in a value: ${name}.  Finds the next one in s: *at is where it
 * begins, *n its whole length; stoa_var_e, or -1 without
 * one, -2 for one that is not known. */
typedef enum {
    STOA_VAR_REQUEST_ID = 0, STOA_VAR_CLIENT_ADDRESS, STOA_VAR_TENANT,
    STOA_VAR_APPLICATION, STOA_VAR_SUBSCRIPTION, STOA_VAR_PLAN, STOA_VAR_API,
    STOA_VAR_MAX
} stoa_var_e;

int stoa_policy_var(const char *s, size_t len, size_t *at, size_t *n);


/*
 * The schema of a type: a macro of rows F(S, type, name, min, max, default,
 * how, doc), where `how` is empty or one of STOA_VALID(), STOA_WORDS(),
 * STOA_ITEMS(); STOA_POLICY_STRUCT() makes the struct of it, and the table.
 */

#define STOA_C_ENUM       uint8_t
#define STOA_C_STRING     stoa_ref_t
#define STOA_C_OBJECT     stoa_ref_t
#define STOA_C_STRINGS    stoa_vec_t
#define STOA_C_STRUCTS    stoa_vec_t
#define STOA_C_CIDRS      stoa_vec_t

#define STOA_VALID(v, text)  .valid = v, .must = text,
#define STOA_WORDS(w)        .words = w,
#define STOA_REQUIRED        .required = true,
#define STOA_SECRET(s)       .secret = STOA_REC_SECRET_##s,
#define STOA_ITEMS(s)        .items = &stoa_policy_##s##_struct,

#define STOA_FIELD_MEMBER(S, t, n, lo, hi, d, how, text)  STOA_C_##t  n;

#define STOA_POLICY_MEMBERS(P, FIELDS)                                     \
    typedef struct {                                                          \
        FIELDS(STOA_FIELD_MEMBER, )                                           \
    } stoa_policy_##P##_t;

#ifdef STOA_POLICY_TABLES

static const stoa_rec_word_t  stoa_policy_failure_words[] = {
    { "local_share", STOA_ON_STORE_FAILURE_LOCAL_SHARE },
    { "allow", STOA_ON_STORE_FAILURE_ALLOW },
    { "deny", STOA_ON_STORE_FAILURE_DENY },
    { NULL, 0 }
};

#define STOA_FIELD_ROW(S, t, n, lo, hi, d, how, text)                         \
    { .name = { #n, sizeof(#n) - 1 }, .type = STOA_REC_T_##t,                 \
      .offset = offsetof(S, n), .min = lo, .max = hi, .def = d, how           \
      .doc = text },

#define STOA_POLICY_STRUCT(P, FIELDS)                                      \
    STOA_POLICY_MEMBERS(P, FIELDS)                                         \
    static const stoa_rec_field_t  stoa_policy_##P##_fields[] = {          \
        FIELDS(STOA_FIELD_ROW, stoa_policy_##P##_t)                        \
    };                                                                        \
    static const stoa_rec_struct_t  stoa_policy_##P##_struct = {           \
        .name = #P, .size = sizeof(stoa_policy_##P##_t),                \
        .fields = stoa_policy_##P##_fields,                                \
        .nfields = stoa_rec_nfields(stoa_policy_##P##_fields),             \
        .strict = true                                                        \
    };

#else
#define STOA_POLICY_STRUCT(P, FIELDS)  STOA_POLICY_MEMBERS(P, FIELDS)
#endif


#endif /* STOA_POLICY_H */
