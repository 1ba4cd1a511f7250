/*
 * What the log offers beyond cp_log(): lines with named fields (the access
 * log).  Process: stoa-control, any thread.
 */

#ifndef CP_LOG_H
#define CP_LOG_H


#include "base/cp_util.h"


bool cp_log_level_find(const char *name, cp_log_level_e *level);

/* fields: n pairs of name and value, both texts. */
void cp_log_fields(cp_log_level_e level, const char *area, const char *text,
    const char *const (*fields)[2], unsigned n);


#endif /* CP_LOG_H */
