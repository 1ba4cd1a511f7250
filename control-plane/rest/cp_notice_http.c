/*
 * /v1/notices: what the tenants are told in which the caller may read it, and
 * what he has read; whom a tenant's notices are mailed to.
 */

#include <inttypes.h>
#include <string.h>

#include "auth/cp_auth.h"
#include "audit/cp_audit.h"
#include "client/cp_smtp.h"
#include "http/cp_query.h"
#include "kinds/cp_kind.h"
#include "kinds/cp_notice.h"
#include "rest/cp_list.h"


#define CP_NOTICE_IDS_MAX  500


static cp_rc_t cp_notice_list(cp_req_t *r);
static cp_rc_t cp_notice_read(cp_req_t *r);
static cp_rc_t cp_notice_settings(cp_req_t *r);
static cp_rc_t cp_notice_set(cp_req_t *r);


const cp_route_t  cp_notice_routes[] = {
    { "GET", "/v1/notices", CP_AUTH_ADMIN, "notice:read", cp_notice_list,
      NULL, "What the tenants are told, youngest first",
      "tenant kind unread limit cursor" },
    { "POST", "/v1/notices/read", CP_AUTH_ADMIN, "notice:read",
      cp_notice_read, NULL, "Mark notices as read by the caller", NULL },
    { "GET", "/v1/tenants/{tenant}/notice-settings", CP_AUTH_ADMIN,
      "notice:read", cp_notice_settings, NULL,
      "Whom the tenant's notices are mailed to", NULL },
    { "PUT", "/v1/tenants/{tenant}/notice-settings", CP_AUTH_ADMIN,
      "notice:write", cp_notice_set, NULL,
      "Say whom the tenant's notices are mailed to", NULL },
    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};

static const cp_field_t  notice_settings_fields[] = {
    F("mail", CP_F_STRING, 0, 1, 254, NULL, "address; none: no mail"),
    F_ARRAY("kinds", 0, 64, CP_F_STRING, "only these; none: all"),
    F_END
};

static const cp_field_t  notice_read_fields[] = {
    F_ARRAY("ids", 0, CP_NOTICE_IDS_MAX, CP_F_STRING, "these"),
    F("upto", CP_F_STRING, 0, STOA_ID_LEN, STOA_ID_LEN, NULL,
      "this one and all that are older"),
    F_END
};


static const char *
cp_notice_reader(const cp_req_t *r)
{
    return r->op.actor.person ? r->op.actor.person : r->op.actor.id;
}


static int
cp_notice_kind(const char *name)
{
    int  i;

    for (i = 0; cp_notice_kinds[i]; i++) {
        if (strcmp(cp_notice_kinds[i], name) == 0) {
            return i;
        }
    }

    return -1;
}


static cp_json_t *
cp_notice_item(cp_arena_t *a, const cp_val_t *c)
{
    cp_json_t  *item, *about;

    item = cp_json_object(a);
    about = cp_json_object(a);
    cp_json_put(a, item, "id", c[0].p);
    cp_json_put(a, item, "at", cp_time_format(a, c[1].i));
    cp_json_put(a, item, "tenant", c[2].p);
    cp_json_put(a, item, "kind", c[3].p);
    cp_json_put(a, item, "text", c[4].p);
    cp_json_put(a, about, "kind", c[5].p);
    cp_json_put(a, about, "id", c[6].p);
    cp_json_set(a, item, "about", about);
    cp_json_put_bool(a, item, "read", c[7].i != 0);

    return item;
}


/* $1 the reader, $2 of this tenant, $3 of this kind, $4 unread only, $5 the
 * cursor. */
static cp_rc_t
cp_notice_select(cp_req_t *r, cp_tx_t *tx, const cp_val_t *args,
    int64_t limit, cp_json_t *page)
{
    cp_rc_t      rc;
    int64_t      i;
    cp_rows_t    rows;
    cp_json_t   *items;
    cp_arena_t  *a = r->op.arena;
    const char  *where;

    where = cp_auth_where(&r->op, "tenant", "notice:read");

    rc = cp_tx_query(tx, a, cp_arena_printf(a, "SELECT n.id, n.created_at,"
                     " t.name, n.kind, n.text, n.resource_kind, n.resource,"
                     " CASE WHEN m.reader IS NULL THEN 0 ELSE 1 END"
                     " FROM (SELECT * FROM notices WHERE %s) n"
                     " JOIN tenants t ON t.id = n.tenant"
                     " LEFT JOIN notice_reads m ON m.notice = n.id"
                     " AND m.reader = $1"
                     " WHERE ($2 = '' OR n.tenant = $2)"
                     " AND ($3 = '' OR n.kind = $3)"
                     " AND ($4 = 0 OR m.reader IS NULL)"
                     " AND ($5 = '' OR n.id < $5)"
                     " ORDER BY n.id DESC LIMIT %" PRId64, where, limit + 1),
                     args, 5, &rows, &r->op.err);

    if (rc != CP_OK) {
        return rc;
    }

    items = cp_json_array(a);

    for (i = 0; i < rows.rows && i < limit; i++) {
        cp_json_push(items, cp_notice_item(a, cp_cell(&rows, i, 0)));
    }

    cp_json_set(a, page, "items", items);

    if (rows.rows > limit) {
        cp_json_put(a, page, "next",
                    cp_list_cursor(a, cp_cell(&rows, limit - 1, 0)->p));
    }

    rc = cp_tx_query(tx, a, cp_arena_printf(a, "SELECT COUNT(*) FROM"
                     " (SELECT * FROM notices WHERE %s) n"
                     " WHERE ($2 = '' OR n.tenant = $2) AND NOT EXISTS"
                     " (SELECT 1 FROM notice_reads m WHERE m.notice = n.id"
                     " AND m.reader = $1)", where), args, 2, &rows,
                     &r->op.err);

    if (rc == CP_OK) {
        cp_json_put_int(a, page, "unread", cp_cell(&rows, 0, 0)->i);
    }

    return rc;
}


static cp_rc_t
cp_notice_list(cp_req_t *r)
{
    bool         unread;
    cp_rc_t      rc;
    int64_t      limit;
    cp_tx_t     *tx;
    cp_json_t   *page;
    const char  *key, *kind, *name, *tenant;

    unread = false;
    rc = cp_list_range(r, &limit, &key);

    if (rc == CP_OK) {
        rc = cp_query_flag(r, "unread", &unread);
    }

    if (rc != CP_OK) {
        return rc;
    }

    kind = cp_req_query(r, "kind");

    if (kind && cp_notice_kind(kind) < 0) {
        return cp_query_fault(r, "kind", "is no kind of notice");
    }

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    name = cp_req_query(r, "tenant");
    tenant = "";
    page = cp_json_object(r->op.arena);
    rc = name ? cp_ref_tenant(&r->op, tx, name, "notice:read", &tenant)
              : CP_OK;

    if (rc == CP_OK) {
        rc = cp_notice_select(r, tx,
                              (cp_val_t[]) { cp_text(cp_notice_reader(r)),
                                  cp_text(tenant), cp_text(kind ? kind : ""),
                                  cp_int(unread), cp_text(key) },
                              limit, page);
    }

    cp_tx_rollback(tx);

    return rc == CP_OK ? cp_req_answer(r, 200, page) : rc;
}


/* Others than one may see are none: nothing is said of them. */
static cp_rc_t
cp_notice_mark(cp_req_t *r, cp_tx_t *tx, const char *how, const char *id)
{
    return cp_tx_query(tx, r->op.arena, cp_arena_printf(r->op.arena,
                       "INSERT INTO notice_reads (notice, reader)"
                       " SELECT id, $1 FROM notices WHERE id %s $2 AND %s"
                       " ON CONFLICT (notice, reader) DO NOTHING", how,
                       cp_auth_where(&r->op, "tenant", "notice:read")),
                       cp_args(cp_text(cp_notice_reader(r)), cp_text(id)),
                       NULL, &r->op.err);
}


static cp_rc_t
cp_notice_read(cp_req_t *r)
{
    cp_rc_t           rc;
    cp_tx_t          *tx;
    cp_json_t        *in, *m;
    const char       *upto;

    const cp_validate_t  v = { r->op.arena, &r->op.err, -1, false };

    rc = cp_req_json(r, &in);

    if (rc == CP_OK) {
        rc = cp_validate(&v, notice_read_fields, in, NULL, &in);
    }

    if (rc != CP_OK) {
        return rc;
    }

    if (cp_tx_open(r->op.app->db, true, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    upto = cp_json_str(in, "upto");
    rc = upto ? cp_notice_mark(r, tx, "<=", upto) : CP_OK;
    m = cp_json_get(in, "ids");

    for (m = m ? m->first : NULL; rc == CP_OK && m; m = m->next) {
        rc = cp_notice_mark(r, tx, "=", m->s);
    }

    rc = cp_tx_finish(tx, rc, &r->op.err);

    return rc == CP_OK ? cp_req_answer(r, 204, NULL) : rc;
}


static cp_rc_t
cp_notice_shown(cp_req_t *r, cp_tx_t *tx, const char *tenant, cp_json_t **out)
{
    cp_rc_t      rc;
    cp_rows_t    rows;
    cp_json_t   *kinds;
    cp_arena_t  *a = r->op.arena;

    *out = cp_json_object(a);

    rc = cp_tx_query(tx, a, "SELECT mail, kinds FROM notice_settings"
                     " WHERE tenant = $1", cp_args(cp_text(tenant)), &rows,
                     &r->op.err);

    if (rc != CP_OK || rows.rows == 0) {
        return rc;
    }

    if (cp_cell(&rows, 0, 0)->type == CP_VAL_TEXT) {
        cp_json_put(a, *out, "mail", cp_cell(&rows, 0, 0)->p);
    }

    if (cp_cell(&rows, 0, 1)->type == CP_VAL_TEXT) {
        rc = cp_json_parse(a, cp_cell(&rows, 0, 1)->p,
                           cp_cell(&rows, 0, 1)->len, &kinds, &r->op.err);
        if (rc == CP_OK) {
            cp_json_set(a, *out, "kinds", kinds);
        }
    }

    return rc;
}


static cp_rc_t
cp_notice_settings(cp_req_t *r)
{
    cp_rc_t      rc;
    cp_tx_t     *tx;
    cp_json_t   *out;
    const char  *tenant;

    if (cp_tx_open(r->op.app->db, false, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_ref_tenant(&r->op, tx, r->param[0], "notice:read", &tenant);

    if (rc == CP_OK) {
        rc = cp_notice_shown(r, tx, tenant, &out);
    }

    cp_tx_rollback(tx);

    return rc == CP_OK ? cp_req_answer(r, 200, out) : rc;
}


static cp_rc_t
cp_notice_check(cp_req_t *r, cp_json_t **in)
{
    cp_rc_t      rc;
    cp_json_t   *m;
    const char  *mail;

    const cp_validate_t  v = { r->op.arena, &r->op.err, -1, false };

    rc = cp_req_json(r, in);

    if (rc == CP_OK) {
        rc = cp_validate(&v, notice_settings_fields, *in, NULL, in);
    }

    if (rc != CP_OK) {
        return rc;
    }

    mail = cp_json_str(*in, "mail");

    if (mail && !cp_smtp_address(mail)) {
        return cp_err_field(&r->op.err, -1, 0, "mail", "is no mail address");
    }

    m = cp_json_get(*in, "kinds");

    for (m = m ? m->first : NULL; m; m = m->next) {
        if (cp_notice_kind(m->s) < 0) {
            return cp_err_field(&r->op.err, -1, 0, "kinds",
                                "\"%.40s\" is no kind of notice", m->s);
        }
    }

    return CP_OK;
}


/* Mail to somebody who never asked for it is the platform's to answer for;
 * what it has said stays. */
static cp_rc_t
cp_notice_whose(cp_req_t *r, cp_tx_t *tx, const char *mail,
    const char *tenant, bool *free)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    *free = cp_auth_holds(&r->op.actor, "notice:write", NULL);

    if (mail == NULL || *free) {
        return CP_OK;
    }

    rc = cp_tx_query(tx, r->op.arena, "SELECT free FROM notice_settings"
                     " WHERE mail = $1 AND tenant = $2 AND free = 1"
                     " UNION ALL SELECT 0 WHERE "
                     CP_NOTICE_MEMBER("$1", "$2"),
                     cp_args(cp_text(mail), cp_text(tenant)), &rows,
                     &r->op.err);

    *free = rc == CP_OK && rows.rows && cp_cell(&rows, 0, 0)->i;

    return rc == CP_OK && rows.rows == 0
           ? cp_err_field(&r->op.err, -1, 0, "mail", "is nobody's of the"
                          " tenant; the platform may say another one") : rc;
}


static cp_rc_t
cp_notice_store(cp_req_t *r, cp_tx_t *tx, const cp_json_t *in)
{
    bool               free;
    cp_rc_t            rc;
    cp_json_t         *kinds;
    const char        *tenant;
    cp_audit_event_t   e = { .action = "update", .kind = "notice_settings",
                             .name = r->param[0] };

    rc = cp_ref_tenant(&r->op, tx, r->param[0], "notice:write", &tenant);

    if (rc == CP_OK) {
        rc = cp_notice_whose(r, tx, cp_json_str(in, "mail"), tenant, &free);
    }

    if (rc != CP_OK) {
        return rc;
    }

    kinds = cp_json_get(in, "kinds");

    rc = cp_tx_query(tx, r->op.arena, "INSERT INTO notice_settings (tenant,"
                     " mail, kinds, free) VALUES ($1, $2, $3, $4)"
                     " ON CONFLICT (tenant) DO UPDATE SET"
                     " mail = excluded.mail, kinds = excluded.kinds,"
                     " free = excluded.free",
                     cp_args(cp_text(tenant),
                             cp_text(cp_json_str(in, "mail")),
                             cp_text(kinds && kinds->n
                                     ? cp_json_text(r->op.arena, kinds, NULL)
                                     : NULL), cp_int(free)),
                     NULL, &r->op.err);

    if (rc != CP_OK) {
        return rc;
    }

    e.tenant = tenant;
    e.id = tenant;
    e.diff = cp_json_object(r->op.arena);

    return cp_audit_append(&r->op, tx, &e);
}


static cp_rc_t
cp_notice_set(cp_req_t *r)
{
    cp_rc_t     rc;
    cp_tx_t    *tx;
    cp_json_t  *in;

    rc = cp_notice_check(r, &in);

    if (rc != CP_OK) {
        return rc;
    }

    if (cp_tx_open(r->op.app->db, true, &tx, &r->op.err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_finish(tx, cp_notice_store(r, tx, in), &r->op.err);

    return rc == CP_OK ? cp_req_answer(r, 200, in) : rc;
}
