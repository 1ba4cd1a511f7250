/*
 * POST .../cache/purge: what gateways are to forget of the answers of an api.
 */

#include <string.h>

#include "audit/cp_audit.h"
#include "auth/cp_auth.h"
#include "kinds/cp_kind.h"
#include "kinds/cp_purge.h"
#include "rest/cp_list.h"


static cp_rc_t cp_purge_post(cp_req_t *r);
static cp_rc_t cp_purge_write(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p);


const cp_route_t  cp_purge_routes[] = {
    { "POST", "/v1/tenants/{tenant}/apis/{api}/cache/purge", CP_AUTH_ADMIN,
      "cache:purge", cp_purge_post, &cp_res_api,
      "Make gateways forget answers of an api that they keep", "wait" },
    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};

/* Of values, and of the characters of one. */
#define CP_PURGE_MAX  256

#define PURGES(n, d)                                                          \
    { n, CP_F_ARRAY, 0, 1, CP_PURGE_MAX, NULL, NULL, NULL, CP_F_STRING,   \
      NULL, NULL, d }

static const cp_field_t  purge_fields[] = {
    F("all", CP_F_BOOL, 0, 0, 0, NULL, "everything"),
    PURGES("paths", "below the api's address, whatever their query"),
    PURGES("prefixes", "what such paths begin with"),
    PURGES("tags", "words of Surrogate-Key or Cache-Tag of the answers"),
    F_END
};

/* What a list's values are, and how they begin. */

static const struct {
    const char  *member;
    const char  *kind;
    bool         path;
} cp_purge_lists[] = {
    { "paths", "path", true },
    { "prefixes", "prefix", true },
    { "tags", "tag", false }
};


static cp_rc_t
cp_purge_post(cp_req_t *r)
{
    cp_place_t  p = { .res = r->route->data };

    return cp_rest_write(r, &p, cp_purge_write);
}


/* A path that could be none, or a word with a blank, would purge nothing, and
 * nobody would notice. */
static bool
cp_purge_valid(const char *s, bool path)
{
    size_t       n;
    const char  *never;

    never = path ? "?#" : ", ";

    if (*s == '\0' || (path && *s != '/')) {
        return false;
    }

    for (n = 0; *s; s++) {
        if ((unsigned char) *s < ' ' || *s == 0x7f || strchr(never, *s)) {
            return false;
        }

        n += (*s & 0xc0) != 0x80;
    }

    return n <= CP_PURGE_MAX;
}


static cp_rc_t
cp_purge_items(cp_req_t *r, const cp_json_t *in, cp_json_t **items)
{
    size_t            i;
    cp_json_t        *item;
    cp_arena_t       *a = r->op.arena;
    const cp_json_t  *list, *v;

    *items = cp_json_array(a);
    v = cp_json_get(in, "all");

    if (v && v->type == CP_JSON_BOOL) {

        if (!v->i) {
            return cp_err_field(&r->op.err, -1, v->line, "all",
                                "must be true, or left out");
        }

        item = cp_json_object(a);
        cp_json_put(a, item, "kind", "all");
        cp_json_push(*items, item);
    }

    for (i = 0; i < sizeof(cp_purge_lists) / sizeof(cp_purge_lists[0]); i++) {
        list = cp_json_get(in, cp_purge_lists[i].member);

        for (v = list ? list->first : NULL; v; v = v->next) {

            if (!cp_purge_valid(v->s, cp_purge_lists[i].path)) {
                return cp_err_field(&r->op.err, -1, v->line,
                                    cp_purge_lists[i].member,
                                    cp_purge_lists[i].path
                                    ? "must be paths like /orders/7, without"
                                      " a query, of at most %d characters"
                                    : "must be words without commas, of at"
                                      " most %d characters",
                                    CP_PURGE_MAX);
            }

            item = cp_json_object(a);
            cp_json_put(a, item, "kind", cp_purge_lists[i].kind);
            cp_json_put(a, item, "value", v->s);
            cp_json_push(*items, item);
        }
    }

    return (*items)->first
           ? CP_OK : cp_err_field(&r->op.err, -1, in->line, "all",
                                  "says nothing to purge: true, or paths,"
                                  " prefixes, tags");
}


static cp_rc_t
cp_purge_write(cp_req_t *r, cp_tx_t *tx, const cp_place_t *p)
{
    cp_rc_t            rc;
    cp_json_t         *in, *api, *items, *out;
    cp_arena_t        *a = r->op.arena;
    cp_audit_event_t   e = { .action = "purge", .kind = "api", .id = p->id,
                             .tenant = p->tenant };

    const cp_validate_t  v = { a, &r->op.err, -1, false };

    rc = cp_req_json(r, &in);

    if (rc == CP_OK) {
        rc = cp_validate(&v, purge_fields, in, NULL, &in);
    }

    if (rc == CP_OK) {
        rc = cp_purge_items(r, in, &items);
    }

    if (rc == CP_OK) {
        rc = cp_feed_lock(tx, a, &r->op.err);
    }

    if (rc == CP_OK) {
        rc = cp_row_light(tx, a, p->res, p->id, &api, &r->op.err);
    }

    if (rc != CP_OK) {
        return rc;
    }

    if (strcmp(cp_json_str(api, "kind"), "rest") != 0) {
        return cp_err_set(&r->op.err, "conflict",
                          "answers of MCP are not kept");
    }

    rc = cp_purge_add(tx, a, p->id, items, &r->op.err);

    if (rc == CP_OK) {
        rc = cp_resource_touch(&r->op, tx, p->res, p->id);
    }

    out = cp_json_object(a);
    cp_json_set(a, out, "purged", items);

    if (rc == CP_OK) {
        e.name = cp_json_str(api, "name");
        e.diff = out;
        rc = cp_audit_append(&r->op, tx, &e);
    }

    return rc == CP_OK ? cp_req_answer(r, 200, out) : rc;
}
