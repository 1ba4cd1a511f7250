/*
 * The two planes and the database agree: what the control plane takes fits
 * the record that gateways make of it, and each field has its column.
 */

#include <stdlib.h>
#include <unistd.h>

#include "kinds/cp_kinds.h"
#include "core/stoa_rec_table.h"
#include "tap.h"


/* Members of records that are no fields: made when the row of the feed is. */

static const char *const  made[] = {
    "tenant_name", "target", "target_kind", "policies", "digest", "alg",
    "targets.tls", "targets.host", "targets.port", "targets.path",
    "operations", "era", "protocol_version", "enabled", NULL
};

static const struct {
    const cp_resource_t  *res;
    stoa_rec_kind_e       kind;
} pairs[] = {
    { &cp_res_tenant, STOA_REC_TENANT },
    { &cp_res_gateway_group, STOA_REC_GROUP },
    { &cp_res_application, STOA_REC_APPLICATION },
    { &cp_res_credential, STOA_REC_CREDENTIAL },
    { &cp_res_plan, STOA_REC_PLAN },
    { &cp_res_subscription, STOA_REC_SUBSCRIPTION },
    { &cp_res_api, STOA_REC_API },
    { &cp_res_tool, STOA_REC_TOOL },
    { &cp_res_server, STOA_REC_SERVER },
};


static const cp_field_t *
find(const cp_field_t *f, const char *name)
{
    char               text[128];
    size_t             len;
    const cp_field_t  *sub;

    len = strlen(name);
    snprintf(text, sizeof(text), "%s", name);

    if (len > 3 && strcmp(name + len - 3, "_ms") == 0) {
        snprintf(text, sizeof(text), "%.*s_at", (int) len - 3, name);
    }

    for ( /* void */ ; f->name; f++) {
        if (strcmp(f->name, name) == 0
            || (f->type == CP_F_TIME && strcmp(f->name, text) == 0))
        {
            return f;
        }

        if (f->type == CP_F_OBJECT && f->sub) {
            len = strlen(f->name);

            /* tls_verify is verify in tls */

            sub = find(f->sub, name);
            sub = sub == NULL && strncmp(f->name, name, len) == 0
                  && name[len] == '_' ? find(f->sub, name + len + 1) : sub;

            if (sub) {
                return sub;
            }
        }
    }

    return NULL;
}


static bool
is_made(const char *path, const char *name)
{
    size_t  i;

    for (i = 0; made[i]; i++) {
        if (strcmp(made[i], path) == 0 || strcmp(made[i], name) == 0) {
            return true;
        }
    }

    return false;
}


/* The words of both, and the default. */

static void
same_words(const char *path, const stoa_rec_field_t *r, const cp_field_t *f)
{
    size_t       i, n;
    const char  *dflt = NULL;

    for (n = 0; f->values && f->values[n]; n++) {
        for (i = 0; r->words[i].word; i++) {
            if (strcmp(r->words[i].word, f->values[n]) == 0) {
                break;
            }
        }

        tap_ok(r->words[i].word != NULL, "%s: gateways know %s", path,
               f->values[n]);
    }

    for (i = 0; r->words[i].word; i++) {
        dflt = r->words[i].value == r->def && !r->required ? r->words[i].word
                                                           : dflt;
    }

    tap_ok(i == n, "%s: and no more", path);
    tap_ok(f->dflt == NULL ? dflt == NULL
           : dflt && strncmp(f->dflt + 1, dflt, strlen(dflt)) == 0,
           "%s: the default", path);
}


static void
same(const char *path, const stoa_rec_field_t *r, const cp_field_t *f)
{
    switch (r->type) {

    case STOA_REC_T_U16:
    case STOA_REC_T_U32:
    case STOA_REC_T_U64:
        tap_int(r->min, f->min, path);
        tap_int(r->max, f->max, path);
        tap_int(r->def, f->dflt ? strtoll(f->dflt, NULL, 0) : 0, path);
        return;

    case STOA_REC_T_BOOL:
        tap_int(r->def, f->dflt && strcmp(f->dflt, "true") == 0, path);
        return;

    case STOA_REC_T_ENUM:
        if (f->type == CP_F_ENUM) {
            same_words(path, r, f);
        }

        return;

    case STOA_REC_T_STRING:
    case STOA_REC_T_OBJECT:
        if (f->max) {
            tap_ok(f->max <= r->max, "%s: at most %lld, %lld", path,
                   (long long) f->max, (long long) r->max);
        }

        return;

    case STOA_REC_T_IDS:
    case STOA_REC_T_CIDRS:
    case STOA_REC_T_STRUCTS:
        tap_int(r->max, f->max, path);
        return;

    default:
        return;
    }
}


static void
compare(const char *at, const stoa_rec_struct_t *def, const cp_field_t *fields)
{
    char                     path[256];
    size_t                   i;
    const cp_field_t        *f;
    const stoa_rec_field_t  *r;

    for (i = 0; i < def->nfields; i++) {
        r = &def->fields[i];
        snprintf(path, sizeof(path), "%s%.*s", at, (int) r->name.len,
                 r->name.data);

        if (is_made(path, path + strlen(at))) {
            continue;
        }

        f = find(fields, r->name.data);

        if (!tap_ok(f != NULL, "%s: is a field", path)) {
            continue;
        }

        same(path, r, f);

        /* a server's tools are found by name when the row is made */

        if (r->items && f->sub && strcmp(path, "tools") != 0) {
            snprintf(path, sizeof(path), "%.*s.", (int) r->name.len,
                     r->name.data);
            compare(path, r->items, f->sub);
        }
    }
}


/* Every field has a column, by a statement that names them all. */

static void
columns(cp_db_t *db, cp_arena_t *a, cp_err_t *err)
{
    char               sql[4096];
    size_t             i, len;
    cp_tx_t           *tx;
    cp_rows_t          rows;
    const cp_field_t  *f;

    for (i = 0; cp_kinds[i]; i++) {
        len = (size_t) snprintf(sql, sizeof(sql), "SELECT id");

        for (f = cp_kinds[i]->fields; f->name; f++) {
            if (cp_is_column(f)) {
                len += (size_t) snprintf(sql + len, sizeof(sql) - len,
                                         ", t.\"%s\"", f->name);
            }
        }

        snprintf(sql + len, sizeof(sql) - len, " FROM %s t",
                 cp_kinds[i]->table);

        if (cp_tx_begin(db, false, &tx) != CP_OK) {
            tap_ok(false, "a transaction");
            return;
        }

        tap_int(cp_tx_query(tx, a, sql, NULL, 0, &rows, err), CP_OK,
                cp_kinds[i]->table);
        cp_tx_rollback(tx);
    }
}


int
main(void)
{
    size_t       i;
    cp_db_t     *db;
    cp_err_t     err;
    cp_arena_t  *a;

    for (i = 0; i < tap_count(pairs); i++) {
        printf("# %s\n", pairs[i].res->kind);
        compare("", &stoa_rec_structs[pairs[i].kind], pairs[i].res->fields);
    }

    cp_log_setup(CP_LOG_ERROR, false);
    a = cp_arena_create(16 * 1024 * 1024);
    memset(&err, 0, sizeof(err));
    err.arena = a;

    (void) unlink("unit-cp-schema.sqlite");
    db = cp_db_open("sqlite:unit-cp-schema.sqlite", 1, &err);

    if (tap_ok(db != NULL, "a new database")) {
        columns(db, a, &err);
        cp_db_close(db);
    }

    cp_arena_destroy(a);

    return tap_done();
}
