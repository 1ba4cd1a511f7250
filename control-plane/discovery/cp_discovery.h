/*
 * Discovery: reads the tools, prompts, resources and templates of the MCP
 * servers that apis stand for, and keeps them fresh.
 *
 * Owner: apis.discovery, tools, prompts, resources, templates (written through
 * the engine of resource/, so that audit and feed follow).
 * Process: stoa-control; CP_DISCOVERY_THREADS threads of its own, because an
 * upstream may take CP_DISCOVERY_TIMEOUT_MS.  Several replicas may read the
 * same upstream at the same time: they find the same and write it once.
 * Lifetime: threads start with the first run of the job and end with
 * cp_discovery_stop().
 * Limits: the constants below; past them a reading fails as a whole and what
 * was found before stays in force.
 */

#ifndef CP_DISCOVERY_H
#define CP_DISCOVERY_H


#include "client/cp_client.h"
#include "core/stoa_json.h"
#include "kinds/cp_kinds.h"


#define CP_DISCOVERY_THREADS      4
#define CP_DISCOVERY_QUEUE        256
#define CP_DISCOVERY_TIMEOUT_MS   10000       /* one reading, all requests   */
#define CP_DISCOVERY_BYTES        (8 * 1024 * 1024)   /* of one page         */
#define CP_DISCOVERY_ITEMS        5000
#define CP_DISCOVERY_PAGES        200
#define CP_DISCOVERY_ITEM_BYTES   (1024 * 1024)
#define CP_DISCOVERY_INTERVAL_MS  300000
#define CP_DISCOVERY_RETRY_MS     5000        /* doubled up to the interval  */
#define CP_DISCOVERY_HINT_MS      5000        /* of one that has changed     */
#define CP_DISCOVERY_HINTS        64          /* that wait                   */
#define CP_DISCOVERY_ARENA        (256 * 1024 * 1024)
#define CP_DISCOVERY_WAIT_MS      10000       /* of POST .../discover        */
#define CP_DISCOVERY_ERROR_MAX    300
#define CP_DISCOVERY_NOTES        20          /* that are kept               */
#define CP_DISCOVERY_NOTE_NAME    128
#define CP_DISCOVERY_NAME_WARN    64          /* some clients take no more  */


/* A client of one MCP server (cp_mcp_client.c).  One thread. */

typedef struct cp_mcp_client_s  cp_mcp_client_t;

typedef enum {
    CP_MCP_RESULT,                 /* result is set                         */
    CP_MCP_REFUSED,                /* a JSON-RPC error or an HTTP 4xx, 5xx  */
    CP_MCP_UNREACHABLE             /* no answer at all; no use to go on     */
} cp_mcp_outcome_e;

typedef struct {
    cp_mcp_outcome_e  outcome;
    long              status;      /* HTTP, 0 none                          */
    int64_t           code;        /* of a JSON-RPC error, 0 none           */
    cp_json_t        *result;
    cp_json_t        *data;        /* of a JSON-RPC error                   */
    const char       *error;       /* for people                            */
    cp_json_t        *unread;      /* {name, reason} of what was in an array
                                      and could not be read; may be NULL    */
} cp_mcp_reply_t;

cp_mcp_client_t *cp_mcp_client_create(cp_app_t *app, cp_arena_t *a,
    const cp_client_to_t *target, int64_t deadline_mono_ms);
/* Ends the session, if there is one, and frees. */
void cp_mcp_client_destroy(cp_mcp_client_t *m);
/* It speaks HTTP+SSE from now on; false: the server does not. */
bool cp_mcp_client_stream(cp_mcp_client_t *m, const char **why);
/* version: of the following calls; modern: 2026-07-28's form. */
void cp_mcp_client_speak(cp_mcp_client_t *m, const char *version,
    bool modern);
void cp_mcp_client_call(cp_mcp_client_t *m, const char *method,
    cp_json_t *params, cp_mcp_reply_t *reply);
void cp_mcp_client_notify(cp_mcp_client_t *m, const char *method);
bool cp_mcp_client_in_session(const cp_mcp_client_t *m);
/* DELETEs the session, if there is one. */
void cp_mcp_client_end_session(cp_mcp_client_t *m);


/* text, which is no JSON perhaps, without those items of a result's lists that
 * are none (cp_mcp_mend.c); each in `refused` as {name, reason}.  False: that
 * does not make it one, or there are too many. */
bool cp_mcp_mend(cp_arena_t *a, char *text, size_t len, cp_json_t *refused,
    stoa_json_val_t *root, stoa_err_t *err);


/* What was found (cp_catalog.c). */

typedef struct {
    const char  *era;              /* modern, legacy, dual, unknown         */
    const char  *version;
    bool         sessions;         /* a legacy client is given ids          */
    bool         sse;              /* by the transport of 2024-11-05        */
    cp_json_t   *capabilities;     /* as the upstream says them; may be NULL */
    cp_json_t   *items[CP_ITEMS];  /* arrays of its objects, as cp_items    */
    unsigned     skipped;          /* items that could not be taken         */
    cp_json_t   *left_out;         /* the first of them: kind, name, reason */
    cp_json_t   *warnings;         /* the same of what is taken all the same */
    const char  *error;            /* NULL: all was read                    */
} cp_catalog_t;

/* NULL, or why it is not shown; kind: of cp_items.  Takes nulls out of it. */
const char *cp_catalog_refused(cp_arena_t *a, unsigned kind, cp_json_t *item);
void cp_catalog_note(cp_arena_t *a, cp_json_t *list, unsigned kind,
    const char *name, const char *why);

/* What names an item of the i-th of cp_items. */
const char *cp_catalog_key(unsigned i);

/* name: the api's; masks: what speaks to models is written over. */
void cp_catalog_read(cp_app_t *app, cp_arena_t *a, const char *name,
    const cp_client_to_t *targets, unsigned n, bool masks,
    cp_catalog_t *out);


/* What the policies of the api say it is shown, with its secrets
 * (cp_discovery_credential.c); NULL: nothing. */
typedef struct {
    cp_json_t   *credential;       /* its configuration                     */
    cp_json_t   *certificate;
} cp_discovery_shown_t;

cp_rc_t cp_discovery_shown(cp_tx_t *tx, cp_arena_t *a, const char *api,
    const char *tenant, cp_discovery_shown_t *shown, cp_err_t *err)
    CP_MUST_CHECK;
/* The line of a header that is made of it, after a token was fetched where one
 * is asked for.  NULL, or why there is none. */
const char *cp_discovery_show(cp_app_t *app, cp_arena_t *a,
    const cp_json_t *config, const char **line);


/* Writes it (cp_discovery_store.c).  upstream: the digest of the
 * configuration that was read; when the api has another one by now, or is
 * gone, nothing is written. */
cp_rc_t cp_discovery_store(cp_app_t *app, cp_arena_t *a, const char *api,
    const char *upstream, const cp_catalog_t *found) CP_MUST_CHECK;


/* A gateway has heard that the lists of this api have changed: they are read
 * as soon as they may be. */
void cp_discovery_hint(const char *api);
/* Reads an api once more, on a thread of its own; false: too many wait. */
bool cp_discovery_ask(cp_app_t *app, const char *api) CP_MUST_CHECK;
/* The column `discovery`; NULL: none. */
cp_json_t *cp_discovery_parse(cp_arena_t *a, const cp_val_t *v);
/* 16 hex digits of the upstream column's text. */
char *cp_discovery_digest(cp_arena_t *a, const char *upstream);

/* A job that queues what is due, and the end of its threads, after it. */
cp_rc_t cp_discovery_job(cp_app_t *app);
void cp_discovery_stop(void);


#endif /* CP_DISCOVERY_H */
