/*
 * What the operator's own OPA says of a bundle: asked before it is kept, with
 * no transaction open meanwhile.
 */

#ifndef CP_BUNDLE_CHECK_H
#define CP_BUNDLE_CHECK_H


#include "kinds/cp_kind.h"


/* Says of the row whether it is checked, or asks for that: then the
 * transaction ends with CP_CONFLICT and is run again, with the answer. */
cp_rc_t cp_bundle_checked(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *row) CP_MUST_CHECK;


#endif /* CP_BUNDLE_CHECK_H */
