/*
 * Credentials: stoa_<env>_<id>_<secret>_<crc32>; see ARCHITECTURE.md 2.
 * Process: any.  No allocation; SHA-256 and HMAC are OpenSSL's, called by the
 * owner, so that this file stays free of libraries.
 */

#ifndef STOA_KEY_H
#define STOA_KEY_H


#include "stoa_core.h"


#define STOA_KEY_ENV_MAX     8
#define STOA_KEY_SECRET_LEN  32

typedef struct {
    stoa_str_t  env;
    stoa_str_t  id;          /* STOA_ID_LEN bytes                        */
    stoa_str_t  secret;      /* STOA_KEY_SECRET_LEN bytes                */
} stoa_key_t;


/* STOA_OK with spans into s, STOA_DECLINED for a wrong form or checksum. */
stoa_rc_t stoa_key_parse(const char *s, size_t len, stoa_key_t *key)
    STOA_MUST_CHECK;

/* May a key of this form have been made elsewhere?  The id of such a one is
 * the first 10 bytes of its SHA-256, by stoa_id_unpack(). */
bool stoa_key_foreign(const char *s, size_t len);

/* Writes a key with its checksum; dst holds STOA_KEY_MAX + 1 bytes.  secret:
 * STOA_KEY_SECRET_LEN base62 characters. */
size_t stoa_key_format(char *dst, const char *env, const char *id,
    const char *secret);

/* Maps random bytes to base62 without bias (bytes >= 248 are skipped);
 * returns how many characters were written, at most n. */
size_t stoa_key_base62(const uint8_t *random, size_t len, char *dst, size_t n);

/* An id from the time and 30 random bits; dst gets 16 characters, no NUL. */
void stoa_id_format(char *dst, uint64_t unix_ms, uint32_t random);
uint64_t stoa_id_time(const char *id);   /* ms, of a valid id */
/* A valid id in 10 bytes, and back: any 10 bytes are one. */
void stoa_id_pack(const char *id, uint8_t *dst);
void stoa_id_unpack(const uint8_t *s, char *dst);
bool stoa_id_valid(const char *s, size_t len);
bool stoa_name_valid(const char *s, size_t len);       /* slug              */
bool stoa_tool_name_valid(const char *s, size_t len);
bool stoa_env_valid(const char *s, size_t len);        /* [a-z]{2,8}        */

uint32_t stoa_crc32(const void *data, size_t len);
/* Takes the same time wherever the bytes differ. */
bool stoa_equal_ct(const void *a, const void *b, size_t len);
bool stoa_hex_decode(const char *s, size_t len, uint8_t *dst);  /* len even  */
void stoa_hex_encode(const uint8_t *s, size_t len, char *dst);  /* no NUL    */

/* For hash tables: fast, well mixed, differs between byte orders.  With a
 * secret seed collisions cannot be prepared from outside. */
uint64_t stoa_hash64(const void *data, size_t len, uint64_t seed);

/* SipHash-2-4 of 128 bits: with a secret key nobody else can tell, or make,
 * what has a given value. */
void stoa_siphash(const void *data, size_t len, const uint64_t key[2],
    uint64_t out[2]);


#endif /* STOA_KEY_H */
