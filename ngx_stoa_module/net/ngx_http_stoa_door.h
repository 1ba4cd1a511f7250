/*
 * Doors: what one worker of this machine tells another one by its pid, a
 * datagram each; what is longer goes along as a file without a name.  A worker
 * that is gone is told nothing.  One that is busy (the kernel keeps few of
 * them) is told a little later, in the same order.
 *
 * Process: workers.  Lifetime: the process; a socket "door.<pid>" in the
 * store's directory, which only the gateway's user can enter.
 * Limits: NGX_HTTP_STOA_DOOR_MAX bytes a message; below, what waits.
 */

#ifndef NGX_HTTP_STOA_DOOR_H
#define NGX_HTTP_STOA_DOOR_H


#include "ngx_http_stoa.h"


#define NGX_HTTP_STOA_DOOR_MAX   (17 * 1024 * 1024)
#define NGX_HTTP_STOA_DOOR_SHORT  (64 * 1024)
#define NGX_HTTP_STOA_DOOR_LATE  1024              /* messages that wait ... */
#define NGX_HTTP_STOA_DOOR_HEAP  (64 * 1024 * 1024)   /* ... and their bytes */
#define NGX_HTTP_STOA_DOOR_MS    5000              /* ... at most            */


/* The text is valid until it returns; a descriptor (else -1) is its own. */
typedef void (*ngx_http_stoa_door_pt)(const u_char *p, size_t len, int fd);

ngx_int_t ngx_http_stoa_door_open(ngx_http_stoa_main_conf_t *mcf,
    ngx_cycle_t *cycle, ngx_http_stoa_door_pt handler);
void ngx_http_stoa_door_close(void);
/* NGX_DECLINED: it is not there, or too much waits for it. */
ngx_int_t ngx_http_stoa_door_tell(ngx_pid_t pid, const u_char *p, size_t len);
/* The same with a descriptor, which stays the caller's; len: 1 to
 * NGX_HTTP_STOA_DOOR_SHORT, and it begins with no zero. */
ngx_int_t ngx_http_stoa_door_pass(ngx_pid_t pid, const u_char *p, size_t len,
    int fd);
/* Has a worker come after this one, as after a reload? */
ngx_uint_t ngx_http_stoa_door_newer(void);
/* All others. */
void ngx_http_stoa_door_tell_all(const u_char *p, size_t len);


#endif /* NGX_HTTP_STOA_DOOR_H */
