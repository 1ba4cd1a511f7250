/*
 * Listening sockets and addresses as text.  Process: stoa-control, any thread.
 */

#ifndef CP_LISTEN_H
#define CP_LISTEN_H


#include <sys/socket.h>

#include "base/cp.h"


cp_rc_t cp_listen(const char *address, int *fd, bool *v6, cp_err_t *err)
    CP_MUST_CHECK;
/* host:port that a socket is bound to. */
void cp_listen_name(int fd, char *dst, size_t size);
cp_rc_t cp_listen_text(const struct sockaddr *sa, unsigned len, char *host,
    size_t host_size, char *port, size_t port_size);


#endif /* CP_LISTEN_H */
