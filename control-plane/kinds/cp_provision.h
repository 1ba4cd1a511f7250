/*
 * A new tenant's way to be of use: steps, each in a transaction that also
 * writes down that it is done, so that whoever comes after a crash goes on
 * where the last one ended.  One that is refused undoes those before it.
 *
 * Process: stoa-control; a job, on any replica.
 */

#ifndef CP_PROVISION_H
#define CP_PROVISION_H


#include "kinds/cp_kinds.h"


/* What can be asked for: rows of the field `provision`. */
extern const cp_field_t  cp_provision_fields[];

/* Of a tenant that is made: judges what is asked for, puts it on its way. */
cp_rc_t cp_provision_begin(const cp_write_t *w, cp_json_t *after)
    CP_MUST_CHECK;
/* From the start again, beside what could not be undone. */
void cp_provision_again(cp_arena_t *a, cp_json_t *after);

/* A step at somebody else's, which the transaction does not wait for: it is
 * taken before, so it may be taken twice.  CP_DECLINED: never; CP_ERROR: it is
 * tried again. */
typedef struct {
    bool     (*used)(const cp_app_t *app);
    cp_rc_t  (*make)(cp_op_t *op, const char *tenant, const char *name);
    cp_rc_t  (*undo)(cp_op_t *op, const char *tenant, const char *name);
} cp_provision_out_t;

/* Who makes the groups of `group`; before any thread. */
void cp_provision_outside(const cp_provision_out_t *out);

cp_rc_t cp_provision_job(cp_app_t *app);


#endif /* CP_PROVISION_H */
