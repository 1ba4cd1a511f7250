/*
 * Roles by what a token's claims say.
 *
 *     role:stoa-admin=platform-admin
 *     group:/tenants/{tenant}/{role}={tenant}:{role}
 *     client:ci-robot=acme:devops
 *
 * client: is the client with its own credentials; a person who logged in
 * through it has nothing of it.  {tenant} and {role} stand for letters,
 * digits, '-', '_' and '.'.  A claim that no rule fits gives nothing, and so
 * does a tenant or a role that is not there; the platform's roles are never
 * one of a tenant.
 */

#include <string.h>
#include <strings.h>

#include "auth/cp_auth.h"
#include "oidc/cp_oidc.h"


#define CP_OIDC_SEEN_MAX  512          /* words of a claim                   */
#define CP_OIDC_SERVICE   "service-account-"

typedef enum { CP_OIDC_ROLE, CP_OIDC_GROUP, CP_OIDC_CLIENT } cp_oidc_of_e;

typedef struct {
    cp_oidc_of_e  of;
    const char   *value;
    const char   *tenant;              /* NULL: the platform                 */
    const char   *role;
} cp_oidc_rule_t;

/* What the braces of a rule stood for. */
typedef struct {
    char  tenant[STOA_NAME_MAX + 1];
    char  role[STOA_NAME_MAX + 1];
} cp_oidc_braces_t;

static struct {
    unsigned        n;
    cp_oidc_rule_t  rule[CP_OIDC_RULES_MAX];
} cp_oidc_table;


static const char *const  cp_oidc_ofs[] = { "role:", "group:", "client:",
                                            NULL };


/* The NUL-terminated parts of one word. */
static const char *
cp_oidc_rule(char *word, cp_oidc_rule_t *rule)
{
    char      *to, *colon;
    size_t     n;
    unsigned   i;

    for (i = 0; cp_oidc_ofs[i]; i++) {
        n = strlen(cp_oidc_ofs[i]);

        if (strncmp(word, cp_oidc_ofs[i], n) == 0) {
            break;
        }
    }

    to = strrchr(word, '=');

    if (cp_oidc_ofs[i] == NULL || to == NULL || to == word + n) {
        return "is no role:VALUE=ROLE, group:VALUE=TENANT:ROLE or client:ID=";
    }

    *to++ = '\0';
    colon = strchr(to, ':');
    rule->of = (cp_oidc_of_e) i;
    rule->value = word + n;
    rule->tenant = colon ? to : NULL;
    rule->role = colon ? colon + 1 : to;

    if (colon) {
        *colon = '\0';
    }

    if (strlen(rule->value) > CP_OIDC_WORD_MAX || rule->role[0] == '\0'
        || (rule->tenant && rule->tenant[0] == '\0'))
    {
        return "names no role, or no tenant";
    }

    /* who makes groups must not make platform administrators by a name */

    if (rule->tenant == NULL && strchr(rule->role, '{')) {
        return "gives a role of the platform by a pattern";
    }

    return NULL;
}


cp_rc_t
cp_oidc_rules(cp_arena_t *a, const char *text, cp_err_t *err)
{
    char        *word;
    size_t       len;
    const char  *why;

    cp_oidc_table.n = 0;

    for (text += strspn(text, ", "); *text; text += len + strspn(text + len,
                                                                 ", "))
    {
        len = strcspn(text, ", ");
        word = cp_arena_strndup(a, text, len);

        if (word == NULL || cp_oidc_table.n == CP_OIDC_RULES_MAX) {
            return cp_err_set(err, "validation", "oidc_grants: more than %d "
                              "rules", CP_OIDC_RULES_MAX);
        }

        why = cp_oidc_rule(word, &cp_oidc_table.rule[cp_oidc_table.n]);

        if (why) {
            return cp_err_set(err, "validation", "oidc_grants: \"%.*s\" %s",
                              (int) len, text, why);
        }

        cp_oidc_table.n++;
    }

    return CP_OK;
}


static size_t
cp_oidc_span(const char *s)
{
    return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                     "0123456789-_.");
}


/* A value against a rule's; the same brace twice has to say the same. */
static bool
cp_oidc_fits(const char *rule, const char *value, cp_oidc_braces_t *b)
{
    char    *dst;
    size_t   n, name;

    while (*rule) {
        name = strncmp(rule, "{tenant}", 8) == 0 ? 8
               : strncmp(rule, "{role}", 6) == 0 ? 6 : 0;

        if (name == 0) {
            if (*rule++ != *value++) {
                return false;
            }

            continue;
        }

        dst = name == 8 ? b->tenant : b->role;
        n = cp_oidc_span(value);

        if (n == 0 || n > STOA_NAME_MAX
            || (*dst && (strlen(dst) != n || memcmp(dst, value, n) != 0)))
        {
            return false;
        }

        memcpy(dst, value, n);
        dst[n] = '\0';
        value += n;
        rule += name;
    }

    return *value == '\0';
}


/* *id NULL: there is no such tenant, or it is archived. */
static cp_rc_t
cp_oidc_tenant(cp_op_t *op, const char *name, const char **id)
{
    cp_rc_t    rc;
    cp_tx_t   *tx;
    cp_rows_t  rows;

    *id = NULL;

    if (cp_tx_open(op->app->db, false, &tx, &op->err) != CP_OK) {
        return CP_ERROR;
    }

    rc = cp_tx_query(tx, op->arena, "SELECT id FROM tenants WHERE name = $1"
                     " AND state <> 'archived'", cp_args(cp_text(name)),
                     &rows, &op->err);
    cp_tx_rollback(tx);

    if (rc == CP_OK && rows.rows) {
        *id = cp_cell(&rows, 0, 0)->p;
    }

    return rc;
}


static cp_rc_t
cp_oidc_apply(cp_op_t *op, const cp_oidc_rule_t *rule,
    const cp_oidc_braces_t *b)
{
    cp_rc_t      rc;
    const char  *role, *tenant, *id;

    role = strcmp(rule->role, "{role}") == 0 ? b->role : rule->role;
    tenant = rule->tenant && strcmp(rule->tenant, "{tenant}") == 0
             ? b->tenant : rule->tenant;
    id = NULL;

    if (tenant) {
        rc = strncmp(role, "platform-", 9) == 0
             ? CP_OK : cp_oidc_tenant(op, tenant, &id);

        if (rc != CP_OK || id == NULL) {
            return rc;
        }
    }

    rc = cp_rbac_grant(op, id, role);

    if (rc == CP_DECLINED) {
        cp_op_clear(op);               /* no such role                     */
        rc = CP_OK;
    }

    return rc;
}


const char *
cp_oidc_program(cp_op_t *op, const stoa_json_val_t *claims)
{
    size_t       n;
    const char  *client, *sub, *name;

    n = sizeof(CP_OIDC_SERVICE) - 1;
    sub = cp_oidc_claim(op, claims, "sub");
    name = cp_oidc_claim(op, claims, "preferred_username");
    client = cp_oidc_claim(op, claims, "client_id");
    client = client ? client : cp_oidc_claim(op, claims, "azp");

    return client
           && ((sub && strcmp(client, sub) == 0)
               || (name && strncmp(name, CP_OIDC_SERVICE, n) == 0
                   && strcasecmp(name + n, client) == 0)) ? client : NULL;
}


static cp_rc_t
cp_oidc_word(cp_op_t *op, cp_oidc_of_e of, const char *word)
{
    cp_rc_t            rc;
    unsigned           i;
    cp_oidc_braces_t   b;

    for (i = 0, rc = CP_OK; i < cp_oidc_table.n && rc == CP_OK; i++) {
        memset(&b, 0, sizeof(b));

        if (cp_oidc_table.rule[i].of == of
            && cp_oidc_fits(cp_oidc_table.rule[i].value, word, &b))
        {
            rc = cp_oidc_apply(op, &cp_oidc_table.rule[i], &b);
        }
    }

    return rc;
}


/* The words of one claim, against the rules of its kind. */
static cp_rc_t
cp_oidc_words(cp_op_t *op, cp_oidc_of_e of, const stoa_json_val_t *claims,
    const char *claim)
{
    char              *words, *w;
    size_t             len;
    cp_rc_t            rc;
    unsigned           seen;
    stoa_json_val_t    val;

    rc = CP_OK;

    if (claim[0] == '\0'
        || !stoa_jwt_claim(claims, claim, strlen(claim), &val))
    {
        return CP_OK;
    }

    words = cp_arena_alloc(op->arena, STOA_JWT_MAX + 1);
    len = words ? stoa_jwt_words(&val, of == CP_OIDC_ROLE, words) : SIZE_MAX;

    if (len == SIZE_MAX) {
        return CP_OK;                  /* an odd shape is nothing            */
    }

    for (w = words, seen = 0;
         w < words + len && seen < CP_OIDC_SEEN_MAX && rc == CP_OK;
         w += strlen(w) + 1, seen++)
    {
        rc = cp_oidc_word(op, of, w);
    }

    return rc;
}


cp_rc_t
cp_oidc_grant(cp_op_t *op, const stoa_json_val_t *claims)
{
    cp_rc_t            rc;
    const char        *client;
    const cp_conf_t   *conf = &op->app->conf;

    rc = cp_oidc_words(op, CP_OIDC_ROLE, claims, conf->oidc_roles_claim);

    if (rc == CP_OK) {
        rc = cp_oidc_words(op, CP_OIDC_GROUP, claims,
                           conf->oidc_groups_claim);
    }

    client = cp_oidc_program(op, claims);

    return rc == CP_OK && client ? cp_oidc_word(op, CP_OIDC_CLIENT, client)
                                 : rc;
}
