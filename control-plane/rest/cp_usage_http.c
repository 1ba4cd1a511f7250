/*
 * What gateways report of themselves and of calls, and usage for people.
 */

#include <string.h>

#include "auth/cp_auth.h"
#include "discovery/cp_discovery.h"
#include "discovery/cp_issuer_keys.h"
#include "apply/cp_wait.h"
#include "feed/cp_usage.h"
#include "http/cp_query.h"
#include "rest/cp_rest.h"


static cp_rc_t cp_usage_parse(cp_req_t *r, cp_usage_ask_t *ask);
static cp_rc_t cp_usage_time(cp_req_t *r, const char *name, int64_t *ms);
static cp_rc_t cp_usage_by(cp_req_t *r, unsigned *by);
static cp_rc_t cp_usage_answer(cp_req_t *r, const cp_usage_ask_t *ask,
    cp_json_t *items);


/* Values in ms; they fit what `bit` can hold. */
static const cp_usage_name_t  cp_usage_steps[] = {
    { "minute", CP_USAGE_MINUTE_MS },
    { "hour",   CP_USAGE_HOUR_MS },
    { "day",    CP_USAGE_DAY_MS },
    { NULL, 0 }
};


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


cp_rc_t
cp_usage_post(cp_req_t *r)
{
    bool        taken;
    cp_rc_t     rc;
    unsigned    refused;
    cp_json_t  *in, *out;

    rc = cp_req_json(r, &in);

    if (rc == CP_OK) {
        rc = cp_usage_batch(&r->op, in, &taken, &refused);
    }

    if (rc != CP_OK) {
        return rc;
    }

    out = cp_json_object(r->op.arena);
    cp_json_put_bool(r->op.arena, out, "applied", taken);
    cp_json_put_int(r->op.arena, out, "refused", refused);

    return cp_req_answer(r, 200, out);
}


cp_rc_t
cp_usage_get(cp_req_t *r)
{
    cp_rc_t          rc;
    cp_tx_t         *tx;
    cp_json_t       *items;
    cp_usage_ask_t   ask;

    memset(&ask, 0, sizeof(ask));

    rc = cp_usage_parse(r, &ask);
    if (rc != CP_OK) {
        return rc;
    }

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = r->nparam ? cp_ref_tenant(&r->op, tx, r->param[0],
                                   r->route->permission, &ask.tenant)
                   : cp_auth_one(&r->op, r->route->permission, &ask.tenant);

    if (rc == CP_OK && ask.tenant == NULL && ask.sides) {
        rc = cp_query_fault(r, "side", "is of one tenant");
    }

    if (rc == CP_OK) {
        rc = cp_usage_sum(tx, r->op.arena, &ask, &items, &r->op.err);
    }

    cp_tx_rollback(tx);

    return rc == CP_OK ? cp_usage_answer(r, &ask, items) : rc;
}


static cp_rc_t
cp_usage_parse(cp_req_t *r, cp_usage_ask_t *ask)
{
    cp_rc_t                 rc;
    const char             *step;
    const cp_usage_name_t  *n;

    ask->to_ms = cp_time_ms();

    rc = cp_usage_time(r, "to", &ask->to_ms);
    if (rc != CP_OK) {
        return rc;
    }

    ask->from_ms = ask->to_ms - CP_USAGE_DAY_MS;

    rc = cp_usage_time(r, "from", &ask->from_ms);
    if (rc != CP_OK) {
        return rc;
    }

    if (ask->from_ms >= ask->to_ms) {
        return cp_query_fault(r, "from", "must be before to");
    }

    /* counts are kept per minute: the one that holds `from` is included */

    ask->from_ms -= ask->from_ms % CP_USAGE_MINUTE_MS;
    step = cp_req_query(r, "step");

    if (step) {
        for (n = cp_usage_steps; n->name; n++) {
            if (strcmp(n->name, step) == 0) {
                break;
            }
        }

        if (n->name == NULL) {
            return cp_query_fault(r, "step", "must be minute, hour or day");
        }

        ask->step_ms = n->bit;
    }

    step = cp_req_query(r, "side");

    if (step) {
        ask->sides = strcmp(step, "published") == 0 ? CP_USAGE_PUBLISHED
                     : strcmp(step, "consumed") == 0 ? CP_USAGE_CONSUMED : 0;

        if (ask->sides == 0) {
            return cp_query_fault(r, "side",
                                  "must be published or consumed");
        }
    }

    return cp_usage_by(r, &ask->by);
}


static cp_rc_t
cp_usage_time(cp_req_t *r, const char *name, int64_t *ms)
{
    const char  *s;

    s = cp_req_query(r, name);

    if (s && (!cp_time_parse(s, strlen(s), ms) || *ms < 0)) {
        return cp_query_fault(r, name, "must be a time such as"
                              " 2026-01-31T12:00:00Z");
    }

    return CP_OK;
}


static cp_rc_t
cp_usage_by(cp_req_t *r, unsigned *by)
{
    size_t                  len;
    const char             *s;
    const cp_usage_name_t  *n;

    s = cp_req_query(r, "by");

    while (s && *s) {
        len = strcspn(s, ",");

        for (n = cp_usage_bys; n->name; n++) {
            if (strlen(n->name) == len && memcmp(n->name, s, len) == 0) {
                break;
            }
        }

        if (n->name == NULL) {
            return cp_query_fault(r, "by", "must be a list of application,"
                                  " subscription, api, operation, refused,"
                                  " credential, tenant");
        }

        *by |= n->bit;
        s += len + (s[len] == ',');
    }

    return CP_OK;
}


static cp_rc_t
cp_usage_answer(cp_req_t *r, const cp_usage_ask_t *ask, cp_json_t *items)
{
    cp_json_t   *out;
    cp_arena_t  *a;

    a = r->op.arena;
    out = cp_json_object(a);
    cp_json_put(a, out, "from", cp_time_format(a, ask->from_ms));
    cp_json_put(a, out, "to", cp_time_format(a, ask->to_ms));
    cp_json_set(a, out, "items", items);

    return cp_req_answer(r, 200, out);
}
