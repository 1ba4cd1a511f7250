-- The domain: one table per resource, a column per stored field of
-- kinds/, plus
--   tenant  the owner of every tenant-scoped row, its parent's too,
--   ver     counts the changes of the row and is what an ETag is made of.
-- References hold ids.  Lists and nested objects are canonical JSON text,
-- times are milliseconds of Unix time, flags 0 or 1.

CREATE TABLE tenants (
    id          TEXT   NOT NULL PRIMARY KEY,
    name        TEXT   NOT NULL UNIQUE,
    title       TEXT,
    state       TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    ver         BIGINT NOT NULL
);

CREATE TABLE gateway_groups (
    id          TEXT   NOT NULL PRIMARY KEY,
    name        TEXT   NOT NULL UNIQUE,
    title       TEXT,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    ver         BIGINT NOT NULL
);

-- assertion_key: HMAC-SHA-256(token, "stoa-assertion"), hex; what a gateway
-- says about itself is in gateway_status.
CREATE TABLE gateways (
    id             TEXT   NOT NULL PRIMARY KEY,
    name           TEXT   NOT NULL UNIQUE,
    title          TEXT,
    "group"        TEXT   NOT NULL REFERENCES gateway_groups (id),
    token_digest   TEXT   NOT NULL,
    assertion_key  TEXT   NOT NULL,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    ver            BIGINT NOT NULL
);

CREATE INDEX gateways_group ON gateways ("group");

CREATE TABLE admin_tokens (
    id            TEXT   NOT NULL PRIMARY KEY,
    name          TEXT   NOT NULL UNIQUE,
    title         TEXT,
    state         TEXT   NOT NULL,
    role          TEXT   NOT NULL,
    tenant        TEXT   REFERENCES tenants (id),
    expires_at    BIGINT,
    token_digest  TEXT   NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    ver           BIGINT NOT NULL
);

CREATE INDEX admin_tokens_tenant ON admin_tokens (tenant);

CREATE TABLE apis (
    id               TEXT   NOT NULL PRIMARY KEY,
    tenant           TEXT   NOT NULL REFERENCES tenants (id),
    name             TEXT   NOT NULL,
    title            TEXT,
    state            TEXT   NOT NULL,
    kind             TEXT   NOT NULL,
    version          TEXT,
    description      TEXT,
    audience         TEXT   NOT NULL,
    partners         TEXT,
    host             TEXT,
    base_path        TEXT,
    strip_base_path  BIGINT NOT NULL,
    upstream         TEXT   NOT NULL,
    key_query        TEXT,
    ip_allow         TEXT,
    ip_deny          TEXT,
    max_body_bytes   BIGINT NOT NULL,
    identity         TEXT   NOT NULL,
    operations_only  BIGINT NOT NULL,
    sunset_at        BIGINT,
    gateway_groups   TEXT,
    spec             TEXT,
    discovery        TEXT,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    ver              BIGINT NOT NULL,
    UNIQUE (tenant, name)
);

-- One route, one api: over all tenants.
CREATE UNIQUE INDEX apis_route
    ON apis (COALESCE(host, ''), COALESCE(base_path, '/'))
    WHERE state <> 'retired' AND (host IS NOT NULL OR base_path IS NOT NULL);

-- What discovery looks through every second.
CREATE INDEX apis_mcp ON apis (id) WHERE kind = 'mcp';

CREATE TABLE operations (
    id          TEXT   NOT NULL PRIMARY KEY,
    tenant      TEXT   NOT NULL REFERENCES tenants (id),
    api         TEXT   NOT NULL REFERENCES apis (id),
    name        TEXT   NOT NULL,
    title       TEXT,
    state       TEXT   NOT NULL,
    method      TEXT   NOT NULL,
    path        TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    ver         BIGINT NOT NULL,
    UNIQUE (api, name),
    UNIQUE (api, method, path)
);

CREATE TABLE tools (
    id          TEXT   NOT NULL PRIMARY KEY,
    tenant      TEXT   NOT NULL REFERENCES tenants (id),
    api         TEXT   NOT NULL REFERENCES apis (id),
    name        TEXT   NOT NULL,
    title       TEXT,
    state       TEXT   NOT NULL,
    definition  TEXT   NOT NULL,
    digest      TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    ver         BIGINT NOT NULL,
    UNIQUE (api, name)
);

-- What discovery read besides tools; name: the resource's URI, the prompt's
-- name.  Replaced as a whole at each discovery.
CREATE TABLE api_resources (
    tenant      TEXT   NOT NULL REFERENCES tenants (id),
    api         TEXT   NOT NULL REFERENCES apis (id),
    name        TEXT   NOT NULL,
    definition  TEXT   NOT NULL,
    seen_at     BIGINT NOT NULL,
    PRIMARY KEY (api, name)
);

CREATE TABLE api_prompts (
    tenant      TEXT   NOT NULL REFERENCES tenants (id),
    api         TEXT   NOT NULL REFERENCES apis (id),
    name        TEXT   NOT NULL,
    definition  TEXT   NOT NULL,
    seen_at     BIGINT NOT NULL,
    PRIMARY KEY (api, name)
);

CREATE TABLE servers (
    id            TEXT   NOT NULL PRIMARY KEY,
    tenant        TEXT   NOT NULL REFERENCES tenants (id),
    name          TEXT   NOT NULL,
    title         TEXT,
    state         TEXT   NOT NULL,
    instructions  TEXT,
    prefix        TEXT   NOT NULL,
    tools         TEXT,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    ver           BIGINT NOT NULL,
    UNIQUE (tenant, name)
);

CREATE TABLE plans (
    id           TEXT   NOT NULL PRIMARY KEY,
    tenant       TEXT   NOT NULL REFERENCES tenants (id),
    name         TEXT   NOT NULL,
    title        TEXT,
    state        TEXT   NOT NULL,
    rate         BIGINT NOT NULL,
    per_ms       BIGINT NOT NULL,
    burst        BIGINT NOT NULL,
    quota_day    BIGINT NOT NULL,
    quota_month  BIGINT NOT NULL,
    concurrency  BIGINT NOT NULL,
    approval     TEXT   NOT NULL,
    limit_by     TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    ver          BIGINT NOT NULL,
    UNIQUE (tenant, name)
);

CREATE TABLE applications (
    id          TEXT   NOT NULL PRIMARY KEY,
    tenant      TEXT   NOT NULL REFERENCES tenants (id),
    name        TEXT   NOT NULL,
    title       TEXT,
    state       TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    ver         BIGINT NOT NULL,
    UNIQUE (tenant, name)
);

-- tenant: the application's; target_tenant: the api's, the server's and the
-- plan's.  Exactly one of api and server is set.
CREATE TABLE subscriptions (
    id             TEXT   NOT NULL PRIMARY KEY,
    tenant         TEXT   NOT NULL REFERENCES tenants (id),
    state          TEXT   NOT NULL,
    title          TEXT,
    application    TEXT   NOT NULL REFERENCES applications (id),
    target_tenant  TEXT   NOT NULL REFERENCES tenants (id),
    api            TEXT   REFERENCES apis (id),
    server         TEXT   REFERENCES servers (id),
    plan           TEXT   NOT NULL REFERENCES plans (id),
    tools          TEXT,
    expires_at     BIGINT,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    ver            BIGINT NOT NULL
);

CREATE UNIQUE INDEX subscriptions_live
    ON subscriptions (application, COALESCE(api, server))
    WHERE state IN ('pending', 'active', 'suspended');
CREATE INDEX subscriptions_tenant ON subscriptions (tenant, id);
CREATE INDEX subscriptions_application ON subscriptions (application);
CREATE INDEX subscriptions_api ON subscriptions (api);
CREATE INDEX subscriptions_server ON subscriptions (server);
CREATE INDEX subscriptions_plan ON subscriptions (plan);
CREATE INDEX subscriptions_expiry ON subscriptions (expires_at)
    WHERE expires_at IS NOT NULL AND state IN ('active', 'suspended');

-- key_digest: HMAC-SHA-256(pepper, key) (alg 'hmac') or SHA-256(key), hex.
CREATE TABLE credentials (
    id           TEXT   NOT NULL PRIMARY KEY,
    tenant       TEXT   NOT NULL REFERENCES tenants (id),
    application  TEXT   NOT NULL REFERENCES applications (id),
    state        TEXT   NOT NULL,
    title        TEXT,
    env          TEXT   NOT NULL,
    expires_at   BIGINT,
    prefix       TEXT   NOT NULL,
    last4        TEXT   NOT NULL,
    rotated_to   TEXT,
    key_digest   TEXT   NOT NULL,
    key_alg      TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    ver          BIGINT NOT NULL
);

CREATE INDEX credentials_application ON credentials (application, id);
CREATE INDEX credentials_tenant ON credentials (tenant);
CREATE INDEX credentials_expiry ON credentials (expires_at)
    WHERE expires_at IS NOT NULL AND state IN ('active', 'rotating');

-- Append only.  A chain per tenant ('' is the platform's): hash is the digest
-- of all the other columns, prev_hash among them.
CREATE TABLE audit (
    tenant         TEXT   NOT NULL,
    seq            BIGINT NOT NULL,
    at             BIGINT NOT NULL,
    actor_kind     TEXT   NOT NULL,
    actor_id       TEXT   NOT NULL,
    actor_name     TEXT   NOT NULL,
    action         TEXT   NOT NULL,
    kind           TEXT   NOT NULL,
    resource       TEXT   NOT NULL,
    resource_name  TEXT   NOT NULL,
    diff           TEXT   NOT NULL,
    request_id     TEXT   NOT NULL,
    prev_hash      TEXT   NOT NULL,
    hash           TEXT   NOT NULL,
    PRIMARY KEY (tenant, seq)
);

CREATE INDEX audit_at ON audit (at, tenant, seq);

-- Where each chain ends, so that a cut tail shows; mac: over the other
-- columns, keyed by the pepper when there is one.
CREATE TABLE audit_head (
    tenant  TEXT   NOT NULL PRIMARY KEY,
    seq     BIGINT NOT NULL,
    hash    TEXT   NOT NULL,
    mac     TEXT   NOT NULL
);

-- Answers of POSTs with an Idempotency-Key, kept a day.  key_digest and
-- request: SHA-256 of the key, and of method, path and body; answer: sealed
-- with a key made from the caller's token, because it may hold a credential
-- that is shown once.
CREATE TABLE idempotency (
    actor       TEXT   NOT NULL,
    key_digest  TEXT   NOT NULL,
    request     TEXT   NOT NULL,
    status      BIGINT NOT NULL,
    headers     TEXT   NOT NULL,
    answer      {{BLOB}} NOT NULL,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (actor, key_digest)
);

CREATE INDEX idempotency_created ON idempotency (created_at);
