/*
 * Links that let somebody in once: invitations, and links to choose another
 * password.
 *
 * A link is made by who may give what it gives, says nothing to who only opens
 * it (what it says stands behind the #, which no browser sends), and is judged
 * again when it is accepted: the inviter has to be there and to hold still
 * what he gave.  An invitation is for a mail: who accepts it becomes the local
 * person of that mail, or is logged in as somebody of that mail.
 *
 * Owner: table invitations, CP_INVITATIONS_MAX that wait in a tenant (and at
 * the platform), CP_INVITATION_MS each unless said otherwise.
 * Process: stoa-control, a worker thread; what writes holds the feed's lock.
 */

#ifndef CP_INVITE_H
#define CP_INVITE_H


#include "resource/cp_engine.h"


#define CP_INVITATIONS_MAX     1000
#define CP_INVITATION_MS       (INT64_C(7) * 86400000)
#define CP_INVITATION_MOST_MS  (INT64_C(30) * 86400000)
#define CP_INVITATION_TEXT     43


/* Puts a new secret into the row, its digest and, unless it was mailed, the
 * answer: `token`, and `link` where public_url is known. */
cp_rc_t cp_invite_make(cp_op_t *op, cp_tx_t *tx, cp_json_t *row,
    const char *mail) CP_MUST_CHECK;

/* A link for a person that is there; `token` and `link` go into `shown`. */
cp_rc_t cp_invite_reset(cp_op_t *op, cp_tx_t *tx, const char *person,
    const char *mail, cp_json_t *shown) CP_MUST_CHECK;

typedef struct {
    const char  *token;
    const char  *name;                 /* of the new person                 */
    const char  *title;
    const char  *password;
} cp_accept_t;

/* What the link is for; "not_found" for one that is over. */
cp_rc_t cp_invite_look(cp_op_t *op, const char *token, cp_json_t **out)
    CP_MUST_CHECK;

/* Takes it; of two at once one does.  *out: what `look` says, with `user`. */
cp_rc_t cp_invite_accept(cp_op_t *op, const cp_accept_t *a, cp_json_t **out)
    CP_MUST_CHECK;


#endif /* CP_INVITE_H */
