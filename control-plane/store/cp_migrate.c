/*
 * Migrations: the files of control-plane/migrations/, compiled in, each
 * applied once and in its own transaction, one process at a time.
 *
 * A new file is a row of CP_MIGRATIONS; numbers have no gaps, files that were
 * released are never edited.
 */

#include <string.h>

#include "store/cp_db_driver.h"


#define CP_MIGRATIONS(row)                                                    \
    row(1, "0001_core")                                                       \
    row(2, "0002_feed")                                                       \
    row(3, "0003_holds")                                                      \
    row(4, "0004_tool_states")                                                \
    row(5, "0005_end_state")                                                  \
    row(6, "0006_burst")                                                      \
    row(7, "0007_group_keys")                                                 \
    row(8, "0008_policies")                                                   \
    row(9, "0009_usage")                                                      \
    row(10, "0010_secrets")                                                   \
    row(11, "0011_deprecated")                                                \
    row(12, "0012_sync_state")                                                \
    row(13, "0013_seal_keys")                                                 \
    row(14, "0014_issuers")                                                   \
    row(15, "0015_max_call")                                                  \
    row(16, "0016_items")                                                     \
    row(17, "0017_keep_authorization")                                        \
    row(18, "0018_pins")                                                      \
    row(19, "0019_open")                                                      \
    row(20, "0020_search_tools")                                              \
    row(21, "0021_certificates")                                              \
    row(22, "0022_approvals")                                                 \
    row(23, "0023_audit")                                                     \
    row(24, "0024_mails")                                                     \
    row(25, "0025_roles")                                                     \
    row(26, "0026_documents")                                                 \
    row(27, "0027_tenants")                                                   \
    row(28, "0028_notices")                                                   \
    row(29, "0029_usage_levels")                                              \
    row(30, "0030_people")                                                    \
    row(31, "0031_catalogue")                                                 \
    row(32, "0032_inbox")                                                     \
    row(33, "0033_second_factor")                                             \
    row(34, "0034_policy_versions")                                           \
    row(35, "0035_provision")                                                 \
    row(36, "0036_gateway_policies")                                          \
    row(37, "0037_promotions")                                                \
    row(38, "0038_keys")                                                      \
    row(39, "0039_invitations")                                               \
    row(40, "0040_regions")                                                   \
    row(41, "0041_checkpoints")                                               \
    row(42, "0042_tenant_invite")                                             \
    row(43, "0043_rotated")                                                   \
    row(44, "0044_sign_up")                                                   \
    row(45, "0045_person_of")                                                 \
    row(46, "0046_owners")                                                    \
    row(47, "0047_gateway_targets")                                           \
    row(48, "0048_oidc_logins")                                               \
    row(49, "0049_makers")                                                    \
    row(50, "0050_oidc_renewals")                                             \
    row(51, "0051_gateway_news")                                              \
    row(52, "0052_operation_timeouts")                                        \
    row(53, "0053_shared_limits")                                             \
    row(54, "0054_mail_of")                                                   \
    row(55, "0055_sunset")                                                    \
    row(56, "0056_plan_zone")                                                 \
    row(57, "0057_token_owner")                                               \
    row(58, "0058_owner_events")                                              \
    row(59, "0059_policy_templates")                                          \
    row(60, "0060_handovers")                                                 \
    row(61, "0061_usage_view")                                                \
    row(62, "0062_bundles")                                                   \
    row(63, "0063_questions")                                                 \
    row(64, "0064_bundles_checked")                                           \
    row(65, "0065_dpop")                                                      \
    row(66, "0066_group_removals")                                            \
    row(67, "0067_usage_two_hours")                                           \
    row(68, "0068_tokens")                                                    \
    row(69, "0069_group_removals")                                            \
    row(70, "0070_look_up")                                                   \
    row(71, "0071_marked_tools")                                              \
    row(72, "0072_purges")                                                    \
    row(73, "0073_contracts")                                                 \
    row(74, "0074_audit_chain")


typedef struct {
    int64_t      version;
    const char  *name;
    const char  *sql;
} cp_migration_t;

typedef struct {
    const cp_migration_t  *known;
    unsigned               n;
    int64_t                applied;      /* so far, 1..applied              */
    cp_err_t              *err;
} cp_migrate_t;


/* The assembler finds the files through the compiler's -Icontrol-plane. */

#define cp_migration_embed(number, file)                                      \
    __asm__(".pushsection .rodata\n"                                          \
            "cp_migration_" #number ":\n"                                     \
            ".incbin \"migrations/" file ".sql\"\n"                           \
            ".byte 0\n"                                                       \
            ".popsection\n");                                                 \
    extern const char  cp_migration_##number[]                                \
        __attribute__((visibility("hidden")));

#define cp_migration_row(number, file)                                        \
    { number, file, cp_migration_##number },

CP_MIGRATIONS(cp_migration_embed)

static const cp_migration_t  cp_migrations[] = {
    CP_MIGRATIONS(cp_migration_row)
};


/* Fills in {{BLOB}} and {{SERIAL}}; a line that begins with {{SQLITE}} or
 * {{PG}} is for that database alone. */

static cp_rc_t
cp_migrate_expand(const cp_driver_t *driver, const char *sql, stoa_buf_t *b)
{
    size_t       i;
    const char  *p, *mark;
    const struct {
        const char  *mark;
        const char  *text;
    } marks[] = {
        { "{{BLOB}}", driver->blob },
        { "{{SERIAL}}", driver->serial },
        { "{{SQLITE}}", driver->remote ? "-- " : "" },
        { "{{PG}}", driver->remote ? "" : "-- " }
    };

    for (p = sql; (mark = strstr(p, "{{")) != NULL; /* void */) {

        stoa_buf_add(b, p, (size_t) (mark - p));

        for (i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {

            if (strncmp(mark, marks[i].mark, strlen(marks[i].mark)) == 0) {
                stoa_buf_addz(b, marks[i].text);
                p = mark + strlen(marks[i].mark);
                break;
            }
        }

        if (i == sizeof(marks) / sizeof(marks[0])) {
            return CP_ERROR;
        }
    }

    stoa_buf_addz(b, p);

    return (b->rc == STOA_OK) ? CP_OK : CP_ERROR;
}


/* One row of schema_migrations, in the order of versions. */

static cp_rc_t
cp_migrate_seen(void *ctx, const cp_val_t *row, unsigned cols)
{
    int64_t        version;
    cp_migrate_t  *m = ctx;

    (void) cols;

    version = row[0].i;

    if (version > (int64_t) m->n) {
        return cp_err_set(m->err, "internal", "the database is newer than "
                          "this program: it has migration %lld \"%s\", the "
                          "last one known here is %u",
                          (long long) version, row[1].p, m->n);
    }

    if (version != m->applied + 1
        || strcmp(m->known[version - 1].name, row[1].p) != 0)
    {
        return cp_err_set(m->err, "internal", "the database has migration "
                          "%lld \"%s\", which is not one of this program's",
                          (long long) version, row[1].p);
    }

    m->applied = version;

    return CP_OK;
}


static cp_rc_t
cp_migrate_ignore(void *ctx, const cp_val_t *row, unsigned cols)
{
    (void) ctx;
    (void) row;
    (void) cols;

    return CP_OK;
}


static cp_rc_t
cp_migrate_one(const cp_driver_t *driver, void *conn,
    const cp_migration_t *mig, cp_err_t *err)
{
    cp_rc_t     rc;
    stoa_buf_t  b;

    stoa_buf_init(&b, 1024 * 1024);

    rc = cp_migrate_expand(driver, mig->sql, &b);

    if (rc != CP_OK) {
        rc = cp_err_set(err, "internal", "migration \"%s\" has an unknown "
                        "{{mark}}", mig->name);
        goto done;
    }

    rc = driver->begin(conn, true);
    if (rc != CP_OK) {
        goto done;
    }

    rc = driver->script(conn, b.data, err);

    if (rc == CP_OK) {
        rc = driver->run(conn, "INSERT INTO schema_migrations (version, name,"
                         " applied_at) VALUES ($1, $2, $3)",
                         cp_args(cp_int(mig->version), cp_text(mig->name),
                                 cp_int(cp_time_ms())),
                         false, cp_migrate_ignore, NULL, err);
    }

    if (rc == CP_OK) {
        rc = driver->commit(conn);
    }

    if (rc != CP_OK) {
        driver->rollback(conn);
    }

done:

    if (rc == CP_OK) {
        cp_log(CP_LOG_INFO, "db", "migration applied name:%s", mig->name);

    } else if (err->status == 0) {
        rc = cp_err_set(err, "internal", "migration \"%s\" failed",
                        mig->name);
    }

    stoa_buf_free(&b);

    return rc;
}


static cp_rc_t
cp_migrate_all(const cp_driver_t *driver, void *conn, cp_err_t *err)
{
    cp_rc_t       rc;
    cp_migrate_t  m;

    m.known = cp_migrations;
    m.n = sizeof(cp_migrations) / sizeof(cp_migrations[0]);
    m.applied = 0;
    m.err = err;

    rc = driver->script(conn, "CREATE TABLE IF NOT EXISTS schema_migrations ("
                        "version BIGINT NOT NULL PRIMARY KEY, "
                        "name TEXT NOT NULL, "
                        "applied_at BIGINT NOT NULL)", err);
    if (rc != CP_OK) {
        return rc;
    }

    rc = driver->run(conn, "SELECT version, name FROM schema_migrations "
                     "ORDER BY version", NULL, 0, false, cp_migrate_seen, &m,
                     err);

    while (rc == CP_OK && m.applied < (int64_t) m.n) {
        rc = cp_migrate_one(driver, conn, &m.known[m.applied], err);
        m.applied++;
    }

    return rc;
}


cp_rc_t
cp_migrate(const cp_driver_t *driver, void *conn, cp_err_t *err)
{
    cp_rc_t  rc;

    if (driver->lock != NULL && driver->lock(conn, err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_migrate_all(driver, conn, err);

    if (driver->unlock != NULL) {
        driver->unlock(conn);
    }

    return rc;
}
