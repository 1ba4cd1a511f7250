/*
 * The archive of a bundle: ustar (POSIX.1-1988) in gzip, without times,
 * owners or anything else that would make other bytes of the same content.
 */

#include <string.h>
#include <zlib.h>

#include "kinds/cp_bundle.h"


#define CP_TAR_BLOCK  512


/* As it lies in the file, without padding. */
typedef struct {
    char  name[100];
    char  mode[8];
    char  uid[8];
    char  gid[8];
    char  size[12];
    char  mtime[12];
    char  sum[8];
    char  type;
    char  link[100];
    char  magic[6];
    char  version[2];
    char  owner[32];
    char  group[32];
    char  major[8];
    char  minor[8];
    char  prefix[155];
    char  rest[12];
} cp_tar_head_t;

_Static_assert(sizeof(cp_tar_head_t) == CP_TAR_BLOCK, "a block");


static void
cp_tar_octal(char *dst, size_t size, size_t v)
{
    size_t  i;

    dst[size - 1] = '\0';

    for (i = size - 1; i > 0; i--, v >>= 3) {
        dst[i - 1] = (char) ('0' + (v & 7));
    }
}


static void
cp_tar_add(stoa_buf_t *tar, const char *name, const char *text, size_t len)
{
    size_t              i, sum;
    cp_tar_head_t       head;
    static const char   zero[CP_TAR_BLOCK];

    stoa_assert(strlen(name) < sizeof(head.name));

    memset(&head, 0, sizeof(head));
    memcpy(head.name, name, strlen(name));
    memcpy(head.magic, "ustar", 6);
    memcpy(head.version, "00", 2);
    head.type = '0';
    cp_tar_octal(head.mode, sizeof(head.mode), 0644);
    cp_tar_octal(head.uid, sizeof(head.uid), 0);
    cp_tar_octal(head.gid, sizeof(head.gid), 0);
    cp_tar_octal(head.size, sizeof(head.size), len);
    cp_tar_octal(head.mtime, sizeof(head.mtime), 0);

    /* the sum is of a head in which it is blanks */

    memset(head.sum, ' ', sizeof(head.sum));

    for (sum = 0, i = 0; i < sizeof(head); i++) {
        sum += ((const unsigned char *) &head)[i];
    }

    cp_tar_octal(head.sum, sizeof(head.sum) - 1, sum);

    stoa_buf_add(tar, &head, sizeof(head));
    stoa_buf_add(tar, text, len);
    stoa_buf_add(tar, zero, (CP_TAR_BLOCK - len % CP_TAR_BLOCK)
                            % CP_TAR_BLOCK);
}


static void
cp_bundle_tar(cp_arena_t *a, const cp_json_t *bundle, stoa_buf_t *tar)
{
    size_t            len;
    cp_json_t        *manifest, *roots;
    const char       *text;
    const cp_json_t  *m, *modules, *data;
    static const char  end[2 * CP_TAR_BLOCK];

    roots = cp_json_get(bundle, "roots");

    if (roots == NULL || roots->n == 0) {
        roots = cp_json_array(a);
        cp_json_push(roots, cp_json_string(a, ""));
    }

    manifest = cp_json_object(a);
    cp_json_put(a, manifest, "revision", cp_json_str(bundle, "revision"));
    cp_json_set(a, manifest, "roots", cp_json_copy(a, roots));

    text = cp_json_text(a, manifest, &len);
    if (text == NULL) {
        return;
    }

    cp_tar_add(tar, ".manifest", text, len);

    data = cp_json_get(bundle, "data");
    text = data ? cp_json_text(a, data, &len) : NULL;

    if (text != NULL) {
        cp_tar_add(tar, "data.json", text, len);
    }

    modules = cp_json_get(bundle, "modules");

    for (m = modules ? modules->first : NULL; m; m = m->next) {
        text = cp_json_str(m, "rego");
        cp_tar_add(tar, cp_json_str(m, "path"), text, strlen(text));
    }

    stoa_buf_add(tar, end, sizeof(end));
}


static bool
cp_bundle_gzip(const stoa_buf_t *tar, stoa_buf_t *out)
{
    int       rc;
    size_t    n;
    z_stream  z;

    memset(&z, 0, sizeof(z));

    /* 15 + 16: the largest window, the gzip frame, in it no time */

    if (deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY)
        != Z_OK)
    {
        return false;
    }

    n = deflateBound(&z, tar->len);
    rc = Z_MEM_ERROR;

    if (stoa_buf_reserve(out, n) == STOA_OK) {
        z.next_in = (Bytef *) tar->data;
        z.avail_in = (uInt) tar->len;
        z.next_out = (Bytef *) out->data + out->len;
        z.avail_out = (uInt) n;
        rc = deflate(&z, Z_FINISH);
        out->len += z.total_out;
        out->data[out->len] = '\0';
    }

    (void) deflateEnd(&z);

    return rc == Z_STREAM_END;
}


cp_rc_t
cp_bundle_archive(cp_arena_t *a, const cp_json_t *bundle, stoa_buf_t *out,
    cp_err_t *err)
{
    bool        ok;
    stoa_buf_t  tar;

    stoa_buf_init(&tar, CP_BUNDLE_TAR_MAX);
    cp_bundle_tar(a, bundle, &tar);
    ok = tar.rc == STOA_OK && !cp_arena_failed(a)
         && cp_bundle_gzip(&tar, out);
    stoa_buf_free(&tar);

    return ok ? CP_OK : cp_err_set(err, "internal", "no memory");
}
