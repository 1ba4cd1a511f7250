/*
 * json-schema: what a body of JSON has to be.
 */

#ifndef STOA_POLICY_SCHEMA_H
#define STOA_POLICY_SCHEMA_H


#include "stoa_jschema.h"
#include "stoa_policy.h"


#define STOA_POLICY_SCHEMA(F, S)                                              \
    F(S, OBJECT, schema, 0, STOA_JSCHEMA_LEN, 0, STOA_REQUIRED,               \
      "a JSON Schema (2020-12; docs/policies.md says which keywords) of the " \
      "body, at a tool of its arguments")                                     \
    F(S, U32, max_bytes, 1, STOA_JSONRPC_BODY_MAX, 1048576, ,                 \
      "of the body, which is kept until it is judged")                        \
    F(S, BOOL, required, 0, 1, 0, , "a call without a body is refused")       \
    F(S, BOOL, other_types, 0, 1, 0, ,                                        \
      "bodies whose Content-Type is not one of JSON pass unread")

STOA_POLICY_STRUCT(schema, STOA_POLICY_SCHEMA)


#ifdef STOA_POLICY_TABLES

/* What is wrong is said by a thread's own words. */

static const char *
stoa_policy_schema_wrong(stoa_str_t text, const char **field)
{
    stoa_rc_t                  rc;
    stoa_buf_t                 b;
    stoa_err_t                 err;

    static _Thread_local char  name[STOA_ERR_FIELD_MAX + 8];
    static _Thread_local char  words[STOA_ERR_TEXT_MAX];

    stoa_buf_init(&b, STOA_JSCHEMA_BLOCK);
    rc = stoa_jschema_compile(text.data, text.len, &b, &err);
    stoa_buf_free(&b);

    if (rc == STOA_OK) {
        return NULL;
    }

    *field = "schema";

    if (rc != STOA_DECLINED) {
        return "is too large";
    }

    if (err.field[0]) {
        (void) snprintf(name, sizeof(name), "schema.%s", err.field);
        *field = name;
    }

    (void) snprintf(words, sizeof(words), "%s", err.text);

    return words;
}


static const char *
stoa_policy_schema_check(const void *rec, const void *config,
    const char **field)
{
    const stoa_policy_schema_t  *schema = config;

    return stoa_policy_schema_wrong(stoa_rec_str(rec, schema->schema), field);
}


static const stoa_policy_type_t  stoa_policy_schema = {
    .name = "json-schema", .id = 23, .version = 1, .order = STOA_ORDER_LATE,
    .scopes = STOA_ON_API|STOA_ON_OPERATION|STOA_ON_TOOL,
    .flags = STOA_POLICY_BODIES,
    .config = &stoa_policy_schema_struct, .check = stoa_policy_schema_check,
    .doc = "refuses calls (400 schema_mismatch) whose body, or at a tool "
           "whose arguments, a JSON Schema does not fit"
};

#endif


#endif /* STOA_POLICY_SCHEMA_H */
