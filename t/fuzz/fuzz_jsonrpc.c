/* The JSON-RPC scanner: its one pass finds what the cursor finds. */

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
