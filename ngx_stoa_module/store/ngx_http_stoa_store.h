/*
 * The records of the configuration, by id and by name.
 *
 * One environment per worker.  Views returned by the lookups are valid until
 * the handler returns to the event loop; never keep them longer.  NULL: not
 * there (or no store yet).  Process: workers.
 */

#ifndef NGX_HTTP_STOA_STORE_H
#define NGX_HTTP_STOA_STORE_H


#include "ngx_http_stoa.h"


ngx_int_t ngx_http_stoa_store_open(ngx_http_stoa_main_conf_t *mcf,
    ngx_log_t *log);
void ngx_http_stoa_store_close(ngx_http_stoa_main_conf_t *mcf);

/* Looks whether something was committed and renews the read transaction.
 * Call once at the start of each handler entry that looks things up.  NGX_OK,
 * NGX_DECLINED (no complete configuration yet), NGX_ERROR. */
ngx_int_t ngx_http_stoa_store_enter(ngx_http_stoa_store_t *store);

/* Was something not found because it is withheld, since the last time? */
ngx_uint_t ngx_http_stoa_store_met_withheld(ngx_http_stoa_store_t *store);

uint64_t ngx_http_stoa_store_rev(ngx_http_stoa_store_t *store);
/* Changes with every commit of configuration: key for per-worker caches. */
uint64_t ngx_http_stoa_store_generation(ngx_http_stoa_store_t *store);
/* Changes with what MCP's lists are made of: apis, servers, what they show. */
void ngx_http_stoa_store_catalog(ngx_http_stoa_store_t *store,
    uint64_t stamp[2]);

/* By id: ngx_http_stoa_store_tenant(s, id) and so on. */

#define NGX_HTTP_STOA_STORE_KINDS(K)                                          \
    K(tenant, TENANT) K(application, APPLICATION)                             \
    K(credential, CREDENTIAL) K(plan, PLAN) K(server, SERVER)                 \
    K(issuer, ISSUER) K(purge, PURGE)

#define NGX_HTTP_STOA_STORE_BY_ID(kind, KIND)                                 \
    const stoa_rec_##kind##_t *ngx_http_stoa_store_##kind(                    \
        ngx_http_stoa_store_t *s, const stoa_id_t *id);

NGX_HTTP_STOA_STORE_KINDS(NGX_HTTP_STOA_STORE_BY_ID)

const stoa_rec_tenant_t *ngx_http_stoa_store_tenant_by_name(
    ngx_http_stoa_store_t *s, const char *name, size_t len);
const stoa_rec_application_t *ngx_http_stoa_store_application_by_name(
    ngx_http_stoa_store_t *s, const stoa_id_t *tenant, const char *name,
    size_t len);
const stoa_rec_subscription_t *ngx_http_stoa_store_subscription(
    ngx_http_stoa_store_t *s, const stoa_id_t *application,
    const stoa_id_t *target);
const stoa_rec_api_t *ngx_http_stoa_store_api(
    ngx_http_stoa_store_t *s, const stoa_id_t *id);
const stoa_rec_api_t *ngx_http_stoa_store_api_by_name(
    ngx_http_stoa_store_t *s, const char *tenant, size_t tenant_len,
    const char *name, size_t name_len);
/* Longest segment-safe prefix; host lower case without port, tried first with
 * the host, then without.  *prefix_len gets the matched base path's length. */
const stoa_rec_api_t *ngx_http_stoa_store_api_by_path(
    ngx_http_stoa_store_t *s, const char *host, size_t host_len,
    const char *path, size_t path_len, size_t *prefix_len);
/* The gateway's own group; NULL: it has none.  NGX_ERROR: it is broken.  It,
 * and an api by its name or path, may be withheld (hdr); everything else that
 * is withheld is not there. */
ngx_int_t ngx_http_stoa_store_group(ngx_http_stoa_store_t *s,
    const stoa_rec_group_t **group);
/* The group's key that is in use now; NULL: there is none. */
const stoa_rec_groupkey_t *ngx_http_stoa_store_signer(
    ngx_http_stoa_store_t *s, int64_t now_ms);
/* Those by which the group seals: stoa_rec_sealkey_t; how many. */
ngx_uint_t ngx_http_stoa_store_sealkeys(ngx_http_stoa_store_t *s,
    const void **recs, ngx_uint_t max);
const stoa_rec_server_t *ngx_http_stoa_store_server_by_name(
    ngx_http_stoa_store_t *s, const char *tenant, size_t tenant_len,
    const char *name, size_t name_len);
/* A tool, prompt, resource or template; the first two have names, too. */
const stoa_rec_item_t *ngx_http_stoa_store_item(
    ngx_http_stoa_store_t *s, stoa_rec_kind_e kind, const stoa_id_t *id);
const stoa_rec_item_t *ngx_http_stoa_store_item_by_name(
    ngx_http_stoa_store_t *s, stoa_rec_kind_e kind, const stoa_id_t *api,
    const char *name, size_t len);

/* In key order; the callback returns NGX_OK to go on.  Returns what stopped
 * it, NGX_OK at the end. */
typedef ngx_int_t (*ngx_http_stoa_store_each_pt)(void *data, const void *rec);
ngx_int_t ngx_http_stoa_store_each_subscription(ngx_http_stoa_store_t *s,
    const stoa_id_t *application, ngx_http_stoa_store_each_pt cb, void *data);
/* All apis, or servers, of a tenant by its name. */
ngx_int_t ngx_http_stoa_store_each_of_tenant(ngx_http_stoa_store_t *s,
    stoa_rec_kind_e kind, const char *tenant, size_t len,
    ngx_http_stoa_store_each_pt cb, void *data);
/* All apis whose targets are checked, by id. */
ngx_int_t ngx_http_stoa_store_each_checked(ngx_http_stoa_store_t *s,
    ngx_http_stoa_store_each_pt cb, void *data);
/* Of those that are called iss, all or a tenant's; iss NULL: all of the
 * tenant's. */
ngx_int_t ngx_http_stoa_store_each_issuer(ngx_http_stoa_store_t *s,
    const char *iss, size_t len, const stoa_id_t *tenant,
    ngx_http_stoa_store_each_pt cb, void *data);
ngx_int_t ngx_http_stoa_store_each_item(ngx_http_stoa_store_t *s,
    stoa_rec_kind_e kind, const stoa_id_t *api,
    ngx_http_stoa_store_each_pt cb, void *data);


#endif /* NGX_HTTP_STOA_STORE_H */
