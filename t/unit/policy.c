/* Tests of the policy types: their tables, configurations, and what a record
 * that needs an unknown one is. */

#include <stdlib.h>

#include "stoa_key.h"
#include "stoa_policy_cors.h"
#include "stoa_policy_headers.h"
#include "stoa_policy_locations.h"
#include "tap.h"


#define A     "aaaaaaaaaaaaaaaa"
#define B     "bbbbbbbbbbbbbbbb"
#define TENANT  "\"id\":\"" A "\",\"name\":\"acme\",\"state\":\"active\""
#define POLICY(type, more)                                                    \
    "{\"name\":\"p\",\"type\":\"" type "\",\"scope\":\"tenant\","             \
    "\"state\":\"enabled\"," more "}"
#define TENANT_WITH(p)  "{" TENANT ",\"policies\":[" p "]}"
#define CORS  "\"config\":{\"origins\":[\"https://a.example\",\"*\"]}"


static stoa_buf_t  out;


/* Configurations that are refused, or taken where field is NULL. */

static const struct {
    const char  *type;
    const char  *config;
    const char  *field;
    const char  *text;
} configs[] = {
    { "cors", "{\"origins\":[\"https://a.example\"]}", NULL, NULL },
    { "cors", "{\"origins\":[\"*\",\"null\",\"http://localhost:6274\","
      "\"https://*.example.com\",\"http://[::1]:80\",\"app://x\"]}", NULL,
      NULL },
    { "cors", "{}", "origins", "is missing" },
    { "cors", "[]", "", "must be an object" },
    { "cors", "{\"origins\":[]}", "origins", "must have 1..64 items" },
    { "cors", "{\"origins\":[\"\"]}", "origins[0]", "must not be empty" },
    { "cors", "{\"origins\":[\"https://A.example\"]}", "origins[0]", NULL },
    { "cors", "{\"origins\":[\"https://a.example/\"]}", "origins[0]", NULL },
    { "cors", "{\"origins\":[\"a.example\"]}", "origins[0]", NULL },
    { "cors", "{\"origins\":[\"https://\"]}", "origins[0]", NULL },
    { "cors", "{\"origins\":[\"https://*\"]}", "origins[0]", NULL },
    { "cors", "{\"origins\":[\"https://a..b\"]}", "origins[0]", NULL },
    { "cors", "{\"origins\":[\"https://a:0\"]}", "origins[0]", NULL },
    { "cors", "{\"origins\":[\"https://a:65536\"]}", "origins[0]", NULL },
    { "cors", "{\"origins\":[\"https://a\\r\\nX: y\"]}", "origins[0]", NULL },
    { "cors", "{\"origins\":[\"https://a\\u0000\"]}", "origins[0]", NULL },
    { "cors", "{\"origins\":[\"*\"],\"credentials\":true}", "credentials",
      "must not be together with the origins * and null" },
    { "cors", "{\"credentials\":true,\"origins\":[\"https://a\",\"null\"]}",
      "credentials", NULL },
    { "cors", "{\"origins\":[\"*\"],\"max_age_s\":86401}", "max_age_s",
      "must be a whole number, 0..86400" },
    { "cors", "{\"origins\":[\"*\"],\"methods\":[\"get\"]}", "methods[0]",
      NULL },
    { "cors", "{\"origins\":[\"*\"],\"headers\":[\"a b\"]}", "headers[0]",
      NULL },
    { "cors", "{\"origins\":[\"*\"],\"colour\":1}", "colour",
      "is not known" },

    { "ip-filter", "{\"allow\":[\"10.0.0.0/8\",\"::1\"]}", NULL, NULL },
    { "upstream-credential", "{\"kind\":\"header\",\"value\":\"x\"}", NULL,
      NULL },
    { "upstream-credential", "{\"value\":\"x\"}", "kind", "is missing" },
    { "upstream-credential", "{\"kind\":\"basic\",\"username\":\"a:b\","
      "\"password\":\"x\"}", "username", NULL },
    { "upstream-credential", "{\"kind\":\"basic\",\"username\":\"a\"}",
      "password", "is required for this kind" },
    { "upstream-credential", "{\"kind\":\"header\",\"value\":\"a\\nb\"}",
      "value", "must be text without control characters" },
    { "require-token", "{}", NULL, NULL },
    { "require-token", "{\"scopes\":[\"a:b\"],\"keys\":true}", NULL, NULL },
    { "require-token", "{\"scopes\":[\"a b\"]}", "scopes[0]",
      "must be a scope: visible ASCII without \" and \\" },
    { "ip-filter", "{}", "allow", "must have an item, or deny must" },
    { "ip-filter", "{\"deny\":[\"10.0.0.0/33\"]}", "deny[0]", NULL },

    { "maintenance", "{}", NULL, NULL },
    { "maintenance", "{\"text\":\"a\\nb\"}", "text", NULL },
    { "maintenance", "{\"paths\":[\"health\"]}", "paths[0]",
      "must be a path like /orders/{id}" },
    { "maintenance", "{\"tools\":[\"a b\"]}", "tools[0]", NULL },
    { "user-agent", "{\"deny\":[\"*bot\",\"python-*\",\"a b/1\"]}", NULL,
      NULL },
    { "user-agent", "{}", "deny", NULL },
    { "user-agent", "{\"empty\":false}", NULL, NULL },
    { "user-agent", "{\"deny\":[\"*\"]}", "deny[0]", NULL },
    { "user-agent", "{\"deny\":[\"**\"]}", "deny[0]", NULL },
    { "user-agent", "{\"allow\":[\"a*b\"]}", "allow[0]", NULL },
    { "request-shape", "{}", "max_arguments", NULL },
    { "request-shape", "{\"methods\":[\"get\"]}", "methods[0]",
      "must be a method in upper case" },
    { "request-shape", "{\"content_types\":[\"image/*\","
      "\"application/merge-patch+json\"]}", NULL, NULL },
    { "request-shape", "{\"content_types\":[\"*/*\"]}",
      "content_types[0]", NULL },
    { "request-shape", "{\"content_types\":[\"text/a*\"]}",
      "content_types[0]", NULL },
    { "request-shape", "{\"content_types\":[\"Text/x\"]}",
      "content_types[0]", NULL },
    { "request-shape", "{\"content_types\":[\"text\"]}",
      "content_types[0]", NULL },

    { "path-rewrite", "{\"rules\":[]}", "rules", NULL },
    { "path-rewrite", "{\"rules\":[{\"from\":\"/a/{b*}\",\"to\":\"/{b*}\"}]}",
      NULL, NULL },
    { "path-rewrite", "{\"rules\":[{\"from\":\"/a\",\"to\":\"/a\"},"
      "{\"from\":\"/{b}\",\"to\":\"/{c}\"}]}", "rules[1].to",
      "must have names that `from` has" },
    { "json-limits", "{}", NULL, NULL },
    { "json-limits", "{\"max_depth\":65}", "max_depth", NULL },
    { "response-schema", "{\"schema\":{\"type\":\"x\"}}", "schema.type",
      NULL },
    { "response-schema", "{\"schema\":{},\"statuses\":[\"200\",\"4xx\"]}",
      NULL, NULL },
    { "response-schema", "{\"schema\":{},\"statuses\":[\"20x\"]}",
      "statuses[0]", NULL },
    { "json-schema", "{}", "schema", "is missing" },
    { "json-schema", "{\"schema\":{}}", NULL, NULL },
    { "json-schema", "{\"schema\":true}", "schema", "must be an object" },
    { "json-schema", "{\"schema\":{\"type\":\"x\"}}", "schema.type", NULL },

    { "guardrail", "{}", NULL, NULL },
    { "guardrail", "{\"kinds\":[\"mail\",\"phone\"],\"action\":\"mask\"}",
      NULL, NULL },
    { "guardrail", "{\"kinds\":[\"email\"]}", "kinds[0]", NULL },
    { "guardrail", "{\"action\":\"hide\"}", "action", NULL },
    { "guardrail", "{\"max_bytes\":0}", "max_bytes", NULL },

    { "body-limit", "{\"max_bytes\":1}", NULL, NULL },
    { "body-limit", "{}", "max_bytes", "is missing" },
    { "body-limit", "{\"max_bytes\":0}", "max_bytes", NULL },

    { "response-locations", "{}", NULL, NULL },
    { "response-locations", "{\"cookies\":false,\"inside\":"
      "[\"http://in:8080\"]}", NULL, NULL },
    { "response-locations", "{\"inside\":[\"in:8080\"]}", "inside[0]", NULL },

    { "headers", "{\"request_set\":[{\"name\":\"X-A\",\"value\":"
      "\"${tenant}-${api} $5\"}]}", NULL, NULL },
    { "headers", "{\"request_set\":[{\"name\":\"X-A\",\"value\":\"\"}]}",
      NULL, NULL },
    { "headers", "{\"request_set\":[{\"name\":\"X-A\"}]}",
      "request_set[0].value", "is missing" },
    { "headers", "{\"request_set\":[{\"name\":\"X-A\",\"value\":"
      "\"${secret}\"}]}", "request_set[0].value", NULL },
    { "headers", "{\"request_set\":[{\"name\":\"X-A\",\"value\":"
      "\"${tenant\"}]}", "request_set[0].value", NULL },
    { "headers", "{\"request_set\":[{\"name\":\"X-A\",\"value\":"
      "\"a\\r\\nb\"}]}", "request_set[0].value", NULL },
    { "headers", "{\"request_set\":[{\"name\":\"X-A\",\"value\":"
      "\"a\\u0000\"}]}", "request_set[0].value", NULL },
    { "headers", "{\"response_remove\":[\"Connection\"]}",
      "response_remove[0]", NULL },
    { "headers", "{\"response_remove\":[\"transfer_encoding\"]}",
      "response_remove[0]", NULL },
    { "headers", "{\"response_remove\":[\"X-Stoa-Tenant\"]}",
      "response_remove[0]", NULL },
    { "headers", "{\"response_remove\":[\"x_stoa_tenant\"]}",
      "response_remove[0]", NULL },
    { "headers", "{\"response_remove\":[\"X.Stoa~Tenant\"]}",
      "response_remove[0]", NULL },
    { "headers", "{\"response_remove\":[\"x.forwarded.for\"]}",
      "response_remove[0]", NULL },
    { "headers", "{\"response_remove\":[\"Proxy\"]}",
      "response_remove[0]", NULL },
    { "headers", "{\"response_remove\":[\"X-Accel-Redirect\"]}",
      "response_remove[0]", NULL },
    { "headers", "{\"response_remove\":[\"X-Real-IP\",\"X-Proxy\"]}",
      NULL, NULL },
    { "headers", "{\"response_remove\":[\"Access-Control-Allow-Origin\"]}",
      "response_remove[0]", NULL },
    { "headers", "{\"response_set\":[{\"name\":\"A:\",\"value\":\"\"}]}",
      "response_set[0].name", NULL },
};


static void
test_configs(void)
{
    size_t                     i;
    stoa_rc_t                  rc;
    stoa_err_t                 err;
    const stoa_policy_type_t  *type;

    for (i = 0; i < tap_count(configs); i++) {
        type = stoa_policy_find(configs[i].type, strlen(configs[i].type));
        memset(&err, 0, sizeof(err));
        rc = stoa_rec_policy_check(type, configs[i].config,
                                   strlen(configs[i].config), &err);

        if (!tap_ok(configs[i].field
                    ? rc == STOA_DECLINED
                      && strcmp(err.field, configs[i].field) == 0
                      && (configs[i].text == NULL
                          || strcmp(err.text, configs[i].text) == 0)
                    : rc == STOA_OK,
                    "%s %s", configs[i].type, configs[i].config))
        {
            printf("# %d \"%s\" %s\n", rc, err.field, err.text);
        }
    }
}


/* What the tables have to be for the rest to work. */

static void
test_types(void)
{
    size_t                     i, k, n;
    const stoa_rec_field_t    *f;
    const stoa_policy_type_t  *t, *u;

    for (i = 0; (t = stoa_policy_at(i)) != NULL; i++) {
        tap_ok(stoa_name_valid(t->name, strlen(t->name)) && t->id
               && t->version && t->order && t->doc
               && (t->scopes || t->own || (t->flags & STOA_POLICY_DEFAULT))
               && stoa_policy_by_id(t->id) == t
               && stoa_policy_find(t->name, strlen(t->name)) == t,
               "%s: name, id, version, order, scopes", t->name);

        for (k = 0; k < i; k++) {
            u = stoa_policy_at(k);
            tap_ok(u->id != t->id && strcmp(u->name, t->name) != 0,
                   "%s is not %s", t->name, u->name);
        }

        tap_ok(!(t->flags & STOA_POLICY_DEFAULT) || t->scopes == 0
               || (t->flags & STOA_POLICY_SINGLE), "a default is single");

        /* the narrowest is found in the records of these alone */

        tap_ok(!(t->flags & STOA_POLICY_SINGLE)
               || !(t->scopes & ~(unsigned) (STOA_ON_GROUP|STOA_ON_TENANT
                                             |STOA_ON_SERVER|STOA_ON_API
                                             |STOA_ON_MCP_API))
               || (t->flags & STOA_POLICY_STATE),
               "%s: scopes of a single one", t->name);

        for (n = 0; n < t->config->nfields; n++) {
            f = &t->config->fields[n];
            tap_ok(f->doc && f->doc[0] && f->def >= 0
                   && f->offset < t->config->size
                   && (f->def == 0 || (f->def >= f->min && f->def <= f->max)),
                   "%s.%s: a default in its bounds, a text", t->name,
                   f->name.data);
        }
    }

    tap_ok(i > 0 && stoa_policy_find("cor", 3) == NULL
           && stoa_policy_by_id(0) == NULL, "what is no type");
}


static const struct {
    const char  *body;
    const char  *field;           /* NULL: it is a record                    */
} records[] = {
    { TENANT_WITH(POLICY("cors", CORS)), NULL },
    { TENANT_WITH(POLICY("cors", CORS) "," POLICY("headers", "\"config\":{}")),
      NULL },
    { "{" TENANT ",\"requires\":[{\"id\":1,\"version\":1}]}", NULL },
    { "{" TENANT ",\"requires\":[{\"id\":1,\"version\":2}]}", "requires" },
    { "{" TENANT ",\"requires\":[{\"id\":9999,\"version\":1}]}", "requires" },
    { "{" TENANT ",\"requires\":[{\"id\":-1,\"version\":1}]}", "requires" },
    { "{" TENANT ",\"requires\":[{\"id\":1}]}", "requires" },
    { "{" TENANT ",\"requires\":{}}", "requires" },
    { "{" TENANT ",\"requires\":[1]}", "requires" },
    { TENANT_WITH(POLICY("teleport", "\"config\":{}")), "policies[0].type" },
    { TENANT_WITH(POLICY("cors", CORS ",\"new\":1")), "policies[0].new" },
    { TENANT_WITH(POLICY("cors", "\"config\":{\"origins\":[\"*\"],"
                         "\"new\":1}")), "policies[0].config.new" },
    { TENANT_WITH(POLICY("cors", "\"config\":{\"origins\":[\"*\"],"
                         "\"credentials\":true}")),
      "policies[0].config.credentials" },
    { TENANT_WITH("{\"config\":{},\"name\":\"p\"}"), "policies[0].config" },
    { TENANT_WITH("{" CORS ",\"state\":\"shadow\",\"type\":\"cors\",\"name\":"
                  "\"p\",\"scope\":\"tenant\"}"), NULL },
    { TENANT_WITH("{\"name\":\"p\",\"type\":\"cors\"}"),
      "policies[0].scope" },
};


static void
test_records(void)
{
    size_t                    i;
    stoa_rc_t                 rc;
    stoa_err_t                err;
    const stoa_rec_tenant_t  *tenant;

    for (i = 0; i < tap_count(records); i++) {
        memset(&err, 0, sizeof(err));
        rc = stoa_rec_encode(STOA_REC_TENANT, records[i].body,
                             strlen(records[i].body), 1, &out, &err);

        if (!tap_ok(records[i].field
                    ? rc == STOA_DECLINED
                      && strcmp(err.field, records[i].field) == 0
                    : rc == STOA_OK
                      && stoa_rec_verify(out.data, out.len, STOA_REC_TENANT),
                    "%s", records[i].body))
        {
            printf("# %d \"%s\" %s\n", rc, err.field, err.text);
        }

        if (records[i].field == NULL) {
            continue;
        }

        rc = stoa_rec_withhold(STOA_REC_TENANT, records[i].body,
                               strlen(records[i].body), 1, &out);
        tenant = (const stoa_rec_tenant_t *) out.data;
        tap_ok(rc == STOA_OK && tenant->hdr.withheld == 1
               && tenant->policies.n == 0
               && stoa_rec_verify(out.data, out.len, STOA_REC_TENANT),
               "withheld: a record all the same, without policies");
    }

    rc = stoa_rec_withhold(STOA_REC_TENANT, "{}", 2, 1, &out);
    tap_int(rc, STOA_DECLINED, "what lacks the rest too is none");
}


/* What a compiled record holds, and that no byte of it is trusted. */

static void
test_verify(void)
{
    char                       *copy;
    size_t                      i;
    stoa_err_t                  err;
    stoa_ref_t                  config;
    stoa_str_t                  s;
    stoa_rec_policy_t          *p;
    const stoa_rec_tenant_t    *tenant;
    const stoa_policy_cors_t   *cors;
    static const char           body[] = TENANT_WITH(POLICY("cors", CORS));

    tap_int(stoa_rec_encode(STOA_REC_TENANT, body, sizeof(body) - 1, 1, &out,
                            &err), STOA_OK, "a tenant with a policy");

    tenant = (const stoa_rec_tenant_t *) out.data;
    p = (stoa_rec_policy_t *) (out.data + tenant->policies.off);
    cors = (const stoa_policy_cors_t *) (out.data + p->config.off);
    s = stoa_rec_str(tenant, stoa_rec_vec(tenant, cors->origins,
                                          stoa_ref_t)[0]);

    tap_ok(tenant->policies.n == 1 && p->type == 1
           && p->scope == STOA_SCOPE_TENANT && cors->origins.n == 2
           && cors->max_age_s == 600 && !cors->credentials
           && s.len == 17 && memcmp(s.data, "https://a.example", 17) == 0,
           "its configuration, with defaults");

    copy = malloc(out.len);
    memcpy(copy, out.data, out.len);
    config = p->config;
    p = (stoa_rec_policy_t *) (copy + tenant->policies.off);

    p->type = 999;
    tap_ok(!stoa_rec_verify(copy, out.len, STOA_REC_TENANT), "another type");
    p->type = 3;
    tap_ok(!stoa_rec_verify(copy, out.len, STOA_REC_TENANT),
           "a type of another size");
    p->type = 1;
    p->config.off = (uint32_t) out.len;
    tap_ok(!stoa_rec_verify(copy, out.len, STOA_REC_TENANT), "out of it");
    p->config = config;
    tap_ok(stoa_rec_verify(copy, out.len, STOA_REC_TENANT), "as it was");

    for (i = 0; i < out.len; i++) {
        copy[i] = (char) ~copy[i];
        (void) stoa_rec_verify(copy, out.len, STOA_REC_TENANT);
        copy[i] = (char) ~copy[i];
    }

    free(copy);
}


static void
test_vars(void)
{
    size_t  at, n;

    tap_int(stoa_policy_var("x", 1, &at, &n), -1, "no variable");
    tap_int(stoa_policy_var("a${api}b", 8, &at, &n), STOA_VAR_API, "one");
    tap_ok(at == 1 && n == 6, "its place");
    tap_int(stoa_policy_var("${", 2, &at, &n), -2, "none that is known");
}


int
main(void)
{
    stoa_buf_init(&out, STOA_RECORD_MAX);

    test_types();
    test_configs();
    test_records();
    test_verify();
    test_vars();

    stoa_buf_free(&out);

    return tap_done();
}
