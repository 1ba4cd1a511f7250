/*
 * Memory, text, time, random, digests, logging.
 * Process: any of the control plane, stoactl.  Thread safe.
 */

#ifndef CP_UTIL_H
#define CP_UTIL_H


#include "base/cp.h"


/* Arena: blocks freed together.  max bytes in all; past it NULL. */
cp_arena_t *cp_arena_create(size_t max);
void cp_arena_destroy(cp_arena_t *a);

/* Whether it ever had nothing to give: what was built in it may lack
 * something, so it is asked before anything of it is kept. */

bool cp_arena_failed(const cp_arena_t *a);

void *cp_arena_alloc(cp_arena_t *a, size_t size);      /* zeroed, aligned    */
char *cp_arena_strndup(cp_arena_t *a, const char *s, size_t len);
char *cp_arena_strdup(cp_arena_t *a, const char *s);
char *cp_arena_printf(cp_arena_t *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

int64_t cp_time_ms(void);                              /* Unix              */
int64_t cp_time_mono_ms(void);
char *cp_time_format(cp_arena_t *a, int64_t ms);       /* RFC 3339, ms, Z   */
bool cp_time_parse(const char *s, size_t len, int64_t *ms);
/* The article of a kind. */
#define cp_an(kind)  (strchr("aeio", (kind)[0]) ? "an" : "a")

/* Goes past the byte order mark that some editors put before UTF-8. */
void cp_text_skip_mark(const char **text, size_t *len);

/* Without blanks around, in place; whether s has something before `end`. */
char *cp_text_trim(char *s);
bool cp_text_ends(const char *s, const char *end);
/* How many bytes of s, at most max, that no letter is parted. */
size_t cp_text_cut(const char *s, size_t max);
/* Bytes at s that are a control character, of which 0x80 to 0x9f are some,
 * too, or that turn the direction of the text around them, or that nobody
 * sees; 0: none. */
size_t cp_text_control(const char *s);

void cp_random(void *dst, size_t len);                 /* aborts on failure */
void cp_id_make(char dst[STOA_ID_LEN + 1]);
/* A whole key stoa_<env>_<id>_...; dst STOA_KEY_MAX + 1. */
void cp_key_make(char *dst, const char *env, const char *id);
/* A text of CP_TICKET_LEN that lets in who has it; what is stored of it is its
 * SHA-256, *digest, in hex.  NULL: no memory. */
#define CP_TICKET_LEN  43                      /* 32 bytes in base64url     */
const char *cp_ticket_make(cp_arena_t *a, const char **digest);

void cp_sha256(const void *data, size_t len, uint8_t out[32]);
void cp_hmac_sha256(const void *key, size_t key_len, const void *data,
    size_t len, uint8_t out[32]);
char *cp_hex(cp_arena_t *a, const uint8_t *data, size_t len);
/* Unpadded, as RFC 7515 has it; dst holds len bytes.  Bits left over must be
 * 0, so that what is decoded has one form. */
char *cp_base64url_encode(cp_arena_t *a, const uint8_t *data, size_t len);
bool cp_base64url_decode(const char *s, size_t len, char *dst, size_t *n);

/* One line on stderr, text or a JSON object; never a secret in it. */
typedef enum { CP_LOG_DEBUG, CP_LOG_INFO, CP_LOG_WARN, CP_LOG_ERROR }
    cp_log_level_e;
void cp_log_setup(cp_log_level_e level, bool json);
void cp_log(cp_log_level_e level, const char *area, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));


#endif /* CP_UTIL_H */
