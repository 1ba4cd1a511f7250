/*
 * The REST interface /platform/v1 and the routes of both doors.
 */

#include <stdlib.h>
#include <string.h>

#include "platform/cp_platform.h"


static cp_rc_t
cp_rest_answer(cp_req_t *r, cp_rc_t rc, const cp_json_t *out)
{
    if (rc != CP_OK) {
        return rc;
    }

    /* an application's own: no shared cache may keep it */
    cp_req_set_header(r, "Cache-Control", "private, no-store");

    return cp_req_answer(r, 200, out);
}


static cp_rc_t
cp_rest_int(cp_req_t *r, const char *name, int64_t min, int64_t max,
    int64_t *value)
{
    char        *end;
    const char  *s;

    s = cp_req_query(r, name);

    if (s == NULL) {
        return CP_OK;
    }

    *value = strtoll(s, &end, 10);

    if (end == s || *end != '\0' || *value < min || *value > max) {
        return cp_err_field(&r->op.err, -1, 0, name, "must be %lld..%lld",
                            (long long) min, (long long) max);
    }

    return CP_OK;
}


static cp_rc_t
cp_rest_apis(cp_req_t *r)
{
    cp_rc_t      rc;
    int64_t      limit;
    cp_json_t   *out;
    const char  *kind;

    limit = CP_PLATFORM_LIMIT;
    kind = cp_req_query(r, "kind");
    out = NULL;

    if (kind != NULL && strcmp(kind, "rest") != 0 && strcmp(kind, "mcp") != 0
        && strcmp(kind, "server") != 0)
    {
        return cp_err_field(&r->op.err, -1, 0, "kind",
                            "must be rest, mcp or server");
    }

    rc = cp_rest_int(r, "limit", 1, CP_PLATFORM_LIMIT_MAX, &limit);

    if (rc == CP_OK) {
        rc = cp_platform_search(&r->op, cp_req_query(r, "query"), kind, limit,
                                &out);
    }

    return cp_rest_answer(r, rc, out);
}


static cp_rc_t
cp_rest_api(cp_req_t *r)
{
    cp_rc_t     rc;
    cp_json_t  *out = NULL;

    rc = cp_platform_api(&r->op, r->param[0], r->param[1], &out);

    return cp_rest_answer(r, rc, out);
}


static cp_rc_t
cp_rest_spec(cp_req_t *r)
{
    cp_rc_t     rc;
    cp_json_t  *out = NULL;

    rc = cp_platform_spec(&r->op, r->param[0], r->param[1], &out);

    return cp_rest_answer(r, rc, out);
}


static cp_rc_t
cp_rest_subscriptions(cp_req_t *r)
{
    cp_rc_t     rc;
    cp_json_t  *out = NULL;

    rc = cp_platform_subscriptions(&r->op, &out);

    return cp_rest_answer(r, rc, out);
}


static cp_rc_t
cp_rest_usage(cp_req_t *r)
{
    cp_rc_t     rc;
    int64_t     days;
    cp_json_t  *out;

    out = NULL;
    days = CP_PLATFORM_DAYS;
    rc = cp_rest_int(r, "days", 1, CP_PLATFORM_DAYS_MAX, &days);

    if (rc == CP_OK) {
        rc = cp_platform_usage(&r->op, days, &out);
    }

    return cp_rest_answer(r, rc, out);
}


static cp_rc_t
cp_rest_health(cp_req_t *r)
{
    cp_rc_t     rc;
    cp_json_t  *out = NULL;

    rc = cp_platform_health(&r->op, &out);

    return cp_rest_answer(r, rc, out);
}


const cp_route_t  cp_platform_routes[] = {

    { "GET", "/platform/v1/apis", CP_AUTH_ASSERTION, NULL, cp_rest_apis, NULL,
      "Search the APIs and MCP servers that the application may see",
      "query kind limit" },
    { "GET", "/platform/v1/apis/{owner}/{api}", CP_AUTH_ASSERTION, NULL,
      cp_rest_api, NULL, "One API", NULL },
    { "GET", "/platform/v1/apis/{owner}/{api}/spec", CP_AUTH_ASSERTION, NULL,
      cp_rest_spec, NULL, "One API with its OpenAPI document or its tools",
      NULL },
    { "GET", "/platform/v1/subscriptions", CP_AUTH_ASSERTION, NULL,
      cp_rest_subscriptions, NULL, "The application's subscriptions", NULL },
    { "GET", "/platform/v1/usage", CP_AUTH_ASSERTION, NULL, cp_rest_usage,
      NULL, "The application's usage", "days" },
    { "GET", "/platform/v1/health", CP_AUTH_ASSERTION, NULL, cp_rest_health,
      NULL, "Health of the platform", NULL },

    { "POST", "/mcp", CP_AUTH_NONE, NULL, cp_platform_mcp, NULL,
      "The platform's own MCP server; calls need an identity", NULL },
    { "GET", "/mcp", CP_AUTH_NONE, NULL, cp_platform_mcp_method, NULL,
      "Answers 405: there is no stream to open", NULL },
    { "DELETE", "/mcp", CP_AUTH_NONE, NULL, cp_platform_mcp_method, NULL,
      "Answers 405: there is no session to end", NULL },

    { NULL, NULL, CP_AUTH_NONE, NULL, NULL, NULL, NULL, NULL }
};
