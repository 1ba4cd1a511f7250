/*
 * stoactl: the command line of the control plane.  A thin client: everything
 * goes through the REST interface, nothing is decided here.
 *
 * Process: stoactl, one thread, one command, then exit.
 * Memory: one arena for the whole run, freed at the end.
 * Limits: an answer CTL_ANSWER_MAX, a file CTL_FILE_MAX, a list
 * CTL_ITEMS_MAX rows.
 *
 * A command is a row of the table in ctl_table.c: parsing, checks, --help,
 * completion and docs/stoactl.md all come from it.
 */

#ifndef STOACTL_H
#define STOACTL_H


#include "base/cp_json.h"


#define CTL_ARENA_MAX   (512 * 1024 * 1024)
#define CTL_ANSWER_MAX  (128 * 1024 * 1024)
#define CTL_FILE_MAX    (32 * 1024 * 1024)
#define CTL_ITEMS_MAX   100000
#define CTL_PAGE        500
#define CTL_WAIT_MS     10000
#define CTL_ARGS_MAX    1024
#define CTL_OPTS_MAX    24

/* The exit codes; a function that can fail returns one. */
typedef enum {
    CTL_DONE = 0,
    CTL_FAILED = 1,                /* usage, network, files, 5xx           */
    CTL_DIFFERENT = 2,
    CTL_REJECTED = 3,              /* the server answered 4xx               */
    CTL_TIMEOUT = 4,
    CTL_UNSERVED = 5               /* done, but a gateway refuses it        */
} ctl_exit_e;

#define CTL_MUST_CHECK  __attribute__((warn_unused_result))


typedef struct ctl_s  ctl_t;

typedef struct {
    const char  *name;             /* "max-delete"                          */
    char         letter;           /* 0: none                               */
    const char  *arg;              /* "N"; NULL: a switch                   */
    const char  *values;           /* "table json yaml"; NULL: free         */
    const char  *help;
    bool         is_arg;           /* its value counts as an argument       */
} ctl_opt_t;

typedef struct {
    const char       *name;        /* "key create"                          */
    const char       *args;        /* "KIND [NAME]", "FILE...", "a|b"       */
    const ctl_opt_t  *options;     /* NULL name ends; NULL: none            */
    const char       *help;        /* one line                              */
    const char       *more;        /* paragraphs and examples, may be NULL  */
    ctl_exit_e      (*run)(ctl_t *c);
    const void       *data;        /* for the run function                  */
    const char       *secret;      /* "key", "token": what -o may ask for   */
} ctl_cmd_t;

typedef struct {
    const char  *kind;             /* "api"                                 */
    const char  *plural;
    const char  *path;             /* "/v1/tenants/{tenant}/apis"           */
    const char  *columns;          /* "name state discovery.state"          */
    bool         by_id;
} ctl_kind_t;

typedef enum { CTL_OUT_TABLE, CTL_OUT_JSON, CTL_OUT_YAML, CTL_OUT_KEY,
    CTL_OUT_TOKEN } ctl_out_e;

struct ctl_s {
    cp_arena_t       *arena;
    const ctl_cmd_t  *cmd;
    const char       *arg[CTL_ARGS_MAX];
    unsigned          narg;
    const char       *global[CTL_OPTS_MAX];   /* by row; a switch is ""     */
    const char       *local[CTL_OPTS_MAX];
    bool              help;

    /* what the options, the environment and the context come to            */
    const char       *url;
    const char       *token;
    const char       *session;     /* name=value of the cookie; NULL: none  */
    const cp_json_t  *oidc;        /* what is kept of a login at the provider;
                                      NULL: none, or there is a token       */
    const char       *context;     /* NULL: none is chosen                  */
    const char       *tenant;      /* see ctl_tenant()                      */
    ctl_out_e         out;
    int64_t           timeout_ms;
    bool              verbose;
};


/* ctl_table.c: all commands; for main(), which hands it down. */
extern const ctl_cmd_t   ctl_table[];         /* NULL name ends             */

/* ctl_kinds.c */
extern const ctl_kind_t  ctl_kinds[];
const ctl_kind_t *ctl_kind(const char *name);  /* singular or plural        */

/* ctl_base.c: the table, messages and options. */
extern const ctl_cmd_t  *ctl_commands;        /* ctl_table                  */
extern const ctl_opt_t   ctl_globals[];
const ctl_cmd_t *ctl_command(const char *name, size_t len);
/* CTL_FAILED, so that it can be returned. */
ctl_exit_e ctl_error(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));
/* Text of a server, without what is none for a terminal. */
const char *ctl_clean(ctl_t *c, const char *s);
const char *ctl_opt(ctl_t *c, const char *name);      /* NULL: not given     */
/* "24h": that long from now, sign -1: ago.  Others are passed on as a time. */
ctl_exit_e ctl_time(ctl_t *c, const char *text, int sign, const char **out)
    CTL_MUST_CHECK;
ctl_exit_e ctl_opt_number(ctl_t *c, const char *name, int64_t dflt,
    int64_t *out) CTL_MUST_CHECK;
/* "500ms", "10s", "5m", "2h", "7d", a bare number is seconds. */
ctl_exit_e ctl_opt_duration(ctl_t *c, const char *name, int64_t dflt,
    int64_t *ms) CTL_MUST_CHECK;
const char *ctl_env(const char *name);        /* "" counts as absent        */

/* ctl_guess.c: the candidates one by one, then what is nearest on stderr. */
typedef struct {
    const char  *word;             /* as it was typed                       */
    size_t       len;
    const char  *best;             /* NULL: none is near                    */
    size_t       best_len;
    unsigned     distance;
} ctl_guess_t;

void ctl_guess(ctl_guess_t *g, const char *word, size_t len);
void ctl_guess_tell(const ctl_guess_t *g, const char *before);

/* ctl_file.c */
ctl_exit_e ctl_file_read(ctl_t *c, const char *path, const char **text,
    size_t *len) CTL_MUST_CHECK;               /* "-": stdin                */
ctl_exit_e ctl_file_write_private(const char *path, const char *text,
    size_t len) CTL_MUST_CHECK;                /* 0600, atomically          */
/* May it be written so? */
ctl_exit_e ctl_file_private(const char *path) CTL_MUST_CHECK;
ctl_exit_e ctl_file_list(ctl_t *c, const char *path, const char **names,
    unsigned max, unsigned *n) CTL_MUST_CHECK; /* of a directory, sorted    */

/* ctl_config.c */
/* Fills url, token, tenant. */
ctl_exit_e ctl_config_load(ctl_t *c) CTL_MUST_CHECK;

/* Keeps a session in the context, makes one if there is none; NULL: forgets
 * it. */
ctl_exit_e ctl_config_session(ctl_t *c, const char *session) CTL_MUST_CHECK;
/* The same of a login at the provider, in the place of a session. */
ctl_exit_e ctl_config_oidc(ctl_t *c, const cp_json_t *oidc) CTL_MUST_CHECK;
/* Waits until no other run is at the file, and reads that again; until the
 * lock is closed. */
ctl_exit_e ctl_config_alone(ctl_t *c, const cp_json_t **oidc, int *lock)
    CTL_MUST_CHECK;

/* ctl_http.c */
typedef struct {
    const char  *method;
    const char  *path;             /* with its query                        */
    const char  *body;
    size_t       len;
    const char  *type;             /* of the body                           */
    const char  *accept;
    const char  *idempotency;      /* Idempotency-Key                       */
    const char  *passphrase;       /* of an export                          */
    int64_t      extra_ms;         /* on top of --timeout                   */
    bool         quiet;            /* a 4xx is returned, not printed        */
    bool         foreign;          /* path is a whole URL of somebody else's,
                                      who gets nothing of ours              */
} ctl_call_t;

typedef struct {
    long         status;
    const char  *text;
    size_t       len;
    cp_json_t   *json;             /* NULL when it is none                  */
    const char  *revision;         /* of a write; NULL: none is told        */
    const char  *state;            /* how the gateways took it: acked,
                                      pending, rejected; NULL: not asked    */
    const char  *gateways;         /* "edge-1=acked, ..."                   */
    const char  *away;             /* how many were not waited for          */
} ctl_answer_t;

/* CTL_DONE for 2xx.  Other answers are printed unless quiet. */
ctl_exit_e ctl_call(ctl_t *c, const ctl_call_t *call, ctl_answer_t *answer)
    CTL_MUST_CHECK;
ctl_exit_e ctl_get(ctl_t *c, const char *path, cp_json_t **json)
    CTL_MUST_CHECK;
ctl_exit_e ctl_post(ctl_t *c, const char *path, const cp_json_t *body,
    cp_json_t **json) CTL_MUST_CHECK;
/*
 * Writes that gateways must hear of: the command has CTL_WAIT_OPTIONS.
 * ctl_written() prints the revision and what gateways lack, and says how the
 * command ends.
 */
#define CTL_WAIT_OPTIONS                                                      \
    { "wait", 0, "DURATION", NULL,                                            \
      "wait so long for the online gateways (default 10s)", false },          \
    { "no-wait", 0, NULL, NULL, "do not wait for gateways", false }

ctl_exit_e ctl_write(ctl_t *c, ctl_call_t *call, ctl_answer_t *answer)
    CTL_MUST_CHECK;
ctl_exit_e ctl_write_post(ctl_t *c, const char *path, const cp_json_t *body,
    ctl_answer_t *answer) CTL_MUST_CHECK;
ctl_exit_e ctl_written(ctl_t *c, const ctl_answer_t *answer) CTL_MUST_CHECK;
/* How many gateways were not waited for, where their names are not told. */
void ctl_put_away(int64_t n);

/* The pages of a list as one array of at most max rows. */
ctl_exit_e ctl_list(ctl_t *c, const char *path, unsigned max,
    cp_json_t **items) CTL_MUST_CHECK;
void ctl_problem(ctl_t *c, const ctl_answer_t *answer);
void ctl_http_cleanup(void);
const char *ctl_escape(ctl_t *c, const char *s);      /* for a path segment  */
/* Appends "name=value", if there is one, to a query that may be empty; *path
 * NULL: no memory. */
void ctl_query(ctl_t *c, const char **path, const char *name,
    const char *value);
/* --tenant, the context's, or the one the token is bound to. */
ctl_exit_e ctl_tenant(ctl_t *c, const char **tenant) CTL_MUST_CHECK;
/* The path of a kind, {tenant} and the parent filled in. */
ctl_exit_e ctl_path(ctl_t *c, const ctl_kind_t *kind, const char *parent,
    const char *name, const char **path) CTL_MUST_CHECK;

/* ctl_key.c: a subscription by [TENANT/]APPLICATION/API. */
ctl_exit_e ctl_subscription_id(ctl_t *c, const char *name, const char **id)
    CTL_MUST_CHECK;
/* POST of an event, and its answer. */
ctl_exit_e ctl_event(ctl_t *c, const char *path, const char *event,
    const char *columns);

/*
 * ctl_out.c.  A command that makes a secret has CTL_SECRET_OPTION; main() asks
 * ctl_file_private() about the file before anything is made.
 */
#define CTL_SECRET_OPTION                                                     \
    { "output-file", 0, "FILE", NULL,                                         \
      "write the secret there, for its owner alone (0600)", false }

ctl_exit_e ctl_print(ctl_t *c, const cp_json_t *v, const char *columns);
ctl_exit_e ctl_print_secret(ctl_t *c, const cp_json_t *v, const char *member);
const char *ctl_cell_text(ctl_t *c, const cp_json_t *row, const char *column);

/* ctl_man.c: the exit codes of the table, NULL meaning ends. */
typedef struct {
    int          code;
    const char  *meaning;
} ctl_code_t;

void ctl_man(const ctl_code_t *codes);

/* ctl_trace.c: one trace, with these columns of its steps. */
ctl_exit_e ctl_put_trace(ctl_t *c, const cp_json_t *trace, const char *steps);

/* The commands. */
ctl_exit_e ctl_run_request(ctl_t *c);         /* ctl_request.c              */
ctl_exit_e ctl_run_apply(ctl_t *c);           /* ctl_apply.c                */
ctl_exit_e ctl_run_diff(ctl_t *c);
ctl_exit_e ctl_run_dump(ctl_t *c);
ctl_exit_e ctl_run_get(ctl_t *c);             /* ctl_resource.c             */
ctl_exit_e ctl_run_names(ctl_t *c);
ctl_exit_e ctl_run_explain(ctl_t *c);         /* ctl_explain.c              */
ctl_exit_e ctl_run_delete(ctl_t *c);
ctl_exit_e ctl_run_event(ctl_t *c);
ctl_exit_e ctl_run_wait(ctl_t *c);
ctl_exit_e ctl_run_discover(ctl_t *c);
ctl_exit_e ctl_run_purge(ctl_t *c);
ctl_exit_e ctl_run_key_create(ctl_t *c);      /* ctl_key.c                  */
ctl_exit_e ctl_run_key_rotate(ctl_t *c);
ctl_exit_e ctl_run_key_revoke(ctl_t *c);
ctl_exit_e ctl_run_key_import(ctl_t *c);
ctl_exit_e ctl_run_key_list(ctl_t *c);
ctl_exit_e ctl_run_key_find(ctl_t *c);
ctl_exit_e ctl_run_subscription(ctl_t *c);    /* data: the event            */
ctl_exit_e ctl_run_search(ctl_t *c);          /* ctl_catalogue.c            */
ctl_exit_e ctl_run_promote(ctl_t *c);
ctl_exit_e ctl_run_handover(ctl_t *c);
ctl_exit_e ctl_run_policy_set(ctl_t *c);      /* data: an upgrade           */
ctl_exit_e ctl_run_dependents(ctl_t *c);
ctl_exit_e ctl_run_document_import(ctl_t *c); /* ctl_document.c             */
ctl_exit_e ctl_run_document_list(ctl_t *c);
ctl_exit_e ctl_run_document_get(ctl_t *c);
ctl_exit_e ctl_run_document_diff(ctl_t *c);
ctl_exit_e ctl_run_document_lint(ctl_t *c);
ctl_exit_e ctl_run_opa_try(ctl_t *c);         /* ctl_opa.c                  */
ctl_exit_e ctl_run_approval_list(ctl_t *c);   /* ctl_approval.c             */
ctl_exit_e ctl_run_approval_show(ctl_t *c);
ctl_exit_e ctl_run_approval(ctl_t *c);        /* data: the event            */
ctl_exit_e ctl_run_inbox(ctl_t *c);           /* ctl_inbox.c                */
ctl_exit_e ctl_run_bulk(ctl_t *c);
ctl_exit_e ctl_run_offers(ctl_t *c);
ctl_exit_e ctl_run_preview(ctl_t *c);
ctl_exit_e ctl_run_transfer(ctl_t *c);
ctl_exit_e ctl_run_notice_list(ctl_t *c);
ctl_exit_e ctl_run_notice_read(ctl_t *c);
ctl_exit_e ctl_run_mail_list(ctl_t *c);
ctl_exit_e ctl_run_mail_test(ctl_t *c);
/* ctl_device.c: a login at the provider (RFC 8628), and its end; and a token
 * of it that is good now, into c->token. */
ctl_exit_e ctl_device_login(ctl_t *c);
ctl_exit_e ctl_device_logout(ctl_t *c);
ctl_exit_e ctl_device_token(ctl_t *c) CTL_MUST_CHECK;
ctl_exit_e ctl_run_login(ctl_t *c);           /* ctl_login.c                */
ctl_exit_e ctl_run_logout(ctl_t *c);
ctl_exit_e ctl_run_users_list(ctl_t *c);
ctl_exit_e ctl_run_users_invite(ctl_t *c);
ctl_exit_e ctl_run_users_event(ctl_t *c);     /* data: the event            */
ctl_exit_e ctl_run_identity(ctl_t *c);
ctl_exit_e ctl_run_token_create(ctl_t *c);    /* ctl_key.c                  */
ctl_exit_e ctl_run_token_list(ctl_t *c);
ctl_exit_e ctl_run_token_revoke(ctl_t *c);
ctl_exit_e ctl_run_gateway_status(ctl_t *c);  /* ctl_gateway.c              */
ctl_exit_e ctl_run_gateway_create(ctl_t *c);
ctl_exit_e ctl_run_gateway_delete(ctl_t *c);
ctl_exit_e ctl_run_audit_list(ctl_t *c);      /* ctl_audit.c                */
ctl_exit_e ctl_run_audit_verify(ctl_t *c);
ctl_exit_e ctl_run_audit_export(ctl_t *c);
ctl_exit_e ctl_run_audit_checkpoint(ctl_t *c);
ctl_exit_e ctl_run_audit_erase(ctl_t *c);
ctl_exit_e ctl_run_usage(ctl_t *c);
ctl_exit_e ctl_run_quota(ctl_t *c);
ctl_exit_e ctl_run_effective(ctl_t *c);
ctl_exit_e ctl_run_trace(ctl_t *c);           /* ctl_trace.c                */
ctl_exit_e ctl_run_why(ctl_t *c);             /* ctl_why.c                  */
extern const ctl_opt_t   ctl_opts_why[];
extern const ctl_opt_t   ctl_opts_trace[];
ctl_exit_e ctl_run_whoami(ctl_t *c);
ctl_exit_e ctl_run_can_i(ctl_t *c);
ctl_exit_e ctl_run_tenant_export(ctl_t *c);
ctl_exit_e ctl_run_tenant_import(ctl_t *c);
ctl_exit_e ctl_run_config_get(ctl_t *c);      /* ctl_config.c               */
ctl_exit_e ctl_run_config_use(ctl_t *c);
ctl_exit_e ctl_run_config_set(ctl_t *c);
ctl_exit_e ctl_run_completion(ctl_t *c);      /* ctl_completion.c           */
ctl_exit_e ctl_run_help(ctl_t *c);            /* ctl_help.c                 */
ctl_exit_e ctl_run_version(ctl_t *c);
void ctl_help_command(const ctl_cmd_t *cmd, FILE *out);
void ctl_help_general(FILE *out);
void ctl_help_group(const char *group, FILE *out);


#endif /* STOACTL_H */
