/*
 * What the control plane asks about a call that nobody makes: reads it, has it
 * looked at, says what was seen as its tenant may know it.
 *
 * The control plane has checked it; what is here none the less no call is not
 * answered.  Process: worker 0.
 */

#include "ngx_http_stoa_observe.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_store.h"
#include "core/stoa_key.h"


#define EXPLAIN_HEADERS  64


typedef struct {
    const char  *name;
    size_t       at;                  /* of an ngx_str_t in what is asked    */
    ngx_uint_t   least;               /* bytes                               */
} ngx_http_stoa_explain_text_t;


static ngx_int_t ngx_http_stoa_explain_read(ngx_pool_t *pool,
    const stoa_json_val_t *v, ngx_http_stoa_asked_t *asked);
static ngx_int_t ngx_http_stoa_explain_headers(ngx_pool_t *pool,
    const stoa_json_val_t *v, ngx_http_stoa_asked_t *asked);
static ngx_int_t ngx_http_stoa_explain_text(ngx_pool_t *pool,
    const stoa_json_val_t *v, ngx_str_t *text);
static ngx_uint_t ngx_http_stoa_explain_method(const ngx_str_t *name);


static const ngx_http_stoa_explain_text_t  ngx_http_stoa_explain_texts[] = {
    { "method",  offsetof(ngx_http_stoa_asked_t, method),  1 },
    { "host",    offsetof(ngx_http_stoa_asked_t, host),    0 },
    { "path",    offsetof(ngx_http_stoa_asked_t, uri),     1 },
    { "address", offsetof(ngx_http_stoa_asked_t, address), 0 },
    { "body",    offsetof(ngx_http_stoa_asked_t, body),    0 },
    { NULL, 0, 0 }
};

static const struct {
    ngx_str_t   name;
    ngx_uint_t  bit;
} ngx_http_stoa_explain_methods[] = {
    { ngx_string("GET"), NGX_HTTP_GET },
    { ngx_string("HEAD"), NGX_HTTP_HEAD },
    { ngx_string("POST"), NGX_HTTP_POST },
    { ngx_string("PUT"), NGX_HTTP_PUT },
    { ngx_string("DELETE"), NGX_HTTP_DELETE },
    { ngx_string("OPTIONS"), NGX_HTTP_OPTIONS },
    { ngx_string("PATCH"), NGX_HTTP_PATCH },
    { ngx_null_string, NGX_HTTP_UNKNOWN }
};


void
ngx_http_stoa_explain(ngx_http_stoa_main_conf_t *mcf, ngx_log_t *log,
    const stoa_id_t *tenant, const stoa_json_val_t *v, stoa_buf_t *b)
{
    ngx_uint_t                    given;
    ngx_pool_t                   *pool;
    ngx_http_stoa_asked_t         asked;
    const stoa_rec_credential_t  *cred;

    static ngx_http_stoa_seen_t   seen;

    pool = ngx_create_pool(4096, log);
    if (pool == NULL) {
        return;
    }

    ngx_memzero(&asked, sizeof(ngx_http_stoa_asked_t));

    if (ngx_http_stoa_explain_read(pool, v, &asked) != NGX_OK
        || mcf->store == NULL
        || ngx_http_stoa_store_enter(mcf->store) != NGX_OK)
    {
        goto done;
    }

    given = asked.address.len;

    if (!given) {
        ngx_str_set(&asked.address, "127.0.0.1");
    }

    /* another tenant's is none */

    cred = asked.credential.c[0]
           ? ngx_http_stoa_store_credential(mcf->store, &asked.credential)
           : NULL;

    if (cred && ngx_memcmp(&cred->tenant, tenant, sizeof(stoa_id_t)) != 0) {
        goto done;
    }

    if (ngx_http_stoa_look(&asked, log, &seen) != NGX_OK) {
        goto done;
    }

    /* who asks without a credential is who would call; and from where others
     * may be called is not to be tried out */

    if (seen.traced.consumer.c[0] == '\0') {
        seen.traced.consumer = *tenant;
    }

    if (given && ngx_memcmp(&seen.traced.tenant, tenant, sizeof(stoa_id_t))
                 != 0)
    {
        stoa_buf_addz(b, "{\"foreign\":\"address\"}");
        goto done;
    }

    ngx_http_stoa_traces_one(mcf, &seen.traced, tenant, &seen, b);

done:

    ngx_destroy_pool(pool);
}


static ngx_int_t
ngx_http_stoa_explain_read(ngx_pool_t *pool, const stoa_json_val_t *v,
    ngx_http_stoa_asked_t *asked)
{
    ngx_str_t                            *to;
    stoa_str_t                            id;
    stoa_json_val_t                       val;
    const ngx_http_stoa_explain_text_t   *row;

    if (v->type != STOA_JSON_OBJECT) {
        return NGX_DECLINED;
    }

    for (row = ngx_http_stoa_explain_texts; row->name; row++) {
        to = (ngx_str_t *) ((u_char *) asked + row->at);

        if (stoa_json_get(v, row->name, &val)
            && ngx_http_stoa_explain_text(pool, &val, to) != NGX_OK)
        {
            return NGX_DECLINED;
        }

        if (to->len < row->least) {
            return NGX_DECLINED;
        }
    }

    if (stoa_json_get_text(v, "credential", &id)) {

        if (!stoa_id_valid(id.data, id.len)) {
            return NGX_DECLINED;
        }

        ngx_memcpy(&asked->credential, id.data, sizeof(stoa_id_t));
    }

    asked->method_bit = ngx_http_stoa_explain_method(&asked->method);

    return stoa_json_get(v, "headers", &val)
           ? ngx_http_stoa_explain_headers(pool, &val, asked) : NGX_OK;
}


static ngx_int_t
ngx_http_stoa_explain_headers(ngx_pool_t *pool, const stoa_json_val_t *v,
    ngx_http_stoa_asked_t *asked)
{
    ngx_keyval_t      *h;
    stoa_json_val_t    key, val;
    stoa_json_iter_t   it;

    h = ngx_palloc(pool, EXPLAIN_HEADERS * sizeof(ngx_keyval_t));

    if (h == NULL || v->type != STOA_JSON_OBJECT) {
        return NGX_DECLINED;
    }

    asked->headers = h;

    if (!stoa_json_first(v, &it, &key, &val)) {
        return NGX_OK;
    }

    do {
        if (asked->nheaders == EXPLAIN_HEADERS
            || ngx_http_stoa_explain_text(pool, &key, &h->key) != NGX_OK
            || ngx_http_stoa_explain_text(pool, &val, &h->value) != NGX_OK)
        {
            return NGX_DECLINED;
        }

        asked->nheaders++;
        h++;

    } while (stoa_json_next(&it, &key, &val));

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_explain_text(ngx_pool_t *pool, const stoa_json_val_t *v,
    ngx_str_t *text)
{
    if (v->type != STOA_JSON_STRING) {
        return NGX_DECLINED;
    }

    text->data = ngx_pnalloc(pool, v->end - v->start);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    text->len = stoa_json_unescape(v, (char *) text->data);

    return NGX_OK;
}


static ngx_uint_t
ngx_http_stoa_explain_method(const ngx_str_t *name)
{
    ngx_uint_t  i;

    for (i = 0; ngx_http_stoa_explain_methods[i].name.len; i++) {
        if (ngx_http_stoa_explain_methods[i].name.len == name->len
            && ngx_memcmp(ngx_http_stoa_explain_methods[i].name.data,
                          name->data, name->len)
               == 0)
        {
            break;
        }
    }

    return ngx_http_stoa_explain_methods[i].bit;
}
