/*
 * A bundle as an Open Policy Agent gets it: a tar.gz with the manifest, the
 * data and the modules.  The same row makes the same bytes.
 *
 * Process: stoa-control, any thread; what it holds meanwhile is the arena's.
 */

#ifndef CP_BUNDLE_H
#define CP_BUNDLE_H


#include "base/cp_json.h"


#define CP_BUNDLE_REGO_MAX     (1024 * 1024)       /* of all modules         */
#define CP_BUNDLE_DATA_MAX     (8 * 1024 * 1024)
#define CP_BUNDLE_MODULES_MAX  200
#define CP_BUNDLE_ROOTS_MAX    64
#define CP_BUNDLE_PATH_MAX     99      /* what ustar has room for            */
#define CP_BUNDLE_TAR_MAX      (CP_BUNDLE_REGO_MAX + CP_BUNDLE_DATA_MAX       \
                                + 1024 * 1024)


/* By a row or an object tree, whole, with its revision; appends to out. */
cp_rc_t cp_bundle_archive(cp_arena_t *a, const cp_json_t *bundle,
    stoa_buf_t *out, cp_err_t *err) CP_MUST_CHECK;


#endif /* CP_BUNDLE_H */
