/*
 * Ids of upstream sessions, sealed, in their entry or in a block.
 *
 * A block names its entry, and the entry the block: one that is not named back
 * is free, so nothing is lost when a process is killed between the two.  Both
 * are written under the lock of the class.
 */

#include "ngx_http_stoa_mcp_block.h"
#include "ngx_http_stoa_time.h"
#include "stoa_seal.h"


#define NGX_HTTP_STOA_MCP_PROBES  32     /* then the idlest of them goes     */
#define NGX_HTTP_STOA_MCP_KNOWN   512


typedef struct {
    uint64_t  owner;                 /* index of the entry + 1               */
    uint64_t  key;                   /* of what is sealed                    */
    u_char    text[];
} ngx_http_stoa_mcp_block_t;


/* What was opened, by key: to open it again costs as much as a sixth of a
 * call.  Of this worker; the text is what tells whether it is still that. */

typedef struct {
    uint64_t  key;
    uint16_t  len;
    uint16_t  n;
    u_char    text[NGX_HTTP_STOA_MCP_INLINE];
    u_char    sid[NGX_HTTP_STOA_MCP_INLINE];
} ngx_http_stoa_mcp_known_t;


static ngx_http_stoa_mcp_known_t
    ngx_http_stoa_mcp_known[NGX_HTTP_STOA_MCP_KNOWN];

static const size_t  ngx_http_stoa_mcp_block_text[NGX_HTTP_STOA_MCP_CLASSES]
    = { 720, 5520 };

_Static_assert(stoa_seal_text_len(STOA_MCP_SID_MAX) <= 5520,
               "the longest id fits");


uint64_t
ngx_http_stoa_mcp_block_size(ngx_uint_t class)
{
    return sizeof(ngx_http_stoa_mcp_block_t)
           + ngx_http_stoa_mcp_block_text[class];
}


ngx_http_stoa_mcp_entry_t *
ngx_http_stoa_mcp_block_entry(ngx_http_stoa_mcp_map_t *m, uint64_t i)
{
    return (ngx_http_stoa_mcp_entry_t *) ((u_char *) m + m->entries_off) + i;
}


static ngx_http_stoa_mcp_block_t *
ngx_http_stoa_mcp_block(ngx_http_stoa_mcp_map_t *m, ngx_uint_t class,
    uint64_t i)
{
    return (ngx_http_stoa_mcp_block_t *)
           ((u_char *) m + m->class[class].off
            + i * ngx_http_stoa_mcp_block_size(class));
}


/* NULL: nobody has it.  What another set's lock guards may change at any
 * time: it is only looked at. */

static ngx_http_stoa_mcp_entry_t *
ngx_http_stoa_mcp_block_owner(ngx_http_stoa_mcp_map_t *m, ngx_uint_t class,
    uint64_t i)
{
    uint64_t                    owner;
    ngx_http_stoa_mcp_entry_t  *e;

    owner = ngx_http_stoa_mcp_block(m, class, i)->owner;

    if (owner == 0 || owner > m->nsets * NGX_HTTP_STOA_MCP_WAYS) {
        return NULL;
    }

    e = ngx_http_stoa_mcp_block_entry(m, owner - 1);

    return e->block == i + 1 && e->class == class ? e : NULL;
}


static ngx_int_t
ngx_http_stoa_mcp_block_open(uint64_t key, const ngx_http_stoa_mcp_entry_t *e,
    const u_char *text, size_t len, ngx_http_stoa_mcp_upstream_t *out)
{
    size_t   n;
    uint8_t  plain[STOA_MCP_SID_MAX + 64];

    n = 0;

    if (len > stoa_seal_text_len(STOA_MCP_SID_MAX)
        || (len && !stoa_seal_open(STOA_SEAL_UPSTREAM,
                                   (stoa_str_t) { (char *) &key,
                                                  sizeof(key) },
                                   (stoa_str_t) { (char *) text, len },
                                   plain, &n))
        || n > STOA_MCP_SID_MAX)
    {
        return NGX_DECLINED;
    }

    out->version = e->version;
    out->target = e->target;
    out->api = e->api;
    out->len = n;
    ngx_memcpy(out->sid, plain, n);

    return NGX_OK;
}


/* The same of what stands in its entry. */

static ngx_int_t
ngx_http_stoa_mcp_block_inline(uint64_t key,
    const ngx_http_stoa_mcp_entry_t *e, ngx_http_stoa_mcp_upstream_t *out)
{
    ngx_http_stoa_mcp_known_t  *k;

    k = &ngx_http_stoa_mcp_known[(key ^ key >> 32) % NGX_HTTP_STOA_MCP_KNOWN];

    if (k->key == key && k->len == e->len
        && ngx_memcmp(k->text, e->text, e->len) == 0)
    {
        out->version = e->version;
        out->target = e->target;
        out->api = e->api;
        out->len = k->n;
        ngx_memcpy(out->sid, k->sid, k->n);
        return NGX_OK;
    }

    if (ngx_http_stoa_mcp_block_open(key, e, e->text, e->len, out) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (out->len <= sizeof(k->sid)) {
        k->key = key;
        k->len = e->len;
        k->n = (uint16_t) out->len;
        ngx_memcpy(k->text, e->text, e->len);
        ngx_memcpy(k->sid, out->sid, out->len);
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_stoa_mcp_block_get(ngx_http_stoa_mcp_map_t *m, uint64_t key,
    ngx_http_stoa_mcp_entry_t *e, ngx_http_stoa_mcp_upstream_t *out)
{
    ngx_int_t                   rc;
    uint64_t                   *lock;
    ngx_http_stoa_mcp_block_t  *b;

    if (e->block == 0) {
        return e->len <= NGX_HTTP_STOA_MCP_INLINE
               ? ngx_http_stoa_mcp_block_inline(key, e, out)
               : NGX_DECLINED;
    }

    if (e->class >= NGX_HTTP_STOA_MCP_CLASSES
        || e->block > m->class[e->class].n
        || e->len > ngx_http_stoa_mcp_block_text[e->class])
    {
        return NGX_DECLINED;
    }

    lock = &m->class[e->class].lock;
    ngx_http_stoa_lock_take(lock);

    b = ngx_http_stoa_mcp_block(m, e->class, e->block - 1);
    rc = NGX_DECLINED;

    if (b->key == key
        && ngx_http_stoa_mcp_block_owner(m, e->class, e->block - 1) == e)
    {
        rc = ngx_http_stoa_mcp_block_open(key, e, b->text, e->len, out);
    }

    ngx_http_stoa_lock_drop(lock);

    return rc;
}


/* A free one, or that of the entry that was idle longest of some. */

static uint64_t
ngx_http_stoa_mcp_block_find(ngx_http_stoa_mcp_map_t *m, ngx_uint_t class,
    ngx_http_stoa_mcp_upstream_t *left)
{
    uint64_t                    i, best, probes;
    ngx_http_stoa_mcp_block_t  *b;
    ngx_http_stoa_mcp_entry_t  *e, *oldest;
    ngx_http_stoa_mcp_class_t  *c;

    c = &m->class[class];
    oldest = NULL;
    best = 0;
    probes = ngx_min(NGX_HTTP_STOA_MCP_PROBES, c->n);

    while (probes-- > 0) {
        i = c->hand++ % c->n;
        e = ngx_http_stoa_mcp_block_owner(m, class, i);

        if (e == NULL) {
            return i;
        }

        if (oldest == NULL || e->used < oldest->used) {
            oldest = e;
            best = i;
        }
    }

    b = ngx_http_stoa_mcp_block(m, class, best);

    if (oldest->deadline != 0
        || ngx_http_stoa_mcp_block_open(b->key, oldest, b->text, oldest->len,
                                        left)
           != NGX_OK)
    {
        left->len = 0;
    }

    return best;
}


ngx_int_t
ngx_http_stoa_mcp_block_put(ngx_http_stoa_mcp_map_t *m, uint64_t key,
    ngx_http_stoa_mcp_entry_t *e, const ngx_http_stoa_mcp_upstream_t *in,
    ngx_http_stoa_mcp_upstream_t *left)
{
    char                        text[stoa_seal_text_len(STOA_MCP_SID_MAX)];
    size_t                      len;
    uint64_t                    i, *lock;
    ngx_uint_t                  class;
    ngx_http_stoa_mcp_block_t  *b;

    len = 0;

    if (in->len) {
        len = stoa_seal(STOA_SEAL_UPSTREAM, (int64_t) ngx_http_stoa_wall_ms(),
                        (stoa_str_t) { (char *) &key, sizeof(key) },
                        (stoa_str_t) { (char *) in->sid, in->len }, text,
                        sizeof(text));
        if (len == 0) {
            return NGX_ERROR;
        }
    }

    e->block = 0;
    e->version = (uint8_t) in->version;
    e->target = (uint8_t) ngx_min(in->target, 255);
    e->api = in->api;
    e->len = (uint16_t) len;

    if (len <= NGX_HTTP_STOA_MCP_INLINE) {
        ngx_memcpy(e->text, text, len);
        return NGX_OK;
    }

    class = len > ngx_http_stoa_mcp_block_text[0];
    lock = &m->class[class].lock;
    ngx_http_stoa_lock_take(lock);

    i = ngx_http_stoa_mcp_block_find(m, class, left);
    b = ngx_http_stoa_mcp_block(m, class, i);

    b->owner = (uint64_t) (e - ngx_http_stoa_mcp_block_entry(m, 0)) + 1;
    b->key = key;
    ngx_memcpy(b->text, text, len);
    e->class = (uint8_t) class;
    e->block = (uint32_t) i + 1;

    ngx_http_stoa_lock_drop(lock);

    return NGX_OK;
}
