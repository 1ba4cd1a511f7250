/*
 * How a connection to PostgreSQL is made, for statements and for listening.
 */

#include <string.h>

#include "store/cp_db_driver.h"

#if (CP_HAVE_PG)

#include "store/cp_pg.h"


#define CP_PG_QUIET_MS  1000


cp_log_level_e
cp_pg_level(void)
{
    int64_t                 now, last;
    static _Atomic int64_t  said;

    now = cp_time_mono_ms();
    last = said;

    if (last != 0 && now - last < CP_PG_QUIET_MS) {
        return CP_LOG_DEBUG;
    }

    said = now;

    return CP_LOG_ERROR;
}


static void
cp_pg_notice(void *ctx, const char *text)
{
    (void) ctx;

    cp_log(CP_LOG_DEBUG, "db", "%.*s", (int) strcspn(text, "\n"), text);
}


/* libpq repeats a URL that it cannot read, the password in it too. */

static bool
cp_pg_url(const char *url, cp_err_t *err)
{
    char              *why;
    PQconninfoOption  *options;

    why = NULL;
    options = PQconninfoParse(url, &why);

    if (options != NULL) {
        PQconninfoFree(options);
        return true;
    }

    PQfreemem(why);
    (void) cp_err_set(err, "validation", "the database's URL is malformed "
                      "(it is not repeated: there may be a password in it)");

    return false;
}


PGconn *
cp_pg_dial(const char *url, cp_err_t *err)
{
    PGconn  *pg;

    static const char *const  names[] = {
        "connect_timeout", "keepalives_idle", "tcp_user_timeout",
        "application_name", "dbname", "client_encoding", NULL
    };
    const char *const  values[] = {
        "5", "15", "20000", "stoa-control", url, "UTF8", NULL
    };

    if (!cp_pg_url(url, err)) {
        return NULL;
    }

    /* dbname is expanded, so that the url may override what is before it */

    pg = PQconnectdbParams(names, values, 1);

    if (PQstatus(pg) != CONNECTION_OK) {

        cp_log(cp_pg_level(), "db", "cannot connect: %.*s",
               (int) strcspn(PQerrorMessage(pg), "\n"), PQerrorMessage(pg));
        (void) cp_err_set(err, "unavailable", "cannot connect to the "
                          "database: %.*s",
                          (int) strcspn(PQerrorMessage(pg), "\n"),
                          PQerrorMessage(pg));
        PQfinish(pg);
        return NULL;
    }

    (void) PQsetNoticeProcessor(pg, cp_pg_notice, NULL);

    return pg;
}


/* The server tells both by itself. */

bool
cp_pg_readonly(const PGconn *pg)
{
    unsigned     i;
    const char  *value;

    static const char *const  names[] = { "in_hot_standby",
                                          "default_transaction_read_only" };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        value = PQparameterStatus(pg, names[i]);

        if (value != NULL && strcmp(value, "on") == 0) {
            return true;
        }
    }

    return false;
}

#endif /* CP_HAVE_PG */
