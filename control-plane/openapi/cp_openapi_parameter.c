/*
 * Parameters: of the path, of what every read, list or write takes, and those
 * that a route alone has.
 */

#include <string.h>

#include "openapi/cp_openapi.h"


/* Which operations of resources take it. */
typedef enum {
    CP_TAKES_READ    = 0x01,
    CP_TAKES_LIST    = 0x02,
    CP_TAKES_CREATE  = 0x04,
    CP_TAKES_CHANGE  = 0x08,
    CP_TAKES_EVENT   = 0x10,
    CP_TAKES_DELETE  = 0x20
} cp_openapi_takes_e;

#define CP_TAKES_WRITES                                                       \
    (CP_TAKES_CREATE | CP_TAKES_CHANGE | CP_TAKES_EVENT | CP_TAKES_DELETE)

typedef struct {
    const char  *in;
    const char  *name;
    unsigned     takes;
    const char  *schema;
    const char  *doc;
} cp_openapi_param_t;

static const cp_openapi_param_t  cp_openapi_params[] = {

    { "header", "If-None-Match", CP_TAKES_READ | CP_TAKES_LIST,
      "{\"type\":\"string\"}",
      "ETags that are known: 304 if it still has one of them" },

    { "header", "If-Match",
      CP_TAKES_CHANGE | CP_TAKES_EVENT | CP_TAKES_DELETE,
      "{\"type\":\"string\",\"minLength\":1}",
      "the ETag it must still have, or *" },

    { "header", "Idempotency-Key", CP_TAKES_CREATE | CP_TAKES_EVENT,
      CP_OPENAPI_ONCE, "the same answer to the same request, for 24 hours" },

    { "query", "limit", CP_TAKES_LIST,
      "{\"type\":\"integer\",\"minimum\":1,\"maximum\":500,\"default\":100}",
      "items of a page" },

    { "query", "cursor", CP_TAKES_LIST, CP_OPENAPI_CURSOR,
      "`next` of the page before" },

    { "query", "wait", CP_TAKES_WRITES, CP_OPENAPI_WAIT,
      "how long to wait for the gateways: 5s, 500ms; how they took it is in"
      " Stoa-State, how many were not asked in Stoa-Away" },

    { "query", "force", CP_TAKES_DELETE, CP_OPENAPI_FLAG,
      "although others refer to it" },

    { NULL, NULL, 0, NULL, NULL }
};


static unsigned cp_openapi_takes(const cp_openapi_t *o);
static void cp_openapi_path(cp_openapi_t *o, cp_json_t *list);
static void cp_openapi_filters(cp_openapi_t *o, cp_json_t *list);
static cp_json_t *cp_openapi_parameter(cp_arena_t *a, const char *in,
    const char *name, const char *doc, cp_json_t *schema);


cp_json_t *
cp_openapi_parameters(cp_openapi_t *o)
{
    unsigned                   takes;
    cp_json_t                 *list, *own, *next;
    const cp_openapi_param_t  *p;

    list = cp_json_array(o->a);
    cp_openapi_path(o, list);

    if (o->extra && o->extra->parameters) {
        own = cp_openapi_text(o->a, o->extra->parameters);

        for (own = own->first; own; own = next) {
            next = own->next;
            cp_json_push(list, own);
        }
    }

    takes = cp_openapi_takes(o);

    for (p = cp_openapi_params; p->name; p++) {
        if (p->takes & takes) {
            cp_json_push(list, cp_openapi_parameter(o->a, p->in, p->name,
                         p->doc, cp_openapi_text(o->a, p->schema)));
        }
    }

    if (takes == CP_TAKES_LIST) {
        cp_openapi_filters(o, list);
    }

    return list;
}


static unsigned
cp_openapi_takes(const cp_openapi_t *o)
{
    const char  *m = o->route->method;

    if (o->res == NULL) {
        return 0;
    }

    return strcmp(m, "GET") == 0 ? (o->item ? CP_TAKES_READ : CP_TAKES_LIST)
           : strcmp(m, "DELETE") == 0 ? CP_TAKES_DELETE
           : strcmp(m, "POST") != 0 ? CP_TAKES_CHANGE
           : o->event ? CP_TAKES_EVENT : CP_TAKES_CREATE;
}


static void
cp_openapi_path(cp_openapi_t *o, cp_json_t *list)
{
    size_t       len;
    cp_json_t   *p;
    const char  *s;

    for (s = strchr(o->route->path, '{'); s; s = strchr(s, '{')) {
        len = strcspn(++s, "}");
        p = cp_openapi_parameter(o->a, "path",
                                 cp_arena_strndup(o->a, s, len),
                                 "name or id",
                                 cp_openapi_text(o->a, CP_OPENAPI_NAMED));
        cp_json_put_bool(o->a, p, "required", true);
        cp_json_push(list, p);
    }
}


static void
cp_openapi_filters(cp_openapi_t *o, cp_json_t *list)
{
    const cp_field_t  *f;

    for (f = o->res->fields; f->name; f++) {
        if (strcmp(f->name, "labels") == 0) {
            cp_json_push(list, cp_openapi_parameter(o->a, "query", "label",
                         "only those with this label, name=value",
                         cp_openapi_text(o->a, "{\"type\":\"string\","
                         "\"pattern\":\"^[^=]+=[^=]*$\"}")));
        }

        if (f->flags & CP_FILTER) {
            cp_json_push(list, cp_openapi_parameter(o->a, "query", f->name,
                         "only those that have this value",
                         f->type == CP_F_BOOL
                         ? cp_openapi_text(o->a, CP_OPENAPI_FLAG)
                         : cp_openapi_value(o->a, f)));
        }
    }
}


static cp_json_t *
cp_openapi_parameter(cp_arena_t *a, const char *in, const char *name,
    const char *doc, cp_json_t *schema)
{
    cp_json_t  *p;

    p = cp_json_object(a);
    cp_json_put(a, p, "name", name);
    cp_json_put(a, p, "in", in);
    cp_json_put(a, p, "description", doc);
    cp_json_set(a, p, "schema", schema);

    return p;
}
