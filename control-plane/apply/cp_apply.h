/*
 * Documents: apply, diff and dump.
 *
 * Process: stoa-control.  An apply is one write transaction; what it answers
 * and waits for lives in the request.
 * Limits: CP_APPLY_DOCUMENTS_MAX documents, a body of CP_HTTP_BIG_MAX.
 */

#ifndef CP_APPLY_H
#define CP_APPLY_H


#include "http/cp_http.h"
#include "resource/cp_resource.h"


#define CP_APPLY_DOCUMENTS_MAX   10000
#define CP_APPLY_DELETE_DEFAULT  10
#define CP_APPLY_VERSION         "stoa/v1"


cp_rc_t cp_dump_get(cp_req_t *r);             /* GET /v1/dump               */
/* The documents of one tenant, by its id, at the end of `out`. */
cp_rc_t cp_dump_tenant(cp_req_t *r, cp_tx_t *tx, const char *id,
    stoa_buf_t *out) CP_MUST_CHECK;


#endif /* CP_APPLY_H */
