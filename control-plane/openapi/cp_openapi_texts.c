/*
 * Schemas that no table has: name, JSON.
 */

#include "openapi/cp_openapi_text.h"


const char *const  cp_openapi_schemas_text[] = {

    "Problem",
    "{\"type\":\"object\",\"required\":[\"type\",\"title\",\"status\"],"
    "\"properties\":{\"type\":{\"type\":\"string\"},\"title\":" TEXT ","
    "\"status\":{\"type\":\"integer\"},\"detail\":" TEXT ",\"request_id\":"
    TEXT ",\"errors\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
    "\"required\":[\"field\",\"message\"],\"properties\":{\"document\":"
    INT64("0") ",\"line\":" INT64("1") ",\"field\":" TEXT ",\"message\":" TEXT
    "}}}}}",

    "Catalogue",
    "{\"type\":\"object\",\"required\":[\"items\"],\"properties\":{\"items\":"
    "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":"
    "[\"kind\",\"tenant\",\"name\",\"state\",\"audience\",\"id\"],"
    "\"properties\":{\"kind\":" TEXT ",\"tenant\":" TEXT ",\"name\":" TEXT
    ",\"title\":" TEXT ",\"version\":" TEXT ",\"state\":" TEXT ",\"audience\":"
    TEXT ",\"category\":" TEXT ",\"tags\":{\"type\":\"array\",\"items\":" TEXT
    "},\"contact\":" TEXT ",\"description\":" TEXT ",\"id\":" TEXT "}}},"
    "\"facets\":" ANY ",\"next\":" TEXT "}}",

    "SpecFinding",
    "{\"type\":\"object\",\"required\":[\"rule\",\"severity\",\"pointer\","
    "\"message\"],\"properties\":{\"rule\":" TEXT ",\"severity\":{\"type\":"
    "\"string\",\"enum\":[\"error\",\"warning\",\"info\"]},\"line\":"
    INT64("0") ",\"pointer\":" TEXT ",\"message\":" TEXT "}}",

    "SpecLint",
    "{\"type\":\"object\",\"required\":[\"findings\",\"counts\",\"total\"],"
    "\"properties\":{\"findings\":{\"type\":\"array\",\"items\":"
    REF("SpecFinding") "},\"counts\":" ANY ",\"total\":" INT64("0") "}}",

    "SpecDiff",
    "{\"type\":\"object\",\"required\":[\"breaking\",\"may_break\","
    "\"harmless\",\"truncated\",\"changes\"],\"properties\":{\"breaking\":"
    INT64("0") ",\"may_break\":" INT64("0") ",\"harmless\":" INT64("0")
    ",\"truncated\":{\"type\":\"boolean\"},\"changes\":{\"type\":\"array\","
    "\"items\":{\"type\":\"object\",\"required\":[\"verdict\",\"rule\","
    "\"where\",\"operation\",\"pointer\"],\"properties\":{\"verdict\":"
    "{\"type\":\"string\",\"enum\":[\"breaking\",\"may_break\","
    "\"harmless\"]},\"rule\":" TEXT ",\"where\":{\"type\":\"string\","
    "\"enum\":[\"request\",\"response\",\"operation\"]},\"operation\":" TEXT
    ",\"pointer\":" TEXT ",\"before\":true,\"after\":true}}}}}",

    "ApiDocument",
    "{\"type\":\"object\",\"required\":[\"number\",\"digest\",\"format\","
    "\"openapi\",\"bytes\"],\"properties\":{\"number\":" INT64("1")
    ",\"digest\":" TEXT ",\"format\":{\"type\":\"string\",\"enum\":[\"json\","
    "\"yaml\"]},\"openapi\":" TEXT ",\"title\":" TEXT ",\"version\":" TEXT
    ",\"operations\":" INT64("0") ",\"bytes\":" INT64("1")
    ",\"created_at\":" TIME ",\"created_by\":"
    "{\"type\":[\"string\",\"null\"]}}}",

    "Import",
    "{\"type\":\"object\",\"required\":[\"number\",\"digest\",\"changed\","
    "\"imported\",\"lint\"],\"properties\":{\"number\":" INT64("1")
    ",\"digest\":" TEXT ",\"changed\":{\"type\":\"boolean\"},\"imported\":"
    ANY ",\"lint\":" ANY ",\"diff\":" REF("SpecDiff") ",\"findings\":"
    "{\"type\":\"array\",\"items\":" REF("SpecFinding") "}}}",
    "Session",
    "{\"type\":\"object\",\"required\":[\"id\",\"how\",\"ends_at\"],"
    "\"properties\":{\"id\":" TEXT ",\"how\":" TEXT ",\"address\":" TEXT
    ",\"agent\":" TEXT ",\"auth_at\":" TIME ",\"created_at\":" TIME
    ",\"last_at\":" TIME ",\"ends_at\":" TIME ",\"idle_ends_at\":" TIME
    ",\"current\":{\"type\":\"boolean\"},\"user\":" REF("User") "}}",

    "FeedLine",
    "{\"oneOf\":[{\"type\":\"object\",\"required\":[\"feed\",\"epoch\","
    "\"rev\"],\"properties\":{\"feed\":{\"const\":1},\"epoch\":" TEXT ","
    "\"rev\":" INT64("0") "}},{\"type\":\"object\",\"required\":[\"key\","
    "\"rev\",\"kind\"],\"properties\":{\"key\":" TEXT ",\"rev\":" INT64("1")
    ",\"kind\":" TEXT ",\"body\":" ANY ",\"deleted\":{\"const\":true}}},"
    "{\"type\":\"object\",\"required\":[\"end\",\"rev\"],\"properties\":"
    "{\"end\":{\"const\":true},\"rev\":" INT64("0") "}}]}",

    "GatewayStatusAnswer",
    "{\"type\":\"object\",\"required\":[\"rev\",\"interval_ms\"],"
    "\"properties\":{\"rev\":" INT64("0") ",\"interval_ms\":" INT64("1")
    "}}",

    "UsageAnswer",
    "{\"type\":\"object\",\"required\":[\"applied\"],\"properties\":"
    "{\"applied\":{\"type\":\"boolean\"}}}",

    "NewsAnswer",
    "{\"type\":\"object\",\"required\":[\"applied\",\"refused\","
    "\"interval_ms\"],\"properties\":{\"applied\":{\"type\":\"boolean\"},"
    "\"refused\":" INT64("0") ",\"interval_ms\":" INT64("1") "}}",

    "ApprovalAnswer",
    "{\"type\":\"object\",\"required\":[\"says\"],\"properties\":"
    "{\"says\":{\"type\":\"string\",\"enum\":[\"pending\",\"run\","
    "\"approved\",\"denied\",\"full\"]},\"id\":" TEXT ",\"expires_ms\":"
    INT64("0") ",\"reason\":" TEXT "}}",

    "Questions",
    "{\"type\":\"object\",\"required\":[\"questions\"],\"properties\":"
    "{\"questions\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
    "\"required\":[\"id\",\"tenant\"],\"properties\":{\"id\":" TEXT
    ",\"tenant\":" TEXT ",\"trace\":" TEXT ",\"traces\":" INT64("1")
    ",\"explain\":" ANY ",\"follow\":" ANY "}}}}}",

    "Trace",
    "{\"type\":\"object\",\"required\":[\"request_id\",\"status\","
    "\"steps\"],\"properties\":{\"request_id\":" TEXT ",\"status\":"
    INT64("0") ",\"code\":" TEXT ",\"limits\":{\"type\":\"array\","
    "\"items\":" ANY "},\"steps\":{\"type\":\"array\",\"items\":"
    "{\"type\":\"object\",\"required\":[\"step\",\"verdict\"],"
    "\"properties\":{\"step\":" TEXT ",\"verdict\":" TEXT ",\"type\":" TEXT
    ",\"policy\":" TEXT ",\"from\":" TEXT "}}}}}",

    "Explain",
    "{\"type\":\"object\",\"required\":[\"method\",\"url\"],"
    "\"additionalProperties\":false,\"properties\":{\"method\":"
    "{\"type\":\"string\",\"pattern\":\"^[A-Z_-]{1,32}$\"},\"url\":"
    TEXT_MAX("8192") ",\"headers\":{\"type\":\"object\","
    "\"maxProperties\":64,\"additionalProperties\":" TEXT "},\"body\":"
    TEXT_MAX("16384") ",\"address\":" TEXT_MAX("45") ",\"credential\":"
    TEXT_MAX("16") ",\"digest\":{\"type\":\"string\",\"pattern\":"
    "\"^[0-9a-f]{64}$\"},\"gateway_group\":" TEXT_MAX("63") "}}",

    "Explained",
    "{\"type\":\"object\",\"required\":[\"verdict\",\"steps\"],"
    "\"properties\":{\"verdict\":{\"type\":\"string\",\"enum\":"
    "[\"allowed\",\"refused\",\"answered\",\"unknown\"]},\"status\":"
    INT64("0") ",\"code\":" TEXT ",\"limits\":{\"type\":\"array\","
    "\"items\":" ANY "},\"steps\":{\"type\":\"array\",\"items\":"
    "{\"type\":\"object\",\"required\":[\"step\",\"verdict\"],"
    "\"properties\":{\"step\":" TEXT ",\"verdict\":" TEXT ",\"type\":" TEXT
    ",\"policy\":" TEXT ",\"from\":" TEXT ",\"why\":" TEXT ",\"of\":"
    INT64("0") ",\"left\":" INT64("0") ",\"reset_ms\":" INT64("0")
    "}}}}}",

    "UsageSums",
    "{\"type\":\"object\",\"required\":[\"from\",\"to\",\"items\"],"
    "\"properties\":{\"from\":" TIME ",\"to\":" TIME ",\"zone\":" TEXT
    ",\"items\":{\"type\":"
    "\"array\",\"items\":{\"type\":\"object\",\"required\":[\"requests\"],"
    "\"properties\":{\"start\":" TIME ",\"publisher\":{\"type\":"
    "[\"string\",\"null\"]},\"consumer\":{\"type\":[\"string\",\"null\"]},"
    "\"credential\":{\"type\":[\"string\",\"null\"]},\"application\":"
    "{\"type\":[\"string\",\"null\"]},\"subscription\":{\"type\":"
    "[\"string\",\"null\"]}"
    ",\"api\":{\"type\":[\"string\",\"null\"]},\"operation\":{\"type\":"
    "[\"string\",\"null\"]},\"tool\":{\"type\":[\"string\",\"null\"]}"
    ",\"status\":" TEXT ",\"refused\":{\"type\":[\"string\",\"null\"]},"
    "\"model\":{\"type\":[\"string\",\"null\"]},"
    "\"requests\":" INT64("0") ",\"c2xx\":" INT64("0") ",\"c3xx\":"
    INT64("0") ",\"c4xx\":" INT64("0") ",\"c5xx\":" INT64("0")
    ",\"bytes_in\":" INT64("0") ",\"bytes_out\":" INT64("0")
    ",\"tokens_in\":" INT64("0") ",\"tokens_out\":" INT64("0")
    ",\"tokens_cached\":" INT64("0") ",\"p50_us\":"
    INT64("0") ",\"p95_us\":" INT64("0") ",\"p99_us\":" INT64("0")
    "}}}}}",

    "QuotaWindow",
    "{\"type\":\"object\",\"required\":[\"limit\",\"used\",\"remaining\","
    "\"reset_at\"],\"properties\":{\"limit\":" INT64("1") ",\"used\":"
    INT64("0") ",\"remaining\":" INT64("0") ",\"reset_at\":" TIME "}}",

    "QuotaLeft",
    "{\"type\":\"object\",\"required\":[\"subscription\",\"application\","
    "\"plan\",\"state\"],\"properties\":{\"subscription\":" TEXT
    ",\"application\":" TEXT ",\"target_tenant\":" TEXT ",\"api\":" TEXT
    ",\"server\":" TEXT ",\"plan\":" TEXT ",\"state\":" TEXT
    ",\"limit_by\":{\"type\":\"string\",\"enum\":[\"subscription\","
    "\"application\",\"credential\"]},\"day\":" REF("QuotaWindow")
    ",\"month\":" REF("QuotaWindow") ",\"credentials\":{\"type\":\"array\","
    "\"items\":{\"type\":\"object\",\"required\":[\"credential\"],"
    "\"properties\":{\"credential\":" TEXT ",\"day\":" REF("QuotaWindow")
    ",\"month\":" REF("QuotaWindow") "}}},"
    "\"truncated\":{\"type\":\"boolean\"}}}",

    "Whoami",
    "{\"type\":\"object\",\"required\":[\"id\",\"name\",\"kind\","
    "\"permissions\",\"grants\"],\"properties\":{\"id\":" TEXT ",\"name\":"
    TEXT ",\"kind\":{\"type\":\"string\",\"enum\":[\"admin_token\","
    "\"user\"]},\"role\":" TEXT ",\"tenant\":" TEXT ",\"permissions\":" TEXTS
    ",\"grants\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
    "\"required\":[\"roles\",\"permissions\"],\"properties\":{\"tenant\":"
    TEXT ",\"permissions\":" TEXTS ",\"roles\":{\"type\":\"array\","
    "\"items\":{\"type\":\"object\",\"required\":[\"role\",\"from\"],"
    "\"properties\":{\"role\":" TEXT ",\"from\":{\"type\":\"string\","
    "\"enum\":[\"here\",\"claim\"]}}}}}}}}}",

    "TenantLimits",
    "{\"type\":\"object\",\"required\":[\"items\"],\"properties\":"
    "{\"items\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
    "\"required\":[\"kind\",\"used\"],\"properties\":{\"kind\":" TEXT
    ",\"used\":" INT64("0") ",\"limit\":" INT64("1") "}}}}}",

    "CanI",
    "{\"type\":\"object\",\"required\":[\"allowed\",\"permission\"],"
    "\"properties\":{\"allowed\":{\"type\":\"boolean\"},\"permission\":" TEXT
    ",\"tenant\":" TEXT ",\"tenants\":" TEXTS "}}",

    "AuditEvents",
    "{\"type\":\"object\",\"required\":[\"items\"],\"properties\":"
    "{\"items\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
    "\"required\":[\"at\",\"action\",\"kind\",\"diff\"],\"properties\":"
    "{\"at\":" TIME ",\"tenant\":" TEXT ",\"action\":" TEXT ",\"kind\":" TEXT
    ",\"diff\":" ANY ",\"hash\":" TEXT ",\"address\":" TEXT
    ",\"erased\":{\"type\":\"boolean\"}}}},\"next\":{\"type\":[\"string\","
    "\"null\"]}}}",

    "IdentityProvider",
    "{\"type\":\"object\",\"required\":[\"issuer\",\"state\",\"keys\"],"
    "\"properties\":{\"issuer\":" TEXT ",\"state\":{\"type\":\"string\","
    "\"enum\":[\"pending\",\"ok\",\"away\"]},\"keys\":" INT64("0")
    ",\"since\":" TIME ",\"keys_at\":" TIME ",\"error\":" TEXT
    ",\"owners\":{\"type\":\"object\",\"required\":[\"state\",\"tied\","
    "\"disowned\",\"took_ms\"],\"properties\":{\"state\":{\"type\":"
    "\"string\",\"enum\":[\"pending\",\"ok\",\"failing\"]},\"tied\":"
    INT64("0") ",\"disowned\":" INT64("0") ",\"took_ms\":" INT64("0")
    ",\"at\":" TIME ",\"good_at\":" TIME ",\"age_s\":" INT64("0")
    ",\"error\":" TEXT ",\"events\":{\"type\":\"object\",\"required\":"
    "[\"state\"],\"properties\":{\"state\":{\"type\":\"string\",\"enum\":"
    "[\"pending\",\"ok\",\"failing\"]},\"at\":" TIME ",\"age_s\":"
    INT64("0") ",\"error\":" TEXT "}}}}}}",

    "Mails",
    "{\"type\":\"object\",\"required\":[\"items\",\"enabled\"],"
    "\"properties\":{\"enabled\":{\"type\":\"boolean\"},"
    "\"items\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
    "\"required\":[\"id\",\"to\",\"state\",\"tries\",\"created_at\","
    "\"updated_at\"],\"properties\":{\"id\":" TEXT ",\"to\":" TEXT
    ",\"state\":{\"type\":\"string\",\"enum\":[\"waiting\",\"sent\","
    "\"failed\"]},\"tries\":" INT64("0") ",\"next_at\":" TIME ",\"error\":"
    TEXT ",\"created_at\":" TIME ",\"updated_at\":" TIME "}}},\"next\":"
    TEXT "}}",

    "Notices",
    "{\"type\":\"object\",\"required\":[\"items\",\"unread\"],\"properties\":"
    "{\"unread\":" INT64("0") ",\"next\":" TEXT ",\"items\":{\"type\":"
    "\"array\",\"items\":{\"type\":\"object\",\"required\":[\"id\",\"at\","
    "\"tenant\",\"kind\",\"text\",\"about\",\"read\"],\"properties\":"
    "{\"id\":" TEXT ",\"at\":" TIME ",\"tenant\":" TEXT ",\"kind\":" TEXT
    ",\"text\":" TEXT ",\"about\":{\"type\":\"object\",\"properties\":"
    "{\"kind\":" TEXT ",\"id\":" TEXT "}},\"read\":{\"type\":\"boolean\"}"
    "}}}}}",

    "NoticesRead",
    "{\"type\":\"object\",\"properties\":{\"ids\":{\"type\":\"array\","
    "\"maxItems\":500,\"items\":" TEXT "},\"upto\":"
    "{\"type\":[\"string\",\"null\"]}}}",

    "NoticeSettings",
    "{\"type\":\"object\",\"properties\":{\"mail\":{\"type\":[\"string\","
    "\"null\"]},\"kinds\":{\"type\":[\"array\",\"null\"],\"maxItems\":16,"
    "\"items\":" TEXT "}}}",

    "Bulk",
    "{\"type\":\"object\",\"required\":[\"event\"],\"additionalProperties\":"
    "false,\"properties\":{\"event\":{\"type\":\"string\",\"minLength\":1,"
    "\"maxLength\":32},\"reason\":{\"type\":\"string\",\"maxLength\":500},"
    "\"ids\":{\"type\":\"array\",\"maxItems\":500,\"items\":" TEXT "},"
    "\"expected\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":500}}}",

    "BulkAnswer",
    "{\"type\":\"object\",\"required\":[\"done\",\"failed\",\"items\"],"
    "\"properties\":{\"done\":" INT64("0") ",\"failed\":" INT64("0")
    ",\"items\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
    "\"required\":[\"id\",\"result\"],\"properties\":{\"id\":" TEXT
    ",\"result\":{\"type\":\"string\",\"enum\":[\"done\",\"failed\"]},"
    "\"state\":" TEXT ",\"code\":" TEXT ",\"detail\":" TEXT "}}}}}",

    "Inbox",
    "{\"type\":\"object\",\"required\":[\"items\",\"total\",\"counts\"],"
    "\"properties\":{\"total\":" INT64("0") ",\"counts\":{\"type\":"
    "\"object\",\"additionalProperties\":" INT64("0") "},\"next\":" TEXT
    ",\"items\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
    "\"required\":[\"kind\",\"id\",\"tenant\",\"since\",\"events\","
    "\"path\",\"resource\"],\"properties\":{\"kind\":" TEXT ",\"id\":" TEXT
    ",\"tenant\":" TEXT ",\"since\":" TIME ",\"events\":{\"type\":"
    "\"array\",\"items\":" TEXT "},\"path\":" TEXT ",\"resource\":" ANY
    "}}}}}",

    "KeysImport",
    "{\"type\":\"object\",\"required\":[\"keys\"],\"additionalProperties\":"
    "false,\"properties\":{\"keys\":{\"type\":\"array\",\"minItems\":1,"
    "\"maxItems\":1000,\"items\":{\"type\":\"object\",\"required\":"
    "[\"sha256\",\"prefix\"],\"additionalProperties\":false,"
    "\"properties\":{\"sha256\":"
    "{\"type\":\"string\",\"minLength\":64,\"maxLength\":64},\"prefix\":"
    "{\"type\":\"string\",\"maxLength\":48},\"last4\":{\"type\":\"string\","
    "\"maxLength\":4},\"title\":{\"type\":\"string\",\"maxLength\":200},"
    "\"expires_at\":" TIME "}}}}}",

    "KeysImported",
    "{\"type\":\"object\",\"required\":[\"items\"],\"properties\":{\"items\":"
    "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":"
    "[\"index\",\"result\"],\"properties\":{\"index\":" INT64("0")
    ",\"result\":{\"type\":\"string\",\"enum\":[\"created\",\"exists\","
    "\"failed\"]},\"id\":" TEXT ",\"code\":" TEXT ",\"detail\":" TEXT
    "}}}}}",

    "Leaks",
    "{\"type\":\"array\",\"maxItems\":1000,\"items\":{\"type\":\"object\","
    "\"properties\":{\"token\":" SECRET("") ",\"type\":" TEXT ",\"url\":" TEXT
    ",\"source\":" TEXT "}}}",

    "LeakLabels",
    "{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":"
    "[\"token_hash\",\"token_type\",\"label\"],\"properties\":"
    "{\"token_hash\":" TEXT ",\"token_type\":" TEXT ",\"label\":{\"type\":"
    "\"string\",\"enum\":[\"true_positive\",\"false_positive\"]}}}}",

    "Offers",
    "{\"type\":\"object\",\"required\":[\"items\"],\"properties\":{\"next\":"
    TEXT ",\"items\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
    "\"required\":[\"publisher\",\"plan\",\"apis\"],\"properties\":"
    "{\"publisher\":" TEXT ",\"plan\":" TEXT ",\"apis\":{\"type\":\"array\","
    "\"items\":" TEXT "}}}}}}",

    "PlanPreview",
    "{\"type\":\"object\",\"required\":[\"possible\",\"from\",\"used\"],"
    "\"properties\":{\"possible\":{\"type\":\"boolean\"},\"detail\":" TEXT
    ",\"from\":" ANY ",\"to\":" ANY ",\"changes\":" ANY ",\"used\":"
    "{\"type\":\"object\",\"properties\":{\"day\":" INT64("0")
    ",\"month\":" INT64("0") "}}}}",

    "ApplyAnswer",
    "{\"type\":\"object\",\"required\":[\"rev\",\"changes\"],\"properties\":"
    "{\"rev\":" INT64("0") ",\"changes\":{\"type\":\"array\",\"items\":"
    "{\"type\":\"object\",\"required\":[\"kind\",\"name\",\"action\"],"
    "\"properties\":{\"kind\":" TEXT ",\"tenant\":" TEXT ",\"name\":" TEXT
    ",\"action\":{\"type\":\"string\",\"enum\":[\"none\",\"create\","
    "\"update\",\"delete\"]},\"diff\":{\"type\":\"array\",\"items\":"
    "{\"type\":\"object\",\"required\":[\"field\"],\"properties\":"
    "{\"field\":" TEXT ",\"before\":true,\"after\":true}}},"
    "\"held\":" TEXT ",\"unresolved\":{\"type\":\"array\",\"items\":" TEXT
    "}}}},\"state\":{\"type\":\"string\",\"enum\":"
    "[\"acked\",\"pending\",\"rejected\"]},\"away\":" INT64("0") ","
    "\"gateways\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
    "\"properties\":{\"name\":" TEXT ",\"rev\":" INT64("0") ",\"state\":"
    "{\"type\":\"string\",\"enum\":[\"acked\",\"pending\",\"rejected\","
    "\"stale\",\"offline\"]}}}},\"credentials\":" INT64("0")
    ",\"credentials_left\":" INT64("0") "}}",

    NULL
};
