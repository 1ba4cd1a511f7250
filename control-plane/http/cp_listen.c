/*
 * The listening socket, made here rather than by MHD so that a failure can be
 * told exactly.
 */

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/cp_listen.h"


#define CP_LISTEN_BACKLOG  1024


/* "host:port", "[v6]:port", ":port". */

static cp_rc_t
cp_listen_split(const char *s, char *host, size_t size, const char **port)
{
    size_t       len;
    const char  *colon;

    colon = strrchr(s, ':');

    if (colon == NULL || colon[1] == '\0') {
        return CP_DECLINED;
    }

    len = (size_t) (colon - s);
    *port = colon + 1;

    if (len >= 2 && s[0] == '[' && s[len - 1] == ']') {
        s++;
        len -= 2;
    }

    if (len >= size) {
        return CP_DECLINED;
    }

    memcpy(host, s, len);
    host[len] = '\0';

    return CP_OK;
}


static int
cp_listen_socket(const struct addrinfo *ai)
{
    int  fd, on, saved;

    on = 1;
    fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd == -1) {
        return -1;
    }

    (void) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));

    if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0
        && listen(fd, CP_LISTEN_BACKLOG) == 0)
    {
        return fd;
    }

    saved = errno;
    (void) close(fd);
    errno = saved;

    return -1;
}


cp_rc_t
cp_listen(const char *address, int *fd, bool *v6, cp_err_t *err)
{
    int               rc;
    char              host[256];
    const char       *port;
    struct addrinfo   hints, *ai;

    if (cp_listen_split(address, host, sizeof(host), &port) != CP_OK) {
        return cp_err_set(err, "validation", "listen: \"%s\" is no "
                          "host:port", address);
    }

    memset(&hints, 0, sizeof(hints));
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE;

    rc = getaddrinfo((host[0] != '\0') ? host : NULL, port, &hints, &ai);

    if (rc != 0) {
        return cp_err_set(err, "validation", "listen: \"%s\": %s", address,
                          gai_strerror(rc));
    }

    *v6 = (ai->ai_family == AF_INET6);
    *fd = cp_listen_socket(ai);

    freeaddrinfo(ai);

    if (*fd == -1) {
        return cp_err_set(err, "internal", "cannot listen on \"%s\": %s",
                          address, strerror(errno));
    }

    return CP_OK;
}


void
cp_listen_name(int fd, char *dst, size_t size)
{
    char                     host[128], port[16];
    socklen_t                len;
    struct sockaddr_storage  ss;

    len = sizeof(ss);

    if (getsockname(fd, (struct sockaddr *) &ss, &len) != 0
        || cp_listen_text((struct sockaddr *) &ss, len, host, sizeof(host),
                          port, sizeof(port)) != CP_OK)
    {
        (void) snprintf(dst, size, "?");
        return;
    }

    (void) snprintf(dst, size, (ss.ss_family == AF_INET6) ? "[%s]:%s"
                                                          : "%s:%s",
                    host, port);
}


cp_rc_t
cp_listen_text(const struct sockaddr *sa, unsigned len, char *host,
    size_t host_size, char *port, size_t port_size)
{
    return (getnameinfo(sa, len, host, (socklen_t) host_size, port,
                        (socklen_t) port_size,
                        NI_NUMERICHOST | NI_NUMERICSERV) == 0)
           ? CP_OK : CP_ERROR;
}
