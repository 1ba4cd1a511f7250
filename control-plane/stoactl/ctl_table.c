/*
 * The table of the commands.
 */

#include "stoactl.h"


static const ctl_opt_t  ctl_opts_apply[] = {
    { "file", 'f', "FILE", NULL, "another file, directory or -", true },
    { "dry-run", 0, NULL, NULL, "check and show, change nothing", false },
    { "prune", 0, NULL, NULL,
      "delete what the documents' tenants have and the documents lack",
      false },
    { "max-delete", 0, "N", NULL,
      "refuse to prune more than this many (default 10)", false },
    { "new", 0, NULL, NULL, "refuse what is there already", false },
    { "wait", 0, "DURATION", NULL,
      "wait until all online gateways have it", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_diff[] = {
    { "file", 'f', "FILE", NULL, "another file, directory or -", true },
    { "prune", 0, NULL, NULL, "show what --prune would delete, too", false },
    { "max-delete", 0, "N", NULL, "as of apply", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_dump[] = {
    { "all", 0, NULL, NULL, "of all tenants", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_event[] = {
    { "api", 0, "API", NULL, "the api, for what belongs to one", false },
    { "application", 0, "APPLICATION", NULL,
      "the application, for credentials", false },
    CTL_WAIT_OPTIONS,
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_write[] = {
    CTL_WAIT_OPTIONS,
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_purge[] = {
    { "all", 0, NULL, NULL, "everything of the api", false },
    CTL_WAIT_OPTIONS,
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_decide[] = {
    { "reason", 0, "TEXT", NULL, "why; the other side sees it", false },
    CTL_WAIT_OPTIONS,
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_delete[] = {
    { "api", 0, "API", NULL, "the api, for what belongs to one", false },
    { "application", 0, "APPLICATION", NULL,
      "the application, for credentials", false },
    { "force", 0, NULL, NULL, "with the subscriptions that use it", false },
    CTL_WAIT_OPTIONS,
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_get[] = {
    { "api", 0, "API", NULL, "the api, for what belongs to one", false },
    { "application", 0, "APPLICATION", NULL,
      "the application, for credentials", false },
    { "filter", 0, "FIELD=VALUE", NULL, "only rows that have it", false },
    { "all-tenants", 'A', NULL, NULL, "of all tenants", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_names[] = {
    { "api", 0, "API", NULL, "the api, for what belongs to one", false },
    { "application", 0, "APPLICATION", NULL,
      "the application, for credentials", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_wait[] = {
    { "for", 0, "STATE", "in-sync online discovered",
      "gateway: in-sync (default), online; api: discovered", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_key_create[] = {
    { "env", 0, "ENV", NULL, "2 to 8 letters in the key (default live)",
      false },
    { "title", 0, "TEXT", NULL, "what it is for", false },
    { "expires-at", 0, "TIME", NULL,
      "RFC 3339, or a duration from now: 90d; default: never", false },
    CTL_SECRET_OPTION,
    CTL_WAIT_OPTIONS,
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_key_rotate[] = {
    { "grace", 0, "DURATION", NULL,
      "how long the old key still works (default 1d, at most 30d)", false },
    { "expires-at", 0, "TIME", NULL,
      "of the successor: RFC 3339, or a duration from now; default: as the "
      "old one", false },
    CTL_SECRET_OPTION,
    CTL_WAIT_OPTIONS,
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_gateway_create[] = {
    { "group", 0, "GROUP", NULL, "gateway group (default: default)", false },
    { "title", 0, "TEXT", NULL, "what it is for", false },
    CTL_SECRET_OPTION,
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_login[] = {
    { "user", 0, "NAME", NULL, "name, or mail, with a password; without it at"
      " the provider of identities", false },
    { "password-file", 0, "FILE", NULL, "instead of asking; - is the standard"
      " input", false },
    { "new-password-file", 0, "FILE", NULL,
      "the password from now on, where the server wants another one", false },
    { "code", 0, "CODE", NULL, "of the authenticator, or to recover", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_invite[] = {
    { "role", 0, "ROLE", NULL, "what the person may do (default viewer)",
      false },
    { "expires-at", 0, "TIME", NULL,
      "RFC 3339, or a duration from now (default 7d, at most 30d)", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_reset[] = {
    { "second-factor", 0, NULL, NULL, "take the second factor away, too",
      false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_token_create[] = {
    { "role", 0, "ROLE", NULL,
      "what it may do: platform-admin, tenant-admin, devops, developer, "
      "auditor, viewer (default), or a role of the tenant's own", false },
    { "expires-at", 0, "TIME", NULL,
      "RFC 3339, or a duration from now: 90d; default: never", false },
    { "title", 0, "TEXT", NULL, "what it is for", false },
    CTL_SECRET_OPTION,
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_can_i[] = {
    { "user", 0, "USER", NULL, "somebody else, by the roles that he holds",
      false },
    { NULL, 0, NULL, NULL, NULL, false }
};

#define CTL_PASSPHRASE_OPTION                                                 \
    { "passphrase-file", 0, "FILE", NULL,                                     \
      "its first line, 12 bytes or more", false }

static const ctl_opt_t  ctl_opts_export[] = {
    CTL_PASSPHRASE_OPTION,
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_tenant_import[] = {
    { "name", 0, "NAME", NULL, "of the new tenant (default: its old one)",
      false },
    CTL_PASSPHRASE_OPTION,
    CTL_WAIT_OPTIONS,
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_audit[] = {
    { "since", 0, "TIME", NULL, "RFC 3339, or a duration ago: 24h", false },
    { "limit", 0, "N", NULL, "at most so many events (default 100)", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_audit_verify[] = {
    { "checkpoint", 0, "FILE", NULL, "printed by stoactl audit checkpoint",
      false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_audit_export[] = {
    { "since", 0, "TIME", NULL, "RFC 3339, or a duration ago: 24h", false },
    { "csv", 0, NULL, NULL, "as CSV", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_audit_checkpoint[] = {
    { "last", 0, NULL, NULL, "print the last one, make none", false },
    { "accept", 0, NULL, NULL,
      "sign it though it is not what was signed before: the database was put "
      "back from a copy", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_usage[] = {
    { "from", 0, "TIME", NULL,
      "RFC 3339, a date, or a duration ago (default 24h)", false },
    { "to", 0, "TIME", NULL, "RFC 3339, a date, or a duration ago", false },
    { "by", 0, "FIELDS", NULL,
      "application,api,operation,tool,subscription,refused,model,credential,"
      "tenant,status (default application,api)",
      false },
    { "step", 0, "STEP", "minute hour day", "a row per step", false },
    { "zone", 0, "ZONE", NULL,
      "of dates, hours and days: UTC, +05:30, Europe/Paris", false },
    { "api", 0, "API", NULL, "only this one", false },
    { "application", 0, "APPLICATION", NULL, "only this one", false },
    { "status", 0, "CLASS", "2xx 3xx 4xx 5xx", "only these", false },
    { "model", 0, "MODEL", NULL, "only this one, of language", false },
    { "csv", 0, NULL, NULL, "print all of it as CSV", false },
    { "all-tenants", 'A', NULL, NULL, "of all tenants", false },
    { "side", 0, "SIDE", "published consumed",
      "what others called here, or what the tenant's applications called; "
      "default: both", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_effective[] = {
    { "api", 0, "API", NULL, "calls of this api", false },
    { "operation", 0, "OPERATION", NULL, "... of this operation of it",
      false },
    { "tool", 0, "TOOL", NULL, "... of this tool of it", false },
    { "server", 0, "SERVER", NULL, "at the MCP endpoint of this server",
      false },
    { "plan", 0, "PLAN", NULL, "on subscriptions with this plan", false },
    { "application", 0, "APPLICATION", NULL, "by this application", false },
    { "group", 0, "GROUP", NULL, "at gateways of this group", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_approvals[] = {
    { "state", 0, "STATE", "pending approved denied used expired all",
      "only these (default pending)", false },
    { "all-tenants", 'A', NULL, NULL, "of all tenants", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_approval[] = {
    { "reason", 0, "TEXT", NULL, "why; the caller is told", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_inbox[] = {
    { "kind", 0, "KIND", "subscription approval tool prompt resource template",
      "only these", false },
    { "all-tenants", 'A', NULL, NULL, "of all tenants", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_bulk[] = {
    { "reason", 0, "TEXT", NULL, "why; the other side sees it", false },
    { "filter", 0, "FIELD=VALUE,...", NULL, "all that have these", false },
    { "expect", 0, "N", NULL, "with --filter: do it if there are so many",
      false },
    { "upto", 0, "ID", NULL, "leave out what came after this one", false },
    CTL_WAIT_OPTIONS,
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_notices[] = {
    { "unread", 0, NULL, NULL, "only those that were not read", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_notice_read[] = {
    { "all", 0, NULL, NULL, "all that there are now", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_mails[] = {
    { "state", 0, "STATE", "waiting sent failed", "only these", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_search[] = {
    { "kind", 0, "KIND", "rest mcp server", "only these", false },
    { "tag", 0, "TAG", NULL, "only what has it", false },
    { "category", 0, "CATEGORY", NULL, "only what is in it", false },
    { "of", 0, "TENANT", NULL, "only what this tenant offers", false },
    { "limit", 0, "N", NULL, "at most so many (default 100)", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_promote[] = {
    { "target", 0, "API", NULL,
      "the api there (default: the api's name, - and the group's)", false },
    { "reason", 0, "TEXT", NULL, "why", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_handover[] = {
    { "user", 0, "NAME", NULL, "a user at the provider of identities", false },
    { "client", 0, "ID", NULL, "or a client there", false },
    { "group", 0, "PATH", NULL, "in which the user has to be", false },
    { "reason", 0, "TEXT", NULL, "why", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_set_upgrade[] = {
    { "version", 0, "N", NULL, "of the template (default: its newest)",
      false },
    { "dry-run", 0, NULL, NULL, "tell what would change, change nothing",
      false },
    CTL_WAIT_OPTIONS,
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_set_restore[] = {
    { "dry-run", 0, NULL, NULL, "tell what has drifted, change nothing",
      false },
    CTL_WAIT_OPTIONS,
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_dependents[] = {
    { "api", 0, "API", NULL, "the api, for operations", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_import[] = {
    { "dry-run", 0, NULL, NULL, "check and show, change nothing", false },
    { "operations", 0, "HOW", "replace add none",
      "make the api's operations those of the document, take none away, or "
      "leave them alone (default replace)", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_context[] = {
    { "use", 0, NULL, NULL, "make it the current one", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_explain[] = {
    { "markdown", 0, NULL, NULL, "all kinds, as docs/reference.md", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_request[] = {
    { "file", 'f', "FILE", NULL, "the body, - is standard input", false },
    { "type", 0, "TYPE", NULL,
      "of the body (default application/yaml, which JSON is too)", false },
    { NULL, 0, NULL, NULL, NULL, false }
};

static const ctl_opt_t  ctl_opts_help[] = {
    { "man", 0, NULL, NULL, "the manual, as stoactl(1)", false },
    { "markdown", 0, NULL, NULL, "all commands, as docs/stoactl.md", false },
    { NULL, 0, NULL, NULL, NULL, false }
};


const ctl_cmd_t  ctl_table[] = {

    { "apply", "FILE...", ctl_opts_apply,
      "make the control plane hold what the files say",
      "All documents of all files are one transaction. A directory stands for "
      "its *.yaml, *.yml and *.json files; - is the standard input. What a "
      "document looks like: stoactl dump; its fields: stoactl explain.\n"
      "Example: stoactl apply conf/demo.yaml --wait 10s",
      ctl_run_apply, NULL, NULL },

    { "diff", "FILE...", ctl_opts_diff,
      "show what apply would change",
      "Exit code 2 when there are differences.",
      ctl_run_diff, NULL, NULL },

    { "dump", "", ctl_opts_dump,
      "print the configuration as documents",
      "Applying a dump changes nothing. Keys and tokens are never in it.",
      ctl_run_dump, NULL, NULL },

    { "tenant export", "TENANT", ctl_opts_export,
      "print all of a tenant, to be imported elsewhere",
      "With a passphrase the values of secrets and the digests of keys are in "
      "it, sealed; without one an apply takes it. "
      "Example: stoactl tenant export acme --passphrase-file p > acme.yaml",
      ctl_run_tenant_export, NULL, NULL },

    { "tenant import", "FILE", ctl_opts_tenant_import,
      "make a tenant of an export",
      "Example: stoactl tenant import acme.yaml --name acme-2 "
      "--passphrase-file p",
      ctl_run_tenant_import, NULL, NULL },

    { "get", "KIND [NAME]", ctl_opts_get,
      "list resources, or show one",
      "Example: stoactl get tools --api orders -o yaml",
      ctl_run_get, NULL, NULL },

    { "names", "KIND", ctl_opts_names,
      "print the names of resources, one a line",
      "For completion in shells: at most the first 500.",
      ctl_run_names, NULL, NULL },

    { "explain", "[KIND[.FIELD]]", ctl_opts_explain,
      "show the fields of a kind: type, bounds, default, meaning",
      "Without a kind: what kinds there are, and types of policies.\n"
      "Example: stoactl explain api.upstream\n"
      "Example: stoactl explain policy-config-cors",
      ctl_run_explain, NULL, NULL },

    { "delete", "KIND NAME...", ctl_opts_delete,
      "delete resources", NULL,
      ctl_run_delete, NULL, NULL },

    { "event", "KIND NAME EVENT", ctl_opts_event,
      "move a resource to another state: publish, suspend, resume ...",
      "Example: stoactl event api orders publish",
      ctl_run_event, NULL, NULL },

    { "discover", "API", NULL,
      "read the tools of an MCP server now", NULL,
      ctl_run_discover, NULL, NULL },

    { "purge", "API [WHAT...]", ctl_opts_purge,
      "make all gateways forget kept answers of an api: paths, prefixes with "
      "* behind, tags",
      "Example: stoactl purge orders /orders/7 '/shop/*' sku-7 --wait 5s\n"
      "Example: stoactl purge orders --all",
      ctl_run_purge, NULL, NULL },

    { "wait", "gateway|rev|api NAME", ctl_opts_wait,
      "wait for a gateway, for a revision at all online gateways, or for an "
      "api's discovery",
      "Example: stoactl wait gateway edge-1 --for in-sync --timeout 30s\n"
      "Example: stoactl wait rev 120\n"
      "Example: stoactl wait api orders --for discovered",
      ctl_run_wait, NULL, NULL },

    { "key create", "APPLICATION", ctl_opts_key_create,
      "make an API key; it is shown only now",
      "Example: KEY=$(stoactl key create demo -o key)",
      ctl_run_key_create, NULL, "key" },

    { "key rotate", "KEY [ID]", ctl_opts_key_rotate,
      "make a successor of a key; the old one works on for a while",
      "KEY is as in key revoke. The successor ends when the old one would "
      "have, unless --expires-at says otherwise.\n"
      "Example: stoactl key rotate stoa_live_01m8dwa2jvd1gb4p --grace 1h",
      ctl_run_key_rotate, NULL, "key" },

    { "key revoke", "KEY [ID]", ctl_opts_write,
      "end a key at once",
      "KEY is the key itself, its prefix or its id, - reads it from the "
      "standard input; or an application, and ID one of its keys.\n"
      "Example: stoactl key revoke stoa_live_01m8dwa2jvd1gb4p",
      ctl_run_key_revoke, NULL, NULL },

    { "key find", "KEY", NULL,
      "show whose a key is",
      "KEY is the key itself, its prefix, its id or its last four characters; "
      "- reads it from the standard input.",
      ctl_run_key_find, NULL, NULL },

    { "key import", "APPLICATION FILE", ctl_opts_write,
      "take over keys that were made elsewhere, by their digests",
      "FILE is a list of at most 1000 in JSON: sha256 (of the whole key, "
      "hexadecimal), prefix, last4, title, expires_at.",
      ctl_run_key_import, NULL, NULL },

    { "key list", "APPLICATION", NULL,
      "list an application's keys", NULL,
      ctl_run_key_list, NULL, NULL },

    { "subscription approve", "SUBSCRIPTION", ctl_opts_decide,
      "let a waiting subscription in",
      "SUBSCRIPTION is an id, or APPLICATION/API, or APPLICATION/SERVER, also "
      "with the application's tenant before it: TENANT/APPLICATION/API.",
      ctl_run_subscription, "approve", NULL },

    { "subscription reject", "SUBSCRIPTION", ctl_opts_decide,
      "turn a waiting subscription down", NULL,
      ctl_run_subscription, "reject", NULL },

    { "subscription suspend", "SUBSCRIPTION", ctl_opts_decide,
      "stop a subscription for now", NULL,
      ctl_run_subscription, "suspend", NULL },

    { "subscription resume", "SUBSCRIPTION", ctl_opts_decide,
      "let a suspended subscription in again", NULL,
      ctl_run_subscription, "resume", NULL },

    { "subscription revoke", "SUBSCRIPTION", ctl_opts_decide,
      "end a subscription for good", NULL,
      ctl_run_subscription, "revoke", NULL },

    { "search", "[WORD...]", ctl_opts_search,
      "look for apis and servers, the own and what others show",
      "Example: stoactl search parcel track --tag beta",
      ctl_run_search, NULL, NULL },

    { "promote", "API GATEWAY-GROUP", ctl_opts_promote,
      "ask that an api becomes that at gateways of another group",
      "Somebody else approves it: stoactl event promotion ID approve; also "
      "reject, withdraw, rollback.\n"
      "Example: stoactl promote orders prod --reason \"release 12\"",
      ctl_run_promote, NULL, NULL },

    { "handover", "APPLICATION", ctl_opts_handover,
      "ask that an application becomes somebody else's",
      "That one says yes, or who may tie applications, and not who asked: "
      "stoactl event handover ID accept; also decline, withdraw.\n"
      "Example: stoactl handover billing --user ann --reason \"joe left\"",
      ctl_run_handover, NULL, NULL },

    { "dependents", "KIND NAME", ctl_opts_dependents,
      "show what a deletion would take along, needs --force for, or is "
      "refused for",
      "Example: stoactl dependents api orders",
      ctl_run_dependents, NULL, NULL },

    { "document import", "API FILE", ctl_opts_import,
      "import an OpenAPI document, and make operations of it",
      "Example: stoactl document import orders openapi.yaml --dry-run",
      ctl_run_document_import, NULL, NULL },

    { "document list", "API", NULL,
      "list the OpenAPI documents of an api", NULL,
      ctl_run_document_list, NULL, NULL },

    { "document get", "API [NUMBER]", NULL,
      "print an OpenAPI document as it was imported, the newest if no other",
      NULL,
      ctl_run_document_get, NULL, NULL },

    { "document diff", "API FROM [TO]", NULL,
      "show what one document changes in another, and what that breaks",
      "Exit code 2 when something breaks.\n"
      "Example: stoactl document diff orders 3",
      ctl_run_document_diff, NULL, NULL },

    { "document lint", "FILE", NULL,
      "validate and lint an OpenAPI document, keep nothing",
      "Exit code 2 when a finding is an error.",
      ctl_run_document_lint, NULL, NULL },

    { "subscription preview", "SUBSCRIPTION PLAN", NULL,
      "show what another plan would change", NULL,
      ctl_run_preview, NULL, NULL },

    { "subscription transfer", "SUBSCRIPTION APPLICATION", ctl_opts_write,
      "move it to another application of its tenant", NULL,
      ctl_run_transfer, NULL, NULL },

    { "offers", "", NULL,
      "list the plans of other tenants whose apis the tenant sees", NULL,
      ctl_run_offers, NULL, NULL },

    { "opa try", "BUNDLE RULE [INPUT]", NULL,
      "evaluate a rule of a bundle on an input, keep nothing",
      "INPUT is a file with JSON, - is standard input; without one it is an "
      "empty object.  The control plane needs opa_binary.\n"
      "Example: stoactl opa try shop shop/authz/decision call.json",
      ctl_run_opa_try, NULL, NULL },

    { "approval list", "", ctl_opts_approvals,
      "list the calls of tools that wait for an approval", NULL,
      ctl_run_approval_list, NULL, NULL },

    { "approval show", "APPROVAL", NULL,
      "show one, with the arguments of the call", NULL,
      ctl_run_approval_show, NULL, NULL },

    { "approval approve", "APPROVAL", ctl_opts_approval,
      "let the call pass, once",
      "Example: stoactl approval approve 01m8dwa2jvd1gb4p --reason \"as "
      "agreed\"",
      ctl_run_approval, "approve", NULL },

    { "approval deny", "APPROVAL", ctl_opts_approval,
      "turn the call down, also one that was approved and has not passed yet",
      NULL,
      ctl_run_approval, "deny", NULL },

    { "gateway status", "[GATEWAY]", NULL,
      "show the gateways, what they hold, why they are behind, what they "
      "refused", NULL,
      ctl_run_gateway_status, NULL, NULL },

    { "gateway create", "NAME", ctl_opts_gateway_create,
      "register a gateway; its token is shown only now",
      "Example: stoactl gateway create edge-1 --output-file gateway.token",
      ctl_run_gateway_create, NULL, "token" },

    { "gateway delete", "GATEWAY", NULL,
      "forget a gateway; its token ends", NULL,
      ctl_run_gateway_delete, NULL, NULL },

    { "login", "", ctl_opts_login,
      "log in as a person",
      "The session is kept in the context (0600), and is used where no token "
      "is given. What the server asks for and no option has is asked for on "
      "the terminal. Without --user the login is at the server's provider of "
      "identities: a code is shown, to be typed in any browser; tokens are "
      "kept in place of a session, and asked for anew when they end.\n"
      "Example: stoactl login --url https://stoa.example\n"
      "Example: stoactl login --url https://stoa.example --user admin",
      ctl_run_login, NULL, NULL },

    { "logout", "", NULL,
      "end the login of the context", NULL,
      ctl_run_logout, NULL, NULL },

    { "users list", "", NULL,
      "list people, with --tenant those of a tenant", NULL,
      ctl_run_users_list, NULL, NULL },

    { "users invite", "MAIL", ctl_opts_invite,
      "invite somebody; the link is mailed, or shown only now",
      "Example: stoactl users invite jay@example.org --tenant acme --role "
      "developer",
      ctl_run_users_invite, NULL, NULL },

    { "users disable", "USER", NULL,
      "end a person's sessions and let him in no more", NULL,
      ctl_run_users_event, "disable", NULL },

    { "users enable", "USER", NULL,
      "let a person in again", NULL,
      ctl_run_users_event, "enable", NULL },

    { "users reset", "USER", ctl_opts_reset,
      "end a person's sessions and password; the link to choose another one "
      "is mailed, or shown only now", NULL,
      ctl_run_users_event, "reset", NULL },

    { "token create", "NAME", ctl_opts_token_create,
      "make an admin token; it is shown only now",
      "Example: stoactl token create ci --role tenant-admin --tenant acme",
      ctl_run_token_create, NULL, "token" },

    { "token list", "", NULL,
      "list the admin tokens", NULL,
      ctl_run_token_list, NULL, NULL },

    { "token revoke", "ADMIN-TOKEN", ctl_opts_write,
      "end an admin token", NULL,
      ctl_run_token_revoke, NULL, NULL },

    { "inbox", "", ctl_opts_inbox,
      "list what waits for a decision", NULL,
      ctl_run_inbox, NULL, NULL },

    { "bulk", "KIND EVENT [ID...]", ctl_opts_bulk,
      "one event for many subscriptions, credentials or approvals",
      "Each is judged by itself; exit code 1 when one fails.\n"
      "Example: stoactl bulk subscriptions approve --filter "
      "state=pending,target_tenant=acme --expect 120",
      ctl_run_bulk, NULL, NULL },

    { "notice list", "", ctl_opts_notices,
      "list what the tenants are told: ends that come near, what was decided",
      NULL, ctl_run_notice_list, NULL, NULL },

    { "notice read", "[NOTICE...]", ctl_opts_notice_read,
      "mark notices as read", NULL,
      ctl_run_notice_read, NULL, NULL },

    { "identity", "", NULL,
      "show whether the provider of identities answers, and how old what is "
      "known of the owners of applications is", NULL,
      ctl_run_identity, NULL, NULL },

    { "mail list", "", ctl_opts_mails,
      "list the mails that wait, and what became of the others", NULL,
      ctl_run_mail_list, NULL, NULL },

    { "mail test", "ADDRESS", NULL,
      "send a mail, to see that mail works", NULL,
      ctl_run_mail_test, NULL, NULL },

    { "audit list", "", ctl_opts_audit,
      "show who changed what",
      "Example: stoactl audit list --since 24h",
      ctl_run_audit_list, NULL, NULL },

    { "audit verify", "", ctl_opts_audit_verify,
      "check the hash chains and checkpoints of the audit log",
      "Exit code 1 when something was changed, or when the log has not what "
      "the file of --checkpoint says.",
      ctl_run_audit_verify, NULL, NULL },

    { "audit export", "", ctl_opts_audit_export,
      "print the audit log, oldest first, as NDJSON or CSV",
      "Example: stoactl audit export --since 90d --csv >audit.csv",
      ctl_run_audit_export, NULL, NULL },

    { "audit checkpoint", "", ctl_opts_audit_checkpoint,
      "sign what the audit log has now, and print it",
      "Keep it where the control plane's machine does not reach: "
      "stoactl audit verify --checkpoint FILE says whether the log still has "
      "it.",
      ctl_run_audit_checkpoint, NULL, NULL },

    { "audit erase", "PERSON", NULL,
      "erase what the audit log says of a person, for good",
      "PERSON is the id of a user who was deleted. His key is destroyed: the "
      "chains stay whole, nobody reads his name, mail or address again.",
      ctl_run_audit_erase, NULL, NULL },

    { "effective-policies", "", ctl_opts_effective,
      "show which policies apply to a call, in the order in which they run",
      "Example: stoactl effective-policies --api orders --plan gold",
      ctl_run_effective, NULL, NULL },

    { "policy-set upgrade", "POLICY-SET [NAME=VALUE...]",
      ctl_opts_set_upgrade,
      "make a set's policies of another version of its template",
      "NAME=VALUE changes a parameter; VALUE is JSON, or else a text.\n"
      "Example: stoactl policy-set upgrade partner max_age=60 --dry-run",
      ctl_run_policy_set, "upgrade", NULL },

    { "policy-set restore", "POLICY-SET", ctl_opts_set_restore,
      "make a set's policies again what the set says", NULL,
      ctl_run_policy_set, NULL, NULL },

    { "usage", "", ctl_opts_usage,
      "show how much was called",
      "Example: stoactl usage --from 7d --by application,refused",
      ctl_run_usage, NULL, NULL },

    { "quota", "WHOSE", NULL,
      "show what is left of the day's and the month's quotas",
      "Of an application, or of a subscription: [TENANT/]APPLICATION/API, "
      "or its id. By what gateways have reported.",
      ctl_run_quota, NULL, NULL },

    { "trace", "[REQUEST-ID]", ctl_opts_trace,
      "show why a call was refused, while a gateway keeps it; or the last",
      "The id is in the refusal, and in X-Request-Id. Of calls from the "
      "tenant and to it. Examples: stoactl trace 5c2f... -t acme, "
      "stoactl trace --follow --status 4xx -t acme",
      ctl_run_trace, NULL, NULL },

    { "why", "METHOD URL [HEADER...]", ctl_opts_why,
      "show what would become of a call, without making it",
      "Its steps and policies, with what is left of each limit; nothing is "
      "counted. Exit code 2 when it would be refused, 1 when only the call "
      "can tell. Example: stoactl why GET /apis/acme/orders/7 --key-file - "
      "-t acme",
      ctl_run_why, NULL, NULL },

    { "whoami", "", NULL,
      "show what the token is and may do", NULL,
      ctl_run_whoami, NULL, NULL },

    { "auth can-i", "VERB KIND", ctl_opts_can_i,
      "say whether the token, or somebody, may do that, and where",
      "VERB is list, get, create, update, delete or an event; -t names a "
      "tenant. Exit code 2 when it may not. "
      "Example: stoactl auth can-i publish api -t acme",
      ctl_run_can_i, NULL, NULL },

    { "config get-contexts", "", NULL,
      "list the contexts of the configuration file",
      "The file is $STOA_CONFIG, or ~/.config/stoa/config.yaml.",
      ctl_run_config_get, NULL, NULL },

    { "config use-context", "CONTEXT", NULL,
      "make a context the current one", NULL,
      ctl_run_config_use, NULL, NULL },

    { "config set-context", "NAME", ctl_opts_context,
      "write a context: --url, --token or --token-file, --tenant",
      "Example: stoactl config set-context dev --url http://127.0.0.1:8400 "
      "--token-file dev.token --use",
      ctl_run_config_set, NULL, NULL },

    { "completion", "bash|zsh", NULL,
      "print the completion script of a shell",
      "Example: source <(stoactl completion bash)",
      ctl_run_completion, NULL, NULL },

    { "version", "", NULL,
      "print the version of stoactl", NULL,
      ctl_run_version, NULL, NULL },

    { "request", "METHOD PATH", ctl_opts_request,
      "any route of the interface, for what has no command",
      "The answer is printed as it comes; stoactl request GET"
      " /v1/openapi.json says which routes there are.\n"
      "Example: stoactl request POST /v1/tenants/acme/policies/size/versions"
      "/3/restore",
      ctl_run_request, NULL, NULL },

    { "help", "[COMMAND...]", ctl_opts_help,
      "explain a command", NULL,
      ctl_run_help, NULL, NULL },

    { NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL }
};
