/*
 * Pages: documentation of an api in Markdown.  Stored as text; who shows it
 * makes it harmless.
 */

#include "kinds/cp_kind.h"


static cp_rc_t cp_page_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after);


static const cp_field_t  page_fields[] = {
    BASE_ID, BASE_NAME, BASE_TITLE, BASE_TENANT,
    F_REF("api", RO|ND, "api", NULL, "the api that it is about"),
    INT("position", 0, 0, 1000, "0", "pages are read in this order"),
    F("body", CP_F_TEXT, WH, 0, 65536, "\"\"", "Markdown"),
    BASE_TIMES,
    F_END
};

const cp_resource_t  cp_res_page = {
    .kind = "page", .plural = "pages", .table = "pages", .parent = "api",
    .fields = page_fields, .check = cp_page_check
};


static cp_rc_t
cp_page_check(const cp_write_t *w, const cp_json_t *before, cp_json_t *after)
{
    cp_rc_t    rc;
    cp_rows_t  rows;

    if (before) {
        return CP_OK;
    }

    rc = cp_tx_query(w->tx, w->op->arena, "SELECT COUNT(*) FROM pages"
                     " WHERE api = $1",
                     cp_args(cp_text(cp_json_str(after, "api"))), &rows,
                     &w->op->err);

    return rc == CP_OK && cp_cell(&rows, 0, 0)->i >= CP_PAGES_MAX
           ? cp_err_set(&w->op->err, "validation", "an api has at most %d"
                        " pages", CP_PAGES_MAX) : rc;
}
