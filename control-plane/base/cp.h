/*
 * Common types of stoa-control.
 *
 * Process: stoa-control (many threads) and, as far as base/ goes, stoactl.
 * Memory: one cp_arena_t per HTTP request or background job; everything that
 * a function returns without saying otherwise lives in the arena it was
 * given.  Long-lived objects have _create and _destroy.
 */

#ifndef CP_H
#define CP_H


#include <stdio.h>

#include "core/stoa_assert.h"
#include "core/stoa_core.h"
#include "core/stoa_key.h"


#define CP_VERSION  "0.2.0"

typedef enum {
    CP_OK = 0,
    CP_ERROR = -1,        /* internal fault: err says what, already logged  */
    CP_DECLINED = -2,     /* the caller's fault: err has the HTTP status    */
    CP_CONFLICT = -3      /* the database asks to run the transaction again */
} cp_rc_t;

#define CP_MUST_CHECK  __attribute__((warn_unused_result))


/* A fault for the caller: one place fills it, the HTTP layer prints it as
 * problem+json.  `errors` are per-field rows (RFC 9457 extension member). */

#define CP_FAULTS_MAX  20

typedef struct {
    int         document;          /* of an apply, 0-based; -1: none        */
    unsigned    line;              /* 0: unknown                            */
    const char *field;             /* "upstream.targets[0].url"; "" none    */
    const char *message;
} cp_fault_t;

typedef struct cp_arena_s  cp_arena_t;

typedef struct {
    cp_arena_t *arena;             /* where texts are kept                  */
    int         status;            /* HTTP status, 0: no error              */
    const char *code;              /* "validation", "not_found" ...         */
    const char *detail;
    unsigned    n;
    cp_fault_t  faults[CP_FAULTS_MAX];
} cp_err_t;

/* Sets status, code and detail; returns CP_DECLINED (status < 500) or
 * CP_ERROR.  The row of `code` in cp_err.c's table gives status and title. */
cp_rc_t cp_err_set(cp_err_t *err, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
cp_rc_t cp_err_field(cp_err_t *err, int document, unsigned line,
    const char *field, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));


#endif /* CP_H */
