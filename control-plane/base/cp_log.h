/*
 * What the log offers beyond cp_log(): lines with named fields (the access
 * log).  Process: stoa-control, any thread.
 */

#ifndef CP_LOG_H
#define CP_LOG_H


#include "base/cp_util.h"


bool cp_log_level_find(const char *name, cp_log_level_e *level);

#define CP_LOG_FIELDS_MAX  16

typedef struct {
    const char  *name;
    const char  *value;
    bool         number;           /* in JSON; its text is one              */
} cp_log_field_t;

void cp_log_fields(cp_log_level_e level, const char *area, const char *text,
    const cp_log_field_t *fields, unsigned n);


#endif /* CP_LOG_H */
