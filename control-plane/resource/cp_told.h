/*
 * What the audit log is told of a write.
 *
 * Process: stoa-control, inside the transaction of the write.
 */

#ifndef CP_TOLD_H
#define CP_TOLD_H


#include "audit/cp_audit.h"
#include "resource/cp_engine.h"


/* Into the chain of the row's tenant, and of the one that shares it. */
cp_rc_t cp_told_append(const cp_write_t *w, cp_audit_event_t *ev,
    const cp_json_t *row) CP_MUST_CHECK;

/* An object's name, or what stands for one; NULL: nothing does. */
const char *cp_told_name(cp_arena_t *a, const cp_resource_t *res,
    const cp_json_t *obj);


#endif /* CP_TOLD_H */
