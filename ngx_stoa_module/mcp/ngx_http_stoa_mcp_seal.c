
/*
 * The keys of the gateway's group by which MCP seals: read from the store when
 * the configuration has changed.
 *
 * Process: workers.
 */

#include "ngx_http_stoa_mcp.h"
#include "ngx_http_stoa_store.h"
#include "stoa_seal.h"


/* Of this worker: what the ring was made of, and when that was looked at. */

static uint64_t         ngx_http_stoa_mcp_keys_generation;
static ngx_uint_t       ngx_http_stoa_mcp_keys_n;
static stoa_seal_key_t  ngx_http_stoa_mcp_keys_of[STOA_SEAL_KEYS];


ngx_int_t
ngx_http_stoa_mcp_keys(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx)
{
    (void) ctx;

    ngx_http_stoa_mcp_keys_fresh(r);

    return ngx_http_stoa_mcp_keys_n
           ? NGX_OK
           : ngx_http_stoa_refuse(r, NGX_HTTP_STOA_REFUSE_NOT_READY, NULL);
}


void
ngx_http_stoa_mcp_keys_fresh(ngx_http_request_t *r)
{
    uint64_t                    generation;
    ngx_uint_t                  i, n;
    const void                 *recs[STOA_SEAL_KEYS];
    stoa_seal_key_t             keys[STOA_SEAL_KEYS];
    const stoa_rec_sealkey_t   *rec;
    ngx_http_stoa_main_conf_t  *mcf;

    mcf = ngx_http_get_module_main_conf(r, ngx_http_stoa_module);
    generation = ngx_http_stoa_store_generation(mcf->store);

    if (generation != ngx_http_stoa_mcp_keys_generation) {

        n = ngx_http_stoa_store_sealkeys(mcf->store, recs, STOA_SEAL_KEYS);
        ngx_memzero(keys, sizeof(keys));

        for (i = 0; i < n; i++) {
            rec = recs[i];
            keys[i].kid = rec->kid;
            keys[i].since_ms = rec->since_ms;
            ngx_memcpy(keys[i].key, rec->key, sizeof(rec->key));
        }

        if (n != ngx_http_stoa_mcp_keys_n
            || ngx_memcmp(keys, ngx_http_stoa_mcp_keys_of, sizeof(keys)) != 0)
        {
            stoa_seal_keys(keys, n);
            ngx_http_stoa_mcp_session_forget();
            ngx_memcpy(ngx_http_stoa_mcp_keys_of, keys, sizeof(keys));
        }

        ngx_explicit_memzero(keys, sizeof(keys));
        ngx_http_stoa_mcp_keys_n = n;
        ngx_http_stoa_mcp_keys_generation = generation;
    }
}


void
ngx_http_stoa_mcp_keys_exit(void)
{
    ngx_explicit_memzero(ngx_http_stoa_mcp_keys_of,
                         sizeof(ngx_http_stoa_mcp_keys_of));
    ngx_http_stoa_mcp_keys_generation = 0;
    ngx_http_stoa_mcp_keys_n = 0;

    stoa_seal_exit();
}
