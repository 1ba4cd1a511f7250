/*
 * Appending to the log.
 */

#include <inttypes.h>
#include <string.h>

#include "op/cp_app.h"
#include "audit/cp_audit_row.h"
#include "audit/cp_person.h"


static void cp_audit_row(cp_op_t *op, const cp_audit_event_t *e,
    const char *tenant, cp_val_t *row);
static cp_rc_t cp_audit_personal(cp_op_t *op, cp_tx_t *tx,
    const cp_audit_event_t *e, cp_val_t *row);

/*
 * The heads of the chains that a transaction appends to: read and sealed once,
 * however many events there are.
 */

typedef struct cp_audit_head_s  cp_audit_head_t;

struct cp_audit_head_s {
    const char       *tenant;
    const char       *fault;       /* it was forged                         */
    int64_t           seq;
    char              hash[65];
    cp_audit_head_t  *next;
};

typedef struct {
    cp_arena_t       *arena;
    const cp_app_t   *app;
    cp_audit_head_t  *heads;
} cp_audit_tx_t;

#define CP_AUDIT_TX_ARENA  (16 * 1024 * 1024)


static const char *cp_audit_actor_kind(const cp_actor_t *actor);
static const char *cp_audit_diff_text(cp_arena_t *a, const cp_json_t *diff);
static cp_rc_t cp_audit_head(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    cp_audit_head_t **head);
static cp_rc_t cp_audit_begin(cp_op_t *op, cp_tx_t *tx, cp_audit_tx_t **at);
static cp_rc_t cp_audit_commit(cp_tx_t *tx, void *data, bool commit);
static char *cp_audit_mac(cp_arena_t *a, const cp_app_t *app, bool keyed,
    const char *tenant, int64_t seq, const char *hash);


static const char  cp_audit_key;         /* its address names our state      */


cp_rc_t
cp_audit_append(cp_op_t *op, cp_tx_t *tx, const cp_audit_event_t *e)
{
    char              hash[65];
    cp_rc_t           rc;
    cp_val_t          row[A_N];
    stoa_buf_t        b;
    cp_audit_head_t  *head;

    head = NULL;
    rc = cp_audit_head(op, tx, e->tenant ? e->tenant : "", &head);
    if (rc != CP_OK) {
        return rc;
    }

    cp_audit_row(op, e, head->tenant, row);

    rc = cp_audit_personal(op, tx, e, row);
    if (rc != CP_OK) {
        return rc;
    }

    row[A_SEQ] = cp_int(head->seq + 1);
    row[A_PREV_HASH] = cp_text(head->hash);

    stoa_buf_init(&b, 4 * CP_AUDIT_DIFF_MAX);

    if (!cp_audit_hash(&b, row, hash)) {
        stoa_buf_free(&b);
        return cp_err_set(&op->err, "internal", "no memory");
    }

    stoa_buf_free(&b);
    row[A_HASH] = cp_text(hash);

    rc = cp_tx_query(tx, op->arena, "INSERT INTO audit (" CP_AUDIT_COLUMNS ")"
                     " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,"
                     " $12, $13, $14, $15)", row, A_N, NULL, &op->err);
    if (rc != CP_OK) {
        return rc == CP_DECLINED
               ? cp_err_set(&op->err, "internal",
                            "audit row %" PRId64 " is there already",
                            head->seq + 1)
               : rc;
    }

    head->seq++;
    memcpy(head->hash, hash, sizeof(hash));

    return CP_OK;
}


cp_rc_t
cp_audit_event(cp_op_t *op, const cp_audit_event_t *e)
{
    int       tries;
    cp_rc_t   rc;
    cp_tx_t  *tx;

    for (tries = 0; tries <= CP_OP_RETRIES; tries++) {

        if (cp_tx_open(op->app->db, true, &tx, &op->err) != CP_OK) {
            return CP_ERROR;
        }

        rc = cp_audit_append(op, tx, e);
        rc = cp_tx_finish(tx, rc, &op->err);

        if (rc != CP_CONFLICT) {
            return rc;
        }
    }

    return cp_err_set(&op->err, "unavailable", "the database is busy");
}


/* All but seq, prev_hash, hash and personal. */
static void
cp_audit_row(cp_op_t *op, const cp_audit_event_t *e, const char *tenant,
    cp_val_t *row)
{
    row[A_TENANT] = cp_text(tenant);
    row[A_AT] = cp_int(cp_time_ms());
    row[A_ACTOR_KIND] = cp_text(cp_audit_actor_kind(&op->actor));
    row[A_ACTOR_ID] = cp_text(op->actor.id && e->actor == NULL
                              ? op->actor.id : "");
    row[A_ACTOR_NAME] = cp_text(e->actor ? e->actor : op->actor.name
                                ? op->actor.name : "");
    row[A_ACTION] = cp_text(e->action);
    row[A_KIND] = cp_text(e->kind);
    row[A_RESOURCE] = cp_text(e->id);
    row[A_RESOURCE_NAME] = cp_text(e->name ? e->name : "");
    row[A_DIFF] = cp_text(cp_audit_diff_text(op->arena, e->diff));
    row[A_REQUEST_ID] = cp_text(op->request_id);
}


/*
 * Moves what is said of a person out of the open columns.  One that acts upon
 * himself has one key, and so one text.
 */
static cp_rc_t
cp_audit_personal(cp_op_t *op, cp_tx_t *tx, const cp_audit_event_t *e,
    cp_val_t *row)
{
    size_t       n;
    cp_rc_t      rc;
    unsigned     i;
    cp_json_t   *list, *said, *one;
    cp_arena_t  *a;
    const char  *who[2], *sealed;

    a = op->arena;
    list = cp_json_array(a);
    row[A_PERSONAL] = cp_text("");

    who[0] = e->person ? e->person
             : strcmp(e->kind, "user") == 0 && e->id[0] ? e->id : NULL;
    who[1] = e->actor ? NULL : op->actor.person;

    for (i = 0; i < 2; i++) {
        if (who[i] == NULL || (i == 1 && who[0]
                               && strcmp(who[0], who[1]) == 0))
        {
            continue;
        }

        said = cp_json_object(a);

        if (i == 0) {
            cp_json_put(a, said, "name", row[A_RESOURCE_NAME].p);
            cp_json_put(a, said, "diff", row[A_DIFF].p);
            row[A_RESOURCE_NAME] = cp_text("");
            row[A_DIFF] = cp_text("{}");
        }

        if (who[1] && strcmp(who[1], who[i]) == 0) {
            cp_json_put(a, said, "actor", row[A_ACTOR_NAME].p);
            row[A_ACTOR_NAME] = cp_text("");
        }

        if (e->address && (i == 0 || who[0] == NULL)) {
            cp_json_put(a, said, "address", e->address);
        }

        rc = cp_person_seal(op, tx, who[i], cp_json_text(a, said, &n),
                            &sealed);
        if (rc != CP_OK) {
            return rc;
        }

        one = cp_json_object(a);
        cp_json_put(a, one, "person", who[i]);
        cp_json_put(a, one, "sealed", sealed);
        cp_json_push(list, one);
    }

    if (list->n) {
        row[A_PERSONAL] = cp_text(cp_json_text(a, list, &n));
    }

    return CP_OK;
}


/* An empty name is one that was sealed. */
static void
cp_audit_erased(cp_arena_t *a, cp_json_t *item)
{
    size_t                    i;
    const char               *s;
    static const char *const  names[] = { "actor", "name" };

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        s = cp_json_str(item, names[i]);

        if (s && s[0] == '\0') {
            cp_json_put(a, item, names[i], NULL);
        }
    }

    cp_json_put_bool(a, item, "erased", true);
}


cp_rc_t
cp_audit_reveal(cp_op_t *op, cp_tx_t *tx, const char *personal,
    cp_json_t *item)
{
    cp_rc_t      rc;
    cp_json_t   *list, *one, *said, *m, *diff;
    cp_arena_t  *a;
    const char  *text;

    a = op->arena;

    if (personal[0] == '\0') {
        return CP_OK;
    }

    rc = cp_json_parse(a, personal, strlen(personal), &list, &op->err);

    for (one = rc == CP_OK ? list->first : NULL; one; one = one->next) {

        rc = cp_person_open(op, tx, cp_json_str(one, "person"),
                            cp_json_str(one, "sealed"), &text);
        if (rc != CP_OK) {
            return rc;
        }

        if (text == NULL) {
            cp_audit_erased(a, item);
            continue;
        }

        rc = cp_json_parse(a, text, strlen(text), &said, &op->err);

        for (m = rc == CP_OK ? said->first : NULL; m; m = m->next) {
            if (strcmp(m->key, "diff") == 0) {
                rc = cp_json_parse(a, m->s, m->len, &diff, &op->err);
                cp_json_set(a, item, "diff", diff);

            } else {
                cp_json_put(a, item, m->key, m->s);
            }

            if (rc != CP_OK) {
                return rc;
            }
        }
    }

    return rc;
}


/*
 * From the transaction, or from its row the first time, which locks it: what
 * does not order itself by the feed's lock waits for it here, and no two
 * events follow the same one.
 */
static cp_rc_t
cp_audit_head(cp_op_t *op, cp_tx_t *tx, const char *tenant,
    cp_audit_head_t **head)
{
    cp_rc_t           rc;
    cp_rows_t         rows;
    cp_audit_tx_t    *at;
    cp_audit_head_t  *h;

    at = cp_tx_attached(tx, &cp_audit_key);

    if (at == NULL) {
        rc = cp_audit_begin(op, tx, &at);
        if (rc != CP_OK) {
            return rc;
        }
    }

    for (h = at->heads; h; h = h->next) {
        if (strcmp(h->tenant, tenant) == 0) {
            *head = h;
            return CP_OK;
        }
    }

    rc = cp_tx_query(tx, op->arena, "INSERT INTO audit_head (tenant, seq,"
                     " hash, mac) VALUES ($1, 0, '', '')"
                     " ON CONFLICT (tenant) DO UPDATE"
                     " SET seq = audit_head.seq RETURNING seq, hash, mac",
                     cp_args(cp_text(tenant)), &rows, &op->err);
    if (rc != CP_OK) {
        return rc;
    }

    h = cp_arena_alloc(at->arena, sizeof(cp_audit_head_t));
    tenant = cp_arena_strdup(at->arena, tenant);

    if (h == NULL || tenant == NULL) {
        return cp_err_set(&op->err, "internal", "no memory");
    }

    h->tenant = tenant;
    h->seq = cp_cell(&rows, 0, 0)->i;

    if (h->seq > 0) {
        h->fault = cp_audit_mac_fault(op, tenant, &rows, 0);
        snprintf(h->hash, sizeof(h->hash), "%s", cp_cell(&rows, 0, 1)->p);
    }

    h->next = at->heads;
    at->heads = h;
    *head = h;

    return CP_OK;
}


static cp_rc_t
cp_audit_begin(cp_op_t *op, cp_tx_t *tx, cp_audit_tx_t **at)
{
    cp_arena_t  *a;

    a = cp_arena_create(CP_AUDIT_TX_ARENA);
    *at = a ? cp_arena_alloc(a, sizeof(cp_audit_tx_t)) : NULL;

    if (*at == NULL
        || cp_tx_attach(tx, &cp_audit_key, *at, cp_audit_commit) != CP_OK)
    {
        cp_arena_destroy(a);
        return cp_err_set(&op->err, "internal", "no memory");
    }

    (*at)->arena = a;
    (*at)->app = op->app;

    return CP_OK;
}


/* Seals the heads.  One that was forged is not sealed anew: it stays known as
 * wrong. */
static cp_rc_t
cp_audit_commit(cp_tx_t *tx, void *data, bool commit)
{
    cp_rc_t           rc;
    cp_err_t          err;
    const char       *mac;
    cp_audit_tx_t    *at;
    cp_audit_head_t  *h;

    at = data;
    rc = CP_OK;
    memset(&err, 0, sizeof(err));
    err.arena = at->arena;

    for (h = at->heads; h && commit && rc == CP_OK; h = h->next) {

        mac = h->fault ? "x" : cp_audit_mac(at->arena, at->app,
                                            at->app->pepper != NULL,
                                            h->tenant, h->seq, h->hash);
        if (h->fault) {
            cp_log(CP_LOG_ERROR, "audit", "%s tenant:%s seq:%" PRId64,
                   h->fault, h->tenant, h->seq);
        }

        rc = cp_tx_query(tx, at->arena, "UPDATE audit_head SET seq = $2,"
                         " hash = $3, mac = $4 WHERE tenant = $1",
                         cp_args(cp_text(h->tenant), cp_int(h->seq),
                                 cp_text(h->hash), cp_text(mac)),
                         NULL, &err);
    }

    cp_arena_destroy(at->arena);

    return rc;
}


static const char *
cp_audit_actor_kind(const cp_actor_t *actor)
{
    static const char *const  kinds[] = {
        [CP_AUTH_NONE] = "anonymous",
        [CP_AUTH_ADMIN] = "admin_token",
        [CP_AUTH_GATEWAY] = "gateway",
        [CP_AUTH_ASSERTION] = "application",
        [CP_AUTH_USER] = "user",
        [CP_AUTH_SYSTEM] = "system"
    };

    return kinds[actor->how];
}


static const char *
cp_audit_diff_text(cp_arena_t *a, const cp_json_t *diff)
{
    char     *text;
    size_t    len;
    uint8_t   sum[32];

    if (diff == NULL) {
        return "{}";
    }

    text = cp_json_text(a, diff, &len);

    if (text && len > CP_AUDIT_DIFF_MAX) {
        cp_sha256(text, len, sum);
        text = cp_arena_printf(a, "{\"digest\":\"sha256:%s\"}",
                               cp_hex(a, sum, 32));
    }

    return text;
}


/* Over all columns but the hash, as a JSON list: unambiguous. */
bool
cp_audit_hash(stoa_buf_t *b, const cp_val_t *row, char hash[65])
{
    uint8_t   sum[32];
    unsigned  i;

    stoa_buf_reset(b);

    for (i = 0; i < A_HASH; i++) {
        stoa_buf_addz(b, i ? "," : "[");

        if (row[i].type == CP_VAL_INT) {
            stoa_buf_addf(b, "%" PRId64, row[i].i);

        } else {
            stoa_buf_add_json(b, row[i].p ? row[i].p : "", row[i].len);
        }
    }

    /* rows without are older than the column */

    if (row[A_PERSONAL].len) {
        stoa_buf_addz(b, ",");
        stoa_buf_add_json(b, row[A_PERSONAL].p, row[A_PERSONAL].len);
    }

    stoa_buf_addz(b, "]");

    if (b->rc != STOA_OK) {
        return false;
    }

    cp_sha256(b->data, b->len, sum);
    stoa_hex_encode(sum, 32, hash);
    hash[64] = '\0';

    return true;
}


/* "k:" is keyed by the pepper, "p:" plain. */
static char *
cp_audit_mac(cp_arena_t *a, const cp_app_t *app, bool keyed,
    const char *tenant, int64_t seq, const char *hash)
{
    char        *text;
    uint8_t      mac[32];
    const char  *key;

    text = cp_arena_printf(a, "audit\n%s\n%" PRId64 "\n%s", tenant,
                           seq, hash);
    key = keyed ? app->pepper : "stoa-audit";

    cp_hmac_sha256(key, keyed ? app->pepper_len : strlen(key),
                   text ? text : "", text ? strlen(text) : 0, mac);

    return cp_arena_printf(a, "%c:%s", keyed ? 'k' : 'p',
                           cp_hex(a, mac, 32));
}


/* NULL: seq, hash and mac of a head's row agree. */
const char *
cp_audit_mac_fault(cp_op_t *op, const char *tenant, const cp_rows_t *head,
    unsigned row)
{
    bool         keyed;
    const char  *kept, *mac;

    kept = cp_cell(head, row, 2)->p;
    keyed = op->app->pepper != NULL;

    if (kept[0] == 'x') {
        return "the chain's head was wrong when the chain was continued";
    }

    if (kept[0] != (keyed ? 'k' : 'p')) {
        return keyed ? "the chain's head was sealed without the pepper"
                     : "the chain's head was sealed with a pepper";
    }

    mac = cp_audit_mac(op->arena, op->app, keyed, tenant,
                       cp_cell(head, row, 0)->i, cp_cell(head, row, 1)->p);

    return mac && strcmp(mac, kept) == 0 ? NULL
                                         : "the chain's head was changed";
}


/*
 * A pepper that is new (the platform's head was sealed without one) seals all
 * heads again, which is itself an event of the log.  Later a head without it
 * is a forgery, and a start without the pepper is a mistake.
 */
cp_rc_t
cp_audit_rekey(cp_op_t *op, cp_tx_t *tx)
{
    cp_rc_t            rc;
    unsigned           i, n;
    cp_rows_t          heads;
    const char        *tenant, *mac;
    cp_audit_event_t   ev = { .action = "rekey", .kind = "audit", .id = "" };

    rc = cp_tx_query(tx, op->arena, "SELECT seq, hash, mac, tenant"
                     " FROM audit_head ORDER BY tenant", NULL, 0, &heads,
                     &op->err);
    if (rc != CP_OK || heads.rows == 0
        || cp_cell(&heads, 0, 3)->len != 0)
    {
        return rc;
    }

    if (op->app->pepper == NULL && cp_cell(&heads, 0, 2)->p[0] == 'k') {
        return cp_err_set(&op->err, "validation", "this database is sealed"
                          " with a pepper: pepper_file is needed");
    }

    if (op->app->pepper == NULL || cp_cell(&heads, 0, 2)->p[0] != 'p') {
        return CP_OK;
    }

    for (i = 0, n = 0; i < heads.rows; i++) {
        tenant = cp_cell(&heads, i, 3)->p;
        mac = cp_audit_mac(op->arena, op->app, false, tenant,
                           cp_cell(&heads, i, 0)->i,
                           cp_cell(&heads, i, 1)->p);

        /* a head that was wrong before stays wrong */

        if (mac == NULL || strcmp(mac, cp_cell(&heads, i, 2)->p) != 0) {
            continue;
        }

        mac = cp_audit_mac(op->arena, op->app, true, tenant,
                           cp_cell(&heads, i, 0)->i,
                           cp_cell(&heads, i, 1)->p);

        rc = cp_tx_query(tx, op->arena, "UPDATE audit_head SET mac = $1"
                         " WHERE tenant = $2",
                         cp_args(cp_text(mac), cp_text(tenant)), NULL,
                         &op->err);
        if (rc != CP_OK) {
            return rc;
        }

        n++;
    }

    cp_log(CP_LOG_WARN, "audit", "sealed the heads of all chains with the"
           " pepper chains:%u of:%u", n, heads.rows);

    return cp_audit_append(op, tx, &ev);
}
