/*
 * The parameters of a call, and bodies, by a contract.
 */

#include "ngx_http_stoa_openapi.h"
#include "ngx_http_stoa_api.h"
#include "ngx_http_stoa_header.h"


typedef struct {
    stoa_str_t  name;
    stoa_str_t  value;
} ngx_http_stoa_openapi_arg_t;

/* One look at a call. */

typedef struct {
    ngx_http_request_t           *r;
    ngx_http_stoa_ctx_t          *ctx;
    const stoa_contract_t        *contract;
    const stoa_contract_op_t     *op;
    ngx_http_stoa_openapi_arg_t  *args;        /* of the query               */
    ngx_uint_t                    nargs;
    stoa_str_t                    values[STOA_CONTRACT_VALUES];
    uint32_t                      n;           /* more than the maximum: too
                                                  many                       */
    ngx_str_t                    *words;
} ngx_http_stoa_openapi_call_t;


static ngx_uint_t ngx_http_stoa_openapi_shape(stoa_str_t one, stoa_str_t two);
static ngx_int_t ngx_http_stoa_openapi_query(ngx_http_stoa_openapi_call_t *c);
static ngx_int_t ngx_http_stoa_openapi_strict(
    ngx_http_stoa_openapi_call_t *c);
static ngx_int_t ngx_http_stoa_openapi_param(ngx_http_stoa_openapi_call_t *c,
    const stoa_contract_param_t *p, stoa_buf_t *b);
static void ngx_http_stoa_openapi_value(ngx_http_stoa_openapi_call_t *c,
    const char *data, size_t len);
static void ngx_http_stoa_openapi_header(ngx_http_stoa_openapi_call_t *c,
    const stoa_contract_param_t *p);
static void ngx_http_stoa_openapi_cookie(ngx_http_stoa_openapi_call_t *c,
    const stoa_contract_param_t *p, const ngx_str_t *line);
static ngx_int_t ngx_http_stoa_openapi_say(ngx_http_stoa_openapi_call_t *c,
    stoa_contract_in_e in, stoa_str_t name, const stoa_err_t *err,
    const char *text);


static const char *const  ngx_http_stoa_openapi_ins[] = {
    "path", "query", "headers", "cookies"
};


void
ngx_http_stoa_openapi_ops(const stoa_contract_t *c, const stoa_rec_api_t *rec,
    const stoa_contract_op_t **ops)
{
    uint32_t                     i, k, next;
    stoa_str_t                   method, path;
    const stoa_contract_op_t    *op;
    const stoa_rec_operation_t  *row;

    row = stoa_rec_vec(rec, rec->operations, stoa_rec_operation_t);

    /* mostly in one order: the next is looked at first */

    for (i = 0, next = 0; i < rec->operations.n; i++) {
        method = stoa_rec_str(rec, row[i].method);
        path = stoa_rec_str(rec, row[i].path);
        ops[i] = NULL;

        for (k = 0; k < c->nops && ops[i] == NULL; k++) {
            op = &c->ops[(next + k) % c->nops];

            if (op->method.len == method.len
                && ngx_memcmp(op->method.data, method.data, method.len) == 0
                && ngx_http_stoa_openapi_shape(op->path, path))
            {
                ops[i] = op;
                next = (uint32_t) (op - c->ops) + 1;
            }
        }
    }
}


/* The same path, whatever its names are. */

static ngx_uint_t
ngx_http_stoa_openapi_shape(stoa_str_t one, stoa_str_t two)
{
    const char  *a, *b, *a_end, *b_end;

    a = one.data;
    b = two.data;
    a_end = a + one.len;
    b_end = b + two.len;

    while (a < a_end && b < b_end && *a == *b) {

        if (*a == '{') {
            while (a < a_end && *a != '}') {
                a++;
            }

            while (b < b_end && *b != '}') {
                b++;
            }

        } else {
            a++;
            b++;
        }

        if (a < a_end && b < b_end && *a == '}' && *b == '}') {
            a++;
            b++;
        }
    }

    return a == a_end && b == b_end;
}


ngx_int_t
ngx_http_stoa_openapi_params(ngx_http_request_t *r, ngx_http_stoa_ctx_t *ctx,
    const stoa_contract_t *contract, const stoa_contract_op_t *op,
    ngx_uint_t strict, ngx_str_t *words)
{
    uint32_t                       i;
    ngx_int_t                      rc;
    stoa_buf_t                     b;
    ngx_http_stoa_openapi_call_t   c;

    c.r = r;
    c.ctx = ctx;
    c.contract = contract;
    c.op = op;
    c.nargs = 0;
    c.words = words;

    rc = r->args.len ? ngx_http_stoa_openapi_query(&c) : NGX_OK;

    stoa_buf_init(&b, 256 * 1024);

    for (i = 0; rc == NGX_OK && i < op->nparams; i++) {
        rc = ngx_http_stoa_openapi_param(&c, &op->params[i], &b);
    }

    stoa_buf_free(&b);

    return rc == NGX_OK && strict && c.nargs
           ? ngx_http_stoa_openapi_strict(&c) : rc;
}


/* Arguments are what stands between "&", decoded. */

static ngx_int_t
ngx_http_stoa_openapi_query(ngx_http_stoa_openapi_call_t *c)
{
    u_char                       *p, *end, *last, *eq, *dst;
    ngx_uint_t                    n;
    ngx_http_stoa_openapi_arg_t  *arg;

    last = c->r->args.data + c->r->args.len;

    for (p = c->r->args.data, n = 1; p < last; p++) {
        n += *p == '&';
    }

    dst = ngx_pnalloc(c->r->pool, c->r->args.len);
    c->args = ngx_palloc(c->r->pool, n * sizeof(ngx_http_stoa_openapi_arg_t));

    if (dst == NULL || c->args == NULL) {
        return NGX_ERROR;
    }

    for (p = c->r->args.data; p < last; p = end + 1) {
        end = ngx_strlchr(p, last, '&');
        end = end ? end : last;

        if (end == p) {
            continue;
        }

        eq = ngx_strlchr(p, end, '=');
        eq = eq ? eq : end;
        arg = &c->args[c->nargs++];

        arg->name.data = (char *) dst;
        arg->name.len = ngx_http_stoa_policy_shape_decode(dst, p, eq);
        dst += arg->name.len;

        arg->value.data = (char *) dst;
        arg->value.len = eq < end
                         ? ngx_http_stoa_policy_shape_decode(dst, eq + 1, end)
                         : 0;
        dst += arg->value.len;
    }

    return NGX_OK;
}


/* Keys may be there, too. */

static ngx_int_t
ngx_http_stoa_openapi_strict(ngx_http_stoa_openapi_call_t *c)
{
    uint32_t               k;
    stoa_str_t             name, key;
    ngx_uint_t             i;
    const stoa_rec_api_t  *rec;

    rec = c->ctx->call.api->rec;
    key = stoa_rec_str(rec, rec->key_query);

    for (i = 0; i < c->nargs; i++) {
        name = c->args[i].name;

        if (stoa_contract_param(c->op, STOA_CONTRACT_QUERY, name)
            || (key.len && key.len == name.len
                && ngx_memcmp(key.data, name.data, key.len) == 0))
        {
            continue;
        }

        for (k = 0; k < c->contract->narguments; k++) {
            if (c->contract->arguments[k].len == name.len
                && ngx_memcmp(c->contract->arguments[k].data, name.data,
                              name.len)
                   == 0)
            {
                break;
            }
        }

        if (k == c->contract->narguments) {
            ngx_str_set(c->words, "The query has a parameter that the "
                        "operation does not have.");
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_stoa_openapi_param(ngx_http_stoa_openapi_call_t *c,
    const stoa_contract_param_t *p, stoa_buf_t *b)
{
    stoa_rc_t    rc;
    stoa_str_t   s, path;
    stoa_err_t   err;
    ngx_uint_t   i;

    c->n = 0;

    switch (p->in) {

    case STOA_CONTRACT_PATH:
        path.data = (char *) c->ctx->call.path.data;
        path.len = c->ctx->call.path.len;
        s = stoa_contract_segment(c->op, p->name, path);

        if (s.len) {
            ngx_http_stoa_openapi_value(c, s.data, s.len);
        }

        break;

    case STOA_CONTRACT_QUERY:
        for (i = 0; i < c->nargs; i++) {
            if (c->args[i].name.len == p->name.len
                && ngx_memcmp(c->args[i].name.data, p->name.data, p->name.len)
                   == 0)
            {
                ngx_http_stoa_openapi_value(c, c->args[i].value.data,
                                            c->args[i].value.len);
            }
        }

        break;

    default:
        ngx_http_stoa_openapi_header(c, p);
        break;
    }

    if (c->n == 0) {
        return p->required
               ? ngx_http_stoa_openapi_say(c, p->in, p->name, NULL,
                                           "is missing")
               : NGX_OK;
    }

    if (c->n > STOA_CONTRACT_VALUES) {
        return ngx_http_stoa_openapi_say(c, p->in, p->name, NULL,
                                         "is there too often");
    }

    rc = stoa_contract_judge(c->contract, p, c->values, c->n, b, &err);

    return rc == STOA_OK ? NGX_OK
           : rc == STOA_DECLINED
           ? ngx_http_stoa_openapi_say(c, p->in, p->name, &err, NULL)
           : NGX_ERROR;
}


static void
ngx_http_stoa_openapi_value(ngx_http_stoa_openapi_call_t *c, const char *data,
    size_t len)
{
    if (c->n < STOA_CONTRACT_VALUES) {
        c->values[c->n].data = data;
        c->values[c->n].len = len;
    }

    c->n += c->n <= STOA_CONTRACT_VALUES;
}


static void
ngx_http_stoa_openapi_header(ngx_http_stoa_openapi_call_t *c,
    const stoa_contract_param_t *p)
{
    ngx_str_t                     v;
    ngx_table_elt_t              *h;
    ngx_http_stoa_header_walk_t   w;

    for (h = ngx_http_stoa_header_first(&w, &c->r->headers_in.headers.part);
         h;
         h = ngx_http_stoa_header_next(&w))
    {
        if (p->in == STOA_CONTRACT_COOKIE) {
            if (ngx_http_stoa_header_is(h, "cookie")) {
                ngx_http_stoa_openapi_cookie(c, p, &h->value);
            }

        } else if (ngx_http_stoa_header_equal(h, p->name.data, p->name.len)) {
            v = h->value;

            while (v.len && (*v.data == ' ' || *v.data == '\t')) {
                v.data++;
                v.len--;
            }

            ngx_http_stoa_openapi_value(c, (char *) v.data, v.len);
        }
    }
}


static void
ngx_http_stoa_openapi_cookie(ngx_http_stoa_openapi_call_t *c,
    const stoa_contract_param_t *p, const ngx_str_t *line)
{
    u_char  *s, *end, *last, *eq;

    last = line->data + line->len;

    for (s = line->data; s < last; s = end + 1) {
        end = ngx_strlchr(s, last, ';');
        end = end ? end : last;

        while (s < end && *s == ' ') {
            s++;
        }

        eq = ngx_strlchr(s, end, '=');

        if (eq && (size_t) (eq - s) == p->name.len
            && ngx_memcmp(s, p->name.data, p->name.len) == 0)
        {
            ngx_http_stoa_openapi_value(c, (char *) eq + 1, end - eq - 1);
        }
    }
}


static ngx_int_t
ngx_http_stoa_openapi_say(ngx_http_stoa_openapi_call_t *c,
    stoa_contract_in_e in, stoa_str_t name, const stoa_err_t *err,
    const char *text)
{
    u_char  *p;
    size_t   len;

    len = name.len + sizeof(stoa_err_t) + 128;

    p = ngx_pnalloc(c->r->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    c->words->data = p;
    p = ngx_slprintf(p, p + len, "The parameter \"%*s\" of the %s%s%s: %s",
                     name.len, name.data, ngx_http_stoa_openapi_ins[in],
                     err && err->field[0] ? ", at " : "",
                     err ? err->field : "", err ? err->text : text);
    c->words->len = p - c->words->data;

    return NGX_DECLINED;
}


stoa_rc_t
ngx_http_stoa_openapi_json(const stoa_contract_t *c, uint32_t schema,
    const ngx_str_t *body, stoa_err_t *err)
{
    stoa_rc_t        rc;
    stoa_json_val_t  root;

    ngx_memzero(err, sizeof(stoa_err_t));
    rc = STOA_OK;

    if (!stoa_json_plain((char *) body->data, body->len, NULL, NULL, &root)) {
        rc = stoa_json_check((char *) body->data, body->len,
                             STOA_JSON_DEPTH_MAX, &root, err);
    }

    return rc == STOA_OK
           ? stoa_jschema_judge_nth(c->schemas, schema, &root, err) : rc;
}
