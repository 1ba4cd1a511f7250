/*
 * upstream-certificate: the client certificate that the gateway, and
 * discovery, have in the TLS handshake with an api's upstream.
 */

#ifndef STOA_POLICY_CERTIFICATE_H
#define STOA_POLICY_CERTIFICATE_H


#include "stoa_policy.h"


#define STOA_POLICY_CERTIFICATE(F, S)                                         \
    F(S, STRING, certificate, 1, STOA_CERTIFICATE_MAX, 0,                     \
      STOA_REQUIRED STOA_SECRET(CERTIFICATE),                                 \
      "${secret:NAME} alone, of a secret that is a certificate with its key")

STOA_POLICY_STRUCT(certificate, STOA_POLICY_CERTIFICATE)


#ifdef STOA_POLICY_TABLES

static const stoa_policy_type_t  stoa_policy_certificate = {
    .name = "upstream-certificate", .id = 17, .version = 1,
    .order = STOA_ORDER_TRANSFORM,
    .flags = STOA_POLICY_SINGLE|STOA_POLICY_SHOWN,
    .scopes = STOA_ON_API|STOA_ON_MCP_API,
    .config = &stoa_policy_certificate_struct,
    .doc = "shows the api's upstream, where it is asked by TLS, a client "
           "certificate, with calls, with what the gateway asks by itself "
           "and with discovery"
};

#endif


#endif /* STOA_POLICY_CERTIFICATE_H */
