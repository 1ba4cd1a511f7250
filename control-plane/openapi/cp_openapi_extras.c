/*
 * What the tables of routes and resources do not say: parameters, bodies and
 * answers of the routes that are no resource's.
 */

#include "openapi/cp_openapi_text.h"


#define JSON(schema)  "{\"application/json\":{\"schema\":" schema "}}"
#define OK_JSON(text, schema)                                                 \
    "{\"200\":{\"description\":\"" text "\",\"content\":" JSON(schema) "}}"
#define QUERY(name, schema, text)                                             \
    "{\"name\":\"" name "\",\"in\":\"query\",\"description\":\"" text         \
    "\",\"schema\":" schema "}"
#define PAGE(text)                                                            \
    QUERY("limit", "{\"type\":\"integer\",\"minimum\":1,\"maximum\":500}",    \
          text) ","                                                           \
    QUERY("cursor", CP_OPENAPI_CURSOR, "next of the page before")
#define NEEDED(name, text)                                                    \
    "{\"name\":\"" name "\",\"in\":\"query\",\"required\":true,"              \
    "\"description\":\"" text "\",\"schema\":" CP_OPENAPI_NAMED "}"

#define SECRET_MAX(n)  SECRET(",\"maxLength\":" n)
#define FLAG        CP_OPENAPI_FLAG
#define TOLD        CP_OPENAPI_TEXT
#define RPC         "{\"type\":[\"object\",\"array\"]}"
#define SINCE_1970                                                            \
    "{\"type\":\"string\",\"format\":\"date-time\",\"pattern\":"              \
    "\"^(19[7-9]|[2-9][0-9]{2})[0-9]-\"}"

#define DONE  "{\"204\":{\"description\":\"done\"}}"

#define PROOF(required, more)                                                 \
    JSON("{\"type\":\"object\",\"required\":[\"password\"" required           \
         "],\"additionalProperties\":false,"                                  \
         "\"properties\":{\"password\":"                                      \
         SECRET_MAX("256") ",\"code\":" SECRET_MAX("32") more "}}")

#define DOCUMENTS                                                             \
    "{\"application/yaml\":{\"schema\":{}},\"application/json\":"             \
    "{\"schema\":{\"oneOf\":[{\"type\":\"null\"}," REF("Document")            \
    ",{\"type\":\"array\","                                                   \
    "\"maxItems\":10000,\"items\":{\"oneOf\":[{\"type\":\"null\"},"           \
    REF("Document") "]}}]}}}"

#define NO_TENANT                                                             \
    "\"404\":{\"$ref\":\"#/components/responses/Error404\"}"

#define OPENAPI                                                               \
    "{\"application/json\":{\"schema\":" ANY "},"                             \
    "\"application/yaml\":{\"schema\":" TEXT "}}"

/* Who has the link needs nothing else, but comes from our own page. */
#define BY_LINK(text)                                                         \
    "{\"200\":{\"description\":\"" text "\",\"content\":" JSON(ANY)           \
    "},\"403\":{\"$ref\":\"#/components/responses/Error403\"}," NO_TENANT "}"

/* Answers to a browser that goes there. */
#define BROWSER(text)                                                         \
    "{\"303\":{\"description\":\"" text "\",\"headers\":{\"Location\":"       \
    "{\"schema\":" TEXT "}}},\"401\":{\"$ref\":"                              \
    "\"#/components/responses/Error401\"},\"403\":{\"$ref\":"                 \
    "\"#/components/responses/Error403\"}," NO_TENANT "}"

#define NO_METHOD                                                             \
    "{\"405\":{\"description\":\"no streams or sessions\",\"content\":"       \
    "{\"application/problem+json\":{\"schema\":" REF("Problem") "}}}}"

#define PURGES(pattern)                                                       \
    "{\"type\":\"array\",\"minItems\":1,\"maxItems\":256,"                    \
    "\"items\":{\"type\":\"string\",\"minLength\":1,"                         \
    "\"maxLength\":256,\"pattern\":\"" pattern "\"}}"
#define PURGE_PATH  "^/[^?#\\\\u0000-\\\\u001f\\\\u007f]*$"

#define ONCE                                                                  \
    "{\"name\":\"Idempotency-Key\",\"in\":\"header\",\"description\":"        \
    "\"the same answer to the same request, for 24 hours\",\"schema\":"       \
    CP_OPENAPI_ONCE "}"

#define PASSPHRASE(text)                                                      \
    "{\"name\":\"Stoa-Passphrase\",\"in\":\"header\",\"description\":\""      \
    text "\",\"schema\":" SECRET(",\"minLength\":12,\"maxLength\":1024") "}"

#define PRUNE                                                                 \
    QUERY("prune", CP_OPENAPI_FLAG, "delete what is absent in the tenants"    \
          " that the documents name") ","                                     \
    QUERY("max_delete", "{\"type\":\"integer\",\"minimum\":0,\"maximum\":"    \
          "2147483647}", "refuse to delete more, default 10") ","             \
    QUERY("new", CP_OPENAPI_FLAG, "refuse what is there already, but for"     \
          " tenants: 409")

#define TIME_OR_DATE                                                          \
    "{\"anyOf\":[" SINCE_1970 ",{\"type\":\"string\",\"pattern\":"            \
    "\"^(19[7-9]|2[0-9]{2})[0-9]-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])$\"}]}"

#define OF_TENANTS                                                            \
    "names or ids, a comma between them; default: all of the caller"

#define USAGE_BY                                                              \
    "(application|subscription|api|operation|tool|refused|model|credential"   \
    "|tenant|status)"

#define USAGE                                                                 \
    QUERY("from", TIME_OR_DATE, "default: a day before to; the answer says"   \
          " from when on there is something") ","                             \
    QUERY("to", TIME_OR_DATE, "not included; default: now") ","               \
    QUERY("step", "{\"type\":\"string\",\"enum\":[\"minute\",\"hour\","       \
          "\"day\"]}", "an item per step; default: one sum") ","              \
    QUERY("zone", TEXT, "of dates, days and hours: UTC, +05:30 or"            \
          " Europe/Paris") ","                                                \
    QUERY("by", "{\"type\":\"string\",\"pattern\":\"^(" USAGE_BY "(," USAGE_BY\
          ")*,?)?$\"}", "list of application, subscription, api, operation,"  \
          " tool, refused, model, credential, tenant, status") ","            \
    QUERY("side", "{\"type\":\"string\",\"enum\":[\"published\","             \
          "\"consumed\"]}", "what others called here, or what the tenant's"   \
          " applications called; default: both") ","                          \
    QUERY("application", TEXT, "only this one: an id, or an own one's name")  \
    "," QUERY("subscription", TEXT, "only this one") ","                      \
    QUERY("api", TEXT, "only this one: an id, or an own one's name") ","      \
    QUERY("operation", TEXT, "only this one: an id, or a name in api") ","    \
    QUERY("tool", TEXT, "only this one: an id, or a name in api") ","         \
    QUERY("credential", TEXT, "only this key of an own application") ","      \
    QUERY("refused", TEXT, "only what was refused with this code") ","        \
    QUERY("model", TEXT, "only what this model of language answered") ","     \
    QUERY("status", "{\"type\":\"string\",\"enum\":[\"2xx\",\"3xx\","         \
          "\"4xx\",\"5xx\"]}", "only these") ","                              \
    QUERY("format", "{\"type\":\"string\",\"enum\":[\"json\",\"csv\"]}",      \
          "csv: a file, without a limit of items")

#define AUDIT_FILTERS                                                         \
    QUERY("since", SINCE_1970, "from then on") ","                            \
    QUERY("until", SINCE_1970, "not included") ","                            \
    QUERY("actor", TOLD, "name of the token, id of the user") ","             \
    QUERY("action", TOLD, "create, update, delete or an event") ","           \
    QUERY("kind", TOLD, "of the resource") ","                                \
    QUERY("resource", TOLD, "its id") ","                                     \
    QUERY("name", TOLD, "its name") ","                                       \
    QUERY("request_id", TOLD, "of the request")

#define USAGE_ANSWER                                                          \
    "{\"200\":{\"description\":\"sums\",\"content\":{\"application/json\":"   \
    "{\"schema\":" REF("UsageSums") "},\"text/csv\":{\"schema\":" TEXT "}}}," \
    NO_TENANT "}"

#define VERSION(more)                                                         \
    "{\"type\":\"object\",\"required\":[\"version\",\"at\",\"actor\","        \
    "\"current\"],\"properties\":{\"version\":" INT64("1") ",\"at\":" TIME    \
    ",\"actor\":" TEXT ",\"current\":{\"type\":\"boolean\"},\"diff\":"        \
    "{\"type\":[\"object\",\"null\"]}" more "}}"

#define VERSIONS(path, what)                                                  \
    { "GET " path "/versions", NULL, NULL,                                    \
      OK_JSON("each with what it changed",                                    \
              "{\"type\":\"object\",\"required\":[\"items\"],\"properties\":" \
              "{\"items\":{\"type\":\"array\",\"items\":"                     \
              VERSION("") "}}}") },                                           \
    { "GET " path "/versions/{version}", NULL, NULL,                          \
      OK_JSON("what it was; the diff is what restoring it would change",      \
              VERSION(",\"policy\":" REF(what))) }


const cp_openapi_extra_t  cp_openapi_extras[] = {

    { "GET /gateway/v1/feed",
      "[" QUERY("since", INT64("0"), "revision that is known; 0: none") ","
      QUERY("group", TOLD, "name of the group that the"
            " gateway must be in") ","
      QUERY("epoch", TOLD, "of the revision; needed with since") ","
      QUERY("wait", "{\"type\":\"integer\",\"minimum\":0,\"maximum\":60}",
            "seconds to hold the request while nothing is newer") "]",
      NULL,
      "{\"200\":{\"description\":\"a head line, the records in the order of"
      " their revisions, a line that closes it\",\"content\":"
      "{\"application/x-ndjson\":{\"schema\":" REF("FeedLine") "}}},"
      "\"410\":{\"description\":\"start again from 0\",\"content\":"
      "{\"application/problem+json\":{\"schema\":" REF("Problem") "}}}}" },

    { "POST /gateway/v1/status", NULL, JSON(REF("GatewayStatus")),
      OK_JSON("the head, and when to report again",
              REF("GatewayStatusAnswer")) },

    { "POST /gateway/v1/usage", NULL, JSON(REF("UsageBatch")),
      OK_JSON("applied is false when the batch was taken before",
              REF("UsageAnswer")) },

    { "POST /gateway/v1/news", NULL, JSON(REF("NewsBatch")),
      "{\"200\":{\"description\":\"applied is false when the batch was taken"
      " before\",\"content\":" JSON(REF("NewsAnswer")) "},\"429\":{\"$ref\":"
      "\"#/components/responses/Error429\"}}" },

    { "POST /gateway/v1/approvals", NULL, JSON(REF("ApprovalAsk")),
      OK_JSON("run: it may pass, once; approved: ask again without wait_s",
              REF("ApprovalAnswer")) },

    { "POST /gateway/v1/questions", NULL, JSON(REF("QuestionAnswers")),
      OK_JSON("what it is asked; Prefer: wait=25 waits for something",
              REF("Questions")) },

    { "GET /v1/tenants/{tenant}/traces", NULL, NULL,
      "{\"200\":{\"description\":\"the youngest first; answered is less than"
      " asked where a gateway has not answered in time\",\"content\":"
      JSON("{\"type\":\"object\",\"required\":[\"items\",\"asked\","
           "\"answered\"],\"properties\":{\"items\":{\"type\":\"array\","
           "\"items\":" REF("Trace") "},\"asked\":{\"type\":\"integer\"},"
           "\"answered\":{\"type\":\"integer\"}}}")
      "}," NO_TENANT ",\"429\":{\"$ref\":"
      "\"#/components/responses/Error429\"}}" },

    { "GET /v1/tenants/{tenant}/traces/{trace}", NULL, NULL,
      "{\"200\":{\"description\":\"what was asked of the call and what each"
      " said, as docs/explain.md has it\",\"content\":" JSON(REF("Trace"))
      "},\"404\":{\"description\":\"no gateway has it, or none any more\","
      "\"content\":{\"application/problem+json\":{\"schema\":"
      REF("Problem") "}}},\"429\":{\"$ref\":"
      "\"#/components/responses/Error429\"}}" },

    { "GET /v1/tenants/{tenant}/traces/live",
      "[" QUERY("after", CP_OPENAPI_TEXT, "instead of Last-Event-ID") ","
      QUERY("status", "{\"type\":\"string\",\"pattern\":"
            "\"^[1-5]([0-9][0-9]|xx)$\"}", "one, or a class as 4xx") ","
      QUERY("api", CP_OPENAPI_NAMED, "only its calls") "]", NULL,
      "{\"200\":{\"description\":\"events since Last-Event-ID, each a trace;"
      " it ends, and the client comes back\",\"content\":"
      "{\"text/event-stream\":{\"schema\":" TEXT "}}}," NO_TENANT
      ",\"429\":{\"$ref\":\"#/components/responses/Error429\"}}" },

    { "POST /v1/tenants/{tenant}/explain", NULL, JSON(REF("Explain")),
      "{\"200\":{\"description\":\"what its steps would say, as"
      " docs/explain.md has it\",\"content\":" JSON(REF("Explained"))
      "},\"404\":{\"description\":\"there is no such tenant, the tenant has"
      " no such credential, or no gateway serves the url\","
      "\"content\":{\"application/problem+json\":{\"schema\":"
      REF("Problem") "}}},\"429\":{\"$ref\":"
      "\"#/components/responses/Error429\"}}" },

    { "GET /v1/usage", "[" QUERY("tenant", TOLD, OF_TENANTS) "," USAGE "]",
      NULL, USAGE_ANSWER },
    { "POST /v1/session", NULL,
      JSON("{\"type\":\"object\",\"required\":[\"name\",\"password\"],"
           "\"additionalProperties\":false,\"properties\":{\"name\":"
           TEXT_MAX("254") ",\"password\":" SECRET_MAX("256")
           ",\"new_password\":" SECRET_MAX("256") ",\"code\":"
           SECRET_MAX("32") "}}"),
      "{\"201\":{\"description\":\"logged in: the cookie\",\"content\":"
      JSON(REF("Session")) "},\"401\":{\"$ref\":\"#/components/responses/"
      "Error401\"},\"403\":{\"$ref\":\"#/components/responses/Error403\"},"
      "\"429\":{\"$ref\":\"#/components/responses/Error429\"}}" },
    { "POST /v1/session/password", NULL, PROOF(",\"new_password\"",
      ",\"new_password\":" SECRET_MAX("256")),
      OK_JSON("the login, under another id", REF("Session")) },
    { "POST /v1/session/second-factor", NULL, PROOF("", ""),
      OK_JSON("the key, to be confirmed", ANY) },
    { "POST /v1/session/second-factor/confirm", NULL,
      JSON("{\"type\":\"object\",\"required\":[\"code\"],"
           "\"additionalProperties\":false,\"properties\":{\"code\":"
           SECRET_MAX("32") "}}"),
      OK_JSON("recovery codes, shown this once", ANY) },
    { "POST /v1/session/second-factor/remove", NULL, PROOF("", ""),
      OK_JSON("the login, under another id", REF("Session")) },
    { "POST /v1/session/recovery-codes", NULL, PROOF("", ""),
      OK_JSON("recovery codes, shown this once", ANY) },
    { "POST /v1/sign-up", NULL,
      JSON("{\"type\":\"object\",\"required\":[\"tenant\",\"name\",\"mail\","
           "\"password\"],\"additionalProperties\":false,\"properties\":"
           "{\"tenant\":" TEXT_MAX("63") ",\"name\":" TEXT_MAX("63")
           ",\"mail\":" TEXT_MAX("254") ",\"password\":" SECRET_MAX("256")
           ",\"title\":" TEXT_MAX("200") "}}"),
      "{\"201\":{\"description\":\"a person, active or waiting\","
      "\"content\":" JSON(ANY) "},\"403\":{\"$ref\":"
      "\"#/components/responses/Error403\"}," NO_TENANT "}" },
    { "POST /v1/invitation/look", NULL,
      JSON("{\"type\":\"object\",\"required\":[\"token\"],"
           "\"additionalProperties\":false,\"properties\":{\"token\":"
           SECRET_MAX("43") "}}"),
      BY_LINK("what it is for") },
    { "POST /v1/invitation/accept", NULL,
      JSON("{\"type\":\"object\",\"required\":[\"token\"],"
           "\"additionalProperties\":false,\"properties\":{\"token\":"
           SECRET_MAX("43") ",\"name\":" TEXT_MAX("63") ",\"title\":"
           TEXT_MAX("200") ",\"password\":" SECRET_MAX("256") "}}"),
      BY_LINK("accepted") },
    { "GET /v1/session/ways", NULL, NULL,
      OK_JSON("by a password, at the provider", ANY) },
    { "GET /v1/session/oidc",
      "[" QUERY("to", TEXT, "where to go on: a path here, else home") "]",
      NULL, BROWSER("to the provider") },
    { "GET /v1/session/oidc/callback",
      "[" QUERY("state", TEXT, "of the attempt") ","
      QUERY("code", TEXT, "of the provider") ","
      QUERY("iss", TEXT, "who the provider is") ","
      QUERY("error", TEXT, "why there is no code") "]",
      NULL, BROWSER("logged in: to where it was to go on") },
    { "POST /v1/session/oidc/logout", NULL, NULL,
      OK_JSON("where a browser goes to log out there, too",
              "{\"type\":\"object\",\"required\":[\"location\"],"
              "\"properties\":{\"location\":" TEXT "}}") },
    { "POST /v1/session/oidc/backchannel-logout", NULL,
      "{\"application/x-www-form-urlencoded\":{\"schema\":{\"type\":"
      "\"object\",\"required\":[\"logout_token\"],\"properties\":"
      "{\"logout_token\":" TEXT "}}}}",
      "{\"200\":{\"description\":\"those logins are over\"}," NO_TENANT "}" },
    { "GET /v1/session", NULL, NULL,
      OK_JSON("the login", REF("Session")) },
    { "DELETE /v1/session", NULL, NULL, DONE },
    { "GET /v1/sessions", NULL, NULL,
      OK_JSON("the own logins",
              "{\"type\":\"object\",\"required\":[\"items\"],\"properties\":"
              "{\"items\":{\"type\":\"array\",\"items\":" REF("Session")
              "}}}") },
    { "DELETE /v1/sessions", NULL, NULL, DONE },
    { "DELETE /v1/sessions/{session}", NULL, NULL, DONE },


    { "GET /v1/tenants/{tenant}/usage", "[" USAGE "]", NULL, USAGE_ANSWER },

    { "GET /v1/tenants/{tenant}/applications/{application}/quota", NULL, NULL,
      OK_JSON("by what gateways have reported; without a day or a month there"
              " is no such quota",
              "{\"type\":\"object\",\"required\":[\"items\"],\"properties\":"
              "{\"items\":{\"type\":\"array\",\"items\":" REF("QuotaLeft")
              "}}}") },

    { "GET /v1/tenants/{tenant}/subscriptions/{subscription}/quota", NULL,
      NULL, OK_JSON("the same of one", REF("QuotaLeft")) },

    { "GET /platform/v1/apis",
      "[" QUERY("query", TOLD, "words to look for") ","
      QUERY("kind", "{\"type\":\"string\",\"enum\":[\"rest\",\"mcp\","
            "\"server\"]}", "only these") ","
      QUERY("limit", INT64("1"), "at most so many") "]", NULL,
      OK_JSON("what the application may see", ANY) },

    { "GET /platform/v1/usage",
      "[" QUERY("days", INT64("1"), "of the last so many days") "]", NULL,
      OK_JSON("sums", ANY) },

    { "POST /v1/apply",
      "[" QUERY("dry_run", CP_OPENAPI_FLAG, "change nothing") "," PRUNE ","
      QUERY("wait", CP_OPENAPI_WAIT,
            "how long to wait for the gateways: 5s, 500ms")
      "," ONCE "]",
      DOCUMENTS,
      "{\"200\":{\"description\":\"done; every online gateway has it\","
      "\"content\":" JSON(REF("ApplyAnswer")) "},\"202\":{\"description\":"
      "\"done; some gateways do not have it yet\",\"content\":"
      JSON(REF("ApplyAnswer")) "}," NO_TENANT "}" },

    { "POST /v1/diff", "[" PRUNE "]", DOCUMENTS,
      "{\"200\":{\"description\":\"what would change\",\"content\":"
      JSON(REF("ApplyAnswer")) "}," NO_TENANT "}" },

    { "POST /v1/tenants/{tenant}/effective-policies", NULL,
      JSON("{\"type\":\"object\",\"required\":[\"name\"],\"properties\":"
           "{\"name\":{\"type\":\"string\",\"minLength\":1},\"remove\":"
           "{\"type\":\"boolean\"}}}"),
      OK_JSON("what applies before and after, and what is another",
              "{\"type\":\"object\",\"required\":[\"before\",\"after\","
              "\"changes\"],\"properties\":{\"before\":{\"type\":\"array\"},"
              "\"after\":{\"type\":\"array\"},\"changes\":{\"type\":\"array\","
              "\"items\":{\"type\":\"object\",\"required\":"
              "[\"action\",\"type\"],"
              "\"properties\":{\"action\":{\"type\":\"string\",\"enum\":"
              "[\"added\",\"removed\",\"changed\"]}}}}}}") },
    VERSIONS("/v1/policies/{global_policy}", "GlobalPolicyPatch"),
    VERSIONS("/v1/tenants/{tenant}/policies/{policy}", "PolicyPatch"),

    { "POST /v1/tenants/{tenant}/policy-sets/{policy_set}/preview", NULL,
      JSON(REF("PolicySetPatch")),
      OK_JSON("what would become of its policies", "{\"type\":\"object\","
              "\"required\":[\"version\",\"latest\",\"changes\"],"
              "\"properties\":{\"version\":" INT64("1") ",\"latest\":"
              INT64("1") ",\"changes\":{\"type\":\"array\",\"items\":"
              "{\"type\":\"object\",\"required\":[\"policy\",\"action\","
              "\"diff\"],\"properties\":{\"policy\":" TEXT ",\"action\":"
              "{\"type\":\"string\",\"enum\":[\"added\",\"removed\","
              "\"changed\"]},\"diff\":{\"type\":\"object\"}}}}}}") },

    { "POST /v1/gateway-groups/{gateway_group}/rotate", NULL,
      JSON("{\"type\":\"object\",\"additionalProperties\":false,"
           "\"properties\":{\"lead_s\":{\"type\":\"integer\",\"minimum\":0,"
           "\"maximum\":86400,\"default\":120}}}"),
      OK_JSON("the new key, as others may know it", ANY) },

    { "GET /v1/dump",
      "[" QUERY("tenant", TOLD, OF_TENANTS) "]", NULL,
      "{\"200\":{\"description\":\"a stream of documents\",\"content\":"
      "{\"application/yaml\":{\"schema\":" TEXT "}}}}" },

    { "GET /v1/whoami", NULL, NULL,
      OK_JSON("who the caller is, and where it may do what", REF("Whoami")) },

    { "POST /v1/tenants/{tenant}/export",
      "[" PASSPHRASE("seals values of secrets and digests of keys, which are"
                     " left out without it; needs tenant:write") "]", NULL,
      "{\"200\":{\"description\":\"a stream of documents\",\"content\":"
      "{\"application/yaml\":{\"schema\":" TEXT "}}}}" },

    { "POST /v1/tenant-imports",
      "[" QUERY("name", TEXT, "of the new tenant; default: its old one") ","
      QUERY("wait", CP_OPENAPI_WAIT,
            "how long to wait for the gateways: 5s, 500ms") ","
      PASSPHRASE("of the export") "," ONCE "]",
      DOCUMENTS,
      "{\"200\":{\"description\":\"done; every online gateway has it\","
      "\"content\":" JSON(REF("ApplyAnswer")) "},\"202\":{\"description\":"
      "\"done; some gateways do not have it yet\",\"content\":"
      JSON(REF("ApplyAnswer")) "}}" },

    { "GET /v1/tenants/{tenant}/limits", NULL, NULL,
      OK_JSON("a row per kind; without limit there is none",
              REF("TenantLimits")) },

    { "GET /v1/can-i",
      "[" NEEDED("verb", "list, get, create, update, delete or an event")
      "," NEEDED("kind", "of a resource; or usage, audit, apply") ","
      QUERY("tenant", TEXT, "where; default: anywhere") ","
      QUERY("user", TEXT, "somebody else, by the roles that he holds here")
      "]", NULL,
      OK_JSON("whether, and by which permission", REF("CanI")) },

    { "GET /v1/audit",
      "[" QUERY("tenant", TOLD, OF_TENANTS "; empty: the platform's own") ","
      AUDIT_FILTERS ","
      QUERY("order", "{\"type\":\"string\",\"enum\":[\"desc\",\"asc\"]}",
            "youngest first, or oldest") ","
      QUERY("limit", "{\"type\":\"integer\",\"minimum\":1,\"maximum\":500,"
            "\"default\":100}", "events of a page") ","
      QUERY("cursor", CP_OPENAPI_CURSOR, "next of the page before") "]", NULL,
      OK_JSON("events", REF("AuditEvents")) },

    { "GET /v1/audit/export",
      "[" QUERY("tenant", TOLD, OF_TENANTS "; empty: the platform's own") ","
      AUDIT_FILTERS ","
      QUERY("format", "{\"type\":\"string\",\"enum\":[\"ndjson\",\"csv\"]}",
            "default: ndjson") "]", NULL,
      "{\"200\":{\"description\":\"a line per event\",\"content\":"
      "{\"application/x-ndjson\":{\"schema\":" TEXT "},\"text/csv\":"
      "{\"schema\":" TEXT "}}}}" },

    { "GET /v1/audit/checkpoint",
      "[" QUERY("tenant", TOLD, "name or id") "]", NULL,
      OK_JSON("what is signed, by which key", ANY) },

    { "POST /v1/audit/checkpoint",
      "[" QUERY("accept", CP_OPENAPI_FLAG, "sign also what is not what was"
                " signed before") "]", NULL,
      OK_JSON("what is signed, by which key", ANY) },

    { "POST /v1/audit/verify", NULL, JSON("{}"),
      OK_JSON("whether the log has what the checkpoint says", ANY) },

    { "POST /v1/audit/erasures", NULL,
      JSON("{\"type\":\"object\",\"required\":[\"person\"],\"properties\":"
           "{\"person\":{\"type\":\"string\",\"pattern\":"
           "\"^[0-9a-hjkmnp-tv-z]{16}$\"}}}"),
      OK_JSON("what is kept", ANY) },

    { "GET /v1/audit/verify",
      "[" QUERY("tenant", TOLD, OF_TENANTS) "]", NULL,
      OK_JSON("whether the chains are whole", ANY) },

    { "POST /v1/tenants/{tenant}/apis/{api}/discover", "[" ONCE "]", NULL,
      "{\"200\":{\"description\":\"what was read\",\"content\":" JSON(ANY)
      "},\"202\":{\"description\":\"what was read before; the reading goes"
      " on\",\"content\":" JSON(ANY) "}}" },

    { "POST /v1/tenants/{tenant}/apis/{api}/cache/purge", NULL,
      JSON("{\"type\":\"object\",\"additionalProperties\":false,"
           "\"minProperties\":1,\"properties\":{\"all\":"
           "{\"type\":\"boolean\",\"enum\":[true]},"
           "\"paths\":" PURGES(PURGE_PATH) ","
           "\"prefixes\":" PURGES(PURGE_PATH) ","
           "\"tags\":" PURGES("^[^ ,\\\\u0000-\\\\u001f\\\\u007f]+$") "}}"),
      OK_JSON("what is purged; gateways have it with Stoa-Revision", ANY) },

    { "GET /v1/identity-provider", NULL, NULL,
      "{\"200\":{\"description\":\"how it is\",\"content\":"
      JSON(REF("IdentityProvider")) "}," NO_TENANT "}" },

    { "GET /v1/mails",
      "[" QUERY("state", "{\"type\":\"string\",\"enum\":[\"waiting\","
            "\"sent\",\"failed\"]}", "only these") ","
      PAGE("of a page") "]", NULL,
      OK_JSON("mails, without their texts", REF("Mails")) },

    { "POST /v1/mails/test", NULL,
      JSON("{\"type\":\"object\",\"required\":[\"to\"],\"properties\":"
           "{\"to\":{\"type\":\"string\",\"maxLength\":254}}}"),
      "{\"202\":{\"description\":\"it waits to be sent\",\"content\":"
      JSON(ANY) "}}" },
    { "GET /v1/catalogue",
      "[" QUERY("q", TEXT, "words, or their beginnings, that all occur") ","
      QUERY("kind", TEXT, "rest, mcp or server") ","
      QUERY("tag", TEXT, "only what has it") ","
      QUERY("category", TEXT, "only what is in it") ","
      QUERY("audience", TEXT, "internal, public or partner") ","
      QUERY("state", TEXT, "draft, published ...") ","
      "{\"name\":\"tenant\",\"in\":\"query\",\"description\":"
      "\"only what it offers\",\"schema\":" TEXT "},"
      QUERY("facets", FLAG, "how many there are of each kind, tenant,"
            " audience, state, category and tag") ","
      PAGE("items of a page") "]", NULL,
      OK_JSON("what is there, the youngest first", REF("Catalogue")) },

    { "POST /v1/specs/lint", NULL, OPENAPI,
      OK_JSON("what a reviewer would say", REF("SpecLint")) },

    { "POST /v1/specs/diff", NULL,
      JSON("{\"type\":\"object\",\"required\":[\"old\",\"new\"],"
           "\"properties\":{\"old\":" ANY ",\"new\":" ANY "}}"),
      OK_JSON("what changes", REF("SpecDiff")) },

    { "GET /v1/tenants/{tenant}/apis/{api}/documents", NULL, NULL,
      OK_JSON("what is kept", "{\"type\":\"object\",\"required\":[\"items\"],"
              "\"properties\":{\"items\":{\"type\":\"array\",\"items\":"
              REF("ApiDocument") "}}}") },

    { "POST /v1/tenants/{tenant}/apis/{api}/documents",
      "[" QUERY("dry_run", FLAG, "change nothing, tell all") ","
      QUERY("operations", "{\"type\":\"string\",\"enum\":[\"replace\","
            "\"add\",\"none\"]}", "make the api's operations those of the"
            " document (replace), take none away, or leave them alone") ","
      QUERY("wait", CP_OPENAPI_WAIT,
            "how long to wait for the gateways: 5s, 500ms")
      "," ONCE "]", OPENAPI,
      "{\"200\":{\"description\":\"a dry run, or the newest document again\","
      "\"content\":" JSON(REF("Import")) "},\"201\":{\"description\":"
      "\"a new document\",\"content\":" JSON(REF("Import")) "}}" },

    { "GET /v1/tenants/{tenant}/apis/{api}/documents/{number}", NULL, NULL,
      "{\"200\":{\"description\":\"the text as it was sent\",\"content\":"
      "{\"application/json\":{\"schema\":" ANY "},\"application/yaml\":"
      "{\"schema\":" TEXT "}}},\"304\":{\"description\":\"it is known\"}}" },

    { "GET /v1/tenants/{tenant}/apis/{api}/document-diff",
      "[{\"name\":\"from\",\"in\":\"query\",\"required\":true,"
      "\"description\":\"number of the older one\",\"schema\":" TEXT "},"
      QUERY("to", TEXT, "number of the other; default: latest") "]", NULL,
      OK_JSON("what changes", REF("SpecDiff")) },

    { "POST /v1/subscriptions/bulk", "[" QUERY("state", TOLD, "only these") ","
      QUERY("application", TOLD, "its id, or its name in the tenant") ","
      QUERY("target_tenant", TOLD, "whose api or server") ","
      QUERY("api", TOLD, "its id, or its name there") ","
      QUERY("server", TOLD, "its id, or its name there") ","
      QUERY("plan", TOLD, "its id, or its name there") "]", JSON(REF("Bulk")),
      "{\"200\":{\"description\":\"what became of each\",\"content\":"
      JSON(REF("BulkAnswer")) "}," NO_TENANT "}" },

    { "POST /v1/credentials/bulk", "[" QUERY("state", TOLD, "only these") ","
      QUERY("env", TOLD, "only these") ","
      QUERY("prefix", TOLD, "only these") "]", JSON(REF("Bulk")),
      "{\"200\":{\"description\":\"what became of each\",\"content\":"
      JSON(REF("BulkAnswer")) "}," NO_TENANT "}" },

    { "POST /v1/approvals/bulk", "[" QUERY("state", TOLD, "only these") ","
      QUERY("tool", TOLD, "only these") "]", JSON(REF("Bulk")),
      "{\"200\":{\"description\":\"what became of each\",\"content\":"
      JSON(REF("BulkAnswer")) "}," NO_TENANT "}" },

    { "POST /v1/tenants/{tenant}/applications/{application}/credentials"
      "/import", NULL, JSON(REF("KeysImport")),
      OK_JSON("what became of each", REF("KeysImported")) },

    { "POST /v1/leaked-keys", NULL, JSON(REF("Leaks")),
      "{\"200\":{\"description\":\"what each is\",\"content\":"
      JSON(REF("LeakLabels")) "},\"401\":{\"description\":\"not signed by a"
      " key that is known\",\"content\":{\"application/problem+json\":"
      "{\"schema\":" REF("Problem") "}}},\"404\":{\"description\":\"nobody"
      " reports here\",\"content\":{\"application/problem+json\":"
      "{\"schema\":" REF("Problem") "}}}}" },

    { "GET /v1/tenants/{tenant}/offers",
      "[" QUERY("publisher", TOLD, "only this tenant's") ","
      PAGE("of a page") "]", NULL,
      OK_JSON("plans, with the apis that they are for", REF("Offers")) },

    { "POST /v1/tenants/{tenant}/subscriptions/{subscription}/plan-preview",
      NULL, JSON("{\"type\":\"object\",\"required\":[\"plan\"],"
           "\"additionalProperties\":false,\"properties\":{\"plan\":" TEXT
           "}}"),
      OK_JSON("what it would change; possible: false, why not",
              REF("PlanPreview")) },

    { "POST /v1/tenants/{tenant}/subscriptions/{subscription}/transfer",
      NULL, JSON("{\"type\":\"object\",\"required\":[\"application\"],"
           "\"additionalProperties\":false,\"properties\":{\"application\":"
           TEXT "}}"),
      OK_JSON("the subscription", REF("Subscription")) },

    { "GET /v1/inbox",
      "[" QUERY("kind", "{\"type\":\"string\",\"enum\":[\"subscription\","
            "\"approval\",\"tool\",\"prompt\",\"resource\",\"template\"]}",
            "only these") ","
      QUERY("tenant", TOLD, "whose decision it is") ","
      QUERY("consumer", TOLD, "the tenant that asks") ","
      QUERY("api", TOLD, "of the tenant, which has to be named") ","
      QUERY("plan", TOLD, "likewise") ","
      PAGE("of a page") "]", NULL,
      "{\"200\":{\"description\":\"a page, and how many there are of each"
      " kind\",\"content\":" JSON(REF("Inbox")) "}," NO_TENANT "}" },

    { "POST /mcp", NULL, JSON(RPC),
      "{\"200\":{\"description\":\"a JSON-RPC answer, of a batch many\","
      "\"content\":" JSON(RPC) "},\"202\":{\"description\":\"a notification"
      " was taken\"},\"400\":{\"description\":\"no JSON-RPC, or not for this"
      " revision\",\"content\":{\"application/json\":{\"schema\":" ANY "},"
      "\"application/problem+json\":{\"schema\":" REF("Problem") "}}}}" },
    { "GET /v1/notices",
      "[" QUERY("tenant", TEXT, "only of this one") ","
      QUERY("kind", TEXT, "only these") ","
      QUERY("unread", FLAG, "only what the caller has not read") ","
      PAGE("of a page") "]", NULL,
      OK_JSON("notices, and how many are unread", REF("Notices")) },

    { "POST /v1/notices/read", NULL, JSON(REF("NoticesRead")),
      "{\"204\":{\"description\":\"marked\"}}" },

    { "GET /v1/tenants/{tenant}/notice-settings", NULL, NULL,
      OK_JSON("as they are", REF("NoticeSettings")) },

    { "PUT /v1/tenants/{tenant}/notice-settings", NULL,
      JSON(REF("NoticeSettings")),
      OK_JSON("as they are now", REF("NoticeSettings")) },

    { "GET /v1/tenants/{tenant}/bundles/{bundle}/bundle.tar.gz", NULL, NULL,
      "{\"200\":{\"description\":\"a tar.gz; its ETag is the revision\","
      "\"content\":{\"application/gzip\":{\"schema\":{\"type\":\"string\","
      "\"format\":\"binary\"}}}},\"304\":{\"description\":"
      "\"it is the one of If-None-Match\"}," NO_TENANT "}" },

    { "POST /v1/tenants/{tenant}/bundles/{bundle}/try", NULL,
      JSON("{\"type\":\"object\",\"required\":[\"path\"],"
      "\"additionalProperties\":false,\"properties\":{\"path\":{\"type\":"
      "\"string\",\"maxLength\":256},\"input\":" ANY "}}"),
      "{\"200\":{\"description\":\"what the rule says, and how a gateway"
      " reads that: allow, deny or none\",\"content\":"
      JSON("{\"type\":\"object\",\"required\":[\"revision\",\"decision\","
           "\"defined\"],\"properties\":{\"value\":" ANY "}}") "},"
      NO_TENANT "}" },

    { "GET /mcp", NULL, NULL, NO_METHOD },
    { "DELETE /mcp", NULL, NULL, NO_METHOD },

    { "GET /v1/policy-types", NULL, NULL,
      OK_JSON("in the order in which they run", "{\"type\":\"object\","
              "\"required\":[\"items\"],\"properties\":{\"items\":{\"type\":"
              "\"array\",\"items\":{\"type\":\"object\",\"required\":"
              "[\"type\",\"version\",\"scopes\",\"single\",\"by_default\","
              "\"schema\"]}}}}")
    },

    { "GET /v1/reference", NULL, NULL,
      "{\"200\":{\"description\":\"a page\",\"content\":{\"text/html\":"
      "{\"schema\":" TEXT "}}}}" },

    { "GET /metrics", NULL, NULL,
      "{\"200\":{\"description\":\"Prometheus text\",\"content\":"
      "{\"text/plain\":{\"schema\":" TEXT "}}}}" },

    { NULL, NULL, NULL, NULL }
};
