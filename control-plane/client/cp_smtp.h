/*
 * One mail to the operator's mail server: libcurl, blocking, on a thread that
 * may block.  The server is smtp_url's, over TLS unless smtp_tls says none.
 *
 * Owner: whoever made it, and its arena.  One thread; what one object sends
 * goes over one connection where the server keeps it.
 */

#ifndef CP_SMTP_H
#define CP_SMTP_H


#include "op/cp_app.h"


typedef struct cp_smtp_s  cp_smtp_t;

typedef struct {
    const char  *id;               /* of the Message-ID                      */
    const char  *to;               /* cp_smtp_address()                      */
    const char  *subject;          /* UTF-8, one line                        */
    const char  *text;
} cp_smtp_mail_t;


/* local@domain of ASCII, without quotes: nothing that could end a line or an
 * address. */
bool cp_smtp_address(const char *s);

/* NULL: no memory. */
cp_smtp_t *cp_smtp_create(cp_app_t *app, cp_arena_t *a);
void cp_smtp_destroy(cp_smtp_t *s);                /* NULL is fine           */

/* NULL: the server has taken it; else why not, for people.  *never: another
 * try would end the same way. */
const char *cp_smtp_send(cp_smtp_t *s, const cp_smtp_mail_t *mail,
    bool *never);


#endif /* CP_SMTP_H */
