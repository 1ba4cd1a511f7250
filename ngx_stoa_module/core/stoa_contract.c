/*
 * What calls and answers say, by a contract.
 */

#include <string.h>

#include "stoa_contract.h"
#include "stoa_path.h"


static const stoa_contract_op_t *contract_of(const stoa_contract_t *c,
    stoa_str_t method, stoa_str_t path);
static stoa_rc_t contract_value(const stoa_contract_t *c,
    const stoa_contract_param_t *p, stoa_str_t v, stoa_buf_t *b,
    stoa_err_t *err);
static stoa_rc_t contract_list(const stoa_contract_t *c,
    const stoa_contract_param_t *p, const stoa_str_t *values, uint32_t n,
    stoa_buf_t *b, stoa_err_t *err);
static void contract_item(const stoa_contract_param_t *p, stoa_buf_t *b,
    const char *s, size_t len);
static stoa_rc_t contract_text(const stoa_contract_t *c,
    const stoa_contract_param_t *p, const char *s, size_t len,
    stoa_err_t *err);
static bool contract_literal(const char *s, size_t len);


const stoa_contract_op_t *
stoa_contract_find(const stoa_contract_t *c, stoa_str_t method,
    stoa_str_t path)
{
    const stoa_contract_op_t  *op;

    static const stoa_str_t  get = { "GET", 3 };

    op = contract_of(c, method, path);

    return op == NULL && method.len == 4
           && memcmp(method.data, "HEAD", 4) == 0
           ? contract_of(c, get, path) : op;
}


/* Of two that match it is that whose first name comes later: it says more. */

static const stoa_contract_op_t *
contract_of(const stoa_contract_t *c, stoa_str_t method, stoa_str_t path)
{
    size_t                     said, most;
    uint32_t                   i;
    const char                *brace;
    const stoa_contract_op_t  *op, *found;

    found = NULL;
    most = 0;

    for (i = 0; i < c->nops; i++) {
        op = &c->ops[i];

        if (op->method.len != method.len
            || memcmp(op->method.data, method.data, method.len) != 0
            || !stoa_path_match(op->path.data, op->path.len, path.data,
                                path.len))
        {
            continue;
        }

        brace = memchr(op->path.data, '{', op->path.len);
        said = brace ? (size_t) (brace - op->path.data) : SIZE_MAX;

        if (found == NULL || said > most) {
            found = op;
            most = said;
        }
    }

    return found;
}


stoa_str_t
stoa_contract_segment(const stoa_contract_op_t *op, stoa_str_t name,
    stoa_str_t path)
{
    const char  *t, *last, *p, *end, *next;
    stoa_str_t   none = { "", 0 }, got;

    t = op->path.data;
    last = t + op->path.len;
    p = path.data;
    end = p + path.len;

    while (t < last && p < end) {
        t += *t == '/';
        p += *p == '/';
        got.data = p;

        next = memchr(p, '/', (size_t) (end - p));
        p = next ? next : end;
        got.len = (size_t) (p - got.data);

        next = memchr(t, '/', (size_t) (last - t));
        next = next ? next : last;

        if ((size_t) (next - t) == name.len + 2 && *t == '{'
            && memcmp(t + 1, name.data, name.len) == 0)
        {
            return got;
        }

        t = next;
    }

    return none;
}


const stoa_contract_param_t *
stoa_contract_param(const stoa_contract_op_t *op, stoa_contract_in_e in,
    stoa_str_t name)
{
    uint32_t                      i;
    const stoa_contract_param_t  *p;

    for (i = 0; i < op->nparams; i++) {
        p = &op->params[i];

        if (p->in != in || name.len < p->name.len
            || memcmp(p->name.data, name.data, p->name.len) != 0)
        {
            continue;
        }

        if (p->name.len == name.len
            || (p->form == STOA_CONTRACT_ANY
                && name.data[p->name.len] == '['))
        {
            return p;
        }
    }

    return NULL;
}


stoa_rc_t
stoa_contract_judge(const stoa_contract_t *c, const stoa_contract_param_t *p,
    const stoa_str_t *values, uint32_t n, stoa_buf_t *b, stoa_err_t *err)
{
    uint32_t  i;

    memset(err, 0, sizeof(stoa_err_t));

    for (i = 0; i < n; i++) {
        if (!stoa_utf8_valid(values[i].data, values[i].len)) {
            return stoa_err_set(err, "", "must be UTF-8");
        }
    }

    if (p->schema == STOA_CONTRACT_NONE || p->form == STOA_CONTRACT_ANY
        || (p->empty && n == 1 && values[0].len == 0))
    {
        return STOA_OK;
    }

    if (p->form == STOA_CONTRACT_LIST) {
        return contract_list(c, p, values, n, b, err);
    }

    if (n > 1) {
        return stoa_err_set(err, "", "must be there once");
    }

    return p->form == STOA_CONTRACT_JSON
           ? contract_text(c, p, values[0].data, values[0].len, err)
           : contract_value(c, p, values[0], b, err);
}


/* What has the form of a number, true, false or null may be that or a text. */

static stoa_rc_t
contract_value(const stoa_contract_t *c, const stoa_contract_param_t *p,
    stoa_str_t v, stoa_buf_t *b, stoa_err_t *err)
{
    stoa_rc_t  rc;

    if (contract_literal(v.data, v.len)) {
        rc = contract_text(c, p, v.data, v.len, err);

        if (rc != STOA_DECLINED || !p->texts) {
            return rc;
        }
    }

    stoa_buf_reset(b);
    stoa_buf_add_json(b, v.data, v.len);

    return b->rc == STOA_OK ? contract_text(c, p, b->data, b->len, err)
           : b->rc == STOA_FULL ? stoa_err_set(err, "", "is too long")
           : STOA_ERROR;
}


static stoa_rc_t
contract_list(const stoa_contract_t *c, const stoa_contract_param_t *p,
    const stoa_str_t *values, uint32_t n, stoa_buf_t *b, stoa_err_t *err)
{
    uint32_t     i;
    const char  *s, *end, *next;

    if (n > 1 && p->separator) {
        return stoa_err_set(err, "", "must be there once");
    }

    stoa_buf_reset(b);
    stoa_buf_add(b, "[", 1);

    for (i = 0; i < n; i++) {
        s = values[i].data;
        end = s + values[i].len;

        for ( ;; ) {
            next = p->separator && s < end
                   ? memchr(s, p->separator, (size_t) (end - s)) : NULL;

            while (p->in == STOA_CONTRACT_HEADER && s < end && *s == ' ') {
                s++;
            }

            if (b->len > 1) {
                stoa_buf_add(b, ",", 1);
            }

            contract_item(p, b, s, (size_t) ((next ? next : end) - s));

            if (next == NULL) {
                break;
            }

            s = next + 1;
        }
    }

    stoa_buf_add(b, "]", 1);

    return b->rc == STOA_OK ? contract_text(c, p, b->data, b->len, err)
           : b->rc == STOA_FULL ? stoa_err_set(err, "", "is too long")
           : STOA_ERROR;
}


static void
contract_item(const stoa_contract_param_t *p, stoa_buf_t *b, const char *s,
    size_t len)
{
    if (!p->texts && contract_literal(s, len)) {
        stoa_buf_add(b, s, len);

    } else {
        stoa_buf_add_json(b, s, len);
    }
}


static stoa_rc_t
contract_text(const stoa_contract_t *c, const stoa_contract_param_t *p,
    const char *s, size_t len, stoa_err_t *err)
{
    stoa_rc_t        rc;
    stoa_json_val_t  root;

    rc = stoa_json_check(s, len, STOA_JSON_DEPTH_MAX, &root, err);

    return rc == STOA_OK
           ? stoa_jschema_judge_nth(c->schemas, p->schema, &root, err) : rc;
}


static bool
contract_literal(const char *s, size_t len)
{
    return (len && stoa_json_number_end(s, s + len) == s + len)
           || (len == 4 && (memcmp(s, "true", 4) == 0
                            || memcmp(s, "null", 4) == 0))
           || (len == 5 && memcmp(s, "false", 5) == 0);
}


const stoa_contract_media_t *
stoa_contract_media(const stoa_contract_media_t *media, uint32_t n,
    const char *type, size_t len)
{
    char                          a, b;
    size_t                        k, m;
    uint32_t                      i;
    stoa_str_t                    t;
    const stoa_contract_media_t  *found;

    for (k = 0; k < len && type[k] != ';' && type[k] != ' '
         && type[k] != '\t'; k++)
    { /* void */ }

    found = NULL;

    for (i = 0; i < n; i++) {
        t = media[i].type;

        for (m = 0; m < t.len && m < k; m++) {
            a = type[m];
            b = t.data[m];
            a = a >= 'A' && a <= 'Z' ? (char) (a | 0x20) : a;

            if (a != b) {
                break;
            }
        }

        if (m == t.len && m == k) {
            return &media[i];
        }

        /* ranges */

        if ((t.len > 2 && m == t.len - 1 && t.data[m] == '*'
             && memchr(t.data, '/', m))
            || (t.len == 3 && memcmp(t.data, "*/*", 3) == 0 && k))
        {
            found = found && found->type.len > t.len ? found : &media[i];
        }
    }

    return found;
}


const stoa_contract_answer_t *
stoa_contract_answer(const stoa_contract_op_t *op, unsigned status)
{
    uint32_t                       i;
    const stoa_contract_answer_t  *a, *found;

    found = NULL;

    for (i = 0; i < op->nanswers; i++) {
        a = &op->answers[i];

        if (a->from == status && a->to == status) {
            return a;
        }

        if ((a->from <= status && status <= a->to)
            || (a->from == 0 && found == NULL))
        {
            found = a;
        }
    }

    return found;
}
