/*
 * LISTEN: another replica moved the feed's head.  The table is the truth, so
 * after a reconnect the head is read again.
 */

#if (CP_HAVE_PG)

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "store/cp_pg.h"


#define CP_PG_RETRY_MS  1000
#define CP_PG_CHECK_MS  30000      /* a dead peer shows at the latest then  */


/* True when the listener is to end. */

static bool
cp_pg_listen_wait(cp_pg_t *pg, int fd, int timeout_ms)
{
    struct pollfd  fds[2];

    fds[0].fd = pg->stop;
    fds[0].events = POLLIN;
    fds[0].revents = 0;
    fds[1].fd = fd;                /* -1 is passed over by poll()           */
    fds[1].events = POLLIN;
    fds[1].revents = 0;

    return poll(fds, 2, timeout_ms) > 0 && fds[0].revents != 0;
}


static bool
cp_pg_listen_command(PGconn *conn, const char *sql)
{
    bool       ok;
    PGresult  *res;

    res = PQexec(conn, sql);
    ok = PQresultStatus(res) == PGRES_COMMAND_OK
         || PQresultStatus(res) == PGRES_TUPLES_OK;
    PQclear(res);

    return ok;
}


/* Before the first migration there is no such table, and nobody waits. */

static void
cp_pg_listen_head(cp_pg_t *pg, PGconn *conn)
{
    PGresult  *res;

    res = PQexec(conn, "SELECT rev FROM feed_head");

    if (PQresultStatus(res) == PGRES_TUPLES_OK && PQntuples(res) == 1) {
        pg->moved(pg->ctx, strtoll(PQgetvalue(res, 0, 0), NULL, 10));
    }

    PQclear(res);
}


static void
cp_pg_listen_notices(cp_pg_t *pg, PGconn *conn)
{
    PGnotify  *note;

    while ((note = PQnotifies(conn)) != NULL) {
        pg->moved(pg->ctx, strtoll(note->extra, NULL, 10));
        PQfreemem(note);
    }
}


/* Returns true when the listener is to end, false when the connection was
 * lost. */

static bool
cp_pg_listen_run(cp_pg_t *pg, PGconn *conn)
{
    if (!cp_pg_listen_command(conn, "LISTEN " CP_PG_CHANNEL)) {
        return cp_pg_listen_wait(pg, -1, CP_PG_RETRY_MS);
    }

    cp_pg_listen_head(pg, conn);
    cp_pg_listen_notices(pg, conn);

    for ( ;; ) {

        if (cp_pg_listen_wait(pg, PQsocket(conn), CP_PG_CHECK_MS)) {
            return true;
        }

        if (!PQconsumeInput(conn) || PQstatus(conn) != CONNECTION_OK) {
            cp_log(CP_LOG_WARN, "db", "lost the connection that listens for "
                   "changes");
            return false;
        }

        cp_pg_listen_notices(pg, conn);
    }
}


static void *
cp_pg_listen_main(void *data)
{
    bool      end;
    PGconn   *conn;
    cp_pg_t  *pg = data;

    do {
        conn = cp_pg_dial(pg->url, NULL);

        if (conn == NULL) {
            end = cp_pg_listen_wait(pg, -1, CP_PG_RETRY_MS);
            continue;
        }

        end = cp_pg_listen_run(pg, conn);
        PQfinish(conn);

    } while (!end);

    return NULL;
}


cp_rc_t
cp_pg_listen_start(cp_pg_t *pg, cp_err_t *err)
{
    pg->stop = eventfd(0, EFD_CLOEXEC);

    if (pg->stop == -1
        || pthread_create(&pg->listener, NULL, cp_pg_listen_main, pg) != 0)
    {
        return cp_err_set(err, "internal", "cannot start the listener");
    }

    return CP_OK;
}


void
cp_pg_listen_stop(cp_pg_t *pg)
{
    uint64_t  one = 1;

    if (write(pg->stop, &one, sizeof(one)) != sizeof(one)) {
        cp_log(CP_LOG_ERROR, "db", "cannot end the listener errno:%d", errno);
        return;
    }

    (void) pthread_join(pg->listener, NULL);
    (void) close(pg->stop);
}

#endif /* CP_HAVE_PG */
