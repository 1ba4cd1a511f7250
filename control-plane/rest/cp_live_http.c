/*
 * GET /v1/tenants/{tenant}/traces/live: events of a tenant's calls.
 *
 * A request asks the gateways twice a second what has come since its
 * Last-Event-ID, which has the number of the last trace of each, and is
 * answered when there is something; an EventSource comes back by itself.  So
 * nothing is kept for who looks, and who is gone, or may not any more, is not
 * asked for any longer: that is looked at before each time.
 *
 * Limits: CP_LIVE_MS of a request, what a gateway tells at once
 * (ngx_http_stoa_follow.c); of the rest the number is told.
 */

#include <stdlib.h>
#include <string.h>

#include "rest/cp_asked.h"
#include "rest/cp_list.h"


#define CP_LIVE_MS      15000
#define CP_LIVE_LOOK_MS   500
#define CP_LIVE_RETRY_MS  300


typedef struct {
    cp_asked_way_t   way;
    int64_t          until;            /* monotonic ms                       */
    int64_t          next;             /* when they are asked again          */
    cp_json_t       *after;            /* {gateway: number}                  */
    int64_t          from, to;         /* status; 0: any                     */
    const char      *api;
} cp_live_t;


static cp_rc_t cp_live(cp_req_t *r);
static cp_rc_t cp_live_ask(cp_req_t *r, cp_live_t *live);
static cp_rc_t cp_live_answer(cp_req_t *r, const cp_question_t *q,
    void *data);
static cp_rc_t cp_live_again(cp_req_t *r);


const cp_route_t  cp_live_routes[] = {
    { "GET", "/v1/tenants/{tenant}/traces/live", CP_AUTH_ADMIN, "trace:read",
      cp_live, NULL,
      "Events of calls of a tenant, and to it, of which traces are kept",
      "after status api" },
    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};


/* "<gateway>.<number>-<gateway>.<number>", as it was told. */
static cp_rc_t
cp_live_since(cp_req_t *r, cp_live_t *live, const char *s)
{
    char       *end, *id;
    int64_t     n;
    unsigned    i;

    live->after = cp_json_object(r->op.arena);

    for (i = 0; s && *s && i < CP_QUESTION_GATEWAYS; i++) {

        if (strlen(s) <= STOA_ID_LEN || !stoa_id_valid(s, STOA_ID_LEN)
            || s[STOA_ID_LEN] != '.' || s[STOA_ID_LEN + 1] < '0'
            || s[STOA_ID_LEN + 1] > '9')
        {
            break;
        }

        id = cp_arena_printf(r->op.arena, "%.16s", s);
        n = strtoll(s + STOA_ID_LEN + 1, &end, 10);

        if (id == NULL || n < 0) {
            break;
        }

        cp_json_put_int(r->op.arena, live->after, id, n);
        s = end + (*end == '-');
    }

    return s == NULL || *s == '\0' ? CP_OK
           : cp_err_set(&r->op.err, "bad_request", "that is no id of an event"
                        " of here");
}


/* 429, or 4xx */
static cp_rc_t
cp_live_status(cp_req_t *r, cp_live_t *live, const char *s)
{
    if (s == NULL) {
        return CP_OK;
    }

    if (strlen(s) == 3 && *s >= '1' && *s <= '5') {
        live->from = (*s - '0') * 100;
        live->to = live->from + 99;

        if (strcmp(s + 1, "xx") == 0) {
            return CP_OK;
        }

        if (strspn(s, "0123456789") == 3) {
            live->from = strtol(s, NULL, 10);
            live->to = live->from;
            return CP_OK;
        }
    }

    return cp_err_set(&r->op.err, "bad_request",
                      "status is one as 429, or a class as 4xx");
}


static cp_rc_t
cp_live(cp_req_t *r)
{
    cp_rc_t      rc;
    cp_live_t   *live;
    const char  *after;

    live = cp_arena_alloc(r->op.arena, sizeof(cp_live_t));
    if (live == NULL) {
        return cp_err_set(&r->op.err, "internal", "no memory");
    }

    memset(live, 0, sizeof(cp_live_t));
    live->way.answer = cp_live_answer;
    live->way.data = live;
    live->until = cp_time_mono_ms() + CP_LIVE_MS;
    live->api = cp_req_query(r, "api");

    after = cp_req_header(r, "Last-Event-ID");
    rc = cp_live_since(r, live, after ? after : cp_req_query(r, "after"));

    if (rc == CP_OK) {
        rc = cp_live_status(r, live, cp_req_query(r, "status"));
    }

    if (rc == CP_OK && live->api
        && !stoa_name_valid(live->api, strlen(live->api)))
    {
        return cp_err_set(&r->op.err, "bad_request", "api is a name");
    }

    return rc == CP_OK ? cp_live_ask(r, live) : rc;
}


static cp_rc_t
cp_live_ask(cp_req_t *r, cp_live_t *live)
{
    cp_json_t   *question, *ask;
    cp_arena_t  *a = r->op.arena;

    ask = cp_json_object(a);
    cp_json_set(a, ask, "after", cp_json_copy(a, live->after));

    if (live->to) {
        cp_json_put_int(a, ask, "from", live->from);
        cp_json_put_int(a, ask, "to", live->to);
    }

    if (live->api) {
        cp_json_put(a, ask, "api", live->api);
    }

    question = cp_json_object(a);
    cp_json_set(a, question, "follow", ask);
    live->next = cp_time_mono_ms() + CP_LIVE_LOOK_MS;

    return cp_asked_begin(r, question, NULL, &live->way);
}


/* What one gateway has told; how much that was. */
static unsigned
cp_live_one(cp_req_t *r, cp_live_t *live, const cp_json_t *one,
    int64_t *dropped, bool *more)
{
    unsigned          n;
    const char       *id;
    const cp_json_t  *items, *item;

    id = cp_json_str(one, "gateway");
    items = cp_json_get(one, "items");

    if (id == NULL || !stoa_id_valid(id, strlen(id)) || items == NULL
        || items->type != CP_JSON_ARRAY
        || (cp_json_get(live->after, id) == NULL
            && live->after->n >= CP_QUESTION_GATEWAYS))
    {
        return 0;
    }

    cp_json_put_int(r->op.arena, live->after, id,
                    cp_json_num(one, "next", 0));
    *dropped += cp_json_num(one, "dropped", 0);
    *more |= cp_json_num(one, "more", 0) != 0;

    for (n = 0, item = items->first; item; item = item->next, n++) {
        stoa_buf_addz(&r->out, "data: ");
        cp_json_write(&r->out, item);
        stoa_buf_addz(&r->out, "\n\n");
    }

    return n;
}


static cp_rc_t
cp_live_answer(cp_req_t *r, const cp_question_t *q, void *data)
{
    bool              more;
    int64_t           dropped;
    unsigned          n;
    cp_live_t        *live = data;
    const cp_json_t  *one;

    dropped = 0;
    more = false;

    for (n = 0, one = q->answers->first; one; one = one->next) {
        n += cp_live_one(r, live, one, &dropped, &more);
    }

    if (n == 0 && dropped == 0 && !more && cp_time_mono_ms() < live->until
        && !atomic_load(&r->op.app->stopping))
    {
        r->ctx = live;
        return cp_req_park(r, live->next, cp_live_again);
    }

    /* of what had to make room at a gateway it is not known whose it was */

    if (dropped || more) {
        stoa_buf_addf(&r->out, "event: dropped\ndata: {\"count\":%lld,"
                      "\"more\":%s}\n\n", (long long) dropped,
                      more ? "true" : "false");
    }

    /* an id without data is kept, and nobody is told of it */

    stoa_buf_addf(&r->out, "retry: %d\nid: ", CP_LIVE_RETRY_MS);

    for (one = live->after->first; one; one = one->next) {
        stoa_buf_addf(&r->out, "%s%s.%lld",
                      one == live->after->first ? "" : "-", one->key,
                      (long long) one->i);
    }

    stoa_buf_addz(&r->out, "\n\n");
    r->status = 200;
    r->content_type = "text/event-stream";

    return CP_OK;
}


/* Whoever was woken for another reason waits on. */
static cp_rc_t
cp_live_again(cp_req_t *r)
{
    cp_rc_t     rc;
    cp_live_t  *live = r->ctx;

    if (cp_time_mono_ms() < live->next && !atomic_load(&r->op.app->stopping))
    {
        return cp_req_park(r, live->next, cp_live_again);
    }

    rc = cp_auth_check(r);

    if (rc != CP_OK) {
        return rc;
    }

    if (cp_req_gone(r)) {
        live->until = 0;
        r->status = 200;
        r->content_type = "text/event-stream";
        return CP_OK;
    }

    return cp_live_ask(r, live);
}
