/*
 * Sockets of workers, for workers.
 */

#include "ngx_http_stoa_door.h"

#include <dirent.h>


static ngx_int_t ngx_http_stoa_door_address(ngx_pid_t pid,
    struct sockaddr_un *sun);
static void ngx_http_stoa_door_read(ngx_event_t *ev);


/* Of this worker. */

static ngx_connection_t      *ngx_http_stoa_door;
static ngx_http_stoa_door_pt  ngx_http_stoa_door_handler;
static ngx_str_t              ngx_http_stoa_door_dir;
static u_char                 ngx_http_stoa_door_buffer[NGX_HTTP_STOA_DOOR_MAX
                                                        + 1];


ngx_int_t
ngx_http_stoa_door_open(ngx_http_stoa_main_conf_t *mcf, ngx_cycle_t *cycle,
    ngx_http_stoa_door_pt handler)
{
    int                 size;
    ngx_socket_t        s;
    ngx_connection_t   *c;
    struct sockaddr_un  sun;

    ngx_http_stoa_door_dir = mcf->store_dir;
    ngx_http_stoa_door_handler = handler;

    if (ngx_http_stoa_door_address(ngx_pid, &sun) != NGX_OK) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, 0, "the path of \"stoa_store\""
                      " is too long for a socket: workers do not hear of "
                      "what others are told");
        return NGX_OK;
    }

    s = socket(AF_UNIX, SOCK_DGRAM, 0);

    if (s == -1) {
        return NGX_ERROR;
    }

    (void) unlink(sun.sun_path);          /* of one with this pid before us */

    size = 4 * NGX_HTTP_STOA_DOOR_MAX;
    (void) setsockopt(s, SOL_SOCKET, SO_SNDBUF, &size, sizeof(int));
    (void) setsockopt(s, SOL_SOCKET, SO_RCVBUF, &size, sizeof(int));

    c = NULL;

    if (ngx_nonblocking(s) == -1
        || bind(s, (struct sockaddr *) &sun, sizeof(sun)) == -1
        || chmod(sun.sun_path, 0600) == -1
        || (c = ngx_get_connection(s, cycle->log)) == NULL)
    {
        ngx_log_error(NGX_LOG_ERR, cycle->log, ngx_errno,
                      "\"%s\" cannot be opened", sun.sun_path);
        (void) ngx_close_socket(s);
        return NGX_ERROR;
    }

    c->read->handler = ngx_http_stoa_door_read;
    c->read->log = cycle->log;
    c->write->log = cycle->log;
    ngx_http_stoa_door = c;

    return ngx_handle_read_event(c->read, 0);
}


void
ngx_http_stoa_door_close(void)
{
    struct sockaddr_un  sun;

    if (ngx_http_stoa_door == NULL) {
        return;
    }

    ngx_close_connection(ngx_http_stoa_door);
    ngx_http_stoa_door = NULL;

    if (ngx_http_stoa_door_address(ngx_pid, &sun) == NGX_OK) {
        (void) unlink(sun.sun_path);
    }
}


static ngx_int_t
ngx_http_stoa_door_address(ngx_pid_t pid, struct sockaddr_un *sun)
{
    u_char  *p, *last;

    ngx_memzero(sun, sizeof(struct sockaddr_un));
    sun->sun_family = AF_UNIX;

    last = (u_char *) sun->sun_path + sizeof(sun->sun_path);
    p = ngx_snprintf((u_char *) sun->sun_path, sizeof(sun->sun_path),
                     "%V/door.%P", &ngx_http_stoa_door_dir, pid);

    return p < last ? NGX_OK : NGX_DECLINED;
}


static void
ngx_http_stoa_door_read(ngx_event_t *ev)
{
    ssize_t            n;
    ngx_connection_t  *c;

    c = ev->data;

    for ( ;; ) {
        n = recv(c->fd, ngx_http_stoa_door_buffer,
                 sizeof(ngx_http_stoa_door_buffer), 0);

        if (n == -1 && ngx_socket_errno == NGX_EINTR) {
            continue;
        }

        if (n <= 0) {
            break;
        }

        if (n <= NGX_HTTP_STOA_DOOR_MAX) {
            ngx_http_stoa_door_handler(ngx_http_stoa_door_buffer, (size_t) n);
        }
    }

    ev->ready = 0;
    (void) ngx_handle_read_event(ev, 0);
}


ngx_int_t
ngx_http_stoa_door_tell(ngx_pid_t pid, const u_char *p, size_t len)
{
    struct sockaddr_un  sun;

    if (ngx_http_stoa_door == NULL || len > NGX_HTTP_STOA_DOOR_MAX
        || ngx_http_stoa_door_address(pid, &sun) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return sendto(ngx_http_stoa_door->fd, p, len, MSG_DONTWAIT,
                  (struct sockaddr *) &sun, sizeof(sun))
           == (ssize_t) len ? NGX_OK : NGX_DECLINED;
}


void
ngx_http_stoa_door_tell_all(const u_char *p, size_t len)
{
    DIR            *dir;
    ngx_int_t       pid;
    struct dirent  *e;
    u_char          path[NGX_MAX_PATH];

    *ngx_snprintf(path, NGX_MAX_PATH - 1, "%V", &ngx_http_stoa_door_dir) = 0;
    dir = opendir((char *) path);

    if (dir == NULL) {
        return;
    }

    while ((e = readdir(dir)) != NULL) {

        if (ngx_strncmp(e->d_name, "door.", 5) != 0) {
            continue;
        }

        pid = ngx_atoi((u_char *) e->d_name + 5, ngx_strlen(e->d_name) - 5);

        if (pid == NGX_ERROR || pid == (ngx_int_t) ngx_pid) {
            continue;
        }

        if (ngx_http_stoa_door_tell((ngx_pid_t) pid, p, len) != NGX_OK
            && kill((pid_t) pid, 0) == -1 && ngx_errno == NGX_ESRCH)
        {
            /* left behind by one that was killed */

            *ngx_snprintf(path, NGX_MAX_PATH - 1, "%V/%s",
                          &ngx_http_stoa_door_dir, e->d_name) = 0;
            (void) unlink((char *) path);
        }
    }

    (void) closedir(dir);
}
