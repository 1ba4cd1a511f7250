/*
 * Requests that do not come to an end.  libmicrohttpd closes what is silent;
 * who sends a byte now and then keeps his connection, and so it is bounded
 * how long a request may take to be there as a whole, its head and its body.
 *
 * Owner: a row per connection, made and freed by libmicrohttpd's notices, in
 * a list under a mutex.  The timer of the parked calls looks once a second
 * and shuts the sockets of those whose time is over; their I/O threads do the
 * rest.
 */

#include <stdlib.h>
#include <sys/socket.h>

#include "http/cp_call.h"


struct cp_guard_s {
    int               fd;
    _Atomic int64_t   until;           /* monotonic ms; 0: nothing awaited */
    cp_guard_t       *prev;
    cp_guard_t       *next;
};


void
cp_guard_notice(void *cls, struct MHD_Connection *conn, void **context,
    enum MHD_ConnectionNotificationCode code)
{
    cp_http_t                       *http = cls;
    cp_guard_t                      *g = *context;
    const union MHD_ConnectionInfo  *info;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {

        if (g == NULL) {
            return;
        }

        *context = NULL;
        (void) pthread_mutex_lock(&http->guard_mutex);

        if (g->prev != NULL) {
            g->prev->next = g->next;

        } else {
            http->guards = g->next;
        }

        if (g->next != NULL) {
            g->next->prev = g->prev;
        }

        (void) pthread_mutex_unlock(&http->guard_mutex);
        free(g);

        return;
    }

    info = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
    g = info != NULL ? calloc(1, sizeof(cp_guard_t)) : NULL;

    /* without memory it is as it would be without a guard */

    if (g == NULL) {
        return;
    }

    g->fd = info->connect_fd;
    atomic_store(&g->until, cp_time_mono_ms()
                            + http->app->conf.request_timeout_s * 1000);
    *context = g;

    (void) pthread_mutex_lock(&http->guard_mutex);
    g->next = http->guards;

    if (g->next != NULL) {
        g->next->prev = g;
    }

    http->guards = g;
    (void) pthread_mutex_unlock(&http->guard_mutex);
}


void
cp_guard_await(cp_call_t *call, int64_t ms)
{
    cp_guard_t                      *g;
    const union MHD_ConnectionInfo  *info;

    info = MHD_get_connection_info(call->conn,
                                   MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    g = info != NULL ? info->socket_context : NULL;

    if (g != NULL) {
        atomic_store(&g->until, ms != 0 ? cp_time_mono_ms() + ms : 0);
    }
}


void
cp_guard_look(cp_http_t *http)
{
    int64_t      now, until;
    cp_guard_t  *g;

    now = cp_time_mono_ms();

    (void) pthread_mutex_lock(&http->guard_mutex);

    for (g = http->guards; g != NULL; g = g->next) {
        until = atomic_load(&g->until);

        if (until != 0 && until < now) {
            atomic_store(&g->until, 0);
            cp_metric_add(http->m_slow, 1);
            (void) shutdown(g->fd, SHUT_RDWR);
        }
    }

    (void) pthread_mutex_unlock(&http->guard_mutex);
}
