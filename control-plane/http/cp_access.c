/*
 * The access log: a line per request.
 */

#include <netinet/in.h>
#include <string.h>

#include "base/cp_log.h"
#include "core/stoa_conceal.h"
#include "http/cp_call.h"
#include "http/cp_listen.h"


#define CP_ACCESS_METHOD  32       /* bytes of what a client says in a line  */
#define CP_ACCESS_PATH    512


void
cp_access_log(cp_call_t *call, bool whole)
{
    char                              status[16], bytes[24], ms[32];
    char                              method[CP_ACCESS_METHOD];
    char                              path[CP_ACCESS_PATH];
    cp_req_t                         *r = &call->req;
    const char                       *client;

    /* the client's words: thirty thousand bytes a line would be its choice */

    (void) snprintf(method, sizeof(method), "%s", r->method);
    (void) snprintf(path, sizeof(path), "%s", r->path);
    (void) stoa_conceal(path, strlen(path));
    (void) snprintf(status, sizeof(status), "%d", r->status);
    (void) snprintf(bytes, sizeof(bytes), "%lld", (long long) call->sent);
    (void) snprintf(ms, sizeof(ms), "%.1f",
                    (double) (cp_http_now_us() - call->started_us) / 1e3);

    client = cp_req_address(r);

    const cp_log_field_t  fields[] = {
        { "client",  client ? client : "-", false },
        { "method",  method, false },
        { "path",    path, false },
        { "status",  status, true },
        { "bytes",   bytes, true },
        { "ms",      ms, true },
        { "actor",   (r->op.actor.id != NULL) ? r->op.actor.id : "-", false },
        { "request", r->op.request_id, false },
        { "end",     whole ? "ok" : "aborted", false }
    };

    cp_log_fields((call->routed != NULL && call->routed->quiet)
                  ? CP_LOG_DEBUG : CP_LOG_INFO, "access", "request", fields,
                  sizeof(fields) / sizeof(fields[0]));
}


/* The peer of the connection: what a header says of others is not believed. */

const char *
cp_req_address(cp_req_t *r)
{
    char                             host[128], port[16];
    cp_call_t                       *call = r->call;
    const struct sockaddr           *sa;
    const union MHD_ConnectionInfo  *info;

    if (call == NULL || call->address != NULL) {
        return (call != NULL) ? call->address : NULL;
    }

    info = MHD_get_connection_info(call->conn,
                                   MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    sa = (info != NULL) ? info->client_addr : NULL;

    if (sa == NULL
        || cp_listen_text(sa, (sa->sa_family == AF_INET6)
                          ? sizeof(struct sockaddr_in6)
                          : sizeof(struct sockaddr_in),
                          host, sizeof(host), port, sizeof(port)) != CP_OK)
    {
        return NULL;
    }

    call->address = cp_arena_strdup(r->op.arena, host);

    return call->address;
}
