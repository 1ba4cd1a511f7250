/*
 * Secrets at rest: AES-256-GCM by a key that is a file (0600) beside the
 * database, and in no dump of it.  What is sealed for one place opens there
 * alone, so that nobody who can write the database can move it.
 *
 * Owner: the process; cp_seal_start() before any other thread, the key in
 * memory until the end.  Process: stoa-control, any thread after that.
 * Limits: a text CP_SEAL_MAX bytes.
 */

#ifndef CP_SEAL_H
#define CP_SEAL_H


#include "base/cp_util.h"


#define CP_SEAL_IV    12
#define CP_SEAL_TAG   16
#define CP_SEAL_MAX   (16 * 1024 * 1024)


/* Reads the key file, or makes one (make: there is nothing sealed yet). */
cp_rc_t cp_seal_start(const char *path, bool make, cp_err_t *err)
    CP_MUST_CHECK;

/* A new file (0600) with a random key, 64 hex digits and a newline, whole or
 * not at all; one that is there stays.  what: the setting, for messages. */
cp_rc_t cp_seal_file(const char *path, const char *what, cp_err_t *err)
    CP_MUST_CHECK;

/* Text that cp_unseal() with the same place takes back; NULL: no memory. */
char *cp_seal(cp_arena_t *a, const char *place, const char *text);
/* NULL: it was not sealed by this key for this place. */
char *cp_unseal(cp_arena_t *a, const char *place, const char *sealed);
/* For one place always the same, and known to nobody without the key: what is
 * digested with it cannot be guessed. */
char *cp_seal_salt(cp_arena_t *a, const char *place);
/* Is it what cp_seal() makes?  No JSON object is. */
bool cp_sealed(const char *text);

/* The same by another key, of `len` bytes; base64url. */
char *cp_seal_by(cp_arena_t *a, const uint8_t key[32], const char *place,
    const char *text, size_t len);
char *cp_unseal_by(cp_arena_t *a, const uint8_t key[32], const char *place,
    const char *sealed, size_t *len);

/* The cipher alone, with any key: out of len bytes, the tag beside it; place
 * NULL: none.  make: seals, else opens and checks the tag. */
bool cp_seal_cipher(bool make, const uint8_t key[32], const char *place,
    uint8_t *iv, const uint8_t *in, size_t len, uint8_t *out);


#endif /* CP_SEAL_H */
