/*
 * How large the parts of a JSON text may be.
 *
 * Process: any.  Nothing is allocated but what stoa_json_check() needs; the
 * text is gone through twice, whatever is in it.
 */

#ifndef STOA_JSON_LIMITS_H
#define STOA_JSON_LIMITS_H


#include "stoa_json.h"


/* 0: no limit but the reader's own.  Lengths are bytes as they are written,
 * without the quotes. */

typedef struct {
    uint32_t  depth;
    uint32_t  members;           /* of one object                          */
    uint32_t  items;             /* of one array                           */
    uint32_t  name;
    uint32_t  string;
    uint32_t  number;
} stoa_json_limits_t;


/* As stoa_json_check(), and within the limits. */
stoa_rc_t stoa_json_limits(const char *data, size_t len,
    const stoa_json_limits_t *max, stoa_json_val_t *root, stoa_err_t *err)
    STOA_MUST_CHECK;


#endif /* STOA_JSON_LIMITS_H */
