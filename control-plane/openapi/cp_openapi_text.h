/*
 * JSON Schema as C writes it, for the tables of what no other table says.
 */

#ifndef CP_OPENAPI_TEXT_H
#define CP_OPENAPI_TEXT_H


#include "openapi/cp_openapi.h"


#define REF(name)  "{\"$ref\":\"#/components/schemas/" name "\"}"
#define INT64(min)  "{\"type\":\"integer\",\"minimum\":" min "}"
#define TEXT        "{\"type\":\"string\"}"
#define TEXT_MAX(n) "{\"type\":\"string\",\"maxLength\":" n "}"
#define TIME        "{\"type\":\"string\",\"format\":\"date-time\"}"
#define TEXTS       "{\"type\":\"array\",\"items\":" TEXT "}"
#define ANY         "{\"type\":\"object\"}"

/* Never out, never in an audit log: as a field with CP_SEALED is marked. */
#define SECRET(more)                                                          \
    "{\"type\":\"string\"" more ",\"writeOnly\":true,\"x-secret\":true}"


#endif /* CP_OPENAPI_TEXT_H */
