/*
 * Whether those whom applications stand for are still active in Keycloak.
 *
 * A job looks at all of them, in bulk where they are many, by whichever
 * replica has the turn, and, also while it does, at those whom Keycloak's
 * admin events name.  Only what Keycloak says of somebody counts: a lack of
 * an answer, an empty list, an answer to nobody's right to see changes
 * nothing.  Somebody is gone when Keycloak answers for his very id that there
 * is none.  An event is no more than a reason to ask.
 *
 * Owner: the table owner_looks, applications.owner_seen and disowned (through
 * the engine of resource/, so that audit and feed follow).
 * Process: stoa-control, the job's thread.
 * Limits: below; CP_OWNERS_MAX applications.
 */

#ifndef CP_OWNER_H
#define CP_OWNER_H


#include "oidc/cp_oidc.h"


#define CP_OWNERS_MAX        100000
#define CP_OWNER_LEASE_MS    8000      /* of the replica that looks          */
#define CP_OWNER_DIRECT      200       /* so many are asked for one by one   */
#define CP_OWNER_USERS       1000      /* of a page                          */
#define CP_OWNER_CLIENTS     100       /* an answer holds events up          */
#define CP_OWNER_BATCH       200       /* written in one transaction         */
#define CP_OWNER_TIMEOUT_MS  20000     /* of one answer                      */
#define CP_OWNER_PAGE_MAX    (32 * 1024 * 1024)
#define CP_OWNER_ARENA       (256 * 1024 * 1024)
#define CP_OWNER_EVENTS      100       /* of a page                          */
#define CP_OWNER_EVENTS_MAX  5000      /* of a look; more: all are looked at */
#define CP_OWNER_LATE_MS     30000     /* an event may be seen so late       */
#define CP_OWNER_SEEN        8192      /* events that are remembered         */
#define CP_OWNER_REST        4         /* as long as a look, without events  */
                                       /* half of one                        */


/* One application. */
typedef struct {
    const char  *app;                  /* its id                             */
    const char  *owner;                /* as it was read                     */
    const char  *name;                 /* of the client or the user          */
    const char  *group;                /* NULL: none                         */
    const char  *id;                   /* Keycloak's; NULL: not known yet    */
    const char  *seen;                 /* all of that, as it was read        */
    const char  *stored;               /* the same, as it is stored          */
    const char  *was;                  /* state                              */
    const char  *now;                  /* NULL: nothing was said             */
    bool         open;                 /* the group is still to be looked at */
    bool         client;
    bool         found;                /* its id, by this look               */
} cp_tied_t;

typedef struct {
    cp_app_t    *app;
    cp_arena_t  *arena;
    cp_tied_t   *tied;
    unsigned     n;
    const char  *error;                /* NULL: all of it was answered       */
    const char  *base;                 /* the realm in the admin API         */
    const char  *bearer;
    const char  *self;                 /* the service account's id           */
    int64_t      clock_ms;             /* Keycloak's                         */
    bool         over;                 /* an answer was too long             */
    bool         late;                 /* something else was stored before   */
    void       (*alive)(void *ctx);    /* called now and then                */
    void        *ctx;
} cp_look_t;


/* Whom an event is about. */
typedef struct {
    const char  *id;                   /* Keycloak's                         */
    bool         client;
} cp_owner_ref_t;


/* cp_owner_store.c */

/* One statement of its own; nothing of it orders configuration. */
cp_rc_t cp_owner_write(cp_app_t *app, cp_arena_t *a, const char *sql,
    const cp_val_t *args, unsigned nargs, cp_rows_t *rows) CP_MUST_CHECK;
/* Those that there are, or only those that nobody has looked at yet; what was
 * seen of them stays as it is read here. */
cp_rc_t cp_owner_load(cp_look_t *look, bool pending) CP_MUST_CHECK;
/* What is said now and was not before, of those of whom nobody has stored
 * anything since they were loaded. */
cp_rc_t cp_owner_store_all(cp_look_t *look) CP_MUST_CHECK;

/* cp_owner_look.c */

/* An answer of the admin API, 200 or 404; false: there was none that
 * counts.  Events go before it is asked for, so that what it says is never
 * older than what they said. */
bool cp_owner_get(cp_look_t *look, cp_arena_t *a, const char *path,
    long *status, cp_json_t **out) CP_MUST_CHECK;
/* Asks for all of them. */
void cp_owner_look(cp_look_t *look);
/* Asks for these, for who was never looked at, and with groups for everybody
 * who has to be in one. */
bool cp_owner_again(cp_look_t *look, const cp_owner_ref_t *refs, unsigned n,
    bool groups) CP_MUST_CHECK;

/* cp_owner_events.c: those whom events name.  whole: the look at all that is
 * under way, which learns of it; NULL: none.  True: all have to be looked
 * at. */
bool cp_owner_events(cp_look_t *look, cp_look_t *whole);

/* The job. */
cp_rc_t cp_owner_job(cp_app_t *app);

/* How the last look was; NULL: owners are not looked at here. */
cp_rc_t cp_owner_state(cp_op_t *op, cp_json_t **out) CP_MUST_CHECK;


#endif /* CP_OWNER_H */
