/*
 * Doors: what one worker of this machine tells another one by its pid, a
 * datagram each.  A worker that is gone, or does not take it, is told nothing.
 *
 * Process: workers.  Lifetime: the process; a socket "door.<pid>" in the
 * store's directory, which only the gateway's user can enter.
 * Limits: NGX_HTTP_STOA_DOOR_MAX bytes a message.
 */

#ifndef NGX_HTTP_STOA_DOOR_H
#define NGX_HTTP_STOA_DOOR_H


#include "ngx_http_stoa.h"


#define NGX_HTTP_STOA_DOOR_MAX  (160 * 1024)


typedef void (*ngx_http_stoa_door_pt)(const u_char *p, size_t len);

ngx_int_t ngx_http_stoa_door_open(ngx_http_stoa_main_conf_t *mcf,
    ngx_cycle_t *cycle, ngx_http_stoa_door_pt handler);
void ngx_http_stoa_door_close(void);
/* NGX_DECLINED: it is not there, or does not take it. */
ngx_int_t ngx_http_stoa_door_tell(ngx_pid_t pid, const u_char *p, size_t len);
/* All others. */
void ngx_http_stoa_door_tell_all(const u_char *p, size_t len);


#endif /* NGX_HTTP_STOA_DOOR_H */
