/*
 * Texts and JSON made of a call: templates without code.
 *
 * A template is a text with ${name}s, or JSON whose strings are such texts.
 * Names: request_id, client_address, tenant, application, subscription, plan,
 * api, method, path, query.NAME, header.NAME, body, body/a/0 (a JSON pointer
 * into the body).  In JSON a string that is one ${name} becomes the value
 * itself, of whatever type, as it was written; a member or an item without a
 * value is left out.  Within a longer text a value is text: what is none (an
 * object, an array, nothing) is "".
 *
 * What comes is escaped for its place: a string of JSON is one, a value of a
 * query is percent-encoded, a header has blanks for control characters.
 * Nothing a value says is read as a template, so nothing grows but by it.
 *
 * Process: any.  No state; the buffer's maximum bounds what is made.
 */

#ifndef STOA_TEMPLATE_H
#define STOA_TEMPLATE_H


#include "stoa_json.h"


#define STOA_TEMPLATE_TEXT   1024
#define STOA_TEMPLATE_JSON   65536
#define STOA_TEMPLATE_DEPTH  32
#define STOA_TEMPLATE_LOOK   (64 * 1024 * 1024)  /* bytes of bodies          */

typedef enum {
    STOA_PART_REQUEST_ID = 0, STOA_PART_CLIENT_ADDRESS, STOA_PART_TENANT,
    STOA_PART_APPLICATION, STOA_PART_SUBSCRIPTION, STOA_PART_PLAN,
    STOA_PART_API, STOA_PART_METHOD, STOA_PART_PATH, STOA_PART_QUERY,
    STOA_PART_HEADER, STOA_PART_BODY, STOA_PART_MAX
} stoa_part_e;

typedef enum {
    STOA_TEMPLATE_IN_JSON = 0, STOA_TEMPLATE_IN_QUERY, STOA_TEMPLATE_IN_HEADER
} stoa_template_in_e;

typedef struct {
    stoa_part_e  part;
    stoa_str_t   name;                   /* of QUERY, HEADER; a pointer      */
} stoa_template_var_t;

/* A text of a call; false: it has none. */
typedef bool (*stoa_template_get_pt)(void *ctx,
    const stoa_template_var_t *var, stoa_str_t *text);

typedef struct {
    stoa_template_get_pt    get;
    void                   *ctx;
    const stoa_json_val_t  *body;        /* NULL: it is no JSON              */
    stoa_template_in_e      in;
    size_t                  looked;      /* through, for all of its names    */
} stoa_template_t;


/* Is this a template, on one line? */
bool stoa_template_valid(const char *s, size_t len);
/* Of JSON: *place is where, in place's size. */
const char *stoa_template_json_wrong(const char *json, size_t len,
    char *place, size_t size);
/* Does it need a body? */
bool stoa_template_reads_body(const char *s, size_t len);

/* Appends what a checked template makes; out->rc says whether it fits. */
void stoa_template_text(stoa_template_t *t, const char *s, size_t len,
    stoa_buf_t *out);
void stoa_template_json(stoa_template_t *t, const char *json,
    size_t len, stoa_buf_t *out);


#endif /* STOA_TEMPLATE_H */
