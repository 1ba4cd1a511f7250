/*
 * request-shape: what a request may look like, before anybody reads it.
 */

#ifndef STOA_POLICY_SHAPE_H
#define STOA_POLICY_SHAPE_H


#include "stoa_policy.h"


#define STOA_POLICY_SHAPE(F, S)                                               \
    F(S, U32, max_arguments, 0, 10000, 0, ,                                   \
      "of the query; here and below 0: no limit")                             \
    F(S, U32, max_argument_name, 0, 65535, 0, ,                               \
      "bytes of an argument's name, decoded")                                 \
    F(S, U32, max_argument_value, 0, 65535, 0, ,                              \
      "bytes of an argument's value, decoded")                                \
    F(S, BOOL, unique_arguments, 0, 1, 0, ,                                   \
      "no argument twice, by its decoded name")                               \
    F(S, U32, max_headers, 0, 1000, 0, , "header lines")                      \
    F(S, U32, max_header_bytes, 0, 65535, 0, ,                                \
      "of one line, its name and its value")                                  \
    F(S, STRINGS, methods, 0, 16, 0,                                          \
      STOA_VALID(stoa_rec_method_valid,                                       \
                 "must be a method in upper case"),                           \
      "that may be used; none: all")                                          \
    F(S, STRINGS, content_types, 0, 32, 0,                                    \
      STOA_VALID(stoa_policy_media_valid, "must be a media type in lower "    \
                 "case, like application/json or image/*"),                   \
      "that a body may have, parameters aside; none: all")

STOA_POLICY_STRUCT(shape, STOA_POLICY_SHAPE)


#ifdef STOA_POLICY_TABLES

static const char *
stoa_policy_shape_check(const void *rec, const void *config,
    const char **field)
{
    const stoa_policy_shape_t  *p = config;

    (void) rec;

    if (p->max_arguments == 0 && p->max_argument_name == 0
        && p->max_argument_value == 0 && !p->unique_arguments
        && p->max_headers == 0 && p->max_header_bytes == 0
        && p->methods.n == 0 && p->content_types.n == 0)
    {
        *field = "max_arguments";
        return "must be more than 0, or another member must ask for something";
    }

    return NULL;
}


static const stoa_policy_type_t  stoa_policy_shape = {
    .name = "request-shape", .id = 21, .version = 1,
    .order = STOA_ORDER_ADMIT, .scopes = STOA_ON_ALL,
    .config = &stoa_policy_shape_struct, .check = stoa_policy_shape_check,
    .doc = "refuses requests whose query (400 query_denied), headers (431 "
           "headers_denied), method (405 method_denied) or media type (415 "
           "content_type_denied) is not what it asks for"
};

#endif


#endif /* STOA_POLICY_SHAPE_H */
