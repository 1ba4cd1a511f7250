/*
 * What gateways report of themselves and of calls.
 */

#include <string.h>

#include "audit/cp_denial.h"
#include "auth/cp_auth.h"
#include "discovery/cp_discovery.h"
#include "discovery/cp_issuer_keys.h"
#include "apply/cp_wait.h"
#include "feed/cp_usage.h"
#include "rest/cp_rest.h"


typedef cp_rc_t (*cp_batch_pt)(cp_op_t *op, const cp_json_t *in, bool *taken,
    unsigned *refused);


/* Ids of what is to be read again, and who does. */
static const struct {
    const char  *name;
    void       (*hint)(const char *id);
} cp_gateway_hints[] = {
    { "unknown_keys", cp_issuer_keys_hint },
    { "changed",      cp_discovery_hint }
};


cp_rc_t
cp_gateway_status(cp_req_t *r)
{
    bool        news;
    size_t      i;
    cp_rc_t     rc;
    int64_t     rev;
    cp_json_t  *in, *out, *m;

    rc = cp_req_json(r, &in);

    if (rc == CP_OK) {
        rc = cp_gateway_report(&r->op, in, cp_feed_judged(
                                   cp_req_header(r, CP_FEED_CONTRACT_HEADER)),
                               &rev, &news);
    }

    if (rc != CP_OK) {
        return rc;
    }

    for (i = 0; i < sizeof(cp_gateway_hints) / sizeof(cp_gateway_hints[0]);
         i++)
    {
        m = cp_json_get(in, cp_gateway_hints[i].name);

        for (m = m ? m->first : NULL; m; m = m->next) {
            if (m->type == CP_JSON_STRING) {
                cp_gateway_hints[i].hint(m->s);
            }
        }
    }

    /* others are woken by the head alone */

    if (news || cp_wait_any()) {
        cp_http_wake(r->op.app);
    }

    out = cp_json_object(r->op.arena);
    cp_json_put_int(r->op.arena, out, "rev", rev);
    cp_json_put_int(r->op.arena, out, "interval_ms", CP_GATEWAY_INTERVAL_MS);

    return cp_req_answer(r, 200, out);
}


/* A batch that is taken once; interval_ms: until the next, if that is told. */
static cp_rc_t
cp_batch_post(cp_req_t *r, cp_batch_pt take, int64_t interval_ms)
{
    bool        taken;
    cp_rc_t     rc;
    unsigned    refused;
    cp_json_t  *in, *out;

    rc = cp_req_json(r, &in);

    if (rc == CP_OK) {
        rc = take(&r->op, in, &taken, &refused);
    }

    if (rc != CP_OK) {
        return rc;
    }

    out = cp_json_object(r->op.arena);
    cp_json_put_bool(r->op.arena, out, "applied", taken);
    cp_json_put_int(r->op.arena, out, "refused", refused);

    if (interval_ms) {
        cp_json_put_int(r->op.arena, out, "interval_ms", interval_ms);
    }

    return cp_req_answer(r, 200, out);
}


cp_rc_t
cp_usage_post(cp_req_t *r)
{
    return cp_batch_post(r, cp_usage_batch, 0);
}


cp_rc_t
cp_news_post(cp_req_t *r)
{
    return cp_batch_post(r, cp_news_batch, CP_NEWS_INTERVAL_MS);
}
