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

typedef enum { CP_SCHEMA_OUT, CP_SCHEMA_IN, CP_SCHEMA_PATCH, CP_SCHEMA_SPEC }
    cp_schema_e;

/* "gateway_group" -> "GatewayGroup" + suffix. */
const char *cp_openapi_name(cp_arena_t *a, const char *kind,
    const char *suffix);
cp_json_t *cp_openapi_ref(cp_arena_t *a, const char *name);
cp_json_t *cp_openapi_fields(cp_arena_t *a, const cp_field_t *fields,
    cp_schema_e what);
/* components/schemas. */
cp_json_t *cp_openapi_schemas(cp_arena_t *a);
/* Reads one of our own texts; an object that says so when it is none. */
cp_json_t *cp_openapi_text(cp_arena_t *a, const char *text);

/* Adds the configurations of policies. */
void cp_openapi_policies(cp_arena_t *a, cp_json_t *all);


#endif /* CP_OPENAPI_H */
