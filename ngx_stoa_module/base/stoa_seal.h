/*
 * Sealing: what the gateway gives out and takes back instead of keeping it
 * (session ids, ids of servers' requests, of events and tasks, states).
 *
 * text = kind, kid, base64url(iv 12 | sealed | tag 16).  AES-256-GCM, a key
 * per kind of each of the group's keys; the iv is a keyed sum of what is
 * sealed, so the same thing always has the same text.  The data beside it
 * (aad) says for whom: another one's text does not open.
 *
 * The keys are the gateway group's, by the feed: any worker of any gateway of
 * the group opens what another one has sealed.
 *
 * No nginx in it: unit tests and a fuzzer link it.
 * Process: workers; the keys of each are its own.  No allocation, but for two
 * contexts of OpenSSL's at the first use.
 */

#ifndef STOA_SEAL_H
#define STOA_SEAL_H


#include "core/stoa_core.h"


#define STOA_SEAL_KEYS      8       /* of a group                            */
#define STOA_SEAL_KID_MAX   61      /* 0-9, A-Z, a-z                         */
#define STOA_SEAL_KEY_LEN   32
#define STOA_SEAL_HEAD      2
#define STOA_SEAL_IV        12
#define STOA_SEAL_TAG       16
#define STOA_SEAL_TEXT_MAX  24576   /* of the longest kind                   */
#define STOA_SEAL_AAD_MAX   128

#define stoa_seal_text_len(plain)                                             \
    (STOA_SEAL_HEAD + ((STOA_SEAL_IV + (plain) + STOA_SEAL_TAG) * 4 + 2) / 3)
/* Of a text of so many characters at most so many bytes are what is sealed. */
#define stoa_seal_plain_len(text)                                             \
    (((text) - STOA_SEAL_HEAD) * 3 / 4 - STOA_SEAL_IV - STOA_SEAL_TAG)


typedef enum {
    STOA_SEAL_SESSION = 0,     /* S, of a client                             */
    STOA_SEAL_REQUEST,         /* r, of a server to a client                 */
    STOA_SEAL_PROGRESS,        /* p, a token of the former                   */
    STOA_SEAL_EVENT,           /* e, in a stream                             */
    STOA_SEAL_TASK,            /* t                                          */
    STOA_SEAL_STATE,           /* m, requestState                            */
    STOA_SEAL_CURSOR,          /* c, of several upstreams                    */
    STOA_SEAL_APPROVAL,        /* a                                          */
    STOA_SEAL_UPSTREAM,        /* u, a session at an upstream, in our files  */
    STOA_SEAL_PAIR,            /* d, a stream of 2024-11-05                  */
    STOA_SEAL_HOP,             /* h, of one gateway to another               */
    STOA_SEAL_KINDS
} stoa_seal_kind_e;


typedef struct {
    unsigned  kid;             /* 0..STOA_SEAL_KID_MAX                       */
    int64_t   since_ms;        /* seals from then on                         */
    uint8_t   key[STOA_SEAL_KEY_LEN];
} stoa_seal_key_t;


/* Takes these in place of those before; n 0: forgets them. */
void stoa_seal_keys(const stoa_seal_key_t *keys, unsigned n);
void stoa_seal_exit(void);

/* Writes the text to dst (max bytes); returns its length, 0: there is no key,
 * or no room, or the kind's texts are not as long. */
size_t stoa_seal(stoa_seal_kind_e kind, int64_t now_ms, stoa_str_t aad,
    stoa_str_t plain, char *dst, size_t max);

/* dst holds stoa_seal_plain_len(text.len) bytes at least.  False: not sealed
 * by a key of ours, as this kind, for this aad. */
bool stoa_seal_open(stoa_seal_kind_e kind, stoa_str_t aad, stoa_str_t text,
    uint8_t *dst, size_t *len);


#endif /* STOA_SEAL_H */
