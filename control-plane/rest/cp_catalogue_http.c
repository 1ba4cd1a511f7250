/*
 * GET /v1/catalogue: what the caller may see, by words and marks.
 *
 * One index answers both, on SQLite by FTS5, on PostgreSQL by tsvector; what
 * is asked for is written into their languages here, word by word, so that
 * nothing in it is an operator.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "auth/cp_auth.h"
#include "http/cp_query.h"
#include "kinds/cp_search.h"
#include "rest/cp_list.h"


#define CP_SEARCH_TENANTS  64          /* of an actor                        */
#define CP_FACET_ROWS      10000       /* that facets are counted over       */
#define CP_FACET_VALUES    50          /* the most frequent ones             */

/* A question, growing in the language of the database. */
typedef struct {
    cp_req_t    *r;
    bool         pg;
    bool         none;                 /* nothing can match                  */
    const char  *text;
} cp_ask_t;


static const char *cp_ask_from(const cp_ask_t *ask);
static cp_rc_t cp_ask_make(cp_ask_t *ask, cp_tx_t *tx);
static cp_rc_t cp_ask_filters(cp_ask_t *ask, cp_tx_t *tx);
static void cp_ask_words(cp_ask_t *ask, const char *q);
static cp_json_t *cp_catalogue_item(cp_req_t *r, const cp_rows_t *rows,
    unsigned i);
static cp_rc_t cp_catalogue_facets(cp_ask_t *ask, cp_tx_t *tx,
    cp_json_t *out);


#define CP_CATALOGUE_FROM_SQLITE                                              \
    " FROM catalogue_words w JOIN catalogue c ON c.n = w.rowid"               \
    " JOIN tenants t ON t.id = c.tenant WHERE catalogue_words MATCH $1"       \
    " AND w.rowid < $2"
#define CP_CATALOGUE_FROM_PG                                                  \
    " FROM catalogue c JOIN tenants t ON t.id = c.tenant"                     \
    " WHERE c.vector @@ CAST($1 AS tsquery) AND c.n < $2"


cp_rc_t
cp_catalogue_get(cp_req_t *r)
{
    bool          facets;
    char         *end;
    cp_rc_t       rc;
    int64_t       limit, before;
    cp_tx_t      *tx;
    unsigned      i;
    cp_ask_t      ask = { .r = r };
    cp_rows_t     rows = { 0 };
    cp_json_t    *out, *items;
    cp_arena_t   *a = r->op.arena;
    const char   *key;

    facets = false;
    rc = cp_list_range(r, &limit, &key);

    if (rc == CP_OK) {
        rc = cp_query_flag(r, "facets", &facets);
    }

    before = rc == CP_OK && *key ? strtoll(key, &end, 10) : INT64_MAX;

    if (rc == CP_OK && *key && (*end != '\0' || before < 1)) {
        rc = cp_err_set(&r->op.err, "bad_request",
                        "the cursor is not one of ours");
    }

    if (rc == CP_OK) {
        rc = cp_tx_open(r->op.app->db, false, &tx, &r->op.err);
    }

    if (rc != CP_OK) {
        return rc;
    }

    ask.pg = strcmp(cp_db_driver(r->op.app->db), "sqlite") != 0;
    rc = cp_ask_make(&ask, tx);

    if (rc == CP_OK && !ask.none) {
        rc = cp_tx_query(tx, a, cp_arena_printf(a, "SELECT c.n, c.kind,"
                         " t.name, c.name, c.title, c.version, c.state,"
                         " c.audience, c.category, c.tags, c.contact,"
                         " c.about, c.id%s ORDER BY %s DESC LIMIT $3",
                         cp_ask_from(&ask),
                         ask.pg ? "c.n" : "w.rowid"),
                         cp_args(cp_text(ask.text), cp_int(before),
                                 cp_int(limit + 1)), &rows, &r->op.err);
    }

    out = cp_json_object(a);
    items = cp_json_array(a);
    cp_json_set(a, out, "items", items);

    for (i = 0; rc == CP_OK && i < rows.rows && i < limit; i++) {
        cp_json_push(items, cp_catalogue_item(r, &rows, i));
    }

    if (rc == CP_OK && rows.rows > limit) {
        cp_json_put(a, out, "next", cp_list_cursor(a, cp_arena_printf(a,
                    "%" PRId64, cp_cell(&rows, (unsigned) limit - 1, 0)->i)));
    }

    if (rc == CP_OK && facets) {
        rc = cp_catalogue_facets(&ask, tx, out);
    }

    cp_tx_rollback(tx);

    return rc == CP_OK ? cp_req_answer(r, 200, out) : rc;
}


/* Others see nothing of a tenant that is suspended or archived: its apis are
 * called by nobody, though they are public. */
static const char *
cp_ask_from(const cp_ask_t *ask)
{
    return cp_arena_printf(ask->r->op.arena, "%s" CP_BY_VALUES " AND"
                           " (t.state = 'active' OR %s)",
                           ask->pg ? CP_CATALOGUE_FROM_PG
                                   : CP_CATALOGUE_FROM_SQLITE,
                           cp_auth_where(&ask->r->op, "tenant", "api:read"));
}


static cp_json_t *
cp_catalogue_item(cp_req_t *r, const cp_rows_t *rows, unsigned i)
{
    unsigned                  k;
    cp_json_t                *item, *tags;
    cp_arena_t               *a = r->op.arena;
    static const char *const  names[] = { "kind", "tenant", "name", "title",
        "version", "state", "audience", "category", NULL, "contact",
        "description", "id" };

    item = cp_json_object(a);

    for (k = 0; k < sizeof(names) / sizeof(names[0]); k++) {
        if (names[k] && cp_cell(rows, i, k + 1)->p) {
            cp_json_put(a, item, names[k], cp_cell(rows, i, k + 1)->p);
        }
    }

    if (cp_cell(rows, i, 9)->p
        && cp_json_parse(a, cp_cell(rows, i, 9)->p, cp_cell(rows, i, 9)->len,
                         &tags, NULL) == CP_OK)
    {
        cp_json_set(a, item, "tags", tags);
    }

    return item;
}


/* Words that are all quoted: none of them is an operator. */
static void
cp_ask_and(cp_ask_t *ask, const char *text)
{
    ask->text = ask->text == NULL ? text
                : cp_arena_printf(ask->r->op.arena,
                                  ask->pg ? "%s & %s" : "%s AND %s",
                                  ask->text, text);
}


static void
cp_ask_mark(cp_ask_t *ask, char what, const char *name)
{
    const char  *mark;

    mark = cp_search_mark(ask->r->op.arena, what, name);
    cp_ask_and(ask, cp_arena_printf(ask->r->op.arena,
                                    ask->pg ? "'%s':D" : "marks : \"%s\"",
                                    mark));
}


/* Who sees it, then what it is, then the words. */
static cp_rc_t
cp_ask_make(cp_ask_t *ask, cp_tx_t *tx)
{
    unsigned           n;
    const char        *q, *who;
    cp_arena_t        *a = ask->r->op.arena;
    const cp_grant_t  *g;

    if (cp_auth_sees(&ask->r->op.actor, NULL)) {
        cp_ask_mark(ask, 'v', "all");

    } else {
        who = ask->pg ? "'vpublic':D" : "\"vpublic\"";
        n = 0;

        for (g = ask->r->op.actor.grants; g && n < CP_SEARCH_TENANTS;
             g = g->next)
        {
            if (g->tenant && cp_auth_holds(&ask->r->op.actor, "api:read",
                                           g->tenant))
            {
                who = cp_arena_printf(a, ask->pg ? "%s | '%s':D"
                                                 : "%s OR \"%s\"", who,
                                      cp_search_mark(a, 'v', g->tenant));
                n++;
            }
        }

        cp_ask_and(ask, cp_arena_printf(a, ask->pg ? "(%s)" : "marks : (%s)",
                                        who));
    }

    q = cp_req_query(ask->r, "q");

    if (q && *q) {
        cp_ask_words(ask, q);
    }

    return cp_ask_filters(ask, tx);
}


static cp_rc_t
cp_ask_filters(cp_ask_t *ask, cp_tx_t *tx)
{
    cp_rc_t      rc;
    size_t       i;
    const char  *value, *id;

    static const struct {
        char         what;
        const char  *name;
    } filters[] = {
        { 'k', "kind" }, { 't', "tag" }, { 'c', "category" },
        { 'a', "audience" }, { 's', "state" }
    };

    for (i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
        value = cp_req_query(ask->r, filters[i].name);

        if (value && *value && strlen(value) <= STOA_NAME_MAX) {
            cp_ask_mark(ask, filters[i].what, value);

        } else if (value) {
            ask->none = true;
        }
    }

    value = cp_req_query(ask->r, "tenant");

    if (value == NULL) {
        return CP_OK;
    }

    rc = cp_ref_find(tx, ask->r->op.arena, &cp_res_tenant, NULL, value, &id,
                     &ask->r->op.err);

    if (rc == CP_OK && id) {
        cp_ask_mark(ask, 'o', id);
    }

    ask->none = ask->none || id == NULL;

    return rc;
}


/* The last letters of a word may be missing. */
static void
cp_ask_words(cp_ask_t *ask, const char *q)
{
    size_t       n;
    unsigned     i;
    cp_arena_t  *a = ask->r->op.arena;
    const char  *s, *word;

    s = cp_search_words(a, q, 512);
    ask->none = *s == '\0';

    for (i = 0; *s && i < CP_SEARCH_WORDS; i++, s += strspn(s, " ")) {
        n = strcspn(s, " ");
        word = cp_arena_strndup(a, s, cp_text_cut(s, n < 64 ? n : 64));
        s += n;

        cp_ask_and(ask, cp_arena_printf(a, ask->pg ? "'%s':*A"
                                                   : "words : \"%s\" *",
                                        word));
    }
}


static int
cp_facet_compare(const void *one, const void *two)
{
    return strcmp(*(const char *const *) one, *(const char *const *) two);
}


static int
cp_facet_larger(const void *one, const void *two)
{
    int64_t  a, b;

    a = cp_json_num(*(const cp_json_t *const *) one, "count", 0);
    b = cp_json_num(*(const cp_json_t *const *) two, "count", 0);

    return a < b ? 1 : a > b ? -1
           : strcmp(cp_json_str(*(const cp_json_t *const *) one, "value"),
                    cp_json_str(*(const cp_json_t *const *) two, "value"));
}


/* The most frequent values among n texts. */
static cp_json_t *
cp_facet_count(cp_arena_t *a, const char **values, size_t n)
{
    size_t       i, k, m;
    cp_json_t   *out, **rows;

    qsort(values, n, sizeof(char *), cp_facet_compare);
    rows = cp_arena_alloc(a, (n + 1) * sizeof(cp_json_t *));
    out = cp_json_array(a);

    for (i = 0, m = 0; rows && i < n; i = k) {
        for (k = i; k < n && strcmp(values[k], values[i]) == 0; k++) {
            /* void */
        }

        rows[m] = cp_json_object(a);
        cp_json_put(a, rows[m], "value", values[i]);
        cp_json_put_int(a, rows[m], "count", (int64_t) (k - i));

        if (rows[m]) {
            m++;
        }
    }

    if (m) {
        qsort(rows, m, sizeof(cp_json_t *), cp_facet_larger);
    }

    for (i = 0; i < m && i < CP_FACET_VALUES; i++) {
        cp_json_push(out, rows[i]);
    }

    return out;
}


/* ["a","b"] of names: what is between quotes. */
static size_t
cp_facet_tags(cp_arena_t *a, const char *text, const char **values)
{
    size_t       n, len;
    const char  *p;

    for (p = strchr(text, '"'), n = 0; p && n < 16; p = strchr(p + 1, '"')) {
        len = strcspn(++p, "\"");
        values[n] = cp_arena_strndup(a, p, len);
        p += len;

        if (values[n]) {
            n++;
        }
    }

    return n;
}


/* Over the first rows only: what is told of more would hold up others. */
static cp_rc_t
cp_catalogue_facets(cp_ask_t *ask, cp_tx_t *tx, cp_json_t *out)
{
    size_t                     n;
    cp_rc_t                    rc;
    unsigned                   i, k;
    cp_rows_t                  rows = { 0 };
    cp_json_t                 *facets;
    cp_arena_t                *a = ask->r->op.arena;
    const char               **values;
    static const char *const   names[] = { "kind", "tenant", "audience",
        "state", "category", "tag" };

    rc = ask->none ? CP_OK
         : cp_tx_query(tx, a, cp_arena_printf(a, "SELECT c.kind, t.name,"
                       " c.audience, c.state, c.category, c.tags%s LIMIT $3",
                       cp_ask_from(ask)),
                       cp_args(cp_text(ask->text), cp_int(INT64_MAX),
                               cp_int(CP_FACET_ROWS + 1)), &rows,
                       &ask->r->op.err);

    values = cp_arena_alloc(a, ((size_t) rows.rows + 1) * 16
                            * sizeof(char *));
    if (rc != CP_OK || values == NULL) {
        return rc != CP_OK ? rc
               : cp_err_set(&ask->r->op.err, "internal", "no memory");
    }

    facets = cp_json_object(a);

    for (k = 0; k < 6; k++) {
        for (i = 0, n = 0; i < rows.rows; i++) {
            if (cp_cell(&rows, i, k)->p == NULL) {
                continue;
            }

            if (k == 5) {
                n += cp_facet_tags(a, cp_cell(&rows, i, k)->p, values + n);

            } else {
                values[n++] = cp_cell(&rows, i, k)->p;
            }
        }

        cp_json_set(a, facets, names[k], cp_facet_count(a, values, n));
    }

    cp_json_put_int(a, facets, "counted", rows.rows);
    cp_json_put_bool(a, facets, "complete", rows.rows <= CP_FACET_ROWS);
    cp_json_set(a, out, "facets", facets);

    return CP_OK;
}


/* GET .../{name}/dependents; data: the kind. */
cp_rc_t
cp_dependents_get(cp_req_t *r)
{
    cp_rc_t                       rc;
    cp_tx_t                      *tx;
    cp_json_t                    *out, *items;
    const cp_resource_t *const   *kind = r->route->data;
    cp_place_t                    p = { .res = *kind };

    rc = cp_tx_open(r->op.app->db, false, &tx, &r->op.err);
    if (rc != CP_OK) {
        return rc;
    }

    rc = cp_rest_place(r, tx, &p);

    if (rc == CP_OK) {
        rc = cp_depend_list(&r->op, tx, p.res, p.id, &items);
    }

    cp_tx_rollback(tx);

    if (rc != CP_OK) {
        return rc;
    }

    out = cp_json_object(r->op.arena);
    cp_json_set(r->op.arena, out, "items", items);

    return cp_req_answer(r, 200, out);
}
