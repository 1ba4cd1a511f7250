/*
 * MCP: what the ngx_http_stoa_mcp*.c files share.
 *
 *   _mcp.c          the steps of a request, methods that the gateway answers
 *   _mcp_answer.c   how it answers, and its errors
 *   _mcp_message.c  body, headers and message: read, checked, era found
 *   _mcp_view.c, _mcp_render.c, _mcp_grant.c   what a caller may see
 *   _mcp_list.c, _mcp_shown.c   the lists of it, in pages
 *   _mcp_call.c     tools/call: find the tool, splice its name, forward
 *   _mcp_seal.c     the keys by which it is sealed
 *   _mcp_search.c   search_tools and call_tool
 *   _mcp_param.c    headers that repeat arguments
 *   _mcp_item.c     the same for prompts, resources, completions
 *   _mcp_session.c  sealed session ids
 *   _mcp_map.c      upstream sessions, in a mapped file; _mcp_block.c,
 *                   _mcp_count.c, _mcp_pool.c, _mcp_book.c
 *   _mcp_carry.c, _mcp_leave.c  those that a session id carries; their end
 *   _mcp_bridge.c   modern clients before upstreams with sessions
 *   ngx_http_stoa_park.h    those that may be asked something
 *   _mcp_wait.c     calls that wait for one that connects
 *   _mcp_version.c  the protocol versions
 *   _mcp_connect.c  a call's session at its upstream
 *   _mcp_ask.c      a message of our own to an upstream, and its answer
 *   _mcp_open.c     a session at an upstream
 *   _mcp_judge.c    what it answers to a call
 *   _mcp_heal.c     whether a session is gone
 *   _mcp_task.c     tasks
 *   _mcp_other.c    methods of extensions
 *   _mcp_approve.c  calls that a person has to approve
 *   _mcp_batch.c    several messages in one
 *   _mcp_fault.c    why an answer is none, and the refusal made of it
 *   ngx_http_stoa_stream.h  streams of events to clients
 *
 * Process: workers.  Lifetime: the request's pool unless said otherwise.
 * Limits: body STOA_JSONRPC_BODY_MAX, tools of one list 5,000, of one page
 * 500, an upstream session id 4,096 bytes, its initialize answer 256 KiB,
 * an error that it answers with 64 KiB.
 */

#ifndef NGX_HTTP_STOA_MCP_H
#define NGX_HTTP_STOA_MCP_H


#include "ngx_http_stoa_edge.h"
#include "ngx_http_stoa_mcp_map.h"
#include "core/stoa_jsonrpc.h"
#include "core/stoa_token.h"
#include "core/stoa_media.h"
#include "core/stoa_sse.h"


#define NGX_HTTP_STOA_MCP_LIST_MAX      5000
#define NGX_HTTP_STOA_MCP_PAGE          500
#define NGX_HTTP_STOA_MCP_SID_MAX       STOA_MCP_SID_MAX
#define NGX_HTTP_STOA_MCP_ANSWER_MAX    262144
#define NGX_HTTP_STOA_MCP_WORDS_MAX     200
#define NGX_HTTP_STOA_MCP_RETRY_MAX     64
#define NGX_HTTP_STOA_MCP_PARAMS_MAX    32
#define NGX_HTTP_STOA_MCP_PARAMS_LEN    8192
#define NGX_HTTP_STOA_MCP_LIST_TTL_MS   5000


/* One row per protocol version, oldest first. */

typedef struct {
    ngx_str_t    name;
    ngx_uint_t   modern;
    ngx_uint_t   batches;             /* several messages in one            */
} ngx_http_stoa_mcp_version_t;

extern const ngx_http_stoa_mcp_version_t  ngx_http_stoa_mcp_versions[];

#define NGX_HTTP_STOA_MCP_VERSIONS        5
#define NGX_HTTP_STOA_MCP_VERSION_FIRST   0     /* 2024-11-05                */
#define NGX_HTTP_STOA_MCP_VERSION_ABSENT  1     /* header absent: 2025-03-26 */
#define NGX_HTTP_STOA_MCP_VERSION_LATEST_LEGACY  3
#define NGX_HTTP_STOA_MCP_VERSION_MODERN  4
#define NGX_HTTP_STOA_MCP_VERSION_NONE    NGX_HTTP_STOA_MCP_VERSIONS


/* The request headers that MCP looks at, found in one pass. */

typedef struct {
    ngx_table_elt_t      *session;
    ngx_table_elt_t      *version;
    ngx_table_elt_t      *method;
    ngx_table_elt_t      *name;
    ngx_table_elt_t      *origin;
    ngx_table_elt_t      *accept;
    ngx_table_elt_t      *type;
    ngx_table_elt_t      *coding;
    ngx_table_elt_t  *last;           /* Last-Event-ID                      */
    stoa_media_accept_t   json;       /* what all lines of accept say       */
    stoa_media_accept_t   events;
    ngx_uint_t            params;     /* Mcp-Param-*: how many, how long    */
    size_t                params_len;
    unsigned              repeated:1; /* one of the above came twice        */
    unsigned              unreadable:1;  /* one of the last two did         */
} ngx_http_stoa_mcp_headers_t;


typedef enum {
    NGX_HTTP_STOA_MCP_CONNECT_NONE = 0,
    NGX_HTTP_STOA_MCP_CONNECT_OPENING,    /* by this request                */
    NGX_HTTP_STOA_MCP_CONNECT_PROBE,      /* the session is to be asked     */
    NGX_HTTP_STOA_MCP_CONNECT_PROBING,
    NGX_HTTP_STOA_MCP_CONNECT_PROBED,
    NGX_HTTP_STOA_MCP_CONNECT_DONE,
    NGX_HTTP_STOA_MCP_CONNECT_FAILED
} ngx_http_stoa_mcp_connect_e;


/* A request that waits for another one to connect.  It is the data of its own
 * event, so it begins like a connection, whose fd nginx logs. */

typedef struct {
    ngx_http_request_t           *request;
    ngx_queue_t                   queue;        /* this worker's waiters    */
    ngx_int_t                     ident;        /* -1                       */
    ngx_event_t                   event;
    ngx_msec_t                    delay;        /* of the next look         */
    uint64_t                      key;
} ngx_http_stoa_mcp_wait_t;


/* What is looked at in the head of an upstream's answer. */

typedef struct {
    ngx_uint_t                    status;
    ngx_str_t                     type;         /* data NULL: not there     */
    ngx_str_t                     coding;
    ngx_str_t                     retry_after;
    ngx_str_t                     location;
    unsigned                      twice:1;      /* a Content header         */
    unsigned                      challenge:1;  /* WWW-Authenticate         */
    unsigned                      empty:1;      /* there is no body         */
} ngx_http_stoa_mcp_head_t;


/* Why an answer of an upstream is none, and what its client is told. */

typedef struct {
    ngx_http_stoa_refuse_e        what;
    int64_t                       code;         /* of an error of JSON-RPC  */
    size_t                        retry_len;    /* of Retry-After           */
    size_t                        len;
    unsigned                      words:1;      /* its body may have some   */
    unsigned                      has_code:1;
    unsigned                      ours:1;       /* with the message's id    */
    u_char                        text[NGX_HTTP_STOA_MCP_WORDS_MAX];
    u_char                        retry[NGX_HTTP_STOA_MCP_RETRY_MAX];
} ngx_http_stoa_mcp_fault_t;


/* What an answer means (_mcp_heal.c). */

typedef enum {
    NGX_HTTP_STOA_MCP_HEAL_PASS = 0,  /* it is the call's                   */
    NGX_HTTP_STOA_MCP_HEAL_REFUSE,    /* it is none                         */
    NGX_HTTP_STOA_MCP_HEAL_PROBE,     /* the session is asked               */
    NGX_HTTP_STOA_MCP_HEAL_FORGET     /* the session is gone                */
} ngx_http_stoa_mcp_heal_e;

typedef enum {
    NGX_HTTP_STOA_MCP_UNKNOWN = 0,
    NGX_HTTP_STOA_MCP_LIVES,
    NGX_HTTP_STOA_MCP_GONE
} ngx_http_stoa_mcp_probed_e;

/* An answer, while the session is asked. */

typedef struct {
    ngx_http_stoa_mcp_fault_t     fault;
    ngx_str_t                     text;
} ngx_http_stoa_mcp_kept_t;


/* A call that the wheel (_mcp_wheel.c) looks after. */

typedef void (*ngx_http_stoa_mcp_wheel_pt)(ngx_http_request_t *r);

typedef struct {
    ngx_queue_t                   queue;        /* next NULL: in no list    */
    ngx_http_request_t           *request;
    ngx_msec_t                    since;
    ngx_http_stoa_mcp_wheel_pt    handler;
} ngx_http_stoa_mcp_spoke_t;

/* A message that goes to an upstream by itself.  Who waits for it has a list
 * of them, and is woken by the last one; ctx NULL: nobody does. */

typedef struct {
    ngx_queue_t                   queue;
    ngx_http_stoa_ctx_t          *ctx;
    uint16_t                     *count;        /* in flight, of its client */
} ngx_http_stoa_mcp_told_t;

typedef struct ngx_http_stoa_mcp_stream_s  ngx_http_stoa_mcp_stream_t;
typedef struct ngx_http_stoa_mcp_hold_s    ngx_http_stoa_mcp_hold_t;


struct ngx_http_stoa_mcp_s {
    ngx_uint_t                    connect_step;
    ngx_str_t                     tenant_name;
    ngx_str_t                     server_name;
    stoa_id_t                     endpoint_tenant;
    stoa_id_t                     server;

    ngx_http_stoa_mcp_headers_t   headers;
    ngx_str_t                     body;
    stoa_jsonrpc_t                msg;
    ngx_uint_t                    version;      /* row of the table         */
    ngx_str_t                     capabilities; /* the client's, JSON       */

    u_char                        nonce[STOA_MCP_NONCE];  /* its session's  */
    ngx_str_t                     tool_name;    /* at the upstream; of what
                                                   else is called, too      */
    stoa_json_val_t               named;        /* in the message, by it    */
    ngx_str_t                     alias;        /* a resource's, as JSON; "":
                                                   it is read by its name   */

    void                         *carry;        /* of initialize, of lists  */
    ngx_uint_t                    ncarried;
    stoa_mcp_ref_t                carried[STOA_MCP_CARRIED];

    uint64_t                      upstream_key; /* in the session map       */
    ngx_uint_t                    upstream_target;
    ngx_str_t                     upstream_session;
    ngx_uint_t                    upstream_version;
    ngx_http_stoa_mcp_wait_t      wait;
    ngx_http_stoa_mcp_spoke_t     spoke;        /* of the wheel             */
    ngx_http_stoa_mcp_stream_t   *stream;       /* the answer, if it is one */
    ngx_queue_t                   told;         /* waits for these          */
    ngx_http_stoa_mcp_hold_t     *hold;         /* of one that is held      */

    ngx_uint_t                    connect;      /* ..._mcp_connect_e        */
    void                         *conn;         /* OPENING                  */
    ngx_uint_t                    probed;       /* PROBED: ..._probed_e     */
    ngx_http_stoa_mcp_kept_t     *kept;         /* NULL: no call was sent   */
    ngx_http_stoa_mcp_fault_t     fault;        /* FAILED                   */
    u_char                       *held;         /* an error without chunks  */
    size_t                        held_size;

    void                         *at_modern;    /* to_modern: the call      */
    void                         *at_guest;     /* bridged: the same        */
    ngx_uint_t                    can;          /* bridged: of the client   */
    ngx_uint_t                    log_level;    /* the same; 0: none        */
    ngx_str_t                     params;       /* its Mcp-Param-*, as lines */
    void                         *approve;      /* a person has to approve   */
    void                         *hop;          /* another gateway has it    */
    ngx_str_t                     also;         /* in an error's data, with a
                                                   comma before it           */
    void                         *batch;        /* of messages              */
    ngx_chain_t                  *out;          /* the gateway's own answer */
    ngx_uint_t                    out_status;

    unsigned                      has_server:1;
    unsigned                      scanned:1;
    unsigned                      modern:1;
    unsigned                      serves_modern:1;  /* every upstream, when */
    unsigned                      serves_legacy:1;  /* a version is refused */
    unsigned                      has_session:1;
    unsigned                      fresh_session:1;  /* made for this call   */
    unsigned                      again:1;      /* by a redirect of ours    */
    unsigned                      retried:1;    /* the session was gone     */
    unsigned                      forwarded:1;
    unsigned                      leveled:1;    /* the upstream knows it    */
    unsigned                      searching:1;
    unsigned                      hopped:1;     /* one has sent it here      */
    unsigned                      paired:1;     /* its answer is not read    */
    unsigned                      bridged:1;    /* modern, to a legacy one  */
    unsigned                      has_upstream:1;   /* its session          */
    unsigned                      bridge_answered:1;
    unsigned                      tasked:1;     /* it is, or may make one   */
    unsigned                      to_modern:1;  /* the upstream is modern,
                                                   the client is not        */
};


/* ---- _mcp_message.c ---------------------------------------------------- */

ngx_int_t ngx_http_stoa_mcp_read_headers(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_int_t ngx_http_stoa_mcp_negotiate(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_int_t ngx_http_stoa_mcp_read_body(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_int_t ngx_http_stoa_mcp_content(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_str_t *content);
ngx_int_t ngx_http_stoa_mcp_scan(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_int_t ngx_http_stoa_mcp_era(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);


/* ---- _mcp_view.c, _mcp_list.c ------------------------------------------ */

typedef enum {
    NGX_HTTP_STOA_MCP_TOOLS = 0,
    NGX_HTTP_STOA_MCP_PROMPTS,
    NGX_HTTP_STOA_MCP_RESOURCES,
    NGX_HTTP_STOA_MCP_TEMPLATES,
    NGX_HTTP_STOA_MCP_LISTS
} ngx_http_stoa_mcp_lists_e;

/* Of changes: templates are resources, too. */
#define NGX_HTTP_STOA_MCP_KINDS  3

typedef struct {
    ngx_str_t   name;                 /* as it is shown                     */
    stoa_id_t   id;                   /* of its record                      */
    stoa_id_t   target;               /* what was subscribed to             */
    uint32_t    start;                /* in blob                            */
    uint32_t    end;
} ngx_http_stoa_mcp_item_t;

typedef struct {
    ngx_http_stoa_mcp_item_t  *items;         /* sorted by name             */
    ngx_uint_t                 nitems;
    u_char                    *blob;          /* {...},{...},{...}          */
} ngx_http_stoa_mcp_list_t;

/* What one application may see at one endpoint. */

typedef struct {
    ngx_queue_t   queue;              /* of the cache, the last used first  */
    ngx_queue_t   bucket;
    stoa_id_t     application;
    stoa_id_t     endpoint;           /* tenant or server                   */
    uint64_t      generation;
    int64_t       until_ms;
    u_char        digest[32];         /* of what follows from subscriptions */
    unsigned      entitled:1;         /* any subscription here              */
    unsigned      serves_modern:1;    /* every upstream can                 */
    unsigned      serves_legacy:1;
    unsigned      ruled:1;            /* by what a token has, too           */
    unsigned      filtered:1;         /* somebody says what lists show      */
} ngx_http_stoa_mcp_access_t;

/* What those with the same access see in one era. */

typedef struct {
    ngx_queue_t                queue;
    ngx_queue_t                bucket;
    ngx_uint_t                 refs;
    stoa_id_t                  endpoint;
    uint64_t                   catalog[2];
    u_char                     digest[32];
    ngx_pool_t                *pool;
    size_t                     bytes;
    ngx_http_stoa_mcp_list_t   lists[NGX_HTTP_STOA_MCP_LISTS];
    uint64_t                   sum[NGX_HTTP_STOA_MCP_KINDS];
    stoa_id_t                  reader;        /* the api with resources,    */
    stoa_id_t                  reader_target; /* if nreaders is 1           */
    ngx_uint_t                 nreaders;
    ngx_str_t                 *words;         /* of tools, 3 of each; NULL:
                                                 nobody has searched yet    */
    ngx_str_t                  notes;         /* members of _meta, or ""    */
    unsigned                   stale:1;
    unsigned                   modern:1;
    unsigned                   ruled:1;       /* for tokens like one's own  */
    unsigned                   has_prompts:1;
    unsigned                   has_resources:1;
    unsigned                   has_completions:1;
    unsigned                   has_logging:1;
    unsigned                   has_updates:1; /* resources/subscribe        */
    unsigned                   has_changes:1; /* an upstream says so        */
    unsigned                   summed:1;      /* the sums are made          */
} ngx_http_stoa_mcp_view_t;

/* Good while the handler runs.  NULL: out of memory. */
ngx_http_stoa_mcp_access_t *ngx_http_stoa_mcp_access(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* The request holds a reference until its pool dies.  NULL: out of memory. */
ngx_http_stoa_mcp_view_t *ngx_http_stoa_mcp_view(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_uint_t modern);
/* An item of that name; NULL: there is none. */
ngx_http_stoa_mcp_item_t *ngx_http_stoa_mcp_view_item(
    ngx_http_stoa_mcp_list_t *list, const u_char *name, size_t len);

/* Drops what the worker has cached, at its exit. */
void ngx_http_stoa_mcp_view_exit(void);

/* Does the subscription cover this tool? */
ngx_uint_t ngx_http_stoa_mcp_selected(const stoa_rec_subscription_t *sub,
    const stoa_id_t *tool);

ngx_int_t ngx_http_stoa_mcp_list(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* "capabilities":{...}, the union of what the upstreams can that are seen. */
void ngx_http_stoa_mcp_list_capabilities(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_mcp_view_t *view,
    stoa_buf_t *b);


/* ---- _mcp_search.c ----------------------------------------------------- */

/* What is listed in place of the tools; NULL: they are. */
ngx_str_t *ngx_http_stoa_mcp_search_list(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* The message calls a tool by now, or is searching, in a step of its own
 * behind the limits. */
ngx_int_t ngx_http_stoa_mcp_search_resolve(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_int_t ngx_http_stoa_mcp_search(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);


/* ---- _mcp_param.c ------------------------------------------------------ */

/* Do the headers that repeat arguments of the tool say what the body says? */
ngx_int_t ngx_http_stoa_mcp_params(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_rec_item_t *tool);


/* ---- _mcp_item.c ------------------------------------------------------- */

/* What prompts/get, resources/read and completion/complete are of. */
ngx_int_t ngx_http_stoa_mcp_item_resolve(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* Contents get the name by which they are read; data: until the next one. */
ngx_int_t ngx_http_stoa_mcp_item_told(ngx_http_stoa_ctx_t *ctx,
    stoa_str_t *data);


/* ---- _mcp_call.c ------------------------------------------------------- */

ngx_int_t ngx_http_stoa_mcp_resolve(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* What outlives the view of the records; name: at the upstream. */
ngx_int_t ngx_http_stoa_mcp_resolved(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_rec_api_t *api, stoa_str_t name);
ngx_int_t ngx_http_stoa_mcp_splice(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);

/* For the header rewriting: is this client header replaced or dropped when an
 * MCP call is forwarded, and which ones are added instead. */
ngx_uint_t ngx_http_stoa_mcp_header_dropped(const ngx_table_elt_t *h);
ngx_int_t ngx_http_stoa_mcp_headers_add(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_list_t *headers);


/* ---- _mcp_task.c ------------------------------------------------------- */

/* What is asked about a task: NGX_OK, it is resolved as its tool's call. */
ngx_int_t ngx_http_stoa_mcp_task(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* May the answer to a call be a task? */
void ngx_http_stoa_mcp_task_expect(ngx_http_stoa_mcp_t *mcp);
/* Ids of tasks in a message of the upstream become the client's: in a call's
 * answer, and outside of calls, in the session of ref.  NGX_DECLINED: it is
 * about a task that is not known to be this client's, and as it came. */
ngx_int_t ngx_http_stoa_mcp_task_told(ngx_http_stoa_ctx_t *ctx,
    stoa_str_t *data);
ngx_int_t ngx_http_stoa_mcp_task_heard(ngx_http_stoa_ctx_t *ctx,
    const stoa_mcp_ref_t *ref, stoa_str_t *data);
/* The other way, in what the client says to that session. */
ngx_int_t ngx_http_stoa_mcp_task_said(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const stoa_mcp_ref_t *ref, ngx_str_t *body);


/* ---- _mcp_book.c ------------------------------------------------------- */

#define NGX_HTTP_STOA_MCP_TASK_ID  512

/* The caller has a task with this id at an api (16 characters), of the tool
 * that he calls so. */
void ngx_http_stoa_mcp_book_note(ngx_http_stoa_ctx_t *ctx, const char *api,
    const stoa_str_t *id, const stoa_str_t *name);
/* Appends the name; NGX_DECLINED: it is not known. */
ngx_int_t ngx_http_stoa_mcp_book_find(ngx_http_stoa_ctx_t *ctx,
    const char *api, const stoa_str_t *id, stoa_buf_t *name);


/* ---- _mcp_other.c ------------------------------------------------------ */

/* A method that is not in the table: NGX_OK, its api is found, or refused. */
ngx_int_t ngx_http_stoa_mcp_other(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* A notification that is in none. */
ngx_int_t ngx_http_stoa_mcp_other_note(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* Appends members of capabilities. */
void ngx_http_stoa_mcp_other_declare(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_uint_t modern, stoa_buf_t *b);


/* ---- _mcp_batch.c ------------------------------------------------------ */

/* The message is an array: each of its own goes through all steps. */
ngx_int_t ngx_http_stoa_mcp_batch(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);


/* ---- _mcp_seal.c ------------------------------------------------------- */

/* A step: the group's keys are those of the store; and without a refusal. */
ngx_int_t ngx_http_stoa_mcp_keys(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
void ngx_http_stoa_mcp_keys_fresh(ngx_http_request_t *r);
void ngx_http_stoa_mcp_keys_exit(void);


/* ---- _mcp_session.c ---------------------------------------------------- */

ngx_int_t ngx_http_stoa_mcp_session_init(ngx_http_stoa_main_conf_t *mcf,
    ngx_cycle_t *cycle);
/* What was opened: of other keys, or at the worker's exit. */
void ngx_http_stoa_mcp_session_forget(void);

/* For whom something is sealed: application 16, subject 8, endpoint 8. */

#define NGX_HTTP_STOA_MCP_PRINCIPAL  32
#define NGX_HTTP_STOA_MCP_TOKEN_MAX  2048     /* characters of an id         */

void ngx_http_stoa_mcp_principal(ngx_http_stoa_ctx_t *ctx, u_char *dst);

/* What is in the id of a new session: in ctx->call.mcp. */
ngx_int_t ngx_http_stoa_mcp_session_begin(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* The id. */
ngx_int_t ngx_http_stoa_mcp_session_seal(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_str_t *token);
/* NGX_OK, or NGX_DECLINED: not ours, altered, expired, of another principal
 * or another endpoint. */
ngx_int_t ngx_http_stoa_mcp_session_open(ngx_http_stoa_ctx_t *ctx,
    ngx_str_t *token);

/* What the client session is called in the map, and its session at an api: the
 * upper half says which client session.  Never 0. */
uint64_t ngx_http_stoa_mcp_client(ngx_http_stoa_mcp_t *mcp);
/* Who has it there: an application, or an address without one; never 0. */
uint64_t ngx_http_stoa_mcp_app(ngx_http_stoa_ctx_t *ctx);
uint64_t ngx_http_stoa_mcp_upstream_key(ngx_http_stoa_mcp_t *mcp,
    const stoa_id_t *api);

/* A step: DELETE ends it. */
ngx_int_t ngx_http_stoa_mcp_session_delete(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* NGX_OK: the client session carries this one, and the map knows no other. */
ngx_int_t ngx_http_stoa_mcp_carried(ngx_http_stoa_mcp_t *mcp,
    const stoa_id_t *api, ngx_http_stoa_mcp_upstream_t *up);


/* ---- _mcp_carry.c ------------------------------------------------------- */

/* Before a session id is made: what it carries is opened.  As a step. */
ngx_int_t ngx_http_stoa_mcp_carry(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);


/* ---- _mcp_leave.c ------------------------------------------------------- */

/* How to reach upstreams without a request; begins to look for idle ones. */
void ngx_http_stoa_mcp_leave_via(ngx_http_request_t *r);
/* Ends a session at its upstream, later: one of the caller's that was named
 * last; NULL: of nobody's. */
void ngx_http_stoa_mcp_leave_caller(const ngx_http_stoa_ctx_t *ctx);
void ngx_http_stoa_mcp_leave(const ngx_http_stoa_mcp_upstream_t *up);
/* What the map leaves is ended from now on. */
void ngx_http_stoa_mcp_leave_init(ngx_http_stoa_main_conf_t *mcf);


/* ---- _mcp_render.c ------------------------------------------------------ */

ngx_uint_t ngx_http_stoa_mcp_speaks(const stoa_rec_api_t *api);


/* ---- _mcp_bridge.c ------------------------------------------------------ */

/* What the client can, in mcp->can and as capabilities. */
ngx_int_t ngx_http_stoa_mcp_bridge_can(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* Where idle sessions for this call are. */
void ngx_http_stoa_mcp_bridge_pool(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_mcp_pool_t *pool);
/* An idle session of this caller, taken; or NGX_DECLINED. */
ngx_int_t ngx_http_stoa_mcp_bridge_take(ngx_http_stoa_ctx_t *ctx,
    ngx_http_stoa_mcp_upstream_t *up);
/* The call is over: its session is put back, or ended. */
void ngx_http_stoa_mcp_bridge_end(ngx_http_stoa_ctx_t *ctx);
/* Appends the _meta without what its era has put into it. */
void ngx_http_stoa_mcp_bridge_meta(const stoa_json_val_t *meta,
    stoa_buf_t *out);
/* An answer as the client's era has it, as it is or in `out`, which is made
 * anew; can: what the client has declared, ..._can_e. */
ngx_int_t ngx_http_stoa_mcp_bridge_text(stoa_mcp_method_e method,
    ngx_uint_t can, stoa_str_t *data, stoa_buf_t *out);
/* The status with which this era says it. */
ngx_uint_t ngx_http_stoa_mcp_bridge_status(const char *data, size_t len);
/* The same of this call, whose session is put back. */
ngx_int_t ngx_http_stoa_mcp_bridge_answer(ngx_http_stoa_ctx_t *ctx,
    stoa_str_t *data, stoa_buf_t *out);


/* ---- _mcp_approve.c ----------------------------------------------------- */

/* A step: if a policy says so a person has approved the call. */
ngx_int_t ngx_http_stoa_mcp_approve(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);


/* ---- _mcp_connect.c ---------------------------------------------------- */

/* What an upstream may ask of a client with these capabilities. */
ngx_int_t ngx_http_stoa_mcp_declare(ngx_pool_t *pool, ngx_str_t *caps,
    ngx_str_t *out);

/* NGX_OK: a session (or none needed) is in ctx->call.mcp; NGX_AGAIN; a
 * status. */
ngx_int_t ngx_http_stoa_mcp_connect(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* As long as a turn to open one counts. */
ngx_msec_t ngx_http_stoa_mcp_within(const ngx_http_stoa_api_t *api);


/* ---- _mcp_judge.c ------------------------------------------------------ */

/* The edge's answer() and fits(). */
ngx_int_t ngx_http_stoa_mcp_judge(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_int_t ngx_http_stoa_mcp_judge_login(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_uint_t ngx_http_stoa_mcp_stream_gathers(const ngx_http_stoa_mcp_t *mcp);
ngx_uint_t ngx_http_stoa_mcp_judge_fits(ngx_http_request_t *r,
    const ngx_str_t *body);


/* ---- _mcp_heal.c ------------------------------------------------------- */

/* What an answer with this head, fault and body is. */
ngx_http_stoa_mcp_heal_e ngx_http_stoa_mcp_heal(ngx_http_stoa_mcp_t *mcp,
    const ngx_http_stoa_mcp_head_t *head,
    const ngx_http_stoa_mcp_fault_t *fault, const ngx_str_t *text);
/* May what came of a body with 200 be about the session? */
ngx_uint_t ngx_http_stoa_mcp_heal_suspect(const u_char *p, size_t len);
/* Keeps an answer until the session was asked. */
ngx_int_t ngx_http_stoa_mcp_probe_later(ngx_http_request_t *r,
    ngx_http_stoa_mcp_t *mcp, const ngx_http_stoa_mcp_fault_t *fault,
    const ngx_str_t *text);
/* Asks it: NGX_AGAIN, NGX_ERROR. */
ngx_int_t ngx_http_stoa_mcp_probe(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* NGX_OK: it may be used; NGX_DECLINED: it is gone; else the call's end. */
ngx_int_t ngx_http_stoa_mcp_probe_end(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);


/* ---- _mcp_fault.c ------------------------------------------------------ */

/* The head of r->upstream. */
void ngx_http_stoa_mcp_fault_read(ngx_http_request_t *r,
    ngx_http_stoa_mcp_head_t *head);
/* NGX_OK, an answer; NGX_DECLINED, a fault. */
ngx_int_t ngx_http_stoa_mcp_fault_head(const ngx_http_stoa_mcp_head_t *head,
    ngx_http_stoa_mcp_fault_t *fault);
/* What an error of JSON-RPC in text adds to it; want: the message's id. */
void ngx_http_stoa_mcp_fault_body(ngx_http_stoa_mcp_fault_t *fault,
    const ngx_str_t *text, const stoa_json_val_t *want);
void ngx_http_stoa_mcp_fault_say(ngx_http_stoa_mcp_fault_t *fault,
    const char *words);
/* Makes it the refusal of the call; before: NULL, or words before its own. */
ngx_int_t ngx_http_stoa_mcp_fault_refuse(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_mcp_fault_t *fault,
    const char *before);
ngx_uint_t ngx_http_stoa_mcp_fault_same_id(const stoa_json_val_t *a,
    const stoa_json_val_t *b);


/* ---- _mcp_wait.c, _mcp_version.c ---------------------------------------- */

/* Waits until the session's entry in the map changes: NGX_AGAIN. */
ngx_int_t ngx_http_stoa_mcp_wait(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
void ngx_http_stoa_mcp_wait_end(ngx_http_stoa_mcp_wait_t *w);
/* It has changed: this worker's waiters look again. */
void ngx_http_stoa_mcp_wait_wake(uint64_t key);

ngx_uint_t ngx_http_stoa_mcp_version_find(const char *s, size_t len);
/* Protocol versions of these eras, newest first, as a JSON array. */
void ngx_http_stoa_mcp_version_list(stoa_buf_t *b, ngx_uint_t modern,
    ngx_uint_t legacy);


/* ---- _mcp_wheel.c ------------------------------------------------------- */

/* The lists, by how long nothing may happen. */

typedef enum {
    NGX_HTTP_STOA_MCP_EXPECT = 0,     /* a third of stoa_mcp_keepalive       */
    NGX_HTTP_STOA_MCP_QUIET,          /* stoa_mcp_keepalive                  */
    NGX_HTTP_STOA_MCP_LINGER,         /* half a second                       */
    NGX_HTTP_STOA_MCP_SECOND,         /* one                                 */
    NGX_HTTP_STOA_MCP_WHEEL_N
} ngx_http_stoa_mcp_wheel_e;

/* The handler runs when the call has been in this list for so long; it is in
 * none then. */
void ngx_http_stoa_mcp_wheel_add(ngx_http_request_t *r,
    ngx_http_stoa_mcp_spoke_t *spoke, ngx_uint_t list,
    ngx_http_stoa_mcp_wheel_pt handler);
void ngx_http_stoa_mcp_wheel_remove(ngx_http_stoa_mcp_spoke_t *spoke);


/* ---- _mcp_stream.c ------------------------------------------------------ */

/* The call is forwarded. */
/* For a call that waits in a step: its client has a head of a stream, or gets
 * it now. */
void ngx_http_stoa_mcp_stream_open(ngx_http_request_t *r);
/* _mcp_say.c: an event; NGX_AGAIN: it is enough for the moment. */
ngx_int_t ngx_http_stoa_mcp_stream_say(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_str_t *text);
/* The last event (or NULL) of a stream that is open: what the step returns. */
ngx_int_t ngx_http_stoa_mcp_stream_last(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_str_t *text);
/* The answer of such a call, or (text->len 0) that there is none. */
ngx_int_t ngx_http_stoa_mcp_stream_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_str_t *text,
    ngx_http_stoa_mcp_fault_t *fault);
/* As r->write_event_handler meanwhile.  NGX_OK: more may be said; NGX_AGAIN:
 * not yet; NGX_DONE: the request is over. */
ngx_int_t ngx_http_stoa_mcp_stream_flush(ngx_http_request_t *r);
ngx_int_t ngx_http_stoa_mcp_stream_expect(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* The edge's head(), body(), ended() and late(). */
ngx_int_t ngx_http_stoa_mcp_stream_head(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_int_t ngx_http_stoa_mcp_stream_body(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_chain_t *in);
void ngx_http_stoa_mcp_stream_ended(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_int_t rc);
ngx_int_t ngx_http_stoa_mcp_stream_late(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_int_t rc);


/* ---- _mcp_get.c -------------------------------------------------------- */

/* _mcp_levels.c: the number of a level, 0: it is none; a message that tells
 * it. */
#define NGX_HTTP_STOA_MCP_LEVELS_N    8
#define NGX_HTTP_STOA_MCP_LEVEL_TEXT  160
ngx_uint_t ngx_http_stoa_mcp_level_find(const stoa_json_val_t *v);
const char *ngx_http_stoa_mcp_level_name(ngx_uint_t level);
void ngx_http_stoa_mcp_level_body(u_char *text, ngx_uint_t level,
    ngx_str_t *body);
/* A method: logging/setLevel; and for a session that was opened since. */
ngx_int_t ngx_http_stoa_mcp_level(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_int_t ngx_http_stoa_mcp_level_again(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
/* The session's; 0: none was set. */
ngx_uint_t ngx_http_stoa_mcp_level_is(ngx_http_request_t *r,
    ngx_http_stoa_mcp_t *mcp);
/* A session at an upstream, by its key in the map, was opened. */
void ngx_http_stoa_mcp_get_poke(uint64_t key);
/* For steps: a GET, and subscriptions/listen, end here. */
ngx_int_t ngx_http_stoa_mcp_listen(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);
ngx_int_t ngx_http_stoa_mcp_get(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx);


/* ---- _mcp_answer.c ----------------------------------------------------- */

/* {"jsonrpc":"2.0","id":...,"result":{ */
void ngx_http_stoa_mcp_answer_head(stoa_buf_t *b, ngx_http_stoa_mcp_t *mcp);
/* Lets the content phase send this chain with this status. */
ngx_int_t ngx_http_stoa_mcp_answer(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_uint_t status, ngx_chain_t *out);
/* Sends it, with the status of r->headers_out: as an output filter. */
ngx_int_t ngx_http_stoa_mcp_send(ngx_http_request_t *r, ngx_chain_t *out);
/* The same with 200 and a copy of this text, whose buffer is freed. */
ngx_int_t ngx_http_stoa_mcp_answer_buf(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, stoa_buf_t *b);
/* As ngx_http_stoa_refuse(), but an error that MCP answers with 200 is sent as
 * an answer. */
ngx_int_t ngx_http_stoa_mcp_refuse(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, ngx_http_stoa_refuse_e what,
    ngx_str_t *detail);
/* The id of the message as JSON text ("null" without one). */
ngx_str_t ngx_http_stoa_mcp_id(ngx_http_stoa_mcp_t *mcp);
/* The edge's answers(). */
ngx_uint_t ngx_http_stoa_mcp_answers(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_refusal_t *row);
/* The body of a refusal: a JSON-RPC error. */
ngx_int_t ngx_http_stoa_mcp_error(ngx_http_request_t *r,
    ngx_http_stoa_ctx_t *ctx, const ngx_http_stoa_refusal_t *row,
    ngx_str_t *type, ngx_str_t *body);


/* ---- _mcp.c ------------------------------------------------------------ */

extern const ngx_http_stoa_edge_t  ngx_http_stoa_mcp_edge;

/* What another worker says (net/_door.c). */
void ngx_http_stoa_mcp_came(const u_char *p, size_t len, int fd);


#endif /* NGX_HTTP_STOA_MCP_H */
