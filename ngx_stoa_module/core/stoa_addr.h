/*
 * Whom a server may talk to when somebody else names the address: the one
 * judge of both planes against server-side request forgery.
 *
 * An address is judged after it was resolved, as it will be used.  Public ones
 * are for everybody.  Private and loopback ones need a row in the operator's
 * list.  Special ones (link-local, metadata services, multicast, "this"
 * network, reserved) need a row that names them and nothing wider: no list of
 * private networks, and no 0.0.0.0/0, opens a metadata service.  IPv4 inside
 * IPv6 (mapped, translated, NAT64, 6to4) is judged as the IPv4 address that it
 * leads to.
 *
 * Process: any.  No allocation, no state.  Limits: STOA_ALLOW_MAX rows.
 */

#ifndef STOA_ADDR_H
#define STOA_ADDR_H


#include <sys/socket.h>

#include "stoa_path.h"


#define STOA_ALLOW_MAX  64


typedef enum {
    STOA_ADDR_PUBLIC,
    STOA_ADDR_PRIVATE,
    STOA_ADDR_LOOPBACK,
    STOA_ADDR_SPECIAL
} stoa_addr_class_e;

/* What the operator lists; all zero: nothing. */
typedef struct {
    stoa_cidr_t  cidr[STOA_ALLOW_MAX];
    unsigned     n;
} stoa_allow_t;


/* family: 4 or 6, anything else is special. */
stoa_addr_class_e stoa_addr_class(unsigned family, const uint8_t *addr);
/* For messages: "a private", "a loopback", "a link-local or reserved". */
const char *stoa_addr_class_name(stoa_addr_class_e class);

/* A row: an address, a range, or the word private, loopback or none. */
stoa_rc_t stoa_allow_add(stoa_allow_t *allow, const char *s, size_t len)
    STOA_MUST_CHECK;

bool stoa_allow_addr(const stoa_allow_t *allow, unsigned family,
    const uint8_t *addr);
bool stoa_allow_sockaddr(const stoa_allow_t *allow,
    const struct sockaddr *sa);

/* Does a host of a URL name an address by itself, in any of the forms that
 * resolvers take for one (127.1, 0x7f000001, localhost)?  addr: 16 bytes. */
bool stoa_addr_literal(const char *host, size_t len, unsigned *family,
    uint8_t *addr);

/* May the bytes of a host, which are those of names, be a host's?  Not if its
 * last label is a number and the whole is no address in four plain decimal
 * parts: resolvers disagree about the rest ("127.1", "0177.0.0.1"; WHATWG URL,
 * "ends in a number"). */
bool stoa_addr_host_valid(const char *host, size_t len);


#endif /* STOA_ADDR_H */
