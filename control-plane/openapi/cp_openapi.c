/*
 * Paths: one operation per row of the route tables.
 */

#include <string.h>

#include "op/cp_app.h"
#include "openapi/cp_openapi.h"


static cp_json_t *cp_openapi_operation(cp_openapi_t *o);
static const char *cp_openapi_id(cp_openapi_t *o);
static cp_json_t *cp_openapi_request(cp_openapi_t *o);
static const cp_openapi_extra_t *cp_openapi_extra(cp_arena_t *a,
    const cp_route_t *route);


static const char  cp_openapi_head[] =
    "{\"openapi\":\"3.1.0\",\"info\":{\"title\":\"STOA control plane\","
    "\"version\":\"" CP_VERSION "\",\"license\":{\"name\":\"Apache-2.0\","
    "\"identifier\":\"Apache-2.0\"},\"description\":\"Administration under"
    " /v1, the contract with gateways under /gateway/v1.\"},"
    "\"servers\":[{\"url\":\"/\"}]}";

static const char  cp_openapi_security[] =
    "{\"admin\":{\"type\":\"http\",\"scheme\":\"bearer\",\"description\":"
    "\"an admin token, stoa_adm_...\"},"
    "\"session\":{\"type\":\"apiKey\",\"in\":\"cookie\",\"name\":"
    "\"__Host-stoa\",\"description\":\"a login; what changes something needs"
    " its own Origin, and a header Stoa-Client or a body in JSON\"},"
    "\"gateway\":{\"type\":\"http\",\"scheme\":\"bearer\",\"description\":"
    "\"a gateway token, stoa_gw_...\"},"
    "\"assertion\":{\"type\":\"apiKey\",\"in\":\"header\",\"name\":"
    "\"X-Stoa-Identity\",\"description\":\"what a gateway vouches for\"}}";

static const char *const  cp_openapi_schemes[] = {
    [CP_AUTH_NONE]      = "[]",
    [CP_AUTH_ADMIN]     = "[{\"admin\":[]},{\"session\":[]}]",
    [CP_AUTH_SESSION]   = "[{\"session\":[]}]",
    [CP_AUTH_GATEWAY]   = "[{\"gateway\":[]}]",
    [CP_AUTH_ASSERTION] = "[{\"assertion\":[]}]"
};


cp_json_t *
cp_openapi_document(cp_arena_t *a, const cp_site_t *site)
{
    unsigned       n;
    cp_json_t     *doc, *paths, *path, *components, *schemas;
    cp_openapi_t   o;
    const char    *method;

    memset(&o, 0, sizeof(o));
    o.a = a;

    doc = cp_openapi_text(o.a, cp_openapi_head);
    paths = cp_json_object(o.a);

    for (n = 0; (o.route = cp_route_at(site, n)) != NULL; n++) {
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
    cp_json_set(o.a, components, "headers", cp_openapi_headers(o.a));
    cp_json_set(o.a, components, "securitySchemes",
                cp_openapi_text(o.a, cp_openapi_security));

    cp_json_set(o.a, doc, "paths", paths);
    cp_json_set(o.a, doc, "components", components);
    cp_openapi_examples(o.a, doc);

    return doc;
}


static cp_json_t *
cp_openapi_operation(cp_openapi_t *o)
{
    unsigned                   i;
    cp_json_t                 *op, *body, *tags;
    const char                *last, *item;
    const cp_resource_t       *res;

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

    /* something of a resource, which is not one */

    if (o->res && strcmp(o->route->method, "GET") == 0
        && ((item && strcmp(last, o->res->plural) != 0)
            || (o->item && strncmp(last + 1, o->res->kind,
                                   strlen(o->res->kind)) != 0)))
    {
        o->res = NULL;
    }

    o->event = o->res && item && strcmp(o->route->method, "POST") == 0
               && strcmp(last, o->res->plural) != 0 ? last : NULL;

    o->extra = cp_openapi_extra(o->a, o->route);
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

    cp_openapi_event(o, op);
    cp_json_set(o->a, op, "security",
                cp_openapi_text(o->a, cp_openapi_schemes[o->route->auth]));
    cp_json_set(o->a, op, "parameters", cp_openapi_parameters(o));

    body = cp_openapi_request(o);

    if (body) {
        cp_json_set(o->a, op, "requestBody", body);
    }

    cp_json_set(o->a, op, "responses", cp_openapi_responses(o));

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
cp_openapi_request(cp_openapi_t *o)
{
    cp_json_t              *body, *content, *schema;
    const char             *m, *type;
    const cp_transition_t  *t;

    m = o->route->method;

    if (o->extra && o->extra->request) {
        content = cp_openapi_text(o->a, o->extra->request);

    } else if (o->res == NULL || strcmp(m, "GET") == 0
               || strcmp(m, "DELETE") == 0)
    {
        return NULL;

    } else if (o->event) {
        t = cp_openapi_transition(o);

        if (t == NULL || t->args == NULL) {
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

    /* what happens to a thing needs a body if a member of it is needed */

    schema = cp_json_get(cp_json_get(content, "application/json"), "schema");
    body = cp_json_object(o->a);
    cp_json_put_bool(o->a, body, "required", o->event == NULL
                     || cp_json_get(schema, "required") != NULL);
    cp_json_set(o->a, body, "content", content);

    return body;
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
