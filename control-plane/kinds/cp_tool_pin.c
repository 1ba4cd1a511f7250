/*
 * What was approved of what an upstream shows.
 */

#include <string.h>

#include "kinds/cp_item_marked.h"
#include "kinds/cp_tool_pin.h"


static cp_rc_t cp_pin_put(const cp_write_t *w, const cp_json_t *item,
    const char *digest);


cp_rc_t
cp_pin_judge(const cp_write_t *w, const cp_json_t *before, cp_json_t *after)
{
    bool         same, on, changes, marks;
    cp_rc_t      rc;
    cp_rows_t    rows;
    const char  *pin, *digest, *state;

    rc = cp_tx_query(w->tx, w->op->arena, "SELECT a.changed_tools,"
                     " a.marked_tools,"
                     " COALESCE((SELECT p.digest FROM item_pins p"
                     " WHERE p.api = a.id AND p.kind = $2 AND p.name = $3),"
                     " ''), (SELECT COUNT(*) FROM item_pins p"
                     " WHERE p.api = a.id AND p.kind = $2) FROM apis a"
                     " WHERE a.id = $1",
                     cp_args(cp_text(cp_json_str(after, "api")),
                             cp_text(w->res->kind),
                             cp_text(cp_json_str(after, "name"))), &rows,
                     &w->op->err);

    if (rc != CP_OK || rows.rows == 0) {
        return rc;
    }

    changes = strcmp(cp_cell(&rows, 0, 0)->p, "quarantine") == 0;
    marks = strcmp(cp_cell(&rows, 0, 1)->p, "quarantine") == 0;

    if (!changes && !marks) {
        return CP_OK;
    }

    digest = cp_json_str(after, "digest");
    state = cp_json_str(after, "state");
    pin = cp_cell(&rows, 0, 2)->p;
    on = strcmp(state, "enabled") == 0;
    marks = marks && cp_item_marked(w->op->arena,
                                    cp_json_get(after, "definition"));

    if (!changes && !marks) {
        if (strcmp(state, "quarantined") == 0) {
            cp_json_put(w->op->arena, after, "state", "enabled");
        }

        return CP_OK;
    }

    if (*pin == '\0' && on && !marks) {

        /* before there were pins, what was on was approved */

        pin = (before != NULL) ? cp_json_str(before, "digest")
              : (cp_cell(&rows, 0, 3)->i < CP_TOOL_PINS_MAX) ? digest : "";

        if (*pin != '\0') {
            rc = cp_pin_put(w, after, pin);
        }
    }

    same = strcmp(pin, digest) == 0;

    if (rc == CP_OK && on && !same) {
        cp_json_put(w->op->arena, after, "state", "quarantined");
    }

    if (rc == CP_OK && same && strcmp(state, "quarantined") == 0) {
        cp_json_put(w->op->arena, after, "state", "enabled");
    }

    return rc;
}


cp_rc_t
cp_pin_set(const cp_write_t *w, const cp_json_t *item)
{
    cp_rc_t  rc;

    rc = cp_tx_query(w->tx, w->op->arena, "DELETE FROM item_pins"
                     " WHERE api = $1 AND kind = $2 AND name = $3",
                     cp_args(cp_text(cp_json_str(item, "api")),
                             cp_text(w->res->kind),
                             cp_text(cp_json_str(item, "name"))), NULL,
                     &w->op->err);

    return (rc == CP_OK) ? cp_pin_put(w, item, cp_json_str(item, "digest"))
                         : rc;
}


/* Where nothing is kept in quarantine there are none. */
static cp_rc_t
cp_pin_put(const cp_write_t *w, const cp_json_t *item, const char *digest)
{
    return cp_tx_query(w->tx, w->op->arena, "INSERT INTO item_pins"
                       " (api, kind, name, digest) SELECT a.id, $2, $3, $4"
                       " FROM apis a WHERE a.id = $1"
                       " AND 'quarantine' IN (a.changed_tools,"
                       " a.marked_tools)",
                       cp_args(cp_text(cp_json_str(item, "api")),
                               cp_text(w->res->kind),
                               cp_text(cp_json_str(item, "name")),
                               cp_text(digest)), NULL, &w->op->err);
}


cp_rc_t
cp_pin_keep(const cp_write_t *w)
{
    return cp_tx_query(w->tx, w->op->arena, cp_arena_printf(w->op->arena,
                       "INSERT INTO item_pins (api, kind, name, digest)"
                       " SELECT t.api, $2, t.name, t.digest FROM %s t"
                       " JOIN apis a ON a.id = t.api WHERE t.id = $1"
                       " AND t.state = 'enabled'"
                       " AND 'quarantine' IN (a.changed_tools,"
                       " a.marked_tools)"
                       " AND NOT EXISTS (SELECT 1 FROM item_pins p"
                       " WHERE p.api = t.api AND p.kind = $2"
                       " AND p.name = t.name)", w->res->table),
                       cp_args(cp_text(w->id), cp_text(w->res->kind)), NULL,
                       &w->op->err);
}
