/*
 * Questions to gateways, and their answers.
 */

#include <stdio.h>
#include <string.h>

#include "feed/cp_question.h"


const cp_report_field_t  cp_question_fields[] = {
    { "answers", CP_REPORT_ARRAY, true, CP_QUESTION_BATCH },
    { NULL, CP_REPORT_INT, false, 0 }
};

/* `answer` is JSON in a text; "": there is nothing to say. */
const cp_report_field_t  cp_question_answer_fields[] = {
    { "id",     CP_REPORT_ID,   true, STOA_ID_LEN },
    { "answer", CP_REPORT_TEXT, true, CP_QUESTION_BYTES },
    { NULL, CP_REPORT_INT, false, 0 }
};


/* ---- who asks ----------------------------------------------------------- */

cp_rc_t
cp_question_ask(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    const cp_json_t *question, const char *group, cp_question_t *q)
{
    cp_rc_t      rc;
    int64_t      now;
    unsigned     i;
    cp_rows_t    rows;
    const char  *text;

    memset(q, 0, sizeof(cp_question_t));
    now = cp_time_ms();
    text = cp_json_text(op->arena, question, NULL);

    cp_id_make(q->id);

    if (text == NULL) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    rc = cp_tx_query(tx, op->arena, "SELECT COUNT(*) FROM questions"
                     " WHERE tenant = $1 AND expires_ms > $2",
                     cp_args(cp_text(tenant), cp_int(now)), &rows, &op->err);

    if (rc == CP_OK && cp_cell(&rows, 0, 0)->i >= CP_QUESTION_TENANT) {
        rc = cp_err_set(&op->err, "too_many_requests",
                        "so many are asked about the tenant already");
    }

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, op->arena, "SELECT gateway FROM gateway_ears"
                         " WHERE until_ms > $1 AND ($2 = '' OR gateway IN"
                         " (SELECT id FROM gateways WHERE \"group\" = $2))"
                         " ORDER BY until_ms DESC LIMIT $3",
                         cp_args(cp_int(now), cp_text(group ? group : ""),
                                 cp_int(CP_QUESTION_GATEWAYS)),
                         &rows, &op->err);
    }

    for (i = 0; rc == CP_OK && i < rows.rows; i++) {
        rc = cp_tx_query(tx, op->arena, "INSERT INTO questions (ask, gateway,"
                         " tenant, question, expires_ms)"
                         " VALUES ($1, $2, $3, $4, $5)",
                         cp_args(cp_text(q->id), *cp_cell(&rows, i, 0),
                                 cp_text(tenant), cp_text(text),
                                 cp_int(now + CP_QUESTION_MS)),
                         NULL, &op->err);
    }

    if (rc == CP_OK) {
        q->asked = rows.rows;
        cp_tx_notify_head(tx, CP_DB_NEWS);
    }

    return rc;
}


cp_rc_t
cp_question_look(cp_op_t *op, cp_tx_t *tx, cp_question_t *q)
{
    cp_rc_t      rc;
    unsigned     i;
    cp_err_t     err;
    cp_rows_t    rows;
    cp_json_t   *answer;
    const char  *text;

    /* who waits looks often, and his memory is that of the whole request */

    rc = cp_tx_query(tx, op->arena, "SELECT COUNT(*) FROM questions"
                     " WHERE ask = $1 AND answer IS NOT NULL",
                     cp_args(cp_text(q->id)), &rows, &op->err);

    if (rc != CP_OK
        || (q->answers && cp_cell(&rows, 0, 0)->i == (int64_t) q->answered))
    {
        return rc;
    }

    q->answered = 0;
    q->answers = cp_json_array(op->arena);
    rc = cp_tx_query(tx, op->arena, "SELECT answer FROM questions"
                     " WHERE ask = $1 AND answer IS NOT NULL"
                     " ORDER BY gateway", cp_args(cp_text(q->id)), &rows,
                     &op->err);

    for (i = 0; rc == CP_OK && i < rows.rows; i++) {
        q->answered++;
        text = cp_cell(&rows, i, 0)->p;

        /* one that is no JSON says nothing */

        memset(&err, 0, sizeof(err));
        err.arena = op->arena;

        if (*text && cp_json_parse(op->arena, text, strlen(text), &answer,
                                   &err)
                     == CP_OK
            && answer->type == CP_JSON_OBJECT)
        {
            cp_json_push(q->answers, answer);
        }
    }

    return rc;
}


cp_rc_t
cp_question_end(cp_op_t *op, cp_tx_t *tx, const cp_question_t *q)
{
    return cp_tx_query(tx, op->arena, "DELETE FROM questions WHERE ask = $1",
                       cp_args(cp_text(q->id)), NULL, &op->err);
}


/* ---- a gateway ---------------------------------------------------------- */

cp_rc_t
cp_question_answers(cp_op_t *op, cp_tx_t *tx, const cp_json_t *answers,
    unsigned *refused)
{
    char              at[32];
    cp_rc_t           rc;
    unsigned          i;
    const cp_json_t  *v;

    rc = CP_OK;
    *refused = 0;

    for (v = answers->first, i = 0; rc == CP_OK && v; v = v->next, i++) {
        snprintf(at, sizeof(at), "answers[%u].", i);

        if (cp_report_check(v, cp_question_answer_fields, at, &op->err)
            != CP_OK)
        {
            (*refused)++;
            continue;
        }

        rc = cp_tx_query(tx, op->arena, "UPDATE questions"
                         " SET answer = $1 WHERE ask = $2"
                         " AND gateway = $3 AND answer IS NULL",
                         cp_args(cp_text(cp_report_text(v, "answer")),
                                 cp_text(cp_report_text(v, "id")),
                                 cp_text(op->actor.id)),
                         NULL, &op->err);
    }

    return rc;
}


cp_rc_t
cp_question_wait(cp_op_t *op, cp_tx_t *tx, int64_t ms)
{
    return cp_tx_query(tx, op->arena, "INSERT INTO gateway_ears (gateway,"
                       " until_ms) VALUES ($1, $2) ON CONFLICT (gateway)"
                       " DO UPDATE SET until_ms = excluded.until_ms",
                       cp_args(cp_text(op->actor.id),
                               cp_int(cp_time_ms() + ms + CP_QUESTION_MS)),
                       NULL, &op->err);
}


cp_rc_t
cp_question_next(cp_op_t *op, cp_tx_t *tx, cp_json_t *questions)
{
    cp_rc_t     rc;
    size_t      len;
    unsigned    i;
    cp_rows_t   rows;
    cp_json_t  *one;

    rc = cp_tx_query(tx, op->arena, "SELECT ask, tenant, question"
                     " FROM questions WHERE gateway = $1 AND answer IS NULL"
                     " AND expires_ms > $2 ORDER BY ask LIMIT $3",
                     cp_args(cp_text(op->actor.id), cp_int(cp_time_ms()),
                             cp_int(CP_QUESTION_BATCH)),
                     &rows, &op->err);

    for (i = 0, len = 0; rc == CP_OK && i < rows.rows; i++) {
        len += cp_cell(&rows, i, 2)->len;

        if (i && len > CP_QUESTION_TOLD) {
            break;                             /* he comes again at once     */
        }

        rc = cp_json_parse(op->arena, cp_cell(&rows, i, 2)->p,
                           cp_cell(&rows, i, 2)->len, &one, &op->err);

        if (rc == CP_OK) {
            cp_json_put(op->arena, one, "id", cp_cell(&rows, i, 0)->p);
            cp_json_put(op->arena, one, "tenant", cp_cell(&rows, i, 1)->p);
            cp_json_push(questions, one);
        }
    }

    return rc;
}


/* ---- nobody any more ---------------------------------------------------- */

cp_rc_t
cp_question_job(cp_app_t *app)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_err_t     err;
    cp_arena_t  *a;

    a = cp_arena_create(1024 * 1024);
    if (a == NULL) {
        return CP_ERROR;
    }

    memset(&err, 0, sizeof(err));
    err.arena = a;
    rc = cp_tx_open(app->db, true, &tx, &err);

    if (rc == CP_OK) {
        rc = cp_tx_query(tx, a, "DELETE FROM questions WHERE expires_ms < $1",
                         cp_args(cp_int(cp_time_ms())), NULL, &err);
        rc = cp_tx_finish(tx, rc, &err);
    }

    cp_arena_destroy(a);

    return rc;
}
