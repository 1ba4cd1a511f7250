/*
 * Configuration of stoa-control: one table of options (cp_conf.c) behind the
 * file (YAML, or lines of name=value), the environment (STOA_CONTROL_<NAME>)
 * and the flags (--name=value), each later one winning.
 *
 * A new option is a member here and a row there.
 */

#ifndef CP_CONF_H
#define CP_CONF_H


#include "base/cp_util.h"
#include "core/stoa_addr.h"


typedef struct {
    const char  *listen;               /* host:port                         */
    const char  *database;             /* sqlite:PATH or postgresql://...   */
    int64_t      database_connections;
    int64_t      io_threads;
    int64_t      worker_threads;
    int64_t      connections;
    int64_t      idle_timeout_s;
    int64_t      request_timeout_s;
    int64_t      shutdown_timeout_s;
    int64_t      rate_caller;          /* a second, 0 none                  */
    int64_t      rate_address;
    stoa_allow_t trusted_proxies;      /* whose X-Forwarded-For is believed */
    const char  *cors_origins;         /* "" none                           */
    bool         cors_credentials;
    const char  *tls_certificate;      /* "" none                           */
    const char  *tls_key;
    const char  *pepper_file;
    const char  *secret_key_file;      /* "" beside the database            */
    const char  *audit_key_file;       /* "" beside the database            */
    const char  *opa_binary;           /* "" none                           */
    int64_t      audit_checkpoint_s;
    int64_t      audit_kept_d;         /* 0: for ever                       */
    const char  *admin_token_file;     /* first platform-admin token        */
    const char  *admin_user;           /* name of the first person; "" none */
    const char  *admin_password_file;  /* "" his password is printed        */
    const char  *public_url;           /* "" unknown; ends without a slash  */
    int64_t      session_idle_s;
    int64_t      session_max_s;
    bool         insecure_cookies;
    int64_t      password_hashes;      /* at once                           */
    const char  *upstream_ca_file;     /* "" the system's                   */
    const char  *tenant_limits;        /* of those without their own        */
    const char  *oidc_issuer;          /* "": no provider of identities     */
    const char  *oidc_url;             /* "": its issuer's                  */
    const char  *oidc_audience;
    const char  *oidc_roles_claim;
    const char  *oidc_groups_claim;
    const char  *oidc_grants;
    const char  *oidc_client_id;       /* "": nobody logs in there          */
    const char  *oidc_secret_file;
    const char  *oidc_key_file;
    const char  *oidc_key_id;
    const char  *oidc_client_auth;
    const char  *oidc_scopes;
    int64_t      oidc_refresh_s;
    const char  *oidc_device_client_id;   /* "": not by stoactl             */
    const char  *keycloak_admin_url;   /* "": of the issuer                 */
    const char  *keycloak_client_id;   /* "": no owners of applications     */
    const char  *keycloak_secret_file;
    int64_t      keycloak_look_ms;
    const char  *keycloak_groups_client_id;   /* "": none are made          */
    const char  *keycloak_groups_secret_file;
    const char  *keycloak_groups_path;
    const char  *keycloak_admin_role;  /* "": none                          */
    int64_t      provision_attempts;
    stoa_allow_t outbound_allow;       /* beside public addresses           */
    const char  *smtp_url;             /* "" no mail                        */
    const char  *smtp_from;
    const char  *smtp_auth_file;       /* "" no login                       */
    const char  *smtp_tls;
    const char  *smtp_ca_file;         /* "" the system's                   */
    const char  *leak_keys;            /* "" nobody reports                 */
    const char  *leak_action;
    const char  *log_level;
    const char  *log_format;
    bool         access_log;
    int64_t      usage_minutes_kept_d;
    int64_t      usage_quarters_kept_d;
    int64_t      usage_days_kept_d;
    const char  *backup;               /* of --backup=FILE                  */
} cp_conf_t;

typedef enum {
    CP_CONF_RUN, CP_CONF_CHECK, CP_CONF_TOKEN, CP_CONF_PASSWORD,
    CP_CONF_BACKUP, CP_CONF_OPENAPI, CP_CONF_EXIT
} cp_conf_do_e;


/* Reads file, environment and flags.  On CP_DECLINED the message with its
 * place ("stoa-control: conf/x.yaml:3: ...") is in `err`.  Texts live in the
 * arena, which must live as long as the process. */
cp_rc_t cp_conf_load(cp_arena_t *a, int argc, char **argv, cp_conf_t *conf,
    cp_conf_do_e *what, cp_err_t *err) CP_MUST_CHECK;


#endif /* CP_CONF_H */
