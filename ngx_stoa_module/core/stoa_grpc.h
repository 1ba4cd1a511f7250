/*
 * What gRPC over HTTP/2 puts into bodies and headers: messages behind a prefix
 * of five bytes, in any cut; a timeout; a status, and what that is in HTTP.
 * Process: any.  Nothing is kept of a message but its length.
 */

#ifndef STOA_GRPC_H
#define STOA_GRPC_H


#include "stoa_core.h"


#define STOA_GRPC_PREFIX   5
#define STOA_GRPC_UNKNOWN  2
#define STOA_GRPC_STATUS_MAX  16

typedef struct {
    uint32_t  rest;             /* of the message that has begun             */
    unsigned  have;             /* bytes of the next one's prefix            */
    uint8_t   prefix[STOA_GRPC_PREFIX];
} stoa_grpc_t;

/* Zeroed at first.  STOA_OK: go on; STOA_FULL: a message says that it is
 * longer than max (0: any length); STOA_DECLINED: a flag that nobody knows. */
stoa_rc_t stoa_grpc_feed(stoa_grpc_t *g, const char *data, size_t len,
    uint64_t max) STOA_MUST_CHECK;

/* A value of grpc-timeout: up to eight digits and a unit, in ms, at least 1.
 * false: it is none. */
bool stoa_grpc_timeout(const char *s, size_t len, uint64_t *ms);
/* A value of grpc-status; -1: it is none. */
int stoa_grpc_status(const char *s, size_t len);

/* The status of HTTP that says the same, and back.  What is not known is 500,
 * and 2. */
unsigned stoa_grpc_to_http(unsigned status);
unsigned stoa_grpc_of_http(unsigned status);

/* A grpc-message: what is no printable ASCII, and '%', as %XX.  dst has room
 * for three times len; returns the length. */
size_t stoa_grpc_message(char *dst, const char *s, size_t len);


#endif /* STOA_GRPC_H */
