/*
 * A batch of the spool as the control plane takes it.
 *
 * Process: the report thread of worker 0.
 */

#include "ngx_http_stoa_sync.h"
#include "core/stoa_key.h"


#define SPOOL_ROW_1      216         /* bytes of a row of version 0.1,       */
#define SPOOL_ROW_2      272         /* ... of one without tokens            */


static ngx_uint_t ngx_http_stoa_spool_row(ngx_http_stoa_spool_row_t *row,
    const u_char *p, size_t size);
static void ngx_http_stoa_spool_refused(stoa_buf_t *b, const char *code);
static void ngx_http_stoa_spool_model(stoa_buf_t *b, const char *name);
static void ngx_http_stoa_spool_number(stoa_buf_t *b, const char *name,
    uint64_t n);
static void ngx_http_stoa_spool_id(stoa_buf_t *b, const char *name,
    const stoa_id_t *id);


/* A batch that an earlier version made has smaller rows: without tokens, and
 * before that keys without a credential, fewer buckets. */

static ngx_uint_t
ngx_http_stoa_spool_row(ngx_http_stoa_spool_row_t *row, const u_char *p,
    size_t size)
{
    size_t  key, val;

    ngx_memzero(row, sizeof(ngx_http_stoa_spool_row_t));

    key = size >= SPOOL_ROW_2
          ? sizeof(row->key) : offsetof(ngx_http_stoa_usage_key_t, credential);
    val = size - key;

    ngx_memcpy(&row->key, p, key);
    ngx_memcpy(&row->val, p + key, val);

    val = ngx_min(val, sizeof(row->val.of));

    return (val - offsetof(ngx_http_stoa_usage_val_t, latency))
           / sizeof(row->val.of.latency[0]);
}


void
ngx_http_stoa_spool_json(stoa_buf_t *b,
    const ngx_http_stoa_spool_batch_t *data, size_t size)
{
    char                         hex[2 * sizeof(data->file)];
    uint64_t                     i;
    ngx_uint_t                   j, n;
    ngx_http_stoa_spool_row_t    row;
    ngx_http_stoa_spool_batch_t  batch;

    static const char *const  classes[] = { "c2xx", "c3xx", "c4xx", "c5xx" };
    static const char *const  tokens[] = { "tokens_in", "tokens_out",
                                           "tokens_cached" };

    /* LMDB gives no alignment here */

    if (size != sizeof(ngx_http_stoa_spool_row_t) && size != SPOOL_ROW_1
        && size != SPOOL_ROW_2)
    {
        return;
    }

    ngx_memcpy(&batch, data, sizeof(batch));

    stoa_hex_encode(batch.file, sizeof(batch.file), hex);

    stoa_buf_addf(b, "{\"file\":\"%.32s\",\"batch\":%llu,\"from_ms\":%llu,"
                  "\"to_ms\":%llu,\"rows\":[", hex,
                  (unsigned long long) batch.batch,
                  (unsigned long long) batch.from_ms,
                  (unsigned long long) batch.to_ms);

    for (i = 0; i < batch.nrows; i++) {
        n = ngx_http_stoa_spool_row(&row, (const u_char *) data
                                          + sizeof(batch) + i * size, size);

        stoa_buf_addz(b, i ? ",{" : "{");
        ngx_http_stoa_spool_id(b, "tenant", &row.key.tenant);
        ngx_http_stoa_spool_id(b, "application", &row.key.application);
        ngx_http_stoa_spool_id(b, "subscription", &row.key.subscription);
        ngx_http_stoa_spool_id(b, "api", &row.key.api);
        ngx_http_stoa_spool_id(b, "operation", &row.key.operation);
        ngx_http_stoa_spool_id(b, "credential", &row.key.credential);

        ngx_http_stoa_spool_refused(b, row.key.refused);

        for (j = 0; j < 4; j++) {
            ngx_http_stoa_spool_number(b, classes[j], row.val.of.class[j]);
        }

        for (j = 0; j < STOA_LLM_KINDS; j++) {
            if (row.val.tokens[j]) {
                ngx_http_stoa_spool_number(b, tokens[j], row.val.tokens[j]);
            }
        }

        ngx_http_stoa_spool_model(b, row.model);
        ngx_http_stoa_spool_number(b, "bytes_in", row.val.of.bytes_in);
        ngx_http_stoa_spool_number(b, "bytes_out", row.val.of.bytes_out);
        stoa_buf_addz(b, ",\"latency_us\":[");

        for (j = 0; j < n; j++) {
            stoa_buf_addf(b, "%s%u", j ? "," : "",
                          (unsigned) row.val.of.latency[j]);
        }

        stoa_buf_addz(b, "]}");
    }

    stoa_buf_addz(b, "]}");
}


/*
 * The counter file may have been damaged.  A batch that is no JSON, or with
 * what is no identifier and no number, would be refused for ever, and those
 * behind it would wait.
 */

static void
ngx_http_stoa_spool_id(stoa_buf_t *b, const char *name, const stoa_id_t *id)
{
    stoa_buf_addf(b, "\"%s\":\"%.*s\",", name,
                  stoa_id_valid(id->c, STOA_ID_LEN) ? STOA_ID_LEN : 0, id->c);
}


static void
ngx_http_stoa_spool_refused(stoa_buf_t *b, const char *code)
{
    size_t  n;

    for (n = 0; n < NGX_HTTP_STOA_REFUSED_LEN && code[n]; n++) {
        if ((code[n] < 'a' || code[n] > 'z') && code[n] != '_') {
            n = 0;
            break;
        }
    }

    stoa_buf_addf(b, "\"refused\":\"%.*s\"", (int) n, code);
}


static void
ngx_http_stoa_spool_model(stoa_buf_t *b, const char *name)
{
    size_t  n;

    for (n = 0; n <= STOA_LLM_MODEL && name[n]; n++) {
        if (name[n] <= ' ' || name[n] > '~' || name[n] == '"'
            || name[n] == '\\')
        {
            return;
        }
    }

    if (n && n <= STOA_LLM_MODEL) {
        stoa_buf_addf(b, ",\"model\":\"%s\"", name);
    }
}


static void
ngx_http_stoa_spool_number(stoa_buf_t *b, const char *name, uint64_t n)
{
    stoa_buf_addf(b, ",\"%s\":%llu", name,
                  (unsigned long long) (n > INT64_MAX ? 0 : n));
}
