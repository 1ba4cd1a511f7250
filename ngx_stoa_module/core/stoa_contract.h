/*
 * Contracts: what an OpenAPI document says of calls and answers, as the
 * control plane writes it (control-plane/spec/cp_spec_contract.c) and gateways
 * judge by it.
 *
 *     { "operations": [ { "method", "path",
 *           "parameters": [ { "name", "in", "form", "separator", "required",
 *                             "texts", "empty", "schema" } ],
 *           "body": { "required", "media": { type: schema } },
 *           "answers": { "200" | "2XX" | "default": { type: schema } } } ],
 *       "schemas": a set of stoa_jschema.h,
 *       "arguments": [ names that all operations may have ] }
 *
 * A schema is the place of an entry of the set, or null.
 *
 * Process: any.  Lifetime: what read() gives refers into the text.
 */

#ifndef STOA_CONTRACT_H
#define STOA_CONTRACT_H


#include "stoa_jschema.h"


#define STOA_CONTRACT_VALUES  64         /* of one parameter of a call       */
#define STOA_CONTRACT_NONE    UINT32_MAX

typedef enum {
    STOA_CONTRACT_PATH = 0, STOA_CONTRACT_QUERY, STOA_CONTRACT_HEADER,
    STOA_CONTRACT_COOKIE, STOA_CONTRACT_IN_MAX
} stoa_contract_in_e;

/* Of a parameter: one value, several, JSON, what nobody judges, which may also
 * be called "name[...]". */
typedef enum {
    STOA_CONTRACT_VALUE = 0, STOA_CONTRACT_LIST, STOA_CONTRACT_JSON,
    STOA_CONTRACT_ANY, STOA_CONTRACT_FORM_MAX
} stoa_contract_form_e;

typedef struct {
    stoa_str_t            name;
    stoa_contract_in_e    in;
    stoa_contract_form_e  form;
    char                  separator;     /* of a list; 0: it comes again     */
    bool                  required;
    bool                  texts;         /* a value, or an item, may be one  */
    bool                  empty;         /* "" is taken                      */
    uint32_t              schema;
} stoa_contract_param_t;

typedef struct {
    stoa_str_t            type;          /* in lower case                    */
    uint32_t              schema;
} stoa_contract_media_t;

typedef struct {
    unsigned               from, to;     /* 0: of all others                 */
    stoa_contract_media_t *media;
    uint32_t               n;            /* 0: nothing is said of it         */
} stoa_contract_answer_t;

typedef struct {
    stoa_str_t              method;
    stoa_str_t              path;
    stoa_contract_param_t  *params;
    uint32_t                nparams;
    bool                    body;        /* it has one                       */
    bool                    body_required;
    stoa_contract_media_t  *media;
    uint32_t                nmedia;
    stoa_contract_answer_t *answers;
    uint32_t                nanswers;
} stoa_contract_op_t;

typedef struct {
    stoa_contract_op_t     *ops;
    uint32_t                nops;
    stoa_str_t             *arguments;
    uint32_t                narguments;
    void                   *schemas;
} stoa_contract_t;


/* Memory for a contract, zeroed or not; NULL: there is none. */
typedef void *(*stoa_contract_alloc_pt)(void *ctx, size_t size);

stoa_rc_t stoa_contract_read(const char *json, size_t len,
    stoa_contract_alloc_pt alloc, void *ctx, stoa_contract_t *c,
    stoa_err_t *err) STOA_MUST_CHECK;

/* The operation of a path, whose segments are as they are; NULL: it has none.
 * A HEAD is for a GET, too. */
const stoa_contract_op_t *stoa_contract_find(const stoa_contract_t *c,
    stoa_str_t method, stoa_str_t path);

/* What stands for a name of the operation's path; len 0: nothing. */
stoa_str_t stoa_contract_segment(const stoa_contract_op_t *op,
    stoa_str_t name, stoa_str_t path);

/* The parameter of that name; NULL: there is none. */
const stoa_contract_param_t *stoa_contract_param(const stoa_contract_op_t *op,
    stoa_contract_in_e in, stoa_str_t name);

/* What a call says of a parameter, decoded, n times (at least once).  b: room
 * to write.  STOA_DECLINED with err. */
stoa_rc_t stoa_contract_judge(const stoa_contract_t *c,
    const stoa_contract_param_t *p, const stoa_str_t *values, uint32_t n,
    stoa_buf_t *b, stoa_err_t *err) STOA_MUST_CHECK;

/* The most exact one that a Content-Type fits; NULL: none. */
const stoa_contract_media_t *stoa_contract_media(
    const stoa_contract_media_t *media, uint32_t n, const char *type,
    size_t len);

/* What is said of a status; NULL: nothing. */
const stoa_contract_answer_t *stoa_contract_answer(
    const stoa_contract_op_t *op, unsigned status);


#endif /* STOA_CONTRACT_H */
