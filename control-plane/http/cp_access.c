/*
 * Who a request is from, and the access log: a line per request.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "base/cp_log.h"
#include "core/stoa_conceal.h"
#include "http/cp_call.h"
#include "http/cp_listen.h"


#define CP_ACCESS_METHOD  32       /* bytes of what a client says in a line  */
#define CP_ACCESS_PATH    512
#define CP_ACCESS_LINES   16


typedef struct {
    unsigned  family;              /* 4 or 6                                */
    uint8_t   addr[16];
} cp_access_addr_t;

typedef struct {
    unsigned     n;
    const char  *lines[CP_ACCESS_LINES];   /* the last ones of the header   */
} cp_access_chain_t;


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


/* "a.b.c.d", "v6", also in brackets or with a port: what peers and proxies
 * say.  Mapped IPv4 is IPv4. */

static bool
cp_access_parse(const char *s, size_t len, cp_access_addr_t *out)
{
    char         text[64];
    size_t       n;
    const char  *end;

    while (len && (*s == ' ' || *s == '\t')) {
        s++;
        len--;
    }

    while (len && (s[len - 1] == ' ' || s[len - 1] == '\t')) {
        len--;
    }

    n = len;

    if (len && *s == '[') {
        end = memchr(s, ']', len);
        n = end ? (size_t) (end - ++s) : 0;

    } else if ((end = memchr(s, ':', len)) != NULL
               && memchr(end + 1, ':', len - (size_t) (end + 1 - s)) == NULL)
    {
        n = (size_t) (end - s);
    }

    if (n == 0 || n >= sizeof(text)) {
        return false;
    }

    memcpy(text, s, n);
    text[n] = '\0';
    text[strcspn(text, "%")] = '\0';
    memset(out, 0, sizeof(cp_access_addr_t));
    out->family = 4;

    if (inet_pton(AF_INET, text, out->addr) == 1) {
        return true;
    }

    out->family = 6;

    if (inet_pton(AF_INET6, text, out->addr) != 1) {
        return false;
    }

    if (memcmp(out->addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0) {
        out->family = 4;
        memmove(out->addr, out->addr + 12, 4);
    }

    return true;
}


static bool
cp_access_trusted(const stoa_allow_t *proxies, const cp_access_addr_t *who)
{
    unsigned  i;

    for (i = 0; i < proxies->n; i++) {
        if (stoa_cidr_match(&proxies->cidr[i], who->family, who->addr)) {
            return true;
        }
    }

    return false;
}


static enum MHD_Result
cp_access_line(void *cls, enum MHD_ValueKind kind, const char *name,
    const char *value)
{
    cp_access_chain_t  *c = cls;

    (void) kind;

    if (value != NULL && strcasecmp(name, "X-Forwarded-For") == 0) {
        c->lines[c->n++ % CP_ACCESS_LINES] = value;
    }

    return MHD_YES;
}


/* Right to left, as each proxy has added whom it saw: the first who is none of
 * ours is it, what is to his left is his own words. */

static void
cp_access_behind(cp_req_t *r, cp_access_addr_t *who)
{
    unsigned             left;
    const char          *line, *s, *end;
    cp_access_addr_t     seen;
    cp_access_chain_t    c;
    const stoa_allow_t  *proxies = &r->op.app->conf.trusted_proxies;

    if (!cp_access_trusted(proxies, who)) {
        return;
    }

    c.n = 0;
    (void) MHD_get_connection_values(r->conn, MHD_HEADER_KIND, cp_access_line,
                                     &c);

    for (left = CP_ACCESS_LINES; left && c.n; left--) {
        line = c.lines[--c.n % CP_ACCESS_LINES];

        for (end = line + strlen(line); end; end = s > line ? s - 1 : NULL) {

            for (s = end; s > line && s[-1] != ','; s--) { /* void */ }

            if (!cp_access_parse(s, (size_t) (end - s), &seen)) {
                return;
            }

            *who = seen;

            if (!cp_access_trusted(proxies, who)) {
                return;
            }
        }
    }
}


/* The peer of the connection, or whom a trusted proxy names. */

bool
cp_req_gone(cp_req_t *r)
{
    char                             c;
    cp_call_t                       *call = r->call;
    const union MHD_ConnectionInfo  *info;

    info = call ? MHD_get_connection_info(call->conn,
                                          MHD_CONNECTION_INFO_CONNECTION_FD)
                : NULL;

    return info != NULL
           && recv(info->connect_fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}


const char *
cp_req_address(cp_req_t *r)
{
    char                             host[128], port[16];
    cp_call_t                       *call = r->call;
    cp_access_addr_t                 who;
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
                          host, sizeof(host), port, sizeof(port)) != CP_OK
        || !cp_access_parse(host, strlen(host), &who))
    {
        return NULL;
    }

    cp_access_behind(r, &who);

    if (inet_ntop(who.family == 4 ? AF_INET : AF_INET6, who.addr, host,
                  sizeof(host)) != NULL)
    {
        call->address = cp_arena_strdup(r->op.arena, host);
    }

    return call->address;
}
