/*
 * Reads the keys of issuers from where they say they are, and keeps them
 * fresh.
 *
 * Owner: issuers.keys (written through the engine of resource/, so that audit
 * and feed follow).  Process: stoa-control; a job, one issuer after another,
 * those that were looked at longest ago first.  Several replicas read the
 * same; they find the same and write it once.
 * Limits: below; a key set CP_JWKS_BYTES.
 */

#ifndef CP_ISSUER_KEYS_H
#define CP_ISSUER_KEYS_H


#include "client/cp_client.h"


#define CP_ISSUER_TIMEOUT_MS   5000
#define CP_ISSUER_INTERVAL_MS  300000
#define CP_ISSUER_RETRY_MS     5000        /* doubled up to the interval     */
#define CP_ISSUER_HINT_MS      10000       /* between two readings           */
#define CP_ISSUER_HINTS        64          /* that wait at a time            */
#define CP_ISSUER_ARENA        (64 * 1024 * 1024)


/* The job. */
cp_rc_t cp_issuer_keys_job(cp_app_t *app);

/* A gateway has met a key of this issuer that it does not have: it is read
 * again, as soon as CP_ISSUER_HINT_MS allow.  What is no id of one costs
 * nothing. */
void cp_issuer_keys_hint(const char *id);


#endif /* CP_ISSUER_KEYS_H */
