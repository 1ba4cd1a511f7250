/*
 * Outgoing HTTP of the control plane, all of it: libcurl, blocking, on a
 * thread that may block.
 *
 * It goes only where it was told to: http and https, no redirects, no proxy of
 * the environment, no credentials from files.  An address that somebody else
 * than the operator named is judged after it was resolved, at each connect,
 * and that address is the one connected to: public ones, and what
 * `outbound_allow` lists (core/stoa_addr.h).
 *
 * Owner: whoever made it, and its arena.  One thread.
 */

#ifndef CP_CLIENT_H
#define CP_CLIENT_H


#include "op/cp_app.h"


#define CP_CLIENT_CONNECT_MS  3000


typedef struct cp_client_s  cp_client_t;

typedef struct {
    const char  *url;
    const char  *host_header;      /* NULL: the url's                       */
    const char  *server_name;      /* SNI and certificate; NULL: the url's  */
    const char  *credential;       /* a header's line; NULL: none           */
    const char  *certificate;      /* with its key, PEM; NULL: none         */
    bool         verify;           /* the certificate                       */
    bool         trusted;          /* the operator's own words: anywhere    */
} cp_client_to_t;

/* A piece of the answer's body; false: enough.  And one line of its head. */
typedef bool (*cp_client_data_pt)(void *ctx, const char *data, size_t len);
typedef void (*cp_client_line_pt)(void *ctx, const char *line, size_t len);


/* Once for the process, before any thread uses a client. */
void cp_client_init(void);

/* `to` and ctx must live as long.  NULL: no memory. */
cp_client_t *cp_client_create(cp_app_t *app, cp_arena_t *a,
    const cp_client_to_t *to, cp_client_data_pt data, cp_client_line_pt line,
    void *ctx);
void cp_client_destroy(cp_client_t *c);            /* NULL is fine          */

/* For the next request; value NULL or "": none. */
void cp_client_header(cp_client_t *c, const char *name, const char *value);

/* One exchange, POST with a body (not copied), or `method` without one.
 * NULL: done, *status is set; else why not, for people. */
const char *cp_client_send(cp_client_t *c, const char *method,
    const stoa_str_t *body, int64_t timeout_ms, long *status);

/* The same without a body, whose answer is read piece by piece, with others'
 * exchanges in between: begins, reads what comes in that time.  NULL: it goes
 * on; else why not. */
const char *cp_client_begin(cp_client_t *c, const char *method,
    int64_t timeout_ms);
const char *cp_client_more(cp_client_t *c, int64_t wait_ms);

/* A header of the answer whose body comes, or NULL. */
const char *cp_client_answer(cp_client_t *c, const char *name);

/* The class of an address that a url names by itself and that is not allowed;
 * STOA_ADDR_PUBLIC of any other. */
stoa_addr_class_e cp_client_refused(const stoa_allow_t *allow,
    const char *url);


#endif /* CP_CLIENT_H */
