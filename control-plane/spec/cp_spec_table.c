/*
 * What may stand where: the objects of OpenAPI 3.0 and 3.1.
 */

#include "spec/cp_spec.h"


#define ONE   CP_SPEC_ONE
#define MAP   CP_SPEC_MAP
#define LIST  CP_SPEC_LIST
#define RQ    CP_SPEC_RQ
#define REF   CP_SPEC_REF
#define V31   CP_SPEC_31

#define TEXT(in, name)    { in, name, T_STRING, ONE, 0 }
#define FLAG(in, name)    { in, name, T_BOOL, ONE, 0 }
#define SUB(name)         { T_SCHEMA, name, T_SCHEMA, ONE, 0 }
#define SUBS(name, form)  { T_SCHEMA, name, T_SCHEMA, form, 0 }
#define DATA(in, name)    { in, name, T_ANY, ONE, 0 }
#define COUNT(name)       { T_SCHEMA, name, T_INT, ONE, 0 }
#define METHOD(name)      { T_PATH_ITEM, name, T_OPERATION, ONE, 0 }

/* What parameters and headers share. */
#define VALUE(in)                                                             \
    TEXT(in, "description"), FLAG(in, "required"), FLAG(in, "deprecated"),    \
    FLAG(in, "allowEmptyValue"), TEXT(in, "style"), FLAG(in, "explode"),      \
    FLAG(in, "allowReserved"), { in, "schema", T_SCHEMA, ONE, 0 },            \
    DATA(in, "example"), { in, "examples", T_EXAMPLE, MAP, REF },             \
    { in, "content", T_MEDIA, MAP, 0 }


const cp_spec_row_t  cp_spec_rows[] = {

    { T_ROOT, "openapi", T_STRING, ONE, RQ },
    { T_ROOT, "info", T_INFO, ONE, RQ },
    { T_ROOT, "servers", T_SERVER, LIST, 0 },
    { T_ROOT, "paths", T_PATHS, ONE, CP_SPEC_RQ30 },
    { T_ROOT, "webhooks", T_PATH_ITEM, MAP, REF|V31 },
    { T_ROOT, "components", T_COMPONENTS, ONE, 0 },
    { T_ROOT, "security", T_SECURITY, LIST, 0 },
    { T_ROOT, "tags", T_TAG, LIST, 0 },
    { T_ROOT, "externalDocs", T_DOCS, ONE, 0 },
    { T_ROOT, "jsonSchemaDialect", T_STRING, ONE, V31 },

    { T_INFO, "title", T_STRING, ONE, RQ },
    { T_INFO, "version", T_STRING, ONE, RQ },
    { T_INFO, "summary", T_STRING, ONE, V31 },
    TEXT(T_INFO, "description"),
    TEXT(T_INFO, "termsOfService"),
    { T_INFO, "contact", T_CONTACT, ONE, 0 },
    { T_INFO, "license", T_LICENSE, ONE, 0 },

    TEXT(T_CONTACT, "name"),
    TEXT(T_CONTACT, "url"),
    TEXT(T_CONTACT, "email"),

    { T_LICENSE, "name", T_STRING, ONE, RQ },
    TEXT(T_LICENSE, "url"),
    { T_LICENSE, "identifier", T_STRING, ONE, V31 },

    { T_SERVER, "url", T_STRING, ONE, RQ },
    TEXT(T_SERVER, "description"),
    { T_SERVER, "variables", T_SERVER_VAR, MAP, 0 },

    { T_SERVER_VAR, "enum", T_STRING, LIST, 0 },
    { T_SERVER_VAR, "default", T_STRING, ONE, RQ },
    TEXT(T_SERVER_VAR, "description"),

    { T_PATHS, "*", T_PATH_ITEM, ONE, REF },

    TEXT(T_PATH_ITEM, "$ref"),
    TEXT(T_PATH_ITEM, "summary"),
    TEXT(T_PATH_ITEM, "description"),
    { T_PATH_ITEM, "servers", T_SERVER, LIST, 0 },
    { T_PATH_ITEM, "parameters", T_PARAMETER, LIST, REF },
    METHOD("get"), METHOD("put"), METHOD("post"), METHOD("delete"),
    METHOD("options"), METHOD("head"), METHOD("patch"), METHOD("trace"),

    { T_OPERATION, "tags", T_STRING, LIST, 0 },
    TEXT(T_OPERATION, "summary"),
    TEXT(T_OPERATION, "description"),
    { T_OPERATION, "externalDocs", T_DOCS, ONE, 0 },
    TEXT(T_OPERATION, "operationId"),
    { T_OPERATION, "parameters", T_PARAMETER, LIST, REF },
    { T_OPERATION, "requestBody", T_BODY, ONE, REF },
    { T_OPERATION, "responses", T_RESPONSES, ONE, CP_SPEC_RQ30 },
    { T_OPERATION, "callbacks", T_CALLBACK, MAP, REF },
    FLAG(T_OPERATION, "deprecated"),
    { T_OPERATION, "security", T_SECURITY, LIST, 0 },
    { T_OPERATION, "servers", T_SERVER, LIST, 0 },

    TEXT(T_DOCS, "description"),
    { T_DOCS, "url", T_STRING, ONE, RQ },

    { T_PARAMETER, "name", T_STRING, ONE, RQ },
    { T_PARAMETER, "in", T_STRING, ONE, RQ },
    VALUE(T_PARAMETER),

    TEXT(T_BODY, "description"),
    { T_BODY, "content", T_MEDIA, MAP, RQ },
    FLAG(T_BODY, "required"),

    { T_MEDIA, "schema", T_SCHEMA, ONE, 0 },
    DATA(T_MEDIA, "example"),
    { T_MEDIA, "examples", T_EXAMPLE, MAP, REF },
    { T_MEDIA, "encoding", T_ENCODING, MAP, 0 },

    TEXT(T_ENCODING, "contentType"),
    { T_ENCODING, "headers", T_HEADER, MAP, REF },
    TEXT(T_ENCODING, "style"),
    FLAG(T_ENCODING, "explode"),
    FLAG(T_ENCODING, "allowReserved"),

    { T_RESPONSES, "*", T_RESPONSE, ONE, REF },

    { T_RESPONSE, "description", T_STRING, ONE, RQ },
    { T_RESPONSE, "headers", T_HEADER, MAP, REF },
    { T_RESPONSE, "content", T_MEDIA, MAP, 0 },
    { T_RESPONSE, "links", T_LINK, MAP, REF },

    { T_CALLBACK, "*", T_PATH_ITEM, ONE, REF },

    TEXT(T_EXAMPLE, "summary"),
    TEXT(T_EXAMPLE, "description"),
    DATA(T_EXAMPLE, "value"),
    TEXT(T_EXAMPLE, "externalValue"),

    TEXT(T_LINK, "operationRef"),
    TEXT(T_LINK, "operationId"),
    DATA(T_LINK, "parameters"),
    DATA(T_LINK, "requestBody"),
    TEXT(T_LINK, "description"),
    { T_LINK, "server", T_SERVER, ONE, 0 },

    VALUE(T_HEADER),

    { T_TAG, "name", T_STRING, ONE, RQ },
    TEXT(T_TAG, "description"),
    { T_TAG, "externalDocs", T_DOCS, ONE, 0 },

    TEXT(T_SCHEMA, "$ref"),
    TEXT(T_SCHEMA, "$dynamicRef"),
    SUBS("properties", MAP), SUBS("patternProperties", MAP),
    SUBS("dependentSchemas", MAP), SUBS("$defs", MAP),
    SUBS("definitions", MAP),
    SUBS("allOf", LIST), SUBS("anyOf", LIST), SUBS("oneOf", LIST),
    SUBS("prefixItems", LIST),
    SUB("items"), SUB("additionalProperties"), SUB("not"), SUB("if"),
    SUB("then"), SUB("else"), SUB("contains"), SUB("propertyNames"),
    SUB("unevaluatedItems"), SUB("unevaluatedProperties"),
    SUB("additionalItems"), SUB("contentSchema"),
    { T_SCHEMA, "required", T_STRING, LIST, 0 },
    { T_SCHEMA, "enum", T_ANY, LIST, 0 },
    { T_SCHEMA, "discriminator", T_DISCRIMINATOR, ONE, 0 },
    { T_SCHEMA, "externalDocs", T_DOCS, ONE, 0 },
    TEXT(T_SCHEMA, "title"), TEXT(T_SCHEMA, "description"),
    TEXT(T_SCHEMA, "format"), TEXT(T_SCHEMA, "pattern"),
    { T_SCHEMA, "multipleOf", T_NUMBER, ONE, 0 },
    { T_SCHEMA, "maximum", T_NUMBER, ONE, 0 },
    { T_SCHEMA, "minimum", T_NUMBER, ONE, 0 },
    COUNT("maxLength"), COUNT("minLength"), COUNT("maxItems"),
    COUNT("minItems"), COUNT("maxProperties"), COUNT("minProperties"),
    FLAG(T_SCHEMA, "nullable"), FLAG(T_SCHEMA, "readOnly"),
    FLAG(T_SCHEMA, "writeOnly"), FLAG(T_SCHEMA, "deprecated"),
    FLAG(T_SCHEMA, "uniqueItems"),
    DATA(T_SCHEMA, "*"),

    { T_DISCRIMINATOR, "propertyName", T_STRING, ONE, RQ },
    { T_DISCRIMINATOR, "mapping", T_STRING, MAP, 0 },

    { T_SCHEME, "type", T_STRING, ONE, RQ },
    TEXT(T_SCHEME, "description"), TEXT(T_SCHEME, "name"),
    TEXT(T_SCHEME, "in"), TEXT(T_SCHEME, "scheme"),
    TEXT(T_SCHEME, "bearerFormat"), TEXT(T_SCHEME, "openIdConnectUrl"),
    { T_SCHEME, "flows", T_FLOWS, ONE, 0 },

    { T_FLOWS, "implicit", T_FLOW, ONE, 0 },
    { T_FLOWS, "password", T_FLOW, ONE, 0 },
    { T_FLOWS, "clientCredentials", T_FLOW, ONE, 0 },
    { T_FLOWS, "authorizationCode", T_FLOW, ONE, 0 },

    TEXT(T_FLOW, "authorizationUrl"), TEXT(T_FLOW, "tokenUrl"),
    TEXT(T_FLOW, "refreshUrl"),
    { T_FLOW, "scopes", T_STRING, MAP, RQ },

    { T_SECURITY, "*", T_STRING, LIST, 0 },

    { T_COMPONENTS, "schemas", T_SCHEMA, MAP, 0 },
    { T_COMPONENTS, "responses", T_RESPONSE, MAP, REF },
    { T_COMPONENTS, "parameters", T_PARAMETER, MAP, REF },
    { T_COMPONENTS, "examples", T_EXAMPLE, MAP, REF },
    { T_COMPONENTS, "requestBodies", T_BODY, MAP, REF },
    { T_COMPONENTS, "headers", T_HEADER, MAP, REF },
    { T_COMPONENTS, "securitySchemes", T_SCHEME, MAP, REF },
    { T_COMPONENTS, "links", T_LINK, MAP, REF },
    { T_COMPONENTS, "callbacks", T_CALLBACK, MAP, REF },
    { T_COMPONENTS, "pathItems", T_PATH_ITEM, MAP, REF|V31 },

    { T_ROOT, NULL, T_ANY, ONE, 0 }
};
