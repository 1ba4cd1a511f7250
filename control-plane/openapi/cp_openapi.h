/*
 * GET /v1/openapi.json: OpenAPI 3.1, made from the tables that the process
 * works by: routes, resources, permissions, error codes, reports of gateways.
 *
 * Process: stoa-control, one request; the document lives in its arena.
 */

#ifndef CP_OPENAPI_H
#define CP_OPENAPI_H


#include "http/cp_http.h"
#include "resource/cp_resource.h"


/* Schemas of values in paths and queries.  U+0000 is refused everywhere. */
#define CP_OPENAPI_NAMED                                                      \
    "{\"type\":\"string\",\"minLength\":1,\"pattern\":\"^[^\\\\u0000]+$\"}"
#define CP_OPENAPI_TEXT                                                       \
    "{\"type\":\"string\",\"pattern\":\"^[^\\\\u0000]*$\"}"
#define CP_OPENAPI_CURSOR                                                     \
    "{\"type\":\"string\",\"pattern\":\"^([0-9a-f]{2}){0,512}$\"}"
#define CP_OPENAPI_WAIT                                                       \
    "{\"type\":\"string\",\"pattern\":\"^(([0-9]{1,2}|[12][0-9]{2}|300)s?"    \
    "|([0-9]{1,5}|[12][0-9]{5}|300000)ms|[0-5]m)$\"}"
#define CP_OPENAPI_ONCE                                                       \
    "{\"type\":\"string\",\"minLength\":1,\"maxLength\":255,\"pattern\":"     \
    "\"^[!-~]+$\"}"
#define CP_OPENAPI_FLAG                                                       \
    "{\"type\":\"string\",\"enum\":[\"0\",\"1\",\"true\",\"false\"]}"

/* What the tables of routes do not say of a route that is no resource's. */
typedef struct {
    const char  *route;            /* "POST /v1/apply"                      */
    const char  *parameters;       /* JSON array; NULL: none                */
    const char  *request;          /* JSON: media types; NULL: no body      */
    const char  *responses;        /* JSON: responses beside the errors     */
} cp_openapi_extra_t;

extern const cp_openapi_extra_t  cp_openapi_extras[];  /* route NULL ends   */
/* Schemas that no table has: an object of them. */
extern const char *const  cp_openapi_schemas_text[];   /* name, JSON, ...   */

/* An operation while it is described. */
typedef struct {
    cp_arena_t                *a;
    const cp_route_t          *route;
    const cp_resource_t       *res;    /* NULL: no resource's route          */
    const cp_openapi_extra_t  *extra;  /* NULL: the tables say all           */
    bool                       item;   /* the path ends in a parameter       */
    const char                *event;  /* its last segment, after the item;
                                          NULL: none                         */
} cp_openapi_t;

typedef enum { CP_SCHEMA_OUT, CP_SCHEMA_IN, CP_SCHEMA_PATCH, CP_SCHEMA_SPEC }
    cp_schema_e;

/* "gateway_group" -> "GatewayGroup" + suffix. */
const char *cp_openapi_name(cp_arena_t *a, const char *kind,
    const char *suffix);
cp_json_t *cp_openapi_ref(cp_arena_t *a, const char *name);
cp_json_t *cp_openapi_fields(cp_arena_t *a, const cp_field_t *fields,
    cp_schema_e what);
/* What a query may ask for, which has no type of JSON. */
cp_json_t *cp_openapi_value(cp_arena_t *a, const cp_field_t *f);
/* components/schemas. */
cp_json_t *cp_openapi_schemas(cp_arena_t *a);
/* Reads one of our own texts; an object that says so when it is none. */
cp_json_t *cp_openapi_text(cp_arena_t *a, const char *text);

cp_json_t *cp_openapi_document(cp_arena_t *a, const cp_site_t *site);

/* cp_openapi_example.c: adds examples to the finished document. */
void cp_openapi_examples(cp_arena_t *a, cp_json_t *doc);

/* cp_openapi_parameter.c */
cp_json_t *cp_openapi_parameters(cp_openapi_t *o);

/* cp_openapi_response.c: of an operation; components/responses and
 * components/headers, of all. */
cp_json_t *cp_openapi_responses(cp_openapi_t *o);
cp_json_t *cp_openapi_errors(cp_arena_t *a);
cp_json_t *cp_openapi_headers(cp_arena_t *a);
cp_json_t *cp_openapi_content(cp_arena_t *a, const char *type,
    cp_json_t *schema);

/* cp_openapi_transition.c: the row of the route's event, NULL: none. */
const cp_transition_t *cp_openapi_transition(const cp_openapi_t *o);
void cp_openapi_event(cp_openapi_t *o, cp_json_t *op);
void cp_openapi_transitions(cp_arena_t *a, const cp_resource_t *res,
    cp_json_t *schema);

/* cp_openapi_policy.c: GET /v1/policy-types. */
cp_rc_t cp_openapi_policy_types(cp_req_t *r);
/* Adds the configurations of policies. */
void cp_openapi_policies(cp_arena_t *a, cp_json_t *all);


#endif /* CP_OPENAPI_H */
