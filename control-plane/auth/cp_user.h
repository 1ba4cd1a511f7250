/*
 * People: who they are, before anything is said of what they may do.
 *
 * A local person is known by name and mail, one of an OIDC provider by issuer
 * and subject.  Nobody is ever joined with somebody else by a mail or a name,
 * whatever a provider says of them.
 *
 * Process: stoa-control, any thread; memory: the operation's arena.
 */

#ifndef CP_USER_H
#define CP_USER_H


#include "op/cp_op.h"


#define CP_USER_MAIL_MAX     254       /* RFC 5321                          */
#define CP_USER_SUBJECT_MAX  255       /* OpenID Connect Core, section 2    */
#define CP_USER_TEXT_MAX     200


/* The one form of a mail, in which it is looked for and unique: without blanks
 * around it, in lower case.  NULL: it is none; only ASCII is taken, so that
 * no two texts look alike and differ. */
const char *cp_user_mail(cp_arena_t *a, const char *mail);
/* ... and of a name that somebody types: NULL: it can be nobody's. */
const char *cp_user_name(cp_arena_t *a, const char *name);

typedef struct {
    const char  *issuer;               /* exactly as in the token           */
    const char  *subject;
    const char  *login;                /* for show; each may be NULL        */
    const char  *title;
    const char  *mail;
    const char  *tenant;               /* id of the home; NULL: none        */
    bool         whole;                /* else what is NULL is not known    */
} cp_user_oidc_t;

/* Finds or makes the person, keeps what is shown of him up to date.  *id: the
 * person's; "forbidden" when he is disabled here.  tx: a write. */
cp_rc_t cp_user_oidc(cp_op_t *op, cp_tx_t *tx, const cp_user_oidc_t *u,
    const char **id) CP_MUST_CHECK;


/* What is to be told of a login in the audit log, and of the attempts that
 * failed; kept aside, see people/cp_news.c. */
typedef struct {
    const char  *person;               /* id; NULL: nobody's                */
    const char  *tenant;               /* his home                          */
    const char  *name;
    const char  *action;               /* "login", "login_failed" ...       */
    const char  *detail;               /* a word of a fixed set             */
    const char  *address;
} cp_news_t;

cp_rc_t cp_news_add(cp_op_t *op, cp_tx_t *tx, const cp_news_t *n)
    CP_MUST_CHECK;


#endif /* CP_USER_H */
