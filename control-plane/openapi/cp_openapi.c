/*
 * Paths: one operation per row of the route tables.
 */

#include <string.h>

#include "op/cp_app.h"
#include "base/cp_err.h"
#include "openapi/cp_openapi.h"


typedef struct {
    cp_arena_t           *a;
    const cp_route_t     *route;
    const cp_resource_t  *res;         /* NULL: no resource's route          */
    bool                  item;        /* the path ends in a parameter       */
    const char           *event;       /* its last segment, after the item;
                                          NULL: none                         */
} cp_openapi_t;


static cp_rc_t cp_openapi_get(cp_req_t *r);
static cp_json_t *cp_openapi_operation(cp_openapi_t *o);
static const char *cp_openapi_id(cp_openapi_t *o);
static cp_json_t *cp_openapi_parameters(cp_openapi_t *o,
    const cp_openapi_extra_t *extra);
static void cp_openapi_path_parameters(cp_openapi_t *o, cp_json_t *list);
static void cp_openapi_filters(cp_openapi_t *o, cp_json_t *list);
static cp_json_t *cp_openapi_parameter(cp_arena_t *a, const char *in,
    const char *name, bool required, const char *schema, const char *doc);
static cp_json_t *cp_openapi_request(cp_openapi_t *o,
    const cp_openapi_extra_t *extra);
static cp_json_t *cp_openapi_responses(cp_openapi_t *o,
    const cp_openapi_extra_t *extra);
static cp_json_t *cp_openapi_content(cp_arena_t *a, const char *type,
    cp_json_t *schema);
static const cp_openapi_extra_t *cp_openapi_extra(cp_arena_t *a,
    const cp_route_t *route);
static cp_json_t *cp_openapi_errors(cp_arena_t *a);


/* Errors that a route of each kind can give; the rest is `default`. */

typedef struct {
    int          status;
    bool         always;
    bool         authorized;           /* routes that ask who it is          */
    bool         addressed;            /* with a parameter in the path       */
    bool         writing;              /* with a body or a change            */
} cp_openapi_error_t;

static const cp_openapi_error_t  cp_openapi_error_rows[] = {
    { 400, true,  false, false, false },
    { 401, false, true,  false, false },
    { 403, false, true,  false, false },
    { 404, false, false, true,  false },
    { 409, false, false, false, true },
    { 412, false, false, false, true },
    { 413, false, false, false, true },
    { 415, false, false, false, true },
    { 422, false, false, false, true },
    { 500, true,  false, false, false },
    { 503, true,  false, false, false }
};

#define CP_OPENAPI_ERRORS                                                     \
    (sizeof(cp_openapi_error_rows) / sizeof(cp_openapi_error_rows[0]))

static const char  cp_openapi_head[] =
    "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"STOA control plane\","
    "\"version\":\"" CP_VERSION "\",\"license\":{\"name\":\"Apache-2.0\","
    "\"identifier\":\"Apache-2.0\"},\"description\":\"Administration under"
    " /v1, the contract with gateways under /gateway/v1.\"},"
    "\"servers\":[{\"url\":\"/\"}]}";

static const char  cp_openapi_security[] =
    "{\"admin\":{\"type\":\"http\",\"scheme\":\"bearer\",\"description\":"
    "\"an admin token, stoa_adm_...\"},"
    "\"gateway\":{\"type\":\"http\",\"scheme\":\"bearer\",\"description\":"
    "\"a gateway token, stoa_gw_...\"},"
    "\"assertion\":{\"type\":\"apiKey\",\"in\":\"header\",\"name\":"
    "\"X-Stoa-Identity\",\"description\":\"what a gateway vouches for\"}}";

static const char *const  cp_openapi_schemes[] = {
    [CP_AUTH_NONE]      = "[]",
    [CP_AUTH_ADMIN]     = "[{\"admin\":[]}]",
    [CP_AUTH_GATEWAY]   = "[{\"gateway\":[]}]",
    [CP_AUTH_ASSERTION] = "[{\"assertion\":[]}]"
};


const cp_route_t  cp_openapi_routes[] = {

    { "GET", "/v1/openapi.json", CP_AUTH_NONE, NULL, cp_openapi_get, NULL,
      "This document", NULL },

    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};


static cp_rc_t
cp_openapi_get(cp_req_t *r)
{
    unsigned       n;
    cp_json_t     *doc, *paths, *path, *components, *schemas;
    cp_openapi_t   o;
    const char    *method;

    memset(&o, 0, sizeof(o));
    o.a = r->op.arena;

    doc = cp_openapi_text(o.a, cp_openapi_head);
    paths = cp_json_object(o.a);

    for (n = 0; (o.route = cp_route_at(r->op.app->http, n)) != NULL; n++) {
        path = cp_json_get(paths, o.route->path);

        if (path == NULL) {
            path = cp_json_object(o.a);
            cp_json_set(o.a, paths, o.route->path, path);
        }

        method = strcmp(o.route->method, "GET") == 0 ? "get"
                 : strcmp(o.route->method, "PUT") == 0 ? "put"
                 : strcmp(o.route->method, "POST") == 0 ? "post"
                 : strcmp(o.route->method, "PATCH") == 0 ? "patch"
                 : "delete";

        cp_json_set(o.a, path, method, cp_openapi_operation(&o));
    }

    components = cp_json_object(o.a);
    schemas = cp_openapi_schemas(o.a);
    cp_openapi_policies(o.a, schemas);
    cp_json_set(o.a, components, "schemas", schemas);
    cp_json_set(o.a, components, "responses", cp_openapi_errors(o.a));
    cp_json_set(o.a, components, "securitySchemes",
                cp_openapi_text(o.a, cp_openapi_security));

    cp_json_set(o.a, doc, "paths", paths);
    cp_json_set(o.a, doc, "components", components);

    return cp_req_answer(r, 200, doc);
}


static cp_json_t *
cp_openapi_operation(cp_openapi_t *o)
{
    unsigned                   i;
    cp_json_t                 *op, *body, *tags;
    const char                *last, *item;
    const cp_resource_t       *res;
    const cp_openapi_extra_t  *extra;

    /* `data` of a route may be something else than a resource */

    o->res = NULL;

    for (i = 0; (res = cp_resource_at(i)) != NULL; i++) {
        if (res == o->route->data) {
            o->res = res;
        }
    }

    last = strrchr(o->route->path, '/') + 1;
    item = last - 2 >= o->route->path && last[-2] == '}' ? last : NULL;
    o->item = *last == '{' && item == NULL;
    o->event = o->res && item && strcmp(o->route->method, "POST") == 0
               && strcmp(last, o->res->plural) != 0 ? last : NULL;

    extra = cp_openapi_extra(o->a, o->route);
    op = cp_json_object(o->a);
    tags = cp_json_array(o->a);
    cp_json_push(tags, cp_json_string(o->a, o->res ? o->res->plural
                 : strncmp(o->route->path, "/gateway/", 9) == 0 ? "gateway"
                 : strncmp(o->route->path, "/v1/", 4) == 0 ? "admin"
                 : "system"));

    cp_json_put(o->a, op, "operationId", cp_openapi_id(o));
    cp_json_set(o->a, op, "tags", tags);
    cp_json_put(o->a, op, "summary",
                o->route->summary ? o->route->summary : "");

    if (o->route->permission) {
        cp_json_put(o->a, op, "x-permission", o->route->permission);
    }

    cp_json_set(o->a, op, "security",
                cp_openapi_text(o->a, cp_openapi_schemes[o->route->auth]));
    cp_json_set(o->a, op, "parameters", cp_openapi_parameters(o, extra));

    body = cp_openapi_request(o, extra);

    if (body) {
        cp_json_set(o->a, op, "requestBody", body);
    }

    cp_json_set(o->a, op, "responses", cp_openapi_responses(o, extra));

    return op;
}


/* Method and path, which are unique. */
static const char *
cp_openapi_id(cp_openapi_t *o)
{
    char  *id, *p, *q;

    id = cp_arena_printf(o->a, "%s%s", o->route->method, o->route->path);

    for (p = id, q = id; *p; p++) {
        if (*p >= 'A' && *p <= 'Z') {
            *q++ = (char) (*p | 0x20);

        } else if ((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9')) {
            *q++ = *p;

        } else if (q > id && q[-1] != '_') {
            *q++ = '_';
        }
    }

    while (q > id && q[-1] == '_') {
        q--;
    }

    *q = '\0';

    return id;
}


static cp_json_t *
cp_openapi_parameters(cp_openapi_t *o, const cp_openapi_extra_t *extra)
{
    bool         write;
    cp_json_t   *list, *own, *next;
    const char  *m;

    m = o->route->method;
    list = cp_json_array(o->a);
    cp_openapi_path_parameters(o, list);

    if (extra && extra->parameters) {
        own = cp_openapi_text(o->a, extra->parameters);

        for (own = own->first; own; own = next) {
            next = own->next;
            cp_json_push(list, own);
        }
    }

    if (o->res == NULL) {
        return list;
    }

    write = strcmp(m, "PUT") == 0 || strcmp(m, "PATCH") == 0
            || strcmp(m, "DELETE") == 0 || o->event;

    if (write) {
        cp_json_push(list, cp_openapi_parameter(o->a, "header", "If-Match",
                     false, "{\"type\":\"string\"}",
                     "the ETag it must still have"));
    }

    if (strcmp(m, "GET") != 0) {
        cp_json_push(list, cp_openapi_parameter(o->a, "query", "wait", false,
                     "{\"type\":\"string\"}", "how long to wait for the"
                     " gateways: 5s, 500ms; how they took it is in"
                     " Stoa-State, how many were not asked in Stoa-Away"));
    }

    if (strcmp(m, "DELETE") == 0) {
        cp_json_push(list, cp_openapi_parameter(o->a, "query", "force", false,
                     "{\"type\":\"string\",\"enum\":[\"1\"]}",
                     "although others refer to it"));
    }

    if (strcmp(m, "POST") == 0) {
        cp_json_push(list, cp_openapi_parameter(o->a, "header",
                     "Idempotency-Key", false, "{\"type\":\"string\"}",
                     "the same answer to the same request, for 24 hours"));
    }

    if (strcmp(m, "GET") == 0 && !o->item) {
        cp_openapi_filters(o, list);
    }

    return list;
}


static void
cp_openapi_path_parameters(cp_openapi_t *o, cp_json_t *list)
{
    size_t       len;
    const char  *s, *name;

    for (s = strchr(o->route->path, '{'); s; s = strchr(s, '{')) {
        len = strcspn(++s, "}");
        name = cp_arena_strndup(o->a, s, len);
        cp_json_push(list, cp_openapi_parameter(o->a, "path", name, true,
                     "{\"type\":\"string\"}", "name or id"));
    }
}


static void
cp_openapi_filters(cp_openapi_t *o, cp_json_t *list)
{
    const cp_field_t  *f;

    cp_json_push(list, cp_openapi_parameter(o->a, "query", "limit", false,
                 "{\"type\":\"integer\",\"minimum\":1,\"maximum\":500}",
                 "items of a page"));
    cp_json_push(list, cp_openapi_parameter(o->a, "query", "cursor", false,
                 "{\"type\":\"string\"}", "`next` of the page before"));

    for (f = o->res->fields; f->name; f++) {
        if (strcmp(f->name, "labels") == 0) {
            cp_json_push(list, cp_openapi_parameter(o->a, "query", "label",
                         false, "{\"type\":\"string\",\"pattern\":"
                         "\"^[^=]+=[^=]*$\"}",
                         "only those with this label, name=value"));
        }

        if (f->flags & CP_FILTER) {
            cp_json_push(list, cp_openapi_parameter(o->a, "query", f->name,
                         false, "{\"type\":\"string\"}",
                         "only those that have this value"));
        }
    }
}


static cp_json_t *
cp_openapi_parameter(cp_arena_t *a, const char *in, const char *name,
    bool required, const char *schema, const char *doc)
{
    cp_json_t  *p;

    p = cp_json_object(a);
    cp_json_put(a, p, "name", name);
    cp_json_put(a, p, "in", in);

    if (required) {
        cp_json_put_bool(a, p, "required", true);
    }

    if (doc) {
        cp_json_put(a, p, "description", doc);
    }

    cp_json_set(a, p, "schema", cp_openapi_text(a, schema));

    return p;
}


static cp_json_t *
cp_openapi_request(cp_openapi_t *o, const cp_openapi_extra_t *extra)
{
    cp_json_t              *body, *content;
    const char             *m, *type;
    const cp_transition_t  *t;

    m = o->route->method;

    if (extra && extra->request) {
        content = cp_openapi_text(o->a, extra->request);

    } else if (o->res == NULL || strcmp(m, "GET") == 0
               || strcmp(m, "DELETE") == 0)
    {
        return NULL;

    } else if (o->event) {

        for (t = o->res->transitions; t && t->event; t++) {
            if (strcmp(t->event, o->event) == 0) {
                break;
            }
        }

        if (t == NULL || t->event == NULL || t->args == NULL) {
            return NULL;
        }

        body = cp_json_object(o->a);
        cp_json_set(o->a, body, "content",
                    cp_openapi_content(o->a, "application/json",
                        cp_openapi_fields(o->a, t->args, CP_SCHEMA_IN)));

        return body;

    } else {
        type = cp_openapi_name(o->a, o->res->kind,
                               strcmp(m, "PATCH") == 0 ? "Patch" : "Input");
        content = cp_openapi_content(o->a, "application/json",
                                     cp_openapi_ref(o->a, type));
        cp_json_set(o->a, content, "application/yaml",
                    cp_json_copy(o->a, content->first));
    }

    body = cp_json_object(o->a);
    cp_json_put_bool(o->a, body, "required", true);
    cp_json_set(o->a, body, "content", content);

    return body;
}


static cp_json_t *
cp_openapi_content(cp_arena_t *a, const char *type, cp_json_t *schema)
{
    cp_json_t  *content, *media;

    media = cp_json_object(a);
    cp_json_set(a, media, "schema", schema);
    content = cp_json_object(a);
    cp_json_set(a, content, type, media);

    return content;
}


/* A tenant named in the query may not be there, as one in the path. */
static bool
cp_openapi_asks_tenant(const cp_openapi_extra_t *extra)
{
    return extra && extra->parameters
           && strstr(extra->parameters, "{\"name\":\"tenant\"") != NULL;
}


static cp_json_t *
cp_openapi_responses(cp_openapi_t *o, const cp_openapi_extra_t *extra)
{
    bool                       write;
    char                       status[12];
    unsigned                   i;
    cp_json_t                 *all, *one;
    const char                *m, *code;
    const cp_openapi_error_t  *e;

    m = o->route->method;
    write = strcmp(m, "GET") != 0;
    all = extra && extra->responses ? cp_openapi_text(o->a, extra->responses)
                                    : cp_json_object(o->a);

    if (all->n == 0) {
        one = cp_json_object(o->a);
        code = "200";

        if (o->res && strcmp(m, "DELETE") == 0) {
            code = "204";
            cp_json_put(o->a, one, "description", "it is gone");

        } else if (o->res) {
            code = strcmp(m, "POST") == 0 && !o->event ? "201" : "200";
            cp_json_put(o->a, one, "description", o->res->kind);
            cp_json_set(o->a, one, "content",
                cp_openapi_content(o->a, "application/json",
                    cp_openapi_ref(o->a, cp_openapi_name(o->a, o->res->kind,
                        strcmp(m, "GET") == 0 && !o->item ? "List" : ""))));

        } else {
            cp_json_put(o->a, one, "description", "done");
            cp_json_set(o->a, one, "content",
                cp_openapi_content(o->a, "application/json",
                    cp_openapi_text(o->a, "{\"type\":\"object\"}")));
        }

        cp_json_set(o->a, all, code, one);
    }

    for (i = 0; i < CP_OPENAPI_ERRORS; i++) {
        e = &cp_openapi_error_rows[i];
        snprintf(status, sizeof(status), "%d", e->status);

        if ((e->always || (e->authorized && o->route->auth != CP_AUTH_NONE)
             || (e->addressed && (strchr(o->route->path, '{')
                                  || cp_openapi_asks_tenant(extra)))
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


static const cp_openapi_extra_t *
cp_openapi_extra(cp_arena_t *a, const cp_route_t *route)
{
    const char                *name;
    const cp_openapi_extra_t  *e;

    name = cp_arena_printf(a, "%s %s", route->method, route->path);

    for (e = cp_openapi_extras; e->route; e++) {
        if (strcmp(e->route, name) == 0) {
            return e;
        }
    }

    return NULL;
}


/* One response per status, with the codes that the table has for it. */
static cp_json_t *
cp_openapi_errors(cp_arena_t *a)
{
    unsigned             i, k;
    cp_json_t           *all, *one;
    const char          *text;
    const cp_err_row_t  *row;

    all = cp_json_object(a);

    for (i = 0; i < CP_OPENAPI_ERRORS; i++) {
        text = "";

        for (k = 0; (row = cp_err_at(k)) != NULL; k++) {
            if (row->status == cp_openapi_error_rows[i].status) {
                text = cp_arena_printf(a, "%s%s%s: %s", text,
                                       *text ? "; " : "", row->code,
                                       row->title);
            }
        }

        one = cp_json_object(a);
        cp_json_put(a, one, "description", text);
        cp_json_set(a, one, "content",
                    cp_openapi_content(a, "application/problem+json",
                                       cp_openapi_ref(a, "Problem")));
        cp_json_set(a, all,
                    cp_arena_printf(a, "Error%d",
                                    cp_openapi_error_rows[i].status), one);
    }

    return all;
}
