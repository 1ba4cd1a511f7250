/*
 * Reads what an MCP server offers: era first, then its lists, all pages.
 */

#include <string.h>

#include "core/stoa_key.h"
#include "discovery/cp_discovery.h"
#include "kinds/cp_item_marked.h"


#define CP_MCP_VERSION  -32022     /* unsupported protocol version          */

#define CP_MODERN  "2026-07-28"
#define CP_LEGACY  "2025-11-25"

static const char *const  cp_legacy_versions[] = { "2025-11-25", "2025-06-18",
    "2025-03-26", "2024-11-05", NULL };

#define CP_CATALOG_SEEN  (4 * CP_DISCOVERY_ITEMS)

typedef struct {
    const char  *capability;
    const char  *method;
    const char  *member;           /* of the result                         */
    bool         optional;         /* may be missing beside another list    */
} cp_list_t;

/* As cp_items. */
static const cp_list_t  cp_lists[CP_ITEMS] = {
    { "tools", "tools/list", "tools", false },
    { "prompts", "prompts/list", "prompts", false },
    { "resources", "resources/list", "resources", false },
    { "resources", "resources/templates/list", "resourceTemplates", true }
};


typedef struct {
    cp_arena_t       *arena;
    cp_mcp_client_t  *client;
    cp_catalog_t     *out;
    cp_json_t        *capabilities;
    const char       *name;        /* the api's                             */
    const char      **seen;        /* names of one list, by their hash      */
    bool              masks;
    bool              unreachable;
} cp_reading_t;


static bool
cp_is_legacy(const char *version)
{
    const char *const  *v;

    for (v = cp_legacy_versions; version != NULL && *v != NULL; v++) {
        if (strcmp(*v, version) == 0) {
            return true;
        }
    }

    return false;
}


static bool
cp_has_string(const cp_json_t *list, const char *s)
{
    const cp_json_t  *v;

    if (list == NULL || list->type != CP_JSON_ARRAY) {
        return false;
    }

    for (v = list->first; v != NULL; v = v->next) {
        if (v->type == CP_JSON_STRING && strcmp(v->s, s) == 0) {
            return true;
        }
    }

    return false;
}


static void
cp_reading_fail(cp_reading_t *rd, const cp_mcp_reply_t *reply)
{
    rd->out->error = (reply->error != NULL) ? reply->error : "out of memory";
    rd->unreachable = (reply->outcome == CP_MCP_UNREACHABLE);
}


/* Is it of 2026-07-28?  What is no clear yes is a no: the older way of asking
 * comes next. */

static bool
cp_probe_modern(cp_reading_t *rd, cp_mcp_reply_t *reply)
{
    unsigned  i;

    cp_mcp_client_speak(rd->client, CP_MODERN, true);

    /* one that refuses the version and names it is asked once more */

    for (i = 0; i < 2; i++) {
        cp_mcp_client_call(rd->client, "server/discover", NULL, reply);

        if (reply->code != CP_MCP_VERSION || reply->data == NULL
            || !cp_has_string(cp_json_get(reply->data, "supported"),
                              CP_MODERN))
        {
            break;
        }
    }

    if (reply->outcome != CP_MCP_RESULT
        || !cp_has_string(cp_json_get(reply->result, "supportedVersions"),
                          CP_MODERN))
    {
        return false;
    }

    rd->capabilities = cp_json_get(reply->result, "capabilities");
    rd->out->era = "modern";
    rd->out->version = CP_MODERN;

    return true;
}


static bool
cp_probe_legacy(cp_reading_t *rd, cp_mcp_reply_t *reply)
{
    cp_json_t   *params, *info;
    cp_arena_t  *a;
    const char  *version;

    a = rd->arena;
    params = cp_json_object(a);
    info = cp_json_object(a);

    if (params == NULL || info == NULL) {
        memset(reply, 0, sizeof(cp_mcp_reply_t));
        return false;
    }

    cp_json_put(a, info, "name", "stoa-control");
    cp_json_put(a, info, "version", CP_VERSION);
    cp_json_put(a, params, "protocolVersion", CP_LEGACY);
    cp_json_set(a, params, "capabilities", cp_json_object(a));
    cp_json_set(a, params, "clientInfo", info);

    cp_mcp_client_speak(rd->client, CP_LEGACY, false);
    cp_mcp_client_call(rd->client, "initialize", params, reply);

    if (reply->outcome != CP_MCP_RESULT) {
        return false;
    }

    version = cp_json_str(reply->result, "protocolVersion");

    if (!cp_is_legacy(version)) {
        reply->outcome = CP_MCP_REFUSED;
        reply->error = "initialize: no protocol version in common";
        return false;
    }

    cp_mcp_client_speak(rd->client, version, false);
    rd->out->sessions = cp_mcp_client_in_session(rd->client);
    cp_mcp_client_notify(rd->client, "notifications/initialized");

    return true;
}


/* Does a modern server take initialize, too?  The versions that it names say
 * nothing: many name those of their newer era only. */

static void
cp_probe_dual(cp_reading_t *rd)
{
    cp_mcp_reply_t  reply;

    if (cp_probe_legacy(rd, &reply)) {
        rd->out->era = "dual";
        cp_mcp_client_end_session(rd->client);
    }

    cp_mcp_client_speak(rd->client, CP_MODERN, true);
}


/* What takes no POST may be of 2024-11-05, and then has a stream to GET. */

static bool
cp_probe_stream(cp_reading_t *rd, cp_mcp_reply_t *reply)
{
    const char  *why;

    if (reply->status < 400 || reply->status > 499 || reply->status == 401
        || reply->status == 403 || !cp_mcp_client_stream(rd->client, &why)
        || !cp_probe_legacy(rd, reply))
    {
        return false;
    }

    rd->out->sse = true;
    rd->out->sessions = true;

    return true;
}


static bool
cp_probe(cp_reading_t *rd)
{
    cp_json_t       *version;
    cp_mcp_reply_t   reply;

    if (cp_probe_modern(rd, &reply)) {
        return true;
    }

    if (reply.outcome == CP_MCP_UNREACHABLE || reply.status == 401
        || reply.status == 403)
    {
        cp_reading_fail(rd, &reply);
        return false;
    }

    if (!cp_probe_legacy(rd, &reply) && !cp_probe_stream(rd, &reply)) {
        cp_reading_fail(rd, &reply);
        return false;
    }

    version = cp_json_get(reply.result, "protocolVersion");
    rd->capabilities = cp_json_get(reply.result, "capabilities");
    rd->out->era = "legacy";
    rd->out->version = version->s;

    return true;
}


/* Is the name new?  The table is of this list. */

static bool
cp_is_new(cp_reading_t *rd, const char *name)
{
    uint64_t  h;

    h = stoa_hash64(name, strlen(name), 0);

    for ( /* void */ ; rd->seen[h % CP_CATALOG_SEEN] != NULL; h++) {
        if (strcmp(rd->seen[h % CP_CATALOG_SEEN], name) == 0) {
            return false;
        }
    }

    rd->seen[h % CP_CATALOG_SEEN] = name;

    return true;
}


/* What could not be named, shown or stored is left out and counted. */

static void
cp_item_left_out(cp_reading_t *rd, const cp_list_t *list, const char *name,
    const char *why)
{
    rd->out->skipped++;
    cp_catalog_note(rd->arena, rd->out->left_out,
                    (unsigned) (list - cp_lists), name ? name : "", why);
}


/* What is too long with the api's name before it, or for some clients. */

static void
cp_item_doubts(cp_reading_t *rd, unsigned kind, const char *name)
{
    size_t       len;
    const char  *why;

    len = strlen(rd->name) + 2 + strlen(name);

    if (kind > 1 || len <= CP_DISCOVERY_NAME_WARN) {
        return;
    }

    why = (kind == 0 && len > STOA_TOOL_NAME_MAX)
          ? "with the api's name before it it is longer than 128 characters:"
            " only a server shows it, by an alias"
          : "with the api's name before it it is longer than 64 characters,"
            " which several clients refuse: a server may give it an alias";

    cp_catalog_note(rd->arena, rd->out->warnings, kind, name, why);
}


/* Words in it that speak to a model are told; NULL, or why it is left out. */

static const char *
cp_item_marks(cp_reading_t *rd, unsigned kind, const char *name,
    cp_json_t *item)
{
    if (!cp_item_marked(rd->arena, item)) {
        return NULL;
    }

    if (rd->masks && !cp_item_mask(rd->arena, item)) {
        return "it has words that speak to a model where they cannot be"
               " masked";
    }

    cp_catalog_note(rd->arena, rd->out->warnings, kind, name, rd->masks
                    ? "words in it that speak to a model are masked"
                    : "it has words that speak to a model");

    return NULL;
}


static bool
cp_list_take(cp_reading_t *rd, const cp_list_t *list, cp_json_t *items,
    const cp_json_t *page)
{
    unsigned     kind;
    cp_json_t   *v, *next;
    const char  *why, *name;

    kind = (unsigned) (list - cp_lists);

    for (v = page->first; v != NULL; v = next) {
        next = v->next;
        why = cp_catalog_refused(rd->arena, kind, v);
        name = (v->type == CP_JSON_OBJECT)
                   ? cp_json_str(v, cp_catalog_key(kind)) : NULL;

        if (why == NULL && items->n == CP_DISCOVERY_ITEMS) {
            rd->out->error = cp_arena_printf(rd->arena,
                                 "%s: more than %d items", list->method,
                                 CP_DISCOVERY_ITEMS);
            return false;
        }

        if (why == NULL && !cp_is_new(rd, name)) {
            why = "its name is there twice";
        }

        if (why == NULL) {
            why = cp_item_marks(rd, kind, name, v);
        }

        if (why != NULL) {
            cp_item_left_out(rd, list, name, why);
            continue;
        }

        cp_item_doubts(rd, kind, name);
        v->next = NULL;
        cp_json_push(items, v);
    }

    return true;
}


static bool
cp_list_page(cp_reading_t *rd, const cp_list_t *list, cp_json_t *items,
    const char **cursor, bool *none)
{
    cp_json_t       *params, *page, *next;
    cp_mcp_reply_t   reply;

    params = NULL;

    if (*cursor != NULL) {
        params = cp_json_object(rd->arena);
        cp_json_put(rd->arena, params, "cursor", *cursor);
    }

    cp_mcp_client_call(rd->client, list->method, params, &reply);

    *none = list->optional && reply.code == -32601;

    if (reply.outcome != CP_MCP_RESULT) {
        cp_reading_fail(rd, &reply);
        return false;
    }

    for (next = (reply.unread != NULL) ? reply.unread->first : NULL;
         next != NULL;
         next = next->next)
    {
        cp_item_left_out(rd, list, cp_json_str(next, "name"),
                         cp_json_str(next, "reason"));
    }

    page = cp_json_get(reply.result, list->member);
    next = cp_json_get(reply.result, "nextCursor");
    *cursor = cp_json_str(reply.result, "nextCursor");

    if (next != NULL && next->type != CP_JSON_NULL && *cursor == NULL) {
        rd->out->error = cp_arena_printf(rd->arena,
                             "%s: nextCursor must be a string",
                             list->method);
        return false;
    }

    if (page == NULL || page->type != CP_JSON_ARRAY) {
        rd->out->error = cp_arena_printf(rd->arena, "%s: no array \"%s\"",
                                         list->method, list->member);
        return false;
    }

    return cp_list_take(rd, list, items, page);
}


static bool
cp_list_read(cp_reading_t *rd, const cp_list_t *list)
{
    bool         none;
    unsigned     pages;
    cp_json_t   *items;
    const char  *cursor, *last;

    items = cp_json_array(rd->arena);
    rd->out->items[list - cp_lists] = items;
    rd->seen = cp_arena_alloc(rd->arena, CP_CATALOG_SEEN * sizeof(char *));

    if (rd->seen == NULL) {
        rd->out->error = "out of memory";
        return false;
    }

    if (rd->capabilities == NULL
        || cp_json_get(rd->capabilities, list->capability) == NULL)
    {
        return true;
    }

    cursor = NULL;

    for (pages = 0; pages < CP_DISCOVERY_PAGES; pages++) {
        last = cursor;

        if (!cp_list_page(rd, list, items, &cursor, &none)) {

            /* resources without templates need not know the method */

            rd->out->error = none ? NULL : rd->out->error;
            return none;
        }

        if (cursor == NULL) {
            return true;
        }

        if (last != NULL && strcmp(cursor, last) == 0) {
            break;
        }
    }

    rd->out->error = cp_arena_printf(rd->arena, "%s: the pages do not end",
                                     list->method);
    return false;
}


static void
cp_reading_run(cp_reading_t *rd)
{
    unsigned  i;

    if (!cp_probe(rd)) {
        return;
    }

    if (rd->capabilities != NULL
        && rd->capabilities->type != CP_JSON_OBJECT)
    {
        rd->out->error = "capabilities must be an object";
        return;
    }

    rd->out->capabilities = rd->capabilities;

    for (i = 0; i < CP_ITEMS; i++) {
        if (!cp_list_read(rd, &cp_lists[i])) {
            return;
        }
    }

    if (strcmp(rd->out->era, "modern") == 0) {
        cp_probe_dual(rd);
    }
}


/* Targets are equals: the next one is asked when one cannot be reached. */

void
cp_catalog_read(cp_app_t *app, cp_arena_t *a, const char *name,
    const cp_client_to_t *targets, unsigned n, bool masks, cp_catalog_t *out)
{
    int64_t        deadline;
    unsigned       i;
    cp_reading_t   rd;

    deadline = cp_time_mono_ms() + CP_DISCOVERY_TIMEOUT_MS;
    memset(out, 0, sizeof(cp_catalog_t));
    out->error = "no target";

    for (i = 0; i < n; i++) {
        memset(&rd, 0, sizeof(rd));
        memset(out, 0, sizeof(cp_catalog_t));
        out->era = "unknown";
        out->left_out = cp_json_array(a);
        out->warnings = cp_json_array(a);
        rd.arena = a;
        rd.name = name;
        rd.out = out;
        rd.masks = masks;
        rd.client = cp_mcp_client_create(app, a, &targets[i], deadline);

        if (rd.client == NULL) {
            out->error = "out of memory";
            return;
        }

        cp_reading_run(&rd);
        cp_mcp_client_destroy(rd.client);

        if (!rd.unreachable || atomic_load(&app->stopping)) {
            return;
        }
    }
}
