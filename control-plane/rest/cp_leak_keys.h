/*
 * The public keys of who reports leaked keys, in the form in which GitHub
 * publishes its own: {"public_keys": [{"key_identifier", "key" (PEM)}]}.
 *
 * Owner: the process, a set behind a mutex.  An id that is not there has the
 * set read again, once in CP_LEAK_AGAIN_MS whoever asks; a reading that fails
 * or finds none keeps what there was.
 * Process: stoa-control, any thread.  Limits: CP_LEAK_KEYS_MAX keys.
 */

#ifndef CP_LEAK_KEYS_H
#define CP_LEAK_KEYS_H


#include "op/cp_op.h"


#define CP_LEAK_KEYS_MAX   16
#define CP_LEAK_ID_MAX     128
#define CP_LEAK_AGAIN_MS   60000
#define CP_LEAK_AGE_MS     3600000

/* Was this signed (base64 of a DER signature, ECDSA by P-256 over SHA-256) by
 * the key of that id? */
bool cp_leak_signed(cp_op_t *op, const char *id, const char *signature,
    const char *body, size_t len);


#endif /* CP_LEAK_KEYS_H */
