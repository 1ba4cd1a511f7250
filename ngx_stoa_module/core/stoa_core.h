/*
 * Common types of core/: plain C11, no nginx, no library beyond libc.
 *
 * Owner: everybody.  Process: any (gateway workers, their threads,
 * stoa-control, stoactl, unit tests, fuzzers).  Nothing here allocates, logs
 * or keeps global state unless its comment says so.
 */

#ifndef STOA_CORE_H
#define STOA_CORE_H


#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>


#define STOA_MUST_CHECK  __attribute__((warn_unused_result))
#define STOA_ID_LEN      16


typedef enum {
    STOA_OK = 0,
    STOA_ERROR = -1,         /* internal: out of memory, I/O             */
    STOA_DECLINED = -5,      /* the input's fault; stoa_err_t says where */
    STOA_AGAIN = -2,         /* more input needed                        */
    STOA_FULL = -6           /* a named maximum was reached              */
} stoa_rc_t;


typedef struct {
    const char  *data;
    size_t       len;
} stoa_str_t;

#define stoa_str(lit)  ((stoa_str_t) { (lit), sizeof(lit) - 1 })


/* What was wrong with an input, for a person. */

#define STOA_ERR_FIELD_MAX  128
#define STOA_ERR_TEXT_MAX   192

typedef struct {
    size_t    offset;                     /* byte of the input, 0-based   */
    unsigned  line;                       /* 1-based, 0: unknown          */
    char      field[STOA_ERR_FIELD_MAX];  /* "targets[1].port", may be "" */
    char      text[STOA_ERR_TEXT_MAX];    /* "must be 1..65535"           */
} stoa_err_t;

/* Fills err (NULL is fine) and returns STOA_DECLINED; offset and line are
 * left alone.  What does not fit is cut at a whole UTF-8 character. */
stoa_rc_t stoa_err_set(stoa_err_t *err, const char *field, const char *fmt,
    ...) __attribute__((format(printf, 3, 4)));
/* Sets offset, and line by counting the LFs before it. */
void stoa_err_at(stoa_err_t *err, const char *data, size_t offset);


/*
 * A growing byte buffer with a maximum that is set at its birth.  malloc'ed;
 * whoever declares it frees it.  After a failed append the content stays as
 * it was before.  Appends return STOA_FULL past the maximum and STOA_ERROR
 * without memory; the first failure is kept in `rc`, so that a writer may
 * append many times and check once: after it nothing more is appended.
 * data[len] is a NUL, which `len` and the maximum do not count, as soon as
 * anything was appended.
 */

typedef struct {
    char       *data;
    size_t      len;
    size_t      size;
    size_t      max;
    stoa_rc_t   rc;
} stoa_buf_t;

void stoa_buf_init(stoa_buf_t *b, size_t max);
void stoa_buf_free(stoa_buf_t *b);
void stoa_buf_reset(stoa_buf_t *b);
stoa_rc_t stoa_buf_reserve(stoa_buf_t *b, size_t n) STOA_MUST_CHECK;
void stoa_buf_add(stoa_buf_t *b, const void *data, size_t len);
void stoa_buf_addz(stoa_buf_t *b, const char *s);
void stoa_buf_addf(stoa_buf_t *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Appends a JSON string with its quotes; input is UTF-8 already checked. */
void stoa_buf_add_json(stoa_buf_t *b, const char *s, size_t len);


/* The public limits of both planes, in one place. */

#define STOA_JSON_DEPTH_MAX        64
#define STOA_NAME_MAX              63      /* slug                         */
#define STOA_TOOL_NAME_MAX         128
#define STOA_PATH_SEGMENTS_MAX     8       /* of a base path               */
#define STOA_BASE_PATH_MAX         255
#define STOA_HOST_MAX              253
#define STOA_URI_MAX               1024    /* of a resource of MCP        */
#define STOA_TEMPLATE_MAX          512     /* path of an operation         */
#define STOA_TEMPLATE_PARAMS_MAX   16
#define STOA_JSON_MEMBERS_MAX      65536   /* of one object                */
#define STOA_KEY_MAX               128     /* a presented credential       */
#define STOA_TARGETS_MAX           32
#define STOA_STATUSES_MAX          16
#define STOA_SPLITS_MAX            8
#define STOA_SPLIT_RULES_MAX       32
#define STOA_PURGES_MAX            256       /* of an api                  */
#define STOA_PURGE_VALUE_MAX       1024      /* bytes                      */
#define STOA_OPERATIONS_MAX        2000    /* of one api                   */
#define STOA_CONTRACT_LEN          1572864 /* of its document, as judged   */
#define STOA_SERVER_TOOLS_MAX      1000
#define STOA_CIDRS_MAX             256
#define STOA_POLICY_CIDRS_MAX      100000  /* of one list of a policy   */
#define STOA_PARTNERS_MAX          1000
#define STOA_POLICIES_MAX          256     /* of one record                */
#define STOA_ISSUER_MAX            400
#define STOA_ISSUER_KEYS_MAX       64
#define STOA_TARGET_PATH_MAX       1024
#define STOA_RECORD_MAX            (4 * 1024 * 1024)   /* JSON body of a row */
#define STOA_JSONRPC_BODY_MAX      (16 * 1024 * 1024)


#endif /* STOA_CORE_H */
