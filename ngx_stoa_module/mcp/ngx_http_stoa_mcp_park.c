/*
 * Calls that belong to no request: where they are found, how they speak to the
 * request that waits for them, how they end.
 */

#include "ngx_http_stoa_park.h"
#include "ngx_http_stoa_digest.h"
#include "ngx_http_stoa_door.h"
#include "ngx_http_stoa_zone.h"


#define NGX_HTTP_STOA_MCP_PARK_LOOK_MS  1000


static void ngx_http_stoa_mcp_park_look(ngx_event_t *ev);


/* Of this worker. */

static ngx_queue_t                       ngx_http_stoa_mcp_parks;
static ngx_uint_t                        ngx_http_stoa_mcp_parked;
static const ngx_http_stoa_mcp_parks_t  *ngx_http_stoa_mcp_park_with;
static ngx_event_t                       ngx_http_stoa_mcp_park_looks;
static ngx_connection_t                  ngx_http_stoa_mcp_park_dummy;


/* ---- life --------------------------------------------------------------- */

ngx_http_stoa_mcp_park_t *
ngx_http_stoa_mcp_park_create(void)
{
    u_char                    *p;
    uint64_t                   random[3];
    ngx_pool_t                *pool;
    ngx_http_stoa_mcp_park_t  *park;

    if (ngx_http_stoa_random(random, 3) != NGX_OK) {
        return NULL;
    }

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    park = ngx_pcalloc(pool, sizeof(ngx_http_stoa_mcp_park_t));
    p = ngx_pnalloc(pool, sizeof("\"stoa-0123456789abcdef\""));

    if (park == NULL || p == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    park->pool = pool;
    park->ident = -1;
    park->event.data = park;
    park->event.log = ngx_cycle->log;
    ngx_memcpy(park->id, random, sizeof(park->id));

    park->call_id.data = p;
    p = ngx_http_stoa_hex(ngx_cpymem(p, "\"stoa-", 6), random[2]);
    *p++ = '"';
    park->call_id.len = p - park->call_id.data;

    stoa_buf_init(&park->seat.id, STOA_JSONRPC_ID_MAX);
    stoa_buf_init(&park->seat.token, STOA_JSONRPC_ID_MAX);
    park->resume.data = park;
    park->resume.log = ngx_cycle->log;
    stoa_buf_init(&park->came, NGX_HTTP_STOA_MCP_EVENT_MAX);
    stoa_buf_init(&park->result, NGX_HTTP_STOA_MCP_EVENT_MAX + 4096);

    return park;
}


void
ngx_http_stoa_mcp_park_begin(ngx_http_stoa_mcp_park_t *park,
    const ngx_http_stoa_mcp_parks_t *with)
{
    ngx_event_t  *ev;

    ngx_http_stoa_mcp_park_with = with;

    if (ngx_http_stoa_mcp_parks.next == NULL) {
        ngx_queue_init(&ngx_http_stoa_mcp_parks);
    }

    ngx_queue_insert_head(&ngx_http_stoa_mcp_parks, &park->queue);

    ev = &ngx_http_stoa_mcp_park_looks;

    if (!ev->timer_set) {
        ngx_http_stoa_mcp_park_dummy.fd = (ngx_socket_t) -1;
        ev->handler = ngx_http_stoa_mcp_park_look;
        ev->data = &ngx_http_stoa_mcp_park_dummy;
        ev->log = ngx_cycle->log;
        ev->cancelable = 1;
        ngx_add_timer(ev, NGX_HTTP_STOA_MCP_PARK_LOOK_MS);
    }
}


/* After a reload clients come by the new workers; where there are none, nobody
 * comes any more. */

static void
ngx_http_stoa_mcp_park_look(ngx_event_t *ev)
{
    ngx_queue_t               *q, *next;
    ngx_http_stoa_mcp_park_t  *park;

    for (q = ngx_queue_head(&ngx_http_stoa_mcp_parks);
         ngx_exiting && q != ngx_queue_sentinel(&ngx_http_stoa_mcp_parks)
         && !ngx_http_stoa_door_newer();
         q = next)
    {
        next = ngx_queue_next(q);
        park = ngx_queue_data(q, ngx_http_stoa_mcp_park_t, queue);

        if (park->stage == NGX_HTTP_STOA_MCP_PARK_WAIT
            || park->stage == NGX_HTTP_STOA_MCP_PARK_KEPT)
        {
            ngx_http_stoa_mcp_park_expire(park);
        }
    }

    if (!ngx_queue_empty(&ngx_http_stoa_mcp_parks)) {
        ngx_add_timer(ev, NGX_HTTP_STOA_MCP_PARK_LOOK_MS);
    }
}


void
ngx_http_stoa_mcp_park_free(ngx_http_stoa_mcp_park_t *park)
{
    if (park->queue.next) {
        ngx_queue_remove(&park->queue);
    }

    if (park->event.timer_set) {
        ngx_del_timer(&park->event);
    }

    if (park->event.posted) {
        ngx_delete_posted_event(&park->event);
    }

    if (park->ask) {
        ngx_http_stoa_mcp_ask_cancel(park->ask);
    }

    if (park->source) {
        ngx_http_stoa_mcp_source_free(park->source);
    }

    if (park->rest) {
        ngx_http_stoa_mcp_source_free(park->rest);
    }

    if (park->resume.timer_set) {
        ngx_del_timer(&park->resume);
    }

    if (park->resume.posted) {
        ngx_delete_posted_event(&park->resume);
    }

    ngx_http_stoa_mcp_park_count(park, 0);
    ngx_http_stoa_mcp_query_free(park);
    stoa_buf_free(&park->seat.id);
    stoa_buf_free(&park->seat.token);
    stoa_buf_free(&park->came);
    stoa_buf_free(&park->result);

    if (park->api) {
        ngx_http_stoa_api_release(park->api);
    }

    ngx_destroy_pool(park->pool);
}


void
ngx_http_stoa_mcp_park_count(ngx_http_stoa_mcp_park_t *park,
    ngx_uint_t parked)
{
    ngx_http_stoa_mcp_parked += parked - park->parked;
    park->parked = parked;
}


void
ngx_http_stoa_mcp_park_stage(ngx_http_stoa_mcp_park_t *park, ngx_uint_t stage,
    ngx_msec_t ms)
{
    park->stage = stage;

    if (park->event.timer_set) {
        ngx_del_timer(&park->event);
    }

    if (ms) {
        ngx_add_timer(&park->event, ms);
    }
}


ngx_http_stoa_mcp_park_t *
ngx_http_stoa_mcp_park_find(const u_char *id)
{
    ngx_queue_t               *q;
    ngx_http_stoa_mcp_park_t  *park;

    if (ngx_http_stoa_mcp_parks.next == NULL) {
        return NULL;
    }

    for (q = ngx_queue_head(&ngx_http_stoa_mcp_parks);
         q != ngx_queue_sentinel(&ngx_http_stoa_mcp_parks);
         q = ngx_queue_next(q))
    {
        park = ngx_queue_data(q, ngx_http_stoa_mcp_park_t, queue);

        if (ngx_memcmp(park->id, id, NGX_HTTP_STOA_MCP_PARK_ID) == 0) {
            return park;
        }
    }

    return NULL;
}


ngx_http_stoa_mcp_park_t *
ngx_http_stoa_mcp_park_of(const u_char *id)
{
    ngx_http_stoa_mcp_park_t  *park;

    park = ngx_http_stoa_mcp_park_find(id);

    return park && park->seat.pid
           && ngx_memcmp(park->seat.ticket, id + NGX_HTTP_STOA_MCP_PARK_ID,
                         NGX_HTTP_STOA_MCP_PARK_ID)
              == 0
           ? park : NULL;
}


ngx_uint_t
ngx_http_stoa_mcp_park_full(ngx_http_stoa_mcp_park_t *park)
{
    ngx_uint_t                 n;
    ngx_queue_t               *q;
    ngx_http_stoa_mcp_park_t  *other;

    n = 0;

    for (q = ngx_queue_head(&ngx_http_stoa_mcp_parks);
         q != ngx_queue_sentinel(&ngx_http_stoa_mcp_parks);
         q = ngx_queue_next(q))
    {
        other = ngx_queue_data(q, ngx_http_stoa_mcp_park_t, queue);

        n += other->parked
             && ngx_memcmp(other->aad, park->aad,
                           NGX_HTTP_STOA_MCP_PRINCIPAL)
                == 0;
    }

    return n >= NGX_HTTP_STOA_MCP_PARKS_OF
           || ngx_http_stoa_mcp_parked >= NGX_HTTP_STOA_MCP_PARKS;
}


/* Whatever of it the upstream says something in. */

void
ngx_http_stoa_mcp_park_pause(ngx_http_stoa_mcp_park_t *park, ngx_uint_t pause)
{
    ngx_uint_t              i;
    ngx_http_stoa_fetch_t  *f[3];

    f[0] = park->ask ? park->ask->fetch : NULL;
    f[1] = park->source ? park->source->fetch : NULL;
    f[2] = park->rest ? park->rest->fetch : NULL;

    for (i = 0; i < 3; i++) {
        if (f[i] && pause) {
            ngx_http_stoa_fetch_pause(f[i]);

        } else if (f[i]) {
            ngx_http_stoa_fetch_resume(f[i]);
        }
    }
}


/* ---- the end ------------------------------------------------------------ */

/* The client did not come. */

void
ngx_http_stoa_mcp_park_expire(ngx_http_stoa_mcp_park_t *park)
{
    ngx_log_error(NGX_LOG_NOTICE, ngx_cycle->log, 0,
                  "an MCP client does not come back with what a server has "
                  "asked: its call ends");
    ngx_http_stoa_count(mcp_expired, 1);

    ngx_http_stoa_mcp_query_refuse(park);
    ngx_http_stoa_mcp_park_leave(park);
}


/* Nobody wants it any more: so far as the upstream works for it, it is told,
 * and its session ends. */

void
ngx_http_stoa_mcp_park_leave(ngx_http_stoa_mcp_park_t *park)
{
    ngx_http_stoa_mcp_upstream_t  up;

    if (park->stage == NGX_HTTP_STOA_MCP_PARK_STREAM
        || park->stage == NGX_HTTP_STOA_MCP_PARK_LEVEL)
    {
        ngx_http_stoa_mcp_query_session(park, &up);
        ngx_http_stoa_mcp_leave(&up);

    } else if (park->ask || park->rest) {
        ngx_http_stoa_mcp_query_farewell(park);
    }

    ngx_http_stoa_mcp_park_free(park);
}



/* ---- the guest ---------------------------------------------------------- */

/* The answer or the fault, with the id of the request that waits for it; that
 * is the end. */

void
ngx_http_stoa_mcp_park_give(ngx_http_stoa_mcp_park_t *park)
{
    stoa_buf_t     b;
    stoa_glance_t  g;

    if (park->result.len == 0) {
        (void) ngx_http_stoa_mcp_park_tell(park->seat.pid, park->seat.ticket,
                                           'F', &park->fault,
                                           sizeof(park->fault));

    } else {
        stoa_buf_init(&b, NGX_HTTP_STOA_MCP_EVENT_MAX + 2 * 8192);

        if (stoa_glance(park->result.data, park->result.len, &g) == STOA_OK
            && g.id.start)
        {
            stoa_buf_add(&b, park->result.data,
                         g.id.start - park->result.data);
            stoa_buf_add(&b, park->seat.id.data, park->seat.id.len);
            stoa_buf_add(&b, g.id.end, park->result.data + park->result.len
                                       - g.id.end);
        }

        (void) ngx_http_stoa_mcp_park_tell(park->seat.pid, park->seat.ticket,
                                           'D', b.data, b.len);
        stoa_buf_free(&b);
    }

    ngx_http_stoa_mcp_park_free(park);
}


void
ngx_http_stoa_mcp_park_asked(const u_char *p, size_t len)
{
    uint32_t                   pid;
    ngx_http_stoa_mcp_park_t  *park;

    if (len != 1 + 2 * NGX_HTTP_STOA_MCP_PARK_ID + 5) {
        return;
    }

    park = ngx_http_stoa_mcp_park_of(p + 1);
    ngx_memcpy(&pid, p + 1 + 2 * NGX_HTTP_STOA_MCP_PARK_ID, 4);

    if (park) {
        ngx_http_stoa_mcp_park_pause(park, p[len - 1]);
    }

    (void) ngx_http_stoa_mcp_park_tell((ngx_pid_t) pid,
                                       p + 1 + NGX_HTTP_STOA_MCP_PARK_ID,
                                       park ? 'Y' : 'X', NULL, 0);
}


ngx_int_t
ngx_http_stoa_mcp_park_tell(ngx_pid_t pid, const u_char *ticket,
    ngx_uint_t kind, const void *data, size_t len)
{
    u_char      head = (u_char) kind;
    ngx_int_t   rc;
    stoa_buf_t  b;

    if (pid == 0) {
        return NGX_DECLINED;
    }

    stoa_buf_init(&b, len + NGX_HTTP_STOA_MCP_PARK_ID + 1);
    stoa_buf_add(&b, &head, 1);
    stoa_buf_add(&b, ticket, NGX_HTTP_STOA_MCP_PARK_ID);
    stoa_buf_add(&b, data, len);

    rc = NGX_ERROR;

    if (b.rc == STOA_OK && pid == ngx_pid) {
        ngx_http_stoa_mcp_park_with->came((u_char *) b.data, b.len);
        rc = NGX_OK;

    } else if (b.rc == STOA_OK) {
        rc = ngx_http_stoa_door_tell(pid, (u_char *) b.data, b.len);
    }

    stoa_buf_free(&b);

    return rc;
}
