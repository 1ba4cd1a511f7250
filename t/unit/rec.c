/* Tests for the record codec: bodies of feed rows to records and back. */

#include <stdlib.h>

#include "stoa_rec.h"
#include "tap.h"


#define A     "aaaaaaaaaaaaaaaa"
#define B     "bbbbbbbbbbbbbbbb"
#define C     "cccccccccccccccc"
#define HEX   "00112233445566778899aabbccddeeff"                              \
              "00112233445566778899AABBCCDDEEFF"

#define TENANT  "\"id\":\"" A "\",\"name\":\"acme\",\"state\":\"active\""
#define PLAN    "\"id\":\"" A "\",\"tenant\":\"" B "\",\"name\":\"gold\"," \
                "\"state\":\"active\""
#define SUB     "\"id\":\"" A "\",\"tenant\":\"" B "\",\"application\":\"" C \
                "\",\"target\":\"" A "\",\"target_kind\":\"api\"," \
                "\"plan\":\"" B "\",\"state\":\"active\""
#define CRED    "\"id\":\"" A "\",\"tenant\":\"" B "\",\"application\":\"" C \
                "\",\"digest\":\"" HEX "\",\"alg\":\"hmac\"," \
                "\"state\":\"rotating\""
#define API0    "\"id\":\"" A "\",\"tenant\":\"" B "\",\"tenant_name\":" \
                "\"acme\",\"name\":\"orders\",\"kind\":\"rest\"," \
                "\"state\":\"published\""
#define API     API0 ",\"targets\":[{\"host\":\"h\",\"port\":80}]"
#define TOOL0   "\"id\":\"" A "\",\"api\":\"" B "\",\"name\":\"echo\""
#define SERVER  "\"id\":\"" A "\",\"tenant\":\"" B "\",\"tenant_name\":" \
                "\"acme\",\"name\":\"desk\",\"state\":\"published\""
#define STOOL(n)  "{\"name\":\"" n "\",\"tool\":\"" A "\",\"api\":\"" B "\"}"


/* Bodies that are refused: with which field, and what is said of it. */

static const struct {
    stoa_rec_kind_e   kind;
    const char       *body;
    const char       *field;
    const char       *text;
} bad[] = {
    { STOA_REC_TENANT, "", "", "ends where a value is expected" },
    { STOA_REC_TENANT, "[]", "", "must be an object" },
    { STOA_REC_TENANT, "{\"id\":\"x\"}", "id", "must be an id" },
    { STOA_REC_TENANT, "{\"id\":1}", "id", "must be an id" },
    { STOA_REC_TENANT, "{\"name\":\"a\",\"state\":\"active\"}", "id",
      "is missing" },
    { STOA_REC_TENANT, "{" TENANT ",\"id\":\"" A "\"}", "id",
      "has a member twice" },
    { STOA_REC_TENANT, "{\"id\":\"" A "\",\"name\":null}", "name",
      "is missing" },
    { STOA_REC_TENANT, "{\"id\":\"" A "\",\"name\":\"Acme\"}", "name",
      "must be a name: a-z, 0-9 and -" },
    { STOA_REC_TENANT, "{\"id\":\"" A "\",\"name\":\"\"}", "name",
      "must not be empty" },
    { STOA_REC_TENANT, "{\"id\":\"" A "\",\"name\":7}", "name",
      "must be a string" },
    { STOA_REC_TENANT, "{\"id\":\"" A "\",\"name\":\"a\\u0000\"}", "name",
      "must not contain U+0000" },
    { STOA_REC_TENANT, "{\"id\":\"" A "\",\"name\":\"a\",\"state\":\"on\"}",
      "state", "must be one of active, suspended, archived" },
    { STOA_REC_TENANT, "{\"id\":\"" A "\",\"name\":\"a\",\"state\":1}",
      "state", "must be one of active, suspended, archived" },
    { STOA_REC_APPLICATION, "{" TENANT "}", "tenant", "is missing" },

    { STOA_REC_CREDENTIAL, "{\"digest\":\"00\"}", "digest",
      "must be 64 hex digits" },
    { STOA_REC_CREDENTIAL, "{\"alg\":\"md5\"}", "alg",
      "must be one of sha256, hmac" },
    { STOA_REC_CREDENTIAL, "{" CRED ",\"expires_ms\":-1}", "expires_ms",
      "must be a whole number, 0..253402300799999" },
    { STOA_REC_CREDENTIAL, "{" CRED ",\"expires_ms\":1.5}", "expires_ms",
      "must be a whole number, 0..253402300799999" },
    { STOA_REC_CREDENTIAL, "{" CRED ",\"expires_ms\":\"1\"}", "expires_ms",
      "must be a whole number, 0..253402300799999" },

    { STOA_REC_PLAN, "{" PLAN ",\"rate\":-1}", "rate",
      "must be a whole number, 0..1000000000" },
    { STOA_REC_PLAN, "{" PLAN ",\"rate\":1,\"per_ms\":0}", "per_ms",
      "must be a whole number, 1..86400000" },
    { STOA_REC_PLAN, "{" PLAN ",\"concurrency\":5000000000}", "concurrency",
      "must be a whole number, 0..65535" },
    { STOA_REC_PLAN, "{" PLAN ",\"limit_by\":\"ip\"}", "limit_by",
      "must be one of subscription, application, credential" },

    { STOA_REC_SUBSCRIPTION, "{" SUB ",\"tools\":{}}", "tools",
      "must be an array" },
    { STOA_REC_SUBSCRIPTION, "{" SUB ",\"tools\":[\"" A "\",\"x\"]}",
      "tools[1]", "must be an id" },
    { STOA_REC_SUBSCRIPTION, "{" SUB ",\"tools\":[null]}", "tools[0]",
      "must be an id" },

    { STOA_REC_API, "{" API0 "}", "targets", "is missing" },
    { STOA_REC_API, "{" API0 ",\"targets\":[]}", "targets",
      "must have 1..32 items" },
    { STOA_REC_API, "{" API0 ",\"targets\":[1]}", "targets[0]",
      "must be an object" },
    { STOA_REC_API, "{" API0 ",\"targets\":[{\"host\":\"h\",\"port\":1},"
      "{\"port\":0}]}", "targets[1].port",
      "must be a whole number, 1..65535" },
    { STOA_REC_API, "{" API0 ",\"targets\":[{\"port\":65536}]}",
      "targets[0].port", "must be a whole number, 1..65535" },
    { STOA_REC_API, "{" API0 ",\"targets\":[{\"port\":1}]}",
      "targets[0].host", "is missing" },
    { STOA_REC_API, "{" API0 ",\"targets\":[{\"host\":\"a b\"}]}",
      "targets[0].host", "must be a host name or an address" },
    { STOA_REC_API, "{" API0 ",\"targets\":[{\"host\":\"::1/64\"}]}",
      "targets[0].host", "must be a host name or an address" },
    { STOA_REC_API, "{" API0 ",\"targets\":[{\"host\":\"[::1]\"}]}",
      "targets[0].host", "must be a host name or an address" },
    { STOA_REC_API, "{" API0 ",\"targets\":[{\"host\":\"a..b\"}]}",
      "targets[0].host", "must be a host name or an address" },
    { STOA_REC_API, "{" API0 ",\"targets\":[{\"weight\":0}]}",
      "targets[0].weight", "must be a whole number, 1..1000" },
    { STOA_REC_API, "{" API0 ",\"targets\":[{\"path\":\"x\"}]}",
      "targets[0].path", "must be a path of a URL" },
    { STOA_REC_API, "{" API0 ",\"targets\":[{\"path\":\"/a\\r\\nb\"}]}",
      "targets[0].path", "must be a path of a URL" },
    { STOA_REC_API, "{" API0 ",\"targets\":[{\"tls\":1}]}",
      "targets[0].tls", "must be true or false" },
    { STOA_REC_API, "{" API ",\"base_path\":\"a\"}", "base_path",
      "must be \"/\" and at most 8 plain segments, no slash at the end" },
    { STOA_REC_API, "{" API ",\"base_path\":\"/a/\"}", "base_path",
      "must be \"/\" and at most 8 plain segments, no slash at the end" },
    { STOA_REC_API, "{" API ",\"host\":\"a:80\"}", "host",
      "must be a host name" },
    { STOA_REC_API, "{" API ",\"host_header\":\"a\\nb\"}", "host_header",
      "must be a host, with or without a port" },
    { STOA_REC_API, "{" API ",\"host_header\":\"a:\"}", "host_header",
      "must be a host, with or without a port" },
    { STOA_REC_API, "{" API ",\"host_header\":\"[::1\"}", "host_header",
      "must be a host, with or without a port" },
    { STOA_REC_API, "{" API ",\"host_header\":\":80\"}", "host_header",
      "must be a host, with or without a port" },
    { STOA_REC_API, "{" API ",\"host_header\":\"a:123456\"}", "host_header",
      "must be a host, with or without a port" },
    { STOA_REC_API, "{" API ",\"host_header\":\"::1\"}", "host_header",
      "must be a host, with or without a port" },
    { STOA_REC_API, "{" API ",\"host\":\"[1.2.3.4]\"}", "host",
      "must be a host name" },
    { STOA_REC_API, "{" API ",\"key_query\":\"a=b\"}", "key_query",
      "must be A-Z, a-z, 0-9, _, -, . or ~" },
    { STOA_REC_API, "{" API ",\"ip_allow\":[\"::/0\",\"10.0.0.0/33\"]}",
      "ip_allow[1]", "must be an address or a range like 10.0.0.0/8" },
    { STOA_REC_API, "{" API ",\"ip_deny\":[1]}", "ip_deny[0]",
      "must be an address or a range like 10.0.0.0/8" },
    { STOA_REC_API, "{" API ",\"operations\":[{\"id\":\"" A "\","
      "\"method\":\"get\",\"path\":\"/\"}]}", "operations[0].method",
      "must be a method in upper case" },
    { STOA_REC_API, "{" API ",\"operations\":[{\"id\":\"" A "\","
      "\"method\":\"GET\",\"path\":\"/{\"}]}", "operations[0].path",
      "must be a path like /orders/{id}" },
    { STOA_REC_API, "{" API ",\"state\":\"draft\"}", "state",
      "has a member twice" },

    { STOA_REC_TOOL, "{" TOOL0 "}", "definition", "is missing" },
    { STOA_REC_TOOL, "{" TOOL0 ",\"definition\":[]}", "definition",
      "must be an object" },
    { STOA_REC_TOOL, "{" TOOL0 ",\"definition\":{}}", "definition",
      "must have a name" },
    { STOA_REC_TOOL, "{" TOOL0 ",\"definition\":{\"name\":1}}", "definition",
      "must have a name" },
    { STOA_REC_TOOL, "{" TOOL0 ",\"definition\":{\"x\":{\"name\":\"a\"}}}",
      "definition", "must have a name" },
    { STOA_REC_TOOL, "{" TOOL0 ",\"definition\":{\"name\":\"a\","
      "\"name\":\"b\"}}", "definition.name", "has a member twice" },
    { STOA_REC_TOOL, "{\"name\":\"a b\"}", "name",
      "must be a tool's name: A-Z, a-z, 0-9, _, - and ." },

    { STOA_REC_SERVER, "{" SERVER ",\"tools\":[" STOOL("a") "," STOOL("b")
      "," STOOL("a") "]}", "tools", "has the name \"a\" twice" },
    { STOA_REC_SERVER, "{" SERVER ",\"tools\":[{\"name\":\"a\"}]}",
      "tools[0].tool", "is missing" },
    { STOA_REC_SERVER, "{\"state\":\"draft\"}", "state",
      "must be one of published" },
};


static stoa_buf_t  out;


static const void *
encode(stoa_rec_kind_e kind, const char *body)
{
    stoa_err_t  err;

    memset(&err, 0, sizeof(err));

    if (stoa_rec_encode(kind, body, strlen(body), 7, &out, &err) != STOA_OK
        || !stoa_rec_verify(out.data, out.len, kind))
    {
        printf("Bail out! %s: %s %s\n", body, err.field, err.text);
        exit(1);
    }

    return out.data;
}


static bool
is(const void *rec, stoa_ref_t ref, const char *want)
{
    stoa_str_t  s;

    s = stoa_rec_str(rec, ref);

    return s.len == strlen(want) && memcmp(s.data, want, s.len) == 0
           && (s.len == 0 || s.data[s.len] == '\0');
}


static void
test_bad(void)
{
    size_t      i;
    stoa_rc_t   rc;
    stoa_err_t  err;

    for (i = 0; i < tap_count(bad); i++) {
        memset(&err, 0, sizeof(err));
        rc = stoa_rec_encode(bad[i].kind, bad[i].body, strlen(bad[i].body), 1,
                             &out, &err);

        if (!tap_ok(rc == STOA_DECLINED
                    && strcmp(err.field, bad[i].field) == 0
                    && strcmp(err.text, bad[i].text) == 0,
                    "%s: %s %s", stoa_rec_kind_name(bad[i].kind),
                    bad[i].field, bad[i].text))
        {
            printf("# %d \"%s\" %s\n", rc, err.field, err.text);
        }
    }

    rc = stoa_rec_encode(STOA_REC_TENANT, "{\n\"id\":\n1}", 10, 1, &out,
                         &err);
    tap_ok(rc == STOA_DECLINED && err.line == 3 && err.offset == 8,
           "line and offset are named");
    tap_int(stoa_rec_encode(STOA_REC_KIND_MAX, "{}", 2, 1, &out, &err),
            STOA_DECLINED, "an unknown kind");
    tap_int(stoa_rec_encode((stoa_rec_kind_e) 0, "{}", 2, 1, &out, &err),
            STOA_DECLINED, "no kind");
}


static void
test_small(void)
{
    const stoa_rec_plan_t          *plan;
    const stoa_rec_tenant_t        *tenant;
    const stoa_rec_credential_t    *cred;
    const stoa_rec_application_t   *app;
    const stoa_rec_subscription_t  *sub;

    tenant = encode(STOA_REC_TENANT, "{" TENANT ",\"new\":{\"a\":[1]}}");
    tap_ok(tenant->hdr.magic == STOA_REC_MAGIC
           && tenant->hdr.layout == stoa_rec_layout()
           && tenant->hdr.kind == STOA_REC_TENANT
           && tenant->hdr.size == out.len && tenant->hdr.rev == 7
           && out.len % 8 == 0, "the header");
    tap_ok(memcmp(tenant->id.c, A, 16) == 0 && is(tenant, tenant->name, "acme")
           && tenant->state == STOA_STATE_ACTIVE,
           "tenant, with a member of a later time");

    app = encode(STOA_REC_APPLICATION, "{\"state\":\"suspended\",\"name\":"
                 "\"\\u0061pp\",\"tenant\":\"" B "\",\"id\":\"" A "\"}");
    tap_ok(is(app, app->name, "app") && memcmp(app->tenant.c, B, 16) == 0
           && app->state == STOA_STATE_SUSPENDED, "application");

    cred = encode(STOA_REC_CREDENTIAL, "{" CRED ",\"expires_ms\":12}");
    tap_ok(cred->digest[1] == 0x11 && cred->digest[31] == 0xff
           && cred->alg == STOA_DIGEST_HMAC && cred->expires_ms == 12
           && cred->state == STOA_STATE_ROTATING
           && memcmp(cred->application.c, C, 16) == 0, "credential");

    plan = encode(STOA_REC_PLAN, "{" PLAN "}");
    tap_ok(plan->rate == 0 && plan->per_ms == 1000 && plan->burst == 0
           && plan->quota_day == 0 && plan->concurrency == 0
           && plan->limit_by == STOA_LIMIT_BY_SUBSCRIPTION,
           "plan, by default");
    plan = encode(STOA_REC_PLAN, "{" PLAN ",\"rate\":10,\"per_ms\":60000,"
                  "\"burst\":5,\"quota_day\":1000000000000000,"
                  "\"quota_month\":7,\"concurrency\":65535,"
                  "\"limit_by\":\"credential\"}");
    tap_ok(plan->rate == 10 && plan->per_ms == 60000 && plan->burst == 5
           && plan->quota_day == 1000000000000000 && plan->quota_month == 7
           && plan->concurrency == 65535
           && plan->limit_by == STOA_LIMIT_BY_CREDENTIAL, "plan, all of it");

    sub = encode(STOA_REC_SUBSCRIPTION, "{" SUB "}");
    tap_ok(!sub->has_tools && sub->tools.n == 0 && sub->expires_ms == 0
           && sub->target_kind == STOA_TARGET_API
           && memcmp(sub->target.c, A, 16) == 0
           && memcmp(sub->plan.c, B, 16) == 0, "subscription to all tools");
    sub = encode(STOA_REC_SUBSCRIPTION, "{" SUB ",\"tools\":null}");
    tap_ok(!sub->has_tools, "null says absent");
    sub = encode(STOA_REC_SUBSCRIPTION, "{" SUB ",\"tools\":[]}");
    tap_ok(sub->has_tools && sub->tools.n == 0, "to none");
    sub = encode(STOA_REC_SUBSCRIPTION, "{" SUB ",\"tools\":[\"" C "\",\"" A
                 "\",\"" C "\",\"" B "\"]}");
    tap_ok(sub->has_tools && sub->tools.n == 3
           && memcmp(stoa_rec_vec(sub, sub->tools, stoa_id_t), A B C, 48) == 0,
           "to some: sorted, each once");
}


static void
test_api(void)
{
    const stoa_rec_api_t         *api;
    const stoa_rec_api_target_t  *t;

    api = encode(STOA_REC_API, "{" API "}");
    t = stoa_rec_vec(api, api->targets, stoa_rec_api_target_t);
    tap_ok(api->targets.n == 1 && is(api, t->host, "h") && t->port == 80
           && t->weight == 1 && !t->tls && is(api, t->path, ""),
           "api: a target by default");
    tap_ok(api->strip_base_path == 1 && api->tls_verify == 1
           && api->operations_only == 0 && api->retries == 1
           && api->max_fails == 1 && api->connect_timeout_ms == 2000
           && api->read_timeout_ms == 60000 && api->fail_timeout_ms == 10000
           && api->idle_timeout_ms == 4000 && !api->keep_encoded_slashes
           && api->max_body_bytes == 1048576 && api->sunset_ms == 0
           && api->balance == STOA_BALANCE_ROUND_ROBIN
           && api->identity == STOA_IDENTITY_NONE
           && api->audience == STOA_AUDIENCE_INTERNAL
           && api->era == STOA_ERA_UNKNOWN && api->kind == STOA_API_REST
           && api->partners.n == 0 && api->operations.n == 0
           && is(api, api->host, "") && is(api, api->base_path, ""),
           "api by default");
}


static void
test_api_all(void)
{
    const stoa_cidr_t            *deny;
    const stoa_rec_api_t         *api;
    const stoa_rec_operation_t   *op;
    const stoa_rec_api_target_t  *t;

    api = encode(STOA_REC_API, "{" API0 ",\"title\":\"Or\xc3\xa4" "ders\","
        "\"version\":\"1.2\",\"audience\":\"partner\",\"partners\":[\"" B
        "\",\"" A "\"],\"host\":\"API.Example.com\",\"base_path\":\"/v1\","
        "\"strip_base_path\":false,\"targets\":[{\"host\":\"::1\","
        "\"port\":65535,\"weight\":1000,\"tls\":true,\"path\":\"/mcp?x=1\"},"
        "{\"host\":\"A_b.c\",\"port\":1}],\"balance\":\"least_conn\","
        "\"connect_timeout_ms\":1,\"read_timeout_ms\":2,\"retries\":0,"
        "\"max_fails\":3,\"fail_timeout_ms\":4,\"host_header\":\"[::1]:80\","
        "\"tls_verify\":false,\"tls_server_name\":\"x.y\",\"key_query\":\"k\","
        "\"ip_allow\":[\"10.0.0.1/8\"],\"ip_deny\":[\"::1\",\"1.2.3.4\"],"
        "\"max_body_bytes\":1,\"identity\":\"signed\","
        "\"operations_only\":true,\"sunset_ms\":5,\"era\":\"dual\","
        "\"protocol_version\":\"2025-11-25\",\"operations\":[{\"id\":\"" A
        "\",\"method\":\"GET\",\"path\":\"/a/{id}\"},{\"id\":\"" B
        "\",\"method\":\"POST\",\"path\":\"/\",\"enabled\":false}]}");

    t = stoa_rec_vec(api, api->targets, stoa_rec_api_target_t);
    op = stoa_rec_vec(api, api->operations, stoa_rec_operation_t);
    deny = stoa_rec_vec(api, api->ip_deny, stoa_cidr_t);

    tap_ok(is(api, api->title, "Or\xc3\xa4" "ders")
           && is(api, api->version, "1.2")
           && is(api, api->host, "api.example.com")
           && is(api, api->base_path, "/v1")
           && is(api, api->host_header, "[::1]:80")
           && is(api, api->tls_server_name, "x.y")
           && is(api, api->key_query, "k")
           && is(api, api->protocol_version, "2025-11-25"), "its strings");
    tap_ok(api->strip_base_path == 0 && api->tls_verify == 0
           && api->operations_only == 1 && api->retries == 0
           && api->max_fails == 3 && api->connect_timeout_ms == 1
           && api->read_timeout_ms == 2 && api->fail_timeout_ms == 4
           && api->max_body_bytes == 1 && api->sunset_ms == 5
           && api->balance == STOA_BALANCE_LEAST_CONN
           && api->identity == STOA_IDENTITY_SIGNED
           && api->audience == STOA_AUDIENCE_PARTNER
           && api->era == STOA_ERA_DUAL, "its numbers and words");
    tap_ok(api->targets.n == 2 && is(api, t[0].host, "::1") && t[0].tls == 1
           && t[0].port == 65535 && t[0].weight == 1000
           && is(api, t[0].path, "/mcp?x=1") && is(api, t[1].host, "A_b.c"),
           "its targets");
    tap_ok(api->operations.n == 2 && is(api, op[0].method, "GET")
           && is(api, op[0].path, "/a/{id}") && op[0].enabled == 1
           && op[1].enabled == 0 && memcmp(op[1].id.c, B, 16) == 0,
           "its operations");
    tap_ok(api->ip_allow.n == 1 && api->ip_deny.n == 2 && deny[0].family == 4
           && deny[0].bits == 32 && deny[1].family == 6, "its ranges");
    tap_ok(api->partners.n == 2
           && memcmp(stoa_rec_vec(api, api->partners, stoa_id_t), A B, 32)
              == 0, "its partners");
}


static void
test_mcp(void)
{
    char                           got[200];
    size_t                         n;
    uint32_t                       i;
    stoa_str_t                     head, tail;
    const stoa_rec_tool_t         *tool;
    const stoa_rec_server_t       *server;
    const stoa_rec_server_tool_t  *st;

    tool = encode(STOA_REC_TOOL, "{" TOOL0 ",\"definition\":{\"in\":{\"name\":"
                  "1}, \"n\\u0061me\" : \"ec\\\"ho\" ,\"z\":[]}}");
    head = stoa_rec_str(tool, tool->definition_head);
    tail = stoa_rec_str(tool, tool->definition_tail);
    n = (size_t) snprintf(got, sizeof(got), "%.*s\"new\"%.*s", (int) head.len,
                          head.data, (int) tail.len, tail.data);
    tap_str(got, n,
            "{\"in\":{\"name\":1}, \"n\\u0061me\" : \"new\" ,\"z\":[]}",
            "a definition with another name");
    tap_ok(is(tool, tool->definition, "{\"in\":{\"name\":1}, \"n\\u0061me\" : "
              "\"ec\\\"ho\" ,\"z\":[]}") && tool->enabled == 1,
           "and as it was sent");

    server = encode(STOA_REC_SERVER, "{" SERVER ",\"title\":\"T\","
                    "\"instructions\":\"I\\n\",\"prefix\":\"never\","
                    "\"tools\":[" STOOL("b") "," STOOL("ab") "," STOOL("B")
                    "," STOOL("a") "," STOOL("a.") "," STOOL("c") "]}");
    st = stoa_rec_vec(server, server->tools, stoa_rec_server_tool_t);
    n = 0;

    for (i = 0; i < server->tools.n; i++) {
        n += (size_t) snprintf(got + n, sizeof(got) - n, "%s ",
                               stoa_rec_str(server, st[i].name).data);
    }

    tap_str(got, n, "B a a. ab b c ", "a server's tools by name");
    tap_ok(is(server, server->title, "T")
           && is(server, server->instructions, "I\n")
           && server->prefix == STOA_PREFIX_NEVER
           && memcmp(st[5].tool.c, A, 16) == 0
           && memcmp(st[5].api.c, B, 16) == 0, "and the rest of it");
}


/* {<head>"<name>":[<item>,<item>,...]}, n of them; %u in item counts. */

static stoa_rc_t
many(stoa_rec_kind_e kind, const char *head, const char *name,
    const char *item, unsigned n)
{
    size_t      i;
    unsigned    k;
    stoa_rc_t   rc;
    stoa_buf_t  body;
    stoa_err_t  err;

    stoa_buf_init(&body, STOA_RECORD_MAX);
    stoa_buf_addf(&body, "{%s,\"%s\":[", head, name);

    for (k = 0; k < n; k++) {
        stoa_buf_addz(&body, k ? "," : "");

        for (i = 0; item[i]; i++) {
            if (item[i] == '%') {
                stoa_buf_addf(&body, "%08u", k * 7919 % 100000);
            } else {
                stoa_buf_add(&body, &item[i], 1);
            }
        }
    }

    stoa_buf_addz(&body, "]}");
    rc = stoa_rec_encode(kind, body.data, body.len, 1, &out, &err);

    if (rc == STOA_OK && !stoa_rec_verify(out.data, out.len, kind)) {
        rc = STOA_ERROR;
    }

    stoa_buf_free(&body);

    return rc;
}


static void
test_limits(void)
{
    size_t      i;
    stoa_buf_t  small;
    stoa_err_t  err;

    static const struct {
        stoa_rec_kind_e   kind;
        const char       *head, *name, *item;
        unsigned          max;
    } arrays[] = {
        { STOA_REC_API, API0, "targets", "{\"host\":\"h%\",\"port\":1}",
          STOA_TARGETS_MAX },
        { STOA_REC_API, API, "operations", "{\"id\":\"00000000%\","
          "\"method\":\"GET\",\"path\":\"/%\"}", STOA_OPERATIONS_MAX },
        { STOA_REC_API, API, "ip_allow", "\"::1\"", STOA_CIDRS_MAX },
        { STOA_REC_API, API, "partners", "\"00000000%\"", STOA_PARTNERS_MAX },
        { STOA_REC_SUBSCRIPTION, SUB, "tools", "\"00000000%\"",
          STOA_SERVER_TOOLS_MAX },
        { STOA_REC_SERVER, SERVER, "tools", STOOL("%"),
          STOA_SERVER_TOOLS_MAX },
    };

    for (i = 0; i < tap_count(arrays); i++) {
        tap_ok(many(arrays[i].kind, arrays[i].head, arrays[i].name,
                    arrays[i].item, arrays[i].max) == STOA_OK,
               "%u %s", arrays[i].max, arrays[i].name);
        tap_ok(many(arrays[i].kind, arrays[i].head, arrays[i].name,
                    arrays[i].item, arrays[i].max + 1) == STOA_DECLINED,
               "and one more");
    }

    /* every maximum of the buffer, up to the one that suffices */

    for (i = 0; i < 4096; i++) {
        stoa_buf_init(&small, i);

        if (stoa_rec_encode(STOA_REC_SERVER, "{" SERVER ",\"tools\":["
                            STOOL("b") "," STOOL("a") "]}",
                            sizeof("{" SERVER ",\"tools\":["
                                   STOOL("b") "," STOOL("a") "]}") - 1,
                            1, &small, &err)
            != STOA_FULL)
        {
            break;
        }

        stoa_buf_free(&small);
    }

    tap_ok(i > 200 && i < 400 && small.rc == STOA_OK
           && stoa_rec_verify(small.data, small.len, STOA_REC_SERVER),
           "a buffer that is too small, in each way");
    stoa_buf_free(&small);
}


/* Strings of their maximum, and a byte more. */

static void
test_strings(void)
{
    size_t      i, n;
    stoa_rc_t   rc, past;
    stoa_buf_t  body;
    stoa_err_t  err;

    static const struct {
        stoa_rec_kind_e   kind;
        const char       *head, *name, *first;
        size_t            max;
    } rows[] = {
        { STOA_REC_API, API, "title", "", 4 * STOA_TITLE_MAX },
        { STOA_REC_API, API, "version", "", 4 * 64 },
        { STOA_REC_API, API, "base_path", "/", STOA_BASE_PATH_MAX },
        { STOA_REC_API, API, "key_query", "", 64 },
        { STOA_REC_API, API, "protocol_version", "", 32 },
        { STOA_REC_SERVER, SERVER, "instructions", "",
          4 * STOA_INSTRUCTIONS_MAX },
    };

    stoa_buf_init(&body, STOA_RECORD_MAX + 100);

    for (i = 0; i < tap_count(rows); i++) {
        rc = past = STOA_OK;

        for (n = rows[i].max + 1; n >= rows[i].max; n--) {
            stoa_buf_reset(&body);
            stoa_buf_addf(&body, "{%s,\"%s\":\"%s%0*d\"}", rows[i].head,
                          rows[i].name, rows[i].first,
                          (int) (n - strlen(rows[i].first)), 0);
            rc = past;
            past = stoa_rec_encode(rows[i].kind, body.data, body.len, 1, &out,
                                   &err);
        }

        tap_ok(past == STOA_OK && rc == STOA_DECLINED
               && strcmp(err.field, rows[i].name) == 0,
               "%s of %u bytes, not of one more", rows[i].name,
               (unsigned) rows[i].max);
    }

    stoa_buf_reset(&body);
    stoa_buf_addf(&body, "{" TENANT ",\"x\":\"%0*d\"}", STOA_RECORD_MAX, 0);
    tap_int(stoa_rec_encode(STOA_REC_TENANT, body.data, body.len, 1, &out,
                            &err),
            STOA_DECLINED, "a body past the maximum");
    tap_str(err.text, strlen(err.text), "is too long", "says so");

    stoa_buf_free(&body);
}


/* A block with any byte changed is refused or still safe to read. */

static void
damage(stoa_rec_kind_e kind, const char *body)
{
    char      *copy;
    size_t     i, len;
    unsigned   v, refused;

    static const uint8_t  bytes[] = { 0x00, 0x01, 0x7f, 0x80, 0xff };

    (void) encode(kind, body);

    len = out.len;
    copy = malloc(len);
    if (copy == NULL) {
        abort();
    }

    refused = 0;

    for (i = 0; i < len; i++) {
        for (v = 0; v < tap_count(bytes); v++) {
            memcpy(copy, out.data, len);
            copy[i] = (char) bytes[v];
            refused += !stoa_rec_verify(copy, len, kind);
        }
    }

    tap_ok(refused > 100, "%s: %u of %u damaged ones are refused",
           stoa_rec_kind_name(kind), refused,
           (unsigned) (len * tap_count(bytes)));

    free(copy);
}


static void
test_verify(void)
{
    char    *copy;
    size_t   len;

    damage(STOA_REC_API, "{" API ",\"title\":\"t\",\"ip_deny\":[\"::1\"],"
           "\"partners\":[\"" A "\",\"" B "\"],\"operations\":[{\"id\":\"" A
           "\",\"method\":\"GET\",\"path\":\"/a\"}]}");
    damage(STOA_REC_TOOL, "{" TOOL0 ",\"definition\":{\"a\":1,\"name\":\"a\","
           "\"b\":2}}");
    damage(STOA_REC_SUBSCRIPTION, "{" SUB ",\"tools\":[\"" A "\"]}");
    damage(STOA_REC_SERVER, "{" SERVER ",\"instructions\":\"x\",\"tools\":["
           STOOL("b") "," STOOL("a") "]}");

    len = out.len;
    copy = malloc(len);
    if (copy == NULL) {
        abort();
    }

    memcpy(copy, out.data, len);
    tap_ok(stoa_rec_valid(copy, len, STOA_REC_SERVER), "valid");
    tap_ok(!stoa_rec_valid(copy, len, STOA_REC_API), "another kind");
    tap_ok(!stoa_rec_valid(copy, len, (stoa_rec_kind_e) 0), "no kind");
    tap_ok(!stoa_rec_valid(copy, len - 8, STOA_REC_SERVER), "cut");
    tap_ok(!stoa_rec_valid(copy, 8, STOA_REC_SERVER), "cut in the header");
    tap_ok(!stoa_rec_valid(copy, 0, STOA_REC_SERVER), "empty");

    ((stoa_rec_hdr_t *) copy)->layout++;
    tap_ok(!stoa_rec_valid(copy, len, STOA_REC_SERVER), "another layout");

    free(copy);
}


static void
test_kinds(void)
{
    int          kind;
    const char  *name;

    for (kind = 1; kind < STOA_REC_KIND_MAX; kind++) {
        name = stoa_rec_kind_name((stoa_rec_kind_e) kind);
        tap_ok((int) stoa_rec_kind(name, strlen(name)) == kind, "%s", name);
    }

    tap_int(stoa_rec_kind("user", 4), 0, "no such kind");
    tap_int(stoa_rec_kind("", 0), 0, "no name");
    name = stoa_rec_kind_name((stoa_rec_kind_e) 0);
    tap_str(name, strlen(name), "unknown", "no kind has a name too");
}


/* A store outlives the program: another layout is another number. */

static void
test_layout(void)
{
    tap_int(sizeof(stoa_rec_hdr_t), 40, "the header's size");
    tap_ok(stoa_rec_layout() && stoa_rec_layout() == stoa_rec_layout(),
           "a layout has a number");
}


int
main(void)
{
    stoa_buf_init(&out, STOA_RECORD_MAX);

    test_layout();
    test_kinds();
    test_bad();
    test_small();
    test_api();
    test_api_all();
    test_mcp();
    test_limits();
    test_strings();
    test_verify();

    stoa_buf_free(&out);

    return tap_done();
}
