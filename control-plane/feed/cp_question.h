/*
 * Questions to gateways.  These have no address at which the control plane
 * could ask them: a question is a row for each gateway that waits for some
 * (any replica has it there), its answer is put into the row, and who has
 * asked looks for it.
 *
 * Process: stoa-control.  Lifetime: CP_QUESTION_MS.  Limits: of a tenant
 * CP_QUESTION_TENANT rows at once, of one question CP_QUESTION_GATEWAYS, of an
 * answer CP_QUESTION_BYTES.
 */

#ifndef CP_QUESTION_H
#define CP_QUESTION_H


#include "feed/cp_feed.h"


#define CP_QUESTION_MS        5000
#define CP_QUESTION_TENANT    256
#define CP_QUESTION_GATEWAYS  64
#define CP_QUESTION_BATCH     8      /* that a gateway is told at once       */
#define CP_QUESTION_BYTES     65536
#define CP_QUESTION_ASKED     32768  /* of a question                        */
#define CP_QUESTION_TOLD      60000  /* of those that a gateway gets at once,
                                        which takes 64 KiB                   */

/* Of the body of POST /gateway/v1/questions, and of an answer there. */
extern const cp_report_field_t  cp_question_fields[];
extern const cp_report_field_t  cp_question_answer_fields[];


typedef struct {
    char         id[STOA_ID_LEN + 1];
    unsigned     asked;            /* so many gateways                      */
    unsigned     answered;         /* of them, till now                     */
    cp_json_t   *answers;          /* of them, those that say something     */
} cp_question_t;


/* Asks those that wait for questions; group: of this one, by its id; NULL: of
 * all. */
cp_rc_t cp_question_ask(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    const cp_json_t *question, const char *group, cp_question_t *q)
    CP_MUST_CHECK;
/* What has been answered so far. */
cp_rc_t cp_question_look(cp_op_t *op, cp_tx_t *tx, cp_question_t *q)
    CP_MUST_CHECK;
cp_rc_t cp_question_end(cp_op_t *op, cp_tx_t *tx, const cp_question_t *q)
    CP_MUST_CHECK;

/* Of a gateway (the actor): its answers, of which those that are none are
 * named in the op's error; that it waits so long; what it is asked. */
cp_rc_t cp_question_answers(cp_op_t *op, cp_tx_t *tx,
    const cp_json_t *answers, unsigned *refused) CP_MUST_CHECK;
cp_rc_t cp_question_wait(cp_op_t *op, cp_tx_t *tx, int64_t ms)
    CP_MUST_CHECK;
cp_rc_t cp_question_next(cp_op_t *op, cp_tx_t *tx, cp_json_t *questions)
    CP_MUST_CHECK;

/* Removes what nobody waits for any more. */
cp_rc_t cp_question_job(cp_app_t *app);


#endif /* CP_QUESTION_H */
