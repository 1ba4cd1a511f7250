/*
 * URIs of MCP's resources: templates (RFC 6570) that they may come of, and
 * names for two that are alike; and which URLs are the same.
 *
 * Process: any.  No allocation.
 */

#ifndef STOA_URI_H
#define STOA_URI_H


#include "stoa_core.h"


#define STOA_URI_ALIAS      "stoa:"
#define STOA_URI_ALIAS_MAX                                                    \
    (sizeof(STOA_URI_ALIAS) + STOA_NAME_MAX + 3 * STOA_URI_MAX)

/* Could the URI have been made of the template?  What a variable stands for
 * is not judged; {x} is part of one segment, {+x}, {#x}, {/x*} and the like
 * anything.  *literal: how many characters of it are the template's own. */
bool stoa_uri_matches(const char *tmpl, size_t tmpl_len, const char *uri,
    size_t uri_len, size_t *literal);

/* stoa:<api>/<the URI, percent-encoded>; dst has STOA_URI_ALIAS_MAX bytes. */
size_t stoa_uri_alias(const char *api, size_t api_len, const char *uri,
    size_t len, char *dst);


/* Where an HTTP+SSE server at base wants its POSTs: what `rest` says, as a
 * path behind `base`, both shortened.  False: it is another server's, or
 * none. */
bool stoa_uri_endpoint(stoa_str_t *rest, bool tls, const stoa_str_t *host,
    stoa_str_t *base);

/* The normal form (RFC 3986, 6.2.2 and 6.2.3) of an http or https URL, without
 * query and fragment; dst has room for one character more than it.  0: it is
 * none. */
size_t stoa_uri_normal(const char *s, size_t len, char *dst);


#endif /* STOA_URI_H */
