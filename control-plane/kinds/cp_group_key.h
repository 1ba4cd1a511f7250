/*
 * The keys of a gateway group, of each use one that is in use, others that
 * wait for it to end or to begin: Ed25519, by which its gateways vouch for
 * callers, and those by which they seal what they give to clients.
 *
 * Owner: the table group_keys.  The private halves are sealed at rest and go,
 * by the feed, to the gateways of the group alone.
 * Process: stoa-control, any thread.
 * Limits: CP_GROUP_KEYS_MAX and CP_SEAL_KEYS_MAX of a group.
 */

#ifndef CP_GROUP_KEY_H
#define CP_GROUP_KEY_H


#include "op/cp_op.h"


#define CP_GROUP_KEYS_MAX    8
#define CP_SEAL_KEYS_MAX     3
#define CP_GROUP_KEY_LEAD_S  120       /* before a new key signs             */
#define CP_JWKS_AGE_S        60        /* how long a JWKS may be kept        */


/* A group that lacks a key gets one; writes its feed rows. */
cp_rc_t cp_group_key_feed(cp_tx_t *tx, cp_arena_t *a, const char *group,
    cp_err_t *err) CP_MUST_CHECK;

/* At start: the same for the groups that were made before there were keys. */
cp_rc_t cp_group_key_init(cp_db_t *db, cp_arena_t *a, cp_err_t *err)
    CP_MUST_CHECK;

/* A job: keys that have ended go, old sealing keys get a successor. */
cp_rc_t cp_group_key_job(cp_app_t *app);

/* New ones, used in lead_s seconds; those in use end after it. */
cp_rc_t cp_group_key_rotate(cp_op_t *op, cp_tx_t *tx, const char *group,
    int64_t lead_s, cp_json_t **out) CP_MUST_CHECK;

/* RFC 7517, of a group by its name or id; NULL: of all. */
cp_rc_t cp_group_key_set(cp_tx_t *tx, cp_arena_t *a, const char *group,
    cp_json_t **out, cp_err_t *err) CP_MUST_CHECK;


#endif /* CP_GROUP_KEY_H */
