/*
 * transform: makes other requests and answers of those that come, by lists of
 * members and by templates.
 */

#ifndef STOA_POLICY_TRANSFORM_H
#define STOA_POLICY_TRANSFORM_H


#include "stoa_json_strip.h"
#include "stoa_policy.h"
#include "stoa_template.h"


#define STOA_TRANSFORM_PAIRS  16

#define STOA_TRANSFORM_MUST                                                   \
    "must be a template of known variables like ${application}, "             \
    "${header.X-Id}, ${query.id} or ${body/id}"

#define STOA_POLICY_TRANSFORM_HEADER(F, S)                                    \
    F(S, STRING, name, 1, 64, 0,                                              \
      STOA_VALID(stoa_policy_header_valid, "must be a header's name, none "   \
                 "of the connection's, a credential's or the gateway's own")  \
        STOA_REQUIRED, "the header")                                          \
    F(S, STRING, value, 0, STOA_TEMPLATE_TEXT, 0,                             \
      STOA_VALID(stoa_template_valid, STOA_TRANSFORM_MUST) STOA_REQUIRED,     \
      "a template; what becomes empty is not sent")

#define STOA_POLICY_TRANSFORM_ARGUMENT(F, S)                                  \
    F(S, STRING, name, 1, 64, 0,                                              \
      STOA_VALID(stoa_policy_token_valid, "must be a name of plain "          \
                 "characters") STOA_REQUIRED, "the parameter")                \
    F(S, STRING, value, 0, STOA_TEMPLATE_TEXT, 0,                             \
      STOA_VALID(stoa_template_valid, STOA_TRANSFORM_MUST) STOA_REQUIRED,     \
      "a template; what becomes empty is not sent")

#define STOA_POLICY_TRANSFORM_STATUS(F, S)                                    \
    F(S, STRING, from, 3, 3, 0,                                               \
      STOA_VALID(stoa_policy_status_valid, "must be a status like 200, or "   \
                 "2xx") STOA_REQUIRED, "of the upstream")                     \
    F(S, U32, to, 200, 599, 200, STOA_REQUIRED, "of the answer")

#define STOA_POLICY_TRANSFORM(F, S)                                           \
    F(S, STRINGS, request_remove, 0, STOA_JSON_STRIP_PATHS, 0,                \
      STOA_VALID(stoa_json_strip_valid, "must be a path of members, like "    \
                 "/customer/iban"),                                           \
      "members that are taken out of the body")                               \
    F(S, OBJECT, request_body, 0, STOA_TEMPLATE_JSON, 0, ,                    \
      "the body that is sent instead: JSON whose strings are templates")      \
    F(S, STRINGS, request_query_remove, 0, STOA_TRANSFORM_PAIRS, 0,           \
      STOA_VALID(stoa_policy_token_valid, "must be a name of plain "          \
                 "characters"), "parameters that are taken out of the query") \
    F(S, STRUCTS, request_query, 0, STOA_TRANSFORM_PAIRS, 0,                  \
      STOA_ITEMS(transform_argument),                                         \
      "parameters of the query, instead of what came under their names")      \
    F(S, STRUCTS, request_headers, 0, STOA_TRANSFORM_PAIRS, 0,                \
      STOA_ITEMS(transform_header),                                           \
      "headers of the request, instead of what came")                         \
    F(S, STRINGS, response_remove, 0, STOA_JSON_STRIP_PATHS, 0,               \
      STOA_VALID(stoa_json_strip_valid, "must be a path of members, like "    \
                 "/customer/iban"),                                           \
      "members that are taken out of the answer; arrays on the way are gone " \
      "through: /orders/cost is that of each order")                          \
    F(S, OBJECT, response_body, 0, STOA_TEMPLATE_JSON, 0, ,                   \
      "the answer that is sent instead: JSON whose strings are templates, "   \
      "${body} the upstream's")                                               \
    F(S, STRUCTS, response_headers, 0, STOA_TRANSFORM_PAIRS, 0,               \
      STOA_ITEMS(transform_header),                                           \
      "headers of the answer, instead of the upstream's; without ${body}")    \
    F(S, STRUCTS, response_status, 0, STOA_TRANSFORM_PAIRS, 0,                \
      STOA_ITEMS(transform_status), "the first whose `from` fits counts")     \
    F(S, STRINGS, statuses, 0, 16, 0,                                         \
      STOA_VALID(stoa_policy_status_valid, "must be a status like 200, or "   \
                 "2xx"),                                                      \
      "the upstream's, of answers whose bodies and headers are changed; "     \
      "none: 2xx")                                                            \
    F(S, U32, max_bytes, 1, STOA_JSONRPC_BODY_MAX, 1048576, ,                 \
      "of a body or an answer, which is kept until it is changed, and of "    \
      "what it becomes")                                                      \
    F(S, BOOL, other_types, 0, 1, 0, ,                                        \
      "bodies and answers whose Content-Type is not one of JSON pass as "     \
      "they are")                                                             \
    F(S, BOOL, unreadable, 0, 1, 0, ,                                         \
      "answers that are encoded, a part, or longer than max_bytes pass as "   \
      "they are")

STOA_POLICY_STRUCT(transform_header, STOA_POLICY_TRANSFORM_HEADER)
STOA_POLICY_STRUCT(transform_argument, STOA_POLICY_TRANSFORM_ARGUMENT)
STOA_POLICY_STRUCT(transform_status, STOA_POLICY_TRANSFORM_STATUS)
STOA_POLICY_STRUCT(transform, STOA_POLICY_TRANSFORM)


#ifdef STOA_POLICY_TABLES

/* What is wrong in a body is said with its place, by a thread's own words. */

static const char *
stoa_policy_transform_json(stoa_str_t text, const char *member,
    const char **field)
{
    char                       place[64];
    const char                *wrong;

    static _Thread_local char  name[STOA_ERR_FIELD_MAX];

    place[0] = '\0';
    wrong = text.len == 0 ? NULL
            : text.len > STOA_TEMPLATE_JSON ? "is too long"
            : stoa_template_json_wrong(text.data, text.len, place,
                                       sizeof(place));

    if (wrong) {
        (void) snprintf(name, sizeof(name), "%s%s", member, place);
        *field = name;
    }

    return wrong;
}


static const char *
stoa_policy_transform_check(const void *rec, const void *config,
    const char **field)
{
    uint32_t                               i;
    stoa_str_t                             s;
    const char                            *wrong;
    const stoa_policy_transform_t         *t = config;
    const stoa_policy_transform_header_t  *row;
    const stoa_policy_transform_status_t  *status;

    status = stoa_rec_vec(rec, t->response_status,
                          stoa_policy_transform_status_t);

    for (i = 0; i < t->response_status.n; i++) {
        if (status[i].to == 204 || status[i].to == 205 || status[i].to == 206
            || status[i].to == 304)
        {
            *field = "response_status";
            return "must lead to statuses whose answers may have a body";
        }
    }

    wrong = stoa_policy_transform_json(stoa_rec_str(rec, t->request_body),
                                       "request_body", field);

    if (wrong == NULL) {
        wrong = stoa_policy_transform_json(stoa_rec_str(rec,
                                                        t->response_body),
                                           "response_body", field);
    }

    row = stoa_rec_vec(rec, t->response_headers,
                       stoa_policy_transform_header_t);

    for (i = 0; wrong == NULL && i < t->response_headers.n; i++) {
        s = stoa_rec_str(rec, row[i].value);

        if (stoa_template_reads_body(s.data, s.len)) {
            *field = "response_headers";
            return "are sent before the answer is read: no ${body}";
        }
    }

    if (wrong == NULL
        && t->request_remove.n + t->request_query_remove.n
           + t->request_query.n + t->request_headers.n + t->response_remove.n
           + t->response_headers.n + t->response_status.n
           + t->request_body.len + t->response_body.len == 0)
    {
        *field = "response_remove";
        return "or another member has to say what is changed";
    }

    return wrong;
}


static const stoa_policy_type_t  stoa_policy_transform = {
    .name = "transform", .id = 42, .version = 1,
    .order = STOA_ORDER_TRANSFORM, .flags = STOA_POLICY_BODIES,
    .scopes = STOA_ON_API|STOA_ON_OPERATION,
    .config = &stoa_policy_transform_struct,
    .check = stoa_policy_transform_check,
    .doc = "changes requests and answers: members, templates of JSON, query, "
           "headers, status; a body that it cannot read is refused (400 "
           "transform_refused, 502 transform_failed)"
};

#endif


#endif /* STOA_POLICY_TRANSFORM_H */
