/*
 * Rate limits of the interface itself: settings rate_caller, rate_address.
 *
 * Limits: CP_RATE_SETS * CP_RATE_WAYS callers and addresses at once, 256 KB.
 */

#ifndef CP_RATE_H
#define CP_RATE_H


#include "base/cp_conf.h"


typedef enum { CP_RATE_CALLER, CP_RATE_ADDRESS } cp_rate_e;

typedef struct cp_rate_s  cp_rate_t;

/* What is left, for the answer's headers. */
typedef struct {
    const char  *name;                 /* NULL: nothing was counted          */
    uint64_t     quota;
    uint64_t     remaining;
    uint64_t     reset_s;
    uint64_t     retry_s;
} cp_rate_left_t;


cp_rate_t *cp_rate_create(const cp_conf_t *conf);
void cp_rate_destroy(cp_rate_t *l);

/* False: too many.  charge: it counts; else it is only looked at. */
bool cp_rate_take(cp_rate_t *l, cp_rate_e what, const char *who,
    bool charge, cp_rate_left_t *out);


#endif /* CP_RATE_H */
