/*
 * Answers: what each route gives, with its headers, and the errors that all
 * routes share.
 */

#include <string.h>

#include "base/cp_err.h"
#include "openapi/cp_openapi.h"


/* Errors that a route of each kind can give. */

typedef struct {
    int          status;
    bool         always;
    bool         authorized;           /* routes that ask who it is          */
    bool         addressed;            /* with a parameter in the path       */
    bool         writing;              /* with a body or a change            */
    const char  *header;               /* which it carries; NULL: none       */
} cp_openapi_error_t;

static const cp_openapi_error_t  cp_openapi_error_rows[] = {
    { 400, true,  false, false, false, NULL },
    { 401, false, true,  false, false, "WWW-Authenticate" },
    { 403, false, true,  false, false, NULL },
    { 404, false, false, true,  false, NULL },
    { 409, false, false, false, true,  NULL },
    { 412, false, false, false, true,  NULL },
    { 413, false, false, false, true,  NULL },
    { 415, false, false, false, true,  NULL },
    { 422, false, false, false, true,  NULL },
    { 429, true,  false, false, false, "Retry-After" },
    { 500, true,  false, false, false, NULL },
    { 503, true,  false, false, false, "Retry-After" }
};

#define CP_OPENAPI_ERRORS                                                     \
    (sizeof(cp_openapi_error_rows) / sizeof(cp_openapi_error_rows[0]))


/* Headers of answers: which ones have them. */
typedef enum {
    CP_GIVES_ALL      = 0x01,
    CP_GIVES_READ     = 0x02,
    CP_GIVES_CREATED  = 0x04,
    CP_GIVES_CHANGED  = 0x08,          /* and created                        */
    CP_GIVES_REMOVED  = 0x10,
    CP_GIVES_MAYBE    = 0x20,          /* not always                         */
    CP_GIVES_ERROR    = 0x40
} cp_openapi_gives_e;

typedef struct {
    const char  *name;
    unsigned     gives;
    const char  *schema;
    const char  *doc;
} cp_openapi_header_t;

static const cp_openapi_header_t  cp_openapi_header_rows[] = {

    { "X-Request-Id", CP_GIVES_ALL,
      "{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9._-]{1,64}$\"}",
      "the request's, if it had a valid one; what the logs call it" },

    { "ETag", CP_GIVES_READ | CP_GIVES_CHANGED,
      "{\"type\":\"string\",\"pattern\":\"^(W/)?\\\"[!-~]*\\\"$\"}",
      "for If-None-Match and, where it is not weak, If-Match" },

    { "Location", CP_GIVES_CREATED, "{\"type\":\"string\"}",
      "the path of what was made" },

    { "Stoa-Revision", CP_GIVES_CHANGED | CP_GIVES_REMOVED,
      "{\"type\":\"integer\",\"minimum\":0}",
      "what gateways must have reached" },

    { "Stoa-State", CP_GIVES_CHANGED | CP_GIVES_REMOVED | CP_GIVES_MAYBE,
      "{\"type\":\"string\",\"enum\":[\"acked\",\"pending\",\"rejected\"]}",
      "after wait=: how the gateways took it" },

    { "Stoa-Away", CP_GIVES_CHANGED | CP_GIVES_REMOVED | CP_GIVES_MAYBE,
      "{\"type\":\"integer\",\"minimum\":0}",
      "after wait=: gateways that were not asked" },

    { "Idempotency-Replayed", CP_GIVES_CHANGED | CP_GIVES_MAYBE,
      "{\"const\":\"true\"}", "the answer is that of an earlier request" },

    { "WWW-Authenticate", CP_GIVES_ERROR, "{\"type\":\"string\"}",
      "how to say who one is" },

    { "Retry-After", CP_GIVES_ERROR, "{\"type\":\"integer\",\"minimum\":1}",
      "seconds until it is worth trying again" },

    { NULL, 0, NULL, NULL }
};


static void cp_openapi_success(cp_openapi_t *o, cp_json_t *all);
static void cp_openapi_decorate(cp_openapi_t *o, cp_json_t *all);
static void cp_openapi_gives(cp_arena_t *a, cp_json_t *one, unsigned gives);
static bool cp_openapi_is_read(const cp_openapi_t *o);
static bool cp_openapi_asks_tenant(const cp_openapi_extra_t *extra);
static cp_json_t *cp_openapi_problem(cp_arena_t *a, int status,
    const char **text);


cp_json_t *
cp_openapi_responses(cp_openapi_t *o)
{
    bool                       write;
    char                       status[12];
    unsigned                   i;
    cp_json_t                 *all, *one;
    const cp_openapi_error_t  *e;

    write = strcmp(o->route->method, "GET") != 0;
    all = o->extra && o->extra->responses
          ? cp_openapi_text(o->a, o->extra->responses)
          : cp_json_object(o->a);

    if (all->n == 0) {
        cp_openapi_success(o, all);
    }

    cp_openapi_decorate(o, all);

    for (i = 0; i < CP_OPENAPI_ERRORS; i++) {
        e = &cp_openapi_error_rows[i];
        snprintf(status, sizeof(status), "%d", e->status);

        if ((e->always || (e->authorized && o->route->auth != CP_AUTH_NONE)
             || (e->addressed && (strchr(o->route->path, '{')
                                  || cp_openapi_asks_tenant(o->extra)))
             || (e->writing && write))
            && cp_json_get(all, status) == NULL)
        {
            one = cp_json_object(o->a);
            cp_json_put(o->a, one, "$ref",
                        cp_arena_printf(o->a, "#/components/responses/"
                                        "Error%s", status));
            cp_json_set(o->a, all, cp_arena_strdup(o->a, status), one);
        }
    }

    return all;
}


static void
cp_openapi_success(cp_openapi_t *o, cp_json_t *all)
{
    cp_json_t   *one, *schema;
    const char  *m, *code, *doc;

    m = o->route->method;
    one = cp_json_object(o->a);
    schema = NULL;
    code = "200";
    doc = "done";

    if (o->res && strcmp(m, "DELETE") == 0) {
        code = "204";
        doc = "it is gone";

    } else if (o->res) {
        code = strcmp(m, "POST") == 0 && !o->event ? "201" : "200";
        doc = o->res->kind;
        schema = cp_openapi_ref(o->a, cp_openapi_name(o->a, o->res->kind,
                     strcmp(m, "GET") == 0 && !o->item ? "List" : ""));

    } else {
        schema = cp_openapi_text(o->a, "{\"type\":\"object\"}");
    }

    cp_json_put(o->a, one, "description", doc);

    if (schema) {
        cp_json_set(o->a, one, "content",
                    cp_openapi_content(o->a, "application/json", schema));
    }

    cp_json_set(o->a, all, code, one);
}


/* Their headers; and a read that is known already is 304. */
static void
cp_openapi_decorate(cp_openapi_t *o, cp_json_t *all)
{
    bool        read, found;
    unsigned    gives;
    cp_json_t  *one;

    read = false;

    for (one = all->first; one; one = one->next) {

        if (cp_json_get(one, "$ref")) {
            continue;
        }

        gives = CP_GIVES_ALL;
        found = strcmp(one->key, "200") == 0 && cp_openapi_is_read(o)
                && cp_json_get(cp_json_get(one, "content"),
                               "application/json");
        read = read || found;

        if (found) {
            gives |= CP_GIVES_READ;

        } else if (o->res && strcmp(o->route->method, "GET") != 0
                   && *one->key == '2' && o->extra == NULL)
        {
            gives |= strcmp(one->key, "204") == 0 ? CP_GIVES_REMOVED
                     : strcmp(one->key, "201") == 0
                       ? CP_GIVES_CREATED | CP_GIVES_CHANGED
                       : CP_GIVES_CHANGED;
        }

        cp_openapi_gives(o->a, one, gives);
    }

    if (read) {
        one = cp_json_object(o->a);
        cp_json_put(o->a, one, "description", "If-None-Match names it");
        cp_openapi_gives(o->a, one, CP_GIVES_ALL | CP_GIVES_READ);
        cp_json_set(o->a, all, "304", one);
    }
}


static void
cp_openapi_gives(cp_arena_t *a, cp_json_t *one, unsigned gives)
{
    cp_json_t                  *headers, *h;
    const cp_openapi_header_t  *row;

    headers = cp_json_object(a);

    for (row = cp_openapi_header_rows; row->name; row++) {
        if (row->gives & gives) {
            h = cp_json_object(a);
            cp_json_put(a, h, "$ref", cp_arena_printf(a,
                        "#/components/headers/%s", row->name));
            cp_json_set(a, headers, row->name, h);
        }
    }

    cp_json_set(a, one, "headers", headers);
}


/* Is its answer one that has an ETag?  What is asked for all the time by
 * machines has none. */
static bool
cp_openapi_is_read(const cp_openapi_t *o)
{
    return strcmp(o->route->method, "GET") == 0
           && strncmp(o->route->path, "/gateway/", 9) != 0
           && strncmp(o->route->path, "/health/", 8) != 0;
}


/* A tenant named in the query may not be there, as one in the path. */
static bool
cp_openapi_asks_tenant(const cp_openapi_extra_t *extra)
{
    return extra && extra->parameters
           && strstr(extra->parameters, "{\"name\":\"tenant\"") != NULL;
}


cp_json_t *
cp_openapi_content(cp_arena_t *a, const char *type, cp_json_t *schema)
{
    cp_json_t  *content, *media;

    media = cp_json_object(a);
    cp_json_set(a, media, "schema", schema);
    content = cp_json_object(a);
    cp_json_set(a, content, type, media);

    return content;
}


/* One response per status, with the codes that the table has for it. */
cp_json_t *
cp_openapi_errors(cp_arena_t *a)
{
    unsigned                   i;
    cp_json_t                 *all, *one, *schema;
    const char                *text;
    const cp_openapi_error_t  *e;

    all = cp_json_object(a);

    for (i = 0; i < CP_OPENAPI_ERRORS; i++) {
        e = &cp_openapi_error_rows[i];
        one = cp_json_object(a);
        schema = cp_openapi_problem(a, e->status, &text);
        cp_json_put(a, one, "description", text);
        cp_json_set(a, one, "content",
                    cp_openapi_content(a, "application/problem+json",
                                       schema));
        cp_openapi_gives(a, one, CP_GIVES_ALL);

        if (e->header) {
            cp_json_set(a, cp_json_get(one, "headers"), e->header,
                        cp_openapi_text(a, cp_arena_printf(a,
                        "{\"$ref\":\"#/components/headers/%s\"}",
                        e->header)));
        }

        cp_json_set(a, all, cp_arena_printf(a, "Error%d", e->status), one);
    }

    return all;
}


/* The schema of a status's problems, which types they have; and in words. */
static cp_json_t *
cp_openapi_problem(cp_arena_t *a, int status, const char **text)
{
    unsigned             i;
    cp_json_t           *schema, *types;
    const cp_err_row_t  *row;

    *text = "";
    types = cp_json_array(a);

    for (i = 0; (row = cp_err_at(i)) != NULL; i++) {
        if (row->status == status) {
            *text = cp_arena_printf(a, "%s%s%s: %s", *text,
                                    **text ? "; " : "", row->code,
                                    row->title);
            cp_json_push(types, cp_json_string(a, cp_arena_printf(a,
                         "urn:stoa:problem:%s", row->code)));
        }
    }

    schema = cp_openapi_text(a, "{\"allOf\":[{\"$ref\":\"#/components/schemas"
                             "/Problem\"}],\"properties\":{\"type\":{}}}");
    cp_json_set(a, cp_json_get(cp_json_get(schema, "properties"), "type"),
                "enum", types);

    return schema;
}


cp_json_t *
cp_openapi_headers(cp_arena_t *a)
{
    cp_json_t                  *all, *h;
    const cp_openapi_header_t  *row;

    all = cp_json_object(a);

    for (row = cp_openapi_header_rows; row->name; row++) {
        h = cp_json_object(a);
        cp_json_put(a, h, "description", row->doc);
        cp_json_put_bool(a, h, "required", !(row->gives & CP_GIVES_MAYBE));
        cp_json_set(a, h, "schema", cp_openapi_text(a, row->schema));
        cp_json_set(a, all, row->name, h);
    }

    return all;
}
