/*
 * A line of the feed: its members, found while it is checked.
 */

#include "ngx_http_stoa_sync.h"


static bool ngx_http_stoa_line_member(void *ctx, unsigned place,
    const stoa_json_val_t *key, stoa_json_val_t **to, unsigned *inner);
static void ngx_http_stoa_line_members(const stoa_json_val_t *root,
    ngx_http_stoa_line_t *line);


bool
ngx_http_stoa_line_read(const char *data, size_t len,
    ngx_http_stoa_line_t *line, stoa_json_val_t *root)
{
    stoa_err_t  err;

    ngx_memzero(line, sizeof(ngx_http_stoa_line_t));

    if (stoa_json_plain(data, len, ngx_http_stoa_line_member, line, root)) {
        return root->type == STOA_JSON_OBJECT;
    }

    ngx_memzero(line, sizeof(ngx_http_stoa_line_t));

    if (stoa_json_check(data, len, STOA_JSON_DEPTH_MAX, root, &err) != STOA_OK
        || root->type != STOA_JSON_OBJECT)
    {
        return false;
    }

    ngx_http_stoa_line_members(root, line);

    return true;
}


/* Where the value of a member of a line goes. */

static bool
ngx_http_stoa_line_member(void *ctx, unsigned place,
    const stoa_json_val_t *key, stoa_json_val_t **to, unsigned *inner)
{
    ngx_http_stoa_line_t *line = ctx;

    (void) place;
    (void) inner;

    switch (key->end - key->start - 2) {

    case 3:
        *to = memcmp(key->start + 1, "key", 3) == 0 ? &line->key
              : memcmp(key->start + 1, "rev", 3) == 0 ? &line->rev
              : memcmp(key->start + 1, "end", 3) == 0 ? &line->end : NULL;
        break;

    case 4:
        *to = memcmp(key->start + 1, "kind", 4) == 0 ? &line->kind
              : memcmp(key->start + 1, "body", 4) == 0 ? &line->body : NULL;
        break;

    case 7:
        *to = memcmp(key->start + 1, "deleted", 7) == 0 ? &line->deleted
                                                        : NULL;
        break;
    }

    return true;
}


/* The same of a line that is not plain. */

static void
ngx_http_stoa_line_members(const stoa_json_val_t *root,
    ngx_http_stoa_line_t *line)
{
    size_t            i;
    stoa_json_val_t   val;
    const struct {
        const char       *name;
        stoa_json_val_t  *to;
    } members[] = {
        { "key", &line->key }, { "rev", &line->rev }, { "end", &line->end },
        { "kind", &line->kind }, { "body", &line->body },
        { "deleted", &line->deleted }
    };

    /* a value that is not found is not left alone */

    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        if (stoa_json_get(root, members[i].name, &val)) {
            *members[i].to = val;
        }
    }
}
