/*
 * Sockets of workers, for workers.
 */

#include "ngx_http_stoa_door.h"

#include <dirent.h>
#include <sys/mman.h>


/* What is longer than _SHORT is in a file, whose datagram is a zero. */

#define NGX_HTTP_STOA_DOOR_AGAIN  5                /* ms                     */
#define NGX_HTTP_STOA_DOOR_BUSY   8                /* workers, at one time   */


typedef struct {
    ngx_queue_t  queue;
    ngx_pid_t    pid;
    ngx_msec_t   since;
    int          fd;                               /* -1: none               */
    size_t       len;
    size_t       size;                             /* with what is in fd     */
    u_char       text[1];
} ngx_http_stoa_door_late_t;


static ngx_int_t ngx_http_stoa_door_address(ngx_pid_t pid,
    struct sockaddr_un *sun);
static void ngx_http_stoa_door_read(ngx_event_t *ev);
static ssize_t ngx_http_stoa_door_receive(int s, int *fd);
static void ngx_http_stoa_door_file(int fd);
static int ngx_http_stoa_door_write(const u_char *p, size_t len);
static ngx_int_t ngx_http_stoa_door_take(ngx_pid_t pid, const u_char *p,
    size_t len, int fd, size_t size);
static ngx_int_t ngx_http_stoa_door_send(ngx_pid_t pid, const u_char *p,
    size_t len, int fd);
static ngx_uint_t ngx_http_stoa_door_is_late(ngx_pid_t pid);
static ngx_int_t ngx_http_stoa_door_later(ngx_pid_t pid, const u_char *p,
    size_t len, int fd, size_t size);
static void ngx_http_stoa_door_again(ngx_event_t *ev);
static void ngx_http_stoa_door_free(ngx_http_stoa_door_late_t *late);


/* Of this worker. */

static ngx_connection_t      *ngx_http_stoa_door;
static ngx_http_stoa_door_pt  ngx_http_stoa_door_handler;
static ngx_str_t              ngx_http_stoa_door_dir;
static u_char          ngx_http_stoa_door_buffer[NGX_HTTP_STOA_DOOR_SHORT];
static ngx_queue_t            ngx_http_stoa_door_lates;
static ngx_uint_t             ngx_http_stoa_door_nlate;
static size_t                 ngx_http_stoa_door_heap;
static ngx_event_t            ngx_http_stoa_door_timer;
static ngx_connection_t       ngx_http_stoa_door_dummy;


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

    size = 16 * NGX_HTTP_STOA_DOOR_SHORT;
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

    ngx_queue_init(&ngx_http_stoa_door_lates);
    ngx_http_stoa_door_dummy.fd = (ngx_socket_t) -1;
    ngx_http_stoa_door_timer.handler = ngx_http_stoa_door_again;
    ngx_http_stoa_door_timer.data = &ngx_http_stoa_door_dummy;
    ngx_http_stoa_door_timer.log = cycle->log;

    return ngx_handle_read_event(c->read, 0);
}


void
ngx_http_stoa_door_close(void)
{
    ngx_queue_t         *q;
    struct sockaddr_un   sun;

    if (ngx_http_stoa_door == NULL) {
        return;
    }

    while (!ngx_queue_empty(&ngx_http_stoa_door_lates)) {
        q = ngx_queue_head(&ngx_http_stoa_door_lates);
        ngx_http_stoa_door_free(ngx_queue_data(q, ngx_http_stoa_door_late_t,
                                               queue));
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


/* ---- what comes --------------------------------------------------------- */

static void
ngx_http_stoa_door_read(ngx_event_t *ev)
{
    int                fd;
    ssize_t            n;
    ngx_connection_t  *c;

    c = ev->data;

    for ( ;; ) {
        n = ngx_http_stoa_door_receive(c->fd, &fd);

        if (n == -1 && ngx_socket_errno == NGX_EINTR) {
            continue;
        }

        if (n == -1) {
            break;
        }

        if (n && ngx_http_stoa_door_buffer[0]) {
            ngx_http_stoa_door_handler(ngx_http_stoa_door_buffer, (size_t) n,
                                       fd);

        } else if (fd != -1) {
            ngx_http_stoa_door_file(fd);
            (void) close(fd);
        }
    }

    ev->ready = 0;
    (void) ngx_handle_read_event(ev, 0);
}


static ssize_t
ngx_http_stoa_door_receive(int s, int *fd)
{
    ssize_t          n;
    struct iovec     iov;
    struct msghdr    msg;
    struct cmsghdr  *cmsg;
    union {
        struct cmsghdr  align;
        char            space[CMSG_SPACE(sizeof(int))];
    } control;

    iov.iov_base = ngx_http_stoa_door_buffer;
    iov.iov_len = sizeof(ngx_http_stoa_door_buffer);

    ngx_memzero(&msg, sizeof(msg));
    msg.msg_iov = &iov;
    msg.msg_iovlen = 1;
    msg.msg_control = control.space;
    msg.msg_controllen = sizeof(control.space);

    *fd = -1;
    n = recvmsg(s, &msg, MSG_CMSG_CLOEXEC);
    cmsg = n == -1 ? NULL : CMSG_FIRSTHDR(&msg);

    if (cmsg && cmsg->cmsg_level == SOL_SOCKET
        && cmsg->cmsg_type == SCM_RIGHTS
        && cmsg->cmsg_len == CMSG_LEN(sizeof(int)))
    {
        ngx_memcpy(fd, CMSG_DATA(cmsg), sizeof(int));
    }

    return n;
}


static void
ngx_http_stoa_door_file(int fd)
{
    void         *p;
    struct stat   st;

    if (fstat(fd, &st) == -1 || st.st_size <= 0
        || st.st_size > NGX_HTTP_STOA_DOOR_MAX)
    {
        return;
    }

    p = mmap(NULL, (size_t) st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);

    if (p != MAP_FAILED) {
        ngx_http_stoa_door_handler(p, (size_t) st.st_size, -1);
        (void) munmap(p, (size_t) st.st_size);
    }
}


/* ---- what is told ------------------------------------------------------- */

ngx_int_t
ngx_http_stoa_door_tell(ngx_pid_t pid, const u_char *p, size_t len)
{
    int        fd;
    ngx_int_t  rc;

    if (len <= NGX_HTTP_STOA_DOOR_SHORT) {
        return ngx_http_stoa_door_take(pid, p, len, -1, len);
    }

    fd = len <= NGX_HTTP_STOA_DOOR_MAX ? ngx_http_stoa_door_write(p, len)
                                       : -1;
    if (fd == -1) {
        return NGX_DECLINED;
    }

    rc = ngx_http_stoa_door_take(pid, (u_char *) "", 1, fd, len);
    (void) close(fd);

    return rc;
}


ngx_int_t
ngx_http_stoa_door_pass(ngx_pid_t pid, const u_char *p, size_t len, int fd)
{
    return ngx_http_stoa_door_take(pid, p, len, fd, len);
}


/* Now, or later; size: of it all. */

static ngx_int_t
ngx_http_stoa_door_take(ngx_pid_t pid, const u_char *p, size_t len, int fd,
    size_t size)
{
    ngx_int_t  rc;

    if (ngx_http_stoa_door == NULL) {
        return NGX_DECLINED;
    }

    rc = ngx_http_stoa_door_is_late(pid)
         ? NGX_AGAIN : ngx_http_stoa_door_send(pid, p, len, fd);

    return rc == NGX_AGAIN ? ngx_http_stoa_door_later(pid, p, len, fd, size)
                           : rc;
}


static int
ngx_http_stoa_door_write(const u_char *p, size_t len)
{
    int      fd;
    ssize_t  n;

    fd = memfd_create("stoa-door", MFD_CLOEXEC);

    while (fd != -1 && len) {
        n = write(fd, p, len);

        if (n <= 0) {
            (void) close(fd);
            return -1;
        }

        p += n;
        len -= n;
    }

    return fd;
}


/* NGX_AGAIN: it has not read what it was told before. */

static ngx_int_t
ngx_http_stoa_door_send(ngx_pid_t pid, const u_char *p, size_t len, int fd)
{
    struct iovec         iov;
    struct msghdr        msg;
    struct cmsghdr      *cmsg;
    struct sockaddr_un   sun;
    union {
        struct cmsghdr  align;
        char            space[CMSG_SPACE(sizeof(int))];
    } control;

    if (ngx_http_stoa_door_address(pid, &sun) != NGX_OK) {
        return NGX_DECLINED;
    }

    iov.iov_base = (void *) p;
    iov.iov_len = len;

    ngx_memzero(&msg, sizeof(msg));
    msg.msg_name = &sun;
    msg.msg_namelen = sizeof(sun);
    msg.msg_iov = &iov;
    msg.msg_iovlen = 1;

    if (fd != -1) {
        ngx_memzero(&control, sizeof(control));
        msg.msg_control = control.space;
        msg.msg_controllen = sizeof(control.space);

        cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int));
        ngx_memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
    }

    if (sendmsg(ngx_http_stoa_door->fd, &msg, MSG_DONTWAIT) != -1) {
        return NGX_OK;
    }

    return ngx_socket_errno == NGX_EAGAIN || ngx_socket_errno == NGX_ENOMEM
           || ngx_socket_errno == ENOBUFS
           ? NGX_AGAIN : NGX_DECLINED;
}


/* ---- what waits --------------------------------------------------------- */

static ngx_uint_t
ngx_http_stoa_door_is_late(ngx_pid_t pid)
{
    ngx_queue_t                *q;
    ngx_http_stoa_door_late_t  *late;

    for (q = ngx_queue_head(&ngx_http_stoa_door_lates);
         q != &ngx_http_stoa_door_lates;
         q = ngx_queue_next(q))
    {
        late = ngx_queue_data(q, ngx_http_stoa_door_late_t, queue);

        if (late->pid == pid) {
            return 1;
        }
    }

    return 0;
}


static ngx_int_t
ngx_http_stoa_door_later(ngx_pid_t pid, const u_char *p, size_t len, int fd,
    size_t size)
{
    ngx_http_stoa_door_late_t  *late;

    late = NULL;

    if (ngx_http_stoa_door_nlate < NGX_HTTP_STOA_DOOR_LATE
        && size <= NGX_HTTP_STOA_DOOR_HEAP - ngx_http_stoa_door_heap)
    {
        late = ngx_alloc(sizeof(ngx_http_stoa_door_late_t) + len,
                         ngx_cycle->log);
    }

    if (late == NULL) {
        return NGX_DECLINED;
    }

    late->pid = pid;
    late->since = ngx_current_msec;
    late->fd = fd == -1 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (fd != -1 && late->fd == -1) {
        ngx_free(late);
        return NGX_DECLINED;
    }

    late->len = len;
    late->size = size;
    ngx_memcpy(late->text, p, len);

    ngx_http_stoa_door_nlate++;
    ngx_http_stoa_door_heap += size;
    ngx_queue_insert_tail(&ngx_http_stoa_door_lates, &late->queue);

    if (!ngx_http_stoa_door_timer.timer_set) {
        ngx_add_timer(&ngx_http_stoa_door_timer, NGX_HTTP_STOA_DOOR_AGAIN);
    }

    return NGX_OK;
}


static void
ngx_http_stoa_door_free(ngx_http_stoa_door_late_t *late)
{
    if (late->fd != -1) {
        (void) close(late->fd);
    }

    ngx_http_stoa_door_nlate--;
    ngx_http_stoa_door_heap -= late->size;
    ngx_queue_remove(&late->queue);
    ngx_free(late);
}


/* Of several workers each gets its own in order; one that is still busy does
 * not hold the others up. */

static void
ngx_http_stoa_door_again(ngx_event_t *ev)
{
    ngx_int_t                   rc;
    ngx_pid_t                   busy[NGX_HTTP_STOA_DOOR_BUSY];
    ngx_uint_t                  i, n;
    ngx_queue_t                *q, *next;
    ngx_http_stoa_door_late_t  *late;

    n = 0;

    for (q = ngx_queue_head(&ngx_http_stoa_door_lates);
         q != &ngx_http_stoa_door_lates && n < NGX_HTTP_STOA_DOOR_BUSY;
         q = next)
    {
        next = ngx_queue_next(q);
        late = ngx_queue_data(q, ngx_http_stoa_door_late_t, queue);

        for (i = 0; i < n && busy[i] != late->pid; i++) { /* void */ }

        if (i < n) {
            continue;
        }

        rc = ngx_http_stoa_door_send(late->pid, late->text, late->len,
                                     late->fd);

        if (rc == NGX_AGAIN
            && ngx_current_msec - late->since < NGX_HTTP_STOA_DOOR_MS)
        {
            busy[n++] = late->pid;
            continue;
        }

        if (rc != NGX_OK) {
            ngx_log_error(NGX_LOG_ERR, ev->log, 0, "the worker %P was not "
                          "told what is for it", late->pid);
        }

        ngx_http_stoa_door_free(late);
    }

    if (!ngx_queue_empty(&ngx_http_stoa_door_lates)) {
        ngx_add_timer(ev, NGX_HTTP_STOA_DOOR_AGAIN);
    }
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


ngx_uint_t
ngx_http_stoa_door_newer(void)
{
    DIR            *dir;
    ngx_int_t       pid;
    ngx_uint_t      newer;
    struct stat     own, st;
    struct dirent  *e;
    u_char          path[NGX_MAX_PATH];

    *ngx_snprintf(path, NGX_MAX_PATH - 1, "%V/door.%P",
                  &ngx_http_stoa_door_dir, ngx_pid) = 0;

    if (stat((char *) path, &own) == -1) {
        return 0;
    }

    *ngx_snprintf(path, NGX_MAX_PATH - 1, "%V", &ngx_http_stoa_door_dir) = 0;
    dir = opendir((char *) path);
    newer = 0;

    while (dir && !newer && (e = readdir(dir)) != NULL) {

        if (ngx_strncmp(e->d_name, "door.", 5) != 0) {
            continue;
        }

        pid = ngx_atoi((u_char *) e->d_name + 5, ngx_strlen(e->d_name) - 5);

        *ngx_snprintf(path, NGX_MAX_PATH - 1, "%V/%s",
                      &ngx_http_stoa_door_dir, e->d_name) = 0;

        newer = pid != NGX_ERROR && pid != (ngx_int_t) ngx_pid
                && stat((char *) path, &st) == 0
                && st.st_mtim.tv_sec > own.st_mtim.tv_sec + 1
                && kill((pid_t) pid, 0) == 0;
    }

    if (dir) {
        (void) closedir(dir);
    }

    return newer;
}
