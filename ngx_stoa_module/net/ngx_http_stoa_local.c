/*
 * The socket that a worker connects to itself.
 */

#include "ngx_http_stoa_local.h"


#define NGX_HTTP_STOA_LOCAL_BACKLOG  512


static void ngx_http_stoa_local_accept(ngx_event_t *ev);


/* Of this worker. */

static ngx_connection_t        *ngx_http_stoa_local;
static ngx_http_stoa_local_pt   ngx_http_stoa_local_handler;
static struct sockaddr_un       ngx_http_stoa_local_sun;


ngx_int_t
ngx_http_stoa_local_open(ngx_http_stoa_main_conf_t *mcf, ngx_cycle_t *cycle,
    ngx_http_stoa_local_pt handler)
{
    u_char              *p, *last;
    ngx_socket_t         s;
    ngx_connection_t    *c;
    struct sockaddr_un  *sun;

    sun = &ngx_http_stoa_local_sun;
    sun->sun_family = AF_UNIX;
    last = (u_char *) sun->sun_path + sizeof(sun->sun_path) - 1;
    p = ngx_snprintf((u_char *) sun->sun_path, sizeof(sun->sun_path) - 1,
                     "%V/local.%P", &mcf->store_dir, ngx_pid);

    if (p == last) {
        return NGX_OK;                       /* as the door, which says so   */
    }

    ngx_http_stoa_local_handler = handler;
    s = socket(AF_UNIX, SOCK_STREAM, 0);

    if (s == -1) {
        return NGX_ERROR;
    }

    (void) unlink(sun->sun_path);
    c = NULL;

    if (ngx_nonblocking(s) == -1
        || bind(s, (struct sockaddr *) sun, sizeof(*sun)) == -1
        || chmod(sun->sun_path, 0600) == -1
        || listen(s, NGX_HTTP_STOA_LOCAL_BACKLOG) == -1
        || (c = ngx_get_connection(s, cycle->log)) == NULL)
    {
        ngx_log_error(NGX_LOG_ERR, cycle->log, ngx_errno,
                      "\"%s\" cannot be opened", sun->sun_path);
        (void) ngx_close_socket(s);
        return NGX_ERROR;
    }

    c->read->handler = ngx_http_stoa_local_accept;
    c->read->log = cycle->log;
    c->write->log = cycle->log;
    ngx_http_stoa_local = c;

    return ngx_handle_read_event(c->read, 0);
}


void
ngx_http_stoa_local_close(void)
{
    if (ngx_http_stoa_local) {
        ngx_close_connection(ngx_http_stoa_local);
        ngx_http_stoa_local = NULL;
        (void) unlink(ngx_http_stoa_local_sun.sun_path);
    }
}


socklen_t
ngx_http_stoa_local_address(ngx_sockaddr_t *sa)
{
    if (ngx_http_stoa_local == NULL) {
        return 0;
    }

    ngx_memzero(sa, sizeof(ngx_sockaddr_t));
    ngx_memcpy(sa, &ngx_http_stoa_local_sun, sizeof(struct sockaddr_un));

    return sizeof(struct sockaddr_un);
}


static void
ngx_http_stoa_local_accept(ngx_event_t *ev)
{
    ngx_socket_t       s;
    ngx_connection_t  *c;

    c = ev->data;

    for ( ;; ) {
        s = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (s != -1) {
            ngx_http_stoa_local_handler(s);

        } else if (ngx_socket_errno != NGX_EINTR
                   && ngx_socket_errno != NGX_ECONNABORTED)
        {
            break;
        }
    }

    ev->ready = 0;
    (void) ngx_handle_read_event(ev, 0);
}
