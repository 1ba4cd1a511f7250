/*
 * Rows of the catalogue.
 */

#include <string.h>

#include "kinds/cp_kind.h"
#include "kinds/cp_search.h"


static cp_rc_t cp_search_parts(cp_tx_t *tx, cp_arena_t *a,
    const cp_json_t *row, const char **text, cp_err_t *err);
static const char *cp_search_marks(cp_arena_t *a, const cp_json_t *row,
    bool server);
static cp_rc_t cp_search_write(cp_tx_t *tx, cp_arena_t *a,
    const cp_json_t *row, bool server, const char *text, cp_err_t *err);


/* Members that are looked through. */
static const char *const  cp_search_members[] = { "name", "title", "version",
    "family", "category", "contact", "description", "instructions", NULL };


cp_rc_t
cp_search_put(cp_tx_t *tx, cp_arena_t *a, const cp_resource_t *res,
    const char *id, cp_err_t *err)
{
    cp_rc_t      rc;
    bool         server;
    unsigned     i;
    cp_json_t   *row, *m;
    const char  *text, *s;

    rc = cp_row_light(tx, a, res, id, &row, err);

    if (rc != CP_OK) {
        return rc;
    }

    if (row == NULL) {
        return cp_tx_query(tx, a, "DELETE FROM catalogue WHERE id = $1",
                           cp_args(cp_text(id)), NULL, err);
    }

    text = "";
    server = strcmp(res->kind, "server") == 0;

    for (i = 0; cp_search_members[i]; i++) {
        s = cp_json_str(row, cp_search_members[i]);

        if (s) {
            text = cp_arena_printf(a, "%s %s", text, s);
        }
    }

    m = cp_json_get(row, "tags");

    for (m = m ? m->first : NULL; m; m = m->next) {
        text = cp_arena_printf(a, "%s %s", text, m->s);
    }

    rc = server ? CP_OK : cp_search_parts(tx, a, row, &text, err);

    return rc == CP_OK ? cp_search_write(tx, a, row, server, text, err) : rc;
}


/* What it offers: names of operations and tools. */
static cp_rc_t
cp_search_parts(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *row,
    const char **text, cp_err_t *err)
{
    bool         mcp;
    cp_rc_t      rc;
    unsigned     i;
    cp_rows_t    rows;
    stoa_buf_t   b;

    mcp = strcmp(cp_json_str(row, "kind"), "mcp") == 0;

    rc = cp_tx_query(tx, a, mcp
                     ? "SELECT name, title, '' FROM tools WHERE api = $1"
                       " ORDER BY name LIMIT $2"
                     : "SELECT name, title, path FROM operations"
                       " WHERE api = $1 ORDER BY name LIMIT $2",
                     cp_args(cp_text(cp_json_str(row, "id")),
                             cp_int(CP_SEARCH_PARTS)), &rows, err);

    if (rc != CP_OK || rows.rows == 0) {
        return rc;
    }

    stoa_buf_init(&b, 1024 * 1024);
    stoa_buf_addz(&b, *text);

    for (i = 0; i < rows.rows * 3; i++) {
        stoa_buf_addz(&b, " ");
        stoa_buf_addz(&b, rows.v[i].p ? rows.v[i].p : "");
    }

    *text = cp_arena_strndup(a, b.data, b.len);
    stoa_buf_free(&b);

    return *text ? CP_OK : cp_err_set(err, "internal", "no memory");
}


const char *
cp_search_mark(cp_arena_t *a, char what, const char *name)
{
    char        *mark, *d;
    const char  *s;

    mark = cp_arena_alloc(a, 2 * strlen(name) + 2);

    if (mark == NULL) {
        return "";
    }

    d = mark;
    *d++ = what;

    /* a letter that no name has, for what is between words */

    for (s = name; *s; s++) {
        if ((*s >= 'a' && *s <= 'z') || (*s >= '0' && *s <= '9')) {
            *d++ = *s;

        } else {
            *d++ = '\xc3';
            *d++ = '\xb8';
        }
    }

    *d = '\0';

    return mark;
}


const char *
cp_search_words(cp_arena_t *a, const char *text, size_t max)
{
    char     *out, *d;
    size_t    n;
    uint8_t   c;

    n = cp_text_cut(text, max);
    out = d = cp_arena_alloc(a, n + 1);

    for ( /* void */ ; out && n; n--, text++) {
        c = (uint8_t) *text;

        if (c >= 'A' && c <= 'Z') {
            *d++ = (char) (c | 0x20);

        } else if (c >= 0x80 || (c >= 'a' && c <= 'z')
                   || (c >= '0' && c <= '9'))
        {
            *d++ = (char) c;

        } else if (d > out && d[-1] != ' ') {
            *d++ = ' ';
        }
    }

    while (d > out && d[-1] == ' ') {
        d--;
    }

    if (out) {
        *d = '\0';
    }

    return out ? out : "";
}


static const char *
cp_search_marks(cp_arena_t *a, const cp_json_t *row, bool server)
{
    size_t       i;
    cp_json_t   *m;
    const char  *marks, *s, *tenant, *audience;

    static const struct {
        char         what;
        const char  *member;
    } members[] = {
        { 'k', "kind" }, { 'c', "category" }, { 's', "state" }
    };

    tenant = cp_json_str(row, "tenant");
    audience = server ? "internal" : cp_json_str(row, "audience");
    marks = cp_arena_printf(a, "vall %s %s %s%s",
                            cp_search_mark(a, 'v', tenant),
                            cp_search_mark(a, 'o', tenant),
                            cp_search_mark(a, 'a', audience),
                            server ? " kserver" : "");

    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        s = cp_json_str(row, members[i].member);

        if (s) {
            marks = cp_arena_printf(a, "%s %s", marks,
                                    cp_search_mark(a, members[i].what, s));
        }
    }

    m = cp_json_get(row, "tags");

    for (m = m ? m->first : NULL; m; m = m->next) {
        marks = cp_arena_printf(a, "%s %s", marks,
                                cp_search_mark(a, 't', m->s));
    }

    if (server || !cp_api_served(row)) {
        return marks;
    }

    if (strcmp(audience, "public") == 0) {
        return cp_arena_printf(a, "%s vpublic", marks);
    }

    m = cp_json_get(row, "partners");

    for (m = m ? m->first : NULL; m; m = m->next) {
        marks = cp_arena_printf(a, "%s %s", marks,
                                cp_search_mark(a, 'v', m->s));
    }

    return marks;
}


/* Most writes of an api change nothing of it. */
static cp_rc_t
cp_search_write(cp_tx_t *tx, cp_arena_t *a, const cp_json_t *row, bool server,
    const char *text, cp_err_t *err)
{
    size_t       n;
    uint8_t      sum[32];
    cp_json_t   *tags;
    const char  *words, *marks, *about, *all, *tagged;

    words = cp_search_words(a, text, CP_SEARCH_TEXT_MAX);
    marks = cp_search_marks(a, row, server);
    about = cp_json_str(row, server ? "instructions" : "description");
    tags = cp_json_get(row, "tags");
    tagged = tags && tags->n ? cp_json_text(a, tags, &n) : NULL;
    about = about ? cp_arena_strndup(a, about, cp_text_cut(about,
                                                           CP_SEARCH_ABOUT))
                  : NULL;
    all = cp_arena_printf(a, "%s\n%s\n%s\n%s\n%s\n%s", words, marks,
                          about ? about : "",
                          cp_json_str(row, "title")
                          ? cp_json_str(row, "title") : "",
                          cp_json_str(row, "version")
                          ? cp_json_str(row, "version") : "",
                          cp_json_str(row, "contact")
                          ? cp_json_str(row, "contact") : "");

    if (all == NULL) {
        return cp_err_set(err, "internal", "no memory");
    }

    cp_sha256(all, strlen(all), sum);

    return cp_tx_query(tx, a, "INSERT INTO catalogue (id, tenant, kind, name,"
                       " title, version, state, audience, category, tags,"
                       " contact, about, words, marks, sum)"
                       " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,"
                       " $11, $12, $13, $14, $15)"
                       " ON CONFLICT (id) DO UPDATE SET"
                       " title = excluded.title, version = excluded.version,"
                       " state = excluded.state,"
                       " audience = excluded.audience,"
                       " category = excluded.category, tags = excluded.tags,"
                       " contact = excluded.contact, about = excluded.about,"
                       " words = excluded.words, marks = excluded.marks,"
                       " sum = excluded.sum"
                       " WHERE catalogue.sum <> excluded.sum",
                       cp_args(cp_text(cp_json_str(row, "id")),
                               cp_text(cp_json_str(row, "tenant")),
                               cp_text(server ? "server"
                                       : cp_json_str(row, "kind")),
                               cp_text(cp_json_str(row, "name")),
                               cp_text(cp_json_str(row, "title")),
                               cp_text(cp_json_str(row, "version")),
                               cp_text(cp_json_str(row, "state")),
                               cp_text(server ? "internal"
                                       : cp_json_str(row, "audience")),
                               cp_text(cp_json_str(row, "category")),
                               cp_text(tagged), cp_text(
                                   cp_json_str(row, "contact")),
                               cp_text(about), cp_text(words),
                               cp_text(marks),
                               cp_text(cp_hex(a, sum, sizeof(sum)))), NULL,
                       err);
}
