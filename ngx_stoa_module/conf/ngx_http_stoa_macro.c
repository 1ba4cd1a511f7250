/*
 * "stoa;" as a macro over nginx's proxy module: it calls that module's own
 * directive setters, with what the gateway needs.
 *
 * This is a module of its own because of its place: its configuration is
 * merged before the proxy module's and after every location has been read.  So
 * the directives a user has set in the location are known, in any order, and
 * only what he left open is set.
 *
 * Process: master, configuration only.
 */

#include "ngx_http_stoa_macro.h"
#include "ngx_http_stoa_upstream.h"


typedef struct {
    ngx_array_t  *headers;           /* proxy_set_header in force here, of
                                        ngx_keyval_t; NULL: none             */
    ngx_array_t  *hidden;            /* proxy_hide_header, of ngx_str_t      */
    ngx_uint_t    full;              /* stoa                                 */
    ngx_uint_t    protect;           /* stoa_protect, and with it ...        */
    ngx_uint_t    keyed;             /* ... a proxy_cache_key                */
    ngx_uint_t    buffered;          /* the user chose the buffers           */
    ngx_uint_t    versions;          /* the user chose those of TLS          */
} ngx_http_stoa_macro_conf_t;

/* The proxy's settings of all locations with "stoa". */

typedef struct {
    ngx_array_t   confs;             /* of ngx_http_upstream_conf_t *        */
} ngx_http_stoa_macro_main_t;


static void *ngx_http_stoa_macro_create(ngx_conf_t *cf);
static char *ngx_http_stoa_macro_init_main(ngx_conf_t *cf, void *conf);
static void *ngx_http_stoa_macro_create_main(ngx_conf_t *cf);
static char *ngx_http_stoa_macro_merge(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_http_stoa_macro_trust(ngx_conf_t *cf);
static ngx_int_t ngx_http_stoa_macro_note(ngx_conf_t *cf,
    ngx_module_t *proxy);
static char *ngx_http_stoa_macro_apply(ngx_conf_t *cf, ngx_module_t *proxy,
    ngx_http_stoa_macro_conf_t *conf);
static ngx_uint_t ngx_http_stoa_macro_buffered(ngx_conf_t *cf,
    ngx_module_t *proxy);
static ngx_uint_t *ngx_http_stoa_macro_versions(ngx_conf_t *cf,
    ngx_module_t *proxy);
static char *ngx_http_stoa_macro_grpc(ngx_conf_t *cf,
    ngx_http_stoa_main_conf_t *mcf);
static char *ngx_http_stoa_macro_protect(ngx_conf_t *cf,
    ngx_module_t *proxy, ngx_http_stoa_macro_conf_t *prev,
    ngx_http_stoa_macro_conf_t *conf);
static void ngx_http_stoa_macro_body(ngx_conf_t *cf);
static void ngx_http_stoa_macro_pool(ngx_conf_t *cf);
static char *ngx_http_stoa_macro_headers(ngx_conf_t *cf, ngx_module_t *proxy,
    ngx_http_stoa_macro_conf_t *conf);
static ngx_array_t **ngx_http_stoa_macro_slot(ngx_conf_t *cf,
    ngx_module_t *proxy);
static ngx_array_t *ngx_http_stoa_macro_inherit(ngx_array_t **slot,
    ngx_array_t *outer);
static char *ngx_http_stoa_macro_hidden(ngx_conf_t *cf, ngx_module_t *proxy,
    ngx_array_t *hidden);


/* The URI, scheme, timeouts, retries, TLS names and verification are each
 * api's own and are set per request (ngx_http_stoa_upstream.c); "https" is for
 * the TLS settings to be made at all. */

static const ngx_http_stoa_macro_row_t  ngx_http_stoa_macro_rows[] = {
#if (NGX_HTTP_SSL)
    { "proxy_pass", "https://stoa_upstream", 1 },
#else
    { "proxy_pass", "http://stoa_upstream", 1 },
#endif
    { "proxy_http_version", "1.1", 0 },
    { "proxy_redirect", "off", 0 },
    { "proxy_ssl_server_name", "on", 0 },
    { "proxy_hide_header", "Mcp-Session-Id", 0 },
    { "proxy_intercept_errors", "off", 0 },
    { NULL, NULL, 0 }
};

/* The proxy's own key would mix apis and callers. */

static const ngx_http_stoa_macro_row_t  ngx_http_stoa_macro_key =
    { "proxy_cache_key", "$stoa_subscription $request_method $request_uri",
      0 };

static const ngx_http_stoa_macro_row_t  ngx_http_stoa_macro_ca_rows[] = {
    { "proxy_ssl_trusted_certificate", "", 0 },
    { "proxy_ssl_verify", "on", 0 },
    { "proxy_ssl_verify_depth", "5", 0 },
    { NULL, NULL, 0 }
};

/* The same of apis whose targets speak gRPC. */

static const ngx_http_stoa_macro_row_t  ngx_http_stoa_macro_grpc_rows[] = {
    { "grpc_pass", "${stoa_upstream_scheme}://stoa_upstream", 1 },
    { "grpc_ssl_server_name", "on", 0 },
    { "grpc_buffer_size", "32k", 0 },
    { "grpc_intercept_errors", "off", 0 },
    { NULL, NULL, 0 }
};

static const ngx_http_stoa_macro_row_t  ngx_http_stoa_macro_grpc_ca_rows[] = {
    { "grpc_ssl_trusted_certificate", "", 0 },
    { "grpc_ssl_verify", "on", 0 },
    { "grpc_ssl_verify_depth", "5", 0 },
    { NULL, NULL, 0 }
};


static ngx_http_module_t  ngx_http_stoa_macro_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_http_stoa_macro_trust,             /* postconfiguration */

    ngx_http_stoa_macro_create_main,       /* create main configuration */
    ngx_http_stoa_macro_init_main,         /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_stoa_macro_create,            /* create location configuration */
    ngx_http_stoa_macro_merge              /* merge location configuration */
};


ngx_module_t  ngx_http_stoa_macro_module = {
    NGX_MODULE_V1,
    &ngx_http_stoa_macro_module_ctx,       /* module context */
    NULL,                                  /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static void *
ngx_http_stoa_macro_create(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(ngx_http_stoa_macro_conf_t));
}


static void *
ngx_http_stoa_macro_create_main(ngx_conf_t *cf)
{
    ngx_http_stoa_macro_main_t  *main;

    main = ngx_palloc(cf->pool, sizeof(ngx_http_stoa_macro_main_t));

    return main && ngx_array_init(&main->confs, cf->pool, 4,
                                  sizeof(ngx_http_upstream_conf_t *))
                   == NGX_OK ? main : NULL;
}


/* The http block's own proxy_set_header: the first to inherit from. */

static char *
ngx_http_stoa_macro_init_main(ngx_conf_t *cf, void *conf)
{
    ngx_uint_t                   *versions;
    ngx_array_t                 **headers;
    ngx_module_t                 *proxy;
    ngx_http_stoa_macro_conf_t   *mlcf;

    proxy = ngx_http_stoa_macro_module_of(cf, "ngx_http_proxy_module");

    if (proxy) {
        mlcf = ngx_http_conf_get_module_loc_conf(cf,
                                                 ngx_http_stoa_macro_module);
        headers = ngx_http_stoa_macro_slot(cf, proxy);
        mlcf->headers = ngx_http_stoa_macro_inherit(headers, NULL);

        headers = ngx_http_stoa_macro_place(cf, proxy, "proxy_hide_header",
                                            ngx_conf_set_str_array_slot);
        mlcf->hidden = ngx_http_stoa_macro_inherit(headers, NULL);
        mlcf->buffered = ngx_http_stoa_macro_buffered(cf, proxy);

        versions = ngx_http_stoa_macro_versions(cf, proxy);
        mlcf->versions = versions && *versions;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_stoa_macro_merge(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_stoa_macro_conf_t *prev = parent;
    ngx_http_stoa_macro_conf_t *conf = child;

    ngx_uint_t                 *versions;
    ngx_array_t               **headers;
    ngx_module_t               *proxy;
    ngx_http_stoa_loc_conf_t   *slcf;

    slcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_stoa_module);
    proxy = ngx_http_stoa_macro_module_of(cf, "ngx_http_proxy_module");

    if (proxy == NULL) {

        if (slcf->mode == NGX_HTTP_STOA_FULL) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "\"stoa\" in %V:%ui needs nginx's proxy module",
                          &slcf->file, slcf->line);
            return NGX_CONF_ERROR;
        }

        return NGX_CONF_OK;
    }

    headers = ngx_http_stoa_macro_slot(cf, proxy);
    conf->headers = ngx_http_stoa_macro_inherit(headers, prev->headers);

    headers = ngx_http_stoa_macro_place(cf, proxy, "proxy_hide_header",
                                        ngx_conf_set_str_array_slot);
    conf->hidden = ngx_http_stoa_macro_inherit(headers, prev->hidden);
    conf->buffered = prev->buffered
                     || ngx_http_stoa_macro_buffered(cf, proxy);

    versions = ngx_http_stoa_macro_versions(cf, proxy);
    conf->versions = prev->versions || (versions && *versions);

    if (slcf->mode != NGX_HTTP_STOA_OFF) {
        ngx_http_stoa_macro_pool(cf);
    }

    conf->full = slcf->mode == NGX_HTTP_STOA_FULL
                 || (slcf->mode == NGX_CONF_UNSET_UINT && prev->full);

    if (conf->full && ngx_http_stoa_macro_note(cf, proxy) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    if (slcf->mode == NGX_HTTP_STOA_FULL) {
        return ngx_http_stoa_macro_apply(cf, proxy, conf);
    }

    /* the mode itself is inherited later */

    conf->protect = slcf->mode == NGX_HTTP_STOA_PROTECT
                    || (slcf->mode == NGX_CONF_UNSET_UINT && prev->protect);

    if (!conf->protect) {
        return NGX_CONF_OK;
    }

    ngx_http_stoa_conf_check_protect(cf);

    return ngx_http_stoa_macro_protect(cf, proxy, prev, conf);
}


/* Sizes that belong together: one of the user's, on any level, and all are
 * his and nginx's. */

static ngx_uint_t
ngx_http_stoa_macro_buffered(ngx_conf_t *cf, ngx_module_t *proxy)
{
    size_t      *head, *busy;
    ngx_bufs_t  *bufs;

    head = ngx_http_stoa_macro_place(cf, proxy, "proxy_buffer_size",
                                     ngx_conf_set_size_slot);
    busy = ngx_http_stoa_macro_place(cf, proxy, "proxy_busy_buffers_size",
                                     ngx_conf_set_size_slot);
    bufs = ngx_http_stoa_macro_place(cf, proxy, "proxy_buffers",
                                     ngx_conf_set_bufs_slot);

    return head == NULL || *head != NGX_CONF_UNSET_SIZE
           || busy == NULL || *busy != NGX_CONF_UNSET_SIZE
           || bufs == NULL || bufs->num;
}


/* The head of an answer is read into the first buffer: nginx's own is a page,
 * and some cookies are more. */

static void
ngx_http_stoa_macro_buffers(ngx_conf_t *cf, ngx_module_t *proxy)
{
    size_t      *head;
    ngx_bufs_t  *bufs;

    head = ngx_http_stoa_macro_place(cf, proxy, "proxy_buffer_size",
                                     ngx_conf_set_size_slot);
    bufs = ngx_http_stoa_macro_place(cf, proxy, "proxy_buffers",
                                     ngx_conf_set_bufs_slot);

    *head = 32 * 1024;
    bufs->num = 8;
    bufs->size = 16 * 1024;
}


/* nginx before 1.23.4 knows no TLS 1.3 by itself; NULL: no TLS at all. */

static ngx_uint_t *
ngx_http_stoa_macro_versions(ngx_conf_t *cf, ngx_module_t *proxy)
{
    return ngx_http_stoa_macro_place(cf, proxy, "proxy_ssl_protocols",
                                     ngx_conf_set_bitmask_slot);
}


/* What one caller got from a cache is another one's with the same rights
 * only where the location says so. */

static char *
ngx_http_stoa_macro_protect(ngx_conf_t *cf, ngx_module_t *proxy,
    ngx_http_stoa_macro_conf_t *prev, ngx_http_stoa_macro_conf_t *conf)
{
    char  *rv;

    if (prev->protect && prev->keyed) {
        conf->keyed = 1;
        return NGX_CONF_OK;
    }

    rv = ngx_http_stoa_macro_set(cf, proxy, &ngx_http_stoa_macro_key);

    conf->keyed = rv != NGX_CONF_OK && rv != NGX_CONF_ERROR;

    return rv == NGX_CONF_ERROR ? rv : NGX_CONF_OK;
}


/* Its settings are the first member of the proxy's. */

static ngx_int_t
ngx_http_stoa_macro_note(ngx_conf_t *cf, ngx_module_t *proxy)
{
    void                        **conf;
    ngx_http_stoa_macro_main_t   *main;

    main = ngx_http_conf_get_module_main_conf(cf, ngx_http_stoa_macro_module);

    conf = ngx_array_push(&main->confs);
    if (conf == NULL) {
        return NGX_ERROR;
    }

    *conf = ((ngx_http_conf_ctx_t *) cf->ctx)->loc_conf[proxy->ctx_index];

    return NGX_OK;
}


/*
 * Without proxy_ssl_trusted_certificate: what the system trusts.  Read once,
 * here, for all locations: it takes longer than a request may wait.
 */

static ngx_int_t
ngx_http_stoa_macro_trust(ngx_conf_t *cf)
{
#if (NGX_HTTP_SSL)
    ngx_uint_t                    i;
    ngx_ssl_t                    *ssl;
    X509_STORE                   *store, *own;
    ngx_http_upstream_conf_t    **conf;
    ngx_http_stoa_macro_main_t   *main;

    main = ngx_http_conf_get_module_main_conf(cf, ngx_http_stoa_macro_module);
    conf = main->confs.elts;
    store = NULL;

    for (i = 0; i < main->confs.nelts && !ngx_test_config; i++) {
        ssl = conf[i]->ssl;

        if (ssl == NULL || ssl->ctx == NULL) {
            continue;
        }

        own = SSL_CTX_get_cert_store(ssl->ctx);

        if (own == store
            || sk_X509_OBJECT_num(X509_STORE_get0_objects(own)) != 0)
        {
            continue;
        }

        if (store) {
            (void) X509_STORE_up_ref(store);
            SSL_CTX_set_cert_store(ssl->ctx, store);
            continue;
        }

        if (SSL_CTX_set_default_verify_paths(ssl->ctx) != 1) {
            ngx_ssl_error(NGX_LOG_ERR, cf->log, 0,
                          "stoa: cannot load the system's certificates");
        }

        store = own;
    }
#endif

    return NGX_OK;
}


static char *
ngx_http_stoa_macro_apply(ngx_conf_t *cf, ngx_module_t *proxy,
    ngx_http_stoa_macro_conf_t *conf)
{
    char                             *rv;
#if (NGX_HTTP_SSL)
    ngx_uint_t                       *versions;
#endif
    ngx_http_core_loc_conf_t         *clcf;
    ngx_http_stoa_main_conf_t        *mcf;
    const ngx_http_stoa_macro_row_t  *row;

    rv = ngx_http_stoa_macro_hidden(cf, proxy, conf->hidden);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (!conf->buffered) {
        ngx_http_stoa_macro_buffers(cf, proxy);
    }

#if (NGX_HTTP_SSL)
    versions = ngx_http_stoa_macro_versions(cf, proxy);

    if (versions && !conf->versions) {
        *versions = NGX_CONF_BITMASK_SET|NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3;
    }
#endif

    for (row = ngx_http_stoa_macro_rows; row->directive; row++) {
        rv = ngx_http_stoa_macro_row(cf, proxy, row);
        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    rv = ngx_http_stoa_macro_row(cf, proxy, &ngx_http_stoa_macro_key);
    if (rv != NGX_CONF_OK) {
        return rv;
    }

    mcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_stoa_module);

    if (ngx_http_stoa_macro_ca(cf, proxy, ngx_http_stoa_macro_ca_rows)
        != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    mcf->content_handler = clcf->handler;

    if (ngx_http_stoa_macro_grpc(cf, mcf) != NGX_CONF_OK) {
        return NGX_CONF_ERROR;
    }

    clcf->handler = ngx_http_stoa_upstream_content;

    ngx_http_stoa_macro_body(cf);

    return ngx_http_stoa_macro_headers(cf, proxy, conf);
}


/* Beside the proxy module's: which of both handles a call is its api's.  An
 * nginx without HTTP/2 has none. */

static char *
ngx_http_stoa_macro_grpc(ngx_conf_t *cf, ngx_http_stoa_main_conf_t *mcf)
{
    ngx_uint_t                        *versions;
    ngx_array_t                      **headers;
    ngx_module_t                      *grpc;
    ngx_http_core_loc_conf_t          *clcf;
    const ngx_http_stoa_macro_row_t   *row;

    grpc = ngx_http_stoa_macro_module_of(cf, "ngx_http_grpc_module");
    if (grpc == NULL) {
        return NGX_CONF_OK;
    }

    for (row = ngx_http_stoa_macro_grpc_rows; row->directive; row++) {
        if (ngx_http_stoa_macro_row(cf, grpc, row) != NGX_CONF_OK) {
            return NGX_CONF_ERROR;
        }
    }

    if (ngx_http_stoa_macro_ca(cf, grpc, ngx_http_stoa_macro_grpc_ca_rows)
        != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

#if (NGX_HTTP_SSL)
    versions = ngx_http_stoa_macro_place(cf, grpc, "grpc_ssl_protocols",
                                         ngx_conf_set_bitmask_slot);

    if (versions && !*versions) {
        *versions = NGX_CONF_BITMASK_SET|NGX_SSL_TLSv1_2|NGX_SSL_TLSv1_3;
    }
#else
    (void) versions;
#endif

    headers = ngx_http_stoa_macro_place(cf, grpc, "grpc_set_header",
                                        ngx_conf_set_keyval_slot);
    if (headers == NULL) {
        return NGX_CONF_ERROR;
    }

    if (*headers == NGX_CONF_UNSET_PTR) {
        *headers = ngx_array_create(cf->pool, 1, sizeof(ngx_keyval_t));
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    mcf->grpc_handler = clcf->handler;

    return *headers && ngx_http_stoa_macro_note(cf, grpc) == NGX_OK
           ? ngx_http_stoa_macro_header(cf, *headers, "Host",
                                        "$stoa_upstream_host")
           : NGX_CONF_ERROR;
}


/*
 * Each api has its own maximum (max_body_bytes).  nginx's default of 1m would
 * come before it; any other client_max_body_size is the operator's.
 */

static void
ngx_http_stoa_macro_body(ngx_conf_t *cf)
{
    ngx_http_core_loc_conf_t  *clcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->client_max_body_size == 1024 * 1024) {
        clcf->client_max_body_size = 0;
    }
}


/* A call needs more than nginx's default of 4k, and a second block costs more
 * than a larger first one; any other request_pool_size is the operator's. */

static void
ngx_http_stoa_macro_pool(ngx_conf_t *cf)
{
    ngx_http_core_srv_conf_t  *cscf;

    cscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_core_module);

    if (cscf->request_pool_size == 4096) {
        cscf->request_pool_size = 16384;
    }
}


/*
 * Host and Connection are ours.  Setting any header in a location would hide
 * those of the outer levels, so these come along.
 */

static char *
ngx_http_stoa_macro_headers(ngx_conf_t *cf, ngx_module_t *proxy,
    ngx_http_stoa_macro_conf_t *conf)
{
    ngx_array_t               *own, **slot;
    ngx_keyval_t              *kv;
    ngx_http_stoa_loc_conf_t  *slcf;

    slot = ngx_http_stoa_macro_slot(cf, proxy);

    if (slot == NULL) {
        return NGX_CONF_ERROR;
    }

    own = ngx_array_create(cf->pool, 4, sizeof(ngx_keyval_t));
    if (own == NULL) {
        return NGX_CONF_ERROR;
    }

    if (conf->headers && conf->headers->nelts) {
        slcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_stoa_module);
        slcf->headers_set = 1;

        kv = ngx_array_push_n(own, conf->headers->nelts);
        if (kv == NULL) {
            return NGX_CONF_ERROR;
        }

        ngx_memcpy(kv, conf->headers->elts,
                   conf->headers->nelts * sizeof(ngx_keyval_t));
    }

    *slot = own;

    if (ngx_http_stoa_macro_header(cf, own, "Host", "$stoa_upstream_host")
        != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    return ngx_http_stoa_macro_header(cf, own, "Connection", "");
}


static ngx_array_t *
ngx_http_stoa_macro_inherit(ngx_array_t **slot, ngx_array_t *outer)
{
    return (slot && *slot != NGX_CONF_UNSET_PTR) ? *slot : outer;
}


/* The rows hide a header; a location that hides one does not inherit others,
 * so these come along. */

static char *
ngx_http_stoa_macro_hidden(ngx_conf_t *cf, ngx_module_t *proxy,
    ngx_array_t *hidden)
{
    ngx_str_t    *name;
    ngx_array_t  *own, **slot;

    slot = ngx_http_stoa_macro_place(cf, proxy, "proxy_hide_header",
                                     ngx_conf_set_str_array_slot);

    if (slot == NULL || *slot != NGX_CONF_UNSET_PTR || hidden == NULL) {
        return NGX_CONF_OK;
    }

    own = ngx_array_create(cf->pool, hidden->nelts + 1, sizeof(ngx_str_t));
    if (own == NULL) {
        return NGX_CONF_ERROR;
    }

    name = ngx_array_push_n(own, hidden->nelts);
    if (name == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memcpy(name, hidden->elts, hidden->nelts * sizeof(ngx_str_t));
    *slot = own;

    return NGX_CONF_OK;
}


static ngx_array_t **
ngx_http_stoa_macro_slot(ngx_conf_t *cf, ngx_module_t *proxy)
{
    return ngx_http_stoa_macro_place(cf, proxy, "proxy_set_header",
                                     ngx_conf_set_keyval_slot);
}
