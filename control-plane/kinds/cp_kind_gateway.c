/*
 * Gateways, as they are registered.  What they report is in feed/.
 */

#include "feed/cp_feed.h"
#include "kinds/cp_kind.h"
#include "kinds/cp_token.h"


static cp_rc_t cp_gateway_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after);


static const cp_field_t  rejected_fields[] = {
    F("key", CP_F_STRING, RQ|RO, 0, 0, NULL, "of the record"),
    F("rev", CP_F_INT, RQ|RO, 0, 0, NULL, "which it could not take"),
    F("error", CP_F_STRING, RO, 0, 0, NULL, "why"),
    F_END
};

static const cp_field_t  targets_fields[] = {
    F("tenant", CP_F_STRING, RQ|RO, 0, 0, NULL, "the api's"),
    F("api", CP_F_STRING, RQ|RO, 0, 0, NULL, "its name"),
    F("target", CP_F_STRING, RQ|RO, 0, 0, NULL, "the address"),
    F("health", CP_F_STRING, RO, 0, 0, NULL, "unknown, up or down"),
    F("breaker", CP_F_STRING, RO, 0, 0, NULL, "closed, open or half_open"),
    F("error", CP_F_STRING, RO, 0, 0, NULL,
      "what opened the breaker, or what the last check found"),
    F("checked_at", CP_F_TIME, RO, 0, 0, NULL, "when that was"),
    F("since", CP_F_TIME, RO, 0, 0, NULL, "since when it is so"),
    F_END
};

static const cp_field_t  gateway_fields[] = {
    BASE_ID, BASE_NAME, BASE_TITLE,
    F("state", CP_F_STRING, RO|ND|CP_DERIVED, 0, 0, NULL,
      "online, stale or offline: when it last reported"),
    F_REF("group", RQ|IM|FI, "gateway_group", NULL,
      "selects the apis that this gateway gets"),
    F("token", CP_F_STRING, RO|ND|CP_ONCE, 0, 0, NULL,
      "its bearer token, only in the answer that made it"),
    F("version", CP_F_STRING, RO|ND|CP_DERIVED, 0, 0, NULL, "as reported"),
    F("rev", CP_F_INT, RO|ND|CP_DERIVED, 0, 0, NULL,
      "the revision it serves"),
    F("digest", CP_F_STRING, RO|ND|CP_DERIVED, 0, 0, NULL,
      "the digest of what it serves"),
    F("last_seen", CP_F_TIME, RO|ND|CP_DERIVED, 0, 0, NULL,
      "its last report"),
    F("sync", CP_F_STRING, RO|ND|CP_DERIVED, 0, 0, NULL,
      "in-sync, behind, drifted or never"),
    F("sync_state", CP_F_STRING, RO|ND|CP_DERIVED, 0, 0, NULL,
      "how its sync is, as reported: connected, loading, failing, store_full"),
    F("sync_error", CP_F_STRING, RO|ND|CP_DERIVED, 0, 0, NULL,
      "what it failed at last"),
    F("policies", CP_F_STRING, RO|ND|CP_DERIVED, 0, 0, NULL,
      "types of policies that it knows, with their versions, as reported"),
    F("limits", CP_F_STRING, RO|ND|CP_DERIVED, 0, 0, NULL,
      "how it counts what plans allow: node (alone), shared (with others, in "
      "Redis), away (Redis does not answer it)"),
    F_OBJECTS("rejected", RO|ND|CP_DERIVED, 0, CP_REJECTED_MAX,
      rejected_fields, "records that it could not take"),
    F_OBJECTS("targets", RO|ND|CP_DERIVED, 0, CP_TARGETS_MAX,
      targets_fields, "targets of apis that it watches, the bad ones first"),
    F("token_digest", CP_F_STRING, RO|ND|CP_SECRET, 0, 0, NULL, ""),
    BASE_TIMES,
    F_END
};

static const cp_dependent_t  gateway_dependents[] = {
    { NULL, "DELETE FROM gateway_status WHERE gateway = $1",
      CP_DEP_PLAIN, false },
    { NULL, "DELETE FROM usage_batch WHERE gateway = $1",
      CP_DEP_PLAIN, false },
    { NULL, NULL, 0, false }
};

const cp_resource_t  cp_res_gateway = {
    .kind = "gateway", .plural = "gateways", .table = "gateways",
    .fields = gateway_fields, .check = cp_gateway_check,
    .shown = cp_gateway_decorate, .authority = true,
    .dependents = gateway_dependents
};


static cp_rc_t
cp_gateway_check(const cp_write_t *w, const cp_json_t *before,
    cp_json_t *after)
{
    const char  *token;

    if (before) {
        return CP_OK;
    }

    token = cp_token_make(w->op, after, "token", "gw");
    if (token == NULL) {
        return cp_err_set(&w->op->err, "internal", "no memory");
    }

    cp_json_put(w->op->arena, after, "token_digest",
                cp_token_digest(w->op, token, false));

    return CP_OK;
}
