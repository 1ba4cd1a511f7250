/*
 * What happened at the doors, told to the audit log by a job: who logs in does
 * not wait for the chain's lock, and who fails all day long makes a row a
 * minute.
 *
 * Process: stoa-control, the job's thread.
 */

#ifndef CP_NEWS_H
#define CP_NEWS_H


#include "op/cp_op.h"


cp_rc_t cp_news_job(cp_app_t *app);


#endif /* CP_NEWS_H */
