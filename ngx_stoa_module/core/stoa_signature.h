/*
 * Signatures of requests (RFC 9421) and digests of contents (RFC 9530): what
 * their headers say, which are structured fields (RFC 8941).
 *
 * Read strictly: a value is taken in the form in which it is signed alone, so
 * that its text is what was signed.  No white space but where it has to be, no
 * parameters of components, no member or parameter twice, none that is not
 * known.
 *
 * Process: any.  What is read points into the caller's text.
 */

#ifndef STOA_SIGNATURE_H
#define STOA_SIGNATURE_H


#include "stoa_core.h"


#define STOA_SIGNATURES            4       /* of a request                   */
#define STOA_SIGNATURE_COMPONENTS  32
#define STOA_SIGNATURE_BYTES       128     /* of a signature, a digest       */

typedef struct {
    stoa_str_t  label;
    stoa_str_t  text;            /* of components and parameters             */
    unsigned    n;
    stoa_str_t  component[STOA_SIGNATURE_COMPONENTS];
    int64_t     created;         /* s; -1: it is not said                    */
    int64_t     expires;
    stoa_str_t  keyid;           /* data NULL: it is not said; so the others */
    stoa_str_t  alg;
    stoa_str_t  nonce;
    stoa_str_t  tag;
} stoa_signature_t;


/* Signature-Input.  STOA_DECLINED: *why, for people. */
stoa_rc_t stoa_signature_input(const char *s, size_t len,
    stoa_signature_t *list, unsigned *n, const char **why) STOA_MUST_CHECK;

/* A member of Signature or Content-Digest, dst: STOA_SIGNATURE_BYTES.  *n: how
 * many it has; 0: there is none of that name.  STOA_DECLINED likewise. */
stoa_rc_t stoa_signature_bytes(const char *s, size_t len, stoa_str_t name,
    uint8_t *dst, size_t *n, const char **why) STOA_MUST_CHECK;

bool stoa_signature_covers(const stoa_signature_t *sig, const char *name,
    size_t len);


#endif /* STOA_SIGNATURE_H */
