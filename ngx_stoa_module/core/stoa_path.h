/*
 * Paths: normal form, segment-safe prefixes, templates.
 * Process: any.  No allocation, no state.
 */

#ifndef STOA_PATH_H
#define STOA_PATH_H


#include "stoa_core.h"


/* Is this a base path: "/" + segments of [A-Za-z0-9._~-] (no "." or ".."),
 * at most STOA_PATH_SEGMENTS_MAX, no trailing slash; "/" alone is one too. */
bool stoa_path_base_valid(const char *s, size_t len);

/* The next shorter segment-safe prefix of path: "/a/b" -> "/a" -> "/" -> end.
 * First call with *len = the path's length (trailing slashes are ignored).
 * Only the first STOA_PATH_SEGMENTS_MAX segments are considered.  Returns
 * false after "/". */
bool stoa_path_prefix_first(const char *path, size_t path_len, size_t *len);
bool stoa_path_prefix_next(const char *path, size_t *len);

/* Does a template such as /orders/{id}/lines match?  Braces match exactly one
 * non-empty segment. */
bool stoa_path_match(const char *tmpl, size_t tmpl_len, const char *path,
    size_t path_len);
bool stoa_path_template_valid(const char *s, size_t len);

/* CIDR: "10.0.0.0/8", "2001:db8::/32" or a lone address.  addr holds 16
 * bytes (v4 in the first 4). */
typedef struct {
    uint8_t  addr[16];
    uint8_t  family;         /* 4 or 6                                   */
    uint8_t  bits;
} stoa_cidr_t;

stoa_rc_t stoa_cidr_parse(const char *s, size_t len, stoa_cidr_t *out)
    STOA_MUST_CHECK;
bool stoa_cidr_match(const stoa_cidr_t *c, unsigned family,
    const uint8_t *addr);

/* A list in order, without what another one in it covers: how many are left.
 * And is the address in such a list?  In steps of its logarithm. */
size_t stoa_cidrs_sort(stoa_cidr_t *c, size_t n);
bool stoa_cidrs_match(const stoa_cidr_t *c, size_t n, unsigned family,
    const uint8_t *addr);


#endif /* STOA_PATH_H */
