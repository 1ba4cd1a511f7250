/*
 * Options: the table, and its readers for file, environment and flags.
 */

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/cp_conf_opt.h"
#include "base/cp_json.h"


#define CP_CONF_FILE_MAX  (1024 * 1024)


#define cp_opt(name, type, dflt, min, max, values, doc)                       \
    { #name, type, offsetof(cp_conf_t, name), dflt, min, max, values, doc }


static const cp_opt_t  cp_opts[] = {
    cp_opt(listen, CP_OPT_TEXT, "127.0.0.1:8400", 2, 280, NULL,
           "address and port of the REST interface; port 0 picks one"),
    cp_opt(database, CP_OPT_TEXT, "sqlite:stoa-control.db", 8, 2000, NULL,
           "sqlite:PATH or postgresql://user:password@host/name"),
    cp_opt(database_connections, CP_OPT_INT, "8", 2, 64, NULL,
           "connections to the database, half of PostgreSQL's for writing"),
    cp_opt(io_threads, CP_OPT_INT, "2", 1, 64, NULL,
           "threads that read requests and send answers"),
    cp_opt(worker_threads, CP_OPT_INT, "8", 1, 256, NULL,
           "threads that handle requests"),
    cp_opt(connections, CP_OPT_INT, "10000", 10, 200000, NULL,
           "client connections at once"),
    cp_opt(idle_timeout_s, CP_OPT_INT, "75", 1, 3600, NULL,
           "a silent connection is closed after this many seconds"),
    cp_opt(request_timeout_s, CP_OPT_INT, "60", 1, 3600, NULL,
           "how long a request may take to arrive, its head and its body"),
    cp_opt(shutdown_timeout_s, CP_OPT_INT, "10", 0, 600, NULL,
           "how long running requests may take to finish at the end"),
    cp_opt(rate_caller, CP_OPT_INT, "200", 0, 1000000, NULL,
           "requests a second of one caller, ten seconds' worth at once; 0 is "
           "no limit"),
    cp_opt(rate_address, CP_OPT_INT, "400", 0, 1000000, NULL,
           "the same of one address, before it is known who calls"),
    cp_opt(trusted_proxies, CP_OPT_ALLOW, "none", 0, 0, NULL,
           "proxies whose X-Forwarded-For says from where a request is: "
           "addresses, ranges, private, loopback"),
    cp_opt(cors_origins, CP_OPT_TEXT, "", 0, 2000, NULL,
           "pages elsewhere that may use the interface, such as "
           "https://console.example, with spaces between"),
    cp_opt(cors_credentials, CP_OPT_BOOL, "false", 0, 0, NULL,
           "they may do so with a session's cookie, which browsers send "
           "from pages of the same site"),
    cp_opt(tls_certificate, CP_OPT_TEXT, "", 0, 1000, NULL,
           "PEM file with the certificate chain; makes the interface HTTPS"),
    cp_opt(tls_key, CP_OPT_TEXT, "", 0, 1000, NULL,
           "PEM file with its key"),
    cp_opt(pepper_file, CP_OPT_TEXT, "", 0, 1000, NULL,
           "file with the secret that digests of credentials are keyed with"),
    cp_opt(secret_key_file, CP_OPT_TEXT, "", 0, 1000, NULL,
           "file with the key that seals secrets in the database, made when "
           "there is none; when empty PATH.key of SQLite's, "
           "stoa-control.key with PostgreSQL"),
    cp_opt(audit_key_file, CP_OPT_TEXT, "", 0, 1000, NULL,
           "file with the key that signs checkpoints of the audit log, made "
           "when there is none; when empty PATH.audit-key of SQLite's, "
           "stoa-control.audit-key with PostgreSQL"),
    cp_opt(opa_binary, CP_OPT_TEXT, "", 0, 1000, NULL,
           "path of the program opa, by which bundles are checked before they "
           "are kept; when empty they are not"),
    cp_opt(audit_checkpoint_s, CP_OPT_INT, "3600", 1, 86400, NULL,
           "seconds between two checkpoints"),
    cp_opt(audit_kept_d, CP_OPT_INT, "0", 0, 36600, NULL,
           "days for which the audit log is kept, 0 for ever"),
    cp_opt(admin_token_file, CP_OPT_TEXT, "", 0, 1000, NULL,
           "where the first platform-admin token is written when there is "
           "none"),
    cp_opt(admin_user, CP_OPT_TEXT, "admin", 0, 63, NULL,
           "name of the first administrator, made while there are no people; "
           "when empty none is"),
    cp_opt(admin_password_file, CP_OPT_TEXT, "", 0, 1000, NULL,
           "where his first password is written; when empty it is printed, "
           "once"),
    cp_opt(public_url, CP_OPT_TEXT, "", 0, 1000, NULL,
           "where browsers reach the interface, for links and the check of "
           "their Origin; when empty what Host says"),
    cp_opt(session_idle_s, CP_OPT_INT, "1800", 30, 604800, NULL,
           "a login without requests ends after this many seconds"),
    cp_opt(session_max_s, CP_OPT_INT, "43200", 60, 2592000, NULL,
           "every login ends after this many seconds"),
    cp_opt(insecure_cookies, CP_OPT_BOOL, "false", 0, 0, NULL,
           "for development: cookies of logins over plain HTTP, on a "
           "loopback address only"),
    cp_opt(password_hashes, CP_OPT_INT, "2", 1, 64, NULL,
           "passwords checked at once, 19 MiB of memory each"),
    cp_opt(upstream_ca_file, CP_OPT_TEXT, "", 0, 1000, NULL,
           "PEM file with the CAs that discovery verifies MCP servers with; "
           "the system's when empty"),
    cp_opt(oidc_issuer, CP_OPT_TEXT, "", 0, 500, NULL,
           "the OpenID Connect provider whose access tokens are taken: its "
           "issuer, exactly as its tokens say it"),
    cp_opt(oidc_url, CP_OPT_TEXT, "", 0, 500, NULL,
           "where it is reached from here, in place of the issuer"),
    cp_opt(oidc_audience, CP_OPT_TEXT, "", 0, 200, NULL,
           "whom its access tokens have to be made for"),
    cp_opt(oidc_roles_claim, CP_OPT_TEXT, "/realm_access/roles", 0, 200, NULL,
           "the claim, a name or a path, with roles"),
    cp_opt(oidc_groups_claim, CP_OPT_TEXT, "groups", 0, 200, NULL,
           "the claim with groups"),
    cp_opt(oidc_grants, CP_OPT_WORDS, "", 0, 16000, NULL,
           "roles by claims: role:VALUE=ROLE, group:VALUE=TENANT:ROLE, "
           "client:ID=TENANT:ROLE; {tenant} and {role} in a value"),
    cp_opt(oidc_client_id, CP_OPT_TEXT, "", 0, 200, NULL,
           "the client by which people log in there, with a browser; needs "
           "public_url; when empty they do not"),
    cp_opt(oidc_secret_file, CP_OPT_TEXT, "", 0, 1000, NULL,
           "file with its secret"),
    cp_opt(oidc_key_file, CP_OPT_TEXT, "", 0, 1000, NULL,
           "or PEM file with its private key, for private_key_jwt"),
    cp_opt(oidc_key_id, CP_OPT_TEXT, "", 0, 200, NULL,
           "the kid that the provider knows that key by; when empty none"),
    cp_opt(oidc_client_auth, CP_OPT_TEXT, "basic", 1, 5, " basic post ",
           "how the secret is sent: basic, post"),
    cp_opt(oidc_scopes, CP_OPT_TEXT, "openid profile email", 1, 500, NULL,
           "what is asked for at a login"),
    cp_opt(oidc_refresh_s, CP_OPT_INT, "300", 1, 86400, NULL,
           "seconds after which it is asked again for a login in use"),
    cp_opt(oidc_device_client_id, CP_OPT_TEXT, "", 0, 200, NULL,
           "the client of \"stoactl login\" there, without a secret"),
    cp_opt(keycloak_admin_url, CP_OPT_TEXT, "", 0, 500, NULL,
           "the realm in Keycloak's admin API, https://host/admin/realms/NAME;"
           " when empty as the issuer says"),
    cp_opt(keycloak_client_id, CP_OPT_TEXT, "", 0, 200, NULL,
           "the client by whose service account owners of applications are "
           "looked at"),
    cp_opt(keycloak_secret_file, CP_OPT_TEXT, "", 0, 1000, NULL,
           "file with its secret"),
    cp_opt(keycloak_look_ms, CP_OPT_INT, "3000", 200, 10000, NULL,
           "from one look at them to the next"),
    cp_opt(keycloak_groups_client_id, CP_OPT_TEXT, "", 0, 200, NULL,
           "the client by whose service account groups of new tenants are "
           "made"),
    cp_opt(keycloak_groups_secret_file, CP_OPT_TEXT, "", 0, 1000, NULL,
           "file with its secret"),
    cp_opt(keycloak_groups_path, CP_OPT_TEXT, "/tenants", 1, 200, NULL,
           "the group below which they are made"),
    cp_opt(keycloak_admin_role, CP_OPT_TEXT, "administrator", 0, 200, NULL,
           "the realm's role that the group of tenant-admins gets"),
    cp_opt(provision_attempts, CP_OPT_INT, "60", 1, 10000, NULL,
           "how often a step of a tenant's provisioning, or the removal of a "
           "deleted one's groups, is tried before it has failed"),
    cp_opt(outbound_allow, CP_OPT_ALLOW, "none", 0, 0, NULL,
           "addresses beside public ones that tenants may have asked: ranges "
           "such as 10.1.0.0/16, private, loopback"),
    cp_opt(tenant_limits, CP_OPT_TEXT, "", 0, 1000, NULL,
           "how much a tenant may have that has no limits of its own, such "
           "as \"api=200 application=1000\"; no limit when empty or 0"),
    cp_opt(smtp_url, CP_OPT_TEXT, "", 0, 1000, NULL,
           "mail server, smtp://host:587 or smtps://host; no mail when empty"),
    cp_opt(smtp_from, CP_OPT_TEXT, "", 0, 254, NULL,
           "address that mails are sent from"),
    cp_opt(smtp_auth_file, CP_OPT_TEXT, "", 0, 1000, NULL,
           "file with user:password for the mail server"),
    cp_opt(smtp_tls, CP_OPT_TEXT, "required", 1, 10, " required none ",
           "of smtp://: required, by STARTTLS, or none"),
    cp_opt(smtp_ca_file, CP_OPT_TEXT, "", 0, 1000, NULL,
           "PEM file with the CAs of the mail server; the system's when "
           "empty"),
    cp_opt(leak_keys, CP_OPT_TEXT, "", 0, 1000, NULL,
           "file or URL with the public keys of who reports leaked keys"),
    cp_opt(leak_action, CP_OPT_TEXT, "revoke", 1, 10, " revoke tell ",
           "what becomes of a key that was found in public: revoke or tell"),
    cp_opt(log_level, CP_OPT_TEXT, "info", 1, 10, " debug info warn error ",
           "debug, info, warn or error"),
    cp_opt(log_format, CP_OPT_TEXT, "text", 1, 10, " text json ",
           "text or json"),
    cp_opt(access_log, CP_OPT_BOOL, "true", 0, 0, NULL,
           "one line per request"),
    cp_opt(usage_minutes_kept_d, CP_OPT_INT, "14", 2, 90, NULL,
           "days for which usage is kept by the minute"),
    cp_opt(usage_quarters_kept_d, CP_OPT_INT, "400", 62, 1100, NULL,
           "days for which it is kept by the quarter of an hour"),
    cp_opt(usage_days_kept_d, CP_OPT_INT, "1830", 62, 36600, NULL,
           "days for which it is kept by the day (UTC)")
};

#define CP_OPTS  (sizeof(cp_opts) / sizeof(cp_opts[0]))


/* Flags that are no options: they say what is to be done. */

typedef struct {
    const char    *name;
    cp_conf_do_e   what;               /* RUN: nothing of its own           */
    bool           value;
    const char    *doc;
} cp_conf_command_t;

static const cp_conf_command_t  cp_conf_commands[] = {
    { "--config", CP_CONF_RUN, true,
      "=FILE   YAML (.yaml, .yml) or lines of name=value;\n"
      "                  or STOA_CONTROL_CONFIG" },
    { "--check-config", CP_CONF_CHECK, false,
      "  reads the configuration, says what is wrong, ends" },
    { "--new-admin-token", CP_CONF_TOKEN, false,
      "   prints a new platform-admin token, ends;\n"
      "                  with SQLite nothing else may run" },
    { "--new-admin-password", CP_CONF_PASSWORD, false,
      "   prints a new password of admin_user,\n"
      "                  who is made again what he was, ends" },
    { "--backup", CP_CONF_BACKUP, true,
      "=FILE   copies the SQLite database, also of a running\n"
      "                  stoa-control, to a new file, ends" },
    { "--print-openapi", CP_CONF_OPENAPI, false,
      "   prints the OpenAPI document of its interface, ends" },
    { "--version", CP_CONF_EXIT, false, "" },
    { "--help", CP_CONF_EXIT, false, "" },
    { NULL, CP_CONF_RUN, false, NULL }
};


static const cp_opt_t *
cp_conf_find(const char *name, size_t len)
{
    size_t    k;
    unsigned  i;

    for (i = 0; i < CP_OPTS; i++) {

        for (k = 0; k < len && cp_opts[i].name[k] != '\0'; k++) {
            if (cp_opts[i].name[k] != ((name[k] == '-') ? '_' : name[k])) {
                break;
            }
        }

        if (k == len && cp_opts[i].name[k] == '\0') {
            return &cp_opts[i];
        }
    }

    return NULL;
}


static cp_rc_t
cp_conf_named(cp_conf_reader_t *rd, const char *name, size_t len,
    const char *value)
{
    const cp_opt_t  *opt;

    opt = cp_conf_find(name, len);

    if (opt == NULL) {
        return cp_err_set(rd->err, "validation", "%s: unknown option "
                          "\"%.*s\"", rd->place, (int) len, name);
    }

    return cp_conf_set(rd, opt, value);
}


static const char *
cp_conf_join(cp_arena_t *a, const cp_json_t *list)
{
    const char       *text;
    const cp_json_t  *v;

    for (v = list->first, text = ""; v != NULL; v = v->next) {
        text = cp_arena_printf(a, "%s %s", text,
                               (v->type == CP_JSON_STRING) ? v->s : "?");
    }

    return text;
}


static cp_rc_t
cp_conf_yaml(cp_conf_reader_t *rd, const char *path, const char *text,
    size_t len)
{
    cp_rc_t          rc;
    cp_json_t       *docs, *v;
    const char      *value;
    const cp_opt_t  *opt;

    rc = cp_yaml_parse(rd->arena, text, len, &docs, rd->err);

    if (rc != CP_OK) {
        return cp_err_set(rd->err, "validation", "%s: %s", path,
                          rd->err->detail);
    }

    if (docs->n == 0 || (docs->n == 1 && docs->first->type == CP_JSON_NULL)) {
        return CP_OK;
    }

    if (docs->n != 1 || docs->first->type != CP_JSON_OBJECT) {
        return cp_err_set(rd->err, "validation", "%s: must be one list of "
                          "\"name: value\"", path);
    }

    for (v = docs->first->first; v != NULL && rc == CP_OK; v = v->next) {

        rd->place = cp_arena_printf(rd->arena, "%s:%u", path, v->line);
        value = (v->type == CP_JSON_STRING) ? v->s
                : (v->type == CP_JSON_ARRAY) ? cp_conf_join(rd->arena, v)
                : cp_json_text(rd->arena, v, NULL);
        opt = cp_conf_find(v->key, strlen(v->key));

        if (v->type == CP_JSON_OBJECT || v->type == CP_JSON_NULL
            || (v->type == CP_JSON_ARRAY && opt != NULL
                && opt->type != CP_OPT_ALLOW && opt->type != CP_OPT_WORDS))
        {
            return cp_err_set(rd->err, "validation", "%s: %s must have one "
                              "value", rd->place, v->key);
        }

        rc = cp_conf_named(rd, v->key, strlen(v->key), value);
    }

    return rc;
}


static cp_rc_t
cp_conf_lines(cp_conf_reader_t *rd, const char *path, char *text)
{
    char      *line, *next, *eq, *name;
    cp_rc_t    rc;
    unsigned   n;

    for (rc = CP_OK, n = 1, line = text;
         line != NULL && rc == CP_OK;
         line = next, n++)
    {
        next = strchr(line, '\n');

        if (next != NULL) {
            *next++ = '\0';
        }

        line = cp_text_trim(line);

        if (line[0] == '\0' || line[0] == '#') {
            continue;
        }

        rd->place = cp_arena_printf(rd->arena, "%s:%u", path, n);
        eq = strchr(line, '=');

        if (eq == NULL) {
            return cp_err_set(rd->err, "validation", "%s: no \"name=value\"",
                              rd->place);
        }

        *eq = '\0';
        name = cp_text_trim(line);
        rc = cp_conf_named(rd, name, strlen(name), cp_text_trim(eq + 1));
    }

    return rc;
}


static cp_rc_t
cp_conf_file(cp_conf_reader_t *rd, const char *path)
{
    FILE    *f;
    char    *text;
    size_t   len;

    f = fopen(path, "re");
    if (f == NULL) {
        return cp_err_set(rd->err, "validation", "cannot open \"%s\": %s",
                          path, strerror(errno));
    }

    text = cp_arena_alloc(rd->arena, CP_CONF_FILE_MAX + 1);
    if (text == NULL) {
        (void) fclose(f);
        return CP_ERROR;
    }

    len = fread(text, 1, CP_CONF_FILE_MAX, f);

    if (ferror(f) || !feof(f)) {
        (void) fclose(f);
        return cp_err_set(rd->err, "validation", "\"%s\" cannot be read, or "
                          "is larger than 1 MiB", path);
    }

    (void) fclose(f);

    return (cp_text_ends(path, ".yaml") || cp_text_ends(path, ".yml")
            || cp_text_ends(path, ".json"))
           ? cp_conf_yaml(rd, path, text, len)
           : cp_conf_lines(rd, path, text);
}


/* Unknown names are let pass here: an orchestrator puts variables of its own
 * (STOA_CONTROL_SERVICE_HOST) beside ours. */

static cp_rc_t
cp_conf_environment(cp_conf_reader_t *rd)
{
    char         name[80];
    size_t       k;
    cp_rc_t      rc;
    unsigned     i;
    const char  *value;

    for (rc = CP_OK, i = 0; i < CP_OPTS && rc == CP_OK; i++) {

        (void) snprintf(name, sizeof(name), "STOA_CONTROL_%s",
                        cp_opts[i].name);

        for (k = 0; name[k] != '\0'; k++) {
            name[k] = (char) toupper((unsigned char) name[k]);
        }

        value = getenv(name);

        if (value != NULL) {
            rd->place = cp_arena_strdup(rd->arena, name);
            rc = cp_conf_set(rd, &cp_opts[i], value);
        }
    }

    return rc;
}


static void
cp_conf_help(void)
{
    int       width;
    unsigned  i;
    char      name[64];

    printf("usage: stoa-control [--config=FILE] [--OPTION=VALUE ...]\n\n");

    for (i = 0; cp_conf_commands[i].name; i++) {
        printf("  %s%s\n", cp_conf_commands[i].name, cp_conf_commands[i].doc);
    }

    printf("\nEvery option may stand in the file (listen: ...), in the "
           "environment\n(STOA_CONTROL_LISTEN) or among the flags "
           "(--listen=...); the later one wins.\n\n");

    for (i = 0; i < CP_OPTS; i++) {

        width = snprintf(name, sizeof(name), "%s", cp_opts[i].name);

        for (/* void */; width >= 0; width--) {
            if (name[width] == '_') {
                name[width] = '-';
            }
        }

        printf("  --%-22s %s", name, cp_opts[i].doc);

        if (cp_opts[i].dflt[0] != '\0') {
            printf(" [%s]", cp_opts[i].dflt);
        }

        printf("\n");
    }
}


/* Of "NAME" or "NAME=..."; NULL: it is an option. */

static const cp_conf_command_t *
cp_conf_command(const char *arg)
{
    size_t                    len;
    const cp_conf_command_t  *cmd;

    arg = strcmp(arg, "-h") == 0 ? "--help" : arg;

    for (cmd = cp_conf_commands; cmd->name; cmd++) {
        len = strlen(cmd->name);

        if (strncmp(arg, cmd->name, len) == 0
            && (arg[len] == '\0' || (arg[len] == '=' && cmd->value)))
        {
            return cmd;
        }
    }

    return NULL;
}


/* A flag's value: "--name=value" or the next argument; *i moves on. */

static cp_rc_t
cp_conf_flag(cp_conf_reader_t *rd, int argc, char **argv, int *i)
{
    size_t                    len;
    const char               *name, *value;
    const cp_opt_t           *opt;
    const cp_conf_command_t  *cmd;

    /* cp_conf_scan() has read it: only its value is stepped over */

    cmd = cp_conf_command(argv[*i]);

    if (cmd && !cmd->value) {
        return CP_OK;
    }

    name = argv[*i] + 2;
    len = strcspn(name, "=");
    value = (name[len] == '=') ? name + len + 1 : NULL;

    rd->place = cp_arena_printf(rd->arena, "--%.*s", (int) len, name);

    opt = cp_conf_find(name, len);

    if (opt == NULL && cmd == NULL) {
        return cp_err_set(rd->err, "validation", "unknown option \"--%.*s\", "
                          "see --help", (int) len, name);
    }

    if (value == NULL) {

        if (*i + 1 == argc) {
            return cp_err_set(rd->err, "validation", "%s needs a value",
                              rd->place);
        }

        value = argv[++*i];
    }

    return cmd ? CP_OK : cp_conf_set(rd, opt, value);
}


/* Behind the "=", or the next argument; "" when there is none: cp_conf_flag()
 * says so. */

static const char *
cp_conf_value(int argc, char **argv, int *i)
{
    const char  *eq;

    eq = strchr(argv[*i], '=');

    if (eq != NULL) {
        return eq + 1;
    }

    return (*i + 1 < argc) ? argv[++*i] : "";
}


/* Finds the file, and what is to be done instead of running: one thing. */

static cp_rc_t
cp_conf_scan(int argc, char **argv, const char **file, cp_conf_t *conf,
    cp_conf_do_e *what, cp_err_t *err)
{
    int                       i;
    const char               *value;
    const cp_conf_command_t  *cmd, *first;

    *file = getenv("STOA_CONTROL_CONFIG");
    first = NULL;

    for (i = 1; i < argc; i++) {
        cmd = cp_conf_command(argv[i]);

        if (cmd == NULL) {
            if (strncmp(argv[i], "--", 2) != 0) {
                return cp_err_set(err, "validation", "unexpected argument "
                                  "\"%s\", see --help", argv[i]);
            }

            i += strchr(argv[i], '=') == NULL;
            continue;
        }

        value = cmd->value ? cp_conf_value(argc, argv, &i) : NULL;

        if (cmd->what == CP_CONF_RUN) {
            *file = value;
            continue;
        }

        if (first && first != cmd) {
            return cp_err_set(err, "validation", "%s and %s are two things to "
                              "do: only one of them", first->name, cmd->name);
        }

        first = cmd;
        conf->backup = value;
    }

    *what = first ? first->what : CP_CONF_RUN;

    if (*what == CP_CONF_EXIT && strcmp(first->name, "--help") == 0) {
        cp_conf_help();

    } else if (*what == CP_CONF_EXIT) {
        printf("stoa-control %s\n", CP_VERSION);
    }

    return CP_OK;
}


static cp_rc_t
cp_conf_together(const cp_conf_t *conf, cp_err_t *err)
{
    unsigned  i;

    if ((conf->tls_certificate[0] == '\0') != (conf->tls_key[0] == '\0')) {
        return cp_err_set(err, "validation", "tls_certificate and tls_key "
                          "are needed together");
    }

    for (i = 0; i < conf->trusted_proxies.n; i++) {
        if (conf->trusted_proxies.cidr[i].bits == 0) {
            return cp_err_set(err, "validation", "trusted_proxies: a range of"
                              " all addresses lets everybody say where he is"
                              " from");
        }
    }

    if (conf->insecure_cookies && strncmp(conf->listen, "127.", 4) != 0
        && strncmp(conf->listen, "[::1]:", 6) != 0
        && strncmp(conf->listen, "localhost:", 10) != 0)
    {
        return cp_err_set(err, "validation", "insecure_cookies is for a"
                          " loopback address in listen only");
    }

    if (conf->public_url[0] && strncmp(conf->public_url, "https://", 8) != 0
        && strncmp(conf->public_url, "http://", 7) != 0)
    {
        return cp_err_set(err, "validation", "public_url must begin with"
                          " https:// or http://");
    }

    return CP_OK;
}


/* Paths are put behind it. */
static cp_rc_t
cp_conf_bare(cp_arena_t *a, cp_conf_t *conf, cp_err_t *err)
{
    size_t        i, len;
    const char  **bases[] = { &conf->public_url, &conf->oidc_url,
                              &conf->keycloak_admin_url };

    for (i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
        len = strlen(*bases[i]);

        while (len && (*bases[i])[len - 1] == '/') {
            len--;
        }

        *bases[i] = cp_arena_strndup(a, *bases[i], len);

        if (*bases[i] == NULL) {
            return cp_err_set(err, "internal", "no memory");
        }
    }

    return CP_OK;
}


cp_rc_t
cp_conf_load(cp_arena_t *a, int argc, char **argv, cp_conf_t *conf,
    cp_conf_do_e *what, cp_err_t *err)
{
    int                i;
    cp_rc_t            rc;
    const char        *file;
    cp_conf_reader_t   rd;

    memset(conf, 0, sizeof(cp_conf_t));

    rd.arena = a;
    rd.conf = conf;
    rd.err = err;
    rd.place = "default";

    rc = cp_conf_scan(argc, argv, &file, conf, what, err);

    if (rc != CP_OK || *what == CP_CONF_EXIT) {
        return rc;
    }

    for (i = 0; i < (int) CP_OPTS && rc == CP_OK; i++) {
        rc = cp_conf_set(&rd, &cp_opts[i], cp_opts[i].dflt);
    }

    if (rc == CP_OK && file != NULL && file[0] != '\0') {
        rc = cp_conf_file(&rd, file);
    }

    if (rc == CP_OK) {
        rc = cp_conf_environment(&rd);
    }

    for (i = 1; i < argc && rc == CP_OK; i++) {
        rc = cp_conf_flag(&rd, argc, argv, &i);
    }

    if (rc == CP_OK) {
        rc = cp_conf_together(conf, err);
    }

    return rc == CP_OK ? cp_conf_bare(a, conf, err) : rc;
}
