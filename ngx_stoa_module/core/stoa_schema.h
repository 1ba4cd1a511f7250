/*
 * Fields that both planes have: each is written here once.  The record's
 * struct and table (stoa_rec.h, stoa_rec_table.c), the resource's table and
 * the feed's body (control-plane/kinds/) are made of these rows, so names,
 * bounds, words and defaults are the same in both planes.
 *
 * A resource, or a part of one, is a macro of rows in the order in which
 * people see them:
 *
 *     R(S, type, name, flags, ..., doc)
 *     R(S, AS, member, field, type, ...)     the record calls it otherwise
 *     R(S, OWN, name)                        the control plane's alone: its
 *                                            OWN_<name>
 *
 * flags are the resource's (cp_kind.h).  A record must have what is RQ, and
 * every ID, NAME, NAME_OF, STATE, REF, CHOICE, JSON and HEX32.
 *
 *     type      ... before doc       resource             record
 *     ID                             its id               id
 *     NAME      (no flags, doc)      a slug               the same
 *     NAME_OF   (no flags, doc)      -                    the tenant's name
 *     STATE     words (no doc)       moved by events      a word; without one
 *                                                         it is not served
 *     ON        word (no doc)        moved by events      bool: is it the word
 *     REF       kind, scope          a name               id
 *     LINK      kind, scope          a name, or none      id, or zeros
 *     REFS      max, kind            names                ids
 *     TOOLS     max                  names of tools       ids, made
 *     U16 ..    min, max, default    a number             the same
 *     BOOL      default              a bool               the same
 *     WORD      words, default       a word               the same; the
 *                                                         default: the first
 *     CHOICE    words                a word               the same
 *     STR       form, min, max       text                 the same
 *     STRS      max                  texts, each of at    the same
 *                                    most max characters
 *     TIME                           RFC 3339             ms, 0: none
 *     CIDRS     max                  ranges               the same
 *     ITEMS     table, min, max      objects              objects, made
 *     JSON      max                  an object            its text
 *     RAW       max (no doc)         -                    the same, or ""
 *     HEX32                          hex digits           32 bytes
 *     POLICIES  (no flags, doc)      -                    what is attached
 *
 * "made": the kind's own code puts it into the feed's body.  What a record
 * alone has is in macros of the same rows (_MADE) that become no field.  A
 * list of words is a macro of rows W(word, value).
 */

#ifndef STOA_SCHEMA_H
#define STOA_SCHEMA_H


#include <stdint.h>


#define STOA_HOUR_MS    INT64_C(3600000)
#define STOA_DAY_MS     INT64_C(86400000)
#define STOA_RATE_MAX   INT64_C(1000000000)
#define STOA_QUOTA_MAX  INT64_C(1000000000000000)

/* in characters */
#define STOA_TITLE_MAX         200
#define STOA_INSTRUCTIONS_MAX  16384


#define STOA_TENANT_STATES(W)                                                 \
    W("active", STOA_STATE_ACTIVE)                                            \
    W("suspended", STOA_STATE_SUSPENDED)                                      \
    W("archived", STOA_STATE_ARCHIVED)

#define STOA_APPLICATION_STATES(W)                                            \
    W("active", STOA_STATE_ACTIVE)                                            \
    W("suspended", STOA_STATE_SUSPENDED)

#define STOA_CREDENTIAL_STATES(W)                                             \
    W("active", STOA_STATE_ACTIVE)                                            \
    W("rotating", STOA_STATE_ROTATING)                                        \
    W("revoked", STOA_STATE_REVOKED)                                          \
    W("expired", STOA_STATE_EXPIRED)

#define STOA_PLAN_STATES(W)                                                   \
    W("active", STOA_STATE_ACTIVE)                                            \
    W("deprecated", STOA_STATE_DEPRECATED)

#define STOA_SUBSCRIPTION_STATES(W)                                           \
    W("active", STOA_STATE_ACTIVE)                                            \
    W("pending", STOA_STATE_PENDING)                                          \
    W("suspended", STOA_STATE_SUSPENDED)                                      \
    W("revoked", STOA_STATE_REVOKED)                                          \
    W("expired", STOA_STATE_EXPIRED)

#define STOA_API_STATES(W)                                                    \
    W("published", STOA_STATE_PUBLISHED)                                      \
    W("deprecated", STOA_STATE_DEPRECATED)

#define STOA_SERVER_STATES(W)                                                 \
    W("published", STOA_STATE_PUBLISHED)

#define STOA_API_KINDS(W)                                                     \
    W("rest", STOA_API_REST)                                                  \
    W("mcp", STOA_API_MCP)

#define STOA_AUDIENCES(W)                                                     \
    W("internal", STOA_AUDIENCE_INTERNAL)                                     \
    W("public", STOA_AUDIENCE_PUBLIC)                                         \
    W("partner", STOA_AUDIENCE_PARTNER)

#define STOA_BALANCES(W)                                                      \
    W("round_robin", STOA_BALANCE_ROUND_ROBIN)                                \
    W("least_conn", STOA_BALANCE_LEAST_CONN)

#define STOA_HEALTH_TYPES(W)                                                  \
    W("http", STOA_HEALTH_HTTP)                                               \
    W("tcp", STOA_HEALTH_TCP)                                                 \
    W("mcp", STOA_HEALTH_MCP)

#define STOA_ALL_DOWN(W)                                                      \
    W("try", STOA_ALL_DOWN_TRY)                                               \
    W("refuse", STOA_ALL_DOWN_REFUSE)

#define STOA_STICKIES(W)                                                      \
    W("none", STOA_STICKY_NONE)                                               \
    W("application", STOA_STICKY_APPLICATION)                                 \
    W("principal", STOA_STICKY_PRINCIPAL)                                     \
    W("cookie", STOA_STICKY_COOKIE)

#define STOA_DIGESTS(W)                                                       \
    W("sha256", STOA_DIGEST_SHA256)                                           \
    W("hmac", STOA_DIGEST_HMAC)

#define STOA_ERAS(W)                                                          \
    W("unknown", STOA_ERA_UNKNOWN)                                            \
    W("legacy", STOA_ERA_LEGACY)                                              \
    W("modern", STOA_ERA_MODERN)                                              \
    W("dual", STOA_ERA_DUAL)

#define STOA_IDENTITIES(W)                                                    \
    W("none", STOA_IDENTITY_NONE)                                             \
    W("headers", STOA_IDENTITY_HEADERS)                                       \
    W("signed", STOA_IDENTITY_SIGNED)

#define STOA_LIMIT_BYS(W)                                                     \
    W("subscription", STOA_LIMIT_BY_SUBSCRIPTION)                             \
    W("application", STOA_LIMIT_BY_APPLICATION)                               \
    W("credential", STOA_LIMIT_BY_CREDENTIAL)

#define STOA_ON_STORE_FAILURES(W)                                             \
    W("local_share", STOA_ON_STORE_FAILURE_LOCAL_SHARE)                       \
    W("allow", STOA_ON_STORE_FAILURE_ALLOW)                                   \
    W("deny", STOA_ON_STORE_FAILURE_DENY)

#define STOA_PREFIXES(W)                                                      \
    W("always", STOA_PREFIX_ALWAYS)                                           \
    W("never", STOA_PREFIX_NEVER)

#define STOA_DPOPS(W)                                                         \
    W("allowed", STOA_DPOP_ALLOWED)                                           \
    W("required", STOA_DPOP_REQUIRED)

#define STOA_PURGE_KINDS(W)                                                   \
    W("path", STOA_PURGE_PATH)                                                \
    W("prefix", STOA_PURGE_PREFIX)                                            \
    W("tag", STOA_PURGE_TAG)

#define STOA_TARGET_KINDS(W)                                                  \
    W("api", STOA_TARGET_API)                                                 \
    W("server", STOA_TARGET_SERVER)


#define STOA_TENANT_FIELDS(R, S)                                              \
    R(S, ID, id, RO|ND, "identifier")                                         \
    R(S, NAME, name)                                                          \
    R(S, OWN, title)                                                          \
    R(S, STATE, state, STOA_TENANT_STATES)                                    \
    R(S, POLICIES, policies)

#define STOA_GROUP_FIELDS(R, S)                                               \
    R(S, ID, id, RO|ND, "identifier")                                         \
    R(S, NAME, name)                                                          \
    R(S, OWN, title)                                                          \
    R(S, POLICIES, policies)

#define STOA_GROUPKEY_MADE(R, S)                                              \
    R(S, ID, id, 0, "")                                                       \
    R(S, TIME, signs_ms, 0, "")                                               \
    R(S, HEX32, private, 0, "")

#define STOA_SEALKEY_MADE(R, S)                                               \
    R(S, ID, id, 0, "")                                                       \
    R(S, U32, kid, 0, 0, 61, 0, "")                                           \
    R(S, TIME, since_ms, 0, "")                                               \
    R(S, HEX32, key, 0, "")

/* id: the api's.  Kept answers whose fetch began before floor_ms are over, and
 * those that fit an item and began before it. */

#define STOA_PURGE_ITEM_MADE(R, S)                                            \
    R(S, TIME, at_ms, 0, "")                                                  \
    R(S, CHOICE, kind, 0, STOA_PURGE_KINDS, "")                               \
    R(S, STR, value, 0, STRING, 0, STOA_PURGE_VALUE_MAX, "")

#define STOA_PURGE_MADE(R, S)                                                 \
    R(S, ID, id, 0, "")                                                       \
    R(S, TIME, at_ms, 0, "")                                                  \
    R(S, TIME, floor_ms, 0, "")                                               \
    R(S, ITEMS, items, 0, purge_item, 0, STOA_PURGES_MAX, "")

#define STOA_APPLICATION_FIELDS(R, S)                                         \
    R(S, ID, id, RO|ND, "identifier")                                         \
    R(S, NAME, name)                                                          \
    R(S, OWN, title)                                                          \
    R(S, STATE, state, STOA_APPLICATION_STATES)                               \
    R(S, REF, tenant, RO|ND, "tenant", NULL, "the owner")                     \
    R(S, OWN, owner)                                                          \
    R(S, OWN, owner_seen)                                                     \
    R(S, BOOL, disowned, RO|ND, false,                                        \
      "the owner is not active there: its keys are refused")                  \
    R(S, POLICIES, policies)

#define STOA_CREDENTIAL_FIELDS(R, S)                                          \
    R(S, ID, id, RO|ND|FI, "identifier")                                      \
    R(S, OWN, title)                                                          \
    R(S, STATE, state, STOA_CREDENTIAL_STATES)                                \
    R(S, REF, tenant, RO|ND, "tenant", NULL, "the owner")                     \
    R(S, REF, application, RO|ND, "application", NULL, "whose key it is")     \
    R(S, OWN, env)                                                            \
    R(S, AS, expires_ms, expires_at, TIME, 0, "refused from then on")         \
    R(S, OWN, key)                                                            \
    R(S, AS, digest, key_digest, HEX32, RO|ND|SC, "")                         \
    R(S, AS, alg, key_alg, CHOICE, RO|ND|SC, STOA_DIGESTS, "")

#define STOA_PLAN_FIELDS(R, S)                                                \
    R(S, ID, id, RO|ND, "identifier")                                         \
    R(S, NAME, name)                                                          \
    R(S, OWN, title)                                                          \
    R(S, STATE, state, STOA_PLAN_STATES)                                      \
    R(S, REF, tenant, RO|ND, "tenant", NULL, "the owner")                     \
    R(S, U64, rate, 0, 0, STOA_RATE_MAX, 0,                                   \
      "requests per per_ms; 0: no limit")                                     \
    R(S, U64, per_ms, 0, 1, STOA_DAY_MS, 1000, "the period of rate")          \
    R(S, U64, burst, 0, 0, STOA_RATE_MAX, 0,                                  \
      "requests of the rate at once; 0: all of it")                           \
    R(S, U64, quota_day, 0, 0, STOA_QUOTA_MAX, 0,                             \
      "per day of time_zone; 0: no limit")                                    \
    R(S, U64, quota_month, 0, 0, STOA_QUOTA_MAX, 0,                           \
      "per month of time_zone; 0: no limit")                                  \
    R(S, STR, time_zone, 0, LABEL, 0, STOA_ZONE_NAME,                         \
      "where days and months of quotas begin: Europe/Paris; none: UTC")       \
    R(S, U32, concurrency, 0, 0, 65535, 0,                                    \
      "requests at once; 0: no limit")                                        \
    R(S, WORD, limit_by, 0, STOA_LIMIT_BYS, "subscription",                   \
      "what shares one allowance")                                            \
    R(S, WORD, on_store_failure, 0, STOA_ON_STORE_FAILURES, "local_share",    \
      "where gateways share limits, when their Redis is away: each has its "  \
      "part, all calls pass, or none")                                        \
    R(S, OWN, approval)                                                       \
    R(S, POLICIES, policies)

#define STOA_SUBSCRIPTION_FIELDS(R, S)                                        \
    R(S, ID, id, RO|ND, "identifier")                                         \
    R(S, OWN, title)                                                          \
    R(S, STATE, state, STOA_SUBSCRIPTION_STATES)                              \
    R(S, REF, tenant, RO|ND, "tenant", NULL, "the owner")                     \
    R(S, REF, application, RQ|IM|FI, "application", NULL, "the consumer")     \
    R(S, OWN, target)                                                         \
    R(S, REF, plan, RQ|FI, "plan", "target_tenant",                           \
      "a plan of the target's tenant")                                        \
    R(S, TOOLS, tools, 0, STOA_SERVER_TOOLS_MAX,                              \
      "only these tools, by the names of the api or server; absent: all")     \
    R(S, AS, expires_ms, expires_at, TIME, 0, "refused from then on")         \
    R(S, OWN, held)

#define STOA_SUBSCRIPTION_MADE(R, S)                                          \
    R(S, ID, target, 0, "")                                                   \
    R(S, CHOICE, target_kind, 0, STOA_TARGET_KINDS, "")

#define STOA_API_FIELDS(R, S)                                                 \
    R(S, ID, id, RO|ND, "identifier")                                         \
    R(S, NAME, name)                                                          \
    R(S, STR, title, 0, STRING, 0, STOA_TITLE_MAX, "for people")              \
    R(S, STATE, state, STOA_API_STATES)                                       \
    R(S, REF, tenant, RO|ND, "tenant", NULL, "the owner")                     \
    R(S, AS, tenant_name, tenant, NAME_OF)                                    \
    R(S, CHOICE, kind, RQ|IM|FI, STOA_API_KINDS, "what it speaks")            \
    R(S, STR, version, 0, STRING, 0, 64, "the publisher's")                   \
    R(S, OWN, description)                                                    \
    R(S, WORD, audience, FI, STOA_AUDIENCES, "internal",                      \
      "which tenants' applications may subscribe")                            \
    R(S, BOOL, strip_base_path, 0, 1, "the upstream does not see it")         \
    R(S, U64, max_body_bytes, 0, 1, INT64_C(1) << 30, 1048576,                \
      "the largest request body")                                             \
    R(S, WORD, identity, 0, STOA_IDENTITIES, "none",                          \
      "what the upstream is told about the caller")                           \
    R(S, LINK, open_plan, 0, "plan", NULL,                                    \
      "callers without a credential may call by this plan, each address for " \
      "itself; none: they are refused")                                       \
    R(S, BOOL, keep_authorization, 0, 0,                                      \
      "the upstream gets the caller's token, too")                            \
    R(S, BOOL, operations_only, 0, 0,                                         \
      "refuse what no enabled operation describes")                           \
    R(S, REFS, partners, 0, STOA_PARTNERS_MAX, "tenant",                      \
      "tenants that audience partner admits")                                 \
    R(S, STR, host, FI, HOST, 0, STOA_HOST_MAX, "own host name")              \
    R(S, STR, base_path, FI, BASE_PATH, 0, STOA_BASE_PATH_MAX, "own path")    \
    R(S, OWN, upstream)                                                       \
    R(S, STR, key_query, 0, WORD, 0, 64,                                      \
      "query parameter that may carry the key")                               \
    R(S, CIDRS, ip_allow, 0, STOA_CIDRS_MAX,                                  \
      "only from here; empty: from anywhere")                                 \
    R(S, CIDRS, ip_deny, 0, STOA_CIDRS_MAX, "never from here")                \
    R(S, OWN, platform)                                                       \
    R(S, AS, deprecated_ms, deprecated_at, TIME, RO|ND,                       \
      "since when it is; announced in Deprecation")                           \
    R(S, AS, sunset_ms, sunset_at, TIME, 0,                                   \
      "announced in Sunset when deprecated")                                  \
    R(S, OWN, rest)                                                           \
    R(S, POLICIES, policies)

#define STOA_UPSTREAM_FIELDS(R, S)                                            \
    R(S, ITEMS, targets, RQ, target, 1, STOA_TARGETS_MAX,                     \
      "where requests go")                                                    \
    R(S, WORD, balance, 0, STOA_BALANCES, "round_robin",                      \
      "how a target is chosen")                                               \
    R(S, U32, connect_timeout_ms, 0, 1, STOA_HOUR_MS, 2000, "per try")        \
    R(S, U32, read_timeout_ms, 0, 1, STOA_DAY_MS, 60000,                      \
      "between two reads of the answer")                                      \
    R(S, U32, max_call_ms, 0, 1000, STOA_DAY_MS, 1800000,                     \
      "MCP: of a call that is answered by a stream, whatever comes in it")    \
    R(S, U32, first_byte_timeout_ms, 0, 0, STOA_DAY_MS, 0,                    \
      "until the head of the answer, per try; 0: read_timeout_ms")            \
    R(S, U32, total_timeout_ms, 0, 0, STOA_DAY_MS, 0,                         \
      "REST: of a call, with all its tries and its answer; 0: none")          \
    R(S, U16, retries, 0, 0, 31, 1, "further targets tried")                  \
    R(S, OWN, retry)                                                          \
    R(S, U16, max_fails, 0, 0, 1000, 1,                                       \
      "failures that put a target aside; 0: never")                           \
    R(S, U32, fail_timeout_ms, 0, 1, STOA_HOUR_MS, 10000,                     \
      "the time of those failures, and of being set aside")                   \
    R(S, U32, idle_timeout_ms, 0, 0, STOA_HOUR_MS, 4000,                      \
      "a connection waits so long for its next request; 0: not at all")       \
    R(S, BOOL, keep_encoded_slashes, 0, 0,                                    \
      "%2F in a path is sent as it came and ends no segment")                 \
    R(S, STR, host_header, 0, HOST_PORT, 0, STOA_HOST_MAX + 6,                \
      "sent as Host; default: the target's host")                             \
    R(S, OWN, health)                                                         \
    R(S, OWN, breaker)                                                        \
    R(S, OWN, split)                                                          \
    R(S, OWN, mirror)                                                         \
    R(S, OWN, tls)

/* An object of the resource; a record has it in an array, empty or of one. */

#define STOA_UPSTREAM_MADE(R, S)                                              \
    R(S, ITEMS, health, 0, health, 0, 1, "")                                  \
    R(S, ITEMS, breaker, 0, breaker, 0, 1, "")                                \
    R(S, ITEMS, retry, 0, retry, 0, 1, "")                                    \
    R(S, ITEMS, split, 0, split, 0, 1, "")                                    \
    R(S, ITEMS, mirror, 0, mirror, 0, 1, "")

#define STOA_MIRROR_FIELDS(R, S)                                              \
    R(S, STR, url, RQ, URL, 0, STOA_TARGET_PATH_MAX,                          \
      "where copies of calls go; what is behind the api's path is added")     \
    R(S, U16, percent, 0, 0, 100, 100, "of the calls that are copied")        \
    R(S, STRS, headers, 0, 64,                                                \
      "of a call that a copy has beside those that say what is asked; none "  \
      "of a credential")                                                      \
    R(S, U32, max_body_bytes, 0, 0, 1048576, 65536,                           \
      "a call with a longer body is not copied")                              \
    R(S, U32, timeout_ms, 0, 10, STOA_HOUR_MS, 5000, "of a copy, in all")     \
    R(S, U16, concurrency, 0, 1, 1000, 32,                                    \
      "copies at once, in each worker; further ones are dropped")

#define STOA_SPLIT_FIELDS(R, S)                                               \
    R(S, ITEMS, groups, RQ, split_group, 1, STOA_SPLITS_MAX,                  \
      "groups of targets, and their shares of the calls")                     \
    R(S, ITEMS, rules, 0, split_rule, 0, STOA_SPLIT_RULES_MAX,                \
      "calls that go to a group whatever the shares; the first that fits")    \
    R(S, WORD, sticky, 0, STOA_STICKIES, "none",                              \
      "what keeps its group from call to call, while the shares are the same")\
    R(S, STR, cookie, 0, WORD, 0, 64,                                         \
      "of sticky cookie: its name; default: stoa_group")

#define STOA_SPLIT_GROUP_FIELDS(R, S)                                         \
    R(S, STR, name, RQ, WORD, 1, STOA_NAME_MAX, "as targets say it")          \
    R(S, U32, weight, 0, 0, 10000, 0, "its share of the sum of all; 0: none")

#define STOA_SPLIT_RULE_FIELDS(R, S)                                          \
    R(S, STR, header, 0, STRING, 0, 100, "a header of the call, or ...")      \
    R(S, STR, claim, 0, CLAIM, 0, 200,                                        \
      "... a claim of its token, a name or a path: /realm_access/roles")      \
    R(S, STR, value, 0, STRING, 0, 200,                                       \
      "that it has, or that is among its values; none: any")                  \
    R(S, STR, group, RQ, WORD, 1, STOA_NAME_MAX, "where such calls go")

#define STOA_RETRY_FIELDS(R, S)                                               \
    R(S, STRS, causes, 0, STOA_STATUSES_MAX,                                  \
      "connect, error, timeout, invalid, 403, 404, 429, 500, 502, 503, 504; " \
      "default: the first four")                                              \
    R(S, BOOL, same_target, 0, 0,                                             \
      "one that was tried is tried again where there is no other")            \
    R(S, BOOL, non_idempotent, 0, 0,                                          \
      "POST and PATCH, too, that may have been done already")                 \
    R(S, BOOL, hinted, 0, 0,                                                  \
      "calls of MCP tools, too, that say readOnlyHint or idempotentHint: "    \
      "once, of the same target where there is no other")                     \
    R(S, U16, budget_percent, 0, 0, 100, 20,                                  \
      "further tries in 10 s, as a share of the calls")                       \
    R(S, U32, budget_min, 0, 0, 100000, 10, "and so many more")

#define STOA_BREAKER_FIELDS(R, S)                                             \
    R(S, U16, failures, 0, 0, 1000, 5,                                        \
      "failed calls in a row that open it; 0: whatever there are")            \
    R(S, U16, error_percent, 0, 0, 100, 50,                                   \
      "share of the calls of window_ms that opens it; 0: whatever it is")     \
    R(S, U32, min_calls, 0, 1, 1000000, 20, "below them no share counts")     \
    R(S, U32, window_ms, 0, 100, STOA_HOUR_MS, 10000,                         \
      "in which calls are counted")                                           \
    R(S, U32, open_ms, 0, 100, STOA_HOUR_MS, 5000,                            \
      "how long a target gets no call")                                       \
    R(S, U32, max_open_ms, 0, 100, STOA_DAY_MS, 60000,                        \
      "each time in a row it is twice as long, up to this")                   \
    R(S, U16, probes, 0, 1, 1000, 1,                                          \
      "calls at once that find out afterwards")                               \
    R(S, U16, max_open_percent, 0, 1, 100, 100,                               \
      "of the targets that may be open at once, rounded down")                \
    R(S, STRS, statuses, 0, STOA_STATUSES_MAX,                                \
      "answers that are failures, as 503 or 5xx; default: 5xx")

#define STOA_HEALTH_FIELDS(R, S)                                              \
    R(S, CHOICE, type, RQ, STOA_HEALTH_TYPES,                                 \
      "what targets are asked: a path, a connection, a ping")                 \
    R(S, STR, path, 0, URL_PATH, 0, STOA_TARGET_PATH_MAX,                     \
      "http: what is asked for, with its query; default: the target's path")  \
    R(S, STRS, statuses, 0, STOA_STATUSES_MAX,                                \
      "http: answers that are good, as 204 or 2xx; default: 2xx and 3xx")     \
    R(S, U32, interval_ms, 0, 100, STOA_HOUR_MS, 5000,                        \
      "between two checks of a target, up to a tenth more or less")           \
    R(S, U32, timeout_ms, 0, 10, 60000, 2000, "of a check, from beginning "   \
      "to end")                                                               \
    R(S, U16, up, 0, 1, 100, 2, "good checks in a row that bring it back")    \
    R(S, U16, down, 0, 1, 100, 3, "bad ones that set it aside")               \
    R(S, WORD, all_down, 0, STOA_ALL_DOWN, "try",                             \
      "when no target is up: call them all the same, or refuse (503)")

#define STOA_TLS_FIELDS(R, S)                                                 \
    R(S, AS, tls_verify, verify, BOOL, 0, 1,                                  \
      "check the upstream's certificate")                                     \
    R(S, AS, tls_server_name, server_name, STR, 0, HOST, 0, STOA_HOST_MAX,    \
      "SNI and name to check; default: the target's host")

#define STOA_DISCOVERY_MADE(R, S)                                             \
    R(S, WORD, era, 0, STOA_ERAS, "unknown", "")                              \
    R(S, STR, protocol_version, 0, WORD, 0, 32, "")                           \
    R(S, BOOL, sessions, 0, 0, "")                                            \
    R(S, BOOL, sse, 0, 0, "")                                                 \
    R(S, RAW, capabilities, 16384)                                            \
    R(S, BOOL, stale, 0, 0, "")

#define STOA_API_MADE(R, S)                                                   \
    R(S, ITEMS, operations, 0, operation, 0, STOA_OPERATIONS_MAX, "")         \
    R(S, RAW, contract, STOA_CONTRACT_LEN)

#define STOA_TARGET_FIELDS(R, S)                                              \
    R(S, OWN, url)                                                            \
    R(S, U16, weight, 0, 1, 1000, 1, "share of the requests")                 \
    R(S, STR, group, 0, WORD, 0, STOA_NAME_MAX, "of split")

#define STOA_TARGET_MADE(R, S)                                                \
    R(S, BOOL, tls, 0, 0, "")                                                 \
    R(S, BOOL, grpc, 0, 0, "")                                                \
    R(S, STR, host, RQ, ADDRESS, 1, STOA_HOST_MAX, "")                        \
    R(S, U16, port, RQ, 1, 65535, 0, "")                                      \
    R(S, STR, path, 0, URL_PATH, 0, STOA_TARGET_PATH_MAX, "")

#define STOA_OPERATION_FIELDS(R, S)                                           \
    R(S, ID, id, RO|ND, "identifier")                                         \
    R(S, OWN, name)                                                           \
    R(S, OWN, title)                                                          \
    R(S, AS, enabled, state, ON, "enabled")                                   \
    R(S, OWN, api)                                                            \
    R(S, STR, method, RQ|FI, METHOD, 0, 32,                                   \
      "GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS")                       \
    R(S, STR, path, RQ|FI, TEMPLATE, 0, STOA_TEMPLATE_MAX,                    \
      "below the base path: /orders/{id}")                                    \
    R(S, U32, first_byte_timeout_ms, 0, 0, STOA_DAY_MS, 0,                    \
      "until the head of the answer, per try; 0: the api's")                  \
    R(S, U32, total_timeout_ms, 0, 0, STOA_DAY_MS, 0,                         \
      "of a call, with all its tries and its answer; 0: the api's")

/* What an upstream of MCP shows. */

#define STOA_TOOL_FIELDS(R, S)                                                \
    STOA_ITEM_FIELDS(R, S, TOOL_NAME, STOA_TOOL_NAME_MAX,                     \
                     "as the upstream calls it")
#define STOA_PROMPT_FIELDS(R, S)                                              \
    STOA_ITEM_FIELDS(R, S, LABEL, STOA_TOOL_NAME_MAX,                         \
                     "as the upstream calls it")
#define STOA_RESOURCE_FIELDS(R, S)                                            \
    STOA_ITEM_FIELDS(R, S, LABEL, STOA_URI_MAX, "its URI")
#define STOA_TEMPLATE_FIELDS(R, S)                                            \
    STOA_ITEM_FIELDS(R, S, LABEL, STOA_URI_MAX, "its template of URIs")

#define STOA_ITEM_FIELDS(R, S, form, hi, doc)                                 \
    R(S, ID, id, RO|ND, "identifier")                                         \
    R(S, STR, name, RQ|IM|FI, form, 0, hi, doc)                               \
    R(S, OWN, title)                                                          \
    R(S, AS, enabled, state, ON, "enabled")                                   \
    R(S, OWN, tenant)                                                         \
    R(S, REF, api, RO|ND, "api", NULL, "the api it belongs to")               \
    R(S, JSON, definition, RO|ND|WH, STOA_RECORD_MAX / 2,                     \
      "the upstream's own words")                                             \
    R(S, OWN, digest)

#define STOA_SERVER_FIELDS(R, S)                                              \
    R(S, ID, id, RO|ND, "identifier")                                         \
    R(S, NAME, name)                                                          \
    R(S, STR, title, 0, STRING, 0, STOA_TITLE_MAX, "for people")              \
    R(S, STATE, state, STOA_SERVER_STATES)                                    \
    R(S, REF, tenant, RO|ND, "tenant", NULL, "the owner")                     \
    R(S, AS, tenant_name, tenant, NAME_OF)                                    \
    R(S, STR, instructions, 0, TEXT, 0, STOA_INSTRUCTIONS_MAX,                \
      "told to MCP clients")                                                  \
    R(S, LINK, open_plan, 0, "plan", NULL,                                    \
      "callers without a credential may call by this plan, each address for " \
      "itself; none: they are refused")                                       \
    R(S, WORD, prefix, 0, STOA_PREFIXES, "always",                            \
      "always: <api>__<tool>; never: <tool>")                                 \
    R(S, BOOL, search_tools, 0, 0,                                            \
      "show search_tools and call_tool instead of its tools")                 \
    R(S, ITEMS, tools, 0, server_tool, 0, STOA_SERVER_TOOLS_MAX,              \
      "what it bundles")                                                      \
    R(S, ITEMS, prompts, 0, server_prompt, 0, STOA_SERVER_TOOLS_MAX,          \
      "prompts that it bundles")                                              \
    R(S, ITEMS, resources, 0, server_resource, 0, STOA_SERVER_TOOLS_MAX,      \
      "resources, and templates of them, that it bundles")                    \
    R(S, OWN, unresolved)                                                     \
    R(S, POLICIES, policies)

#define STOA_SERVER_TOOL_MADE(R, S)                                           \
    R(S, STR, name, RQ, TOOL_NAME, 1, STOA_TOOL_NAME_MAX, "")                 \
    R(S, ID, tool, 0, "")                                                     \
    R(S, ID, api, 0, "")

#define STOA_ISSUER_FIELDS(R, S)                                              \
    R(S, ID, id, RO|ND, "identifier")                                         \
    R(S, NAME, name)                                                          \
    R(S, OWN, title)                                                          \
    R(S, STATE, state, STOA_APPLICATION_STATES)                               \
    R(S, REF, tenant, RO|ND, "tenant", NULL, "the owner")                     \
    R(S, STR, issuer, RQ|FI, URL, 0, STOA_ISSUER_MAX,                         \
      "the claim iss, exactly; clients are told that it gives tokens")        \
    R(S, STRS, audiences, 0, 250,                                             \
      "taken in aud, beside the URL of what is called")                       \
    R(S, OWN, algorithms)                                                     \
    R(S, OWN, jwks_url)                                                       \
    R(S, OWN, jwks)                                                           \
    R(S, OWN, keys)                                                           \
    R(S, OWN, introspection)                                                  \
    R(S, OWN, claims)                                                         \
    R(S, ITEMS, clients, 0, issuer_client, 0, 1000,                           \
      "which application a client is")                                        \
    R(S, LINK, application, 0, "application", NULL,                           \
      "that all other clients are; none: they are refused")                   \
    R(S, BOOL, application_names, 0, 0,                                       \
      "a client is the application of its name, if clients does not say")     \
    R(S, ITEMS, scopes, 0, issuer_scope, 0, 200,                              \
      "which scopes stand for others")                                        \
    R(S, WORD, dpop, 0, STOA_DPOPS, "allowed",                                \
      "required: only tokens that are bound to a key (RFC 9449) are taken")

#define STOA_ISSUER_CLIENT_FIELDS(R, S)                                       \
    R(S, STR, client, RQ, STRING, 1, 200,                                     \
      "as the claim of the application has it")                               \
    R(S, REF, application, RQ, "application", NULL, "that this is")

#define STOA_ISSUER_SCOPE_FIELDS(R, S)                                        \
    R(S, STR, scope, RQ, STRING, 1, 200, "of a token")                        \
    R(S, STRS, covers, RQ, 200,                                               \
      "that it stands for too; \"a:*\": all that begin with a:")

#define STOA_CLAIMS_FIELDS(R, S)                                              \
    R(S, AS, claims_tenant, tenant, STR, 0, CLAIM, 1, 200,                    \
      "has to hold the tenant's name; none: not looked at")                   \
    R(S, AS, claims_application, application, STR, 0, CLAIM, 1, 200,          \
      "says which client calls; none: azp, else client_id")                   \
    R(S, AS, claims_roles, roles, STR, 0, CLAIM, 1, 200,                      \
      "holds roles; none: no roles")                                          \
    R(S, AS, claims_scopes, scopes, STR, 0, CLAIM, 1, 200,                    \
      "holds scopes; none: scope, else scp")

#define STOA_ISSUER_MADE(R, S)                                                \
    R(S, ITEMS, keys, 0, issuer_key, 0, STOA_ISSUER_KEYS_MAX, "")             \
    R(S, STR, introspection_url, 0, URL, 0, STOA_TARGET_PATH_MAX, "")         \
    R(S, STR, introspection_client_id, 0, STRING, 0, 200, "")                 \
    R(S, STR, introspection_client_secret, 0, STRING, 0, 512, "")

#define STOA_ISSUER_KEY_MADE(R, S)                                            \
    R(S, STR, kid, 0, STRING, 0, 256, "")                                     \
    R(S, STR, spki, RQ, WORD, 1, 1540, "")                                    \
    R(S, STRS, algorithms, RQ, 10, "")

#define STOA_SERVER_PROMPT_MADE(R, S)                                         \
    R(S, STR, name, RQ, LABEL, 1,                                             \
      STOA_TOOL_NAME_MAX + STOA_NAME_MAX + 2, "")                             \
    R(S, STR, prompt, RQ, LABEL, 1, STOA_TOOL_NAME_MAX, "")                   \
    R(S, ID, api, 0, "")

#define STOA_SERVER_RESOURCE_MADE(R, S)                                       \
    R(S, ID, api, 0, "")                                                      \
    R(S, STR, uri, 0, LABEL, 0, STOA_URI_MAX, "")


/* What the rows become: values of an enum, members of a struct. */

#define STOA_C_BOOL  uint8_t
#define STOA_C_U16   uint16_t
#define STOA_C_U32   uint32_t
#define STOA_C_U64   uint64_t

#define STOA_WORD_VALUE(w, v)    v,

#define STOA_MEMBERS(FIELDS)     FIELDS(STOA_M, )
#define STOA_M(S, t, ...)        STOA_M_##t(__VA_ARGS__)
#define STOA_M_AS(n, f, t, ...)  STOA_M_##t(n, )
#define STOA_M_OWN(n)
#define STOA_M_ID(n, ...)        stoa_id_t  n;
#define STOA_M_NAME(n)           stoa_ref_t  n;
#define STOA_M_NAME_OF(n, ...)   stoa_ref_t  n;
#define STOA_M_STATE(n, ...)     uint8_t  n;
#define STOA_M_ON(n, ...)        uint8_t  n;
#define STOA_M_REF(n, ...)       stoa_id_t  n;
#define STOA_M_LINK(n, ...)      stoa_id_t  n;
#define STOA_M_REFS(n, ...)      stoa_vec_t  n;
#define STOA_M_TOOLS(n, ...)     stoa_vec_t  n; uint8_t  has_##n;
#define STOA_M_U16(n, ...)       uint16_t  n;
#define STOA_M_U32(n, ...)       uint32_t  n;
#define STOA_M_U64(n, ...)       uint64_t  n;
#define STOA_M_BOOL(n, ...)      uint8_t  n;
#define STOA_M_WORD(n, ...)      uint8_t  n;
#define STOA_M_CHOICE(n, ...)    uint8_t  n;
#define STOA_M_STR(n, ...)       stoa_ref_t  n;
#define STOA_M_STRS(n, ...)      stoa_vec_t  n;
#define STOA_M_TIME(n, ...)      int64_t  n;
#define STOA_M_CIDRS(n, ...)     stoa_vec_t  n;
#define STOA_M_ITEMS(n, ...)     stoa_vec_t  n;
#define STOA_M_JSON(n, ...)      stoa_ref_t  n;
#define STOA_M_RAW(n, ...)       stoa_ref_t  n;
#define STOA_M_HEX32(n, ...)     uint8_t  n[32];
#define STOA_M_POLICIES(n)       stoa_vec_t  n;


#endif /* STOA_SCHEMA_H */
