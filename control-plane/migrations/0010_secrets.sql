-- What is told to nobody but the gateways that need it; value: sealed, NULL
-- when it was only declared.
CREATE TABLE secrets (
    id          TEXT   NOT NULL PRIMARY KEY,
    tenant      TEXT   NOT NULL REFERENCES tenants (id),
    name        TEXT   NOT NULL,
    title       TEXT,
    value       TEXT,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    ver         BIGINT NOT NULL,
    UNIQUE (tenant, name)
);

CREATE TABLE global_secrets (
    id          TEXT   NOT NULL PRIMARY KEY,
    name        TEXT   NOT NULL UNIQUE,
    title       TEXT,
    value       TEXT,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    ver         BIGINT NOT NULL
);

-- The ids of the secrets that a configuration names, as JSON.
ALTER TABLE policies ADD COLUMN secrets TEXT;
ALTER TABLE global_policies ADD COLUMN secrets TEXT;
