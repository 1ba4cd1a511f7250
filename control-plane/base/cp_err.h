/*
 * The table of error codes of the REST interface (cp_err.c); OpenAPI and the
 * HTTP layer read it.  Process: stoa-control, any thread; constant.
 */

#ifndef CP_ERR_H
#define CP_ERR_H


#include "base/cp.h"


typedef struct {
    const char  *code;
    int          status;
    const char  *title;
} cp_err_row_t;

/* An unknown code is a bug: it is logged and gives "internal". */
const cp_err_row_t *cp_err_row(const char *code);
const cp_err_row_t *cp_err_at(unsigned i);             /* NULL: end         */


#endif /* CP_ERR_H */
