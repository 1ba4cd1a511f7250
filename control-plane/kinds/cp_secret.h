/*
 * Secrets as policies use them: "${secret:NAME}" in those members of a
 * configuration whose rows say so: what goes to upstreams, not to clients.
 *
 * Process: stoa-control, inside a transaction; everything in the arena given,
 * values opened only where a record for gateways is made.
 */

#ifndef CP_SECRET_H
#define CP_SECRET_H


#include "kinds/cp_kinds.h"
#include "core/stoa_rec_table.h"


#define CP_SECRET_MAX  512             /* bytes of a value, but PEM          */

/* Whose secrets: the tenant's, or the platform's. */
typedef struct {
    cp_tx_t     *tx;
    cp_arena_t  *arena;
    const char  *tenant;               /* NULL: the platform's               */
    cp_err_t    *err;
} cp_secret_of_t;


/* Puts a word in the place of each reference, so that the rest can be judged,
 * and the ids in `ids`.  CP_DECLINED: *name is none that has a value, or, if
 * *member is set, another one than is wanted there; NULL: the text of *member
 * must have one. */
cp_rc_t cp_secret_probe(const cp_secret_of_t *of,
    const stoa_rec_struct_t *def, cp_json_t *config, cp_json_t *ids,
    const char **name, const char **member) CP_MUST_CHECK;

/* That of one, by its id; *value NULL: it has none. */
cp_rc_t cp_secret_value(const cp_secret_of_t *of, const char *id,
    const char **value) CP_MUST_CHECK;

/* Puts the values there. */
cp_rc_t cp_secret_fill(const cp_secret_of_t *of,
    const stoa_rec_struct_t *def, cp_json_t *config) CP_MUST_CHECK;


#endif /* CP_SECRET_H */
