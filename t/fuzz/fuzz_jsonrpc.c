/* The JSON-RPC scanner: its one pass finds what the cursor finds, and the
 * quick way through plain texts what the strict one finds. */

#include "fuzz.h"
#include "stoa_jsonrpc.h"


static void
same(const stoa_json_val_t *object, const char *name,
    const stoa_json_val_t *got)
{
    stoa_json_val_t  val;

    if (object->start == NULL || !stoa_json_get(object, name, &val)
        || val.type == STOA_JSON_NULL)
    {
        val.start = NULL;
    }

    must(val.start == got->start);
    must(val.start == NULL || val.end == got->end);
}

/* The strict reader's judgement, whichever way was taken. */

static void
twice(const char *s, size_t size, const stoa_jsonrpc_t *m, stoa_rc_t rc,
    int code)
{
    int              other;
    size_t           i;
    stoa_err_t       err;
    stoa_jsonrpc_t   n;

    const stoa_json_val_t  *a[] = { &m->id, &m->params, &m->name, &m->uri,
        &m->cursor, &m->arguments, &m->protocol_version, &m->request_id,
        &m->meta, &m->meta_version, &m->meta_caps };
    const stoa_json_val_t  *b[] = { &n.id, &n.params, &n.name, &n.uri,
        &n.cursor, &n.arguments, &n.protocol_version, &n.request_id,
        &n.meta, &n.meta_version, &n.meta_caps };

    must(stoa_jsonrpc_scan_strictly(s, size, &n, &other, &err) == rc);
    must(code == other && m->kind == n.kind && m->method == n.method);
    must(m->method_name.len == n.method_name.len
         && memcmp(m->method_name.data, n.method_name.data,
                   n.method_name.len) == 0);
    must(m->ambiguous == n.ambiguous);

    for (i = 0; i < sizeof(a) / sizeof(a[0]); i++) {
        must(a[i]->start == b[i]->start);
        must(a[i]->start == NULL
             || (a[i]->end == b[i]->end && a[i]->type == b[i]->type
                 && a[i]->escaped == b[i]->escaped));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int              code;
    stoa_rc_t        rc;
    stoa_err_t       err;
    const char      *s = (const char *) data;
    stoa_jsonrpc_t   m;
    stoa_json_val_t  root;

    rc = stoa_jsonrpc_scan(s, size, &m, &code, &err);
    must((rc == STOA_OK) == (code == 0));
    twice(s, size, &m, rc, code);

    if (stoa_json_check(s, size, 64, &root, NULL) != STOA_OK) {
        must(code == -32700);
        return 0;
    }

    if (rc != STOA_OK || m.kind == STOA_JSONRPC_BATCH) {
        must(rc == STOA_OK || err.offset <= size);
        return 0;
    }

    same(&root, "id", &m.id);
    same(&root, "params", &m.params);
    same(&m.params, "name", &m.name);
    same(&m.params, "cursor", &m.cursor);
    same(&m.params, "arguments", &m.arguments);
    same(&m.params, "_meta", &m.meta);
    same(&m.meta, "io.modelcontextprotocol/protocolVersion", &m.meta_version);
    same(&m.meta, "io.modelcontextprotocol/clientCapabilities", &m.meta_caps);

    return 0;
}
